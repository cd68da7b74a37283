"""Values of FHIR resources as texts, whatever a stranger has put in their place."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from .amounts import plain_decimal
from .moments import moment
from .people import Person
from .text import clean

Resource = dict[str, object]
MAX_LIST = 200
MAX_PATIENTS = 10_000
_SUBJECTS = ("subject", "patient", "beneficiary", "individual")

_EXPONENT = re.compile(r"(-?[0-9]{1,30}(?:[.][0-9]{1,30})?)[eE]([+-]?[0-9]{1,2})")


def at(value: object, path: str) -> object:
    """What stands under a path of names; of a list the first. None where there is nothing."""
    for name in path.split("."):
        while isinstance(value, list):
            value = value[0] if value else None
        value = value.get(name) if isinstance(value, dict) else None
    while isinstance(value, list):
        value = value[0] if value else None
    return value


def every(value: object, path: str = "") -> Iterator[object]:
    """All that stands under a path of names, through all lists, up to 200 of each."""
    if isinstance(value, list):
        for item in value[:MAX_LIST]:
            yield from every(item, path)
    elif path:
        name, _, rest = path.partition(".")
        if isinstance(value, dict) and name in value:
            yield from every(value[name], rest)
    elif value is not None:
        yield value


def text(value: object, path: str = "") -> str:
    """A text or number as it was written; yes or no; empty for everything else."""
    if path:
        value = at(value, path)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return clean(value) if isinstance(value, str) else ""


def first(value: object, *paths: str) -> str:
    """The text under the first of the paths that has one."""
    return next(filter(None, (text(value, path) for path in paths)), "")


def when(value: object, *paths: str) -> str:
    """The moment or date under the first of the paths that has one."""
    return moment(first(value, *paths))


def words(value: object, path: str = "") -> str:
    """A CodeableConcept or Coding in words, or its code where it has none."""
    concept = at(value, path) if path else value
    return first(concept, "text", "coding.display", "display", "coding.code", "code")


def all_words(value: object, path: str, *, glue: str = "; ") -> str:
    return glue.join(dict.fromkeys(filter(None, map(words, every(value, path)))))


def coded(value: object, path: str) -> dict[str, object]:
    """A CodeableConcept as the three fields that all records of health have."""
    concept = at(value, path)
    return {
        "display": first(concept, "text", "coding.display"),
        "code": text(concept, "coding.code"),
        "system": text(concept, "coding.system"),
    }


def number(value: object, path: str, *, places: int = 20) -> str:
    """A decimal as it was written; one with an exponent is written out. Empty for none."""
    written = text(value, path)
    match = _EXPONENT.fullmatch(written)
    if match is not None:
        written = format(Decimal(match[1]).scaleb(int(match[2])), "f")
    return plain_decimal(written, places=places)


def quantity(value: object) -> str:
    """A Quantity, Range or Ratio in words."""
    if (low := at(value, "low")) is not None or at(value, "high") is not None:
        return f"{quantity(low) if low else ''} - {quantity(at(value, 'high'))}".strip()
    if (numerator := at(value, "numerator")) is not None and not isinstance(value, list):
        return f"{_amount(numerator)} / {_amount(at(value, 'denominator'))}"
    return _amount(value)


def _amount(value: object) -> str:
    parts = (text(value, "comparator"), number(value, "value"), first(value, "unit", "code"))
    return " ".join(filter(None, parts))


def person_name(value: object) -> str:
    """The name of a person, of an organisation or of a place."""
    named = at(value, "name")
    if not isinstance(named, dict):
        return text(named)
    return text(named, "text") or " ".join(
        filter(None, (all_texts(named, part) for part in ("prefix", "given", "family", "suffix")))
    )


def all_texts(value: object, path: str, *, glue: str = " ") -> str:
    return glue.join(filter(None, map(text, every(value, path))))


def usual_name(resource: Resource) -> Resource:
    """Of the names of a person the official one, or the usual, or the first."""
    names = [n for n in every(resource, "name") if isinstance(n, dict)]
    return next(
        (n for use in ("official", "usual") for n in names if n.get("use") == use),
        names[0] if names else {},
    )


class Names:
    """What resources are called, by the references to them; at most 100,000."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._places: dict[str, str] = {}  # encounter → reference to who ran it
        self.patients: dict[str, Person] = {}  # as references and addresses call them
        self._of: list[Person] = []

    def learn(self, full_url: str, resource: Resource) -> None:
        kind = text(resource, "resourceType")
        keys = [key for key in (full_url, f"{kind}/{text(resource, 'id')}") if 2 < len(key) < 300]
        if kind == "Patient" and len(self._of) < MAX_PATIENTS:
            person = Person(
                person_name({"name": usual_name(resource)}), text(resource, "birthDate")
            )
            self._of.append(person)
            self.patients |= dict.fromkeys(keys, person)
        if kind == "Encounter":
            place = text(resource, "serviceProvider.display") or text(
                resource, "serviceProvider.reference"
            )
            self._put(self._places, keys, place)
        else:
            self._put(self._names, keys, name_of(resource))

    @property
    def people(self) -> tuple[Person, ...]:
        """The patients of the file, each once."""
        return tuple(dict.fromkeys(self._of))

    def patient(self, full_url: str, resource: Resource) -> Person | None:
        """Whom a resource is about; None where it does not say, or the file has no such patient."""
        kind = text(resource, "resourceType")
        if kind == "Patient":
            return self.patients.get(full_url) or self.patients.get(
                f"Patient/{text(resource, 'id')}"
            )
        said = first(resource, *(f"{name}.reference" for name in _SUBJECTS))
        if said in self.patients:
            return self.patients[said]
        parts = said.partition("/_history/")[0].rsplit("/", 2)[-2:]
        return self.patients.get("/".join(parts))

    def _put(self, into: dict[str, str], keys: list[str], name: str) -> None:
        for key in keys:
            if name and len(into) < 100_000:
                into.setdefault(key, name[:300])

    def who(self, value: object, path: str, contained: Mapping[str, str]) -> str:
        """Who or what a reference means, in words; empty where the file does not say."""
        reference = at(value, path)
        return text(reference, "display") or self._find(
            self._names, text(reference, "reference"), contained
        )

    def place(self, value: object, contained: Mapping[str, str]) -> str:
        """Who ran the encounter that a resource belongs to."""
        found = self._find(self._places, text(value, "encounter.reference"), {})
        return self._find(self._names, found, contained) or (
            "" if ":" in found or "/" in found or found.startswith("#") else found
        )

    @staticmethod
    def _find(names: Mapping[str, str], reference: str, contained: Mapping[str, str]) -> str:
        if reference.startswith("#"):
            return contained.get(reference[1:], "")
        if reference in names:
            return names[reference]
        # https://server.example/fhir/Practitioner/7/_history/2
        parts = reference.partition("/_history/")[0].rsplit("/", 2)[-2:]
        return names.get("/".join(parts), "")


def name_of(resource: Resource) -> str:
    """What another resource would call this one."""
    return (
        person_name(resource)
        or first(resource, "title", "deviceName.name", "description.text", "content.title")
        or words(resource, "code")
        or words(resource, "type")
    )


def contained_names(resource: Resource) -> dict[str, str]:
    found = {}
    for inner in every(resource, "contained"):
        if isinstance(inner, dict):
            found[text(inner, "id")] = name_of(inner)
    return found
