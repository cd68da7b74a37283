"""XML from strangers: elements one after another, with their lines, in bounded memory.

defusedxml refuses every document type, so that no entity is ever declared, expanded or fetched.
This module bounds the rest: how deep elements nest, how many names there are (the parser keeps
each), how long one tag is, and how long one text.
"""

from typing import TYPE_CHECKING, NoReturn, Protocol

from .plan import ImportFailed
from .source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH = 64
MAX_NAMES = 2000
MAX_TAG = 262_144
MAX_TEXT = 65_536
_CHUNK = 65_536


class Broken(Exception):
    """The XML cannot be read beyond a line; what came before it has been handed on."""

    def __init__(self, line: int) -> None:
        super().__init__("broken XML")
        self.line = line


class Elements(Protocol):
    """Who takes elements: names are local ones, without their namespace. ``text`` is what stands
    between the last tag and the end of this one, cut off beyond the limit."""

    def start(self, line: int, name: str, attributes: "Mapping[str, str]") -> None: ...

    def end(self, name: str, text: str) -> None: ...


def read_xml(source: Source, elements: Elements) -> None:
    """Hand on the elements of a file.

    Raises Broken at the first fault or the end of a file that breaks off, and ImportFailed
    ``import.unsafe`` for a document type.
    """
    # Imported on first use: nothing else needs it.
    from defusedxml.common import DefusedXmlException
    from defusedxml.expatreader import DefusedExpatParser

    parser = DefusedExpatParser(forbid_dtd=True, forbid_entities=True, forbid_external=True)
    handler = _Handler(parser, elements)
    parser.setContentHandler(handler)
    parser.setErrorHandler(handler)
    silent = 0
    try:
        with source.open() as stream:
            while chunk := stream.read(_CHUNK):
                before = handler.events
                parser.feed(chunk)
                # A tag that does not end is kept whole by the parser, and looked at again.
                silent = 0 if handler.events != before else silent + len(chunk)
                if silent > MAX_TAG:
                    raise Broken(parser.getLineNumber())
            parser.close()
    except DefusedXmlException:
        raise ImportFailed(
            "The file declares a document type of its own, which can be made to read other files"
            " or to fill the memory.",
            code="import.unsafe",
            hint="Banks write none; export the file anew.",
        ) from None
    except (LookupError, ValueError):
        if handler.events:
            raise
        raise ImportFailed(
            "The file is in an encoding that is not known.",
            code="import.encoding",
            hint="Save it as UTF-8 and try again.",
        ) from None


class _Handler:
    """What the parser calls (the SAX interface), with the limits."""

    def __init__(self, parser: "object", elements: Elements) -> None:
        self._parser = parser
        self._elements = elements
        self._names: set[str] = set()
        self._depth = self._size = 0
        self._text: list[str] = []
        self.events = 0

    def startElement(self, name: str, attributes: "Mapping[str, str]") -> None:  # noqa: N802
        self.events += 1
        self._depth += 1
        self._names.add(name)
        self._names.update(attributes.keys())
        if self._depth > MAX_DEPTH or len(self._names) > MAX_NAMES:
            raise Broken(self._line())
        self._clear()
        self._elements.start(self._line(), name.rpartition(":")[2], attributes)

    def endElement(self, name: str) -> None:  # noqa: N802
        self.events += 1
        self._depth -= 1
        text = "".join(self._text)
        self._clear()
        self._elements.end(name.rpartition(":")[2], text)

    def characters(self, text: str) -> None:
        self.events += 1
        self._size += len(text)
        if self._size <= MAX_TEXT:
            self._text.append(text)

    def ignorableWhitespace(self, text: str) -> None:  # noqa: N802
        self.characters(text)

    def processingInstruction(self, *_: object) -> None:  # noqa: N802
        self.events += 1

    def setDocumentLocator(self, *_: object) -> None:  # noqa: N802
        """Nothing to do."""

    startDocument = endDocument = skippedEntity = setDocumentLocator  # noqa: N815

    def fatalError(self, _: object) -> NoReturn:  # noqa: N802
        # The parser's own error may repeat what the file says.
        raise Broken(self._line()) from None

    error = warning = fatalError

    def _clear(self) -> None:
        self._text.clear()
        self._size = 0

    def _line(self) -> int:
        return int(self._parser.getLineNumber())  # type: ignore[attr-defined]
