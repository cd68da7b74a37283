"""Pictures inside cards: what is inline is kept, what is only linked to is never fetched.

A picture is known by its first bytes, whatever its card calls it. It is not decoded: nobody here
looks at it, and what cannot be a picture is left out.
"""

import binascii
import re

MAX_PICTURE = 2 * 1024 * 1024

_DATA_URL = re.compile(rb"data:[a-z0-9.+/;=_-]{0,200}?;base64\\?,", re.IGNORECASE)
_KINDS = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)


def from_data_url(raw: bytes) -> bytes | None:
    """The base64 of a data: URL; None for what is none."""
    match = _DATA_URL.match(raw)
    return None if match is None else raw[match.end() :]


def picture(base64: bytes) -> tuple[bytes, str] | None:
    """The octets of a picture and the usual ending of its name; None for anything else, and for
    one that is too large."""
    try:
        data = binascii.a2b_base64(b"".join(base64.split()) + b"==")  # some leave the end away
    except binascii.Error:
        return None
    ending = next((name for magic, name in _KINDS if data.startswith(magic)), "")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        ending = "webp"
    elif data[4:12] in (b"ftypheic", b"ftypmif1", b"ftypheix"):
        ending = "heic"
    return (data, ending) if ending and len(data) <= MAX_PICTURE else None
