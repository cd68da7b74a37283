"""How much of everything, and the limit on open registration."""

import ipaddress
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime

from pds.relay.errors import Refused
from pds.wire import MIB, SEAL, WHOLE, RelayCode

_HOUR = 3600
_PREFIXES_KEPT = 10_000
_BESIDE = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one caller may take up. Sizes are bytes; the times are days unless named otherwise.

    ``registrations_per_hour`` counts new mailboxes by address prefix, where registration is open.
    """

    body: int = 2_097_152
    """A call that brings no sealed object of more than 1 MiB."""
    presentation: int = 65_536
    sealed: int = 8 * MIB + SEAL
    """A package or an envelope, sealed."""
    link: int = WHOLE
    """A locked request behind a link: anybody may fetch it."""
    mailbox: int = 268_435_456
    """All that lies in one mailbox: envelopes, packages and links, 2 KiB for each beside it."""
    capabilities_per_mailbox: int = 100
    envelopes_per_capability: int = 10_000
    packages_per_mailbox: int = 1000
    lists_per_mailbox: int = 4
    requests_per_mailbox: int = 100
    identities_per_mailbox: int = 4
    identity_log: int = 524_288
    """The log of an identity, and the file of its witnesses: as JSON text they fit in ``body``."""
    refusals_per_day: int = 50
    registrations_per_hour: int = 60
    deposits_per_hour: int = 1000
    """Envelopes that one mailbox takes; counted in the database, for all workers together."""
    calls_per_hour: int = 6000
    """Changes that one key may make; counted in the same way."""
    envelope_days: int = 90
    receipt_days: int = 7
    """How long the receipt of a deposit outlives the envelope, for a sender that asks again."""
    presentation_days: int = 90
    answer_hours: int = 72
    request_days: int = 90

    @property
    def largest_body(self) -> int:
        """Bytes of the largest call: one that brings the largest package, as base64 in JSON with
        ticket and manifest."""
        return max(self.body, (self.sealed * 4 + 2) // 3 + _BESIDE)


class RegistrationLimit:
    """Counts new mailboxes by address prefix, in memory only: no address is ever written down."""

    def __init__(self, per_hour: int) -> None:
        self._per_hour = per_hour
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, address: str | None, now: datetime) -> None:
        """Take one of this hour's registrations, or refuse with ``relay.rate``."""
        prefix = address_prefix(address)
        at = now.timestamp()
        with self._lock:
            times = self._seen.setdefault(prefix, deque())
            self._seen.move_to_end(prefix)
            while times and times[0] <= at - _HOUR:
                times.popleft()
            if len(times) >= self._per_hour:
                wait = int(times[0] + _HOUR - at) + 1 if times else _HOUR
                raise Refused(RelayCode.RATE, retry_after=max(1, wait))
            times.append(at)
            while len(self._seen) > _PREFIXES_KEPT:
                self._seen.popitem(last=False)


def address_prefix(address: str | None) -> str:
    """The network an address is counted under: /24, or /48 for IPv6; unknown ones share one."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    width = 24 if parsed.version == 4 else 48
    return str(ipaddress.ip_network((parsed, width), strict=False))
