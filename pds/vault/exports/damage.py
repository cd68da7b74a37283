"""What an export does where something of the vault is lost: it goes on, and says so."""

from collections.abc import Iterable, Sequence

from did.json import Json, JsonObject, parse_object
from pds.vault.attachments import Damaged
from pds.vault.schemas import Category, Field
from pds.vault.store.records import Row

LACKING = "not-in-this-archive.txt"


def undescribed(name: str, rows: Iterable[Row]) -> tuple[Category, JsonObject]:
    """A category and a schema for items whose description is lost: the fields that they have, under
    the names that they have there."""
    keys: dict[str, set[str]] = {}
    schema = ""
    for row in rows:
        schema = row.schema
        for key, value in parse_object(row.fields or "{}").items():
            keys.setdefault(key, set()).update(value if isinstance(value, dict) else ())
    fields = tuple(Field(f"{name}.{key}", key, key, "") for key in sorted(keys))
    category = Category(
        name, schema, name, name, "The description of this category is lost.", fields
    )
    members: JsonObject = {key: _member(keys[key]) for key in sorted(keys)}
    return category, {"$id": schema, "title": name, "properties": members}


def _member(parts: set[str]) -> Json:
    return {"properties": {part: {} for part in sorted(parts)}} if parts else {}


def lacking(left_out: Sequence[Damaged], categories: Sequence[str]) -> bytes:
    """The file that tells a reader of the archive."""
    lines = ["Some of what the vault should hold could not be read when this archive was made."]
    if left_out:
        lines += ["", "Attached files that are not in it:"]
    for one in left_out:
        what = "its file is missing" if one.missing else "its file is damaged"
        lines.append(f"  {one.attachment.name}, of item {one.attachment.record_id}: {what}")
    if categories:
        lines += ["", "Categories whose description is lost; their items are here as they are:"]
        lines += [f"  {name}" for name in categories]
    return "\n".join(lines).encode() + b"\n"
