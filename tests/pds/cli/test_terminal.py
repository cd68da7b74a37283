"""What is asked at a terminal, through a real one."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

WAIT = 60.0  # only ever waited for by a test that fails


class Terminal:
    """A process at a pseudo-terminal: wait for words, type words."""

    running: ClassVar[list["subprocess.Popen[bytes]"]] = []

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._master, slave = pty.openpty()
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PDS_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pds.cli.main", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=clean | {"TERM": "xterm-256color"} | environment,
            start_new_session=True,
        )
        self.running.append(self.process)
        os.close(slave)
        self.text = ""
        self._read_to = 0

    def expect(self, words: str) -> None:
        """Read until the words have been shown since the last time."""
        until = time.monotonic() + WAIT
        while words not in self.text[self._read_to :]:
            ready, _, _ = select.select([self._master], [], [], max(0.0, until - time.monotonic()))
            assert ready, self.text
            assert self._read(), self.text
        self._read_to = self.text.index(words, self._read_to) + len(words)

    def type(self, words: str) -> None:
        os.write(self._master, words.encode() + b"\n")

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        code = self.process.wait(WAIT)
        os.close(self._master)
        return code

    def _read(self) -> bool:
        try:
            octets = os.read(self._master, 65_536)
        except OSError:  # what Linux says when the other side has closed
            return False
        self.text += octets.decode(errors="replace").replace("\r\n", "\n")
        return bool(octets)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    while Terminal.running:
        process = Terminal.running.pop()
        process.kill()
        process.wait(WAIT)


def test_init_asks_twice_and_shows_no_passphrase(tmp_path: Path) -> None:
    """Typed twice, hidden; a mistyped repetition asks again."""
    terminal = Terminal("--vault", str(tmp_path / "v"), "init", "--kdf-memory", "64")
    for first, second in (("one good passphrase", "another"), ("one good passphrase",) * 2):
        terminal.expect("New passphrase:")
        terminal.type(first)
        terminal.expect("Repeat for confirmation:")
        terminal.type(second)
    terminal.expect("24. ")
    assert terminal.end() == 0
    assert "one good" not in terminal.text
    assert "\x1b[" not in terminal.text
    asked = Terminal("--vault", str(tmp_path / "v"), "status")
    asked.expect("Passphrase:")
    asked.type("one good passphrase")
    asked.expect("Unlocked.")
    assert asked.end() == 0


def test_ctrl_c_at_a_prompt(tmp_path: Path) -> None:
    """Stopped, 130, nothing made."""
    terminal = Terminal("--vault", str(tmp_path / "v"), "init")
    terminal.expect("New passphrase:")
    terminal.process.send_signal(signal.SIGINT)
    terminal.expect("Stopped.")
    assert terminal.end() == 130
    assert list(tmp_path.iterdir()) == []


def test_no_input_never_asks(tmp_path: Path) -> None:
    """At a terminal, too."""
    terminal = Terminal("--no-input", "--vault", str(tmp_path / "v"), "init")
    assert terminal.end() == 2
    assert "--passphrase-fd or PDS_PASSPHRASE" in terminal.text


def test_what_destroys_is_confirmed(cli: Any) -> None:
    """'n' leaves the item, 'y' deletes it."""
    item = cli.json("data", "add", "note", "text=x")["id"]
    secrets = {"PDS_VAULT": str(cli.vault), "PDS_KIT": cli.kit}
    for reply, code, left in (("n", 130, 1), ("", 130, 1), ("y", 0, 0)):
        terminal = Terminal("--kit", "data", "delete", item, **secrets)
        terminal.expect("Delete this item and all its versions? [y/N]:")
        terminal.type(reply)
        assert terminal.end() == code
        assert len(cli.json("data", "list", "note")) == left


def test_the_kit_and_a_new_passphrase_are_asked_for(cli: Any) -> None:
    """The kit's words are hidden too."""
    terminal = Terminal("--kit", "passphrase", "--kdf-memory", "64", PDS_VAULT=str(cli.vault))
    terminal.expect("The 24 words, or those of a sheet:")
    terminal.type(cli.kit)
    for prompt in ("New passphrase:", "Repeat for confirmation:"):
        terminal.expect(prompt)
        terminal.type("the second passphrase")
    terminal.expect("The passphrase is changed.")
    assert terminal.end() == 0
    assert cli.kit not in terminal.text
    cli("status", PDS_PASSPHRASE="the second passphrase")


