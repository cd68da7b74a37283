"""Attacks on signed objects: proofs, contexts, time, purpose, status lists and presentations."""

import gc
import gzip
import json
import re
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

import orjson
import pytest

from credentials.bitstring import MAX_BYTES
from credentials.contexts import (
    CREDENTIALS_V1,
    CREDENTIALS_V2,
    KNOWN_CONTEXTS,
    PDS_V1,
    PROFILE_CONTEXT,
    ContextFolder,
    context_bytes,
    deciding_names,
)
from credentials.credential import Credential
from credentials.derive import derive_credential
from credentials.errors import (
    ContextRefused,
    CredentialError,
    GrantRefused,
    PresentationInvalid,
    ProofInvalid,
    RdfcRefused,
    RelatedInvalid,
    StatusInvalid,
    StatusUnchecked,
    StructureInvalid,
    TimeInvalid,
)
from credentials.grant import WITHOUT_STATUS, GrantTerms, issue_grant, verify_grant
from credentials.issue import issue_credential
from credentials.presentation import sign_presentation, verify_presentation
from credentials.proof import add_proof, sign_object, verify_object
from credentials.rdfc import canonicalize_jsonld, canonicalize_nquads
from credentials.related import check_schemas
from credentials.status import (
    BitString,
    StatusEntry,
    check_status,
    issue_status_list,
    verify_status_list,
)
from credentials.statuslist import issue_general_list
from credentials.suites import ecdsa_sd, eddsa_jcs, eddsa_rdfc
from credentials.ticket import issue_ticket, verify_ticket
from credentials.verify import verify_credential
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import JsonObject, canonicalize
from did.keys import SigningKey
from did.multikey import b64url_encode, multihash_sha256
from did.resolve import OFFLINE, Resolver

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
LIST_URL = "https://relay.example/v1/status/AAAAAAAAAAAAAAAAAAAAAA"
ENTRY = StatusEntry(LIST_URL, 94_567)
HOLDER = SigningKey.from_seed(b"\1" * 32)
STRANGER = SigningKey.from_seed(b"\2" * 32)
DIGEST = multihash_sha256(b"a text")
RELAY = "https://relay.example"
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
TERMS = GrantTerms(
    company="did:web:shop.example",
    request=DIGEST,
    request_purpose="delivery",
    purpose="https://w3id.org/dpv#DeliveryOfGoods",
    basis="https://w3id.org/dpv/legal/eu/gdpr#A6-1-b",
    processing=frozenset({"https://w3id.org/dpv#Use"}),
    fields=frozenset({"contact.address", "contact.name"}),
    text_digest=DIGEST,
    text_language="en",
    decided_by="person",
    valid_from=NOW,
    valid_until=NOW + timedelta(days=30),
    max_uses=1,
    min_interval=0,
    follows_changes=False,
    retention_days=30,
)


def grant(**changes: object) -> JsonObject:
    return issue_grant(replace(TERMS, **changes), key=HOLDER, status=ENTRY, now=NOW)


def bare(document: JsonObject) -> JsonObject:
    return {name: value for name, value in document.items() if name != "proof"}


def signed_with(document: JsonObject, key: SigningKey = HOLDER, **proof: object) -> JsonObject:
    """Sign a document with a proof that says whatever an attacker likes; ``None`` leaves out."""
    configuration = {**sign_object(bare(document), key, created=NOW)["proof"], **proof}
    configuration = {name: value for name, value in configuration.items() if value is not None}
    configuration.pop("proofValue", None)
    document_hash = eddsa_jcs.hash_document(bare(document))
    value = eddsa_jcs.create_value(configuration, document_hash, key)
    return {**bare(document), "proof": {**configuration, "proofValue": value}}


def check(raw: object, **changes: object) -> None:
    expected = {"purpose": None, "audience": None, "status": WITHOUT_STATUS, "now": NOW, **changes}
    verify_grant(raw if isinstance(raw, bytes) else orjson.dumps(raw), **expected)


def refused(kind: type[CredentialError], code: str, act: Callable[[], object]) -> None:
    with pytest.raises(kind) as caught:
        act()
    assert caught.value.code == code


def shop(*, assertion: list[object], methods: list[JsonObject], **more: object) -> Resolver:
    """A resolver whose web holds one did:web document."""
    document = {
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": "did:web:shop.example",
        "verificationMethod": methods,
        "assertionMethod": assertion,
        **more,
    }
    return Resolver(fetch=lambda _url: json.dumps(document).encode())


def method(name: str, key: SigningKey, **more: object) -> JsonObject:
    return {
        "id": f"did:web:shop.example#{name}",
        "type": "Multikey",
        "controller": "did:web:shop.example",
        "publicKeyMultibase": key.verify_key.multikey,
        **more,
    }


def shop_grant(name: str) -> JsonObject:
    """A grant that a did:web would have issued."""
    document = {**bare(grant()), "issuer": "did:web:shop.example"}
    return sign_object(
        document, HOLDER, created=NOW, verification_method=f"did:web:shop.example#{name}"
    )


@pytest.mark.parametrize(
    "suite", ["none", "", "eddsa-jcs-2023", "EDDSA-JCS-2022", "eddsa-rdfc-2022", "Ed25519"]
)
def test_attack_07_unknown_or_no_suite(suite):
    """A proof of a suite that is not known here proves nothing, whatever else it says."""
    forged = signed_with(grant(), cryptosuite=suite)
    refused(ProofInvalid, "proof.no_known_suite", lambda: check(forged))


def test_attack_07_legacy_proof_type():
    """The type of a proof is exactly DataIntegrityProof."""
    forged = signed_with(grant(), type="Ed25519Signature2020")
    refused(ProofInvalid, "proof.no_known_suite", lambda: check(forged))


def test_attack_08_a_proof_relabelled():
    """A proof holds under the suite that made it, and under no other (both ways)."""
    document = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": HOLDER.did,
        "credentialSubject": {"id": "urn:x:1"},
    }
    jcs = sign_object(document, HOLDER, created=NOW)
    rdfc = add_proof(document, HOLDER, created=NOW, cryptosuite="eddsa-rdfc-2022")

    def verify(proof: JsonObject) -> None:
        verify_credential({**document, "proof": proof}, now=NOW, status=WITHOUT_STATUS)

    verify(jcs["proof"])
    verify(rdfc["proof"])
    relabelled = {**jcs["proof"], "cryptosuite": "eddsa-rdfc-2022"}
    refused(ProofInvalid, "proof.signature", lambda: verify(relabelled))
    refused(ProofInvalid, "proof.signature", lambda: verify(bare_context(relabelled)))
    back = {**rdfc["proof"], "cryptosuite": "eddsa-jcs-2022"}
    refused(ContextRefused, "context.proof", lambda: verify(back))
    complete = {**back, "@context": document["@context"]}
    refused(ProofInvalid, "proof.signature", lambda: verify(complete))


