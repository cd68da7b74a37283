"""The exchange on the command line, over a real relay and a real shop: each command once and more,
for people and for programs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pds.mailbox import RelayUnreachable
from pds.net import Transport

DPV = "https://w3id.org/dpv#"


def _ask(shop: Any, fixtures: Path, name: str = "request.json") -> Any:
    return shop("request", str(fixtures / name), "--audience", "customer 4711")


@pytest.fixture
def decided(holder: Any, shop: Any, fixtures: Path) -> Any:
    """A holder who has provided for delivery, accepted personalisation and refused marketing."""
    link = _ask(shop, fixtures)["link"]
    holder("open", link, "--dev-trust", shop.trust)
    holder.answer = holder.json(
        "decide", "--accept", "delivery", "--accept", "personalisation", "--refuse", "marketing",
        "--follow", "delivery", "--include", "personalisation:purchases", "--for",
        "personalisation=30d", "--uses", "personalisation=2", "--every", "personalisation=1s",
    )  # fmt: skip
    return holder


def test_opening_a_link(holder: Any, shop: Any, fixtures: Path) -> None:
    """Who asks, the match code, each purpose with the values that would be sent."""
    asked = _ask(shop, fixtures)
    text = holder("open", asked["link"], "--dev-trust", shop.trust).out
    for words in (asked["matchCode"], "its domain is what --dev-trust says: did:web:shop.example",
                  "Meant for: customer 4711", "Tisza Lajos", "Decide with: pds decide urn:uuid:",
                  "You can: Provide / Do not provide", "You can: Accept / Refuse"):  # fmt: skip
        assert words in text, words
    shown = holder.json("open", "-", stdin=asked["link"].encode() + b"\n")
    assert shown["matchCode"] == asked["matchCode"]
    assert shown["state"] == "pending"
    assert [p["id"] for p in shown["purposes"]] == ["delivery", "personalisation", "marketing"]
    assert holder.json("requests") == [shown]
    assert holder.json("requests", shown["id"]) == shown
    assert f"{shown['id']}  pending" in holder("requests").out


def test_a_link_that_opens_nothing(holder: Any, shop: Any, fixtures: Path, relay: str) -> None:
    """Malformed, cut off, of another secret, of nothing, of a stranger's relay: each says why."""
    link = _ask(shop, fixtures)["link"]
    front, _, secret = link.partition("#")
    other = ("A" if secret[0] != "A" else "B") + secret[1:]
    for wrong, code in (
        ("not a link", "links.format"),
        (front, "links.format"),
        (link[:-1], "links.format"),
        (f"{front}#{other}", "sealing.cannot_open"),
        (f"{relay}/r/{'A' * 22}#{secret}", "relay.not_found"),
        (link.replace("http://127.0.0.1", "http://127.0.0.2"), "net.url"),
    ):
        error = holder.json("open", wrong, expect=1)
        assert error["code"] == code, (wrong, error)
        assert secret not in holder.seen[-1].err
    assert holder.json("requests") == []


def test_deciding_with_flags(decided: Any) -> None:
    """Each purpose as it was answered; nothing more than was accepted."""
    rows = {row["purpose"]: row for row in decided.answer["purposes"]}
    assert decided.answer["sent"]
    assert decided.answer["waiting"] == []
    assert rows["delivery"]["fields"] == ["contact.address", "contact.name"]
    assert rows["personalisation"]["fields"] == ["interests", "purchases"]
    assert (rows["marketing"]["granted"], rows["marketing"]["grant"]) == (False, None)
    sharing = {row["purpose"]: row for row in decided.json("sharing")}
    assert sharing["personalisation"]["maxUses"] == 2
    assert sharing["delivery"]["followsChanges"]
    text = decided("sharing").out
    assert "Tekerj Kft.: Delivery of Goods [delivery]: active" in text
    assert text.startswith("Shared now\n")
    assert "taken 0 of 2 times" in text
    assert "Tekerj Kft. gets later changes of this too, until 2" in text
    assert "Tekerj Kft. keeps these values; later changes do not reach it." in text
    assert "later changes of this too" in decided("requests", decided.answer["request"]).out
    again = decided.json("decide", decided.answer["request"], "--refuse", "marketing", expect=1)
    assert again["code"].startswith(("consent.", "vault.", "request."))
    ran = decided("decide", expect=2)
    assert "There is no request to decide." in ran.err


