"""Bitstring Status List in full: any purpose, entries of several bits, any issuer and suite."""

import contextlib
from datetime import timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.bitstring import MIN_ENTRIES, BitString
from credentials.contexts import context_bytes
from credentials.errors import (
    ContextRefused,
    CredentialError,
    ProofInvalid,
    StatusInvalid,
    StatusUnchecked,
    Withdrawn,
)
from credentials.issue import issue_credential
from credentials.proof import add_proof
from credentials.status import WITHOUT_STATUS
from credentials.statuslist import GeneralEntry, issue_general_list, verify_general_list
from credentials.verify import verify_credential
from did.ecdsa import Curve, EcdsaSigningKey

URL = "https://issuer.example/lists/3"
WORDS = [{"status": f"0x{value:x}", "message": f"word {value}"} for value in range(4)]


def _entry(purpose="revocation", index="9", **more):
    return {
        "type": "BitstringStatusListEntry",
        "statusPurpose": purpose,
        "statusListIndex": index,
        "statusListCredential": URL,
        **more,
    }


def _message(index="9", **more):
    return _entry("message", index, **{"statusSize": 2, "statusMessage": WORDS, **more})


def _issued(key, now, *entries, **more):
    return issue_credential(
        {"credentialSubject": {"id": "urn:x:1"}, "credentialStatus": list(entries), **more},
        key,
        now=now,
    )


def _list(key, now, bits, *purposes, **more):
    return orjson.dumps(
        issue_general_list(key, url=URL, bits=bits, purposes=purposes, now=now, **more)
    )


def _check(signed, status, now):
    return verify_credential(signed, now=now, status=status)


@pytest.mark.parametrize(
    ("purpose", "code"), [("revocation", "status.withdrawn"), ("suspension", "status.suspended")]
)
def test_a_set_bit_refuses_for_revocation_and_for_suspension(purpose, code, key, now):
    signed = _issued(key, now, _entry(purpose))
    clear = _list(key, now, BitString.empty(), purpose)
    assert _check(signed, clear, now).statuses[0].value == 0
    with pytest.raises(Withdrawn) as caught:
        _check(signed, _list(key, now, BitString.empty().with_bit(9), purpose), now)
    assert caught.value.code == code


@pytest.mark.parametrize("purpose", ["refresh", "of-our-own"])
def test_of_other_purposes_the_value_is_reported(purpose, key, now):
    signed = _issued(key, now, _entry(purpose))
    found = _check(signed, _list(key, now, BitString.empty().with_bit(9), purpose), now)
    assert found.status_checked is True
    assert [(item.purpose, item.value) for item in found.statuses] == [(purpose, 1)]


def test_a_message_says_what_its_value_means(key, now):
    bits = BitString.empty(MIN_ENTRIES * 2)
    for index, value in ((8, 1), (9, 2), (10, 3)):
        bits = bits.with_value(index, 2, value)
    signed = _issued(key, now, _message("8"), _message("9"), _message("10"), _message("11"))
    found = _check(signed, _list(key, now, bits, "message"), now)
    assert [item.value for item in found.statuses] == [1, 2, 3, 0]
    assert [item.message for item in found.statuses] == ["word 1", "word 2", "word 3", "word 0"]


def test_a_list_is_fetched_once_and_not_for_any_number_of_entries(key, now):
    """A hostile credential does not make its verifier fetch lists by the hundred."""
    asked = []
    bits = _list(key, now, BitString.empty(), "revocation")

    def fetch(url):
        asked.append(url)
        return bits

    entries = [_entry(index=str(number)) for number in range(17)]
    assert len(_check(_issued(key, now, *entries[:16]), fetch, now).statuses) == 16
    assert asked == [URL]
    with pytest.raises(CredentialError) as caught:
        _check(_issued(key, now, *entries), fetch, now)
    assert caught.value.code == "credential.many"
    assert asked == [URL]
    # And not for one of them when another is none.
    with pytest.raises(StatusInvalid):
        _check(_issued(key, now, _entry(), _entry(index="-1")), fetch, now)
    assert asked == [URL]


