"""``pds data import`` and ``pds data mapping``: files of others, and what their columns mean."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from did.time import format_time
from pds.cli.find import whole_id
from pds.cli.output import Settings, count, pass_settings
from pds.cli.restaging import hand_on
from pds.cli.vault import unlock
from pds.oneline import one_line

if TYPE_CHECKING:
    from pds.vault.imported import Imported
    from pds.vault.imports import Applied, ImportPlan, Reading
    from pds.vault.mergers import Merged
    from pds.vault.service import Vault


_WHOSE = {"self": "you", "other": "someone else"}


class _Kind(click.Choice[str]):
    """One of the kinds of files; the table of them is loaded when it is needed."""

    def __init__(self) -> None:
        super().__init__(())

    @property
    def choices(self) -> tuple[str, ...]:
        from pds.vault.imports import KINDS

        return tuple(KINDS)

    @choices.setter
    def choices(self, _none: object) -> None:
        """The table is the only word on it."""


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--kind", type=_Kind(), help="Do not guess the kind.")
@click.option("--map", "mapping", multiple=True, metavar="COLUMN=FIELD",
              help="What a CSV column means, e.g. Tag=purchases.date.")  # fmt: skip
@click.option("--save-mapping", metavar="NAME", help="Keep --map for files with this header.")
@click.option("--describe", type=click.Path(dir_okay=False, exists=True, path_type=Path),
              help="How the archive of a service is read: docs/imports.md.")  # fmt: skip
@click.option("--about", type=click.Choice(["self", "other"]),
              help="Whom what is new is about; else as file and vault say.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@pass_settings
def import_(
    settings: Settings,
    *,
    file: Path,
    kind: str | None,
    mapping: tuple[str, ...],
    save_mapping: str | None,
    describe: Path | None,
    about: Literal["self", "other"] | None,
    dry_run: bool,
) -> None:
    """Import a file, e.g.: pds data import takeout.zip --dry-run

    Contacts (vCard), a calendar (iCalendar), statements of a bank (OFX, camt.052 to 054), health
    records (FHIR), mail (mbox), the archive of a large service (ZIP), things of schema.org
    (JSON-LD), credentials of others, or a table (CSV).
    What is good goes in; what is not is listed with its place.

    The same file again adds nothing; a card or an event that changed is a new version of its item.
    'pds data undo' takes an import back.
    """
    columns = _columns(mapping)
    if save_mapping is not None and not columns:
        raise click.UsageError("--save-mapping goes with --map.")
    if describe is not None and (kind is not None or columns):
        raise click.UsageError("--describe goes without --kind and --map.")
    with unlock(settings) as vault:
        told = _counter(settings)
        try:
            plan = vault.plan_import(
                file,
                kind=kind,
                mapping=columns or None,
                about=about,
                description=describe,
                progress=told,
            )
        except Exception as error:
            if dry_run and getattr(error, "code", "") == "import.columns_unknown":
                _show_columns(settings, file)
            raise
        applied = None
        if not dry_run:
            applied = vault.import_plan(plan, progress=told)
            if save_mapping is not None:
                vault.save_mapping(save_mapping, file, columns)
        titles = _titles(vault, plan) if dry_run else {}
    if told is not None:
        click.echo("\r\033[K", nl=False, err=True)
    _tell(settings, plan, applied, titles)


def _columns(mapping: tuple[str, ...]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for pair in mapping:
        column, equals, field = pair.rpartition("=")
        if not equals or not column:
            raise click.UsageError("Write each mapping as COLUMN=FIELD.")
        columns[column] = field
    return columns


def _counter(settings: Settings) -> Callable[[int], None] | None:
    """Counts for somebody who watches."""
    if settings.as_json or not sys.stderr.isatty():
        return None
    return lambda number: click.echo(f"\r{number} items …", nl=False, err=True)


def _show_columns(settings: Settings, file: Path) -> None:
    """The columns of a table that nothing is known of, with what stands beneath the first ones."""
    from pds.vault.imports import inspect_csv

    for column in inspect_csv(file).header:
        settings.say(f"  {one_line(column)} = ?")


def _titles(vault: "Vault", plan: "ImportPlan") -> dict[str, str]:
    words = vault.catalogue()
    return {path: words.describe(_top(path)) for _, path in plan.reading.columns if path}


def _top(path: str) -> str:
    """The field that can be described: of a part of a group the group."""
    return ".".join(path.split(".")[:2])


def _tell(
    settings: Settings,
    plan: "ImportPlan",
    applied: "Applied | None",
    titles: dict[str, str],
) -> None:
    reading = plan.reading
    added = plan.added if applied is None else applied.added
    duplicates = plan.duplicates if applied is None else applied.duplicates
    changed = plan.changed if applied is None else applied.changed
    batch = None if applied is None else applied.batch
    problems = [
        {
            "line": problem.line,
            "code": problem.code,
            "message": problem.sentence,
            **({"member": problem.member} if problem.member else {}),
        }
        for problem in reading.problems
    ]
    columns = [{"column": name, "field": path} for name, path in reading.columns if applied is None]
    listed = {column["column"] for column in columns}  # which says of each whether it is kept
    notes = [
        *([] if added or changed else [_why_nothing(reading, duplicates)]),
        *reading.assumptions,
        *(
            f"not kept: {one_line(name)} ({count(n, 'value')})"
            for name, n in reading.left_out
            if name not in listed
        ),
        *_known(plan, batch),
    ]
    verb = "would be added" if applied is None else "added"
    settings.emit(
        {
            "kind": reading.kind,
            "about": plan.about,
            **({"people": [*map(list, plan.people)]} if plan.people else {}),
            "added": added,
            "duplicates": duplicates,
            "changed": changed,
            "older": plan.older,
            "keepAbout": [{"batch": of, "items": n} for of, n in plan.stays],
            "conflicts": dict(plan.conflicts),
            "batch": batch,
            "counts": plan.counts,
            "problems": problems,
            "problemCount": reading.problem_count,
            "notes": notes,
            **({"columns": columns} if columns else {}),
        },
        f"{count(added, 'item')} {verb}"
        + (f", {changed} changed" if changed else "")
        + (f", {duplicates} there already" if duplicates else "")
        + (f"; {count(reading.problem_count, 'problem')}:" if problems else ".")
        + "".join(f"\n  {_place(p)}: {p['message']}  [{p['code']}]" for p in problems)
        + "".join(f"\n  Note: {note}" for note in notes)
        + "".join(
            f"\n  Column {one_line(c['column'])}: "
            + (f"{c['field']} ({titles[c['field']]})" if c["field"] else "not kept")
            for c in columns
        )
        + ("".join(f"\n  {name}: {n}" for name, n in plan.counts.items()) if not applied else "")
        + (f"\nUndo with: pds data undo {batch}" if batch else ""),
    )


def _known(plan: "ImportPlan", batch: str | None) -> list[str]:
    """What is to be said of the people in a file, and of items that are known already."""
    # Once it is in, --about changes nothing: what is known stays whose it is.
    mend = "" if batch is None else "pds data about "
    which = "" if batch is None else " ITEM" if len(plan.people) > 1 else f" --import {batch}"
    notes = [
        f"{one_line(who) or 'a patient without a name'}: taken for {_WHOSE[whose]} "
        + f"(if not: {mend or '--about '}{'other' if whose == 'self' else 'self'}{which})"
        for who, whose in plan.people
    ]
    if plan.told is not None:
        whose = "other" if plan.told == "self" else "self"
        notes += [
            f"{count(n, 'item')} that you have already {'stays' if n == 1 else 'stay'} about "
            f"{_WHOSE[whose]}; to change that: pds data about {plan.told} "
            + ("ITEM" if of is None else f"--import {of}")
            for of, n in plan.stays
        ]
    if plan.older:
        notes.append(f"{count(plan.older, 'part')} older than your items, which stay")
    notes += [
        f"{path}: you changed it in {count(n, 'item')}, and the file did too; yours stays"
        for path, n in plan.conflicts
    ]
    if plan.files:
        notes.append(f"{count(plan.files, 'picture')} for new and changed items")
    return notes


def _why_nothing(reading: "Reading", duplicates: int) -> str:
    """Why a file adds no item."""
    if duplicates:
        return "Everything in it that can be kept is there already."
    if not reading.entries:
        return "The file holds no entry of a kind that is read here."
    if reading.problem_count:
        return f"Not one of its {count(reading.entries, 'record')} can be kept: see the problems."
    return f"Nothing in its {count(reading.entries, 'record')} has a place here."


def _place(problem: dict[str, Any]) -> str:
    member, line = problem.get("member", ""), problem["line"]
    if not member:
        return f"line {line}"
    return f"{member}, line {line}" if line else str(member)


@click.command("about")
@click.argument("whose", type=click.Choice(["self", "other"]))
@click.argument("items", nargs=-1, metavar="[ITEM]…")
@click.option("--import", "batch", metavar="BATCH", help="All items that this import added.")
@pass_settings
def about_(
    settings: Settings,
    *,
    whose: Literal["self", "other"],
    items: tuple[str, ...],
    batch: str | None,
) -> None:
    """Say whom items are about, you (self) or someone else (other), e.g.:
    pds data about other 4kTz 9fQx

    \b
    Of a whole import: pds data about other --import BATCH

    What is about someone else is shown to no company and handed to none any more. What a company
    was given before it keeps, until that grant ends.
    """
    if bool(items) == (batch is not None):
        raise click.UsageError("Name items, or one import with --import.")
    with unlock(settings) as vault:
        changed = (
            vault.set_about([whole_id(vault, item) for item in items], whose)
            if batch is None
            else vault.set_about_of_import(batch, whose)
        )
        told = hand_on(settings, vault) if changed else 0
    settings.emit(
        {"about": whose, "changed": changed, "restaged": told},
        f"{count(changed, 'item')} {'is' if changed == 1 else 'are'} about {_WHOSE[whose]} now."
        if changed
        else f"Nothing to change: that was about {_WHOSE[whose]} already.",
    )


@click.command()
@pass_settings
def imports(settings: Settings) -> None:
    """List the imports, and the items that were merged, e.g.: pds data imports

    The newest first, with what 'pds data undo' would do; items to which you did anything since the
    import stay. An unfinished one was cut off: the same file again finishes it, nothing comes
    twice.
    """
    with unlock(settings) as vault:
        found, mergers = vault.imports(), vault.merged()
    lines = [
        *((one.begun, _import_line(one)) for one in found),
        *((one.at, _merger_line(one)) for one in mergers),
    ]
    settings.emit(
        [
            {
                "batch": one.batch,
                "kind": one.source.removeprefix("import/"),
                "file": one.name,
                "begun": format_time(one.begun),
                "finished": None if one.finished is None else format_time(one.finished),
                "undone": None if one.undone is None else format_time(one.undone),
                "added": one.added,
                "changed": one.changed,
                "duplicates": one.duplicates,
                "removable": one.removable,
                "restorable": one.restorable,
                "kept": one.kept,
            }
            for one in found
        ]
        + [
            {
                "batch": one.batch,
                "kind": "merge",
                "item": one.item,
                "items": one.number,
                "begun": format_time(one.at),
                "finished": format_time(one.at),
                "undone": None,
                "restorable": one.number if one.intact else 0,
                "kept": 0 if one.intact else 1,
            }
            for one in mergers
        ],
        "\n".join(text for _, text in sorted(lines, key=lambda line: line[0], reverse=True))
        or "None yet.",
    )


def _merger_line(one: "Merged") -> str:
    state = (
        f"undo would make {one.number} of it again"
        if one.intact
        else "changed since, and so it stays"
    )
    return (
        f"{one.at:%Y-%m-%d %H:%M}  {one.batch}  merge  {count(one.number, 'item')} became "
        f"{one.item}; {state}"
    )


def _import_line(one: "Imported") -> str:
    stay = "stays" if one.kept == 1 else "stay"
    if one.undone is not None:
        state = "undone"
    elif one.finished is None:
        state = "unfinished: import the file again, or undo it"
    else:
        state = f"undo would remove {one.removable}"
        state += f" and restore {one.restorable}" if one.restorable else ""
    return (
        f"{one.begun:%Y-%m-%d %H:%M}  {one.batch}  {one.source.removeprefix('import/')}"
        f"  {count(one.added, 'item')}"
        + (f", {one.changed} changed" if one.changed else "")
        + (f", {one.duplicates} there already" if one.duplicates else "")
        + f"; {state}"
        + (f", {one.kept} touched since {stay}" if one.kept else "")
        + (f"  {one_line(one.name)}" if one.name else "")
    )


@click.group()
def mapping() -> None:
    """What the columns of your tables mean; 'data import --save-mapping' keeps one."""


@mapping.command("list")
@pass_settings
def list_(settings: Settings) -> None:
    """List the saved mappings. A table with the same header is read by its own."""
    with unlock(settings) as vault:
        saved = vault.mappings()
    settings.emit(
        [{"name": one.name, "header": list(one.header), "columns": one.columns} for one in saved],
        lambda: (
            "\n".join(
                f"{one.name}: "
                + ", ".join(f"{one_line(c)}={path}" for c, path in one.columns.items())
                for one in saved
            )
            or "None yet."
        ),
    )


@mapping.command()
@click.argument("name")
@pass_settings
def remove(settings: Settings, *, name: str) -> None:
    """Forget a saved mapping, e.g.: pds data mapping remove bank

    What was imported with it stays.
    """
    with unlock(settings) as vault:
        vault.remove_mapping(name)
    settings.emit({"removed": name}, "Removed.")
