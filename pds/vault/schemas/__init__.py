"""The categories of records, each with its JSON Schema (2020-12), and the one check of a record.

A *path* names data: a category (``purchases``) is all of it, a category and a field
(``contact.email``) one stable thing that a grant can cover. Values are text or made of text:
amounts are decimal strings, because a float has no place in a signed object. Titles exist in
English (``title``) and Hungarian (``x-title-hu``).

A category is added by putting its file here and its name in ``_NAMES``.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from did.errors import JsonError
from did.json import Json, JsonObject, canonicalize, parse_object
from pds.errors import PdsError

from .forms import FORMS

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

# fmt: off
_NAMES = (
    # Who one is, and with whom.
    "contact", "household", "demographics", "firm", "identity",
    # One's relations with companies.
    "interactions", "purchases", "payments", "accounts", "contracts", "insurance", "loyalty",
    "support", "preferences", "interests", "wishes", "segments",
    # Health, one category for each kind: a grant for vaccinations must not carry diagnoses.
    "conditions", "observations", "medications", "immunizations", "allergies", "procedures",
    "encounters", "diagnostics", "careplans", "claims",
    # Time and places.
    "events", "tasks", "places", "locations", "travel",
    # What one says, sees and uses.
    "messages", "posts", "media", "activity", "telecom", "devices", "readings",
    # Papers, work, and what one owns.
    "documents", "credentials", "education", "employment", "vehicles", "property", "note",
)
# fmt: on
MAX_RECORD_BYTES = 65_536

# Everything that a page, a terminal or a database could take for something other than text.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


class RecordError(PdsError):
    """A record, a path or an edit that cannot be accepted.

    ``field`` is the path at fault (``contact.email``), or empty. Codes: ``data.unknown_category``,
    ``data.unknown_path``, ``data.unknown_field``, ``data.invalid``, ``data.not_json``,
    ``data.too_large``, ``data.provenance``, ``data.not_found``, ``data.deleted``,
    ``data.conflict``.
    """

    default_code = "data.invalid"

    def __init__(
        self, message: str, *, code: str | None = None, hint: str = "", field: str = ""
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.field = field


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a category, in words for people; ``path`` is what a grant names."""

    path: str
    title: str
    title_hu: str
    description: str


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of record. ``schema`` is the IRI that travels with every value of it."""

    name: str
    schema: str
    title: str
    title_hu: str
    description: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """The field of this name at the top of a record, if there is one."""
        return next((f for f in self.fields if f.path == f"{self.name}.{name}"), None)


@cache
def categories() -> tuple[Category, ...]:
    """All categories, in the order in which they are shown."""
    return tuple(_category(name) for name in _NAMES)


def category(name: str) -> Category:
    """The category of this name; RecordError ``data.unknown_category``."""
    for known in categories():
        if known.name == name:
            return known
    raise RecordError(
        "There is no such category of data.",
        code="data.unknown_category",
        hint="Categories: " + ", ".join(_NAMES) + ".",
    )


def parse_path(path: str) -> tuple[Category, Field | None]:
    """What a path names: a whole category, or one field at the top of its records.

    Raises RecordError ``data.unknown_category`` or ``data.unknown_path``.
    """
    name, dot, rest = path.partition(".")
    found = category(name)
    if not dot:
        return found, None
    field = found.field(rest)
    if field is None:
        raise RecordError(
            f"The category {found.name} has no such field.",
            code="data.unknown_path",
            hint="Fields: " + ", ".join(f.path for f in found.fields) + ".",
        )
    return found, field


def describe(path: str, *, language: str = "en") -> str:
    """A path in words, English unless ``language`` is ``hu``; raises as ``parse_path`` does."""
    found, field = parse_path(path)
    named = found if field is None else field
    return named.title_hu if language == "hu" else named.title


def check(category_name: str, fields: object) -> tuple[Category, bytes]:
    """Prove that ``fields`` is a record of the category; return its canonical JSON (RFC 8785).

    Guaranteed afterwards: strict JSON without floats, at most 64 KiB, no control characters, and
    valid under the category's schema. Raises RecordError; it names the field, never the value.
    """
    found = category(category_name)
    # 1. Strict JSON that can be signed: what is written reads back, without floats.
    try:
        canonical = canonicalize(fields)  # type: ignore[arg-type]  # it refuses what is not JSON
        if len(canonical) > MAX_RECORD_BYTES:
            raise RecordError(
                f"A record must not exceed {MAX_RECORD_BYTES} bytes.", code="data.too_large"
            )
        value = parse_object(canonical)
    except JsonError as error:
        raise RecordError(
            "A record must be a JSON object without floats.",
            code="data.not_json",
            hint="Write amounts and quantities as text, such as 1290.00.",
        ) from error
    # 2. Text that is only text.
    for path, text in _texts(found.name, value):
        if _CONTROL.search(text):
            raise RecordError(
                f"The field {path} holds control characters.",
                field=path,
                hint="Remove everything that cannot be seen.",
            )
    # 3. The schema of the category.
    errors = sorted(_validator(found.name).iter_errors(value), key=lambda e: list(map(str, e.path)))
    if errors:
        raise _refusal(found, errors[0])
    return found, canonical


def schema_of(name: str) -> JsonObject:
    """The JSON Schema of a category, as a fresh object; RecordError ``data.unknown_category``."""
    category(name)
    return _read(name)


def _read(name: str) -> JsonObject:
    return parse_object((resources.files(__package__) / f"{name}.json").read_bytes())


def _category(name: str) -> Category:
    schema: Any = _read(name)
    return Category(
        name=name,
        schema=schema["$id"],
        title=schema["title"],
        title_hu=schema["x-title-hu"],
        description=schema["description"],
        fields=tuple(
            Field(
                path=f"{name}.{key}",
                title=member["title"],
                title_hu=member["x-title-hu"],
                description=member.get("description", ""),
            )
            for key, member in schema["properties"].items()
        ),
    )


@cache
def _validator(name: str) -> "Draft202012Validator":
    # Imported on first use: it takes longer than everything else this command line needs.
    from jsonschema import Draft202012Validator, FormatChecker

    formats = FormatChecker(formats=())
    for form, holds in FORMS.items():
        formats.checks(form)(holds)
    schema = json.loads(canonicalize(_read(name)))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=formats)


def _texts(path: str, value: Json) -> Iterator[tuple[str, str]]:
    """Every string with the path of its field; below a field, the field's own path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(path, item)
    elif isinstance(value, dict):
        for key, member in value.items():
            # A key that is not the schema's own may be anything; it is not repeated.
            known = path.count(".") == 0 and category(path).field(key) is not None
            yield path, key
            yield from _texts(f"{path}.{key}" if known else path, member)


