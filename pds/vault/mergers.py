"""Duplicates in a vault: finding them, making one of them, and taking that back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from did.json import JsonObject
from did.time import format_time, parse_time
from pds.vault.context import Context
from pds.vault.records import RecordError, Undone
from pds.vault.records.lookalikes import CATEGORIES, Lookalikes, find_lookalikes
from pds.vault.records.merging import Merger, Merging, plan_merger
from pds.vault.store.origins import OriginStore
from pds.vault.store.records import RecordStore


@dataclass(frozen=True, slots=True)
class Merged:
    """That ``number`` items became one. ``intact`` says that it was not changed since, so that
    ``split`` can take it back by its ``batch``."""

    batch: str
    item: str
    at: datetime
    number: int
    intact: bool


def find(ctx: Context, category: str | None, *, limit: int) -> list[Lookalikes]:
    """Groups of items that look like one, in one category or in all of ``CATEGORIES``."""
    if category is not None and category not in CATEGORIES:
        raise RecordError(
            "In this category no duplicates are looked for.",
            code="data.no_duplicates",
            hint="One of: " + ", ".join(CATEGORIES) + ".",
        )
    found: list[Lookalikes] = []
    for name in CATEGORIES if category is None else (category,):
        for group in find_lookalikes(ctx.conn, name):
            if len(found) == limit:
                return found
            if len(group.records) > 1:  # another program may have deleted one meanwhile
                found.append(group)
    return found


def plan(ctx: Context, keep: str, others: Sequence[str], *, take: Mapping[str, str]) -> Merger:
    """See ``plan_merger``; RecordError also as ``Records.get``."""
    records = ctx.records
    items = [records.get(item) for item in (keep, *others)]
    return plan_merger(records.catalogue(), items[0], items[1:], take=take)


def merge(ctx: Context, merger: Merger) -> str:
    """Make one of several items; the id by which it is taken back."""
    batch = ctx.records.new_id()
    with ctx.transaction():
        now = format_time(ctx.clock())
        version = _merging(ctx).merge(merger, batch=batch, now=now)
        detail: JsonObject = {"version": version, "merged": len(merger.others), "batch": batch}
        ctx.log("edited", merger.keep.id, detail)
        for other in merger.others:
            ctx.log("deleted", other.id, {"into": merger.keep.id})
    return batch


def merged(ctx: Context) -> list[Merged]:
    """The mergers that ``split`` has not taken back, the newest first."""
    return [
        Merged(row.batch, row.item, parse_time(row.at), row.others + 1, row.intact)
        for row in OriginStore(ctx.conn).mergers()
    ]


def is_merger(ctx: Context, batch: str) -> bool:
    return _merging(ctx).is_merger(batch)


def split(ctx: Context, batch: str) -> Undone:
    """Take a merger back. The others come back under new ids; if the one was changed since, nothing
    is done."""
    with ctx.transaction():
        [change] = OriginStore(ctx.conn).changes(batch)
        row = RecordStore(ctx.conn).at_ordinal(change.ordinal)
        name = "" if row is None else row.category
        category = ctx.records.catalogue().category(name)
        done = _merging(ctx).split(batch, category, now=format_time(ctx.clock()))
        if done is None:
            return Undone(removed=0, kept=1)
        again, ids = done
        ctx.log("edited", again.id, {"version": again.version, "split": batch})
        for record_id in ids:
            ctx.log("added", record_id, {"category": again.category})
    return Undone(removed=0, kept=0, restored=1 + len(ids))


def _merging(ctx: Context) -> Merging:
    return Merging(ctx.conn, new_id=ctx.records.new_id)
