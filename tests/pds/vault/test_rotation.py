"""A new data key: what opens the vault afterwards, and kill -9 at every step on the way."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from pds.db import DbError, open_encrypted
from pds.vault import files, keyslots, rotation
from pds.vault.errors import VaultError
from pds.vault.inuse import FolderLock
from pds.vault.keyslots import Argon2Params, KeyslotError
from pds.vault.service import Vault
from pds.vault.wrapping import DataKey

OLD, NEW = "four unrelated words here", "another four words here"
QUICK = Argon2Params(memory_kib=65_536)
CANARY = "Ilona-Kovacs-of-Szeged"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("template") / "vault"
    kit = Vault.create(folder, passphrase=OLD, params=QUICK)
    with Vault.open(folder, kit=kit) as vault:
        for n in range(20):
            vault.add("interests", {"name": f"{CANARY} {n}"})
    return folder, kit


@pytest.fixture
def made(template: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    shutil.copytree(template[0], tmp_path / "vault")
    return tmp_path / "vault", template[1]


def rotate(folder: Path, kit: str, keep: Callable[[str], None] = lambda _words: None) -> str:
    """Rotate with the kit as the secret; the words of the new kit."""
    shown: list[str] = []

    def take(words: str) -> None:
        shown.append(words)
        keep(words)

    with Vault.open(folder, kit=kit) as vault:
        vault.rotate_key(passphrase=NEW, params=QUICK, keep=take)
    return shown[0]


def names(folder: Path) -> set[str]:
    """The files, without what is cleared away, or kept for a bad day, by itself."""
    found = {path.name for path in folder.iterdir() if path.is_file()}
    return {name for name in found if not name.startswith(("slots.json.", files.FIRST_PAGE))}


def refused(code: str, act: Callable[[], object]) -> None:
    with pytest.raises((VaultError, KeyslotError, DbError)) as caught:
        act()
    assert caught.value.code == code


def test_new_secrets_open_it_and_old_ones_do_not(made: tuple[Path, str]) -> None:
    """The new passphrase and the new kit alone; everything is there, and the change is history."""
    folder, kit = made
    before = files.unlock(folder, kit=kit)
    words = rotate(folder, kit)
    for secret in ({"kit": words}, {"passphrase": NEW}):
        with Vault.open(folder, **secret) as vault:
            assert vault.status().items == 20
            assert vault.check() == []
            assert [way.kind for way in vault.keys.list()] == ["passphrase", "recovery"]
            assert vault.activity(limit=1)[0].kind == "data key rotated"
    for old in ({"kit": kit}, {"passphrase": OLD}):
        refused("vault.wrong_secret", lambda old=old: Vault.open(folder, **old))
    refused(
        "db.wrong_key_or_damaged",
        lambda: open_encrypted(folder / files.DATABASE, before.derive("database")),
    )
    assert names(folder) == {files.SLOTS, files.DATABASE}


def test_the_open_vault_goes_on(made: tuple[Path, str]) -> None:
    """After the rotation the same object reads and writes, under the new key."""
    folder, kit = made
    shown: list[str] = []
    with Vault.open(folder, kit=kit) as vault:
        vault.rotate_key(passphrase=NEW, params=QUICK, keep=shown.append)
        vault.add("interests", {"name": "after"})
        assert vault.keys.new_kit() != shown[0]
    with Vault.open(folder, passphrase=NEW) as vault:
        assert vault.status().items == 21


def test_this_machine_goes_on_remembering_how_far_it_was(
    made: tuple[Path, str], tmp_path: Path
) -> None:
    """Put back to before or after the rotation, with the secrets of that day: both are refused."""
    folder, kit = made
    heads, before, after = tmp_path / "heads", tmp_path / "before", tmp_path / "after"
    shown: list[str] = []
    shutil.copytree(folder, before)
    with Vault.open(folder, kit=kit, heads=heads) as vault:
        vault.add("interests", {"name": "one more"})
    with Vault.open(folder, kit=kit, heads=heads) as vault:
        vault.rotate_key(passphrase=NEW, params=QUICK, keep=shown.append)
        shutil.copytree(folder, after)
        vault.add("interests", {"name": "and another"})
    for earlier, secret in ((after, shown[0]), (before, kit)):
        shutil.rmtree(folder)
        shutil.copytree(earlier, folder)
        refused(
            "vault.rolled_back", lambda secret=secret: Vault.open(folder, kit=secret, heads=heads)
        )


def test_other_ways_in_are_gone(made: tuple[Path, str]) -> None:
    """They wrap a key that is no more, and their secrets are not at hand."""
    folder, kit = made
    with Vault.open(folder, kit=kit) as vault:
        vault.keys.add_passphrase("a third one to open it", params=QUICK)
    rotate(folder, kit)
    refused("vault.wrong_secret", lambda: Vault.open(folder, passphrase="a third one to open it"))


def test_an_old_backup_opens_with_old_secrets(made: tuple[Path, str], tmp_path: Path) -> None:
    """Which is why the product says to delete it."""
    folder, kit = made
    with Vault.open(folder, kit=kit) as vault:
        vault.backup(tmp_path / "backup")
    rotate(folder, kit)
    with Vault.restore(tmp_path / "backup", tmp_path / "again", kit=kit) as restored:
        assert restored.status().items == 20


def test_not_while_another_program_has_it_open(made: tuple[Path, str]) -> None:
    """Its writes would go to a file that is no longer the vault's."""
    folder, kit = made
    with Vault.open(folder, kit=kit):
        refused("vault.busy", lambda: rotate(folder, kit))
    with Vault.open(folder, kit=kit) as vault:
        assert vault.status().items == 20


