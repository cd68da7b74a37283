"""Holding every receipt against one history of the relay's log.

Each receipt proves that its entry is in *some* tree that the relay signed. That it is the one
tree that everybody sees is shown only by consistency: between the receipt's checkpoint and the
newest one seen. Receipts are kept as they come, and compared at the next ``sync``.
"""

from did.json import JsonObject
from pds.log.checkpoint import Checkpoint, open_checkpoint
from pds.log.entry import VerifiedReceipt, verify_receipt
from pds.log.errors import LogError
from pds.log.monitor import Monitor, not_grown
from pds.log.tree import verify_consistency
from pds.mailbox import RelayClient
from pds.vault import relaykeys
from pds.vault.context import Context, HomeRelay

MAX_AT_ONCE = 200


def keep_receipt(ctx: Context, receipt: JsonObject) -> VerifiedReceipt:
    """Verify a receipt of the home relay and remember its checkpoint for comparison, in the
    caller's transaction. Raises ``LogError``."""
    home = ctx.home()
    verified = verify_receipt(receipt, origin=home.log_origin, log_key=home.log_keys)
    ctx.exchange.add_unchecked(home.log_origin, verified.receipt.checkpoint)
    return verified


class LogWatch:
    """The home relay's log during one round: its newest checkpoint, and what agrees with it."""

    def __init__(self, ctx: Context, home: HomeRelay) -> None:
        self._ctx = ctx
        self._home = home
        self._client: RelayClient = ctx.client(home.url)
        self._monitor = Monitor(
            origin=home.log_origin,
            key=home.log_keys,
            note=ctx.exchange.seen_checkpoint(home.log_origin),
        )
        self._agreed: dict[int, bytes] = {}

    @property
    def note(self) -> str | None:
        return self._monitor.note

    @property
    def size(self) -> int:
        """How many entries the newest checkpoint seen has."""
        return 0 if self._monitor.state is None else self._monitor.state.size

    def advance(self) -> None:
        """Take the relay's newest checkpoint. Raises ``LogMisbehaved`` for a fork or a shrunken
        log, and the relay's errors."""
        changes = relaykeys.followed(self._ctx.exchange)
        relaykeys.take_changes(self._monitor, self._client, self._home.log_origin, changes)
        self._take(self._client.checkpoint())
        with self._ctx.transaction():
            self._ctx.exchange.see_checkpoint(
                self._home.log_origin, self._monitor.note or "", self._ctx.now()
            )

    def check_kept(self) -> None:
        """Hold the checkpoints of the receipts kept so far against the newest."""
        for note in self._ctx.exchange.unchecked(self._home.log_origin, limit=MAX_AT_ONCE):
            self.check(note)
            with self._ctx.transaction():
                self._ctx.exchange.checked(note)

    def check(self, note: str) -> None:
        """Show that this checkpoint and the newest are of one log. Raises ``ForkedLog``."""
        shown = open_checkpoint(note, origin=self._home.log_origin, key=self._home.log_keys)
        state = self._monitor.state
        if state is None or shown.size > state.size:
            self._take(note)
            return
        if self._agreed.get(shown.size) == shown.root:
            return
        if shown.size == state.size:
            if shown.root != state.root:
                raise not_grown(shown, state, note, self._monitor.note or "", [])
        elif shown.size > 0:
            self._compare(shown, state, note)
        self._agreed[shown.size] = shown.root

    def _compare(self, older: Checkpoint, newer: Checkpoint, note: str) -> None:
        proof = self._client.consistency(older.size, newer.size)
        try:
            verify_consistency(
                first=older.size,
                second=newer.size,
                first_root=older.root,
                second_root=newer.root,
                proof=proof,
            )
        except LogError as error:
            raise not_grown(older, newer, note, self._monitor.note or "", proof) from error

    def _take(self, note: str) -> None:
        self._monitor.take(note, self._client.consistency)
