"""A restore, rehearsed: proof that the paper and the file in hand give the data back."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp

from pds.vault import files, keyslots
from pds.vault.attachments.stream import Source
from pds.vault.backup import unpack, unpack_attachments
from pds.vault.checkup import checkup
from pds.vault.context import Context
from pds.vault.errors import VaultError
from pds.vault.inuse import FolderLock

_PREFIX = ".rehearsal-"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What is in a backup, seen by opening it. ``newest`` is the time of the last thing that its
    history knows, ``vault`` the id of the vault it is of, ``without`` how many attachments were
    damaged when it was made and are not in it."""

    vault: str
    items: dict[str, int]
    relationships: int
    grants: int
    history: int
    newest: datetime | None
    without: int

    @property
    def total(self) -> int:
        return sum(self.items.values())


def rehearse(backup: Path, *, kit: str, work: Path, clock: Callable[[], datetime]) -> Rehearsal:
    """Restore a backup with the kit into a folder within ``work``, read all of it, remove it.

    What lies there meanwhile is encrypted as the vault is. Nothing is sent to anybody, and the
    backup is not changed. The kit may be the 24 words or two sheets. Raises what restoring does
    (``backup.*``, ``vault.wrong_secret``, ``vault.kit_*``), and ``VaultError``
    (``backup.damaged``) when a page or a line of its history is not as it was written.
    """
    found: list[Rehearsal] = []

    def look(folder: Path, attachments: Source) -> None:
        data_key = files.unlock(folder, kit=kit)
        conn = files.open_database(folder, data_key)
        try:
            ctx = Context(conn, folder / files.ATTACHMENTS, clock=clock)
            try:
                without = unpack_attachments(ctx, attachments)
                harmed = {one.attachment.id for one in ctx.attachments.damaged()}
                if checkup(ctx) or harmed - without:
                    raise VaultError(
                        "the backup opens, but not all of it is as it was written",
                        code="backup.damaged",
                        hint="Make another, on another disk, and rehearse that.",
                    )
                vault = keyslots.vault_id(folder / files.SLOTS, data_key)
                found.append(_read(ctx, vault, without=len(without)))
            finally:
                ctx.transport.close()
        finally:
            conn.close()
            data_key.wipe()

    _clear(work)
    place = Path(mkdtemp(prefix=_PREFIX, dir=work))
    lock = FolderLock(place)
    try:
        unpack(backup, place / "vault", by="recovery", prepare=look)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        lock.release()
    return found[0]


def _read(ctx: Context, vault: str, *, without: int) -> Rehearsal:
    last = ctx.history.entries(limit=1)
    return Rehearsal(
        vault=vault,
        items=dict(ctx.records.counts()),
        relationships=ctx.exchange.living_relationships(),
        grants=len(ctx.exchange.grants()),
        history=ctx.history.root()[0],
        newest=last[0].at if last else None,
        without=without,
    )


def _clear(work: Path) -> None:
    """Remove what rehearsals that were killed have left; one that is under way holds its lock."""
    for left in work.glob(f"{_PREFIX}*"):
        with suppress(VaultError, OSError), FolderLock(left) as lock:
            lock.alone()
            shutil.rmtree(left)
