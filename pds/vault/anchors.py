"""Anchors: what the vault keeps of a relationship in its own mailbox, against going back in time.

A backup is older than the last decision, sooner or later. So whenever the living part of a
relationship changes, a snapshot of it is sealed to the vault's own key and put into the vault's
own mailbox there, like any other envelope: with the head of the vault's history, and with the
requests, grants and tickets of which something may still come. The newest takes the place of
the one before.

After a restore it brings back what the backup does not know (``pds.vault.recovery``). In everyday
use one that knows more than the vault does shows that an old copy was put back.

Who cannot sign with the relationship's key cannot make one; a relay that drops it or shows an older
one takes help away, and can do no more: what ended stays ended by the status list.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from credentials.errors import CredentialError
from credentials.proof import sign_object, verify_object
from did.errors import DidError
from did.json import Json, JsonObject, canonicalize, digest, parse_object
from did.keys import SigningKey
from did.multikey import b64url_decode, b64url_encode, multihash_sha256
from did.resolve import OFFLINE
from did.time import format_time, parse_time
from pds.log.entry import Receipt
from pds.messages.errors import MessageError
from pds.messages.fields import Fields
from pds.messages.notices import VERBS
from pds.sealing import SealingError, open_sealed, seal
from pds.vault.context import Context, other_copy
from pds.vault.decide import host_of
from pds.vault.derive import RelationshipKeys
from pds.vault.errors import VaultError
from pds.vault.logwatch import keep_receipt
from pds.vault.store.rows import Relationship, StoredGrant

LABEL: Final = "anchor"
TYPE: Final = "Anchor"
MAX_SNAPSHOT: Final = 900_000
"""Bytes of a snapshot at most; the oldest grants are left out of one that would be longer."""
RENEWED_AFTER: Final = timedelta(days=30)
"""A relay keeps an envelope for 90 days."""
_HEARD_WITHIN: Final = timedelta(days=90)
_SETTING: Final = "anchor"
_CLEAR: Final = "anchor_clear"
_LOOKED: Final = "anchors_at"
_FIRST: Final = frozenset({"mailbox", "capability", "status", "package"})


@dataclass(frozen=True, slots=True)
class Anchor:
    """A verified anchor of ours. ``state`` is the snapshot; ``size`` and ``root`` the history's."""

    epoch: int
    size: int
    root: bytes
    at: str
    state: Fields

    @property
    def age(self) -> tuple[int, int, str]:
        """The later, the larger."""
        return self.epoch, self.size, self.at


# --- putting


def due(ctx: Context) -> list[Relationship]:
    """The relationships whose anchor is not of today. One whose packages or list have yet to be
    staged waits: what an anchor brings back is at the relay."""
    if ctx.exchange.setting(_LOOKED) == _today(ctx):
        return []  # everything that changes a relationship has a line of history
    making = {job.relationship for job in ctx.exchange.jobs() if job.kind in _FIRST}
    return [
        relationship
        for relationship in ctx.exchange.relationships()
        if relationship.index not in making
        and not ctx.successions.is_over(relationship.index)
        and _is_due(ctx, relationship)
    ]


def note_done(ctx: Context) -> None:
    """None was due, or all were put: the next look is needed when the history has grown."""
    today = _today(ctx)
    waiting = any(job.kind in _FIRST for job in ctx.exchange.jobs())
    if not waiting and ctx.exchange.setting(_LOOKED) != today:
        with ctx.transaction():
            ctx.exchange.set_setting(_LOOKED, today)


def _today(ctx: Context) -> str:
    return f"{ctx.now().date()} {ctx.setting('log_origin')} {ctx.history.root()[0]}"


