"""Canonical N-Quads of documents whose shape is known, without a JSON-LD processor.

A processor spends nearly all its time on finding out what the names mean, which the pinned
contexts settle once and for all (``scopes``). For each shape of a node a template of its
statements is made and kept (``shapes``); a document then is its values, put into templates,
sorted. Blank nodes are labelled by their first-degree hashes.

This room refuses nothing and bends nothing: whatever is not beyond doubt gives ``None``, and the
general way (``rdfc``) decides and says what is wrong. Where there is an answer, it is that of the
general way, byte for byte.

Sources: RDFC-1.0 §4.4–4.6, §5.
"""

import hashlib
from typing import Any, Final, NamedTuple, TypeAlias

from credentials.contexts import CREDENTIALS_V2, PROFILE_CONTEXT
from credentials.nquads import ESCAPES, RDF, XSD
from credentials.scopes import EMPTY, ID, Scope, UnknownShapeError, scope_of
from credentials.shapes import Property, check_iri, has_escapes, shape_of, word
from did.json import MAX_INTEGER, Json, JsonObject

# Well within the limits of the general way, so that nothing is answered here that is refused
# there, by the contexts that it applies as well.
MAX_NODES: Final = 32
MAX_BLANK_NODES: Final = 32
MAX_LINES: Final = 1_024
MAX_LEVELS: Final = 12

# The usual proof configuration is a template as a whole: its keys; in which contexts its terms mean
# this; its purposes; and its statements in their order, which the values do not change.
_PROOF: Final = frozenset(
    {"@context", "created", "cryptosuite", "proofPurpose", "type", "verificationMethod"}
)
_PROOF_CONTEXTS: Final = ([*PROFILE_CONTEXT], [CREDENTIALS_V2])
_PURPOSES: Final = {
    "assertionMethod": "https://w3id.org/security#assertionMethod",
    "authentication": "https://w3id.org/security#authenticationMethod",
}
_PROOF_LINES: Final = (
    f'_:c14n0 <http://purl.org/dc/terms/created> "%s"^^<{XSD}dateTime> .\n'
    f"_:c14n0 <{RDF}type> <https://w3id.org/security#DataIntegrityProof> .\n"
    '_:c14n0 <https://w3id.org/security#cryptosuite> "%s"'
    "^^<https://w3id.org/security#cryptosuiteString> .\n"
    "_:c14n0 <https://w3id.org/security#proofPurpose> <%s> .\n"
    "_:c14n0 <https://w3id.org/security#verificationMethod> <%s> .\n"
)

# An IRI in angle brackets, or the number of a blank node.
_Name: TypeAlias = str | int


class _Statements(NamedTuple):
    """Statements of one subject in one graph, as lines without the subject and the graph."""

    subject: _Name
    lines: str
    graph: int | None


class _Link(NamedTuple):
    """A statement whose object is a blank node."""

    subject: _Name
    predicate: str
    target: int
    graph: int | None


def canonicalize_known(document: JsonObject, *, hash_name: str, max_bytes: int) -> str | None:
    """The canonical N-Quads of a document under pinned contexts; ``None`` if it takes more.

    ``max_bytes`` is what the document may have: it is taken to have twice what its statements
    have, which is always more.
    """
    try:
        if document.keys() == _PROOF and document["type"] == "DataIntegrityProof":
            found = _proof(document)
            if found is not None and 2 * len(found) <= max_bytes:
                return found
        writer = _Writer()
        writer.node(document, EMPTY, None, MAX_LEVELS)
        lines = writer.render(writer.labels(hash_name))
        length = sum(map(len, lines))
        distinct = set(lines)
        if len(distinct) < len(lines) and writer.blank > 1:
            return None  # what was said twice was hashed twice
        text = "\n".join(sorted(distinct))
        if not text.isascii():
            text.encode()  # half of a surrogate pair has no bytes
            length *= 4
    except (UnknownShapeError, UnicodeEncodeError, TypeError):
        return None  # TypeError: a list or an object where no shape has one
    if len(lines) > MAX_LINES or 2 * length > max_bytes:
        return None
    return text + "\n"


