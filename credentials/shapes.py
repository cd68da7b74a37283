"""Templates for the statements of one node, made once for each shape of a node and kept.

A shape is a node's keys in their order, the kinds of their values, its types, and the scope in
which it stands. See ``compiled`` for what is done with them, and why.

Sources: JSON-LD 1.1 API §5.1.2 (expansion), §5.3.2 (values), §8.1 (RDF).
"""

from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from credentials.errors import RdfcRefused
from credentials.nquads import RDF, RELATIVE, STRING, XSD, iri
from credentials.scopes import ID, TYPE, VOCAB, Scope, Term, UnknownShapeError

# So few that no answer is given where the general way refuses: it counts the contexts applied.
MAX_TYPES: Final = 4
_MAX_IRI: Final = 512


class Property(NamedTuple):
    """A property whose values are looked at one by one.

    ``texts`` is what stands before and after a text, and whether that is an IRI; ``None`` if no
    text can be there. ``graph``: each value is a graph of its own.
    """

    key: int
    predicate: str
    nodes: Scope
    graph: bool
    texts: tuple[str, bool, str] | None


class Shape(NamedTuple):
    """How the statements of a node are written; the numbers say which of its values is meant.

    The lines of ``template`` are without their subject and their end. ``words`` are texts that
    may be names of the scope beside them.
    """

    template: str
    holes: Callable[[list[Any]], Any]
    subject: int | None
    texts: tuple[int, ...]
    text: Callable[[list[Any]], Any]
    iris: tuple[int, ...]
    booleans: tuple[int, ...]
    integers: tuple[int, ...]
    words: tuple[tuple[int, Scope], ...]
    properties: tuple[Property, ...]


# Only shapes that are known are kept, and those hold nothing long.
@lru_cache(maxsize=512)
def shape_of(
    scope: Scope, keys: tuple[str, ...], kinds: tuple[type, ...], types: tuple[str, ...]
) -> Shape:
    """The shape of a node; ``scope`` is the one outside of what its types bring.

    Raises ``UnknownShapeError``, as all in this room does.
    """
    if len(types) > MAX_TYPES:
        raise UnknownShapeError
    typed = scope.typed(types)
    lines = [f"<{RDF}type> <{word(name, scope)}>".replace("%", "%%") for name in types]
    subject: int | None = None
    holes, words, properties = list[int](), list[tuple[int, Scope]](), list[Property]()
    read: dict[object, list[int]] = {ID: [], str: [], int: [], bool: []}
    for position, (key, kind) in enumerate(zip(keys, kinds, strict=True)):
        if key == "@context":
            continue
        term = typed.terms.get(key)
        if term is None:
            raise UnknownShapeError
        if term.iri == TYPE and key == "type":
            continue
        if term.iri == ID and key == "id" and kind is str:
            subject = position
            read[ID].append(position)
            continue
        if term.iri.startswith("@"):
            raise UnknownShapeError
        before, after = _around(term, kind)
        # Values that are no nodes are read by what the name means in the scope that it opens.
        plain = typed.entered(term).terms.get(key) is term and not term.graph
        if kind is dict or kind is list:
            texts = (before, term.coercion == ID, after)
            properties.append(
                Property(
                    position,
                    f"<{term.iri}>",
                    scope.entered(term),
                    term.graph,
                    texts if plain and term.coercion != VOCAB else None,
                )
            )
            continue
        if not plain or kind not in read:
            raise UnknownShapeError
        if term.coercion == VOCAB:
            words.append((position, typed.entered(term)))
        else:
            read[ID if term.coercion == ID else kind].append(position)
        holes.append(position)
        lines.append(f"{before}%s{after}")
    return Shape(
        "\n".join(lines),
        _picker(holes),
        subject,
        tuple(read[str]),
        itemgetter(*read[str]) if len(read[str]) > 1 else _one_or_none(read[str]),
        tuple(read[ID]),
        tuple(read[bool]),
        tuple(read[int]),
        tuple(words),
        tuple(properties),
    )


def _around(term: Term, kind: type) -> tuple[str, str]:
    """What stands before and after a value in its line."""
    if term.coercion in (ID, VOCAB):
        return f"<{term.iri}> <", ">"
    datatype = term.coercion
    if datatype is None and kind in (int, bool):
        datatype = XSD + ("integer" if kind is int else "boolean")
    return f'<{term.iri}> "', '"' if datatype in (None, STRING) else f'"^^<{datatype}>'


def _picker(positions: list[int]) -> Callable[[list[Any]], Any]:
    # Of one value it gives that value, which is as good: nothing here tells it from a tuple of it.
    return itemgetter(*positions) if positions else _nothing


def _one_or_none(positions: list[int]) -> Callable[[list[Any]], Any]:
    # As a list: the characters of a text by itself would be taken one by one.
    return itemgetter(slice(positions[0], positions[0] + 1) if positions else slice(0))


def _nothing(_values: object) -> tuple[()]:
    return ()


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
