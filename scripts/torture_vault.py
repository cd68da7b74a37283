"""kill -9 of a program that writes to a vault, at a random write, again and again.

    for each loop:  fork; the child does a random mix of verbs and acknowledges each on a pipe;
                    at its n-th write, sync or rename, before, after or half-way, it is killed;
                    the parent opens the vault and holds it against what was acknowledged.

The parent has everything loaded and no connection open. It forks, and the child writes to the
vault that the loops before have left; now and then a fresh copy of the template takes its place.
What the child will do, and when it dies, follows from seed and loop.

Long, because what is done and how each of it is held against what was said stand side by side.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
import traceback
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import torture_disk
from torture_world import Template, open_quickly, open_with

from pds.vault.consent import Accept, Refuse
from pds.vault.keyslots import DataKey
from pds.vault.records import bulk
from pds.vault.service import Vault

FRESH_EVERY = 25
SLICE = 7  # so many records of an import are one transaction
_ROWS = 20
_CONTACTS = (
    "BEGIN:VCARD\nVERSION:4.0\nFN:Person {n} Exámple\nEMAIL:person{n}@posta.example\n"
    "TEL:+36 30 555 {n:04d}\nNOTE:{note}\nEND:VCARD\n"
)
_VERBS = (
    *["add"] * 4, *["edit"] * 3, "delete", "import", "undo", "kit", "backup", "compact", "decide",
    "withdraw", *["attach"] * 2, "detach", *["table"] * 2,
)  # fmt: skip


class Lost(Exception):
    """The vault is not what was acknowledged."""


@dataclass
class Model:
    """What a vault must hold: everything that was acknowledged."""

    kit: str
    records: dict[str, list[Any]] = field(default_factory=dict)  # every version; [] when deleted
    batches: dict[str, int] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)  # batches that the same file goes on with
    decided: dict[str, int] = field(default_factory=dict)  # request -> grants
    ended: set[str] = field(default_factory=set)
    backups: list[tuple[str, str]] = field(default_factory=list)
    attachments: dict[str, tuple[str, str]] = field(default_factory=dict)  # -> record, content
    entries: int = 0
    keep: frozenset[str] = frozenset()  # the template's batches: requests ask for what they hold

    def take(self, told: dict[str, Any]) -> None:
        """An acknowledgement."""
        self.entries = told["entries"]
        match told["verb"]:
            case "add":
                self.records[told["id"]] = [told["fields"]]
            case "edit":
                if told["version"] > len(self.records[told["id"]]):
                    self.records[told["id"]].append(told["fields"])
            case "delete":
                self.records[told["id"]] = []
                self.attachments = {
                    n: one for n, one in self.attachments.items() if one[0] != told["id"]
                }
            case "attach":
                self.attachments[told["attachment"]] = (told["id"], told["content"])
            case "detach":
                del self.attachments[told["attachment"]]
            case "import" | "table":
                self.batches[told["batch"]] = told["live"]
                self.unfinished.discard(told["batch"])
            case "undo":
                self.batches[told["batch"]] = 0
            case "kit":
                self.kit = told["kit"]
            case "backup":
                self.backups.append((told["path"], told["kit"]))
            case "decide":
                self.decided[told["request"]] = told["grants"]
            case "withdraw":
                self.ended.add(told["grant"])


@dataclass
class Report:
    """What came out of the loops."""

    loops: int = 0
    killed: int = 0
    acknowledged: int = 0
    in_doubt: Counter[str] = field(default_factory=Counter)
    where: Counter[str] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)


class Killer:
    """Kills this process at the n-th event: before it, after half of it, or after it."""

    def __init__(self, at: int, how: str, place: int) -> None:
        self._left = at
        self._how = how
        self._place = place  # a descriptor to which the last event is told

    def __call__(self, event: torture_disk.Event) -> None:
        if event.kind == "open":
            return
        self._left -= 1
        if self._left == 0 and self._how == "half":
            event.half()
        if self._left == 0 or (self._left == -1 and self._how == "after"):
            if self._left == 0 and self._how == "after":
                return
            os.write(self._place, f"{event.kind} {_kind_of(event.path)}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


def _kind_of(path: str) -> str:
    name = os.path.basename(path)
    for ending in ("-wal", "-journal", ".tmp", ".db", ".json", ".lock"):
        if name.endswith(ending):
            return ending
    return "folder or file"


class Worker:
    """The child: does a mix of verbs, and tells of each when it has returned."""

    def __init__(self, vault: Vault, model: Model, template: Template, work: Path, tell: Any):
        self._vault = vault
        self._model = model
        self._template = template
        self._work = work
        self._tell = tell
        self._random = Random(0)
        self._step = 0

    def run(self, random: Random, steps: int) -> None:
        self._random = random
        self._vault._ctx.conn.execute(
            f"PRAGMA wal_autocheckpoint = {random.choice([1000, 1000, 20, 100])}"
        )
        for self._step in range(steps):
            self.do(random.choice(_VERBS))

    def do(self, verb: str) -> None:
        """One verb, told of before and after."""
        self._tell({"begin": verb})
        done = getattr(self, f"_{verb}")()
        if done is None:
            self._tell({"begin": ""})
            return
        told = {"verb": verb, "entries": entries(self._vault), **done}
        self._model.take(told)
        self._tell(told)

    def _add(self) -> dict[str, Any]:
        text = "x" * self._random.choice([10, 200, 3000, 9000])
        fields = {"title": f"note {self._step} {self._random.random()}", "text": text}
        return {"id": self._vault.add("note", fields).id, "fields": fields}

    def _live(self) -> str | None:
        live = sorted(name for name, versions in self._model.records.items() if versions)
        return self._random.choice(live) if live else None

    def _edit(self) -> dict[str, Any] | None:
        if (name := self._live()) is None:
            return None
        changed = self._vault.edit(name, {"title": f"edited {self._step} {self._random.random()}"})
        return {"id": name, "fields": changed.fields, "version": changed.version}

    def _delete(self) -> dict[str, Any] | None:
        if (name := self._live()) is None:
            return None
        self._vault.delete(name)
        return {"id": name}

    def _attach(self) -> dict[str, Any] | None:
        if (name := self._live()) is None:
            return None
        content = f"{self._step} {self._random.random()} " * self._random.choice([1, 50, 5000])
        kept = self._vault.attach(name, BytesIO(content.encode()), name="scan.txt")
        return {"id": name, "attachment": kept.id, "content": _digest(content.encode())}

    def _detach(self) -> dict[str, Any] | None:
        if not self._model.attachments:
            return None
        attachment = self._random.choice(sorted(self._model.attachments))
        self._vault.detach(attachment)
        return {"attachment": attachment}

    def _import(self) -> dict[str, Any]:
        cards = self._work / "cards.vcf"
        cards.write_text(
            "".join(
                _CONTACTS.format(n=self._random.randrange(10_000), note=self._random.random())
                for _ in range(self._random.choice([1, 5, 30]))
            )
        )
        return self._take(cards)

    def _table(self) -> dict[str, Any]:
        """One of three tables, again and again: in slices, and gone on with if it was cut off."""
        number = self._random.randrange(3)
        table = self._work / f"table-{number}.csv"
        table.write_text(
            "Date,Item,Price\n"
            + "".join(
                f"2026-01-02,Thing {n if n % 5 else 0} of {number},{n if n % 5 else 0}\n"
                for n in range(_ROWS)
            )
        )
        done = self._take(table)
        if self._vault.plan_import(table).added:
            raise Lost("a table was imported in part")
        return done

    def _take(self, file: Path) -> dict[str, Any]:
        applied = self._vault.import_plan(self._vault.plan_import(file))
        live = {b.id: b.live for b in self._vault._ctx.records.batches()}
        return {"batch": applied.batch, "live": live.get(applied.batch or "", 0)}

    def _undo(self) -> dict[str, Any] | None:
        kept = self._model.keep
        live = sorted(b for b, count in self._model.batches.items() if count and b not in kept)
        if not live:
            return None
        batch = self._random.choice(live)
        self._vault.undo_import(batch)
        return {"batch": batch}

    def _kit(self) -> dict[str, Any]:
        return {"kit": self._vault.keys.new_kit()}

    def _backup(self) -> dict[str, Any]:
        path = self._work / f"backup-{self._random.randrange(2**40):x}"
        self._vault.backup(path)
        return {"path": str(path), "kit": self._model.kit}

    def _compact(self) -> dict[str, Any]:
        self._vault.compact()
        return {}

    def _decide(self) -> dict[str, Any] | None:
        open_ = [name for name in self._template.requests if name not in self._model.decided]
        if not open_:
            return None
        # What was refused once may not be asked again: always the same purpose.
        answers = {"delivery": Accept(), "personalisation": Accept(), "marketing": Refuse()}
        outcomes = self._vault.decide(open_[0], answers)
        return {"request": open_[0], "grants": sum(one.granted for one in outcomes)}

    def _withdraw(self) -> dict[str, Any] | None:
        live = [one.grant for one in self._vault.sharing() if one.state == "active"]
        if not live:
            return None
        grant = self._random.choice(live)
        self._vault.withdraw(grant)
        return {"grant": grant}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def attachments(vault: Vault) -> dict[str, tuple[str, str]]:
    """Of each attachment: its record, and the digest of what is read from it."""
    found = {}
    for one in vault.attachments():
        with vault.open_attachment(one.id) as stream:
            found[one.id] = (one.record_id, _digest(stream.read()))
    return found


def entries(vault: Vault) -> int:
    """How many entries the history has."""
    return int(vault._ctx.history.root()[0])


class Torture:
    """The loops of one process, in a folder of its own."""

    def __init__(self, template: Template, key: DataKey, work: Path, seed: int) -> None:
        self._template = template
        self._key = key
        self._work = work
        self._folder = work / "vault"
        self._seed = seed
        self._model = Model(template.kit)
        self.report = Report()

    def run(self, loops: range) -> Report:
        for number, loop in enumerate(loops):
            if number % FRESH_EVERY == 0:
                self._fresh()
            random = Random(f"{self._seed}/{loop}")
            try:
                doubtful = self._once(random)
                self._check(random, doubtful)
            except Exception as error:  # noqa: BLE001  whatever it is, it is a loss
                self.report.losses.append(
                    f"seed {self._seed} loop {loop}: {type(error).__name__}: {error}\n"
                    + "".join(traceback.format_tb(error.__traceback__)[-3:])
                )
                self._fresh()
            self.report.loops += 1
        return self.report

    def _fresh(self) -> None:
        self._template.copy_to(self._folder)
        for left in self._work.glob("backup-*"):
            left.unlink()
        self._model = Model(self._template.kit)
        with open_quickly(self._folder, self._template.kit) as vault:
            adopt(vault, self._model)
            self._model.keep = frozenset(self._model.batches)

    def _once(self, random: Random) -> str:
        """Fork, work, die. Returns the verb that was under way."""
        at, how = int(2 ** random.uniform(0, 9.5)), random.choice(["before", "half", "after"])
        reading, writing = os.pipe()
        place_out, place_in = os.pipe()
        child = os.fork()
        if child == 0:
            self._child(random, Killer(at, how, place_in), writing)
        os.close(writing)
        os.close(place_in)
        doubtful = "open"
        with os.fdopen(reading) as lines:
            for line in lines:
                told = json.loads(line)
                if "begin" in told:
                    doubtful = told["begin"]
                else:
                    self._model.take(told)
                    self.report.acknowledged += 1
                    doubtful = ""
        with os.fdopen(place_out) as place:
            where = place.read().strip()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == -signal.SIGKILL:
            self.report.killed += 1
            self.report.where[where] += 1
            self.report.in_doubt[doubtful] += 1
        elif status != 0:
            raise Lost(f"the child failed by itself ({status})")
        return doubtful

    def _child(self, random: Random, killer: Killer, writing: int) -> None:
        status = 1
        try:
            bulk.AT_ONCE = SLICE
            torture_disk.install(killer, under=self._work)

            def tell(what: dict[str, Any]) -> None:
                os.write(writing, json.dumps(what).encode() + b"\n")

            with open_with(self._folder, self._key) as vault:
                worker = Worker(vault, self._model, self._template, self._work, tell)
                worker.run(random, steps=random.randrange(3, 12))
            status = 0
        except BaseException:  # noqa: BLE001  the parent is told by the status
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(status)

    def _check(self, random: Random, doubtful: str) -> None:
        model = self._model
        kit = model.kit
        if doubtful == "kit":  # the old kit opens, or a new one that nobody has seen
            vault = open_with(self._folder, self._key)
            try:
                open_quickly(self._folder, kit).close()
            except Exception:  # noqa: BLE001  the new kit has taken its place
                with vault:
                    model.kit = vault.keys.new_kit()
                vault = open_quickly(self._folder, model.kit)
        else:
            vault = open_quickly(self._folder, kit)
        with vault:
            found = vault.check()
            if found:
                raise Lost("check: " + "; ".join(found[:5]))
            check_model(vault, model, doubtful)
            check_history(vault)
            adopt(vault, model)
            if random.randrange(8) == 0:  # and it goes on working
                record = vault.add("note", {"title": "after", "text": "y"})
                model.records[record.id] = [record.fields]
                model.entries = entries(vault)
        if model.backups and random.randrange(4) == 0:
            self._check_backup(*model.backups[-1])

    def _check_backup(self, path: str, kit: str) -> None:
        place = self._work / "restored"
        with Vault.restore(Path(path), place, kit=kit) as restored:
            if restored.check():
                raise Lost("a backup is not sound")
        shutil.rmtree(place)


def check_model(vault: Vault, model: Model, doubtful: str) -> None:
    """Everything acknowledged is there; what was under way happened wholly or not at all."""
    more = entries(vault) - model.entries
    if more < 0:
        raise Lost(f"{-more} entries of the history are gone")
    if more > 0 and not doubtful:
        raise Lost("something happened that nobody asked for")
    for name, versions in model.records.items():
        shown = [] if vault.history(name)[-1].deleted else vault.history(name)
        fields = [version.fields for version in shown]
        extra = fields[: len(versions)] != versions or len(fields) > len(versions) + (
            doubtful == "edit"
        )
        if extra and not (doubtful == "delete" and not fields and more == 1):
            raise Lost(f"a record is not as acknowledged (while {doubtful})")
    live = {b.id: b.live for b in vault._ctx.records.batches()}
    for batch, count in model.batches.items():
        went_on = doubtful in ("import", "table") and batch in model.unfinished
        if live.get(batch, 0) != count and not (
            (doubtful == "undo" and live.get(batch) == 0)
            or (went_on and live.get(batch, 0) > count)
        ):
            raise Lost(f"a batch is not as acknowledged (while {doubtful})")
    kept = attachments(vault)
    missing = {name for name, one in model.attachments.items() if kept.get(name) != one}
    records = {model.attachments[name][0] for name in missing}
    if missing and not (
        (doubtful == "detach" and len(missing) == 1)
        or (doubtful == "delete" and len(records) == 1 and vault.history(*records)[-1].deleted)
    ):
        raise Lost(f"an attachment is not as acknowledged (while {doubtful})")
    grants = Counter(row.request for row in vault._ctx.exchange.grants())
    for request, count in model.decided.items():
        if vault.request(request).state != "decided" or grants[request] != count:
            raise Lost("a decision is lost")
    ended = {row.id for row in vault._ctx.exchange.grants() if row.ended is not None}
    if not model.ended <= ended:
        raise Lost("a withdrawal is lost")


def check_history(vault: Vault) -> None:
    """Whatever the rows say happened stands in the history, and nothing else: nothing is half."""
    log: dict[str, list[tuple[str, Any]]] = {}
    for entry in reversed(vault._ctx.history.entries(limit=10**6)):
        log.setdefault(entry.subject, []).append((entry.kind, entry.detail))
    seen: set[str] = set()
    batches: Counter[str] = Counter()
    for record in all_records(vault):
        seen.add(record.id)
        lines = log.get(record.id, [])
        version = max([1, *(detail["version"] for kind, detail in lines if kind == "edited")])
        gone = any(kind == "deleted" for kind, _ in lines)
        if record.batch is None:
            if lines[0][0] != "added":
                raise Lost("a record is there and its adding is not in the history")
        else:
            batches[record.batch] += 1
            undone = any(kind == "import undone" for kind, _ in log.get(record.batch, []))
            gone = gone or (undone and record.deleted)
        if record.deleted != gone or record.version != version + record.deleted:
            raise Lost("a record and its history do not fit")
        if len(vault.history(record.id)) != record.version:
            raise Lost("a version of a record is missing")
        found = any(r.id == record.id for r in vault.search(_word_of(record), limit=1000))
        if not record.deleted and _word_of(record) and not found:
            raise Lost("a record is not in the index")
    attached = {
        detail["attachment"]
        for subject, lines in log.items()
        if not any(kind == "deleted" for kind, _ in lines)
        for kind, detail in lines
        if kind == "attached"
    }
    detached = {d["attachment"] for lines in log.values() for k, d in lines if k == "detached"}
    if attached - detached != {one.id for one in vault.attachments()}:
        raise Lost("attachments and history do not fit")
    added = {s for s, lines in log.items() if any(kind == "added" for kind, _ in lines)}
    if added - seen:
        raise Lost("the history names a record that is not there")
    logged = {
        s: detail["added"]
        for s, lines in log.items()
        for k, detail in lines
        if k == "imported" and s
    }
    # An import that was cut off is there in whole slices, and says so.
    begun = {s for s, lines in log.items() if any(kind == "import begun" for kind, _ in lines)}
    listed = {one.batch: one for one in vault.imports()}
    if set(batches) != set(listed) or set(logged) | begun != set(listed):
        raise Lost("imports and history do not fit")
    for batch, one in listed.items():
        if one.added != batches[batch] or (one.finished is None) != (batch not in logged):
            raise Lost("an import is not as it is listed")
        if one.finished is not None and logged[batch] != one.added:
            raise Lost("an import is there in part")
        if one.finished is None and one.added % SLICE:
            raise Lost("a slice of an import is there in part")
    exchange = vault._ctx.exchange
    ended = {row.id for row in exchange.grants() if row.ended is not None}
    granted = {s for s, lines in log.items() if any(kind == "granted" for kind, _ in lines)}
    if granted != {row.id for row in exchange.grants()}:
        raise Lost("grants and history do not fit")
    if ended != {s for s, lines in log.items() if any(kind == "ended" for kind, _ in lines)}:
        raise Lost("ends of grants and history do not fit")
    jobs = Counter(job.kind for job in exchange.jobs())
    live = len(exchange.grants()) - len(ended)
    if jobs["package"] != live or jobs["end"] != len(ended):
        raise Lost("the outbox does not fit the grants")
    decided = {row.request for row in exchange.grants()}
    if decided != {row.id for row in exchange.requests() if row.state == "decided"}:
        raise Lost("a request is decided in part")


def all_records(vault: Vault) -> Any:
    """Every record, tombstones too."""
    ids = [row[0] for row in vault._ctx.conn.execute("SELECT id FROM records ORDER BY ordinal")]
    return [vault.history(name)[-1] for name in ids]


def _word_of(record: Any) -> str:
    return next((str(record.fields[k]) for k in ("title", "email") if k in record.fields), "")


def adopt(vault: Vault, model: Model) -> None:
    """What was in doubt and did happen is acknowledged from here on."""
    model.entries = entries(vault)
    for record in all_records(vault):
        if record.batch is None or record.id in model.records:
            shown = [] if record.deleted else [v.fields for v in vault.history(record.id)]
            model.records[record.id] = shown
    model.batches = {b.id: b.live for b in vault._ctx.records.batches()}
    model.unfinished = {one.batch for one in vault.imports() if one.finished is None}
    model.attachments = attachments(vault)
    grants = vault._ctx.exchange.grants()
    model.decided = dict(Counter(row.request for row in grants))
    model.ended = {row.id for row in grants if row.ended is not None}
