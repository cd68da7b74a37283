"""The access grant: what it takes to be believed, and for which use."""

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials import forms
from credentials.contexts import PDS_V1_DIGEST, PROFILE_CONTEXT
from credentials.errors import (
    ContextRefused,
    CredentialError,
    GrantRefused,
    ProofInvalid,
    StatusUnchecked,
    StructureInvalid,
    TimeInvalid,
    Withdrawn,
)
from credentials.grant import WITHOUT_STATUS, issue_grant, verify_grant
from credentials.proof import add_proof, sign_object, verify_object
from credentials.status import StatusEntry
from did.json import canonicalize, digest
from did.resolve import OFFLINE

MARKETING = "https://w3id.org/dpv#Marketing"
DIRECT = "https://w3id.org/dpv#DirectMarketing"


def _verify(raw, now, **changes):
    expected = {
        "purpose": "https://w3id.org/dpv#DeliveryOfGoods",
        "audience": "did:web:shop.example",
        "status": WITHOUT_STATUS,
        "now": now,
        **changes,
    }
    return verify_grant(raw, **expected)


def _resigned(grant, key, now, **changes):
    """The grant with other members, signed again by its issuer: only its shape is wrong."""
    document = {name: value for name, value in grant.items() if name != "proof"}
    for name, value in changes.items():
        place, _, member = name.rpartition("__")
        target = dict(document[place]) if place else document
        if value is None:
            del target[member]
        else:
            target[member] = value
        if place:
            document[place] = target
    return sign_object(document, key, created=now)


def test_a_grant_is_what_was_issued(grant, grant_bytes, status_list, terms, key, entry, now):
    found = _verify(grant_bytes, now, status=status_list)
    assert found.terms == terms
    assert found.issuer == key.did
    assert found.id == grant["id"]
    assert found.status == entry
    assert found.status_checked
    assert found.digest == digest(grant)
    assert found.raw == grant_bytes
    assert len(found.limits_of_proof) == 4


def test_a_grant_may_be_given_in_any_form(grant, grant_bytes, now):
    """The same bytes, other bytes of the same value, text, and the parsed object."""
    spaced = orjson.dumps(grant, option=orjson.OPT_INDENT_2)
    results = [_verify(raw, now) for raw in (grant_bytes, spaced, grant_bytes.decode(), grant)]
    assert {result.digest for result in results} == {digest(grant)}
    assert all(result.terms == results[0].terms for result in results)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (b'"maxUses":12,"maxUses":12', "json.duplicate_key"),
        (b'"maxUses":99,"maxUses":12', "json.duplicate_key"),
        (b'"maxUses":99,"max\\u0055ses":12', "json.duplicate_key"),
        (b'"maxUses":12.0', "credential.value"),
        (b'"maxUses":1.2e1', "credential.value"),
        (b'"maxUses":12,', "json.syntax"),
        (b'"maxUses":\xff', "json.encoding"),
    ],
)
def test_what_is_not_strict_json_is_refused(written, code, grant_bytes, now):
    """The value read would be the one that was signed; the text is refused all the same."""
    changed = grant_bytes.replace(b'"maxUses":12', written)
    assert changed != grant_bytes
    with pytest.raises(StructureInvalid) as caught:
        _verify(changed, now)
    assert caught.value.code == code


def test_no_long_text_is_remembered():
    """Texts are matched against a form once; one that is too long for any is not even that."""
    for check, text in (
        (forms.is_dpv_term, "https://w3id.org/dpv#Use"),
        (forms.is_path, "contact"),
        (forms.is_did, "did:key:z6Mk"),
        (forms.is_status_url, "https://relay.example/v1/status/AAAAAAAAAAAAAAAAAAAAAA"),
    ):
        assert check(text)
        kept = forms._remembered.cache_info()
        assert not check(text + "a" * 600)
        assert forms._remembered.cache_info() == kept
    assert forms.is_url("urn:" + "a" * 600)
    assert not forms.is_url("urn:" + " " * 600)
    assert forms._remembered.cache_info() == kept


def test_a_grant_is_small(grant_bytes, now):
    """What is remembered by its bytes has few of them."""
    with pytest.raises(StructureInvalid) as caught:
        _verify(grant_bytes + b" " * 65_536, now)
    assert caught.value.code == "credential.too_large"


