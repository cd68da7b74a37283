"""The company's identity: a did:web, its signing keys, and the document that lists them.

Keys are named by themselves (``did:web:shop.example#z6Mk…``). A key that was replaced stays in
the document with the time from which it no longer counts, so that nobody mistakes it for unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from did.errors import DidError
from did.identifier import Did
from did.json import Json, JsonObject
from did.keys import SigningKey
from did.methods.web import url_of
from did.time import format_time
from pds.company.errors import CompanyError
from pds.company.store.rows import KeyRow

GRACE = timedelta(days=30)
"""How long a replaced key still counts: for requests and messages that are on their way."""

_CONTEXT: tuple[str, ...] = (
    "https://www.w3.org/ns/did/v1",
    "https://w3id.org/security/multikey/v1",
)


@dataclass(frozen=True, slots=True)
class Signer:
    """The key that signs now, and the verification method by which others find it."""

    key: SigningKey
    verification_method: str


def check_did(text: str) -> str:
    """Return the did:web; else ``CompanyError`` (``company.did``)."""
    try:
        url_of(Did.parse(text))
    except DidError as error:
        raise CompanyError(
            "a company is known by a did:web of its own domain",
            code="company.did",
            hint="For shop.example it is did:web:shop.example.",
        ) from error
    return text


def signer(did: str, keys: Sequence[KeyRow]) -> Signer:
    """The newest key, which is the one in use; ``company.damaged`` when it is not there."""
    if not keys or keys[-1].seed is None:
        raise CompanyError(
            "the company has lost its signing key",
            code="company.damaged",
            hint="Restore a backup of its folder.",
        )
    key = SigningKey.from_seed(keys[-1].seed)
    return Signer(key, method_id(did, key.verify_key.multikey))


def method_id(did: str, multikey: str) -> str:
    """The DID URL of a key in the company's document."""
    return f"{did}#{multikey}"


def document(did: str, keys: Sequence[KeyRow]) -> JsonObject:
    """The DID document (Controlled Identifiers 1.0 §2): each key as Multikey, for assertions and
    authentication; replaced ones with ``expires``, compromised ones with ``revoked``."""
    methods: list[Json] = []
    for row in keys:
        method: JsonObject = {
            "id": method_id(did, row.multikey),
            "type": "Multikey",
            "controller": did,
            "publicKeyMultibase": row.multikey,
        }
        if row.expires is not None:
            method["expires"] = format_time(row.expires)
        if row.revoked is not None:
            method["revoked"] = format_time(row.revoked)
        methods.append(method)
    listed: list[Json] = [method_id(did, row.multikey) for row in keys]
    return {
        "@context": list(_CONTEXT),
        "id": did,
        "verificationMethod": methods,
        "authentication": listed,
        "assertionMethod": list(listed),
    }
