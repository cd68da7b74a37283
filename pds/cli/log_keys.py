"""Under which keys ``pds log verify`` believes a log, and how it tells that they changed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pds.cli.log_source import LogSource
from pds.cli.output import local

if TYPE_CHECKING:
    from did.json import JsonObject
    from did.keys import VerifyKey
    from pds.log.keys import LogKeys, Succession
    from pds.log.succession import LoggedSuccession
    from pds.log.vkey import NoteKey


def keys_of(
    source: LogSource,
    origin: str,
    note: str,
    *,
    believed: "Sequence[NoteKey]",
    remembered: "Sequence[LoggedSuccession]",
) -> "tuple[LogKeys, tuple[LoggedSuccession, ...]]":
    """The keys of a log, and all successions that are shown or remembered:

    1. no key has two successors, whatever was remembered of it
    2. each key that is believed is the log's, or leads to it

    Raises RivalSuccessors; NoteInvalid ``log.other_key``, and what verifying successions raises.
    """
    from pds.log.errors import NoteInvalid
    from pds.log.keys import LogKeys
    from pds.log.succession import follow

    shown = source.successions()
    known = {one.succession.old: one for one in (*shown, *remembered)}
    changes = [one.succession for one in known.values()]
    newest = _newest(source, origin, note, believed, changes)
    keys = LogKeys.of(origin, newest, changes)
    follow(keys.all[0], shown, known=remembered)  # 1
    if any(one.name != origin for one in believed):
        raise NoteInvalid("the log is another than this key's", code="log.other_key")
    if any(one.key not in keys.all for one in believed):  # 2
        raise NoteInvalid("the relay shows another log key than before", code="log.other_key")
    return keys, tuple(known.values())


def _newest(
    source: LogSource,
    origin: str,
    note: str,
    believed: "Sequence[NoteKey]",
    changes: "Sequence[Succession]",
) -> "VerifyKey":
    """The key that signs the log now, or that signed it last."""
    from pds.log.note import UnverifiedNote, key_id

    if source.key is not None and source.current:
        return source.key
    key = believed[0].key if believed else source.known_key().key
    if not believed:
        # A log that was ended is that of a key of its time: the one that has signed it.
        signed = {line.key_id for line in UnverifiedNote.parse(note).signatures}
        candidates = [change.old for change in changes if key_id(origin, change.old) in signed]
        key = candidates[-1] if candidates else key
    following = {one.old: one.new for one in changes if one.origin == origin}
    for _ in changes:
        key = following.get(key, key)
    return key


def told(change: "Succession") -> "JsonObject":
    """A change of the key, for programs."""
    from did.time import format_time
    from pds.log.vkey import log_key

    return {
        "log": change.origin,
        "size": change.size,
        "at": format_time(change.at),
        "old": log_key(change.origin, change.old).text,
        "new": log_key(change.origin, change.new).text,
    }


def sentence(change: "JsonObject") -> str:
    """The same for people."""
    from did.time import parse_time

    return (
        f"{local(parse_time(str(change['at'])))}  Another key after {change['size']} leaves, which"
        f" both keys have signed. Before:\n  {change['old']}"
    )
