"""What is still to be sent. Every step can be repeated, so a crash loses nothing.

What waits for what is decided here, and for as little as possible, so that a relay that refuses
one thing cannot hold back another:

    mailbox, capability     nothing
    status                  the mailbox
    package                 mailbox and status list
    end of a package        nothing
    Decision                everything its relationship has yet to stage
    PackageUpdated          its package
    DidChange               nothing else; it is queued when our own relay has all it tells of but
                            the packages, which must not hold back a withdrawal behind it
    public identity         nothing; it is no job, but waits until the relay has its log
    anchor                  what its relationship has yet to stage; it is no job, but due as long
                            as the one in the mailbox is not of today
    every message           the earlier ones of its own thread
    Withdrawal              nothing else: it goes out even while our own relay fails
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from did.json import JsonObject
from did.multikey import multihash_sha256
from did.time import parse_time
from pds.errors import PdsError
from pds.log.entry import Receipt
from pds.mailbox import OwnedMailbox, RelayError
from pds.vault import anchors
from pds.vault.context import Context, other_copy
from pds.vault.errors import VaultError
from pds.vault.hosting import publish as publish_identity
from pds.vault.logwatch import keep_receipt
from pds.vault.staging import queue_mailbox, sign_status
from pds.vault.store.rows import Job, Relationship

_OWNER = frozenset({"mailbox", "capability", "status", "package"})
# No later attempt at the same call can succeed.
_UNDELIVERABLE = frozenset(
    {"relay.capability", "relay.not_found", "relay.ended", "relay.too_large"}
)
_NOT_STAGED = frozenset(
    {
        "relay.seq",
        "relay.ended",
        "relay.conflict",
        "relay.withdrawn",
        "relay.expired",
        "relay.wrong_relay",
        "relay.malformed",
        "relay.too_large",
    }
)
_ANOTHER_WROTE = frozenset({"relay.sequence", "relay.bits_cleared"})
_GONE = frozenset({"relay.ended", "relay.not_found"})


@dataclass(frozen=True, slots=True)
class PushReport:
    """What was sent, what still waits with the code of its problem, and what was given up."""

    sent: int
    waiting: tuple[tuple[str, str], ...]
    dropped: tuple[tuple[str, str], ...] = ()

    @property
    def complete(self) -> bool:
        return not self.waiting and not self.dropped


class _GaveUp(Exception):
    """The call can never succeed; its job is gone, and why is kept as evidence."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class _Held:
    """What failed in this round, by relationship or thread."""

    kinds: set[tuple[int, str]] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)
    threads: set[str] = field(default_factory=set)

    def holds(self, job: Job) -> bool:
        failed = {kind for relationship, kind in self.kinds if relationship == job.relationship}
        if job.kind == "status":
            return "mailbox" in failed
        if job.kind == "package":
            return bool(failed & {"mailbox", "status"})
        if job.kind != "deposit":
            return False
        return (
            str(job.payload["thread"]) in self.threads
            or (job.payload["type"] == "Decision" and bool(failed & _OWNER))
            or (
                job.payload["type"] == "PackageUpdated"
                and str(job.payload["package"]) in self.packages
            )
        )

    def add(self, job: Job) -> None:
        if job.kind == "deposit":
            self.threads.add(str(job.payload["thread"]))
            return
        self.kinds.add((job.relationship, job.kind))
        if job.kind == "package":
            self.packages.add(job.ref)


def push(ctx: Context) -> PushReport:
    """Send what is queued. Never raises for a relay's refusal or absence: what waits is in the
    report and stays queued; what can never be sent is dropped, with evidence."""
    jobs, identities = ctx.exchange.jobs(), ctx.identities.waiting()
    if not jobs and not identities and not anchors.due(ctx):
        anchors.note_done(ctx)
        return PushReport(0, ())
    home = _home_problem(ctx)
    sent, held = 0, _Held()
    waiting: list[tuple[str, str]] = []
    dropped: list[tuple[str, str]] = []
    for job in jobs:
        code = home if job.kind != "deposit" else None
        if code is None and held.holds(job):
            code = "outbox.held_back"
        if code is None:
            try:
                _carry_out(ctx, job)
                sent += 1
                continue
            except _GaveUp as given_up:
                dropped.append((job.kind, given_up.code))
                continue
            except PdsError as error:
                code = error.code
        waiting.append((job.kind, code))
        held.add(job)
        with ctx.transaction():
            ctx.exchange.set_problem(job.n, code)
    for identity in identities:
        code = home
        if code is None:
            try:
                publish_identity(ctx, identity)
                sent += 1
                continue
            except PdsError as error:
                code = error.code
        waiting.append(("identity", code))
    sent += _anchor(ctx, home, waiting)
    return PushReport(sent, tuple(waiting), tuple(dropped))


