"""Ids, addresses, signed requests, manifests, answers and problems."""

import base64
import hashlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.keys import SigningKey
from did.multikey import b64url_encode, multihash_sha256
from pds.wire import (
    HTTP_STATUS,
    MAX_SEALED,
    TITLES,
    WHOLE,
    Answer,
    Manifest,
    RelayCode,
    RelayInfo,
    WireError,
    capability_hash,
    check_id,
    new_capability,
    new_id,
    parse_relay_url,
    problem,
    sign_request,
    verify_request,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
KEY = SigningKey.from_seed(bytes(range(32)))
NONCE = "AAECAwQFBgcICQoLDA0ODw"
URL = "https://relay.example/v1/mailboxes/AAECAwQFBgcICQoLDA0ODw?after=3"
BODY = b'{"token":"x"}'


def signed(**changes):
    arguments = {
        "method": "PUT",
        "url": URL,
        "body": BODY,
        "epoch": 3,
        "created": NOW,
        "nonce": NONCE,
    }
    return sign_request(KEY, **(arguments | changes))


def verified(headers, **changes):
    arguments = {"method": "PUT", "url": URL, "body": BODY, "now": NOW}
    return verify_request(headers=headers, **(arguments | changes))


def test_ids_have_22_characters_and_one_spelling() -> None:
    """An id carries 16 bytes; unused bits are zero."""
    one = new_id(lambda n: bytes(range(n)))
    assert one == NONCE
    assert check_id(one) == one
    for bad in ("", one[:-1], one + "A", one[:-1] + "x", one[:-1] + "=", one + "\n", None, 7):
        with pytest.raises(WireError) as caught:
            check_id(bad)
        assert caught.value.code == "wire.id"


@given(st.binary(min_size=16, max_size=16))
@settings(deadline=None, max_examples=50)
def test_every_new_id_is_an_id(raw: bytes) -> None:
    """What new_id makes, check_id takes."""
    assert check_id(new_id(lambda _: raw)) == b64url_encode(raw)


def test_randomness_that_runs_short_is_refused() -> None:
    """A source that gives too little makes no id and no capability."""
    with pytest.raises(WireError):
        new_id(lambda _: b"abc")
    with pytest.raises(WireError):
        new_capability(lambda _: b"abc")


@pytest.mark.parametrize(
    "good",
    [
        "https://relay.example",
        "https://relay.example:8443",
        "https://xn--bcher-kva.example",
        "http://127.0.0.1:8080",
        "http://127.0.0.1",
        "http://localhost:8080",
        "http://[::1]:8080",
        "https://192.0.2.7",
    ],
)
def test_canonical_relay_addresses_are_taken(good: str) -> None:
    """A canonical origin comes back as it is."""
    assert parse_relay_url(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "relay.example",
        "ftp://relay.example",
        "https://relay.example/",
        "https://relay.example/v1",
        "https://relay.example?",
        "https://relay.example#",
        "https://Relay.example",
        "HTTPS://relay.example",
        "https://relay.example:443",
        "http://localhost:80",
        "https://relay.example:0",
        "https://relay.example:08443",
        "https://relay.example:65536",
        "https://relay.example.",
        "https://.example",
        "https://-a.example",
        "https://a_b.example",
        "https://user@relay.example",
        "https://relay.example\n",
        " https://relay.example",
        "https://relay.exämple",
        "http://relay.example",
        "http://10.0.0.1",
        "https://127.1",
        "https://0x7f000001",
        "https://2130706433",
        "https://0177.0.0.1",
        "https://[::0001]",
        "https://[1.2.3.4]",
        "https://::1",
        "https://[fe80::1%25eth0]",
        None,
        5,
    ],
)
def test_other_spellings_of_an_address_are_refused(bad: object) -> None:
    """One relay has one address."""
    with pytest.raises(WireError) as caught:
        parse_relay_url(bad)
    assert caught.value.code == "wire.relay_url"


def test_a_signed_request_verifies_and_says_who_signed() -> None:
    """Key, nonce, times and epoch come back as they were signed."""
    result = verified(signed())
    assert result.did == KEY.did
    assert result.key == KEY.verify_key
    assert result.nonce == NONCE
    assert (result.created, result.expires) == (NOW, NOW + timedelta(seconds=60))
    assert result.epoch == 3


def test_the_signature_is_over_the_base_that_the_standard_describes() -> None:
    """RFC 9421 §2.5, put together by hand, gives the same signature."""
    headers = signed()
    parameters = headers["Signature-Input"].removeprefix("sig=")
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    base = (
        '"@method": PUT\n'
        f'"@target-uri": {URL}\n'
        f'"content-digest": sha-256=:{digest}:\n'
        '"pds-epoch": 3\n'
        f'"@signature-params": {parameters}'
    )
    expected = base64.b64encode(KEY.sign(base.encode())).decode()
    assert headers["Signature"] == f"sig=:{expected}:"
    assert parameters == (
        '("@method" "@target-uri" "content-digest" "pds-epoch")'
        f";created={int(NOW.timestamp())}"
        f';keyid="{KEY.did}"'
        f";expires={int(NOW.timestamp()) + 60}"
        f';nonce="{NONCE}";tag="pds/v1"'
    )


