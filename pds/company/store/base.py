"""What the parts of the store share: reading and writing columns."""

from datetime import datetime

from did.json import Json, JsonObject, canonicalize, parse, parse_object
from did.time import format_time, parse_time

# A decision carries up to a hundred credentials.
_MOST = 4 * 1_048_576


def to_text(value: Json) -> str:
    return canonicalize(value).decode()


def to_object(text: str) -> JsonObject:
    return parse_object(text, max_bytes=_MOST)


def to_list(text: str) -> list[Json]:
    value = parse(text, max_bytes=_MOST)
    return value if isinstance(value, list) else []


def time_text(time: datetime | None) -> str | None:
    return None if time is None else format_time(time)


def maybe_time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
