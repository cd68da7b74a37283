"""Quorums of witnesses, and how long a log may keep them waiting."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_world import KEY, LOG_KEY, NOW, ORIGIN, W1, W2, W3, Cosigner, Log, cosigned

from pds.log.errors import LogError, NoteInvalid
from pds.log.policy import (
    Waiting,
    Witness,
    WitnessPolicy,
    newest_cosigned,
    verify_cosigned,
)

LOG = Log().grow(20)
NOTE = LOG.note()
POLICY = WitnessPolicy((Witness(W1.key, "https://w1.example"), Witness(W2.key)), 2)
HOUR = timedelta(hours=1)


def by(note: str, policy: WitnessPolicy = POLICY) -> list[str]:
    found = verify_cosigned(note, origin=ORIGIN, key=KEY.verify_key, policy=policy, now=NOW)
    return [one.witness.name for one in found.by]


def test_a_quorum_is_counted() -> None:
    """Those that the policy names, each once; others count for nothing."""
    assert by(cosigned(NOTE, [W2, W3, W1])) == ["w1.example", "w2.example"]
    for few in ([], [W1], [W1, W3], [W1, W1]):
        with pytest.raises(NoteInvalid) as caught:
            by(cosigned(NOTE, few))
        assert caught.value.code == "log.quorum"


def test_attack_45_cosignatures_of_a_fork_do_not_count_for_another() -> None:
    """The lines of one tree under the checkpoint of another."""
    fork = Log("b").grow(20).note()
    lines = cosigned(NOTE, [W1, W2]).removeprefix(NOTE)
    with pytest.raises(NoteInvalid) as caught:
        by(fork + lines)
    assert caught.value.code == "log.quorum"


def test_without_the_log_s_own_signature_nothing_counts() -> None:
    """Witnesses speak of what the log has signed; they do not sign in its place."""
    text = NOTE.partition("\n\n")[0] + "\n\n"
    with pytest.raises(NoteInvalid) as caught:
        by(text + W1.line(NOTE) + W2.line(NOTE))
    assert caught.value.code == "log.signature"


def test_the_newest_that_a_quorum_has_cosigned() -> None:
    """Not the newest of all, nor one that is no note."""
    notes = [LOG.note(20), cosigned(LOG.note(18), [W1]), cosigned(LOG.note(15), [W1, W2]), "x",
             cosigned(LOG.note(3), [W1, W2])]  # fmt: skip
    found = newest_cosigned(notes, origin=ORIGIN, key=KEY.verify_key, policy=POLICY, now=NOW)
    assert found is not None
    assert found.checkpoint.size == 15
    none = newest_cosigned(notes[:2], origin=ORIGIN, key=KEY.verify_key, policy=POLICY, now=NOW)
    assert none is None


SAME_KEY = Cosigner("other.example", W1.seed)
SAME_NAME = Cosigner(W1.name, 7)


@pytest.mark.parametrize(
    ("witnesses", "quorum", "hours"),
    [
        ((), 1, 24),
        ((), 0, 24),
        ((W1,), 0, 24),
        ((W1,), 2, 24),
        ((W1, W1), 2, 24),
        ((W1, SAME_KEY), 2, 24),
        ((W1, SAME_NAME), 2, 24),
        ((W1,), 1, 0),
        ((W1,), 1, 10_000),
        (tuple(Cosigner(f"w{n}", n) for n in range(17)), 1, 24),
    ],
)
def test_a_policy_that_means_nothing_is_refused(
    witnesses: tuple[Cosigner, ...], quorum: int, hours: int
) -> None:
    """Nobody, more than there are, one key under two names."""
    with pytest.raises(LogError) as caught:
        WitnessPolicy(tuple(Witness(one.key) for one in witnesses), quorum, timedelta(hours=hours))
    assert caught.value.code == "log.policy"


def test_a_policy_goes_there_and_back() -> None:
    assert WitnessPolicy.parse(POLICY.to_json()) == POLICY
    for raw in ({}, {"witnesses": [], "quorum": 1, "hours": 24},
                {"witnesses": [{}], "quorum": 1, "hours": 24},
                {"witnesses": [{"vkey": LOG_KEY.text}], "quorum": 1, "hours": 24},
                POLICY.to_json() | {"quorum": True}):  # fmt: skip
        with pytest.raises(LogError):
            WitnessPolicy.parse(raw)


def test_a_log_that_is_cosigned_in_time_is_never_overdue() -> None:
    """It grows with each round, and its witnesses are a little behind."""
    waiting, now = Waiting(), NOW
    for step in range(1, 100):
        now += HOUR
        waiting = waiting.after(seen=10 * step, cosigned=10 * step - 5, now=now)
        assert not waiting.is_overdue(POLICY, now)
        assert Waiting.parse(waiting.to_json()) == waiting


def test_attack_45_growing_does_not_put_off_the_deadline() -> None:
    """What was seen first goes on waiting, however much comes after it."""
    waiting, now = Waiting(), NOW
    for step in range(1, 26):
        waiting = waiting.after(seen=10 * step, cosigned=5, now=now)
        assert not waiting.is_overdue(POLICY, now)
        now += HOUR
    assert waiting.is_overdue(POLICY, now)
    assert not waiting.after(seen=300, cosigned=10, now=now).is_overdue(POLICY, now)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=20))
def test_waiting_means_that_something_seen_is_not_cosigned(rounds: list[tuple[int, int]]) -> None:
    """And not waiting, that all that was seen last is."""
    waiting, now = Waiting(), NOW
    for seen, signed in rounds:
        now += HOUR
        waiting = waiting.after(seen=seen, cosigned=signed, now=now)
        assert (waiting.since is not None) == (waiting.wanted > waiting.size)
        assert waiting.since is not None or seen <= waiting.size
