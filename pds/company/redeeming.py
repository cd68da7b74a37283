"""Redeeming a grant at the holder's relay, so that no answer is lost and no use is spent twice.

The redemption is written down before it is sent. An answer that did not arrive is fetched again
by its id, uncounted, before the same grant is ever redeemed anew.
"""

from dataclasses import dataclass, field
from datetime import datetime

from credentials.errors import (
    CredentialError,
    StatusInvalid,
    StatusUnchecked,
    TimeInvalid,
    Withdrawn,
)
from credentials.grant import VerifiedGrant
from did.errors import DidError
from did.json import JsonObject, digest
from did.keys import SigningKey
from pds.company.context import Context, damaged, seed
from pds.company.erasure import end_grant
from pds.company.errors import CompanyError, NoBasis
from pds.company.receipts import belongs, verify_receipt
from pds.company.standing import known_grant, standing
from pds.company.store.rows import GrantRow, HeldRow, RedemptionRow, RequestRow
from pds.errors import PdsError
from pds.log.entry import VerifiedReceipt
from pds.mailbox import RelayError, RelayNonsense, RelayUnreachable
from pds.messages.fields import Fields
from pds.messages.package import Package, PackageItem, open_package
from pds.messages.redemption import present
from pds.messages.request import ReplyAddress
from pds.sealing import SealingKey
from pds.wire import Answer, Manifest