def bare_context(proof: JsonObject) -> JsonObject:
    return {name: value for name, value in proof.items() if name != "@context"}


def test_attack_08_a_grant_relabelled():
    """For a grant the name of the suite alone is reason enough."""
    signed = grant()
    forged = {**signed, "proof": {**signed["proof"], "cryptosuite": "eddsa-rdfc-2022"}}
    refused(ProofInvalid, "proof.no_known_suite", lambda: check(forged))


def test_attack_09_an_authentication_key_signs_a_grant():
    """A key that may sign in must not give away data."""
    login = shop(
        methods=[method("login", HOLDER)],
        assertion=[],
        authentication=["did:web:shop.example#login"],
    )
    refused(ProofInvalid, "key.not_authorised", lambda: check(shop_grant("login"), resolver=login))
    asserting = shop(methods=[method("k", HOLDER)], assertion=["did:web:shop.example#k"])
    check(shop_grant("k"), resolver=asserting)


def test_attack_10_a_key_of_another_controller():
    """A document that lists a stranger's key does not make it its own."""
    foreign = shop(
        methods=[method("k", HOLDER, controller="did:web:other.example")],
        assertion=["did:web:shop.example#k"],
    )
    refused(
        ProofInvalid, "key.foreign_controller", lambda: check(shop_grant("k"), resolver=foreign)
    )


def test_attack_11_a_proof_by_someone_not_the_issuer():
    """A perfect signature by a stranger is a stranger's signature."""
    forged = sign_object(bare(grant()), STRANGER, created=NOW)
    refused(ProofInvalid, "proof.not_by_controller", lambda: check(forged))
    credential = issue_credential({"credentialSubject": {"a": 1}}, HOLDER, now=NOW)
    taken = sign_object(bare(credential), STRANGER, created=NOW)
    refused(
        ProofInvalid,
        "proof.not_by_controller",
        lambda: verify_credential(taken, now=NOW, status=WITHOUT_STATUS),
    )


def test_attack_11_a_stranger_s_key_under_the_issuer_s_name():
    """The method named is the issuer's, the signature is not by its key."""
    forged = sign_object(
        bare(grant()), STRANGER, created=NOW, verification_method=HOLDER.verification_method
    )
    refused(ProofInvalid, "proof.signature", lambda: check(forged))
    mixed = HOLDER.did + "#" + STRANGER.verify_key.multikey
    forged = sign_object(bare(grant()), STRANGER, created=NOW, verification_method=mixed)
    refused(ProofInvalid, "key.unknown", lambda: check(forged))


@pytest.mark.parametrize("proofs", [[], None])
def test_attack_12_an_empty_proof_set(proofs):
    """No proof is not a proof that holds."""
    refused(ProofInvalid, "proof.missing", lambda: check({**grant(), "proof": proofs}))


def test_attack_12_no_proof_at_all():
    """A grant without a proof is refused by its shape already."""
    refused(StructureInvalid, "credential.missing", lambda: check(bare(grant())))


def test_attack_12_a_contradictory_proof_set():
    """One proof that holds does not outweigh one that does not."""
    document = grant()
    broken = {**document["proof"], "created": "2026-01-31T09:29:00Z"}
    for proofs in ([document["proof"], broken], [broken, document["proof"]]):
        refused(
            ProofInvalid,
            "proof.signature",
            lambda proofs=proofs: check({**document, "proof": proofs}),
        )
    named = {**document["proof"], "id": "urn:proof:1"}
    twice = {**document, "proof": [named, {**named, "cryptosuite": "x"}]}
    refused(ProofInvalid, "proof.malformed", lambda: check(twice))
    nonsense = {**document, "proof": [document["proof"], "proof"]}
    refused(ProofInvalid, "proof.malformed", lambda: check(nonsense))


@pytest.mark.parametrize(
    ("retired", "code"),
    [
        ({"revoked": "2026-01-31T09:29:59Z"}, "key.revoked"),
        ({"expires": "2026-01-31T09:30:00Z"}, "key.expired"),
    ],
)
def test_attack_13_a_retired_key(retired, code):
    """A key that its owner has retired signs nothing, also what it signed before."""
    gone = shop(methods=[method("k", HOLDER, **retired)], assertion=["did:web:shop.example#k"])
    refused(ProofInvalid, code, lambda: check(shop_grant("k"), resolver=gone))


def test_attack_13_a_key_that_was_taken_out():
    """A grant verified before is refused once the key is gone: did:web is never remembered."""
    there = shop(methods=[method("k", HOLDER)], assertion=["did:web:shop.example#k"])
    signed = shop_grant("k")
    check(signed, resolver=there)
    gone = shop(methods=[], assertion=[])
    refused(ProofInvalid, "key.unknown", lambda: check(signed, resolver=gone))


def test_attack_13_a_retired_key_beside_the_issuer_s():
    """Every proof of a set must hold now, also one that is not by the issuer."""
    document = add_proof(
        grant(), STRANGER, created=NOW, verification_method="did:web:shop.example#k"
    )
    there = shop(methods=[method("k", STRANGER)], assertion=["did:web:shop.example#k"])
    check(document, resolver=there)
    revoked = method("k", STRANGER, revoked="2026-01-31T09:00:00Z")
    gone = shop(methods=[revoked], assertion=["did:web:shop.example#k"])
    refused(ProofInvalid, "key.revoked", lambda: check(document, resolver=gone))


def test_attack_21_an_appended_context():
    """A context that nobody signed must not lend its meaning."""
    document = grant()
    document["@context"] = [*PROFILE_CONTEXT, EXAMPLES]
    refused(ContextRefused, "context.not_exact", lambda: check(document))
    credential = issue_credential({"credentialSubject": {"a": 1}}, HOLDER, now=NOW)
    credential["@context"] = [CREDENTIALS_V2, EXAMPLES]
    found = verify_credential(credential, now=NOW, status=WITHOUT_STATUS)
    assert found.credential.raw["@context"] == [CREDENTIALS_V2]


