"""A holder's relay shows another log key: whether to follow it."""

from collections.abc import Callable
from typing import TypeVar

from credentials.errors import CredentialError
from did.errors import DidError
from pds.company.context import Context
from pds.company.logkeys import followed, line_of, note_misbehaviour, pinned_by, remember
from pds.company.onehistory import fits
from pds.company.store.rows import RequestRow
from pds.errors import PdsError
from pds.log.checkpoint import open_checkpoint
from pds.log.errors import LogMisbehaved
from pds.log.keys import LogKeys, Succession
from pds.log.succession import LoggedSuccession, follow, read_successions
from pds.mailbox import RelayError, RelayUnreachable

_T = TypeVar("_T")


def with_newest(ctx: Context, request: RequestRow, code: str, act: Callable[[], _T]) -> _T:
    """Do what verifies something of the relay; where it fails with ``code``, as under a key of
    before, look for a newer key and do it once more."""
    try:
        return act()
    except (PdsError, DidError, CredentialError) as error:
        if error.code != code or not learn(ctx, request):
            raise
    return act()


def learn(ctx: Context, request: RequestRow) -> bool:
    """Ask the relay whether its key has changed, and follow it; whether there was a change:

    1. a line of successions leads on from the newest key that is believed
    2. it contradicts none that was followed before
    3. no key has signed, of what was seen, a tree beyond the size at which it was given up
    4. what the new key signed first continues what was seen

    What convicts is noted as a problem of the relay. Raises the relay's errors where asking again
    may help.
    """
    relay = pinned_by(request)[1]
    known = followed(ctx, relay)
    try:
        shown = read_successions(ctx.client(relay).successions())
        line = follow(line_of(ctx, request)[-1], shown, known=known)  # 1, 2
        changes = [one.succession for one in (*known, *line)]
        for origin in {change.origin for change in changes}:
            _check_seen(ctx, origin, changes)  # 3
        if not all(_continues(ctx, request, one, changes) for one in line):  # 4
            return False
    except LogMisbehaved as error:
        note_misbehaviour(ctx, request, error, subject=relay)
        return False
    except (PdsError, DidError) as error:
        if isinstance(error, RelayUnreachable) or (
            isinstance(error, RelayError) and error.exit_code == 4
        ):
            raise
        return False
    with ctx.transaction():
        remember(ctx, relay, line)
        for one in line:
            change = one.succession
            ctx.event("relay key", relay, {"size": change.size, "key": change.new.multikey})
    return bool(line)


def _check_seen(ctx: Context, origin: str, changes: list[Succession]) -> None:
    keys = LogKeys.named(origin, changes)
    if keys is None:
        return
    for key in keys.all:
        note = ctx.store.checkpoint(key.multikey, origin)
        if note is not None:
            open_checkpoint(note, origin=origin, key=keys)


def _continues(
    ctx: Context, request: RequestRow, one: LoggedSuccession, changes: list[Succession]
) -> bool:
    """The log that the relay writes now can be compared; of one that it has ended nobody asks."""
    change = one.succession
    if change.origin != request.log_origin:
        return True
    keys = LogKeys.of(change.origin, change.new, changes)
    relay = pinned_by(request)[1]
    return fits(ctx, request, one.checkpoint, keys=keys, origin=change.origin, subject=relay)
