"""Who is meant by a name: a clerk knows people by a customer's number or a name, not by a DID.

People are called by what the company itself wrote into the request that they answered (its
``audience``), and by what is held of them as their own name or e-mail address.
"""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from did.json import Json
from pds.company.context import Context

_NAMES = ("name", "givenName", "familyName", "nickname", "email")
_PATHS = ("contact", *(f"contact.{name}" for name in _NAMES))
_KEY = "did:key:"
_LEAST = 4


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who answered a request: the DID of today, those of before, and what they are called,
    in the company's own words first."""

    did: str
    before: tuple[str, ...]
    names: tuple[str, ...] = field(repr=False)


def people(ctx: Context) -> list[Person]:
    """Everybody who answered a request, in the order of their first answers."""
    called: dict[str, list[str]] = {}
    newest: dict[str, str] = {}

    def known(did: str) -> list[str]:
        if did not in newest:
            newest[did] = _newest(ctx, did)
        return called.setdefault(newest[did], [])

    for row in ctx.store.requests():
        if row.person is not None:
            known(row.person).extend(_texts(row.raw.get("audience")))
    for did in dict.fromkeys(grant.person for grant in ctx.store.grants()):
        known(did)
    for did, value in ctx.store.called(_PATHS):
        known(did).extend(_texts(value))
    return [
        Person(did, tuple(sorted(ctx.store.persons(did) - {did})), tuple(dict.fromkeys(names)))
        for did, names in called.items()
    ]


def find_people(ctx: Context, text: str) -> list[Person]:
    """Those whom a text may mean; more than one where it does not say enough.

    A whole DID or name goes before the beginning of one, and that before any part of a name. Names
    are compared without case and accents.
    """
    wanted, everybody = _key(text), people(ctx) if text.strip() else []
    ways: tuple[Callable[[str, str], bool], ...] = (_is, str.startswith, str.__contains__)
    for fits in ways:
        found = [
            one
            for one in everybody
            if any(_fits(fits, did, text) for did in (one.did, *one.before))
            or any(fits(_key(name), wanted) for name in one.names)
        ]
        if found:
            return found
    return []


def _fits(fits: Callable[[str, str], bool], did: str, text: str) -> bool:
    if fits is _is:
        return did == text
    short = text.removeprefix(_KEY)  # which all of them have
    return fits is str.startswith and len(short) >= _LEAST and did[len(_KEY) :].startswith(short)


def _is(have: str, wanted: str) -> bool:
    return have == wanted


def _newest(ctx: Context, did: str) -> str:
    seen = {did}
    while (after := ctx.store.successor(did)) is not None and after not in seen:
        seen.add(after)
        did = after
    return did


def _texts(value: Json) -> Iterator[str]:
    """The texts that name somebody: of a whole card those of its names."""
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, dict):
        for name in _NAMES:
            yield from _texts(value.get(name))


def _key(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    return " ".join(plain.casefold().split())
