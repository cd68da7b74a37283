"""Bytes to text: which encoding a file has, said plainly and never guessed in silence."""

import codecs
import io
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .plan import ImportFailed
from .source import Source

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "windows-1250", "windows-1252", "iso-8859-2")
_CHUNK = 1_048_576

# Bytes that are ő, ű, Ő, Ű in Windows-1250, and rare letters in Windows-1252 …
_CENTRAL = frozenset(b"\xf5\xfb\xd5\xdb")
# … and bytes that are à, è, ê, ñ, å, ø, æ, ã in Windows-1252, and no Hungarian in Windows-1250.
_WESTERN = frozenset(b"\xe0\xe8\xea\xf1\xe5\xf8\xe6\xe3\xc0\xc8\xca\xd1\xc5\xd8\xc6")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file is text: the name of its encoding, how long its mark is, and a sentence where it
    had to be guessed."""

    name: str
    mark: int = 0
    assumption: str = ""


def find_encoding(source: Source, *, encoding: str | None = None) -> Encoding:
    """By its mark, as UTF-8, or as Windows-1250 or -1252 with an assumption; the whole of the file
    is text in what is returned.

    ``encoding`` (one of ``ENCODINGS``) ends the guessing. Raises ImportFailed ``import.encoding``.
    """
    head = source.head(4)
    for mark, name in _MARKS:
        if head.startswith(mark) and encoding in (None, name):
            return _checked(source, Encoding(name, len(mark)))
    if encoding is not None:
        if encoding not in ENCODINGS:
            raise ImportFailed(
                "This encoding is not known.",
                code="import.encoding",
                hint="One of: " + ", ".join(ENCODINGS) + ".",
            )
        return _checked(source, Encoding(encoding))
    if is_utf8(source):
        return Encoding("utf-8")
    guess = legacy_encoding(bytes_in(source))
    return _checked(
        source,
        Encoding(
            guess,
            assumption=f"The file is not UTF-8; it was read as {guess.capitalize()}."
            " Check the accents.",
        ),
    )


@contextmanager
def open_text(source: Source, encoding: Encoding) -> Iterator[io.TextIOWrapper]:
    """The file as text with plain line feeds, whatever ended its lines. Raises ImportFailed
    ``import.encoding``."""
    with source.open() as stream:
        stream.seek(encoding.mark)
        text = io.TextIOWrapper(stream, encoding.name)
        try:
            yield text
        except UnicodeDecodeError:
            raise _no_text() from None
        finally:
            if not stream.closed:
                text.detach()


def whole_text(source: Source, *, encoding: str | None = None) -> tuple[str, Encoding]:
    """A file of at most 64 MiB as one text with plain line feeds. Raises ImportFailed
    ``import.encoding``, ``import.too_large``."""
    source.check_whole()
    found = find_encoding(source, encoding=encoding)
    with open_text(source, found) as text:
        return text.read(), found


def recoded(source: Source) -> tuple[Source, str]:
    """A UTF-16 file as one in UTF-8 (at most 64 MiB), any other as it is; and its encoding, or
    UTF-8. Raises ImportFailed ``import.encoding``, ``import.too_large``."""
    if source.head(2) not in _UTF16:
        return source, "utf-8"
    text, found = whole_text(source)
    return Source(text.encode("utf-8", "replace") or b"\n"), found.name


def clean(text: str) -> str:
    """A text as records have it: composed (NFC), plain line feeds, nothing around it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", text).strip()


def legacy_encoding(raw: "bytes | set[int]") -> str:
    """Windows-1250, unless the accents speak for Windows-1252 only."""
    present = set(raw)
    return "windows-1252" if present & _WESTERN and not present & _CENTRAL else "windows-1250"


def is_utf8(source: Source) -> bool:
    return _is(source, Encoding("utf-8"))


def bytes_in(source: Source) -> set[int]:
    """Which bytes occur in a file."""
    found: set[int] = set()
    with source.open() as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found


def _is(source: Source, encoding: Encoding) -> bool:
    decoder = codecs.getincrementaldecoder(encoding.name)()
    with source.open() as stream:
        stream.seek(encoding.mark)
        try:
            while chunk := stream.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _checked(source: Source, encoding: Encoding) -> Encoding:
    if not _is(source, encoding):
        raise _no_text()
    return encoding


def _no_text() -> ImportFailed:
    return ImportFailed(
        "The file is not text in the encoding that it seems to have.",
        code="import.encoding",
        hint="Save it as UTF-8 and try again.",
    )
