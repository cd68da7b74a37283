"""What a relay refuses, and why it does not start.

    RelayError             the data folder cannot be used
    └── Refused            a call that is refused; ``relay_code`` says why (docs/protocol.md §6, §7)

Neither repeats the input. A refusal has no text of its own: its title is the same for everyone.
"""

from pds.errors import PdsError
from pds.wire import HTTP_STATUS, TITLES, RelayCode


class RelayError(PdsError):
    """The relay cannot work with its data folder.

    Codes: ``relay.other_address`` (the folder belongs to a relay of another address),
    ``relay.log_key`` (the log key is missing, damaged or another one), ``relay.settings``,
    ``relay.no_data``, ``relay.moved`` (it lives on in another database), ``relay.elsewhere`` (the
    folder belongs to a relay, and the database has none), ``relay.target_in_use``,
    ``relay.incomplete`` (a copy is not what it was made from), ``relay.failed``. None of it is
    mended by starting again.
    """

    default_code = "relay.failed"
    exit_code = 2


class Refused(RelayError):
    """A refusal that goes to the caller as a problem. ``retry_after`` is in seconds; ``status`` is
    the code's own unless it is given."""

    exit_code = 1

    def __init__(
        self, code: RelayCode, *, retry_after: int | None = None, status: int | None = None
    ) -> None:
        super().__init__(TITLES[code], code=code.value)
        self.relay_code = code
        self.retry_after = retry_after
        self.status = HTTP_STATUS[code] if status is None else status
