"""A monitor follows an honest log and stops at a dishonest one."""

import pytest

from did.keys import SigningKey
from pds.log import (
    Checkpoint,
    ForkedLog,
    LogError,
    MemoryNodes,
    Monitor,
    NoteInvalid,
    ProofInvalid,
    ShrunkenLog,
    Tree,
    sign_checkpoint,
)
from pds.log.tree import leaf_hash

ORIGIN = "relay.example/log"
KEY = SigningKey.from_seed(bytes(range(32)))


class Log:
    """A small log and its signed history; ``name`` makes its leaves its own."""

    def __init__(self, name: str = "honest", size: int = 40) -> None:
        self.tree = Tree(MemoryNodes(), 0)
        self.tree.extend([leaf_hash(f"{name} {n}".encode()) for n in range(size)])

    def note(self, size: int) -> str:
        return sign_checkpoint(Checkpoint(ORIGIN, size, self.tree.root(size)), KEY)

    def proof(self, first: int, second: int) -> list[bytes]:
        return self.tree.consistency(first, second)


def monitor(note: str | None = None) -> Monitor:
    return Monitor(origin=ORIGIN, key=KEY.verify_key, note=note)


def test_an_honest_log_is_followed() -> None:
    """From nothing, over the empty tree, by any steps, and standing still."""
    log, watch = Log(), monitor()
    assert (watch.state, watch.note) == (None, None)
    last = 0
    for size in (0, 0, 1, 1, 2, 7, 8, 8, 31, 40):
        assert watch.advance(log.note(size), log.proof(last, size)).size == size
        assert watch.state == Checkpoint(ORIGIN, size, log.tree.root(size))
        assert watch.note == log.note(size)
        last = size


def test_the_memory_outlives_the_process() -> None:
    """A monitor made from the kept note goes on where the last one stopped."""
    log = Log()
    first = monitor()
    first.advance(log.note(9), [])
    second = monitor(first.note)
    assert second.state == first.state
    second.advance(log.note(12), log.proof(9, 12))
    with pytest.raises(NoteInvalid):
        monitor(log.note(9).replace("\n9\n", "\n8\n"))


@pytest.mark.parametrize("size", [5, 9, 16])
def test_a_proof_where_there_is_nothing_to_prove_is_refused(size: int) -> None:
    """At first sight, at the same size, and after the empty tree, the proof is empty."""
    log = Log()
    for watch in (monitor(), monitor(log.note(size)), monitor(log.note(0))):
        before = watch.state
        with pytest.raises(ProofInvalid):
            watch.advance(log.note(size), [bytes(32)])
        assert watch.state == before


def test_a_fork_of_one_size_is_proven() -> None:
    """Two signed roots of one size convince anyone, and both notes are kept."""
    log, fork = Log(), Log("forked")
    watch = monitor(log.note(9))
    with pytest.raises(ForkedLog) as caught:
        watch.advance(fork.note(9), [])
    assert (caught.value.old_note, caught.value.new_note) == (log.note(9), fork.note(9))
    assert caught.value.proven
    assert caught.value.code == "log.forked"
    assert watch.note == log.note(9)


@pytest.mark.parametrize("proof_of", ["fork", "log", "none", "short", "long"])
def test_growth_that_is_not_proved_is_a_fork(proof_of: str) -> None:
    """No proof, somebody else's proof, or one of the wrong length: the state stays."""
    log, fork = Log(), Log("forked")
    watch = monitor(log.note(9))
    proof = {
        "fork": fork.proof(9, 12),
        "log": log.proof(9, 12),
        "none": [],
        "short": log.proof(9, 12)[:-1],
        "long": [*log.proof(9, 12), bytes(32)],
    }[proof_of]
    with pytest.raises(ForkedLog) as caught:
        watch.advance(fork.note(12), proof)
    assert caught.value.proven is (proof_of == "fork")  # by its own proof it began otherwise
    assert caught.value.proof == (tuple(proof) if proof_of == "fork" else ())
    assert watch.note == log.note(9)
    watch.advance(log.note(12), log.proof(9, 12))


def test_a_shrunken_log_is_reported_with_both_notes() -> None:
    """Fewer leaves than signed before, even none."""
    log = Log()
    watch = monitor(log.note(9))
    for size in (8, 1, 0):
        with pytest.raises(ShrunkenLog) as caught:
            watch.advance(log.note(size), [])
        assert (caught.value.old_note, caught.value.new_note) == (log.note(9), log.note(size))
        assert caught.value.code == "log.shrunken"
        assert watch.note == log.note(9)


def test_a_note_of_another_log_does_not_move_the_state() -> None:
    """A foreign origin or key is refused before anything is compared."""
    log = Log()
    watch = monitor(log.note(9))
    other = SigningKey.from_seed(bytes(32))
    foreign = (
        sign_checkpoint(Checkpoint(ORIGIN, 12, log.tree.root(12)), other),
        sign_checkpoint(Checkpoint("other.example", 12, log.tree.root(12)), KEY),
    )
    for note in foreign:
        with pytest.raises(LogError) as caught:
            watch.advance(note, log.proof(9, 12))
        assert caught.value.code == "log.signature"
        assert watch.note == log.note(9)
