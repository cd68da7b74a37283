"""Power loss: what of a program's writes may be on the disk when it went dark, and what is not.

A child works on a vault while every write, cut, sync, rename and deletion is recorded. From the
record states are built that a loss of power may leave at any moment of it: what was synced is
there; of what was not, any part, in any order, each write torn at sectors of 512 bytes; names of
files that no sync of the folder has made durable may be the old ones or the new ones. Each state is
opened and held against what had been acknowledged by then.

Modelled as the manual of fsync(2) promises it, and no better; a disk that lies about its cache
loses what it lost. The shared memory of the log is never there after such a restart.
"""

import os
import pickle
import shutil
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torture_disk
from torture_vault import Lost, Model, Report, Worker, adopt, check_history, check_model, entries
from torture_world import Template, open_quickly, open_with

from pds.vault.keyslots import DataKey
from pds.vault.service import Vault

SECTOR = 512
STATES_OF_A_RECORD = 40
_SKIPPED = ("-shm", ".lock")


@dataclass
class _File:
    """What of a file is durable, and what was done since its last sync."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[str, int, bytes]] = field(default_factory=list)

    def sync(self) -> None:
        for one in self.pending:
            _apply(self.synced, *one)
        self.pending.clear()

    def after_loss(self, random: Random) -> bytes:
        content, mode = bytearray(self.synced), random.choice(["none", "all", "some", "first"])
        first = random.randrange(len(self.pending) + 1)
        for number, (kind, offset, data) in enumerate(self.pending):
            if mode == "none" or (mode == "some" and random.random() < 0.5):
                continue
            if mode == "first" and number >= first:
                break
            torn = mode != "all" and kind == "write" and random.random() < 0.3
            torn = torn or (mode == "first" and number == first - 1)
            if torn:
                for at in range(0, len(data), SECTOR):
                    if random.random() < 0.5:
                        _apply(content, "write", offset + at, data[at : at + SECTOR])
            else:
                _apply(content, kind, offset, data)
        return bytes(content)


def _apply(content: bytearray, kind: str, offset: int, data: bytes) -> None:
    if kind == "truncate":
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class Disk:
    """The folder as the recorded events leave it, moment by moment."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._now: dict[str, _File] = {}
        self._names: list[tuple[str, str, _File | None]] = []  # not durable yet
        for path in folder.rglob("*"):
            if path.is_file() and not path.name.endswith(_SKIPPED):
                self._now[str(path)] = _File(bytearray(path.read_bytes()))
        self._durable = dict(self._now)

    def carry_out(self, kind: str, path: str, offset: int, data: bytes, target: str) -> None:
        if not path or path.endswith(_SKIPPED):
            return
        match kind:
            case "open" | "write" | "truncate":
                if path not in self._now:
                    self._now[path] = _File()
                    self._names.append(("link", path, self._now[path]))
                if kind != "open":
                    self._now[path].pending.append((kind, offset, data))
            case "sync":
                self._now[path].sync()
                if path.endswith(("-wal", "-journal")):
                    self._sync_names()  # SQLite syncs the folder with the first sync of a log
            case "rename":
                moved = self._now.pop(path, None)
                if moved is not None:
                    self._now[target] = moved
                    self._names += [("unlink", path, None), ("link", target, moved)]
            case "delete":
                if self._now.pop(path, None) is not None:
                    self._names.append(("unlink", path, None))
                if offset:
                    self._sync_names()
            case "sync-folder":
                self._sync_names()

    def _sync_names(self) -> None:
        _link(self._durable, self._names)
        self._names.clear()

    def lose_power(self, random: Random, place: Path) -> None:
        """Lay out in ``place`` what may be left."""
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        names = dict(self._durable)
        carried = [0, len(self._names), random.randrange(len(self._names) + 1)]
        _link(names, self._names[: random.choice(carried)])
        done: dict[int, bytes] = {}
        for path, file in names.items():
            if id(file) not in done:
                done[id(file)] = file.after_loss(random)
            there = place / os.path.relpath(path, self._folder)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(done[id(file)])


def _link(names: dict[str, _File], operations: list[tuple[str, str, _File | None]]) -> None:
    for _, path, file in operations:
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file


