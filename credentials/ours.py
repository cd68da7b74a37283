"""Credentials of our own, signed, read and verified by the shortest way to the same result.

Two things make the general way slow: surveying every value of the JSON, and being ready for any
proof. Our readers (``grant``, ``ticket``) look at every value anyway, each by its name; and nearly
every credential of ours has one proof of one shape. So the quick way handles exactly that, and
sends everything else, refusals included, the general way, which alone says what is wrong.
"""

from collections.abc import Set as AbstractSet
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from credentials.contexts import PROFILE_CONTEXT
from credentials.controllers import key_of_did_key
from credentials.errors import CredentialError, StructureInvalid
from credentials.forms import read_time
from credentials.proof import (
    VerifiedProof,
    read_document,
    verify_parsed,
)
from credentials.proofset import PROOF_TYPE
from credentials.suites import eddsa_jcs
from credentials.suites.table import ALL_SUITES, EDDSA_RDFC
from did.errors import DidError
from did.json import Json, JsonObject
from did.keys import SigningKey, VerifyKey
from did.multikey import base58btc_encode, multihash_of_sha256
from did.resolve import Resolver
from did.time import format_time

_CONTEXT: Final[Json] = list(PROFILE_CONTEXT)
_PURPOSE: Final = "assertionMethod"
MAX_OWN_BYTES: Final = 65_536
# What was verified is remembered by its bytes, so they must not be many: read, a document of ours
# takes ten times as much, and anybody can sign thousands.
MAX_REMEMBERED: Final = 8_192
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
# The canonical forms of a proof without its value; and what stands before a proof, and around
# the value.
_CONFIGURATION: Final = (
    f'{{"@context":["{PROFILE_CONTEXT[0]}","{PROFILE_CONTEXT[1]}"],"created":"%s",'
    f'"cryptosuite":"{eddsa_jcs.CRYPTOSUITE}","proofPurpose":"{_PURPOSE}",'
    f'"type":"{PROOF_TYPE}","verificationMethod":"%s"}}'
)
_RDF_CONFIGURATION: Final = (
    f'{{"created":"%s","cryptosuite":"{EDDSA_RDFC}","proofPurpose":"{_PURPOSE}",'
    f'"type":"{PROOF_TYPE}","verificationMethod":"%s"}}'
)
_BEFORE: Final = ',"proof":'
_VALUE: Final = ',"proofValue":""'


class _Form(NamedTuple):
    """How a proof of one suite is written: its properties, and its canonical form."""

    suite: str
    properties: AbstractSet[str]
    configuration: str


# Of one proof and of two, in their order.
_FORMS: Final = (
    _Form(eddsa_jcs.CRYPTOSUITE, _PROOF, _CONFIGURATION),
    _Form(EDDSA_RDFC, _PROOF - {"@context"}, _RDF_CONFIGURATION),
)


class OwnProofs(NamedTuple):
    """What verifying says beyond the document itself."""

    digest: str
    proofs: tuple[VerifiedProof, ...]
    unknown_suites: tuple[str, ...]


def read_own(octets: bytes) -> JsonObject:
    """Read a document whose every value the caller will look at, and then ``verify_own``.

    Every text is Unicode. *Not* guaranteed, unlike by ``read_document``: that no key was given
    twice, and that there are no floats, large integers or deep nesting. A reader that names each
    property and the form of its value finds the latter itself; ``verify_own`` finds the former.
    """
    if len(octets) > MAX_OWN_BYTES:
        raise StructureInvalid(
            f"a credential of ours must not exceed {MAX_OWN_BYTES} bytes",
            code="credential.too_large",
        )
    try:
        value = orjson.loads(octets)
    except orjson.JSONDecodeError:
        value = None  # the strict way says what is wrong
    return value if type(value) is dict else read_document(octets)


def verify_own(
    document: JsonObject,
    octets: bytes,
    *,
    controller: str,
    resolver: Resolver,
    now: datetime,
    suites: AbstractSet[str] = ALL_SUITES,
) -> OwnProofs:
    """Verify the proofs of a document that came from ``read_own`` and whose reader accepted it.

    Exactly the profile's context, at least one eddsa-jcs-2022 proof by ``controller`` for
    ``assertionMethod``, every proof of ``suites`` holds. The times of the proofs are left to
    ``check_proof_times``. Raises as ``verify_parsed`` does.
    """
    quick = _verify_quickly(document, len(octets), controller, suites)
    if quick is not None:
        return quick
    verified = verify_parsed(
        read_document(octets),
        resolver=resolver,
        now=now,
        expected_controller=controller,
        purpose=_PURPOSE,
        exact_context=PROFILE_CONTEXT,
        suites=suites,
    )
    return OwnProofs(verified.digest, verified.proofs, verified.unknown_suites)


