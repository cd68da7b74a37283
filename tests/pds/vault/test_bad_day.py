"""What is damaged costs nothing else: backups and archives go on without it, and name it."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pds.vault.errors import VaultError
from pds.vault.exports import write_export
from pds.vault.service import Vault

KEPT, HARMED = bytes(range(256)) * 1000, b"harmed " * 30_000


@pytest.fixture
def two(vault: Any) -> tuple[str, str, str]:
    """An item with two files: its id, that of the sound file and of the one to be harmed."""
    item = vault.add("note", {"title": "Passport", "text": "scans"}).id
    harmed = vault.attach(item, io.BytesIO(HARMED), name="old.pdf")
    kept = vault.attach(item, io.BytesIO(KEPT), name="new.pdf")
    return item, kept.id, harmed.id


def harm(vault: Vault, place: Any, attachment: str, how: str) -> None:
    """Do something to the one file."""
    (name,) = vault._ctx.conn.execute(
        "SELECT file FROM attachment WHERE id = ?", (attachment,)
    ).fetchone()
    path = place.folder / "attachments" / name
    content = bytearray(path.read_bytes())
    content[150_000] ^= 1
    if how == "missing":
        path.unlink()
    elif how == "cut off":
        path.write_bytes(content[:100_000])
    else:
        path.write_bytes(content)


HARMS = ("missing", "cut off", "altered")


@pytest.mark.parametrize("how", HARMS)
def test_a_backup_goes_on_without_a_damaged_file(
    how: str, vault: Any, place: Any, two: tuple[str, str, str], tmp_path: Path
) -> None:
    """It restores, with all the rest; it says what is not in it, and so does the restored vault."""
    item, kept, harmed = two
    harm(vault, place, harmed, how)
    done = vault.backup(tmp_path / "backup")
    assert [(one.attachment.id, one.missing) for one in done.left_out] == [
        (harmed, how == "missing")
    ]
    problems, damaged = vault.look_over()
    assert (problems, [one.attachment.name for one in damaged]) == ([], ["old.pdf"])
    assert vault.check() == [str(one) for one in damaged]
    assert "pdf" not in vault.check()[0]
    found = vault.rehearse(tmp_path / "backup", kit=place.kit)
    assert (found.total, found.without) == (1, 1)
    with Vault.restore(tmp_path / "backup", tmp_path / "new", kit=place.kit) as restored:
        assert restored.open_attachment(kept).read() == KEPT
        assert [one.attachment.id for one in restored.look_over()[1]] == [harmed]
        restored.attach(item, io.BytesIO(HARMED), name="again.pdf")
        assert restored.check() == []
        assert restored.open_attachment(harmed).read() == HARMED
        assert restored.backup(tmp_path / "whole").left_out == ()
    vault.detach(harmed)
    assert vault.backup(tmp_path / "second").left_out == ()


def test_a_backup_that_is_harmed_later_is_refused(
    vault: Any, place: Any, two: tuple[str, str, str], tmp_path: Path
) -> None:
    """That one file was left out excuses no other."""
    harm(vault, place, two[2], "altered")
    vault.backup(tmp_path / "backup")
    raw = bytearray((tmp_path / "backup").read_bytes())
    with zipfile.ZipFile(tmp_path / "backup") as archive:
        at = archive.getinfo("attachments").header_offset + 400_000
    raw[at] ^= 1
    (tmp_path / "backup").write_bytes(raw)
    with pytest.RaisesExc(VaultError, check=lambda e: e.code == "backup.damaged"):
        Vault.restore(tmp_path / "backup", tmp_path / "new", kit=place.kit)


@pytest.mark.parametrize("how", HARMS)
def test_an_archive_goes_on_without_a_damaged_file(
    how: str, vault: Any, place: Any, two: tuple[str, str, str], tmp_path: Path
) -> None:
    """Nothing of it stands in the archive but that it is not there."""
    item, kept, harmed = two
    harm(vault, place, harmed, how)
    done = vault.export(tmp_path / "archive.zip")
    assert [one.attachment.id for one in done.left_out] == [harmed]
    with zipfile.ZipFile(tmp_path / "archive.zip") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert [n for n in names if n.startswith("attachments/")] == [f"attachments/{kept}/new.pdf"]
        told = archive.read("not-in-this-archive.txt").decode()
        assert f"old.pdf, of item {item}: its file is" in told
        assert "not-in-this-archive.txt" in archive.read("index.html").decode()
        assert harmed not in archive.read("attachments.jsonl").decode()
    vault.detach(harmed)
    done = vault.export(tmp_path / "whole.zip")
    assert done.left_out == ()
    with zipfile.ZipFile(tmp_path / "whole.zip") as archive:
        assert "not-in-this-archive.txt" not in archive.namelist()


def test_an_archive_has_what_is_in_a_category_without_its_description(
    vault: Any, tmp_path: Path
) -> None:
    """The items are there as they are, in every form; which category it is, is said."""
    description = {
        "title": "Wine",
        "properties": {"name": {"title": "Name"}, "year": {"title": "Year"}},
    }
    vault.add_category("wine", description)
    item = vault.add("own-wine", {"name": "Tokaji", "year": "2013"})
    vault.edit(item.id, {"year": "2014"})
    with vault._ctx.transaction():
        vault._ctx.conn.execute("DELETE FROM own_categories")
    assert "own-wine" in vault.check()[0]
    for number, chosen in enumerate((None, ["own-wine"])):
        target = tmp_path / f"{number}.zip"
        done = vault.export(target, categories=chosen)
        assert (done.undescribed, done.items) == (("own-wine",), 1)
        with zipfile.ZipFile(target) as archive:
            assert "schemas/own-wine.json" not in archive.namelist()
            assert "own-wine" in archive.read("not-in-this-archive.txt").decode()
            table = archive.read("data/own-wine.csv").decode("utf-8-sig").splitlines()
            assert table[0].startswith("name,year,")
            assert table[1].startswith("Tokaji,2014,")
            lines = archive.read("data/own-wine.jsonld").decode()
            assert "2013" in lines
            assert "2014" in lines
            assert "Tokaji" in archive.read("pages/own-wine-00001.html").decode()


def test_an_archive_without_damage_reads_as_before(vault: Any, tmp_path: Path) -> None:
    """No file tells of what is not lost."""
    vault.add("note", {"text": "x"})
    done = write_export(vault._ctx, tmp_path / "archive.zip")
    assert (done.left_out, done.undescribed) == ((), ())
