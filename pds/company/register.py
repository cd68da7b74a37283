"""The register: what is held about whom, on which basis, until when; and whether it may be used.

It fails closed. Data comes out only under a grant that was verified from its bytes a moment ago:
signed, within its window, for this company and purpose, and not withdrawn by a status list that
the relay has stamped within the last 24 hours.
"""

from dataclasses import dataclass, field
from datetime import datetime

from credentials.errors import (
    CredentialError,
    StatusInvalid,
    StatusUnchecked,
    TimeInvalid,
    Withdrawn,
)
from credentials.purposes import is_same_or_narrower
from did.json import Json
from pds.company.collecting import CollectReport, end_by_list
from pds.company.context import Context
from pds.company.erasure import erase_at
from pds.company.errors import CompanyError, NoBasis
from pds.company.redeeming import status_stale
from pds.company.standing import standing
from pds.company.store.rows import GrantRow
from pds.company.succession import SUPERSEDED

# The one that helps most is said when several grants would each give another reason.
_ORDER = (
    "register.status_stale",
    "register.not_yet_valid",
    "register.withdrawn",
    "register.expired",
    "register.purpose",
    "register.no_grant",
)


@dataclass(frozen=True, slots=True)
class Held:
    """One value held, and why. ``basis`` is the grant's, or the one it is retained on; ``until``
    is the day on which it is erased at the latest, not the end of its use.

    ``usable`` says that it may be used for the grant's purpose as far as is known offline;
    ``Register.data`` alone decides.
    """

    person: str
    path: str
    value: Json = field(repr=False)
    schema: str
    source: str
    assurance: str
    about: str
    collected: datetime
    basis: str
    purpose: str
    since: datetime
    until: datetime
    grant: str
    usable: bool


class _Moved(Exception):
    """The grant's place was taken by one under another DID of the same person."""


class Register:
    """What this company holds. ``person`` is always a holder's DID towards this company: the one
    of today, or any that it took the place of."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def data(
        self, person: str, purpose: str, *, now: datetime | None = None
    ) -> dict[str, list[Json]]:
        """What may be used about a person for a purpose, now: path to values.

        ``purpose`` is an IRI of the Data Privacy Vocabulary; a grant counts when its purpose is
        the same or one beneath it. An empty answer means that a basis lives but nothing was
        redeemed. A status list that is too old is fetched anew.

        Raises ``NoBasis`` with the reason: ``register.no_grant``, ``register.purpose``,
        ``register.withdrawn``, ``register.expired``, ``register.not_yet_valid``,
        ``register.status_stale``.
        """
        moment = self._ctx.now() if now is None else now
        try:
            return self._data(person, purpose, moment)
        except _Moved:
            return self._data(person, purpose, moment)

    def _data(self, person: str, purpose: str, moment: datetime) -> dict[str, list[Json]]:
        grants = [g for g in self._ctx.store.grants(person=person) if g.end_kind != SUPERSEDED]
        matching = [g for g in grants if is_same_or_narrower(g.purpose, than=purpose)]
        if not matching:
            raise _no_basis("register.purpose" if grants else "register.no_grant")
        found: dict[str, list[Json]] = {}
        refusals: list[NoBasis] = []
        for grant in matching:
            try:
                self._check(grant, moment)
            except NoBasis as refusal:
                refusals.append(refusal)
                continue
            for row in self._ctx.store.held(grant.digest):
                values = found.setdefault(row.path, [])
                if row.value not in values:
                    values.append(row.value)
        if len(refusals) == len(matching):
            raise min(refusals, key=lambda refusal: _ORDER.index(refusal.code))
        return found

    def held(self, person: str | None = None, *, now: datetime | None = None) -> list[Held]:
        """Everything held about a person, or about all, with its basis; for an access request or
        an audit, not for use. A value retained on two bases is listed twice."""
        moment = self._ctx.now() if now is None else now
        return [
            one
            for grant in self._ctx.store.grants(person=person)
            for one in self._of(grant, moment)
        ]

    def _of(self, grant: GrantRow, now: datetime) -> list[Held]:
        rows = self._ctx.store.held(grant.digest)
        if not rows:
            return []
        purpose = self._ctx.purpose_of(grant)
        retained = self._ctx.store.retentions(grant.digest)
        live = grant.ended is None and grant.valid_from <= now < grant.valid_until
        due = erase_at(grant)
        result = []
        for row in rows:
            bases = [(kept.basis, kept.until) for kept in retained if kept.path == row.path]
            for basis, until in bases or [(purpose.basis, due)]:
                result.append(
                    Held(
                        person=grant.person,
                        path=row.path,
                        value=row.value,
                        schema=row.schema,
                        source=row.source,
                        assurance=row.assurance,
                        about=row.about,
                        collected=row.collected,
                        basis=basis,
                        purpose=grant.purpose,
                        since=row.received,
                        until=until,
                        grant=grant.id,
                        usable=live,
                    )
                )
        return result

    def _check(self, grant: GrantRow, now: datetime) -> None:
        """Return if the grant is in force now; otherwise ``NoBasis``."""
        if grant.ended is not None:
            raise _no_basis(
                "register.expired" if grant.end_kind == "expired" else "register.withdrawn"
            )
        try:
            standing(self._ctx, grant, now=now)
        except Withdrawn as error:
            self._end(grant)
            raise _no_basis("register.withdrawn") from error
        except TimeInvalid as error:
            raise _no_basis(error.code.replace("credential.", "register.")) from error
        except (StatusUnchecked, StatusInvalid) as error:
            raise status_stale() from error
        except CredentialError as error:
            raise _no_basis("register.no_grant") from error

    def _end(self, grant: GrantRow) -> None:
        try:
            with self._ctx.alone():
                end_by_list(self._ctx, grant, CollectReport())
        except CompanyError as error:
            if error.code != "company.busy":
                raise
            raise status_stale() from error  # whoever is at work will see it
        current = self._ctx.store.grant(grant.digest)
        if current is not None and current.end_kind == SUPERSEDED:
            raise _Moved


_SENTENCES = {
    "register.no_grant": "there is no grant by this person",
    "register.purpose": "no grant by this person covers this purpose",
    "register.withdrawn": "the grant was withdrawn",
    "register.expired": "the grant is over",
    "register.not_yet_valid": "the grant has not begun",
}


def _no_basis(code: str) -> NoBasis:
    return NoBasis(
        _SENTENCES[code],
        code=code,
        hint="Do not use the data. Ask the person with a new request if you still need it.",
    )
