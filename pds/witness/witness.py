"""The witness: its folder, its key, the logs that it knows, and what it puts its name under."""

import os
import threading
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from did.errors import DidError
from did.json import JsonObject, canonicalize, parse_object
from did.keys import SigningKey
from did.time import utc_now
from pds.db import migrate, open_plain, transaction
from pds.log.checkpoint import Checkpoint, open_checkpoint
from pds.log.cosignature import cosign
from pds.log.errors import KeyMisused, LogError, LogMisbehaved, NoteInvalid, ProofInvalid
from pds.log.evidence import KeyEvidence, LogEvidence, evidence_of, parse_evidence
from pds.log.keys import LogKeys
from pds.log.monitor import Monitor
from pds.log.note import DASH, UnverifiedNote, check_key_name, open_note
from pds.log.submission import Submission
from pds.log.succession import LoggedSuccession, as_document, follow, read_successions
from pds.log.tree import EMPTY_ROOT
from pds.log.vkey import NoteKey, Signs, log_key
from pds.witness.errors import Declined, WitnessError
from pds.witness.store import (
    APPLICATION_ID,
    MIGRATIONS,
    MOST_EVIDENCE,
    MOST_KEY_EVIDENCE,
    LogRow,
    WitnessTables,
)

DATABASE: Final = "witness.db"
KEY: Final = "witness-key"

_EMPTY: Final = b64encode(EMPTY_ROOT).decode()


