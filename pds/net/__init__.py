"""The only way out: HTTP requests to hosts that a stranger may have named.

Whoever writes a DID, a request or a relay's address chooses where this machine connects to. So
for every host that is not the user's own:

1. ``https``, port 443, a name with a dot in it; no addresses in numbers, no user, no fragment.
2. The name is resolved once. If *any* of its addresses is not a public one, nothing is sent.
3. The connection goes to exactly the address that was checked; TLS is verified for the name.
4. No redirects, proxies, cookies or compression; of the environment counts only where the
   system keeps its certificate authorities.
5. Size and time are bounded. The time is for the whole exchange, so a server that drips one byte
   after another gains nothing.

Two exceptions, both written down by the user: *trusted origins* (their own relay) may be plain
``http``, on this machine and on any port; *development trust* maps one name to one address and to
one certificate authority, which counts for that name alone.

    transport   which connection a request takes
    connection  one connection, one exchange, TLS
    addresses   which addresses are public; names and URLs; development trust
    errors      ``NetError``, and what becomes it
"""

from pds.net.addresses import Address, DevTrust, is_public
from pds.net.connection import Response
from pds.net.errors import NetError
from pds.net.transport import MAX_BYTES, MAX_DOCUMENT_BYTES, TIMEOUT, GetAddrInfo, Transport

__all__ = [
    "MAX_BYTES",
    "MAX_DOCUMENT_BYTES",
    "TIMEOUT",
    "Address",
    "DevTrust",
    "GetAddrInfo",
    "NetError",
    "Response",
    "Transport",
    "is_public",
]
