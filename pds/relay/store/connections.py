"""The one writer that threads share, and the views that readers get."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, TypeVar

from pds.db import DbBusy, DbError, Sql
from pds.relay.store.engines import Engine
from pds.relay.store.log import NewEntry

_LOCK_SECONDS = 10.0
_MOST_ACTS = 32

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_Work = Callable[[Sql, list[Any]], Sequence[Any]]
Seal = Callable[[Sql, list[NewEntry]], None]


class _Act:
    """What a thread wants to have written, and what became of it.

    ``work`` carries out several acts of one ``kind`` at once: their items in, their results out.
    The thread sleeps until it is woken: to lead (``leads``), because the act is over, or because
    its own block is to be run now.
    """

    __slots__ = ("_asleep", "error", "item", "kind", "leads", "result", "work")

    def __init__(self, work: _Work, *, kind: object = None, item: Any = None) -> None:
        self.work = work
        self.kind = kind
        self.item = item
        self.leads = False
        self.result: Any = None
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

    def act(
        self, kind: object, work: Callable[[Sql, list[_In]], Sequence[_Out]], item: _In
    ) -> _Out:
        """Have an act carried out, perhaps by another thread; its result, once it is durable.

        Acts of one ``kind`` that wait one after the other are carried out by one call: ``work``
        gets the items of all and gives a result for each. When it raises, each is tried by itself,
        so that an error undoes the act that it comes from and nothing else; it is raised here.

        Raises ``DbBusy`` when its turn does not come in time, and ``DbError`` when the commit
        failed: then nothing happened (or, when the server went away in the middle of it, perhaps
        all of it: every call of the protocol can be repeated).
        """
        act = _Act(work, kind=kind, item=item)
        if self._join(act):
            with self._leading(act) as batch:
                # While other processes had their turn, more may have come: they are taken after it.
                self._begin()
                self._carry_out([act, *self._alike(act, batch)])
        if act.error is not None:
            raise act.error
        result: _Out = act.result
        return result

    @contextmanager
    def write(self) -> Iterator[Sql]:
        """An act for a block, which runs in its own thread: whoever leads waits for its end.

        Raises what ``act`` raises.
        """
        turn: list[Sql] = []
        over = threading.Event()

        def hand_over(conn: Sql, _items: list[Any]) -> Sequence[None]:
            turn.append(conn)
            act.wake()
            over.wait()
            if act.error is not None:
                raise act.error
            return [None]

        act = _Act(hand_over)
        if self._join(act):
            with self._leading(act), self._undone_if_it_fails([act]) as conn:
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
    def _leading(self, first: _Act) -> Iterator[list[_Act]]:
        """A batch, in which the block carries out ``first``. Errors are not raised here: each is
        kept with the acts that it concerns."""
        batch = [first]
        self.entries = []
        self._begun = False
        try:
            yield batch
            while (act := self._next(batch)) is not None:
                self._carry_out([act, *self._alike(act, batch)])
            self._commit()
        except BaseException as error:  # noqa: BLE001  whatever it is, nothing half done may stay
            with suppress(Exception):
                self.engine.rollback()
            for act in batch:
                act.error = act.error or (error if act is first else _lost(error))
        finally:
            self._hand_on(batch[1:])

    def _next(self, batch: list[_Act], like: _Act | None = None) -> _Act | None:
        """Whoever is next in the queue joins the batch; with ``like`` only one of that kind."""
        with self._lock:
            if not self._waiting or len(batch) >= _MOST_ACTS:
                return None
            if like is not None and (like.kind is None or self._waiting[0].kind != like.kind):
                return None
            batch.append(self._waiting.popleft())
            return batch[-1]

    def _alike(self, act: _Act, batch: list[_Act]) -> Iterator[_Act]:
        while (other := self._next(batch, act)) is not None:
            yield other

    def _carry_out(self, acts: list[_Act]) -> None:
        with self._undone_if_it_fails(acts) as conn:
            results = acts[0].work(conn, [act.item for act in acts])
            for act, result in zip(acts, results, strict=True):
                act.result = result
        if len(acts) > 1 and acts[0].error is not None:
            for act in acts:
                act.error = None
                self._carry_out([act])

    @contextmanager
    def _undone_if_it_fails(self, acts: list[_Act]) -> Iterator[Sql]:
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
            for act in acts:
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


def _lost(error: BaseException) -> DbError:
    """The failure of a commit, for those who were in it."""
    code = error.code if isinstance(error, DbError) else "db.io"
    return DbError("The disk failed; nothing was written.", code=code)
