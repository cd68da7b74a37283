"""Evidence against a log: what convicts, and what only accuses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_world import KEY, LOG_KEY, Log

from did.json import JsonObject
from did.keys import SigningKey
from pds.log import Monitor, ProofInvalid
from pds.log.errors import EvidenceInvalid, ForkedLog, LogError, NoteInvalid
from pds.log.evidence import LogEvidence, judge
from pds.log.tree import verify_inconsistency
from pds.log.vkey import log_key

HONEST, FORK = Log().grow(40), Log("b", shared=5).grow(40)


def evidence(old: str, new: str, proof: tuple[bytes, ...] = ()) -> LogEvidence:
    return LogEvidence.parse(LogEvidence(LOG_KEY, old, new, proof).to_json())


def test_two_trees_of_one_size_convict() -> None:
    """The two notes alone."""
    found = judge(evidence(HONEST.note(), FORK.note()))
    assert (found.proven, found.sizes, found.origin) == (True, (40, 40), LOG_KEY.name)


@pytest.mark.parametrize("size", [6, 7, 8, 16, 31, 39])
def test_a_fork_s_own_proof_convicts_it(size: int) -> None:
    """By it the larger tree begins with another one than was signed; in either order."""
    proof = tuple(FORK.tree.beginning(size, 40))
    assert judge(evidence(HONEST.note(size), FORK.note(), proof)).proven
    assert judge(evidence(FORK.note(), HONEST.note(size), proof)).proven
    assert not judge(evidence(HONEST.note(size), FORK.note())).proven


@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_a_log_that_only_grew_is_never_convicted(size: int) -> None:
    """Up to where the stories part, both are the beginning of both."""
    proof = tuple(FORK.tree.beginning(size, 40))
    assert not judge(evidence(HONEST.note(size), FORK.note(), proof)).proven


@settings(max_examples=60)
@given(st.data())
def test_no_proof_of_any_kind_convicts_an_honest_log(data: st.DataObject) -> None:
    """Hashes of the tree in any order, and others: a false accusation is not to be had."""
    first = data.draw(st.integers(1, 39))
    pool = [*HONEST.tree.beginning(first, 40), *HONEST.tree.inclusion(first, 40), bytes(32)]
    proof = data.draw(st.one_of(
        st.lists(st.sampled_from(pool), max_size=8), st.permutations(pool[:-1])))  # fmt: skip
    with pytest.raises(ProofInvalid):
        verify_inconsistency(
            first=first,
            second=40,
            first_root=HONEST.tree.root(first),
            second_root=HONEST.tree.root(40),
            proof=proof,
        )


def test_what_shows_nothing_is_refused() -> None:
    """One tree twice; the empty tree; a note that the key has not signed."""
    with pytest.raises(EvidenceInvalid):
        judge(evidence(HONEST.note(), HONEST.note()))
    with pytest.raises(EvidenceInvalid):
        judge(evidence(HONEST.note(0), FORK.note()))
    other = log_key(LOG_KEY.name, SigningKey.from_seed(bytes(32)).verify_key)
    with pytest.raises(NoteInvalid):
        judge(LogEvidence(other, HONEST.note(), FORK.note()))


def test_a_monitor_keeps_what_convicts() -> None:
    """The error that it raises makes the evidence."""
    monitor = Monitor(origin=LOG_KEY.name, key=KEY.verify_key, note=HONEST.note(31))
    with pytest.raises(ForkedLog) as caught:
        monitor.advance(FORK.note(40), FORK.tree.consistency(31, 40))
    assert judge(LogEvidence.of(caught.value, LOG_KEY)).proven


GOOD = LogEvidence(LOG_KEY, HONEST.note(), FORK.note()).to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Evidence"},
        {"more": 1},
        {"logKey": 1},
        {"logKey": "x"},
        {"before": 1},
        {"now": "x" * 300_000},
        {"proof": {}},
        {"proof": ["AA"]},
        {"proof": [1]},
        {"proof": [""] * 65},
    ],
)
def test_what_is_no_evidence(change: JsonObject) -> None:
    with pytest.raises(LogError):
        LogEvidence.parse(GOOD | change)
