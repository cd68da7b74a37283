"""A new data key after a compromise: the whole database written again under it.

SQLCipher's own ``rekey`` is not used: it writes all pages in one transaction over the old ones, its
journal is a second copy of everything, and between its commit and that of the slot file a crash
would leave a database that no slot opens. Instead:

1. alone in the folder (:mod:`pds.vault.inuse`), write ``next.db``, a complete copy under the new
   key, verified page by page and durable
2. put a slot file for the new key in the place of the old one: one rename. **This is the moment:**
   before it the old secrets open the old database, after it the new secrets open the new one
3. rename ``next.db`` to ``vault.db``

Cut off before 2, ``next.db`` is litter that nobody can open; cut off after it, step 3 is still to
be done. :func:`settle` tells the two apart by which file the data key opens, whenever the vault is
opened.

What this does **not** reach: backups made before, which open with the secrets of their day; the old
file's blocks on the disk until they are overwritten; the root secret and so the keys of
relationships; and other files of the folder, whose own keys lie in the database. Those need nothing
unless somebody has had these keys as well: then they must be written again under new ones, within
``prepare``, which works on the copy before it counts.
"""

from collections.abc import Callable
from pathlib import Path

from pds.db import Connection, DbError, copy_encrypted, open_encrypted, sync_folder
from pds.vault import files, keyslots
from pds.vault.files import NEXT
from pds.vault.inuse import FolderLock
from pds.vault.keyslots import Argon2Params, Keep
from pds.vault.wrapping import DataKey, Random

_SIDE = ("-wal", "-shm", "-journal")


def rotate(
    folder: Path,
    conn: Connection,
    old: DataKey,
    *,
    passphrase: str,
    params: Argon2Params,
    keep: Keep,
    prepare: Callable[[Connection, int], None],
    random: Random,
) -> DataKey:
    """Give the vault a new data key; ``conn``, the open database, is closed. Returns the key.

    The caller is alone in the folder. ``prepare`` writes into the copy what belongs to the change;
    it gets the epoch that the slot file will have. Only the passphrase given and a new kit, whose
    words go to ``keep``, open the vault afterwards. If anything is raised the vault is as before,
    or, when closing the old file failed, settled when it is opened again. Raises DbError
    (``db.full`` …), KeyslotError, and whatever ``keep`` and ``prepare`` do.
    """
    slots = folder / files.SLOTS
    new = DataKey.generate(random)
    try:
        _clear(folder)
        copy_encrypted(conn, folder / NEXT, new.derive("database"))
        copy = open_encrypted(folder / NEXT, new.derive("database"))
        try:
            prepare(copy, keyslots.epoch(slots, old) + 1)
        finally:
            copy.close()
        files.sync_file(folder / NEXT)
        keyslots.rekey(
            slots, old, new, passphrase=passphrase, params=params, keep=keep, random=random
        )
    except BaseException:
        # Not after the slot file was changed: an error of its last fsync leaves the choice to
        # settle(), which looks at what is there.
        if _opens(folder / files.DATABASE, old) and _is_of(slots, old):
            _clear(folder)
        raise
    conn.close()
    _put_in_place(folder)
    return new


def settle(folder: Path, data_key: DataKey, lock: FolderLock) -> None:
    """Finish or clear away what a rotation that was cut off left behind; usually nothing.

    Raises ``VaultError`` (``vault.busy``) when another program is in the way of it.
    """
    # Somebody else may have opened it at the same moment, and be quicker.
    if not lock.alone_while(lambda: bool(_left(folder))):
        return
    try:
        if not _opens(folder / files.DATABASE, data_key) and _opens(folder / NEXT, data_key):
            _put_in_place(folder)
        else:
            _clear(folder)
    finally:
        lock.together()


def _put_in_place(folder: Path) -> None:
    # The old file's log first: it would be played into the new file. Closing the old file removes
    # it as a rule.
    for ending in _SIDE:
        (folder / f"{files.DATABASE}{ending}").unlink(missing_ok=True)
    sync_folder(folder)
    (folder / NEXT).replace(folder / files.DATABASE)
    sync_folder(folder)
    _clear(folder)


def _left(folder: Path) -> list[Path]:
    """The copy, its side files, and drafts of it that were cut off."""
    return [p for p in folder.iterdir() if p.name.startswith((NEXT, f".{NEXT}."))]


def _clear(folder: Path) -> None:
    for path in _left(folder):
        path.unlink(missing_ok=True)


def _opens(database: Path, data_key: DataKey) -> bool:
    try:
        open_encrypted(database, data_key.derive("database")).close()
    except DbError as error:
        if error.code in ("db.wrong_key_or_damaged", "db.missing", "db.damaged"):
            return False
        raise
    return True


def _is_of(slots: Path, data_key: DataKey) -> bool:
    try:
        keyslots.epoch(slots, data_key)
    except keyslots.KeyslotError:
        return False
    return True
