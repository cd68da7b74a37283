"""The 24 words of the recovery kit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pds.vault.kit import kit_secret, kit_words
from pds.vault.slotfile import KeyslotError

ZEROS = " ".join(["abandon"] * 23 + ["art"])


def refused(words: str, code: str) -> KeyslotError:
    with pytest.raises(KeyslotError) as caught:
        kit_secret(words)
    assert caught.value.code == code
    return caught.value


def test_published_words() -> None:
    """Words and bytes agree with the vectors published for BIP-39."""
    assert kit_words(bytes(32)) == ZEROS
    assert kit_secret(ZEROS) == bytes(32)
    assert kit_words(b"\xff" * 32) == " ".join(["zoo"] * 23 + ["vote"])


@settings(deadline=None, max_examples=60)
@given(secret=st.binary(min_size=32, max_size=32))
def test_words_lead_back_to_the_secret(secret: bytes) -> None:
    """Any secret makes 24 words, and they make the secret again."""
    words = kit_words(secret)
    assert len(words.split(" ")) == 24
    assert kit_secret(words) == secret


@pytest.mark.parametrize(
    "typed",
    [ZEROS.upper(), "\n  " + ZEROS.replace(" ", "\t\n ") + "  ", ZEROS.title(), ZEROS + "\u3000"],
)
def test_case_and_white_space_do_not_matter(typed: str) -> None:
    """The words may be typed in any case, over several lines."""
    assert kit_secret(typed) == bytes(32)


def test_full_width_letters_are_understood() -> None:
    """Compatibility forms of letters are normalised (NFKD)."""
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in ZEROS)
    assert kit_secret(wide) == bytes(32)


@pytest.mark.parametrize("position", [1, 12, 24])
def test_an_unknown_word_is_named_by_position(position: int) -> None:
    """The error says which word, and repeats none."""
    typed = ZEROS.split()
    typed[position - 1] = "secretword"
    error = refused(" ".join(typed), "vault.kit_words")
    assert f"Word {position} " in str(error)
    assert "secretword" not in str(error) + error.hint


@pytest.mark.parametrize("count", [0, 12, 23, 25])
def test_another_number_of_words_is_refused(count: int) -> None:
    """The error says how many words came."""
    error = refused(" ".join(["abandon"] * count), "vault.kit_words")
    assert str(count) in str(error)


def test_words_that_do_not_belong_together_are_refused() -> None:
    """The checksum finds a known word in the wrong place."""
    refused(" ".join(["abandon"] * 24), "vault.kit_checksum")


def test_very_long_input_is_refused() -> None:
    """What is far too long is not even split."""
    refused("abandon " * 10_000, "vault.kit_words")
