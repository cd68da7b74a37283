"""ML-DSA-44 keys: an experiment."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.document import DidDocument, VerificationMethod
from did.errors import DidError, EncodingError, KeyFormatError, SignatureInvalid
from did.keys import SigningKey
from did.mldsa import SIGNATURE_BYTES, MldsaSigningKey, MldsaVerifyKey
from did.multikey import Codec, base58btc_encode, encode_multikey
from did.resolve import OFFLINE

KEY = MldsaSigningKey.from_seed(b"\1" * 32)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=100), st.data())
def test_a_signature_verifies_and_one_changed_bit_does_not(message, data):
    """Signature, message and key each matter; two signatures of a message differ."""
    signature = KEY.sign(message)
    assert len(signature) == SIGNATURE_BYTES
    assert KEY.sign(message) != signature
    KEY.verify_key.verify(signature, message)
    spoiled = bytearray(signature)
    place = data.draw(st.integers(0, 8 * len(signature) - 1))
    spoiled[place // 8] ^= 1 << place % 8
    for wrong in (bytes(spoiled), signature[:-1], signature + b"\0", b""):
        with pytest.raises(SignatureInvalid):
            KEY.verify_key.verify(wrong, message)
    with pytest.raises(SignatureInvalid):
        KEY.verify_key.verify(signature, message + b"\0")
    with pytest.raises(SignatureInvalid):
        MldsaSigningKey.generate().verify_key.verify(signature, message)


def test_a_seed_is_a_key():
    """The same each time; another length is none; randomness is asked for once."""
    again = MldsaSigningKey.from_seed(KEY.unsafe_export_seed())
    assert again.verify_key == KEY.verify_key
    assert MldsaSigningKey.generate(lambda length: b"\1" * length).verify_key == KEY.verify_key
    for seed in (b"", bytes(31), bytes(33)):
        with pytest.raises(KeyFormatError) as caught:
            MldsaSigningKey.from_seed(seed)
        assert caught.value.code == "key.length"


def test_keys_are_written_as_multikeys():
    """And read again; other kinds, lengths and long texts are refused."""
    text = KEY.verify_key.multikey
    assert MldsaVerifyKey.from_multikey(text) == KEY.verify_key
    ed25519 = SigningKey.generate().verify_key.multikey
    for wrong, code in (
        (ed25519, "key.kind"),
        (encode_multikey(Codec.RSA_PUB, bytes(1312)), "key.kind"),
        ("z" + "1" * 4_000, "key.kind"),
        ("z" + base58btc_encode(Codec.MLDSA_44_PUB.prefix + bytes(1311)), "key.length"),
        ("u" + text[1:], "encoding.multibase"),
    ):
        with pytest.raises((KeyFormatError, EncodingError)) as caught:
            MldsaVerifyKey.from_multikey(wrong)
        assert caught.value.code == code
    with pytest.raises(KeyFormatError) as caught:
        MldsaVerifyKey(bytes(1311))
    assert caught.value.code == "key.length"


def test_a_method_gives_its_key_and_no_other():
    """From a document, under the relationship that lists it."""
    url = "did:example:a#pq"
    parsed = DidDocument.parse(
        {
            "id": "did:example:a",
            "assertionMethod": [
                {
                    "id": url,
                    "type": "Multikey",
                    "controller": "did:example:a",
                    "publicKeyMultibase": KEY.verify_key.multikey,
                }
            ],
        },
        expected=None,
    )
    (method,) = parsed.relationship("assertionMethod")
    assert method.mldsa() == KEY.verify_key
    for read in (method.ed25519, method.ecdsa, method.x25519):
        with pytest.raises(KeyFormatError) as caught:
            read()
        assert caught.value.code == "key.kind"
    ed25519 = SigningKey.generate().verify_key.multikey
    for kind, text in (("Multikey", ed25519), ("Ed25519VerificationKey2020", None)):
        with pytest.raises(KeyFormatError) as caught:
            VerificationMethod(url, kind, "did:example:a", text).mldsa()
        assert caught.value.code == "key.kind"


def test_no_identifier_is_such_a_key():
    """did:key is for keys that count by themselves."""
    with pytest.raises(DidError) as caught:
        OFFLINE.resolve("did:key:" + KEY.verify_key.multikey)
    assert caught.value.code in ("did.key_kind_not_supported", "did.syntax")


def test_printing_a_key_shows_its_fingerprint():
    """And nothing of its seed."""
    assert repr(KEY) == f"<MldsaSigningKey {KEY.verify_key.fingerprint}>"
    assert repr(KEY.verify_key) == f"<MldsaVerifyKey {KEY.verify_key.fingerprint}>"
