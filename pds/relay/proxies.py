"""Who called, when a proxy in front passes calls on.

Only ``X-Forwarded-For`` is read: nginx and Caddy write it, and pass on a ``Forwarded`` (RFC 7239)
as the client wrote it. Each proxy appends whom it heard, so the list is believed from its end and
for as long as one of ours has written; what a client put before that is never looked at.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from pds.relay.errors import RelayError

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxies:
    """The addresses from which ``X-Forwarded-For`` is believed; none of them if there are none."""

    networks: tuple[_Network, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Proxies":
        """Each an address or a network. Raises ``RelayError`` ``relay.settings``."""
        try:
            return cls(tuple(ipaddress.ip_network(text) for text in texts))
        except ValueError:
            raise RelayError(
                "A trusted proxy is written as an address or a network.",
                code="relay.settings",
                hint="Like 127.0.0.1, 10.0.0.0/8 or fd00::/8; a network's last bits are zero.",
            ) from None

    def caller(self, peer: str | None, forwarded: str | None) -> str | None:
        """The address that a call counts for: the last one that is not a proxy of ours, or the
        peer's where the list does not name one.

        ``forwarded`` is every ``X-Forwarded-For`` of the request, joined by commas.
        """
        if forwarded is None or not self._has(_address(peer)):
            return peer
        for text in reversed(forwarded.split(",")):
            named = _address(text.strip(" \t"))
            if named is None:
                return peer
            if not self._has(named):
                return str(named)
        return peer

    def _has(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self.networks)


def _address(text: str | None) -> _Address | None:
    """The address that this is; IPv4 also where it is written as IPv6."""
    try:
        parsed = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed
