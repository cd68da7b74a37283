"""A schema made ready, and the one check of a record against it.

The library is jsonschema-rs (docs/adr/0009): about 2 µs for a record where python-jsonschema took
100, and patterns by users in time that grows with the text and nothing else.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from did.errors import JsonError
from did.json import Json, JsonObject, canonicalize, parse_object

from .category import Category, RecordError
from .forms import FORMS
from .written import written

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

MAX_RECORD_BYTES = 65_536

# Everything that a page, a terminal or a database could take for something other than text.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
# Where canonical JSON may hold any of these, or is only suspected to: a backslash that is text.
_SUSPECT = re.compile(rb"\\[bfu]|\x7f|\xc2[\x80-\x9f]|\xef\xbf[\xbe\xbf]")
_PATTERN_BYTES = 1_048_576  # what a pattern of somebody's own may take when it is compiled


class Rules:
    """The rules of one schema. ``own``: of a person's own, whose patterns are not trusted.

    Making them raises ValueError for a schema that cannot be carried out.
    """

    def __init__(self, schema: JsonObject, *, own: bool = False) -> None:
        # Imported on first use: it takes longer than everything else this command line needs.
        from jsonschema_rs import Draft202012Validator, FancyRegexOptions, RegexOptions

        self._schema = schema
        self._validator = Draft202012Validator(
            cast("dict[str, Any]", schema),
            formats=dict(FORMS),
            validate_formats=True,
            pattern_options=(
                RegexOptions(size_limit=_PATTERN_BYTES) if own else FancyRegexOptions()
            ),
            offline=True,
        )
        self._holds = self._validator.is_valid

    def check(self, category: Category, fields: object) -> bytes:
        """Prove that ``fields`` follow the rules; return their canonical JSON (RFC 8785).

        Guaranteed afterwards: strict JSON without floats, at most 64 KiB, no control characters,
        and valid under the schema. Raises RecordError; it names the field, never the value.
        """
        # 1. Strict JSON that can be signed.
        try:
            canonical = canonicalize(cast(Json, fields))  # it refuses what is not JSON
        except JsonError as error:
            raise _not_json() from error
        if len(canonical) > MAX_RECORD_BYTES:
            raise RecordError(
                f"A record must not exceed {MAX_RECORD_BYTES} bytes.", code="data.too_large"
            )
        # 2. The quick way: the schema leaves no room for floats or deep nesting, and a control
        #    character would show in the bytes. What is not beyond doubt is said by the other way.
        if self._is_sound(fields, canonical):
            return canonical
        self._explain(category, canonical)
        return canonical

    def _is_sound(self, fields: object, canonical: bytes) -> bool:
        try:
            holds = self._holds(cast(Any, fields))
        except ValueError:  # a type that is not JSON's own, such as a text of another class
            return False
        return holds and _SUSPECT.search(canonical) is None

    def _explain(self, category: Category, canonical: bytes) -> None:
        try:
            value = parse_object(canonical)
        except JsonError as error:
            raise _not_json() from error
        # 3. Text that is only text.
        for path, text in _texts(category, category.name, value):
            if _CONTROL.search(text):
                raise RecordError(
                    f"The field {path} holds control characters.",
                    field=path,
                    hint="Remove everything that cannot be seen.",
                )
        # 4. The schema; of several errors the outermost one.
        errors = sorted(
            self._validator.iter_errors(value),
            key=lambda e: (list(map(str, e.instance_path)), e.kind.name),
        )
        if errors:
            raise self._refusal(category, value, errors[0])

    def _refusal(
        self, category: Category, value: JsonObject, error: "ValidationError"
    ) -> RecordError:
        steps = [step for step in error.instance_path if isinstance(step, str)]
        path = ".".join([category.name, *steps])
        described = category.field(steps[0]) if steps else None
        hint = described.description if described else ""
        schema: Any = _at(self._schema, error.schema_path[:-1])
        match error.kind.name:
            case "additionalProperties":
                return RecordError(
                    f"{path} has a field that is not known.",
                    code="data.unknown_field",
                    hint="Fields: " + ", ".join(sorted(schema.get("properties", ()))) + ".",
                    field=path,
                )
            case "required":
                given: Any = _at(value, error.instance_path)
                missing = ", ".join(f"{path}.{n}" for n in schema["required"] if n not in given)
                return RecordError(f"A required field is missing: {missing}.", field=missing)
            case "type":
                form = {"string": "text", "array": "a list", "object": "a group of fields"}
                right = form.get(str(schema["type"]), "another form")
                return RecordError(f"The field {path} must be {right}.", hint=hint, field=path)
            case "minLength" | "minItems" | "minProperties":
                return RecordError(f"{path} must not be empty.", field=path)
            case "maxLength" | "maxItems":
                return RecordError(f"The field {path} is too long.", field=path)
            case "enum":
                hint = written(schema, self._schema)
                return RecordError(
                    f"The field {path} must be one of its words.", hint=hint, field=path
                )
            case _:
                hint = f"{hint} {written(schema, self._schema, tuple(steps))}".strip()
                return RecordError(f"The field {path} has another form.", hint=hint, field=path)


def _not_json() -> RecordError:
    return RecordError(
        "A record must be a JSON object without floats.",
        code="data.not_json",
        hint="Write amounts and quantities as text, such as 1290.00.",
    )


def _at(value: Any, path: list[str | int]) -> Any:
    for step in path:
        value = value[step]
    return value


def _texts(category: Category, path: str, value: Json) -> Iterator[tuple[str, str]]:
    """Every string with the path of its field; below a field, the field's own path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(category, path, item)
    elif isinstance(value, dict):
        for key, member in value.items():
            # A key that is not the schema's own may be anything; it is not repeated.
            known = path == category.name and category.field(key) is not None
            yield path, key
            yield from _texts(category, f"{path}.{key}" if known else path, member)
