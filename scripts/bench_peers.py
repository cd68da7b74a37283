"""Other implementations measured beside ours, in turns, in one run: ``scripts/bench --peers``.

The ratio is how many times as long the peer takes for the same, and must be *at least* the goal.
Ours does the whole: bytes in, and the signature, dates, status and every property looked at; the
status list was seen before. The peers are given less to do: each verifies a parsed document, its
signature, key and dates, and no status. Contexts are at hand for all.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import process_time_ns
from typing import Any

import jwt
import nacl.signing
import orjson

# The second copy of that module in this process; it keeps no state.
from bench import Work, one_key, status_list, terms, verify, verify_lists
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from digitalbazaar import DigitalBazaar, multikey
from openvc.proof.data_integrity import DataIntegrityProofSuite
from openvc.proof.di_jcs import EddsaJcsProofSuite
from pyld import jsonld
from vector_world import LIST_URL, NOW

from credentials.contexts import CREDENTIALS_V2, KNOWN_CONTEXTS, context_bytes
from credentials.grant import issue_grant
from credentials.issue import issue_credential
from credentials.status import StatusEntry, VerifiedStatusList
from credentials.statuslist import verify_general_list
from credentials.verify import verify_credential
from did.json import JsonObject, without, without_proof
from did.multikey import base58btc_decode
from did.time import format_time

JCS, RDFC = "eddsa-jcs-2022", "eddsa-rdfc-2022"
ROUNDS = 40
BATCH = 10
# Rounds that are run and not counted: Node compiles what runs often.
WARMING = 10
KEY = one_key(0)
CONTEXTS = {url: json.loads(context_bytes(url)) for url in KNOWN_CONTEXTS}


@dataclass(frozen=True, slots=True)
class Peer:
    """``rounds`` gives our time for as many calls, and the peer's, in nanoseconds of CPU."""

    name: str
    workload: str
    goal: float
    rounds: Callable[[], Iterator[tuple[int, int]]]

    def ratios(self) -> Iterator[float]:
        for ours, theirs in self.rounds():
            yield theirs / ours

    def is_met(self, ratio: float) -> bool:
        return ratio >= self.goal


Batch = Sequence[JsonObject]


def batches(make: Callable[[int], JsonObject], rounds: int, size: int) -> Iterator[Batch]:
    """Documents that were never seen before."""
    for number in range(rounds):
        yield [make(index) for index in range(number * size, (number + 1) * size)]


def time_of(works: Sequence[Work]) -> int:
    begun = process_time_ns()
    for work in works:
        work()
    return process_time_ns() - begun


def beside(
    make: Callable[[int], JsonObject],
    ours: Callable[[JsonObject], Work],
    theirs: Callable[[JsonObject], Work],
    *,
    rounds: int = ROUNDS,
    size: int = BATCH,
) -> Iterator[tuple[int, int]]:
    """Ours and a peer in this process."""
    for number, batch in enumerate(batches(make, rounds + WARMING, size)):
        mine, other = [ours(item) for item in batch], [theirs(item) for item in batch]
        found = time_of(mine), time_of(other)
        if number >= WARMING:
            yield found


def beside_node(
    make: Callable[[int], JsonObject], ours: Callable[[JsonObject], Work], **request: object
) -> Iterator[tuple[int, int]]:
    """Ours here and Digital Bazaar's in Node, which measures itself: the pipe costs nothing."""
    with DigitalBazaar() as node:
        for number, batch in enumerate(batches(make, ROUNDS + WARMING, BATCH)):
            mine = [ours(item) for item in batch]
            found = time_of(mine), node.call("timed", batch=batch, now=format_time(NOW), **request)
            if number >= WARMING:
                yield found


def entry(index: int) -> StatusEntry:
    return StatusEntry(LIST_URL, index % 100_000)


def grant(index: int) -> JsonObject:
    return issue_grant(terms(), key=KEY, status=entry(index), now=NOW)


@functools.cache
def _plain() -> JsonObject:
    return without_proof(grant(0))


def unsigned(index: int) -> JsonObject:
    """A grant's claims as anybody's credential, without a proof."""
    return {
        **_plain(),
        "id": f"urn:uuid:0b9f3d1e-2c41-4b6f-9a53-{index:012x}",
        "credentialStatus": entry(index).to_json(),
    }


def over_rdf(index: int) -> JsonObject:
    return issue_credential(unsigned(index), KEY, now=NOW, cryptosuite=RDFC)


@functools.cache
def _status() -> bytes:
    listed = status_list(KEY)
    verify_lists([], [listed])
    return listed


def verify_jcs(document: JsonObject) -> Work:
    return functools.partial(verify, orjson.dumps(document), _status())


