"""DID documents."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from did.document import RELATIONSHIPS, DidDocument, Service
from did.errors import DidDocumentError, KeyFormatError
from did.identifier import Did
from did.json import parse_object
from did.keys import AgreementKey, SigningKey
from did.multikey import b64url_encode

DID = "did:web:shop.example"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = SigningKey.from_seed(b"\1" * 32).verify_key
AGREEMENT = AgreementKey.from_seed(b"\1" * 32).public


SERVICE = {"id": "#s", "type": "A", "serviceEndpoint": "https://a.example"}


def method(name: str = "#a", **more: Any) -> dict[str, Any]:
    """A Multikey method of the document's subject."""
    return {
        "id": DID + name,
        "type": "Multikey",
        "controller": DID,
        "publicKeyMultibase": KEY.multikey,
    } | more


def document(**more: Any) -> dict[str, Any]:
    """A document with one method, listed for assertion by a relative reference."""
    return {"id": DID, "verificationMethod": [method()], "assertionMethod": ["#a"]} | more


def read(value: dict[str, Any]) -> DidDocument:
    """The document, read for the DID it should be about."""
    return DidDocument.parse(value, expected=Did.parse(DID))


def jwk_method(curve: str, x: bytes, /, **more: Any) -> dict[str, Any]:
    """A JsonWebKey method."""
    jwk = {"kty": "OKP", "crv": curve, "x": b64url_encode(x)} | more
    return {"id": "#j", "type": "JsonWebKey", "controller": DID, "publicKeyJwk": jwk}


def test_a_listed_method_is_found_with_its_key() -> None:
    """A relative reference and a full URL name the same method."""
    found = read(document()).method_for(DID + "#a", relationship="assertionMethod", now=NOW)
    assert found.id == DID + "#a"
    assert found.ed25519() == KEY


def test_an_embedded_method_serves_its_relationship_only() -> None:
    """What is embedded under authentication does not assert, even when referred to."""
    parsed = read(document(authentication=[method("#b")], assertionMethod=["#a", "#b"]))
    assert [m.id for m in parsed.relationship("authentication")] == [DID + "#b"]
    assert [m.id for m in parsed.relationship("assertionMethod")] == [DID + "#a"]
    assert [m.id for m in parsed.verification_methods] == [DID + "#a"]
    parsed.method_for(DID + "#b", relationship="authentication", now=NOW)
    with pytest.raises(DidDocumentError) as caught:
        parsed.method_for(DID + "#b", relationship="assertionMethod", now=NOW)
    assert caught.value.code == "key.not_authorised"


@pytest.mark.parametrize("url", [DID + "#c", DID, "#a", "", DID + "?x=1#a", DID + "/p#a", "no url"])
def test_what_is_not_in_the_document_is_unknown(url: str) -> None:
    """Only the absolute id names a method."""
    with pytest.raises(DidDocumentError) as caught:
        read(document()).method_for(url, relationship="assertionMethod", now=NOW)
    assert caught.value.code == "key.unknown"


def test_a_misspelt_relationship_is_the_callers_mistake() -> None:
    """It is not a verdict about the key."""
    with pytest.raises(ValueError, match="assertionMethod"):
        read(document()).method_for(DID + "#a", relationship="assertion", now=NOW)


def test_a_key_lives_until_the_second_it_expires() -> None:
    """One second before it is good, at the time itself it is not."""
    parsed = read(document(verificationMethod=[method(expires="2026-01-01T00:00:00Z")]))
    just_before = NOW - timedelta(seconds=1)
    parsed.method_for(DID + "#a", relationship="assertionMethod", now=just_before)
    with pytest.raises(DidDocumentError) as caught:
        parsed.method_for(DID + "#a", relationship="assertionMethod", now=NOW)
    assert caught.value.code == "key.expired"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-01T00:00:00Z", NOW),
        ("2026-01-01T00:00:00.25Z", NOW + timedelta(milliseconds=250)),
        ("2026-01-01T14:00:00+14:00", NOW),
        ("2025-12-31T24:00:00.0-00:00", NOW),
    ],
)
@pytest.mark.parametrize(("name", "code"), [("expires", "expired"), ("revoked", "revoked")])
def test_ends_are_read_in_every_form_of_the_standard(
    name: str, code: str, text: str, at: datetime
) -> None:
    """An xsd:dateTimeStamp has fractions and zones (CID §2.2)."""
    parsed = read(document(verificationMethod=[method(**{name: text})]))
    parsed.method_for(
        DID + "#a", relationship="assertionMethod", now=at - timedelta(milliseconds=1)
    )
    with pytest.raises(DidDocumentError) as caught:
        parsed.method_for(DID + "#a", relationship="assertionMethod", now=at)
    assert caught.value.code == f"key.{code}"


