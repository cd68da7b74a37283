"""did:web: the document lies on the web server of a domain; whoever runs it says what it holds.

Source: the did:web Method (W3C CCG), §2.1 and §2.5.2, narrowed so that a place has one name:
lower-case host names, no addresses, no percent-encoding but the ``%3A`` before a port.
"""

import re
from collections.abc import Callable, Sequence

from did.document import DidDocument
from did.errors import DidResolutionError, DidSyntaxError, JsonError, MethodNotSupported
from did.identifier import Did
from did.json import parse_object

MAX_DOCUMENT_BYTES = 65_536

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A top label holds a letter and is no hexadecimal number: what ends in a number is read as an IPv4
# address by many (WHATWG URL §3.5).
_HOST = re.compile(rf"(?:{_LABEL}\.)*(?=[a-z0-9-]*[a-z])(?!0x[0-9a-f]*$){_LABEL}")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]+")


def url_of(did: Did) -> str:
    """The HTTPS address of the document.

    ``did:web:example.com`` lies at ``https://example.com/.well-known/did.json``,
    ``did:web:example.com%3A8443:a:b`` at ``https://example.com:8443/a/b/did.json``.
    Raises ``DidSyntaxError`` (``did.web_syntax``). Not checked: where the name leads to.
    """
    if did.method != "web":
        raise MethodNotSupported("this is not a did:web")
    authority, *segments = did.id.split(":")
    host, colon, port = authority.partition("%3A")
    _check_host(host)
    if colon:
        _check_port(port)
        host = f"{host}:{port}"
    _check_segments(segments)
    return f"https://{host}/{'/'.join(segments) if segments else '.well-known'}/did.json"


def did_of_host(host: str, *, port: int | None = None, path: Sequence[str] = ()) -> Did:
    """The did:web of a host, and of a folder on it; the inverse of ``url_of``.

    ``path`` holds the folder's segments. Raises ``DidSyntaxError`` (``did.web_syntax``).
    """
    _check_host(host)
    _check_segments(path)
    if port is not None:
        _check_port(str(port))
        host = f"{host}%3A{port}"
    return Did.parse(":".join(("did:web", host, *path)))


def resolve(did: Did, fetch: Callable[[str], bytes]) -> DidDocument:
    """Fetch and read the document of a did:web; its ``id`` must be the DID asked for.

    Raises ``DidSyntaxError``, ``DidResolutionError`` (``did.resolution``) when what came is not a
    strict JSON object of at most 64 KiB, ``DidDocumentError``, and whatever ``fetch`` raises.
    """
    url = url_of(did)
    body = fetch(url)
    try:
        value = parse_object(body, max_bytes=MAX_DOCUMENT_BYTES)
    except JsonError as error:
        raise DidResolutionError(
            f"the document at the address of this did:web cannot be read: {error}"
        ) from error
    return DidDocument.parse(value, expected=did)


def _check_host(host: str) -> None:
    if len(host) > 253 or _HOST.fullmatch(host) is None:
        raise DidSyntaxError(
            "a did:web names its host in lower case, and not by address",
            code="did.web_syntax",
            hint="Write did:web:example.com; names in other scripts in their xn-- form.",
        )


def _check_port(port: str) -> None:
    if _PORT.fullmatch(port) is None or int(port) > 65535:
        raise DidSyntaxError("a did:web names its port as %3A and a number", code="did.web_syntax")


def _check_segments(segments: Sequence[str]) -> None:
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise DidSyntaxError(
            "the path of a did:web consists of letters, digits, '.', '-' and '_'",
            code="did.web_syntax",
        )
