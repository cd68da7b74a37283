"""Sealing to a key, locking with a secret, padding."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pds.sealing import (
    BUCKETS,
    MAX_PLAINTEXT,
    SealingError,
    SealingKey,
    SealingPublicKey,
    length_prefixed,
    lock_with_secret,
    open_sealed,
    pad,
    seal,
    unlock_with_secret,
    unpad,
)

KEY = SealingKey.from_seed(b"\x07" * 32)
OTHER = SealingKey.from_seed(b"\x08" * 32)
SECRET = b"\x09" * 32
LABEL, CONTEXT = "pds/v1/message", "mailbox-1"
SEALED = seal(b"content", to=KEY.public, label=LABEL, context=CONTEXT)
LOCKED = lock_with_secret(b"content", secret=SECRET, label=LABEL, context=CONTEXT)


def refuses(data: bytes) -> None:
    with pytest.raises(SealingError) as caught:
        open_sealed(data, key=KEY, label=LABEL, context=CONTEXT)
    assert caught.value.code == "sealing.cannot_open"
    assert str(caught.value) == "This cannot be opened."


@settings(deadline=None, max_examples=40)
@given(content=st.binary(max_size=5000), label=st.text(min_size=1, max_size=30), context=st.text())
def test_what_is_sealed_opens(content: bytes, label: str, context: str) -> None:
    """Sealing and opening with the same label and context gives the content back."""
    sealed = seal(content, to=KEY.public, label=label, context=context)
    assert open_sealed(sealed, key=KEY, label=label, context=context) == content


@settings(deadline=None, max_examples=40)
@given(content=st.binary(max_size=5000), secret=st.binary(min_size=32, max_size=32))
def test_what_is_locked_unlocks(content: bytes, secret: bytes) -> None:
    """Locking and unlocking with the same secret gives the content back."""
    locked = lock_with_secret(content, secret=secret, label=LABEL, context=CONTEXT)
    assert unlock_with_secret(locked, secret=secret, label=LABEL, context=CONTEXT) == content


@settings(deadline=None, max_examples=100)
@given(place=st.integers(0, len(SEALED) - 1), mask=st.integers(1, 255))
def test_one_changed_byte_never_opens(place: int, mask: int) -> None:
    """Any change to any one byte of a sealed blob is refused, always with the same error."""
    changed = bytearray(SEALED)
    changed[place] ^= mask
    refuses(bytes(changed))


@settings(deadline=None, max_examples=100)
@given(place=st.integers(0, len(LOCKED) - 1), mask=st.integers(1, 255))
def test_one_changed_byte_never_unlocks(place: int, mask: int) -> None:
    """Any change to any one byte of a locked blob is refused."""
    changed = bytearray(LOCKED)
    changed[place] ^= mask
    with pytest.raises(SealingError) as caught:
        unlock_with_secret(bytes(changed), secret=SECRET, label=LABEL, context=CONTEXT)
    assert caught.value.code == "sealing.cannot_open"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x01", SEALED[:-1], SEALED + b"\x00", SEALED[1:], b"\x02" + SEALED[1:], SEALED[:1121]],
)
def test_malformed_blobs_are_refused_alike(data: bytes) -> None:
    """Cut, lengthened and foreign blobs give the error that a wrong key gives."""
    refuses(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x01", LOCKED[:-1], b"\x02" + LOCKED[1:], pytest.param(LOCKED[:13], id="its head")],
)
def test_malformed_locked_blobs_are_refused_alike(data: bytes) -> None:
    """Cut and foreign blobs give the error that a wrong secret gives."""
    with pytest.raises(SealingError) as caught:
        unlock_with_secret(data, secret=SECRET, label=LABEL, context=CONTEXT)
    assert caught.value.code == "sealing.cannot_open"


def test_malformed_padding_inside_a_genuine_seal_is_refused_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sender who pads wrongly learns no more than one who uses a wrong key."""
    monkeypatch.setattr("pds.sealing.pad", lambda data: b"\xff" * 1024)
    sealed = seal(b"", to=KEY.public, label=LABEL, context=CONTEXT)
    monkeypatch.undo()
    refuses(sealed)


