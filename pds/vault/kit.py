"""The recovery kit: 256 random bits as 24 English words (BIP-39), to be printed and typed back; or
as three sheets of which any two are enough (:mod:`pds.vault.shares`)."""

import unicodedata
from functools import cache

from mnemonic import Mnemonic

from pds.vault.shares import SHEET_COUNTS, SHEET_WORDS, join
from pds.vault.slotfile import KeyslotError

KIT_WORDS = 24
_MAX_CHARACTERS = 4096


def kit_words(secret: bytes) -> str:
    """32 bytes as 24 English words (BIP-39), separated by single spaces."""
    return str(_word_list().to_mnemonic(secret))


def kit_secret(words: str) -> bytes:
    """The 32 bytes of 24 words, or of the words of two sheets one after the other, typed in any
    case and with any white space.

    Raises what :func:`pds.vault.shares.join` does for sheets; ``vault.kit_words`` for another
    number of words, or naming the *position* of a word that is not in the list (the word is never
    repeated); ``vault.kit_checksum`` when all are known but do not belong together.
    """
    if len(words) > _MAX_CHARACTERS:
        raise _bad_kit("That is too long for a recovery kit.")
    typed = unicodedata.normalize("NFKD", words).casefold().split()
    if len(typed) in SHEET_COUNTS:
        return join(typed)
    if len(typed) != KIT_WORDS:
        raise _bad_kit(
            f"A recovery kit has 24 words, and a sheet of a divided one {SHEET_WORDS}; "
            f"{len(typed)} were given."
        )
    known = frozenset(_word_list().wordlist)
    for position, word in enumerate(typed, start=1):
        if word not in known:
            raise _bad_kit(f"Word {position} is not a word of recovery kits.")
    try:
        return bytes(_word_list().to_entropy(typed))
    except ValueError:
        raise KeyslotError(
            "The words do not belong together: one was mistyped, or two changed places.",
            code="vault.kit_checksum",
            hint="Compare each word and the order with the printed kit.",
            exit_code=3,
        ) from None


@cache
def _word_list() -> Mnemonic:
    return Mnemonic("english")


def _bad_kit(message: str) -> KeyslotError:
    return KeyslotError(
        message, code="vault.kit_words", hint="Compare with the printed kit.", exit_code=3
    )
