"""Status lists (§4, §7): kept, never softened, and stamped when they are handed out."""

from datetime import datetime, timedelta
from functools import lru_cache

from credentials.errors import CredentialError, ProofInvalid, StatusInvalid, StatusUnchecked
from credentials.status import (
    BitString,
    VerifiedStatusList,
    sign_stamp,
    verify_status_list,
)
from did.errors import DidError
from did.json import JsonObject, canonicalize, parse_object
from did.multikey import b64url_encode
from pds.relay import forms, ledger
from pds.relay.errors import Refused
from pds.relay.mailboxes import owned, writable
from pds.relay.relay import Act, Relay
from pds.relay.store import log
from pds.relay.store import packages as table
from pds.relay.store.log import NewEntry
from pds.relay.store.packages import ListRow
from pds.wire import RelayCode, RequestSignature

_STAMP_LIFETIME = timedelta(hours=24)
_ASK_AGAIN = 3600


def list_url(relay: Relay, id_: str) -> str:
    return f"{relay.url}/v1/status/{id_}"


def list_id(relay: Relay, url: str) -> str | None:
    """The id of a list at this relay; ``None`` for a list anywhere else."""
    prefix = list_url(relay, "")
    return url.removeprefix(prefix) if url.startswith(prefix) else None


def put(relay: Relay, id_: str, body: bytes, caller: RequestSignature) -> bytes:
    """Publish a list, or a newer one; the receipt. The same list again gives the same receipt."""
    members = forms.read(body, max_bytes=relay.limits.body, required=("mailbox", "credential"))
    mailbox = forms.id_(members["mailbox"])
    new = _verify(relay, id_, forms.object_(members["credential"]), now=relay.clock())
    with relay.write_as(caller) as act:
        logged = _put(relay, act, id_=id_, mailbox=mailbox, caller=caller, new=new)
    return logged.receipt


def _put(
    relay: Relay,
    act: Act,
    *,
    id_: str,
    mailbox: str,
    caller: RequestSignature,
    new: VerifiedStatusList,
) -> NewEntry:
    writable(act, mailbox, caller)
    old = table.status_list(act.conn, id_)
    if old is not None:
        owned(act.conn, old.mailbox, caller)
        # 1. A list belongs to one mailbox and one issuer for ever.
        if old.mailbox != mailbox or old.issuer != new.issuer:
            raise Refused(RelayCode.CONFLICT)
        same = old.digest == new.digest
        if same and not old.suspended:
            return relay.logged(act, old.entry)
        # 2. The sequence rises. After a restore the very same list may be the newest: its
        #    owner, who knows, says so by publishing it again.
        if not same and new.sequence <= old.sequence:
            raise Refused(RelayCode.SEQUENCE)
        # 3. What was revoked stays revoked.
        if not new.bits.covers(_bits(old.credential)):
            raise Refused(RelayCode.BITS_CLEARED)
        log.erase_entry(act.conn, old.entry)
    elif len(table.lists_of(act.conn, mailbox)) >= relay.limits.lists_per_mailbox:
        raise Refused(RelayCode.QUOTA)
    logged = relay.log(
        act,
        {"type": "status", "list": id_, "digest": new.digest, "sequence": new.sequence},
    )
    table.put_list(
        act.conn,
        id_,
        ListRow(
            mailbox=mailbox,
            issuer=new.issuer,
            sequence=new.sequence,
            digest=new.digest,
            valid_until=_end(new),
            entry=logged.number,
            credential=new.raw,
        ),
    )
    return logged


def get(relay: Relay, id_: str) -> tuple[bytes, str]:
    """The list, and a stamp that says it is the newest (base64url, for ``PDS-Stamp``).

    After a restore it may not be: what was withdrawn since the backup is not in it. Then there is
    neither (``relay.suspended``, 503) until its owner has published one again.
    """
    with relay.store.read() as conn:
        # Inside the view: what is stamped was the newest after this time.
        now = relay.clock()
        ledger.check_key(conn, relay.log_key)
        row = table.status_list(conn, id_)
    if row is None:
        raise forms.not_found()
    if row.suspended:
        raise Refused(RelayCode.SUSPENDED, retry_after=_ASK_AGAIN, status=503)
    stamp = sign_stamp(
        log_key=relay.log_key,
        relay=relay.url,
        list_id=id_,
        digest=row.digest,
        sequence=row.sequence,
        at=now,
        expires=now + _STAMP_LIFETIME,
    )
    return row.credential, b64url_encode(canonicalize(stamp))


def check(
    row: ListRow | None, *, index: int, mailbox: str, issuer: str, at: int
) -> RelayCode | None:
    """Why the bit of a ticket in its list forbids its use, or ``None`` (§6, checks 9 and 10)."""
    if row is None or row.mailbox != mailbox or row.issuer != issuer or row.valid_until <= at:
        return RelayCode.STATUS_STALE
    try:
        revoked = _bits(row.credential).get(index)
    except StatusInvalid:
        return RelayCode.STATUS_STALE
    if revoked:
        return RelayCode.WITHDRAWN
    return RelayCode.SUSPENDED if row.suspended else None


def _verify(relay: Relay, id_: str, raw: JsonObject, *, now: datetime) -> VerifiedStatusList:
    try:
        return verify_status_list(
            raw, now=now, expected_issuer=None, expected_url=list_url(relay, id_)
        )
    except StatusUnchecked:
        raise Refused(RelayCode.STATUS_STALE) from None
    except ProofInvalid:
        raise Refused(RelayCode.PROOF_INVALID) from None
    except (CredentialError, DidError):
        raise forms.malformed() from None


def _end(new: VerifiedStatusList) -> int:
    if new.valid_until is None:
        raise forms.malformed()
    return int(new.valid_until.timestamp())


# By the exact bytes: a list is unpacked once. 512 lists of 131,072 bits are 8 MB.
@lru_cache(maxsize=512)
def _bits(credential: bytes) -> BitString:
    subject = forms.object_(parse_object(credential)["credentialSubject"])
    return BitString.decode(forms.text(subject["encodedList"]))
