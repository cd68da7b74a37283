"""``pds relay key`` and ``pds log verify`` over changes of a log's key."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "log"))

from keys_world import K1, K2, K3, KeyedLog, altered, rotated
from log_world import ORIGIN, Log

from did.json import canonicalize
from did.time import format_time, utc_now
from pds.log.evidence import KeyEvidence
from pds.log.tiles import all_tiles
from pds.log.vkey import log_key
from pds.relay.app import create_app

V1, V2, V3 = (log_key(ORIGIN, key.verify_key).text for key in (K1, K2, K3))
Verify = Callable[..., tuple[int, Any]]


def laid(folder: Path, log: KeyedLog) -> Path:
    """The log as files, with the changes of its key."""
    for tile in all_tiles(log.log.tree.size):
        place = folder / "tile" / tile.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(log.log.fetch(tile))
    (folder / "checkpoint").write_text(log.note())
    (folder / "keys.json").write_bytes(canonicalize(log.document))
    return folder


@pytest.fixture
def verify(pds: Callable[..., Any]) -> Verify:
    """``pds --json log verify``: its exit code and answer, or error."""

    def run(*arguments: object) -> tuple[int, Any]:
        ran = pds("--json", "log", "verify", *map(str, arguments))
        return ran.code, ran.json if ran.out else ran.error

    return run


def test_a_log_is_verified_over_its_changes(tmp_path: Path, verify: Verify, pds: Any) -> None:
    """From the key that is known to the newest; told, and remembered."""
    log, state = KeyedLog().grow(5), tmp_path / "state.json"
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(canonicalize(log.entered("x")))
    folder = laid(tmp_path / "log", log)
    assert verify(folder, "--key", V1, "--state", state)[1]["keyChanges"] == []
    log.rotate(K2)
    log.grow(9).rotate(K3)
    laid(folder, log)
    code, told = verify(folder, "--state", state, "--receipt", receipt)
    assert (code, told["key"], told["comparedWith"], told["receipts"]) == (0, V3, 6, 1)
    assert [(one["old"], one["new"], one["size"]) for one in told["keyChanges"]] == [
        (V1, V2, 6), (V2, V3, 9),
    ]  # fmt: skip
    for key in (V1, V2, V3):
        assert verify(folder, "--state", state, "--key", key)[0] == 0
        assert verify(folder, "--key", key)[0] == 0
    ran = pds("log", "verify", str(folder), "--key", V2)
    assert "Another key after 9 leaves, which both keys have signed." in ran.out
    assert V2 in ran.out


@pytest.mark.parametrize("how", ["nothing", "another", "altered"])
def test_attack_13_a_key_that_nobody_named(tmp_path: Path, verify: Verify, how: str) -> None:
    """Without a line from the known key to the one that signs, the log is another."""
    log, state = KeyedLog().grow(5), tmp_path / "state.json"
    folder = laid(tmp_path / "log", log)
    assert verify(folder, "--key", V1, "--state", state)[0] == 0
    log.rotate(K2)
    laid(folder, log)
    raw = log.receipts[0]
    log.receipts = {
        "nothing": [],
        "another": rotated(5, keys=[K3]).receipts,
        "altered": [altered(raw, salt=b"x" * 32)],
    }[how]
    (folder / "keys.json").write_bytes(canonicalize(log.document))
    code, told = verify(folder, "--state", state)
    assert (code, told["result"]) == (1, "invalid")


def test_attack_13_two_successors_are_remembered(tmp_path: Path, verify: Verify, pds: Any) -> None:
    """Another successor than the state remembers: evidence, for a third person too."""
    state, out = tmp_path / "state.json", tmp_path / "evidence.json"
    assert verify(laid(tmp_path / "a", rotated(5)), "--key", V1, "--state", state)[0] == 0
    other = laid(tmp_path / "b", rotated(5, keys=[K3]))
    code, told = verify(other, "--state", state, "--out", out)
    assert (code, told["code"]) == (1, "log.two_successors")
    code, told = verify("--evidence", out, "--key", V1)
    assert (code, told["result"], told["keyCompared"]) == (0, "proven", True)
    assert verify("--evidence", out, "--key", log_key("x", K1.verify_key).text)[0] == 1
    assert "has signed against the succession" in pds("log", "verify", "--evidence", out).out


def test_attack_13_the_old_key_goes_on(tmp_path: Path, verify: Verify) -> None:
    """A checkpoint beyond the change, remembered or shown, convicts."""
    out, log = tmp_path / "evidence.json", rotated(5).grow(9)
    note = log.changes[0].note
    folder = laid(tmp_path / "log", log)
    (folder / "checkpoint").write_text(log.note(9, K1))
    code, told = verify(folder, "--key", V1, "--out", out)
    assert (code, told["code"]) == (1, "log.old_key")
    assert verify("--evidence", out)[0] == 0
    out.write_bytes(canonicalize(KeyEvidence(note, log.note(5, K1)).to_json()))
    assert verify("--evidence", out)[0] == 1


def test_evidence_over_a_change(tmp_path: Path, verify: Verify) -> None:
    """A fork between what the old key signed and what the new one signs; under either key."""
    state, out = tmp_path / "state.json", tmp_path / "evidence.json"
    assert verify(laid(tmp_path / "a", KeyedLog().grow(5)), "--key", V1, "--state", state)[0] == 0
    fork = KeyedLog(Log("b", shared=3)).grow(7)
    fork.rotate(K2)
    code, told = verify(laid(tmp_path / "b", fork.grow(9)), "--state", state, "--out", out)
    assert (code, told["code"]) == (1, "log.forked")
    for key in (V1, V2):
        assert verify("--evidence", out, "--key", key)[1]["result"] == "proven"
    assert verify("--evidence", out, "--key", V3)[0] == 1


def test_the_command(tmp_path: Path, pds: Callable[..., Any]) -> None:
    """Changes the key of a stopped relay; says what to do next; refuses an empty folder."""
    data = tmp_path / "relay"
    create_app(data, url="http://127.0.0.1:8080").extensions["relay"].store.close()
    before = (data / "log-key").read_bytes()
    ran = pds("--json", "relay", "key", "rotate", "--data", str(data), "--yes")
    assert (ran.code, ran.json["size"]) == (0, 0)
    assert ran.json["old"] != ran.json["new"]
    assert (data / "log-key").read_bytes() != before
    ran = pds("relay", "key", "rotate", "--data", str(data), "--yes")
    assert "From leaf 2 on the log has another key" in ran.out
    assert "Back up now" in ran.out
    ran = pds("--json", "relay", "key", "rotate", "--data", str(tmp_path / "none"), "--yes")
    assert (ran.code, ran.error["code"]) == (2, "relay.no_data")


def test_a_vault_shows_the_keys_that_it_followed(cli: Any, fake_relay: Any) -> None:
    """The newest, when it came, and the one of before; in its history too."""
    log, urls = KeyedLog().grow(3), [""]

    def answer(path: str) -> tuple[int, str, bytes]:
        if path == "/v1/relay":
            told = {
                "relay": urls[0],
                "logOrigin": log.origin,
                "logKey": log.key.verify_key.multikey,
                "registration": "open",
                "time": format_time(utc_now()),
            }
            return 200, "application/json", canonicalize(told)
        if path == "/v1/log/keys":
            return 200, "application/json", canonicalize(log.document)
        return 404, "application/json", b"{}"

    urls[0] = fake_relay(answer)
    log.origin = urls[0].removeprefix("http://") + "/log/0011223344556677"
    cli("relay", "use", urls[0])
    assert cli.json("relay", "key", "show")["changes"] == []
    log.rotate(K2)
    cli("sync", expect=1)  # the rest of what it says is nonsense
    told = cli.json("relay", "key", "show")
    (change,) = told["changes"]
    assert told["key"] == change["new"] == log_key(log.origin, K2.verify_key).text
    assert "Another key after 3 leaves" in cli("relay", "key", "show").out
    assert "has another key" in cli("activity").out
