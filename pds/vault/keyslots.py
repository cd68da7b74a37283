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

import os
import unicodedata
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from did.multikey import b64url_encode
from pds.vault import slotfile
from pds.vault.kit import kit_secret, kit_words
from pds.vault.slotfile import Argon2Params, KeyslotError, Kind, Slot, SlotFile
from pds.vault.wrapping import DataKey, Random, unwrap, wrap

__all__ = [
    "Argon2Params",
    "Around",
    "DataKey",
    "KeyslotError",
    "Slot",
    "add_keyring",
    "add_passphrase",
    "change_passphrase",
    "check_epoch",
    "create",
    "epoch",
    "list_slots",
    "rekey",
    "remove_slot",
    "replace_kit",
    "replace_passphrase",
    "unlock_keyring",
    "unlock_kit",
    "unlock_passphrase",
    "vault_id",
    "wrong_for_backup",
]

Keep = Callable[[str], None]
"""Takes the words of a new kit: to paper, to a file, to a screen."""

Around = Callable[[int, str], AbstractContextManager[None]]
"""What belongs to a change, entered before the slot file is written and left after, under its lock:
gets the epoch that the file will have, and the id of the slot that comes or goes."""


def _nothing(_epoch: int, _slot_id: str) -> AbstractContextManager[None]:
    return nullcontext()


DEFAULT_PARAMS = Argon2Params()
_NAMES = {
    "passphrase": "passphrase",
    "recovery": "recovery kit",
    "keyring": "secret of the OS keyring",
}


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
        make = partial(wrap, vault, data_key=data_key, random=random)
        slots = (
            make("passphrase", secret=secret, params=params),
            make("recovery", secret=kit, params=None),
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
    around: Around = _nothing,
) -> None:
    """Replace **all** passphrases by one new one; the data is not rewritten.

    Whoever kept an older slot file and an older passphrase still gets the data key. After a
    compromise the data key itself must be changed.
    """
    _change(
        path,
        data_key,
        "passphrase",
        secret=_passphrase_bytes(new),
        params=params,
        random=random,
        around=around,
        place=_for_its_kind,
    )


def replace_kit(
    path: Path,
    data_key: DataKey,
    *,
    keep: Keep = lambda _words: None,
    random: Random = os.urandom,
    around: Around = _nothing,
) -> str:
    """Replace all recovery kits by a new one and return its 24 words; older kits open nothing.

    The words go to ``keep`` before anything is written: if they cannot be kept, and it raises, the
    old kit stays.
    """
    kit = random(slotfile.KEY_BYTES)
    words = kit_words(kit)
    keep(words)
    _change(
        path,
        data_key,
        "recovery",
        secret=kit,
        params=None,
        random=random,
        around=around,
        place=_for_its_kind,
    )
    return words


def add_passphrase(
    path: Path,
    data_key: DataKey,
    passphrase: str,
    *,
    params: Argon2Params = DEFAULT_PARAMS,
    random: Random = os.urandom,
    around: Around = _nothing,
) -> str:
    """Add a passphrase beside the others; returns the slot's id. At most 8 slots in all:
    ``vault.too_many_slots``."""
    secret = _passphrase_bytes(passphrase)
    return _change(
        path,
        data_key,
        "passphrase",
        secret=secret,
        params=params,
        random=random,
        around=around,
        place=_beside,
    )


def add_keyring(
    path: Path,
    data_key: DataKey,
    secret: bytes,
    *,
    random: Random = os.urandom,
    around: Around = _nothing,
) -> str:
    """Add a slot for 32 random bytes that an OS keyring keeps; returns the slot's id."""
    return _change(
        path,
        data_key,
        "keyring",
        secret=secret,
        params=None,
        random=random,
        around=around,
        place=_beside,
    )


def unlock_keyring(path: Path, slot_id: str, secret: bytes) -> DataKey:
    """The data key, by the secret that an OS keyring keeps for this slot; raises as
    :func:`unlock_passphrase` does."""
    return _unlock(path, "keyring", secret, slot_id=slot_id)


