"""DIDs and DID URLs, in the exact grammar of DID Core 1.0 §3.1 and §3.2.

Both are values: compared as written, never normalised.
"""

import re
from dataclasses import dataclass
from typing import Self

from did.errors import DidSyntaxError

MAX_LENGTH = 2048

# Possessive throughout: what was matched is never tried otherwise, so reading takes linear time.
_PCT = "%[0-9A-Fa-f]{2}"
_METHOD = r"[a-z0-9]++"
_IDCHARS = rf"(?:[A-Za-z0-9._-]++|{_PCT})"
_ID = rf"(?:{_IDCHARS}*+:)*+{_IDCHARS}++"
# RFC 3986 §3.3–3.5
_PCHARS = rf"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]++|{_PCT})"
_DID = re.compile(rf"did:({_METHOD}):({_ID})")
_DID_URL = re.compile(
    rf"(did:{_METHOD}:{_ID})"
    rf"((?:/{_PCHARS}*+)*+)"
    rf"(?:\?((?:{_PCHARS}|[/?])*+))?+"
    rf"(?:#((?:{_PCHARS}|[/?])*+))?+"
)
# What a server may take for a slash, in lower case.
_SLASH = re.compile(r"[/\\]|%2f|%5c")


@dataclass(frozen=True, slots=True)
class Did:
    """A decentralized identifier: ``did:`` method ``:`` id."""

    method: str
    id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a DID of at most 2048 characters. Raises ``DidSyntaxError`` (``did.syntax``)."""
        match = _DID.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if match is None:
            raise DidSyntaxError(
                "the text is not a DID", hint="A DID looks like did:web:example.com."
            )
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"did:{self.method}:{self.id}"


@dataclass(frozen=True, slots=True)
class DidUrl:
    """A DID with a path (``""`` or ``/…``), and a query and a fragment that may be absent."""

    did: Did
    path: str = ""
    query: str | None = None
    fragment: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an absolute DID URL. Raises ``DidSyntaxError`` (``did.syntax``)."""
        match = _DID_URL.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if match is None:
            raise DidSyntaxError(
                "the text is not a DID URL",
                hint="A DID URL looks like did:web:example.com#key-1.",
            )
        return cls(Did.parse(match[1]), match[2], match[3], match[4])

    def __str__(self) -> str:
        query = "" if self.query is None else "?" + self.query
        fragment = "" if self.fragment is None else "#" + self.fragment
        return f"{self.did}{self.path}{query}{fragment}"


def climbs(path: str) -> bool:
    """Whether a step of a path is ``.`` or ``..`` for some server: also when it is percent-encoded,
    stands beside a backslash, or has parameters behind it (RFC 3986 §3.3)."""
    steps = _SLASH.split(path.lower().replace("%2e", "."))
    return any(step.partition(";")[0] in (".", "..") for step in steps)
