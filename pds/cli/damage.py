"""How an attached file is shown, and one that cannot be read any more."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pds.vault.attachments import Attachment, Damaged
    from pds.vault.service import Vault


def attachment_json(attachment: "Attachment") -> dict[str, Any]:
    from did.time import format_time

    return {
        "id": attachment.id,
        "item": attachment.record_id,
        "name": attachment.name,
        "mediaType": attachment.media_type,
        "size": attachment.size,
        "sha256": attachment.sha256,
        "added": format_time(attachment.added),
        "imported": attachment.imported,
    }


def damaged_json(found: "Sequence[Damaged]") -> list[dict[str, Any]]:
    """Attachments that cannot be read whole, for ``--json``."""
    return [attachment_json(one.attachment) | {"missing": one.missing} for one in found]


def damaged_line(one: "Damaged") -> str:
    """Which file it is, and what is wrong with it."""
    what = "its file is missing" if one.missing else "its file is damaged"
    return f"{one.attachment.id}  {one.attachment.name}: {what}"


def damaged_lines(vault: "Vault", found: "Sequence[Damaged]") -> list[str]:
    """The same for people: each with the item that it belongs to, and at the end what to do."""
    from pds.cli.records import line

    if not found:
        return []
    words = vault.catalogue()
    lines = []
    for one in found:
        lines.append(damaged_line(one))
        lines.append(f"  of {line(vault.record(one.attachment.record_id), words)}")
    return [
        *lines,
        "Where you still have the file, attach it to the item again: that mends it. A backup may "
        "have it too. To go on without it: pds data detach ATTACHMENT",
    ]