def test_every_purpose_needs_an_answer(holder: Any, shop: Any, fixtures: Path) -> None:
    """None, too few, an unknown one, more than was asked for: refused, and it stays pending."""
    holder("open", _ask(shop, fixtures)["link"], "--dev-trust", shop.trust)
    holder("decide", expect=2)
    yes = ("--accept", "delivery", "--refuse", "personalisation", "--refuse", "marketing")
    for arguments in (
        ("--accept", "delivery"),
        (*yes, "--refuse", "other"),
        (*yes, "--for", "delivery=9999d"),
        (*yes, "--uses", "delivery=9999"),
        (*yes, "--uses", "delivery=0"),
        (*yes, "--include", "delivery:contact.birthDate"),
    ):
        error = holder.json("decide", *arguments, expect=1)
        assert error["code"].startswith("consent."), (arguments, error)
    holder("decide", *yes, "--for", "delivery=1d", "--for", "delivery=2d", expect=2)
    assert [request["state"] for request in holder.json("requests")] == ["pending"]
    assert holder.json("sharing") == []
    assert "delivery: provided" in holder("decide", *yes).out


def test_a_grant_for_any_verifier(decided: Any, pds: Callable[..., Any]) -> None:
    """By purpose or id, the same bytes; ``pds verify`` takes them from standard input."""
    by_name = decided("grant", "delivery").out
    grant = json.loads(by_name)
    assert decided("grant", grant["id"]).out == by_name
    ran = pds("verify", "-", "--sandbox", "--without-status", "--json", stdin=by_name.encode())
    assert (ran.code, ran.json["result"]) == (0, "valid")


def _everything_with_the_shop(decided: Any) -> None:
    """By name, host or DID the same page; all kinds of dealings, the newest first, in pages."""
    bought = decided.json("data", "add", "purchases", "item=bell", "merchant=TEKERJ kft")
    whole = decided.json("relation", "tekerj kft.")
    (did,) = whole["companies"]
    assert whole["names"] == ["Tekerj Kft."]
    host = did.removeprefix("did:web:").partition(":")[0]
    assert whole == decided.json("relation", did) == decided.json("relation", host)
    assert bought["id"] in [record["id"] for record in whole["records"]]
    assert {d["kind"] for d in whole["dealings"]} == {
        "request", "grant", "end", "event", "sent", "received", "attestation",
    }  # fmt: skip
    assert sum(d["detail"] == "redemption" for d in whole["dealings"]) >= 2
    times = [d["at"] for d in whole["dealings"]]
    assert times == sorted(times, reverse=True)
    paged: list[Any] = []
    more: tuple[str, ...] = ()
    while True:
        page = decided.json("relation", did, "--limit", "2", *more)
        paged += page["dealings"]
        if page["next"] is None:
            break
        more = ("--after", page["next"])
    assert paged == whole["dealings"]
    text = decided("relation", did, "--limit", "1")
    assert text.out.startswith(f"Tekerj Kft. ({host})\n1 request, 0 grants in force, 2 ended, ")
    assert "\n\nWhat happened\n  2" in text.out
    told = decided("relation", "teker").out  # the beginning of its name, without case
    for words in (
        "It asked: Delivery of Goods, Service Personalisation, Direct Marketing.",
        "You shared: Delivery of Goods (Postal address, Full name). [",
        "It took: Delivery of Goods (Postal address, Full name).",
        "You withdrew your consent: Service Personalisation (Interest, Purchase).",
        "It says what it erased and what it keeps: Delivery of Goods",
        "It was told that there is a newer version.",
    ):
        assert words in told, words
    assert "urn:uuid" not in told
    assert bought["id"] in [r["id"] for r in decided.json("data", "list", "--company", "teker")]
    assert "There are more dealings: --after" in text.err
    assert decided.json("relation", "nobody", expect=1)["code"] == "vault.not_found"
    assert decided.json("relation", did, "--after", "x", expect=1)["code"] == "relation.cursor"


