"""The JSON-LD contexts known here, byte for byte, and which others may stand in a document.

Nothing is ever fetched. Our own objects carry exactly ``PROFILE_CONTEXT``. Documents of others may
name further contexts by an ``https:`` URL; an inline context may add terms, but not change what
the standard's own terms mean.
"""

import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from types import MappingProxyType
from typing import Final, TypeAlias

from credentials.errors import ContextRefused
from did.json import Json, JsonObject

# How a context is had by its URL.
Contexts: TypeAlias = Callable[[str], bytes]

CREDENTIALS_V1: Final = "https://www.w3.org/2018/credentials/v1"
CREDENTIALS_V2: Final = "https://www.w3.org/ns/credentials/v2"
DATA_INTEGRITY_V1: Final = "https://w3id.org/security/data-integrity/v1"
DATA_INTEGRITY_V2: Final = "https://w3id.org/security/data-integrity/v2"
STATUS_V1: Final = "https://www.w3.org/ns/credentials/status/v1"
PDS_V1: Final = "https://w3id.org/personal-data-store/v1"
# Credentials and presentations of our own carry these, in this order, and nothing else.
PROFILE_CONTEXT: Final = (CREDENTIALS_V2, PDS_V1)
# The multihash of the context's file; grants carry it as the digest of a related resource.
PDS_V1_DIGEST: Final = "uEiCglqDElMW-JHTN_6RNfiNKTyIJrD_majsRZywPQ4_SkA"

_FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        CREDENTIALS_V1: "credentials-v1.jsonld",
        CREDENTIALS_V2: "credentials-v2.jsonld",
        DATA_INTEGRITY_V1: "data-integrity-v1.jsonld",
        DATA_INTEGRITY_V2: "data-integrity-v2.jsonld",
        "https://w3id.org/security/jwk/v1": "jwk-v1.jsonld",
        "https://w3id.org/security/multikey/v1": "multikey-v1.jsonld",
        "https://www.w3.org/ns/cid/v1": "cid-v1.jsonld",
        STATUS_V1: "bitstring-status-list-v1.jsonld",
        PDS_V1: "personal-data-store-v1.jsonld",
    }
)
KNOWN_CONTEXTS: Final = frozenset(_FILES)
_MAX_CONTEXTS = 16
_MAX_INLINE = 8_192
_OWN_CONTEXT = frozenset({"@context", "proof", "verifiableCredential"})
# These change what every other name means, or fetch something.
_UNSAFE_KEYWORDS = frozenset({"@vocab", "@base", "@import", "@propagate", "@language"})


def with_proof_context(context: Json) -> Json:
    """A context of VCDM 1.1 with one more, which defines Data Integrity proofs, unless it has it.

    That of VCDM 2.0 defines them itself and is returned as it is.
    """
    return _completed(context, DATA_INTEGRITY_V2, DATA_INTEGRITY_V1)


def with_status_context(context: Json) -> Json:
    """The same for entries of a Bitstring Status List."""
    return _completed(context, STATUS_V1)


def _completed(context: Json, url: str, *others: str) -> Json:
    if not isinstance(context, list) or not context or context[0] != CREDENTIALS_V1:
        return context
    return context if any(name in context for name in (url, *others)) else [*context, url]


class ContextFolder:
    """The contexts known here and those of a folder, for who must read further ones.

    ``index.json`` in the folder names them: URL → ``file`` and ``sha256`` (hexadecimal). All are
    read at once, and none is ever fetched. Those known here cannot be replaced.
    """

    __slots__ = ("__weakref__", "_found")

    def __init__(self, folder: str) -> None:
        """Raises ``ContextRefused`` (``context.folder``) when the folder is not what it says."""
        self._found: dict[str, bytes] = {}
        try:
            with open(os.path.join(folder, "index.json"), "rb") as source:
                index = json.load(source)
            for url, entry in index.items():
                name, digest = entry["file"], entry["sha256"]
                if url in _FILES:
                    continue
                if os.path.basename(name) != name or not url.startswith("https://"):
                    raise ValueError
                with open(os.path.join(folder, name), "rb") as source:
                    found = source.read()
                if sha256(found).hexdigest() != digest or "@context" not in json.loads(found):
                    raise ValueError
                self._found[url] = found
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise ContextRefused(
                "the folder of contexts must have an index.json with a file and its SHA-256 for "
                "each https: URL, and the files must be those",
                code="context.folder",
            ) from error

    def __call__(self, url: str) -> bytes:
        """The bytes of a context. Raises ``ContextRefused`` (``context.unknown``)."""
        return self._found.get(url) or context_bytes(url)


@cache
def context_bytes(url: str) -> bytes:
    """The bytes of a known context. Raises ``ContextRefused`` (``context.unknown``)."""
    name = _FILES.get(url)
    if name is None:
        raise ContextRefused(
            "the context is not one of those known here",
            code="context.unknown",
            hint="None is ever fetched: hand it over, with contexts= or a folder for --contexts. "
            "Known without that: " + ", ".join(sorted(_FILES)) + ".",
        )
    # By its path: importlib.resources takes longer to load than a whole grant to verify.
    with open(os.path.join(os.path.dirname(__file__), "contexts", name), "rb") as source:
        return source.read()


