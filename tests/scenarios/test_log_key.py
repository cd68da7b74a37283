"""The log of a relay gets another key, and everybody who knows it goes on, over real HTTP; and
what a thief of one of its keys gets."""

import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from did.json import JsonObject, canonicalize, parse_object
from did.keys import SigningKey
from did.time import utc_now
from pds.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from pds.log.evidence import KeyEvidence, judge_key
from pds.log.policy import Witness as Believed
from pds.log.policy import WitnessPolicy
from pds.log.vkey import log_key
from pds.mailbox import RelayClient
from pds.net import Response, Transport
from pds.relay.rotation import rotate_log_key
from pds.vault.consent import Accept, Refuse
from pds.vault.errors import VaultError
from pds.witness.witness import Witness

from .bent import Hook, Send, bend
from .conftest import Holder, Server, free_port, make_holder, make_shop, start_relay

sys.path.insert(0, str(Path(__file__).parents[1] / "pds" / "log"))

from keys_world import K3, KeyedLog
from log_world import Log

WAIT = 30.0
ANSWER = {
    "delivery": Accept(follows_changes=True),
    "personalisation": Accept(max_uses=9),
    "marketing": Refuse(),
}


def wait_until_cosigned(url: str, name: str) -> None:
    """Until this witness has cosigned what the log of the relay is now."""
    with Transport(trusted_origins=[url]) as way:
        client, until = RelayClient(url, way, clock=utc_now), monotonic() + WAIT
        while f"\n— {name} " not in client.checkpoint():
            if monotonic() > until:
                pytest.fail("the witness has not cosigned in time")


def test_everybody_goes_on(start: Callable[..., Server], tmp_path: Path) -> None:
    """Vault, company and witness take up two changes of the key by themselves, and say so."""
    url, data = f"http://127.0.0.1:{free_port()}", tmp_path / "relay"
    witness = Witness.create(tmp_path / "witness", name="w.example")
    served = start("witness", "serve", "--data", str(tmp_path / "witness"), "--port", "0")
    place = f"http://127.0.0.1:{served.port}"

    def begin() -> Server:
        return start(
            "relay", "serve", "--data", str(data), "--url", url,
            "--registrations-per-hour", "10000", "--witness", f"{place}={witness.key.text}",
        )  # fmt: skip

    server = begin()
    with Transport(trusted_origins=[url]) as way:
        info = RelayClient(url, way, clock=utc_now).info()
    witness.trust(log_key(info.log_origin, info.log_key))
    shop = make_shop(start, tmp_path / "shop", url)
    holder = make_holder(tmp_path / "vault", url, shop)
    policy = WitnessPolicy((Believed(witness.key, place),), 1)
    with holder.open() as vault:
        vault.set_witnesses(policy)
        vault.decide(vault.open_link(shop.ask()).request.id, ANSWER)
        assert vault.push().complete
        assert vault.sync().problems == []
    with shop.open() as company:
        company.set_witnesses(policy)
        company.collect()
        assert company.redeem("personalisation").logged
    wait_until_cosigned(url, "w.example")

    for changes in (1, 2):
        server.stop()
        made = rotate_log_key(data)
        server = begin()
        with shop.open() as company:  # before the vault has met the relay again
            assert company.redeem("personalisation").logged
            assert company.collect().problems == []
        wait_until_cosigned(url, "w.example")
        assert witness.logs()[0].vkey == log_key(made.origin, made.new).text
        with holder.open() as vault:
            assert vault.sync().problems == []
            home, known = vault.relay_keys()
            assert (home.log_key, len(known)) == (made.new, changes)
            assert [line.kind for line in vault.activity()].count("relay key") == changes
            assert vault.evidence() == []

    # What is begun under the new key goes on beside what was begun under the old one.
    with holder.open() as vault:
        vault.withdraw("delivery")
        vault.decide(vault.open_link(shop.ask()).request.id, ANSWER)
        new = next(
            row.grant
            for row in vault.sharing()
            if row.purpose == "delivery" and row.state != "ended"
        )
        assert vault.push().complete
        assert vault.sync().problems == []
    with shop.open() as company:
        assert company.collect().problems == []
        assert company.redeem(new).logged
        assert company.problems() == []
    with holder.open() as vault:
        report = vault.sync()
        assert (report.problems, report.redemptions) == ([], 1)
    witness.close()
    server.stop()


def shows(key: SigningKey, document: JsonObject) -> Hook:
    """The relay shows this key, and this on how it came to it."""

    def hook(_method: str, url: str, send: Send) -> Response:
        if url.endswith("/v1/log/keys"):
            return Response(200, {"content-type": "application/json"}, canonicalize(document))
        answer = send()
        if url.endswith("/v1/relay"):
            said = {**parse_object(answer.body), "logKey": key.verify_key.multikey}
            return Response(200, answer.headers, canonicalize(said))
        return answer

    return hook


