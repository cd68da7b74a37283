"""Expanded JSON-LD as RDF quads, with nothing left out (JSON-LD 1.1 API §8.2).

The standard's own algorithm passes over what RDF has no form for: relative IRIs, blank nodes as
predicates, malformed languages, indexes. What is passed over is not signed, so here each of these
is an error, and whatever is not named below is one too.
"""

from collections.abc import Mapping
from typing import Any, Final

from credentials.errors import RdfcRefused
from credentials.nquads import (
    LANGUAGE_STRING,
    RDF,
    STRING,
    XSD,
    Blank,
    Iri,
    Literal,
    Quad,
    iri,
    language,
)
from did.json import canonicalize

_TYPE: Final = Iri(RDF + "type")
_FIRST: Final = Iri(RDF + "first")
_REST: Final = Iri(RDF + "rest")
_NIL: Final = Iri(RDF + "nil")
_JSON: Final = RDF + "JSON"
_I18N: Final = "https://www.w3.org/ns/i18n#"
_CREDENTIALS: Final = "https://www.w3.org/2018/credentials#"
_EXPIRATION: Final = "https://w3id.org/security#expiration"
_BOOLEAN: Final = XSD + "boolean"
_INTEGER: Final = XSD + "integer"
_DOUBLE: Final = XSD + "double"
# JSON-LD API §8.2.2, step 10: from here on a whole number is written as a double.
_LARGE: Final = 10**21


class _Writer:
    """Collects the quads of one document, and the nulls that stand inside its JSON literals."""

    def __init__(self, relative: str, max_quads: int) -> None:
        self.quads: set[Quad] = set()
        self.nulls = 0
        self._relative = relative
        self._max_quads = max_quads
        self._root: Iri | Blank | None = None
        self._labels: dict[str, Blank] = {}
        self._count = 0

    def _fresh(self) -> Blank:
        self._count += 1
        return Blank(f"b{self._count}")

    def _blank(self, label: str) -> Blank:
        return self._labels.setdefault(label, self._fresh())

    def _name(self, value: object) -> Iri | Blank:
        if type(value) is str and value.startswith("_:"):
            return self._blank(value)
        named = iri(value)
        if named.value.startswith(self._relative):
            raise RdfcRefused("an id must not be a relative reference", code="rdfc.iri")
        return named

    def _say(self, quad: Quad) -> None:
        self.quads.add(quad)
        if len(self.quads) > self._max_quads:
            raise RdfcRefused(
                f"the document has more than {self._max_quads} statements", code="rdfc.quads"
            )

    def node(self, node: object, graph: Iri | Blank | None, *, bare: bool) -> Iri | Blank:
        """Write a node and all below it; ``bare``: whether it may be a mere reference."""
        if not isinstance(node, dict) or "@value" in node or "@list" in node:
            raise RdfcRefused("a value stands where a node must", code="rdfc.dropped")
        subject = self._name(node["@id"]) if "@id" in node else self._fresh()
        again = subject == self._root
        self._root = self._root or subject
        said = False
        for name, values in node.items():
            if name == "@id":
                continue
            said = True
            if values == [] and name == _CREDENTIALS + "verifiableCredential":
                continue  # none is what a presentation says that has no list either
            if values == []:
                raise RdfcRefused(
                    "an empty list says nothing in RDF, and would not be signed",
                    code="rdfc.dropped",
                    hint="Leave the property out.",
                )
            if name == "@type":
                for kind in values:
                    self._say(Quad(subject, _TYPE, self._name(kind), graph))
            elif name == "@graph":
                for member in values:
                    self.node(member, subject, bare=False)
            elif name.startswith("@"):
                raise _keyword()
            elif again and deciding_term(name) is not None:
                raise hidden()
            else:
                predicate = self._predicate(name)
                for value in values:
                    self._say(Quad(subject, predicate, self._object(value, graph), graph))
        if not said and not bare:
            raise RdfcRefused("a node says nothing, and would not be signed", code="rdfc.dropped")
        return subject

    def _predicate(self, name: str) -> Iri:
        if name.startswith("_:"):
            raise RdfcRefused("a property must not be a blank node", code="rdfc.predicate")
        return iri(name)

    def _object(self, value: object, graph: Iri | Blank | None) -> Iri | Blank | Literal:
        if isinstance(value, dict) and "@value" in value:
            return self._literal(value)
        if isinstance(value, dict) and "@list" in value:
            if len(value) != 1:
                raise _keyword()
            head: Iri | Blank = _NIL
            for item in reversed(value["@list"]):
                link = self._fresh()
                self._say(Quad(link, _FIRST, self._object(item, graph), graph))
                self._say(Quad(link, _REST, head, graph))
                head = link
            return head
        return self.node(value, graph, bare=True)

    def _literal(self, value: Mapping[str, Any]) -> Literal:
        if not value.keys() <= {"@value", "@type", "@language", "@direction"}:
            raise _keyword()
        content, kind = value["@value"], value.get("@type")
        if "@direction" in value:
            # Plain RDF has no direction. Of the forms that the standard offers (``rdfDirection``)
            # others sign by the datatype, and so do we.
            tag = language(value["@language"]) if "@language" in value else ""
            if type(content) is not str or kind is not None:
                raise RdfcRefused("only text has a direction", code="rdfc.direction")
            return Literal(content, f"{_I18N}{tag.lower()}_{value['@direction']}")
        if kind == "@json":
            self.nulls += count_nulls(content)
            return Literal(canonicalize(content).decode(), _JSON)
        datatype = None if kind is None else iri(kind).value
        if datatype is not None and datatype.startswith(_I18N):
            raise RdfcRefused(
                "a text direction must be written as one",
                code="rdfc.direction",
                hint="Use @language and @direction instead of a datatype.",
            )
        if "@language" in value:
            if type(content) is not str or datatype is not None:
                raise RdfcRefused("only text has a language", code="rdfc.language")
            return Literal(content, LANGUAGE_STRING, language(value["@language"]))
        if datatype == LANGUAGE_STRING:
            raise RdfcRefused("such a text must have a language", code="rdfc.language")
        if type(content) is str:
            return Literal(content, datatype or STRING)
        if type(content) is bool:
            return Literal("true" if content else "false", datatype or _BOOLEAN)
        if type(content) is int or type(content) is float:
            if content % 1 == 0 and abs(content) < _LARGE and datatype != _DOUBLE:
                return Literal(str(int(content)), datatype or _INTEGER)
            return Literal(_double(content), datatype or _DOUBLE)
        raise RdfcRefused("a literal must be a text, a number or a truth value", code="rdfc.syntax")


