"""A relay that lies, refuses and withholds: the holder can always end, and notices the rest."""

import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from did.json import JsonObject, canonicalize, parse_object
from did.keys import SigningKey
from did.time import format_time, utc_now
from pds.log.checkpoint import Checkpoint, sign_checkpoint
from pds.log.errors import ForkedLog
from pds.log.keys import LogKeys
from pds.log.tree import MemoryNodes, Tree, leaf_hash
from pds.net import Response
from pds.vault.consent import Accept, Refuse
from pds.vault.errors import VaultError
from pds.vault.logwatch import LogWatch
from pds.vault.service import ShownRequest, Vault
from pds.wire import RelayCode, problem

from .bent import Hook, Send, bend
from .conftest import PASSPHRASE, QUICK, Holder, Shop

ALL = {
    "delivery": Accept(follows_changes=True),
    "personalisation": Accept(),
    "marketing": Refuse(),
}


def answer(status: int, value: JsonObject) -> Response:
    return Response(status, {"content-type": "application/json"}, canonicalize(value))


def refusal(code: RelayCode, status: int) -> Response:
    return answer(status, problem(code))


def decided(holder: Holder, asked: ShownRequest) -> None:
    with holder.open() as vault:
        vault.decide(asked.request.id, ALL)
        assert vault.push().complete


def lie_about_time(_method: str, url: str, send: Send) -> Response:
    response = send()
    if not url.endswith("/v1/relay"):
        return response
    told = parse_object(response.body)
    return answer(200, told | {"time": format_time(utc_now() + timedelta(minutes=20))})


def change_key(_method: str, url: str, send: Send) -> Response:
    response = send()
    if not url.endswith("/v1/relay"):
        return response
    other = SigningKey.generate().verify_key.multikey
    return answer(200, parse_object(response.body) | {"logKey": other})


def talk_nonsense(_method: str, url: str, send: Send) -> Response:
    return answer(200, {"x": 1}) if url.endswith("/v1/relay") else send()


def be_busy(_method: str, url: str, send: Send) -> Response:
    return refusal(RelayCode.BUSY, 503) if url.endswith("/v1/relay") else send()


@pytest.mark.parametrize("hook", [lie_about_time, change_key, talk_nonsense, be_busy])
def test_nothing_a_relay_says_prevents_an_ending(
    holder: Holder, asked: ShownRequest, shop: Shop, hook: Hook
) -> None:
    """It is recorded, the company is told all the same, and the rest goes out when it can."""
    decided(holder, asked)
    with shop.open() as company:
        company.collect()
    with holder.open() as vault:
        bend(vault, hook)
        verb, report = vault.withdraw("personalisation")
        assert (verb, report.complete) == ("withdraw", False)
        assert "deposit" not in {kind for kind, _ in report.waiting}
        row = {s.purpose: s for s in vault.sharing()}["personalisation"]
        assert (row.state, row.pending) == ("withdrawn", True)
        mine = row.grant
    with shop.open() as company:
        # Erased, although the relay's list does not show it yet.
        assert mine in company.collect().ended
    with holder.open() as vault:
        assert vault.push().complete


def test_one_refused_package_holds_back_no_ending(holder: Holder, asked: ShownRequest) -> None:
    """A call that can never succeed is given up with evidence, and nothing waits behind it."""
    decided(holder, asked)

    def refuse_packages(method: str, url: str, send: Send) -> Response:
        if method == "PUT" and "/v1/packages/" in url:
            return refusal(RelayCode.SEQ, 409)
        return send()

    with holder.open() as vault:
        contact = vault.records("contact")[0]
        vault.edit(contact.id, {"address": {"streetAddress": "Kossuth Lajos sugárút 12."}})
        bend(vault, refuse_packages)
        assert vault.restage() == 1
        verb, report = vault.withdraw("personalisation")
        assert verb == "withdraw"
        assert report.waiting == ()
        assert report.dropped == (("package", "relay.seq"),)
        assert [code for _, code, _ in vault.evidence()] == ["relay.seq"]


def test_a_deletion_without_a_receipt_is_not_called_complete(
    holder: Holder, asked: ShownRequest
) -> None:
    """A relay that signed for a package and then says that it never knew it has proved nothing."""
    decided(holder, asked)

    def swallow(method: str, url: str, send: Send) -> Response:
        if method == "DELETE" and "/v1/packages/" in url and "/events" not in url:
            return refusal(RelayCode.NOT_FOUND, 404)
        return send()

    with holder.open() as vault:
        bend(vault, swallow)
        _, report = vault.withdraw("personalisation")
        assert ("end", "relay.not_found") in report.waiting
        assert {s.purpose: s.pending for s in vault.sharing()}["personalisation"]