def test_redeeming_syncing_and_withdrawing(decided: Any, shop: Any, fixtures: Path) -> None:
    """The company takes, the holder sees it, moves house, withdraws, and gets an attestation."""
    shop("collect")
    delivery = next(p["grant"] for p in decided.answer["purposes"] if p["purpose"] == "delivery")
    person = next(g["person"] for g in shop("grants") if g["id"] == delivery)
    taken = shop("redeem", delivery)
    assert {item["path"] for item in taken["items"]} == {"contact.address", "contact.name"}
    report = decided.json("sync")
    assert (report["redemptions"], report["problems"], report["waiting"]) == (1, [], [])
    assert "0 redemptions and 0 refused attempts" in decided("sync").out
    kinds = [line["kind"] for line in decided.json("activity")]
    assert "redemption" in kinds
    contact = next(i for i in decided.json("data", "list", "contact") if i["about"] == "self")
    edited = decided.json("data", "edit", contact["id"], "address.postalCode=6722")
    assert edited["restaged"] == 1
    assert edited["shared"] == [{"grant": delivery, "followsChanges": True}]
    bought = decided.json("data", "list", "purchases")[0]["id"]
    said = decided("data", "edit", bought, "item=lamp").err
    assert "Tekerj Kft. keeps the old version (Service Personalisation): that grant does" in said
    shop("collect")
    assert shop("redeem", "delivery", "--person", person)["seq"] == 2
    decided("withdraw", "delivery", expect=2)
    ended = decided.json("withdraw", "delivery", "--yes")
    assert ended == {"grant": "delivery", "verb": "end", "complete": True, "already": False}
    assert (
        "Consent withdrawn: Tekerj Kft., Service Personalisation. The relay has deleted"
        in decided("withdraw", "personalisation", "--yes").out
    )
    assert "It had already ended." in decided("withdraw", "personalisation", "--yes").out
    assert shop("redeem", "delivery", "--person", person, expect=1)["code"] == "relay.ended"
    shop("collect")
    assert shop("data", person, DPV + "DeliveryOfGoods", expect=1)["code"].startswith("register.")
    decided("sync")
    _everything_with_the_shop(decided)
    sharing = {row["purpose"]: row for row in decided.json("sharing")}
    assert sharing["delivery"]["attestations"][0]["retained"]
    again = decided.json("withdraw", "delivery", "--yes")  # once more does no harm
    assert (again["complete"], again["already"]) == (True, True)
    text = decided("sharing").out
    assert text.startswith("Nothing is shared now.\n\nEnded\n")
    assert "nothing erased, as the company attests: " in text  # it must keep its books
    assert "it keeps some of it until" in text
    told = decided("activity").out
    for words in (
        "You imported 12 items.",
        "Tekerj Kft. asked; its request was opened.",
        "You turned Tekerj Kft. down: Direct Marketing.",
        "You shared with Tekerj Kft.: Service Personalisation (Interest, Purchase).",
        "You corrected an item: Contact.",
        "Tekerj Kft. took: Delivery of Goods (Postal address, Full name).",
        "You withdrew your consent: Tekerj Kft., Service Personalisation",
        "Tekerj Kft. has to erase by 2",
        "Tekerj Kft. attests what it erased: ",
        "It keeps Postal address, Full name until 2",
        "by a legal obligation of the company",
    ):
        assert words in told, words


