"""Data Integrity proofs: signing an object, and finding out who signed it.

``verify_object`` says that at least one known proof stands on the object, that every known proof
holds, that each is for the purpose expected, and that the DID document of each signer lists the
key for that purpose. It returns the document *as it was signed*: act on that, never on the copy
that came in. What the document means is left to the callers.

Longer than a room should be: signing and verifying are two halves of one contract, and its checks
are read in one go.

Sources: Verifiable Credential Data Integrity 1.0 §2.1, §4.3–4.5; Controlled Identifiers 1.0 §3.3.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from credentials.contexts import Contexts, check_exact_context, context_bytes
from credentials.controllers import key_of_did_key, method_of, refusal
from credentials.errors import ProofInvalid, StructureInvalid
from credentials.forms import read_date_time_stamp, read_time
from credentials.proofset import PROOF_TYPE, malformed, signed_document, sort_proofs
from credentials.suites.suite import Budget, Signed, Suite
from credentials.suites.table import ALL_SUITES, EDDSA_JCS, JCS_ONLY, suite_named
from did.errors import DidError, DidSyntaxError, JsonError
from did.json import MAX_BYTES, Json, JsonObject, canonicalize, parse_object, without_proof
from did.keys import SigningKey, VerifyKey
from did.multikey import multihash_of_sha256
from did.resolve import Resolver
from did.time import check_now, format_time

if TYPE_CHECKING:
    from did.ecdsa import EcdsaSigningKey, EcdsaVerifyKey
    from did.mldsa import MldsaSigningKey, MldsaVerifyKey

    # A key of any suite; which one a suite takes is checked where it is used.
    AnySigningKey: TypeAlias = SigningKey | EcdsaSigningKey
    AnyVerifyKey: TypeAlias = VerifyKey | EcdsaVerifyKey | MldsaVerifyKey

# How far ahead of ours another clock may run.
SKEW: Final = timedelta(seconds=60)

_REQUIRED = ("created", "cryptosuite", "proofPurpose", "proofValue", "type", "verificationMethod")
# In our own objects nothing else stands in a proof; challenge and domain only where expected.
_PROFILE = frozenset({*_REQUIRED, "@context", "expires", "id", "previousProof"})
_PRESENTED = frozenset({*_PROFILE, "challenge", "domain"})


@dataclass(frozen=True, slots=True)
class VerifiedProof:
    """One proof that holds: whose it is, and when it was made and ends."""

    controller: str
    verification_method: str
    created: datetime | None
    expires: datetime | None
    cryptosuite: str = EDDSA_JCS


@dataclass(frozen=True, slots=True, eq=False)
class VerifiedObject:
    """A document as it was signed, without its proof, and who signed it.

    ``controller`` and ``verification_method`` are those of the expected signer (of the first
    known proof when none was named). ``unknown_suites`` names proofs that could not be looked at,
    and of which nothing is known.
    """

    signed: Signed
    controller: str
    verification_method: str
    proofs: tuple[VerifiedProof, ...]
    unknown_suites: tuple[str, ...]

    @property
    def document(self) -> JsonObject:
        """The document as it was signed."""
        return self.signed.document

    @property
    def digest(self) -> str:
        """The digest over the document; made when it is asked for, unless a proof needed it."""
        return multihash_of_sha256(self.signed.json_hash())


def sign_object(
    obj: JsonObject,
    key: "AnySigningKey",
    *,
    created: datetime,
    purpose: str = "assertionMethod",
    verification_method: str | None = None,
    challenge: str | None = None,
    domain: str | None = None,
    cryptosuite: str = EDDSA_JCS,
    contexts: Contexts = context_bytes,
) -> JsonObject:
    """A copy of an object with one proof (Data Integrity §4.2), of eddsa-jcs-2022 unless said.

    ``verification_method`` is the key's did:key method unless given. An object that has a proof
    is refused (``proof.present``); a further one is added by ``add_proof``.
    """
    if "proof" in obj:
        raise ProofInvalid("the object already has a proof", code="proof.present", pointer="/proof")
    return add_proof(
        obj,
        key,
        created=created,
        purpose=purpose,
        verification_method=verification_method,
        challenge=challenge,
        domain=domain,
        cryptosuite=cryptosuite,
        contexts=contexts,
    )


def add_proof(
    obj: JsonObject,
    key: "AnySigningKey | MldsaSigningKey",
    *,
    created: datetime,
    purpose: str = "assertionMethod",
    verification_method: str | None = None,
    challenge: str | None = None,
    domain: str | None = None,
    expires: datetime | None = None,
    id: str | None = None,  # noqa: A002  # the name of the property
    previous: Sequence[str] = (),
    cryptosuite: str = EDDSA_JCS,
    mandatory_pointers: Sequence[str] = (),
    contexts: Contexts = context_bytes,
) -> JsonObject:
    """A copy of an object with one proof more.

    The proofs of a set do not cover each other: whoever holds the object can take one away
    (Data Integrity §2.1.1). ``previous`` names earlier proofs by their ``id``, and this one covers
    them (a chain, §2.1.2). Suites over RDF are for objects whose contexts are known here and define
    all that they say (``RdfcRefused`` otherwise). ``mandatory_pointers`` are for suites from whose
    proof a holder derives another: JSON pointers to what must always be shown.

    Raises ``ProofInvalid`` (``proof.no_known_suite``, ``proof.key_kind``, ``proof.previous``) and
    what the suite raises.
    """
    suite = suite_named(cryptosuite)
    if not isinstance(key, suite.signing_key):
        raise ProofInvalid(
            "the cryptosuite does not go with this kind of key",
            code="proof.key_kind",
            hint="eddsa suites sign with Ed25519, ecdsa suites with P-256 or P-384, ecdsa-sd-2023 "
            "with P-256.",
        )
    if mandatory_pointers and not suite.derives:
        raise ProofInvalid(
            "the cryptosuite does not go with mandatory pointers",
            code="proof.key_kind",
            hint="They are for suites from whose proof others are derived: ecdsa-sd-2023.",
        )
    # A key that has no did:key of its own must be said by its name.
    method = verification_method or getattr(key, "verification_method", None)
    if method is None:
        raise ProofInvalid(
            "which verification method the key is must be said", code="proof.key_kind"
        )
    document = without_proof(obj)
    proof: JsonObject = {
        "type": PROOF_TYPE,
        "cryptosuite": cryptosuite,
        "created": format_time(created),
        "verificationMethod": method,
        "proofPurpose": purpose,
    }
    if id is not None:
        proof["id"] = id
    if expires is not None:
        proof["expires"] = format_time(expires)
    if challenge is not None:
        proof["challenge"] = challenge
    if domain is not None:
        proof["domain"] = domain
    if previous:
        proof["previousProof"] = previous[0] if len(previous) == 1 else list[Json](previous)
    if "@context" in document and not suite.over_rdf:
        proof["@context"] = document["@context"]
    signed = Signed(signed_document(obj, document, proof, None), contexts, Budget())
    # Under a suite over RDF the context stands in what is signed, and not again in the proof that
    # is shown (EdDSA Cryptosuites §3.2.1).
    configuration = {**proof, "@context": document["@context"]} if suite.over_rdf else proof
    proof["proofValue"] = suite.create(signed, configuration, key, mandatory_pointers)
    present = obj.get("proof")
    if present is None:
        return {**document, "proof": proof}
    return {**document, "proof": [*(present if isinstance(present, list) else [present]), proof]}


def document_bytes(raw: bytes | str | JsonObject) -> bytes:
    """The bytes of a document; of an object that was parsed before, its canonical form.

    Raises ``StructureInvalid`` with the ``json.*`` code of what is wrong.
    """
    if isinstance(raw, bytes):
        return raw
    try:
        return raw.encode() if isinstance(raw, str) else canonicalize(raw)
    except UnicodeEncodeError:
        raise StructureInvalid(
            "strings must not hold half of a surrogate pair", code="json.surrogate"
        ) from None
    except JsonError as error:
        raise StructureInvalid(str(error), code=error.code, hint=error.hint) from None


def read_document(raw: bytes | str | JsonObject, *, allow_floats: bool = False) -> JsonObject:
    """The object in these bytes, or a copy of an object that was parsed before, equally strict.

    ``allow_floats`` is for documents of others: in ours every number is an integer. Raises
    ``StructureInvalid`` with the ``json.*`` code of what is wrong.
    """
    octets = document_bytes(raw)
    # How long an object may be was decided by whoever parsed it before.
    most = len(octets) if isinstance(raw, dict) else MAX_BYTES
    try:
        return parse_object(octets, max_bytes=most, allow_floats=allow_floats)
    except JsonError as error:
        hint = error.hint
        if error.code == "json.syntax":
            hint = "Hand over the whole text itself, not the name of its file."
        raise StructureInvalid(str(error), code=error.code, hint=hint) from None


def verify_object(
    raw: bytes | str | JsonObject,
    *,
    resolver: Resolver,
    now: datetime,
    expected_controller: str | None,
    purpose: str = "assertionMethod",
    expected_challenge: str | None = None,
    expected_domain: str | None = None,
    exact_context: tuple[str, ...] | None,
    suites: AbstractSet[str] = ALL_SUITES,
    contexts: Contexts = context_bytes,
) -> VerifiedObject:
    """Verify every known proof on an object and return the object as it was signed.

    ``expected_controller`` is the DID that must be among the signers; ``None`` leaves it to the
    caller to look at ``controller``. ``exact_context``: ``PROFILE_CONTEXT`` for our credentials
    and presentations, ``()`` for plain objects, which have no context; ``None`` follows the
    standard's own rule for documents of others, under which contexts added after those of the
    proof are dropped from the document returned.

    With an ``exact_context`` it is eddsa-jcs-2022 that counts: a proof of it by
    ``expected_controller`` must be there, and other suites only add to it. Where it is there, the
    document returned is the one under it; under a suite over RDF alone, the order and repetition
    of unordered values were not signed. ``contexts`` gives the bytes of a JSON-LD context by its
    URL; as it is, those that are pinned here.

    Raises ``StructureInvalid``, ``ContextRefused``, ``RdfcRefused``, ``ProofInvalid`` or
    ``ControllerUnresolved``.
    """
    check_now(now)
    verified = verify_parsed(
        read_document(raw, allow_floats=exact_context is None),
        resolver=resolver,
        now=now,
        expected_controller=expected_controller,
        purpose=purpose,
        expected_challenge=expected_challenge,
        expected_domain=expected_domain,
        exact_context=exact_context,
        suites=suites,
        contexts=contexts,
    )
    check_proof_times(verified.proofs, now)
    return verified


def verify_parsed(
    document: JsonObject,
    *,
    resolver: Resolver,
    now: datetime,
    expected_controller: str | None,
    purpose: str = "assertionMethod",
    expected_challenge: str | None = None,
    expected_domain: str | None = None,
    exact_context: tuple[str, ...] | None,
    suites: AbstractSet[str] = ALL_SUITES,
    contexts: Contexts = context_bytes,
) -> VerifiedObject:
    """``verify_object`` for what ``read_document`` returned, *without* the times of the proofs.

    ``check_proof_times`` looks at those; apart, so that a verified object can be remembered.
    """
    # 1. The context is the one the profile demands.
    if exact_context is not None:
        check_exact_context(document, exact_context)
    # 2. Which proofs there are, and which of them we know (Data Integrity §4.5, steps 1–4).
    profile = exact_context is not None
    known, unknown = sort_proofs(
        document.get("proof"), suites=suites if exact_context != () else JCS_ONLY
    )
    if profile and known[0]["cryptosuite"] != EDDSA_JCS:
        raise ProofInvalid(
            "a document of ours must have an eddsa-jcs-2022 proof",
            code="proof.no_known_suite",
            hint="A proof of another suite can stand beside it, not for it.",
            pointer="/proof",
        )
    unsecured = without_proof(document)
    signer = _Signer(resolver, now, purpose, expected_challenge, expected_domain)
    budget = Budget()
    whole = Signed(unsecured, contexts, budget)
    principal: tuple[VerifiedProof, Signed] | None = None
    proofs: list[VerifiedProof] = []
    for proof in known:
        suite = suite_named(str(proof["cryptosuite"]))
        # 3. What the proof says about itself is what we expect (Data Integrity §4.4, steps 3–7).
        said = signer.check_statement(proof, profile=profile)
        # 4. The document that this proof is over.
        covered = signed_document(document, unsecured, proof, exact_context)
        signed = whole if covered is unsecured else Signed(covered, contexts, budget)
        # 5. The key is listed for this purpose in the DID document of its controller.
        key = signer.key_of(said, suite)
        # 6. The signature.
        _verify_value(suite, signed, proof, key)
        proofs.append(said)
        # The proofs of eddsa-jcs-2022 come first, and in the profile only they decide.
        counts = suite.name == EDDSA_JCS if profile else not suite.experimental
        if principal is None and counts and expected_controller in (None, said.controller):
            principal = (said, signed)
    # 7. The one who had to sign is among the signers.
    if principal is None:
        raise ProofInvalid(
            "none of the proofs is by the one who must sign this",
            code="proof.not_by_controller",
            pointer="/proof",
            hint="The key must be one that the issuer, or the holder, lists in its DID document.",
        )
    said, signed = principal
    if "proof" in signed.document:  # it was over earlier proofs of a chain as well
        signed = Signed(without_proof(signed.document), contexts, budget)
    return VerifiedObject(signed, said.controller, said.verification_method, tuple(proofs), unknown)


def verify_proof_signature(
    document: JsonObject,
    proof: JsonObject,
    key: "AnyVerifyKey",
    *,
    contexts: Contexts = context_bytes,
) -> None:
    """Whether this key made this proof over this document; nothing else.

    For the vectors of the standard. Whose key it is, its purpose and the time are *not* looked at.
    ``contexts`` gives the bytes of a context by its URL. Raises ``ProofInvalid``, ``RdfcRefused``
    or ``ContextRefused``.
    """
    known, _ = sort_proofs(proof)
    suite = suite_named(str(known[0]["cryptosuite"]))
    if not isinstance(key, suite.verify_key):
        raise ProofInvalid("the key is not of the cryptosuite's kind", code="proof.key_kind")
    unsecured = without_proof(document)
    covered = signed_document(document, unsecured, known[0], None)
    _verify_value(suite, Signed(covered, contexts, Budget()), known[0], key)


def _verify_value(suite: Suite, signed: Signed, proof: JsonObject, key: object) -> None:
    # A proof over RDF is read in the context of what it is over (Data Integrity §4.3).
    if suite.over_rdf:
        proof = {**proof, "@context": signed.document["@context"]}
    suite.verify(signed, proof, key)


def check_proof_times(proofs: tuple[VerifiedProof, ...], now: datetime) -> None:
    """Refuse a proof from the future beyond the skew, or one that is over (§4.5)."""
    for proof in proofs:
        if proof.created is not None and proof.created > now + SKEW:
            raise ProofInvalid(
                "the proof was made in the future",
                code="proof.future",
                hint="Compare the clocks of both machines.",
                pointer="/proof/created",
            )
        if proof.expires is not None and now >= proof.expires:
            raise ProofInvalid("the proof is over", code="proof.expired", pointer="/proof/expires")


class _Signer(NamedTuple):
    """What is expected of a proof, whichever it is."""

    resolver: Resolver
    now: datetime
    purpose: str
    challenge: str | None
    domain: str | None

    def check_statement(self, proof: JsonObject, *, profile: bool) -> VerifiedProof:
        method, purpose = proof.get("verificationMethod"), proof.get("proofPurpose")
        if not isinstance(method, str) or not isinstance(purpose, str) or "#" not in method:
            malformed("a proof must say its verificationMethod, a DID URL, and proofPurpose")
        if profile:
            allowed = _PROFILE if self.challenge is None else _PRESENTED
            if not proof.keys() <= allowed or "created" not in proof:
                malformed("a proof of ours has created, and nothing that is not known")
        if purpose != self.purpose:
            raise ProofInvalid(
                f"the proof must be for {self.purpose}",
                code="proof.purpose",
                pointer="/proof/proofPurpose",
            )
        for name, expected in (("challenge", self.challenge), ("domain", self.domain)):
            if expected is None:
                continue
            found = proof.get(name)
            # A domain may be one of several (Data Integrity §2.1).
            listed = name == "domain" and isinstance(found, list) and expected in found
            if found != expected and (profile or not listed):
                raise ProofInvalid(
                    f"the {name} of the proof is not the one expected",
                    code=f"proof.{name}",
                    pointer=f"/proof/{name}",
                )
        read = read_time if profile else read_date_time_stamp
        created, expires = proof.get("created"), proof.get("expires")
        return VerifiedProof(
            method.partition("#")[0],
            method,
            None if created is None else read(created, "/proof/created"),
            None if expires is None else read(expires, "/proof/expires"),
            str(proof["cryptosuite"]),
        )

    def key_of(self, proof: VerifiedProof, suite: Suite) -> object:
        """The key of a proof, from the DID document of its controller (CID 1.0 §3.3)."""
        name = proof.verification_method
        try:
            if suite.verify_key is VerifyKey and proof.controller.startswith("did:key:"):
                return key_of_did_key(name, self.purpose)
            return suite.read_key(
                method_of(name, purpose=self.purpose, resolver=self.resolver, now=self.now)
            )
        except DidSyntaxError as error:
            malformed("verificationMethod must be a DID URL with a fragment", hint=error.hint)
        except DidError as error:
            raise refusal(error, pointer="/proof/verificationMethod") from None
