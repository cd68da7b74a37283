"""The slot file on disk: its exact form, its MAC, its lock, and writing it so that neither a crash
nor a second writer can lose it.

One line of canonical JSON (JCS). Whoever can write to the folder can change it, so it is read as
hostile input:

    {"format": "pds/v1/slots", "vault": id, "epoch": n, "slots": [slot, …], "mac": …}
    slot = {"id", "kind": "passphrase" | "recovery" | "keyring", "kdf", "commitment", "nonce",
            "wrapped"}
    kdf  = {"name": "argon2id", "memoryKib", "time", "lanes", "salt"}      of a passphrase
         | {"name": "hkdf-sha256", "salt"}       of the recovery kit and of an OS keyring's secret

Bytes are base64url without padding: ids, salts 16, nonce 12, commitment 32, wrapped 48, mac 32.
The MAC is HMAC-SHA256 over the JCS of the object without ``mac``. A file that is not byte for byte
in this form is refused, so what is authenticated is what was on disk.
"""

import contextlib
import fcntl
import hmac
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from did.errors import DidError
from did.json import Json, JsonObject, canonicalize, parse_object
from did.multikey import b64url_decode, b64url_encode
from pds.db import sync_folder
from pds.errors import PdsError

FORMAT = "pds/v1/slots"
MAX_SLOTS = 8
MAX_FILE_BYTES = 16_384
ID_BYTES = 16
SALT_BYTES = 16
NONCE_BYTES = 12
KEY_BYTES = 32
COMMITMENT_BYTES = 32
_WRAPPED_BYTES = KEY_BYTES + 16
_MAC_BYTES = 32
_MAX_EPOCH = 2**53 - 1
_LOCK_SECONDS = 60.0
_LOCK_STEP = 0.02

Kind: TypeAlias = Literal["passphrase", "recovery", "keyring"]


class KeyslotError(PdsError):
    """What a caller can tell apart, by ``code``:

    vault.wrong_secret       no slot opens with this secret; ``exit_code`` 3
    vault.passphrase         the passphrase is empty or not valid Unicode
    vault.kit_words          not 24 words, or a word (named by its position) is not of the list
    vault.kit_checksum       known words that do not belong together
    vault.kit_sheets         sheets of two kits, the same sheet twice, or too few
    vault.slots_missing      no slot file here
    vault.slots_exist        a slot file is already here; making another would lose the vault
    vault.slots_damaged      the slot file was damaged or changed
    vault.slots_old          the slot file is older than the database
    vault.slots_busy         another program has been changing the slots for too long
    vault.slots_changed      the slot file was changed by somebody who does not keep to the lock
    vault.kdf_out_of_range   a cost below the floor or above the ceiling
    vault.kdf_memory         this machine cannot give the memory that the slot asks for
    vault.slot_unknown, vault.last_slot, vault.too_many_slots
    vault.keyring            the OS keyring is not there, refuses, or keeps secrets in clear
    """

    default_code = "vault.slots_damaged"


@dataclass(frozen=True, slots=True)
class Argon2Params:
    """The cost of guessing a passphrase (RFC 9106): memory in KiB, passes, lanes.

    The floor is 64 MiB, 3, 4; the ceiling, 2 GiB, 16, 16, keeps a hostile file from holding the
    machine. Outside, ``vault.kdf_out_of_range`` is raised: such a value cannot even be made.
    """

    memory_kib: int = 262_144
    time: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        in_range = (
            65_536 <= self.memory_kib <= 2_097_152
            and 3 <= self.time <= 16
            and 4 <= self.lanes <= 16
        )
        if not in_range:
            raise KeyslotError(
                "The cost of the key derivation is outside the permitted range.",
                code="vault.kdf_out_of_range",
                hint="Memory 64 MiB to 2 GiB, passes 3 to 16, lanes 4 to 16. If you did not choose "
                "it, somebody changed the slot file: restore it from a backup.",
            )


