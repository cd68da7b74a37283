"""JSON read strictly, once, at the edge; and its one canonical form (JCS, RFC 8785).

Reading has two paths with one verdict. The quick one lets orjson read the text and write it
again: when the same bytes come back, no key was given twice (a dict would have lost it), nothing
was escaped in an unusual way, and no number was rounded. Looking for the traces of floats and
counting brackets then excludes floats and deep nesting. Whatever is not shown to be harmless that
way goes to the careful path, which alone refuses, with the reason.

Writing has two paths as well. orjson's sorted output is the JCS form when all keys are ASCII
(orjson sorts by UTF-8 bytes, JCS by UTF-16 units: equal there) and all numbers are integers
within 2^53; string escapes are the same for every code point. Everything else goes to ``rfc8785``,
which is loaded then: most programs never need it.
"""

import hashlib
import json
import math
import re
from typing import Any, NoReturn, TypeAlias, cast

import orjson

from did.errors import JsonError
from did.multikey import multihash_of_sha256

# Floats are in the type because JCS has a form for them and imported files contain them;
# parse() gives none unless it is asked to.
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]

MAX_BYTES = 1_048_576
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1

# A string token, or an unterminated one up to the end: because it always matches, no text makes
# the search start over, and the scan stays linear.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
# Without digits and signs, every float in compact JSON is one of [ , : followed by . or e.
# From here on RFC 8785 writes numbers with an exponent.
_EXPONENT = 1e21
_FLOAT_TRACE = b":."
_FLOAT_MARKS = bytes.maketrans(b"[,eE", b"::..")
_NUMBER_CHARACTERS = b"-0123456789"
_NOT_BRACKETS = bytes(c for c in range(256) if c not in b"[]{}")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(raw: bytes | str, *, max_bytes: int = MAX_BYTES, allow_floats: bool = False) -> Json:
    """Read one JSON text and return its value.

    Guaranteed about the value: it came from UTF-8 without a byte order mark, of at most
    ``max_bytes`` bytes; no object had a key twice, however the keys were escaped; every string is
    well-formed Unicode; integers lie within ±(2^53 − 1); containers nest at most 32 deep; and
    there are no floats (with ``allow_floats``: only finite ones).

    Raises ``JsonError`` with one of the codes ``json.too_large``, ``json.bom``,
    ``json.encoding``, ``json.depth``, ``json.syntax``, ``json.duplicate_key``,
    ``json.surrogate``, ``json.integer_range``, ``json.float``, ``json.number``.
    """
    raw = _checked_size(raw, max_bytes)
    value = _parse_quickly(raw)
    if value is None:
        value = _parse_carefully(raw, allow_floats=allow_floats)
    return value


def parse_object(
    raw: bytes | str, *, max_bytes: int = MAX_BYTES, allow_floats: bool = False
) -> JsonObject:
    """``parse`` for a text that must be an object; otherwise ``json.not_an_object``."""
    value = parse(raw, max_bytes=max_bytes, allow_floats=allow_floats)
    if not isinstance(value, dict):
        raise JsonError("the JSON text must be an object", code="json.not_an_object")
    return value


def canonicalize(value: Json) -> bytes:
    """The JCS form (RFC 8785) of a value: the same bytes whoever writes it.

    Raises ``JsonError`` for what has none: ``json.integer_range`` beyond ±(2^53 − 1),
    ``json.number`` for NaN and infinities, ``json.surrogate``, ``json.depth`` for nesting that
    cannot be written, ``json.type`` for anything that is not JSON.
    """
    try:
        if _is_plain(value):
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        pass  # a key that is no string, or a lone surrogate; said below
    return _canonicalize_any(value)


def _canonicalize_any(value: Json) -> bytes:
    import rfc8785

    try:
        return rfc8785.dumps(cast(Any, value))
    except rfc8785.IntegerDomainError:
        _integer_range()
    except rfc8785.FloatDomainError:
        raise JsonError("NaN and infinities have no JSON form", code="json.number") from None
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        if isinstance(error, UnicodeError) or isinstance(error.__cause__, UnicodeError):
            _lone_surrogate()
        raise JsonError("the value is not JSON", code="json.type") from None
    except RecursionError:
        _too_deep()


def digest(value: JsonObject) -> str:
    """SHA-256 over the JCS form of an object without its top-level ``proof``.

    Returns a multibase multihash (``uEi…``, 47 characters): the name by which signed objects
    refer to one another. Raises as ``canonicalize`` does.
    """
    return multihash_of_sha256(hashlib.sha256(canonicalize(without_proof(value))).digest())


def without_proof(value: JsonObject) -> JsonObject:
    """An object without its top-level ``proof``: itself if it has none, or else a copy."""
    return without(value, "proof")


