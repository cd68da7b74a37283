"""How commands fail: a sentence, a code, an exit code; and nothing of what was typed."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from pds.cli import process
from pds.cli import vault as vault_commands
from pds.cli.errors import explain

CANARY = "Canary-Ilona"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("data", "show", "id", CANARY), "There are more arguments than this command takes."),
        ((f"--passphrase={CANARY}", "status"), "There is no such option; is it --passphrase-fd?"),
        (("--kit=" + CANARY, "status"), "--kit is used wrongly: it takes a value, or takes none."),
        ((CANARY,), "There is no such command."),
        (("stats",), "There is no such command"),
        (("data", CANARY), "There is no such command."),
        (("--passphrase-fd", CANARY, "status"), "--passphrase-fd does not fit: a whole number."),
        (("activity", "--limit", CANARY), "--limit does not fit: a whole number, at least 1, at"),
        (("data", "import", "x", "--kind", CANARY), "--kind does not fit: choose "),
        (("data", "import", "/"), "FILE does not fit: it must be a file."),
        (("--vault", __file__, "status"), "--vault does not fit: it must be a folder."),
        (("init", "--relay-token-file", CANARY), "--relay-token-file does not fit: it must be a"),
        (("company", "init"), "--did is missing."),
        (("data", "add"), "CATEGORY is missing."),
        (("data", "delete", CANARY), "Delete this item and all its versions? Say so with --yes."),
        (("withdraw", CANARY), "End this grant? Say so with --yes."),
        (("company", "requests"), "Say which company: pds company --data FOLDER, or PDS_COMPANY."),
        (("verify", "-", "--audience", CANARY), "--audience is a DID, such as did:web:"),
        (("verify", "-", "--purpose", CANARY), "--purpose is a purpose of DPV"),
        (("verify", "-", "--save-status", "x"), "--save-status goes with --online."),
        (("help", CANARY), "There is no such command."),
        (("shairng",), "There is no such command; is it sharing?"),
        (("decide", "--for", "a=never"), "Write a time as 90s, 45m, 12h or 30d."),
        (("decide", "--for", f"a={'9' * 9}d"), "That time is too long."),
        (("decide", "--uses", "a=many"), "Write a number of uses, e.g. 2."),
        (("decide", "--include", CANARY), "Write it as PURPOSE:VALUE."),
        (("decide", "--accept", "a", "--refuse", "a"), "A purpose cannot be accepted and refused."),
        (("decide", "--follow", "a"), "Some options name a purpose that is not accepted."),
        (("restore",), "Name a backup, or say --finish."),
        (("restore", "--finish", "x"), "Name a backup, or say --finish."),
        (("company", "--data", "x", "did", "--compromised"), "--compromised goes with --rotate."),
        (("relay", "serve", "--data", "x", "--url", "https://relay.example"), "--url has no port"),
        (("data", "import", "x", "--map", CANARY), "Write each mapping as COLUMN=FIELD."),
    ],
)
def test_wrong_usage_is_explained_without_repeating_it(
    arguments: tuple[str, ...], sentence: str, pds: Callable[..., Any]
) -> None:
    """Exit code 2, the synopsis, a sentence; what was typed may be private and is not shown."""
    ran = pds("--no-input", *arguments)
    assert ran.code == 2, ran
    assert ran.out == ""
    assert sentence in ran.err
    assert "[usage]" in ran.err
    assert "--help" in ran.err
    assert CANARY not in ran.err


def test_a_secret_that_nobody_can_be_asked_for(template: Any, pds: Callable[..., Any]) -> None:
    """How it can be given instead: exit code 2."""
    vault = ("--no-input", "--vault", str(template.vault))
    for more, sentence in (
        ((), "The passphrase is needed. Give it by --passphrase-fd or PDS_PASSPHRASE."),
        (("--kit",), "The recovery kit is needed. Give it by --kit-fd or PDS_KIT."),
    ):
        ran = pds(*vault, *more, "status")
        assert ran.code == 2
        assert sentence in ran.err


def test_errors_are_json_when_json_is_asked_for(pds: Callable[..., Any]) -> None:
    """Wherever ``--json`` stands, and by PDS_JSON, the error on stderr is one JSON object."""
    for arguments, environment in (
        (("--json", "bogus"), {}),
        (("bogus", "--json"), {}),
        (("bogus",), {"PDS_JSON": "1"}),
    ):
        ran = pds(*arguments, **environment)
        assert (ran.code, ran.out) == (2, "")
        assert json.loads(ran.err) == {
            "error": {
                "code": "usage",
                "message": "there is no such command",
                "hint": "See: pds --help",
            }
        }


def test_a_group_without_a_command_shows_its_help(pds: Callable[..., Any]) -> None:
    """On stderr, with exit code 2: nothing was done."""
    ran = pds("data")
    assert ran.code == 2
    assert "import" in ran.err


def test_a_defect_shows_type_and_place_only(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unforeseen error's text may hold personal data: exit code 70 and no word of it."""

    def broken(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(vault_commands, "unlock", broken)
    ran = cli("status", expect=70)
    assert ran.out == ""
    assert CANARY not in ran.err
    assert "Traceback" not in ran.err
    assert "This is a defect of the program: RuntimeError at test_failures.py:" in ran.err
    assert "[defect]" in ran.err
    assert cli("--json", "status", expect=70).error["code"] == "defect"
    with pytest.raises(RuntimeError, match=CANARY):
        cli("status", PDS_DEBUG="1")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOENT, "file.missing"),
        (errno.EACCES, "file.not_allowed"),
        (errno.EROFS, "file.not_allowed"),
        (errno.ENOTDIR, "file.wrong_kind"),
        (errno.ENOSPC, "file.no_space"),
        (errno.EMFILE, "file.failed"),
    ],
)
def test_what_the_system_refuses_is_no_defect(number: int, code: str) -> None:
    """Each refusal of the file system has a code and a hint, and names no path."""
    failure = explain(OSError(number, os.strerror(number), CANARY))
    assert failure is not None
    assert failure.code == code
    assert failure.exit_code == 1
    assert failure.hint
    assert CANARY not in failure.message + failure.hint


