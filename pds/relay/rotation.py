"""Another key for the log, under the same address (docs/protocol.md §6, "Another log key")."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from did.json import parse_object
from did.time import utc_now
from pds.db import Sql
from pds.log.checkpoint import open_checkpoint
from pds.log.keys import MAX_SUCCESSIONS, Succession
from pds.log.succession import ENTRY_TYPE, open_succession, sign_succession, verify_succession
from pds.relay import ledger
from pds.relay.errors import RelayError
from pds.relay.folder import NEXT_KEY, act_on_relay, log_key, next_key, stopped, take_next_key
from pds.relay.ledger import Sealer
from pds.relay.store import Store, log


def rotate_log_key(
    data: Path, *, database: str | None = None, clock: Callable[[], datetime] = utc_now
) -> Succession:
    """Give the log of the relay in ``data`` a new key; what both keys have signed.

    1. the new key is on the disk, beside the old one
    2. in one transaction: the statement is the next leaf, in a tree that the new key has signed,
       and the database names the new key
    3. the new key takes the place of the old one, which is gone

    Stopped before the commit, nothing has changed; after it, whoever opens the folder next carries
    out step 3, and this command, called again, does no more than that. The relay must not be
    running: the folder's lock is held. A process that has another folder and the old key refuses
    to sign from the commit on (``ledger.check_key``).

    Raises ``RelayError`` (``relay.no_data``, ``relay.moved``, ``relay.log_key``, and
    ``relay.settings`` after a hundred changes), ``ServeError`` (``serve.data_in_use``) and
    ``DbError``.
    """
    with stopped(data, database) as store:
        with act_on_relay(store) as (conn, url):
            note = _finished(data, conn) or _succeed(data, store, conn, url, clock())
        take_next_key(data)
    return open_succession(note)


def _finished(data: Path, conn: Sql) -> str | None:
    """The statement of a change that only had to be finished."""
    interrupted = (data / NEXT_KEY).exists()
    log_key(data, conn)
    if not interrupted or (data / NEXT_KEY).exists():
        return None
    last = ledger.successions(conn)[-1]
    return verify_succession(parse_object(last)).succession.note


def _succeed(data: Path, store: Store, conn: Sql, url: str, now: datetime) -> str:
    if len(log.successions(conn)) >= MAX_SUCCESSIONS:
        raise RelayError(
            "The log has had as many keys as it can have.",
            code="relay.settings",
            hint="Nobody would follow another one.",
        )
    old, new = log_key(data, conn), next_key(data)
    current = log.current(conn)
    last = open_checkpoint(current.checkpoint, origin=current.origin, key=old.verify_key)
    note = sign_succession(last, old=old, new=new, at=now)
    entry = ledger.new_entry(relay=url, at=now, entry={"type": ENTRY_TYPE, "succession": note})
    log.add_entries(conn, [entry])
    store.entries.append(entry)
    log.add_succession(conn, entry.number)
    log.set_fact(conn, "log-key", new.verify_key.bytes)
    store.seal = Sealer(new)
    return note
