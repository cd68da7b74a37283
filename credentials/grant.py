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
from typing import Any, ClassVar, Final, Literal, NoReturn, TypeAlias

from credentials.contexts import PDS_V1, PDS_V1_DIGEST, PROFILE_CONTEXT
from credentials.controllers import ANY_TIME
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
from credentials.ours import MAX_REMEMBERED, read_own, sign_own, verify_own
from credentials.profile import (
    HEAD_WITH_STATUS,
    check_keys,
    check_window,
    read_head,
    refuse,
    string_set,
)
from credentials.proof import (
    SKEW,
    VerifiedProof,
    check_proof_times,
    document_bytes,
)
from credentials.purposes import is_same_or_narrower
from credentials.status import WITHOUT_STATUS, Status, StatusEntry, check_status
from did.json import Json, JsonObject
from did.keys import SigningKey
from did.resolve import OFFLINE, Resolver
from did.time import check_now, format_time, utc_now

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
_ID = re.compile(UUID_URN)
# The texts that have a form of their own, in one go: no form takes a line break.
_TEXTS = re.compile("\n".join((DIGEST, PURPOSE_ID, DIGEST, LANGUAGE)))

DecidedBy = Literal["person", "rule"]


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """What was granted. ``min_interval`` is in seconds; ``request`` and ``text_digest`` are
    digests (``uEi…``); ``purpose``, ``basis`` and ``processing`` are IRIs of the Data Privacy
    Vocabulary; ``fields`` are categories (``purchases``) or fields (``contact.email``).

    Making some that no grant can say raises ``StructureInvalid``."""

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

    def __post_init__(self) -> None:
        # Once, wherever the terms come from: a grant that was read, or one to be issued.
        if not is_did(self.company):
            refuse("the subject of a grant must be a DID", _AT + "/id")
        texts = (self.request, self.request_purpose, self.text_digest, self.text_language)
        if _TEXTS.fullmatch("\n".join(texts)) is None:
            refuse(
                "request and digestMultibase must be SHA-256 multihashes, requestPurpose a short "
                "name and language a language tag",
                _AT,
                code="credential.form",
            )
        _check_term(self.purpose, "purpose")
        _check_term(self.basis, "basis")
        if not self.processing or not all(map(is_dpv_term, self.processing)):
            refuse("processing must be terms of DPV", _AT + "/processing")
        if not self.fields or not all(map(is_path, self.fields)):
            refuse("fields must be categories or fields", _AT + "/fields")
        if self.decided_by not in ("person", "rule"):
            refuse("decidedBy must be person or rule", _AT + "/decidedBy")
        if not is_count(self.max_uses, 1):
            refuse("maxUses must be a number from 1", _AT + "/maxUses")
        if not is_count(self.min_interval, 0):
            refuse("minInterval must be a number of seconds from 0", _AT + "/minInterval")
        if not is_count(self.retention_days, 0):
            refuse("retentionDays must be a number from 0", _AT + "/retentionDays")
        if type(self.follows_changes) is not bool:
            refuse("followsChanges must be true or false", _AT + "/followsChanges")

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
    """A signed grant. What its own reader would refuse is not signed: ``StructureInvalid``."""
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
    identifier, entry = id or new_urn(), status.to_json()
    begins, ends = format_time(terms.valid_from), format_time(terms.valid_until)
    # What else its own reader would refuse; the terms are sound since they were made.
    _check_id(identifier)
    StatusEntry.parse(entry)
    if ends <= begins:
        refuse("validUntil must be later than validFrom", "/validUntil", code="credential.window")
    document: JsonObject = {
        "@context": list(PROFILE_CONTEXT),
        "id": identifier,
        "type": ["VerifiableCredential", _KIND],
        "issuer": key.did,
        "validFrom": begins,
        "validUntil": ends,
        "credentialStatus": entry,
        "relatedResource": [{"id": PDS_V1, "digestMultibase": PDS_V1_DIGEST}],
        "credentialSubject": subject,
    }
    return sign_own(document, key, created=now)


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
    if now is not None:
        check_now(now)
    octets = document_bytes(raw)
    # 1. What does not change with time: shape, proof, key binding.
    grant = _remembered(octets) if len(octets) <= MAX_REMEMBERED else None
    if grant is None:
        grant = _open(read_own(octets), octets, resolver=resolver, now=moment)
    verified, proofs, begins, ends = grant
    terms = verified.terms
    # 2. Times (VCDM 2.0 §4.9). Outside what all of them allow, one of these two says what is wrong.
    if begins > moment + SKEW or moment >= ends:
        check_proof_times(proofs, moment)
        check_window(terms.valid_from, terms.valid_until, moment)
    # 3. This use.
    if purpose is not None and not is_same_or_narrower(terms.purpose, than=purpose):
        _refuse(
            "purpose",
            "the grant is for another purpose",
            hint="A purpose is named by its whole IRI: https://w3id.org/dpv#DeliveryOfGoods.",
        )
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
# status have been looked at too, its proofs, and when the last of them all begins and the first
# ends.
_Found: TypeAlias = tuple[VerifiedGrant, tuple[VerifiedProof, ...], datetime, datetime]


