"""An old page of a vault's database put back in place of today's: genuine, and out of date."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pds.db import DbError, open_encrypted
from pds.vault import files
from pds.vault.errors import VaultError
from pds.vault.keyslots import Argon2Params
from pds.vault.service import Vault

PAGE = 4096
# What nothing binds: see the docstring of pds.vault.checkup.
UNBOUND = {"setting", "outbox", "sqlite_sequence", "refusal", "seen_checkpoint"}


@pytest.fixture
def vault(tmp_path: Path) -> tuple[Path, str]:
    folder = tmp_path / "vault"
    kit = Vault.create(
        folder, passphrase="four unrelated words", params=Argon2Params(memory_kib=65_536)
    )
    return folder, kit


def contents(folder: Path, kit: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    key = files.unlock(folder, kit=kit).derive("database")
    conn = open_encrypted(folder / "vault.db", key)
    try:
        tables = [
            row[0]
            for row in conn.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
                " AND name NOT LIKE 'record_index%' AND name NOT LIKE 'record_words%'"
            )
        ]
        indexed = conn.execute("SELECT rowid FROM record_index WHERE record_index MATCH '_'")
        return {"record_index": sorted(tuple(row) for row in indexed)} | {
            name: sorted((tuple(row) for row in conn.execute(f"SELECT * FROM {name}")), key=repr)
            for name in tables
        }
    finally:
        conn.close()


def settle(folder: Path, kit: str) -> bytes:
    """The database as one file, its log copied back."""
    with Vault.open(folder, kit=kit) as opened:
        opened._ctx.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return (folder / "vault.db").read_bytes()


def test_attack_48_old_database_page(vault: tuple[Path, str]) -> None:
    """Each page of an earlier state, put back alone: ``check`` says so, or nothing that the history
    binds has changed by it."""
    folder, kit = vault
    with Vault.open(folder, kit=kit) as opened:
        names = [opened.add("note", {"title": f"n {n}", "text": "x" * 900}).id for n in range(40)]
    old = settle(folder, kit)
    with Vault.open(folder, kit=kit) as opened:
        for name in names[::3]:
            opened.edit(name, {"title": "corrected"})
        for name in names[1::7]:
            opened.delete(name)
        opened.add("note", {"title": "new", "text": "y" * 900})
    now = settle(folder, kit)
    right = contents(folder, kit)
    noticed = 0
    for page in range(1, len(old) // PAGE):
        here = slice(page * PAGE, (page + 1) * PAGE)
        if old[here] == now[here]:
            continue
        (folder / "vault.db").write_bytes(now[: here.start] + old[here] + now[here.stop :])
        for ending in ("-wal", "-shm"):
            (folder / f"vault.db{ending}").unlink(missing_ok=True)
        try:
            with Vault.open(folder, kit=kit) as opened:
                found = opened.check()
            changed = {} if found else contents(folder, kit)
        except DbError:
            found, changed = ["refused"], {}
        if found:
            noticed += 1
        else:
            assert {name for name in changed if changed[name] != right[name]} <= UNBOUND, page
    assert noticed > 10


def test_attack_48_old_folder(vault: tuple[Path, str], tmp_path: Path) -> None:
    """The whole folder of an earlier day put back: the machine has seen a newer one and refuses it,
    writing nothing; taken all the same, it sends nothing before its relay was looked at."""
    folder, kit = vault
    heads, before = tmp_path / "heads", tmp_path / "before"
    with Vault.open(folder, kit=kit, heads=heads) as opened:
        opened.add("note", {"title": "kept", "text": "x"})
    shutil.copytree(folder, before)
    with Vault.open(folder, kit=kit, heads=heads) as opened:
        opened.add("note", {"title": "newer", "text": "x"})
    Vault.open(folder, kit=kit, heads=heads).close()  # today's is welcome
    shutil.rmtree(folder)
    shutil.copytree(before, folder)
    held = (folder / "vault.db").read_bytes()
    for _ in range(2):
        with pytest.raises(VaultError) as caught:
            Vault.open(folder, kit=kit, heads=heads)
        assert caught.value.code == "vault.rolled_back"
        assert (folder / "vault.db").read_bytes() == held
    with Vault.open(folder, kit=kit, heads=heads, older=True) as opened:
        assert opened.status().restoring
        opened.reconcile()
    with Vault.open(folder, kit=kit, heads=heads) as opened:
        assert not opened.status().restoring
        assert opened.check() == []


def test_attack_48_another_history(vault: tuple[Path, str], tmp_path: Path) -> None:
    """An earlier copy that has grown past the newest, another way: its size is no excuse."""
    folder, kit = vault
    heads, before = tmp_path / "heads", tmp_path / "before"
    shutil.copytree(folder, before)
    with Vault.open(folder, kit=kit, heads=heads) as opened:
        opened.add("note", {"title": "newer", "text": "x"})
    with Vault.open(before, kit=kit) as opened:
        for n in range(5):
            opened.add("note", {"title": f"other {n}", "text": "x"})
    shutil.rmtree(folder)
    shutil.copytree(before, folder)
    with pytest.raises(VaultError) as caught:
        Vault.open(folder, kit=kit, heads=heads)
    assert caught.value.code == "vault.diverged"


@pytest.mark.parametrize("hours", [-1, 1])
def test_attack_48_a_shorter_history(hours: int, vault: tuple[Path, str], tmp_path: Path) -> None:
    """An earlier copy that has less in it than the newest: older, unless something was done in it
    later than anything that this machine has seen."""
    folder, kit = vault
    heads, before = tmp_path / "heads", tmp_path / "before"
    shutil.copytree(folder, before)
    with Vault.open(folder, kit=kit, heads=heads) as opened:
        for n in range(3):
            opened.add("note", {"title": f"newer {n}", "text": "x"})

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(hours=hours)

    with Vault.open(before, kit=kit, clock=clock) as opened:
        opened.add("note", {"title": "other", "text": "x"})
    shutil.rmtree(folder)
    shutil.copytree(before, folder)
    with pytest.raises(VaultError) as caught:
        Vault.open(folder, kit=kit, heads=heads)
    assert caught.value.code == ("vault.diverged" if hours > 0 else "vault.rolled_back")
    with Vault.open(folder, kit=kit, heads=heads, older=True) as opened:
        opened.reconcile()
    Vault.open(folder, kit=kit, heads=heads).close()


@pytest.mark.parametrize("spoil", ["gone", "torn", "forged", "folder"])
def test_a_head_that_says_nothing(spoil: str, vault: tuple[Path, str], tmp_path: Path) -> None:
    """A head that is missing or not this vault's is no reason to refuse, and is made anew."""
    folder, kit = vault
    heads = tmp_path / "heads"
    Vault.open(folder, kit=kit, heads=heads).close()
    (file,) = heads.iterdir()
    whole = file.read_bytes()
    file.unlink()
    if spoil == "torn":
        file.write_bytes(whole[:20])
    elif spoil == "forged":
        file.write_bytes(whole.replace(b'"size":0', b'"size":9'))
    elif spoil == "folder":
        file.mkdir()
    Vault.open(folder, kit=kit, heads=heads).close()
    if spoil != "folder":
        assert file.read_bytes() == whole
    assert [path.name for path in heads.iterdir()] == [file.name]


def test_a_restored_backup_is_no_attack(vault: tuple[Path, str], tmp_path: Path) -> None:
    """Restored to the same place, an older state is meant."""
    folder, kit = vault
    heads = tmp_path / "heads"
    with Vault.open(folder, kit=kit, heads=heads) as opened:
        opened.backup(tmp_path / "backup")
        opened.add("note", {"title": "newer", "text": "x"})
    shutil.rmtree(folder)
    with Vault.restore(tmp_path / "backup", folder, kit=kit, heads=heads) as opened:
        opened.reconcile()
    Vault.open(folder, kit=kit, heads=heads).close()
