"""The structure of any verifiable credential (VCDM 2.0 §4), whoever issued it.

Only what the standard demands is looked at, and what it leaves open is left alone: further
properties, names and descriptions in any of their language forms. What a proof or a status list
says is not looked at here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from credentials.contexts import check_foreign_context
from credentials.forms import is_url, read_date_time_stamp
from credentials.profile import refuse
from did.json import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Credential:
    """A view of a credential that has the shape of one; nothing here was verified.

    ``raw`` is the document itself, with everything that has no field here.
    """

    id: str | None
    types: tuple[str, ...]
    issuer: str
    valid_from: datetime | None
    valid_until: datetime | None
    subjects: tuple[JsonObject, ...]
    status: tuple[JsonObject, ...]
    raw: JsonObject

    @property
    def subject(self) -> JsonObject:
        """The only subject, or the first of several."""
        return self.subjects[0]

    @classmethod
    def parse(cls, document: JsonObject) -> Self:
        """Read a credential. Raises ``StructureInvalid`` or ``ContextRefused``."""
        # §4.3 contexts
        check_foreign_context(document)
        # §4.4 identifiers
        identifier = document.get("id")
        if identifier is not None and not is_url(identifier):
            refuse("id must be a URL", "/id")
        # §4.5 types
        types = read_types(document, "VerifiableCredential")
        # §4.7 issuer
        issuer = document.get("issuer")
        named = issuer.get("id") if isinstance(issuer, dict) else issuer
        if not is_url(named):
            refuse(
                "issuer must be a URL, or an object whose id is one",
                "/issuer",
                code="credential.issuer",
            )
        # §4.8 subjects
        subjects = _objects(document, "credentialSubject", _check_subject)
        if not subjects:
            refuse("missing: credentialSubject", "", code="credential.missing")
        # §4.9 validity period
        valid_from = _time(document, "validFrom")
        valid_until = _time(document, "validUntil")
        if valid_from is not None and valid_until is not None and valid_until < valid_from:
            refuse(
                "validUntil must not be before validFrom", "/validUntil", code="credential.window"
            )
        # §4.10 status, §4.11 schemas, §5.3 related resources, §5.4–5.6 the typed extensions
        status = _objects(document, "credentialStatus", _check_typed)
        _objects(document, "credentialSchema", _check_schema)
        resources = _objects(document, "relatedResource", _check_resource)
        if len({str(resource["id"]) for resource in resources}) != len(resources):
            refuse("a related resource must not be named twice", "/relatedResource")
        for name in ("evidence", "refreshService", "renderMethod", "termsOfUse"):
            _objects(document, name, _check_typed)
        return cls(identifier, types, named, valid_from, valid_until, subjects, status, document)


def read_types(document: JsonObject, required: str) -> tuple[str, ...]:
    """The ``type`` of a document, which must contain ``required`` (VCDM 2.0 §4.5)."""
    value = document.get("type")
    items = value if isinstance(value, list) else [value]
    types = tuple(item for item in items if isinstance(item, str) and item)
    if len(types) != len(items) or required not in types:
        refuse(f"type must contain {required}", "/type", code="credential.type")
    return types


def _objects(
    document: JsonObject, name: str, check: Callable[[JsonObject, str], None]
) -> tuple[JsonObject, ...]:
    value: Json = document.get(name)
    if name not in document:
        return ()
    items = value if isinstance(value, list) else [value]
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
    if not kinds or not all(isinstance(item, str) and item for item in kinds):
        refuse("there must be a type", pointer)
    if "id" in value and not is_url(value["id"]):
        refuse("an id must be a URL", pointer)


def _check_schema(value: JsonObject, pointer: str) -> None:
    _check_typed(value, pointer)
    if "id" not in value:
        refuse("a schema must have an id", pointer)


def _check_resource(value: JsonObject, pointer: str) -> None:
    if not is_url(value.get("id")):
        refuse("a related resource must have a URL as its id", pointer)
    if not any(isinstance(value.get(name), str) for name in ("digestSRI", "digestMultibase")):
        refuse("a related resource must have a digest", pointer)


def _time(document: JsonObject, name: str) -> datetime | None:
    if name not in document:
        return None
    return read_date_time_stamp(document[name], f"/{name}")
