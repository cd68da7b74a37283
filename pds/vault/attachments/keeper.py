"""The attachments of one vault: rows and files kept in step.

What is written becomes durable in this order: the file, the folder, the commit that names it. What
is deleted: the commit, then the file. Killed between any two, the vault has the whole attachment or
nothing of it but a file that nobody can read and the next one to come removes.
"""

import io
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from did.time import format_time, parse_time
from pds.db import Connection, DbError, transaction
from pds.vault.attachments import archive
from pds.vault.attachments.errors import AttachmentError, not_found, written
from pds.vault.attachments.folder import NAME_BYTES, Folder
from pds.vault.attachments.names import media_type, safe_name
from pds.vault.attachments.stream import (
    KEY_BYTES,
    Progress,
    Reader,
    Sealed,
    Source,
    Target,
    seal,
    unseal,
)
from pds.vault.records import Records
from pds.vault.store.attachments import AttachmentRow, AttachmentStore

MAX_BYTES = 2**30
"""The largest attachment; so that nobody fills a disk with one by mistake."""

_MAX_NAME = 1000


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a record. ``name`` is safe to save under; ``media_type`` is a guess, never to be
    trusted; ``sha256`` in hex. ``imported``: it came with the record, by an import."""

    id: str
    record_id: str
    name: str = field(repr=False)
    media_type: str
    size: int
    sha256: str = field(repr=False)
    added: datetime
    imported: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is in the folder and that no row names yet."""

    file: str
    sealed: Sealed
    head: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Damaged:
    """An attachment that cannot be read whole. As text it names no value."""

    attachment: Attachment
    missing: bool

    def __str__(self) -> str:
        what = "is missing" if self.missing else "is damaged"
        return f"attachment {self.attachment.id} of item {self.attachment.record_id} {what}"


