"""The witness: every status that tlog-witness names, and what is durable when it answers."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from log_world import KEY, LOG_KEY, NOW, ORIGIN, W1, Log, cosigned

from did.keys import SigningKey
from pds.db import DbError
from pds.log import Checkpoint, sign_checkpoint
from pds.log.checkpoint import open_checkpoint
from pds.log.cosignature import verify_cosignature
from pds.log.evidence import judge
from pds.log.submission import Submission
from pds.log.tree import EMPTY_ROOT
from pds.log.vkey import log_key
from pds.witness.app import create_app
from pds.witness.errors import WitnessError
from pds.witness.witness import KEY as KEY_FILE
from pds.witness.witness import Witness


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "witness"


@pytest.fixture
def witness(data: Path) -> Iterator[Witness]:
    """A witness that knows our log."""
    Witness.create(data, name="w.example").close()
    opened = Witness(data, clock=lambda: NOW)
    opened.trust(LOG_KEY)
    yield opened
    opened.close()


@pytest.fixture
def client(witness: Witness) -> Any:
    return create_app(witness).test_client()


def send(client: Any, log: Log, old: int, new: int, proof: list[bytes] | None = None) -> Any:
    shown = log.tree.consistency(old, new) if proof is None else proof
    return client.post("/add-checkpoint", data=Submission(old, tuple(shown), log.note(new)).body)


def test_what_grows_is_cosigned(client: Any, witness: Witness) -> None:
    """From nothing, step by step, and the same size again; each answer verifies."""
    log = Log().grow(600)
    for old, new in ((0, 0), (0, 3), (3, 3), (3, 4), (4, 300), (300, 600)):
        answer = send(client, log, old, new)
        assert answer.status_code == 200, (old, new)
        found = verify_cosignature(log.note(new) + answer.text, witness=witness.key, now=NOW)
        assert found.at == NOW
        assert answer.text.count("\n") == 1


def test_the_newest_is_shown_to_anybody(client: Any, witness: Witness) -> None:
    """By the hash of the origin, with both signatures; nothing before the first."""
    place = f"/{hashlib.sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
    assert client.get(place).status_code == 404
    log = Log().grow(9)
    send(client, log, 0, 9)
    shown = client.get(place).text
    assert open_checkpoint(shown, origin=ORIGIN, key=KEY.verify_key).size == 9
    assert verify_cosignature(shown, witness=witness.key, now=NOW).at == NOW
    assert client.get(f"/{'0' * 64}/checkpoint").status_code == 404
    assert client.get("/").text == witness.key.text + "\n"


def test_lines_of_others_are_not_kept(client: Any) -> None:
    """A note may carry other signatures; only the log's is shown on."""
    note = cosigned(Log().grow(2).note(), [W1])
    assert client.post("/add-checkpoint", data=Submission(0, (), note).body).status_code == 200
    shown = client.get(f"/{hashlib.sha256(ORIGIN.encode()).hexdigest()}/checkpoint").text
    assert "w1.example" not in shown


def test_400_for_what_is_malformed(client: Any) -> None:
    """No submission, no note, an old size beyond the new one, a text that is no checkpoint."""
    log = Log().grow(5)
    for body in (b"", b"x", b"old 0\n\n", b"old 0\n\nx", Submission(6, (), log.note()).body):
        answer = client.post("/add-checkpoint", data=body)
        assert answer.status_code == 400, body
        assert answer.data == b""
    assert client.post("/add-checkpoint", data=b"x" * 300_000).status_code == 413


def test_404_for_a_log_that_is_not_known(client: Any) -> None:
    other = SigningKey.from_seed(bytes(32))
    note = sign_checkpoint(Checkpoint("other.example/log", 0, EMPTY_ROOT), other)
    assert client.post("/add-checkpoint", data=Submission(0, (), note).body).status_code == 404


def test_403_without_a_good_signature_of_the_log(client: Any) -> None:
    """By another key of its name, or with a line of its key that does not verify."""
    note = Log().grow(5).note()
    other = SigningKey.from_seed(bytes(32))
    size, root = 5, Log().grow(5).tree.root()
    wrong = sign_checkpoint(Checkpoint(ORIGIN, size, root), other)
    altered = note.replace("\n5\n", "\n6\n")
    for bad in (wrong, altered):
        answer = client.post("/add-checkpoint", data=Submission(0, (), bad).body)
        assert answer.status_code == 403


def test_409_says_which_size_was_cosigned_last(client: Any) -> None:
    """With the content type of the specification; the state stays."""
    log = Log().grow(20)
    send(client, log, 0, 7)
    for old in (0, 6, 8):
        answer = send(client, log, old, 20)
        assert (answer.status_code, answer.text) == (409, "7\n")
        assert answer.content_type == "text/x.tlog.size"
    assert send(client, log, 7, 20).status_code == 200


