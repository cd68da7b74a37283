"""The one writer that threads take in turn, and the views that readers get."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from pds.db import DbBusy, DbError, Sql
from pds.relay.store.engines import Engine
from pds.relay.store.log import NewEntry

_LOCK_SECONDS = 10.0
_MOST_ACTS = 32

Seal = Callable[[Sql, list[NewEntry]], None]


class _Batch:
    """Acts that share one commit: each a savepoint of its own, all durable together or none.

    ``entries`` are what they added to the log, in order.
    """

    __slots__ = ("acts", "begun", "done", "entries", "error")

    def __init__(self) -> None:
        self.acts = 0
        self.begun = False
        self.done = False
        self.entries: list[NewEntry] = []
        self.error: BaseException | None = None


class Store:
    """The database of one relay, on either engine.

    Acts run one after the other, each whole or not at all. An act that ends while others wait
    lets them in before the commit, because the disk takes as long for one as for several; it
    returns when the commit is durable. Threads queue here; processes at the engine.

    ``seal`` is called before each commit with the entries that the batch adds to the log: the
    tree grows and is signed once for all of them.
    """

    def __init__(self, engine: Engine, *, seal: Seal | None = None) -> None:
        self.engine = engine
        self.seal = seal
        self._state = threading.Condition()
        self._running = False
        self._waiting = 0
        self._batch: _Batch | None = None

    @contextmanager
    def write(self) -> Iterator[Sql]:
        """One act: committed, durably, when the block is left; an error undoes it and nothing else.

        Raises ``DbBusy`` when its turn does not come in time, and ``DbError`` when the commit
        failed: then nothing happened (or, when the server went away in the middle of it, perhaps
        all of it: every call of the protocol can be repeated).
        """
        batch = self._enter()
        so_far = len(batch.entries)
        try:
            with self.engine.translate():
                conn = self._begun(batch)
                conn.execute("SAVEPOINT act")
                yield conn
                conn.execute("RELEASE SAVEPOINT act")
        except BaseException:
            del batch.entries[so_far:]
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

    def _begun(self, batch: _Batch) -> Sql:
        """The connection, within the transaction of the batch."""
        if not batch.begun:
            self._conn = self.engine.begin()
            batch.begun = True
        self._still_there()
        return self._conn

    def _still_there(self) -> None:
        """A broken disk or a server that went away takes the acts of before with it."""
        if not self.engine.in_transaction:
            raise self.engine.gone()

    @property
    def entries(self) -> list[NewEntry]:
        """What the batch of the running act adds to the log; only within ``write``."""
        batch = self._batch
        return [] if batch is None else batch.entries

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
            with self.engine.translate():
                self._still_there()
                self._conn.execute("ROLLBACK TO SAVEPOINT act")
                self._conn.execute("RELEASE SAVEPOINT act")
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
            with self.engine.translate():
                self._still_there()
                if self.seal is not None and batch.entries:
                    self.seal(self._conn, batch.entries)
                self.engine.commit()
        except BaseException as error:
            self._finish(batch, error)
            raise
        self._finish(batch, None)

    def _finish(self, batch: _Batch, error: BaseException | None) -> None:
        """The batch is over; after an error nothing of it may stay for the next one."""
        if error is not None:
            with suppress(Exception):
                self.engine.rollback()
        with self._state:
            batch.done, batch.error = True, error
            self._batch = None
            self._running = False
            self._state.notify_all()

    def read(self) -> AbstractContextManager[Sql]:
        """One consistent view of what is committed. Never waits for the writer."""
        return self.engine.read()

    def close(self) -> None:
        """Close every connection; the store is not used afterwards."""
        with self._state:
            self.engine.close()


def _lost(error: BaseException) -> DbError:
    """The failure of a commit, for those who were in it."""
    code = error.code if isinstance(error, DbError) else "db.io"
    return DbError("The disk failed; nothing was written.", code=code)
