"""Ids, capabilities and relay addresses: each has one spelling, and is checked before use."""

import ipaddress
import os
import re
from collections.abc import Callable
from typing import NoReturn

from did.errors import DidError
from did.multikey import b64url_decode, b64url_encode, multihash_sha256
from pds.wire.codes import WireError

ID = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
"""128 bits in base64url: 22 characters carry 132, so the last one has four values only."""

_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::([1-9][0-9]{0,4}))?")
_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}

Random = Callable[[int], bytes]


def new_id(random: Random = os.urandom) -> str:
    """128 random bits as base64url: 22 characters."""
    return b64url_encode(_random_bytes(random, 16))


def check_id(text: object) -> str:
    """Return the text if it is an id, in its one spelling; otherwise ``wire.id``."""
    if not isinstance(text, str) or ID.fullmatch(text) is None:
        raise WireError("an id is 128 bits in base64url: 22 characters", code="wire.id")
    return text


def new_capability(random: Random = os.urandom) -> str:
    """256 random bits as base64url: whoever has it may deposit. The relay keeps the hash only."""
    return b64url_encode(_random_bytes(random, 32))


def capability_hash(secret: str) -> str:
    """The multihash (``uEi…``) of a capability's 32 bytes. Raises ``relay.capability``."""
    try:
        raw = b64url_decode(secret)
    except DidError:
        raw = b""
    if len(raw) != 32:
        raise WireError("a capability has 256 bits in base64url", code="relay.capability")
    return multihash_sha256(raw)


def _random_bytes(random: Random, count: int) -> bytes:
    raw = random(count)
    if len(raw) != count:
        raise WireError("the source of randomness gave too few bytes")
    return raw


def parse_relay_url(text: object) -> str:
    """Return a relay's address if it is a canonical origin; otherwise ``wire.relay_url``.

    ``https://name`` or ``https://name:port``; plain ``http`` only on this machine (``localhost``
    and loopback addresses). Lower case, no user, path, trailing slash or default port. An address
    in numbers must be written in its usual form, so that a host has one spelling.

    *Not* checked: that the host is a public one. ``pds.net`` looks at the addresses themselves.
    """
    found = _ORIGIN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        _relay_url_refused()
    scheme, host, port = found.groups()
    if port is not None and (int(port) > 65535 or port == _DEFAULT_PORTS[scheme]):
        _relay_url_refused()
    loopback = _check_host(host)
    if scheme == "http" and not loopback:
        raise WireError(
            "a relay that is not on this machine is reached by https only", code="wire.relay_url"
        )
    return found.string


def _check_host(host: str) -> bool:
    """Refuse a host without its one spelling; return whether it is this machine."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        labels = host.split(".")
        # A name that ends in a number would be read as an address by some (WHATWG URL §3.5).
        numeric = labels[-1].isdigit() or re.fullmatch(r"0x[0-9a-f]*", labels[-1]) is not None
        if numeric or not all(_DNS_LABEL.fullmatch(label) for label in labels):
            _relay_url_refused()
        return host == "localhost"
    written = f"[{address}]" if address.version == 6 else str(address)
    if written != host:
        _relay_url_refused()
    return address.is_loopback


def _relay_url_refused() -> NoReturn:
    raise WireError(
        "a relay's address must be a canonical origin",
        code="wire.relay_url",
        hint="Write it like https://relay.example: lower case, no path and no slash at the end.",
    )