# By the exact bytes, and only for issuers whose keys cannot change. About 4 MB when full, and 80 MB
# at the most.
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
    begins, ends = terms.valid_from, terms.valid_until
    for proof in found.proofs:
        if proof.created is not None and proof.created > begins:
            begins = proof.created
        if proof.expires is not None and proof.expires < ends:
            ends = proof.expires
    return (
        VerifiedGrant(
            terms, identifier, issuer, found.digest, status, True, found.unknown_suites, octets
        ),
        found.proofs,
        begins,
        ends,
    )


def _read(document: JsonObject) -> tuple[str, str, GrantTerms, StatusEntry]:
    head = read_head(document, kind=_KIND, keys=_KEYS)
    status = StatusEntry.parse(document["credentialStatus"])
    if document["relatedResource"] != _RELATED:
        refuse("relatedResource must be our context and its digest", "/relatedResource")
    _check_id(head.id)
    subject: dict[str, Any] = head.subject  # what the terms check
    check_keys(subject, _SUBJECT, _AT, _SANDBOX)
    if subject.get("sandbox", True) is not True:
        refuse("sandbox is true, or absent", _AT + "/sandbox")
    processing = string_set(subject["processing"], _AT + "/processing")
    fields = string_set(subject["fields"], _AT + "/fields")
    shown = subject["textShown"]
    if not isinstance(shown, dict):
        refuse("textShown must be an object", _AT + "/textShown")
    check_keys(shown, _TEXT_SHOWN, _AT + "/textShown")
    company, purpose, basis = subject["id"], subject["purpose"], subject["basis"]
    request, request_purpose = subject["request"], subject["requestPurpose"]
    text_digest, language = shown["digestMultibase"], shown["language"]
    if not (
        type(company) is type(purpose) is type(basis) is str
        and type(request) is type(request_purpose) is str
        and type(text_digest) is type(language) is str
    ):
        refuse("names, terms and digests must be texts", _AT, code="credential.form")
    terms = GrantTerms(
        company,
        request,
        request_purpose,
        purpose,
        basis,
        processing,
        fields,
        text_digest,
        language,
        subject["decidedBy"],
        head.valid_from,
        head.valid_until,
        subject["maxUses"],
        subject["minInterval"],
        subject["followsChanges"],
        subject["retentionDays"],
        "sandbox" in subject,
    )
    return head.id, head.issuer, terms, status


def _check_id(identifier: str) -> None:
    if _ID.fullmatch(identifier) is None:
        refuse("id must be a urn:uuid of version 4", "/id", code="credential.form")


def _check_term(term: str, name: str) -> None:
    if not is_dpv_term(term):
        refuse(f"{name} must be a term of DPV", f"{_AT}/{name}", code="credential.form")


def _refuse(reason: str, message: str, *, hint: str = "") -> NoReturn:
    raise GrantRefused(message, code=f"grant.{reason}", hint=hint)