def test_an_old_status_list_is_noticed(holder: Holder, asked: ShownRequest) -> None:
    """The vault fetches its own list like a stranger: what was revoked must show."""
    decided(holder, asked)
    kept: list[Response] = []

    def show_the_old_one(method: str, url: str, send: Send) -> Response:
        if method == "GET" and "/v1/status/" in url:
            kept.append(send())
            return kept[0]
        return send()

    with holder.open() as vault:
        inner = vault._ctx.transport
        bend(vault, show_the_old_one)
        assert vault.sync().problems == []
        vault._ctx.transport = inner
        assert vault.withdraw("personalisation")[1].complete
        bend(vault, show_the_old_one)
        assert "relay.old_list" in {code for code, _ in vault.sync().problems}


def test_a_flood_of_rubbish_is_taken_in_portions(holder: Holder, asked: ShownRequest) -> None:
    """Envelopes that are not for us are dropped, named once, and wild numbers skip nothing."""
    decided(holder, asked)

    def flood(method: str, url: str, send: Send) -> Response:
        if method == "GET" and "/envelopes" in url:
            first = int(url.partition("after=")[2] or 0) + 1
            return answer(
                200,
                {
                    "envelopes": [
                        {"ordinal": n, "sealed": "AAAA"} for n in range(first, first + 50)
                    ],
                    "more": True,
                },
            )
        if method == "DELETE" and "/envelopes/" in url:
            return Response(204, {}, b"")
        return send()

    with holder.open() as vault:
        inner = vault._ctx.transport
        bend(vault, flood)
        problems = vault.sync().problems
        assert [code for code, _ in problems] == ["sealing.cannot_open"]
        assert len(vault.evidence()) == 1
        vault._ctx.transport = inner
        assert vault.sync().problems == []  # and nothing is skipped afterwards


def test_receipts_of_two_logs_are_a_fork(holder: Holder, asked: ShownRequest) -> None:
    """A receipt whose checkpoint does not grow into the newest one is evidence, whoever signed."""
    decided(holder, asked)
    with holder.open() as vault:
        home, key = vault._ctx.home(), SigningKey.generate()
        keys = LogKeys(key.verify_key)
        home = type(home)(url=home.url, log_origin="relay.example/log/00", log_keys=keys)

        def note(*leaves: bytes) -> str:
            tree = Tree(MemoryNodes(), 0)
            for leaf in leaves:
                tree.append(leaf_hash(leaf))
            return sign_checkpoint(Checkpoint(home.log_origin, tree.size, tree.root()), key)

        watch = LogWatch(vault._ctx, home)
        watch.check(note(b"a", b"b"))
        watch.check(note(b"a", b"b"))
        with pytest.raises(ForkedLog) as forked:
            watch.check(note(b"a", b"c"))
        assert forked.value.old_note != forked.value.new_note


def test_the_digest_of_the_words_gives_no_value_away(
    holder: Holder, asked: ShownRequest, shop: Shop, relay: str, tmp_path: Path
) -> None:
    """Whatever the vault holds, the digest in the grant is the same: it is over the words alone."""
    decided(holder, asked)
    other = tmp_path / "other"
    Vault.create(
        other,
        passphrase=PASSPHRASE,
        relay=relay,
        sandbox=True,
        dev_trust=[shop.dev_trust],
        params=QUICK,
    )
    with Vault.open(other, passphrase=PASSPHRASE) as vault:
        vault.add("contact", {"name": "Somebody Else", "address": {"streetAddress": "Elsewhere 1"}})
        vault.add("interests", {"name": "tea"})
        link_of_same_terms = shop.ask()
        shown = vault.open_link(link_of_same_terms)
        vault.decide(shown.request.id, ALL)
        theirs = vault.grant("delivery")["credentialSubject"]
    with holder.open() as vault:
        mine = vault.grant("delivery")["credentialSubject"]
    assert isinstance(mine, dict)
    assert isinstance(theirs, dict)
    assert mine["textShown"] == theirs["textShown"]


def test_a_backup_that_unpacks_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    """Backups are stored, not compressed; nothing larger than the file is ever written."""
    bomb = tmp_path / "bomb"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("slots.json", b"0" * 1_000_000)
        archive.writestr("vault.db", b"0" * 10_000_000)
    with pytest.raises(VaultError) as refused:
        Vault.restore(bomb, tmp_path / "vault", passphrase=PASSPHRASE)
    assert refused.value.code == "backup.damaged"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bomb"]


