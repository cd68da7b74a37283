"""CSV: from bytes to rows of cells, each with the number of its first line.

Python's csv module takes rows apart; around it stand the limits, the guessing of encoding and
delimiter, and a way on after a quotation mark that is never closed.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .plan import MAX_DRAFTS, ImportFailed
from .text import check_size, decode

MAX_LINE = 65_536
MAX_COLUMNS = 256
MAX_ROW_LINES = 200

_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """One row, or the ``problem`` (code, sentence) for which it cannot be read."""

    line: int
    cells: list[str]
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """A file as rows; ``assumption`` is a sentence where the encoding had to be guessed."""

    encoding: str
    assumption: str
    delimiter: str
    header: tuple[str, ...]
    rows: list[Row]


def read_table(raw: bytes, encoding: str | None, *, cut: bool = False) -> Table:
    """Take a file apart; ``cut`` says that ``raw`` is only its beginning. Raises ImportFailed."""
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
    rows: list[Row] = []
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
    return Table(text.encoding, text.assumption, delimiter, header, rows)


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
        if self.at - self.begin >= MAX_ROW_LINES or self._size > MAX_LINE:
            raise _Unclosed
        self.at += 1
        return line + "\n"

    def next_row(self) -> None:
        self.begin, self._size = self.at, 0


def _rows(lines: Sequence[str], delimiter: str, skipped: int) -> Iterator[Row]:
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
                yield Row(number, [], problem)
                at = begin + 1
                break
            try:
                cells = next(reader, None)
            except (csv.Error, _Unclosed):
                # Read on with the next line, as if this one had not been there.
                yield Row(number, [], ("csv.quote", "A quotation mark is not closed or stray."))
                at = begin + 1
                break
            if cells is None:
                return
            if any("\x00" in cell for cell in cells):
                yield Row(number, [], ("csv.nul", "The row holds NUL bytes; it is not text."))
            elif any(cell.strip() for cell in cells):
                yield Row(number, cells)


def _refusal(line: str, delimiter: str) -> tuple[str, str] | None:
    if len(line) > MAX_LINE or line.count(delimiter) >= MAX_COLUMNS:
        return (
            "csv.line_too_long",
            f"The row is longer than {MAX_LINE} characters or {MAX_COLUMNS} cells.",
        )
    return None
