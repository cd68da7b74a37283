"""Words and labels: what the full-text index is given for a record, and how it is asked.

A record is indexed under the words of its texts, without case and accents, and under *labels*: one
token for its category, one for its company, and so on. A label begins with ``_``, which no word
contains, and goes on with a digest, so that any text can be one. Because labels lie in the same
index as the words, a search that joins words and filters is an intersection of sorted lists inside
the index, and is as quick for a common word with a rare filter as for the reverse.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["ANY", "FORM", "index_text", "label", "name_key", "terms", "tokens"]

# Changes with everything that makes another entry of the same record; the index is then made anew.
FORM = f"2 {unicodedata.unidata_version}"
# The label that every live record has.
ANY = "_"

_DIGITS = 12
_MAX_QUERY = 1000
_MAX_TERMS = 16

_WORD = re.compile(r"[^\W_]+")
# The combining marks of Latin letters: all of U+0300 to U+036F but U+034F, which joins.
_MARKS = re.compile("[\u0300-\u034e\u0350-\u036f]+")
# A number written with spaces or signs in it, but no date and no amount.
_TELEPHONE = re.compile(
    r"^(?![0-9]{4}-[0-9]{2}-|[0-9]+\.[0-9]{0,2}$)\+?[0-9]+[ ()/.\-][0-9 ()/.\-]{3,30}$",
    re.MULTILINE,
)
# SQLite's "ascii" tokenizer with "_" as a letter: every character that is not ASCII is one too.
_TOKEN = re.compile(rb"[^\x00-/:-@\[-^`{-\x7f]+")
_MAX_TOKEN = 32_768
_NO_DIGIT = re.compile(r"[^0-9]+")
# Letters that Unicode does not take apart into a base and a mark.
_OTHERS = {
    "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"
}  # fmt: skip
_LETTERS = str.maketrans(_OTHERS)


def words(text: str) -> list[str]:
    """The words of a text, without case and accents: ``Őry`` is ``ory``, ``Straße`` ``strasse``."""
    return _WORD.findall(_folded(text))


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", text.casefold())
    latin = _MARKS.sub("", text)
    if latin.isascii():  # as nearly all that is written in Latin letters
        return latin.lower()
    # Letter by letter over the few that a text is made of, not over the text.
    letters = set(text)
    for mark in filter(unicodedata.combining, letters):
        text = text.replace(mark, "")
    if not letters.isdisjoint(_OTHERS):
        text = text.translate(_LETTERS)
    return text.casefold()


def terms(text: str) -> list[str]:
    """The words to look for: each once, and not endlessly many."""
    return list(dict.fromkeys(words(text[:_MAX_QUERY])))[:_MAX_TERMS]


@lru_cache(maxsize=4096)
def name_key(name: str) -> str:
    """A company or a tag as it is compared: without case, accents and punctuation."""
    return " ".join(words(name)) or name.casefold()


@lru_cache(maxsize=4096)
def label(kind: str, value: str) -> str:
    """The token of a filter. ``value`` is compared exactly, unless it is given as ``name_key``."""
    digest = hashlib.sha256(f"{kind}\n{value}".encode()).hexdigest()
    return f"{ANY}{kind}{digest[:_DIGITS]}"


def tokens(text: str) -> set[bytes]:
    """What the index makes of an ``index_text``, each token once, as its own tokenizer does."""
    # Of a word that is longer the index has the beginning, be it in the middle of a letter.
    return {token[:_MAX_TOKEN] for token in _TOKEN.findall(text.encode())}


def index_text(texts: Iterable[str], labels: str) -> str:
    """What the index is given for one record: the same in, the same tokens out, always."""
    joined = "\n".join(texts)
    text = _folded(joined)
    # The index takes ASCII apart by itself, except at the mark of labels.
    parts = [text.replace("_", " ")] if text.isascii() else _WORD.findall(text)
    # A number is found with and without the spaces that somebody wrote into it.
    parts += [_NO_DIGIT.sub("", number) for number in _TELEPHONE.findall(joined)]
    parts.append(labels)
    return " ".join(parts)
