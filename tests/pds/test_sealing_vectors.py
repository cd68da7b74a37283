"""Published vectors: the KEM, the key schedule and our own form against what others computed."""

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from pds.sealing import (
    SealingKey,
    length_prefixed,
    lock_with_secret,
    open_sealed,
    pad,
    unlock_with_secret,
)

# draft-connolly-cfrg-xwing-kem, Appendix C, first vector: seed, hash of the public key, the
# encapsulation and the shared secret.
XWING_SEED = bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
XWING_PUBLIC_SHA3 = "5121745904643ad9dfacca7869292c19a8a69533b53e60666b7db910b4ad6367"
XWING_SHARED = bytes.fromhex("d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384")
XWING_ENC = bytes.fromhex(
    "b83aa828d4d62b9a83ceffe1d3d3bb1ef31264643c070c5798927e41fb07914a273f8f96e7826cd5375a283d7da8"
    "85304c5de0516a0f0654243dc5b97f8bfeb831f68251219aabdd723bc6512041acbaef8af44265524942b902e68f"
    "fd23221cda70b1b55d776a92d1143ea3a0c475f63ee6890157c7116dae3f62bf72f60acd2bb8cc31ce2ba0de364f"
    "52b8ed38c79d719715963a5dd3842d8e8b43ab704e4759b5327bf027c63c8fa857c4908d5a8a7b88ac7f2be394d9"
    "3c3706ddd4e698cc6ce370101f4d0213254238b4a2e8821b6e414a1cf20f6c1244b699046f5a01caa0a1a5551630"
    "0b40d2048c77cc73afba79afeea9d2c0118bdf2adb8870dc328c5516cc45b1a2058141039e2c90a110a9e16b318d"
    "fb53bd49a126d6b73f215787517b8917cc01cabd107d06859854ee8b4f9861c226d3764c87339ab16c3667d2f493"
    "84e55456dd40414b70a6af841585f4c90c68725d57704ee8ee7ce6e2f9be582dbee985e038ffc346ebfb4e22158b"
    "6c84374a9ab4a44e1f91de5aac5197f89bc5e5442f51f9a5937b102ba3beaebf6e1c58380a4a5fedce4a4e5026f8"
    "8f528f59ffd2db41752b3a3d90efabe463899b7d40870c530c8841e8712b733668ed033adbfafb2d49d37a44d406"
    "4e5863eb0af0a08d47b3cc888373bc05f7a33b841bc2587c57eb69554e8a3767b7506917b6b70498727f16eac1a3"
    "6ec8d8cfaf751549f2277db277e8a55a9a5106b23a0206b4721fa9b3048552c5bd5b594d6e247f38c18c591aea7f"
    "56249c72ce7b117afcc3a8621582f9cf71787e183dee09367976e98409ad9217a497df888042384d7707a6b78f5f"
    "7fb8409e3b535175373461b776002d799cbad62860be70573ecbe13b246e0da7e93a52168e0fb6a9756b895ef7f0"
    "147a0dc81bfa644b088a9228160c0f9acf1379a2941cd28c06ebc80e44e17aa2f8177010afd78a97ce0868d1629e"
    "bb294c5151812c583daeb88685220f4da9118112e07041fcc24d5564a99fdbde28869fe0722387d7a9a4d16e1cc8"
    "555917e09944aa5ebaaaec2cf62693afad42a3f518fce67d273cc6c9fb5472b380e8573ec7de06a3ba2fd5f931d7"
    "25b493026cb0acbd3fe62d00e4c790d965d7a03a3c0b4222ba8c2a9a16e2ac658f572ae0e746eafc4feba023576f"
    "08942278a041fb82a70a595d5bacbf297ce2029898a71e5c3b0d1c6228b485b1ade509b35fbca7eca97b2132e7cb"
    "6bc465375146b7dceac969308ac0c2ac89e7863eb8943015b24314cafb9c7c0e85fe543d56658c213632599efabf"
    "c1ec49dd8c88547bb2cc40c9d38cbd3099b4547840560531d0188cd1e9c23a0ebee0a03d5577d66b1d2bcb4baaf2"
    "1cc7fef1e03806ca96299df0dfbc56e1b2b43e4fc20c37f834c4af62127e7dae86c3c25a2f696ac8b589dec71d59"
    "5bfbe94b5ed4bc07d800b330796fda89edb77be0294136139354eb8cd37591578f9c600dd9be8ec6219fdd507adf"
    "3397ed4d68707b8d13b24ce4cd8fb22851bfe9d632407f31ed6f7cb1600de56f17576740ce2a32fc5145030145cf"
    "b97e63e0e41d354274a079d3e6fb2e15"
)

LABEL, CONTEXT = "pds/v1/message", "mailbox-1"


def labeled_extract(suite_id: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite_id + label + ikm, "sha256")