def replace_passphrase(
    path: Path,
    data_key: DataKey,
    slot_id: str,
    new: str,
    *,
    params: Argon2Params = DEFAULT_PARAMS,
    random: Random = os.urandom,
    around: Around = _nothing,
) -> str:
    """Put a new passphrase in the place of one, the others stay; returns the new slot's id.
    Raises ``vault.slot_unknown`` unless there is a passphrase of that id."""

    def instead(slots: tuple[Slot, ...], made: Slot) -> tuple[Slot, ...]:
        if slot_id not in [slot.id for slot in slots if slot.kind == "passphrase"]:
            raise _unknown()
        return tuple(made if slot.id == slot_id else slot for slot in slots)

    return _change(
        path,
        data_key,
        "passphrase",
        secret=_passphrase_bytes(new),
        params=params,
        random=random,
        around=around,
        place=instead,
    )


def rekey(
    path: Path,
    old: DataKey,
    new: DataKey,
    *,
    passphrase: str,
    params: Argon2Params = DEFAULT_PARAMS,
    keep: Keep,
    random: Random = os.urandom,
) -> int:
    """Make this the slot file of another data key, with one passphrase and a new kit; every other
    slot is gone, for it wraps a key that cannot be put there without its secret. Returns the epoch.

    The words of the kit go to ``keep`` before the file is written; if it raises, nothing is.
    """
    secret = _passphrase_bytes(passphrase)
    kit = random(slotfile.KEY_BYTES)
    with slotfile.changing(path):
        file = _read_authentic(path, old)
        make = partial(wrap, file.vault, data_key=new, random=random)
        slots = (
            make("passphrase", secret=secret, params=params),
            make("recovery", secret=kit, params=None),
        )
        keep(kit_words(kit))
        _write_next(path, file, slots, new)
    return file.epoch + 1


def remove_slot(path: Path, data_key: DataKey, slot_id: str, *, around: Around = _nothing) -> None:
    """Remove one slot; ``vault.slot_unknown``, or ``vault.last_slot`` if it is the only one."""
    with slotfile.changing(path):
        file = _read_authentic(path, data_key)
        remaining = tuple(slot for slot in file.slots if slot.id != slot_id)
        if len(remaining) == len(file.slots):
            raise _unknown()
        if not remaining:
            raise KeyslotError(
                "The last slot cannot be removed.",
                code="vault.last_slot",
                hint="Add another way of opening the vault first.",
            )
        with around(file.epoch + 1, slot_id):
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


# ---- within


def _unlock(path: Path, kind: Kind, secret: bytes, *, slot_id: str | None = None) -> DataKey:
    file = slotfile.read(path)
    for slot in file.slots:
        if slot.kind != kind or slot_id not in (None, slot.id):
            continue
        data_key = unwrap(file.vault, slot, secret)
        if data_key is not None:
            file.check_mac(_mac_key(data_key))
            return data_key
    raise KeyslotError(
        f"This {_NAMES[kind]} does not open the vault.",
        code="vault.wrong_secret",
        hint="If you are sure of it, the slot file may be damaged or of another vault.",
        exit_code=3,
    )


def wrong_for_backup(kind: Kind) -> KeyslotError:
    """The same of a backup, which has the slots of its day."""
    return KeyslotError(
        f"This {_NAMES[kind]} does not open the backup.",
        code="vault.wrong_secret",
        hint="A backup opens with the passphrases and the recovery kit of the day it was made, "
        "even if they were replaced since. Or is it a backup of another vault?",
        exit_code=3,
    )


def _change(
    path: Path,
    data_key: DataKey,
    kind: Kind,
    *,
    secret: bytes,
    params: Argon2Params | None,
    random: Random,
    around: Around,
    place: Callable[[tuple[Slot, ...], Slot], tuple[Slot, ...]],
) -> str:
    """Make a slot and write it where ``place`` puts it among those there are; its id."""
    with slotfile.changing(path):
        file = _read_authentic(path, data_key)
        slot = wrap(
            file.vault, kind, secret=secret, params=params, data_key=data_key, random=random
        )
        slots = place(file.slots, slot)
        slotfile.check_count(slots)
        with around(file.epoch + 1, slot.id):
            _write_next(path, file, slots, data_key)
    return slot.id


def _beside(slots: tuple[Slot, ...], new: Slot) -> tuple[Slot, ...]:
    return (*slots, new)


def _for_its_kind(slots: tuple[Slot, ...], new: Slot) -> tuple[Slot, ...]:
    return (*(slot for slot in slots if slot.kind != new.kind), new)


def _unknown() -> KeyslotError:
    return KeyslotError(
        "There is no such slot.", code="vault.slot_unknown", hint="See: pds key list"
    )


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
