"""Verifier keys and cosignatures: against the published texts, by hand, and every way to spoil."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from log_world import LOG_KEY, NOW, W1, W2, W3, Log, cosigned

from pds.log.cosignature import cosignature_line, verify_cosignature
from pds.log.errors import NoteInvalid
from pds.log.note import UnverifiedNote
from pds.log.vkey import NoteKey, Signs

NOTE = Log().grow(7).note()


def refused(note: str, now: datetime = NOW) -> str:
    with pytest.raises(NoteInvalid) as caught:
        verify_cosignature(note, witness=W1.key, now=now)
    return caught.value.code


# verifier keys


def test_the_published_verifier_key(vectors: Path) -> None:
    """The vkey of signed-note.md is read, and written as it was."""
    markdown = (vectors / "c2sp/signed-note.md").read_text()
    found = re.search(r"^    (example\.com/foo\+\S+)$", markdown, re.MULTILINE)
    assert found is not None
    key = NoteKey.parse(found[1], expected=Signs.NOTES)
    assert (key.name, key.text) == ("example.com/foo", found[1])
    with pytest.raises(NoteInvalid):
        NoteKey.parse(found[1], expected=Signs.COSIGNATURES)


@pytest.mark.parametrize("key", [LOG_KEY, W1.key])
def test_a_verifier_key_goes_there_and_back(key: NoteKey) -> None:
    assert NoteKey.parse(key.text, expected=key.signs) == key


@given(st.integers(0, len(W1.key.text) - 1), st.integers(1, 127))
def test_a_verifier_key_with_one_changed_character_is_another_or_none(at: int, flip: int) -> None:
    """The id binds name and key: nothing can be changed and still be read."""
    text = W1.key.text
    changed = text[:at] + chr(ord(text[at]) ^ flip) + text[at + 1 :]
    with pytest.raises(NoteInvalid):
        NoteKey.parse(changed, expected=Signs.COSIGNATURES)


@pytest.mark.parametrize("text", ["", "+", "a+b+c", "a b+00000000+AAAA", "x" * 5000])
def test_what_is_no_verifier_key(text: str) -> None:
    with pytest.raises(NoteInvalid) as caught:
        NoteKey.parse(text, expected=Signs.NOTES)
    assert caught.value.code == "log.vkey"


def test_attack_01_small_order_key_as_a_witness() -> None:
    """A key under which anything verifies is not read."""
    material = b"\x04" + bytes([1]) + bytes(31)
    id_ = hashlib.sha256(b"w\n" + material).digest()[:4].hex()
    with pytest.raises(NoteInvalid):
        NoteKey.parse(f"w+{id_}+{base64.b64encode(material).decode()}", expected=Signs.COSIGNATURES)


# cosignatures


def by_hand(note: str, *, seconds: int, header: str = "cosignature/v1") -> str:
    """A cosignature as tlog-cosignature spells it, with another library's Ed25519."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([101]) * 32)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    id_ = hashlib.sha256(b"w1.example\n\x04" + public).digest()[:4]
    text = note.partition("\n\n")[0] + "\n"
    signature = key.sign(f"{header}\ntime {seconds}\n{text}".encode())
    signed = id_ + seconds.to_bytes(8, "big") + signature
    return f"— w1.example {base64.b64encode(signed).decode()}\n"


def test_a_cosignature_is_what_the_text_says() -> None:
    """Ours is byte for byte the one built by hand, and that one verifies."""
    seconds = int(NOW.timestamp())
    assert W1.line(NOTE) == by_hand(NOTE, seconds=seconds)
    found = verify_cosignature(NOTE + by_hand(NOTE, seconds=5), witness=W1.key, now=NOW)
    assert found.at == datetime.fromtimestamp(5, UTC)


def test_the_published_cosignature_has_the_form(vectors: Path) -> None:
    """The line of the published example has a time and a signature of 64 bytes."""
    markdown = (vectors / "c2sp/tlog-cosignature.md").read_text()
    example = re.findall(r"^```\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)[0]
    line = UnverifiedNote.parse(example).signatures[1]
    assert (line.name, len(line.signature)) == ("witness.example.com/w1", 8 + 64)
    assert int.from_bytes(line.signature[:8]) == 1679315147  # the time of the text below it


def test_several_witnesses_sign_one_checkpoint() -> None:
    """Each is found by its own key, in any order, and the log's own signature stays."""
    note = cosigned(NOTE, [W2, W1])
    for witness in (W1, W2):
        assert verify_cosignature(note, witness=witness.key, now=NOW).at == NOW
    with pytest.raises(NoteInvalid):
        verify_cosignature(note, witness=W3.key, now=NOW)


@pytest.mark.parametrize(
    "line",
    [
        "",
        W2.line(NOTE),
        by_hand(NOTE, seconds=9, header="cosignature/v2"),
        by_hand(NOTE, seconds=0),
        by_hand(NOTE, seconds=int((NOW + timedelta(minutes=11)).timestamp())),
        by_hand(NOTE, seconds=2**63),
        by_hand(Log("b").grow(7).note(), seconds=9),
    ],
    ids=["none", "another", "header", "zero", "future", "never", "other text"],
)
def test_attack_45_a_cosignature_that_counts_for_nothing(line: str) -> None:
    """Of another, of another text, of no time, or from the future."""
    assert refused(NOTE + line) == "log.cosignature"


def test_a_wrong_line_of_the_witness_spoils_the_right_one() -> None:
    """A line of a known key that does not verify is never passed over (signed-note)."""
    wrong = by_hand(NOTE, seconds=9, header="cosignature/v2")
    assert refused(NOTE + W1.line(NOTE) + wrong) == "log.cosignature"


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_octet_is_noticed(at: int, flip: int) -> None:
    """Wherever it lies: in the text, or in the line of the witness."""
    note = cosigned(NOTE, [W1])
    octets = bytearray(note.encode())
    line = len(NOTE.encode())
    # The line of the log is not looked at here, nor is the form of what stands before it.
    places = [*range(len(NOTE.partition("\n\n")[0]) + 1), *range(line, len(octets))]
    octets[places[at % len(places)]] ^= flip
    try:
        changed = octets.decode()
    except UnicodeDecodeError:
        return
    with pytest.raises(NoteInvalid):
        verify_cosignature(changed, witness=W1.key, now=NOW)


def test_of_an_answer_only_the_witness_s_own_newest_line_is_kept() -> None:
    """Whatever else it sends along: lines of others, older ones of its own."""
    older = W1.line(NOTE, NOW - timedelta(days=1))
    answer = W2.line(NOTE) + older + W1.line(NOTE) + KEY_LINE
    assert cosignature_line(answer, note=NOTE, witness=W1.key, now=NOW) == W1.line(NOTE)
    with pytest.raises(NoteInvalid):
        cosignature_line("<html>", note=NOTE, witness=W1.key, now=NOW)


KEY_LINE = NOTE.partition("\n\n")[2]
