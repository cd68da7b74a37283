"""What the parts of the store share: reading and writing columns."""

from datetime import datetime

from did.json import Json, JsonObject, canonicalize, parse, parse_object
from did.time import format_time, parse_time
from pds.sealing import MAX_PLAINTEXT

# Whatever came sealed, and was read then, can be read again.
_MOST = MAX_PLAINTEXT


def to_text(value: Json) -> str:
    return canonicalize(value).decode()


def to_object(text: str) -> JsonObject:
    return parse_object(text, max_bytes=_MOST)


def to_value(text: str) -> Json:
    return parse(text, max_bytes=_MOST)


def to_list(text: str) -> list[Json]:
    value = to_value(text)
    return value if isinstance(value, list) else []


def time_text(time: datetime | None) -> str | None:
    return None if time is None else format_time(time)


def maybe_time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
