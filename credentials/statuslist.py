"""Bitstring Status List 1.0 in full, by any issuer; our own narrower use of it is ``status``.

An entry may have several bits, and a purpose of any name. Revocation and suspension are answers
that refuse; of every other purpose the value is reported, with the words that the entry has for
it. A list that is over or missing is *unchecked*, never "not withdrawn".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from credentials.bitstring import MIN_ENTRIES, BitString
from credentials.contexts import Contexts, context_bytes
from credentials.controllers import ANY_TIME
from credentials.credential import Credential
from credentials.errors import (
    ControllerUnresolved,
    StatusInvalid,
    StatusUnchecked,
    Withdrawn,
)
from credentials.forms import is_count, is_url
from credentials.issue import issue_credential
from credentials.ours import MAX_OWN_BYTES
from credentials.proof import document_bytes, read_document, verify_parsed
from credentials.status import (
    VALID_FOR,
    WITHOUT_STATUS,
    Status,
    VerifiedStatusList,
    check_list,
    fetch_list,
    read_index,
)
from credentials.suites.table import EDDSA_JCS
from did.json import Json, JsonObject
from did.resolve import OFFLINE, Resolver
from did.time import check_now

if TYPE_CHECKING:
    from credentials.proof import AnySigningKey

_KIND: Final = "BitstringStatusListCredential"
_ENTRY: Final = "BitstringStatusListEntry"
_AT: Final = "/credentialStatus"
# Purposes whose bit says that the credential must not be believed, for ever or for now.
_ENDS: Final = MappingProxyType(
    {
        "revocation": ("status.withdrawn", "the issuer has taken this back"),
        "suspension": ("status.suspended", "the issuer has suspended this"),
    }
)
# 2^8 messages of an entry; the standard sets no limit.
_MAX_SIZE: Final = 8
_MAX_WORDS: Final = 4_096
_SILENT: Final[Mapping[int, str]] = MappingProxyType({})
_VALUE: Final = re.compile(r"0x[0-9a-fA-F]{1,2}")


@dataclass(frozen=True, slots=True)
class GeneralEntry:
    """Where the status of a credential is, and what its values mean (§2.1).

    ``size`` is in bits. ``messages`` has words for every value, or for none.
    """

    list_url: str
    index: int
    purpose: str
    size: int
    messages: Mapping[int, str]

    @classmethod
    def parse(cls, value: JsonObject) -> Self:
        """Read an entry. Raises ``StatusUnchecked`` (``status.unsupported``) for a status of
        another kind, ``StatusInvalid`` (``status.entry``, ``status.index``) otherwise."""
        kinds = value.get("type")
        if _ENTRY not in (kinds if isinstance(kinds, list) else [kinds]):
            raise StatusUnchecked(
                "the credential has a status of a kind that cannot be checked here",
                code="status.unsupported",
                pointer=_AT,
            )
        purpose, url, size = (
            value.get("statusPurpose"),
            value.get("statusListCredential"),
            value.get("statusSize", 1),
        )
        if not isinstance(purpose, str) or not purpose or not is_url(url):
            raise _entry("an entry must have a statusPurpose and the URL of its list")
        if not is_count(size, 1) or size > _MAX_SIZE:
            raise _entry(f"statusSize must be a number from 1 to {_MAX_SIZE}")
        if "statusReference" in value:
            references = value["statusReference"]
            if not all(map(is_url, references if isinstance(references, list) else [references])):
                raise _entry("statusReference must be URLs")
        messages = (
            _read_messages(value["statusMessage"], size) if "statusMessage" in value else _SILENT
        )
        if not messages and (size > 1 or purpose == "message"):
            raise _entry("statusMessage must say what each value means")
        return cls(url, read_index(value.get("statusListIndex")), purpose, size, messages)


@dataclass(frozen=True, slots=True)
class StatusFound:
    """What a list says of one entry: ``value`` 0 is the plain case; ``message`` may be empty."""

    purpose: str
    value: int
    message: str


def check_entries(
    entries: Sequence[JsonObject],
    status: Status,
    *,
    issuer: str,
    now: datetime,
    resolver: Resolver = OFFLINE,
    contexts: Contexts = context_bytes,
) -> tuple[StatusFound, ...] | None:
    """Look up every entry of a credential by ``issuer`` (§3.2); ``None`` for ``WITHOUT_STATUS``.

    A list that several entries name is had once. Raises ``Withdrawn`` (``status.withdrawn``,
    ``status.suspended``), ``StatusUnchecked`` or ``StatusInvalid``.
    """
    if status is WITHOUT_STATUS:
        return None
    lists: dict[str, VerifiedStatusList] = {}
    found = []
    for entry in [GeneralEntry.parse(item) for item in entries]:
        listed = lists.get(entry.list_url)
        if listed is None:
            raw = fetch_list(entry.list_url, status)
            listed = lists[entry.list_url] = (
                raw
                if isinstance(raw, VerifiedStatusList)
                else verify_general_list(raw, now=now, resolver=resolver, contexts=contexts)
            )
            check_list(listed, now=now, issuer=issuer, url=entry.list_url)
        found.append(_look_up(entry, listed))
    return tuple(found)


def _look_up(entry: GeneralEntry, listed: VerifiedStatusList) -> StatusFound:
    # §3.2 step 6: the list is for this purpose; step 9: it is long enough for its entries' size.
    if entry.purpose not in listed.purposes:
        raise StatusInvalid("the status list is for another purpose", code="status.purpose")
    if len(listed.bits) // entry.size < MIN_ENTRIES:
        raise StatusInvalid("the status list has too few entries", code="status.short")
    # Steps 10–12.
    value = listed.bits.value(entry.index, entry.size)
    if value and entry.purpose in _ENDS:
        code, message = _ENDS[entry.purpose]
        raise Withdrawn(message, code=code)
    return StatusFound(entry.purpose, value, entry.messages.get(value, ""))


def issue_general_list(
    key: "AnySigningKey",
    *,
    url: str,
    bits: BitString,
    purposes: Sequence[str],
    now: datetime,
    issuer: str | None = None,
    ttl: timedelta | None = None,
    valid_for: timedelta = VALID_FOR,
    verification_method: str | None = None,
    cryptosuite: str = EDDSA_JCS,
) -> JsonObject:
    """A signed status list as the standard has it (§2.2), of any purposes, by any issuer.

    Raises ``StatusInvalid`` (``status.purpose``) without a purpose, and as ``issue_credential``.
    """
    if not purposes or not all(purposes):
        raise StatusInvalid("a status list must have a purpose", code="status.purpose")
    subject: JsonObject = {
        "id": url + "#list",
        "type": "BitstringStatusList",
        "statusPurpose": purposes[0] if len(purposes) == 1 else list[Json](purposes),
        "encodedList": bits.encode(),
    }
    if ttl is not None:
        subject["ttl"] = ttl // timedelta(milliseconds=1)
    unsigned: JsonObject = {
        "id": url,
        "type": ["VerifiableCredential", _KIND],
        "credentialSubject": subject,
    }
    if issuer is not None:
        unsigned["issuer"] = issuer
    return issue_credential(
        unsigned,
        key,
        now=now,
        valid_for=valid_for,
        verification_method=verification_method,
        cryptosuite=cryptosuite,
    )


def verify_general_list(
    raw: bytes | str | JsonObject,
    *,
    now: datetime,
    expected_issuer: str | None = None,
    expected_url: str | None = None,
    resolver: Resolver = OFFLINE,
    contexts: Contexts = context_bytes,
) -> VerifiedStatusList:
    """Verify a status list by any issuer (§3.2): proof, shape, issuer, URL, age and bits.

    Raises ``StatusInvalid``, ``StatusUnchecked`` (``status.stale``), and what verifying a proof
    raises. Not checked: ``ttl``, which runs from when the list was fetched; see the result.
    """
    check_now(now)
    octets = document_bytes(raw)
    pinned = contexts is context_bytes and len(octets) <= MAX_OWN_BYTES
    found = _remembered(octets) if pinned else None
    if found is None:
        found = _open(octets, now=now, resolver=resolver, contexts=contexts)
    check_list(found, now=now, issuer=expected_issuer, url=expected_url)
    return found


# By the exact bytes, as our own lists are: only for issuers whose keys cannot change, and contexts
# that are pinned. What the time decides is looked at by the caller.
@lru_cache(maxsize=16)
def _remembered(octets: bytes) -> VerifiedStatusList | None:
    document = read_document(octets, allow_floats=True)
    if not Credential.parse(document).issuer.startswith("did:key:"):
        return None
    try:
        return _open(octets, now=ANY_TIME, resolver=OFFLINE, contexts=context_bytes)
    except ControllerUnresolved:
        return None  # a further proof of the set is by a DID that needs the resolver, and the time


def _open(
    octets: bytes, *, now: datetime, resolver: Resolver, contexts: Contexts
) -> VerifiedStatusList:
    document = read_document(octets, allow_floats=True)
    issuer = Credential.parse(document).issuer
    verified = verify_parsed(
        document,
        resolver=resolver,
        now=now,
        expected_controller=issuer,
        exact_context=None,
        contexts=contexts,
    )
    credential = Credential.parse(verified.document)
    subject = credential.subject
    encoded, stated, ttl = (
        subject.get("encodedList"),
        subject.get("statusPurpose"),
        subject.get("ttl"),
    )
    kinds = subject.get("type")
    purposes = stated if isinstance(stated, list) else [stated]
    sequence = subject.get("sequence", 0)
    if (
        _KIND not in credential.types
        or credential.id is None
        or len(credential.subjects) != 1
        or "BitstringStatusList" not in (kinds if isinstance(kinds, list) else [kinds])
        or not isinstance(encoded, str)
        or not purposes
        or not all(isinstance(purpose, str) for purpose in purposes)
        or not (ttl is None or is_count(ttl, 0))
        or not is_count(sequence, 0)
    ):
        raise StatusInvalid("the credential is not a status list", pointer="/credentialSubject")
    return VerifiedStatusList(
        issuer,
        credential.id,
        sequence,
        frozenset(map(str, purposes)),
        credential.valid_from,
        credential.valid_until,
        BitString.decode(encoded),
        verified.digest,
        verified.proofs,
        octets,
        None if ttl is None else timedelta(milliseconds=ttl),
    )


def _read_messages(value: Json, size: int) -> Mapping[int, str]:
    """The words of an entry, by value (§2.1): each value once, and all of them."""
    messages: dict[int, str] = {}
    if not isinstance(value, list) or len(value) not in (0, 1 << size):
        raise _entry("statusMessage must have a message for each value")
    for item in value:
        status = item.get("status") if isinstance(item, dict) else None
        words = item.get("message") if isinstance(item, dict) else None
        if (
            not isinstance(status, str)
            or _VALUE.fullmatch(status) is None
            or not isinstance(words, str)
            or len(words) > _MAX_WORDS
        ):
            raise _entry("a message has a status such as 0x0, and a text")
        messages[int(status, 16)] = words
    if sorted(messages) != list(range(len(value))):
        raise _entry("statusMessage must have a message for each value")
    return MappingProxyType(messages)


def _entry(message: str) -> StatusInvalid:
    return StatusInvalid(message, code="status.entry", pointer=_AT)
