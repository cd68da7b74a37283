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
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Self, TypeAlias

from did.json import JsonObject, parse_object
from did.time import format_time
from pds.vault.schemas import Category
from pds.vault.store.record_index import Entry
from pds.vault.store.records import RecordStore, Row, SeenTable

from . import facts
from .model import check_provenance, digest_of

# As many as are written in some 50 ms: so long does another program wait for its turn.
AT_ONCE = 1_000
# And so many bytes, where records are long.
SIZE_AT_ONCE = 2**19
# So many characters are sorted before they are indexed: the fewer pieces the index gets, the less
# it has to merge.
TEXT_AT_ONCE = 2**22
# Of these two equal ones are two: the same bread on the same day, twice.
REPEATING = frozenset({"media", "payments", "purchases", "readings", "telecom"})

ID_LENGTH = 22
# But not where the bank has given it a number of its own.
_NUMBERED = b'"transactionId":'

_ID_BYTES = 16
_SAME = 3

Draft = tuple[Category, bytes, str | None]
"""The category of a record to be, and its canonical JSON, both as ``schemas.check`` gave them; and
whom it is about, where that is not what the whole import is about."""


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

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._seen: SeenTable | None = None

    def sift(self, drafts: Sequence[Draft]) -> list[bytes | None]:
        """For each draft its digest if it is new, None if it is there already."""
        if self._seen is None:
            self._seen = self._store.seen_table()
        digests = [digest_of(category.name, canonical) for category, canonical, _ in drafts]
        there = self._store.count_digests(digests)
        seen = self._seen.times(map(_key, digests))
        result: list[bytes | None] = []
        for (category, canonical, _), digest in zip(drafts, digests, strict=True):
            key = _key(digest)
            seen[key] += 1
            had = there.get(digest, 0)
            repeats = category.name in REPEATING and _NUMBERED not in canonical
            # The n-th of equal ones is new where fewer than n are there: those of this import
            # count by their turn, so that it matters to nobody who wrote them.
            is_new = seen[key] > had if repeats else had == 0 and seen[key] == 1
            result.append(digest if is_new else None)
        self._seen.remember(seen)
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._seen is not None:
            self._seen.drop()


def _key(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big") >> 1


class Bulk:
    """A writer of many records with one provenance; a context manager.

    ``added`` and ``duplicates`` are right after each slice. An error leaves it to the open
    transaction to take back what was written in it.
    """

    def __init__(
        self,
        store: RecordStore,
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
        self.duplicates = 0
        self._store = store
        self._sieve = Sieve(store)
        self._slices = slices
        self._random = random
        self._waiting: list[Draft] = []
        self._fields: list[JsonObject] = []
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
    ) -> None:
        """Take a record that ``schemas.check`` has passed; it is written now or later. ``fields``
        are what ``canonical`` says, if they are at hand."""
        if len(self._waiting) >= AT_ONCE or self._size >= SIZE_AT_ONCE:
            self._slice(last=False)
        self._waiting.append((category, canonical, about))
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
        self._size = 0
        new = [
            (draft, fields, digest)
            for draft, fields, digest in zip(
                drafts, contents, self._sieve.sift(drafts), strict=True
            )
            if digest is not None
        ]
        self.duplicates += len(drafts) - len(new)
        if not new:
            return
        self.added += len(new)
        first = self._store.next_ordinal()
        rows = []
        for ordinal, record_id, ((category, canonical, about), fields, digest) in zip(
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
        entries = self._store.insert(rows)
        self._entries += entries
        self._text_size += sum(len(text) for _, text in entries)

    def _index(self) -> None:
        self._entries.sort()
        self._store.index.put(self._entries)
        self._entries, self._text_size = [], 0


Slices: TypeAlias = Callable[[Bulk, bool], AbstractContextManager[None]]
"""A transaction around some of the records, given the writer and whether they are the last."""
