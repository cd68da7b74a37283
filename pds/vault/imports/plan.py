"""From a reading to records: what would be added, what is there already, and the adding itself."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, TypeAlias

from did.json import JsonObject, canonicalize
from pds.errors import PdsError
from pds.vault.records import Bulk, Change, Older, Origin, Records, Slices, Verdict
from pds.vault.schemas import BUILT_IN, Catalogue, Category, RecordError

from .people import Person, holder

About = Literal["self", "other"]

MAX_PROBLEMS = 1000
MAX_DRAFTS = 2_000_000
MAX_SAMPLES = 5
MAX_NAMES = 200
MAX_PEOPLE = 20
_AT_ONCE = 500

_HINT_LEFT_OUT = "The rest of the entry is imported."


class ImportFailed(PdsError):
    """The file as a whole cannot be imported; nothing was written.

    Codes: ``import.unreadable``, ``import.too_large``, ``import.empty``, ``import.encoding``,
    ``import.unknown_kind``, ``import.unsupported``, ``import.nothing_found``,
    ``import.too_many``, ``import.columns_unknown``, ``import.mapping``, ``import.changed``,
    ``import.archive``, ``import.own_archive``.
    """

    default_code = "import.failed"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the file that was not taken over; ``line`` counts from 1, and is 0 for a whole
    member of an archive.

    ``code`` is stable; ``sentence`` is for people and never repeats the value. ``member`` is the
    file in an archive, as the archive calls it, printable and short.
    """

    line: int
    code: str
    sentence: str
    member: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class AFile:
    """A file inside an entry, such as the picture of a card."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to be, valid under its schema: ``canonical`` is what will be kept of ``fields``.

    ``line`` is where its entry begins in the file. ``about`` says whose data it is where the file
    itself shows that. ``origin`` is what it is called there; ``files`` belong to it.
    """

    category: str
    fields: JsonObject = field(repr=False)
    line: int
    kind: Category = field(repr=False)
    canonical: bytes = field(repr=False)
    about: About | None = None
    origin: Origin | None = None
    files: tuple[AFile, ...] = field(default=(), repr=False)


Take: TypeAlias = Callable[[Draft], None]


class Findings:
    """What a reader finds. It says where it is; this class keeps the limits and passes on each
    draft at once, so that no file has to be held in memory.

    A reader sets ``encoding``, counts ``entries`` (cards, rows: good and bad) and appends
    ``assumptions``: sentences about what had to be guessed. ``about`` is whose data all of the
    file is taken for, unless the holder says another. ``assurance`` is what the records are worth:
    ``attested`` where a signature was verified. ``columns`` are those of a table, each with the
    field that it becomes or an empty text. ``words`` are the categories that there are;
    ``progress`` hears of every thousandth record how many there were. ``people`` are those that a
    file of one or a few persons is about. ``me`` is the holder as the vault knows them; ``told`` is
    what the holder said of the whole file.
    """

    def __init__(
        self,
        take: Take,
        *,
        words: Catalogue = BUILT_IN,
        progress: Callable[[int], None] | None = None,
        me: tuple[Person, ...] = (),
        told: About | None = None,
    ) -> None:
        self._take = take
        self._me = me
        self.told = told
        self.people: dict[Person, About] = {}
        self._check = words.check
        self._progress = progress
        self._drafts = 0
        self.encoding = "utf-8"
        self.entries = 0
        self.about: About | None = None
        self.assurance = "self-declared"
        self.columns: tuple[tuple[str, str], ...] = ()
        self.assumptions: list[str] = []
        self.problems: list[Problem] = []
        self.problem_count = 0
        self._left_out: Counter[str] = Counter()
        self._member = ""
        self._whose: About | None = None

    @contextmanager
    def inside(self, member: str, *, about: About | None = None) -> Iterator[None]:
        """What is found until the block ends is in this member of an archive, and about whom."""
        before = self._member, self._whose
        self._member, self._whose = member, about
        try:
            yield
        finally:
            self._member, self._whose = before

    def whose(self, person: Person) -> About | None:
        """Whose data that of a person in the file is, by what the vault knows of the holder; None
        where the holder said it for all of the file, or nothing is known."""
        if self.told is not None:
            return None
        likely = [person.is_like(one) for one in self._me]
        if True in likely:
            return "self"
        return "other" if likely and None not in likely else None

    def problem(self, line: int, code: str, sentence: str) -> None:
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(line, code, sentence, self._member))

    def leave_out(self, name: str, times: int = 1) -> None:
        """Count what has a name and no place in a record; of the names the first 200."""
        if name in self._left_out or len(self._left_out) < MAX_NAMES:
            self._left_out[name] += times

    def draft(
        self,
        category: str,
        fields: JsonObject,
        *,
        line: int,
        entry: str,
        about: About | None = None,
        origin: Origin | None = None,
        files: tuple[AFile, ...] = (),
    ) -> bool:
        """Pass on a record if it is valid; otherwise leave out the fields at fault, one by one.
        ``entry`` is what the file's unit is called (card, row)."""
        fields = dict(fields)
        while fields:
            try:
                kind, canonical = self._check(category, fields)
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
            self._drafts += 1
            if self._progress is not None and self._drafts % 1000 == 0:
                self._progress(self._drafts)
            if self._drafts > MAX_DRAFTS:
                raise ImportFailed(
                    f"The file holds more than {MAX_DRAFTS} records.",
                    code="import.too_many",
                    hint="Split it into smaller files.",
                )
            whose = about or self._whose
            self._take(Draft(category, fields, line, kind, canonical, whose, origin, files))
            return True
        self.problem(line, "import.nothing_usable", f"The {entry} holds nothing that can be kept.")
        return False

    def reading(self, kind: str) -> "Reading":
        return Reading(
            kind=kind,
            encoding=self.encoding,
            entries=self.entries,
            assurance=self.assurance,
            columns=self.columns,
            problems=tuple(sorted(self.problems, key=lambda p: (p.member, p.line))),
            problem_count=self.problem_count,
            assumptions=tuple(dict.fromkeys(self.assumptions)),
            left_out=tuple(sorted(self._left_out.items())),
        )


