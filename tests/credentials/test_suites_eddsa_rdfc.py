"""The vectors of eddsa-rdfc-2022, step by step; sets and chains; and what is loaded when."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from credentials.contexts import CREDENTIALS_V2, PROFILE_CONTEXT
from credentials.errors import ContextRefused, CredentialError, ProofInvalid, RdfcRefused
from credentials.grant import verify_grant
from credentials.proof import add_proof, sign_object, verify_object, verify_proof_signature
from credentials.status import WITHOUT_STATUS
from credentials.suites import eddsa_rdfc
from credentials.verify import verify_credential
from did.json import JsonObject
from did.keys import SigningKey, VerifyKey
from did.multikey import base58btc_decode, multibase_decode
from did.resolve import OFFLINE

RDFC = eddsa_rdfc.CRYPTOSUITE


@pytest.fixture(scope="module")
def folder(vectors: Path) -> Path:
    return vectors / "vc-di-eddsa" / "TestVectors"


@pytest.fixture(scope="module")
def contexts(vectors: Path) -> Callable[[str], bytes]:
    index = json.loads((vectors / "contexts" / "index.json").read_text())
    return lambda url: (vectors / "contexts" / index[url]["file"]).read_bytes()


@pytest.fixture(scope="module")
def pair(folder: Path) -> SigningKey:
    private = json.loads((folder / "keyPair.json").read_text())["privateKeyMultibase"]
    return SigningKey.from_seed(multibase_decode(private)[2:])


def _load(*parts: object) -> JsonObject:
    return json.loads(Path(*map(str, parts)).read_text())


def _without(document: JsonObject, name: str = "proof") -> JsonObject:
    return {key: value for key, value in document.items() if key != name}


@pytest.mark.parametrize("part", ["eddsa-rdfc-2022", "eddsa-rdfc-2022/employ"])
def test_every_step_gives_what_was_published(folder, contexts, pair, part):
    """Canonical forms, hashes and signature, for both documents."""

    def read(name: str) -> str:
        return (folder / part / f"{name}DataInt.txt").read_text()

    signed = _load(folder, part, "signedDataInt.json")
    document = _without(signed)
    configuration = _load(folder, part, "proofConfigDataInt.json")
    assert eddsa_rdfc.transform(document, contexts=contexts).decode() == read("canonDoc")
    assert eddsa_rdfc.transform(configuration, contexts=contexts).decode() == read("proofCanon")
    document_hash = eddsa_rdfc.hash_document(document, contexts=contexts)
    proof_hash = eddsa_rdfc.hash_configuration(configuration, contexts=contexts)
    assert document_hash.hex() == read("docHash").strip()
    assert proof_hash.hex() == read("proofHash").strip()
    assert (proof_hash + document_hash).hex() == read("combinedHash").strip()
    value = eddsa_rdfc.create_value(configuration, document_hash, pair, contexts=contexts)
    assert value == read("sigBTC58").strip() == signed["proof"]["proofValue"]
    assert base58btc_decode(value[1:]).hex() == read("sigHex").strip()
    verify_proof_signature(signed, signed["proof"], pair.verify_key, contexts=contexts)
    for changed in (
        {**signed, "name": "Another"},
        {**signed, "proof": {**signed["proof"], "created": "2023-02-24T23:36:39Z"}},
    ):
        with pytest.raises(ProofInvalid) as caught:
            verify_proof_signature(changed, changed["proof"], pair.verify_key, contexts=contexts)
        assert caught.value.code == "proof.signature"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("signedProofSet1", 1),
        ("signedProofSet2", 2),
        ("signedProofChain1", 3),
        ("signedProofChain2", 4),
    ],
)
def test_the_published_sets_and_chains_verify(folder, contexts, name, count):
    signed = _load(folder, "proof-set-chain", f"{name}.json")
    proofs = signed["proof"] if isinstance(signed["proof"], list) else [signed["proof"]]
    assert len(proofs) == count
    for proof in proofs:
        key = VerifyKey.from_multikey(proof["verificationMethod"].partition("#")[2])
        verify_proof_signature(signed, proof, key, contexts=contexts)
    if "previousProof" in proofs[-1]:
        cut = {**signed, "proof": proofs[-1:]}
        with pytest.raises(ProofInvalid) as caught:
            verify_proof_signature(cut, proofs[-1], key, contexts=contexts)
        assert caught.value.code == "proof.previous"


@pytest.fixture(scope="module")
def credential(key: SigningKey) -> JsonObject:
    return {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": key.did,
        "credentialSubject": {"id": "urn:x:1", "name": "A"},
    }


def _verify(document, now, **changes):
    expected = {"resolver": OFFLINE, "expected_controller": None, "exact_context": None}
    return verify_object(orjson.dumps(document), now=now, **{**expected, **changes})


def test_what_is_signed_verifies(credential, key, now):
    signed = add_proof(credential, key, created=now, cryptosuite=RDFC)
    assert "@context" not in signed["proof"]
    found = _verify(signed, now)
    assert found.document == credential
    assert verify_credential(signed, now=now, status=WITHOUT_STATUS).issuer == key.did
    # A proof that repeats the context of the document says the same.
    repeated = {**signed, "proof": {**signed["proof"], "@context": credential["@context"]}}
    assert _verify(repeated, now).digest == found.digest


def test_a_changed_claim_is_refused(credential, key, now):
    signed = add_proof(credential, key, created=now, cryptosuite=RDFC)
    for changed, code in (
        ({"id": "urn:x:1", "name": "B"}, "proof.signature"),
        ({"id": "urn:x:1", "name": "A", "unknown": 1}, "rdfc.dropped"),
        ({"id": "urn:x:1", "name": "A", "description": None}, "rdfc.null"),
    ):
        with pytest.raises(CredentialError) as caught:
            _verify({**signed, "credentialSubject": changed}, now)
        assert caught.value.code == code


def test_what_would_not_be_covered_cannot_be_signed(credential, key, now):
    with pytest.raises(RdfcRefused):
        add_proof({**credential, "unknown": 1}, key, created=now, cryptosuite=RDFC)
    with pytest.raises(ContextRefused):
        add_proof({"a": 1}, key, created=now, cryptosuite=RDFC)
    with pytest.raises(ProofInvalid) as caught:
        add_proof(credential, key, created=now, cryptosuite="none")
    assert caught.value.code == "proof.no_known_suite"


@pytest.mark.parametrize("order", [1, -1])
def test_every_known_proof_of_a_set_must_hold(credential, key, other_key, now, order):
    both = add_proof(credential, other_key, created=now, cryptosuite=RDFC)
    both = add_proof(both, key, created=now)
    both["proof"] = both["proof"][::order]
    found = _verify(both, now)
    assert found.controller == key.did
    assert {proof.controller for proof in found.proofs} == {key.did, other_key.did}
    assert _verify(both, now, expected_controller=other_key.did).controller == other_key.did
    for spoiled in (0, 1):
        proofs = [dict(proof) for proof in both["proof"]]
        proofs[spoiled]["created"] = "2020-01-01T00:00:00Z"
        with pytest.raises(ProofInvalid) as caught:
            _verify({**both, "proof": proofs}, now)
        assert caught.value.code == "proof.signature"


def test_a_set_costs_little_more_than_one_proof(credential, key, now, monkeypatch):
    """The document is canonicalised once for all proofs, and each proof is small."""
    signed = credential
    for _ in range(8):
        signed = add_proof(signed, key, created=now, cryptosuite=RDFC)
    seen = []
    whole = eddsa_rdfc.hash_document
    monkeypatch.setattr(
        eddsa_rdfc, "hash_document", lambda *a, **k: seen.append(1) or whole(*a, **k)
    )
    assert len(_verify(signed, now).proofs) == 8
    assert len(seen) == 1
    large = {**signed["proof"][0], "urn:a": "x" * 5_000}
    with pytest.raises(RdfcRefused) as caught:
        _verify({**signed, "proof": large}, now)
    assert caught.value.code == "rdfc.too_large"


def test_few_proofs_over_earlier_proofs_are_followed(credential, key, now):
    """Each covers a document of its own, which is canonicalised for it alone."""
    first = add_proof(credential, key, created=now, cryptosuite=RDFC)["proof"]
    first = {**first, "id": "urn:proof:1"}
    context = {"@context": credential["@context"]}
    config = {**_without(first, "proofValue"), **context}
    plain = eddsa_rdfc.hash_document(credential)
    first["proofValue"] = eddsa_rdfc.create_value(config, plain, key)
    later = {**_without(first, "id"), "previousProof": "urn:proof:1"}
    covered = eddsa_rdfc.hash_document({**credential, "proof": [first]})
    config = {**_without(later, "proofValue"), **context}
    later["proofValue"] = eddsa_rdfc.create_value(config, covered, key)
    found = _verify({**credential, "proof": [first, later, later]}, now)
    assert found.document == credential
    with pytest.raises(ProofInvalid) as caught:
        _verify({**credential, "proof": [first, later, later, later]}, now)
    assert caught.value.code == "proof.many"


def test_a_grant_may_have_both_and_must_have_the_first(grant, key, now):
    """A proof over RDF stands beside the eddsa-jcs-2022 proof of a grant, never for it."""

    def check(document: JsonObject) -> None:
        verify_grant(
            orjson.dumps(document), purpose=None, audience=None, status=WITHOUT_STATUS, now=now
        )

    both = add_proof(grant, key, created=now, cryptosuite=RDFC)
    check(both)
    jcs, rdfc = both["proof"]
    stranger = SigningKey.from_seed(b"\7" * 32)
    by_another = sign_object(_without(grant), stranger, created=now)["proof"]
    for proofs, code in (
        (rdfc, "proof.no_known_suite"),
        ([rdfc, by_another], "proof.not_by_controller"),
        ([jcs, {**rdfc, "created": "2020-01-01T00:00:00Z"}], "proof.signature"),
        ([jcs, {**rdfc, "@context": list(PROFILE_CONTEXT)[:1]}], "context.proof"),
    ):
        with pytest.raises(CredentialError) as caught:
            check({**grant, "proof": proofs})
        assert caught.value.code == code


def test_a_set_of_both_goes_the_short_way(grant, key, other_key, now, monkeypatch):
    """And whatever is not exactly that goes the general one, with the same verdict."""

    def check(raw: bytes) -> None:
        verify_grant(raw, purpose=None, audience=None, status=WITHOUT_STATUS, now=now)

    both = add_proof(grant, key, created=now, cryptosuite=RDFC)
    raw = orjson.dumps(both)
    jcs, rdfc = both["proof"]
    by_another = add_proof(grant, other_key, created=now, cryptosuite=RDFC)["proof"][1]
    member = b'"proofPurpose":"assertionMethod"'
    refused = [
        {**grant, "proof": [jcs, {**rdfc, "proofValue": jcs["proofValue"]}]},
        {**grant, "proof": [{**jcs, "proofValue": rdfc["proofValue"]}, rdfc]},
        {**grant, "proof": [jcs, {**rdfc, "verificationMethod": other_key.verification_method}]},
        {**grant, "proof": [jcs, {**rdfc, "created": "2026-01-31T09:29:59Z"}]},
        {**grant, "proof": [jcs, {**rdfc, "proofPurpose": "authentication"}]},
        {**grant, "proof": [jcs, {**rdfc, "nonce": "a"}]},
    ]
    for document in refused:
        with pytest.raises(CredentialError):
            check(orjson.dumps(document))
    for twice in (
        raw.replace(member, member + b"," + member, 1),
        raw.replace(b'"id":', b'"id":"a","id":', 1),
    ):
        with pytest.raises(CredentialError):
            check(twice)
    check(orjson.dumps({**grant, "proof": [rdfc, jcs]}))
    check(orjson.dumps({**grant, "proof": [jcs, by_another]}))
    monkeypatch.setattr("credentials.ours.verify_parsed", None)
    check(raw)
    with pytest.raises(TypeError):
        check(raw + b" ")


def test_a_plain_object_has_no_meaning_in_rdf(key, now):
    """Without a context such a proof says nothing, so it counts as one that is not known."""
    signed = sign_object({"a": 1}, key, created=now)
    proof = {**signed["proof"], "cryptosuite": RDFC}
    found = _verify({**signed, "proof": [signed["proof"], proof]}, now, exact_context=())
    assert found.unknown_suites == (RDFC,)
    with pytest.raises(ProofInvalid) as caught:
        _verify({**signed, "proof": proof}, now, exact_context=())
    assert caught.value.code == "proof.no_known_suite"


LOADED = """
import datetime, sys
import credentials.verify, pds.relay.app
from credentials.errors import CredentialError
from credentials.status import WITHOUT_STATUS
from credentials.ticket import verify_ticket
from credentials.grant import verify_grant
now = datetime.datetime(2026, 1, 31, 9, 30, tzinfo=datetime.UTC)
act, raw = sys.argv[1], sys.stdin.buffer.read()
try:
    if act == "credential":
        credentials.verify.verify_credential(raw, now=now, status=WITHOUT_STATUS)
    elif act == "grant":
        verify_grant(raw, purpose=None, audience=None, status=WITHOUT_STATUS, now=now)
    elif act == "ticket":
        verify_ticket(raw, now=now)
    print("verified", end=" ")
