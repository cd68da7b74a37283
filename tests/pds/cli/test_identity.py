"""``pds identity`` without a relay: its words, files and exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from did.identifier import Did
from did.methods.webvh import url_of

FOLDER = "https://example.com/people/alice"


@pytest.fixture
def made(cli: Any, tmp_path: Path) -> Any:
    """An identity at a web server of the holder's own."""
    return cli.json("identity", "create", "--host", FOLDER, "--export", str(tmp_path / "1.jsonl"))


def test_create_says_where_it_belongs(cli: Any, tmp_path: Path) -> None:
    """The file is written for the web server, and its address is named."""
    file = tmp_path / "did.jsonl"
    ran = cli("identity", "create", "--host", FOLDER, "--export", str(file))
    did = ran.out.splitlines()[1]
    assert url_of(Did.parse(did)) == f"{FOLDER}/did.jsonl"
    assert f"Put its did.jsonl at {FOLDER}/did.jsonl" in ran.err
    shown = cli("identity", "show")
    assert f"signs with {did}#z6Mk" in shown.out
    assert cli("identity", "export").out.encode() == file.read_bytes()


def test_json_has_the_same_members_everywhere(cli: Any, made: Any, tmp_path: Path) -> None:
    """What programs read of an identity."""
    assert made == cli.json("identity", "show")
    assert {**made, "created": 0, "updated": 0, "key": 0, "did": 0} == {
        "did": 0,
        "url": f"{FOLDER}/did.jsonl",
        "relay": None,
        "version": 1,
        "created": 0,
        "updated": 0,
        "key": 0,
        "deactivated": False,
        "waiting": False,
        "unchecked": False,
    }
    file = tmp_path / "2.jsonl"
    rotated = cli.json("identity", "rotate", "--yes", "--export", str(file))
    assert rotated["version"] == 2
    assert rotated.keys() == made.keys()
    assert file.read_bytes().startswith((tmp_path / "1.jsonl").read_bytes())
    told = cli.json("identity", "export", str(tmp_path / "3.jsonl"))
    assert told == {"file": str(tmp_path / "3.jsonl"), "url": made["url"]}


def test_what_destroys_is_confirmed(cli: Any, made: Any) -> None:
    """Without --yes and without anybody to ask nothing happens."""
    for verb in ("rotate", "deactivate"):
        assert "--yes" in cli.json("identity", verb, expect=2)["message"]
    assert cli.json("identity", "show") == made
    over = cli.json("identity", "deactivate", "--yes")
    assert (over["version"], over["deactivated"], over["key"]) == (2, True, None)
    for arguments in (("rotate", "--yes"), ("deactivate", "--yes")):
        error = cli.json("identity", *arguments, expect=1)
        assert error["code"] == "identity.deactivated"
    assert "ended" in cli("identity", "show").out
    told = cli("activity").out
    assert "You deactivated your public identity." in told
    assert f"Your public identity began: {made['did']}" in told


def test_signing(cli: Any, made: Any, tmp_path: Path) -> None:
    """A JSON object comes back with one proof by the key of now; anything else is refused."""
    file = tmp_path / "note.json"
    file.write_text('{"type": "Note"}')
    signed = cli.json("identity", "sign", str(file))
    assert signed["proof"]["verificationMethod"] == made["key"]
    error = cli.json("identity", "sign", "-", stdin=json.dumps(signed).encode(), expect=1)
    assert error["code"] == "proof.present"
    assert cli.json("identity", "sign", "-", stdin=b"[]", expect=1)["code"].startswith("json.")


def test_files_are_not_overwritten(cli: Any, made: Any, tmp_path: Path) -> None:
    """A file that is there stops a command before it changes anything."""
    file = str(tmp_path / "1.jsonl")
    for arguments in (
        ("export", file),
        ("rotate", "--yes", "--export", file),
        ("deactivate", "--yes", "--export", file),
        ("create", "--export", file),
    ):
        assert cli.json("identity", *arguments, expect=2)["code"] == "usage"
    assert cli.json("identity", "show") == made


def test_mistakes_have_codes(cli: Any, tmp_path: Path) -> None:
    """None yet, a place that no DID leads to, no relay, and publishing what is not at a relay."""
    for arguments in (("show",), ("export",), ("rotate", "--yes"), ("publish",)):
        assert cli.json("identity", *arguments, expect=1)["code"] == "identity.none"
    error = cli.json("identity", "create", "--host", "http://example.com", expect=1)
    assert error["code"] == "identity.place"
    assert "example.com" not in error["message"]
    assert cli.json("identity", "create", expect=1)["code"] == "vault.no_relay"
    made = cli.json("identity", "create", "--host", FOLDER)
    assert cli.json("identity", "publish", expect=1)["code"] == "identity.own_host"
    file = tmp_path / "did.jsonl"
    file.write_bytes(b"{}\n")
    assert cli.json("identity", "recover", str(file), expect=1)["code"] == "identity.foreign"
    cli("identity", "export", str(tmp_path / "mine.jsonl"))
    assert cli.json("identity", "recover", str(tmp_path / "mine.jsonl")) == made


def test_a_relay_without_a_name_cannot_host(
    cli: Any, start: Any, free_port: Any, tmp_path: Path
) -> None:
    """did:webvh leads to https and a name: a relay at an address says what to do instead."""
    url = f"http://127.0.0.1:{free_port()}"
    start("relay", "serve", "--data", str(tmp_path / "relay"), "--url", url)
    cli("relay", "use", url)
    error = cli.json("identity", "create", expect=1)
    assert error["code"] == "identity.place"
    assert "--host" in error["hint"]


def test_development_tls_goes_with_https(cli: Any, tmp_path: Path) -> None:
    """A certificate for an address is none."""
    ran = cli("relay", "serve", "--data", str(tmp_path / "r"), "--url", "http://127.0.0.1:1",
              "--dev-tls", expect=2)  # fmt: skip
    assert "--dev-tls goes with an https --url" in ran.err