def test_attack_21_an_appended_context_that_was_signed():
    """Our profile carries exactly two contexts, whoever signed a third."""
    document = {**bare(grant()), "@context": [*PROFILE_CONTEXT, EXAMPLES]}
    forged = sign_object(document, HOLDER, created=NOW)
    refused(ContextRefused, "context.not_exact", lambda: check(forged))


def test_attack_21_a_shorter_context_in_the_proof():
    """The proof of a grant repeats the whole context, not a prefix of it."""
    document = bare(grant())
    short = sign_object({**document, "@context": [CREDENTIALS_V2]}, HOLDER, created=NOW)
    refused(
        ContextRefused,
        "context.proof",
        lambda: check({**short, "@context": list(PROFILE_CONTEXT)}),
    )


def test_attack_21_contexts_that_differ_from_the_proof_s():
    """Neither is taken for the other, though the issuer's key signed both as they are."""
    shorter = signed_with(grant(), **{"@context": [CREDENTIALS_V2]})
    refused(ContextRefused, "context.proof", lambda: check(shorter))
    document = {**bare(grant()), "@context": [*PROFILE_CONTEXT, EXAMPLES]}
    longer = signed_with(document, **{"@context": list(PROFILE_CONTEXT)})
    refused(ContextRefused, "context.not_exact", lambda: check(longer))


@pytest.mark.parametrize(
    "inline",
    [
        {"@vocab": "https://evil.example/#"},
        {"@base": "https://evil.example/"},
        {"issuer": "https://evil.example/#issuer"},
        {"credentialSubject": None},
        {"ok": {"@id": "urn:x:ok", "@context": {"id": "urn:x:id"}}},
    ],
)
def test_attack_22_inline_redefinition(inline):
    """A context inside the document must not change what the standard's words mean."""
    document = {
        "@context": [CREDENTIALS_V2, inline],
        "type": ["VerifiableCredential"],
        "issuer": HOLDER.did,
        "credentialSubject": {"a": 1},
    }
    signed = sign_object(document, HOLDER, created=NOW)
    refused(
        ContextRefused,
        "context.inline",
        lambda: verify_credential(signed, now=NOW, status=WITHOUT_STATUS),
    )
    ours = sign_object(
        {**bare(grant()), "@context": [*PROFILE_CONTEXT, inline]}, HOLDER, created=NOW
    )
    refused(ContextRefused, "context.not_exact", lambda: check(ours))


@pytest.mark.parametrize("place", ["", "credentialSubject", "credentialStatus"])
def test_attack_23_an_unknown_property_in_a_grant(place):
    """What we do not know we do not act on, so it must not be there at all."""
    document = bare(grant())
    if place:
        document[place] = {**document[place], "alsoAllowed": "everything"}
    else:
        document["termsOfUse"] = {"type": "More"}
    forged = sign_object(document, HOLDER, created=NOW)
    refused(StructureInvalid, "credential.property", lambda: check(forged))


def test_attack_23_an_unknown_property_in_a_proof():
    """The proof of a grant says nothing that is not known here either."""
    forged = signed_with(grant(), nonce="x")
    refused(ProofInvalid, "proof.malformed", lambda: check(forged))


@pytest.mark.parametrize("size", [6, 7, 9, 20])
def test_attack_24_blank_node_clique(size):
    """Nodes that all point at each other are given up on, and so is their signature."""
    clique = [
        {"id": f"_:e{a}", "urn:p": [{"id": f"_:e{b}"} for b in range(size) if b != a]}
        for a in range(size)
    ]
    document = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": HOLDER.did,
        "credentialSubject": {"urn:all": clique},
    }
    proof = {
        **sign_object(document, HOLDER, created=NOW)["proof"],
        "cryptosuite": "eddsa-rdfc-2022",
    }
    refused(
        RdfcRefused,
        "rdfc.work",
        lambda: verify_credential({**document, "proof": proof}, now=NOW, status=WITHOUT_STATUS),
    )


def test_attack_24_a_chain_of_nodes_that_look_alike():
    """No graph of few statements costs more than the work that is counted."""
    size = 400
    text = "".join(f"_:e{a} <urn:p> _:e{(a + 1) % size} .\n" for a in range(size))
    refused(RdfcRefused, "rdfc.work", lambda: canonicalize_nquads(text))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://www.w3.org/ns/credentials/v2", "ftp://x", "urn:x:y", ""]
)
def test_attack_26_a_context_that_is_a_file_or_plain_http(url):
    """Contexts have https: names; nothing is fetched for them in any case."""
    document = {
        "@context": [CREDENTIALS_V2, url],
        "type": ["VerifiableCredential"],
        "issuer": HOLDER.did,
        "credentialSubject": {"a": 1},
    }
    signed = sign_object(document, HOLDER, created=NOW)
    refused(
        ContextRefused,
        "context.url",
        lambda: verify_credential(signed, now=NOW, status=WITHOUT_STATUS),
    )


def test_attack_28_expired():
    """At its end a grant is over, to the second."""
    document = grant()
    check(document, now=TERMS.valid_until - timedelta(seconds=1))
    refused(TimeInvalid, "credential.expired", lambda: check(document, now=TERMS.valid_until))


def test_attack_29_from_the_future_beyond_skew():
    """Another clock may run a minute ahead, not more; so for the window and for the proof."""
    document = grant()
    check(document, now=NOW - timedelta(seconds=60))
    with pytest.raises(CredentialError) as caught:
        check(document, now=NOW - timedelta(seconds=61))
    assert caught.value.code == "proof.future"
    later = issue_grant(
        replace(TERMS, valid_from=NOW + timedelta(seconds=61)), key=HOLDER, status=ENTRY, now=NOW
    )
    refused(TimeInvalid, "credential.not_yet_valid", lambda: check(later))


