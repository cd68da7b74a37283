"""Everything with one company on one page: what the vault keeps that names it, and all dealings."""

from dataclasses import dataclass
from datetime import datetime

from did.time import parse_time
from pds.vault.context import Context
from pds.vault.decide import host_of
from pds.vault.errors import NotFound, VaultError
from pds.vault.records import Page, Query
from pds.vault.store.relations import RelationStore
from pds.vault.store.words import name_key

_MAX_NAMES = 50


@dataclass(frozen=True, slots=True)
class Company:
    """A company that asked or was given something, with every name that it had then."""

    did: str
    host: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dealing:
    """Something that happened with a company.

    ``kind`` ∈ request, grant, end (of a grant), event (the relay's, ``redemption`` when something
    was taken), received and sent (messages), attestation. ``subject`` begins with the id of the
    request or the grant; ``detail`` is the state, the verb, the kind or the type of it.
    """

    at: datetime
    kind: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Relation:
    """One company as the vault knows it. ``next`` is the cursor of the dealings after these."""

    companies: tuple[str, ...]
    names: tuple[str, ...]
    records: Page
    dealings: tuple[Dealing, ...]
    next: str | None


def companies(ctx: Context) -> list[Company]:
    """Every company that asked or was given anything, by its DID."""
    names: dict[str, list[str]] = {}
    for did, name in RelationStore(ctx.conn).companies():
        names.setdefault(did, []).extend([name] if name else [])
    return [Company(did, host_of(did), tuple(names[did])) for did in sorted(names)]


def find_companies(ctx: Context, text: str) -> list[Company]:
    """Those that a text may mean; more than one where it does not say enough.

    A whole DID, host or name goes before the beginning of one, and that before any part of one.
    Names are compared without case, accents and punctuation. A whole name that only items have is
    not taken for a part of another's: then nothing is found.
    """
    wanted = name_key(text)
    known = companies(ctx) if text.strip() else []
    for fits in (_is, str.startswith, str.__contains__):
        found = [
            one
            for one in known
            if fits(one.did, text)
            or fits(one.host, text.lower())
            or any(fits(name_key(name), wanted) for name in one.names)
        ]
        if found:
            return found
        if fits is _is and ctx.records.find(Query(companies=(text,)), limit=1).records:
            return []
    return []


def _is(have: str, wanted: str) -> bool:
    return have == wanted


def relation(
    ctx: Context,
    company: str,
    *,
    limit: int = 50,
    after: str | None = None,
    records_after: str | None = None,
) -> Relation:
    """What there is with a company, given by its DID, its host or its name; newest first.

    Names are compared without case, accents and punctuation. ``NotFound`` if neither the exchange
    nor any record knows it; ``VaultError`` ``relation.cursor``.
    """
    store, limit = RelationStore(ctx.conn), max(1, min(limit, 1000))
    wanted = name_key(company)
    known = [(did, host_of(did), name) for did, name in store.companies()]
    meant = {did for did, host, name in known if company in (did, host) or name_key(name) == wanted}
    names = {text for did, host, name in known if did in meant for text in (name, host, did)}
    words = tuple(dict.fromkeys([company, *sorted(filter(None, names))]))[:_MAX_NAMES]
    records = ctx.records.find(Query(companies=words), limit=limit, after=records_after)
    if not meant and not records.records and records_after is None:
        raise NotFound(
            "nothing in the vault names such a company",
            hint="Companies that asked: pds requests. Items in which a word stands: "
            "pds data search WORD",
        )
    companies = tuple(sorted(meant))
    rows = store.dealings(companies, before=_parse_cursor(after), limit=limit + 1)
    shown = rows[:limit]
    return Relation(
        companies=companies,
        names=tuple(sorted({name for did, _, name in known if did in meant and name})),
        records=records,
        dealings=tuple(Dealing(parse_time(at), *rest) for at, *rest in shown),
        next="/".join(shown[-1][:3]) if len(rows) > limit else None,
    )


def _parse_cursor(text: str | None) -> tuple[str, str, str] | None:
    if text is None:
        return None
    at, kind, subject = [*text.split("/", 2), "", ""][:3]
    if not kind:
        raise VaultError(
            "this does not say where a page ended",
            code="relation.cursor",
            hint="Give what the page before it named, or leave it out.",
        )
    return at, kind, subject
