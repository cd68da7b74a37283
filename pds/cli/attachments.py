"""``pds data attach | attachments | save | detach``: the files of an item."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pds.cli.damage import attachment_json
from pds.cli.names import whole
from pds.cli.output import Settings, pass_settings
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from pds.vault.attachments import Attachment
    from pds.vault.service import Vault

_ID = 22


def _line(attachment: "Attachment") -> str:
    from did.time import format_time

    when = format_time(attachment.added)[:10]
    return (
        f"{attachment.id}  {when}  {attachment.size:>13,} bytes  {attachment.name}"
        f"  ({attachment.media_type})"
    )


def _whole(vault: "Vault", attachment: str) -> str:
    """An attachment's id from its beginning."""
    if len(attachment) >= _ID:
        return attachment
    return whole(attachment, (one.id for one in vault.attachments()))


@click.command()
@click.argument("item")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Keep it under another name than the file's.")
@pass_settings
def attach(settings: Settings, *, item: str, file: Path, name: str | None) -> None:
    """Keep a file with an item, encrypted, e.g.: pds data attach ITEM contract.pdf

    Any kind of file, up to 1 GiB. FILE itself stays where it is, as it is.
    """
    from pds.cli.find import whole_id

    with (
        unlock(settings) as vault,
        settings.progress("Encrypting", file.stat().st_size) as progress,
    ):
        kept = vault.attach(whole_id(vault, item), file, name=name, progress=progress)
    settings.emit(attachment_json(kept), lambda: _line(kept))


@click.command("attachments")
@click.argument("item")
@pass_settings
def list_(settings: Settings, *, item: str) -> None:
    """The files of an item. What kind a file is is a guess: its ending may lie."""
    from pds.cli.find import whole_id

    with unlock(settings) as vault:
        found = vault.attachments(whole_id(vault, item))
    settings.emit(
        [attachment_json(one) for one in found],
        lambda: "\n".join(_line(one) for one in found) or "No files.",
    )


@click.command()
@click.argument("attachment")
@click.argument("target", type=click.Path(path_type=Path))
@pass_settings
def save(settings: Settings, *, attachment: str, target: Path) -> None:
    """Write a file of an item to TARGET, e.g.: pds data save ATTACHMENT contract.pdf

    TARGET is a new file, or a folder for a new file of its own name; nothing is written over. It is
    not encrypted there.
    """
    with unlock(settings) as vault:
        found = vault.attachment(_whole(vault, attachment))
        place = target / found.name if target.is_dir() else target
        with settings.progress("Decrypting", found.size) as progress:
            vault.save_attachment(found.id, place, progress=progress)
    settings.emit(
        attachment_json(found) | {"file": str(place)}, f"Saved: {place} ({found.size:,} bytes)."
    )


@click.command()
@click.argument("attachment")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def detach(settings: Settings, *, attachment: str, yes: bool) -> None:
    """Delete a file of an item. Its key goes with it: only old backups still have the file."""
    settings.confirm("Delete this file from the vault?", yes=yes)
    with unlock(settings) as vault:
        attachment = _whole(vault, attachment)
        vault.detach(attachment)
    settings.emit({"detached": attachment}, "Deleted.")
