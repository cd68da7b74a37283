"""DID resolution in the words of the standard."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import did.errors
from did.document import DidDocument
from did.errors import DidError, DidNotFound, DidResolutionError
from did.identifier import Did
from did.json import JsonObject
from did.keys import SigningKey
from did.methods.key import KeyFormat
from did.resolution import ERRORS, ResolutionOptions, SpecError, resolve, spec_error
from did.resolve import Resolver

KEY = SigningKey.from_seed(b"\6" * 32)
WEB = "did:web:shop.example"
FOLDER = "did-core-records/packages/did-core-test-server/suites/implementations"


def serving(value: Any) -> Resolver:
    """A resolver to which the web answers with this."""
    return Resolver(fetch=lambda _url: json.dumps(value).encode())


def failing(error: Exception) -> Resolver:
    """A resolver whose web does not answer."""

    def fetch(_url: str) -> bytes:
        raise error

    return Resolver(fetch=fetch)


class Recorded(Resolver):
    """A method with a history, answering as a published record says."""

    METHODS = ("example",)

    def __init__(self, output: dict[str, Any]) -> None:
        super().__init__()
        self._output = output

    def resolve_with_metadata(
        self,
        did: Did | str,
        *,
        version_id: str | None = None,
        version_time: datetime | None = None,
    ) -> tuple[DidDocument | None, JsonObject]:
        if self._output["didResolutionMetadata"].get("error") == "notFound":
            raise DidNotFound("there is none")
        value = self._output.get("didDocument") or json.loads(self._output["didDocumentStream"])
        return DidDocument.parse(value, expected=Did.parse(str(did))), self._output[
            "didDocumentMetadata"
        ]


def test_a_did_resolves_to_its_document_and_a_media_type() -> None:
    """The three parts of a result, also as JSON."""
    result = resolve(KEY.did)
    assert result.error is None
    assert result.did_document is not None
    assert result.to_json() == {
        "didDocument": result.did_document.to_json(),
        "didResolutionMetadata": {"contentType": "application/did"},
        "didDocumentMetadata": {},
    }


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", SpecError.INVALID_DID),
        ("did:key", SpecError.INVALID_DID),
        (KEY.verification_method, SpecError.INVALID_DID),
        ("did:key:u7QE", SpecError.INVALID_DID),
        ("did:key:z6Mk", SpecError.FEATURE_NOT_SUPPORTED),
        ("did:jwk:e30x", SpecError.INVALID_DID),
        ("did:peer:2", SpecError.INVALID_DID),
        ("did:peer:1zQmZMygzYqNwU6Uhmewx5Xepf2VLp5S4HLSwwgf2aiKZuwa", SpecError.NOT_FOUND),
        ("did:web:127.0.0.1", SpecError.METHOD_NOT_SUPPORTED),
        ("did:example:123", SpecError.METHOD_NOT_SUPPORTED),
    ],
)
def test_what_does_not_resolve_offline(text: str, error: SpecError) -> None:
    """No document, no document metadata, and a problem that names the standard's error."""
    result = resolve(text)
    assert result.error is error
    body = result.to_json()
    assert body["didDocument"] is None
    assert body["didDocumentMetadata"] == {}
    problem: Any = result.did_resolution_metadata["error"]
    assert problem["type"] == f"https://www.w3.org/ns/did#{error.name}"
    assert problem["title"] == error.keyword


def test_what_does_not_resolve_over_the_web() -> None:
    """A bad document, none, and whatever a network raises, which is told to nobody."""
    for resolver, error in (
        (serving([]), SpecError.INVALID_DID_DOCUMENT),
        (serving({"id": "did:web:other.example"}), SpecError.INVALID_DID_DOCUMENT),
        (serving({"id": WEB, "service": 1}), SpecError.INVALID_DID_DOCUMENT),
        (failing(DidNotFound("there is none")), SpecError.NOT_FOUND),
        (failing(DidResolutionError("too large")), SpecError.INVALID_DID_DOCUMENT),
        (failing(DidError("what else")), SpecError.INTERNAL_ERROR),
        (failing(OSError("connect to 10.0.0.1 failed")), SpecError.INTERNAL_ERROR),
    ):
        result = resolve(WEB, resolver=resolver)
        assert result.error is error
        assert "10.0.0.1" not in json.dumps(result.to_json())


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/did"),
        ("*/*", "application/did"),
        ("application/*", "application/did"),
        ("application/did", "application/did"),
        ("application/did+json", "application/did+json"),
        ("application/did+ld+json", "application/did+ld+json"),
        ("Application/DID+JSON ; charset=utf-8", "application/did+json"),
        ("application/did+cbor, application/did+json", "application/did+json"),
        ("application/did;q=0.1,application/did+json", "application/did+json"),
        ("application/did+json;q=0, */*;q=0.5", "application/did"),
        ("application/did+cbor", None),
        ("application/did;q=0", None),
        ("text/html", None),
        ("", None),
    ],
)
def test_the_form_is_the_one_asked_for(accept: str | None, kind: str | None) -> None:
    """As an Accept header says it; a form that there is not is an error."""
    result = resolve(KEY.did, ResolutionOptions(accept=accept))
    if kind is None:
        assert result.error is SpecError.REPRESENTATION_NOT_SUPPORTED
        assert result.did_document is None
    else:
        assert result.did_resolution_metadata == {"contentType": kind}


