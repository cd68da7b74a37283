"""PostgreSQL: opening, migrations, and the errors that callers must tell apart.

Statements are written once for both engines (``pds.db.sql``); here ``?`` becomes the placeholder
of psycopg. Importing this module loads psycopg: only a program that was told of a PostgreSQL does.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final, cast

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from pds.db.errors import DbBusy, DbError
from pds.db.migrations import Migration, outdated

_APPLICATION: Final = "pds"
_CONNECT_SECONDS: Final = 5
_READERS: Final = 8
_READER_SECONDS: Final = 5.0
_STREAMED: Final = 500
_PREPARED: Final = 400
_KEEP_ALIVE: Final = {"keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3}


class Row(tuple[Any, ...]):
    """A row whose columns have numbers and names, like those of the other engine."""

    __slots__ = ()
    _numbers: ClassVar[dict[str, int]] = {}

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self._numbers[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        """The names of the columns."""
        return list(self._numbers)


@functools.lru_cache(maxsize=256)
def _row_type(names: tuple[str, ...]) -> type[Row]:
    numbers = {name: number for number, name in enumerate(names)}
    return type("Row", (Row,), {"__slots__": (), "_numbers": numbers})


def _rows(cursor: psycopg.Cursor[Any]) -> Any:
    return _row_type(tuple(column.name for column in cursor.description or ()))


@functools.lru_cache(maxsize=1024)
def _translated(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


class PostgresConnection:
    """An open connection; ``execute`` as ``pds.db.sql.Sql`` says.

    Made by ``connect``. Usable by any one thread at a time; the caller begins and ends
    transactions by statements (autocommit otherwise).
    """

    __slots__ = ("raw",)

    def __init__(self, raw: psycopg.Connection[Row]) -> None:
        self.raw = raw

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> psycopg.Cursor[Row]:
        return self.raw.execute(_translated(sql), parameters)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> psycopg.Cursor[Row]:
        cursor = self.raw.cursor()
        cursor.executemany(_translated(sql), rows)
        return cursor

    def stream(self, sql: str, /) -> Iterator[Row]:
        """The rows of a query of any length, without holding them all; within a transaction."""
        with self.raw.cursor(name="pds_stream") as cursor:
            cursor.itersize = _STREAMED
            cursor.execute(_translated(sql), ())
            yield from cursor

    def script(self, sql: str) -> None:
        """Several statements at once, without parameters."""
        self.raw.execute(sql.encode())

    @property
    def in_transaction(self) -> bool:
        return self.raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE

    @property
    def usable(self) -> bool:
        """Whether the server still answered when it was last asked."""
        return not self.raw.broken and not self.raw.closed

    def close(self) -> None:
        self.raw.close()


def connect(conninfo: str) -> PostgresConnection:
    """Open a connection that commits durably (``synchronous_commit``) and never waits for ever.

    ``conninfo`` is libpq's: a URL or ``key=value`` words; what it leaves out comes from libpq's
    own environment, service file and password file. Raises DbError ``db.address`` (not a
    conninfo) and DbBusy ``db.away``.
    """
    with translate_postgres():
        raw: psycopg.Connection[Row] = psycopg.connect(
            with_defaults(conninfo), autocommit=True, row_factory=_rows, prepare_threshold=2
        )
        # Batches come in several sizes, each with statements of its own.
        raw.prepared_max = _PREPARED
        # A relay that forgets what it acknowledged is none, whatever the server's default is.
        raw.execute("SET synchronous_commit = on")
        # A write that another one blocks gives up, and so does a session that hangs in one.
        raw.execute("SET lock_timeout = '10s'")
        raw.execute("SET idle_in_transaction_session_timeout = '60s'")
    return PostgresConnection(raw)


class Readers:
    """A pool of connections that only read, for any number of threads."""

    def __init__(self, conninfo: str) -> None:
        self._pool = ConnectionPool(
            with_defaults(conninfo),
            min_size=1,
            max_size=_READERS,
            timeout=_READER_SECONDS,
            # The pool tries again ever more rarely: begun anew this often, it finds a server that
            # has come back within seconds.
            reconnect_timeout=_READER_SECONDS,
            kwargs={"autocommit": True, "row_factory": _rows, "prepare_threshold": 2},
            check=ConnectionPool.check_connection,
            open=True,
        )

    @contextmanager
    def read(self) -> Iterator[PostgresConnection]:
        """One consistent view of what is committed. Raises DbBusy ``db.away``."""
        with translate_postgres(), self._pool.connection() as raw:
            conn = PostgresConnection(cast("psycopg.Connection[Row]", raw))
            conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield conn
            finally:
                if conn.usable:
                    conn.execute("ROLLBACK")

    def close(self) -> None:
        self._pool.close()


def with_defaults(conninfo: str) -> str:
    """The conninfo with our own defaults where it says nothing. DbError ``db.address``."""
    try:
        said = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise DbError(
            "The address of the database cannot be read.",
            code="db.address",
            hint="Write it as postgresql://host/name, or as dbname=… host=… user=….",
        ) from None
    ours: dict[str, Any] = {
        "application_name": _APPLICATION,
        "connect_timeout": _CONNECT_SECONDS,
        **_KEEP_ALIVE,
    }
    return make_conninfo(conninfo, **{key: ours[key] for key in ours if key not in said})


def has_password(conninfo: str) -> bool:
    """Whether a password is written in a conninfo."""
    return "password" in conninfo_to_dict(with_defaults(conninfo))


@contextmanager
def translate_postgres() -> Iterator[None]:
    """Turn the errors that callers must tell apart into DbError; let others pass.

    The server's own texts repeat values of rows: they never come through.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _known(error) from None


