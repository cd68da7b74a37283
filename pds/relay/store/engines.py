"""The two engines under a relay's store: one file on this machine, or a PostgreSQL server.

One write transaction at a time, in all processes of a relay together: a log has one order, and
counts that race have one winner. What differs is the lock that says whose turn it is.
"""

import fcntl
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pds.db import Connection, DbBusy, DbError, Sql, migrate, open_plain, transaction, translate
from pds.relay.store.schema import APPLICATION_ID, MIGRATIONS

if TYPE_CHECKING:
    from pds.db.postgres import PostgresConnection


class Engine(Protocol):
    """Where the rows lie, and whose turn it is to write them."""

    name: str

    def gone(self) -> DbError:
        """What it means when the transaction is there no longer, and nobody said why."""

    def begin(self) -> Sql:
        """Begin the write transaction; waits until no other process is in one. Raises DbBusy."""

    def commit(self) -> None:
        """Make the transaction durable. After an error nothing, or all of it, happened."""

    def rollback(self) -> None:
        """Undo the transaction, if there is one."""

    @property
    def in_transaction(self) -> bool:
        """Whether ``begin`` was called and its transaction goes on."""

    def translate(self) -> AbstractContextManager[None]:
        """Turns errors of the engine into ``DbError``."""

    def read(self) -> AbstractContextManager[Sql]:
        """One consistent view of what is committed; waits for no writer. For any thread."""

    def rows_came(self, conn: Sql) -> None:
        """Rows were put in with the numbers that they had elsewhere: go on after the highest."""

    def close(self) -> None: ...


class SqliteEngine:
    """A file of this machine (write-ahead log, ``synchronous = FULL``).

    Processes take turns by a lock of the system on the folder of the database. SQLite's own lock
    has no queue: who finds it taken sleeps and tries again, and waits longest when it is busiest.
    """

    name = "sqlite"

    def __init__(self, path: Path, *, upgrade: bool = True) -> None:
        self._path = path
        self._local = threading.local()
        self._readers_lock = threading.Lock()
        self._readers: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._writer = open_plain(path)
        # Copying the log back is what writing costs besides: less often, and a page that changed
        # several times is copied once. 4,000 pages are as much as is left of the log anyway.
        self._writer.execute("PRAGMA wal_autocheckpoint = 4000")
        self._turn: int | None = None
        try:
            migrate(self._writer, MIGRATIONS, application_id=APPLICATION_ID, upgrade=upgrade)
            self._turn = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except BaseException:
            self.close()
            raise

    def begin(self) -> Sql:
        self._take_turn()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._end_turn()
            raise
        return self._writer

    def _take_turn(self) -> None:
        if self._turn is None:
            raise DbBusy("The store is closed.")
        # The system keeps the queue. One thread of a process waits here at most, and those behind
        # it in the store give up in time.
        fcntl.flock(self._turn, fcntl.LOCK_EX)

    def _end_turn(self) -> None:
        if self._turn is not None:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    @property
    def in_transaction(self) -> bool:
        return bool(self._writer.in_transaction)

    def gone(self) -> DbError:
        return DbError("The disk failed; nothing was written.", code="db.io")

    def commit(self) -> None:
        try:
            self._writer.execute("COMMIT")
        finally:
            if not self._writer.in_transaction:
                self._end_turn()

    def rollback(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        finally:
            self._end_turn()

    def translate(self) -> AbstractContextManager[None]:
        return translate(self._path.parent)

    @contextmanager
    def read(self) -> Iterator[Sql]:
        conn: Connection | None = getattr(self._local, "conn", None)
        if conn is None:
            conn = open_plain(self._path, read_only=True)
            self._local.conn = conn
            with self._readers_lock:
                self._readers.add(conn)
        with transaction(conn, immediate=False):
            yield conn

    def rows_came(self, conn: Sql) -> None:
        """SQLite's own numbers always go on after the highest."""

    def close(self) -> None:
        with self._readers_lock:
            for conn in (*self._readers, self._writer):
                conn.close()
        if self._turn is not None:
            os.close(self._turn)
            self._turn = None


class PostgresEngine:
    """A PostgreSQL database; any number of processes, on any number of machines, share it.

    They take turns by an advisory lock of the database, which falls with its session: a process
    that dies holds nobody up. A connection that broke is made anew for the next turn.
    """

    name = "postgresql"

    def __init__(self, conninfo: str, *, upgrade: bool = True) -> None:
        # Only here: a relay on a file never loads the driver.
        from pds.db.postgres import Readers, connect, migrate_postgres, translate_postgres
        from pds.relay.store.schema_postgres import POSTGRES_MIGRATIONS

        self._connect: Callable[[], PostgresConnection] = lambda: connect(conninfo)
        self._translate = translate_postgres
        self._writer: PostgresConnection | None = self._connect()
        try:
            migrate_postgres(
                self._writer,
                POSTGRES_MIGRATIONS,
                application_id=APPLICATION_ID,
                lock=APPLICATION_ID,
                upgrade=upgrade,
            )
            self._readers = Readers(conninfo)
        except BaseException:
            self._writer.close()
            raise

    def begin(self) -> Sql:
        writer = self._writer
        if writer is not None and writer.usable:
            try:
                return self._begin_on(writer)
            except DbBusy as error:
                if error.code != "db.away":
                    raise
                # The server has closed the session since: once more with a new one.
                writer.close()
        self._writer = None
        writer = self._writer = self._connect()
        return self._begin_on(writer)

    def _begin_on(self, writer: "PostgresConnection") -> Sql:
        with self._translate():
            writer.execute("BEGIN")
            try:
                writer.execute("SELECT pg_advisory_xact_lock(?)", (APPLICATION_ID,))
            except BaseException:
                with suppress(Exception):
                    writer.execute("ROLLBACK")
                raise
        return writer

    @property
    def in_transaction(self) -> bool:
        return self._writer is not None and self._writer.usable and self._writer.in_transaction

    def gone(self) -> DbError:
        return DbBusy("The database server went away; nothing was written.", code="db.away")

    def commit(self) -> None:
        if self._writer is None:
            raise DbBusy("The database server does not answer.", code="db.away")
        # A session that died says so here: whether it had committed, only the next look can tell.
        if self._writer.execute("COMMIT").statusmessage != "COMMIT":
            raise DbError("The transaction had failed; nothing was written.", code="db.io")

    def rollback(self) -> None:
        if self._writer is not None and self.in_transaction:
            self._writer.execute("ROLLBACK")

    def translate(self) -> AbstractContextManager[None]:
        return self._translate()

    def read(self) -> AbstractContextManager[Sql]:
        return self._readers.read()

    def rows_came(self, conn: Sql) -> None:
        conn.execute(
            "SELECT setval(pg_get_serial_sequence('log_entries', 'number'),"
            " (SELECT coalesce(max(number), 0) + 1 FROM log_entries), false)"
        )

    def close(self) -> None:
        self._readers.close()
        if self._writer is not None:
            self._writer.close()


def open_engine(path: Path, database: str | None, *, upgrade: bool = True) -> Engine:
    """The engine of a relay: ``database`` is a PostgreSQL's conninfo, or None for the file at
    ``path``. Without ``upgrade`` tables of an earlier release are refused (``db.outdated``), for it
    may be at work on them."""
    if database is None:
        return SqliteEngine(path, upgrade=upgrade)
    return PostgresEngine(database, upgrade=upgrade)
