"""Rows of a person's own categories: a name, and its schema as JSON.

The caller owns the transaction.
"""

from pds.db import Connection

CATEGORIES_SQL = """
CREATE TABLE own_categories (
  name   TEXT NOT NULL PRIMARY KEY CHECK (name GLOB 'own-?*'),
  schema TEXT NOT NULL,
  added  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


class CategoryStore:
    """The table of ``CATEGORIES_SQL`` on one connection."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def all(self) -> dict[str, str]:
        """Each name with its schema."""
        rows = self._conn.execute("SELECT name, schema FROM own_categories ORDER BY name")
        return {row[0]: row[1] for row in rows}

    def put(self, name: str, schema: str, *, added: str) -> None:
        """Keep a category; one of the same name is replaced."""
        self._conn.execute(
            "INSERT INTO own_categories (name, schema, added) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET schema = excluded.schema",
            (name, schema, added),
        )

    def remove(self, name: str) -> None:
        """Forget a category."""
        self._conn.execute("DELETE FROM own_categories WHERE name = ?", (name,))
