"""Attacks on a company: by holders, relays and those who pass messages on."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from credentials.grant import WITHOUT_STATUS, verify_grant
from credentials.status import issue_status_list, sign_stamp
from did.json import JsonObject, canonicalize, digest, parse_object
from did.keys import SigningKey
from did.multikey import b64url_encode, multihash_sha256
from pds.company.client import Company
from pds.company.errors import CompanyError, NoBasis
from pds.log.errors import LogError
from pds.mailbox import RelayError
from pds.messages.errors import MessageError, PackageRefused
from pds.messages.package import open_package
from pds.messages.request import AccessRequest
from pds.net import NetError
from pds.relay.app import create_app
from pds.sealing import SealingKey, open_sealed, seal
from pds.wire import new_id

_WORLD = Path(__file__).parents[1] / "pds" / "company"
sys.path.insert(0, str(_WORLD))

from company_world import (  # noqa: E402
    CANARY,
    DELIVERY,
    DIRECT_MARKETING,
    MARKETING,
    URL,
    VALUES,
    Holder,
    Reply,
    World,
    close,
    make_shop,
    make_world,
    read_terms,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    close(made)


def _codes(world: World) -> list[str]:
    return [code for code, _ in world.shop.collect().problems]


def _refusal(world: World, purpose: str = DELIVERY) -> str:
    with pytest.raises(NoBasis) as refused:
        world.shop.register.data(world.holder.did, purpose)
    return refused.value.code


def _serve(world: World, answer: dict[str, object]) -> None:
    """From now on the relay answers redemptions with parts of another answer."""

    def change(method: str, path: str, reply: Reply) -> Reply:
        if (method, path) != ("POST", "/v1/redemptions") or reply.status != 200:
            return reply
        return replace(reply, body=json.dumps(json.loads(reply.body) | answer).encode())

    world.wire.change = change


def _serve_staged(world: World, package: str, manifest: JsonObject, sealed: bytes) -> None:
    """Put other contents under a package into the relay's own database."""
    store = world.wire.app.extensions["relay"].store
    with store.write() as conn:
        conn.execute(
            "UPDATE contents SET manifest = ?, sealed = ?, sha256 = ? WHERE package = ?",
            (canonicalize(manifest), sealed, multihash_sha256(sealed), package),
        )


def test_attack_11_decision_passed_on_by_somebody_else(world: World) -> None:
    """Grants by one DID in a message by another decide nothing."""
    request = world.ask()
    granted = world.holder.grant(request, "delivery")
    body = world.holder.decision(request, [granted], frozenset({"newsletter"})).to_json()
    world.holder.send(request, "Decision", body, key=SigningKey.generate())
    assert _codes(world) == ["decision.issuer"]
    assert world.shop.grants() == []


