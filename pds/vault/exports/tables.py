"""A category as a table: its columns by the schema, its cells as text; and CSV of that.

CSV is for spreadsheets: UTF-8 with a byte order mark, commas, CRLF, a row for each live record in
its current version. A cell that a spreadsheet would run as a formula begins with an apostrophe,
which our own importer takes off again. A list of texts is one cell, its items apart by ``; ``;
anything deeper is JSON.
"""

import csv
import io
from collections.abc import Iterable, Iterator

from did.json import Json, JsonObject, canonicalize, parse_object
from pds.vault.formulas import defuse
from pds.vault.store.records import Row

from .jsonld import properties, resolve

PROVENANCE = ("id", "version", "about", "source", "collected", "assurance", "created", "changed")


def columns(schema: JsonObject) -> list[str]:
    """The fields of a category; those of a group by a dotted name: ``address.postalCode``."""
    found = []
    for name, member in properties(schema):
        parts = [part for part, _ in properties(resolve(member, schema))]
        found += [f"{name}.{part}" for part in parts] or [name]
    return found


def csv_file(rows: Iterable[Row], schema: JsonObject) -> Iterator[bytes]:
    """A category as CSV, in pieces."""
    names = columns(schema)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    buffer.write("\ufeff")
    # The vault's own columns have a word before them that no field has.
    writer.writerow([defuse(name) for name in names] + [f"record.{name}" for name in PROVENANCE])
    for row in rows:
        fields = parse_object(row.fields or "{}")
        writer.writerow(
            [defuse(_cell(fields, name)) for name in names]
            + [defuse(str(getattr(row, name))) for name in PROVENANCE]
        )
        if buffer.tell() > 65_536:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _cell(fields: JsonObject, name: str) -> str:
    value: Json = fields.get(name)
    if value is None and "." in name:
        group, _, part = name.partition(".")
        inner = fields.get(group)
        value = inner.get(part) if isinstance(inner, dict) else None
    return "" if value is None else text_of(value)


def text_of(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "; ".join(map(str, value))
    return canonicalize(value).decode()
