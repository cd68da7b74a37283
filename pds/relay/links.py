"""Request links: an encrypted request behind an id, for whoever has the key in the fragment."""

from datetime import timedelta

from pds.relay import forms
from pds.relay.errors import Refused
from pds.relay.mailboxes import NOWHERE, check_quota, owned, writable
from pds.relay.relay import Relay
from pds.relay.store import mailboxes as table
from pds.relay.store.mailboxes import RequestRow
from pds.wire import RelayCode, RequestSignature


def put(relay: Relay, id_: str, body: bytes, caller: RequestSignature) -> None:
    members = forms.read(
        body, max_bytes=relay.limits.body, required=("mailbox", "sealed", "expires")
    )
    mailbox = forms.id_(members["mailbox"])
    sealed = forms.octets(members["sealed"], most=relay.limits.link)
    ends = forms.time(members["expires"])
    expires = int(ends.timestamp())
    with relay.write_as(caller) as act:
        writable(act, mailbox, caller)
        present = table.request(act.conn, id_)
        if present is not None:
            owned(act.conn, present.mailbox, caller)
            if present.sealed is None:
                raise Refused(RelayCode.ENDED)
            if present != RequestRow(mailbox, expires, sealed):
                raise Refused(RelayCode.CONFLICT)
            return
        if ends <= act.now:
            raise Refused(RelayCode.EXPIRED)
        if ends > act.now + timedelta(days=relay.limits.request_days):
            raise Refused(RelayCode.QUOTA)
        live = table.count_requests(act.conn, mailbox, now=act.at)
        if live >= relay.limits.requests_per_mailbox:
            raise Refused(RelayCode.QUOTA)
        table.add_request(act.conn, id_, mailbox_id=mailbox, sealed=sealed, expires=expires)
        check_quota(relay, act, mailbox)


def get(relay: Relay, id_: str) -> bytes:
    at = int(relay.clock().timestamp())
    with relay.store.read() as conn:
        row = table.request(conn, id_)
    if row is None or row.sealed is None or row.expires <= at:
        raise forms.not_found()
    return row.sealed


def delete(relay: Relay, id_: str, caller: RequestSignature) -> None:
    with relay.write_as(caller) as act:
        row = table.request(act.conn, id_)
        writable(act, NOWHERE if row is None else row.mailbox, caller)
        table.end_request(act.conn, id_)
