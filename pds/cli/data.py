"""``pds data``: fields, category, add, list, show, search, edit, history, delete, undo; and the
verbs of ``attachments`` and ``imports``."""

import sys
from typing import TYPE_CHECKING, Any

import click

from pds.cli import attachments
from pds.cli.categories import category as own_category
from pds.cli.imports import import_, mapping
from pds.cli.names import whole
from pds.cli.output import Settings, count, pass_settings
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from pds.vault.records import Category, Record
    from pds.vault.schemas import Catalogue
    from pds.vault.service import Vault


_MAX_FIELDS = 1_048_576
_WIDEST = 140
_ID, _PAGE = 22, 1000


@click.group()
def data() -> None:
    """Your data: everything is kept encrypted, with where it came from and every version."""


data.add_command(own_category)
data.add_command(import_)
data.add_command(mapping)
for verb in (attachments.attach, attachments.list_, attachments.save, attachments.detach):
    data.add_command(verb)


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


def _line(record: "Record", words: "Catalogue") -> str:
    from did.time import format_time

    summary = "(deleted)" if record.deleted else "; ".join(_labelled(record, words))
    if len(summary) > _WIDEST:
        summary = summary[: _WIDEST - 1] + "…"
    when = format_time(record.changed)[:10]
    others = "" if record.about == "self" else "  (someone else's)"
    return f"{record.id}  {_title(record.category, words):<10} {when}  {summary}{others}"


def _title(category: str, words: "Catalogue") -> str:
    from pds.vault.schemas import RecordError

    try:
        return words.category(category).title
    except RecordError:  # one's own that was removed; what was in it is deleted
        return category


def _labelled(record: "Record", words: "Catalogue") -> list[str]:
    """Each field as ``Full name: …``, in the order of the form."""
    from pds.vault.consent import in_order, value_text

    return [
        f"{words.describe(f'{record.category}.{name}')}: "
        f"{value_text(record.fields[name], record.category)}"
        for name in in_order(record.fields, record.category, words=words)
    ]


def _card(record: "Record", words: "Catalogue") -> str:
    """An item in full, for people."""
    from did.time import format_time

    contents = _labelled(record, words) or ["(deleted)" if record.deleted else "(empty)"]
    whose = "you" if record.about == "self" else "someone else"
    return "\n".join(
        [
            f"{_title(record.category, words)}  {record.id}",
            *(f"  {line}" for line in contents),
            f"Version {record.version} of {format_time(record.changed)}; about {whose}; "
            f"{record.assurance}.",
            f"From {record.source}, collected {format_time(record.collected)}.",
            f"Schema: {record.schema}",
        ]
    )


def whole_item(vault: "Vault", item: str) -> str:
    """An item's id from its beginning; ids that are whole are not looked for."""
    if len(item) >= _ID:
        return item
    known: list[str] = []
    page = vault.records(limit=_PAGE)
    while page:
        known += [record.id for record in page]
        page = vault.records(limit=_PAGE, after=page[-1].id) if len(page) == _PAGE else []
    return whole(item, known)


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

    'pds data fields' lists the categories, 'pds data fields contact' the names of one. A dotted
    NAME reaches inside: address.addressLocality=Szeged. With '-' in place of NAME=VALUE,
    the fields are read as a JSON object from standard input: they stay out of the shell's history.
    """
    with unlock(settings) as vault:
        record, words = vault.add(category, _changes(fields)), vault.catalogue()
    settings.emit(_json(record), lambda: _line(record, words))


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
        records, words = vault.records(category, limit=limit, after=after), vault.catalogue()
        more = len(records) == limit and bool(
            vault.records(category, limit=1, after=records[-1].id)
        )
    settings.emit(
        [_json(r) for r in records],
        lambda: "\n".join(_line(r, words) for r in records) or "No items.",
    )
    if more:
        settings.say(f"There are more: --after {records[-1].id}")


@data.command()
@click.argument("item")
@pass_settings
def show(settings: Settings, *, item: str) -> None:
    """Show one item with its schema, source and time."""
    with unlock(settings) as vault:
        record, words = vault.record(whole_item(vault, item)), vault.catalogue()
    settings.emit(_json(record), lambda: _card(record, words))


@data.command()
@click.argument("text", nargs=-1, required=True)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many."
)
@pass_settings
def search(settings: Settings, *, text: tuple[str, ...], limit: int) -> None:
    """Find items that hold all these words or their beginnings; accents do not matter."""
    with unlock(settings) as vault:
        records, words = vault.search(" ".join(text), limit=limit), vault.catalogue()
    settings.emit(
        [_json(r) for r in records],
        lambda: "\n".join(_line(r, words) for r in records) or "Nothing found.",
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
        record, words = vault.edit(whole_item(vault, item), _changes(changes)), vault.catalogue()
        told = _hand_on(settings, vault)
    settings.emit(_json(record) | {"restaged": told}, lambda: _line(record, words))


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
        records, words = vault.history(whole_item(vault, item)), vault.catalogue()
    settings.emit(
        [_json(r) for r in records],
        lambda: "\n\n".join(_card(r, words) for r in records),
    )


@data.command()
@click.argument("item")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def delete(settings: Settings, *, item: str, yes: bool) -> None:
    """Delete an item with the contents of all its versions."""
    settings.confirm("Delete this item and all its versions?", yes=yes)
    with unlock(settings) as vault:
        item = whole_item(vault, item)
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
        f"{count(undone.removed, 'item')} removed"
        + (f", {undone.kept} kept: corrected since the import." if undone.kept else "."),
    )
