"""Held against Digital Bazaar's implementation: what we sign it verifies, and the other way.

It runs in Node; ``scripts/interop`` sets it up. Its own words are in no assertion: they are for
people, and change.
"""

import copy
from datetime import datetime, timedelta

import pytest

from credentials import (
    CredentialError,
    VerifiedCredential,
    issue_credential,
    sign_presentation,
    verify_credential,
    verify_presentation,
)
from credentials.bitstring import BitString
from credentials.contexts import CREDENTIALS_V2
from credentials.errors import PresentationInvalid, Withdrawn
from credentials.proof import add_proof
from credentials.status import issue_status_list
from credentials.statuslist import issue_general_list
from did.json import JsonObject, canonicalize
from did.multikey import b64url_encode, base58btc_decode, base58btc_encode
from did.time import format_time

LIST_URL = "https://relay.example/v1/status/AAAAAAAAAAAAAAAAAAAAAA"
CHALLENGE = "8f1c0a52"
DOMAIN = "https://shop.example"
ED25519_SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")
OVER_JSON = ("eddsa-jcs-2022", "ecdsa-jcs-2019 P-256", "ecdsa-jcs-2019 P-384")
OVER_RDF = ("eddsa-rdfc-2022", "ecdsa-rdfc-2019 P-256", "ecdsa-rdfc-2019 P-384")


def verify(document: JsonObject, now: datetime, status: object = None) -> VerifiedCredential:
    return verify_credential(canonicalize(document), now=now, status=status)


def changed(document: JsonObject, path: str, value: object) -> JsonObject:
    """A copy with one value changed, added, or with ``...`` taken out."""
    copied = place = copy.deepcopy(document)
    *above, name = path.split("/")
    for step in above:
        place = place[step]
    if value is ...:
        del place[name]
    else:
        place[name] = value
    return copied


def flipped(value: str) -> str:
    """A proof value with one bit of the signature changed."""
    signature = base58btc_decode(value[1:])
    return "z" + base58btc_encode(signature[:-1] + bytes((signature[-1] ^ 1,)))


CHANGES = {
    "claim": lambda document: changed(document, "credentialSubject/name", "Another name"),
    "claim added": lambda document: changed(document, "description", "More"),
    "claim dropped": lambda document: changed(document, "credentialSubject/name", ...),
    "window": lambda document: changed(document, "validFrom", "2020-01-01T00:00:00Z"),
    "proof's time": lambda document: changed(document, "proof/created", "2020-01-01T00:00:00Z"),
    "proof extended": lambda document: changed(document, "proof/expires", "2090-01-01T00:00:00Z"),
    "proof value": lambda document: changed(
        document, "proof/proofValue", flipped(document["proof"]["proofValue"])
    ),
    "proof dropped": lambda document: changed(document, "proof", ...),
}


def test_what_we_sign_verifies_there(case, peer, now):
    """Every kind of claims, in every suite."""
    signing = case.signing
    issued = issue_credential(
        case.unsigned(now), signing.key, now=now, cryptosuite=signing.cryptosuite
    )
    assert peer.verify(issued, now=now) == []


def test_what_they_sign_verifies_here(case, peer, now):
    """Every kind of claims, in every suite; and the document comes back as it was signed.

    Ed25519 leaves no choice, so both proofs are the same, character by character.
    """
    signing, document = case.signing, case.unsigned(now)
    issued = peer.issue(document, signing.key, cryptosuite=signing.cryptosuite, now=now)
    verified = verify(issued, now)
    assert verified.issuer == signing.key.did
    assert verified.credential.raw == document
    ours = issue_credential(document, signing.key, now=now, cryptosuite=signing.cryptosuite)
    same = ours["proof"] == issued["proof"]
    assert same == (signing.cryptosuite in ED25519_SUITES)


