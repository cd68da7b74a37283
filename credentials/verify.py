"""Verifying a verifiable credential of any kind, by whoever issued it.

It knows nothing of grants: a relay verifies with this package and never loads what a grant is.
"""

from dataclasses import dataclass
from datetime import datetime

from credentials.credential import Credential
from credentials.errors import ProofInvalid, StatusUnchecked
from credentials.profile import check_window, refuse
from credentials.proof import SKEW, VerifiedProof, check_proof_times, read_document, verify_parsed
from credentials.status import WITHOUT_STATUS, Status, StatusEntry, check_status, read_index
from did.json import Json, JsonObject
from did.resolve import OFFLINE, Resolver

_SUPPORTED_PURPOSES = frozenset({"revocation", "suspension"})


@dataclass(frozen=True, slots=True)
class VerifiedCredential:
    """A credential that its issuer signed and has not taken back.

    ``credential.raw`` is the document as it was signed. ``status_checked`` is ``True`` when every
    status entry was looked up, ``None`` when there is none, ``False`` for ``WITHOUT_STATUS``.
    """

    credential: Credential
    issuer: str
    digest: str
    proofs: tuple[VerifiedProof, ...]
    unknown_suites: tuple[str, ...]
    status_checked: bool | None


def verify_credential(
    raw: bytes | str | JsonObject,
    *,
    now: datetime,
    status: Status,
    resolver: Resolver = OFFLINE,
    expected_issuer: str | None = None,
) -> VerifiedCredential:
    """Verify a credential: structure, proofs, issuer, window and status (VCDM 2.0 §7.1).

    The issuer's own DID must be among the signers. Contexts added after those that the issuer
    signed are dropped from the document returned. Not checked: what the claims mean, schemas and
    related resources.

    Raises ``StructureInvalid``, ``ContextRefused``, ``RdfcRefused``, ``ProofInvalid``,
    ``ControllerUnresolved``, ``TimeInvalid``, ``Withdrawn``, ``StatusUnchecked`` or
    ``StatusInvalid``.
    """
    # 1. Structure of what came in.
    document = read_document(raw)
    issuer = Credential.parse(document).issuer
    if expected_issuer is not None and issuer != expected_issuer:
        raise ProofInvalid(
            "the credential is by another issuer", code="proof.issuer", pointer="/issuer"
        )
    # 2. Proofs, the issuer's among them.
    verified = verify_parsed(
        document,
        resolver=resolver,
        now=now,
        expected_controller=issuer,
        exact_context=None,
    )
    check_proof_times(verified.proofs, now)
    # 3. From here on only what was signed counts.
    credential = Credential.parse(verified.document)
    # 4. Window (§4.9).
    check_window(credential.valid_from or now, credential.valid_until or now + SKEW, now)
    # 5. Status (§4.10).
    checked = (
        None
        if not credential.status
        else _check_entries(credential, status, now=now, resolver=resolver)
    )
    return VerifiedCredential(
        credential,
        issuer,
        verified.digest,
        verified.proofs,
        verified.unknown_suites,
        checked,
    )


def _check_entries(
    credential: Credential, status: Status, *, now: datetime, resolver: Resolver
) -> bool:
    if status is WITHOUT_STATUS:
        return False
    for entry in credential.status:
        check_status(
            _read_entry(entry),
            status,
            issuer=credential.issuer,
            now=now,
            resolver=resolver,
            foreign=True,
        )
    return True


def _read_entry(entry: JsonObject) -> StatusEntry:
    """Read an entry as the standard has it (Bitstring Status List 1.0 §2.1)."""
    kinds: Json = entry.get("type")
    purpose, url = entry.get("statusPurpose"), entry.get("statusListCredential")
    if (
        kinds not in ("BitstringStatusListEntry", ["BitstringStatusListEntry"])
        or purpose not in _SUPPORTED_PURPOSES
        or entry.get("statusSize", 1) != 1
    ):
        raise StatusUnchecked(
            "the credential has a status of a kind that cannot be checked here",
            code="status.unsupported",
            pointer="/credentialStatus",
        )
    if not isinstance(url, str) or not url:
        refuse("statusListCredential must be a URL", "/credentialStatus")
    return StatusEntry(url, read_index(entry.get("statusListIndex")), str(purpose))
