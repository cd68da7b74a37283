"""CBOR inside proof values, read as strictly as it is written (RFC 8949 §4.2.1).

One value has one encoding here, so whoever copies a proof cannot make a second one of it. Nothing
is read but integers, byte and text strings, and one level of arrays and maps inside an array.
"""

from typing import Any, Final, Never

import cbor2

from credentials.errors import ProofInvalid

# An array, and arrays or maps in it. Keys of maps stay flat with it, whatever is sent.
_MAX_DEPTH: Final = 2


class _NoTags(dict[int, Any]):
    """What the library asks for the meaning of a tag: a regular expression, a huge fraction, …"""

    def __missing__(self, _tag: int) -> Never:
        raise ValueError("no tags here")


_NO_TAGS: Final = _NoTags()


def encode(value: list[Any]) -> bytes:
    """The deterministic encoding of an array."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes) -> list[Any]:
    """The array in these bytes; the caller has bounded their number, and checks what is in it.

    Refused are tags, indefinite lengths, repeated keys, deep nesting, bytes left over, and any
    encoding but the deterministic one: ``ProofInvalid`` (``proof.value``).
    """
    try:
        value = cbor2.loads(
            data,
            semantic_decoders=_NO_TAGS,
            max_depth=_MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        )
        if type(value) is list and encode(value) == data:
            return value
    except (cbor2.CBORError, ArithmeticError, LookupError, TypeError, ValueError):
        pass
    raise ProofInvalid(
        "the proof value must hold one array in deterministic CBOR",
        code="proof.value",
        pointer="/proof/proofValue",
    )
