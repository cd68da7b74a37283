"""What every cryptosuite is to the rest of the package, and the document that proofs are over.

A suite knows how a document becomes bytes, which keys it takes and what a ``proofValue`` looks
like. Whose key it is, what the proof is for and what time it is are looked at elsewhere.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from credentials.contexts import Contexts
from credentials.errors import ProofInvalid, StructureInvalid
from did.errors import JsonError
from did.json import MAX_BYTES, JsonObject, canonicalize

if TYPE_CHECKING:
    from did.document import VerificationMethod

# Documents made canonical in RDF for one verification: a set of proofs may ask for one with each
# hash, and for more in a chain; each may cost what the limits of ``rdfc`` allow.
MAX_CANONICALISED: Final = 3
# How often the canonical JSON may be made for one verification: each proof of a chain is over
# another document, that is about as long. Short ones may be made more often.
MAX_FORMS: Final = 3
MAX_JSON: Final = MAX_FORMS * MAX_BYTES


class Budget:
    """What one verification may still spend on canonical forms, over all its proofs."""

    __slots__ = ("_left", "_most", "_spent")

    def __init__(self) -> None:
        self._left = MAX_CANONICALISED
        self._most = MAX_JSON
        self._spent = 0

    def spend(self) -> None:
        """Count one document. Raises ``ProofInvalid`` (``proof.many``)."""
        self._left -= 1
        if self._left < 0:
            raise ProofInvalid(
                "the proofs are over too many different forms of the document in RDF",
                code="proof.many",
                hint=f"At most {MAX_CANONICALISED} are made canonical for one verification.",
                pointer="/proof",
            )

    def spend_bytes(self, count: int) -> None:
        """Count the canonical JSON of a document. Raises ``ProofInvalid`` (``proof.many``)."""
        # How long a document may be was decided when it was read.
        self._most = max(self._most, 0 if self._spent else MAX_FORMS * count)
        self._spent += count
        if self._spent > self._most:
            raise ProofInvalid(
                "the proofs are over too many long forms of the document",
                code="proof.many",
                hint=f"At most {self._most} bytes are hashed for one verification.",
                pointer="/proof",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Signed:
    """A document as proofs are over it. Each hash of it is made once, whoever asks."""

    document: JsonObject
    contexts: Contexts
    budget: Budget
    _hashes: dict[str, bytes] = field(default_factory=dict)

    def json_hash(self, hash_name: str = "sha256") -> bytes:
        """The hash of the canonical JSON.

        Raises ``StructureInvalid`` (``json.*``) or ``ProofInvalid`` (``proof.many``).
        """
        key = f"json {hash_name}"
        found = self._hashes.get(key)
        if found is None:
            try:
                octets = canonicalize(self.document)
            except JsonError as error:
                raise StructureInvalid(str(error), code=error.code, hint=error.hint) from None
            self.budget.spend_bytes(len(octets))
            found = self._hashes[key] = hashlib.new(hash_name, octets).digest()
        return found

    def once(self, name: str, make: Callable[[], bytes]) -> bytes:
        """What ``make`` gave when it was first asked for by this name; counted as one document."""
        found = self._hashes.get(name)
        if found is None:
            self.budget.spend()
            found = self._hashes[name] = make()
        return found


@dataclass(frozen=True, slots=True)
class Suite:
    """One cryptosuite.

    ``over_rdf``: whether a proof is over the RDF of a document, and not its JSON. ``experimental``:
    it adds to the proofs of others and never counts by itself. ``derives``: its proof value is for
    a holder, who derives from it what is shown.

    ``read_key`` takes the key from a verification method (raises ``DidError``). ``create`` gives a
    proof value; ``verify`` raises ``ProofInvalid`` unless the proof holds. Both get the proof
    without its value in what is signed, and for a suite over RDF with the document's ``@context``.
    """

    name: str
    signing_key: type
    verify_key: type
    read_key: Callable[["VerificationMethod"], Any]
    create: Callable[[Signed, JsonObject, Any, Sequence[str]], str]
    verify: Callable[[Signed, JsonObject, Any], None]
    over_rdf: bool = False
    experimental: bool = False
    derives: bool = False
