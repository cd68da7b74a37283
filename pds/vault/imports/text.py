"""Bytes to text: which encoding a file has, said plainly and never guessed in silence."""

from dataclasses import dataclass

from .plan import ImportFailed

MAX_FILE_BYTES = 64 * 1024 * 1024

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "windows-1250", "windows-1252", "iso-8859-2")

# Bytes that are ő, ű, Ő, Ű in Windows-1250, and rare letters in Windows-1252 …
_CENTRAL = frozenset(b"\xf5\xfb\xd5\xdb")
# … and bytes that are à, è, ê, ñ, å, ø, æ, ã in Windows-1252, and no Hungarian in Windows-1250.
_WESTERN = frozenset(b"\xe0\xe8\xea\xf1\xe5\xf8\xe6\xe3\xc0\xc8\xca\xd1\xc5\xd8\xc6")


def check_size(raw: bytes) -> None:
    """ImportFailed ``import.too_large`` above 64 MiB, ``import.empty`` for nothing."""
    if len(raw) > MAX_FILE_BYTES:
        raise ImportFailed(
            "The file is larger than 64 MiB.",
            code="import.too_large",
            hint="Split it into smaller files.",
        )
    if not raw:
        raise ImportFailed("The file is empty.", code="import.empty")


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded file. ``assumption`` is a sentence where the encoding had to be guessed."""

    content: str
    encoding: str
    assumption: str = ""


def decode(raw: bytes, *, encoding: str | None = None) -> Text:
    """Decode a text file: by its mark, as UTF-8, or as Windows-1250 or -1252 with an assumption.

    ``encoding`` (one of ``ENCODINGS``) ends the guessing. Raises ImportFailed ``import.encoding``.
    """
    for mark, name in _MARKS:
        if raw.startswith(mark) and encoding in (None, name):
            return Text(_decode(raw[len(mark) :], name), name)
    if encoding is not None:
        if encoding not in ENCODINGS:
            raise ImportFailed(
                "This encoding is not known.",
                code="import.encoding",
                hint="One of: " + ", ".join(ENCODINGS) + ".",
            )
        return Text(_decode(raw, encoding), encoding)
    try:
        return Text(raw.decode(), "utf-8")
    except UnicodeDecodeError:
        guess = legacy_encoding(raw)
    return Text(
        _decode(raw, guess),
        guess,
        f"The file is not UTF-8; it was read as {guess.capitalize()}. Check the accents.",
    )


def legacy_encoding(raw: bytes) -> str:
    """Windows-1250, unless the accents speak for Windows-1252 only."""
    present = set(raw)
    return "windows-1252" if present & _WESTERN and not present & _CENTRAL else "windows-1250"


def _decode(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        raise ImportFailed(
            "The file is not text in the encoding that it seems to have.",
            code="import.encoding",
            hint="Save it as UTF-8 and try again.",
        ) from None