def test_a_proof_need_not_say_when_it_was_made(signing, peer, now):
    """Data Integrity §2.1: ``created`` is optional."""
    issued = peer.issue(
        signing.unsigned(now), signing.key, cryptosuite=signing.cryptosuite, now=now, dated=False
    )
    (proof,) = verify(issued, now).proofs
    assert proof.created is None


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_verifies_nowhere(signing, change, peer, now):
    """A change after signing is seen on both sides, whoever signed."""
    document, suite = signing.unsigned(now), signing.cryptosuite
    ours = issue_credential(document, signing.key, now=now, cryptosuite=suite)
    theirs = peer.issue(document, signing.key, cryptosuite=suite, now=now)
    for issued in (ours, theirs):
        after = CHANGES[change](issued)
        assert peer.verify(after, now=now) != []
        with pytest.raises(CredentialError):
            verify(after, now)


def test_another_s_signature_is_not_the_issuer_s(signing, peer, now):
    """A proof that holds, by somebody else, is refused on both sides."""
    document, suite = signing.unsigned(now), signing.cryptosuite
    ours = add_proof(document, signing.other, created=now, cryptosuite=suite)
    assert peer.verify(ours, now=now) != []
    theirs = peer.issue(document, signing.other, cryptosuite=suite, now=now)
    with pytest.raises(CredentialError) as caught:
        verify(theirs, now)
    assert caught.value.code == "proof.not_by_controller"


def test_a_proof_for_something_else_is_no_issuer_s(signing, peer, now):
    """A proof for authentication does not make a credential, on either side."""
    issued = add_proof(
        signing.unsigned(now),
        signing.key,
        created=now,
        purpose="authentication",
        cryptosuite=signing.cryptosuite,
    )
    assert peer.verify(issued, now=now) != []
    with pytest.raises(CredentialError):
        verify(issued, now)


@pytest.mark.parametrize(
    ("name", "days", "code"),
    [("validUntil", -1, "credential.expired"), ("validFrom", 1, "credential.not_yet_valid")],
)
def test_outside_its_window_it_verifies_nowhere(signing, name, days, code, peer, now):
    """A credential that is over, or not valid yet, is refused on both sides."""
    claims = {"validFrom": "2020-01-01T00:00:00Z", name: format_time(now + timedelta(days=days))}
    ours = issue_credential(
        signing.unsigned(now, **claims), signing.key, now=now, cryptosuite=signing.cryptosuite
    )
    assert peer.verify(ours, now=now) != []
    # They refuse to sign it, so it is signed a while ago, or later.
    when = now + timedelta(days=-2 if days < 0 else 2)
    theirs = peer.issue(
        signing.unsigned(now, **claims), signing.key, cryptosuite=signing.cryptosuite, now=when
    )
    with pytest.raises(CredentialError) as caught:
        verify(theirs, now)
    assert caught.value.code in (code, "proof.future")


def test_version_1_1(signing, peer, now):
    """A credential of the older data model, both ways."""
    document = {
        "@context": [
            "https://www.w3.org/2018/credentials/v1",
            "https://w3id.org/security/data-integrity/v2",
        ],
        "type": ["VerifiableCredential"],
        "issuer": signing.key.did,
        "issuanceDate": format_time(now),
        "credentialSubject": {"id": "did:example:a"},
    }
    ours = issue_credential(document, signing.key, now=now, cryptosuite=signing.cryptosuite)
    assert peer.verify(ours, now=now) == []
    theirs = peer.issue(document, signing.key, cryptosuite=signing.cryptosuite, now=now)
    assert verify(theirs, now).issuer == signing.key.did


def test_a_proof_beside_the_other_s(signing, peer, now):
    """Each adds a proof to what the other signed, and both verify the set."""
    document, suite = signing.unsigned(now), signing.cryptosuite
    ours = issue_credential(document, signing.key, now=now, cryptosuite=suite)
    theirs = peer.issue(document, signing.key, cryptosuite=suite, now=now)
    for issued in (
        peer.issue(ours, signing.key, cryptosuite=suite, now=now),
        add_proof(theirs, signing.key, created=now, cryptosuite=suite),
    ):
        assert len(issued["proof"]) == 2
        assert peer.verify(issued, now=now) == []
        assert len(verify(issued, now).proofs) == 2


