"""The witnesses' proofs: which of them have approved which version of a log.

Source: did:webvh 1.0, "DID Witnesses".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from did.errors import DidLogError, JsonError
from did.json import Json, JsonObject, canonicalize, parse
from did.keys import SigningKey
from did.methods.webvh.entry import Proofs, check_proof
from did.methods.webvh.log import Log

MAX_WITNESS_BYTES: Final = 1_048_576


def sign_witness(version_id: str, key: SigningKey, *, proofs: Proofs, now: datetime) -> JsonObject:
    """A witness's proof for a version, and so for all before it.

    Not checked: the version. Who witnesses reads its log first (``read_log``).
    """
    return proofs.sign({"versionId": version_id}, key, created=now)


def witness_file(approvals: Mapping[str, Sequence[JsonObject]]) -> bytes:
    """``did-witness.json``: proofs by ``versionId``. To be published *before* the log."""
    value: list[Json] = [
        {"versionId": version_id, "proof": list(proofs)}
        for version_id, proofs in approvals.items()
        if proofs
    ]
    return canonicalize(value)


def first_unwitnessed(log: Log, raw: bytes | None, *, proofs: Proofs) -> int | None:
    """The index of the first version that too few of its witnesses have approved, or None.

    ``raw`` is ``did-witness.json`` of at most 1 MiB. Proofs that do not hold, and such for
    versions that the log does not have, count for nothing and do no harm.

    Raises ``DidLogError`` (``did.webvh_witness``) when the file is not a list of proofs.
    """
    if not log.needs_witnesses:
        return None
    latest = _latest_approvals(log, raw, proofs)
    for index, version in enumerate(log.versions):
        if version.witness is not None:
            # An approval of a later version is one of all before it.
            given = sum(latest.get(did, 0) >= version.number for did in version.witness.dids)
            if given < version.witness.threshold:
                return index
    return None


def _latest_approvals(log: Log, raw: bytes | None, proofs: Proofs) -> dict[str, int]:
    """The number of the last version that each witness has approved."""
    numbers = {version.version_id: version.number for version in log.versions}
    lists = {version.witness for version in log.versions if version.witness is not None}
    witnesses = {did.removeprefix("did:key:") for each in lists for did in each.dids}
    found = [(numbers[name], proof) for name, proof in _read(raw) if name in numbers]
    # The latest first: once a witness has approved a version, earlier proofs of it add nothing.
    found.sort(key=lambda item: item[0], reverse=True)
    latest: dict[str, int] = {}
    for number, proof in found:
        document: JsonObject = {"versionId": log.versions[number - 1].version_id}
        try:
            key = check_proof(proofs.hash_document(document), proof, witnesses, proofs)
        except DidLogError:
            continue
        witnesses.discard(key)
        latest["did:key:" + key] = number
    return latest


def _read(raw: bytes | None) -> list[tuple[str, Json]]:
    if raw is None:
        return []
    try:
        value = parse(raw, max_bytes=MAX_WITNESS_BYTES)
    except JsonError as error:
        raise DidLogError(
            f"did-witness.json must be strict JSON: {error}", code="did.webvh_witness"
        ) from error
    found: list[tuple[str, Json]] = []
    for item in value if isinstance(value, list) else [None]:
        version_id = item.get("versionId") if isinstance(item, dict) else None
        listed = item.get("proof", []) if isinstance(item, dict) else None
        if not isinstance(version_id, str) or not isinstance(listed, list):
            raise DidLogError(
                "did-witness.json must be a list of versionIds and their proofs",
                code="did.webvh_witness",
            )
        found += [(version_id, proof) for proof in listed]
    return found
