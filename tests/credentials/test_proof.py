"""Data Integrity proofs: who signed what, and what the verifier gives back."""

from datetime import timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.contexts import CREDENTIALS_V2, PDS_V1, PROFILE_CONTEXT
from credentials.errors import (
    ContextRefused,
    ControllerUnresolved,
    ProofInvalid,
    StructureInvalid,
)
from credentials.proof import (
    add_proof,
    key_of_did_key,
    sign_object,
    verify_object,
    verify_proof_signature,
)
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import canonicalize, digest
from did.mldsa import MldsaSigningKey
from did.resolve import OFFLINE, Resolver

EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"

names = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(names.filter(lambda name: name != "proof"), values, max_size=6)


def _verify(raw, now, **changes):
    expected = {
        "resolver": OFFLINE,
        "now": now,
        "expected_controller": None,
        "exact_context": (),
        **changes,
    }
    return verify_object(raw, **expected)


@given(obj=objects)
@settings(deadline=None, max_examples=60)
def test_what_is_signed_verifies_and_comes_back(obj, key, now):
    found = _verify(canonicalize(sign_object(obj, key, created=now)), now)
    assert found.document == obj
    assert found.digest == digest(obj)
    assert found.controller == key.did
    assert found.verification_method == key.verification_method


def test_an_object_may_be_given_as_bytes_text_or_parsed(key, now):
    signed = sign_object({"type": "Thing"}, key, created=now)
    raw = canonicalize(signed)
    found = [_verify(form, now) for form in (raw, raw.decode(), signed)]
    assert len({(item.digest, item.controller, item.proofs) for item in found}) == 1
    assert found[0].document == found[1].document == found[2].document


def test_the_document_returned_is_a_copy(key, now):
    """Whoever changes the object that came in changes nothing that was verified."""
    signed = sign_object({"inner": {"value": 1}}, key, created=now)
    found = _verify(signed, now)
    signed["inner"]["value"] = 2
    assert found.document == {"inner": {"value": 1}}


def test_signing_does_not_change_the_object(key, now):
    obj = {"type": "Thing"}
    sign_object(obj, key, created=now)
    assert obj == {"type": "Thing"}


def test_an_object_is_signed_once(key, now):
    signed = sign_object({}, key, created=now)
    with pytest.raises(ProofInvalid) as caught:
        sign_object(signed, key, created=now)
    assert caught.value.code == "proof.present"


def test_the_prefix_rule_returns_the_context_that_was_signed(key, now):
    """Contexts after those of the proof were not signed, and are gone (EdDSA §3.3.2)."""
    signed = sign_object({"@context": [CREDENTIALS_V2], "id": "urn:x:1"}, key, created=now)
    signed["@context"] = [CREDENTIALS_V2, EXAMPLES]
    found = _verify(signed, now, exact_context=None)
    assert found.document["@context"] == [CREDENTIALS_V2]
    assert found.digest == digest({"@context": [CREDENTIALS_V2], "id": "urn:x:1"})


@pytest.mark.parametrize(
    "context", [[EXAMPLES, CREDENTIALS_V2], [EXAMPLES], [], CREDENTIALS_V2[:-1], None, 7]
)
def test_the_context_of_a_proof_is_a_prefix(context, key, now):
    signed = sign_object({"@context": [CREDENTIALS_V2]}, key, created=now)
    signed["@context"] = context
    with pytest.raises(ContextRefused) as caught:
        _verify(signed, now, exact_context=None)
    assert caught.value.code == "context.proof"


def test_exact_context_demands_exactly_that(key, now):
    signed = sign_object({"@context": [PDS_V1, CREDENTIALS_V2]}, key, created=now)
    with pytest.raises(ContextRefused) as caught:
        _verify(signed, now, exact_context=PROFILE_CONTEXT)
    assert caught.value.code == "context.not_exact"


def test_a_plain_object_has_no_context(key, now):
    signed = sign_object({"@context": list(PROFILE_CONTEXT)}, key, created=now)
    with pytest.raises(ContextRefused):
        _verify(signed, now, exact_context=())


def test_every_proof_of_a_set_is_verified(key, other_key, now):
    signed = add_proof(sign_object({"a": 1}, key, created=now), other_key, created=now)
    found = _verify(signed, now)
    assert [proof.controller for proof in found.proofs] == [key.did, other_key.did]
    assert _verify(signed, now, expected_controller=other_key.did).controller == other_key.did
    signed["proof"][1]["created"] = "2026-01-31T09:29:59Z"
    with pytest.raises(ProofInvalid) as caught:
        _verify(signed, now)
    assert caught.value.code == "proof.signature"


