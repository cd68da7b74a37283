"""What a fuzzer can be let loose on: every public way in for bytes that a stranger wrote.

A target is a function of bytes that returns, or raises one of the errors that what it calls
documents. Anything else that comes out of it is a finding, and so is an input that keeps it busy.
``scripts/fuzz NAME SECONDS`` runs one; ``test_targets`` runs each for a moment.

Here are those of ``credentials`` that look at what arrived; what was signed by whoever is in
``signed_targets``; ``did_parsers``, ``pds_targets``, ``log_targets`` and ``relay_targets`` have
those of the other packages.

Long, because it is a list.
"""

import base64
import contextlib
import hashlib
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from did_parsers import PARSERS, SEEDS  # noqa: E402
from log_targets import LOG_TARGETS  # noqa: E402
from pds_targets import PDS_TARGETS  # noqa: E402
from relay_targets import RELAY_TARGETS  # noqa: E402
from signed_targets import LOG, SIGNED_TARGETS, proof_sets  # noqa: E402
from target import EC, KEY, NOW, Target, example, of_json, of_text, published, text  # noqa: E402

from credentials import cbor  # noqa: E402
from credentials.bitstring import BitString  # noqa: E402
from credentials.contexts import CREDENTIALS_V1, CREDENTIALS_V2, PROFILE_CONTEXT  # noqa: E402
from credentials.credential import Credential, Presentation  # noqa: E402
from credentials.derive import derive_credential  # noqa: E402
from credentials.envelope import Envelope  # noqa: E402
from credentials.errors import CredentialError  # noqa: E402
from credentials.grant import verify_grant  # noqa: E402
from credentials.issue import issue_credential  # noqa: E402
from credentials.jose import read_jws  # noqa: E402
from credentials.presentation import (  # noqa: E402
    UNCHECKED,
    sign_presentation,
    verify_presentation,
)
from credentials.proof import (  # noqa: E402
    add_proof,
    sign_object,
    verify_object,
    verify_proof_signature,
)
from credentials.rdfc import canonicalize_jsonld, canonicalize_nquads  # noqa: E402
from credentials.related import check_resources, check_schemas  # noqa: E402
from credentials.sd_jwt import Disclosure, SdJwt, select_disclosures  # noqa: E402
from credentials.sd_jwt_vc import issue_sd_jwt_vc, verify_sd_jwt_vc  # noqa: E402
from credentials.stamp import verify_stamp  # noqa: E402
from credentials.status import WITHOUT_STATUS, StatusEntry, verify_status_list  # noqa: E402
from credentials.statuslist import GeneralEntry, verify_general_list  # noqa: E402
from credentials.suites.ecdsa_sd import verify_base  # noqa: E402
from credentials.suites.ecdsa_sd_values import BaseValue, DerivedValue  # noqa: E402
from credentials.suites.table import EXPERIMENTAL_MLDSA44, OVER_JSON  # noqa: E402
from credentials.ticket import verify_ticket  # noqa: E402
from credentials.vc_jwt import (  # noqa: E402
    open_vc_jwt,
    open_vp_jwt,
    sign_vc_jwt,
    sign_vp_jwt,
    verify_vc_jwt,
    verify_vp_jwt,
)
from credentials.verify import verify_credential  # noqa: E402
from credentials.webvh import PROOFS  # noqa: E402
from did.errors import DidError  # noqa: E402
from did.json import canonicalize, digest, parse_object  # noqa: E402
from did.methods import webvh  # noqa: E402
from did.mldsa import MldsaSigningKey  # noqa: E402
from did.multikey import b64url_encode, multibase_decode  # noqa: E402
from did.resolve import OFFLINE, Resolver  # noqa: E402

LIST = "https://issuer.example/lists/3"

