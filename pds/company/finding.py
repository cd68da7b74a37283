"""What is meant by a name: grants and requests by their ids or the beginning of them, a purpose by
whichever of its names is at hand."""

from credentials.purposes import DPV, is_known
from pds.company.context import Context
from pds.company.errors import CompanyError, NoBasis
from pds.company.store.rows import GrantRow, RequestRow
from pds.company.succession import SUPERSEDED

_URN = "urn:uuid:"
_LEAST = 4


def find_grant(ctx: Context, name: str, person: str | None) -> GrantRow:
    """The grant of this id or digest, or of this purpose's name in the request, or whose id
    begins so; where several fit, the one that has not ended.

    Raises ``CompanyError`` (``company.not_found``, ``company.ambiguous``; ``company.ended`` where
    several fit and all are over).
    """
    rows = ctx.store.grants(person=person)
    found = (
        [row for row in rows if name in (row.id, row.digest)]
        or [row for row in rows if row.purpose_id == name]
        or [row for row in rows if _begins(row.id, name)]
    )
    found = [row for row in found if row.end_kind != SUPERSEDED] or found
    live = [row for row in found if row.ended is None and ctx.now() < row.valid_until]
    if len(live) == 1 or len(found) == 1:
        return (live or found)[0]
    if found and not live:
        raise CompanyError(
            "all grants that go by that name are over",
            code="company.ended",
            hint="Ask the person with a new request. One of those that are over goes by its id: "
            "pds company grants",
        )
    if found:
        raise CompanyError(
            "more than one grant goes by that name",
            code="company.ambiguous",
            hint="Name the person too, or the grant by its id. See: pds company grants",
        )
    raise CompanyError("there is no such grant", code="company.not_found")


def find_request(ctx: Context, name: str) -> RequestRow:
    """The request of this id, or whose id begins so. Raises as ``find_grant``."""
    rows = ctx.store.requests()
    found = [row for row in rows if row.id == name]
    found = found or [row for row in rows if _begins(row.id, name)]
    if len(found) == 1:
        return found[0]
    see = "See: pds company requests"
    if found:
        raise CompanyError("more than one request begins so", code="company.ambiguous", hint=see)
    raise CompanyError("there is no such request", code="company.not_found", hint=see)


def purpose_iri(ctx: Context, name: str, person: str | None) -> str:
    """The IRI of a purpose that is named by it, by its name in a request that this person granted
    (``delivery``), or by its term in the Data Privacy Vocabulary (``DeliveryOfGoods``).

    An IRI is returned as it is. Raises ``CompanyError`` (``company.ambiguous``,
    ``company.no_purpose``), ``NoBasis`` (``register.no_grant``) where this person granted nothing.
    """
    if name.startswith("https://"):
        return name
    rows = ctx.store.grants(person=person)
    if person is not None and not rows:
        raise NoBasis(
            "there is no grant by this person",
            code="register.no_grant",
            hint="See who granted what: pds company grants",
        )
    found = {row.purpose for row in rows if row.purpose_id == name}
    if len(found) > 1:
        raise CompanyError(
            "requests by that name were for different purposes",
            code="company.ambiguous",
            hint="Give the purpose by its term, such as DeliveryOfGoods.",
        )
    if found:
        return found.pop()
    if is_known(DPV + name):
        return DPV + name
    raise CompanyError(
        "there is no such purpose",
        code="company.no_purpose",
        hint="Give its name in the request, its term such as DeliveryOfGoods, or its IRI. "
        "See: pds company grants",
    )


def _begins(urn: str, name: str) -> bool:
    """Whether a name is the beginning of an id, with or without its ``urn:uuid:``."""
    short = name.removeprefix(_URN)
    return len(short) >= _LEAST and urn.removeprefix(_URN).startswith(short)
