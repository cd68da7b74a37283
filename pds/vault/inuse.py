"""Who has a vault's folder open: many at once, or one that changes its files themselves.

Ordinary work is safe between programs by the database's own locks. Rotating the data key is not: it
puts another file in the database's place; nor is reading where nothing can be written
(``pds.vault.opening``). Everyone who opens a vault therefore holds a shared lock (``flock``) on the
folder, and who does one of these an exclusive one. The system lets go of it when the process
ends, however it ends.
"""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from pds.vault.errors import VaultError

_WAIT_SECONDS = 5.0
_STEP = 0.05


class FolderLock:
    """A lock on a vault's folder: shared from the start, exclusive after ``alone``."""

    def __init__(self, folder: Path) -> None:
        """Take part; waits a little for one that is alone. Raises ``VaultError`` (``vault.busy``),
        OSError."""
        self.is_alone = False
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not self._take(fcntl.LOCK_SH, wait=True):
                raise busy("Another program has this vault for itself.")
        except BaseException:
            self.release()
            raise

    def alone(self) -> None:
        """Become the only one, or raise ``VaultError`` (``vault.busy``) while others take part.

        Then it takes part again, but for a moment it did not: the system lets go of the one lock
        before it tries for the other. What was open meanwhile may be out of date.
        """
        if not self._take(fcntl.LOCK_EX, wait=False):
            if not self._take(fcntl.LOCK_SH, wait=True):
                raise busy("Another program has this vault for itself.")
            raise busy("Another program has this vault open.")
        self.is_alone = True

    def alone_while(self, needed: Callable[[], bool]) -> bool:
        """Become the only one as soon as that can be, for as long as it is still needed; whether it
        is. Raises ``vault.busy`` as ``alone`` does, after a while."""
        until = time.monotonic() + _WAIT_SECONDS
        while needed():
            try:
                self.alone()
            except VaultError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_STEP)
            else:
                return True
        return False

    def alone_if_free(self) -> bool:
        """``alone``, and whether it is; if not, it goes on taking part."""
        try:
            self.alone()
        except VaultError:
            return False
        return True

    def step_aside(self) -> None:
        """Hold nothing for a moment; the next call of ``alone`` takes part again."""
        self.is_alone = False
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def together(self) -> None:
        """Let others take part again."""
        self.is_alone = False
        self._take(fcntl.LOCK_SH, wait=True)

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _take(self, how: int, *, wait: bool) -> bool:
        until = time.monotonic() + (_WAIT_SECONDS if wait else 0.0)
        while True:
            try:
                fcntl.flock(self._descriptor, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(_STEP)
            else:
                return True


def busy(message: str) -> VaultError:
    """``vault.busy``, exit code 4."""
    return VaultError(
        message, code="vault.busy", hint="Close it, or wait, then try again.", exit_code=4
    )
