"""Bad keys, signatures, texts and documents, each refused with its own reason."""

import codecs
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import nacl.bindings as sodium
import pytest

from did.document import DidDocument
from did.errors import DidDocumentError, DidError, JsonError, KeyFormatError, SignatureInvalid
from did.identifier import Did
from did.json import canonicalize, parse
from did.keys import AgreementKey, AgreementPublicKey, SigningKey, VerifyKey
from did.multikey import (
    Codec,
    b64url_decode,
    b64url_encode,
    base58btc_decode,
    check_multihash,
    decode_multikey,
    encode_multikey,
    multibase_decode,
)
from did.resolve import OFFLINE
from did.time import parse_time

KEY = SigningKey.from_seed(b"\7" * 32)
MESSAGE = b"what was signed"
SIGNATURE = KEY.sign(MESSAGE)
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493

SMALL_ORDER = {
    "order 1": "01" + "00" * 31,
    "order 2": "ec" + "ff" * 30 + "7f",
    "order 4": "00" * 32,
    "order 4, negative": "00" * 31 + "80",
    "order 8, a": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "order 8, b": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "order 8, c": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order 8, d": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "order 1, not canonical": "ee" + "ff" * 30 + "7f",
    "order 4, not canonical": "ed" + "ff" * 30 + "7f",
}


def refused(code: str, action: Callable[[], object]) -> None:
    """The action raises an error of this package with this code."""
    with pytest.raises(DidError) as caught:
        action()
    assert caught.value.code == code


def assert_key_refused_everywhere(raw: bytes) -> None:
    """No way in lets the key pass: bytes, Multikey, did:key or a document's JWK."""
    multikey = encode_multikey(Codec.ED25519_PUB, raw)
    refused("key.unsafe", lambda: VerifyKey(raw))
    refused("key.unsafe", lambda: VerifyKey.from_bytes(raw))
    refused("key.unsafe", lambda: VerifyKey.from_multikey(multikey))
    refused("key.unsafe", lambda: OFFLINE.resolve(f"did:key:{multikey}"))
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(raw)}
    document = read(
        method() | {"publicKeyMultibase": None, "publicKeyJwk": jwk, "type": "JsonWebKey"}
    )
    refused("key.unsafe", document.verification_methods[0].ed25519)


@pytest.mark.parametrize("raw", SMALL_ORDER.values(), ids=SMALL_ORDER)
def test_attack_01_small_order_key(raw: str) -> None:
    """Under such a key, signatures can be forged."""
    assert_key_refused_everywhere(bytes.fromhex(raw))


@pytest.mark.parametrize("name", [name for name in SMALL_ORDER if "canonical" not in name][1:])
def test_attack_02_mixed_order_key(name: str) -> None:
    """A good key plus a point of small order, which libsodium's verification alone lets pass."""
    small = bytes.fromhex(SMALL_ORDER[name])
    assert_key_refused_everywhere(sodium.crypto_core_ed25519_add(KEY.verify_key.bytes, small))


@pytest.mark.parametrize("raw", ["02" + "00" * 31, "ff" * 32, "f0" + "ff" * 30 + "7f"])
def test_attack_03_off_curve_key(raw: str) -> None:
    """32 bytes that are no point, or no canonical one."""
    assert_key_refused_everywhere(bytes.fromhex(raw))


@pytest.mark.parametrize("times", [1, 2, 15])
def test_attack_04_s_plus_l(times: int) -> None:
    """The same signature with the group order added to S would be a second one."""
    s = int.from_bytes(SIGNATURE[32:], "little") + times * GROUP_ORDER
    forged = SIGNATURE[:32] + s.to_bytes(32, "little")
    refused("signature.invalid", lambda: KEY.verify_key.verify(forged, MESSAGE))


def test_attack_04_small_order_r() -> None:
    """R of small order, with any S, verifies nothing."""
    for small in SMALL_ORDER.values():
        forged = bytes.fromhex(small) + bytes(32)
        refused("signature.invalid", lambda f=forged: KEY.verify_key.verify(f, MESSAGE))  # type: ignore[misc]


@pytest.mark.parametrize(
    "raw",
    [
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
    ],
)
def test_attack_05_zero_x25519(raw: str) -> None:
    """A peer's key that makes the secret zero, whatever ours is."""
    peer = AgreementPublicKey.from_bytes(bytes.fromhex(raw))
    with pytest.raises(KeyFormatError) as caught:
        AgreementKey.generate().exchange(peer)
    assert caught.value.code == "key.unsafe"