def presentation(holder: str, *inside: JsonObject) -> JsonObject:
    return {
        "@context": [CREDENTIALS_V2],
        "id": "urn:uuid:6a9c1ad2-3d3f-4f5c-9a45-02f0a1a1f6aa",
        "type": ["VerifiablePresentation"],
        "holder": holder,
        "verifiableCredential": list(inside),
    }


def test_a_presentation_verifies_on_the_other_side(signing, peer, now):
    """By the holder for this challenge and domain, the other's credential inside; both ways."""
    suite = signing.cryptosuite
    document = signing.unsigned(now)
    theirs = peer.issue(document, signing.key, cryptosuite=suite, now=now)
    ours = issue_credential(document, signing.key, now=now, cryptosuite=suite)
    shown = sign_presentation(
        holder_key=signing.other,
        presentation=presentation(signing.other.did, theirs),
        challenge=CHALLENGE,
        domain=DOMAIN,
        created=now,
        cryptosuite=suite,
    )
    assert peer.verify_presentation(shown, challenge=CHALLENGE, domain=DOMAIN, now=now) == []
    assert peer.verify_presentation(shown, challenge="other", domain=DOMAIN, now=now) != []
    assert peer.verify_presentation(shown, challenge=CHALLENGE, domain="other", now=now) != []
    inner = changed(shown, "verifiableCredential", [CHANGES["claim"](theirs)])
    assert peer.verify_presentation(inner, challenge=CHALLENGE, domain=DOMAIN, now=now) != []

    shown = peer.present(
        presentation(signing.other.did, ours),
        signing.other,
        cryptosuite=suite,
        challenge=CHALLENGE,
        domain=DOMAIN,
        now=now,
    )
    for challenge, domain, code in (
        (CHALLENGE, DOMAIN, None),
        ("other", DOMAIN, "presentation.challenge"),
        (CHALLENGE, "other", "presentation.domain"),
    ):
        expected = {"expected_challenge": challenge, "expected_domain": domain, "now": now}
        if code is None:
            verified = verify_presentation(canonicalize(shown), exact_context=None, **expected)
            assert verified.holder == signing.other.did
            (inside,) = verified.unverified_credentials
            assert verify(inside, now).issuer == signing.key.did
        else:
            with pytest.raises(PresentationInvalid) as caught:
                verify_presentation(canonicalize(shown), exact_context=None, **expected)
            assert caught.value.code == code
    inner = changed(shown, "verifiableCredential", [CHANGES["claim"](ours)])
    with pytest.raises(CredentialError):
        verify_presentation(
            canonicalize(inner),
            exact_context=None,
            expected_challenge=CHALLENGE,
            expected_domain=DOMAIN,
            now=now,
        )


def entry(index: int, purpose: str = "revocation") -> JsonObject:
    return {
        "id": f"{LIST_URL}#{index}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": purpose,
        "statusListIndex": str(index),
        "statusListCredential": LIST_URL,
    }


@pytest.mark.parametrize("purpose", ["revocation", "suspension"])
def test_their_status_list_is_read_here(signing, purpose, peer, now):
    """A bit that they set refuses, the ones beside it do not; a changed list is not believed."""
    listed = peer.issue(
        peer.status_list(
            LIST_URL, issuer=signing.key.did, set_bits=[0, 9, 131_071], purpose=purpose
        ),
        signing.key,
        cryptosuite=signing.cryptosuite,
        now=now,
    )
    for index in (0, 1, 8, 9, 10, 131_070, 131_071):
        issued = peer.issue(
            signing.unsigned(now, credentialStatus=entry(index, purpose)),
            signing.key,
            cryptosuite=signing.cryptosuite,
            now=now,
        )
        if index in (0, 9, 131_071):
            with pytest.raises(Withdrawn):
                verify(issued, now, status=listed)
        else:
            assert verify(issued, now, status=listed).status_checked is True
            tampered = changed(listed, "proof/created", "2020-01-01T00:00:00Z")
            with pytest.raises(CredentialError):
                verify(issued, now, status=tampered)


