"""A context, a document and keys for the tests of proofs that disclose a part."""

import json
from typing import Any, Final

from did.ecdsa import Curve, EcdsaSigningKey
from did.json import JsonObject

CONTEXT_URL: Final = "https://context.example/v1"
_TERMS: Final = {
    name: f"urn:term:{name}"
    for name in ("issuer", "subject", "name", "note", "child", "mate", "Thing", "Person")
}
_CONTEXT: Final = {
    "@context": {
        "id": "@id",
        "type": "@type",
        **_TERMS,
        "list": {"@id": "urn:term:list", "@container": "@list"},
        "json": {"@id": "urn:term:json", "@type": "@json"},
        "graph": {"@id": "urn:term:graph", "@container": "@graph"},
        "hint": {"@id": "urn:term:hint", "@language": "en"},
        "other": {"@id": "urn:term:other", "@context": {"name": "urn:term:another-name"}},
        "at": {"@id": "urn:term:at", "@type": "http://www.w3.org/2001/XMLSchema#dateTime"},
        "DataIntegrityProof": "https://w3id.org/security#DataIntegrityProof",
        "cryptosuite": "https://w3id.org/security#cryptosuite",
        "created": "http://purl.org/dc/terms/created",
        "proofPurpose": {"@id": "https://w3id.org/security#proofPurpose", "@type": "@vocab"},
        "assertionMethod": "https://w3id.org/security#assertionMethod",
        "authentication": "https://w3id.org/security#authentication",
        "verificationMethod": {
            "@id": "https://w3id.org/security#verificationMethod",
            "@type": "@id",
        },
    }
}

KEY: Final = EcdsaSigningKey.from_secret(Curve.P256, bytes(31) + b"\7")
CONFIGURATION: Final[JsonObject] = {
    "type": "DataIntegrityProof",
    "cryptosuite": "ecdsa-sd-2023",
    "created": "2026-01-31T09:30:00Z",
    "verificationMethod": KEY.verification_method,
    "proofPurpose": "assertionMethod",
}


def contexts(url: str) -> bytes:
    assert url == CONTEXT_URL
    return json.dumps(_CONTEXT).encode()


def counting(start: int = 1) -> Any:
    """Bytes that are never the same twice, and the same in every run."""
    state = [start]

    def random(length: int) -> bytes:
        state[0] += 1
        return (
            (state[0] * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)
            .to_bytes(16, "big")
            .rjust(length, b"\5")
        )

    return random


def document() -> JsonObject:
    """Nodes with and without ids, in each other and in arrays; every leaf is a text of its own."""
    return {
        "@context": [CONTEXT_URL],
        "type": ["Thing", "Person"],
        "issuer": "leaf-issuer",
        "name": ["leaf-name-a", "leaf-name-b", "leaf-name-c"],
        "subject": {
            "id": "urn:node:subject",
            "type": "Person",
            "name": "leaf-subject",
            "note": "leaf-note",
            "child": [
                {"type": "Person", "name": "leaf-child-a", "note": "leaf-child-note"},
                {"id": "urn:node:child", "name": "leaf-child-b"},
                {"name": "leaf-child-c", "mate": {"type": "Thing", "note": "leaf-mate"}},
            ],
        },
    }


def places(value: Any, at: str = "") -> dict[str, Any]:
    """Every place below a value, by its pointer."""
    if isinstance(value, dict):
        items = [(key, inner) for key, inner in value.items() if key != "@context"]
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return {}
    found = {}
    for key, inner in items:
        found[f"{at}/{key}"] = inner
        found |= places(inner, f"{at}/{key}")
    return found


def texts(value: Any) -> set[str]:
    """Every text in a value, keys left out."""
    if isinstance(value, dict):
        return set().union(*(texts(v) for k, v in value.items() if k != "@context"), set())
    if isinstance(value, list):
        return set().union(*map(texts, value), set())
    return {value}
