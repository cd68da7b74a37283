"""The proof values of ecdsa-sd-2023: what stands in them, and how it is written.

Read strictly: one encoding, exact lengths, bounded numbers. A base proof holds the key to the
labels of all blank nodes, so it is for the holder alone, and is told apart from a derived one here.

Source: Data Integrity ECDSA Cryptosuites 1.0 §3.5.2–3.5.8.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self

from credentials import cbor
from credentials.errors import ProofInvalid
from credentials.rdfc import MAX_BLANK_NODES, MAX_QUADS
from credentials.selective import MAX_POINTER, MAX_POINTERS
from credentials.suites.signature import malformed_value
from did.ecdsa import Curve, EcdsaVerifyKey
from did.errors import EncodingError, KeyFormatError
from did.multikey import Codec, b64url_decode, b64url_encode

# Each statement that can be left out costs a signature: to make, to carry, to verify.
MAX_SIGNATURES: Final = 1_024

_BASE: Final = b"\xd9\x5d\x00"
_DERIVED: Final = b"\xd9\x5d\x01"
_MAX_TEXT: Final = 262_144
_SIGNATURE: Final = 64
_DIGEST: Final = 32
_PUBLIC_KEY: Final = 35


@dataclass(frozen=True, slots=True)
class BaseValue:
    """What the issuer gives to the holder: one signature, and one per statement besides."""

    base_signature: bytes
    public_key: EcdsaVerifyKey
    hmac_key: bytes
    signatures: tuple[bytes, ...]
    mandatory_pointers: tuple[str, ...]

    def encode(self) -> str:
        """serializeBaseProofValue."""
        return _encode(
            _BASE,
            [
                self.base_signature,
                public_key_bytes(self.public_key),
                self.hmac_key,
                list(self.signatures),
                list(self.mandatory_pointers),
            ],
        )

    @classmethod
    def read(cls, value: object) -> Self:
        """parseBaseProofValue. Raises ``ProofInvalid`` (``proof.value``)."""
        signature, key, hmac_key, signatures, pointers = _decode(_BASE, value)
        if not (
            _is_bytes(hmac_key, _DIGEST)
            and type(pointers) is list
            and len(pointers) <= MAX_POINTERS
            and all(type(item) is str and len(item) <= MAX_POINTER for item in pointers)
        ):
            raise _malformed()
        return cls(
            _signature(signature),
            _public_key(key),
            hmac_key,
            _signatures(signatures),
            tuple(pointers),
        )


@dataclass(frozen=True, slots=True)
class DerivedValue:
    """What the holder gives to a verifier.

    ``labels`` leads from the canonical label of each blank node to the one it was signed under;
    no two lead to the same. ``mandatory_indexes`` rise.
    """

    base_signature: bytes
    public_key: EcdsaVerifyKey
    signatures: tuple[bytes, ...]
    labels: Mapping[str, str]
    mandatory_indexes: tuple[int, ...]

    def encode(self) -> str:
        """serializeDerivedProofValue, with compressLabelMap."""
        return _encode(
            _DERIVED,
            [
                self.base_signature,
                public_key_bytes(self.public_key),
                list(self.signatures),
                {
                    int(name.removeprefix("c14n")): b64url_decode(label[1:])
                    for name, label in self.labels.items()
                },
                list(self.mandatory_indexes),
            ],
        )

    @classmethod
    def read(cls, value: object) -> Self:
        """parseDerivedProofValue, with decompressLabelMap. Raises ``ProofInvalid``."""
        signature, key, signatures, labels, indexes = _decode(_DERIVED, value)
        if not (
            type(labels) is dict
            and len(labels) <= MAX_BLANK_NODES
            # Two nodes under one label would share what was signed about one of them.
            and all(_is_bytes(label, _DIGEST) for label in labels.values())
            and len(set(labels.values())) == len(labels)
            and all(_is_number(name) for name in labels)
            and sorted(labels) == list(range(len(labels)))
            and type(indexes) is list
            and len(indexes) <= MAX_QUADS
            and all(_is_number(index) for index in indexes)
            and all(low < high for low, high in pairwise(indexes))
        ):
            raise _malformed()
        return cls(
            _signature(signature),
            _public_key(key),
            _signatures(signatures),
            {f"c14n{name}": "u" + b64url_encode(label) for name, label in labels.items()},
            tuple(indexes),
        )


def public_key_bytes(key: EcdsaVerifyKey) -> bytes:
    """The bytes inside the Multikey of a P-256 key."""
    return Codec.P256_PUB.prefix + key.bytes


def _encode(header: bytes, components: list[Any]) -> str:
    return "u" + b64url_encode(header + cbor.encode(components))


def _decode(header: bytes, value: object) -> list[Any]:
    """The five components behind a header."""
    if type(value) is not str or value[:1] != "u" or len(value) > _MAX_TEXT:
        raise _malformed()
    try:
        data = b64url_decode(value[1:])
    except EncodingError:
        raise _malformed() from None
    if header == _DERIVED and data.startswith(_BASE):
        raise ProofInvalid(
            "a base proof is for the holder, who derives from it what a verifier may see",
            code="proof.base",
            hint="Derive a proof. What was sent shows the whole document.",
            pointer="/proof/proofValue",
        )
    if not data.startswith(header):
        raise _malformed()
    components = cbor.decode(data[len(header) :])
    if len(components) != 5:
        raise _malformed()
    return components


def _is_bytes(value: object, length: int) -> bool:
    return type(value) is bytes and len(value) == length


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < MAX_QUADS


def _signature(value: Any) -> bytes:
    if not _is_bytes(value, _SIGNATURE):
        raise _malformed()
    signature: bytes = value
    return signature


def _signatures(value: Any) -> tuple[bytes, ...]:
    if type(value) is not list or len(value) > MAX_SIGNATURES:
        raise _malformed()
    return tuple(_signature(item) for item in value)


def _public_key(value: Any) -> EcdsaVerifyKey:
    prefix = Codec.P256_PUB.prefix
    if not _is_bytes(value, _PUBLIC_KEY) or not value.startswith(prefix):
        raise _malformed()
    try:
        return EcdsaVerifyKey.from_bytes(Curve.P256, value[len(prefix) :])
    except KeyFormatError:
        raise _malformed() from None


def _malformed() -> ProofInvalid:
    return malformed_value("an ecdsa-sd-2023 value in base64url multibase (u)")
