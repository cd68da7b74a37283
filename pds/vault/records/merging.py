"""Several items become one: the union of what they say.

    plan = plan_merger(catalogue, keep, others)    # what it would say, and where they contradict
    Merging(conn).merge(plan, batch=…, now=…)      # every version of the others becomes an earlier
                                                   # version of the one that is kept
    Merging(conn).split(batch, now=…)              # and back

The others are deleted; their files, tags and names elsewhere go to the one that is kept. Splitting
makes them anew, under new ids, from what is in the history of the one: no more is needed for that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from did.json import Json, JsonObject, canonicalize, parse_object
from pds.db import Connection
from pds.vault.schemas import Catalogue, Category, RecordError
from pds.vault.store.attachments import AttachmentStore
from pds.vault.store.origins import ChangeRow, OriginStore
from pds.vault.store.records import RecordStore, Row
from pds.vault.store.words import name_key

from . import facts
from .changes import restore
from .model import Record, digest_of, fields_of

MAX_MERGED = 50


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field in which items contradict each other: what each of them says, by their ids."""

    field: str
    values: tuple[tuple[str, Json], ...]
    taken: str


@dataclass(frozen=True, slots=True, repr=False)
class Merger:
    """What several items would say as one. ``conflicts`` name what is taken, and what is lost but
    for the history."""

    keep: Record
    others: tuple[Record, ...]
    category: Category
    canonical: bytes
    conflicts: tuple[Conflict, ...]

    @property
    def fields(self) -> JsonObject:
        return parse_object(self.canonical)


def plan_merger(
    words: Catalogue, keep: Record, others: Sequence[Record], *, take: Mapping[str, str]
) -> Merger:
    """The union of the fields. Lists are joined, and so are notes; where there is a list beside a
    field (email, otherEmails) all other values go there. Of contradicting values that of ``keep``
    is taken, or of the item that ``take`` names for the field, or for all under an empty name.

    RecordError ``data.merge`` for items that cannot be one (another category, about another
    person, one of them twice), and as ``schemas.check`` where the union is too long.
    """
    items = (keep, *others)
    ids = [item.id for item in items]
    if not others or len(set(ids)) < len(ids) or len(others) > MAX_MERGED:
        raise RecordError(
            f"From two to {MAX_MERGED} different items become one.", code="data.merge"
        )
    if {(item.category, item.about) for item in items} != {(keep.category, keep.about)}:
        raise RecordError(
            "These items are of two categories, or about two persons.",
            code="data.merge",
            hint="Only items of one category become one, your own or someone else's.",
        )
    known = words.schema_of(keep.category)["properties"]
    names = known.keys() if isinstance(known, dict) else ()
    beside = {n: o for n in names for e in ("s", "es") if (o := _plural(n, e)) in names}
    merged: JsonObject = {}
    conflicts = []
    for name in names:
        values = [(item.id, item.fields[name]) for item in items if name in item.fields]
        if not values or name in beside.values():
            continue
        if name in beside:
            lists = (item.fields.get(beside[name], []) for item in items)
            every = [*(value for _, value in values)]
            every += [v for found in lists if isinstance(found, list) for v in found]
            first, *rest = _once(every)
            merged[name] = first
            if rest:
                merged[beside[name]] = rest
        elif all(isinstance(value, list) for _, value in values):
            merged[name] = _once([v for _, value in values for v in _list(value)])
        elif len(_once([value for _, value in values])) == 1:
            merged[name] = values[0][1]
        elif name == "note":
            merged[name] = "\n\n".join(map(str, _once([value for _, value in values])))
        else:
            wanted = take.get(name, take.get("", ""))
            taken = next((v for v in values if v[0] == wanted), values[0])
            merged[name] = taken[1]
            conflicts.append(Conflict(name, tuple(values), taken[0]))
    for name, other in beside.items():  # a list without its first
        if name not in merged:
            rest = _once([v for i in items for v in _list(i.fields.get(other))])
            if rest:
                merged[other] = rest
    category, canonical = words.check(keep.category, merged)
    return Merger(keep, tuple(others), category, canonical, tuple(conflicts))