def test_attack_30_ends_before_it_begins():
    """A window that ends at or before its beginning is nonsense, and refused as such."""
    for until in (NOW, NOW - timedelta(days=1)):
        document = bare(grant()) | {"validUntil": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
        forged = sign_object(document, HOLDER, created=NOW)
        refused(StructureInvalid, "credential.window", lambda f=forged: check(f))
        refused(StructureInvalid, "credential.window", lambda u=until: grant(valid_until=u))


def test_attack_31_another_purpose():
    """A grant for one purpose serves no other, nor does a broad one serve a narrow wish."""
    for wanted in ("DirectMarketing", "Marketing", "DeliveryOfGood", "deliveryOfGoods"):
        refused(
            GrantRefused,
            "grant.purpose",
            lambda w=wanted: check(grant(), purpose="https://w3id.org/dpv#" + w),
        )
    broad = grant(purpose="https://w3id.org/dpv#Marketing")
    refused(
        GrantRefused,
        "grant.purpose",
        lambda: check(broad, purpose="https://w3id.org/dpv#DirectMarketing"),
    )


@pytest.mark.parametrize("wider", ["contact", "contact.email", "purchases", "contact.names", ""])
def test_attack_32_wider_fields(wider):
    """One field too many refuses them all."""
    check(grant(), fields=["contact.name", "contact.address"])
    refused(GrantRefused, "grant.fields", lambda: check(grant(), fields=["contact.name", wider]))


def presented(**changes: object) -> JsonObject:
    chosen = {"challenge": "c-1", "domain": RELAY, "created": NOW, **changes}
    presentation = {
        "@context": list(PROFILE_CONTEXT),
        "id": "urn:uuid:1c2c7050-5947-43e2-8e19-e60401a118c7",
        "type": ["VerifiablePresentation"],
        "verifiableCredential": [],
    }
    return sign_presentation(holder_key=HOLDER, presentation=presentation, **chosen)


def verify_presented(raw: JsonObject) -> None:
    verify_presentation(raw, expected_challenge="c-1", expected_domain=RELAY, now=NOW)


@pytest.mark.parametrize("domain", ["https://other.example", RELAY + "/", RELAY.upper(), ""])
def test_attack_34_wrong_domain(domain):
    """A presentation made for another place is of no use here."""
    verify_presented(presented())
    refused(
        PresentationInvalid,
        "presentation.domain",
        lambda: verify_presented(presented(domain=domain)),
    )


@pytest.mark.parametrize("challenge", ["c-2", "", "C-1", "c-1 "])
def test_attack_34_wrong_challenge(challenge):
    """A presentation made at another moment is of no use now."""
    refused(
        PresentationInvalid,
        "presentation.challenge",
        lambda: verify_presented(presented(challenge=challenge)),
    )


def test_attack_34_no_challenge_or_domain():
    """A proof that leaves out what is expected does not meet it."""
    document = presented()
    for name in ("challenge", "domain"):
        left_out = signed_with(
            document,
            **{"proofPurpose": "authentication", "challenge": "c-1", "domain": RELAY}
            | {name: None},
        )
        refused(PresentationInvalid, f"presentation.{name}", lambda d=left_out: verify_presented(d))


def test_attack_35_clock_set_back():
    """With the clock set back, what was made since then is from the future and refused."""
    signed = grant(valid_from=NOW - timedelta(days=400))
    check(signed)
    refused(ProofInvalid, "proof.future", lambda: check(signed, now=NOW - timedelta(days=300)))
    fresh = orjson.dumps(
        issue_status_list(key=HOLDER, url=LIST_URL, bits=BitString.empty(), sequence=1, now=NOW)
    )
    with pytest.raises(CredentialError):
        check_status(ENTRY, fresh, issuer=HOLDER.did, now=NOW - timedelta(days=300))


def packed(data: bytes) -> str:
    return "u" + b64url_encode(data)


def test_attack_38_gzip_bomb():
    """A few kilobytes that would fill memory are cut off at the bound."""
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(stream.compress(bytes(1 << 20)) for _ in range(64)) + stream.flush()
    assert len(bomb) < 80_000
    text = packed(bomb)
    tracemalloc.start()
    try:
        refused(StatusInvalid, "status.too_large", lambda: BitString.decode(text))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.clear_traces()
        refused(StatusInvalid, "status.too_large", lambda: BitString.decode(text, max_bytes=20_000))
        lower_peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The output grows by doubling, so it is there twice for a moment; all of it would be 64 MiB.
    assert peak < 4 * MAX_BYTES
    assert lower_peak < 2**20


def test_attack_39_trailing_member():
    """Nothing stands after the one gzip member: no second list, no stray bytes."""
    one = gzip.compress(bytes(16_384), mtime=0)
    other = gzip.compress(b"\xff" * 16_384, mtime=0)
    for data in (one + other, one + b"\0", one[:-1]):
        refused(StatusInvalid, "status.compression", lambda d=data: BitString.decode(packed(d)))


def test_attack_40_short_list():
    """A list too short to hide in is refused, also by one byte."""
    for length in (0, 1, 16_383):
        data = gzip.compress(bytes(length), mtime=0)
        refused(StatusInvalid, "status.short", lambda d=data: BitString.decode(packed(d)))
    refused(StatusInvalid, "status.short", lambda: BitString.empty(131_064))


@pytest.mark.parametrize("index", ["-1", "１", "+1", "01", " 1", "1_0", "1.0", "0x1", "", 1, None])
def test_attack_41_index_that_is_not_a_plain_number(index):
    """The index is ASCII digits and nothing that a lenient reader would take for them."""
    document = bare(grant())
    document["credentialStatus"] = {
        **document["credentialStatus"],
        "statusListIndex": index,
        "id": f"{LIST_URL}#{index}",
    }
    forged = sign_object(document, HOLDER, created=NOW)
    refused(StatusInvalid, "status.index", lambda: check(forged))


def test_attack_41_index_out_of_range():
    """An index beyond the list is an error, not a clear bit."""
    for index in (131_072, 999_999_999):
        signed = issue_grant(TERMS, key=HOLDER, status=StatusEntry(LIST_URL, index), now=NOW)
        refused(
            StatusInvalid, "status.index_range", lambda s=signed: check(s, status=status_list())
        )
    for index in (-1, 131_072):
        refused(StatusInvalid, "status.index_range", lambda i=index: BitString.empty().get(i))


def status_list(key: SigningKey = HOLDER, sequence: int = 7, **subject: object) -> bytes:
    issued = issue_status_list(
        key=key, url=LIST_URL, bits=BitString.empty(), sequence=sequence, now=NOW
    )
    if subject:
        document = bare(issued)
        document["credentialSubject"] = {**document["credentialSubject"], **subject}
        issued = sign_object(document, key, created=NOW)
    return orjson.dumps(issued)


def test_attack_42_wrong_issuer_of_a_list():
    """Only the one who gave the grant can say that it stands."""
    check(grant(), status=status_list())
    refused(StatusInvalid, "status.issuer", lambda: check(grant(), status=status_list(STRANGER)))


def test_attack_42_wrong_purpose_of_a_list():
    """A list of what is suspended says nothing about what is withdrawn."""
    other = status_list(statusPurpose="suspension")
    refused(StatusInvalid, "status.purpose", lambda: check(grant(), status=other))


def test_attack_43_expired_list():
    """An old list is not a yes: it could not be checked."""
    later = NOW + timedelta(days=35)
    document = issue_grant(
        replace(TERMS, valid_until=NOW + timedelta(days=99)), key=HOLDER, status=ENTRY, now=NOW
    )
    refused(
        StatusUnchecked, "status.stale", lambda: check(document, status=status_list(), now=later)
    )


def test_attack_43_older_list():
    """Once a newer list was seen, an older one is a roll-back, however valid."""

    def verify(sequence: int) -> None:
        verify_status_list(
            status_list(sequence=sequence),
            now=NOW,
            expected_issuer=HOLDER.did,
            expected_url=LIST_URL,
            min_sequence=7,
        )

    verify(7)
    refused(StatusInvalid, "status.older", lambda: verify(6))


def test_attack_44_list_unavailable():
    """Whoever keeps the list away gains nothing by it."""

    def gone(_url: str) -> bytes:
        raise OSError("no route")

    refused(StatusUnchecked, "status.unavailable", lambda: check(grant(), status=gone))


def ticket() -> JsonObject:
    return issue_ticket(
        key=HOLDER,
        redemption_key_did=STRANGER.did,
        relay=RELAY,
        package="AAAAAAAAAAAAAAAAAAAAAQ",
        valid_from=NOW,
        valid_until=NOW + timedelta(days=1),
        max_uses=1,
        min_interval=0,
        grant_digest=DIGEST,
        status=ENTRY,
        now=NOW,
    )


def test_attack_64_a_ticket_shown_as_a_grant_and_back():
    """Both are by the same key; each is read as what it is and as nothing else."""
    refused(StructureInvalid, "credential.type", lambda: check(ticket()))
    refused(StructureInvalid, "credential.type", lambda: verify_ticket(grant(), now=NOW))
    both = {**bare(grant()), "type": ["VerifiableCredential", "AccessGrant", "RedemptionTicket"]}
    forged = sign_object(both, HOLDER, created=NOW)
    refused(StructureInvalid, "credential.type", lambda: check(forged))
    refused(StructureInvalid, "credential.type", lambda: check(orjson.loads(status_list())))


def test_attack_71_a_proof_taken_out_of_a_set():
    """What is left must be enough by itself: for a grant, the issuer's own proof."""
    both = add_proof(grant(), STRANGER, created=NOW)
    check(both)
    by_issuer, by_stranger = both["proof"]
    check({**both, "proof": [by_issuer]})
    refused(
        ProofInvalid,
        "proof.not_by_controller",
        lambda: check({**both, "proof": [by_stranger]}),
    )
    rdfc = {**by_issuer, "cryptosuite": "eddsa-rdfc-2022"}
    refused(ProofInvalid, "proof.no_known_suite", lambda: check({**both, "proof": [rdfc]}))


def test_attack_71_a_proof_taken_out_of_a_chain():
    """A proof over an earlier one is refused when that one is gone."""
    first = signed_with(grant(), id="urn:proof:1")
    document, earlier = bare(first), first["proof"]
    later = {
        **sign_object(document, STRANGER, created=NOW)["proof"],
        "previousProof": "urn:proof:1",
    }
    del later["proofValue"]
    covered = eddsa_jcs.hash_document({**document, "proof": [earlier]})
    later["proofValue"] = eddsa_jcs.create_value(later, covered, STRANGER)
    check({**document, "proof": [earlier, later]})
    other = signed_with(grant(), id="urn:proof:2")["proof"]
    for proofs in ([later], [other, later]):
        with pytest.raises(ProofInvalid) as caught:
            check({**document, "proof": proofs})
        assert caught.value.code in {"proof.previous", "proof.signature"}
    refused(
        ProofInvalid, "proof.previous", lambda: check({**document, "proof": [later, rest(first)]})
    )


def rest(document: JsonObject) -> JsonObject:
    """The proof of a document without the name that another proof refers to."""
    return signed_with(document)["proof"]


def test_attack_72_a_proof_without_context():
    """Read literally, the standard lets such a proof cover a document with any context."""
    forged = signed_with(grant(), **{"@context": None})
    refused(ContextRefused, "context.proof", lambda: check(forged))
    refused(
        ContextRefused,
        "context.proof",
        lambda: verify_object(
            forged, resolver=OFFLINE, now=NOW, expected_controller=None, exact_context=None
        ),
    )
    plain = signed_with({"a": 1}, **{"@context": [CREDENTIALS_V2, PDS_V1]})
    refused(
        ContextRefused,
        "context.proof",
        lambda: verify_object(
            plain, resolver=OFFLINE, now=NOW, expected_controller=None, exact_context=()
        ),
    )


@pytest.mark.parametrize(
    "purpose", ["authentication", "capabilityInvocation", "keyAgreement", "assertionMethods", ""]
)
def test_attack_72_a_proof_for_another_purpose(purpose):
    """A signature made for signing in, or for anything else, is not a decision."""
    forged = signed_with(grant(), proofPurpose=purpose)
    refused(ProofInvalid, "proof.purpose", lambda: check(forged))


def test_attack_72_a_decision_used_for_signing_in():
    """And the other way round."""
    forged = signed_with(presented(), challenge="c-1", domain=RELAY)
    refused(ProofInvalid, "proof.purpose", lambda: verify_presented(forged))


def _rdfc(**claims: object) -> JsonObject:
    """A credential with a proof over RDF, that ends and has a status."""
    return issue_credential(
        {
            "id": "urn:uuid:1c2c7050-5947-43e2-8e19-e60401a118c7",
            "validUntil": "2026-02-01T00:00:00Z",
            "credentialStatus": {
                "type": "BitstringStatusListEntry",
                "statusPurpose": "revocation",
                "statusListIndex": "94567",
                "statusListCredential": LIST_URL,
            },
            "credentialSubject": {"id": "urn:x:subject"},
            **claims,
        },
        HOLDER,
        now=NOW,
        cryptosuite="eddsa-rdfc-2022",
    )


_END = {"@value": "2026-02-01T00:00:00Z", "@type": "http://www.w3.org/2001/XMLSchema#dateTime"}
_LATER = NOW + timedelta(days=400)


@pytest.mark.parametrize("name", ["https://www.w3.org/2018/credentials#{}", "cred:{}"])
@pytest.mark.parametrize("context", [CREDENTIALS_V2, "https://names.example/v1"])
def test_attack_81_a_status_and_an_end_by_another_name(name, context, tmp_path):
    """What a proof over RDF is over says the same under another name, and is not overlooked."""
    contexts = _folder(tmp_path, {"cred": "https://www.w3.org/2018/credentials#"})
    document = _rdfc()
    document["@context"] = [CREDENTIALS_V2, *({context} - {CREDENTIALS_V2})]
    for term in ("validUntil", "credentialStatus"):
        value = document.pop(term)
        document[name.format(term)] = _END if term == "validUntil" else value
        for now in (NOW, _LATER):
            with pytest.raises(RdfcRefused):
                verify_credential(document, now=now, status=None, contexts=contexts)


def test_attack_81_another_name_from_a_context_that_is_known(tmp_path):
    """A folder of contexts may have a second name for what the standard has one for."""
    contexts = _folder(
        tmp_path,
        {
            "state": {"@id": "https://www.w3.org/2018/credentials#credentialStatus"},
            "expiration": {"@id": "https://w3id.org/security#expiration", "@type": _END["@type"]},
        },
    )
    whole = {**_rdfc(), "@context": [CREDENTIALS_V2, "https://names.example/v1"]}
    check_it = partial(verify_credential, now=NOW, status=WITHOUT_STATUS, contexts=contexts)
    check_it(whole)
    for kept in ([], [whole["credentialStatus"]]):
        renamed = {**whole, "credentialStatus": kept, "state": whole["credentialStatus"]}
        if not kept:
            del renamed["credentialStatus"]
        refused(RdfcRefused, "rdfc.hidden", lambda: check_it(renamed))  # noqa: B023
    unsigned = {**bare(_rdfc()), "@context": whole["@context"]}
    ended = add_proof(
        unsigned,
        HOLDER,
        created=NOW,
        expires=NOW + timedelta(days=1),
        cryptosuite="eddsa-rdfc-2022",
        contexts=contexts,
    )
    proof = ended["proof"]
    proof["expiration"] = proof.pop("expires")
    refused(RdfcRefused, "rdfc.hidden", lambda: check_it(ended))


def test_attack_81_the_size_of_an_entry_by_another_name():
    """Further inside, too: with a size of 1 another bit would be looked at."""
    document = _rdfc()
    document["credentialStatus"]["https://www.w3.org/ns/credentials/status#statusSize"] = 2
    refused(
        RdfcRefused,
        "rdfc.hidden",
        lambda: verify_credential(document, now=NOW, status=WITHOUT_STATUS),
    )


def test_attack_81_an_end_said_in_another_place():
    """A document that is its own subject could say its end there, where nobody looks for it."""
    same = "urn:uuid:1c2c7050-5947-43e2-8e19-e60401a118c7"
    document = _rdfc(
        credentialSubject={"id": same, "type": "VerifiableCredential", "description": "a"}
    )
    verify_credential(document, now=NOW, status=WITHOUT_STATUS)
    document["credentialSubject"]["validUntil"] = document.pop("validUntil")
    refused(
        RdfcRefused,
        "rdfc.hidden",
        lambda: verify_credential(document, now=_LATER, status=WITHOUT_STATUS),
    )


def test_attack_81_no_pinned_context_has_a_second_name():
    """What the standards' own IRIs end in is known, and no context here shortens it otherwise."""
    names: dict[str, set[str]] = {}
    waiting = [json.loads(context_bytes(url))["@context"] for url in KNOWN_CONTEXTS]
    while waiting:
        for name, value in waiting.pop().items():
            meaning = value.get("@id") if isinstance(value, dict) else value
            if isinstance(meaning, str) and ":" in meaning:
                names.setdefault(re.split("[:/#]", meaning)[-1], set()).add(name)
            if isinstance(value, dict) and isinstance(value.get("@context"), dict):
                waiting.append(value["@context"])
    assert len(names) > 100
    assert names["expiration"] == {"expires"}
    for name in deciding_names() & names.keys() - {"expiration"}:
        assert names[name] == {name}


def _folder(path: Path, terms: JsonObject) -> ContextFolder:
    """A folder with one context more."""
    data = json.dumps({"@context": terms}).encode()
    (path / "names.jsonld").write_bytes(data)
    entry = {"file": "names.jsonld", "sha256": sha256(data).hexdigest()}
    (path / "index.json").write_text(json.dumps({"https://names.example/v1": entry}))
    return ContextFolder(str(path))


def _chained(
    document: JsonObject, count: int, key: object = HOLDER, suite: str = "eddsa-jcs-2022"
) -> JsonObject:
    """A document with a chain of proofs that all hold, each over the one before it."""
    add = partial(add_proof, key=key, created=NOW, cryptosuite=suite)
    signed = add(document, id="urn:p:0")
    for number in range(1, count):
        signed = add(signed, id=f"urn:p:{number}", previous=[f"urn:p:{number - 1}"])
    return signed


def test_attack_82_a_proof_over_the_same_proof_many_times():
    """A small document must not become a huge one because a proof names another repeatedly."""
    signed = _chained(issue_unsigned(), 2)
    signed["proof"][1]["previousProof"] = ["urn:p:0"] * 9
    refused(
        ProofInvalid,
        "proof.malformed",
        lambda: verify_credential(signed, now=NOW, status=WITHOUT_STATUS),
    )


@pytest.mark.parametrize(
    ("key", "suite"),
    [(HOLDER, "eddsa-jcs-2022"), (EcdsaSigningKey.generate(Curve.P384), "ecdsa-jcs-2019")],
)
def test_attack_82_a_chain_over_a_long_document(key, suite):
    """What is hashed for one verification has a limit, over all its proofs."""
    check_it = partial(verify_credential, now=NOW, status=WITHOUT_STATUS)
    check_it(_chained(issue_unsigned(issuer=key.did), 8, key, suite))
    long = issue_unsigned(issuer=key.did, name="a" * 900_000)
    check_it(_chained(long, 3, key, suite))
    signed = _chained(long, 4, key, suite)
    refused(ProofInvalid, "proof.many", lambda: check_it(signed))
    # Proofs that are over the same form of it, by the same hash, count once.
    for _ in range(8):
        long = add_proof(long, key, created=NOW, cryptosuite=suite)
    assert len(check_it(long).proofs) == 8


def test_attack_82_a_chain_over_a_document_of_several_mib():
    """How long an object may be is for whoever parsed it to say; but it is not hashed again and
    again for that."""
    package: JsonObject = {"type": "Package", "items": ["a" * 3_000_000]}
    check_it = partial(
        verify_object, resolver=OFFLINE, now=NOW, expected_controller=HOLDER.did, exact_context=()
    )
    check_it(_chained(package, 2, HOLDER, "eddsa-jcs-2022"))
    signed = _chained(package, 4, HOLDER, "eddsa-jcs-2022")
    refused(ProofInvalid, "proof.many", lambda: check_it(signed))
    refused(StructureInvalid, "json.too_large", lambda: check_it(canonicalize(package)))


def issue_unsigned(**more: object) -> JsonObject:
    return bare(issue_credential({"credentialSubject": {"id": "urn:x:1"}, **more}, HOLDER, now=NOW))


def test_attack_82_nodes_that_look_alike_in_a_proof():
    """A proof is one of several, so less work is done for it than for a document."""
    alike = [
        {
            "id": f"_:e{clique}x{a}",
            "type": "VerifiableCredential",
            "evidence": [{"id": f"_:e{clique}x{b}"} for b in range(4) if b != a],
        }
        for clique in range(4)
        for a in range(4)
    ]
    evidence = {"type": "VerifiableCredential", "evidence": alike}
    assert canonicalize_jsonld({"@context": CREDENTIALS_V2, **evidence})
    proof = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-rdfc-2022",
        "created": "2026-01-31T09:30:00Z",
        "verificationMethod": HOLDER.verification_method,
        "proofPurpose": "assertionMethod",
        "@context": [CREDENTIALS_V2],
        "previousProof": alike,
    }
    refused(RdfcRefused, "rdfc.work", lambda: eddsa_rdfc.hash_configuration(proof))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("credentialStatus", {"type": "X", "id": "urn:x:{}"}),
        ("credentialSchema", {"type": "JsonSchema", "id": "urn:x:{}"}),
        ("relatedResource", {"id": "urn:x:{}", "digestSRI": "sha256-" + "A" * 43 + "="}),
    ],
)
def test_attack_82_much_to_fetch(name, value):
    """A small document must not send its verifier to a thousand places."""
    many = [{**value, "id": value["id"].format(number)} for number in range(17)]
    issue_unsigned(**{name: many[:16]})
    refused(StructureInvalid, "credential.many", lambda: issue_unsigned(**{name: many}))


