"""The ways in as a holder handles them; the keyrings of system and kernel; locking by itself."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import keyring
import keyring.errors
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring

from pds.vault import files, keyslots, osring, unlocked
from pds.vault.errors import VaultError
from pds.vault.keys import MAX_NAME
from pds.vault.keyslots import Argon2Params, KeyslotError
from pds.vault.service import Vault
from pds.vault.wrapping import DataKey

PASSPHRASE, SECOND = "four unrelated words here", "another four words here"
QUICK = Argon2Params(memory_kib=65_536)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("template") / "vault"
    return folder, Vault.create(folder, passphrase=PASSPHRASE, params=QUICK)


@pytest.fixture
def folder(template: tuple[Path, str], tmp_path: Path) -> Path:
    shutil.copytree(template[0], tmp_path / "vault")
    return tmp_path / "vault"


@pytest.fixture
def kit(template: tuple[Path, str]) -> str:
    return template[1]


@pytest.fixture
def vault(folder: Path, kit: str) -> Iterator[Vault]:
    with Vault.open(folder, kit=kit) as opened:
        yield opened


def refused(code: str, act: Callable[[], object]) -> None:
    with pytest.raises((VaultError, KeyslotError)) as caught:
        act()
    assert caught.value.code == code


class Ring(KeyringBackend):
    """A system's keyring, in memory."""

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def _open(self) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")

    def get_password(self, service: str, username: str) -> str | None:
        self._open()
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._open()
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._open()
        del self.held[service, username]


class InClear(Ring):
    """One that writes secrets in clear, as the library rates it."""

    priority = 0.5  # type: ignore[assignment]


@pytest.fixture
def ring() -> Iterator[Ring]:
    before, made = keyring.get_keyring(), Ring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


# passphrases and the kit


def test_a_second_passphrase_opens_too(vault: Vault, folder: Path) -> None:
    """Under its own name, with its date; the first goes on opening."""
    way = vault.keys.add_passphrase(SECOND, name="Péter", params=QUICK)
    assert (way.kind, way.name, way.memory_kib) == ("passphrase", "Péter", 65_536)
    assert way.added is not None
    assert [w.name for w in vault.keys.list()] == ["", "", "Péter"]
    for secret in (PASSPHRASE, SECOND):
        assert files.unlock(folder, passphrase=secret)


def test_one_passphrase_is_changed_the_others_stay(vault: Vault, folder: Path) -> None:
    """With its place and its name."""
    way = vault.keys.add_passphrase(SECOND, name="Péter", params=QUICK)
    vault.keys.change_passphrase("the third of four words", slot_id=way.id, params=QUICK)
    assert [w.name for w in vault.keys.list()] == ["", "", "Péter"]
    assert files.unlock(folder, passphrase=PASSPHRASE)
    assert files.unlock(folder, passphrase="the third of four words")
    refused("vault.wrong_secret", lambda: files.unlock(folder, passphrase=SECOND))


def test_changing_all_leaves_one(vault: Vault, folder: Path) -> None:
    """Without a name it replaces every passphrase."""
    vault.keys.add_passphrase(SECOND, params=QUICK)
    vault.keys.change_passphrase("the third of four words", params=QUICK)
    assert sorted(w.kind for w in vault.keys.list()) == ["passphrase", "recovery"]
    for gone in (PASSPHRASE, SECOND):
        refused("vault.wrong_secret", lambda gone=gone: files.unlock(folder, passphrase=gone))


def test_a_way_in_is_found_by_number_name_or_id(vault: Vault) -> None:
    """And by nothing else; a name that two have is none."""
    keys = vault.keys
    way = keys.add_passphrase(SECOND, name="spare", params=QUICK)
    assert keys.find("3") == keys.find("spare") == keys.find(way.id) == way
    for name in ("0", "4", "", "nobody", "１", "999999999"):
        refused("vault.slot_unknown", lambda name=name: keys.find(name))


def test_the_kit_is_not_removed_by_accident(vault: Vault, folder: Path, kit: str) -> None:
    """It takes a word that says what it means; then it opens nothing any more."""
    recovery = next(w for w in vault.keys.list() if w.kind == "recovery")
    refused("vault.last_kit", lambda: vault.keys.remove(recovery.id))
    assert files.unlock(folder, kit=kit)
    vault.keys.remove(recovery.id, without_kit=True)
    refused("vault.wrong_secret", lambda: files.unlock(folder, kit=kit))


