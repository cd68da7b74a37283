"""The keys of the home relay's log: one is pinned, and another is believed only if it was named.

What leads from the pinned key to the one that the relay shows is a line of successions, each signed
by both of its keys and held by the log (docs/protocol.md §6, "Another log key").
"""

from collections.abc import Sequence
from typing import Final

from did.errors import DidError
from did.json import JsonObject, canonicalize, parse_object
from did.keys import VerifyKey
from pds.errors import PdsError
from pds.log.checkpoint import open_checkpoint
from pds.log.errors import LogMisbehaved, NoteInvalid
from pds.log.evidence import evidence_of
from pds.log.keys import KeyOfLog, LogKeys, Succession
from pds.log.monitor import Monitor
from pds.log.succession import LoggedSuccession, as_document, follow, read_successions
from pds.mailbox import RelayClient, RelayError, RelayUnreachable
from pds.vault.store.exchange import ExchangeStore

_SETTING: Final = "log_successions"


class Unexplained(Exception):
    """Nothing that holds leads to the key shown. ``evidence`` is what the relay showed instead."""

    def __init__(self, evidence: JsonObject) -> None:
        super().__init__()
        self.evidence = evidence


def followed(exchange: ExchangeStore) -> tuple[LoggedSuccession, ...]:
    """The changes of the key that this vault has followed, oldest first."""
    kept = exchange.setting(_SETTING)
    return () if kept is None else read_successions(parse_object(kept.encode()))


def keys_of(exchange: ExchangeStore, origin: str, newest: VerifyKey) -> LogKeys:
    """Who signs the log ``origin``, and who signed it before."""
    return LogKeys.of(origin, newest, [one.succession for one in followed(exchange)])


def explain(
    exchange: ExchangeStore,
    client: RelayClient,
    *,
    origin: str,
    pinned: VerifyKey,
    shown: VerifyKey,
) -> tuple[LoggedSuccession, ...]:
    """The line of successions from the pinned key to the one that the relay shows:

    1. it leads there, and contradicts nothing that was followed before
    2. no key signed what this vault has seen beyond the size at which it was given up
    3. what each new key signed first continues what this vault has seen, in ``origin``, the log
       that the relay shows; of a log of before it has no proofs

    Raises ``Unexplained``; and the relay's errors where asking again may help.
    """
    known = followed(exchange)
    keys: KeyOfLog = pinned
    try:
        line = follow(pinned, read_successions(client.successions()), known=known)  # 1
        if not line or line[-1].succession.new != shown:
            raise NoteInvalid("no succession leads to the key shown", code="log.succession")
        changes = [one.succession for one in (*known, *line)]
        _check_seen(exchange, changes)  # 2
        seen = exchange.seen_checkpoint(origin)
        if seen is not None:  # 3
            keys = LogKeys.named(origin, changes) or shown
            take_changes(Monitor(origin=origin, key=keys, note=seen), client, origin, line)
    except LogMisbehaved as error:
        evidence = evidence_of(error, origin=error.new_note.partition("\n")[0], key=keys)
        raise Unexplained(evidence.to_json()) from error
    except (PdsError, DidError) as error:
        if isinstance(error, RelayUnreachable) or (
            isinstance(error, RelayError) and error.exit_code == 4
        ):
            raise
        raise Unexplained(
            {"pinned": pinned.multikey, "shown": shown.multikey, "reason": error.code}
        ) from error
    return line


def take_changes(
    monitor: Monitor, client: RelayClient, origin: str, line: Sequence[LoggedSuccession]
) -> None:
    """Have the monitor of the log ``origin`` take what each new key signed first, where it has not
    come that far: from then on nothing by an old key is taken that this does not continue.

    Raises ``LogMisbehaved`` and the relay's errors.
    """
    for one in line:
        so_far = 0 if monitor.state is None else monitor.state.size
        if one.succession.origin == origin and so_far <= one.succession.size:
            monitor.take(one.checkpoint, client.consistency)


def keep(exchange: ExchangeStore, line: Sequence[LoggedSuccession]) -> None:
    """Remember these, in the caller's transaction."""
    document = as_document([*followed(exchange), *line])
    exchange.set_setting(_SETTING, canonicalize(document).decode())


def _check_seen(exchange: ExchangeStore, changes: Sequence[Succession]) -> None:
    for origin in {change.origin for change in changes}:
        seen, keys = exchange.seen_checkpoint(origin), LogKeys.named(origin, changes)
        if seen is not None and keys is not None:
            open_checkpoint(seen, origin=origin, key=keys)
