"""Packages: staging, ending, and what their owner sees of them (§4, §7)."""

from dataclasses import dataclass
from datetime import datetime

from credentials.errors import CredentialError, ProofInvalid, TicketInvalid
from credentials.proof import verify_object
from credentials.ticket import VerifiedTicket, verify_ticket
from did.errors import DidError
from did.json import Json, JsonObject, canonicalize, parse_object
from did.resolve import OFFLINE
from pds.db import Sql
from pds.relay import forms, status
from pds.relay.errors import Refused
from pds.relay.mailboxes import NOWHERE, check_quota, fence, owned, writable
from pds.relay.relay import Act, Relay
from pds.relay.store import log
from pds.relay.store import packages as table
from pds.relay.store.log import NewEntry
from pds.relay.store.packages import ContentRow, PackageRow, TicketRow
from pds.wire import Manifest, RelayCode, RequestSignature, WireError

_PAGE = 50
_PAGE_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class _Staged:
    """A version of a package whose signatures and digests agree."""

    issuer: str
    seq: int
    not_after: int
    size: int
    ticket: TicketRow
    content: ContentRow


def put(relay: Relay, id_: str, body: bytes, caller: RequestSignature) -> bytes:
    """Stage a package, or its next version; the receipt. The same again: the same receipt."""
    members = forms.read(
        body,
        max_bytes=relay.limits.largest_body,
        required=("mailbox", "ticket", "manifest", "sealed"),
        optional=("uses",),
    )
    mailbox = forms.id_(members["mailbox"])
    # What the owner knows to be used counts, also when this relay has lost it: never less.
    uses = forms.integer(members.get("uses", 0), least=0)
    new = _verify(
        relay,
        id_,
        ticket=forms.object_(members["ticket"]),
        manifest=forms.object_(members["manifest"]),
        sealed=forms.octets(members["sealed"], most=relay.limits.sealed),
        now=relay.clock(),
    )
    with relay.write_as(caller) as act:
        logged = _stage(relay, act, id_=id_, mailbox=mailbox, caller=caller, new=new, uses=uses)
    return logged.receipt


def _stage(
    relay: Relay,
    act: Act,
    *,
    id_: str,
    mailbox: str,
    caller: RequestSignature,
    new: _Staged,
    uses: int,
) -> NewEntry:
    writable(act, mailbox, caller)
    old = table.package(act.conn, id_)
    if old is None:
        # 1. The first version is 1.
        if new.seq != 1:
            raise Refused(RelayCode.SEQ)
        if table.count_packages(act.conn, mailbox) >= relay.limits.packages_per_mailbox:
            raise Refused(RelayCode.QUOTA)
    else:
        owned(act.conn, old.mailbox, caller)
        if old.mailbox != mailbox:
            raise Refused(RelayCode.CONFLICT)
        if old.state != "live" or old.not_after <= act.at:
            raise Refused(RelayCode.ENDED)
        # 2. An issuer keeps its packages.
        if old.issuer != new.issuer:
            raise Refused(RelayCode.CONFLICT)
        # 3. The next version is one more.
        same = _is_same(act.conn, old, new)
        if same and not old.suspended and old.staging_entry is not None:
            return relay.logged(act, old.staging_entry)
        if not same and not _is_next(old, new.seq):
            raise Refused(RelayCode.SEQ)
    # 4. Both ends of time, on our clock.
    if new.not_after <= act.at:
        raise Refused(RelayCode.EXPIRED)
    # 5. The status list is there, and does not say that the grant was withdrawn.
    reason = status.check(
        table.status_list(act.conn, new.ticket.list),
        index=new.ticket.list_index,
        mailbox=mailbox,
        issuer=new.issuer,
        at=act.at,
    )
    # A list that waits for its owner after a restore stops no staging, only redemptions.
    if reason not in (None, RelayCode.SUSPENDED):
        raise Refused(reason)
    logged = relay.log(
        act,
        {
            "type": "staging",
            "package": id_,
            "seq": new.seq,
            "ticket": new.ticket.digest,
            "sha256": new.content.sha256,
            "size": new.size,
        },
    )
    if old is not None:
        log.erase_entry(act.conn, old.staging_entry)
    table.stage(
        act.conn,
        id_,
        mailbox_id=mailbox,
        issuer=new.issuer,
        seq=new.seq,
        not_after=new.not_after,
        uses=uses,
        entry=logged.number,
        ticket=new.ticket,
        content=new.content,
    )
    check_quota(relay, act, mailbox)
    return logged


def describe(relay: Relay, id_: str, caller: RequestSignature) -> JsonObject:
    at = int(relay.clock().timestamp())
    with relay.store.read() as conn:
        row = _owned(conn, id_, caller)
        ended = row.state != "live" or row.not_after <= at
        ticket = None if ended else table.ticket(conn, id_)
        manifest = None if ended else table.manifest(conn, id_, row.seq)
    return {
        "manifest": None if manifest is None else parse_object(manifest),
        "ticket": None if ticket is None else parse_object(ticket.ticket),
        "uses": row.uses,
        "ended": ended,
    }


