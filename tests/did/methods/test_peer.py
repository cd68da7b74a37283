"""did:peer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.document import RELATIONSHIPS
from did.ecdsa import Curve, EcdsaSigningKey
from did.errors import DidError, DidNotFound, DidSyntaxError, MethodNotSupported
from did.identifier import Did
from did.json import Json, JsonObject, canonicalize
from did.keys import AgreementKey, SigningKey
from did.methods import key
from did.methods.peer import (
    MAX_GENESIS_BYTES,
    did_of_document,
    did_of_genesis,
    resolve,
    short_form,
)
from did.multikey import (
    Codec,
    b64url_decode,
    b64url_encode,
    base58btc_decode,
    base58btc_encode,
    decode_multikey,
    encode_multikey,
    multihash_sha256,
)
from did.multikey import multibase_decode as unmultibase
from did.resolve import OFFLINE

SIGNING = SigningKey.from_seed(b"\4" * 32)
AGREEMENT = AgreementKey.from_seed(b"\4" * 32).public
ED25519 = SIGNING.verify_key.multikey
X25519 = AGREEMENT.multikey
P256 = EcdsaSigningKey.from_secret(Curve.P256, b"\4" * 32).verify_key
P384 = EcdsaSigningKey.from_secret(Curve.P384, b"\4" * 48).verify_key
SERVICE: JsonObject = {
    "t": "dm",
    "s": {"uri": "https://shop.example/inbox", "a": ["didcomm/v2"], "r": ["did:example:a#b"]},
}
INPUT: JsonObject = {
    "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
    "verificationMethod": [
        {"id": "#sign", "type": "Multikey", "publicKeyMultibase": ED25519},
        {"id": "#agree", "type": "Multikey", "publicKeyMultibase": X25519},
    ],
    "authentication": ["#sign"],
    "assertionMethod": [{"id": "#own", "type": "Multikey", "publicKeyMultibase": P256.multikey}],
    "keyAgreement": ["#agree"],
}


def refusal(text: str) -> str:
    """The code with which the identifier is refused, by the method and by the resolver."""
    with pytest.raises(DidError) as caught:
        resolve(Did.parse(text))
    with pytest.raises(DidError) as again:
        OFFLINE.resolve(text)
    assert caught.value.code == again.value.code
    return caught.value.code


def code(action: Callable[[], object]) -> str:
    """The code with which something is refused."""
    with pytest.raises(DidError) as caught:
        action()
    return caught.value.code


def service(value: Json) -> str:
    """The element of a service."""
    return ".S" + b64url_encode(canonicalize(value))


def long_form(encoded: str) -> str:
    """An identifier of kind 4 with the right hash, whatever is encoded."""
    digest = unmultibase(multihash_sha256(encoded.encode()))
    return f"did:peer:4z{base58btc_encode(digest)}:{encoded}"


def long_form_of(document: Json, prefix: bytes = b"\x80\x04") -> str:
    """The same of a JSON value."""
    return long_form("z" + base58btc_encode(prefix + canonicalize(document)))


def test_kind_0_is_did_key_under_another_name() -> None:
    """The same keys stand under the same relationships."""
    for multikey in (ED25519, X25519, P256.multikey, P384.multikey):
        peer, base = f"did:peer:0{multikey}", f"did:key:{multikey}"
        expected = json.dumps(key.resolve(Did.parse(base)).to_json()).replace(base, peer)
        assert OFFLINE.resolve(peer).to_json() == json.loads(expected)


def published(vectors: Path, name: str) -> dict[str, Any]:
    """A document published with another implementation."""
    table = json.loads((vectors / "did-peer-python/vectors.json").read_text())
    document: dict[str, Any] = json.loads(table[name])
    return document


def test_published_kind_0(vectors: Path) -> None:
    """The key and its signing relationships; the fragment is that of did:key, as specified."""
    theirs = published(vectors, "DID_DOC_NUMALGO_O_MULTIBASE")
    document = OFFLINE.resolve(theirs["id"])
    assert str(document.id) == theirs["id"]
    (method,) = document.relationship("authentication")
    assert method.public_key_multibase == theirs["verificationMethod"][0]["publicKeyMultibase"]
    for name in RELATIONSHIPS:
        if name != "keyAgreement":
            assert len(document.relationship(name)) == len(theirs[name]) == 1


@pytest.mark.parametrize(
    "name",
    [
        "DID_DOC_NUMALGO_2_MULTIBASE",
        "DID_DOC_NUMALGO_2_MULTIBASE_2_SERVICES",
        "DID_DOC_NUMALGO_2_MULTIBASE_NO_SERVICES",
        "DID_DOC_NUMALGO_2_MULTIBASE_MINIMAL_SERVICES",
    ],
)
def test_published_kind_2(vectors: Path, name: str) -> None:
    """Keys in their order and services, but for ids, which were clarified since."""
    theirs = published(vectors, name)
    if "2_SERVICES" in name:  # written as a list, which the specification has since forbidden
        assert refusal(theirs["id"]) == "did.peer_syntax"
        return
    document = OFFLINE.resolve(theirs["id"])
    keys = {m["id"]: m["publicKeyMultibase"] for m in theirs["verificationMethod"]}
    ours = [m.public_key_multibase for m in document.verification_methods]
    assert ours == list(keys.values())
    for relationship in ("authentication", "keyAgreement"):
        multikeys = [m.public_key_multibase for m in document.relationship(relationship)]
        assert multikeys == [keys[reference] for reference in theirs[relationship]]
    found: Any = document.to_json().get("service", [])
    services = theirs.get("service", [])
    assert len(found) == len(services)
    for ours_, theirs_ in zip(found, services, strict=True):
        assert ours_ | {"id": ""} == theirs_ | {"id": ""}


@pytest.mark.parametrize("name", ["O_BASE58", "O_JWK", "2_BASE58", "2_JWK"])
def test_published_documents_in_other_forms(vectors: Path, name: str) -> None:
    """The same keys, written as JWK or in bare base58btc, under the same relationships."""
    theirs = published(vectors, f"DID_DOC_NUMALGO_{name}")
    document = OFFLINE.resolve(theirs["id"])
    keys = {}
    for method in theirs["verificationMethod"] + theirs.get("keyAgreement", []):
        if isinstance(method, dict):
            keys[method["id"]] = (
                b64url_decode(method["publicKeyJwk"]["x"])
                if "publicKeyJwk" in method
                else base58btc_decode(method["publicKeyBase58"])
            )
    for relationship in ("authentication", "keyAgreement") if name[0] == "2" else RELATIONSHIPS[:2]:
        ours = [
            decode_multikey(str(m.public_key_multibase))[1]
            for m in document.relationship(relationship)
        ]
        references = [m["id"] if isinstance(m, dict) else m for m in theirs[relationship]]
        assert ours == [keys[reference] for reference in references]
        assert ours


def test_kind_2_names_keys_and_services_in_their_order() -> None:
    """The document is the specified one: #key-1 and on, #service, #service-1 and on."""
    named: JsonObject = {"id": "#mine", "type": "dm", "serviceEndpoint": "https://a.example"}
    did = (
        f"did:peer:2.V{ED25519}.E{X25519}{service(SERVICE)}.A{P256.multikey}{service(named)}"
        f"{service({'t': 'Other', 's': 'https://b.example'})}.I{P384.multikey}.D{ED25519}.V{ED25519}"
    )
    document = OFFLINE.resolve(did).to_json()
    multikeys = [ED25519, X25519, P256.multikey, P384.multikey, ED25519, ED25519]
    assert document == {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did,
        "verificationMethod": [
            {
                "id": f"#key-{n}",
                "type": "Multikey",
                "controller": did,
                "publicKeyMultibase": multikey,
            }
            for n, multikey in enumerate(multikeys, 1)
        ],
        "authentication": ["#key-1", "#key-6"],
        "keyAgreement": ["#key-2"],
        "assertionMethod": ["#key-3"],
        "capabilityInvocation": ["#key-4"],
        "capabilityDelegation": ["#key-5"],
        "service": [
            {
                "id": "#service",
                "type": "DIDCommMessaging",
                "serviceEndpoint": {
                    "uri": "https://shop.example/inbox",
                    "accept": ["didcomm/v2"],
                    "routingKeys": ["did:example:a#b"],
                },
            },
            {
                "id": "#mine",
                "type": "DIDCommMessaging",
                "serviceEndpoint": "https://a.example",
            },
            {"id": "#service-1", "type": "Other", "serviceEndpoint": "https://b.example"},
        ],
    }
    parsed = resolve(Did.parse(did))
    first, _ = parsed.relationship("authentication")
    assert (first.id, first.ed25519()) == (f"{did}#key-1", SIGNING.verify_key)
    assert parsed.relationship("assertionMethod")[0].ecdsa() == P256
    assert parsed.relationship("keyAgreement")[0].x25519() == AGREEMENT


