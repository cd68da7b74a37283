"""The keys of holders' relays: each is named by a holder's decision, and another follows it only by
a line of successions that leads there (docs/protocol.md §6, "Another log key")."""

from collections.abc import Sequence
from typing import Final

from did.json import parse_object
from did.keys import VerifyKey
from pds.company.context import Context, damaged
from pds.company.store.base import to_text
from pds.company.store.rows import RequestRow
from pds.log.errors import LogMisbehaved
from pds.log.evidence import evidence_of
from pds.log.keys import LogKeys
from pds.log.succession import LoggedSuccession, as_document, follow, read_successions

_SETTING: Final = "log_successions:"


def followed(ctx: Context, relay: str) -> tuple[LoggedSuccession, ...]:
    """The changes of a relay's log key that were followed, oldest first."""
    kept = ctx.store.setting(_SETTING + relay)
    return () if kept is None else read_successions(parse_object(kept.encode()))


def line_of(ctx: Context, request: RequestRow) -> tuple[VerifyKey, ...]:
    """The key that the holder's decision named, and those that followed it, oldest first."""
    pinned, relay = pinned_by(request)
    known = followed(ctx, relay)
    return (pinned, *(one.succession.new for one in follow(pinned, known)))


def keys_of(ctx: Context, request: RequestRow, origin: str) -> LogKeys:
    """Who signs the log ``origin`` of this request's relay, and who signed it before.

    A log that was seen and ended before a change is that of the key of its time; any other that no
    succession names is the newest key's: an older one must not begin a log.
    """
    changes = [one.succession for one in followed(ctx, pinned_by(request)[1])]
    named = LogKeys.named(origin, changes)
    if named is not None:
        return named
    line = line_of(ctx, request)
    seen = [key for key in line if ctx.store.checkpoint(key.multikey, origin) is not None]
    return LogKeys((seen or line)[-1])


def seen_checkpoint(ctx: Context, keys: LogKeys, origin: str) -> str | None:
    """The newest checkpoint that was seen of a log, under whichever of its keys."""
    for key in reversed(keys.all):
        note = ctx.store.checkpoint(key.multikey, origin)
        if note is not None:
            return note
    return None


def known_origins(ctx: Context, request: RequestRow) -> set[str]:
    """The logs of this request's relay that were seen."""
    found = {request.log_origin} if request.log_origin is not None else set()
    for key in line_of(ctx, request):
        found.update(ctx.store.log_origins(key.multikey))
    return found


def remember(ctx: Context, relay: str, line: Sequence[LoggedSuccession]) -> None:
    """Follow these from now on, in the caller's transaction."""
    known = {one.succession.old: one for one in (*followed(ctx, relay), *line)}
    document = as_document([*known.values()])
    ctx.store.set_setting(_SETTING + relay, to_text(document))


def note_misbehaviour(
    ctx: Context, request: RequestRow, error: LogMisbehaved, *, subject: str
) -> None:
    """Keep what convicts a log as a problem."""
    origin = error.new_note.partition("\n")[0]
    keys = LogKeys(line_of(ctx, request)[-1])
    with ctx.transaction():
        ctx.problem(error.code, subject, evidence_of(error, origin=origin, key=keys).to_json())


def pinned_by(request: RequestRow) -> tuple[VerifyKey, str]:
    """The key that the holder's decision named, and the relay whose it is."""
    if request.log_key is None or request.relay is None:
        raise damaged()
    return VerifyKey.from_multikey(request.log_key), request.relay