def test_attack_28_expired_grant_used(world: World) -> None:
    """At its end a grant serves no use, and the relay hands out nothing for it."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.clock.now = granted.verified.terms.valid_until
    world.holder.publish_status()
    assert _refusal(world) == "register.expired"
    with pytest.raises(RelayError) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "relay.expired"


def test_attack_31_data_used_for_another_purpose(world: World) -> None:
    """Data granted for delivery does not come out for marketing, nor broad for narrow."""
    world.granted()
    world.shop.redeem("delivery")
    assert _refusal(world, MARKETING) == "register.purpose"
    assert _refusal(world, DIRECT_MARKETING) == "register.purpose"


def test_attack_32_grant_for_fields_that_nobody_asked_for(world: World) -> None:
    """A grant wider than the request is not taken: more than asked is never held."""
    request = world.ask()
    asked = request.request.purpose("delivery").paths
    granted = world.holder.grant(request, "delivery", fields=asked | {"health"})
    body = world.holder.decision(request, [granted], frozenset({"newsletter"})).to_json()
    world.holder.send(request, "Decision", body)
    assert _codes(world) == ["decision.fields"]
    assert world.shop.grants() == []


def test_attack_35_clock_set_back_to_use_an_expired_grant(world: World) -> None:
    """An end that was seen once stays, whatever the clock says later."""
    granted = world.granted()
    world.shop.redeem("delivery")
    before = world.clock.now
    world.clock.now = granted.verified.terms.valid_until
    world.shop.expire()
    world.clock.now = before
    assert _refusal(world) == "register.expired"


def test_attack_36_withdrawn_during_release(world: World) -> None:
    """An answer that was under way when the holder withdrew is not kept."""
    granted = world.granted()

    def withdraw(method: str, path: str, reply: Reply) -> Reply:
        if (method, path) == ("POST", "/v1/redemptions"):
            world.wire.change = None
            world.holder.revoke(granted)
        return reply

    world.wire.change = withdraw
    with pytest.raises(NoBasis) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "register.withdrawn"
    assert not world.on_disk(CANARY)


def _replay_status(world: World) -> None:
    """From now on the relay shows the list and stamp of this moment."""
    kept: list[Reply] = []

    def change(method: str, path: str, reply: Reply) -> Reply:
        return kept[0] if (method, path.startswith("/v1/status/")) == ("GET", True) else reply

    def keep(_method: str, path: str, reply: Reply) -> Reply:
        if path.startswith("/v1/status/"):
            kept.append(reply)
        return reply

    world.wire.change = keep
    world.shop.collect()
    world.wire.change = change


def test_attack_42_status_list_by_another_issuer(world: World) -> None:
    """A list by somebody else at the holder's address clears nothing, and leaves no trace that
    would make the real one look old."""
    world.granted()
    world.shop.redeem("delivery")
    impostor, log_key = SigningKey.generate(), world.wire.app.extensions["relay"].log_key

    def change(_method: str, path: str, reply: Reply) -> Reply:
        if not path.startswith("/v1/status/"):
            return reply
        forged = issue_status_list(
            key=impostor,
            url=world.holder.list_url,
            bits=world.holder.bits,
            sequence=99,
            now=world.clock(),
        )
        stamp = sign_stamp(
            log_key=log_key,
            relay=URL,
            list_id=world.holder.list_id,
            digest=digest(forged),
            sequence=99,
            at=world.clock(),
            expires=world.clock() + timedelta(hours=24),
        )
        header = b64url_encode(canonicalize(stamp))
        headers = {**reply.headers, "pds-stamp": header}
        return replace(reply, headers=headers, body=canonicalize(forged))

    world.clock.move(hours=25)
    world.wire.change = change
    assert _refusal(world) == "register.status_stale"
    assert world.shop.problems()[-1].code == "status.issuer"
    world.wire.change = None
    assert world.shop.register.data(world.holder.did, DELIVERY) != {}


def test_attack_43_older_status_list_served(world: World) -> None:
    """A relay that goes back to a list from before one already seen gets no use through."""
    world.granted()
    world.shop.redeem("delivery")
    _replay_status(world)
    frozen, world.wire.change = world.wire.change, None
    world.holder.publish_status()
    world.shop.collect()  # the newer list has been seen
    world.wire.change = frozen
    assert _codes(world) == ["status.older"]
    assert world.shop.problems()[-1].code == "status.older"
    world.clock.move(hours=25)
    assert _refusal(world) == "register.status_stale"


def test_attack_44_status_held_back(world: World) -> None:
    """A relay that shows yesterday's list and stamp for ever is believed for a day at most."""
    granted = world.granted()
    world.shop.redeem("delivery")
    _replay_status(world)
    world.holder.revoke(granted)
    world.clock.move(hours=25)
    assert _refusal(world) == "register.status_stale"


def test_attack_53_stamp_by_another_key(world: World) -> None:
    """Only the log key pinned with the decision vouches that a list is the newest."""
    world.granted()
    other = SigningKey.generate()

    def change(_method: str, path: str, reply: Reply) -> Reply:
        if not path.startswith("/v1/status/"):
            return reply
        stamp = sign_stamp(
            log_key=other,
            relay=URL,
            list_id=world.holder.list_id,
            digest=digest(parse_object(reply.body)),
            sequence=world.holder.sequence,
            at=world.clock(),
            expires=world.clock() + timedelta(hours=24),
        )
        header = b64url_encode(canonicalize(stamp))
        return replace(reply, headers={**reply.headers, "pds-stamp": header})

    world.clock.move(hours=25)
    world.wire.change = change
    assert _refusal(world) == "register.status_stale"