class _Writer:
    """Collects the statements of one document."""

    __slots__ = ("_links", "_named", "_nodes", "_statements", "blank")

    def __init__(self) -> None:
        self._named: list[str] = []  # where no blank node is part of them
        self._statements: list[_Statements] = []
        self._links: list[_Link] = []
        self.blank = self._nodes = 0

    def node(self, node: JsonObject, scope: Scope, graph: int | None, room: int) -> _Name:
        """Write a node that says something, and all below it; returns its name."""
        if "@context" in node:
            # Only where nothing has a meaning yet; elsewhere it would be mixed with another.
            if scope is not EMPTY:
                raise UnknownShapeError
            scope = scope_of(_texts(node["@context"]))
        types = _texts(node["type"]) if "type" in node else ()
        values: list[Any] = list(node.values())
        shape = shape_of(scope, tuple(node), tuple(map(type, values)), types)
        self._nodes += 1
        if room == 0 or self._nodes > MAX_NODES:
            raise UnknownShapeError
        # 1. Literals.
        for key in shape.integers:
            if not -MAX_INTEGER <= values[key] <= MAX_INTEGER:
                raise UnknownShapeError
        for key in shape.booleans:
            values[key] = "true" if values[key] else "false"
        if has_escapes("".join(shape.text(values))):
            for key in shape.texts:
                values[key] = values[key].translate(ESCAPES)
        # 2. IRIs, and words that stand for one.
        for key in shape.iris:
            check_iri(values[key])
        for key, words in shape.words:
            values[key] = word(values[key], words)
        subject = self._fresh() if shape.subject is None else f"<{values[shape.subject]}>"
        lines = [shape.template % shape.holes(values)] if shape.template else []
        # 3. Lists and nodes.
        for its in shape.properties:
            value = values[its.key]
            items = value if type(value) is list else [value]
            if not items or len(items) > MAX_LINES:
                raise UnknownShapeError
            for item in items:
                if type(item) is str:
                    lines.append(_line(its, item))
                elif type(item) is dict:
                    target = self._target(its, item, graph, room - 1)
                    if isinstance(target, str):
                        lines.append(f"{its.predicate} {target}")
                    else:
                        self._links.append(_Link(subject, its.predicate, target, graph))
                else:
                    raise UnknownShapeError
        if lines and graph is None and isinstance(subject, str):
            self._named.append(_whole(subject, "\n".join(lines), " ."))
        elif lines:
            self._statements.append(_Statements(subject, "\n".join(lines), graph))
        elif not shape.properties:
            raise UnknownShapeError  # it says nothing
        return subject

    def _fresh(self) -> int:
        self.blank += 1
        if self.blank > MAX_BLANK_NODES:
            raise UnknownShapeError
        return self.blank - 1

    def _target(self, its: Property, node: JsonObject, graph: int | None, room: int) -> _Name:
        """Write a node that is the value of a property; returns the object of the statement."""
        if its.graph:
            inside = self._fresh()
            self.node(node, its.nodes, inside, room)
            return inside
        if len(node) > 1 or "id" not in node:
            return self.node(node, its.nodes, graph, room)
        # With its id alone it is named, and need not say anything.
        self._nodes += 1
        term = its.nodes.terms.get("id")
        if self._nodes > MAX_NODES or term is None or term.iri != ID:
            raise UnknownShapeError
        check_iri(node["id"])  # type: ignore[arg-type]  # which takes texts only
        return f"<{node['id']}>"

    def labels(self, hash_name: str) -> list[str]:
        """The canonical label of each blank node (RDFC-1.0 §4.4.3, steps 3 and 4)."""
        if self.blank < 2:
            return ["_:c14n0"]
        hashes: dict[str, int] = {}
        for blank in range(self.blank):
            # §4.6: it is _:a and any other is _:z, in the statements that it is part of.
            seen = ["_:z"] * self.blank
            seen[blank] = "_:a"
            text = "".join([line + "\n" for line in sorted(self.render(seen, part=blank))])
            hashes[hashlib.new(hash_name, text.encode()).hexdigest()] = blank
        if len(hashes) < self.blank:
            raise UnknownShapeError  # some look alike: only their neighbours tell them apart
        found = [""] * self.blank
        for position, (_, blank) in enumerate(sorted(hashes.items())):
            found[blank] = f"_:c14n{position}"
        return found

    def render(self, labels: list[str], *, part: int | None = None) -> list[str]:
        """The lines under these labels; with ``part``, those that this blank node is part of."""
        found = [] if part is not None else self._named.copy()
        for subject, lines, graph in self._statements:
            if part is None or part in (subject, graph):
                name = subject if isinstance(subject, str) else labels[subject]
                found.append(_whole(name, lines, _end(labels, graph)))
        for subject, predicate, target, graph in self._links:
            if part is None or part in (subject, target, graph):
                name = subject if isinstance(subject, str) else labels[subject]
                found.append(f"{name} {predicate} {labels[target]}{_end(labels, graph)}")
        return "\n".join(found).split("\n")


def _proof(document: JsonObject) -> str | None:
    created, suite, purpose, method = (
        document["created"],
        document["cryptosuite"],
        document["proofPurpose"],
        document["verificationMethod"],
    )
    if (
        type(created) is not str
        or type(suite) is not str
        or type(method) is not str
        or has_escapes(created)
        or has_escapes(suite)
        or not (created.isascii() and suite.isascii())
        or purpose not in _PURPOSES
        or document["@context"] not in _PROOF_CONTEXTS
    ):
        return None
    check_iri(method)
    return _PROOF_LINES % (created, suite, _PURPOSES[purpose], method)


def _texts(value: Json) -> tuple[str, ...]:
    if type(value) is str:
        return (value,)
    if type(value) is not list or not value:
        raise UnknownShapeError
    return tuple(value)  # type: ignore[arg-type]  # each is looked up, and only texts are found


def _line(its: Property, value: str) -> str:
    if its.texts is None:
        raise UnknownShapeError
    before, named, after = its.texts
    if named:
        check_iri(value)
    elif has_escapes(value):
        return before + value.translate(ESCAPES) + after
    return before + value + after


def _end(labels: list[str], graph: int | None) -> str:
    return " ." if graph is None else f" {labels[graph]} ."


def _whole(subject: str, lines: str, end: str) -> str:
    # A line break in a literal was escaped, so each ends a line.
    return f"{subject} " + lines.replace("\n", f"{end}\n{subject} ") + end
