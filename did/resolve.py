"""From a DID to its document: the table of methods, and a cache for what never changes.

Importing this loads no method and no documents, only resolving does: many programs hand a
resolver on and never come to use it.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from did.errors import MethodNotSupported

if TYPE_CHECKING:
    from datetime import datetime

    from did.document import DidDocument
    from did.identifier import Did
    from did.json import JsonObject


# The did:key of a P-384 key has 79 characters. Of longer ones (P-521, RSA, BLS12-381), which verify
# nothing here, none is kept: the cache of a server stays small whatever strangers ask for.
_CACHED_LENGTH = 80


class Fetch(Protocol):
    """How a document is fetched from the web: injected, because this package has no network.

    It returns the body of a 200 answer to an HTTPS GET. It must bound size and time, follow no
    redirect and refuse addresses that are not public; what it raises passes through ``resolve``.
    """

    def __call__(self, url: str) -> bytes: ...


class Resolver:
    """Resolves did:key, did:jwk and did:peer always, and did:web when it was given a way to fetch.

    Up to ``cache_size`` did:key documents of the kinds that can verify are kept: they cannot
    change, and are small. A did:web is fetched each time, so that a key its owner has retired is
    seen as retired; caching with a time limit is the business of ``fetch``.
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
            return (self._of_key if len(text) <= _CACHED_LENGTH else _resolve_key)(text)
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

    def resolve_with_metadata(
        self,
        did: "Did | str",
        *,
        version_id: str | None = None,
        version_time: "datetime | None" = None,
    ) -> "tuple[DidDocument | None, JsonObject]":
        """The document and what its method says about it (DID Resolution §4.3).

        Of the methods here none says anything and none keeps versions: asking for one raises
        ``MethodNotSupported`` (``did.versions_not_supported``). A method that has a history
        answers here; a DID that was deactivated may have no document.
        """
        if version_id is not None or version_time is not None:
            raise MethodNotSupported(
                "the method of this DID keeps no versions", code="did.versions_not_supported"
            )
        return self.resolve(did), {}


def _resolve_key(text: str) -> "DidDocument":
    from did.identifier import Did
    from did.methods import key

    return key.resolve(Did.parse(text))


OFFLINE = Resolver()
"""Resolves without a network: every method but did:web."""
