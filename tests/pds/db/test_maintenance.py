"""Checking a database, copying it, and killing its writer."""

import os
import signal
import stat
from pathlib import Path

import pytest

from pds.db import (
    DbBusy,
    DbDamaged,
    DbError,
    Migration,
    check,
    compact,
    copy_encrypted,
    migrate,
    open_encrypted,
    open_plain,
    transaction,
)

KEY = bytes(range(32))
COPY_KEY = bytes(range(100, 132))
ID = 0x50445331
SCHEMA = Migration(
    1,
    """
    CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL);
    CREATE INDEX item_text ON item (text);
    CREATE VIRTUAL TABLE words USING fts5(text);
    """,
)


def filled(path: Path, key: bytes | None = KEY) -> None:
    conn = open_plain(path) if key is None else open_encrypted(path, key, create=True)
    migrate(conn, [SCHEMA], application_id=ID)
    with transaction(conn):
        for n in range(300):
            conn.execute("INSERT INTO item (text) VALUES (?)", (f"canary {n}",))
            conn.execute("INSERT INTO words VALUES (?)", (f"canary {n}",))
    conn.close()


@pytest.mark.parametrize("key", [KEY, None])
def test_a_sound_file_has_no_findings(tmp_path: Path, key: bytes | None) -> None:
    """Encrypted or not, with rows still in the log, a sound file gives an empty list."""
    filled(tmp_path / "a.db", key)
    conn = open_plain(tmp_path / "a.db") if key is None else open_encrypted(tmp_path / "a.db", key)
    conn.execute("INSERT INTO item (text) VALUES ('in the log')")
    assert check(conn) == []
    conn.close()


def test_a_damaged_index_is_found_in_a_plain_file(tmp_path: Path) -> None:
    """Without authentication the structure is what can be checked."""
    path = tmp_path / "a.db"
    filled(path, None)
    conn = open_plain(path)
    root = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = 'item_text'").fetchone()[0]
    conn.close()
    altered = bytearray(path.read_bytes())
    altered[(root - 1) * 4096 : root * 4096] = bytes(4096)
    path.write_bytes(altered)
    conn = open_plain(path)
    assert check(conn) != []
    conn.close()


def test_a_reader_in_the_way_is_try_again(tmp_path: Path) -> None:
    """What cannot be checked is never reported as sound."""
    filled(tmp_path / "a.db")
    conn, reader = open_encrypted(tmp_path / "a.db", KEY), open_encrypted(tmp_path / "a.db", KEY)
    conn.execute("PRAGMA busy_timeout = 0")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM item").fetchall()
    conn.execute("INSERT INTO item (text) VALUES ('later')")
    with pytest.raises(DbBusy):
        check(conn)
    reader.execute("ROLLBACK")
    assert check(conn) == []
    conn.close()
    reader.close()


