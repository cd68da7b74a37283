"""One call to one relay: signed where it must be, bounded, and refused unless it is an answer."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import NoReturn, Protocol

from did.errors import DidError
from did.json import Json, JsonObject, parse_object
from did.keys import SigningKey
from did.time import parse_time
from pds.errors import PdsError
from pds.log import Receipt
from pds.mailbox.errors import RelayError, nonsense, shape, unreachable
from pds.wire import (
    HTTP_STATUS,
    WHOLE,
    Random,
    RelayCode,
    new_id,
    parse_relay_url,
    sign_request,
)
from pds.wire.forms import text

MAX_SMALL = 65_536
MAX_STATUS_LIST = 1_048_576
MAX_IDENTITY = 2_097_152
MAX_ANSWER = 2 * WHOLE
MAX_PAGE = 8 * 1_048_576

MAX_PROBLEM = 16_384
DONE = frozenset({200, 201})
"""What a relay says to a call that may be repeated: done now, or done before."""

_SECONDS = re.compile(r"[0-9]{1,9}")
# What the server in front of a relay says before the relay sees a request.
_FRONT = {"front.too_large": RelayCode.TOO_LARGE, "front.busy": RelayCode.BUSY}
# A status list that waits for its owner is no verdict on who asks.
_ALSO = frozenset({(RelayCode.SUSPENDED, 503)})
_GATEWAY = frozenset({502, 503, 504})
# A transport's own refusals that speak of the answer, not of the way to it.
_BAD_ANSWER = frozenset({"net.too_large", "net.redirect", "net.encoding"})

Clock = Callable[[], datetime]


class Response(Protocol):
    """What a transport gives back; header names in lower case."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Transport(Protocol):
    """How requests are sent. It bounds size and time, and follows no redirect.

    A failure is an ``OSError``, or a ``PdsError`` with exit code 4 where trying again may help.
    """

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes
    ) -> Response: ...


class RelayCalls:
    """How one relay is called. ``clock`` dates signatures; ``random`` makes their nonces."""

    def __init__(self, relay: str, transport: Transport, *, clock: Clock, random: Random) -> None:
        self.relay = parse_relay_url(relay)
        self._transport = transport
        self._clock = clock
        self._random = random

    def receipt(self, raw: JsonObject, **expected: Json) -> JsonObject:
        """Return a receipt whose form is right and whose entry says what is expected.

        Its proof is *not* verified: ``pds.log.verify_receipt`` does that.
        """
        with shape():
            entry = Receipt.parse(raw).entry
            parse_time(text(entry.get("at")))
            for name, value in ({"relay": self.relay} | expected).items():
                if type(entry.get(name)) is not type(value) or entry[name] != value:
                    raise ValueError
        return raw

    def json(
        self,
        method: str,
        path: str,
        statuses: Collection[int],
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        signed: tuple[SigningKey, int] | None = None,
        limit: int = MAX_SMALL,
    ) -> JsonObject:
        """One call whose answer is a JSON object."""
        response = self.call(
            method, path, statuses, body=body, headers=headers, signed=signed, limit=limit
        )
        with shape():
            return parse_object(response.body, max_bytes=limit)

    def call(
        self,
        method: str,
        path: str,
        statuses: Collection[int],
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        signed: tuple[SigningKey, int] | None = None,
        limit: int = MAX_SMALL,
    ) -> Response:
        """One call. Returns a response with one of the statuses, within the limit, or raises."""
        url = self.relay + path
        fields = dict(headers or {})
        if body:
            fields.setdefault("Content-Type", "application/json")
        if signed is not None:
            key, epoch = signed
            fields |= sign_request(
                key,
                method=method,
                url=url,
                body=body,
                epoch=epoch,
                created=self._clock(),
                nonce=new_id(self._random),
            )
        try:
            response = self._transport.request(method, url, headers=fields, body=body)
        except OSError as error:
            raise unreachable() from error
        except PdsError as error:
            if error.code in _BAD_ANSWER:
                nonsense(error)
            if error.exit_code == 4:
                raise unreachable() from error
            raise
        if response.status not in statuses:
            _refused(response)
        if len(response.body) > limit:
            nonsense()
        return response

    def pieces(self, path: str, size: int, *, signed: tuple[SigningKey, int]) -> bytes:
        """Something of so many bytes that the relay hands out in pieces: every one but the last
        whole, so that no relay can make a call for each byte of it."""
        found: list[bytes] = []
        for after in range(0, size, WHOLE):
            target = f"{path}?after={after}"
            piece = self.call("GET", target, {200}, signed=signed, limit=WHOLE).body
            if len(piece) != min(WHOLE, size - after):
                nonsense()
            found.append(piece)
        return b"".join(found)


def _refused(response: Response) -> NoReturn:
    """Raise what the relay's refusal means, if it is a well-formed one (RFC 9457), or else what a
    proxy in front says by its status: 429, 502 to 504."""
    try:
        raw = parse_object(response.body, max_bytes=MAX_PROBLEM)
        name = text(raw.get("code"))
        code = _FRONT.get(name) or RelayCode(name)
        fits = response.status == HTTP_STATUS[code] or (code, response.status) in _ALSO
        if raw.get("status") != response.status or not fits:
            raise ValueError
    except (ValueError, DidError) as error:
        if response.status in _GATEWAY:
            raise unreachable() from error
        if response.status != HTTP_STATUS[RelayCode.RATE]:
            nonsense(error)
        # A proxy in front counts calls too, and says so with a page of its own.
        code = RelayCode.RATE
    after = response.headers.get("retry-after", "")
    raise RelayError(
        code,
        status=response.status,
        retry_after=int(after) if _SECONDS.fullmatch(after) else None,
    )
