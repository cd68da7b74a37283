"""Status lists, their entries, and the relay's stamp."""

from dataclasses import replace
from datetime import timedelta

import pytest

from credentials.contexts import CREDENTIALS_V2
from credentials.errors import (
    CredentialError,
    ProofInvalid,
    StatusInvalid,
    StatusUnchecked,
    StructureInvalid,
)
from credentials.issue import issue_credential
from credentials.proof import sign_object
from credentials.status import (
    WITHOUT_STATUS,
    BitString,
    StatusEntry,
    check_status,
    issue_status_list,
    sign_stamp,
    verify_stamp,
    verify_status_list,
)
from credentials.statuslist import verify_general_list
from did.json import digest, parse_object

RELAY = "https://relay.example"
LIST_ID = "AAAAAAAAAAAAAAAAAAAAAA"


def test_a_list_is_what_was_issued(status_list, key, entry, now):
    found = verify_status_list(
        status_list, now=now, expected_issuer=key.did, expected_url=entry.list_url
    )
    assert found.sequence == 7
    assert found.bits.get(5)
    assert not found.bits.get(6)
    assert found.digest == digest(parse_object(status_list))
    assert found.valid_until == now + timedelta(days=35)
    assert found.raw == status_list


def test_a_verified_list_can_be_handed_over(status_list, key, entry, now):
    found = verify_status_list(status_list, now=now, expected_issuer=None, expected_url=None)
    assert check_status(entry, found, issuer=key.did, now=now)
    with pytest.raises(StatusUnchecked):
        check_status(entry, found, issuer=key.did, now=now + timedelta(days=40))


def test_a_list_by_another_key_is_refused(status_list, other_key, now):
    document = parse_object(status_list)
    del document["proof"]
    with pytest.raises(ProofInvalid) as caught:
        verify_status_list(
            sign_object(document, other_key, created=now),
            now=now,
            expected_issuer=None,
            expected_url=None,
        )
    assert caught.value.code == "proof.not_by_controller"


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 0},
        {"sequence": "7"},
        {"statusPurpose": ["revocation"]},
        {"type": "Other"},
        {"encodedList": 5},
        {"ttl": 5},
        {"id": "https://relay.example/x"},
    ],
)
def test_a_list_of_another_shape_is_refused(change, status_list, key, now):
    document = parse_object(status_list)
    del document["proof"]
    document["credentialSubject"] = {**document["credentialSubject"], **change}
    with pytest.raises((StatusInvalid, StructureInvalid)):
        verify_status_list(
            sign_object(document, key, created=now),
            now=now,
            expected_issuer=None,
            expected_url=None,
        )


def test_a_list_of_ours_is_not_much_longer_than_it_must_be(key, now, entry):
    with pytest.raises(StatusInvalid) as caught:
        issue_status_list(
            key=key, url=entry.list_url, bits=BitString.empty(1_048_584), sequence=1, now=now
        )
    assert caught.value.code == "status.too_large"


def test_what_would_not_verify_is_not_issued(key, now):
    with pytest.raises(CredentialError):
        issue_status_list(key=key, url="x", bits=BitString.empty(), sequence=1, now=now)


def test_an_entry_is_read_as_it_is_written(entry):
    assert StatusEntry.parse(entry.to_json()) == entry


def test_another_list_is_refused(status_list, entry, key, now):
    other = replace(entry, list_url=entry.list_url[:-1] + "Q")
    with pytest.raises(StatusInvalid) as caught:
        check_status(other, status_list, issuer=key.did, now=now)
    assert caught.value.code == "status.url"


def test_nothing_handed_over_is_not_a_yes(entry, key, now):
    with pytest.raises(StatusUnchecked) as caught:
        check_status(entry, None, issuer=key.did, now=now)
    assert caught.value.code == "status.required"
    assert check_status(entry, WITHOUT_STATUS, issuer=key.did, now=now) is False


def test_a_list_of_others_follows_the_standard_alone(key, now):
    """No profile: another URL, no sequence, a context of its own."""
    url = "https://issuer.example/lists/3"
    issued = issue_credential(
        {
            "@context": [CREDENTIALS_V2],
            "id": url,
            "type": ["VerifiableCredential", "BitstringStatusListCredential"],
            "credentialSubject": {
                "id": url + "#list",
                "type": "BitstringStatusList",
                "statusPurpose": "suspension",
                "encodedList": BitString.empty().encode(),
            },
        },
        key,
        now=now,
    )
    found = verify_general_list(issued, now=now, expected_issuer=key.did, expected_url=url)
    assert found.sequence == 0
    assert found.purposes == {"suspension"}
    with pytest.raises(CredentialError):
        verify_status_list(issued, now=now, expected_issuer=key.did, expected_url=url)


def _stamp(key, now, **changes):
    given = {
        "relay": RELAY,
        "list_id": LIST_ID,
        "digest": "uEiAtcRZCtyawRAFifKn7rDL1yFMPsZA8xNsCJYcXkhpIgQ",
        "sequence": 7,
        "at": now,
        "expires": now + timedelta(hours=24),
        **changes,
    }
    return sign_stamp(log_key=key, **given), given["digest"]


def test_a_stamp_says_which_list_is_the_newest(other_key, now):
    signed, of = _stamp(other_key, now)
    found = verify_stamp(signed, log_key=other_key.verify_key, expected_digest=of, now=now)
    assert (found.relay, found.list_id, found.sequence) == (RELAY, LIST_ID, 7)


def test_a_stamp_that_is_over_leaves_it_unchecked(other_key, now):
    signed, of = _stamp(other_key, now)
    with pytest.raises(StatusUnchecked) as caught:
        verify_stamp(
            signed,
            log_key=other_key.verify_key,
            expected_digest=of,
            now=now + timedelta(hours=24),
        )
    assert caught.value.code == "status.stale"


def test_a_stamp_for_another_list_or_from_the_future_is_refused(other_key, now):
    signed, of = _stamp(other_key, now)
    another = of[:-1] + "A"
    with pytest.raises(StatusInvalid):
        verify_stamp(signed, log_key=other_key.verify_key, expected_digest=another, now=now)
    with pytest.raises(CredentialError):
        verify_stamp(
            signed,
            log_key=other_key.verify_key,
            expected_digest=of,
            now=now - timedelta(seconds=61),
        )


def test_a_stamp_by_another_key_is_refused(key, other_key, now):
    signed, of = _stamp(key, now)
    with pytest.raises(ProofInvalid):
        verify_stamp(signed, log_key=other_key.verify_key, expected_digest=of, now=now)


@pytest.mark.parametrize(
    "change",
    [
        {"relay": "https://relay.example/"},
        {"list_id": "short"},
        {"digest": "uEi"},
        {"sequence": 0},
        {"expires": timedelta(hours=25)},
        {"expires": timedelta(0)},
    ],
)
def test_a_malformed_stamp_is_not_signed(change, other_key, now):
    if isinstance(change.get("expires"), timedelta):
        change = {"expires": now + change["expires"]}
    with pytest.raises(StatusInvalid):
        _stamp(other_key, now, **change)
