"""The change of a DID by itself: its form, its two proofs, and lines of changes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.json import JsonObject
from did.keys import SigningKey
from pds.messages.errors import ChangeRefused, MessageError
from pds.messages.succession import Change, DidChange, verify_change, verify_line

NOW = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)
KEYS = [SigningKey.from_seed(bytes([n]) * 32) for n in range(1, 8)]


def change(old: int, new: int, *, seq: int | None = None, at: datetime = NOW) -> JsonObject:
    """The change between two keys of the table, signed by both."""
    said = Change(old=KEYS[old].did, new=KEYS[new].did, seq=seq or new, at=at)
    return said.sign(old=KEYS[old], new=KEYS[new])


LINE = [change(n, n + 1) for n in range(len(KEYS) - 1)]


def test_a_change_is_read_as_it_was_written() -> None:
    """``parse`` and ``to_json`` are inverse to each other, for the change and for the message."""
    found = verify_change(LINE[0], now=NOW)
    assert (found.old, found.new, found.seq) == (KEYS[0].did, KEYS[1].did, 1)
    assert Change.parse(found.to_json()) == found
    body = DidChange(tuple(LINE), {"request": "…"}).to_json()
    assert DidChange.parse(body).to_json() == body


@settings(max_examples=25, deadline=None)
@given(st.permutations(LINE), st.integers(0, 5), st.integers(1, 6))
def test_a_line_holds_in_any_order_and_only_whole(
    line: list[JsonObject], first: int, last: int
) -> None:
    """Changes are a set. Any unbroken part of a line is one; with a gap in it, none is."""
    assert [c.seq for c in verify_line(line, sender=KEYS[-1].did, now=NOW)] == [1, 2, 3, 4, 5, 6]
    part = [raw for raw in line if first < Change.parse(raw).seq <= last]
    if first < last:
        found = verify_line(part, sender=KEYS[last].did, now=NOW)
        assert (found[0].old, found[-1].new) == (KEYS[first].did, KEYS[last].did)
    else:
        with pytest.raises(ChangeRefused):
            verify_line(part, sender=KEYS[last].did, now=NOW)
    holed = [raw for raw in line if Change.parse(raw).seq != 3]
    with pytest.raises(ChangeRefused) as refused:
        verify_line(holed, sender=KEYS[-1].did, now=NOW)
    assert refused.value.code == "change.line"


BAD = [
    ({"seq": 0}, "message.malformed"),
    ({"seq": True}, "message.malformed"),
    ({"from": "did:web:shop.example"}, "message.malformed"),
    ({"to": KEYS[0].did}, "change.same"),
    ({"at": "2026-05-04T10:20:30"}, "message.malformed"),
    ({"type": "Decision"}, "message.malformed"),
    ({"why": "because"}, "message.unknown_property"),
    ({"seq": 2}, "change.proof"),
    ({"to": KEYS[2].did}, "change.proof"),
    ({"at": "2026-05-04T10:20:29Z"}, "change.proof"),
]


@pytest.mark.parametrize(("members", "code"), BAD)
def test_what_is_no_change(members: JsonObject, code: str) -> None:
    """Another form, another key, or anything altered after it was signed."""
    with pytest.raises(MessageError) as refused:
        verify_change({**LINE[0], **members}, now=NOW)
    assert refused.value.code == code


def test_a_change_from_the_future() -> None:
    """A minute of skew is allowed, and no more."""
    for ahead, holds in ((60, True), (61, False)):
        raw = change(0, 1, at=NOW + timedelta(seconds=ahead))
        if holds:
            assert verify_change(raw, now=NOW).seq == 1
        else:
            with pytest.raises(ChangeRefused):
                verify_change(raw, now=NOW)
