"""Any verifiable credential: structure, issuing, verifying."""

from datetime import timedelta

import pytest

from credentials.contexts import CREDENTIALS_V1, CREDENTIALS_V2, DATA_INTEGRITY_V2
from credentials.credential import Credential
from credentials.derive import derive_credential
from credentials.errors import (
    ContextRefused,
    CredentialError,
    PolicyRefused,
    ProofInvalid,
    StatusUnchecked,
    StructureInvalid,
    TimeInvalid,
    Withdrawn,
)
from credentials.issue import issue_credential
from credentials.proof import add_proof
from credentials.status import WITHOUT_STATUS, BitString
from credentials.verify import verify_credential
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import canonicalize

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
        {
            "relatedResource": [
                {"id": "https://x.example", "digestSRI": "sha256-" + "A" * 43 + "="}
            ]
            * 2
        },
        {"relatedResource": {"digestSRI": "sha256-" + "A" * 43 + "="}},
        {"evidence": {"id": "urn:x:1"}},
        {"termsOfUse": []},
        {"refreshService": "x"},
        {"id": None},
        {"name": 5},
        {"name": None},
        {"description": {"@language": "en"}},
        {"name": {"@value": "x", "@language": "not a tag"}},
        {"name": {"@value": "x", "@direction": "up"}},
        {"name": {"@value": "x", "other": 1}},
        {"name": [{"@value": "x"}, 5]},
        {"issuer": {"id": "did:example:2", "name": 5}},
        {"credentialSchema": {"id": "https://x.example/s"}},
        {"relatedResource": {"id": "https://x.example", "digestSRI": 5}},
        {"relatedResource": {"id": "https://x.example", "digestSRI": "sha384-AAAA"}},
        {"renderMethod": {"id": "urn:x:1"}},
        {"confidenceMethod": 5},
        {"evidence": {"type": []}},
        {"credentialSubject": None},
        {"@context": CREDENTIALS_V2},
        {"expirationDate": "2020-01-31T09:30:00Z"},
        {"issuanceDate": "soon"},
    ],
)
def test_what_the_standard_forbids_is_refused(change, key, now):
    with pytest.raises((StructureInvalid, ContextRefused)):
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
        {"name": "x", "description": {"@value": "y", "@language": "hu", "@direction": "ltr"}},
        {"issuer": {"id": "did:example:2", "name": [{"@value": "A", "@language": "en-GB"}]}},
        {"termsOfUse": {"type": "T"}, "refreshService": {"type": "R"}},
        {"validUntil": "2027-01-31T09:30:00Z"},
        {"credentialSchema": [{"id": "https://x.example/s", "type": "JsonSchema"}]},
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


def _list(key, now, purpose="revocation", suite="eddsa-jcs-2022"):
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
        cryptosuite=suite,
    )


def test_every_status_entry_is_looked_up(key, now):
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


OLDER = {"@context": [CREDENTIALS_V1], "issuanceDate": "2026-01-31T09:30:00Z"}


def test_a_credential_of_version_1_1_is_issued_and_read(key, now):
    """Its dates have other names, and the context that defines the proof is added."""
    for suite in ("eddsa-jcs-2022", "eddsa-rdfc-2022"):
        signed = issue_credential(
            {"@context": [CREDENTIALS_V1], "credentialSubject": {"id": "urn:x:1"}},
            key,
            now=now,
            valid_for=timedelta(hours=1),
            cryptosuite=suite,
        )
        assert signed["@context"] == [CREDENTIALS_V1, DATA_INTEGRITY_V2]
        assert "validFrom" not in signed
        found = _verify(signed, now)
        assert found.credential.version == "1.1"
        assert found.credential.valid_from == now
        with pytest.raises(TimeInvalid):
            _verify(signed, now + timedelta(hours=1))


@pytest.mark.parametrize(
    "change",
    [
        {"issuanceDate": "yesterday"},
        {"issuanceDate": None},
        {"expirationDate": "2020-01-31T09:30:00Z"},
        {"credentialStatus": {"type": "X"}},
        {"refreshService": {"type": "X"}},
        {"credentialSchema": {"type": "X"}},
        {"@context": [CREDENTIALS_V1, {"issuanceDate": "urn:x:y"}]},
        {"@context": [CREDENTIALS_V1, {"@vocab": "urn:x:y"}]},
    ],
)
def test_what_version_1_1_forbids_is_refused(change, key, now):
    with pytest.raises((StructureInvalid, ContextRefused)):
        _issue(key, now, **{**OLDER, **change})


