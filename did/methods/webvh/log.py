"""A log, verified entry by entry: each stands on the one before it.

Source: did:webvh 1.0, "Read (Resolve)", "DID Portability".
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NoReturn, Self

from did.errors import DidLogError, DidSyntaxError, JsonError, MethodNotSupported
from did.identifier import Did
from did.json import JsonObject, parse_object, without_proof
from did.methods.webvh.entry import (
    Proofs,
    check_proofs,
    entry_hash,
    key_hash,
    read_time,
    scid_of_entry,
)
from did.methods.webvh.names import scid_of
from did.methods.webvh.parameters import Parameters, Witnesses
from did.time import check_now

MAX_LOG_BYTES: Final = 2 * 1_048_576
MAX_ENTRY_BYTES: Final = 131_072
MAX_ENTRIES: Final = 2048

_MEMBERS = frozenset({"versionId", "versionTime", "parameters", "state", "proof"})


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """One entry that holds: the document it gave the DID, and the parameters after it.

    ``witness`` are those that must have approved it, which nobody has looked at yet.
    """

    number: int
    version_id: str
    time: datetime
    time_text: str
    did: Did
    state: JsonObject = field(repr=False)
    parameters: Parameters
    witness: Witnesses | None


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """The entries of a log up to the first that does not hold, and what is wrong with that.

    Hashes, proofs, times and parameters were checked. *Not* checked: the witnesses
    (``history.witnessed``), and whether this is all that was ever published.
    """

    versions: tuple[Version, ...]
    raw: bytes = field(repr=False)
    fault: DidLogError | None = None

    @property
    def scid(self) -> str:
        return self.versions[0].parameters.scid

    @property
    def last(self) -> Version:
        return self.versions[-1]

    @property
    def did(self) -> Did:
        """The DID as the last entry that holds names it."""
        return self.last.did

    @property
    def needs_witnesses(self) -> bool:
        """Whether any entry had to be approved by witnesses."""
        return any(version.witness is not None for version in self.versions)

    def followed_by(self, line: bytes, *, proofs: Proofs, now: datetime) -> Self:
        """This log and one entry more. Raises ``DidLogError`` when that does not hold."""
        if self.fault is not None:
            raise self.fault
        version = _next(self.last, line, proofs=proofs, now=now)
        # Others leave out the line break at the end.
        raw = self.raw.removesuffix(b"\n") + b"\n" + line + b"\n"
        return replace(self, versions=(*self.versions, version), raw=raw)


def read_log(raw: bytes, did: Did, *, proofs: Proofs, now: datetime) -> Log:
    """Verify a log (at most 2 MiB, 2048 entries of 128 KiB) as that of ``did``.

    The time it takes grows with the log's length, and not faster. An entry after the first that
    does not hold ends the reading and becomes the ``fault`` of what was read.

    Raises ``DidLogError`` when the first entry does not hold, or no entry is about ``did``; and
    ``DidSyntaxError``.
    """
    check_now(now)
    if len(raw) > MAX_LOG_BYTES or raw.count(b"\n") > MAX_ENTRIES:
        _refuse(f"a log must not exceed {MAX_LOG_BYTES} bytes and {MAX_ENTRIES} entries")
    scid = scid_of(did)
    versions: list[Version] = []
    fault = None
    for line in raw.removesuffix(b"\n").split(b"\n"):
        try:
            previous = versions[-1] if versions else None
            versions.append(_next(previous, line, proofs=proofs, now=now))
        except DidLogError as error:
            fault = DidLogError(
                f"entry {len(versions) + 1} of the log: {error}", code=error.code, hint=error.hint
            )
            break
    if not versions:
        raise fault or DidLogError("the log is empty")
    if versions[0].parameters.scid != scid:
        _refuse("the log is of another SCID", code="did.webvh_scid")
    # "Read", step 6.1: one version at least was about the DID that was asked for.
    if all(version.did != did for version in versions):
        if fault is not None:
            raise fault
        _refuse("no entry of the log is about the DID asked for")
    return Log(tuple(versions), raw, fault)


def _next(previous: Version | None, line: bytes, *, proofs: Proofs, now: datetime) -> Version:
    # 1. One JSON object, without anything around it ("The DID Log File").
    entry = _read(line)
    state, said = entry["state"], entry["parameters"]
    if not isinstance(state, dict) or not isinstance(said, dict):
        _refuse("the state and the parameters of an entry must be objects")
    # 2. Nothing follows a deactivation; the parameters are permitted ("Read", step 1).
    if previous is None:
        before, parameters = None, Parameters.first(said)
    else:
        before = previous.parameters
        if before.deactivated:
            _refuse("a deactivated DID has no further entries")
        parameters = before.then(said)
    # 3. The number counts up, and the hash is over this entry and the name of the one before
    #    ("Read", step 3; "Verify The Entry Hash").
    unsigned = without_proof(entry)
    number = 1 if previous is None else previous.number + 1
    predecessor = parameters.scid if previous is None else previous.version_id
    version_id = f"{number}-{entry_hash(unsigned, predecessor)}"
    if entry["versionId"] != version_id:
        _refuse("the versionId is not its number and the hash of the entry")
    # 4. Time goes forward, and not past now ("Read", step 4).
    time = read_time(entry["versionTime"])
    if previous is not None and time <= previous.time:
        _refuse("versionTime must be later than that of the entry before")
    if time > now:
        _refuse("versionTime must not lie in the future")
    # 5. The SCID is the hash of the first entry ("Verify SCID").
    if previous is None and scid_of_entry(unsigned, parameters.scid) != parameters.scid:
        _refuse("the SCID is not the hash of the first entry", code="did.webvh_scid")
    # 6. The document is about this DID ("Read", step 6; "DID Portability").
    did = _subject(state, parameters, previous)
    # 7. Who may sign ("Authorized Keys"; "Read", steps 2 and 7): in the first entry its own keys;
    #    under pre-rotation its own as well, which the entry before has announced; else those of
    #    the entry before.
    if before is None:
        active: Collection[str] = parameters.update_keys
    elif before.next_key_hashes:
        announced = frozenset(before.next_key_hashes)
        if not all(key_hash(key) in announced for key in parameters.update_keys):
            _refuse("under pre-rotation a key must have been announced by the entry before")
        active = parameters.update_keys
    else:
        active = before.update_keys
    check_proofs(unsigned, entry["proof"], active, proofs)
    # 8. Who must have witnessed it ("The witness Parameter"): those before it, or if there were
    #    none, its own.
    witness = parameters.witness if before is None else before.witness or parameters.witness
    return Version(
        number, version_id, time, str(entry["versionTime"]), did, state, parameters, witness
    )


def _read(line: bytes) -> JsonObject:
    if line[:1] != b"{" or line[-1:] != b"}":
        _refuse("an entry must be one line with one JSON object and nothing around it")
    try:
        entry = parse_object(line, max_bytes=MAX_ENTRY_BYTES)
    except JsonError as error:
        raise DidLogError(f"an entry must be strict JSON: {error}", hint=error.hint) from error
    if entry.keys() != _MEMBERS:
        _refuse("an entry has versionId, versionTime, parameters, state and proof")
    return entry


def _subject(state: JsonObject, parameters: Parameters, previous: Version | None) -> Did:
    text = state.get("id")
    try:
        did = Did.parse(text if isinstance(text, str) else "")
        scid = scid_of(did)
    except (DidSyntaxError, MethodNotSupported) as error:
        raise DidLogError("the id of the document must be a did:webvh") from error
    if scid != parameters.scid:
        _refuse("the id of the document has another SCID", code="did.webvh_scid")
    if previous is not None and did != previous.did:
        names = state.get("alsoKnownAs")
        if not parameters.portable:
            _refuse("a DID that is not portable cannot move")
        if not isinstance(names, list) or str(previous.did) not in names:
            _refuse("a DID that moves must name the place before in alsoKnownAs")
    return did


def _refuse(reason: str, code: str | None = None) -> NoReturn:
    raise DidLogError(reason, code=code)
