"""From a DID to its document: the table of methods, and a cache for what never changes.

Importing this loads no method and no documents, only resolving does: many programs hand a
resolver on and never come to use it.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn, Protocol

from did.errors import DidDocumentError, MethodNotSupported
from did.time import utc_now

if TYPE_CHECKING:
    from did.document import DidDocument
    from did.identifier import Did
    from did.json import JsonObject
    from did.methods.webvh import At, Proofs, Resolved


# The did:key of a P-384 key has 79 characters. Of longer ones (P-521, RSA, BLS12-381), which verify
# nothing here, none is kept: the cache of a server stays small whatever strangers ask for.
_CACHED_LENGTH = 80


class Fetch(Protocol):
    """How a document is fetched from the web: injected, because this package has no network.

    It returns the body of a 200 answer to an HTTPS GET. It must bound size and time, follow no
    redirect and refuse addresses that are not public. It raises ``DidNotFound`` when the server
    says that there is no such document, and ``DidResolutionError`` when there was no answer that
    can be used; what else it raises passes through ``resolve``.
    """

    def __call__(self, url: str) -> bytes: ...


class Resolver:
    """Resolves did:key, did:jwk and did:peer always, did:web when it was given a way to fetch, and
    did:webvh when it was given one and the proofs of its logs (``credentials.webvh.PROOFS``).

    Up to ``cache_size`` did:key documents of the kinds that can verify are kept: they cannot
    change, and are small. A did:web or did:webvh is fetched each time, so that a key its owner has
    retired is seen as retired; caching with a time limit is the business of ``fetch``. ``clock``
    says what time it is when a log is read.
    """

    METHODS = ("key", "jwk", "peer", "web", "webvh")

    def __init__(
        self,
        *,
        fetch: Fetch | None = None,
        webvh_proofs: "Proofs | None" = None,
        clock: Callable[[], datetime] = utc_now,
        cache_size: int = 1024,
    ) -> None:
        self._fetch = fetch
        self._webvh_proofs = webvh_proofs
        self._clock = clock
        self._of_key: Callable[[str], DidDocument] = lru_cache(maxsize=cache_size)(_resolve_key)

    def resolve(self, did: "Did | str") -> "DidDocument":
        """The document of a DID; its ``id`` is the DID asked for.

        Raises ``DidSyntaxError``, ``MethodNotSupported`` (``did.method_not_supported``, or
        ``did.network_needed`` without a way to fetch), and what the method raises. A did:webvh
        is what its last version says, refused (``DidDocumentError``) with ``did.deactivated`` when
        there is to be none any more, with ``did.wrong_id`` when it has moved.
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
        if parsed.method not in ("web", "webvh"):
            raise MethodNotSupported(
                f"of all DID methods, these are known here: {', '.join(self.METHODS)}"
            )
        if self._fetch is None:
            _network_needed()
        if parsed.method == "webvh":
            resolved = self._webvh(parsed)
            if resolved.deactivated:
                raise DidDocumentError(
                    "the DID was deactivated by its controller", code="did.deactivated"
                )
            return resolved.document
        from did.methods import web

        return web.resolve(parsed, self._fetch)

    def resolve_with_metadata(
        self,
        did: "Did | str",
        *,
        version_id: str | None = None,
        version_time: datetime | None = None,
    ) -> "tuple[DidDocument | None, JsonObject]":
        """The document and what its method says about it (DID Resolution §4.3).

        Only did:webvh says anything and keeps versions; of other methods, asking for one raises
        ``MethodNotSupported`` (``did.versions_not_supported``). A DID that was deactivated has no
        document unless a version is asked for.
        """
        asked = version_id is not None or version_time is not None
        if str(did).startswith("did:webvh:"):
            from did.identifier import Did
            from did.methods.webvh import At

            at = At(version_id=version_id, version_time=version_time)
            resolved = self._webvh(Did.parse(str(did)), at)
            gone = resolved.deactivated and not asked
            return None if gone else resolved.document, resolved.metadata
        if asked:
            raise MethodNotSupported(
                "the method of this DID keeps no versions", code="did.versions_not_supported"
            )
        return self.resolve(did), {}

    def _webvh(self, did: "Did", at: "At | None" = None) -> "Resolved":
        if self._fetch is None or self._webvh_proofs is None:
            _network_needed()
        from did.methods import webvh

        resolved = webvh.resolve(
            did, self._fetch, proofs=self._webvh_proofs, now=self._clock(), at=at
        )
        if resolved.document.id != did:
            raise DidDocumentError(
                "the DID has moved, and its document is about its new name",
                code="did.wrong_id",
                hint="Ask for the DID by its new name.",
            )
        return resolved


def _network_needed() -> NoReturn:
    raise MethodNotSupported(
        "a did:web or did:webvh is resolved over the network, and this resolver is offline, or"
        " has no proofs for did:webvh",
        code="did.network_needed",
        hint="Use a resolver that was given a way to fetch, and for did:webvh webvh_proofs.",
    )


def _resolve_key(text: str) -> "DidDocument":
    from did.identifier import Did
    from did.methods import key

    return key.resolve(Did.parse(text))


OFFLINE = Resolver()
"""Resolves without a network: every method but did:web and did:webvh."""
