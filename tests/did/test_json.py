"""Strict JSON and JCS."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from did.errors import JsonError
from did.json import MAX_DEPTH, canonicalize, digest, parse, parse_object, without_proof
from did.multikey import check_multihash

INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
KEYS = st.text(max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def values(scalars: st.SearchStrategy[Any], keys: st.SearchStrategy[str] = KEYS) -> Any:
    """JSON values with the given scalars and keys."""
    return st.recursive(
        st.none() | st.booleans() | st.text() | scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=20,
    )


def verdict(raw: bytes | str, **options: Any) -> tuple[str, Any]:
    """What parse says: the value, or the code of the refusal."""
    try:
        return "value", parse(raw, **options)
    except JsonError as error:
        return "error", error.code


@settings(deadline=None, max_examples=100)
@given(values(INTEGERS))
def test_parse_reads_back_what_canonicalize_wrote(value: Any) -> None:
    """parse after canonicalize is the identity."""
    assert parse(canonicalize(value)) == value


def _refused(raw: bytes | str) -> bool:
    try:
        parse(raw, allow_floats=True)
    except JsonError:
        return True
    return False


@example([1e20, 9007199254740992.0])
@settings(deadline=None, max_examples=100)
@given(values(INTEGERS | FLOATS))
def test_floats_survive_when_they_are_allowed(value: Any) -> None:
    """The value read is equal, whichever of JSON's spellings of numbers was written."""
    written = json.dumps(value)
    if _refused(canonicalize(value)):  # its canonical form is an integer out of range
        assert _refused(written)
    else:
        assert parse(written, allow_floats=True) == value


@settings(deadline=None, max_examples=100)
@given(values(INTEGERS | FLOATS))
def test_canonical_form_is_that_of_rfc8785(value: Any) -> None:
    """Quick path or not, the bytes are those of the reference implementation."""
    assert canonicalize(value) == rfc8785.dumps(value)


@example({"\ue000": 1, "😀": 2})
@settings(deadline=None, max_examples=100)
@given(values(INTEGERS, st.text(st.characters(min_codepoint=0xD000, exclude_categories=["Cs"]))))
def test_keys_are_sorted_by_utf16_units(value: Any) -> None:
    """Keys beyond the basic plane sort before U+E000, unlike in UTF-8."""
    assert canonicalize(value) == rfc8785.dumps(value)


def test_every_code_point_is_escaped_as_jcs_wants_it() -> None:
    """One string with every character there is."""
    every = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF)
    assert canonicalize(every) == rfc8785.dumps(every)


FRAGMENTS = st.sampled_from(
    [
        *'{}[]:," \n',
        *('"a"', '"b"', '"\\u0061"', '"\\ud800"', '"\\ud83d\\ude00"', '"é"', '"\\/"', '"', "\\"),
        *("0", "-0", "1", "01", "1.0", "1e2", "1e999", "-1", "9007199254740991"),
        *("9007199254740992", "18446744073709551616", "true", "null", "NaN", "-Infinity", "\ufeff"),
    ]
)


@settings(deadline=None, max_examples=100)
@given(st.lists(FRAGMENTS, max_size=12).map("".join), st.booleans())
def test_both_paths_come_to_the_same_verdict(text: str, allow_floats: bool) -> None:
    """A space at the end keeps the quick path from applying, and changes nothing else."""
    assert verdict(text, allow_floats=allow_floats) == verdict(
        text + " ", allow_floats=allow_floats
    )


@settings(deadline=None, max_examples=100)
@given(values(INTEGERS), st.data())
def test_both_paths_agree_on_damaged_texts(value: Any, data: st.DataObject) -> None:
    """One byte of a canonical text changed: value or refusal, the same on both paths."""
    raw = bytearray(canonicalize(value))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert verdict(bytes(raw)) == verdict(bytes(raw) + b" ")


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(KEYS, values(st.integers() | FLOATS), max_size=4), st.booleans())
def test_both_paths_agree_on_numbers(value: Any, allow_floats: bool) -> None:
    """Compact objects with floats and large integers, as values and next to look-alikes."""
    value |= {"did:e.1": "x:1.5,2e3[4.5", "n": [0, {"m": -1}]}
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert verdict(raw, allow_floats=allow_floats) == verdict(raw + " ", allow_floats=allow_floats)