def test_a_refused_purpose_and_reopening_it(decided: Any, shop: Any, fixtures: Path) -> None:
    """Asked again too soon it is blocked, and said so; ``--reopen`` lets it be asked."""
    asked = _ask(shop, fixtures)
    shown = decided.json("open", asked["link"])
    marketing = next(p for p in shown["purposes"] if p["id"] == "marketing")
    assert marketing["blockedUntil"] is not None
    assert "You refused this before" in decided("requests", shown["id"]).out
    for company, purpose in (
        ("did:web:shop.example", marketing["purpose"]),
        ("shop.example", "marketing"),
        ("did:web:shop.example", "DirectMarketing"),
    ):
        ran = decided("requests", "--reopen", company, purpose)
        assert ran.out == "Tekerj Kft. may ask you again for: Direct Marketing.\n"
        shown = decided.json("requests", shown["id"])
        (again,) = (p for p in shown["purposes"] if p["id"] == "marketing")
        assert again["blockedUntil"] is None
        assert decided.json("requests", "--reopen", company, purpose, expect=1)["code"] == (
            "vault.not_found"
        )
        decided("decide", shown["id"], *_NO)
        shown = decided.json("open", _ask(shop, fixtures)["link"])


_NO = ("--refuse", "delivery", "--refuse", "personalisation", "--refuse", "marketing")


def test_a_link_as_it_stands_in_a_letter(holder: Any, shop: Any, fixtures: Path) -> None:
    """Brackets and marks around a link are not part of it."""
    link = _ask(shop, fixtures)["link"]
    holder("open", f" \u2039{link}\u203a. ", "--dev-trust", shop.trust)
    for written in (f"<{link}>", f"({link}),", f'"{link}";'):
        assert holder.json("open", written)["state"] == "pending"


def test_several_requests_wait(holder: Any, shop: Any, fixtures: Path) -> None:
    """They are listed, and the beginning of an id says which; a mistyped purpose is named so."""
    first = holder.json("open", _ask(shop, fixtures)["link"], "--dev-trust", shop.trust)["id"]
    second = holder.json("open", _ask(shop, fixtures, "second-request.json")["link"])["id"]
    ran = holder("decide", *_NO, expect=2)
    assert first in ran.err
    assert second in ran.err
    assert "Several requests wait" in ran.err
    short = first.removeprefix("urn:uuid:")[:8]
    assert holder.json("requests", short)["id"] == first
    error = holder.json("decide", short, "--accept", "delivry", expect=1)
    assert error["code"] == "consent.unknown_purpose"
    assert error["hint"] == "Is it delivery? The request has: delivery, personalisation, marketing."
    assert holder.json("decide", short, *_NO)["request"] == first
    assert "There is no request" not in holder("decide", "--accept", "x", expect=1).err
    ran = holder("decide", "--accept", expect=1)
    assert "A purpose has to be named." in ran.err
    assert "The request has: support, analytics." in ran.err


def test_a_yes_that_does_not_say_to_what(holder: Any, shop: Any, fixtures: Path) -> None:
    """With several requests it says which there are, with one which purposes; nothing is sent."""
    first = holder.json("open", _ask(shop, fixtures)["link"], "--dev-trust", shop.trust)["id"]
    second = holder.json("open", _ask(shop, fixtures, "second-request.json")["link"])["id"]
    ran = holder("decide", "--accept", expect=2)
    assert "Several requests wait" in ran.err
    assert f"{first}  pending  Tekerj Kft.: delivery, personalisation, marketing" in ran.err
    assert second in ran.err
    ran = holder("decide", second, "--accept", expect=1)
    assert "The request has: support, analytics." in ran.err
    error = holder.json("decide", second, "--refuse", "--accept", "support", expect=1)
    assert error["code"] == "consent.unknown_purpose"
    assert [one["state"] for one in holder.json("requests")] == ["pending", "pending"]


def test_how_long_it_is_kept(holder: Any, shop: Any, fixtures: Path) -> None:
    """The company erases so many days after the grant has ended, or when it ends."""
    shown = holder.json("open", _ask(shop, fixtures)["link"], "--dev-trust", shop.trust)
    texts = {purpose["id"]: purpose["text"] for purpose in shown["purposes"]}
    assert "at most 12 times. Kept until 30 days after it ends." in texts["delivery"]
    assert "at most 10 times. Erased when it ends." in texts["personalisation"]
    assert "Tisza Lajos körút 47., 3. emelet 12., 6720 Szeged, Csongrád" in texts["delivery"]


