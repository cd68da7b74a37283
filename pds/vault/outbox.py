"""What is still to be sent, in order. Every step can be repeated, so a crash loses nothing."""

from dataclasses import dataclass

from did.json import JsonObject
from did.multikey import multihash_sha256
from did.time import parse_time
from pds.errors import PdsError
from pds.log.entry import VerifiedReceipt, verify_receipt
from pds.mailbox import RelayError, RelayUnreachable
from pds.vault.context import Context, HomeRelay
from pds.vault.errors import VaultError
from pds.vault.store.rows import Job, Relationship

GONE = frozenset({"relay.ended", "relay.not_found"})


@dataclass(frozen=True, slots=True)
class PushReport:
    """What was sent, and what still waits with the code of its problem."""

    sent: int
    waiting: tuple[tuple[str, str], ...]

    @property
    def complete(self) -> bool:
        return not self.waiting


def push(ctx: Context) -> PushReport:
    """Send what is queued. A failed owner call holds back what follows it in its relationship;
    a failed deposit holds back only later deposits; the end of a package waits for nothing.

    Never raises for a relay's refusal or absence: it is in the report, and stays queued.
    """
    sent, waiting = 0, []
    stopped: set[tuple[int, str]] = set()
    jobs = ctx.exchange.jobs()
    if jobs:
        try:
            ctx.meet_relay()
        except PdsError as error:
            return PushReport(sent=0, waiting=tuple((job.kind, error.code) for job in jobs))
    for job in jobs:
        side = "deposit" if job.kind == "deposit" else "owner"
        held = (job.relationship, side) in stopped or (
            side == "deposit" and (job.relationship, "owner") in stopped
        )
        if held and job.kind != "end":
            waiting.append((job.kind, "outbox.held_back"))
            continue
        try:
            _carry_out(ctx, job)
        except PdsError as error:
            waiting.append((job.kind, error.code))
            stopped.add((job.relationship, side))
            with ctx.transaction():
                ctx.exchange.set_problem(job.n, error.code)
            if isinstance(error, RelayUnreachable) and side == "owner":
                stopped.update((r.index, "owner") for r in ctx.exchange.relationships())
            continue
        sent += 1
    return PushReport(sent=sent, waiting=tuple(waiting))


def _carry_out(ctx: Context, job: Job) -> None:
    relationship = ctx.exchange.relationship(job.relationship)
    if job.kind == "deposit":
        client = ctx.client(str(job.payload["relay"]))
        receipt = client.deposit(
            str(job.payload["mailbox"]), str(job.payload["capability"]), job.octets or b""
        )
        home = ctx.home()
        if home.url == client.relay:  # another relay's log key is not known here
            _check(home, receipt, "deposit", "mailbox", str(job.payload["mailbox"]))
        with ctx.transaction():
            ctx.exchange.finish(job.n)
            ctx.log("sent", relationship.company, {"message": job.ref, "receipt": receipt})
        return
    done = _owner_call(ctx, relationship, job)
    with ctx.transaction():
        if job.kind == "package" and done is not None:
            entry = _check(ctx.home(), done, "staging", "package", job.ref).receipt.entry
            if entry["sha256"] != multihash_sha256(job.octets or b""):
                raise _wrong_receipt()
            ctx.exchange.set_staging_receipt(job.ref, _whole(entry["seq"]), done)
        elif job.kind == "status" and done is not None:
            _check(ctx.home(), done, "status", "list", job.ref)
        elif job.kind == "end" and done is not None:
            _check(ctx.home(), done, "end", "package", job.ref)
            ctx.log("relay deleted", job.ref, {"receipt": done})
        ctx.exchange.finish(job.n)


def _owner_call(ctx: Context, relationship: Relationship, job: Job) -> JsonObject | None:
    mailbox = ctx.mailbox(relationship)
    payload = job.payload
    if job.kind == "mailbox":
        mailbox.create(token=ctx.exchange.setting("relay_token"))
        return None
    if job.kind == "capability":
        mailbox.put_capability(
            job.ref,
            hash_=str(payload["hash"]),
            max_envelopes=_whole(payload["maxEnvelopes"]),
            max_bytes=_whole(payload["maxBytes"]),
            expires=parse_time(str(payload["expires"])),
        )
        return None
    if job.kind == "status":
        return mailbox.put_status(job.ref, _object(payload["credential"]))
    if job.kind == "package":
        return mailbox.put_package(
            job.ref,
            ticket=_object(payload["ticket"]),
            manifest=_object(payload["manifest"]),
            sealed=job.octets or b"",
            uses=_whole(payload["uses"]),
        )
    try:
        return mailbox.end_package(job.ref)
    except RelayError as error:
        if error.code in GONE:  # never staged, or gone already: nothing left to delete
            return None
        raise


def _check(
    home: HomeRelay, receipt: JsonObject, kind: str, name: str, expected: str
) -> VerifiedReceipt:
    entry = receipt.get("entry")
    origin = home.log_origin
    verified = verify_receipt(receipt, origin=origin, log_key=home.log_key)
    if not isinstance(entry, dict) or entry.get("type") != kind or entry.get(name) != expected:
        raise _wrong_receipt()
    return verified


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