def test_a_key_given_twice_is_refused_in_every_object(grant, grant_bytes, now):
    for name in ("id", "type", "issuer", "purpose", "language", "statusListIndex", "proofValue"):
        start = grant_bytes.index(f'"{name}":'.encode())
        end = start + len(name) + 4
        member = grant_bytes[start:end] + b'x",'
        with pytest.raises(CredentialError):
            _verify(grant_bytes[:start] + member + grant_bytes[start:], now)


def test_one_flipped_bit_anywhere_is_refused(grant_bytes, now):
    """Every byte of a grant matters, those of its proof included."""
    for position in range(len(grant_bytes)):
        for bit in (0x01, 0x20):
            changed = bytearray(grant_bytes)
            changed[position] ^= bit
            with pytest.raises(CredentialError):
                _verify(bytes(changed), now)


@given(
    uses=st.integers(1, 2**53 - 1),
    interval=st.integers(0, 2**53 - 1),
    index=st.integers(0, 131_071),
    follows=st.booleans(),
    fields=st.sets(st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9})?", fullmatch=True), min_size=1),
)
@settings(deadline=None, max_examples=60)
def test_what_is_issued_verifies(terms, key, now, uses, interval, index, follows, fields):
    chosen = replace(
        terms,
        max_uses=uses,
        min_interval=interval,
        follows_changes=follows,
        fields=frozenset(fields),
    )
    entry = StatusEntry("https://relay.example/v1/status/AAAAAAAAAAAAAAAAAAAAAA", index)
    signed = issue_grant(chosen, key=key, status=entry, now=now)
    assert _verify(canonicalize(signed), now).terms == chosen


@pytest.mark.parametrize(
    "change",
    [
        {"company": "shop.example"},
        {"request": "uEi"},
        {"request_purpose": "Delivery"},
        {"purpose": "DeliveryOfGoods"},
        {"basis": "https://example.org/#A6"},
        {"processing": frozenset()},
        {"processing": frozenset({"Collect"})},
        {"fields": frozenset()},
        {"fields": frozenset({"Contact"})},
        {"fields": frozenset({"contact.name.first"})},
        {"text_digest": "z6Mk"},
        {"text_language": "english language"},
        {"decided_by": "machine"},
        {"max_uses": 0},
        {"max_uses": True},
        {"max_uses": 2**53},
        {"min_interval": -1},
        {"retention_days": -1},
        {"follows_changes": 1},
    ],
)
def test_what_would_not_verify_is_not_issued(change, terms, key, entry, now):
    with pytest.raises(CredentialError):
        issue_grant(replace(terms, **change), key=key, status=entry, now=now)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "urn:uuid:1c2c7050-5947-13e2-8e19-e60401a118c7"},
        {"id": "1"},
        {"id": 7},
        {"type": ["VerifiableCredential"]},
        {"type": "AccessGrant"},
        {"type": ["VerifiableCredential", "AccessGrant", "More"]},
        {"validFrom": "2026-01-31"},
        {"validUntil": None},
        {"credentialStatus": None},
        {"credentialStatus": []},
        {"relatedResource": None},
        {"relatedResource": [{"id": "https://w3id.org/other", "digestMultibase": PDS_V1_DIGEST}]},
        {"credentialSubject": []},
        {"credentialSubject__sandbox": False},
        {"credentialSubject__fields": ["contact.name", "contact.name"]},
        {"credentialSubject__fields": "contact.name"},
        {"credentialSubject__fields": ["contact.name", 5]},
        {"credentialSubject__processing": ["https://w3id.org/dpv#Use"] * 2},
        {"credentialSubject__textShown": "uEi"},
        {"credentialSubject__textShown": {}},
        {"credentialSubject__maxUses": "12"},
        {"credentialSubject__maxUses": 1.0},
        {"credentialSubject__id": 5},
        {"credentialSubject__purpose": 5},
        {"credentialSubject__request": 5},
        {"credentialSubject__basis": None},
        {"credentialStatus__type": "Other"},
        {"credentialStatus__statusPurpose": "suspension"},
        {"credentialStatus__statusListCredential": "http://relay.example/"},
        {"credentialStatus__id": "https://relay.example/"},
        {"credentialStatus__more": "x"},
    ],
)
def test_a_signed_grant_of_another_shape_is_refused(change, grant, key, now):
    """The signature is right; the issuer's own grant is not one."""
    with pytest.raises(CredentialError) as caught:
        _verify(orjson.dumps(_resigned(grant, key, now, **change)), now)
    assert caught.value.code.split(".")[0] in {"credential", "status", "time", "json"}


