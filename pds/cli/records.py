"""How an item of data is shown: as JSON, as a line, in full."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

    from pds.vault.records import Record
    from pds.vault.schemas import Catalogue

_WIDEST = 140


def as_json(record: "Record") -> dict[str, Any]:
    from did.time import format_time

    return {
        "id": record.id,
        "category": record.category,
        "schema": record.schema,
        "fields": record.fields,
        "source": record.source,
        "collected": format_time(record.collected),
        "about": record.about,
        "assurance": record.assurance,
        "version": record.version,
        "changed": format_time(record.changed),
        "deleted": record.deleted,
        "batch": record.batch,
        "happened": record.happened,
        "company": record.company,
        "validFrom": _day(record.validity.start),
        "validUntil": _day(record.validity.end),
        "tags": list(record.tags),
    }


def line(record: "Record", words: "Catalogue") -> str:
    from did.time import format_time

    summary = "(deleted)" if record.deleted else "; ".join(_labelled(record, words))
    if len(summary) > _WIDEST:
        summary = summary[: _WIDEST - 1] + "…"
    when = (record.happened or format_time(record.changed))[:10]
    others = "" if record.about == "self" else "  (someone else's)"
    tags = "".join(f"  #{tag}" for tag in record.tags)
    return f"{record.id}  {_title(record.category, words):<10} {when:<10}  {summary}{others}{tags}"


def _day(day: "date | None") -> str | None:
    return None if day is None else day.isoformat()


def _title(category: str, words: "Catalogue") -> str:
    from pds.vault.schemas import RecordError

    try:
        return words.category(category).title
    except RecordError:  # one's own that was removed; what was in it is deleted
        return category


def _labelled(record: "Record", words: "Catalogue") -> list[str]:
    """Each field as ``Full name: …``, in the order of the form."""
    from pds.vault.consent import in_order, value_text

    return [
        f"{words.describe(f'{record.category}.{name}')}: "
        f"{value_text(record.fields[name], record.category)}"
        for name in in_order(record.fields, record.category, words=words)
    ]


def card(record: "Record", words: "Catalogue") -> str:
    """An item in full, for people."""
    from did.time import format_time

    contents = _labelled(record, words) or ["(deleted)" if record.deleted else "(empty)"]
    whose = "you" if record.about == "self" else "someone else"
    return "\n".join(
        [
            f"{_title(record.category, words)}  {record.id}",
            *(f"  {line}" for line in contents),
            f"Version {record.version} of {format_time(record.changed)}; about {whose}; "
            f"{record.assurance}.",
            f"From {record.source}, collected {format_time(record.collected)}.",
            f"Schema: {record.schema}",
            *_also(record),
        ]
    )


def _also(record: "Record") -> list[str]:
    """What the holder has said about an item, where there is anything."""
    start, end = record.validity.start, record.validity.end
    lines = []
    if start is not None or end is not None:
        first = "" if start is None else f" from {start}"
        last = "" if end is None else f" until {end}"
        lines.append(f"True{first}{last}.")
    if record.tags:
        lines.append("Tags: " + ", ".join(record.tags))
    return lines