def test_only_key_names_and_types_are_abbreviated() -> None:
    """A value that looks like an abbreviation stays, unless it is a type."""
    value: JsonObject = {"t": "dm", "s": "dm:dm", "a": ["t", "s", {"t": "dm", "x": "r"}]}
    document = resolve(Did.parse(f"did:peer:2{service(value)}")).to_json()
    expanded: JsonObject = {
        "id": "#service",
        "type": "DIDCommMessaging",
        "serviceEndpoint": "dm:dm",
        "accept": ["t", "s", {"type": "DIDCommMessaging", "x": "r"}],
    }
    assert document["service"] == [expanded]


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("V" + ED25519, "did.peer_syntax"),
        (f".V{ED25519}.", "did.peer_syntax"),
        (f"..V{ED25519}", "did.peer_syntax"),
        (f".X{ED25519}", "did.peer_syntax"),
        (f".{ED25519}", "did.peer_syntax"),
        (f".v{ED25519}", "did.peer_syntax"),
        (".V", "did.syntax"),
        (".Vu" + b64url_encode(b"\xed\x01" + SIGNING.verify_key.bytes), "did.syntax"),
        (".V" + encode_multikey(Codec.ED25519_PUB, bytes(32)), "key.unsafe"),
        (".V" + encode_multikey(Codec.P256_PUB, b"\4" * 33), "key.unsafe"),
        (".V" + encode_multikey(Codec.ED25519_PRIV, b"\1" * 32), "did.key_kind_not_supported"),
        (".V" + encode_multikey(Codec.SECP256K1_PUB, b"\4" * 33), "key.unsafe"),
        (".S", "did.peer_syntax"),
        (".SAAA", "did.peer_syntax"),
        (".Se31", "did.peer_syntax"),
        (service([SERVICE]), "did.peer_syntax"),
        (".S" + b64url_encode(b'{"t":"dm","t":"dm","s":"a"}'), "did.peer_syntax"),
        (service({"t": "dm", "type": "Other", "s": "https://a.example"}), "did.peer_syntax"),
        (service(SERVICE | {"id": "did:web:shop.example#a"}), "did.peer_syntax"),
        (service(SERVICE | {"id": None}), "did.peer_syntax"),
        (service(SERVICE) + service(SERVICE | {"id": "#service"}), "did.peer_syntax"),
        (service(SERVICE | {"id": "#key-1"}) + f".V{ED25519}", "did.peer_syntax"),
        (service({"t": "dm"}), "did.document"),
        (service({"s": "https://a.example"}), "did.document"),
    ],
)
def test_kind_2_that_is_malformed_is_refused(rest: str, code: str) -> None:
    """Elements, keys and services, each with its own reason."""
    assert refusal("did:peer:2" + rest) == code