def sign_own(document: JsonObject, key: SigningKey, *, created: datetime) -> JsonObject:
    """A copy of a document of ours with the proof that ``sign_object`` would put on it.

    Only for a document that its reader would accept, since nobody surveys its values here.
    """
    made, method = format_time(created), key.verification_method
    signature = key.sign(
        sha256((_CONFIGURATION % (made, method)).encode()).digest()
        + sha256(_canonical(document)).digest()
    )
    proof: JsonObject = {
        "type": PROOF_TYPE,
        "cryptosuite": eddsa_jcs.CRYPTOSUITE,
        "created": made,
        "verificationMethod": method,
        "proofPurpose": _PURPOSE,
        "@context": document["@context"],
        "proofValue": "z" + base58btc_encode(signature),
    }
    return {**document, "proof": proof}


def _canonical(unsecured: JsonObject) -> bytes:
    # orjson's sorted form is the JCS form: all keys are known ASCII names, and the reader saw
    # that all numbers are integers within 2^53.
    return orjson.dumps(unsecured, option=orjson.OPT_SORT_KEYS)


class _Statement(NamedTuple):
    """A proof that says what it must, by whom it must; its signature is still to be verified."""

    proof: JsonObject
    said: VerifiedProof
    signature: bytes
    key: VerifyKey
    configuration: str
    length: int


def _verify_quickly(
    document: JsonObject, length: int, controller: str, suites: AbstractSet[str]
) -> OwnProofs | None:
    """One eddsa-jcs-2022 proof, or a set of it and eddsa-rdfc-2022; ``None`` for all else."""
    # Taken out of the caller's object for good: the general way reads the bytes anew.
    value = document.pop("proof")
    members = [value]
    if isinstance(value, list) and len(value) == len(_FORMS) and EDDSA_RDFC in suites:
        members = value
    pair = members is value
    if document["@context"] != _CONTEXT or not controller.startswith("did:key:"):
        return None
    try:
        proofs: list[_Statement] = []
        for proof, form in zip(members, _FORMS, strict=False):
            read = _statement(proof, form, controller)
            if read is None:
                return None
            proofs.append(read)
        document_json = _canonical(document)
        # Of all texts of one value the canonical one is the shortest, floats apart, which the
        # reader does not take. So a text of its length says no key twice, and says it plainly.
        expected = len(document_json) + len(_BEFORE) + len("[,]") * pair
        for read in proofs:
            expected += read.length
        if length != expected:
            return None
        document_hash = sha256(document_json).digest()
        plain = proofs[0]
        configuration_hash = sha256(plain.configuration.encode()).digest()
        plain.key.verify(plain.signature, configuration_hash + document_hash)
        if pair:
            from credentials.suites import eddsa_rdfc

            over_rdf = proofs[1]
            eddsa_rdfc.verify_value(
                {**over_rdf.proof, "@context": _CONTEXT},
                eddsa_rdfc.hash_document(document),
                over_rdf.key,
            )
    except (CredentialError, DidError, orjson.JSONEncodeError):
        return None
    said = tuple([read.said for read in proofs])
    return OwnProofs(multihash_of_sha256(document_hash), said, ())


def _statement(proof: Json, form: _Form, controller: str) -> _Statement | None:
    if (
        type(proof) is not dict
        or proof.keys() != form.properties
        or proof.get("@context", _CONTEXT) != _CONTEXT
        or proof["type"] != PROOF_TYPE
        or proof["cryptosuite"] != form.suite
        or proof["proofPurpose"] != _PURPOSE
    ):
        return None
    method, value, created = proof["verificationMethod"], proof["proofValue"], proof["created"]
    if type(method) is not str or type(value) is not str or method.partition("#")[0] != controller:
        return None
    time = read_time(created, "")
    # Written out: what varies in it was just read, and is text without anything to escape.
    configuration = form.configuration % (created, method)
    return _Statement(
        proof,
        VerifiedProof(controller, method, time, None, form.suite),
        eddsa_jcs.read_value(value),
        key_of_did_key(method, _PURPOSE),
        configuration,
        len(configuration) + len(_VALUE) + len(value),
    )