_OWN_LIST = f"https://relay.example/v1/status/{'A' * 22}"
_CLAIMS = {"credentialSubject": {"id": "urn:x:1", "name": "A"}}
_ENTRY = {
    "type": "BitstringStatusListEntry",
    "statusPurpose": "message",
    "statusListIndex": "9",
    "statusListCredential": LIST,
    "statusSize": 1,
    "statusMessage": [{"status": "0x0", "message": "a"}, {"status": "0x1", "message": "b"}],
}


def _signed(suite: str, **more: object) -> bytes:
    key = EC if suite.startswith("ecdsa") else KEY
    return canonicalize(issue_credential({**_CLAIMS, **more}, key, now=NOW, cryptosuite=suite))


def _credential(raw: bytes) -> None:
    verify_credential(raw, now=NOW, status=WITHOUT_STATUS)


def _issued_is_verified(value: dict[str, object]) -> None:
    """What is accepted for issuing is accepted back, as it was said, under every suite."""
    claims = {k: v for k, v in value.items() if k not in ("proof", "issuer")}
    for suite, key in (("eddsa-jcs-2022", KEY), ("eddsa-rdfc-2022", KEY), ("ecdsa-jcs-2019", EC)):
        with contextlib.suppress(CredentialError):
            signed = issue_credential(claims, key, now=NOW, cryptosuite=suite)
            _read_back(signed)


def _read_back(signed: dict[str, object]) -> None:
    try:
        found = verify_credential(canonicalize(signed), now=NOW, status=WITHOUT_STATUS)  # type: ignore[arg-type]
    except CredentialError as error:
        # Times and numbers are the caller's own business.
        if not error.code.startswith(("credential.expired", "credential.not_yet", "json.float")):
            raise AssertionError("what was issued is refused: " + error.code) from None
        return
    if found.credential.raw != {k: v for k, v in signed.items() if k != "proof"}:
        raise AssertionError("what was issued comes back as something else")


def _presentation(raw: bytes) -> None:
    verify_presentation(
        raw,
        expected_challenge=UNCHECKED,
        expected_domain=UNCHECKED,
        now=NOW,
        exact_context=None,
    )


def _webvh_log(raw: bytes) -> None:
    webvh.read_history(raw, _LOG.did, proofs=PROOFS, now=NOW).at()


def _webvh_witness(raw: bytes) -> None:
    log = _WITNESSED
    webvh.read_history(log.raw, log.did, proofs=PROOFS, now=NOW, witness=raw).at()


def _witness_file() -> bytes:
    """The approval of the one witness that the log asks for."""
    version = _WITNESSED.last.version_id
    approval = webvh.sign_witness(version, KEY, proofs=PROOFS, now=NOW)
    return webvh.witness_file({version: [approval]})


def _webvh_resolved(raw: bytes) -> None:
    """A server's answer for a did:webvh, and for what belongs to it."""
    Resolver(fetch=lambda _url: raw, webvh_proofs=PROOFS).resolve(str(_LOG.did))


def _base_held(document: dict[str, object]) -> None:
    proof = document.get("proof")
    if isinstance(proof, dict):
        verify_base(document, proof, EC.verify_key)  # type: ignore[arg-type]


def _proof_signature(document: dict[str, object]) -> None:
    proof = document.get("proof")
    if isinstance(proof, dict):
        verify_proof_signature(document, proof, KEY.verify_key)  # type: ignore[arg-type]


def _experiment(raw: bytes) -> None:
    """The suite that adds to the proofs of others."""
    document = parse_object(_EXPERIMENT)
    with contextlib.suppress(DidError):
        document["proof"][1].update(parse_object(raw))  # type: ignore[index, union-attr, call-overload]
    verify_object(
        document,
        resolver=Resolver(fetch=lambda _url: _EXPERIMENTER),
        now=NOW,
        expected_controller=None,
        exact_context=PROFILE_CONTEXT,
        suites=OVER_JSON,
    )


def _schema(raw: bytes) -> None:
    """The first line is a schema; a second one takes the place of the credential's claims."""
    schema, _, claims = raw.partition(b"\n")
    document = parse_object(_SIGNED_WITH_SCHEMA)
    with contextlib.suppress(DidError):
        document["credentialSubject"] = {"id": "urn:x:1", **parse_object(claims)}
    check_schemas(Credential.parse(document), lambda _url: schema)


