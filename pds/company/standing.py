"""Whether a grant still stands: the holder's status list, and the relay's stamp that it is new.

A list that cannot be had, or whose stamp is over, never counts as "not withdrawn".
"""

from datetime import datetime, timedelta
from functools import partial

from credentials.errors import CredentialError, StatusInvalid, StatusUnchecked
from credentials.grant import WITHOUT_STATUS, VerifiedGrant, verify_grant
from credentials.status import VerifiedStatusList, verify_stamp, verify_status_list
from did.errors import DidError
from did.json import JsonObject
from pds.company.context import Context, damaged
from pds.company.keychange import with_newest
from pds.company.logkeys import line_of
from pds.company.store.rows import GrantRow, StatusRow
from pds.errors import PdsError


def standing(
    ctx: Context, grant: GrantRow, *, now: datetime, refresh: bool = False
) -> VerifiedGrant:
    """The grant, verified from its bytes as in force now and not withdrawn.

    The list that is kept is used as long as the relay's stamp on it is good (24 hours at most);
    then, or with ``refresh``, it is fetched. Raises what ``verify_grant`` raises; whatever keeps
    the status from being known is ``StatusUnchecked`` or ``StatusInvalid``.
    """
    found = None if refresh else _kept(ctx, grant, now)
    if found is None:
        found = fetch_status(ctx, grant, now=now)
    return verify_grant(
        grant.raw,
        purpose=None,
        audience=ctx.did,
        status=found.raw,
        now=now,
        sandbox=ctx.sandbox,
    )


def known_grant(ctx: Context, grant: GrantRow, *, now: datetime) -> VerifiedGrant:
    """The grant as it was accepted, *whether or not* it still stands: what it says, not more."""
    return verify_grant(
        grant.raw,
        purpose=None,
        audience=ctx.did,
        status=WITHOUT_STATUS,
        now=min(max(now, grant.valid_from), grant.valid_until - timedelta(seconds=1)),
        sandbox=ctx.sandbox,
    )


def fetch_status(ctx: Context, grant: GrantRow, *, now: datetime) -> VerifiedStatusList:
    """Get the newest list from the holder's relay, verify it with its stamp, and keep it.

    Raises ``StatusUnchecked`` (``status.unavailable``, ``status.stale``) and ``StatusInvalid``; a
    list that must not be believed, or an older one than before, is noted as a problem.
    """
    relay = ctx.request_of(grant).relay
    if relay is None:
        raise damaged()
    try:
        credential, stamp = ctx.client(relay).status(grant.status_list)
    except PdsError as error:
        raise StatusUnchecked(
            "the status list could not be had", code="status.unavailable", hint="Try later."
        ) from error
    try:
        found = with_newest(
            ctx,
            ctx.request_of(grant),
            "proof.not_by_controller",
            partial(_verify, ctx, grant, credential, stamp, now),
        )
    except StatusUnchecked:
        raise
    except (CredentialError, DidError) as error:
        with ctx.transaction():
            ctx.problem(error.code, grant.id, {"list": grant.status_list})
        if isinstance(error, StatusInvalid):
            raise
        raise StatusInvalid("the status list must not be believed") from error
    except PdsError as error:
        raise StatusUnchecked(
            "the relay does not say whether its key has changed",
            code="status.unavailable",
            hint="Try later.",
        ) from error
    if stamp is not None:
        row = StatusRow(grant.status_list, found.sequence, found.raw, stamp, now)
        with ctx.transaction():
            ctx.store.set_status(row)
    return found


def _kept(ctx: Context, grant: GrantRow, now: datetime) -> VerifiedStatusList | None:
    row = ctx.store.status(grant.status_list)
    if row is None:
        return None
    try:
        return _verify(ctx, grant, row.credential, row.stamp, now)
    except (CredentialError, DidError):
        return None


def _verify(
    ctx: Context, grant: GrantRow, credential: bytes, stamp: JsonObject | None, now: datetime
) -> VerifiedStatusList:
    """The list is the holder's, not over and not older than one seen before; the stamp is the
    newest log key's, for this very list, and not over."""
    request, seen = ctx.request_of(grant), ctx.store.status(grant.status_list)
    found = verify_status_list(
        credential,
        now=now,
        expected_issuer=grant.person,
        expected_url=grant.status_list,
        min_sequence=None if seen is None else seen.sequence,
    )
    if stamp is None:
        raise StatusUnchecked("the relay did not stamp the status list", code="status.stale")
    stamped = verify_stamp(
        stamp,
        log_key=line_of(ctx, request)[-1],
        expected_digest=found.digest,
        now=now,
    )
    if (
        f"{stamped.relay}/v1/status/{stamped.list_id}" != grant.status_list
        or stamped.sequence != found.sequence
    ):
        raise StatusInvalid("the stamp is for another status list", code="status.stamp")
    return found