def test_a_refusal_says_why(holder: Any, shop: Any, fixtures: Path) -> None:
    """In words, with the company, the purpose and the fields."""
    holder("open", _ask(shop, fixtures)["link"], "--dev-trust", shop.trust)
    told = holder.json("decide", "--accept", "delivery", "--uses", "delivery=1", *_NO[2:])
    delivery = next(p["grant"] for p in told["purposes"] if p["purpose"] == "delivery")
    shop("collect")
    shop("redeem", delivery)
    shop("redeem", delivery, expect=1)
    holder("sync")
    assert (
        "Tekerj Kft. tried to take and was refused: Delivery of Goods (Postal address, Full name). "
        "The ticket has no uses left.  [relay.used_up]"
    ) in holder("activity").out


def test_a_grant_by_the_beginning_of_its_id(decided: Any) -> None:
    """For printing it and for ending it."""
    whole = next(p["grant"] for p in decided.answer["purposes"] if p["purpose"] == "delivery")
    short = whole.removeprefix("urn:uuid:")[:8]
    assert decided.json("grant", short)["id"] == whole
    assert decided.json("withdraw", short, "--yes")["verb"] == "end"


def test_a_relay_that_wants_a_token(
    start: Any, free_port: Callable[[], int], tmp_path: Path, shop: Any, fixtures: Path,
    holder: Any,
) -> None:  # fmt: skip
    """The refusal is a sentence with what to do; with the token the vault has its mailbox."""
    url = f"http://127.0.0.1:{free_port()}"
    data = tmp_path / "relay"
    start("relay", "serve", "--data", str(data), "--url", url, "--registration", "token")
    holder("open", _ask(shop, fixtures)["link"], "--dev-trust", shop.trust)
    holder("relay", "use", url)
    ran = holder("decide", "--accept", "delivery", *_NO[2:], expect=4)
    assert "Registration at this relay needs a token.  [relay.token]" in ran.err
    assert "pds relay use URL --token-file FILE" in ran.err
    holder("relay", "use", url, "--token-file", str(data / "registration-token"))
    # The shop's own relay is another one on this machine, which a vault does not talk to.
    holder("sync", expect=4)
    left = holder.json("sync", expect=4)["waiting"]
    assert {kind for kind, _ in left} == {"deposit"}
    assert "relay.token" not in {code for _, code in left}
    empty = tmp_path / "empty"
    empty.write_text("\n")
    assert "is empty" in holder("relay", "use", url, "--token-file", str(empty), expect=2).err


