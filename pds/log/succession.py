"""One log key takes the place of another (docs/protocol.md §6, "Another log key").

The statement is a signed note with two signatures, by the old and the new key under the origin:

    pds/v1 log key succession
    relay.example/log/0011223344556677
    42
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
    relay.example/log/0011223344556677+530d903a+AekyeRrm…
    relay.example/log/0011223344556677+8c1f0a2b+AcQ3n7Pp…
    2026-11-28T09:00:00Z

No checkpoint begins like that: an origin has no spaces. The old key has signed the tree of this
size for the last time. The statement is the very next leaf, in a tree that the new key signs; so
whoever shows two people two successors shows them two logs.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from did.errors import DidError
from did.json import Json, JsonObject
from did.keys import SigningKey, VerifyKey
from did.time import format_time, parse_time
from pds.log.checkpoint import DECIMAL, Checkpoint
from pds.log.entry import Receipt, verify_receipt
from pds.log.errors import NoteInvalid, RivalSuccessors
from pds.log.keys import MAX_SUCCESSIONS, Succession
from pds.log.note import UnverifiedNote, decode_base64, open_note, sign_note
from pds.log.tree import EMPTY_ROOT, node_hash
from pds.log.vkey import NoteKey, Signs, log_key

HEAD: Final = "pds/v1 log key succession"
ENTRY_TYPE: Final = "log-key"
_ENTRY_MEMBERS: Final = {"type", "succession", "relay", "at"}


@dataclass(frozen=True, slots=True)
class LoggedSuccession:
    """A succession that the log holds, right where it says. Made by ``verify_succession``."""

    succession: Succession
    receipt: JsonObject
    checkpoint: str
    """The first signed note of the new key."""


def sign_succession(last: Checkpoint, *, old: SigningKey, new: SigningKey, at: datetime) -> str:
    """The statement that ``new`` follows ``old`` after the checkpoint ``last``.

    *Not* checked: that ``old`` has signed ``last``, and signs nothing afterwards.
    """
    text = "\n".join(
        [
            HEAD,
            last.origin,
            str(last.size),
            base64.b64encode(last.root).decode(),
            log_key(last.origin, old.verify_key).text,
            log_key(last.origin, new.verify_key).text,
            format_time(at),
            "",
        ]
    )
    by_old = sign_note(text, name=last.origin, key=old)
    by_new = sign_note(text, name=last.origin, key=new)
    return by_old + by_new.removeprefix(text + "\n")


def open_succession(note: str) -> Succession:
    """Read a statement that both of its keys have signed.

    Raises NoteInvalid: ``log.note`` (form of a note), ``log.succession`` (not this statement),
    ``log.signature`` (one of the keys has not signed). *Not* checked: that either is the key of the
    log, and that the log holds it.
    """
    # 1. The form: seven lines, the first of which no checkpoint has.
    lines = UnverifiedNote.parse(note).text[:-1].split("\n")
    if len(lines) != 7 or lines[0] != HEAD:
        raise _invalid("this is not a succession of log keys")
    _, origin, size, root, old_text, new_text, time = lines
    # 2. Two different keys of this log, and a time.
    try:
        old, new = (NoteKey.parse(one, expected=Signs.NOTES) for one in (old_text, new_text))
        at = parse_time(time)
        # 3. A size and a root that a tree can have.
        if DECIMAL.fullmatch(size) is None:
            raise _invalid("the size of the tree must be a decimal number")
        last = Checkpoint(origin, int(size), decode_base64(root))
    except (NoteInvalid, DidError):
        raise _invalid("the succession of log keys is malformed") from None
    if old.name != origin or new.name != origin or old.key == new.key:
        raise _invalid("a succession is from one key of the log to another")
    # 4. Both have signed.
    for key in (old.key, new.key):
        open_note(note, name=origin, key=key)
    return Succession(origin, last.size, last.root, old.key, new.key, at, note)


def verify_succession(raw: JsonObject) -> LoggedSuccession:
    """Verify a succession with its receipt, as ``GET /v1/log/keys`` shows it.

    Raises what ``open_succession`` and ``verify_receipt`` raise. *Not* checked: that the old key is
    the one of the log (``follow``), and that everybody is shown this log (``Monitor``).
    """
    # 1. The entry is a succession, signed by both keys.
    entry = Receipt.parse(raw).entry
    statement = entry.get("succession")
    if (
        set(entry) != _ENTRY_MEMBERS
        or entry["type"] != ENTRY_TYPE
        or not isinstance(statement, str)
    ):
        raise _invalid("the entry is not a succession of log keys")
    found = open_succession(statement)
    # 2. The new key has signed the log that holds it.
    verified = verify_receipt(raw, origin=found.origin, log_key=found.new)
    receipt, size = verified.receipt, verified.checkpoint.size
    # 3. It is the leaf that follows the last tree of the old key, and the last of the next.
    if receipt.leaf_index != found.size or size != found.size + 1:
        raise _invalid("the succession is not the leaf that follows the tree it names")
    # 4. The tree before that leaf is the one of which both keys speak.
    if _root_before(receipt.inclusion) != found.root:
        raise _invalid("the succession names another tree than the log had")
    return LoggedSuccession(found, raw, receipt.checkpoint)


def read_successions(document: JsonObject) -> tuple[LoggedSuccession, ...]:
    """Read and verify each of ``{"successions": [receipt, …]}``. Raises LogError."""
    raws = document.get("successions")
    if set(document) != {"successions"} or not isinstance(raws, list):
        raise _invalid("this is not a list of successions")
    if len(raws) > MAX_SUCCESSIONS or not all(isinstance(raw, dict) for raw in raws):
        raise _invalid("there are too many successions, or one is malformed")
    return tuple(verify_succession(raw) for raw in raws if isinstance(raw, dict))


def as_document(successions: Sequence[LoggedSuccession]) -> JsonObject:
    """What ``read_successions`` reads."""
    raws: list[Json] = [one.receipt for one in successions]
    return {"successions": raws}


def follow(
    pinned: VerifyKey, shown: Sequence[LoggedSuccession], *, known: Sequence[LoggedSuccession] = ()
) -> tuple[LoggedSuccession, ...]:
    """The line of successions from the pinned key to the newest; empty if nothing follows it.

    ``known`` are those that were believed before: a key has one successor for ever. Raises
    RivalSuccessors (the two convict), and NoteInvalid ``log.succession`` for a line that comes back
    to a key of before, turns back in the log, or is longer than any can be.
    """
    named: dict[VerifyKey, list[LoggedSuccession]] = {}
    for one in (*known, *shown):
        named.setdefault(one.succession.old, []).append(one)
    # 1. No key that was believed has two successors.
    for one in known:
        _check_no_rivals(named[one.succession.old])
    following = {one.succession.old: one for one in shown}
    line: list[LoggedSuccession] = []
    before = next((one.succession for one in known if one.succession.new == pinned), None)
    passed, earlier = {pinned}, {one.succession.new: one.succession.old for one in known}
    key = pinned
    while (key := earlier.get(key, pinned)) not in passed:
        passed.add(key)
    key = pinned
    while (found := following.get(key)) is not None:
        succession = found.succession
        #    And none on the line has: what other keys sign under the name of this log, which is
        #    whatever they like, says nothing about it.
        _check_no_rivals(named[key])
        # 2. No key comes back.
        if succession.new in passed:
            raise _invalid("a key that the log had given up comes back")
        # 3. Within one log, each is beyond the one before.
        _check_beyond(before, succession)
        line.append(found)
        before, key = succession, succession.new
        passed.add(key)
    # 4. There are not more than can be kept.
    if len({one.succession.old for one in (*known, *line)}) > MAX_SUCCESSIONS:
        raise _invalid("the log has had more keys than it can have")
    return tuple(line)


def _check_no_rivals(named: Sequence[LoggedSuccession]) -> None:
    """Of these successions of one key all can be honest."""
    for place, one in enumerate(named):
        for other in named[:place]:
            if are_rivals(one.succession, other.succession):
                raise RivalSuccessors(
                    "one key of the log has signed two successions",
                    old_note=other.succession.note,
                    new_note=one.succession.note,
                    proven=True,
                    hint="Keep both as evidence and trust this log no longer.",
                )


def _check_beyond(before: Succession | None, after: Succession) -> None:
    if before is not None and before.origin == after.origin and after.size <= before.size:
        raise _invalid("the successions are not in the order of the log")


def are_rivals(one: Succession, other: Succession) -> bool:
    """Whether these two cannot both be honest: one key, and two keys or two places in one log."""
    if one.old != other.old:
        return False
    if one.new != other.new:
        return True
    return one.origin == other.origin and (one.size, one.root) != (other.size, other.root)


def _root_before(path: Sequence[bytes]) -> bytes:
    """The root of the tree before its last leaf came, from the proof of that leaf: all its
    siblings are on the left, and together they are the tree of before."""
    if not path:
        return EMPTY_ROOT
    root = path[0]
    for sibling in path[1:]:
        root = node_hash(sibling, root)
    return root


def _invalid(message: str) -> NoteInvalid:
    return NoteInvalid(message, code="log.succession")
