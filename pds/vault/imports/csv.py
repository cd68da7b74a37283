"""CSV: rows to purchases or contacts, by the names of their columns or by a mapping.

A file is cut into rows by Python's csv module; around it stand the limits, the guessing of
delimiter and encoding, and a way on after a quotation mark that is never closed. A cell that looks
like a formula of a spreadsheet is text like any other here; whoever writes CSV defuses it.
"""

import csv
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from did.json import JsonObject
from pds.vault.schemas import RecordError, parse_path

from .amounts import (
    DateOrder,
    Decimal,
    date_order,
    decimal_mark,
    has_year_last,
    is_ambiguous,
    read_amount,
    read_date,
)
from .columns import direction_column, fold, is_statement, suggest
from .plan import MAX_DRAFTS, Findings, ImportFailed, Reading
from .text import check_size, decode

MAX_LINE = 65_536
MAX_COLUMNS = 256
MAX_ROW_LINES = 200
MAX_MAPPING = 256

_DELIMITERS = ",;\t|"
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


@dataclass(frozen=True, slots=True, repr=False)
class _Row:
    line: int
    cells: list[str]
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, repr=False)
class _Table:
    encoding: str
    assumption: str
    delimiter: str
    header: tuple[str, ...]
    rows: list[_Row]


@dataclass(frozen=True, slots=True)
class _Target:
    category: str
    columns: dict[int, str]  # column number → field, or address.field


def inspect_csv(raw: bytes, *, encoding: str | None = None) -> CsvShape:
    """Encoding, delimiter, header and first rows of a file, and the mapping that would be used.

    Raises as ``read_csv`` does, save ``import.columns_unknown``: then ``suggested`` is empty.
    """
    table = _table(raw, encoding)
    category, columns = suggest(table.header)
    return CsvShape(
        encoding=table.encoding,
        delimiter=table.delimiter,
        header=table.header,
        rows=tuple(tuple(row.cells) for row in table.rows[:5] if row.problem is None),
        suggested={table.header[i]: f"{category}.{field}" for i, field in columns.items()},
    )


def read_csv(
    raw: bytes,
    mapping: Mapping[str, str] | None = None,
    *,
    encoding: str | None = None,
    dates: DateOrder | None = None,
    decimal: Decimal | None = None,
) -> Reading:
    """Read a CSV file of at most 64 MiB and 250,000 rows.

    ``mapping`` says which column is which field, ``{"Vevő": "contact.name"}``, all of one
    category (``contact.address.postalCode`` for a part of the address); without it the usual
    English and Hungarian names decide. ``dates`` is ``dmy`` or ``mdy`` and ``decimal`` the mark,
    where the columns do not show it. In a statement of account money that came in is no purchase
    and is listed as ``csv.money_received``.

    Problems: ``csv.nul``, ``csv.line_too_long``, ``csv.quote``, ``csv.columns``, ``csv.date``,
    ``csv.amount``, ``csv.money_received`` end one row; ``import.field`` leaves out a cell.
    Raises ImportFailed: ``import.too_large``, ``import.empty``, ``import.encoding``,
    ``import.nothing_found``, ``import.too_many``, ``import.columns_unknown``, ``import.mapping``.
    """
    table = _table(raw, encoding)
    target = _target(table.header, mapping)
    findings = Findings()
    if table.assumption:
        findings.assumptions.append(table.assumption)
    reader = _RowReader(table, target, findings, dates=dates, decimal=decimal)
    for row in table.rows:
        findings.entries += 1
        if row.problem is not None:
            findings.problem(row.line, *row.problem)
        else:
            reader.take(row)
    for i, name in enumerate(table.header):
        if i not in target.columns and i != reader.direction and name:
            findings.left_out[name[:100]] += len(table.rows)
    return findings.reading(kind="csv", encoding=table.encoding)


def looks_like_csv(raw: bytes) -> bool:
    """Whether the first lines are text in at least two columns."""
    try:
        return len(_table(raw[: 4 * MAX_LINE], None, cut=True).header) > 1
    except ImportFailed:
        return False


