"""What a fuzzer can be let loose on: every public way in for bytes that a stranger wrote.

A target is a function of bytes that returns, or raises one of the errors that its package
documents. Anything else that comes out of it is a finding, and so is an input that keeps it busy.
``scripts/fuzz NAME SECONDS`` runs one; ``test_targets`` runs each for a moment.

Long, because it is a list.
"""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from did_parsers import PARSERS, SEEDS  # noqa: E402

from credentials import cbor  # noqa: E402
from credentials.bitstring import BitString  # noqa: E402
from credentials.contexts import CREDENTIALS_V1, CREDENTIALS_V2  # noqa: E402
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
from credentials.proof import verify_object  # noqa: E402
from credentials.rdfc import canonicalize_jsonld, canonicalize_nquads  # noqa: E402
from credentials.related import check_schemas  # noqa: E402
from credentials.sd_jwt import SdJwt  # noqa: E402
from credentials.sd_jwt_vc import issue_sd_jwt_vc, verify_sd_jwt_vc  # noqa: E402
from credentials.stamp import verify_stamp  # noqa: E402
from credentials.status import WITHOUT_STATUS, StatusEntry, verify_status_list  # noqa: E402
from credentials.statuslist import GeneralEntry, verify_general_list  # noqa: E402
from credentials.suites.ecdsa_sd_values import BaseValue, DerivedValue  # noqa: E402
from credentials.ticket import verify_ticket  # noqa: E402
from credentials.vc_jwt import sign_vc_jwt, sign_vp_jwt, verify_vc_jwt, verify_vp_jwt  # noqa: E402
from credentials.verify import verify_credential  # noqa: E402
from credentials.webvh import PROOFS  # noqa: E402
from did.ecdsa import Curve, EcdsaSigningKey  # noqa: E402
from did.errors import DidError  # noqa: E402
from did.json import canonicalize, parse_object  # noqa: E402
from did.keys import SigningKey  # noqa: E402
from did.methods import webvh  # noqa: E402
from did.multikey import b64url_encode, multibase_decode  # noqa: E402
from did.resolve import OFFLINE  # noqa: E402
from pds.errors import PdsError  # noqa: E402
from pds.links import RequestLink, open_request  # noqa: E402
from pds.log.entry import Receipt, verify_receipt  # noqa: E402
from pds.log.errors import LogError  # noqa: E402
from pds.log.note import UnverifiedNote, decode_base64  # noqa: E402
from pds.messages.decision import AccessDenial, Decision  # noqa: E402
from pds.messages.errors import MessageError  # noqa: E402
from pds.messages.message import Message  # noqa: E402
from pds.messages.notices import ErasureAttestation, PackageUpdated, Withdrawal  # noqa: E402
from pds.messages.package import Package  # noqa: E402
from pds.messages.request import AccessRequest  # noqa: E402
from pds.net.addresses import DevTrust, Url  # noqa: E402
from pds.sealing import SealingKey, open_sealed, unlock_with_secret  # noqa: E402
from pds.vault.imports.csv import read_csv  # noqa: E402
from pds.vault.imports.plan import ImportFailed  # noqa: E402
from pds.vault.imports.vcard import read_vcard  # noqa: E402
from pds.wire import parse_relay_url, verify_request  # noqa: E402

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
KEY = SigningKey.from_seed(b"\x08" * 32)
EC = EcdsaSigningKey.from_secret(Curve.P256, b"\x08" * 32)
EXAMPLES = ROOT / "docs" / "examples"
LIST = "https://issuer.example/lists/3"


@dataclass(frozen=True, slots=True)
class Target:
    """``run`` is let loose on bytes; only ``errors`` may come out of it."""

    run: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def example(name: str) -> bytes:
    return (EXAMPLES / f"{name}.json").read_bytes()


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


def _issued_is_verified(raw: bytes) -> None:
    """What is accepted for issuing is accepted back, as it was said, under every suite."""
    claims = {k: v for k, v in parse_object(raw).items() if k not in ("proof", "issuer")}
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
    webvh.read_history(_LOG.raw, _LOG.did, proofs=PROOFS, now=NOW, witness=raw).at()


