"""A relay that came back from a backup (§7, "After a restore").

It may have released, counted and ended what its database no longer knows. So it begins a new log,
which nobody can take for the old one, hands out no challenge of before, releases nothing until the
owner of each package, who knows more, has staged it again, and shows no status list and no
identity until its owner has published it again.
"""

import secrets
from pathlib import Path

from pds.relay.errors import RelayError
from pds.relay.folder import DATABASE, begin_log, check_not_moved, log_key
from pds.relay.store import Store, identities, log, marks
from pds.relay.store import packages as table
from pds.relay.store.engines import open_engine


def mark_restored(data: Path, *, database: str | None = None) -> str:
    """Mark the data folder as restored; the new log origin. The relay must not be running.

    The log key stays. Raises ``RelayError`` (``relay.no_data``, ``relay.moved``,
    ``relay.log_key``) and ``DbError``.
    """
    if database is None and not (data / DATABASE).exists():
        raise RelayError(
            "There is no relay in this folder.",
            code="relay.no_data",
            hint="Put relay.db and log-key back first.",
        )
    store = Store(open_engine(data / DATABASE, database))
    try:
        with store.write() as conn:
            url = log.fact(conn, "url")
            if url is None:
                raise RelayError("There is no relay in this folder.", code="relay.no_data")
            check_not_moved(conn)
            begin_log(conn, url=url.decode(), key=log_key(data, conn))
            log.set_fact(conn, "challenge-key", secrets.token_bytes(32))
            marks.begin_anew(conn)
            table.suspend_all(conn)
            identities.suspend_all(conn)
            return log.current(conn).origin
    finally:
        store.close()