def labeled_expand(suite_id: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    full = length.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + info
    return hmac.digest(prk, full + b"\x01", "sha256")[:length]


def base_mode_aes256(kem_id: int, shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    """RFC 9180, section 5.1, mode_base, HKDF-SHA256 and AES-256-GCM, with the standard library."""
    suite = b"HPKE" + kem_id.to_bytes(2, "big") + b"\x00\x01\x00\x02"
    context = (
        b"\x00"
        + labeled_extract(suite, b"", b"psk_id_hash", b"")
        + labeled_extract(suite, b"", b"info_hash", info)
    )
    secret = labeled_extract(suite, shared, b"secret", b"")
    return (
        labeled_expand(suite, secret, b"key", context, 32),
        labeled_expand(suite, secret, b"base_nonce", context, 12),
    )


def sealed_by_hand(plaintext: bytes) -> bytes:
    """The sealed form, built from the published encapsulation and the documented steps."""
    key_id = SealingKey.from_seed(XWING_SEED).public.id
    info = length_prefixed(
        b"pds/v1/seal",
        b"MLKEM768-X25519,HKDF-SHA256,AES-256-GCM",
        LABEL.encode(),
        key_id.encode(),
        CONTEXT.encode(),
    )
    key, nonce = base_mode_aes256(0x647A, XWING_SHARED, info)
    return b"\x01" + XWING_ENC + AESGCM(key).encrypt(nonce, pad(plaintext), None)


def test_seed_gives_the_published_xwing_key() -> None:
    """The seed of the X-Wing draft expands to the public key of the draft."""
    public = SealingKey.from_seed(XWING_SEED).public
    assert hashlib.sha3_256(public.bytes).hexdigest() == XWING_PUBLIC_SHA3


def test_published_encapsulation_opens() -> None:
    """What an independent key schedule seals over the draft's encapsulation, we open."""
    key = SealingKey.from_seed(XWING_SEED)
    assert open_sealed(sealed_by_hand(b"hello"), key=key, label=LABEL, context=CONTEXT) == b"hello"


def test_sealed_form_is_frozen() -> None:
    """The bytes of version 1 never change: key id and sealed blob have the hashes they had."""
    assert (
        SealingKey.from_seed(XWING_SEED).public.id
        == "uEiAugW3uvNdsXIDQzS0XRHiHFljo4v9CvJ1KbkhjcuhWuw"
    )
    assert (
        hashlib.sha256(sealed_by_hand(b"hello")).hexdigest()
        == "498b8b86916aaa43d93996ed5889b972ecc3569e23241435bc2947a2cb9e0843"
    )


def test_locked_form_is_frozen() -> None:
    """The bytes of version 1 of a locked request never change."""
    locked = lock_with_secret(
        b"hello", secret=bytes(32), label="pds/v1/request", context="r1", random=bytes
    )
    assert (
        hashlib.sha256(locked).hexdigest()
        == "c06c60e4cd76c63a53ab05bda17240dd4392bd874401c3c8eca2d857b5be47e4"
    )
    opened = unlock_with_secret(locked, secret=bytes(32), label="pds/v1/request", context="r1")
    assert opened == b"hello"


AEADS = {
    1: (AEAD.AES_128_GCM, AESGCM),
    2: (AEAD.AES_256_GCM, AESGCM),
    3: (AEAD.CHACHA20_POLY1305, ChaCha20Poly1305),
}


@pytest.mark.parametrize("aead_id", AEADS)
def test_rfc_9180_base_mode(vectors: Path, aead_id: int) -> None:
    """The library's HPKE agrees with RFC 9180, Appendix A, `info` included.

    Its public interface has no additional data, so the message is encrypted anew under the
    vector's own key and base nonce.
    """
    published = json.loads((vectors / "hpke" / "rfc9180.json").read_text())
    chosen = [
        one
        for one in published
        if (one["mode"], one["kem_id"], one["kdf_id"], one["aead_id"]) == (0, 32, 1, aead_id)
    ]
    assert chosen, "no vector for this suite"
    name, cipher = AEADS[aead_id]
    for one in chosen:
        raw = {k: bytes.fromhex(one[k]) for k in ("key", "base_nonce", "enc", "info", "skRm")}
        plaintext = bytes.fromhex(one["encryptions"][0]["pt"])
        published_ct = bytes.fromhex(one["encryptions"][0]["ct"])
        aad = bytes.fromhex(one["encryptions"][0]["aad"])
        assert cipher(raw["key"]).encrypt(raw["base_nonce"], plaintext, aad) == published_ct
        message = raw["enc"] + cipher(raw["key"]).encrypt(raw["base_nonce"], plaintext, None)
        private = X25519PrivateKey.from_private_bytes(raw["skRm"])
        suite = Suite(KEM.X25519, KDF.HKDF_SHA256, name)
        assert suite.decrypt(message, private, raw["info"]) == plaintext


def test_key_schedule_of_these_tests_is_the_rfcs(vectors: Path) -> None:
    """The key schedule written out above gives the key and nonce of RFC 9180."""
    published = json.loads((vectors / "hpke" / "rfc9180.json").read_text())
    chosen = [
        one
        for one in published
        if (one["mode"], one["kem_id"], one["kdf_id"], one["aead_id"]) == (0, 32, 1, 2)
    ]
    assert chosen, "no vector for this suite"
    for one in chosen:
        shared, info = bytes.fromhex(one["shared_secret"]), bytes.fromhex(one["info"])
        key, nonce = base_mode_aes256(0x20, shared, info)
        assert (key.hex(), nonce.hex()) == (one["key"], one["base_nonce"])
