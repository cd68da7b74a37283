"""A vault as a folder: ``slots.json``, ``vault.db`` and the files of ``attachments``; made whole or
not at all."""

import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from did.multikey import b64url_encode
from did.time import format_time
from pds.db import (
    Connection,
    DbDamaged,
    DbError,
    FirstPage,
    Migration,
    first_page,
    is_kept,
    keep_first_page,
    migrate,
    open_encrypted,
    open_for_reading,
    prove_current,
    sync_folder,
    transaction,
)
from pds.net import DevTrust
from pds.vault import keyslots
from pds.vault.derive import Root
from pds.vault.errors import VaultError
from pds.vault.keyslots import Argon2Params, DataKey
from pds.vault.store.attachments import ATTACHMENTS_SQL
from pds.vault.store.categories import CATEGORIES_SQL
from pds.vault.store.exchange import ExchangeStore
from pds.vault.store.history import HISTORY_SQL
from pds.vault.store.identities import IDENTITY_SQL
from pds.vault.store.imports import IMPORTS_SQL
from pds.vault.store.origins import ORIGINS_SQL
from pds.vault.store.record_index import INDEX_SQL
from pds.vault.store.records import RECORDS_IN_TIME_SQL, RECORDS_SQL
from pds.vault.store.relations import RELATION_SQL
from pds.vault.store.schema import EXCHANGE_SQL
from pds.vault.store.successions import SUCCESSION_SQL
from pds.wire import parse_relay_url

SLOTS, DATABASE, ATTACHMENTS = "slots.json", "vault.db", "attachments"
FIRST_PAGE = "first.page"  # a copy of the database's, encrypted as it is there
NEXT = "next.db"  # the database under a new key, for as long as ``rotation`` takes
APPLICATION_ID = 0x50445356  # "PDSV"
MIGRATIONS = (
    Migration(1, RECORDS_SQL + EXCHANGE_SQL + HISTORY_SQL),
    Migration(2, IDENTITY_SQL),
    Migration(3, ATTACHMENTS_SQL),
    Migration(4, RECORDS_IN_TIME_SQL + INDEX_SQL),
    Migration(5, CATEGORIES_SQL),
    Migration(6, RELATION_SQL),
    Migration(7, ORIGINS_SQL),
    Migration(8, SUCCESSION_SQL),
    Migration(9, IMPORTS_SQL),
)