def test_422_for_an_empty_tree_with_leaves(client: Any) -> None:
    """Size zero has one root."""
    from pds.log.note import sign_note

    note = sign_note(f"{ORIGIN}\n0\n{'A' * 43}=\n", name=ORIGIN, key=KEY)
    assert client.post("/add-checkpoint", data=Submission(0, (), note).body).status_code == 422


@pytest.mark.parametrize("proof", [[], [bytes(32)], [bytes(32)] * 63])
def test_422_for_a_proof_that_proves_nothing(
    client: Any, witness: Witness, proof: list[bytes]
) -> None:
    """Nor is anybody accused: whoever has seen a checkpoint can send a wrong proof along."""
    log = Log().grow(20)
    assert send(client, log, 0, 7, [bytes(32)]).status_code == 422
    send(client, log, 0, 7)
    assert send(client, log, 7, 20, proof).status_code == 422
    assert send(client, log, 7, 7, [bytes(32)]).status_code == 422
    assert witness.evidence(ORIGIN) == []
    assert send(client, log, 7, 20).status_code == 200


@pytest.mark.parametrize("new", [7, 20])
def test_attack_45_a_forked_log_is_not_cosigned(client: Any, witness: Witness, new: int) -> None:
    """At the same size or later, and what it signed is kept for others."""
    log, fork = Log().grow(20), Log("b", shared=3).grow(20)
    send(client, log, 0, 7)
    for _ in range(3):
        assert send(client, fork, 7, new).status_code == 422
    (kept,) = witness.evidence(ORIGIN)
    assert judge(kept).proven
    assert [row.evidence for row in witness.logs()] == [1]
    assert send(client, log, 7, 20).status_code == 200


def test_evidence_does_not_grow_without_end(client: Any, witness: Witness) -> None:
    log = Log().grow(7)
    send(client, log, 0, 7)
    for number in range(30):
        assert send(client, Log(f"b{number}").grow(7), 7, 7).status_code == 422
    assert len(witness.evidence(ORIGIN)) == 16


def test_attack_46_a_shrunken_log_is_not_cosigned(client: Any) -> None:
    log = Log().grow(9)
    send(client, log, 0, 9)
    assert send(client, log, 8, 8).status_code == 409


def test_attack_69_a_witness_remembers_after_a_restart(data: Path, witness: Witness) -> None:
    """What it has cosigned is on the disk when it answers; another program sees it at once."""
    log = Log().grow(30)
    witness.add_checkpoint(Submission(0, (), log.note(7)).body)
    second = Witness(data, clock=lambda: NOW)
    client = create_app(second).test_client()
    assert send(client, log, 0, 30).text == "7\n"
    assert send(client, log, 7, 30).status_code == 200
    assert send(create_app(witness).test_client(), log, 7, 30).text == "30\n"
    second.close()


def test_two_at_once_never_roll_back(data: Path, witness: Witness) -> None:
    """The race of the specification: of those that go on from one size, one wins."""
    log = Log().grow(60)
    witness.add_checkpoint(Submission(0, (), log.note(5)).body)
    others = [Witness(data, clock=lambda: NOW) for _ in range(3)]
    answers: list[int] = []

    def submit(which: Witness, size: int) -> None:
        answers.append(send(create_app(which).test_client(), log, 5, size).status_code)

    threads = [threading.Thread(target=submit, args=(others[n % 3], 6 + n)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [409] * 11
    for other in others:
        other.close()


# the folder


def test_a_log_never_changes_its_key(witness: Witness) -> None:
    """The same key again is nothing new; another one is refused."""
    witness.trust(LOG_KEY)
    with pytest.raises(WitnessError) as caught:
        witness.trust(log_key(ORIGIN, SigningKey.from_seed(bytes(32)).verify_key))
    assert caught.value.code == "witness.other_key"


def test_a_folder_is_made_once_and_its_key_is_private(data: Path) -> None:
    Witness.create(data, name="w.example").close()
    assert (data / KEY_FILE).stat().st_mode & 0o777 == 0o600
    with pytest.raises(WitnessError) as caught:
        Witness.create(data, name="w.example")
    assert caught.value.code == "witness.exists"
    (data / KEY_FILE).write_bytes(bytes(32))
    for _ in range(2):
        with pytest.raises(WitnessError) as caught:
            Witness(data)
        assert caught.value.code == "witness.key"
        (data / KEY_FILE).unlink(missing_ok=True)


def test_no_witness_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(WitnessError) as caught:
        Witness(tmp_path)
    assert caught.value.code == "witness.no_data"
    with pytest.raises(WitnessError) as caught:
        Witness.create(tmp_path, name="a witness")
    assert caught.value.code == "witness.name"


def test_a_full_disk_is_no_cosignature(
    client: Any, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be kept is not signed: the answer is 503."""

    def full(*_arguments: object, **_more: object) -> None:
        raise DbError("full", code="db.full")

    log = Log().grow(3)
    with monkeypatch.context() as patch:
        patch.setattr(witness._tables, "advance", full)
        answer = send(client, log, 0, 3)
        assert (answer.status_code, answer.data) == (503, b"")
    assert send(client, log, 0, 3).status_code == 200
