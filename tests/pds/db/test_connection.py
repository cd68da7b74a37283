"""Opening database files: keys, plain files, damage, modes, settings."""

import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from pds.db import (
    Connection,
    DbBusy,
    DbDamaged,
    DbError,
    IntegrityError,
    check,
    open_encrypted,
    open_plain,
    transaction,
    translate,
)

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
PAGE = 4096
SCHEMA = "CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)"


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """A closed encrypted database of several pages."""
    path = tmp_path / "vault.db"
    conn = open_encrypted(path, KEY, create=True)
    conn.execute(SCHEMA)
    with transaction(conn):
        conn.executemany(
            "INSERT INTO item (text) VALUES (?)", [(f"{n} " + "x" * 500,) for n in range(200)]
        )
    conn.close()
    return path


def code_of(path: Path, key: bytes = KEY, **options: bool) -> str:
    with pytest.raises(DbError) as caught:
        open_encrypted(path, key, **options)
    assert str(path) not in str(caught.value)
    return caught.value.code


def test_what_was_written_is_read_again_with_the_key(vault: Path) -> None:
    """The right key opens the file and finds the rows."""
    conn = open_encrypted(vault, KEY)
    assert conn.execute("SELECT count(*) AS n FROM item").fetchone()["n"] == 200
    assert check(conn) == []
    conn.close()


def test_another_key_is_refused(vault: Path) -> None:
    """A wrong key and a damaged first page look the same and are refused with one code."""
    before = vault.read_bytes()
    assert code_of(vault, OTHER_KEY) == "db.wrong_key_or_damaged"
    assert vault.read_bytes() == before


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused(tmp_path: Path, length: int) -> None:
    """31 bytes would be 62 hex digits, which SQLCipher takes for a passphrase."""
    path = tmp_path / "vault.db"
    assert code_of(path, bytes(length), create=True) == "db.key"
    assert not path.exists()


@pytest.mark.parametrize("key", ["00" * 32, "a" * 32, 32, None])
def test_a_key_that_is_not_bytes_is_a_type_error(tmp_path: Path, key: object) -> None:
    """Text, or a number that bytes() would turn into zeros, never becomes a key."""
    with pytest.raises(TypeError):
        open_encrypted(tmp_path / "vault.db", key, create=True)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    """A mistyped path is an error, not an empty vault."""
    assert code_of(tmp_path / "vault.db") == "db.missing"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    """Creating in a folder that does not exist fails without a trace."""
    assert code_of(tmp_path / "nowhere" / "vault.db", create=True) == "db.cannot_open"


def test_a_folder_is_not_a_database(tmp_path: Path) -> None:
    """A folder in place of the file is refused."""
    assert code_of(tmp_path) == "db.cannot_open"
    with pytest.raises(DbError) as caught:
        open_plain(tmp_path)
    assert caught.value.code == "db.cannot_open"


@pytest.mark.parametrize("create", [False, True])
def test_a_plain_database_is_refused_untouched(tmp_path: Path, create: bool) -> None:
    """A file without encryption is named as such and not written to."""
    path = tmp_path / "vault.db"
    conn = open_plain(path)
    conn.execute(SCHEMA)
    conn.close()
    before = path.read_bytes()
    assert code_of(path, create=create) == "db.plaintext"
    assert path.read_bytes() == before


def test_an_encrypted_file_is_not_opened_as_a_plain_one(vault: Path) -> None:
    """The unkeyed opening refuses ciphertext and leaves it alone."""
    before = vault.read_bytes()
    with pytest.raises(DbDamaged):
        open_plain(vault)
    assert vault.read_bytes() == before


@pytest.mark.parametrize("keep", [0, 1, 100, PAGE - 1, PAGE, PAGE + 904, 5 * PAGE])
def test_a_truncated_file_is_refused(vault: Path, keep: int) -> None:
    """Wherever the end was cut off, opening says so."""
    os.truncate(vault, keep)
    assert code_of(vault) == "db.damaged"


def test_one_missing_byte_at_the_end_is_refused(vault: Path) -> None:
    """SQLite itself would notice only when it reads the last page."""
    os.truncate(vault, vault.stat().st_size - 1)
    assert code_of(vault) == "db.damaged"


