"""A vault that cannot be written: all of it can be read, exported and backed up, and no byte of it
changes."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pds.vault import files
from pds.vault.errors import VaultError
from pds.vault.records import Query
from pds.vault.service import Vault

from .test_places import NOBODY, code_of, contents, in_child, small_disk

__all__ = ["small_disk"]
PAGE = 4096
_left_open: list[Vault] = []
NOTE = {"title": "newest", "text": "committed last"}


def prepare(template: Any, place: Path, *, log: str) -> None:
    """A vault whose newest item stands in its file (``closed``), in the write-ahead log alone as a
    killed program left it (``killed``), or there without the log's index (``copied``)."""
    template.copy_to(place)
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    if log == "closed":
        with Vault.open(place, kit=template.kit) as vault:
            vault.attach(vault.add("note", NOTE).id, Path(__file__))
        return

    def write() -> list[Any]:
        vault = Vault.open(place, kit=template.kit)
        vault.attach(vault.add("note", NOTE).id, Path(__file__))
        _left_open.append(vault)  # and the child ends without closing it
        return []

    in_child(write)
    assert (place / "vault.db-wal").stat().st_size > 0
    if log == "copied":
        (place / "vault.db-shm").unlink()


def everything(folder: Path, kit: str, out: Path) -> list[Any]:
    """What a person reads on a bad day, and what is refused: the codes of writing."""
    with Vault.open(folder, kit=kit) as vault:
        item = vault.search("committed last")[0]
        (attached,) = vault.attachments(item.id)
        vault.save_attachment(attached.id, out / "saved")
        assert (out / "saved").read_bytes() == Path(__file__).read_bytes()
        assert vault.find(Query(category="note")).records
        assert vault.record(item.id).fields["title"] == "newest"
        for read in (vault.sharing, vault.activity, vault.keys.list, vault.requests):
            read()
        assert vault.export(out / "export.zip").items == vault.status().items
        vault.backup(out / "backup")
        if vault.reading_only is not None:
            assert vault.rehearse(out / "backup", kit=kit).total == vault.status().items
        assert vault.check() == []
        told = [vault.reading_only, vault.status().items]
        if vault.reading_only is not None:
            with pytest.raises(VaultError, match=vault.reading_only):
                vault.add("note", NOTE)
        codes = [
            code_of(lambda: vault.add("note", NOTE)),
            code_of(lambda: vault.delete(item.id)),
            code_of(vault.keys.new_kit),
            code_of(lambda: vault.keys.remove(vault.keys.list()[0].id)),
            code_of(vault.compact),
            code_of(lambda: vault.attach(item.id, Path(__file__), name="b")),
            code_of(lambda: vault.detach(attached.id)),
            code_of(vault.sync),
            code_of(lambda: vault.import_export(out / "export.zip")),
            code_of(lambda: vault.rotate_key(passphrase="x y z w", keep=lambda _: None)),
        ]
        return [*told, *codes]


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A mount of the folder in its own place that cannot be written."""
    for options in (["--bind", str(folder), str(folder)],
                    ["-o", "remount,ro,bind", str(folder)]):  # fmt: skip
        if subprocess.run(["mount", *options], check=False, capture_output=True).returncode != 0:
            pytest.skip("left out: nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def out(work: Path) -> Path:
    """Another disk, as it were."""
    place = work / "out"
    place.mkdir()
    place.chmod(0o777)
    for folder in (work.parent, work):
        folder.chmod(0o755)
    return place


def look(folder: Path, template: Any, out: Path, **how: Any) -> list[Any]:
    before = contents(folder)
    told = in_child(lambda: everything(folder, template.kit, out), **how)
    assert len(told) > 1, told[0]
    assert contents(folder) == before
    assert told[1] > 0
    with Vault.restore(out / "backup", out / "again", kit=template.kit) as vault:
        assert vault.check() == []
        assert vault.search("committed last")
        assert vault.status().items == told[1]
    return [told[0], *sorted(set(told[2:]))]


LOGS = ("closed", "killed", "copied")


@pytest.mark.parametrize("log", LOGS)
def test_a_disk_that_can_only_be_read(log: str, template: Any, work: Path, out: Path) -> None:
    """Everything that was acknowledged is read, also from a log that was never copied back."""
    prepare(template, work / "vault", log=log)
    with read_only(work / "vault"):
        told = look(work / "vault", template, out)
    assert told == ["its disk can only be read", "db.read_only"]


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("closed", ["folder", "database", "both"])
def test_files_of_somebody_else(
    closed: str, log: str, template: Any, work: Path, out: Path
) -> None:
    """Who may read them has everything, and may change nothing."""
    if os.geteuid() != 0:
        pytest.skip("left out: it needs another user to be")
    folder = work / "vault"
    prepare(template, folder, log=log)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    if closed != "database":
        folder.chmod(0o555)
    if closed != "folder":
        (folder / "vault.db").chmod(0o444)
    prepare(template, work / "warm", log="closed")
    everything(work / "warm", template.kit, work / "warm")  # loads all that is needed
    told = look(folder, template, out, as_nobody=True)
    assert told == ["its files may not be written by you", "db.read_only"]


@pytest.mark.parametrize("log", LOGS)
def test_a_disk_without_any_room(
    log: str, template: Any, small_disk: Path, out: Path, tmp_path: Path
) -> None:
    """Not a page is left: everything is read, and another disk takes the backup."""
    folder = small_disk / "vault"
    prepare(template, folder, log=log)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(PAGE)):
                pass
        except OSError:
            pass
    assert os.statvfs(small_disk).f_bavail == 0

    def written() -> dict[str, tuple[bytes, int]]:
        """What has content, but for the log's index."""
        found = contents(folder)
        return {name: c for name, c in found.items() if c[0] and not name.endswith("-shm")}

    before = written()
    told = in_child(lambda: everything(folder, template.kit, out))
    assert len(told) > 1, told[0]
    if log != "killed":  # there the log's index has its room already: an ordinary opening
        assert told[0] == "its disk is full"
        assert set(told[2:]) == {"db.full"}
        assert written() == before
    filler.unlink()
    with Vault.open(folder, kit=template.kit) as vault:
        assert vault.reading_only is None
        assert vault.search("committed last")
        assert vault.check() == []
        vault.add("note", NOTE)


