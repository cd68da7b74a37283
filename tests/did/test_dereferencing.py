"""DID URL dereferencing in the words of the standard."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.dereferencing import DereferencingOptions, dereference
from did.document import DidDocument
from did.identifier import Did
from did.json import JsonObject
from did.keys import SigningKey
from did.resolution import SpecError
from did.resolve import Resolver

KEY = SigningKey.from_seed(b"\6" * 32)
DID = "did:web:shop.example"
METHOD = {
    "id": "#a",
    "type": "Multikey",
    "controller": DID,
    "publicKeyMultibase": KEY.verify_key.multikey,
}
DOCUMENT: dict[str, Any] = {
    "@context": "https://www.w3.org/ns/did/v1",
    "id": DID,
    "verificationMethod": [METHOD],
    "assertionMethod": ["#a"],
    "authentication": [METHOD | {"id": DID + "#b"}],
    "service": [
        {"id": "#files", "type": "Files", "serviceEndpoint": "https://a.example/files/x"},
        {
            "id": DID + "#more",
            "type": ["Files", "Other"],
            "serviceEndpoint": ["https://b.example", {"uri": "https://c.example"}, "dm:b"],
        },
        {"type": "Other", "serviceEndpoint": {"uri": "https://d.example"}},
        {"type": "Last", "serviceEndpoint": "https://e.example/#frag"},
        {"id": "#bad", "type": "Bad", "serviceEndpoint": "https://[a"},
    ],
}
PLAIN = DereferencingOptions()
URIS = DereferencingOptions(accept="text/uri-list")
RESOLVER = Resolver(fetch=lambda _url: json.dumps(DOCUMENT).encode())


def content(rest: str, options: DereferencingOptions = PLAIN) -> Any:
    """What a DID URL of the document gives; there must be no error."""
    result = dereference(DID + rest, options, resolver=RESOLVER)
    assert result.error is None, result.dereferencing_metadata
    assert "contentType" in result.dereferencing_metadata
    return result.content


def error(rest: str, options: DereferencingOptions = PLAIN) -> SpecError | None:
    """Why a DID URL of the document gives nothing."""
    result = dereference(DID + rest, options, resolver=RESOLVER)
    if result.error is not None:
        assert result.content is None
        assert result.content_metadata == {}
        problem: Any = result.dereferencing_metadata["error"]
        assert problem["type"] == result.error.type
    return result.error


def test_a_did_gives_its_document() -> None:
    """With an empty query too."""
    assert content("") == DOCUMENT
    assert content("?") == DOCUMENT
    assert dereference(DID, resolver=RESOLVER).dereferencing_metadata == {
        "contentType": "application/did"
    }


def test_a_fragment_gives_the_part_of_that_name() -> None:
    """Listed or embedded method or service, with an absolute id and the document's context."""
    context = {"@context": DOCUMENT["@context"]}
    assert content("#a") == context | METHOD | {"id": DID + "#a"}
    assert content("#b") == context | METHOD | {"id": DID + "#b"}
    assert content("#files")["serviceEndpoint"] == "https://a.example/files/x"
    assert error("#none") is SpecError.NOT_FOUND
    assert error("#") is SpecError.NOT_FOUND


def test_a_key_of_did_key_is_found() -> None:
    """As proofs name it."""
    result = dereference(KEY.verification_method)
    assert isinstance(result.content, dict)
    assert result.content["publicKeyMultibase"] == KEY.verify_key.multikey


@pytest.mark.parametrize(
    ("rest", "relationship", "expected"),
    [
        ("#a", "assertionMethod", None),
        ("#b", "authentication", None),
        ("#b", "assertionMethod", SpecError.INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD),
        ("#a", "keyAgreement", SpecError.INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD),
        ("#files", "assertionMethod", SpecError.INVALID_VERIFICATION_METHOD),
        ("#none", "assertionMethod", SpecError.NOT_FOUND),
        ("#a", "verificationMethod", SpecError.INVALID_OPTIONS),
        ("", "assertionMethod", SpecError.INVALID_OPTIONS),
    ],
)
def test_a_key_for_a_use_stands_under_that_use(
    rest: str, relationship: str, expected: SpecError | None
) -> None:
    """A key that is there for something else is not handed out for this."""
    assert error(rest, DereferencingOptions(verification_relationship=relationship)) is expected


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("service=files", [0]),
        ("service=%23files", [0]),
        (f"service={DID}%23more", [1]),
        ("serviceType=Files", [0, 1]),
        ("serviceType=Other", [1, 2]),
        ("service=files&serviceType=Files", [0]),
    ],
)
def test_services_are_selected(query: str, places: list[int]) -> None:
    """The document comes back with these alone."""
    services = [DOCUMENT["service"][place] for place in places]
    assert content("?" + query) == DOCUMENT | {"service": services}


@pytest.mark.parametrize(
    "query", ["service=none", "service=", "serviceType=none", "service=files&serviceType=Other"]
)
def test_a_service_that_is_not_there_is_not_found(query: str) -> None:
    """By name, by type, and by both."""
    assert error("?" + query) is SpecError.NOT_FOUND


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("?service=files", ("https://a.example/files/x",)),
        ("?service=files&relativeRef=%2Fp%2Fq%3Fr%3Ds", ("https://a.example/p/q?r=s",)),
        ("?service=files&relativeRef=y", ("https://a.example/files/y",)),
        ("?service=files&relativeRef=%3Fq#frag", ("https://a.example/files/x?q#frag",)),
        ("?service=files&relativeRef=a%2Bb+c", ("https://a.example/files/a+b+c",)),
        ("?service=files#frag", ("https://a.example/files/x#frag",)),
        ("?serviceType=Files", ("https://a.example/files/x", "https://b.example", "dm:b")),
        ("?serviceType=Other", ("https://b.example", "dm:b")),
    ],
)
def test_services_have_addresses(rest: str, expected: tuple[str, ...]) -> None:
    """Those that are URLs, joined with what the DID URL adds (RFC 3986 §5)."""
    assert content(rest, URIS) == expected
    result = dereference(DID + rest, URIS, resolver=RESOLVER)
    assert result.dereferencing_metadata == {"contentType": "text/uri-list"}