def without(value: JsonObject, name: str) -> JsonObject:
    """An object without the property of this name: itself if it has none, or else a copy."""
    if name not in value:
        return value
    rest = value.copy()
    del rest[name]
    return rest


def _checked_size(raw: bytes | str, max_bytes: int) -> bytes:
    # Characters are counted first, so that no huge text is encoded.
    if len(raw) <= max_bytes:
        if isinstance(raw, str):
            try:
                raw = raw.encode()
            except UnicodeEncodeError:
                _lone_surrogate()
        if len(raw) <= max_bytes:
            return raw
    raise JsonError(f"a JSON text must not exceed {max_bytes} bytes", code="json.too_large")


def _parse_quickly(raw: bytes) -> Json:
    """The value of a text that is beyond doubt; None when the careful path must judge it."""
    try:
        value: Json = orjson.loads(raw)
        if orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) != raw:
            return None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    if (
        type(value) is dict
        and raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH
        and _FLOAT_TRACE not in raw.translate(_FLOAT_MARKS, _NUMBER_CHARACTERS)
    ) or _is_plain(value):
        return value
    return None


def _is_plain(value: object) -> bool:
    """Whether orjson's form is beyond doubt: exact JSON types, ASCII keys, integers within 2^53,
    no floats, at most 32 deep. Goes level by level, so it cannot recurse."""
    level: list[object] = [value]
    room = MAX_DEPTH
    while level:
        deeper: list[object] = []
        for item in level:
            kind = type(item)
            if kind is str:
                continue
            if kind is dict:
                members = cast("dict[str, object]", item)
                if room == 0 or not "".join(members).isascii():
                    return False
                deeper += members.values()
            elif kind is list:
                if room == 0:
                    return False
                deeper += cast("list[object]", item)
            elif kind is int:
                if not -MAX_INTEGER <= cast(int, item) <= MAX_INTEGER:
                    return False
            elif kind is not bool and item is not None:
                return False
        level = deeper
        room -= 1
    return True


def _parse_carefully(raw: bytes, *, allow_floats: bool) -> Json:
    # 1. Encoding: UTF-8 without a byte order mark (RFC 8259 §8.1). json.loads() would guess
    #    UTF-16 and UTF-32 from bytes, so it is only ever given text.
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise JsonError(
            "a JSON text must not begin with a byte order mark",
            code="json.bom",
            hint="Save it as UTF-8 without a byte order mark.",
        )
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise JsonError("a JSON text must be UTF-8", code="json.encoding") from None
    # 2. Depth, before anything recurses into it.
    _check_depth(raw)

    # 3. Grammar, repeated keys and numbers, as they are read.
    def read_float(token: str) -> float:
        if not allow_floats:
            raise JsonError(
                "numbers must be integers",
                code="json.float",
                hint="Write decimals as strings, or amounts in the smallest unit.",
            )
        number = float(token)
        if not math.isfinite(number):
            raise JsonError("a number is too large to be kept", code="json.number")
        if MAX_INTEGER < abs(number) < _EXPONENT and number.is_integer():
            _integer_range()  # its canonical form would be such an integer
        return number

    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=read_float,
            parse_constant=_constant,
        )
    except (ValueError, RecursionError):
        raise JsonError("the text is not JSON", code="json.syntax") from None
    # 4. Strings: an escape may have named half of a surrogate pair (I-JSON, RFC 7493 §2.1).
    if _SURROGATE_ESCAPE.search(text) is not None:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            _lone_surrogate()
    return value


def _check_depth(raw: bytes) -> None:
    depth = 0
    for bracket in _STRING.sub(b"", raw).translate(None, _NOT_BRACKETS):
        if bracket in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                _too_deep()
        else:
            depth -= 1


def _object(pairs: list[tuple[str, Json]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonError("an object must not have a key twice", code="json.duplicate_key")
    return members


def _integer(token: str) -> int:
    # Seventeen characters hold every allowed integer; int() is slow on very long ones.
    if len(token) > 17 or not -MAX_INTEGER <= (number := int(token)) <= MAX_INTEGER:
        _integer_range()
    return number


def _constant(_token: str) -> NoReturn:
    raise JsonError("NaN and infinities are not JSON", code="json.number")


def _too_deep() -> NoReturn:
    raise JsonError(f"JSON must not nest deeper than {MAX_DEPTH}", code="json.depth")


def _integer_range() -> NoReturn:
    raise JsonError(
        "integers must lie within ±(2^53 − 1)",
        code="json.integer_range",
        hint="Write larger numbers as strings.",
    )


def _lone_surrogate() -> NoReturn:
    raise JsonError("strings must not hold half of a surrogate pair", code="json.surrogate")