def test_without_its_relay_everything_waits(
    decided: Any, shop: Any, fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision and a withdrawal are done at once here; exit code 4 says that the relay has not
    confirmed, and the next sync sends what waits."""
    decided("open", _ask(shop, fixtures, "second-request.json")["link"])

    def away(*_: object, **__: object) -> None:
        raise RelayUnreachable("the relay cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(Transport, "request", away)
        told = decided.json("decide", "--accept", "support", "--refuse", "analytics", expect=4)
        assert not told["sent"]
        assert told["waiting"]
        ran = decided("withdraw", "delivery", "--yes", expect=4)
        assert "Sharing ended: Tekerj Kft., Delivery of Goods. It is pending" in ran.out
        assert "The relay cannot be reached.  [relay.unreachable]" in ran.err
        assert "Run 'pds sync' later" in ran.err
        assert decided.json("sync", expect=4)["code"] == "relay.unreachable"
    sharing = {row["purpose"]: row for row in decided.json("sharing")}
    assert sharing["delivery"]["pending"]
    assert "(pending)" in decided("sharing").out
    assert decided.json("sync")["waiting"] == []
    sharing = {row["purpose"]: row for row in decided.json("sharing")}
    assert not sharing["delivery"]["pending"]


def test_a_new_did_towards_a_company(
    decided: Any, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for first; pending while the relay is away, finished by sync; the shop goes on with the
    same grants, and the history says it in words."""
    shop("collect")
    old = decided.json("grant", "delivery")["issuer"]
    decided("relation", "rotate", "Tekerj Kft.", expect=2)
    assert decided.json("relation", "rotate", "nobody", "--yes", expect=1)["code"] == (
        "vault.not_found"
    )

    def away(*_args: object, **_more: object) -> object:
        raise RelayUnreachable("away")

    with monkeypatch.context() as patch:
        patch.setattr(Transport, "request", away)
        ran = decided("relation", "rotate", "Tekerj Kft.", "--yes", expect=4)
    assert "It is pending" in ran.out
    assert "Run 'pds sync'" in ran.err
    decided("sync")
    done = decided.json("relation", "rotate", "Tekerj Kft.", "--yes")
    assert (done["from"], done["state"], done["complete"]) == (old, "done", True)
    assert decided.json("grant", "delivery")["issuer"] == done["to"] != old
    shop("collect")
    mine = [g for g in shop("grants") if g["person"] in (old, done["to"])]
    assert sorted((g["person"] == old, g["state"]) for g in mine) == (
        [(False, "live")] * 2 + [(True, "superseded")] * 2
    )
    lines = decided("activity").out
    assert "The same grant to Tekerj Kft., under the new DID" in lines
    assert "was told of your new DID" in lines
    states = [row["state"] for row in decided.json("sharing")]
    assert sorted(states) == ["active", "active", "superseded", "superseded"]
    assert decided.json("vault", "check")["problems"] == []
    page = decided("relation", "Tekerj Kft.").out
    assert "It was told of your new DID" in page
    assert "DidChange" not in page


def test_uses_are_counted_once_after_a_new_did(decided: Any, shop: Any) -> None:
    """The grant of before and the one in its place were taken as often as the data was."""
    shop("collect")
    shop("redeem", decided.json("grant", "delivery")["id"])
    decided("sync")
    before = decided("relation", "Tekerj Kft.").out.splitlines()[1]
    assert before.endswith("data taken 1 time.")
    decided("relation", "rotate", "Tekerj Kft.", "--yes")
    shop("collect")
    assert decided("relation", "Tekerj Kft.").out.splitlines()[1] == before


def test_a_value_draws_no_lines_of_its_own(holder: Any, shop: Any, fixtures: Path) -> None:
    """A line end, an escape or a direction character in a value is shown, on the value's line."""
    link = _ask(shop, fixtures)["link"]
    holder("open", link, "--dev-trust", shop.trust)
    card = holder.json("data", "list", "contact")[0]
    street = "Kossuth u. 1.\n  Who: Bank, Budapest (did:web:bank.example)\u202e"
    typed = json.dumps({"address": card["fields"]["address"] | {"streetAddress": street}})
    holder("data", "edit", card["id"], "-", stdin=typed.encode())
    request = holder.json("requests")[0]["id"]
    for shown in (holder("requests", request), holder("data", "show", card["id"])):
        assert "Kossuth u. 1. ↵ Who: Bank" in shown.out
        assert "\n  Who: Bank" not in shown.out
        assert "\u202e" not in shown.out
    shown = holder("--json", "data", "show", card["id"])
    assert "\u202e" not in shown.out
    assert shown.json["fields"]["address"]["streetAddress"] == street


def test_a_purpose_whose_grants_are_all_over(holder: Any, shop: Any, fixtures: Path) -> None:
    """Its name says that they are over, not that there are several."""
    for _ in range(2):
        link = _ask(shop, fixtures, "second-request.json")["link"]
        request = holder.json("open", link, "--dev-trust", shop.trust)["id"]
        holder("decide", request, "--accept", "support", "--accept", "analytics")
        holder("withdraw", "support", "--yes")
    for command in (("grant", "support"), ("withdraw", "support", "--yes")):
        error = holder.json(*command, expect=1)
        assert error["code"] == "vault.ended"
        assert "pds sharing" in error["hint"]
