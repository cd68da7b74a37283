"""The pinned contexts, read ahead: what a name means at each place of a document.

Only the part of JSON-LD that these contexts use is carried out: protected terms, coercion to ids,
terms and datatypes, sets, graphs, and contexts that hold for one type or one property. A term of
any other kind has no meaning here, so that whoever meets it steps aside.

Sources: JSON-LD 1.1 §4.1.8 (scoped contexts), §4.1.11 (protected terms), JSON-LD 1.1 API §4.1.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

from credentials.contexts import CREDENTIALS_V2, DATA_INTEGRITY_V2, PDS_V1, context_bytes
from credentials.nquads import RDF, XSD
from did.json import Json

# The contexts that are read ahead; documents with others go the general way.
COMPILED_CONTEXTS: Final = frozenset({CREDENTIALS_V2, DATA_INTEGRITY_V2, PDS_V1})

ID: Final = "@id"
TYPE: Final = "@type"
VOCAB: Final = "@vocab"

_PARTS: Final = frozenset({"@id", "@type", "@container", "@context"})
# Datatypes that are more than a name; and ends that would make a term a prefix of others.
_NOT_PLAIN: Final = (RDF + "langString", RDF + "JSON", XSD + "double", XSD + "float")
_PREFIX_ENDS: Final = (":", "/", "?", "#", "[", "]", "@")


class UnknownShapeError(Exception):
    """Something that is left to the general way; it never leaves the package."""


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """What one name means. ``coercion`` is ``@id``, ``@vocab`` or the IRI of a datatype."""

    iri: str
    coercion: str | None
    graph: bool
    local: "_Local | None"
    definition: Json


# ``None`` stands for a term that is defined, in a way that is not carried out here.
_Terms: TypeAlias = Mapping[str, Term | None]


@dataclass(frozen=True, slots=True, eq=False)
class _Local:
    """A context that holds for one type or property; ``resets`` undoes all others."""

    terms: _Terms
    resets: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """All names that have a meaning at one place. Equal ones are the same object."""

    terms: _Terms
    _entered: dict[Term, "Scope"] = field(default_factory=dict)
    _typed: dict[tuple[str, ...], "Scope"] = field(default_factory=dict)

    def entered(self, term: Term) -> "Scope":
        """The scope of the values of a property."""
        if term.local is None:
            return self
        found = self._entered.get(term)
        if found is None:
            found = EMPTY if term.local.resets else _extend(self, term.local.terms, override=True)
            self._entered[term] = found
        return found

    def typed(self, types: Iterable[str]) -> "Scope":
        """The scope of the properties of a node of these types, and not of the nodes below it."""
        names = tuple(
            sorted({name for name in types if (term := self.terms.get(name)) and term.local})
        )
        if not names:
            return self
        found = self._typed.get(names)
        if found is None:
            found = self
            for name in names:
                term = self.terms[name]
                if term is None or term.local is None or term.local.resets:
                    raise UnknownShapeError
                found = _extend(found, term.local.terms, override=False)
            self._typed[names] = found
        return found


EMPTY: Final = Scope({})
_scopes: dict[frozenset[tuple[str, Term | None]], Scope] = {}


def _extend(scope: Scope, terms: _Terms, *, override: bool) -> Scope:
    for name, term in terms.items():
        present = scope.terms.get(name, term)
        same = present is term or (present and term and present.definition == term.definition)
        if not (override or same):
            raise UnknownShapeError  # every term is protected
    merged = {**terms, **scope.terms} if not override else {**scope.terms, **terms}
    return _scopes.setdefault(frozenset(merged.items()), Scope(merged))


@lru_cache(maxsize=64)
def scope_of(urls: tuple[str, ...]) -> Scope:
    """The scope of a document with these contexts. Raises ``UnknownShapeError``."""
    if len(urls) > len(COMPILED_CONTEXTS):
        raise UnknownShapeError
    scope = EMPTY
    for url in urls:
        scope = _extend(scope, _pinned(url), override=False)
    return scope


@lru_cache(maxsize=len(COMPILED_CONTEXTS))
def _pinned(url: str) -> _Terms:
    if url not in COMPILED_CONTEXTS:
        raise UnknownShapeError
    return _read(json.loads(context_bytes(url))["@context"])


def _read(context: Json) -> _Terms:
    if not isinstance(context, dict) or context.get("@protected") is not True:
        raise UnknownShapeError
    terms: dict[str, Term | None] = {}
    for name, definition in context.items():
        if name == "@protected" or (name == "@version" and definition == 1.1):
            continue
        if name.startswith("@"):
            raise UnknownShapeError
        terms[name] = _term(definition)
    return terms


def _term(definition: Json) -> Term | None:
    if not isinstance(definition, dict):
        definition = {"@id": definition}
    iri, coercion = definition.get("@id"), definition.get("@type")
    container = definition.get("@container")
    if (
        not definition.keys() <= _PARTS
        or not (iri in (ID, TYPE) or _is_plain(iri))
        or not (coercion in (None, ID, VOCAB) or _is_plain(coercion))
        or coercion in _NOT_PLAIN
        or container not in (None, "@set", "@graph")
        or not isinstance(iri, str)
        or not (coercion is None or isinstance(coercion, str))
    ):
        return None
    local = None
    if "@context" in definition:
        inner = definition["@context"]
        local = _Local({}, resets=True) if inner is None else _Local(_read(inner))
    return Term(iri, coercion, container == "@graph", local, definition)


def _is_plain(iri: Json) -> bool:
    return (
        isinstance(iri, str) and "://" in iri and "%" not in iri and not iri.endswith(_PREFIX_ENDS)
    )
