"""All verbs on records. Writes join the transaction that the caller has open, or make one of their
own. An edit keeps what it replaced; a deletion erases the contents of all versions and leaves a
tombstone that says they existed.

Longer than other rooms, because all verbs on records are one class and each is a few lines.
"""

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import cast

from did.json import Json
from did.time import format_time, parse_time
from pds.db import Connection, DbError, transaction, without_waiting
from pds.vault.schemas import BUILT_IN, NAMES, Catalogue, Category, RecordError, is_own
from pds.vault.store.categories import CategoryStore
from pds.vault.store.origins import ChangeRow, OriginStore
from pds.vault.store.record_index import place_of
from pds.vault.store.records import RecordStore, Row
from pds.vault.store.words import FORM, name_key

from . import facts
from .bulk import ID_LENGTH, Bulk, Sieve, Slices, new_ids
from .changes import take_back
from .model import (
    ALWAYS,
    MAX_TAGS,
    Batch,
    PathValue,
    Record,
    Undone,
    Validity,
    check_about,
    check_provenance,
    digest_of,
    fields_of,
    parse_tag,
    record_of,
)
from .search import Page, Query, cursor

MAX_PAGE = 1000
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}")


def is_id(text: str) -> bool:
    """Whether a text has the form of an id of a record, a batch or an attachment."""
    return _ID.fullmatch(text) is not None


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
        self._origins = OriginStore(conn)
        self._own = CategoryStore(conn)
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
        found, canonical = self._words(category).check(category, dict(fields))
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
            row = _with_facts(row, found)
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
            found, canonical = self._words(before.category).check(
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
                ),
                found,
            )
            self._store.replace(row, digest=digest_of(found.name, canonical))
            return self._record(row)

    def take_over(self, versions: Sequence[Record], *, batch: str | None = None) -> bool:
        """Keep a record as another vault gave it out, with its id and every version's provenance;
        ``batch`` takes the place of its own. False when all of it is here already.

        ``versions`` begin with the first; of a deleted record all are without contents. Each is
        checked like a new one. RecordError as ``add``, ``data.id``, and ``data.conflict`` when
        the vault has this record otherwise, also when it was deleted here.
        """
        for number, version in enumerate(versions, start=1):
            check_provenance(
                source=version.source, about=version.about, assurance=version.assurance
            )
            first = versions[0]
            fits = (
                is_id(version.id)
                and version.version == number
                and (version.id, version.category) == (first.id, first.category)
                and version.deleted == first.deleted
            )
            if not fits or (version.deleted and len(versions) == 1):
                raise RecordError("A record's id or versions are not of this kind.", code="data.id")
        rows = [self._row_of(version, batch) for version in versions]
        with self.writing():
            known = self._store.get(rows[0].id)
            if known is not None:
                here = [_said(row) for row in self._store.history(known.ordinal)]
                if here[: len(rows)] == [_said(row) for row in rows]:
                    return False
                raise RecordError("The vault has this item otherwise.", code="data.conflict")
            for row in rows:
                digest = digest_of(row.category, (row.fields or "").encode())
                if row.version == 1:
                    ordinal = self._store.next_ordinal()
                    first_row = replace(row, ordinal=ordinal)
                    entries = self._store.insert([(first_row, fields_of(row), digest)])
                    self._store.index.put(entries)
                elif not (row.deleted and row is rows[-1]):
                    self._store.replace(replace(row, ordinal=ordinal), digest=digest)
            if rows[-1].deleted:
                self._store.erase(ordinal, changed=rows[-1].changed)
            elif versions[-1].tags:
                self.tag(rows[0].id, versions[-1].tags)
        return True

    def _row_of(self, version: Record, batch: str | None) -> Row:
        if version.deleted:  # nothing to check; it is erased again as soon as it is there
            found, canonical = self._known(version.category), b"{}"
        else:
            found, canonical = self._words(version.category).check(version.category, version.fields)
        return _with_facts(
            Row(
                ordinal=0,
                id=version.id,
                category=version.category,
                schema=found.schema,
                about=version.about,
                fields=canonical.decode(),
                source=version.source,
                collected=format_time(version.collected),
                assurance=version.assurance,
                batch=batch,
                version=version.version,
                created=format_time(version.created),
                changed=format_time(version.changed),
                deleted=version.deleted,
                happened=None,
                company=None,
                valid_from=_text(version.validity.start),
                valid_until=_text(version.validity.end),
            ),
            found,
        )

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
        versions = self._store.history(row.ordinal)
        if not row.deleted:
            known = self._known(row.category)
            versions = [_with_facts(version, known) for version in versions]
        return [record_of(version, tags) for version in versions]

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

    # --- whom it is about ---------------------------------------------------------------------

    def set_about(self, record_ids: Sequence[str], about: str) -> tuple[str, ...]:
        """Say whom records are about; no version is made. Those that it was not so for before.

        All of them or none: RecordError ``data.not_found``, ``data.deleted``, ``data.provenance``.
        """
        check_about(about)
        with self.writing():
            rows = {row.ordinal: row for row in map(self._live, record_ids)}
            wrong = [row for row in rows.values() if row.about != about]
            self._store.set_about((row.ordinal for row in wrong), about)
        return tuple(row.id for row in wrong)

    def set_about_batch(self, batch: str, about: str, *, limit: int) -> int:
        """The same for so many of a batch for which it is not so yet; how many these were."""
        check_about(about)
        with self.writing():
            wrong = self._store.batch_not_about(batch, about, limit=limit)
            self._store.set_about(wrong, about)
        return len(wrong)

    def known_not_about(
        self, said: Iterable[tuple[str, bytes]], about: str
    ) -> dict[int, str | None]:
        """Live records that say one of these (a category, and canonical JSON), or said it once, and
        are about somebody else: by their numbers the batches with which they came."""
        return self._store.known_not_about((digest_of(*one) for one in said), about)

    def tags(self) -> list[tuple[str, int]]:
        """Every tag in use with the number of records that have it, by the alphabet."""
        return self._store.all_tags()

    # --- many records -------------------------------------------------------------------------

    def find(self, query: Query, *, limit: int = 50, after: str | None = None) -> Page:
        """A page of live records that answer the query, the newest first: by the time they
        happened, or else were first kept.

        ``after`` is ``Page.next`` of the page before, or the id of its last record.
        RecordError ``data.cursor``, ``data.not_found`` (no record ever had this id),
        ``data.unknown_category``.
        """
        if query.category is not None:
            self._known(query.category)
        limit = _limit(limit)
        first, last = query.places(self._cursor(after))
        places = self._store.index.find(
            query.text, labels=query.labels(), first=first, last=last, limit=limit + 1
        )
        shown = places[:limit]
        rows = self._store.at(shown)
        tags = self._store.tags_of([row.ordinal for row in rows])
        return Page(
            records=tuple(record_of(row, tags.get(row.ordinal, ())) for row in rows),
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
        found, field = self._words(path).parse_path(path)
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
        return self._store.has_about_self(self._known(category).name)

    def counts(self) -> dict[str, int]:
        """Live records by category, zero for none; of one's own only those with records."""
        return dict.fromkeys(NAMES, 0) | self._store.counts()

    # --- bulk ---------------------------------------------------------------------------------

    def sieve(self) -> Sieve:
        """Tells new drafts from those that are there; for a preview."""
        return Sieve(self._store, self._origins)

    def bulk(
        self,
        *,
        source: str,
        about: str = "self",
        assurance: str = "self-declared",
        collected: datetime | None = None,
        batch: str | None = None,
        slices: Slices | None = None,
    ) -> Bulk:
        """A writer for many records, inside the caller's transaction, or in those that ``slices``
        makes (see ``bulk``).

        RecordError ``data.provenance``.
        """
        return Bulk(
            self._store,
            self._origins,
            clock=self._clock,
            random=self._random,
            source=source,
            about=about,
            assurance=assurance,
            collected=collected,
            batch=batch,
            slices=slices,
        )

    def index_again(self) -> None:
        """Fill the search index and the counts anew from the live records."""
        with self.writing():
            self._store.rebuild_index()
            self._store.recount()
        self.tidy()

    def read_again(self, category: Category) -> None:
        """Note anew when what is in a category happened, and with whom: its description is another
        by now. No version is made."""
        with self.writing():
            last = 0
            while rows := self._store.live(category.name, after=last, limit=MAX_PAGE):
                for row in rows:
                    now = _with_facts(row, category)
                    if now != row:
                        self._store.set_facts(now)
                last = rows[-1].ordinal

    def fits_index(self) -> bool:
        """Whether the search knows each live record by its words, and nothing else."""
        return self._store.fits_index()

    def prepare_index(self) -> None:
        """Make the index anew if it was made by other rules for words than those of this release.

        Called once after opening; a million records take about a minute.
        """
        if self._store.index.form() == FORM:
            return
        with self.writing():
            if self._store.index.form() != FORM:
                self._store.rebuild_index()
        self.tidy()

    def tidy(self, *, steps: int = 10_000) -> None:
        """Merge the pieces of the search index, so that finding stays as quick as it was.

        Each step is a transaction of some ten milliseconds, between which others may write. What
        hinders a step ends it (another program that writes, a full disk): the rest is done another
        time. Within a transaction it does nothing.
        """
        if self._conn.in_transaction:
            return
        with suppress(DbError), without_waiting(self._conn):
            for _ in range(steps):
                with transaction(self._conn):
                    if not self._store.index.merge():
                        return

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

    def undo_batch(self, batch: str, *, edited: bool = False, kept: Collection[int] = ()) -> Undone:
        """Delete the records of a batch; those with more than one version are kept unless
        ``edited``, and in any case those with a number in ``kept`` and those that another batch
        changed since. What the batch changed becomes what it was before, as a new version; it is
        kept if it was changed since.

        RecordError ``data.not_found`` when no live record has this batch.
        """
        with self.writing():
            live = self._store.live_in_batch(batch)
            changes = self._origins.changes(batch)
            if not live and not changes:
                raise RecordError(
                    "There is no such batch, or it was undone.", code="data.not_found"
                )
            now = format_time(self._clock())
            others = self._origins.changed_by_others(batch)
            gone = [
                ordinal
                for ordinal, version in live
                if ordinal not in kept and ordinal not in others and (edited or version == 1)
            ]
            for ordinal in gone:
                self._store.erase(ordinal, changed=now)
            restored = sum(self._take_back(change, now) for change in changes)
        left = len(live) - len(gone) + len(changes) - restored
        return Undone(removed=len(gone), kept=left, restored=restored)

    def _take_back(self, change: ChangeRow, now: str) -> bool:
        row = self._store.at_ordinal(change.ordinal)
        if row is None or row.deleted:
            return False
        category = self._known(row.category)
        return take_back(change, self._store, self._origins, category, now=now)

    # --- words --------------------------------------------------------------------------------

    def catalogue(self) -> Catalogue:
        """All categories as they are now, the holder's own too."""
        return Catalogue(self._own.all())

    def categories(self) -> tuple[Category, ...]:
        """All categories with their fields, in words for people."""
        return self.catalogue().categories()

    def describe(self, path: str, *, language: str = "en") -> str:
        """A path in words: English, or Hungarian for ``hu``."""
        return self._words(path).describe(path, language=language)

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

    def _words(self, path: str) -> Catalogue:
        """What knows this path; the table is read for one's own only, and each time anew."""
        return self.catalogue() if is_own(path) else BUILT_IN

    def _known(self, name: str) -> Category:
        return self._words(name).category(name)

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


def _said(row: Row) -> tuple[object, ...]:
    """What a version says, for comparing it with one from elsewhere."""
    fields = None if row.deleted else row.fields
    provenance = (row.about, row.source, row.collected, row.assurance, row.changed)
    return (row.version, fields, *provenance, row.valid_from, row.valid_until)


def _limit(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))


def _with_facts(row: Row, category: Category) -> Row:
    """The row with what its contents say in columns of their own."""
    fields = fields_of(row)
    return replace(
        row,
        happened=facts.happened(category, fields),
        company=facts.company(category, fields),
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
