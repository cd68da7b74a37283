"""The ways into a vault, as its holder sees them: passphrases, the recovery kit, an OS keyring."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from did.json import parse_object
from did.time import parse_time
from pds.vault import keyslots, osring
from pds.vault.context import Context
from pds.vault.errors import VaultError
from pds.vault.keyslots import Argon2Params, Around, Keep
from pds.vault.slotchange import Change, recorded
from pds.vault.slotfile import Kind, Slot
from pds.vault.wrapping import DataKey

MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class WayIn:
    """One way in: ``name`` is the holder's word for it, ``added`` None when the vault was made
    with it, ``memory_kib`` what a passphrase takes."""

    id: str
    kind: Kind
    name: str
    added: datetime | None
    memory_kib: int | None


class Keys:
    """What can be done to the key slots of an open vault. None of it writes the data again.

    Whoever kept an older slot file, or a backup, still gets in with the secrets of its day: after a
    compromise the data key itself has to be rotated (``Vault.rotate_key``).
    """

    def __init__(self, path: Path, data_key: DataKey, ctx: Context) -> None:
        self._path = path
        self._data_key = data_key
        self._ctx = ctx

    @property
    def vault_id(self) -> str:
        """The vault's random id; its first six characters are printed on the kit."""
        return keyslots.vault_id(self._path, self._data_key)

    def list(self) -> list[WayIn]:
        """Every way in, in the order of the slot file."""
        return [self._shown(slot) for slot in keyslots.list_slots(self._path, self._data_key)]

    def find(self, name: str) -> WayIn:
        """By its number in ``list`` (from 1), its id or its name; ``vault.slot_unknown``."""
        ways = self.list()
        if name.isascii() and name.isdigit() and 1 <= int(name[:3]) <= len(ways):
            return ways[int(name) - 1]
        found = [way for way in ways if name in (way.id, way.name)]
        if len(found) != 1:
            raise keyslots.KeyslotError(
                "There is no way in of that name, or more than one.",
                code="vault.slot_unknown",
                hint="See: pds key list",
            )
        return found[0]

    def add_passphrase(
        self, passphrase: str, *, name: str = "", params: Argon2Params | None = None
    ) -> WayIn:
        """Another passphrase beside the others. Raises ``vault.passphrase``,
        ``vault.too_many_slots``."""
        self._ctx.may_write()
        _check_name(name)
        slot_id = keyslots.add_passphrase(
            self._path,
            self._data_key,
            passphrase,
            params=params or Argon2Params(),
            around=self._recorded(Change("way in added", name=name)),
        )
        return self.find(slot_id)

    def add_keyring(self, *, name: str = "") -> WayIn:
        """A random secret that the keyring of the operating system keeps (``vault.keyring``)."""
        self._ctx.may_write()
        _check_name(name)
        around = self._recorded(Change("way in added", name=name))
        slot_id = osring.add(self._path, self._data_key, random=self._ctx.random, around=around)
        return self.find(slot_id)

    def change_passphrase(
        self, new: str, *, slot_id: str | None = None, params: Argon2Params | None = None
    ) -> None:
        """Replace one passphrase, or **all** of them when none is named."""
        self._ctx.may_write()
        params = params or Argon2Params()
        if slot_id is None:
            around = self._recorded(Change("passphrase changed", subject="vault"))
            keyslots.change_passphrase(
                self._path, self._data_key, new, params=params, around=around
            )
            return
        around = self._recorded(Change("passphrase changed", name=self.find(slot_id).name))
        keyslots.replace_passphrase(
            self._path, self._data_key, slot_id, new, params=params, around=around
        )

    def new_kit(self, *, keep: Keep = lambda _words: None) -> str:
        """Replace the recovery kit; the old words open nothing any more, except old backups.

        ``keep`` gets the 24 words before anything is written, and may refuse by raising. When this
        raises, the old kit is the kit.
        """

        self._ctx.may_write()

        around = self._recorded(Change("kit replaced", subject="vault"))
        return keyslots.replace_kit(self._path, self._data_key, keep=keep, around=around)

    def remove(self, slot_id: str, *, without_kit: bool = False) -> None:
        """Take a way in away. Raises ``vault.last_slot`` for the last one that is in a person's
        head or hand, ``vault.last_kit`` for the kit unless ``without_kit``."""
        self._ctx.may_write()
        way = self.find(slot_id)
        left = [other for other in self.list() if other.id != way.id]
        if left and all(other.kind == "keyring" for other in left):
            raise keyslots.KeyslotError(
                "What is left would be this machine's keyring alone, which is lost with it.",
                code="vault.last_slot",
                hint="Add a passphrase first: pds key add",
            )
        if way.kind == "recovery" and not without_kit:
            raise VaultError(
                "without a recovery kit a forgotten passphrase loses the vault and every backup",
                code="vault.last_kit",
                hint="'pds kit' replaces a kit that was lost or seen. To have none at all, say "
                "--without-kit.",
            )
        around = self._recorded(Change("way in removed", kind=way.kind))
        keyslots.remove_slot(self._path, self._data_key, way.id, around=around)
        if way.kind == "keyring":
            osring.forget(way.id)

    def _shown(self, slot: Slot) -> WayIn:
        raw = self._ctx.exchange.setting(f"slot:{slot.id}")
        told = {} if raw is None else parse_object(raw.encode())
        added = told.get("added")
        return WayIn(
            id=slot.id,
            kind=slot.kind,
            name=str(told.get("name", "")),
            added=None if added is None else parse_time(str(added)),
            memory_kib=None if slot.params is None else slot.params.memory_kib,
        )

    def _recorded(self, change: Change) -> Around:
        return recorded(self._ctx, self._path, self._data_key, change)


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME or not name.isprintable():
        raise VaultError(
            "the name is too long, or cannot be printed",
            code="vault.slot_name",
            hint=f"At most {MAX_NAME} characters, on one line.",
        )
