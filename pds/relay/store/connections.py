"""Connections to ``relay.db``: one writer behind a lock, one reader for each thread."""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pds.db import Connection, DbBusy, migrate, open_plain, transaction
from pds.relay.store.schema import APPLICATION_ID, MIGRATIONS

_LOCK_SECONDS = 10.0


class Store:
    """The database of one relay.

    SQLite has one writer at a time. Threads that want to write queue at our lock, which wakes the
    next at once; SQLite itself would let them sleep and try again. A commit is durable (WAL,
    synchronous FULL), and nothing is answered before it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._local = threading.local()
        self._readers_lock = threading.Lock()
        self._readers: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._writer = open_plain(path)
        migrate(self._writer, MIGRATIONS, application_id=APPLICATION_ID)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One durable transaction, alone. Raises ``DbBusy`` when the lock is not free in time."""
        if not self._lock.acquire(timeout=_LOCK_SECONDS):
            raise DbBusy("Another write is taking too long.")
        try:
            with transaction(self._writer) as conn:
                yield conn
        finally:
            self._lock.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of what is committed. Never waits for the writer."""
        conn: Connection | None = getattr(self._local, "conn", None)
        if conn is None:
            conn = open_plain(self._path, read_only=True)
            self._local.conn = conn
            with self._readers_lock:
                self._readers.add(conn)
        with transaction(conn, immediate=False):
            yield conn

    def close(self) -> None:
        """Close every connection; the store is not used afterwards."""
        with self._lock, self._readers_lock:
            for conn in (*self._readers, self._writer):
                conn.close()