def test_attack_82_one_list_for_many_entries():
    """The list of a URL is had, and decompressed, once for all entries that name it."""
    entry = {
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListCredential": LIST_URL,
    }
    signed = issue_credential(
        {
            "credentialSubject": {"id": "urn:x:1"},
            "credentialStatus": [{**entry, "statusListIndex": str(place)} for place in range(16)],
        },
        HOLDER,
        now=NOW,
    )
    asked = []

    def status(url: str) -> bytes:
        asked.append(url)
        bits = BitString.empty()
        return orjson.dumps(
            issue_general_list(HOLDER, url=url, bits=bits, purposes=("revocation",), now=NOW)
        )

    assert len(verify_credential(signed, now=NOW, status=status).statuses) == 16
    assert asked == [LIST_URL]


_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def _against(schema: JsonObject, a: object, *, times: int = 1) -> None:
    """Hold a credential against a schema with definitions for its claim ``a``."""
    whole = {"$schema": _DRAFT, "properties": {"credentialSubject": {"properties": {"a": schema}}}}
    if "$defs" in schema:
        whole["$defs"] = schema.pop("$defs")
    references = [{"id": "https://x.example/s", "type": "JsonSchema"}] * times
    unsigned = issue_unsigned(credentialSubject={"a": a}, credentialSchema=references)
    check_schemas(Credential.parse(unsigned), lambda _: orjson.dumps(whole))


