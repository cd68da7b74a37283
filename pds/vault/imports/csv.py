"""CSV: rows to purchases or contacts, by the names of their columns or by a mapping.

A cell that looks like a formula of a spreadsheet is text like any other here, and no amount;
the apostrophe that whoever wrote it may have put before it is taken off.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from did.json import JsonObject
from pds.vault.formulas import restored
from pds.vault.schemas import BUILT_IN, Catalogue, RecordError

from .amounts import (
    DateOrder,
    DateOrderVotes,
    Decimal,
    DecimalVotes,
    read_amount,
    read_date,
)
from .columns import direction_column, fold, suggest
from .csv_rows import MAX_LINE, Row, Table
from .mappings import SavedMapping
from .moments import moment
from .plan import Findings, ImportFailed, Read
from .source import Source

MAX_MAPPING = 256
# By these columns a table of our own export is known.
_OURS = frozenset({"record.id", "record.source"})

_DATES = frozenset({"date", "partial-date", "moment", "calendar-time"})
# So many cells of a column are remembered, with how they were read.
_ALIKE = 1024
_PROBLEMS = {
    "date": ("csv.date", "A cell is not a date."),
    "amount": ("csv.amount", "A cell is not an amount."),
}
_DEBIT = frozenset({"d", "debit", "dr", "t", "tartozik", "terheles"})
_CREDIT = frozenset({"c", "credit", "cr", "k", "kovetel", "jovairas"})


@dataclass(frozen=True, slots=True, repr=False)
class CsvShape:
    """What a CSV file looks like, for the one who maps its columns.

    ``suggested`` maps column names to field paths (``contact.email``); ``rows`` are the first few.
    """

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    suggested: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Target:
    """Where columns go: column number → field, or group.field; and what kind of value each is
    (``date``, ``amount``, ``currency``, the words of a choice, or text)."""

    category: str
    columns: dict[int, str]
    forms: dict[int, str | tuple[str, ...]]

    @classmethod
    def of(cls, category: str, columns: dict[int, str], words: Catalogue) -> "_Target":
        schema: Any = words.schema_of(category)
        return cls(category, columns, {i: _form(schema, field) for i, field in columns.items()})


def _form(schema: Any, field: str) -> str | tuple[str, ...]:
    """What is written in a field, by its schema."""
    form = schema
    for step in field.split("."):
        form = form.get("properties", {}).get(step, {})
        if "$ref" in form:
            form = schema["$defs"][form["$ref"].rpartition("/")[2]]
    if "enum" in form:
        return tuple(map(str, form["enum"]))
    if form.get("format") in _DATES:
        return "date" if form["format"] != "moment" else "moment"
    pattern = str(form.get("pattern", ""))
    if pattern.startswith(("^-?(0|", "^(0|")):
        return "amount"
    return "currency" if pattern.startswith("^[A-Z]{3}") else "text"


def inspect_csv(data: bytes | Path | Source, *, encoding: str | None = None) -> CsvShape:
    """Encoding, delimiter, header and first rows of a file, and the mapping that would be used.

    Raises as ``csv_reader`` does, save ``import.columns_unknown``: then ``suggested`` is empty.
    """
    table = Table.of(Source.of(data), encoding=encoding)
    category, columns = suggest(table.header)
    first = tuple(tuple(row.cells) for row in islice(table.rows(), 5) if row.problem is None)
    return CsvShape(
        encoding=table.encoding.name,
        delimiter=table.delimiter,
        header=table.header,
        rows=first,
        suggested={table.header[i]: f"{category}.{field}" for i, field in columns.items()},
    )


def csv_reader(
    data: bytes | Path | Source,
    mapping: Mapping[str, str] | None = None,
    *,
    encoding: str | None = None,
    dates: DateOrder | None = None,
    decimal: Decimal | None = None,
    words: Catalogue = BUILT_IN,
    saved: Sequence[SavedMapping] = (),
) -> Read:
    """How a CSV file is read, of any length; its columns are looked through first.

    ``mapping`` says which column is which field, ``{"Vevő": "contact.name"}``, all of one
    category (``contact.address.postalCode`` for a part of the address); without it the usual
    English and Hungarian names decide, or one of the ``saved`` mappings made for this header.
    ``words`` are the categories that there are. ``dates`` is ``dmy`` or ``mdy`` and ``decimal`` the
    mark, where the columns do not show it. A statement of account, which has a balance, an account
    or a column of direction, becomes ``payments``: what was paid is negative there.

    Problems: ``csv.nul``, ``csv.line_too_long``, ``csv.quote``, ``csv.columns``, ``csv.date``,
    ``csv.amount`` end one row; ``import.field`` leaves out a cell.
    Raises ImportFailed: ``import.empty``, ``import.encoding``, ``import.nothing_found``,
    ``import.columns_unknown``, ``import.mapping``.
    """
    table = Table.of(Source.of(data), encoding=encoding)
    notes = [table.encoding.assumption] if table.encoding.assumption else []
    if mapping is None:
        known = next((one for one in saved if one.fits(table.header)), None)
        if known is not None:
            mapping = known.columns
            notes.append(f"The columns were read by your mapping '{known.name}'.")
    target = _target(table.header, mapping, words)
    return _RowReader(table, target, notes, dates=dates, decimal=decimal).read


def looks_like_csv(source: Source) -> bool:
    """Whether the first lines are text in at least two columns."""
    head = source.head(4 * MAX_LINE)
    if not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[: head.rfind(b"\n") + 1] or head  # not inside a character
    try:
        return len(Table.of(Source(head)).header) > 1
    except ImportFailed:
        return False


class _RowReader:
    """Turns rows into drafts, with what the whole columns have shown."""

    def __init__(
        self,
        table: Table,
        target: _Target,
        notes: list[str],
        *,
        dates: DateOrder | None,
        decimal: Decimal | None,
    ) -> None:
        self._table = table
        self._width = len(table.header)
        self._target = target
        payments = target.category == "payments"
        self._direction = direction_column(table.header) if payments else None
        self._assumptions = notes
        # Where a price names its currency, and no column does.
        self._currency = target.category in ("purchases", "payments", "accounts", "devices")
        self._order: dict[int, DateOrder] = {}
        self._mark: dict[int, Decimal | None] = {}
        if self._direction is not None:
            self._assumptions.append("The column of debit and credit gives the amount its sign.")
        self._survey(dates, decimal)
        self._columns = [
            (column, group, part, self._reader(column, field))
            for column, field in target.columns.items()
            for group, _, part in [field.partition(".")]
        ]

    def _survey(self, dates: DateOrder | None, decimal: Decimal | None) -> None:
        """Look at whole columns of dates and amounts, where the caller does not say."""
        forms = self._target.forms
        orders = {i: DateOrderVotes() for i, form in forms.items() if form in ("date", "moment")}
        marks = {i: DecimalVotes() for i, form in forms.items() if form == "amount"}
        votes: list[tuple[int, DateOrderVotes | DecimalVotes]] = []
        votes += [] if dates else orders.items()
        votes += [] if decimal else marks.items()
        rows = 0
        for rows, row in enumerate(self._table.rows(), 1):  # noqa: B007  # counted as well
            if row.problem is None and len(row.cells) == self._width:
                for column, vote in votes:
                    vote.add(row.cells[column])
        if not rows:
            raise ImportFailed(
                "The file has a row of headings and nothing beneath it.",
                code="import.nothing_found",
                hint="Export it anew, with its rows.",
            )
        for column, order in orders.items():
            self._order[column] = dates or order.order or "dmy"
            if order.is_open and order.order is None:
                self._assumptions.append("Dates such as 03/04/2026 were read with the day first.")
        for column, mark in marks.items():
            self._mark[column] = decimal or mark.mark
            if mark.is_open and mark.mark is None:
                self._assumptions.append("Amounts such as 1,290 were read as thousands.")

    def _reader(self, column: int, field: str) -> Callable[[str], tuple[str, str]]:
        """How a cell of a column is read: its value, with a currency that it names; or nothing,
        with the name of the problem if there is one."""
        form = self._target.forms[column]
        order, mark = self._order.get(column, "dmy"), self._mark.get(column)
        words = {fold(word): word for word in form} if isinstance(form, tuple) else {}

        def read(cell: str) -> tuple[str, str]:
            text = cell.strip()
            if not text.isascii():
                text = unicodedata.normalize("NFC", text).strip()
            text = restored(text)
            if not text:
                return "", ""
            if form in ("date", "moment"):
                day = (moment(text) if form == "moment" else "") or read_date(text, order)
                if day is None and field == "birthDate":
                    day = text  # a part of a date; the schema knows
                return (day, "") if day else ("", "date")
            if form == "amount":
                return read_amount(text, mark) or ("", "amount")
            if form == "currency":
                return _currency(text), ""
            return words.get(fold(text), text) if words else text, ""

        # Cells of a column are much alike: dates, shops, currencies.
        return lru_cache(maxsize=_ALIKE)(read)

    def read(self, findings: Findings) -> None:
        findings.encoding = self._table.encoding.name
        findings.columns = tuple(
            (name, f"{self._target.category}.{field}" if field else "")
            for i, name in enumerate(self._table.header)
            for field in [self._target.columns.get(i, "amount" if i == self._direction else "")]
        )
        findings.assumptions += self._assumptions
        for row in self._table.rows():
            findings.entries += 1
            if row.problem is not None:
                findings.problem(row.line, *row.problem)
            else:
                self._take(row, findings)
        for i, name in enumerate(self._table.header):
            if i not in self._target.columns and i != self._direction and name:
                findings.leave_out(name[:100], findings.entries)

    def _take(self, row: Row, findings: Findings) -> None:
        cells = row.cells
        # 1. As many cells as the header has; empty ones more do no harm.
        if len(cells) < self._width or any(cells[self._width :]):
            findings.problem(
                row.line, "csv.columns", "The row has more or fewer cells than the header."
            )
            return
        # 2. Each mapped cell in the form of its field.
        fields: JsonObject = {}
        for column, group, part, read in self._columns:
            value, more = read(cells[column])
            if not value:
                if more:
                    findings.problem(row.line, *_PROBLEMS[more])
                    return
                continue
            if more and self._currency:
                fields.setdefault("currency", more)
            if part:
                inner = fields.setdefault(group, {})
                if isinstance(inner, dict):
                    inner[part] = value
            else:
                fields[group] = value
        # 3. A statement of account: its column of direction gives the amount its sign.
        if self._direction is not None and "amount" in fields:
            amount_text = str(fields["amount"]).removeprefix("-")
            word = fold(cells[self._direction])
            if word in _DEBIT and amount_text.strip("0."):
                fields["amount"] = "-" + amount_text
            elif word in _CREDIT:
                fields["amount"] = amount_text
        findings.draft(self._target.category, fields, line=row.line, entry="row")


@lru_cache(maxsize=256)
def _currency(text: str) -> str:
    read = read_amount("1" + text, None)
    return read[1] if read and read[1] else text.upper()


def _target(header: Sequence[str], mapping: Mapping[str, str] | None, words: Catalogue) -> _Target:
    if mapping is None and _OURS.issubset(header):
        raise ImportFailed(
            "This is a table out of an archive of 'pds export'.",
            code="import.own_archive",
            hint="Take in the whole archive, with all versions: pds import ARCHIVE. Or say which"
            " column is which field: --map name=contact.name",
        )
    if mapping is None:
        category, columns = suggest(header)
        if not columns:
            raise ImportFailed(
                "None of the columns has a name that is known here.",
                code="import.columns_unknown",
                hint="Say which column is which field, as in Vevő=contact.name.",
            )
        return _Target.of(category, columns, words)
    if not 0 < len(mapping) <= MAX_MAPPING:
        raise ImportFailed("The mapping names no column.", code="import.mapping")
    folded = [fold(name) for name in header]
    categories = set()
    columns = {}
    for column, path in mapping.items():
        # 1. The column exists: as it is written, or but for case and accents.
        if column in header:
            number = list(header).index(column)
        elif fold(column) in folded:
            number = folded.index(fold(column))
        else:
            raise ImportFailed(
                "The mapping names a column that the file does not have.", code="import.mapping"
            )
        # 2. The field exists and is a text.
        category, field = _field(path, words)
        categories.add(category)
        # 3. One column for each field.
        if number in columns or field in columns.values():
            raise ImportFailed(
                "The mapping names a column or a field twice.", code="import.mapping"
            )
        columns[number] = field
    if len(categories) != 1:
        raise ImportFailed("All columns of a file must go to one category.", code="import.mapping")
    return _Target.of(categories.pop(), columns, words)


def _field(path: str, words: Catalogue) -> tuple[str, str]:
    category, _, rest = path.partition(".")
    name, _, part = rest.partition(".")
    try:
        words.parse_path(f"{category}.{name}" if name else category)
    except RecordError as error:
        raise ImportFailed(str(error), code="import.mapping", hint=error.hint) from error
    schema: Any = words.schema_of(category)
    form = schema["properties"].get(name, {})
    if "$ref" in form:
        form = schema["$defs"][form["$ref"].rpartition("/")[2]]
    inside = form.get("properties", {})
    if (
        not name
        or form.get("type") == "array"
        or bool(inside) != bool(part)
        or (part and part not in inside)
    ):
        raise ImportFailed(
            "A column cannot become a whole category, a list or a group.",
            code="import.mapping",
            hint="Name a field, such as contact.email or contact.address.postalCode.",
        )
    return category, f"{name}.{part}" if part else name