def _schema(raw: bytes) -> None:
    document = parse_object(_signed_with_schema)
    check_schemas(Credential.parse(document), lambda _url: raw)


def _http(raw: bytes) -> None:
    names = ("signature-input", "signature", "content-digest")
    lines = text(raw).split("\n")
    verify_request(
        method="PUT",
        url="https://relay.example/v1/x",
        headers=dict(zip(names, [*lines, "", "", ""], strict=False)),
        body=b"{}",
        now=NOW,
    )


def _document() -> dict[str, object]:
    did = webvh.placeholder_of("issuer.example")
    return {"@context": ["https://www.w3.org/ns/did/v1"], "id": did}


_LOG = webvh.create(_document(), key=KEY, proofs=PROOFS, now=NOW - timedelta(days=1))  # type: ignore[arg-type]
_signed_with_schema = _signed(
    "eddsa-jcs-2022", credentialSchema={"id": "https://x.example/s", "type": "JsonSchema"}
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
_ENVELOPE = Envelope("vc+jwt", _VC_JWT)
_OWN_ENTRY = StatusEntry(LIST, 1)
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
_QUADS = b'_:a <urn:p> "x"@en _:g .\n<urn:a> <urn:q> _:a .\n'
_ALL = (CredentialError, DidError)
_OURS = (CredentialError, DidError, PdsError)
_SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022", "ecdsa-jcs-2019", "ecdsa-rdfc-2019")
_CREDENTIALS = (
    *map(_signed, _SUITES),
    canonicalize(_DERIVED),
    _signed(
        "eddsa-rdfc-2022",
        **{"@context": [CREDENTIALS_V1], "credentialSubject": {"id": "urn:x:1"}},
    ),
)


def _json(read: Callable[..., object]) -> Callable[[bytes], object]:
    return lambda raw: read(parse_object(raw))


def _of_credentials() -> dict[str, Target]:
    def target(run: Callable[[bytes], object], *seeds: bytes) -> Target:
        return Target(run, _ALL, seeds)

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
        "credential": target(_json(Credential.parse), *_CREDENTIALS),
        "credential_issued": target(_issued_is_verified, canonicalize(_CLAIMS), *_CREDENTIALS),
        "credential_verified": target(_credential, *_CREDENTIALS),
        "derive": target(
            lambda raw: derive_credential(raw, selective_pointers=["/issuer"]),
            canonicalize(_BASE),
        ),
        "ecdsa_sd_base": target(sd_value(BaseValue.read), base),
        "ecdsa_sd_derived": target(sd_value(DerivedValue.read), derived),
        "envelope": target(
            _json(Envelope.parse), canonicalize(Envelope("vc+jwt", _VC_JWT).to_json())
        ),
        "grant": target(
            lambda raw: verify_grant(
                raw, purpose=None, audience=None, status=WITHOUT_STATUS, now=NOW
            ),
            example("access-grant"),
        ),
        "jsonld": target(_json(canonicalize_jsonld), *_CREDENTIALS, example("access-grant")),
        "jws": target(lambda raw: read_jws(text(raw)), _VC_JWT.encode(), _VP_JWT.encode()),
        "nquads": target(lambda raw: canonicalize_nquads(text(raw)), _QUADS),
        "object": target(
            lambda raw: verify_object(
                raw, resolver=OFFLINE, now=NOW, expected_controller=None, exact_context=()
            ),
            example("manifest"),
        ),
        "presentation": target(_json(Presentation.parse), _PRESENTATION, example("redemption")),
        "presentation_verified": target(_presentation, _PRESENTATION, example("redemption")),
        "schema": target(
            _schema,
            b'{"$schema":"https://json-schema.org/draft/2020-12/schema","required":["id"]}',
        ),
        "sd_jwt": target(
            lambda raw: SdJwt.parse(text(raw)), _VC_SD_JWT.encode(), _SD_JWT_VC.encode()
        ),
        "sd_jwt_json": target(_json(SdJwt.from_json), b'{"payload":"","protected":""}'),
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
            lambda raw: verify_stamp(raw, expected_digest="uEi", log_key=KEY.verify_key, now=NOW),
            example("status-stamp"),
        ),
        "status_entry": target(
            _json(StatusEntry.parse), canonicalize(StatusEntry(LIST, 1).to_json())
        ),
        "status_entry_general": target(_json(GeneralEntry.parse), canonicalize(_ENTRY)),
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
        "vp_jwt": target(
            lambda raw: verify_vp_jwt(
                text(raw), expected_challenge="c", expected_domain="d", now=NOW
            ),
            _VP_JWT.encode(),
        ),
        "webvh_log": target(_webvh_log, _LOG.raw),
        "webvh_witness": target(_webvh_witness, webvh.witness_file({})),
    }


