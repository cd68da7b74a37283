"""Redemption: the numbered checks of docs/protocol.md §6, in their order.

Signatures are verified before the lock is taken. Everything that can change is looked at inside
the one transaction that counts, logs and releases; the answer leaves after its commit.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from credentials.contexts import PROFILE_CONTEXT
from credentials.errors import ContextRefused, CredentialError, StructureInvalid
from credentials.presentation import VerifiedPresentation, verify_parsed_presentation
from did.errors import DidError
from did.json import Json, JsonObject, canonicalize, parse_object
from did.multikey import b64url_encode
from did.resolve import OFFLINE
from pds.db import DbError, Sql
from pds.relay import challenge, forms, ledger, status
from pds.relay.errors import Refused
from pds.relay.relay import Act, Relay
from pds.relay.store import marks
from pds.relay.store import packages as table
from pds.relay.store.log import NewEntry
from pds.relay.store.packages import (
    AnswerRow,
    Asked,
    ContentRow,
    EventRow,
    PackageRow,
    Standing,
)
from pds.wire import SKEW, Manifest, RelayCode, RequestSignature, WireError

_DAY = 86_400
_LEAF_TEXT = 43
# A presentation with its ticket has some seventy objects, arrays and members.
_PARTS = b"{[,"
_MOST_PARTS = 300
_SKEW = int(SKEW.total_seconds())
_REQUIRED = frozenset(
    {"@context", "id", "type", "holder", "verifiableCredential", "grantDigest", "sealed", "proof"}
)
_URN = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Redemption:
    """A presentation that holds; ``octets`` are kept with its event."""

    id: str
    octets: bytes
    holder: str
    ticket: bytes
    package: str
    grant_digest: str
    challenge: challenge.Challenge


_Outcome: TypeAlias = "tuple[ContentRow, NewEntry] | Refused"
"""What is released, with its entry in the log; or a refusal, which may be an event as well."""


def redeem(relay: Relay, body: bytes) -> bytes:
    """Release a package once more, or refuse with the reason. The answer as it is sent."""
    (outcome,) = carry_out(relay, [read(relay, body)])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def read(relay: Relay, body: bytes) -> "Redemption | Exception":
    """What does not change with the relay's state: checks 1 to 3, before anybody is held up."""
    try:
        if len(body) > relay.limits.presentation:
            raise Refused(RelayCode.TOO_LARGE)
        # 1. Structure, contexts, one ticket. What has far more parts than any of these is not even
        #    read: the others who wait would pay for it.
        if sum(map(body.count, _PARTS)) > _MOST_PARTS:
            raise forms.malformed()
        members = forms.read(body, max_bytes=relay.limits.presentation, required=("presentation",))
        raw = forms.object_(members["presentation"])
        ticket, subject = _read(raw)
        package, url = forms.id_(subject.get("package")), forms.text(subject.get("relay"))
        grant = forms.digest(raw["grantDigest"])
        # 2. The proof, for this relay; the challenge, ours and fresh.
        verified, asked = _verify(relay, raw)
        # 3. The ticket is for this relay.
        if url != relay.url:
            raise Refused(RelayCode.WRONG_RELAY)
        return Redemption(
            id=verified.digest,
            octets=canonicalize(raw),
            holder=verified.holder,
            ticket=canonicalize(ticket),
            package=package,
            grant_digest=grant,
            challenge=asked,
        )
    except (Refused, WireError, DidError) as refusal:
        # It waits for others, and where it was raised all that was read of the body still is.
        refusal.__context__ = None
        return refusal.with_traceback(None)
    except Exception as error:  # noqa: BLE001  given to the one whom it concerns
        return error


def carry_out(relay: Relay, asked: "Sequence[Redemption | Exception]") -> list[bytes | Exception]:
    """What was ``read``: each is judged after those before it, and all are durable at once. The
    answer for each as it is sent, or why there is none; an error keeps nobody else from his."""
    outcomes = iter(_carry_out(relay, [one for one in asked if isinstance(one, Redemption)]))
    return [next(outcomes) if isinstance(one, Redemption) else one for one in asked]


