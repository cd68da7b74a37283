"""What damage took from a vault, and a new vault of all that can still be read.

For the time when there is no backup, or the backup is old. Of the first page a copy is kept
(``pds.db.firstpage``). Only the slot file has no substitute, and the pages with the names of the
tables: without them nothing opens.
"""

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from did.json import JsonObject
from did.multikey import b64url_encode
from did.time import format_time
from pds.db import (
    Connection,
    DbError,
    Salvage,
    TableReport,
    migrate,
    open_encrypted,
    open_for_reading,
    put_back,
    sync_folder,
    transaction,
)
from pds.vault import files
from pds.vault.attachments import Attachments, Damaged
from pds.vault.checkup import older_than_history
from pds.vault.derive import Root
from pds.vault.inuse import FolderLock
from pds.vault.keyslots import DataKey
from pds.vault.opening import NEEDS_WRITING
from pds.vault.records import Records
from pds.vault.store.exchange import ExchangeStore
from pds.vault.store.history import HistoryStore
from pds.vault.store.survey import Rescue, Survey

_WORDS = {
    "access_grant": "grants",
    "attachment": "attachments",
    "attestation": "attestations of erasure",
    "evidence": "evidence against relays",
    "history": "entries of the history",
    "message": "messages",
    "own_categories": "categories of your own",
    "outbox": "calls that wait to be sent",
    "package_event": "events of packages",
    "record_versions": "earlier versions of items",
    "relationship": "relationships",
    "request": "requests",
    "setting": "settings",
}
# What belongs to items, and is kept with them where the settings are lost.
_LOST_PAGE = frozenset({"db.wrong_key_or_damaged", "db.damaged", "db.plaintext"})
_OF_ITEMS = ("record", "attachment", "own_categories")
# Made anew from what was read, or belonging to the search index.
_REBUILT = ("history", "history_node", "record_counts")


@dataclass(slots=True)
class SalvageReport:
    """Items that a new vault holds, a sentence for each thing that was lost, and the attachments
    that it has and that cannot be read whole. ``restoring``: it has to be compared with its relay
    before it sends anything."""

    items: int = 0
    damaged: list[Damaged] = field(default_factory=list)
    restoring: bool = False
    lost: list[str] = field(default_factory=list)


def losses(folder: Path, data_key: DataKey, lock: FolderLock) -> list[str]:
    """What cannot be read of a damaged vault, a sentence each; none where only an index is
    damaged, which a new vault makes anew. Nothing is written."""
    source, lost = Salvage(partial(_reopen, folder, data_key, lock)), []
    try:
        for table in _tables(source, "history", "record_counts"):
            report = TableReport()
            for _ in source.rows(table, report):
                pass
            lost += _sentences(Rescue(source, None), table, report)
    finally:
        source.close()
    return lost


