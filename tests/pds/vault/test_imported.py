"""Imports as the vault remembers them: in slices, cut off, gone on with, taken back."""

import fcntl
import io
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pds.db import DbError
from pds.vault import imported
from pds.vault.imports import ImportFailed
from pds.vault.records import RecordError
from pds.vault.records import bulk as bulk_module
from pds.vault.service import Vault
from pds.vault.store.history import HistoryStore
from pds.vault.store.records import RecordStore

HEADER = "Date,Item,Price,Currency\n"


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_module, "AT_ONCE", 10)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """35 purchases; each tenth is the same bread again."""
    rows = [
        f"2026-01-02,{'Bread' if n % 10 == 0 else f'Thing {n}'},{3 if n % 10 == 0 else n}.50,HUF\n"
        for n in range(35)
    ]
    file = tmp_path / "shop of kovacs.csv"
    file.write_text(HEADER + "".join(rows))
    return file


def take(vault: Vault, file: Path, **how: Any) -> Any:
    return vault.import_plan(vault.plan_import(file), **how)


def cut_off(vault: Vault, file: Path, monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Import until the disk is full, which it is after so many slices."""
    insert, calls = RecordStore.insert, []

    def failing(self: RecordStore, rows: Any) -> Any:
        calls.append(1)
        if len(calls) > after:
            raise DbError("The disk is full.", code="db.full")
        return insert(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(RecordStore, "insert", failing)
        with pytest.raises(DbError) as caught:
            take(vault, file)
    assert caught.value.code == "db.full"
    assert ("pds data imports" in caught.value.hint) == (after > 0)


def items(vault: Vault) -> list[str]:
    return sorted(f"{r.fields['item']} {r.fields['price']}" for r in vault.records(limit=1000))


def test_others_write_between_the_slices(vault: Vault, place: Any, table: Path) -> None:
    """A long import lets another program have its turn, and both are whole."""
    inserts, between = RecordStore.insert, []
    with place.open() as other:

        def looking(self: RecordStore, rows: Any) -> Any:
            between.append(len(other.records(limit=1000)))
            return inserts(self, rows)

        plan = vault.plan_import(table)
        RecordStore.insert = looking  # type: ignore[method-assign]
        try:
            done = vault.import_plan(plan)
        finally:
            RecordStore.insert = inserts  # type: ignore[method-assign]
        assert between == [0, 10, 20, 30]
        assert done.added == 35
        assert len(other.records(limit=1000)) == 35
        assert other.check() == []


def test_a_small_file_is_one_transaction(vault: Vault, tmp_path: Path) -> None:
    """All of it or nothing, and one line of history."""
    file = tmp_path / "a.csv"
    file.write_text(HEADER + "2026-01-02,Tea,1,HUF\n")
    take(vault, file)
    kinds = [entry.kind for entry in vault.activity()]
    assert kinds.count("imported") == 1
    assert "import begun" not in kinds


def test_an_import_is_listed_with_what_undo_would_do(vault: Vault, table: Path) -> None:
    """Time, kind, the file's name, the counts; undone ones stay in the list."""
    done = take(vault, table)
    (one,) = vault.imports()
    assert (one.batch, one.source, one.name) == (done.batch, "import/csv", table.name)
    assert (one.added, one.duplicates, one.removable, one.kept) == (35, 0, 35, 0)
    assert one.finished is not None
    assert one.undone is None
    undone = vault.undo_import(one.batch)
    assert (undone.removed, undone.kept) == (35, 0)
    (one,) = vault.imports()
    assert one.undone is not None
    assert (one.removable, one.kept) == (0, 0)


def test_nothing_new_is_no_import(vault: Vault, table: Path) -> None:
    """The same file again adds nothing and is not listed."""
    take(vault, table)
    again = take(vault, table)
    assert (again.batch, again.added, again.duplicates) == (None, 0, 35)
    assert len(vault.imports()) == 1


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_cut_off_import_is_finished_by_the_same_file(
    vault: Vault, table: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """A full disk leaves whole slices, shown as unfinished; nothing comes twice, it stays one
    batch, and one undo takes it back."""
    cut_off(vault, table, monkeypatch, after=after)
    (one,) = vault.imports()
    assert one.finished is None
    assert one.added == one.removable == after * 10
    assert vault.check() == []

    done = take(vault, table)
    assert (done.batch, done.added, done.duplicates) == (one.batch, 35 - after * 10, after * 10)
    (one,) = vault.imports()
    assert one.finished is not None
    assert one.added == 35
    assert len(items(vault)) == 35
    assert items(vault).count("Bread 3.50") == 4
    assert vault.check() == []
    assert vault.undo_import(one.batch).removed == 35
    assert vault.records() == []


def test_a_cut_off_import_can_be_undone(
    vault: Vault, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came in goes, and the file is new again, in a batch of its own."""
    cut_off(vault, table, monkeypatch, after=2)
    (one,) = vault.imports()
    assert vault.undo_import(one.batch).removed == 20
    done = take(vault, table)
    assert done.batch != one.batch
    assert done.added == 35


def test_an_import_cut_off_behind_its_last_record_is_finished(
    vault: Vault, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is there, and the same file again says so."""
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:21]))
    append = HistoryStore.append

    def failing(self: HistoryStore, *, kind: str, **rest: Any) -> int:
        if kind == "imported":
            raise DbError("The disk is full.", code="db.full")
        return append(self, kind=kind, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(HistoryStore, "append", failing)
        with pytest.raises(DbError):
            take(vault, table)
    before = len(vault.records(limit=100))
    take(vault, table)
    (one,) = vault.imports()
    assert before < 20
    assert one.finished is not None
    assert len(vault.records(limit=100)) == 20


@pytest.mark.parametrize("slice_", [1, 2, 3, 4])
def test_a_killed_import_leaves_whole_slices(
    place: Any, table: Path, monkeypatch: pytest.MonkeyPatch, slice_: int
) -> None:
    """kill -9 inside a slice: the ones before are there, it is shown, the file again ends it."""
    child = os.fork()
    if child == 0:
        try:
            insert, calls = RecordStore.insert, []

            def dying(self: RecordStore, rows: Any) -> Any:
                result = insert(self, rows)
                calls.append(1)
                if len(calls) == slice_:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            RecordStore.insert = dying  # type: ignore[method-assign]
            with place.open() as vault:
                take(vault, table)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with place.open() as vault:
        assert vault.check() == []
        assert len(vault.records(limit=100)) == (slice_ - 1) * 10
        assert [one.finished for one in vault.imports()] == [None] * (slice_ > 1)
        take(vault, table)
        assert len(vault.records(limit=100)) == 35
        assert len(vault.imports()) == 1


def test_equal_purchases_of_two_imports_at_once_are_not_doubled(
    vault: Vault, place: Any, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program imports the same file between two slices: nothing comes twice. That is not
    owed to the turns, which are let go of here."""
    monkeypatch.setattr(imported._Turns, "__enter__", lambda self: None)
    calls: list[int] = []
    plan = vault.plan_import(table)
    with place.open() as other:

        def beside(n: int) -> None:
            if n >= 2 and not calls:
                calls.append(n)
                take(other, table)

        read = plan.read

        def reading(findings: Any) -> None:
            passed, count = findings._take, [0]

            def counting(draft: Any) -> None:
                count[0] += 1
                if count[0] == 25:
                    beside(count[0])
                passed(draft)

            findings._take = counting
            read(findings)

        vault.import_plan(replace(plan, read=reading))
        assert calls
        assert len(items(vault)) == 35
        assert items(vault).count("Bread 3.50") == 4
        assert vault.check() == []


def test_an_undo_ends_an_import_that_is_at_work(vault: Vault, place: Any, table: Path) -> None:
    """What was taken back does not come again by the next slice."""
    plan = vault.plan_import(table)
    with place.open() as other:
        read = plan.read

        def reading(findings: Any) -> None:
            passed, count = findings._take, [0]

            def counting(draft: Any) -> None:
                count[0] += 1
                if count[0] == 25:
                    other.undo_import(other.imports()[0].batch)
                passed(draft)

            findings._take = counting
            read(findings)

        with pytest.raises(ImportFailed) as caught:
            vault.import_plan(replace(plan, read=reading))
        assert caught.value.code == "import.undone"
        assert vault.records() == []
        (one,) = vault.imports()
        assert one.undone is not None


def test_imports_take_turns_and_others_find_a_gap(vault: Vault, place: Any, table: Path) -> None:
    """While a slice is read its import has the turn, and the database is nobody's: another program
    writes at once. At the end the turn is free."""
    plan = vault.plan_import(table)
    lock = (place.folder / "import.lock").open("w")
    with place.open() as other, lock:
        read, busy = plan.read, []

        def reading(findings: Any) -> None:
            passed = findings._take

            def looking(draft: Any) -> None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    busy.append(draft)
                other.add("note", {"title": "meanwhile", "text": "x"})
                passed(draft)

            findings._take = looking
            read(findings)

        vault.import_plan(replace(plan, read=reading))
        assert len(busy) == 35
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _edit(vault: Vault, item: str) -> None:
    vault.edit(item, {"note": "mine"})


def _tag(vault: Vault, item: str) -> None:
    vault.tag(item, add=["mine"])


def _attach(vault: Vault, item: str) -> None:
    vault.attach(item, io.BytesIO(b"bill"), name="bill.txt")


@pytest.mark.parametrize("touch", [_edit, _tag, _attach])
def test_undo_keeps_what_the_person_touched(
    vault: Vault, table: Path, touch: Callable[[Vault, str], None]
) -> None:
    """One rule: whatever was done to an item since, it stays, and the list says so before."""
    take(vault, table)
    item = vault.records(limit=1)[0].id
    touch(vault, item)
    (one,) = vault.imports()
    assert (one.removable, one.kept) == (34, 1)
    undone = vault.undo_import(one.batch)
    assert (undone.removed, undone.kept) == (34, 1)
    assert [r.id for r in vault.records()] == [item]


def test_undo_of_nothing_is_refused(vault: Vault) -> None:
    """An unknown batch."""
    with pytest.raises(RecordError) as caught:
        vault.undo_import("b" * 22)
    assert caught.value.code == "data.not_found"


def test_the_name_of_the_file_is_in_the_vault_only(vault: Vault, table: Path, place: Any) -> None:
    """No file of the vault shows it, and neither does the history."""
    take(vault, table)
    assert all("kovacs" not in str(entry) for entry in vault.activity())
    for path in place.folder.rglob("*"):
        if path.is_file():
            assert b"kovacs" not in path.read_bytes()
