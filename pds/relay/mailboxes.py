"""Mailboxes, capabilities and envelopes (§7)."""

from datetime import UTC, datetime

from did.json import JsonObject
from did.multikey import b64url_encode, multihash_sha256
from pds.db import Sql
from pds.relay import forms
from pds.relay.errors import Refused
from pds.relay.relay import Act, Relay
from pds.relay.store import identities
from pds.relay.store import mailboxes as table
from pds.relay.store import packages as package_table
from pds.relay.store.log import NewEntry
from pds.relay.store.mailboxes import CapabilityRow, MailboxRow
from pds.wire import RelayCode, RequestSignature, WireError, capability_hash

_PAGE = 50
_PAGE_BYTES = 4 * 1_048_576
NOWHERE = ""
"""The id of no mailbox: what is unknown is looked for there, as what is known is in its own."""
_HOUR = 3600
_DAY = 86_400


def owned(conn: Sql, id_: str, caller: RequestSignature) -> MailboxRow:
    """The caller's own mailbox, ended or not; anybody else's is as unknown as one that is not."""
    row = table.mailbox(conn, id_)
    if row is None or row.owner != caller.did:
        raise forms.not_found()
    return row


def readable(conn: Sql, id_: str, caller: RequestSignature) -> MailboxRow:
    """The caller's mailbox, not ended. Reading is open to every writer epoch: it is how a
    writer that came back from a backup learns that it must raise its own."""
    row = owned(conn, id_, caller)
    if row.ended:
        raise Refused(RelayCode.ENDED)
    return row


def writable(act: Act, id_: str, caller: RequestSignature) -> MailboxRow:
    """The caller's mailbox, not ended, for the writer with the highest epoch so far."""
    row = readable(act.conn, id_, caller)
    fence(act, row, caller)
    return row


def fence(act: Act, row: MailboxRow, caller: RequestSignature) -> None:
    """Refuse a writer that a later one has superseded, and remember a later one."""
    if caller.epoch < row.epoch:
        raise Refused(RelayCode.EPOCH_SUPERSEDED)
    if caller.epoch > row.epoch:
        table.raise_epoch(act.conn, row.id, caller.epoch)


def put(
    relay: Relay, id_: str, body: bytes, caller: RequestSignature, *, address: str | None
) -> bool:
    """Make a mailbox; whether it is new."""
    members = forms.read(body, max_bytes=relay.limits.body, required=(), optional=("token",))
    token = forms.text(members["token"]) if "token" in members else None
    with relay.write_as(caller) as act:
        row = table.mailbox(act.conn, id_)
        if row is not None:
            writable(act, id_, caller)
            return False
        if relay.registration == "token":
            if not relay.token_fits(token):
                raise Refused(RelayCode.TOKEN)
        else:
            relay.registrations.count(address, act.now)
        table.add_mailbox(act.conn, id_, owner=caller.did, epoch=caller.epoch)
        return True


def describe(relay: Relay, id_: str, caller: RequestSignature) -> JsonObject:
    at = int(relay.clock().timestamp())
    with relay.store.read() as conn:
        row = readable(conn, id_, caller)
        return {
            "mailbox": row.id,
            "epoch": row.epoch,
            "packages": [
                {
                    "package": package.id,
                    "seq": package.seq,
                    "uses": package.uses,
                    "ended": package.state != "live" or package.not_after <= at,
                }
                for package in package_table.of_mailbox(conn, id_)
            ],
            "lists": [
                {"list": list_id, "sequence": sequence}
                for list_id, sequence in package_table.lists_of(conn, id_)
            ],
        }


def delete(relay: Relay, id_: str, caller: RequestSignature) -> None:
    """End a mailbox with its packages, envelopes, capabilities, links and identities. Status
    lists stay: they say what was withdrawn."""
    with relay.write_as(caller) as act:
        row = owned(act.conn, id_, caller)
        fence(act, row, caller)
        if row.ended:
            return
        for package in package_table.of_mailbox(act.conn, id_):
            if package.state != "ended":
                package_table.end(act.conn, package.id, entry=None)
        identities.end_all(act.conn, id_)
        table.end_mailbox(act.conn, id_)


def check_quota(relay: Relay, act: Act, id_: str) -> None:
    """Refuse an act after which a mailbox holds too much; the refusal undoes it."""
    if table.held(act.conn, id_) > relay.limits.mailbox:
        raise Refused(RelayCode.QUOTA)


# --- capabilities


