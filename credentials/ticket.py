"""The redemption ticket: all that a relay ever sees of a grant.

It names the relay, the package, the key that may redeem, the window and the limits, and binds the
grant by its digest. Of purpose and data it says nothing.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from credentials.contexts import PROFILE_CONTEXT
from credentials.controllers import ANY_TIME
from credentials.errors import TicketInvalid
from credentials.forms import DID_KEY, DIGEST, ID, RELAY, UUID_URN, has_form, is_count
from credentials.ours import MAX_REMEMBERED, read_own, sign_own, verify_own
from credentials.profile import HEAD_WITH_STATUS, check_keys, read_head, refuse
from credentials.proof import (
    VerifiedProof,
    check_proof_times,
    document_bytes,
)
from credentials.status import StatusEntry
from credentials.suites.table import JCS_ONLY
from did.json import JsonObject
from did.keys import SigningKey
from did.resolve import OFFLINE
from did.time import check_now, format_time

_KIND: Final = "RedemptionTicket"
_SUBJECT = frozenset({"id", "relay", "package", "maxUses", "minInterval", "grantDigest"})


@dataclass(frozen=True, slots=True)
class VerifiedTicket:
    """A ticket as its issuer signed it. ``holder`` is the did:key that may redeem it.

    ``min_interval`` is in seconds. ``raw`` are the bytes verified, ``digest`` is over the document
    without its proof.
    """

    id: str
    issuer: str
    holder: str
    relay: str
    package: str
    max_uses: int
    min_interval: int
    grant_digest: str
    valid_from: datetime
    valid_until: datetime
    status: StatusEntry
    digest: str
    proofs: tuple[VerifiedProof, ...]
    raw: bytes


def new_urn(random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A random ``urn:uuid:`` id, version 4."""
    octets = bytearray(random(16))
    octets[6] = octets[6] & 0x0F | 0x40  # the version, and below the variant (RFC 9562 §5.4)
    octets[8] = octets[8] & 0x3F | 0x80
    digits = octets.hex()
    groups = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "urn:uuid:" + "-".join(groups)


def issue_ticket(
    *,
    key: SigningKey,
    redemption_key_did: str,
    relay: str,
    package: str,
    valid_from: datetime,
    valid_until: datetime,
    max_uses: int,
    min_interval: int,
    grant_digest: str,
    status: StatusEntry,
    now: datetime,
    id: str | None = None,  # noqa: A002  # the name of the property
) -> JsonObject:
    """A signed ticket. What its own reader would refuse is not issued: ``StructureInvalid``."""
    document: JsonObject = {
        "@context": list(PROFILE_CONTEXT),
        "id": id or new_urn(),
        "type": ["VerifiableCredential", _KIND],
        "issuer": key.did,
        "validFrom": format_time(valid_from),
        "validUntil": format_time(valid_until),
        "credentialStatus": status.to_json(),
        "credentialSubject": {
            "id": redemption_key_did,
            "relay": relay,
            "package": package,
            "maxUses": max_uses,
            "minInterval": min_interval,
            "grantDigest": grant_digest,
        },
    }
    signed = sign_own(document, key, created=now)
    _read(signed)
    return signed


def verify_ticket(
    raw: bytes | str | JsonObject, *, now: datetime, expected_relay: str | None = None
) -> VerifiedTicket:
    """Verify a ticket: its shape, and that the did:key that issued it signed it.

    Not checked: the window, the status, the uses (whoever releases a package does that, at that
    moment), and whether the issuer is the one who staged the package.

    Raises ``StructureInvalid``, ``ContextRefused``, ``ProofInvalid``, ``StatusInvalid`` for its
    status entry, or ``TicketInvalid`` (``ticket.relay``).
    """
    check_now(now)
    octets = document_bytes(raw)
    ticket = _remembered(octets) if len(octets) <= MAX_REMEMBERED else _open(octets)
    check_proof_times(ticket.proofs, now)
    if expected_relay is not None and ticket.relay != expected_relay:
        raise TicketInvalid(
            "the ticket is for another relay",
            code="ticket.relay",
            pointer="/credentialSubject/relay",
        )
    return ticket


def _open(octets: bytes) -> VerifiedTicket:
    # 1. Shape.
    document = read_own(octets)
    ticket = _read(document)
    # 2. Proof by the issuer. The context is exact, so it is over this document and no other.
    # A relay reads this: it neither loads nor runs what a proof over RDF would take.
    found = verify_own(
        document,
        octets,
        controller=ticket.issuer,
        resolver=OFFLINE,
        now=ANY_TIME,
        suites=JCS_ONLY,
    )
    return replace(ticket, digest=found.digest, proofs=found.proofs, raw=octets)


# The issuer is a did:key, so what was verified stays so; times are looked at by the caller.
_remembered = lru_cache(maxsize=1024)(_open)


def _read(document: JsonObject) -> VerifiedTicket:
    head = read_head(document, kind=_KIND, keys=HEAD_WITH_STATUS)
    status = StatusEntry.parse(document["credentialStatus"])
    subject, at = head.subject, "/credentialSubject"
    check_keys(subject, _SUBJECT, at)
    holder, relay, package = subject["id"], subject["relay"], subject["package"]
    grant, uses, interval = subject["grantDigest"], subject["maxUses"], subject["minInterval"]
    if not has_form(UUID_URN, head.id):
        refuse("id must be a urn:uuid of version 4", "/id")
    if not has_form(DID_KEY, head.issuer):
        refuse("the issuer of a ticket must be a did:key", "/issuer", code="credential.issuer")
    if not isinstance(holder, str) or not has_form(DID_KEY, holder):
        refuse("the subject of a ticket must be a did:key", at + "/id")
    if not isinstance(relay, str) or not has_form(RELAY, relay):
        refuse("relay must be an origin", at + "/relay")
    if not isinstance(package, str) or not has_form(ID, package):
        refuse("package must be an id of 128 bits", at + "/package")
    if not isinstance(grant, str) or not has_form(DIGEST, grant):
        refuse("grantDigest must be a SHA-256 multihash", at + "/grantDigest")
    if not is_count(uses, 1):
        refuse("maxUses must be a number from 1", at + "/maxUses")
    if not is_count(interval, 0):
        refuse("minInterval must be a number of seconds from 0", at + "/minInterval")
    return VerifiedTicket(
        head.id,
        head.issuer,
        holder,
        relay,
        package,
        uses,
        interval,
        grant,
        head.valid_from,
        head.valid_until,
        status,
        digest="",
        proofs=(),
        raw=b"",
    )
