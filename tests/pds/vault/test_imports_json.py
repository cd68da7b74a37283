"""JSON of any length: the values at given places, their lines, and what is wrong with a file."""

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pds.vault.imports import json_items
from pds.vault.imports.json_items import Item, JsonBroken, JsonItems, parse_place

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def items(data: bytes, *places: str) -> list[Item]:
    return list(JsonItems(io.BytesIO(data), [parse_place(place) for place in places]))


def texts(value: Any) -> Any:
    """Numbers as their texts, as the reader gives them."""
    return json.loads(json.dumps(value), parse_int=str, parse_float=str)


@given(st.lists(_VALUES), _VALUES, st.sampled_from([1, 2, 3, 7, 1000]))
@settings(max_examples=200, deadline=None)
def test_the_same_as_reading_it_whole(members: list[Any], other: Any, chunk: int) -> None:
    """In pieces of any size, with anything before and behind, the values are those of json."""
    document = {"before": other, "m": members, "z": {"in": [other]}, "behind": [other]}
    data = json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_items, "_CHUNK", chunk)
        found = items(data, "m[]", "z.in[]")
    assert [i.value for i in found if i.path == ("m", "[]")] == texts(members)
    assert [i.value for i in found if i.path == ("z", "in", "[]")] == [texts(other)]
    lines = data.split(b"\n")
    for item in found:
        assert item.problem is None
        assert lines[item.line - 1].strip().startswith(json.dumps(item.value)[:1].encode()) or (
            not isinstance(item.value, dict | list)
        )


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes(data: bytes) -> None:
    """A file is read to its end, or is no JSON from a line on; nothing else is raised."""
    for wrapped in (data, b"[" + data + b"]", b'{"m": [1, ' + data + b", 2]}"):
        try:
            items(wrapped, "[]", "m[]")
        except JsonBroken as error:
            line = error.line
        else:
            line = 1
        assert 0 < line <= wrapped.count(b"\n") + 1


def test_every_cut_is_noticed() -> None:
    """A file that ends early gives its first values, then says so."""
    data = b'{"m": [{"a": 1}, {"b": "\\u00e9]"}, 3], "t": 1}'
    for cut in range(len(data)):
        found: list[Item] = []
        reader = JsonItems(io.BytesIO(data[:cut]), [parse_place("m[]")])
        with pytest.raises(JsonBroken):
            found.extend(reader)
        values = [item.value for item in found if item.problem is None]
        assert values == [{"a": "1"}, {"b": "é]"}, "3"][: len(values)]


def test_bad_values_stand_alone() -> None:
    """One that is malformed or too deep or too large is named, and the next one is read."""
    deep = b"[" * 50_000 + b"]" * 50_000
    found = items(b'[1, {"a": x}, NaN, ' + deep + b",\n2]", "[]")
    assert [(i.line, i.value, i.problem and i.problem[0]) for i in found] == [
        (1, "1", None),
        (1, None, "json.entry"),
        (1, None, "json.entry"),
        (1, None, "json.depth"),
        (2, "2", None),
    ]


def test_too_large_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value beyond the limit is passed over, however it is made."""
    monkeypatch.setattr(json_items, "MAX_ITEM", 1000)
    monkeypatch.setattr(json_items, "_CHUNK", 100)
    monkeypatch.setattr(json_items._Text.value, "__kwdefaults__", {"limit": 1000})
    for big in (b'"' + b"x" * 5000 + b'"', b'{"a":"' + b'\\"' * 3000 + b'"}', b"9" * 5000):
        found = items(b"[1," + big + b",2]", "[]")
        assert [(i.value, i.problem and i.problem[0]) for i in found] == [
            ("1", None),
            (None, "json.too_large"),
            ("2", None),
        ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    """A mark at the beginning says which encoding it is."""
    assert items('[{"é": "ű"}]'.encode(encoding), "[]")[0].value == {"é": "ű"}


def test_bytes_that_are_no_text() -> None:
    """They are replaced, and the reader can be asked whether that happened."""
    reader = JsonItems(io.BytesIO(b'["\xff\xfe"]'), [parse_place("[]")])
    assert [item.value for item in reader] == ["\ufffd\ufffd"]
    assert reader.mended


def test_lines_of_json() -> None:
    """NDJSON is several values at the top."""
    assert [(i.line, i.value) for i in items(b'{"a":1}\n\n{"a":2}\n', "")] == [
        (1, {"a": "1"}),
        (3, {"a": "2"}),
    ]
