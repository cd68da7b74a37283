"""Other implementations, doing what a benchmark measures; each is imported when it is asked for.

A peer is a function that gives a verifier: a function of the bytes of a signed credential and the
time, which raises when it refuses. Contexts are handed over, so that nothing is fetched.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import nacl.signing

from credentials.contexts import KNOWN_CONTEXTS, PDS_V1, context_bytes
from did.keys import VerifyKey
from did.multikey import multibase_decode

Verifier = Callable[[bytes, datetime], object]


def pyld() -> Verifier:
    """eddsa-rdfc-2022 by PyLD and PyNaCl: the signature only, with PyLD's own caches warm."""
    from pyld import jsonld

    contexts = {url: json.loads(context_bytes(url)) for url in KNOWN_CONTEXTS}

    def load(url: str, _options: object) -> dict[str, Any]:
        return {"document": contexts[url], "documentUrl": url, "contextUrl": None, "tag": "static"}

    options = {
        "algorithm": "URDNA2015",
        "format": "application/n-quads",
        "documentLoader": load,
    }

    def hashed(document: dict[str, Any]) -> bytes:
        return hashlib.sha256(jsonld.normalize(document, options).encode()).digest()

    def verify(raw: bytes, _now: datetime) -> None:
        document = json.loads(raw)
        proof = document.pop("proof")
        signature = multibase_decode(proof.pop("proofValue"))
        proof["@context"] = document["@context"]
        key = VerifyKey.from_multikey(proof["verificationMethod"].partition("#")[2])
        signed = hashed(proof) + hashed(document)
        nacl.signing.VerifyKey(key.bytes).verify(signed, signature)

    return verify


def openvc() -> Verifier:
    """eddsa-rdfc-2022 by openvc-core: signature, purpose and dates."""
    from openvc.proof.data_integrity import DataIntegrityProofSuite

    suite = DataIntegrityProofSuite()
    further = {PDS_V1: json.loads(context_bytes(PDS_V1))}

    def verify(raw: bytes, now: datetime) -> None:
        suite.verify(json.loads(raw), now=now, extra_contexts=further)

    return verify


VERIFIERS: Final[Mapping[str, Callable[[], Verifier]]] = MappingProxyType(
    {"pyld": pyld, "openvc": openvc}
)
