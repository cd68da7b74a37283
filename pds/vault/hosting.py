"""Where a public identity lies: bringing its log to the relay, and finding it after a restore.

What a relay or a web server shows is verified as by any stranger, and must besides be by the keys
that this vault derives; a server can be silent or behind, and no more.
"""

from datetime import UTC, datetime

from credentials.webvh import PROOFS
from did.errors import DidError
from did.identifier import Did
from did.json import parse_object
from did.methods import webvh
from did.methods.webvh import Log
from pds.mailbox import OwnedMailbox, RelayError
from pds.net import NetError
from pds.vault.context import SKEW, Context, other_copy
from pds.vault.errors import IdentityError, VaultError
from pds.vault.logwatch import keep_receipt
from pds.vault.store.identities import StoredIdentity

# Identities begun after a backup are looked for at the relay beyond so many empty places.
_GAP = 5
_ANY_TIME = datetime.max.replace(tzinfo=UTC)


def own_log(row: StoredIdentity) -> Log:
    """The log that the vault keeps, verified again (``vault.damaged``)."""
    try:
        # Whatever the clock says now: it is what was signed.
        log = webvh.read_log(row.log, Did.parse(row.did), proofs=PROOFS, now=_ANY_TIME)
    except DidError as error:
        raise _damaged() from error
    if log.fault is not None:
        raise _damaged() from log.fault
    return log


def publish(ctx: Context, row: StoredIdentity) -> None:
    """Bring the log of an identity to the relay; makes its mailbox where it is not there yet.

    Raises the relay's errors, ``LogError`` for a receipt that does not hold, and ``VaultError``
    (``vault.other_copy``) when the relay has another history than this vault.
    """
    place, mailbox = ctx.identity_place(row.generation, row.n), _mailbox(ctx, row.generation, row.n)
    try:
        try:
            receipt = mailbox.put_identity(place.id, did=row.did, log=row.log)
        except RelayError as error:
            if error.code != "relay.not_found":
                raise
            mailbox.create(token=ctx.exchange.setting("relay_token"))
            receipt = mailbox.put_identity(place.id, did=row.did, log=row.log)
    except RelayError as error:
        if error.code == "relay.history_cut":
            newer = ctx.identities.get(row.n)
            if newer.log != row.log:  # by another program on this vault
                publish(ctx, newer)
                return
            raise other_copy(ctx) from error
        raise
    with ctx.transaction():
        keep_receipt(ctx, receipt)
        ctx.identities.published(row.n, row.log)
        ctx.log("identity published", row.did, {"receipt": receipt})


def is_shown(ctx: Context, row: StoredIdentity) -> bool:
    """Whether the relay shows a stranger the log that this vault has its receipt for."""
    place = ctx.identity_place(row.generation, row.n)
    return ctx.client(ctx.setting("relay")).identity(place.id) == row.log


def recover(ctx: Context) -> None:
    """What a restored vault learns of its identities before it writes anything.

    1. Those that the relay hosts are as the relay has them, and older copies are fenced off.
    2. Those of other web servers are compared with what lies there; where that cannot be done
       they stay unchecked, and are looked at again before they are changed.
    3. Those begun since the backup are found at the relay, by index.

    Raises the relay's errors.
    """
    rows = ctx.identities.all()
    for row in rows:
        try:
            if row.relay is None:  # 2
                with ctx.transaction():
                    ctx.identities.leave_unchecked(row.n)
                look(ctx, row)
                continue
            raw = _held(ctx, row.generation, row.n)  # 1
            if raw is not None:
                _mailbox(ctx, row.generation, row.n).create()  # a write with the new epoch
            adopt(ctx, row, raw or b"")
        except IdentityError as error:
            with ctx.transaction():
                ctx.log("problem", row.did, {"code": error.code})
    if ctx.exchange.setting("relay") is not None:
        _find_newer(ctx, after=rows[-1].n if rows else -1)  # 3


