"""Attacks on the change of a log's key, by the numbers of the threat model: every step that
``verify_succession``, ``follow`` and a witness refuse."""

import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "pds" / "log"))

from keys_world import K1, K2, K3, K4, KeyedLog, altered, rotated
from log_world import NOW, ORIGIN, Log

from did.json import JsonObject
from did.keys import SigningKey
from pds.errors import PdsError
from pds.log.checkpoint import Checkpoint, sign_checkpoint
from pds.log.entry import Receipt
from pds.log.errors import EvidenceInvalid
from pds.log.evidence import KeyEvidence, LogEvidence, judge, judge_key
from pds.log.note import sign_note
from pds.log.submission import Submission
from pds.log.succession import follow, read_successions, sign_succession, verify_succession
from pds.log.tree import node_hash
from pds.log.vkey import log_key
from pds.witness.errors import Declined
from pds.witness.witness import Witness

A = K1.verify_key


def refused(raw: JsonObject) -> str:
    with pytest.raises(PdsError) as found:
        verify_succession(raw)
    return found.value.code


def signed_by(*keys: SigningKey, origin: str = ORIGIN) -> str:
    """The statement that K2 follows K1 after five leaves, with these signatures only."""
    log = KeyedLog(origin=origin).grow(5)
    text = sign_succession(log.checkpoint(), old=K1, new=K2, at=NOW).split("\n\n")[0] + "\n"
    notes = [sign_note(text, name=origin, key=key) for key in keys]
    return notes[0] + "".join(note.removeprefix(text + "\n") for note in notes[1:])


@pytest.mark.parametrize("keys", [(K1,), (K2,), (K1, K3), (K3, K2), (K3, K4)])
def test_attack_13_a_successor_that_one_key_has_signed(keys: tuple[SigningKey, ...]) -> None:
    """The old key alone names nobody, and the new one makes nobody its predecessor."""
    log = KeyedLog(keys=[K2]).grow(5)
    assert refused(log.entered(signed_by(*keys))) == "log.signature"
    assert verify_succession(KeyedLog(keys=[K2]).grow(5).entered(signed_by(K1, K2)))


def test_attack_13_a_succession_that_the_new_key_did_not_log() -> None:
    """The tree that holds it is signed by the old key, or by a third."""
    for key in (K1, K3):
        raw = KeyedLog(keys=[key]).grow(5).entered(signed_by(K1, K2))
        assert refused(raw) == "log.signature"


@pytest.mark.parametrize("size", [4, 6, 0])
def test_attack_45_a_succession_at_another_place(size: int) -> None:
    """It is the leaf right after the tree that it names: there is one place for it."""
    raw = KeyedLog(keys=[K2]).grow(size).entered(signed_by(K1, K2))
    assert refused(raw) == "log.succession"


def test_attack_45_a_succession_in_a_larger_tree() -> None:
    """The receipt is that of the tree which it completes; another shows not what was before."""
    log = rotated(5).grow(9)
    raw = altered(
        log.receipts[0], inclusion=tuple(log.log.tree.inclusion(5, 9)), checkpoint=log.note()
    )
    assert refused(raw) == "log.succession"


@pytest.mark.parametrize(
    ("index", "total", "size"), [(5, 8, 5), (3, 6, 5), (5, 6, 7), (5, 6, 4), (4, 8, 7)]
)
def test_attack_45_a_root_made_to_fit(index: int, total: int, size: int) -> None:
    """Siblings do not depend on the leaf: a relay with both keys can name what they lead to. Only
    the leaf right after the tree has the tree as its siblings."""
    around = Log().grow(total)
    path = around.tree.inclusion(index, total)
    root = path[0]
    for sibling in path[1:]:
        root = node_hash(sibling, root)
    statement = sign_succession(Checkpoint(ORIGIN, size, root), old=K1, new=K2, at=NOW)
    log = KeyedLog(keys=[K2]).grow(index)
    raw = log.entered(statement)
    log.log.tree.extend([around.nodes.get_node(0, n) for n in range(index + 1, total)])
    path = log.log.tree.inclusion(index, total)
    assert refused(altered(raw, inclusion=tuple(path), checkpoint=log.note())) == "log.succession"


