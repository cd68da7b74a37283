"""All verbs on records. Writes join the transaction that the caller has open, or make one of their
own. An edit keeps what it replaced; a deletion erases the contents of all versions and leaves a
tombstone that says they existed.

Longer than other rooms, because all verbs on records are one class and each is a few lines.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import cast

from did.json import Json, canonicalize
from did.time import format_time, parse_time
from pds.db import Connection, transaction
from pds.vault.schemas import (
    Category,
    RecordError,
    categories,
    category,
    check,
    describe,
    parse_path,
)
from pds.vault.store.record_index import place_of
from pds.vault.store.records import RecordStore, Row
from pds.vault.store.words import FORM, name_key

from . import facts
from .bulk import ID_LENGTH, Bulk, Sieve, new_ids
from .model import (
    ALWAYS,
    MAX_TAGS,
    Batch,
    PathValue,
    Record,
    Undone,
    Validity,
    check_provenance,
    digest_of,
    fields_of,
    parse_tag,
    record_of,
)
from .search import Page, Query, cursor

MAX_PAGE = 1000


class Records:
    """The records of one vault. ``random`` gives that many random bytes; ``clock`` aware times."""

    def __init__(
        self,
        conn: Connection,
        *,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._conn = conn
        self._store = RecordStore(conn)
        self._clock = clock
        self._random = random

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction around several writes; inside an open one, a part of that one."""
        if self._conn.in_transaction:
            yield
            return
        with transaction(self._conn):
            yield

    # --- one record ---------------------------------------------------------------------------

    def add(
        self,
        category: str,  # the word of the domain
        fields: Mapping[str, Json],
        *,
        source: str,
        about: str = "self",
        assurance: str = "self-declared",
        collected: datetime | None = None,
        batch: str | None = None,
        validity: Validity = ALWAYS,
        tags: Iterable[str] = (),
    ) -> Record:
        """Keep a new record.

        RecordError as ``schemas.check``, and ``data.provenance``, ``data.tag``.
        """
        found, canonical = check(category, dict(fields))
        check_provenance(source=source, about=about, assurance=assurance)
        labels = _tags(tags)
        now = format_time(self._clock())
        with self.writing():
            row = Row(
                ordinal=self._store.next_ordinal(),
                id=self.new_id(),
                category=found.name,
                schema=found.schema,
                about=about,
                fields=canonical.decode(),
                source=source,
                collected=now if collected is None else format_time(collected),
                assurance=assurance,
                batch=batch,
                version=1,
                created=now,
                changed=now,
                deleted=False,
                happened=None,
                company=None,
                valid_from=_text(validity.start),
                valid_until=_text(validity.end),
            )
            row = _with_facts(row)
            entries = self._store.insert([(row, fields_of(row), digest_of(found.name, canonical))])
            self._store.index.put(entries)
            if labels:
                self._store.set_tags(row.ordinal, labels)
        return record_of(row, labels)

    def get(self, record_id: str) -> Record:
        """The current version; RecordError ``data.not_found`` or ``data.deleted``."""
        return self._record(self._live(record_id))

    def edit(
        self,
        record_id: str,
        changes: Mapping[str, Json],
        *,
        source: str = "self",
        assurance: str = "self-declared",
        collected: datetime | None = None,
        expected_version: int | None = None,
        validity: Validity | None = None,
    ) -> Record:
        """Change fields and keep the version before.

        ``changes`` is a JSON Merge Patch (RFC 7396): groups of fields are merged, null deletes.
        ``validity`` takes the place of the one before; None leaves it. The new version has the
        provenance of the edit. An edit that changes nothing makes no version.
        ``expected_version`` is the one the editor saw: ``data.conflict`` if it is over.
        """
        check_provenance(source=source, about="self", assurance=assurance)
        with self.writing():
            before = self._live(record_id)
            if expected_version is not None and before.version != expected_version:
                raise RecordError(
                    "The record was changed in the meantime.",
                    code="data.conflict",
                    hint="Look at it again, then repeat the change.",
                )
            found, canonical = check(
                before.category, _merge(fields_of(before), cast(Json, dict(changes)))
            )
            same = replace(
                before,
                fields=canonical.decode(),
                valid_from=before.valid_from if validity is None else _text(validity.start),
                valid_until=before.valid_until if validity is None else _text(validity.end),
            )
            if same == before:
                return self._record(before)
            now = format_time(self._clock())
            row = _with_facts(
                replace(
                    same,
                    schema=found.schema,
                    source=source,
                    collected=now if collected is None else format_time(collected),
                    assurance=assurance,
                    version=before.version + 1,
                    changed=now,
                )
            )
            self._store.replace(row, digest=digest_of(found.name, canonical))
            return self._record(row)

    def delete(self, record_id: str) -> None:
        """Erase the contents of every version (GDPR article 17); that they existed stays known."""
        with self.writing():
            self._store.erase(self._live(record_id).ordinal, changed=format_time(self._clock()))

    def history(self, record_id: str) -> list[Record]:
        """Every version, the first one first; of a deleted record without contents."""
        row = self._store.get(record_id)
        if row is None:
            raise _not_found()
        tags = self._store.tags(row.ordinal)
        return [
            record_of(_with_facts(version), tags) for version in self._store.history(row.ordinal)
        ]

    # --- tags ---------------------------------------------------------------------------------

    def tag(self, record_id: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Record:
        """Give a record tags of the holder's own, or take them away; no new version is made.

        What is there already, or not, is left so. RecordError ``data.tag``.
        """
        more, less = _tags(add), {name_key(tag) for tag in _tags(remove)}
        with self.writing():
            row = self._live(record_id)
            there = self._store.tags(row.ordinal)
            wanted = {name_key(tag): tag for tag in (*more, *there)}
            kept = _tags(tag for key, tag in wanted.items() if key not in less)
            if kept != there:
                self._store.set_tags(row.ordinal, kept)
        return record_of(row, kept)

    def tags(self) -> list[tuple[str, int]]:
        """Every tag in use with the number of records that have it, by the alphabet."""
        return self._store.all_tags()

    # --- many records -------------------------------------------------------------------------

    def find(self, query: Query, *, limit: int = 50, after: str | None = None) -> Page:
        """A page of live records that answer the query, the newest first: by the time they
        happened, or else were first kept.

        ``after`` is ``Page.next`` of the page before, or the id of its last record.
        RecordError ``data.cursor``, ``data.not_found`` (no record ever had this id).
        """
        limit = _limit(limit)
        first, last = query.places(self._cursor(after))
        places = self._store.index.find(
            query.text, labels=query.labels(), first=first, last=last, limit=limit + 1
        )
        shown = places[:limit]
        return Page(
            records=tuple(map(self._record, self._store.at(shown))),
            next=cursor(shown[-1]) if len(places) > limit else None,
        )

    def search(
        self,
        text: str,
        *,
        limit: int = 50,
        category: str | None = None,
        after: str | None = None,
    ) -> list[Record]:
        """Live records in which each word of ``text`` begins some word, the newest first.

        Case and accents do not matter (``ory`` finds ``Őry``); nothing in ``text`` is search
        syntax; without a word there is no result. Pages as in ``list``.
        """
        page = self.find(Query(text=text, category=category), limit=limit, after=after)
        return [*page.records]

    def values(self, path: str) -> list[PathValue]:
        """What a path names in live records about the holder, the oldest record first.

        A category gives the whole of each record, a field its value where the record has one. A
        record whose validity is over, or has not begun, is left out.
        RecordError ``data.unknown_category`` or ``data.unknown_path``.
        """
        found, field = parse_path(path)
        name = "" if field is None else field.path.removeprefix(f"{found.name}.")
        today = self._clock().astimezone(UTC).date()
        values = []
        for row in self._store.about_self(found.name, on=today.isoformat()):
            record = record_of(row)
            if field is None or name in record.fields:
                values.append(
                    PathValue(
                        path=path,
                        schema=record.schema,
                        value=record.fields if field is None else record.fields[name],
                        collected=record.collected,
                        source=record.source,
                        assurance=record.assurance,
                        about=record.about,
                        record_id=record.id,
                    )
                )
        return values

    def ids(self, beginning: str, *, limit: int = 10) -> tuple[str, ...]:
        """The ids of live records that begin so, by the alphabet."""
        return self._store.ids(beginning, limit=limit)

    def has_self(self, category: str) -> bool:
        """Whether there is a live record of this category about the holder."""
        return self._store.has_about_self(_known(category).name)

    def counts(self) -> dict[str, int]:
        """Live records by category, zero for none."""
        return {c.name: 0 for c in categories()} | self._store.counts()

    def count_same(self, category: str, fields: Mapping[str, Json]) -> int:
        """How many live records have exactly this content, whoever they are about."""
        digest = digest_of(_known(category).name, canonicalize(dict(fields)))
        return self._store.count_digests([digest]).get(digest, 0)

    # --- bulk ---------------------------------------------------------------------------------

    def sieve(self) -> Sieve:
        """Tells new drafts from those that are there; for a preview. Reads only."""
        return Sieve(self._store)

    def bulk(
        self,
        *,
        source: str,
        about: str = "self",
        assurance: str = "self-declared",
        collected: datetime | None = None,
        batch: str | None = None,
        sieve: Sieve | None = None,
    ) -> Bulk:
        """A writer for many records, inside the caller's transaction (see ``bulk``).

        RecordError ``data.provenance``.
        """
        return Bulk(
            self._store,
            sieve or self.sieve(),
            clock=self._clock,
            random=self._random,
            source=source,
            about=about,
            assurance=assurance,
            collected=collected,
            batch=batch,
        )

    def prepare_index(self) -> None:
        """Make the index anew if it was made by other rules for words than those of this release.

        Called once after opening; a million records take about a minute.
        """
        if self._store.index.form() == FORM:
            return
        with self.writing():
            if self._store.index.form() != FORM:
                self._store.rebuild_index()

    # --- batches ------------------------------------------------------------------------------

    def new_id(self) -> str:
        """An id for a record or a batch: 128 random bits, 22 characters, the first never ``-``."""
        return new_ids(self._random, 1)[0]

    def batches(self) -> list[Batch]:
        """The batches, the newest first."""
        return [
            Batch(id=b[0], source=b[1], created=parse_time(b[2]), records=b[3], live=b[4])
            for b in self._store.batches()
        ]

    def undo_batch(self, batch: str, *, edited: bool = False) -> Undone:
        """Delete the records of a batch; those edited since are kept unless ``edited``.

        RecordError ``data.not_found`` when no live record has this batch.
        """
        with self.writing():
            live = self._store.live_in_batch(batch)
            if not live:
                raise RecordError(
                    "There is no such batch, or it was undone.", code="data.not_found"
                )
            now = format_time(self._clock())
            gone = [ordinal for ordinal, version in live if edited or version == 1]
            for ordinal in gone:
                self._store.erase(ordinal, changed=now)
        return Undone(removed=len(gone), kept=len(live) - len(gone))

    # --- words --------------------------------------------------------------------------------

    @staticmethod
    def categories() -> tuple[Category, ...]:
        """All categories with their fields, in words for people."""
        return categories()

    @staticmethod
    def describe(path: str, *, language: str = "en") -> str:
        """A path in words: English, or Hungarian for ``hu``."""
        return describe(path, language=language)

    # Stands last: below it, the name list means this method.
    def list(
        self, category: str | None = None, *, limit: int = 50, after: str | None = None
    ) -> list[Record]:
        """A page of live records, the newest first.

        ``after`` is the id of the last record of the page before, which may have been deleted
        since. A page shorter than ``limit`` (at most 1,000) is the last one.
        RecordError ``data.unknown_category``, ``data.not_found`` (no record ever had this id).
        """
        page = self.find(Query(category=category), limit=limit, after=after)
        return [*page.records]

    # ------------------------------------------------------------------------------------------

    def _live(self, record_id: str) -> Row:
        row = self._store.get(record_id)
        if row is None:
            raise _not_found()
        if row.deleted:
            raise RecordError("The record was deleted.", code="data.deleted")
        return row

    def _record(self, row: Row) -> Record:
        return record_of(row, self._store.tags(row.ordinal))

    def _cursor(self, after: str | None) -> str | None:
        if after is None or len(after) != ID_LENGTH:
            return after
        row = self._store.get(after)
        if row is None:
            raise _not_found()
        return cursor(place_of(row.happened or row.created, row.ordinal))


def _known(name: str) -> Category:
    return category(name)


def _limit(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))


def _with_facts(row: Row) -> Row:
    """The row with what its contents say in columns of their own."""
    fields = fields_of(row)
    return replace(
        row,
        happened=facts.happened(row.category, fields),
        company=facts.company(row.category, fields),
    )


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags as they are kept: each once however it is written, by the alphabet."""
    found: dict[str, str] = {}
    for tag in map(parse_tag, tags):
        found.setdefault(name_key(tag), tag)
    if len(found) > MAX_TAGS:
        raise RecordError(f"A record has at most {MAX_TAGS} tags.", code="data.tag")
    return tuple(sorted(found.values()))


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _merge(target: Json, patch: Json) -> Json:
    """RFC 7396 §2; a group of fields that the patch empties goes with its last field."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, change in patch.items():
        value = None if change is None else _merge(merged.get(key), change)
        if value is None or (value == {} and isinstance(change, dict)):
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _not_found() -> RecordError:
    return RecordError("There is no such record.", code="data.not_found")
