"""All categories that a vault knows: those of this software, and its holder's own.

Each category is read when it is first named: most commands need one or two of fifty.
"""

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Final, cast

from did.json import Json, JsonObject, parse_object

from .category import OWN, Category, Field, RecordError, read_category
from .rules import Rules

# fmt: off
NAMES: Final = (
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
_KNOWN: Final = frozenset(NAMES)


class Catalogue:
    """The categories of this software and, from ``own``, further ones: name to schema, as text.

    It does not change: what another program adds to the vault is in the next one that is made.
    """

    def __init__(self, own: Mapping[str, str] = MappingProxyType({})) -> None:
        self._own = own

    def categories(self) -> tuple[Category, ...]:
        """All categories, in the order in which they are shown; one's own stand last."""
        return tuple(self.category(name) for name in (*NAMES, *sorted(self._own)))

    def category(self, name: str) -> Category:
        """The category of this name; RecordError ``data.unknown_category``."""
        if name in _KNOWN:
            return _built_in(name)
        if name in self._own:
            return _own(name, self._own[name])
        raise RecordError(
            "There is no such category of data.",
            code="data.unknown_category",
            hint="Categories are listed by: pds data fields",
        )

    def parse_path(self, path: str) -> tuple[Category, Field | None]:
        """What a path names: a whole category, or one field at the top of its records.

        Raises RecordError ``data.unknown_category`` or ``data.unknown_path``.
        """
        name, dot, rest = path.partition(".")
        found = self.category(name)
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

    def describe(self, path: str, *, language: str = "en") -> str:
        """A path in words, English unless ``language`` is ``hu``; raises as ``parse_path`` does."""
        found, field = self.parse_path(path)
        named = found if field is None else field
        return named.title_hu if language == "hu" else named.title

    def check(self, category_name: str, fields: object) -> tuple[Category, bytes]:
        """Prove that ``fields`` is a record of the category; return its canonical JSON (RFC 8785).

        Guaranteed afterwards: strict JSON without floats, at most 64 KiB, no control characters,
        and valid under the category's schema. Raises RecordError; it names the field, never the
        value.
        """
        found = self.category(category_name)
        rules = _own_rules(self._own[found.name]) if found.own else _rules(found.name)
        return found, rules.check(found, fields)

    def schema_of(self, name: str) -> JsonObject:
        """The JSON Schema of a category, as a fresh object; ``data.unknown_category``."""
        return parse_object(self._own[name]) if self.category(name).own else _read(name)

    def when_of(self, category_name: str, fields: Mapping[str, Json]) -> str | None:
        """When a record of the category happened: see ``Category.when_of``."""
        return self.category(category_name).when_of(fields)

    def company_of(self, category_name: str, fields: Mapping[str, Json]) -> str | None:
        """Who the other side of a record of the category is: see ``Category.company_of``."""
        return self.category(category_name).company_of(fields)


def is_own(name: str) -> bool:
    """Whether a name is one that only a category of somebody's own can have."""
    return name.startswith(OWN)


def _read(name: str) -> JsonObject:
    # Our own file: a test reads it strictly, so that this need not, at a tenth of the time.
    text = (resources.files(__package__) / f"{name}.json").read_bytes()
    return cast(JsonObject, json.loads(text))


@cache
def _built_in(name: str) -> Category:
    return read_category(name, _read(name))


@cache
def _rules(name: str) -> Rules:
    return Rules(_read(name))


# By what they say, so that a changed one is never taken for the one before.
@lru_cache(maxsize=128)
def _own(name: str, schema: str) -> Category:
    return read_category(name, parse_object(schema))


@lru_cache(maxsize=128)
def _own_rules(schema: str) -> Rules:
    return Rules(parse_object(schema), own=True)
