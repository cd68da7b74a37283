"""Errors of the company's side.

CompanyError    company.*    a verb that cannot be carried out as asked
NoBasis         register.*   no live basis covers this use; the data is not handed out
"""

from typing import ClassVar

from pds.errors import PdsError


class CompanyError(PdsError):
    """Something that the company's staff can act on.

    ``company.exists``, ``company.missing``, ``company.busy``, ``company.did``,
    ``company.not_found``, ``company.ambiguous``, ``company.no_purpose``,
    ``company.ended``, ``company.valid_for``, ``company.too_large``,
    ``company.status_elsewhere``, ``company.receipt``, ``company.damaged``,
    ``company.tls_hosts``, ``company.answered``, ``relay.token``. Only ever as problems:
    ``company.undeliverable``, ``company.already_answered``, ``company.cancelled``,
    ``company.too_many_envelopes``, ``company.dates`` (beyond the calendar),
    ``register.not_in_list``, ``message.gap``, ``message.resumed``, ``log.forked``,
    ``log.unproven``, ``relay.new_log``.
    """

    default_code: ClassVar[str] = "company.error"


class NoBasis(PdsError):
    """Nothing that this company holds may be used for this person and purpose, now.

    ``register.no_grant``, ``register.purpose``, ``register.withdrawn``, ``register.expired``,
    ``register.not_yet_valid``; and ``register.status_stale`` (exit code 4): whether it was
    withdrawn could not be checked, so it counts as withdrawn until it can.
    """

    default_code: ClassVar[str] = "register.no_grant"
