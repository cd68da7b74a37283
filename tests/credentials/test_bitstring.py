"""Bits of a status list and their compressed form."""

import gzip
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.bitstring import MIN_ENTRIES, BitString
from credentials.errors import StatusInvalid
from did.multikey import b64url_encode

indexes = st.sets(st.integers(0, MIN_ENTRIES - 1), max_size=40)


def _with_bits(chosen: set[int]) -> BitString:
    bits = BitString.empty()
    for index in chosen:
        bits = bits.with_bit(index)
    return bits


def test_the_published_list_is_all_clear(vectors: Path):
    text = (vectors / "bitstring-status-list" / "encoded-list.txt").read_text().strip()
    bits = BitString.decode(text)
    assert bits == BitString.empty()
    assert len(bits) == MIN_ENTRIES


@given(indexes)
@settings(deadline=None, max_examples=40)
def test_what_is_encoded_comes_back(chosen):
    bits = _with_bits(chosen)
    again = BitString.decode(bits.encode())
    assert again == bits
    assert {index for index in chosen if again.get(index)} == chosen


@given(indexes, indexes)
@settings(deadline=None, max_examples=40)
def test_a_list_covers_another_when_no_bit_was_cleared(first, second):
    assert _with_bits(first | second).covers(_with_bits(first))
    assert _with_bits(first).covers(_with_bits(second)) == (second <= first)


def test_bit_zero_is_the_leftmost():
    """Bitstring Status List 1.0 §3.2 counts from the left of the first byte."""
    packed = b"\x80" + bytes(MIN_ENTRIES // 8 - 1)
    assert BitString(packed).get(0)
    assert not BitString(packed).get(7)


def test_encoding_says_no_time():
    """The same bits are the same text, whenever they are encoded."""
    assert BitString.empty().encode() == BitString.empty().encode()


def test_lists_of_different_lengths_do_not_cover_each_other():
    assert not BitString.empty(MIN_ENTRIES * 2).covers(BitString.empty())


@pytest.mark.parametrize(
    ("packed", "code"),
    [
        (b"not gzip", "status.compression"),
        (zlib.compress(bytes(16_384)), "status.compression"),
        (gzip.compress(bytes(16_384), mtime=0)[:-4], "status.compression"),
        (gzip.compress(bytes(16_384), mtime=0)[:-1] + b"\0\0", "status.compression"),
        (b"", "status.encoding"),
    ],
)
def test_what_is_not_one_gzip_member_is_refused(packed, code):
    with pytest.raises(StatusInvalid) as caught:
        BitString.decode("u" + b64url_encode(packed))
    assert caught.value.code == code


@pytest.mark.parametrize("text", ["", "u", "z1111", "H4sI", "u====", "uH4sI\n"])
def test_what_is_not_base64url_multibase_is_refused(text):
    with pytest.raises(StatusInvalid) as caught:
        BitString.decode(text)
    assert caught.value.code == "status.encoding"


def test_the_printed_form_does_not_show_bits():
    assert repr(BitString.empty()) == "<BitString of 131072>"


def test_an_odd_length_is_refused():
    with pytest.raises(StatusInvalid):
        BitString.empty(MIN_ENTRIES + 1)


def test_what_lies_outside_of_a_list_is_refused():
    """Reading, setting, a value too large, and lists of different lengths."""
    bits = BitString.empty()
    longer = BitString.empty(MIN_ENTRIES * 2)
    for act, code in (
        (lambda: bits.get(-1), "status.index_range"),
        (lambda: bits.get(MIN_ENTRIES), "status.index_range"),
        (lambda: bits.with_bit(-1), "status.index_range"),
        (lambda: bits.with_bit(MIN_ENTRIES), "status.index_range"),
        (lambda: bits.with_value(0, 2, 4), "status.value"),
        (lambda: bits.with_value(0, 1, -1), "status.value"),
        (lambda: bits.union(longer), "status.length"),
        (lambda: BitString.decode(longer.encode(), max_bytes=MIN_ENTRIES // 8), "status.too_large"),
    ):
        with pytest.raises(StatusInvalid) as caught:
            act()
        assert caught.value.code == code
