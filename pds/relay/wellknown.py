"""The relay's own DID document (§7): a did:web at its origin, which names the key of its log.

It says nothing that ``GET /v1/relay`` does not; but whoever can resolve a DID finds the key that
signs receipts and stamps, and the way to the interface, without knowing this protocol.
"""

from urllib.parse import urlsplit

from did.errors import DidError
from did.identifier import Did
from did.json import JsonObject
from did.keys import VerifyKey
from did.methods.web import did_of_host

_CONTEXT: tuple[str, ...] = (
    "https://www.w3.org/ns/did/v1",
    "https://w3id.org/security/multikey/v1",
)


def did_of(url: str) -> Did | None:
    """The did:web of a relay's origin; None where there can be none: without https or a name."""
    origin = urlsplit(url)
    if origin.scheme != "https" or origin.hostname is None:
        return None
    try:
        return did_of_host(origin.hostname, port=origin.port)
    except DidError:
        return None


def document(url: str, key: VerifyKey) -> JsonObject | None:
    """The document of the relay at ``url`` (DID Core §5), if it has a DID. The key is for what the
    relay asserts: it signs in to nothing."""
    did = did_of(url)
    if did is None:
        return None
    method = f"{did}#{key.multikey}"
    return {
        "@context": list(_CONTEXT),
        "id": str(did),
        "verificationMethod": [
            {
                "id": method,
                "type": "Multikey",
                "controller": str(did),
                "publicKeyMultibase": key.multikey,
            }
        ],
        "assertionMethod": [method],
        "service": [
            {
                "id": f"{did}#relay",
                "type": "PersonalDataStoreRelay",
                "serviceEndpoint": f"{url}/v1",
            },
            {
                "id": f"{did}#openapi",
                "type": "OpenApiDescription",
                "serviceEndpoint": f"{url}/v1/openapi.json",
            },
        ],
    }
