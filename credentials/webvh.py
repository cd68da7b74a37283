"""The proofs of a did:webvh log, for ``did``, which has no proofs of its own.

A log's entries and its witnesses' approvals are signed with eddsa-jcs-2022, as our grants are.
"""

from datetime import datetime
from typing import Final

from credentials.errors import ProofInvalid, StructureInvalid
from credentials.suites import eddsa_jcs
from did.errors import SignatureInvalid
from did.json import JsonObject
from did.keys import SigningKey, VerifyKey


class EddsaJcsProofs:
    """eddsa-jcs-2022 as ``did.methods.webvh.Proofs``; not checked: what a proof says of itself."""

    def hash_document(self, document: JsonObject) -> bytes:
        """What a proof is over, of a document without a proof."""
        return eddsa_jcs.hash_document(document)

    def verify(self, document_hash: bytes, proof: JsonObject, key: VerifyKey) -> None:
        """Return if this key made this proof over this document; else ``SignatureInvalid``."""
        try:
            eddsa_jcs.verify_value(proof, document_hash, key)
        except (ProofInvalid, StructureInvalid) as error:
            raise SignatureInvalid(str(error)) from error

    def sign(self, document: JsonObject, key: SigningKey, *, created: datetime) -> JsonObject:
        """A proof for ``assertionMethod`` by the key's did:key."""
        # Loaded by who signs: to verify a log takes the suite alone.
        from credentials.proof import sign_object

        proof = sign_object(document, key, created=created)["proof"]
        if not isinstance(proof, dict):
            raise TypeError("an object with one proof more has one proof")
        return proof


PROOFS: Final = EddsaJcsProofs()