@dataclass(frozen=True, slots=True)
class Slot:
    """One way of opening the vault. ``params`` is None unless it is a passphrase: 256 random bits
    need no slow derivation."""

    id: str
    kind: Kind
    params: Argon2Params | None
    salt: bytes
    commitment: bytes
    nonce: bytes
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class SlotFile:
    """A slot file whose form has been checked, and nothing else: see :meth:`check_mac`.

    ``body`` is what the MAC covers; ``mac`` came with the file.
    """

    vault: str
    epoch: int
    slots: tuple[Slot, ...]
    body: bytes
    mac: bytes

    def check_mac(self, key: bytes) -> None:
        """Raise ``vault.slots_damaged`` unless a holder of ``key`` wrote this whole file."""
        if not hmac.compare_digest(_mac(self.body, key), self.mac):
            raise damaged()


def read(path: Path) -> SlotFile:
    """Read and check the form, every cost included, before anything is computed from it.

    Raises ``vault.slots_missing``, ``vault.slots_damaged``, ``vault.kdf_out_of_range``.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise KeyslotError(
            "There is no slot file here.",
            code="vault.slots_missing",
            hint="Is this the folder of a vault? If so, restore a backup into another folder: "
            "pds --vault NEWFOLDER restore BACKUP",
        ) from None
    try:
        document = parse_object(raw, max_bytes=MAX_FILE_BYTES)
        if canonicalize(document) + b"\n" != raw:
            raise damaged()
        return _parse(document)
    except DidError:
        raise damaged() from None


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Hold the lock of a slot file: from reading what is to be changed until it is written.

    A file ``<name>.lock`` beside it is locked (``flock``): of several programs, and of several
    threads, one changes the slots while the others wait. The system lets go of it when the process
    ends, however it ends. Readers need no lock: a file is replaced as a whole. Raises
    ``vault.slots_busy`` after a minute, OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(path.with_name(path.name + ".lock"), flags, 0o600)
    try:
        until = time.monotonic() + _LOCK_SECONDS
        while not _is_locked(lock):
            if time.monotonic() > until:
                raise KeyslotError(
                    "Another program has been changing the passphrase or the kit for too long.",
                    code="vault.slots_busy",
                    hint="Let it finish, and try again.",
                    exit_code=4,
                )
            time.sleep(_LOCK_STEP)
        yield
    finally:
        os.close(lock)


def _is_locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write(
    path: Path,
    *,
    vault: str,
    epoch: int,
    slots: tuple[Slot, ...],
    mac_key: bytes,
    replaces: SlotFile | None,
) -> None:
    """Write a whole new file in place of the old one, or, whatever happens, leave the old one.

    The caller is within :func:`changing`, and ``replaces`` is what it read there; ``None`` if there
    was nothing. Temporary file beside it (random name, mode 0600), fsync, one more look at the old
    file, rename, fsync of the directory. Temporary files that killed processes left behind are
    cleared away. Raises ``vault.too_many_slots``, ``vault.slots_changed``, OSError.
    """
    check_count(slots)
    document: JsonObject = {
        "format": FORMAT,
        "vault": vault,
        "epoch": epoch,
        "slots": [_slot_json(slot) for slot in slots],
    }
    document["mac"] = b64url_encode(_mac(canonicalize(document), mac_key))
    _replace_durably(path, canonicalize(document) + b"\n", replaces)


def check_count(slots: tuple[Slot, ...]) -> None:
    """Raise ``vault.too_many_slots`` for more than fit."""
    if len(slots) > MAX_SLOTS:
        raise KeyslotError(
            "There are as many slots as can be.",
            code="vault.too_many_slots",
            hint="Remove one first.",
        )


def binding(vault: str, slot: Slot) -> bytes:
    """The additional data of a slot's wrapping: JCS of vault id, slot id, kind and kdf."""
    return canonicalize(
        {"format": FORMAT, "vault": vault, "id": slot.id, "kind": slot.kind, "kdf": _kdf_json(slot)}
    )


def damaged() -> KeyslotError:
    """The one error for every file that is not as it was written."""
    return KeyslotError(
        "The slot file was damaged or changed.",
        code="vault.slots_damaged",
        hint="Restore it from a backup; the passphrase or the kit of that time opens it.",
    )


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")