def test_one_list_may_serve_several_purposes(key, now):
    bits = BitString.empty().with_bit(9)
    raw = _list(key, now, bits, "refresh", "revocation")
    assert verify_general_list(raw, now=now).purposes == {"refresh", "revocation"}
    with pytest.raises(Withdrawn):
        _check(_issued(key, now, _entry("refresh"), _entry()), raw, now)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (_entry(purpose=""), "status.entry"),
        (_entry(purpose=5), "status.entry"),
        (_entry(statusListCredential="no url"), "status.entry"),
        (_entry(statusSize=0), "status.entry"),
        (_entry(statusSize=9), "status.entry"),
        (_entry(statusSize=True), "status.entry"),
        (_entry(statusSize=2), "status.entry"),
        (_entry("message"), "status.entry"),
        (_entry(statusReference="no url"), "status.entry"),
        (_message(statusMessage=WORDS[:3]), "status.entry"),
        (_message(statusMessage=[*WORDS[:3], WORDS[0]]), "status.entry"),
        (_message(statusMessage=[*WORDS[:3], {"status": "3", "message": "x"}]), "status.entry"),
        (_message(statusMessage=[*WORDS[:3], {"status": "0x3"}]), "status.entry"),
        (_message(statusMessage={}), "status.entry"),
        (_message(statusMessage={"a": 1, "b": 2, "c": 3, "d": 4}), "status.entry"),
        (_entry(index=9), "status.index"),
        (_entry(index="-1"), "status.index"),
        (_entry(index="09"), "status.index"),
        (_entry(index="１"), "status.index"),
        (_entry(index=str(MIN_ENTRIES)), "status.index_range"),
    ],
)
def test_a_malformed_entry_is_not_a_yes(entry, code, key, now):
    raw = _list(key, now, BitString.empty(MIN_ENTRIES), "revocation", "message")
    with pytest.raises(StatusInvalid) as caught:
        _check(_issued(key, now, entry), raw, now)
    assert caught.value.code == code


def test_a_list_too_short_for_the_size_of_its_entries_is_refused(key, now):
    with pytest.raises(StatusInvalid) as caught:
        _check(_issued(key, now, _message()), _list(key, now, BitString.empty(), "message"), now)
    assert caught.value.code == "status.short"


def test_the_list_must_be_by_the_issuer_of_the_credential(key, other_key, now):
    signed = _issued(key, now, _entry())
    with pytest.raises(StatusInvalid) as caught:
        _check(signed, _list(other_key, now, BitString.empty(), "revocation"), now)
    assert caught.value.code == "status.issuer"
    with pytest.raises(StatusInvalid) as caught:
        _check(signed, _list(key, now, BitString.empty(), "suspension"), now)
    assert caught.value.code == "status.purpose"
    forged = _list(key, now, BitString.empty(), "revocation", issuer=other_key.did)
    with pytest.raises(ProofInvalid):
        verify_general_list(forged, now=now)


def test_nothing_and_an_unreachable_list_are_unchecked(key, now):
    signed = _issued(key, now, _entry())

    def away(_url):
        raise OSError

    for status, code in ((None, "status.required"), (away, "status.unavailable")):
        with pytest.raises(StatusUnchecked) as caught:
            _check(signed, status, now)
        assert caught.value.code == code
    assert _check(signed, WITHOUT_STATUS, now).status_checked is False


def test_a_list_that_is_over_is_unchecked(key, now):
    signed = _issued(key, now, _entry())
    raw = _list(key, now, BitString.empty(), "revocation", valid_for=timedelta(hours=1))
    _check(signed, raw, now)
    with pytest.raises(StatusUnchecked) as caught:
        _check(signed, raw, now + timedelta(hours=1))
    assert caught.value.code == "status.stale"


def _relisted(key, now, subject=None, **change):
    """A list that was changed before it was signed."""
    issued = issue_general_list(
        key, url=URL, bits=BitString.empty(), purposes=("revocation",), now=now
    )
    unsigned = {**issued, "credentialSubject": {**issued["credentialSubject"], **(subject or {})}}
    unsigned = {name: value for name, value in {**unsigned, **change}.items() if value is not None}
    del unsigned["proof"]
    return add_proof(unsigned, key, created=now)


@pytest.mark.parametrize(
    "subject",
    [
        {"ttl": -1},
        {"ttl": "5"},
        {"type": "Other"},
        {"encodedList": 5},
        {"statusPurpose": []},
        {"statusPurpose": None},
        {"statusPurpose": ["revocation", 5]},
        {"sequence": -1},
        {"sequence": "1"},
    ],
)
def test_a_list_of_another_shape_is_refused(subject, key, now):
    with pytest.raises(StatusInvalid):
        verify_general_list(_relisted(key, now, subject), now=now)


