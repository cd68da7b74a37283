"""A decision is held against its request: nothing more, nothing less, nobody else's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from did.json import JsonObject, digest
from did.keys import SigningKey
from pds.errors import PdsError
from pds.messages.decision import check_decision
from pds.messages.errors import DecisionRefused, MessageError
from pds.messages.request import AccessRequest

from .conftest import DPV, GDPR, NOW, RELAY, Parties, purpose


def decide(parties: Parties, body: JsonObject):
    return check_decision(body, request=parties.verified(), holder=parties.holder_key.did, now=NOW)


def granted(parties: Parties, **changes: Any) -> JsonObject:
    grant = parties.grant(parties.verified().digest, **changes)
    return parties.decision(
        parties.verified().digest, grants=(grant,), tickets=(parties.ticket(grant),)
    )


def test_a_fitting_decision_is_paired(parties: Parties) -> None:
    """One purpose, one grant, one ticket."""
    checked = decide(parties, granted(parties))
    assert set(checked.granted) == {"delivery"}
    pair = checked.granted["delivery"]
    assert pair.ticket.grant_digest == pair.grant.digest
    assert checked.refused == frozenset()


def test_a_refusal_is_an_answer(parties: Parties) -> None:
    """A denial alone decides a request too."""
    body = parties.decision(parties.verified().digest, refused=frozenset({"delivery"}))
    assert decide(parties, body).refused == {"delivery"}


WIDER: list[tuple[str, dict[str, Any], str]] = [
    ("fields", {"fields": frozenset({"contact.name", "contact.email"})}, "decision.fields"),
    ("too few", {"fields": frozenset({"purchases"})}, "decision.fields"),
    ("purpose", {"purpose": DPV + "DirectMarketing"}, "decision.purpose"),
    ("basis", {"basis": GDPR + "A6-1-a"}, "decision.basis"),
    ("processing", {"processing": frozenset({DPV + "Share"})}, "decision.processing"),
    ("longer", {"valid_until": NOW + timedelta(days=366)}, "decision.window"),
    (
        "next century",
        {"valid_from": NOW + timedelta(days=367), "valid_until": NOW + timedelta(days=368)},
        "decision.window",
    ),
    (
        "end of the calendar",
        {
            "valid_from": datetime(9999, 12, 29, 23, 59, 58, tzinfo=UTC),
            "valid_until": datetime(9999, 12, 31, 23, 59, 58, tzinfo=UTC),
        },
        "decision.window",
    ),
    ("more often", {"max_uses": 13}, "decision.limits"),
    ("retention", {"retention_days": 31}, "decision.retention"),
    ("sandbox", {"sandbox": True}, "decision.credential"),
    ("other audience", {"company": "did:web:other.example"}, "decision.credential"),
]


@pytest.mark.parametrize(("changes", "code"), [row[1:] for row in WIDER], ids=[w[0] for w in WIDER])
def test_attack_32_wider_or_other_terms_are_refused(
    parties: Parties, changes: dict[str, Any], code: str
) -> None:
    """A grant that says more than was asked is not taken, even from a generous holder."""
    with pytest.raises(DecisionRefused) as refused:
        decide(parties, granted(parties, **changes))
    assert refused.value.code == code


def test_attack_78_a_decision_for_another_request_is_refused(parties: Parties) -> None:
    """The same company asked twice; an answer to the one is none to the other."""
    body = granted(parties)
    other: AccessRequest = replace(
        parties.request, id="urn:uuid:11111111-2222-4333-8444-555555555555"
    )
    with pytest.raises(DecisionRefused) as refused:
        check_decision(
            body, request=parties.verified(other), holder=parties.holder_key.did, now=NOW
        )
    assert refused.value.code == "decision.other_request"
    renamed = body | {"request": parties.verified(other).digest}
    with pytest.raises(DecisionRefused) as refused:
        check_decision(
            renamed, request=parties.verified(other), holder=parties.holder_key.did, now=NOW
        )
    assert refused.value.code == "decision.other_request"


def test_every_purpose_is_answered_exactly_once(parties: Parties) -> None:
    """Silence about a purpose is no answer, two answers are none either."""
    two = replace(parties.request, purposes=(purpose(), purpose(id="second")))
    request = parties.verified(two)
    grant = parties.grant(request.digest)
    half = parties.decision(request.digest, grants=(grant,), tickets=(parties.ticket(grant),))
    both = parties.decision(
        request.digest,
        grants=(grant,),
        tickets=(parties.ticket(grant),),
        refused=frozenset({"delivery", "second"}),
    )
    for body in (half, both):
        with pytest.raises(DecisionRefused) as refused:
            check_decision(body, request=request, holder=parties.holder_key.did, now=NOW)
        assert refused.value.code == "decision.incomplete"


def test_another_holders_grant_or_denial_is_refused(parties: Parties) -> None:
    """Everything in a decision is signed by the one DID that sent it."""
    with pytest.raises(DecisionRefused) as refused:
        decide(parties, granted(parties, key=SigningKey.generate()))
    assert refused.value.code == "decision.issuer"
    body = parties.decision(
        parties.verified().digest,
        refused=frozenset({"delivery"}),
        denial_key=SigningKey.generate(),
    )
    with pytest.raises(DecisionRefused) as refused:
        decide(parties, body)
    assert refused.value.code == "decision.denial"


TICKETS: list[tuple[str, dict[str, Any]]] = [
    ("more uses", {"max_uses": 3}),
    ("longer", {"valid_until": NOW + timedelta(days=31)}),
    ("another key", {"redemption_key_did": SigningKey.generate().did}),
    ("another grant", {"grant_digest": digest({"a": 1})}),
    ("another issuer", {"key": SigningKey.generate()}),
]


@pytest.mark.parametrize("changes", [row[1] for row in TICKETS], ids=[row[0] for row in TICKETS])
def test_a_ticket_says_what_its_grant_says(parties: Parties, changes: dict[str, Any]) -> None:
    """A ticket that allows something else than the grant is refused."""
    grant = parties.grant(parties.verified().digest)
    body = parties.decision(
        parties.verified().digest, grants=(grant,), tickets=(parties.ticket(grant, **changes),)
    )
    with pytest.raises(DecisionRefused) as refused:
        decide(parties, body)
    assert refused.value.code == "decision.ticket"


def test_a_ticket_for_another_relay_is_refused(parties: Parties) -> None:
    """The decision names the relay; the ticket must be for it."""
    grant = parties.grant(parties.verified().digest)
    ticket = parties.ticket(grant, relay=RELAY.replace("relay", "other"))
    body = parties.decision(parties.verified().digest, grants=(grant,), tickets=(ticket,))
    with pytest.raises(DecisionRefused):
        decide(parties, body)


@pytest.mark.parametrize("name", ["relay", "reply"])
def test_attack_79_a_decision_names_an_address_that_is_no_relay(
    parties: Parties, name: str
) -> None:
    """What is not exactly the origin of a relay is refused before anybody connects to it."""
    body = granted(parties)
    for url in ("http://relay.example", "https://user@relay.example", f"{RELAY}/x", "file:///etc"):
        changed = body | {"relay": url}
        if name == "reply":
            changed = body | {"reply": {**body["reply"], "relay": url}}  # type: ignore[dict-item]
        with pytest.raises(PdsError) as refused:
            decide(parties, changed)
        assert refused.value.code == "wire.relay_url"


def test_a_log_key_that_is_none_is_refused_with_its_place(parties: Parties) -> None:
    """As every other member of a decision is."""
    with pytest.raises(MessageError) as refused:
        decide(parties, granted(parties) | {"logKey": "z6Mk"})
    assert (refused.value.where, refused.value.code) == ("/body/logKey", "key.kind")


def test_a_grant_from_the_beginning_of_the_calendar_is_refused(parties: Parties) -> None:
    """Dates with which nobody can reckon are refused like any other."""
    body = granted(parties)
    grant: Any = body["grants"][0]  # type: ignore[index]
    early = "0001-01-01T00:00:00Z"
    for start, end in ((early, early), ("2026-05-04T10:00:00Z", early)):
        changed = body | {"grants": [{**grant, "validFrom": start, "validUntil": end}]}
        with pytest.raises(DecisionRefused):
            decide(parties, changed)
