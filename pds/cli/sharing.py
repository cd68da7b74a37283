"""``pds sharing | grant | withdraw``: what was granted, and how it ends."""

from typing import TYPE_CHECKING

import click

from pds.cli.changes import LIVE, later
from pds.cli.exchange import request_digest
from pds.cli.names import whole
from pds.cli.output import Settings, count, emit_json, local, pass_settings
from pds.cli.sync import say_waiting
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from pds.messages.notices import ErasureAttestation
    from pds.messages.request import Purpose
    from pds.vault.activity import Sharing
    from pds.vault.service import Vault

_OVER = frozenset({"withdrawn", "ended", "objected"})
_SAID = {"withdraw": "Consent withdrawn", "end": "Sharing ended", "object": "Objected"}


def _share_text(row: "Sharing") -> str:
    from pds.vault.consent import describe

    lines = [
        f"  {row.name}: {row.label} [{row.purpose}]: {row.state}"
        + (" (pending)" if row.pending else ""),
        f"    {', '.join(describe(path) for path in sorted(row.fields))}",
        f"    until {local(row.valid_until)}; taken {row.uses} of {count(row.max_uses, 'time')}",
        *([f"    {later(row)}"] if row.state in LIVE else []),
        *(f"    {_attested(a)}" for a in row.attested),
        f"    {row.grant}",
    ]
    return "\n".join(lines)


def _attested(word: "ErasureAttestation") -> str:
    """What a company says that it did: erased, kept on another basis, or both."""
    kept = sorted({one.until for one in word.retained})
    keeps = f"; it keeps some of it until {local(kept[-1])} at the latest" if kept else ""
    did = "erased" if word.erased else "nothing erased"
    return f"{did}, as the company attests: {local(word.erased_at)}{keeps}"


@click.command()
@pass_settings
def sharing(settings: Settings) -> None:
    """What is shared, with whom, until when, how often it was taken, and whether later changes
    reach the company too."""
    from did.time import format_time

    with unlock(settings) as vault:
        rows = vault.sharing()

    def text() -> str:
        live = [_share_text(row) for row in rows if row.state in LIVE]
        ended = [_share_text(row) for row in rows if row.state not in LIVE]
        parts = ["Shared now", *live] if live else ["Nothing is shared now."]
        return "\n".join([*parts, *(["", "Ended", *ended] if ended else [])])

    settings.emit(
        [
            {
                "grant": row.grant,
                "company": row.company,
                "name": row.name,
                "purpose": row.purpose,
                "label": row.label,
                "fields": sorted(row.fields),
                "state": row.state,
                "pending": row.pending,
                "validFrom": format_time(row.valid_from),
                "validUntil": format_time(row.valid_until),
                "uses": row.uses,
                "maxUses": row.max_uses,
                "lastUsed": None if row.last_used is None else format_time(row.last_used),
                "followsChanges": row.follows_changes,
                "attestations": [attested.to_json() for attested in row.attested],
            }
            for row in rows
        ],
        text,
    )


@click.command()
@click.argument("name")
@pass_settings
def grant(settings: Settings, *, name: str) -> None:
    """Print the signed grant with this id or purpose, for any verifier."""
    with unlock(settings) as vault:
        raw = vault.grant(_grant_name(vault, name))
    emit_json(raw)


def _grant_name(vault: "Vault", name: str) -> str:
    """A grant's id from its beginning; the name of a purpose stays as it is."""
    rows = vault.sharing()
    return (
        name
        if any(row.purpose == name for row in rows)
        else whole(name, (row.grant for row in rows))
    )


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def withdraw(settings: Settings, *, name: str, yes: bool) -> None:
    """End a grant, by its id or purpose: withdraw consent, end a contract's sharing, object.

    The relay deletes what it stored and refuses from that moment; the company is told to erase.
    Exit code 4: ended here, but the relay has not confirmed it; 'pds sync' tries again.
    """
    settings.may_confirm("End this grant?", yes=yes)
    with unlock(settings) as vault:
        grant_id = str(vault.grant(_grant_name(vault, name))["id"])
        row = next(row for row in vault.sharing() if row.grant == grant_id)
        over = row.state in _OVER
        if not over and not yes:
            _before_the_end(settings, vault, row)
        verb, report = vault.withdraw(grant_id)
    said = "It had already ended." if over else f"{_SAID[verb]}: {row.name}, {row.label}."
    settings.emit(
        {"grant": name, "verb": verb, "complete": report.complete, "already": over},
        f"{said} "
        + (
            "The relay has deleted the package and refuses; the company is told."
            if report.complete
            else "It is pending: the relay has not confirmed everything yet."
        ),
    )
    say_waiting(settings, report)


def _before_the_end(settings: Settings, vault: "Vault", row: "Sharing") -> None:
    """Name what would end, and what stays by law; then ask."""
    from pds.messages.notices import verb_of
    from pds.vault.consent import describe, kept_by_law

    purpose = _purpose_of(vault, row)
    if purpose is not None and verb_of(purpose.basis) is None:
        return  # it cannot be ended, which is said without a question
    settings.say(
        f"{row.name} ({row.company}): {row.label} [{row.purpose}]\n"
        f"  {', '.join(describe(path) for path in sorted(row.fields))}"
    )
    for kept in () if purpose is None else purpose.retained:
        settings.say(f"  {kept_by_law(kept)}")
    settings.confirm("End this grant?", yes=False)


def _purpose_of(vault: "Vault", row: "Sharing") -> "Purpose | None":
    """The purpose as it was asked for: what may be kept stands in the request alone."""
    digest = request_digest(vault, row)
    for shown in vault.requests():
        if shown.digest == digest:
            return shown.request.purpose(row.purpose)
    return None
