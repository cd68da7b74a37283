"""Text of somebody else as it is shown."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pds.oneline import one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Fő utca 1.\r\n  2. emelet\n", "Fő utca 1. ↵ 2. emelet"),
        ("a\u2028b\u2029c\x85d\ve", "a ↵ b ↵ c ↵ d ↵ e"),
        ("a\tb", "a b"),
        ("\x1b[2Ja\x9b2J", "\\u001b[2Ja\\u009b2J"),
        ("exe.\u202efdp", "exe.\\u202efdp"),
        ("a\u200bb\U000e0041", "a\\u200bb\\udb40\\udc41"),
        ("Kovács Ági 👨‍👩‍👧", "Kovács Ági 👨‍👩‍👧"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    """Line ends and what acts on a terminal are seen; letters and pictures stay as they are."""
    assert one_line(text) == shown


@given(st.text())
def test_one_line_is_one(text: str) -> None:
    """Whatever the text: no line end, no control character, nothing that turns words around."""
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    assert all(unicodedata.category(c) not in ("Cc", "Zl", "Zp", "Cs") for c in shown)
    assert not any(
        unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "RLI") for c in shown
    )


@given(st.text())
def test_json_stays_json(text: str) -> None:
    """What is escaped in JSON still means the same."""
    assert json.loads(visible(json.dumps([text], ensure_ascii=False))) == [text]
