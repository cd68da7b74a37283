"""What is shared now, and everything that happened, from the vault's own rows."""

from dataclasses import dataclass
from datetime import datetime

from credentials.purposes import label
from did.json import JsonObject
from pds.messages.notices import ErasureAttestation
from pds.vault.context import Context
from pds.vault.staging import grant_of
from pds.vault.store.rows import StoredGrant


@dataclass(frozen=True, slots=True)
class Sharing:
    """One grant and where it stands.

    ``state`` ∈ scheduled, active, used up, expired, withdrawn, ended, objected, superseded (by the
    same grant under another DID); ``pending`` while something about it still waits to be sent.
    """

    grant: str
    company: str
    name: str
    purpose: str
    label: str
    fields: frozenset[str]
    state: str
    valid_from: datetime
    valid_until: datetime
    uses: int
    max_uses: int
    last_used: datetime | None
    follows_changes: bool
    pending: bool
    attested: tuple[ErasureAttestation, ...]


@dataclass(frozen=True, slots=True)
class Activity:
    """One line of the log: when, what, about whom, for which purpose, and what was wrong."""

    n: int
    at: datetime
    kind: str
    subject: str
    company: str
    purpose: str
    detail: JsonObject


_ENDED = {
    "withdraw": "withdrawn",
    "end": "ended",
    "object": "objected",
    "restored": "ended",
    "superseded": "superseded",
}


def sharing(ctx: Context) -> list[Sharing]:
    """Every grant ever given, the newest last."""
    jobs = ctx.exchange.jobs()
    waiting = {job.ref for job in jobs} | {job.payload.get("package") for job in jobs}
    lists = {job.relationship for job in jobs if job.kind == "status"}
    names = {r.index: r.name for r in ctx.exchange.relationships()}
    result = []
    for stored in ctx.exchange.grants():
        terms = grant_of(ctx, stored).terms
        taken = [e for e in ctx.exchange.events(stored.package) if e.kind == "redemption"]
        uses = len(taken) + ctx.successions.carried(stored.digest)
        result.append(
            Sharing(
                grant=stored.id,
                company=terms.company,
                name=names[stored.relationship],
                purpose=terms.request_purpose,
                label=label(terms.purpose),
                fields=terms.fields,
                state=_state(ctx, stored, uses),
                valid_from=terms.valid_from,
                valid_until=terms.valid_until,
                uses=uses,
                max_uses=terms.max_uses,
                last_used=taken[-1].at if taken else None,
                follows_changes=terms.follows_changes,
                pending=stored.package in waiting
                or (stored.package in waiting and stored.relationship in lists),
                attested=tuple(
                    ErasureAttestation.parse(_body(raw))
                    for raw in ctx.exchange.attestations(stored.digest)
                ),
            )
        )
    return result


def _state(ctx: Context, stored: StoredGrant, uses: int) -> str:
    terms, now = grant_of(ctx, stored).terms, ctx.now()
    if stored.end_kind is not None:
        return _ENDED[stored.end_kind]
    if now >= terms.valid_until:
        return "expired"
    if uses >= terms.max_uses:
        return "used up"
    return "scheduled" if now < terms.valid_from else "active"


def _body(raw: JsonObject) -> JsonObject:
    body = raw["body"]
    return body if isinstance(body, dict) else {}


def activity(ctx: Context, *, limit: int) -> list[Activity]:
    """The history, newest first, each line with the company and purpose it concerns."""
    grants = {g.id: grant_of(ctx, g).terms for g in ctx.exchange.grants()}
    names = {r.company: r.name for r in ctx.exchange.relationships()}
    result = []
    for entry in ctx.history.entries(limit=limit):
        terms = grants.get(entry.subject)
        company = terms.company if terms is not None else entry.subject
        result.append(
            Activity(
                n=entry.n,
                at=entry.at,
                kind=entry.kind,
                subject=entry.subject,
                company=names.get(company, company if company.startswith("did:") else ""),
                purpose=terms.request_purpose if terms is not None else "",
                detail=entry.detail,
            )
        )
    return result
