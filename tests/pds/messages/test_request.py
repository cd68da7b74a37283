"""What a request may say, and who may have said it."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from did.errors import DidError
from did.json import canonicalize
from did.keys import SigningKey
from pds.errors import PdsError
from pds.messages.errors import MessageError, RequestRefused
from pds.messages.request import AccessRequest, match_code, sign_request, verify_request

from .conftest import DPV, GDPR, NOW, Parties, purpose


def test_a_request_reads_back_as_it_was_written(parties: Parties) -> None:
    """parse and to_json are inverse to each other."""
    assert AccessRequest.parse(parties.request.to_json()) == parties.request


def test_a_signed_request_verifies_and_has_a_match_code(parties: Parties) -> None:
    """Both sides compute the same six digits from the digest alone."""
    verified = parties.verified()
    assert verified.request == parties.request
    assert re.fullmatch(r"\d{3}-\d{3}", verified.match_code)
    assert verified.match_code == match_code(verified.digest)


def test_another_companys_key_is_refused(parties: Parties) -> None:
    """A request signed by a key outside the controller's document is nobody's."""
    raw = sign_request(parties.request, SigningKey.generate(), verification_method=parties.method)
    with pytest.raises(RequestRefused) as refused:
        verify_request(raw, resolver=parties.resolver, now=NOW)
    assert refused.value.code == "request.proof"


@pytest.mark.parametrize(
    ("offset", "code"),
    [(timedelta(days=14), "request.expired"), (timedelta(seconds=-61), "request.future")],
)
def test_a_request_has_its_time(parties: Parties, offset: timedelta, code: str) -> None:
    """Over means over; more than a minute early means that a clock is wrong."""
    raw = canonicalize(parties.signed())
    with pytest.raises(RequestRefused) as refused:
        verify_request(raw, resolver=parties.resolver, now=NOW + offset)
    assert refused.value.code in (code, "request.proof")


BAD: list[tuple[str, Any]] = [
    ("type", "Other"),
    ("id", "urn:uuid:00000000-0000-1000-8000-000000000000"),
    ("expires", "2026-05-04"),
    ("expires", "9999-12-31T23:59:59Z"),
    ("purposes", []),
    ("redemptionKey", "did:web:shop.example"),
    ("extra", 1),
    ("sandbox", False),
    ("audience", "a\u202eb"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_malformed_member_is_refused_without_being_repeated(
    parties: Parties, name: str, value: Any
) -> None:
    """The error says where, never what stood there."""
    raw = parties.request.to_json() | {name: value}
    with pytest.raises(PdsError) as refused:
        AccessRequest.parse(raw)
    if isinstance(value, str):
        assert value not in str(refused.value) + refused.value.hint


def test_what_other_readers_refuse_is_refused_with_its_place(parties: Parties) -> None:
    """The address of a relay and the keys: their own codes, and where in the request."""
    raw = parties.request.to_json()
    reply: Any = raw["reply"]
    for changed, where, code in (
        ({"reply": {**reply, "relay": "relay.example"}}, "/reply/relay", "wire.relay_url"),
        ({"reply": {**reply, "sealingKey": {}}}, "/reply/sealingKey", "sealing.key"),
        ({"sealingKey": {"kem": "x", "publicKey": "x"}}, "/sealingKey", "sealing.key"),
    ):
        with pytest.raises(MessageError) as refused:
            AccessRequest.parse({**raw, **changed})
        assert (refused.value.where, refused.value.code) == (where, code)


EN = {"en": "x"}
BAD_PURPOSES: list[tuple[str, Any]] = [
    ("basis", GDPR + "A6-1-z"),
    ("days", 0),
    ("maxUses", 0),
    ("maxUses", True),
    ("reason", {"hu": "magyarul"}),
    ("items", [{"path": "contact.name", "required": True}]),
    ("items", [{"path": "contact.name", "required": "yes"}]),
    ("items", [{"path": "../etc", "required": False}]),
    ("processing", [DPV + "Use", DPV + "Use"]),
    ("notice", "javascript:alert(1)"),
    ("recipients", [{"name": "X Inc.", "role": "processor", "country": "US"}]),
    (
        "retained",
        [{"paths": ["health"], "basis": GDPR + "A6-1-c", "days": 1, "reason": {"en": "x"}}],
    ),
]


@pytest.mark.parametrize(("name", "value"), BAD_PURPOSES)
def test_a_malformed_purpose_is_refused(parties: Parties, name: str, value: Any) -> None:
    """Each purpose has its reason, basis, items, limits; and transfers name their safeguard."""
    raw = parties.request.to_json()
    raw["purposes"] = [purpose().to_json() | {name: value}]
    with pytest.raises(MessageError):
        AccessRequest.parse(raw)


@pytest.mark.parametrize(
    "term",
    ["DeliveryOfGods", "Use", "deliveryofgoods", "Purpose/x"],
)
def test_a_purpose_that_dpv_does_not_have_is_refused(parties: Parties, term: str) -> None:
    """Whoever decides could be shown no words for it, and no refusal would cover it."""
    raw: Any = parties.request.to_json()
    raw["purposes"][0]["purpose"] = DPV + term
    with pytest.raises(MessageError) as refused:
        AccessRequest.parse(raw)
    assert refused.value.code in ("request.unknown_purpose", "message.malformed")
    assert refused.value.where == "/purposes/0/purpose"
    assert term not in str(refused.value)


@pytest.mark.parametrize(
    "term", ["https://example.org/Use", "Use", "http://w3id.org/dpv#Use", DPV, DPV + "Use#Store"]
)
def test_processing_is_named_by_dpv(parties: Parties, term: str) -> None:
    """The vocabulary and its extensions, nothing else."""
    raw: Any = parties.request.to_json()
    raw["purposes"][0]["processing"] = [term]
    with pytest.raises(MessageError):
        AccessRequest.parse(raw)
    raw["purposes"][0]["processing"] = [DPV + "Use", "https://w3id.org/dpv/tech#Train"]
    assert len(AccessRequest.parse(raw).purposes[0].processing) == 2


def test_properties_are_named_to_whoever_wrote_them(parties: Parties) -> None:
    """A stranger's words are not repeated; one's own are, escaped."""
    raw: Any = parties.request.to_json()
    raw["purposes"][0]["items"][0]["re\x1bson"] = 1
    for own in (False, True):
        with pytest.raises(MessageError) as refused:
            AccessRequest.parse(raw, own=own)
        assert refused.value.code == "message.unknown_property"
        assert refused.value.where == "/purposes/0/items/0"
        assert ("son" in str(refused.value).replace("version", "")) == own
        assert "\x1b" not in str(refused.value)


def test_two_purposes_of_one_name_are_refused(parties: Parties) -> None:
    """Each purpose is answered by its id, so ids are unique."""
    doubled = replace(parties.request, purposes=(purpose(), purpose()))
    with pytest.raises(RequestRefused):
        AccessRequest.parse(doubled.to_json())


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_one_flipped_bit_never_verifies(parties: Parties, position: int, bit: int) -> None:
    """Whatever bit of a signed request is changed, it is refused with a code."""
    raw = bytearray(canonicalize(parties.signed()))
    raw[position % len(raw)] ^= 1 << bit
    with pytest.raises((PdsError, DidError)) as refused:
        verify_request(bytes(raw), resolver=parties.resolver, now=NOW)
    assert refused.value.code