def end(relay: Relay, id_: str, caller: RequestSignature) -> bytes:
    """End a package: nothing of it is released after this has been answered. The receipt."""
    with relay.write_as(caller) as act:
        row = _owned_for_writing(act, id_, caller)
        if row.end_entry is not None:
            logged = relay.logged(act, row.end_entry)
        else:
            logged = relay.log(act, {"type": "end", "package": id_})
            table.end(act.conn, id_, entry=logged.number)
            log.erase_entry(act.conn, row.staging_entry)
    return logged.receipt


def events(relay: Relay, id_: str, caller: RequestSignature, *, after: int) -> JsonObject:
    with relay.store.read() as conn:
        _owned(conn, id_, caller)
        found, more = table.events(conn, id_, after=after, limit=_PAGE, max_bytes=_PAGE_BYTES)
    shown: list[Json] = []
    for ordinal, receipt, presentation in found:
        event: JsonObject = {"ordinal": ordinal, "receipt": parse_object(receipt)}
        shown_to_us = None if presentation is None else parse_object(presentation)
        # One that nests deep would make the whole page unreadable to its owner.
        if shown_to_us is not None and forms.is_shallow(shown_to_us):
            event["presentation"] = shown_to_us
        shown.append(event)
    return {"events": shown, "more": more}


def erase_presentations(relay: Relay, id_: str, caller: RequestSignature, *, through: int) -> None:
    with relay.write_as(caller) as act:
        _owned_for_writing(act, id_, caller)
        table.erase_presentations(act.conn, id_, through=through)


def _owned(conn: Sql, id_: str, caller: RequestSignature) -> PackageRow:
    row = table.package(conn, id_)
    # The same steps for what is not there and for what is another's: their time tells nothing.
    owned(conn, NOWHERE if row is None else row.mailbox, caller)
    if row is None:
        raise forms.not_found()
    return row


def _owned_for_writing(act: Act, id_: str, caller: RequestSignature) -> PackageRow:
    """The package, also of an ended mailbox: what it left behind can still be cleared away."""
    row = _owned(act.conn, id_, caller)
    fence(act, owned(act.conn, row.mailbox, caller), caller)
    return row


def _verify(
    relay: Relay,
    id_: str,
    *,
    ticket: JsonObject,
    manifest: JsonObject,
    sealed: bytes,
    now: datetime,
) -> _Staged:
    """Everything that needs no lock: the two signatures, and that all parts belong together."""
    try:
        # 1. The ticket, by the relationship's did:key.
        issued = verify_ticket(ticket, now=now)
        if issued.relay != relay.url:
            raise Refused(RelayCode.WRONG_RELAY)
        # 2. The manifest, by the same.
        verified = verify_object(
            manifest,
            resolver=OFFLINE,
            now=now,
            expected_controller=issued.issuer,
            exact_context=(),
        )
        described = Manifest.parse(verified.document)
        # 3. Ticket, manifest and sealed bytes are of this package and of each other.
        described.check_sealed(sealed)
        if not (issued.package == described.package == id_) or described.ticket != issued.digest:
            raise forms.malformed()
    except ProofInvalid:
        raise Refused(RelayCode.PROOF_INVALID) from None
    except TicketInvalid:
        raise Refused(RelayCode.WRONG_RELAY) from None
    except (CredentialError, DidError, WireError):
        raise forms.malformed() from None
    row = _ticket_row(relay, issued, ticket)
    return _Staged(
        issuer=issued.issuer,
        seq=described.seq,
        not_after=min(int(described.not_after.timestamp()), row.valid_until),
        size=described.size,
        ticket=row,
        content=ContentRow(described.sha256, canonicalize(manifest), sealed),
    )


def _ticket_row(relay: Relay, issued: VerifiedTicket, raw: JsonObject) -> TicketRow:
    list_ = status.list_id(relay, issued.status.list_url)
    if list_ is None:
        raise forms.malformed()
    return TicketRow(
        digest=issued.digest,
        ticket=canonicalize(raw),
        holder=issued.holder,
        grant_digest=issued.grant_digest,
        valid_from=int(issued.valid_from.timestamp()),
        valid_until=int(issued.valid_until.timestamp()),
        max_uses=issued.max_uses,
        min_interval=issued.min_interval,
        list=list_,
        list_index=issued.status.index,
    )


def _is_same(conn: Sql, old: PackageRow, new: _Staged) -> bool:
    """Whether this version is the one that is here, whatever its proofs look like."""
    if old.seq != new.seq or old.not_after != new.not_after:
        return False
    ticket, content = table.ticket(conn, old.id), table.content(conn, old.id, old.seq)
    return (
        ticket is not None
        and content is not None
        and ticket.digest == new.ticket.digest
        and content.sha256 == new.content.sha256
    )


def _is_next(old: PackageRow, seq: int) -> bool:
    # A relay that came back from a backup may have lost versions in between. The owner knows
    # where it was, and only it can say; it can never go back.
    return seq > old.seq if old.suspended else seq == old.seq + 1
