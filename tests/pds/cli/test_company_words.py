"""What ``pds company`` says about people, grants and slips, with people who answer."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pds.cli import company_words
from pds.cli.company_words import PROBLEMS
from pds.cli.problems import words
from pds.wire import RelayCode

CARE = "https://w3id.org/dpv#CustomerCare"


@pytest.fixture
def say(shop: Any, pds: Callable[..., Any]) -> Callable[..., Any]:
    """``pds company ARGUMENTS`` of the running shop, for people."""

    def run(*arguments: str, expect: int = 0) -> Any:
        ran = pds("company", "--data", str(shop.folder), *arguments)
        assert ran.code == expect, (arguments, ran)
        return ran

    return run


@pytest.fixture
def granted(holder: Any, shop: Any, fixtures: Path) -> Any:
    """A grant for support, redeemed."""
    audience = f"Customer {secrets.token_hex(6)}"
    asked = shop("request", str(fixtures / "second-request.json"), "--audience", audience)
    holder("open", asked["link"], "--dev-trust", shop.trust)
    decided = holder.json("decide", "--accept", "support", "--refuse", "analytics")
    (grant,) = [p["grant"] for p in decided["purposes"] if p["grant"]]
    shop("collect")
    shop("redeem", grant)
    return next(view for view in shop("grants") if view["id"] == grant)


def test_people_are_named(granted: Any, say: Any) -> None:
    """Grants, requests and what is held say whose they are, for the commands that ask for it."""
    for command in ("grants", "requests", "held"):
        assert granted["person"] in say(command).out
    assert "for CustomerCare, until 20" in say("grants").out
    lines = say("held").out.splitlines()
    assert any(line.endswith(granted["person"]) for line in lines)
    assert any(line.startswith("  contact.telephone: ") for line in lines)


def test_people_by_what_the_lists_call_them(granted: Any, say: Any, shop: Any) -> None:
    """What is shown of a person is what every command takes; the DID is never needed."""
    did, (name,) = granted["person"], granted["names"]
    for command in ("grants", "requests", "held"):
        assert f"{name}: {did}" in say(command).out
    for text in (name, name.lower(), name[-6:], did, did[8:24]):
        assert list(shop("data", text, "support")) == ["contact.telephone"]
        assert {row["person"] for row in shop("held", text)} == {did}
        assert [view["person"] for view in shop("grants", "--person", text)] == [did]
    assert shop("redeem", "support", "--person", name)["seq"] == 1
    assert "support: live" in say("grants", "--person", name[-6:]).out


def test_people_who_cannot_be_told_apart(granted: Any, say: Any, shop: Any, holder: Any) -> None:
    """Several are listed; nobody is nobody, whatever the purpose."""
    for command in (("data", "nobody at all", "support"), ("held", "nobody at all")):
        error = shop(*command, expect=1)
        assert error["code"] == "company.not_found"
        assert error["hint"] == "See who there is: pds company grants"
    assert shop("data", "did:key:z6Mknobody", "support", expect=1)["code"] == "register.no_grant"
    shop("held", "did:key:z6Mknobody")
    people = {view["person"] for view in shop("grants")}
    if len(people) > 1:  # the shop is that of all these tests
        ran = say("data", "customer", "support", expect=2)
        assert "More than one person fits" in ran.err
        assert all(did in ran.err for did in people if did == granted["person"])


@pytest.mark.parametrize("purpose", ["support", "CustomerCare", CARE])
def test_a_purpose_by_any_of_its_names(purpose: str, granted: Any, shop: Any) -> None:
    """Its name in the request, its term, its IRI: the same answer."""
    assert list(shop("data", granted["person"], purpose)) == ["contact.telephone"]


def test_a_purpose_that_is_none(granted: Any, shop: Any) -> None:
    """A slip is not taken for a refusal; a purpose that nobody granted is one."""
    error = shop("data", granted["person"], "suport", expect=1)
    assert error["code"] == "company.no_purpose"
    assert "suport" not in str(error)
    assert shop("data", granted["person"], "Marketing", expect=1)["code"] == "register.purpose"


def test_a_grant_for_any_verifier(
    granted: Any, say: Any, shop: Any, pds: Callable[..., Any], tmp_path: Path
) -> None:
    """What the company prints and saves is what ``pds verify`` reads, offline."""
    status, file = tmp_path / "status.json", tmp_path / "grant.json"
    ran = say("grant", granted["id"][9:20], "--status-list", str(status))
    file.write_text(ran.out)
    assert "saved" in ran.err
    verified = pds("--json", "verify", str(file), "--status", str(status), "--sandbox")
    assert (verified.code, verified.json["result"]) == (0, "valid")
    assert shop("grant", granted["id"]) == json.loads(ran.out)
    missing = shop("grant", "nothing", "--status-list", str(tmp_path / "other"), expect=1)
    assert missing["code"] == "company.not_found"
    assert not (tmp_path / "other").exists()


def test_a_slip_in_a_path_is_said(
    say: Any, shop: Any, fixtures: Path, tmp_path: Path, holder: Any
) -> None:
    """The request is made, the slip is named, and the request can be taken back."""
    terms = json.loads((fixtures / "second-request.json").read_bytes())
    terms["purposes"][0]["items"].append({"path": "contact.emial", "required": False})
    file = tmp_path / "terms.json"
    file.write_text(json.dumps(terms))
    ran = say("request", str(file))
    assert "contact.emial" in ran.err
    assert "is it contact.email?" in ran.err
    link = ran.out.splitlines()[0]
    request = ran.err.split()[-1]
    assert "Taken back" in say("cancel", request[:20]).out
    assert holder.json("open", link, "--dev-trust", shop.trust, expect=1)["code"]
    assert shop("cancel", request, expect=1)["code"] == "company.ended"


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("purpose", "https://w3id.org/dpv#CustomerCair", "Data Privacy Vocabulary"),
        ("notice", "ask us", "mailto:"),
        ("retentionDay", 30, "'retentionDay'"),
    ],
)
def test_a_slip_that_is_refused(
    member: str, value: Any, words: str, say: Any, shop: Any, fixtures: Path, tmp_path: Path
) -> None:
    """Purpose, place and what is expected; nothing is asked."""
    terms = json.loads((fixtures / "second-request.json").read_bytes())
    terms["purposes"][1][member] = value
    file = tmp_path / "terms.json"
    file.write_text(json.dumps(terms))
    before = len(shop("requests"))
    told = say("request", str(file), expect=1).err
    assert f'urpose "{terms["purposes"][1]["id"]}"' in told
    assert words in told
    assert len(shop("requests")) == before


def test_only_the_first_answer_to_a_link_counts(
    holder: Any, cli: Any, relay: str, shop: Any, say: Any, fixtures: Path
) -> None:
    """That somebody else answered too is a problem of its own, with what to do."""
    link = shop("request", str(fixtures / "second-request.json"))["link"]
    cli("relay", "use", relay)
    for vault in (holder, cli):
        vault("open", link, "--dev-trust", shop.trust)
    for vault in (holder, cli):
        vault("decide", "--accept", "support", "--refuse", "analytics")
    told = say("collect", expect=1)
    assert "1 decision" in told.out
    assert "[company.already_answered]" in told.err
    assert "One link is for one person" in told.err


def test_every_relay_code_has_a_sentence() -> None:
    """And what nobody thought of is at least given its area."""
    for code in (*RelayCode, "message.gap", "decision.incomplete", "status.stamp", "sealing.x"):
        sentence, _ = words(str(getattr(code, "value", code)), PROBLEMS)
        assert sentence not in ("", "something went wrong")
    assert words("new.code", PROBLEMS) == ("something went wrong", "")


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\nb", "a\u202eb", ["a\x1b"], {"x": "\u202e"}])
def test_values_do_nothing_to_a_terminal(text: Any) -> None:
    """A value is a person's: what is not printable is shown escaped, on one line."""
    assert company_words.value(text).isprintable()
    assert company_words.value("Kovács Ági") == "Kovács Ági"


