"""Attacks on who watches the log, by the numbers of the threat model."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "pds" / "log"))

from log_world import KEY, LOG_KEY, NOW, ORIGIN, W1, W2, Cosigner, Log, cosigned

from pds.log.audit import audit_log
from pds.log.errors import ForkedLog, LogError, NoteInvalid, ShrunkenLog
from pds.log.evidence import LogEvidence, judge
from pds.log.policy import Witness, WitnessPolicy, verify_cosigned
from pds.log.submission import Submission
from pds.witness.errors import Declined
from pds.witness.witness import Witness as OurWitness

POLICY = WitnessPolicy((Witness(W1.key), Witness(W2.key)), 2)


def accepted(note: str) -> int:
    found = verify_cosigned(note, origin=ORIGIN, key=KEY.verify_key, policy=POLICY, now=NOW)
    return found.checkpoint.size


def test_attack_45_a_fork_with_one_witness_is_not_enough() -> None:
    """One of two that must have signed; or one twice, under a second name, or for another tree."""
    honest, fork = Log().grow(9).note(), Log("b").grow(9).note()
    assert accepted(cosigned(honest, [W1, W2])) == 9
    again = Cosigner("w3.example", W1.seed)
    moved = cosigned(honest, [W2]).removeprefix(honest)
    for note in (cosigned(fork, [W1]), cosigned(fork, [W1, W1]), cosigned(fork, [W1, again]),
                 cosigned(fork, [W1]) + moved):  # fmt: skip
        with pytest.raises(NoteInvalid):
            accepted(note)
    with pytest.raises(LogError):
        WitnessPolicy((Witness(W1.key), Witness(again.key)), 2)


def test_attack_45_a_witness_signs_one_history_only(tmp_path: Path) -> None:
    """And keeps what convicts the log that asked it for two."""
    log, fork = Log().grow(40), Log("b", shared=6).grow(40)
    witness = OurWitness.create(tmp_path / "w", name="w.example")
    witness.trust(LOG_KEY)
    witness.add_checkpoint(Submission(0, (), log.note(9)).body)
    with pytest.raises(Declined) as declined:
        witness.add_checkpoint(Submission(9, tuple(fork.tree.consistency(9, 40)), fork.note()).body)
    assert declined.value.status == 422
    assert judge(witness.evidence(ORIGIN)[0]).proven
    witness.close()


def test_attack_45_a_fork_is_found_by_who_reads_all_of_it() -> None:
    """Whoever has seen a checkpoint before, or holds a receipt, and builds the tree anew."""
    seen, fork = Log().grow(300), Log("b", shared=299).grow(900)
    with pytest.raises(ForkedLog) as caught:
        audit_log(fork.fetch, fork.note(), origin=ORIGIN, key=KEY.verify_key, others=[seen.note()])
    assert judge(LogEvidence.of(caught.value, LOG_KEY)).proven


def test_attack_46_a_witness_is_not_led_back(tmp_path: Path) -> None:
    """A smaller tree is not cosigned again, whatever old size is claimed."""
    log = Log().grow(9)
    witness = OurWitness.create(tmp_path / "w", name="w.example")
    witness.trust(LOG_KEY)
    witness.add_checkpoint(Submission(0, (), log.note(9)).body)
    for old in (0, 4, 5):
        with pytest.raises(Declined) as declined:
            witness.add_checkpoint(
                Submission(old, tuple(log.tree.consistency(old, 5)), log.note(5)).body
            )
        assert (declined.value.status, declined.value.size) == (409, 9)
    witness.close()
    with pytest.raises(ShrunkenLog):
        audit_log(log.fetch, log.note(5), origin=ORIGIN, key=KEY.verify_key, others=[log.note(9)])