class Attachments:
    """Reading, writing and removing. ``settling`` brackets every change."""

    def __init__(
        self,
        conn: Connection,
        folder: Path,
        records: Records,
        *,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes] = os.urandom,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._conn = conn
        self._store = AttachmentStore(conn)
        self._folder = Folder(folder)
        self._records = records
        self._clock = clock
        self._random = random
        self._max_bytes = max_bytes
        self._written: list[str] = []
        self._held: int | None = None
        self._swept = False

    # reading
    def of(self, record_id: str) -> list[Attachment]:
        """Those of a live record, the first one first; RecordError as ``Records.get``."""
        self._records.get(record_id)
        return [_attachment(row) for row in self._store.of(record_id)]

    def all(self) -> list[Attachment]:
        return [_attachment(row) for row in self._store.all()]

    def get(self, attachment_id: str) -> Attachment:
        """Raises ``attachment.not_found``."""
        return _attachment(self._row(attachment_id))

    def open(self, attachment_id: str) -> io.BufferedReader:
        """The content as a stream; see ``Reader`` for what its end means.

        Raises ``attachment.not_found``, ``attachment.missing``, ``attachment.damaged``; while it is
        read, ``attachment.damaged``.
        """
        row = self._row(attachment_id)
        while True:
            try:
                source = self._folder.open(row.file, length=_sealed(row).length)
                return io.BufferedReader(Reader(source, _sealed(row)))
            except AttachmentError:
                # Another program may have removed or replaced the file this moment.
                before, row = row, self._row(attachment_id)
                if row == before:
                    raise

    def save(self, attachment_id: str, target: Path, *, progress: Progress | None = None) -> None:
        """Write the content to a new file, mode 0600, whole or not at all.

        Raises what ``open`` raises, ``attachment.exists``, ``attachment.no_space`` and
        ``attachment.not_allowed``.
        """
        if os.path.lexists(target):
            raise _exists()
        with self.open(attachment_id) as source, written():
            draft = target.with_name(f".{secrets.token_hex(8)}.part")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(draft, flags, 0o600), "wb") as out:
                    while piece := source.read1():
                        out.write(piece)
                        if progress is not None:
                            progress(len(piece))
                    out.flush()
                    os.fsync(out.fileno())
                _place(draft, target)
            finally:
                draft.unlink(missing_ok=True)
            Folder(target.parent).sync()

    # writing
    def write(self, source: Source, *, progress: Progress | None = None) -> Written:
        """Encrypt a stream into a new file; ``keep`` then gives it a row.

        Raises ``attachment.too_large``, ``attachment.no_space``, ``attachment.not_allowed``.
        """
        with written():
            self.hold()
            name = self._random(NAME_BYTES).hex()
            self._written.append(name)  # before it exists: whatever comes now, it is settled
            with self._folder.create(name) as out:
                sealed, head = seal(
                    source,
                    out,
                    key=self._random(KEY_BYTES),
                    max_bytes=self._max_bytes,
                    progress=progress,
                )
                out.flush()
                os.fsync(out.fileno())
        return Written(name, sealed, head)

    def keep(
        self,
        record_id: str,
        written: Written,
        *,
        name: str,
        imported: bool = False,
        attachment_id: str | None = None,
    ) -> Attachment:
        """Give a written file to a record, in the caller's transaction; under the id that it has
        elsewhere, if that is free here.

        When the record has the same content already, it stays that one attachment, with its first
        name; the new file takes the old one's place, which mends it if it was damaged.
        RecordError ``data.not_found`` or ``data.deleted``.
        """
        self._records.get(record_id)
        sealed = written.sealed
        row = self._store.same(record_id, sealed.sha256)
        if row is not None:
            self._store.replace(row.id, written.file, chunks=sealed.chunks, key=sealed.key)
        else:
            row = AttachmentRow(
                id=self._free(attachment_id),
                record_id=record_id,
                name=_storable(name),
                type=media_type(safe_name(name), written.head),
                size=sealed.size,
                sha256=sealed.sha256,
                file=written.file,
                chunks=sealed.chunks,
                key=sealed.key,
                imported=imported,
                added=format_time(self._clock()),
            )
            self._store.insert(row)
        return _attachment(row)

    def _free(self, wanted: str | None) -> str:
        if wanted is None or self._store.get(wanted) is not None:
            return self._records.new_id()
        return wanted

    def removed(self) -> list[tuple[str, str]]:
        """The id of each attachment that was taken off an item, with the item's."""
        return self._store.removed()

    def was_removed(self, attachment_id: str, record_id: str) -> bool:
        return self._store.was_removed(attachment_id, record_id)

    def attach_bytes(self, record_id: str, data: bytes, name: str) -> Attachment:
        """For importers: attach in the import's own transaction, which is committed or rolled back
        with all of its attachments. Raises what ``write`` and ``keep`` raise."""
        return self.keep(record_id, self.write(io.BytesIO(data)), name=name, imported=True)

    def remove(self, attachment_id: str) -> str:
        """Delete an attachment, in the caller's transaction; returns the id of its record."""
        row = self._row(attachment_id)
        self._store.delete(attachment_id)
        return row.record_id

    # keeping rows and files in step
    @contextmanager
    def settling(self) -> Iterator[None]:
        """Whatever happens within: at the end each file has its row, or is gone."""
        try:
            yield
        finally:
            # What was done is done. A file that cannot be removed now is swept up later.
            with suppress(Exception):
                self._settle()

    def flush(self) -> None:
        """Make the names of new files durable: before the commit of their rows."""
        if self._written:
            with written():
                self._folder.sync()

    def hold(self) -> None:
        """Hold the folder until ``settling`` ends: no program removes a file meanwhile."""
        if self._held is not None:
            return
        if self._conn.read_only:
            # Where there is no folder there is no file, and none comes.
            self._held = self._folder.hold() if self._folder.path.exists() else None
            return
        if not self._swept:
            self._swept = True
            self.sweep()
        self._held = self._folder.hold()

    def sweep(self) -> None:
        """Remove files without a row, which killed programs left; not while others write."""
        if self._conn.read_only:
            return
        with suppress(OSError), self._folder.alone() as alone:
            if alone:
                kept = self._store.files()
                self._folder.remove(name for name in self._folder.names() if name not in kept)

    def tidy(self) -> None:
        """Remove the files of deleted rows; not while others write or copy, but some time later."""
        if self._conn.read_only:
            return
        with suppress(OSError, DbError):
            litter = self._store.litter()
            if not litter:
                return
            with self._folder.alone() as alone:
                if alone:
                    self._folder.remove(litter)
                    with transaction(self._conn):
                        self._store.forget(litter)

    def _settle(self) -> None:
        try:
            # The row is asked for, not the way out: a commit may be done and its caller
            # interrupted all the same.
            self._folder.remove(name for name in self._written if not self._store.holds(name))
        finally:
            self._written.clear()
            if self._held is not None:
                os.close(self._held)
                self._held = None
        self.tidy()

    # checking, backup, restore
    def damaged(self) -> list[Damaged]:
        """Which attachments cannot be read whole; empty when all can."""
        with self.settling():
            self.sweep()
            self.hold()
            looked = ((row, self._look(row)) for row in self._store.all())
            return [
                Damaged(_attachment(row), missing) for row, missing in looked if missing is not None
            ]

    def look(self, attachment_id: str) -> Damaged | None:
        """Read one to its end: what is wrong with it, if anything is."""
        row = self._row(attachment_id)
        missing = self._look(row)
        return None if missing is None else Damaged(_attachment(row), missing)

    def _look(self, row: AttachmentRow) -> bool | None:
        """None for one that can be read whole; else whether its file is missing."""
        try:
            with self._folder.open(row.file, length=_sealed(row).length) as source:
                for _ in unseal(source, _sealed(row)):
                    pass
        except AttachmentError as error:
            return error.code == "attachment.missing"
        return None

    def pack(self, rows: Connection, out: Target) -> tuple[list[Damaged], dict[str, int]]:
        """Write the files that ``rows``, a copy of the database, names; within ``hold``. Returns
        those that cannot be read whole, and what ``unpack`` must know of them."""
        store = AttachmentStore(rows)
        left_out = archive.pack(_items(store), self._folder, out)
        there = set(self._folder.names())
        found = [
            Damaged(_attachment(row), row.file not in there)
            for row in (store.all() if left_out else ())
            if row.file in left_out
        ]
        return found, left_out

    def unpack(self, source: Source, left_out: Mapping[str, int]) -> None:
        """Lay out the files of this database, from what ``pack`` wrote."""
        with self.settling(), written():
            self.hold()
            archive.unpack(_items(self._store), self._folder, source, left_out)

    def _row(self, attachment_id: str) -> AttachmentRow:
        row = self._store.get(attachment_id)
        if row is None:
            raise not_found()
        return row


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """A file that somebody wants to attach; ``attachment.unreadable`` if it is none."""
    try:
        # A pipe without a writer would keep us waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable() from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _unreadable()
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def _place(draft: Path, target: Path) -> None:
    """Give a draft its name, over nothing."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise _exists() from None
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise _exists() from None
        os.rename(draft, target)


def _items(store: AttachmentStore) -> Iterator[archive.Item]:
    return ((row.file, _sealed(row)) for row in store.all())


def _sealed(row: AttachmentRow) -> Sealed:
    return Sealed(row.key, row.chunks, row.size, row.sha256)


def _storable(name: str) -> str:
    """As it came, as far as a database can hold it."""
    return name[-_MAX_NAME:].encode(errors="replace").decode()


def _attachment(row: AttachmentRow) -> Attachment:
    return Attachment(
        id=row.id,
        record_id=row.record_id,
        name=safe_name(row.name),
        media_type=row.type,
        size=row.size,
        sha256=row.sha256.hex(),
        added=parse_time(row.added),
        imported=row.imported,
    )


def _exists() -> AttachmentError:
    return AttachmentError(
        "there is something of that name already",
        code="attachment.exists",
        hint="Nothing is ever overwritten. Choose another name.",
    )


def _unreadable() -> AttachmentError:
    return AttachmentError(
        "what is to be attached is no file, or cannot be read",
        code="attachment.unreadable",
        hint="Check the path and the mode of the file.",
    )