def test_attack_45_a_succession_in_another_past() -> None:
    """The tree before it is not the one of which both keys speak."""
    fork = KeyedLog(Log("b"), keys=[K2]).grow(5)
    assert refused(fork.entered(signed_by(K1, K2))) == "log.succession"


def test_attack_45_a_succession_that_is_not_in_the_log() -> None:
    """Altered entries and salts lead to no signed root; other entries are none."""
    raw = rotated(5).receipts[0]
    assert refused(altered(raw, salt=b"x" * 32)) == "log.inclusion"
    entry = Receipt.parse(raw).entry
    assert refused(altered(raw, entry={**entry, "at": "2027-01-01T00:00:00Z"})) == "log.inclusion"
    assert refused(altered(raw, entry={**entry, "type": "end"})) == "log.succession"
    assert refused(altered(raw, entry={**entry, "more": 1})) == "log.succession"
    more = KeyedLog(keys=[K2]).grow(5)
    more.more = {"more": 1}
    assert refused(more.entered(signed_by(K1, K2))) == "log.succession"
    other = KeyedLog(keys=[K2]).grow(5).entered(signed_by(K1, K2), kind="staging")
    assert refused(other) == "log.succession"
    elsewhere = signed_by(K1, K2, origin="relay.example/log/ffffffffffffffff")
    assert refused(KeyedLog(keys=[K2]).grow(5).entered(elsewhere)) == "log.signature"


def test_attack_13_a_key_of_before_comes_back() -> None:
    """Whoever has an old key and the newest one cannot put the old one back in force."""
    log = rotated(5, 9)
    log.grow(12).rotate(K1)
    shown = read_successions(log.document)
    for pinned, known in ((A, ()), (K2.verify_key, shown[:1]), (K3.verify_key, shown[:2])):
        with pytest.raises(PdsError) as found:
            follow(pinned, shown, known=known)
        assert found.value.code == "log.succession"


def test_attack_13_a_key_of_before_comes_back_in_another_log() -> None:
    """Not after a restore either, and nobody is led round in a circle."""
    other = KeyedLog(keys=[K2], origin="relay.example/log/ffffffffffffffff").grow(3)
    other.rotate(K1)
    shown = read_successions({"successions": [rotated(5).receipts[0], other.receipts[0]]})
    for pinned, known in ((A, ()), (K2.verify_key, shown[:1])):
        with pytest.raises(PdsError) as found:
            follow(pinned, shown, known=known)
        assert found.value.code == "log.succession"


def test_attack_45_successions_that_turn_back() -> None:
    """The second is beyond the first: a log does not grow smaller between two keys."""
    first, second = rotated(9), KeyedLog(keys=[K2]).grow(5)
    second.rotate(K3)
    shown = read_successions({"successions": [first.receipts[0], second.receipts[0]]})
    for pinned, known in ((A, ()), (K2.verify_key, shown[:1])):
        with pytest.raises(PdsError) as found:
            follow(pinned, shown, known=known)
        assert found.value.code == "log.succession"


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"successions": {}},
        {"successions": [1]},
        {"successions": [], "more": 1},
        {"successions": rotated(5).receipts * 101},
        {"successions": [{}]},
    ],
)
def test_attack_82_what_is_no_list_of_successions(document: JsonObject) -> None:
    """Refused by its form; and no list is so long that verifying it would cost much."""
    with pytest.raises(PdsError) as found:
        read_successions(document)
    assert found.value.code in ("log.succession", "log.receipt")