def refused(holder: Holder, hook: Hook) -> JsonObject:
    """The vault does not believe the key that it is shown; what it keeps of that."""
    with holder.open() as vault:
        before = vault.relay_keys()
        bend(vault, hook)
        for _ in range(2):
            with pytest.raises(VaultError) as found:
                vault.sync()
            assert found.value.code == "vault.relay_key_changed"
        assert vault.relay_keys() == before
        kept = [detail for _, code, detail in vault.evidence() if code == found.value.code]
        assert kept.count(kept[-1]) == 1
        return kept[-1]


def test_attack_13_a_thief_of_one_key(start: Callable[..., Server], tmp_path: Path) -> None:
    """Neither the old key nor a new one alone makes a vault believe another; what the old one
    signs after it was given up convicts, and the honest relay is believed as before."""
    url, data = f"http://127.0.0.1:{free_port()}", tmp_path / "relay"
    server = start_relay(start, data, url)
    shop = make_shop(start, tmp_path / "shop", url)
    holder = make_holder(tmp_path / "vault", url, shop)
    with holder.open() as vault:
        vault.decide(vault.open_link(shop.ask()).request.id, ANSWER)
        assert vault.push().complete
        assert vault.sync().problems == []
        origin = vault.relay_keys()[0].log_origin
    stolen = SigningKey.from_seed((data / "log-key").read_bytes())

    # A new key that nobody named, with nothing, and with a line of its own.
    assert refused(holder, shows(K3, {"successions": []}))["reason"] == "log.succession"
    other = KeyedLog(Log().grow(3), keys=[SigningKey.generate()], origin=origin)
    other.rotate(K3)
    assert refused(holder, shows(K3, other.document))["reason"] == "log.succession"
    # The old key has signed what the new one has not.
    half = KeyedLog(Log().grow(3), keys=[stolen], origin=origin)
    half.rotate(K3)
    note = str(half.changes[0].note)
    text, _, lines = note.partition("\n\n")
    half.keys.pop()
    alone = half.entered(f"{text}\n\n{lines.splitlines()[0]}\n")
    found = refused(holder, shows(K3, {"successions": [alone]}))
    assert found["reason"] == "log.signature"

    with shop.open() as company:
        company.collect()
        assert company.redeem("personalisation").logged
    server.stop()
    made = rotate_log_key(data)
    server = start_relay(start, data, url)
    # What the old key could have signed, in the very round in which the vault follows the new one:
    # what that has signed comes first.
    fork = Log("b").grow(made.size + 40)
    signed = sign_checkpoint(Checkpoint(origin, made.size, fork.tree.root(made.size)), stolen)

    def signing(_method: str, address: str, send: Send) -> Response:
        answer = send()
        if address.endswith("/v1/log/checkpoint"):
            return Response(200, answer.headers, signed.encode())
        return answer

    with holder.open() as vault:
        bend(vault, signing)
        assert {code for code, _ in vault.sync().problems} == {"log.shrunken"}
        assert vault.relay_keys()[0].log_key == made.new
    with holder.open() as vault:
        assert vault.sync().problems == []
    # The old key names another successor: the two statements convict.
    rival = KeyedLog(Log().grow(3), keys=[stolen], origin=origin)
    rival.rotate(K3)
    evidence = KeyEvidence.parse(refused(holder, shows(K3, rival.document)))
    assert judge_key(evidence).old == stolen.verify_key
    # The old key is shown again, as if nothing had happened.
    back = refused(holder, shows(stolen, {"successions": []}))
    assert back["shown"] == stolen.verify_key.multikey
    # It goes on signing.
    signed = sign_checkpoint(Checkpoint(origin, made.size + 40, fork.tree.root()), stolen)
    with holder.open() as vault:
        bend(vault, signing)
        for _ in range(2):
            assert ("log.old_key", url) in vault.sync().problems
        kept = [detail for _, code, detail in vault.evidence() if code == "log.old_key"]
        assert len(kept) == 1
        assert judge_key(KeyEvidence.parse(kept[0])).note == made.note
    with holder.open() as vault:
        assert vault.sync().problems == []
        with Transport(trusted_origins=[url]) as way:
            newest = RelayClient(url, way, clock=utc_now).checkpoint()
        assert open_checkpoint(newest, origin=origin, key=made.new).size > made.size
    server.stop()


def test_a_new_did_tells_of_a_new_key(start: Callable[..., Server], tmp_path: Path) -> None:
    """The decision under the new DID names the relay's new key, of which the company knows nothing
    yet: it asks, and follows both."""
    url, data = f"http://127.0.0.1:{free_port()}", tmp_path / "relay"
    server = start_relay(start, data, url)
    shop = make_shop(start, tmp_path / "shop", url)
    holder = make_holder(tmp_path / "vault", url, shop)
    with holder.open() as vault:
        vault.decide(vault.open_link(shop.ask()).request.id, ANSWER)
        assert vault.push().complete
    with shop.open() as company:
        assert company.collect().problems == []
    server.stop()
    rotate_log_key(data)
    server = start_relay(start, data, url)
    with holder.open() as vault:
        assert vault.sync().problems == []
        vault.rotate_relationship("shop.example")
        for _ in range(2):
            assert vault.sync().problems == []
    with shop.open() as company:
        report = company.collect()
        assert (report.problems, len(report.moved)) == ([], 1)
        assert "relay key" in {event.kind for event in company.events()}
    server.stop()
