"""Making, opening, checking, backing up and restoring a vault; and every way it can be damaged."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pds.cli.vault import trust_line
from pds.db import open_encrypted, transaction
from pds.vault import files

QUICK = ("--kdf-memory", "64")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# making


def test_init_shows_the_kit_in_a_grid(
    tmp_path: Path, pds: Callable[..., Any], passphrase: str
) -> None:
    """For people: 24 numbered words on stdout, what to do next on stderr."""
    ran = pds("--vault", str(tmp_path / "v"), "init", *QUICK, PDS_PASSPHRASE=passphrase)
    assert ran.code == 0
    assert len(re.findall(r"\d+\. [a-z]+", ran.out)) == 24
    assert "pds data import" in ran.err
    assert stat.S_IMODE((tmp_path / "v").stat().st_mode) == 0o700
    for name in ("slots.json", "vault.db"):
        assert stat.S_IMODE((tmp_path / "v" / name).stat().st_mode) == 0o600


def test_init_warns_of_a_short_passphrase_and_refuses_an_empty_one(
    tmp_path: Path, pds: Callable[..., Any]
) -> None:
    """Short is the person's choice and has to be said; empty is a mistake."""
    init = ("--vault", str(tmp_path / "v"), "init", *QUICK)
    for wrong, more in (("short", ()), ("", ()), ("", ("--weak-passphrase",))):
        ran = pds(*init, *more, PDS_PASSPHRASE=wrong)
        assert ran.code == 1
        assert "[vault.passphrase]" in ran.err
        assert list(tmp_path.iterdir()) == []
    ran = pds(*init, "--weak-passphrase", PDS_PASSPHRASE="short")
    assert ran.code == 0
    assert "is short" in ran.err


def test_init_says_where_the_vault_lies(
    tmp_path: Path, pds: Callable[..., Any], passphrase: str
) -> None:
    """The folder, on stderr."""
    ran = pds("--vault", str(tmp_path / "v"), "init", *QUICK, PDS_PASSPHRASE=passphrase)
    assert f"The vault is ready in {tmp_path / 'v'}\n" in ran.err


def test_what_is_missing_is_said_before_a_secret_is_asked_for(
    tmp_path: Path, pds: Callable[..., Any]
) -> None:
    """No vault there, no backup there, something in the way: no passphrase is needed to say so."""
    vault = ("--json", "--vault", str(tmp_path / "v"))
    assert pds(*vault, "status").error["code"] == "vault.missing"
    assert pds(*vault, "--kit", "status").error["code"] == "vault.missing"
    assert pds(*vault, "restore", str(tmp_path / "none")).error["code"] == "backup.missing"
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "letter").write_text("dear")
    assert pds(*vault, "restore", str(tmp_path / "none")).error["code"] == "vault.exists"


