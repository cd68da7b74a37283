"""Cells that a spreadsheet would run as a formula: defused in CSV that we write.

An apostrophe before such a cell makes it text everywhere. Restoring takes off exactly what
defusing put there: ``restored(defuse(x)) == x`` for every text.
"""

import re

# What programs take for the beginning of a formula, full-width forms and blanks before it too.
_FORMULA = re.compile(r"[\s']*[=+\-@|%＝＋－＠]|'*[\t\r\n]")
_NUMBER = re.compile(r"[+\-]?[0-9]{1,15}(?:\.[0-9]{1,6})?")


def defuse(text: str) -> str:
    """A cell that no spreadsheet runs. Plain numbers stay numbers, negative ones too."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def restored(text: str) -> str:
    """The text that ``defuse`` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text
