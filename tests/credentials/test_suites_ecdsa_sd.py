"""ecdsa-sd-2023: the vectors step by step, what any selection shows, and what is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selective_world import (
    CONFIGURATION,
    CONTEXT_URL,
    KEY,
    contexts,
    counting,
    document,
    places,
    texts,
)

from credentials.errors import CredentialError, ProofInvalid
from credentials.nquads import write
from credentials.rdfc import canonicalize_jsonld
from credentials.selective import Statements, label_by_hmac, select, skolemise
from credentials.suites import ecdsa_sd
from credentials.suites.ecdsa_sd import (
    create_base_proof,
    derive,
    hash_mandatory,
    sign_data,
    verify_base,
    verify_derived,
)
from credentials.suites.ecdsa_sd_values import (
    MAX_SIGNATURES,
    BaseValue,
    DerivedValue,
    public_key_bytes,
)
from credentials.suites.eddsa_rdfc import hash_configuration, transform
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import JsonObject
from did.multikey import b64url_decode, b64url_encode, decode_multikey

BASE, DERIVED = b"\xd9\x5d\x00", b"\xd9\x5d\x01"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
MANDATORY = ("/issuer", "/subject/note")
# With these, two nodes without ids, and six mandatory statements beside four others.
PART = ("/name/0", "/subject/child/0/name")
# Where leaves stand that need not be shown, and are not types or ids.
CHOICE = sorted(
    pointer
    for pointer in places(document())
    if not pointer.startswith("/type") and pointer not in ("/subject/id", "/subject/type")
)


def without(value: JsonObject, name: str = "proof") -> JsonObject:
    return {key: inner for key, inner in value.items() if key != name}


def issue(
    whole: JsonObject, pointers: tuple[str, ...] = MANDATORY, start: int = 1, **changes: Any
) -> JsonObject:
    proof = create_base_proof(
        whole,
        {**CONFIGURATION, **changes},
        KEY,
        mandatory_pointers=pointers,
        random=counting(start),
        contexts=contexts,
    )
    return {**whole, "proof": proof}


@pytest.fixture(scope="module")
def issued() -> JsonObject:
    return issue(document())


def shown(issued: JsonObject, *pointers: str) -> JsonObject:
    return derive(issued, selective_pointers=pointers, contexts=contexts)


def check(revealed: JsonObject, key: EcdsaSigningKey = KEY) -> None:
    verify_derived(revealed, revealed["proof"], key.verify_key, contexts=contexts)


def refused(code: str, act: Callable[..., object], *arguments: Any) -> None:
    with pytest.raises(CredentialError) as caught:
        act(*arguments)
    assert caught.value.code == code


def components(revealed: JsonObject) -> list[Any]:
    parts: list[Any] = cbor2.loads(b64url_decode(revealed["proof"]["proofValue"][1:])[3:])
    return parts


def valued(revealed: JsonObject, data: bytes) -> JsonObject:
    return {**revealed, "proof": {**revealed["proof"], "proofValue": "u" + b64url_encode(data)}}


def packed(revealed: JsonObject, parts: list[Any], header: bytes = DERIVED) -> JsonObject:
    return valued(revealed, header + cbor2.dumps(parts, canonical=True))


class Published:
    """The files of one credential, and the names of those that nobody has looked into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unread = {path.name for path in folder.iterdir()}
        assert len(self.unread) == 20

    def __call__(self, name: str) -> Any:
        self.unread.discard(name)
        text = (self.folder / name).read_text()
        return json.loads(text) if name.endswith(".json") else text


@pytest.fixture(scope="module")
def loader(vectors: Path) -> Callable[[str], bytes]:
    index = json.loads((vectors / "contexts" / "index.json").read_text())
    return lambda url: (vectors / "contexts" / index[url]["file"]).read_bytes()


