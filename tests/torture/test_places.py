"""Places where a vault cannot be written, is in use, is newer, or has lost a file."""

import json
import os
import shutil
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pds.cli.errors import explain
from pds.vault.service import Vault

PAGE = 4096
NOBODY = 65_534


def in_child(work: Callable[[], list[Any]], *, as_nobody: bool = False) -> list[Any]:
    """What ``work`` answers in a process of its own, or the code of what it raised."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if as_nobody:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            answer = work()
        except Exception as error:  # noqa: BLE001
            failure = explain(error)
            answer = ["".join(traceback.format_exception(error))]
            if failure is not None and failure.hint:
                answer = [failure.code]
        finally:
            os.write(writing, json.dumps(answer).encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        told: list[Any] = json.loads(lines.read())
    os.waitpid(child, 0)
    return told


def code_of(act: Callable[[], object]) -> str:
    """``done``, or the code of what was refused."""
    try:
        act()
    except Exception as error:  # noqa: BLE001
        failure = explain(error)
        assert failure is not None
        assert failure.hint
        return failure.code
    return "done"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("left out: a small file system cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_disk_without_room(template: Any, small_disk: Path) -> None:
    """Whatever room is left, a plain refusal or success; afterwards everything is there and it
    works again."""
    folder, filler = small_disk / "vault", small_disk / "filler"
    seen = set()
    for pages in (0, 4, 8, 9, 16, 30, 60, 120):
        filler.unlink(missing_ok=True)
        template.copy_to(folder)
        free = os.statvfs(small_disk).f_bavail * PAGE
        filler.write_bytes(bytes(free - pages * PAGE))

        def work() -> list[Any]:
            with Vault.open(folder, kit=template.kit) as vault:
                note = {"title": "t", "text": "x" * 20_000}
                items = vault.status().items
                codes = [
                    code_of(lambda: vault.add("note", note)),
                    code_of(lambda: vault.backup(small_disk / "backup")),
                    code_of(lambda: vault.compact()),
                ]
                return [*codes, vault.status().items - items]

        codes = in_child(work)
        seen.update(codes)
        assert set(codes) <= {"done", "db.full", "file.no_space", 0, 1}
        assert (codes[-1] == 1) == (codes[0] == "done") or codes == ["db.full"]
        filler.unlink()
        (small_disk / "backup").unlink(missing_ok=True)
        assert {path.name for path in small_disk.iterdir()} == {"vault"}
        with Vault.open(folder, kit=template.kit) as vault:
            assert vault.check() == []
            vault.add("note", {"title": "room", "text": "y"})
    assert {"done", "db.full"} <= seen


@pytest.mark.parametrize("what", ["folder", "database", "both"])
def test_a_vault_that_may_only_be_read(what: str, template: Any, work: Path) -> None:
    """It is read; each write is plainly refused with a hint, and no byte of it changes."""
    if os.geteuid() != 0:
        pytest.skip("left out: it needs another user to be")
    for folder in (template.folder.parent, work):
        folder.chmod(0o755)
    template.copy_to(work / "vault")
    for path in (work / "vault", *(work / "vault").rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    if what != "folder":
        (work / "vault" / "vault.db").chmod(0o400)
    if what != "database":
        (work / "vault").chmod(0o500)
    before = contents(work / "vault")
    with Vault.open(template.folder, kit=template.kit) as vault:  # loads all that is needed
        vault.search("warm")

    def work_() -> list[Any]:
        with Vault.open(work / "vault", kit=template.kit) as vault:
            return [
                vault.status().items > 0,
                code_of(lambda: vault.add("note", {"title": "t", "text": "x"})),
                code_of(vault.keys.new_kit),
                code_of(vault.check),
                code_of(vault.compact),
            ]

    told = in_child(work_, as_nobody=True)
    assert told == [True, "db.read_only", "db.read_only", "done", "db.read_only"]
    after = contents(work / "vault")
    for name in before:
        assert after[name] == before[name]


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of change of each file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_a_newer_vault_is_left_as_it_is(template: Any, work: Path) -> None:
    """A vault of a later release: refused, and neither bytes nor times change."""
    from torture_world import data_key

    from pds.db import open_encrypted

    template.copy_to(work / "vault")
    key = data_key(work / "vault", template.kit).derive("database")
    conn = open_encrypted(work / "vault" / "vault.db", key)
    conn.execute("PRAGMA user_version = 99")
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    before = contents(work / "vault")
    assert code_of(lambda: Vault.open(work / "vault", kit=template.kit)) == "db.newer"
    saved = work / "s"
    assert code_of(lambda: Vault.salvage(work / "vault", saved, kit=template.kit)) == "db.newer"
    assert contents(work / "vault") == before
    assert not saved.exists()


LOST = {
    "slots.json": "vault.slots_missing",
    "vault.db": "db.missing",
}


@pytest.mark.parametrize("name", LOST)
def test_a_lost_file(name: str, template: Any, work: Path) -> None:
    """Without slots or without database: a refusal that says so, and nothing is made in its place;
    a backup brings all of it back."""
    template.copy_to(work / "vault")
    with Vault.open(work / "vault", kit=template.kit) as vault:
        vault.backup(work / "backup")
        items = vault.status().items
    (work / "vault" / name).unlink()
    before = contents(work / "vault")
    assert code_of(lambda: Vault.open(work / "vault", kit=template.kit)) == LOST[name]
    assert contents(work / "vault") == before
    with Vault.restore(work / "backup", work / "again", kit=template.kit) as vault:
        assert vault.check() == []
        assert vault.status().items == items


def test_another_program_writes(template: Any, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another holds the vault: reading goes on, writing and compacting say to try later."""
    from torture_world import data_key, open_with

    monkeypatch.setattr("pds.db.connection.BUSY_TIMEOUT_MS", 50)
    template.copy_to(work / "vault")
    key = data_key(work / "vault", template.kit)
    with open_with(work / "vault", key) as other, open_with(work / "vault", key) as vault:
        with other._ctx.transaction():
            assert vault.status().items > 0
            assert code_of(lambda: vault.add("note", {"title": "t", "text": "x"})) == "db.busy"
            assert code_of(vault.compact) == "db.busy"
        # Only open, it hinders nothing; reading, it keeps the file from shrinking at once.
        assert vault.compact().shrunk
        other._ctx.conn.execute("BEGIN")
        other._ctx.conn.execute("SELECT count(*) FROM records").fetchall()
        vault.add("note", {"title": "t", "text": "x" * 9000})
        assert code_of(vault.compact) == "db.busy"
        other._ctx.conn.execute("ROLLBACK")
        assert vault.compact().shrunk
        assert vault.check() == []
        assert other.check() == []
    shutil.rmtree(work / "vault")
