"""Opening a vault's database, also on a bad day: with a full disk, on one that can only be read, in
a folder of somebody else.

Ordinary opening writes: beside the database its log and the log's index, in it what a newer release
or a cut-off change left to do. Where that cannot be, all that was ever committed can still be read,
and with that be found, shown, exported and backed up to another disk. Then every write is refused,
with the reason for which this is so.

Who reads in this way is as a rule alone in the folder until the vault is closed: SQLite's own locks
need files that cannot be made. Another program that opens the vault meanwhile gets ``vault.busy``.
Where others have it open already, their log is read beside them.
"""

import errno
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from pds.db import Connection, DbError
from pds.vault import files, rotation
from pds.vault.errors import VaultError
from pds.vault.inuse import FolderLock, busy
from pds.vault.wrapping import DataKey

NEEDS_WRITING = frozenset({"db.full", "db.read_only", "db.cannot_open", "db.io"})
"""With these an ordinary opening fails where nothing can be written."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_WAIT_SECONDS = 5.0
_STEP = 0.02


@dataclass(frozen=True, slots=True)
class ReadingOnly:
    """Why a vault is open for reading only: ``reason`` is a half-sentence, ``code`` the one with
    which writes are refused."""

    code: str
    reason: str
    hint: str

    def refusal(self) -> VaultError:
        """The error of every verb that would write."""
        return VaultError(
            f"nothing was written: the vault is open for reading only, because {self.reason}",
            code=self.code,
            hint=self.hint,
        )


_DISK_FULL = ReadingOnly("db.full", "its disk is full", "Free some space, then try again.")
_DISK_CLOSED = ReadingOnly(
    "db.read_only",
    "its disk can only be read",
    "To change something, copy the whole folder to another disk and use it there.",
)
_NOT_YOURS = ReadingOnly(
    "db.read_only",
    "its files may not be written by you",
    "Check the owner and the mode of the vault's folder and of the files in it.",
)
_DISK_BROKEN = ReadingOnly(
    "db.io", "its disk reported an error", "Back the vault up to another disk now, or export it."
)


def open_folder(
    folder: Path, data_key: DataKey, lock: FolderLock
) -> tuple[Connection, ReadingOnly | None]:
    """The open database, and why it can only be read, if that is so.

    A change of the data key that was cut off is settled first. Raises as ``files.open_database``,
    ``files.read_database`` and ``rotation.settle``.
    """
    why = _closed_to_us(folder)
    if why is None:
        try:
            rotation.settle(folder, data_key, lock)
            return files.open_database(folder, data_key), None
        except (DbError, OSError) as error:
            why = _reason(error)
            if why is None:
                raise
    return _read(folder, data_key, lock), why


def _read(folder: Path, data_key: DataKey, lock: FolderLock) -> Connection:
    """Alone, or from the log's index that others keep; whichever can be had first."""
    until = time.monotonic() + _WAIT_SECONDS
    while not lock.alone_if_free():
        try:
            return files.read_database(folder, data_key, alone=False)
        except DbError as error:
            if error.code not in NEEDS_WRITING:
                raise
            if time.monotonic() >= until:
                raise busy("Another program has this vault open.") from error
        # Others come or go this moment, or want to be alone as well: let one of them.
        lock.step_aside()
        time.sleep(_STEP * (1 + secrets.randbelow(4)))
    return files.read_database(folder, data_key, alone=True)


def _closed_to_us(folder: Path) -> ReadingOnly | None:
    wanted = [p for p in (folder, folder / files.DATABASE, folder / files.SLOTS) if p.exists()]
    if all(os.access(path, os.W_OK) for path in wanted):
        return None
    return _DISK_CLOSED if os.statvfs(folder).f_flag & os.ST_RDONLY else _NOT_YOURS


def _reason(error: DbError | OSError) -> ReadingOnly | None:
    if isinstance(error, OSError):
        if error.errno in _FULL:
            return _DISK_FULL
        return _NOT_YOURS if error.errno in _CLOSED else None
    if error.code not in NEEDS_WRITING:
        return None
    return {"db.full": _DISK_FULL, "db.io": _DISK_BROKEN}.get(error.code, _NOT_YOURS)
