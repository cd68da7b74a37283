"""``pds log`` and ``pds witness``: what they say, and their exit codes."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "log"))

from log_world import LOG_KEY, ORIGIN, W1, W2, Log, cosigned

from did.json import canonicalize
from did.keys import SigningKey
from did.time import utc_now
from pds.log.entry import Receipt, leaf_of
from pds.log.evidence import LogEvidence
from pds.log.tiles import all_tiles
from pds.log.vkey import log_key

STRANGER = log_key(ORIGIN, SigningKey.from_seed(bytes(32)).verify_key)


def laid(folder: Path, log: Log, note: str | None = None) -> Path:
    """A log as files, as a server of static files would have it."""
    for tile in all_tiles(log.tree.size):
        place = folder / "tile" / tile.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(log.fetch(tile))
    (folder / "checkpoint").write_text(log.note() if note is None else note)
    return folder


@pytest.fixture
def verify(pds: Callable[..., Any]) -> Callable[..., tuple[int, Any]]:
    """``pds --json log verify``: its exit code and answer, or error."""

    def run(*arguments: object) -> tuple[int, Any]:
        ran = pds("--json", "log", "verify", *map(str, arguments))
        return ran.code, ran.json if ran.out else ran.error

    return run


def test_a_log_in_a_folder(tmp_path: Path, verify: Callable[..., Any], pds: Any) -> None:
    """Built anew; compared with what the state remembers; in words as well."""
    log = Log().grow(300)
    state = tmp_path / "state.json"
    folder = laid(tmp_path / "log", log)
    code, told = verify(folder, "--key", LOG_KEY.text, "--state", state)
    assert (code, told["result"], told["size"]) == (0, "valid", 300)
    assert (told["comparedWith"], told["witnessed"], told["keyTakenOnTrust"]) == (None, None, False)
    laid(folder, log.grow(1000))
    code, told = verify(folder, "--state", state)
    assert (code, told["size"], told["comparedWith"]) == (0, 1000, 300)
    ran = pds("log", "verify", str(folder), "--state", str(state))
    assert ran.code == 0
    assert "1000 leaves" in ran.out
    assert "No witness was asked for" in ran.out


def test_without_a_key_nothing_is_verified(tmp_path: Path, verify: Callable[..., Any]) -> None:
    """A folder cannot vouch for its own key: wrong usage."""
    code, error = verify(laid(tmp_path, Log().grow(3)))
    assert (code, error["code"]) == (2, "usage")


def test_attack_45_a_forked_log_leaves_evidence(
    tmp_path: Path, verify: Callable[..., Any], pds: Any
) -> None:
    """Exit code 1, the state stays, and what --out has convinces a third person."""
    state, out = tmp_path / "state.json", tmp_path / "evidence.json"
    folder = laid(tmp_path / "log", Log().grow(64))
    assert verify(folder, "--key", LOG_KEY.text, "--state", state)[0] == 0
    remembered = state.read_bytes()
    laid(folder, Log("b", shared=9).grow(300))
    code, told = verify(folder, "--state", state, "--out", out)
    assert (code, told["result"], told["code"]) == (1, "invalid", "log.forked")
    assert state.read_bytes() == remembered
    code, told = verify("--evidence", out, "--key", LOG_KEY.text)
    assert (code, told["result"], told["sizes"]) == (0, "proven", [64, 300])
    assert told["keyCompared"]
    assert verify("--evidence", out)[1]["keyCompared"] is False
    code, told = verify("--evidence", out, "--key", STRANGER.text)
    assert (code, told["code"]) == (1, "log.evidence")
    ran = pds("log", "verify", "--evidence", str(out))
    assert "Proven: the holder of this key has signed a tree of 300" in ran.out


def test_evidence_that_proves_nothing(tmp_path: Path, verify: Callable[..., Any]) -> None:
    """Two sizes without a proof: both are signed, and that is all. Rubbish is refused."""
    file = tmp_path / "evidence.json"
    unproven = LogEvidence(LOG_KEY, Log().grow(5).note(), Log("b").grow(9).note())
    file.write_bytes(canonicalize(unproven.to_json()))
    code, told = verify("--evidence", file, "--key", LOG_KEY.text)
    assert (code, told["result"]) == (2, "not proven")
    for raw in (b"{}", b"[", canonicalize(unproven.to_json() | {"now": unproven.before})):
        file.write_bytes(raw)
        assert verify("--evidence", file)[0] == 1


@pytest.mark.parametrize(
    ("spoil", "code", "name"),
    [
        (lambda folder: (folder / "checkpoint").unlink(), 2, "log.not_there"),
        (lambda folder: (folder / "tile/0/000").unlink(), 2, "log.not_there"),
        (lambda folder: (folder / "tile/0/000").write_bytes(bytes(8192)), 1, "log.tile"),
        (lambda folder: (folder / "tile/0/000").write_bytes(b"x"), 1, "log.tile"),
        (lambda folder: (folder / "checkpoint").write_bytes(b"\xff\n"), 1, "log.other_key"),
        (lambda folder: (folder / "checkpoint").write_text("x\n"), 1, "log.other_key"),
        (lambda folder: (folder / "checkpoint").write_text(
            Log().grow(300).note().replace("\n300\n", "\n301\n")), 1, "log.signature"),
    ],
)  # fmt: skip
def test_what_is_missing_and_what_is_wrong(
    tmp_path: Path, verify: Callable[..., Any], spoil: Callable[[Path], Any], code: int, name: str
) -> None:
    """What is not there could not be checked (2); what is there and wrong is refused (1)."""
    folder = laid(tmp_path, Log().grow(300))
    spoil(folder)
    found, told = verify(folder, "--key", LOG_KEY.text)
    assert (found, told["code"]) == (code, name)


def test_another_key_is_not_taken(tmp_path: Path, verify: Callable[..., Any]) -> None:
    """Neither than the one given, nor than the one remembered."""
    folder, state = laid(tmp_path / "log", Log().grow(3)), tmp_path / "state"
    assert verify(folder, "--key", STRANGER.text)[0] == 1
    assert verify(folder, "--key", LOG_KEY.text, "--state", state)[0] == 0
    code, told = verify(folder, "--key", STRANGER.text, "--state", state)
    assert (code, told["code"]) == (1, "log.other_key")
    state.write_text('{"logs": []}')
    assert verify(folder, "--state", state)[0] == 2


def test_witnesses_and_their_quorum(tmp_path: Path, verify: Callable[..., Any]) -> None:
    """All that are named, or so many of them."""
    log = Log().grow(300)
    folder = laid(tmp_path, log, cosigned(log.note(), [W1], utc_now()))
    both = ("--witness", W1.key.text, "--witness", W2.key.text)
    code, told = verify(folder, "--key", LOG_KEY.text, *both, "--quorum", "1")
    assert (code, told["witnesses"], told["witnessed"]) == (0, ["w1.example"], 300)
    code, told = verify(folder, "--key", LOG_KEY.text, *both)
    assert (code, told["code"]) == (1, "log.quorum")
    assert verify(folder, "--key", LOG_KEY.text, "--quorum", "1")[0] == 2
    assert verify(folder, "--key", LOG_KEY.text, *both, "--quorum", "3")[1]["code"] == "log.policy"
    assert verify(folder, "--key", LOG_KEY.text, "--witness", "x")[1]["code"] == "log.vkey"


def receipt(log: Log, salt: bytes = bytes(32)) -> tuple[Receipt, Log]:
    """A receipt for one more entry of the log."""
    entry = {"type": "end", "package": "A" * 22}
    index = log.tree.append(leaf_of(salt, entry))
    size = log.tree.size
    made = Receipt(entry, salt, index, tuple(log.tree.inclusion(index, size)), log.note())
    return made, log


def test_a_receipt_must_be_in_the_log(tmp_path: Path, verify: Callable[..., Any]) -> None:
    """By itself; in the log as it is now; and not when the log forgot it."""
    made, log = receipt(Log().grow(70))
    file = tmp_path / "receipt.json"
    file.write_bytes(canonicalize(made.to_json()))
    code, told = verify("--receipt", file, "--key", LOG_KEY.text)
    assert (code, told["receipts"]) == (0, 1)
    folder = laid(tmp_path / "log", log.grow(400))
    assert verify(folder, "--receipt", file, "--key", LOG_KEY.text)[1]["receipts"] == 1
    forgot = laid(tmp_path / "forgot", Log().grow(400))
    code, told = verify(forgot, "--receipt", file, "--key", LOG_KEY.text)
    assert (code, told["code"]) == (1, "log.forked")
    file.write_bytes(canonicalize(made.to_json() | {"salt": "E" + "A" * 42}))
    assert verify("--receipt", file, "--key", LOG_KEY.text)[1]["code"] == "log.inclusion"
    assert verify("--receipt", file)[0] == 2
    assert verify()[0] == 2


def test_a_relay_that_is_away_could_not_be_checked(
    verify: Callable[..., Any], free_port: Callable[[], int]
) -> None:
    code, told = verify(f"http://127.0.0.1:{free_port()}")
    assert (code, told["result"]) == (2, "could not check")


# witnesses


def test_a_witness_is_made_and_told_of_logs(tmp_path: Path, pds: Callable[..., Any]) -> None:
    """init, key, trust, logs, evidence."""
    data = ("--data", str(tmp_path / "w"))
    made = pds("--json", "witness", "init", *data, "--name", "w.example").json
    assert pds("--json", "witness", "key", *data).json["key"] == made["key"]
    assert pds("witness", "key", *data).out.strip() == made["key"]
    assert pds("witness", "logs", *data).out.startswith("No log is witnessed")
    assert pds("--json", "witness", "trust", LOG_KEY.text, *data).json == {"log": ORIGIN}
    assert pds("--json", "witness", "trust", STRANGER.text, *data).error["code"] == (
        "witness.other_key"
    )
    assert pds("--json", "witness", "trust", "x", *data).error["code"] == "log.vkey"
    rows = pds("--json", "witness", "logs", *data).json["logs"]
    assert rows == [{"log": ORIGIN, "size": 0, "evidence": 0}]
    assert pds("--json", "witness", "evidence", ORIGIN, *data).json["evidence"] == []
    assert pds("witness", "evidence", ORIGIN, *data, "--out", str(tmp_path / "e")).code == 2
    assert pds("--json", "witness", "key", "--data", str(tmp_path)).error["code"] == (
        "witness.no_data"
    )


def test_what_a_witness_caught_is_for_others(
    tmp_path: Path, pds: Callable[..., Any], verify: Callable[..., Any]
) -> None:
    from pds.log.submission import Submission
    from pds.witness.errors import Declined
    from pds.witness.witness import Witness

    data = tmp_path / "w"
    with_data = ("--data", str(data))
    pds("witness", "init", *with_data, "--name", "w.example")
    witness = Witness(data)
    witness.trust(LOG_KEY)
    witness.add_checkpoint(Submission(0, (), Log().grow(5).note()).body)
    with pytest.raises(Declined):
        witness.add_checkpoint(Submission(5, (), Log("b").grow(5).note()).body)
    witness.close()
    assert "CAUGHT" in pds("witness", "logs", *with_data).out
    out = tmp_path / "evidence"
    assert pds("witness", "evidence", ORIGIN, *with_data, "--out", str(out)).code == 0
    assert verify("--evidence", out, "--key", LOG_KEY.text)[0] == 0


def test_a_holder_chooses_witnesses(cli: Any) -> None:
    """Added, removed, with a quorum; nobody at first."""
    assert cli.json("relay", "witnesses")["witnesses"] == []
    told = cli.json("relay", "witnesses", "--add", f"https://w1.example={W1.key.text}",
                    "--add", W2.key.text)  # fmt: skip
    assert (told["quorum"], told["hours"]) == (2, 24)
    assert told["witnesses"][0] == {"vkey": W1.key.text, "url": "https://w1.example"}
    told = cli.json("relay", "witnesses", "--quorum", "1", "--within", "48")
    assert (told["quorum"], told["hours"], len(told["witnesses"])) == (1, 48, 2)
    assert cli.json("relay", "witnesses", "--remove", "w1.example")["quorum"] == 1
    assert "w2.example" in cli("relay", "witnesses").out
    cli("relay", "witnesses", "--remove", "w9.example", expect=2)
    cli("relay", "witnesses", "--none", "--quorum", "1", expect=2)
    assert cli.json("relay", "witnesses", "--quorum", "5", expect=1)["code"] == "log.policy"
    assert cli.json("relay", "witnesses", "--add", "ftp://x=y", expect=1)["code"] == "net.url"
    assert cli.json("relay", "witnesses", "--none")["witnesses"] == []
    cli("relay", "witnesses", "--quorum", "1", expect=2)
    assert cli.json("relay", "evidence") == {"evidence": []}
    cli("relay", "evidence", "--out", "x", expect=2)


def test_a_company_chooses_witnesses(shop: Any, pds: Callable[..., Any]) -> None:
    data = ("--json", "company", "--data", str(shop.folder))
    before = json.loads(pds(*data, "evidence").out)["evidence"]  # of other tests with this shop
    told = pds(*data, "witnesses", "--add", W1.key.text).json
    assert told["witnesses"] == [{"vkey": W1.key.text}]
    assert pds(*data, "witnesses").json == told
    assert pds(*data, "witnesses", "--none").json["witnesses"] == []
    assert json.loads(pds(*data, "evidence").out) == {"evidence": before}


def test_a_witness_of_a_relay_needs_an_address(tmp_path: Path, pds: Callable[..., Any]) -> None:
    """URL=KEY, both of them, before anything is made."""
    for wrong in (W1.key.text, f"https://w.example={LOG_KEY.text}", "x"):
        ran = pds("relay", "serve", "--data", str(tmp_path / "r"), "--url",
                  "http://127.0.0.1:1", "--witness", wrong)  # fmt: skip
        assert ran.code in (1, 2)
        assert not (tmp_path / "r").exists()