@pytest.mark.parametrize(
    ("context", "json_ld"),
    [
        ("https://www.w3.org/ns/did/v1", True),
        (["https://www.w3.org/ns/did/v1"], True),
        (["https://www.w3.org/ns/did/v1.1", {"a": "urn:a"}], True),
        (["https://w3id.org/security/multikey/v1", "https://www.w3.org/ns/did/v1"], False),
        ([], False),
        ([["https://www.w3.org/ns/did/v1"]], False),
        ({}, False),
        (None, False),
    ],
)
def test_json_ld_begins_with_the_context_of_dids(context: Any, json_ld: bool) -> None:
    """A document without it is plain JSON, and has no other form."""
    resolver = serving({"id": WEB} | ({} if context is None else {"@context": context}))
    plain = resolve(WEB, resolver=resolver)
    expected = "application/did" if json_ld else "application/did+json"
    assert plain.did_resolution_metadata == {"contentType": expected}
    asked = ResolutionOptions(accept="application/did+ld+json")
    assert (resolve(WEB, asked, resolver=resolver).error is None) is json_ld


@pytest.mark.parametrize("accept", ["a" * 3000, "application/dïd", "a\n", "*/*;q=x", "*/*;q=1e9"])
def test_an_accept_that_is_none_is_refused(accept: str) -> None:
    """Neither long, nor of other letters, nor with weights that are none."""
    assert resolve(KEY.did, ResolutionOptions(accept=accept)).error is SpecError.INVALID_OPTIONS


def test_the_first_step_that_fails_is_told() -> None:
    """Grammar, method, options: in the order of the standard."""
    bad = ResolutionOptions(accept="a\n")
    assert resolve("did", bad).error is SpecError.INVALID_DID
    assert resolve("did:example:123", bad).error is SpecError.METHOD_NOT_SUPPORTED
    assert resolve("did:key:z", bad).error is SpecError.INVALID_OPTIONS


def test_versions_are_asked_for_where_there_are_any() -> None:
    """Not of a method without; and a time is written in the one form."""
    for options in (
        ResolutionOptions(version_id="1"),
        ResolutionOptions(version_time="2026-01-01T00:00:00Z"),
        ResolutionOptions(version_id="1", public_key_format=KeyFormat.JSON_WEB_KEY),
    ):
        assert resolve(KEY.did, options).error is SpecError.FEATURE_NOT_SUPPORTED
    odd = ResolutionOptions(version_time="2026-01-01T00:00:00.5Z")
    assert resolve(KEY.did, odd).error is SpecError.INVALID_OPTIONS


def test_the_method_gets_version_and_time() -> None:
    """As it was asked, the time as a time; its metadata come back."""
    asked: list[object] = []

    class Versions(Resolver):
        def resolve_with_metadata(
            self,
            did: Did | str,
            *,
            version_id: str | None = None,
            version_time: datetime | None = None,
        ) -> tuple[DidDocument | None, JsonObject]:
            asked.extend((version_id, version_time))
            return self.resolve(did), {"versionId": "1", "nextVersionId": "2"}

    options = ResolutionOptions(version_id="1", version_time="2026-01-01T00:00:00Z")
    result = resolve(KEY.did, options, resolver=Versions())
    assert asked == ["1", datetime(2026, 1, 1, tzinfo=UTC)]
    assert result.did_document_metadata == {"versionId": "1", "nextVersionId": "2"}


@pytest.mark.parametrize(("deactivated", "error"), [(True, None), (1, SpecError.INTERNAL_ERROR)])
def test_a_deactivated_did_has_no_document_and_no_error(
    deactivated: bool, error: SpecError | None
) -> None:
    """Its metadata say so; no document for any other reason is an error."""

    class Ended(Resolver):
        def resolve_with_metadata(
            self, did: Did | str, **_: object
        ) -> tuple[DidDocument | None, JsonObject]:
            return None, {"deactivated": deactivated}

    result = resolve(KEY.did, resolver=Ended())
    assert result.did_document is None
    assert result.error is error
    assert result.did_document_metadata == ({"deactivated": True} if error is None else {})