# The relay does not have the answer, and never will.
_LOST = frozenset({"relay.not_found", "relay.ended", "relay.withdrawn"})


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What one redemption brought: the newest version of the data, and the relay's receipt.

    ``ordinal`` counts the events of the package at the relay; ``recovered`` says that the answer
    was fetched again, which costs no use. ``logged`` is false when the receipt does not belong to
    the log that was seen before: the data is the holder's all the same, the relay is to be
    doubted.
    """

    grant: str
    items: tuple[PackageItem, ...] = field(repr=False)
    seq: int
    ordinal: int
    receipt: JsonObject = field(repr=False)
    recovered: bool
    logged: bool


def redeem(ctx: Context, grant: GrantRow) -> Redeemed:
    """Redeem a grant; an unfinished redemption of it is recovered instead.

    Raises ``RelayError`` with the relay's code, ``RelayUnreachable`` (the answer, if there is one,
    can be recovered), ``PackageRefused``, ``LogError``, ``NoBasis``, ``CompanyError``
    (``company.ended``, ``company.receipt``). What was received is stored in whole or not at all.
    """
    if grant.ended is not None:
        raise CompanyError("the grant is over", code="company.ended")
    for unfinished in ctx.store.redemptions(grant=grant.digest, state="sent"):
        recovered = recover_one(ctx, unfinished)
        if recovered is not None:
            return recovered
    request = ctx.request_of(grant)
    if request.relay is None or request.reply is None:
        raise damaged()
    client, now = ctx.client(request.relay), ctx.now()
    key = _key(request)
    presentation = present(
        grant.ticket,
        grant=known_grant(ctx, grant, now=now),  # whether it may be redeemed is the relay's to say
        package_id=grant.package,
        key=key,
        holder=ReplyAddress.parse(Fields(request.reply)).sealing_key,
        relay=request.relay,
        challenge=client.challenge(),
        last_receipt=grant.leaf,
        now=now,
        random=ctx.random,
    )
    redemption_id = digest(presentation)
    with ctx.transaction():
        ctx.store.add_redemption(
            redemption_id, grant.digest, presentation, now, announced=grant.announced
        )
    try:
        answer = client.redeem(presentation, key)
    except RelayUnreachable as error:
        raise RelayUnreachable(
            "the relay's answer did not arrive",
            hint="Redeem again: the answer is fetched once more and costs no use.",
        ) from error
    except RelayNonsense as error:
        with ctx.transaction():
            ctx.problem(error.code, grant.id)
        raise
    except RelayError as error:
        if error.code == "relay.replayed":  # it was carried out: only the answer is missing
            answer = client.recover(redemption_id, key)
        else:
            _refused(ctx, grant, redemption_id, error)
            raise
    except PdsError as error:  # nothing was sent
        _refused(ctx, grant, redemption_id, error)
        raise
    return _take_in(ctx, grant, redemption_id, answer, announced=grant.announced, recovered=False)


def recover_one(ctx: Context, redemption: RedemptionRow) -> Redeemed | None:
    """Fetch the answer to an unfinished redemption; ``None`` when the relay never gave one.

    Raises as ``redeem`` does; then it stays unfinished, unless the answer itself was bad.
    """
    grant = ctx.store.grant(redemption.grant)
    if grant is None:
        raise damaged()
    request = ctx.request_of(grant)
    if request.relay is None:
        raise damaged()
    try:
        answer = ctx.client(request.relay).recover(redemption.id, _key(request))
    except RelayError as error:
        if error.code not in _LOST:
            raise
        with ctx.transaction():
            ctx.store.close_redemption(redemption.id, state="lost", code=error.code)
            ctx.event("redemption lost", grant.id, {"code": error.code})
        return None
    return _take_in(
        ctx, grant, redemption.id, answer, announced=redemption.announced, recovered=True
    )


def acknowledge(ctx: Context) -> int:
    """Tell relays which answers have arrived, so that they forget them; returns how many."""
    count = 0
    for done in ctx.store.unacknowledged():
        grant = ctx.store.grant(done.grant)
        if grant is None:
            continue
        request = ctx.request_of(grant)
        if request.relay is None or request.redemption_seed is None:
            continue
        try:
            ctx.client(request.relay).acknowledge(done.id, _key(request))
        except RelayError as error:
            if error.code not in _LOST:
                continue
        except PdsError:
            continue  # later
        with ctx.transaction():
            ctx.store.set_acknowledged(done.id)
        count += 1
    return count


def _take_in(
    ctx: Context,
    grant: GrantRow,
    redemption_id: str,
    answer: Answer,
    *,
    announced: int,
    recovered: bool,
) -> Redeemed:
    """Check an answer and store what it holds:

    1. its receipt is signed by the relay's log, and speaks of this redemption and these bytes
    2. the receipt belongs to the log that was seen before
    3. the grant stands: signed, within its window, not withdrawn
    4. the package is the holder's, for this grant, and no older than what we have, nor than what
       was ``announced`` when the relay was asked

    A failed check 1 or 4 is a problem, and the values are not kept. After 4 the redemption is
    closed as ``bad``; after 1, and when 3 could not be checked, it stays unfinished, for it was
    counted and can be fetched again. A failed check 2 is a problem too, but the holder signed the
    package, not the relay: the values are kept, and the receipt counts for nothing.
    """
    request, now = ctx.request_of(grant), ctx.now()
    try:
        receipt = _check_receipt(ctx, grant, request, redemption_id, answer)  # 1
    except PdsError as error:
        if error.exit_code != 4:
            with ctx.transaction():
                ctx.problem(error.code, grant.id, {"receipt": answer.receipt})
        raise
    logged = belongs(ctx, request, receipt, subject=grant.id)  # 2
    try:
        verified = _verified(ctx, grant)  # 3
        package = open_package(  # 4
            answer.sealed,
            answer.manifest,
            key=SealingKey.from_seed(seed(request.package_seed)),
            grant=verified,
            package_id=grant.package,
            ticket=grant.ticket_digest,
            at_least=max(grant.seq, announced, 1),
            now=now,
        )
    except (NoBasis, RelayUnreachable):
        raise
    except (PdsError, DidError, CredentialError) as error:
        with ctx.transaction():
            ctx.store.close_redemption(redemption_id, state="bad", code=error.code)
            ctx.problem(error.code, grant.id, {"receipt": answer.receipt})
        raise
    ordinal = _whole(receipt.receipt.entry["ordinal"])
    with ctx.transaction():
        current = ctx.store.grant(grant.digest)
        if current is None or current.ended is not None:  # withdrawn in the meantime
            raise NoBasis("the grant ended while it was redeemed", code="register.withdrawn")
        ctx.store.replace_held(grant.digest, _rows(grant, package, now))
        ctx.store.set_redeemed(grant.digest, seq=package.seq)
        if logged:
            leaf, origin = receipt.receipt.id, receipt.checkpoint.origin
            ctx.store.set_event(grant.digest, ordinal=ordinal, leaf=leaf, origin=origin)
        ctx.store.finish_redemption(
            redemption_id,
            seq=package.seq,
            ordinal=ordinal,
            paths=tuple(sorted({item.path for item in package.items})),
            receipt=answer.receipt,
        )
        ctx.event("redeemed", grant.id, {"seq": package.seq, "ordinal": ordinal})
    ctx.store.compact()
    acknowledge(ctx)
    return Redeemed(
        grant=grant.digest,
        items=package.items,
        seq=package.seq,
        ordinal=ordinal,
        receipt=answer.receipt,
        recovered=recovered,
        logged=logged,
    )


def _check_receipt(
    ctx: Context, grant: GrantRow, request: RequestRow, redemption_id: str, answer: Answer
) -> VerifiedReceipt:
    verified = verify_receipt(ctx, request, answer.receipt)
    entry, manifest = verified.receipt.entry, Manifest.parse(answer.manifest)
    ordinal = _whole(entry.get("ordinal"))
    # A relay from a backup counts on from what the backup knew, in a log of its own.
    same = grant.origin == verified.checkpoint.origin
    last, leaf = (grant.ordinal, grant.leaf) if same else (0, None)
    expected = {
        "type": "redemption",
        "relay": request.relay,
        "package": grant.package,
        "redemption": redemption_id,
        "seq": manifest.seq,
        "sha256": manifest.sha256,
    }
    if any(entry.get(name) != value for name, value in expected.items()) or (
        ordinal <= last
        # The events between, if any, are refusals that we did not see the receipts of.
        or (ordinal == last + 1 and entry.get("prev") != leaf)
        or (ordinal > 1) != ("prev" in entry)
    ):
        raise _wrong_receipt()
    return verified


def _verified(ctx: Context, grant: GrantRow) -> VerifiedGrant:
    """The grant as it stands now; otherwise ``NoBasis``, and an end that shows is acted on."""
    try:
        return standing(ctx, grant, now=ctx.now(), refresh=True)
    except Withdrawn as error:
        end_grant(ctx, grant, kind="status")
        raise NoBasis("the grant was withdrawn", code="register.withdrawn") from error
    except TimeInvalid as error:
        code = error.code.replace("credential.", "register.")
        raise NoBasis("the grant is over, or has not begun", code=code) from error
    except (StatusUnchecked, StatusInvalid) as error:
        raise status_stale() from error


def status_stale() -> NoBasis:
    """Whether the grant was withdrawn is not known, so it must not be used."""
    return NoBasis(
        "whether the grant was withdrawn cannot be checked now",
        code="register.status_stale",
        hint="The holder's relay does not answer as it should. Try again later.",
        exit_code=4,
    )


def _refused(ctx: Context, grant: GrantRow, redemption_id: str, error: PdsError) -> None:
    with ctx.transaction():
        ctx.store.close_redemption(redemption_id, state="refused", code=error.code)
        ctx.event("refused", grant.id, {"code": error.code})


def _rows(grant: GrantRow, package: Package, now: datetime) -> list[HeldRow]:
    return [
        HeldRow(
            grant.digest,
            item.path,
            item.schema,
            item.value,
            item.collected,
            item.source,
            item.assurance,
            item.about,
            package.seq,
            now,
        )
        for item in package.items
    ]


def _key(request: RequestRow) -> SigningKey:
    return SigningKey.from_seed(seed(request.redemption_seed))


def _whole(value: object) -> int:
    if type(value) is not int:
        raise _wrong_receipt()
    return value


def _wrong_receipt() -> CompanyError:
    return CompanyError(
        "the relay's receipt is not for this redemption",
        code="company.receipt",
        hint="It is kept as evidence. Tell the holder and the relay's operator.",
    )