@pytest.mark.parametrize("key", [KEY, None])
def test_a_copy_is_whole_and_under_its_own_key(tmp_path: Path, key: bytes | None) -> None:
    """Rows, index, search, counters and numbers are copied; only the new key opens it."""
    source, target = tmp_path / "a.db", tmp_path / "copy.db"
    filled(source, key)
    conn = open_plain(source) if key is None else open_encrypted(source, key)
    copy_encrypted(conn, target, COPY_KEY)
    conn.execute("INSERT INTO item (text) VALUES ('the source goes on')")
    conn.close()
    assert {file.name for file in tmp_path.iterdir()} == {"a.db", "copy.db"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert b"canary" not in target.read_bytes()
    with pytest.raises(DbError):
        open_encrypted(target, KEY)
    copy = open_encrypted(target, COPY_KEY)
    migrate(copy, [SCHEMA], application_id=ID)
    assert copy.execute("SELECT count(*) FROM item").fetchone()[0] == 300
    assert copy.execute("SELECT count(*) FROM words('canary')").fetchone()[0] == 300
    copy.execute("INSERT INTO item (text) VALUES ('next')")
    assert copy.execute("SELECT max(id) FROM item").fetchone()[0] == 301
    assert check(copy) == []
    copy.close()


def test_a_copy_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    """Neither a refused key nor an open transaction touches what is at the path."""
    source, target = tmp_path / "a.db", tmp_path / "copy.db"
    filled(source)
    target.write_bytes(b"the old copy")
    conn = open_encrypted(source, KEY)
    with pytest.raises(DbError) as caught:
        copy_encrypted(conn, target, COPY_KEY[:31])
    assert caught.value.code == "db.key"
    with transaction(conn), pytest.raises(DbError) as caught:
        copy_encrypted(conn, target, COPY_KEY)
    assert caught.value.code == "db.in_transaction"
    assert target.read_bytes() == b"the old copy"
    copy_encrypted(conn, target, COPY_KEY)
    conn.close()
    open_encrypted(target, COPY_KEY).close()


def test_a_database_in_use_is_not_replaced(tmp_path: Path) -> None:
    """A write-ahead log beside the target would be played into the copy."""
    filled(tmp_path / "a.db")
    filled(tmp_path / "copy.db", COPY_KEY)
    conn, other = (
        open_encrypted(tmp_path / "a.db", KEY),
        open_encrypted(tmp_path / "copy.db", COPY_KEY),
    )
    with pytest.raises(DbError) as caught:
        copy_encrypted(conn, tmp_path / "copy.db", COPY_KEY)
    assert caught.value.code == "db.target_in_use"
    other.close()
    copy_encrypted(conn, tmp_path / "copy.db", COPY_KEY)
    conn.close()


def test_a_copy_of_a_damaged_source_is_not_kept(tmp_path: Path) -> None:
    """A source that cannot be read whole gives no copy and no remains."""
    source, target = tmp_path / "a.db", tmp_path / "copy.db"
    filled(source)
    altered = bytearray(source.read_bytes())
    for page in range(2, len(altered) // 4096):
        altered[page * 4096 + 50] ^= 1
    source.write_bytes(altered)
    conn = open_encrypted(source, KEY)
    with pytest.raises(DbError) as caught:
        copy_encrypted(conn, target, COPY_KEY)
    assert caught.value.code == "db.damaged"
    conn.execute("SELECT 1").fetchall()
    conn.close()
    assert {file.name for file in tmp_path.iterdir()} == {"a.db"}


def test_a_copy_that_is_not_sound_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is looked over before it takes its place."""
    filled(tmp_path / "a.db")
    conn = open_encrypted(tmp_path / "a.db", KEY)
    monkeypatch.setattr("pds.db.maintenance.check", lambda _: ["a page cannot be read"])
    with pytest.raises(DbDamaged):
        copy_encrypted(conn, tmp_path / "copy.db", COPY_KEY)
    conn.close()
    assert {file.name for file in tmp_path.iterdir()} == {"a.db"}


@pytest.mark.parametrize("key", [KEY, None])
def test_compacting_gives_room_back(tmp_path: Path, key: bytes | None) -> None:
    """The file shrinks by what was deleted; rows, numbers, search and settings stay."""
    path = tmp_path / "a.db"
    filled(path, key)
    conn = open_plain(path) if key is None else open_encrypted(path, key)
    with transaction(conn):
        conn.execute("DELETE FROM item WHERE id <= 290")
        conn.execute("DELETE FROM words WHERE rowid <= 290")
    before = path.stat().st_size
    done = compact(conn)
    assert done.shrunk
    assert done.after == path.stat().st_size < before
    assert check(conn) == []
    assert conn.execute("SELECT count(*) FROM words('canary')").fetchone()[0] == 10
    assert conn.execute("PRAGMA temp_store").fetchone()[0] == 2
    migrate(conn, [SCHEMA], application_id=ID)
    conn.execute("INSERT INTO item (text) VALUES ('next')")
    assert conn.execute("SELECT max(id) FROM item").fetchone()[0] == 301
    conn.close()


def test_compacting_beside_others(tmp_path: Path) -> None:
    """Not in a transaction, not while another writes; beside a reader the file shrinks later."""
    path = tmp_path / "a.db"
    filled(path)
    conn, other = open_encrypted(path, KEY), open_encrypted(path, KEY)
    for one in (conn, other):
        one.execute("PRAGMA busy_timeout = 0")
    with transaction(conn), pytest.raises(DbError) as caught:
        compact(conn)
    assert caught.value.code == "db.in_transaction"
    with transaction(other), pytest.raises(DbBusy):
        compact(conn)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM item").fetchall()
    assert not compact(conn).shrunk
    assert other.execute("SELECT count(*) FROM item").fetchone()[0] == 300
    other.execute("COMMIT")
    assert compact(conn).shrunk
    assert check(other) == []
    conn.close()
    other.close()


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    """Thirty writers are killed in mid-work; each row they reported is there, the file sound."""
    path = tmp_path / "a.db"
    filled(path)
    expected = 300
    for loop in range(30):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(reading)
                conn = open_encrypted(path, KEY)
                while True:
                    with transaction(conn):
                        conn.execute(
                            "INSERT INTO item (text) VALUES (?)", ("x" * (37 * loop % 5000),)
                        )
                    os.write(writing, b".")
            finally:
                os._exit(1)
        os.close(writing)
        acknowledged = 0
        while acknowledged < 1 + loop % 7:
            acknowledged += len(os.read(reading, 1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while more := os.read(reading, 4096):
            acknowledged += len(more)
        os.close(reading)
        conn = open_encrypted(path, KEY)
        found = conn.execute("SELECT count(*) FROM item").fetchone()[0]
        # One more row may have been committed and not yet reported.
        assert expected + acknowledged <= found <= expected + acknowledged + 1
        assert check(conn) == []
        conn.close()
        expected = found