def test_a_flipped_byte_in_any_page_is_found(vault: Path) -> None:
    """Every page is authenticated: the opening finds page 1, check finds the others."""
    conn = open_encrypted(vault, KEY)
    conn.execute("DELETE FROM item WHERE id > 20")  # free pages are authenticated like others
    assert check(conn) == []
    conn.close()
    sound = vault.read_bytes()
    for page in range(len(sound) // PAGE):
        altered = bytearray(sound)
        altered[page * PAGE + 1000] ^= 1
        vault.write_bytes(altered)
        if page == 0:
            assert code_of(vault) == "db.wrong_key_or_damaged"
            continue
        conn = open_encrypted(vault, KEY)
        assert check(conn) != []
        conn.close()


def test_reading_a_damaged_page_raises_instead_of_answering(vault: Path) -> None:
    """Damage met in the middle of a query comes out as DbDamaged."""
    altered = bytearray(vault.read_bytes())
    for page in range(2, len(altered) // PAGE):
        altered[page * PAGE + 1000] ^= 1
    vault.write_bytes(altered)
    conn = open_encrypted(vault, KEY)
    with pytest.raises(DbDamaged), translate():
        conn.execute("SELECT sum(length(text)) FROM item").fetchall()
    conn.close()


@pytest.mark.parametrize("encrypted", [True, False])
def test_files_are_private_to_their_owner(tmp_path: Path, encrypted: bool) -> None:
    """Database, log and shared memory have mode 0600 whatever the umask."""
    before = os.umask(0)
    try:
        path = tmp_path / "a.db"
        conn = open_encrypted(path, KEY, create=True) if encrypted else open_plain(path)
        conn.execute(SCHEMA)
    finally:
        os.umask(before)
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert files == {"a.db": 0o600, "a.db-wal": 0o600, "a.db-shm": 0o600}
    conn.close()


@pytest.mark.parametrize("encrypted", [True, False])
def test_settings_are_those_that_lose_nothing(tmp_path: Path, encrypted: bool) -> None:
    """Each setting is read back, because SQLite ignores what it does not know."""
    path = tmp_path / "a.db"
    conn = open_encrypted(path, KEY, create=True) if encrypted else open_plain(path)
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "secure_delete": 1,
        "temp_store": 2,
        "busy_timeout": 5000,
    }
    assert {name: conn.execute(f"PRAGMA {name}").fetchone()[0] for name in expected} == expected
    assert str(conn.execute("PRAGMA cipher_status").fetchone()[0]) == ("1" if encrypted else "0")
    if encrypted:
        assert str(conn.execute("PRAGMA cipher_memory_security").fetchone()[0]) == "0"
    conn.close()


def test_nothing_on_disk_is_in_clear(tmp_path: Path) -> None:
    """A planted text is in neither database, log nor shared memory, nor is SQLite's own header."""
    canary = "canary-4f1c0b7e"
    path = tmp_path / "vault.db"
    conn = open_encrypted(path, KEY, create=True)
    conn.execute(f"CREATE TABLE {canary.replace('-', '_')} (text TEXT)")
    conn.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
    with transaction(conn):
        for _ in range(100):
            conn.execute("INSERT INTO words VALUES (?)", (canary,))
    files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    conn.close()
    files["closed"] = path.read_bytes()
    assert len(files["vault.db-wal"]) > 0
    for content in files.values():
        for clear in (
            b"canary",
            b"4f1c0b7e",
            b"SQLite format 3",
            b"CREATE",
            KEY,
            KEY.hex().encode(),
        ):
            assert clear not in content


class Forgetful(Connection):
    """A connection that never hands on the key."""

    def execute(self, sql: str, *arguments: object) -> object:
        return super().execute("SELECT 1" if sql.startswith("PRAGMA key") else sql, *arguments)


def test_a_forgotten_key_never_writes_in_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the key does not take, nothing is written."""
    monkeypatch.setattr("pds.db.connection.Connection", Forgetful)
    assert code_of(tmp_path / "vault.db", create=True) == "db.not_encrypting"
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_creation_can_be_finished(tmp_path: Path) -> None:
    """A file left empty by a killed creation is an error, unless creating is what is asked."""
    path = tmp_path / "vault.db"
    path.touch(mode=0o600)
    assert code_of(path) == "db.damaged"
    open_encrypted(path, KEY, create=True).close()
    assert not path.read_bytes().startswith(b"SQLite format 3")
    open_encrypted(path, KEY).close()


def test_creating_over_a_vault_opens_it(vault: Path) -> None:
    """``create`` never empties what is there."""
    conn = open_encrypted(vault, KEY, create=True)
    assert conn.execute("SELECT count(*) FROM item").fetchone()[0] == 200
    conn.close()
    assert code_of(vault, OTHER_KEY, create=True) == "db.wrong_key_or_damaged"


def test_a_second_connection_keeps_the_locks_of_the_first(vault: Path) -> None:
    """Opening again in one process must not drop the lock that guards the file from others."""
    first = open_encrypted(vault, KEY)
    assert locked_for_others(vault)
    second = open_encrypted(vault, KEY)
    assert locked_for_others(vault)
    second.close()
    assert locked_for_others(vault)
    first.close()
    assert not locked_for_others(vault)


def locked_for_others(path: Path) -> bool:
    """Whether another process is refused the bytes that SQLite locks (POSIX locks, 510 bytes)."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            with path.open("r+b") as stream:
                fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
            status = 0
        except BlockingIOError:
            status = 1
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 1)
    return status == 1