def test_attack_55_packages_swapped_between_grants(world: World) -> None:
    """A package of another grant of the same holder, under this one's ticket, is refused."""
    request = world.ask()
    holder = world.holder
    delivery, letters = (holder.grant(request, name) for name in ("delivery", "newsletter"))
    # The holder's own slip, or a forger with the holder's key: sealed for the other grant.
    holder.stage(delivery, grant=letters.verified.digest, paths=frozenset({"contact.name"}))
    holder.stage(letters)
    holder.send(request, "Decision", holder.decision(request, [delivery, letters]).to_json())
    world.shop.collect()
    with pytest.raises(PackageRefused) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "package.swapped"
    assert world.shop.register.held() == []


def test_attack_55_answers_swapped_by_the_relay(world: World) -> None:
    """Manifest and bytes of another package do not fit the receipt of this redemption."""
    request, holder = world.ask(), world.holder
    delivery, letters = (holder.grant(request, name) for name in ("delivery", "newsletter"))
    holder.stage(delivery)
    sealed, manifest = holder.package(letters, seq=1)
    holder.mailbox.put_package(
        letters.package, ticket=letters.ticket, manifest=manifest, sealed=sealed
    )
    holder.send(request, "Decision", holder.decision(request, [delivery, letters]).to_json())
    world.shop.collect()
    _serve(world, {"manifest": manifest, "sealed": b64url_encode(sealed)})
    with pytest.raises(Exception, match="not one of the protocol"):
        world.shop.redeem("delivery")
    assert world.shop.register.held() == []


def test_attack_55_manifest_of_another_ticket(world: World) -> None:
    """A package under a manifest for another ticket is refused: what a relay serves for one
    grant was not staged for another."""
    request, holder = world.ask(), world.holder
    delivery, letters = (holder.grant(request, name) for name in ("delivery", "newsletter"))
    for one in (delivery, letters):
        holder.stage(one)
    holder.send(request, "Decision", holder.decision(request, [delivery, letters]).to_json())
    world.shop.collect()
    # The relay staged it without looking: only the ticket that the manifest names is another.
    sealed, _ = holder.package(delivery, seq=1)
    other = replace(delivery, ticket=letters.ticket)
    resealed, manifest = holder.package(other, seq=1)
    assert digest(letters.ticket) in str(manifest)
    _serve_staged(world, delivery.package, manifest, resealed)
    with pytest.raises(PackageRefused) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "package.swapped"
    assert world.shop.register.held() == []
    assert sealed != resealed


def test_attack_55_manifest_of_another_package(world: World) -> None:
    """The holder's manifest of another package does not serve for this one."""
    request, holder = world.ask(), world.holder
    grant = holder.grant(request, "delivery")
    granted = verify_grant(
        grant.raw,
        purpose=None,
        audience=None,
        status=WITHOUT_STATUS,
        sandbox=True,
        now=world.clock(),
    )
    row = world.shop._ctx.store.request(request.request.id)
    assert row is not None
    sealed, manifest = holder.package(grant, seq=1)
    for package_id, ticket in (
        (new_id(), digest(grant.ticket)),
        (grant.package, digest({"another": "ticket"})),
    ):
        with pytest.raises(PackageRefused) as refused:
            open_package(
                sealed,
                manifest,
                key=SealingKey.from_seed(row.package_seed or b""),
                grant=granted,
                package_id=package_id,
                ticket=ticket,
                at_least=1,
                now=world.clock(),
            )
        assert refused.value.code == "package.swapped"


