"""Wrapping the data key: what one slot of :mod:`pds.vault.keyslots` does with one secret."""

import hmac
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from did.multikey import b64url_encode
from pds.vault import slotfile
from pds.vault.slotfile import Argon2Params, KeyslotError, Kind, Slot

Random = Callable[[int], bytes]
# How a secret of 256 random bits is stretched, by the kind of its slot.
_LABELS = {"recovery": b"pds/v1/kit", "keyring": b"pds/v1/keyring"}
# See _argon2id.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class DataKey:
    """The 32 random bytes that everything in a vault is encrypted under; ``repr`` shows nothing."""

    _raw: bytearray = field(repr=False)

    def __init__(self, raw: bytes | bytearray) -> None:
        if len(raw) != slotfile.KEY_BYTES:
            raise KeyslotError("A data key has 32 bytes.")
        object.__setattr__(self, "_raw", bytearray(raw))

    @classmethod
    def generate(cls, random: Random = os.urandom) -> "DataKey":
        """A new key from 32 bytes of ``random``."""
        return cls(random(slotfile.KEY_BYTES))

    def derive(self, label: str) -> bytes:
        """32 bytes for one use: HKDF-SHA256, salt ``"pds/v1/vault"``, info = the label in UTF-8.

        Labels in use: ``database``, ``slot-mac``, ``audit``, ``blobs``, ``head``. The data key
        itself encrypts nothing. Raises ``vault.locked`` once the key was wiped.
        """
        return HKDF(
            algorithm=SHA256(), length=slotfile.KEY_BYTES, salt=b"pds/v1/vault", info=label.encode()
        ).derive(self._alive())

    def unsafe_export(self) -> bytes:
        """The 32 secret bytes, to be wrapped by something that is no slot."""
        return bytes(self._alive())

    def copy(self) -> "DataKey":
        """The same key, wiped by itself."""
        return DataKey(self._alive())

    def wipe(self) -> None:
        """Overwrite the key in memory; it serves no more. Copies that libraries made may remain."""
        self._raw[:] = bytes(len(self._raw))
        object.__setattr__(self, "_raw", bytearray())

    def _alive(self) -> bytearray:
        if not self._raw:
            raise KeyslotError(
                "The vault is locked.", code="vault.locked", hint="Open it again.", exit_code=3
            )
        return self._raw


def wrap(
    vault: str,
    kind: Kind,
    *,
    secret: bytes,
    params: Argon2Params | None,
    data_key: DataKey,
    random: Random,
) -> Slot:
    """A new slot that this secret opens. ``params`` belong to a passphrase, and to nothing else."""
    salt = random(slotfile.SALT_BYTES)
    key, commitment = _stretch(kind, secret, params, salt)
    slot = Slot(
        id=b64url_encode(random(slotfile.ID_BYTES)),
        kind=kind,
        params=params,
        salt=salt,
        commitment=commitment,
        nonce=random(slotfile.NONCE_BYTES),
        wrapped=b"",
    )
    sealed = AESGCM(key).encrypt(
        slot.nonce, data_key.unsafe_export(), slotfile.binding(vault, slot)
    )
    return replace(slot, wrapped=sealed)


def unwrap(vault: str, slot: Slot, secret: bytes) -> DataKey | None:
    """The data key; None when the slot has another secret. Raises ``vault.slots_damaged`` when it
    is this secret's and does not open, ``vault.kdf_memory``."""
    key, commitment = _stretch(slot.kind, secret, slot.params, slot.salt)
    if not hmac.compare_digest(commitment, slot.commitment):
        return None
    try:
        return DataKey(AESGCM(key).decrypt(slot.nonce, slot.wrapped, slotfile.binding(vault, slot)))
    except InvalidTag:
        raise slotfile.damaged() from None


def _stretch(
    kind: Kind, secret: bytes, params: Argon2Params | None, salt: bytes
) -> tuple[bytes, bytes]:
    if params is None:
        stretched = HKDF(
            algorithm=SHA256(), length=slotfile.KEY_BYTES, salt=salt, info=_LABELS[kind]
        ).derive(secret)
    else:
        stretched = _argon2id(secret, params, salt)
    expanded = HKDFExpand(
        algorithm=SHA256(),
        length=slotfile.KEY_BYTES + slotfile.COMMITMENT_BYTES,
        info=b"pds/v1/slot",
    ).derive(stretched)
    return expanded[: slotfile.KEY_BYTES], expanded[slotfile.KEY_BYTES :]


def _argon2id(secret: bytes, params: Argon2Params, salt: bytes) -> bytes:
    """Argon2id (RFC 9106), in one thread of the process at a time.

    A trap: with more than one lane the library computes in OpenSSL's pool of threads, of which the
    process has one. Two derivations at once wait for each other and never return (seen with
    cryptography 50 on OpenSSL 4.0). Hence the lock; nothing else here may call Argon2id.
    """
    try:
        with _one_at_a_time:
            return Argon2id(
                salt=salt,
                length=slotfile.KEY_BYTES,
                iterations=params.time,
                lanes=params.lanes,
                memory_cost=params.memory_kib,
            ).derive(secret)
    except MemoryError:
        raise KeyslotError(
            "This machine cannot give the memory that the passphrase needs.",
            code="vault.kdf_memory",
            hint=f"It needs {params.memory_kib // 1024} MiB: close other programs, or open "
            "the vault with the recovery kit.",
            exit_code=4,
        ) from None
