"""The vault's own log: what the holder decided, sent and saw, each entry a salted Merkle leaf.

``pds.log`` keeps the tree; here is only its SQL. The caller owns the transaction.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from did.json import JsonObject, canonicalize, parse_object
from did.time import format_time, parse_time
from pds.db import Connection
from pds.log.entry import leaf_of
from pds.log.tree import Tree

HISTORY_SQL = """
CREATE TABLE history (
    n INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    entry TEXT NOT NULL,
    salt BLOB NOT NULL
) STRICT;
CREATE INDEX history_subject ON history (subject);

CREATE TABLE history_node (
    level INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Something that happened: ``kind`` and ``subject`` (a grant, a request, a company)."""

    n: int
    at: datetime
    kind: str
    subject: str
    detail: JsonObject


class _Nodes:
    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def get_node(self, level: int, index: int) -> bytes:
        row = self._conn.execute(
            "SELECT hash FROM history_node WHERE level = ? AND idx = ?", (level, index)
        ).fetchone()
        return bytes(row["hash"])

    def put_node(self, level: int, index: int, hash_: bytes) -> None:
        self._conn.execute(
            "INSERT INTO history_node (level, idx, hash) VALUES (?, ?, ?)", (level, index, hash_)
        )


class HistoryStore:
    """Append to the vault's log and read it back."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def _tree(self) -> Tree:
        size = self._conn.execute("SELECT count(*) AS size FROM history").fetchone()["size"]
        return Tree(_Nodes(self._conn), int(size))

    def append(
        self, *, at: datetime, kind: str, subject: str, detail: JsonObject, salt: bytes
    ) -> int:
        """Append one entry; returns its number, counted from 0."""
        entry: JsonObject = {
            "at": format_time(at),
            "kind": kind,
            "subject": subject,
            "detail": detail,
        }
        n = self._tree().append(leaf_of(salt, entry))
        self._conn.execute(
            "INSERT INTO history (n, at, kind, subject, entry, salt) VALUES (?, ?, ?, ?, ?, ?)",
            (n, format_time(at), kind, subject, canonicalize(entry).decode(), salt),
        )
        return n

    def entries(self, *, limit: int = 1000, before: int | None = None) -> list[HistoryEntry]:
        """Newest first; ``before`` is the number of the last one seen."""
        rows = self._conn.execute(
            "SELECT * FROM history WHERE n < ? ORDER BY n DESC LIMIT ?",
            (2**62 if before is None else before, limit),
        ).fetchall()
        return [_entry(row) for row in rows]

    def damaged(self) -> list[int]:
        """The numbers of entries whose row no longer matches its leaf; empty when sound."""
        nodes = _Nodes(self._conn)
        rows = self._conn.execute("SELECT n, entry, salt FROM history ORDER BY n").fetchall()
        return [
            row["n"]
            for row in rows
            if nodes.get_node(0, row["n"]) != leaf_of(row["salt"], parse_object(row["entry"]))
        ]

    def root(self) -> tuple[int, bytes]:
        """The size of the log and its root hash."""
        tree = self._tree()
        return tree.size, tree.root()


def _entry(row: Any) -> HistoryEntry:
    entry = parse_object(row["entry"])
    detail = entry["detail"]
    return HistoryEntry(
        n=row["n"],
        at=parse_time(row["at"]),
        kind=row["kind"],
        subject=row["subject"],
        detail=detail if isinstance(detail, dict) else {},
    )
