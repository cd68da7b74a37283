"""Short ways to say which one: the beginning of an id, a name with a slip of the finger."""

from collections.abc import Iterable

import click

_LEAST = 4
_URN = "urn:uuid:"


def whole(text: str, ids: Iterable[str]) -> str:
    """The one id that begins with ``text`` (four characters or more; ``urn:uuid:`` may be left
    out), or ``text`` as it is when none does.

    Raises ``UsageError`` when it is the beginning of more than one.
    """
    short = text.removeprefix(_URN)
    known = set(ids)
    if text in known or len(short) < _LEAST:
        return text
    found = [one for one in known if one.removeprefix(_URN).startswith(short)]
    if len(found) > 1:
        raise click.UsageError("More than one id begins like that: write more of it.")
    return found[0] if found else text


def nearest(text: str, known: Iterable[str]) -> str:
    """``Is it delivery?`` when one of the known names is close; else nothing."""
    from difflib import get_close_matches

    near = get_close_matches(text, list(known), n=1)
    return f"Is it {near[0]}?" if near else ""
