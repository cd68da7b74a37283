"""The signed message inside every sealed envelope (protocol §5)."""

from dataclasses import dataclass
from datetime import datetime

from credentials.errors import ControllerUnresolved, CredentialError
from credentials.proof import sign_object, verify_object
from did.json import JsonObject, canonicalize, parse_object
from did.keys import SigningKey
from did.resolve import Resolver
from did.time import format_time
from pds.messages.errors import MessageError, SignerUnresolved
from pds.messages.fields import Fields
from pds.sealing import SealingKey, SealingPublicKey, open_sealed, seal

LABEL = "message"
TYPES = frozenset({"Decision", "Withdrawal", "PackageUpdated", "ErasureAttestation"})


@dataclass(frozen=True, slots=True)
class Message:
    """What one side says to the other in a thread. ``seq`` counts from 1 in each direction."""

    type: str
    id: str
    thread: str
    sender: str
    recipient_key: str
    seq: int
    prev: str | None
    created: datetime
    body: JsonObject

    @classmethod
    def parse(cls, value: JsonObject) -> "Message":
        fields = Fields({name: member for name, member in value.items() if name != "proof"})
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
        )
        fields.done()
        if (message.seq == 1) != (message.prev is None):
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
) -> VerifiedMessage:
    """Open and verify one envelope:

    1. it opens with our key for this mailbox
    2. strict JSON of the known shape
    3. it names the key that opened it (surreptitious forwarding fails here)
    4. the proof is by ``from``, for ``assertionMethod``

    Not checked: that ``from`` is the other side of the thread, and the order; that is the
    receiver's (``follows``). Raises ``SealingError``, ``MessageError``.
    """
    raw = parse_object(open_sealed(sealed, key=key, label=LABEL, context=mailbox))  # 1, 2
    message = Message.parse(raw)
    if message.recipient_key != key.public.id:  # 3
        raise MessageError(
            "the message was written to another recipient",
            code="message.wrong_recipient",
            hint="Somebody passed on a message that was not meant for you; it is ignored.",
        )
    try:
        verified = verify_object(  # 4
            raw,
            resolver=resolver,
            now=now,
            expected_controller=message.sender,
            exact_context=(),
        )
    except ControllerUnresolved as error:
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


def follows(verified: VerifiedMessage, *, thread: str, sender: str, last: Position) -> bool:
    """Say whether the message is new and in order; False for a repeat of what is known.

    Raises ``MessageError``: ``message.wrong_thread``, ``message.wrong_sender``, and
    ``message.gap`` when one between was dropped or the chain was cut.
    """
    message = verified.message
    if message.thread != thread:
        raise MessageError("the message is of another thread", code="message.wrong_thread")
    if message.sender != sender:
        raise MessageError(
            "the message is not from the other side of this thread", code="message.wrong_sender"
        )
    if message.seq <= last.seq:
        return False
    if message.seq != last.seq + 1 or message.prev != last.digest:
        raise MessageError(
            f"message {last.seq + 1} of the thread is missing",
            code="message.gap",
            hint="The relay dropped or reordered messages. Try again; if it stays, say so to its "
            "operator: the evidence is kept.",
        )
    return True
