"""The one writer that threads share, and the views that readers get."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TypeVar

from pds.db import DbBusy, DbError, Sql
from pds.relay.store.engines import Engine
from pds.relay.store.log import NewEntry

_LOCK_SECONDS = 10.0
_MOST_ACTS = 32

_T = TypeVar("_T")
Seal = Callable[[Sql, list[NewEntry]], None]


class _Act:
    """What a thread wants to have written, and what became of it.

    The thread sleeps until it is woken: to lead (``leads``), because the act is over, or because
    its own block is to be run now.
    """

    __slots__ = ("_asleep", "error", "leads", "work")

    def __init__(self, work: Callable[[Sql], None]) -> None:
        self.work = work
        self.leads = False
        self.error: BaseException | None = None
        # A lock for each of them: whoever is woken is the one who can go on, and nobody else is.
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def sleep(self, seconds: float = -1) -> bool:
        """Until woken, or for so many seconds; whether it was woken."""
        return self._asleep.acquire(timeout=seconds)

    def wake(self) -> None:
        self._asleep.release()


class Store:
    """The database of one relay, on either engine.

    Acts run one after the other, each whole or not at all. A thread that finds the writer free
    leads: it carries out its own act and those of all who have come meanwhile, each in a savepoint
    of its own, and commits them together. The disk takes as long for one as for several, and
    changing threads would take longer than most acts. Whoever waits returns when the commit is
    durable. Threads queue here; processes at the engine.

    ``seal`` is called before each commit with the entries that the batch adds to the log: the
    tree grows and is signed once for all of them.
    """

    def __init__(self, engine: Engine, *, seal: Seal | None = None) -> None:
        self.engine = engine
        self.seal = seal
        self.entries: list[NewEntry] = []
        """What the batch of the running act adds to the log; only within an act."""
        self._lock = threading.Lock()
        self._led = False
        self._begun = False
        self._waiting: deque[_Act] = deque()

    def act(self, work: Callable[[Sql], _T]) -> _T:
        """Have one act carried out, perhaps by another thread; its result, once it is durable.

        An error undoes it and nothing else, and is raised here. Raises ``DbBusy`` when its turn
        does not come in time, and ``DbError`` when the commit failed: then nothing happened (or,
        when the server went away in the middle of it, perhaps all of it: every call of the
        protocol can be repeated).
        """
        results: list[_T] = []
        act = _Act(lambda conn: results.append(work(conn)))
        if self._join(act):
            with self._leading(act), self._undone_if_it_fails(act) as conn:
                act.work(conn)
        if act.error is not None:
            raise act.error
        return results[0]

    @contextmanager
    def write(self) -> Iterator[Sql]:
        """``act`` for a block, which runs in its own thread: whoever leads waits for its end."""
        turn: list[Sql] = []
        over = threading.Event()

        def hand_over(conn: Sql) -> None:
            turn.append(conn)
            act.wake()
            over.wait()
            if act.error is not None:
                raise act.error

        act = _Act(hand_over)
        if self._join(act):
            with self._leading(act), self._undone_if_it_fails(act) as conn:
                yield conn
        elif turn:
            try:
                with self.engine.translate():
                    yield turn[0]
            except BaseException as error:  # noqa: BLE001  raised below, when it is undone
                act.error = error
            over.set()
            act.sleep()
        if act.error is not None:
            raise act.error

    def _join(self, act: _Act) -> bool:
        """Wait for one's turn; whether it is to lead."""
        with self._lock:
            if not self._led:
                self._led = act.leads = True
                return True
            self._waiting.append(act)
        if not act.sleep(_LOCK_SECONDS):
            with self._lock:
                if act in self._waiting:
                    self._waiting.remove(act)
                    raise DbBusy("Another write is taking too long.")
            # It is being carried out just now.
            act.sleep()
        return act.leads

    @contextmanager
    def _leading(self, first: _Act) -> Iterator[None]:
        """A batch: the block carries out ``first``. Errors are those of the acts, not raised."""
        batch = [first]
        self.entries = []
        self._begun = False
        try:
            yield
            while (act := self._next(len(batch))) is not None:
                batch.append(act)
                with self._undone_if_it_fails(act) as conn:
                    act.work(conn)
            self._commit()
        except BaseException as error:  # noqa: BLE001  whatever it is, nothing half done may stay
            with suppress(Exception):
                self.engine.rollback()
            for act in batch:
                act.error = act.error or (error if act is first else _lost(error))
        finally:
            self._hand_on(batch[1:])

    def _next(self, acts: int) -> _Act | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting and acts < _MOST_ACTS else None

    @contextmanager
    def _undone_if_it_fails(self, act: _Act) -> Iterator[Sql]:
        """One act. Where it cannot be taken back, as on a broken disk, all of the batch is lost."""
        so_far = len(self.entries)
        try:
            with self.engine.translate():
                if not self._begun:
                    self._conn = self.engine.begin()
                    self._begun = True
                self._still_there()
                self._conn.execute("SAVEPOINT act")
                yield self._conn
                self._conn.execute("RELEASE SAVEPOINT act")
        except BaseException as error:  # noqa: BLE001  raised by the thread whose act it is
            act.error = error
            del self.entries[so_far:]
            with self.engine.translate():
                self._still_there()
                self._conn.execute("ROLLBACK TO SAVEPOINT act")
                self._conn.execute("RELEASE SAVEPOINT act")

    def _still_there(self) -> None:
        """A broken disk or a server that went away takes the acts of before with it."""
        if not self.engine.in_transaction:
            raise DbError("The transaction is gone; nothing was written.", code="db.io")

    def _commit(self) -> None:
        with self.engine.translate():
            self._still_there()
            if self.seal is not None and self.entries:
                self.seal(self._conn, self.entries)
            self.engine.commit()

    def _hand_on(self, led: list[_Act]) -> None:
        """The batch is over: the next one may lead, and all who were in it are told."""
        with self._lock:
            successor = self._waiting.popleft() if self._waiting else None
            self._led = successor is not None
        if successor is not None:
            successor.leads = True
            successor.wake()
        for act in led:
            act.wake()

    def read(self) -> AbstractContextManager[Sql]:
        """One consistent view of what is committed. Never waits for the writer."""
        return self.engine.read()

    def close(self) -> None:
        """Close every connection; the store is not used afterwards."""
        with self._lock:
            self.engine.close()


def _lost(error: BaseException) -> DbError:
    """The failure of a commit, for those who were in it."""
    code = error.code if isinstance(error, DbError) else "db.io"
    return DbError("The disk failed; nothing was written.", code=code)
