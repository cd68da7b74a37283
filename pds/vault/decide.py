"""Deciding a request: grants, tickets, denials and packages, all in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from credentials.grant import GrantTerms, issue_grant
from credentials.purposes import is_known, is_same_or_narrower
from credentials.status import StatusEntry
from credentials.ticket import issue_ticket, new_urn
from did.identifier import Did
from did.json import JsonObject, digest
from pds.messages.decision import AccessDenial, Decision
from pds.messages.request import AccessRequest, ReplyAddress
from pds.vault import consent
from pds.vault.consent import Accept, Answer, PurposeView, Refuse
from pds.vault.context import SKEW, Context, HomeRelay
from pds.vault.errors import ConsentError, NotFound
from pds.vault.relationships import STATUS_ENTRIES, begin_relationship, next_is_unused
from pds.vault.staging import (
    content_digest,
    grant_of,
    items_for,
    queue_message,
    queue_package,
    request_of,
    status_url,
)
from pds.vault.store.rows import Relationship, StoredGrant, StoredRequest
from pds.wire import new_id

REFUSED_FOR = timedelta(days=183)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one purpose."""

    purpose: str
    granted: bool
    fields: frozenset[str]
    grant_id: str | None


@dataclass(frozen=True, slots=True)
class _Made:
    outcome: Outcome
    grant: JsonObject
    ticket: JsonObject


def decide(
    ctx: Context, request_id: str, answers: Mapping[str, Answer], *, language: str = "en"
) -> tuple[Outcome, ...]:
    """Answer every purpose of a pending request, once. Everything is written together, and what
    is to be sent is queued: mailbox, status list, packages, then the decision.

    Raises ``NotFound``, ``ConsentError`` (``consent.*``), ``ClockWrong``; then nothing changed.
    """
    stored = ctx.exchange.request(request_id)
    if stored is None:
        raise NotFound("there is no such request", code="vault.not_found", hint="pds requests")
    _still_pending(ctx, request_id)
    request = request_of(stored)
    if ctx.now() >= request.expires:
        raise ConsentError("the request is over", code="consent.expired")
    if language != "en":
        raise ConsentError(
            "requests can be shown in English only, so far",
            code="consent.language",
            hint="Leave --language out.",
        )
    for purpose_id, answer in answers.items():
        if isinstance(answer, Accept) and not _is_known(request, purpose_id):
            raise ConsentError(
                f"'{purpose_id}' names a purpose that is not in the Data Privacy Vocabulary",
                code="consent.unknown_purpose",
                hint="What it would allow is unclear. Refuse it, or ask the company to mend it.",
            )
    if set(answers) != {purpose.id for purpose in request.purposes}:
        raise ConsentError(
            "every purpose needs an answer of its own",
            code="consent.incomplete",
            hint="It has: " + ", ".join(purpose.id for purpose in request.purposes),
        )
    views = {
        shown.purpose.id: shown
        for shown in consent.view(request, ctx.records, blocked=blocked(ctx, request))
    }
    for purpose_id, answer in answers.items():  # all of them, before anything is made
        if isinstance(answer, Accept):
            consent.check_answer(views[purpose_id], answer)
    home = ctx.home()
    _check_unused(ctx, request)
    with ctx.transaction():
        _still_pending(ctx, request_id)  # another program may have been quicker
        now = ctx.signing_time()
        relationship = _relationship(ctx, request, now=now)
        made = [
            _grant(
                ctx,
                stored=stored,
                request=request,
                relationship=relationship,
                home=home,
                shown=views[purpose_id],
                answer=answer,
                language=language,
                now=now,
            )
            for purpose_id, answer in answers.items()
            if isinstance(answer, Accept)
        ]
        refused = frozenset(p for p, answer in answers.items() if isinstance(answer, Refuse))
        for purpose_id in sorted(refused):
            ctx.exchange.refuse(
                host_of(request.controller.id),
                request.purpose(purpose_id).purpose,
                now + REFUSED_FOR,
            )
            ctx.log("refused", request.controller.id, {"purpose": purpose_id})
        _queue_decision(
            ctx,
            stored=stored,
            request=request,
            relationship=relationship,
            home=home,
            made=made,
            refused=refused,
            now=now,
        )
        ctx.exchange.close_request(request_id, state="decided", relationship=relationship.index)
    denied = [Outcome(p, granted=False, fields=frozenset(), grant_id=None) for p in sorted(refused)]
    return (*(m.outcome for m in made), *denied)


def _check_unused(ctx: Context, request: AccessRequest) -> None:
    while ctx.exchange.relationship_with(request.controller.id) is None:
        if next_is_unused(ctx):
            return


def _is_known(request: AccessRequest, purpose_id: str) -> bool:
    return any(p.id == purpose_id and is_known(p.purpose) for p in request.purposes)


def host_of(company: str) -> str:
    """The domain behind a company's DID: one domain is one asker, whatever paths it uses."""
    return Did.parse(company).id.partition(":")[0]


def _still_pending(ctx: Context, request_id: str) -> None:
    stored = ctx.exchange.request(request_id)
    if stored is None or stored.state != "pending":
        raise ConsentError("the request was decided before", code="consent.decided")