def test_a_ca_file_has_to_be_there(
    tmp_path: Path, pds: Callable[..., Any], passphrase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said when it is named, not when the first company cannot be found; kept as a whole path."""
    monkeypatch.chdir(tmp_path)
    trust = ("--sandbox", "--dev-trust", "shop.example=127.0.0.1:1,ca.pem")
    init = ("--vault", str(tmp_path / "v"), "init", *QUICK, *trust)
    ran = pds(*init, PDS_PASSPHRASE=passphrase)
    assert ran.code == 2
    assert "The CA file that --dev-trust names is not there" in ran.err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "ca.pem").write_text("")
    assert pds(*init, PDS_PASSPHRASE=passphrase).code == 0
    assert trust_line(trust[2]) == f"shop.example=127.0.0.1:1,{tmp_path / 'ca.pem'}"


def test_init_twice_is_refused(cli: Any) -> None:
    """The vault that is there stays as it is, byte for byte."""
    before = _contents(cli.vault)
    error = cli.json("init", *QUICK, expect=1, PDS_PASSPHRASE="another one here")
    assert error["code"] == "vault.exists"
    assert _contents(cli.vault) == before
    assert [p.name for p in cli.vault.parent.iterdir()] == ["vault"]


def test_init_writes_the_kit_to_a_new_file_only(
    tmp_path: Path, pds: Callable[..., Any], passphrase: str
) -> None:
    """The file is for its owner's eyes, is taken first, and is never one that was there."""
    kit, vault = tmp_path / "kit.txt", tmp_path / "v"
    start = ("--json", "--vault", str(vault), "init", *QUICK, "--kit-file")
    ran = pds(*start, str(tmp_path / "none" / "kit.txt"), PDS_PASSPHRASE=passphrase)
    assert (ran.code, ran.error["code"], vault.exists()) == (1, "file.missing", False)
    ran = pds(*start, str(kit), PDS_PASSPHRASE="")
    assert (ran.code, kit.exists(), vault.exists()) == (1, False, False)
    ran = pds(*start, str(kit), PDS_PASSPHRASE=passphrase)
    assert ran.json == {"vault": str(vault), "kitFile": str(kit)}
    assert stat.S_IMODE(kit.stat().st_mode) == 0o600
    words = kit.read_text().strip()
    assert len(words.split()) == 24
    assert pds("--vault", str(vault), "--kit", "status", PDS_KIT=words).code == 0
    ran = pds("--vault", str(tmp_path / "w"), "init", *QUICK, "--kit-file", str(kit),
              PDS_PASSPHRASE=passphrase)  # fmt: skip
    assert ran.code == 2
    assert kit.read_text().strip() == words
    assert not (tmp_path / "w").exists()


def test_development_hosts_need_a_sandbox(
    tmp_path: Path, pds: Callable[..., Any], passphrase: str
) -> None:
    """A live vault never trusts a throwaway authority; nothing is made."""
    ran = pds(
        "--json", "--vault", str(tmp_path / "v"), "init", *QUICK, "--dev-trust",
        "shop.example=127.0.0.1:1,ca.pem", PDS_PASSPHRASE=passphrase,
    )  # fmt: skip
    assert (ran.code, ran.error["code"]) == (1, "vault.dev_trust")
    assert list(tmp_path.iterdir()) == []


def test_a_token_file_is_read_before_anything_is_made(
    tmp_path: Path, pds: Callable[..., Any], passphrase: str
) -> None:
    """The relay's token goes into the vault; a missing file makes no vault."""
    token = tmp_path / "token"
    arguments = ("--vault", str(tmp_path / "v"), "init", *QUICK, "--relay",
                 "https://relay.example", "--relay-token-file", str(token))  # fmt: skip
    assert pds(*arguments, PDS_PASSPHRASE=passphrase).code == 2
    assert list(tmp_path.iterdir()) == []
    token.write_text("secret\n")
    assert pds(*arguments, PDS_PASSPHRASE=passphrase).code == 0


# secrets


def test_secrets_come_by_descriptor_or_environment(
    template: Any, passphrase: str, pds_process: Callable[..., Any]
) -> None:
    """A passphrase by descriptor, one by environment, and the kit by descriptor all open it."""
    base = ("--json", "--no-input", "--vault", str(template.vault))

    def through_pipe(secret: str, option: str) -> Any:
        reading, writing = os.pipe()
        os.write(writing, secret.encode() + b"\n")
        os.close(writing)
        try:
            return pds_process(*base, option, str(reading), "status", pass_fds=(reading,))
        finally:
            os.close(reading)

    assert through_pipe(passphrase, "--passphrase-fd").json["unlocked"]
    assert through_pipe(template.kit, "--kit-fd").json["unlocked"]
    assert pds_process(*base, "status", PDS_PASSPHRASE=passphrase).json["unlocked"]
    assert pds_process(*base, "--passphrase-fd", "0", "status", stdin=passphrase.encode()).code == 0
    closed = pds_process(*base, "--passphrase-fd", "77", "status")
    assert (closed.code, closed.error["code"]) == (2, "usage")


@pytest.mark.parametrize("secret", ["wr0ng one", "Four unrelated words here", ""])
def test_a_wrong_passphrase(secret: str, template: Any, pds: Callable[..., Any]) -> None:
    """Exit code 3, one sentence, and the secret is not in it."""
    before = _contents(template.vault)
    ran = pds("--json", "--vault", str(template.vault), "status", PDS_PASSPHRASE=secret)
    assert ran.code in ({3} if secret else {1, 3})
    assert ran.error["code"] in ({"vault.wrong_secret"} if secret else {"vault.passphrase"})
    assert not secret or secret not in ran.err
    assert _contents(template.vault) == before


def test_a_mistyped_kit(template: Any, pds: Callable[..., Any]) -> None:
    """The position of a wrong word is named, the word is not; each mistake has its sentence."""
    words = template.kit.split()
    # Some words of kits are words of our sentences: "order", "other".
    ours = (Path(__file__).parents[3] / "pds" / "vault" / "kit.py").read_text()
    telling = ["canaryword", *(w for w in words if len(w) > 4 and f" {w} " not in ours)]

    def attempt(typed: list[str]) -> Any:
        ran = pds("--vault", str(template.vault), "--kit", "status", PDS_KIT=" ".join(typed))
        assert ran.code == 3
        assert not [w for w in telling if f" {w} " in ran.err]
        return ran.err

    assert "Word 7 is not a word of recovery kits.  [vault.kit_words]" in attempt(
        [*words[:6], "canaryword", *words[7:]]
    )
    assert "23 were given.  [vault.kit_words]" in attempt(words[:-1])
    other = "zoo" if words[0] != "zoo" else "abandon"
    swapped = attempt([other, *words[1:]])
    assert "[vault.kit_checksum]" in swapped or "[vault.wrong_secret]" in swapped
    foreign = ["abandon"] * 23 + ["art"]
    assert "[vault.wrong_secret]" in attempt(foreign)
    assert pds(
        "--vault", str(template.vault), "--kit", "status", PDS_KIT=template.kit.upper()
    ).code == 0  # fmt: skip


def test_changing_the_passphrase(cli: Any, passphrase: str) -> None:
    """The new one opens the vault, the old one does not, the kit still does."""
    reading, writing = os.pipe()
    os.write(writing, b"the new words of today\n")
    os.close(writing)
    assert cli.json("passphrase", *QUICK, "--new-passphrase-fd", str(reading)) == {"changed": True}
    cli("status", PDS_PASSPHRASE="the new words of today")
    cli("status", PDS_PASSPHRASE=passphrase, expect=3)
    cli("status")
    cli("passphrase", expect=2)
    reading, writing = os.pipe()
    os.write(writing, b"short\n")
    os.close(writing)
    error = cli.json("passphrase", *QUICK, "--new-passphrase-fd", str(reading), expect=1)
    assert error["code"] == "vault.passphrase"


def test_replacing_the_kit(cli: Any) -> None:
    """Asks first; then the old words open nothing any more."""
    cli("kit", expect=2)
    cli("status")
    new = cli.json("kit", "--yes")["recoveryKit"]
    assert len(new.split()) == 24
    cli("status", expect=3)
    cli.kit = new
    assert re.search(r"24\. \w+", cli("kit", "--yes").out)


# looking


def test_status(cli: Any) -> None:
    """How the vault is, for people and for programs."""
    told = cli.json("status")
    assert told["unlocked"]
    assert told["sandbox"]
    assert told["items"] > 10
    assert (told["relay"], told["lastSync"], told["liveGrants"]) == (None, None, 0)
    text = cli("status").out
    assert f"{told['items']} items" in text
    assert "sandbox" in text


def test_activity(cli: Any) -> None:
    """Newest first, and at most as many as asked for."""
    lines = cli.json("activity")
    assert [line["kind"] for line in lines] == ["imported", "imported"]
    assert lines[0]["n"] > lines[1]["n"]
    assert len(cli.json("activity", "--limit", "1")) == 1
    assert "You imported " in cli("activity").out


def test_activity_of_items_in_sentences(cli: Any) -> None:
    """An addition, a correction and a deletion say of what, and never repeat the contents."""
    item = cli.json("data", "add", "interests", "name=Canary")["id"]
    cli("data", "edit", item, "name=Canary two")
    cli("data", "delete", item, "--yes")
    text = cli("activity").out
    for words in ("added an item: ", "corrected an item: ", "deleted an item: "):
        assert f"You {words}Interest" in text, text
    assert "Canary" not in text


def test_nothing_has_happened_yet(tmp_path: Path, pds: Callable[..., Any], passphrase: str) -> None:
    """An empty log says that it is empty."""
    vault = ("--vault", str(tmp_path / "v"))
    pds(*vault, "init", *QUICK, PDS_PASSPHRASE=passphrase)
    assert pds(*vault, "activity", PDS_PASSPHRASE=passphrase).out == "Nothing has happened yet.\n"


def test_a_sound_vault_is_sound(cli: Any) -> None:
    """Every page and the history."""
    assert cli.json("vault", "check") == {
        "sound": True, "problems": [], "lost": [], "mended": False, "attachments": []
    }  # fmt: skip
    assert cli("vault", "check").out == "The vault is sound.\n"


# not a vault


@pytest.mark.parametrize("make", ["nothing", "empty", "foreign"])
def test_a_folder_that_is_no_vault(
    make: str, tmp_path: Path, pds: Callable[..., Any], passphrase: str
) -> None:
    """Said plainly, and nothing is made there."""
    folder = tmp_path / "v"
    if make != "nothing":
        folder.mkdir()
    if make == "foreign":
        (folder / "letter.txt").write_text("dear")
    ran = pds("--json", "--vault", str(folder), "status", PDS_PASSPHRASE=passphrase)
    assert (ran.code, ran.error["code"]) == (1, "vault.missing")
    assert "pds init" in ran.error["hint"]
    assert folder.exists() == (make != "nothing")
    assert make != "foreign" or _contents(folder) == {"letter.txt": b"dear"}


def _truncate(vault: Path) -> None:
    os.truncate(vault / "vault.db", 8192)


def _flip(vault: Path, page: int) -> None:
    raw = bytearray((vault / "vault.db").read_bytes())
    raw[4096 * page + 100] ^= 1
    (vault / "vault.db").write_bytes(raw)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "database truncated": (_truncate, "db.damaged"),
    "database empty": (lambda v: os.truncate(v / "vault.db", 0), "db.damaged"),
    "database missing": (lambda v: (v / "vault.db").unlink(), "db.missing"),
    "database of noise": (
        lambda v: (v / "vault.db").write_bytes(bytes(range(256)) * 64),
        "db.wrong_key_or_damaged",
    ),
    "database in clear": (
        lambda v: (v / "vault.db").write_bytes(b"SQLite format 3\0" + bytes(8176)),
        "db.plaintext",
    ),
    "one byte of the first page": (lambda v: _flip(v, 0), "db.wrong_key_or_damaged"),
    "slots missing": (lambda v: (v / "slots.json").unlink(), "vault.slots_missing"),
    "slots empty": (lambda v: os.truncate(v / "slots.json", 0), "vault.slots_damaged"),
    "slots cut": (lambda v: os.truncate(v / "slots.json", 300), "vault.slots_damaged"),
    "slots changed": (
        lambda v: (
            (v / "slots.json").write_text(
                (v / "slots.json").read_text().replace('"epoch":1', '"epoch":9')
            )
            and None
        ),
        "vault.slots_damaged",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_vault(name: str, cli: Any) -> None:
    """Each damage has a code and a hint, ends with 1, and nothing is written over it."""
    damage, code = DAMAGE[name]
    damage(cli.vault)
    before = _contents(cli.vault)
    for arguments in (("status",), ("vault", "check"), ("data", "add", "note", "text=x")):
        error = cli.json(*arguments, expect=1)
        assert error["code"] == code
        assert error["hint"]
    assert _contents(cli.vault) == before


def test_one_flipped_byte_anywhere_is_found(cli: Any) -> None:
    """Whatever page it is on, ``vault check`` ends with 1 and says so; it is never a defect."""
    whole = (cli.vault / "vault.db").read_bytes()
    for page in range(len(whole) // 4096):
        _flip(cli.vault, page)
        for end in ("-wal", "-shm"):
            (cli.vault / f"vault.db{end}").unlink(missing_ok=True)
        ran = cli("--json", "vault", "check", expect=1)
        assert ran.json["problems"] if ran.out else ran.error["code"].startswith("db.")
        (cli.vault / "vault.db").write_bytes(whole)
    cli("vault", "check")


def _database(cli: Any) -> Any:
    key = files.unlock(cli.vault, kit=cli.kit)
    return open_encrypted(cli.vault / "vault.db", key.derive("database"))


def test_a_vault_of_a_newer_version_is_left_alone(cli: Any) -> None:
    """An older program says so and touches nothing."""
    conn = _database(cli)
    conn.execute("PRAGMA user_version = 999")
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    before = _contents(cli.vault)
    for arguments in (("status",), ("data", "add", "note", "text=x"), ("sync",)):
        error = cli.json(*arguments, expect=2)
        assert error["code"] == "db.newer"
        assert error["hint"]
    assert _contents(cli.vault) == before


@contextmanager
def _writing(cli: Any) -> Iterator[None]:
    conn = _database(cli)
    try:
        with transaction(conn):
            yield
    finally:
        conn.close()


def test_a_vault_that_another_process_writes_to(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading goes on; a second writer waits a while, then says busy with exit code 4."""
    monkeypatch.setattr("pds.db.connection.BUSY_TIMEOUT_MS", 100)
    items = cli.json("status")["items"]
    with _writing(cli):
        assert cli.json("status")["items"] == items
        error = cli.json("data", "add", "note", "text=x", expect=4)
        assert error["code"] == "db.busy"
        assert error["hint"]
        assert cli.json("vault", "check", expect=4)["code"] == "db.busy"
    assert cli.json("status")["items"] == items
    cli("data", "add", "note", "text=x")


def test_two_writers_at_once_both_get_through(cli: Any) -> None:
    """Real processes: the second waits for the first; no item is lost."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PDS_")}
    env |= {"PDS_VAULT": str(cli.vault), "PDS_KIT": cli.kit}
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "pds.cli.main", "--kit", "data", "add", "note", f"text=n{n}"],
            env=env,
            stdout=subprocess.DEVNULL,
        )
        for n in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len(cli.json("data", "list", "note")) == 4
    cli("vault", "check")


