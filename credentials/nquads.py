"""RDF quads as values, and N-Quads as text, both ways (RDF 1.1 N-Quads; RDFC-1.0 §5).

``parse`` checks every term, and whoever makes quads otherwise does so with ``iri`` and
``language``: an IRI that holds ``>`` would write a second quad.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from credentials.errors import RdfcRefused

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
LANGUAGE_STRING: Final = RDF + "langString"
STRING: Final = XSD + "string"
# Resolved against this, a relative reference shows; no document has a use for the scheme.
RELATIVE: Final = "relative-reference:"

# RFC 3987 leaves these out; so does the grammar of IRIREF.
_IRI: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|\\^`\x7f-\x9f\ud800-\udfff\ufffe\uffff]*"
)
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_ECHARS: Final = {"\b": "\\b", "\f": "\\f"}
# What the canonical form escapes, beyond tab, line feed, carriage return, quote and backslash.
CONTROLS: Final = {
    code: _ECHARS.get(chr(code), f"\\u{code:04X}")
    for code in (*range(0x09), *range(0x0B, 0x0D), *range(0x0E, 0x20), 0x7F, 0xFFFE, 0xFFFF)
}
# All that it escapes in a literal.
ESCAPES: Final = CONTROLS | {
    0x09: "\\t",
    0x0A: "\\n",
    0x0D: "\\r",
    0x22: '\\"',
    0x5C: "\\\\",
}


class Iri(NamedTuple):
    """An absolute IRI."""

    value: str


class Blank(NamedTuple):
    """A blank node, whose label means nothing outside its own document."""

    label: str


class Literal(NamedTuple):
    """A literal; ``language`` is empty unless ``datatype`` is rdf:langString."""

    value: str
    datatype: str
    language: str = ""


class Quad(NamedTuple):
    """One statement; ``graph`` is ``None`` for the default graph."""

    subject: Iri | Blank
    predicate: Iri
    object: Iri | Blank | Literal
    graph: Iri | Blank | None = None


def rename(quad: Quad, change: Callable[[Iri | Blank], Iri | Blank]) -> Quad:
    """A quad with other names for its subject, its object and its graph."""
    target = quad.object
    return Quad(
        change(quad.subject),
        quad.predicate,
        target if isinstance(target, Literal) else change(target),
        None if quad.graph is None else change(quad.graph),
    )


def write(quad: Quad) -> str:
    """The canonical line of a quad (RDFC-1.0 §5), with the labels that its blank nodes have."""
    return " ".join([_written(term) for term in quad if term is not None]) + " .\n"


def _written(term: Iri | Blank | Literal) -> str:
    if isinstance(term, Iri):
        return f"<{term.value}>"
    if isinstance(term, Blank):
        return f"_:{term.label}"
    text = f'"{term.value.translate(ESCAPES)}"'
    if term.language:
        return f"{text}@{term.language}"
    return text if term.datatype == STRING else f"{text}^^<{term.datatype}>"


def iri(value: object) -> Iri:
    """An absolute IRI. Raises ``RdfcRefused`` (``rdfc.iri``)."""
    if type(value) is str and _IRI.fullmatch(value):
        return Iri(value)
    raise RdfcRefused(
        "an id, type or property must be an absolute IRI",
        code="rdfc.iri",
        hint="A relative reference, or a type that no context defines, would not be signed.",
    )


def language(value: object) -> str:
    """A well-formed language tag. Raises ``RdfcRefused`` (``rdfc.language``)."""
    if type(value) is str and _LANGUAGE.fullmatch(value):
        return value
    raise RdfcRefused("a language must be a well-formed tag", code="rdfc.language")


_IRIREF = r"<([^\x00-\x20<>\"{}|^`]*)>"
_LABEL = r"_:([^\W_][\w.·-]*(?<!\.)|_[\w.·-]*(?<!\.))"
_LINE: Final = re.compile(
    rf"[ \t]*(?:{_IRIREF}|{_LABEL})[ \t]*{_IRIREF}[ \t]*"
    rf'(?:{_IRIREF}|{_LABEL}|"((?:[^"\\\n\r]|\\.)*)"(?:\^\^{_IRIREF}|@([A-Za-z0-9-]+))?)[ \t]*'
    rf"(?:{_IRIREF}|{_LABEL})?[ \t]*\.[ \t]*(?:#.*)?"
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_PLAIN: Final = dict(zip("tbnrf\"'\\", "\t\b\n\r\f\"'\\", strict=True))


def parse(text: str) -> set[Quad]:
    """Read N-Quads; a quad said twice is one quad. Raises ``RdfcRefused`` (``rdfc.syntax``, …)."""
    found: set[Quad] = set()
    for line in re.split(r"[\n\r]+", text):
        if not line.strip(" \t") or line.lstrip(" \t").startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise _syntax()
        s, s_blank, p, o, o_blank, value, datatype, tag, g, g_blank = match.groups()
        subject = _node(s, s_blank)
        target = _node(o, o_blank) if value is None else _literal(value, datatype, tag)
        if subject is None or target is None:
            raise _syntax()
        found.add(Quad(subject, iri(_unescape(p)), target, _node(g, g_blank)))
    return found


def _node(name: str | None, label: str | None) -> Iri | Blank | None:
    if name is not None:
        return iri(_unescape(name))
    return None if label is None else Blank(label)


def _literal(value: str, datatype: str | None, tag: str | None) -> Literal:
    text = _unescape(value)
    if tag is not None:
        return Literal(text, LANGUAGE_STRING, language(tag))
    return Literal(text, STRING if datatype is None else iri(_unescape(datatype)).value)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text

    def plain(match: re.Match[str]) -> str:
        short, long, character = match.groups()
        if character is not None:
            if character not in _PLAIN:
                raise _syntax()
            return _PLAIN[character]
        code = int(short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise _syntax()
        return chr(code)

    return _ESCAPE.sub(plain, text)


def _syntax() -> RdfcRefused:
    return RdfcRefused("the text is not N-Quads", code="rdfc.syntax")
