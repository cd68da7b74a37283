"""All attachments as one run of bytes, for a backup, and back.

    run = file ‖ … ‖ file ‖ filling

The files stand as they lie in the folder, in the order of their rows, and look like noise without
a border; the rows, in the backup's encrypted database, say where each ends and hold its key. The
filling is random and rounds the whole up like a single attachment, so that a run shows neither how
many there are nor their sizes, and two backups a day apart seldom show that one was added. Every
file is read with its key on the way in and on the way out: a torn, swapped or altered one cannot
pass. One that is damaged already is left out, so that it costs no other; as many of its bytes as
were written before that was seen stay in the run, and whoever reads it has to know how many.
*Not* authenticated: the filling, from which nothing is read.
"""

import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pds.vault.attachments.errors import AttachmentError, damaged
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


def pack(items: Iterable[Item], folder: Folder, out: Target) -> dict[str, int]:
    """Write the run. Returns the names of files that cannot be read whole, and how many bytes of
    each are in the run all the same."""
    total, left_out = 0, {}
    for name, sealed in items:
        counted = _Counted(out)
        try:
            with folder.open(name, length=sealed.length) as source:
                _copy(source, counted, sealed)
        except AttachmentError:
            left_out[name] = counted.count
        total += counted.count
    left = _filling(total)
    while left:
        left -= out.write(os.urandom(min(left, CHUNK)))
    return left_out


def unpack(
    items: Iterable[Item],
    folder: Folder,
    source: Source,
    left_out: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Lay the files of a run out in a folder, durably, without those that ``pack`` left out.
    Raises ``attachment.damaged``."""
    total = 0
    for name, sealed in items:
        if name in left_out:
            _skip(source, left_out[name])
            total += left_out[name]
            continue
        with folder.create(name) as out:
            _copy(source, out, sealed)
            out.flush()
            os.fsync(out.fileno())
        total += sealed.length
    _skip(source, _filling(total))
    if source.read(1):
        raise damaged()
    folder.sync()


def _filling(total: int) -> int:
    return rounded(max(1, -(-total // CHUNK))) * CHUNK - total


def _skip(source: Source, count: int) -> None:
    while count > 0:
        piece = filled(source, min(count, CHUNK))
        if not piece:
            raise damaged()
        count -= len(piece)


def _copy(source: Source, target: Target, sealed: Sealed) -> None:
    for _ in unseal(_Tee(source, target), sealed):
        pass


class _Counted:
    """Counts what is written through it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.count = 0

    def write(self, data: bytes, /) -> int:
        written = self._target.write(data)
        self.count += len(data)
        return written


class _Tee:
    """Writes what is read through it."""

    def __init__(self, source: Source, target: Target) -> None:
        self._source = source
        self._target = target

    def read(self, size: int, /) -> bytes:
        piece = self._source.read(size)
        self._target.write(piece)
        return piece