@pytest.mark.parametrize("number", ["0.0", "-1.5", "1e16", "1e-7", "12345678.25", "-5e-324"])
@pytest.mark.parametrize("frame", ['{"a":%s}', '{"a":[%s]}', '{"a":[1,%s]}', "[%s]", "%s"])
def test_a_float_is_found_wherever_it_stands(frame: str, number: str) -> None:
    """As a member, as the first and as a later element, alone: on both paths."""
    assert verdict(frame % number) == verdict(frame % number + " ") == ("error", "json.float")


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(KEYS | st.just("proof"), values(INTEGERS), max_size=5))
def test_without_a_proof_the_rest_is_as_it_was(value: Any) -> None:
    """And the object that it was taken from still has it."""
    before = dict(value)
    rest = without_proof(value)
    assert rest == {key: member for key, member in value.items() if key != "proof"}
    assert value == before


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "json.syntax"),
        (b"{", "json.syntax"),
        (b'{"a":1,}', "json.syntax"),
        (b"[01]", "json.syntax"),
        (b"'a'", "json.syntax"),
        (b"[1]//", "json.syntax"),
        (b'"\t"', "json.syntax"),
        (b"\xc2\xa0[1]", "json.syntax"),
        (b'"\xff"', "json.encoding"),
        (b'"\xed\xa0\x80"', "json.encoding"),
        (b"1" * 5000, "json.integer_range"),
        (b"-Infinity", "json.number"),
    ],
)
def test_texts_that_are_not_strict_json(raw: bytes, code: str) -> None:
    """Each is refused with its own reason."""
    assert verdict(raw) == ("error", code)


def test_size_is_counted_in_bytes() -> None:
    """Two characters of two bytes are four, and two quotation marks."""
    assert parse("éé".join('""'), max_bytes=6) == "éé"
    assert verdict("éé".join('""'), max_bytes=5) == ("error", "json.too_large")
    assert verdict(b'"abcd"', max_bytes=5) == ("error", "json.too_large")


def test_brackets_in_strings_do_not_count_as_depth() -> None:
    """Depth is of containers, not of characters, with escaped quotation marks too."""
    text = json.dumps(["[" * 100, '"' + "{" * 100, "\\"])
    assert parse(text) == json.loads(text)


def test_a_text_of_quotation_marks_is_refused_in_linear_time() -> None:
    """An unterminated string full of escapes is read once, not once per escape."""
    assert verdict(b'"' + b'\\"' * 500_000) == ("error", "json.syntax")


def test_parse_object_wants_an_object() -> None:
    """A list is JSON and not an object."""
    assert parse_object('{"a": 1}') == {"a": 1}
    with pytest.raises(JsonError) as caught:
        parse_object("[1]")
    assert caught.value.code == "json.not_an_object"


def nested(depth: int) -> Any:
    """A value of so many lists."""
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_the_deepest_allowed_value_is_read_and_written() -> None:
    """32 containers are allowed."""
    deepest = nested(MAX_DEPTH)
    assert parse(canonicalize(deepest)) == deepest


class Text(str):
    """A string, but not one that orjson would take for one."""


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (2**53, "json.integer_range"),
        ([-(2**53)], "json.integer_range"),
        (float("nan"), "json.number"),
        ({"a": float("inf")}, "json.number"),
        ("\ud800", "json.surrogate"),
        ({"\udfff": 1}, "json.surrogate"),
        ({1: 2}, "json.type"),
        ({"a": {1, 2}}, "json.type"),
        (b"a", "json.type"),
        (nested(100_000), "json.depth"),
    ],
)
def test_values_without_a_canonical_form(value: Any, code: str) -> None:
    """What has no JCS form is refused, not guessed."""
    with pytest.raises(JsonError) as caught:
        canonicalize(value)
    assert caught.value.code == code


def test_subclasses_are_written_like_what_they_are() -> None:
    """A str subclass as key or value is a string."""
    assert canonicalize({Text("b"): Text("é"), "a": True}) == '{"a":true,"b":"é"}'.encode()


def test_digest_leaves_out_the_proof_and_only_on_top() -> None:
    """The digest is SHA-256 of the JCS form without the top-level proof."""
    document: dict[str, Any] = {"b": 1, "a": {"proof": 2}}
    name = digest({**document, "proof": {"x": 1}})
    assert name == digest(document)
    assert name.startswith("uEi")
    assert len(name) == 47
    assert check_multihash(name) == hashlib.sha256(b'{"a":{"proof":2},"b":1}').digest()
    assert digest({"b": 1, "a": {}}) != name


@pytest.mark.parametrize("source", ["jcs/testdata", "jcs-rfc8785py/test/assets"])
def test_published_jcs_vectors(vectors: Path, source: str) -> None:
    """Every published input gives the published output, as text and as bytes."""
    inputs = sorted((vectors / source / "input").glob("*.json"))
    assert len(inputs) == 6
    for path in inputs:
        made = canonicalize(parse(path.read_bytes(), allow_floats=True))
        assert made == (vectors / source / "output" / path.name).read_bytes().rstrip(b"\n"), (
            path.name
        )
        hexadecimal = (vectors / source / "outhex" / path.name).with_suffix(".txt").read_text()
        assert made == bytes.fromhex(hexadecimal), path.name
