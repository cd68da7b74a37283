"""``pds data category``: add, list, remove categories of one's own."""

from pathlib import Path

import click

from pds.cli.output import Settings, pass_settings
from pds.cli.vault import unlock

_MAX_FILE = 65_536


@click.group()
def category() -> None:
    """Categories of your own, beside those that 'pds data fields' lists."""


@category.command()
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--name", help="Its name; else that of the file.")
@click.option("--replace", is_flag=True, help="Change the one of this name.")
@pass_settings
def add(settings: Settings, *, file: Path, name: str | None, replace: bool) -> None:
    """Add a category that a JSON file describes, e.g.: pds data category add recipes.json

    The file needs a title and fields with titles; docs/data.md says what else it may hold:

    {"title": "Recipe", "properties": {"name": {"title": "Name"}}}

    It is called own-NAME, as in: pds data add own-recipes name=Goulash
    """
    from did.json import parse_object
    from pds.vault.schemas.own import name_of_file, own_name

    full = own_name(name) if name is not None else name_of_file(file)
    with file.open("rb") as opened:
        document = parse_object(opened.read(_MAX_FILE + 1), max_bytes=_MAX_FILE)
    with unlock(settings) as vault:
        made = vault.add_category(full, document, replace=replace)
    settings.emit(
        {"category": made.name, "schema": made.schema, "fields": [f.path for f in made.fields]},
        f"{made.title}: pds data add {made.fields[0].path.replace('.', ' ')}=…",
    )


@category.command("list")
@pass_settings
def list_(settings: Settings) -> None:
    """List the categories of your own."""
    with unlock(settings) as vault:
        found = [known for known in vault.catalogue().categories() if known.own]
    settings.emit(
        [
            {"category": one.name, "title": one.title, "fields": [f.path for f in one.fields]}
            for one in found
        ],
        lambda: "\n".join(f"{one.name}  {one.title}" for one in found) or "None yet.",
    )


@category.command()
@click.argument("name")
@pass_settings
def remove(settings: Settings, *, name: str) -> None:
    """Remove a category of your own, if there are no items in it."""
    with unlock(settings) as vault:
        gone = vault.remove_category(name)
    settings.emit({"removed": gone}, f"Removed: {gone}.")
