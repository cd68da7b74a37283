"""Single values of what a stranger sent. A reader returns the value, with its type, or raises.

What they raise is ``ValueError``, or ``DidError`` where a digest is misspelt: whoever reads a
whole object turns both into one error of its own.
"""

from did.json import MAX_INTEGER, JsonObject
from did.multikey import check_multihash


def members(value: JsonObject, names: set[str]) -> None:
    """Return if the object has exactly these members."""
    if value.keys() != names:
        raise ValueError


def text(value: object) -> str:
    """A string, of any length."""
    if not isinstance(value, str):
        raise ValueError
    return value


def flag(value: object) -> bool:
    """``true`` or ``false``."""
    if not isinstance(value, bool):
        raise ValueError
    return value


def integer(value: object, *, least: int = 0) -> int:
    """A whole number from ``least`` to 2^53 − 1."""
    # A bool is an int in Python, and 1 == True.
    if type(value) is not int or not least <= value <= MAX_INTEGER:
        raise ValueError
    return value


def digest(value: object) -> str:
    """A SHA-256 multihash in its one spelling (``uEi…``)."""
    multihash = text(value)
    check_multihash(multihash)
    return multihash


def object_(value: object) -> JsonObject:
    """A JSON object."""
    if not isinstance(value, dict):
        raise ValueError
    return value