class Merging:
    """Carries mergers out and takes them back, in the caller's transaction."""

    def __init__(self, conn: Connection, *, new_id: Callable[[], str]) -> None:
        self._store = RecordStore(conn)
        self._origins = OriginStore(conn)
        self._files = AttachmentStore(conn)
        self._new_id = new_id

    def merge(self, plan: Merger, *, batch: str, now: str) -> int:
        """Make one of them; the version that it has now. RecordError ``data.conflict`` when one of
        the items is another by now than the plan knew."""
        keep, *others = (self._row(item) for item in (plan.keep, *plan.others))
        version = keep.version + sum(row.version for row in others) + 1
        tags = self._store.tags(keep.ordinal)
        self._write(keep, plan, version, now)
        offset = keep.version
        merged: list[Json] = []
        labels = {name_key(tag): tag for row in (*others, keep) for tag in self._tags(row)}
        for row in others:
            merged.append(self._absorb(row, keep.ordinal, offset, now))
            offset += row.version
        self._store.set_tags(keep.ordinal, sorted(labels.values()))
        before: JsonObject = {"version": keep.version, "tags": [*tags], "merged": merged}
        self._origins.add_change(
            ChangeRow(batch, keep.ordinal, version, canonicalize(before).decode())
        )
        return version

    def _tags(self, row: Row) -> tuple[str, ...]:
        return self._store.tags(row.ordinal)

    def _row(self, item: Record) -> Row:
        row = self._store.get(item.id)
        if row is None or row.deleted or row.version != item.version:
            raise RecordError(
                "One of the items was changed in the meantime.",
                code="data.conflict",
                hint="Look at them again, then repeat.",
            )
        return row

    def _write(self, keep: Row, plan: Merger, version: int, now: str) -> None:
        fields = plan.fields
        row = replace(
            keep,
            schema=plan.category.schema,
            fields=plan.canonical.decode(),
            source="self",
            collected=now,
            version=version,
            changed=now,
            happened=facts.happened(plan.category, fields),
            company=facts.company(plan.category, fields),
        )
        self._store.replace(row, digest=digest_of(row.category, plan.canonical))

    def _absorb(self, row: Row, keep: int, offset: int, now: str) -> Json:
        """Give what one item is to another, and delete it; how to make it anew."""
        self._store.adopt(row.ordinal, keep, offset)
        files = [one.id for one in self._files.of(row.id)]
        moved = self._files.move(files, keep)
        names = [one.key for one in self._origins.of(row.ordinal)]
        self._origins.move(row.ordinal, keep, version=offset, keys=None)
        tags = self._store.tags(row.ordinal)
        self._store.erase(row.ordinal, changed=now)
        return {
            "first": offset + 1,
            "last": offset + row.version,
            "about": row.about,
            "created": row.created,
            "batch": row.batch,
            "tags": [*tags],
            "files": [*moved],
            "names": [key.hex() for key in names],
        }

    def is_merger(self, batch: str) -> bool:
        changes = self._origins.changes(batch)
        return len(changes) == 1 and "merged" in parse_object(changes[0].before)

    def split(self, batch: str, category: Category, *, now: str) -> tuple[Row, list[str]] | None:
        """Take a merger back: the row of the one that was kept, and the new ids of the others. None
        when it was changed since."""
        [change] = self._origins.changes(batch)
        row = self._store.at_ordinal(change.ordinal)
        before: Any = parse_object(change.before)
        if row is None or row.deleted or row.version != change.version:
            return None
        versions = {old.version: old for old in self._store.history(row.ordinal)}
        again = restore(self._store, row, before["version"], category, now=now)
        if again is None:
            return None
        self._origins.unknow(row.ordinal, row.version)
        theirs = {tag for one in before["merged"] for tag in one["tags"]}
        since = {tag for tag in self._store.tags(row.ordinal) if tag not in theirs}
        self._store.set_tags(row.ordinal, sorted({*since, *before["tags"]}))
        ids = [self._remake(one, row, versions, category) for one in before["merged"]]
        self._origins.drop_change(batch, row.ordinal)
        return again, ids

    def _remake(
        self, was: dict[str, Any], keep: Row, versions: Mapping[int, Row], category: Category
    ) -> str:
        ordinal, record_id = self._store.next_ordinal(), self._new_id()
        for number in range(was["first"], was["last"] + 1):
            old = versions[number]
            fields = fields_of(old)
            row = replace(
                old,
                ordinal=ordinal,
                id=record_id,
                about=was["about"],
                batch=was["batch"],
                created=was["created"],
                version=number - was["first"] + 1,
                happened=facts.happened(category, fields),
                company=facts.company(category, fields),
            )
            digest = digest_of(row.category, (row.fields or "").encode())
            if row.version == 1:
                self._store.index.put(self._store.insert([(row, fields, digest)]))
            else:
                self._store.replace(row, digest=digest)
        self._store.set_tags(ordinal, was["tags"])
        self._files.move(was["files"], ordinal)
        keys = [bytes.fromhex(key) for key in was["names"]]
        self._origins.move(keep.ordinal, ordinal, version=1 - was["first"], keys=keys)
        return record_id


def _plural(name: str, ending: str) -> str:
    return f"other{name[:1].upper()}{name[1:]}{ending}"


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _once(values: Sequence[Json]) -> list[Json]:
    """Each value once; a text in other case or with other spaces is the same."""
    found: dict[str, Json] = {}
    for value in values:
        key = canonicalize(value).decode()
        if isinstance(value, str):
            key = " ".join(value.casefold().split())
        found.setdefault(key, value)
    return [*found.values()]