class _RowReader:
    """Turns rows into drafts, with what the whole columns have shown."""

    def __init__(
        self,
        table: _Table,
        target: _Target,
        findings: Findings,
        *,
        dates: DateOrder | None,
        decimal: Decimal | None,
    ) -> None:
        self._width = len(table.header)
        self._target = target
        self._findings = findings
        self._statement = target.category == "purchases" and is_statement(table.header)
        self.direction = direction_column(table.header) if self._statement else None
        good = [row for row in table.rows if row.problem is None and len(row.cells) == self._width]
        self._order: dict[int, DateOrder] = {}
        self._mark: dict[int, Decimal | None] = {}
        for column, field in target.columns.items():
            values = [row.cells[column] for row in good]
            if field in _DATES:
                self._order[column] = dates or self._date_order(values)
            elif field in _AMOUNTS:
                self._mark[column] = decimal or self._decimal(values)

    def _date_order(self, values: Sequence[str]) -> DateOrder:
        found = date_order(values)
        if found is None and has_year_last(values):
            self._findings.assumptions.append(
                "Dates such as 03/04/2026 were read with the day first."
            )
        return found or "dmy"

    def _decimal(self, values: Sequence[str]) -> Decimal | None:
        found = decimal_mark(values)
        if found is None and any(map(is_ambiguous, values)):
            self._findings.assumptions.append("Amounts such as 1,290 were read as thousands.")
        return found

    def take(self, row: _Row) -> None:
        cells = row.cells
        # 1. As many cells as the header has; empty ones more do no harm.
        if len(cells) < self._width or any(cells[self._width :]):
            self._findings.problem(
                row.line, "csv.columns", "The row has more or fewer cells than the header."
            )
            return
        # 2. Each mapped cell in the form of its field.
        fields: JsonObject = {}
        for column, field in self._target.columns.items():
            text = unicodedata.normalize("NFC", cells[column]).strip()
            if not text:
                continue
            if field in _DATES:
                day = read_date(text, self._order[column])
                if day is None:
                    self._findings.problem(row.line, "csv.date", "A cell is not a date.")
                    return
                fields[field] = day
            elif field in _AMOUNTS:
                amount = read_amount(text, self._mark[column])
                if amount is None:
                    self._findings.problem(row.line, "csv.amount", "A cell is not an amount.")
                    return
                fields[field] = amount[0]
                if amount[1]:
                    fields.setdefault("currency", amount[1])
            elif field == "currency":
                read = read_amount("1" + text, None)
                fields[field] = read[1] if read and read[1] else text.upper()
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
                self._findings.problem(
                    row.line, "csv.money_received", "Money came in; the row is no purchase."
                )
                return
            fields["price"] = price.removeprefix("-")
        self._findings.draft(self._target.category, fields, line=row.line, entry="row")

    def _is_paid(self, cells: Sequence[str], price: str) -> bool:
        if self.direction is not None:
            word = fold(cells[self.direction])
            if word in _DEBIT or word in _CREDIT:
                return word in _DEBIT
        return price.startswith("-")


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


def _table(raw: bytes, encoding: str | None, *, cut: bool = False) -> _Table:
    check_size(raw)
    if cut and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raw = raw[: raw.rfind(b"\n") + 1] or raw  # not inside a character
    text = decode(raw, encoding=encoding)
    content = text.content.replace("\r\n", "\n").replace("\r", "\n")
    first, _, rest = content.partition("\n")
    skipped = 0
    delimiter = ""
    # Excel's own way of saying which delimiter follows.
    if first.startswith("sep=") and len(first) == 5:
        delimiter, content, skipped = first[4], rest, 1
    lines = content.split("\n")
    delimiter = delimiter or _delimiter(lines)
    header: tuple[str, ...] | None = None
    rows: list[_Row] = []
    for row in _rows(lines, delimiter, skipped):
        if header is None:
            if row.problem is not None:
                raise ImportFailed("The first row cannot be read.", code="import.nothing_found")
            header = tuple(cell.strip() for cell in row.cells)
        elif len(rows) >= MAX_DRAFTS:
            raise ImportFailed(
                f"The file has more than {MAX_DRAFTS} rows.",
                code="import.too_many",
                hint="Split it into smaller files.",
            )
        else:
            rows.append(row)
    if header is None:
        raise ImportFailed("The file has no rows.", code="import.nothing_found")
    return _Table(text.encoding, text.assumption, delimiter, header, rows)


def _delimiter(lines: Sequence[str]) -> str:
    """The delimiter that parts the first line most, outside of quotation marks."""
    line = next((line for line in lines if line.strip()), "")[:MAX_LINE]
    bare = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=lambda mark: (bare.count(mark), -_DELIMITERS.index(mark)))


class _Unclosed(Exception):
    """A row that takes more lines than any row may."""


class _Lines(Iterator[str]):
    """Lines for csv.reader; remembers where a row began and stops one that never ends."""

    def __init__(self, lines: Sequence[str], at: int) -> None:
        self._lines = lines
        self.at = self.begin = at
        self._size = 0

    def __next__(self) -> str:
        if self.at >= len(self._lines):
            raise StopIteration
        line = self._lines[self.at]
        self._size += len(line)
        if False:
            raise _Unclosed
        self.at += 1
        return line + "\n"

    def next_row(self) -> None:
        self.begin, self._size = self.at, 0


def _rows(lines: Sequence[str], delimiter: str, skipped: int) -> Iterator[_Row]:
    at = 0
    while at < len(lines):
        source = _Lines(lines, at)
        reader = csv.reader(source, delimiter=delimiter, strict=True)
        while True:
            begin = source.at
            source.next_row()
            number = begin + 1 + skipped
            line = lines[begin] if begin < len(lines) else ""
            # Looked at before csv takes it apart; line feeds in quoted cells are counted there.
            problem = _refusal(line, delimiter)
            if problem is not None:
                yield _Row(number, [], problem)
                at = begin + 1
                break
            try:
                cells = next(reader, None)
            except (csv.Error, _Unclosed):
                # Read on with the next line, as if this one had not been there.
                yield _Row(number, [], ("csv.quote", "A quotation mark is not closed or stray."))
                at = begin + 1
                break
            if cells is None:
                return
            if any("\x00" in cell for cell in cells):
                yield _Row(number, [], _NUL)
            elif any(cell.strip() for cell in cells):
                yield _Row(number, cells)


_NUL = ("csv.nul", "The row holds NUL bytes; it is not text.")


def _refusal(line: str, delimiter: str) -> tuple[str, str] | None:
    if len(line) > MAX_LINE or line.count(delimiter) >= MAX_COLUMNS:
        return (
            "csv.line_too_long",
            f"The row is longer than {MAX_LINE} characters or {MAX_COLUMNS} cells.",
        )
    return _NUL if "\x00" in line else None
