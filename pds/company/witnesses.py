"""Whom the company believes to watch the logs of its holders' relays, and what they say.

The witnesses are learnt from nobody but the company's own people: a relay that named them could
invent them.
"""

from functools import partial

from did.json import JsonObject, parse_object
from did.time import format_time
from pds.company.context import Context
from pds.company.keychange import with_newest
from pds.company.logkeys import keys_of, line_of, note_misbehaviour, seen_checkpoint
from pds.company.onehistory import fits
from pds.company.store.base import to_text
from pds.company.store.rows import RequestRow
from pds.log.checkpoint import Checkpoint, open_checkpoint
from pds.log.errors import KeyMisused
from pds.log.policy import Waiting, WitnessPolicy
from pds.mailbox.witnessing import cosigned_by_quorum, shown_by_witnesses

_POLICY = "witnesses"
_WAITING = "witnesses_waiting:"


def policy_of(kept: str | None) -> WitnessPolicy | None:
    """The witnesses that the company believes, as the setting ``witnesses`` has them."""
    return None if not kept else WitnessPolicy.parse(parse_object(kept.encode()))


def policy(ctx: Context) -> WitnessPolicy | None:
    return policy_of(ctx.store.setting(_POLICY))


def set_policy(ctx: Context, chosen: WitnessPolicy | None) -> None:
    """Believe these witnesses from now on; None: nobody."""
    with ctx.transaction():
        ctx.store.set_setting(_POLICY, "" if chosen is None else to_text(chosen.to_json()))


def watched(ctx: Context) -> list[RequestRow]:
    """One request of each log that the company has to do with; none where nobody is believed."""
    if policy(ctx) is None:
        return []
    found: dict[tuple[str, str], RequestRow] = {}
    for row in ctx.store.requests():
        if row.state == "decided" and row.relay and row.log_key and row.log_origin:
            found[line_of(ctx, row)[-1].multikey, row.log_origin] = row
    return list(found.values())


def hear_witnesses(ctx: Context, request: RequestRow) -> str | None:
    """Hold what the witnesses have cosigned of this request's log against what its relay shows.

    The code of what is wrong, kept as a problem of the relay: ``log.forked``, ``log.unproven``, or
    ``log.unwitnessed`` for what a quorum should have cosigned by now. Raises the relay's errors.
    """
    chosen = policy(ctx)
    if chosen is None or request.relay is None or request.log_origin is None:
        return None
    origin, now = request.log_origin, ctx.now()
    client = ctx.client(request.relay)
    # The relay's key may have changed since; a note by one that is known needs no question.
    newest = client.checkpoint()
    if newest.partition("\n")[0] != origin:
        return "relay.new_log"  # the next receipt names it, and is looked at for itself
    try:
        with_newest(ctx, request, "log.signature", partial(_opened, ctx, request, newest))
    except KeyMisused as error:
        note_misbehaviour(ctx, request, error, subject=request.relay)
        return error.code
    key = keys_of(ctx, request, origin)
    cosigned = cosigned_by_quorum(client, origin=origin, key=key, policy=chosen, now=now)
    # 1. The relay's newest, what it shows as cosigned, and what the witnesses show themselves are
    #    of one history.
    shown = shown_by_witnesses(ctx.transport, chosen.witnesses, origin=origin, key=key, now=now)
    for note in (newest, *([] if cosigned is None else [cosigned.note]), *shown):
        if not fits(ctx, request, note, keys=key, origin=origin, subject=request.relay):
            return "log.forked"
    # 2. What was seen is cosigned in time.
    seen = _opened(ctx, request, seen_checkpoint(ctx, key, origin) or newest)
    size = 0 if cosigned is None else cosigned.checkpoint.size
    waiting = _waiting(ctx, origin).after(seen=seen.size, cosigned=size, now=now)
    with ctx.transaction():
        ctx.store.set_setting(_WAITING + origin, to_text(waiting.to_json()))
        if waiting.since is None or not waiting.is_overdue(chosen, now):
            return None
        ctx.problem(
            "log.unwitnessed",
            request.relay,
            {
                "log": origin,
                "wanted": waiting.wanted,
                "witnessed": waiting.size,
                "since": format_time(waiting.since),
            },
        )
    return "log.unwitnessed"


def _opened(ctx: Context, request: RequestRow, note: str) -> Checkpoint:
    origin = note.partition("\n")[0]
    return open_checkpoint(note, origin=origin, key=keys_of(ctx, request, origin))


def _waiting(ctx: Context, origin: str) -> Waiting:
    kept = ctx.store.setting(_WAITING + origin)
    raw: JsonObject = {} if kept is None else parse_object(kept.encode())
    return Waiting.parse(raw) if raw else Waiting()