def test_other_errors_are_defects() -> None:
    """What nobody foresaw is not dressed up as the user's mistake."""
    assert explain(ValueError(CANARY)) is None
    assert explain(OSError(CANARY)) is None


def test_interrupted(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 130 and one word."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(vault_commands, "unlock", stop)
    assert cli("status", expect=130).err.split() == ["Stopped."]


def test_a_closed_pipe_ends_quietly() -> None:
    """``pds … | head`` prints no complaint."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pds.cli.main", "--help"],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode in {0, 1}


def test_a_terminal_that_cannot_show_a_letter(cli: Any, pds_process: Callable[..., Any]) -> None:
    """An old terminal gets escapes instead of a half-done command; JSON stays JSON."""
    more = {"PDS_VAULT": str(cli.vault), "PDS_KIT": cli.kit, "PYTHONIOENCODING": "cp437"}
    ran = pds_process("--kit", "data", "add", "note", "text=\u0150ry", **more)
    assert ran.code == 0
    assert "\\u0150ry" in ran.out
    ran = pds_process("--kit", "--json", "data", "list", "contact", **more)
    assert "Kovács" in json.dumps(ran.json, ensure_ascii=False)


def test_text_that_is_no_text_is_refused(cli: Any, pds_process: Callable[..., Any]) -> None:
    """Bytes that are no UTF-8 do not get into a vault."""
    more = {"PDS_VAULT": str(cli.vault), "PDS_KIT": cli.kit}
    ran = pds_process("--kit", "data", "add", "note", os.fsdecode(b"text=\xff"), **more)
    assert ran.code == 1
    assert "[data.not_json]" in ran.err


@pytest.mark.skipif(sys.platform != "linux", reason="hides arguments on Linux only")
def test_arguments_are_not_shown_to_others() -> None:
    """After hardening, ``ps`` shows the program's name and no argument."""
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from pds.cli import process\n"
        "shown = lambda: Path('/proc/self/cmdline').read_bytes()\n"
        "before = shown()\n"
        "process.harden()\n"
        "print(b'Canary' in before, b'Canary' in shown(), sys.argv[1], bool(shown().strip(b'\\0')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "Canary"], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", "False", "Canary", "True"], done.stderr