@pytest.mark.parametrize(
    ("part", "name", "source"),
    [("employ", "employ", "employmentAuth"), ("prc", "prCred", "prCredUnsigned")],
)
def test_every_step_gives_what_was_published(vectors, loader, part, name, source):
    """All twenty files of each credential, and the base proof byte for byte."""
    folder = vectors / "vc-di-ecdsa" / "TestVectors"
    of = Published(folder / "ecdsa-sd-2023" / part)
    signed = of("addSignedSDBase.json")
    unsigned = without(signed)
    # One file is of another edition than all that was made of it: its description differs.
    loose = json.loads((folder / f"{source}.json").read_text())
    differing = {key for key in loose if loose[key] != unsigned[key]}
    assert loose.keys() == unsigned.keys()
    assert differing == ({"description"} if part == "prc" else set())
    must, may = (
        json.loads((folder / f"{name}{kind}.json").read_text())
        for kind in ("Mandatory", "Selective")
    )
    material = json.loads((folder / "ecdsa-sd-2023" / "SDKeyMaterial.json").read_text())
    key, own = (
        EcdsaSigningKey.from_secret(
            Curve.P256, decode_multikey(material[pair]["secretKeyMultibase"])[1]
        )
        for pair in ("baseKeyPair", "proofKeyPair")
    )
    hmac_key = bytes.fromhex(material["hmacKeyString"])

    # 1. Statements, and the labels of their nodes.
    canonical = of("addBaseDocCanon.json")
    assert canonicalize_jsonld(unsigned, contexts=loader) == "".join(canonical)
    statements = Statements.read(unsigned, label_by_hmac(hmac_key), contexts=loader)
    assert list(statements.lines) == of("addBaseDocHMACCanon.json")

    # 2. What must be shown.
    for item in of("addPointerValues.json"):
        value: Any = unsigned
        for step in item["pointer"].split("/")[1:]:
            value = value[step]
        assert value == item["value"]
    transformed = of("addBaseTransform.json")
    assert transformed["mandatoryPointers"] == must
    assert transformed["hmacKeyString"].lower() == hmac_key.hex()
    chosen = statements.indexes(statements.select(must))
    assert numbered(statements, chosen) == transformed["mandatory"]["value"]
    others = [index for index in range(len(statements.lines)) if index not in chosen]
    assert numbered(statements, others) == transformed["nonMandatory"]["value"]

    # 3. Hashes and the base proof.
    configuration = of("addProofConfig.json")
    assert transform(configuration, contexts=loader).decode() == of("addProofConfigCanon.txt")
    proof_hash = hash_configuration(configuration, contexts=loader)
    mandatory_hash = hash_mandatory(statements.lines[index] for index in chosen)
    hashes = of("addHashData.json")
    assert proof_hash.hex() == hashes["proofHash"]
    assert mandatory_hash.hex() == hashes["mandatoryHash"]
    proof = create_base_proof(
        unsigned,
        configuration,
        key,
        mandatory_pointers=must,
        random=lambda length: hmac_key if length == 32 else secret_bytes(own, length),
        contexts=loader,
    )
    assert proof == signed["proof"]
    verify_base(signed, proof, key.verify_key, contexts=loader)
    base = BaseValue.read(proof["proofValue"])
    assert base.encode() == proof["proofValue"]
    raw, recovered = of("addRawBaseSignatureInfo.json"), of("derivedRecoveredBaseData.json")
    assert recovered["hmacKey"] == base.hmac_key.hex() == hmac_key.hex()
    for found in (raw, recovered):
        assert found["baseSignature"] == base.base_signature.hex()
        assert found["signatures"] == [signature.hex() for signature in base.signatures]
        assert found["mandatoryPointers"] == list(base.mandatory_pointers)
    assert raw["publicKey"] == recovered["proofPublicKey"] == base.public_key.multikey
    data = sign_data(proof_hash, base.public_key, mandatory_hash)
    assert key.sign(data) == base.base_signature

    # 4. The groups.
    groups = {
        "mandatory": statements.select(must),
        "selective": statements.select(may),
        "combined": statements.select([*must, *may]),
    }
    assert groups["combined"] == groups["mandatory"] | groups["selective"]
    places_of = of("derivedGroupIndexes.json")
    every = of("derivedAllGroupData.json")
    assert list(statements.lines) == every["nquads"]
    for group, quads in groups.items():
        indexes = statements.indexes(quads)
        assert list(indexes) == places_of[f"{group}Indexes"]
        assert numbered(statements, indexes) == every["groups"][group]["matching"]["value"]
        rest = [index for index in range(len(statements.lines)) if index not in indexes]
        assert numbered(statements, rest) == every["groups"][group]["nonMatching"]["value"]
        assert unnamed(sorted(map(write, quads))) == unnamed(
            sorted(every["groups"][group]["deskolemizedNQuads"])
        )
    assert places_of["nonMandatoryIndexes"] == others
    compacted = every["skolemized"]["compact"]
    assert unnamed(skolemise(unsigned, contexts=loader)) == unnamed(compacted)
    assert {label for _, label in every["labelMap"]["value"]} == set(statements.labels.values())

    # 5. The derived proof.
    revealed = of("derivedRevealDocument.json")
    assert select(unsigned, [*must, *may]) == of("derivedUnsignedReveal.json") == without(revealed)
    assert derive(signed, selective_pointers=may, contexts=loader) == revealed
    value = DerivedValue.read(revealed["proof"]["proofValue"])
    assert value.encode() == revealed["proof"]["proofValue"]
    assert (
        list(value.mandatory_indexes)
        == of("derivedAdjMandatoryIndexes.json")["adjMandatoryIndexes"]
    )
    adjusted = of("derivedAdjSignatures.json")
    assert [base.signatures.index(item) for item in value.signatures] == adjusted[
        "adjSignatureIndexes"
    ]
    assert [item.hex() for item in value.signatures] == adjusted["filteredSignatures"]
    disclosed, parsed = of("derivedDisclosureData.json"), of("verifyDerivedProofValue.json")
    for found, labels in (
        (disclosed, disclosed["labelMap"]["value"]),
        (parsed, parsed["labelMap"]),
    ):
        assert found["baseSignature"] == value.base_signature.hex()
        assert found["publicKey"] == value.public_key.multikey
        assert found["signatures"] == [item.hex() for item in value.signatures]
        assert dict(labels) == value.labels
        assert found["mandatoryIndexes"] == list(value.mandatory_indexes)

    # 6. Verifying it.
    lines = [statements.lines[index] for index in places_of["combinedIndexes"]]
    assert of("verifyNQuads.json") == lines
    last = of("verifyCreateVerifyData.json")
    assert last["mandatoryHash"] == mandatory_hash.hex()
    assert last["proofHash"] == proof_hash.hex()
    assert last["baseSignature"] == value.base_signature.hex()
    assert last["publicKey"] == value.public_key.multikey
    assert last["signatures"] == adjusted["filteredSignatures"]
    assert last["nonMandatory"] == [
        line for index, line in enumerate(lines) if index not in value.mandatory_indexes
    ]
    verify_derived(revealed, revealed["proof"], key.verify_key, contexts=loader)
    assert of.unread == set()


