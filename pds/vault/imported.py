"""Imports as the vault remembers them: carried out in slices, listed, taken back.

An import writes a thousand records in one transaction, and then lets others have their turn. What
was cut off, by a crash or a full disk, is listed as unfinished. The same file again goes on with
it: what is there is found by content, so that nothing comes twice and it stays one batch. Nothing
is taken back by itself: whoever opens the vault cannot tell a dead import from a slow one.

A file of up to a thousand records is one transaction, all of it or nothing.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from did.json import JsonObject
from did.time import format_time, parse_time
from pds.db import DbError
from pds.errors import PdsError
from pds.vault.context import Context
from pds.vault.imports import Applied, ImportFailed, ImportPlan, apply
from pds.vault.records import Bulk, RecordError, Undone
from pds.vault.store.imports import ImportStore

MAX_NAME = 200
_AT_ONCE = 1000
_LOCK = "import.lock"
_HINT_UNFINISHED = (
    "What came in before that is kept as an unfinished import: see 'pds data imports'."
)


@dataclass(frozen=True, slots=True)
class Imported:
    """An import. ``changed`` items got another version by it. If it were undone, ``removable``
    items would go, ``restorable`` would be again what they were before, and ``kept`` would stay as
    they are, because something was done to them since. ``finished`` is None where it was cut off,
    or is at work."""

    batch: str
    source: str
    name: str
    begun: datetime
    finished: datetime | None
    undone: datetime | None
    added: int
    changed: int
    duplicates: int
    removable: int
    restorable: int
    kept: int


def carry_out(
    ctx: Context, plan: ImportPlan, *, progress: Callable[[int], None] | None = None
) -> Applied:
    """Add what the plan says. Raises as ``apply``, ImportFailed ``import.undone`` where it was
    taken back meanwhile, DbError; what was written before that is listed as unfinished."""
    slices = _Slices(ctx, plan)
    try:
        with slices.turns:
            applied = apply(
                plan,
                ctx.records,
                batch=slices.batch,
                slices=slices,
                words=ctx.records.catalogue(),
                progress=progress,
                attach=lambda item, file: ctx.attachments.attach_bytes(item, file.data, file.name),
            )
    except (PdsError, DbError) as error:
        if slices.known and error.code != "import.undone":
            error.hint = f"{error.hint} {_HINT_UNFINISHED}".strip()
        raise
    ctx.records.tidy()
    if slices.known and applied.batch is None:  # it was cut off behind its last record
        return replace(applied, batch=slices.batch)
    return applied


def imported(ctx: Context) -> list[Imported]:
    """The imports, the newest first, of files and of archives of our own."""
    store = ImportStore(ctx.conn)
    held, changed = store.held(), store.changed()
    found = []
    for row in store.all():
        live, touched = held.get(row.batch, (0, 0))
        known, moved_on = changed.get(row.batch, (0, 0))
        found.append(
            Imported(
                batch=row.batch,
                source=row.source,
                name=row.name,
                begun=parse_time(row.begun),
                finished=None if row.finished is None else parse_time(row.finished),
                undone=None if row.undone is None else parse_time(row.undone),
                added=row.added,
                changed=row.changed,
                duplicates=row.duplicates,
                removable=live - touched,
                restorable=known - moved_on,
                kept=touched + moved_on,
            )
        )
    return found


def undo(ctx: Context, batch: str) -> Undone:
    """Take an import back with its attachments; an item to which the person did anything since
    (corrected, tagged, gave or took an attachment) is kept. RecordError ``data.not_found``."""
    store = ImportStore(ctx.conn)
    with ctx.transaction():
        kept = store.touched(batch)
        # Not by the number of versions: an archive brings items with all of theirs.
        undone = ctx.records.undo_batch(batch, edited=True, kept=kept)
        store.undo(batch, at=format_time(ctx.now()))
        detail: JsonObject = {"removed": undone.removed}
        if undone.restored:
            detail["restored"] = undone.restored
        ctx.log("import undone", batch, detail)
    return undone


def set_about(ctx: Context, batch: str, about: str) -> int:
    """Say whom the items of an import are about; for how many it was not so before. An import of
    many goes in slices, and whatever was cut off is done by the same again.

    RecordError ``data.not_found`` where no item of it is there any more.
    """
    row = ImportStore(ctx.conn).get(batch)
    if row is None or row.undone is not None:
        raise RecordError(
            "There is no such import, or it was undone.",
            code="data.not_found",
            hint="See: pds data imports",
        )
    number = 0
    while True:
        with ctx.transaction():
            done = ctx.records.set_about_batch(batch, about, limit=_AT_ONCE)
            if done:
                ctx.log("about changed", batch, {"about": about, "items": done})
        number += done
        if done < _AT_ONCE:
            return number


class _Turns:
    """One import at a time has the turn, from reading a slice to its commit; a context manager.

    SQLite hands its write lock to whoever asks at the right moment. Several imports would pass it
    among themselves, and who asks now and then would get it never: so there is always the time in
    which a slice is read and nothing is locked. The system lets go of a dead program's turn.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / _LOCK
        self._file: int | None = None

    def __enter__(self) -> None:
        if self._path is not None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def next(self) -> None:
        """Let another import have its turn, if one waits."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _Slices:
    """The transactions of one import, with what is remembered of it."""

    def __init__(self, ctx: Context, plan: ImportPlan) -> None:
        self._ctx = ctx
        self._store = ImportStore(ctx.conn)
        self.turns = _Turns(ctx.conn.folder)
        self._source = plan.reading.source
        self._name = plan.name[-MAX_NAME:].encode(errors="replace").decode()
        self._size = plan.size
        cut_off = None
        if plan.name:
            cut_off = self._store.unfinished(source=self._source, name=self._name, size=self._size)
        self.known = cut_off is not None
        self.batch = ctx.records.new_id() if cut_off is None else cut_off.batch

    @contextmanager
    def __call__(self, bulk: Bulk, last: bool) -> Iterator[None]:  # see Slices
        ctx, added, changed = self._ctx, bulk.added, bulk.changed
        with ctx.transaction():
            if self.known:
                self._check()
            yield
            begins = not self.known and bulk.added + bulk.changed > 0
            if begins:
                self._store.begin(
                    self.batch,
                    source=self._source,
                    name=self._name,
                    size=self._size,
                    at=format_time(ctx.now()),
                )
            if begins or self.known:
                self._store.note(
                    self.batch,
                    added=bulk.added - added,
                    changed=bulk.changed - changed,
                    duplicates=bulk.duplicates,
                    finished=format_time(ctx.now()) if last else None,
                )
            if last:
                row = self._store.get(self.batch)
                detail: JsonObject = {"added": 0 if row is None else row.added}
                if row is not None and row.changed:
                    detail["changed"] = row.changed
                ctx.log("imported", "" if row is None else self.batch, detail)
            elif begins:
                ctx.log("import begun", self.batch)
        self.known = self.known or begins
        self.turns.next()

    def _check(self) -> None:
        row = self._store.get(self.batch)
        if row is None or row.undone is not None:
            raise ImportFailed(
                "The import was undone while it was at work.",
                code="import.undone",
                hint="Import the file again if you want it after all.",
            )
