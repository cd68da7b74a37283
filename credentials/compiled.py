"""Canonical N-Quads of documents whose shape is known, without a JSON-LD processor.

A processor spends nearly all its time on finding out what the names mean, which the pinned
contexts settle once and for all (``scopes``). For each shape of a document a plan of its statements
is made and kept (``shapes``); a document then is its values, put into the plan, sorted. Blank nodes
are labelled by their first-degree hashes.

This room refuses nothing and bends nothing: whatever is not beyond doubt gives ``None``, and the
general way (``rdfc``) decides and says what is wrong. Where there is an answer, it is that of the
general way, byte for byte.

Sources: RDFC-1.0 §4.4–4.6, §5.
"""

import hashlib
import re
from typing import Any, Final

from credentials.contexts import CREDENTIALS_V2, PROFILE_CONTEXT
from credentials.nquads import ESCAPES, RDF, XSD
from credentials.scopes import UnknownShapeError
from credentials.shapes import (
    MARK,
    Plan,
    check_iri,
    has_escapes,
    plan_of,
    shape_and_values,
    word,
)
from did.json import MAX_INTEGER, JsonObject

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

_MARK: Final = re.compile(MARK.format("[0-9]+"))


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
        shape, values = shape_and_values(document)
        if "id" in document and values.count(document["id"]) > 1:
            return None  # it may say more of itself away from its own place
        plan = plan_of(shape)
        lines = _labelled(_filled(plan, values), plan.blanks, hash_name)
        if len(set(lines)) < len(lines):
            if plan.blanks > 1:
                return None  # what was said twice was hashed twice
            lines = [*set(lines)]
        lines.sort()
        text = "\n".join(lines)
        length = len(text)
        if not text.isascii():
            text.encode()  # half of a surrogate pair has no bytes
            length *= 4
    except (UnknownShapeError, UnicodeEncodeError, TypeError):
        return None  # TypeError: what cannot be a key stands where a type does
    return text + "\n" if 2 * length <= max_bytes else None


def _filled(plan: Plan, values: list[Any]) -> str:
    """The statements with these values; blank nodes have marks still, if there are several."""
    # 1. Literals.
    for key in plan.integers:
        if not -MAX_INTEGER <= values[key] <= MAX_INTEGER:
            raise UnknownShapeError
    for key in plan.booleans:
        values[key] = "true" if values[key] else "false"
    # Nearly always nothing has to be escaped, and one look at all of them is enough.
    if has_escapes("".join(plan.text(values))):
        for key in plan.texts:
            values[key] = values[key].translate(ESCAPES)
    # 2. IRIs, and words that stand for one.
    for key in plan.iris:
        check_iri(values[key])
    for key, scope in plan.words:
        values[key] = word(values[key], scope)
    text: str = plan.template % plan.holes(values)
    return text


def _labelled(text: str, blanks: int, hash_name: str) -> list[str]:
    """The lines with the canonical labels of the blank nodes (RDFC-1.0 §4.4.3, steps 3 and 4)."""
    # A line break in a literal was escaped, so each ends a line.
    lines = text.split("\n")
    if blanks < 2:
        return lines
    hashes: dict[str, str] = {}
    for blank in range(blanks):
        # §4.6: it is _:a and any other is _:z, in the statements that it is part of.
        mark = MARK.format(blank)
        its = [_MARK.sub("_:z", line.replace(mark, "_:a")) for line in lines if mark in line]
        said = "".join([line + "\n" for line in sorted(its)])
        hashes[hashlib.new(hash_name, said.encode()).hexdigest()] = mark
    if len(hashes) < blanks:
        raise UnknownShapeError  # some look alike: only their neighbours tell them apart
    labels = {mark: f"_:c14n{place}" for place, (_, mark) in enumerate(sorted(hashes.items()))}
    return _MARK.sub(lambda found: labels[found[0]], text).split("\n")


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
