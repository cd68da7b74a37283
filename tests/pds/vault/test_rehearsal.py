"""A rehearsed restore: what it proves, what it leaves, and what the vault remembers of it."""

import os
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pds.db import open_encrypted, transaction
from pds.vault import files, rehearsal
from pds.vault.errors import VaultError
from pds.vault.inuse import FolderLock
from pds.vault.keyslots import Argon2Params, KeyslotError
from pds.vault.kit import kit_secret
from pds.vault.rehearsal import rehearse
from pds.vault.service import Vault
from pds.vault.shares import split

PASSPHRASE = "four unrelated words here"
QUICK = Argon2Params(memory_kib=65_536)
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def clock() -> datetime:
    return NOW


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, str]:
    """A vault with a relay that cannot be reached, three items and a backup of them."""
    folder = tmp_path / "home" / "vault"
    kit = Vault.create(
        folder, passphrase=PASSPHRASE, params=QUICK, relay="https://relay.example", clock=clock
    )
    with Vault.open(folder, kit=kit, clock=clock) as vault:
        for name in ("cycling", "chess", "choir"):
            vault.add("interests", {"name": name})
        vault.backup(tmp_path / "backup")
    return folder, kit


def test_it_says_what_is_in_it_and_leaves_nothing(
    made: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted from the restored copy; no connection is made, nothing stays, and the backup is the
    same byte for byte."""
    folder, kit = made

    def no_network(*_: object, **__: object) -> None:
        pytest.fail("it reached for the network")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    before = (tmp_path / "backup").read_bytes()
    with Vault.open(folder, kit=kit, clock=clock) as vault:
        found = vault.rehearse(tmp_path / "backup", kit=kit)
        assert vault.status().last_rehearsal == NOW
        assert vault.status().last_backup == NOW
        assert vault.activity(limit=1)[0].kind == "rehearsed"
        assert found.vault == vault.keys.vault_id
    assert (found.total, found.items["interests"]) == (3, 3)
    assert (found.relationships, found.grants, found.history) == (0, 0, 3)
    assert found.newest == NOW
    assert (tmp_path / "backup").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["vault"]


def test_two_sheets_do_as_well(made: tuple[Path, str], tmp_path: Path) -> None:
    """Of a kit that was divided."""
    sheets = split(kit_secret(made[1]))
    found = rehearse(
        tmp_path / "backup", kit=f"{sheets[1]} {sheets[2]}", work=tmp_path, clock=clock
    )
    assert found.total == 3


def test_another_kit_proves_nothing(made: tuple[Path, str], tmp_path: Path) -> None:
    """Refused, nothing left, nothing remembered."""
    folder, kit = made
    with Vault.open(folder, kit=kit) as vault:
        newer = vault.keys.new_kit()
        with pytest.raises(KeyslotError) as caught:
            vault.rehearse(tmp_path / "backup", kit=newer)
        assert caught.value.code == "vault.wrong_secret"
        assert vault.status().last_rehearsal is None
    assert [path.name for path in folder.parent.iterdir()] == ["vault"]


def test_a_backup_of_another_vault_is_not_remembered_here(
    made: tuple[Path, str], tmp_path: Path
) -> None:
    """It can be rehearsed, but proves nothing about this one."""
    other = tmp_path / "other"
    kit = Vault.create(other, passphrase=PASSPHRASE, params=QUICK)
    with Vault.open(other, kit=kit) as vault:
        found = vault.rehearse(tmp_path / "backup", kit=made[1])
        assert found.total == 3
        assert vault.status().last_rehearsal is None


def test_half_a_backup_is_found_out(made: tuple[Path, str], tmp_path: Path) -> None:
    """Cut off, or with one byte changed in the middle of the database."""
    whole = (tmp_path / "backup").read_bytes()
    for bent in (whole[: len(whole) // 2], b""):
        (tmp_path / "bent").write_bytes(bent)
        with pytest.raises(VaultError) as caught:
            rehearse(tmp_path / "bent", kit=made[1], work=tmp_path, clock=clock)
        assert caught.value.code == "backup.damaged"
    assert not list(tmp_path.glob(".rehearsal-*"))


def test_a_history_that_does_not_fit_its_log_is_found_out(
    made: tuple[Path, str], tmp_path: Path
) -> None:
    """The file is whole and opens, but a line was altered before the backup."""
    folder, kit = made
    key = files.unlock(folder, kit=kit)
    conn = open_encrypted(folder / files.DATABASE, key.derive("database"))
    with transaction(conn):
        conn.execute("UPDATE history SET salt = zeroblob(32) WHERE n = 1")
    conn.close()
    with Vault.open(folder, kit=kit) as vault:
        vault.backup(tmp_path / "second")
        with pytest.raises(VaultError) as caught:
            vault.rehearse(tmp_path / "second", kit=kit)
        assert caught.value.code == "backup.damaged"
        assert vault.status().last_rehearsal is None


def test_killed_in_the_middle(
    made: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What kill -9 leaves is encrypted, and the next rehearsal removes it; not that of one that is
    still at work."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(rehearsal.keyslots, "vault_id", die)
        rehearse(tmp_path / "backup", kit=made[1], work=tmp_path, clock=clock)
        os._exit(0)
    os.waitpid(child, 0)
    (left,) = tmp_path.glob(".rehearsal-*")
    for path in (path for path in left.rglob("*") if path.is_file()):
        assert b"cycling" not in path.read_bytes()
    (tmp_path / ".rehearsal-other").mkdir()
    with FolderLock(tmp_path / ".rehearsal-other"):
        rehearse(tmp_path / "backup", kit=made[1], work=tmp_path, clock=clock)
        assert [path.name for path in tmp_path.glob(".rehearsal-*")] == [".rehearsal-other"]
