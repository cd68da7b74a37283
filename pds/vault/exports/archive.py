"""The ZIP of an export: written in one go, whole or not at all, and never over another file.

On Linux the draft has no name while it is written (O_TMPFILE), so that even a power cut leaves
nothing in clear behind; elsewhere it has a hidden name, and a draft that a killed program left is
removed by the next export into the same folder. Every member has the same date, that of the
export, so that the same vault at the same time gives the same bytes.
"""

import fcntl
import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from did.json import JsonObject
from pds.db import sync_folder
from pds.vault.errors import VaultError

MANIFEST = "manifest.json"
_DRAFT = ".pds-export-"
_REGULAR_0600 = 0o100600 << 16
_UNIX = 3


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the archive as the manifest lists it."""

    path: str
    sha256: str
    size: int


class MemberOut:
    """An open member: takes bytes, counts and digests them."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, octets: bytes) -> None:
        self._out.write(octets)
        self._hash.update(octets)
        self.size += len(octets)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class Archive:
    """A ZIP in the making. Leaving the ``with`` by an error leaves nothing.

    Raises ``VaultError`` ``export.exists``, also when a file of that name appears meanwhile.
    """

    def __init__(self, target: Path, *, now: datetime) -> None:
        self._target = target
        self._date = now.astimezone(UTC).timetuple()[:6]
        self.members: list[Member] = []
        self._paths: set[str] = set()

    def __enter__(self) -> Self:
        if os.path.lexists(self._target):
            raise _exists()
        _remove_left_drafts(self._target.parent)
        self._draft, descriptor = _open_draft(self._target.parent)
        self._file = os.fdopen(descriptor, "w+b")
        try:
            self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, allowZip64=True)
        except BaseException:
            self._drop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._zip.close()
                self._file.flush()
                os.fsync(self._file.fileno())
                self._publish()
        finally:
            self._drop()

    @contextmanager
    def member(self, path: str) -> Iterator[MemberOut]:
        """Write one file; only one at a time is open. A path comes once."""
        if path in self._paths:
            raise ValueError("a member is written once")
        self._paths.add(path)
        info = zipfile.ZipInfo(path, self._date)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = _UNIX
        info.external_attr = _REGULAR_0600
        with self._zip.open(info, "w", force_zip64=True) as out:
            member = MemberOut(out)
            yield member
        self.members.append(Member(path, member.sha256, member.size))

    def add(self, path: str, octets: bytes) -> None:
        with self.member(path) as out:
            out.write(octets)

    def add_all(self, path: str, pieces: Iterable[bytes]) -> bool:
        """Write a file piece by piece; none at all, and False, when there is no piece."""
        source = iter(pieces)
        first = next(source, None)
        if first is None:
            return False
        with self.member(path) as out:
            out.write(first)
            for piece in source:
                out.write(piece)
        return True

    def finish(self, about: JsonObject) -> None:
        """Write the manifest, the last member: what the archive is, and the digest of each file."""
        files = [{"path": m.path, "sha256": m.sha256, "bytes": m.size} for m in self.members]
        text = json.dumps({**about, "files": files}, ensure_ascii=False, indent=1)
        self.add(MANIFEST, text.encode() + b"\n")

    @property
    def size(self) -> int:
        return self._file.tell()

    def _publish(self) -> None:
        try:
            if self._draft is None:
                # Given a folder's descriptor, Python calls linkat, which can follow this link.
                source = f"/proc/self/fd/{self._file.fileno()}"
                os.link(source, self._target, src_dir_fd=0, follow_symlinks=True)
            else:
                _move(self._draft, self._target)
        except FileExistsError:
            raise _exists() from None
        sync_folder(self._target.parent)

    def _drop(self) -> None:
        # A ZipFile that is not closed would try to write its directory when it is collected.
        zipped = getattr(self, "_zip", None)
        if zipped is not None:
            zipped.fp = None
        with suppress(OSError):
            self._file.close()
        if self._draft is not None:
            self._draft.unlink(missing_ok=True)


def _exists() -> VaultError:
    return VaultError(
        "there is a file of that name already",
        code="export.exists",
        hint="Exports never overwrite anything. Choose another name.",
    )


def _open_draft(folder: Path) -> tuple[Path | None, int]:
    flags = os.O_RDWR | os.O_CLOEXEC
    if hasattr(os, "O_TMPFILE"):
        with suppress(OSError):  # not every file system has files without names
            return None, os.open(folder, flags | os.O_TMPFILE, 0o600)
    draft = folder / f"{_DRAFT}{secrets.token_hex(8)}"
    descriptor = os.open(draft, flags | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return draft, descriptor


def _remove_left_drafts(folder: Path) -> None:
    """Remove what a killed export left; one that is being written is locked."""
    for draft in folder.glob(f"{_DRAFT}*"):
        with suppress(OSError):
            descriptor = os.open(draft, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.unlink()
            finally:
                os.close(descriptor)


def _move(draft: Path, target: Path) -> None:
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links, such as a memory stick's
        if os.path.lexists(target):
            raise FileExistsError from None
        os.rename(draft, target)