def test_attack_06_63_or_65_byte_signature() -> None:
    """A byte moved between signature and message leaves the same run of bytes."""
    verify = KEY.verify_key.verify
    verify(SIGNATURE, MESSAGE)
    shifted = [
        (SIGNATURE[:63], SIGNATURE[63:] + MESSAGE),
        (SIGNATURE + MESSAGE[:1], MESSAGE[1:]),
        (SIGNATURE[:63], MESSAGE),
        (SIGNATURE + b"\0", MESSAGE),
        (b"", SIGNATURE + MESSAGE),
        (SIGNATURE + MESSAGE, b""),
    ]
    for signature, message in shifted:
        with pytest.raises(SignatureInvalid):
            verify(signature, message)


DID = "did:web:shop.example"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def method(name: str = "#a", **more: Any) -> dict[str, Any]:
    """A method of the document's subject."""
    multikey = KEY.verify_key.multikey
    return {
        "id": DID + name,
        "type": "Multikey",
        "controller": DID,
        "publicKeyMultibase": multikey,
    } | more


def read(*methods: dict[str, Any], **relationships: Any) -> DidDocument:
    """A document of these methods, all for assertion unless said otherwise."""
    value = {
        "id": DID,
        "verificationMethod": list(methods),
        "assertionMethod": [m["id"] for m in methods],
    }
    return DidDocument.parse(value | relationships, expected=Did.parse(DID))


def assertion_refused(document: DidDocument, url: str, code: str) -> None:
    """The method may not assert, with this reason."""
    with pytest.raises(DidDocumentError) as caught:
        document.method_for(url, relationship="assertionMethod", now=NOW)
    assert caught.value.code == code


def test_attack_09_authentication_key_asserts() -> None:
    """A key that logs in does not sign grants: listed, embedded, or for key agreement."""
    document = read(
        method(), assertionMethod=[], authentication=["#a", method("#b")], keyAgreement=["#a"]
    )
    document.method_for(DID + "#a", relationship="authentication", now=NOW)
    assertion_refused(document, DID + "#a", "key.not_authorised")
    assertion_refused(document, DID + "#b", "key.not_authorised")
    ours = OFFLINE.resolve(KEY.did)
    agreement = ours.relationship("keyAgreement")[0].id
    assertion_refused(ours, agreement, "key.not_authorised")


def test_attack_10_key_of_another_controller() -> None:
    """Another DID's method, under its own name or under ours, does not sign for us."""
    other = "did:web:other.example"
    assertion_refused(read(method()), other + "#a", "key.foreign_controller")
    assertion_refused(read(method(controller=other)), DID + "#a", "key.foreign_controller")
    foreign_id = read(method(id=other + "#a"))
    assertion_refused(foreign_id, other + "#a", "key.foreign_controller")
    longer = "did:web:shop.example.evil.example"
    assertion_refused(read(method(id=longer + "#a")), longer + "#a", "key.foreign_controller")


def test_attack_13_retired_key() -> None:
    """Revoked or expired: refused from that second on, embedded or listed."""
    past, future = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
    assertion_refused(read(method(revoked=past)), DID + "#a", "key.revoked")
    assertion_refused(read(method(expires=past)), DID + "#a", "key.expired")
    embedded = read(assertionMethod=[method(revoked=past, expires=future)])
    assertion_refused(embedded, DID + "#a", "key.revoked")
    living = read(method(revoked=future, expires=future))
    found = living.method_for(DID + "#a", relationship="assertionMethod", now=NOW)
    assert found.ed25519() == KEY.verify_key


def json_refused(code: str, *texts: str | bytes, **options: Any) -> None:
    """Each text is refused, on the quick path and (with a space) on the careful one."""
    for text in texts:
        for raw in (text, text + " " if isinstance(text, str) else text + b" "):
            with pytest.raises(JsonError) as caught:
                parse(raw, **options)
            assert caught.value.code == code


def test_attack_15_duplicate_and_escaped_duplicate_keys() -> None:
    """Two readers would take two different values."""
    json_refused(
        "json.duplicate_key",
        '{"a":1,"a":1}',
        '{"a":1,"a":2}',
        '{"a":1,"\\u0061":2}',
        '{"é":1,"\\u00e9":1}',
        '{"/":1,"\\/":1}',
        '[{"x":{"b":null,"c":1,"b":null}}]',
        '{"\\ud83d\\ude00":1,"😀":1}',
    )


