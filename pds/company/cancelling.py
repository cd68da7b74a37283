"""Taking a request back, as long as nobody has answered it."""

from collections.abc import Callable
from functools import partial

from pds.company.asking import CANCELLED, mailbox_of
from pds.company.collecting import CollectReport, end_thread, read_mailbox
from pds.company.context import Context
from pds.company.errors import CompanyError
from pds.company.store.rows import RequestRow
from pds.links import RequestLink
from pds.mailbox import RelayError, RelayUnreachable

_NOT_THERE = frozenset({"relay.not_found", "relay.ended"})


def cancel(ctx: Context, row: RequestRow) -> bool:
    """Take a request back: its link leads nowhere, its mailbox and its keys are gone.

    1. an answer that came first counts; the link goes before the mailbox is read a last time
    2. the mailbox is ended at the relay, then the keys are destroyed

    A request that is not published yet never will be, even when the relay is away; what a broken
    attempt may have left there is then not removed, and the answer is false.

    Raises ``CompanyError`` (``company.answered``, ``company.ended``), ``RelayUnreachable`` for a
    published one (nothing changed, or the link is gone: repeat it), other ``RelayError``.
    """
    if row.state == "decided":
        raise _answered()
    if row.state == "closed":
        raise CompanyError("the request is closed already", code="company.ended")
    if row.state == "pending":
        with ctx.transaction():
            ctx.store.set_request_state(row.id, "pending", CANCELLED)
    try:
        _close(ctx, row)
    except RelayUnreachable:
        if row.state != "pending":
            raise
        return False
    return True


def _close(ctx: Context, row: RequestRow) -> None:
    link = RequestLink.parse(row.link or "")
    steps: tuple[Callable[[], None], ...] = (
        partial(mailbox_of(ctx, row).delete_request, link.id),
        partial(read_mailbox, ctx, row, CollectReport()),
    )
    for step in steps:  # 1
        try:
            step()
        except RelayError as error:
            if error.code not in _NOT_THERE:
                raise
    now = ctx.store.request(row.id)
    if now is not None and now.state == "decided":
        raise _answered()
    end_thread(ctx, row, event="cancelled")  # 2
    ctx.store.compact()


def _answered() -> CompanyError:
    return CompanyError(
        "the request was answered already, so it cannot be taken back",
        code="company.answered",
        hint="See: pds company grants. Only the person can end what was granted.",
    )
