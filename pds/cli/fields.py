"""``pds data fields``, and fields as they are typed: ``NAME=VALUE``, shaped as the schema says."""

import sys
from typing import TYPE_CHECKING, Any

import click

from pds.cli.output import Settings, pass_settings
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from did.json import JsonObject
    from pds.vault.schemas import Catalogue, Category

_MAX_FIELDS = 1_048_576

Typed = list[tuple[list[str], str]]
"""Dotted names taken apart, each with its value."""


def read(assignments: tuple[str, ...]) -> "Typed | JsonObject":
    """What was typed, before the vault is opened; ``shape`` makes fields of it.

    A single ``-`` stands for a JSON object on standard input: nothing in the shell's history.
    """
    if assignments == ("-",):
        from did.json import parse_object

        return parse_object(sys.stdin.buffer.read(_MAX_FIELDS + 1), max_bytes=_MAX_FIELDS)
    typed: Typed = []
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not all(name.split(".")):
            raise click.UsageError("Write each change as name=value; name= removes it.")
        typed.append((name.split("."), value))
    return typed


def shape(typed: "Typed | JsonObject", schema: "JsonObject") -> "JsonObject":
    """Fields of a category: a dotted name reaches inside, a name that is there again makes a list,
    an empty value removes the field. What is wrong with them the vault's check says."""
    from pds.vault.schemas.written import form_of

    if isinstance(typed, dict):
        return typed
    result: Any = {}
    for names, value in typed:
        place, form = result, form_of(schema, schema)
        *outer, last = names
        while outer:
            name = outer.pop(0)
            form = form_of(form.get("properties", {}).get(name), schema)
            if form.get("type") == "array":
                form = form_of(form["items"], schema)
                place = _member(place, name, outer, form)
            else:
                place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise click.UsageError("One change contradicts another.")
        form = form_of(form.get("properties", {}).get(last), schema)
        if form.get("type") == "array" and value:
            there = place.setdefault(last, [])
            if not isinstance(there, list):
                raise click.UsageError("One change contradicts another.")
            there.append(value)
        elif last in place:
            raise click.UsageError("A field that holds one value is given twice.")
        else:
            place[last] = value or None
    fields: JsonObject = result
    return fields


def _member(place: Any, name: str, rest: list[str], form: Any) -> Any:
    """The group of a list that a number behind the list's name means, from 1 on."""
    if form.get("type") != "object":
        raise click.UsageError("A list of texts has its name again for each: name=a name=b.")
    number = rest.pop(0) if rest else ""
    there = place.setdefault(name, [])
    if not isinstance(there, list):
        raise click.UsageError("One change contradicts another.")
    if not (number.isascii() and number.isdigit()) or not 1 <= int(number[:9]) <= len(there) + 1:
        raise click.UsageError("Number the members of a list: name.1.part=value, then name.2.part.")
    if int(number) > len(there):
        there.append({})
    return there[int(number) - 1]


@click.command()
@click.argument("category", required=False)
@pass_settings
def fields(settings: Settings, *, category: str | None) -> None:
    """The categories of data; of one CATEGORY the fields, and the words that a field may be.

    Needs a vault for your own categories only. Example: pds data fields contact
    """
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
            "fields": _fields(one, words),
        }
        for one in shown
    ]

    def text() -> str:
        if category is None:
            head = [f"{one.name:<14}{one.title}: {one.description}" for one in shown]
            own = "Your own: pds data category list"
            return "\n".join([*head, "", "The fields of one: pds data fields CATEGORY", own])
        return "\n".join(_lines(shown[0], words))

    settings.emit(rows, text)


def _lines(category: "Category", words: "Catalogue") -> list[str]:
    listed = _fields(category, words)
    width = max(len(field["name"]) for field in listed) + 2
    lines = []
    for field in listed:
        marks = [
            *(["required"] if field["required"] else []),
            *(["may be repeated"] if field["list"] else []),
        ]
        mark = f" ({', '.join(marks)})" if marks else ""
        about = field["description"]
        lines.append(f"{field['name']:<{width}}{field['title']}{mark}" + (about and f": {about}"))
        if field["written"] and not _said(about, field["words"]):
            lines.append(" " * (width + 2) + field["written"])
    return lines


def _said(about: str, words: list[str] | None) -> bool:
    """Whether a description says already how the field is written, as many do."""
    return all(word in about for word in words) if words else "such as" in about or "YYYY" in about


def _fields(category: "Category", words: "Catalogue") -> list[dict[str, Any]]:
    """The fields of a category as 'data add' takes them; a group of fields in its parts."""
    from pds.vault.schemas.written import form_of

    schema: Any = words.schema_of(category.name)
    required = set(schema.get("required", ()))
    result: list[dict[str, Any]] = []
    for name, member in schema["properties"].items():
        form = form_of(member, schema)
        many = form["type"] == "array"
        inner = form_of(form["items"], schema) if many else form
        parts = inner.get("properties")
        about = (member["title"], member.get("description", ""))
        if parts is None:
            result.append(_field((name,), about, form, schema, many=many, needed=name in required))
            continue
        way = (name, "1") if many else (name,)
        for part, sub in parts.items():
            about = (f"{member['title']}, {sub['title']}", sub.get("description", ""))
            result.append(_field((*way, part), about, sub, schema, many=False, needed=False))
    return result


def _field(
    path: tuple[str, ...], about: tuple[str, str], form: Any, schema: Any, *, many: bool,
    needed: bool,
) -> dict[str, Any]:  # fmt: skip
    from pds.vault.schemas.written import form_of, written

    form = form_of(form, schema)
    return {
        "name": ".".join(path),
        "title": about[0],
        "description": about[1],
        "required": needed,
        "list": many,
        "words": form_of(form.get("items"), schema).get("enum") if many else form.get("enum"),
        "written": written(form, schema, path),
    }