def put_capability(relay: Relay, id_: str, cid: str, body: bytes, caller: RequestSignature) -> None:
    """Let whoever knows the secret behind a hash deposit: so many envelopes, each so large."""
    members = forms.read(
        body,
        max_bytes=relay.limits.body,
        required=("hash", "maxEnvelopes", "maxBytes", "expires"),
    )
    wanted = CapabilityRow(
        id=cid,
        hash=forms.digest(members["hash"]),
        max_envelopes=forms.integer(members["maxEnvelopes"], least=1),
        max_bytes=forms.integer(members["maxBytes"], least=1),
        expires=int(forms.time(members["expires"]).timestamp()),
        used=0,
        ended=False,
    )
    with relay.write_as(caller) as act:
        writable(act, id_, caller)
        present = table.capability(act.conn, id_, cid)
        if present is not None:
            if present.ended:
                raise Refused(RelayCode.ENDED)
            if _terms(present) != _terms(wanted):
                raise Refused(RelayCode.CONFLICT)
            return
        if table.capability_by_hash(act.conn, id_, wanted.hash) is not None:
            raise Refused(RelayCode.CONFLICT)
        live = table.count_capabilities(act.conn, id_, now=act.at)
        if (
            live >= relay.limits.capabilities_per_mailbox
            or wanted.max_envelopes > relay.limits.envelopes_per_capability
        ):
            raise Refused(RelayCode.QUOTA)
        table.add_capability(act.conn, id_, wanted)


def _terms(row: CapabilityRow) -> tuple[str, int, int, int]:
    return row.hash, row.max_envelopes, row.max_bytes, row.expires


def delete_capability(relay: Relay, id_: str, cid: str, caller: RequestSignature) -> None:
    with relay.write_as(caller) as act:
        writable(act, id_, caller)
        if table.capability(act.conn, id_, cid) is None:
            raise forms.not_found()
        table.end_capability(act.conn, id_, cid)


# --- envelopes


def deposit(relay: Relay, id_: str, body: bytes, secret: str | None) -> bytes:
    """Take an envelope from whoever has a capability; the receipt.

    A mailbox that is not there and a capability that is not there look the same. The same octets
    again give the same receipt and count once.
    """
    try:
        hash_ = capability_hash(secret or "")
    except WireError:
        raise Refused(RelayCode.CAPABILITY) from None
    if not body:
        raise forms.malformed()
    sha256 = multihash_sha256(body)
    with relay.write() as act:
        logged = _deposit(relay, act, id_=id_, hash_=hash_, sha256=sha256, body=body)
    return logged.receipt


def _deposit(relay: Relay, act: Act, *, id_: str, hash_: str, sha256: str, body: bytes) -> NewEntry:
    capability = table.capability_by_hash(act.conn, id_, hash_)
    if capability is None or capability.ended or capability.expires <= act.at:
        raise Refused(RelayCode.CAPABILITY)
    earlier = table.deposited(act.conn, id_, sha256)
    if earlier is not None:
        return relay.logged(act, earlier)
    if len(body) > min(capability.max_bytes, relay.limits.sealed):
        raise Refused(RelayCode.TOO_LARGE)
    if capability.used >= capability.max_envelopes:
        raise Refused(RelayCode.QUOTA)
    relay.limit_rate(act, f"deposits {id_}", relay.limits.deposits_per_hour)
    table.use_capability(act.conn, id_, capability.id)
    row = table.mailbox(act.conn, id_)
    if row is None:
        raise Refused(RelayCode.CAPABILITY)
    hour = act.at - act.at % _HOUR
    logged = relay.log(
        act,
        {
            "type": "deposit",
            "mailbox": id_,
            "ordinal": row.last_ordinal + 1,
            "sha256": sha256,
            "size": len(body),
        },
        # The hour only: when exactly somebody wrote to somebody is not the relay's to keep.
        at=datetime.fromtimestamp(hour, UTC),
    )
    table.add_envelope(
        act.conn,
        id_,
        ordinal=row.last_ordinal + 1,
        sha256=sha256,
        sealed=body,
        entry=logged.number,
        until=hour + relay.limits.envelope_days * _DAY,
    )
    check_quota(relay, act, id_)
    return logged


def envelopes(relay: Relay, id_: str, caller: RequestSignature, *, after: int) -> JsonObject:
    with relay.store.read() as conn:
        readable(conn, id_, caller)
        found, more = table.envelopes(conn, id_, after=after, limit=_PAGE, max_bytes=_PAGE_BYTES)
    return {
        "envelopes": [
            {"ordinal": row.ordinal, "size": row.size}
            if row.sealed is None
            else {"ordinal": row.ordinal, "sealed": b64url_encode(row.sealed)}
            for row in found
        ],
        "more": more,
    }


def envelope(
    relay: Relay, id_: str, ordinal: int, caller: RequestSignature, *, after: int
) -> bytes:
    """What follows the first ``after`` bytes of an envelope."""
    with relay.store.read() as conn:
        readable(conn, id_, caller)
        piece = table.envelope_piece(conn, id_, ordinal, after=after)
    if piece is None:
        raise forms.not_found()
    return piece


def delete_envelope(relay: Relay, id_: str, ordinal: int, caller: RequestSignature) -> None:
    """Erase an envelope. One that is gone is gone: again is no mistake."""
    with relay.write_as(caller) as act:
        row = writable(act, id_, caller)
        if not 1 <= ordinal <= row.last_ordinal:
            raise forms.not_found()
        hour = act.at - act.at % _HOUR
        table.delete_envelope(act.conn, id_, ordinal, until=hour + relay.limits.receipt_days * _DAY)
