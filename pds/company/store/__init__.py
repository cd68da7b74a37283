"""All SQL of the company's side. The caller owns the transaction; JSON is its canonical text.

``company.db`` is a plain file with mode 0600: it holds the company's own keys, and the data that
it may hold. Erased rows are overwritten (``secure_delete``, set by ``pds.db``) and ``compact``
empties the write-ahead log behind them.
"""

from pds.company.store.holdings import HoldingTables
from pds.company.store.successions import SuccessionTables
from pds.company.store.threads import ThreadTables

__all__ = ["Store"]


class Store(ThreadTables, HoldingTables, SuccessionTables):
    """Rows in, rows out."""

    def compact(self) -> None:
        """Carry the write-ahead log over and empty it, so that erased values are nowhere.

        Outside a transaction. Where another process is reading it is left to the next call.
        """
        self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
