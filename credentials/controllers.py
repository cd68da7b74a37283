"""Whose key it is: the key that a DID URL names, in the DID document of who controls it.

Here are the one way to it, and the one answer to what can go wrong on it, for proofs of Data
Integrity and for tokens alike.

Source: Controlled Identifiers 1.0 §3.3.
"""

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from credentials.errors import ControllerUnresolved, ProofInvalid
from did.errors import DidError, DidNotFound, DidResolutionError, MethodNotSupported
from did.keys import VerifyKey
from did.resolve import OFFLINE, Resolver

if TYPE_CHECKING:
    from did.document import VerificationMethod

# Stands where a time is asked for and cannot matter, as for keys that never change.
ANY_TIME: Final = datetime.fromisoformat("2000-01-01T00:00:00Z")

_SIGNING = frozenset({"assertionMethod", "authentication"})


def method_of(url: str, *, purpose: str, resolver: Resolver, now: datetime) -> "VerificationMethod":
    """The verification method of this name, if its DID document lists it for this, now.

    Raises ``DidError``, of which ``refusal`` says what it means for a proof.
    """
    from did.identifier import DidUrl

    document = resolver.resolve(DidUrl.parse(url).did)
    return document.method_for(url, relationship=purpose, now=now)


@lru_cache(maxsize=4096)
def key_of_did_key(method: str, purpose: str) -> VerifyKey:
    """The key of a did:key's verification method. Raises ``DidError``."""
    # The document of a did:key follows from its name, for ever: no network and no time in it. An
    # Ed25519 one lists its own key under the signing relationships; what is written out here is
    # what resolving it gives, without deriving the key for key agreement that is in it as well.
    multikey = method.rpartition("#")[2]
    if purpose in _SIGNING and method == f"did:key:{multikey}#{multikey}":
        return VerifyKey.from_multikey(multikey)
    return method_of(method, purpose=purpose, resolver=OFFLINE, now=ANY_TIME).ed25519()


def refusal(error: DidError, *, pointer: str = "") -> ControllerUnresolved | ProofInvalid:
    """What to raise for a key that was not had: ``ControllerUnresolved`` when another time or
    another resolver may find it, else ``ProofInvalid``; with the code of the error."""
    if isinstance(error, MethodNotSupported | DidNotFound | DidResolutionError):
        return ControllerUnresolved(str(error), code=error.code, hint=error.hint)
    return ProofInvalid(str(error), code=error.code, hint=error.hint, pointer=pointer)