def _carry_out(relay: Relay, said: "Sequence[Redemption]") -> list[bytes | Exception]:
    if not said:
        return []
    try:
        with relay.write() as act:
            outcomes = _decide_all(relay, act, said)
    except Exception as error:  # noqa: BLE001  as above
        if len(said) == 1 or isinstance(error, DbError | Refused):
            return [error] * len(said)
        # One of them is too much for us; it must not be too much for the others.
        return [outcome for one in said for outcome in _carry_out(relay, [one])]
    # From here on it is done: what fails now is not to be carried out once more.
    return [_told(each) for each in outcomes]


def _told(outcome: _Outcome) -> bytes | Exception:
    if isinstance(outcome, Refused):
        return outcome
    content, entry = outcome
    try:
        return _answer(content, entry.receipt)
    except Exception as error:  # noqa: BLE001  as above; the answer can be had by ``recover``
        return error


@dataclass(slots=True)
class _Batch:
    """What redemptions that are carried out together come to. The next one is judged by it too,
    as if it had been written already; at the end it is, by few statements."""

    relay: Relay
    act: Act
    packages: dict[str, PackageRow] = field(default_factory=dict)
    challenges: set[challenge.Challenge] = field(default_factory=set)
    entries: list[NewEntry] = field(default_factory=list)
    events: dict[str, EventRow] = field(default_factory=dict)


def _decide_all(relay: Relay, act: Act, asked: Sequence[Redemption]) -> list[_Outcome]:
    """Checks 4 to 12 for each of them in turn, in one transaction. A refusal is an outcome too."""
    wanted = [
        Asked(said.package, said.id, said.challenge.random, said.challenge.expires)
        for said in asked
    ]
    batch = _Batch(relay, act)
    outcomes = [
        _decide(batch, said, found)
        for said, found in zip(asked, table.standings(act.conn, wanted), strict=True)
    ]
    relay.log_all(act, batch.entries)
    marks.use_challenges(act.conn, [(each.expires, each.random) for each in batch.challenges])
    table.add_events(
        act.conn,
        [
            replace(row, entry=entry.number)
            for row, entry in zip(batch.events.values(), batch.entries, strict=True)
        ],
    )
    table.count(act.conn, list(batch.packages.values()))
    return outcomes


def _decide(batch: _Batch, said: Redemption, found: Standing) -> _Outcome:
    # 4. Nothing is presented twice.
    if found.used or said.challenge in batch.challenges or said.id in batch.events:
        return Refused(RelayCode.REPLAYED)
    #    By a clock that was set back this challenge is good, but its mark may be swept already.
    if found.forgotten:
        return Refused(RelayCode.BUSY)
    # 5. The package is here.
    if found.package is None:
        return forms.not_found()
    row = batch.packages.get(said.package, found.package)
    if row.state == "ended":
        return Refused(RelayCode.ENDED)
    # From here on a refusal is an event, and the challenge is used up either way.
    batch.challenges.add(said.challenge)
    verdict = _judge(batch.act, said, row, found)
    if isinstance(verdict, Refused):
        _record_refusal(batch, said, row, verdict.relay_code)
        return verdict
    # 12. Count, event, log entry, answer.
    return verdict, _release(batch, said, row, verdict)