@pytest.mark.parametrize("purpose", ["revocation", "suspension"])
def test_our_status_list_is_read_there(signing, purpose, peer, now):
    """A bit that we set refuses, the ones beside it do not; a changed list is not believed."""
    bits = BitString.empty()
    for index in (0, 9, 131_071):
        bits = bits.with_bit(index)
    listed = issue_general_list(
        signing.key,
        url=LIST_URL,
        bits=bits,
        purposes=[purpose],
        now=now,
        cryptosuite=signing.cryptosuite,
    )
    for index in (0, 1, 8, 9, 10, 131_070, 131_071):
        issued = issue_credential(
            signing.unsigned(now, credentialStatus=entry(index, purpose)),
            signing.key,
            now=now,
            cryptosuite=signing.cryptosuite,
        )
        reasons = peer.verify(issued, now=now, documents={LIST_URL: listed})
        assert (reasons != []) == (index in (0, 9, 131_071))
        tampered = changed(listed, "proof/created", "2020-01-01T00:00:00Z")
        assert peer.verify(issued, now=now, documents={LIST_URL: tampered}) != []


@pytest.mark.parametrize("signing", ["eddsa-jcs-2022"], indirect=True)
def test_the_status_list_of_a_relay_is_read_there(signing, peer, now):
    """The narrower list of our own profile is one of the standard too."""
    bits = BitString.empty().with_bit(94_567)
    listed = issue_status_list(key=signing.key, url=LIST_URL, bits=bits, sequence=1, now=now)
    for index, withdrawn in ((94_567, True), (94_568, False)):
        issued = issue_credential(
            signing.unsigned(now, credentialStatus=entry(index)), signing.key, now=now
        )
        reasons = peer.verify(issued, now=now, documents={LIST_URL: listed})
        assert (reasons != []) == withdrawn


# Where the two part, by the standards' own words. When a newer version of theirs agrees with us,
# the test says so by failing.


def test_they_accept_a_set_of_which_one_proof_does_not_hold(signing, peer, now):
    """Data Integrity §4.5: a set verifies when every proof of it does. They ask for one."""
    issued = signing.unsigned(now)
    for _ in range(2):
        issued = add_proof(issued, signing.key, created=now, cryptosuite=signing.cryptosuite)
    good, bad = issued["proof"]
    issued["proof"] = [good, {**bad, "proofValue": flipped(bad["proofValue"])}]
    assert peer.verify(issued, now=now) == []
    with pytest.raises(CredentialError) as caught:
        verify(issued, now)
    assert caught.value.code == "proof.signature"


@pytest.mark.parametrize(
    ("made", "ends", "code"), [(-2, -1, "proof.expired"), (2, None, "proof.future")]
)
def test_they_do_not_look_at_the_times_of_a_proof(signing, made, ends, code, peer, now):
    """Data Integrity §2.1: a proof is over at ``expires``, and made at ``created``."""
    issued = add_proof(
        signing.unsigned(now),
        signing.key,
        created=now + timedelta(days=made),
        expires=None if ends is None else now + timedelta(days=ends),
        cryptosuite=signing.cryptosuite,
    )
    assert peer.verify(issued, now=now) == []
    with pytest.raises(CredentialError) as caught:
        verify(issued, now)
    assert caught.value.code == code


def test_they_read_a_signature_in_another_alphabet(signing, peer, now):
    """The suites' §3.2.1 and §3.3.1 say base58btc (``z``); they read base64url (``u``) too."""
    issued = add_proof(
        signing.unsigned(now), signing.key, created=now, cryptosuite=signing.cryptosuite
    )
    signature = base58btc_decode(issued["proof"]["proofValue"][1:])
    other = changed(issued, "proof/proofValue", "u" + b64url_encode(signature))
    assert peer.verify(other, now=now) == []
    with pytest.raises(CredentialError) as caught:
        verify(other, now)
    assert caught.value.code == "proof.value"


