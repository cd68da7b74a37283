"""A person's own category: what they may write, and the whole schema that it becomes.

The least is a title and the titles of the fields::

    {"title": "Recipe", "properties": {"name": {"title": "Name"}, "steps": {"title": "Steps"}}}

What may be said beside it is what our own schemas say: ``FORM`` is the list. Everything is text or
made of text, has a size, and is at most a list of groups deep. Patterns are matched in linear time
(no look-around, no references), and nothing is fetched. The name begins with ``own-``, which no
category of this software does.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final, cast

from did.json import Json, JsonObject, canonicalize
from did.multikey import b64url_encode

from .category import OWN, Category, RecordError, read_category
from .forms import FORMS
from .rules import Rules

MAX_OWN: Final = 100
_BASE: Final = "https://w3id.org/personal-data-store/v1/own"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MAX_NAME: Final = 40 - len(OWN)  # as a path of requests has room for
_FIELD: Final = "^[a-zA-Z][A-Za-z0-9]{0,39}$"
_DEFAULT_LENGTH: Final = 2000
_HINT: Final = "See docs/data.md: categories of your own."


def _words(low: int, high: int) -> JsonObject:
    return {"type": "string", "minLength": low, "maxLength": high}


def _number(high: int) -> JsonObject:
    return {"type": "integer", "minimum": 1, "maximum": high}


_DESCRIBED: Final[JsonObject] = {
    "title": _words(1, 100),
    "x-title-hu": _words(1, 100),
    "x-term": {"type": "string", "maxLength": 300, "pattern": "^https?://[^\\s]+$"},
    "description": _words(0, 1000),
}
_TEXT: Final[JsonObject] = {
    "type": {"const": "string"},
    "minLength": {"type": "integer", "minimum": 0, "maximum": 60_000},
    "maxLength": _number(60_000),
    "format": {"enum": cast(list[Json], sorted(FORMS))},
    "pattern": _words(1, 500),
    "enum": {
        "type": "array",
        "minItems": 1,
        "maxItems": 200,
        "uniqueItems": True,
        "items": _words(1, 200),
    },
}
_CLOSED: Final[JsonObject] = {"additionalProperties": {"const": False}}
_NAMES: Final[JsonObject] = {
    "type": "array",
    "maxItems": 100,
    "uniqueItems": True,
    "items": _words(1, 40),
}


def _group(members: str, *, high: int) -> JsonObject:
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": high,
        "propertyNames": {"pattern": _FIELD},
        "additionalProperties": {"$ref": f"#/$defs/{members}"},
    }


_GROUP: Final[JsonObject] = {
    "type": {"const": "object"},
    "properties": _group("text", high=50),
    "required": _NAMES,
    "minProperties": _number(50),
    **_CLOSED,
}


def _object(*parts: JsonObject, required: list[Json]) -> JsonObject:
    properties: JsonObject = {}
    for part in parts:
        properties |= part
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _by_type(cases: dict[str, str], otherwise: str) -> JsonObject:
    chosen: JsonObject = {"$ref": f"#/$defs/{otherwise}"}
    for kind, name in cases.items():
        chosen = {
            "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
            "then": {"$ref": f"#/$defs/{name}"},
            "else": chosen,
        }
    return chosen


FORM: Final[JsonObject] = {
    **_object(
        _DESCRIBED,
        {
            "$schema": {"const": "https://json-schema.org/draft/2020-12/schema"},
            "$id": _words(1, 300),
            "type": {"const": "object"},
            "properties": _group("field", high=100),
            "minProperties": _number(100),
            "required": _NAMES,
            "x-when": _words(1, 40),
            "x-company": _words(1, 40),
            "x-special": {"type": "boolean"},
            "x-dpv": {"type": "string", "maxLength": 200, "pattern": "^https://w3id\\.org/dpv"},
            "examples": {"type": "array", "maxItems": 1, "items": {"type": "object"}},
            **_CLOSED,
        },
        required=["title", "properties"],
    ),
    "$defs": {
        "text": _object(_DESCRIBED, _TEXT, required=["title"]),
        "group": _object(_DESCRIBED, _GROUP, required=["title", "properties"]),
        "list": _object(
            _DESCRIBED,
            {
                "type": {"const": "array"},
                "minItems": _number(1000),
                "maxItems": _number(1000),
                "items": _by_type({"object": "itemGroup"}, "itemText"),
            },
            required=["title"],
        ),
        "itemText": _object(_TEXT, required=[]),
        "itemGroup": _object(_GROUP, required=["properties"]),
        "field": _by_type({"array": "list", "object": "group"}, "text"),
    },
}
_SHAPE: Final = Category(
    name="category", schema="", title="Category", title_hu="Kategória", description="", fields=()
)


@dataclass(frozen=True, slots=True)
class OwnCategory:
    """A category that holds together; ``schema`` is what is kept, as JSON text."""

    category: Category
    schema: str
    rules: Rules

    def check(self, fields: object) -> None:
        """Prove that ``fields`` is a record of it; RecordError as ``Rules.check``."""
        self.rules.check(self.category, fields)


def own_name(name: str) -> str:
    """The full name, ``own-recipes``, of a category called ``recipes`` or ``own-recipes``.

    RecordError ``data.category_invalid``.
    """
    short = name.removeprefix(OWN)
    if len(short) > _MAX_NAME or _NAME.fullmatch(short) is None:
        raise _invalid(
            "The name of a category has small letters, digits and single hyphens.",
            f"At most {_MAX_NAME} of them, such as recipes or wine-cellar.",
        )
    return OWN + short


def name_of_file(path: PurePath) -> str:
    """The name that a category has when nobody says one: that of its file."""
    return own_name(path.name.partition(".")[0].lower().replace("_", "-").replace(" ", "-"))


def read_own(name: str, document: object) -> OwnCategory:
    """The category that somebody's own document describes; ``name`` as for ``own_name``.

    Raises RecordError ``data.category_invalid``, with a JSON pointer as ``field``: something is
    not in ``FORM``, a field is named that there is not, a pattern cannot be matched in linear
    time, or the example does not follow its own schema. The sentence repeats no value.
    """
    full = own_name(name)
    # 1. The shape: nothing that is not known, everything bounded.
    try:
        Rules(FORM).check(_SHAPE, document)
    except RecordError as error:
        place = error.field.partition(".")[2].replace(".", "/")
        raise _invalid(
            f"The description of the category is not in the right form at /{place}.",
            error.hint if error.code == "data.unknown_field" else _HINT,
            field=f"/{place}",
        ) from error
    given = cast("dict[str, Any]", document)
    # 2. The fields that are named are there.
    properties = {key: _field(form) for key, form in given["properties"].items()}
    for keyword in ("x-when", "x-company"):
        named = given.get(keyword)
        if named is not None and properties.get(named, {}).get("type") != "string":
            raise _invalid(
                f"{keyword} names no field that is a text.",
                "Name one of the fields beneath properties.",
                field=f"/{keyword}",
            )
    _check_required(given, "")
    # 3. The whole, with what was left out; its IRI says what it is, so that two people's recipes
    #    are never taken for one thing.
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_described(given),
        **_kept(given, "x-dpv", "x-special", "x-when", "x-company"),
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "minProperties": given.get("minProperties", 1),
        "required": given.get("required", []),
    }
    digest = b64url_encode(hashlib.sha256(canonicalize(schema)).digest())
    schema["$id"] = f"{_BASE}/{full.removeprefix(OWN)}/{digest}"
    if given.get("examples"):
        schema["examples"] = given["examples"]
    category = read_category(full, schema)
    # 4. It can be carried out, and its example follows it.
    try:
        rules = Rules(schema, own=True)
    except ValueError:
        raise _invalid(
            "A pattern of the category cannot be matched.",
            "Patterns have no look-around and no references to what was matched before.",
        ) from None
    for example in given.get("examples", []):
        try:
            rules.check(category, example)
        except RecordError as error:
            raise _invalid(
                f"The example does not follow the description. {error}",
                error.hint,
                field="/examples/0",
            ) from error
    # Not in the canonical order: people see the fields in the order in which they wrote them.
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    return OwnCategory(category, text, rules)


def _field(form: dict[str, Any]) -> dict[str, Any]:
    whole = _described(form)
    if form.get("type") == "array":
        items = form.get("items", {})
        inner = _members(items) if items.get("type") == "object" else _text(items)
        return {**whole, **_sizes(form, "Items", 100), "type": "array", "items": inner}
    if form.get("type") == "object":
        return {**whole, **_members(form)}
    return {**whole, **_text(form)}


def _members(form: dict[str, Any]) -> dict[str, Any]:
    _check_required(form, "/properties")
    return {
        "type": "object",
        "properties": {k: {**_described(f), **_text(f)} for k, f in form["properties"].items()},
        "additionalProperties": False,
        "minProperties": form.get("minProperties", 1),
        "required": form.get("required", []),
    }


def _text(form: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "string",
        **_sizes(form, "Length", _DEFAULT_LENGTH),
        **_kept(form, "format", "pattern", "enum"),
    }


def _sizes(form: dict[str, Any], what: str, high: int) -> dict[str, Any]:
    low, top = form.get(f"min{what}", 1), form.get(f"max{what}", high)
    if low > top:
        raise _invalid(f"A field has a min{what} above its max{what}.", "Change one of them.")
    return {f"min{what}": low, f"max{what}": top}


def _described(form: dict[str, Any]) -> dict[str, Any]:
    # Somebody who speaks one language need not write two.
    return {
        "title": form["title"],
        "x-title-hu": form.get("x-title-hu", form["title"]),
        **_kept(form, "x-term", "description"),
    }


def _kept(form: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: form[key] for key in keys if key in form}


def _check_required(form: dict[str, Any], where: str) -> None:
    if not set(form.get("required", [])) <= set(form["properties"]):
        raise _invalid(
            "required names a field that there is not.",
            "Name fields beneath properties only.",
            field=f"{where}/required",
        )


def _invalid(message: str, hint: str, *, field: str = "") -> RecordError:
    return RecordError(message, code="data.category_invalid", hint=hint, field=field)