def test_kind_4_puts_its_document_into_context() -> None:
    """It gets its id, its controllers and its other name, and keeps the rest."""
    did = did_of_document(INPUT)
    document = OFFLINE.resolve(did)
    assert document.id == did
    assert document.also_known_as == (str(short_form(did)),)
    assert document.relationship("authentication")[0].ed25519() == SIGNING.verify_key
    assert document.relationship("keyAgreement")[0].x25519() == AGREEMENT
    (own,) = document.relationship("assertionMethod")
    assert (own.id, own.controller, own.ecdsa()) == (f"{did}#own", str(did), P256)
    value = document.to_json()
    assert value["@context"] == INPUT["@context"]
    assert value["authentication"] == ["#sign"]
    assert "id" not in INPUT


def test_kind_4_keeps_other_names_and_foreign_controllers() -> None:
    """The short form is added to the names; a controller that is given stays."""
    foreign: JsonObject = {
        "id": "#a",
        "type": "Multikey",
        "publicKeyMultibase": ED25519,
        "controller": "did:web:shop.example",
    }
    did = did_of_document({"alsoKnownAs": ["https://a.example"], "verificationMethod": [foreign]})
    document = resolve(did)
    assert document.also_known_as == ("https://a.example", str(short_form(did)))
    assert document.verification_methods[0].controller == "did:web:shop.example"