def test_services_may_go_without_an_id() -> None:
    """Two of them too (CID §2.1.4); endpoints are URLs, objects or a list of both."""
    nameless = {"type": "A", "serviceEndpoint": ["https://a.example", {"uri": "x"}]}
    parsed = read(document(service=[nameless, nameless]))
    assert [service.id for service in parsed.services] == [None, None]


@pytest.mark.parametrize("kind", ["Multikey", "Ed25519VerificationKey2020"])
def test_ed25519_keys_as_multibase(kind: str) -> None:
    """Both types that hold a Multikey text are read."""
    found = read(document(verificationMethod=[method(type=kind)])).verification_methods[0]
    assert found.ed25519() == KEY


def test_keys_as_jwk() -> None:
    """OKP keys of both curves, each only as what it is."""
    parsed = read(
        document(verificationMethod=[jwk_method("Ed25519", KEY.bytes)], assertionMethod=["#j"])
    )
    found = parsed.method_for(DID + "#j", relationship="assertionMethod", now=NOW)
    assert found.ed25519() == KEY
    with pytest.raises(KeyFormatError):
        found.x25519()
    agreement = read(document(keyAgreement=[jwk_method("X25519", AGREEMENT.bytes)]))
    assert agreement.relationship("keyAgreement")[0].x25519() == AGREEMENT


@pytest.mark.parametrize(
    "use",
    [
        {"use": "enc"},
        {"use": None},
        {"alg": "ECDH-ES"},
        {"alg": "ES256"},
        {"key_ops": ["deriveKey"]},
        {"key_ops": []},
        {"key_ops": "verify"},
    ],
)
def test_a_jwk_for_something_else_verifies_nothing(use: dict[str, Any]) -> None:
    """Its use, algorithm and operations are kept to, whatever relationship lists it."""
    fit = {"use": "sig", "alg": "EdDSA", "key_ops": ["verify"]}
    methods = [jwk_method("Ed25519", KEY.bytes, **more) for more in (fit, fit | use)]
    good, bad = (read({"id": DID, "verificationMethod": [m]}) for m in methods)
    assert good.verification_methods[0].ed25519() == KEY
    with pytest.raises(KeyFormatError) as caught:
        bad.verification_methods[0].ed25519()
    assert caught.value.code == "key.use"


@pytest.mark.parametrize(
    "bad",
    [
        method(type="X25519KeyAgreementKey2020"),
        method(type="JsonWebKey"),
        method(publicKeyMultibase=AGREEMENT.multikey),
        method(publicKeyMultibase=None),
        jwk_method("Ed25519", KEY.bytes) | {"type": "Multikey"},
        jwk_method("Ed25519", KEY.bytes, kty="EC"),
        jwk_method("Ed25519", KEY.bytes, x=1),
        jwk_method("X25519", AGREEMENT.bytes),
    ],
)
def test_a_key_of_another_kind_is_not_taken(bad: dict[str, Any]) -> None:
    """Type, form and curve must all say Ed25519."""
    found = read({"id": DID, "verificationMethod": [bad]}).verification_methods[0]
    with pytest.raises(KeyFormatError) as caught:
        found.ed25519()
    assert caught.value.code == "key.kind"


