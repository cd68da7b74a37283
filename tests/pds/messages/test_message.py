"""Sealed messages: who may read them, who wrote them, in which order."""

from dataclasses import replace

import pytest

from did.json import digest
from did.resolve import Resolver
from pds.messages.errors import MessageError, SignerUnresolved
from pds.messages.message import (
    Message,
    Order,
    Position,
    follows,
    gap_code,
    open_message,
    seal_message,
    sign_message,
)
from pds.sealing import SealingError, SealingKey
from pds.wire import new_id

from .conftest import COMPANY, NOW, Parties

THREAD = "urn:uuid:3f1c0d5e-8f6b-4c1e-9a51-2f8b6e1d7c90"
MAILBOX = new_id()


def message(parties: Parties, **changes: object) -> Message:
    base = Message(
        type="PackageUpdated",
        id="urn:uuid:6a1f9f0e-5b0c-4e63-8f4e-0a2f5c1d9b11",
        thread=THREAD,
        sender=parties.holder_key.did,
        recipient_key=parties.company_reply.public.id,
        seq=1,
        prev=None,
        created=NOW,
        body={"grant": digest({"a": 1}), "package": new_id(), "seq": 2},
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def sealed(parties: Parties, sent: Message) -> bytes:
    signed = sign_message(sent, parties.holder_key)
    return seal_message(signed, to=parties.company_reply.public, mailbox=MAILBOX)


def opened(parties: Parties, octets: bytes, key: SealingKey | None = None):
    return open_message(
        octets,
        key=key or parties.company_reply,
        mailbox=MAILBOX,
        resolver=parties.resolver,
        now=NOW,
    )


def test_a_message_arrives_as_it_was_written(parties: Parties) -> None:
    """Sealed, opened, verified: the same message."""
    sent = message(parties)
    assert opened(parties, sealed(parties, sent)).message == sent


def test_attack_70_a_message_passed_on_to_a_third_party_is_refused(parties: Parties) -> None:
    """A recipient who seals a message anew for somebody else cannot make it theirs."""
    third = SealingKey.generate()
    signed = sign_message(message(parties), parties.holder_key)
    forwarded = seal_message(signed, to=third.public, mailbox=MAILBOX)
    with pytest.raises(MessageError) as refused:
        opened(parties, forwarded, third)
    assert refused.value.code == "message.wrong_recipient"


def test_a_message_in_another_mailbox_does_not_open(parties: Parties) -> None:
    """The mailbox is bound into the seal."""
    octets = sealed(parties, message(parties))
    with pytest.raises(SealingError):
        open_message(
            octets,
            key=parties.company_reply,
            mailbox=new_id(),
            resolver=parties.resolver,
            now=NOW,
        )


def test_a_message_signed_by_another_is_refused(parties: Parties) -> None:
    """``from`` must be the signer."""
    sent = message(parties, sender=parties.log_key.did)
    with pytest.raises(MessageError) as refused:
        opened(parties, sealed(parties, sent))
    assert refused.value.code == "message.wrong_sender"


def test_order_and_chain(parties: Parties) -> None:
    """The next one is new, a repeat is told apart, a gap or a cut chain is named."""
    first = opened(parties, sealed(parties, message(parties)))
    sender, after = parties.holder_key.did, Position(1, first.digest)
    second = opened(parties, sealed(parties, message(parties, seq=2, prev=first.digest)))
    for one, last, order in (
        (first, Position(), Order.NEXT),
        (first, after, Order.REPEAT),
        (second, after, Order.NEXT),
        (second, Position(), Order.GAP),
        (second, Position(1, digest({"other": 1})), Order.GAP),
        (second, Position(5, first.digest), Order.REPEAT),
    ):
        assert follows(one, thread=THREAD, sender=sender, last=last) is order
    with pytest.raises(MessageError) as refused:
        follows(first, thread=THREAD, sender=parties.log_key.did, last=Position())
    assert refused.value.code == "message.wrong_sender"
    other = THREAD.replace("3f1c", "4f1c")
    with pytest.raises(MessageError) as refused:
        follows(first, thread=other, sender=sender, last=Position())
    assert refused.value.code == "message.wrong_thread"


def test_a_sender_that_cannot_be_looked_up_is_not_called_a_forger(parties: Parties) -> None:
    """While a company's DID document cannot be had, its message is neither good nor bad."""
    sent = message(parties, sender=COMPANY)
    signed = sign_message(sent, parties.company_key, verification_method=parties.method)
    octets = seal_message(signed, to=parties.company_reply.public, mailbox=MAILBOX)
    assert opened(parties, octets).message.sender == COMPANY
    parties.resolver = Resolver(fetch=lambda _url: b"<html>maintenance</html>")
    with pytest.raises(SignerUnresolved) as unknown:
        opened(parties, octets)
    assert (unknown.value.code, unknown.value.exit_code) == ("message.unresolved", 4)


def test_a_restored_sender_says_so(parties: Parties) -> None:
    """It goes on well beyond what it knows of: a gap still, by a name of its own."""
    plain = opened(parties, sealed(parties, message(parties, seq=1004, prev=digest({"a": 1}))))
    restored = replace(plain.message, restored=True)
    arrived = opened(parties, sealed(parties, restored))
    assert arrived.message == restored
    sender = parties.holder_key.did
    for one, code in ((plain, "message.gap"), (arrived, "message.resumed")):
        order = follows(one, thread=THREAD, sender=sender, last=Position(4, digest({"a": 2})))
        assert (order, gap_code(one.message)) == (Order.GAP, code)
    # It need not know of any message before.
    assert opened(parties, sealed(parties, replace(restored, prev=None))).message.prev is None
    for wrong in (replace(restored, seq=1), message(parties, seq=2)):
        with pytest.raises(MessageError):
            opened(parties, sealed(parties, wrong))


@pytest.mark.parametrize(
    ("sender", "code"),
    [("did:web:tracker-4711.example", "message.wrong_sender"), (None, "message.wrong_thread")],
)
def test_attack_56_a_sender_is_compared_before_it_is_looked_up(
    parties: Parties, sender: str | None, code: str
) -> None:
    """A message names any host it likes as its sender: none is asked, unless it is the company."""
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        raise AssertionError

    claimed = sender or "did:web:other.example"
    signed = sign_message(
        message(parties, sender=claimed), parties.company_key, verification_method=f"{claimed}#k"
    )
    octets = seal_message(signed, to=parties.company_reply.public, mailbox=MAILBOX)
    with pytest.raises(MessageError) as refused:
        open_message(
            octets,
            key=parties.company_reply,
            mailbox=MAILBOX,
            resolver=Resolver(fetch=fetch),
            now=NOW,
            expected_sender=lambda one: COMPANY if sender and one.thread == THREAD else None,
        )
    assert (refused.value.code, asked) == (code, [])


def test_a_method_that_nobody_resolves_is_no_reason_to_wait(parties: Parties) -> None:
    """Such a message is refused for good: kept for later, it would hold up all that follow."""
    signed = sign_message(
        message(parties, sender="did:foo:x"), parties.company_key, verification_method="did:foo:x#k"
    )
    octets = seal_message(signed, to=parties.company_reply.public, mailbox=MAILBOX)
    with pytest.raises(MessageError) as refused:
        opened(parties, octets)
    assert not isinstance(refused.value, SignerUnresolved)
    assert refused.value.code == "message.wrong_sender"