def test_unknown_suites_are_reported(key, now):
    signed = sign_object({"a": 1}, key, created=now)
    other = {**signed["proof"], "cryptosuite": "eddsa-rdfc-2022"}
    legacy = {"type": "Ed25519Signature2020", "proofValue": "z"}
    found = _verify({**signed, "proof": [other, signed["proof"], legacy]}, now)
    assert found.unknown_suites == ("eddsa-rdfc-2022", "Ed25519Signature2020")
    assert len(found.proofs) == 1


def _chain(key, other_key, now, previous):
    first = sign_object({"a": 1}, key, created=now)
    first["proof"]["id"] = "urn:proof:1"
    from credentials.suites import eddsa_jcs

    del first["proof"]["proofValue"]
    first["proof"]["proofValue"] = eddsa_jcs.create_value(
        first["proof"], eddsa_jcs.hash_document({"a": 1}), key
    )
    second = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": "2026-01-31T09:30:00Z",
        "verificationMethod": other_key.verification_method,
        "proofPurpose": "assertionMethod",
        "previousProof": previous,
    }
    covered = {"a": 1, "proof": [first["proof"]]}
    second["proofValue"] = eddsa_jcs.create_value(
        second, eddsa_jcs.hash_document(covered), other_key
    )
    return {"a": 1, "proof": [first["proof"], second]}


def test_a_chain_covers_the_proof_before(key, other_key, now):
    """Data Integrity §2.1.2: the later proof is over the earlier one as well."""
    signed = _chain(key, other_key, now, "urn:proof:1")
    found = _verify(signed, now, expected_controller=other_key.did)
    assert found.digest == digest({"a": 1})
    assert found.document == {"a": 1}


@pytest.mark.parametrize("previous", [[], "urn:proof:2", ["urn:proof:1", "urn:x"], 7, [None]])
def test_a_chain_without_its_beginning_is_refused(previous, key, other_key, now):
    with pytest.raises(ProofInvalid):
        _verify(_chain(key, other_key, now, previous), now)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Proof"},
        {"type": None},
        {"type": ["DataIntegrityProof"]},
        {"cryptosuite": "eddsa-jcs-2023"},
        {"cryptosuite": None},
        {"verificationMethod": None},
        {"verificationMethod": "did:key:z6Mk"},
        {"verificationMethod": "#key-1"},
        {"verificationMethod": "https://shop.example/#key"},
        {"verificationMethod": "did:key:zUnknown#zUnknown"},
        {"proofPurpose": None},
        {"created": None},
        {"created": "2026-01-31"},
        {"created": 5},
        {"nonce": "more"},
        {"challenge": "unasked"},
        {"id": 5},
        {"expires": "2026"},
    ],
)
def test_a_proof_that_says_something_else_is_refused(change, key, now):
    signed = sign_object({"a": 1}, key, created=now)
    signed["proof"] = {**signed["proof"], **change}
    with pytest.raises((ProofInvalid, StructureInvalid)):
        _verify(signed, now)


def test_created_is_required_of_ours(key, now):
    from credentials.suites import eddsa_jcs

    signed = sign_object({"a": 1}, key, created=now)
    del signed["proof"]["created"], signed["proof"]["proofValue"]
    value = eddsa_jcs.create_value(signed["proof"], eddsa_jcs.hash_document({"a": 1}), key)
    signed["proof"]["proofValue"] = value
    assert _verify(signed, now, exact_context=None).proofs[0].created is None
    with pytest.raises(ProofInvalid) as caught:
        _verify(signed, now)
    assert caught.value.code == "proof.malformed"


def test_a_proof_ends(key, now):
    from credentials.suites import eddsa_jcs

    signed = sign_object({"a": 1}, key, created=now)
    del signed["proof"]["proofValue"]
    signed["proof"]["expires"] = "2026-01-31T10:30:00Z"
    value = eddsa_jcs.create_value(signed["proof"], eddsa_jcs.hash_document({"a": 1}), key)
    signed["proof"]["proofValue"] = value
    _verify(signed, now + timedelta(minutes=59, seconds=59))
    with pytest.raises(ProofInvalid) as caught:
        _verify(signed, now + timedelta(hours=1))
    assert caught.value.code == "proof.expired"


def test_an_unresolvable_signer_is_not_called_invalid(key, now):
    """Whoever could not look must not say that it is wrong."""
    signed = sign_object(
        {"a": 1}, key, created=now, verification_method="did:web:shop.example#key-1"
    )
    with pytest.raises(ControllerUnresolved) as caught:
        _verify(signed, now)
    assert caught.value.code == "did.network_needed"


def test_the_short_way_to_a_did_key_agrees_with_its_document(key):
    method = key.verification_method
    for purpose in ("assertionMethod", "authentication"):
        found = OFFLINE.resolve(key.did).method_for(method, relationship=purpose, now=None)
        assert key_of_did_key(method, purpose) == found.ed25519()


