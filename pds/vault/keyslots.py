"""The key slots of a vault: one random data key, wrapped once for each way of opening it.

A secret is stretched by the slot's kdf and expanded (HKDF, ``"pds/v1/slot"``) to a wrapping key and
a 32-byte commitment. The data key is wrapped with AES-256-GCM; additional data is the JCS of vault
id, slot id, kind and kdf. AES-GCM does not commit to its key: the commitment does, and it tells a
wrong secret from a damaged slot. A MAC under a key derived from the data key covers the whole file
(:mod:`pds.vault.slotfile`): no slot can be added, removed, reordered, or moved in from elsewhere.

What the file cannot know is whether it is the newest: an older copy is genuine. The epoch rises
with every change; the caller keeps it in the database too and calls :func:`check_epoch`.

Every ``path`` is that of the slot file. Every function that reads it raises
:class:`KeyslotError` ``vault.slots_missing``, ``vault.slots_damaged``, ``vault.kdf_out_of_range``.
Every change is made under the lock of the slot file, from reading to writing, so that of two
changes at once both are kept.
"""

import hmac
import os
import threading
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from did.multikey import b64url_encode
from pds.vault import slotfile
from pds.vault.kit import kit_secret, kit_words
from pds.vault.slotfile import Argon2Params, KeyslotError, Kind, Slot, SlotFile

__all__ = [
    "Argon2Params",
    "DataKey",
    "KeyslotError",
    "Slot",
    "add_passphrase",
    "change_passphrase",
    "check_epoch",
    "create",
    "epoch",
    "list_slots",
    "remove_slot",
    "replace_kit",
    "unlock_kit",
    "unlock_passphrase",
    "vault_id",
]

Random = Callable[[int], bytes]
DEFAULT_PARAMS = Argon2Params()
# See _argon2id.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class DataKey:
    """The 32 random bytes that everything in a vault is encrypted under; ``repr`` shows nothing."""

    _raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self._raw) != slotfile.KEY_BYTES:
            raise KeyslotError("A data key has 32 bytes.")

    def derive(self, label: str) -> bytes:
        """32 bytes for one use: HKDF-SHA256, salt ``"pds/v1/vault"``, info = the label in UTF-8.

        Labels in use: ``database``, ``slot-mac``, ``audit``, ``blobs``, ``head``. The data key
        itself encrypts nothing.
        """
        return HKDF(
            algorithm=SHA256(), length=slotfile.KEY_BYTES, salt=b"pds/v1/vault", info=label.encode()
        ).derive(self._raw)

    def unsafe_export(self) -> bytes:
        """The 32 secret bytes, to be wrapped by something that is no slot (an OS keyring)."""
        return self._raw


def create(
    path: Path,
    *,
    passphrase: str,
    params: Argon2Params = DEFAULT_PARAMS,
    random: Random = os.urandom,
) -> tuple[DataKey, str]:
    """Make a new data key and its slot file; returns the key and the 24 words of the recovery kit.

    ``path`` is the file. The kit is shown once: nothing can show it again. Raises
    ``vault.slots_exist`` rather than write over a file, ``vault.passphrase``. How strong a
    passphrase must be is not decided here.
    """
    secret = _passphrase_bytes(passphrase)
    with slotfile.changing(path):
        if path.exists():
            raise KeyslotError(
                "There already is a slot file.",
                code="vault.slots_exist",
                hint="Writing over it would make that vault unreadable for ever.",
            )
        data_key = DataKey(random(slotfile.KEY_BYTES))
        kit = random(slotfile.KEY_BYTES)
        vault = b64url_encode(random(slotfile.ID_BYTES))
        wrap = partial(_wrap, vault, data_key=data_key, random=random)
        slots = (
            wrap("passphrase", secret=secret, params=params),
            wrap("recovery", secret=kit, params=None),
        )
        mac_key = _mac_key(data_key)
        slotfile.write(path, vault=vault, epoch=1, slots=slots, mac_key=mac_key, replaces=None)
    return data_key, kit_words(kit)


def unlock_passphrase(path: Path, passphrase: str) -> DataKey:
    """The data key, for someone who knows a passphrase.

    It is NFC-normalised, so that one keyboard's é is another's. Costs one Argon2id for each
    passphrase slot; every cost in the file is checked before the first is paid. Raises
    ``vault.wrong_secret``, ``vault.slots_damaged``, ``vault.slots_missing``,
    ``vault.kdf_out_of_range``, ``vault.kdf_memory``, ``vault.passphrase``.
    """
    return _unlock(path, "passphrase", _passphrase_bytes(passphrase))


def unlock_kit(path: Path, words: str) -> DataKey:
    """The data key, for someone who has the recovery kit. Raises as :func:`unlock_passphrase`
    and :func:`kit_secret` do."""
    return _unlock(path, "recovery", kit_secret(words))


def change_passphrase(
    path: Path,
    data_key: DataKey,
    new: str,
    *,
    params: Argon2Params = DEFAULT_PARAMS,
    random: Random = os.urandom,
) -> None:
    """Replace **all** passphrases by one new one; the data is not rewritten.

    Whoever kept an older slot file and an older passphrase still gets the data key. After a
    compromise the data key itself must be changed.
    """
    _replace(
        path, data_key, "passphrase", secret=_passphrase_bytes(new), params=params, random=random
    )


def replace_kit(path: Path, data_key: DataKey, *, random: Random = os.urandom) -> str:
    """Replace all recovery kits by a new one and return its 24 words; older kits open nothing."""
    kit = random(slotfile.KEY_BYTES)
    _replace(path, data_key, "recovery", secret=kit, params=None, random=random)
    return kit_words(kit)


