"""Adding, replacing and removing ways in, cut off at each step: a change has its line in the
history, and a line its change."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pds.db import DbError
from pds.vault import keyslots, slotchange
from pds.vault.context import Context
from pds.vault.keyslots import Argon2Params, KeyslotError
from pds.vault.service import Vault

QUICK = Argon2Params(memory_kib=65_536)
NEW = "four other words here"

CHANGES: dict[str, Callable[[Vault], object]] = {
    "add": lambda v: v.keys.add_passphrase(NEW, name="second", params=QUICK),
    "replace one": lambda v: v.keys.change_passphrase(
        NEW, slot_id=v.keys.list()[0].id, params=QUICK
    ),
    "replace all": lambda v: v.keys.change_passphrase(NEW, params=QUICK),
    "remove": lambda v: v.keys.remove(v.keys.list()[0].id),
    "kit": lambda v: v.keys.new_kit(),
}
# Calls that mark the steps; the process ends before or after one of them.
STEPS = ("announced", "before the rename", "after the rename", "done")


def state(folder: Path, key: keyslots.DataKey) -> tuple[list[str], int, int]:
    """The slots by id, the lines about slots, and whether the vault is sound: opened anew."""
    with Vault.open(folder, data_key=key) as vault:
        assert vault.check() == []
        assert vault._ctx.exchange.setting(slotchange._INTENT) is None
        ways = vault.keys.list()
        lines = [line for line in vault.activity(limit=100) if line.kind == "slots changed"]
        epoch = int(vault._ctx.setting("slots_epoch"))
        assert epoch == keyslots.epoch(folder / "slots.json", key)
        for way in ways:
            if way.name == "second":
                assert way.added is not None
        return [way.id for way in ways], len(lines), epoch


def in_child(work: Callable[[], object]) -> int:
    """The exit code of a process that does this."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("change", CHANGES)
def test_killed_at_each_step(change: str, step: str, template: Any, work: Path) -> None:
    """Opened again, the history has as many more lines as the slot file has changes."""
    from torture_world import data_key

    template.copy_to(work / "vault")
    key = data_key(work / "vault", template.kit)
    slots, lines, epoch = state(work / "vault", key)

    def killed() -> None:
        vault = Vault.open(work / "vault", data_key=key)
        replace, transaction = os.replace, Context.transaction

        def replaced(source: Path, target: Path) -> None:
            if step == "before the rename":
                os._exit(9)
            replace(source, target)
            if step == "after the rename":
                os._exit(9)

        @contextmanager
        def committed(self: Context) -> Iterator[None]:
            with transaction(self):
                yield
            if step == "announced":
                os._exit(9)

        os.replace = replaced  # type: ignore[assignment]
        Context.transaction = committed  # type: ignore[method-assign]
        CHANGES[change](vault)
        os._exit(9)

    assert in_child(killed) == 9
    now, told, later = state(work / "vault", key)
    happened = step in ("after the rename", "done")
    assert (now != slots) == happened
    assert (told - lines, later - epoch) == (int(happened), int(happened))
    assert state(work / "vault", key) == (now, told, later)


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_without_room_at_each_commit(
    change: str, at: int, template: Any, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before anything is done; or done, and the line comes with the next opening."""
    from torture_world import data_key

    template.copy_to(work / "vault")
    key = data_key(work / "vault", template.kit)
    slots, lines, _ = state(work / "vault", key)
    seen = 0
    may_write = Context.may_write

    def full(self: Context) -> None:
        nonlocal seen
        if self.conn.in_transaction:
            return
        seen += 1
        if seen >= at + 1:  # the verb asks once by itself, before its commits
            raise DbError("full", code="db.full")
        may_write(self)

    with Vault.open(work / "vault", data_key=key) as vault:
        monkeypatch.setattr(Context, "may_write", full)
        if at == 1:
            with pytest.raises(DbError):
                CHANGES[change](vault)
        else:
            CHANGES[change](vault)
    monkeypatch.setattr(Context, "may_write", may_write)
    if change == "add" and at == 2:  # the next change does not take its line away
        with Vault.open(work / "vault", data_key=key) as vault:
            ctx = vault._ctx
            monkeypatch.setattr(slotchange, "_finish", lambda *_: None)
            vault.keys.add_passphrase(NEW, params=QUICK)
            monkeypatch.undo()
            vault.keys.remove(vault.keys.list()[-1].id)
            assert ctx.exchange.setting(slotchange._INTENT) is None
        lines += 2
    now, told, _ = state(work / "vault", key)
    assert (now != slots) == (at == 2)
    assert told - lines == at - 1


def test_too_many_ways_leave_no_line(template: Any, work: Path) -> None:
    """What is refused is not in the history."""
    from torture_world import data_key

    template.copy_to(work / "vault")
    key = data_key(work / "vault", template.kit)
    with Vault.open(work / "vault", data_key=key) as vault:
        for _ in range(6):
            vault.keys.add_passphrase(NEW, params=QUICK)
        before = len(vault.activity(limit=100))
        with pytest.raises(KeyslotError, match="as many"):
            vault.keys.add_passphrase(NEW, params=QUICK)
        assert len(vault.activity(limit=100)) == before


def test_a_backup_in_the_middle_of_a_change(
    template: Any, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slots changed while the database was copied: restored, the change has its line."""
    from pds.vault import backup

    template.copy_to(work / "vault")
    real, copies = backup.copy_encrypted, []
    with (
        Vault.open(work / "vault", kit=template.kit) as vault,
        Vault.open(work / "vault", kit=template.kit) as other,
    ):

        def copy(*arguments: Any) -> None:
            real(*arguments)
            if not copies:
                other.keys.add_passphrase(NEW, name="second", params=QUICK)
            copies.append(1)

        monkeypatch.setattr(backup, "copy_encrypted", copy)
        vault.backup(work / "backup")
    assert len(copies) == 2
    with Vault.restore(work / "backup", work / "new", passphrase=NEW) as vault:
        assert vault.keys.find("second").added is not None
        assert [line.kind for line in vault.activity(limit=1)] == ["slots changed"]
