"""Any verifiable credential: structure, issuing, verifying."""

from datetime import timedelta

import pytest

from credentials.contexts import CREDENTIALS_V2
from credentials.credential import Credential
from credentials.errors import (
    ContextRefused,
    CredentialError,
    ProofInvalid,
    StatusUnchecked,
    StructureInvalid,
    TimeInvalid,
    Withdrawn,
)
from credentials.issue import issue_credential
from credentials.status import WITHOUT_STATUS, BitString
from credentials.verify import verify_credential

EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
LIST = "https://issuer.example/lists/3"
SUBJECT = {"id": "did:example:1", "degree": "Bachelor"}


def _issue(key, now, **changes):
    return issue_credential({"credentialSubject": SUBJECT, **changes}, key, now=now)


def _verify(raw, now, **changes):
    return verify_credential(raw, **{"now": now, "status": WITHOUT_STATUS, **changes})


def test_a_credential_is_what_was_issued(key, now):
    signed = _issue(
        key,
        now,
        type=["VerifiableCredential", "Diploma"],
        name=[{"@value": "Oklevél", "@language": "hu"}, {"@value": "Diploma"}],
    )
    found = _verify(signed, now)
    assert found.issuer == key.did
    assert found.credential.types == ("VerifiableCredential", "Diploma")
    assert found.credential.subject == SUBJECT
    assert found.credential.raw == {n: v for n, v in signed.items() if n != "proof"}
    assert found.status_checked is None


def test_properties_unknown_here_survive(key, now):
    signed = _issue(key, now, other={"deep": [1, {"er": True}]}, **{"@context": [CREDENTIALS_V2]})
    assert _verify(signed, now).credential.raw["other"] == {"deep": [1, {"er": True}]}


@pytest.mark.parametrize(
    "change",
    [
        {"id": "no url"},
        {"id": 5},
        {"type": []},
        {"type": ["Diploma"]},
        {"type": ["VerifiableCredential", 5]},
        {"issuer": None},
        {"issuer": "nobody"},
        {"issuer": {"name": "x"}},
        {"credentialSubject": {}},
        {"credentialSubject": []},
        {"credentialSubject": "x"},
        {"credentialSubject": {"id": "x y"}},
        {"validFrom": "2026-01-31"},
        {"validFrom": "2026-01-31T09:30:00"},
        {"validFrom": "2026-13-31T09:30:00Z"},
        {"validUntil": "2020-01-31T09:30:00Z"},
        {"credentialStatus": {"id": "urn:x:1"}},
        {"credentialStatus": {"type": "X", "id": "no url"}},
        {"credentialSchema": {"type": "JsonSchema"}},
        {"relatedResource": {"id": "https://x.example"}},
        {"relatedResource": [{"id": "https://x.example", "digestSRI": "sha256-x"}] * 2},
        {"relatedResource": {"digestSRI": "sha256-x"}},
        {"evidence": {"id": "urn:x:1"}},
        {"termsOfUse": []},
        {"refreshService": "x"},
    ],
)
def test_what_the_standard_forbids_is_refused(change, key, now):
    with pytest.raises(StructureInvalid):
        _issue(key, now, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": {"id": "did:example:2", "name": "University"}},
        {"validFrom": "2026-01-31T09:30:00.123456789+14:00"},
        {"validUntil": "2027-01-31T09:30:00-05:00"},
        {"credentialSubject": [SUBJECT, {"name": "x"}]},
        {"relatedResource": {"id": "https://x.example", "digestMultibase": "uEi"}},
        {"evidence": [{"type": "Evidence"}, {"type": ["A", "B"]}]},
        {"@context": [CREDENTIALS_V2, EXAMPLES, {"more": "https://x.example/#more"}]},
    ],
)
def test_what_the_standard_allows_is_read(change, key, now):
    assert isinstance(Credential.parse(_issue(key, now, **change)), Credential)


@pytest.mark.parametrize(
    ("contexts", "code"),
    [
        (CREDENTIALS_V2, "context.first"),
        ([], "context.first"),
        ([EXAMPLES, CREDENTIALS_V2], "context.first"),
        ([CREDENTIALS_V2, 5], "context.inline"),
        ([CREDENTIALS_V2, None], "context.inline"),
        ([CREDENTIALS_V2, {"@import": "https://x.example"}], "context.inline"),
        (
            [CREDENTIALS_V2, {"x": {"@id": "urn:x:1", "@context": {"issuer": "urn:y"}}}],
            "context.inline",
        ),
    ],
)
def test_contexts_that_could_mislead_are_refused(contexts, code, key, now):
    with pytest.raises(ContextRefused) as caught:
        _issue(key, now, **{"@context": contexts})
    assert caught.value.code == code


def test_a_context_inside_is_refused(key, now):
    with pytest.raises(ContextRefused) as caught:
        _issue(key, now, credentialSubject={"a": [{"@context": {"name": "urn:x:y"}}]})
    assert caught.value.code == "context.nested"


def test_another_issuer_than_expected_is_refused(key, other_key, now):
    with pytest.raises(ProofInvalid) as caught:
        _verify(_issue(key, now), now, expected_issuer=other_key.did)
    assert caught.value.code == "proof.issuer"


def test_the_window_is_kept(key, now):
    signed = issue_credential(
        {"credentialSubject": SUBJECT}, key, now=now, valid_for=timedelta(hours=1)
    )
    _verify(signed, now + timedelta(minutes=59))
    for moment in (now + timedelta(hours=1), now - timedelta(seconds=61)):
        with pytest.raises((TimeInvalid, ProofInvalid)):
            _verify(signed, moment)


def _status(index="7", purpose="revocation", **more):
    return {
        "id": f"{LIST}#{index}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": purpose,
        "statusListIndex": index,
        "statusListCredential": LIST,
        **more,
    }


def _list(key, now, purpose="revocation"):
    return issue_credential(
        {
            "id": LIST,
            "type": ["VerifiableCredential", "BitstringStatusListCredential"],
            "credentialSubject": {
                "id": LIST + "#list",
                "type": "BitstringStatusList",
                "statusPurpose": purpose,
                "encodedList": BitString.empty().with_bit(7).encode(),
            },
        },
        key,
        now=now,
    )


def test_every_status_entry_is_looked_up(key, now):
    from did.json import canonicalize

    raw = canonicalize(_list(key, now))
    clear = _issue(key, now, credentialStatus=_status("8"))
    assert _verify(clear, now, status=lambda _url: raw).status_checked is True
    assert _verify(clear, now).status_checked is False
    both = _issue(key, now, credentialStatus=[_status("8"), _status("7")])
    with pytest.raises(Withdrawn):
        _verify(both, now, status=raw)


def test_a_status_that_cannot_be_checked_is_not_a_yes(key, now):
    signed = _issue(key, now, credentialStatus={"type": "OtherStatus"})
    with pytest.raises(StatusUnchecked) as caught:
        _verify(signed, now, status=_list(key, now))
    assert caught.value.code == "status.unsupported"


def test_a_list_for_another_purpose_is_refused(key, now):
    signed = _issue(key, now, credentialStatus=_status("8", purpose="suspension"))
    with pytest.raises(CredentialError) as caught:
        _verify(signed, now, status=_list(key, now))
    assert caught.value.code == "status.purpose"
