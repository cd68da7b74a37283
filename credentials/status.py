"""Whether a credential was taken back: our own narrower use of Bitstring Status List 1.0.

One list for each relationship, by its own DID, with a strictly rising ``sequence``. A list that
is over or missing is never read as "not withdrawn": it is *unchecked*, and that is an error of
its own, so that a caller cannot confuse the two.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from credentials.bitstring import MIN_ENTRIES, BitString
from credentials.contexts import PROFILE_CONTEXT
from credentials.controllers import ANY_TIME
from credentials.errors import (
    ControllerUnresolved,
    StatusInvalid,
    StatusUnchecked,
    Withdrawn,
)
from credentials.forms import is_count, is_status_url
from credentials.ours import MAX_OWN_BYTES, sign_own
from credentials.profile import check_keys, read_head
from credentials.proof import (
    SKEW,
    VerifiedProof,
    check_proof_times,
    document_bytes,
    read_document,
    verify_parsed,
)
from credentials.suites.table import JCS_ONLY
from did.json import Json, JsonObject
from did.keys import SigningKey
from did.resolve import OFFLINE, Resolver
from did.time import check_now, format_time

if TYPE_CHECKING:
    from credentials.stamp import VerifiedStamp, sign_stamp, verify_stamp

__all__ = [
    "WITHOUT_STATUS",
    "BitString",
    "Status",
    "StatusEntry",
    "VerifiedStamp",
    "VerifiedStatusList",
    "WithoutStatus",
    "check_status",
    "issue_status_list",
    "sign_stamp",
    "verify_stamp",
    "verify_status_list",
]

VALID_FOR: Final = timedelta(days=35)

_STAMP = frozenset({"VerifiedStamp", "sign_stamp", "verify_stamp"})
_KIND = "BitstringStatusListCredential"
_ENTRY_KEYS = frozenset({"id", "type", "statusPurpose", "statusListIndex", "statusListCredential"})
_SUBJECT_KEYS = frozenset({"id", "type", "statusPurpose", "encodedList", "sequence"})
# ASCII digits without a sign or a leading zero; isdigit() and int() take far more.
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class WithoutStatus(Enum):
    """The type of ``WITHOUT_STATUS``."""

    WITHOUT_STATUS = "without status"


WITHOUT_STATUS: Final = WithoutStatus.WITHOUT_STATUS
"""Says aloud that nobody looks whether a credential was withdrawn."""

# What stands where a list should, of callers without types too.
_NO_LIST: Final = (WithoutStatus, type(None))


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """Where the bit of a credential is (§2.1)."""

    list_url: str
    index: int
    purpose: str = "revocation"

    def to_json(self) -> JsonObject:
        """The ``credentialStatus`` of a credential."""
        return {
            "id": f"{self.list_url}#{self.index}",
            "type": "BitstringStatusListEntry",
            "statusPurpose": self.purpose,
            "statusListIndex": str(self.index),
            "statusListCredential": self.list_url,
        }

    @classmethod
    def parse(cls, value: Json) -> Self:
        """Read the ``credentialStatus`` of a credential of ours: exactly what ``to_json`` writes.

        Raises ``StructureInvalid``, or ``StatusInvalid`` (``status.entry``, ``status.index``).
        """
        if not isinstance(value, dict):
            raise StatusInvalid("credentialStatus must be one object", code="status.entry")
        check_keys(value, _ENTRY_KEYS, "/credentialStatus")
        url, index = value["statusListCredential"], read_index(value["statusListIndex"])
        if (
            value["type"] != "BitstringStatusListEntry"
            or value["statusPurpose"] != "revocation"
            or not isinstance(url, str)
            or not is_status_url(url)
            or value["id"] != f"{url}#{index}"
        ):
            raise StatusInvalid(
                "credentialStatus must be an entry of a status list of a relay",
                code="status.entry",
                pointer="/credentialStatus",
            )
        return cls(url, index)


@dataclass(frozen=True, slots=True)
class VerifiedStatusList:
    """A status list whose issuer and bits are beyond doubt, but not its age: see ``check_age``.

    ``sequence`` is 0 when a list of others does not state one. ``raw`` are the bytes verified.
    ``ttl`` is for how long after fetching it a list of others asks to be kept.
    """

    issuer: str
    url: str
    sequence: int
    purposes: frozenset[str]
    valid_from: datetime | None
    valid_until: datetime | None
    bits: BitString
    digest: str
    proofs: tuple[VerifiedProof, ...]
    raw: bytes
    ttl: timedelta | None = None

    def check_age(self, now: datetime) -> None:
        """Refuse a list from the future (``status.not_yet_valid``) or one that is over
        (``StatusUnchecked``, ``status.stale``)."""
        check_proof_times(self.proofs, now)
        if self.valid_from is not None and self.valid_from > now + SKEW:
            raise StatusInvalid("the status list is not valid yet", code="status.not_yet_valid")
        if self.valid_until is not None and now >= self.valid_until:
            raise StatusUnchecked(
                "the status list is over, so nothing is known",
                code="status.stale",
                hint="Fetch a newer one.",
            )


# What a caller may hand over: the list, how to get it from its URL, or the plain word for none.
Status: TypeAlias = (
    bytes | str | JsonObject | VerifiedStatusList | Callable[[str], bytes] | WithoutStatus
)


def issue_status_list(
    *,
    key: SigningKey,
    url: str,
    bits: BitString,
    sequence: int,
    now: datetime,
    valid_for: timedelta = VALID_FOR,
) -> JsonObject:
    """A signed status list for withdrawals, as the relay at ``url`` will serve it."""
    document: JsonObject = {
        "@context": list(PROFILE_CONTEXT),
        "id": url,
        "type": ["VerifiableCredential", _KIND],
        "issuer": key.did,
        "validFrom": format_time(now),
        "validUntil": format_time(now + valid_for),
        "credentialSubject": {
            "id": url + "#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "encodedList": bits.encode(),
            "sequence": sequence,
        },
    }
    signed = sign_own(document, key, created=now)
    _read_profile(signed)
    return signed


def verify_status_list(
    raw: bytes | str | JsonObject,
    *,
    now: datetime,
    expected_issuer: str | None,
    expected_url: str | None,
    resolver: Resolver = OFFLINE,
    min_sequence: int | None = None,
) -> VerifiedStatusList:
    """Verify a status list of ours (§3.2): its proof, shape, issuer, URL, age and bits.

    ``min_sequence`` refuses an older list than one already seen. A list seen before costs a
    look-up; its age is checked each time. Lists of others are for ``statuslist``.

    Raises ``StatusInvalid``, ``StatusUnchecked`` (``status.stale``), and what verifying a proof
    raises.
    """
    check_now(now)
    found = _find(raw, now=now, resolver=resolver)
    check_list(found, now=now, issuer=expected_issuer, url=expected_url)
    if min_sequence is not None and found.sequence < min_sequence:
        raise StatusInvalid(
            "there was a newer status list already",
            code="status.older",
            hint="Whoever served it holds back the newest one.",
            pointer="/credentialSubject/sequence",
        )
    return found


def check_status(
    entry: StatusEntry,
    status: Status,
    *,
    issuer: str,
    now: datetime,
    resolver: Resolver = OFFLINE,
) -> bool:
    """Look up one entry: ``True`` when it stands, ``False`` for ``WITHOUT_STATUS``.

    Raises ``Withdrawn``; ``StatusUnchecked`` when the list could not be had
    (``status.unavailable``), is over, or nothing was handed over (``status.required``);
    ``StatusInvalid`` when it must not be believed.
    """
    if status is WITHOUT_STATUS:
        return False
    found = fetch_list(entry.list_url, status)
    if not isinstance(found, VerifiedStatusList):
        found = _find(found, now=now, resolver=resolver)
    check_list(found, now=now, issuer=issuer, url=entry.list_url)
    if entry.purpose not in found.purposes:
        raise StatusInvalid("the status list is for another purpose", code="status.purpose")
    if found.bits.get(entry.index):
        raise Withdrawn("the issuer has taken this back")
    return True


def fetch_list(url: str, status: Status) -> bytes | str | JsonObject | VerifiedStatusList:
    """The list that a caller handed over, or what the caller's own function gets from its URL.

    Raises ``StatusUnchecked`` (``status.required``, ``status.unavailable``).
    """
    if isinstance(status, _NO_LIST):
        raise StatusUnchecked(
            "a status list is needed to know whether this was withdrawn",
            code="status.required",
            hint="Hand over the list or how to fetch it, or say WITHOUT_STATUS.",
        )
    if callable(status):
        try:
            return status(url)
        except Exception as error:
            raise StatusUnchecked(
                "the status list could not be had", code="status.unavailable", hint="Try later."
            ) from error
    return status


def read_index(value: Json) -> int:
    """A ``statusListIndex``: text of ASCII digits, no sign, no leading zero."""
    if not isinstance(value, str) or _INDEX.fullmatch(value) is None:
        raise StatusInvalid(
            "statusListIndex must be a decimal number in a text",
            code="status.index",
            pointer="/credentialStatus/statusListIndex",
        )
    return int(value)


def _find(
    raw: bytes | str | JsonObject, *, now: datetime, resolver: Resolver
) -> VerifiedStatusList:
    """Shape, proof and bits; remembered where they cannot change."""
    octets = document_bytes(raw)
    found = _remembered(octets) if len(octets) <= MAX_OWN_BYTES else None
    return found or _open(octets, resolver=resolver, now=now)


def check_list(
    found: VerifiedStatusList, *, now: datetime, issuer: str | None, url: str | None
) -> None:
    """Refuse a list by another issuer or at another URL (``None`` takes any), or of another time.

    Raises ``StatusInvalid`` (``status.issuer``, ``status.url``) and as ``check_age``.
    """
    # By the one who issued the credential, and the list that it names (§3.2, steps 3–5).
    if issuer is not None and found.issuer != issuer:
        raise StatusInvalid(
            "the status list is by another issuer", code="status.issuer", pointer="/issuer"
        )
    if url is not None and found.url != url:
        raise StatusInvalid("this is another status list", code="status.url", pointer="/id")
    # Neither from the future nor over.
    found.check_age(now)


# By the exact bytes, so one list of a relationship is decoded and verified once; 64 lists of
# 131,072 entries are about 2 MB, and 16 MB at the most. Only for issuers whose keys cannot change.
@lru_cache(maxsize=64)
def _remembered(octets: bytes) -> VerifiedStatusList | None:
    issuer = read_document(octets).get("issuer")
    if not isinstance(issuer, str) or not issuer.startswith("did:key:"):
        return None
    try:
        return _open(octets, resolver=OFFLINE, now=ANY_TIME)
    except ControllerUnresolved:
        return None  # a further proof of the set is by a DID that needs the resolver, and the time


def _open(octets: bytes, *, resolver: Resolver, now: datetime) -> VerifiedStatusList:
    document = read_document(octets)
    issuer = read_head(document, kind=_KIND).issuer
    verified = verify_parsed(
        document,
        resolver=resolver,
        now=now,
        expected_controller=issuer,
        exact_context=PROFILE_CONTEXT,
        # A relay reads ours: it neither loads nor runs what a proof over RDF would take.
        suites=JCS_ONLY,
    )
    # The context of ours is exact, so the document that came is the one that was signed.
    url, sequence, purposes, valid_from, valid_until, bits = _read_profile(document)
    return VerifiedStatusList(
        issuer,
        url,
        sequence,
        purposes,
        valid_from,
        valid_until,
        bits,
        verified.digest,
        verified.proofs,
        octets,
    )


_Read: TypeAlias = tuple[str, int, frozenset[str], datetime | None, datetime | None, BitString]


def _read_profile(document: JsonObject) -> _Read:
    head = read_head(document, kind=_KIND)
    subject, url = head.subject, head.id
    check_keys(subject, _SUBJECT_KEYS, "/credentialSubject")
    encoded, sequence = subject["encodedList"], subject["sequence"]
    if (
        not is_status_url(url)
        or subject["id"] != url + "#list"
        or subject["type"] != "BitstringStatusList"
        or not isinstance(encoded, str)
        or not is_count(sequence, 1)
    ):
        raise StatusInvalid(
            "the credential is not a status list as ours are", pointer="/credentialSubject"
        )
    if subject["statusPurpose"] != "revocation":
        raise StatusInvalid(
            "the status list is for another purpose",
            code="status.purpose",
            pointer="/credentialSubject/statusPurpose",
        )
    bits = BitString.decode(encoded, max_bytes=MIN_ENTRIES)  # up to 8 times the least
    purposes = frozenset({"revocation"})
    return url, sequence, purposes, head.valid_from, head.valid_until, bits


def __getattr__(name: str) -> object:
    # The stamp is the relay's and the company's business; who verifies a grant never loads it.
    if name in _STAMP:
        from credentials import stamp

        return getattr(stamp, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