def _of_pds() -> dict[str, Target]:
    def target(run: Callable[[bytes], object], *seeds: bytes) -> Target:
        return Target(run, (*_OURS, MessageError, LogError, ImportFailed), seeds)

    secret, sealing = bytes(32), SealingKey.generate()
    fixtures = ROOT / "scripts" / "fixtures"
    return {
        "access_denial": target(_json(AccessDenial.parse), example("access-denial")),
        "access_request": target(_json(AccessRequest.parse), example("access-request")),
        "csv": target(read_csv, b"Name;E-mail\nA;a@x.example\n", b'date,amount\n"1.2.2026",5\n'),
        "decision": target(_json(Decision.parse), b"{}"),
        "dev_trust": target(
            lambda raw: DevTrust.parse(text(raw)), b"shop.example=127.0.0.1:8443,/x/ca.pem"
        ),
        "erasure_attestation": target(_json(ErasureAttestation.parse), b"{}"),
        "http_signature": target(
            _http,
            b'pds=("@method" "@target-uri" "content-digest");created=1;keyid="x"\n'
            b"pds=:AA==:\nsha-256=:AA==:",
        ),
        "message": target(_json(Message.parse), example("message")),
        "note": target(
            lambda raw: UnverifiedNote.parse(text(raw)),
            "relay.example\n1\nAA==\n\n\u2014 relay.example AAAAAAAA\n".encode(),
        ),
        "note_base64": target(lambda raw: decode_base64(text(raw)), b"AA=="),
        "package": target(_json(Package.parse), example("package")),
        "package_updated": target(_json(PackageUpdated.parse), b"{}"),
        "receipt": target(_json(Receipt.parse), example("receipt")),
        "receipt_verified": target(
            lambda raw: verify_receipt(
                parse_object(raw), origin="relay.example", log_key=KEY.verify_key
            ),
            example("receipt"),
        ),
        "relay_url": target(lambda raw: parse_relay_url(text(raw)), b"https://relay.example:8443"),
        "request_link": target(
            lambda raw: RequestLink.parse(text(raw)),
            b"https://relay.example/r/AAAAAAAAAAAAAAAAAAAAAA#" + b"A" * 43,
        ),
        "request_locked": target(
            lambda raw: open_request(raw, secret=secret, request_id="A" * 22), bytes(1024)
        ),
        "sealed": target(
            lambda raw: open_sealed(raw, key=sealing, label="pds/v1/x", context="y"), bytes(1200)
        ),
        "secret_box": target(
            lambda raw: unlock_with_secret(raw, secret=secret, label="pds/v1/x", context="y"),
            bytes(1024),
        ),
        "url": target(
            lambda raw: Url.parse(text(raw)), b"https://shop.example/.well-known/did.json"
        ),
        "vcard": target(read_vcard, (fixtures / "contact.vcf").read_bytes()),
        "withdrawal": target(_json(Withdrawal.parse), b"{}"),
    }


def _of_did() -> dict[str, Target]:
    seeds = tuple(seed.encode() for seed in SEEDS)
    return {name: Target(run, (DidError,), seeds) for name, run in PARSERS.items()}


TARGETS: dict[str, Target] = {**_of_did(), **_of_credentials(), **_of_pds()}