@pytest.mark.parametrize("colour", ["NO_COLOR", "FORCE_COLOR"])
def test_deciding_at_a_terminal(
    colour: str, holder: Any, shop: Any, fixtures: Path, pds: Callable[..., Any]
) -> None:
    """Purpose by purpose: full, refused, less; nothing is ticked beforehand; 'enter' says no."""
    link = shop("request", str(fixtures / "request.json"))["link"]
    holder("open", "-", "--dev-trust", shop.trust, stdin=link.encode() + b"\n")
    terminal = Terminal(
        "--kit", "decide", PDS_VAULT=str(holder.vault), PDS_KIT=holder.kit, **{colour: "1"}
    )
    terminal.expect("[delivery]")
    terminal.expect("1 Provide")
    for wrong in ("", "4", "yes"):  # no answer is chosen beforehand: it asks again
        terminal.expect("Your choice:")
        terminal.type(wrong)
        terminal.expect("Type 1, 2 or 3.")
    terminal.expect("Your choice:")
    terminal.type("1")
    terminal.expect("Hand on later changes too? [y/N]")
    terminal.type("perhaps")
    terminal.expect("Type y for yes or n for no.")
    terminal.expect("Hand on later changes too? [y/N]")
    terminal.type("")
    terminal.expect("[personalisation]")
    terminal.expect("Your choice:")
    terminal.type("3")
    terminal.expect("Include")
    terminal.type("")
    terminal.expect("For how many days? 1 to 180 [180]")
    terminal.type("181")
    terminal.expect("Type a whole number from 1 to 180.")
    terminal.expect("For how many days?")
    terminal.type("30")
    terminal.expect("At most how many times? 1 to 10 [10]")
    terminal.type("2")
    terminal.expect("Hand on later changes too?")
    terminal.type("")
    terminal.expect("[marketing]")
    terminal.expect("Your choice:")
    terminal.type("2")
    terminal.expect("This is what Tekerj Kft. (did:web:shop.example) will get:")
    terminal.expect("delivery: provided: Postal address, Full name; for 365 days, at most 12 times")
    terminal.expect("personalisation: accepted: Interest; for 30 days, at most 2 times")
    terminal.expect("marketing: refused")
    terminal.expect("For 183 days")
    terminal.expect("Send this? [y/N]")
    terminal.type("y")
    terminal.expect("marketing: ")
    assert terminal.end() == 0, terminal.text
    assert "\x1b[" not in terminal.text
    assert "?:" not in terminal.text
    given = {row["purpose"]: row for row in holder.json("sharing")}
    assert set(given) == {"delivery", "personalisation"}
    assert given["personalisation"]["maxUses"] == 2
    assert given["personalisation"]["fields"] == ["interests"]
    assert not given["delivery"]["followsChanges"]


def _decide(holder: Any) -> Terminal:
    return Terminal("--kit", "decide", PDS_VAULT=str(holder.vault), PDS_KIT=holder.kit)


def _refuse(terminal: Terminal, *purposes: str) -> None:
    for purpose in purposes:
        terminal.expect(f"[{purpose}]")
        terminal.expect("Your choice:")
        terminal.type("2")


def test_the_last_look_can_stop_everything(holder: Any, shop: Any, fixtures: Path) -> None:
    """Enter and 'n' send nothing: the request waits as before."""
    link = shop("request", str(fixtures / "request.json"))["link"]
    holder("open", link, "--dev-trust", shop.trust)
    for reply in ("", "n"):
        terminal = _decide(holder)
        _refuse(terminal, "delivery", "personalisation", "marketing")
        terminal.expect("For 183 days this company cannot ask you again")
        terminal.expect("Send this? [y/N]")
        terminal.type(reply)
        terminal.expect("Nothing was sent; the request waits.")
        assert terminal.end() == 130
        assert [r["state"] for r in holder.json("requests")] == ["pending"]


def test_what_is_missing_refuses_nothing_by_itself(holder: Any, shop: Any, fixtures: Path) -> None:
    """Without a required item the person says: refuse, or stop and add it first."""
    for item in holder.json("data", "list", "contact"):
        holder("data", "delete", item["id"], "--yes")
    link = shop("request", str(fixtures / "request.json"))["link"]
    holder("open", link, "--dev-trust", shop.trust)
    terminal = _decide(holder)
    terminal.expect("It needs what the vault does not hold: contact.")
    terminal.expect("1 Do not provide   2 Stop; I will add it first (pds data add contact")
    for wrong in ("", "3"):
        terminal.expect("Your choice:")
        terminal.type(wrong)
        terminal.expect("Type 1 or 2.")
    terminal.expect("Your choice:")
    terminal.type("2")
    terminal.expect("Nothing was sent; the request waits.")
    assert terminal.end() == 130
    assert [r["state"] for r in holder.json("requests")] == ["pending"]


