"""The keys of holders' relays: each is named by a holder's decision, and another follows it only by
a line of successions that leads there (docs/protocol.md §6, "Another log key")."""

from collections.abc import Callable
from typing import Final, TypeVar

from did.errors import DidError
from did.json import parse_object
from did.keys import VerifyKey
from pds.company.context import Context, damaged
from pds.company.store.base import to_text
from pds.company.store.rows import RequestRow
from pds.errors import PdsError
from pds.log.checkpoint import open_checkpoint
from pds.log.errors import LogMisbehaved
from pds.log.evidence import evidence_of
from pds.log.keys import LogKeys
from pds.log.succession import LoggedSuccession, as_document, follow, read_successions
from pds.mailbox import RelayError, RelayUnreachable

_SETTING: Final = "log_successions:"
_T = TypeVar("_T")


def followed(ctx: Context, relay: str) -> tuple[LoggedSuccession, ...]:
    """The changes of a relay's log key that were followed, oldest first."""
    kept = ctx.store.setting(_SETTING + relay)
    return () if kept is None else read_successions(parse_object(kept.encode()))


def line_of(ctx: Context, request: RequestRow) -> tuple[VerifyKey, ...]:
    """The key that the holder's decision named, and those that followed it, oldest first."""
    pinned, relay = _pinned(request)
    known = followed(ctx, relay)
    return (pinned, *(one.succession.new for one in follow(pinned, known)))


def keys_of(ctx: Context, request: RequestRow, origin: str) -> LogKeys:
    """Who signs the log ``origin`` of this request's relay, and who signed it before.

    A log that was seen and ended before a change is that of the key of its time; any other that no
    succession names is the newest key's: an older one must not begin a log.
    """
    changes = [one.succession for one in followed(ctx, _pinned(request)[1])]
    line = line_of(ctx, request)
    named = [change.new for change in changes if change.origin == origin]
    seen = [key for key in line if ctx.store.checkpoint(key.multikey, origin) is not None]
    newest = (named or seen or [*line])[-1]
    return LogKeys.of(origin, newest, changes)


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


def learn(ctx: Context, request: RequestRow) -> tuple[LoggedSuccession, ...]:
    """Ask the relay whether its key has changed, and follow it:

    1. a line of successions leads on from the newest key that is believed
    2. it contradicts none that was followed before
    3. no key has signed, of what was seen, a tree beyond the size at which it was given up

    The changes that are new; none when the relay has none that hold. What convicts is noted as a
    problem of the relay. Raises the relay's errors where asking again may help.
    """
    _, relay = _pinned(request)
    known = followed(ctx, relay)
    try:
        shown = read_successions(ctx.client(relay).successions())
        line = follow(line_of(ctx, request)[-1], shown, known=known)  # 1, 2
        changes = [one.succession for one in (*known, *line)]
        for origin, newest in {one.origin: one.new for one in changes}.items():  # 3
            keys = LogKeys.of(origin, newest, changes)
            for key in keys.all:
                note = ctx.store.checkpoint(key.multikey, origin)
                if note is not None:
                    open_checkpoint(note, origin=origin, key=keys)
    except LogMisbehaved as error:
        note_misbehaviour(ctx, request, error, subject=relay)
        return ()
    except (PdsError, DidError) as error:
        if isinstance(error, RelayUnreachable) or (
            isinstance(error, RelayError) and error.exit_code == 4
        ):
            raise
        return ()
    if line:
        with ctx.transaction():
            document = as_document([*known, *line])
            ctx.store.set_setting(_SETTING + relay, to_text(document))
            for one in line:
                change = one.succession
                ctx.event("relay key", relay, {"size": change.size, "key": change.new.multikey})
    return line


def with_newest(ctx: Context, request: RequestRow, code: str, act: Callable[[], _T]) -> _T:
    """Do what verifies something of the relay; where it fails with ``code``, as under a key of
    before, look for a newer key and do it once more."""
    try:
        return act()
    except (PdsError, DidError) as error:
        if error.code != code or not learn(ctx, request):
            raise
    return act()


def note_misbehaviour(
    ctx: Context, request: RequestRow, error: LogMisbehaved, *, subject: str
) -> None:
    """Keep what convicts a log as a problem."""
    origin = error.new_note.partition("\n")[0]
    keys = LogKeys(line_of(ctx, request)[-1])
    with ctx.transaction():
        ctx.problem(error.code, subject, evidence_of(error, origin=origin, key=keys).to_json())


def _pinned(request: RequestRow) -> tuple[VerifyKey, str]:
    if request.log_key is None or request.relay is None:
        raise damaged()
    return VerifyKey.from_multikey(request.log_key), request.relay