def salvage(
    folder: Path,
    data_key: DataKey,
    target: Path,
    *,
    now: datetime,
    random: Callable[[int], bytes] = os.urandom,
) -> SalvageReport:
    """Make a vault in ``target`` of what can be read of the one in ``folder``, which stays as it
    is. It opens with the same passphrases and kit. If it has a relay it is marked as a restored
    one: nothing is sent before that has been looked at.

    The history begins anew with the entries that were read, in their order; the search index is
    made anew. Rows that point to lost ones go too. Where the settings are lost, only the items with
    their attachments and categories are kept, and the vault gets a new root: its relationships are
    over.

    A database whose first page is damaged is read from a copy of its files beside ``target``, into
    which the kept page is put back; the copy is removed again.

    Raises ``VaultError`` (``vault.exists``), ``DbError``; then nothing is left in ``target``.
    """
    files.check_place(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    lock = FolderLock(folder)
    source: Salvage | None = None
    try:
        source = Salvage(
            partial(_reopen, _readable(folder, data_key, beside, lock), data_key, lock)
        )
        if source.version() > len(files.MIGRATIONS):
            raise DbError(
                "The database was made by a newer release.",
                code="db.newer",
                hint="Update this program; the file has not been changed.",
            )
        draft.mkdir(mode=0o700)
        _copy_other_files(folder, draft)
        conn = open_encrypted(draft / files.DATABASE, data_key.derive("database"), create=True)
        try:
            migrate(conn, files.MIGRATIONS, application_id=files.APPLICATION_ID)
            report = _fill(source, conn, now=now, random=random)
            report.damaged = _damaged(conn, draft, now=now)
        finally:
            conn.close()
        if target.exists():
            target.rmdir()
        os.rename(draft, target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    finally:
        if source is not None:
            source.close()
        lock.release()
        shutil.rmtree(beside, ignore_errors=True)
    return report


def _readable(folder: Path, data_key: DataKey, beside: Path, lock: FolderLock) -> Path:
    """The folder, or one beside with copies of the database and its log, where the first page of
    it opens nothing any more."""
    try:
        _reopen(folder, data_key, lock).close()
    except DbError as error:
        kept = folder / files.FIRST_PAGE
        if error.code not in _LOST_PAGE or not kept.exists():
            raise
        beside.mkdir(mode=0o700)
        for name in (files.DATABASE, f"{files.DATABASE}-wal"):
            if (folder / name).exists():
                shutil.copyfile(folder / name, beside / name)
        put_back(beside / files.DATABASE, kept, data_key.derive("database"))
        return beside
    return folder


def _fill(
    source: Salvage, conn: Connection, *, now: datetime, random: Callable[[int], bytes]
) -> SalvageReport:
    rescue, report = Rescue(source, conn), SalvageReport()
    exchange = ExchangeStore(conn)
    with rescue.without_references(), transaction(conn):
        names = _tables(source, *_REBUILT)
        for table in ["setting", *(name for name in names if name != "setting")]:
            if not table.startswith(("setting", *_OF_ITEMS)) and not _is_whole(exchange):
                continue  # without its root a relationship is nothing
            found = TableReport()
            rescue.copy(table, found)
            report.lost += _sentences(rescue, table, found)
        if not _is_whole(exchange):
            report.lost.append("the settings and with them all relationships; the items are kept")
            _new_settings(exchange, now=now, random=random)
        for table, count in sorted(rescue.drop_orphans().items()):
            report.lost.append(
                f"{count} of the {_WORDS.get(table, table)} whose counterpart is lost"
            )
        report.lost += _history(rescue, source, HistoryStore(conn))
        records = Records(conn, clock=lambda: now)
        records.index_again()
        report.items = sum(records.counts().values())
        # Without a relay nobody knows more of it than it does itself.
        report.restoring = exchange.setting("relay") is not None
        exchange.set_setting("restoring", "1" if report.restoring else "0")
        history = HistoryStore(conn)
        for name, sentence in dict(older_than_history(history, Survey(conn))).items():
            if not any(name in told for told in report.lost):
                report.lost.append(sentence)
            history.append(at=now, kind="lost", subject=name, detail={}, salt=random(32))
        detail: JsonObject = {"items": report.items, "lost": len(report.lost)}
        history.append(at=now, kind="salvaged", subject="vault", detail=detail, salt=random(32))
    return report


def _damaged(conn: Connection, draft: Path, *, now: datetime) -> list[Damaged]:
    records = Records(conn, clock=lambda: now)
    kept = Attachments(conn, draft / files.ATTACHMENTS, records, clock=lambda: now)
    looked = [kept.look(one.id) for one in kept.all()]
    return [one for one in looked if one is not None]


def _history(rescue: Rescue, source: Salvage, target: HistoryStore) -> list[str]:
    """Log again what was logged, under the salts and in the order of then."""
    found = TableReport()
    target.extend(sorted(source.rows("history", found)))
    return _sentences(rescue, "history", found)


def _is_whole(exchange: ExchangeStore) -> bool:
    return all(exchange.setting(name) for name in ("root", "generation", "epoch", "next_index"))


def _new_settings(
    exchange: ExchangeStore, *, now: datetime, random: Callable[[int], bytes]
) -> None:
    fresh = {
        "root": b64url_encode(Root.generate(random).unsafe_export()),
        "generation": "0",
        "epoch": "1",
        "next_index": "0",
        "sandbox": exchange.setting("sandbox") or "0",
        "created": format_time(now),
    }
    for name, value in fresh.items():
        exchange.set_setting(name, value)


def _tables(source: Salvage, *but: str) -> list[str]:
    return [
        name
        for name in source.tables()
        if not name.startswith(("record_index", "record_words", *but)) and name not in but
    ]


def _sentences(rescue: Rescue, table: str, report: TableReport) -> list[str]:
    if table == "records":
        numbers = [int(key[0]) for key in report.lost]
        told = [
            f"item {name or number} ({category or 'deleted, or of unknown category'})"
            for number, (category, name) in zip(numbers, rescue.lost_records(numbers), strict=True)
        ]
        return told if told or report.whole else ["some items may be lost that nothing names"]
    words = _WORDS.get(table, f"rows of the table {table}")
    if report.lost:
        return [f"{len(report.lost)} of the {words}"]
    return [] if report.whole else [f"some of the {words}"]


def _reopen(folder: Path, data_key: DataKey, lock: FolderLock) -> Connection:
    file, key = folder / files.DATABASE, data_key.derive("database")
    try:
        return open_encrypted(file, key)
    except DbError as error:
        if error.code not in NEEDS_WRITING:
            raise
    return open_for_reading(file, key, alone=lock.is_alone or lock.alone_if_free())


def _copy_other_files(folder: Path, draft: Path) -> None:
    """Everything but the database: the slots, and what else belongs to a vault."""
    for entry in folder.iterdir():
        if entry.name.startswith((files.DATABASE, files.FIRST_PAGE)) or entry.name.endswith(
            (".lock", ".tmp")
        ):
            continue
        if entry.is_dir():
            shutil.copytree(entry, draft / entry.name)
        else:
            shutil.copy2(entry, draft / entry.name)
