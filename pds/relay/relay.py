"""What every part of a relay needs: its address, key, clock, limits and store."""

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from did.json import JsonObject
from did.keys import SigningKey
from pds.db import Sql
from pds.relay import ledger
from pds.relay.errors import Refused
from pds.relay.limits import Limits, RegistrationLimit
from pds.relay.store import Store, log, marks
from pds.relay.store.log import NewEntry
from pds.wire import RelayCode, RequestSignature

_SWEEP_EVERY = 60
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Act:
    """One write transaction, and the time that counts in it: taken when the lock was ours."""

    conn: Sql
    now: datetime
    at: int
    """``now`` in whole seconds."""


@dataclass(slots=True)
class _Sweeper:
    """When the last sweep was, in the memory of this process."""

    last: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def is_due(self, at: int) -> bool:
        with self.lock:
            if self.last <= at < self.last + _SWEEP_EVERY:
                return False
            self.last = at
            return True

    def go_on(self, at: int) -> None:
        """There is more: a busy relay must not fall behind what it has to erase."""
        with self.lock:
            self.last = at + 1 - _SWEEP_EVERY


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """One relay. ``url`` is its configured origin, whatever a Host header says."""

    url: str
    store: Store
    log_key: SigningKey
    challenge_key: bytes = field(repr=False)
    clock: Callable[[], datetime]
    limits: Limits
    registration: str
    token_hash: bytes | None = field(repr=False)
    registrations: RegistrationLimit
    _sweeper: _Sweeper = field(default_factory=_Sweeper)

    @contextmanager
    def write(self) -> Iterator[Act]:
        """One durable act: the block."""
        with self.store.write() as conn:
            yield self._act_on(conn)

    def _act_on(self, conn: Sql) -> Act:
        """Now and then an act first erases what is over."""
        now = self.clock()
        act = Act(conn, now, int(now.timestamp()))
        if self._sweeper.is_due(act.at):
            more = marks.sweep(conn, act.at, presentation_days=self.limits.presentation_days)
            if more:
                self._sweeper.go_on(act.at)
        return act

    @contextmanager
    def write_as(self, caller: RequestSignature) -> Iterator[Act]:
        """The same for a signed call, whose nonce is used up if the act happens.

        Raises ``Refused``: ``relay.replayed``, ``relay.rate``, or ``relay.busy`` where the clock
        was set back and nothing says any longer whether the nonce was used.
        """
        with self.write() as act:
            new = marks.use_nonce(
                act.conn, caller.did, caller.nonce, expires=int(caller.expires.timestamp())
            )
            if not new:
                used = marks.is_used(act.conn, caller.did, caller.nonce)
                raise Refused(RelayCode.REPLAYED if used else RelayCode.BUSY)
            self.limit_rate(act, f"calls {caller.did}", self.limits.calls_per_hour)
            yield act

    def limit_rate(self, act: Act, subject: str, most: int) -> None:
        """Count one more act of ``subject`` in this hour. Raises ``Refused`` ``relay.rate``."""
        hour = act.at // _HOUR
        if marks.count_in_hour(act.conn, subject, hour) > most:
            raise Refused(RelayCode.RATE, retry_after=(hour + 1) * _HOUR - act.at)

    def log(self, act: Act, entry: JsonObject, *, at: datetime | None = None) -> NewEntry:
        """Append an entry to the log, in the transaction of the act. Its receipt is there when
        the act is durable: when ``write`` has been left."""
        new = self.draft(act, entry, at=at)
        self.log_all(act, [new])
        return new

    def draft(self, act: Act, entry: JsonObject, *, at: datetime | None = None) -> NewEntry:
        """An entry that is yet to be appended, by ``log_all``. Its leaf is known."""
        return ledger.new_entry(relay=self.url, at=at or act.now, entry=entry)

    def log_all(self, act: Act, drafts: Sequence[NewEntry]) -> None:
        """Append these, and number them."""
        log.add_entries(act.conn, drafts)
        self.store.entries += drafts

    def logged(self, act: Act, number: int) -> NewEntry:
        """An entry of before, for its receipt: it may be of the batch that still runs."""
        for entry in self.store.entries:
            if entry.number == number:
                return entry
        return log.kept(act.conn, number)

    def token_fits(self, token: object) -> bool:
        """Whether this is the registration token, in constant time."""
        if self.token_hash is None or not isinstance(token, str):
            return False
        return hmac.compare_digest(hash_token(token), self.token_hash)


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
