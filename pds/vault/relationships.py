"""Beginning a relationship: the next derivation index, once and for one company."""

from datetime import datetime

from credentials.status import BitString
from pds.mailbox import RelayError, RelayUnreachable
from pds.vault.context import Context, other_copy
from pds.vault.staging import queue_mailbox, queue_status
from pds.vault.store.rows import Relationship
from pds.wire import new_capability

STATUS_ENTRIES = 131_072


def begin_relationship(ctx: Context, company: str, name: str, *, now: datetime) -> Relationship:
    """A new relationship with its DID, mailbox and empty status list, queued to be made at the
    relay; in the caller's transaction."""
    index = int(ctx.setting("next_index"))
    relationship = add_relationship(ctx, company, name, index=index, now=now)
    ctx.exchange.set_setting("next_index", str(index + 1))
    queue_mailbox(ctx, relationship)
    queue_status(ctx, relationship, bits=BitString.empty(STATUS_ENTRIES))
    return relationship


def add_relationship(
    ctx: Context,
    company: str,
    name: str,
    *,
    index: int,
    now: datetime,
    capability: str | None = None,
) -> Relationship:
    """The row of a relationship at an index, in the caller's transaction; ``capability`` is the one
    that its mailbox has already."""
    keys = ctx.derive(index)
    relationship = Relationship(
        index=index,
        generation=ctx.generation,
        company=company,
        name=name,
        did=keys.did_key.did,
        mailbox=keys.mailbox_id,
        capability=capability or new_capability(ctx.random),
        status_bits=BitString.empty(STATUS_ENTRIES).encode(),
        status_sequence=0,
        status_issued=now,
        created=now,
    )
    ctx.exchange.add_relationship(relationship)
    ctx.log("relationship", company, {"did": relationship.did})
    return relationship


def next_is_unused(ctx: Context) -> bool:
    """Whether the keys of the next relationship are new to the relay too: another copy of this
    vault may have given them to another company (``vault.other_copy``).

    False when another program on this vault has taken them meanwhile. A relay that is away cannot
    say; then the first status list will not be taken, and nothing goes out.
    """
    index = ctx.setting("next_index")
    keys, relay = ctx.derive(int(index)), ctx.client(ctx.setting("relay"))
    try:
        relay.owner(keys.mailbox_id, keys.mailbox_key, ctx.epoch).info()
    except RelayError as error:
        if error.code == "relay.not_found":
            return True
        raise
    except RelayUnreachable:
        return True
    if ctx.setting("next_index") == index:
        raise other_copy(ctx)
    return False
