"""The vectors for what other issuers sign: keys and DID documents, statuses, rules of a verifier,
SD-JWT VC; and the stamps of a relay. ``make_vectors`` puts them into files. Long, because it
is a list."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from vector_world import (
    COMPANY,
    HOLDER,
    LIST_URL,
    NOW,
    OTHER_LIST,
    P256,
    P384,
    RELAY,
    STRANGER,
    VALID,
    YEAR,
    case,
    claim,
    refused,
    urn,
    without,
)

from credentials.contexts import CREDENTIALS_V1, CREDENTIALS_V2
from credentials.issue import issue_credential
from credentials.jose import sign_claims
from credentials.key_binding import bind_key
from credentials.proof import add_proof, sign_object
from credentials.sd_jwt import SdJwt, select_disclosures
from credentials.sd_jwt_vc import issue_sd_jwt_vc
from credentials.stamp import sign_stamp
from credentials.status import BitString
from credentials.statuslist import issue_general_list
from credentials.vc_jwt import sign_vc_jwt
from did.ecdsa import EcdsaSigningKey
from did.identifier import Did
from did.json import Json, JsonObject, canonicalize
from did.keys import SigningKey
from did.methods.key import resolve
from did.multikey import b64url_encode, multihash_sha256
from did.time import format_time

WEB = "did:web:issuer.example"
VERIFIER = "https://shop.example"
SUBJECT = "did:example:1"
TYPE = "https://issuer.example/types/membership"
KEYS: dict[str, SigningKey | EcdsaSigningKey] = {
    "holder": HOLDER,
    "stranger": STRANGER,
    "p256": P256,
    "p384": P384,
}


def keys() -> JsonObject:
    """The secrets, and the document of every DID that can be resolved."""
    documents: JsonObject = {
        key.did: resolve(Did.parse(key.did)).to_json() for key in KEYS.values()
    }
    documents[WEB] = _web()
    listed: list[Json] = [
        {
            "name": name,
            "kind": "Ed25519" if isinstance(key, SigningKey) else key.verify_key.curve.crv,
            "secret": _secret(key).hex(),
            "did": key.did,
            "verificationMethod": key.verification_method,
        }
        for name, key in KEYS.items()
    ]
    return {"keys": listed, "documents": documents}


def _secret(key: SigningKey | EcdsaSigningKey) -> bytes:
    if isinstance(key, SigningKey):
        return key.unsafe_export_seed()
    return key.unsafe_export_secret()


def _web() -> JsonObject:
    """One key for assertions, one for authentication alone, and one that was revoked."""

    def method(name: str, key: SigningKey | EcdsaSigningKey) -> JsonObject:
        multikey = key.did.removeprefix("did:key:")
        return {
            "id": f"{WEB}#{name}",
            "type": "Multikey",
            "controller": WEB,
            "publicKeyMultibase": multikey,
        }

    retired = method("retired", HOLDER) | {"revoked": format_time(NOW - timedelta(days=1))}
    return {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": WEB,
        "verificationMethod": [method("now", P256), method("login", STRANGER), retired],
        "assertionMethod": [f"{WEB}#now", f"{WEB}#retired"],
        "authentication": [f"{WEB}#login"],
    }


def salts() -> Callable[[int], bytes]:
    """Salts that differ, and are the same each time."""
    counted = iter(range(1, 256))
    return lambda size: bytes([next(counted)]) * size


# --- credentials --------------------------------------------------------------------------------


def general() -> Iterator[JsonObject]:
    """Whose key it is, what the verifier asks for, contexts and sets."""
    unsigned: JsonObject = {
        "id": urn(16),
        "type": ["VerifiableCredential"],
        "credentialSubject": {"id": SUBJECT, "name": "Ágnes"},
    }
    for name, key, expected in (
        ("now", P256, VALID),
        ("login", STRANGER, refused("key.not_authorised", "/proof/verificationMethod")),
        ("retired", HOLDER, refused("key.revoked", "/proof/verificationMethod")),
        ("nobody", HOLDER, refused("key.unknown", "/proof/verificationMethod")),
    ):
        signed = issue_credential(
            {**unsigned, "issuer": WEB},
            key,
            now=NOW,
            verification_method=f"{WEB}#{name}",
            cryptosuite="ecdsa-jcs-2019" if key is P256 else "eddsa-jcs-2022",
        )
        plain = "valid: " if expected == VALID else ""
        yield case(f"{plain}a did:web, its key #{name}", signed, expected, issuer=WEB)
    lost = issue_credential(
        {**unsigned, "issuer": "did:web:gone.example"},
        HOLDER,
        now=NOW,
        verification_method="did:web:gone.example#key",
    )
    yield case("a did:web that is not there", lost, refused("did.not_found"))

    good = issue_credential(unsigned, HOLDER, now=NOW)
    bare = without(good, "proof")
    yield case(
        "valid: all that the verifier asks for",
        good,
        VALID,
        issuer=HOLDER.did,
        types=["VerifiableCredential"],
        subject=SUBJECT,
    )
    yield case(
        "another issuer expected", good, refused("proof.issuer", "/issuer"), issuer=STRANGER.did
    )
    yield case("another type expected", good, refused("policy.type", "/type"), types=["Diploma"])
    yield case(
        "another subject expected",
        good,
        refused("policy.subject", "/credentialSubject"),
        subject="did:example:2",
    )
    yield case(
        "signed by another than its issuer",
        sign_object(bare, STRANGER, created=NOW),
        refused("proof.not_by_controller", "/proof"),
    )
    later = issue_credential({**unsigned, "validFrom": format_time(NOW + YEAR)}, HOLDER, now=NOW)
    yield case("not begun", later, refused("credential.not_yet_valid", "/validFrom"))
    contexts = good["@context"]
    if not isinstance(contexts, list):
        raise TypeError
    more = "https://other.example/context"
    yield case(
        "valid: a context appended, which the proof does not have, counts for nothing",
        {**good, "@context": [*contexts, more]},
        VALID,
    )
    yield case(
        "another context first",
        {**good, "@context": [more, *contexts]},
        refused("context.first", "/@context"),
    )
    yield case(
        "a context that gives a name of the standard another meaning",
        {**good, "@context": [*contexts, {"issuer": "https://other.example/issuer"}]},
        refused("context.inline", "/@context/1"),
    )
    yield case(
        "a context in the subject",
        claim(good, **{"@context": more}),
        refused("context.nested"),
    )
    over_rdf = issue_credential(unsigned, HOLDER, now=NOW, cryptosuite="eddsa-rdfc-2022")
    yield case(
        "a claim added that no context defines",
        claim(over_rdf, shoeSize="44"),
        refused("rdfc.dropped"),
    )
    set_of_two = add_proof(good, HOLDER, created=NOW, cryptosuite="eddsa-rdfc-2022")
    yield case("valid: a set, over JSON and over RDF", set_of_two, VALID)
    proofs = set_of_two["proof"]
    if not isinstance(proofs, list) or not isinstance(proofs[1], dict):
        raise TypeError
    foreign: JsonObject = {**proofs[1], "cryptosuite": "none-2022"}
    yield case("valid: a set with a suite unknown", {**good, "proof": [proofs[0], foreign]}, VALID)
    older: JsonObject = {"@context": [CREDENTIALS_V1], "id": urn(19)}
    older["credentialSubject"] = {"id": SUBJECT}
    signed = issue_credential(older, HOLDER, now=NOW, valid_for=YEAR)
    yield case(
        "VCDM 1.1, over", signed, refused("credential.expired", "/expirationDate"), at=NOW + YEAR
    )
    yield case(
        "VCDM 1.1 without its issuanceDate",
        without(signed, "issuanceDate"),
        refused("credential.missing"),
    )
    future = issue_credential({**older, "issuanceDate": format_time(NOW + YEAR)}, HOLDER, now=NOW)
    yield case("VCDM 1.1, not begun", future, refused("credential.not_yet_valid", "/issuanceDate"))


def with_status() -> Iterator[JsonObject]:
    """Credentials with an entry in a Bitstring Status List; ``statuses`` is what the list says."""
    # The entries' bits: 9 is set in the lists of one bit; entry 9 of two bits has the value 2.
    one, two = BitString.empty().with_bit(9), BitString.empty(2 * 131_072).with_bit(18)

    def listed(
        *purposes: str,
        key: SigningKey | EcdsaSigningKey = P256,
        days: int = 0,
        bits: BitString = one,
        url: str = OTHER_LIST,
    ) -> str:
        made = issue_general_list(
            key,
            url=url,
            bits=bits,
            purposes=purposes,
            now=NOW - timedelta(days=days),
            cryptosuite="ecdsa-jcs-2019" if key is P256 else "eddsa-jcs-2022",
        )
        return canonicalize(made).decode()

    def holding(purpose: str, index: int, **more: Json) -> JsonObject:
        entry: JsonObject = {
            "type": "BitstringStatusListEntry",
            "statusPurpose": purpose,
            "statusListIndex": str(index),
            "statusListCredential": OTHER_LIST,
            **more,
        }
        unsigned: JsonObject = {
            "id": urn(17),
            "credentialSubject": {"id": SUBJECT},
            "credentialStatus": entry,
        }
        return issue_credential(unsigned, P256, now=NOW, cryptosuite="ecdsa-jcs-2019")

    def says(made: JsonObject, purpose: str, value: int, message: str = "") -> JsonObject:
        return made | {"statuses": [{"purpose": purpose, "value": value, "message": message}]}

    revocation, suspension = holding("revocation", 7), holding("suspension", 7)
    stands = listed("revocation")
    yield says(case("valid: not revoked", revocation, VALID, status=stands), "revocation", 0)
    both = listed("revocation", "suspension")
    yield says(
        case("valid: not suspended, in a list of two purposes", suspension, VALID, status=both),
        "suspension",
        0,
    )
    yield case("revoked", holding("revocation", 9), refused("status.withdrawn"), status=stands)
    yield case("suspended", holding("suspension", 9), refused("status.suspended"), status=both)
    words: list[Json] = [
        {"status": f"0x{value:x}", "message": message}
        for value, message in enumerate(("pending", "accepted", "put off", "undefined"))
    ]
    more: dict[str, Json] = {"statusSize": 2, "statusMessage": words}
    message = listed("message", bits=two)
    yield says(
        case("valid: a message of two bits", holding("message", 9, **more), VALID, status=message),
        "message",
        2,
        "put off",
    )
    yield case(
        "a message without its words",
        holding("message", 9),
        refused("status.entry", "/credentialStatus"),
        status=message,
    )
    yield case(
        "two bits, and a list that is too short for them",
        holding("message", 9, **more),
        refused("status.short"),
        status=listed("message"),
    )
    yield case("no list", revocation, refused("status.required"), status=None)
    yield case(
        "a list that is over",
        revocation,
        refused("status.stale"),
        status=listed("revocation", days=40),
    )
    yield case(
        "a list by another",
        revocation,
        refused("status.issuer", "/issuer"),
        status=listed("revocation", key=STRANGER),
    )
    yield case("a list for another purpose", suspension, refused("status.purpose"), status=stands)
    yield case(
        "another list",
        revocation,
        refused("status.url", "/id"),
        status=listed("revocation", url="https://issuer.example/lists/4"),
    )
    yield case(
        "an index with a zero before it",
        holding("revocation", 7, statusListIndex="07"),
        refused("status.index", "/credentialStatus/statusListIndex"),
        status=stands,
    )
    yield case(
        "an index beyond the list",
        holding("revocation", 131_072),
        refused("status.index_range"),
        status=stands,
    )
    yield case(
        "a status of another kind",
        holding("revocation", 7, type="StatusList2021Entry"),
        refused("status.unsupported", "/credentialStatus"),
        status=stands,
    )


def lists() -> Iterator[JsonObject]:
    """Status lists of any issuer."""
    by: dict[str, Json] = {"issuer": P256.did, "url": OTHER_LIST, "profile": False}

    def made(**changes: timedelta) -> JsonObject:
        return issue_general_list(
            P256,
            url=OTHER_LIST,
            bits=BitString.empty().with_bit(9),
            purposes=("revocation", "message"),
            now=NOW,
            cryptosuite="ecdsa-jcs-2019",
            **changes,
        )

    good = made(ttl=timedelta(minutes=5))
    yield case("valid: any issuer's, two purposes, a ttl", good, VALID, **by)
    empty = BitString.empty().encode()
    yield case(
        "any issuer's, its bits taken away",
        claim(good, encodedList=empty),
        refused("proof.signature", "/proof/proofValue"),
        **by,
    )
    yield case("any issuer's, over", good, refused("status.stale"), at=NOW + YEAR, **by)

    def holding(encoded: str) -> JsonObject:
        return sign_object(
            without(claim(good, encodedList=encoded), "proof"),
            P256,
            created=NOW,
            cryptosuite="ecdsa-jcs-2019",
        )

    yield case("any issuer's, not base64url", holding("H4sI"), refused("status.encoding"), **by)
    plain = "u" + b64url_encode(b"not gzip")
    yield case("any issuer's, not gzip", holding(plain), refused("status.compression"), **by)


def stamps() -> Iterator[JsonObject]:
    """A relay's word that a list is the newest: ``digest`` is the list's, ``logKey`` the key."""
    digest = multihash_sha256(b"a status list")
    good = sign_stamp(
        log_key=STRANGER,
        relay=RELAY,
        list_id=LIST_URL.rpartition("/")[2],
        digest=digest,
        sequence=3,
        at=NOW,
        expires=NOW + timedelta(hours=24),
    )
    by: dict[str, Json] = {"digest": digest, "logKey": STRANGER.did}
    yield case("valid", good, VALID, **by)
    yield case(
        "valid, the last second", good, VALID, at=NOW + timedelta(hours=24, seconds=-1), **by
    )
    yield case("over", good, refused("status.stale"), at=NOW + timedelta(hours=24), **by)
    other = {**by, "digest": multihash_sha256(b"another status list")}
    yield case("for another list", good, refused("status.stamp", "/digest"), **other)
    yield case(
        "by another key",
        good,
        refused("proof.not_by_controller", "/proof"),
        **{**by, "logKey": HOLDER.did},
    )
    yield case(
        "a sequence raised",
        {**good, "sequence": 4},
        refused("proof.signature", "/proof/proofValue"),
        **by,
    )
    week: JsonObject = {**without(good, "proof"), "expires": format_time(NOW + timedelta(days=7))}
    yield case(
        "for a week", sign_object(week, STRANGER, created=NOW), refused("status.stamp"), **by
    )


# --- tokens -------------------------------------------------------------------------------------


def jwt() -> Iterator[JsonObject]:
    """Credentials as JWT that must be refused for what they say."""
    document: JsonObject = {
        "@context": [CREDENTIALS_V2],
        "id": urn(18),
        "type": ["VerifiableCredential"],
        "issuer": HOLDER.did,
        "credentialSubject": {"id": SUBJECT},
    }
    kid = HOLDER.verification_method
    end = int((NOW + YEAR).timestamp())

    def signed(typ: str = "vc+jwt", **changes: Json) -> str:
        return sign_claims({**document, **changes}, HOLDER, typ=typ, cty="vc", kid=kid)

    yield case(
        "exp has come",
        sign_vc_jwt({**document, "exp": end}, HOLDER),
        refused("credential.expired", "/exp"),
        at=NOW + YEAR,
        token="vc",
    )
    yield case(
        "nbf has not come", signed(nbf=end), refused("credential.not_yet_valid", "/nbf"), token="vc"
    )
    yield case("made in the future", signed(iat=end), refused("jose.future", "/iat"), token="vc")
    yield case(
        "validUntil has come",
        signed(validUntil=format_time(NOW)),
        refused("credential.expired", "/validUntil"),
        token="vc",
    )
    yield case(
        "by another than its issuer",
        signed(issuer=STRANGER.did),
        refused("proof.not_by_controller", "/issuer"),
        token="vc",
    )
    yield case(
        "iss against issuer", signed(iss=STRANGER.did), refused("jose.conflict", "/iss"), token="vc"
    )
    yield case("a claim vc, as in 1.1", signed(vc={}), refused("jose.claims"), token="vc")
    yield case(
        "for somebody else", signed(aud=COMPANY), refused("jose.audience", "/aud"), token="vc"
    )
    yield case("a type that says nothing", signed(typ="JWT"), refused("jose.typ"), token="vc")
    short = sign_claims(document, HOLDER, typ="vc+jwt", cty="vc", kid="#key-1")
    yield case("a kid that is no DID URL", short, refused("jose.kid"), token="vc")


def sd_jwt_vc() -> Iterator[JsonObject]:
    """SD-JWT VC, shown by the holder of a P-256 key."""
    claims: JsonObject = {"given_name": "Ágnes", "city": "Szeged"}

    def issued(**more: Json) -> str:
        return issue_sd_jwt_vc(
            {**claims, **more},
            HOLDER,
            type_uri=TYPE,
            now=NOW,
            disclosable={"/given_name", "/city"},
            holder=P256.verify_key,
            valid_for=YEAR,
            random=salts(),
        )

    def bound(token: str, key: SigningKey | EcdsaSigningKey = P256) -> str:
        return bind_key(token, key, audience=VERIFIER, nonce="c-1", now=NOW)

    def of(name: str, token: str, expected: Json, **changes: Json) -> JsonObject:
        given: dict[str, Json] = {"token": "sd-jwt-vc", "nonce": "c-1", "audience": VERIFIER}
        return case(f"{name}: dc+sd-jwt", token, expected, **{**given, **changes})

    whole = issued()
    name_only, nothing = (
        select_disclosures(whole, {"/given_name"}),
        select_disclosures(whole, set()),
    )
    name, city = (item.encoded for item in SdJwt.parse(whole).disclosures)
    yield of("valid, all shown", bound(whole), VALID, issuer=HOLDER.did, type=TYPE)
    yield of("valid, the name alone", bound(name_only), VALID)
    yield of("valid, nothing", bound(nothing), VALID)
    yield of("a replay", bound(whole), refused("presentation.challenge"), nonce="c-2")
    yield of(
        "for another verifier",
        bound(whole),
        refused("presentation.domain"),
        audience="https://x.example",
    )
    yield case(
        "shown before, too long ago: dc+sd-jwt",
        bound(whole),
        refused("presentation.stale"),
        at=NOW + timedelta(minutes=6),
        token="sd-jwt-vc",
        nonce="c-1",
        audience=VERIFIER,
    )
    yield of("no proof of the holder", whole, refused("presentation.key_binding"))
    yield of("the proof of another", bound(whole, P384), refused("jose.alg"))
    taken = bound(whole).replace(f"~{city}", "").replace(f"~{name}", "")
    yield of("all taken out after it was bound", taken, refused("sd_jwt.sd_hash"))
    strange = issued(given_name="Anna", city="Pécs")
    foreign = SdJwt.parse(strange).disclosures[0].encoded
    yield of(
        "a claim of another token", bound(f"{nothing}{foreign}~"), refused("sd_jwt.unreferenced")
    )
    yield of(
        "a claim twice", bound(f"{name_only}{name_only.split('~')[1]}~"), refused("sd_jwt.repeated")
    )
    yield of(
        "another issuer expected",
        bound(whole),
        refused("sd_jwt.issuer", "/iss"),
        issuer=STRANGER.did,
    )
    yield of(
        "another type expected",
        bound(whole),
        refused("sd_jwt.vct", "/vct"),
        type="https://issuer.example/types/other",
    )
    entry: Json = {"status_list": {"idx": 0, "uri": "https://issuer.example/statuslists/1"}}
    yield of(
        "a status that cannot be checked",
        bound(issued(status=entry)),
        refused("status.unsupported", "/status"),
        status=None,
    )
    yield of("a credential as JWT", f"{_vc()}~", refused("jose.typ"))


def _vc() -> str:
    document: JsonObject = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": HOLDER.did,
        "credentialSubject": {"id": SUBJECT},
    }
    return sign_vc_jwt(document, HOLDER)
