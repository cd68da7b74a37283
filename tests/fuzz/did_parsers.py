"""Every way into ``did`` for what a stranger wrote, as functions of bytes.

``PARSERS`` is what a fuzzer takes: each either returns, or raises an error of this package, and
does so in a time that grows no faster than its input. Where something is returned that can be
written again, writing gives the same text: no two texts mean the same.
"""

import json
from collections.abc import Callable
from contextlib import suppress

from did.agreement import AgreementPublicKey
from did.dereferencing import URI_LIST, DereferencingOptions, dereference
from did.document import DidDocument
from did.ecdsa import Curve, EcdsaSigningKey, EcdsaVerifyKey
from did.errors import DidError
from did.identifier import Did, DidUrl
from did.json import canonicalize, parse, parse_object
from did.keykinds import check, jwk_of
from did.keys import SigningKey, VerifyKey
from did.methods import jwk, peer, web
from did.methods.key import KeyFormat
from did.methods.key import resolve as resolve_key
from did.mldsa import MldsaSigningKey, MldsaVerifyKey
from did.multikey import (
    Codec,
    b64url_decode,
    b64url_encode,
    base58btc_decode,
    base58btc_encode,
    check_multihash,
    decode_multikey,
    encode_multikey,
    multibase_decode,
    multihash_of_sha256,
)
from did.resolution import ResolutionOptions, resolve
from did.resolve import OFFLINE, Resolver
from did.time import format_time, parse_date_time_stamp, parse_time

KEY = SigningKey.from_seed(b"\x08" * 32)
EC = EcdsaSigningKey.from_secret(Curve.P256, b"\x08" * 32).verify_key
WEB = Did("web", "shop.example")


def text(raw: bytes) -> str:
    """Any text at all, halves of surrogate pairs included."""
    return raw.decode("utf-8", "surrogateescape")


def same(read: object, written: object) -> None:
    """What was read is written as it was."""
    if read != written:
        raise AssertionError("two texts mean the same")


def _document(raw: bytes) -> None:
    value = parse_object(raw, allow_floats=True)
    document = DidDocument.parse(value, expected=None)
    same(document.to_json(), value)
    for method in document.verification_methods:
        for read in (method.ed25519, method.x25519, method.ecdsa):
            with suppress(DidError):
                read()


def _key(raw: bytes) -> None:
    document = resolve_key(Did.parse("did:key:" + text(raw)))
    for form in KeyFormat:
        with suppress(DidError):
            resolve_key(document.id, public_key_format=form)


def _ecdsa_jwk(raw: bytes) -> None:
    key = EcdsaVerifyKey.from_jwk(parse_object(raw))
    same(EcdsaVerifyKey.from_jwk(key.jwk), key)


def _multikey(raw: bytes) -> None:
    codec, key = decode_multikey(text(raw))
    same(text(raw), encode_multikey(codec, key))
    for action in (check, jwk_of):
        with suppress(DidError):
            action(codec, key)


def _kinds(raw: bytes) -> None:
    for codec in Codec:
        for action in (check, jwk_of):
            with suppress(DidError):
                action(codec, raw)


def _peer_with(raw: bytes) -> None:
    did = Did.parse("did:peer:" + text(raw))
    short = peer.short_form(did)
    peer.resolve(short, long_form=did)


def _web(raw: bytes) -> None:
    web.url_of(Did.parse("did:web:" + text(raw)))


def _served(raw: bytes) -> None:
    Resolver(fetch=lambda _url: raw).resolve(WEB)


def _resolution(raw: bytes) -> None:
    head, _, tail = text(raw).partition("\n")
    resolve(head, ResolutionOptions(accept=tail, version_time=tail))
    resolve(head, ResolutionOptions(expand_relative_urls=True))


def _dereferencing(raw: bytes) -> None:
    served = Resolver(
        fetch=lambda _url: json.dumps(
            {
                "id": str(WEB),
                "service": [{"id": "#a", "type": "A", "serviceEndpoint": "https://a.example/b"}],
            }
        ).encode()
    )
    for options in (DereferencingOptions(), DereferencingOptions(accept=URI_LIST)):
        dereference(f"{WEB}{text(raw)}", options, resolver=served)


