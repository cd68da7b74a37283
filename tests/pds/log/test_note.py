"""Signed notes and checkpoints against the C2SP texts, and every way to spoil one."""

import base64
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.keys import SigningKey, VerifyKey
from pds.log import Checkpoint, NoteInvalid, open_checkpoint, sign_checkpoint
from pds.log.note import MAX_SIGNATURES, UnverifiedNote, key_id, open_note, sign_note
from pds.log.tree import EMPTY_ROOT

ORIGIN = "relay.example/log"
KEY = SigningKey.from_seed(bytes(range(32)))
OTHER_KEY = SigningKey.from_seed(bytes(range(1, 33)))
ROOT = bytes(range(32))
ROOT64 = base64.b64encode(ROOT).decode()
CHECKPOINT = Checkpoint(ORIGIN, 7, ROOT)
NOTE = sign_checkpoint(CHECKPOINT, KEY)


def opened(note: str) -> Checkpoint:
    return open_checkpoint(note, origin=ORIGIN, key=KEY.verify_key)


def refused(note: str) -> str:
    """The code with which a note is refused."""
    with pytest.raises(NoteInvalid) as caught:
        opened(note)
    return caught.value.code


def signed(text: str) -> str:
    """A note that our key has signed, whatever its text."""
    return sign_note(text, name=ORIGIN, key=KEY)


# The published examples


