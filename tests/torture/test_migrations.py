"""A vault of every earlier version of the schema, with data in it, opened by today's program."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from pds.db import DbError, migrate, open_encrypted, transaction
from pds.vault import files
from pds.vault.attachments.archive import pack
from pds.vault.attachments.folder import Folder
from pds.vault.consent import Accept, Refuse
from pds.vault.service import Vault
from pds.vault.store.records import RecordStore

EARLIER = range(1, len(files.MIGRATIONS))
INDEX_IN_TIME = 4  # the version that brought today's index in the old one's place


def make_earlier(template: Any, place: Path, version: int) -> None:
    """The template's rows in a database as that version made it: what both schemas have."""
    from torture_world import data_key

    template.copy_to(place)
    key = data_key(place, template.kit).derive("database")
    now = open_encrypted(place / "vault.db", key)
    then = open_encrypted(place / "then.db", key, create=True)
    migrate(then, files.MIGRATIONS[:version], application_id=files.APPLICATION_ID)
    then.execute("PRAGMA foreign_keys = OFF")
    copied = 0
    with transaction(then):
        for row in then.execute("SELECT name, type FROM pragma_table_list").fetchall():
            table = row["name"]
            if row["type"] != "table" or table.startswith("sqlite_"):
                continue  # what searches is filled below
            here, there = (
                {r["name"] for r in c.execute(f"PRAGMA table_info({table})")} for c in (now, then)
            )
            both = ", ".join(sorted(here & there))
            if not both:
                continue
            for values in now.execute(f"SELECT {both} FROM {table}").fetchall():
                marks = ", ".join("?" for _ in values)
                then.execute(f"INSERT INTO {table} ({both}) VALUES ({marks})", tuple(values))
                copied += 1
        if version < INDEX_IN_TIME:
            then.execute(
                "INSERT INTO record_search (rowid, words)"
                " SELECT ordinal, fields FROM records WHERE deleted = 0"
            )
        else:
            RecordStore(then).rebuild_index()
    assert copied > 50
    assert then.execute("PRAGMA foreign_key_check").fetchall() == []
    for conn in (now, then):
        conn.close()
    (place / "then.db").replace(place / "vault.db")


def held(vault: Vault) -> dict[str, Any]:
    """What the holder has: items with all their versions, requests, the history, what is found."""
    records = vault.records(limit=1000)
    return {
        "records": {r.id: vault.history(r.id) for r in records},
        "requests": {shown.digest for shown in vault.requests()},
        "history": vault.activity(limit=1000),
        "found": {r.id for r in vault.search("szeged", limit=100)},
        "status": vault.status(),
    }


def version_of(folder: Path, kit: str) -> int:
    from torture_world import data_key

    conn = open_encrypted(folder / "vault.db", data_key(folder, kit).derive("database"))
    try:
        return int(conn.execute("PRAGMA user_version").fetchone()[0])
    finally:
        conn.close()


@pytest.fixture(scope="module")
def today(template: Any) -> dict[str, Any]:
    """What the template holds."""
    with Vault.open(template.folder, kit=template.kit) as vault:
        found = held(vault)
    assert found["records"]
    assert found["found"]
    return found


def test_there_are_earlier_versions() -> None:
    """Nothing is vacuously migrated."""
    assert len(EARLIER) > 0


@pytest.mark.parametrize("version", EARLIER)
def test_everything_is_carried_over(
    version: int, template: Any, today: dict[str, Any], work: Path
) -> None:
    """Opened once, it is a vault of today with all its data, sound, and it works."""
    make_earlier(template, work / "vault", version)
    with Vault.open(work / "vault", kit=template.kit) as vault:
        assert held(vault) == today
        assert vault.check() == []
        vault.edit(vault.add("note", {"title": "t", "text": "x"}).id, {"title": "u"})
        answers = {"delivery": Accept(), "personalisation": Accept(), "marketing": Refuse()}
        vault.decide(template.requests[0], answers)
        vault.backup(work / "backup")
        assert vault.check() == []
    assert version_of(work / "vault", template.kit) == len(files.MIGRATIONS)


@pytest.mark.parametrize("version", EARLIER)
def test_a_backup_of_then_is_restored(
    version: int, template: Any, today: dict[str, Any], work: Path
) -> None:
    """A backup that an earlier release wrote becomes a vault of today."""
    import zipfile

    make_earlier(template, work / "vault", version)
    with zipfile.ZipFile(work / "backup", "w") as archive:
        for name in (files.SLOTS, files.DATABASE):
            archive.write(work / "vault" / name, name)
        with archive.open(files.ATTACHMENTS, "w") as run:
            pack([], Folder(work / "vault" / files.ATTACHMENTS), run)
    with Vault.restore(work / "backup", work / "again", kit=template.kit) as vault:
        assert held(vault)["records"] == today["records"]
        assert vault.check() == []


@pytest.mark.parametrize("version", EARLIER)
@pytest.mark.parametrize("how", ["before", "half", "after"])
def test_killed_in_the_middle(
    version: int, how: str, template: Any, today: dict[str, Any], work: Path
) -> None:
    """Killed at any write of the migration: the next opening carries it out, and nothing is lost.
    Refused for want of room: the old version stays, and with room it goes on."""
    make_earlier(template, work / "earlier", version)
    killed, at = 0, 0
    while True:
        at += 1 + at // 6
        folder = work / "vault"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(work / "earlier", folder)
        if not _open_and_die(folder, template.kit, at, how):
            break
        killed += 1
        with Vault.open(folder, kit=template.kit) as vault:
            assert held(vault) == today
            assert vault.check() == []
    assert killed > 5


def _open_and_die(folder: Path, kit: str, at: int, how: str) -> bool:
    """Open in a child that is killed at its ``at``-th write; whether it was."""
    child = os.fork()
    if child == 0:
        import torture_disk
        from torture_vault import Killer

        try:
            torture_disk.install(Killer(at, how, 2), under=folder)
            Vault.open(folder, kit=kit)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("version", EARLIER)
def test_no_room_for_it(version: int, template: Any, today: dict[str, Any], work: Path) -> None:
    """A full disk leaves the old version, said plainly; with room it goes on."""
    make_earlier(template, work / "vault", version)
    child = os.fork()
    if child == 0:
        import torture_disk

        status = 1
        try:
            torture_disk.install(
                lambda event: torture_disk.FULL if event.kind == "write" else None,
                under=work / "vault",
            )
            Vault.open(work / "vault", kit=template.kit)
        except DbError as error:
            # What it says is to copy the vault to a disk with room.
            status = 0 if error.code in ("db.full", "db.outdated") else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert version_of(work / "vault", template.kit) == version
    with Vault.open(work / "vault", kit=template.kit) as vault:
        assert held(vault) == today
