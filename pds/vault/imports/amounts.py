"""Dates and amounts as people and shops write them, read without floats.

``12/15/2018`` and ``1,290`` have two meanings. A whole column is looked at first: one value that
can only be read one way decides for all of them. When none does, the European reading is taken,
and the caller is told that it was a guess.
"""

import re
from datetime import date
from typing import Literal

DateOrder = Literal["dmy", "mdy"]
Decimal = Literal[",", "."]

_ISO = re.compile(r"([0-9]{4})[-/. ]{1,2}([0-9]{1,2})[-/. ]{1,2}([0-9]{1,2})\.?(?:[T ].{0,40})?")
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_YEAR_LAST = re.compile(r"([0-9]{1,2})[-/. ]{1,2}([0-9]{1,2})[-/. ]{1,2}([0-9]{4})(?:[T ].{0,40})?")
_SPACES = re.compile(r"[\s\u00a0\u2009\u202f]+")
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-"})
# A space inside a number that does not part thousands.
_BAD_SPACE = re.compile(r"[0-9][\s\u00a0\u2009\u202f]+(?![0-9]{3}(?![0-9]))[0-9]")
# Of a fraction, whether it could be no group of three digits.
_COMMON = re.compile(r"-?[1-9][0-9]{0,14}(\.(?:([0-9]{1,2}|[0-9]{4,6})|[0-9]{3}))?")
_NUMBER = re.compile(r"[0-9][0-9.,'’]{0,30}")
_GROUPED = re.compile(r"[0-9]{1,3}([.,'’][0-9]{3})+")
_CURRENCIES = {"ft": "HUF", "huf": "HUF", "€": "EUR", "eur": "EUR", "usd": "USD", "gbp": "GBP",
               "£": "GBP", "chf": "CHF", "pln": "PLN", "zł": "PLN", "ron": "RON", "lei": "RON",
               "czk": "CZK", "kč": "CZK", "$": ""}  # fmt: skip
_AMBIGUOUS = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}[.,][0-9]{3}(?![0-9.,])")
_PLAIN = re.compile(r"([+-]?)(?=[.]?[0-9])([0-9]{0,30})(?:[.]([0-9]{0,40}))?")
_UNIT = re.compile(r"[^\W\d_]{1,3}|[€£$]")


class DateOrderVotes:
    """What a column of dates with the year last shows, value by value.

    A column with both orders raises nothing here: the rows of the minority will not read.
    """

    def __init__(self) -> None:
        self._day_first = self._month_first = 0
        self.is_open = False  # whether any date has its year last

    def add(self, value: str) -> None:
        match = _YEAR_LAST.fullmatch(value.strip())
        if match is not None:
            self.is_open = True
            self._day_first += int(match[1]) > 12
            self._month_first += int(match[2]) > 12

    @property
    def order(self) -> DateOrder | None:
        """None when nothing decides."""
        if self._day_first == self._month_first:
            return None
        return "dmy" if self._day_first > self._month_first else "mdy"


def read_date(text: str, order: DateOrder) -> str | None:
    """``YYYY-MM-DD`` from ISO, ``2026.11.21.``, ``20261121``, ``21/11/2026``; None for others."""
    text = text.strip()
    match = _ISO.fullmatch(text) or _COMPACT.fullmatch(text)
    if match is not None:
        year, month, day = match[1], match[2], match[3]
    else:
        match = _YEAR_LAST.fullmatch(text)
        if match is None:
            return None
        year = match[3]
        day, month = (match[1], match[2]) if order == "dmy" else (match[2], match[1])
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


class DecimalVotes:
    """What a column of amounts shows to be its decimal mark, value by value."""

    def __init__(self) -> None:
        self._seen = {".": 0, ",": 0}
        self.is_open = False  # whether any amount could be a thousand or a fraction: 1,290

    def add(self, value: str) -> None:
        if value.isdigit():
            return
        self.is_open = self.is_open or _AMBIGUOUS.search(value) is not None
        number = _NUMBER.search(_SPACES.sub("", value))
        if number is None:
            return
        text = number[0]
        last = max(text.rfind("."), text.rfind(","))
        if last < 0:
            return
        mark = text[last]
        other = "," if mark == "." else "."
        if other in text or (text.count(mark) == 1 and len(text) - last - 1 != 3):
            self._seen[mark] += 1
        elif text.count(mark) > 1:
            self._seen[other] += 1

    @property
    def mark(self) -> Decimal | None:
        """None when nothing decides."""
        if self._seen["."] == self._seen[","]:
            return None
        return "." if self._seen["."] > self._seen[","] else ","


def read_amount(text: str, mark: Decimal | None) -> tuple[str, str] | None:
    """An amount as decimal text and its currency ("" if it names none); None if it is none.

    Takes ``1 290,00``, ``1.290,00``, ``1,533.50``, ``-12``, ``(12.50)``, ``1290 Ft``. Without a
    ``mark`` one separator before exactly three digits groups thousands.
    """
    plain = _COMMON.fullmatch(text)
    if plain is not None and (plain[1] is None or mark == "." or (mark is None and plain[2])):
        return text, ""  # as most programs write them, and as it is kept
    if _BAD_SPACE.search(text) is not None:
        return None
    text = _SPACES.sub("", text).translate(_MINUS)
    negative = text.startswith("(") and text.endswith(")")
    if negative:
        text = text[1:-1]
    currency = ""
    units = _UNIT.findall(text)
    if units:
        known = _CURRENCIES.get(units[0].lower())
        bare = text.strip("-+")
        at_an_end = bare.startswith(units[0]) or bare.endswith(units[0])
        if len(units) > 1 or known is None or not at_an_end:
            return None
        currency, text = known, text.replace(units[0], "", 1)
    if text.startswith(("-", "+")):
        negative, text = negative or text[0] == "-", text[1:]
    if text.endswith((".-", ",-")):
        text = text[:-2]
    if _NUMBER.fullmatch(text) is None:
        return None
    whole, fraction = _parts(text, mark)
    if (fraction and not fraction.isdigit()) or not _is_grouped(whole):
        return None
    digits = re.sub(r"[^0-9]", "", whole).lstrip("0") or "0"
    number = f"{digits}.{fraction}" if fraction else digits
    return ("-" + number if negative and number.strip("0.") else number), currency


def _parts(text: str, mark: Decimal | None) -> tuple[str, str]:
    last = max(text.rfind("."), text.rfind(","))
    if last < 0:
        return text, ""
    found = text[last]
    other = "," if found == "." else "."
    only_one = text.count(found) == 1
    three = len(text) - last - 1 == 3
    groups = not only_one or (other not in text and three and mark != found)
    if groups and mark != found:
        return text, ""
    return text[:last], text[last + 1 :]


def _is_grouped(whole: str) -> bool:
    return whole.isdigit() or (
        _GROUPED.fullmatch(whole) is not None and len(set(whole) & set(".,'’")) == 1
    )


def plain_decimal(text: str, *, places: int) -> str:
    """A number of a machine as decimal text: no sign before what is not negative, no zeros before
    it, and none after it beyond ``places``. Empty for what is no number.

    Nothing is rounded: where more digits are left, a schema refuses them.
    """
    match = _PLAIN.fullmatch(text.strip())
    if match is None:
        return ""
    whole, fraction = match[2].lstrip("0") or "0", match[3] or ""
    if len(fraction) > places:
        fraction = fraction[:places] + fraction[places:].rstrip("0")
    number = f"{whole}.{fraction}" if fraction else whole
    return f"-{number}" if match[1] == "-" and number.strip("0.") else number
