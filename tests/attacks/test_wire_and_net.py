"""Attacks on signed requests and on what this machine can be made to connect to.

Each test fails when the check that it names is taken out.
"""

import base64
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import http_message_signatures as library
import pytest

from did.errors import DidError, DidResolutionError
from did.keys import SigningKey
from did.resolve import Resolver
from pds.links import LinkError, RequestLink
from pds.net import NetError, Transport
from pds.wire import WireError, content_digest, parse_relay_url, sign_request, verify_request

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
KEY = SigningKey.from_seed(bytes(range(32)))
OTHER = SigningKey.from_seed(bytes(range(1, 33)))
NONCE = "AAECAwQFBgcICQoLDA0ODw"
URL = "https://relay.example/v1/packages/AAECAwQFBgcICQoLDA0ODw?after=3"
BODY = b'{"seq":1}'
COMPONENTS = ("@method", "@target-uri", "content-digest", "pds-epoch")
PARAMETERS = {
    "created": SECONDS,
    "expires": SECONDS + 60,
    "nonce": NONCE,
    "keyid": KEY.did,
    "tag": "pds/v1",
}


def request_of(**changes: object) -> dict[str, str]:
    """The headers of a good request, signed by the product."""
    arguments = {
        "method": "PUT",
        "url": URL,
        "body": BODY,
        "epoch": 3,
        "created": NOW,
        "nonce": NONCE,
    }
    return sign_request(KEY, **(arguments | changes))  # type: ignore[arg-type]


def forged(
    *,
    components: tuple[str, ...] = COMPONENTS,
    label: str = "sig",
    key: SigningKey = KEY,
    epoch: str = "3",
    drop: str = "",
    **parameters: object,
) -> dict[str, str]:
    """Headers with a *valid* signature, by hand, over whatever the attacker likes."""
    values = {
        "@method": "PUT",
        "@target-uri": URL,
        "content-digest": content_digest(BODY),
        "pds-epoch": epoch,
        'pds-epoch";x="1': epoch,
        "date": "Sun, 01 Mar 2026 12:00:00 GMT",
    }
    kept = {k: v for k, v in (PARAMETERS | parameters).items() if k != drop}
    written = "".join(
        f';{name}="{value}"' if isinstance(value, str) else f";{name}={value}"
        for name, value in kept.items()
    )
    covered = "(" + " ".join(f'"{name}"' for name in components) + ")" + written
    lines = [f'"{name}": {values[name]}' for name in components]
    base = "\n".join([*lines, f'"@signature-params": {covered}'])
    signature = base64.b64encode(key.sign(base.encode())).decode()
    return {
        "Content-Digest": values["content-digest"],
        "PDS-Epoch": epoch,
        "Date": values["date"],
        "Signature-Input": f"{label}={covered}",
        "Signature": f"{label}=:{signature}:",
    }


def refused(headers: dict[str, str], code: str = "relay.signature", **changes: object) -> None:
    arguments = {"method": "PUT", "url": URL, "body": BODY, "now": NOW}
    with pytest.raises(WireError) as caught:
        verify_request(headers=headers, **(arguments | changes))  # type: ignore[arg-type]
    assert caught.value.code == code


def test_the_forger_of_these_tests_can_sign() -> None:
    """What follows is refused for its own reason, not because the forger is clumsy."""
    found = verify_request(method="PUT", url=URL, headers=forged(), body=BODY, now=NOW)
    assert found.did == KEY.did


def test_attack_49_replay_shows_the_same_key_and_nonce() -> None:
    """A replayed request yields the same key and nonce, which is what the relay stores."""
    headers = request_of()
    first, second = (
        verify_request(method="PUT", url=URL, headers=dict(headers), body=BODY, now=at)
        for at in (NOW, NOW + timedelta(seconds=30))
    )
    assert (first.did, first.nonce) == (second.did, second.nonce)
    refused(
        {**headers, "Signature-Input": headers["Signature-Input"].replace(NONCE, "B" * 21 + "A")}
    )


def test_attack_49_replay_after_its_end_is_refused() -> None:
    """So a nonce need not be remembered for longer than a minute beyond its creation."""
    for seconds in (60, 61, 3600, 10**8):
        refused(request_of(), now=NOW + timedelta(seconds=seconds))


def test_attack_49_longer_lives_are_refused() -> None:
    """A signature that claims to live longer would outlive the memory of its nonce."""
    for expires in (SECONDS + 61, SECONDS + 3600, SECONDS, SECONDS - 1):
        refused(forged(expires=expires))


