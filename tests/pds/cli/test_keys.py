"""``pds key``, ``kit``, ``unlock``, ``lock``, rehearsals: the ways in, on the command line."""

import itertools
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pds.vault import slotfile, unlocked
from pds.vault.errors import VaultError
from pds.vault.wrapping import DataKey

QUICK = ("--kdf-memory", "64")
NEW = "another four words here"


def by_fd(secret: str) -> tuple[str, str]:
    """A new passphrase by descriptor."""
    reading, writing = os.pipe()
    os.write(writing, f"{secret}\n".encode())
    os.close(writing)
    return "--new-passphrase-fd", str(reading)


def words_on(page: Path) -> list[str]:
    return re.findall(r"<li>([a-z]+)</li>", page.read_text())


class Kernel:
    """The kernel's keyring, for tests: what it holds by vault."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.seconds = 0

    def remember(self, vault: str, data_key: DataKey, *, seconds: int) -> None:
        self.held[vault] = data_key.unsafe_export()
        self.seconds = seconds

    def recall(self, vault: str) -> DataKey | None:
        return DataKey(self.held[vault]) if vault in self.held else None

    def forget(self, vault: str) -> bool:
        return self.held.pop(vault, None) is not None


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    for name in ("remember", "recall", "forget"):
        monkeypatch.setattr(unlocked, name, getattr(made, name))
    return made


@pytest.fixture
def bare(cli: Any, pds: Callable[..., Any]) -> Callable[..., Any]:
    """``pds …`` on the vault, with no secret at all."""
    return lambda *arguments, **more: pds(
        "--no-input", "--vault", str(cli.vault), *arguments, **more
    )


# slots


def test_list_add_change_remove(cli: Any, passphrase: str) -> None:
    """A passphrase comes, is changed, and goes; the others stay."""
    assert cli("key", "list").out.splitlines() == ["1. passphrase, 64 MiB", "2. recovery kit"]
    told = cli.json("key", "add", "--name", "spare", *QUICK, *by_fd(NEW))
    assert told["kind"] == "passphrase"
    cli("status", PDS_PASSPHRASE=NEW)
    cli("key", "change", "spare", *QUICK, *by_fd("the third of four words"))
    cli("status", PDS_PASSPHRASE=NEW, expect=3)
    cli("status", PDS_PASSPHRASE="the third of four words")
    (third,) = [way for way in cli.json("key", "list") if way["name"] == "spare"]
    assert (third["n"], third["memoryMib"]) == (3, 64)
    assert re.match(r"20\d\d-", third["added"])
    cli("key", "remove", "3", expect=2)
    assert "spare" in cli("key", "remove", "3", "--yes").out
    cli("status", PDS_PASSPHRASE="the third of four words", expect=3)
    cli("status", PDS_PASSPHRASE=passphrase)
    cli("vault", "check")


def test_what_cannot_be_changed_or_removed(cli: Any) -> None:
    """The kit goes with a word only, the last way not at all, and what is no passphrase is told."""
    assert cli.json("key", "remove", "2", "--yes", expect=1)["code"] == "vault.last_kit"
    assert cli.json("key", "remove", "7", "--yes", expect=1)["code"] == "vault.slot_unknown"
    assert "no passphrase" in cli("key", "change", "2", *by_fd(NEW), expect=2).err
    cli("key", "add", expect=2)
    assert cli.json("key", "add", *QUICK, *by_fd("short"), expect=1)["code"] == "vault.passphrase"
    cli("key", "remove", "1", "--yes")
    assert cli.json("key", "remove", "1", "--without-kit", "--yes", expect=1)["code"] == (
        "vault.last_slot"
    )
    cli("status")


def test_a_machine_without_keyring_says_so(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, and what to do instead."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    import keyring.core

    before = keyring.core._keyring_backend
    keyring.core.init_backend()
    try:
        error = cli.json("key", "add", "--keyring", expect=1)
    finally:
        keyring.core._keyring_backend = before
    assert error["code"] == "vault.keyring"
    assert error["hint"]


# the kit


def test_a_kit_of_three_sheets(cli: Any, tmp_path: Path) -> None:
    """Any two open the vault, one says that it is not enough; the old words are done."""
    told = cli.json("kit", "--shares", "--yes")
    sheets = told["sheets"]
    assert len(sheets) == 3
    cli("status", expect=3)
    for pair in ((0, 1), (2, 0), (1, 2)):
        cli("status", PDS_KIT="\n".join(sheets[n] for n in pair))
    assert cli.json("status", PDS_KIT=sheets[0], expect=3)["code"] == "vault.kit_sheets"
    cli.kit = f"{sheets[0]} {sheets[1]}"
    text = cli("kit", "--shares", "--yes").out
    assert len(re.findall(r"^Sheet [123]$", text, re.MULTILINE)) == 3
    assert len(re.findall(r"33\. [a-z]+", text)) == 3


def test_the_known_kit_is_printed_as_it_is(cli: Any, tmp_path: Path) -> None:
    """With the words given, nothing is replaced; from two sheets the 24 words come back."""
    page = tmp_path / "kit.html"
    assert cli.json("kit", "print", str(page)) == {"kitPage": str(page), "replaced": False}
    assert words_on(page) == cli.kit.split()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    sheets = tmp_path / "sheets.html"
    ran = cli("kit", "print", "--shares", str(sheets))
    assert "delete the file" in ran.err
    assert ran.out == ""
    drawn = words_on(sheets)
    assert len(drawn) == 99
    again = tmp_path / "again.html"
    cli("kit", "print", str(again), PDS_KIT=" ".join(drawn[:33] + drawn[66:]))
    assert words_on(again) == cli.kit.split()
    cli("status")


def test_a_new_kit_is_printed_after_asking(
    cli: Any, tmp_path: Path, passphrase: str, pds: Any
) -> None:
    """With a passphrase the words of the old kit are not known, so a new one is made."""
    page = tmp_path / "kit.html"
    start = ("--json", "--vault", str(cli.vault), "kit", "print")
    assert pds(*start, str(page), PDS_PASSPHRASE=passphrase).code == 2
    assert not page.exists()
    ran = pds(*start, str(page), "--yes", PDS_PASSPHRASE=passphrase)
    assert ran.json == {"kitPage": str(page), "replaced": True}
    cli("status", expect=3)
    cli("status", PDS_KIT=" ".join(words_on(page)))
    ran = pds(*start, str(page), "--yes", PDS_PASSPHRASE=passphrase)
    assert (ran.code, "never overwritten" in ran.err) == (2, True)
    cli("status", PDS_KIT=" ".join(words_on(page)))


def test_a_page_is_not_written_into_a_text(cli: Any, tmp_path: Path) -> None:
    """HTML under the name of a text is read by nobody; it is refused before anything is asked."""
    for name in ("kit.txt", "kit", "kit.pdf"):
        ran = cli("kit", "print", str(tmp_path / name), expect=2)
        assert "end its name in .html" in ran.err
        assert not (tmp_path / name).exists()


def test_a_wrong_secret_prints_nothing(cli: Any, tmp_path: Path) -> None:
    """No file is left."""
    cli("kit", "print", str(tmp_path / "kit.html"), PDS_KIT="abandon " * 23 + "art", expect=3)
    assert not (tmp_path / "kit.html").exists()


def test_init_makes_the_page_at_once(
    tmp_path: Path, pds: Callable[..., Any], passphrase: str
) -> None:
    """A kit file whose name ends in .html is the page, with the vault's short id."""
    page, vault = tmp_path / "kit.html", tmp_path / "v"
    ran = pds("--vault", str(vault), "init", *QUICK, "--kit-file", str(page),
              PDS_PASSPHRASE=passphrase)  # fmt: skip
    assert ran.code == 0
    assert f">{slotfile.read(vault / 'slots.json').vault[:6]}<" in page.read_text()
    assert pds("--vault", str(vault), "--kit", "status", PDS_KIT=" ".join(words_on(page))).code == 0


