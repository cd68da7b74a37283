"""DID resolution as the standards name it: a result, not an exception.

Inside this project ``Resolver.resolve`` and its errors are used; this is the face for programs that
speak the standard's interface. Every error of this package has its place in a table (``ERRORS``).
DID URLs are dereferenced in ``did.dereferencing``.

Sources: DID Resolution 1.0 (Candidate Recommendation of July 2026) §4, §9 and §11; DID Core 1.0 §6
and §7.1 for media types and keywords.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from did.document import RELATIONSHIPS, DidDocument
from did.errors import DidError, TimeFormatError
from did.identifier import MAX_LENGTH, Did
from did.json import JsonObject
from did.methods.key import KeyFormat
from did.resolve import OFFLINE, Resolver
from did.time import parse_time

DID = "application/did"
DID_JSON = "application/did+json"
DID_LD_JSON = "application/did+ld+json"


class SpecError(Enum):
    """An error of the standards: keyword (DID Core 1.0 §7) and name of its type (Resolution §11).

    Keywords that DID Core 1.0 did not have yet are those of its successor's drafts.
    """

    INVALID_DID = "invalidDid"
    INVALID_DID_URL = "invalidDidUrl"
    INVALID_DID_DOCUMENT = "invalidDidDocument"
    NOT_FOUND = "notFound"
    REPRESENTATION_NOT_SUPPORTED = "representationNotSupported"
    METHOD_NOT_SUPPORTED = "methodNotSupported"
    FEATURE_NOT_SUPPORTED = "featureNotSupported"
    INVALID_OPTIONS = "invalidOptions"
    INTERNAL_ERROR = "internalError"
    # Controlled Identifiers 1.0 §3.4, for a fragment that must be a key for some use.
    INVALID_VERIFICATION_METHOD = "invalidVerificationMethod"
    INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD = "invalidRelationshipForVerificationMethod"

    @property
    def keyword(self) -> str:
        return self.value

    @property
    def type(self) -> str:
        base = "https://w3id.org/security#" if "VERIFICATION" in self.name else _DID_NAMESPACE
        return base + self.name


_DID_NAMESPACE = "https://www.w3.org/ns/did#"

# The codes of this package, in the order of did/errors.py: a code, or else its area.
ERRORS: Mapping[str, SpecError] = {
    "encoding": SpecError.INVALID_DID,
    "json": SpecError.INVALID_DID_DOCUMENT,
    "time": SpecError.INVALID_DID_DOCUMENT,
    "key": SpecError.INVALID_DID,
    "signature": SpecError.INVALID_DID_DOCUMENT,
    "did.syntax": SpecError.INVALID_DID,
    "did.web_syntax": SpecError.INVALID_DID,
    "did.jwk_syntax": SpecError.INVALID_DID,
    "did.peer_syntax": SpecError.INVALID_DID,
    "did.webvh_syntax": SpecError.INVALID_DID,
    "did.method_not_supported": SpecError.METHOD_NOT_SUPPORTED,
    "did.network_needed": SpecError.METHOD_NOT_SUPPORTED,
    "did.key_kind_not_supported": SpecError.FEATURE_NOT_SUPPORTED,
    "did.versions_not_supported": SpecError.FEATURE_NOT_SUPPORTED,
    "did.not_found": SpecError.NOT_FOUND,
    "did.version_not_found": SpecError.NOT_FOUND,
    "did.resolution": SpecError.INVALID_DID_DOCUMENT,
    "did.webvh_log": SpecError.INVALID_DID,
    "did.webvh_scid": SpecError.INVALID_DID,
    "did.webvh_proof": SpecError.INVALID_DID,
    "did.webvh_witness": SpecError.INVALID_DID,
    "did.deactivated": SpecError.NOT_FOUND,
    "did.document": SpecError.INVALID_DID_DOCUMENT,
    "did.wrong_id": SpecError.INVALID_DID_DOCUMENT,
    "did": SpecError.INTERNAL_ERROR,
}


def spec_error(error: DidError) -> SpecError:
    """What the standards call an error that stopped a resolution."""
    area = error.code.partition(".")[0]
    return ERRORS.get(error.code) or ERRORS.get(area) or SpecError.INTERNAL_ERROR


class Stop(Exception):
    """How the algorithms of the standards end early; never leaves this package."""

    def __init__(self, error: SpecError, detail: str) -> None:
        super().__init__(detail)
        self.error = error
        # RFC 9457, as Resolution §11 wants it.
        self.metadata: JsonObject = {
            "error": {"type": error.type, "title": error.keyword, "detail": detail}
        }


@dataclass(frozen=True, slots=True)
class ResolutionOptions:
    """What a caller asks for (Resolution §4.1), and one option of the did:key method.

    ``accept`` is written as the header of HTTP of that name, ``version_time`` exactly
    ``YYYY-MM-DDTHH:MM:SSZ`` (§3.1).
    """

    accept: str | None = None
    expand_relative_urls: bool = False
    version_id: str | None = None
    version_time: str | None = None
    public_key_format: KeyFormat = KeyFormat.MULTIKEY


@dataclass(frozen=True, slots=True)
class ResolutionResult:
    """Document and metadata; without a document, ``error`` says why."""

    did_document: DidDocument | None
    did_resolution_metadata: JsonObject = field(hash=False)
    did_document_metadata: JsonObject = field(hash=False)
    error: SpecError | None = None

    def to_json(self) -> JsonObject:
        """As the HTTPS binding writes it (Resolution §9)."""
        return {
            "didDocument": None if self.did_document is None else self.did_document.to_json(),
            "didResolutionMetadata": self.did_resolution_metadata,
            "didDocumentMetadata": self.did_document_metadata,
        }


def resolve(
    did: str,
    options: ResolutionOptions = ResolutionOptions(),
    *,
    resolver: Resolver = OFFLINE,
) -> ResolutionResult:
    """Resolve a DID (Resolution §4.4). Never raises: what went wrong stands in the result.

    The document's ``id`` is the DID. ``contentType`` is the form asked for, by default
    ``application/did``, or ``application/did+json`` for a document without the context of DIDs.
    A deactivated DID has metadata that say so, no document, and no error.

    What the resolver's way to fetch raises, other than the errors of this package, is an internal
    error without detail: what a network says may name addresses.
    """
    try:
        return resolve_or_stop(did, options, resolver)
    except Stop as stop:
        return ResolutionResult(None, stop.metadata, {}, stop.error)


def resolve_or_stop(text: str, options: ResolutionOptions, resolver: Resolver) -> ResolutionResult:
    """The same for who continues with the document. Raises ``Stop`` for a result with an error."""
    try:
        # 1. The grammar.
        did = Did.parse(text)
        # 2. The method.
        if did.method not in resolver.METHODS:
            raise Stop(SpecError.METHOD_NOT_SUPPORTED, "the DID method is not supported")
        # 3–4. The options. Whether a method keeps versions, it says itself in the next step.
        accepted = accepted_types(options.accept)
        version_time = _version_time(options.version_time)
        # 5. The method's own way.
        document: DidDocument | None
        if did.method == "key" and options.public_key_format is not KeyFormat.MULTIKEY:
            document, metadata = _key_in(did, options)
        else:
            document, metadata = resolver.resolve_with_metadata(
                did, version_id=options.version_id, version_time=version_time
            )
        # 6. Relative references.
        if document is not None and options.expand_relative_urls:
            document = DidDocument.parse(_expanded(document), expected=did)
    except DidError as error:
        raise Stop(spec_error(error), str(error)) from error
    except Stop:
        raise
    except Exception as error:
        raise Stop(SpecError.INTERNAL_ERROR, "the resolution failed unexpectedly") from error
    # 7. The result. A deactivated DID may have no document, and then no form either.
    if document is None:
        if metadata.get("deactivated") is not True:
            raise Stop(SpecError.INTERNAL_ERROR, "the resolution failed unexpectedly")
        return ResolutionResult(None, {}, metadata)
    kind = _representation(document, accepted)
    return ResolutionResult(document, {"contentType": kind}, metadata)


def _key_in(did: Did, options: ResolutionOptions) -> tuple[DidDocument, JsonObject]:
    from did.methods import key

    if options.version_id is not None or options.version_time is not None:
        raise Stop(SpecError.FEATURE_NOT_SUPPORTED, "a did:key has no versions")
    return key.resolve(did, public_key_format=options.public_key_format), {}


def _version_time(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_time(text)
    except TimeFormatError as error:
        raise Stop(SpecError.INVALID_OPTIONS, str(error)) from None


def accepted_types(accept: str | None) -> tuple[str, ...]:
    """The media types of an Accept header (RFC 9110 §12.5.1), best first; those of weight 0 not."""
    if accept is None:
        return ("*/*",)
    if len(accept) > MAX_LENGTH or not accept.isascii() or not accept.isprintable():
        raise Stop(SpecError.INVALID_OPTIONS, "accept is written as the header of HTTP")
    weighed: list[tuple[float, str]] = []
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                digits = parameter[2:].replace(".", "", 1)
                if not digits.isdigit() or len(digits) > 4:
                    raise Stop(SpecError.INVALID_OPTIONS, "a weight in accept is from 0 to 1")
                weight = float(parameter[2:])
        if name and weight > 0:
            weighed.append((-weight, name))
    return tuple(name for _, name in sorted(weighed, key=lambda pair: pair[0]))


def _representation(document: DidDocument, accepted: tuple[str, ...]) -> str:
    """The form of a document that is wanted most, of those that it has (DID Core §6)."""
    offered = (DID, DID_LD_JSON, DID_JSON) if document.is_json_ld else (DID_JSON,)
    for wanted in accepted:
        if wanted in ("*/*", "application/*"):
            return offered[0]
        if wanted in offered:
            return wanted
    raise Stop(
        SpecError.REPRESENTATION_NOT_SUPPORTED, "the document does not have the form asked for"
    )


def _expanded(document: DidDocument) -> JsonObject:
    base, value = str(document.id), document.to_json()
    for name in ("verificationMethod", "service", *RELATIONSHIPS):
        items = value.get(name)
        if not isinstance(items, list):
            continue
        for place, item in enumerate(items):
            if isinstance(item, str):
                items[place] = absolute(item, base)
            elif isinstance(item, dict) and isinstance(item.get("id"), str):
                item["id"] = absolute(str(item["id"]), base)
    return value


def absolute(reference: str, base: str) -> str:
    """A reference inside the document of ``base`` as a whole DID URL."""
    # DID Core §3.2.2, for the references that a document here can hold.
    return base + reference if reference.startswith("#") else reference
