"""What a category is, in words for people, and the error of all that cannot be accepted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from did.json import Json, JsonObject
from pds.errors import PdsError

from .forms import sortable

OWN = "own-"


class RecordError(PdsError):
    """A record, a path, a category or an edit that cannot be accepted.

    ``field`` is the path at fault (``contact.email``), or empty. Codes: ``data.unknown_category``,
    ``data.unknown_path``, ``data.unknown_field``, ``data.invalid``, ``data.not_json``,
    ``data.too_large``, ``data.provenance``, ``data.not_found``, ``data.deleted``,
    ``data.conflict``; and of own categories ``data.category_invalid``, ``data.category_exists``,
    ``data.category_used``, ``data.category_built_in``.
    """

    default_code = "data.invalid"

    def __init__(
        self, message: str, *, code: str | None = None, hint: str = "", field: str = ""
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.field = field


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a category, in words for people; ``path`` is what a grant names.

    ``term`` is what it means in a published vocabulary, where there is such a term.
    """

    path: str
    title: str
    title_hu: str
    description: str
    term: str | None = None


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of record. ``schema`` is the IRI that travels with every value of it.

    ``when`` and ``company`` name the fields that say when it happened and who the other side is;
    ``special`` is data of article 9 GDPR; ``dpv`` the concept of personal data, where there is one.
    """

    name: str
    schema: str
    title: str
    title_hu: str
    description: str
    fields: tuple[Field, ...]
    when: str | None = None
    company: str | None = None
    special: bool = False
    dpv: str | None = None

    @property
    def own(self) -> bool:
        """Whether a person made it, and not this software."""
        return self.name.startswith(OWN)

    def field(self, name: str) -> Field | None:
        """The field of this name at the top of a record, if there is one."""
        return next((f for f in self.fields if f.path == f"{self.name}.{name}"), None)

    def when_of(self, fields: Mapping[str, Json]) -> str | None:
        """When a record happened: a moment in UTC, or the day, month or year that is known.

        Sorts as text. ``None`` where the category has no time or the record does not say.
        """
        value = None if self.when is None else fields.get(self.when)
        return (sortable(value) or None) if isinstance(value, str) else None

    def company_of(self, fields: Mapping[str, Json]) -> str | None:
        """The name of the other side of a record, as it is written there."""
        value = None if self.company is None else fields.get(self.company)
        return value if isinstance(value, str) else None


def read_category(name: str, schema: JsonObject) -> Category:
    """The category of a schema that follows our form."""
    form: Any = schema
    return Category(
        name=name,
        schema=form["$id"],
        title=form["title"],
        title_hu=form["x-title-hu"],
        description=form.get("description", ""),
        fields=tuple(
            Field(
                path=f"{name}.{key}",
                title=member["title"],
                title_hu=member["x-title-hu"],
                description=member.get("description", ""),
                term=member.get("x-term"),
            )
            for key, member in form["properties"].items()
        ),
        when=form.get("x-when"),
        company=form.get("x-company"),
        special=form.get("x-special", False),
        dpv=form.get("x-dpv"),
    )
