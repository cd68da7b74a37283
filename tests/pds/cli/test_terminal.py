"""What is asked at a terminal, through a real one."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WAIT = 30.0


class Terminal:
    """A process at a pseudo-terminal: wait for words, type words."""

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
    os.write(terminal._master, b"\x03")
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
    terminal.expect("The 24 words:")
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
    terminal.expect("1 provide")
    terminal.type("")  # no answer is chosen beforehand: it asks again
    terminal.expect("1 provide")
    terminal.type("1")
    terminal.expect("Hand on later changes too? [y/N]:")
    terminal.type("")
    terminal.expect("[personalisation]")
    terminal.type("3")
    terminal.expect("Include")
    terminal.type("")
    terminal.expect("For how many days?")
    terminal.type("30")
    terminal.expect("At most how many times?")
    terminal.type("2")
    terminal.expect("Hand on later changes too?")
    terminal.type("")
    terminal.expect("[marketing]")
    terminal.type("2")
    terminal.expect("marketing: ")
    assert terminal.end() == 0
    assert "\x1b[" not in terminal.text
    given = {row["purpose"]: row for row in holder.json("sharing")}
    assert set(given) == {"delivery", "personalisation"}
    assert given["personalisation"]["maxUses"] == 2
    assert given["personalisation"]["fields"] == ["interests"]
    assert not given["delivery"]["followsChanges"]