@pytest.mark.parametrize(
    "bad",
    [
        {},
        document(id="shop.example"),
        document(id=7),
        document(verificationMethod={}),
        document(verificationMethod=None),
        document(verificationMethod=["x"]),
        document(verificationMethod=[method(), method()]),
        document(authentication=[method("#a")]),
        document(verificationMethod=[method(id="key-1")]),
        document(verificationMethod=[method(type="")]),
        document(verificationMethod=[method(controller=None)]),
        document(verificationMethod=[method(publicKeyMultibase=1)]),
        document(verificationMethod=[method(publicKeyJwk={"kty": "OKP"})]),
        document(verificationMethod=[method(expires="2026-01-01")]),
        document(verificationMethod=[method(revoked=1)]),
        document(verificationMethod=[method(secretKeyMultibase="z")]),
        document(verificationMethod=[jwk_method("Ed25519", KEY.bytes, d="AA")]),
        document(assertionMethod="#a"),
        document(assertionMethod=[7]),
        document(assertionMethod=["key-1"]),
        document(assertionMethod=["#a", DID + "#a"]),
        document(verificationMethod=[method(controller="shop.example")]),
        document(verificationMethod=[method(controller=DID + "#a")]),
        document(verificationMethod=[method(controller=[DID])]),
        document(verificationMethod=[method(expires="2026-01-01T00:00:00")]),
        document(alsoKnownAs=[1]),
        document(alsoKnownAs="https://shop.example"),
        document(alsoKnownAs=None),
        document(alsoKnownAs=["shop"]),
        document(alsoKnownAs=["https://shop.example/a b"]),
        document(alsoKnownAs=["https://shop.example/%zz"]),
        document(alsoKnownAs=["https://é.example"]),
        document(alsoKnownAs=["https:"]),
        document(alsoKnownAs=["urn:a", "urn:a"]),
        document(controller={}),
        document(controller=None),
        document(controller="https://shop.example"),
        document(controller=[DID, DID]),
        document(controller=[7]),
        document(controller=[{}]),
        document(service=["x"]),
        document(service={}),
        document(service=[SERVICE, SERVICE]),
        document(service=[SERVICE, SERVICE | {"id": DID + "#s"}]),
        document(service=[SERVICE | {"id": "s"}]),
        document(service=[SERVICE | {"id": 1}]),
        document(service=[SERVICE | {"type": []}]),
        document(service=[SERVICE | {"type": ["A", "A"]}]),
        document(service=[SERVICE | {"type": {}}]),
        document(service=[SERVICE | {"serviceEndpoint": "a"}]),
        document(service=[SERVICE | {"serviceEndpoint": []}]),
        document(service=[SERVICE | {"serviceEndpoint": [1]}]),
        document(service=[SERVICE | {"serviceEndpoint": ["urn:a", "b"]}]),
        document(service=[SERVICE | {"serviceEndpoint": None}]),
        document(service=[{"type": "A"}]),
        document(service=[{"serviceEndpoint": "https://a.example"}]),
    ],
)
def test_malformed_documents(bad: dict[str, Any]) -> None:
    """A document is taken whole or not at all."""
    with pytest.raises(DidDocumentError) as caught:
        read(bad)
    assert caught.value.code == "did.document"


def test_the_document_must_be_about_the_did_asked_for() -> None:
    """Another subject is refused; without an expectation any subject is read."""
    value = document(id="did:web:other.example")
    with pytest.raises(DidDocumentError) as caught:
        read(value)
    assert caught.value.code == "did.wrong_id"
    assert str(DidDocument.parse(value, expected=None).id) == "did:web:other.example"


def test_everything_else_is_read_and_unknown_properties_survive() -> None:
    """Names, controllers and services; to_json gives back what was read, as a copy."""
    value = document(
        alsoKnownAs=["https://shop.example"],
        controller=DID,
        service=[{"id": "#s", "type": ["A", "B"], "serviceEndpoint": {"uri": "https://a.example"}}],
        somethingElse={"x": [1]},
    )
    parsed = read(value)
    assert parsed.also_known_as == ("https://shop.example",)
    assert parsed.controller == (DID,)
    assert parsed.services == (Service(DID + "#s", ("A", "B"), {"uri": "https://a.example"}),)
    before = json.dumps(value)
    parsed.to_json()["id"] = "changed"
    value["verificationMethod"].clear()
    assert json.dumps(parsed.to_json()) == before


def test_a_reference_out_of_the_document_gives_nothing() -> None:
    """Listing somebody else's method does not make it usable here."""
    parsed = read(document(assertionMethod=["#a", "did:web:other.example#a"]))
    assert [m.id for m in parsed.relationship("assertionMethod")] == [DID + "#a"]


def test_published_did_core_records(vectors: Path) -> None:
    """Documents that other implementations wrote are read, references and all."""
    folder = vectors / "did-core-records/packages/did-core-test-server/suites/implementations"
    seen = 0
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        for did in record.get("dids", ()):
            for production in record[did].values():
                if "representation" not in production:
                    continue
                seen += 1
                value = parse_object(production["representation"], allow_floats=True)
                parsed = DidDocument.parse(value, expected=Did.parse(did))
                assert parsed.to_json() == value
                for name in RELATIONSHIPS:
                    assert len(parsed.relationship(name)) == len(value.get(name, ()))  # type: ignore[arg-type]
    assert seen >= 8