def put(ctx: Context, relationship: Relationship) -> None:
    """Seal today's snapshot and put it in the place of the one before.

    Can be repeated: a copy whose answer was lost is taken away when the mailbox is looked through.
    Raises the relay's errors; then nothing is noted, and it stays due.
    """
    keys = ctx.keys(relationship)
    signed = signed_anchor(ctx, relationship, key=keys.did_key)
    sealed = seal(
        canonicalize(signed),
        to=keys.sealing_key.public,
        label=LABEL,
        context=relationship.mailbox,
    )
    client = ctx.client(ctx.setting("relay"))
    receipt = client.deposit(relationship.mailbox, relationship.capability, sealed)
    ordinal = Receipt.parse(receipt).entry.get("ordinal")
    if isinstance(ordinal, bool) or not isinstance(ordinal, int):
        raise VaultError("the relay's receipt is for something else", code="relay.wrong_receipt")
    before = _last(ctx, relationship)
    put_now = _Put(_name(signed), ordinal, multihash_sha256(sealed), ctx.now())
    with ctx.transaction():
        keep_receipt(ctx, receipt)
        _note(ctx, relationship, put_now)
    if before is not None and before.ordinal != ordinal:
        ctx.mailbox(relationship).delete_envelope(before.ordinal)


def signed_anchor(ctx: Context, relationship: Relationship, *, key: SigningKey) -> JsonObject:
    """Today's anchor, signed with the relationship's key."""
    size, root = ctx.history.root()
    whole: JsonObject = {
        "type": TYPE,
        "mailbox": relationship.mailbox,
        "epoch": ctx.epoch,
        "at": format_time(ctx.ending_time()),
        "head": {"size": size, "root": b64url_encode(root)},
        "state": _snapshot(ctx, relationship),
    }
    return sign_object(whole, key, created=ctx.ending_time())


def _snapshot(ctx: Context, relationship: Relationship) -> JsonObject:
    """The living part of a relationship, the same each time while nothing changes."""
    base: JsonObject = {
        "generation": relationship.generation,
        "index": relationship.index,
        "company": relationship.company,
        "name": relationship.name,
        "capability": relationship.capability,
        "refusals": [
            {"purpose": purpose, "until": format_time(until)}
            for purpose, until in sorted(ctx.exchange.refusals(host_of(relationship.company)))
        ],
    }
    grants: list[Json] = []
    threads: dict[str, Json] = {}
    room = MAX_SNAPSHOT - len(canonicalize(base))
    living = [g for g in ctx.exchange.grants(relationship.index) if _is_open(ctx, g)]
    for grant in sorted(living, key=lambda one: (one.created, one.digest), reverse=True):
        row = _grant_row(grant)
        thread = None if grant.request in threads else _thread(ctx, grant.request)
        room -= len(canonicalize(row)) + (0 if thread is None else len(canonicalize(thread)))
        if room < 0:
            break
        grants.append(row)
        if thread is not None:
            threads[grant.request] = thread
    return {**base, "grants": grants, "threads": [threads[key] for key in sorted(threads)]}


def _is_open(ctx: Context, grant: StoredGrant) -> bool:
    """Whether anything may still come of it: use, or the company's word that it erased."""
    if grant.ended is None:
        return True
    late = ctx.now() - grant.ended > _HEARD_WITHIN
    return grant.end_kind in VERBS and not late and not ctx.exchange.attestations(grant.digest)


def _grant_row(grant: StoredGrant) -> JsonObject:
    return {
        "grant": grant.raw,
        "ticket": grant.ticket,
        "package": grant.package,
        "statusIndex": grant.status_index,
        "created": format_time(grant.created),
        "ended": None if grant.ended is None else format_time(grant.ended),
        "endKind": grant.end_kind,
    }


def _thread(ctx: Context, request_id: str) -> JsonObject:
    request = ctx.exchange.request(request_id)
    if request is None:
        raise VaultError("the grant's request is missing", code="vault.damaged")
    said: list[Json] = [
        {
            "incoming": incoming,
            "seq": last.seq,
            "kind": last.kind,
            "at": format_time(last.at),
            "raw": last.raw,
        }
        for incoming in (False, True)
        if (last := ctx.exchange.newest_message(request_id, incoming=incoming)) is not None
    ]
    return {
        "request": request.raw,
        "received": format_time(request.received),
        "state": request.state,
        "last": said,
    }


def _name(signed: JsonObject) -> str:
    state = signed["state"]
    return digest(state if isinstance(state, dict) else {})


