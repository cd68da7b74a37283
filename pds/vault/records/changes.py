"""Taking back what an import changed: the item gets another version that says what it said before.

Nothing is removed from its history. The version that was taken back is not counted as something
that the item said once, so that the same import may be made again.
"""

from dataclasses import replace
from typing import Any

from did.json import parse_object
from pds.vault.schemas import Category
from pds.vault.store.origins import ChangeRow, OriginRow, OriginStore
from pds.vault.store.records import RecordStore, Row

from . import facts
from .model import digest_of, fields_of


def restore(
    store: RecordStore, row: Row, version: int, category: Category, *, now: str
) -> Row | None:
    """Make a version anew that a record had; None where its contents are lost."""
    earlier = [old for old in store.history(row.ordinal) if old.version == version]
    if not earlier or earlier[0].fields is None:
        return None
    fields = fields_of(earlier[0])
    again = replace(
        earlier[0],
        version=row.version + 1,
        changed=now,
        happened=facts.happened(category, fields),
        company=facts.company(category, fields),
    )
    store.replace(again, digest=digest_of(row.category, (again.fields or "").encode()))
    return again


def take_back(
    change: ChangeRow, store: RecordStore, origins: OriginStore, category: Category, *, now: str
) -> bool:
    """Take back one change; False when the record was changed or deleted since, and stays."""
    row = store.at_ordinal(change.ordinal)
    if row is None or row.deleted or row.version != change.version:
        return False
    before: Any = parse_object(change.before)
    if restore(store, row, before["version"], category, now=now) is None:
        return False
    origins.unknow(row.ordinal, row.version)
    key = bytes.fromhex(before["key"])
    known = origins.find([key]).get(key)
    if known is not None:
        origins.forget(key)
        if "known" in before:
            version, stamp, said = before["known"]
            origins.put([OriginRow(key, row.ordinal, known.name, version, stamp, said)])
    origins.drop_change(change.batch, change.ordinal)
    return True
