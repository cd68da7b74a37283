"""RDF dataset canonicalisation of JSON-LD documents and N-Quads (RDFC-1.0), safe to sign by.

Documents of a known shape go a short way (``compiled``). For all others PyLD does the expansion
and the canonical labelling; it is loaded when it is first needed. What it would let through stops
here: nothing is dropped in silence (``rdf``), no context is fetched, there is no base, and work is
counted while it is done, because a few blank nodes that all point at each other would keep any
canonicaliser busy for years (RDFC-1.0 §7.1).

The canonical form says nothing of the order and repetition of unordered values: a signature over
it does not either.

Longer than a room should be: all that the library is asked, and all that bounds it, is here.
"""

import hashlib
import json
import math
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, Literal, TypeAlias
from weakref import WeakKeyDictionary

from credentials.compiled import canonicalize_known
from credentials.contexts import Contexts, WithInline, context_bytes, deciding_names
from credentials.errors import CredentialError, RdfcRefused
from credentials.nquads import CONTROLS, RELATIVE, Blank, Iri, Quad, parse
from credentials.rdf import deciding_term, hidden, to_quads
from did.errors import JsonError
from did.json import Json, JsonObject, canonicalize

MAX_BYTES: Final = 262_144
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 4_096
MAX_QUADS: Final = 4_096
MAX_BLANK_NODES: Final = 512
# Contexts applied while expanding, the scoped ones included.
MAX_CONTEXTS: Final = 600
# Steps of the labelling of blank nodes that look alike; see ``_canonicaliser``.
MAX_WORK: Final = 100_000

# In how many orders a graph is looked at that may have more than one canonical form.
_ORDERS: Final = 8

Hash: TypeAlias = Literal["sha256", "sha384"]

# What a document may say in keywords of its own; the rest is left out of RDF, or moves things.
_KEYWORDS: Final = frozenset(
    {"@context", "@id", "@type", "@value", "@language", "@direction", "@list", "@set"}
)
_BASE: Final = RELATIVE + "///"


def canonicalize_jsonld(
    document: JsonObject,
    *,
    hash_name: Hash = "sha256",
    contexts: Contexts = context_bytes,
    max_bytes: int = MAX_BYTES,
) -> str:
    """The canonical N-Quads of a JSON-LD document.

    ``contexts`` gives the bytes of a context by its URL, and raises for those that are not to be
    used; as it is, only pinned ones are known. A document must name its contexts by URL, unless
    ``contexts`` is ``WithInline``.

    Raises ``ContextRefused`` (``context.unknown``) or ``RdfcRefused`` (``rdfc.*``), for what the
    canonical form would not cover and for what would cost too much.
    """
    named = contexts.named if isinstance(contexts, WithInline) else contexts
    if named is context_bytes:
        known = canonicalize_known(document, hash_name=hash_name, max_bytes=max_bytes)
        if known is not None:
            return known
    return canonicalize_any(document, hash_name=hash_name, contexts=contexts, max_bytes=max_bytes)


