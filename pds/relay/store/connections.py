"""Connections to ``relay.db``: one writer that threads take in turn, one reader for each thread."""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pds.db import Connection, DbBusy, DbError, migrate, open_plain, transaction, translate
from pds.relay.store.schema import APPLICATION_ID, MIGRATIONS

_LOCK_SECONDS = 10.0
_MOST_ACTS = 32


class _Batch:
    """Acts that share one commit: each a savepoint of its own, all durable together or none."""

    __slots__ = ("acts", "done", "error")

    def __init__(self) -> None:
        self.acts = 0
        self.done = False
        self.error: BaseException | None = None


class Store:
    """The database of one relay.

    Acts run one after the other, each whole or not at all. An act that ends while others wait
    lets them in before the commit, because the disk takes as long for one as for several; it
    returns when the commit is durable (WAL, synchronous FULL). Threads queue here and not at
    SQLite, which would let them sleep and try again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = threading.Condition()
        self._running = False
        self._waiting = 0
        self._batch: _Batch | None = None
        self._local = threading.local()
        self._readers_lock = threading.Lock()
        self._readers: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._writer = open_plain(path)
        migrate(self._writer, MIGRATIONS, application_id=APPLICATION_ID)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One act: committed, durably, when the block is left; an error undoes it and nothing else.

        Raises ``DbBusy`` when its turn does not come in time, and ``DbError`` when the commit
        failed: then nothing happened.
        """
        batch = self._enter()
        try:
            with translate():
                if not self._writer.in_transaction:
                    self._writer.execute("BEGIN IMMEDIATE")
                self._writer.execute("SAVEPOINT act")
                yield self._writer
                self._writer.execute("RELEASE act")
        except BaseException:
            self._undo(batch)
            # The transaction may hold the acts of others, and somebody has to end it.
            with suppress(Exception):
                self._commit(batch)
            raise
        self._leave(batch)
        self._commit(batch)

    def _enter(self) -> _Batch:
        with self._state:
            self._waiting += 1
            try:
                if not self._state.wait_for(self._is_free, timeout=_LOCK_SECONDS):
                    raise DbBusy("Another write is taking too long.")
            finally:
                self._waiting -= 1
                self._state.notify_all()
            self._running = True
            if self._batch is None:
                self._batch = _Batch()
            return self._batch

    def _is_free(self) -> bool:
        full = self._batch is not None and self._batch.acts >= _MOST_ACTS
        return not self._running and not full

    def _leave(self, batch: _Batch) -> None:
        with self._state:
            batch.acts += 1
            self._running = False
            self._state.notify_all()

    def _undo(self, batch: _Batch) -> None:
        """Take back one act. Where that fails, as on a broken disk, all of the batch is lost."""
        try:
            self._writer.execute("ROLLBACK TO act")
            self._writer.execute("RELEASE act")
        except Exception as error:  # noqa: BLE001  whatever it is, nothing half done may stay
            self._finish(batch, error)
        else:
            self._leave(batch)

    def _commit(self, batch: _Batch) -> None:
        """Wait until the batch is durable; whoever finds nobody waiting to join commits it."""
        with self._state:
            while not batch.done:
                if not self._running and (self._waiting == 0 or batch.acts >= _MOST_ACTS):
                    self._running = True
                    break
                self._state.wait()
            else:
                if batch.error is not None:
                    raise _lost(batch.error) from batch.error
                return
        try:
            with translate():
                if self._writer.in_transaction:
                    self._writer.execute("COMMIT")
        except BaseException as error:
            self._finish(batch, error)
            raise
        self._finish(batch, None)

    def _finish(self, batch: _Batch, error: BaseException | None) -> None:
        """The batch is over; after an error nothing of it may stay for the next one."""
        if error is not None:
            with suppress(Exception):
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
        with self._state:
            batch.done, batch.error = True, error
            self._batch = None
            self._running = False
            self._state.notify_all()

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
        with self._state, self._readers_lock:
            for conn in (*self._readers, self._writer):
                conn.close()


def _lost(error: BaseException) -> DbError:
    """The failure of a commit, for those who were in it."""
    code = error.code if isinstance(error, DbError) else "db.io"
    return DbError("The disk failed; nothing was written.", code=code)
