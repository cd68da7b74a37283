"""Database files: opening, transactions, migrations, checks, encrypted copies."""

from pds.db.connection import (
    BULK_CACHE_KIB,
    Connection,
    IntegrityError,
    open_encrypted,
    open_for_reading,
    open_plain,
    set_cache,
    sync_folder,
    transaction,
    translate,
    without_waiting,
)
from pds.db.errors import DbBusy, DbDamaged, DbError
from pds.db.firstpage import FirstPage, first_page, is_kept, keep_first_page, put_back
from pds.db.maintenance import Compacted, check, compact, copy_encrypted
from pds.db.migrations import Migration, migrate, prove_current
from pds.db.salvage import Salvage, TableReport
from pds.db.sql import Sql
from pds.db.tables import Tables

__all__ = [
    "BULK_CACHE_KIB",
    "Compacted",
    "Connection",
    "DbBusy",
    "DbDamaged",
    "DbError",
    "FirstPage",
    "IntegrityError",
    "Migration",
    "Salvage",
    "Sql",
    "TableReport",
    "Tables",
    "check",
    "compact",
    "copy_encrypted",
    "first_page",
    "is_kept",
    "keep_first_page",
    "migrate",
    "open_encrypted",
    "open_for_reading",
    "open_plain",
    "prove_current",
    "put_back",
    "set_cache",
    "sync_folder",
    "transaction",
    "translate",
    "without_waiting",
]
