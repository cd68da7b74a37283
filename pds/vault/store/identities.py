"""The rows of the holder's public identities. The caller owns the transaction."""

from dataclasses import dataclass, field
from typing import Any

from pds.db import Tables

IDENTITY_SQL = """
CREATE TABLE identity (
    n INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    did TEXT NOT NULL UNIQUE,
    relay TEXT,
    log BLOB NOT NULL,
    waits INTEGER NOT NULL,
    unchecked INTEGER NOT NULL DEFAULT 0
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """One did:webvh with its whole log. Keys are derived from (generation, n, version).

    ``relay`` hosts it, or none does and a web server of the holder's own; ``waits`` until the
    relay has the log as it is here; ``unchecked`` after a restore that could not look at it.
    """

    n: int
    generation: int
    did: str
    relay: str | None
    log: bytes = field(repr=False)
    waits: bool
    unchecked: bool

    @classmethod
    def of(cls, row: Any) -> "StoredIdentity":
        return cls(
            n=row["n"],
            generation=row["generation"],
            did=row["did"],
            relay=row["relay"],
            log=row["log"],
            waits=bool(row["waits"]),
            unchecked=bool(row["unchecked"]),
        )


class IdentityStore(Tables):
    """The identities of one open vault database."""

    def add(self, n: int, *, generation: int, did: str, relay: str | None, log: bytes) -> None:
        self._run(
            "INSERT INTO identity (n, generation, did, relay, log, waits)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            n,
            generation,
            did,
            relay,
            log,
            relay is not None,
        )

    def all(self) -> list[StoredIdentity]:
        """The oldest first."""
        return [StoredIdentity.of(row) for row in self._all("SELECT * FROM identity ORDER BY n")]

    def get(self, n: int) -> StoredIdentity:
        return StoredIdentity.of(self._one("SELECT * FROM identity WHERE n = ?", n))

    def waiting(self) -> list[StoredIdentity]:
        return [row for row in self.all() if row.waits]

    def set_log(self, n: int, log: bytes, *, waits: bool) -> None:
        """Keep another log; what is set has been checked."""
        self._run(
            "UPDATE identity SET log = ?, waits = ?, unchecked = 0 WHERE n = ?", log, waits, n
        )

    def published(self, n: int, log: bytes) -> None:
        """The relay has this log; if it is still the one here, nothing waits."""
        self._run("UPDATE identity SET waits = 0 WHERE n = ? AND log = ?", n, log)

    def leave_unchecked(self, n: int) -> None:
        self._run("UPDATE identity SET unchecked = 1 WHERE n = ?", n)

    def publish_again(self) -> None:
        """All that the relay hosts waits to be sent."""
        self._run("UPDATE identity SET waits = 1 WHERE relay IS NOT NULL")
