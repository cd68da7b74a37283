"""Whose place a holder's DID has taken, and what moves from the old one to the new one."""

from did.json import JsonObject
from did.time import format_time
from pds.company.store.base import to_object, to_text
from pds.db import Tables
from pds.messages.succession import Change

LINE = (
    "WITH RECURSIVE line (did) AS (SELECT ?1"
    " UNION SELECT new FROM succession JOIN line ON old = did"
    " UNION SELECT old FROM succession JOIN line ON new = did)"
)
"""All DIDs of the person who is, or once was, ``?1``."""


class SuccessionTables(Tables):
    """All SQL of ``succession``, and what a change of DID rewrites in the other tables."""

    def add_change(self, change: Change, raw: JsonObject) -> None:
        """Keep a change; one that is kept already stays as it was."""
        self._run(
            "INSERT OR IGNORE INTO succession (old, new, seq, at, raw) VALUES (?, ?, ?, ?, ?)",
            change.old,
            change.new,
            change.seq,
            format_time(change.at),
            to_text(raw),
        )

    def successor(self, did: str) -> str | None:
        """Who took the place of a DID, if somebody did."""
        row = self._one("SELECT new FROM succession WHERE old = ?", did)
        return None if row is None else str(row["new"])

    def predecessor(self, did: str) -> str | None:
        """Whose place a DID took, if anybody's."""
        row = self._one("SELECT old FROM succession WHERE new = ?", did)
        return None if row is None else str(row["old"])

    def change_of(self, did: str) -> JsonObject | None:
        """The signed change by which a DID was given up."""
        row = self._one("SELECT raw FROM succession WHERE old = ?", did)
        return None if row is None else to_object(row["raw"])

    def persons(self, did: str) -> frozenset[str]:
        """All DIDs of this person, past and present."""
        rows = self._all(LINE + " SELECT did FROM line", did)  # noqa: S608
        return frozenset(row["did"] for row in rows)

    def set_holder(self, request_id: str, *, person: str, reply: JsonObject) -> None:
        """The thread goes on with the new DID, and answers go to its address."""
        self._run(
            "UPDATE request SET person = ?, reply = ? WHERE id = ?",
            person,
            to_text(reply),
            request_id,
        )

    def move_grant(self, old: str, new: str) -> None:
        """What is held under a grant, and how it was redeemed, belongs to the one in its place. A
        version that was told of and not fetched is told of still."""
        self._run(
            "UPDATE access_grant SET announced = 1 WHERE digest = ?"
            " AND EXISTS (SELECT 1 FROM access_grant WHERE digest = ? AND announced > seq)",
            new,
            old,
        )
        self._run("UPDATE held SET grant_digest = ? WHERE grant_digest = ?", new, old)
        self._run("UPDATE retention SET grant_digest = ? WHERE grant_digest = ?", new, old)
        self._run("UPDATE redemption SET grant_digest = ? WHERE grant_digest = ?", new, old)
