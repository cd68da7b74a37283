"""Ed25519 keys that sign; the one place that verifies Ed25519.

libsodium verifies: it refuses small-order keys and non-canonical signatures, which OpenSSL lets
pass. It still takes keys with a small-order *part*, under which one signature can be read two
ways; so every public key, once, must be a point of the main subgroup before it verifies anything.

X25519 keys that agree are in ``did.agreement``; their names are here too, and load it.

Sources: RFC 8032 §5.1, Controlled Identifiers 1.0 §2.2.2, the did:key method.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import nacl.bindings as sodium
import nacl.exceptions

from did.errors import KeyFormatError, SignatureInvalid
from did.multikey import Codec, decode_multikey, encode_multikey

if TYPE_CHECKING:
    from did.agreement import AgreementKey, AgreementPublicKey

__all__ = ["AgreementKey", "AgreementPublicKey", "SigningKey", "VerifyKey"]

# One check costs almost a verification. 4096 keys are about 1 MB.
_CACHED_KEYS = 4096
_ED25519_MULTIKEY_LENGTH = 48


@dataclass(frozen=True, slots=True, repr=False)
class VerifyKey:
    """A public Ed25519 key. Whoever holds one knows that the key is sound.

    Making one raises ``KeyFormatError``: ``key.length`` unless 32 bytes, ``key.unsafe`` for a
    key that is off the curve, not canonical, or not of the main subgroup (small or mixed order).
    """

    _raw: bytes

    def __post_init__(self) -> None:
        _check_ed25519(self._raw)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """A key from its 32 bytes (RFC 8032 §5.1.5)."""
        return cls(raw)

    @classmethod
    def from_multikey(cls, text: str) -> Self:
        """A key from ``z6Mk…``. Raises ``key.kind`` for a Multikey of another kind."""
        return cls(_ed25519_of_multikey(text))

    @property
    def multikey(self) -> str:
        """``z6Mk…``"""
        return _multikey_of_ed25519(self._raw)

    @property
    def did(self) -> str:
        """The did:key of this key: ``did:key:z6Mk…``"""
        return "did:key:" + _multikey_of_ed25519(self._raw)

    @property
    def verification_method(self) -> str:
        """The method that its did:key document gives it: ``did:key:z6Mk…#z6Mk…``"""
        multikey = _multikey_of_ed25519(self._raw)
        return f"did:key:{multikey}#{multikey}"

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits to tell keys apart by eye; not a commitment."""
        return hashlib.sha256(self._raw).hexdigest()[:16]

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return if the 64 bytes are this key's signature of the message (RFC 8032 §5.1.7).

        Raises ``SignatureInvalid`` otherwise, whatever the reason.
        """
        # The length first: libsodium reads signature and message as one run of bytes, so a
        # signature one byte short would borrow from the message.
        if len(signature) == 64:
            try:
                sodium.crypto_sign_open(signature + message, self._raw)
            except nacl.exceptions.BadSignatureError:
                pass
            else:
                return
        raise SignatureInvalid("the signature does not belong to this key and message")

    def __repr__(self) -> str:
        return f"<VerifyKey {self.fingerprint}>"

    # Last in the class, because it hides the builtin of its name from what follows it.
    @property
    def bytes(self) -> bytes:
        """The 32 bytes of the key."""
        return self._raw


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SigningKey:
    """A secret Ed25519 key. Printing it shows the fingerprint of its public half."""

    _secret: bytes = field(repr=False)
    verify_key: VerifyKey

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> Self:
        """A new key; ``random(n)`` must give ``n`` bytes of the system's randomness."""
        return cls.from_seed(random(32))

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key of a 32-byte seed (RFC 8032 §5.1.5). Raises ``key.length``."""
        check_32(seed, "an Ed25519 seed")
        public, secret = sodium.crypto_sign_seed_keypair(seed)
        return cls(secret, VerifyKey(public))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of a message (RFC 8032 §5.1.6); deterministic."""
        return sodium.crypto_sign(message, self._secret)[:64]

    @property
    def did(self) -> str:
        """``did:key:z6Mk…``"""
        return self.verify_key.did

    @property
    def verification_method(self) -> str:
        """``did:key:z6Mk…#z6Mk…``"""
        return self.verify_key.verification_method

    def unsafe_export_seed(self) -> bytes:
        """The 32 secret bytes, for an encrypted store and nothing else."""
        return self._secret[:32]

    def __repr__(self) -> str:
        return f"<SigningKey {self.verify_key.fingerprint}>"


@lru_cache(maxsize=_CACHED_KEYS)
def _check_ed25519(raw: bytes) -> None:
    # Exceptions are not cached: bad keys pay each time and cannot crowd out good ones.
    check_32(raw, "an Ed25519 key")
    if not sodium.crypto_core_ed25519_is_valid_point(raw):
        raise KeyFormatError(
            "the Ed25519 key is not a point of the main subgroup",
            code="key.unsafe",
            hint="It was damaged, or made so that forged signatures pass. Ask for another key.",
        )


@lru_cache(maxsize=_CACHED_KEYS)
def _multikey_of_ed25519(raw: bytes) -> str:
    return encode_multikey(Codec.ED25519_PUB, raw)


def _ed25519_of_multikey(text: str) -> bytes:
    # Nothing long is kept in the cache, nor decoded.
    if len(text) != _ED25519_MULTIKEY_LENGTH:
        raise KeyFormatError("the Multikey is not an Ed25519 public key", code="key.kind")
    return _decode_ed25519(text)


@lru_cache(maxsize=_CACHED_KEYS)
def _decode_ed25519(text: str) -> bytes:
    codec, raw = decode_multikey(text)
    if codec is not Codec.ED25519_PUB:
        raise KeyFormatError("the Multikey is not an Ed25519 public key", code="key.kind")
    return raw


def check_32(raw: bytes, what: str) -> None:
    """Raise ``KeyFormatError`` (``key.length``) unless there are 32 bytes."""
    if len(raw) != 32:
        raise KeyFormatError(f"{what} has 32 bytes", code="key.length")


def __getattr__(name: str) -> object:
    # Who verifies or signs needs no X25519.
    if name in ("AgreementKey", "AgreementPublicKey"):
        from did import agreement

        return getattr(agreement, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
