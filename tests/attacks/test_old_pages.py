"""An old page of a vault's database put back in place of today's: genuine, and out of date."""

import sys
from pathlib import Path

import pytest

from pds.db import DbError, open_encrypted
from pds.vault import files
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
    noticed = unnoticed = 0
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
            unnoticed += 1
            assert {name for name in changed if changed[name] != right[name]} <= UNBOUND, page
    assert noticed > 10
    print(noticed, unnoticed, file=sys.stderr)