def test_what_was_refused_before_is_not_refused_again_by_itself(
    holder: Any, shop: Any, fixtures: Path
) -> None:
    """A blocked purpose is named so; 'stop' says how to allow it, and nothing is sent."""
    link = shop("request", str(fixtures / "request.json"))["link"]
    holder("open", link, "--dev-trust", shop.trust)
    no = [part for p in ("delivery", "personalisation", "marketing") for part in ("--refuse", p)]
    holder("decide", *no)
    link = shop("request", str(fixtures / "request.json"))["link"]
    waiting = holder.json("open", link)["id"]
    terminal = _decide(holder)
    terminal.expect("You refused this before; until ")
    terminal.expect(
        "1 Do not provide again   2 Stop; I will allow it first "
        "(pds requests --reopen shop.example "
    )
    terminal.expect("Your choice:")
    terminal.type("2")
    terminal.expect("Nothing was sent")
    assert terminal.end() == 130
    assert holder.json("requests", waiting)["state"] == "pending"


def test_withdrawing_names_what_ends(holder: Any, shop: Any, fixtures: Path) -> None:
    """Who, what for, which fields, and what stays by law; then it asks."""
    link = shop("request", str(fixtures / "request.json"))["link"]
    holder("open", link, "--dev-trust", shop.trust)
    holder("decide", "--accept", "delivery", "--refuse", "personalisation", "--refuse", "marketing")
    for reply, code, state in (("n", 130, "active"), ("y", 0, "ended")):
        terminal = Terminal(
            "--kit", "withdraw", "delivery", PDS_VAULT=str(holder.vault), PDS_KIT=holder.kit
        )
        terminal.expect("Tekerj Kft. (did:web:shop.example): Delivery of Goods [delivery]")
        terminal.expect("Kept after the end for 2920 days, by a legal obligation")
        terminal.expect("End this grant? [y/N]")
        terminal.type(reply)
        assert terminal.end() == code
        assert [row["state"] for row in holder.json("sharing")] == [state]


def test_a_short_passphrase_is_asked_for_again(tmp_path: Path) -> None:
    """Fewer than eight characters: said, and asked again."""
    terminal = Terminal("--vault", str(tmp_path / "v"), "init", "--kdf-memory", "64")
    for typed in ("short", "one good passphrase"):
        terminal.expect("New passphrase:")
        terminal.type(typed)
        terminal.expect("Repeat for confirmation:")
        terminal.type(typed)
        if typed == "short":
            terminal.expect("It needs 8 characters or more")
    terminal.expect("24. ")
    assert terminal.end() == 0


def test_no_passphrase_is_asked_for_where_no_vault_is(tmp_path: Path) -> None:
    """The missing vault is said first."""
    terminal = Terminal("--vault", str(tmp_path / "v"), "status")
    terminal.expect("There is no vault at that place.")
    assert terminal.end() == 1
    assert "Passphrase" not in terminal.text


def test_two_sheets_are_asked_for_one_by_one(cli: Any) -> None:
    """Who types 33 words is asked for the second sheet; neither is shown."""
    sheets = cli.json("kit", "--shares", "--yes")["sheets"]
    terminal = Terminal("--vault", str(cli.vault), "--kit", "status")
    terminal.expect("The 24 words, or those of a sheet:")
    terminal.type(sheets[2])
    terminal.expect("The words of a second sheet:")
    terminal.type(sheets[0])
    terminal.expect("Unlocked.")
    assert terminal.end() == 0
    assert sheets[0].split()[5] not in terminal.text


def test_the_first_backup_asks_for_a_rehearsal(cli: Any, tmp_path: Path, passphrase: str) -> None:
    """With the kit, at once; the next one does not ask. Who says no has a backup all the same."""
    for name, answer in (("one", "n"), ("two", "y")):
        terminal = Terminal(
            "--vault", str(cli.vault), "backup", str(tmp_path / name), PDS_PASSPHRASE=passphrase
        )
        terminal.expect("No restore was ever rehearsed.")
        terminal.type(answer)
        if answer == "y":
            terminal.expect("The 24 words")
            terminal.type(cli.kit)
            terminal.expect("Rehearsed: the kit restores it.")
        assert terminal.end() == 0
        assert (tmp_path / name).exists()
    ran = cli("backup", str(tmp_path / "three"))
    assert "rehears" not in ran.out + ran.err


def test_removing_a_way_in_names_it_first(cli: Any, passphrase: str) -> None:
    """What is about to go, before yes or no; no is the default."""
    terminal = Terminal("--vault", str(cli.vault), "key", "remove", "1", PDS_PASSPHRASE=passphrase)
    terminal.expect("Take this way in away: passphrase, 64 MiB? [y/N]:")
    terminal.type("")
    assert terminal.end() == 130
    assert len(cli.json("key", "list")) == 2
