"""``pds export | import``: everything in one open ZIP, and back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pds.cli.damage import damaged_json, damaged_lines
from pds.cli.names import company as name_of_company
from pds.cli.output import Settings, count, pass_settings
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


@click.command()
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--category", "categories", multiple=True, help="Only the data of this category.")
@click.option(
    "--company", help="Only what was decided about this company, by its name, domain or DID."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def export(
    settings: Settings,
    *,
    target: Path,
    categories: tuple[str, ...],
    company: str | None,
    yes: bool,
) -> None:
    """Write everything into one open ZIP, e.g.: pds export my-data.zip

    It is NOT ENCRYPTED: pages for a browser, tables (CSV), JSON-LD with every version, contacts
    (vCard), events (iCalendar), attachments, all signed decisions, and the history. It needs no
    program of ours to be read. 'pds backup' makes an encrypted copy instead.

    --category can be given several times, and with --company: the archive then holds what is named
    and nothing else. 'pds import' takes an archive in again.

    What is damaged is left out and named, in the archive too; the exit code is then 1, and all the
    rest is in it.
    """
    question = "The archive is not encrypted: whoever has it can read everything in it. Write it?"
    settings.may_confirm(question, yes=yes)
    with unlock(settings) as vault:
        company = None if company is None else name_of_company(settings, vault, company)
        settings.confirm(question, yes=yes)
        with _progress(settings, vault.status().items) as progress:
            done = vault.export(
                target, categories=categories or None, company=company, progress=progress
            )
        told = damaged_lines(vault, done.left_out)
    settings.emit(
        {
            "archive": str(target),
            "items": done.items,
            "counts": done.counts,
            "files": done.files,
            "bytes": done.size,
            "leftOut": damaged_json(done.left_out),
            "undescribed": done.undescribed,
        },
        f"{count(done.items, 'item')} in {count(done.files, 'file')}, {done.size} bytes: {target}",
    )
    settings.say("It is not encrypted. Unpack it and open index.html in a browser.")
    for name in done.undescribed:
        settings.say(
            f"The description of the category {name} is lost: its items are in it as they are. "
            "Add the description again: pds data category add"
        )
    if told:
        settings.say(
            f"It is without {count(len(done.left_out), 'attached file')} that cannot be read:\n"
            + "\n".join(told)
        )
    if told or done.undescribed:
        raise click.exceptions.Exit(1)


@click.command("import")
@click.argument("archive", type=click.Path(dir_okay=False, path_type=Path))
@pass_settings
def import_(settings: Settings, *, archive: Path) -> None:
    """Take in an ARCHIVE that 'pds export' wrote, e.g.: pds import my-data.zip

    Items come in with all their versions and where they came from. What is here already stays as
    it is; the same archive again adds nothing, and an item or a file that you removed here stays
    removed. Decisions and history stay with the vault that made
    them. 'pds data undo' takes the import back; other files go in with 'pds data import'.
    """
    with unlock(settings) as vault:
        done = vault.import_export(archive)
    problems = [
        {"file": path, "line": problem.line, "code": problem.code, "message": problem.sentence}
        for path, problem in done.problems
    ]
    settings.emit(
        {
            "added": done.added,
            "deleted": done.deleted,
            "duplicates": done.there,
            "removed": done.removed,
            "batch": done.batch,
            "problems": problems,
            "problemCount": done.problem_count,
        },
        f"{count(done.added - done.deleted, 'item')} added"
        + (f", and {done.deleted} that had been deleted" if done.deleted else "")
        + (f", {done.there} there already" if done.there else "")
        + (f", {count(done.removed, 'file')} that you removed left out" if done.removed else "")
        + (f"; {count(done.problem_count, 'problem')}:" if problems else ".")
        + "".join(
            f"\n  {p['file']}, line {p['line']}: {p['message']}  [{p['code']}]" for p in problems
        )
        + (f"\nUndo with: pds data undo {done.batch}" if done.batch else ""),
    )


@contextmanager
def _progress(settings: Settings, length: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where somebody looks at it; for long work only."""
    import sys

    if settings.as_json or not sys.stderr.isatty() or length < 10_000:
        yield lambda _done: None
        return
    bar: ProgressBar[int]
    with click.progressbar(length=length, label="Writing", file=sys.stderr) as bar:
        yield bar.update
