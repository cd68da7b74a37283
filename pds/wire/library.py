"""``http-message-signatures`` with our keys, our clock and the components of our profile only.

The library is a general one, so it is held tightly here: its Ed25519 is ours (``did.keys``), its
clock is switched off, and of a request it sees four components. It is loaded at the first
signature, not at import: it takes longer to load than all of ours.

What it has verified is not yet our profile; ``signatures.verify_request`` sees to that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from did.keys import SigningKey, VerifyKey


def key_of(did: str) -> VerifyKey:
    """The key of a did:key, without a fragment. Raises ``KeyFormatError``."""
    return VerifyKey.from_multikey(did.removeprefix("did:key:") if did[:8] == "did:key:" else "")


@dataclass(slots=True)
class Message:
    """A request in the shape that the library asks for."""

    method: str
    url: str
    headers: dict[str, str]


class _Components:
    """The values of the four components; the library's own resolver knows many more.

    ``@target-uri`` is taken as it is: both sides say it in the same spelling.
    """

    def __init__(self, message: Message) -> None:
        headers = {name.lower(): value for name, value in message.headers.items()}
        self._values = {
            "@method": message.method,
            "@target-uri": message.url,
            "content-digest": headers["content-digest"],
            "pds-epoch": headers["pds-epoch"],
        }

    def resolve(self, component: Any) -> str:
        # One with parameters is not one of ours; ``verify_request`` sees that, in its step 6.
        return self._values[component.value]


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Hands the library our keys: the secret one to sign, the keyid's own to verify."""

    secret: SigningKey | None = None

    def resolve_private_key(self, _key_id: str) -> SigningKey | None:
        return self.secret

    def resolve_public_key(self, key_id: str) -> VerifyKey:
        return key_of(key_id)


@dataclass(frozen=True, slots=True)
class Library:
    """What signs, and what verifies, with the keys that it is given."""

    signer: Callable[[OwnKey], Any]
    verifier: Callable[[OwnKey], Any]


@lru_cache(maxsize=1)
def library() -> Library:
    """The library, loaded at the first call."""
    import http_message_signatures as theirs

    class Ed25519(theirs.HTTPSignatureAlgorithm):  # type: ignore[misc]
        """RFC 9421 §3.3.6, by the one verifier of this project."""

        algorithm_id = "ed25519"

        def __init__(self, public_key: Any = None, private_key: Any = None) -> None:
            self._public, self._private = public_key, private_key

        def sign(self, message: bytes) -> bytes:
            signature: bytes = self._private.sign(message)
            return signature

        def verify(self, signature: bytes, message: bytes) -> None:
            self._public.verify(signature, message)

    class Verifier(theirs.HTTPMessageVerifier):  # type: ignore[misc]
        def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
            """The library reads the system's clock here; ``verify_request`` uses the caller's."""

    def signer(key: OwnKey) -> Any:
        return theirs.HTTPMessageSigner(
            signature_algorithm=Ed25519, key_resolver=key, component_resolver_class=_Components
        )

    def verifier(key: OwnKey) -> Any:
        return Verifier(
            signature_algorithm=Ed25519, key_resolver=key, component_resolver_class=_Components
        )

    return Library(signer=signer, verifier=verifier)
