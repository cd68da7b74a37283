"""Presentations: here, now, and for this verifier."""

from datetime import timedelta

import pytest

from credentials.contexts import CREDENTIALS_V1, CREDENTIALS_V2, PROFILE_CONTEXT
from credentials.errors import (
    ContextRefused,
    CredentialError,
    PresentationInvalid,
    ProofInvalid,
    StructureInvalid,
)
from credentials.presentation import UNCHECKED, sign_presentation, verify_presentation
from credentials.proof import sign_object
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import digest

RELAY = "https://relay.example"


@pytest.fixture
def presentation(grant):
    return {
        "@context": list(PROFILE_CONTEXT),
        "id": "urn:uuid:1c2c7050-5947-43e2-8e19-e60401a118c7",
        "type": ["VerifiablePresentation", "Redemption"],
        "verifiableCredential": [grant],
        "grantDigest": "uEiAtcRZCtyawRAFifKn7rDL1yFMPsZA8xNsCJYcXkhpIgQ",
        "sealed": "AAAA",
    }


def _sign(presentation, key, now, **changes):
    chosen = {"challenge": "c-1", "domain": RELAY, "created": now, **changes}
    return sign_presentation(holder_key=key, presentation=presentation, **chosen)


def _verify(raw, now, **changes):
    chosen = {"expected_challenge": "c-1", "expected_domain": RELAY, "now": now, **changes}
    return verify_presentation(raw, **chosen)


def test_a_presentation_is_what_was_signed(presentation, grant, key, now):
    signed = _sign(presentation, key, now)
    found = _verify(signed, now)
    assert found.holder == key.did
    assert found.types == ("VerifiablePresentation", "Redemption")
    assert found.unverified_credentials == (grant,)
    assert found.digest == digest(signed)
    assert found.document == {**presentation, "holder": key.did}


def test_nobody_signs_for_another_holder(presentation, key, other_key, now):
    with pytest.raises(PresentationInvalid) as caught:
        _sign({**presentation, "holder": other_key.did}, key, now)
    assert caught.value.code == "presentation.holder"


def test_a_presentation_is_fresh(presentation, key, now):
    signed = _sign(presentation, key, now)
    with pytest.raises(ProofInvalid) as caught:
        _verify(signed, now - timedelta(seconds=61))
    assert caught.value.code == "proof.future"


@pytest.mark.parametrize("empty", [{"expected_challenge": ""}, {"expected_domain": ""}])
def test_nothing_expected_is_refused(empty, presentation, key, now):
    with pytest.raises(PresentationInvalid) as caught:
        _verify(_sign(presentation, key, now), now, **empty)
    assert caught.value.code == "presentation.expectation"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"more": 1}, StructureInvalid),
        ({"type": ["Redemption"]}, StructureInvalid),
        ({"type": []}, StructureInvalid),
        ({"verifiableCredential": ["x"]}, PresentationInvalid),
        ({"@context": [CREDENTIALS_V2]}, ContextRefused),
    ],
)
def test_a_presentation_of_another_shape_is_refused(change, kind, presentation, key, now):
    with pytest.raises(kind):
        _verify(_sign({**presentation, **change}, key, now), now)


@pytest.mark.parametrize("holder", ["", None, 5, "https://shop.example", {"name": "x"}])
def test_the_holder_is_a_did(holder, presentation, key, now):
    signed = _sign(presentation, key, now)
    with pytest.raises(CredentialError):
        _verify({**signed, "holder": holder}, now)


def test_presentations_of_others_follow_the_standard_alone(key, now):
    """No profile: no id, no credential, a holder that is an object."""
    signed = _sign({"@context": [CREDENTIALS_V2], "type": "VerifiablePresentation"}, key, now)
    found = _verify(signed, now, exact_context=None)
    assert found.unverified_credentials == ()
    assert found.holder == key.did


def _of_others(key, now, **changes):
    given = {"@context": [CREDENTIALS_V2], "type": "VerifiablePresentation"}
    return _sign({**given, **changes}, key, now)


