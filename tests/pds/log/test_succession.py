"""One key of a log takes the place of another: what is signed, and what it is worth."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keys_world import K1, K2, K3, K4, KeyedLog, rotated
from log_world import NOW, ORIGIN, Log

from did.json import JsonObject
from did.keys import SigningKey
from pds.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from pds.log.entry import verify_receipt
from pds.log.errors import EvidenceInvalid, ForkedLog, KeyMisused, LogError, RivalSuccessors
from pds.log.evidence import KeyEvidence, LogEvidence, evidence_of, judge, judge_key, parse_evidence
from pds.log.keys import LogKeys
from pds.log.monitor import Monitor
from pds.log.note import sign_note
from pds.log.succession import (
    follow,
    open_succession,
    read_successions,
    sign_succession,
    verify_succession,
)

A, B, C, D = (key.verify_key for key in (K1, K2, K3, K4))


def code_of(act: Callable[[], Any]) -> str:
    with pytest.raises(LogError) as refused:
        act()
    return refused.value.code


def statement(**changes: object) -> str:
    """A statement of a log of five leaves, with lines exchanged, signed by both keys."""
    last = KeyedLog().grow(5).checkpoint()
    lines = sign_succession(last, old=K1, new=K2, at=NOW).split("\n\n")[0].split("\n")
    names = ("head", "origin", "size", "root", "old", "new", "at")
    lines = [str(changes.get(name, line)) for name, line in zip(names, lines, strict=True)]
    return both("\n".join([*lines, *changes.get("more", ())]) + "\n")  # type: ignore[misc]


def both(text: str, *keys: SigningKey) -> str:
    first, *others = (sign_note(text, name=ORIGIN, key=key) for key in keys or (K1, K2))
    return first + "".join(note.removeprefix(text + "\n") for note in others)


@given(size=st.integers(0, 70))
def test_what_is_signed_is_read_again(size: int) -> None:
    """From every size, the empty tree too; and its receipt verifies."""
    log = KeyedLog().grow(size)
    found = verify_succession(log.rotate(K2)).succession
    assert (found.origin, found.size, found.root) == (ORIGIN, size, log.log.tree.root(size))
    assert (found.old, found.new, found.at) == (A, B, NOW)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"head": "pds/v1 log key"}, "log.succession"),
        ({"head": ORIGIN}, "log.succession"),
        ({"more": ["x"]}, "log.succession"),
        ({"origin": "relay.example/log/ffffffffffffffff"}, "log.succession"),
        ({"size": "05"}, "log.succession"),
        ({"size": "0"}, "log.succession"),
        ({"size": "9" * 16}, "log.succession"),
        ({"root": "AA=="}, "log.succession"),
        ({"old": "x"}, "log.succession"),
        ({"at": "2026-05-04"}, "log.succession"),
        ({"new": statement().split("\n")[4]}, "log.succession"),
    ],
)
def test_what_is_no_statement(changes: dict[str, object], code: str) -> None:
    """Signed by both keys, and yet not a succession."""
    assert code_of(lambda: open_succession(statement(**changes))) == code


def test_a_statement_is_no_checkpoint_nor_the_reverse() -> None:
    """Neither signature can be used for the other."""
    log = KeyedLog().grow(5)
    assert code_of(lambda: open_succession(log.note())) == "log.succession"
    assert code_of(lambda: open_checkpoint(statement(), origin=ORIGIN, key=A)) == "log.checkpoint"


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_one_changed_character_is_noticed(at: int, flip: int) -> None:
    """Whatever is read from an altered statement, it is what was signed."""
    note = statement()
    octets = bytearray(note.encode())
    octets[at % len(octets)] ^= flip
    try:
        found = open_succession(octets.decode())
    except (LogError, UnicodeDecodeError):
        return
    assert found.size == 5
    assert (found.old, found.new) == (A, B)


def test_keys_sign_in_their_time() -> None:
    """A checkpoint counts when the key of its size has signed it."""
    log = rotated(5, 9).grow(20)
    keys = LogKeys.of(ORIGIN, C, log.changes)
    assert keys.all == (A, B, C)
    for size in range(1, 20):
        right = 0 if size <= 5 else 1 if size <= 9 else 2
        for place, key in enumerate((K1, K2, K3)):
            note = log.note(size, key)
            if place == right:
                assert open_checkpoint(note, origin=ORIGIN, key=keys).size == size
                continue
            with pytest.raises(KeyMisused) as refused:
                open_checkpoint(note, origin=ORIGIN, key=keys)
            found = evidence_of(refused.value, origin=ORIGIN, key=keys)
            assert isinstance(found, KeyEvidence)
            assert judge_key(found).origin == ORIGIN
    assert code_of(lambda: open_checkpoint(log.note(7, K4), origin=ORIGIN, key=keys)) == (
        "log.signature"
    )
    assert LogKeys.of("relay.example/log/ffffffffffffffff", C, log.changes).changes == ()
    assert LogKeys.named(ORIGIN, [*reversed(log.changes)]) == keys
    assert LogKeys.named("relay.example/log/ffffffffffffffff", log.changes) is None


def test_a_monitor_goes_on_over_a_change() -> None:
    """The state of before, the proofs and the evidence are of one log."""
    log = rotated(5).grow(20)
    keys = LogKeys.of(ORIGIN, B, log.changes)
    monitor = Monitor(origin=ORIGIN, key=keys, note=log.note(3, K1))
    monitor.advance(log.note(5, K1), log.log.tree.consistency(3, 5))
    monitor.advance(log.note(20), log.log.tree.consistency(5, 20))
    fork = Log("b", shared=3).grow(20)
    signed = sign_checkpoint(Checkpoint(ORIGIN, 20, fork.tree.root()), K2)
    with pytest.raises(ForkedLog) as caught:
        Monitor(origin=ORIGIN, key=keys, note=log.note(5, K1)).advance(
            signed, fork.tree.consistency(5, 20)
        )
    found = evidence_of(caught.value, origin=ORIGIN, key=keys)
    again = parse_evidence(json.loads(json.dumps(found.to_json())))
    assert isinstance(again, LogEvidence)
    assert judge(again).proven
    assert code_of(lambda: judge(LogEvidence(again.key, again.before, again.now))) == (
        "log.signature"
    )


def test_a_receipt_of_before_stays_good() -> None:
    """Under the key of its checkpoint; a later one only under the new key."""
    log = KeyedLog().grow(4)
    old = log.entered("x")
    log.rotate(K2)
    new = log.entered("y")
    keys = LogKeys.of(ORIGIN, B, log.changes)
    for receipt in (old, new):
        assert verify_receipt(receipt, origin=ORIGIN, log_key=keys)
    assert code_of(lambda: verify_receipt(new, origin=ORIGIN, log_key=A)) == "log.signature"
    assert code_of(lambda: verify_receipt(old, origin=ORIGIN, log_key=B)) == "log.signature"


def test_a_line_is_followed_from_any_key() -> None:
    """In whatever order it is shown, and with what was known before."""
    shown = read_successions(rotated(0, 5, 9).document)
    for pinned, rest in ((A, (B, C, D)), (B, (C, D)), (C, (D,)), (D, ())):
        for order in (shown, shown[::-1]):
            line = follow(pinned, order)
            assert tuple(one.succession.new for one in line) == rest
            assert follow(pinned, order, known=shown) == line
    assert follow(SigningKey.generate().verify_key, shown) == ()


def test_two_successors_convict() -> None:
    """Also where one of them was known before; the statements alone prove it."""
    one, other = rotated(5), rotated(5, keys=[K3])
    shown = read_successions(one.document)
    rival = read_successions(other.document)
    for known, said in ((shown, rival), ((), shown + rival)):
        with pytest.raises(RivalSuccessors) as caught:
            follow(A, said, known=known)
        found = evidence_of(caught.value, origin=ORIGIN, key=A)
        again = parse_evidence(json.loads(json.dumps(found.to_json())))
        assert isinstance(again, KeyEvidence)
        assert judge_key(again).old == A
    elsewhere = read_successions(rotated(6).document)
    with pytest.raises(RivalSuccessors):
        follow(A, elsewhere, known=shown)


def test_a_statement_signed_anew_is_no_second_one() -> None:
    """Other octets of the same word: another line beneath it changes nothing."""
    log = rotated(5)
    shown = read_successions(log.document)
    note = shown[0].succession.note
    witness = sign_note(note.split("\n\n")[0] + "\n", name="w.example", key=K4)
    more = note + witness.rpartition("\n\n")[2]
    assert open_succession(more) != shown[0].succession
    assert code_of(lambda: judge_key(KeyEvidence(note, more))) == "log.evidence"


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_key_that_did_as_it_said_is_not_convicted(size: int) -> None:
    """What was signed in its time is no evidence."""
    log = rotated(5).grow(9)
    note = log.changes[0].note
    with pytest.raises(EvidenceInvalid):
        judge_key(KeyEvidence(note, log.note(size, K1)))
    with pytest.raises(EvidenceInvalid):
        judge_key(KeyEvidence(note, log.note(5 + min(size, 4), K2)))


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "LogKeyEvidence", "succession": "x"},
        {"type": "LogKeyEvidence", "succession": "x", "other": 1},
        {"type": "LogKeyEvidence", "succession": "x", "other": "y", "more": 1},
        {"type": "LogKeyEvidence", "succession": "x", "other": "y" * 300_000},
    ],
)
def test_what_is_no_evidence_about_a_key(raw: JsonObject) -> None:
    """Its form is refused before anything is verified."""
    with pytest.raises(EvidenceInvalid):
        parse_evidence(raw)