def _known(error: psycopg.Error) -> DbError:
    match error:
        case errors.DiskFull() | errors.OutOfMemory():
            return DbError(
                "The database server has no room left.",
                code="db.full",
                hint="Free some space on the server; what was acknowledged is kept.",
            )
        case (
            errors.LockNotAvailable()
            | errors.QueryCanceled()
            | errors.DeadlockDetected()
            | errors.SerializationFailure()
        ):
            return DbBusy("Another write is taking too long.", hint="Try again in a moment.")
        case errors.ReadOnlySqlTransaction():
            return DbBusy(
                "The database server takes no writes at present.",
                code="db.read_only",
                hint="Is it a standby? Name the primary.",
            )
        case errors.DataCorrupted() | errors.IndexCorrupted():
            return DbError("The database is damaged.", code="db.damaged", hint="Restore a backup.")
        case psycopg.OperationalError() | psycopg.InterfaceError() | PoolTimeout():
            return DbBusy(
                "The database server does not answer.",
                code="db.away",
                hint="Check its address, and that it runs and lets this user in.",
            )
    kind = type(error).__name__
    return DbError(f"The database refused a statement ({kind}).", code="db.error")


_VERSION_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS pds_schema (
        application BIGINT PRIMARY KEY,
        version BIGINT NOT NULL
    );
    """


def migrate_postgres(
    conn: PostgresConnection,
    migrations: Sequence[Migration],
    *,
    application_id: int,
    lock: int,
    upgrade: bool = True,
) -> None:
    """Bring the schema to the last of ``migrations``, as ``pds.db.migrate`` does for a file.

    ``version`` rises from one migration to the next, and need not begin with 1. All of it happens
    in one transaction under the advisory lock ``lock``. Raises DbError ``db.newer`` (made by a
    later release: nothing is changed), ``db.foreign`` (tables that are not ours lie there) and,
    without ``upgrade``, ``db.outdated``.
    """
    latest = migrations[-1].version
    with translate_postgres():
        conn.execute("BEGIN")
        try:
            conn.execute("SELECT pg_advisory_xact_lock(?)", (lock,))
            known = conn.execute("SELECT to_regclass('pds_schema') IS NOT NULL AS known")
            fresh = not any(row["known"] for row in known)
            if fresh and _has_tables(conn):
                raise DbError(
                    "The database holds tables of another program.",
                    code="db.foreign",
                    exit_code=2,
                    hint="Give the relay a database, or a schema, of its own.",
                )
            conn.script(_VERSION_TABLE)
            row = conn.execute(
                "SELECT version FROM pds_schema WHERE application = ?", (application_id,)
            ).fetchone()
            version = 0 if row is None else int(row["version"])
            if version > latest:
                raise DbError(
                    "The database was made by a newer release.",
                    code="db.newer",
                    exit_code=2,
                    hint="Update this program; the database has not been changed.",
                )
            if not upgrade and 0 < version < latest:
                raise outdated()
            for migration in migrations:
                if migration.version > version:
                    conn.script(migration.sql)
            if version < latest:
                conn.execute(
                    "INSERT INTO pds_schema (application, version) VALUES (?, ?)"
                    " ON CONFLICT (application) DO UPDATE SET version = excluded.version",
                    (application_id, latest),
                )
            conn.execute("COMMIT")
        except BaseException:
            if conn.usable:
                conn.execute("ROLLBACK")
            raise


def _has_tables(conn: PostgresConnection) -> bool:
    row = conn.execute(
        "SELECT count(*) AS n FROM pg_catalog.pg_class"
        " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
    ).fetchone()
    return bool(row and row["n"])