def _anchor(ctx: Context, home: str | None, waiting: list[tuple[str, str]]) -> int:
    """Put the anchors that are due; how many were. Those that must wait are added to the others."""
    put, failed = 0, False
    for relationship in anchors.due(ctx):
        code = home
        if code is None:
            try:
                anchors.put(ctx, relationship)
                put += 1
                continue
            except PdsError as error:
                code = error.code
        failed = True
        waiting.append(("anchor", code))
    if not failed:
        anchors.note_done(ctx)
    return put


def _home_problem(ctx: Context) -> str | None:
    """Why nothing can be sent to the home relay now, if so."""
    try:
        home = ctx.meet_relay()
    except PdsError as error:
        return error.code
    if home.log_origin != ctx.setting("log_origin"):
        return "relay.new_log"  # 'sync' looks into that first
    return None


def _carry_out(ctx: Context, job: Job) -> None:
    relationship = ctx.exchange.relationship(job.relationship)
    if job.kind == "deposit":
        _deposit(ctx, relationship, job)
    elif job.kind == "status":
        _publish_status(ctx, relationship, job)
    elif job.kind == "package":
        _stage(ctx, relationship, job)
    elif job.kind == "end":
        _end(ctx, relationship, job)
    elif job.kind == "mailbox":
        ctx.mailbox(relationship).create(token=ctx.exchange.setting("relay_token"))
        _finish(ctx, job)
    else:
        ctx.mailbox(relationship).put_capability(
            job.ref,
            hash_=str(job.payload["hash"]),
            max_envelopes=_whole(job.payload["maxEnvelopes"]),
            max_bytes=_whole(job.payload["maxBytes"]),
            expires=parse_time(str(job.payload["expires"])),
        )
        _finish(ctx, job)


def _finish(ctx: Context, job: Job, receipt: JsonObject | None = None) -> None:
    with ctx.transaction():
        if receipt is not None:
            keep_receipt(ctx, receipt)
        ctx.exchange.finish(job.n)


def _give_up(ctx: Context, job: Job, code: str, subject: str) -> _GaveUp:
    with ctx.transaction():
        ctx.exchange.finish(job.n)
        ctx.exchange.add_evidence(
            code=code, detail={"call": job.kind, "about": job.ref}, at=ctx.now()
        )
        ctx.log("problem", subject, {"code": code})
    return _GaveUp(code)


def _deposit(ctx: Context, relationship: Relationship, job: Job) -> None:
    client = ctx.client(str(job.payload["relay"]))
    mailbox, octets = str(job.payload["mailbox"]), ctx.exchange.octets(job.n)
    if octets is None:
        return
    try:
        receipt = client.deposit(mailbox, str(job.payload["capability"]), octets)
    except RelayError as error:
        if error.code in _UNDELIVERABLE:
            raise _give_up(ctx, job, "message.undeliverable", relationship.company) from error
        raise
    with ctx.transaction():
        if client.relay == ctx.exchange.setting(
            "relay"
        ):  # another relay's log is not ours to judge
            keep_receipt(ctx, receipt)
        ctx.exchange.finish(job.n)
        ctx.log("sent", relationship.company, {"message": job.ref, "receipt": receipt})


def _publish_status(ctx: Context, relationship: Relationship, job: Job) -> None:
    """Sign the list as it stands now, so that nothing queued can grow stale, and publish it."""
    with _mailbox_there(ctx, relationship) as mailbox:
        receipt, sequence = _put_status(ctx, mailbox, relationship.index, job.ref)
    entry = Receipt.parse(receipt).entry
    if entry.get("type") != "status" or entry.get("list") != job.ref:
        raise _wrong_receipt()
    with ctx.transaction():
        keep_receipt(ctx, receipt)
        if ctx.exchange.relationship(relationship.index).status_sequence == sequence:
            ctx.exchange.finish(job.n)  # else something was revoked meanwhile, and is not out yet


