"""From a did:webvh to the places on the web that belong to it.

Source: did:webvh 1.0, "Method-Specific Identifier", "The DID to HTTPS Transformation",
"DID URL Path Resolution", "whois LinkedVP Service", "Publishing a Parallel did:web DID".

Hosts, ports and folders are narrowed as for did:web, so that a place has one name: lower case,
names of other scripts in their xn-- form, no percent-encoding but the ``%3A`` before a port.
"""

import re
from collections.abc import Sequence
from typing import Final, NoReturn

from did.errors import DidSyntaxError, MethodNotSupported
from did.identifier import Did, DidUrl, climbs
from did.json import Json, JsonObject, canonicalize, parse_object
from did.methods import web

PLACEHOLDER: Final = "{SCID}"
LOG_NAME: Final = "did.jsonl"
WITNESS_NAME: Final = "did-witness.json"
# base58btc of a SHA-256 multihash: always 46 characters, and these two first.
HASH: Final = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}")

_WELL_KNOWN: Final = "/.well-known/"
_LINKED_VP: Final = "https://identity.foundation/linked-vp/contexts/v1"


def placeholder_of(host: str, *, port: int | None = None, path: Sequence[str] = ()) -> str:
    """The name to write into the first document, before its SCID is known.

    ``did:webvh:{SCID}:example.com:people:alice``. Raises ``DidSyntaxError``
    (``did.webvh_syntax``). A segment of the path may itself be ``{SCID}``.
    """
    # An SCID keeps to the alphabet of a segment, so any stands for the one to come.
    stand_in = [segment.replace(PLACEHOLDER, "Qm") for segment in path]
    try:
        authority = web.did_of_host(host, port=port, path=stand_in).id.split(":")[0]
    except DidSyntaxError as error:
        _refuse(error)
    if "." not in host:
        _refuse()
    return ":".join(("did:webvh", PLACEHOLDER, authority, *path))


def scid_of(did: Did) -> str:
    """The self-certifying part of a did:webvh; raises as ``url_of`` does."""
    return _split(did)[0]


def url_of(did: Did) -> str:
    """The HTTPS address of the log.

    ``did:webvh:Qm…:example.com`` lies at ``https://example.com/.well-known/did.jsonl``,
    ``did:webvh:Qm…:example.com%3A8443:a:b`` at ``https://example.com:8443/a/b/did.jsonl``.
    Raises ``DidSyntaxError`` (``did.webvh_syntax``). Not checked: where the name leads to.
    """
    return _folder(did) + LOG_NAME


def witness_url_of(did: Did) -> str:
    """The HTTPS address of the witnesses' proofs, beside the log; raises as ``url_of`` does."""
    return _folder(did) + WITNESS_NAME


def did_web_of(did: Did) -> Did:
    """The did:web of the same place; raises as ``url_of`` does."""
    return _split(did)[1]


def with_services(document: JsonObject) -> JsonObject:
    """A copy of a document with the services that every did:webvh has, #files and #whois.

    A service that the controller wrote under one of these names stays in its place.
    """
    did = Did.parse(_subject(document))
    base = _folder(did).removesuffix(_WELL_KNOWN).removesuffix("/")
    present = document.get("service", [])
    services: list[Json] = list(present) if isinstance(present, list) else [present]
    names = {str(item.get("id")) for item in services if isinstance(item, dict)}
    implicit: tuple[JsonObject, ...] = (
        {"id": "#files", "type": "relativeRef", "serviceEndpoint": base},
        {
            "@context": _LINKED_VP,
            "id": "#whois",
            "type": "LinkedVerifiablePresentation",
            "serviceEndpoint": base + "/whois.vp",
        },
    )
    services += [s for s in implicit if names.isdisjoint({str(s["id"]), f"{did}{s['id']}"})]
    return {**document, "service": services}


def resource_url_of(document: JsonObject, path: str) -> str:
    """Where the DID URL path ``/…`` of a document's subject lies: its #files, or its #whois.

    Raises ``DidSyntaxError``: ``did.webvh_syntax`` when the service that answers for the path has
    no single https endpoint, or the path climbs out of it; ``did.syntax`` for what is no path.
    """
    did = _subject(document)
    name = "#whois" if path == "/whois" else "#files"
    services: Json = with_services(document)["service"]
    for service in services if isinstance(services, list) else []:
        if isinstance(service, dict) and service.get("id") in (name, did + name):
            endpoint = service.get("serviceEndpoint")
            if (
                isinstance(endpoint, str)
                and endpoint.startswith("https://")
                and path.startswith("/")
                and DidUrl.parse(did + path).path == path
                and not climbs(path)
            ):
                return endpoint if name == "#whois" else endpoint.removesuffix("/") + path
    raise DidSyntaxError(
        "the path of this DID URL leads to no place on the web", code="did.webvh_syntax"
    )


def did_web_document(document: JsonObject) -> JsonObject:
    """The document to publish as ``did.json`` for those who only know did:web.

    Who resolves that has no history and no proof: it is worth what its web server is worth.
    """
    did = Did.parse(_subject(document))
    scid, web_did = _split(did)
    old, new = f"did:webvh:{scid}:".encode(), b"did:web:"
    renamed = parse_object(canonicalize(with_services(document)).replace(old, new))
    names = renamed.get("alsoKnownAs", [])
    known = [*(names if isinstance(names, list) else [names]), str(did)]
    renamed["alsoKnownAs"] = [n for n in dict.fromkeys(map(str, known)) if n != str(web_did)]
    return renamed


def _subject(document: JsonObject) -> str:
    subject = document.get("id")
    if not isinstance(subject, str):
        _refuse()
    return subject


def _folder(did: Did) -> str:
    return web.url_of(_split(did)[1]).removesuffix("did.json")


def _split(did: Did) -> tuple[str, Did]:
    if did.method != "webvh":
        raise MethodNotSupported("this is not a did:webvh")
    scid, _, place = did.id.partition(":")
    if HASH.fullmatch(scid) is None or not place or "." not in place.partition(":")[0]:
        _refuse()
    web_did = Did("web", place)
    try:
        web.url_of(web_did)
    except DidSyntaxError as error:
        _refuse(error)
    return scid, web_did


def _refuse(cause: DidSyntaxError | None = None) -> NoReturn:
    raise DidSyntaxError(
        "a did:webvh consists of its SCID, a host name in lower case and folders",
        code="did.webvh_syntax",
        hint="It looks like did:webvh:Qm…:example.com:folder, with a port as %3A8443.",
    ) from cause