def test_too_many_proofs_are_refused(key, now):
    signed = sign_object({"a": 1}, key, created=now)
    with pytest.raises(ProofInvalid) as caught:
        _verify({**signed, "proof": [signed["proof"]] * 9}, now)
    assert caught.value.code == "proof.many"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"a":1,"a":1}', b'{"a":1.5}', "\ud800"])
def test_what_is_not_strict_json_is_refused(raw, now):
    with pytest.raises(StructureInvalid) as caught:
        _verify(raw, now)
    assert caught.value.code.startswith("json.")


EXPERIMENT = "experimental-mldsa44-jcs-2026"


def _both_kinds(key, now):
    """A document by a DID that lists an Ed25519 key and an ML-DSA key, and its resolver."""
    second = MldsaSigningKey.generate()
    did = "did:web:issuer.example"
    keys = {"a": key.verify_key.multikey, "b": second.verify_key.multikey}
    document = {
        "id": did,
        "verificationMethod": [
            {
                "id": f"{did}#{name}",
                "type": "Multikey",
                "controller": did,
                "publicKeyMultibase": multikey,
            }
            for name, multikey in keys.items()
        ],
        "assertionMethod": [f"{did}#a", f"{did}#b"],
    }
    resolver = Resolver(fetch=lambda _url: canonicalize(document))
    obj = {"@context": [CREDENTIALS_V2], "name": "x"}
    first = add_proof(obj, key, created=now, verification_method=f"{did}#a")
    both = add_proof(
        first, second, created=now, verification_method=f"{did}#b", cryptosuite=EXPERIMENT
    )
    return did, resolver, both


def test_the_experimental_signature_adds_and_never_counts_alone(key, now):
    did, resolver, both = _both_kinds(key, now)
    expected = {"resolver": resolver, "exact_context": None, "expected_controller": did}
    found = _verify(both, now, **expected)
    assert [proof.cryptosuite for proof in found.proofs] == ["eddsa-jcs-2022", EXPERIMENT]
    with pytest.raises(ProofInvalid) as caught:
        _verify({**both, "proof": both["proof"][1]}, now, **expected)
    assert caught.value.code == "proof.not_by_controller"
    value = both["proof"][1]["proofValue"]
    broken = {
        **both["proof"][1],
        "proofValue": value[:9] + ("B" if value[9] == "A" else "A") + value[10:],
    }
    with pytest.raises(ProofInvalid) as caught:
        _verify({**both, "proof": [both["proof"][0], broken]}, now, **expected)
    assert caught.value.code == "proof.signature"


def test_a_key_without_a_did_of_its_own_is_named_by_whoever_signs(now):
    with pytest.raises(ProofInvalid) as caught:
        add_proof({}, MldsaSigningKey.generate(), created=now, cryptosuite=EXPERIMENT)
    assert caught.value.code == "proof.key_kind"


def test_a_selective_proof_is_in_no_chain(now):
    """What is derived from it leaves earlier proofs out, so it must not claim to cover them."""
    signer = EcdsaSigningKey.from_secret(Curve.P256, b"\3" * 32)
    obj = {"@context": [CREDENTIALS_V2], "type": ["VerifiableCredential"], "id": "urn:x:1"}
    first = add_proof(obj, signer, created=now, id="urn:p:1", cryptosuite="ecdsa-rdfc-2019")
    with pytest.raises(ProofInvalid) as caught:
        add_proof(first, signer, created=now, previous=["urn:p:1"], cryptosuite="ecdsa-sd-2023")
    assert caught.value.code == "proof.previous"


def test_canonical_forms_in_rdf_are_counted_over_all_proofs(now):
    """Each hash of the document once, however many proofs; a fourth form is one too many."""
    signers = [EcdsaSigningKey.from_secret(curve, b"\3" * curve.size) for curve in Curve]
    signed = {"@context": [CREDENTIALS_V2], "type": ["VerifiableCredential"], "id": "urn:x:1"}
    for number in range(6):
        signed = add_proof(
            signed,
            signers[number % 2],
            created=now,
            id=f"urn:p:{number}",
            cryptosuite="ecdsa-rdfc-2019",
        )
    assert len(_verify(signed, now, exact_context=None).proofs) == 6
    for number in (1, 2):
        previous = [f"urn:p:{number}"]
        signed = add_proof(
            signed, signers[0], created=now, previous=previous, cryptosuite="ecdsa-rdfc-2019"
        )
    with pytest.raises(ProofInvalid) as caught:
        _verify(signed, now, exact_context=None)
    assert caught.value.code == "proof.many"


