"""What relay and clients share on the wire.

    ids         ids, capabilities and relay addresses
    signatures  requests that are the act of a key's owner (RFC 9421), by way of ``library``
    objects     manifests, answers, a relay's description of itself, read by way of ``forms``
    codes       the reasons of a refusal, and problem details (RFC 9457)

Nothing here keeps state or opens a connection.
"""

from did.json import MAX_INTEGER
from pds.wire.codes import HTTP_STATUS, TITLES, RelayCode, WireError, problem
from pds.wire.ids import Random, capability_hash, check_id, new_capability, new_id, parse_relay_url
from pds.wire.objects import MAX_SEALED, MIB, SEAL, WHOLE, Answer, Manifest, RelayInfo
from pds.wire.signatures import (
    SIGNATURE_LIFETIME,
    SKEW,
    RequestSignature,
    content_digest,
    sign_request,
    verify_request,
)

__all__ = [
    "HTTP_STATUS",
    "MAX_INTEGER",
    "MAX_SEALED",
    "MIB",
    "SEAL",
    "SIGNATURE_LIFETIME",
    "SKEW",
    "TITLES",
    "WHOLE",
    "Answer",
    "Manifest",
    "Random",
    "RelayCode",
    "RelayInfo",
    "RequestSignature",
    "WireError",
    "capability_hash",
    "check_id",
    "content_digest",
    "new_capability",
    "new_id",
    "parse_relay_url",
    "problem",
    "sign_request",
    "verify_request",
]
