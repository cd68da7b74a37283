"""The keyring of the operating system as a way in: it keeps 32 random bytes for one key slot.

The library is an extra (``pip install 'personal-data-store[keyring]'``) and is loaded only when a
vault has such a slot. Whoever can use the person's unlocked session can then open the vault.
"""

from binascii import Error as BadHex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pds.vault import keyslots, slotfile
from pds.vault.keyslots import Around
from pds.vault.slotfile import KEY_BYTES, KeyslotError
from pds.vault.wrapping import DataKey, Random

SERVICE = "personal-data-store"
# What the library calls a keyring that is recommended; those that write secrets in clear are below.
_RECOMMENDED = 1


def add(path: Path, data_key: DataKey, *, random: Random, around: Around) -> str:
    """Add a slot whose secret lies in the keyring; returns its id. Raises ``vault.keyring``.

    The secret is there before the slot is, so that no slot stands for what nobody keeps.
    """
    check()
    secret = random(KEY_BYTES)

    @contextmanager
    def kept(epoch: int, slot_id: str) -> Iterator[None]:
        with _errors() as keyring:
            keyring.set_password(SERVICE, slot_id, secret.hex())
        try:
            with around(epoch, slot_id):
                yield
        except BaseException:
            with suppress(KeyslotError):
                forget(slot_id)
            raise

    return keyslots.add_keyring(path, data_key, secret, random=random, around=kept)


def unlock(path: Path) -> DataKey | None:
    """The data key, by the first slot whose secret the keyring has; None when there is none.

    Raises ``vault.keyring``, ``vault.slots_damaged``, ``vault.slots_missing``.
    """
    ids = [slot.id for slot in slotfile.read(path).slots if slot.kind == "keyring"]
    if not ids:
        return None
    check()
    for slot_id in ids:
        with _errors() as keyring:
            text = keyring.get_password(SERVICE, slot_id)
        try:
            secret = bytes.fromhex(text or "")
        except (BadHex, ValueError):
            continue
        if len(secret) == KEY_BYTES:
            try:
                return keyslots.unlock_keyring(path, slot_id, secret)
            except KeyslotError as error:
                if error.code != "vault.wrong_secret":
                    raise
    return None


def forget(slot_id: str) -> None:
    """Take a secret out of the keyring, if it is there. Raises ``vault.keyring``."""
    check()
    with _errors() as keyring:
        if keyring.get_password(SERVICE, slot_id) is not None:
            keyring.delete_password(SERVICE, slot_id)


def check() -> None:
    """Raise ``vault.keyring`` unless there is a keyring that keeps secrets encrypted."""
    with _errors() as keyring:
        if keyring.get_keyring().priority < _RECOMMENDED:
            raise _refused("There is no keyring of the system here that keeps secrets safe.")


@contextmanager
def _errors() -> Iterator[Any]:  # the module, loaded on demand
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise _refused(
            "The library for the system's keyring is not installed.",
            "pip install 'personal-data-store[keyring]', or use a passphrase.",
        ) from None
    try:
        yield keyring
    except keyring.errors.KeyringError:
        raise _refused("The system's keyring is locked, or refused.") from None


def _refused(message: str, hint: str = "Use a passphrase or the kit.") -> KeyslotError:
    return KeyslotError(message, code="vault.keyring", hint=hint)
