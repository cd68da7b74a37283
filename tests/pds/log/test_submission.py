"""What is sent to a witness."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_world import Log

from pds.log.errors import NoteInvalid
from pds.log.submission import Submission, parse_size

LOG = Log().grow(9)


def test_the_published_request(vectors: Path) -> None:
    """The example of tlog-witness is read, and written as it was."""
    markdown = (vectors / "c2sp/tlog-witness.md").read_text()
    block = re.search(r"Example request body:\n\n((?:    .*\n|\n)+)", markdown)
    assert block is not None
    body = re.sub(r"^    ", "", block[1].rstrip("\n") + "\n", flags=re.MULTILINE)
    found = Submission.parse(body.encode())
    assert (found.old, len(found.proof)) == (20852014, 4)
    assert found.note.startswith("example.com/behind-the-sofa\n20852163\n")
    assert found.body.decode() == body


@given(st.integers(0, 2**53 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_a_submission_goes_there_and_back(old: int, proof: list[bytes]) -> None:
    made = Submission(old, tuple(proof), LOG.note())
    assert Submission.parse(made.body) == made


HASH = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="


@pytest.mark.parametrize(
    "head",
    [
        *("", "old", "old ", "old x", "old -1", "old 01", "old +1", "Old 1", " old 1", "old 1 "),
        *("old 9007199254740992", "old 1\n!", f"old 1\n{HASH[:-4]}", f"old 1\n {HASH}"),
        *(f"old 1\n{HASH}\r", "old 1\n" + "\n".join([HASH] * 64), "old ١"),
    ],
)
def test_a_head_that_is_none(head: str) -> None:
    """A wrong size, hashes of another length, more than 63 of them."""
    with pytest.raises(NoteInvalid) as caught:
        Submission.parse(f"{head}\n\n{LOG.note()}".encode())
    assert caught.value.code == "log.submission"


def test_what_has_no_end_is_refused() -> None:
    for body in (b"", b"old 1\n", b"\xff\n\n", b"old 1\n\n" + bytes(300_000)):
        with pytest.raises(NoteInvalid):
            Submission.parse(body)


@pytest.mark.parametrize("body", [b"", b"5", b"-5\n", b"05\n", b"5\n\n", b"<html>", b"9" * 17])
def test_a_size_that_is_none(body: bytes) -> None:
    with pytest.raises(NoteInvalid):
        parse_size(body)
    assert parse_size(b"20852014\n") == 20852014
