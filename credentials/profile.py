"""What every credential of ours has in common, whichever it is: grant, ticket or status list.

These checks are flat and by hand: each property is named once, and what is not named is refused.
"""

from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple, NoReturn

from credentials.errors import StructureInvalid, TimeInvalid
from credentials.forms import is_did, read_time
from credentials.proof import SKEW
from did.json import Json, JsonObject

HEAD = frozenset(
    {
        "@context",
        "credentialSubject",
        "id",
        "issuer",
        "proof",
        "type",
        "validFrom",
        "validUntil",
    }
)
HEAD_WITH_STATUS = HEAD | {"credentialStatus"}


class Head(NamedTuple):
    """The part of a credential that all kinds share."""

    id: str
    issuer: str
    valid_from: datetime
    valid_until: datetime
    subject: JsonObject


def read_head(document: JsonObject, *, kind: str, keys: AbstractSet[str] = HEAD) -> Head:
    """Read the top level of a credential of ours (VCDM 2.0 §4): exactly ``keys``, of type ``kind``.

    ``@context`` and ``proof`` are left to the verification of the proof. Raises
    ``StructureInvalid`` (``credential.type``, ``credential.property``, …).
    """
    # 1. The kind first: a ticket shown as a grant is told so.
    types = document.get("type")
    if types not in (["VerifiableCredential", kind], [kind, "VerifiableCredential"]):
        refuse(f"type must be VerifiableCredential and {kind}", "/type", code="credential.type")
    # 2. Nothing unknown, nothing missing.
    check_keys(document, keys, "")
    # 3. The values that all kinds have.
    identifier, issuer, subject = document["id"], document["issuer"], document["credentialSubject"]
    if not isinstance(identifier, str):
        refuse("id must be text", "/id")
    if not isinstance(issuer, str) or not is_did(issuer):
        refuse("issuer must be a DID", "/issuer", code="credential.issuer")
    if not isinstance(subject, dict):
        refuse("credentialSubject must be one object", "/credentialSubject")
    valid_from = read_time(document["validFrom"], "/validFrom")
    valid_until = read_time(document["validUntil"], "/validUntil")
    if valid_until <= valid_from:
        refuse("validUntil must be later than validFrom", "/validUntil", code="credential.window")
    return Head(identifier, issuer, valid_from, valid_until, subject)


def check_keys(
    value: JsonObject,
    required: AbstractSet[str],
    pointer: str,
    optional: AbstractSet[str] = frozenset(),
) -> None:
    """Refuse an object that lacks a required property or has one that is not known."""
    if value.keys() == required:
        return
    if not required <= value.keys():
        missing = ", ".join(sorted(required - value.keys()))
        refuse(f"missing: {missing}", pointer, code="credential.missing")
    if not value.keys() <= required | optional:
        refuse("there is a property that is not known here", pointer, code="credential.property")


def check_window(
    valid_from: datetime | None,
    valid_until: datetime | None,
    now: datetime,
    names: tuple[str, str] = ("validFrom", "validUntil"),
) -> None:
    """Refuse what has not begun (beyond the skew) or is over (exactly at the end), as far as it
    says when that is.

    ``names`` are those of the two properties in the document. Raises ``TimeInvalid``
    (``credential.not_yet_valid``, ``credential.expired``).
    """
    if valid_from is not None and valid_from > now + SKEW:
        raise TimeInvalid(
            "it is not valid yet", code="credential.not_yet_valid", pointer=f"/{names[0]}"
        )
    if valid_until is not None and now >= valid_until:
        raise TimeInvalid("it is over", code="credential.expired", pointer=f"/{names[1]}")


def string_set(value: Json, pointer: str) -> frozenset[str]:
    """A list of different texts as the set that it is; not empty."""
    items = value if isinstance(value, list) else []
    found = frozenset([item for item in items if isinstance(item, str)])
    if not found or len(found) != len(items):
        refuse("there must be a list of different texts, not empty", pointer)
    return found


def refuse(message: str, pointer: str, *, code: str = "credential.value") -> NoReturn:
    """Raise ``StructureInvalid`` for one place of a document."""
    raise StructureInvalid(message, code=code, pointer=pointer)
