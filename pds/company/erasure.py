"""What is erased when a grant ends, what stays on another basis, and the signed word about it.

A withdrawal erases at once. A grant that has run its time is not used any more from that moment,
and erased when the retention it allowed is over. Either way only those paths stay for which the
request named another basis, until the day it gives, and the holder is told.

The attestation names as told the recipients that the request named: telling them is the company's
own duty (GDPR art. 19), and the event ``recipients to tell`` is the list to work from.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from did.errors import DidError
from did.json import Json, JsonObject
from pds.company.context import Context
from pds.company.outbox import queue_message
from pds.company.store.rows import GrantRow, RetentionRow
from pds.errors import PdsError
from pds.messages.notices import ErasureAttestation, RetainedData
from pds.messages.request import Purpose, Retained

_LAST = datetime.max.replace(microsecond=0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ExpiryReport:
    """How many grants ended by time, and from how many grants something was erased; ``problems``
    are codes with the grant that they concern."""

    ended: int
    erased: int
    problems: tuple[tuple[str, str], ...] = ()


def end_grant(ctx: Context, grant: GrantRow, *, kind: str, erase: bool = True) -> bool:
    """End a grant for good and, with ``erase``, erase what was held under it and queue the
    attestation; all in one transaction. ``kind`` is the holder's verb, ``status`` when the list
    told us first, or ``expired``. Returns whether anything changed.
    """
    changed = False
    with ctx.transaction():
        row = ctx.store.grant(grant.digest)
        if row is None or row.erased is not None:
            return False
        now = ctx.now()
        if row.ended is None:
            changed = True
            ended = row.valid_until if kind == "expired" else now
            ctx.store.set_ended(row.digest, kind=kind, at=ended)
            ctx.event("ended", row.id, {"kind": kind})
        for redemption in ctx.store.redemptions(grant=row.digest, state="sent"):
            # An answer that is still on its way must not be taken in any more.
            ctx.store.close_redemption(redemption.id, state="lost", code="company.ended")
        if erase:
            changed = True
            start = row.valid_until if kind == "expired" else now
            _erase(ctx, row, start=start, now=now)
    if erase:
        ctx.store.compact()
    return changed


def expire(ctx: Context) -> ExpiryReport:
    """End what has run its time, and erase what may be kept no longer. A grant with which that
    cannot be done is reported, and stops none of the others."""
    now, ended, erased = ctx.now(), 0, 0
    problems: list[tuple[str, str]] = []
    for grant in ctx.store.grants():
        if grant.erased is not None:
            continue
        try:
            if grant.ended is None and now >= grant.valid_until:
                ended += end_grant(ctx, grant, kind="expired", erase=False)
            if now >= erase_at(grant):
                erased += end_grant(ctx, grant, kind="expired")
        except (PdsError, DidError, OverflowError) as error:
            problems.append((str(getattr(error, "code", "company.dates")), grant.id))
    for grant in ctx.store.retained_grants():
        try:
            erased += _end_retention(ctx, grant, now)
        except (PdsError, DidError, OverflowError) as error:
            problems.append((str(getattr(error, "code", "company.dates")), grant.id))
    return ExpiryReport(ended=ended, erased=erased, problems=tuple(problems))


def erase_at(grant: GrantRow) -> datetime:
    """When the values must be erased at the latest, should the grant run its time."""
    try:
        return grant.valid_until + timedelta(days=retention_days(grant))
    except OverflowError:  # the calendar is over before
        return _LAST


def retention_days(grant: GrantRow) -> int:
    """Days for which the values may be kept, unused, after the grant has run its time."""
    subject = grant.raw["credentialSubject"]
    days = subject.get("retentionDays") if isinstance(subject, dict) else None
    return days if isinstance(days, int) else 0


def _erase(ctx: Context, grant: GrantRow, *, start: datetime, now: datetime) -> None:
    purpose = ctx.purpose_of(grant)
    received = {
        path
        for done in ctx.store.redemptions(grant=grant.digest, state="done")
        for path in done.paths
    }
    held = {row.path for row in ctx.store.held(grant.digest)}
    kept_until: list[tuple[Retained, frozenset[str], datetime]] = []
    for kept in purpose.retained:
        paths, until = kept.paths & held, start + timedelta(days=kept.days)
        if paths and until > now:
            kept_until.append((kept, paths, until))
    for kept, paths, until in kept_until:
        for path in paths:
            ctx.store.add_retention(
                RetentionRow(grant.digest, path, kept.basis, until, dict(kept.reason))
            )
    stays = frozenset(path for _, paths, _ in kept_until for path in paths)
    ctx.store.erase_held(grant.digest, except_paths=stays)
    ctx.store.set_erased(grant.digest, now)
    _attest(
        ctx,
        grant,
        erased=frozenset(received) - stays,
        retained=tuple(
            RetainedData(paths, kept.basis, until, kept.reason) for kept, paths, until in kept_until
        ),
        purpose=purpose,
        now=now,
    )


def _end_retention(ctx: Context, grant: GrantRow, now: datetime) -> bool:
    """Erase what was kept on another basis and whose day has come; and say so."""
    with ctx.transaction():
        before = {row.path for row in ctx.store.retentions(grant.digest)}
        ctx.store.drop_retentions(grant.digest, through=now)
        left = ctx.store.retentions(grant.digest)
        over = before - {row.path for row in left}
        if not over:
            return False
        stays = frozenset(row.path for row in left)
        ctx.store.erase_held(grant.digest, except_paths=stays)
        groups: dict[tuple[str, datetime], list[RetentionRow]] = {}
        for row in left:
            groups.setdefault((row.basis, row.until), []).append(row)
        _attest(
            ctx,
            grant,
            erased=frozenset(over),
            retained=tuple(
                RetainedData(
                    frozenset(row.path for row in rows), basis, until, _words(rows[0].reason)
                )
                for (basis, until), rows in sorted(groups.items(), key=lambda item: item[0])
            ),
            purpose=ctx.purpose_of(grant),
            now=now,
        )
    ctx.store.compact()
    return True


def _attest(
    ctx: Context,
    grant: GrantRow,
    *,
    erased: frozenset[str],
    retained: tuple[RetainedData, ...],
    purpose: Purpose,
    now: datetime,
) -> None:
    told = frozenset(recipient.name for recipient in purpose.recipients)
    attestation = ErasureAttestation(
        grant=grant.digest,
        seqs=frozenset(
            done.seq
            for done in ctx.store.redemptions(grant=grant.digest, state="done")
            if done.seq is not None
        ),
        erased_at=now,
        erased=erased,
        retained=retained,
        recipients_to_tell=told,
    )
    body = attestation.to_json()
    message = queue_message(ctx, ctx.request_of(grant), kind="ErasureAttestation", body=body)
    ctx.store.add_attestation(grant.digest, message, body, now)
    ctx.event("erased", grant.id, {"erased": list[Json](sorted(erased))})
    if told:
        ctx.event("recipients to tell", grant.id, {"names": list[Json](sorted(told))})


def _words(reason: JsonObject) -> dict[str, str]:
    return {language: str(text) for language, text in reason.items()}
