"""The access grant: one company, one purpose, these fields, so long, so often.

``verify_grant`` is the whole decision, from bytes: shape, proof, issuer, window, status, and then
what the verifier asked for: purpose, company, fields, sandbox. What is left to believe is in
``limits_of_proof``.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import ClassVar, Final, Literal, NoReturn, TypeAlias

from credentials.contexts import PDS_V1, PDS_V1_DIGEST, PROFILE_CONTEXT
from credentials.errors import ControllerUnresolved, GrantRefused
from credentials.forms import (
    DIGEST,
    LANGUAGE,
    PURPOSE_ID,
    UUID_URN,
    is_count,
    is_did,
    is_dpv_term,
    is_path,
)
from credentials.ours import read_own, sign_own, verify_own
from credentials.profile import (
    HEAD_WITH_STATUS,
    check_keys,
    check_window,
    read_head,
    refuse,
    string_set,
)
from credentials.proof import (
    ANY_TIME,
    VerifiedProof,
    check_proof_times,
    document_bytes,
)
from credentials.purposes import is_same_or_narrower
from credentials.status import WITHOUT_STATUS, Status, StatusEntry, check_status
from did.json import Json, JsonObject
from did.keys import SigningKey
from did.resolve import OFFLINE, Resolver
from did.time import format_time, utc_now

__all__ = [
    "WITHOUT_STATUS",
    "GrantTerms",
    "VerifiedGrant",
    "issue_grant",
    "verify_grant",
]

_KIND: Final = "AccessGrant"
_KEYS = HEAD_WITH_STATUS | {"relatedResource"}
_SUBJECT = frozenset(
    {
        "id",
        "request",
        "requestPurpose",
        "purpose",
        "basis",
        "processing",
        "fields",
        "textShown",
        "decidedBy",
        "maxUses",
        "minInterval",
        "followsChanges",
        "retentionDays",
    }
)
_SANDBOX = frozenset({"sandbox"})
_TEXT_SHOWN = frozenset({"digestMultibase", "language"})
_RELATED: Final[Json] = [{"id": PDS_V1, "digestMultibase": PDS_V1_DIGEST}]
_AT = "/credentialSubject"
# The texts that have a form of their own, in one go: no form takes a line break.
_TEXTS = re.compile("\n".join((UUID_URN, DIGEST, PURPOSE_ID, DIGEST, LANGUAGE)))

DecidedBy = Literal["person", "rule"]


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """What was granted. ``min_interval`` is in seconds; ``request`` and ``text_digest`` are
    digests (``uEi…``); ``purpose``, ``basis`` and ``processing`` are IRIs of the Data Privacy
    Vocabulary; ``fields`` are categories (``purchases``) or fields (``contact.email``)."""

    company: str
    request: str
    request_purpose: str
    purpose: str
    basis: str
    processing: frozenset[str]
    fields: frozenset[str]
    text_digest: str
    text_language: str
    decided_by: DecidedBy
    valid_from: datetime
    valid_until: datetime
    max_uses: int
    min_interval: int
    follows_changes: bool
    retention_days: int
    sandbox: bool = False

    def covers(self, path: str) -> bool:
        """Whether a field is granted, by itself or by its whole category."""
        return path in self.fields or path.partition(".")[0] in self.fields


@dataclass(frozen=True, slots=True)
class VerifiedGrant:
    """A grant that was in force when it was verified.

    ``status_checked`` is ``False`` only where the caller asked for that. ``raw`` are the bytes
    verified, ``digest`` is over the document without its proof.
    """

    terms: GrantTerms
    id: str
    issuer: str
    digest: str
    status: StatusEntry
    status_checked: bool
    unknown_suites: tuple[str, ...]
    raw: bytes

    limits_of_proof: ClassVar[tuple[str, ...]] = (
        "It proves control of a key, not who the person is.",
        "It proves which text was named as shown, not that it was read or understood.",
        "It proves what was allowed, not what the company does with the data.",
        "Times are those of the machine that signed, within the window of the grant.",
    )


def issue_grant(
    terms: GrantTerms,
    *,
    key: SigningKey,
    status: StatusEntry,
    now: datetime,
    id: str | None = None,  # noqa: A002  # the name of the property
) -> JsonObject:
    """A signed grant. What its own reader would refuse is not issued: ``StructureInvalid``."""
    from credentials.ticket import new_urn  # who only verifies needs no ticket

    processing: list[Json] = [*sorted(terms.processing)]
    fields: list[Json] = [*sorted(terms.fields)]
    subject: JsonObject = {
        "id": terms.company,
        "request": terms.request,
        "requestPurpose": terms.request_purpose,
        "purpose": terms.purpose,
        "basis": terms.basis,
        "processing": processing,
        "fields": fields,
        "textShown": {"digestMultibase": terms.text_digest, "language": terms.text_language},
        "decidedBy": terms.decided_by,
        "maxUses": terms.max_uses,
        "minInterval": terms.min_interval,
        "followsChanges": terms.follows_changes,
        "retentionDays": terms.retention_days,
    }
    if terms.sandbox:
        subject["sandbox"] = True
    document: JsonObject = {
        "@context": list(PROFILE_CONTEXT),
        "id": id or new_urn(),
        "type": ["VerifiableCredential", _KIND],
        "issuer": key.did,
        "validFrom": format_time(terms.valid_from),
        "validUntil": format_time(terms.valid_until),
        "credentialStatus": status.to_json(),
        "relatedResource": [{"id": PDS_V1, "digestMultibase": PDS_V1_DIGEST}],
        "credentialSubject": subject,
    }
    signed = sign_own(document, key, created=now)
    _read(signed)
    return signed


def verify_grant(
    raw: bytes | str | JsonObject,
    *,
    purpose: str | None,
    audience: str | None,
    status: Status,
    fields: Collection[str] | None = None,
    now: datetime | None = None,
    resolver: Resolver = OFFLINE,
    sandbox: bool = False,
) -> VerifiedGrant:
    """Decide whether a grant is in force for this use; return it, or raise.

    ``purpose`` is what the data is wanted for: the grant's purpose is the same or a narrower one.
    ``audience`` is the DID of the company that relies on the grant. Both must be said; ``None``
    takes any. ``fields``, if given, must all be covered. ``status`` is the status list, or a
    callable that gets it from its URL, or ``WITHOUT_STATUS``. ``now`` is the system's clock
    unless given. A sandbox grant is refused unless ``sandbox``.

    Raises, in this order: ``StructureInvalid``, ``ContextRefused``, ``ProofInvalid`` or
    ``ControllerUnresolved``; ``TimeInvalid``; ``GrantRefused`` (``grant.purpose``,
    ``grant.audience``, ``grant.fields``, ``grant.sandbox``); ``Withdrawn``, ``StatusUnchecked``
    or ``StatusInvalid``.
    """
    moment = utc_now() if now is None else now
    octets = document_bytes(raw)
    # 1. What does not change with time: shape, proof, key binding.
    grant = _remembered(octets)
    if grant is None:
        grant = _open(read_own(octets), octets, resolver=resolver, now=moment)
    verified, proofs = grant
    terms = verified.terms
    # 2. Times (VCDM 2.0 §4.9).
    check_proof_times(proofs, moment)
    check_window(terms.valid_from, terms.valid_until, moment)
    # 3. This use.
    if purpose is not None and not is_same_or_narrower(terms.purpose, than=purpose):
        _refuse("purpose", "the grant is for another purpose")
    if audience is not None and terms.company != audience:
        _refuse("audience", "the grant is for another company")
    if fields is not None and not all(map(terms.covers, fields)):
        _refuse("fields", "the grant does not cover all of these fields")
    if terms.sandbox and not sandbox:
        _refuse(
            "sandbox",
            "the grant was made in a sandbox and is worth nothing outside",
            hint="To accept it for trying out, say sandbox=True (on the command line --sandbox).",
        )
    # 4. Not taken back (Bitstring Status List 1.0 §3.2).
    checked = check_status(
        verified.status, status, issuer=verified.issuer, now=moment, resolver=resolver
    )
    return verified if checked else replace(verified, status_checked=False)


# What is known of some bytes whatever the time: the grant as it is returned once its times and its
# status have been looked at too, and its proofs.
_Found: TypeAlias = tuple[VerifiedGrant, tuple[VerifiedProof, ...]]


# By the exact bytes, and only for issuers whose keys cannot change. About 4 MB when full.
@lru_cache(maxsize=1024)
def _remembered(octets: bytes) -> _Found | None:
    document = read_own(octets)
    issuer = document.get("issuer")
    if not isinstance(issuer, str) or not issuer.startswith("did:key:"):
        return None
    try:
        return _open(document, octets, resolver=OFFLINE, now=ANY_TIME)
    except ControllerUnresolved:
        return None  # a further proof of the set is by a DID that needs the resolver, and the time


def _open(document: JsonObject, octets: bytes, *, resolver: Resolver, now: datetime) -> _Found:
    # The context is exact, so what the proof is over is this document and no other.
    identifier, issuer, terms, status = _read(document)
    found = verify_own(document, octets, controller=issuer, resolver=resolver, now=now)
    return (
        VerifiedGrant(
            terms, identifier, issuer, found.digest, status, True, found.unknown_suites, octets
        ),
        found.proofs,
    )


def _read(document: JsonObject) -> tuple[str, str, GrantTerms, StatusEntry]:
    head = read_head(document, kind=_KIND, keys=_KEYS)
    status = StatusEntry.parse(document["credentialStatus"])
    if document["relatedResource"] != _RELATED:
        refuse("relatedResource must be our context and its digest", "/relatedResource")
    subject = head.subject
    check_keys(subject, _SUBJECT, _AT, _SANDBOX)
    if subject.get("sandbox", True) is not True:
        refuse("sandbox is true, or absent", _AT + "/sandbox")
    processing = string_set(subject["processing"], _AT + "/processing")
    fields = string_set(subject["fields"], _AT + "/fields")
    for term in processing:
        if not is_dpv_term(term):
            refuse("processing must be terms of DPV", _AT + "/processing")
    for path in fields:
        if not is_path(path):
            refuse("fields must be categories or fields", _AT + "/fields")
    shown = subject["textShown"]
    if not isinstance(shown, dict):
        refuse("textShown must be an object", _AT + "/textShown")
    check_keys(shown, _TEXT_SHOWN, _AT + "/textShown")
    request, request_purpose = subject["request"], subject["requestPurpose"]
    text_digest, language = shown["digestMultibase"], shown["language"]
    if (
        not isinstance(request, str)
        or not isinstance(request_purpose, str)
        or not isinstance(text_digest, str)
        or not isinstance(language, str)
        or _TEXTS.fullmatch(f"{head.id}\n{request}\n{request_purpose}\n{text_digest}\n{language}")
        is None
    ):
        refuse(
            "id must be a urn:uuid of version 4, request and digestMultibase SHA-256 multihashes, "
            "requestPurpose a short name and language a language tag",
            "",
            code="credential.form",
        )
    decided_by: Json = subject["decidedBy"]
    uses, interval = subject["maxUses"], subject["minInterval"]
    follows, retention = subject["followsChanges"], subject["retentionDays"]
    if decided_by not in ("person", "rule"):
        refuse("decidedBy must be person or rule", _AT + "/decidedBy")
    if not is_count(uses, 1):
        refuse("maxUses must be a number from 1", _AT + "/maxUses")
    if not is_count(interval, 0):
        refuse("minInterval must be a number of seconds from 0", _AT + "/minInterval")
    if not is_count(retention, 0):
        refuse("retentionDays must be a number from 0", _AT + "/retentionDays")
    if type(follows) is not bool:
        refuse("followsChanges must be true or false", _AT + "/followsChanges")
    company = subject["id"]
    if not isinstance(company, str) or not is_did(company):
        refuse("the subject of a grant must be a DID", _AT + "/id")
    terms = GrantTerms(
        company,
        request,
        request_purpose,
        _term(subject, "purpose"),
        _term(subject, "basis"),
        processing,
        fields,
        text_digest,
        language,
        decided_by,  # type: ignore[arg-type]  # one of the two, see above
        head.valid_from,
        head.valid_until,
        uses,
        interval,
        follows,
        retention,
        "sandbox" in subject,
    )
    return head.id, head.issuer, terms, status


def _term(value: JsonObject, name: str) -> str:
    term = value[name]
    if type(term) is not str or not is_dpv_term(term):
        refuse(f"{name} must be a term of DPV", f"{_AT}/{name}", code="credential.form")
    return term


def _refuse(reason: str, message: str, *, hint: str = "") -> NoReturn:
    raise GrantRefused(message, code=f"grant.{reason}", hint=hint)
