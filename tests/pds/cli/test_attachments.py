"""``pds data attach | attachments | save | detach``: the files of an item."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pds.cli.output import Settings


@pytest.fixture
def item(cli: Any) -> str:
    made: str = cli.json("data", "add", "note", "text=a contract")["id"]
    return made


def test_the_life_of_a_file(cli: Any, item: str, tmp_path: Path) -> None:
    """Attached, listed, saved, deleted; for programs and for people, ids by their beginning."""
    letter = tmp_path / "szerződés.pdf"
    letter.write_bytes(b"%PDF-1.7 " + os.urandom(100_000))
    made = cli.json("data", "attach", item[:6], str(letter))
    assert (made["name"], made["size"], made["item"]) == ("szerződés.pdf", 100_009, item)
    assert (made["mediaType"], made["imported"]) == ("application/pdf", False)
    assert cli.json("data", "attachments", item) == [made]
    assert "100,009 bytes  szerződés.pdf  (application/pdf)" in cli("data", "attachments", item).out
    out = tmp_path / "out.pdf"
    assert cli.json("data", "save", made["id"][:6], str(out))["file"] == str(out)
    assert out.read_bytes() == letter.read_bytes()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    (tmp_path / "folder").mkdir()
    assert "Saved: " in cli("data", "save", made["id"], str(tmp_path / "folder")).out
    assert (tmp_path / "folder" / letter.name).read_bytes() == letter.read_bytes()
    cli("data", "detach", made["id"], expect=2)
    assert cli.json("data", "detach", made["id"], "--yes") == {"detached": made["id"]}
    assert cli("data", "attachments", item).out == "No files.\n"
    told = cli("activity").out
    assert "You attached a file to an item: Note." in told
    assert "You removed a file from an item: Note." in told


def test_another_name(cli: Any, item: str, tmp_path: Path) -> None:
    """--name; what is no name is made one, and nothing is ever saved outside a folder."""
    file = tmp_path / "a"
    file.write_text("text")
    made = cli.json("data", "attach", item, str(file), "--name", "../../x.txt")
    assert (made["name"], made["mediaType"]) == ("x.txt", "text/plain")


def test_what_is_refused(cli: Any, item: str, tmp_path: Path) -> None:
    """Each with its code; nothing is written over, nothing is left behind."""
    file = tmp_path / "a"
    file.write_text("text")
    made = cli.json("data", "attach", item, str(file))
    error = cli.json("data", "save", made["id"], str(file), expect=1)
    assert (error["code"], error["hint"] != "") == ("attachment.exists", True)
    assert file.read_text() == "text"
    for words in (("save", "none", str(tmp_path / "x")), ("detach", "none", "--yes")):
        assert cli.json("data", *words, expect=1)["code"] == "attachment.not_found"
    assert cli.json("data", "attach", "none", str(file), expect=1)["code"] == "data.not_found"
    assert cli.json("data", "attachments", "none", expect=1)["code"] == "data.not_found"
    cli("data", "attach", item, str(tmp_path / "none"), expect=2)
    away = cli.json("data", "save", made["id"], str(tmp_path / "no" / "x"), expect=1)
    assert away["code"] == "file.missing"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "vault"]


def test_damage_is_told(cli: Any, item: str, tmp_path: Path) -> None:
    """``vault check``, a backup and an archive name the item, as a person knows it, and what to
    do; they go on without the file, and end with 1."""
    file = tmp_path / "a"
    file.write_text("text")
    made = cli.json("data", "attach", item, str(file))
    (kept,) = (cli.vault / "attachments").iterdir()
    raw = kept.read_bytes()
    kept.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    problems = cli.json("vault", "check", expect=1)["problems"]
    assert problems == [f"attachment {made['id']} of item {item} is damaged"]
    for words in (("backup", str(tmp_path / "b")), ("export", str(tmp_path / "e"), "--yes")):
        told = cli.json(*words, expect=1)
        assert [one["id"] for one in told["leftOut"]] == [made["id"]]
        Path(words[1]).unlink()
        ran = cli(*words, expect=1)
        assert Path(words[1]).exists()
        for part in (made["id"], item, "a: its file is damaged", "Note", "pds data detach"):
            assert part in ran.err
    ran = cli("vault", "check", expect=1)
    for part in (made["id"], item, "Note", "pds data detach"):
        assert part in ran.out
    assert "salvage" not in ran.out + ran.err
    saved = cli.json("vault", "check", "--salvage", str(tmp_path / "saved"))
    assert [one["id"] for one in saved["attachments"]] == [made["id"]]
    ran = cli("vault", "check", "--salvage", str(tmp_path / "again"))
    assert f"{made['id']}  a: its file is damaged\n  of item {item}" in ran.out
    assert "attach it to its item again" in ran.err
    cli("data", "attach", item, str(file))
    assert cli.json("vault", "check")["sound"]


@pytest.mark.parametrize(
    ("as_json", "size", "tty", "shown"),
    [(False, 2**30, True, True), (True, 2**30, True, False), (False, 2**30, False, False),
     (False, 1000, True, False)],
)  # fmt: skip
def test_a_bar_where_somebody_watches(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    as_json: bool,
    size: int,
    tty: bool,
    shown: bool,
) -> None:
    """On stderr, for what takes a while; never in JSON, never into a pipe."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: tty, raising=False)
    with Settings(as_json=as_json).progress("Encrypting", size) as progress:
        progress(size // 2)
        progress(size - size // 2)
    ran = capsys.readouterr()
    assert ran.out == ""
    assert ("Encrypting" in ran.err and "100%" in ran.err) == shown
    assert shown or ran.err == ""
