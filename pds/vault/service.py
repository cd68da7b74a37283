"""The vault: everything a holder can do, each verb one method.

    with Vault.open(folder, passphrase=…) as vault:
        shown = vault.open_link(link)
        vault.decide(shown.request.id, {"delivery": Accept()})
        vault.sync()

Command line and portal call this and nothing beneath it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from credentials.purposes import label
from did.json import JsonObject
from did.time import utc_now
from pds.db import check
from pds.links import RequestLink, open_request
from pds.messages.request import AccessRequest, match_code, verify_request
from pds.net import DevTrust
from pds.vault import backup as backups
from pds.vault import consent, decide, files, hosting, keyslots, outbox, staging, withdraw
from pds.vault.activity import Activity, Sharing, activity, sharing
from pds.vault.backup import ReconcileReport
from pds.vault.consent import Answer, PurposeView
from pds.vault.context import Context
from pds.vault.decide import Outcome
from pds.vault.errors import NotFound, VaultError
from pds.vault.identity import Identities
from pds.vault.imports import ImportPlan, apply, detect, load, make_plan, read_csv, read_vcard
from pds.vault.imports.plan import About, Applied
from pds.vault.keyslots import Argon2Params, DataKey
from pds.vault.outbox import PushReport
from pds.vault.records import ALWAYS, Page, Query, Record, Undone, Validity
from pds.vault.relation import Relation, relation
from pds.vault.report import SyncReport
from pds.vault.store.rows import StoredRequest
from pds.vault.sync import sync
from pds.wire import parse_relay_url


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


class Vault:
    """One open vault. Made by ``create``, ``open`` or ``restore``; use it as a context manager."""

    def __init__(self, folder: Path, data_key: DataKey, ctx: Context) -> None:
        self._folder = folder
        self._data_key = data_key
        self._ctx = ctx

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
        clock: Callable[[], datetime] = utc_now,
        random: Callable[[int], bytes] = os.urandom,
    ) -> Self:
        """Unlock a vault. Raises ``KeyslotError`` (``vault.wrong_secret``), ``DbError``."""
        data_key = files.unlock(folder, passphrase=passphrase, kit=kit)
        conn = files.open_database(folder, data_key)
        try:
            return cls(folder, data_key, Context(conn, clock=clock, random=random))
        except BaseException:
            conn.close()
            raise

    @classmethod
    def restore(
        cls,
        backup: Path,
        folder: Path,
        *,
        passphrase: str | None = None,
        kit: str | None = None,
        clock: Callable[[], datetime] = utc_now,
        random: Callable[[int], bytes] = os.urandom,
    ) -> Self:
        """Make a vault from a backup. It writes nothing until ``reconcile`` has been done.

        A wrong passphrase or kit leaves nothing behind.
        """

        def mark(draft: Path) -> None:
            opened = cls.open(draft, passphrase=passphrase, kit=kit, clock=clock)
            with opened as vault, vault._ctx.transaction():
                vault._ctx.exchange.set_setting("restoring", "1")

        backups.unpack(backup, folder, prepare=mark)
        return cls.open(folder, passphrase=passphrase, kit=kit, clock=clock, random=random)

    def close(self) -> None:
        self._ctx.transport.close()
        self._ctx.conn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def status(self) -> Status:
        store = self._ctx.exchange
        last = self._ctx.exchange.setting("last_sync")
        return Status(
            sandbox=self._ctx.sandbox,
            relay=store.setting("relay"),
            items=sum(self._ctx.records.counts().values()),
            relationships=len(store.relationships()),
            live_grants=len(staging.live_grants(self._ctx)),
            waiting=len(store.jobs()) + len(self._ctx.identities.waiting()),
            restoring=self._restoring,
            last_sync=None if last is None else datetime.fromisoformat(last),
        )

    def check(self) -> list[str]:
        """Every page, and the history against its own log; an empty list means sound."""
        found = check(self._ctx.conn)
        return found + [f"history entry {n} was altered" for n in self._ctx.history.damaged()]

    # keys and settings
    def change_passphrase(self, new: str, *, params: Argon2Params | None = None) -> None:
        keyslots.change_passphrase(
            self._folder / files.SLOTS, self._data_key, new, params=params or Argon2Params()
        )
        self._remember_slots()

    def new_kit(self) -> str:
        """Replace the recovery kit; the old words open nothing any more, except old backups."""
        words = keyslots.replace_kit(self._folder / files.SLOTS, self._data_key)
        self._remember_slots()
        return words

    def _remember_slots(self) -> None:
        epoch = keyslots.epoch(self._folder / files.SLOTS, self._data_key)
        with self._ctx.transaction():
            self._ctx.exchange.set_setting("slots_epoch", str(epoch))
            self._ctx.log("slots changed", "vault")

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
    ) -> ImportPlan:
        """What importing a file would do: what would be added, what is there already, what cannot
        be read and why. Nothing is written. Raises ``ImportFailed`` (``import.*``)."""
        raw = load(path)
        if (kind or detect(raw)) == "vcard":
            reading = read_vcard(raw)
        else:
            reading = read_csv(raw, mapping=mapping)
        return make_plan(reading, self._ctx.records, about=about)

    def import_plan(self, plan: ImportPlan) -> Applied:
        """Carry out a plan: one batch, one transaction."""
        with self._ctx.transaction():
            applied = apply(plan, self._ctx.records)
            self._ctx.log("imported", applied.batch or "", {"added": applied.added})
        return applied

    def undo_import(self, batch: str) -> Undone:
        """Take an import back; items that were corrected since are kept."""
        with self._ctx.transaction():
            undone = self._ctx.records.undo_batch(batch)
            self._ctx.log("import undone", batch, {"removed": undone.removed})
        return undone

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

    def tag(self, record_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Record:
        """Give an item labels of your own, or take them away."""
        with self._ctx.transaction():
            record = self._ctx.records.tag(record_id, add, remove)
            self._ctx.log("tagged", record_id)
        return record

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

    def history(self, record_id: str) -> list[Record]:
        return self._ctx.records.history(record_id)

    def delete(self, record_id: str) -> None:
        with self._ctx.transaction():
            self._ctx.records.delete(record_id)
            self._ctx.log("deleted", record_id)

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

    def withdraw(self, name: str) -> tuple[str, PushReport]:
        """End a grant with its verb and send that at once. What could not be sent waits."""
        self._ready()
        verb = withdraw.withdraw(self._ctx, withdraw.find_grant(self._ctx, name))
        return verb, outbox.push(self._ctx)

    def sharing(self) -> list[Sharing]:
        return sharing(self._ctx)

    def activity(self, *, limit: int = 200) -> list[Activity]:
        return activity(self._ctx, limit=limit)

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

    # backups
    def backup(self, target: Path) -> int:
        """Write an encrypted backup; returns its size in bytes."""
        return backups.write_backup(self._folder, self._ctx.conn, self._data_key, target)

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


def purpose_words(iri: str) -> str:
    """The plain words for a DPV purpose."""
    return label(iri)
