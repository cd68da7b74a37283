"""The vault's own log: what the holder decided, sent and saw, each entry a salted Merkle leaf.

``pds.log`` keeps the tree; here is only its SQL. The caller owns the transaction.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any

from did.json import JsonObject, canonicalize, parse_object
from did.time import format_time, parse_time
from pds.db import Connection
from pds.log.entry import leaf_of
from pds.log.tree import MemoryNodes, Tree

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

    def extend(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Append rows of another history: ``n, at, kind, subject, entry, salt``. They get new
        numbers and keep the rest."""
        tree = self._tree()
        for _, at, kind, subject, entry, salt in rows:
            n = tree.append(leaf_of(salt, parse_object(entry)))
            self._conn.execute(
                "INSERT INTO history (n, at, kind, subject, entry, salt) VALUES (?, ?, ?, ?, ?, ?)",
                (n, at, kind, subject, entry, salt),
            )

    def entries(self, *, limit: int = 1000, before: int | None = None) -> list[HistoryEntry]:
        """Newest first; ``before`` is the number of the last one seen."""
        rows = self._conn.execute(
            "SELECT * FROM history WHERE n < ? ORDER BY n DESC LIMIT ?",
            (2**62 if before is None else before, limit),
        ).fetchall()
        return [_entry(row) for row in rows]

    def problems(self) -> list[str]:
        """Where the history does not fit its tree, a sentence each; empty when sound.

        Entries are numbered without a gap, each is the one whose leaf was stored, and the stored
        nodes are those of the tree over these leaves, no more and no fewer.
        """
        found: list[str] = []
        nodes = MemoryNodes()
        tree = Tree(nodes, 0)
        for row in self._conn.execute(
            "SELECT n, entry, salt, hash FROM history"
            " LEFT JOIN history_node ON level = 0 AND idx = n ORDER BY n"
        ):
            if row["n"] != tree.size:
                return [*found, f"history entries before {row['n']} are missing"]
            leaf = leaf_of(row["salt"], parse_object(row["entry"]))
            if row["hash"] != leaf:
                found.append(f"history entry {row['n']} was altered")
            tree.append(leaf)
        stored = self._conn.execute("SELECT level, idx, hash FROM history_node ORDER BY level, idx")
        pairs = zip_longest((((r[0], r[1]), r[2]) for r in stored), nodes.items())
        if not found and any(one != other for one, other in pairs):
            found.append("the history does not fit its log: entries are missing, or an old page")
        return found

    def root(self) -> tuple[int, bytes]:
        """The size of the log and its root hash."""
        tree = self._tree()
        return tree.size, tree.root()

    def grew_from(self, size: int, root: bytes) -> bool:
        """Whether this log begins with the one that had this size and root."""
        tree = self._tree()
        return tree.size >= size and tree.root(size) == root


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