@pytest.mark.parametrize("number", [1.75, -0.0, 5.0, 1e21, 5e-324, 0.1 + 0.2])
def test_numbers_that_are_not_whole_are_for_documents_of_others(number, key, now):
    """There they are signed and come back; an object of ours holds integers alone."""
    raw = orjson.dumps(add_proof({"height": number}, key, created=now))
    assert _verify(raw, now, exact_context=None).document == {"height": number}
    with pytest.raises(StructureInvalid) as caught:
        _verify(raw, now)
    assert caught.value.code == "json.float"


def test_pointers_are_for_suites_that_derive(key, now):
    with pytest.raises(ProofInvalid) as caught:
        add_proof({"a": 1}, key, created=now, mandatory_pointers=["/a"])
    assert caught.value.code == "proof.key_kind"


def test_a_signing_key_is_for_no_other_relationship(key, now):
    """An Ed25519 did:key lists another key for key agreement."""
    signed = sign_object({"a": 1}, key, created=now, purpose="keyAgreement")
    with pytest.raises(ProofInvalid) as caught:
        _verify(signed, now, purpose="keyAgreement")
    assert caught.value.code == "key.not_authorised"


def test_a_proof_level_check_takes_the_suite_s_kind_of_key(key, now):
    signed = sign_object({"a": 1}, key, created=now)
    verify_proof_signature(signed, signed["proof"], key.verify_key)
    other = EcdsaSigningKey.from_secret(Curve.P256, b"\3" * 32).verify_key
    with pytest.raises(ProofInvalid) as caught:
        verify_proof_signature(signed, signed["proof"], other)
    assert caught.value.code == "proof.key_kind"


@pytest.mark.parametrize("change", [{"proofPurpose": 5}, {"verificationMethod": 5}])
def test_what_a_proof_says_of_itself_is_text(change, key, now):
    signed = sign_object({"a": 1}, key, created=now)
    with pytest.raises(ProofInvalid) as caught:
        _verify({**signed, "proof": {**signed["proof"], **change}}, now, exact_context=None)
    assert caught.value.code == "proof.malformed"


def test_an_object_that_is_no_json_is_refused(now):
    with pytest.raises(StructureInvalid) as caught:
        _verify({"a": {1, 2}}, now)
    assert caught.value.code == "json.type"


@pytest.mark.parametrize("previous", [[], 5, [5], "urn:p:2"])
def test_a_chain_names_what_it_is_over(previous, key, now):
    signed = sign_object({"@context": [CREDENTIALS_V2]}, key, created=now)
    proof = {**signed["proof"], "id": "urn:p:1", "previousProof": previous}
    with pytest.raises(ProofInvalid) as caught:
        _verify({**signed, "proof": proof}, now, exact_context=None)
    assert caught.value.code in ("proof.malformed", "proof.previous")


@pytest.mark.parametrize(
    "proof",
    [
        {"id": 5, "type": "Other"},
        {"type": "DataIntegrityProof"},
        {"type": "DataIntegrityProof", "cryptosuite": 5},
        {"type": 5},
        {},
        "text",
    ],
)
def test_a_further_proof_says_what_it_is(proof, key, now):
    """One of an unknown suite is reported; one that is no proof at all is refused."""
    signed = sign_object({"@context": [CREDENTIALS_V2]}, key, created=now)
    with pytest.raises(ProofInvalid) as caught:
        _verify({**signed, "proof": [signed["proof"], proof]}, now, exact_context=None)
    assert caught.value.code == "proof.malformed"


def test_two_proofs_have_ids_of_their_own(key, now):
    signed = sign_object({"@context": [CREDENTIALS_V2]}, key, created=now)
    twice = [add_proof({"@context": [CREDENTIALS_V2]}, key, created=now, id="urn:p:1")["proof"]] * 2
    with pytest.raises(ProofInvalid) as caught:
        _verify({**signed, "proof": twice}, now, exact_context=None)
    assert caught.value.code == "proof.malformed"


def test_an_empty_context_is_no_beginning_of_another(key, now):
    """EdDSA Cryptosuites §3.3.2: the prefix rule would take it for any document."""
    signed = sign_object({"@context": [], "name": "x"}, key, created=now)
    changed = {**signed, "@context": [CREDENTIALS_V2]}
    with pytest.raises(ContextRefused) as caught:
        _verify(changed, now, exact_context=None)
    assert caught.value.code == "context.proof"


def test_the_name_of_a_file_is_not_its_text(now):
    """A frequent mistake, and the hint says so."""
    with pytest.raises(StructureInvalid) as caught:
        _verify("grant.json", now)
    assert caught.value.code == "json.syntax"
    assert "name of its file" in caught.value.hint