def test_nobody_comes_in_meanwhile(made: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is alone in the folder, opening waits, then says that it is busy."""
    folder, kit = made
    monkeypatch.setattr("pds.vault.inuse._WAIT_SECONDS", 0.0)
    with FolderLock(folder) as lock:
        lock.alone()
        refused("vault.busy", lambda: Vault.open(folder, kit=kit))
        lock.together()
        Vault.open(folder, kit=kit).close()


def test_a_kit_that_cannot_be_kept_changes_nothing(made: tuple[Path, str]) -> None:
    """The printer is out of paper: the old secrets open the vault as before."""
    folder, kit = made

    def fail(_words: str) -> None:
        raise OSError(28, "no space")

    with pytest.raises(OSError, match="no space"):
        rotate(folder, kit, keep=fail)
    assert names(folder) == {files.SLOTS, files.DATABASE}
    with Vault.open(folder, passphrase=OLD) as vault:
        assert vault.status().items == 20


def test_a_full_disk_changes_nothing(
    made: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy does not get done; what was begun is removed."""
    folder, kit = made

    def full(*_: object, **__: object) -> None:
        (folder / f".{rotation.NEXT}.0123").write_bytes(b"half")
        raise DbError("full", code="db.full")

    monkeypatch.setattr(rotation, "copy_encrypted", full)
    refused("db.full", lambda: rotate(folder, kit))
    assert names(folder) == {files.SLOTS, files.DATABASE}
    Vault.open(folder, kit=kit).close()


def test_a_copy_beside_a_good_vault_is_litter(made: tuple[Path, str]) -> None:
    """Even one that the key opens, such as an old copy laid there: the vault's own file counts."""
    folder, kit = made
    shutil.copy(folder / files.DATABASE, folder.parent / "old")
    with Vault.open(folder, kit=kit) as vault:
        vault.add("interests", {"name": "newer"})
    shutil.copy(folder.parent / "old", folder / rotation.NEXT)
    Vault.open(folder, kit=kit).close()
    assert names(folder) == {files.SLOTS, files.DATABASE}
    with Vault.open(folder, kit=kit) as vault:
        assert vault.status().items == 21


def test_what_was_left_is_cleared_by_who_is_alone(
    made: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not beside another that has the folder open; and if that one clears it, nothing is to do."""
    folder, kit = made
    monkeypatch.setattr("pds.vault.inuse._WAIT_SECONDS", 0.0)
    key = files.unlock(folder, kit=kit)
    with FolderLock(folder) as mine, FolderLock(folder):
        (folder / rotation.NEXT).write_bytes(b"half")
        refused("vault.busy", lambda: rotation.settle(folder, key, mine))
        assert (folder / rotation.NEXT).exists()
        (folder / rotation.NEXT).unlink()
        rotation.settle(folder, key, mine)


def test_the_old_log_is_not_played_into_the_new_file(made: tuple[Path, str]) -> None:
    """Cut off after the slot file, with the old file's write-ahead log still there."""
    folder, kit = made
    old = files.unlock(folder, kit=kit)
    new = DataKey.generate()
    conn = files.open_database(folder, old)
    rotation.copy_encrypted(conn, folder / rotation.NEXT, new.derive("database"))
    conn.close()
    shown: list[str] = []
    keyslots.rekey(folder / files.SLOTS, old, new, passphrase=NEW, params=QUICK, keep=shown.append)
    conn = files.open_encrypted(folder / files.DATABASE, old.derive("database"))
    conn.execute("PRAGMA user_version")
    conn.execute("CREATE TABLE late (x)")
    shutil.copy(folder / "vault.db-wal", folder / "keep")
    conn.close()
    (folder / "keep").rename(folder / "vault.db-wal")
    with Vault.open(folder, kit=shown[0]) as vault:
        assert vault.status().items == 20
        assert vault.check() == []
    assert names(folder) == {files.SLOTS, files.DATABASE}


STEPS = frozenset({"fsync", "replace", "rename", "unlink", "open", "close", "flock", "execute"})


def killed_at(folder: Path, kit: str, step: int) -> tuple[bool, str]:
    """Rotate in a child that dies at the nth call of the system or the database; whether it did,
    and the words of the new kit, if it came so far."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        seen = 0

        def watch(_frame: FrameType, event: str, called: Any) -> None:
            nonlocal seen
            if event == "c_call" and called.__name__ in STEPS:
                seen += 1
                if seen == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            with Vault.open(folder, kit=kit) as vault:
                sys.setprofile(watch)
                vault.rotate_key(
                    passphrase=NEW,
                    params=QUICK,
                    keep=lambda words: void(os.write(write_end, words.encode())),
                )
                sys.setprofile(None)
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as words:
        shown = words.read()
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status), shown


def void(_: object) -> None:
    return None


def test_killed_at_every_step(made: tuple[Path, str], tmp_path: Path) -> None:
    """Exactly one set of secrets opens the vault, all of it is there and sound, and no litter is
    left once it was opened. Nothing in clear was ever in the folder."""
    folder, kit = made
    step, alive, opened = 0, True, set()
    while alive:
        step += 1
        place = tmp_path / f"step{step}"
        shutil.copytree(folder, place)
        alive, words = killed_at(place, kit, step)
        for path in (path for path in place.rglob("*") if path.is_file()):
            assert CANARY.encode() not in path.read_bytes()
        works = [secret for secret in (kit, words) if secret and opens(place, secret)]
        assert len(works) == 1, step
        opened.add("old" if works[0] == kit else "new")
        assert names(place) == {files.SLOTS, files.DATABASE}, step
        shutil.rmtree(place)
    assert opened == {"old", "new"}
    assert step > 50


def opens(folder: Path, kit: str) -> bool:
    try:
        vault = Vault.open(folder, kit=kit)
    except KeyslotError as error:
        if error.code != "vault.wrong_secret":
            raise
        return False
    with vault:
        assert vault.status().items == 20
        assert vault.check() == []
    return True


def test_the_slot_file_stays_as_documented(made: tuple[Path, str]) -> None:
    """Same vault, next epoch, two slots."""
    folder, kit = made
    before = json.loads((folder / files.SLOTS).read_text())
    rotate(folder, kit)
    after = json.loads((folder / files.SLOTS).read_text())
    assert after["vault"] == before["vault"]
    assert after["epoch"] == before["epoch"] + 1
    assert [slot["kind"] for slot in after["slots"]] == ["passphrase", "recovery"]
