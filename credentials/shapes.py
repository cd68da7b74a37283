"""Plans: the statements of all documents of one shape, with holes for their values.

The shape of a document is what ``shape_and_values`` finds in one walk: of each node its keys in
their order, the kinds of their values and its types, and its context where it has one. What those
mean is worked out once and kept. See ``compiled`` for what is done with a plan, and why.

Sources: JSON-LD 1.1 API §5.1.2 (expansion), §5.3.2 (values), §8.1 (RDF).
"""

from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from credentials.errors import RdfcRefused
from credentials.nquads import RDF, RELATIVE, STRING, XSD, iri
from credentials.scopes import EMPTY, ID, TYPE, VOCAB, Scope, Term, UnknownShapeError, scope_of
from did.json import JsonObject

# Well within the limits of the general way, so that nothing is answered here that is refused
# there, by the contexts that it applies as well.
MAX_NODES: Final = 32
MAX_BLANK_NODES: Final = 32
MAX_LINES: Final = 256
MAX_LEVELS: Final = 12
MAX_TYPES: Final = 4
_MAX_IRI: Final = 512

# The mark of a blank node that has no label yet. No value has such a character: texts have it
# escaped, and IRIs have none.
MARK: Final = "\x01{}\x01"
ONLY_BLANK: Final = "_:c14n0"

Shape: TypeAlias = tuple[Any, ...]
# A piece of text with holes, and the values that go into them.
_Piece: TypeAlias = tuple[str, tuple[int, ...]]


class Plan(NamedTuple):
    """How the statements of a document are written; the numbers say which of its values is meant.

    ``words`` are texts that may be names of the scope beside them.
    """

    template: str
    holes: Callable[[list[Any]], Any]
    texts: tuple[int, ...]
    text: Callable[[list[Any]], Any]
    iris: tuple[int, ...]
    booleans: tuple[int, ...]
    integers: tuple[int, ...]
    words: tuple[tuple[int, Scope], ...]
    blanks: int


def shape_and_values(document: JsonObject) -> tuple[Shape, list[Any]]:
    """The shape of a document, and its values in the order in which ``plan_of`` counts them.

    Raises ``UnknownShapeError``, as all in this room does; or ``TypeError``.
    """
    shape: list[Any] = []
    values: list[Any] = []
    _walk(document, shape, values, MAX_LEVELS)
    return tuple(shape), values


def _walk(node: dict[str, Any], shape: list[Any], values: list[Any], room: int) -> None:
    # Whatever stands in a document, no more is walked than a plan could have.
    if room < 0 or len(shape) > MAX_LINES or len(values) > 4 * MAX_LINES:
        raise UnknownShapeError
    own: list[Any] = [*node.values()]
    kinds = tuple(map(type, own))
    types = node.get("type")
    shape.append((*node, kinds, tuple(types) if type(types) is list else types))
    if "@context" in node:
        context = node["@context"]
        shape.append(tuple(context) if type(context) is list else context)
    values += own
    if dict not in kinds and list not in kinds:
        return
    for key, value in node.items():
        kind = type(value)
        if kind is str:
            continue  # as most are
        if kind is dict:
            _walk(value, shape, values, room - 1)
        elif kind is list and key not in ("type", "@context"):
            inner = tuple(map(type, value))
            shape.append(inner)
            values += value
            if dict in inner:
                for item in value:
                    if type(item) is dict:
                        _walk(item, shape, values, room - 1)


# Only plans are kept, no shapes that are not known; nothing long is in them, and in 128 of the
# longest no more than some 10 MB.
@lru_cache(maxsize=128)
def plan_of(shape: Shape) -> Plan:
    """The plan of a shape that ``shape_and_values`` found. Raises ``UnknownShapeError``."""
    return _Planner(shape).plan()


