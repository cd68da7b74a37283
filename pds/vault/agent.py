"""The agent: round after round of ``sync``, so that what was decided stays true while nobody looks.

The vault is opened for a round and closed after it, so that other programs, a restore or a new key
find nobody in their way. Between rounds the agent sleeps until the next time that matters (a status
list to be renewed, a grant that begins or ends), at most for the usual interval. When the relay is
away it tries again after a random part of a span that doubles each time, so that many agents never
come back at the same moment; where the relay says how long to wait, it waits that long.

What it tells is a count or a code, never a name, a value, or who the companies are.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from credentials.errors import CredentialError
from did.errors import DidError
from did.json import JsonObject
from did.time import format_time
from pds.db import translate
from pds.errors import PdsError
from pds.mailbox import RelayError
from pds.vault.errors import VaultError
from pds.vault.report import SyncReport

if TYPE_CHECKING:
    from pds.vault.service import Vault

EVERY = timedelta(minutes=15)
FIRST = timedelta(seconds=10)
LONGEST = timedelta(minutes=30)
LONGEST_ASKED = timedelta(hours=6)
SLICE = timedelta(seconds=30)
_LOCK = "agent.lock"
# With these no later round can be any better until a person has done something.
_HOPELESS = frozenset(
    {
        "vault.no_relay", "vault.missing", "vault.damaged", "vault.wrong_secret", "vault.locked",
        "vault.slots_old", "vault.slots_damaged", "vault.slots_missing",
        "db.missing", "db.damaged", "db.plaintext", "db.wrong_key_or_damaged",
    }
)  # fmt: skip


class Stopped(BaseException):
    """Somebody wants the agent to end. Raised by a signal's handler, anywhere: every step of a
    round can be cut off and done again."""


class Surroundings(Protocol):
    """Where an agent runs: the clock, sleep, chance, and who hears of it."""

    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None:
        """Sleep; ends early by raising ``Stopped``."""

    def chance(self) -> float:
        """A random number from 0 up to 1."""

    def tell(self, line: JsonObject) -> None: ...

    def alive(self) -> None:
        """Called at least once in every ``SLICE`` of sleep."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to: its report, and the next time at which one is needed."""

    report: SyncReport
    due: datetime | None


@contextmanager
def only_agent(folder: Path) -> Iterator[None]:
    """Be the only agent of this vault. Raises ``VaultError`` (``agent.running``)."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VaultError(
                "an agent of this vault is running already",
                code="agent.running",
                hint="One is enough. Stop that one first: systemctl --user stop pds-agent",
            ) from None
        yield
    finally:
        os.close(descriptor)


def one_round(open_vault: Callable[[], "AbstractContextManager[Vault]"]) -> Round:
    """Open the vault, do one round, close it."""
    with translate(), open_vault() as vault:
        report = vault.sync()
        return Round(report, vault.next_due())


class Agent:
    """The loop. ``work`` is one round: it returns, or raises as ``Vault.open`` and ``sync`` do."""

    def __init__(
        self, work: Callable[[], Round], around: Surroundings, *, every: timedelta = EVERY
    ) -> None:
        self._work = work
        self._around = around
        self._every = every
        self._failures = 0

    def run(self) -> None:
        """Go on until ``Stopped``. Raises what only a person can mend: a wrong or changed secret,
        a damaged vault, no relay."""
        try:
            self._tell("started")
            while True:
                self._sleep(self.step())
        except Stopped:
            self._tell("stopped")

    def step(self) -> timedelta:
        """One round; returns how long to sleep after it."""
        try:
            done = self._work()
        except (PdsError, DidError, CredentialError, OSError) as error:
            code = getattr(error, "code", "file.failed")  # OSError: a disk that is full or away
            if code in _HOPELESS:
                self._tell("gave up", code=code)
                raise
            pause = self._back_off(error)
            self._tell("failed", code=code, **self._next(pause))
            return pause
        waiting = done.report.push.waiting
        if waiting:  # something could not be sent: the next try is sooner than the next round
            pause = min(self._back_off(None), self._until(done.due))
        else:
            self._failures = 0
            pause = self._until(done.due)
        self._tell("round", **_counts(done.report), **self._next(pause))
        return pause

    def _until(self, due: datetime | None) -> timedelta:
        """The usual interval, a tenth more or less so that agents spread, or what is due before."""
        pause: timedelta = self._every * (0.9 + 0.2 * self._around.chance())
        if due is not None:
            # A second late is right: at the very moment some comparisons still say "not yet".
            pause = min(pause, due - self._around.now() + timedelta(seconds=1))
        return max(pause, timedelta(seconds=1))

    def _back_off(self, error: Exception | None) -> timedelta:
        span: timedelta = min(FIRST * 2 ** min(self._failures, 20), LONGEST)
        self._failures += 1
        pause: timedelta = max(span * self._around.chance(), timedelta(seconds=1))
        if isinstance(error, RelayError) and error.retry_after is not None:
            asked = timedelta(seconds=min(error.retry_after, LONGEST_ASKED.total_seconds()))
            pause = max(pause, asked)
        return pause

    def _sleep(self, pause: timedelta) -> None:
        """Sleep in slices: a machine that slept meanwhile is noticed by the clock, and a clock that
        was set back makes no sleep longer than it was to be."""
        until, left = self._around.now() + pause, pause
        while left > timedelta(0):
            part = min(left, SLICE)
            self._around.sleep(part.total_seconds())
            self._around.alive()
            left = min(left - part, until - self._around.now())

    def _next(self, pause: timedelta) -> JsonObject:
        return {"next": format_time((self._around.now() + pause).replace(microsecond=0))}

    def _tell(self, event: str, **more: object) -> None:
        at = format_time(self._around.now().replace(microsecond=0))
        self._around.tell({"at": at, "event": event, **more})  # type: ignore[dict-item]


def _counts(report: SyncReport) -> JsonObject:
    """A round in numbers and codes; whom they concern stands in the vault."""
    numbers = {
        "messages": report.messages,
        "redemptions": report.redemptions,
        "refusals": report.refusals,
        "restaged": report.restaged,
        "renewed": report.renewed,
        "sent": report.push.sent,
    }
    codes = {
        "waiting": Counter(code for _, code in report.push.waiting),
        "problems": Counter(code for code, _ in report.problems),
    }
    return {**numbers, **{name: dict(sorted(found.items())) for name, found in codes.items()}}
