"""From an archive of ours into a vault: records with all versions and provenance.

A record is known by its id. What is there already stays as it is, so the same archive twice adds
nothing, and an import that was cut off goes on where it stopped. Transactions are short: other
programs work beside a long import. What was deleted here stays deleted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

from did.errors import DidError
from did.json import JsonObject, parse_object
from did.time import format_time
from pds.errors import PdsError
from pds.vault.categories import add
from pds.vault.context import Context
from pds.vault.imports.plan import MAX_PROBLEMS, Problem
from pds.vault.records import Record, is_id
from pds.vault.schemas import RecordError, is_own
from pds.vault.store.imports import ImportStore

from .read import ExportArchive, open_export

CHUNK = 500
ATTACHMENTS = "attachments.jsonl"
MAX_SCHEMA = 2**20
MAX_LINE = 2**16

_Numbered = tuple[int, tuple[Record, ...]]


@dataclass(slots=True)
class TakenIn:
    """What came of an archive. ``batch`` names what was added, for ``undo_import``; ``deleted`` of
    the ``added`` had been deleted, and only that they existed came in. ``removed`` counts files
    that were taken off their items, here or where another archive came from, and stay so."""

    batch: str | None = None
    added: int = 0
    deleted: int = 0
    there: int = 0
    removed: int = 0
    problem_count: int = 0
    problems: list[tuple[str, Problem]] = field(default_factory=list)

    def report(self, path: str) -> Callable[[int, str, str], None]:
        def tell(line: int, code: str, sentence: str) -> None:
            self.problem_count += 1
            if len(self.problems) < MAX_PROBLEMS:
                self.problems.append((path, Problem(line, code, sentence)))

        return tell


def take_in(ctx: Context, path: Path) -> TakenIn:
    """Add the records of an archive; ``open_export`` says what it raises. What cannot be taken is
    listed with the file and its line: as ``ExportArchive.records``, and the codes of
    ``Records.take_over``."""
    result = TakenIn()
    batch = ctx.records.new_id()
    with open_export(path) as archive:
        _take_categories(ctx, archive, result)
        for listed in archive.data_files:
            report = result.report(listed.path)
            records = archive.records(listed, report)
            while chunk := list(islice(records, CHUNK)):
                _take_chunk(ctx, chunk, batch, result, report, name=path.name)
        _take_attachments(ctx, archive, result)
    if result.batch is not None:
        with ctx.transaction():
            ImportStore(ctx.conn).note(
                batch, added=0, changed=0, duplicates=result.there, finished=format_time(ctx.now())
            )
    return result


def _take_categories(ctx: Context, archive: ExportArchive, result: TakenIn) -> None:
    """Make the categories of the holder's own that the archive brings and this vault lacks."""
    for path in archive.files:
        name = path.removeprefix("schemas/").removesuffix(".json")
        if path != f"schemas/{name}.json" or not is_own(name):
            continue
        report = result.report(path)
        raw = archive.other(path, report, limit=MAX_SCHEMA)
        if raw is None:
            continue
        try:
            add(ctx, name, parse_object(raw))
        except (RecordError, DidError) as error:
            report(0, error.code, str(error))


def _take_attachments(ctx: Context, archive: ExportArchive, result: TakenIn) -> None:
    """Give the files to the items they belong to; the same content again is no second file.

    A file that was taken off its item stays off: here, whatever the archive brings; and where the
    archive says so, against all that come later. One that is here all the same is left.
    """
    report = result.report(ATTACHMENTS)
    if ATTACHMENTS not in archive.files:
        return
    with archive.stream(ATTACHMENTS, report) as lines:
        for number, line in enumerate(_lines(lines), start=1):
            if len(line) > MAX_LINE:
                report(number, "import.record", "A line is too long; the rest is left out.")
                return
            try:
                match parse_object(line.rstrip(b"\n")):
                    case {"removed": True, "id": str(one), "record": str(record)}:
                        _note_removed(ctx, one, record, number, report)
                    case {"path": str(path), "record": str(record), "name": str(name)}:
                        known = _id_in(path)
                        there = {one.sha256 for one in ctx.attachments.of(record)}
                        if known is not None and ctx.attachments.was_removed(known, record):
                            result.removed += 1
                        elif path in archive.files and archive.files[path].sha256 not in there:
                            with archive.stream(path, result.report(path)) as source:
                                _keep(ctx, source, record, name, known)
                    case _:
                        report(number, "import.record", "A line is not as an export writes it.")
            except (PdsError, DidError) as error:
                report(number, error.code, str(error))


def _lines(source: IO[bytes] | None) -> Iterator[bytes]:
    """Lines of any length would fill the memory; more than ``MAX_LINE`` is not read of one."""
    while source is not None and (line := source.readline(MAX_LINE + 1)):
        yield line


def _id_in(path: str) -> str | None:
    """The id that an attachment has in the vault that it comes from."""
    steps = path.split("/")
    return steps[1] if len(steps) == 3 and is_id(steps[1]) else None


def _note_removed(
    ctx: Context, attachment: str, record: str, number: int, report: Callable[[int, str, str], None]
) -> None:
    with ctx.transaction():
        if not is_id(attachment) or ctx.attachments.was_removed(attachment, record):
            return
        if any(one.id == attachment for one in ctx.attachments.of(record)):
            report(number, "data.conflict", "A file was taken off its item there; it stays here.")
            return
        detail: JsonObject = {"attachment": attachment, "record": record}
        ctx.log("detached elsewhere", attachment, detail)


def _keep(
    ctx: Context, source: IO[bytes] | None, record: str, name: str, known: str | None
) -> None:
    if source is not None:
        with ctx.attachments.settling():  # a file that cannot be written whole is not left either
            written = ctx.attachments.write(source)
            with ctx.transaction():
                # Somebody may have taken it off while it was read.
                if known is None or not ctx.attachments.was_removed(known, record):
                    ctx.attachments.keep(
                        record, written, name=name, imported=True, attachment_id=known
                    )


def _take_chunk(
    ctx: Context,
    chunk: Sequence[_Numbered],
    batch: str,
    result: TakenIn,
    report: Callable[[int, str, str], None],
    *,
    name: str,
) -> None:
    with ctx.transaction():
        added = deleted = 0
        for line, versions in chunk:
            try:
                if ctx.records.take_over(versions, batch=batch):
                    added += 1
                    deleted += versions[-1].deleted
                else:
                    result.there += 1
            except RecordError as error:
                report(line, error.code, str(error))
        if added:
            imports = ImportStore(ctx.conn)
            if result.batch is None:
                imports.begin(batch, source="archive", name=name, size=0, at=format_time(ctx.now()))
            imports.note(batch, added=added, changed=0, duplicates=result.there, finished=None)
            detail: JsonObject = {"added": added}
            ctx.log("imported", batch, detail)
    if added:
        result.batch = batch
        result.added += added
        result.deleted += deleted
