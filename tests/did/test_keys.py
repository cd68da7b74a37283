"""Ed25519 and X25519 keys."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import KeyFormatError, SignatureInvalid
from did.keys import AgreementKey, AgreementPublicKey, SigningKey, VerifyKey
from did.multikey import Codec, encode_multikey

SEEDS = st.binary(min_size=32, max_size=32)


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.binary(max_size=200))
def test_a_signature_verifies_and_one_changed_bit_does_not(seed: bytes, message: bytes) -> None:
    """Signature, message and key each matter."""
    key = SigningKey.from_seed(seed)
    signature = key.sign(message)
    key.verify_key.verify(signature, message)
    for damaged in (
        signature[:-1] + bytes([signature[-1] ^ 1]),
        bytes([signature[0] ^ 1]) + signature[1:],
    ):
        with pytest.raises(SignatureInvalid):
            key.verify_key.verify(damaged, message)
    with pytest.raises(SignatureInvalid):
        key.verify_key.verify(signature, message + b"\0")
    with pytest.raises(SignatureInvalid):
        SigningKey.generate().verify_key.verify(signature, message)


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_names_of_a_key_lead_back_to_it(seed: bytes) -> None:
    """Bytes, Multikey, DID and method name one key."""
    signing = SigningKey.from_seed(seed)
    key = signing.verify_key
    assert VerifyKey.from_bytes(key.bytes) == key
    assert VerifyKey.from_multikey(key.multikey) == key
    assert key.multikey.startswith("z6Mk")
    assert signing.did == key.did == f"did:key:{key.multikey}"
    assert signing.verification_method == key.verification_method == f"{key.did}#{key.multikey}"
    assert signing.unsafe_export_seed() == seed


@settings(deadline=None, max_examples=50)
@given(SEEDS, SEEDS)
def test_both_sides_agree(ours: bytes, theirs: bytes) -> None:
    """X25519 gives both the same secret, with keys derived from Ed25519 too."""
    a, b = AgreementKey.from_seed(ours), AgreementKey.from_seed(theirs)
    assert a.exchange(b.public) == b.exchange(a.public)
    assert AgreementPublicKey.from_multikey(a.public.multikey) == a.public
    assert AgreementPublicKey.from_bytes(a.public.bytes) == a.public
    assert a.unsafe_export_seed() == ours
    signing = SigningKey.from_seed(ours)
    derived = AgreementKey.from_signing_key(signing)
    assert derived.public == AgreementPublicKey.from_verify_key(signing.verify_key)


def test_randomness_is_an_argument() -> None:
    """Made from given randomness, the key is the one of that seed; by default it is fresh."""
    assert SigningKey.generate(lambda n: b"\1" * n).did == SigningKey.from_seed(b"\1" * 32).did
    assert (
        AgreementKey.generate(lambda n: b"\1" * n).public
        == AgreementKey.from_seed(b"\1" * 32).public
    )
    assert SigningKey.generate().did != SigningKey.generate().did
    assert AgreementKey.generate().public != AgreementKey.generate().public


def test_printing_a_key_shows_a_fingerprint_and_no_secret() -> None:
    """Neither repr nor str of any key holds its bytes."""
    signing, agreement = SigningKey.from_seed(b"\2" * 32), AgreementKey.from_seed(b"\2" * 32)
    assert repr(signing) == f"<SigningKey {signing.verify_key.fingerprint}>"
    assert repr(signing.verify_key) == f"<VerifyKey {signing.verify_key.fingerprint}>"
    assert str(agreement) == f"<AgreementKey {agreement.public.fingerprint}>"
    assert str(agreement.public) == f"<AgreementPublicKey {agreement.public.fingerprint}>"


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_keys_have_32_bytes(length: int) -> None:
    """Every way to make a key from bytes says so."""
    for make in (
        VerifyKey.from_bytes,
        SigningKey.from_seed,
        AgreementPublicKey.from_bytes,
        AgreementKey.from_seed,
    ):
        with pytest.raises(KeyFormatError) as caught:
            make(bytes(length))
        assert caught.value.code == "key.length"


@pytest.mark.parametrize("codec", [c for c in Codec if c is not Codec.ED25519_PUB])
def test_another_kind_of_key_does_not_verify(codec: Codec) -> None:
    """A Multikey of another kind, a secret one too, is no Ed25519 public key."""
    text = encode_multikey(codec, b"\x02" * (codec.key_length or 270))
    with pytest.raises(KeyFormatError) as caught:
        VerifyKey.from_multikey(text)
    assert caught.value.code == "key.kind"


def test_an_ed25519_key_does_not_agree() -> None:
    """The two kinds of key are never taken for one another."""
    with pytest.raises(KeyFormatError) as caught:
        AgreementPublicKey.from_multikey(SigningKey.generate().verify_key.multikey)
    assert caught.value.code == "key.kind"


def wycheproof(vectors: Path, name: str) -> list[dict[str, Any]]:
    """The groups of a Wycheproof file, all of whose tests must be there."""
    document = json.loads((vectors / "wycheproof/testvectors_v1" / name).read_text())
    groups: list[dict[str, Any]] = document["testGroups"]
    assert sum(len(group["tests"]) for group in groups) == document["numberOfTests"] > 100
    return groups


# Tests where libsodium and the file differ, by id, with the reason. None is known.
ED25519_DIFFERENCES: dict[int, str] = {}


def test_wycheproof_ed25519(vectors: Path) -> None:
    """Every signature is judged as the file judges it, but for the differences listed above."""
    differing = set()
    for group in wycheproof(vectors, "ed25519_test.json"):
        key = VerifyKey.from_bytes(bytes.fromhex(group["publicKey"]["pk"]))
        for test in group["tests"]:
            try:
                key.verify(bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"]))
                result = "valid"
            except SignatureInvalid:
                result = "invalid"
            if result != test["result"]:
                differing.add(test["tcId"])
    assert differing == set(ED25519_DIFFERENCES)


# Tests that the file calls acceptable and we refuse: the peer's key has a small order, so that
# the shared secret would be all zero (RFC 7748 §6.1 lets an implementation refuse; we do).
X25519_REFUSED = {32, 33, *range(63, 87), 117, 118, 154, 165, 166}


def test_wycheproof_x25519(vectors: Path) -> None:
    """Every secret is the file's; refused are exactly the all-zero ones."""
    refused = set()
    for group in wycheproof(vectors, "x25519_test.json"):
        for test in group["tests"]:
            ours = AgreementKey.from_seed(bytes.fromhex(test["private"]))
            theirs = AgreementPublicKey.from_bytes(bytes.fromhex(test["public"]))
            try:
                secret = ours.exchange(theirs)
            except KeyFormatError:
                refused.add(test["tcId"])
            else:
                assert secret.hex() == test["shared"]
    assert refused == X25519_REFUSED
