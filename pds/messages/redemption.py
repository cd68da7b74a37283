"""The presentation with which a company redeems, and what its holder checks in it (protocol §6)."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from credentials.contexts import PROFILE_CONTEXT
from credentials.errors import CredentialError
from credentials.grant import VerifiedGrant
from credentials.presentation import sign_presentation, verify_presentation
from credentials.ticket import new_urn
from did.errors import DidError
from did.json import JsonObject, canonicalize, digest, parse_object
from did.keys import SigningKey
from did.multikey import b64url_encode
from did.resolve import OFFLINE
from did.time import format_time
from pds.messages.errors import MessageError
from pds.messages.fields import Fields
from pds.sealing import SealingError, SealingKey, SealingPublicKey, open_sealed, seal

LABEL = "redemption"


def present(
    ticket: JsonObject,
    *,
    grant: VerifiedGrant,
    package_id: str,
    key: SigningKey,
    holder: SealingPublicKey,
    relay: str,
    challenge: str,
    last_receipt: str | None,
    now: datetime,
    random: Callable[[int], bytes] = os.urandom,
) -> JsonObject:
    """Build the signed presentation that redeems one ticket, bound to its one purpose.

    Its digest is the redemption id: store it before sending.
    """
    stated: JsonObject = {
        "challenge": challenge,
        "ticket": digest(ticket),
        "grant": grant.digest,
        "purpose": grant.terms.purpose,
        "processing": [*sorted(grant.terms.processing)],
        "at": format_time(now),
    }
    sealed = seal(canonicalize(stated), to=holder, label=LABEL, context=package_id)
    presentation: JsonObject = {
        "@context": list(PROFILE_CONTEXT),
        "id": new_urn(random),
        "type": ["VerifiablePresentation", "Redemption"],
        "holder": key.did,
        "verifiableCredential": [ticket],
        "grantDigest": grant.digest,
        "sealed": b64url_encode(sealed),
    }
    if last_receipt is not None:
        presentation["lastReceipt"] = last_receipt
    return sign_presentation(
        holder_key=key,
        presentation=presentation,
        challenge=challenge,
        domain=relay,
        created=now,
    )


@dataclass(frozen=True, slots=True)
class Stated:
    """What the company stated to the holder when it redeemed."""

    redeemer: str
    purpose: str
    processing: frozenset[str]
    at: datetime
    redemption: str


def check_redemption(
    presentation: JsonObject,
    *,
    ticket: str,
    grant: str,
    purpose: str,
    processing: frozenset[str],
    redemption_key: str,
    package_id: str,
    relay: str,
    key: SealingKey,
    now: datetime,
) -> Stated:
    """The holder's own check of a redemption that the relay recorded:

    1. the presentation is signed by the ticket's key, for this relay, with one challenge
    2. its one ticket and its grant digest are ours
    3. the sealed part opens, and states the same challenge, ticket, grant, purpose and processing

    Raises ``MessageError`` (``redemption.*``); a mismatch is a breach to be shown to the holder.
    """
    try:
        proof = Fields(presentation).fields("proof")
        challenge = proof.text("challenge", high=200)
        verified = verify_presentation(  # 1
            presentation,
            expected_challenge=challenge,
            expected_domain=relay,
            now=now,
            resolver=OFFLINE,
            exact_context=PROFILE_CONTEXT,
        )
    except (CredentialError, DidError) as error:
        raise MessageError(
            f"the recorded redemption is not signed as it should be: {error}",
            code="redemption.proof",
        ) from error
    if verified.holder != redemption_key:
        raise MessageError("another key redeemed than was allowed", code="redemption.wrong_key")
    document = Fields(verified.document)
    tickets = document.objects("verifiableCredential", high=1)
    if [digest(t) for t in tickets] != [ticket] or document.digest("grantDigest") != grant:  # 2
        raise MessageError("the redemption is of another grant", code="redemption.grant")
    try:
        opened = open_sealed(document.octets("sealed"), key=key, label=LABEL, context=package_id)
        stated = Fields(parse_object(opened))
        same = (
            stated.text("challenge", high=200) == challenge
            and stated.digest("ticket") == ticket
            and stated.digest("grant") == grant
            and stated.iri("purpose") == purpose
            and stated.iris("processing") <= processing
        )
        at = stated.time("at")
        said = stated.iris("processing")
        stated.done()
    except (SealingError, MessageError, DidError) as error:
        raise MessageError(
            "the company did not state its purpose as the protocol asks", code="redemption.stated"
        ) from error
    if not same:  # 3
        raise MessageError(
            "the company stated another purpose or processing than was granted",
            code="redemption.purpose",
        )
    return Stated(
        redeemer=verified.holder,
        purpose=purpose,
        processing=said,
        at=at,
        redemption=verified.digest,
    )
