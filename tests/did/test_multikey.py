"""Bytes as text: one text for given bytes."""

import base64
import csv
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import DidError, EncodingError, KeyFormatError
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
    multibase_encode,
    multihash_of_sha256,
    multihash_sha256,
)

DATA = st.binary(max_size=200)


@settings(deadline=None, max_examples=100)
@given(DATA)
def test_base64url_round_trip(data: bytes) -> None:
    """What was written is read back, and is what the standard library writes."""
    text = b64url_encode(data)
    assert b64url_decode(text) == data
    assert text == base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("length", [1, 2, 127, 128, 129, 255, 256, 257, 1000])
def test_base58btc_is_a_number_to_the_base_58(length: int) -> None:
    """Digits are read many at once; the value is that of reading them one by one."""
    digits = [(7 * place + length) % 57 + 1 for place in range(length)]
    number = 0
    for digit in digits:
        number = number * 58 + digit
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    data = number.to_bytes((number.bit_length() + 7) // 8)
    assert base58btc_decode("".join(alphabet[digit] for digit in digits)) == data


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 5), DATA)
def test_base58btc_round_trip(zeros: int, data: bytes) -> None:
    """Leading zero bytes survive too."""
    assert base58btc_decode(base58btc_encode(bytes(zeros) + data)) == bytes(zeros) + data


@settings(deadline=None, max_examples=100)
@given(st.text("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", max_size=60))
def test_every_base58btc_text_is_the_only_one_for_its_bytes(text: str) -> None:
    """Decoding and encoding gives the same text."""
    assert base58btc_encode(base58btc_decode(text)) == text


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=12))
def test_decoders_take_only_what_the_encoders_write(text: str) -> None:
    """Any text is either refused or the encoding of its bytes."""
    for decode, encode in (
        (b64url_decode, b64url_encode),
        (base58btc_decode, base58btc_encode),
        (multibase_decode, lambda data: multibase_encode(data, text[0])),  # type: ignore[arg-type]
    ):
        try:
            data = decode(text)
        except DidError:
            continue
        assert encode(data) == text


def test_long_texts_are_refused_before_they_cost_anything() -> None:
    """base58btc takes quadratic time, so its length has a limit both ways."""
    assert base58btc_decode("2" * 4096)
    # What is written can be read again.
    assert base58btc_decode(base58btc_encode(b"\xff" * 2999)) == b"\xff" * 2999
    for refused in (lambda: base58btc_decode("2" * 4097), lambda: base58btc_encode(bytes(3000))):
        with pytest.raises(EncodingError) as caught:
            refused()
        assert caught.value.code == "encoding.too_long"


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(Codec), st.data())
def test_multikey_round_trip(codec: Codec, data: st.DataObject) -> None:
    """Every kind of key is read back as what it was."""
    length = codec.key_length or 270
    key = data.draw(st.binary(min_size=length, max_size=length))
    assert decode_multikey(encode_multikey(codec, key)) == (codec, key)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "encoding.multibase"),
        ("u7QE", "encoding.multibase"),
        ("z", "key.codec"),
        ("z" + base58btc_encode(b"\x12\x20" + bytes(32)), "key.codec"),
        ("z" + base58btc_encode(b"\xed\x01" + bytes(31)), "key.length"),
        ("z" + base58btc_encode(b"\xed\x01" + bytes(33)), "key.length"),
        ("z" + base58btc_encode(b"\x85\x24"), "key.length"),
        ("z" + base58btc_encode(b"\xed\x81\x00" + bytes(32)), "key.codec"),
    ],
)
def test_texts_that_are_no_multikey(text: str, code: str) -> None:
    """Another base, an unknown kind, a wrong length, a longer spelling of the kind."""
    with pytest.raises(DidError) as caught:
        decode_multikey(text)
    assert caught.value.code == code


def test_a_key_of_a_wrong_length_is_not_written() -> None:
    """The length is checked on the way out too."""
    with pytest.raises(KeyFormatError) as caught:
        encode_multikey(Codec.ED25519_PUB, bytes(31))
    assert caught.value.code == "key.length"


def test_multihash_names_the_digest() -> None:
    """SHA-256, 47 characters, uEi…"""
    text = multihash_sha256(b"abc")
    assert text.startswith("uEi")
    assert len(text) == 47
    assert check_multihash(text) == hashlib.sha256(b"abc").digest()
    with pytest.raises(EncodingError):
        multihash_of_sha256(bytes(31))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "z" + base58btc_encode(b"\x12\x20" + bytes(32)),
        "u" + b64url_encode(b"\x13\x20" + bytes(32)),
        "u" + b64url_encode(b"\x12\x14" + bytes(20)),
        "u" + b64url_encode(b"\x12\x20" + bytes(33)),
    ],
)
def test_other_multihashes_are_refused(text: str) -> None:
    """Another base, another hash, a shortened or lengthened digest."""
    with pytest.raises(EncodingError) as caught:
        check_multihash(text)
    assert caught.value.code == "encoding.multihash"


def test_published_multibase_vectors(vectors: Path) -> None:
    """The rows of the two bases in use; the others are refused."""
    seen = 0
    for path in sorted((vectors / "multibase/tests").glob("*.csv")):
        rows = list(csv.reader(path.read_text().splitlines(), skipinitialspace=True))
        plain = rows[0][1].encode().decode("unicode_escape").encode("latin-1")
        for name, text in rows[1:]:
            if name in ("base58btc", "base64url"):
                seen += 1
                assert multibase_decode(text) == plain
                assert multibase_encode(plain, "z" if name == "base58btc" else "u") == text
            else:
                with pytest.raises(EncodingError):
                    multibase_decode(text)
    assert seen == 6


def test_codecs_stand_in_the_multicodec_table(vectors: Path) -> None:
    """Names and codes are those of the published table."""
    rows = csv.reader(
        (vectors / "multicodec/table.csv").read_text().splitlines(), skipinitialspace=True
    )
    table = {row[0]: int(row[2], 16) for row in rows if row[1] == "key"}
    for codec in Codec:
        assert table[codec.table_name] == codec.code
        low, high = codec.prefix
        assert (low & 0x7F) | high << 7 == codec.code
        assert low & 0x80


def test_published_multihash_vectors(vectors: Path) -> None:
    """Whole SHA-256 rows are made and read; shortened ones and other hashes are refused."""
    whole = other = 0
    path = vectors / "multihash/tests/values/test_cases.csv"
    for row in csv.DictReader(path.read_text().splitlines()):
        text = "u" + b64url_encode(bytes.fromhex(row["multihash"]))
        if (row["algorithm"], row["bits"]) == ("sha2-256", "256"):
            whole += 1
            # The column is the text itself, not its hexadecimal reading.
            assert multihash_sha256(row["input"].encode()) == text
            assert check_multihash(text) == bytes.fromhex(row["multihash"])[2:]
        else:
            other += 1
            with pytest.raises(EncodingError):
                check_multihash(text)
    assert whole > 5
    assert other > 5