def canonicalize_any(
    document: JsonObject,
    *,
    hash_name: Hash = "sha256",
    contexts: Contexts = context_bytes,
    max_bytes: int = MAX_BYTES,
) -> str:
    """``canonicalize_jsonld`` without its short way for documents of a known shape."""
    quads = quads_of(document, contexts=contexts, max_bytes=max_bytes)
    # Of what must be short there may be many: the proofs of a set.
    return _canonicalize(quads, hash_name, MAX_WORK * max_bytes // MAX_BYTES)[0]


def quads_of(
    document: JsonObject, *, contexts: Contexts = context_bytes, max_bytes: int = MAX_BYTES
) -> set[Quad]:
    """The statements of a JSON-LD document; refuses what ``canonicalize_jsonld`` refuses."""
    nulls = _survey(document, contexts, max_bytes)
    expanded = expand(document, contexts)
    quads = to_quads(expanded, nulls=nulls, relative=RELATIVE, max_quads=MAX_QUADS)
    _check_shown(document, expanded)
    return quads


def canonicalize_nquads(text: str, *, hash_name: Hash = "sha256") -> str:
    """The canonical form of N-Quads. Raises ``RdfcRefused``."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise RdfcRefused("the text is not N-Quads", code="rdfc.syntax") from None
    if size > MAX_BYTES:
        raise _too_much("bytes", MAX_BYTES, "rdfc.too_large")
    return canonicalize_quads(parse(text), hash_name=hash_name)


def canonicalize_quads(quads: Iterable[Quad], *, hash_name: Hash = "sha256") -> str:
    """The canonical N-Quads of a set of quads (RDFC-1.0 §4.4). Raises ``RdfcRefused``."""
    return _canonicalize(quads, hash_name)[0]


def canonical_labels(quads: Iterable[Quad]) -> dict[Blank, Blank]:
    """The label that each blank node has in the canonical form: ``c14n0`` and so on."""
    return _canonicalize(quads, "sha256")[1]


def _canonicalize(
    quads: Iterable[Quad], hash_name: Hash, max_work: int = MAX_WORK
) -> tuple[str, dict[Blank, Blank]]:
    distinct = set(quads)
    if len(distinct) > MAX_QUADS:
        raise _too_much("statements", MAX_QUADS, "rdfc.quads")
    blank = {term for quad in distinct for term in quad if isinstance(term, Blank)}
    if len(blank) > MAX_BLANK_NODES:
        raise _too_much("blank nodes", MAX_BLANK_NODES, "rdfc.blank_nodes")
    canonicaliser = _canonicaliser()(hash_name, max_work)
    canonicaliser, text, given = _labelled(distinct, blank, canonicaliser, 0)
    # RDFC-1.0 hashes the neighbours of a node each by itself, not by the statement that they share
    # with it. Where one statement has three blank nodes, two nodes can so look alike that are not,
    # and which comes first is left to chance: several orders show whether it matters.
    if canonicaliser.left < max_work and any(_blanks(quad) > 2 for quad in distinct):
        for order in range(1, _ORDERS):
            again = _canonicaliser()(hash_name, canonicaliser.left)
            canonicaliser, other, _ = _labelled(distinct, blank, again, order)
            if other != text:
                raise RdfcRefused(
                    "the blank nodes can be labelled in more than one canonical way",
                    code="rdfc.ambiguous",
                    hint="Give the nodes ids.",
                )
    return text, given


def _labelled(
    distinct: set[Quad], blank: set[Blank], canonicaliser: Any, order: int
) -> tuple[Any, str, dict[Blank, Blank]]:
    def place(term: tuple[object, ...]) -> str:
        # The first order is that of the labels given; the others only have to differ.
        if not order:
            return repr(term)
        return hashlib.sha256(f"{order} {term!r}".encode()).hexdigest()

    # Labels of its own kind the library would leave as they are.
    labels = {term: f"_:b{position}" for position, term in enumerate(sorted(blank, key=place))}
    dataset: dict[str, list[dict[str, dict[str, str]]]] = {}
    for quad in sorted(distinct, key=place):
        name = "@default" if quad.graph is None else _component(quad.graph, labels)["value"]
        dataset.setdefault(name, []).append(
            {
                "subject": _component(quad.subject, labels),
                "predicate": _component(quad.predicate, labels),
                "object": _component(quad.object, labels),
            }
        )
    try:
        text: str = canonicaliser.main(dataset, {"format": "application/n-quads"})
    except RecursionError:
        raise _poison() from None
    issued: dict[str, str] = canonicaliser.canonical_issuer.existing
    given = {term: Blank(issued[label].removeprefix("_:")) for term, label in labels.items()}
    return canonicaliser, "".join(sorted(_with_controls(text))), given


def _blanks(quad: Quad) -> int:
    return sum(isinstance(term, Blank) for term in quad)


def _component(term: tuple[str, ...], labels: dict[Blank, str]) -> dict[str, str]:
    # A dict of its own each time: the library writes into them.
    if isinstance(term, Blank):
        return {"type": "blank node", "value": labels[term]}
    if isinstance(term, Iri):
        return {"type": "IRI", "value": term.value}
    value, datatype, tag = term
    literal = {"type": "literal", "value": value, "datatype": datatype}
    return literal | {"language": tag} if tag else literal


def _with_controls(text: str) -> list[str]:
    """Lines of N-Quads with the control characters escaped that the library leaves as they are."""
    return [line.translate(CONTROLS) + "\n" for line in text.split("\n")[:-1]]


def _survey(document: JsonObject, contexts: Contexts, max_bytes: int) -> int:
    """Refuse a document by its size and shape; how often ``null`` stands in it."""
    try:
        size = len(canonicalize(document))
    except JsonError as error:
        raise RdfcRefused(str(error), code="rdfc.syntax", hint=error.hint) from None
    if size > max_bytes:
        raise _too_much("bytes", max_bytes, "rdfc.too_large")
    if "@context" not in document:
        raise RdfcRefused("there must be a @context", code="rdfc.context", pointer="/@context")
    nulls = count = 0
    waiting: list[tuple[Json, int]] = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > MAX_VALUES:
            raise _too_much("values", MAX_VALUES, "rdfc.values")
        if isinstance(value, dict | list) and depth > MAX_DEPTH:
            raise _too_much("levels", MAX_DEPTH, "rdfc.depth")
        if isinstance(value, dict):
            _check_keywords(value, contexts)
            waiting += [(inner, depth + 1) for key, inner in value.items() if key != "@context"]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]
        elif value is None:
            nulls += 1
    return nulls


def _check_keywords(value: JsonObject, contexts: Contexts) -> None:
    for key in value:
        if key.startswith("@") and key not in _KEYWORDS:
            raise RdfcRefused("the document uses a keyword it must not", code="rdfc.keyword")
        if ":" in key and re.split("[:/#]", key)[-1] in deciding_names():
            raise hidden()
    if not value.keys().isdisjoint({"@language", "@direction"}) and "@value" not in value:
        raise RdfcRefused("a language or direction stands without a text", code="rdfc.dropped")
    if "@context" in value:
        named = value["@context"]
        for url in named if isinstance(named, list) else [named]:
            if isinstance(url, dict) and isinstance(contexts, WithInline):
                contexts.check(url)
            elif not isinstance(url, str):
                raise RdfcRefused("a context must be named by its URL", code="rdfc.context")
            else:
                contexts(url)


def _check_shown(document: JsonObject, expanded: Any) -> None:
    """Refuse what the document says of itself by another name than the standard's own.

    Otherwise whoever holds a signed document could rename its status or its end, in a context of
    the verifier's folder that has a second name for one: the statements would be the same.
    """
    for node in expanded:
        for name, values in node.items():
            term = deciding_term(name)
            shown = None if term is None else document.get(term, [])
            if shown is not None and len(values) != len(shown if type(shown) is list else [shown]):
                raise hidden()


def expand(document: JsonObject, contexts: Contexts) -> object:
    """The expanded form (JSON-LD 1.1 API §5.1); not checked: that RDF has a form for all of it."""
    from pyld import jsonld

    def dropped(_name: object) -> None:
        raise RdfcRefused(
            "no context defines a property, so it would not be signed",
            code="rdfc.dropped",
            hint="Add a context that defines each property, or leave the property out.",
        )

    with _errors():
        return jsonld.expand(document, _options(contexts), on_property_dropped=dropped)


def compact(expanded: object, context: Json, contexts: Contexts) -> JsonObject:
    """The compact form (JSON-LD 1.1 API §6.1) of what ``expand`` returned.

    Not checked: that it still says the same.
    """
    from pyld import jsonld

    with _errors():
        options = {**_options(contexts), "skipExpansion": True}
        found: JsonObject = jsonld.compact(expanded, context, options)
    return found


def _options(contexts: Contexts) -> dict[str, Any]:
    def load(url: str, _options: object) -> dict[str, object]:
        return {
            "document": json.loads(contexts(url)),
            "documentUrl": url,
            "contextUrl": None,
            "tag": "static",
        }

    resolver = _resolver()(_shared(contexts), load)
    return {"base": _BASE, "documentLoader": load, "contextResolver": resolver}


@contextmanager
def _errors() -> Iterator[None]:
    """The library's errors as ours: they hold the input, and some of its checks fail otherwise."""
    from pyld import jsonld

    try:
        yield
    except CredentialError:
        raise
    except (
        jsonld.JsonLdError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ):
        raise RdfcRefused("the document is not valid JSON-LD", code="rdfc.syntax") from None


# The library's own cache is one for the whole process and trusts whoever filled it; and what it
# keeps there must not be used by two threads at once. One for each source of contexts, then, which
# ends with the source.
_local = threading.local()


# Of these some may come from documents (``WithInline``), and there is no end of those.
_SHARED = 256


def _shared(contexts: Contexts) -> dict[str, Any]:
    if not hasattr(_local, "of_source"):
        _local.of_source = WeakKeyDictionary()
    sources: WeakKeyDictionary[Contexts, dict[str, Any]] = _local.of_source
    shared = sources.setdefault(contexts, {})
    if len(shared) > _SHARED:
        shared.clear()
    return shared


@cache
def _resolver() -> Any:
    from pyld import ContextResolver

    class Counted(ContextResolver):  # type: ignore[misc]  # the library has no types
        """Applies so many contexts, and no more: each costs as much as its terms are many."""

        left = MAX_CONTEXTS

        def resolve(self, *arguments: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise _too_much("applied contexts", MAX_CONTEXTS, "rdfc.contexts")
            return super().resolve(*arguments, **options)

    return Counted


class _Alike(dict[str, list[str]]):
    """Blank nodes by their hash, those of one hash in the order of the labels given them here.

    The library has them in the order of a set, which is another one in each process. Of twins,
    nodes that nothing tells apart, the first gets the first label; the canonical form is the same
    either way, but whoever selects one of them (``selective``) must find it again.
    """

    def items(self) -> Any:
        return [(name, sorted(nodes, key=_position)) for name, nodes in super().items()]


def _position(label: str) -> int:
    return int(label.removeprefix("_:b"))


@cache
def _canonicaliser() -> Any:
    from pyld.canon import URDNA2015  # RDFC-1.0 by its former name

    class Bounded(URDNA2015):  # type: ignore[misc]  # the library has no types
        """RDFC-1.0 with either hash, with the canonical escapes, and with an end.

        The work is counted before it is done: for each node whose neighbours must be told apart,
        its statements, and every order in which neighbours that look alike can be taken, weighed
        with the labels given so far, which are copied each time.
        """

        def __init__(self, hash_name: Hash, left: int) -> None:
            super().__init__()
            self.hash_name = hash_name
            self.left = left

        @property
        def hash_to_blank_nodes(self) -> "_Alike":
            return self._alike

        @hash_to_blank_nodes.setter
        def hash_to_blank_nodes(self, nodes: dict[str, list[str]]) -> None:
            self._alike = _Alike(nodes)

        def create_hash(self) -> Any:
            return hashlib.new(self.hash_name)

        def hash_nquads(self, nquads: list[str]) -> str:
            lines: str = super().hash_nquads(sorted(_with_controls("".join(nquads))))
            return lines

        def create_hash_to_related(self, id_: str, issuer: Any) -> dict[str, list[str]]:
            self._spend(len(self.blank_node_info[id_]["quads"]))
            related: dict[str, list[str]] = super().create_hash_to_related(id_, issuer)
            copied = 4 + len(issuer.order)
            for alike in related.values():
                orders = math.factorial(min(len(alike), 20))
                self._spend(orders * (len(alike) + copied))
            return related

        def _spend(self, steps: int) -> None:
            self.left -= steps
            if self.left < 0:
                raise _poison()

    return Bounded


def _too_much(what: str, limit: int, code: str) -> RdfcRefused:
    return RdfcRefused(f"a document may have at most {limit} {what}", code=code)


def _poison() -> RdfcRefused:
    return RdfcRefused(
        "too many blank nodes look alike to be told apart",
        code="rdfc.work",
        hint="Give the nodes ids.",
    )