@functools.cache
def _verified_status() -> VerifiedStatusList:
    return verify_general_list(_status(), now=NOW)


def verify_rdfc(document: JsonObject) -> Work:
    raw = orjson.dumps(document)
    return functools.partial(verify_credential, raw, now=NOW, status=_verified_status())


def issue_jcs(document: JsonObject) -> Work:
    return functools.partial(issue_credential, document, KEY, now=NOW)


def issue_rdfc(document: JsonObject) -> Work:
    return functools.partial(issue_credential, document, KEY, now=NOW, cryptosuite=RDFC)


def openvc_jcs(document: JsonObject) -> Work:
    return functools.partial(EddsaJcsProofSuite().verify, document, now=NOW)


def openvc_rdfc(document: JsonObject) -> Work:
    contexts = {url: found for url, found in CONTEXTS.items() if url != CREDENTIALS_V2}
    return functools.partial(
        DataIntegrityProofSuite().verify, document, now=NOW, extra_contexts=contexts
    )


def load(url: str, _options: object) -> dict[str, object]:
    return {
        "document": CONTEXTS[url],
        "documentUrl": url,
        "contextUrl": None,
        "contentType": "application/ld+json",
        "tag": "static",
    }


def pyld_rdfc(document: JsonObject) -> Work:
    """A signature over RDF the plain way: PyLD's normal form of document and proof, and PyNaCl."""
    key = nacl.signing.VerifyKey(KEY.verify_key.bytes)
    options = {"algorithm": "URDNA2015", "format": "application/n-quads", "documentLoader": load}

    def digest(value: JsonObject) -> bytes:
        return hashlib.sha256(jsonld.normalize(value, options).encode()).digest()

    def work() -> None:
        proof: Any = document["proof"]
        configuration = without(proof, "proofValue")
        plain = without_proof(document)
        configuration["@context"] = document["@context"]
        signature = base58btc_decode(proof["proofValue"][1:])
        key.verify(digest(configuration) + digest(plain), signature)

    return work


def again(document: JsonObject) -> Work:
    """The same bytes as once before."""
    work = verify_jcs(document)
    work()
    return work


def pyjwt(document: JsonObject) -> Work:
    secret = Ed25519PrivateKey.from_private_bytes(KEY.unsafe_export_seed())
    claims = {**document, "iss": document["issuer"], "exp": NOW + timedelta(days=36_500)}
    token = jwt.encode(claims, secret, algorithm="EdDSA")
    return functools.partial(jwt.decode, token, secret.public_key(), algorithms=["EdDSA"])


def node_issues(cryptosuite: str, ours: Callable[[JsonObject], Work]) -> Iterator[tuple[int, int]]:
    return beside_node(unsigned, ours, what="issue", cryptosuite=cryptosuite, key=multikey(KEY))


PEERS = (
    Peer(
        "peer.grant.jcs.verify.digitalbazaar",
        "verify a grant from bytes, in full, against Digital Bazaar on Node (signature and dates)",
        4,
        lambda: beside_node(grant, verify_jcs, what="verify", cryptosuite=JCS),
    ),
    Peer(
        "peer.grant.jcs.verify.openvc",
        "the same against openvc-core",
        4,
        lambda: beside(grant, verify_jcs, openvc_jcs),
    ),
    Peer(
        "peer.grant.jcs.verify.again.pyjwt",
        "a grant's bytes a second time, against a JWT of the same claims by PyJWT",
        100,
        lambda: beside(grant, again, pyjwt),
    ),
    Peer(
        "peer.credential.rdfc.verify.digitalbazaar",
        "verify a grant's claims under eddsa-rdfc-2022, in full, against Digital Bazaar on Node",
        13,
        lambda: beside_node(over_rdf, verify_rdfc, what="verify", cryptosuite=RDFC),
    ),
    Peer(
        "peer.credential.rdfc.verify.pyld",
        "the same against PyLD with its contexts cached, and PyNaCl (the signature alone)",
        18,
        lambda: beside(over_rdf, verify_rdfc, pyld_rdfc),
    ),
    Peer(
        "peer.credential.rdfc.verify.openvc",
        "the same against openvc-core",
        75,
        lambda: beside(over_rdf, verify_rdfc, openvc_rdfc, rounds=20, size=3),
    ),
    Peer(
        "peer.credential.jcs.issue.digitalbazaar",
        "issue a grant's claims under eddsa-jcs-2022, against Digital Bazaar on Node",
        15,
        lambda: node_issues(JCS, issue_jcs),
    ),
    Peer(
        "peer.credential.rdfc.issue.digitalbazaar",
        "the same under eddsa-rdfc-2022",
        22,
        lambda: node_issues(RDFC, issue_rdfc),
    ),
)
