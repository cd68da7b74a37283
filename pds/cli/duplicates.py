"""``pds data duplicates`` and ``pds data merge``: items that look like one, and making one of
them."""

import sys
from typing import TYPE_CHECKING, Any

import click

from pds.cli.find import whole_id
from pds.cli.output import Settings, count, pass_settings
from pds.cli.records import as_json, card, line
from pds.cli.restaging import hand_on
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from pds.vault.records.merging import Conflict, Merger
    from pds.vault.schemas import Catalogue
    from pds.vault.service import Vault


@click.command()
@click.argument("category", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True,
              help="How many groups at most.")  # fmt: skip
@pass_settings
def duplicates(settings: Settings, *, category: str | None, limit: int) -> None:
    """Find items that look like one, e.g.: pds data duplicates contact

    Looks for people (contact, household) with the same e-mail address, telephone number or name,
    and for purchases and payments that came from two files. Nothing is changed, and a group is no
    more than a guess: it says why it was found. 'pds data merge' makes one of them.
    """
    with unlock(settings) as vault:
        found = vault.duplicates(category, limit=limit)
        words = vault.catalogue()

    def text() -> str:
        shown = []
        for group in found:
            shown += [", ".join(group.reasons) + ":", *(line(r, words) for r in group.records)]
            ids = " ".join(record.id for record in group.records)
            shown += [f"  pds data merge {ids}", ""]
        return "\n".join(shown[:-1]) or "Nothing looks like a duplicate."

    settings.emit(
        [
            {"reasons": list(group.reasons), "items": [as_json(r) for r in group.records]}
            for group in found
        ],
        text,
    )


@click.command()
@click.argument("keep", metavar="KEEP")
@click.argument("others", nargs=-1, required=True, metavar="OTHER…")
@click.option("--take", "wanted", multiple=True, metavar="[FIELD=]ITEM",
              help="Whose value to take where they contradict; may be repeated.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what it would be; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def merge(
    settings: Settings,
    *,
    keep: str,
    others: tuple[str, ...],
    wanted: tuple[str, ...],
    dry_run: bool,
    yes: bool,
) -> None:
    """Make one item of several, e.g.: pds data merge KEEP OTHER --take birthDate=OTHER

    KEEP gets all that the others have: what it lacks, further addresses and numbers, lists, notes,
    labels, attachments. Where they contradict each other, you are asked, or --take says whose value
    it is; --take ITEM says it for every field. All versions of the others become earlier versions
    of KEEP, and the others are deleted. Grants that follow changes get the new version.

    'pds data undo' takes it back; the others then have new ids.
    """
    with unlock(settings) as vault:
        keep, *rest = (whole_id(vault, item) for item in (keep, *others))
        take = _take(vault, wanted)
        plan = vault.plan_merger(keep, rest, take=take)
        words = vault.catalogue()
        unsettled = [c for c in plan.conflicts if c.field not in take and "" not in take]
        if unsettled and not dry_run:
            take |= _ask(settings, plan, unsettled, words)
            plan = vault.plan_merger(keep, rest, take=take)
        if not dry_run:
            if not yes:
                settings.say(_shown(plan, words))
            settings.confirm(f"Make one of these {count(len(rest) + 1, 'item')}?", yes=yes)
        batch = None if dry_run else vault.merge(plan)
        told = 0 if batch is None else hand_on(settings, vault)
    settings.emit(
        {
            "item": keep,
            "fields": plan.fields,
            "conflicts": [_conflict(c) for c in plan.conflicts],
            "batch": batch,
            "restaged": told,
        },
        lambda: (
            _shown(plan, words)
            if batch is None
            else f"{count(len(rest) + 1, 'item')} are one.\nUndo with: pds data undo {batch}"
        ),
    )


def _take(vault: "Vault", wanted: tuple[str, ...]) -> dict[str, str]:
    """Field → item; an empty field stands for all of them."""
    take: dict[str, str] = {}
    for one in wanted:
        field, _, item = one.rpartition("=")
        take[field] = whole_id(vault, item)
    return take


def _ask(
    settings: Settings, plan: "Merger", conflicts: "list[Conflict]", words: "Catalogue"
) -> dict[str, str]:
    """Whose value it is to be, field by field."""
    from pds.vault.consent import value_text

    if settings.as_json or not sys.stdin.isatty():
        from pds.vault.errors import VaultError

        raise VaultError(
            f"the items contradict each other in {count(len(conflicts), 'field')}: "
            + ", ".join(c.field for c in conflicts),
            code="data.contradiction",
            hint="Say whose value it is: --take FIELD=ITEM, or --take ITEM for all of them.",
        )
    take = {}
    for conflict in conflicts:
        path = f"{plan.keep.category}.{conflict.field}"
        settings.say(f"{words.describe(path)}:")
        for number, (_, value) in enumerate(conflict.values, start=1):
            settings.say(f"  {number}  {value_text(value, plan.keep.category)}")
        which = click.prompt(
            "Which", type=click.IntRange(1, len(conflict.values)), default=1, err=True
        )
        take[conflict.field] = conflict.values[which - 1][0]
    return take


def _shown(plan: "Merger", words: "Catalogue") -> str:
    from dataclasses import replace

    lost = [f"  {c.field}: that of {c.taken}" for c in plan.conflicts]
    whole = card(replace(plan.keep, fields=plan.fields), words)
    return "\n".join([whole, *(["They contradict each other; taken is:", *lost] if lost else [])])


def _conflict(conflict: "Conflict") -> dict[str, Any]:
    return {
        "field": conflict.field,
        "taken": conflict.taken,
        "values": [{"item": item, "value": value} for item, value in conflict.values],
    }