def _judge(act: Act, said: Redemption, row: PackageRow, found: Standing) -> ContentRow | Refused:
    """Checks 6 to 11; what is to be released, or why not."""
    ticket, content = found.ticket, found.content
    # 6. Exactly this ticket was registered at staging: every byte of it, proof included.
    if ticket is None or ticket.ticket != said.ticket:
        return Refused(RelayCode.TICKET_UNKNOWN)
    # 7. The presenter is the one named in the ticket, for the grant named in it.
    if said.holder != ticket.holder:
        return Refused(RelayCode.WRONG_KEY)
    if said.grant_digest != ticket.grant_digest:
        return Refused(RelayCode.GRANT_MISMATCH)
    # 8. The window: skew before it, none after it.
    if act.at + _SKEW < ticket.valid_from:
        return Refused(RelayCode.NOT_YET_VALID)
    if min(ticket.valid_until, row.not_after) <= act.at:
        return Refused(RelayCode.EXPIRED)
    # 9. The status list, and the bit in it.
    reason = status.check(
        found.list, index=ticket.list_index, mailbox=row.mailbox, issuer=row.issuer, at=act.at
    )
    if reason is not None:
        return Refused(reason)
    # 10. Not waiting for its owner after a restore.
    if row.suspended or content is None:
        return Refused(RelayCode.SUSPENDED)
    # 11. Uses left, and the interval over. Both belong to the package, whatever its ticket.
    if row.uses >= ticket.max_uses:
        return Refused(RelayCode.USED_UP)
    #     A clock that was set back makes a wait out of an interval, but none out of none.
    if (
        ticket.min_interval
        and row.last_use is not None
        and act.at < row.last_use + ticket.min_interval
    ):
        return Refused(RelayCode.TOO_SOON, retry_after=row.last_use + ticket.min_interval - act.at)
    return content


def _release(batch: _Batch, said: Redemption, row: PackageRow, content: ContentRow) -> NewEntry:
    entry: JsonObject = {"type": "redemption", "seq": row.seq, "sha256": content.sha256}
    until = batch.act.at + batch.relay.limits.answer_hours * 3600
    logged = _record(batch, said, row, entry, uses=row.uses + 1, last_use=batch.act.at)
    event = batch.events[said.id]
    batch.events[said.id] = replace(event, seq=row.seq, holder=said.holder, answer_until=until)
    return logged


def _record_refusal(batch: _Batch, said: Redemption, row: PackageRow, code: RelayCode) -> None:
    """Make a refusal an event, but not more than so many a day: strangers can cause them."""
    day = batch.act.at // _DAY
    today = row.refusals if row.refusal_day == day else 0
    if today >= batch.relay.limits.refusals_per_day:
        return
    # What carries a ticket that we never registered is a stranger's, and nothing of it is kept.
    strange = code is RelayCode.TICKET_UNKNOWN
    entry: JsonObject = {"type": "refusal", "code": code.value}
    _record(batch, said, row, entry, keep=not strange, refusal_day=day, refusals=today + 1)


def _record(
    batch: _Batch,
    said: Redemption,
    row: PackageRow,
    entry: JsonObject,
    *,
    keep: bool = True,
    **counted: Any,
) -> NewEntry:
    """Log an event of a package, chained to the one before; the presentation with ``keep``.
    ``counted`` is what else the event changes of the package."""
    ordinal = row.events + 1
    entry = {**entry, "package": row.id, "ordinal": ordinal, "redemption": said.id}
    if row.last_leaf is not None:
        entry["prev"] = row.last_leaf
    logged = batch.relay.draft(batch.act, entry)
    batch.entries.append(logged)
    leaf = b64url_encode(logged.leaf)
    batch.packages[row.id] = replace(row, events=ordinal, last_leaf=leaf, **counted)
    batch.events[said.id] = EventRow(
        package=row.id,
        ordinal=ordinal,
        redemption=said.id,
        entry=0,
        presentation=said.octets if keep else None,
        erase_at=batch.act.at + batch.relay.limits.presentation_days * _DAY,
    )
    return logged


def recover(relay: Relay, redemption: str, caller: RequestSignature) -> bytes:
    """The same answer again, uncounted, for the key that redeemed: while the package, and the
    version that was released, last, and until the grant is withdrawn."""
    with _released(relay, redemption, caller) as (conn, answer, content):
        return _answer(content, ledger.receipt_of(conn, answer.entry))


def piece(relay: Relay, redemption: str, caller: RequestSignature, *, after: int) -> bytes:
    """What follows the first ``after`` bytes of the sealed package, on the same terms."""
    with _released(relay, redemption, caller) as (conn, answer, _):
        return table.piece(conn, answer.package, answer.seq, after=after)


