"""From a reading to records: what would be added, what is there already, and the adding itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from did.json import JsonObject, canonicalize
from pds.errors import PdsError
from pds.vault.records import Records
from pds.vault.schemas import RecordError, check

About = Literal["self", "other"]

MAX_PROBLEMS = 1000
MAX_DRAFTS = 250_000

_HINT_LEFT_OUT = "The rest of the entry is imported."


class ImportFailed(PdsError):
    """The file as a whole cannot be imported; nothing was written.

    Codes: ``import.unreadable``, ``import.too_large``, ``import.empty``, ``import.encoding``,
    ``import.unknown_kind``, ``import.unsupported``, ``import.nothing_found``,
    ``import.too_many``, ``import.columns_unknown``, ``import.mapping``.
    """

    default_code = "import.failed"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the file that was not taken over; ``line`` counts from 1.

    ``code`` is stable; ``sentence`` is for people and never repeats the value.
    """

    line: int
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to be, valid under its schema. ``line`` is where its entry begins in the file."""

    category: str
    fields: JsonObject = field(repr=False)
    line: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds. ``entries`` counts the cards or rows that were found, good and bad.

    ``problem_count`` may exceed the ``problems`` listed (the first 1,000). ``assumptions`` are
    sentences about what had to be guessed; ``left_out`` counts things of known name that have no
    place in a record yet.
    """

    kind: str
    encoding: str
    entries: int
    drafts: tuple[Draft, ...]
    problems: tuple[Problem, ...]
    problem_count: int
    assumptions: tuple[str, ...]
    left_out: tuple[tuple[str, int], ...]

    @property
    def source(self) -> str:
        """What the records will name as their source."""
        return f"import/{self.kind}"


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The preview of an import: ``add`` would be added, ``duplicates`` are there already."""

    reading: Reading
    about: About
    add: tuple[Draft, ...]
    duplicates: tuple[Draft, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many records would be added, by category."""
        return dict(Counter(draft.category for draft in self.add))

    def samples(self, limit: int = 5) -> tuple[Draft, ...]:
        """The first drafts of each category, to look at before saying yes."""
        seen: Counter[str] = Counter()
        shown = []
        for draft in self.add:
            seen[draft.category] += 1
            if seen[draft.category] <= limit:
                shown.append(draft)
        return tuple(shown)


@dataclass(frozen=True, slots=True)
class Applied:
    """What an import did. ``batch`` undoes it; it is None when there was nothing to add."""

    batch: str | None
    added: int
    duplicates: int


class Findings:
    """Collects what a reader finds; the reader says where it is, this class keeps the limits."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.problems: list[Problem] = []
        self.problem_count = 0
        self.assumptions: list[str] = []
        self.left_out: Counter[str] = Counter()
        self.entries = 0

    def problem(self, line: int, code: str, sentence: str) -> None:
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(line, code, sentence))

    def draft(self, category: str, fields: JsonObject, *, line: int, entry: str) -> bool:
        """Keep a record if it is valid; otherwise leave out the fields at fault, one by one."""
        fields = dict(fields)
        while fields:
            try:
                check(category, fields)
            except RecordError as error:
                name = error.field.removeprefix(f"{category}.").partition(".")[0]
                if error.code == "data.too_large":
                    name = max(fields, key=lambda key: len(canonicalize(fields[key])))
                if name not in fields:
                    self.problem(line, error.code, str(error))
                    return False
                del fields[name]
                self.problem(line, "import.field", f"{error} {_HINT_LEFT_OUT}")
                continue
            if len(self.drafts) >= MAX_DRAFTS:
                raise ImportFailed(
                    f"The file holds more than {MAX_DRAFTS} records.",
                    code="import.too_many",
                    hint="Split it into smaller files.",
                )
            self.drafts.append(Draft(category, fields, line))
            return True
        self.problem(line, "import.nothing_usable", f"The {entry} holds nothing that can be kept.")
        return False

    def reading(self, *, kind: str, encoding: str) -> Reading:
        return Reading(
            kind=kind,
            encoding=encoding,
            entries=self.entries,
            drafts=tuple(self.drafts),
            problems=tuple(sorted(self.problems, key=lambda p: p.line)),
            problem_count=self.problem_count,
            assumptions=tuple(self.assumptions),
            left_out=tuple(sorted(self.left_out.items())),
        )


def make_plan(reading: Reading, records: Records, *, about: About | None = None) -> ImportPlan:
    """What an import would do to this vault. Reads only.

    ``about`` says whose data it is. By default a file with one card is the holder's own as long
    as the vault has no contact of theirs, and every other card is someone else's; what is not in
    cards (purchases) is the holder's own.
    """
    if about is None:
        about = _about(reading, records)
    add, duplicates = _split(reading.drafts, records)
    return ImportPlan(reading=reading, about=about, add=add, duplicates=duplicates)


def apply(plan: ImportPlan, records: Records) -> Applied:
    """Add what the plan says, in one transaction, as one batch.

    What came into the vault since the plan was made is looked for again. ``Records.undo_batch``
    takes the batch back.
    """
    with records.writing():
        add, duplicates = _split(plan.reading.drafts, records)
        batch = records.new_id() if add else None
        for draft in add:
            records.add(
                draft.category,
                draft.fields,
                source=plan.reading.source,
                about=plan.about,
                batch=batch,
            )
    return Applied(batch=batch, added=len(add), duplicates=len(duplicates))


def _about(reading: Reading, records: Records) -> About:
    contacts = sum(draft.category == "contact" for draft in reading.drafts)
    if contacts == 0:
        return "self"
    if contacts == 1 and not records.has_self("contact"):
        return "self"
    return "other"


def _split(
    drafts: Sequence[Draft], records: Records
) -> tuple[tuple[Draft, ...], tuple[Draft, ...]]:
    """Apart what is new and what is there, by content alone.

    The same card twice is one card. The same purchase twice in a file is two purchases: of n
    equal ones, as many are new as the vault has fewer than n.
    """
    add: list[Draft] = []
    duplicates: list[Draft] = []
    there: dict[bytes, int] = {}
    for draft in drafts:
        key = draft.category.encode() + b"\n" + canonicalize(draft.fields)
        if key not in there:
            there[key] = records.count_same(draft.category, draft.fields)
        if there[key] > 0:
            duplicates.append(draft)
            if draft.category == "purchases":
                there[key] -= 1
        else:
            add.append(draft)
            if draft.category != "purchases":
                there[key] = 1
    return tuple(add), tuple(duplicates)
