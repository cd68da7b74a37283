"""ML-DSA-44 keys: signatures that should outlast quantum computers, beside those in use today.

An experiment. The code of the Multikey is a draft, and no standard says yet how such a key stands
in a DID document; so it signs beside an Ed25519 or ECDSA key and never for one.

Sources: FIPS 204 (parameter set ML-DSA-44), the multicodec table.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from did.errors import KeyFormatError, SignatureInvalid
from did.keys import check_32
from did.multikey import Codec, decode_multikey, encode_multikey

SIGNATURE_BYTES: Final = 2420

_CODEC = Codec.MLDSA_44_PUB
# 1314 bytes in base58btc, and the z before them.
_MAX_MULTIKEY_LENGTH = 1797


@dataclass(frozen=True, slots=True, repr=False)
class MldsaVerifyKey:
    """A public ML-DSA-44 key. Making one raises ``KeyFormatError`` (``key.length``).

    Every string of 1312 bytes is such a key (FIPS 204 §5.1 has no other check).
    """

    _raw: bytes

    def __post_init__(self) -> None:
        if len(self._raw) != _CODEC.key_length:
            raise KeyFormatError("an ML-DSA-44 key has 1312 bytes", code="key.length")

    @classmethod
    def from_multikey(cls, text: str) -> Self:
        """A key from its Multikey. Raises ``key.kind`` for one of another kind."""
        codec, raw = decode_multikey(text) if len(text) <= _MAX_MULTIKEY_LENGTH else (None, b"")
        if codec is not _CODEC:
            raise KeyFormatError("the Multikey is not an ML-DSA-44 public key", code="key.kind")
        return cls(raw)

    @property
    def multikey(self) -> str:
        """The key as base58btc multibase: about 1796 characters."""
        return encode_multikey(_CODEC, self._raw)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits to tell keys apart by eye; not a commitment."""
        return hashlib.sha256(self._raw).hexdigest()[:16]

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return if the 2420 bytes are this key's signature of the message (FIPS 204 §5.3).

        The context string is empty. Raises ``SignatureInvalid`` otherwise, whatever the reason.
        """
        try:
            MLDSA44PublicKey.from_public_bytes(self._raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise SignatureInvalid(
                "the signature does not belong to this key and message"
            ) from None

    def __repr__(self) -> str:
        return f"<MldsaVerifyKey {self.fingerprint}>"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class MldsaSigningKey:
    """A secret ML-DSA-44 key. Printing it shows the fingerprint of its public half."""

    _secret: MLDSA44PrivateKey = field(repr=False)
    verify_key: MldsaVerifyKey

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> Self:
        """A new key; ``random(n)`` must give ``n`` bytes of the system's randomness."""
        return cls.from_seed(random(32))

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key of a 32-byte seed (FIPS 204 §6.1). Raises ``key.length``."""
        check_32(seed, "an ML-DSA seed")
        secret = MLDSA44PrivateKey.from_seed_bytes(seed)
        return cls(secret, MldsaVerifyKey(secret.public_key().public_bytes_raw()))

    def sign(self, message: bytes) -> bytes:
        """A signature of a message, 2420 bytes; another one each time (FIPS 204 §3.4, hedged)."""
        return self._secret.sign(message)

    def unsafe_export_seed(self) -> bytes:
        """The 32 secret bytes, for an encrypted store and nothing else."""
        return self._secret.private_bytes_raw()

    def __repr__(self) -> str:
        return f"<MldsaSigningKey {self.verify_key.fingerprint}>"
