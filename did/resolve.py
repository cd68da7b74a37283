"""From a DID to its document: the table of methods, and a cache for what never changes.

Importing this loads no method and no documents, only resolving does: many programs hand a
resolver on and never come to use it.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from did.errors import MethodNotSupported

if TYPE_CHECKING:
    from did.document import DidDocument
    from did.identifier import Did


class Fetch(Protocol):
    """How a document is fetched from the web: injected, because this package has no network.

    It returns the body of a 200 answer to an HTTPS GET. It must bound size and time, follow no
    redirect and refuse addresses that are not public; what it raises passes through ``resolve``.
    """

    def __call__(self, url: str) -> bytes: ...


class Resolver:
    """Resolves did:key, did:jwk and did:peer always, and did:web when it was given a way to fetch.

    Up to ``cache_size`` did:key documents are kept: they cannot change, and are small. A did:web
    is fetched each time, so that a key its owner has retired is seen as retired; caching with a
    time limit is the business of ``fetch``.
    """

    METHODS = ("key", "jwk", "peer", "web")

    def __init__(self, *, fetch: Fetch | None = None, cache_size: int = 1024) -> None:
        self._fetch = fetch
        self._of_key: Callable[[str], DidDocument] = lru_cache(maxsize=cache_size)(_resolve_key)

    def resolve(self, did: "Did | str") -> "DidDocument":
        """The document of a DID; its ``id`` is the DID asked for.

        Raises ``DidSyntaxError``, ``MethodNotSupported`` (``did.method_not_supported``, or
        ``did.network_needed`` without a way to fetch), and what the method raises.
        """
        text = str(did)
        if text.startswith("did:key:"):
            return self._of_key(text)
        from did.identifier import Did

        parsed = Did.parse(text)
        if parsed.method == "jwk":
            from did.methods import jwk

            return jwk.resolve(parsed)
        if parsed.method == "peer":
            from did.methods import peer

            return peer.resolve(parsed)
        if parsed.method != "web":
            raise MethodNotSupported(
                f"of all DID methods, these are known here: {', '.join(self.METHODS)}"
            )
        if self._fetch is None:
            raise MethodNotSupported(
                "a did:web can only be resolved over the network, and this resolver is offline",
                code="did.network_needed",
                hint="Use a resolver that was given a way to fetch.",
            )
        from did.methods import web

        return web.resolve(parsed, self._fetch)


def _resolve_key(text: str) -> "DidDocument":
    from did.identifier import Did
    from did.methods import key

    return key.resolve(Did.parse(text))


OFFLINE = Resolver()
"""Resolves without a network: every method but did:web."""
