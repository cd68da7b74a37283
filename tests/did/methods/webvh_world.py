"""Keys, times and forged entries for the tests of did:webvh."""

import json
from datetime import datetime, timedelta
from pathlib import Path

from credentials.webvh import PROOFS
from did.identifier import Did
from did.json import Json, JsonObject, canonicalize, parse_object
from did.keys import SigningKey
from did.methods.webvh import Log, create, placeholder_of
from did.methods.webvh.entry import entry_hash
from did.multikey import base58btc_multihash
from did.time import format_time, parse_time

LOGS = Path(__file__).parent / "webvh_logs"
START = parse_time("2026-01-01T00:00:00Z")
NOW = parse_time("2026-02-01T00:00:00Z")
ONE, TWO, THREE, STRANGER = (SigningKey.from_seed(bytes([n]) * 32) for n in range(4))


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def multikeys(*keys: SigningKey) -> list[Json]:
    return [key.verify_key.multikey for key in keys]


def witnesses(threshold: int, *keys: SigningKey) -> JsonObject:
    return {"threshold": threshold, "witnesses": [{"id": key.did} for key in keys]}


def first_document(host: str = "example.com", *path: str) -> JsonObject:
    name = placeholder_of(host, path=path)
    method: JsonObject = {
        "id": f"{name}#key-1",
        "type": "Multikey",
        "controller": name,
        "publicKeyMultibase": ONE.verify_key.multikey,
    }
    return {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": name,
        "verificationMethod": [method],
        "assertionMethod": [f"{name}#key-1"],
    }


def new_log(**parameters: Json) -> Log:
    return create(first_document(), key=ONE, proofs=PROOFS, now=START, parameters=parameters)


def lines_of(log: Log) -> list[bytes]:
    return log.raw.removesuffix(b"\n").split(b"\n")


def signed(entry: JsonObject, number: int, key: SigningKey) -> bytes:
    """A line in which hash and proof are right, whatever else is wrong.

    The ``versionId`` of ``entry`` is that of the entry before.
    """
    named = {**entry, "versionId": f"{number}-{entry_hash(entry, str(entry['versionId']))}"}
    return canonicalize({**named, "proof": [PROOFS.sign(named, key, created=START)]})


def forged_next(log: Log, key: SigningKey, /, **changes: Json) -> bytes:
    """A log with an entry more that only its ``changes`` make wrong."""
    entry: JsonObject = {
        "versionId": log.last.version_id,
        "versionTime": format_time(log.last.time + timedelta(days=1)),
        "parameters": {},
        "state": log.last.state,
        **changes,
    }
    return log.raw + signed(entry, log.last.number + 1, key) + b"\n"


def forged_first(key: SigningKey, /, **changes: Json) -> tuple[bytes, Did]:
    """A log of one entry whose SCID, hash and proof are right, with its DID."""
    entry: JsonObject = {
        "versionId": "{SCID}",
        "versionTime": format_time(START),
        "parameters": {
            "method": "did:webvh:1.0",
            "scid": "{SCID}",
            "updateKeys": multikeys(key),
        },
        "state": first_document(),
        **changes,
    }
    text = canonicalize(entry)
    scid = base58btc_multihash(text)
    made = parse_object(text.replace(b"{SCID}", scid.encode()))
    return signed(made, 1, key) + b"\n", Did.parse(f"did:webvh:{scid}:example.com")


def published(name: str) -> tuple[bytes, Did]:
    raw = (LOGS / name).read_bytes()
    return raw, Did.parse(json.loads(raw.split(b"\n")[0])["state"]["id"])
