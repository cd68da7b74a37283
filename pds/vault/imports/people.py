"""Whose data a file holds: the person that it names, against the holder as the vault knows them."""

from dataclasses import dataclass, field

from pds.vault.records import Records
from pds.vault.store.words import words

MAX_SHOWN = 80
_WORDS = 2


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody by name and date of birth, either of them perhaps empty."""

    name: str = field(repr=False)
    born: str = field(default="", repr=False)

    @property
    def known(self) -> bool:
        return bool(self.name or self.born)

    @property
    def shown(self) -> str:
        """The person in a few words."""
        name = "".join(c for c in self.name if c.isprintable())[:MAX_SHOWN]
        return ", ".join(filter(None, (name, self.born and f"born {self.born[:10]}")))

    def is_like(self, other: "Person") -> bool | None:
        """Whether both are one: by their births, and by their names where both have two words at
        least. None where that tells nothing."""
        born = sorted((self.born, other.born), key=len)
        if born[0] and not born[1].startswith(born[0]):
            return False
        mine, yours = frozenset(words(self.name)), frozenset(words(other.name))
        if born[0] and not mine.isdisjoint(yours):
            return True  # names are written in many ways: with the same birth, one word will do
        if min(len(mine), len(yours)) < _WORDS:
            return True if born[0] else None
        return mine <= yours or yours <= mine


def holder(records: Records) -> tuple[Person, ...]:
    """The holder, as their own contacts and their data about themselves say."""
    found = []
    for value in records.values("contact"):
        fields = value.value if isinstance(value.value, dict) else {}
        name = fields.get("name") or " ".join(
            str(fields[part]) for part in ("givenName", "familyName") if part in fields
        )
        found.append(Person(str(name), str(fields.get("birthDate", ""))))
    return tuple(person for person in found if person.known)
