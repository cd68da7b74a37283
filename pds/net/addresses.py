"""Where a request may go: addresses that are public, names, and URLs in their plain form."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Self, TypeAlias

from pds.net.errors import NetError

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253})"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)?"
)
_DEV_TRUST = re.compile(
    r"(?P<host>[^=]+)=(?P<address>\[[0-9a-fA-F:.]+\]|[0-9.]+):(?P<port>[0-9]{1,5}),(?P<ca>.+)"
)

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# The IANA special-purpose registries (RFC 6890 and successors), and what else is not a place on
# the public Internet. For IPv6 the rule is turned round: only 2000::/3 was ever given out, which
# leaves out ::1, mapped and compatible addresses, NAT64, fc00::/7, fe80::/10 and multicast.
_NOT_PUBLIC_4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's host agent behind a public-looking address
        "169.254.0.0/16",  # link-local, metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT relays
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_PUBLIC_6: Final = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks, …
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # returned (6bone)
        "3fff::/20",  # documentation
    )
)
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)


def is_public(address: Address) -> bool:
    """Whether an address is an ordinary unicast address of the public Internet.

    Addresses that carry another one inside (mapped, NAT64, 6to4, Teredo, ISATAP) are not.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return (
        address.scope_id is None
        and address in _PUBLIC_6
        and not any(address in network for network in _NOT_PUBLIC_6)
        and (int(address) >> 32) & 0xFFFF_FFFF not in _ISATAP
    )


@dataclass(frozen=True, slots=True)
class Url:
    """A URL, taken apart: host in lower case, port always there, target with path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        return self.host if self.port == _default_port(self.scheme) else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``http`` or ``https``, ASCII, without user and fragment. Raises ``net.url``."""
        found = _URL.fullmatch(text)
        if found is None:
            url_refused("the address is not a plain http or https URL")
        port = int(found["port"] or _default_port(found["scheme"]))
        if port > 65535:
            url_refused("the port does not exist")
        return cls(found["scheme"], found["host"].lower(), port, found["target"] or "/")


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def url_refused(message: str) -> NoReturn:
    """Raise ``net.url``."""
    raise NetError(message, code="net.url", hint="It must look like https://name/path.")


def public_name(host: str) -> str:
    """A DNS name of two labels or more, in lower case; else ``net.address_refused``."""
    labels = host.lower().split(".")
    # A last label in digits is what some resolvers take for an address: 127.1, 0x7f.1, 2130706433.
    numeric = labels[-1][:1].isdigit()
    if len(labels) < 2 or numeric or not all(_LABEL.fullmatch(label) for label in labels):
        raise NetError(
            "the host must be a name on the public Internet, not an address or a local name",
            code="net.address_refused",
        )
    return host.lower()


@dataclass(frozen=True, slots=True)
class DevTrust:
    """For development: this name is at this address, with certificates of this authority."""

    host: str
    address: Address
    port: int
    ca_file: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``shop.example=127.0.0.1:8443,ca.pem``. Raises ``net.url``."""
        found = _DEV_TRUST.fullmatch(text)
        try:
            if found is None or not 0 < (port := int(found["port"])) < 65536:
                raise ValueError
            address = ipaddress.ip_address(found["address"].strip("[]"))
        except ValueError:
            raise NetError(
                "development trust is a name, an address with a port, and a file",
                code="net.url",
                hint="Write it like shop.example=127.0.0.1:8443,ca.pem",
            ) from None
        return cls(public_name(found["host"]), address, port, Path(found["ca"]))
