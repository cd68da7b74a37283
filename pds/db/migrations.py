"""Numbered schema migrations.

``PRAGMA user_version`` holds the number of the last one carried out, ``PRAGMA application_id``
whose file it is. A file that is newer or of another program is refused before anything is written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlcipher3 import dbapi2

from pds.db.connection import Connection, ensure_wal, transaction, translate
from pds.db.errors import DbError


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: ``version`` counts from 1; ``sql`` is one or more statements ending in ``;``.

    The statements must not begin or end a transaction.
    """

    version: int
    sql: str


def migrate(
    conn: Connection,
    migrations: Sequence[Migration],
    *,
    application_id: int,
    upgrade: bool = True,
) -> None:
    """Bring the schema to the last of ``migrations``; each one happens wholly or not at all.

    The versions are 1, 2, 3, … without a gap; the list only ever grows at its end. Two processes
    may migrate at once. Without ``upgrade`` a schema is made, but none of an earlier release is
    changed: others may be at work on it. Raises DbError ``db.foreign`` (another program's file, or
    tables of unknown origin), ``db.newer`` (made by a later release) and, without ``upgrade``,
    ``db.outdated``, all without having written a byte.
    Raises ValueError for a list or an id that can never be right.
    """
    # 1. The list itself: a wrong one is a mistake of ours, not of the file.
    if not migrations or [m.version for m in migrations] != list(range(1, len(migrations) + 1)):
        raise ValueError("migrations must be numbered 1, 2, 3, … and not be empty")
    if not 0 < application_id < 2**31:
        raise ValueError("an application id is between 1 and 2**31 - 1")
    latest = len(migrations)

    with translate():
        # 2. Whose file, and how old? Reads only.
        version = _recognise(conn, application_id=application_id, latest=latest)
        if not upgrade and 0 < version < latest:
            raise outdated()
        # 3. Now that the file is ours, it may be changed.
        ensure_wal(conn)
        # 4. Each step and its number in one transaction; asked again under the write lock,
        #    because another process may have been quicker.
        for migration in migrations[version:]:
            with transaction(conn):
                if _recognise(conn, application_id=application_id, latest=latest) >= (
                    migration.version
                ):
                    continue
                for statement in _statements(migration.sql):
                    conn.execute(statement)
                    if not conn.in_transaction:
                        raise ValueError("a migration must not end its transaction")
                conn.execute(f"PRAGMA application_id = {application_id:d}")
                conn.execute(f"PRAGMA user_version = {migration.version:d}")


def prove_current(
    conn: Connection, migrations: Sequence[Migration], *, application_id: int
) -> None:
    """Raise DbError unless the schema is that of the last of ``migrations``: ``db.outdated``,
    and as ``migrate`` does. Reads only, for a file that cannot be written."""
    with translate():
        version = _recognise(conn, application_id=application_id, latest=len(migrations))
    if version < len(migrations):
        raise DbError(
            "The database was made by an earlier release, and has to be written once before this "
            "one can read it.",
            code="db.outdated",
            hint="Copy the whole folder to a disk with room that you may write to, and open it "
            "there.",
        )


def outdated() -> DbError:
    """``db.outdated``, as ``prove_current`` raises it too: here an earlier release may still be at
    work."""
    return DbError(
        "The database was made by an earlier release, which may still be at work on it.",
        code="db.outdated",
        hint="Restart what serves it: the start brings it up to date.",
    )


def _recognise(conn: Connection, *, application_id: int, latest: int) -> int:
    """The schema version of the file; 0 for an empty one."""
    version = int(conn.execute("PRAGMA user_version").fetchone()[0])
    owner = int(conn.execute("PRAGMA application_id").fetchone()[0])
    if version == 0 and owner == 0:
        if conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            return 0
        raise _foreign()
    if owner != application_id or version < 1:
        raise _foreign()
    if version > latest:
        raise DbError(
            "The database was made by a newer release.",
            code="db.newer",
            exit_code=2,
            hint="Update this program; the file has not been changed.",
        )
    return version


def _statements(sql: str) -> Iterator[str]:
    """The single statements: a semicolon in text, comment or trigger body ends none."""
    *pieces, rest = sql.split(";")
    statement = ""
    for piece in pieces:
        statement += piece + ";"
        if dbapi2.complete_statement(statement):
            yield statement
            statement = ""
    if statement or rest.strip():
        raise ValueError("a migration must end with a semicolon")


def _foreign() -> DbError:
    return DbError(
        "The database belongs to another program.",
        code="db.foreign",
        exit_code=2,
        hint="Check the path; the file has not been changed.",
    )
