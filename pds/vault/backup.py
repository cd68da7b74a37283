"""Encrypted backups, and a vault made from one.

A backup is one file: a ZIP, stored, of the slot file, an encrypted copy of the database, and the
attachments that it names as one run (``attachments.archive``). It opens with the passphrase or the
recovery kit of the day it was made.
"""

import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipInfo

from credentials.errors import StatusUnchecked
from credentials.status import BitString, verify_status_list
from did.json import parse_object
from did.time import parse_time
from pds.db import copy_encrypted, open_encrypted, sync_folder, transaction
from pds.mailbox import MailboxInfo, PackageState, RelayError
from pds.messages.notices import VERBS
from pds.messages.package import verify_manifest
from pds.vault import files, recovery
from pds.vault.attachments import AttachmentError, Damaged
from pds.vault.attachments.stream import Source
from pds.vault.context import Context, HomeRelay
from pds.vault.errors import VaultError
from pds.vault.hosting import recover as recover_identities
from pds.vault.keyslots import DataKey, KeyslotError, wrong_for_backup
from pds.vault.report import SyncReport
from pds.vault.slotfile import Kind
from pds.vault.staging import queue_status, status_url
from pds.vault.store.exchange import ExchangeStore
from pds.vault.store.rows import Relationship, StoredGrant
from pds.vault.succession import SUPERSEDED, note_closed, recover
from pds.vault.watch import PackageWatch

GAP = 100
JUMP = 1000
_FILES = (files.SLOTS, files.DATABASE)
_LEFT_OUT = "attachments_left_out"  # in the database of a backup only
# A writer epoch is the second of the restore, and behind it so many bits of chance.
_EPOCH_BITS = 20
_EPOCH_AHEAD = 366 * 86_400 << _EPOCH_BITS
_MEMBERS = (*_FILES, files.ATTACHMENTS)


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup's size in bytes, and the attachments that are not in it, because they cannot be read
    whole: all else is."""

    size: int
    left_out: tuple[Damaged, ...]


def write_backup(folder: Path, ctx: Context, data_key: DataKey, target: Path) -> BackedUp:
    """Write a backup to ``target``, whole or not at all.

    Every attachment is read with its key while it is copied: what could not be restored is left
    out, and the backup knows it. On the day when a disk begins to fail nobody should have to mend
    a vault before it can be saved. Raises ``VaultError`` (``backup.exists``), ``DbError``.
    """
    if target.exists():
        raise VaultError(
            "there is a file of that name already",
            code="backup.exists",
            hint="Backups are never overwritten. Choose another name.",
        )
    key = data_key.derive("database")
    with (
        ctx.attachments.settling(),
        TemporaryDirectory(
            prefix=".backup-", dir=target.parent, ignore_cleanup_errors=True
        ) as beside,
    ):
        work = Path(beside)
        ctx.attachments.hold()  # no file goes while the copy names it
        _copy_both(folder, ctx, key, work)
        draft = work / "backup"
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                with closing(open_encrypted(work / files.DATABASE, key)) as copy:
                    with archive.open(ZipInfo(files.ATTACHMENTS), "w", force_zip64=True) as run:
                        damaged, left_out = ctx.attachments.pack(copy, run)
                    if left_out:
                        with transaction(copy):
                            ExchangeStore(copy).set_setting(_LEFT_OUT, json.dumps(left_out))
                for name in _FILES:
                    archive.write(work / name, name)
            out.flush()
            os.fsync(out.fileno())
        os.rename(draft, target)
        sync_folder(target.parent)
        return BackedUp(target.stat().st_size, tuple(damaged))


def _copy_both(folder: Path, ctx: Context, key: bytes, work: Path) -> None:
    """Database and slots. If the slots are changed meanwhile the database is copied again: what a
    slot file has had done to it stands in the history beside it (``pds.vault.slotchange``)."""
    while True:
        before = (folder / files.SLOTS).read_bytes()
        copy_encrypted(ctx.conn, work / files.DATABASE, key)
        shutil.copyfile(folder / files.SLOTS, work / files.SLOTS)
        if (work / files.SLOTS).read_bytes() == before:
            return
        (work / files.DATABASE).unlink()


def unpack_attachments(ctx: Context, run: Source) -> frozenset[str]:
    """Lay out the attachments of a database that came out of a backup; returns the ids of those
    that were left out of it, and have a row all the same. Raises ``attachment.damaged``."""
    told = ctx.exchange.setting(_LEFT_OUT)
    left_out: dict[str, int] = {} if told is None else json.loads(told)
    ctx.attachments.unpack(run, left_out)
    if told is None:
        return frozenset()
    with ctx.transaction():
        ctx.exchange.remove_setting(_LEFT_OUT)
    return frozenset(one.attachment.id for one in ctx.attachments.damaged())


def unpack(
    backup: Path, folder: Path, *, by: Kind, prepare: Callable[[Path, Source], None]
) -> None:
    """Lay a backup out as a vault folder, which must not exist or be empty.

    Exactly the three known members are taken, by name; sizes are bounded. ``prepare`` works on the
    folder before it comes to its place, and reads the run of attachments to its end; if it raises,
    nothing is left. ``by`` is what it opens the backup with. Raises ``VaultError``
    (``backup.damaged``, ``backup.missing``, ``vault.exists``), KeyslotError
    (``vault.wrong_secret``).
    """
    files.check_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    try:
        with zipfile.ZipFile(backup) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            if set(infos) != set(_MEMBERS) or len(archive.infolist()) != len(_MEMBERS):
                raise zipfile.BadZipFile("members")
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos.values()):
                raise zipfile.BadZipFile("compressed")
            if sum(info.file_size for info in infos.values()) > backup.stat().st_size:
                raise zipfile.BadZipFile("size")
            draft.mkdir(mode=0o700)
            for name in _FILES:
                descriptor = os.open(draft / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as out, archive.open(name) as source:
                    shutil.copyfileobj(source, out, 2**20)
                    out.flush()
                    os.fsync(out.fileno())
            with archive.open(files.ATTACHMENTS) as run:
                prepare(draft, run)
        if folder.exists():
            folder.rmdir()
        os.rename(draft, folder)
        sync_folder(folder.parent)
    except FileNotFoundError:
        shutil.rmtree(draft, ignore_errors=True)
        raise VaultError("there is no such backup", code="backup.missing") from None
    except (zipfile.BadZipFile, EOFError, RuntimeError, AttachmentError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(error, AttachmentError) and error.code != "attachment.damaged":
            raise
        raise VaultError(
            "the file is not a whole backup of a vault",
            code="backup.damaged",
            hint="Use another copy. Nothing was restored.",
        ) from error
    except KeyslotError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if error.code == "vault.wrong_secret":
            raise wrong_for_backup(by) from error
        raise
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


@dataclass(slots=True)
class ReconcileReport:
    """What a restored vault learnt from its relay before its first write."""

    mailboxes: int = 0
    ended: int = 0
    unknown: int = 0
    next_index: int = 0
    recovered: int = 0
    """Grants made since the backup that the anchors brought back; some may have ended."""
    lost: int = 0
    """Lines of the vault's history that were written since the backup: nothing brings them back."""
    diverged: bool = False
    """The vault went on another way after the backup was made than this one had before it."""