def secret_bytes(key: EcdsaSigningKey, length: int) -> bytes:
    """The randomness from which this key is made."""
    return (int.from_bytes(key.unsafe_export_secret(), "big") - 1).to_bytes(length, "big")


def numbered(statements: Statements, indexes: Any) -> list[Any]:
    return [[index, statements.lines[index]] for index in indexes]


def unnamed(value: Any) -> Any:
    """The same, without the names that nodes had for the time being."""
    return json.loads(re.sub(r"(urn:bnid:|_:)(_[0-9a-f-]{36}_)?\d+", "?", json.dumps(value)))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(CHOICE), max_size=6), st.lists(st.sampled_from(CHOICE), max_size=2))
def test_any_selection_shows_just_that(pointers, mandatory):
    """What was selected, what is mandatory, types and ids on the way; nothing else, anywhere."""
    if not pointers and not mandatory:
        pointers = ["/issuer"]
    whole = document()
    revealed = shown(issue(whole, tuple(mandatory)), *pointers)
    check(revealed)
    chosen = set().union(*(texts(places(whole)[place]) for place in (*pointers, *mandatory)))
    found = texts(without(revealed))
    assert chosen <= found
    assert {text for text in found if text.startswith("leaf")} <= chosen
    value = b64url_decode(revealed["proof"]["proofValue"][1:])
    everything = json.dumps(revealed).encode() + value
    for text in texts(whole) - found:
        assert text.encode() not in everything
    assert revealed == {**select(whole, [*mandatory, *pointers]), "proof": revealed["proof"]}


