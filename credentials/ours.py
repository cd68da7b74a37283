"""Credentials of our own, read and verified by the shortest way that gives the same verdict.

Two things make the general way slow: surveying every value of the JSON, and being ready for any
proof. Our readers (``grant``, ``ticket``) look at every value anyway, each by its name; and nearly
every credential of ours has one proof of one shape. So the quick way handles exactly that, and
sends everything else, refusals included, the general way, which alone says what is wrong.
"""

import hashlib
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from credentials.contexts import PROFILE_CONTEXT
from credentials.errors import CredentialError
from credentials.forms import read_time
from credentials.proof import (
    PROOF_TYPE,
    VerifiedProof,
    key_of_did_key,
    read_document,
    verify_parsed,
)
from credentials.suites import eddsa_jcs
from did.errors import DidError
from did.json import MAX_BYTES, Json, JsonObject
from did.multikey import multihash_of_sha256
from did.resolve import Resolver

_CONTEXT: Final[Json] = list(PROFILE_CONTEXT)
_PURPOSE: Final = "assertionMethod"
_PROOF = frozenset(
    {
        "@context",
        "created",
        "cryptosuite",
        "proofPurpose",
        "proofValue",
        "type",
        "verificationMethod",
    }
)


class OwnProofs(NamedTuple):
    """What verifying says beyond the document itself."""

    digest: str
    proofs: tuple[VerifiedProof, ...]
    unknown_suites: tuple[str, ...]


def read_own(octets: bytes) -> JsonObject:
    """Read a document whose every value the caller will look at.

    Guaranteed: no key was given twice, and every text is Unicode. *Not* guaranteed, unlike by
    ``read_document``: that there are no floats, large integers or deep nesting. A reader that
    names each property and the form of its value finds these itself.
    """
    if len(octets) <= MAX_BYTES:
        try:
            value = orjson.loads(octets)
            # A key given twice would be gone, and a number rounded, when written again.
            if type(value) is dict and orjson.dumps(value) == octets:
                return value
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            pass
    return read_document(octets)


def verify_own(
    document: JsonObject,
    octets: bytes,
    *,
    controller: str,
    resolver: Resolver,
    now: datetime,
) -> OwnProofs:
    """Verify the proofs of a document that came from ``read_own`` and whose reader accepted it.

    Exactly the profile's context, at least one eddsa-jcs-2022 proof by ``controller`` for
    ``assertionMethod``, every known proof holds. The times of the proofs are left to
    ``check_proof_times``. Raises as ``verify_parsed`` does.
    """
    quick = _verify_quickly(document, controller)
    if quick is not None:
        return quick
    verified = verify_parsed(
        read_document(octets),
        resolver=resolver,
        now=now,
        expected_controller=controller,
        purpose=_PURPOSE,
        exact_context=PROFILE_CONTEXT,
    )
    return OwnProofs(verified.digest, verified.proofs, verified.unknown_suites)


def _verify_quickly(document: JsonObject, controller: str) -> OwnProofs | None:
    proof = document["proof"]
    if (
        type(proof) is not dict
        or proof.keys() != _PROOF
        or document["@context"] != _CONTEXT
        or proof["@context"] != _CONTEXT
        or proof["type"] != PROOF_TYPE
        or proof["cryptosuite"] != eddsa_jcs.CRYPTOSUITE
        or proof["proofPurpose"] != _PURPOSE
    ):
        return None
    method = proof["verificationMethod"]
    if type(method) is not str or method.partition("#")[0] != controller:
        return None
    if not controller.startswith("did:key:"):
        return None
    try:
        created = read_time(proof["created"], "")
        signature = eddsa_jcs.read_value(proof["proofValue"])
        key = key_of_did_key(method, _PURPOSE)
        configuration = proof.copy()
        del configuration["proofValue"]
        unsecured = document.copy()
        del unsecured["proof"]
        # orjson's sorted form is the JCS form: all keys are known ASCII names, and the reader saw
        # that all numbers are integers within 2^53.
        sha256, dumps, sort = hashlib.sha256, orjson.dumps, orjson.OPT_SORT_KEYS
        document_hash = sha256(dumps(unsecured, option=sort)).digest()
        proof_hash = sha256(dumps(configuration, option=sort)).digest()
        key.verify(signature, proof_hash + document_hash)
    except (CredentialError, DidError, orjson.JSONEncodeError):
        return None
    said = VerifiedProof(controller, method, created, None)
    return OwnProofs(multihash_of_sha256(document_hash), (said,), ())