@dataclass(frozen=True, slots=True)
class _Put:
    """The anchor that was put last: of which snapshot, where, which octets, and when."""

    name: str
    ordinal: int
    sha256: str
    at: datetime


def _last(ctx: Context, relationship: Relationship) -> _Put | None:
    """What was put last, in the log that the relay has today: in another one the numbers mean
    other envelopes."""
    text = ctx.exchange.setting(f"{_SETTING}:{relationship.index}")
    if text is None:
        return None
    name, ordinal, sha256, at, origin = text.split(" ")
    if origin != ctx.setting("log_origin"):
        return None
    return _Put(name, int(ordinal), sha256, parse_time(at))


def _note(ctx: Context, relationship: Relationship, put: _Put) -> None:
    words = (put.name, str(put.ordinal), put.sha256, format_time(put.at), ctx.setting("log_origin"))
    ctx.exchange.set_setting(f"{_SETTING}:{relationship.index}", " ".join(words))


def _is_due(ctx: Context, relationship: Relationship) -> bool:
    """Whether there is none yet, it says something else, or the relay soon lets go of it."""
    last = _last(ctx, relationship)
    if last is None or ctx.now() - last.at > RENEWED_AFTER:
        return True
    return last.name != digest(_snapshot(ctx, relationship))


# --- looking


def read(sealed: bytes, keys: RelationshipKeys, *, mailbox: str, ctx: Context) -> Anchor | None:
    """The anchor in an envelope; None for anything that we have not made for this mailbox."""
    try:
        octets = open_sealed(sealed, key=keys.sealing_key, label=LABEL, context=mailbox)
    except SealingError:
        return None
    try:
        raw = parse_object(octets)
        verified = verify_object(
            raw,
            resolver=OFFLINE,
            now=ctx.now(),
            expected_controller=keys.did_key.did,
            exact_context=(),
        )
        fields = Fields(verified.document, own=True)
        head = fields.fields("head")
        anchor = Anchor(
            epoch=fields.integer("epoch", 0, 2**53 - 1),
            size=head.integer("size", 0, 2**53 - 1),
            root=b64url_decode(str(head.raw("root"))),
            at=format_time(fields.time("at")),
            state=fields.fields("state"),
        )
        if fields.raw("type") != TYPE or fields.raw("mailbox") != mailbox:
            return None
    except (CredentialError, DidError, MessageError):
        return None
    return anchor


def keep(ctx: Context, relationship: Relationship, ordinal: int, sealed: bytes) -> bool | None:
    """What to do with an envelope: True to leave it where it is, False to delete it, None for one
    that is no anchor of ours.

    Raises ``vault.other_copy`` for an anchor that knows more than this vault does.
    """
    last = _last(ctx, relationship)
    if last is not None and last.sha256 == multihash_sha256(sealed):
        return ordinal == last.ordinal  # shown a second time it is taken away
    anchor = read(sealed, ctx.keys(relationship), mailbox=relationship.mailbox, ctx=ctx)
    if anchor is None:
        return None
    if anchor.epoch > ctx.epoch or not ctx.history.grew_from(anchor.size, anchor.root):
        if anchor.epoch < ctx.epoch:
            return False  # of the copy before a restore, which took from it what it could
        raise other_copy(ctx)
    return False  # an older one, or a copy of one whose answer was lost


def floor(ctx: Context, relationship: Relationship) -> int:
    """The ordinal up to which nothing but our anchor lies in the mailbox."""
    clear, last = ctx.exchange.setting(f"{_CLEAR}:{relationship.index}"), _last(ctx, relationship)
    return last.ordinal if last is not None and clear == last.sha256 else 0


def note_clear(ctx: Context, relationship: Relationship) -> None:
    """The mailbox was looked through, and our anchor was seen in its place."""
    name, last = f"{_CLEAR}:{relationship.index}", _last(ctx, relationship)
    if last is not None and ctx.exchange.setting(name) != last.sha256:
        with ctx.transaction():
            ctx.exchange.set_setting(name, last.sha256)
