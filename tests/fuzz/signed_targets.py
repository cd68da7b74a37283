"""What a stranger may sign. Nearly every changed byte breaks a signature, and then nothing behind
it is looked at; so here the input is signed first, and the readers see it as signed.

Long, because it is a list.
"""

import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from target import (
    EC,
    KEY,
    NOW,
    Target,
    example,
    of_json,
    parsed_example,
    published,
    secret,
    text,
)

from credentials.contexts import CREDENTIALS_V2, ContextFolder, WithInline, context_bytes
from credentials.derive import derive_credential
from credentials.envelope import Envelope
from credentials.errors import ContextRefused, CredentialError
from credentials.grant import verify_grant
from credentials.issue import issue_credential
from credentials.jose import sign_jws
from credentials.key_binding import bind_key
from credentials.presentation import verify_presentation
from credentials.proof import add_proof, sign_object, verify_object
from credentials.rdfc import canonicalize_jsonld
from credentials.sd_jwt_vc import issue_sd_jwt_vc, verify_sd_jwt_vc
from credentials.stamp import verify_stamp
from credentials.status import WITHOUT_STATUS, BitString, verify_status_list
from credentials.statuslist import issue_general_list, verify_general_list
from credentials.ticket import verify_ticket
from credentials.vc_jwt import sign_vc_jwt, verify_vc_jwt, verify_vp_jwt
from credentials.verify import verify_credential
from credentials.webvh import PROOFS
from did.errors import DidError
from did.identifier import Did
from did.json import JsonObject, canonicalize, digest, parse_object
from did.keys import SigningKey
from did.methods import webvh
from did.methods.webvh.entry import entry_hash
from did.multikey import b64url_decode, b64url_encode, base58btc_encode
from did.resolve import OFFLINE

HOLDER, LOG, REDEMPTION, UPDATE = (
    SigningKey.from_seed(secret(name))
    for name in ("holder", "log", "redemption", "identity update 1")
)
LIST = "https://issuer.example/lists/3"
CONTEXT = "https://other.example/context"
_ENTRY: JsonObject = {
    "type": "BitstringStatusListEntry",
    "statusPurpose": "revocation",
    "statusListIndex": "9",
    "statusListCredential": LIST,
}
_CLAIMS: JsonObject = {"credentialSubject": {"id": "urn:x:1", "name": "A"}}


def _unsigned(raw: bytes) -> JsonObject | None:
    try:
        return {k: v for k, v in parse_object(raw, allow_floats=True).items() if k != "proof"}
    except DidError:
        return None


def _signing(
    key: SigningKey, verify: Callable[[bytes], object], **options: str
) -> Callable[[bytes], None]:
    """``verify`` on the object as ``key`` signs it, as long as it can be signed at all."""

    def run(raw: bytes) -> None:
        value = _unsigned(raw)
        if value is None:
            return
        try:
            made = canonicalize(sign_object(value, key, created=NOW, **options))
        except (CredentialError, DidError):
            return
        verify(made)

    return run


_PROOF: JsonObject = {
    "type": "DataIntegrityProof",
    "cryptosuite": "eddsa-jcs-2022",
    "created": "2026-03-01T09:00:00Z",
    "proofPurpose": "assertionMethod",
    "verificationMethod": KEY.verification_method,
}


def _with_proof(raw: bytes) -> None:
    """Any members beside those of a proof, all of which are signed."""
    first, _, second = raw.partition(b"\n")
    proof, value = _unsigned(first), _unsigned(second)
    if proof is None or value is None:
        return
    try:
        configuration = {**_PROOF, **proof}
        signature = KEY.sign(
            hashlib.sha256(canonicalize(configuration)).digest()
            + hashlib.sha256(canonicalize(value)).digest()
        )
    except DidError:
        return
    made: JsonObject = {**configuration, "proofValue": "z" + base58btc_encode(signature)}
    verify_object(
        {**value, "proof": made},
        resolver=OFFLINE,
        now=NOW,
        expected_controller=None,
        exact_context=None,
    )


def _grant(raw: bytes) -> None:
    verify_grant(raw, purpose=None, audience=None, status=WITHOUT_STATUS, now=NOW)


def _status_list(raw: bytes) -> None:
    verify_status_list(raw, now=NOW, expected_issuer=None, expected_url=None)


def _presentation(raw: bytes) -> None:
    verify_presentation(
        raw, expected_challenge="c", expected_domain="d", now=NOW, exact_context=None
    )


def _stamp(raw: bytes) -> None:
    verify_stamp(raw, expected_digest=_LISTED_DIGEST, log_key=LOG.verify_key, now=NOW)