@pytest.mark.parametrize("first", [CREDENTIALS_V1, CREDENTIALS_V2])
@pytest.mark.parametrize("suite", ["ecdsa-jcs-2019", "ecdsa-rdfc-2019"])
def test_presentations_of_any_suite_and_version(first, suite, now):
    holder = EcdsaSigningKey.from_secret(Curve.P256, b"\5" * 32)
    given = {"@context": [first], "type": "VerifiablePresentation"}
    signed = _sign(given, holder, now, cryptosuite=suite)
    assert _verify(signed, now, exact_context=None).holder == holder.did
    for wrong in ({"expected_challenge": "c-2"}, {"expected_domain": "https://x.example"}):
        with pytest.raises(PresentationInvalid):
            _verify(signed, now, exact_context=None, **wrong)


def test_leaving_challenge_or_domain_open_is_said_aloud(key, now):
    signed = _of_others(key, now)
    _verify(signed, now, exact_context=None, expected_domain=UNCHECKED)
    with pytest.raises(PresentationInvalid):
        _verify(signed, now, exact_context=None, expected_challenge="x", expected_domain=UNCHECKED)
    with pytest.raises(PresentationInvalid):
        _verify(signed, now, exact_context=None, expected_challenge=UNCHECKED, expected_domain="")


def test_a_presentation_without_a_holder_is_by_whoever_signed_it(key, now):
    given = {"@context": [CREDENTIALS_V2], "type": "VerifiablePresentation"}
    signed = sign_object(
        given, key, created=now, purpose="authentication", challenge="c-1", domain=RELAY
    )
    assert _verify(signed, now, exact_context=None).holder == key.did


def test_one_of_several_domains_is_enough_for_others_and_not_for_ours(presentation, key, now):
    """Data Integrity §2.1: a domain may be a set."""
    several = ["https://x.example", RELAY]
    given = {"@context": [CREDENTIALS_V2], "type": "VerifiablePresentation", "holder": key.did}
    signed = sign_object(
        given, key, created=now, purpose="authentication", challenge="c-1", domain=several
    )
    assert _verify(signed, now, exact_context=None).holder == key.did
    with pytest.raises(PresentationInvalid):
        _verify(signed, now, exact_context=None, expected_domain="https://y.example")
    ours = sign_object(
        {**presentation, "holder": key.did},
        key,
        created=now,
        purpose="authentication",
        challenge="c-1",
        domain=several,
    )
    with pytest.raises(PresentationInvalid):
        _verify(ours, now)


ENVELOPE = {
    "@context": [CREDENTIALS_V2],
    "id": "data:application/vc+jwt,e30.e30.AA",
    "type": "EnvelopedVerifiableCredential",
}


def test_enveloped_credentials_are_told_apart(grant, key, now):
    signed = _of_others(key, now, verifiableCredential=[grant, ENVELOPE])
    found = _verify(signed, now, exact_context=None)
    assert found.unverified_credentials == (grant,)
    assert [(held.media_type, held.token) for held in found.unverified_envelopes] == [
        ("vc+jwt", "e30.e30.AA")
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"id": "https://x.example"},
        {"@context": "https://x.example"},
        {"type": ["EnvelopedVerifiableCredential", "X"]},
    ],
)
def test_an_envelope_of_another_shape_is_refused(change, key, now):
    signed = _of_others(key, now, verifiableCredential={**ENVELOPE, **change})
    with pytest.raises(CredentialError):
        _verify(signed, now, exact_context=None)


@pytest.mark.parametrize("holder", [None, 5, "", {"name": "x"}])
def test_whoever_is_named_as_holder_of_any_presentation_is_a_url(holder, key, now):
    signed = _of_others(key, now)
    with pytest.raises(StructureInvalid):
        _verify({**signed, "holder": holder}, now, exact_context=None)


def test_the_holder_of_any_presentation_is_a_did(key, now):
    signed = sign_object(
        {
            "@context": [CREDENTIALS_V2],
            "type": "VerifiablePresentation",
            "holder": "https://x.example",
        },
        key,
        created=now,
        purpose="authentication",
        challenge="c-1",
        domain=RELAY,
    )
    with pytest.raises(PresentationInvalid) as caught:
        _verify(signed, now, exact_context=None)
    assert caught.value.code == "presentation.holder"


def test_a_presentation_is_not_for_deriving(presentation, now):
    """A base proof of a presentation would be refused by every verifier, so none is made."""
    signer = EcdsaSigningKey.from_secret(Curve.P256, bytes([3] * 32))
    with pytest.raises(ProofInvalid) as caught:
        _sign(presentation, signer, now, cryptosuite="ecdsa-sd-2023")
    assert caught.value.code == "proof.base"