def test_the_last_way_in_stays(vault: Vault, folder: Path, ring: Ring) -> None:
    """The only one; and the only one that is not this machine's keyring."""
    passphrase, recovery = vault.keys.list()
    vault.keys.remove(recovery.id, without_kit=True)
    refused("vault.last_slot", lambda: vault.keys.remove(passphrase.id))
    vault.keys.add_keyring()
    refused("vault.last_slot", lambda: vault.keys.remove(passphrase.id))
    assert files.unlock(folder, passphrase=PASSPHRASE)


def test_a_kit_that_cannot_be_kept_leaves_the_old_one(vault: Vault, folder: Path, kit: str) -> None:
    """The words go out first; then the slot is changed."""

    def fail(_words: str) -> None:
        raise OSError("no paper")

    with pytest.raises(OSError, match="no paper"):
        vault.keys.new_kit(keep=fail)
    assert files.unlock(folder, kit=kit)
    words = vault.keys.new_kit()
    refused("vault.wrong_secret", lambda: files.unlock(folder, kit=kit))
    assert files.unlock(folder, kit=words)


def test_changes_are_history_and_have_no_secret_in_it(vault: Vault) -> None:
    """What was done, to which way in; never a name or a secret."""
    way = vault.keys.add_passphrase(SECOND, name="for Péter", params=QUICK)
    vault.keys.remove(way.id)
    lines = vault.activity(limit=2)
    assert [line.detail.get("verb") for line in lines] == ["way in removed", "way in added"]
    assert "Péter" not in json.dumps([line.detail for line in lines])


@pytest.mark.parametrize("name", ["x" * (MAX_NAME + 1), "two\nlines", "\x1b[2J"])
def test_names_that_cannot_be_shown(vault: Vault, name: str) -> None:
    """Refused before anything is written."""
    refused("vault.slot_name", lambda: vault.keys.add_passphrase(SECOND, name=name, params=QUICK))
    assert len(vault.keys.list()) == 2


def test_names_are_not_in_the_slot_file(vault: Vault, folder: Path) -> None:
    """It lies in clear; what a person calls a way in is personal."""
    vault.keys.add_passphrase(SECOND, name="Ilona", params=QUICK)
    assert "Ilona" not in (folder / files.SLOTS).read_text()


# the system's keyring


def test_the_keyring_opens_the_vault(vault: Vault, folder: Path, ring: Ring) -> None:
    """It holds 32 random bytes under the slot's id; the slot file has none of them."""
    way = vault.keys.add_keyring(name="laptop")
    ((service, name), secret) = next(iter(ring.held.items()))
    assert (service, name, len(secret)) == (osring.SERVICE, way.id, 64)
    assert secret not in (folder / files.SLOTS).read_text()
    key = osring.unlock(folder / files.SLOTS)
    assert key is not None
    vault.close()
    with Vault.open(folder, data_key=key) as opened:
        assert [w.kind for w in opened.keys.list()] == ["passphrase", "recovery", "keyring"]


def test_a_keyring_without_our_secret(vault: Vault, folder: Path, ring: Ring) -> None:
    """Another machine's slot, nonsense, or another secret: it does not open, and says nothing."""
    assert osring.unlock(folder / files.SLOTS) is None
    way = vault.keys.add_keyring()
    for held in ("", "zz", "00", "00" * 32):
        ring.held[osring.SERVICE, way.id] = held
        assert osring.unlock(folder / files.SLOTS) is None
    ring.held.clear()
    assert osring.unlock(folder / files.SLOTS) is None


def test_several_machines_have_a_slot_each(vault: Vault, folder: Path, ring: Ring) -> None:
    """The one whose secret is here is found."""
    vault.keys.add_keyring(name="old laptop")
    ring.held.clear()
    vault.keys.add_keyring(name="new laptop")
    assert osring.unlock(folder / files.SLOTS) is not None


def test_removing_takes_the_secret_out_of_the_keyring(
    vault: Vault, folder: Path, ring: Ring
) -> None:
    """Slot and secret go together; a secret that is gone already is no trouble."""
    way = vault.keys.add_keyring()
    vault.keys.remove(way.id)
    assert ring.held == {}
    way = vault.keys.add_keyring()
    ring.held.clear()
    vault.keys.remove(way.id)
    assert len(vault.keys.list()) == 2


def test_a_keyring_that_refuses_leaves_no_slot(vault: Vault, ring: Ring) -> None:
    """Locked, or in clear: nothing is added."""
    ring.locked = True
    refused("vault.keyring", vault.keys.add_keyring)
    keyring.set_keyring(InClear())
    refused("vault.keyring", vault.keys.add_keyring)
    keyring.set_keyring(NoKeyring())
    refused("vault.keyring", vault.keys.add_keyring)
    assert len(vault.keys.list()) == 2


