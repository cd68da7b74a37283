"""ZIP archives of strangers: their members as files to read, nothing of them on any disk.

What a member may be is decided from the directory alone: a plain file with a plain name, once,
neither encrypted nor of a size out of all proportion. Names are only ever compared and shown.
"""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Self

from .plan import ImportFailed
from .source import MAX_WHOLE, Source

MAX_DIRECTORY = 32 * 1024 * 1024
MAX_MEMBERS = 200_000
MAX_RATIO = 200
MAX_NAME = 400
SMALL = 10 * 1024 * 1024  # below this a member's proportion does not matter

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error,
    OSError, ValueError, OverflowError, UnicodeError,
)  # fmt: skip
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

Report = Callable[[str, str, str], None]


class MemberBroken(ImportFailed):
    """A member of an archive cannot be read to its end."""

    default_code = "archive.damaged"


class Member(Source):
    """A member of an archive that is open, read as any other file."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> None:
        self._archive = archive
        self._info = info
        self.name = name
        self.size = info.file_size

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The content from its beginning. Raises MemberBroken."""
        try:
            with self._archive.open(self._info) as raw:
                yield io.BufferedReader(raw, 65_536)  # type: ignore[type-var]
        except ImportFailed:
            raise
        except _BROKEN as error:
            raise MemberBroken(
                "The file is damaged inside the archive; what came before that is kept."
            ) from error


class Archive:
    """An archive whose directory has been looked through; a context manager.

    ``members`` are those that can be read, in the order of the directory. ``report`` hears of the
    others: name, code, sentence (``archive.name``, ``archive.encrypted``, ``archive.bomb``).
    """

    def __init__(self, file: BinaryIO, report: Report, *, within: str = "") -> None:
        """Raises ImportFailed ``import.archive``."""
        size = _check_directory(file)
        try:
            self._zip = zipfile.ZipFile(file)
        except _BROKEN as error:
            raise _no_archive() from error
        infos = self._zip.infolist()
        if len(infos) > MAX_MEMBERS:
            raise _too_many()
        # Members that share their bytes: more comes out than the file could hold.
        if sum(info.compress_size for info in infos) > size:
            raise ImportFailed(
                "The archive is made so that it never ends; it was not read.",
                code="import.archive",
                hint="Ask the service for it anew.",
            )
        self.members: list[Member] = []
        seen: set[str] = set()
        for info in infos:
            if not info.is_dir():
                name = within + info.filename
                trouble = _trouble(info, name, seen)
                seen.add(name)
                if trouble is not None:
                    report(shown(name), *trouble)
                elif info.file_size:
                    self.members.append(Member(self._zip, info, name))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()


@contextmanager
def nested(member: Member, report: Report) -> Iterator[Archive]:
    """An archive inside another (at most 64 MiB). Raises ImportFailed ``import.archive``,
    MemberBroken."""
    if member.size > MAX_WHOLE:
        raise ImportFailed(
            "An archive inside the archive is larger than 64 MiB.",
            code="import.archive",
            hint="Unpack it and import it by itself.",
        )
    with member.open() as stream:
        data = stream.read()
    with Archive(io.BytesIO(data), report, within=member.name + "/") as archive:
        yield archive


def shown(name: str) -> str:
    """A member's name for people: printable and short, its end kept."""
    name = "".join(c if c.isprintable() else "\ufffd" for c in name)
    return name if len(name) <= 120 else "…" + name[-119:]


def folder(name: str) -> str:
    """The first two folders of a member, or its own name where it is in none."""
    parts = [part for part in name.split("/") if part]
    return shown("/".join(parts[:-1][:2]) or (parts[-1] if parts else name))


def _trouble(info: zipfile.ZipInfo, name: str, seen: set[str]) -> tuple[str, str] | None:
    steps = info.filename.split("/")
    if (
        info.filename != info.orig_filename  # cut off at a NUL
        or len(info.filename) > MAX_NAME
        or not info.filename.isprintable()
        or "\\" in info.filename
        or "" in steps
        or ".." in steps
        or name in seen
        or (info.external_attr >> 16) & 0o170000 not in (0, 0o100000)
    ):
        return "archive.name", "The file has no plain name, or is a link, or is there twice."
    if info.flag_bits & 0x1:
        return "archive.encrypted", "The file is encrypted; unpack it with its password first."
    if info.compress_type not in _METHODS:
        return "archive.method", "The file is packed in a way that is not read here."
    if info.file_size > max(SMALL, MAX_RATIO * info.compress_size):
        return "archive.bomb", "The file is out of all proportion to its packing."
    return None


def _check_directory(file: BinaryIO) -> int:
    """Refuse a directory that would fill the memory, before ``zipfile`` reads it; the size of the
    file. The end record is looked for where ``zipfile`` does: at the end, or before a comment."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 65_557 - 76, 0))
    tail = file.read()
    file.seek(0)
    at = len(tail) - _END.size
    if at < 0:
        raise _no_archive()
    if tail[at : at + 4] != b"PK\x05\x06" or tail[-2:] != b"\x00\x00":
        at = tail.rfind(b"PK\x05\x06", 0, len(tail) - _END.size + 4)
        if at < 0:
            raise _no_archive()
    end = _END.unpack_from(tail, at)
    directory = end[5]
    if at >= 76 and tail[at - 20 : at - 16] == b"PK\x06\x07":
        if tail[at - 76 : at - 72] != b"PK\x06\x06":
            raise _no_archive()
        end64 = _END64.unpack_from(tail, at - 76)
        directory = end64[8]
    if directory > MAX_DIRECTORY:
        raise _too_many()
    return size


def _too_many() -> ImportFailed:
    return ImportFailed(
        f"The archive has more than {MAX_MEMBERS} files.",
        code="import.archive",
        hint="Unpack it and import its parts.",
    )


def _no_archive() -> ImportFailed:
    return ImportFailed(
        "The archive is damaged or not whole.",
        code="import.archive",
        hint="Download it again; of several parts, each is imported by itself.",
    )