# backups


def test_backup_and_restore(cli: Any, tmp_path: Path, passphrase: str) -> None:
    """A backup opens with the kit and with the passphrase, and holds everything."""
    items = cli.json("status")["items"]
    file = tmp_path / "backup.pds"
    told = cli.json("backup", str(file))
    assert told == {"file": str(file), "bytes": file.stat().st_size, "leftOut": []}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for name, more in (("by-kit", {}), ("by-passphrase", {"PDS_PASSPHRASE": passphrase})):
        place = str(tmp_path / name)
        restored = cli.json("--vault", place, "restore", str(file), **more)
        assert (restored["mailboxes"], restored["items"]) == (0, items)
        assert restored["newest"] == cli.json("activity", "--limit", "2")[-1]["at"]
        assert [way["kind"] for way in restored["opensWith"]] == ["passphrase", "recovery"]
        assert cli.json("--vault", place, "status")["items"] == items
    assert "Backed up" in cli("backup", str(tmp_path / "second")).out
    told = cli("--vault", str(tmp_path / "third"), "restore", str(file)).out
    for part in ("Restored into", f"{items} items, the newest entry of 20", "recovery kit"):
        assert part in told


def test_a_backup_is_never_written_over_anything(cli: Any, tmp_path: Path) -> None:
    """An existing file, a missing folder: refused, and no draft is left."""
    file = tmp_path / "backup.pds"
    file.write_text("mine")
    assert cli.json("backup", str(file), expect=1)["code"] == "backup.exists"
    assert file.read_text() == "mine"
    assert cli.json("backup", str(tmp_path / "no" / "b"), expect=1)["code"] == "file.missing"
    cli("backup", str(tmp_path), expect=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["backup.pds", "vault"]


def test_what_cannot_be_restored(cli: Any, tmp_path: Path) -> None:
    """Over an existing vault, from nothing, from noise, from half a backup, with a wrong secret:
    each has its code, and nothing is left."""
    file = tmp_path / "backup.pds"
    cli("backup", str(file))
    before = _contents(cli.vault)
    assert cli.json("restore", str(file), expect=1)["code"] == "vault.exists"
    assert _contents(cli.vault) == before
    new = ("--vault", str(tmp_path / "new"), "restore")
    assert cli.json(*new, str(tmp_path / "none"), expect=1)["code"] == "backup.missing"
    noise, half = tmp_path / "noise", tmp_path / "half"
    noise.write_bytes(b"noise" * 1000)
    half.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert cli.json(*new, str(noise), expect=1)["code"] == "backup.damaged"
    assert cli.json(*new, str(half), expect=1)["code"] == "backup.damaged"
    wrong = cli.json(*new, str(file), expect=3, PDS_PASSPHRASE="wrong words")
    assert wrong["code"] == "vault.wrong_secret"
    assert "does not open the backup" in wrong["message"]
    assert "of the day" in wrong["hint"]
    assert cli.json(*new, str(file), expect=3, PDS_KIT="abandon")["code"] == "vault.kit_words"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["backup.pds", "half", "noise", "vault"]


def test_finishing_what_was_not_begun(cli: Any) -> None:
    """A vault that is not being restored is not compared again."""
    ran = cli("restore", "--finish", expect=2)
    assert "not waiting" in ran.err


def test_a_restore_without_its_relay_waits(
    cli: Any, tmp_path: Path, relay: str, free_port: Callable[[], int]
) -> None:
    """The data is there, nothing is sent, and the person is told how to go on: exit code 4."""
    away = f"http://127.0.0.1:{free_port()}"
    cli("relay", "use", away)
    file, place = tmp_path / "backup.pds", str(tmp_path / "new")
    cli("backup", str(file))
    ran = cli("--vault", place, "restore", str(file), expect=4)
    assert "[relay.unreachable]" in ran.err
    assert "pds restore --finish" in ran.err
    assert cli.json("--vault", place, "status")["restoring"]
    assert "not yet compared" in cli("--vault", place, "status").out
    refused = cli.json("--vault", place, "sync", expect=1)
    assert (refused["code"], "restore --finish" in refused["hint"]) == ("vault.restoring", True)
    assert cli.json("--vault", place, "restore", "--finish", expect=4)["code"] == (
        "relay.unreachable"
    )
    cli("--vault", place, "relay", "use", relay)
    cli("--vault", place, "restore", "--finish")
    assert not cli.json("--vault", place, "status")["restoring"]


def test_the_default_place(tmp_path: Path, pds: Callable[..., Any]) -> None:
    """Without --vault it is the platform's folder for data."""
    ran = pds("--json", "status", XDG_DATA_HOME=str(tmp_path), PDS_PASSPHRASE="x")
    assert ran.error["code"] == "vault.missing"


def test_copies_are_clean(template: Any) -> None:
    """The template was not changed by the tests that copy it."""
    shown = json.loads((template.vault / "slots.json").read_text())
    assert shown["epoch"] == 1


def test_an_earlier_state_put_back(cli: Any, tmp_path: Path) -> None:
    """Refused by every command until somebody says that it is meant."""
    cli("data", "add", "note", "text=x")
    before = tmp_path / "before"
    shutil.copytree(cli.vault, before)
    cli("data", "add", "note", "text=newer")
    shutil.rmtree(cli.vault)
    shutil.copytree(before, cli.vault)
    for arguments in (("status",), ("data", "list"), ("vault", "check")):
        error = cli.json(*arguments, expect=1)
        assert error["code"] == "vault.rolled_back"
        assert "pds restore --finish" in error["hint"]
    cli("restore", "--finish")
    assert not cli.json("status")["restoring"]
    cli("data", "add", "note", "text=y")
    cli("vault", "check")


def test_compacting(cli: Any) -> None:
    """The file gets smaller by what was deleted; figures are given, and nothing is lost."""
    for n in range(30):
        cli("data", "add", "note", f"title=n{n}", "text=" + "x" * 9000)
    for row in cli.json("data", "list", "note"):
        cli("data", "delete", row["id"], "--yes")
    items = cli.json("status")["items"]
    told = cli.json("vault", "compact")
    assert told["bytesAfter"] < told["bytesBefore"] - 100_000
    assert told["fileShrunk"]
    assert (cli.vault / "vault.db").stat().st_size == told["bytesAfter"]
    assert "bytes before" in cli("vault", "compact").out
    assert cli.json("status")["items"] == items
    cli("vault", "check")


def test_saving_what_damage_left(cli: Any, tmp_path: Path) -> None:
    """The lost item is named by check, and the new vault holds the others."""
    ids = [cli.json("data", "add", "note", f"title=n{n}", "text=" + "x" * 3000)["id"]
           for n in range(8)]  # fmt: skip
    conn = _database(cli)
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    items = cli.json("status")["items"]
    whole = (cli.vault / "vault.db").read_bytes()
    for page in reversed(range(len(whole) // 4096)):  # until one holds items
        (cli.vault / "vault.db").write_bytes(whole)
        _flip(cli.vault, page)
        ran = cli("--json", "vault", "check", expect=1)
        lost = [one for one in ran.json["lost"] if one.startswith("item ")]
        if lost:
            break
    assert all(any(name in one for name in ids) for one in lost)
    assert all(one.endswith("(note)") for one in lost)
    shown = cli("vault", "check", expect=1)
    assert f"Lost: {lost[0]}" in shown.out
    assert "--salvage" in shown.err
    ran = cli("vault", "check", "--salvage", str(tmp_path / "first"))
    assert ("--finish" in ran.err) == (cli.json("status")["relay"] is not None)
    told = cli.json("vault", "check", "--salvage", str(tmp_path / "saved"))
    assert told["items"] == items - len(lost)
    assert set(lost) <= set(told["lost"])
    assert cli.json("--vault", str(tmp_path / "saved"), "status")["items"] == told["items"]
    assert (
        cli.json("vault", "check", "--salvage", str(tmp_path), expect=1)["code"] == "vault.exists"
    )
    assert cli.json("vault", "compact", expect=1)["code"] == "vault.damaged"


def test_the_search_is_mended(cli: Any) -> None:
    """A word that the index lost is found again after a check, which says so; nothing else is."""
    item = cli.json("data", "add", "note", "text=needle")["id"]
    conn = _database(cli)
    conn.execute(
        "INSERT INTO record_index (record_index, rowid, words) SELECT 'delete', rowid, 'needle'"
        " FROM record_index WHERE record_index MATCH 'needle'"
    )
    conn.close()
    assert cli.json("data", "search", "needle") == []
    ran = cli("vault", "check")
    assert "The vault is sound." in ran.out
    assert "made anew" in ran.err
    assert [one["id"] for one in cli.json("data", "search", "needle")] == [item]
    assert not cli.json("vault", "check")["mended"]
    assert "made anew" in cli("activity").out