@pytest.mark.parametrize(
    ("schema", "a"),
    [
        # Values of the schema that are compared again and again, and those of the document.
        (
            {
                "items": {"allOf": [{"$ref": "#/$defs/x"}] * 10},
                "$defs": {"x": {"const": {"b": list(range(900))}}},
            },
            [{"b": list(range(900))}] * 200,
        ),
        ({"uniqueItems": True}, [{"a": [0] * 100, "b": place} for place in range(250)]),
        # Much in a schema that is entered for each item.
        ({"items": {"$ref": "#/$defs/x"}, "$defs": {"x": dict.fromkeys(map(str, range(900)))}}, 0),
        (
            {
                "items": {"$ref": "#/$defs/x"},
                "$defs": {"x": {"properties": dict.fromkeys(map(str, range(900)), True)}},
            },
            0,
        ),
        # Names that are looked for in all of a schema.
        (
            {
                "items": {"$ref": "#a99"},
                "$defs": {f"d{place}": {"$anchor": f"a{place}"} for place in range(100)},
            },
            0,
        ),
        # What is found anew at each level of schemas that refer to each other.
        (
            {
                "$ref": "#/$defs/d0",
                "unevaluatedProperties": True,
                "$defs": {
                    f"d{level}": {
                        "if": {"$ref": f"#/$defs/d{level + 1}"},
                        "then": {"$ref": f"#/$defs/d{level + 1}"},
                    }
                    for level in range(30)
                }
                | {"d30": {}},
            },
            {"b": 1},
        ),
    ],
)
def test_attack_82_a_schema_that_costs_much(schema, a):
    """All that grows with a schema or a document is counted, and stops."""
    refused(RelatedInvalid, "schema.invalid", lambda: _against(schema, a or [0] * 3000))


