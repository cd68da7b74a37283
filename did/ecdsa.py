"""ECDSA keys on P-256 and P-384: to verify what others sign, and to sign where they ask for it.

Signatures are the bare numbers r‖s, as Data Integrity and JOSE write them, and not ASN.1. For any
signature there is a second one, (r, n-s), that verifies as well: who needs one name for a signed
thing must take it from the message and not from its signature.

Sources: FIPS 186-5 §6 and appendix A.2, SEC 1 §2.3.3–2.3.4, RFC 6979, RFC 7518 §6.2,
Controlled Identifiers 1.0 §2.2.2, Data Integrity ECDSA Cryptosuites 1.0 §3.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from did.errors import KeyFormatError, SignatureInvalid
from did.json import Json, JsonObject
from did.multikey import Codec, b64url_decode, b64url_encode, decode_multikey, encode_multikey

# Reading a compressed point takes a square root. 1024 loaded keys are about 1 MB.
_CACHED_KEYS = 1024
# Of the kinds read here, P-384 has the longest Multikey: 70 characters.
_MAX_MULTIKEY_LENGTH = 72


class Curve(Enum):
    """A curve with the hash that belongs to it: its JOSE names, and its size in bytes."""

    P256 = ("P-256", "ES256", 32)
    P384 = ("P-384", "ES384", 48)

    def __init__(self, crv: str, alg: str, size: int) -> None:
        self.crv = crv
        self.alg = alg
        self.size = size


_CODECS = {Curve.P256: Codec.P256_PUB, Curve.P384: Codec.P384_PUB}
_CURVE_OF = {codec: curve for curve, codec in _CODECS.items()}
_GROUPS: dict[Curve, ec.EllipticCurve] = {Curve.P256: ec.SECP256R1(), Curve.P384: ec.SECP384R1()}
_HASHES: dict[Curve, hashes.HashAlgorithm] = {
    Curve.P256: hashes.SHA256(),
    Curve.P384: hashes.SHA384(),
}
# SP 800-186 §3.2.1: the order n of the base point. Both groups have a prime order.
_ORDERS = {
    Curve.P256: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    Curve.P384: int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
        "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
        16,
    ),
}


@dataclass(frozen=True, slots=True, repr=False)
class EcdsaVerifyKey:
    """A public P-256 or P-384 key. Whoever holds one knows that the key is sound.

    Making one raises ``KeyFormatError``: ``key.length`` unless it is a compressed point of the
    curve's length, ``key.unsafe`` for what is no point of the curve. Both curves have a prime
    order, so every point but the one at infinity, which has no compressed form, is safe.
    """

    curve: Curve
    _raw: bytes

    def __post_init__(self) -> None:
        _load(self.curve, self._raw)

    @classmethod
    def from_bytes(cls, curve: Curve, raw: bytes) -> Self:
        """A key from its compressed point (SEC 1 §2.3.4): 33 bytes for P-256, 49 for P-384."""
        return cls(curve, raw)

    @classmethod
    def from_multikey(cls, text: str) -> Self:
        """A key from ``zDn…`` (P-256) or ``z82…`` (P-384). Raises ``key.kind`` for others."""
        if len(text) > _MAX_MULTIKEY_LENGTH:
            raise _wrong_kind()
        codec, raw = decode_multikey(text)
        curve = _CURVE_OF.get(codec)
        if curve is None:
            raise _wrong_kind()
        return cls(curve, raw)

    @classmethod
    def from_jwk(cls, jwk: JsonObject) -> Self:
        """A key from a public JWK of type EC (RFC 7518 §6.2.1).

        Only the key is read, not what it may be used for. Raises ``key.kind`` for other types and
        curves, ``key.length`` for coordinates of another length than the curve's, ``key.unsafe``
        for a point off the curve, and ``EncodingError``.
        """
        curve = next((curve for curve in Curve if curve.crv == jwk.get("crv")), None)
        if jwk.get("kty") != "EC" or curve is None:
            raise _wrong_kind()
        x, y = (_coordinate(curve, jwk.get(name)) for name in ("x", "y"))
        _point(curve, b"\4" + x + y)
        return cls(curve, bytes((2 + y[-1] % 2,)) + x)

    @property
    def multikey(self) -> str:
        """``zDn…`` or ``z82…``"""
        return encode_multikey(_CODECS[self.curve], self._raw)

    @property
    def did(self) -> str:
        """The did:key of this key: ``did:key:zDn…`` or ``did:key:z82…``"""
        return "did:key:" + self.multikey

    @property
    def verification_method(self) -> str:
        """The method that its did:key document gives it."""
        multikey = self.multikey
        return f"did:key:{multikey}#{multikey}"

    @property
    def jwk(self) -> JsonObject:
        """The key as a JWK with ``kty``, ``crv``, ``x`` and ``y``; a new object each time."""
        numbers = _load(self.curve, self._raw).public_numbers()
        size = self.curve.size
        return {
            "kty": "EC",
            "crv": self.curve.crv,
            "x": b64url_encode(numbers.x.to_bytes(size, "big")),
            "y": b64url_encode(numbers.y.to_bytes(size, "big")),
        }

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits to tell keys apart by eye; not a commitment."""
        return hashlib.sha256(self._raw).hexdigest()[:16]

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return if r‖s is this key's signature of the message (FIPS 186-5 §6.4.2).

        64 bytes over SHA-256 for P-256, 96 over SHA-384 for P-384. Raises ``SignatureInvalid``
        otherwise, whatever the reason. Not checked: that s is the smaller of its two values.
        """
        size = self.curve.size
        if len(signature) == 2 * size:
            r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
            try:
                _load(self.curve, self._raw).verify(
                    encode_dss_signature(r, s), message, ec.ECDSA(_HASHES[self.curve])
                )
            except InvalidSignature:
                pass
            else:
                return
        raise SignatureInvalid("the signature does not belong to this key and message")

    def __repr__(self) -> str:
        return f"<EcdsaVerifyKey {self.curve.crv} {self.fingerprint}>"

    # Last in the class, because it hides the builtin of its name from what follows it.
    @property
    def bytes(self) -> bytes:
        """The compressed point: 33 or 49 bytes."""
        return self._raw


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class EcdsaSigningKey:
    """A secret P-256 or P-384 key. Printing it shows the fingerprint of its public half."""

    _secret: ec.EllipticCurvePrivateKey = field(repr=False)
    verify_key: EcdsaVerifyKey

    @classmethod
    def generate(cls, curve: Curve, random: Callable[[int], bytes] = os.urandom) -> Self:
        """A new key; ``random(n)`` must give ``n`` bytes of the system's randomness."""
        # FIPS 186-5 §A.2.1: 64 bits more than needed, so that the remainder is as good as even.
        number = int.from_bytes(random(curve.size + 8), "big") % (_ORDERS[curve] - 1) + 1
        return cls.from_secret(curve, number.to_bytes(curve.size, "big"))

    @classmethod
    def from_secret(cls, curve: Curve, secret: bytes) -> Self:
        """The key of a secret number (SEC 1 §3.2.1), big-endian: 32 bytes for P-256, 48 for P-384.

        Raises ``KeyFormatError``: ``key.length``, or ``key.unsafe`` unless it is from 1 to n-1.
        """
        if len(secret) != curve.size:
            raise KeyFormatError(
                f"a secret {curve.crv} key has {curve.size} bytes", code="key.length"
            )
        number = int.from_bytes(secret, "big")
        if not 0 < number < _ORDERS[curve]:
            raise KeyFormatError(
                "a secret key lies between zero and the group's order", code="key.unsafe"
            )
        private = ec.derive_private_key(number, _GROUPS[curve])
        numbers = private.public_key().public_numbers()
        point = bytes((2 + numbers.y % 2,)) + numbers.x.to_bytes(curve.size, "big")
        return cls(private, EcdsaVerifyKey(curve, point))

    def sign(self, message: bytes) -> bytes:
        """The signature r‖s of a message, 64 or 96 bytes; deterministic (RFC 6979 §3.2)."""
        curve = self.verify_key.curve
        # A nonce from a weak random source would give the key away; this one needs none.
        algorithm = ec.ECDSA(_HASHES[curve], deterministic_signing=True)
        r, s = decode_dss_signature(self._secret.sign(message, algorithm))
        return r.to_bytes(curve.size, "big") + s.to_bytes(curve.size, "big")

    @property
    def did(self) -> str:
        """``did:key:zDn…`` or ``did:key:z82…``"""
        return self.verify_key.did

    @property
    def verification_method(self) -> str:
        """The method that its did:key document gives it."""
        return self.verify_key.verification_method

    def unsafe_export_secret(self) -> bytes:
        """The 32 or 48 secret bytes, for an encrypted store and nothing else."""
        number = self._secret.private_numbers().private_value
        return number.to_bytes(self.verify_key.curve.size, "big")

    def __repr__(self) -> str:
        return f"<EcdsaSigningKey {self.verify_key.curve.crv} {self.verify_key.fingerprint}>"


