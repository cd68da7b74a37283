"""Having the log cosigned by witnesses, in the background (C2SP tlog-witness).

One round sends the newest checkpoint to every witness that has not seen it; no request ever waits
for that. A witness that is away, slow, or talks nonsense is left alone for a while, longer each
time; the others do not wait for it beyond the time that the way there allows.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from pds.errors import PdsError
from pds.log.cosignature import cosignature_line
from pds.log.errors import NoteInvalid
from pds.log.submission import Submission, parse_size
from pds.log.vkey import NoteKey
from pds.relay import ledger
from pds.relay.relay import Relay
from pds.relay.store import log
from pds.relay.store import transparency as table
from pds.relay.store.log import LogRow

EVERY: Final = 1.0
"""Seconds between two looks at whether the log has grown."""

_FIRST_PAUSE: Final = timedelta(seconds=2)
_LONGEST_PAUSE: Final = timedelta(minutes=10)
_log = logging.getLogger("pds.relay.cosigning")


class Response(Protocol):
    """What came back."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...


Post = Callable[[str, bytes], Response]
"""Sends a body to a URL, within bounds of time and size. Raises OSError or PdsError."""


@dataclass(frozen=True, slots=True)
class WitnessPlace:
    """A witness: where submissions go (no slash at the end), and the key it answers with."""

    url: str
    key: NoteKey


@dataclass(slots=True)
class _State:
    """What this process knows of a witness: the size it has seen, and until when to leave it."""

    size: int | None = None
    log: int = 0
    pause: timedelta = _FIRST_PAUSE
    until: datetime | None = None
    problem: str = ""


@dataclass(slots=True)
class Cosigner:
    """The rounds. ``run`` them in a thread of their own; several processes may do so at once."""

    relay: Relay
    witnesses: Sequence[WitnessPlace]
    post: Post
    _states: dict[str, _State] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin, in a thread that ends with the process."""
        threading.Thread(target=self.run, name="cosigning", daemon=True).start()

    def run(self) -> None:
        """Round after round, until ``stop``."""
        while not self._stopped.wait(EVERY):
            try:
                self.round()
            except Exception as error:  # noqa: BLE001  the next round may do, and requests go on
                _log.warning("a round of cosigning failed: %s", type(error).__name__)

    def stop(self) -> None:
        self._stopped.set()

    def round(self) -> Mapping[str, str]:
        """Send the newest checkpoint to everyone whose turn it is; what is wrong, by name."""
        with self.relay.store.read() as conn:
            current = log.current(conn)
            seen = {
                one.key.text: table.cosigned_size(conn, current.number, one.key.text)
                for one in self.witnesses
            }
        for witness in self.witnesses:
            state = self._states.setdefault(witness.key.text, _State())
            if state.log != current.number:
                state.log, state.size, state.until = current.number, None, None
            if current.size == 0 or seen[witness.key.text] == current.size:
                continue
            if state.until is not None and self.relay.clock() < state.until:
                continue
            if state.size is None:
                state.size = seen[witness.key.text] or 0
            self._ask(current, witness, state)
        states = [(one, self._states.get(one.key.text)) for one in self.witnesses]
        return {one.key.name: known.problem for one, known in states if known and known.problem}

    def _ask(self, current: LogRow, witness: WitnessPlace, state: _State) -> None:
        try:
            line = self._cosignature(current, witness, state)
        except (OSError, PdsError, ValueError) as error:
            problem = getattr(error, "code", type(error).__name__)
            if problem != state.problem:
                _log.warning("witness %s: %s", witness.key.name, problem)
            state.size, state.problem = None, problem  # what it claims to have seen may be wrong
            state.until = self.relay.clock() + state.pause
            state.pause = min(2 * state.pause, _LONGEST_PAUSE)
            return
        state.size, state.problem = current.size, ""
        state.pause, state.until = _FIRST_PAUSE, None
        with self.relay.store.write() as conn:
            table.add_cosignature(
                conn,
                current.number,
                witness=witness.key.text,
                size=current.size,
                note=current.checkpoint,
                line=line,
            )

    def _cosignature(self, current: LogRow, witness: WitnessPlace, state: _State) -> str:
        """What the witness puts under the checkpoint, verified.

        It knows best what it has seen: once it may say so (409), and is asked again from there.
        """
        answer = self._submit(current, witness, state.size or 0)
        if answer.status == 403 and self._tell_successions(witness):
            # It knew the log under a key of before, and follows now.
            answer = self._submit(current, witness, state.size or 0)
        if answer.status == 409:
            state.size = parse_size(answer.body)
            if state.size > current.size:
                # Another process may have been quicker. If it stays so, this relay shows the
                # witness an older log than before: one that came back from a backup unmarked.
                raise NoteInvalid("the witness has seen a larger log", code="witness.ahead")
            answer = self._submit(current, witness, state.size)
        if answer.status != 200:
            raise NoteInvalid(
                "the witness does not cosign", code=f"witness.answered_{answer.status}"
            )
        return cosignature_line(
            answer.body.decode(),
            note=current.checkpoint,
            witness=witness.key,
            now=self.relay.clock(),
        )

    def _tell_successions(self, witness: WitnessPlace) -> bool:
        """Whether the witness follows a change of the log's key. One that is not ours has no such
        place, and its operator is to be told."""
        with self.relay.store.read() as conn:
            receipts = ledger.successions(conn)
        if not receipts:
            return False
        body = ledger.successions_document(receipts)
        return self.post(f"{witness.url}/add-succession", body).status == 200

    def _submit(self, current: LogRow, witness: WitnessPlace, old: int) -> Response:
        with self.relay.store.read() as conn:
            proof = ledger.consistency(conn, old, current.size)
        body = Submission(old, tuple(proof), current.checkpoint).body
        return self.post(f"{witness.url}/add-checkpoint", body)