def reconcile(ctx: Context) -> ReconcileReport:
    """Bring a restored vault up to what its relay knows (protocol §7, *After a restore*):

    1. raise the writer epoch: from here on the old copy of this vault is fenced off, and so is
       another one that was restored from the same backup, be it in the same second (``_outdo``)
    2. look at the mailboxes by derivation index until a gap of 100, those of relationships that
       took the place of known ones among them
    3. take from the anchor in each of them what the backup does not know: decisions since
    4. what was revoked or ended stays so; sequences and versions go on from the relay's, and so
       do public identities
    5. the next relationship starts at the highest index seen + 1000

    Raises the relay's errors; then the vault stays marked as restored and writes nothing.
    """
    report = ReconcileReport()
    home = ctx.meet_relay()
    with ctx.transaction():  # 1: seconds rise by themselves, whatever other copies did
        seconds = int(ctx.now().timestamp()) << _EPOCH_BITS
        chance = int.from_bytes(ctx.random(4)) >> (32 - _EPOCH_BITS)  # of one second two differ
        ctx.exchange.set_setting("epoch", str(max(ctx.epoch + 1, seconds) + chance))
        ctx.exchange.set_setting("restored", "1")
        if ctx.exchange.setting("log_origin") != home.log_origin:
            ctx.exchange.set_setting("log_origin", home.log_origin)
            ctx.exchange.set_setting("restage_all", "1")
    known = {r.index: r for r in ctx.exchange.relationships()}
    living = {grant.digest for grant in ctx.exchange.grants() if grant.ended is None}
    highest = max(known, default=-1)
    index = 0
    while index <= highest + GAP:  # 2
        info = _look(ctx, index)
        if info is not None:
            highest = max(highest, index)
            report.mailboxes += 1
            _outdo(ctx, info.epoch)  # 1
            relationship, found = recovery.take_up(  # 3
                ctx, index, known.get(index) or recover(ctx, index, info)
            )
            report.recovered += found.grants
            report.lost = max(report.lost, found.lost)
            report.diverged = report.diverged or found.diverged
            if relationship is not None:
                _merge(ctx, home, relationship, info)  # 4
            else:
                report.unknown += 1
                with ctx.transaction():
                    ctx.log("unknown relationship", ctx.derive(index).did_key.did, {"index": index})
        index += 1
    recover_identities(ctx)
    with ctx.transaction():  # 5
        note_closed(ctx)
        # One that another took the place of goes on there.
        report.ended = sum(
            grant.digest in living and grant.end_kind not in (None, SUPERSEDED)
            for grant in ctx.exchange.grants()
        )
        start = int(ctx.setting("next_index"))
        report.next_index = max(start, highest + JUMP) if highest >= 0 else start
        ctx.exchange.set_setting("next_index", str(report.next_index))
        ctx.exchange.set_setting("restoring", "0")
        if report.diverged:
            ctx.exchange.add_evidence(code="vault.diverged", detail={}, at=ctx.now())
        ctx.log(
            "restored",
            "vault",
            {
                "epoch": ctx.epoch,
                "ended": report.ended,
                "recovered": report.recovered,
                "lost": report.lost,
            },
        )
    return report


