"""The vault: everything a holder can do, each verb one method.

    with Vault.open(folder, passphrase=…) as vault:
        shown = vault.open_link(link)
        vault.decide(shown.request.id, {"delivery": Accept()})
        vault.sync()

Command line and portal call this and nothing beneath it. Longer than other rooms, because all verbs
are one class and each is a few lines.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from credentials.purposes import label
from did.json import JsonObject
from did.time import format_time, parse_time, utc_now
from pds.db import Compacted, Connection, DbDamaged, DbError, check, compact, translate
from pds.links import RequestLink, open_request
from pds.log.keys import Succession
from pds.log.policy import WitnessPolicy
from pds.messages.request import AccessRequest, match_code, verify_request
from pds.net import DevTrust
from pds.vault import backup as backups
from pds.vault import (
    categories,
    consent,
    decide,
    files,
    hosting,
    mergers,
    outbox,
    relaykeys,
    rotation,
    salvage,
    slotchange,
    staging,
    succession,
    unlocked,
    withdraw,
)
from pds.vault.activity import Activity, Sharing, activity, sharing
from pds.vault.attachments import Attachment, Damaged
from pds.vault.attachments.keeper import opened
from pds.vault.attachments.stream import Progress, Source
from pds.vault.backup import BackedUp, ReconcileReport
from pds.vault.checkup import checkup
from pds.vault.consent import Answer, PurposeView
from pds.vault.context import Context, HomeRelay, witness_policy
from pds.vault.decide import Outcome
from pds.vault.errors import NotFound, VaultError
from pds.vault.exports import Exported, TakenIn, take_in, write_export
from pds.vault.heads import Head, HeadFile
from pds.vault.identity import Identities
from pds.vault.imported import Imported, carry_out, imported, set_about, undo
from pds.vault.imports import (
    ImportPlan,
    SavedMapping,
    csv_reader,
    described_reader,
    inspect_csv,
    make_plan,
    reader,
    remove_mapping,
    save_mapping,
    saved_mappings,
)
from pds.vault.imports.plan import About, Applied
from pds.vault.inuse import FolderLock
from pds.vault.keys import Keys
from pds.vault.keyslots import Argon2Params, DataKey, Keep
from pds.vault.mergers import Merged
from pds.vault.opening import open_folder
from pds.vault.outbox import PushReport
from pds.vault.records import ALWAYS, Page, Query, Record, Undone, Validity
from pds.vault.records.lookalikes import Lookalikes
from pds.vault.records.merging import Merger
from pds.vault.rehearsal import Rehearsal, rehearse
from pds.vault.relation import Company, Relation, find_companies, relation
from pds.vault.report import SyncReport
from pds.vault.salvage import SalvageReport
from pds.vault.schemas import Catalogue, Category
from pds.vault.slotfile import Kind
from pds.vault.store.rows import StoredRequest
from pds.vault.succession import Rotation
from pds.vault.sync import sync
from pds.vault.witnesses import POLICY, set_policy
from pds.wire import parse_relay_url

# Steps of merging the search index that closing waits for: some hundredths of a second.
_LAST_STEPS = 4


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """A verified request as the holder sees it."""

    request: AccessRequest
    digest: str
    state: str
    purposes: tuple[PurposeView, ...]

    @property
    def match_code(self) -> str:
        return match_code(self.digest)

    def text(self, purpose_id: str, *, language: str = "en") -> str:
        """The exact words of one purpose; their digest goes into its grant."""
        shown = next(p for p in self.purposes if p.purpose.id == purpose_id)
        return consent.text(shown, self.request, language=language)


@dataclass(frozen=True, slots=True)
class Status:
    """What the vault says of itself."""

    sandbox: bool
    relay: str | None
    items: int
    relationships: int
    live_grants: int
    waiting: int
    restoring: bool
    last_sync: datetime | None
    last_backup: datetime | None
    last_rehearsal: datetime | None


def _since_boot() -> float:
    """Seconds that also pass while the machine sleeps, where the system counts them."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Vault:
    """One open vault. Made by ``create``, ``open`` or ``restore``; use it as a context manager.

    With ``auto_lock_after`` it locks itself when no verb was called for that long: the next one
    raises ``VaultError`` ``vault.locked``. Nothing happens by itself without a call; whoever keeps
    a vault open for long calls ``lock_if_idle`` now and then, under the same lock as the verbs: one
    thread at a time.
    """

    def __init__(
        self,
        folder: Path,
        data_key: DataKey,
        ctx: Context,
        lock: FolderLock,
        *,
        auto_lock_after: timedelta | None = None,
        idle_clock: Callable[[], float] = _since_boot,
    ) -> None:
        self._folder = folder
        self._data_key = data_key
        self._opened: Context | None = ctx
        self._lock = lock
        self._auto_lock_after = auto_lock_after
        self._idle_clock = idle_clock
        self._used = idle_clock()
        self._head: HeadFile | None = None

    # making, opening, closing
    @staticmethod
    def create(
        folder: Path,
        *,
        passphrase: str,
        relay: str | None = None,
        sandbox: bool = False,
        dev_trust: Sequence[str] = (),
        params: Argon2Params | None = None,
        clock: Callable[[], datetime] = utc_now,
        random: Callable[[int], bytes] = os.urandom,
    ) -> str:
        """Make a vault; returns the 24 words of its recovery kit, which are kept nowhere."""
        return files.create(
            folder,
            passphrase=passphrase,
            relay=relay,
            sandbox=sandbox,
            dev_trust=dev_trust,
            params=params or Argon2Params(),
            now=clock(),
            random=random,
        )

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        passphrase: str | None = None,
        kit: str | None = None,
        data_key: DataKey | None = None,
        auto_lock_after: timedelta | None = None,
        heads: Path | None = None,
        older: bool = False,
        clock: Callable[[], datetime] = utc_now,
        idle_clock: Callable[[], float] = _since_boot,
        random: Callable[[int], bytes] = os.urandom,
    ) -> Self:
        """Unlock a vault with a passphrase, with its kit (24 words or two sheets), or with the data
        key that a keyring kept. Raises ``KeyslotError`` (``vault.wrong_secret``), ``DbError``,
        ``VaultError`` (``vault.missing``, ``vault.busy``).

        ``heads`` is a folder, not the vault's, where this machine remembers how far it has seen
        each vault: with it a vault that was put back to an earlier state is refused
        (``vault.rolled_back``), and one that went another way since it was copied
        (``vault.diverged``). ``older`` takes it all the same; it then counts as restored.

        On a full disk, or where nothing may be written, it opens for reading only:
        ``reading_only`` says why, and every verb that writes refuses (``pds.vault.opening``).
        """
        files.check_vault(folder)
        lock = FolderLock(folder)
        try:
            if data_key is None:
                key = files.unlock(folder, passphrase=passphrase, kit=kit)
            else:
                key = data_key.copy()  # which ends with this vault
            conn, reading_only = open_folder(folder, key, lock)
            try:
                ctx = Context(
                    conn,
                    folder / files.ATTACHMENTS,
                    clock=clock,
                    random=random,
                    reading_only=reading_only,
                )
                if reading_only is None:
                    slotchange.settle(ctx, folder / files.SLOTS, key)
                ctx.attachments.tidy()
                vault = cls(
                    folder,
                    key,
                    ctx,
                    lock,
                    auto_lock_after=auto_lock_after,
                    idle_clock=idle_clock,
                )
                if heads is not None:
                    vault._compare_head(HeadFile(heads, folder, key), older=older)
            except BaseException:
                conn.close()
                raise
        except BaseException:
            lock.release()
            raise
        return vault

    def _compare_head(self, head: HeadFile, *, older: bool) -> None:
        known = head.read()
        try:
            with translate():
                grown = known is None or self._ctx.history.grew_from(known.size, known.root)
        except DbDamaged:
            return  # ``check`` has more to say of it, and nothing is to be remembered
        if not grown and known is not None:
            refusal = self._not_that_one(known)
            if not older:
                raise refusal
            with self._ctx.transaction():
                self._ctx.exchange.set_setting("restoring", "1")
                self._ctx.log("problem", "vault", {"code": refusal.code})
            head.note(_newest(self._ctx), older=True)
        self._head = head

    def _not_that_one(self, known: Head) -> VaultError:
        """Older than what is known, or gone another way: there is as much, or something later."""
        newest = _newest(self._ctx)
        later = known.at is not None and newest.at is not None and newest.at > known.at
        if newest.size >= known.size or later:
            return VaultError(
                "this vault went another way than the one that this computer last used: both were "
                "changed since one was copied from the other",
                code="vault.diverged",
                hint="Find the other one, and choose. 'pds restore --finish' goes on with this "
                "one; what is in the other alone can be taken over: 'pds export' there, 'pds "
                "import' here.",
            )
        return VaultError(
            "this vault is older than when this computer last used it: an earlier copy was put "
            "back",
            code="vault.rolled_back",
            hint="Find the newer copy. If there is none, 'pds restore --finish' goes on with this "
            "one.",
        )

    @classmethod
    def restore(
        cls,
        backup: Path,
        folder: Path,
        *,
        passphrase: str | None = None,
        kit: str | None = None,
        heads: Path | None = None,
        clock: Callable[[], datetime] = utc_now,
        random: Callable[[int], bytes] = os.urandom,
    ) -> Self:
        """Make a vault from a backup. It writes nothing until ``reconcile`` has been done.

        A wrong passphrase or kit leaves nothing behind.
        """

        def fill(draft: Path, attachments: Source) -> None:
            with cls.open(draft, passphrase=passphrase, kit=kit, clock=clock) as vault:
                if check(vault._ctx.conn):
                    raise VaultError(
                        "the backup opens, but not every page of it is as it was written",
                        code="backup.damaged",
                        hint="Use another copy. Nothing was restored.",
                    )
                backups.unpack_attachments(vault._ctx, attachments)
                with vault._ctx.transaction():
                    vault._ctx.exchange.set_setting("restoring", "1")

        by: Kind = "passphrase" if kit is None else "recovery"
        backups.unpack(backup, folder, by=by, prepare=fill)
        return cls.open(
            folder,
            passphrase=passphrase,
            kit=kit,
            heads=heads,
            older=True,
            clock=clock,
            random=random,
        )

    def close(self) -> None:
        """Lock: close the database, overwrite the data key, let go of the folder. Every verb raises
        ``vault.locked`` from then on; what was handed out before cannot be taken back."""
        ctx, self._opened = self._opened, None
        if ctx is not None:
            if self._head is not None:
                # What cannot be remembered is a weaker guard next time, no reason to fail now.
                with suppress(DbError, OSError), translate():
                    self._head.note(_newest(ctx))
            ctx.transport.close()
            with suppress(Exception):  # of a damaged database anything may come
                self._close_database(ctx)
        self._data_key.wipe()
        self._lock.release()

    def _close_database(self, ctx: Context) -> None:
        """Where the first page is another one now, a copy of it is kept: nothing but a guard
        against damage, and so of no account when it cannot be made."""
        if ctx.reading_only is not None:
            return
        if ctx.conn.total_changes:
            ctx.records.tidy(steps=_LAST_STEPS)
        mark = files.mark_first_page(self._folder, ctx.conn)
        ctx.conn.close()
        if mark is not None and self._lock.alone_if_free():
            files.keep_page(self._folder, self._data_key.derive("database"), mark)

    def lock_if_idle(self) -> bool:
        """Lock if nobody has used the vault for ``auto_lock_after``; whether it is locked now."""
        after = self._auto_lock_after
        if after is not None and self._idle_clock() - self._used >= after.total_seconds():
            self.close()
        return self._opened is None

    @property
    def _ctx(self) -> Context:
        """The open vault; every verb comes by here, which is what counts as use."""
        self.lock_if_idle()
        if self._opened is None:
            raise VaultError(
                "the vault is locked", code="vault.locked", hint="Open it again.", exit_code=3
            )
        self._used = self._idle_clock()
        return self._opened

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def reading_only(self) -> str | None:
        """Why nothing can be written, as a half-sentence; None as a rule."""
        why = self._ctx.reading_only
        return None if why is None else why.reason

    def status(self) -> Status:
        store = self._ctx.exchange
        last = self._ctx.exchange.setting("last_sync")
        return Status(
            sandbox=self._ctx.sandbox,
            relay=store.setting("relay"),
            items=sum(self._ctx.records.counts().values()),
            relationships=store.living_relationships(),
            live_grants=len(staging.live_grants(self._ctx)),
            waiting=len(store.jobs()) + len(self._ctx.identities.waiting()),
            restoring=self._restoring,
            last_sync=None if last is None else datetime.fromisoformat(last),
            last_backup=self._time("last_backup"),
            last_rehearsal=self._time("last_rehearsal"),
        )

    def _time(self, name: str) -> datetime | None:
        value = self._ctx.exchange.setting(name)
        return None if value is None else parse_time(value)

    def check(self) -> list[str]:
        """Every page, the history, each row against it, and every attachment to its end; an empty
        list means sound."""
        problems, damaged = self.look_over()
        return problems + [str(one) for one in damaged]

    def look_over(self) -> tuple[list[str], list[Damaged]]:
        """As ``check``, the attachments apart; these are looked at where all else is sound."""
        problems = checkup(self._ctx)
        return problems, [] if problems else self._ctx.attachments.damaged()

    def mend(self) -> None:
        """Make anew what is made from the items: the search index, and how many there are."""
        with self._ctx.transaction():
            self._ctx.records.index_again()
            self._ctx.log("index made anew", "vault")

    def losses(self) -> list[str]:
        """What cannot be read, once ``check`` has found damaged pages, a sentence each."""
        return salvage.losses(self._folder, self._data_key, self._lock)

    @staticmethod
    def salvage(
        folder: Path,
        target: Path,
        *,
        passphrase: str | None = None,
        kit: str | None = None,
        clock: Callable[[], datetime] = utc_now,
        random: Callable[[int], bytes] = os.urandom,
    ) -> SalvageReport:
        """Make a new vault of all that can be read of a damaged one, which need not open as one;
        see ``pds.vault.salvage``."""
        data_key = files.unlock(folder, passphrase=passphrase, kit=kit)
        now = clock().replace(microsecond=0)
        return salvage.salvage(folder, data_key, target, now=now, random=random)

    def compact(self) -> Compacted:
        """Write the database anew without gaps, if it is sound (else ``vault.damaged``); raises
        ``DbError`` as ``pds.db.compact``."""
        self._ctx.may_write()
        if self.check():
            raise VaultError(
                "the vault is not sound, and is left as it is",
                code="vault.damaged",
                hint="See: pds vault check",
            )
        with self._ctx.transaction():
            self._ctx.log("compacted", "vault")
        return compact(self._ctx.conn)

    # keys and settings
    @property
    def keys(self) -> Keys:
        """The ways in: passphrases, the kit, the OS keyring."""
        return Keys(self._folder / files.SLOTS, self._data_key, self._ctx)

    def stay_unlocked(self, seconds: int) -> None:
        """Leave the data key in the kernel's keyring for so long (``vault.no_keeper``)."""
        unlocked.remember(self.keys.vault_id, self._data_key, seconds=seconds)

    def rotate_key(
        self, *, passphrase: str, params: Argon2Params | None = None, keep: Keep
    ) -> None:
        """Give the vault a new data key, one passphrase and a new kit, whose words go to ``keep``.

        For after a compromise. All other ways in are gone. Backups made before still open with
        the secrets of their day; the root, and so the DIDs, stay. Raises ``VaultError``
        (``vault.busy``) while another program has the vault open, DbError (``db.full`` …); after
        an error the vault is locked. Cut off at any moment, exactly one of the two sets of
        secrets opens the vault.
        """
        ctx = self._ctx
        ctx.may_write()
        try:
            self._lock.alone()

            def prepare(copy: Connection, epoch: int) -> None:
                folder = self._folder / files.ATTACHMENTS
                then = Context(copy, folder, clock=ctx.clock, random=ctx.random)
                try:
                    with then.transaction():
                        then.exchange.set_setting("slots_epoch", str(epoch))
                        then.log("data key rotated", "vault")
                finally:
                    then.transport.close()

            new = rotation.rotate(
                self._folder,
                ctx.conn,
                self._data_key,
                passphrase=passphrase,
                params=params or Argon2Params(),
                keep=keep,
                prepare=prepare,
                random=ctx.random,
            )
            ctx.transport.close()
            self._opened = None
            self._data_key.wipe()
            self._data_key = new
            conn = files.open_database(self._folder, new)
            folder = self._folder / files.ATTACHMENTS
            self._opened = Context(conn, folder, clock=ctx.clock, random=ctx.random)
            if self._head is not None:  # its name and its MAC are the old key's
                self._head = self._head.under(self._folder, new)
            self._lock.together()
        except BaseException:
            self.close()
            raise

    def use_relay(self, url: str, *, token: str | None = None) -> None:
        """Choose the relay. Refused (``vault.relay_in_use``) once something of the vault is at
        another."""
        relay = parse_relay_url(url)
        current = self._ctx.exchange.setting("relay")
        hosted = any(row.relay is not None for row in self._ctx.identities.all())
        if (self._ctx.exchange.relationships() or hosted) and current != relay:
            raise VaultError(
                "this vault has relationships or an identity at another relay",
                code="vault.relay_in_use",
                hint="Moving to another relay is not possible yet.",
            )
        with self._ctx.transaction():
            self._ctx.exchange.set_setting("relay", relay)
            if token is not None:
                self._ctx.exchange.set_setting("relay_token", token)
        self._ctx.connect()

    @property
    def witnesses(self) -> WitnessPolicy | None:
        """Whom the holder believes to watch the relay's log; None: nobody yet."""
        return witness_policy(self._ctx.exchange.setting(POLICY))

    def set_witnesses(self, policy: WitnessPolicy | None) -> None:
        """Believe these witnesses from now on: ``sync`` then wants their cosignatures."""
        set_policy(self._ctx, policy)

    def trust_dev_host(self, line: str) -> None:
        """Map a company's name to a local address, in a sandbox only (``vault.dev_trust``)."""
        if not self._ctx.sandbox:
            raise VaultError(
                "development hosts are trusted in a sandbox only",
                code="vault.dev_trust",
                hint="Make a sandbox vault: pds init --sandbox",
            )
        added = DevTrust.parse(line)
        lines = (self._ctx.exchange.setting("dev_trust") or "").splitlines()
        kept = [old for old in lines if DevTrust.parse(old).host != added.host]
        with self._ctx.transaction():
            self._ctx.exchange.set_setting("dev_trust", "\n".join([*kept, line]))
        self._ctx.connect()

    # data
    def add(
        self,
        category: str,
        fields: JsonObject,
        *,
        source: str = "self",
        validity: Validity = ALWAYS,
        tags: Sequence[str] = (),
    ) -> Record:
        with self._ctx.transaction():
            record = self._ctx.records.add(
                category, fields, source=source, validity=validity, tags=tags
            )
            self._ctx.log("added", record.id, {"category": category})
        return record

    def plan_import(
        self,
        path: Path,
        *,
        kind: str | None = None,
        mapping: Mapping[str, str] | None = None,
        about: About | None = None,
        description: Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> ImportPlan:
        """What importing a file would do: what would be added, what is there already, what cannot
        be read and why. Nothing is written. ``description`` is a file that says how the archive of
        a service is read (docs/imports.md). ``progress`` hears of every thousandth record how many
        there were. Raises ``ImportFailed`` (``import.*``; the codes of credentials)."""
        words = self._ctx.records.catalogue()
        if description is not None:
            found, read = described_reader(path, description)
        else:
            found, read = reader(
                path,
                kind=kind,
                mapping=mapping,
                resolver=self._ctx.resolver,
                now=self._ctx.clock(),
                words=words,
                saved=saved_mappings(self._ctx.exchange),
            )
        plan = make_plan(
            found, read, self._ctx.records, about=about, words=words, progress=progress
        )
        return replace(plan, name=path.name, size=path.stat().st_size)

    def import_plan(
        self, plan: ImportPlan, *, progress: Callable[[int], None] | None = None
    ) -> Applied:
        """Carry out a plan: one batch, in short transactions. See ``pds.vault.imported``."""
        return carry_out(self._ctx, plan, progress=progress)

    def imports(self) -> list[Imported]:
        """The imports, the newest first, with what undoing each would do."""
        return imported(self._ctx)

    def save_mapping(self, name: str, path: Path, columns: Mapping[str, str]) -> SavedMapping:
        """Keep what the columns of a CSV file mean, for files with the same header. Raises
        ``ImportFailed`` (``import.mapping``, and as reading the file does)."""
        csv_reader(path, columns, words=self._ctx.records.catalogue())
        with self._ctx.transaction():
            saved = save_mapping(self._ctx.exchange, name, inspect_csv(path).header, columns)
            self._ctx.log("mapping saved", "vault")
        return saved

    def mappings(self) -> tuple[SavedMapping, ...]:
        """The saved mappings by name."""
        return saved_mappings(self._ctx.exchange)

    def remove_mapping(self, name: str) -> None:
        """Forget a saved mapping. Raises ``ImportFailed`` (``import.no_mapping``)."""
        with self._ctx.transaction():
            remove_mapping(self._ctx.exchange, name)
            self._ctx.log("mapping removed", "vault")

    def undo_import(self, batch: str) -> Undone:
        """Take an import back with its attachments; an item to which anything was done since (it
        was corrected, tagged, given or lost an attachment) is kept. Items that it changed are
        again what they were before; items that a merger made one are several again."""
        if mergers.is_merger(self._ctx, batch):
            return mergers.split(self._ctx, batch)
        return undo(self._ctx, batch)

    def records(
        self, category: str | None = None, *, limit: int = 50, after: str | None = None
    ) -> list[Record]:
        return self._ctx.records.list(category, limit=limit, after=after)

    def record(self, record_id: str) -> Record:
        return self._ctx.records.get(record_id)

    def search(self, text: str, *, limit: int = 50) -> list[Record]:
        return self._ctx.records.search(text, limit=limit)

    def find(self, query: Query, *, limit: int = 50, after: str | None = None) -> Page:
        """A page of items by words, category, time, source, company, tag; the newest first."""
        return self._ctx.records.find(query, limit=limit, after=after)

    def ids(self, beginning: str) -> tuple[str, ...]:
        """The ids of items that begin so, at most ten."""
        return self._ctx.records.ids(beginning)

    def relation(
        self,
        company: str,
        *,
        limit: int = 50,
        after: str | None = None,
        records_after: str | None = None,
    ) -> Relation:
        """Everything with one company: items that name it, and what was asked, given and taken."""
        return relation(self._ctx, company, limit=limit, after=after, records_after=records_after)

    def companies(self, text: str) -> list[Company]:
        """The companies that a text may mean: a DID, host or name, or the beginning of one."""
        return find_companies(self._ctx, text)

    def tag(self, record_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Record:
        """Give an item labels of your own, or take them away."""
        with self._ctx.transaction():
            record = self._ctx.records.tag(record_id, add, remove)
            self._ctx.log("tagged", record_id)
        return record

    def set_about(self, record_ids: Sequence[str], about: str) -> int:
        """Say whom items are about, ``self`` or ``other``; for how many it was not so before. No
        version is made. What is about somebody else is handed to nobody any more: live grants that
        follow changes are staged anew by ``restage`` or the next ``sync``."""
        with self._ctx.transaction():
            changed = self._ctx.records.set_about(record_ids, about)
            for record_id in changed:
                self._ctx.log("about changed", record_id, {"about": about})
        return len(changed)

    def set_about_of_import(self, batch: str, about: str) -> int:
        """The same for all items that an import added; see ``imported.set_about``."""
        return set_about(self._ctx, batch, about)

    def tags(self) -> list[tuple[str, int]]:
        return self._ctx.records.tags()

    def edit(
        self, record_id: str, changes: JsonObject, *, validity: Validity | None = None
    ) -> Record:
        """Correct an item; the old version is kept. Live grants that follow changes are staged
        anew by ``restage`` or the next ``sync``."""
        with self._ctx.transaction():
            record = self._ctx.records.edit(record_id, changes, validity=validity)
            self._ctx.log("edited", record_id, {"version": record.version})
        return record

    def duplicates(self, category: str | None = None, *, limit: int = 50) -> list[Lookalikes]:
        """Items that look like one, with the reasons. RecordError ``data.no_duplicates`` for a
        category in which none are looked for."""
        return mergers.find(self._ctx, category, limit=limit)

    def plan_merger(
        self, keep: str, others: Sequence[str], *, take: Mapping[str, str] | None = None
    ) -> Merger:
        """What several items would say as one; nothing is written. ``take`` names, by field or
        under an empty name, the item whose value is taken where they contradict. Raises
        RecordError as ``records.merging``."""
        return mergers.plan(self._ctx, keep, others, take=take or {})

    def merge(self, plan: Merger) -> str:
        """Carry it out; returns what ``undo_import`` takes it back by."""
        return mergers.merge(self._ctx, plan)

    def merged(self) -> list[Merged]:
        """The mergers that were not taken back, the newest first."""
        return mergers.merged(self._ctx)

    def history(self, record_id: str) -> list[Record]:
        return self._ctx.records.history(record_id)

    def delete(self, record_id: str) -> None:
        with self._ctx.transaction():
            self._ctx.records.delete(record_id)
            self._ctx.log("deleted", record_id)

    # attachments
    def attach(
        self,
        record_id: str,
        source: Path | BinaryIO,
        *,
        name: str | None = None,
        progress: Progress | None = None,
    ) -> Attachment:
        """Keep a file with a record, encrypted; the whole of it, or nothing.

        The name is that of the path unless given. The same content again is the attachment that is
        there. Raises ``AttachmentError`` (``unreadable``, ``too_large``, ``no_space``,
        ``not_allowed``) and ``RecordError``.
        """
        self._ctx.may_write()
        self._ctx.records.get(record_id)  # before a gigabyte is read
        if isinstance(source, Path):
            with opened(source) as stream:
                return self.attach(record_id, stream, name=name or source.name, progress=progress)
        with self._ctx.attachments.settling():
            written = self._ctx.attachments.write(source, progress=progress)
            with self._ctx.transaction():
                kept = self._ctx.attachments.keep(record_id, written, name=name or "")
                self._ctx.log("attached", record_id, {"attachment": kept.id})
        return kept

    def attachments(self, record_id: str | None = None) -> list[Attachment]:
        """Those of a record, or all there are."""
        if record_id is None:
            return self._ctx.attachments.all()
        return self._ctx.attachments.of(record_id)

    def attachment(self, attachment_id: str) -> Attachment:
        return self._ctx.attachments.get(attachment_id)

    def open_attachment(self, attachment_id: str) -> BufferedReader:
        """The content as a stream that is verified as it is read. Its last bytes, and its end, come
        only when nothing was changed or cut off; else ``attachment.damaged`` is raised."""
        return self._ctx.attachments.open(attachment_id)

    def save_attachment(
        self, attachment_id: str, target: Path, *, progress: Progress | None = None
    ) -> None:
        """Write the content to a new file (mode 0600), whole or not at all. It is no longer
        encrypted there. Raises as ``open_attachment``, and ``attachment.exists``."""
        self._ctx.attachments.save(attachment_id, target, progress=progress)

    def detach(self, attachment_id: str) -> None:
        """Delete an attachment: its key, by which nobody can read the file any more, and the
        file."""
        with self._ctx.transaction():
            record_id = self._ctx.attachments.remove(attachment_id)
            self._ctx.log("detached", record_id, {"attachment": attachment_id})

    # categories
    def catalogue(self) -> Catalogue:
        """All categories as they are now, the holder's own too; it outlives the open vault."""
        return self._ctx.records.catalogue()

    def add_category(self, name: str, document: JsonObject, *, replace: bool = False) -> Category:
        """Make a category of one's own, ``own-NAME``, from its description (docs/data.md)."""
        return categories.add(self._ctx, name, document, replace=replace)

    def remove_category(self, name: str) -> str:
        """Remove a category of one's own in which there are no items; returns its full name."""
        return categories.remove(self._ctx, name)

    # requests
    def open_link(self, link: str) -> ShownRequest:
        """Fetch what a link points to, verify who asks, and keep it as pending.

        Raises ``LinkError``, ``RelayError``, ``RequestRefused``, resolution errors of ``did``.
        """
        self._ready()
        address = RequestLink.parse(link)
        sealed = self._ctx.client(address.relay).request(address.id)
        verified = verify_request(
            open_request(sealed, secret=address.secret, request_id=address.id),
            resolver=self._ctx.resolver,
            now=self._ctx.now(),
        )
        request = verified.request
        if request.sandbox != self._ctx.sandbox:
            raise VaultError(
                "a sandbox request meets a vault that is none, or the other way round",
                code="request.sandbox",
                hint="Sandbox requests are answered by sandbox vaults only.",
            )
        if self._ctx.exchange.request(request.id) is None:
            with self._ctx.transaction():
                self._ctx.exchange.add_request(
                    StoredRequest(
                        id=request.id,
                        digest=verified.digest,
                        company=request.controller.id,
                        raw=verified.raw,
                        received=self._ctx.now(),
                        state="pending",
                        relationship=None,
                    )
                )
                self._ctx.log("asked", request.controller.id, {"request": request.id})
        return self.request(request.id)

    def requests(self) -> list[ShownRequest]:
        return [self._shown(stored) for stored in self._ctx.exchange.requests()]

    def request(self, request_id: str) -> ShownRequest:
        stored = self._ctx.exchange.request(request_id)
        if stored is None:
            raise NotFound("there is no such request", hint="See: pds requests")
        return self._shown(stored)

    def _shown(self, stored: StoredRequest) -> ShownRequest:
        request = staging.request_of(stored)
        state = stored.state
        if state == "pending" and self._ctx.now() >= request.expires:
            state = "expired"
        return ShownRequest(
            request=request,
            digest=stored.digest,
            state=state,
            purposes=consent.view(
                request, self._ctx.records, blocked=decide.blocked(self._ctx, request)
            ),
        )

    def reopen(self, company: str, purpose: str) -> None:
        """Let a refused purpose be asked again before its time; ``NotFound`` if it was not."""
        host = decide.host_of(company)
        if purpose not in dict(self._ctx.exchange.refusals(host)):
            raise NotFound(
                "this company was not refused that purpose",
                hint="Name the company's DID and the purpose's IRI: see pds --json requests",
            )
        with self._ctx.transaction():
            self._ctx.exchange.reopen(host, purpose)
            self._ctx.log("reopened", company, {"purpose": purpose})

    def decide(
        self, request_id: str, answers: Mapping[str, Answer], *, language: str = "en"
    ) -> tuple[Outcome, ...]:
        """Answer a request purpose by purpose. Send it with ``push``."""
        self._ready()
        self._ctx.before_signing()
        return decide.decide(self._ctx, request_id, answers, language=language)

    # after a decision
    def push(self) -> PushReport:
        """Send what waits in the outbox."""
        self._ready()
        return outbox.push(self._ctx)

    def restage(self) -> int:
        """Queue new versions for grants that follow changes."""
        self._ready()
        self._ctx.before_signing()
        return staging.restage(self._ctx)

    def sync(self) -> SyncReport:
        """One round: collect, check, stage, renew, send."""
        self._ready()
        report = sync(self._ctx)
        with self._ctx.transaction():
            self._ctx.exchange.set_setting("last_sync", self._ctx.now().isoformat())
        return report

    def next_due(self) -> datetime | None:
        """When the next round of ``sync`` has something to do by itself: a status list to renew, a
        grant that begins or ends. None when nothing is shared."""
        return staging.next_due(self._ctx)

    def withdraw(self, name: str) -> tuple[str, PushReport]:
        """End a grant with its verb and send that at once. What could not be sent waits."""
        self._ready()
        verb = withdraw.withdraw(self._ctx, withdraw.find_grant(self._ctx, name))
        return verb, outbox.push(self._ctx)

    def rotate_relationship(self, company: str) -> tuple[Rotation, PushReport]:
        """Give the relationship with a company a new DID and send that, as far as it goes now; what
        is left is gone on with by ``sync``. As ``succession.rotate``."""
        self._ready()
        self._ctx.before_signing()
        return succession.rotate(self._ctx, company)

    def sharing(self) -> list[Sharing]:
        return sharing(self._ctx)

    def activity(self, *, limit: int = 200) -> list[Activity]:
        return activity(self._ctx, limit=limit)

    def relay_keys(self) -> tuple[HomeRelay, tuple[Succession, ...]]:
        """The home relay as it is pinned, and each change of its log's key that was followed."""
        found = relaykeys.followed(self._ctx.exchange)
        return self._ctx.home(), tuple(one.succession for one in found)

    def evidence(self) -> list[tuple[datetime, str, JsonObject]]:
        return self._ctx.exchange.evidence()

    def grant(self, name: str) -> JsonObject:
        """The signed grant, as any verifier can check it."""
        return withdraw.find_grant(self._ctx, name).raw

    # the public identity
    @property
    def identities(self) -> Identities:
        """Public identities; what they change is sent by ``push``."""
        return Identities(self._ctx)

    # giving everything back
    def export(
        self,
        target: Path,
        *,
        categories: Sequence[str] | None = None,
        company: str | None = None,
        progress: Callable[[int], None] = lambda _done: None,
    ) -> Exported:
        """Write everything, or what is named, into one open ZIP that is **not encrypted**; as
        ``exports.write_export``. That it was done stands in the history."""
        done = write_export(
            self._ctx, target, categories=categories, company=company, progress=progress
        )
        self._note("exported", {"items": done.items})
        return done

    def import_export(self, archive: Path) -> TakenIn:
        """Take in the records of an archive that ``export`` wrote; as ``exports.take_in``."""
        self._ctx.may_write()
        return take_in(self._ctx, archive)

    # backups
    def backup(self, target: Path) -> BackedUp:
        """Write an encrypted backup of everything that can be read."""
        done = backups.write_backup(self._folder, self._ctx, self._data_key, target)
        self._note("backed up", {}, last_backup=format_time(self._ctx.now()))
        return done

    def rehearse(self, backup: Path, *, kit: str) -> Rehearsal:
        """Prove that a backup restores with the kit, and remember when that was done.

        See :func:`pds.vault.rehearsal.rehearse`. A backup of another vault is rehearsed as well,
        and not remembered here.
        """
        # Where the vault's own disk is full or closed, the backup's is not.
        beside = self._folder if self._ctx.reading_only is None else backup
        found = rehearse(backup, kit=kit, work=beside.parent, clock=self._ctx.clock)
        if found.vault == self.keys.vault_id:
            now = format_time(self._ctx.now())
            self._note("rehearsed", {"items": found.total}, last_rehearsal=now)
        return found

    def _note(self, kind: str, detail: JsonObject, **settings: str) -> None:
        """Write down what was done elsewhere. A vault that cannot be written is no reason to call a
        backup or an archive failed that lies there whole."""
        if self._ctx.reading_only is not None:
            return
        try:
            with self._ctx.transaction():
                for name, value in settings.items():
                    self._ctx.exchange.set_setting(name, value)
                self._ctx.log(kind, "vault", detail)
        except DbError as error:
            if error.code not in ("db.full", "db.read_only", "db.io"):
                raise

    def reconcile(self) -> ReconcileReport:
        """Bring a restored vault up to what its relay knows; nothing is written before."""
        if self._ctx.exchange.setting("relay") is None:
            hosting.recover(self._ctx)
            with self._ctx.transaction():
                self._ctx.exchange.set_setting("restoring", "0")
            return ReconcileReport()
        return backups.reconcile(self._ctx)

    @property
    def _restoring(self) -> bool:
        return self._ctx.exchange.setting("restoring") == "1"

    def _ready(self) -> None:
        self._ctx.ready()


def _newest(ctx: Context) -> Head:
    last = ctx.history.entries(limit=1)
    return Head(*ctx.history.root(), last[0].at if last else None)


def purpose_words(iri: str) -> str:
    """The plain words for a DPV purpose."""
    return label(iri)
