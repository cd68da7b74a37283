"""CSV: rows to purchases or contacts, by the names of their columns or by a mapping.

A cell that looks like a formula of a spreadsheet is text like any other here, and no amount;
the apostrophe that whoever wrote it may have put before it is taken off.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from did.json import JsonObject
from pds.vault.formulas import restored
from pds.vault.schemas import RecordError, parse_path

from .amounts import (
    DateOrder,
    DateOrderVotes,
    Decimal,
    DecimalVotes,
    read_amount,
    read_date,
)
from .columns import direction_column, fold, is_statement, suggest
from .csv_rows import MAX_LINE, Row, Table
from .plan import Findings, ImportFailed, Read
from .source import Source

MAX_MAPPING = 256

_AMOUNTS = frozenset({"price", "unitPrice", "quantity"})
_DATES = frozenset({"date", "birthDate"})
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
    category: str
    columns: dict[int, str]  # column number → field, or address.field


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
) -> Read:
    """How a CSV file is read, of any length; its columns are looked through first.

    ``mapping`` says which column is which field, ``{"Vevő": "contact.name"}``, all of one
    category (``contact.address.postalCode`` for a part of the address); without it the usual
    English and Hungarian names decide. ``dates`` is ``dmy`` or ``mdy`` and ``decimal`` the mark,
    where the columns do not show it. In a statement of account money that came in is no purchase
    and is listed as ``csv.money_received``.

    Problems: ``csv.nul``, ``csv.line_too_long``, ``csv.quote``, ``csv.columns``, ``csv.date``,
    ``csv.amount``, ``csv.money_received`` end one row; ``import.field`` leaves out a cell.
    Raises ImportFailed: ``import.empty``, ``import.encoding``, ``import.nothing_found``,
    ``import.columns_unknown``, ``import.mapping``.
    """
    table = Table.of(Source.of(data), encoding=encoding)
    return _RowReader(table, _target(table.header, mapping), dates=dates, decimal=decimal).read


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
        self, table: Table, target: _Target, *, dates: DateOrder | None, decimal: Decimal | None
    ) -> None:
        self._table = table
        self._width = len(table.header)
        self._target = target
        self._statement = target.category == "purchases" and is_statement(table.header)
        self._direction = direction_column(table.header) if self._statement else None
        self._assumptions = [table.encoding.assumption] if table.encoding.assumption else []
        self._order: dict[int, DateOrder] = {}
        self._mark: dict[int, Decimal | None] = {}
        self._survey(dates, decimal)

    def _survey(self, dates: DateOrder | None, decimal: Decimal | None) -> None:
        """Look at whole columns of dates and amounts, where the caller does not say."""
        columns = self._target.columns
        orders = {i: DateOrderVotes() for i, field in columns.items() if field in _DATES}
        marks = {i: DecimalVotes() for i, field in columns.items() if field in _AMOUNTS}
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

    def read(self, findings: Findings) -> None:
        findings.encoding = self._table.encoding.name
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
        for column, field in self._target.columns.items():
            text = cells[column].strip()
            if not text.isascii():
                text = unicodedata.normalize("NFC", text).strip()
            text = restored(text)
            if not text:
                continue
            if field in _DATES:
                day = read_date(text, self._order[column])
                if day is None:
                    findings.problem(row.line, "csv.date", "A cell is not a date.")
                    return
                fields[field] = day
            elif field in _AMOUNTS:
                amount = read_amount(text, self._mark[column])
                if amount is None:
                    findings.problem(row.line, "csv.amount", "A cell is not an amount.")
                    return
                fields[field] = amount[0]
                if amount[1]:
                    fields.setdefault("currency", amount[1])
            elif field == "currency":
                fields[field] = _currency(text)
            elif "." in field:
                group, _, part = field.partition(".")
                inner = fields.setdefault(group, {})
                if isinstance(inner, dict):
                    inner[part] = text
            else:
                fields[field] = text
        # 3. A statement of account: only what was paid is a purchase, and its price is positive.
        if self._statement and "price" in fields:
            price = str(fields["price"])
            if not self._is_paid(cells, price):
                findings.problem(
                    row.line, "csv.money_received", "Money came in; the row is no purchase."
                )
                return
            fields["price"] = price.removeprefix("-")
        findings.draft(self._target.category, fields, line=row.line, entry="row")

    def _is_paid(self, cells: Sequence[str], price: str) -> bool:
        if self._direction is not None:
            word = fold(cells[self._direction])
            if word in _DEBIT or word in _CREDIT:
                return word in _DEBIT
        return price.startswith("-")


@lru_cache(maxsize=256)
def _currency(text: str) -> str:
    read = read_amount("1" + text, None)
    return read[1] if read and read[1] else text.upper()


def _target(header: Sequence[str], mapping: Mapping[str, str] | None) -> _Target:
    if mapping is None:
        category, columns = suggest(header)
        if not columns:
            raise ImportFailed(
                "None of the columns has a name that is known here.",
                code="import.columns_unknown",
                hint="Say which column is which field, as in Vevő=contact.name.",
            )
        return _Target(category, columns)
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
        category, field = _field(path)
        categories.add(category)
        # 3. One column for each field.
        if number in columns or field in columns.values():
            raise ImportFailed(
                "The mapping names a column or a field twice.", code="import.mapping"
            )
        columns[number] = field
    if len(categories) != 1:
        raise ImportFailed("All columns of a file must go to one category.", code="import.mapping")
    return _Target(categories.pop(), columns)


def _field(path: str) -> tuple[str, str]:
    head, _, part = path.partition(".address.")
    try:
        category, field = parse_path(f"{head}.address" if part else path)
    except RecordError as error:
        raise ImportFailed(str(error), code="import.mapping", hint=error.hint) from error
    name = "" if field is None else field.path.removeprefix(f"{category.name}.")
    if not name or name in ("groups", "otherAddresses") or (name == "address") != bool(part):
        raise ImportFailed(
            "A column cannot become a whole category, a list or a group.",
            code="import.mapping",
            hint="Name a field, such as contact.email or contact.address.postalCode.",
        )
    return category.name, f"{name}.{part}" if part else name
