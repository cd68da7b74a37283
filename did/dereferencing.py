"""DID URL dereferencing as the standard names it: a document, a part of one, or addresses.

A DID URL with a path, or with a query that selects no service and no version, is ``notFound``: no
method here gives it a meaning.

Source: DID Resolution 1.0 (Candidate Recommendation of July 2026) §3, §5 and §13.7.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urljoin, urlsplit

from did.document import RELATIONSHIPS, DidDocument, Service
from did.errors import DidError
from did.identifier import DidUrl, climbs
from did.json import JsonObject
from did.resolution import (
    ResolutionOptions,
    SpecError,
    Stop,
    absolute,
    accepted_types,
    resolve_or_stop,
)
from did.resolve import OFFLINE, Resolver

URI_LIST = "text/uri-list"

# What a query may hold that selects no service, and one that does.
_VERSIONS = frozenset({"versionId", "versionTime"})
_PARAMETERS = (_VERSIONS, _VERSIONS | {"service", "serviceType", "relativeRef"})
# RFC 3986 §4.2 without a scheme: no colon before the first slash, question or number sign.
_CHARACTER = r"[A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2}"
_RELATIVE = re.compile(rf"(?:{_CHARACTER})*(?:[/?#](?:{_CHARACTER}|[:/?#])*)?")
# Two of what a server may take for a slash: a host follows.
_HOST = re.compile("(?:/|%2f|%5c){2}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DereferencingOptions:
    """What a caller asks for (Resolution §5.1).

    With ``accept`` ``text/uri-list`` a DID URL that selects services gives their addresses. With
    ``verification_relationship`` a fragment must name a key that stands under it.
    """

    accept: str | None = None
    verification_relationship: str | None = None


@dataclass(frozen=True, slots=True)
class DereferencingResult:
    """What a DID URL names: a document, a part of one, or a tuple of addresses."""

    content: JsonObject | tuple[str, ...] | None = field(hash=False)
    dereferencing_metadata: JsonObject = field(hash=False)
    content_metadata: JsonObject = field(hash=False)
    error: SpecError | None = None


def dereference(
    did_url: str,
    options: DereferencingOptions = DereferencingOptions(),
    *,
    resolver: Resolver = OFFLINE,
) -> DereferencingResult:
    """Dereference a DID URL (Resolution §5.4). Never raises: what went wrong stands in the result.

    - a DID alone: its document
    - ``#fragment``: the method or service of that id, with the document's context
    - ``?service=`` and ``?serviceType=``: the document with these services alone, or their
      addresses, to which ``relativeRef`` is applied (RFC 3986 §5) and a fragment added

    An address is a place that the controller names; nothing here goes there. ``relativeRef`` must
    stay on the endpoint's host: one that names another, or climbs with dots, is refused.
    """
    try:
        return _dereference(did_url, options, resolver)
    except Stop as stop:
        return DereferencingResult(None, stop.metadata, {}, stop.error)


def _dereference(
    text: str, options: DereferencingOptions, resolver: Resolver
) -> DereferencingResult:
    # 1. The grammar, and the parameters (§3.2): a repeated one would be read in two ways.
    try:
        url = DidUrl.parse(text)
    except DidError as error:
        raise Stop(SpecError.INVALID_DID_URL, str(error)) from error
    parameters = _parameters(url.query)
    if options.verification_relationship not in (None, *RELATIONSHIPS):
        raise Stop(SpecError.INVALID_OPTIONS, "this is not a verification relationship")
    if options.verification_relationship is not None and url.fragment is None:
        raise Stop(SpecError.INVALID_OPTIONS, "a key is named by a fragment")
    listed = "text/uri-list" in accepted_types(options.accept)
    # 2–4. The document.
    resolved = resolve_or_stop(
        str(url.did),
        ResolutionOptions(
            accept=None if listed else options.accept,
            version_id=parameters.get("versionId"),
            version_time=parameters.get("versionTime"),
        ),
        resolver,
    )
    document = resolved.did_document
    if document is None:
        return DereferencingResult(None, {}, resolved.did_document_metadata)
    # 5–8. The resource. A parameter unknown here, such as a hash of the resource, would be a
    # promise not kept, whatever stands beside it.
    selects = not {"service", "serviceType"}.isdisjoint(parameters)
    if url.path or not _PARAMETERS[selects].issuperset(parameters):
        raise Stop(SpecError.NOT_FOUND, "no DID method here gives meaning to such a DID URL")
    value = document.to_json()
    selected = _selected(document, parameters) if selects else {}
    if listed:
        if not selects:
            raise Stop(
                SpecError.REPRESENTATION_NOT_SUPPORTED, "only services have a list of addresses"
            )
        places = _addresses(selected.values(), parameters.get("relativeRef"), url.fragment)
        return DereferencingResult(places, {"contentType": URI_LIST}, {})
    if selects:
        value["service"] = [value["service"][place] for place in selected]  # type: ignore[index]
    if url.fragment is None:
        return DereferencingResult(
            value, resolved.did_resolution_metadata, resolved.did_document_metadata
        )
    # §5.4.2. The secondary resource: the part of the document that is named so.
    part = _part(value, f"{url.did}#{url.fragment}")
    if options.verification_relationship is not None:
        _check_relationship(document, str(part["id"]), options.verification_relationship)
    return DereferencingResult(part, resolved.did_resolution_metadata, {})


def _parameters(query: str | None) -> dict[str, str]:
    # §3.2.2: a parameter given twice would be read in two ways. "+" is no space here.
    pairs = [part.partition("=") for part in query.split("&")] if query else []
    try:
        parameters = {
            unquote(name, errors="strict"): unquote(value, errors="strict")
            for name, _, value in pairs
        }
    except UnicodeDecodeError:
        raise Stop(SpecError.INVALID_DID_URL, "a DID URL is percent-encoded UTF-8") from None
    if len(parameters) != len(pairs):
        raise Stop(SpecError.INVALID_DID_URL, "a DID URL must not give a parameter twice")
    return parameters


def _selected(document: DidDocument, parameters: Mapping[str, str]) -> dict[int, Service]:
    """The services that the parameters select, by their place in the document."""
    name, kind = parameters.get("service"), parameters.get("serviceType")
    if name is not None and not name.startswith("did:"):
        name = f"{document.id}#{name.removeprefix('#')}"
    found = {
        place: service
        for place, service in enumerate(document.services)
        if (name is None or service.id == name) and (kind is None or kind in service.type)
    }
    if not found:
        raise Stop(SpecError.NOT_FOUND, "the document has no such service")
    return found


def _addresses(
    services: Iterable[Service], relative: str | None, fragment: str | None
) -> tuple[str, ...]:
    places: list[str] = []
    for service in services:
        endpoint = service.endpoint
        for place in endpoint if isinstance(endpoint, list) else [endpoint]:
            if isinstance(place, str):
                places.append(_joined(place, relative, fragment))
    return tuple(places)


def _joined(place: str, relative: str | None, fragment: str | None) -> str:
    if relative is not None:
        _check_relative(relative)
        try:
            scheme = urlsplit(place).scheme
        except ValueError:  # an address in brackets that is none
            scheme = ""
        if scheme not in ("http", "https"):
            raise Stop(SpecError.NOT_FOUND, "relativeRef needs an endpoint on the web")
        place = urljoin(place, relative)
    if fragment is not None:
        if "#" in place:
            raise Stop(SpecError.INVALID_DID_URL, "the address has a fragment of its own")
        place = f"{place}#{fragment}"
    return place


def _check_relative(relative: str) -> None:
    # §13.7.1: a reference that names a host, or climbs, leads out of what the controller offers.
    if (
        _RELATIVE.fullmatch(relative) is None
        or _HOST.match(relative) is not None
        or climbs(re.split("[?#]", relative, maxsplit=1)[0])
    ):
        raise Stop(SpecError.INVALID_DID_URL, "relativeRef must stay within the endpoint")


def _part(value: JsonObject, name: str) -> JsonObject:
    base = str(value["id"])
    context = {"@context": value["@context"]} if "@context" in value else {}
    for place in ("verificationMethod", *RELATIONSHIPS, "service"):
        for item in value.get(place, ()):  # type: ignore[union-attr]
            if isinstance(item, dict) and absolute(str(item.get("id")), base) == name:
                return context | item | {"id": name}
    raise Stop(SpecError.NOT_FOUND, "the document has no part of this name")


def _check_relationship(document: DidDocument, name: str, relationship: str) -> None:
    if name in [service.id for service in document.services]:
        raise Stop(SpecError.INVALID_VERIFICATION_METHOD, "the part is not a key")
    if name not in [method.id for method in document.relationship(relationship)]:
        raise Stop(
            SpecError.INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD,
            "the key may not be used for this",
        )