def test_keys_in_the_format_asked_for() -> None:
    """The option of the did:key method."""
    result = resolve(KEY.did, ResolutionOptions(public_key_format=KeyFormat.JSON_WEB_KEY))
    assert result.did_document is not None
    assert result.did_document.verification_methods[0].type == "JsonWebKey"


def test_relative_references_are_expanded() -> None:
    """Ids and references, embedded methods too; what is absolute stays."""
    method = {"id": "#a", "type": "Multikey", "controller": WEB}
    value: Any = {
        "id": WEB,
        "verificationMethod": [method],
        "authentication": ["#a", method | {"id": "#b"}, "did:web:other.example#c"],
        "service": [{"id": "#s", "type": "A", "serviceEndpoint": "https://a.example"}],
    }
    options = ResolutionOptions(expand_relative_urls=True)
    result = resolve(WEB, options, resolver=serving(value))
    assert result.did_document is not None
    assert result.did_document.to_json() == {
        "id": WEB,
        "verificationMethod": [method | {"id": WEB + "#a"}],
        "authentication": [WEB + "#a", method | {"id": WEB + "#b"}, "did:web:other.example#c"],
        "service": [value["service"][0] | {"id": WEB + "#s"}],
    }
    unchanged = resolve(WEB, resolver=serving(value)).did_document
    assert unchanged is not None
    assert unchanged.to_json() == value


def test_every_code_has_its_place_in_the_table() -> None:
    """All that the tree of errors names, and what it may name one day."""
    documented = set(re.findall(r"\b(?:did|key|signature)\.[a-z_]+", did.errors.__doc__ or ""))
    assert len(documented) > 15
    for code in sorted(documented - {"did.error"}):
        assert code in ERRORS or code.startswith(("key.", "signature.")), code
    assert spec_error(DidError("x")) is SpecError.INTERNAL_ERROR
    assert spec_error(DidError("x", code="did.of_tomorrow")) is SpecError.INTERNAL_ERROR
    assert spec_error(DidError("x", code="other.area")) is SpecError.INTERNAL_ERROR
    assert SpecError.INVALID_VERIFICATION_METHOD.type.startswith("https://w3id.org/security#")


def test_published_resolutions_of_the_example_method(vectors: Path) -> None:
    """Documents, forms, metadata and errors as recorded; CBOR is a form we do not have."""
    record = json.loads((vectors / FOLDER / "resolver-example-didwg.json").read_text())
    for execution in record["executions"]:
        asked, output = execution["input"], execution["output"]
        options = ResolutionOptions(accept=asked["resolutionOptions"].get("accept"))
        expected = output["didResolutionMetadata"]
        if options.accept == "application/did+cbor":
            output = output | {"didDocumentStream": json.dumps({"id": asked["did"]})}
            expected = {"error": "representationNotSupported"}
        result = resolve(asked["did"], options, resolver=Recorded(output))
        if "error" in expected:
            assert result.error is not None
            assert result.error.keyword == expected["error"]
            assert result.did_document is None
            continue
        assert result.did_document is not None
        assert result.did_document_metadata == output["didDocumentMetadata"]
        if "contentType" in expected:
            assert result.did_resolution_metadata == expected
            assert result.did_document.to_json() == json.loads(output["didDocumentStream"])
        else:
            assert result.did_document.to_json() == output["didDocument"]


def test_published_resolutions_of_did_key(vectors: Path) -> None:
    """The same keys for the same uses as recorded, and the error for what is no DID."""
    record = json.loads((vectors / FOLDER / "resolver-spruce-key.json").read_text())
    for number, execution in enumerate(record["executions"]):
        output = execution["output"]
        options = ResolutionOptions(public_key_format=KeyFormat.JSON_WEB_KEY_2020)
        result = resolve(execution["input"]["did"], options)
        if number in record["expectedOutcomes"]["invalidDidErrorOutcome"]:
            assert result.error is SpecError.INVALID_DID
            assert result.error.keyword == output["didResolutionMetadata"]["error"]
            continue
        assert result.did_document is not None
        theirs = output.get("didDocument") or json.loads(output["didDocumentStream"])
        (key,) = theirs["verificationMethod"]
        method = result.did_document.verification_methods[0]
        assert (method.id, method.controller) == (key["id"], key["controller"])
        assert method.public_key_jwk == key["publicKeyJwk"]
        for name in ("authentication", "assertionMethod"):
            assert [m.id for m in result.did_document.relationship(name)] == theirs[name]


@settings(deadline=None)
@given(st.text(max_size=100) | st.from_regex(r"did:(key|jwk|peer|web):[!-~]*"), st.text())
def test_resolution_never_raises(text: str, accept: str) -> None:
    """Whatever is asked: a document about it, or an error that does not repeat it."""
    result = resolve(text, ResolutionOptions(accept=accept))
    assert (result.error is None) == (result.did_document is not None)
    if result.did_document is not None:
        assert str(result.did_document.id) == text
