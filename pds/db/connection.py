"""Opening database files, and transactions on them.

Both kinds of file are opened with the SQLite that sqlcipher3 carries: the one in Python 3.11 is
old enough to corrupt a write-ahead log. ``open_encrypted`` is the only place that keys a file.
SQLCipher is forgiving where it must not be (a raw key of the wrong length becomes a passphrase, a
file without a key is written in clear), so the opening proves each step before it goes on.

SQLite loses its POSIX locks when *any* descriptor of the file is closed in the same process.
Nothing here therefore opens a database file by hand while a connection to it is alive.

Longer than other rooms, because every way of opening a file stands here, beside the proofs that
all of them share.
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2

from pds.db.errors import DbBusy, DbDamaged, DbError

BUSY_TIMEOUT_MS = 5000
PAGE_SIZE = 4096
KEY_SIZE = 32
MAX_IDLE_LOG = 16 * 2**20  # what a large import leaves of the write-ahead log, once copied back
CACHE_KIB = 16 * 1024  # at most; it is taken page by page
BULK_CACHE_KIB = 48 * 1024

# The library keeps 100. When all are taken it gives up the newest for the next one: two statements
# that come in turns are then prepared anew each time, which costs more than to run them.
_STATEMENTS = 500

_PLAIN_HEADER = b"SQLite format 3"
_MEMORY = ":memory:"
_SHARED_MEMORY = 32_768

IntegrityError = dbapi2.IntegrityError
"""A constraint refused the row; passed on untranslated, because stores act on it."""

_Inode = tuple[int, int]
_opening = threading.Lock()
_live: dict[_Inode, "weakref.WeakSet[Connection]"] = {}


class Connection(dbapi2.Connection):  # type: ignore[misc]  # the library has no types
    """A DB-API connection in autocommit mode, usable from any one thread at a time.

    Callers lock by themselves. Open with ``open_plain`` or ``open_encrypted``, never directly.
    """

    folder: Path | None = None
    """Where the file lies; None in memory."""

    read_only: bool = False
    """Opened with ``open_for_reading``."""

    def stream(self, sql: str, /) -> Iterator[Any]:
        """The rows of a query of any length, without holding them all."""
        return iter(self.execute(sql))


def open_plain(path: Path | str, *, read_only: bool = False) -> Connection:
    """Open, or create with mode 0600, a database that is not encrypted.

    ``":memory:"`` gives a private database in memory. Raises DbError: ``db.missing`` (read-only
    and no such file), ``db.cannot_open``, ``db.damaged`` (also for an encrypted file), ``db.busy``.
    """
    if str(path) == _MEMORY:
        conn = _connect(_MEMORY)
        _settings(conn)
        return conn
    file = Path(path)
    with _opening, translate(file.parent):
        if not file.exists():
            if read_only:
                raise _missing()
            _create(file)
        conn = _connect_to(file, "ro" if read_only else "rw")
        try:
            _prove_readable(conn)
            _settings(conn, read_only=read_only)
        except BaseException:
            conn.close()
            raise
        _remember(conn, file)
    return conn


def open_encrypted(path: Path | str, key: bytes, *, create: bool = False) -> Connection:
    """Open a SQLCipher database with a raw key: the one keyed opening.

    ``key`` is exactly 32 bytes. A file that does not exist is created, with mode 0600, only when
    ``create`` is true, so that a mistyped path never becomes an empty vault. On return the key has
    read the schema, encryption is active, and the file on disk does not begin like plain SQLite.

    *Not* checked: every page (see ``check``), and freshness: an old page put back goes unnoticed.

    Raises DbError: ``db.key`` (wrong length), ``db.missing``, ``db.plaintext``,
    ``db.wrong_key_or_damaged``, ``db.damaged`` (empty or truncated), ``db.not_encrypting``,
    ``db.cannot_open``, ``db.busy``.
    """
    file = Path(path)
    hex_key = raw_key(key)
    with _opening, translate(file.parent):
        exists = file.exists()
        if not exists and not create:
            raise _missing()
        may_be_empty = create
        if not exists and _create(file):
            try:
                # The header is read only after this connection is closed (module docstring).
                _open_keyed(file, hex_key, may_be_empty=True).close()
                _check_file(file)
            except BaseException:
                file.unlink()
                raise
            may_be_empty = False
        elif not is_open_here(file):
            _check_file(file)
        conn = _open_keyed(file, hex_key, may_be_empty=may_be_empty)
        _remember(conn, file)
    return conn


def open_for_reading(path: Path | str, key: bytes, *, alone: bool) -> Connection:
    """Open a SQLCipher database where nothing can be written: on a full disk, on one that can only
    be read, in somebody else's folder. Not a byte beside or in the file is changed.

    All that was committed is seen, also what still stands in the write-ahead log. For that SQLite
    needs an index of the log, in a file that cannot be made here. ``alone`` promises that no other
    program has the database open until this connection is closed: then the index is kept in
    memory, and without a log none is needed. If it is not so, others have the file open, and their
    index is read; without one, ``db.cannot_open``.

    Raises DbError as ``open_encrypted`` does for a file that exists.
    """
    file = Path(path)
    hex_key = raw_key(key)
    with _opening, translate(file.parent):
        if not file.exists():
            raise _missing()
        if not is_open_here(file):
            _check_file(file)
        log = Path(f"{file}-wal")
        if not alone:
            how = "ro"
        elif log.exists() and log.stat().st_size:
            # This VFS takes no locks, for which the file would have to be open for writing.
            how = "ro&vfs=unix-none"
        else:
            how = "ro&immutable=1"
        conn = _open_keyed(file, hex_key, may_be_empty=False, how=how)
        _remember(conn, file)
    return conn


@contextmanager
def transaction(conn: Connection, *, immediate: bool = True) -> Iterator[Connection]:
    """Commit what the block did, durably, or nothing of it.

    ``immediate`` takes the write lock at once, so that a transaction which reads and then writes
    cannot fail half-way. Transactions do not nest. SQLite's errors come out translated.
    """
    with translate(conn.folder):
        conn.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")
        try:
            yield conn
            conn.execute("COMMIT")
        except BaseException:
            # A full disk has rolled back already; a failing rollback must not hide the reason.
            with suppress(dbapi2.Error):
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
            raise


@contextmanager
def without_waiting(conn: Connection) -> Iterator[None]:
    """Have a transaction in this block fail at once (``db.busy``) when another program writes."""
    conn.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        conn.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")


@contextmanager
def translate(folder: Path | None = None) -> Iterator[None]:
    """Turn the SQLite errors that callers must tell apart into DbError; let others pass.

    With the folder of the database a full disk is told from a broken one in one more case: SQLite
    speaks of an error of the disk when the log's shared memory cannot be given its 32 KiB, which
    even reading needs.
    """
    try:
        yield
    except dbapi2.Error as error:
        known = _known(error)
        if known is None:
            raise
        if known.code == "db.io" and folder is not None and _room_in(folder) < _SHARED_MEMORY:
            known = _full()
        raise known from error


def _room_in(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return _SHARED_MEMORY
    return found.f_bavail * found.f_frsize


def _known(error: dbapi2.Error) -> DbError | None:
    primary = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    match primary:
        case dbapi2.SQLITE_BUSY | dbapi2.SQLITE_LOCKED:
            return DbBusy(
                "The database is in use by another process.", hint="Try again in a moment."
            )
        case dbapi2.SQLITE_FULL:
            return _full()
        case dbapi2.SQLITE_READONLY:
            return DbError(
                "The database cannot be written.",
                code="db.read_only",
                hint="Check the owner and the mode of the file and its folder.",
            )
        case dbapi2.SQLITE_CORRUPT | dbapi2.SQLITE_NOTADB:
            return _damaged("The database file is damaged.")
        case dbapi2.SQLITE_CANTOPEN:
            return DbError(
                "The database file cannot be opened.",
                code="db.cannot_open",
                hint="Check that the folder exists and may be written by you.",
            )
        case dbapi2.SQLITE_IOERR:
            return DbError(
                "The disk reported an error.", code="db.io", hint="Check the disk, then try again."
            )
    return None


def ensure_wal(conn: Connection) -> None:
    """Write-ahead logging, or DbError ``db.cannot_open`` where the file system has none."""
    mode = conn.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode not in ("wal", "memory"):
        raise DbError(
            "The file system does not support write-ahead logging.",
            code="db.cannot_open",
            hint="Keep the database on a local disk.",
        )


def is_encrypted(conn: Connection) -> bool:
    """Whether this connection encrypts what it writes."""
    row = conn.execute("PRAGMA cipher_status").fetchone()
    return row is not None and str(row[0]) == "1"


def connect_keyed(file: Path, hex_key: str, *, how: str = "rw") -> Connection:
    """A connection whose key is set and has read the schema; no other setting is made. ``how`` is
    SQLite's mode, and further parameters of its URI.

    For this package: everyone else uses ``open_encrypted``.
    """
    conn = _connect_to(file, how)
    try:
        if "vfs=unix-none" in how:  # before the first look at the file: the log's index in memory
            conn.execute("PRAGMA main.locking_mode = EXCLUSIVE")
        # 1. SQLCipher writes its complaints to stderr by default; ours are the errors.
        conn.execute("PRAGMA cipher_log_level = NONE")
        # 2. The key, in the only form that is never taken for a passphrase.
        conn.execute(f"PRAGMA key = \"x'{hex_key}'\"")
        # 3. The file format, so that a later default of the library locks nobody out.
        conn.execute("PRAGMA cipher_compatibility = 4")
        use_hmac(conn, "main")
        # 4. Encryption is on: without it a new file would be written in clear.
        if not is_encrypted(conn):
            raise DbError("This SQLite does not encrypt.", code="db.not_encrypting")
        # 5. The key opens what is there.
        _prove_readable(conn, code="db.wrong_key_or_damaged")
    except BaseException:
        conn.close()
        raise
    return conn


def use_hmac(conn: Connection, database: str) -> None:
    """Have the pages of a keyed database authenticated with HMAC-SHA-256, before its first use.

    SQLCipher's default is SHA-512, which costs twice as much on processors that have instructions
    for SHA-256, and 32 bytes more on every page; 256 bits are enough for a page as for a key.
    """
    conn.execute(f"PRAGMA {database}.cipher_hmac_algorithm = HMAC_SHA256")


def _open_keyed(file: Path, hex_key: str, *, may_be_empty: bool, how: str = "rw") -> Connection:
    conn = connect_keyed(file, hex_key, how=how)
    try:
        conn.read_only = how != "rw"
        _check_length(conn, file, may_be_empty=may_be_empty)
        _settings(conn, read_only=conn.read_only)
        conn.execute("PRAGMA cipher_memory_security = OFF")
    except BaseException:
        conn.close()
        raise
    return conn


def _check_length(conn: Connection, file: Path, *, may_be_empty: bool) -> None:
    # SQLite rounds a cut-off last page up and finds out only when it reads it. Pages that are
    # still in the write-ahead log may be missing from the file; with an empty log none may. The
    # read transaction keeps another process from shrinking the file between the two looks.
    conn.execute("BEGIN")
    conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    pages = conn.execute("PRAGMA page_count").fetchone()[0]
    log = Path(f"{file}-wal")
    log_is_empty = not log.exists() or log.stat().st_size == 0
    size = file.stat().st_size
    conn.execute("COMMIT")
    if pages == 0 and not may_be_empty:
        raise _damaged("The database file is empty.")
    if log_is_empty and size < pages * PAGE_SIZE:
        raise _damaged("The database file is truncated.")


def raw_key(key: bytes) -> str:
    """The 64 hex digits of a key; DbError ``db.key`` unless it is 32 bytes."""
    # memoryview, because bytes(32) and str would slip through as other things than a key
    text = memoryview(key).hex()
    if len(text) != 2 * KEY_SIZE:
        raise DbError("A database key is exactly 32 bytes.", code="db.key")
    return text


def _connect(target: str) -> Connection:
    conn: Connection = dbapi2.connect(
        target,
        timeout=BUSY_TIMEOUT_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
        cached_statements=_STATEMENTS,
        uri=target != _MEMORY,
    )
    conn.row_factory = dbapi2.Row
    return conn


def _connect_to(file: Path, mode: str) -> Connection:
    conn = _connect(_uri(file, mode))
    conn.folder = file.parent
    return conn


def _settings(conn: Connection, *, read_only: bool = False) -> None:
    conn.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    if not read_only:
        # A file that somebody else made stays as it is until migrate() has recognised it.
        empty = conn.execute("PRAGMA page_count").fetchone()[0] == 0
        if empty or conn.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            ensure_wal(conn)
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute("PRAGMA fullfsync = ON")  # macOS, where fsync alone does not reach the disk
    conn.execute("PRAGMA checkpoint_fullfsync = ON")
    conn.execute("PRAGMA foreign_keys = ON")
    conn.execute("PRAGMA trusted_schema = OFF")
    conn.execute("PRAGMA cell_size_check = ON")
    conn.execute("PRAGMA secure_delete = ON")
    conn.execute("PRAGMA temp_store = MEMORY")
    conn.execute(f"PRAGMA journal_size_limit = {MAX_IDLE_LOG}")
    set_cache(conn)


def set_cache(conn: Connection, kib: int = CACHE_KIB) -> None:
    """How much memory the pages of one database may take; also within a transaction."""
    conn.execute(f"PRAGMA cache_size = -{kib:d}")


def _prove_readable(conn: Connection, *, code: str = "db.damaged") -> None:
    try:
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except dbapi2.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) != dbapi2.SQLITE_NOTADB:
            raise
        if code == "db.damaged":
            raise _damaged("The file is not a plain database of this program.") from error
        raise DbError(
            "The key does not open this file, or the file is damaged.",
            code=code,
            hint="Check the path; if it is right, restore a backup.",
        ) from error


def _create(file: Path) -> bool:
    """Whether the file is ours; if another process was first, its file is opened like any."""
    # SQLite gives the -wal and -shm files the mode of the database file.
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        sync_folder(file.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise DbError(
            "The database file cannot be created.",
            code="db.cannot_open",
            hint="Check that the folder exists and may be written by you.",
        ) from error
    return True


def _check_file(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            start = stream.read(PAGE_SIZE)
    except OSError as error:
        raise DbError(
            "The database file cannot be opened.", code="db.cannot_open", hint="Check the path."
        ) from error
    if start.startswith(_PLAIN_HEADER):
        raise DbError(
            "The file is a database without encryption.",
            code="db.plaintext",
            hint="Check the path: this is not an encrypted vault.",
        )
    if 0 < len(start) < PAGE_SIZE:
        raise _damaged("The database file is truncated.")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _uri(file: Path, mode: str) -> str:
    return f"{file.absolute().as_uri()}?mode={mode}"


def _inode(file: Path) -> _Inode:
    status = file.stat()
    return status.st_dev, status.st_ino


def _remember(conn: Connection, file: Path) -> None:
    for inode in [inode for inode, conns in _live.items() if not any(map(_is_open, conns))]:
        del _live[inode]
    _live.setdefault(_inode(file), weakref.WeakSet()).add(conn)


def is_open_here(file: Path) -> bool:
    """Whether a connection of this process has the file open; for this package."""
    return any(map(_is_open, _live.get(_inode(file), ())))


def _is_open(conn: Connection) -> bool:
    try:
        return bool(conn.total_changes >= 0)  # raises on a closed connection
    except dbapi2.ProgrammingError:
        return False


def _missing() -> DbError:
    return DbError("There is no database at this path.", code="db.missing", hint="Check the path.")


def _full() -> DbError:
    return DbError(
        "The disk is full; nothing was written.", code="db.full", hint="Free some space."
    )


def _damaged(message: str) -> DbDamaged:
    return DbDamaged(message, hint="Restore a backup.")