def test_header_names_have_no_case_and_others_do_not_matter() -> None:
    """Servers spell header names as they like."""
    headers = {name.upper(): value for name, value in signed().items()}
    assert verified({**headers, "HOST": "elsewhere", "X-Forwarded-For": "1"}).did == KEY.did


def test_an_empty_body_is_signed_too() -> None:
    """Content-Digest of nothing is the digest of nothing."""
    headers = signed(method="DELETE", body=b"", epoch=0)
    assert verified(headers, method="DELETE", body=b"").epoch == 0
    with pytest.raises(WireError):
        verified(headers, method="DELETE", body=b" ")


@pytest.mark.parametrize("seconds", [-60, -1, 0, 59])
def test_clocks_may_differ_by_a_minute(seconds: int) -> None:
    """Sixty seconds of skew either way, but never past the end."""
    assert verified(signed(), now=NOW + timedelta(seconds=seconds)).did == KEY.did


@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_one_changed_character_of_any_header_is_refused(data: st.DataObject) -> None:
    """No header of a signed request can be changed in any place."""
    headers = signed()
    name = data.draw(st.sampled_from(sorted(headers)))
    value = headers[name]
    place = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(max_codepoint=0x17F).filter(lambda c: c != value[place]))
    headers[name] = value[:place] + other + value[place + 1 :]
    with pytest.raises(WireError) as caught:
        verified(headers)
    assert caught.value.code == "relay.signature"


def test_a_header_that_is_no_text_is_refused() -> None:
    """Half of a surrogate pair, as some servers hand on bytes beyond ASCII."""
    for name, value in signed().items():
        with pytest.raises(WireError) as caught:
            verified({**signed(), name: value[:-1] + "\udc80"})
        assert caught.value.code == "relay.signature"


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "put"},
        {"method": "PUT "},
        {"url": "https://relay.example/a b"},
        {"url": "https://relay.example/#x"},
        {"url": "/v1/relay"},
        {"epoch": -1},
        {"epoch": 2**53},
        {"created": datetime(2026, 3, 1)},
        {"nonce": "short"},
    ],
)
def test_what_cannot_be_signed_is_refused(changes: dict[str, object]) -> None:
    """A request that no relay would take is not signed in the first place."""
    with pytest.raises(WireError):
        signed(**changes)


def test_importing_the_module_loads_neither_the_library_nor_a_database() -> None:
    """The library of RFC 9421 waits for the first signature."""
    code = (
        "import sys, pds.wire;"
        "print(sorted({'http_message_signatures', 'cryptography', 'flask'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_capability_is_stored_as_a_hash() -> None:
    """256 bits, hashed as bytes; anything else is refused."""
    secret = new_capability(lambda n: bytes(n))
    assert len(secret) == 43
    assert capability_hash(secret) == multihash_sha256(bytes(32))
    for bad in ("", "x", secret[:-1], secret + "A", secret[:-1] + "B"):
        with pytest.raises(WireError) as caught:
            capability_hash(bad)
        assert caught.value.code == "relay.capability"


SEALED = b"sealed bytes"
MANIFEST = {
    "type": "Manifest",
    "package": NONCE,
    "seq": 1,
    "ticket": multihash_sha256(b"ticket"),
    "sha256": multihash_sha256(SEALED),
    "size": len(SEALED),
    "notAfter": "2027-03-01T12:00:00Z",
}


def test_a_manifest_reads_and_writes_itself() -> None:
    """With or without its proof, the unsigned form comes back."""
    assert Manifest.parse(MANIFEST).to_json() == MANIFEST
    parsed = Manifest.parse(MANIFEST | {"proof": {"type": "DataIntegrityProof"}})
    assert parsed.to_json() == MANIFEST
    parsed.check_sealed(SEALED)
    for other in (SEALED + b"x", b"Sealed bytes", b""):
        with pytest.raises(WireError) as caught:
            parsed.check_sealed(other)
        assert caught.value.code == "wire.manifest"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "Package"),
        ("package", "x"),
        ("package", 1),
        ("seq", 0),
        ("seq", True),
        ("seq", "1"),
        ("seq", 2**53),
        ("ticket", "uEiA"),
        ("sha256", None),
        ("size", -1),
        ("notAfter", "2027-03-01"),
        ("notAfter", 5),
        ("extra", 1),
    ],
)
def test_a_manifest_with_anything_amiss_is_refused(name: str, value: object) -> None:
    """Each member has one form, and there are no others."""
    with pytest.raises(WireError) as caught:
        Manifest.parse(MANIFEST | {name: value})  # type: ignore[arg-type]
    assert caught.value.code == "wire.manifest"


@pytest.mark.parametrize("name", sorted(MANIFEST))
def test_a_manifest_without_a_member_is_refused(name: str) -> None:
    """Nothing is optional."""
    with pytest.raises(WireError):
        Manifest.parse({key: value for key, value in MANIFEST.items() if key != name})


