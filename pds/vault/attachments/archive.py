"""All attachments as one run of bytes, for a backup, and back.

    run = file ‖ … ‖ file ‖ filling

The files stand as they lie in the folder, in the order of their rows, and look like noise without
a border; the rows, in the backup's encrypted database, say where each ends and hold its key. The
filling is random and rounds the whole up like a single attachment, so that a run shows neither how
many there are nor their sizes, and two backups a day apart seldom show that one was added. Every
file is read with its key on the way in and on the way out: a torn, swapped or altered one cannot
pass. *Not* authenticated: the filling, from which nothing is read.
"""

import os
from collections.abc import Iterable

from pds.vault.attachments.errors import damaged
from pds.vault.attachments.folder import Folder
from pds.vault.attachments.stream import (
    CHUNK,
    Sealed,
    Source,
    Target,
    filled,
    rounded,
    unseal,
)

Item = tuple[str, Sealed]
"""The name of a file, and how to read it."""


def pack(items: Iterable[Item], folder: Folder, out: Target) -> None:
    """Write the run. Raises ``attachment.missing`` and ``attachment.damaged``."""
    total = 0
    for name, sealed in items:
        with folder.open(name, length=sealed.length) as source:
            _copy(source, out, sealed)
        total += sealed.length
    left = _filling(total)
    while left:
        left -= out.write(os.urandom(min(left, CHUNK)))


def unpack(items: Iterable[Item], folder: Folder, source: Source) -> None:
    """Lay the files of a run out in a folder, durably. Raises ``attachment.damaged``."""
    total = 0
    for name, sealed in items:
        with folder.create(name) as out:
            _copy(source, out, sealed)
            out.flush()
            os.fsync(out.fileno())
        total += sealed.length
    left = _filling(total)
    while left:
        piece = filled(source, min(left, CHUNK))
        if not piece:
            raise damaged()
        left -= len(piece)
    if source.read(1):
        raise damaged()
    folder.sync()


def _filling(total: int) -> int:
    return rounded(max(1, -(-total // CHUNK))) * CHUNK - total


def _copy(source: Source, target: Target, sealed: Sealed) -> None:
    for _ in unseal(_Tee(source, target), sealed):
        pass


class _Tee:
    """Writes what is read through it."""

    def __init__(self, source: Source, target: Target) -> None:
        self._source = source
        self._target = target

    def read(self, size: int, /) -> bytes:
        piece = self._source.read(size)
        self._target.write(piece)
        return piece