def test_attack_82_many_schemas():
    """What one schema may cost is for all of them together."""
    schema = {"items": {"type": "integer"}}
    _against(schema, [0] * 9000)
    refused(RelatedInvalid, "schema.invalid", lambda: _against(schema, [0] * 9000, times=16))


def test_attack_82_a_schema_that_names_its_dialect_again():
    """Below that it is bounded still, and its patterns are matched in linear time."""
    named = {"$schema": _DRAFT, "pattern": "^(a+)+$"}
    refused(RelatedInvalid, "schema.mismatch", lambda: _against(named, "a" * 4000 + "!"))
    other = {"$schema": "http://json-schema.org/draft-07/schema#"}
    refused(RelatedInvalid, "schema.unsupported", lambda: _against(other, "a"))


@pytest.mark.parametrize("schema", [{"$dynamicRef": "http://[x#a"}, {"$ref": "#/$schema"}])
def test_attack_82_a_schema_that_the_library_stumbles_over(schema):
    """It is refused, with a code, as any schema that cannot be used."""
    refused(RelatedInvalid, "schema.invalid", lambda: _against(schema, "a"))


def test_attack_28_an_end_by_the_name_of_another_version():
    """Whatever its version calls it, a credential that was to end has ended."""
    for context, name in ((CREDENTIALS_V1, "validUntil"), (CREDENTIALS_V2, "expirationDate")):
        unsigned = {
            "@context": [context],
            "credentialSubject": {"id": "urn:x:1"},
            name: "2026-02-01T00:00:00Z",
        }
        signed = issue_credential(unsigned, HOLDER, now=NOW)
        check_it = partial(verify_credential, signed, status=WITHOUT_STATUS)
        check_it(now=NOW)
        refused(TimeInvalid, "credential.expired", lambda: check_it(now=_LATER))  # noqa: B023


