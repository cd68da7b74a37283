"""Whom somebody believes to watch a log: witnesses, how many of them, how soon.

A relay shows different logs to different people as long as these never compare. A witness cosigns
one history only; who asks for the cosignatures of several sees what everyone sees, unless so many
of them lie together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from did.errors import DidError
from did.json import Json, JsonObject
from did.time import format_time, parse_time
from pds.log.checkpoint import MAX_SIZE, Checkpoint, open_checkpoint
from pds.log.cosignature import Cosignature, verify_cosignature
from pds.log.errors import LogError, NoteInvalid
from pds.log.keys import KeyOfLog
from pds.log.vkey import NoteKey, Signs

MAX_WITNESSES = 16
MAX_HOURS = 24 * 31


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness by its key, and where it can be asked itself, if that is known."""

    key: NoteKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """``quorum`` of the ``witnesses`` must have cosigned what a log shows, ``within`` a time.

    Raises LogError ``log.policy`` for one that could never be met, or would be met by nobody.
    """

    witnesses: tuple[Witness, ...]
    quorum: int
    within: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        if not 1 <= len(self.witnesses) <= MAX_WITNESSES:
            raise _invalid(f"a policy names 1 to {MAX_WITNESSES} witnesses")
        if not 1 <= self.quorum <= len(self.witnesses):
            raise _invalid("the quorum is at least one and at most the number of witnesses")
        keys = [witness.key.key for witness in self.witnesses]
        names = {witness.key.name for witness in self.witnesses}
        # The signed message does not name the witness: one key under two names is one voice.
        if len(set(keys)) < len(keys) or len(names) < len(keys):
            raise _invalid("each witness has a name and a key of its own")
        if not timedelta(hours=1) <= self.within <= timedelta(hours=MAX_HOURS):
            raise _invalid(f"the time is between 1 and {MAX_HOURS} hours")

    @classmethod
    def parse(cls, raw: JsonObject) -> "WitnessPolicy":
        """Read what ``to_json`` wrote. Raises LogError."""
        witnesses, quorum, hours = raw.get("witnesses"), raw.get("quorum"), raw.get("hours")
        if not isinstance(witnesses, list) or not _is_number(quorum) or not _is_number(hours):
            raise _invalid("a policy has witnesses, a quorum and hours")
        found = []
        for one in witnesses:
            vkey, url = (one.get("vkey"), one.get("url")) if isinstance(one, dict) else (None, None)
            if not isinstance(vkey, str) or not isinstance(url, str | None):
                raise _invalid("a witness has a key and perhaps an address")
            found.append(Witness(NoteKey.parse(vkey, expected=Signs.COSIGNATURES), url))
        return cls(tuple(found), _number(quorum), timedelta(hours=_number(hours)))

    def to_json(self) -> JsonObject:
        witnesses: list[Json] = []
        for one in self.witnesses:
            place: JsonObject = {} if one.url is None else {"url": one.url}
            witnesses.append({"vkey": one.key.text, **place})
        return {
            "witnesses": witnesses,
            "quorum": self.quorum,
            "hours": self.within // timedelta(hours=1),
        }


@dataclass(frozen=True, slots=True)
class CosignedCheckpoint:
    """A checkpoint that the log and enough witnesses have signed. Made by ``verify_cosigned``."""

    checkpoint: Checkpoint
    note: str
    by: tuple[Cosignature, ...]


def verify_cosigned(
    note: str, *, origin: str, key: KeyOfLog, policy: WitnessPolicy, now: datetime
) -> CosignedCheckpoint:
    """The checkpoint of a note that the log and a quorum of its witnesses have signed.

    Raises NoteInvalid: those of ``open_checkpoint``, and ``log.quorum``. *Not* checked: whether it
    fits other checkpoints of the log (``Monitor``).
    """
    # 1. The log has signed it.
    checkpoint = open_checkpoint(note, origin=origin, key=key)
    # 2. So have enough witnesses, each counted once; a line that is wrong counts for nothing.
    by = []
    for witness in policy.witnesses:
        try:
            by.append(verify_cosignature(note, witness=witness.key, now=now))
        except NoteInvalid:
            continue
    if len(by) < policy.quorum:
        raise NoteInvalid(
            f"{len(by)} of the witnesses have cosigned the checkpoint, {policy.quorum} must",
            code="log.quorum",
            hint="Ask again later; a log that avoids its witnesses may show you a history of its"
            " own.",
        )
    return CosignedCheckpoint(checkpoint, note, tuple(by))


def newest_cosigned(
    notes: Sequence[str], *, origin: str, key: KeyOfLog, policy: WitnessPolicy, now: datetime
) -> CosignedCheckpoint | None:
    """The largest of the checkpoints that a quorum has cosigned; None when none is."""
    found = []
    for note in notes:
        try:
            found.append(verify_cosigned(note, origin=origin, key=key, policy=policy, now=now))
        except LogError:
            continue
    return max(found, key=lambda one: one.checkpoint.size, default=None)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How far the witnesses have come: they have cosigned ``size`` leaves, and of what was seen
    beyond, ``wanted`` leaves have waited ``since``. Kept between rounds.

    So nothing is asked of a log that stands still, and a log that grows all the time cannot push
    the deadline before it.
    """

    size: int = 0
    wanted: int = 0
    since: datetime | None = None

    def after(self, *, seen: int, cosigned: int, now: datetime) -> "Waiting":
        """The state once ``seen`` leaves are shown and ``cosigned`` of them witnessed."""
        size = max(self.size, cosigned)
        if self.since is not None and self.wanted > size:
            return Waiting(size, self.wanted, self.since)
        return Waiting(size, seen, now) if seen > size else Waiting(size)

    def is_overdue(self, policy: WitnessPolicy, now: datetime) -> bool:
        """Whether the witnesses should have cosigned by now what they have not."""
        return self.since is not None and now - self.since > policy.within

    @classmethod
    def parse(cls, raw: JsonObject) -> "Waiting":
        """Read what ``to_json`` wrote. Raises LogError ``log.policy``."""
        size, wanted, since = raw.get("size"), raw.get("wanted"), raw.get("since")
        try:
            when = parse_time(since) if isinstance(since, str) else None
        except DidError:
            raise _invalid("the state of the witnesses is damaged") from None
        return cls(_number(size), _number(wanted), when)

    def to_json(self) -> JsonObject:
        since = None if self.since is None else format_time(self.since)
        return {"size": self.size, "wanted": self.wanted, "since": since}


def _is_number(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SIZE


def _number(value: Json) -> int:
    if not isinstance(value, int) or not _is_number(value):
        raise _invalid("a number is missing")
    return value


def _invalid(message: str) -> LogError:
    return LogError(message, code="log.policy")