class _Planner:
    """Takes a shape apart in the order in which it was found."""

    __slots__ = ("_blanks", "_lines", "_next", "_nodes", "_read", "_shape", "_values", "_words")

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._next = self._values = self._nodes = self._blanks = 0
        self._lines: list[_Piece] = []
        self._read: dict[object, list[int]] = {ID: [], str: [], int: [], bool: []}
        self._words: list[tuple[int, Scope]] = []

    def plan(self) -> Plan:
        self._node(EMPTY, None, MAX_LEVELS)
        self._lines.sort()  # so that little is left to be sorted when they are filled
        template = "\n".join([text for text, _ in self._lines])
        if self._blanks == 1:
            template = template.replace(MARK.format(0), ONLY_BLANK)
        return Plan(
            template,
            _picker([value for _, holes in self._lines for value in holes]),
            tuple(self._read[str]),
            _picker(self._read[str]),
            tuple(self._read[ID]),
            tuple(self._read[bool]),
            tuple(self._read[int]),
            tuple(self._words),
            self._blanks,
        )

    def _node(self, scope: Scope, graph: _Piece | None, room: int) -> _Piece:
        """Plan a node that says something, and all below it; returns its name."""
        *keys, kinds, types = self._part()
        if "@context" in keys:
            # Only where nothing has a meaning yet; elsewhere it would be mixed with another.
            context = self._part()
            if scope is not EMPTY:
                raise UnknownShapeError
            scope = scope_of(_texts(context))
        types = _texts(types) if "type" in keys else ()
        self._nodes += 1
        if room == 0 or self._nodes > MAX_NODES or len(types) > MAX_TYPES:
            raise UnknownShapeError
        typed, base = scope.typed(types), self._values
        self._values += len(keys)
        name = self._name(typed, keys, kinds, base)
        end = _end(graph)
        before = len(self._lines)
        for its in types:
            self._say(name, (f"<{RDF}type> <{_plain(word(its, scope))}>", ()), end)
        for position, (key, kind) in enumerate(zip(keys, kinds, strict=True), start=base):
            if key in ("@context", "id"):
                continue
            term = typed.terms.get(key)
            if term is None:
                raise UnknownShapeError
            if key == "type" and term.iri == TYPE:
                continue
            if term.iri.startswith("@"):
                raise UnknownShapeError
            # Values that are no nodes are read by what the name means in the scope that it opens.
            plain = typed.entered(term).terms.get(key) is term and not term.graph
            inner = scope.entered(term)
            if kind is dict:
                self._below(name, term, inner, graph, room)
            elif kind is list:
                self._list(name, term, inner, graph, room, plain=plain)
            elif not plain or kind not in self._read:
                raise UnknownShapeError
            else:
                if term.coercion == VOCAB:
                    self._words.append((position, typed.entered(term)))
                else:
                    self._read[ID if term.coercion == ID else kind].append(position)
                self._say(name, _around(term, kind, position), end)
        if len(self._lines) == before:
            raise UnknownShapeError  # it says nothing
        return name

    def _name(self, typed: Scope, keys: list[str], kinds: tuple[type, ...], base: int) -> _Piece:
        if "id" not in keys:
            return self._fresh()
        position = keys.index("id")
        term = typed.terms.get("id")
        if term is None or term.iri != ID or kinds[position] is not str:
            raise UnknownShapeError
        self._read[ID].append(base + position)
        return "<%s>", (base + position,)

    def _list(
        self,
        name: _Piece,
        term: Term,
        inner: Scope,
        graph: _Piece | None,
        room: int,
        *,
        plain: bool,
    ) -> None:
        kinds = self._part()
        base = self._values
        self._values += len(kinds)
        if not kinds:
            raise UnknownShapeError
        for position, kind in enumerate(kinds, start=base):
            if kind is dict:
                self._below(name, term, inner, graph, room)
            elif kind is str and plain and term.coercion != VOCAB:
                self._read[ID if term.coercion == ID else str].append(position)
                self._say(name, _around(term, kind, position), _end(graph))
            else:
                raise UnknownShapeError

    def _below(
        self, name: _Piece, term: Term, inner: Scope, graph: _Piece | None, room: int
    ) -> None:
        """Plan a node that is the value of a property, and the statement that it is."""
        if term.graph:
            target = self._fresh()
            self._node(inner, target, room - 1)
        else:
            target = self._named(inner) or self._node(inner, graph, room - 1)
        text, holes = target
        self._say(name, (f"<{term.iri}> {text}", holes), _end(graph))

    def _named(self, scope: Scope) -> _Piece | None:
        """The name of a node that has nothing but its id: it need not say anything."""
        *keys, kinds, _ = self._shape[self._next]
        if keys != ["id"]:
            return None
        self._next += 1
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise UnknownShapeError
        self._values += 1
        return self._name(scope, keys, kinds, self._values - 1)

    def _part(self) -> Any:
        self._next += 1
        return self._shape[self._next - 1]

    def _fresh(self) -> _Piece:
        self._blanks += 1
        if self._blanks > MAX_BLANK_NODES:
            raise UnknownShapeError
        return MARK.format(self._blanks - 1), ()

    def _say(self, subject: _Piece, said: _Piece, end: str) -> None:
        if len(self._lines) == MAX_LINES:
            raise UnknownShapeError
        self._lines.append((f"{subject[0]} {said[0]}{end}", subject[1] + said[1]))


def _end(graph: _Piece | None) -> str:
    return " ." if graph is None else f" {graph[0]} ."


def _around(term: Term, kind: type, position: int) -> _Piece:
    """A predicate and its value."""
    predicate = f"<{_plain(term.iri)}>"
    if term.coercion in (ID, VOCAB):
        return f"{predicate} <%s>", (position,)
    datatype = term.coercion
    if datatype is None and kind in (int, bool):
        datatype = XSD + ("integer" if kind is int else "boolean")
    after = "" if datatype in (None, STRING) else f"^^<{_plain(datatype)}>"
    return f'{predicate} "%s"{after}', (position,)


def _plain(text: str) -> str:
    return text.replace("%", "%%")


def _picker(positions: list[int]) -> Callable[[list[Any]], Any]:
    # Of one value it gives that value, which is as good: neither ``%`` nor ``join`` tells it from
    # a tuple of it.
    return itemgetter(*positions) if positions else _nothing


def _nothing(_values: object) -> tuple[()]:
    return ()


def _texts(value: object) -> tuple[str, ...]:
    if type(value) is str:
        return (value,)
    if type(value) is not tuple or not value:
        raise UnknownShapeError
    return value  # each is looked up, and only texts are found


def word(value: str, scope: Scope) -> str:
    """What a text stands for that is a name in a scope, or else an IRI."""
    if value in scope.terms:
        term = scope.terms[value]
        if term is None or term.iri.startswith("@"):
            raise UnknownShapeError
        return term.iri
    check_iri(value)
    return value


@lru_cache(maxsize=4096)
def check_iri(text: str) -> None:
    """Return if a text is an absolute IRI beyond doubt."""
    # The general way takes more for a space than ``iri`` does, beyond ASCII.
    if (
        type(text) is not str
        or len(text) > _MAX_IRI
        or not text.isascii()
        or text.startswith(RELATIVE)
    ):
        raise UnknownShapeError
    try:
        iri(text)
    except RdfcRefused:
        raise UnknownShapeError from None


def has_escapes(text: str) -> bool:
    """Whether anything in a text needs an escape, or more of a look."""
    # All that has an escape and is not a quote or a backslash cannot be printed.
    return not text.isprintable() or '"' in text or "\\" in text