@pytest.mark.parametrize("missing", sorted(PARAMETERS))
def test_attack_50_absent_nonce_or_tag(missing: str) -> None:
    """Every parameter must be there; the library alone lets several be absent."""
    refused(forged(drop=missing))


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": ""},
        {"nonce": "1"},
        {"nonce": "A" * 21 + "B"},
        {"nonce": "A" * 44},
        {"nonce": 7},
        {"tag": "pds/v2"},
        {"tag": ""},
        {"tag": 1},
        {"alg": "hmac-sha256"},
        {"alg": "none"},
        {"alg": "ed25519"},
        {"extra": "x"},
        {"keyid": KEY.verification_method},
        {"keyid": KEY.verify_key.multikey},
        {"keyid": "did:web:shop.example"},
        {"keyid": "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc"},
        {"keyid": ""},
        {"created": str(SECONDS)},
        {"expires": str(SECONDS + 60)},
    ],
)
def test_attack_50_parameters_of_another_profile(changes: dict[str, object]) -> None:
    """Short nonces, other tags, algorithms, keys and forms: valid signatures, all refused."""
    refused(forged(**changes))


def test_attack_50_unsigned() -> None:
    """No signature has a code of its own; half a signature is a bad one."""
    headers = request_of()
    refused({}, code="relay.unsigned")
    rest = {k: v for k, v in headers.items() if not k.startswith("Signature")}
    refused(rest, code="relay.unsigned")
    for name in headers:
        refused({k: v for k, v in headers.items() if k != name})


@pytest.mark.parametrize(
    "components",
    [
        COMPONENTS[1:],
        COMPONENTS[:1] + COMPONENTS[2:],
        COMPONENTS[:2] + COMPONENTS[3:],
        COMPONENTS[:3],
        (),
        (*COMPONENTS, "date"),
        (*COMPONENTS[:3], 'pds-epoch";x="1'),
        ("@method", "@target-uri", "pds-epoch", "content-digest"),
    ],
)
def test_attack_51_a_component_left_out(components: tuple[str, ...]) -> None:
    """A valid signature over less, more, or in another order is not this profile."""
    refused(forged(components=components))


def test_attack_51_changed_body() -> None:
    """Another body, with the old digest or with its own."""
    headers = request_of()
    for body in (b"", BODY + b" ", BODY.replace(b"1", b"2")):
        refused(headers, body=body)
        refused({**headers, "Content-Digest": content_digest(body)}, body=body)


def test_attack_51_digest_by_another_algorithm() -> None:
    """A second or a weaker digest beside ours is refused."""
    headers = request_of()
    digest = headers["Content-Digest"]
    for other in (f"{digest}, md5=:AAAA:", digest.replace("sha-256", "sha-512"), "", f"{digest} "):
        refused({**headers, "Content-Digest": other})


def test_attack_51_changed_method_query_path_or_host() -> None:
    """The signature is for one act at one relay."""
    headers = request_of()
    refused(headers, method="DELETE")
    refused(headers, method="put")
    for url in (
        URL.replace("after=3", "after=4"),
        URL + "&x=1",
        URL.partition("?")[0],
        URL.replace("packages", "mailboxes"),
        URL.replace("relay.example", "evil.example"),
        URL.replace("https", "http"),
        URL.replace("relay.example", "relay.example:8443"),
    ):
        refused(headers, url=url)


def test_attack_51_changed_epoch() -> None:
    """Nobody can raise or lower the epoch of somebody's request."""
    headers = request_of()
    for epoch in ("4", "03", "-1", "3.0", "", "3, 4", "９"):
        refused({**headers, "PDS-Epoch": epoch})
    for epoch in ("03", "-1", "3.0", "3, 4", str(2**53)):
        refused(forged(epoch=epoch))


def test_attack_51_expired_or_from_the_future() -> None:
    """Sixty seconds either way, and never past the end."""
    for seconds in (-61, -3600, 60, 61):
        refused(request_of(), now=NOW + timedelta(seconds=seconds))
    refused(forged(expires=SECONDS + 5), now=NOW + timedelta(seconds=5))
    refused(forged(created=10**14, expires=10**14 + 60))


def test_attack_51_somebody_elses_key_under_the_signature() -> None:
    """The key id and the key that signed must be the same."""
    refused(forged(key=OTHER))
    headers = request_of()
    refused({**headers, "Signature-Input": headers["Signature-Input"].replace(KEY.did, OTHER.did)})


