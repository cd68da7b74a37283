"""Reading everything, row by row, for an export. Nothing here writes.

Every method is an iterator over one open statement: memory does not grow with the vault. The
caller owns the transaction, which makes all of them see one state.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from pds.db import Tables
from pds.vault.store.records import Row

# The row of a record, whatever columns it has by now.
_COLUMNS = ", ".join(field.name for field in fields(Row))


@dataclass(frozen=True, slots=True)
class Signed:
    """One signed object as it is stored: its canonical text, and what it is about.

    ``thread`` is the request it belongs to, ``kind`` what it is.
    """

    kind: str
    thread: str
    at: str
    text: str


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One entry of the vault's own log, with the salt that proves it against its leaf."""

    n: int
    at: str
    kind: str
    subject: str
    entry: str
    salt: bytes


class ExportStore(Tables):
    """Everything in one open vault database, for reading only."""

    def record_counts(self) -> dict[str, tuple[int, int]]:
        """Category → how many live records, how many tombstones."""
        rows = self._all(
            "SELECT category, sum(deleted = 0), sum(deleted = 1) FROM records"
            " GROUP BY category ORDER BY category"
        )
        return {row[0]: (int(row[1]), int(row[2])) for row in rows}

    def live(self, category: str) -> Iterator[Row]:
        """The current version of each live record, the oldest record first."""
        return self._rows("category = ? AND deleted = 0", category)

    def newest(self, category: str) -> Iterator[Row]:
        """The same by the time at which each happened, else came in; the newest first.

        Only numbers are sorted, and kept: eight bytes for each record.
        """
        ordinals = array(
            "q",
            (
                row[0]
                for row in self._conn.execute(
                    "SELECT ordinal FROM records WHERE category = ? AND deleted = 0"
                    " ORDER BY coalesce(happened, created) DESC, ordinal DESC",
                    (category,),
                )
            ),
        )
        for ordinal in ordinals:
            yield from self._rows("ordinal = ?", ordinal)

    def all(self, category: str) -> Iterator[Row]:
        """``live``, and tombstones between them."""
        return self._rows("category = ?", category)

    def _rows(self, where: str, *values: Any) -> Iterator[Row]:
        sql = f"SELECT {_COLUMNS} FROM records WHERE {where} ORDER BY ordinal"  # noqa: S608
        for row in self._conn.execute(sql, values):
            columns: list[Any] = list(row)  # the tables are STRICT: the types are as declared
            yield Row(*columns)

    def history(self) -> Iterator[HistoryLine]:
        """The vault's log from its beginning."""
        for row in self._conn.execute(
            "SELECT n, at, kind, subject, entry, salt FROM history ORDER BY n"
        ):
            yield HistoryLine(*row)

    def messages(self) -> Iterator[Signed]:
        """Everything signed that was said in either direction, thread by thread."""
        for row in self._conn.execute(
            "SELECT type, thread, at, raw FROM message ORDER BY thread, at, incoming, seq"
        ):
            yield Signed(*row)

    def manifests(self) -> Iterator[Signed]:
        """What was staged at the relay: the signed manifest of each version."""
        for row in self._conn.execute(
            "SELECT 'manifest', g.request, s.at, s.manifest FROM staged s"
            " JOIN access_grant g ON g.package = s.package ORDER BY g.created, g.id, s.seq"
        ):
            yield Signed(*row)

    def receipts(self) -> Iterator[Signed]:
        """The relay's receipts: for what it stored, handed out and refused."""
        for row in self._conn.execute(
            "SELECT 'staging', g.request, s.at, s.receipt FROM staged s"
            " JOIN access_grant g ON g.package = s.package WHERE s.receipt IS NOT NULL"
            " ORDER BY g.created, g.id, s.seq"
        ):
            yield Signed(*row)
        for row in self._conn.execute(
            "SELECT e.kind, g.request, e.at, e.receipt FROM package_event e"
            " JOIN access_grant g ON g.package = e.package"
            " ORDER BY g.created, g.id, e.origin, e.ordinal"
        ):
            yield Signed(*row)

    def attestations(self) -> Iterator[Signed]:
        """What companies attested about grants that ended."""
        for row in self._conn.execute(
            "SELECT 'attestation', g.request, a.at, a.raw FROM attestation a"
            " JOIN access_grant g ON g.digest = a.grant_digest ORDER BY g.created, g.id, a.at"
        ):
            yield Signed(*row)

    def checkpoints(self) -> list[tuple[str, str, str]]:
        """Origin, signed note and time of the newest checkpoint seen of each relay's log."""
        rows = self._all("SELECT origin, note, at FROM seen_checkpoint ORDER BY origin")
        return [(row[0], row[1], row[2]) for row in rows]
