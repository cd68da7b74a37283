"""Reading what callers send, once, at the edge. What is not as agreed is ``relay.malformed``."""

from collections.abc import Collection, Mapping
from datetime import datetime

from did.errors import DidError
from did.json import Json, JsonObject, parse_object
from did.multikey import b64url_decode, check_multihash
from did.time import parse_time
from pds.relay.errors import Refused
from pds.wire import RelayCode, WireError, check_id

_MAX_INTEGER = 2**53 - 1
# A presentation with a ticket nests five deep. A page of events adds three, and a client reads 32.
_SHALLOW = 8


def malformed() -> Refused:
    return Refused(RelayCode.MALFORMED)


def not_found() -> Refused:
    """The one answer for what is unknown and for what is not the caller's."""
    return Refused(RelayCode.NOT_FOUND)


def read(
    body: bytes, *, max_bytes: int, required: Collection[str], optional: Collection[str] = ()
) -> JsonObject:
    """A JSON object with exactly these members, in at most so many bytes."""
    if len(body) > max_bytes:
        raise Refused(RelayCode.TOO_LARGE)
    try:
        members = parse_object(body, max_bytes=max_bytes)
    except DidError:
        raise malformed() from None
    if not set(required) <= members.keys() <= {*required, *optional}:
        raise malformed()
    return members


def path_id(text: str) -> str:
    """An id in a path; one that cannot exist is as unknown as any other."""
    try:
        return check_id(text)
    except WireError:
        raise not_found() from None


def id_(value: Json) -> str:
    try:
        return check_id(value)
    except WireError:
        raise malformed() from None


def digest(value: Json) -> str:
    try:
        check_multihash(text(value))
    except DidError:
        raise malformed() from None
    return text(value)


def text(value: Json) -> str:
    if not isinstance(value, str):
        raise malformed()
    return value


def integer(value: Json, *, least: int, most: int = _MAX_INTEGER) -> int:
    # A bool is an int in Python, and true == 1.
    if type(value) is not int or not least <= value <= most:
        raise malformed()
    return value


def object_(value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise malformed()
    return value


def octets(value: Json, *, most: int) -> bytes:
    """base64url of 1 to ``most`` bytes; longer ones are ``relay.too_large``."""
    encoded = text(value)
    if len(encoded) > (most * 4 + 2) // 3:
        raise Refused(RelayCode.TOO_LARGE)
    try:
        raw = b64url_decode(encoded)
    except DidError:
        raise malformed() from None
    if not raw:
        raise malformed()
    return raw


def is_shallow(value: Json) -> bool:
    """Whether a value nests no deeper than anything of the protocol does."""
    level: list[Json] = [value]
    for _ in range(_SHALLOW):
        deeper: list[Json] = []
        for one in level:
            if isinstance(one, dict):
                deeper += one.values()
            elif isinstance(one, list):
                deeper += one
        if not deeper:
            return True
        level = deeper
    return not any(isinstance(one, dict | list) for one in level)


def time(value: Json) -> datetime:
    try:
        return parse_time(text(value))
    except DidError:
        raise malformed() from None


def numbers(
    query: Mapping[str, list[str]], names: Collection[str], *, optional: Collection[str] = ()
) -> list[int]:
    """The values of exactly these query parameters, each once and in its one spelling; 0 for
    an optional one that is not there."""
    if not set(names) <= query.keys() <= {*names, *optional}:
        raise malformed()
    values = [query.get(name, ["0"]) for name in (*names, *optional)]
    return [number(value[0]) if len(value) == 1 else _twice() for value in values]


def number(digits: str) -> int:
    """A whole number as it stands in a path or query: no sign, no leading zero."""
    if len(digits) > 16 or not (digits.isascii() and digits.isdigit()):
        raise malformed()
    value = int(digits)
    if str(value) != digits or value > _MAX_INTEGER:
        raise malformed()
    return value


def _twice() -> int:
    raise malformed()