def adopt(ctx: Context, row: StoredIdentity, published: bytes) -> None:
    """Take a published log in the place of the vault's, or note that the vault has more of it.

    What was published counts, also where the vault went on differently since its backup: the keys
    of either are the same, for they are derived. Raises ``IdentityError`` (``identity.foreign``).
    """
    if row.log.startswith(published):
        waits = row.relay is not None and published != row.log
        with ctx.transaction():
            ctx.identities.set_log(row.n, row.log, waits=waits)
        return
    log = _verified(ctx, published, generation=row.generation, n=row.n)
    if str(log.did) != row.did:
        raise _foreign()
    with ctx.transaction():
        ctx.identities.set_log(row.n, published, waits=False)
        ctx.log("identity recovered", row.did, {"version": log.last.number})


def look(ctx: Context, row: StoredIdentity) -> None:
    """Compare an identity with what its web server shows: ``identity.unchecked`` when that cannot
    be had, ``identity.foreign`` when it is something else."""
    try:
        published = ctx.transport.fetch(webvh.url_of(Did.parse(row.did)))
    except (DidError, NetError) as error:
        raise IdentityError(
            "this vault was restored, and the identity's log cannot be had from its web server",
            code="identity.unchecked",
            hint="Give the did.jsonl that was published last: pds identity recover FILE",
            exit_code=4,
        ) from error
    adopt(ctx, row, published)


def _find_newer(ctx: Context, *, after: int) -> None:
    n = last = after
    while n < last + _GAP:
        n += 1
        raw = _held(ctx, ctx.generation, n)
        if raw is None:
            continue
        try:
            log = _verified(ctx, raw, generation=ctx.generation, n=n)
        except IdentityError as error:
            with ctx.transaction():
                ctx.log("problem", "vault", {"code": error.code})
            continue
        last = n  # only by what nobody else can make, or a relay could lead on for ever
        did, relay = str(log.did), ctx.setting("relay")
        _mailbox(ctx, ctx.generation, n).create()
        with ctx.transaction():
            ctx.identities.add(n, generation=ctx.generation, did=did, relay=relay, log=raw)
            ctx.identities.published(n, raw)
            ctx.log("identity recovered", did, {"version": log.last.number})


def _verified(ctx: Context, raw: bytes, *, generation: int, n: int) -> Log:
    """A log as anybody verifies it, and by the keys of this very identity."""
    try:
        last = parse_object(raw.removesuffix(b"\n").rpartition(b"\n")[2])
        state = last.get("state")
        did = Did.parse(str(state.get("id")) if isinstance(state, dict) else "")
        log = webvh.read_log(raw, did, proofs=PROOFS, now=ctx.now() + SKEW)
    except DidError as error:
        raise _foreign() from error
    ours = ctx.identity_keys(generation, n, log.last.number).update.verify_key.multikey
    whole = raw.endswith(b"\n") and log.fault is None
    if not whole or log.last.parameters.update_keys != (ours,):
        raise _foreign()
    return log


def _held(ctx: Context, generation: int, n: int) -> bytes | None:
    """What the relay has of an identity, for its owner; None when it knows of none."""
    try:
        return _mailbox(ctx, generation, n).identity(ctx.identity_place(generation, n).id)
    except RelayError as error:
        if error.code in ("relay.not_found", "relay.ended"):
            return None
        raise


def _mailbox(ctx: Context, generation: int, n: int) -> OwnedMailbox:
    place = ctx.identity_place(generation, n)
    relay = ctx.client(ctx.setting("relay"))
    return relay.owner(place.mailbox_id, place.mailbox_key, ctx.epoch)


def _damaged() -> VaultError:
    return VaultError(
        "the log of the identity in this vault is damaged",
        code="vault.damaged",
        hint="Restore a backup with 'pds restore'.",
    )


def _foreign() -> IdentityError:
    return IdentityError(
        "what was published is not a sound log of this vault's identity",
        code="identity.foreign",
        hint="Ask whoever runs the server that hosts it; the vault keeps its own log.",
    )
