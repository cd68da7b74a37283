"""The data key for a while, in the kernel's keyring: ``pds unlock`` and ``pds lock``.

A command line has no process that could stay open. The Linux kernel keeps small secrets for a user
in memory that is never swapped, and forgets each when its time is over. The key lies in the
*user's* keyring, since in many systems another terminal has another session: for that time every
program of this user can have it. Nothing of it is ever on a disk. Elsewhere, and where a container
forbids it, there is no such place, and the passphrase is asked for each time.

The calls are keyctl(2)'s; glibc has no function for them, so they go by number.
"""

import ctypes
import errno
import os
import sys

from pds.vault.errors import VaultError
from pds.vault.slotfile import KEY_BYTES
from pds.vault.wrapping import DataKey

# add_key, keyctl: numbers of the system calls by machine (include/uapi/asm-generic/unistd.h).
_CALLS = {"x86_64": (248, 250), "aarch64": (217, 219), "riscv64": (217, 219)}
# include/uapi/linux/keyctl.h
_PROCESS_KEYRING, _USER_KEYRING = -2, -4
_SETPERM, _LINK, _UNLINK, _SEARCH, _READ, _TIMEOUT, _INVALIDATE = 5, 8, 9, 10, 11, 15, 21
# The possessor may do all; the same user view, read, search; nobody else anything.
_PERMISSIONS = 0x3F0B0000
_GONE = frozenset({errno.ENOKEY, errno.EKEYEXPIRED, errno.EKEYREVOKED})


def remember(vault: str, data_key: DataKey, *, seconds: int) -> None:
    """Keep the key of a vault for so many seconds. Raises ``VaultError`` (``vault.no_keeper``)."""
    secret = bytearray(data_key.unsafe_export())
    try:
        held = (ctypes.c_char * KEY_BYTES).from_buffer(secret)
        # Only who possesses a key may set its time: made in this process's own ring, then moved.
        key = _call(0, b"user", _name(vault), held, KEY_BYTES, _PROCESS_KEYRING)
        try:
            _keyctl(_TIMEOUT, key, seconds)
            _keyctl(_SETPERM, key, _PERMISSIONS)
            _keyctl(_LINK, key, _USER_KEYRING)
        finally:
            _keyctl(_UNLINK, key, _PROCESS_KEYRING)
        if recall(vault) is None:
            raise _no_keeper()
    except OSError:
        raise _no_keeper() from None
    finally:
        secret[:] = bytes(KEY_BYTES)


def recall(vault: str) -> DataKey | None:
    """The key, if it is kept and its time is not over. Whether it fits is for the caller to see."""
    secret = bytearray(KEY_BYTES)
    try:
        key = _keyctl(_SEARCH, _USER_KEYRING, b"user", _name(vault), 0)
        held = (ctypes.c_char * KEY_BYTES).from_buffer(secret)
        if _keyctl(_READ, key, held, KEY_BYTES) != KEY_BYTES:
            return None
        return DataKey(secret)
    except OSError:
        return None
    finally:
        secret[:] = bytes(KEY_BYTES)


def forget(vault: str) -> bool:
    """Forget the key at once; whether there was one. Raises ``VaultError`` (``vault.no_keeper``)
    when the kernel does not let go of it."""
    try:
        key = _keyctl(_SEARCH, _USER_KEYRING, b"user", _name(vault), 0)
    except OSError:
        return False
    try:
        _keyctl(_INVALIDATE, key)
    except OSError as error:
        if error.errno not in _GONE:
            raise _no_keeper() from None
    return True


def _name(vault: str) -> bytes:
    return f"pds:v1:{vault}".encode("ascii")


def _keyctl(*arguments: object) -> int:
    return _call(1, *arguments)


def _call(which: int, *arguments: object) -> int:
    numbers = _CALLS.get(os.uname().machine)
    if sys.platform != "linux" or numbers is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    # The C function takes longs: an int handed over as it is would fill half of one.
    widened = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    result = int(library.syscall(ctypes.c_long(numbers[which]), *widened))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _no_keeper() -> VaultError:
    return VaultError(
        "this system has no place where a key could be kept for a while",
        code="vault.no_keeper",
        hint="Every command asks for the passphrase instead. Containers often forbid the kernel's "
        "keyring.",
    )
