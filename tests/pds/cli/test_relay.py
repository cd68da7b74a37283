"""``pds relay``; ports in use; and relays that are away, confused or dishonest."""

import json
import socket
import stat
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from did.keys import SigningKey
from did.time import format_time, utc_now

ID, SECRET = "A" * 22, "A" * 43


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


# serving


def test_a_relay_serves_and_keeps_its_token(
    start: Callable[..., Any], free_port: Callable[[], int], tmp_path: Path,
    pds: Callable[..., Any],
) -> None:  # fmt: skip
    """The token is made once, readable by its owner only; a vault without it cannot register."""
    url = f"http://127.0.0.1:{free_port()}"
    data = tmp_path / "relay"
    server = start("relay", "serve", "--data", str(data), "--url", url, "--registration", "token")
    with urllib.request.urlopen(f"{url}/v1/relay", timeout=60) as answer:
        told = json.loads(answer.read())
    assert (told["relay"], told["registration"]) == (url, "token")
    token = data / "registration-token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    second = pds("--json", "relay", "serve", "--data", str(data), "--url", url)
    assert (second.code, second.error["code"]) in {
        (1, "serve.port_in_use"), (1, "serve.data_in_use")
    }  # fmt: skip
    server.process.terminate()
    assert server.process.wait(30) == 0
    ran = pds("--json", "relay", "restored", "--data", str(data), "--yes")
    assert (ran.code, ran.json) == (0, {"restored": True})
    assert pds("relay", "restored", "--data", str(data)).code == 2


def test_a_port_in_use(taken_port: int, shop: Any, tmp_path: Path, pds: Callable[..., Any]) -> None:
    """Relay and company say so and what to do; exit code 1."""
    for arguments in (
        (
            "relay",
            "serve",
            "--data",
            str(tmp_path / "r"),
            "--url",
            f"http://127.0.0.1:{taken_port}",
        ),
        ("company", "--data", str(shop.folder), "serve", "--port", str(taken_port)),
    ):
        ran = pds("--json", *arguments)
        assert ran.code == 1
        assert ran.error["code"] == "serve.port_in_use"
        assert "choose another port" in ran.error["hint"]


@pytest.mark.parametrize("url", ["bogus", "ftp://relay.example", "https://relay.example/path",
                                 "https://Relay.example"])  # fmt: skip
def test_an_address_that_is_none(url: str, cli: Any, tmp_path: Path) -> None:
    """Refused before anything is made, with how it is written."""
    for arguments in (
        ("relay", "serve", "--data", str(tmp_path / "r"), "--url", url),
        ("relay", "use", url),
    ):
        error = cli.json(*arguments, expect=1)
        assert error["code"] == "wire.relay_url"
        assert "https://relay.example" in error["hint"]
    assert not (tmp_path / "r").exists()
    assert cli.json("status")["relay"] is None


def test_choosing_a_relay(cli: Any, tmp_path: Path) -> None:
    """With its token from a file; a missing file is said so."""
    token = tmp_path / "token"
    token.write_text("secret-token\n")
    assert cli.json("relay", "use", "https://relay.example", "--token-file", str(token)) == {
        "relay": "https://relay.example"
    }
    assert "uses https://relay.example" in cli("relay", "use", "https://relay.example").out
    cli("relay", "use", "https://relay.example", "--token-file", str(tmp_path / "no"), expect=2)


# relays that are away or talk nonsense


def test_no_relay(cli: Any) -> None:
    """A vault without a relay cannot open a local link, and says what to do."""
    error = cli.json("open", f"http://127.0.0.1:9/r/{ID}#{SECRET}", expect=1)
    assert error["code"] in {"net.url", "vault.no_relay"}
    assert error["hint"]


def test_a_relay_that_is_down(cli: Any, free_port: Callable[[], int]) -> None:
    """Exit code 4: try again later."""
    url = f"http://127.0.0.1:{free_port()}"
    cli("relay", "use", url)
    error = cli.json("open", f"{url}/r/{ID}#{SECRET}", expect=4)
    assert error["code"] == "relay.unreachable"
    assert "again later" in error["hint"]