def test_attack_16_nan_1e999_float() -> None:
    """Numbers that are none, that overflow, and those the protocol does not have."""
    json_refused("json.number", "NaN", "[Infinity]", '{"a":-Infinity}')
    json_refused("json.float", "1.0", "[1.5]", '{"a":1e2}', "[1e999]", "-0.0", "[1E5]")
    json_refused("json.number", "NaN", "1e999", "[-1e999]", allow_floats=True)
    for value in (float("nan"), [float("inf")]):
        refused("json.number", lambda v=value: canonicalize(v))  # type: ignore[misc]


def test_attack_17_two_to_the_53() -> None:
    """The first integers that two readers may take for another."""
    for limit in ("9007199254740991", "-9007199254740991"):
        assert parse(limit) == int(limit)
    over = [
        *("9007199254740992", "-9007199254740992", "[18446744073709551616]", "1" + "0" * 400),
        *('{"a":9007199254740992}', '{"a":[-9007199254740992]}'),
    ]
    json_refused("json.integer_range", *over)
    json_refused("json.integer_range", *over, allow_floats=True)
    refused("json.integer_range", lambda: canonicalize({"a": 2**53}))


def test_attack_18_lone_surrogate() -> None:
    """Half a character: as an escape, in a key, the wrong way round, and in a Python string."""
    json_refused(
        "json.surrogate",
        '"\\ud800"',
        '"\\uDfff"',
        '["a\\ud83d"]',
        '{"\\ud800":1}',
        '{"a":["\\ude00\\ud83d"]}',
        '"\\ud83d\\u0041"',
        '"\ud800"',
    )
    assert parse('"\\ud83d\\ude00"') == "😀"
    refused("json.surrogate", lambda: canonicalize(["\ud800"]))


def test_attack_19_utf16_and_bom() -> None:
    """A text that another reader decodes differently, or not at all."""
    text = '{"a":1}'
    json_refused("json.bom", codecs.BOM_UTF8 + text.encode(), "\ufeff" + text)
    json_refused("json.bom", text.encode("utf-16"), text.encode("utf-32"))
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        with pytest.raises(JsonError):
            parse(text.encode(encoding))
    json_refused("json.encoding", '"é"'.encode("latin-1"), b'"\xc0\xaf"', b'"\xed\xa0\x80"')


@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_attack_20_depth_33(left: str, right: str) -> None:
    """32 is allowed, 33 is not, and 300,000 is refused before anything recurses."""
    core = "0" if left != "[" else ""
    assert parse(left * 32 + core + right * 32)
    json_refused("json.depth", left * 33 + core + right * 33)
    json_refused("json.depth", left * 33 + "0" + right * 33)
    json_refused("json.depth", left * 300_000, max_bytes=2_000_000)


def test_attack_25_non_canonical_base64url_or_multibase() -> None:
    """A second text for the same bytes: padding, white space, unused bits, the other alphabet."""
    for text in (
        "AA==",
        "AA=",
        "AB",
        "AAB",
        "A",
        "AA\n",
        " AA",
        "A A",
        "+/8",
        "AAAA=",
        "ÀA",
        "-_9",
    ):
        refused("encoding.base64url", lambda t=text: b64url_decode(t))  # type: ignore[misc]
    for text in ("0", "O", "I", "l", "2 ", "é", "2\n", "", "２"):
        if text:
            refused("encoding.base58btc", lambda t=text: base58btc_decode(t))  # type: ignore[misc]
    for text in ("", "mAA", "UAA==", "Z2", "f00", "2"):
        refused("encoding.multibase", lambda t=text: multibase_decode(t))  # type: ignore[misc]
    key = KEY.verify_key
    in_base64url = "u" + b64url_encode(b"\xed\x01" + key.bytes)
    refused("encoding.multibase", lambda: decode_multikey(in_base64url))
    refused("did.syntax", lambda: OFFLINE.resolve(f"did:key:{in_base64url}"))
    digest = "u" + b64url_encode(b"\x12\x20" + bytes(32))
    refused("encoding.base64url", lambda: check_multihash(digest[:-1] + "B"))


def test_attack_27_no_zone_or_week_date() -> None:
    """Forms that fromisoformat takes, and that would mean another moment elsewhere."""
    for text in (
        "2026-01-01T00:00:00",
        "2026-W01-1T00:00:00Z",
        "20260101T000000Z",
        "2026-01-01",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00.5Z",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01t00:00:00z",
        "2026-01-01T00:00:00Z\n",
        "２026-01-01T00:00:00Z",
        "",
    ):
        refused("time.format", lambda t=text: parse_time(t))  # type: ignore[misc]
    assert parse_time("2026-01-01T00:00:00Z") == NOW
