"""The folder of the encrypted files: their names, who may remove them, and what makes them durable.

Several programs share it. The lock is the folder itself (``flock``), so that nothing more lies in
it; the system lets go of it when a process ends, however it ends. Held *together* by all who write
or copy files, from before the first file until after the commit that names it. Held *alone* by who
removes files: then no program is between a file and its row.
"""

import fcntl
import io
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pds.db import sync_folder
from pds.vault.attachments.errors import damaged, missing

NAME_BYTES = 16
_NAME = re.compile(r"[0-9a-f]{32}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Not through a link, and not waiting for a pipe that somebody laid there.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class _File(io.FileIO):
    """A raw file; what its disk cannot read any more is damaged, like what was altered."""

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return super().read(size) or b""
        except OSError as error:
            raise damaged() from error


@dataclass(frozen=True, slots=True)
class Folder:
    """``attachments`` in the vault's folder; made with the first attachment."""

    path: Path

    def hold(self) -> int:
        """Hold the folder together with others, until the returned descriptor is closed."""
        if not self.path.exists():
            self.path.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self.path.parent)
        descriptor = os.open(self.path, _FOLDER)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)  # waits for a removal at most
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether the folder could be had alone, which it then is within the block."""
        try:
            descriptor = os.open(self.path, _FOLDER)
        except FileNotFoundError:  # no folder, no file
            yield False
            return
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def create(self, name: str) -> BinaryIO:
        """A new file for its owner alone; durable once it, and then the folder, is synced."""
        return os.fdopen(os.open(self.path / name, _NEW, 0o600), "wb")

    def open(self, name: str, *, length: int) -> io.FileIO:
        """A file of exactly this length, for reading, not buffered.

        Raises AttachmentError ``attachment.missing`` and ``attachment.damaged``.
        """
        try:
            descriptor = os.open(self.path / name, _READ)
        except FileNotFoundError:
            raise missing() from None
        except OSError as error:
            raise damaged() from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != length:
            os.close(descriptor)
            raise damaged()
        return _File(descriptor)

    def names(self) -> list[str]:
        """Of the files that can be ours; what somebody else laid here is left alone."""
        with suppress(FileNotFoundError):
            return [name for name in os.listdir(self.path) if _NAME.fullmatch(name)]
        return []

    def remove(self, names: Iterable[str]) -> None:
        """Take files away. Nothing is overwritten: their keys are gone, and flash keeps copies."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def sync(self) -> None:
        """Make the names in the folder durable."""
        sync_folder(self.path)