def test_a_closed_mailbox_of_one_thread_silences_no_other(
    holder: Holder, asked: ShownRequest, shop: Shop
) -> None:
    """What can never be delivered is given up, with evidence; the other thread is told."""
    decided(holder, asked)
    with holder.open() as vault:
        second = vault.open_link(shop.ask("second-request.json"))
        vault.decide(second.request.id, {"support": Accept(), "analytics": Accept()})
        assert vault.push().complete
        closed = asked.request.reply.mailbox

        def shut(method: str, url: str, send: Send) -> Response:
            if method == "POST" and f"/{closed}/envelopes" in url:
                return refusal(RelayCode.CAPABILITY, 403)
            return send()

        bend(vault, shut)
        first = vault.withdraw("personalisation")[1]
        assert first.dropped == (("deposit", "message.undeliverable"),)
        assert vault.withdraw("support")[1].complete
        mine = {s.purpose: s.grant for s in vault.sharing()}
    with shop.open() as company:
        ended = company.collect().ended
        # The one it is told of, and the one that its list shows.
        assert {mine["support"], mine["personalisation"]} <= set(ended)


def test_attack_76_an_older_package_than_signed_for(
    holder: Holder, asked: ShownRequest, shop: Shop
) -> None:
    """A relay that hands out version 1 after it has signed for version 2 is found out by its
    own receipts."""
    decided(holder, asked)
    with shop.open() as company:
        company.collect()
        with holder.open() as vault:
            company.redeem("delivery", person=str(vault.grant("delivery")["issuer"]))
    with holder.open() as vault:
        watched = vault._ctx.exchange.grants()
        grant = next(g for g in watched if "contact.address" in canonicalize(g.raw).decode())
        # What a relay would show that had served the first version late: the receipt for the
        # second one stands before the redemption in its log.
        receipts = vault._ctx.exchange.staging_receipts(grant.package)
        assert len(receipts) == 1
        _, receipt = receipts[0]
        _, (sha256, manifest) = next(iter(vault._ctx.exchange.staged(grant.package).items()))
        with vault._ctx.transaction():
            vault._ctx.exchange.add_staged(
                grant.package, 2, sha256=sha256, manifest=manifest, at=utc_now()
            )
            vault._ctx.exchange.set_staging_receipt(grant.package, 2, receipt)
        assert ("relay.older_package", grant.package) in vault.sync().problems


def drop_the_first(events: list[JsonObject]) -> list[JsonObject]:
    return events[1:]


def take_out_presentations(events: list[JsonObject]) -> list[JsonObject]:
    return [{k: v for k, v in event.items() if k != "presentation"} for event in events]


def swap_presentations(events: list[JsonObject]) -> list[JsonObject]:
    shown = [event["presentation"] for event in events]
    return [event | {"presentation": p} for event, p in zip(events, reversed(shown), strict=True)]


def spoil_receipts(events: list[JsonObject]) -> list[JsonObject]:
    return [event | {"receipt": {"x": 1}} for event in events]


def alter_entries(events: list[JsonObject]) -> list[JsonObject]:
    first = events[0]["receipt"]
    assert isinstance(first, dict)
    entry = first["entry"]
    assert isinstance(entry, dict)
    return [events[0] | {"receipt": first | {"entry": entry | {"seq": 9}}}, *events[1:]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (drop_the_first, "relay.broken_chain"),
        (take_out_presentations, "redemption.no_presentation"),
        (swap_presentations, "redemption.other"),
        (spoil_receipts, "relay.bad_receipt"),
        (alter_entries, "log.inclusion"),
    ],
)
def test_events_that_do_not_fit_are_named(
    holder: Holder,
    asked: ShownRequest,
    shop: Shop,
    change: Callable[[list[JsonObject]], list[JsonObject]],
    code: str,
) -> None:
    """A hidden, altered or exchanged redemption shows, whichever part the relay changes."""
    decided(holder, asked)
    with holder.open() as vault:
        person = str(vault.grant("delivery")["issuer"])
    with shop.open() as company:
        company.collect()
        company.redeem("delivery", person=person)
        company.redeem("delivery", person=person)

    def bend_events(method: str, url: str, send: Send) -> Response:
        response = send()
        if method != "GET" or "/events" not in url:
            return response
        page = parse_object(response.body)
        events = page["events"]
        if not isinstance(events, list) or len(events) < 2:
            return response
        objects = [event for event in events if isinstance(event, dict)]
        return answer(200, page | {"events": [*change(objects)]})

    with holder.open() as vault:
        inner = vault._ctx.transport
        bend(vault, bend_events)
        assert code in {found for found, _ in vault.sync().problems}
        kept = {found for _, found, _ in vault.evidence()}
        assert code in kept or code.startswith("log.")
        vault._ctx.transport = inner
