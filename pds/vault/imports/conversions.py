"""The conversions that a service's description names: from what a file says to what a field takes.

Each takes the values found at a place, as texts (numbers as they were written), and gives a text,
or a list, or None where there is nothing that can be kept. A new conversion is a function here and
a row in ``CONVERSIONS``; ``docs/imports.md`` lists them.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from did.json import Json

from .amounts import read_amount, read_date
from .moments import moment
from .text import clean

Values: TypeAlias = Sequence[Any]
Conversion: TypeAlias = Callable[[Values, str], Json]

MAX_LIST = 200
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]+")
_HALF = re.compile("[\ud800-\udfff]")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{0,60})?(?:[eE][+-]?[0-9]{1,3})?")
_GEO = re.compile(r"(?:geo:)?\s*(-?[0-9]{1,3}(?:\.[0-9]{1,40})?)°?\s*,\s*"
                  r"(-?[0-9]{1,3}(?:\.[0-9]{1,40})?)°?(?:[;,].{0,40})?")  # fmt: skip
_CLOCK = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,3}):([0-9]{1,2})(?:\.[0-9]{1,9})?")
_BARE_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
                        r"(?:\.[0-9]{1,9})?(?:Z?\[?UTC\]?| UTC|Z)?")  # fmt: skip
_US_TIME = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}) ([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
                      r"(?: UTC)?")  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ODD_DIGITS = 12


def plain(value: Any) -> str:
    """A value as text that can be kept: nothing unseen in it; empty for what is no text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str):
        return ""
    text = value if value.isascii() else _HALF.sub("\ufffd", value)
    return clean(_NOT_TEXT.sub(" ", text))


def mend(value: Any) -> Any:
    """A text whose UTF-8 was read as Latin-1, as it was meant; any other as it is."""
    if not isinstance(value, str) or value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except ValueError:
        return value


def _first(values: Values) -> str:
    return next((text for value in values if (text := plain(value))), "")


def _text(values: Values, _: str) -> Json:
    return _first(values) or None


def _list(values: Values, _: str) -> Json:
    found: list[Json] = list(dict.fromkeys(filter(None, map(plain, values))))
    return found[:MAX_LIST] or None


def _join(values: Values, glue: str) -> Json:
    return (glue or "\n").join(dict.fromkeys(filter(None, map(plain, values)))) or None


def _after(values: Values, prefix: str) -> Json:
    text = _first(values)
    return text.removeprefix(prefix).strip() or None


def _moment(values: Values, _: str) -> Json:
    return moment(_first(values)) or None


def _utc(values: Values, _: str) -> Json:
    """A time without an offset, of which the service says that it is UTC."""
    text = _first(values)
    match = _BARE_TIME.fullmatch(text)
    if match is not None:
        return moment(f"{match[1]}T{match[2]}Z") or None
    match = _US_TIME.fullmatch(text)
    if match is not None:
        return moment(f"{match[3]}-{match[1]:0>2}-{match[2]:0>2}T{match[4]}Z") or None
    return moment(text) or None


def _epoch(values: Values, unit: str) -> Json:
    text = _first(values)
    if _INTEGER.fullmatch(text) is None:
        return None
    number = int(text)
    if number <= 0:
        return None
    try:
        at = _EPOCH + timedelta(**{unit or "seconds": number})
    except OverflowError:
        return None
    return f"{at.replace(tzinfo=None, microsecond=0).isoformat()}Z"


def _day(values: Values, order: str) -> Json:
    text = _first(values)
    known = read_date(text, "mdy" if order == "mdy" else "dmy")
    return known or (moment(text)[:10] if len(moment(text)) >= 10 else None)


def _birthday(values: Values, _: str) -> Json:
    """A day in parts: year, month, day."""
    for value in values:
        if isinstance(value, dict):
            year, month, day = (plain(value.get(name)) for name in ("year", "month", "day"))
            if all(map(str.isdecimal, (month, day))):
                known = f"{year:0>4}" if year.isdecimal() and int(year) else "-"
                return f"{known}-{month:0>2}-{day:0>2}"
    return _day(values, "")


def _decimal(values: Values, places: str) -> Json:
    """A number of a machine; digits beyond twelve behind the point (or ``places``) are cut off."""
    return _cut(_first(values), int(places or _ODD_DIGITS))


def _cut(text: str, places: int, scale: int = 0) -> str | None:
    if _DECIMAL.fullmatch(text) is None:
        return None
    try:
        number = Decimal(text).scaleb(scale)
    except InvalidOperation:
        return None
    if not -40 < number.adjusted() < 40:
        return None if number else "0"
    whole, point, fraction = f"{number:f}".partition(".")
    fraction = fraction[:places].rstrip("0")
    text = whole + (point + fraction if fraction else "")
    return "0" if text == "-0" else text


def _e7(values: Values, _: str) -> Json:
    """Degrees in ten millionths."""
    text = _first(values)
    return _cut(text, 7, -7) if _INTEGER.fullmatch(text) else None


def _latitude(values: Values, _: str) -> Json:
    return _degrees(values, 0)


def _longitude(values: Values, _: str) -> Json:
    return _degrees(values, 1)


def _degrees(values: Values, which: int) -> str | None:
    """From ``47.5°, 19.0°`` and ``geo:47.5,19.0``."""
    match = _GEO.fullmatch(_first(values))
    return None if match is None else _cut(match[1 + which], 15)


def _seconds(values: Values, unit: str) -> Json:
    """Whole seconds from a number of ``ms``, or from hours, minutes and seconds (``clock``)."""
    text = _first(values)
    if unit == "clock":
        match = _CLOCK.fullmatch(text)
        return match and str(int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3]))
    number = _cut(text, 0, -3 if unit == "ms" else 0)
    return None if number is None or number.startswith("-") else number


def _amount(values: Values, mark: str) -> Json:
    read = read_amount(_first(values), "," if mark == "," else ".")
    return read[0] if read else None


def _currency(values: Values, _: str) -> Json:
    text = _first(values)
    if re.fullmatch("[A-Za-z]{3}", text):
        return text.upper()
    read = read_amount(text, ".")
    return read[1] or None if read else None


def _query(values: Values, names: str) -> Json:
    """What was searched for, from the query string of an address."""
    text = _first(values)
    if "=" not in text:
        return text or None
    try:
        found = parse_qs(text.partition("?")[2] or text, max_num_fields=100)
    except ValueError:
        return None
    return next((plain(found[name][0]) for name in names.split() if name in found), None) or None


def _percent(values: Values, _: str) -> Json:
    return _cut(_first(values), _ODD_DIGITS, 2)


def started(ended: Values, lasted: Values) -> Json:
    """When something began that ended at a time (in UTC), after so many milliseconds."""
    end, seconds = _utc(ended, ""), _seconds(lasted, "ms")
    if not isinstance(end, str) or not isinstance(seconds, str) or len(seconds) > 9:
        return end
    try:
        at = datetime.fromisoformat(end) - timedelta(seconds=int(seconds))
    except (ValueError, OverflowError, TypeError):
        return end
    return f"{at.replace(tzinfo=None).isoformat()}Z" if at.tzinfo else end


CONVERSIONS: dict[str, Conversion] = {
    "text": _text,
    "list": _list,
    "join": _join,
    "after": _after,
    "moment": _moment,
    "utc": _utc,
    "epoch": _epoch,
    "day": _day,
    "birthday": _birthday,
    "decimal": _decimal,
    "e7": _e7,
    "latitude": _latitude,
    "longitude": _longitude,
    "seconds": _seconds,
    "amount": _amount,
    "currency": _currency,
    "query": _query,
    "percent": _percent,
}
