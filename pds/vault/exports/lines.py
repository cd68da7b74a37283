"""Content lines, as vCard (RFC 6350 §3) and iCalendar (RFC 5545 §3.1) both write them."""

_WIDTH = 75


def escaped(text: str) -> str:
    """A text value (RFC 6350 §3.4, RFC 5545 §3.3.11)."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def line(name: str, value: str) -> bytes:
    """``NAME:value`` folded at 75 octets, never inside a character, with CRLF.

    ``value`` is already escaped, or of a type that needs none; a line end in it would begin a
    property of its own, so there is none.
    """
    rest = f"{name}:{value}".replace("\r", "").replace("\n", "").encode()
    pieces = []
    width = _WIDTH
    while len(rest) > width:
        cut = width
        while rest[cut] & 0xC0 == 0x80:  # inside a character
            cut -= 1
        pieces.append(rest[:cut])
        rest, width = rest[cut:], _WIDTH - 1  # the space that continues a line counts
    return b"\r\n ".join([*pieces, rest]) + b"\r\n"
