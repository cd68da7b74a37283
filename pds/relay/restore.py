"""A relay that came back from a backup (§7, "After a restore").

It may have released, counted and ended what its database no longer knows. So it begins a new log,
which nobody can take for the old one, hands out no challenge of before, releases nothing until the
owner of each package, who knows more, has staged it again, and shows no status list and no
identity until its owner has published it again.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path

from did.json import JsonObject, canonicalize
from did.keys import SigningKey, VerifyKey
from pds.db import Sql
from pds.log.entry import Receipt
from pds.log.succession import LoggedSuccession, follow, read_successions
from pds.relay.folder import LOG_KEY, act_on_relay, begin_log, log_key, read_key, stopped
from pds.relay.store import identities, log, marks
from pds.relay.store import packages as table
from pds.relay.store.log import NewEntry


def mark_restored(
    data: Path, *, database: str | None = None, keys: JsonObject | None = None
) -> str:
    """Mark the data folder as restored; the new log origin. The relay must not be running: the
    folder's lock is held.

    The log key stays. Where it has changed since the backup, the new one must lie in the folder,
    and ``keys`` be what ``GET /v1/log/keys`` showed: nobody who followed the change would believe
    the old one. Raises ``RelayError`` (``relay.no_data``, ``relay.moved``, ``relay.log_key``),
    ``LogError`` for ``keys`` that do not hold, ``ServeError`` (``serve.data_in_use``) and
    ``DbError``.
    """
    with stopped(data, database) as store, act_on_relay(store) as (conn, url):
        if keys is not None:
            _take_keys(conn, read_key(data / LOG_KEY), read_successions(keys))
        begin_log(conn, url=url, key=log_key(data, conn))
        log.set_fact(conn, "challenge-key", secrets.token_bytes(32))
        marks.begin_anew(conn)
        table.suspend_all(conn)
        identities.suspend_all(conn)
        return log.current(conn).origin


def _take_keys(conn: Sql, key: SigningKey, shown: Sequence[LoggedSuccession]) -> None:
    """Take up changes of the key that the backup does not know, if they lead to ``key``."""
    line = follow(VerifyKey.from_bytes(log.fact(conn, "log-key") or b""), shown)
    if line and line[-1].succession.new == key.verify_key:
        for one in line:
            receipt = Receipt.parse(one.receipt)
            entry = NewEntry(receipt.entry, receipt.salt, receipt.leaf)
            log.add_entries(conn, [entry])
            entry.receipt = canonicalize(one.receipt)
            log.keep_receipts(conn, [entry])
            log.add_succession(conn, entry.number)
        log.set_fact(conn, "log-key", key.verify_key.bytes)
