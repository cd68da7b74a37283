"""Records as JSON-LD that stands alone, one record on each line; and back.

A file of a category is one JSON document: its first line has the context written out and what the
file is, each further line one record with every version and where that came from, the last line
closes it. So a program can read it line by line, however long it is, and any JSON-LD processor as
a whole, without fetching anything.

    {"@context": {…}, "@type": "Category", "category": "contact", …, "records": [
    {"@id": "#Abc…", "@type": "Record", …, "versions": [{"version": 1, "fields": {…}, …}, …]},
    …
    ]}

The context names each field by the ``x-term`` of its schema (``givenName`` is schema.org's), and
by the schema's own IRI and the field's name where it has none.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from did.json import Json, JsonObject, canonicalize, parse_object
from pds.vault.store.records import Row

VOCABULARY = "https://w3id.org/personal-data-store/v1#"
SCHEMA_ORG = "https://schema.org/"
OPENING, CLOSING = b'"records": [\n', b"\n]}\n"
_XSD = "http://www.w3.org/2001/XMLSchema#"
_TIME: JsonObject = {"@type": _XSD + "dateTime"}


def header(category: str, schema: JsonObject) -> bytes:
    """The first line of a category's file."""
    about: JsonObject = {
        "@context": _context(schema),
        "@type": "Category",
        "category": category,
        "schema": str(schema.get("$id", "")),
        "title": str(schema.get("title", category)),
    }
    return canonicalize(about)[:-1] + b"," + OPENING


def line(versions: Sequence[Row], tags: Sequence[str] = ()) -> bytes:
    """One record, all its versions in their order, without the comma that parts it from the
    next. The last row is the current one."""
    now = versions[-1]
    return canonicalize(
        {
            "@id": f"#{now.id}",
            "@type": "Record",
            "about": now.about,
            "created": now.created,
            "changed": now.changed,
            "deleted": bool(now.deleted),
            **({} if now.batch is None else {"batch": now.batch}),
            **({"tags": [*tags]} if tags else {}),
            "versions": [_version(row) for row in versions],
        }
    )


def _version(row: Row) -> JsonObject:
    version: JsonObject = {
        "@type": "Version",
        "version": row.version,
        "schema": row.schema,
        "source": row.source,
        "collected": row.collected,
        "assurance": row.assurance,
        "changed": row.changed,
    }
    if row.valid_from is not None:
        version["validFrom"] = row.valid_from
    if row.valid_until is not None:
        version["validUntil"] = row.valid_until
    if row.fields is not None:
        version["fields"] = parse_object(row.fields)
    return version


def read_header(first: bytes) -> JsonObject:
    """What ``header`` wrote. Raises ``did.errors.JsonError``."""
    return parse_object(first.rstrip(b"\r\n") + b"]}", allow_floats=True)  # "@version": 1.1


def _context(schema: JsonObject) -> JsonObject:
    ours = {name: VOCABULARY + name for name in ("Category", "Record", "Version")}
    plain = ("category", "title", "about", "batch", "source", "assurance", "tags")
    return {
        "@version": 1.1,
        **ours,
        **{name: VOCABULARY + name for name in plain},
        "schema": {"@id": VOCABULARY + "schema", "@type": "@id"},
        "records": {"@id": VOCABULARY + "records", "@container": "@set"},
        "versions": {"@id": VOCABULARY + "versions", "@container": "@list"},
        "version": {"@id": VOCABULARY + "version", "@type": _XSD + "integer"},
        "deleted": {"@id": VOCABULARY + "deleted", "@type": _XSD + "boolean"},
        "created": {"@id": VOCABULARY + "created", **_TIME},
        "changed": {"@id": VOCABULARY + "changed", **_TIME},
        "collected": {"@id": VOCABULARY + "collected", **_TIME},
        "validFrom": {"@id": VOCABULARY + "validFrom", "@type": _XSD + "date"},
        "validUntil": {"@id": VOCABULARY + "validUntil", "@type": _XSD + "date"},
        "fields": {"@id": VOCABULARY + "fields", "@context": _terms(schema, schema)},
    }


def _terms(part: JsonObject, schema: JsonObject) -> JsonObject:
    """The context of one level of fields: what each means, and the context of those in it."""
    terms: JsonObject = {}
    for name, member in properties(part):
        if name.startswith("@") or ":" in name or not name:
            continue  # a word of JSON-LD itself; such a field is data without a meaning
        iri = term_iri(member, name, schema)
        inner = resolve(member, schema)
        inner = resolve(inner["items"], schema) if isinstance(inner.get("items"), dict) else inner
        below = _terms(inner, schema)
        terms[name] = {"@id": iri, "@context": below} if below else iri
    return terms


def term_iri(member: JsonObject, name: str, schema: JsonObject) -> str:
    """The IRI that a field means: its ``x-term``, or its place in the schema."""
    term = member.get("x-term")
    if not isinstance(term, str) or not term:
        return f"{schema.get('$id', VOCABULARY)}#{quote(name)}"
    for prefix in ("schema:", "sdo:"):
        if term.startswith(prefix):
            return SCHEMA_ORG + term.removeprefix(prefix)
    return term if ":" in term else SCHEMA_ORG + term


def properties(part: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """The fields of a schema or a part of one, in its order."""
    found = part.get("properties")
    if isinstance(found, dict):
        for name, member in found.items():
            if isinstance(member, dict):
                yield name, member


def resolve(part: Any, schema: JsonObject) -> JsonObject:
    """A part of a schema, or the definition in the same schema that it refers to."""
    reference = part.get("$ref") if isinstance(part, dict) else None
    if isinstance(reference, str) and reference.startswith("#/"):
        place: Json = schema
        for step in reference[2:].split("/"):
            place = place.get(step) if isinstance(place, dict) else None
        return place if isinstance(place, dict) else {}
    return part if isinstance(part, dict) else {}