def test_what_is_issued_is_signed_as_any_object(grant, status_list, key, now):
    """Issuing signs by a way of its own; Ed25519 is deterministic, so the bytes are the same."""
    for issued in (grant, orjson.loads(status_list)):
        document = {name: value for name, value in issued.items() if name != "proof"}
        assert list(sign_object(document, key, created=now)["proof"].items()) == list(
            issued["proof"].items()
        )


def test_half_of_a_surrogate_pair_is_not_issued(terms, key, entry, now):
    with pytest.raises(StructureInvalid) as caught:
        issue_grant(replace(terms, company="did:web:\ud800"), key=key, status=entry, now=now)
    assert caught.value.code == "credential.value"


def test_the_verdict_is_the_same_by_the_general_way(grant, key, other_key, now):
    """A proof set and a spaced text do not take the quick way; the answer is the same."""
    quick = _verify(orjson.dumps(grant), now)
    both = _verify(orjson.dumps(add_proof(grant, other_key, created=now)), now)
    assert (both.digest, both.terms, both.issuer) == (quick.digest, quick.terms, quick.issuer)


def _places(value, place=()):
    """Where something stands in a document."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for name, member in members:
        yield (*place, name)
        if isinstance(member, (dict, list)):
            yield from _places(member, (*place, name))


_VALUES = st.sampled_from(
    [None, True, 0, 1, -1, 1.5, "", "x", "did:key:z6Mk", "2026-01-31T09:30:00Z", [], {}, ["x"]]
)


@st.composite
def _changed_grants(draw, grant, keys, now):
    """The bytes of a grant with a member or a few characters changed, signed again or not."""
    document = orjson.loads(orjson.dumps(grant))
    if draw(st.booleans()):
        signed_again = draw(st.booleans())
        if signed_again:
            del document["proof"]
        *place, name = draw(st.sampled_from(list(_places(document))))
        target = document
        for step in place:
            target = target[step]
        match draw(st.sampled_from(["set", "delete", "add", "double"])):
            case "set":
                target[name] = draw(_VALUES)
            case "delete":
                del target[name]
            case "add" if isinstance(target, dict):
                target[draw(st.sampled_from(["more", "sandbox", "expires", "proof"]))] = draw(
                    _VALUES
                )
            case _ if isinstance(target, list):
                target.append(target[0])
        if signed_again:
            document.pop("proof", None)
            document = add_proof(document, draw(st.sampled_from(keys)), created=now)
    option = draw(st.sampled_from([0, orjson.OPT_SORT_KEYS, orjson.OPT_INDENT_2]))
    raw = orjson.dumps(document, option=option)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(raw)))
        what = draw(st.sampled_from([b"", b" ", b"0", b"x", b"1", b'"', b"\\u0031", b'"id":"x",']))
        raw = raw[:at] + what + raw[at + draw(st.integers(0, 2)) :]
    return raw


@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_a_changed_grant_has_the_same_verdict_by_the_general_way(data, grant, key, other_key, now):
    """Whatever is believed of a proof here is what ``verify_object`` believes, and nothing more."""
    raw = data.draw(_changed_grants(grant, [key, other_key], now))
    try:
        general = verify_object(
            raw,
            resolver=OFFLINE,
            now=now,
            expected_controller=key.did,
            exact_context=PROFILE_CONTEXT,
        )
    except CredentialError:
        general = None
    found = refusal = None
    try:
        found = _verify(raw, now, purpose=None, audience=None, sandbox=True)
    except CredentialError as error:
        refusal = error
    if found is not None:
        assert general is not None
        assert (found.digest, found.issuer) == (general.digest, general.controller)
    elif general is not None:
        # The proof holds, so it is the shape of a grant that is wrong.
        assert not isinstance(refusal, ProofInvalid | ContextRefused)


def test_a_window_that_whole_seconds_do_not_show_is_not_issued(terms, key, entry, now):
    """Fractions of a second are cut off, and then it would end when it begins."""
    short = replace(terms, valid_from=now, valid_until=now + timedelta(milliseconds=900))
    with pytest.raises(StructureInvalid) as caught:
        issue_grant(short, key=key, status=entry, now=now)
    assert caught.value.code == "credential.window"


def test_neither_another_id_nor_another_status_is_issued(terms, key, entry, now):
    with pytest.raises(StructureInvalid):
        issue_grant(terms, key=key, status=entry, now=now, id="urn:uuid:1")
    for wrong in (
        replace(entry, index=-1),
        replace(entry, list_url="x"),
        replace(entry, purpose="x"),
    ):
        with pytest.raises(CredentialError):
            issue_grant(terms, key=key, status=wrong, now=now)


def test_a_grant_has_the_proof_that_any_object_would_have(grant, key, now):
    """Signing takes a short way too, to the same bytes."""
    document = {name: value for name, value in grant.items() if name != "proof"}
    assert grant == sign_object(document, key, created=now)


def test_a_narrower_grant_satisfies_a_broader_wish_and_never_the_reverse(terms, key, entry, now):
    narrow = issue_grant(replace(terms, purpose=DIRECT), key=key, status=entry, now=now)
    broad = issue_grant(replace(terms, purpose=MARKETING), key=key, status=entry, now=now)
    assert _verify(narrow, now, purpose=MARKETING).terms.purpose == DIRECT
    with pytest.raises(GrantRefused) as caught:
        _verify(broad, now, purpose=DIRECT)
    assert caught.value.code == "grant.purpose"


def test_another_company_cannot_rely_on_it(grant, now):
    with pytest.raises(GrantRefused) as caught:
        _verify(grant, now, audience="did:web:other.example")
    assert caught.value.code == "grant.audience"


def test_a_category_covers_its_fields(grant, now):
    found = _verify(grant, now, fields={"contact.name", "purchases.total", "purchases"})
    assert not found.terms.covers("contact")


def test_none_takes_any_purpose_and_company(grant, now):
    assert _verify(grant, now, purpose=None, audience=None).id == grant["id"]


def test_a_sandbox_grant_is_worth_nothing_outside(terms, key, entry, now):
    signed = issue_grant(replace(terms, sandbox=True), key=key, status=entry, now=now)
    with pytest.raises(GrantRefused) as caught:
        _verify(signed, now)
    assert caught.value.code == "grant.sandbox"
    assert _verify(signed, now, sandbox=True).terms.sandbox


def test_the_end_is_exact(grant_bytes, terms, now):
    _verify(grant_bytes, terms.valid_until - timedelta(seconds=1))
    with pytest.raises(TimeInvalid):
        _verify(grant_bytes, terms.valid_until)


def test_a_grant_seen_before_is_looked_at_anew(grant_bytes, status_list, terms, key, now):
    """What is remembered is the signature, not the time, the status or the purpose."""
    assert _verify(grant_bytes, now, status=status_list).status_checked
    with pytest.raises(TimeInvalid):
        _verify(grant_bytes, terms.valid_until, status=status_list)
    with pytest.raises(StatusUnchecked):
        _verify(grant_bytes, now + timedelta(days=36), status=status_list)
    with pytest.raises(GrantRefused):
        _verify(grant_bytes, now, purpose=MARKETING)


def test_a_withdrawn_grant_is_refused(terms, key, status_list, entry, now):
    withdrawn = issue_grant(terms, key=key, status=replace(entry, index=5), now=now)
    with pytest.raises(Withdrawn):
        _verify(withdrawn, now, status=status_list)


def test_the_status_may_be_fetched(grant, entry, status_list, now):
    asked = []

    def fetch(url):
        asked.append(url)
        return status_list

    assert _verify(grant, now, status=fetch).status_checked
    assert asked == [entry.list_url]


def test_without_status_is_said_in_the_answer(grant, now):
    assert not _verify(grant, now).status_checked


def test_errors_do_not_repeat_what_was_refused(grant, key, now):
    secret = "urn:secret-4711"
    with pytest.raises(StructureInvalid) as caught:
        _verify(_resigned(grant, key, now, id=secret), now)
    assert secret not in str(caught.value) + caught.value.hint + caught.value.pointer
