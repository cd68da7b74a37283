"""What a did:webvh resolves to: now, or at a version of its history.

Source: did:webvh 1.0, "Read (Resolve)", "Reading did:webvh DID URLs".
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from urllib.parse import parse_qsl

from did.document import DidDocument
from did.errors import DidError, DidLogError, DidNotFound, DidSyntaxError
from did.identifier import Did, DidUrl
from did.json import JsonObject
from did.methods.webvh.entry import Proofs, read_time
from did.methods.webvh.log import Log, Version, read_log
from did.methods.webvh.names import url_of, witness_url_of
from did.methods.webvh.witness import first_unwitnessed
from did.time import check_now


@dataclass(frozen=True, slots=True)
class At:
    """Which version is asked for: by one of these, or the last by none."""

    version_id: str | None = None
    version_time: datetime | None = None
    version_number: int | None = None

    def __post_init__(self) -> None:
        if (
            sum(x is not None for x in (self.version_id, self.version_time, self.version_number))
            > 1
        ):
            raise DidSyntaxError(
                "a version is named by its id, its time or its number", code="did.webvh_syntax"
            )

    @classmethod
    def parse(cls, query: str | None) -> Self:
        """Read the query of a DID URL; parameters of other meanings are passed over.

        Raises ``DidSyntaxError`` (``did.webvh_syntax``).
        """
        try:
            pairs = parse_qsl(query or "", keep_blank_values=True, max_num_fields=16)
            said = dict(pairs)
            names = [name for name, _ in pairs if name.startswith("version")]
            if len(set(names)) != len(names):
                raise ValueError
            time, number = said.get("versionTime"), said.get("versionNumber")
            if number is not None and not (number.isascii() and number.isdigit()):
                raise ValueError
            return cls(
                said.get("versionId"),
                # A plus sign in a query is a space.
                None if time is None else read_time(time.replace(" ", "+")),
                None if number is None else int(number),
            )
        except (ValueError, DidLogError):
            raise DidSyntaxError(
                "the query of the DID URL names no version", code="did.webvh_syntax"
            ) from None


LAST = At()


@dataclass(frozen=True, slots=True)
class Resolved:
    """A document and what its history says of it.

    ``metadata`` has the names of the specification, and texts for numbers.
    """

    document: DidDocument
    version: Version
    metadata: JsonObject = field(hash=False)
    deactivated: bool


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The versions of a DID that hold, and are witnessed as they had to be.

    ``fault`` says what is wrong with the version after them, if there is one.
    """

    log: Log
    versions: tuple[Version, ...]
    fault: DidLogError | None

    def at(self, at: At = LAST) -> Resolved:
        """The version asked for.

        A version that holds is given although a later one does not; the last is not, for nobody
        knows what it should be. Raises ``DidLogError``, ``DidNotFound``
        (``did.version_not_found``), and ``DidDocumentError`` for a document that is none.
        """
        version = self._find(at)
        first, last = self.versions[0], self.versions[-1]
        now = last.parameters
        metadata: JsonObject = {
            "versionId": version.version_id,
            "versionNumber": str(version.number),
            "versionTime": version.time_text,
            "created": first.time_text,
            "updated": last.time_text,
            "scid": now.scid,
            "portable": now.portable,
            "deactivated": now.deactivated,
            "ttl": str(now.ttl),
            "witness": {} if now.witness is None else now.witness.to_json(text=True),
            "watchers": list(now.watchers),
        }
        document = DidDocument.parse(version.state, expected=version.did)
        return Resolved(document, version, metadata, now.deactivated)

    def _find(self, at: At) -> Version:
        found: Version | None = None
        if at.version_id is not None:
            found = next((v for v in self.versions if v.version_id == at.version_id), None)
        elif at.version_number is not None:
            found = next((v for v in self.versions if v.number == at.version_number), None)
        elif at.version_time is not None:
            time = at.version_time
            found = next((v for v in reversed(self.versions) if v.time <= time), None)
            # How long the last version held is told by the next, which is the faulty one.
            if self.fault is not None and found is self.versions[-1]:
                raise self.fault
        elif self.fault is None:
            return self.versions[-1]
        if found is not None:
            return found
        if self.fault is not None:
            raise self.fault
        raise DidNotFound("the DID had no such version", code="did.version_not_found")


def read_history(
    raw: bytes,
    did: Did,
    *,
    proofs: Proofs,
    now: datetime,
    witness: bytes | None = None,
) -> History:
    """Verify a log and the witnesses' proofs beside it.

    ``witness`` is ``did-witness.json``; ``None`` when there is none, which is refused once an
    entry needs witnesses. Raises as ``read_log`` does.
    """
    return witnessed(read_log(raw, did, proofs=proofs, now=now), witness, proofs=proofs)


def witnessed(log: Log, witness: bytes | None, *, proofs: Proofs) -> History:
    """What of a log its witnesses have approved. Raises ``DidLogError``
    (``did.webvh_witness``) when that is not even the first entry."""
    index = first_unwitnessed(log, witness, proofs=proofs)
    if index is None:
        return History(log, log.versions, log.fault)
    fault = DidLogError(
        f"entry {index + 1} of the log: too few of its witnesses have approved it",
        code="did.webvh_witness",
        hint="Their proofs are published in did-witness.json, beside the log.",
    )
    if index == 0:
        raise fault
    return History(log, log.versions[:index], fault)


def resolve(
    did: Did | DidUrl,
    fetch: Callable[[str], bytes],
    *,
    proofs: Proofs,
    now: datetime,
    at: At | None = None,
) -> Resolved:
    """Fetch and verify the log of a did:webvh, and its witnesses' proofs where it needs them.

    A DID URL may name a version in its query; otherwise ``at`` does. The document may be about
    another name of the same DID when it has moved. Raises as ``read_history`` and ``History.at``
    do, and whatever ``fetch`` raises.
    """
    check_now(now)
    subject, wanted = (did.did, At.parse(did.query)) if isinstance(did, DidUrl) else (did, at)
    log = read_log(fetch(url_of(subject)), subject, proofs=proofs, now=now)
    witness = fetch(witness_url_of(subject)) if log.needs_witnesses else None
    return witnessed(log, witness, proofs=proofs).at(wanted or LAST)


def error_metadata(error: DidError) -> JsonObject:
    """``didResolutionMetadata`` for what ``resolve`` raised: ``notFound`` or ``invalidDid``, and
    problem details (RFC 9457) in which our code is the title."""
    return {
        "error": "notFound" if isinstance(error, DidNotFound) else "invalidDid",
        "problemDetails": {"type": "about:blank", "title": error.code, "detail": str(error)},
    }
