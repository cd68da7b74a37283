"""Presentations: proof that the holder of a key is here, now, and means this verifier.

Sources: VCDM 2.0 §4.13, Data Integrity 1.0 §4.4 (challenge and domain).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Final, NoReturn

from credentials.contexts import (
    PROFILE_CONTEXT,
    Contexts,
    check_exact_context,
    context_bytes,
    with_proof_context,
)
from credentials.credential import Presentation, read_types
from credentials.errors import PresentationInvalid, ProofInvalid
from credentials.profile import check_keys
from credentials.proof import check_proof_times, read_document, sign_object, verify_parsed
from credentials.suites.table import ALL_SUITES, EDDSA_JCS, JCS_ONLY, suite_named
from did.json import JsonObject
from did.resolve import OFFLINE, Resolver
from did.time import check_now

if TYPE_CHECKING:
    from credentials.envelope import Envelope
    from credentials.proof import AnySigningKey

_TYPE: Final = "VerifiablePresentation"
_REQUIRED = frozenset({"@context", "holder", "id", "proof", "type", "verifiableCredential"})
_OPTIONAL = frozenset({"grantDigest", "lastReceipt", "sealed"})
_WRONG_PLACE = {"proof.challenge": "presentation.challenge", "proof.domain": "presentation.domain"}


class Unchecked(Enum):
    """The type of ``UNCHECKED``."""

    UNCHECKED = "unchecked"


UNCHECKED: Final = Unchecked.UNCHECKED
"""Says aloud that a presentation may have been made for another moment, or for another place."""


@dataclass(frozen=True, slots=True)
class VerifiedPresentation:
    """A presentation by ``holder`` for this challenge and domain.

    ``document`` is as signed, without its proof, and ``digest`` is over it. The credentials inside
    are covered by the holder's proof and otherwise as they came: each is verified on its own. Those
    in ``unverified_envelopes`` are tokens, for ``vc_jwt``.
    """

    holder: str
    types: tuple[str, ...]
    document: JsonObject
    unverified_credentials: tuple[JsonObject, ...]
    digest: str
    unverified_envelopes: "tuple[Envelope, ...]" = ()


def sign_presentation(
    *,
    holder_key: "AnySigningKey",
    presentation: JsonObject,
    challenge: str | None,
    domain: str | None,
    created: datetime,
    holder: str | None = None,
    verification_method: str | None = None,
    cryptosuite: str = EDDSA_JCS,
    contexts: Contexts = context_bytes,
) -> JsonObject:
    """Sign a presentation for ``authentication``, by the did:key of ``holder_key``.

    For another DID of the holder, ``holder`` names it and ``verification_method`` its key there.
    The property ``holder`` is filled in when it is absent; in VCDM 1.1 also the context that
    defines the proof. Raises ``PresentationInvalid`` (``presentation.holder``) when it names
    somebody else, and ``ProofInvalid`` (``proof.base``) for a suite that signs what others derive.
    """
    if suite_named(cryptosuite).derives:
        raise ProofInvalid(
            "a presentation is not signed with a proof that others are derived from",
            code="proof.base",
            hint="Use another cryptosuite. The credentials inside may have derived proofs.",
        )
    signer = holder or holder_key.did
    named = presentation.get("holder", signer)
    if (named.get("id") if isinstance(named, dict) else named) != signer:
        _refuse("holder", "the holder must be the one who signs")
    document = {**presentation, "holder": named}
    if "@context" in document:
        document["@context"] = with_proof_context(document["@context"])
    return sign_object(
        document,
        holder_key,
        created=created,
        purpose="authentication",
        verification_method=verification_method,
        challenge=challenge,
        domain=domain,
        cryptosuite=cryptosuite,
        contexts=contexts,
    )


def verify_presentation(
    raw: bytes | str | JsonObject,
    *,
    expected_challenge: str | Unchecked,
    expected_domain: str | Unchecked,
    now: datetime,
    resolver: Resolver = OFFLINE,
    exact_context: tuple[str, ...] | None = PROFILE_CONTEXT,
    contexts: Contexts = context_bytes,
) -> VerifiedPresentation:
    """Verify that the holder signed this for exactly this challenge and domain.

    ``UNCHECKED`` in the place of one leaves it open, and then the presentation may be a replay.
    ``exact_context`` is for our own presentations; ``None`` reads any of VCDM 2.0 or 1.1, where
    one that names no holder is by whoever signed it. Not checked: whether the challenge was used
    before, and the credentials inside.

    Raises ``PresentationInvalid`` (``presentation.challenge``, ``presentation.domain``,
    ``presentation.holder``, ``presentation.credentials``), ``JoseInvalid``, ``StructureInvalid``,
    ``ContextRefused``, ``ProofInvalid`` or ``ControllerUnresolved``.
    """
    check_now(now)
    return verify_parsed_presentation(
        read_document(raw, allow_floats=exact_context is None),
        expected_challenge=expected_challenge,
        expected_domain=expected_domain,
        now=now,
        resolver=resolver,
        exact_context=exact_context,
        contexts=contexts,
    )


def verify_parsed_presentation(
    document: JsonObject,
    *,
    expected_challenge: str | Unchecked,
    expected_domain: str | Unchecked,
    now: datetime,
    resolver: Resolver = OFFLINE,
    exact_context: tuple[str, ...] | None = PROFILE_CONTEXT,
    contexts: Contexts = context_bytes,
) -> VerifiedPresentation:
    """``verify_presentation`` for what ``did.json.parse_object`` returned.

    Nothing is read anew, so a caller that changes the object changes what is returned.
    """
    check_now(now)
    # 1. An empty expectation would be met by any proof that says as little.
    if not expected_challenge or not expected_domain:
        _refuse("expectation", "a challenge and a domain must be expected")
    # 2. Shape (VCDM 2.0 §4.13).
    if exact_context is not None:
        check_exact_context(document, exact_context)
        read_types(document, _TYPE)
        check_keys(document, _REQUIRED, "", _OPTIONAL)
    presented = Presentation.parse(document)
    holder = presented.holder
    if holder is not None and not holder.startswith("did:"):
        _refuse("holder", "the holder must be a DID")
    # 3. Proof by the holder, for authentication, here and now.
    try:
        verified = verify_parsed(
            document,
            resolver=resolver,
            now=now,
            expected_controller=holder,
            purpose="authentication",
            expected_challenge=None if expected_challenge is UNCHECKED else expected_challenge,
            expected_domain=None if expected_domain is UNCHECKED else expected_domain,
            exact_context=exact_context,
            # A relay reads ours: it neither loads nor runs what a proof over RDF would take.
            suites=ALL_SUITES if exact_context is None else JCS_ONLY,
            contexts=contexts,
        )
    except ProofInvalid as error:
        if error.code in _WRONG_PLACE:
            raise PresentationInvalid(
                str(error), code=_WRONG_PLACE[error.code], pointer=error.pointer
            ) from None
        raise
    check_proof_times(verified.proofs, now)
    # 4. What it carries, as it was signed.
    if exact_context is None:
        presented = Presentation.parse(verified.document)
    return VerifiedPresentation(
        holder or verified.controller,
        presented.types,
        verified.document,
        presented.credentials,
        verified.digest,
        presented.enveloped,
    )


def _refuse(reason: str, message: str) -> NoReturn:
    raise PresentationInvalid(message, code=f"presentation.{reason}")