def blocked(ctx: Context, request: AccessRequest) -> dict[str, datetime]:
    """Purpose ids that may not be asked now: the same or narrower was refused within 183 days."""
    now, result = ctx.now(), {}
    for refused, until in ctx.exchange.refusals(host_of(request.controller.id)):
        for purpose in request.purposes:
            if now < until and is_same_or_narrower(purpose.purpose, refused):
                result[purpose.id] = until
    return result


def _relationship(ctx: Context, request: AccessRequest, *, now: datetime) -> Relationship:
    company = request.controller
    known = ctx.exchange.relationship_with(company.id)
    return known or begin_relationship(ctx, company.id, company.name, now=now)


def _grant(
    ctx: Context,
    *,
    stored: StoredRequest,
    request: AccessRequest,
    relationship: Relationship,
    home: HomeRelay,
    shown: PurposeView,
    answer: Accept,
    language: str,
    now: datetime,
) -> _Made:
    terms, purpose = consent.check_answer(shown, answer), shown.purpose
    keys = ctx.keys(relationship)
    start = now + answer.starts_in if answer.starts_in else now - SKEW
    until = (now if answer.starts_in is None else start) + terms.duration
    status = StatusEntry(
        list_url=status_url(home.url, keys.status_id), index=_free_index(ctx, relationship)
    )
    grant_id, package_id = new_urn(ctx.random), new_id(ctx.random)
    text = consent.text(shown, request, language=language, values=False)
    grant = issue_grant(
        GrantTerms(
            company=request.controller.id,
            request=stored.digest,
            request_purpose=purpose.id,
            purpose=purpose.purpose,
            basis=purpose.basis,
            processing=purpose.processing,
            fields=terms.fields,
            text_digest=consent.text_digest(text),
            text_language=language,
            decided_by="person",
            valid_from=start,
            valid_until=until,
            max_uses=terms.max_uses,
            min_interval=terms.min_interval,
            follows_changes=answer.follows_changes,
            retention_days=purpose.retention_days,
            sandbox=ctx.sandbox,
        ),
        key=keys.did_key,
        status=status,
        now=now,
        id=grant_id,
    )
    ticket = issue_ticket(
        key=keys.did_key,
        redemption_key_did=request.redemption_key,
        relay=home.url,
        package=package_id,
        valid_from=start,
        valid_until=until,
        max_uses=terms.max_uses,
        min_interval=terms.min_interval,
        grant_digest=digest(grant),
        status=status,
        now=now,
    )
    items = items_for(ctx, terms.fields)
    row = StoredGrant(
        digest=digest(grant),
        id=grant_id,
        request=request.id,
        relationship=relationship.index,
        raw=grant,
        ticket=ticket,
        ticket_digest=digest(ticket),
        package=package_id,
        status_index=status.index,
        seq=1,
        content=content_digest(items),
        ended=None,
        end_kind=None,
        created=now,
    )
    ctx.exchange.add_grant(row)
    queue_package(
        ctx,
        relationship=relationship,
        request=request,
        grant=grant_of(ctx, row),
        ticket=ticket,
        package_id=package_id,
        seq=1,
        items=items,
    )
    ctx.log(
        "granted",
        grant_id,
        {"company": request.controller.id, "purpose": purpose.id, "text": text},
    )
    outcome = Outcome(purpose.id, granted=True, fields=terms.fields, grant_id=grant_id)
    return _Made(outcome, grant, ticket)


def _free_index(ctx: Context, relationship: Relationship) -> int:
    # Grants that are made anew keep their index in the list of the relationship that follows.
    line = ctx.successions.line(relationship.index)
    used = {index for one in line for index in ctx.exchange.used_indexes(one)}
    while True:
        index = int.from_bytes(ctx.random(4)) % STATUS_ENTRIES
        if index not in used:
            return index


def _queue_decision(
    ctx: Context,
    *,
    stored: StoredRequest,
    request: AccessRequest,
    relationship: Relationship,
    home: HomeRelay,
    made: list[_Made],
    refused: frozenset[str],
    now: datetime,
) -> None:
    decision = decision_of(
        ctx,
        stored,
        relationship,
        home=home,
        grants=tuple(m.grant for m in made),
        tickets=tuple(m.ticket for m in made),
        refused=refused,
        now=now,
    )
    queue_message(
        ctx, relationship=relationship, request=request, kind="Decision", body=decision.to_json()
    )


def decision_of(
    ctx: Context,
    stored: StoredRequest,
    relationship: Relationship,
    *,
    home: HomeRelay,
    grants: tuple[JsonObject, ...],
    tickets: tuple[JsonObject, ...],
    refused: frozenset[str],
    now: datetime,
) -> Decision:
    """The whole answer to a request, under the DID of a relationship."""
    keys = ctx.keys(relationship)
    denials: tuple[JsonObject, ...] = ()
    if refused:
        denial = AccessDenial(request=stored.digest, purposes=refused, at=now)
        denials = (denial.sign(keys.did_key),)
    return Decision(
        request=stored.digest,
        grants=grants,
        denials=denials,
        tickets=tickets,
        reply=ReplyAddress(
            relay=home.url,
            mailbox=relationship.mailbox,
            capability=relationship.capability,
            sealing_key=keys.sealing_key.public,
        ),
        relay=home.url,
        log_origin=home.log_origin,
        log_key=home.log_key,
    )
