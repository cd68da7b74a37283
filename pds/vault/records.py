"""Records: what the holder keeps, with where it came from and every version of it.

A record belongs to a category and is valid under its schema. An edit keeps what it replaced; a
deletion erases the contents of all versions and leaves a tombstone that says they existed. Writes
join the transaction that the caller has open, or make one of their own.

Longer than other rooms, because all verbs on records are one class and each is a few lines.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from did.errors import JsonError
from did.json import Json, JsonObject, canonicalize, parse_object
from did.multikey import b64url_encode
from did.time import format_time, parse_time
from pds.db import Connection, DbDamaged, transaction

from .schemas import (
    Category,
    Field,
    RecordError,
    categories,
    category,
    check,
    describe,
    parse_path,
)
from .store.records import RecordStore, Row

__all__ = [
    "ABOUT",
    "ASSURANCES",
    "Batch",
    "Category",
    "Field",
    "PathValue",
    "Record",
    "RecordError",
    "Records",
    "Undone",
]

ABOUT = ("self", "other")
ASSURANCES = ("self-declared", "attested", "company", "inferred")
MAX_PAGE = 1000
MAX_SOURCE = 200


@dataclass(frozen=True, slots=True)
class Record:
    """One version of a record.

    ``source`` says how it came here (``self``, ``import/vcard``, …), ``collected`` when,
    ``about`` whom it concerns (``self`` or ``other``), ``batch`` with which import it was first
    added. ``deleted`` means that the contents are erased; ``fields`` is then empty. ``repr``
    leaves the contents out.
    """

    id: str
    category: str
    schema: str
    fields: JsonObject
    source: str
    collected: datetime
    about: str
    assurance: str
    version: int
    created: datetime
    changed: datetime
    deleted: bool
    batch: str | None

    def __repr__(self) -> str:
        return f"<Record {self.category} {self.id} v{self.version}>"


@dataclass(frozen=True, slots=True, repr=False)
class PathValue:
    """What one record holds under a path, with its provenance: an item of a package."""

    path: str
    schema: str
    value: Json
    collected: datetime
    source: str
    assurance: str
    about: str
    record_id: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that were added together; ``live`` of ``records`` are not deleted."""

    id: str
    source: str
    created: datetime
    records: int
    live: int