def test_mandatory_statements_are_always_shown(issued):
    """Also where nothing else is, and where another part is asked for."""
    for pointers in ((), ("/name/0",), ("/subject/child/1",)):
        revealed = shown(issued, *pointers)
        assert revealed["issuer"] == "leaf-issuer"
        assert revealed["subject"]["note"] == "leaf-note"
        check(revealed)
    verify_base(issued, issued["proof"], KEY.verify_key, contexts=contexts)


def test_what_a_holder_keeps_secret_does_not_reach_the_verifier(issued):
    """The key of the labels stays with the holder, and so do signatures over what is left out."""
    base = BaseValue.read(issued["proof"]["proofValue"])
    value = b64url_decode(shown(issued, "/name/0")["proof"]["proofValue"][1:])
    assert base.hmac_key not in value
    assert sum(signature in value for signature in base.signatures) == 1


def test_nothing_at_all_is_no_disclosure():
    """Without mandatory pointers something must be selected."""
    refused("proof.pointer", shown, issue(document(), ()))
    check(shown(issue(document(), ()), "/name/1"))


def test_other_proofs_are_left_out(issued):
    """They would not hold over a part; and there must be one of this suite."""
    other = {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022"}
    both = {**issued, "proof": [other, issued["proof"]]}
    assert shown(both, "/name/0") == shown(issued, "/name/0")
    for proofs in (None, other, [other], [issued["proof"]] * 2):
        refused("proof.missing", shown, {**issued, "proof": proofs}, "/name/0")


def test_the_document_of_the_caller_is_left_alone(issued):
    """Neither its proof nor its arrays are written into."""
    before = json.dumps(issued)
    revealed = shown(issued, "/subject", "/name")
    revealed["subject"]["name"] = revealed["name"][0] = "changed"
    assert json.dumps(issued) == before


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_flipped_bit_of_a_value_is_refused(data):
    """In a derived proof and in a base proof, wherever it is."""
    whole = issue(document())
    part = shown(whole, "/name/0", "/subject/child/2/mate")
    for signed, act in ((part, verify_derived), (whole, verify_base)):
        raw = bytearray(b64url_decode(signed["proof"]["proofValue"][1:]))
        place = data.draw(st.integers(0, 8 * len(raw) - 1))
        raw[place // 8] ^= 1 << place % 8
        spoiled = valued(signed, bytes(raw))
        with pytest.raises(CredentialError):
            act(spoiled, spoiled["proof"], KEY.verify_key, contexts=contexts)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"issuer": "leaf-other"}, "proof.signature"),
        ({"name": ["leaf-name-b"]}, "proof.signature"),
        ({"name": ["leaf-name-a", "leaf-name-b"]}, "proof.statements"),
        ({"type": ["Thing"]}, "proof.statements"),
        ({"type": ["Thing", "urn:term:Person"]}, None),
        ({"note": "added"}, "proof.statements"),
        ({"mate": {"note": "added"}}, "proof.statements"),
        ({"unknown": 1}, "rdfc.dropped"),
        ({"id": "urn:new"}, "proof.statements"),
    ],
)
def test_a_changed_part_is_refused(issued, change, code):
    """Statements and nodes changed, added and taken away; not: the same said in other words."""
    revealed = {**shown(issued, "/name/0"), **change}
    if code is None:
        check(revealed)
    else:
        refused(code, check, revealed)


@pytest.mark.parametrize("name", ["issuer", "subject", "name"])
def test_a_statement_taken_away_is_refused(issued, name):
    """Mandatory or not, and with the rest of the proof adjusted as well as may be."""
    revealed = shown(issued, "/name/0", "/subject/child/0")
    smaller = without(revealed, name)
    refused("proof.statements", check, smaller)
    parts = components(revealed)
    quads = len(
        Statements.read(without(smaller), label_by_hmac(b"\1" * 32), contexts=contexts).lines
    )
    for mandatory in range(quads + 1):
        labels = {0: parts[3][0], 1: parts[3][1]} if name != "subject" else {0: parts[3][0]}
        signatures = parts[2][: quads - mandatory]
        forged = [*parts[:2], signatures, labels, list(range(mandatory))]
        with pytest.raises(ProofInvalid):
            check(packed(smaller, forged))


