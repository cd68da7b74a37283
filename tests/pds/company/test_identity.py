"""The company's DID document, its rotation, the page that serves it, and development TLS."""

import json
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from company_world import SHOP, World, read_terms, resolver

from did.document import DidDocument
from did.errors import DidDocumentError
from did.identifier import Did
from did.methods.web import url_of
from pds.company.errors import CompanyError
from pds.company.site import create_app
from pds.company.tls import make_development_tls
from pds.messages.errors import RequestRefused


def document(world: World) -> DidDocument:
    return DidDocument.parse(world.shop.did_document(), expected=Did.parse(SHOP))


def test_document_lists_the_key(world: World) -> None:
    """One Multikey, for assertions and authentication, under the company's own control."""
    (method,) = document(world).verification_methods
    assert method.type == "Multikey"
    for relationship in ("assertionMethod", "authentication"):
        found = document(world).method_for(method.id, relationship=relationship, now=world.clock())
        assert found.ed25519().multikey == method.id.partition("#")[2]


def test_rotation_keeps_the_old_key_for_a_while(world: World) -> None:
    """Open requests stay good for thirty days; the new key signs from the first moment."""
    new = world.shop.request(read_terms(), valid_for=timedelta(days=60))
    old = document(world).verification_methods[0].id
    world.shop.rotate_key()
    world.holder.read(new.link, world.shop)
    later = world.shop.request(read_terms(), valid_for=timedelta(days=60))
    world.clock.move(days=30)
    with pytest.raises(RequestRefused):
        world.holder.read(new.link, world.shop)
    world.holder.read(later.link, world.shop)
    with pytest.raises(DidDocumentError) as refused:
        document(world).method_for(old, relationship="assertionMethod", now=world.clock())
    assert refused.value.code == "key.expired"


def test_compromised_keys_are_revoked(world: World) -> None:
    """After a compromise no key of before counts, and the document says since when."""
    world.shop.rotate_key()
    world.shop.rotate_key(compromised=True)
    first, second, _ = document(world).verification_methods
    for method in (first, second):
        with pytest.raises(DidDocumentError) as refused:
            document(world).method_for(method.id, relationship="assertionMethod", now=world.clock())
        assert refused.value.code == "key.revoked"
    world.holder.read(
        world.shop.request(read_terms(), valid_for=timedelta(days=1)).link, world.shop
    )


def test_waiting_messages_are_signed_again(world: World) -> None:
    """An attestation that waits while the key is revoked arrives under the new key, in order."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.holder.revoke(granted)
    world.wire.before.append(("POST", f"/v1/mailboxes/{world.holder.mailbox_id}/envelopes"))
    world.shop.collect()
    world.shop.rotate_key(compromised=True)
    assert world.shop.collect().push.sent == 1
    (message,) = world.holder.inbox(world.shop)
    assert (message.message.type, message.message.seq) == ("ErasureAttestation", 1)


def test_site_serves_the_document(world: World) -> None:
    """The did:web's address has it, as it is now; nothing else is there."""
    client = create_app(world.folder).test_client()
    path = url_of(Did.parse(SHOP)).removeprefix("https://shop.example")
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.json == world.shop.did_document()
    world.shop.rotate_key()
    assert len(json.loads(client.get(path).data)["verificationMethod"]) == 2
    assert client.get("/").status_code == 404
    assert client.post(path).status_code == 405
    shown = world.shop.did_document()
    world.shop.close()
    assert client.get(path).json == shown


def test_document_resolves(world: World) -> None:
    """The document passes the resolver's own checks."""
    assert str(resolver(world.shop).resolve(SHOP).id) == SHOP


def test_development_certificate_works(tmp_path: Path) -> None:
    """A client that trusts ca.pem alone accepts the host, and no other name."""
    files = make_development_tls(tmp_path, ["shop.example"], now=datetime.now(UTC))
    assert files.key.stat().st_mode & 0o777 == 0o600
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(files.certificate, files.key)
    for name, accepted in (("shop.example", True), ("other.example", False)):
        client_side, server_side = socket.socketpair()
        client_side.settimeout(10)
        server_side.settimeout(10)

        def serve(side: socket.socket = server_side) -> None:
            try:
                with server_context.wrap_socket(side, server_side=True) as tls:
                    tls.recv(1)
            except OSError:
                side.close()

        thread = threading.Thread(target=serve)
        thread.start()
        context = ssl.create_default_context(cafile=str(files.ca))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        try:
            with context.wrap_socket(client_side, server_hostname=name) as tls:
                tls.sendall(b"x")
            assert accepted
        except ssl.SSLCertVerificationError:
            assert not accepted
        finally:
            client_side.close()
            thread.join()


def test_development_certificate_says_what_it_is(tmp_path: Path) -> None:
    """Its name warns whoever meets it, and nothing is added beside it."""
    for _ in range(2):
        files = make_development_tls(tmp_path, ["shop.example"], now=datetime.now(UTC))
    from cryptography import x509

    for path in (files.ca, files.certificate):
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        assert "DEVELOPMENT ONLY" in certificate.subject.rfc4514_string()
    assert {path.name for path in tmp_path.iterdir()} == {"ca.pem", "cert.pem", "key.pem"}


@pytest.mark.parametrize("hosts", [[], ["localhost"], ["*.example"], ["127.0.0.1 x"]])
def test_development_certificate_is_for_names(tmp_path: Path, hosts: list[str]) -> None:
    """Only plain names of two labels or more."""
    with pytest.raises(CompanyError) as refused:
        make_development_tls(tmp_path, hosts, now=datetime.now(UTC))
    assert refused.value.code == "company.tls_hosts"


def test_development_certificate_is_used_again(tmp_path: Path) -> None:
    """As long as it lasts: a second server must not take the trust in the first one away."""
    now = datetime.now(UTC)
    files = make_development_tls(tmp_path, ["shop.example"], now=now)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert make_development_tls(tmp_path, ["shop.example"], now=now + timedelta(days=28)) == files
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "case", ["over", "other host", "missing", "noise", "other key", "other ca"]
)
def test_development_certificate_is_replaced(tmp_path: Path, case: str) -> None:
    """When it is over, for another host, or does not fit together any more."""
    now, hosts = datetime.now(UTC), ["shop.example"]
    files = make_development_tls(tmp_path, hosts, now=now)
    other = make_development_tls(tmp_path / "other", hosts, now=now)
    before = files.certificate.read_bytes()
    if case == "over":
        now += timedelta(days=29, hours=1)
    elif case == "other host":
        hosts = ["other.example"]
    elif case == "missing":
        files.key.unlink()
    elif case == "noise":
        files.ca.write_bytes(b"noise")
    elif case == "other key":
        files.key.write_bytes(other.key.read_bytes())
    else:
        files.ca.write_bytes(other.ca.read_bytes())
    make_development_tls(tmp_path, hosts, now=now)
    assert files.certificate.read_bytes() != before
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    make_development_tls(tmp_path, hosts, now=now)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == made