def check_place(folder: Path) -> None:
    """Raise ``VaultError`` (``vault.exists``) unless ``folder`` is free or an empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise VaultError(
            "there is something at that place already",
            code="vault.exists",
            hint="Choose another folder with --vault, or use the vault that is there.",
        )


def create(
    folder: Path,
    *,
    passphrase: str,
    relay: str | None,
    sandbox: bool,
    dev_trust: Sequence[str],
    params: Argon2Params,
    now: datetime,
    random: Callable[[int], bytes],
) -> str:
    """Make a vault in ``folder``, which must not exist or be empty. Returns the kit's 24 words.

    It is built beside its place and moved there when complete: nothing is left half-made.
    Raises ``VaultError`` (``vault.exists``, ``vault.dev_trust``).
    """
    check_place(folder)
    if dev_trust and not sandbox:
        raise VaultError(
            "development hosts are trusted in a sandbox only",
            code="vault.dev_trust",
            hint="Add --sandbox: what it grants is worth nothing outside.",
        )
    for line in dev_trust:
        DevTrust.parse(line)
    settings = {
        "root": b64url_encode(Root.generate(random).unsafe_export()),
        "generation": "0",
        "epoch": "1",
        "next_index": "0",
        "sandbox": "1" if sandbox else "0",
        "dev_trust": "\n".join(dev_trust),
        "created": format_time(now),
    }
    if relay is not None:
        settings["relay"] = parse_relay_url(relay)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    draft.mkdir(mode=0o700)
    try:
        data_key, words = keyslots.create(
            draft / SLOTS, passphrase=passphrase, params=params, random=random
        )
        settings["slots_epoch"] = str(keyslots.epoch(draft / SLOTS, data_key))
        conn = open_encrypted(draft / DATABASE, data_key.derive("database"), create=True)
        try:
            migrate(conn, MIGRATIONS, application_id=APPLICATION_ID)
            with transaction(conn):
                for name, value in settings.items():
                    ExchangeStore(conn).set_setting(name, value)
            mark = first_page(conn)
        finally:
            conn.close()
        key = data_key.derive("database")
        keep_first_page(draft / DATABASE, draft / FIRST_PAGE, key, mark)
        if folder.exists():
            folder.rmdir()
        os.rename(draft, folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return words


def check_vault(folder: Path) -> None:
    """Raise ``VaultError`` (``vault.missing``) unless there is a vault, or what is left of one."""
    if not (folder / SLOTS).exists() and not (folder / DATABASE).exists():
        raise VaultError(
            "there is no vault at that place",
            code="vault.missing",
            hint="Make one with 'pds init', or name its folder with --vault.",
        )


def unlock(folder: Path, *, passphrase: str | None = None, kit: str | None = None) -> DataKey:
    """The data key of a vault, by passphrase or by the words of its recovery kit."""
    check_vault(folder)
    if kit is not None:
        return keyslots.unlock_kit(folder / SLOTS, kit)
    if passphrase is None:
        raise VaultError("a passphrase or the recovery kit is needed", code="vault.locked")
    return keyslots.unlock_passphrase(folder / SLOTS, passphrase)


def open_database(folder: Path, data_key: DataKey) -> Connection:
    """The open database, migrated, its slot file no older than the database knows.

    Raises ``DbError`` (``db.*``) and ``KeyslotError`` (``vault.slots_old``).
    """
    try:
        conn = open_encrypted(folder / DATABASE, data_key.derive("database"))
        try:
            migrate(conn, MIGRATIONS, application_id=APPLICATION_ID)
            store = ExchangeStore(conn)
            known = int(store.setting("slots_epoch") or "0")
            shown = keyslots.check_epoch(folder / SLOTS, data_key, at_least=known)
            if shown > known:  # a change of slots was cut off between file and database
                with transaction(conn):
                    store.set_setting("slots_epoch", str(shown))
        except BaseException:
            conn.close()
            raise
    except DbError as error:
        _tell(error)
        raise
    return conn


def read_database(folder: Path, data_key: DataKey, *, alone: bool) -> Connection:
    """The database where nothing can be written, neither it nor anything beside it; ``alone`` as
    ``open_for_reading`` has it.

    Raises as ``open_database``, and ``DbError`` (``db.outdated``).
    """
    key = data_key.derive("database")
    try:
        try:
            conn = open_for_reading(folder / DATABASE, key, alone=alone)
        except DbError as error:
            # A change of the data key that was cut off before its last step.
            if error.code != "db.wrong_key_or_damaged" or not (folder / NEXT).exists():
                raise
            conn = open_for_reading(folder / NEXT, key, alone=alone)
        try:
            prove_current(conn, MIGRATIONS, application_id=APPLICATION_ID)
            known = int(ExchangeStore(conn).setting("slots_epoch") or "0")
            keyslots.check_epoch(folder / SLOTS, data_key, at_least=known)
        except BaseException:
            conn.close()
            raise
    except DbError as error:
        _tell(error)
        raise
    return conn


def _tell(error: DbError) -> None:
    """The slots gave the key: a database that it does not open is damaged."""
    if isinstance(error, DbDamaged) or error.code == "db.wrong_key_or_damaged":
        error.hint = (
            "Restore a backup with 'pds restore'. Without one, save what can be read: "
            "pds vault check --salvage FOLDER"
        )


def mark_first_page(folder: Path, conn: Connection) -> FirstPage | None:
    """What is to be kept of the database that is about to be closed; None when that is done."""
    mark = first_page(conn)
    return None if is_kept(folder / FIRST_PAGE, mark) else mark


def keep_page(folder: Path, key: bytes, mark: FirstPage) -> None:
    """Keep the first page of the database, which is closed and which nobody else has open."""
    keep_first_page(folder / DATABASE, folder / FIRST_PAGE, key, mark)


def sync_file(path: Path) -> None:
    """Make the content of a file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