def _resources(value: dict[str, object]) -> None:
    document = {**parse_object(_signed("eddsa-jcs-2022")), "relatedResource": value.get("a")}
    check_resources(Credential.parse(document), lambda _url: b"x")  # type: ignore[arg-type]


def _selected(raw: bytes) -> None:
    select_disclosures(_VC_SD_JWT, set(text(raw).split("\n")))


def _document() -> dict[str, object]:
    did = webvh.placeholder_of("issuer.example")
    return {"@context": ["https://www.w3.org/ns/did/v1"], "id": did}


_LOG = webvh.create(_document(), key=KEY, proofs=PROOFS, now=NOW - timedelta(days=1))  # type: ignore[arg-type]
_WITNESSED = webvh.create(
    _document(),  # type: ignore[arg-type]
    key=KEY,
    proofs=PROOFS,
    now=NOW - timedelta(days=1),
    parameters={"witness": {"threshold": 1, "witnesses": [{"id": KEY.did}]}},
)
_SIGNED_WITH_SCHEMA = _signed(
    "eddsa-jcs-2022", credentialSchema={"id": "https://x.example/s", "type": "JsonSchema"}
)
_METHOD = "did:web:shop.example#experiment"
_NEW = MldsaSigningKey.from_seed(bytes(32))
_EXPERIMENTER = canonicalize(
    {
        "id": "did:web:shop.example",
        "assertionMethod": [
            {
                "id": _METHOD,
                "type": "Multikey",
                "controller": "did:web:shop.example",
                "publicKeyMultibase": _NEW.verify_key.multikey,
            }
        ],
    }
)
_EXPERIMENT = canonicalize(
    add_proof(
        sign_object({"@context": list(PROFILE_CONTEXT), "a": 1}, KEY, created=NOW),
        _NEW,
        created=NOW,
        verification_method=_METHOD,
        cryptosuite=EXPERIMENTAL_MLDSA44,
    )
)
_PRESENTATION = canonicalize(
    sign_presentation(
        holder_key=KEY,
        presentation={"@context": [CREDENTIALS_V2], "type": "VerifiablePresentation"},
        challenge="c",
        domain="d",
        created=NOW,
    )
)
_BASE = issue_credential(
    _CLAIMS, EC, now=NOW, cryptosuite="ecdsa-sd-2023", mandatory_pointers=["/issuer"]
)
_DERIVED = derive_credential(_BASE, selective_pointers=["/credentialSubject/name"])
_VC = {
    "@context": [CREDENTIALS_V2],
    "type": ["VerifiableCredential"],
    "issuer": KEY.did,
    **_CLAIMS,
}
_VC_JWT = sign_vc_jwt(_VC, KEY)  # type: ignore[arg-type]
_VC_SD_JWT = sign_vc_jwt(_VC, KEY, disclosable={"/credentialSubject/name"})  # type: ignore[arg-type]
_VP_JWT = sign_vp_jwt(
    {"@context": [CREDENTIALS_V2], "type": ["VerifiablePresentation"]},
    KEY,
    challenge="c",
    domain="d",
    now=NOW,
)
_SD_JWT_VC = issue_sd_jwt_vc(
    {"name": "A"},
    KEY,
    type_uri="https://x.example/t",
    now=NOW,
    disclosable={"/name"},
    holder=KEY.verify_key,
)
_SRI = base64.b64encode(hashlib.sha384(b"x").digest())
_QUADS = b'_:a <urn:p> "x"@en _:g .\n<urn:a> <urn:q> _:a .\n'
_SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022", "ecdsa-jcs-2019", "ecdsa-rdfc-2019")
_CREDENTIALS = (
    *map(_signed, _SUITES),
    canonicalize(_DERIVED),
    _signed(
        "eddsa-rdfc-2022",
        **{"@context": [CREDENTIALS_V1], "credentialSubject": {"id": "urn:x:1"}},
    ),
)