def test_serving_without_tls_is_said(
    pds: Callable[..., Any], shop: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Plain HTTP is no address that a vault would fetch; half of a certificate is refused."""
    monkeypatch.setattr("pds.serve.serve", lambda _app, _settings, *, on_ready: on_ready(8080))
    base = ("company", "--data", str(shop.folder), "serve", "--port", "0")
    told = pds(*base).err
    assert "127.0.0.1:8080" in told
    assert "Plain HTTP" in told
    assert "Plain HTTP" not in pds(*base, "--dev-tls").err
    (tmp_path / "cert.pem").write_text("x")
    assert pds(*base, "--tls-cert", str(tmp_path / "cert.pem")).code == 2


def test_a_second_server_leaves_the_first_its_certificate(
    pds: Callable[..., Any], shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What holders trust stays as it was."""
    files = {path: path.read_bytes() for path in (shop.folder / "tls").iterdir()}
    monkeypatch.setattr("pds.serve.serve", lambda _app, _settings, *, on_ready: on_ready(8080))
    pds("company", "--data", str(shop.folder), "serve", "--port", "0", "--dev-tls")
    assert {path: path.read_bytes() for path in (shop.folder / "tls").iterdir()} == files


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("collect", "cron or a systemd timer"),
        ("request", "One link is for one person"),
        ("data", "DeliveryOfGoods"),
        ("init", "registration token"),
    ],
)
def test_help_says_what_to_know(command: str, words: str, pds: Callable[..., Any]) -> None:
    """The things that a newcomer would otherwise learn from a failure."""
    assert words in " ".join(pds("company", command, "--help").out.split())


def test_a_round_says_what_it_brought_and_no_zeros() -> None:
    """Beside an error there is nothing to read but the error."""
    from pds.company.collecting import CollectReport

    assert company_words.collected_text(CollectReport(), nothing="") == ""
    assert company_words.collected_text(CollectReport(), nothing="Nothing new.") == "Nothing new."
    report = CollectReport(messages=2, decided=["a"], ended=["b"], erased=1)
    assert company_words.collected_text(report, nothing="") == (
        "2 messages, 1 decision, 1 ended, erased under 1 grant."
    )
    report = CollectReport(messages=1, moved=["b"], resumed=["urn:uuid:774a631f-x"] * 2)
    assert company_words.collected_text(report, nothing="") == (
        "1 message, 1 under a new DID of their person.\n"
        "Request 774a631f: the person's vault came back from a backup, and goes on from there."
    )
