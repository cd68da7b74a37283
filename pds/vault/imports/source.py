"""A file that is imported: read once for the preview and once more for the import."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .plan import ImportFailed

MAX_WHOLE = 64 * 1024 * 1024


class Source:
    """A regular file, or bytes; the same from one reading to the next.

    Nothing is open between readings. A file that is another, or another length or age, than when
    it was named is refused (``import.changed``).
    """

    def __init__(self, data: bytes | Path) -> None:
        """Raises ImportFailed ``import.unreadable``, ``import.empty``."""
        self._data = data
        self._seen: tuple[int, ...] | None = None
        with self.open() as stream:
            self.size = stream.seek(0, os.SEEK_END)
        if self.size == 0:
            raise ImportFailed("The file is empty.", code="import.empty")

    @classmethod
    def of(cls, data: "bytes | Path | Source") -> "Source":
        return data if isinstance(data, Source) else cls(data)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The content from its beginning; can be sought in."""
        if isinstance(self._data, bytes):
            yield io.BytesIO(self._data)
            return
        try:
            # Without O_NONBLOCK a named pipe would hang the opening.
            descriptor = os.open(self._data, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _unreadable() from error
        try:
            self._check(os.fstat(descriptor))
            stream = os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
        with stream:
            try:
                yield stream
            except OSError as error:
                raise _unreadable() from error

    def head(self, size: int = 4096) -> bytes:
        """The first bytes."""
        with self.open() as stream:
            return stream.read(size)

    def check_whole(self) -> None:
        """Refuse what is too long to be held in memory: ``import.too_large`` above 64 MiB."""
        if self.size > MAX_WHOLE:
            raise ImportFailed(
                "The file is larger than 64 MiB.",
                code="import.too_large",
                hint="Split it into smaller files.",
            )

    def whole(self) -> bytes:
        """All of it, for a reader that needs it at once. Raises as ``check_whole``."""
        self.check_whole()
        with self.open() as stream:
            return stream.read()

    def _check(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise ImportFailed("Only a regular file can be imported.", code="import.unreadable")
        now = (
            found.st_dev,
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,  # which nobody can set back
        )
        if self._seen is not None and now != self._seen:
            raise ImportFailed(
                "The file was changed since it was looked at.",
                code="import.changed",
                hint="Start the import again.",
            )
        self._seen = now


def _unreadable() -> ImportFailed:
    return ImportFailed(
        "The file cannot be read.", code="import.unreadable", hint="Check the path."
    )