class PowerLoss:
    """Records and states of one process, in a folder of its own."""

    def __init__(
        self, template: Template, key: DataKey, work: Path, seed: int, *, setting: str = ""
    ) -> None:
        self._template = template
        self._key = key
        self._work = work
        self._seed = seed
        self._setting = setting  # a PRAGMA for the child: what would be lost with it
        self.report = Report()

    def run(self, states: range) -> Report:
        for first in range(states.start, states.stop, STATES_OF_A_RECORD):
            random = Random(f"{self._seed}/power/{first}")
            many = min(STATES_OF_A_RECORD, states.stop - first)
            record = self._record(random)
            moments = sorted(random.randrange(1, len(record) + 1) for _ in range(many))
            self._replay(random, record, moments, first)
        return self.report

    def _replay(self, random: Random, record: list[Any], moments: list[int], first: int) -> None:
        """Go through the record once, and lose power at each of these moments of it."""
        live = self._work / "live"
        disk, doubtful = Disk(live), "open"
        with open_quickly(live / "vault", self._template.kit) as vault:
            model = self._model(vault)
        done = 0
        for number, moment in enumerate(moments):
            for one in record[done:moment]:
                if not isinstance(one, dict):
                    disk.carry_out(*one)
                elif "begin" in one:
                    doubtful = one["begin"]
                else:
                    model.take(one)
                    doubtful = ""
            done = moment
            try:
                self._once(random, disk, model, doubtful)
            except Exception as error:  # noqa: BLE001  whatever it is, it is a loss
                self.report.losses.append(
                    f"seed {self._seed} state {first + number}: {type(error).__name__}: {error}\n"
                    + "".join(traceback.format_tb(error.__traceback__)[-3:])
                )
            self.report.loops += 1
            self.report.in_doubt[doubtful] += 1

    def _record(self, random: Random) -> list[Any]:
        """Let a child work, and return what it did to the disk and what it acknowledged."""
        live = self._work / "live"
        self._template.copy_to(live / "vault")
        trace = self._work / "trace"
        child = os.fork()
        if child == 0:
            status = 1
            try:
                self._child(random, live, trace)
                status = 0
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            finally:
                os._exit(status)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
            raise RuntimeError("the child failed by itself")
        self._template.copy_to(live / "vault")  # where the record begins
        loaded: list[Any] = pickle.loads(trace.read_bytes())
        self.report.acknowledged += sum("verb" in one for one in loaded if isinstance(one, dict))
        return loaded

    def _child(self, random: Random, live: Path, trace: Path) -> None:
        record: list[Any] = []

        def hook(event: torture_disk.Event) -> None:
            offset = int(event.synced) if event.kind == "delete" else event.offset
            record.append((event.kind, event.path, offset, event.data, event.target))

        torture_disk.install(hook, under=live)
        with open_with(live / "vault", self._key) as vault:
            if self._setting:
                vault._ctx.conn.execute(self._setting)
            model = self._model(vault)
            Worker(vault, model, self._template, live, record.append).run(random, steps=12)
        trace.write_bytes(pickle.dumps(record))

    def _model(self, vault: Vault) -> Model:
        model = Model(self._template.kit)
        adopt(vault, model)
        model.keep = frozenset(model.batches)
        return model

    def _once(self, random: Random, disk: Disk, model: Model, doubtful: str) -> None:
        place = self._work / "state"
        disk.lose_power(random, place)
        with open_with(place / "vault", self._key) as vault:
            found = vault.check()
            if found:
                raise Lost("check: " + "; ".join(found[:5]))
            check_model(vault, model, doubtful)
            check_history(vault)
        if doubtful != "kit":
            open_quickly(place / "vault", model.kit).close()
        if model.backups and random.randrange(10) == 0:
            self._restore(place, *model.backups[-1])

    def _restore(self, place: Path, path: str, kit: str) -> None:
        backup = place / os.path.relpath(path, self._work / "live")
        restored = place / "restored"
        with Vault.restore(backup, restored, kit=kit) as vault:
            if vault.check() or entries(vault) == 0:
                raise Lost("a backup is not sound")