@lru_cache(maxsize=_CACHED_KEYS)
def _load(curve: Curve, raw: bytes) -> ec.EllipticCurvePublicKey:
    # Exceptions are not cached: bad keys pay each time and cannot crowd out good ones.
    if len(raw) != curve.size + 1:
        raise KeyFormatError(
            f"a compressed {curve.crv} key has {curve.size + 1} bytes", code="key.length"
        )
    return _point(curve, raw)


def _point(curve: Curve, encoded: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_GROUPS[curve], encoded)
    except ValueError:
        raise KeyFormatError(
            f"the key is not a point of {curve.crv}",
            code="key.unsafe",
            hint="It was damaged, or made to draw secrets out. Ask for another key.",
        ) from None


def _coordinate(curve: Curve, value: Json) -> bytes:
    if not isinstance(value, str):
        raise KeyFormatError("an EC key has the coordinates x and y", code="key.format")
    # RFC 7518 §6.2.1.2: the full length, leading zeros included.
    raw = b64url_decode(value)
    if len(raw) != curve.size:
        raise KeyFormatError(
            f"a coordinate of {curve.crv} has {curve.size} bytes", code="key.length"
        )
    return raw


def _wrong_kind() -> KeyFormatError:
    return KeyFormatError("the key is not a public P-256 or P-384 key", code="key.kind")
