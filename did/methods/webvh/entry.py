"""One entry of a log: what it is hashed and signed over, and who signed it.

Source: did:webvh 1.0, "The DID Log File", "SCID Generation and Verification", "Entry Hash
Generation and Verification", "Authorized Keys", "Pre-Rotation Key Hash Generation and
Verification".
"""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Final, NoReturn, Protocol

from did.errors import DidLogError, JsonError, KeyFormatError, SignatureInvalid
from did.json import Json, JsonObject, canonicalize, parse_object
from did.keys import SigningKey, VerifyKey
from did.methods.webvh.names import PLACEHOLDER
from did.multikey import base58btc_multihash

SUITE: Final = "eddsa-jcs-2022"
MAX_PROOFS: Final = 8

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|\+00:00)"
)
_PROOF = {
    "type": "DataIntegrityProof",
    "cryptosuite": SUITE,
    "proofPurpose": "assertionMethod",
}
_PROOF_MEMBERS = frozenset({*_PROOF, "created", "id", "proofValue", "verificationMethod"})


class Proofs(Protocol):
    """eddsa-jcs-2022, injected, because this package knows no credentials.

    Documents are objects without a proof. ``credentials.webvh.PROOFS`` is one.
    """

    def hash_document(self, document: JsonObject) -> bytes:
        """What a proof is over, of a document: apart, because one may have several proofs."""

    def verify(self, document_hash: bytes, proof: JsonObject, key: VerifyKey) -> None:
        """Return if this key made this proof over this document; else ``SignatureInvalid``."""

    def sign(self, document: JsonObject, key: SigningKey, *, created: datetime) -> JsonObject:
        """A proof for ``assertionMethod`` by the key's did:key."""


def key_hash(multikey: str) -> str:
    """What ``nextKeyHashes`` holds of a key that is to come."""
    return base58btc_multihash(multikey.encode())


def entry_hash(entry: JsonObject, predecessor: str) -> str:
    """The hash of an entry without its proof, after the ``versionId`` before it (or the SCID)."""
    return base58btc_multihash(canonicalize({**entry, "versionId": predecessor}))


def scid_of_entry(entry: JsonObject, scid: str) -> str:
    """The SCID that a first entry without its proof should have, in which it says ``scid``.

    Raises ``DidLogError`` (``did.webvh_scid``) when the entry holds the placeholder itself: then
    two entries would have one SCID.
    """
    text = canonicalize({**entry, "versionId": scid})
    if PLACEHOLDER.encode() in text:
        raise DidLogError("the first entry still has the placeholder", code="did.webvh_scid")
    try:
        # Read again, because names of members change too, and with them their order.
        before = parse_object(text.replace(scid.encode(), PLACEHOLDER.encode()))
    except JsonError:
        raise DidLogError("the first entry has a name twice", code="did.webvh_scid") from None
    return base58btc_multihash(canonicalize(before))


def read_time(value: Json) -> datetime:
    """A ``versionTime``: UTC, with or without fractions of a second. Raises ``DidLogError``."""
    if isinstance(value, str) and _TIME.fullmatch(value) is not None:
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise DidLogError("versionTime must be a time in UTC, written YYYY-MM-DDTHH:MM:SSZ")


def check_proofs(entry: JsonObject, proof: Json, active: Collection[str], proofs: Proofs) -> None:
    """Raise ``DidLogError`` (``did.webvh_proof``) unless the entry has a proof, and all hold.

    A further proof by somebody else is refused like a wrong one: it could be put there by anyone.
    """
    members = proof if isinstance(proof, list) else [proof]
    if not 1 <= len(members) <= MAX_PROOFS:
        _refuse(f"an entry must have from one to {MAX_PROOFS} proofs")
    # Once for all of its proofs: an entry may be large, and is written by who may be hostile.
    document_hash = proofs.hash_document(entry)
    for member in members:
        check_proof(document_hash, member, active, proofs)


def check_proof(document_hash: bytes, proof: Json, active: Collection[str], proofs: Proofs) -> str:
    """The Multikey that made one proof, which is among those ``active``, and which holds.

    Raises ``DidLogError`` (``did.webvh_proof``).
    """
    # 1. What the proof says of itself. A member whose meaning would be passed over, such as an
    #    end of its validity, is refused; who may sign is decided by the log and not by a time.
    if not isinstance(proof, dict) or not proof.keys() <= _PROOF_MEMBERS:
        _refuse("a proof must be an object with the members of eddsa-jcs-2022")
    if any(proof.get(name) != value for name, value in _PROOF.items()):
        _refuse("a proof must be of eddsa-jcs-2022, for assertionMethod")
    # 2. Whose it is: both halves of the did:key method name one key.
    method = proof.get("verificationMethod")
    multikey = method.rpartition("#")[2] if isinstance(method, str) else ""
    if method != f"did:key:{multikey}#{multikey}" or multikey not in active:
        _refuse("the key of a proof is not among those that may sign here")
    # 3. That it holds.
    try:
        proofs.verify(document_hash, proof, VerifyKey.from_multikey(multikey))
    except (SignatureInvalid, KeyFormatError):
        _refuse("a proof does not hold")
    return multikey


def _refuse(reason: str) -> NoReturn:
    raise DidLogError(reason, code="did.webvh_proof")
