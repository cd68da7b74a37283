"""Database files: opening, transactions, migrations, checks, encrypted copies."""

from pds.db.connection import (
    BULK_CACHE_KIB,
    Connection,
    IntegrityError,
    open_encrypted,
    open_plain,
    set_cache,
    transaction,
    translate,
    without_waiting,
)
from pds.db.errors import DbBusy, DbDamaged, DbError
from pds.db.maintenance import Compacted, check, compact, copy_encrypted
from pds.db.migrations import Migration, migrate
from pds.db.salvage import Salvage, TableReport
from pds.db.tables import Tables

__all__ = [
    "BULK_CACHE_KIB",
    "Compacted",
    "Connection",
    "DbBusy",
    "DbDamaged",
    "DbError",
    "IntegrityError",
    "Migration",
    "Salvage",
    "TableReport",
    "Tables",
    "check",
    "compact",
    "copy_encrypted",
    "migrate",
    "open_encrypted",
    "open_plain",
    "set_cache",
    "transaction",
    "translate",
    "without_waiting",
]