# for a while


def test_unlock_and_lock(cli: Any, kernel: Kernel, bare: Callable[..., Any]) -> None:
    """Between the two no secret is needed; every command uses what is kept."""
    assert bare("status").code == 2
    assert re.match(r"20\d\d-", cli.json("unlock", "--for", "2h")["unlockedUntil"])
    assert kernel.seconds == 7200
    assert bare("status").code == 0
    assert bare("data", "list").code == 0
    assert bare("--json", "lock").json == {"locked": True, "wasUnlocked": True}
    assert bare("status").code == 2
    assert bare("lock").out == "It was locked.\n"


def test_what_changes_the_keys_asks_all_the_same(
    cli: Any, kernel: Kernel, bare: Callable[..., Any], tmp_path: Path
) -> None:
    """An open terminal must not be enough to shut its owner out, or to copy the kit."""
    cli("unlock")
    before = (cli.vault / "slots.json").read_bytes()
    for command in (
        ("kit", "--yes"),
        ("kit", "print", str(tmp_path / "k.html"), "--yes"),
        ("passphrase", *by_fd(NEW)),
        ("key", "add", *by_fd(NEW)),
        ("key", "change", "1", *by_fd(NEW)),
        ("key", "remove", "1", "--yes"),
        ("key", "rotate", "--yes", *by_fd(NEW)),
        ("unlock",),
    ):
        ran = bare(*command)
        assert ran.code == 2, command
        assert "passphrase is needed" in ran.err
    assert (cli.vault / "slots.json").read_bytes() == before
    assert not (tmp_path / "k.html").exists()