except CredentialError as error:
    print(error.code, end=" ")
print(any(name.partition(".")[0] == "pyld" for name in sys.modules))
"""


def _loaded(act: str, document: JsonObject) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOADED, act],
        cwd=Path(__file__).parents[2],
        input=orjson.dumps(document),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.decode().strip()


def test_the_library_is_loaded_for_other_shapes_under_such_a_proof_and_for_nothing_else(
    credential, grant, entry, key, now, ticket
):
    assert _loaded("credential", sign_object(credential, key, created=now)) == "verified False"
    assert _loaded("grant", grant) == "verified False"
    # Nor for such a proof over a document of a known shape.
    rdfc = add_proof(credential, key, created=now, cryptosuite=RDFC)
    assert _loaded("credential", rdfc) == "verified False"
    assert _loaded("grant", add_proof(grant, key, created=now, cryptosuite=RDFC)) == (
        "verified False"
    )
    other = {**credential, "name": {"@value": "A", "@language": "en"}}
    other = add_proof(other, key, created=now, cryptosuite=RDFC)
    assert _loaded("credential", other) == "verified True"
    # A relay reads tickets, and does not follow a proof over RDF at all.
    proofs = [ticket["proof"], {**ticket["proof"], "cryptosuite": RDFC}]
    assert _loaded("ticket", {**ticket, "proof": proofs}) == "verified False"
    assert _loaded("grant", {**grant, "proof": [rdfc["proof"]]}) == "proof.no_known_suite False"