def test_others_wait_for_who_reads_alone(
    template: Any, work: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes while the log's index is in one program's memory: the other is told to wait."""
    monkeypatch.setattr("pds.vault.inuse._WAIT_SECONDS", 0.1)
    monkeypatch.setattr("pds.vault.opening._WAIT_SECONDS", 0.1)
    folder = work / "vault"
    prepare(template, folder, log="closed")
    with read_only(folder):
        with Vault.open(folder, kit=template.kit) as vault:
            with pytest.raises(VaultError) as caught:
                Vault.open(folder, kit=template.kit)
            assert caught.value.code == "vault.busy"
            assert vault.search("committed last")
        Vault.open(folder, kit=template.kit).close()


def test_what_others_write_meanwhile_is_seen(template: Any, work: Path, out: Path) -> None:
    """One may write, the other only read: the log is read beside the writer, as it grows."""
    if os.geteuid() != 0:
        pytest.skip("left out: it needs another user to be")
    folder = work / "vault"
    prepare(template, folder, log="closed")
    ask, answer = os.pipe()
    with Vault.open(folder, kit=template.kit) as writer:
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        writer.add("note", {"title": "beside", "text": "meanwhile one"})

        def read() -> list[Any]:
            with Vault.open(folder, kit=template.kit) as vault:
                found = len(vault.search("meanwhile"))
                os.write(answer, b"r")
                os.read(go, 1)
                return [vault.reading_only, found, len(vault.search("meanwhile"))]

        go, went = os.pipe()
        import threading

        told: list[Any] = []
        thread = threading.Thread(target=lambda: told.extend(in_child(read, as_nobody=True)))
        thread.start()
        os.read(ask, 1)
        writer.add("note", {"title": "beside", "text": "meanwhile two"})
        os.write(went, b"w")
        thread.join()
    assert told == ["its files may not be written by you", 1, 2]


def test_a_vault_of_before_cannot_be_brought_up_to_date(
    template: Any, work: Path, out: Path
) -> None:
    """Where nothing can be written, a vault of an earlier release is refused with what to do."""
    from torture_world import data_key

    from pds.db import open_encrypted

    folder = work / "vault"
    prepare(template, folder, log="closed")
    conn = open_encrypted(
        folder / files.DATABASE, data_key(folder, template.kit).derive("database")
    )
    conn.execute(f"PRAGMA user_version = {len(files.MIGRATIONS) - 1}")
    conn.close()
    with read_only(folder):
        assert code_of(lambda: Vault.open(folder, kit=template.kit)) == "db.outdated"


def test_a_new_key_that_was_not_put_in_its_place(
    template: Any, work: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change of the data key was cut off before its last step: the new database is read."""
    from pds.vault import rotation

    folder = work / "vault"
    prepare(template, folder, log="closed")
    words: list[str] = []

    def cut(_: Path) -> None:
        raise OSError(5, "cut off")

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_put_in_place", cut)
        vault = Vault.open(folder, kit=template.kit)
        with pytest.raises(OSError, match="cut off"):
            vault.rotate_key(passphrase="four other words", keep=words.append)
    assert (folder / files.NEXT).exists()
    with read_only(folder), Vault.open(folder, kit=words[0]) as vault:
        assert vault.search("committed last")
    Vault.open(folder, kit=words[0]).close()
    assert not (folder / files.NEXT).exists()


def run_cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import sys

    return subprocess.run(
        [sys.executable, "-m", "pds.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
    )


def test_it_is_said_once(template: Any, work: Path, out: Path) -> None:
    """On stderr, and in the answer of ``status``; a refused write is one sentence with its hint."""
    folder = work / "vault"
    prepare(template, folder, log="killed")
    with read_only(folder):
        listed = run_cli("--vault", str(folder), "--kit", "data", "list", PDS_KIT=template.kit)
        status = run_cli("--vault", str(folder), "--kit", "--json", "status", PDS_KIT=template.kit)
        added = run_cli(
            "--vault", str(folder), "--kit", "data", "add", "note", "text=x", PDS_KIT=template.kit
        )
    assert listed.returncode == 0, listed.stderr
    assert listed.stderr.count("open for reading only") == 1
    assert json.loads(status.stdout)["readingOnly"] == "its disk can only be read"
    assert added.returncode == 1
    assert "[db.read_only]" in added.stderr
    shutil.rmtree(folder)


@pytest.mark.parametrize("page", [1, 40])
def test_what_is_damaged_there_can_be_saved(
    page: int, template: Any, work: Path, out: Path
) -> None:
    """A page of a database that can only be read is damaged: it is named, and the rest becomes a
    new vault on another disk."""
    folder = work / "vault"
    prepare(template, folder, log="closed")
    content = bytearray((folder / "vault.db").read_bytes())
    content[(page - 1) * PAGE + 700] ^= 1
    (folder / "vault.db").write_bytes(content)
    with read_only(folder):
        if page > 1:
            with Vault.open(folder, kit=template.kit) as vault:
                assert vault.check()
                vault.losses()
        report = Vault.salvage(folder, out / "saved", kit=template.kit)
    assert report.items > 0
    with Vault.open(out / "saved", kit=template.kit) as vault:
        assert vault.status().items == report.items
        assert vault.reading_only is None


def test_two_at_once_take_turns(template: Any, work: Path, out: Path) -> None:
    """Programs that only read, at the same moment: each comes to it, none is in the other's way."""
    from concurrent.futures import ThreadPoolExecutor

    folder = work / "vault"
    prepare(template, folder, log="copied")

    def read() -> list[Any]:
        with Vault.open(folder, kit=template.kit) as vault:
            return [len(vault.search("committed last"))]

    with read_only(folder), ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: in_child(read), range(8)))
    assert told == [[1]] * 8
