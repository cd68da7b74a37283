"""Writing a log: the first entry, a further one, the last.

What is made here has gone through the same checks as what is read, so no entry is written that
would not resolve.

Source: did:webvh 1.0, "Create (Register)", "Update (Rotate)", "Deactivate (Revoke)".
"""

from datetime import datetime

from did.identifier import Did
from did.json import Json, JsonObject, canonicalize, parse_object
from did.keys import SigningKey
from did.methods.webvh.entry import Proofs, entry_hash
from did.methods.webvh.log import Log, read_log
from did.methods.webvh.names import PLACEHOLDER
from did.methods.webvh.parameters import METHOD
from did.multikey import base58btc_multihash
from did.time import format_time


def create(
    document: JsonObject,
    *,
    key: SigningKey,
    proofs: Proofs,
    now: datetime,
    parameters: JsonObject | None = None,
) -> Log:
    """A new did:webvh: the log with its first entry.

    ``document`` has the placeholder ``{SCID}`` wherever the SCID is to stand; its ``id`` comes
    from ``placeholder_of``. ``parameters`` are those of the specification, by its names; without
    ``updateKeys`` the key that signs is the one allowed. The result's ``did`` is the new DID, its
    ``raw`` what is to be published at ``url_of(did)``; before that, witnesses named in the
    parameters have to approve it (``sign_witness``).

    Raises ``DidLogError`` and ``DidSyntaxError`` for what would not resolve.
    """
    said: JsonObject = {
        "updateKeys": [key.verify_key.multikey],
        **(parameters or {}),
        "method": METHOD,
        "scid": PLACEHOLDER,
    }
    entry: JsonObject = {
        "versionId": PLACEHOLDER,
        "versionTime": format_time(now),
        "parameters": said,
        "state": document,
    }
    text = canonicalize(entry)
    scid = base58btc_multihash(text)
    entry = parse_object(text.replace(PLACEHOLDER.encode(), scid.encode()))
    line = _signed({**entry, "versionId": scid}, 1, key=key, proofs=proofs, now=now)
    state = entry["state"]
    did = Did.parse(str(state.get("id")) if isinstance(state, dict) else "")
    return read_log(line + b"\n", did, proofs=proofs, now=now)


def update(
    log: Log,
    *,
    key: SigningKey,
    proofs: Proofs,
    now: datetime,
    document: JsonObject | None = None,
    parameters: JsonObject | None = None,
) -> Log:
    """The log with an entry more: another document, other parameters, or both.

    What is not given stays as it was. To rotate, name the new ``updateKeys``. ``key`` is one that
    was allowed before; under pre-rotation it is one of the new, and ``parameters`` must have
    ``updateKeys``, announced before, and ``nextKeyHashes`` (of ``key_hash``; ``[]`` ends
    pre-rotation). To move a portable DID, give a document with the new ``id``, and the old one in
    ``alsoKnownAs``. Times are whole seconds, so two entries cannot be made within one.

    Raises ``DidLogError`` for what would not resolve, and when the log itself has a fault.
    """
    entry: JsonObject = {
        "versionId": log.last.version_id,
        "versionTime": format_time(now),
        "parameters": dict(parameters or {}),
        "state": log.last.state if document is None else document,
    }
    line = _signed(entry, log.last.number + 1, key=key, proofs=proofs, now=now)
    return log.followed_by(line, proofs=proofs, now=now)


def deactivate(
    log: Log,
    *,
    key: SigningKey,
    proofs: Proofs,
    now: datetime,
    document: JsonObject | None = None,
) -> Log:
    """The log with its last entry; the DID is never updated again.

    ``key`` as for ``update``. Without pre-rotation no key is left that could sign; under
    pre-rotation the one that signs stays named, for only announced keys can be.
    """
    parameters: JsonObject = {"deactivated": True, "updateKeys": []}
    if log.last.parameters.next_key_hashes:
        keys: list[Json] = [key.verify_key.multikey]
        parameters |= {"updateKeys": keys, "nextKeyHashes": []}
    return update(log, key=key, proofs=proofs, now=now, document=document, parameters=parameters)


def _signed(
    entry: JsonObject, number: int, *, key: SigningKey, proofs: Proofs, now: datetime
) -> bytes:
    """The line of an entry in which the ``versionId`` is still the one before it."""
    named = {**entry, "versionId": f"{number}-{entry_hash(entry, str(entry['versionId']))}"}
    proof = proofs.sign(named, key, created=now)
    return canonicalize({**named, "proof": [proof]})