def test_kind_4_agrees_with_another_implementation() -> None:
    """The identifier that the reference implementation prints for {"hello": "world"}."""
    text = "did:peer:4zQmb7xLdVY9TXx8oov5XgpGUmGELgqiAV2699s43i6Qdm3M:zQSJgiFTYiCHjQ9MktwNThRXM7a"
    assert str(did_of_document({"hello": "world"})) == text
    assert OFFLINE.resolve(text).to_json() == {
        "hello": "world",
        "id": text,
        "alsoKnownAs": [text.rpartition(":")[0]],
    }


def test_a_short_form_does_not_hold_its_document() -> None:
    """It is a name for who has the long form; other kinds and methods have none."""
    short = short_form(did_of_document(INPUT))
    assert short_form(short) == short
    with pytest.raises(DidNotFound):
        OFFLINE.resolve(short)
    for other in (f"did:peer:0{ED25519}", "did:web:4.example"):
        with pytest.raises(MethodNotSupported):
            short_form(Did.parse(other))


def test_kind_4_with_another_hash_is_refused() -> None:
    """The hash of another document, or the same one spelt otherwise, names nothing."""
    digest, _, encoded = str(did_of_document(INPUT)).rpartition(":")
    other = str(did_of_document({"hello": "world"})).rpartition(":")[0]
    raw = unmultibase(digest.removeprefix("did:peer:4"))
    for wrong in (
        other,
        digest[:-1],
        digest + "1",
        f"did:peer:4u{b64url_encode(raw)}",
        "did:peer:4",
    ):
        assert refusal(f"{wrong}:{encoded}") == "did.peer_syntax"
    assert refusal(f"{digest}:{encoded}:{encoded}") == "did.peer_syntax"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (long_form("u" + b64url_encode(b'\x80\x04{"hello":"world"}')), "did.peer_syntax"),
        (long_form("z0OIl"), "did.peer_syntax"),
        (long_form("z"), "did.peer_syntax"),
        (long_form("z" + base58btc_encode(b"\x80\x04{")), "did.peer_syntax"),
        (long_form("z" + base58btc_encode(b'\x80\x04{"a":1,"a":1}')), "did.peer_syntax"),
        (long_form_of([]), "did.peer_syntax"),
        (long_form_of({}, b""), "did.peer_syntax"),
        (long_form_of({}, b"\x00\x02"), "did.peer_syntax"),
        (long_form_of({"id": "did:web:shop.example"}), "did.peer_syntax"),
        (long_form_of({"alsoKnownAs": "https://a.example"}), "did.peer_syntax"),
        (long_form_of({"verificationMethod": [{"id": "did:key:a#b"}]}), "did.peer_syntax"),
        (long_form_of({"verificationMethod": [{}]}), "did.peer_syntax"),
        (long_form_of({"authentication": [{"id": "did:key:a#b"}]}), "did.peer_syntax"),
        (long_form_of({"verificationMethod": {}}), "did.document"),
        (long_form_of({"verificationMethod": ["#a"]}), "did.document"),
        (
            long_form_of({"verificationMethod": [{"id": "#a", "type": "Multikey"}] * 2}),
            "did.document",
        ),
        (
            long_form_of(
                {
                    "verificationMethod": [
                        {"id": "#a", "type": "Multikey", "secretKeyMultibase": "z3u2"}
                    ]
                }
            ),
            "did.document",
        ),
    ],
)
def test_kind_4_that_is_malformed_is_refused(text: str, code: str) -> None:
    """The hash is right each time: who made it wrote it so."""
    assert refusal(text) == code