def _revocable(raw: bytes) -> None:
    """A credential whose status list is what a stranger's server gives."""
    verify_credential(_LISTED, now=NOW, status=lambda _url: raw)


def _revocable_signed(raw: bytes) -> None:
    made = _unsigned(raw)
    if made is None:
        return
    try:
        listed = canonicalize(sign_object(made, KEY, created=NOW))
    except (CredentialError, DidError):
        return
    verify_credential(_LISTED, now=NOW, status=lambda _url: listed)


def _entries(raw: bytes) -> None:
    """A credential with any status entry, held against a good list."""
    value = _unsigned(raw)
    if value is None:
        return
    document = {**_CLAIMS, "credentialStatus": value}
    try:
        made = issue_credential(document, KEY, now=NOW)
    except (CredentialError, DidError):
        return
    verify_credential(canonicalize(made), now=NOW, status=lambda _url: _GOOD_LIST)


def _selective(raw: bytes) -> None:
    """Whatever is issued for showing in part is derived from, and what comes out is verified."""
    claims = _unsigned(raw)
    if claims is None:
        return
    try:
        base = issue_credential(
            claims, EC, now=NOW, cryptosuite="ecdsa-sd-2023", mandatory_pointers=["/issuer"]
        )
    except (CredentialError, DidError):
        return
    part = derive_credential(base, selective_pointers=["/credentialSubject"])
    verify_credential(canonicalize(part), now=NOW, status=WITHOUT_STATUS)


def _pointers(raw: bytes) -> None:
    derive_credential(_BASE, selective_pointers=text(raw).split("\n"))


def _jws(raw: bytes, token_type: str) -> str | None:
    """A token over any header and claims. ``"#0"`` and so on stand for digests of the lines that
    follow the first two, which become disclosures."""
    header, payload, *disclosures = [*raw.split(b"\n"), b""]
    try:
        named = parse_object(header, allow_floats=True)
    except DidError:
        return None
    encoded = [b64url_encode(one) for one in disclosures if one]
    for number, one in enumerate(encoded):
        found = b64url_encode(hashlib.sha256(one.encode()).digest()).encode()
        payload = payload.replace(b'"#%d"' % number, b'"%s"' % found)
    try:
        token = sign_jws(
            {"kid": KEY.verification_method, "typ": token_type, **named, "alg": "EdDSA"},
            payload,
            KEY,
        )
    except Exception:  # noqa: BLE001  # signing is not what is tried here
        return None
    return "~".join([token, *encoded, ""]) if encoded or "sd-jwt" in token_type else token


def _token(token_type: str, verify: Callable[[str], object]) -> Callable[[bytes], None]:
    def run(raw: bytes) -> None:
        made = _jws(raw, token_type)
        if made is not None:
            verify(made)

    return run


def _vc_jwt(token: str) -> None:
    verify_vc_jwt(token, now=NOW, status=WITHOUT_STATUS)


def _vp_jwt(token: str) -> None:
    verify_vp_jwt(token, expected_challenge="c", expected_domain="d", now=NOW)


def _sd_jwt_vc(token: str) -> None:
    verify_sd_jwt_vc(
        token,
        now=NOW,
        status=WITHOUT_STATUS,
        expected_audience=None,
        expected_nonce=None,
        require_key_binding=False,
    )


def _bound(raw: bytes) -> None:
    """Any header and claims in the holder's proof of the key."""
    header, _, payload = raw.partition(b"\n")
    try:
        named = parse_object(header, allow_floats=True)
        proof = sign_jws({"typ": "kb+jwt", **named, "alg": "EdDSA"}, payload, KEY)
    except Exception:  # noqa: BLE001
        return
    verify_sd_jwt_vc(
        _SD_JWT_VC + proof,
        now=NOW,
        status=WITHOUT_STATUS,
        expected_audience="d",
        expected_nonce="c",
    )


