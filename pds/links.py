"""Request links: an encrypted request that waits at a relay, and the link that opens it.

    https://relay.example/r/{id}#{secret}

The part behind ``#`` never leaves the reader's machine: browsers do not send it, and this product
takes it off before it asks. The relay stores what it cannot read.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Self

from did.errors import DidError
from did.json import JsonObject, canonicalize
from did.multikey import b64url_decode, b64url_encode
from pds.errors import PdsError
from pds.sealing import SECRET_BYTES, lock_with_secret, unlock_with_secret
from pds.wire import WireError, check_id, new_id, parse_relay_url

_LINK = re.compile(r"(?P<relay>https?://[^/?#\s]+)/r/(?P<id>[^/?#\s]+)#(?P<secret>[^/?#\s]+)")
_MAX_LINK = 400
_LABEL = "request"

Random = Callable[[int], bytes]


class LinkError(PdsError):
    """Text that is not a whole request link: ``links.format``."""

    default_code: ClassVar[str] = "links.format"


@dataclass(frozen=True, slots=True)
class RequestLink:
    """Where a request waits, and what opens it. ``str()`` is the link; ``repr`` hides the secret.

    ``relay`` is a canonical origin, ``id`` an id of the protocol, ``secret`` 32 random bytes.
    Whether the relay's host may be connected to is for ``pds.net`` to say.
    """

    relay: str
    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        try:
            parse_relay_url(self.relay)
            check_id(self.id)
        except WireError:
            raise _not_a_link() from None
        if len(self.secret) != SECRET_BYTES:
            raise _not_a_link()

    @classmethod
    def new(cls, relay: str, random: Random = os.urandom) -> Self:
        """A link for a request that is still to be put at ``relay``."""
        return cls(relay, new_id(random), random(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a link, whole and in its one spelling; otherwise ``links.format``."""
        found = _LINK.fullmatch(text.strip()) if len(text) <= _MAX_LINK else None
        if found is None:
            raise _not_a_link()
        try:
            secret = b64url_decode(found["secret"])
        except DidError:
            raise _not_a_link() from None
        return cls(found["relay"], found["id"], secret)

    def __str__(self) -> str:
        return f"{self.relay}/r/{self.id}#{b64url_encode(self.secret)}"


def seal_request(
    request: JsonObject | bytes, *, secret: bytes, request_id: str, random: Random = os.urandom
) -> bytes:
    """Lock a signed request for the relay to keep, under the secret of its link.

    An object is written in its JCS form. Raises ``SealingError`` (``sealing.too_large``).
    """
    plaintext = request if isinstance(request, bytes) else canonicalize(request)
    return lock_with_secret(
        plaintext, secret=secret, label=_LABEL, context=check_id(request_id), random=random
    )


def open_request(locked: bytes, *, secret: bytes, request_id: str) -> bytes:
    """The request that a relay kept, as the bytes that were locked.

    Raises ``SealingError`` (``sealing.cannot_open``) for another secret, another id or a changed
    byte. Says nothing about *who* made the request: whoever has the link can make another one.
    """
    return unlock_with_secret(locked, secret=secret, label=_LABEL, context=check_id(request_id))


def _not_a_link() -> LinkError:
    return LinkError(
        "this is not a request link",
        hint="Copy it whole: it looks like https://relay.example/r/…#… and ends after the last "
        "part.",
    )
