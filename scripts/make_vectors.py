"""Makes the vectors in ``credentials/vectors``: the same bytes each time, as their keys are public.

    scripts/make-vectors            write them
    scripts/make-vectors --check    say whether those there are these (exit code 1: they are not)

The expectations are written by hand, from what the standards and docs/protocol.md demand: they are
what the verifier is held to, and not what it happened to say.

Long, because it is a list.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import vectors_of_others as of_others
from vector_world import (
    COMPANY,
    DELIVERY,
    HOLDER,
    LIST_URL,
    MARKETING,
    NOW,
    OTHER_LIST,
    P256,
    P384,
    RELAY,
    STRANGER,
    SUITES,
    VALID,
    YEAR,
    case,
    claim,
    refused,
    terms,
    urn,
    without,
)
from vectors_of_histories import histories

from credentials.contexts import CREDENTIALS_V1, CREDENTIALS_V2, PROFILE_CONTEXT
from credentials.derive import derive_credential
from credentials.grant import issue_grant
from credentials.issue import issue_credential
from credentials.presentation import sign_presentation
from credentials.proof import add_proof, sign_object
from credentials.status import BitString, StatusEntry, issue_status_list
from credentials.statuslist import issue_general_list
from credentials.suites import ecdsa_sd
from credentials.ticket import issue_ticket
from credentials.vc_jwt import sign_vc_jwt, sign_vp_jwt
from did.json import Json, JsonObject, canonicalize
from did.keys import SigningKey
from did.multikey import b64url_encode, multihash_sha256
from did.time import format_time

FOLDER = Path(__file__).resolve().parents[1] / "credentials" / "vectors"

# --- grants ------------------------------------------------------------------------------------


def grant(index: int = 7, **changes: object) -> JsonObject:
    entry = StatusEntry(LIST_URL, index)
    return issue_grant(terms(**changes), key=HOLDER, status=entry, now=NOW, id=urn(index))


def own_list(key: SigningKey = HOLDER, *, at: datetime = NOW, sequence: int = 3) -> JsonObject:
    bits = BitString.empty().with_bit(9)
    return issue_status_list(key=key, url=LIST_URL, bits=bits, sequence=sequence, now=at)


def grants() -> Iterator[JsonObject]:
    listed = canonicalize(own_list()).decode()
    good = grant()

    def of(name: str, value: JsonObject | str, expected: Json, **changes: object) -> JsonObject:
        given: dict[str, Json] = {"purpose": DELIVERY, "audience": COMPANY, "status": listed}
        at = changes.pop("at", NOW)
        if not isinstance(at, datetime):
            raise TypeError
        return case(name, value, expected, at=at, **{**given, **changes})  # type: ignore[dict-item]

    resigned = without(good, "proof")
    yield of("valid", good, VALID)
    yield of("valid for a broader purpose", good, VALID, purpose="https://w3id.org/dpv#Purpose")
    yield of("valid, fields covered", good, VALID, fields=["contact.name"])
    last = NOW + YEAR - timedelta(seconds=1)
    newer = canonicalize(own_list(at=last)).decode()
    yield of("valid, the last second", good, VALID, at=last, status=newer)
    yield of("over", good, refused("credential.expired", "/validUntil"), at=NOW + YEAR)
    early = NOW - timedelta(days=1)
    yield of("not begun", good, refused("proof.future", "/proof/created"), at=early)
    later = grant(valid_from=NOW + timedelta(days=9))
    yield of("of a later day", later, refused("credential.not_yet_valid", "/validFrom"))
    yield of("another purpose", good, refused("grant.purpose"), purpose=MARKETING)
    yield of("another company", good, refused("grant.audience"), audience="did:web:x.example")
    yield of("another field", good, refused("grant.fields"), fields=["health"])
    yield of("withdrawn", grant(9), refused("status.withdrawn"))
    yield of("sandbox", grant(8, sandbox=True), refused("grant.sandbox"))
    yield of("no status list", good, refused("status.required"), status=None)
    stale = canonicalize(own_list(at=NOW - timedelta(days=40))).decode()
    yield of("a status list that is over", good, refused("status.stale"), status=stale)
    others = canonicalize(own_list(STRANGER)).decode()
    yield of("a status list of another", good, refused("status.issuer", "/issuer"), status=others)
    yield of(
        "a field added after signing",
        claim(good, fields=["contact.address", "contact.name", "health"]),
        refused("proof.signature", "/proof/proofValue"),
    )
    yield of(
        "signed by another",
        sign_object(resigned, STRANGER, created=NOW),
        refused("proof.not_by_controller", "/proof"),
    )
    yield of(
        "a context appended",
        {**good, "@context": [CREDENTIALS_V2, "https://w3id.org/personal-data-store/v1", {}]},
        refused("context.not_exact", "/@context"),
    )
    yield of(
        "an unknown property, signed",
        sign_object(claim(resigned, more=True), HOLDER, created=NOW),
        refused("credential.property", "/credentialSubject"),
    )
    yield of("no proof", resigned, refused("credential.missing"))
    yield of("an empty proof set", {**good, "proof": []}, refused("proof.missing", "/proof"))
    yield of(
        "a proof for another purpose",
        sign_object(resigned, HOLDER, created=NOW, purpose="authentication"),
        refused("proof.purpose", "/proof/proofPurpose"),
    )
    text = canonicalize(good).decode()
    twice = f'{text[:-1]},"id":"{good["id"]}"}}'
    yield of("a key twice, the same value", twice, refused("json.duplicate_key"))
    yield of("a ticket", ticket(), refused("credential.type", "/type"))
    both = add_proof(good, HOLDER, created=NOW, cryptosuite="eddsa-rdfc-2022")
    yield of("a set of two suites", both, VALID)
    proofs = both["proof"]
    if not isinstance(proofs, list):
        raise TypeError
    yield of(
        "eddsa-rdfc-2022 alone",
        {**good, "proof": proofs[1]},
        refused("proof.no_known_suite", "/proof"),
    )


# --- tickets, lists, presentations --------------------------------------------------------------


def ticket() -> JsonObject:
    return issue_ticket(
        key=HOLDER,
        redemption_key_did=STRANGER.did,
        relay=RELAY,
        package=b64url_encode(bytes(16)),
        valid_from=NOW,
        valid_until=NOW + YEAR,
        max_uses=12,
        min_interval=0,
        grant_digest=multihash_sha256(b"a grant"),
        status=StatusEntry(LIST_URL, 7),
        now=NOW,
        id=urn(1),
    )


def tickets() -> Iterator[JsonObject]:
    good = ticket()
    yield case("valid", good, VALID, relay=RELAY)
    yield case(
        "for another relay",
        good,
        refused("ticket.relay", "/credentialSubject/relay"),
        relay="https://other.example",
    )
    yield case(
        "more uses after signing",
        claim(good, maxUses=13),
        refused("proof.signature", "/proof/proofValue"),
        relay=RELAY,
    )
    yield case("a grant", grant(), refused("credential.type", "/type"), relay=RELAY)
    at = "/credentialSubject"
    unsigned = without(good, "proof")
    text = canonicalize(good).decode()
    # Whether it is in force is looked at by who releases a package, at that moment.
    yield case("valid: the window is over", good, VALID, at=NOW + 2 * YEAR, relay=RELAY)
    for name, value, code, pointer in (
        ("no proof", unsigned, "credential.missing", ""),
        ("an empty proof set", {**good, "proof": []}, "proof.missing", "/proof"),
        (
            "a context appended",
            {**good, "@context": [*PROFILE_CONTEXT, {}]},
            "context.not_exact",
            "/@context",
        ),
        ("no id", without(good, "id"), "credential.missing", ""),
        ("a property more", {**good, "name": "A"}, "credential.property", ""),
    ):
        yield case(name, value, refused(code, pointer), relay=RELAY)
    twice = f'{text[:-1]},"id":"{good["id"]}"}}'
    yield case("a key twice, the same value", twice, refused("json.duplicate_key"), relay=RELAY)
    yield case(
        "signed by another",
        sign_object(unsigned, STRANGER, created=NOW),
        refused("proof.not_by_controller", "/proof"),
        relay=RELAY,
    )
    yield case(
        "signed tomorrow",
        sign_object(unsigned, HOLDER, created=NOW + timedelta(days=1)),
        refused("proof.future", "/proof/created"),
        relay=RELAY,
    )
    yield case(
        "a proof for another purpose",
        sign_object(unsigned, HOLDER, created=NOW, purpose="authentication"),
        refused("proof.purpose", "/proof/proofPurpose"),
        relay=RELAY,
    )
    yield case(
        "eddsa-rdfc-2022 alone",
        sign_object(unsigned, HOLDER, created=NOW, cryptosuite="eddsa-rdfc-2022"),
        refused("proof.no_known_suite", "/proof"),
        relay=RELAY,
    )
    # Each of these is signed by its issuer, and still says what no ticket may.
    for name, more, reason, place in (
        ("no uses", {"maxUses": 0}, "value", "maxUses"),
        ("uses as truth", {"maxUses": True}, "value", "maxUses"),
        ("uses as text", {"maxUses": "12"}, "value", "maxUses"),
        ("a negative interval", {"minInterval": -1}, "value", "minInterval"),
        ("a relay with a path", {"relay": RELAY + "/v1"}, "value", "relay"),
        ("no package", {"package": "A"}, "value", "package"),
        ("no digest", {"grantDigest": "uEiA"}, "value", "grantDigest"),
        ("for a did:web", {"id": COMPANY}, "value", "id"),
        ("it says a purpose", {"purpose": DELIVERY}, "property", ""),
    ):
        signed = sign_object(claim(unsigned, **more), HOLDER, created=NOW)  # type: ignore[arg-type]
        place = f"{at}/{place}".removesuffix("/")
        yield case(name, signed, refused(f"credential.{reason}", place), relay=RELAY)
    for name, changes, code, pointer in (
        ("by a did:web", {"issuer": COMPANY}, "credential.issuer", "/issuer"),
        ("an id of no version 4", {"id": "urn:uuid:1"}, "credential.value", "/id"),
        (
            "it ends before it begins",
            {"validUntil": format_time(NOW - YEAR)},
            "credential.window",
            "/validUntil",
        ),
        (
            "a time with fractions",
            {"validUntil": "2027-01-31T09:30:00.0Z"},
            "time.format",
            "/validUntil",
        ),
    ):
        signed = sign_object({**unsigned, **changes}, HOLDER, created=NOW)
        yield case(name, signed, refused(code, pointer), relay=RELAY)


def status_lists() -> Iterator[JsonObject]:
    good = own_list()
    who: dict[str, Json] = {"issuer": HOLDER.did, "url": LIST_URL, "profile": True}
    yield case("valid", good, VALID, **who)
    yield case(
        "older than one seen",
        good,
        refused("status.older", "/credentialSubject/sequence"),
        min_sequence=4,
        **who,
    )
    yield case("over", good, refused("status.stale"), at=NOW + timedelta(days=36), **who)
    yield case(
        "by another",
        own_list(STRANGER),
        refused("status.issuer", "/issuer"),
        **who,
    )
    yield case(
        "of another address",
        good,
        refused("status.url", "/id"),
        **{**who, "url": LIST_URL[:-1] + "Q"},
    )
    bits = BitString.empty().with_bit(9)
    by: dict[str, Json] = {"issuer": P256.did, "url": OTHER_LIST, "profile": False}
    general = issue_general_list(
        P256,
        url=OTHER_LIST,
        bits=bits,
        purposes=("suspension",),
        now=NOW,
        cryptosuite="ecdsa-jcs-2019",
    )
    yield case("any issuer's, suspension", general, VALID, **by)
    yield from of_others.lists()


def presentations() -> Iterator[JsonObject]:
    given: JsonObject = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiablePresentation"],
        "verifiableCredential": [grant()],
    }
    for suite, keys in SUITES.items():
        for key in keys:
            signed = sign_presentation(
                holder_key=key,
                presentation=given,
                challenge="c-1",
                domain="https://shop.example",
                created=NOW,
                cryptosuite=suite,
            )
            here: dict[str, Json] = {"challenge": "c-1", "domain": "https://shop.example"}
            name = f"{suite}, {key.did[8:12]}"
            yield case(f"valid: {name}", signed, VALID, **here)
            yield case(
                f"a replay: {name}",
                signed,
                refused("presentation.challenge", "/proof/challenge"),
                **{**here, "challenge": "c-2"},
            )
            yield case(
                f"for another: {name}",
                signed,
                refused("presentation.domain", "/proof/domain"),
                **{**here, "domain": "https://x.example"},
            )
            yield case(
                f"a credential taken out: {name}",
                {**signed, "verifiableCredential": []},
                refused("proof.signature", "/proof/proofValue"),
                **here,
            )
    yield from _shown_amiss(given)


def _shown_amiss(given: JsonObject) -> Iterator[JsonObject]:
    """Presentations that are signed, by somebody, and still are not what they must be."""
    here: dict[str, Json] = {"challenge": "c-1", "domain": "https://shop.example"}
    by_holder: JsonObject = {**given, "holder": HOLDER.did}

    def signed(value: JsonObject, key: SigningKey = HOLDER, **more: object) -> JsonObject:
        options = {"created": NOW, "purpose": "authentication", **here, **more}
        return sign_object(value, key, **options)  # type: ignore[arg-type]

    wrong = "/proof/"
    for name, value, code, pointer in (
        ("no proof", by_holder, "proof.missing", "/proof"),
        ("of another holder", signed(by_holder, STRANGER), "proof.not_by_controller", "/proof"),
        (
            "signed as a credential is",
            signed(by_holder, purpose="assertionMethod"),
            "proof.purpose",
            wrong + "proofPurpose",
        ),
        (
            "it answers no challenge",
            signed(by_holder, challenge=None),
            "presentation.challenge",
            wrong + "challenge",
        ),
        (
            "it is for no domain",
            signed(by_holder, domain=None),
            "presentation.domain",
            wrong + "domain",
        ),
        (
            "signed tomorrow",
            signed(by_holder, created=NOW + timedelta(days=1)),
            "proof.future",
            wrong + "created",
        ),
        (
            "it carries a text",
            signed({**by_holder, "verifiableCredential": ["a"]}),
            "presentation.credentials",
            "/verifiableCredential",
        ),
        ("a credential", grant(), "credential.type", "/type"),
    ):
        yield case(name, value, refused(code, pointer), **here)
    yield case("valid: no holder is named, so it is who signed", signed(given), VALID, **here)


# --- credentials of any issuer ------------------------------------------------------------------


def credentials() -> Iterator[JsonObject]:
    claims: JsonObject = {"id": "did:example:1", "name": "Ágnes", "description": "of Szeged"}
    for suite, keys in SUITES.items():
        for key in keys:
            name = f"{suite}, {key.did[8:12]}"
            unsigned: JsonObject = {
                "id": urn(2),
                "credentialSubject": claims,
                "validUntil": format_time(NOW + YEAR),
            }
            good = issue_credential(unsigned, key, now=NOW, cryptosuite=suite)
            yield case(f"valid: {name}", good, VALID, issuer=key.did)
            yield case(
                f"a claim changed: {name}",
                claim(good, name="Anna"),
                refused("proof.signature", "/proof/proofValue"),
            )
            yield case(
                f"over: {name}", good, refused("credential.expired", "/validUntil"), at=NOW + YEAR
            )
            yield case(
                f"another issuer named: {name}",
                {**good, "issuer": STRANGER.did},
                refused("proof.signature", "/proof/proofValue"),
            )
            older = issue_credential(
                {
                    "@context": [CREDENTIALS_V1],
                    "id": urn(3),
                    "credentialSubject": {"id": "did:example:1"},
                },
                key,
                now=NOW,
                cryptosuite=suite,
            )
            yield case(f"valid, VCDM 1.1: {name}", older, VALID, issuer=key.did)
    yield from _chains()
    yield from _selective()
    yield from of_others.general()
    yield from of_others.with_status()


def _chains() -> Iterator[JsonObject]:
    first = issue_credential(
        {"id": urn(4), "credentialSubject": {"id": "did:example:1"}}, HOLDER, now=NOW
    )
    first = add_proof(without(first, "proof"), HOLDER, created=NOW, id="urn:proof:1")
    both = add_proof(first, STRANGER, created=NOW, previous=["urn:proof:1"])
    yield case("valid: a chain of two signers", both, VALID, issuer=HOLDER.did)
    proofs = both["proof"]
    if not isinstance(proofs, list):
        raise TypeError
    again: JsonObject = {**proofs[0], "id": "urn:proof:2"}  # type: ignore[dict-item]
    yield case(
        "a chain without its beginning",
        {**both, "proof": proofs[1]},
        refused("proof.previous", "/proof"),
    )
    yield case(
        "a set with one that does not hold",
        {**both, "proof": [proofs[0], {**again, "created": "2026-01-01T00:00:00Z"}]},
        refused("proof.signature", "/proof/proofValue"),
    )
    yield case(
        "a known suite by nobody who counts",
        {**both, "proof": {**again, "cryptosuite": "none-2022"}},
        refused("proof.no_known_suite", "/proof"),
    )


def _selective() -> Iterator[JsonObject]:
    document: JsonObject = {
        "@context": [CREDENTIALS_V2],
        "id": urn(5),
        "type": ["VerifiableCredential"],
        "issuer": P256.did,
        "credentialSubject": {
            "id": "did:example:1",
            "name": "Ágnes",
            "description": "of Szeged",
        },
    }
    configuration: JsonObject = {
        "type": "DataIntegrityProof",
        "cryptosuite": "ecdsa-sd-2023",
        "created": format_time(NOW),
        "verificationMethod": P256.verification_method,
        "proofPurpose": "assertionMethod",
        "@context": document["@context"],
    }
    proof = ecdsa_sd.create_base_proof(
        document,
        configuration,
        P256,
        mandatory_pointers=["/issuer"],
        random=lambda size: b"\5" * size,
    )
    base = {**document, "proof": proof}
    part = derive_credential(base, selective_pointers=["/credentialSubject/name"])
    yield case("valid: a part, ecdsa-sd-2023", part, VALID, issuer=P256.did)
    yield case(
        "a base proof shown", base, refused("proof.base", "/proof/proofValue"), issuer=P256.did
    )
    yield case(
        "a part with a claim put back",
        claim(part, description="of Szeged"),
        refused("proof.statements", "/proof/proofValue"),
    )
    yield case(
        "a part with a claim changed",
        claim(part, name="Anna"),
        refused("proof.signature", "/proof/proofValue"),
    )


def tokens() -> Iterator[JsonObject]:
    document: JsonObject = {
        "@context": [CREDENTIALS_V2],
        "id": urn(6),
        "type": ["VerifiableCredential"],
        "issuer": HOLDER.did,
        "credentialSubject": {"id": "did:example:1", "name": "Ágnes"},
    }
    for key in (HOLDER, P256, P384):
        token = sign_vc_jwt({**document, "issuer": key.did}, key)
        name = key.did[8:12]
        head, body, signature = token.split(".")
        broken = "A" if signature[0] != "A" else "B"
        none = b64url_encode(b'{"alg":"none","typ":"vc+jwt"}')
        yield case(f"valid: vc+jwt, {name}", token, VALID, token="vc")
        yield case(
            f"a signature changed, {name}",
            f"{head}.{body}.{broken}{signature[1:]}",
            refused("jose.signature"),
            token="vc",
        )
        yield case(f"no algorithm, {name}", f"{none}.{body}.", refused("jose.syntax"), token="vc")
        yield case(f"not a presentation, {name}", token, refused("jose.typ"), token="vp")
    hidden = sign_vc_jwt(
        document,
        HOLDER,
        disclosable={"/credentialSubject/name"},
        random=lambda size: b"\6" * size,
    )
    yield case("valid: vc+sd-jwt, all shown", hidden, VALID, token="vc")
    signed, _, _ = hidden.split("~")
    yield case("valid: vc+sd-jwt, nothing shown", signed + "~", VALID, token="vc")
    presented = sign_vp_jwt(
        {"@context": [CREDENTIALS_V2], "type": ["VerifiablePresentation"]},
        HOLDER,
        challenge="c-1",
        domain="https://shop.example",
        now=NOW,
    )
    here: dict[str, Json] = {"challenge": "c-1", "domain": "https://shop.example", "token": "vp"}
    yield case("valid: vp+jwt", presented, VALID, **here)
    yield case(
        "a replay",
        presented,
        refused("presentation.challenge", "/nonce"),
        **{**here, "challenge": "x"},
    )
    yield from of_others.jwt()
    yield from of_others.sd_jwt_vc()


FILES: dict[str, Callable[[], Iterator[JsonObject]]] = {
    "credentials": credentials,
    "grants": grants,
    "histories": histories,
    "presentations": presentations,
    "stamps": of_others.stamps,
    "status-lists": status_lists,
    "tickets": tickets,
    "tokens": tokens,
}


def make() -> dict[str, str]:
    """The text of every file, by its name."""
    files: dict[str, Json] = {name: [*cases()] for name, cases in FILES.items()}
    return {
        f"{name}.json": json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        for name, value in {"keys": of_others.keys(), **files}.items()
    }


def main() -> int:
    reader = argparse.ArgumentParser(description="Make the vectors of credentials/vectors.")
    reader.add_argument("--check", action="store_true", help="only compare")
    check = reader.parse_args().check
    for name, text in make().items():
        place = FOLDER / name
        if not check:
            place.write_text(text, encoding="utf-8")
        elif not place.exists() or place.read_text(encoding="utf-8") != text:
            print(f"{name} is another")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
