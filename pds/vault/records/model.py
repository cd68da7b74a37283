"""What records are made of, and what their provenance, their validity and their tags must be."""

import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime

from did.errors import JsonError
from did.json import Json, JsonObject, parse_object
from did.time import parse_time
from pds.db import DbDamaged
from pds.vault.schemas import RecordError
from pds.vault.store.records import Row

ABOUT = ("self", "other")
ASSURANCES = ("self-declared", "attested", "company", "inferred")
MAX_SOURCE = 200
MAX_TAGS = 100
MAX_TAG = 100

_DIGEST_SIZE = 16


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when a record is true, both days within; None is without end.

    An old address is not deleted and not wrong: it holds until a day. A grant leaves out what does
    not hold on the day when a package is made.
    """

    start: date | None = None
    end: date | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.end < self.start:
            raise RecordError(
                "A record cannot end before it begins.",
                code="data.validity",
                hint="The first day comes first, then the last.",
            )

    def holds(self, day: date) -> bool:
        """Whether a record is true on that day."""
        return not (
            (self.start is not None and day < self.start)
            or (self.end is not None and day > self.end)
        )


ALWAYS = Validity()


@dataclass(frozen=True, slots=True)
class Record:
    """One version of a record.

    ``source`` says how it came here (``self``, ``import/vcard``, …), ``collected`` when,
    ``about`` whom it concerns (``self`` or ``other``), ``batch`` with which import it was first
    added. ``happened`` is the year, month, day or time that the contents name, ``company`` the
    other side; ``tags`` are the holder's own and belong to the record, not to a version.
    ``deleted`` means that the contents are erased; ``fields`` is then empty. ``repr`` leaves the
    contents out.
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
    happened: str | None = None
    company: str | None = None
    validity: Validity = ALWAYS
    tags: tuple[str, ...] = ()

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
    """The end of a batch: how many records were removed, how many kept because they were edited,
    how many that the batch had changed are again as they were."""

    removed: int
    kept: int
    restored: int = 0


def check_about(about: str) -> None:
    """RecordError ``data.provenance`` unless this says whom a record is about."""
    if about not in ABOUT:
        raise RecordError(
            "A record is about the holder or about someone else.",
            code="data.provenance",
            hint="about is one of: " + ", ".join(ABOUT) + ".",
        )


def check_provenance(*, source: str, about: str, assurance: str) -> None:
    """RecordError ``data.provenance`` unless these are words that a record may have."""
    if not 0 < len(source) <= MAX_SOURCE or not source.isprintable():
        raise RecordError("A record needs a source in a few words.", code="data.provenance")
    check_about(about)
    if assurance not in ASSURANCES:
        raise RecordError(
            "The assurance is not one of those known.",
            code="data.provenance",
            hint="assurance is one of: " + ", ".join(ASSURANCES) + ".",
        )


def parse_tag(text: str) -> str:
    """A tag as it is kept; RecordError ``data.tag``."""
    tag = " ".join(unicodedata.normalize("NFC", text).split())
    if not 0 < len(tag) <= MAX_TAG or not tag.isprintable():
        raise RecordError(
            "A tag is a few words.", code="data.tag", hint=f"At most {MAX_TAG} characters."
        )
    return tag


def digest_of(category: str, canonical: bytes) -> bytes:
    """Content alone: not whom it is about, so that a second import finds the first."""
    return hashlib.sha256(category.encode() + b"\n" + canonical).digest()[:_DIGEST_SIZE]


def fields_of(row: Row) -> JsonObject:
    try:
        return {} if row.fields is None else parse_object(row.fields)
    except JsonError:
        # Valid when it was written. SQLCipher hands out the last part of a long value as zero bytes
        # when the page that holds it was damaged, and complains at the next question only.
        raise DbDamaged(
            "An item cannot be read: the database is damaged.", hint="See: pds vault check"
        ) from None


def validity_of(row: Row) -> Validity:
    return Validity(_day(row.valid_from), _day(row.valid_until))


def record_of(row: Row, tags: tuple[str, ...] = ()) -> Record:
    return Record(
        id=row.id,
        category=row.category,
        schema=row.schema,
        fields=fields_of(row),
        source=row.source,
        collected=parse_time(row.collected),
        about=row.about,
        assurance=row.assurance,
        version=row.version,
        created=parse_time(row.created),
        changed=parse_time(row.changed),
        deleted=row.fields is None,
        batch=row.batch,
        happened=row.happened,
        company=row.company,
        validity=validity_of(row),
        tags=tags,
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
