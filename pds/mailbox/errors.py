"""What can come of a call instead of an answer.

    PdsError
    ├── RelayError        the relay refused: ``code`` is one of ``wire.RelayCode``
    ├── RelayUnreachable  relay.unreachable   nothing came back; exit code 4
    └── RelayNonsense     relay.nonsense      what came back is not an answer of the protocol

None repeats the relay's own words.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, NoReturn

from did.errors import DidError
from pds.errors import PdsError
from pds.wire import TITLES, RelayCode

_AGAIN_LATER = frozenset(
    {RelayCode.BUSY, RelayCode.RATE, RelayCode.TOO_SOON, RelayCode.QUOTA, RelayCode.SUSPENDED}
)


class RelayError(PdsError):
    """The relay refused. ``retry_after`` is in seconds, when the relay said so."""

    def __init__(self, code: RelayCode, *, status: int, retry_after: int | None = None) -> None:
        # The sentence is ours: the relay's own words are not shown to anyone.
        super().__init__(
            TITLES[code],
            code=code.value,
            hint="Try again later." if code in _AGAIN_LATER else "",
            exit_code=4 if code in _AGAIN_LATER else 1,
        )
        self.reason = code
        self.status = status
        self.retry_after = retry_after


class RelayUnreachable(PdsError):
    """Nothing came back. Whether the call was carried out is unknown; it can be repeated."""

    default_code: ClassVar[str] = "relay.unreachable"
    exit_code = 4


class RelayNonsense(PdsError):
    """What came back is not what the protocol says. Do not act on it."""

    default_code: ClassVar[str] = "relay.nonsense"


@contextmanager
def shape() -> Iterator[None]:
    """Whatever is not as it should be in here is the relay's nonsense."""
    try:
        yield
    except (ValueError, DidError) as error:
        nonsense(error)
    except PdsError as error:
        if isinstance(error, RelayError | RelayUnreachable | RelayNonsense):
            raise
        nonsense(error)


def nonsense(cause: BaseException | None = None) -> NoReturn:
    """Raise ``relay.nonsense``, with its cause for whoever debugs."""
    raise RelayNonsense(
        "the relay's answer is not one of the protocol",
        hint="Is this the address of a relay, of a version that this program knows?",
    ) from cause


def unreachable() -> RelayUnreachable:
    """The error to be raised from whatever the transport said."""
    return RelayUnreachable(
        "the relay cannot be reached",
        hint="Is it running, and is this machine online? Try again later.",
    )
