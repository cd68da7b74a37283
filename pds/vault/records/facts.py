"""What a record says of itself in columns of its own: when it happened, and with whom.

Contents decide, not the holder: an edit that changes the date moves the record in time.
"""

from datetime import UTC, datetime

from did.json import JsonObject
from pds.vault.store.record_index import minute_of

_WHEN = {"purchases": "date"}
_COMPANY = {"purchases": "merchant"}
_MAX_COMPANY = 500


def happened(category: str, fields: JsonObject) -> str | None:
    """A year, a month, a day, or a time in UTC; None where the contents name none."""
    value = fields.get(_WHEN.get(category, ""))
    if not isinstance(value, str):
        return None
    try:
        if len(value) > len("2000-01-01"):
            moment = datetime.fromisoformat(value)
            value = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        minute_of(value)
    except (ValueError, OverflowError):
        return None  # such as a day without a year
    return value


def company(category: str, fields: JsonObject) -> str | None:
    """The other side, as the contents name it."""
    value = fields.get(_COMPANY.get(category, ""))
    name = value.strip()[:_MAX_COMPANY] if isinstance(value, str) else ""
    return name or None
