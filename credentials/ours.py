"""Credentials of our own, read and verified by the shortest way that gives the same verdict.

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
from credentials.errors import CredentialError, StructureInvalid
from credentials.forms import read_time
from credentials.proof import (
    VerifiedProof,
    key_of_did_key,
    read_document,
    verify_parsed,
)
from credentials.proofset import ALL_SUITES, PROOF_TYPE
from credentials.suites import eddsa_jcs
from did.errors import DidError
from did.json import Json, JsonObject
from did.multikey import multihash_of_sha256
from did.resolve import Resolver

_CONTEXT: Final[Json] = list(PROFILE_CONTEXT)
_PURPOSE: Final = "assertionMethod"
# What was verified is remembered by its bytes, so they must not be many.
MAX_OWN_BYTES: Final = 65_536
# The canonical form of a proof, before and after its value; the value is left out of what is
# signed.
_BEFORE_VALUE: Final = (
    f'{{"@context":["{PROFILE_CONTEXT[0]}","{PROFILE_CONTEXT[1]}"],"created":"%s",'
    f'"cryptosuite":"{eddsa_jcs.CRYPTOSUITE}","proofPurpose":"{_PURPOSE}",'
)
_VALUE: Final = '"proofValue":"%s",'
_AFTER_VALUE: Final = f'"type":"{PROOF_TYPE}","verificationMethod":"%s"}}'
_CONFIGURATION: Final = _BEFORE_VALUE + _AFTER_VALUE
_PROOF: Final = ',"proof":' + _BEFORE_VALUE + _VALUE + _AFTER_VALUE


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
    quick = _verify_quickly(document, octets, controller)
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


def _verify_quickly(document: JsonObject, octets: bytes, controller: str) -> OwnProofs | None:
    proof = document["proof"]
    if (
        type(proof) is not dict
        or document["@context"] != _CONTEXT
        or not controller.startswith("did:key:")
    ):
        return None
    try:
        created, value = proof.get("created"), proof.get("proofValue")
        method = proof.get("verificationMethod")
        if type(method) is not str or method.partition("#")[0] != controller:
            return None
        # orjson's sorted form is the JCS form: all keys are known ASCII names, and the reader saw
        # that all numbers are integers within 2^53.
        canonical = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        # Of all texts of one value the canonical one is the shortest, floats apart, which the
        # reader does not take. So a text of its length says no key twice, and says it plainly.
        if len(octets) != len(canonical):
            return None
        # The proof stands in it once, exactly as ours are written: inside a text there is no
        # quote without a backslash, and no other object of ours has a property of this name.
        before, found, after = canonical.partition((_PROOF % (created, value, method)).encode())
        if not found:
            return None
        said = VerifiedProof(controller, method, read_time(created, ""), None)
        document_hash = sha256(before + after).digest()
        configuration = (_CONFIGURATION % (created, method)).encode()
        key_of_did_key(method, _PURPOSE).verify(
            eddsa_jcs.read_value(value), sha256(configuration).digest() + document_hash
        )
    except (CredentialError, DidError, orjson.JSONEncodeError):
        return None
    return OwnProofs(multihash_of_sha256(document_hash), (said,), ())
