"""What happened to a package at the relay, held against what this vault staged."""

from dataclasses import dataclass

from did.json import JsonObject
from did.multikey import b64url_encode
from did.time import parse_time
from pds.log.entry import Receipt, verify_receipt
from pds.mailbox import RelayError
from pds.messages.errors import MessageError
from pds.messages.fields import Fields
from pds.messages.redemption import check_redemption
from pds.vault.context import Context, HomeRelay
from pds.vault.logwatch import LogWatch
from pds.vault.report import SyncReport, report_evidence
from pds.vault.staging import grant_of, request_of
from pds.vault.store.rows import PackageEvent, Relationship, StoredGrant

_KINDS = frozenset({"redemption", "refusal"})


@dataclass(slots=True)
class PackageWatch:
    """Reads and checks the events of one grant's package; ``read`` may raise the relay's errors."""

    ctx: Context
    home: HomeRelay
    relationship: Relationship
    stored: StoredGrant
    report: SyncReport
    log: LogWatch | None = None
    before_restore: bool = False
    """The events are of a time that this vault has forgotten: taken as they are."""

    def read(self) -> None:
        """Read every new event, keep it, and let the relay erase the presentations we have; then
        compare the manifest that it shows with the last one staged.

        Ordinals and chain are of one log. In a new one (the relay came back from a backup) the
        events are read from the start, and those that we know are where the chain goes on.
        """
        mailbox, package = self.ctx.mailbox(self.relationship), self.stored.package
        last = self.ctx.exchange.last_event(package, self.home.log_origin)
        known = {event.leaf: event for event in self.ctx.exchange.events(package)}
        after, more = (0 if last is None else last.ordinal), True
        try:
            while more:
                raws, more = mailbox.events(package, after=after)
                if not raws:
                    break
                for raw in raws:
                    leaf = self._leaf(raw)
                    last = known[leaf] if leaf in known else self._take(raw, last)
                    after = last.ordinal
                mailbox.erase_presentations(package, through=after)
        except RelayError as error:
            if error.code == "relay.not_found":  # not staged yet: nothing can have happened
                return
            raise
        waiting = any(job.ref == package for job in self.ctx.exchange.jobs())
        # Ended by ourselves, to be made anew under another DID.
        waiting = waiting or self.relationship.index in self.ctx.successions.moving()
        if self.stored.ended is None and not waiting and not self.before_restore:
            self._compare_manifest()

    def _compare_manifest(self) -> None:
        shown = self.ctx.mailbox(self.relationship).package(self.stored.package)
        over = self.ctx.now() >= parse_time(str(self.stored.raw["validUntil"]))
        staged = self.ctx.exchange.staged(self.stored.package).get(self.stored.seq)
        if over or staged is None:  # swept by the relay, or restored from an older backup
            return
        if shown.ended or shown.manifest != staged[1]:
            self._evidence(
                "relay.wrong_package", {"ended": shown.ended, "manifest": shown.manifest}
            )

    def _take(self, raw: JsonObject, last: PackageEvent | None) -> PackageEvent:
        """Check one recorded event:

        1. its receipt is in the relay's log
        2. it is of this package, the next ordinal, chained to the one before
        3. a redemption handed out bytes that we staged
        4. its presentation is by the key we allowed, for the purpose we granted
        """
        event = Fields(raw, "/event")
        if event.has("problem") and event.text("problem", high=60) == "relay.bad_receipt":
            self._evidence("relay.bad_receipt", {"event": raw})
            raise MessageError("an event of the relay has no receipt", code="relay.bad_receipt")
        receipt = event.object("receipt")
        verified = verify_receipt(  # 1
            receipt, origin=self.home.log_origin, log_key=self.home.log_keys
        )
        if self.log is not None:
            self.log.check(verified.receipt.checkpoint)
        entry = Fields(verified.receipt.entry, "/event/receipt/entry")
        kind = entry.choice("type", _KINDS)
        ordinal = entry.integer("ordinal", 1, 2**31)
        prev = entry.text("prev", high=50) if entry.has("prev") else None
        expected = (1, None) if last is None else (last.ordinal + 1, last.leaf)
        if entry.id("package") != self.stored.package or (ordinal, prev) != expected:  # 2
            self._evidence("relay.broken_chain", {"receipt": receipt})
            raise MessageError("the relay's events do not form a chain", code="relay.broken_chain")
        problem, purpose, seq = None, None, None
        if kind == "redemption":
            seq = entry.integer("seq", 1, 2**31)
            problem = self._check_bytes(seq, entry.digest("sha256"), verified.receipt.leaf_index)
            if problem is None and not self.before_restore:
                problem, purpose = self._check_presentation(event, entry.digest("redemption"))  # 4
        recorded = PackageEvent(
            package=self.stored.package,
            origin=self.home.log_origin,
            ordinal=ordinal,
            leaf=b64url_encode(verified.receipt.leaf),
            kind=kind,
            at=entry.time("at"),
            code=entry.text("code", high=60) if entry.has("code") else None,
            seq=seq,
            purpose=purpose,
            problem=problem,
            receipt=receipt,
        )
        self._keep(recorded)
        if problem is not None:
            self._evidence(problem, {"event": raw})
        return recorded

    def _keep(self, event: PackageEvent) -> None:
        with self.ctx.transaction():
            last = self.ctx.exchange.last_event(event.package, event.origin)
            if last is not None and last.ordinal >= event.ordinal:
                return  # another program was quicker
            self.ctx.exchange.add_event(event)
            self.ctx.log(
                event.kind,
                self.stored.id,
                {"ordinal": event.ordinal, "code": event.code or event.problem or ""},
            )
        if event.kind == "redemption":
            self.report.redemptions += 1
        else:
            self.report.refusals += 1

    def _check_presentation(self, event: Fields, redemption: str) -> tuple[str | None, str | None]:
        source = self.ctx.exchange.request(self.stored.request)
        if not event.has("presentation") or source is None:
            return "redemption.no_presentation", None
        terms = grant_of(self.ctx, self.stored).terms
        try:
            stated = check_redemption(
                event.object("presentation"),
                ticket=self.stored.ticket_digest,
                grant=self.stored.digest,
                purpose=terms.purpose,
                processing=terms.processing,
                redemption_key=request_of(source).redemption_key,
                package_id=self.stored.package,
                relay=self.home.url,
                key=self.ctx.keys(self.relationship).sealing_key,
                now=self.ctx.now(),
            )
        except MessageError as error:
            return error.code, None
        if stated.redemption != redemption:
            return "redemption.other", None
        shown = event.fields("presentation")
        if shown.has("lastReceipt"):
            named = shown.text("lastReceipt", high=50)
            known = {e.leaf for e in self.ctx.exchange.events(self.stored.package)}
            if named not in known and not self._restored():
                return "relay.hidden_redemption", stated.purpose
        return None, stated.purpose

    def _restored(self) -> bool:
        return self.ctx.exchange.setting("restored") == "1"

    def _check_bytes(self, seq: int, sha256: str, leaf_index: int) -> str | None:
        """What was handed out is what we staged, and nothing older than what the relay had
        signed for by then."""
        staged = self.ctx.exchange.staged(self.stored.package).get(seq)
        if staged is None:
            return None if self.before_restore or self._restored() else "relay.wrong_bytes"
        if staged[0] != sha256:  # 3
            return "relay.wrong_bytes"
        for newer, receipt in self.ctx.exchange.staging_receipts(self.stored.package):
            index = receipt["leafIndex"]
            same_log = str(receipt["checkpoint"]).startswith(self.home.log_origin + "\n")
            if newer > seq and same_log and isinstance(index, int) and index < leaf_index:
                return "relay.older_package"
        return None

    def _leaf(self, raw: JsonObject) -> str:
        """The leaf that an event claims to be; verified when it is not a known one."""
        receipt = raw.get("receipt")
        return Receipt.parse(receipt).id if isinstance(receipt, dict) else ""

    def _evidence(self, code: str, detail: JsonObject) -> None:
        report_evidence(self.ctx, self.report, code, self.stored.package, detail)