def check_exact_context(document: JsonObject, expected: tuple[str, ...]) -> None:
    """Refuse a document whose ``@context`` is not exactly this; ``()`` stands for none at all.

    Raises ``ContextRefused`` (``context.not_exact``).
    """
    found = document.get("@context")
    if (found == list(expected)) if expected else ("@context" not in document):
        return
    raise ContextRefused(
        "@context must be exactly " + (", ".join(expected) or "absent"),
        code="context.not_exact",
        pointer="/@context",
    )


def check_foreign_context(document: JsonObject) -> str:
    """Refuse contexts in a credential of others that could change the meaning of its terms.

    VCDM 2.0 §4.3, VCDM 1.1 §4.1: an array whose first item is the standard's own URL, which is
    returned. Further items are ``https:`` URLs, or objects that add terms and leave the standard's
    own alone. Contexts deeper inside are refused: they could say anything about one part of what
    was shown.

    Raises ``ContextRefused`` (``context.first``, ``context.url``, ``context.inline``,
    ``context.nested``).
    """
    contexts = document.get("@context")
    if (
        not isinstance(contexts, list)
        or not contexts
        or contexts[0] not in (CREDENTIALS_V1, CREDENTIALS_V2)
        or len(contexts) > _MAX_CONTEXTS
    ):
        raise ContextRefused(
            f"@context must be a list that begins with {CREDENTIALS_V2} (or the older v1)",
            code="context.first",
            pointer="/@context",
        )
    first = str(contexts[0])
    for position, item in enumerate(contexts):
        if isinstance(item, str):
            if not item.startswith("https://"):
                raise ContextRefused(
                    "a context must be an https: URL",
                    code="context.url",
                    pointer=f"/@context/{position}",
                )
        elif not isinstance(item, dict) or _redefines(item, first):
            raise ContextRefused(
                "an inline context must not change what other names mean",
                code="context.inline",
                pointer=f"/@context/{position}",
            )
    # A proof repeats the context and credentials in a presentation bring their own.
    _refuse_nested([value for name, value in document.items() if name not in _OWN_CONTEXT])
    return first


class WithInline:
    """``contexts`` by their URL, and under a proof over RDF also those inside a document.

    What such names mean is up to whoever holds the document: its statements stay the same, and so
    does their signature, when names and context are exchanged together. It is for who reads the
    statements, or for a test of conformance; who reads the JSON takes no such context.
    """

    def __init__(self, contexts: Callable[[str], bytes]) -> None:
        self.named = contexts

    def __call__(self, url: str) -> bytes:
        return self.named(url)

    @staticmethod
    def check(context: JsonObject) -> None:
        """Refuse a context that is not small, or does more than to add names. Raises
        ``ContextRefused`` (``context.inline``)."""
        size = len(json.dumps(context))
        if (
            size > _MAX_INLINE
            or _redefines(context, CREDENTIALS_V1)
            or _redefines(context, CREDENTIALS_V2)
            or _has_alias(context)
        ):
            raise ContextRefused(
                "an inline context must be small, and not change what other names mean",
                code="context.inline",
            )


def _has_alias(value: Json) -> bool:
    """Whether a name stands for a keyword, as ``id`` does for ``@id``."""
    if not isinstance(value, dict):
        return False
    return any(
        (isinstance(term, str) and term.startswith("@"))
        or (
            isinstance(term, dict)
            and (str(term.get("@id", "")).startswith("@") or _has_alias(term.get("@context")))
        )
        for name, term in value.items()
        if not name.startswith("@")
    )


def _redefines(context: Json, standard: str) -> bool:
    settled = _UNSAFE_KEYWORDS | _standard_terms(standard)
    waiting: list[Json] = [context]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if not settled.isdisjoint(value):
                return True
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return False


def _refuse_nested(values: list[Json]) -> None:
    # Level by level, so that most values, which are texts, are passed over at once.
    while values:
        deeper: list[Json] = []
        for item in values:
            if type(item) is str:
                continue
            if isinstance(item, dict):
                if "@context" in item:
                    raise ContextRefused(
                        "a context must not stand inside a document", code="context.nested"
                    )
                deeper += item.values()
            elif isinstance(item, list):
                deeper += item
        values = deeper


@cache
def deciding_names() -> frozenset[str]:
    """The last part of every IRI by which the standards say something about a credential or proof.

    Who writes the IRI for the term says the same in RDF, and hides it from a reader of JSON.
    """
    standards = (CREDENTIALS_V1, CREDENTIALS_V2, DATA_INTEGRITY_V2, STATUS_V1)
    terms = frozenset[str]().union(*map(_standard_terms, standards))
    # Of these the first is what ``expires`` means; the others decide nothing.
    return (terms | {"expiration"}) - {"id", "type", "name", "description"}


@cache
def _standard_terms(url: str) -> frozenset[str]:
    """Every term that a context of the standard defines, at any depth."""
    terms: set[str] = set()
    waiting: list[Json] = [json.loads(context_bytes(url))["@context"]]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for name, definition in value.items():
                if not name.startswith("@"):
                    terms.add(name)
                if isinstance(definition, dict):
                    waiting.append(definition.get("@context"))
    return frozenset(terms)
