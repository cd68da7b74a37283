"""Asking: a signed request behind a link, with a mailbox and keys of its own.

Everything is written before anything is sent; publishing can be repeated until it is done.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from credentials.ticket import new_urn
from did.json import JsonObject, canonicalize, digest
from did.keys import SigningKey
from did.time import format_time
from pds.company.context import Context, damaged, seed
from pds.company.errors import CompanyError
from pds.company.store.rows import RequestRow
from pds.company.terms import read_request, warnings
from pds.errors import PdsError
from pds.links import RequestLink, seal_request
from pds.mailbox import OwnedMailbox
from pds.messages.request import MAX_BYTES, AccessRequest, ReplyAddress, match_code, sign_request
from pds.sealing import SealingKey
from pds.wire import MAX_SEALED, capability_hash, new_capability, new_id

LONGEST = timedelta(days=90)
CANCELLED = "company.cancelled"
_AFTERWARDS = timedelta(days=60)
_ENVELOPES = 1000
_BYTES = MAX_SEALED  # of what its relay takes


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request that waits for its holder. Show the match code next to the link.

    ``problem`` is the code of what kept it from being published; ``warnings`` are sentences on
    what may be a slip in the terms.
    """

    link: RequestLink = field(repr=False)
    match_code: str
    id: str
    published: bool
    problem: str | None = None
    warnings: tuple[str, ...] = ()


def ask(ctx: Context, terms: JsonObject, *, valid_for: timedelta) -> NewRequest:
    """Make, sign and store a request; then publish it. ``terms`` are ``purposes`` and, if the
    company already knows who is meant, ``audience`` (protocol §4).

    When the relay is away the request is stored and ``published`` is false: ``publish_pending``
    sends it later. Raises ``MessageError`` for terms that a holder's vault would refuse, with
    purpose and place, and ``CompanyError`` (``company.valid_for``, ``company.too_large``).
    """
    if not timedelta(0) < valid_for <= LONGEST:
        raise CompanyError("a request is open for up to 90 days", code="company.valid_for")
    now = ctx.now()
    redemption, owner = SigningKey.generate(ctx.random), SigningKey.generate(ctx.random)
    package_key, message_key = (SealingKey.generate(ctx.random) for _ in range(2))
    mailbox = new_id(ctx.random)
    reply = ReplyAddress(
        relay=ctx.relay,
        mailbox=mailbox,
        capability=new_capability(ctx.random),
        sealing_key=message_key.public,
    )
    document: JsonObject = {
        **terms,
        "type": "AccessRequest",
        "id": new_urn(ctx.random),
        "created": format_time(now),
        "expires": format_time(now + valid_for),
        "controller": {
            "id": ctx.did,
            "name": ctx.setting("name"),
            "address": ctx.setting("address"),
            "contact": ctx.setting("contact"),
            "dataProtectionContact": ctx.setting("data_protection_contact"),
        },
        "redemptionKey": redemption.did,
        "sealingKey": package_key.public.to_json(),
        "reply": reply.to_json(),
    }
    if ctx.sandbox:
        document["sandbox"] = True
    request, signer = read_request(document), ctx.signer()
    raw = sign_request(request, signer.key, verification_method=signer.verification_method)
    octets = canonicalize(raw)
    if len(octets) > MAX_BYTES:
        raise CompanyError("the request is longer than 256 KiB", code="company.too_large")
    link = RequestLink.new(ctx.relay, ctx.random)
    row = RequestRow(
        id=request.id,
        digest=digest(raw),
        raw=raw,
        link=str(link),
        locked=seal_request(octets, secret=link.secret, request_id=link.id, random=ctx.random),
        created=request.created,
        expires=request.expires,
        state="pending",
        problem=None,
        redemption_seed=redemption.unsafe_export_seed(),
        package_seed=package_key.unsafe_export_seed(),
        mailbox=mailbox,
        mailbox_seed=owner.unsafe_export_seed(),
        message_seed=message_key.unsafe_export_seed(),
        capability_id=new_id(ctx.random),
    )
    with ctx.transaction():
        ctx.store.add_request(row)
        ctx.event("asked", row.id, {"purposes": [purpose.id for purpose in request.purposes]})
    problem = dict(publish_pending(ctx)).get(row.id)
    return NewRequest(
        link=link,
        match_code=match_code(row.digest),
        id=row.id,
        published=problem is None,
        problem=problem,
        warnings=warnings(request),
    )


def publish_pending(ctx: Context) -> list[tuple[str, str]]:
    """Publish what is stored but not yet at the relay; returns (request id, code) of failures."""
    problems = []
    for row in ctx.store.requests():
        if row.state != "pending" or row.problem == CANCELLED:
            continue
        try:
            _publish(ctx, row)
        except PdsError as error:
            problems.append((row.id, error.code))
            with ctx.transaction():
                ctx.store.set_request_state(row.id, "pending", error.code)
            continue
        with ctx.transaction():
            ctx.store.set_request_state(row.id, "published")
            ctx.event("published", row.id)
    return problems


def mailbox_of(ctx: Context, row: RequestRow) -> OwnedMailbox:
    """The mailbox that belongs to this request alone."""
    key = SigningKey.from_seed(seed(row.mailbox_seed))
    return ctx.client(ctx.relay).owner(row.mailbox, key, 0)


def _publish(ctx: Context, row: RequestRow) -> None:
    if row.link is None or row.locked is None:
        raise damaged()
    request, mailbox = AccessRequest.parse(row.raw), mailbox_of(ctx, row)
    # The link goes out last: whoever opens it can answer.
    mailbox.create(ctx.store.setting("relay_token"))
    mailbox.put_capability(
        row.capability_id,
        capability_hash(request.reply.capability),
        _ENVELOPES,
        _BYTES,
        _answerable_until(request),
    )
    mailbox.put_request(RequestLink.parse(row.link).id, bytes(row.locked), request.expires)


def _answerable_until(request: AccessRequest) -> datetime:
    """Notices come as long as the longest grant may last, and somewhat after."""
    longest = max(purpose.days for purpose in request.purposes)
    return request.expires + timedelta(days=longest) + _AFTERWARDS
