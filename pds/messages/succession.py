"""One did:key of a holder takes the place of another, signed by both (protocol §2 and §5).

A did:key cannot be retired by itself. What retires it is that the other side keeps who came after
it, and believes nobody else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from credentials.errors import CredentialError
from credentials.proof import add_proof, verify_object
from did.json import JsonObject, without_proof
from did.keys import SigningKey
from did.resolve import OFFLINE
from did.time import format_time
from pds.messages.errors import ChangeRefused
from pds.messages.fields import Fields

_SKEW = timedelta(seconds=60)
_MOST = 100


@dataclass(frozen=True, slots=True)
class Change:
    """From ``at`` on ``new`` speaks for whom ``old`` spoke for. ``seq`` counts the changes of one
    relationship from 1."""

    old: str
    new: str
    seq: int
    at: datetime

    @classmethod
    def parse(cls, value: JsonObject) -> "Change":
        fields = Fields(without_proof(value))
        fields.constant("type", "DidChange")
        change = cls(
            old=fields.did("from", method="key"),
            new=fields.did("to", method="key"),
            seq=fields.integer("seq", 1, 2**31),
            at=fields.time("at"),
        )
        fields.done()
        return change

    def to_json(self) -> JsonObject:
        return {
            "type": "DidChange",
            "from": self.old,
            "to": self.new,
            "seq": self.seq,
            "at": format_time(self.at),
        }

    def sign(self, *, old: SigningKey, new: SigningKey) -> JsonObject:
        """The change with a proof by each of the two."""
        by_old = add_proof(self.to_json(), old, created=self.at)
        return add_proof(by_old, new, created=self.at)


@dataclass(frozen=True, slots=True)
class DidChange:
    """The body of a DidChange message: every change up to now, and the holder's decision of this
    thread once more, under the new DID. Neither is verified yet."""

    changes: tuple[JsonObject, ...]
    decision: JsonObject

    @classmethod
    def parse(cls, body: JsonObject) -> "DidChange":
        fields = Fields(body, "/body")
        notice = cls(
            changes=tuple(fields.objects("changes", high=_MOST)),
            decision=fields.object("decision"),
        )
        fields.done()
        return notice

    def to_json(self) -> JsonObject:
        return {"changes": list(self.changes[-_MOST:]), "decision": self.decision}


def verify_change(raw: JsonObject, *, now: datetime) -> Change:
    """Verify one change:

    1. it has the known shape, and leads to another key
    2. it is signed by both, and by nobody else
    3. it is not from the future

    Raises ``ChangeRefused`` (``change.same``, ``change.proof``, ``change.future``), or
    ``MessageError`` for what is no change.
    """
    claimed = Change.parse(raw)  # 1
    if claimed.old == claimed.new:
        raise ChangeRefused("the change leads to the same key", code="change.same")
    try:
        verified = verify_object(  # 2
            raw, resolver=OFFLINE, now=now, expected_controller=claimed.new, exact_context=()
        )
    except CredentialError as error:
        raise ChangeRefused(
            f"the change is not signed by whom it names: {error}", code="change.proof"
        ) from error
    signers = sorted(proof.controller for proof in verified.proofs)
    if signers != sorted((claimed.old, claimed.new)) or verified.unknown_suites:
        raise ChangeRefused("the change is not signed by both of its keys", code="change.proof")
    change = Change.parse(verified.document)
    if change.at > now + _SKEW:  # 3
        raise ChangeRefused(
            "the change comes from the future",
            code="change.future",
            hint="Check this machine's clock.",
        )
    return change


def verify_line(raws: Iterable[JsonObject], *, sender: str, now: datetime) -> tuple[Change, ...]:
    """Verify that changes form one line that ends at ``sender``, in order of ``seq``:

    1. each holds by itself (``verify_change``)
    2. each begins where the one before ended, one ``seq`` later; none comes back
    3. the last one leads to ``sender``

    Whether the line begins at somebody who is known is the caller's to say. Raises as
    ``verify_change`` and ``ChangeRefused`` (``change.line``).
    """
    changes = sorted((verify_change(raw, now=now) for raw in raws), key=lambda c: c.seq)  # 1
    follow = all(
        (after.old, after.seq) == (before.new, before.seq + 1)
        for before, after in pairwise(changes)
    )
    keys = {change.old for change in changes} | {change.new for change in changes}
    if not changes or not follow or len(keys) != len(changes) + 1:  # 2
        raise ChangeRefused("the changes do not form one line", code="change.line")
    if changes[-1].new != sender:  # 3
        raise ChangeRefused("the changes lead to somebody else", code="change.line")
    return tuple(changes)
