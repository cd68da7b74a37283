"""What an item is called where it came from, and what becomes of it when it comes anew.

A card, an event, a transaction has a name of its own at home: a UID, a FITID, an address. When it
comes again with other contents it becomes a new version of the item that it was, not a second item.
Of each field three states are compared: what was said last time, what is said now, and what the
vault holds. A field that only the outside changed is taken over; one that the holder changed stays
the holder's; where both did, the holder's stays and the preview says so.

What is older than what was taken last (by its own time of change, or because the item said so
once) changes nothing. Without a time, and without having been said before, it counts as newer.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from did.json import Json, JsonObject, canonicalize, parse_object
from pds.vault.schemas import Category, RecordError, check
from pds.vault.store.origins import OriginRow, OriginStore
from pds.vault.store.records import RecordStore, Row

MAX_NAME = 1000
ITEM = "X-PDS-ITEM"
"""The property of our cards and events that has the id of the item, beside the name of its home."""

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_URN = "urn:uuid:"
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Origin:
    """The name of an item at home. ``name`` must be unique among all of a category, wherever they
    come from; ``sequence`` and ``changed`` (a time in UTC) say which edition it is, 0 and empty
    where unknown. ``item`` is the id of an item that an export of ours was written from."""

    name: str = field(repr=False)
    sequence: int = 0
    changed: str = ""
    item: str = ""

    @classmethod
    def of(
        cls, *parts: str, sequence: str = "", changed: str = "", item: str = ""
    ) -> "Origin | None":
        """A name of several parts; None where one is missing, or all of it is too long."""
        name = "\n".join(parts)
        if not all(parts) or len(name) > MAX_NAME:
            return None
        number = sequence.isascii() and sequence.isdigit() and len(sequence) < _DIGITS
        return cls(
            name,
            int(sequence) if number else 0,
            changed if _MOMENT.fullmatch(changed) else "",
            item if _ID.fullmatch(item) else "",
        )

    def key(self, category: str) -> bytes:
        """By what it is found: a UUID is the same in any of its spellings."""
        name = self.name[len(_URN) :] if self.name[: len(_URN)].lower() == _URN else self.name
        name = name.lower() if _UUID.fullmatch(name) else name
        return hashlib.sha256(f"{category}\n{name}".encode()).digest()[:16]

    @property
    def stamp(self) -> str:
        """Which edition it is, as it is kept."""
        return f"{self.sequence} {self.changed}"

    def follows(self, stamp: str) -> bool | None:
        """Whether this edition is newer than the one of a ``stamp``; None where nothing tells."""
        before, _, changed = stamp.partition(" ")
        if self.sequence != int(before):
            return self.sequence > int(before)
        if not self.changed or not changed or self.changed == changed:
            return None
        return self.changed > changed


@dataclass(frozen=True, slots=True, repr=False)
class Change:
    """An item of the vault that what was found makes another version of. ``conflicts`` are fields
    that both sides changed: those stay as they are. Without a difference nothing is written."""

    row: Row
    category: Category
    canonical: bytes
    conflicts: tuple[str, ...]
    origin: OriginRow
    known: OriginRow | None

    @property
    def differs(self) -> bool:
        return self.canonical.decode() != self.row.fields

    def before(self) -> str:
        """How to take it back, as JSON: the version before, and what its name stood for."""
        known = self.known
        was: JsonObject = {"version": self.row.version, "key": self.origin.key.hex()}
        if known is not None:
            was["known"] = [known.version, known.stamp, known.said]
        return canonicalize(was).decode()


@dataclass(frozen=True, slots=True)
class Older:
    """What was found is older than what the vault has of it."""


Outcome = Change | Older | None
"""None: what was found says nothing new."""

Named = tuple[Category, bytes, Origin, bool]
"""Category, contents, name, and whether an item of the vault said the same once."""


class Origins:
    """Looks names up. Reads only."""

    def __init__(self, records: RecordStore, store: OriginStore) -> None:
        self._records = records
        self._store = store

    def judge(self, found: Sequence[Named]) -> list[tuple[bool, Outcome]]:
        """For each whether the vault knows it by its name, and then what becomes of it."""
        rows = self._store.find(origin.key(category.name) for category, _, origin, _ in found)
        result: list[tuple[bool, Outcome]] = []
        for category, canonical, origin, said_once in found:
            known = rows.get(origin.key(category.name))
            row = self._row(category.name, origin, known)
            if row is None:
                result.append((False, None))
                continue
            outcome = self._outcome(category, row, known, canonical, origin, said_once=said_once)
            result.append((True, outcome))
        return result

    def _row(self, category: str, origin: Origin, known: OriginRow | None) -> Row | None:
        if known is not None:
            row = self._records.at_ordinal(known.ordinal)
        else:
            # As our own exports call it, also where the name of its home stands beside.
            row = self._records.get(origin.item or origin.name)
        return None if row is None or row.deleted or row.category != category else row

    def _outcome(
        self,
        category: Category,
        row: Row,
        known: OriginRow | None,
        canonical: bytes,
        origin: Origin,
        *,
        said_once: bool,
    ) -> Outcome:
        """What becomes of ``row`` when this is said under one of its names."""
        # 1. Our own export of a version that is in the history says nothing new, however little of
        #    it a card or an event can hold.
        ours = known is None or origin.item == row.id
        if ours and origin.changed and origin.changed <= row.changed:
            return None
        # 2. An older edition.
        newer = origin.follows(known.stamp) if known is not None else None
        if newer is False:
            return Older()
        if not newer and said_once:
            return None
        # 3. Field by field.
        here, there = parse_object(row.fields or "{}"), parse_object(canonical)
        if known is not None:
            base = parse_object(self._base(row, known))
            merged, conflicts = merge(base, here, there)
        elif origin.changed > row.changed:
            # Ours, changed elsewhere. What the other side cannot hold is missing there, not gone.
            merged, conflicts = here | there, ()
        else:
            merged, conflicts = here, tuple(k for k in there if k in here and here[k] != there[k])
        try:
            _, result = check(row.category, merged)
        except RecordError:
            # Each side is good, both together are not: too long, or one part contradicts another.
            result, conflicts = canonicalize(here), tuple(sorted(there))
        noted = OriginRow(
            key=origin.key(row.category),
            ordinal=row.ordinal,
            name=origin.name,
            version=row.version + 1,
            stamp=origin.stamp,
            said=None if result == canonical else canonical.decode(),
        )
        change = Change(row, category, result, conflicts, noted, known)
        return change if change.differs or conflicts else None

    def _base(self, row: Row, known: OriginRow) -> str:
        """What was said last time."""
        if known.said is not None:
            return known.said
        if known.version == row.version:
            return row.fields or "{}"
        return self._store.fields_at(row.ordinal, known.version) or "{}"


def merge(
    base: Mapping[str, Json], here: Mapping[str, Json], there: Mapping[str, Json]
) -> tuple[JsonObject, tuple[str, ...]]:
    """Three states as one, and the fields in which the holder and the outside contradict each
    other; there the holder's stays."""
    merged: JsonObject = {}
    conflicts = []
    for name in sorted({*base, *here, *there}):
        was, ours, theirs = base.get(name), here.get(name), there.get(name)
        value = theirs if ours == was else ours
        if value is not None:
            merged[name] = value
        if ours != was and theirs not in (was, ours):
            conflicts.append(name)
    return merged, tuple(conflicts)
