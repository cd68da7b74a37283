"""``pds company`` at a relay that wants a token, and at one that is away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

INIT = (
    "init", "--did", "did:web:shop.example", "--name", "Shop Kft.", "--address", "Szeged",
    "--contact", "mailto:a@shop.example", "--data-protection-contact", "mailto:b@shop.example",
    "--sandbox", "--relay",
)  # fmt: skip


@pytest.fixture(scope="module")
def token_relay(
    start: Callable[..., Any],
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path]:
    """A relay that wants a token, and the file that holds it."""
    data = tmp_path_factory.mktemp("token-relay")
    url = f"http://127.0.0.1:{free_port()}"
    start("relay", "serve", "--data", str(data), "--url", url, "--registration", "token")
    return url, data / "registration-token"


@pytest.fixture
def company(tmp_path: Path, pds: Callable[..., Any]) -> Callable[..., Any]:
    """``pds company ARGUMENTS`` for one folder."""

    def run(*arguments: str, expect: int = 0, json: bool = True) -> Any:
        mode = ("--json",) if json else ()
        ran = pds(*mode, "company", "--data", str(tmp_path / "shop"), *arguments)
        assert ran.code == expect, (arguments, ran)
        return ran

    return run


def test_init_asks_the_relay(
    company: Any, token_relay: tuple[str, Path], tmp_path: Path, fixtures: Path
) -> None:
    """Without the right token nothing is made, and the hint says where it lies; with it the
    company can ask."""
    url, token = token_relay
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-token\n")
    for arguments in ((), ("--relay-token-file", str(wrong))):
        error = company(*INIT, url, *arguments, expect=1).error
        assert error["code"] == "relay.token"
        assert "--relay-token-file" in error["hint"]
        assert "registration-token" in error["hint"]
        assert "not-the-token" not in str(error)
    made = company(*INIT, url, "--relay-token-file", str(token)).json
    assert made["relayChecked"]
    new = company("request", str(fixtures / "request.json")).json
    assert (new["published"], new["problem"], new["warnings"]) == (True, None, [])


def test_a_token_can_be_given_later(
    company: Any, token_relay: tuple[str, Path], tmp_path: Path, fixtures: Path
) -> None:
    """A company that has none is told so by every command that needs it, until it has one."""
    url, token = token_relay
    company(*INIT, url, "--relay-token-file", str(token))
    (tmp_path / "spoilt").write_text("spoilt")
    _forget_token(tmp_path / "shop")
    told = company("request", str(fixtures / "request.json"), expect=1, json=False)
    assert "registration token" in told.err
    assert "[relay.token]" in told.err
    assert "pds company relay --token-file" in told.err
    (problem,) = company("collect", expect=1).json["problems"]
    assert problem["code"] == "relay.token"
    assert "--token-file" in problem["hint"]
    assert "token" in problem["message"]
    assert company("relay", expect=1).error["code"] == "relay.token"
    wrong = company("relay", "--token-file", str(tmp_path / "spoilt"), expect=1)
    assert wrong.error["code"] == "relay.token"
    done = company("relay", "--token-file", str(token)).json
    assert done == {"relay": url, "registration": "token", "problems": []}
    assert company("requests").json[0]["state"] == "published"
    assert "takes this company" in company("relay", json=False).out


def _forget_token(folder: Path) -> None:
    from pds.db import open_plain

    conn = open_plain(folder / "company.db")
    conn.execute("DELETE FROM setting WHERE name = 'relay_token'")
    conn.close()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe", b"two\nlines"])
def test_a_file_that_holds_no_token(content: bytes, company: Any, tmp_path: Path) -> None:
    """It is refused before anything is asked, and not repeated."""
    file = tmp_path / "token"
    file.write_bytes(content)
    arguments = (*INIT, "http://127.0.0.1:9", "--relay-token-file", str(file))
    error = company(*arguments, expect=2).error
    assert "lines" not in str(error)
    assert not (tmp_path / "shop").exists()


def test_an_open_relay_wants_none(company: Any, relay: str, tmp_path: Path) -> None:
    """A token given to it is kept and said to be needless."""
    company(*INIT, relay)
    (tmp_path / "token").write_text("spare")
    assert (
        "wants no token"
        in company("relay", "--token-file", str(tmp_path / "token"), json=False).out
    )


def test_a_relay_that_is_away(company: Any, fixtures: Path) -> None:
    """The company is made, with a word that the relay was not asked; asking ends with 4 and says
    why; what is not at the relay yet can be taken back."""
    made = company(*INIT, "http://127.0.0.1:9", json=False)
    assert "is ready" in made.out
    assert "cannot be reached" in made.err
    assert "pds company relay" in made.err
    assert company("relay", expect=4).error["code"] == "relay.unreachable"
    told = company("request", str(fixtures / "request.json"), expect=4, json=False)
    assert "/r/" in told.out
    assert "Not at the relay yet" in told.err
    assert "cannot be reached" in told.err
    listed = company("requests", json=False).out
    assert "pending" in listed
    assert "the relay cannot be reached" in listed
    told = company("collect", expect=4, json=False)
    assert "Request " in told.err
    assert "[relay.unreachable]" in told.err
    request = company("requests").json[0]["id"]
    assert company("cancel", request).json == {"cancelled": True, "goneAtRelay": False}
    assert company("collect").json["problems"] == []
    assert "it was taken back" in company("requests", json=False).out
    again = company("cancel", request, json=False)
    assert "will not be published" in again.out