def test_version_1_1_must_say_when_it_was_issued():
    document = {**OLDER, "type": ["VerifiableCredential"], "issuer": "urn:x:1"}
    document["credentialSubject"] = SUBJECT
    assert Credential.parse(document).version == "1.1"
    del document["issuanceDate"]
    with pytest.raises(StructureInvalid) as caught:
        Credential.parse(document)
    assert caught.value.code == "credential.missing"


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        ({"expected_types": ["Diploma"]}, "policy.type"),
        ({"expected_subject": "did:example:2"}, "policy.subject"),
    ],
)
def test_what_the_verifier_asked_for_is_kept(expected, code, key, now):
    signed = _issue(key, now)
    _verify(signed, now, expected_types=["VerifiableCredential"], expected_subject="did:example:1")
    with pytest.raises(PolicyRefused) as caught:
        _verify(signed, now, **expected)
    assert caught.value.code == code


def test_one_of_several_subjects_is_not_the_subject(key, now):
    signed = _issue(key, now, credentialSubject=[SUBJECT, {"id": "did:example:2"}])
    with pytest.raises(PolicyRefused):
        _verify(signed, now, expected_subject="did:example:1")


@pytest.mark.parametrize("curve", list(Curve))
@pytest.mark.parametrize("suite", ["ecdsa-jcs-2019", "ecdsa-rdfc-2019"])
def test_a_credential_may_be_of_any_suite(curve, suite, key, now):
    signer = EcdsaSigningKey.from_secret(curve, bytes([3] * curve.size))
    signed = issue_credential(
        {"credentialSubject": {"id": "urn:x:1", "name": "A"}}, signer, now=now, cryptosuite=suite
    )
    assert _verify(signed, now).proofs[0].cryptosuite == suite
    with pytest.raises(ProofInvalid) as caught:
        _verify({**signed, "credentialSubject": {"id": "urn:x:1", "name": "B"}}, now)
    assert caught.value.code == "proof.signature"
    with pytest.raises(ProofInvalid) as caught:
        issue_credential({"credentialSubject": SUBJECT}, key, now=now, cryptosuite=suite)
    assert caught.value.code == "proof.key_kind"
    assert "P-256" in caught.value.hint


def test_a_key_of_another_kind_than_the_suite_is_refused(key, now):
    """An Ed25519 key named in a proof of an ECDSA suite, and the other way round."""
    signer = EcdsaSigningKey.from_secret(Curve.P256, bytes([3] * 32))
    for one, suite in ((key, "ecdsa-jcs-2019"), (signer, "eddsa-jcs-2022")):
        own = "eddsa-jcs-2022" if one is key else "ecdsa-jcs-2019"
        signed = issue_credential({"credentialSubject": SUBJECT}, one, now=now, cryptosuite=own)
        signed["proof"]["cryptosuite"] = suite
        with pytest.raises(ProofInvalid) as caught:
            _verify(signed, now)
        assert caught.value.code == "key.kind"


@pytest.mark.parametrize(
    ("key_kind", "suites"),
    [
        ("ed25519", ("eddsa-jcs-2022", "eddsa-rdfc-2022")),
        ("p256", ("ecdsa-jcs-2019", "ecdsa-rdfc-2019")),
    ],
)
def test_a_chain_covers_the_proofs_before_it(key_kind, suites, key, now):
    signer = key if key_kind == "ed25519" else EcdsaSigningKey.from_secret(Curve.P256, b"\3" * 32)
    unsigned = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": signer.did,
        "credentialSubject": {"id": "urn:x:1"},
    }
    for suite in suites:
        first = add_proof(unsigned, signer, created=now, id="urn:proof:1", cryptosuite=suite)
        both = add_proof(first, signer, created=now, previous=["urn:proof:1"], cryptosuite=suite)
        assert len(_verify(both, now).proofs) == 2
        with pytest.raises(ProofInvalid) as caught:
            _verify({**both, "proof": both["proof"][1]}, now)
        assert caught.value.code == "proof.previous"
        # Another valid proof in the place of the first one does not do.
        again = add_proof(
            unsigned, signer, created=now - timedelta(days=1), id="urn:proof:1", cryptosuite=suite
        )
        with pytest.raises(ProofInvalid) as caught:
            _verify({**both, "proof": [again["proof"], both["proof"][1]]}, now)
        assert caught.value.code == "proof.signature"