def test_a_wrong_secret_label_or_context_does_not_unlock() -> None:
    """Secret, label and context all bind a locked blob."""
    for secret, label, context in (
        (b"\x00" * 32, LABEL, CONTEXT),
        (SECRET, "pds/v1/other", CONTEXT),
        (SECRET, LABEL, "mailbox-2"),
    ):
        with pytest.raises(SealingError) as caught:
            unlock_with_secret(LOCKED, secret=secret, label=label, context=context)
        assert caught.value.code == "sealing.cannot_open"


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_secret_of_another_length_is_refused(length: int) -> None:
    """A cut link is told apart from a wrong one, before anything is computed."""
    with pytest.raises(SealingError) as caught:
        unlock_with_secret(LOCKED, secret=bytes(length), label=LABEL, context=CONTEXT)
    assert caught.value.code == "sealing.key"
    with pytest.raises(SealingError):
        lock_with_secret(b"", secret=bytes(length), label=LABEL, context=CONTEXT)


def test_a_short_nonce_is_refused() -> None:
    """A broken source of randomness does not go unnoticed."""
    with pytest.raises(SealingError):
        lock_with_secret(
            b"", secret=SECRET, label=LABEL, context=CONTEXT, random=lambda n: bytes(n - 1)
        )


def test_an_empty_label_is_refused() -> None:
    """Nothing is sealed or opened for no stated purpose."""
    for act in (
        lambda: seal(b"", to=KEY.public, label="", context=CONTEXT),
        lambda: open_sealed(SEALED, key=KEY, label="", context=CONTEXT),
        lambda: seal(b"", to=KEY.public, label="\ud800", context=CONTEXT),
    ):
        with pytest.raises(SealingError) as caught:
            act()
        assert caught.value.code == "sealing.format"