def _hostile_context(raw: bytes) -> None:
    """A document whose further context says anything."""
    document: JsonObject = {
        "@context": [CREDENTIALS_V2, CONTEXT],
        "type": ["VerifiableCredential"],
        **_CLAIMS,
        "other": {"name": [1, "b"]},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyLD's, about terms that begin with @
        canonicalize_jsonld(document, contexts=_contexts(raw))


def _inline_context(context: JsonObject) -> None:
    """A document with such a context inside."""
    document: JsonObject = {
        "@context": [CREDENTIALS_V2, context],
        "type": ["VerifiableCredential"],
        **_CLAIMS,
        "other": {"name": [1, "b"]},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        canonicalize_jsonld(document, contexts=WithInline(context_bytes))


def _contexts(raw: bytes) -> Callable[[str], bytes]:
    return lambda url: raw if url == CONTEXT else context_bytes(url)


_FOLDER = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)


def _folder(raw: bytes) -> None:
    index, _, context = raw.partition(b"\n")
    Path(_FOLDER.name, "index.json").write_bytes(index)
    Path(_FOLDER.name, "a.jsonld").write_bytes(context)
    ContextFolder(_FOLDER.name)("https://x.example/a")


_IDENTITY = parsed_example("identity-entry")
_DID = Did.parse(str(_IDENTITY["state"]["id"]))  # type: ignore[index,call-overload]
_FIRST = canonicalize(_IDENTITY) + b"\n"
_TIME = "2026-03-01T09:00:00Z"  # of the second entry


def _history(raw: bytes) -> None:
    """Any second entry, with the right hash and a proof by a key that may update."""
    value = _unsigned(raw)
    if value is None:
        return
    predecessor = str(_OWN["versionId"])
    try:
        entry = {**value, "versionId": "2-" + entry_hash(value, predecessor)}
        line = canonicalize({**entry, "proof": [PROOFS.sign(entry, KEY, created=NOW)]})
    except (CredentialError, DidError):
        return
    history = webvh.read_history(_LOG.raw + line + b"\n", _LOG.did, proofs=PROOFS, now=NOW)
    history.at()


def _at(raw: bytes) -> None:
    _HISTORY.at(webvh.At.parse(text(raw)))


def _document() -> JsonObject:
    did = webvh.placeholder_of("issuer.example")
    return {"@context": ["https://www.w3.org/ns/did/v1"], "id": did}


_LOG = webvh.create(_document(), key=KEY, proofs=PROOFS, now=NOW - timedelta(hours=1))
_HISTORY = webvh.read_history(_LOG.raw, _LOG.did, proofs=PROOFS, now=NOW)
_OWN = parse_object(_LOG.raw.strip())
_SECOND: JsonObject = {
    "versionTime": _TIME,
    "parameters": {},
    "state": _OWN["state"],
    "versionId": _OWN["versionId"],
}

_LISTED_DIGEST = digest(parsed_example("status-list"))
_VC_JWT = sign_vc_jwt(
    {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": KEY.did,
        **_CLAIMS,
    },
    KEY,
)
_BITS = BitString.empty()
_GOOD_LIST = canonicalize(
    issue_general_list(KEY, url=LIST, bits=_BITS, purposes=["revocation"], now=NOW)
)
_LISTED = canonicalize(issue_credential({**_CLAIMS, "credentialStatus": _ENTRY}, KEY, now=NOW))
_BASE = issue_credential(
    _CLAIMS, EC, now=NOW, cryptosuite="ecdsa-sd-2023", mandatory_pointers=["/issuer"]
)
_SD_JWT_VC = issue_sd_jwt_vc(
    {"name": "A"},
    KEY,
    type_uri="https://x.example/t",
    now=NOW,
    disclosable={"/name"},
    holder=KEY.verify_key,
)
_BOUND = bind_key(_SD_JWT_VC, KEY, audience="d", nonce="c", now=NOW)


def proof_sets() -> tuple[bytes, ...]:
    """A credential with two proofs, and one with a chain of two."""
    document = issue_credential(_CLAIMS, KEY, now=NOW)
    first = "urn:uuid:00000000-0000-4000-8000-000000000001"
    named = {k: v for k, v in document.items() if k != "proof"}
    chain = add_proof(named, KEY, created=NOW, id=first)
    made = (
        add_proof(document, EC, created=NOW, cryptosuite="ecdsa-jcs-2019"),
        add_proof(chain, EC, created=NOW, cryptosuite="ecdsa-jcs-2019", previous=[first]),
    )
    return tuple(map(canonicalize, made))


def _lines(*values: object) -> bytes:
    return b"\n".join(json.dumps(value).encode() for value in values)


def _of_tokens() -> dict[str, Target]:
    vc: JsonObject = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": KEY.did,
        "credentialSubject": {"_sd": ["#0"]},
        "_sd_alg": "sha-256",
    }
    vp: JsonObject = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiablePresentation"],
        "holder": KEY.did,
        "nonce": "c",
        "aud": "d",
        "iat": int(NOW.timestamp()),
        "verifiableCredential": [Envelope("vc+jwt", _VC_JWT).to_json()],
    }
    sd: JsonObject = {
        "iss": KEY.did,
        "vct": "https://x.example/t",
        "iat": int(NOW.timestamp()),
        "_sd": ["#0"],
        "list": [{"...": "#1"}, 2],
        "cnf": {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(KEY.verify_key.bytes)}},
        "status": {"status_list": {"idx": 1, "uri": LIST}},
    }
    plain = {**vc, "credentialSubject": {"id": "urn:x:1"}, "exp": int(NOW.timestamp()) + 60}
    plain.pop("_sd_alg")
    binding = json.loads(b64url_decode(_BOUND.rpartition("~")[2].split(".")[1]))
    return {
        "key_binding_signed": Target(_bound, (CredentialError,), (_lines({}, binding),)),
        "sd_jwt_vc_signed": Target(
            _token("dc+sd-jwt", _sd_jwt_vc),
            (CredentialError,),
            (_lines({}, sd, ["salt", "name", {"_sd": ["#1"]}], ["salt", 7]),),
        ),
        "vc_jwt_signed": Target(
            _token("vc+jwt", _vc_jwt), (CredentialError,), (_lines({"cty": "vc"}, plain),)
        ),
        "vc_sd_jwt_signed": Target(
            _token("vc+sd-jwt", _vc_jwt),
            (CredentialError,),
            (_lines({"cty": "vc"}, vc, ["salt", "name", "A"]),),
        ),
        "vp_jwt_signed": Target(
            _token("vp+jwt", _vp_jwt), (CredentialError,), (_lines({"cty": "vp"}, vp),)
        ),
    }


