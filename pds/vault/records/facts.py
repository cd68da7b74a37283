"""What a record says of itself in columns of its own: when it happened, and with whom.

Contents decide, not the holder: an edit that changes the date moves the record in time.
"""

from did.json import JsonObject
from pds.vault.schemas import Category
from pds.vault.store.record_index import minute_of

_MAX_COMPANY = 500


def happened(category: Category, fields: JsonObject) -> str | None:
    """A year, a month, a day, or a time in UTC; None where the contents name none."""
    value = category.when_of(fields)
    if value is None:
        return None
    try:
        minute_of(value)
    except (ValueError, OverflowError):
        return None  # such as the year 0
    return value


def company(category: Category, fields: JsonObject) -> str | None:
    """The other side, as the contents name it."""
    name = (category.company_of(fields) or "").strip()[:_MAX_COMPANY]
    return name or None
