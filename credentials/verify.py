"""Verifying a verifiable credential of any kind, by whoever issued it.

It knows nothing of grants: a relay verifies with this package and never loads what a grant is.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from credentials.contexts import Contexts, context_bytes
from credentials.credential import Credential
from credentials.errors import PolicyRefused, ProofInvalid
from credentials.proof import (
    VerifiedProof,
    check_proof_times,
    read_document,
    verify_parsed,
)
from credentials.status import Status
from credentials.statuslist import StatusFound, check_entries
from did.json import JsonObject, digest, without_proof
from did.resolve import OFFLINE, Resolver
from did.time import check_now

if TYPE_CHECKING:
    from credentials.related import Fetch


@dataclass(frozen=True, slots=True)
class VerifiedCredential:
    """A credential that its issuer signed and has not taken back.

    ``credential.raw`` is the document as it was signed. ``status_checked`` is ``True`` when every
    status entry was looked up, ``None`` when there is none, ``False`` for ``WITHOUT_STATUS``;
    ``statuses`` is what the lists say of those looked up. ``checked_schemas`` and
    ``checked_resources`` are ``True`` when the caller handed over a way to get them.
    """

    credential: Credential
    issuer: str
    proofs: tuple[VerifiedProof, ...]
    unknown_suites: tuple[str, ...]
    status_checked: bool | None
    statuses: tuple[StatusFound, ...] = ()
    checked_schemas: bool = False
    checked_resources: bool = False

    @property
    def digest(self) -> str:
        """The digest of the credential without its proof: the name by which others refer to it."""
        return digest(self.credential.raw)


def verify_credential(
    raw: bytes | str | JsonObject,
    *,
    now: datetime,
    status: Status,
    resolver: Resolver = OFFLINE,
    expected_issuer: str | None = None,
    expected_types: Collection[str] = (),
    expected_subject: str | None = None,
    schemas: "Fetch | None" = None,
    resources: "Fetch | None" = None,
    contexts: Contexts = context_bytes,
) -> VerifiedCredential:
    """Verify a credential: structure, proofs, issuer, window and status (VCDM 2.0 §7.1).

    Versions 2.0 and 1.1 of the data model. The issuer's own DID must be among the signers.
    Contexts added after those that the issuer signed are dropped from the document returned.
    ``expected_types`` must all be among its types, ``expected_subject`` be the id of its only
    subject. ``schemas`` and ``resources`` get the bytes of a URL, and with them the credential is
    held against its JSON Schemas and the digests of its related resources; *without* them that is
    not checked. ``contexts`` gives the bytes of a JSON-LD context by its URL.

    Raises ``StructureInvalid``, ``ContextRefused``, ``RdfcRefused``, ``ProofInvalid``,
    ``ControllerUnresolved``, ``TimeInvalid``, ``PolicyRefused``, ``Withdrawn``,
    ``StatusUnchecked``, ``StatusInvalid`` or ``RelatedInvalid``. Not checked: what the claims
    mean.
    """
    check_now(now)
    # 1. Structure of what came in.
    document = read_document(raw, allow_floats=True)
    shown = Credential.parse(without_proof(document))
    issuer = shown.issuer
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
        contexts=contexts,
    )
    check_proof_times(verified.proofs, now)
    # 3. From here on only what was signed counts. It differs from what came in by its contexts
    #    alone, if at all.
    signed = verified.document
    credential = shown if signed["@context"] is document["@context"] else Credential.parse(signed)
    # 4. Window (§4.9).
    credential.check_window(now)
    # 5. What this verifier asked for.
    _check_policy(credential, expected_types, expected_subject)
    # 6. Status (§4.10).
    found = (
        check_entries(
            credential.status, status, issuer=issuer, now=now, resolver=resolver, contexts=contexts
        )
        if credential.status
        else ()
    )
    # 7. What it refers to (§4.11, §5.3).
    if schemas is not None or resources is not None:
        from credentials.related import check_resources, check_schemas

        if schemas is not None:
            check_schemas(credential, schemas)
        if resources is not None:
            check_resources(credential, resources)
    return VerifiedCredential(
        credential,
        issuer,
        verified.proofs,
        verified.unknown_suites,
        None if not credential.status else found is not None,
        found or (),
        schemas is not None,
        resources is not None,
    )


def _check_policy(
    credential: Credential, expected_types: Collection[str], expected_subject: str | None
) -> None:
    if not set(expected_types) <= set(credential.types):
        raise PolicyRefused(
            "the credential is not of the types expected", code="policy.type", pointer="/type"
        )
    if expected_subject is not None and (
        len(credential.subjects) != 1 or credential.subject.get("id") != expected_subject
    ):
        raise PolicyRefused(
            "the credential is not about the subject expected",
            code="policy.subject",
            pointer="/credentialSubject",
        )