def test_a_mandatory_statement_cannot_be_left_out_by_the_holder(issued):
    """Not by other pointers in the base proof, nor by calling it a chosen one."""
    base = components(issued)
    fewer = packed(issued, [*base[:4], ["/issuer"]], BASE)
    refused("proof.statements", shown, fewer, "/name/0")
    for signatures in (base[3] + base[3][:2], base[3]):
        for pointers in (["/issuer"], []):
            parts = [*base[:3], signatures, pointers]
            with pytest.raises(ProofInvalid):
                check(shown(packed(issued, parts, BASE), "/name/0"))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: [*p[:2], p[2][::-1], *p[3:]],
        lambda p: [*p[:2], [p[2][0]] * len(p[2]), *p[3:]],
        lambda p: [p[2][0], p[1], [p[0], *p[2][1:]], *p[3:]],
        lambda p: [*p[:3], {0: p[3][1], 1: p[3][0]}, p[4]],
        lambda p: [*p[:3], {0: bytes(32), 1: p[3][1]}, p[4]],
        lambda p: [*p[:4], sorted({*p[4][1:], min({*range(10)} - {*p[4]})})],
        lambda p: [*p[:2], [bytes(64)] * len(p[2]), *p[3:]],
        lambda p: [p[0], public_key_bytes(KEY.verify_key), *p[2:]],
    ],
)
def test_a_proof_put_together_otherwise_is_refused(issued, change):
    """Signatures swapped, repeated or emptied; labels exchanged or made up; another key."""
    revealed = shown(issued, *PART)
    parts = components(revealed)
    refused("proof.signature", check, packed(revealed, change(parts)))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda p: [*p[:2], p[2][:-1], *p[3:]], "proof.statements"),
        (lambda p: [*p[:2], [*p[2], p[2][0]], *p[3:]], "proof.statements"),
        (lambda p: [*p[:3], {0: p[3][0]}, p[4]], "proof.statements"),
        (lambda p: [*p[:3], {**p[3], 2: bytes(32)}, p[4]], "proof.statements"),
        (lambda p: [*p[:3], {0: p[3][0], 2: p[3][1]}, p[4]], "proof.value"),
        (lambda p: [*p[:3], {0: p[3][0], 1: p[3][0]}, p[4]], "proof.value"),
        (lambda p: [*p[:3], {0: p[3][0], -1: p[3][1]}, p[4]], "proof.value"),
        (lambda p: [*p[:3], {0: p[3][0], "1": p[3][1]}, p[4]], "proof.value"),
        (lambda p: [*p[:3], {0: p[3][0], True: p[3][1]}, p[4]], "proof.value"),
        (lambda p: [*p[:3], {0: p[3][0], 1: p[3][1][:-1]}, p[4]], "proof.value"),
        (lambda p: [*p[:3], {0: p[3][0], 1: "a" * 32}, p[4]], "proof.value"),
        (lambda p: [*p[:3], [p[3][0], p[3][1]], p[4]], "proof.value"),
        (lambda p: [*p[:4], p[4][::-1]], "proof.value"),
        (lambda p: [*p[:4], [*p[4], p[4][-1]]], "proof.value"),
        (lambda p: [*p[:4], [-1, *p[4]]], "proof.value"),
        (lambda p: [*p[:4], [*p[4], 4_095]], "proof.statements"),
        (lambda p: [*p[:4], [*p[4], 4_096]], "proof.value"),
        (lambda p: [*p[:4], [*p[4], 2**70]], "proof.value"),
        (lambda p: [*p[:4], [float(index) for index in p[4]]], "proof.value"),
        (lambda p: [*p[:4], [False, *p[4][1:]]], "proof.value"),
        (lambda p: [*p[:4], {}], "proof.value"),
        (lambda p: [p[0][:-1], *p[1:]], "proof.value"),
        (lambda p: [p[0] + b"\0", *p[1:]], "proof.value"),
        (lambda p: ["a" * 64, *p[1:]], "proof.value"),
        (lambda p: [*p[:2], [*p[2][:-1], p[2][-1][:-1]], *p[3:]], "proof.value"),
        (lambda p: [*p[:2], b"".join(p[2]), *p[3:]], "proof.value"),
        (lambda p: [*p[:2], [p[2][0]] * (MAX_SIGNATURES + 1), *p[3:]], "proof.value"),
        (lambda p: [p[0], p[1][2:], *p[2:]], "proof.value"),
        (lambda p: [p[0], b"\xed\x01" + p[1][2:], *p[2:]], "proof.value"),
        (lambda p: [p[0], p[1][:2] + b"\4" + p[1][3:], *p[2:]], "proof.value"),
        (lambda p: [p[0], p[1][:2] + b"\2" + b"\xff" * 32, *p[2:]], "proof.value"),
        (lambda p: p[:4], "proof.value"),
        (lambda p: [*p, 0], "proof.value"),
    ],
)
def test_a_derived_value_of_another_form_is_refused(issued, change, code):
    """Lengths, numbers, kinds and orders of all five components."""
    revealed = shown(issued, *PART)
    refused(code, check, packed(revealed, change(components(revealed))))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: [*p[:2], p[2][:-1], *p[3:]],
        lambda p: [*p[:2], "a" * 32, *p[3:]],
        lambda p: [*p[:4], ["/issuer"] * 257],
        lambda p: [*p[:4], ["/" + "a" * 512]],
        lambda p: [*p[:4], [b"/issuer"]],
        lambda p: [*p[:4], "/issuer"],
        lambda p: [*p[:3], [p[3][0]] * (MAX_SIGNATURES + 1), p[4]],
        lambda p: [*p[:3], {}, p[4]],
        lambda p: p[:4],
    ],
)
def test_a_base_value_of_another_form_is_refused(issued, change):
    """Lengths, numbers and kinds of what a derived value does not have."""
    spoiled = packed(issued, change(components(issued)), BASE)
    refused("proof.value", shown, spoiled, "/name/0")


