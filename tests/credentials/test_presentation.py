"""Presentations: here, now, and for this verifier."""

from datetime import timedelta

import pytest

from credentials.contexts import CREDENTIALS_V2, PROFILE_CONTEXT
from credentials.errors import (
    ContextRefused,
    CredentialError,
    PresentationInvalid,
    ProofInvalid,
    StructureInvalid,
)
from credentials.presentation import sign_presentation, verify_presentation
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
