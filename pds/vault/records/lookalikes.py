"""Items that look like one: the same person in two address books, the same purchase in two files.

What could show it is noted for each item as a number (an address, a telephone number, a name with
a date of birth), and only items that share one are compared: the effort grows with the number of
items, not with its square. What more than a dozen share, such as the number of a company's desk,
shows nothing.

Nothing is changed here, and nothing is sure: every group says why it was found.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from did.json import Json, JsonObject
from pds.db import Connection
from pds.vault.store.duplicates import KeyTable
from pds.vault.store.records import RecordStore, Row
from pds.vault.store.words import words

from .model import Record, fields_of, record_of

SHARED_BY_AT_MOST = 12
_AT_ONCE = 1000
_NO_DIGIT = re.compile(r"[^0-9]+")
# The end of a number, without the ways to begin it: +36, 0036, 06. Fewer digits are an extension.
_NUMBER, _SHORTEST = 9, 7

Keys = dict[str, str]
"""What could show that two items are one, each with the words for it."""


@dataclass(frozen=True, slots=True)
class Lookalikes:
    """Two or more items, the oldest first, and why they look like one."""

    records: tuple[Record, ...]
    reasons: tuple[str, ...]


def _person(fields: JsonObject) -> Keys:
    keys: Keys = {}
    for value in _texts(fields, "email", "otherEmails"):
        keys[f"email {value.strip().casefold()}"] = "the same e-mail address"
    for value in _texts(fields, "telephone", "otherTelephones"):
        digits = _NO_DIGIT.sub("", value)
        if len(digits) >= _SHORTEST:
            keys[f"telephone {digits[-_NUMBER:]}"] = "the same telephone number"
    name = sorted(_name(fields))
    if len(name) > 1:
        who = " ".join(name)
        keys[f"name {who}"] = "the same name"
        for field, reason in (
            ("birthDate", "date of birth"),
            ("organization", "company"),
        ):
            for value in _texts(fields, field):
                keys[f"name {who} {field} {' '.join(words(value))}"] = f"the same name and {reason}"
    return keys


def _same_person(one: Row, other: Row, shared: Keys) -> bool:
    """Not if their dates of birth differ; nor if they share a desk or a flat, but no name; nor you
    and somebody else."""
    if one.about != other.about:
        return False
    mine, yours = fields_of(one), fields_of(other)
    born = {str(f["birthDate"]) for f in (mine, yours) if "birthDate" in f}
    if len(born) > 1 and not any(a.startswith(b) for a in born for b in born if a != b):
        return False
    names = _name(mine), _name(yours)
    return bool(shared) and (not all(names) or not names[0].isdisjoint(names[1]))


def _purchase(fields: JsonObject) -> Keys:
    what = ("date", "price", "currency")
    if not all(field in fields for field in what) or not ("item" in fields or "merchant" in fields):
        return {}
    key = " ".join(["purchase", *(str(fields[field]) for field in what)])
    return {key: "the same day and price, from two files"}


def _payment(fields: JsonObject) -> Keys:
    what = ("bookingDate", "amount", "currency")
    if not all(field in fields for field in what):
        return {}
    key = " ".join(["payment", *(str(fields[field]) for field in what)])
    return {key: "the same day and amount, from two files"}


def _same_deal(one: Row, other: Row, shared: Keys) -> bool:
    """Of one file two equal ones are two."""
    mine, yours = fields_of(one), fields_of(other)
    if not shared or (one.batch == other.batch and one.source == other.source):
        return False
    if one.about != other.about:
        return False
    for field in ("item", "merchant", "counterparty", "account"):
        said = [set(words(str(f.get(field, "")))) for f in (mine, yours)]
        if all(said) and said[0].isdisjoint(said[1]):
            return False
    return True


_KINDS: Mapping[str, tuple[Callable[[JsonObject], Keys], Callable[[Row, Row, Keys], bool]]] = {
    "contact": (_person, _same_person),
    "household": (_person, _same_person),
    "purchases": (_purchase, _same_deal),
    "payments": (_payment, _same_deal),
}
CATEGORIES = tuple(_KINDS)
"""Where duplicates are looked for."""


def find_lookalikes(conn: Connection, category: str) -> Iterator[Lookalikes]:
    """Groups of live items of one of ``CATEGORIES`` that look like one, the oldest first."""
    store = RecordStore(conn)
    keys_of, is_same = _KINDS[category]
    table = KeyTable(conn)
    try:
        last = 0
        while rows := store.live(category, after=last, limit=_AT_ONCE):
            table.add(
                (_number(key), row.ordinal) for row in rows for key in keys_of(fields_of(row))
            )
            last = rows[-1].ordinal
        heads: dict[int, int] = {}  # each item of a pair → an older one of its group
        reasons: dict[tuple[int, int], set[str]] = {}
        for group in table.groups(largest=SHARED_BY_AT_MOST):
            pairs = [pair for pair in combinations(group, 2) if pair not in reasons]
            found = {n: row for n in {n for pair in pairs for n in pair}
                     if (row := store.at_ordinal(n)) is not None and not row.deleted}  # fmt: skip
            for pair in pairs:
                if any(n not in found for n in pair):
                    continue
                one, other = (found[n] for n in pair)
                theirs = keys_of(fields_of(other))
                shared = {k: why for k, why in keys_of(fields_of(one)).items() if k in theirs}
                if is_same(one, other, shared):
                    reasons[pair] = _told(set(shared.values()))
                    _join(heads, *pair)
    finally:
        table.drop()
    groups: dict[int, list[int]] = {}
    for n in sorted(heads):
        groups.setdefault(_head(heads, n), []).append(n)
    for members in groups.values():
        inside = frozenset(members)
        why = {word for pair, said in reasons.items() if inside.issuperset(pair) for word in said}
        yield Lookalikes(tuple(_records(store, members)), tuple(sorted(why)))


def _records(store: RecordStore, ordinals: list[int]) -> Iterator[Record]:
    for ordinal in ordinals:
        row = store.at_ordinal(ordinal)
        if row is not None and not row.deleted:
            yield record_of(row, store.tags(ordinal))


def _told(reasons: set[str]) -> set[str]:
    """A name alone is worth no word beside a better reason."""
    return reasons - {"the same name"} or reasons


def _join(heads: dict[int, int], one: int, other: int) -> None:
    first, second = sorted((_head(heads, one), _head(heads, other)))
    heads[second] = first


def _head(heads: dict[int, int], member: int) -> int:
    while (above := heads.setdefault(member, member)) != member:
        heads[member] = heads[above]
        member = above
    return member


def _name(fields: JsonObject) -> frozenset[str]:
    name = fields.get("name") or " ".join(_texts(fields, "givenName", "familyName"))
    return frozenset(words(str(name)))


def _texts(fields: JsonObject, *names: str) -> list[str]:
    found: list[str] = []
    for name in names:
        value: Json = fields.get(name)
        found += [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]
    return found


def _number(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
