"""After a change to the data: the grants that follow changes get the new version."""

from typing import TYPE_CHECKING

from pds.cli.output import Settings, count

if TYPE_CHECKING:
    from pds.vault.service import Vault


def hand_on(settings: Settings, vault: "Vault") -> int:
    """Stage what changed and send it; a relay that is away only delays it."""
    from pds.vault.errors import PackageTooLarge

    if vault.status().restoring:
        return 0
    try:
        told = vault.restage()
    except PackageTooLarge as error:
        told = error.queued
        settings.say(
            f"{count(len(error.packages), 'grant')} cannot follow the change: {error}. "
            f"What was shared before stays. {error.hint}"
        )
    if told:
        report = vault.push()
        settings.say(
            f"The new version is at the relay for {count(told, 'grant')} that follow changes."
            if report.complete
            else f"The new version waits to be sent for {count(told, 'grant')}: run 'pds sync' "
            "when the relay is back."
        )
    return told