def test_an_identifier_has_a_limit() -> None:
    """A document that does not fit into 2048 characters has no did:peer."""
    for size in (2048, 5000):
        with pytest.raises(DidError):
            did_of_document({"note": "a" * size})


def test_published_strings_of_kind_1(vectors: Path) -> None:
    """Good ones are of a kind whose document is elsewhere; bad ones are refused too."""
    folder = vectors / "did-peer/test-data/level-1"
    good, bad = sorted(folder.glob("good-did*.txt")), sorted(folder.glob("bad-did*.txt"))
    assert len(good) == 4
    assert len(bad) == 7
    for path in good:
        assert refusal(path.read_text().strip()) == "did.not_found"
    for path in bad:
        with pytest.raises(DidSyntaxError):
            OFFLINE.resolve(path.read_text().strip())


def test_published_comparisons(vectors: Path) -> None:
    """Identifiers are compared as they are written."""
    folder = vectors / "did-peer/test-data/level-1"
    first, second = map(Did.parse, (folder / "compare-equal.txt").read_text().split())
    assert first == second
    first, second = map(Did.parse, (folder / "compare-lt.txt").read_text().split())
    assert str(first) < str(second)


STORED = canonicalize(
    {
        "verificationMethod": [
            {
                "id": "#a",
                "type": "Multikey",
                "controller": "#id",
                "publicKeyMultibase": ED25519,
            }
        ],
        "authentication": ["#a"],
    }
)


def test_kind_1_resolves_with_the_bytes_it_was_made_of() -> None:
    """The id is put in, and stands where the stored variant says "#id"."""
    did = did_of_genesis(STORED)
    assert did.id.startswith("1zQm")
    document = resolve(did, genesis=STORED)
    (method,) = document.relationship("authentication")
    assert (method.id, method.controller) == (f"{did}#a", str(did))
    assert method.ed25519() == SIGNING.verify_key
    assert refusal(str(did)) == "did.not_found"


@pytest.mark.parametrize("change", [b" ", b"\n"])
def test_kind_1_with_other_bytes_is_refused(change: bytes) -> None:
    """The same JSON, written otherwise, is another document."""
    assert code(lambda: resolve(did_of_genesis(STORED), genesis=STORED + change)) == "did.wrong_id"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (b"", "did.peer_syntax"),
        (b"[]", "did.peer_syntax"),
        (b'{"a":1,"a":1}', "did.peer_syntax"),
        (b'{"id":"did:key:a"}', "did.peer_syntax"),
        (STORED.replace(b'"#a","pub', b'"did:peer:1z#a","pub'), "did.peer_syntax"),
        (STORED.replace(b'"#id"', b'"#other"'), "did.document"),
        (b'{"a":"' + b"a" * MAX_GENESIS_BYTES + b'"}', "did.wrong_id"),
    ],
)
def test_kind_1_of_a_bad_document_is_refused(stored: bytes, expected: str) -> None:
    """The hash is right each time."""
    assert code(lambda: did_of_genesis(stored)) == expected


