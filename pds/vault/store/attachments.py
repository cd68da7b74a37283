"""Rows of attachments: the keys of the files beside the database, and what they are.

Deleting a row deletes the key; triggers keep the file's name until the file is gone too. Another
takes the attachments of a record along whenever its contents are erased, whoever does it.

The caller owns the transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pds.db import Tables

ATTACHMENTS_SQL = """
CREATE TABLE attachment (
  ordinal  INTEGER PRIMARY KEY,
  id       TEXT    NOT NULL UNIQUE CHECK (length(id) = 22),
  record   INTEGER NOT NULL REFERENCES records (ordinal),
  name     TEXT    NOT NULL,
  type     TEXT    NOT NULL,
  size     INTEGER NOT NULL CHECK (size >= 0),
  sha256   BLOB    NOT NULL CHECK (length(sha256) = 32),
  file     TEXT    NOT NULL UNIQUE CHECK (length(file) = 32),
  chunks   INTEGER NOT NULL CHECK (chunks >= 1),
  key      BLOB    NOT NULL CHECK (length(key) = 32),
  imported INTEGER NOT NULL CHECK (imported IN (0, 1)),
  added    TEXT    NOT NULL,
  UNIQUE (record, sha256)
) STRICT;

CREATE TABLE attachment_litter (file TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TRIGGER attachment_deleted AFTER DELETE ON attachment
BEGIN
  INSERT INTO attachment_litter (file) VALUES (OLD.file);
END;

CREATE TRIGGER attachment_replaced AFTER UPDATE OF file ON attachment
BEGIN
  INSERT INTO attachment_litter (file) VALUES (OLD.file);
END;

CREATE TRIGGER attachments_of_erased AFTER UPDATE OF deleted ON records WHEN NEW.deleted = 1
BEGIN
  DELETE FROM attachment WHERE record = NEW.ordinal;
END;
"""

_ROWS = (
    "SELECT a.id, r.id AS record_id, a.name, a.type, a.size, a.sha256, a.file, a.chunks, a.key,"
    " a.imported, a.added FROM attachment a JOIN records r ON r.ordinal = a.record"
)


@dataclass(frozen=True, slots=True)
class AttachmentRow:
    """One attachment as it is stored; ``name`` is as it came, for nobody's eyes."""

    id: str
    record_id: str
    name: str = field(repr=False)
    type: str
    size: int
    sha256: bytes = field(repr=False)
    file: str
    chunks: int
    key: bytes = field(repr=False)
    imported: bool
    added: str


class AttachmentStore(Tables):
    """The tables of ``ATTACHMENTS_SQL`` on one connection."""

    def insert(self, row: AttachmentRow) -> None:
        self._run(
            "INSERT INTO attachment (id, record, name, type, size, sha256, file, chunks, key,"
            " imported, added) SELECT ?, ordinal, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM records"
            " WHERE id = ?",
            *(row.id, row.name, row.type, row.size, row.sha256, row.file, row.chunks, row.key),
            *(int(row.imported), row.added, row.record_id),
        )

    def replace(self, attachment_id: str, file: str, *, chunks: int, key: bytes) -> None:
        """Another file of the same content, in place of the one there was."""
        self._run(
            "UPDATE attachment SET file = ?, chunks = ?, key = ? WHERE id = ?",
            *(file, chunks, key, attachment_id),
        )

    def move(self, ids: Sequence[str], ordinal: int) -> list[str]:
        """Give attachments to another record; those that moved: not one whose content the record
        has already."""
        for attachment_id in ids:
            self._run(
                "UPDATE OR IGNORE attachment SET record = ? WHERE id = ?", ordinal, attachment_id
            )
        there = {row[0] for row in self._all("SELECT id FROM attachment WHERE record = ?", ordinal)}
        return [attachment_id for attachment_id in ids if attachment_id in there]

    def get(self, attachment_id: str) -> AttachmentRow | None:
        return _row(self._one(f"{_ROWS} WHERE a.id = ?", attachment_id))

    def same(self, record_id: str, sha256: bytes) -> AttachmentRow | None:
        """The attachment of a record that has this content."""
        return _row(self._one(f"{_ROWS} WHERE r.id = ? AND a.sha256 = ?", record_id, sha256))

    def of(self, record_id: str) -> list[AttachmentRow]:
        return self._rows(f"{_ROWS} WHERE r.id = ? ORDER BY a.ordinal", record_id)

    def all(self) -> list[AttachmentRow]:
        """In the order in which a backup has them."""
        return self._rows(f"{_ROWS} ORDER BY a.ordinal")

    def delete(self, attachment_id: str) -> None:
        self._run("DELETE FROM attachment WHERE id = ?", attachment_id)

    def removed(self) -> list[tuple[str, str]]:
        """What was taken off an item, here or in the vault that an archive came from: its id, and
        the item's. The history knows."""
        rows = self._all(
            "SELECT json_extract(entry, '$.detail.attachment') AS attachment,"
            " iif(kind = 'detached', subject, json_extract(entry, '$.detail.record'))"
            " FROM history WHERE kind IN ('detached', 'detached elsewhere') ORDER BY n"
        )
        return list(dict.fromkeys((str(row[0]), str(row[1])) for row in rows))

    def was_removed(self, attachment_id: str, record_id: str) -> bool:
        """Whether it is one of ``removed``."""
        row = self._one(
            "SELECT 1 FROM history WHERE kind IN ('detached', 'detached elsewhere')"
            " AND subject IN (?, ?) AND json_extract(entry, '$.detail.attachment') = ?",
            *(record_id, attachment_id, attachment_id),
        )
        return row is not None

    def holds(self, file: str) -> bool:
        """Whether a row names this file."""
        return self._one("SELECT 1 FROM attachment WHERE file = ?", file) is not None

    def files(self) -> set[str]:
        return {row[0] for row in self._all("SELECT file FROM attachment")}

    def litter(self) -> list[str]:
        """Files whose rows were deleted, and which may still be there."""
        return [row[0] for row in self._all("SELECT file FROM attachment_litter")]

    def forget(self, files: list[str]) -> None:
        """These are gone."""
        for file in files:
            self._run("DELETE FROM attachment_litter WHERE file = ?", file)

    def _rows(self, sql: str, *values: str) -> list[AttachmentRow]:
        return [row for found in self._all(sql, *values) if (row := _row(found)) is not None]


def _row(found: Any) -> AttachmentRow | None:
    if found is None:
        return None
    values = dict(found)
    return AttachmentRow(**(values | {"imported": bool(values["imported"])}))
