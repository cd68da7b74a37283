"""A change of the slot file and its line in the history: both or neither, whatever comes between.

File and database cannot be written in one stroke. So, under the lock of the slot file:

1. what is about to be done is committed to the database, as a setting
2. the slot file is replaced. **This is the moment**: a rename
3. the line of the history, the holder's name for the slot and the file's new epoch are committed,
   and the setting goes

Cut off before 2, the file has not the epoch that was announced: nothing happened, and the setting
goes. Cut off after it, or without room for 3, it has: then 3 is done when the vault is next opened.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from did.json import JsonObject, canonicalize, parse_object
from did.time import format_time
from pds.db import DbError
from pds.vault import keyslots, slotfile
from pds.vault.context import Context
from pds.vault.errors import VaultError
from pds.vault.keyslots import Around, KeyslotError
from pds.vault.wrapping import DataKey

_INTENT = "slots_change"


@dataclass(frozen=True, slots=True)
class Change:
    """What the history will say: ``subject`` is the slot's id unless given, ``name`` the holder's
    word for a new slot, None where none is to be remembered."""

    verb: str
    kind: str | None = None
    subject: str | None = None
    name: str | None = None


def recorded(ctx: Context, path: Path, data_key: DataKey, change: Change) -> Around:
    """What a change of the slots has around it. Raises DbError, VaultError before anything is
    written; afterwards nothing but what the writing raises: the caller has to learn what the new
    secret is."""

    @contextmanager
    def around(epoch: int, slot_id: str) -> Iterator[None]:
        intent: JsonObject = {
            "epoch": epoch,
            "slot": slot_id,
            "subject": change.subject or slot_id,
            "verb": change.verb,
            "kind": change.kind,
            "name": change.name,
            "at": format_time(ctx.now()),
        }
        if ctx.exchange.setting(_INTENT) is not None:  # there was no room for the last one's line
            _finish(ctx, path, data_key)
        with ctx.transaction():
            ctx.exchange.set_setting(_INTENT, canonicalize(intent).decode())
        try:
            yield
        finally:
            with suppress(DbError, KeyslotError, VaultError):
                _finish(ctx, path, data_key)

    return around


def settle(ctx: Context, path: Path, data_key: DataKey) -> None:
    """Finish what was cut off; usually nothing. What cannot be finished now is left for later."""
    if ctx.exchange.setting(_INTENT) is None:
        return
    with suppress(DbError, KeyslotError, VaultError, OSError), slotfile.changing(path):
        _finish(ctx, path, data_key)


def _finish(ctx: Context, path: Path, data_key: DataKey) -> None:
    """Under the lock of the slot file: no change is between its announcement and its end."""
    shown = keyslots.epoch(path, data_key)
    with ctx.transaction():
        raw = ctx.exchange.setting(_INTENT)
        if raw is None:
            return
        match parse_object(raw):
            case {"epoch": int(epoch), "slot": str(slot), "subject": str(subject)} as told:
                if shown >= epoch:
                    if told["name"] is not None:
                        known: JsonObject = {"name": told["name"], "added": told["at"]}
                        ctx.exchange.set_setting(f"slot:{slot}", canonicalize(known).decode())
                    detail: JsonObject = {"verb": told["verb"], "kind": told["kind"]}
                    ctx.log("slots changed", subject, detail)
            case _:
                pass
        ctx.exchange.set_setting("slots_epoch", str(shown))
        ctx.exchange.remove_setting(_INTENT)