def test_the_two_kinds_are_not_taken_for_each_other(issued):
    """A verifier who gets the key of the labels is told so; a holder cannot derive twice."""
    refused("proof.base", check, issued)
    revealed = shown(issued, "/name/0")
    refused("proof.value", shown, revealed, "/name/0")
    refused("proof.value", check, packed(issued, components(issued), DERIVED))
    refused("proof.value", check, packed(revealed, components(revealed), b"\xd9\x5d\x02"))
    refused("proof.value", check, packed(revealed, components(revealed), b""))


def test_a_value_has_one_spelling(issued):
    """Other bases, padding, other encodings of the same array, and what is no text."""
    revealed = shown(issued, *PART)
    value = revealed["proof"]["proofValue"]
    parts = components(revealed)
    raw = b64url_decode(value[1:])
    body = raw[3:]
    for wrong in (None, 7, "", "u", value[1:], "z" + value[1:], value + "=", value + "A", [value]):
        refused(
            "proof.value", check, {**revealed, "proof": {**revealed["proof"], "proofValue": wrong}}
        )
    turned = dict(reversed(parts[3].items()))
    tail = cbor2.dumps(parts[4])
    for data in (
        raw + b"\0",
        raw + DERIVED,
        DERIVED + raw,
        DERIVED + cbor2.dumps([*parts[:3], turned, parts[4]]),
        DERIVED + b"\x98\x05" + body[1:],
        DERIVED + b"\x9f" + body[1:] + b"\xff",
        DERIVED + b"\xd9\xd9\xf7" + body,
        DERIVED + body[: -len(tail)] + b"\xd8\x40" + tail,
        DERIVED + cbor2.dumps(cbor2.CBORTag(258, parts)),
        DERIVED + cbor2.dumps(raw),
        raw[:-1],
    ):
        refused("proof.value", check, valued(revealed, data))


def test_a_repeated_key_is_refused(issued):
    """Two readers could take either."""
    revealed = shown(issued, *PART)
    parts = components(revealed)
    one = cbor2.dumps({0: parts[3][0], 1: parts[3][1]}, canonical=True)
    two = b"\xa3" + one[1:] + cbor2.dumps(1) + cbor2.dumps(parts[3][1])
    body = b"\x85" + b"".join(cbor2.dumps(part, canonical=True) for part in parts[:3])
    good = DERIVED + body + one + cbor2.dumps(parts[4])
    check(valued(revealed, good))
    refused("proof.value", check, valued(revealed, DERIVED + body + two + cbor2.dumps(parts[4])))