def add_passphrase(
    path: Path,
    data_key: DataKey,
    passphrase: str,
    *,
    params: Argon2Params = DEFAULT_PARAMS,
    random: Random = os.urandom,
) -> str:
    """Add a passphrase beside the others; returns the slot's id. At most 8 slots in all:
    ``vault.too_many_slots``."""
    secret = _passphrase_bytes(passphrase)
    with slotfile.changing(path):
        file = _read_authentic(path, data_key)
        slot = _wrap(
            file.vault, "passphrase", secret=secret, params=params, data_key=data_key, random=random
        )
        _write_next(path, file, (*file.slots, slot), data_key)
    return slot.id


def remove_slot(path: Path, data_key: DataKey, slot_id: str) -> None:
    """Remove one slot; ``vault.slot_unknown``, or ``vault.last_slot`` if it is the only one."""
    with slotfile.changing(path):
        file = _read_authentic(path, data_key)
        remaining = tuple(slot for slot in file.slots if slot.id != slot_id)
        if len(remaining) == len(file.slots):
            raise KeyslotError("There is no such slot.", code="vault.slot_unknown")
        if not remaining:
            raise KeyslotError(
                "The last slot cannot be removed.",
                code="vault.last_slot",
                hint="Add another way of opening the vault first.",
            )
        _write_next(path, file, remaining, data_key)


def list_slots(path: Path, data_key: DataKey) -> tuple[Slot, ...]:
    """The slots, authenticated, in the order of the file; none of their fields is secret."""
    return _read_authentic(path, data_key).slots


def vault_id(path: Path, data_key: DataKey) -> str:
    """The vault's random id, authenticated: 22 characters of base64url."""
    return _read_authentic(path, data_key).vault


def epoch(path: Path, data_key: DataKey) -> int:
    """How often the slots have been written, authenticated; 1 for a new vault."""
    return _read_authentic(path, data_key).epoch


def check_epoch(path: Path, data_key: DataKey, *, at_least: int) -> int:
    """Refuse a slot file older than the database remembers (``vault.slots_old``).

    Returns the file's epoch. It may be higher, when a change was interrupted between the two; the
    caller then stores it.
    """
    current = epoch(path, data_key)
    if current < at_least:
        raise KeyslotError(
            "The slot file is older than the vault: somebody put an earlier copy back.",
            code="vault.slots_old",
            hint="A passphrase that was replaced may open it. If you restored it yourself, restore "
            "the whole backup.",
        )
    return current


def _passphrase_bytes(passphrase: str) -> bytes:
    try:
        encoded = unicodedata.normalize("NFC", passphrase).encode()
    except UnicodeEncodeError:
        raise KeyslotError("The passphrase is not valid text.", code="vault.passphrase") from None
    if not encoded:
        raise KeyslotError("The passphrase is empty.", code="vault.passphrase")
    return encoded


# ---- wrapping


def _unlock(path: Path, kind: Kind, secret: bytes) -> DataKey:
    file = slotfile.read(path)
    for slot in file.slots:
        if slot.kind != kind:
            continue
        key, commitment = _stretch(secret, slot.params, slot.salt)
        if not hmac.compare_digest(commitment, slot.commitment):
            continue
        try:
            raw = AESGCM(key).decrypt(slot.nonce, slot.wrapped, slotfile.binding(file.vault, slot))
        except InvalidTag:
            raise slotfile.damaged() from None
        data_key = DataKey(raw)
        file.check_mac(_mac_key(data_key))
        return data_key
    name = "passphrase" if kind == "passphrase" else "recovery kit"
    raise KeyslotError(
        f"This {name} does not open the vault.",
        code="vault.wrong_secret",
        hint="If you are sure of it, the slot file may be damaged or of another vault.",
        exit_code=3,
    )


def _wrap(
    vault: str,
    kind: Kind,
    *,
    secret: bytes,
    params: Argon2Params | None,
    data_key: DataKey,
    random: Random,
) -> Slot:
    salt = random(slotfile.SALT_BYTES)
    key, commitment = _stretch(secret, params, salt)
    slot = Slot(
        id=b64url_encode(random(slotfile.ID_BYTES)),
        kind=kind,
        params=params,
        salt=salt,
        commitment=commitment,
        nonce=random(slotfile.NONCE_BYTES),
        wrapped=b"",
    )
    wrapped = AESGCM(key).encrypt(slot.nonce, data_key._raw, slotfile.binding(vault, slot))
    return replace(slot, wrapped=wrapped)


def _stretch(secret: bytes, params: Argon2Params | None, salt: bytes) -> tuple[bytes, bytes]:
    if params is None:
        stretched = HKDF(
            algorithm=SHA256(), length=slotfile.KEY_BYTES, salt=salt, info=b"pds/v1/kit"
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


def _replace(
    path: Path,
    data_key: DataKey,
    kind: Kind,
    *,
    secret: bytes,
    params: Argon2Params | None,
    random: Random,
) -> None:
    with slotfile.changing(path):
        file = _read_authentic(path, data_key)
        slot = _wrap(
            file.vault, kind, secret=secret, params=params, data_key=data_key, random=random
        )
        others = tuple(one for one in file.slots if one.kind != kind)
        _write_next(path, file, (*others, slot), data_key)


def _mac_key(data_key: DataKey) -> bytes:
    return data_key.derive("slot-mac")


def _read_authentic(path: Path, data_key: DataKey) -> SlotFile:
    file = slotfile.read(path)
    file.check_mac(_mac_key(data_key))
    return file


def _write_next(path: Path, file: SlotFile, slots: tuple[Slot, ...], data_key: DataKey) -> None:
    slotfile.write(
        path,
        vault=file.vault,
        epoch=file.epoch + 1,
        slots=slots,
        mac_key=_mac_key(data_key),
        replaces=file,
    )