def test_unlocking_hardens_the_process(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No core dump can be made of a process that holds keys."""
    done: list[bool] = []
    monkeypatch.setattr(process, "harden", lambda: done.append(True))
    cli("status")
    assert done == [True]


CANARIES = ("Kovács", "Ilona", "Tisza Lajos", "posta.example", CANARY)


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "add", "contact", f"{CANARY}=x"),
        ("data", "add", "contact", f"birthDate={CANARY}"),
        ("data", "add", CANARY, "name=x"),
        ("data", "show", CANARY),
        ("data", "edit", CANARY, f"name={CANARY}"),
        ("data", "history", CANARY),
        ("data", "delete", CANARY, "--yes"),
        ("data", "undo", CANARY, "--yes"),
        ("data", "list", CANARY),
        ("data", "list", "--after", CANARY),
        ("data", "import", f"/nowhere/{CANARY}"),
        ("data", "import", __file__),
        ("backup", f"/nowhere/{CANARY}.zip"),
        ("open", f"https://{CANARY}.example/r/x#{CANARY}"),
        ("requests", CANARY),
        ("decide", CANARY, "--accept", CANARY),
        ("grant", CANARY),
        ("withdraw", CANARY, "--yes"),
        ("relay", "use", f"http://{CANARY}/"),
    ],
)
def test_no_error_repeats_personal_data(arguments: tuple[str, ...], cli: Any) -> None:
    """Every error on a full vault: a code, a hint or a sentence, none of the planted words."""
    ran = cli.json(*arguments, expect=1)
    assert set(ran) == {"code", "message", "hint"}
    assert "." in ran["code"]
    assert ran["message"]
    assert not [word for word in CANARIES if word.lower() in cli.seen[-1].err.lower()]


@pytest.mark.parametrize("place", ["/proc/nowhere/vault", "{file}/vault"])
def test_a_place_where_nothing_can_be_made(
    place: str, tmp_path: Path, pds: Callable[..., Any]
) -> None:
    """A vault, a company or a relay where no folder can be: exit code 1, and nothing is left."""
    (tmp_path / "file").write_text("")
    target = place.format(file=tmp_path / "file")
    for arguments in (
        ("--vault", target, "init", "--kdf-memory", "64"),
        ("company", "--data", target, "init", "--did", "did:web:shop.example", "--name", "N",
         "--address", "A", "--contact", "mailto:a@b.example", "--data-protection-contact",
         "mailto:a@b.example", "--relay", "https://relay.example"),
        ("relay", "serve", "--data", target, "--url", "http://127.0.0.1:1"),
    ):  # fmt: skip
        ran = pds("--json", *arguments, PDS_PASSPHRASE="four unrelated words")
        assert ran.code == 1, ran
        assert ran.error["code"] in {"file.missing", "file.wrong_kind"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_may_not_be_written(tmp_path: Path, pds: Callable[..., Any]) -> None:
    """Exit code 1, and a hint to look at owner and mode."""
    tmp_path.chmod(0o500)
    # Root may write wherever there is a disk; nobody makes folders in the kernel's own tree.
    folder = Path("/sys/kernel") if os.geteuid() == 0 else tmp_path
    ran = pds("--json", "--vault", str(folder / "v"), "init", PDS_PASSPHRASE="four words here")
    assert (ran.code, ran.error["code"]) == (1, "file.not_allowed")


def test_a_click_file_error_names_no_file() -> None:
    """Click's own sentence would repeat the path."""
    failure = explain(click.FileError(CANARY, "no"))
    assert failure is not None
    assert CANARY not in failure.message