PARSERS: dict[str, Callable[[bytes], object]] = {
    "did": lambda raw: same(str(Did.parse(text(raw))), text(raw)),
    "did_url": lambda raw: same(str(DidUrl.parse(text(raw))), text(raw)),
    "json": lambda raw: same(parse(canonicalize(parse(raw))), parse(raw)),
    "json_with_floats": lambda raw: parse(raw, allow_floats=True),
    "time": lambda raw: same(format_time(parse_time(text(raw))), text(raw)),
    "date_time_stamp": lambda raw: parse_date_time_stamp(text(raw)),
    "base64url": lambda raw: same(b64url_encode(b64url_decode(text(raw))), text(raw)),
    "base58btc": lambda raw: same(base58btc_encode(base58btc_decode(text(raw))), text(raw)),
    "multibase": lambda raw: multibase_decode(text(raw)),
    "multihash": lambda raw: same(multihash_of_sha256(check_multihash(text(raw))), text(raw)),
    "multikey": _multikey,
    "key_kinds": _kinds,
    "ed25519": lambda raw: same(VerifyKey.from_bytes(raw).bytes, raw),
    "ed25519_multikey": lambda raw: same(VerifyKey.from_multikey(text(raw)).multikey, text(raw)),
    "x25519": lambda raw: same(AgreementPublicKey.from_bytes(raw).bytes, raw),
    "x25519_multikey": lambda raw: same(
        AgreementPublicKey.from_multikey(text(raw)).multikey, text(raw)
    ),
    "mldsa_multikey": lambda raw: MldsaVerifyKey.from_multikey(text(raw)),
    "p256": lambda raw: same(EcdsaVerifyKey.from_bytes(Curve.P256, raw).bytes, raw),
    "p384": lambda raw: same(EcdsaVerifyKey.from_bytes(Curve.P384, raw).bytes, raw),
    "ecdsa_multikey": lambda raw: same(EcdsaVerifyKey.from_multikey(text(raw)).multikey, text(raw)),
    "ecdsa_jwk": _ecdsa_jwk,
    "document": _document,
    "did_key": _key,
    "did_jwk": lambda raw: jwk.resolve(Did.parse("did:jwk:" + text(raw))),
    "did_jwk_of_json": lambda raw: jwk.resolve(Did("jwk", b64url_encode(raw))),
    "did_jwk_made": lambda raw: jwk.did_of_jwk(parse_object(raw)),
    "did_peer": lambda raw: peer.resolve(Did.parse("did:peer:" + text(raw))),
    "did_peer_with_long_form": _peer_with,
    "did_peer_of_genesis": peer.did_of_genesis,
    "did_peer_of_document": lambda raw: peer.did_of_document(parse_object(raw)),
    "did_web": _web,
    "did_web_of_host": lambda raw: web.did_of_host(
        text(raw).partition("/")[0], path=text(raw).split("/")[1:]
    ),
    "did_web_served": _served,
    "resolver": lambda raw: OFFLINE.resolve(text(raw)),
    "resolution": _resolution,
    "dereferencing": _dereferencing,
}

JWK = {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(KEY.verify_key.bytes)}
METHOD = {"id": "#a", "type": "JsonWebKey", "controller": str(WEB), "publicKeyJwk": JWK}
DOCUMENT = {
    "@context": ["https://www.w3.org/ns/did/v1"],
    "id": str(WEB),
    "controller": [str(WEB)],
    "verificationMethod": [METHOD | {"expires": "2026-01-01T00:00:00.5+01:00"}],
    "authentication": ["#a", METHOD | {"id": "#b"}],
    "service": [{"id": "#s", "type": "A", "serviceEndpoint": ["https://a.example", {}]}],
}
PEER = {"verificationMethod": [{k: v for k, v in METHOD.items() if k != "controller"}]}
SEEDS = [
    *(str(WEB), "did:web:a.example%3A8443:b#c", "2026-01-01T00:00:00Z", "2025-12-31T24:00:00Z"),
    *(KEY.did, KEY.did.removeprefix("did:key:"), KEY.verification_method),
    *(json.dumps(JWK), json.dumps(DOCUMENT), json.dumps(PEER), json.dumps({"@context": DOCUMENT})),
    *("?service=a&relativeRef=%2Fb#c", "#a", "a.example/b", "*/*;q=0.5, application/did"),
    str(peer.did_of_document(PEER)),  # type: ignore[arg-type]
    str(peer.did_of_document(PEER)).removeprefix("did:peer:"),  # type: ignore[arg-type]
    f"2.V{KEY.verify_key.multikey}.S" + b64url_encode(b'{"t":"dm","s":"https://a.example"}'),
    *("0" + KEY.verify_key.multikey, "uEi" + "A" * 44, "zQm" + "1" * 44),
    *(b64url_encode(json.dumps(JWK).encode()), json.dumps(EC.jwk), EC.multikey),
    AgreementPublicKey.from_verify_key(KEY.verify_key).multikey,
    MldsaSigningKey.from_seed(bytes(32)).verify_key.multikey,
]
