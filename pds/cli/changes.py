"""Whom a later change reaches: said where something is granted, shown and edited.

A grant follows changes only where its holder switched that on; otherwise the company keeps what it
was given, whatever is corrected here.
"""

from typing import TYPE_CHECKING

from pds.cli.names import short_id
from pds.cli.output import local

if TYPE_CHECKING:
    from pds.vault.activity import Sharing
    from pds.vault.records import Record
    from pds.vault.service import Vault

LIVE = frozenset({"scheduled", "active", "used up"})


def later(row: "Sharing") -> str:
    """What becomes of a change that comes later."""
    if row.follows_changes:
        return f"{row.name} gets later changes of this too, until {local(row.valid_until)[:10]}."
    return f"{row.name} keeps these values; later changes do not reach it."


def reaches(row: "Sharing") -> str:
    """What became of a change that was just made."""
    if row.follows_changes:
        return (
            f"{row.name} gets the new version ({row.label}), and further ones until "
            f"{local(row.valid_until)[:10]}."
        )
    return (
        f"{row.name} keeps the old version ({row.label}): that grant does not follow changes. "
        f"It ends on {local(row.valid_until)[:10]}, or by: pds withdraw {short_id(row.grant)}"
    )


def changes_reach(vault: "Vault", before: "Record", after: "Record") -> "list[Sharing]":
    """The grants in force that cover what changed between two versions of an item."""
    if after.version == before.version or after.about != "self":
        return []
    names = before.fields.keys() | after.fields.keys()
    changed = {name for name in names if before.fields.get(name) != after.fields.get(name)}
    if before.validity != after.validity:
        changed = set(names)
    paths = {after.category, *(f"{after.category}.{name}" for name in changed)}
    return [row for row in vault.sharing() if row.state in LIVE and row.fields & paths]
