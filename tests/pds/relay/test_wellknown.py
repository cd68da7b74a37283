"""The relay's own DID document."""

from pathlib import Path

import pytest
from relay_world import ENGINE, START, Clock, flask_send

from did.document import DidDocument
from did.errors import DidError
from did.identifier import Did
from did.keys import VerifyKey
from did.methods.web import url_of
from did.resolve import Resolver
from pds.relay import wellknown
from pds.relay.app import create_app

PATH = "/.well-known/did.json"


@pytest.mark.parametrize(
    ("url", "did"),
    [
        ("https://relay.example", "did:web:relay.example"),
        ("https://relay.example:8443", "did:web:relay.example%3A8443"),
        ("https://xn--bcher-kva.example", "did:web:xn--bcher-kva.example"),
    ],
)
def test_a_relay_has_a_did_at_its_origin(data: Path, url: str, did: str) -> None:
    """The project's resolver finds it where the method says, and the log's key in it, for what the
    relay asserts and for nothing else; anybody may read it and keep it for an hour."""
    app = create_app(data, url=url, clock=Clock(), database=ENGINE.database)
    send = flask_send(app)
    assert url_of(Did.parse(did)) == url + PATH

    def fetch(asked: str) -> bytes:
        assert asked == url + PATH
        reply = send("GET", PATH, {}, b"")
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["cache-control"] == "public, max-age=3600"
        assert reply.headers["access-control-allow-origin"] == "*"
        return reply.body

    document = Resolver(fetch=fetch).resolve(did)
    key = VerifyKey.from_multikey(send("GET", "/v1/relay", {}, b"").json["logKey"])
    method = document.method_for(f"{did}#{key.multikey}", relationship="assertionMethod", now=START)
    assert method.ed25519() == key
    assert document.is_json_ld
    assert {kept for kept in document.to_json() if kept != "@context"} == {
        "id", "verificationMethod", "assertionMethod", "service",
    }  # fmt: skip
    assert {one.type: one.endpoint for one in document.services} == {
        ("PersonalDataStoreRelay",): f"{url}/v1",
        ("OpenApiDescription",): f"{url}/v1/openapi.json",
    }
    app.extensions["relay"].store.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://relay.example",
        "http://127.0.0.1:8080",
        "https://192.0.2.7",
        "https://[2001:db8::1]:8443",
    ],
)
def test_no_did_without_https_and_a_name(url: str) -> None:
    """A did:web leads to https and to no address."""
    assert wellknown.did_of(url) is None
    assert wellknown.document(url, KEY) is None


def test_a_relay_without_a_did_shows_no_document(world) -> None:
    """As unknown as any other place, and not to be kept."""
    reply = world.get(PATH)
    assert (reply.status, reply.code) == (404, "relay.not_found")
    assert reply.headers["cache-control"] == "no-store"


KEY = VerifyKey.from_multikey("z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH")


def test_the_document_is_one_of_its_did_alone() -> None:
    """Read as another relay's it is refused."""
    made = wellknown.document("https://relay.example", KEY)
    assert made is not None
    DidDocument.parse(made, expected=Did.parse("did:web:relay.example"))
    with pytest.raises(DidError):
        DidDocument.parse(made, expected=Did.parse("did:web:other.example"))
