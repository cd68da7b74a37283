"""Strict CBOR: one encoding, no tags, no depth."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials import cbor
from credentials.errors import ProofInvalid

ITEMS = st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=40), st.text(max_size=40))
ARRAYS = st.lists(
    st.one_of(ITEMS, st.lists(ITEMS, max_size=5), st.dictionaries(st.integers(0, 99), ITEMS)),
    max_size=6,
)


@given(ARRAYS)
def test_what_is_written_is_read(value):
    """And has the one encoding that is read."""
    assert cbor.decode(cbor.encode(value)) == value


@given(ARRAYS, st.data())
def test_another_encoding_is_refused_or_another_value(value, data):
    """No two byte strings are read as one value."""
    encoded = bytearray(cbor.encode(value))
    place = data.draw(st.integers(0, 8 * len(encoded) - 1))
    encoded[place // 8] ^= 1 << place % 8
    try:
        read = cbor.decode(bytes(encoded))
    except ProofInvalid:
        return
    assert cbor.encode(read) == bytes(encoded) != cbor.encode(value)


@pytest.mark.parametrize(
    "data",
    [
        cbor2.dumps([2**64]),
        cbor2.dumps([-(2**70)]),
        cbor2.dumps([cbor2.CBORTag(64, b"a")]),
        cbor2.dumps([cbor2.CBORTag(35, "a")]),
        cbor2.dumps(cbor2.CBORTag(55799, [1])),
        cbor2.dumps([[[1]]], canonical=True),
        cbor2.dumps([{1: [1]}], canonical=True),
        b"\x81\xa1\x81\x01\x01",
        b"\x9f\x01\xff",
        b"\x81\x5f\x41a\xff",
        b"\x98\x01\x01",
        b"\x81\x18\x01",
        b"\x81\xa2\x01\x01\x01\x01",
        b"\x81\xa2\x02\x01\x01\x01",
        b"\x81\x01\x01",
        b"\x81\x61\xff",
        b"\x81\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00",
        b"\xa0",
        b"\x01",
        b"\x81",
        b"",
    ],
)
def test_what_is_not_strict_is_refused(data):
    """Tags and big numbers, depth, indefinite and long lengths, repeated keys, bytes left over."""
    with pytest.raises(ProofInvalid) as caught:
        cbor.decode(data)
    assert caught.value.code == "proof.value"