def _double(number: float) -> str:
    """The canonical xsd:double (JSON-LD API §8.6): sixteen digits, and none to spare."""
    mantissa, exponent = f"{number:.15E}".split("E")
    mantissa = mantissa.rstrip("0")
    text = f"{mantissa}{'0' if mantissa.endswith('.') else ''}E{int(exponent)}"
    if float(text) != number:
        raise RdfcRefused(
            "a number has more digits than its canonical form, and would not be signed as it is",
            code="rdfc.number",
            hint="Write it as text, or with fewer digits.",
        )
    return text


def to_quads(expanded: object, *, nulls: int, relative: str, max_quads: int) -> set[Quad]:
    """The statements of one expanded document.

    ``nulls`` is how often ``null`` stood in the document: each must be found again inside a JSON
    literal. ``relative`` is how an IRI begins that was a relative reference. Raises
    ``RdfcRefused``.
    """
    if not isinstance(expanded, list) or len(expanded) != 1:
        raise RdfcRefused("the document says nothing in RDF", code="rdfc.dropped")
    writer = _Writer(relative, max_quads)
    writer.node(expanded[0], None, bare=False)
    if writer.nulls != nulls:
        raise RdfcRefused(
            "null says nothing in RDF, and would not be signed",
            code="rdfc.null",
            hint="Leave the property out.",
        )
    return writer.quads


def count_nulls(value: object) -> int:
    """How often ``null`` stands in a value."""
    if isinstance(value, dict):
        return sum(map(count_nulls, value.values()))
    if isinstance(value, list):
        return sum(map(count_nulls, value))
    return value is None


def deciding_term(name: str) -> str | None:
    """The term for an IRI by which a document says whether to believe it; ``None`` for others."""
    if name == _EXPIRATION:
        return "expires"
    return name.removeprefix(_CREDENTIALS) if name.startswith(_CREDENTIALS) else None


def hidden() -> RdfcRefused:
    """The error for what a reader of the JSON would miss though it was signed."""
    return RdfcRefused(
        "what the standard has a name for must be said by that name, and at its own place",
        code="rdfc.hidden",
        hint="Whoever renamed it may want it to be overlooked.",
    )


def _keyword() -> RdfcRefused:
    return RdfcRefused(
        "the document uses a keyword of JSON-LD that has no form in RDF", code="rdfc.keyword"
    )
