"""The signed message inside every sealed envelope (protocol §5)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from credentials.errors import ControllerUnresolved, CredentialError
from credentials.proof import sign_object, verify_object
from did.json import JsonObject, canonicalize, parse_object, without_proof
from did.keys import SigningKey
from did.resolve import Resolver
from did.time import format_time
from pds.messages.errors import MessageError, SignerUnresolved
from pds.messages.fields import Fields
from pds.sealing import MAX_PLAINTEXT, SealingKey, SealingPublicKey, open_sealed, seal

LABEL = "message"
TYPES = frozenset({"Decision", "Withdrawal", "PackageUpdated", "DidChange", "ErasureAttestation"})

# No network will ever tell whose keys these are.
_NEVER = frozenset({"did.method_not_supported", "did.network_needed"})


@dataclass(frozen=True, slots=True)
class Message:
    """What one side says to the other in a thread. ``seq`` counts from 1 in each direction.

    ``restored`` says that the sender came back from a backup, and goes on well beyond the last
    ``seq`` that it knows of: the numbers between need not have been sent.
    """

    type: str
    id: str
    thread: str
    sender: str
    recipient_key: str
    seq: int
    prev: str | None
    created: datetime
    body: JsonObject
    restored: bool = False

    @classmethod
    def parse(cls, value: JsonObject) -> "Message":
        fields = Fields(without_proof(value))
        message = cls(
            type=fields.choice("type", TYPES),
            id=fields.urn("id"),
            thread=fields.urn("thread"),
            sender=fields.did("from"),
            recipient_key=fields.digest("to"),
            seq=fields.integer("seq", 1, 2**31),
            prev=fields.digest("prev") if fields.has("prev") else None,
            created=fields.time("created"),
            body=fields.object("body"),
            restored=fields.only_true("restored"),
        )
        fields.done()
        first = message.seq == 1
        if first != (message.prev is None) and (first or not message.restored):
            raise MessageError("the first message of a thread has no prev, and every later one has")
        return message

    def to_json(self) -> JsonObject:
        result: JsonObject = {
            "type": self.type,
            "id": self.id,
            "thread": self.thread,
            "from": self.sender,
            "to": self.recipient_key,
            "seq": self.seq,
            "created": format_time(self.created),
            "body": self.body,
        }
        if self.prev is not None:
            result["prev"] = self.prev
        if self.restored:
            result["restored"] = True
        return result


@dataclass(frozen=True, slots=True)
class VerifiedMessage:
    """A message that was opened with our key and signed by its sender's DID."""

    message: Message
    digest: str
    raw: JsonObject


def sign_message(
    message: Message, key: SigningKey, *, verification_method: str | None = None
) -> JsonObject:
    """Sign a message with the sender's assertion key."""
    return sign_object(
        message.to_json(), key, created=message.created, verification_method=verification_method
    )


def seal_message(signed: JsonObject, *, to: SealingPublicKey, mailbox: str) -> bytes:
    """Seal a signed message for one mailbox. Nothing of it is visible outside."""
    return seal(canonicalize(signed), to=to, label=LABEL, context=mailbox)


def open_message(
    sealed: bytes,
    *,
    key: SealingKey,
    mailbox: str,
    resolver: Resolver,
    now: datetime,
    expected_sender: Callable[[Message], str | None] | None = None,
) -> VerifiedMessage:
    """Open and verify one envelope:

    1. it opens with our key for this mailbox
    2. strict JSON of the known shape
    3. it names the key that opened it (surreptitious forwarding fails here)
    4. ``from`` is the other side of its thread: before anything of it is looked up
    5. the proof is by ``from``, for ``assertionMethod``

    ``expected_sender`` is given the message as it claims to be, and says who alone may have sent
    it: a DID, or None for a thread that is not known. Without it, 4 is left to ``follows``.

    Not checked: the order; that is ``follows``. Raises ``SealingError``, ``did.errors.JsonError``,
    ``MessageError``, and ``SignerUnresolved`` only where looking again later may help.
    """
    opened = open_sealed(sealed, key=key, label=LABEL, context=mailbox)  # 1
    raw = parse_object(opened, max_bytes=MAX_PLAINTEXT)  # 2
    message = Message.parse(raw)
    if message.recipient_key != key.public.id:  # 3
        raise MessageError(
            "the message was written to another recipient",
            code="message.wrong_recipient",
            hint="Somebody passed on a message that was not meant for you; it is ignored.",
        )
    if expected_sender is not None:  # 4
        _check_sender(message.sender, expected_sender(message))
    try:
        verified = verify_object(  # 5
            raw,
            resolver=resolver,
            now=now,
            expected_controller=message.sender,
            exact_context=(),
        )
    except ControllerUnresolved as error:
        if error.code in _NEVER:
            raise _wrong_sender() from error
        raise SignerUnresolved(
            f"the sender's DID document could not be had: {error}",
            hint="Try again later; if it stays so, ask the company to mend its DID document.",
        ) from error
    except CredentialError as error:
        raise MessageError(
            f"the message is not signed by its sender: {error}", code="message.wrong_sender"
        ) from error
    return VerifiedMessage(
        message=Message.parse(verified.document), digest=verified.digest, raw=raw
    )


@dataclass(frozen=True, slots=True)
class Position:
    """Where one direction of a thread stands: the last ``seq`` and its digest."""

    seq: int = 0
    digest: str | None = None


class Order(StrEnum):
    """How a message stands to those before it."""

    NEXT = "next"
    REPEAT = "repeat"
    GAP = "gap"


def follows(verified: VerifiedMessage, *, thread: str, sender: str, last: Position) -> Order:
    """Say how a message of this thread follows the last one, ``last``:

    - ``NEXT``: it is the one that was expected
    - ``REPEAT``: its ``seq`` was reached before; it is ignored, but for a ``Withdrawal`` and a
      ``DidChange``, which count whenever they come
    - ``GAP``: one before it is missing, or is another than its sender knows. It is carried out,
      and the thread goes on from it; what is missing is noted, as ``gap_code`` names it

    Raises ``MessageError``: ``message.wrong_thread``, ``message.wrong_sender``.
    """
    message = verified.message
    _check_sender(message.sender, sender if message.thread == thread else None)
    if message.seq <= last.seq:
        return Order.REPEAT
    if message.seq == last.seq + 1 and message.prev == last.digest:
        return Order.NEXT
    return Order.GAP


def gap_code(message: Message) -> str:
    """The code under which a gap before a message is noted: ``message.resumed`` where its sender
    says that it was restored, ``message.gap`` where somebody dropped or held back one."""
    return "message.resumed" if message.restored else "message.gap"


def _check_sender(sender: str, expected: str | None) -> None:
    if expected is None:
        raise MessageError("the message is of another thread", code="message.wrong_thread")
    if sender != expected:
        raise _wrong_sender()


def _wrong_sender() -> MessageError:
    return MessageError(
        "the message is not from the other side of this thread", code="message.wrong_sender"
    )
