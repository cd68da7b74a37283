"""Mail archives: what their heads become, and what hostile ones do."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did.json import JsonObject
from pds.vault.imports import ImportFailed, mbox_reader
from tests.importing import Reading, collect, read

MAIL = """\
From 123@xxx Fri Jan 02 10:00:00 +0000 2026
X-Gmail-Labels: Inbox,Work
Message-ID: <1@x.example>
In-Reply-To: <0@x.example>
Date: Fri, 2 Jan 2026 11:00:00 +0100
From: =?utf-8?Q?K=C3=A1lm=C3=A1n?= <k@x.example>
To: Anna <a@x.example>,
 b@x.example
Cc: c@x.example
Subject: =?iso-8859-2?Q?Sz=FBcs?= and more

From the text, which is not kept.
>From somebody at 10:00 2026

From the next line of a letter.
"""


def mbox(text: str | bytes) -> Reading:
    return collect("mbox", mbox_reader(text if isinstance(text, bytes) else text.encode()))


def fields(text: str) -> list[JsonObject]:
    return [draft.fields for draft in mbox(text).drafts]


def test_the_head_of_a_message() -> None:
    """Who, when, about what, in which folder; the text stays where it is."""
    reading = read((MAIL + "\n" + MAIL.replace("<1@", "<2@").replace("Inbox", "Sent")).encode())
    assert reading.kind == "mbox"
    assert reading.drafts[0].fields == {
        "kind": "email", "from": "Kálmán <k@x.example>", "when": "2026-01-02T10:00:00Z",
        "to": ["Anna <a@x.example>", "b@x.example"], "cc": ["c@x.example"],
        "subject": "Szűcs and more", "messageId": "<1@x.example>", "replyTo": "<0@x.example>",
        "folder": "Inbox, Work", "direction": "in",
    }  # fmt: skip
    assert [d.fields["direction"] for d in reading.drafts] == ["in", "out"]
    assert [d.line for d in reading.drafts] == [1, 17]
    assert reading.problems == ()
    assert len(reading.assumptions) == 1


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        ("Subject: =?no-such?B?xx?=", {"subject": "=?no-such?B?xx?="}),
        ("Subject: x\nDate: yesterday", {"subject": "x"}),
        ("Subject: x\nDate: Fri, 99 Jan 99999 11:00:00 +9999", {"subject": "x"}),
        ("Subject: a\n b", {"subject": "a b"}),
        ("To: undisclosed-recipients:;", None),
        ("X-Other: x", None),
    ],
)
def test_strange_heads(head: str, kept: JsonObject | None) -> None:
    """What cannot be read is left out, and a message that says nothing is a problem."""
    reading = mbox(f"From a Fri Jan 02 10:00:00 2026\n{head}\n\ntext\n")
    if kept is None:
        assert [p.code for p in reading.problems] == ["mbox.empty"]
    else:
        assert [d.fields for d in reading.drafts] == [{"kind": "email"} | kept]


def test_attack_63_long_heads_and_lines() -> None:
    """A head without an end, a line of megabytes: one message is lost, none of the others."""
    start = b"From a Fri Jan 02 10:00:00 2026\n"
    good = start + b"Subject: Good\n\n" + b"x" * 5_000_000 + b"\n\n"
    endless = start + b"X: y\n" * 20_000 + b"\n"
    long = start + b"Subject: " + b"x" * 5_000_000 + b"\n\n"
    reading = mbox(good + endless + long + good)
    assert [d.fields.get("subject") for d in reading.drafts] == ["Good", "Good"]
    assert [p.code for p in reading.problems] == ["mbox.too_large"] * 2


@given(st.lists(st.sampled_from([
    b"From a Fri Jan 02 10:00:00 2026\n", b"Subject: =?utf-8?B?", b"To: \"", b"\x00", b"\xff\n",
    b"<", b"?=", b"\n", b"Date: 1", b"@", b"(", b",", b"Content-Type: multipart/x\n",
]), max_size=30))  # fmt: skip
def test_any_bytes_give_valid_drafts_or_a_refusal(pieces: list[bytes]) -> None:
    """Nothing but the documented errors."""
    with contextlib.suppress(ImportFailed):
        mbox(b"".join(pieces) or b"x")
