"""``pds data``: fields, category, add, edit, history, delete, undo; what finds is in ``find``,
files are in ``attachments``, imports in ``imports``."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from pds.cli import attachments, find
from pds.cli.categories import category as own_category
from pds.cli.find import whole_id
from pds.cli.imports import import_, imports, mapping
from pds.cli.output import Settings, count, pass_settings
from pds.cli.records import as_json, card, line
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from pds.vault.records import Category, Validity
    from pds.vault.schemas import Catalogue
    from pds.vault.service import Vault


_MAX_FIELDS = 1_048_576


@click.group()
def data() -> None:
    """Your data: everything is kept encrypted, with where it came from and every version."""


data.add_command(own_category)
for command in (find.list_, find.search, find.timeline, find.show, find.tag, find.tags):
    data.add_command(command)
data.add_command(import_)
data.add_command(imports)
data.add_command(mapping)
for verb in (attachments.attach, attachments.list_, attachments.save, attachments.detach):
    data.add_command(verb)


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


def _held(command: "Callable[..., None]") -> "Callable[..., None]":
    """The options that say from when until when something is true."""
    for name, text in (("until", "The last day on which it is true."),
                       ("from", "The first day on which it is true.")):  # fmt: skip
        command = click.option(f"--valid-{name}", type=find.DAY, help=text)(command)
    return command


def _validity(start: "date | None", end: "date | None") -> "Validity":
    from pds.vault.records import Validity

    return Validity(*(day.date() if isinstance(day, datetime) else day for day in (start, end)))


@data.command()
@click.argument("category")
@click.argument("fields", nargs=-1, required=True, metavar="NAME=VALUE…")
@_held
@click.option("--tag", "tags", multiple=True, help="A label of your own; may be repeated.")
@pass_settings
def add(
    settings: Settings,
    *,
    category: str,
    fields: tuple[str, ...],
    valid_from: datetime | None,
    valid_until: datetime | None,
    tags: tuple[str, ...],
) -> None:
    """Add an item by hand, e.g.: pds data add interests name=cycling

    'pds data fields' lists the categories, 'pds data fields contact' the names of one. A dotted
    NAME reaches inside: address.addressLocality=Szeged. With '-' in place of NAME=VALUE,
    the fields are read as a JSON object from standard input: they stay out of the shell's history.
    """
    with unlock(settings) as vault:
        record = vault.add(
            category, _changes(fields), validity=_validity(valid_from, valid_until), tags=tags
        )
        words = vault.catalogue()
    settings.emit(as_json(record), lambda: line(record, words))


@data.command()
@click.argument("category", required=False)
@pass_settings
def fields(settings: Settings, *, category: str | None) -> None:
    """The categories of data and the names of their fields. Needs a vault for your own only."""
    from pds.vault.schemas import BUILT_IN, is_own

    words = BUILT_IN
    if category is not None and is_own(category):
        with unlock(settings) as vault:
            words = vault.catalogue()
    shown = words.categories() if category is None else (words.category(category),)
    rows = [
        {
            "category": one.name,
            "title": one.title,
            "description": one.description,
            "fields": [
                {"name": name, "title": title, "description": description}
                for name, title, description in _names(one, words)
            ],
        }
        for one in shown
    ]

    def text() -> str:
        if category is None:
            head = [f"{one.name:<14}{one.title}: {one.description}" for one in shown]
            own = "Your own: pds data category list"
            return "\n".join([*head, "", "The fields of one: pds data fields CATEGORY", own])
        names = _names(shown[0], words)
        width = max(len(name) for name, _, _ in names) + 2
        return "\n".join(
            f"{name:<{width}}{title}" + (f": {description}" if description else "")
            for name, title, description in names
        )

    settings.emit(rows, text)


def _names(category: "Category", words: "Catalogue") -> list[tuple[str, str, str]]:
    """The fields of a category as 'data add' takes them; a group of fields in its parts."""
    schema: Any = words.schema_of(category.name)
    result = []
    for field in category.fields:
        name = field.path.partition(".")[2]
        form = schema["properties"][name]
        if "$ref" in form:
            form = schema["$defs"][form["$ref"].rpartition("/")[2]]
        parts = form.get("properties", {})
        if not parts:
            result.append((name, field.title, field.description))
        result += [
            (f"{name}.{part}", f"{field.title}, {form['title']}", form.get("description", ""))
            for part, form in parts.items()
        ]
    return result


@data.command()
@click.argument("item")
@click.argument("changes", nargs=-1, metavar="NAME=VALUE…")
@_held
@pass_settings
def edit(
    settings: Settings,
    *,
    item: str,
    changes: tuple[str, ...],
    valid_from: datetime | None,
    valid_until: datetime | None,
) -> None:
    """Correct an item; the old version is kept. NAME= removes a field; '-' reads JSON from
    standard input, where null removes one.

    What was true once and is no longer needs no deletion: pds data edit ITEM --valid-until
    2024-05-31. It stays findable, and no grant hands it out any more.

    Grants that follow changes get the new version at once, or at the next sync.
    """
    if not changes and valid_from is None and valid_until is None:
        raise click.UsageError("Say what to change: NAME=VALUE, --valid-from or --valid-until.")
    with unlock(settings) as vault:
        item = whole_id(vault, item)
        validity = None
        if valid_from is not None or valid_until is not None:
            before = vault.record(item).validity
            validity = _validity(valid_from or before.start, valid_until or before.end)
        record = vault.edit(item, _changes(changes), validity=validity)
        told, words = _hand_on(settings, vault), vault.catalogue()
    settings.emit(as_json(record) | {"restaged": told}, lambda: line(record, words))


def _hand_on(settings: Settings, vault: "Vault") -> int:
    """Stage what changed and send it; a relay that is away only delays it."""
    if vault.status().restoring:
        return 0
    told = vault.restage()
    if told:
        report = vault.push()
        settings.say(
            f"The new version is at the relay for {count(told, 'grant')} that follow changes."
            if report.complete
            else f"The new version waits to be sent for {count(told, 'grant')}: run 'pds sync' "
            "when the relay is back."
        )
    return told


@data.command()
@click.argument("item")
@pass_settings
def history(settings: Settings, *, item: str) -> None:
    """Every version of an item, the newest last."""
    with unlock(settings) as vault:
        records, words = vault.history(whole_id(vault, item)), vault.catalogue()
    settings.emit(
        [as_json(r) for r in records],
        lambda: "\n\n".join(card(r, words) for r in records),
    )


@data.command()
@click.argument("item")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def delete(settings: Settings, *, item: str, yes: bool) -> None:
    """Delete an item with the contents of all its versions."""
    settings.confirm("Delete this item and all its versions?", yes=yes)
    with unlock(settings) as vault:
        item = whole_id(vault, item)
        vault.delete(item)
        _hand_on(settings, vault)
    settings.emit({"deleted": item}, "Deleted.")


@data.command()
@click.argument("batch")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def undo(settings: Settings, *, batch: str, yes: bool) -> None:
    """Undo an import, e.g.: pds data undo BATCH

    Its items go. Those to which you did anything since stay: corrected, tagged, given an
    attachment or rid of one. 'pds data imports' lists the imports and what this would do.
    """
    settings.confirm("Undo this import?", yes=yes)
    with unlock(settings) as vault:
        undone = vault.undo_import(batch)
        _hand_on(settings, vault)
    settings.emit(
        {"removed": undone.removed, "kept": undone.kept},
        f"{count(undone.removed, 'item')} removed"
        + (f", {undone.kept} kept: you did something to them since." if undone.kept else "."),
    )