@pytest.mark.parametrize("header", [BASE, DERIVED])
@pytest.mark.parametrize(
    "bomb",
    [
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x9b\x00\x00\x00\x7f\xff\xff\xff\xff",
        b"\xbb\x00\x00\x00\x7f\xff\xff\xff\xff",
        b"\x5b\x00\x00\x00\x7f\xff\xff\xff\xff",
        b"\x81" * 100_000,
        b"\xd8\x23\x78\x0e(a+)+(a+)+(a+)",
        b"\xc5\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x03",
        b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x03",
        b"\xd8\x1c\x81\xd8\x1d\x00",
        b"\xd9\x01\x00\x82\x61a\xd8\x19\x00",
        b"\xc1\xfb\x7f\xef\xff\xff\xff\xff\xff\xff",
        b"\xc0\x61a",
        b"\xff",
        b"",
        b"\x00",
        b"\x80",
        b"\x85\xa1\x81\x81\x00\x00",
    ],
)
def test_bombs_are_refused(issued, header, bomb):
    """Claimed lengths, depth, tags that make expressions and huge numbers, cycles."""
    for data in (bomb, b"\x85" + bomb):
        spoiled = valued(issued, header + data)
        act = (lambda d: shown(d, "/issuer")) if header == BASE else check
        refused("proof.value", act, spoiled)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([BASE, DERIVED]), st.binary(max_size=200))
def test_whatever_is_sent_is_refused_in_one_way(header, data):
    """No other error leaves the reader."""
    text = "u" + b64url_encode(header + data)
    reader = BaseValue if header == BASE else DerivedValue
    with pytest.raises(ProofInvalid) as caught:
        reader.read(text)
    assert caught.value.code == "proof.value"


def test_a_long_value_is_not_decoded(issued):
    """Nor base64 of a megabyte."""
    refused("proof.value", check, valued(issued, DERIVED + bytes(1_000_000)))


def test_proof_and_key_matter(issued):
    """What the proof says, its context, and who signed."""
    revealed = shown(issued, "/name/0")
    for change, code in (
        ({"proofPurpose": "authentication"}, "proof.signature"),
        ({"created": "2026-01-31T09:30:01Z"}, "proof.signature"),
        ({"@context": ["https://other.example/"]}, "context.proof"),
        ({"@context": CONTEXT_URL}, "context.proof"),
        ({"urn:a": "x" * 5_000}, "rdfc.too_large"),
        ({"unknown": 1}, "rdfc.dropped"),
    ):
        refused(code, check, {**revealed, "proof": {**revealed["proof"], **change}})
    check({**revealed, "proof": {**revealed["proof"], "@context": [CONTEXT_URL]}})
    refused("proof.signature", check, revealed, EcdsaSigningKey.generate(Curve.P256))
    with pytest.raises(CredentialError):
        check(without(revealed, "@context") | {"proof": revealed["proof"]})


def test_p384_has_no_place_in_this_suite(issued):
    """Neither to issue nor to verify."""
    key = EcdsaSigningKey.from_secret(Curve.P384, bytes(47) + b"\7")
    refused("key.kind", check, shown(issued, "/name/0"), key)
    with pytest.raises(ProofInvalid) as caught:
        create_base_proof(
            document(), CONFIGURATION, key, mandatory_pointers=["/issuer"], contexts=contexts
        )
    assert caught.value.code == "key.kind"
    with pytest.raises(ProofInvalid) as caught:
        verify_base(issued, issued["proof"], key.verify_key, contexts=contexts)
    assert caught.value.code == "key.kind"


def test_parts_of_two_proofs_do_not_fit_together(issued):
    """Of one document signed twice, and of two."""
    twin = issue(document(), start=100)
    one, two = (components(shown(signed, *PART)) for signed in (issued, twin))
    revealed = shown(issued, *PART)
    for parts in (
        [one[0], *two[1:]],
        [*one[:2], two[2], *one[3:]],
        [*one[:3], two[3], one[4]],
        [*two[:2], *one[2:]],
    ):
        refused("proof.signature", check, packed(revealed, parts))
    # A whole proof of the other fits: it is over the same statements.
    check(packed(revealed, two))