def test_a_given_secret_counts_before_a_kept_one(
    cli: Any, kernel: Kernel, bare: Callable[..., Any]
) -> None:
    """A wrong passphrase is wrong, whatever the kernel keeps."""
    cli("unlock")
    assert bare("status", PDS_PASSPHRASE="wrong words").code == 3


def test_a_key_of_before_the_rotation_is_forgotten(
    cli: Any, kernel: Kernel, bare: Callable[..., Any]
) -> None:
    """It opens nothing; it is dropped and the passphrase asked for."""
    cli("unlock")
    cli.kit = cli.json("key", "rotate", "--yes", *QUICK, *by_fd(NEW))["recoveryKit"]
    assert bare("status").code == 2
    assert kernel.held == {}


@pytest.mark.parametrize("text", ["0m", "13h", "15", "m", "-1m", "1d", "", "1.5h"])
def test_how_long_is_said_plainly(cli: Any, kernel: Kernel, text: str) -> None:
    """Anything else is refused before a secret is asked for."""
    cli("unlock", "--for", text, expect=2)
    assert kernel.held == {}


def test_where_nothing_can_be_kept(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain word; the commands go on asking."""

    def refuse(*_: object, **__: object) -> None:
        raise VaultError("no place", code="vault.no_keeper")

    monkeypatch.setattr(unlocked, "remember", refuse)
    assert cli.json("unlock", expect=1)["code"] == "vault.no_keeper"
    cli("status")


# rotation


def test_rotation(cli: Any, tmp_path: Path, passphrase: str) -> None:
    """New passphrase, new kit, all data; and what it does not reach is said."""
    items = cli.json("status")["items"]
    cli("key", "add", *QUICK, *by_fd("a third one to open it"))
    page = tmp_path / "kit.html"
    ran = cli("key", "rotate", "--yes", *QUICK, "--kit-file", str(page), *by_fd(NEW))
    assert "Backups made before still open" in ran.err
    assert "Other ways in are gone" in ran.err
    for old in (passphrase, "a third one to open it"):
        cli("status", PDS_PASSPHRASE=old, expect=3)
    cli("status", expect=3)
    cli.kit = " ".join(words_on(page))
    assert cli.json("status")["items"] == items
    cli("status", PDS_PASSPHRASE=NEW)
    assert "new data key" in cli("activity").out
    cli("vault", "check")
    cli("key", "rotate", expect=2)


# rehearsal


def test_the_first_backup_speaks_of_a_rehearsal(cli: Any, tmp_path: Path) -> None:
    """Until one was done; the status says when that was."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert "No restore was ever rehearsed" in cli("backup", str(first)).err
    told = cli.json("status")
    assert (told["lastRehearsal"], told["lastBackup"] is None) == (None, False)
    assert "Last rehearsed restore: never" in cli("status").out
    found = cli.json("restore", "--rehearse", str(first))
    assert found["items"]["contact"] == 1
    assert re.match(r"20\d\d-", cli.json("status")["lastRehearsal"])
    ran = cli("backup", str(second))
    assert ran.err == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first", "second", "vault"]


def test_a_backup_with_its_rehearsal(cli: Any, tmp_path: Path, passphrase: str, pds: Any) -> None:
    """At once, with the kit; without one nothing is written."""
    told = cli.json("backup", "--rehearse", str(tmp_path / "one"))
    assert told["rehearsal"]["items"]["contact"] == 1
    assert "Rehearsed: the kit restores it" in cli("backup", "--rehearse", str(tmp_path / "b")).out
    ran = pds("--vault", str(cli.vault), "backup", "--rehearse", str(tmp_path / "two"),
              PDS_PASSPHRASE=passphrase)  # fmt: skip
    assert (ran.code, (tmp_path / "two").exists()) == (2, False)


def test_a_rehearsal_needs_no_vault(cli: Any, tmp_path: Path) -> None:
    """On another machine, or with a kit that was replaced since: it proves the backup all the
    same."""
    file = tmp_path / "backup"
    cli("backup", str(file))
    found = cli.json("--vault", str(tmp_path / "no" / "vault"), "restore", "--rehearse", str(file))
    assert found["items"]["contact"] == 1
    assert not (tmp_path / "no").exists()
    old = cli.kit
    cli.kit = cli.json("kit", "--yes")["recoveryKit"]
    ran = cli("restore", "--rehearse", str(file), PDS_KIT=old)
    assert "not the vault as it is now" in ran.err
    assert cli("restore", "--rehearse", "--finish", expect=2)


def test_a_restore_from_two_sheets(cli: Any, tmp_path: Path) -> None:
    """On a new machine: the backup and any two of three."""
    sheets = cli.json("kit", "--shares", "--yes")["sheets"]
    cli.kit = f"{sheets[2]}\n{sheets[0]}"
    cli("backup", str(tmp_path / "backup"))
    place = str(tmp_path / "new")
    assert cli.json("--vault", place, "restore", str(tmp_path / "backup"))["mailboxes"] == 0
    assert cli.json("--vault", place, "status")["items"] == cli.json("status")["items"]


@pytest.fixture
def watched(cli: Any, pds_process: Callable[..., Any]) -> Callable[..., Any]:
    """Runs as a process; what it says never has a secret in it."""
    secrets = [cli.kit, NEW]

    def run(*arguments: str, **more: str) -> Any:
        ran = pds_process("--vault", str(cli.vault), *arguments, **more)
        for secret in secrets:
            assert secret not in ran.err
        return ran

    return run


def test_errors_never_have_a_secret_in_them(watched: Callable[..., Any], cli: Any) -> None:
    """Mistyped kits and sheets, as a process: the word that is wrong is not repeated."""
    typed = cli.kit.split()
    typed[7] = "qwertzu"
    ran = watched("--kit", "status", PDS_KIT=" ".join(typed))
    assert ran.code == 3
    assert "qwertzu" not in ran.out + ran.err
    ran = watched("--kit", "status", PDS_KIT=" ".join((typed * 3)[:66]))
    assert ran.code == 3
    for first, second in itertools.pairwise(typed):  # single words may be our own
        assert f"{first} {second}" not in ran.out + ran.err


def test_unlocked_for_other_processes_and_on_no_disk(
    cli: Any, pds_process: Callable[..., Any], tmp_path: Path
) -> None:
    """With the real kernel: a later process opens without a secret, until lock; no file has the
    key."""
    vault, home = ("--no-input", "--vault", str(cli.vault)), {"HOME": str(tmp_path / "home")}
    ran = pds_process("--json", *vault, "--kit", "unlock", "--for", "1m", PDS_KIT=cli.kit, **home)
    if ran.code:
        assert ran.error["code"] == "vault.no_keeper"
        pytest.skip("left out: no kernel keyring that may be used here")
    try:
        key = unlocked.recall(slotfile.read(cli.vault / "slots.json").vault)
        assert key is not None
        assert pds_process(*vault, "status", **home).code == 0
        secret = key.unsafe_export()
        for file in (path for path in tmp_path.rglob("*") if path.is_file()):
            content = file.read_bytes()
            assert secret not in content
            assert secret.hex().encode() not in content
    finally:
        assert pds_process(*vault, "lock", **home).out == "Locked.\n"
    assert pds_process(*vault, "status", **home).code == 2
