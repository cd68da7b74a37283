"""The redemption ticket: what a relay may rely on."""

from datetime import timedelta

import pytest

from credentials.errors import CredentialError, ProofInvalid, TicketInvalid
from credentials.proof import sign_object
from credentials.ticket import issue_ticket, verify_ticket
from did.json import canonicalize, digest
from did.multikey import multihash_sha256

RELAY = "https://relay.example"


@pytest.fixture
def given_terms(other_key, entry, now):
    return {
        "redemption_key_did": other_key.did,
        "relay": RELAY,
        "package": "AAAAAAAAAAAAAAAAAAAAAQ",
        "valid_from": now,
        "valid_until": now + timedelta(days=1),
        "max_uses": 3,
        "min_interval": 60,
        "grant_digest": multihash_sha256(b"grant"),
        "status": entry,
        "now": now,
    }


@pytest.fixture
def ticket(key, given_terms):
    return issue_ticket(key=key, **given_terms)


def test_a_ticket_is_what_was_issued(ticket, key, other_key, entry, given_terms, now):
    raw = canonicalize(ticket)
    found = verify_ticket(raw, now=now, expected_relay=RELAY)
    assert (found.issuer, found.holder, found.relay) == (key.did, other_key.did, RELAY)
    assert (found.package, found.max_uses, found.min_interval) == (given_terms["package"], 3, 60)
    assert (found.valid_from, found.valid_until) == (now, now + timedelta(days=1))
    assert (found.status, found.grant_digest) == (entry, given_terms["grant_digest"])
    assert (found.digest, found.raw) == (digest(ticket), raw)


def test_a_ticket_for_another_relay_is_refused(ticket, now):
    with pytest.raises(TicketInvalid) as caught:
        verify_ticket(ticket, now=now, expected_relay="https://other.example")
    assert caught.value.code == "ticket.relay"


def test_the_window_is_left_to_the_relay(ticket, now):
    """A ticket that has ended is still a ticket: the relay decides when it releases."""
    assert verify_ticket(ticket, now=now + timedelta(days=9)).max_uses == 3


def test_a_ticket_by_another_key_is_refused(ticket, other_key, now):
    document = {name: value for name, value in ticket.items() if name != "proof"}
    with pytest.raises(ProofInvalid) as caught:
        verify_ticket(sign_object(document, other_key, created=now), now=now)
    assert caught.value.code == "proof.not_by_controller"


def test_one_flipped_bit_anywhere_is_refused(ticket, now):
    raw = canonicalize(ticket)
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(CredentialError):
            verify_ticket(bytes(changed), now=now)


@pytest.mark.parametrize(
    "change",
    [
        {"redemption_key_did": "did:web:shop.example"},
        {"relay": "https://relay.example/"},
        {"relay": "https://Relay.example"},
        {"relay": "relay.example"},
        {"package": "short"},
        {"max_uses": 0},
        {"min_interval": -1},
        {"grant_digest": "uEi"},
        {"id": "1"},
    ],
)
def test_what_would_not_verify_is_not_issued(change, key, given_terms):
    with pytest.raises(CredentialError):
        issue_ticket(key=key, **{**given_terms, **change})
