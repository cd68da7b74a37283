"""Numbered migrations: all or nothing, and never on a file that is not ours."""

from pathlib import Path

import pytest

from pds.db import Connection, DbError, Migration, migrate, open_encrypted, open_plain

KEY = bytes(range(32))
ID = 0x50445331
FIRST = Migration(
    1,
    """
    CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT NOT NULL DEFAULT 'a;b'); -- one; two
    CREATE TABLE count (n INTEGER NOT NULL);
    /* three; */ INSERT INTO count VALUES (0);
    CREATE TRIGGER counted AFTER INSERT ON item BEGIN
        UPDATE count SET n = n + 1;
        SELECT ';';
    END;
    """,
)
SECOND = Migration(2, "ALTER TABLE item ADD COLUMN at TEXT;")
BROKEN = Migration(2, "CREATE TABLE more (id INTEGER); INSERT INTO nowhere VALUES (1);")


def numbers(conn: Connection) -> tuple[int, int]:
    return (
        conn.execute("PRAGMA user_version").fetchone()[0],
        conn.execute("PRAGMA application_id").fetchone()[0],
    )


def tables(conn: Connection) -> set[str]:
    return {row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_new_file_gets_every_step(tmp_path: Path) -> None:
    """Semicolons within text, comments and triggers do not tear a statement apart."""
    conn = open_encrypted(tmp_path / "a.db", KEY, create=True)
    migrate(conn, [FIRST, SECOND], application_id=ID)
    conn.execute("INSERT INTO item (at) VALUES ('now')")
    assert conn.execute("SELECT text FROM item").fetchone()[0] == "a;b"
    assert conn.execute("SELECT n FROM count").fetchone()[0] == 1
    assert numbers(conn) == (2, ID)
    conn.close()


def test_an_older_file_gets_only_what_it_lacks(tmp_path: Path) -> None:
    """Rows survive, and a second run does nothing."""
    conn = open_plain(tmp_path / "a.db")
    migrate(conn, [FIRST], application_id=ID)
    conn.execute("INSERT INTO item (text) VALUES ('kept')")
    for _ in range(2):
        migrate(conn, [FIRST, SECOND], application_id=ID)
    assert conn.execute("SELECT text, at FROM item").fetchone()[:] == ("kept", None)
    assert numbers(conn) == (2, ID)
    conn.close()


def test_a_step_that_fails_is_undone_whole(tmp_path: Path) -> None:
    """The number stays with the last step that happened."""
    conn = open_plain(tmp_path / "a.db")
    with pytest.raises(Exception, match="nowhere"):
        migrate(conn, [FIRST, BROKEN], application_id=ID)
    assert numbers(conn) == (1, ID)
    assert tables(conn) == {"item", "count"}
    migrate(conn, [FIRST, SECOND], application_id=ID)
    assert numbers(conn) == (2, ID)
    conn.close()


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_newer_file_is_refused_untouched(tmp_path: Path, encrypted: bool) -> None:
    """A file of a later release keeps every byte."""
    path = tmp_path / "a.db"

    def opened() -> Connection:
        return open_encrypted(path, KEY, create=True) if encrypted else open_plain(path)

    conn = opened()
    migrate(conn, [FIRST, SECOND], application_id=ID)
    conn.close()
    before = path.read_bytes()
    conn = opened()
    with pytest.raises(DbError) as caught:
        migrate(conn, [FIRST], application_id=ID)
    assert caught.value.code == "db.newer"
    conn.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "made_by",
    [
        "CREATE TABLE theirs (id INTEGER)",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = -1",
    ],
)
def test_a_foreign_file_is_refused_untouched(tmp_path: Path, made_by: str) -> None:
    """Another program's file is not even turned to write-ahead logging."""
    path = tmp_path / "a.db"
    conn = open_plain(path)
    conn.execute("PRAGMA journal_mode = DELETE")
    conn.execute(made_by)
    conn.close()
    before = path.read_bytes()
    conn = open_plain(path)
    with pytest.raises(DbError) as caught:
        migrate(conn, [FIRST], application_id=ID)
    assert caught.value.code == "db.foreign"
    conn.close()
    assert path.read_bytes() == before


def test_our_own_file_is_turned_to_write_ahead_logging(tmp_path: Path) -> None:
    """A file in another journal mode is set right once it is recognised."""
    path = tmp_path / "a.db"
    conn = open_plain(path)
    migrate(conn, [FIRST], application_id=ID)
    conn.execute("PRAGMA journal_mode = DELETE")
    conn.close()
    conn = open_plain(path)
    migrate(conn, [FIRST], application_id=ID)
    assert conn.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    conn.close()


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [SECOND],
        [FIRST, FIRST],
        [FIRST, Migration(3, "SELECT 1;")],
        [Migration(1, "CREATE TABLE a (b)")],
        [Migration(1, "CREATE TABLE a (b); COMMIT; CREATE TABLE c (d);")],
    ],
)
def test_a_wrong_list_is_our_mistake(tmp_path: Path, steps: list[Migration]) -> None:
    """Gaps, repetitions, a missing end and a stray COMMIT are ValueErrors."""
    conn = open_plain(":memory:")
    with pytest.raises(ValueError, match="migration"):
        migrate(conn, steps, application_id=ID)
    assert numbers(conn)[0] == 0
    conn.close()


@pytest.mark.parametrize("application_id", [0, -1, 2**31])
def test_an_impossible_id_is_our_mistake(application_id: int) -> None:
    """Zero would be every file that nobody signed."""
    conn = open_plain(":memory:")
    with pytest.raises(ValueError, match="application id"):
        migrate(conn, [FIRST], application_id=application_id)
    conn.close()