def test_attack_68_withdrawal_undone_by_a_later_list(world: World) -> None:
    """A list that shows the grant as standing again revives nothing."""
    granted = world.granted("newsletter")
    world.shop.redeem("newsletter")
    bits = world.holder.bits
    world.holder.revoke(granted)
    world.shop.collect()
    world.holder.bits = bits
    with pytest.raises(RelayError) as refused:
        world.holder.publish_status()
    assert refused.value.code == "relay.bits_cleared"
    assert _refusal(world, MARKETING) == "register.withdrawn"
    with pytest.raises(CompanyError) as over:
        world.shop.redeem("newsletter")
    assert over.value.code == "company.ended"


def test_attack_69_relay_key_changed_after_a_restore(world: World) -> None:
    """A receipt of a log under another key than the one pinned yields nothing."""
    granted = world.granted()
    other = create_app(world.folder.parent / "other", url=URL, clock=world.clock)
    real, world.wire.app = world.wire.app, other
    impostor = Holder(world.wire, world.clock)
    impostor.key, impostor.bits, impostor.sequence = world.holder.key, world.holder.bits, 5
    impostor.list_id = world.holder.list_id
    impostor.publish_status()
    impostor.stage(granted, seq=1)
    with pytest.raises(LogError) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "log.signature"
    assert world.shop.register.held() == []
    row = world.shop._ctx.store.request(granted.request.request.id)
    assert row is not None
    assert row.log_origin == world.holder.info.log_origin
    assert "relay restored" not in [event.kind for event in world.shop.events()]
    other.extensions["relay"].store.close()
    world.wire.app = real


def test_attack_70_message_forwarded_to_another_company(world: World, tmp_path: Path) -> None:
    """What one shop was told, sealed anew by it to another shop, is not taken there."""
    other = make_shop(tmp_path / "other", world.clock, world.wire, did="did:web:other.example")
    try:
        new = other.request(read_terms(), valid_for=timedelta(days=1))
        asked = world.holder.read(new.link, other)
        first = world.ask()
        granted = world.holder.grant(first, "delivery")
        body = world.holder.decision(first, [granted], frozenset({"newsletter"})).to_json()
        sealed = world.holder.seal(first, "Decision", body)
        row = world.shop._ctx.store.request(first.request.id)
        assert row is not None
        signed = open_sealed(
            sealed,
            key=SealingKey.from_seed(row.message_seed or b""),
            label="message",
            context=row.mailbox,
        )
        reply = asked.request.reply
        forwarded = seal(signed, to=reply.sealing_key, label="message", context=reply.mailbox)
        world.holder.client.deposit(reply.mailbox, reply.capability, forwarded)
        assert [code for code, _ in other.collect().problems] == ["message.wrong_recipient"]
        assert other.grants() == []
    finally:
        other.close()


def test_attack_75_dropped_message(world: World) -> None:
    """A relay that drops one message cuts no thread: the holder's signed word that comes later
    ends the grant, though the relay goes on to show the list of before; and the loss is noted."""
    granted = world.granted()
    world.shop.redeem("delivery")
    _replay_status(world)
    world.holder.update(granted, VALUES)
    reply = granted.request.request.reply
    row = world.shop._ctx.store.request(granted.request.request.id)
    assert row is not None
    owner = world.holder.client.owner(
        reply.mailbox, SigningKey.from_seed(row.mailbox_seed or b""), 0
    )
    envelopes, _ = owner.envelopes()
    owner.delete_envelope(envelopes[-1][0])
    world.holder.withdraw(granted, verb="end")
    report = world.shop.collect()
    assert report.ended == [granted.verified.id]
    thread = granted.request.request.id
    assert ("message.gap", thread) in report.problems
    # And it is kept, for the day when they argue about it.
    assert ("message.gap", thread) in {(one.code, one.subject) for one in world.shop.problems()}
    assert _refusal(world) == "register.withdrawn"
    assert not world.on_disk("+36 1 555 0123")


def test_attack_76_older_package_served(world: World) -> None:
    """After the holder told of a newer version, the relay cannot hand out the one before."""
    granted = world.granted()
    world.shop.redeem("delivery")
    # The notice says 2, the relay still hands out 1.
    world.holder.send(
        granted.request,
        "PackageUpdated",
        {"grant": granted.verified.digest, "package": granted.package, "seq": 2},
    )
    world.shop.collect()
    with pytest.raises(PackageRefused) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "package.older"
    assert world.shop.grants()[0].seq == 1
    assert world.shop.problems()[-1].code == "package.older"