def test_attack_29_a_beginning_by_the_name_of_another_version():
    """Nor is one believed before it begins."""
    for context, name in ((CREDENTIALS_V1, "validFrom"), (CREDENTIALS_V2, "issuanceDate")):
        unsigned = {
            "@context": [context],
            "credentialSubject": {"id": "urn:x:1"},
            name: "2026-02-01T00:00:00Z",
        }
        signed = issue_credential(unsigned, HOLDER, now=NOW)
        refused(
            TimeInvalid,
            "credential.not_yet_valid",
            lambda: verify_credential(signed, now=NOW, status=WITHOUT_STATUS),  # noqa: B023
        )


def _kept(check_it: Callable[[bytes], object], documents: list[bytes]) -> int:
    """How many bytes of memory stay behind after these were looked at."""
    with suppress(CredentialError):
        check_it(documents[0])
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for document in documents[1:]:
            with suppress(CredentialError):
                check_it(bytes(bytearray(document)))
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def _long_ticket(number: int) -> bytes:
    signed = ticket()
    other = {"type": "DataIntegrityProof", "cryptosuite": "other", "proofValue": f"{number:040000}"}
    return orjson.dumps({**signed, "proof": [signed["proof"], other]})


def test_attack_82_long_documents_fill_no_memory():
    """Anybody can sign thousands of long grants and tickets: those are not remembered."""
    many = frozenset(f"category.f{number}" for number in range(3_000))
    grants = [
        orjson.dumps(grant(fields=many, company=f"did:web:s{number}.example"))
        for number in range(6)
    ]
    assert _kept(check, grants) < 100_000
    tickets = [_long_ticket(number) for number in range(6)]
    assert _kept(partial(verify_ticket, now=NOW), tickets) < 100_000


@pytest.mark.parametrize("name", ["id", "purpose", "fields", "credentialStatus"])
def test_attack_82_long_texts_fill_no_memory(name):
    """Nor is a text that has none of the forms of a grant, however it was refused."""

    def long(number: int) -> bytes:
        document, text = grant(), "did:x:" + "a" * 25_000 + str(number)
        subject = document["credentialSubject"]
        if name == "credentialStatus":
            document[name] |= {"statusListCredential": text, "id": text + "#94567"}
        else:
            subject[name] = [text] if name == "fields" else text
        return orjson.dumps(document)

    assert _kept(check, [long(number) for number in range(10)]) < 100_000


def test_attack_12_a_proof_of_another_suite_in_the_place_of_ours():
    """In our own profile another suite adds to a proof by the issuer, and is none for it."""
    key = EcdsaSigningKey.generate(Curve.P256)
    listed = {**method("e", HOLDER), "publicKeyMultibase": key.verify_key.multikey}
    resolver = shop(methods=[listed], assertion=["did:web:shop.example#e"])
    document = sign_object({**bare(grant()), "issuer": "did:web:shop.example"}, HOLDER, created=NOW)
    document = add_proof(
        document,
        key,
        created=NOW,
        verification_method="did:web:shop.example#e",
        cryptosuite="ecdsa-jcs-2019",
    )
    refused(ProofInvalid, "proof.not_by_controller", lambda: check(document, resolver=resolver))


def _part(key: EcdsaSigningKey, **more: object) -> JsonObject:
    """A part of a credential, with a derived proof whose base proof says more."""
    document = issue_unsigned(issuer=key.did)
    configuration = {
        "type": "DataIntegrityProof",
        "cryptosuite": "ecdsa-sd-2023",
        "created": "2026-01-31T09:30:00Z",
        "verificationMethod": key.verification_method,
        "proofPurpose": "assertionMethod",
        **more,
    }
    proof = ecdsa_sd.create_base_proof(
        document, configuration, key, mandatory_pointers=["/issuer", "/credentialSubject"]
    )
    return derive_credential({**document, "proof": proof}, selective_pointers=[])


def test_attack_71_a_part_that_says_it_is_over_another_proof():
    """What is derived leaves out all other proofs, so it cannot be over one of them."""
    key = EcdsaSigningKey.generate(Curve.P256)
    part = _part(key, previousProof="urn:p:0")
    first = add_proof(bare(part), HOLDER, created=NOW, id="urn:p:0")["proof"]
    both = {**part, "proof": [first, part["proof"]]}
    refused(
        ProofInvalid,
        "proof.previous",
        lambda: verify_credential(both, now=NOW, status=WITHOUT_STATUS),
    )


def test_attack_82_many_proofs_over_parts():
    """Each takes a canonical form of its own, and a signature for each statement."""
    part = _part(EcdsaSigningKey.generate(Curve.P256))
    check_it = partial(verify_credential, now=NOW, status=WITHOUT_STATUS)
    check_it({**part, "proof": [part["proof"]] * 3})
    refused(ProofInvalid, "proof.many", lambda: check_it({**part, "proof": [part["proof"]] * 4}))
