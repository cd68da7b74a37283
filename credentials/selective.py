"""Which statements of a JSON-LD document a selection of it makes: for proofs that disclose a part.

A document is taken apart into canonical statements (N-Quads). The blank nodes in them get labels
that follow from a secret, so that a label tells nothing of what was left out. JSON pointers select
parts; each part is a document itself, and makes some of the same statements, none other.

To find a part's nodes again in the whole, each gets an id for the time being (a *skolem* name), in
the compact form of the document (JSON-LD 1.1 API §6.1). Where that form says anything else than the
document as it came, or a part says more than the whole, the document is refused: the standard's
algorithms would go on, and a proof would come out that does not hold.

The words are those of the standard's functions, in Data Integrity ECDSA Cryptosuites 1.0 §3.4.
"""

import copy
import hashlib
import hmac
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self, TypeAlias

from credentials.contexts import Contexts, context_bytes
from credentials.errors import ProofInvalid, RdfcRefused
from credentials.nquads import Blank, Iri, Quad, rename, write
from credentials.rdfc import (
    canonical_labels,
    canonicalize_jsonld,
    canonicalize_quads,
    compact,
    expand,
    quads_of,
)
from did.json import Json, JsonObject
from did.multikey import b64url_encode

MAX_POINTERS: Final = 256
MAX_POINTER: Final = 512  # characters

# From the canonical label of each blank node to the one it is signed under.
LabelMaker: TypeAlias = Callable[[Iterable[str]], Mapping[str, str]]

_SKOLEM: Final = "urn:bnid:"


def label_by_hmac(key: bytes) -> LabelMaker:
    """createHmacIdLabelMapFunction: HMAC-SHA-256 of the canonical label, as base64url (u)."""

    def label(canonical: Iterable[str]) -> dict[str, str]:
        digests = {name: hmac.digest(key, name.encode(), hashlib.sha256) for name in canonical}
        return {name: "u" + b64url_encode(digest) for name, digest in digests.items()}

    return label


def label_statements(quads: Iterable[Quad], labels: Mapping[Blank, str]) -> tuple[str, ...]:
    """relabelBlankNodes: the canonical lines, in order, under these labels."""

    def named(term: Iri | Blank) -> Iri | Blank:
        return Blank(labels[term]) if isinstance(term, Blank) else term

    return tuple(sorted(write(rename(quad, named)) for quad in quads))


@dataclass(frozen=True, slots=True)
class Statements:
    """A document as statements: ``lines`` in their order, and ``labels`` of their blank nodes."""

    lines: tuple[str, ...]
    labels: Mapping[Blank, str]
    _compact: JsonObject
    _contexts: Contexts

    @classmethod
    def read(
        cls, document: JsonObject, label: LabelMaker, *, contexts: Contexts = context_bytes
    ) -> Self:
        """canonicalizeAndGroup, but for the groups: take a document apart.

        Raises ``RdfcRefused``: ``rdfc.compact`` where pointers into the document would mean
        nothing, and all that ``canonicalize_jsonld`` raises.
        """
        canonical = canonicalize_jsonld(document, contexts=contexts)
        skolemised = skolemise(document, contexts=contexts)
        quads = _deskolemise(quads_of(skolemised, contexts=contexts))
        if canonicalize_quads(quads) != canonical:
            raise _no_parts()
        given = canonical_labels(quads)
        made = label(node.label for node in given.values())
        labels = {node: made[name.label] for node, name in given.items()}
        return cls(label_statements(quads, labels), labels, skolemised, contexts)

    def select(self, pointers: Sequence[str]) -> set[Quad]:
        """selectCanonicalNQuads: the statements that the pointers select; none for no pointers.

        The path to a place belongs to it: the ids and types of all nodes on the way. Raises
        ``ProofInvalid`` (``proof.pointer``).
        """
        if not pointers:
            return set()
        selection = select(self._compact, pointers)
        quads = _deskolemise(quads_of(selection, contexts=self._contexts))
        if not set(self.lines).issuperset(label_statements(quads, self.labels)):
            raise _wrong_pointer("a pointer must not select a part of one statement")
        return quads

    def indexes(self, quads: Iterable[Quad]) -> tuple[int, ...]:
        """Where in ``lines`` these statements stand, in order."""
        selected = set(label_statements(quads, self.labels))
        return tuple(index for index, line in enumerate(self.lines) if line in selected)


