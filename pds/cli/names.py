"""Short ways to say which one: the beginning of an id, a part of a name, a slip of the finger."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pds.cli.output import Settings
    from pds.company.client import Company
    from pds.vault.service import Vault

_LEAST = 4
_MOST = 20
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


def short_id(whole_id: str) -> str:
    """As much of an id as people are shown and ``whole`` takes."""
    return whole_id.removeprefix(_URN)[:8]


def company(settings: "Settings", vault: "Vault", text: str) -> str:
    """The DID of the one company that ``text`` means: its DID, domain or name, or a beginning or a
    part of one. Its domain, where several of its DIDs are meant; ``text`` as it is when no company
    is known by it.

    Raises ``UsageError`` when it may be more than one, and says which, on stderr.
    """
    found = vault.companies(text)
    if len({one.host for one in found}) > 1:
        settings.say(
            "\n".join(f"  {', '.join(one.names) or 'a company'} ({one.host})" for one in found)
        )
        raise click.UsageError("More than one company fits: write more, or its domain.")
    if not found:
        return text
    return found[0].did if len(found) == 1 else found[0].host


def names_of(settings: "Settings", vault: "Vault", text: str) -> tuple[str, ...]:
    """What items may call the company that ``text`` means; raises as ``company`` does."""
    meant = company(settings, vault, text)
    known = [name for one in vault.companies(meant) for name in (*one.names, one.host, one.did)]
    return tuple(dict.fromkeys([meant, *known]))


def person(settings: "Settings", opened: "Company", text: str) -> str:
    """The DID of the one person whom ``text`` means: a DID, a customer's number, a name, or a
    beginning or a part of one. A whole DID that nobody here has stays as it is.

    Raises ``UsageError`` when it may be more than one, and says which, on stderr; ``CompanyError``
    (``company.not_found``).
    """
    from pds.company.errors import CompanyError

    found = opened.people(text)
    if len(found) > 1:
        lines = [f"  {called(one.names)}{one.did}" for one in found[:_MOST]]
        more = [f"  … and {len(found) - _MOST} more"] if len(found) > _MOST else []
        settings.say("\n".join(lines + more))
        raise click.UsageError("More than one person fits: write more, or the DID.")
    if not found and not text.startswith("did:"):
        raise CompanyError(
            "nobody who answered is known by that name",
            code="company.not_found",
            hint="See who there is: pds company grants",
        )
    return found[0].did if found else text


def called(names: Iterable[str]) -> str:
    """``customer 4711, Kovács Ági: `` before a DID, where somebody has a name here."""
    from pds.oneline import one_line

    known = ", ".join(map(one_line, names))
    return f"{known}: " if known else ""


def nearest(text: str, known: Iterable[str]) -> str:
    """``Is it delivery?`` when one of the known names is close; else nothing."""
    from difflib import get_close_matches

    near = get_close_matches(text, list(known), n=1)
    return f"Is it {near[0]}?" if near else ""