KIND_2 = Did.parse(f"did:peer:2.V{ED25519}.E{X25519}")
# The example of the specification.
LONG_2 = (
    "did:peer:2.Ez6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc"
    ".Vz6MkqRYqQiSgvZQdnBytw86Qbs2ZWUkGv22od935YF4s8M7V"
    ".Vz6MkgoLTnTypo3tDRwCkZXSccTPHRLhF4ZnjhueYAFpEX6vg"
    ".SeyJ0IjoiZG0iLCJzIjoiaHR0cHM6Ly9leGFtcGxlLmNvbS9lbmRwb2ludCIsInIiOlsiZGlkOmV4YW1wbGU6c29tZW1l"
    "ZGlhdG9yI3NvbWVrZXkiXSwiYSI6WyJkaWRjb21tL3YyIiwiZGlkY29tbS9haXAyO2Vudj1yZmM1ODciXX0"
)


def test_kind_3_is_the_short_form_of_kind_2() -> None:
    """As the specification's example has it."""
    short = "did:peer:3zQmS19jtYDvGtKVrJhQnRFpBQAx3pJ9omx2HpNrcXFuRCz9"
    assert str(short_form(Did.parse(LONG_2))) == short


def test_short_forms_resolve_with_their_long_form() -> None:
    """The document is about the short name, which is also known as the long one."""
    for long in (KIND_2, did_of_document(INPUT)):
        short = short_form(long)
        document = resolve(short, long_form=long)
        assert document.id == short
        assert document.also_known_as == (str(long),)
        (method,) = document.relationship("authentication")
        assert (method.controller, method.ed25519()) == (str(short), SIGNING.verify_key)
        assert refusal(str(short)) == "did.not_found"


def test_a_short_form_with_another_long_form_is_refused() -> None:
    """Another of its kind, one of another kind, and the short form itself."""
    four = did_of_document(INPUT)
    others = [did_of_document({"hello": "world"}), Did.parse(LONG_2), KIND_2, four]
    for long in (KIND_2, four):
        short = short_form(long)
        for other in [short, *others]:
            if other != long:
                assert code(lambda s=short, o=other: resolve(s, long_form=o)) == "did.wrong_id"  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["1", "3", "4"])
def test_a_hash_that_is_none_is_refused(kind: str) -> None:
    """Too short, of another base, or with a letter that base58btc does not have."""
    for rest in ("", "z", "z" + "1" * 45, "u" + "1" * 46, "z" + "1" * 45 + "0", "z" + "l" * 46):
        assert refusal(f"did:peer:{kind}{rest}") == "did.peer_syntax"


@pytest.mark.parametrize("rest", ["5", ED25519, "a"])
def test_other_kinds_are_not_supported(rest: str) -> None:
    """Those of tomorrow."""
    assert refusal(f"did:peer:{rest}") == "did.method_not_supported"


def test_another_method_is_not_resolved_here() -> None:
    """Whoever asks the wrong module is told."""
    with pytest.raises(MethodNotSupported):
        resolve(Did.parse("did:web:shop.example"))


GOOD = [
    f"did:peer:0{ED25519}",
    f"did:peer:2.V{ED25519}.E{X25519}{service(SERVICE)}",
    str(did_of_document(INPUT)),
]


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(GOOD), st.data())
def test_a_changed_identifier_raises_or_is_another(text: str, data: st.DataObject) -> None:
    """Nothing but this package's errors comes out; kind 4 with one character other is refused."""
    place = data.draw(st.integers(min_value=9, max_value=len(text) - 1))
    letter = data.draw(st.sampled_from("zZ1.:-_0SVE"))
    other = text[:place] + letter + text[place + 1 :]
    try:
        document = OFFLINE.resolve(other)
    except DidError:
        return
    assert str(document.id) == other
    assert other == text or not other.startswith("did:peer:4")