@pytest.mark.parametrize(
    "relative",
    [
        "https://evil.example",
        "//evil.example",
        "%2F%2Fevil.example",
        "%2F%5Cevil.example",
        "%5C%5Cevil.example",
        "%09%2F%2Fevil.example",
        "%20https%3A%2F%2Fevil.example",
        "javascript:1",
        "..%2Fsecret",
        "%2Fa%2F..%2F..%2Fsecret",
        "%252e%252E%2Fsecret",
        "%2F..%252fsecret",
        "%2F%252Fevil.example",
        ".",
        "..%3Ba/secret",
        "a/..%3B/secret",
        "a%0D%0Ab",
        "%C3%A9",
        "%25zz",
    ],
)
def test_a_relative_reference_does_not_leave_its_endpoint(relative: str) -> None:
    """Neither to another host nor upwards, however it is written."""
    rest = f"?service=files&relativeRef={relative}"
    assert error(rest, URIS) is SpecError.INVALID_DID_URL


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("?service=more&relativeRef=%2Fa", SpecError.NOT_FOUND),
        ("?service=bad&relativeRef=%2Fa", SpecError.NOT_FOUND),
        ("?serviceType=Last#frag", SpecError.INVALID_DID_URL),
        ("", SpecError.REPRESENTATION_NOT_SUPPORTED),
        ("#a", SpecError.REPRESENTATION_NOT_SUPPORTED),
    ],
)
def test_what_has_no_address(rest: str, expected: SpecError) -> None:
    """Endpoints that cannot be joined, two fragments, and what is no service."""
    assert error(rest, URIS) is expected


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (" ", SpecError.INVALID_DID_URL),
        ("?service=a&service=b", SpecError.INVALID_DID_URL),
        ("?service=files&%73ervice=files", SpecError.INVALID_DID_URL),
        ("?service=%FF", SpecError.INVALID_DID_URL),
        ("/path", SpecError.NOT_FOUND),
        ("/path#a", SpecError.NOT_FOUND),
        ("?hl=zQm", SpecError.NOT_FOUND),
        ("?service=files&hl=zQm", SpecError.NOT_FOUND),
        ("?relativeRef=%2Fa", SpecError.NOT_FOUND),
        ("?versionId=1", SpecError.FEATURE_NOT_SUPPORTED),
        ("?versionTime=2026-01-01T00:00:00Z#a", SpecError.FEATURE_NOT_SUPPORTED),
        ("?versionTime=yesterday", SpecError.INVALID_OPTIONS),
    ],
)
def test_a_did_url_without_a_meaning_here(rest: str, expected: SpecError) -> None:
    """Malformed, ambiguous, or of a kind that no method here gives a meaning."""
    assert error(rest) is expected


def test_what_does_not_resolve_does_not_dereference() -> None:
    """The error of the resolution is that of the dereferencing."""
    result = dereference("did:example:123#a")
    assert result.error is SpecError.METHOD_NOT_SUPPORTED
    asked = DereferencingOptions(accept="application/did+cbor")
    assert error("#a", asked) is SpecError.REPRESENTATION_NOT_SUPPORTED


def test_of_a_deactivated_did_nothing_is_left() -> None:
    """No content and no error; the metadata say why."""

    class Ended(Resolver):
        def resolve_with_metadata(
            self,
            did: Did | str,
            *,
            version_id: str | None = None,
            version_time: datetime | None = None,
        ) -> tuple[DidDocument | None, JsonObject]:
            return None, {"deactivated": True}

    result = dereference(KEY.verification_method, resolver=Ended())
    assert (result.content, result.error) == (None, None)
    assert result.content_metadata == {"deactivated": True}


def test_published_parameters(vectors: Path) -> None:
    """DID URLs of the example method are read; where they lead, only its services know."""
    folder = vectors / "did-core-records/packages/did-core-test-server/suites/implementations"
    record = json.loads((folder / "did-example-didwg.json").read_text())
    urls = record["didParameters"]
    assert urls

    class Example(Resolver):
        METHODS = ("example",)

        def resolve(self, did: Did | str) -> DidDocument:
            services = [{"id": "#agent", "type": "A", "serviceEndpoint": "https://agent.example/x"}]
            return DidDocument.parse({"id": str(did), "service": [*services]}, expected=None)

    outcomes = {
        name: dereference(url, URIS if name == "relativeRef" else PLAIN, resolver=Example())
        for name, url in urls.items()
    }
    assert outcomes["relativeRef"].content == ("https://agent.example/path/to/resource",)
    assert isinstance(outcomes["service"].content, dict)
    assert outcomes["hl"].error is SpecError.NOT_FOUND
    assert outcomes["versionId"].error is SpecError.FEATURE_NOT_SUPPORTED
    assert outcomes["versionTime"].error is SpecError.FEATURE_NOT_SUPPORTED


@settings(deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"[?#/][!-~]*"), st.booleans())
def test_dereferencing_never_raises(rest: str, listed: bool) -> None:
    """Whatever is asked, there is a content or an error."""
    options = URIS if listed else PLAIN
    result = dereference(DID + rest, options, resolver=RESOLVER)
    assert (result.error is None) == (result.content is not None)
