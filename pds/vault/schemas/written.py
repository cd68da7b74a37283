"""How a field is written, in words: the words that it may be, the form of a date, an example."""

from typing import Any

from did.json import JsonObject

_EXAMPLES = {
    "date": "2026-02-28",
    "partial-date": "2026-02-28, 2026-02 or 2026",
    "date-time": "2026-02-28T09:15:00Z",
    "moment": "2026-02-28T09:15:00Z, 2026-02-28 or 2026",
    "calendar-time": "2026-04-02T10:00:00+02:00 or 2026-04-02",
}


def form_of(form: Any, schema: JsonObject) -> Any:
    """What a field is, where it only refers to it; an empty form for what is no field."""
    if isinstance(form, dict) and "$ref" in form:
        defined: Any = schema["$defs"]
        return defined[form["$ref"].rpartition("/")[2]]
    return form or {}


def written(form: Any, schema: JsonObject, path: tuple[str, ...] = ()) -> str:
    """How one value of this field is written; empty where any text will do.

    ``path`` is where the field stands, to find an example for one that has a pattern.
    """
    form = form_of(form, schema)
    if form.get("type") == "array":
        form = form_of(form["items"], schema)
    if "enum" in form:
        return "One of: " + ", ".join(form["enum"]) + "."
    if form.get("format") in _EXAMPLES:
        return f"Write it as {_EXAMPLES[form['format']]}."
    shown = _example(schema, path)
    if "pattern" in form and shown:
        return f"Such as {shown}"
    return ""


def _example(schema: JsonObject, path: tuple[str, ...]) -> str:
    records: Any = schema.get("examples") or [{}]
    value = records[0]
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, str) else ""