def _refusal(found: Category, error: "ValidationError") -> RecordError:
    steps = [step for step in error.absolute_path if isinstance(step, str)]
    path = ".".join([found.name, *steps])
    described = found.field(steps[0]) if steps else None
    hint = described.description if described else ""
    match error.validator:
        case "additionalProperties":
            properties = error.schema["properties"] if isinstance(error.schema, dict) else {}
            return RecordError(
                f"{path} has a field that is not known.",
                code="data.unknown_field",
                hint="Fields: " + ", ".join(properties) + ".",
                field=path,
            )
        case "required":
            wanted: Any = error.validator_value
            given: Any = error.instance
            missing = ", ".join(f"{path}.{name}" for name in wanted if name not in given)
            return RecordError(f"A required field is missing: {missing}.", field=missing)
        case "type":
            form = {"string": "text", "array": "a list", "object": "a group of fields"}
            right = form.get(str(error.validator_value), "another form")
            return RecordError(f"The field {path} must be {right}.", hint=hint, field=path)
        case "minLength" | "minItems" | "minProperties":
            return RecordError(f"{path} must not be empty.", field=path)
        case "maxLength" | "maxItems":
            return RecordError(f"The field {path} is too long.", field=path)
        case _:
            return RecordError(f"The field {path} has another form.", hint=hint, field=path)