class Witness:
    """One witness, open. Safe to share between threads: submissions are taken in turn.

    Several programs may have the folder open; what a log has shown is compared and kept in one
    durable transaction, before anything is answered. A folder is never to be put back from a
    backup: the witness would cosign again what it has seen surpassed. It then begins anew, with a
    new key.
    """

    def __init__(self, data: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Open the folder that ``create`` made. Raises ``WitnessError`` and ``DbError``."""
        if not (data / DATABASE).exists():
            raise WitnessError(
                "There is no witness in this folder.", hint="Make one: pds witness init"
            )
        self._clock = clock
        self._lock = threading.Lock()
        self._key = _read_key(data / KEY)
        self._conn = open_plain(data / DATABASE)
        try:
            migrate(self._conn, MIGRATIONS, application_id=APPLICATION_ID)
            self._tables = WitnessTables(self._conn)
            name, key = self._tables.fact("name"), self._tables.fact("key")
            if name is None or key != self._key.verify_key.multikey:
                raise WitnessError(
                    "The key in this folder is not the one of this witness.",
                    code="witness.key",
                    hint="Put back the file witness-key that was beside this witness.db.",
                )
        except BaseException:
            self._conn.close()
            raise
        self.key = NoteKey(name, self._key.verify_key, Signs.COSIGNATURES)
        """The name and public key of this witness; its ``text`` is the vkey."""

    @classmethod
    def create(cls, data: Path, *, name: str) -> "Witness":
        """Make a witness with a new key in a folder that has none.

        ``name`` is best an address without its scheme, ``witness.example``. Raises
        ``WitnessError`` (``witness.exists``, ``witness.name``) and ``DbError``.
        """
        try:
            check_key_name(name)
        except NoteInvalid:
            raise WitnessError(
                "The name of a witness has no spaces and no plus sign.", code="witness.name"
            ) from None
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (data / DATABASE).exists() or (data / KEY).exists():
            raise WitnessError(
                "There is a witness in this folder already.", code="witness.exists", exit_code=1
            )
        key = SigningKey.generate()
        descriptor = os.open(data / KEY, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.unsafe_export_seed())
            file.flush()
            os.fsync(file.fileno())
        conn = open_plain(data / DATABASE)
        try:
            migrate(conn, MIGRATIONS, application_id=APPLICATION_ID)
            with transaction(conn):
                WitnessTables(conn).set_fact("name", name)
                WitnessTables(conn).set_fact("key", key.verify_key.multikey)
        finally:
            conn.close()
        return cls(data)

    def close(self) -> None:
        with self._lock:
            self._conn.close()

    def trust(self, log: NoteKey) -> None:
        """Witness this log from now on. The first checkpoint that it shows is taken as it is.

        Raises ``WitnessError`` ``witness.other_key`` when the log is known under another key.
        """
        with self._lock, transaction(self._conn):
            known = self._tables.log(log.name)
            if known is None:
                self._tables.add_log(log.name, log.text)
            elif known.vkey != log.text:
                raise WitnessError(
                    "This log is known under another key.",
                    code="witness.other_key",
                    exit_code=1,
                    hint="Of a change the relay itself tells. Ask its operator.",
                )

    def logs(self) -> list[LogRow]:
        """The logs that are witnessed."""
        with self._lock:
            return self._tables.logs()

    def evidence(self, origin: str) -> list[LogEvidence | KeyEvidence]:
        """What this log, or one of its keys, has signed that does not fit."""
        with self._lock:
            return [
                parse_evidence(parse_object(text.encode()))
                for text in self._tables.evidence(origin)
            ]

    def newest(self, origin_hash: str) -> str | None:
        """The last checkpoint cosigned of the log whose origin has this SHA-256, in hex."""
        for log in self.logs():
            if sha256(log.origin.encode()).hexdigest() == origin_hash and log.note is not None:
                return log.note + (log.cosignature or "")
        return None

    def add_successions(self, document: JsonObject) -> int:
        """Follow the changes of the keys of logs that are witnessed here, as ``GET /v1/log/keys``
        of a relay shows them; how many logs have another key now. They prove themselves, so anybody
        may bring them.

        Raises ``Declined``: 400 (malformed), 404 (of no log that is witnessed), 403 (they lead
        nowhere, or contradict what is known; what convicts is kept).
        """
        try:
            shown = read_successions(document)
        except (LogError, DidError):
            raise Declined("the successions are malformed", status=400) from None
        with self._lock, transaction(self._conn):
            named = dict.fromkeys(one.succession.origin for one in shown)
            logs = [log for log in map(self._tables.log, named) if log is not None]
            followed = [self._follow(log, shown) for log in logs]
        if not logs:
            raise Declined("no log of these is witnessed here", status=404)
        for one in followed:
            if isinstance(one, LogError):
                raise Declined("the successions do not hold", status=403) from one
        return followed.count(True)

    def _follow(self, log: LogRow, shown: Sequence[LoggedSuccession]) -> bool | LogError:
        """Whether the log has another key now, or why it cannot; in the caller's transaction:

        1. a line of successions leads on from the key that is known, within this log
        2. no key has signed what was cosigned beyond the size at which it was given up
        """
        known = _followed(log)
        here = [one for one in shown if one.succession.origin == log.origin]
        try:
            line = follow(_keys_of(log).newest, here, known=known)  # 1
            if not line:
                return False
            all_ = (*known, *line)
            newest = line[-1].succession.new
            keys = LogKeys.of(log.origin, newest, [one.succession for one in all_])
            if log.note is not None:
                open_checkpoint(log.note, origin=log.origin, key=keys)  # 2
        except LogError as error:
            if isinstance(error, LogMisbehaved):
                self._keep(error, log)
            return error
        self._tables.change_key(
            log.origin,
            vkey=log_key(log.origin, newest).text,
            successions=canonicalize(as_document(all_)).decode(),
        )
        return True

    def _keep(self, error: LogMisbehaved, log: LogRow) -> None:
        """Keep what convicts, in the caller's transaction."""
        kept = evidence_of(error, origin=log.origin, key=_keys_of(log))
        most = MOST_KEY_EVIDENCE if isinstance(kept, KeyEvidence) else MOST_EVIDENCE
        self._tables.add_evidence(log.origin, canonicalize(kept.to_json()).decode(), most=most)

    def add_checkpoint(self, body: bytes) -> str:
        """Take in what a log submits; the cosignature line, durable before it is returned.

        Raises ``Declined`` with the status of tlog-witness, *add-checkpoint*.
        """
        # 1. The form of the request.
        try:
            submitted = Submission.parse(body)
            text = UnverifiedNote.parse(submitted.note).text
        except NoteInvalid:
            raise Declined("the submission is malformed", status=400) from None
        with self._lock, transaction(self._conn):
            # 2. The log is one that we know: 404.
            log = self._tables.log(text.partition("\n")[0])
            if log is None:
                raise Declined("this log is not witnessed here", status=404)
            error: Exception | None = _out_of_time(submitted.note, log)
            if error is None:
                new = _signed(submitted.note, log)  # 3
                # 4. The old size is not beyond the new one: 400.
                if submitted.old > new.size:
                    raise Declined("the old size is beyond the new one", status=400)
                # 5. It is the size that we have cosigned last: 409.
                if submitted.old != log.size:
                    raise Declined("another size was cosigned last", status=409, size=log.size)
                error = _grown(log, submitted)  # 6
            if error is None:
                # 7. Kept, with the size compared, in one transaction.
                line = cosign(submitted.note, name=self.key.name, key=self._key, at=self._clock())
                note = _alone(submitted.note, log)
                self._tables.advance(log.origin, size=new.size, note=note, cosignature=line)
            elif isinstance(error, LogMisbehaved) and error.proven:
                # Anybody can send a wrong proof for a right checkpoint: that shows nothing.
                self._keep(error, log)
        if isinstance(error, KeyMisused):
            raise Declined("the log has not signed this with the key of its time", status=403)
        if error is not None:
            raise Declined("the checkpoint does not grow out of the last one", status=422)
        return line


def _signed(note: str, log: LogRow) -> Checkpoint:
    """The checkpoint, if the log has signed it (403) and it can be one."""
    key = _key_of(log)
    try:
        text = open_note(note, name=key.name, key=key.key)
    except NoteInvalid:
        raise Declined("the log has not signed this", status=403) from None
    try:
        return open_checkpoint(note, origin=key.name, key=key.key)
    except NoteInvalid:
        # An empty tree has one root only: 422. Everything else is no checkpoint.
        lines = text.split("\n")
        other_root = lines[1:2] == ["0"] and lines[2:3] != [_EMPTY]
        raise Declined("this is no checkpoint", status=422 if other_root else 400) from None


def _out_of_time(note: str, log: LogRow) -> KeyMisused | None:
    """A checkpoint by one of the log's keys at a size that was not its own: it convicts."""
    try:
        open_checkpoint(note, origin=log.origin, key=_keys_of(log))
    except KeyMisused as error:
        return error
    except NoteInvalid:
        pass
    return None


def _grown(log: LogRow, submitted: Submission) -> Exception | None:
    """Why the new checkpoint does not grow out of the last one cosigned; None if it does."""
    monitor = Monitor(origin=log.origin, key=_keys_of(log), note=log.note)
    if log.note is None or monitor.state is None or monitor.state.size == 0:
        # Every tree begins with the empty one: no proof is due, and none may come.
        return ProofInvalid("nothing to prove", code="log.consistency") if submitted.proof else None
    try:
        monitor.advance(submitted.note, submitted.proof)
    except (LogMisbehaved, ProofInvalid) as error:
        return error
    return None


def _alone(note: str, log: LogRow) -> str:
    """The note with the signature of the log and no other: what others have put under it is none
    of our business to keep."""
    key = _key_of(log)
    parsed = UnverifiedNote.parse(note)
    lines = [
        f"{DASH}{line.name} {b64encode(line.key_id + line.signature).decode()}\n"
        for line in parsed.signatures
        if (line.name, line.key_id) == (key.name, key.id)
    ]
    return parsed.text + "\n" + lines[0]


def _key_of(log: LogRow) -> NoteKey:
    return NoteKey.parse(log.vkey, expected=Signs.NOTES)


def _followed(log: LogRow) -> tuple[LoggedSuccession, ...]:
    if log.successions is None:
        return ()
    return read_successions(parse_object(log.successions.encode()))


def _keys_of(log: LogRow) -> LogKeys:
    """Who signs the log now, and who signed it before."""
    known = [one.succession for one in _followed(log)]
    return LogKeys.of(log.origin, _key_of(log).key, known)


def _read_key(path: Path) -> SigningKey:
    try:
        return SigningKey.from_seed(path.read_bytes())
    except (OSError, DidError):
        raise WitnessError(
            "The key of the witness is missing or damaged.", code="witness.key"
        ) from None
