"""Which relationship took the place of which, and which grant. The caller owns the transaction."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from did.json import JsonObject, canonicalize, parse_object
from did.time import format_time
from pds.db import Tables

SUCCESSION_SQL = """
CREATE TABLE succession (
    old INTEGER PRIMARY KEY REFERENCES relationship (idx),
    new INTEGER UNIQUE REFERENCES relationship (idx),
    state TEXT NOT NULL,
    signed TEXT,
    begun TEXT NOT NULL
) STRICT;

CREATE TABLE moved_grant (
    old TEXT PRIMARY KEY REFERENCES access_grant (digest),
    new TEXT NOT NULL UNIQUE REFERENCES access_grant (digest),
    uses INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

MOVING, TELLING, DONE, FOUND, LOST = "moving", "telling", "done", "found", "lost"
"""How far a change has come: the old packages are being ended; everything is made anew and the
company is being told; the old list is closed. After a restore: ``found`` at the relay, and yet to
be told; ``lost``, when the old list is closed and nobody knows for whom."""


@dataclass(frozen=True, slots=True)
class Succession:
    """One relationship in the place of another. ``signed`` is the change with both proofs."""

    old: int
    new: int
    state: str
    signed: JsonObject = field(repr=False)

    @classmethod
    def of(cls, row: Any) -> "Succession":
        return cls(row["old"], row["new"], row["state"], parse_object(row["signed"]))


class SuccessionStore(Tables):
    """The changes of DID of one open vault."""

    def add(self, old: int, new: int, *, state: str, signed: JsonObject, at: datetime) -> None:
        self._run(
            "INSERT INTO succession (old, new, state, signed, begun) VALUES (?, ?, ?, ?, ?)",
            old,
            new,
            state,
            canonicalize(signed).decode(),
            format_time(at),
        )

    def add_lost(self, old: int, *, at: datetime) -> None:
        self._run(
            "INSERT INTO succession (old, state, begun) VALUES (?, ?, ?)",
            old,
            LOST,
            format_time(at),
        )

    def set_state(self, old: int, state: str) -> None:
        self._run("UPDATE succession SET state = ? WHERE old = ?", state, old)

    def unfinished(self) -> list[Succession]:
        rows = self._all(
            "SELECT * FROM succession WHERE state IN (?, ?, ?) ORDER BY old", MOVING, TELLING, FOUND
        )
        return [Succession.of(row) for row in rows]

    def of(self, old: int) -> Succession | None:
        """What took the place of a relationship, if that is known."""
        row = self._one("SELECT * FROM succession WHERE old = ? AND new IS NOT NULL", old)
        return None if row is None else Succession.of(row)

    def into(self, new: int) -> Succession | None:
        """Whose place a relationship took."""
        row = self._one("SELECT * FROM succession WHERE new = ?", new)
        return None if row is None else Succession.of(row)

    def is_over(self, index: int) -> bool:
        """Whether a relationship was given up, whatever came after it."""
        return self._one("SELECT 1 FROM succession WHERE old = ?", index) is not None

    def line(self, index: int) -> list[int]:
        """All relationships with the same company that followed each other, the first one first."""
        line = [index]
        while (before := self.into(line[0])) is not None:
            line.insert(0, before.old)
        while (after := self.of(line[-1])) is not None:
            line.append(after.new)
        return line

    def moving(self) -> frozenset[int]:
        """Relationships whose packages are being ended, to be made anew."""
        rows = self._all("SELECT old FROM succession WHERE state = ?", MOVING)
        return frozenset(row["old"] for row in rows)

    # grants
    def move(self, old: str, new: str, *, uses: int) -> None:
        self._run("INSERT INTO moved_grant (old, new, uses) VALUES (?, ?, ?)", old, new, uses)

    def came_from(self, grant: str) -> str | None:
        """The grant in whose place this one stands, if it stands in one's."""
        row = self._one("SELECT old FROM moved_grant WHERE new = ?", grant)
        return None if row is None else str(row["old"])

    def carried(self, grant: str) -> int:
        """How often a grant was used before it was made anew."""
        row = self._one("SELECT uses FROM moved_grant WHERE new = ?", grant)
        return 0 if row is None else int(row["uses"])

    def latest(self, grant: str) -> str:
        """The digest of the grant that stands in the place of this one; its own if none does."""
        row = self._one("SELECT new FROM moved_grant WHERE old = ?", grant)
        return grant if row is None else self.latest(str(row["new"]))