def _put_status(
    ctx: Context, mailbox: OwnedMailbox, index: int, list_id: str
) -> tuple[JsonObject, int]:
    """The receipt for a list signed now, and its sequence."""
    while True:
        credential, sequence = sign_status(ctx, index)
        try:
            return mailbox.put_status(list_id, credential), sequence
        except RelayError as error:
            if error.code not in _ANOTHER_WROTE:
                raise
            if ctx.exchange.relationship(index).status_sequence == sequence:
                raise other_copy(ctx) from error
            # Another program on this vault has signed a newer one since.


def _stage(ctx: Context, relationship: Relationship, job: Job) -> None:
    sealed = ctx.exchange.octets(job.n)
    if sealed is None:
        return
    if len(sealed) > ctx.max_sealed:
        # The relay takes less than when this was queued. It would break off, and say nothing.
        raise _give_up(ctx, job, "relay.too_large", job.ref)
    try:
        with _mailbox_there(ctx, relationship) as mailbox:
            receipt = mailbox.put_package(
                job.ref,
                ticket=_object(job.payload["ticket"]),
                manifest=_object(job.payload["manifest"]),
                sealed=sealed,
                uses=_whole(job.payload["uses"]),
            )
    except RelayError as error:
        if error.code not in _NOT_STAGED:
            raise
        _learn_version(ctx, relationship, job)
        raise _give_up(ctx, job, error.code, job.ref) from error
    entry = Receipt.parse(receipt).entry
    if (
        entry.get("type") != "staging"
        or entry.get("package") != job.ref
        or entry.get("sha256") != multihash_sha256(sealed)
    ):
        raise _wrong_receipt()
    with ctx.transaction():
        keep_receipt(ctx, receipt)
        ctx.exchange.set_staging_receipt(job.ref, _whole(entry["seq"]), receipt)
        ctx.exchange.finish(job.n)


def _learn_version(ctx: Context, relationship: Relationship, job: Job) -> None:
    """The relay holds another version than we thought: the next one goes on from there."""
    for shown in ctx.mailbox(relationship).info().packages:
        grant = ctx.exchange.grant_by_package(job.ref)
        if shown.package == job.ref and grant is not None and shown.seq >= grant.seq:
            with ctx.transaction():
                ctx.exchange.set_package_version(grant.digest, seq=shown.seq, content="")


def _end(ctx: Context, relationship: Relationship, job: Job) -> None:
    try:
        receipt = ctx.mailbox(relationship).end_package(job.ref)
    except RelayError as error:
        grant = ctx.exchange.grant_by_package(job.ref)
        over = grant is None or ctx.now() >= parse_time(str(grant.raw["validUntil"]))
        if error.code not in _GONE or (ctx.exchange.was_staged(job.ref) and not over):
            raise  # it signed for this package: that it does not know it now is no receipt
        _finish(ctx, job)
        return
    entry = Receipt.parse(receipt).entry
    if entry.get("type") != "end" or entry.get("package") != job.ref:
        raise _wrong_receipt()
    with ctx.transaction():
        keep_receipt(ctx, receipt)
        ctx.exchange.finish(job.n)
        ctx.log("relay deleted", job.ref, {"receipt": receipt})


@contextmanager
def _mailbox_there(ctx: Context, relationship: Relationship) -> Iterator[OwnedMailbox]:
    """The mailbox; when the relay does not know it (it came back from a backup), it is queued to
    be made anew, and the call is left for the next round."""
    try:
        yield ctx.mailbox(relationship)
    except RelayError as error:
        if error.code == "relay.not_found":
            with ctx.transaction():
                queue_mailbox(ctx, relationship)
        raise


def _wrong_receipt() -> VaultError:
    return VaultError(
        "the relay's receipt is for something else",
        code="relay.wrong_receipt",
        hint="Try again. If it stays so, the relay does not work as it should: choose another.",
        exit_code=4,
    )


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_receipt()
    return value


def _object(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise VaultError("a queued call is damaged", code="vault.damaged")
    return value
