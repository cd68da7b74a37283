"""A company's domain in other hands, or a message that names another domain: what was granted
before is not theirs, and nobody is looked up for it."""

import os

import pytest

from credentials.ticket import new_urn
from did.keys import SigningKey
from did.time import utc_now
from pds.company import outbox
from pds.messages.fields import Fields
from pds.messages.message import Message, seal_message, sign_message
from pds.messages.request import ReplyAddress
from pds.sealing import SealingKey
from pds.vault.consent import Accept, Refuse
from pds.vault.service import ShownRequest

from .conftest import Holder, Shop

ANSWERS = {
    "delivery": Accept(follows_changes=True),
    "personalisation": Accept(),
    "marketing": Refuse(),
}


@pytest.mark.parametrize("kind", ["KeyUpdate", "DidChange", "Decision"])
def test_attack_77_a_key_update_by_a_hijacked_domain(
    holder: Holder, asked: ShownRequest, shop: Shop, kind: str
) -> None:
    """The domain names another key, and a message by that key names others to redeem with and to
    seal for. No message of a company changes keys: this one is dropped, with a note, and what is
    staged after it is for the keys of the request, as before."""
    thief, sealing = SigningKey.generate(), SealingKey.generate()
    with holder.open() as vault:
        vault.decide(asked.request.id, ANSWERS)
        assert vault.push().complete
        person = str(vault.grant("delivery")["issuer"])
    with shop.open() as company:
        company.collect()
        before = company.redeem("delivery", person=person)
        company.rotate_key(compromised=True)  # now the domain serves a key that nobody knew
        ctx = company._ctx
        request = ctx.store.request(asked.request.id)
        assert request is not None
        with ctx.transaction():
            body = {"redemptionKey": thief.did, "sealingKey": sealing.public.id}
            outbox.queue_message(ctx, request, kind=kind, body=body)
        assert outbox.push(ctx).sent == 1
    with holder.open() as vault:
        report = vault.sync()
        assert report.messages == 0
        assert report.problems != []
        (card,) = [one for one in vault.records() if one.category == "contact"]
        vault.edit(card.id, {"name": "Somebody Else"})
        assert vault.sync().push.complete
        ticket = vault._ctx.exchange.grants()[0].ticket
        assert thief.did not in str(ticket)
    with shop.open() as company:
        company.collect()
        after = company.redeem("delivery", person=person)
        assert after.seq > before.seq
        assert "Somebody Else" in str(after.items)


def test_attack_56_a_message_has_nobody_looked_up(
    holder: Holder, asked: ShownRequest, shop: Shop
) -> None:
    """A message in the company's thread whose sender is a did:web somewhere else: the vault drops
    it without asking that address. One that it had to look up would wait for an answer."""
    with holder.open() as vault:
        vault.decide(asked.request.id, ANSWERS)
        assert vault.push().complete
    with shop.open() as company:
        company.collect()
        request = company._ctx.store.request(asked.request.id)
        assert request is not None
        assert request.reply is not None
        reply = ReplyAddress.parse(Fields(request.reply))
        message = Message(
            type="ErasureAttestation", id=new_urn(os.urandom), thread=request.id,
            sender="did:web:inside.example", recipient_key=reply.sealing_key.id, seq=1, prev=None,
            created=utc_now().replace(microsecond=0), body={},
        )  # fmt: skip
        signed = sign_message(
            message, SigningKey.generate(), verification_method="did:web:inside.example#key-1"
        )
        octets = seal_message(signed, to=reply.sealing_key, mailbox=reply.mailbox)
        company._ctx.client(reply.relay).deposit(reply.mailbox, reply.capability, octets)
    with holder.open() as vault:
        assert "message.wrong_sender" in [code for code, _ in vault.sync().problems]
        assert vault.sync().problems == []