@contextmanager
def _released(
    relay: Relay, redemption: str, caller: RequestSignature
) -> Iterator[tuple[Sql, AnswerRow, ContentRow]]:
    """An answer that may be given again, and what it releases."""
    with relay.store.read() as conn:
        # Inside the view, so that nothing which ended before this time is given out.
        at = int(relay.clock().timestamp())
        answer = table.answer(conn, redemption)
        if answer is None or answer.holder != caller.did or answer.until <= at:
            raise forms.not_found()
        row = table.package(conn, answer.package)
        content = table.content(conn, answer.package, answer.seq)
        ticket = table.ticket(conn, answer.package)
        if row is None or row.state != "live" or content is None or ticket is None:
            raise forms.not_found()
        # A later version may last longer than the one that was released.
        version_end = Manifest.parse(parse_object(content.manifest)).not_after.timestamp()
        if min(row.not_after, version_end) <= at:
            raise forms.not_found()
        reason = status.check(
            table.status_list(conn, ticket.list),
            index=ticket.list_index,
            mailbox=row.mailbox,
            issuer=row.issuer,
            at=at,
        )
        if reason is not None:
            raise Refused(reason)
        yield conn, answer, content


def acknowledge(relay: Relay, redemption: str, caller: RequestSignature) -> None:
    """The answer has arrived: it is not kept any longer."""
    with relay.write_as(caller) as act:
        answer = table.answer(act.conn, redemption)
        if answer is None or answer.holder != caller.did:
            raise forms.not_found()
        table.forget_answer(act.conn, redemption, answer.package)


def _answer(content: ContentRow, receipt: bytes) -> bytes:
    """The answer, put together from parts that are JCS, so that it is the same each time. What is
    long is fetched in pieces: many are answered at once, and nobody must fill the memory so."""
    whole = content.sealed
    sealed = b"null" if whole is None else b'"%s"' % b64url_encode(whole).encode()
    return b"".join(
        (b'{"manifest":', content.manifest, b',"receipt":', receipt, b',"sealed":', sealed, b"}")
    )


def _read(raw: JsonObject) -> tuple[JsonObject, JsonObject]:
    """Check 1: the ticket, and its subject. Whether it is a ticket that anybody signed does not
    matter: check 6 compares it with the registered one. The contexts are compared with the proof,
    before its signature."""
    if not _REQUIRED <= raw.keys() <= _REQUIRED | {"lastReceipt"} or not forms.is_shallow(raw):
        raise forms.malformed()
    if sorted(_texts(raw["type"])) != ["Redemption", "VerifiablePresentation"]:
        raise forms.malformed()
    if _URN.fullmatch(forms.text(raw["id"])) is None:
        raise forms.malformed()
    forms.text(raw["holder"])
    if "lastReceipt" in raw:
        leaf = forms.text(raw["lastReceipt"])
        if len(leaf) != _LEAF_TEXT:
            raise forms.malformed()
        forms.octets(leaf, most=32)
    forms.octets(raw["sealed"], most=len(forms.text(raw["sealed"])))
    tickets = raw["verifiableCredential"]
    if not isinstance(tickets, list) or len(tickets) != 1:
        raise forms.malformed()
    ticket = forms.object_(tickets[0])
    return ticket, forms.object_(ticket.get("credentialSubject"))


def _verify(relay: Relay, raw: JsonObject) -> tuple[VerifiedPresentation, challenge.Challenge]:
    """Check 2."""
    now = relay.clock()
    expected = forms.text(forms.object_(raw["proof"]).get("challenge"))
    try:
        verified = verify_parsed_presentation(
            raw,
            expected_challenge=expected,
            expected_domain=relay.url,
            now=now,
            resolver=OFFLINE,
            exact_context=PROFILE_CONTEXT,
        )
    except (ContextRefused, StructureInvalid):
        raise forms.malformed() from None
    except (CredentialError, DidError):
        raise Refused(RelayCode.PROOF_INVALID) from None
    return verified, challenge.check(relay.challenge_key, expected, now)


def _texts(value: Json) -> list[str]:
    return [forms.text(item) for item in value] if isinstance(value, list) else []