@pytest.mark.parametrize(
    "change",
    [
        {"type": ["VerifiableCredential"]},
        {"id": None},
        {"credentialSubject": [{"type": "BitstringStatusList"}] * 2},
    ],
)
def test_a_credential_that_is_no_list_is_refused(change, key, now):
    with pytest.raises(StatusInvalid) as caught:
        verify_general_list(_relisted(key, now, **change), now=now)
    assert caught.value.code == "status.invalid"


def test_a_list_with_two_subjects_is_refused(key, now):
    """Which of them would be meant is nobody's to choose."""
    subject = _relisted(key, now)["credentialSubject"]
    with pytest.raises(StatusInvalid):
        verify_general_list(_relisted(key, now, credentialSubject=[subject, subject]), now=now)


def test_a_list_in_contexts_of_the_caller_is_not_remembered(key, now):
    """What verified with further contexts does not without them, nor the other way round."""
    url = "https://names.example/v1"

    def contexts(name):
        return b'{"@context": {"also": "urn:x:also"}}' if name == url else context_bytes(name)

    unsigned = _relisted(key, now)
    del unsigned["proof"]
    unsigned["@context"].append(url)
    raw = orjson.dumps(
        add_proof(unsigned, key, created=now, cryptosuite="eddsa-rdfc-2022", contexts=contexts)
    )
    verify_general_list(raw, now=now, contexts=contexts)
    with pytest.raises(ContextRefused):
        verify_general_list(raw, now=now)


def test_a_list_is_held_against_what_is_expected_of_it(key, other_key, now):
    raw = _list(key, now, BitString.empty(), "revocation", valid_for=timedelta(hours=1))
    for seen in range(2):  # remembered by the second time
        verify_general_list(raw, now=now, expected_issuer=key.did, expected_url=URL)
        for expected, code in (
            ({"expected_issuer": other_key.did}, "status.issuer"),
            ({"expected_url": URL + "4"}, "status.url"),
            ({"now": now + timedelta(hours=2)}, "status.stale"),
            ({"now": now - timedelta(hours=2)}, "proof.future"),
        ):
            with pytest.raises(CredentialError) as caught:
                verify_general_list(raw, **{"now": now, **expected})
            assert caught.value.code == code, seen


def test_ttl_is_handed_on(key, now):
    raw = _list(key, now, BitString.empty(), "revocation", ttl=timedelta(minutes=5))
    assert verify_general_list(raw, now=now).ttl == timedelta(minutes=5)


@pytest.mark.parametrize("suite", ["ecdsa-jcs-2019", "ecdsa-rdfc-2019"])
def test_a_list_may_be_of_any_suite(suite, now):
    key = EcdsaSigningKey.from_secret(Curve.P384, bytes([1] * 48))
    raw = _list(key, now, BitString.empty(), "revocation", cryptosuite=suite)
    found = verify_general_list(raw, now=now, expected_issuer=key.did, expected_url=URL)
    assert found.proofs[0].cryptosuite == suite


def test_a_list_without_a_purpose_is_not_issued(key, now):
    for purposes in ((), ("",)):
        with pytest.raises(StatusInvalid):
            _list(key, now, BitString.empty(), *purposes)


@given(size=st.integers(1, 8), writes=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 255))))
@settings(deadline=None, max_examples=40)
def test_entries_hold_what_was_put_into_them_and_nothing_else(size, writes):
    bits = BitString.empty()
    expected = {}
    for index, value in writes:
        expected[index] = value % (1 << size)
        bits = bits.with_value(index, size, expected[index])
    assert [bits.value(index, size) for index in range(42)] == [
        expected.get(index, 0) for index in range(42)
    ]
    flat = "".join(str(int(bits.get(place))) for place in range(41 * size))
    assert flat == "".join(f"{expected.get(index, 0):0{size}b}" for index in range(41))


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (MIN_ENTRIES, 1), (MIN_ENTRIES // 2, 2)])
def test_an_entry_beyond_the_list_is_refused(index, size):
    with pytest.raises(StatusInvalid):
        BitString.empty().value(index, size)
    with pytest.raises(StatusInvalid):
        BitString.empty().with_value(index, size, 0)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "type",
                "statusPurpose",
                "statusListIndex",
                "statusListCredential",
                "statusSize",
                "statusMessage",
                "statusReference",
            ]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.sampled_from([*_entry().values()]),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
@settings(deadline=None, max_examples=150)
def test_any_entry_is_read_or_refused(value):
    with contextlib.suppress(StatusInvalid, StatusUnchecked):
        GeneralEntry.parse(value)
