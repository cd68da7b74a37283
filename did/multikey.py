"""Bytes as text, with exactly one text for given bytes: base64url, base58btc, multibase, Multikey
and multihash.

A decoder here refuses everything that the encoder would not have written, so two different
texts never name the same key or the same digest.

Sources: RFC 4648 §5 and §3.5, Controlled Identifiers 1.0 §2.2.2 and §2.4, the multicodec and
multihash tables.
"""

import binascii
import hashlib
from enum import Enum
from functools import cache
from typing import Literal

from did.errors import EncodingError, KeyFormatError

# Base conversion takes quadratic time. The longest key in use (ML-DSA-44) needs 1796 characters.
MAX_BASE58_TEXT = 4096
MAX_BASE58_BYTES = 2999  # what always fits into that text

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_NO_DIGIT = 0xFF
# To read digits that stand in one integer, a byte each: width in bits, base, and a mask for the
# lower of each two lanes, until one lane of 128 digits is left.
_LANE = 128
_JOINS = tuple(
    (8 * n, 58**n, int.from_bytes((bytes(n) + b"\xff" * n) * (_LANE // 2 // n)))
    for n in (1, 2, 4, 8, 16, 32, 64)
)
_BASE_LANE = 58**_LANE
_BASE_4, _BASE_8 = 58**4, 58**8
_DIGITS = bytes(_ALPHABET.find(chr(code)) & 0xFF for code in range(256))
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_PADDING = (b"", b"", b"==", b"=")
_SHA2_256 = b"\x12\x20"


class Codec(Enum):
    """A kind of key in a Multikey: multicodec name, code and length in bytes (0: it varies)."""

    SECP256K1_PUB = ("secp256k1-pub", 0xE7, 33)
    BLS12_381_G1_PUB = ("bls12_381-g1-pub", 0xEA, 48)
    BLS12_381_G2_PUB = ("bls12_381-g2-pub", 0xEB, 96)
    X25519_PUB = ("x25519-pub", 0xEC, 32)
    ED25519_PUB = ("ed25519-pub", 0xED, 32)
    BLS12_381_G1G2_PUB = ("bls12_381-g1g2-pub", 0xEE, 144)
    P256_PUB = ("p256-pub", 0x1200, 33)
    P384_PUB = ("p384-pub", 0x1201, 49)
    P521_PUB = ("p521-pub", 0x1202, 67)
    RSA_PUB = ("rsa-pub", 0x1205, 0)
    MLDSA_44_PUB = ("mldsa-44-pub", 0x1210, 1312)
    ED25519_PRIV = ("ed25519-priv", 0x1300, 32)
    X25519_PRIV = ("x25519-priv", 0x1302, 32)
    P256_PRIV = ("p256-priv", 0x1306, 32)
    P384_PRIV = ("p384-priv", 0x1307, 48)

    def __init__(self, table_name: str, code: int, key_length: int) -> None:
        self.table_name = table_name
        self.code = code
        self.key_length = key_length
        # Every code above lies in 0x80–0x3fff: an unsigned varint of two bytes.
        self.prefix = bytes((code & 0x7F | 0x80, code >> 7))


_CODECS = {codec.prefix: codec for codec in Codec}


def b64url_encode(data: bytes) -> str:
    """base64url without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def b64url_decode(text: str) -> bytes:
    """Read base64url without padding.

    Padding, white space, the characters ``+`` and ``/``, and unused bits that are not zero are
    refused: ``EncodingError`` (``encoding.base64url``).
    """
    try:
        padded = text.encode("ascii").translate(_FROM_URL) + _PADDING[len(text) % 4]
        data = binascii.a2b_base64(padded)
    except (UnicodeEncodeError, binascii.Error):
        data = None
    # The decoder skips foreign characters and ignores unused bits; writing it again shows both.
    if data is None or b64url_encode(data) != text:
        raise EncodingError(
            "the text is not canonical base64url without padding", code="encoding.base64url"
        )
    return data


@cache
def _pairs() -> list[str]:
    """Two digits at a time halve the divisions."""
    return [first + second for first in _ALPHABET for second in _ALPHABET]


def base58btc_encode(data: bytes) -> str:
    """base58btc, as Bitcoin writes it; at most 2999 bytes."""
    if len(data) > MAX_BASE58_BYTES:
        raise EncodingError("too many bytes for base58btc", code="encoding.too_long")
    two, parts = _pairs(), list[str]()
    number = int.from_bytes(data, "big")
    # Few long divisions: eight digits each, which fit in one machine word.
    while number:
        number, eight = divmod(number, _BASE_8)
        high, low = divmod(eight, _BASE_4)
        parts.append(two[high // 3364] + two[high % 3364] + two[low // 3364] + two[low % 3364])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(parts)).lstrip("1")


def base58btc_decode(text: str) -> bytes:
    """Read base58btc of at most 4096 characters.

    Raises ``EncodingError`` (``encoding.base58btc``, ``encoding.too_long``).
    """
    if len(text) > MAX_BASE58_TEXT:
        raise EncodingError("the base58btc text is too long", code="encoding.too_long")
    digits = text.encode("ascii", "replace").translate(_DIGITS)
    if _NO_DIGIT in digits:
        raise EncodingError(
            "the text holds a character that base58btc does not have", code="encoding.base58btc"
        )
    number = 0
    for end in range(len(digits) % _LANE or _LANE, len(digits) + 1, _LANE):
        # Digit by digit this would be a good part of verifying a signature. So neighbours are
        # joined, all at once: to lanes of 2 digits, of 4, and so on.
        lane = int.from_bytes(digits[max(end - _LANE, 0) : end])
        for width, base, mask in _JOINS:
            lane = (lane >> width & mask) * base + (lane & mask)
        number = number * _BASE_LANE + lane
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def multibase_encode(data: bytes, base: Literal["z", "u"] = "z") -> str:
    """Multibase: ``z`` base58btc, or ``u`` base64url without padding."""
    if base == "z":
        return "z" + base58btc_encode(data)
    return "u" + b64url_encode(data)


def multibase_decode(text: str) -> bytes:
    """Read multibase of the two bases in use, ``z`` and ``u``.

    Raises ``EncodingError`` (``encoding.multibase`` for another base).
    """
    if text.startswith("z"):
        return base58btc_decode(text[1:])
    if text.startswith("u"):
        return b64url_decode(text[1:])
    raise EncodingError(
        "the text must be multibase in base58btc (z) or base64url (u)", code="encoding.multibase"
    )


def encode_multikey(codec: Codec, key: bytes) -> str:
    """Write a key as a Multikey (``z…``). Raises ``KeyFormatError`` (``key.length``)."""
    _check_length(codec, key)
    return "z" + base58btc_encode(codec.prefix + key)


def decode_multikey(text: str) -> tuple[Codec, bytes]:
    """Read a Multikey: its kind and the bytes of the key.

    Only base58btc is read, so that a key has one spelling. The length is checked, the key itself
    is *not*: points off the curve pass here and are refused by ``did.keys``. Secret keys are read
    too; who wants a public one must look at the kind.

    Raises ``EncodingError``, or ``KeyFormatError`` (``key.codec``, ``key.length``).
    """
    if not text.startswith("z"):
        raise EncodingError(
            "a Multikey must be multibase in base58btc (z)", code="encoding.multibase"
        )
    data = base58btc_decode(text[1:])
    codec = _CODECS.get(data[:2])
    if codec is None:
        raise KeyFormatError("the Multikey is of a kind not known here", code="key.codec")
    key = data[2:]
    _check_length(codec, key)
    return codec, key


def multihash_sha256(data: bytes) -> str:
    """The SHA-256 multihash of some bytes in base64url multibase: ``uEi…``, 47 characters."""
    return multihash_of_sha256(hashlib.sha256(data).digest())


def multihash_of_sha256(digest: bytes) -> str:
    """The same, of a SHA-256 digest already at hand (32 bytes)."""
    if len(digest) != 32:
        raise EncodingError("a SHA-256 digest has 32 bytes", code="encoding.multihash")
    return "u" + b64url_encode(_SHA2_256 + digest)


def base58btc_multihash(data: bytes) -> str:
    """The SHA-256 multihash of some bytes in base58btc, without a ``z``: ``Qm…``."""
    return base58btc_encode(_SHA2_256 + hashlib.sha256(data).digest())


def check_multihash(text: str) -> bytes:
    """Read a multihash as ``multihash_sha256`` writes it and return the 32 bytes of the digest.

    Other hashes, shortened digests and other bases are refused: ``EncodingError``
    (``encoding.multihash``, ``encoding.base64url``).
    """
    data = b64url_decode(text[1:]) if text.startswith("u") else b""
    if len(data) != 34 or not data.startswith(_SHA2_256):
        raise EncodingError(
            "the text must be a SHA-256 multihash in base64url multibase",
            code="encoding.multihash",
        )
    return data[2:]


def _check_length(codec: Codec, key: bytes) -> None:
    if not key or (codec.key_length and len(key) != codec.key_length):
        raise KeyFormatError(f"the length is wrong for {codec.table_name}", code="key.length")