@dataclass(frozen=True, slots=True)
class Undone:
    """The end of a batch: how many records were removed, how many kept because they were edited."""

    removed: int
    kept: int


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
    ) -> Record:
        """Keep a new record. RecordError as ``schemas.check``, and ``data.provenance``."""
        found, canonical = check(category, dict(fields))
        _check_provenance(source=source, about=about, assurance=assurance)
        now = format_time(self._clock())
        row = Row(
            ordinal=0,
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
        )
        record = _record(row)
        with self.writing():
            self._store.insert(
                row, digest=_digest(found.name, canonical), texts=_texts(record.fields)
            )
        return record

    def get(self, record_id: str) -> Record:
        """The current version; RecordError ``data.not_found`` or ``data.deleted``."""
        return _record(self._live(record_id))

    def edit(
        self,
        record_id: str,
        changes: Mapping[str, Json],
        *,
        source: str = "self",
        assurance: str = "self-declared",
        collected: datetime | None = None,
        expected_version: int | None = None,
    ) -> Record:
        """Change fields and keep the version before.

        ``changes`` is a JSON Merge Patch (RFC 7396): groups of fields are merged, null deletes.
        The new version has the provenance of the edit. An edit that changes nothing makes no
        version. ``expected_version`` is the one the editor saw: ``data.conflict`` if it is over.
        """
        _check_provenance(source=source, about="self", assurance=assurance)
        with self.writing():
            before = self._live(record_id)
            if expected_version is not None and before.version != expected_version:
                raise RecordError(
                    "The record was changed in the meantime.",
                    code="data.conflict",
                    hint="Look at it again, then repeat the change.",
                )
            found, canonical = check(
                before.category, _merge(_fields(before), cast(Json, dict(changes)))
            )
            if canonical.decode() == before.fields:
                return _record(before)
            now = format_time(self._clock())
            row = replace(
                before,
                schema=found.schema,
                fields=canonical.decode(),
                source=source,
                collected=now if collected is None else format_time(collected),
                assurance=assurance,
                version=before.version + 1,
                changed=now,
            )
            record = _record(row)
            self._store.replace(
                row, digest=_digest(found.name, canonical), texts=_texts(record.fields)
            )
        return record

    def delete(self, record_id: str) -> None:
        """Erase the contents of every version (GDPR article 17); that they existed stays known."""
        with self.writing():
            self._store.erase(self._live(record_id).ordinal, changed=format_time(self._clock()))

    def history(self, record_id: str) -> list[Record]:
        """Every version, the first one first; of a deleted record without contents."""
        row = self._store.get(record_id)
        if row is None:
            raise _not_found()
        return [_record(version) for version in self._store.history(row.ordinal)]

    # --- many records -------------------------------------------------------------------------

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
        if category is not None:
            _known(category)
        rows = self._store.search(
            text, category=category, below=self._cursor(after), limit=_limit(limit)
        )
        return [_record(row) for row in rows]

    def values(self, path: str) -> list[PathValue]:
        """What a path names in live records about the holder, the oldest record first.

        A category gives the whole of each record, a field its value where the record has one.
        RecordError ``data.unknown_category`` or ``data.unknown_path``.
        """
        found, field = parse_path(path)
        name = "" if field is None else field.path.removeprefix(f"{found.name}.")
        values = []
        for record in map(_record, self._store.about_self(found.name)):
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

    def has_self(self, category: str) -> bool:
        """Whether there is a live record of this category about the holder."""
        _known(category)
        return self._store.has_about_self(category)

    def counts(self) -> dict[str, int]:
        """Live records by category, zero for none."""
        return {c.name: 0 for c in categories()} | self._store.counts()

    def count_same(self, category: str, fields: Mapping[str, Json]) -> int:
        """How many live records have exactly this content, whoever they are about."""
        return self._store.count_digest(_digest(_known(category).name, canonicalize(dict(fields))))

    def index_again(self) -> None:
        """Fill the search index, which must be empty, from the live records."""
        after: int | None = None
        while rows := self._store.page(None, below=after, limit=MAX_PAGE):
            for row in rows:
                self._store.index(row.ordinal, _texts(_fields(row)))
            after = rows[-1].ordinal

    # --- batches ------------------------------------------------------------------------------

    def new_id(self) -> str:
        """An id for a record or a batch: 128 random bits, 22 characters, the first never ``-``."""
        # A leading hyphen would look like an option on the command line.
        text = b64url_encode(self._random(16))
        return "A" + text[1:] if text.startswith("-") else text

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
        """
        if category is not None:
            _known(category)
        rows = self._store.page(category, below=self._cursor(after), limit=_limit(limit))
        return [_record(row) for row in rows]

    # ------------------------------------------------------------------------------------------

    def _live(self, record_id: str) -> Row:
        row = self._store.get(record_id)
        if row is None:
            raise _not_found()
        if row.deleted:
            raise RecordError("The record was deleted.", code="data.deleted")
        return row

    def _cursor(self, after: str | None) -> int | None:
        if after is None:
            return None
        row = self._store.get(after)
        if row is None:
            raise _not_found()
        return row.ordinal


def _known(name: str) -> Category:
    return category(name)


def _limit(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))


def _check_provenance(*, source: str, about: str, assurance: str) -> None:
    if not 0 < len(source) <= MAX_SOURCE or not source.isprintable():
        raise RecordError("A record needs a source in a few words.", code="data.provenance")
    if about not in ABOUT:
        raise RecordError(
            "A record is about the holder or about someone else.",
            code="data.provenance",
            hint="about is one of: " + ", ".join(ABOUT) + ".",
        )
    if assurance not in ASSURANCES:
        raise RecordError(
            "The assurance is not one of those known.",
            code="data.provenance",
            hint="assurance is one of: " + ", ".join(ASSURANCES) + ".",
        )


def _digest(category_name: str, canonical: bytes) -> bytes:
    """Content alone: not whom it is about, so that a second import finds the first."""
    return hashlib.sha256(category_name.encode() + b"\n" + canonical).digest()


def _fields(row: Row) -> JsonObject:
    try:
        return {} if row.fields is None else parse_object(row.fields)
    except JsonError:
        # Valid when it was written. SQLCipher hands out the last part of a long value as zero bytes
        # when the page that holds it was damaged, and complains at the next question only.
        raise DbDamaged(
            "An item cannot be read: the database is damaged.", hint="See: pds vault check"
        ) from None


def _record(row: Row) -> Record:
    return Record(
        id=row.id,
        category=row.category,
        schema=row.schema,
        fields=_fields(row),
        source=row.source,
        collected=parse_time(row.collected),
        about=row.about,
        assurance=row.assurance,
        version=row.version,
        created=parse_time(row.created),
        changed=parse_time(row.changed),
        deleted=row.fields is None,
        batch=row.batch,
    )


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for member in value.values():
            yield from _texts(member)


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
