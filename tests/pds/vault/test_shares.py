"""The kit in three sheets: any two give it back, and every wrong mix says what is wrong."""

import os
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pds.vault import keyslots
from pds.vault.keyslots import Argon2Params, KeyslotError
from pds.vault.kit import kit_secret, kit_words
from pds.vault.shares import SHEET_WORDS, split

SECRET = bytes(range(32))
SHEETS = split(SECRET)
OTHERS = split(SECRET)


def refused(code: str, words: str) -> str:
    with pytest.raises(KeyslotError) as caught:
        kit_secret(words)
    assert caught.value.code == code
    assert caught.value.exit_code == 3
    said = f"{caught.value} {caught.value.hint}"
    assert caught.value.hint
    return said


def test_three_sheets_of_33_words() -> None:
    """All different."""
    assert [len(sheet.split()) for sheet in SHEETS] == [SHEET_WORDS] * 3
    assert len(set(SHEETS)) == 3


@settings(max_examples=20, deadline=None)
@given(secret=st.binary(min_size=32, max_size=32))
def test_any_two_in_any_order_give_the_kit(secret: bytes) -> None:
    """And all three too; upper case and line ends do not matter."""
    sheets = split(secret)
    for pair in permutations(sheets, 2):
        assert kit_secret("\n".join(pair).upper()) == secret
    assert kit_secret(" ".join(sheets)) == secret


def test_one_sheet_is_not_enough() -> None:
    """Nor the same one twice."""
    assert "two different" in refused("vault.kit_sheets", SHEETS[0])
    refused("vault.kit_sheets", f"{SHEETS[0]} {SHEETS[0]}")
    assert kit_secret(f"{SHEETS[0]} {SHEETS[0]} {SHEETS[1]}") == SECRET


def test_sheets_of_two_kits_do_not_go_together() -> None:
    """Not even of the same secret divided twice; a third of another kit is noticed too."""
    assert "different recovery kits" in refused("vault.kit_sheets", f"{SHEETS[0]} {OTHERS[1]}")
    refused("vault.kit_sheets", f"{SHEETS[0]} {SHEETS[1]} {OTHERS[2]}")


def test_a_mistyped_word_is_told_by_sheet_never_by_word() -> None:
    """An unknown word by its position; a known one in a wrong place by its sheet."""
    second = SHEETS[1].split()
    second[4] = "qwertzu"
    said = refused("vault.kit_words", f"{SHEETS[0]} {' '.join(second)}")
    assert "Word 5 of sheet 2" in said
    assert "qwertzu" not in said
    second = SHEETS[1].split()
    second[10], second[11] = second[11], second[10]
    if second[10] == second[11]:
        second[10] = "academic" if second[10] != "academic" else "acid"
    said = refused("vault.kit_checksum", f"{SHEETS[0]} {' '.join(second)}")
    assert "sheet 2" in said
    for one, next_ in pairwise(second):  # single words may be our own
        assert f"{one} {next_}" not in said


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 65), word=st.integers(0, 1023))
def test_any_other_word_anywhere_is_noticed(at: int, word: int) -> None:
    """The checksum of a sheet finds every single wrong word."""
    from shamir_mnemonic.wordlist import WORDLIST

    typed = f"{SHEETS[0]} {SHEETS[1]}".split()
    if typed[at] == WORDLIST[word]:
        return
    typed[at] = WORDLIST[word]
    refused("vault.kit_checksum", " ".join(typed))


@pytest.mark.parametrize("count", [23, 25, 32, 34, 65, 67, 98, 132])
def test_other_numbers_of_words(count: int) -> None:
    """Neither a kit nor sheets: the number is said."""
    assert f"{count} were given" in refused(
        "vault.kit_words", " ".join((SHEETS[0].split() * 4)[:count])
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"iteration_exponent": 15},  # would take minutes
        {"member_threshold": 1},
        {"member_threshold": 3},
        {"group_count": 2},
    ],
)
def test_sheets_that_ask_for_something_else(changed: dict[str, int]) -> None:
    """Whole by their checksum, but not as we make them: refused before anything is computed."""
    from dataclasses import replace

    from shamir_mnemonic import Share

    bent = [replace(Share.from_mnemonic(sheet), **changed).mnemonic() for sheet in SHEETS[:2]]
    refused("vault.kit_sheets", " ".join(bent))


def test_shorter_secrets_are_no_kit() -> None:
    """Sheets of 20 words are of something else."""
    refused("vault.kit_words", " ".join(split(os.urandom(16))[:2]))


def test_two_sheets_open_the_vault_as_the_words_do(tmp_path: Path) -> None:
    """They are the same secret, so no slot of their own is needed."""
    path = tmp_path / "slots.json"
    key, words = keyslots.create(path, passphrase="p", params=Argon2Params(memory_kib=65_536))
    sheets = split(kit_secret(words))
    opened = keyslots.unlock_kit(path, f"{sheets[2]} {sheets[0]}")
    assert opened.derive("x") == key.derive("x")
    assert kit_words(kit_secret(words)) == words
    with pytest.raises(KeyslotError) as caught:
        keyslots.unlock_kit(path, f"{SHEETS[0]} {SHEETS[1]}")
    assert caught.value.code == "vault.wrong_secret"