def _look(ctx: Context, index: int) -> MailboxInfo | None:
    keys = ctx.derive(index)
    mailbox = ctx.client(ctx.setting("relay")).owner(keys.mailbox_id, keys.mailbox_key, ctx.epoch)
    try:
        return mailbox.info()
    except RelayError as error:
        if error.code == "relay.not_found":
            return None
        raise


def _outdo(ctx: Context, shown: int) -> None:
    """Come after a copy that was restored in the same second, or by a clock that is ahead of ours:
    whoever is restored last is the one that writes. What no clock can have made is a relay's lie,
    and would use up the numbers for the next restore."""
    if ctx.epoch <= shown <= ctx.epoch + _EPOCH_AHEAD:
        with ctx.transaction():
            ctx.exchange.set_setting("epoch", str(shown + 1))


def _merge(
    ctx: Context,
    home: HomeRelay,
    relationship: Relationship,
    info: MailboxInfo,
) -> None:
    ctx.mailbox(relationship).create()  # a write with the new epoch: older copies are out
    shown = {p.package: p for p in info.packages}
    # An anchor alone proves nothing alive: a relay may show an old one.
    unproven = {
        grant.digest
        for grant in ctx.exchange.grants(relationship.index)
        if ctx.exchange.setting(recovery.unproven(grant.digest)) is not None
    }
    for grant in ctx.exchange.grants(relationship.index):
        package = shown.get(grant.package)
        if package is not None:
            _learn(ctx, home, relationship, grant, package)
    bits, sequence, in_force = _relay_list(ctx, relationship)
    mine = BitString.decode(relationship.status_bits)
    merged = mine if bits is None else mine.union(bits)
    with ctx.transaction():
        for grant in ctx.exchange.grants(relationship.index):
            package = shown.get(grant.package)
            over = merged.get(grant.status_index) or (package is not None and package.ended)
            if grant.digest in unproven:
                over = over or package is None or not in_force
            if over and grant.ended is None:
                ctx.exchange.end_grant(grant.digest, kind="restored", at=ctx.now())
                ctx.exchange.drop_jobs(relationship.index, "package", grant.package)
                ctx.log("ended", grant.id, {"verb": "restored"})
            if over or grant.end_kind in VERBS:
                merged = merged.with_bit(grant.status_index)
                if package is not None and not package.ended:
                    ctx.exchange.enqueue(relationship.index, "end", ref=grant.package)
            ctx.exchange.remove_setting(recovery.unproven(grant.digest))
        ctx.exchange.set_status(
            relationship.index,
            bits=merged.encode(),
            sequence=max(relationship.status_sequence, sequence),
            issued=relationship.status_issued,
        )
        if bits is None or not bits.covers(merged):
            # What ended by the package alone, or was withdrawn unheard, is in no list yet.
            known = ctx.exchange.relationship(relationship.index)
            queue_status(ctx, known, bits=merged)


def _learn(
    ctx: Context,
    home: HomeRelay,
    relationship: Relationship,
    grant: StoredGrant,
    package: PackageState,
) -> None:
    """What happened to a package since the backup: its version, which our own signature on the
    manifest proves, and its events, taken as they are."""
    staged = ctx.mailbox(relationship).package(grant.package)
    if staged.manifest is not None and package.seq >= grant.seq:
        manifest = verify_manifest(staged.manifest, issuer=relationship.did, now=ctx.now())
        with ctx.transaction():
            ctx.exchange.drop_jobs(relationship.index, "package", grant.package)
            ctx.exchange.add_staged(
                grant.package,
                manifest.seq,
                sha256=manifest.sha256,
                manifest=staged.manifest,
                at=ctx.now(),
            )
            ctx.exchange.set_package_version(grant.digest, seq=manifest.seq, content=grant.content)
    PackageWatch(ctx, home, relationship, grant, SyncReport(), before_restore=True).read()
    with ctx.transaction():
        for way in ("in", "out"):
            ctx.exchange.set_setting(f"resume_{way}:{grant.request}", "1")


def _relay_list(ctx: Context, relationship: Relationship) -> tuple[BitString | None, int, bool]:
    """Our status list as the relay has it, its sequence, and whether it is in force: one that ran
    out while nobody renewed it still says what was revoked."""
    url = status_url(ctx.setting("relay"), ctx.keys(relationship).status_id)
    try:
        raw, _ = ctx.client(ctx.setting("relay")).status(url)
    except RelayError as error:
        if error.code == "relay.not_found":
            return None, 0, False
        raise
    verify = partial(verify_status_list, raw, expected_issuer=relationship.did, expected_url=url)
    try:
        shown = verify(now=ctx.now())
    except StatusUnchecked:
        shown = verify(now=parse_time(str(parse_object(raw)["validFrom"])))
        return shown.bits, shown.sequence, False
    return shown.bits, shown.sequence, True
