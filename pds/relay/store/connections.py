"""The one writer that threads share, and the views that readers get."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from pds.db import DbBusy, DbError, Sql
from pds.relay.store.engines import Engine
from pds.relay.store.log import NewEntry

_LOCK_SECONDS = 10.0
_MOST_ACTS = 32

Seal = Callable[[Sql, list[NewEntry]], None]


class _Act:
    """What a thread wants to have written, and what became of it.

    The thread sleeps until it is woken: to lead (``leads``), to run its block now (``conn`` is
    there), or because the act is over.
    """

    __slots__ = ("_asleep", "conn", "error", "leads", "ran")

    def __init__(self) -> None:
        self.leads = False
        self.conn: Sql | None = None
        self.error: BaseException | None = None
        self.ran = threading.Event()
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
    leads: after its own act those of all who have come meanwhile are run, each by its own thread
    and in a savepoint of its own, and it commits them together. The disk takes as long for one as
    for several. Whoever waits returns when the commit is durable. Threads queue here; processes
    at the engine.

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

    @contextmanager
    def write(self) -> Iterator[Sql]:
        """One act: the block. It is durable when the block has been left.

        Raises what the block raised, and then nothing of it happened; ``DbBusy`` when its turn
        does not come in time; and ``DbError`` when the commit failed: then nothing happened (or,
        when the server went away in the middle of it, perhaps all of it: every call of the
        protocol can be repeated).
        """
        act = _Act()
        if self._join(act):
            with self._leading(act), self._undone_if_it_fails(act) as conn:
                yield conn
        elif act.conn is not None:
            try:
                with self.engine.translate():
                    yield act.conn
            except BaseException as error:  # noqa: BLE001  raised below, when it is undone
                act.error = error
            act.ran.set()
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
        """A batch, in which the block carries out ``first``. Errors are not raised here: each is
        kept with the acts that it concerns."""
        batch = [first]
        self.entries = []
        self._begun = False
        try:
            yield
            while (act := self._next(len(batch))) is not None:
                batch.append(act)
                self._carry_out(act)
            self._commit()
        except BaseException as error:  # noqa: BLE001  whatever it is, nothing half done may stay
            with suppress(Exception):
                self.engine.rollback()
            for act in batch:
                act.error = act.error or (error if act is first else _lost(error))
        finally:
            self._hand_on(batch[1:])

    def _next(self, so_far: int) -> _Act | None:
        """Whoever is next in the queue, while there is room in the batch."""
        with self._lock:
            return self._waiting.popleft() if self._waiting and so_far < _MOST_ACTS else None

    def _carry_out(self, act: _Act) -> None:
        """Let another thread run its block, and wait for its end."""
        with self._undone_if_it_fails(act) as conn:
            act.conn = conn
            act.wake()
            act.ran.wait()
            if act.error is not None:
                raise act.error

    @contextmanager
    def _undone_if_it_fails(self, act: _Act) -> Iterator[Sql]:
        """Where it cannot be undone, as on a broken disk, all of the batch is lost."""
        so_far = len(self.entries)
        try:
            with self.engine.translate():
                self._begin()
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

    def _begin(self) -> None:
        """The transaction of the batch; waits while another process is in one."""
        if not self._begun:
            with self.engine.translate():
                self._conn = self.engine.begin()
            self._begun = True

    def _still_there(self) -> None:
        """A broken disk or a server that went away takes the acts of before with it."""
        if not self.engine.in_transaction:
            raise self.engine.gone()

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


def _lost(error: BaseException) -> Exception:
    """The failure of a commit, for those who were in it."""
    if isinstance(error, Exception) and not isinstance(error, DbError):
        return error  # not the database's: that this process may not sign the log any more
    code = error.code if isinstance(error, DbError) else "db.io"
    return DbError("The disk failed; nothing was written.", code=code)
