"""X25519 keys that agree on a secret.

Sources: RFC 7748 §6.1, Controlled Identifiers 1.0 §2.2.2, the did:key method.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import nacl.bindings as sodium
import nacl.exceptions

from did.errors import KeyFormatError
from did.keys import SigningKey, VerifyKey, check_32
from did.multikey import Codec, decode_multikey, encode_multikey


@dataclass(frozen=True, slots=True, repr=False)
class AgreementPublicKey:
    """A public X25519 key. Any 32 bytes are one; what is unsafe shows when it is used."""

    _raw: bytes

    def __post_init__(self) -> None:
        check_32(self._raw, "an X25519 key")

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """A key from its 32 bytes (RFC 7748 §5)."""
        return cls(raw)

    @classmethod
    def from_multikey(cls, text: str) -> Self:
        """A key from ``z6LS…``. Raises ``key.kind`` for a Multikey of another kind."""
        codec, raw = decode_multikey(text)
        if codec is not Codec.X25519_PUB:
            raise KeyFormatError("the Multikey is not an X25519 public key", code="key.kind")
        return cls(raw)

    @classmethod
    def from_verify_key(cls, key: VerifyKey) -> Self:
        """The X25519 key that did:key derives from an Ed25519 key (RFC 7748 §4.1, the map)."""
        return cls(sodium.crypto_sign_ed25519_pk_to_curve25519(key.bytes))

    @property
    def multikey(self) -> str:
        """``z6LS…``"""
        return encode_multikey(Codec.X25519_PUB, self._raw)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits to tell keys apart by eye; not a commitment."""
        return hashlib.sha256(self._raw).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"<AgreementPublicKey {self.fingerprint}>"

    # Last in the class, because it hides the builtin of its name from what follows it.
    @property
    def bytes(self) -> bytes:
        """The 32 bytes of the key."""
        return self._raw


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AgreementKey:
    """A secret X25519 key. Printing it shows the fingerprint of its public half."""

    _secret: bytes = field(repr=False)
    public: AgreementPublicKey

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> Self:
        """A new key; ``random(n)`` must give ``n`` bytes of the system's randomness."""
        return cls.from_seed(random(32))

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key of 32 secret bytes (RFC 7748 §5, clamped when used). Raises ``key.length``."""
        check_32(seed, "an X25519 secret")
        return cls(seed, AgreementPublicKey(sodium.crypto_scalarmult_base(seed)))

    @classmethod
    def from_signing_key(cls, key: SigningKey) -> Self:
        """The secret half of ``AgreementPublicKey.from_verify_key``."""
        seed = key.unsafe_export_seed()
        return cls.from_seed(
            sodium.crypto_sign_ed25519_sk_to_curve25519(seed + key.verify_key.bytes)
        )

    def exchange(self, peer: AgreementPublicKey) -> bytes:
        """The 32-byte shared secret (RFC 7748 §6.1); to be put through a KDF.

        Raises ``KeyFormatError`` (``key.unsafe``) when it is all zero: the peer's key has a
        small order, and the secret would be known to everyone.
        """
        try:
            return sodium.crypto_scalarmult(self._secret, peer.bytes)
        except nacl.exceptions.RuntimeError:
            raise KeyFormatError("the X25519 key has a small order", code="key.unsafe") from None

    def unsafe_export_seed(self) -> bytes:
        """The 32 secret bytes, for an encrypted store and nothing else."""
        return self._secret

    def __repr__(self) -> str:
        return f"<AgreementKey {self.public.fingerprint}>"
