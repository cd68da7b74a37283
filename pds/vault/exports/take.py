"""From an archive of ours into a vault: records with all versions and provenance.

A record is known by its id. What is there already stays as it is, so the same archive twice adds
nothing, and an import that was cut off goes on where it stopped. Transactions are short: other
programs work beside a long import. What was deleted here stays deleted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from did.json import JsonObject
from pds.vault.context import Context
from pds.vault.imports.plan import MAX_PROBLEMS, Problem
from pds.vault.records import Record
from pds.vault.schemas import RecordError

from .read import open_export

CHUNK = 500

_Numbered = tuple[int, tuple[Record, ...]]


@dataclass(slots=True)
class TakenIn:
    """What came of an archive. ``batch`` names what was added, for ``undo_import``."""

    batch: str | None = None
    added: int = 0
    there: int = 0
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
        for listed in archive.data_files:
            report = result.report(listed.path)
            records = archive.records(listed, report)
            while chunk := list(islice(records, CHUNK)):
                _take_chunk(ctx, chunk, batch, result, report)
    return result


def _take_chunk(
    ctx: Context,
    chunk: Sequence[_Numbered],
    batch: str,
    result: TakenIn,
    report: Callable[[int, str, str], None],
) -> None:
    with ctx.transaction():
        added = 0
        for line, versions in chunk:
            try:
                if ctx.records.take_over(versions, batch=batch):
                    added += 1
                else:
                    result.there += 1
            except RecordError as error:
                report(line, error.code, str(error))
        if added:
            detail: JsonObject = {"added": added}
            ctx.log("imported", batch, detail)
    if added:
        result.batch = batch
        result.added += added
