"""Looking a database over, writing it anew without its gaps, copying it under another key."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlcipher3 import dbapi2

from pds.db.connection import (
    Connection,
    connect_keyed,
    ensure_wal,
    is_encrypted,
    raw_key,
    sync_folder,
    transaction,
    translate,
    use_hmac,
)
from pds.db.errors import DbBusy, DbDamaged, DbError


def check(conn: Connection) -> list[str]:
    """Read every page and every index; an empty list means that the file is sound.

    The write-ahead log is copied back first, because SQLCipher's own check reads the main file
    only. Each line names a page, table or index, never a value. Freshness is not checked: a whole
    old page put back passes. Where nothing can be written the log stays as it is; what is in it is
    read all the same. Raises ``db.busy`` when another connection prevents the copying back.
    """
    with translate(conn.folder):
        if (
            not conn.read_only
            and conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] != 0
        ):
            raise DbBusy("The database is in use and cannot be checked now.", hint="Try again.")
        found: list[str] = []
        if is_encrypted(conn):
            found += _lines(conn, "PRAGMA cipher_integrity_check")
        found += [line for line in _lines(conn, "PRAGMA integrity_check") if line != "ok"]
        return found


@dataclass(frozen=True, slots=True)
class Compacted:
    """Bytes of the database file before and after; ``shrunk`` is false while another program
    reads from it: then its own next check or closing makes the file smaller."""

    before: int
    after: int
    shrunk: bool


def compact(conn: Connection) -> Compacted:
    """Write the whole database anew, in order and without free pages.

    In place, as one transaction of SQLite's: killed at any moment, the old state or the new one is
    there, and programs that have the file open go on with it. It takes as much room again in the
    folder, and as much in the folder for temporary files; what lies there is encrypted under the
    same key. Full-text indexes are merged first. Not checked: that every page is sound (``check``).

    Raises DbError ``db.in_transaction``, ``db.busy`` (another program writes), ``db.full``,
    ``db.damaged``; then nothing has changed.
    """
    if conn.in_transaction:
        raise DbError("End the transaction before compacting.", code="db.in_transaction")
    page = int(conn.execute("PRAGMA page_size").fetchone()[0])
    with translate(conn.folder):
        before = int(conn.execute("PRAGMA page_count").fetchone()[0]) * page
        with transaction(conn):
            for name in _full_text(conn):
                conn.execute(f'INSERT INTO "{name}" ("{name}") VALUES (\'optimize\')')  # noqa: S608
        # The one statement whose temporary file SQLCipher encrypts. In memory it would need as
        # much of it as the database is large.
        conn.execute("PRAGMA temp_store = FILE")
        try:
            conn.execute("VACUUM")
        finally:
            conn.execute("PRAGMA temp_store = MEMORY")
        shrunk = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        after = int(conn.execute("PRAGMA page_count").fetchone()[0]) * page
    return Compacted(before, after, shrunk)


def _full_text(conn: Connection) -> list[str]:
    rows = conn.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'"
        " AND (lower(sql) LIKE '%using fts5 %' OR lower(sql) LIKE '%using fts5(%')"
    )
    return [str(row[0]) for row in rows]


def copy_encrypted(conn: Connection, path: Path | str, key: bytes) -> None:
    """Write all of ``conn`` to a new file under ``key`` (32 bytes), as one consistent state.

    The copy is complete, verified page by page and durable before it takes the place of ``path``;
    if anything fails, what was there stays. Mode 0600. ``conn`` may be encrypted or not and must
    not be within a transaction. Raises DbError ``db.key``, ``db.in_transaction``,
    ``db.target_in_use`` (a write-ahead log lies beside ``path``), ``db.full``, ``db.damaged``.
    """
    hex_key = raw_key(key)
    if conn.in_transaction:
        raise DbError("End the transaction before copying.", code="db.in_transaction")
    target = Path(path)
    # A log left beside the target would be played into the copy.
    if any(Path(f"{target}{ending}").exists() for ending in ("-wal", "-journal")):
        raise DbError(
            "The database at the target is in use, or was not closed.",
            code="db.target_in_use",
            hint="Close it, or choose another path.",
        )
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise DbError(
            "The copy cannot be created.",
            code="db.cannot_open",
            hint="Check that the folder exists and may be written by you.",
        ) from error
    try:
        with translate(target.parent):
            _export(conn, draft, hex_key)
            _verify(draft, hex_key)
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        draft.replace(target)
        sync_folder(target.parent)
    except BaseException:
        for ending in ("", "-journal", "-wal", "-shm"):
            Path(f"{draft}{ending}").unlink(missing_ok=True)
        raise


def _export(conn: Connection, draft: Path, hex_key: str) -> None:
    # By name, because an attached file has its connection's: see ``open_for_reading``.
    vfs = "&vfs=unix" if conn.read_only else ""
    place = f"{draft.absolute().as_uri()}?mode=rw{vfs}"
    conn.execute("ATTACH DATABASE ? AS copy KEY ?", (place, f"x'{hex_key}'"))
    try:
        use_hmac(conn, "copy")
        conn.execute("PRAGMA copy.synchronous = FULL")
        # One transaction, so that the copy is one state of the source.
        conn.execute("BEGIN")
        _run_export(conn)
        # The export leaves out what is not in a table.
        for name in ("user_version", "application_id"):
            value = int(conn.execute(f"PRAGMA main.{name}").fetchone()[0])
            conn.execute(f"PRAGMA copy.{name} = {value}")
        conn.execute("COMMIT")
    finally:
        with suppress(dbapi2.Error):
            if conn.in_transaction:
                conn.execute("ROLLBACK")
        with suppress(dbapi2.Error):
            conn.execute("DETACH DATABASE copy")


def _run_export(conn: Connection) -> None:
    try:
        conn.execute("SELECT sqlcipher_export('copy')").fetchall()
    except dbapi2.Error as error:
        # The function hands on SQLite's sentence, but not its number.
        match str(error):
            case "database disk image is malformed":
                raise DbDamaged(
                    "The database to copy is damaged.", hint="Restore a backup."
                ) from error
            case "database or disk is full":
                raise DbError(
                    "The disk is full; no copy was made.", code="db.full", hint="Free some space."
                ) from error
            case "disk I/O error":
                raise DbError(
                    "The disk reported an error.",
                    code="db.io",
                    hint="Check the disk, then try again.",
                ) from error
        raise DbError(
            "The database could not be copied.",
            code="db.copy",
            hint="See: pds vault check",
        ) from error


def _verify(draft: Path, hex_key: str) -> None:
    copy = connect_keyed(draft, hex_key)
    try:
        ensure_wal(copy)
        if check(copy):
            raise DbDamaged("The copy is not sound.", hint="Check the disk, then copy again.")
    finally:
        copy.close()


def _lines(conn: Connection, pragma: str) -> list[str]:
    try:
        return [str(row[0]) for row in conn.execute(pragma)]
    except dbapi2.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (
            dbapi2.SQLITE_CORRUPT,
            dbapi2.SQLITE_NOTADB,
        ):
            return ["a page cannot be read"]
        raise