def inline(signing, now):
    """A credential that defines a term itself."""
    contexts = [CREDENTIALS_V2, {"color": "https://example.org/color"}]
    return signing.unsigned(now, **{"@context": contexts}, color="red")


@pytest.mark.parametrize("signing", OVER_JSON, indirect=True)
def test_they_refuse_their_own_proof_under_an_inline_context(signing, peer, now):
    """EdDSA and ECDSA §3.3.2, step 4: contexts are equal by value. They compare by identity."""
    document = inline(signing, now)
    theirs = peer.issue(document, signing.key, cryptosuite=signing.cryptosuite, now=now)
    assert peer.verify(theirs, now=now) != []
    assert verify(theirs, now).credential.raw == document


@pytest.mark.parametrize("signing", OVER_RDF, indirect=True)
def test_we_read_no_inline_context_under_rdf(signing, peer, now):
    """The standard lets a document define terms itself; we read only pinned contexts."""
    theirs = peer.issue(inline(signing, now), signing.key, cryptosuite=signing.cryptosuite, now=now)
    assert peer.verify(theirs, now=now) == []
    with pytest.raises(CredentialError) as caught:
        verify(theirs, now)
    assert caught.value.code == "rdfc.context"


BOOLEAN = "http://www.w3.org/2001/XMLSchema#boolean"


@pytest.mark.parametrize("signing", OVER_RDF, indirect=True)
@pytest.mark.parametrize(
    "claims",
    [
        # RDFC-1.0 §5: what XML 1.1 does not let stand, as U+FFFE, is escaped.
        {"name": "\ufffe"},
        # RDFC-1.0 §4.4.3: statements are sorted by code points. They sort by UTF-16 code units.
        {"name": ["\ue000", "\U0001f600"]},
        # RDF 1.1 §4: a statement is in a dataset once, in whichever way it was written.
        {
            "evidence": {
                "type": "https://example.org/E",
                "https://example.org/p": [True, {"@value": "true", "@type": BOOLEAN}],
            }
        },
        # Texts that differ in nothing but their direction: one of them is left out, unsigned.
        {"name": ["a", {"@value": "a", "@direction": "rtl"}]},
    ],
    ids=["noncharacters", "order", "duplicates", "direction alone"],
)
def test_they_sign_other_statements(signing, claims, peer, now):
    """Rare values that they make other canonical RDF of."""
    document = signing.unsigned(now, **claims)
    theirs = peer.issue(document, signing.key, cryptosuite=signing.cryptosuite, now=now)
    with pytest.raises(CredentialError) as caught:
        verify(theirs, now)
    assert caught.value.code == "proof.signature"
    ours = issue_credential(document, signing.key, now=now, cryptosuite=signing.cryptosuite)
    assert verify(ours, now).credential.raw == document
    assert peer.verify(ours, now=now) != []


@pytest.mark.parametrize("signing", [*OVER_JSON, *OVER_RDF], indirect=True)
def test_numbers_that_are_not_whole(signing, peer, now):
    """Both ways, in the forms that JSON and RDF have for them."""
    numbers = [1.75, -1.5e-7, 5.0, 1e21, 12345.678]
    subject = {"id": "did:example:a", "https://x.example/#height": numbers}
    document = signing.unsigned(now, credentialSubject=subject)
    theirs = peer.issue(document, signing.key, cryptosuite=signing.cryptosuite, now=now)
    assert verify(theirs, now).issuer == signing.key.did
    ours = issue_credential(document, signing.key, now=now, cryptosuite=signing.cryptosuite)
    assert peer.verify(ours, now=now) == []
    subject["https://x.example/#height"] = [*numbers[:-1], 12345.679]
    with pytest.raises(CredentialError) as caught:
        verify({**ours, "credentialSubject": subject}, now)
    assert caught.value.code == "proof.signature"