NONSENSE = {
    "a page": (200, "text/html", b"<!doctype html><h1>Welcome</h1>" * 50),
    "nothing": (200, "application/json", b""),
    "an empty object": (200, "application/json", b"{}"),
    "a list": (200, "application/json", b"[1, 2, 3]"),
    "another shape": (200, "application/json", b'{"relay": 7, "time": "soon"}'),
    "not UTF-8": (200, "application/json", b"\xff\xfe\x00"),
    "too deep": (200, "application/json", b"[" * 5000),
    "without end": (200, "application/json", b" " * 20_000_000),
    "elsewhere": (302, "text/html", b""),
    "a page of errors": (404, "text/html", b"<h1>Not found</h1>"),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_a_relay_that_talks_nonsense(kind: str, waiting_vault: Any, fake_relay: Any) -> None:
    """Whatever comes back: a code of ours, a hint, no word of the answer, and nothing written."""
    url = fake_relay(lambda _path: NONSENSE[kind])
    cli = waiting_vault(url)
    error = cli.json("restore", "--finish", expect=1)
    assert error["code"] == "relay.nonsense"
    assert "Is this the address of a relay" in error["hint"]
    assert not [w for w in ("Welcome", "doctype", "Not found") if w in cli.seen[-1].err]
    assert cli.json("status")["restoring"]


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_behind_a_link(kind: str, cli: Any, fake_relay: Any) -> None:
    """A link that leads to something else: a code, a hint, and no request is kept."""
    url = fake_relay(lambda _path: NONSENSE[kind])
    cli("relay", "use", url)
    error = cli.json("open", f"{url}/r/{ID}#{SECRET}", expect=1)
    assert error["code"] in {"relay.nonsense", "sealing.cannot_open"}
    assert error["hint"]
    assert not [w for w in ("Welcome", "doctype", "Not found") if w in cli.seen[-1].err]
    assert cli.json("requests") == []


def test_a_relay_in_trouble(waiting_vault: Any, fake_relay: Any) -> None:
    """A gateway's 502 is no nonsense: exit code 4."""
    cli = waiting_vault(fake_relay(lambda _path: (502, "text/html", b"<h1>Bad gateway</h1>")))
    assert cli.json("restore", "--finish", expect=4)["code"] == "relay.unreachable"


@pytest.fixture
def waiting_vault(cli: Any, tmp_path: Path, free_port: Callable[[], int]) -> Callable[[str], Any]:
    """A vault that was restored and has yet to be compared with the relay at an address."""

    def make(url: str) -> Any:
        cli("relay", "use", f"http://127.0.0.1:{free_port()}")
        cli("backup", str(tmp_path / "backup"))
        cli.vault = tmp_path / "restored"
        cli("restore", str(tmp_path / "backup"), expect=4)
        cli("relay", "use", url)
        return cli

    return make


def _info(url: str, key: SigningKey, *, off: timedelta = timedelta(0)) -> bytes:
    now: datetime = utc_now() + off
    return json.dumps(
        {
            "relay": url,
            "logOrigin": f"{url.removeprefix('http://')}/log/0011223344556677",
            "logKey": key.verify_key.multikey,
            "registration": "open",
            "time": format_time(now),
        }
    ).encode()


@pytest.mark.parametrize(
    ("minutes", "said"), [(-15, "15 minutes ahead of"), (15, "15 minutes behind"), (60 * 24, "")]
)
def test_a_clock_far_off(minutes: int, said: str, waiting_vault: Any, fake_relay: Any) -> None:
    """More than 10 minutes from the relay's: nothing is signed, and the side is named."""
    key, urls = SigningKey.generate(), [""]
    asked: list[str] = []

    def answer(path: str) -> tuple[int, str, bytes]:
        asked.append(path)
        return 200, "application/json", _info(urls[0], key, off=timedelta(minutes=minutes))

    urls[0] = fake_relay(answer)
    cli = waiting_vault(urls[0])
    error = cli.json("restore", "--finish", expect=1)
    assert error["code"] == "vault.clock_off"
    assert said in error["message"]
    assert "Set the clock right" in error["hint"]
    assert set(asked) == {"/v1/relay"}


def test_a_relay_with_another_key(waiting_vault: Any, fake_relay: Any) -> None:
    """The key that was pinned at first sight counts; another one is refused."""
    keys, urls = [SigningKey.generate(), SigningKey.generate()], [""]

    def answer(path: str) -> tuple[int, str, bytes]:
        if path == "/v1/relay":
            return 200, "application/json", _info(urls[0], keys[0])
        return 404, "application/json", b"{}"

    urls[0] = fake_relay(answer)
    cli = waiting_vault(urls[0])
    cli("restore", "--finish", expect=1)  # meets it; the rest of what it says is nonsense
    keys.reverse()
    error = cli.json("restore", "--finish", expect=1)
    assert error["code"] == "vault.relay_key_changed"
    assert error["hint"]


def test_a_relay_of_another_name(waiting_vault: Any, fake_relay: Any) -> None:
    """A relay that says it is somewhere else is not the one that was chosen."""
    key = SigningKey.generate()
    cli = waiting_vault(
        fake_relay(lambda _: (200, "application/json", _info("http://127.0.0.1:1", key)))
    )
    assert cli.json("restore", "--finish", expect=1)["code"] == "relay.nonsense"
