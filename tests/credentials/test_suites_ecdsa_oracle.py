"""The ECDSA suites against another implementation, both ways, on documents without vectors."""

from datetime import datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from openvc.keys import P256SigningKey
from openvc.proof.di_ecdsa_rdfc import EcdsaRdfcProofSuite
from openvc.proof.di_jcs import EcdsaJcsProofSuite
from openvc.proof.ecdsa_sd import EcdsaSdProofSuite

from credentials.contexts import CREDENTIALS_V2
from credentials.suites import ecdsa
from credentials.suites.ecdsa_sd import create_base_proof, derive, verify_base, verify_derived
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import JsonObject

KEY = EcdsaSigningKey.from_secret(Curve.P256, bytes(31) + b"\7")
THEIR_KEY = P256SigningKey(ec.derive_private_key(7, ec.SECP256R1()), "k")
JWK: Any = THEIR_KEY.public_jwk()
DOCUMENT: JsonObject = {
    "@context": [CREDENTIALS_V2],
    "type": ["VerifiableCredential", "urn:type:A"],
    "issuer": {"id": "did:example:issuer", "name": "leaf-é"},
    "name": "leaf-name",
    "description": "leaf-description",
    "validFrom": "2026-01-01T00:00:00Z",
    "credentialSubject": {"name": "leaf-subject", "description": "leaf-about"},
    "evidence": [
        {"type": "urn:type:B", "name": "leaf-a", "description": "leaf-b"},
        {"id": "urn:node:c", "type": "urn:type:B", "name": "leaf-c"},
        {"type": "urn:type:C", "name": "leaf-d"},
    ],
}
POINTERS = [
    "/issuer",
    "/issuer/name",
    "/name",
    "/description",
    "/validFrom",
    "/credentialSubject",
    "/credentialSubject/name",
    "/evidence",
    "/type",
]
# The other issuer does not follow these.
IN_ARRAYS = ["/evidence/0/description", "/evidence/0", "/evidence/1/name", "/evidence/2", "/type/1"]
CREATED = datetime.fromisoformat("2026-01-31T09:30:00Z")


def configuration(cryptosuite: str) -> JsonObject:
    return {
        "type": "DataIntegrityProof",
        "cryptosuite": cryptosuite,
        "created": "2026-01-31T09:30:00Z",
        "verificationMethod": KEY.verification_method,
        "proofPurpose": "assertionMethod",
    }


# The other implementation has no P-384 over JCS, and over RDF it labels blank nodes by SHA-256
# there too, which the published vectors do not.
@pytest.mark.parametrize(
    ("suite", "theirs"),
    [(ecdsa.RDFC, EcdsaRdfcProofSuite), (ecdsa.JCS, EcdsaJcsProofSuite)],
)
def test_whole_documents_both_ways(suite, theirs):
    """What one signs the other verifies, for both canonical forms."""
    config = {**configuration(suite), "@context": DOCUMENT["@context"]}
    hashed = ecdsa.hash_document(DOCUMENT, Curve.P256, cryptosuite=suite)
    proof = {**config, "proofValue": ecdsa.create_value(config, hashed, KEY)}
    theirs().verify({**DOCUMENT, "proof": proof}, public_key_jwk=JWK, now=CREATED)
    signed = theirs().add_proof(
        DOCUMENT,
        signing_key=THEIR_KEY,
        verification_method=KEY.verification_method,
        created=CREATED,
    )
    their_proof = {**signed["proof"], "@context": DOCUMENT["@context"]}
    ecdsa.verify_value(their_proof, hashed, KEY.verify_key)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.sampled_from(POINTERS), min_size=1, max_size=5),
    st.lists(st.sampled_from([*POINTERS, *IN_ARRAYS]), max_size=5),
)
def test_parts_both_ways(mandatory, selective):
    """Either issuer and either verifier; the holder is ours.

    The other holder gets no further than documents whose nodes all have ids.
    """
    suite = EcdsaSdProofSuite()
    config = configuration("ecdsa-sd-2023")
    ours = create_base_proof(DOCUMENT, config, KEY, mandatory_pointers=mandatory)
    theirs = suite.add_base_proof(
        DOCUMENT,
        signing_key=THEIR_KEY,
        verification_method=KEY.verification_method,
        mandatory_pointers=mandatory,
        created=CREATED,
    )
    verify_base(theirs, theirs["proof"], KEY.verify_key)
    for issued in ({**DOCUMENT, "proof": ours}, theirs):
        revealed = derive(issued, selective_pointers=selective)
        verify_derived(revealed, revealed["proof"], KEY.verify_key)
        suite.verify(revealed, public_key_jwk=JWK, now=CREATED)
