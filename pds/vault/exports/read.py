"""Reading our own archive again. Anybody may have written it, so all of it has limits.

Nothing is ever unpacked to disk, and no name in the archive becomes a path. The whole is refused
where its form is a trick: names with ``..``, names twice, links, encryption, a directory that
would fill the memory. One file that is damaged, too large for what it was packed from, or other
than its digest is left out, and one record that is not valid is listed; the rest is read.
"""

import hashlib
import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from did.errors import DidError
from did.json import Json, JsonObject, parse_object
from did.time import parse_time
from pds.vault.imports.plan import ImportFailed
from pds.vault.records import Record, RecordError, Validity

from . import jsonld
from .archive import MANIFEST

FORMAT = "https://w3id.org/personal-data-store/v1/export"
VERSION = 1
MAX_DIRECTORY = 8 * 2**20
MAX_MANIFEST = 32 * 2**20
MAX_FILE = 16 * 2**30
MAX_HEADER = 2**20
MAX_LINE = 16 * 2**20
MAX_RATIO = 300
_SMALL = 2**20  # below this no ratio is a danger

_BAD_NAME = re.compile(r"^/|^[A-Za-z]:|\\|(?:^|/)\.\.?(?:/|$)|//|[\x00-\x1f\x7f]")
_DATA = re.compile(r"data/[^/]+\.jsonld")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# What zipfile raises for a file that is not as it says, beside its own error.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    OSError, ValueError,
)  # fmt: skip

Report = Callable[[int, str, str], None]
"""Takes a line (0 for a file as a whole), a stable code and a sentence."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as the manifest lists it."""

    path: str
    sha256: str
    size: int


