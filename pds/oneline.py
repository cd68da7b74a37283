"""Text of somebody else, as it may be shown: what it holds is seen, and it acts on nothing.

A value in a vault came from a file that a stranger may have made, and can hold any character. A
line end would draw a line that looks like ours, an escape sequence moves the cursor, a direction
character turns words around (Unicode TR #36 §2.10). Each is shown in place of being obeyed.
"""

import re

# Controls, direction and other format characters, line and paragraph separators, surrogates. The
# two joiners stay: scripts and pictures are written with them.
_UNSEEN = (
    "\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
_ACTS = re.compile(f"[{_UNSEEN}]")
_LINE_END = re.compile("[ \t]*(?:\r\n|[\n\r\v\f\u0085\u2028\u2029])[ \t]*")
_MARK = " ↵ "


def one_line(text: str) -> str:
    """A text on one line: ``↵`` where it has a line end, a space for a tab, and an escape such as
    ``\\u202e`` for what would not be seen. Guaranteed: no line end and no control character."""
    return visible(_LINE_END.sub(_MARK, text.strip("\r\n")).replace("\t", " "))


def visible(text: str) -> str:
    """A text of several lines, ours with values in it: line ends and tabs stay, what acts is
    escaped, in the way of JSON."""
    return _ACTS.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
