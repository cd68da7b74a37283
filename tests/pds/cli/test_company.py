"""``pds company``: each command once, what it refuses, and requests by identities nobody knows."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from credentials.proof import sign_object
from did.keys import SigningKey
from did.time import format_time, utc_now
from pds.db import open_plain
from pds.links import RequestLink, seal_request
from pds.sealing import SealingKey

INIT = (
    "init", "--name", "Shop Kft.", "--address", "Szeged", "--contact", "mailto:a@shop.example",
    "--data-protection-contact", "mailto:b@shop.example", "--sandbox",
)  # fmt: skip
GOOD = ("--did", "did:web:shop.example", "--relay", "http://127.0.0.1:9")


@pytest.fixture
def company(tmp_path: Path, pds: Callable[..., Any]) -> Callable[..., Any]:
    """``pds company ARGUMENTS`` for one folder; ``--json`` answers, or its error."""

    def run(*arguments: str, expect: int = 0, people: bool = False) -> Any:
        ran = pds(
            *(() if people else ("--json",)), "company", *arguments,
            PDS_COMPANY=str(tmp_path / "shop"),
        )  # fmt: skip
        assert ran.code == expect, (arguments, ran)
        if people:
            return ran.out + ran.err
        return ran.json if ran.out else ran.error

    run.folder = tmp_path / "shop"  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--did", "did:foo:bar", "--relay", "https://relay.example"), "company.did"),
        (("--did", "did:key:z6Mk", "--relay", "https://relay.example"), "company.did"),
        (("--did", "shop.example", "--relay", "https://relay.example"), "company.did"),
        (("--did", "did:web:shop.example", "--relay", "relay.example"), "wire.relay_url"),
        ((*GOOD, "--contact", "by phone"), "message.malformed"),
    ],
)
def test_companies_that_cannot_be_made(arguments: tuple[str, ...], code: str, company: Any) -> None:
    """Each has its code and a hint, and no company is there afterwards."""
    error = company(*INIT, *arguments, expect=1)
    assert error["code"] == code
    assert error["hint"]
    assert not company.folder.exists()
    assert company("requests", expect=1)["code"] == "company.missing"


def test_making_a_company(company: Any) -> None:
    """Its DID document is what has to be published; a second time is refused."""
    made = company(*INIT, *GOOD)
    assert made["document"]["id"] == "did:web:shop.example"
    assert company("did") == made["document"]
    error = company(*INIT, *GOOD, expect=1)
    assert error["code"] == "company.exists"
    assert error["hint"]
    assert company("did") == made["document"]


def test_rotating_the_key(company: Any) -> None:
    """A rotation adds a key, a compromise says which is revoked."""
    company(*INIT, *GOOD)
    first = company("did")["verificationMethod"]
    second = company("did", "--rotate")["verificationMethod"]
    third = company("did", "--rotate", "--compromised")["verificationMethod"]
    assert len(second) > len(first)
    assert third != second


def test_a_request_without_its_relay(company: Any, fixtures: Path) -> None:
    """It is made, said to be unpublished and why, and ends with 4 until the relay is back."""
    company(*INIT, *GOOD)
    made = company(
        "request", str(fixtures / "request.json"), "--audience", "customer 4711", expect=4
    )
    assert (made["published"], made["problem"]) == (False, "relay.unreachable")
    assert re.fullmatch(r"\d{3}-\d{3}", made["matchCode"])
    people = company("request", str(fixtures / "second-request.json"), people=True, expect=4)
    assert re.search(
        r"^Match code \d{3}-\d{3}\n.*Not at the relay yet.*cannot be reached", people, re.S | re.M
    )
    told = company("collect", expect=4)
    assert {problem["code"] for problem in told["problems"]} == {"relay.unreachable"}
    assert len(told["problems"]) == len({p["subject"] for p in told["problems"]})
    listed = company("requests")
    assert [row["state"] for row in listed] == ["pending", "pending"]
    assert made["matchCode"] in company("requests", people=True)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        (b"", "json."),
        (b"{", "json."),
        (b"[]", "json.not_an_object"),
        (b"{}", "message."),
        (b'{"purposes": []}', "message."),
        (b'{"purposes": [{"id": "x"}]}', "message."),
        (b"\xff\xfe", "json."),
        (b'{"purposes": ' + b"[" * 60 + b"]" * 60 + b"}", "json."),
        (b'{"a": "' + b"x" * 300_000 + b'"}', "json."),
    ],
)
def test_terms_that_are_none(terms: bytes, code: str, company: Any, tmp_path: Path) -> None:
    """From a file: a code, a hint or a pointer; no request is made."""
    company(*INIT, *GOOD)
    file = tmp_path / "terms.json"
    file.write_bytes(terms)
    error = company("request", str(file), expect=1)
    assert error["code"].startswith(code)
    assert company("requests") == []
    company("request", str(tmp_path / "none"), expect=2)
    company("request", str(file), "--valid-for", "soon", expect=2)
    company("request", str(file), "--valid-for", "99999999d", expect=2)


def test_what_is_not_there(company: Any) -> None:
    """Nothing granted, nothing held, nobody known: said plainly."""
    company(*INIT, *GOOD)
    assert company("grants") == []
    assert "No grants yet; 0 requests." in company("grants", people=True)
    assert company("held") == []
    assert "Nothing is held." in company("held", people=True)
    assert company("recover") == []
    assert "0 answers" in company("recover", people=True)
    assert company("expire") == {"erased": 0, "problems": []}
    assert "No requests." in company("requests", people=True)
    missing = company("redeem", "delivery", expect=1)
    assert (missing["code"], "company" in missing["hint"]) == ("company.not_found", True)
    refused = company("data", "did:foo:x", "https://w3id.org/dpv#DeliveryOfGoods", expect=1)
    assert refused["code"] == "register.no_grant"


def test_what_is_held_and_used(
    holder: Any, shop: Any, fixtures: Path, pds: Callable[..., Any]
) -> None:
    """Redeemed, used under its purpose, listed with basis and end; for people too."""
    link = shop("request", str(fixtures / "second-request.json"))["link"]
    holder("open", link, "--dev-trust", shop.trust)
    decided = holder.json("decide", "--accept", "support", "--refuse", "analytics")
    grant = decided["purposes"][0]["grant"] or decided["purposes"][1]["grant"]
    shop("collect")
    base = ("company", "--data", str(shop.folder))
    ran = pds(*base, "redeem", grant)
    assert "Version 1, 1 value\n  contact.telephone: " in ran.out
    mine = next(g for g in shop("grants") if g["id"] == grant)
    assert mine["state"] == "live"
    assert f"support: live, contact.telephone\n  {grant}" in pds(*base, "grants").out
    values = shop("data", mine["person"], mine["purpose"])
    assert list(values) == ["contact.telephone"]
    assert "contact.telephone: " in pds(*base, "data", mine["person"], mine["purpose"]).out
    held = shop("held", mine["person"])
    assert [row["path"] for row in held] == ["contact.telephone"]
    assert "A6-1-a, until" in pds(*base, "held", mine["person"]).out
    assert shop("data", mine["person"], "https://w3id.org/dpv#DirectMarketing", expect=1)[
        "code"
    ].startswith("register.")
    assert "Nothing new." in pds(*base, "collect").out


def _request(controller: str, key: SigningKey, fixtures: Path) -> Any:
    now = utc_now().replace(microsecond=0)
    sealing = SealingKey.generate()
    return sign_object(
        {
            "type": "AccessRequest",
            "id": "urn:uuid:7b0f2c52-6d3f-4c6e-9b1e-0d6e4c3b2a10",
            "created": format_time(now),
            "expires": format_time(now + timedelta(days=7)),
            "controller": {
                "id": controller,
                "name": "Canary Shop",
                "address": "Nowhere",
                "contact": "mailto:a@shop.example",
                "dataProtectionContact": "mailto:b@shop.example",
            },
            "purposes": json.loads((fixtures / "request.json").read_bytes())["purposes"],
            "redemptionKey": SigningKey.generate().did,
            "sealingKey": sealing.public.to_json(),
            "reply": {
                "relay": "https://relay.example",
                "mailbox": "A" * 22,
                "capability": "A" * 43,
                "sealingKey": sealing.public.to_json(),
            },
            "sandbox": True,
        },
        key,
        created=now,
        verification_method=key.verification_method
        if controller == key.did
        else f"{controller}#key-1",
    )


@pytest.mark.parametrize("method", ["foo", "key"])
def test_a_request_by_nobody_known(method: str, cli: Any, fake_relay: Any, fixtures: Path) -> None:
    """A request by a DID that is of no web domain is refused by its code; it is not kept."""
    key = SigningKey.generate()
    controller = key.did if method == "key" else "did:foo:bar"
    held: dict[str, bytes] = {}
    url = fake_relay(lambda path: (200, "application/octet-stream", held[path]))
    link = RequestLink.new(url)
    held[f"/v1/requests/{link.id}"] = seal_request(
        _request(controller, key, fixtures),
        secret=link.secret,
        request_id=link.id,
    )
    cli("relay", "use", url)
    error = cli.json("open", str(link), expect=1)
    assert error["code"] == "request.controller"
    assert "did:web" in error["hint"]
    assert error["hint"]
    assert "Canary" not in cli.seen[-1].err
    assert cli.json("requests") == []


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (b"", {"company.missing"}),
        (b"noise" * 4000, {"db.damaged"}),
        (None, {"db.newer"}),
    ],
    ids=["empty", "noise", "newer"],
)
def test_a_damaged_company(content: bytes | None, codes: set[str], company: Any) -> None:
    """An empty, a foreign and a newer database: each has its code, and is left as it was."""
    company(*INIT, *GOOD)
    file = next(p for p in company.folder.iterdir() if p.suffix == ".db")
    if content is None:
        conn = open_plain(file)
        conn.execute("PRAGMA user_version = 999")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.close()
    else:
        file.write_bytes(content)
    before = file.read_bytes()
    for arguments in (("requests",), ("did",), ("collect",)):
        error = company(*arguments, expect=2 if codes == {"db.newer"} else 1)
        assert error["code"] in codes, error
        assert error["hint"]
    assert content == b"" or file.read_bytes() == before


def test_a_damaged_relay(tmp_path: Path, pds: Callable[..., Any]) -> None:
    """A relay does not start on a database that is none."""
    data = tmp_path / "relay"
    data.mkdir()
    (data / "relay.db").write_bytes(b"noise" * 4000)
    ran = pds("--json", "relay", "serve", "--data", str(data), "--url", "http://127.0.0.1:1")
    assert (ran.code, ran.error["code"]) == (1, "db.damaged")
    assert (data / "relay.db").read_bytes() == b"noise" * 4000
