"""What happened with one company, from all tables of the exchange, as one list in time.

Each part is found by an index that begins with the company or with a grant of it: the cost is that
of this one relation, whatever else the vault holds.
"""

from collections.abc import Sequence

from pds.db import Tables

RELATION_SQL = """
CREATE INDEX request_company ON request (company);
"""

Dealing = tuple[str, str, str, str]
"""When, what kind, of what (an id of its kind), and one word more."""

_DEALINGS = """
WITH asked AS (SELECT id, received, state FROM request WHERE company IN ({marks})),
granted AS (
  SELECT g.id, g.digest, g.package, g.created, g.ended, g.end_kind
  FROM relationship r JOIN access_grant g ON g.relationship = r.idx WHERE r.company IN ({marks})
),
dealing (at, kind, subject, detail) AS (
  SELECT received, 'request', id, state FROM asked
  UNION ALL SELECT created, 'grant', id, '' FROM granted
  UNION ALL SELECT ended, 'end', id, coalesce(end_kind, '') FROM granted WHERE ended IS NOT NULL
  UNION ALL SELECT e.at, 'event', g.id || '#' || e.origin || '#' || e.ordinal, e.kind
    FROM granted g CROSS JOIN package_event e ON e.package = g.package
  UNION ALL SELECT m.at, iif(m.incoming, 'received', 'sent'), a.id || '#' || m.seq, m.type
    FROM asked a CROSS JOIN message m ON m.thread = a.id
  UNION ALL SELECT t.at, 'attestation', g.id, ''
    FROM granted g CROSS JOIN attestation t ON t.grant_digest = g.digest
)
SELECT at, kind, subject, detail FROM dealing
WHERE (at, kind, subject) < (?, ?, ?) ORDER BY at DESC, kind DESC, subject DESC LIMIT ?
"""


class RelationStore(Tables):
    """Reads only."""

    def companies(self) -> list[tuple[str, str]]:
        """The DID of each company that asked or was given anything, with the name it had then."""
        rows = self._all(
            "SELECT company, name FROM relationship"
            " UNION SELECT company, json_extract(raw, '$.controller.name') FROM request"
        )
        return [(str(row[0]), str(row[1] or "")) for row in rows]

    def dealings(
        self, companies: Sequence[str], *, before: tuple[str, str, str] | None, limit: int
    ) -> list[Dealing]:
        """What happened with these companies before a point of the list, the newest first."""
        rows = self._all(
            _DEALINGS.format(marks=", ".join("?" * len(companies))),
            *companies,
            *companies,
            *(before or ("~", "", "")),
            limit,
        )
        return [(str(row[0]), str(row[1]), str(row[2]), str(row[3])) for row in rows]