def open_export(path: Path) -> "ExportArchive":
    """Open an archive that ``write_export`` made.

    Raises ImportFailed: ``import.unreadable``, ``import.not_ours`` (no such archive, or of a
    newer version), ``import.archive`` (its form is not one that we write).
    """
    try:
        # Without O_NONBLOCK a named pipe would hang the opening.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        file = os.fdopen(descriptor, "rb")
    except OSError as error:
        raise ImportFailed(
            "The file cannot be read.", code="import.unreadable", hint="Check the path."
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ImportFailed("Only a regular file can be imported.", code="import.unreadable")
        return ExportArchive(file)
    except BaseException:
        file.close()
        raise


class ExportArchive:
    """An archive whose form and manifest have been checked; use it as a context manager."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # 1. The directory is small enough to be read.
        _check_directory(file)
        try:
            self._zip = zipfile.ZipFile(file)
        except _BROKEN as error:
            raise _not_ours() from error
        # 2. Every member is a plain file with a plain name, once.
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            self._take(info)
        # 3. The manifest says that the archive is ours, and what is in it.
        self.files = self._manifest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()
        self._file.close()

    def _take(self, info: zipfile.ZipInfo) -> None:
        mode = info.external_attr >> 16
        if (
            info.filename in self._infos
            or info.filename != info.orig_filename  # cut off at a NUL
            or _BAD_NAME.search(info.filename)
            or info.flag_bits & 0x1  # encrypted
            or (stat.S_IFMT(mode) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)))
            or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        ):
            raise ImportFailed(
                "The archive holds something that no export has: a link, a name twice or with"
                " steps in it, or an encrypted file.",
                code="import.archive",
                hint="Use the file as 'pds export' made it. Nothing was imported.",
            )
        self._infos[info.filename] = info

    def _manifest(self) -> dict[str, Listed]:
        info = self._infos.get(MANIFEST)
        if info is None or info.file_size > MAX_MANIFEST:
            raise _not_ours()
        try:
            with self._zip.open(info) as source:
                raw = source.read(MAX_MANIFEST + 1)
            manifest = parse_object(raw, max_bytes=MAX_MANIFEST)
        except (*_BROKEN, DidError) as error:
            raise _not_ours() from error
        if manifest.get("format") != FORMAT:
            raise _not_ours()
        if manifest.get("version") != VERSION:
            raise ImportFailed(
                "The archive is of a version that is not known here.",
                code="import.not_ours",
                hint="Import it with a newer version of this program.",
            )
        files: dict[str, Listed] = {}
        members = manifest.get("files")
        for member in members if isinstance(members, list) else ():
            listed = _listed(member)
            if listed is None or listed.path in files:
                raise _not_ours()
            files[listed.path] = listed
        return files

    @property
    def data_files(self) -> list[Listed]:
        """The files of records, in the order of the manifest."""
        return [listed for path, listed in self.files.items() if _DATA.fullmatch(path)]

    def records(self, listed: Listed, report: Report) -> Iterator[tuple[int, tuple[Record, ...]]]:
        """The records of one file with their lines, each as all its versions, the first one first.

        The whole file is held against its digest before the first record is given. What is wrong
        is told to ``report``: ``import.file`` (missing, or larger than its packing allows),
        ``import.digest``, ``import.damaged``, ``import.record``. Not checked: that a record is
        valid under its schema.
        """
        with self.stream(listed.path, report) as source:
            if source is None:
                return
            try:
                yield from read_records(io.BufferedReader(source), report)  # type: ignore[type-var]
            except _BROKEN:
                report(0, "import.damaged", "A file of the archive is damaged.")

    def other(self, path: str, report: Report, *, limit: int) -> bytes | None:
        """A small file as a whole, held against its digest; None, and told, when it is not right,
        None alone when there is none."""
        listed = self.files.get(path)
        if listed is None:
            return None
        with self.stream(path, report) as source:
            return None if source is None or listed.size > limit else source.read(limit + 1)

    @contextmanager
    def stream(self, path: str, report: Report) -> Iterator[IO[bytes] | None]:
        """Any file to read from, held against its digest before; as ``other``."""
        listed, info = self.files.get(path), self._infos.get(path)
        if (
            listed is None
            or info is None
            or info.file_size != listed.size
            or not _in_proportion(info)
        ):
            report(0, "import.file", "A file of the archive is missing or has another size.")
            yield None
            return
        try:
            right = self._sha256(info) == listed.sha256
            source = self._zip.open(info) if right else None
        except _BROKEN:
            report(0, "import.damaged", "A file of the archive is damaged.")
            yield None
            return
        if source is None:
            report(0, "import.digest", "A file was changed since the export; it is left out.")
            yield None
            return
        with source:
            yield source

    def _sha256(self, info: zipfile.ZipInfo) -> str:
        found = hashlib.sha256()
        with self._zip.open(info) as source:
            while piece := source.read(2**20):
                found.update(piece)
        return found.hexdigest()


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a directory that would fill the memory, before ``zipfile`` reads it.

    The end record is where ``zipfile`` looks for it first, without a comment: so both see the
    same one.
    """
    size = file.seek(0, os.SEEK_END)
    tail_size = min(size, 22 + 20 + 56)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    file.seek(0)
    end = tail[-22:]
    if len(end) < 22 or end[:4] != b"PK\x05\x06" or end[-2:] != b"\x00\x00":
        raise _not_ours()
    directory = struct.unpack("<L", end[12:16])[0]
    if tail[-42:-38] == b"PK\x06\x07" and tail[-98:-94] == b"PK\x06\x06":
        directory = struct.unpack("<Q", tail[-98:-42][40:48])[0]
    if directory > MAX_DIRECTORY:
        raise ImportFailed(
            "The archive has more files than any export.",
            code="import.archive",
            hint="Use the file as 'pds export' made it. Nothing was imported.",
        )


def _not_ours() -> ImportFailed:
    return ImportFailed(
        "This is no whole archive of 'pds export'.",
        code="import.not_ours",
        hint="Other files go in with 'pds data import'; a backup with 'pds restore'.",
    )


def _listed(member: Any) -> Listed | None:
    match member:
        case {"path": str(path), "sha256": str(sha256), "bytes": int(size)} if (
            _SHA256.fullmatch(sha256) and 0 <= size <= MAX_FILE
        ):
            return Listed(path, sha256, size)
    return None


def _in_proportion(info: zipfile.ZipInfo) -> bool:
    return info.file_size <= max(_SMALL, MAX_RATIO * info.compress_size)


def read_records(source: IO[bytes], report: Report) -> Iterator[tuple[int, tuple[Record, ...]]]:
    """The records in the lines of one file; as ``ExportArchive.records``."""
    try:
        category = jsonld.read_header(source.readline(MAX_HEADER)).get("category")
    except DidError:
        category = None
    if not isinstance(category, str):
        report(1, "import.file", "A file of the archive does not begin as an export does.")
        return
    number = 1
    while line := source.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            report(number, "import.record", "A line is longer than any item; the rest is left out.")
            return
        line = line.strip()
        if line == b"]}":
            return
        if not line:
            continue
        try:
            raw = parse_object(line.removesuffix(b","), max_bytes=MAX_LINE)
            yield number, _versions(category, raw)
        except (DidError, RecordError, KeyError, TypeError, ValueError):
            report(number, "import.record", "An item is not as an export writes it.")


def _versions(category: str, raw: JsonObject) -> tuple[Record, ...]:
    """The versions of one record. KeyError, TypeError or ValueError for another form."""
    versions = raw["versions"]
    if not isinstance(versions, list) or not versions:
        raise ValueError
    name, deleted = _text(raw, "@id"), raw["deleted"]
    if not name.startswith("#") or not isinstance(deleted, bool):
        raise ValueError
    tags = raw.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError
    found = []
    for number, version in enumerate(versions, start=1):
        if not isinstance(version, dict) or version["version"] != number:
            raise ValueError
        fields: Json = version.get("fields", {})
        if not isinstance(fields, dict) or ("fields" in version) == deleted:
            raise ValueError
        found.append(
            Record(
                id=name[1:],
                category=category,
                schema=_text(version, "schema"),
                fields=fields,
                source=_text(version, "source"),
                collected=parse_time(_text(version, "collected")),
                about=_text(raw, "about"),
                assurance=_text(version, "assurance"),
                version=number,
                created=parse_time(_text(raw, "created")),
                changed=parse_time(_text(version, "changed")),
                deleted=deleted,
                batch=None,
                validity=Validity(_day(version, "validFrom"), _day(version, "validUntil")),
                tags=tuple(map(str, tags)),
            )
        )
    return tuple(found)


def _day(raw: JsonObject, name: str) -> date | None:
    return date.fromisoformat(_text(raw, name)) if name in raw else None


def _text(raw: JsonObject, name: str) -> str:
    value = raw[name]
    if not isinstance(value, str):
        raise TypeError
    return value
