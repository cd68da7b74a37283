"""``pds data``: category, add, edit, history, delete, undo; what is typed is in ``fields``, what
finds in ``find``, files are in ``attachments``, imports in ``imports``."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from pds.cli import attachments, find
from pds.cli.categories import category as own_category
from pds.cli.changes import changes_reach, reaches
from pds.cli.duplicates import duplicates, merge
from pds.cli.fields import fields as fields_command
from pds.cli.fields import read, shape
from pds.cli.find import whole_id
from pds.cli.imports import about_, import_, imports, mapping
from pds.cli.output import Settings, count, pass_settings
from pds.cli.records import as_json, card, line
from pds.cli.restaging import hand_on
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from pds.vault.records import Validity


@click.group()
def data() -> None:
    """Your data: everything is kept encrypted, with where it came from and every version."""


data.add_command(own_category)
for command in (
    fields_command,
    find.list_,
    find.search,
    find.timeline,
    find.show,
    find.tag,
    find.tags,
):
    data.add_command(command)
data.add_command(import_)
data.add_command(imports)
data.add_command(about_)
data.add_command(mapping)
data.add_command(duplicates)
data.add_command(merge)
for verb in (attachments.attach, attachments.list_, attachments.save, attachments.detach):
    data.add_command(verb)


def _held(command: "Callable[..., None]") -> "Callable[..., None]":
    """The options that say from when until when something is true."""
    for name, text in (("until", "The last day on which it is true."),
                       ("from", "The first day on which it is true.")):  # fmt: skip
        command = click.option(f"--valid-{name}", type=find.DAY, metavar=find.DAY_FORM, help=text)(
            command
        )
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

    'pds data fields' lists the categories, 'pds data fields contact' the names of one and the words
    that each may be. A dotted NAME reaches inside: address.addressLocality=Szeged. For a list
    repeat the NAME: groups=family groups=choir; of groups of fields number them:
    otherAddresses.1.addressLocality=Szeged. With '-' in place of NAME=VALUE, the fields are read
    as a JSON object from standard input: they stay out of the shell's history.
    """
    typed = read(fields)
    with unlock(settings) as vault:
        words = vault.catalogue()
        record = vault.add(
            category,
            shape(typed, words.schema_of(category)),
            validity=_validity(valid_from, valid_until),
            tags=tags,
        )
    settings.emit(as_json(record), lambda: line(record, words))


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
    """Correct an item; the old version is kept. NAME= removes a field, a list is given as a whole,
    and '-' reads JSON from standard input, where null removes a field.

    \b
    Example: pds data edit 4kTz email=me@person.example groups=family groups=choir

    What was true once and is no longer needs no deletion: pds data edit ITEM --valid-until
    2024-05-31. It stays findable, and no grant hands it out any more.

    Grants that follow changes get the new version at once, or at the next sync; which do and which
    do not is said.
    """
    if not changes and valid_from is None and valid_until is None:
        raise click.UsageError("Say what to change: NAME=VALUE, --valid-from or --valid-until.")
    typed = read(changes)
    with unlock(settings) as vault:
        item = whole_id(vault, item)
        before = vault.record(item)
        words = vault.catalogue()
        validity = None
        if valid_from is not None or valid_until is not None:
            held = before.validity
            validity = _validity(valid_from or held.start, valid_until or held.end)
        schema = words.schema_of(before.category)
        record = vault.edit(item, shape(typed, schema), validity=validity)
        told = hand_on(settings, vault)
        shared = changes_reach(vault, before, record)
    settings.emit(
        as_json(record)
        | {
            "restaged": told,
            "shared": [
                {"grant": row.grant, "followsChanges": row.follows_changes} for row in shared
            ],
        },
        lambda: line(record, words),
    )
    for row in shared:
        settings.say(reaches(row))


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
        hand_on(settings, vault)
    settings.emit({"deleted": item}, "Deleted.")


@data.command()
@click.argument("batch")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def undo(settings: Settings, *, batch: str, yes: bool) -> None:
    """Undo an import, e.g.: pds data undo BATCH

    Its items go, and those that it changed are again what they were. Those to which you did
    anything since stay: corrected, tagged, given an attachment or rid of one. 'pds data imports'
    lists the imports and what this would do.
    """
    settings.confirm("Undo this import?", yes=yes)
    with unlock(settings) as vault:
        undone = vault.undo_import(batch)
        hand_on(settings, vault)
    settings.emit(
        {"removed": undone.removed, "restored": undone.restored, "kept": undone.kept},
        f"{count(undone.removed, 'item')} removed"
        + (f", {undone.restored} restored" if undone.restored else "")
        + (f", {undone.kept} kept: you did something to them since." if undone.kept else "."),
    )