def test_a_credential_needs_a_subject_and_need_not_begin():
    document = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": "urn:x:1",
        "validUntil": "2027-01-31T09:30:00Z",
        "credentialSubject": SUBJECT,
    }
    assert Credential.parse(document).valid_from is None
    del document["credentialSubject"]
    with pytest.raises(StructureInvalid) as caught:
        Credential.parse(document)
    assert caught.value.code == "credential.missing"


def test_a_proof_has_times_of_its_own(key, now):
    """It may be over while the credential is not, and must not be of the future."""
    unsigned = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": key.did,
        "credentialSubject": SUBJECT,
    }
    signed = add_proof(unsigned, key, created=now, expires=now + timedelta(hours=1))
    _verify(signed, now)
    for moment, code in (
        (now + timedelta(hours=1), "proof.expired"),
        (now - timedelta(hours=1), "proof.future"),
    ):
        with pytest.raises(ProofInvalid) as caught:
            _verify(signed, moment)
        assert caught.value.code == code


def test_an_issued_credential_is_not_issued_again(key, now):
    signed = _issue(key, now)
    with pytest.raises(ProofInvalid) as caught:
        issue_credential(signed, key, now=now)
    assert caught.value.code == "proof.present"


def test_an_end_that_is_said_stays(key, now):
    ends = "2027-01-31T09:30:00Z"
    signed = issue_credential(
        {"credentialSubject": SUBJECT, "validUntil": ends},
        key,
        now=now,
        valid_for=timedelta(hours=1),
    )
    assert signed["validUntil"] == ends


def test_contexts_are_not_without_number(key, now):
    more = [f"https://x.example/{number}" for number in range(16)]
    _issue(key, now, **{"@context": [CREDENTIALS_V2, *more[:15]]})
    with pytest.raises(ContextRefused):
        _issue(key, now, **{"@context": [CREDENTIALS_V2, *more]})


@pytest.mark.parametrize("version", [CREDENTIALS_V1, CREDENTIALS_V2])
def test_no_part_is_without_what_bounds_it(version, now):
    """Unless its issuer says otherwise, a part keeps issuer, window and every status entry."""
    signer = EcdsaSigningKey.from_secret(Curve.P256, bytes([3] * 32))
    signed = issue_credential(
        {
            "@context": [version, "https://www.w3.org/ns/credentials/status/v1"],
            "issuer": {"id": signer.did},
            "credentialSubject": {"id": "did:example:1"},
            "credentialStatus": [_status("8"), _status("7")],
        },
        signer,
        now=now,
        valid_for=timedelta(days=1),
        cryptosuite="ecdsa-sd-2023",
    )
    part = derive_credential(signed, selective_pointers=["/credentialSubject"])
    with pytest.raises(Withdrawn):
        _verify(part, now, status=canonicalize(_list(signer, now, suite="ecdsa-jcs-2019")))
    with pytest.raises(TimeInvalid):
        _verify(part, now + timedelta(days=2))
    assert len(_verify(part, now).credential.status) == 2


def test_an_issuer_may_say_what_is_mandatory(now):
    """Then that alone is, and a part that is no credential is refused, with what to do."""
    signer = EcdsaSigningKey.from_secret(Curve.P256, bytes([3] * 32))
    signed = issue_credential(
        {"credentialSubject": {"id": "did:example:1", "name": "A"}},
        signer,
        now=now,
        cryptosuite="ecdsa-sd-2023",
        mandatory_pointers=["/issuer"],
    )
    part = derive_credential(signed, selective_pointers=["/credentialSubject/name"])
    assert "validFrom" not in part
    assert _verify(part, now).credential.valid_from is None
    with pytest.raises(StructureInvalid) as caught:
        derive_credential(signed, selective_pointers=["/validFrom"])
    assert caught.value.code == "credential.missing"
    assert "mandatory" in caught.value.hint