def test_without_the_library(
    vault: Vault, folder: Path, ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra was not installed: a plain word, where a slot asks for it."""
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    assert osring.unlock(folder / files.SLOTS) is None  # no such slot: it is not even looked for
    refused("vault.keyring", vault.keys.add_keyring)


# the kernel's keyring


def kernel_keeps() -> bool:
    name = f"test-probe-{os.getpid()}"  # other processes of these tests try it at the same moment
    try:
        unlocked.remember(name, DataKey(bytes(range(32))), seconds=60)
    except VaultError:
        return False
    return unlocked.forget(name)


needs_kernel = pytest.mark.skipif(
    not kernel_keeps(), reason="left out: no kernel keyring that may be used here"
)


@needs_kernel
def test_the_kernel_keeps_the_key_until_it_is_told(vault: Vault, folder: Path) -> None:
    """What comes back is the key; afterwards nothing does."""
    name = vault.keys.vault_id
    vault.stay_unlocked(60)
    try:
        key = unlocked.recall(name)
        assert key is not None
        assert keyslots.epoch(folder / files.SLOTS, key) == 1
    finally:
        assert unlocked.forget(name)
    assert unlocked.recall(name) is None
    assert not unlocked.forget(name)


@needs_kernel
def test_the_kernel_is_told_when_to_forget(vault: Vault) -> None:
    """The time is the kernel's to keep: it is shown in its own list of keys."""
    name = vault.keys.vault_id
    vault.stay_unlocked(7 * 60)
    try:
        lines = Path("/proc/keys").read_text().splitlines()
        # Those that were forgotten a moment ago may still be listed.
        shown = [line.split()[3:5] for line in lines if f"pds:v1:{name}" in line]
        assert ["6m", "3f0b0000"] in shown or ["7m", "3f0b0000"] in shown
    finally:
        unlocked.forget(name)


def test_where_the_kernel_keeps_nothing(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another system, another machine: a plain word, and nothing is ever found."""
    monkeypatch.setattr(unlocked, "_CALLS", {})
    refused("vault.no_keeper", lambda: vault.stay_unlocked(60))
    assert unlocked.recall(vault.keys.vault_id) is None
    assert not unlocked.forget(vault.keys.vault_id)


# locking


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def open_idle(folder: Path, kit: str, clock: Clock) -> Vault:
    return Vault.open(folder, kit=kit, auto_lock_after=timedelta(minutes=15), idle_clock=clock)


def test_an_unused_vault_locks_itself(folder: Path, kit: str) -> None:
    """After the time without a verb; each verb begins it anew."""
    clock = Clock()
    vault = open_idle(folder, kit, clock)
    for _ in range(3):
        clock.at += 899
        assert not vault.lock_if_idle()
        vault.status()
    clock.at += 900
    refused("vault.locked", vault.status)
    clock.at -= 900
    refused("vault.locked", vault.status)


def test_looking_whether_it_is_idle_is_no_use_of_it(folder: Path, kit: str) -> None:
    """A timer that asks every minute does not keep it open."""
    clock = Clock()
    vault = open_idle(folder, kit, clock)
    for _ in range(15):
        assert not vault.lock_if_idle()
        clock.at += 60
    assert vault.lock_if_idle()


def test_without_a_time_it_stays_open(folder: Path, kit: str) -> None:
    """The command line closes it by itself."""
    clock = Clock()
    with Vault.open(folder, kit=kit, idle_clock=clock) as vault:
        clock.at += 1e9
        assert not vault.lock_if_idle()
        vault.status()


def test_what_is_locked_holds_no_key(folder: Path, kit: str) -> None:
    """The key is overwritten, the database closed, the folder free for others; twice is as well."""
    vault = Vault.open(folder, kit=kit)
    key = vault._data_key
    raw = key._raw
    assert any(raw)
    vault.close()
    vault.close()
    assert raw == bytes(32)
    refused("vault.locked", lambda: key.derive("database"))
    refused("vault.locked", key.unsafe_export)
    refused("vault.locked", lambda: vault.keys)
    refused("vault.locked", lambda: vault.add("interests", {"name": "x"}))
    assert repr(key) == "DataKey()"
    assert not (folder / "vault.db-wal").exists()
    with Vault.open(folder, kit=kit) as again:
        again.rotate_key(passphrase=SECOND, params=QUICK, keep=lambda _words: None)