def _replace_durably(path: Path, content: bytes, replaces: SlotFile | None) -> None:
    # Under the lock nobody else's can be alive.
    for litter in path.parent.glob(f"{path.name}.*tmp"):
        litter.unlink(missing_ok=True)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    # O_EXCL: never write through a link that somebody laid there meanwhile.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        _check_still(path, replaces)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _check_still(path: Path, expected: SlotFile | None) -> None:
    """The file is still the one that was read: the same epoch under the same MAC."""
    found = read(path) if expected is not None or path.exists() else None
    shown, read_before = (
        None if one is None else (one.epoch, one.mac) for one in (found, expected)
    )
    if shown != read_before:
        raise KeyslotError(
            "The slot file changed while it was being changed; nothing was written.",
            code="vault.slots_changed",
            hint="Did a backup put another copy there? Try again.",
        )


def _slot_json(slot: Slot) -> Json:
    return {
        "id": slot.id,
        "kind": slot.kind,
        "kdf": _kdf_json(slot),
        "commitment": b64url_encode(slot.commitment),
        "nonce": b64url_encode(slot.nonce),
        "wrapped": b64url_encode(slot.wrapped),
    }


def _kdf_json(slot: Slot) -> Json:
    salt = b64url_encode(slot.salt)
    if slot.params is None:
        return {"name": "hkdf-sha256", "salt": salt}
    return {
        "name": "argon2id",
        "memoryKib": slot.params.memory_kib,
        "time": slot.params.time,
        "lanes": slot.params.lanes,
        "salt": salt,
    }


def _parse(document: JsonObject) -> SlotFile:
    _exactly(document, "format", "vault", "epoch", "slots", "mac")
    entries, vault = document["slots"], document["vault"]
    if document["format"] != FORMAT or not isinstance(entries, list):
        raise damaged()
    if not 1 <= len(entries) <= MAX_SLOTS:
        raise damaged()
    _octets(vault, ID_BYTES)
    epoch = _integer(document["epoch"])
    if not 1 <= epoch <= _MAX_EPOCH:
        raise damaged()
    slots = tuple(_parse_slot(entry) for entry in entries)
    if len({slot.id for slot in slots}) != len(slots):
        raise damaged()
    body = canonicalize({key: value for key, value in document.items() if key != "mac"})
    return SlotFile(str(vault), epoch, slots, body, _octets(document["mac"], _MAC_BYTES))


def _parse_slot(entry: Json) -> Slot:
    if not isinstance(entry, dict):
        raise damaged()
    _exactly(entry, "id", "kind", "kdf", "commitment", "nonce", "wrapped")
    _octets(entry["id"], ID_BYTES)
    kdf = entry["kdf"]
    if not isinstance(kdf, dict):
        raise damaged()
    kind: Kind
    params: Argon2Params | None
    # The kind decides the kdf: a passphrase is never stretched by anything quick.
    if entry["kind"] == "passphrase" and kdf.get("name") == "argon2id":
        _exactly(kdf, "name", "memoryKib", "time", "lanes", "salt")
        kind = "passphrase"
        params = Argon2Params(
            memory_kib=_integer(kdf["memoryKib"]),
            time=_integer(kdf["time"]),
            lanes=_integer(kdf["lanes"]),
        )
    elif entry["kind"] in ("recovery", "keyring") and kdf.get("name") == "hkdf-sha256":
        _exactly(kdf, "name", "salt")
        kind, params = ("recovery" if entry["kind"] == "recovery" else "keyring"), None
    else:
        raise damaged()
    return Slot(
        id=str(entry["id"]),
        kind=kind,
        params=params,
        salt=_octets(kdf["salt"], SALT_BYTES),
        commitment=_octets(entry["commitment"], COMMITMENT_BYTES),
        nonce=_octets(entry["nonce"], NONCE_BYTES),
        wrapped=_octets(entry["wrapped"], _WRAPPED_BYTES),
    )


def _exactly(value: JsonObject, *keys: str) -> None:
    if value.keys() != set(keys):
        raise damaged()


def _integer(value: Json) -> int:
    if type(value) is not int:  # True is an int too
        raise damaged()
    return value


def _octets(value: Json, length: int) -> bytes:
    """The bytes of base64url text; an EncodingError of b64url_decode is handled by ``read``."""
    if not isinstance(value, str):
        raise damaged()
    octets = b64url_decode(value)
    if len(octets) != length:
        raise damaged()
    return octets
