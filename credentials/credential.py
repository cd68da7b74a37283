"""The structure of any verifiable credential or presentation, whoever made it.

VCDM 2.0 §4 and §5 in full, and VCDM 1.1 §4 for what others still issue; the first context says
which. Only what the standard demands is looked at, and what it leaves open is left alone: further
properties survive. What a proof or a status list says is not looked at here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

from credentials.contexts import CREDENTIALS_V1, check_foreign_context
from credentials.errors import PresentationInvalid
from credentials.forms import is_url, read_date_time_stamp
from credentials.profile import check_window, refuse
from did.json import Json, JsonObject

if TYPE_CHECKING:
    from credentials.envelope import Envelope

Version: TypeAlias = Literal["1.1", "2.0"]
# What each version calls the beginning and the end of the validity period.
WINDOW: Final[dict[Version, tuple[str, str]]] = {
    "1.1": ("issuanceDate", "expirationDate"),
    "2.0": ("validFrom", "validUntil"),
}

_STATUS: Final = "credentialStatus"

# BCP 47, its well-formed shape.
_LANGUAGE_TAG: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_ENVELOPED: Final = "EnvelopedVerifiableCredential"
_TYPED: Final = ("confidenceMethod", "evidence", "renderMethod", "termsOfUse")
_TEXT_KEYS: Final = frozenset({"@value", "@language", "@direction"})
# Of what a verifier has to fetch, the standard sets no limit.
_MAX_FETCHED: Final = 16
_FETCHED: Final = frozenset({"credentialStatus", "credentialSchema", "relatedResource"})
_SRI_LENGTH: Final = {"sha256": 44, "sha384": 64, "sha512": 88}  # in base64


@dataclass(frozen=True, slots=True)
class Credential:
    """A view of a credential that has the shape of one; nothing here was verified.

    ``valid_from`` and ``valid_until`` are ``issuanceDate`` and ``expirationDate`` in version 1.1.
    ``raw`` is the document itself, with everything that has no field here.
    """

    version: Version
    id: str | None
    types: tuple[str, ...]
    issuer: str
    valid_from: datetime | None
    valid_until: datetime | None
    subjects: tuple[JsonObject, ...]
    status: tuple[JsonObject, ...]
    schemas: tuple[JsonObject, ...]
    resources: tuple[JsonObject, ...]
    raw: JsonObject

    @property
    def subject(self) -> JsonObject:
        """The only subject, or the first of several."""
        return self.subjects[0]

    def check_window(self, now: datetime) -> None:
        """Refuse a credential that has not begun or is over (VCDM 2.0 §4.9). Raises
        ``TimeInvalid``."""
        check_window(self.valid_from, self.valid_until, now, WINDOW[self.version])

    @classmethod
    def parse(cls, document: JsonObject) -> Self:
        """Read a credential. Raises ``StructureInvalid`` or ``ContextRefused``."""
        # §4.3 contexts
        version = read_version(document)
        # §4.4 identifiers
        identifier = _id(document)
        # §4.5 types
        types = read_types(document, "VerifiableCredential")
        # §4.6 names and descriptions
        _check_words(document, "")
        # §4.7 issuer
        issuer = _issuer(document)
        # §4.8 subjects
        subjects = _objects(document, "credentialSubject", _check_subject)
        if not subjects:
            refuse("missing: credentialSubject", "", code="credential.missing")
        # §4.9 validity period; 1.1 §4.5 and §4.6, where the beginning is required
        first, last = WINDOW[version]
        if version == "1.1" and first not in document:
            refuse("missing: issuanceDate", "", code="credential.missing")
        # What an issuer says by the name of the other version it says as well: the narrower counts
        valid_from = _of_both(max, _time(document, "validFrom"), _time(document, "issuanceDate"))
        valid_until = _of_both(
            min, _time(document, "validUntil"), _time(document, "expirationDate")
        )
        if valid_from is not None and valid_until is not None and valid_until < valid_from:
            refuse(f"{last} must not be before {first}", f"/{last}", code="credential.window")
        # §4.10 status, §4.11 schemas, §5.3 related resources, §5.4–5.6 the typed extensions; where
        # 1.1 asks for an id that 2.0 does not, it is asked for
        identified = _check_identified if version == "1.1" else _check_typed
        status = _objects(document, _STATUS, identified)
        schemas = _objects(document, "credentialSchema", _check_identified)
        resources = _objects(document, "relatedResource", _check_resource)
        if len(resources) > 1 and len({str(its["id"]) for its in resources}) != len(resources):
            refuse("a related resource must not be named twice", "/relatedResource")
        _objects(document, "refreshService", identified)
        for name in _TYPED:
            if name in document:
                _objects(document, name, _check_typed)
        return cls(
            version,
            identifier,
            types,
            issuer,
            valid_from,
            valid_until,
            subjects,
            status,
            schemas,
            resources,
            document,
        )


@dataclass(frozen=True, slots=True)
class Presentation:
    """A view of a presentation that has the shape of one; nothing here was verified.

    ``credentials`` are as they came: each is verified on its own. Those in ``enveloped`` are
    tokens (VCDM 2.0 §4.13.1).
    """

    version: Version
    id: str | None
    types: tuple[str, ...]
    holder: str | None
    credentials: tuple[JsonObject, ...]
    enveloped: "tuple[Envelope, ...]"
    raw: JsonObject

    @classmethod
    def parse(cls, document: JsonObject) -> Self:
        """Read a presentation.

        Raises ``StructureInvalid``, ``ContextRefused``, ``PresentationInvalid``
        (``presentation.credentials``) or ``JoseInvalid`` (``jose.envelope``).
        """
        # §4.3 contexts
        version = read_version(document)
        # §4.13 id, type, holder
        identifier = _id(document)
        types = read_types(document, "VerifiablePresentation")
        holder = document.get("holder")
        named = holder.get("id") if isinstance(holder, dict) else holder
        if "holder" in document and not is_url(named):
            refuse("holder must be a URL, or an object whose id is one", "/holder")
        # §4.13 verifiableCredential: objects, and never texts in their place
        inside: list[JsonObject] = []
        enveloped = []
        at = "/verifiableCredential"
        present = document.get("verifiableCredential", [])
        for item in present if isinstance(present, list) else [present]:
            if not isinstance(item, dict):
                raise PresentationInvalid(
                    "verifiableCredential must hold objects",
                    code="presentation.credentials",
                    pointer=at,
                )
            kind = item.get("type")
            if _ENVELOPED in (kind if isinstance(kind, list) else [kind]):
                from credentials.envelope import Envelope  # who meets no token loads nothing of it

                enveloped.append(Envelope.parse(item))
            else:
                inside.append(item)
        return cls(
            version,
            identifier,
            types,
            named if isinstance(named, str) else None,
            tuple(inside),
            tuple(enveloped),
            document,
        )


def read_version(document: JsonObject) -> Version:
    """Which version of the standard a document follows. Raises ``ContextRefused``."""
    return "1.1" if check_foreign_context(document) == CREDENTIALS_V1 else "2.0"


def limits(document: JsonObject) -> tuple[str, ...]:
    """JSON pointers to what bounds a credential: its issuer, its window, its status.

    A holder who may leave these out makes it hold for ever, and nobody sees that it was withdrawn.
    """
    names = ("issuer", *WINDOW[read_version(document)], _STATUS)
    return tuple(f"/{name}" for name in names if name in document)


def read_types(document: JsonObject, required: str) -> tuple[str, ...]:
    """The ``type`` of a document, which must contain ``required`` (VCDM 2.0 §4.5)."""
    value = document.get("type")
    items = value if isinstance(value, list) else [value]
    types = tuple([item for item in items if isinstance(item, str) and item])
    if len(types) != len(items) or required not in types:
        refuse(f"type must contain {required}", "/type", code="credential.type")
    return types


def _id(document: JsonObject) -> str | None:
    if "id" not in document:
        return None
    identifier = document["id"]
    if not is_url(identifier):
        refuse("id must be a URL", "/id")
    return identifier


def _issuer(document: JsonObject) -> str:
    issuer = document.get("issuer")
    named = issuer.get("id") if isinstance(issuer, dict) else issuer
    if not is_url(named):
        refuse(
            "issuer must be a URL, or an object whose id is one",
            "/issuer",
            code="credential.issuer",
        )
    if isinstance(issuer, dict):
        _check_words(issuer, "/issuer")
    return named


def _check_words(value: JsonObject, pointer: str) -> None:
    """A name and a description are texts, with or without a language (VCDM 2.0 §11.1)."""
    for name in ("name", "description"):
        if name not in value:
            continue
        found = value[name]
        for item in found if isinstance(found, list) else [found]:
            if not _is_words(item):
                refuse(
                    f"{name} must be text, or an object with @value and a language",
                    f"{pointer}/{name}",
                )


def _is_words(item: Json) -> bool:
    if not isinstance(item, dict):
        return isinstance(item, str)
    language, direction = item.get("@language"), item.get("@direction")
    return (
        item.keys() <= _TEXT_KEYS
        and isinstance(item.get("@value"), str)
        and ("@language" not in item or _is_language(language))
        and ("@direction" not in item or direction in ("ltr", "rtl"))
    )


def _is_language(value: Json) -> bool:
    return isinstance(value, str) and _LANGUAGE_TAG.fullmatch(value) is not None


def _objects(
    document: JsonObject, name: str, check: Callable[[JsonObject, str], None]
) -> tuple[JsonObject, ...]:
    if name not in document:
        return ()
    value: Json = document[name]
    items = value if isinstance(value, list) else [value]
    if name in _FETCHED and len(items) > _MAX_FETCHED:
        refuse(f"{name} may have at most {_MAX_FETCHED} values", f"/{name}", code="credential.many")
    found = []
    for item in items:
        if not isinstance(item, dict):
            refuse(f"{name} must be an object, or a list of objects", f"/{name}")
        check(item, f"/{name}")
        found.append(item)
    if not found:
        refuse(f"{name} must not be an empty list", f"/{name}")
    return tuple(found)


def _check_subject(value: JsonObject, pointer: str) -> None:
    if not value:
        refuse("a subject must have at least one claim", pointer)
    if "id" in value and not is_url(value["id"]):
        refuse("the id of a subject must be a URL", pointer)


def _check_typed(value: JsonObject, pointer: str) -> None:
    kind = value.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if not kinds:
        refuse("there must be a type", pointer)
    for item in kinds:
        if not isinstance(item, str) or not item:
            refuse("there must be a type", pointer)
    if "id" in value and not is_url(value["id"]):
        refuse("an id must be a URL", pointer)


def _check_identified(value: JsonObject, pointer: str) -> None:
    _check_typed(value, pointer)
    if "id" not in value:
        refuse("there must be an id", pointer)


def _check_resource(value: JsonObject, pointer: str) -> None:
    if not is_url(value.get("id")):
        refuse("a related resource must have a URL as its id", pointer)
    digests = [value[name] for name in ("digestSRI", "digestMultibase") if name in value]
    if not digests or not all(isinstance(item, str) and item for item in digests):
        refuse("a related resource must have a digest", pointer)
    # Subresource Integrity §3.1: of the hashes it names, the length shows that it is none.
    for option in str(value.get("digestSRI", "")).split():
        name, _, text = option.partition("?")[0].partition("-")
        if len(text) != _SRI_LENGTH.get(name, len(text)):
            refuse("a digestSRI must be as long as its hash", pointer)


def _time(document: JsonObject, name: str) -> datetime | None:
    if name not in document:
        return None
    return read_date_time_stamp(document[name], f"/{name}")


def _of_both(
    choose: Callable[[datetime, datetime], datetime], one: datetime | None, other: datetime | None
) -> datetime | None:
    return choose(one, other) if one is not None and other is not None else one or other
