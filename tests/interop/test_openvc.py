"""Held against openvc-core, another implementation in Python: both ways, in this process."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from openvc import VerificationPolicy
from openvc import verify_credential as verify_there
from openvc.errors import OpenvcError
from openvc.keys import Ed25519SigningKey, P256SigningKey, P384SigningKey
from openvc.proof.data_integrity import DataIntegrityProofSuite
from openvc.proof.di_ecdsa_rdfc import EcdsaRdfcProofSuite
from openvc.proof.di_jcs import EcdsaJcsProofSuite, EddsaJcsProofSuite
from openvc.proof.ecdsa_sd import EcdsaSdProofSuite
from openvc.status.bitstring import new_bitstring, set_status_bit
from openvc.status.issue import build_status_list_credential

from credentials import (
    CredentialError,
    derive_credential,
    issue_credential,
    sign_presentation,
    verify_credential,
    verify_presentation,
)
from credentials.bitstring import BitString
from credentials.contexts import CREDENTIALS_V2, KNOWN_CONTEXTS, context_bytes
from credentials.errors import Withdrawn
from credentials.statuslist import issue_general_list
from did.ecdsa import Curve
from did.json import canonicalize
from did.keys import SigningKey

SUITES = {
    "eddsa-jcs-2022": EddsaJcsProofSuite,
    "eddsa-rdfc-2022": DataIntegrityProofSuite,
    "ecdsa-jcs-2019": EcdsaJcsProofSuite,
    "ecdsa-rdfc-2019": EcdsaRdfcProofSuite,
}
# It has one context of its own.
CONTEXTS = {url: json.loads(context_bytes(url)) for url in KNOWN_CONTEXTS if url != CREDENTIALS_V2}
CHANGED = {"credentialSubject": {"id": "did:example:a", "name": "Another name"}}
LIST_URL = "https://relay.example/v1/status/AAAAAAAAAAAAAAAAAAAAAA"


def their_key(key):
    """The same key, as theirs."""
    if isinstance(key, SigningKey):
        secret = ed25519.Ed25519PrivateKey.from_private_bytes(key.unsafe_export_seed())
        return Ed25519SigningKey(secret, key.verification_method)
    number = int.from_bytes(key.unsafe_export_secret(), "big")
    if key.verify_key.curve is Curve.P256:
        return P256SigningKey(
            ec.derive_private_key(number, ec.SECP256R1()), key.verification_method
        )
    return P384SigningKey(ec.derive_private_key(number, ec.SECP384R1()), key.verification_method)


def issue_there(document, signing, now, key=None, **options):
    key = key or signing.key
    if signing.over_rdf:
        options["extra_contexts"] = CONTEXTS
    return SUITES[signing.cryptosuite]().add_proof(
        document,
        signing_key=their_key(key),
        verification_method=key.verification_method,
        created=now,
        **options,
    )


def check_there(document, now, **options):
    verify_there(document, policy=VerificationPolicy(now=now), extra_contexts=CONTEXTS, **options)


def check_here(document, now, status=None):
    return verify_credential(canonicalize(document), now=now, status=status)


def with_context(issued, signing):
    """What they sign over JSON, with the proof as the standard has it.

    EdDSA and ECDSA Cryptosuites §3.3.1, step 2: the proof gets the document's ``@context``. They
    sign it so, and then show it without.
    """
    if signing.over_rdf:
        return issued
    return {**issued, "proof": {**issued["proof"], "@context": issued["@context"]}}


def parts(case):
    """Whether a proof of one side does not hold on the other, for a reason in a standard.

    * A text's direction under RDF: they refuse it; the standards leave its form open.
    * Control characters: RDFC-1.0 §5 has them escaped, which PyLD does not.
    * Nodes alike under P-384: ECDSA Cryptosuites §3.2.3 has them told apart by SHA-384; they use
      SHA-256.
    """
    key, about = case.signing.key, case.about
    return case.signing.over_rdf and (
        about in ("languages and directions", "characters")
        or (about == "nodes alike" and key.did.startswith("did:key:z82"))
    )


def test_what_we_sign_verifies_there(case, now):
    """Every kind of claims in every suite, but for where they leave the standards."""
    signing = case.signing
    issued = issue_credential(
        case.unsigned(now), signing.key, now=now, cryptosuite=signing.cryptosuite
    )
    if parts(case):
        with pytest.raises(OpenvcError):
            check_there(issued, now)
    else:
        check_there(issued, now)


def test_what_they_sign_verifies_here(case, now):
    """Every kind of claims in every suite, but for where they leave the standards."""
    if parts(case):
        with pytest.raises((OpenvcError, CredentialError)):
            check_here(issue_there(case.unsigned(now), case.signing, now), now)
        return
    issued = issue_there(case.unsigned(now), case.signing, now)
    assert check_here(with_context(issued, case.signing), now).issuer == case.signing.key.did


@pytest.mark.parametrize(
    "signing", ["eddsa-jcs-2022", "ecdsa-jcs-2019 P-256", "ecdsa-jcs-2019 P-384"], indirect=True
)
def test_a_proof_over_json_must_say_its_context(signing, now):
    """As they show it, the proof is not the one that was signed; others refuse it as well."""
    with pytest.raises(CredentialError) as caught:
        check_here(issue_there(signing.unsigned(now), signing, now), now)
    assert caught.value.code == "context.proof"


def test_what_was_changed_verifies_nowhere(signing, now):
    """A changed claim, and a proof by somebody who is not the issuer."""
    document, suite = signing.unsigned(now), signing.cryptosuite
    ours = issue_credential(document, signing.key, now=now, cryptosuite=suite)
    with pytest.raises(OpenvcError):
        check_there({**ours, **CHANGED}, now)
    for key, change, code in (
        (signing.key, CHANGED, "proof.signature"),
        (signing.other, {}, "proof.not_by_controller"),
    ):
        theirs = with_context(issue_there(document, signing, now, key=key), signing)
        with pytest.raises(CredentialError) as caught:
            check_here({**theirs, **change}, now)
        assert caught.value.code == code


def test_a_presentation_verifies_on_the_other_side(signing, now):
    """By the holder for this challenge and domain, both ways."""
    unsigned = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiablePresentation"],
        "holder": signing.other.did,
    }
    there = SUITES[signing.cryptosuite]()
    ours = sign_presentation(
        holder_key=signing.other,
        presentation=unsigned,
        challenge="8f1c0a52",
        domain="https://shop.example",
        created=now,
        cryptosuite=signing.cryptosuite,
    )
    bound = {"expected_challenge": "8f1c0a52", "expected_domain": "https://shop.example"}
    there.verify(ours, expected_proof_purpose="authentication", now=now, **bound)
    for wrong in ({"expected_challenge": "other"}, {"expected_domain": "other"}):
        with pytest.raises(OpenvcError):
            there.verify(
                ours, expected_proof_purpose="authentication", now=now, **{**bound, **wrong}
            )
    theirs = issue_there(
        unsigned,
        signing,
        now,
        key=signing.other,
        proof_purpose="authentication",
        challenge="8f1c0a52",
        domain="https://shop.example",
    )
    raw = canonicalize(with_context(theirs, signing))
    shown = verify_presentation(raw, exact_context=None, now=now, **bound)
    assert shown.holder == signing.other.did
    for wrong in ({"expected_challenge": "other"}, {"expected_domain": "other"}):
        with pytest.raises(CredentialError):
            verify_presentation(raw, exact_context=None, now=now, **{**bound, **wrong})


def test_a_status_list_is_read_on_the_other_side(signing, now):
    """A bit set by one side refuses on the other, the ones beside it do not."""
    bits, theirs = BitString.empty(), new_bitstring(131_072)
    for index in (0, 9, 131_071):
        bits = bits.with_bit(index)
        set_status_bit(theirs, index, 1)
    suite = signing.cryptosuite
    our_list = issue_general_list(
        signing.key, url=LIST_URL, bits=bits, purposes=["revocation"], now=now, cryptosuite=suite
    )
    their_list = issue_there(
        build_status_list_credential(
            id=LIST_URL, issuer=signing.key.did, bitstring=theirs, valid_from=now
        ),
        signing,
        now,
    )
    their_list = with_context(their_list, signing)
    for index in (0, 1, 8, 9, 131_070, 131_071):
        entry = {
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": str(index),
            "statusListCredential": LIST_URL,
        }
        document = signing.unsigned(now, credentialStatus=entry)
        issued = issue_credential(document, signing.key, now=now, cryptosuite=suite)
        if index in (0, 9, 131_071):
            with pytest.raises(OpenvcError):
                check_there(issued, now, resolve_status_list=lambda _: our_list)
            with pytest.raises(Withdrawn):
                check_here(issued, now, status=their_list)
        else:
            check_there(issued, now, resolve_status_list=lambda _: our_list)
            assert check_here(issued, now, status=their_list).status_checked is True


def as_credential(derived):
    """What they derive, written as a credential again.

    ECDSA Cryptosuites §3.6.6 takes the part from the document as it came. They take it from its
    compact form: one context is a text there and no list (VCDM 2.0 §4.3), and blank nodes have
    ids, which are no URLs (§4.4).
    """

    def without_labels(value):
        if isinstance(value, list):
            return [without_labels(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: without_labels(item)
            for name, item in value.items()
            if not (name == "id" and item.startswith("_:"))
        }

    assert derived["@context"] == CREDENTIALS_V2
    return {**without_labels(derived), "@context": [CREDENTIALS_V2]}


def test_a_part_verifies_on_both_sides(selective_signing, now):
    """ecdsa-sd-2023: whoever issued and whoever derived, both sides verify, or refuse, a part."""
    signing = selective_signing
    document = signing.unsigned(now, description="Not shown", evidence={"type": "urn:x:evidence"})
    mandatory, selective = ["/issuer", "/validFrom"], ["/credentialSubject/name", "/evidence"]
    ours = issue_credential(
        document,
        signing.key,
        now=now,
        cryptosuite=signing.cryptosuite,
        mandatory_pointers=mandatory,
    )
    theirs = EcdsaSdProofSuite().add_base_proof(
        document,
        signing_key=their_key(signing.key),
        verification_method=signing.key.verification_method,
        mandatory_pointers=mandatory,
        created=now,
    )
    for base in (ours, theirs):
        there = EcdsaSdProofSuite().derive_proof(base, selective_pointers=selective)
        with pytest.raises(CredentialError):
            check_here(there, now)
        for derived in (
            derive_credential(base, selective_pointers=selective),
            as_credential(there),
        ):
            assert "description" not in derived
            EcdsaSdProofSuite().verify(derived, now=now)
            check_here(derived, now)
            changed = {**derived, **CHANGED}
            with pytest.raises(OpenvcError):
                EcdsaSdProofSuite().verify(changed, now=now)
            with pytest.raises(CredentialError):
                check_here(changed, now)
