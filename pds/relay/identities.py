"""Identities that a relay hosts (§7, "Identities"): logs of did:webvh, which only ever grow.

A log vouches for itself; whoever resolves it verifies it again. What the relay sees to is that
nobody but its owner writes it, that nothing once published is taken back or told otherwise, and
that what lies here is an identity of this place and no other file.
"""

from credentials.webvh import PROOFS
from did.errors import DidError
from did.identifier import Did
from did.methods.webvh import read_history, url_of
from did.multikey import multihash_sha256
from pds.relay import forms
from pds.relay.errors import Refused
from pds.relay.mailboxes import NOWHERE, check_quota, owned, readable, writable
from pds.relay.relay import Act, Relay
from pds.relay.store import identities as table
from pds.relay.store import log
from pds.relay.store.identities import IdentityRow
from pds.relay.store.log import NewEntry
from pds.wire import SKEW, RelayCode, RequestSignature

_ASK_AGAIN = 3600


def log_url(relay: Relay, id_: str) -> str:
    """Where the log is, as the transformation of did:webvh 1.0 says."""
    return f"{relay.url}/identities/{id_}/did.jsonl"


def put(relay: Relay, id_: str, body: bytes, caller: RequestSignature) -> bytes:
    """Publish a log, or a longer one, with the witnesses' proofs that it needs; the receipt.
    The same again gives the same receipt."""
    members = forms.read(
        body,
        max_bytes=relay.limits.body,
        required=("mailbox", "did", "log"),
        optional=("witness",),
    )
    mailbox = forms.id_(members["mailbox"])
    new = _octets(relay, forms.text(members["log"]))
    witness = None
    if "witness" in members:
        witness = _octets(relay, forms.text(members["witness"]))
    with relay.store.read() as conn:  # no stranger makes us verify a long log
        owned(conn, mailbox, caller)
    # 1. It is the whole and faultless history of a DID whose log lies exactly here.
    _verify(relay, id_, forms.text(members["did"]), new, witness)
    with relay.write_as(caller) as act:
        logged = _put(relay, act, id_=id_, mailbox=mailbox, caller=caller, new=new, witness=witness)
    return logged.receipt


def _put(
    relay: Relay,
    act: Act,
    *,
    id_: str,
    mailbox: str,
    caller: RequestSignature,
    new: bytes,
    witness: bytes | None,
) -> NewEntry:
    writable(act, mailbox, caller)
    old = table.identity(act.conn, id_)
    if old is not None:
        owned(act.conn, old.mailbox, caller)
        # 2. It belongs to one mailbox for ever, and stays away once it was taken away.
        if old.mailbox != mailbox:
            raise Refused(RelayCode.CONFLICT)
        if old.log is None:
            raise Refused(RelayCode.ENDED)
        if (old.log, old.witness, old.suspended) == (new, witness, False):
            return relay.logged(act, _entry(old))
        # 3. What was published stays as it is: the new log begins with the bytes of the old.
        if not new.startswith(old.log):
            raise Refused(RelayCode.HISTORY_CUT)
        log.erase_entry(act.conn, old.entry)
    elif table.count(act.conn, mailbox) >= relay.limits.identities_per_mailbox:
        raise Refused(RelayCode.QUOTA)
    logged = relay.log(
        act,
        {
            "type": "identity",
            "identity": id_,
            "sha256": multihash_sha256(new),
            "size": len(new),
        },
    )
    table.put(act.conn, id_, IdentityRow(mailbox, new, witness, logged.number))
    check_quota(relay, act, mailbox)
    return logged


def get(relay: Relay, id_: str) -> bytes:
    """The log, for anyone; after a restore not before its owner has published it again, for the
    keys of an older one may have been given up since."""
    return _shown(relay, id_).log or b""


def get_witness(relay: Relay, id_: str) -> bytes:
    """The witnesses' proofs, where there are some."""
    witness = _shown(relay, id_).witness
    if witness is None:
        raise forms.not_found()
    return witness


def read(relay: Relay, id_: str, caller: RequestSignature) -> bytes:
    """The log for its owner, after a restore too: what is published next goes on from it."""
    with relay.store.read() as conn:
        row = table.identity(conn, id_)
        owned(conn, NOWHERE if row is None else row.mailbox, caller)
        if row is None or row.log is None:
            raise forms.not_found()
        readable(conn, row.mailbox, caller)
    return row.log


def delete(relay: Relay, id_: str, caller: RequestSignature) -> None:
    """Take an identity away for good. To end it so that old signatures can still be judged, its
    owner deactivates it instead: that is an entry of the log."""
    with relay.write_as(caller) as act:
        row = table.identity(act.conn, id_)
        writable(act, NOWHERE if row is None else row.mailbox, caller)
        table.end(act.conn, id_)


def _shown(relay: Relay, id_: str) -> IdentityRow:
    with relay.store.read() as conn:
        row = table.identity(conn, id_)
    if row is None or row.log is None:
        raise forms.not_found()
    if row.suspended:
        raise Refused(RelayCode.SUSPENDED, retry_after=_ASK_AGAIN, status=503)
    return row


def _verify(relay: Relay, id_: str, name: str, raw: bytes, witness: bytes | None) -> None:
    # Its owner's clock may be ahead of ours, as in any call; by no more than that.
    now = relay.clock() + SKEW
    try:
        did = Did.parse(name)
        here = url_of(did) == log_url(relay, id_)
        history = read_history(raw, did, proofs=PROOFS, now=now, witness=witness)
    except DidError:
        raise Refused(RelayCode.HISTORY) from None
    whole = raw.endswith(b"\n") and history.fault is None
    if not (here and whole and history.versions[-1].did == did):
        raise Refused(RelayCode.HISTORY)


def _octets(relay: Relay, text: str) -> bytes:
    raw = text.encode()
    if len(raw) > relay.limits.identity_log:
        raise Refused(RelayCode.TOO_LARGE)
    return raw


def _entry(row: IdentityRow) -> int:
    if row.entry is None:
        raise forms.not_found()
    return row.entry