def test_attack_78_decision_for_another_request(world: World) -> None:
    """A decision on one request, sent in answer to another, decides neither."""
    first, second = world.ask(), world.ask()
    granted = world.holder.grant(first, "delivery")
    body = world.holder.decision(first, [granted], frozenset({"newsletter"})).to_json()
    world.holder.send(second, "Decision", body)
    assert _codes(world) == ["decision.other_request"]
    assert {view.state for view in world.shop.requests()} == {"published"}


def test_attack_78_decision_that_names_another_request(world: World) -> None:
    """Grants and denials of this request in a decision that says it is on another are refused."""
    first, second = world.ask(), world.ask()
    holder = world.holder
    decision = holder.decision(
        second, [holder.grant(second, "delivery")], frozenset({"newsletter"})
    )
    holder.send(second, "Decision", replace(decision, request=first.digest).to_json())
    assert _codes(world) == ["decision.other_request"]
    assert world.shop.grants() == []


def test_attack_78_grant_of_another_request(world: World) -> None:
    """A grant taken from one request into the decision on another is refused."""
    first, second = world.ask(), world.ask()
    holder = world.holder
    ticket = {"redemption_key_did": second.request.redemption_key}
    granted = holder.grant(first, "delivery", ticket=ticket)
    body = holder.decision(second, [granted], frozenset({"newsletter"})).to_json()
    holder.send(second, "Decision", body)
    assert _codes(world) == ["decision.other_request"]


def test_attack_79_decision_naming_a_hostile_relay(world: World) -> None:
    """An address inside the company's own machine or network is never connected to."""
    request = world.ask()
    hostile = _Hostile(world.wire, world.clock)
    granted = hostile.grant(request, "delivery", ticket={"relay": HOSTILE})
    decision = hostile.decision(request, [granted], frozenset({"newsletter"}))
    decision = replace(decision, relay=HOSTILE, reply=replace(decision.reply, relay=HOSTILE))
    hostile.send(request, "Decision", decision.to_json())
    world.shop.collect()
    world.shop.close()
    world.shop = Company.open(world.folder, clock=world.clock)  # with the real transport
    with pytest.raises(NetError) as refused:
        world.shop.redeem("delivery")
    assert (refused.value.code, refused.value.exit_code) == ("net.url", 1)
    with pytest.raises(NoBasis) as closed:
        world.shop.register.data(hostile.did, DELIVERY)
    assert closed.value.code == "register.status_stale"


HOSTILE = "http://127.0.0.1:9"


class _Hostile(Holder):
    @property
    def list_url(self) -> str:
        if self.sequence == 0 or self.next_index == 100:
            return super().list_url
        return f"{HOSTILE}/v1/status/{self.list_id}"


@pytest.mark.parametrize(
    "name",
    [
        "\u0410mazon Ltd",  # Cyrillic A
        "Sh\u03bfp Ltd",  # Greek omicron
        "Shop\u202e dtL",  # what follows is shown from right to left
        "Sh\u200bop Ltd",  # zero width
        "Shop\nLtd",
    ],
)
def test_attack_73_confusable_company_name(name: str) -> None:
    """A name that looks like another's is not shown; whole words in any alphabet are."""
    example = Path(__file__).parents[2] / "docs" / "examples" / "access-request.json"
    raw = parse_object(example.read_bytes())
    del raw["proof"]
    controller = raw["controller"]
    assert isinstance(controller, dict)
    for honest in ("Szőlőskert Kft.", "ООО Ромашка Trading", "Α-Ω ΑΕ", "株式会社 Shop"):
        AccessRequest.parse({**raw, "controller": {**controller, "name": honest}})
    with pytest.raises(MessageError) as refused:
        AccessRequest.parse({**raw, "controller": {**controller, "name": name}})
    assert refused.value.code == "message.malformed"