def test_attack_51_a_small_order_key_signs_anything() -> None:
    """A did:key whose forgeries verify is no key at all."""
    from did.multikey import Codec, encode_multikey

    weak = "did:key:" + encode_multikey(Codec.ED25519_PUB, bytes([1]) + bytes(31))
    headers = forged(keyid=weak)
    zero = "sig=:" + base64.b64encode(bytes([1]) + bytes(63)).decode() + ":"
    refused({**headers, "Signature": zero})


def test_attack_51_two_signatures_or_another_label() -> None:
    """One signature, called sig: which of two a reader checks is not left to chance."""
    ours, theirs = forged(), forged(label="two", key=OTHER, keyid=OTHER.did)
    both = {
        **ours,
        "Signature-Input": f"{ours['Signature-Input']}, {theirs['Signature-Input']}",
        "Signature": f"{ours['Signature']}, {theirs['Signature']}",
    }
    refused(both)
    refused(theirs)
    refused({**both, "Signature": ours["Signature"]})
    refused({**ours, "Signature-Input": both["Signature-Input"]})
    refused({**ours, "Signature-Input": f"{ours['Signature-Input']}, {ours['Signature-Input']}"})
    refused({**ours, "Signature": f"{ours['Signature']}, {ours['Signature']}"})


@pytest.mark.parametrize("name", ["Content-Digest", "PDS-Epoch", "Signature", "Signature-Input"])
def test_attack_51_a_header_twice(name: str) -> None:
    """The same header in two spellings of its name is refused, even with the same value."""
    headers = request_of()
    refused({**headers, name.lower(): headers[name]})


def test_attack_51_the_signature_has_one_spelling() -> None:
    """Unused bits, spaces and parameters behind the signature are refused."""
    headers = request_of()
    value = headers["Signature"]
    for other in (
        value[:-4] + chr(ord(value[-4]) + 1) + value[-3:],
        value + ";x=1",
        " " + value,
        value.replace("==", ""),
    ):
        refused({**headers, "Signature": other})
    refused({**headers, "Signature-Input": headers["Signature-Input"] + " " * 600})


def test_why_the_library_is_not_enough() -> None:
    """By itself it takes a signature without nonce and tag, over one component: hence our steps."""

    class Ed25519(library.HTTPSignatureAlgorithm):
        algorithm_id = "ed25519"

        def __init__(self, public_key=None, private_key=None):
            self.key = public_key

        def verify(self, signature, message):
            self.key.verify(signature, message)

    now = int(datetime.now(UTC).timestamp())
    headers = forged(components=("@method",), drop="nonce", created=now, expires=now + 600)
    verifier = library.HTTPMessageVerifier(
        signature_algorithm=Ed25519,
        key_resolver=SimpleNamespace(resolve_public_key=lambda _: KEY.verify_key),
    )
    message = SimpleNamespace(method="PUT", url=URL, headers=headers)
    assert len(verifier.verify(message)) == 1


# --- where this machine can be made to connect to --------------------------------------------


class Trap:
    """A loopback server that counts who connects, whatever is said then."""

    def __init__(self) -> None:
        self.hits = 0

    @contextmanager
    def open(self, location: str | None = None) -> Iterator[int]:
        trap = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                trap.hits += 1
                self.send_response(302 if location else 200)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def answering(*addresses: str):
    """A name service that gives these addresses to every name, and counts the questions."""

    def getaddrinfo(_host: str, port: int, **_options: object):
        getaddrinfo.asked += 1
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in addresses
        ]

    getaddrinfo.asked = 0
    return getaddrinfo


