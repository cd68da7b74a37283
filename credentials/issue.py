"""Issuing a verifiable credential of any kind."""

from datetime import datetime, timedelta

from credentials.contexts import CREDENTIALS_V2
from credentials.credential import Credential
from credentials.proof import sign_object
from credentials.ticket import new_urn
from did.json import JsonObject
from did.keys import SigningKey
from did.time import format_time


def issue_credential(
    unsigned: JsonObject,
    key: SigningKey,
    *,
    now: datetime,
    verification_method: str | None = None,
    valid_for: timedelta | None = None,
) -> JsonObject:
    """Complete, check and sign a credential (VCDM 2.0 §4, eddsa-jcs-2022).

    Filled in where absent: ``@context``, ``id``, ``type``, ``issuer`` (the did:key of ``key``),
    ``validFrom`` (``now``), and with ``valid_for`` also ``validUntil``. A verifier accepts it only
    if the issuer's DID document lists the key under ``assertionMethod``.

    Raises ``StructureInvalid`` or ``ContextRefused`` for what would not verify, and
    ``ProofInvalid`` (``proof.present``).
    """
    document: JsonObject = {
        "@context": [CREDENTIALS_V2],
        "id": new_urn(),
        "type": ["VerifiableCredential"],
        "issuer": key.did,
        "validFrom": format_time(now),
        **unsigned,
    }
    if valid_for is not None and "validUntil" not in document:
        document["validUntil"] = format_time(now + valid_for)
    Credential.parse(document)
    return sign_object(document, key, created=now, verification_method=verification_method)
