"""What the tests of tokens share: a moment, a verifier called ``us``, and issuers on the web."""

from datetime import UTC, datetime
from typing import Any

import orjson

from credentials.jose import numeric_date
from credentials.sd_jwt_vc import VerifiedSdJwtVc, verify_sd_jwt_vc
from credentials.status import WITHOUT_STATUS
from did.json import Json, JsonObject
from did.resolve import Resolver

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
SECONDS = numeric_date(NOW)


def verify_shown(token: str, **changes: Any) -> VerifiedSdJwtVc:
    """Verify an SD-JWT VC as the one to whom it is shown, who asked with the nonce ``n``."""
    arguments: dict[str, Any] = {
        "now": NOW,
        "status": WITHOUT_STATUS,
        "expected_audience": "us",
        "expected_nonce": "n",
        **changes,
    }
    return verify_sd_jwt_vc(token, **arguments)


def binding_claims(sd_hash: str, /, **changes: Json) -> JsonObject:
    """What the holder says to ``us`` in a proof of the key; ``None`` leaves a claim out."""
    claims = {"iat": SECONDS, "aud": "us", "nonce": "n", "sd_hash": sd_hash, **changes}
    return {name: value for name, value in claims.items() if value is not None}


def document_of(did: str, key: Any, name: str | None = None) -> dict[str, Any]:
    """A DID document that lists one key for assertions, as ``#k`` unless it has another name."""
    method = {
        "id": name or f"{did}#k",
        "type": "Multikey",
        "controller": did,
        "publicKeyMultibase": key.verify_key.multikey,
    }
    return {"id": did, "assertionMethod": [method]}


def serving(document: dict[str, Any]) -> Resolver:
    """A resolver to which the web answers with this document, as it is then."""
    return Resolver(fetch=lambda _: orjson.dumps(document))
