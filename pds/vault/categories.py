"""The holder's own categories: made, changed, removed.

A category in use stays: what it means would be lost with it.
"""

from did.time import format_time
from pds.vault.context import Context
from pds.vault.records import MAX_PAGE
from pds.vault.schemas import NAMES, Category, RecordError
from pds.vault.schemas.own import MAX_OWN, OwnCategory, own_name, read_own
from pds.vault.store.categories import CategoryStore


def add(ctx: Context, name: str, document: object, *, replace: bool = False) -> Category:
    """Make a category from its description; the same one again changes nothing.

    With ``replace`` one of this name is changed, if every item in it follows the new description.
    Raises RecordError: ``data.category_invalid``, ``data.category_exists``, ``data.category_used``.
    """
    own = read_own(name, document)
    store = CategoryStore(ctx.conn)
    with ctx.transaction():
        known = store.all()
        before = known.get(own.category.name)
        if before == own.schema:
            return own.category
        if before is None and len(known) >= MAX_OWN:
            raise RecordError(
                f"A vault keeps at most {MAX_OWN} categories of your own.",
                code="data.category_exists",
                hint="Remove one that is not used: pds data category remove",
            )
        if before is not None and not replace:
            raise RecordError(
                "There is a category of this name, and it is another one.",
                code="data.category_exists",
                hint="Give it another name, or change the one that is there with --replace.",
            )
        if before is not None:
            _check_items(ctx, own)
        store.put(own.category.name, own.schema, added=format_time(ctx.now()))
        if before is not None:
            ctx.records.read_again(own.category)
        ctx.log("category changed" if before else "category added", own.category.name)
    return own.category


def remove(ctx: Context, name: str) -> str:
    """Remove a category in which there are no items; returns its full name.

    Raises RecordError: ``data.category_built_in``, ``data.unknown_category``,
    ``data.category_used``.
    """
    if name in NAMES:
        raise RecordError(
            "This category belongs to the software.",
            code="data.category_built_in",
            hint="Only categories of your own can be removed: pds data category list",
        )
    full = own_name(name)
    with ctx.transaction():
        ctx.records.catalogue().category(full)
        if ctx.records.counts().get(full, 0):
            raise RecordError(
                "There are items in this category.",
                code="data.category_used",
                hint=f"See them with 'pds data list {full}', and delete them first.",
            )
        CategoryStore(ctx.conn).remove(full)
        ctx.log("category removed", full)
    return full


def _check_items(ctx: Context, own: OwnCategory) -> None:
    last: str | None = None
    while page := ctx.records.list(own.category.name, limit=MAX_PAGE, after=last):
        for record in page:
            try:
                own.check(record.fields)
            except RecordError as error:
                raise RecordError(
                    "There are items that do not follow the new description.",
                    code="data.category_used",
                    hint=f"Correct them first, or allow what they hold: {error}",
                ) from error
        last = page[-1].id
