"""The resolver."""

import pytest

from did.ecdsa import Curve, EcdsaSigningKey
from did.errors import DidSyntaxError, MethodNotSupported
from did.identifier import Did
from did.keys import SigningKey
from did.multikey import Codec, encode_multikey
from did.resolve import OFFLINE, Resolver

KEY = SigningKey.from_seed(b"\5" * 32)


def test_a_did_key_is_resolved_offline_and_once() -> None:
    """As text or as Did, the same document comes back."""
    document = OFFLINE.resolve(KEY.did)
    assert str(document.id) == KEY.did
    assert OFFLINE.resolve(Did.parse(KEY.did)) is document


def test_of_long_keys_none_is_kept() -> None:
    """They verify nothing here, and would fill the cache with what strangers ask for."""
    bls = "did:key:" + encode_multikey(Codec.BLS12_381_G2_PUB, bytes(96))
    assert OFFLINE.resolve(bls) is not OFFLINE.resolve(bls)
    p384 = EcdsaSigningKey.from_secret(Curve.P384, b"\5" * 48).did
    assert OFFLINE.resolve(p384) is OFFLINE.resolve(p384)


def test_the_cache_has_a_limit() -> None:
    """With room for one, the first is computed anew after the second."""
    resolver = Resolver(cache_size=1)
    first = resolver.resolve(KEY.did)
    resolver.resolve(SigningKey.generate().did)
    assert resolver.resolve(KEY.did) is not first


def test_a_did_web_needs_a_way_to_fetch() -> None:
    """Offline it is refused; with a way to fetch it is fetched each time, never cached."""
    with pytest.raises(MethodNotSupported) as caught:
        OFFLINE.resolve("did:web:shop.example")
    assert caught.value.code == "did.network_needed"
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return b'{"id":"did:web:shop.example"}'

    resolver = Resolver(fetch=fetch)
    resolver.resolve("did:web:shop.example")
    resolver.resolve("did:web:shop.example")
    assert len(asked) == 2


def test_an_unknown_method_is_answered_with_those_known() -> None:
    """The message names them; the DID is not repeated."""
    with pytest.raises(MethodNotSupported) as caught:
        OFFLINE.resolve("did:example:secret")
    assert caught.value.code == "did.method_not_supported"
    assert ", ".join(Resolver.METHODS) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_is_no_did_is_refused() -> None:
    """A DID URL is not a DID, for did:key neither."""
    for text in ("", KEY.verification_method, "did:web:shop.example#a"):
        with pytest.raises(DidSyntaxError):
            OFFLINE.resolve(text)


def test_what_fetch_raises_passes_through() -> None:
    """The caller's own error tells more than a wrapped one."""

    def fetch(url: str) -> bytes:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        Resolver(fetch=fetch).resolve("did:web:shop.example")
