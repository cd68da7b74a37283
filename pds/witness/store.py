"""The tables of a witness: the logs it knows, and what it caught."""

from dataclasses import dataclass
from typing import Any, Final

from pds.db import Migration, Tables

APPLICATION_ID: Final = 0x50445357  # "PDSW"
MOST_EVIDENCE: Final = 16
"""Of each log; more of the same convinces nobody further."""
MOST_KEY_EVIDENCE: Final = MOST_EVIDENCE // 2
"""Whoever has stolen a key that was given up makes as much as he likes. It must not take the place
of what the log itself does."""

MIGRATIONS: Final = (
    Migration(
        1,
        """
        CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
        -- note and cosignature are of the last checkpoint cosigned, and NULL before the first.
        CREATE TABLE logs (
            origin TEXT PRIMARY KEY,
            vkey TEXT NOT NULL,
            size INTEGER NOT NULL DEFAULT 0,
            note TEXT,
            cosignature TEXT
        ) STRICT;
        CREATE TABLE evidence (
            number INTEGER PRIMARY KEY,
            origin TEXT NOT NULL REFERENCES logs,
            evidence TEXT NOT NULL,
            UNIQUE (origin, evidence)
        ) STRICT;
        """,
    ),
    # The changes of the log's key that were followed, as GET /v1/log/keys shows them; vkey is that
    # of the newest key.
    Migration(2, "ALTER TABLE logs ADD COLUMN successions TEXT;"),
)


@dataclass(frozen=True, slots=True)
class LogRow:
    """A log that is witnessed. ``note`` is its last cosigned checkpoint, by the log alone."""

    origin: str
    vkey: str
    size: int
    note: str | None
    cosignature: str | None
    evidence: int
    successions: str | None = None


class WitnessTables(Tables):
    """Rows in, rows out."""

    def fact(self, name: str) -> str | None:
        row = self._one("SELECT value FROM facts WHERE name = ?", name)
        return None if row is None else str(row["value"])

    def set_fact(self, name: str, value: str) -> None:
        self._run("INSERT INTO facts (name, value) VALUES (?, ?)", name, value)

    def add_log(self, origin: str, vkey: str) -> None:
        self._run("INSERT INTO logs (origin, vkey) VALUES (?, ?)", origin, vkey)

    def logs(self) -> list[LogRow]:
        return [self._log(row) for row in self._all("SELECT * FROM logs ORDER BY origin")]

    def log(self, origin: str) -> LogRow | None:
        row = self._one("SELECT * FROM logs WHERE origin = ?", origin)
        return None if row is None else self._log(row)

    def advance(self, origin: str, *, size: int, note: str, cosignature: str) -> None:
        self._run(
            "UPDATE logs SET size = ?, note = ?, cosignature = ? WHERE origin = ?",
            size,
            note,
            cosignature,
            origin,
        )

    def change_key(self, origin: str, *, vkey: str, successions: str) -> None:
        self._run(
            "UPDATE logs SET vkey = ?, successions = ? WHERE origin = ?", vkey, successions, origin
        )

    def add_evidence(self, origin: str, evidence: str, *, most: int = MOST_EVIDENCE) -> None:
        """Keep it, unless it is known or there is enough: so much, of whatever kind."""
        self._run(
            "INSERT INTO evidence (origin, evidence) SELECT ?, ?"
            " WHERE (SELECT count(*) FROM evidence WHERE origin = ?) < ?"
            " ON CONFLICT DO NOTHING",
            origin,
            evidence,
            origin,
            most,
        )

    def evidence(self, origin: str) -> list[str]:
        rows = self._all("SELECT evidence FROM evidence WHERE origin = ? ORDER BY number", origin)
        return [str(row["evidence"]) for row in rows]

    def _log(self, row: Any) -> LogRow:
        return LogRow(
            row["origin"],
            row["vkey"],
            row["size"],
            row["note"],
            row["cosignature"],
            len(self.evidence(row["origin"])),
            row["successions"],
        )
