"""``pds data``: add, import, list, show, search, edit, history, delete, undo."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from pds.cli.output import Settings, pass_settings
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from pds.vault.records import Record
    from pds.vault.service import Vault


_MAX_FIELDS = 1_048_576


@click.group()
def data() -> None:
    """Your data: everything is kept encrypted, with where it came from and every version."""


def _json(record: "Record") -> dict[str, Any]:
    from did.time import format_time

    return {
        "id": record.id,
        "category": record.category,
        "schema": record.schema,
        "fields": record.fields,
        "source": record.source,
        "collected": format_time(record.collected),
        "about": record.about,
        "assurance": record.assurance,
        "version": record.version,
        "changed": format_time(record.changed),
        "deleted": record.deleted,
        "batch": record.batch,
    }


def _line(record: "Record") -> str:
    from did.time import format_time

    if record.deleted:
        summary = "(deleted)"
    else:
        values = (_short(value) for value in record.fields.values())
        summary = " · ".join(value for value in values if value)
    when = format_time(record.changed)[:10]
    return f"{record.id}  {record.category:<10} {when}  {summary[:100]}"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(_short(v) for v in value.values())
    if isinstance(value, list):
        return ", ".join(_short(v) for v in value)
    return str(value)


def _changes(assignments: tuple[str, ...]) -> dict[str, Any]:
    """``name=value`` pairs; a dotted name reaches inside, an empty value removes the field.

    A single ``-`` stands for a JSON object on standard input: nothing in the shell's history.
    """
    if assignments == ("-",):
        from did.json import parse_object

        return parse_object(sys.stdin.buffer.read(_MAX_FIELDS + 1), max_bytes=_MAX_FIELDS)
    result: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise click.UsageError("Write each change as name=value; name= removes it.")
        place = result
        *outer, last = name.split(".")
        for part in outer:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                raise click.UsageError("One change contradicts another.")
            place = inner
        place[last] = value if value else None
    return result


@data.command()
@click.argument("category")
@click.argument("fields", nargs=-1, required=True, metavar="NAME=VALUE…")
@pass_settings
def add(settings: Settings, *, category: str, fields: tuple[str, ...]) -> None:
    """Add an item by hand, e.g.: pds data add interests name=cycling

    A dotted NAME reaches inside: address.locality=Szeged. With '-' in place of NAME=VALUE, the
    fields are read as a JSON object from standard input, so that they stay out of the shell's
    history.
    """
    with unlock(settings) as vault:
        record = vault.add(category, _changes(fields))
    settings.emit(_json(record), _line(record))


@data.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--kind", type=click.Choice(["vcard", "csv"]), help="Do not guess the kind.")
@click.option("--map", "mapping", multiple=True, metavar="COLUMN=FIELD",
              help="What a CSV column means, e.g. Tag=purchases.date.")  # fmt: skip
@click.option("--about", type=click.Choice(["self", "other"]), help="Whom the data is about.")
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@pass_settings
def import_(
    settings: Settings,
    *,
    file: Path,
    kind: str | None,
    mapping: tuple[str, ...],
    about: Literal["self", "other"] | None,
    dry_run: bool,
) -> None:
    """Import a vCard or CSV file. Good rows go in; bad ones are listed with their line.

    The same file again adds nothing. 'pds data undo' takes an import back.
    """
    columns: dict[str, str] = {}
    for pair in mapping:
        column, equals, field = pair.partition("=")
        if not equals:
            raise click.UsageError("Write each mapping as COLUMN=FIELD.")
        columns[column] = field
    with unlock(settings) as vault:
        plan = vault.plan_import(file, kind=kind, mapping=columns or None, about=about)
        applied = None if dry_run else vault.import_plan(plan)
    reading = plan.reading
    added = len(plan.add) if applied is None else applied.added
    duplicates = len(plan.duplicates) if applied is None else applied.duplicates
    batch = None if applied is None else applied.batch
    problems = [
        {"line": problem.line, "code": problem.code, "message": problem.sentence}
        for problem in reading.problems
    ]
    notes = [*reading.assumptions, *(f"left out: {n} × {name}" for name, n in reading.left_out)]
    verb = "would be added" if dry_run else "added"
    settings.emit(
        {
            "kind": reading.kind,
            "about": plan.about,
            "added": added,
            "duplicates": duplicates,
            "batch": batch,
            "problems": problems,
            "problemCount": reading.problem_count,
            "notes": notes,
        },
        f"{added} items {verb}, {duplicates} were there already"
        + (f", {reading.problem_count} could not be read:" if problems else ".")
        + "".join(f"\n  line {p['line']}: {p['message']}  [{p['code']}]" for p in problems)
        + "".join(f"\n  Note: {note}" for note in notes)
        + (f"\nUndo with: pds data undo {batch}" if batch else ""),
    )


@data.command("list")
@click.argument("category", required=False)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many."
)
@click.option("--after", help="Go on after this item's id.")
@pass_settings
def list_(settings: Settings, *, category: str | None, limit: int, after: str | None) -> None:
    """List items, the newest first; all of them, or those of one CATEGORY."""
    with unlock(settings) as vault:
        records = vault.records(category, limit=limit, after=after)
        more = len(records) == limit and bool(
            vault.records(category, limit=1, after=records[-1].id)
        )
    settings.emit([_json(r) for r in records], "\n".join(_line(r) for r in records) or "No items.")
    if more:
        settings.say(f"There are more: --after {records[-1].id}")


@data.command()
@click.argument("item")
@pass_settings
def show(settings: Settings, *, item: str) -> None:
    """Show one item with its schema, source and time."""
    with unlock(settings) as vault:
        record = vault.record(item)
    settings.emit(_json(record), json.dumps(_json(record), ensure_ascii=False, indent=2))


@data.command()
@click.argument("text", nargs=-1, required=True)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many."
)
@pass_settings
def search(settings: Settings, *, text: tuple[str, ...], limit: int) -> None:
    """Find items that hold all these words or their beginnings; accents do not matter."""
    with unlock(settings) as vault:
        records = vault.search(" ".join(text), limit=limit)
    settings.emit(
        [_json(r) for r in records], "\n".join(_line(r) for r in records) or "Nothing found."
    )


@data.command()
@click.argument("item")
@click.argument("changes", nargs=-1, required=True, metavar="NAME=VALUE…")
@pass_settings
def edit(settings: Settings, *, item: str, changes: tuple[str, ...]) -> None:
    """Correct an item; the old version is kept. NAME= removes a field; '-' reads JSON from
    standard input, where null removes one.

    Grants that follow changes get the new version at once, or at the next sync.
    """
    with unlock(settings) as vault:
        record = vault.edit(item, _changes(changes))
        told = _hand_on(settings, vault)
    settings.emit(_json(record) | {"restaged": told}, _line(record))


def _hand_on(settings: Settings, vault: "Vault") -> int:
    """Stage what changed and send it; a relay that is away only delays it."""
    if vault.status().restoring:
        return 0
    count = vault.restage()
    if count:
        report = vault.push()
        settings.say(
            f"{count} grants that follow changes have the new version."
            if report.complete
            else f"{count} grants wait for the new version: run 'pds sync' when the relay is back."
        )
    return count


@data.command()
@click.argument("item")
@pass_settings
def history(settings: Settings, *, item: str) -> None:
    """Every version of an item, the newest last."""
    with unlock(settings) as vault:
        records = vault.history(item)
    settings.emit(
        [_json(r) for r in records],
        "\n".join(f"version {r.version} from {r.source}: {_line(r)}" for r in records),
    )


@data.command()
@click.argument("item")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def delete(settings: Settings, *, item: str, yes: bool) -> None:
    """Delete an item with the contents of all its versions."""
    settings.confirm("Delete this item and all its versions?", yes=yes)
    with unlock(settings) as vault:
        vault.delete(item)
        _hand_on(settings, vault)
    settings.emit({"deleted": item}, "Deleted.")


@data.command()
@click.argument("batch")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def undo(settings: Settings, *, batch: str, yes: bool) -> None:
    """Undo an import: its items go, unless they were corrected since."""
    settings.confirm("Undo this import?", yes=yes)
    with unlock(settings) as vault:
        undone = vault.undo_import(batch)
        _hand_on(settings, vault)
    settings.emit(
        {"removed": undone.removed, "kept": undone.kept},
        f"{undone.removed} items removed, {undone.kept} kept because they were corrected since.",
    )
