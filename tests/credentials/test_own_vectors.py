"""The vectors shipped with the package: each is what it says, and they can be made again."""

import json
import sys
from pathlib import Path

import pytest

import credentials
from credentials.errors import CredentialError
from credentials.grant import verify_grant
from credentials.presentation import verify_presentation
from credentials.status import WITHOUT_STATUS, verify_status_list
from credentials.statuslist import verify_general_list
from credentials.ticket import verify_ticket
from credentials.vc_jwt import verify_vc_jwt, verify_vp_jwt
from credentials.verify import verify_credential
from credentials.webvh import PROOFS
from did.errors import DidError
from did.identifier import Did
from did.methods import webvh
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


def _credential(raw, now, *, issuer=None):
    verify_credential(raw, now=now, status=WITHOUT_STATUS, expected_issuer=issuer)


def _token(raw, now, *, token, challenge="c-1", domain="https://shop.example"):
    if token == "vc":
        verify_vc_jwt(raw, now=now, status=WITHOUT_STATUS)
        return
    verify_vp_jwt(raw, expected_challenge=challenge, expected_domain=domain, now=now)


def _history(raw, now, *, did):
    webvh.read_history(raw.encode(), Did.parse(did), proofs=PROOFS, now=now).at()


VERIFIERS = {
    "credentials": _credential,
    "grants": _grant,
    "histories": _history,
    "presentations": _presentation,
    "status-lists": _status_list,
    "tickets": _ticket,
    "tokens": _token,
}
CASES = [
    pytest.param(kind, case, id=f"{kind}: {case['name']}")
    for kind in VERIFIERS
    for case in json.loads((FOLDER / f"{kind}.json").read_text("utf-8"))
]


def test_every_file_is_read_and_each_has_both_kinds():
    """Valid ones and such that must fail."""
    assert {path.stem for path in FOLDER.glob("*.json")} == VERIFIERS.keys()
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
    try:
        VERIFIERS[kind](case["input"], now, **arguments)
        found = "valid"
    except (CredentialError, DidError) as error:
        found = {"code": error.code, "pointer": getattr(error, "pointer", "")}
    assert found == case["expected"]


def test_they_can_be_made_again():
    """To the byte: the program that made them is the one that is here."""
    for name, text in make_vectors.make().items():
        assert (FOLDER / name).read_text("utf-8") == text
