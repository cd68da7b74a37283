"""CSV: from text to rows of cells, each with the number of its first line.

Python's csv module takes rows apart; around it stand the limits, the guessing of encoding and
delimiter, and a way on after a quotation mark that is never closed. No more than one row is held.
"""

import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .plan import ImportFailed
from .source import Source
from .text import Encoding, find_encoding, open_text

MAX_LINE = 65_536
MAX_COLUMNS = 256
MAX_ROW_LINES = 200

_DELIMITERS = ",;\t|"


class Row(NamedTuple):
    """One row, or the ``problem`` (code, sentence) for which it cannot be read."""

    line: int
    cells: list[str]
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """A file as a header and, each time anew, its rows."""

    source: Source
    encoding: Encoding
    delimiter: str
    header: tuple[str, ...]

    @classmethod
    def of(cls, source: Source, *, encoding: str | None = None) -> "Table":
        """Raises ImportFailed ``import.encoding``, ``import.nothing_found``."""
        found = find_encoding(source, encoding=encoding)
        delimiter = ""
        with open_text(source, found) as text:
            first = text.readline(MAX_LINE)
            delimiter = _said(first)
            while first and not delimiter and not first.strip():
                first = text.readline(MAX_LINE)
        table = cls(source, found, delimiter or _delimiter(first), ())
        header = next(table._all(), None)
        if header is None:
            raise ImportFailed("The file has no rows.", code="import.nothing_found")
        if header.problem is not None:
            raise ImportFailed("The first row cannot be read.", code="import.nothing_found")
        return cls(source, found, table.delimiter, tuple(cell.strip() for cell in header.cells))

    def rows(self) -> Iterator[Row]:
        """The rows beneath the header."""
        rows = self._all()
        next(rows, None)
        return rows

    def _all(self) -> Iterator[Row]:
        with open_text(self.source, self.encoding) as text:
            lines = _Lines(text)
            if _said(lines.peek() or ""):
                lines.skip()
            yield from _rows(lines, self.delimiter)


def _said(line: str) -> str:
    """Excel's own way of saying which delimiter follows."""
    line = line.removesuffix("\n")
    return line[4] if line.startswith("sep=") and len(line) == 5 else ""


def _delimiter(line: str) -> str:
    """The delimiter that parts a line most, outside of quotation marks."""
    bare = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=lambda mark: (bare.count(mark), -_DELIMITERS.index(mark)))


class _Unclosed(Exception):
    """A row that takes more lines than any row may."""


class _Lines(Iterator[str]):
    """Lines for csv.reader; knows those of the row at hand, and can go back to its second one."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._ahead: deque[str] = deque()
        self._row: list[str] = []
        self._size = 0
        self.number = 0  # of the row's first line

    def peek(self) -> str | None:
        """The next line without taking it; of a longer one than allowed only a beginning."""
        if not self._ahead:
            line = self._text.readline(MAX_LINE + 2)
            if not line:
                return None
            if not line.endswith("\n"):
                rest = line
                while rest and not rest.endswith("\n"):
                    rest = self._text.readline(MAX_LINE)
            self._ahead.append(line.removesuffix("\n"))
        return self._ahead[0]

    def __next__(self) -> str:
        if len(self._row) >= MAX_ROW_LINES or self._size > MAX_LINE:
            raise _Unclosed
        line = self.peek()
        if line is None:
            raise StopIteration
        self._ahead.popleft()
        self._row.append(line)
        self._size += len(line)
        return line + "\n"

    def next_row(self) -> None:
        self.number += max(len(self._row), 1)
        self._row.clear()
        self._size = 0

    def skip(self) -> None:
        """Leave out the next line."""
        self._ahead.popleft()
        self.number += 1

    def back(self) -> None:
        """Begin again with the second line of the row, as if the first had not been there."""
        self._ahead.extendleft(reversed(self._row[1:]))
        del self._row[1:]


def _rows(lines: _Lines, delimiter: str) -> Iterator[Row]:
    while True:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            lines.next_row()
            # Looked at before csv takes it apart; line feeds in quoted cells are counted there.
            line = lines.peek()
            if line is None:
                return
            # Without quotation marks there is nothing to take apart with care: as most rows are.
            if len(line) < MAX_COLUMNS and '"' not in line and "\x00" not in line:
                next(lines)
                if line and not line.isspace():
                    cells = line.split(delimiter)
                    if any(map(str.strip, cells)):
                        yield Row(lines.number, cells)
                continue
            if len(line) > MAX_LINE or line.count(delimiter) >= MAX_COLUMNS:
                next(lines)
                yield Row(
                    lines.number,
                    [],
                    (
                        "csv.line_too_long",
                        f"The row is longer than {MAX_LINE} characters or {MAX_COLUMNS} cells.",
                    ),
                )
                break
            try:
                cells = next(reader)
            except (csv.Error, _Unclosed):
                lines.back()
                yield Row(
                    lines.number, [], ("csv.quote", "A quotation mark is not closed or stray.")
                )
                break
            if "\x00" in "".join(cells):
                yield Row(lines.number, [], ("csv.nul", "The row holds NUL bytes; it is not text."))
            elif any(cell.strip() for cell in cells):
                yield Row(lines.number, cells)
