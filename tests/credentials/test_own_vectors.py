"""The vectors shipped with the package: each is what it says, and they can be made again."""

import json
import sys
from pathlib import Path

import pytest

import credentials
from credentials.errors import CredentialError
from credentials.grant import verify_grant
from credentials.presentation import verify_presentation
from credentials.sd_jwt_vc import verify_sd_jwt_vc
from credentials.stamp import verify_stamp
from credentials.status import WITHOUT_STATUS, verify_status_list
from credentials.statuslist import verify_general_list
from credentials.ticket import verify_ticket
from credentials.vc_jwt import verify_vc_jwt, verify_vp_jwt
from credentials.verify import verify_credential
from credentials.webvh import PROOFS
from did.ecdsa import Curve, EcdsaSigningKey
from did.errors import DidError, DidNotFound
from did.identifier import Did
from did.json import canonicalize
from did.keys import SigningKey, VerifyKey
from did.methods import web, webvh
from did.resolve import Resolver
from did.time import parse_time

ROOT = Path(__file__).parents[2]
FOLDER = Path(credentials.__file__).parent / "vectors"

sys.path.insert(0, str(ROOT / "scripts"))

import make_vectors  # noqa: E402


def _grant(raw, now, *, purpose, audience, status, fields=None):
    verify_grant(raw, purpose=purpose, audience=audience, status=status, fields=fields, now=now)


def _ticket(raw, now, *, relay):
    verify_ticket(raw, now=now, expected_relay=relay)


def _status_list(raw, now, *, issuer, url, profile, min_sequence=None):
    if not profile:
        verify_general_list(raw, now=now, expected_issuer=issuer, expected_url=url)
        return
    verify_status_list(
        raw, now=now, expected_issuer=issuer, expected_url=url, min_sequence=min_sequence
    )


def _presentation(raw, now, *, challenge, domain):
    verify_presentation(
        raw, expected_challenge=challenge, expected_domain=domain, now=now, exact_context=None
    )


def _credential(raw, now, *, issuer=None, types=(), subject=None, status=WITHOUT_STATUS):
    found = verify_credential(
        raw,
        now=now,
        status=status,
        resolver=Resolver(fetch=_fetch),
        expected_issuer=issuer,
        expected_types=types,
        expected_subject=subject,
    )
    # What was not signed is not handed on.
    assert "https://other.example/context" not in found.credential.raw["@context"]
    return {
        "statuses": [
            {"purpose": item.purpose, "value": item.value, "message": item.message}
            for item in found.statuses
        ]
    }


def _stamp(raw, now, *, digest, logKey):  # noqa: N803  the names of the file
    key = VerifyKey.from_multikey(logKey.removeprefix("did:key:"))
    verify_stamp(raw, log_key=key, expected_digest=digest, now=now)


def _token(raw, now, *, token, **arguments):
    if token == "vc":
        verify_vc_jwt(raw, now=now, status=WITHOUT_STATUS)
    elif token == "vp":
        challenge, domain = arguments.get("challenge", "-"), arguments.get("domain", "-")
        verify_vp_jwt(raw, expected_challenge=challenge, expected_domain=domain, now=now)
    else:
        verify_sd_jwt_vc(
            raw,
            now=now,
            status=arguments.get("status", WITHOUT_STATUS),
            expected_audience=arguments["audience"],
            expected_nonce=arguments["nonce"],
            expected_issuer=arguments.get("issuer"),
            expected_type=arguments.get("type"),
        )


def _history(raw, now, *, did, witness=None):
    approvals = None if witness is None else witness.encode()
    found = webvh.read_history(
        raw.encode(), Did.parse(did), proofs=PROOFS, now=now, witness=approvals
    ).at()
    return {"deactivated": found.deactivated}


def _fetch(url):
    for did, document in KEYS["documents"].items():
        if did.startswith("did:web:") and web.url_of(Did.parse(did)) == url:
            return canonicalize(document)
    raise DidNotFound("there is none")


VERIFIERS = {
    "credentials": _credential,
    "grants": _grant,
    "histories": _history,
    "presentations": _presentation,
    "stamps": _stamp,
    "status-lists": _status_list,
    "tickets": _ticket,
    "tokens": _token,
}
KEYS = json.loads((FOLDER / "keys.json").read_text("utf-8"))
CASES = [
    pytest.param(kind, case, id=f"{kind}: {case['name']}")
    for kind in VERIFIERS
    for case in json.loads((FOLDER / f"{kind}.json").read_text("utf-8"))
]


def test_every_file_is_read_and_each_has_both_kinds():
    """Valid ones and such that must fail."""
    assert {path.stem for path in FOLDER.glob("*.json")} == {"keys", *VERIFIERS}
    for kind in VERIFIERS:
        of_kind = [
            case.values[1]["expected"] == "valid" for case in CASES if case.values[0] == kind
        ]
        assert True in of_kind
        assert False in of_kind


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_each_is_what_it_says(kind, case):
    arguments = dict(case["arguments"])
    now = parse_time(arguments.pop("now"))
    results = {}
    try:
        results = VERIFIERS[kind](case["input"], now, **arguments) or {}
        found = "valid"
    except (CredentialError, DidError) as error:
        found = {"code": error.code, "pointer": getattr(error, "pointer", "")}
    assert found == case["expected"]
    told = {name: value for name, value in case.items() if name in ("statuses", "deactivated")}
    assert {name: results.get(name) for name in told} == told


def test_the_documents_are_what_the_dids_say():
    """A reader who resolves nothing has every signer's document, and each secret is its key's."""
    documents = KEYS["documents"]
    for did, document in documents.items():
        assert Resolver(fetch=_fetch).resolve(did).to_json() == document
    for key in KEYS["keys"]:
        secret = bytes.fromhex(key["secret"])
        if key["kind"] == "Ed25519":
            made = SigningKey.from_seed(secret)
        else:
            made = EcdsaSigningKey.from_secret(Curve[key["kind"].replace("-", "")], secret)
        assert (made.did, made.verification_method) == (key["did"], key["verificationMethod"])
        assert made.verification_method in documents[made.did]["assertionMethod"]


def test_no_two_cases_have_one_name():
    """So that a name says which."""
    names = [(kind, case["name"]) for kind, case in (param.values for param in CASES)]
    assert len(names) == len(set(names))


def test_they_can_be_made_again():
    """To the byte: the program that made them is the one that is here."""
    for name, text in make_vectors.make().items():
        assert (FOLDER / name).read_text("utf-8") == text