Read: TypeAlias = Callable[[Findings], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in a file besides its records.

    ``entries`` counts the cards or rows that were found, good and bad. ``problem_count`` may
    exceed the ``problems`` listed (the first 1,000). ``left_out`` counts things of known name that
    have no place in a record yet.
    """

    kind: str
    encoding: str
    entries: int
    problems: tuple[Problem, ...]
    problem_count: int
    assumptions: tuple[str, ...]
    left_out: tuple[tuple[str, int], ...]
    assurance: str = "self-declared"
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def source(self) -> str:
        """What the records will name as their source."""
        return f"import/{self.kind}"


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The preview of an import: how many records ``counts`` would be added, by category, and how
    many are there already. ``samples`` are the first five of each category that would be added.

    Items known by their names elsewhere: ``changed`` would get another version, ``older`` are newer
    in the vault and stay; ``conflicts`` counts, by their paths, fields that were changed here and
    there alike, and stay as they are here. ``files`` would be attached. ``people`` are those that
    the file is about, in words, and whether each is taken for the holder.
    ``stays`` counts items that are there already and stay about somebody else than ``told``, by the
    batches with which they came.
    By ``name`` and ``size`` of the file an import that was cut off is known again.
    """

    reading: Reading
    about: About
    counts: dict[str, int] = field(hash=False)
    duplicates: int
    samples: tuple[Draft, ...]
    read: Read = field(repr=False)
    changed: int = 0
    older: int = 0
    conflicts: tuple[tuple[str, int], ...] = ()
    files: int = 0
    people: tuple[tuple[str, About], ...] = ()
    me: tuple[Person, ...] = field(default=(), repr=False)
    told: About | None = None
    stays: tuple[tuple[str | None, int], ...] = ()
    name: str = field(default="", repr=False)
    size: int = 0

    @property
    def added(self) -> int:
        """How many records would be added."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Applied:
    """What an import did. ``batch`` undoes it; it is None when there was nothing to add."""

    batch: str | None
    added: int
    duplicates: int
    changed: int = 0


def make_plan(
    kind: str,
    read: Read,
    records: Records,
    *,
    about: About | None = None,
    words: Catalogue = BUILT_IN,
    progress: Callable[[int], None] | None = None,
) -> ImportPlan:
    """What an import would do to this vault. Reads the file through, and writes nothing.

    ``about`` says whose data it is. By default that is what the file shows (of one patient:
    the holder's own). Else a file with one card is the holder's own as long as the vault has no
    contact of theirs, and every other card is someone else's; what is not in cards (purchases) is
    the holder's own.
    """
    preview = _Preview(records, about)
    told, me = about, holder(records)
    with preview.sieve:
        findings = Findings(preview.take, words=words, progress=progress, me=me, told=told)
        read(findings)
        preview.look()
    about = about or findings.about
    card: tuple[tuple[str, About], ...] = ()
    if about is None:
        contacts = preview.found["contact"]
        own = contacts == 0 or (contacts == 1 and not records.has_self("contact"))
        about = "self" if own else "other"
        if contacts == 1:
            card = (("the one card", about),)
    return ImportPlan(
        reading=findings.reading(kind),
        about=about,
        counts=dict(preview.counts),
        duplicates=preview.duplicates,
        changed=preview.changed,
        older=preview.older,
        conflicts=tuple(sorted(preview.conflicts.items())),
        files=preview.files,
        people=tuple((who.shown, whose) for who, whose in [*findings.people.items()][:MAX_PEOPLE])
        or card,
        me=me,
        told=told,
        stays=tuple(Counter(preview.stays.values()).items()),
        samples=tuple(draft for drafts in preview.samples.values() for draft in drafts),
        read=read,
    )


class _Preview:
    """Counts drafts, some hundreds at a time, and keeps the first new ones of each category."""

    def __init__(self, records: Records, told: About | None) -> None:
        self.sieve = records.sieve()
        self.stays: dict[int, str | None] = {}
        self._records, self._told = records, told
        self.found: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.samples: dict[str, list[Draft]] = {}
        self.duplicates = self.changed = self.older = self.files = 0
        self.conflicts: Counter[str] = Counter()
        self._waiting: list[Draft] = []

    def take(self, draft: Draft) -> None:
        if draft.files:  # some hundred pictures are much
            self.files += len(draft.files)
            draft = replace(draft, files=())
        self._waiting.append(draft)
        if len(self._waiting) >= _AT_ONCE:
            self.look()

    def look(self) -> None:
        drafts, self._waiting = self._waiting, []
        found = self.sieve.sift([(d.kind, d.canonical, d.about, d.origin) for d in drafts])
        self._look_whose(drafts, found)
        for draft, verdict in zip(drafts, found, strict=True):
            self.found[draft.category] += 1
            if isinstance(verdict, Change):
                self.conflicts.update(f"{draft.category}.{name}" for name in verdict.conflicts)
                self.changed += verdict.differs
            self.older += isinstance(verdict, Older)
            if not isinstance(verdict, bytes):
                self.duplicates += not (isinstance(verdict, Change) and verdict.differs)
                continue
            self.counts[draft.category] += 1
            shown = self.samples.setdefault(draft.category, [])
            if len(shown) < MAX_SAMPLES:
                shown.append(draft)

    def _look_whose(self, drafts: Sequence[Draft], found: Sequence[Verdict]) -> None:
        """What is there already stays whose it is, whatever was told."""
        if self._told is None:
            return
        known = [
            (draft.category, draft.canonical)
            for draft, verdict in zip(drafts, found, strict=True)
            if verdict is None
        ]
        self.stays |= self._records.known_not_about(known, self._told)
        rows = [verdict.row for verdict in found if isinstance(verdict, Change)]
        self.stays |= {row.ordinal: row.batch for row in rows if row.about != self._told}


Attach: TypeAlias = Callable[[str, AFile], object]


def apply(
    plan: ImportPlan,
    records: Records,
    *,
    batch: str | None = None,
    slices: Slices | None = None,
    words: Catalogue = BUILT_IN,
    progress: Callable[[int], None] | None = None,
    attach: Attach | None = None,
) -> Applied:
    """Add what the plan says as one batch: in one transaction, or in those that ``slices`` makes.
    ``attach`` gives an item a file that came with it.

    The file is read again (``import.changed`` if it is another by now), and what came into the
    vault since the plan was made is looked for again. ``Records.undo_batch`` takes it back.
    """
    batch = batch or records.new_id()
    with (
        nullcontext() if slices else records.writing(),
        records.bulk(
            source=plan.reading.source,
            about=plan.about,
            assurance=plan.reading.assurance,
            batch=batch,
            slices=slices,
        ) as bulk,
    ):
        plan.read(
            Findings(
                partial(_add, bulk, attach),
                words=words,
                progress=progress,
                me=plan.me,
                told=plan.told,
            )
        )
    return Applied(
        batch=batch if bulk.added or bulk.changed else None,
        added=bulk.added,
        duplicates=bulk.duplicates,
        changed=bulk.changed,
    )


def _add(bulk: Bulk, attach: Attach | None, draft: Draft) -> None:
    then, weight = None, 0
    if attach is not None and draft.files:
        then = partial(_attach, attach, draft.files)
        weight = sum(len(file.data) for file in draft.files)
    bulk.add(
        draft.kind,
        draft.canonical,
        fields=draft.fields,
        about=draft.about,
        origin=draft.origin,
        then=then,
        weight=weight,
    )


def _attach(attach: Attach, files: tuple[AFile, ...], record_id: str) -> None:
    for file in files:
        attach(record_id, file)