def test_two_nodes_stay_two(issued):
    """What was said of one node cannot be shown as said of two, nor of two as of one."""
    whole = {**document(), "mate": [{"name": "x", "note": "y"}, {"name": "z", "note": "w"}]}
    signed = issue(whole)
    revealed = shown(signed, "/mate/0/name", "/mate/0/note")
    check(revealed)
    split = {**revealed, "mate": [{"name": "x"}, {"note": "y"}]}
    with pytest.raises(ProofInvalid):
        check(split)
    both = shown(signed, "/mate/0/name", "/mate/1/note")
    check(both)
    merged = {**both, "mate": {"name": "x", "note": "w"}}
    with pytest.raises(ProofInvalid):
        check(merged)


def test_the_second_spelling_of_a_signature_holds(issued):
    """As FIPS 186-5 and the standard have it: a proof is no name of what it proves."""
    revealed = shown(issued, *PART)
    parts = components(revealed)
    s = ORDER - int.from_bytes(parts[0][32:], "big")
    parts[0] = parts[0][:32] + s.to_bytes(32, "big")
    check(packed(revealed, parts))


def test_the_holder_finds_out_what_cannot_be_shown(issued):
    """A base proof is verified whole, and its document must be the one that was signed."""
    for changed in (
        {**issued, "issuer": "leaf-other"},
        {**issued, "name": "leaf-other"},
        packed(issued, [*components(issued)[:3], components(issued)[3][::-1], ["/issuer"]], BASE),
    ):
        with pytest.raises(ProofInvalid):
            verify_base(changed, changed["proof"], KEY.verify_key, contexts=contexts)
    longer = {**issued, "note": "leaf-added"}
    refused("proof.statements", shown, longer, "/issuer")


def test_pointers_mean_the_same_in_both_forms_or_nothing():
    """An array of one item is none in the compact form; the holder is told, not the verifier."""
    single = issue({**document(), "name": ["leaf-only"]})
    refused("proof.pointer", shown, single, "/name/0")
    check(shown(single, "/name"))
    refused("proof.pointer", shown, single, "/nowhere")
    refused("proof.pointer", issue, document(), ("/nowhere",))


def test_a_pointer_that_leads_elsewhere_in_the_compact_form_is_refused(issued):
    """Where the order of values differs between the two forms, another one would be shown."""
    mixed = {**document(), "name": ["leaf-a", {"@value": "leaf-b"}], "hint": ["d", {"@value": "e"}]}
    signed = issue(mixed)
    check(shown(signed, "/name/0"))
    for pointer in ("/name/1/@value", "/hint", "/hint/0", "/hint/1"):
        with pytest.raises(ProofInvalid) as caught:
            check(shown(signed, pointer))
        assert caught.value.code == "proof.pointer"


def test_too_many_statements_are_not_signed():
    """Each costs a signature; those that are always shown cost none."""
    large = {**document(), "note": [f"n{number}" for number in range(MAX_SIGNATURES)]}
    refused("rdfc.quads", issue, large)
    few = issue(large, ("/note",))
    check(shown(few, "/name/0"))


def test_documents_without_parts_are_refused(issued):
    """Lists in order above all; but others may derive from them, and that is verified."""
    refused("rdfc.compact", issue, {**document(), "list": ["a", "b"]})
    with pytest.raises(CredentialError):
        shown({**issued, "list": ["a", "b"]}, "/issuer")


def test_randomness_is_used_once():
    """For the labels and for the key; two proofs of one document have nothing in common."""
    drawn: list[int] = []
    first, second = (
        create_base_proof(
            document(),
            CONFIGURATION,
            KEY,
            mandatory_pointers=["/issuer"],
            random=lambda length: drawn.append(length) or bytes([len(drawn)]) * length,
            contexts=contexts,
        )
        for _ in range(2)
    )
    assert drawn == [32, 40, 32, 40]
    one, two = (BaseValue.read(proof["proofValue"]) for proof in (first, second))
    assert one.hmac_key != two.hmac_key
    assert one.public_key != two.public_key
    assert not set(one.signatures) & set(two.signatures)
    assert "@context" not in first
    assert first["cryptosuite"] == ecdsa_sd.CRYPTOSUITE


def test_errors_repeat_nothing(issued):
    """Neither values nor pointers come back."""
    for act in (
        lambda: check({**shown(issued, "/name/0"), "issuer": "leaf-x"}),
        lambda: shown(issued, "/leaf-x"),
        lambda: check(issued),
    ):
        with pytest.raises(CredentialError) as caught:
            act()
        assert "leaf" not in str(caught.value) + caught.value.hint
