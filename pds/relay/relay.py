"""What every part of a relay needs: its address, key, clock, limits and store."""

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

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
_T = TypeVar("_T")


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

    def act(self, work: Callable[[Act], _T]) -> _T:
        """One durable act, which another thread may carry out; its result."""
        return self.store.act(lambda conn: work(self._act_on(conn)))

    @contextmanager
    def write(self) -> Iterator[Act]:
        """The same for a block."""
        with self.store.write() as conn:
            yield self._act_on(conn)

    def _act_on(self, conn: Sql) -> Act:
        """Now and then an act first erases what is over."""
        now = self.clock()
        act = Act(conn, now, int(now.timestamp()))
        if self._sweeper.is_due(act.at):
            marks.sweep(conn, act.at, presentation_days=self.limits.presentation_days)
        return act

    @contextmanager
    def write_as(self, caller: RequestSignature) -> Iterator[Act]:
        """The same for a signed call, whose nonce is used up if the act happens."""
        with self.write() as act:
            new = marks.use_nonce(
                act.conn, caller.did, caller.nonce, expires=int(caller.expires.timestamp())
            )
            if not new:
                raise Refused(RelayCode.REPLAYED)
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
        new = ledger.new_entry(act.conn, relay=self.url, at=at or act.now, entry=entry)
        self.store.entries.append(new)
        return new

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
