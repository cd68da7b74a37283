"""Whose key it is: what a DID says, and what it means when it says nothing."""

import pytest

from credentials.controllers import key_of_did_key, refusal
from credentials.errors import ControllerUnresolved, ProofInvalid
from did.errors import (
    DidDocumentError,
    DidError,
    DidLogError,
    DidNotFound,
    DidResolutionError,
    KeyFormatError,
    MethodNotSupported,
)
from did.keys import SigningKey

KEY = SigningKey.from_seed(b"\1" * 32)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (MethodNotSupported, ControllerUnresolved),
        (DidNotFound, ControllerUnresolved),
        (DidResolutionError, ControllerUnresolved),
        (DidLogError, ControllerUnresolved),
        (DidDocumentError, ProofInvalid),
        (KeyFormatError, ProofInvalid),
    ],
)
def test_what_could_not_be_found_out_is_not_what_is_wrong(kind: type[DidError], answer: type):
    """A network that is down makes no proof invalid; code and hint come along."""
    found = refusal(kind("a sentence", code="did.code", hint="a hint"), pointer="/proof")
    assert type(found) is answer
    assert (str(found), found.code, found.hint) == ("a sentence", "did.code", "a hint")
    assert found.pointer == ("" if answer is ControllerUnresolved else "/proof")


def test_the_quick_way_gives_what_the_document_would():
    """An Ed25519 key signs under the signing relationships, and agrees on nothing."""
    method = KEY.verification_method
    for purpose in ("assertionMethod", "authentication", "capabilityInvocation"):
        assert key_of_did_key(method, purpose) == KEY.verify_key
    with pytest.raises(DidDocumentError) as caught:
        key_of_did_key(method, "keyAgreement")
    assert caught.value.code == "key.not_authorised"