def no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object, **__: object) -> None:
        pytest.fail("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
        "::",
        "224.0.0.1",
    ],
)
def test_attack_56_did_web_to_an_inner_address(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads inside, alone or beside a public address, is not connected to."""
    no_connection(monkeypatch)
    for answers in ((address,), ("8.8.8.8", address), (address, "2606:4700::1111")):
        transport = Transport(getaddrinfo=answering(*answers))
        with pytest.raises(DidResolutionError) as caught:
            Resolver(fetch=transport.fetch_did).resolve("did:web:shop.example")
        assert caught.value.code == "net.address_refused"


@pytest.mark.parametrize(
    "did",
    [
        "did:web:127.0.0.1",
        "did:web:localhost",
        "did:web:127.1",
        "did:web:2130706433",
        "did:web:0x7f.1",
        "did:web:shop.example%3A8443",
        "did:web:localhost%3A8080",
        "did:web:%5B%3A%3A1%5D",
    ],
)
def test_attack_56_did_web_to_a_literal_or_a_port(
    did: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses in numbers, local names and other ports are refused before any lookup."""
    no_connection(monkeypatch)
    getaddrinfo = answering("8.8.8.8")
    with pytest.raises(DidError):
        Resolver(fetch=Transport(getaddrinfo=getaddrinfo).fetch_did).resolve(did)
    assert getaddrinfo.asked == 0


def test_attack_56_a_name_that_changes_between_check_and_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name is asked for once, and the connection goes to the address that was checked."""
    connected: list[object] = []

    def connect(_self: socket.socket, address: object) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    answers = iter([("8.8.8.8",), ("127.0.0.1",)])
    getaddrinfo = lambda host, port, **options: answering(*next(answers))(host, port)  # noqa: E731
    with pytest.raises(NetError):
        Transport(getaddrinfo=getaddrinfo).fetch("https://shop.example/.well-known/did.json")
    assert connected == [("8.8.8.8", 443)]


def test_attack_56_redirect_is_not_followed() -> None:
    """A server that points to an inner one gets a refusal, and the inner one no visit."""
    inner, outer = Trap(), Trap()
    with inner.open() as inner_port, outer.open(f"http://127.0.0.1:{inner_port}/") as port:
        origin = f"http://127.0.0.1:{port}"
        transport = Transport(trusted_origins=[origin])
        with pytest.raises(NetError) as caught:
            transport.request("GET", f"{origin}/")
    assert caught.value.code == "net.redirect"
    assert (outer.hits, inner.hits) == (1, 0)


@pytest.mark.parametrize(
    "relay",
    [
        "http://169.254.169.254",
        "https://10.0.0.1",
        "https://127.0.0.1",
        "http://127.0.0.1:{port}",
        "http://localhost:{port}",
        "http://[::1]:{port}",
        "https://user@relay.example",
        "https://relay.example:8443",
        "http://relay.example",
        "http://relay.example:443",
        "file:///etc/passwd",
        "https://relay.example#@127.0.0.1",
        "https://relay.example\\@127.0.0.1",
    ],
)
def test_attack_79_a_request_that_names_a_hostile_relay(relay: str) -> None:
    """Whatever relay a stranger's request names, nothing inside is visited."""
    trap = Trap()
    transport = Transport(getaddrinfo=answering("8.8.8.8"))
    with trap.open() as port, pytest.raises(NetError) as caught:
        transport.request("GET", relay.format(port=port) + "/v1/relay")
    assert caught.value.code in {"net.url", "net.address_refused"}
    assert trap.hits == 0


def test_attack_79_a_relay_whose_name_leads_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A good-looking name with a private address is refused."""
    no_connection(monkeypatch)
    with pytest.raises(NetError) as caught:
        Transport(getaddrinfo=answering("192.168.1.1")).request("GET", "https://relay.example/v1")
    assert caught.value.code == "net.address_refused"


def test_attack_79_trust_in_one_origin_is_for_that_origin_alone() -> None:
    """The user's own relay opens no door to its neighbours on this machine."""
    trap, neighbour = Trap(), Trap()
    with trap.open() as port, neighbour.open() as other:
        transport = Transport(trusted_origins=[f"http://127.0.0.1:{port}"])
        with transport:
            assert transport.request("GET", f"http://127.0.0.1:{port}/").status == 200
            for url in (
                f"http://127.0.0.1:{other}/",
                f"http://localhost:{port}/",
                f"https://127.0.0.1:{port}/",
                f"http://127.0.0.1:{port}@127.0.0.1:{other}/",
            ):
                with pytest.raises(NetError):
                    transport.request("GET", url)
    assert (trap.hits, neighbour.hits) == (1, 0)


@pytest.mark.parametrize(
    "relay",
    [
        "http://169.254.169.254",
        "http://10.0.0.1",
        "https://user@relay.example",
        "https://127.1",
        "https://relay.example/../x",
    ],
)
def test_attack_79_hostile_addresses_in_links_and_replies(relay: str) -> None:
    """Form alone already refuses plain http to elsewhere, users, and addresses in disguise."""
    with pytest.raises(WireError):
        parse_relay_url(relay)
    with pytest.raises(LinkError):
        RequestLink.parse(f"{relay}/r/{NONCE}#{'A' * 43}")


def test_errors_do_not_repeat_the_input() -> None:
    """What was refused is not echoed: it may be personal, and it is not ours to print."""
    with pytest.raises(NetError) as caught:
        Transport().request("GET", "http://secret.example/")
    assert not re.search("secret", str(caught.value) + caught.value.hint)
