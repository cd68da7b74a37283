"""did:webvh 1.0: a DID on a web server, with a history that everybody can verify.

The API, for who resolves and for who keeps a DID (``proofs`` is ``credentials.webvh.PROOFS``):

    url_of(did) -> str; witness_url_of(did) -> str
    resolve(did | did_url, fetch, *, proofs, now) -> Resolved
    read_history(raw, did, *, proofs, now, witness=None) -> History     chain and witnesses
    History.at(At(version_id= | version_time= | version_number=)) -> Resolved
    Resolved: document, version, metadata, deactivated
    error_metadata(error) -> didResolutionMetadata

    placeholder_of(host, *, port=None, path=()) -> "did:webvh:{SCID}:…"
    create(document, *, key, proofs, now, parameters=None) -> Log
    update(log, *, key, proofs, now, document=None, parameters=None) -> Log
    deactivate(log, *, key, proofs, now, document=None) -> Log
    read_log(raw, did, *, proofs, now) -> Log                           chain alone
    Log: raw (what is published), did, scid, versions, last, fault, needs_witnesses
    key_hash(multikey) -> str                                           for nextKeyHashes
    sign_witness(version_id, key, *, proofs, now) -> proof
    witness_file({version_id: [proof, …]}) -> bytes; witnessed(log, raw, *, proofs) -> History

    with_services(document), resource_url_of(document, path), did_web_document(document)

``parameters`` are JSON with the names of the specification: ``updateKeys``, ``nextKeyHashes``,
``portable``, ``witness``, ``watchers``, ``deactivated``, ``ttl``.

Source: did:webvh DID Method v1.0 (DIF). Narrowed: hosts and folders as for did:web, keys of
Ed25519, at most 64 keys, hashes, witnesses and watchers, strict JSON without floats.
"""

from did.methods.webvh.author import create, deactivate, update
from did.methods.webvh.entry import Proofs, key_hash
from did.methods.webvh.history import (
    At,
    History,
    Resolved,
    error_metadata,
    read_history,
    resolve,
    witnessed,
)
from did.methods.webvh.log import Log, Version, read_log
from did.methods.webvh.names import (
    did_web_document,
    did_web_of,
    placeholder_of,
    resource_url_of,
    scid_of,
    url_of,
    with_services,
    witness_url_of,
)
from did.methods.webvh.parameters import Parameters, Witnesses
from did.methods.webvh.witness import sign_witness, witness_file

__all__ = [
    "At",
    "History",
    "Log",
    "Parameters",
    "Proofs",
    "Resolved",
    "Version",
    "Witnesses",
    "create",
    "deactivate",
    "did_web_document",
    "did_web_of",
    "error_metadata",
    "key_hash",
    "placeholder_of",
    "read_history",
    "read_log",
    "resolve",
    "resource_url_of",
    "scid_of",
    "sign_witness",
    "update",
    "url_of",
    "with_services",
    "witness_file",
    "witness_url_of",
    "witnessed",
]
