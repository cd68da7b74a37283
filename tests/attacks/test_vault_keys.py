"""Attacks on the ways into a vault, on its rotation and on its backups."""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from shamir_mnemonic import Share

from did.json import canonicalize
from pds.db import DbError
from pds.db.connection import PAGE_SIZE
from pds.vault import files, rotation
from pds.vault.errors import VaultError
from pds.vault.keyslots import Argon2Params, KeyslotError
from pds.vault.kit import kit_secret
from pds.vault.rehearsal import rehearse
from pds.vault.service import Vault
from pds.vault.shares import split

PASSPHRASE, NEW = "four unrelated words here", "another four words here"
QUICK = Argon2Params(memory_kib=65_536)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("template") / "vault"
    kit = Vault.create(folder, passphrase=PASSPHRASE, params=QUICK)
    with Vault.open(folder, kit=kit) as vault:
        for n in range(300):
            vault.add("interests", {"name": f"interest {n}"})
    return folder, kit


@pytest.fixture
def made(template: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    shutil.copytree(template[0], tmp_path / "vault")
    return tmp_path / "vault", template[1]


def refused(code: str, act: Callable[[], object]) -> None:
    with pytest.raises((VaultError, KeyslotError, DbError)) as caught:
        act()
    assert caught.value.code == code


def test_attack_60_a_sheet_that_asks_for_a_long_derivation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sheet carries its own cost: another than ours is refused before anything is computed."""

    def computed(*_: object) -> object:
        pytest.fail("the derivation was started")

    monkeypatch.setattr("shamir_mnemonic.combine_mnemonics", computed)
    bent = [
        replace(Share.from_mnemonic(sheet), iteration_exponent=15).mnemonic()
        for sheet in split(bytes(32))[:2]
    ]
    refused("vault.kit_sheets", lambda: kit_secret(" ".join(bent)))


def test_attack_61_slots_of_before_a_rotation(made: tuple[Path, str]) -> None:
    """The old slot file, put back, still gives the old key, and that opens nothing any more."""
    folder, kit = made
    old = (folder / files.SLOTS).read_bytes()
    with Vault.open(folder, kit=kit) as vault:
        vault.rotate_key(passphrase=NEW, params=QUICK, keep=lambda _words: None)
    (folder / files.SLOTS).write_bytes(old)
    refused("db.wrong_key_or_damaged", lambda: Vault.open(folder, kit=kit))
    refused("vault.wrong_secret", lambda: Vault.open(folder, passphrase=NEW))


def test_attack_61_a_copy_of_before_laid_beside_the_vault(made: tuple[Path, str]) -> None:
    """An old database under the name that a rotation uses does not take the vault's place."""
    folder, kit = made
    shutil.copy(folder / files.DATABASE, folder.parent / "old")
    with Vault.open(folder, kit=kit) as vault:
        vault.add("interests", {"name": "newer"})
    shutil.copy(folder.parent / "old", folder / rotation.NEXT)
    with Vault.open(folder, kit=kit) as vault:
        assert vault.status().items == 301


def test_attack_61_slot_under_another_kind(made: tuple[Path, str]) -> None:
    """A kit's slot called the keyring's, or the other way round, opens to neither secret."""
    folder, kit = made
    document = json.loads((folder / files.SLOTS).read_text())
    document["slots"][1]["kind"] = "keyring"
    (folder / files.SLOTS).write_bytes(canonicalize(document) + b"\n")
    refused("vault.wrong_secret", lambda: files.unlock(folder, kit=kit))
    refused("vault.slots_damaged", lambda: files.unlock(folder, passphrase=PASSPHRASE))


def members_of(backup: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(backup) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(backup: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(backup, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return backup


def bent_backup(backup: Path, change: Callable[[list[bytes]], list[bytes]]) -> Path:
    """The backup with other pages of the database, its archive whole and its checksums right."""
    members = members_of(backup)
    database = members[files.DATABASE]
    pages = [database[at : at + PAGE_SIZE] for at in range(0, len(database), PAGE_SIZE)]
    return packed(backup.with_name("bent"), members | {files.DATABASE: b"".join(change(pages))})


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "last dropped": lambda pages: pages[:-1],
    "middle dropped": lambda pages: pages[:20] + pages[21:],
    "two swapped": lambda pages: [*pages[:20], pages[21], pages[20], *pages[22:]],
    "one twice": lambda pages: [*pages[:20], pages[21], *pages[21:]],
    "one of another key": lambda pages: [*pages[:20], bytes(PAGE_SIZE), *pages[21:]],
}


def test_a_backup_packed_again_unchanged_is_taken(made: tuple[Path, str], tmp_path: Path) -> None:
    """So that what the next tests see refused is refused for its pages."""
    folder, kit = made
    with Vault.open(folder, kit=kit) as vault:
        vault.backup(tmp_path / "backup")
    bent = bent_backup(tmp_path / "backup", lambda pages: pages)
    with Vault.restore(bent, tmp_path / "again", kit=kit) as restored:
        assert restored.status().items == 300


@pytest.mark.parametrize("name", CHANGES)
def test_attack_62_backup_with_dropped_or_reordered_pages(
    made: tuple[Path, str], tmp_path: Path, name: str
) -> None:
    """Neither restored nor rehearsed, and nothing is left of it."""
    folder, kit = made
    with Vault.open(folder, kit=kit) as vault:
        vault.backup(tmp_path / "backup")
    bent = bent_backup(tmp_path / "backup", CHANGES[name])
    for act in (
        lambda: Vault.restore(bent, tmp_path / "again", kit=kit),
        lambda: rehearse(bent, kit=kit, work=tmp_path, clock=lambda: pytest.fail("a clock")),
    ):
        with pytest.raises((VaultError, DbError)) as caught:
            act()
        assert caught.value.code in {"backup.damaged", "db.damaged"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["backup", "bent", "vault"]


def test_attack_69_slots_of_another_day_in_a_backup(made: tuple[Path, str], tmp_path: Path) -> None:
    """A backup put together from an older slot file, whose passphrase somebody learnt, and the
    newer database does not restore."""
    folder, kit = made
    with Vault.open(folder, kit=kit) as vault:
        vault.backup(tmp_path / "before")
        vault.keys.change_passphrase(NEW, params=QUICK)
        vault.backup(tmp_path / "after")
    old = members_of(tmp_path / "before")[files.SLOTS]
    packed(tmp_path / "mixed", members_of(tmp_path / "after") | {files.SLOTS: old})
    refused(
        "vault.slots_old",
        lambda: Vault.restore(tmp_path / "mixed", tmp_path / "again", passphrase=PASSPHRASE),
    )
    assert not (tmp_path / "again").exists()