def test_attack_13_a_witness_and_a_thief_of_the_old_key(tmp_path: Path) -> None:
    """It follows what both keys signed, and nothing else; what the old key signs from then on is
    not cosigned, whatever its size, and beyond the change it is kept as evidence."""
    Witness.create(tmp_path / "w", name="w.example").close()
    witness = Witness(tmp_path / "w", clock=lambda: NOW)
    witness.trust(log_key(ORIGIN, A))
    log = KeyedLog().grow(4)

    def submit(old: int, note: str, proof: list[bytes]) -> int:
        try:
            witness.add_checkpoint(Submission(old, tuple(proof), note).body)
        except Declined as error:
            return error.status
        return 200

    def tell(document: JsonObject) -> int:
        try:
            return 200 + witness.add_successions(document)
        except Declined as error:
            return error.status

    proof = log.log.tree.consistency
    assert submit(0, log.note(4), []) == 200
    log.grow(6).rotate(K2)
    log.grow(9)
    assert submit(4, log.note(9), proof(4, 9)) == 403
    half = KeyedLog(keys=[K2]).grow(6).entered(signed_by(K1))
    for document, status in (
        ({"successions": [half]}, 400),
        ({"successions": []}, 404),
        (rotated(5, keys=[K3]).document | {"more": 1}, 400),
    ):
        assert tell(document) == status
    assert tell(log.document) == 201
    assert tell(log.document) == 200  # known
    # The old key: what it could have signed, and what it could not.
    assert submit(4, log.note(5, K1), proof(4, 5)) == 403
    assert witness.evidence(ORIGIN) == []
    assert submit(4, log.note(9, K1), proof(4, 9)) == 403
    # The new key, of a tree that was not its own to sign.
    assert submit(4, log.note(6, K2), proof(4, 6)) == 403
    # The old key names another successor.
    assert tell(rotated(5, keys=[K3]).document) == 403
    kept = witness.evidence(ORIGIN)
    assert len(kept) == 3
    for one in kept:
        assert isinstance(one, KeyEvidence)
        assert judge_key(one).origin == ORIGIN
    assert submit(4, log.note(9), proof(4, 9)) == 200
    witness.close()


def test_attack_13_a_witness_saw_the_old_key_go_on(tmp_path: Path) -> None:
    """Cosigned beyond the size at which the key says that it was given up: not followed."""
    Witness.create(tmp_path / "w", name="w.example").close()
    witness = Witness(tmp_path / "w", clock=lambda: NOW)
    witness.trust(log_key(ORIGIN, A))
    log = KeyedLog().grow(9)
    witness.add_checkpoint(Submission(0, (), log.note()).body)
    with pytest.raises(Declined) as declined:
        witness.add_successions(rotated(5).document)
    assert declined.value.status == 403
    (kept,) = witness.evidence(ORIGIN)
    assert isinstance(kept, KeyEvidence)
    assert judge_key(kept).old == A
    witness.close()


def test_attack_13_strangers_who_name_successors_under_the_name_of_a_log(tmp_path: Path) -> None:
    """Anybody can make keys that contradict each other and call their log like this one. That is
    no evidence, and takes no place of any."""
    Witness.create(tmp_path / "w", name="w.example").close()
    witness = Witness(tmp_path / "w", clock=lambda: NOW)
    witness.trust(log_key(ORIGIN, A))
    honest = rotated(6)
    stranger, *theirs = (SigningKey.from_seed(bytes([90 + n]) * 32) for n in range(3))
    made = []
    for key in theirs:
        log = KeyedLog(keys=[stranger]).grow(5)
        made.append(log.rotate(key))
    assert witness.add_successions({"successions": made}) == 0
    assert witness.evidence(ORIGIN) == []
    # Nor do they keep anybody from following the log's own.
    assert witness.add_successions({"successions": [*made, *honest.receipts]}) == 1
    assert witness.evidence(ORIGIN) == []
    witness.close()