@settings(deadline=None, max_examples=60)
@given(
    size=st.one_of(
        st.integers(0, 70_000),
        st.integers(0, MAX_PLAINTEXT),
        st.sampled_from([b - 4 + more for b in BUCKETS[:-1] for more in (-1, 0, 1)]),
    )
)
def test_padding_goes_to_the_smallest_bucket(size: int) -> None:
    """The padded size is the smallest bucket that holds the length field and the content."""
    padded = pad(bytes(size))
    kib = -(-(size + 4) // 1024)
    small = [step for step in (1, 4, 16, 64, 256, 1024) if kib <= step]
    assert len(padded) == 1024 * (small[0] if small else -(-kib // 1024) * 1024)
    assert unpad(padded) == bytes(size)


@pytest.mark.parametrize(
    ("size", "bucket"), [(1020, 1024), (1021, 4096), (262_141, 1_048_576), (0, 1024)]
)
def test_bucket_edges(size: int, bucket: int) -> None:
    """One byte more than fits takes the next bucket."""
    assert len(pad(bytes(size))) == bucket


def test_all_sizes_of_a_bucket_look_alike() -> None:
    """Blobs of different contents have one length per bucket."""
    lengths = {
        len(seal(bytes(n), to=KEY.public, label=LABEL, context="")) for n in (0, 1, 500, 1020)
    }
    assert lengths == {1 + 1120 + 1024 + 16}


def test_more_than_a_mebibyte_is_refused() -> None:
    """The largest content is 1 MiB less the length field."""
    largest = bytes(MAX_PLAINTEXT)
    sealed = seal(largest, to=KEY.public, label=LABEL, context=CONTEXT)
    assert open_sealed(sealed, key=KEY, label=LABEL, context=CONTEXT) == largest
    for act in (
        lambda: seal(largest + b"\x00", to=KEY.public, label=LABEL, context=CONTEXT),
        lambda: lock_with_secret(largest + b"\x00", secret=SECRET, label=LABEL, context=CONTEXT),
    ):
        with pytest.raises(SealingError) as caught:
            act()
        assert caught.value.code == "sealing.too_large"


@pytest.mark.parametrize(
    "padded",
    [
        b"",
        bytes(3),
        bytes(1023),
        bytes(2048),
        (1021).to_bytes(4, "big") + bytes(1020),
        b"\xff" * 1024,
        (0).to_bytes(4, "big") + bytes(1019) + b"\x01",
        (0).to_bytes(4, "big") + bytes(4092),
        (1020).to_bytes(4, "big") + bytes(4092),
    ],
)
def test_malformed_padding_is_refused(padded: bytes) -> None:
    """No bucket, a length beyond it, padding that is not zero, a bucket too large."""
    with pytest.raises(SealingError) as caught:
        unpad(padded)
    assert caught.value.code == "sealing.format"


def test_public_key_json_round_trip() -> None:
    """A public key comes back from its JSON form, equal and with the same id."""
    raw = KEY.public.to_json()
    again = SealingPublicKey.parse(raw, expected_id=KEY.public.id)
    assert again == KEY.public
    assert hash(again) == hash(KEY.public)
    assert again != OTHER.public
    assert again.bytes == KEY.public.bytes
    assert len(again.bytes) == 1216
    assert again.id.startswith("uEi")


@pytest.mark.parametrize(
    "change",
    [
        {"kem": "X25519"},
        {"kem": None},
        {"publicKey": 7},
        {"publicKey": ""},
        {"publicKey": "a" * 1622},
        {"publicKey": "***"},
        {"alg": "none"},
    ],
)
def test_malformed_public_key_json_is_refused(change: dict[str, object]) -> None:
    """Another kind, a missing, foreign or additional member."""
    raw = {**KEY.public.to_json(), **change}
    with pytest.raises(SealingError) as caught:
        SealingPublicKey.parse(raw)  # type: ignore[arg-type]
    assert caught.value.code == "sealing.key"
    with pytest.raises(SealingError):
        SealingPublicKey.parse({})


@pytest.mark.parametrize("length", [0, 32, 1184, 1215, 1217])
def test_public_keys_of_other_lengths_are_refused(length: int) -> None:
    """Only 1216 bytes are a hybrid key."""
    with pytest.raises(SealingError) as caught:
        SealingPublicKey.from_bytes((KEY.public.bytes * 2)[:length])
    assert caught.value.code == "sealing.key"


def test_an_mlkem_half_beyond_the_modulus_is_refused() -> None:
    """The modulus check of FIPS 203 is made."""
    with pytest.raises(SealingError, match="ML-KEM-768"):
        SealingPublicKey.from_bytes(b"\xff" * 1184 + KEY.public.bytes[1184:])


def test_a_second_spelling_of_the_x25519_half_is_refused() -> None:
    """The same point with the unused top bit set would be the same key under another id."""
    raw = bytearray(KEY.public.bytes)
    raw[-1] |= 0x80
    with pytest.raises(SealingError, match="canonical"):
        SealingPublicKey.from_bytes(bytes(raw))


@pytest.mark.parametrize("length", [0, 31, 33, 96])
def test_seeds_of_other_lengths_are_refused(length: int) -> None:
    """A seed has 32 bytes."""
    with pytest.raises(SealingError) as caught:
        SealingKey.from_seed(bytes(length))
    assert caught.value.code == "sealing.key"


def test_generated_keys_use_the_given_randomness_and_show_no_secret() -> None:
    """The seed is what `random` gave; `repr` of neither half shows key bytes."""
    key = SealingKey.generate(lambda n: b"\x07" * n)
    assert key.unsafe_export_seed() == b"\x07" * 32
    assert key.public == KEY.public
    assert SealingKey.generate().public != SealingKey.generate().public
    assert repr(key) == f"SealingKey({key.public.id})"
    assert repr(key.public) == f"SealingPublicKey(id={key.public.id!r})"


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_length_prefixed_lists_never_look_alike(one: list[bytes], two: list[bytes]) -> None:
    """Different lists of fields have different encodings."""
    assert (length_prefixed(*one) == length_prefixed(*two)) == (one == two)
