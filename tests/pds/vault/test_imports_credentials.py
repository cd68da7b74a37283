"""Credentials of other issuers: taken when their proof holds, refused with the reason when not."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from credentials.issue import issue_credential
from credentials.sd_jwt_vc import issue_sd_jwt_vc
from credentials.vc_jwt import sign_vc_jwt
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import JsonObject
from did.keys import SigningKey
from pds.db import migrate, open_plain
from pds.vault.files import MIGRATIONS
from pds.vault.imports import ImportFailed, apply, detect, reader
from pds.vault.records import Records
from tests.importing import Reading, collect, make_plan

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = SigningKey.from_seed(b"\x01" * 32)
P256 = EcdsaSigningKey.from_secret(Curve.P256, b"\x01" * 32)
V1 = "https://www.w3.org/2018/credentials/v1"


@pytest.fixture
def records() -> Iterator[Records]:
    conn = open_plain(":memory:")
    migrate(
        conn,
        MIGRATIONS,
        application_id=7,
    )
    yield Records(conn, clock=lambda: NOW)
    conn.close()


def issued(now: datetime = NOW, **changes: Any) -> JsonObject:
    unsigned: JsonObject = {
        "id": "urn:uuid:1",
        "name": "Diploma",
        "issuer": {"id": KEY.did, "name": "Egyetem"},
        "credentialSubject": {"id": "did:example:me", "note": "Ősz"},
        **changes,
    }
    return issue_credential(unsigned, KEY, now=now, valid_for=timedelta(days=365))


def taken(data: str | bytes | JsonObject | list[Any], now: datetime = NOW) -> Reading:
    raw = data if isinstance(data, bytes) else (
        data if isinstance(data, str) else json.dumps(data, indent=1, ensure_ascii=False)
    ).encode()  # fmt: skip
    return collect(*reader(raw, now=now))


def test_a_document() -> None:
    """It is kept to the letter, with who issued it, to whom and until when."""
    document = issued()
    reading = taken(document)
    assert reading.kind == "credential"
    (draft,) = reading.drafts
    assert (draft.category, draft.about) == ("credentials", "self")
    assert draft.fields == {
        "raw": json.dumps(document, indent=1, ensure_ascii=False),
        "format": "vc-di",
        "id": "urn:uuid:1",
        "types": ["VerifiableCredential"],
        "name": "Diploma",
        "issuer": KEY.did,
        "company": "Egyetem",
        "subject": "did:example:me",
        "validFrom": "2026-11-21T12:00:00Z",
        "validUntil": "2027-11-21T12:00:00Z",
    }
    assert "withdrawn was not asked" in reading.assumptions[0]


def test_it_is_attested(records: Records) -> None:
    """The record says that a signature was verified; importing it again adds nothing."""
    reading = taken(issued())
    plan = make_plan(reading, records)
    assert apply(plan, records).added == 1
    (record,) = records.list("credentials")
    assert (record.assurance, record.about) == ("attested", "self")
    assert make_plan(reading, records).added == 0


def test_the_older_model_and_tokens() -> None:
    """Version 1.1, a JWT, an SD-JWT and an SD-JWT VC."""
    older = issue_credential(
        {"@context": [V1], "credentialSubject": {"id": "did:example:me"}}, KEY, now=NOW
    )
    assert taken(older).drafts[0].fields["validFrom"] == "2026-11-21T12:00:00Z"
    plain = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": KEY.did,
        "credentialSubject": {"id": "did:example:me"},
    }
    for token, form in (
        (sign_vc_jwt(plain, KEY), "vc-jwt"),
        (sign_vc_jwt(plain, KEY, disclosable=frozenset()), "vc-sd-jwt"),
    ):
        fields = taken(token + "\n").drafts[0].fields
        assert (fields["raw"], fields["format"], fields["issuer"]) == (token, form, KEY.did)
    token = issue_sd_jwt_vc(
        {"age": 42},
        P256,
        type_uri="https://x.example/id",
        holder=None,
        now=NOW,
        disclosable={"/age"},
        valid_for=timedelta(days=1),
    )
    fields = taken(token).drafts[0].fields
    assert (fields["format"], fields["types"]) == ("vc-sd-jwt", ["https://x.example/id"])
    assert fields["validUntil"] == "2026-11-22T12:00:00Z"
    assert detect(token.encode()) == "credential"


def test_a_presentation_and_a_list() -> None:
    """Each inside is verified by itself; the bad one is named by its number, the good go in."""
    bad = issued(id="urn:uuid:2")
    bad["name"] = "Other"
    presentation = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "verifiableCredential": [issued(), bad],
    }
    for data in (presentation, [issued(), bad]):
        reading = taken(data)
        assert [d.fields["id"] for d in reading.drafts] == ["urn:uuid:1"]
        assert [(p.line, p.code[:6]) for p in reading.problems] == [(2, "proof.")]
    assert any("presentation" in note for note in taken(presentation).assumptions)


def test_one_that_is_over() -> None:
    """A credential that ended is kept, and that is said; one that never held is not."""
    later = NOW + timedelta(days=1000)
    reading = taken(issued(), now=later)
    assert len(reading.drafts) == 1
    assert any("is over" in note for note in reading.assumptions)
    bad = issued()
    bad["name"] = "Other"
    with pytest.raises(ImportFailed):
        taken(bad, now=later)


def test_attack_63_a_proof_that_does_not_hold() -> None:
    """It is refused by name, whatever was changed; nothing of it is repeated."""
    for change in ({"name": "Secret name"}, {"credentialSubject": {"id": "did:example:other"}}):
        with pytest.raises(ImportFailed) as caught:
            taken(issued() | change)
        assert caught.value.code.startswith("proof.")
        assert "Secret" not in str(caught.value)
    without = {k: v for k, v in issued().items() if k != "proof"}
    with pytest.raises(ImportFailed):
        taken(without)
    token = sign_vc_jwt({k: v for k, v in without.items() if k != "validUntil"}, KEY)
    with pytest.raises(ImportFailed) as caught:
        taken(token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB"))
    assert caught.value.code


def test_attack_63_an_issuer_that_cannot_be_found() -> None:
    """A key that would have to be fetched is not believed without the network."""
    document = issued()
    document["issuer"] = "did:web:egyetem.example"
    with pytest.raises(ImportFailed) as caught:
        taken(document)
    assert caught.value.code


@pytest.mark.parametrize(
    "raw",
    [
        b'{"credentialSubject": ' + b"[" * 5000,
        b'{"credentialSubject": 1}',
        b'{"verifiableCredential": [[], 1, null]}',
        b'{"verifiableCredential": ["x", {"id": "data:application/vc+jwt,x"}]}',
        b"eyJhbGciOiJub25lIn0.e30.",
        b"eyJhbGciOiJub25lIn0.e30.AA~~",
        b'{"credentialSubject": "\xff"}',
    ],
)
def test_attack_63_hostile_credentials(raw: bytes) -> None:
    """Whatever it is, it is refused as an import."""
    with pytest.raises(ImportFailed):
        reader(raw, kind="credential", now=NOW)


def test_attack_63_too_many_credentials() -> None:
    """Not one of them is verified."""
    with pytest.raises(ImportFailed) as caught:
        taken([issued()] * 201)
    assert caught.value.code == "import.too_many"


def test_attack_63_credential_cut_at_every_byte() -> None:
    """A part of a credential is none."""
    raw = json.dumps(issued()).encode()
    for cut in range(1, len(raw), 5):
        with pytest.raises(ImportFailed):
            reader(raw[:cut], kind="credential", now=NOW)