def test_attack_13_a_thief_who_buries_evidence(tmp_path: Path) -> None:
    """However much an old key contradicts itself, a fork by the newest one is still kept."""
    Witness.create(tmp_path / "w", name="w.example").close()
    witness = Witness(tmp_path / "w", clock=lambda: NOW)
    witness.trust(log_key(ORIGIN, A))
    log = rotated(6)
    log.grow(9)
    witness.add_successions(log.document)
    witness.add_checkpoint(Submission(0, (), log.note()).body)
    for seed in range(20):
        theirs = rotated(5, keys=[SigningKey.from_seed(bytes([90 + seed]) * 32)])
        with pytest.raises(Declined):
            witness.add_successions(theirs.document)
    fork = sign_checkpoint(Checkpoint(ORIGIN, 9, bytes(32)), K2)
    with pytest.raises(Declined):
        witness.add_checkpoint(Submission(9, (), fork).body)
    assert isinstance(witness.evidence(ORIGIN)[-1], LogEvidence)
    witness.close()


def test_attack_13_two_successors_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told at one moment to two programs of a witness: one is followed, and the other convicts."""
    Witness.create(tmp_path / "w", name="w.example").close()
    programs = [Witness(tmp_path / "w", clock=lambda: NOW) for _ in range(2)]
    programs[0].trust(log_key(ORIGIN, A))
    both = threading.Barrier(2)

    def meet(*arguments: Any, **more: Any) -> Any:
        with suppress(threading.BrokenBarrierError):  # the other is kept out, as it should be
            both.wait(1)
        return follow(*arguments, **more)

    monkeypatch.setattr("pds.witness.witness.follow", meet)
    answers: list[int] = []

    def tell(program: Witness, key: SigningKey) -> None:
        try:
            answers.append(program.add_successions(rotated(5, keys=[key]).document))
        except Declined as error:
            answers.append(error.status)

    threads = [
        threading.Thread(target=tell, args=each) for each in zip(programs, (K2, K3), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [1, 403]
    assert len(programs[0].evidence(ORIGIN)) == 1
    for program in programs:
        program.close()


def test_attack_82_more_keys_than_can_be_kept() -> None:
    """A hundred at once are followed; what is kept can be read again, however often more come."""
    keys = [SigningKey.from_seed(n.to_bytes(32, "big")) for n in range(1, 102)]
    shown = read_successions(rotated(*range(5, 505, 5), keys=keys[:100]).document)
    assert len(follow(A, shown)) == 100
    more = KeyedLog(keys=[keys[99]]).grow(600)
    more.rotate(keys[100])
    with pytest.raises(PdsError) as found:
        follow(keys[99].verify_key, read_successions(more.document), known=shown)
    assert found.value.code == "log.succession"


def test_attack_45_two_successors_need_two_logs() -> None:
    """Each is the same leaf: who is shown one, and who is shown the other, hold two trees of one
    size. Whichever key signed them, the roots differ."""
    one, other = rotated(5), rotated(5, keys=[K3])
    notes = [Receipt.parse(log.receipts[0]).checkpoint.split("\n")[:3] for log in (one, other)]
    assert notes[0][:2] == notes[1][:2]
    assert notes[0][2] != notes[1][2]
    assert sign_checkpoint(Checkpoint(ORIGIN, 6, one.log.tree.root()), K2) != notes[1]
    assert replace(Receipt.parse(one.receipts[0])).leaf_index == 5


def test_attack_13_evidence_that_borrows_a_succession() -> None:
    """What two keys of a log have signed is public. Beside a stranger's two checkpoints it makes
    those no word of the log's."""
    stranger = SigningKey.from_seed(bytes([90]) * 32)
    roots = [Log(name).grow(5).tree.root(5) for name in "ab"]
    notes = [sign_checkpoint(Checkpoint(ORIGIN, 5, root), stranger) for root in roots]
    honest = tuple(change.note for change in rotated(6, 9).changes)
    forged = LogEvidence(log_key(ORIGIN, stranger.verify_key), *notes)
    assert judge(forged).proven  # against the stranger
    for borrowed in (honest, honest[:1]):
        with pytest.raises(EvidenceInvalid):
            judge(replace(forged, successions=borrowed))
    theirs = rotated(6, 9)
    notes = [theirs.note(12 - n, K3) for n in range(2) if theirs.grow(12)]
    genuine = LogEvidence(log_key(ORIGIN, K3.verify_key), *notes, successions=honest)
    assert not judge(genuine).proven