def answer(**changes: object) -> bytes:
    import json

    members = {"manifest": MANIFEST, "sealed": b64url_encode(SEALED), "receipt": {}}
    return json.dumps(members | changes).encode()


def test_an_answer_keeps_the_bytes_that_arrived() -> None:
    """The same answer can be recognised later; secrets stay out of its repr."""
    raw = answer()
    parsed = Answer.parse(raw)
    assert (parsed.raw, parsed.sealed, parsed.manifest) == (raw, SEALED, MANIFEST)
    assert "sealed" not in repr(parsed).replace("'sha256'", "")


def large(size: int, **changes: object) -> bytes:
    return answer(manifest=MANIFEST | {"size": size}, sealed=None, **changes)


def test_a_long_answer_is_fetched_and_must_be_the_manifests() -> None:
    """What does not stand in the answer is asked for by its size, and compared like what does."""
    octets = bytes(WHOLE + 1)
    told = MANIFEST | {"size": len(octets), "sha256": multihash_sha256(octets)}
    asked: list[int] = []

    def pieces(size: int) -> bytes:
        asked.append(size)
        return octets

    raw = answer(manifest=told, sealed=None)
    parsed = Answer.parse(raw, pieces=pieces)
    assert (parsed.sealed, parsed.raw, asked) == (octets, raw, [WHOLE + 1])
    for fetched in (octets[:-1], b"x" + octets[1:], b""):
        with pytest.raises(WireError) as caught:
            Answer.parse(raw, pieces=lambda _, got=fetched: got)
        assert caught.value.code == "wire.answer"


@pytest.mark.parametrize("size", [1, WHOLE, MAX_SEALED + 1, 2**53 - 1])
def test_attack_52_an_answer_that_lies_about_its_size(size: int) -> None:
    """What is short stands in the answer, and nobody fetches what cannot be: not one byte."""

    def pieces(_: int) -> bytes:
        raise AssertionError

    with pytest.raises(WireError) as caught:
        Answer.parse(large(size), pieces=pieces)
    assert caught.value.code == "wire.answer"
    with pytest.raises(WireError):
        Answer.parse(large(WHOLE + 1))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        answer(extra=1),
        answer(sealed=5),
        answer(sealed=b64url_encode(b"other")),
        answer(sealed=b64url_encode(SEALED) + "="),
        answer(receipt=[]),
        answer(manifest=None),
        answer(manifest={}),
    ],
)
def test_what_is_not_an_answer_is_refused(raw: bytes) -> None:
    """Another shape, or bytes that are not the manifest's."""
    with pytest.raises(WireError) as caught:
        Answer.parse(raw)
    assert caught.value.code == "wire.answer"


INFO = {
    "relay": "https://relay.example",
    "logOrigin": "relay.example/log/0011223344556677",
    "logKey": KEY.verify_key.multikey,
    "registration": "open",
    "time": "2026-03-01T12:00:00Z",
    "maxSealed": 8_389_745,
}


def test_a_relay_describes_itself() -> None:
    """The description reads and writes itself, and shows the relay's clock."""
    info = RelayInfo.parse(INFO, expected_relay="https://relay.example")
    assert info.to_json() == INFO
    assert info.time == NOW
    assert RelayInfo.parse(INFO, expected_relay=None) == info
    silent = {name: value for name, value in INFO.items() if name != "maxSealed"}
    assert RelayInfo.parse(silent, expected_relay=None).max_sealed == WHOLE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("relay", "https://other.example"),
        ("relay", "https://relay.example/"),
        ("logOrigin", ""),
        ("logOrigin", "relay.example"),
        ("logOrigin", "relay example/log/0011223344556677"),
        ("logOrigin", "relay+x/log/0011223344556677"),
        ("logOrigin", "relay\n/log/0011223344556677"),
        ("logOrigin", "relay.example/log/001122334455667"),
        ("logKey", "z6Mk"),
        ("registration", "closed"),
        ("time", "now"),
        ("maxSealed", 0),
        ("maxSealed", "8"),
        ("extra", 1),
    ],
)
def test_another_description_is_refused(name: str, value: object) -> None:
    """A relay that says it is somebody else, or says it wrongly, is not used."""
    with pytest.raises(WireError) as caught:
        RelayInfo.parse(INFO | {name: value}, expected_relay="https://relay.example")  # type: ignore[arg-type]
    assert caught.value.code == "wire.relay_info"


@pytest.mark.parametrize("code", list(RelayCode))
def test_every_code_has_a_status_and_a_title(code: RelayCode) -> None:
    """A problem is made of the code alone."""
    made = problem(code)
    assert made == {
        "type": "about:blank",
        "title": TITLES[code],
        "status": HTTP_STATUS[code],
        "code": str(code),
    }
    assert 400 <= HTTP_STATUS[code] < 600
    assert problem(code, title="Other words.")["title"] == "Other words."
