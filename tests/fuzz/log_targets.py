"""What logs, witnesses and accusers say: keys, cosignatures, tiles, submissions, evidence.

What stands behind the log's signature is signed first, so that damage reaches what lies there.
"""

import sys
import tempfile
from functools import cache
from pathlib import Path

from target import NOW, ROOT, Target, of_json, of_text, text

sys.path.insert(0, str(ROOT / "tests" / "pds" / "log"))

from log_world import KEY, LOG_KEY, ORIGIN, W1, W2, Log, cosigned

from did.json import canonicalize
from pds.log.audit import audit_log
from pds.log.cosignature import cosignature_line, verify_cosignature
from pds.log.errors import LogError, NoteInvalid, TileInvalid
from pds.log.evidence import LogEvidence, judge
from pds.log.note import sign_note
from pds.log.policy import Waiting, Witness, WitnessPolicy, newest_cosigned, verify_cosigned
from pds.log.submission import Submission, parse_size
from pds.log.tiles import Tile
from pds.log.tree import verify_inconsistency
from pds.log.vkey import NoteKey, Signs
from pds.witness.app import create_app
from pds.witness.witness import Witness as OurWitness

_LOG = Log().grow(300)
_FORK = Log("b", shared=5).grow(300)
_NOTE = cosigned(_LOG.note(), [W1, W2])
_POLICY = WitnessPolicy((Witness(W1.key, "https://w1.example"), Witness(W2.key)), 2)
_EVIDENCE = LogEvidence(
    LOG_KEY, _LOG.note(7), _FORK.note(), tuple(_FORK.tree.beginning(7, 300))
).to_json()


def _inconsistency(raw: bytes) -> None:
    first, second, rest = *(*raw[:2], 0, 0)[:2], raw[2:]
    hashes = [rest[at : at + 32] for at in range(0, len(rest), 32)]
    before, after, *proof = [*hashes, b"", b""]
    verify_inconsistency(
        first=first, second=second, first_root=before, second_root=after, proof=proof
    )


def _shown() -> bytes:
    roots = _LOG.tree.root(7) + _FORK.tree.root(12)
    return b"\x07\x0c" + roots + b"".join(_FORK.tree.beginning(7, 12))


def _audit(raw: bytes) -> None:
    """A log whose last tile is what a stranger sends."""

    def fetch(tile: Tile) -> bytes:
        return _LOG.fetch(tile) if tile.is_full else raw

    audit_log(fetch, _LOG.note(), origin=ORIGIN, key=KEY.verify_key, others=[_LOG.note(200)])


def _cosigned(note: str) -> None:
    verify_cosigned(note, origin=ORIGIN, key=KEY.verify_key, policy=_POLICY, now=NOW)


def _newest(raw: bytes) -> None:
    notes = text(raw).split("\x00")
    newest_cosigned(notes, origin=ORIGIN, key=KEY.verify_key, policy=_POLICY, now=NOW)


def _answered(answer: str) -> None:
    cosignature_line(answer, note=_LOG.note(), witness=W1.key, now=NOW)


@cache
def _witness() -> tuple[tempfile.TemporaryDirectory[str], OurWitness]:
    """A witness that has cosigned seven leaves of the log."""
    folder = tempfile.TemporaryDirectory()
    made = OurWitness.create(Path(folder.name, "witness"), name="w.example")
    made.trust(LOG_KEY)
    made.add_checkpoint(Submission(0, (), _LOG.note(7)).body)
    return folder, made


def _submitted(body: bytes) -> None:
    answer = create_app(_witness()[1]).test_client().post("/add-checkpoint", data=body)
    if answer.status_code not in (200, 400, 403, 404, 409, 413, 422):
        raise AssertionError(answer.status_code)


def _submitted_signed(raw: bytes) -> None:
    """The text of the checkpoint is the stranger's, and the log signs it all the same."""
    head, _, body = text(raw).partition("\n\n")
    try:
        note = sign_note(body.partition("\n\n")[0].rstrip("\n") + "\n", name=ORIGIN, key=KEY)
    except NoteInvalid:
        return
    _submitted(f"{head}\n\n{note}".encode("utf-8", "surrogateescape"))


def _target(run: object, seeds: tuple[bytes, ...], *errors: type[Exception]) -> Target:
    return Target(run, errors, seeds)  # type: ignore[arg-type]


_SUBMITTED = Submission(7, tuple(_LOG.tree.consistency(7, 300)), _LOG.note()).body

LOG_TARGETS = {
    "log_audit": _target(_audit, (_LOG.fetch(Tile(0, 1, 44)),), LogError),
    "log_cosignature": _target(
        of_text(lambda note: verify_cosignature(note, witness=W1.key, now=NOW)),
        (_NOTE.encode(),),
        NoteInvalid,
    ),
    "log_cosigned": _target(of_text(_cosigned), (_NOTE.encode(),), NoteInvalid),
    "log_cosigned_newest": _target(_newest, (b"\0".join([_NOTE.encode()] * 2),)),
    "log_evidence": _target(
        of_json(lambda raw: judge(LogEvidence.parse(raw))), (canonicalize(_EVIDENCE),), LogError
    ),
    "log_inconsistency": _target(_inconsistency, (_shown(),), LogError),
    "log_policy": _target(
        of_json(WitnessPolicy.parse), (canonicalize(_POLICY.to_json()),), LogError
    ),
    "log_tile_path": _target(of_text(Tile.parse), (b"0/x001/x234/067.p/9", b"1/000"), TileInvalid),
    "log_vkey": _target(
        of_text(lambda key: NoteKey.parse(key, expected=Signs.COSIGNATURES)),
        (W1.key.text.encode(), LOG_KEY.text.encode()),
        NoteInvalid,
    ),
    "log_waiting": _target(
        of_json(Waiting.parse), (canonicalize(Waiting(3, 5, NOW).to_json()),), LogError
    ),
    "witness_answer": _target(of_text(_answered), (W1.line(_LOG.note()).encode(),), NoteInvalid),
    "witness_size": _target(parse_size, (b"20852014\n",), NoteInvalid),
    "witness_submission": _target(Submission.parse, (_SUBMITTED,), NoteInvalid),
    "witness_submitted": _target(_submitted, (_SUBMITTED,)),
    "witness_submitted_signed": _target(_submitted_signed, (_SUBMITTED,)),
}
