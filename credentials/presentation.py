"""Presentations: proof that the holder of a key is here, now, and means this verifier.

Sources: VCDM 2.0 §4.13, Data Integrity 1.0 §4.4 (challenge and domain).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from credentials.contexts import PROFILE_CONTEXT, check_foreign_context
from credentials.credential import read_types
from credentials.errors import PresentationInvalid, ProofInvalid
from credentials.forms import is_url
from credentials.profile import check_keys
from credentials.proof import check_proof_times, read_document, sign_object, verify_parsed
from credentials.suites.table import ALL_SUITES, JCS_ONLY
from did.json import JsonObject
from did.keys import SigningKey
from did.resolve import OFFLINE, Resolver

_REQUIRED = frozenset({"@context", "holder", "id", "proof", "type", "verifiableCredential"})
_OPTIONAL = frozenset({"grantDigest", "lastReceipt", "sealed"})
_WRONG_PLACE = {"proof.challenge": "presentation.challenge", "proof.domain": "presentation.domain"}


@dataclass(frozen=True, slots=True)
class VerifiedPresentation:
    """A presentation by ``holder`` for this challenge and domain.

    ``document`` is as signed, without its proof, and ``digest`` is over it. The credentials inside
    are covered by the holder's proof and otherwise as they came: each is verified on its own.
    """

    holder: str
    types: tuple[str, ...]
    document: JsonObject
    unverified_credentials: tuple[JsonObject, ...]
    digest: str


def sign_presentation(
    *,
    holder_key: SigningKey,
    presentation: JsonObject,
    challenge: str,
    domain: str,
    created: datetime,
) -> JsonObject:
    """Sign a presentation by the did:key of ``holder_key``, for ``authentication``.

    ``holder`` is filled in when it is absent. Raises ``PresentationInvalid``
    (``presentation.holder``) when it names somebody else.
    """
    if presentation.get("holder", holder_key.did) != holder_key.did:
        _refuse("holder", "the holder must be the one who signs")
    return sign_object(
        {**presentation, "holder": holder_key.did},
        holder_key,
        created=created,
        purpose="authentication",
        challenge=challenge,
        domain=domain,
    )


def verify_presentation(
    raw: bytes | str | JsonObject,
    *,
    expected_challenge: str,
    expected_domain: str,
    now: datetime,
    resolver: Resolver = OFFLINE,
    exact_context: tuple[str, ...] | None = PROFILE_CONTEXT,
) -> VerifiedPresentation:
    """Verify that the holder signed this for exactly this challenge and domain.

    Not checked: whether the challenge was used before, and the credentials inside.

    Raises ``PresentationInvalid`` (``presentation.challenge``, ``presentation.domain``,
    ``presentation.holder``, ``presentation.credentials``), ``StructureInvalid``,
    ``ContextRefused``, ``ProofInvalid`` or ``ControllerUnresolved``.
    """
    # 1. An empty expectation would be met by any proof that says as little.
    if not expected_challenge or not expected_domain:
        _refuse("expectation", "a challenge and a domain must be expected")
    document = read_document(raw)
    # 2. Shape (VCDM 2.0 §4.13).
    types = read_types(document, "VerifiablePresentation")
    if exact_context is None:
        check_foreign_context(document)
    else:
        check_keys(document, _REQUIRED, "", _OPTIONAL)
    holder = document.get("holder")
    named = holder.get("id") if isinstance(holder, dict) else holder
    if not is_url(named) or not named.startswith("did:"):
        _refuse("holder", "the holder must be a DID")
    # 3. Proof by the holder, for authentication, here and now.
    try:
        verified = verify_parsed(
            document,
            resolver=resolver,
            now=now,
            expected_controller=named,
            purpose="authentication",
            expected_challenge=expected_challenge,
            expected_domain=expected_domain,
            exact_context=exact_context,
            # A relay reads ours: it neither loads nor runs what a proof over RDF would take.
            suites=ALL_SUITES if exact_context is None else JCS_ONLY,
        )
    except ProofInvalid as error:
        if error.code in _WRONG_PLACE:
            raise PresentationInvalid(
                str(error), code=_WRONG_PLACE[error.code], pointer=error.pointer
            ) from None
        raise
    check_proof_times(verified.proofs, now)
    # 4. What it carries.
    value = verified.document.get("verifiableCredential", [])
    inside = value if isinstance(value, list) else [value]
    credentials = tuple(item for item in inside if isinstance(item, dict))
    if len(credentials) != len(inside):
        _refuse("credentials", "verifiableCredential must hold objects")
    return VerifiedPresentation(named, types, verified.document, credentials, verified.digest)


def _refuse(reason: str, message: str) -> NoReturn:
    raise PresentationInvalid(message, code=f"presentation.{reason}")