def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    """Characters that mean something in a URI are only characters in a path."""
    path = tmp_path / "a ?mode=memory#100%25é.db"
    open_encrypted(path, KEY, create=True).close()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    open_encrypted(str(path), KEY).close()


def test_read_only_reads_and_refuses_to_write(tmp_path: Path) -> None:
    """A read-only connection makes no file and reports the refused write with its own code."""
    path = tmp_path / "a.db"
    with pytest.raises(DbError) as caught:
        open_plain(path, read_only=True)
    assert caught.value.code == "db.missing"
    assert not path.exists()
    writer = open_plain(path)
    writer.execute(SCHEMA)
    reader = open_plain(path, read_only=True)
    assert reader.execute("SELECT count(*) FROM item").fetchone()[0] == 0
    with pytest.raises(DbError) as caught, translate():
        reader.execute("INSERT INTO item (text) VALUES ('a')")
    assert caught.value.code == "db.read_only"
    reader.close()
    writer.close()


def test_a_transaction_commits_all(vault: Path) -> None:
    """What the block wrote is there for another connection."""
    conn, other = open_encrypted(vault, KEY), open_encrypted(vault, KEY)
    with transaction(conn):
        conn.execute("INSERT INTO item (text) VALUES ('a')")
        conn.execute("INSERT INTO item (text) VALUES ('b')")
        assert count(other) == 200
    assert count(other) == 202
    conn.close()
    other.close()


def test_a_transaction_that_fails_leaves_nothing(vault: Path) -> None:
    """An exception of any kind rolls back and comes out as it is."""
    conn = open_encrypted(vault, KEY)
    for failure in (ValueError, KeyboardInterrupt):
        with pytest.raises(failure):
            add_and_fail(conn, failure)
        assert not conn.in_transaction
        assert count(conn) == 200
    conn.close()


def test_a_refused_row_stays_an_integrity_error(vault: Path) -> None:
    """Stores act on constraints, so these are not translated."""
    conn = open_encrypted(vault, KEY)
    with pytest.raises(IntegrityError), transaction(conn):
        conn.executemany("INSERT INTO item (text) VALUES (?)", [("a",), ("a",)])
    assert count(conn) == 200
    conn.close()


def test_a_held_lock_is_try_again(tmp_path: Path) -> None:
    """A lock that does not come free is ``db.busy`` with the exit code for later."""
    one, two = open_plain(tmp_path / "a.db"), open_plain(tmp_path / "a.db")
    two.execute("PRAGMA busy_timeout = 0")
    with transaction(one):
        with pytest.raises(DbBusy) as caught, transaction(two):
            pass
        assert (caught.value.code, caught.value.exit_code) == ("db.busy", 4)
    with transaction(two):
        pass
    one.close()
    two.close()


def test_a_full_disk_has_a_code_and_loses_nothing(tmp_path: Path) -> None:
    """When no page is left, the transaction is undone and the connection goes on."""
    conn = open_plain(tmp_path / "a.db")
    conn.execute(SCHEMA)
    conn.execute("PRAGMA max_page_count = 10")
    with pytest.raises(DbError) as caught, transaction(conn):
        conn.executemany(
            "INSERT INTO item (text) VALUES (?)", [(f"{n}" + "x" * 1000,) for n in range(100)]
        )
    assert caught.value.code == "db.full"
    assert count(conn) == 0
    with transaction(conn):
        conn.execute("INSERT INTO item (text) VALUES ('a')")
    assert count(conn) == 1
    conn.close()


def test_a_connection_may_change_threads(vault: Path) -> None:
    """A thread that did not open the connection can use it."""
    conn = open_encrypted(vault, KEY)
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(count(conn)))
    thread.start()
    thread.join()
    assert seen == [200]
    conn.close()


def test_a_database_in_memory_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``:memory:`` is a name of SQLite's, not of a file."""
    monkeypatch.chdir(tmp_path)
    conn = open_plain(":memory:")
    conn.execute(SCHEMA)
    assert count(conn) == 0
    conn.close()
    assert list(tmp_path.iterdir()) == []


def count(conn: Connection) -> int:
    """The rows of the table."""
    return int(conn.execute("SELECT count(*) FROM item").fetchone()[0])


def add_and_fail(conn: Connection, failure: type[BaseException]) -> None:
    """A transaction that fails after it has written."""
    with transaction(conn):
        conn.execute("INSERT INTO item (text) VALUES ('a')")
        raise failure