def _of_objects() -> dict[str, Target]:
    def target(run: Callable[[bytes], object], *seeds: bytes) -> Target:
        return Target(run, (CredentialError,), seeds)

    by_key = {"challenge": "c", "domain": "d", "purpose": "authentication"}
    ours = canonicalize(parsed_example("redemption"))
    return {
        "context_folder": Target(
            _folder,
            (ContextRefused,),
            (
                _lines(
                    {
                        "https://x.example/a": {
                            "file": "a.jsonld",
                            "sha256": hashlib.sha256(b'{"@context": {}}').hexdigest(),
                        }
                    },
                    {"@context": {}},
                ),
            ),
        ),
        "context_of_a_stranger": target(
            _hostile_context,
            b'{"@context":{"other":{"@id":"https://x.example/o","@type":"@id"}}}',
            b'{"@context":{"@version":1.1,"@protected":true,"other":{"@id":"urn:o","@context":'
            b'{"name":{"@id":"urn:n","@container":"@list"}}}}}',
            *published("contexts/*.jsonld"),
        ),
        "context_inside": target(
            of_json(_inline_context),
            b'{"other":{"@id":"https://x.example/o"},"name":"https://x.example/n"}',
            b'{"other":{"@id":"urn:o","@context":{"name":"@id"}},"@protected":true}',
        ),
        "derive_pointers": target(_pointers, b"/issuer\n/credentialSubject/name", b"/type/0"),
        "grant_signed": target(_signing(HOLDER, _grant), example("access-grant")),
        "presentation_signed": target(_signing(REDEMPTION, _presentation, **by_key), ours),
        "presentation_signed_rdfc": target(
            _signing(REDEMPTION, _presentation, cryptosuite="eddsa-rdfc-2022", **by_key), ours
        ),
        "proof_of_any_shape": target(
            _with_proof, _lines({"expires": "2027-01-01T00:00:00Z", "id": "urn:x:1"}, {"a": 1})
        ),
        "selective_signed": target(
            _selective,
            canonicalize({**_CLAIMS, "validUntil": "2027-01-01T00:00:00Z"}),
            canonicalize({"credentialSubject": [{"name": ["A", {"@value": "B"}]}, {"id": "u:2"}]}),
        ),
        "stamp_signed": target(_signing(LOG, _stamp), example("status-stamp")),
        "status_entries_checked": target(
            _entries,
            canonicalize(_ENTRY),
            canonicalize({**_ENTRY, "statusPurpose": "message"}),
        ),
        "status_list_checked": target(_revocable, _GOOD_LIST),
        "status_list_checked_signed": target(_revocable_signed, _GOOD_LIST),
        "status_list_general_signed": target(
            _signing(KEY, lambda raw: verify_general_list(raw, now=NOW)), _GOOD_LIST
        ),
        "status_list_signed": target(_signing(HOLDER, _status_list), example("status-list")),
        "ticket_signed": target(
            _signing(HOLDER, lambda raw: verify_ticket(raw, now=NOW)), example("redemption-ticket")
        ),
        "webvh_entry_signed": Target(_history, (DidError,), (canonicalize(_SECOND),)),
        "webvh_version": Target(
            _at,
            (DidError,),
            (b"versionNumber=1", b"versionTime=2026-03-01T09:00:00Z", b"versionId=1"),
        ),
    }


SIGNED_TARGETS: dict[str, Target] = {**_of_objects(), **_of_tokens()}
