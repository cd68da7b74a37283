"""did:web."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import (
    DidDocumentError,
    DidResolutionError,
    DidSyntaxError,
    MethodNotSupported,
)
from did.identifier import Did
from did.methods.web import did_of_host, resolve, url_of

LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
SEGMENT = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("did", "url"),
    [
        ("did:web:example.com", "https://example.com/.well-known/did.json"),
        ("did:web:example.com%3A8443", "https://example.com:8443/.well-known/did.json"),
        ("did:web:example.com:user:alice", "https://example.com/user/alice/did.json"),
        ("did:web:localhost%3A3000:a", "https://localhost:3000/a/did.json"),
        ("did:web:xn--bcher-kva.example", "https://xn--bcher-kva.example/.well-known/did.json"),
        ("did:web:0x7f.example", "https://0x7f.example/.well-known/did.json"),
        ("did:web:demo.example:2021:07:08", "https://demo.example/2021/07/08/did.json"),
    ],
)
def test_where_the_document_lies(did: str, url: str) -> None:
    """Host, port and folder become an HTTPS address."""
    assert url_of(Did.parse(did)) == url


@settings(deadline=None, max_examples=100)
@given(
    st.lists(LABEL, min_size=1, max_size=4).map(".".join),
    st.none() | st.integers(1, 65535),
    st.lists(SEGMENT, max_size=3),
)
def test_a_did_made_for_a_host_leads_there(host: str, port: int | None, path: list[str]) -> None:
    """did_of_host and url_of are each other's inverse."""
    authority = host if port is None else f"{host}:{port}"
    folder = "/".join(path) or ".well-known"
    did = did_of_host(host, port=port, path=path)
    assert url_of(did) == f"https://{authority}/{folder}/did.json"
    assert Did.parse(str(did)) == did


@pytest.mark.parametrize(
    "text",
    [
        "did:web:Example.com",
        "did:web:127.0.0.1",
        "did:web:127.1",
        "did:web:2130706433",
        "did:web:0x7f000001",
        "did:web:127.0.0.0x1",
        "did:web:example.0x",
        "did:web:example.com.",
        "did:web:.example.com",
        "did:web:-a.example",
        "did:web:a-.example",
        "did:web:a_b.example",
        "did:web:" + "a" * 64 + ".example",
        "did:web:" + "a.b." * 70 + "example",
        "did:web:example.com%3a443",
        "did:web:example.com%3A",
        "did:web:example.com%3A0",
        "did:web:example.com%3A080",
        "did:web:example.com%3A65536",
        "did:web:example.com%3A1%3A2",
        "did:web:user%40example.com",
        "did:web:example.com%2Fa",
        "did:web:%5B%3A%3A1%5D",
        "did:web:example.com:",
        "did:web:example.com::a",
        "did:web:example.com:..",
        "did:web:example.com:a:.:b",
        "did:web:example.com:%2E%2E",
        "did:web:example.com:a%2Fb",
    ],
)
def test_addresses_with_a_second_spelling_or_a_way_out_are_refused(text: str) -> None:
    """Upper case, addresses, dots, escapes and odd ports are no did:web here."""
    with pytest.raises(DidSyntaxError):
        url_of(Did.parse(text))


def test_a_host_is_checked_when_a_did_is_made() -> None:
    """What url_of would refuse is not made."""
    for host, port, path in (
        ("A.example", None, ()),
        ("a.example", 0, ()),
        ("a.example", 1, ("a:b",)),
    ):
        with pytest.raises(DidSyntaxError):
            did_of_host(host, port=port, path=path)


def test_another_method_has_no_address() -> None:
    """url_of is for did:web alone."""
    with pytest.raises(MethodNotSupported):
        url_of(Did.parse("did:key:z6Mk"))


DID = Did.parse("did:web:shop.example")


def test_the_document_is_fetched_and_read() -> None:
    """One fetch, of the address of the DID."""
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return json.dumps({"id": str(DID)}).encode()

    assert resolve(DID, fetch).id == DID
    assert asked == ["https://shop.example/.well-known/did.json"]


def test_a_document_about_another_did_is_refused() -> None:
    """A server cannot speak for another name."""
    with pytest.raises(DidDocumentError) as caught:
        resolve(DID, lambda url: b'{"id":"did:web:other.example"}')
    assert caught.value.code == "did.wrong_id"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"id":"a","id":"b"}', b'{"id":"' + b"a" * 65_536 + b'"}']
)
def test_what_is_not_a_strict_json_object_is_refused(body: bytes) -> None:
    """Not JSON, no object, repeated keys, more than 64 KiB."""
    with pytest.raises(DidResolutionError) as caught:
        resolve(DID, lambda url: body)
    assert caught.value.code == "did.resolution"
