"""Seal bytes to one recipient, or lock them with one secret; the length is hidden in a size bucket.

Two forms, both version 1:

    sealed = 0x01 ‖ enc (1120) ‖ ciphertext         HPKE (RFC 9180), base mode, hybrid key
    locked = 0x01 ‖ nonce (12) ‖ ciphertext         HKDF-SHA256, AES-256-GCM, a 32-byte secret

The plaintext is padded first (see :func:`pad`). ``label`` names the protocol step, ``context`` the
place (a mailbox, a request id); whoever opens must say the same two, so that what was sealed for
one step or place cannot be presented as another.

A seal has **no sender**: anyone can seal to a public key. What is inside must be signed, and must
name the recipient, or it can be sealed again to somebody else.

The hybrid key is ML-KEM-768 with X25519, combined and expanded from its seed as X-Wing does
(draft-connolly-cfrg-xwing-kem, the same KEM as MLKEM768-X25519 in draft-ietf-hpke-pq).
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from did.errors import DidError
from did.json import JsonObject
from did.multikey import b64url_decode, b64url_encode, multihash_sha256
from pds.errors import PdsError

KEM_NAME = "MLKEM768-X25519"
SEED_BYTES = 32
SECRET_BYTES = 32
PUBLIC_KEY_BYTES = 1216
_MIB = 1 << 20
BUCKETS = (1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, *range(_MIB, 16 * _MIB + 1, _MIB))
"""The only sizes, in bytes, that a padded plaintext can have: from 1 MiB on every whole MiB, up to
16. Powers of four hide most, but beyond a MiB their zeros would cost more than they tell."""
MAX_PLAINTEXT = BUCKETS[-1] - 4
"""The longest plaintext, in bytes: the largest bucket less the length field."""

_MLKEM_PUBLIC_BYTES = 1184
_ENC_BYTES = 1120
_TAG_BYTES = 16
_NONCE_BYTES = 12
_VERSION = b"\x01"
_SEAL = b"pds/v1/seal"
_SEAL_SUITE = b"MLKEM768-X25519,HKDF-SHA256,AES-256-GCM"
_LOCK = b"pds/v1/lock"
_LOCK_SUITE = b"HKDF-SHA256,AES-256-GCM"
_P25519 = 2**255 - 19

# Every X25519 scalar is a multiple of the cofactor, so any one of them shows every low-order point.
_PROBE = X25519PrivateKey.from_private_bytes(b"\x01" * 32)
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

Random = Callable[[int], bytes]


class SealingError(PdsError):
    """Codes: ``sealing.key``, ``sealing.cannot_open``, ``sealing.too_large``, ``sealing.format``.

    ``sealing.format`` is a mistake in the call or, from :func:`unpad`, malformed padding.
    """

    default_code = "sealing.format"


def length_prefixed(*fields: bytes) -> bytes:
    """Join fields, each after its length as u32 big-endian: no two lists of fields look alike."""
    return b"".join(len(one).to_bytes(4, "big") + one for one in fields)


@dataclass(frozen=True, slots=True)
class SealingPublicKey:
    """A checked recipient key; equal when the bytes are. Made by ``from_bytes`` or ``parse``."""

    _raw: bytes = field(repr=False)
    _key: MLKEM768X25519PublicKey = field(repr=False, compare=False)
    id: str

    @classmethod
    def from_bytes(cls, raw: bytes) -> "SealingPublicKey":
        """Import 1216 bytes: ML-KEM-768 public (1184) ‖ X25519 public (32).

        Raises :class:`SealingError` ``sealing.key`` when

        1. the length differs; an X25519 key alone (32 bytes) is never taken for a hybrid one,
        2. the ML-KEM half fails the modulus check of FIPS 203, section 7.2,
        3. the X25519 half is not the canonical encoding (RFC 7748, section 5): one key, one id,
        4. the X25519 half has low order, so that its shared secret is zero (RFC 7748, section 6.1).
        """
        if len(raw) != PUBLIC_KEY_BYTES:  # 1
            raise _bad_key("A sealing key has 1216 bytes.")
        raw = bytes(raw)
        classic = raw[_MLKEM_PUBLIC_BYTES:]
        try:
            lattice_key = MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES])  # 2
        except ValueError:
            raise _bad_key("The ML-KEM-768 half of a sealing key is malformed.") from None
        if int.from_bytes(classic, "little") >= _P25519:  # 3
            raise _bad_key("The X25519 half of a sealing key is not in canonical form.")
        classic_key = X25519PublicKey.from_public_bytes(classic)
        try:
            _PROBE.exchange(classic_key)  # 4
        except ValueError:
            raise _bad_key("The X25519 half of a sealing key has low order.") from None
        return cls(raw, MLKEM768X25519PublicKey(lattice_key, classic_key), multihash_sha256(raw))

    @classmethod
    def parse(cls, raw: JsonObject, *, expected_id: str | None = None) -> "SealingPublicKey":
        """Read ``{"kem": "MLKEM768-X25519", "publicKey": base64url}``, nothing less or more.

        ``expected_id`` is the key id that came by another way (an invitation, a signed request);
        a key with another id raises ``sealing.key``, as does everything ``from_bytes`` refuses.
        """
        encoded = raw.get("publicKey")
        if raw.keys() != {"kem", "publicKey"} or not isinstance(encoded, str):
            raise _bad_key("A sealing key is an object with exactly kem and publicKey.")
        if raw["kem"] != KEM_NAME:
            raise _bad_key("The sealing key is of an unknown kind.")
        try:
            key = cls.from_bytes(b64url_decode(encoded))
        except DidError:
            raise _bad_key("publicKey is not base64url without padding.") from None
        if expected_id is not None and key.id != expected_id:
            raise _bad_key(
                "This is not the expected sealing key.",
                hint="Somebody may have put a key of their own in its place: ask again.",
            )
        return key

    def to_json(self) -> JsonObject:
        """The form that ``parse`` reads."""
        return {"kem": KEM_NAME, "publicKey": b64url_encode(self._raw)}

    # Last in the class: after this line `bytes` means the property, not the type.
    @property
    def bytes(self) -> bytes:
        """The 1216 bytes; ``id`` is their SHA-256 as multihash in multibase (``uEi…``)."""
        return self._raw


class SealingKey:
    """The private half: a 32-byte seed. ``repr`` shows the public id only."""

    __slots__ = ("_key", "_seed", "public")
    public: SealingPublicKey

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise _bad_key("The seed of a sealing key has 32 bytes.")
        self._seed = bytes(seed)
        # X-Wing, section 5.2: SHAKE256(seed, 96) = d ‖ z for ML-KEM-768, then the X25519 scalar.
        expanded = hashlib.shake_256(self._seed).digest(96)
        lattice_key = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        classic_key = X25519PrivateKey.from_private_bytes(expanded[64:])
        self._key = MLKEM768X25519PrivateKey(lattice_key, classic_key)
        self.public = SealingPublicKey.from_bytes(
            lattice_key.public_key().public_bytes_raw()
            + classic_key.public_key().public_bytes_raw()
        )

    @classmethod
    def from_seed(cls, seed: bytes) -> "SealingKey":
        """The key of a 32-byte seed, always the same one. ``sealing.key`` for another length."""
        return cls(seed)

    @classmethod
    def generate(cls, random: Random = os.urandom) -> "SealingKey":
        """A new key from 32 bytes of ``random``."""
        return cls(random(SEED_BYTES))

    def unsafe_export_seed(self) -> bytes:
        """The 32 secret bytes. Whoever has them opens everything sealed to this key, ever."""
        return self._seed

    def __repr__(self) -> str:
        return f"SealingKey({self.public.id})"


def seal(plaintext: bytes, *, to: SealingPublicKey, label: str, context: str) -> bytes:
    """Encrypt so that only the holder of ``to``, saying the same label and context, can read it.

    Returns 1137 bytes more than the padded plaintext. HPKE base mode (RFC 9180, section 6.1) with
    ``info`` = the length-prefixed fields ``"pds/v1/seal"``, suite, label, key id, context.
    Raises :class:`SealingError`: ``sealing.too_large`` above 16 MiB - 4 bytes, ``sealing.format``
    for an empty label. The randomness of the encapsulation is the library's own.
    """
    info = _binding(_SEAL, _SEAL_SUITE, label, to.id, context)
    return _VERSION + _SUITE.encrypt(pad(plaintext), to._key, info)


def open_sealed(sealed: bytes, *, key: SealingKey, label: str, context: str) -> bytes:
    """Undo :func:`seal`. Says nothing about who sealed it.

    Whatever is wrong (version, length, key, label, context, a changed byte, padding), the error is
    the same: :class:`SealingError` ``sealing.cannot_open``. Who sends probes learns one bit.
    """
    info = _binding(_SEAL, _SEAL_SUITE, label, key.public.id, context)
    if len(sealed) - 1 - _ENC_BYTES - _TAG_BYTES not in BUCKETS or sealed[:1] != _VERSION:
        raise _cannot_open()
    try:
        return unpad(_SUITE.decrypt(sealed[1:], key._key, info))
    except (InvalidTag, ValueError, SealingError):
        raise _cannot_open() from None


def lock_with_secret(
    plaintext: bytes, *, secret: bytes, label: str, context: str, random: Random = os.urandom
) -> bytes:
    """Encrypt under a shared secret of 32 random bytes, such as the fragment of a request link.

    The key is HKDF-SHA256(secret, salt ``"pds/v1/lock"``, info = label and context); the same
    fields with the suite are the additional data. Returns 29 bytes more than the padded plaintext.
    The secret must be random: nothing here slows down the guessing of a passphrase. It should lock
    few things: nonces are random, 96 bits. Errors as in :func:`seal`; ``sealing.key`` for a secret
    that does not have 32 bytes.
    """
    cipher, binding = _lock_cipher(secret, label, context)
    nonce = random(_NONCE_BYTES)
    if len(nonce) != _NONCE_BYTES:
        raise SealingError("The source of randomness gave too few bytes.")
    return _VERSION + nonce + cipher.encrypt(nonce, pad(plaintext), binding)


def unlock_with_secret(locked: bytes, *, secret: bytes, label: str, context: str) -> bytes:
    """Undo :func:`lock_with_secret`; every failure but a secret of another length than 32 bytes
    (``sealing.key``: the link was cut) is ``sealing.cannot_open``."""
    cipher, binding = _lock_cipher(secret, label, context)
    if len(locked) - 1 - _NONCE_BYTES - _TAG_BYTES not in BUCKETS or locked[:1] != _VERSION:
        raise _cannot_open()
    body = 1 + _NONCE_BYTES
    try:
        return unpad(cipher.decrypt(locked[1:body], locked[body:], binding))
    except (InvalidTag, SealingError):
        raise _cannot_open() from None


def pad(data: bytes) -> bytes:
    """Length (u32 big-endian) ‖ data ‖ zeros, up to the smallest bucket that holds it:
    1, 4, 16, 64, 256 KiB, or whole MiB up to 16. More raises ``sealing.too_large``."""
    for bucket in BUCKETS:
        if len(data) + 4 <= bucket:
            return len(data).to_bytes(4, "big") + data + bytes(bucket - 4 - len(data))
    raise SealingError(
        "The content is too large to be sealed in one piece.",
        code="sealing.too_large",
        hint="The limit is 16 MiB less 4 bytes: divide it.",
    )


def unpad(data: bytes) -> bytes:
    """Undo :func:`pad` exactly; one content has one padded form.

    Raises ``sealing.format`` for a size that is no bucket, a length beyond it, a larger bucket than
    needed, or padding that is not zero: each would be a place to hide or vary something.
    """
    size = int.from_bytes(data[:4], "big")
    if len(data) not in BUCKETS or size > len(data) - 4:
        raise SealingError("The padding is malformed.")
    content = data[4 : 4 + size]
    if pad(content) != data:
        raise SealingError("The padding is malformed.")
    return content


def _binding(domain: bytes, suite: bytes, label: str, *fields: str) -> bytes:
    if not label:
        raise SealingError("A label is needed: it says what the sealed content is for.")
    try:
        encoded = [text.encode() for text in (label, *fields)]
    except UnicodeEncodeError:
        raise SealingError("Label and context must be valid Unicode text.") from None
    return length_prefixed(domain, suite, *encoded)


def _lock_cipher(secret: bytes, label: str, context: str) -> tuple[AESGCM, bytes]:
    if len(secret) != SECRET_BYTES:
        raise _bad_key(
            "The secret must have 32 bytes.", hint="Was the link copied whole, with its last part?"
        )
    binding = _binding(_LOCK, _LOCK_SUITE, label, context)
    key = HKDF(algorithm=SHA256(), length=32, salt=_LOCK, info=binding).derive(secret)
    return AESGCM(key), binding


def _bad_key(message: str, *, hint: str = "") -> SealingError:
    return SealingError(message, code="sealing.key", hint=hint)


def _cannot_open() -> SealingError:
    return SealingError(
        "This cannot be opened.",
        code="sealing.cannot_open",
        hint="It was sealed for another key or purpose, or was changed on the way.",
    )