def fenced(markdown: str) -> list[str]:
    return re.findall(r"^```\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)


def published_vkey(markdown: str) -> tuple[str, bytes, VerifyKey]:
    found = re.search(r"^    (\S+)\+([0-9a-f]{8})\+(\S+)$", markdown, re.MULTILINE)
    assert found is not None
    material = base64.b64decode(found[3])
    assert material[0] == 1
    return found[1], bytes.fromhex(found[2]), VerifyKey.from_bytes(material[1:])


def test_the_published_example_verifies(vectors: Path) -> None:
    """The key of signed-note.md has the published id and opens the published note."""
    markdown = (vectors / "c2sp/signed-note.md").read_text()
    name, id_, key = published_vkey(markdown)
    note = fenced(markdown)[-1]
    assert key_id(name, key) == id_
    assert open_note(note, name=name, key=key) == "This is an example message.\n"
    with pytest.raises(NoteInvalid):
        open_note(note.replace("example message", "exemple message"), name=name, key=key)


def test_the_published_notes_are_well_formed(vectors: Path) -> None:
    """Empty lines belong to the text; several signatures of other types are read."""
    quoted = UnverifiedNote.parse(fenced((vectors / "c2sp/signed-note.md").read_text())[0])
    assert quoted.text.startswith("Ognuno")
    assert quoted.text.endswith("sera.\n")
    assert "\n\n" in quoted.text
    assert [line.name for line in quoted.signatures] == ["quasimodo.example/salvatore"]
    alone = UnverifiedNote.parse(fenced((vectors / "c2sp/tlog-checkpoint.md").read_text())[0])
    assert alone.text.split("\n")[:2] == ["example.com/behind-the-sofa", "20852163"]
    both = UnverifiedNote.parse(fenced((vectors / "c2sp/tlog-cosignature.md").read_text())[0])
    assert len(both.signatures) == 2
    assert both.signatures[0] == alone.signatures[0]


def test_the_published_checkpoint_has_our_form(vectors: Path) -> None:
    """Writing what was read of the published checkpoint gives the same text."""
    note = UnverifiedNote.parse(fenced((vectors / "c2sp/tlog-checkpoint.md").read_text())[0])
    origin, size, root = note.text.split("\n")[:3]
    assert Checkpoint(origin, int(size), base64.b64decode(root)).text == note.text


# Round trip


@settings(deadline=None, max_examples=50)
@given(
    origin=st.text(min_size=1, max_size=40).filter(
        lambda name: (
            all(c > " " and c != "+" and not c.isspace() for c in name) and name.isprintable()
        )
    ),
    size=st.integers(1, 2**53 - 1),
    root=st.binary(min_size=32, max_size=32),
)
def test_what_is_signed_is_read_again(origin: str, size: int, root: bytes) -> None:
    """Signing and opening are inverse."""
    checkpoint = Checkpoint(origin, size, root)
    note = sign_checkpoint(checkpoint, KEY)
    assert open_checkpoint(note, origin=origin, key=KEY.verify_key) == checkpoint


def test_an_empty_log_has_a_checkpoint() -> None:
    """Size 0 goes with the hash of nothing and with no other root."""
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert opened(sign_checkpoint(empty, KEY)) == empty
    assert refused(signed(f"{ORIGIN}\n0\n{ROOT64}\n")) == "log.checkpoint"


def test_extension_lines_are_kept() -> None:
    """Lines after the root are opaque, and part of what is signed."""
    assert opened(signed(f"{ORIGIN}\n7\n{ROOT64}\nmore\nyet more\n")) == Checkpoint(
        ORIGIN, 7, ROOT, ("more", "yet more")
    )


def test_other_signatures_are_passed_over() -> None:
    """Witnesses, a second key of the same name, and a same id under another name do no harm."""
    text, _, ours = NOTE.partition("\n\n")
    witness = sign_note(text + "\n", name="witness.example", key=OTHER_KEY).partition("\n\n")[2]
    rotated = sign_note(text + "\n", name=ORIGIN, key=OTHER_KEY).partition("\n\n")[2]
    same_id = ours.replace(ORIGIN, "somebody.else")
    for lines in (witness + ours, ours + witness, rotated + ours, same_id + ours + rotated):
        assert opened(f"{text}\n\n{lines}") == CHECKPOINT
    many = ours + witness * (MAX_SIGNATURES - 1)
    assert opened(f"{text}\n\n{many}") == CHECKPOINT
    assert refused(f"{text}\n\n{many}{witness}") == "log.note"


# Refusals


def test_a_foreign_or_altered_signature_is_refused() -> None:
    """No signature of the expected key under the expected name, or one that is wrong."""
    text, _, ours = NOTE.partition("\n\n")
    by_other = sign_checkpoint(CHECKPOINT, OTHER_KEY)
    assert refused(by_other) == "log.signature"
    assert refused(NOTE.replace(f"— {ORIGIN}", "— other.example")) == "log.signature"
    assert refused(NOTE.replace("\n7\n", "\n8\n")) == "log.signature"
    wrong = signed(f"{ORIGIN}\n8\n{ROOT64}\n").partition("\n\n")[2]
    assert refused(f"{text}\n\n{wrong}") == "log.signature"
    # One good line does not excuse a bad one of the same key.
    assert refused(f"{text}\n\n{ours}{wrong}") == "log.signature"
    assert refused(f"{text}\n\n{wrong}{ours}") == "log.signature"


def test_each_altered_character_is_refused() -> None:
    """There is no character of a note that may be changed."""
    for place, char in enumerate(NOTE):
        for other in "aA7/ \n":
            if other != char:
                assert refused(NOTE[:place] + other + NOTE[place + 1 :])


def test_each_cut_is_refused() -> None:
    """A note that stops short, or begins late, is none."""
    for place in range(len(NOTE)):
        assert refused(NOTE[:place])
        assert place == 0 or refused(NOTE[place:])


LINE = NOTE.partition("\n\n")[2]
BODY = NOTE.partition("\n\n")[0]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        BODY,
        f"{BODY}\n{LINE}",
        f"{BODY}\n\n",
        f"{BODY}\n\n\n{LINE}\n",
        f"{BODY}\n\n{LINE[:-1]}",
        f"{BODY}\n\n{LINE}\n",
        f"{BODY}\n\n{LINE}more\n",
        f"{BODY}\n\n{LINE[2:]}",
        f"{BODY}\n\n{LINE.replace('—', '-')}",
        f"{BODY}\n\n{LINE.replace('— ', '—')}",
        f"{BODY}\n\n{LINE.replace('— ', '—  ')}",
        f"{BODY}\n\n{LINE.replace('log ', 'log  ')}",
        f"{BODY}\n\n{LINE.replace('log ', 'l+og ')}",
        f"{BODY}\n\n{LINE.replace('log ', 'l' + chr(0xA0) + 'og ')}",
        f"{BODY}\n\n{LINE.replace('log ', 'l' + chr(0x2003) + 'og ')}",
        f"{BODY}\n\n{LINE[:-1]} \n",
        f"{BODY}\n\n{LINE[:-1]}=\n",
        f"{BODY}\n\n{LINE[:-1].rstrip('=')}\n" if LINE[:-1].endswith("=") else "",
        f"{BODY}\n\n— {ORIGIN} \n",
        f"{BODY}\n\n— {ORIGIN}\n",
        f"{BODY}\n\n— {ORIGIN} AAAAAA==\n",
        f"{BODY}\n\n— {ORIGIN} AAAAAAB=\n",
        f"{BODY}\n\n— {ORIGIN} AAAAAA-_\n",
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("7", "\t7"),
        NOTE + "\x00",
        NOTE.replace("relay", "rel\x1fay"),
        NOTE.replace("relay", "rel\ud800ay"),
        NOTE.replace("relay", "r" * 300_000),
    ],
)
def test_a_malformed_note_is_refused(note: str) -> None:
    """Each rule of the format has its breach."""
    assert refused(note) == "log.note"


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n7\n",
        f"{ORIGIN}\n",
        "\n",
        f"\n7\n{ROOT64}\n",
        f"{ORIGIN}\n\n7\n{ROOT64}\n",
        f"{ORIGIN}\n7\n{ROOT64}\n\n",
        f"{ORIGIN}\n7\n{ROOT64}\n\nmore\n",
        f"other.example\n7\n{ROOT64}\n",
        f"{ORIGIN} \n7\n{ROOT64}\n",
        f"{ORIGIN}\n07\n{ROOT64}\n",
        f"{ORIGIN}\n-7\n{ROOT64}\n",
        f"{ORIGIN}\n+7\n{ROOT64}\n",
        f"{ORIGIN}\n 7\n{ROOT64}\n",
        f"{ORIGIN}\n7.0\n{ROOT64}\n",
        f"{ORIGIN}\n1_0\n{ROOT64}\n",
        f"{ORIGIN}\n７\n{ROOT64}\n",
        f"{ORIGIN}\n{2**53}\n{ROOT64}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{ROOT64}\n",
        f"{ORIGIN}\n7\n{ROOT64[:-1]}\n",
        f"{ORIGIN}\n7\n{ROOT64[:-2]}9=\n",
        f"{ORIGIN}\n7\n{ROOT64} \n",
        f"{ORIGIN}\n7\n{base64.b64encode(ROOT[:31]).decode()}\n",
        f"{ORIGIN}\n7\n{base64.b64encode(ROOT + b'x').decode()}\n",
        f"{ORIGIN}\n7\n{ROOT.hex()}\n",
        f"{ORIGIN}\n7\nrööt\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    """A good signature does not make a checkpoint of any text."""
    assert refused(signed(text)) == "log.checkpoint"


@pytest.mark.parametrize("text", ["", "no newline", "two\n\nparts", "tab\t\n", "half \ud800\n"])
def test_a_text_that_makes_no_note_is_not_signed(text: str) -> None:
    """What could not be read back is not written."""
    with pytest.raises(NoteInvalid):
        signed(text)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "a\u2003b", "a\x00b", "\ud800"])
def test_a_name_that_names_no_key_is_refused(name: str) -> None:
    """Neither a note nor a checkpoint takes it."""
    with pytest.raises(NoteInvalid):
        sign_note("text\n", name=name, key=KEY)
    with pytest.raises(NoteInvalid) as caught:
        Checkpoint(name, 7, ROOT)
    assert caught.value.code == "log.checkpoint"


def test_a_checkpoint_that_cannot_be_is_not_made() -> None:
    """Size, root and extensions are checked where a checkpoint is made."""
    for size, root, extensions in (
        (-1, ROOT, ()),
        (2**53, ROOT, ()),
        (7, ROOT[:31], ()),
        (0, ROOT, ()),
        (7, ROOT, ("",)),
        (7, ROOT, ("a\nb",)),
    ):
        with pytest.raises(NoteInvalid) as caught:
            Checkpoint(ORIGIN, size, root, extensions)
        assert caught.value.code == "log.checkpoint"


def test_a_refusal_does_not_repeat_the_note() -> None:
    """Messages say what is wrong, never what was read."""
    with pytest.raises(NoteInvalid) as caught:
        opened(f"secret-text\n\n— {ORIGIN} secret-text\n")
    assert "secret" not in str(caught.value) + caught.value.hint