def skolemise(document: JsonObject, *, contexts: Contexts = context_bytes) -> JsonObject:
    """skolemizeCompactJsonLd: the compact form of a document with an id for every node."""
    count = itertools.count()
    given: dict[str, str] = {}

    def fresh() -> str:
        return f"{_SKOLEM}{next(count)}"

    def walk(value: object) -> object:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict) or "@value" in value:
            return value
        node = {key: walk(inner) for key, inner in value.items()}
        name = node.get("@id")
        if name is None:
            return {**node, "@id": fresh()}
        if isinstance(name, str) and name.startswith("_:"):
            return {**node, "@id": given.setdefault(name, fresh())}
        return node

    return compact(walk(expand(document, contexts)), document["@context"], contexts)


def _deskolemise(quads: Iterable[Quad]) -> set[Quad]:
    """toDeskolemizedNQuads: blank nodes again. All had names, or parts would not fit together."""

    def bare(term: Iri | Blank) -> Iri | Blank:
        if isinstance(term, Blank):
            raise _no_parts()
        if term.value.startswith(_SKOLEM):
            return Blank(term.value.removeprefix(_SKOLEM))
        return term

    return {rename(quad, bare) for quad in quads}


def select(document: JsonObject, pointers: Sequence[str]) -> JsonObject:
    """selectJsonLd: the part of a compact document at these pointers (RFC 6901), at least one.

    Where two places are in one array they stay in order, without what was between them. Raises
    ``ProofInvalid`` (``proof.pointer``).
    """
    root = _Place()
    for pointer in pointers:
        place = root
        for step in parse_pointer(pointer):
            place = place.inner.setdefault(step, _Place())
        place.whole = True
    return {"@context": copy.deepcopy(document["@context"]), **_select(document, root)}


@dataclass(slots=True)
class _Place:
    """A place on the way of a pointer, or at its end: then it is wanted whole."""

    whole: bool = False
    inner: "dict[str, _Place]" = field(default_factory=dict)


def parse_pointer(pointer: str) -> tuple[str, ...]:
    """jsonPointerToPaths: the keys and positions on the way. Raises ``proof.pointer``."""
    if not pointer.startswith("/") or len(pointer) > MAX_POINTER:
        raise _wrong_pointer(f"a pointer begins with / and has at most {MAX_POINTER} characters")
    steps = pointer[1:].split("/")
    if any("~" in step.replace("~0", "").replace("~1", "") for step in steps):
        raise _wrong_pointer("in a pointer ~ stands before 0 or 1")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def _select(node: JsonObject, place: _Place) -> JsonObject:
    """selectPaths, for all places below one node at once."""
    # createInitialSelection: a node keeps its id and its types, or it would be another one.
    selection: JsonObject = {
        name: copy.deepcopy(node[name])
        for name in ("id", "type")
        if name in node and not (name == "id" and str(node[name]).startswith("_:"))
    }
    for step, inner in place.inner.items():
        if step not in node or step == "@context":
            raise _wrong_pointer()
        selection.setdefault(step, _chosen(node[step], inner))
    return selection


def _chosen(value: Json, place: _Place) -> Json:
    chosen: Json = None
    if isinstance(value, dict):
        chosen = _select(value, place)
    elif isinstance(value, list):
        chosen = [
            _chosen(item, place.inner[str(position)])
            for position, item in enumerate(value)
            if str(position) in place.inner
        ]
        if len(chosen) != len(place.inner):
            raise _wrong_pointer()
    elif place.inner:
        raise _wrong_pointer()
    # Pointers further in must lead somewhere even where all of it is wanted.
    return copy.deepcopy(value) if place.whole else chosen


def _no_parts() -> RdfcRefused:
    return RdfcRefused(
        "the document has no compact form that says the same in parts",
        code="rdfc.compact",
        hint="Ordered lists, graphs and contexts inside cannot be disclosed in part.",
    )


def _wrong_pointer(message: str = "a pointer must lead to a place in the document") -> ProofInvalid:
    return ProofInvalid(message, code="proof.pointer")