def _of_credentials() -> dict[str, Target]:
    def target(run: Callable[[bytes], object], *seeds: bytes) -> Target:
        return Target(run, (CredentialError,), seeds)

    def sd_value(read: Callable[[object], object]) -> Callable[[bytes], object]:
        return lambda raw: read("u" + b64url_encode(raw))

    base, derived = (
        multibase_decode(str(signed["proof"]["proofValue"]))  # type: ignore[index, call-overload]
        for signed in (_BASE, _DERIVED)
    )
    general = canonicalize(
        issue_credential(
            {
                "id": LIST,
                "type": ["VerifiableCredential", "BitstringStatusListCredential"],
                "credentialSubject": {
                    "type": "BitstringStatusList",
                    "statusPurpose": "message",
                    "encodedList": BitString.empty().encode(),
                },
            },
            KEY,
            now=NOW,
        )
    )
    return {
        "bitstring": target(
            lambda raw: BitString.decode(text(raw)), BitString.empty().encode().encode()
        ),
        "cbor": target(cbor.decode, base[3:], derived[3:], b"\x83\x01\x02\x03"),
        "credential": target(of_json(Credential.parse), *_CREDENTIALS),
        "credential_issued": target(
            of_json(_issued_is_verified), canonicalize(_CLAIMS), *_CREDENTIALS
        ),
        "credential_verified": target(
            _credential,
            *_CREDENTIALS,
            *proof_sets(),
            *published("vc-di-*/TestVectors/e*/signed*.json", "vc-di-*/TestVectors/proof*/*.json"),
        ),
        "derive": target(
            lambda raw: derive_credential(raw, selective_pointers=["/credentialSubject"]),
            canonicalize(_BASE),
            *published("vc-di-ecdsa/TestVectors/ecdsa-sd-2023/*.json"),
        ),
        "disclosure": target(
            of_text(Disclosure.parse), *(p.encode() for p in _VC_SD_JWT.split("~")[1:-1])
        ),
        "ecdsa_sd_base_held": target(of_json(_base_held), canonicalize(_BASE)),
        "ecdsa_sd_base": target(sd_value(BaseValue.read), base),
        "ecdsa_sd_derived": target(sd_value(DerivedValue.read), derived),
        "envelope": target(
            of_json(Envelope.parse), canonicalize(Envelope("vc+jwt", _VC_JWT).to_json())
        ),
        "grant": target(
            lambda raw: verify_grant(
                raw, purpose=None, audience=None, status=WITHOUT_STATUS, now=NOW
            ),
            example("access-grant"),
        ),
        "jsonld": target(
            of_json(canonicalize_jsonld, floats=True),
            *_CREDENTIALS,
            example("access-grant"),
            *published("vc-di-*/TestVectors/unsigned.json", "vc-jose-cose/tests/input/*.json"),
        ),
        "jws": target(lambda raw: read_jws(text(raw)), _VC_JWT.encode(), _VP_JWT.encode()),
        "nquads": target(
            of_text(canonicalize_nquads), _QUADS, *published("rdf-canon/tests/rdfc10/*-in.nq")
        ),
        "object_experimental": target(
            _experiment, b'{"proofPurpose":"assertionMethod"}', b'{"proofValue":"uAAAA"}'
        ),
        "object": target(
            lambda raw: verify_object(
                raw, resolver=OFFLINE, now=NOW, expected_controller=None, exact_context=()
            ),
            example("manifest"),
        ),
        "presentation": target(of_json(Presentation.parse), _PRESENTATION, example("redemption")),
        "presentation_verified": target(_presentation, _PRESENTATION, example("redemption")),
        "schema": target(
            _schema,
            b'{"$schema":"https://json-schema.org/draft/2020-12/schema","required":["id"]}',
            b'{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"a":{"type":'
            b'"array","uniqueItems":true,"contains":{"minimum":1}}},"properties":{'
            b'"credentialSubject":{"propertyNames":{"pattern":"^(a+)+|id$"},"properties":{'
            b'"aaaaaaaa":{"$ref":"#/$defs/a"}}}}}\n'
            b'{"aaaaaaaa":[1,2,3]}',
        ),
        "proof_signature": target(of_json(_proof_signature), *map(_signed, _SUITES[:2])),
        "resources": target(
            of_json(_resources),
            b'{"a":[{"id":"https://x.example/a","digestSRI":"sha384-%s"}]}' % _SRI,
        ),
        "sd_jwt": target(
            of_text(SdJwt.parse),
            _VC_SD_JWT.encode(),
            _SD_JWT_VC.encode(),
            *published("sd-jwt/*/*/sd_jwt_*.txt"),
        ),
        "sd_jwt_chosen": target(_selected, b"/credentialSubject/name", b"/issuer\n"),
        "sd_jwt_json": target(
            of_json(SdJwt.from_json),
            b'{"payload":"","protected":""}',
            *published("sd-jwt/*/json*/*.json"),
        ),
        "sd_jwt_vc": target(
            lambda raw: verify_sd_jwt_vc(
                text(raw),
                now=NOW,
                status=WITHOUT_STATUS,
                expected_audience=None,
                expected_nonce=None,
                require_key_binding=False,
            ),
            _SD_JWT_VC.encode(),
        ),
        "stamp": target(
            lambda raw: verify_stamp(
                raw,
                expected_digest=digest(parse_object(example("status-list"))),
                log_key=LOG.verify_key,
                now=NOW,
            ),
            example("status-stamp"),
        ),
        "status_entry": target(
            of_json(StatusEntry.parse),
            canonicalize(StatusEntry(f"https://relay.example/v1/status/{'A' * 22}", 1).to_json()),
        ),
        "status_entry_general": target(of_json(GeneralEntry.parse), canonicalize(_ENTRY)),
        "status_list": target(
            lambda raw: verify_status_list(raw, now=NOW, expected_issuer=None, expected_url=None),
            example("status-list"),
        ),
        "status_list_general": target(lambda raw: verify_general_list(raw, now=NOW), general),
        "ticket": target(lambda raw: verify_ticket(raw, now=NOW), example("redemption-ticket")),
        "vc_jwt": target(
            lambda raw: verify_vc_jwt(text(raw), now=NOW, status=WITHOUT_STATUS),
            _VC_JWT.encode(),
            _VC_SD_JWT.encode(),
        ),
        "vc_jwt_opened": target(
            lambda raw: open_vc_jwt(text(raw), KEY.verify_key), _VC_JWT.encode()
        ),
        "vp_jwt_opened": target(
            lambda raw: open_vp_jwt(text(raw), KEY.verify_key), _VP_JWT.encode()
        ),
        "vp_jwt": target(
            lambda raw: verify_vp_jwt(
                text(raw), expected_challenge="c", expected_domain="d", now=NOW
            ),
            _VP_JWT.encode(),
        ),
        "webvh_log": Target(_webvh_log, (DidError,), (_LOG.raw, example("identity-entry") + b"\n")),
        "webvh_resolved": Target(_webvh_resolved, (DidError,), (_LOG.raw,)),
        "webvh_witness": Target(
            _webvh_witness, (DidError,), (webvh.witness_file({}), _witness_file())
        ),
    }


def _of_did() -> dict[str, Target]:
    seeds = (
        *(seed.encode() for seed in SEEDS),
        *published("did-core-records/**/*.json", "did-key/test-vectors/*.json", "jcs/testdata/*/*"),
    )
    return {name: Target(run, (DidError,), seeds) for name, run in PARSERS.items()}


TARGETS: dict[str, Target] = {
    **_of_did(),
    **_of_credentials(),
    **SIGNED_TARGETS,
    **PDS_TARGETS,
    **RELAY_TARGETS,
    **LOG_TARGETS,
}
