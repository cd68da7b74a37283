"""Vaults in memory to export from and import into, and records of every category to fill them."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from did.json import JsonObject
from did.multikey import b64url_encode
from pds.db import migrate, open_plain
from pds.vault import files
from pds.vault.context import Context
from pds.vault.records import Record, Records
from pds.vault.schemas import RecordError, categories, check, schema_of
from pds.vault.store.exchange import ExchangeStore

NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)


def make_context(now: datetime = NOW, *, files_in: Path = Path("/nowhere")) -> Context:
    """An open vault in memory, without key slots: they are not what is looked at here."""
    conn = open_plain(":memory:")
    migrate(conn, files.MIGRATIONS, application_id=files.APPLICATION_ID)
    store = ExchangeStore(conn)
    for name, value in {
        "root": b64url_encode(b"\x07" * 32),
        "generation": "0",
        "epoch": "1",
        "next_index": "0",
        "sandbox": "1",
    }.items():
        store.set_setting(name, value)
    return Context(conn, files_in, clock=lambda: now)


def histories(records: Records) -> dict[str, list[Record]]:
    """Every record with every version, tombstones too; without the batch, which is the import's."""
    found = {}
    for (record_id,) in records._conn.execute("SELECT id FROM records"):
        # The batch names an import into this vault, and is no part of what came.
        found[record_id] = [replace(r, batch=None) for r in records.history(record_id)]
    return found


_NASTY = st.sampled_from(
    [
        "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "=1+1", "+36 30 555 0142",
        "-1", "@cmd", "a,b;c\\d\ne", "'quoted'", "\u202eevil", "Őry–Nagy", "]}", '{"@id": "x"}',
        "END:VCARD", "a\r\nb", "&amp;", "x" * 200, "𝄞 clef", "  padded  ",
    ]
)  # fmt: skip
_TEXT = st.one_of(
    _NASTY,
    st.text(
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"),
        min_size=1,
        max_size=20,
    ),
)
_DAY = st.dates().map(str)


def _value(part: Any, schema: JsonObject) -> st.SearchStrategy[Any]:
    while isinstance(part.get("$ref"), str):
        place: Any = schema
        for step in part["$ref"][2:].split("/"):
            place = place[step]
        part = place
    kind = part.get("type")
    if "const" in part:
        return st.just(part["const"])
    if "enum" in part:
        return st.sampled_from(part["enum"])
    if kind == "object":
        members = part.get("properties", {})
        required = part.get("required", [])
        return st.fixed_dictionaries(
            {name: _value(members[name], schema) for name in required},
            optional={n: _value(m, schema) for n, m in members.items() if n not in required},
        )
    if kind == "array":
        return st.lists(_value(part.get("items", {}), schema), min_size=1, max_size=3)
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        return st.integers(part.get("minimum", 0), part.get("maximum", 1000))
    if part.get("format") in ("date", "partial-date"):
        return _DAY
    if "pattern" in part:
        # The schemas end their patterns in a way that also refuses a last line feed.
        pattern = part["pattern"].replace(r"(?![\s\S])", r"\Z")
        return st.one_of(st.from_regex(re.compile(pattern, re.ASCII)), _TEXT)
    return _TEXT


def _valid(category: str, fields: JsonObject) -> JsonObject:
    """What is left when the fields at fault are taken out, one by one."""
    fields = dict(fields)
    while fields:
        try:
            check(category, fields)
        except RecordError as error:
            name = error.field.removeprefix(f"{category}.").partition(".")[0]
            fields.pop(name if name in fields else next(iter(fields)))
            continue
        return fields
    return {}


@st.composite
def drafts(draw: st.DrawFn) -> tuple[str, JsonObject]:
    """A category, whichever there are, and valid fields of it."""
    name = draw(st.sampled_from([category.name for category in categories()]))
    schema = schema_of(name)
    examples = schema.get("examples")
    example = examples[0] if isinstance(examples, list) and examples else {}
    # Forms that chance seldom meets, such as times and codes, are in the schema's own example.
    merged = {**(example if isinstance(example, dict) and draw(st.booleans()) else {})}
    fields = _valid(name, {**draw(_value(schema, schema)), **merged})
    if not fields:
        name, fields = "interests", {"name": "cycling"}
    return name, fields
