"""Everything that a vault holds, as one open ZIP (GDPR article 20, on one's own side).

One read transaction: the archive is one state of the vault, while other programs go on writing.
Records, pages and lines are written as they are read, so memory does not grow with the vault.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from did.json import JsonObject, canonicalize, parse_object
from did.multikey import b64url_encode
from did.time import format_time
from pds.db import transaction
from pds.vault.attachments import Damaged
from pds.vault.context import Context
from pds.vault.schemas import RecordError
from pds.vault.store.exports import ExportStore
from pds.vault.store.origins import OriginStore
from pds.vault.store.records import RecordStore, Row
from pds.vault.store.survey import Survey

from . import calendar, jsonld, pages, vcard
from .archive import Archive
from .damage import LACKING, lacking, undescribed
from .decisions import Decisions, find_company
from .read import FORMAT, VERSION
from .tables import csv_file
from .words import README

CONTACTS, EVENTS = "contact", "events"

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds: live items by category, and the size of the file in bytes.

    ``left_out`` are attachments that cannot be read whole, and are not in it; ``undescribed`` own
    categories whose description is lost, and whose items are in it as they are.
    """

    counts: dict[str, int]
    deleted: int
    files: int
    size: int
    left_out: tuple[Damaged, ...] = ()
    undescribed: tuple[str, ...] = ()

    @property
    def items(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that belongs to a record. ``name`` is one that every system takes as a file's name;
    ``pieces`` are read once, when it is written; of one that is ``damaged``, never."""

    id: str
    record: str
    name: str
    media_type: str
    size: int
    pieces: Iterator[bytes]
    damaged: Damaged | None = None


def attachments(ctx: Context) -> Iterator[Attachment]:
    """Every attachment of the vault, the oldest first."""
    for one in ctx.attachments.all():
        yield Attachment(
            one.id,
            one.record_id,
            one.name,
            one.media_type,
            one.size,
            _pieces(ctx, one.id),
            # Before it is written: a part of a file would look like the file.
            ctx.attachments.look(one.id),
        )


def _pieces(ctx: Context, attachment_id: str) -> Iterator[bytes]:
    with ctx.attachments.open(attachment_id) as source:
        while piece := source.read(2**16):
            yield piece


def write_export(
    ctx: Context,
    target: Path,
    *,
    categories: Sequence[str] | None = None,
    company: str | None = None,
    progress: Progress = lambda _done: None,
) -> Exported:
    """Write the archive to ``target``, mode 0600, whole or not at all.

    Without a choice it holds everything. ``categories`` leaves only the data of these; ``company``
    (a DID or a name) only the decisions and the history about it; both together, both. ``progress``
    is told how many items more have been read.

    What is damaged costs nothing else: see ``Exported``. The archive says so too. Raises
    ``VaultError`` ``export.exists``, ``NotFound`` for a company, ``RecordError`` for a
    category, ``OSError`` of the disk.
    """
    everything = categories is None and company is None
    words = ctx.records.catalogue()
    undescribed = Survey(ctx.conn).without_category()
    for name in categories or ():
        if name not in undescribed:
            words.category(name)
    about = None if company is None else find_company(ctx, company)
    with (
        transaction(ctx.conn, immediate=False),  # one state of the vault from here on
        Archive(target, now=ctx.now()) as archive,
    ):
        store = ExportStore(ctx.conn)
        work = _Export(ctx, archive, store, progress)
        if everything or categories is not None:
            work.data(categories)
        if everything:
            work.attachments()
        if everything or about is not None:
            work.decisions(about)
        result = work.finish(partial=not everything)
    return Exported(
        counts=result,
        deleted=work.deleted,
        files=len(archive.members),
        size=target.stat().st_size,
        left_out=tuple(work.left_out),
        undescribed=tuple(work.undescribed),
    )


class _Export:
    def __init__(
        self, ctx: Context, archive: Archive, store: ExportStore, progress: Progress
    ) -> None:
        self._ctx = ctx
        self._archive = archive
        self._store = store
        self._progress = progress
        self._versions = RecordStore(ctx.conn)
        self._origins = OriginStore(ctx.conn)
        self._words = ctx.records.catalogue()
        self._listed: list[pages.Listed] = []
        self._files: list[tuple[str, str]] = []
        self._attached: list[tuple[str, str, int]] = []
        self._grants: list[JsonObject] = []
        self.deleted = 0
        self.left_out: list[Damaged] = []
        self.undescribed: list[str] = []

    # --- data ---------------------------------------------------------------------------------

    def data(self, categories: Sequence[str] | None) -> None:
        counts = self._store.record_counts()
        for name in sorted(counts) if categories is None else sorted(set(categories)):
            live, deleted = counts.get(name, (0, 0))
            self.deleted += deleted
            if live + deleted:
                self._category(name, live, deleted)
        for name, path, what, pieces in (
            (CONTACTS, "contacts.vcf", "Contacts for address books (vCard).", self._cards),
            (EVENTS, "calendar.ics", "Events for calendars (iCalendar).", self._events),
        ):
            wanted = categories is None or name in categories
            if wanted and counts.get(name, (0, 0))[0] and self._archive.add_all(path, pieces()):
                self._files.append((path, what))

    def _category(self, name: str, live: int, deleted: int) -> None:
        try:
            category, schema = self._words.category(name), self._words.schema_of(name)
        except RecordError:  # one's own; what its fields were called is in the items themselves
            self.undescribed.append(name)
            category, schema = undescribed(name, self._store.live(name))
        path = f"data/{name}"
        with self._archive.member(f"{path}.jsonld") as out:
            out.write(jsonld.header(name, schema))
            before = b""
            for row in self._store.all(name) if deleted else self._store.live(name):
                tags = self._versions.tags(row.ordinal)
                out.write(before + jsonld.line(self._history(row), tags))
                before = b",\n"
                self._progress(1)
            out.write(jsonld.CLOSING)
        if name not in self.undescribed:
            self._archive.add(f"schemas/{name}.json", _pretty(schema))
        shown, files = [f"{path}.jsonld"], [f"{path}.jsonld"]
        if live:
            self._archive.add_all(f"{path}.csv", csv_file(self._store.live(name), schema))
            files.append(f"{path}.csv")
            shown = []
            for page, octets in pages.category_pages(category, self._store.newest(name), live):
                self._archive.add(page, octets)
                shown = shown or [page]
        self._listed.append(
            pages.Listed(
                name=name,
                title=category.title,
                count=live,
                first=shown[0],
                files=tuple(files),
            )
        )

    def _history(self, row: Row) -> list[Row]:
        return [row] if row.version == 1 else self._versions.history(row.ordinal)

    def _cards(self) -> Iterator[bytes]:
        for row in self._store.live(CONTACTS):
            uid = self._origins.names([row.ordinal]).get(row.ordinal, "")
            yield vcard.card(row.id, row.changed, parse_object(row.fields or "{}"), uid=uid)

    def _events(self) -> Iterator[bytes]:
        yield calendar.BEGIN
        for row in self._store.live(EVENTS):
            yield calendar.event(row.id, row.changed, parse_object(row.fields or "{}"))
        yield calendar.END

    def attachments(self) -> None:
        lines = []
        for attached in attachments(self._ctx):
            if attached.damaged is not None:
                self.left_out.append(attached.damaged)
                continue
            path = f"attachments/{attached.id}/{attached.name}"
            if not self._archive.add_all(path, attached.pieces):
                self._archive.add(path, b"")
            self._attached.append((path, attached.name, attached.size))
            about: JsonObject = {
                "path": path,
                "record": attached.record,
                "name": attached.name,
                "type": attached.media_type,
            }
            lines.append(_line(about))
        lines += [
            _line({"id": attachment, "record": record, "removed": True})
            for attachment, record in self._ctx.attachments.removed()
        ]
        if self._archive.add_all("attachments.jsonl", lines):
            self._files.append(("attachments.jsonl", "Which file belongs to which item."))

    # --- decisions and history ----------------------------------------------------------------

    def decisions(self, company: str | None) -> None:
        decisions = Decisions(self._ctx, self._store, company)
        self._files += decisions.write(self._archive)
        self._grants = decisions.rows()
        lines = (
            _line({"n": e.n, "entry": parse_object(e.entry), "salt": b64url_encode(e.salt)})
            for e in self._store.history()
            if decisions.concerns(e.subject)
        )
        if self._archive.add_all("history.jsonl", lines):
            self._files.append(("history.jsonl", "What this vault did, one entry on each line."))
        size, root = self._ctx.history.root()
        relays: JsonObject = {
            origin: {"seen": at, "checkpoint": note}
            for origin, note, at in self._store.checkpoints()
        }
        self._archive.add(
            "history-checkpoint.json",
            _pretty({"size": size, "root": b64url_encode(root), "relays": relays}),
        )
        self._files.append(
            ("history-checkpoint.json", "The Merkle root over that history, and the relays'.")
        )

    # --- the frame ----------------------------------------------------------------------------

    def finish(self, *, partial: bool) -> dict[str, int]:
        made = format_time(self._ctx.now())
        if self.left_out or self.undescribed:
            self._archive.add(LACKING, lacking(self.left_out, self.undescribed))
            self._files.insert(0, (LACKING, "What could not be read, and is not in this archive."))
        self._files += [
            ("README.txt", "How to read this archive, in plain words."),
            ("manifest.json", "Every file with its size and SHA-256."),
        ]
        self._archive.add("README.txt", README.encode())
        self._archive.add(
            "index.html",
            pages.index_page(
                made=made,
                categories=sorted(self._listed, key=lambda one: one.title.casefold()),
                files=self._files,
                grants=self._grants,
                attachments=self._attached[::-1],
            ),
        )
        counts = {listed.name: listed.count for listed in self._listed}
        self._archive.finish(
            {
                "format": FORMAT,
                "version": VERSION,
                "created": made,
                "partial": partial,
                "counts": {**counts},
            }
        )
        return counts


def _line(value: JsonObject) -> bytes:
    return canonicalize(value) + b"\n"


def _pretty(value: JsonObject) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
