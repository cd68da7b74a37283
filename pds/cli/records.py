"""How an item of data is shown: as JSON, as a line, in full."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

    from pds.vault.records import Record

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


def line(record: "Record") -> str:
    from did.time import format_time

    summary = "(deleted)" if record.deleted else "; ".join(_labelled(record))
    if len(summary) > _WIDEST:
        summary = summary[: _WIDEST - 1] + "…"
    when = (record.happened or format_time(record.changed))[:10]
    others = "" if record.about == "self" else "  (someone else's)"
    tags = "".join(f"  #{tag}" for tag in record.tags)
    return f"{record.id}  {_title(record.category):<10} {when:<10}  {summary}{others}{tags}"


def _day(day: "date | None") -> str | None:
    return None if day is None else day.isoformat()


def _title(category: str) -> str:
    from pds.vault.schemas import category as category_of

    return category_of(category).title


def _labelled(record: "Record") -> list[str]:
    """Each field as ``Full name: …``, in the order of the form."""
    from pds.vault.consent import describe, in_order, value_text

    return [
        f"{describe(f'{record.category}.{name}')}: "
        f"{value_text(record.fields[name], record.category)}"
        for name in in_order(record.fields, record.category)
    ]


def card(record: "Record") -> str:
    """An item in full, for people."""
    from did.time import format_time

    contents = _labelled(record) or ["(deleted)" if record.deleted else "(empty)"]
    whose = "you" if record.about == "self" else "someone else"
    return "\n".join(
        [
            f"{_title(record.category)}  {record.id}",
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
