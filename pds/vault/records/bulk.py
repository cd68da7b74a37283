"""Many records at once: an import.

    with records.bulk(source="import/csv", batch=batch) as bulk:
        for category, canonical in drafts:
            bulk.add(category, canonical)
    bulk.added, bulk.duplicates

Rows are written a thousand at a time, so that memory stays small however many come. Where the
caller has a transaction open, all of them are there, or nothing. Else each thousand is a
transaction of its own, so that other programs write in between: whoever wants to know of an import
that was cut off brings ``slices``.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Self, TypeAlias

from did.json import JsonObject, parse_object
from did.time import format_time
from pds.vault.schemas import Category
from pds.vault.store.origins import ChangeRow, OriginRow, OriginStore
from pds.vault.store.record_index import Entry
from pds.vault.store.records import RecordStore, Row, SeenTable

from . import facts
from .model import check_provenance, digest_of
from .origins import Change, Named, Older, Origin, Origins

# As many as are written in some 50 ms: so long does another program wait for its turn.
AT_ONCE = 1_000
# And so many bytes, where records are long.
SIZE_AT_ONCE = 2**19
# So many characters are sorted before they are indexed: the fewer pieces the index gets, the less
# it has to merge.
TEXT_AT_ONCE = 2**22
# So many bytes of pictures wait at most for the items that they belong to.
WEIGHT_AT_ONCE = 2**23
# Of these two equal ones are two: the same bread on the same day, twice.
REPEATING = frozenset({"media", "payments", "purchases", "readings", "telecom"})

ID_LENGTH = 22
# But not where the bank has given it a number of its own.
_NUMBERED = b'"transactionId":'

_ID_BYTES = 16
_SAME = 3

Draft = tuple[Category, bytes, str | None, Origin | None]
"""The category of a record to be, and its canonical JSON, both as ``schemas.check`` gave them; and
whom it is about, where that is not what the whole import is about; and its name where it came
from."""

Verdict = bytes | Change | Older | None
"""The digest of what is new; what becomes of what is known; None for what is there."""


def new_ids(random: Callable[[int], bytes], count: int) -> list[str]:
    """Ids of 128 random bits each, 22 characters, the first never ``-``.

    The first 18 bits are the same for all of one call: what is written together then lies together
    in the index of ids, and is not a page to be encrypted for each.
    """
    octets = random(_ID_BYTES * count)
    same = urlsafe_b64encode(octets[:_SAME])[:_SAME].decode()
    if same[0] == "-":  # which would look like an option on the command line
        same = "A" + same[1:]
    return [
        same + urlsafe_b64encode(octets[start : start + _ID_BYTES])[_SAME:ID_LENGTH].decode()
        for start in range(0, len(octets), _ID_BYTES)
    ]


class Sieve:
    """Tells what is new from what is there already, by content alone; a context manager.

    The same card twice is one card. The same purchase twice in a file is two purchases: of n equal
    ones, as many are new as the vault had fewer than n. What it has seen it remembers by 63 bits of
    the digest in a temporary table in memory, some 15 bytes for each. It writes nothing that stays,
    so that it serves a preview as well; where what is new is written, it must be so before the next
    ones are looked at. What others write meanwhile counts like what was there before.
    """

    def __init__(self, store: RecordStore, origins: OriginStore) -> None:
        self._store = store
        self._origins = origins
        self._seen: SeenTable | None = None

    def sift(self, drafts: Sequence[Draft]) -> list[Verdict]:
        """For each draft its digest if it is new, None if it is there already: some item says the
        same, or said it once. One that is known by its name may change the item that it was; a
        name that comes again in the same import is no name."""
        if self._seen is None:
            self._seen = self._store.seen_table()
        digests = [digest_of(category.name, canonical) for category, canonical, *_ in drafts]
        there = self._store.count_digests(digests)
        once = self._origins.count_earlier(digests)
        names = self._names(drafts, digests, there, once)
        seen = self._seen.times(map(_key, digests))
        result: list[Verdict] = []
        for n, ((category, canonical, *_), digest) in enumerate(zip(drafts, digests, strict=True)):
            key = _key(digest)
            seen[key] += 1
            had = there.get(digest, 0) + once.get(digest, 0)
            repeats = category.name in REPEATING and _NUMBERED not in canonical
            # The n-th of equal ones is new where fewer than n are there: those of this import
            # count by their turn, so that it matters to nobody who wrote them.
            is_new = seen[key] > had if repeats else had == 0 and seen[key] == 1
            if n in names and seen[key] == 1:
                result.append(names[n])
            else:
                result.append(digest if is_new else None)
        self._seen.remember(seen)
        return result

    def _names(
        self,
        drafts: Sequence[Draft],
        digests: Sequence[bytes],
        there: Mapping[bytes, int],
        once: Mapping[bytes, int],
    ) -> dict[int, Change | Older | None]:
        """What becomes of the drafts that the vault knows by their names and that no item says."""
        named: list[tuple[int, Named, int]] = []
        for n, ((category, canonical, _, origin), digest) in enumerate(
            zip(drafts, digests, strict=True)
        ):
            if origin is not None:
                key = _key(origin.key(category.name)) ^ 1  # not those of contents
                if digest not in there:
                    said = (category, canonical, origin, digest in once)
                    named.append((n, said, key))
        if not named or self._seen is None:
            return {}
        seen = self._seen.times(key for _, _, key in named)
        first: list[tuple[int, Named, int]] = []
        for one in named:
            seen[one[2]] += 1
            if seen[one[2]] == 1:
                first.append(one)
        self._seen.remember(seen)
        judged = Origins(self._store, self._origins).judge([said for _, said, _ in first])
        return {
            n: outcome
            for (n, _, _), (is_known, outcome) in zip(first, judged, strict=True)
            if is_known
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._seen is not None:
            self._seen.drop()


def _key(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big") >> 1


class Bulk:
    """A writer of many records with one provenance; a context manager.

    ``added``, ``changed`` and ``duplicates`` are right after each slice. An error leaves it to the
    open transaction to take back what was written in it.
    """

    def __init__(
        self,
        store: RecordStore,
        origins: OriginStore,
        *,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
        source: str,
        about: str,
        assurance: str,
        collected: datetime | None,
        batch: str | None,
        slices: "Slices | None" = None,
    ) -> None:
        check_provenance(source=source, about=about, assurance=assurance)
        self.added = 0
        self.changed = 0
        self.duplicates = 0
        self._store = store
        self._origins = origins
        self._sieve = Sieve(store, origins)
        self._slices = slices
        self._random = random
        self._waiting: list[Draft] = []
        self._fields: list[JsonObject] = []
        self._then: dict[int, Callable[[str], None]] = {}
        self._weight = 0
        self._entries: list[Entry] = []
        self._text_size = self._size = 0
        self._source, self._about, self._assurance = source, about, assurance
        self._batch = batch
        self._now = format_time(clock())
        self._collected = self._now if collected is None else format_time(collected)

    def add(
        self,
        category: Category,
        canonical: bytes,
        *,
        fields: JsonObject | None = None,
        about: str | None = None,
        origin: Origin | None = None,
        then: Callable[[str], None] | None = None,
        weight: int = 0,
    ) -> None:
        """Take a record that ``schemas.check`` has passed; it is written now or later. ``fields``
        are what ``canonical`` says, if they are at hand. ``then`` is called with the id of the item
        once it is there, new or in a new version; ``weight`` is how many bytes it holds until
        then."""
        full = len(self._waiting) >= AT_ONCE or self._size >= SIZE_AT_ONCE
        if full or self._weight >= WEIGHT_AT_ONCE:
            self._slice(last=False)
        if then is not None:
            self._then[len(self._waiting)] = then
            self._weight += weight
        self._waiting.append((category, canonical, about, origin))
        self._fields.append(parse_object(canonical) if fields is None else fields)
        self._size += len(canonical)

    def add_many(self, drafts: Iterable[tuple[Category, bytes]]) -> None:
        """``add`` for each."""
        for category, canonical in drafts:
            self.add(category, canonical)

    def __enter__(self) -> Self:
        self._store.begin_bulk()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._slice(last=True)
        finally:
            with self._sieve:
                self._store.end_bulk()

    def _slice(self, *, last: bool) -> None:
        if self._slices is None:
            self._write()
            if last or self._text_size >= TEXT_AT_ONCE:
                self._index()
            return
        with self._slices(self, last):
            self._write()
            self._index()

    def _write(self) -> None:
        drafts, self._waiting = self._waiting, []
        contents, self._fields = self._fields, []
        then, self._then, self._weight = self._then, {}, 0
        self._size = 0
        verdicts = self._sieve.sift(drafts)
        new = [
            (draft, fields, found)
            for draft, fields, found in zip(drafts, contents, verdicts, strict=True)
            if isinstance(found, bytes)
        ]
        changes = [found for found in verdicts if isinstance(found, Change) and found.differs]
        for change in changes:
            self._change(change)
        self._learn(drafts, verdicts)
        ids = {n: v.row.id for n, v in enumerate(verdicts) if isinstance(v, Change) and v.differs}
        self.duplicates += len(drafts) - len(new) - len(changes)
        if new:
            places = (n for n, found in enumerate(verdicts) if isinstance(found, bytes))
            ids |= zip(places, self._insert(new), strict=True)
        for n, call in then.items():
            if n in ids:
                call(ids[n])

    def _insert(self, new: Sequence[tuple[Draft, JsonObject, bytes]]) -> list[str]:
        """Write what is new; the ids that it got."""
        self.added += len(new)
        first = self._store.next_ordinal()
        rows = []
        names = []
        for ordinal, record_id, ((category, canonical, about, origin), fields, digest) in zip(
            range(first, first + len(new)), new_ids(self._random, len(new)), new, strict=True
        ):
            row = Row(
                ordinal=ordinal,
                id=record_id,
                category=category.name,
                schema=category.schema,
                about=about or self._about,
                fields=canonical.decode(),
                source=self._source,
                collected=self._collected,
                assurance=self._assurance,
                batch=self._batch,
                version=1,
                created=self._now,
                changed=self._now,
                deleted=False,
                happened=facts.happened(category, fields),
                company=facts.company(category, fields),
                valid_from=None,
                valid_until=None,
            )
            rows.append((row, fields, digest))
            if origin is not None:
                names.append(_named(category, origin, ordinal, 1))
        entries = self._store.insert(rows)
        # A name that is another item's already stays its own.
        self._origins.put(names, anew=False)
        self._entries += entries
        self._text_size += sum(len(text) for _, text in entries)
        return [row.id for row, _, _ in rows]

    def _change(self, change: Change) -> None:
        """Make the next version of an item, and note how to take it back."""
        before, kind = change.row, change.category
        fields = parse_object(change.canonical)
        row = replace(
            before,
            schema=kind.schema,
            fields=change.canonical.decode(),
            source=self._source,
            collected=self._collected,
            assurance=self._assurance,
            version=before.version + 1,
            changed=self._now,
            happened=facts.happened(kind, fields),
            company=facts.company(kind, fields),
        )
        self._store.replace(row, digest=digest_of(row.category, change.canonical))
        self._origins.put([change.origin])
        if self._batch is not None:
            self._origins.add_change(
                ChangeRow(self._batch, row.ordinal, row.version, change.before())
            )
        self.changed += 1

    def _learn(self, drafts: Sequence[Draft], verdicts: Sequence[Verdict]) -> None:
        """What is there already under no name gets the one that it came with."""
        named = {
            digest_of(category.name, canonical): (category, origin)
            for (category, canonical, _, origin), found in zip(drafts, verdicts, strict=True)
            if found is None and origin is not None
        }
        if not named:
            return
        there = self._origins.same(named)
        self._origins.put(
            (_named(*named[digest], *place) for digest, place in there.items()), anew=False
        )

    def _index(self) -> None:
        self._entries.sort()
        self._store.index.put(self._entries)
        self._entries, self._text_size = [], 0


def _named(category: Category, origin: Origin, ordinal: int, version: int) -> OriginRow:
    return OriginRow(origin.key(category.name), ordinal, origin.name, version, origin.stamp, None)


Slices: TypeAlias = Callable[[Bulk, bool], AbstractContextManager[None]]
"""A transaction around some of the records, given the writer and whether they are the last."""
