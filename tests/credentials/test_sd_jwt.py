"""SD-JWT: the published examples, what any choice of claims comes to, and what is refused."""

import copy
import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from token_world import NOW, SECONDS, binding_claims

from credentials.errors import (
    CredentialError,
    JoseInvalid,
    PresentationInvalid,
    SdJwtInvalid,
    StructureInvalid,
)
from credentials.jose import key_of_jwk, public_jwk, sign_claims
from credentials.key_binding import (
    bind_key,
    check_key_binding,
    key_of_holder,
    verify_key_binding,
)
from credentials.sd_jwt import (
    MAX_DISCLOSURES,
    Disclosure,
    SdJwt,
    issue_sd_jwt,
    reveal,
    select_disclosures,
    verify_sd_jwt,
)
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import Json, JsonObject
from did.keys import SigningKey
from did.multikey import b64url_encode

KEY = SigningKey.from_seed(b"\1" * 32)
HOLDER = EcdsaSigningKey.from_secret(Curve.P256, b"\2" * 32)
HEADER: JsonObject = {"typ": "example+sd-jwt"}
CLAIMS: JsonObject = {
    "sub": "user",
    "name": "A. Person",
    "address": {"street": "Main St", "country": "NL", "a/b": 1, "~": 2},
    "nationalities": ["DE", "FR", {"code": "NL", "since": 1990.5}],
    "none": None,
}
# Of 35 published folders one is left out, and four of eleven proofs of the holder.
FOLDERS, BOUND = 34, 7


# -- the published examples ------------------------------------------------------------------------


def examples(vectors: Path) -> list[Path]:
    folder = vectors / "sd-jwt"
    return sorted(p.parent for p in folder.glob("*/*/specification.yml"))


def load(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def read(folder: Path, name: str) -> SdJwt:
    """A token in the form that the folder has it in."""
    compact = folder / f"{name}.txt"
    if compact.exists():
        return SdJwt.parse(compact.read_text().strip())
    value = json.loads(load(folder, f"{name}.json"))
    # The release that made these files put the members beside the signature. RFC 9901 §8 has them
    # in the header that is not signed, so moving them changes nothing that was.
    members = {name: value.pop(name) for name in ("disclosures", "kb_jwt") if name in value}
    return SdJwt.from_json({**value, "header": members})


def test_every_published_example(vectors: Path):
    """Issued and shown forms verify to the published claims, and the holder's proof holds."""
    seen = bound = 0
    for folder in examples(vectors):
        keys = yaml.safe_load((folder.parent / "settings.yml").read_text())["key_settings"]
        verifier = yaml.safe_load((folder.parent / "settings.yml").read_text())["identifiers"]
        issuer_key, holder_key = (
            key_of_jwk({name: keys[who][name] for name in ("kty", "crv", "x", "y")})
            for who in ("issuer_key", "holder_key")
        )
        if folder.name == "header_mod":  # left out: kid is a number, and RFC 7515 §4.1.4 says text
            with pytest.raises(JoseInvalid):
                verify_sd_jwt(read(folder, "sd_jwt_issuance"), issuer_key)
            continue
        seen += 1
        issued = read(folder, "sd_jwt_issuance")
        assert issued.jws.claims() == load(folder, "sd_jwt_payload.json"), folder
        everything = verify_sd_jwt(issued, issuer_key)
        user_claims = load(folder, "user_claims.json")
        assert {k: v for k, v in everything.claims.items() if k in user_claims} == user_claims
        shown = read(folder, "sd_jwt_presentation")
        contents = load(folder, "verified_contents.json")
        assert verify_sd_jwt(shown, issuer_key).claims == contents, folder
        # A holder who makes the same choice shows the same.
        wanted = {item.digest for item in shown.disclosures}
        pointers = {p for p, item in everything.disclosed.items() if item.digest in wanted}
        chosen = SdJwt.parse(select_disclosures(issued.shown, pointers))
        assert verify_sd_jwt(chosen, issuer_key).claims == contents, folder
        if shown.key_binding is not None:
            payload = load(folder, "kb_jwt_payload.json")
            assert key_of_holder(contents) == holder_key
            assert payload["aud"] == verifier["verifier"]
            expected: dict[str, Any] = {
                "expected_audience": payload["aud"],
                "expected_nonce": payload["nonce"],
                "now": datetime.fromtimestamp(payload["iat"], UTC),
            }
            if folder.name.startswith("json_serialization"):
                # Left out: that release takes the hash over the JSON text, and RFC 9901 §8.1 over
                # the compact form of the same.
                with pytest.raises(SdJwtInvalid) as caught:
                    verify_key_binding(shown, holder_key, **expected)
                assert caught.value.code == "sd_jwt.sd_hash"
                continue
            verify_key_binding(shown, holder_key, **expected)
            bound += 1
    assert (seen, bound) == (FOLDERS, BOUND)


def test_the_tokens_published_as_bytes(vectors: Path):
    """The draft's own signatures verify; its holder's proof has a claim of before RFC 9901."""
    folder = vectors / "sd-jwt"
    keys = yaml.safe_load((folder / "rfc" / "settings.yml").read_text())["key_settings"]
    key = key_of_jwk({name: keys["issuer_key"][name] for name in ("kty", "crv", "x", "y")})
    issued = SdJwt.parse("".join((folder / "ietf-draft-05/issuance.txt").read_text().split()))
    assert len(verify_sd_jwt(issued, key).disclosed) == len(issued.disclosures) == 10
    shown = SdJwt.parse("".join((folder / "ietf-draft-05/presentation.txt").read_text().split()))
    claims = verify_sd_jwt(shown, key).claims
    assert claims["given_name"] == "John"
    with pytest.raises(SdJwtInvalid) as caught:
        verify_key_binding(
            shown,
            key_of_holder(claims),
            expected_audience="https://example.com/verifier",
            expected_nonce="1234567890",
            now=datetime.fromtimestamp(1688160483, UTC),
        )
    assert caught.value.code == "sd_jwt.sd_hash"


# -- properties ------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=6).filter(
    lambda name: name not in ("_sd", "...", "_sd_alg")
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer())
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5)


def pointers_of(value: Json, at: str = "") -> list[str]:
    """Every place in a value, the outer before the inner."""
    found = []
    items: Any = ()
    if isinstance(value, dict):
        items = [(k.replace("~", "~0").replace("/", "~1"), v) for k, v in value.items()]
    elif isinstance(value, list):
        items = list(enumerate(value))
    for name, item in items:
        found += [f"{at}/{name}", *pointers_of(item, f"{at}/{name}")]
    return found


def without(value: Json, hidden: set[str], at: str = "") -> Json:
    """What is left of a value when some places are withheld; said once more, in another way."""
    if isinstance(value, dict):
        return {
            k: without(v, hidden, place)
            for k, v in value.items()
            if (place := f"{at}/{k.replace('~', '~0').replace('/', '~1')}") not in hidden
        }
    if isinstance(value, list):
        return [
            without(v, hidden, f"{at}/{i}")
            for i, v in enumerate(value)
            if f"{at}/{i}" not in hidden
        ]
    return value


@given(claims=OBJECTS, data=st.data(), decoys=st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_any_claims_and_any_choice(claims: JsonObject, data: st.DataObject, decoys: int):
    """What is shown is what was issued less what was withheld, whatever both are."""
    places = pointers_of(claims)
    chosen = st.sets(st.sampled_from(places)) if places else st.just(set[str]())
    disclosable = data.draw(chosen)
    before = copy.deepcopy(claims)
    issued = issue_sd_jwt(claims, KEY, disclosable=disclosable, header=HEADER, decoys=decoys)
    assert claims == before
    everything = verify_sd_jwt(SdJwt.parse(issued), KEY.verify_key)
    assert everything.claims == claims
    assert everything.disclosed.keys() == disclosable
    show = data.draw(chosen)
    shown = verify_sd_jwt(SdJwt.parse(select_disclosures(issued, show)), KEY.verify_key)
    above = {p for s in show for p in places if s == p or s.startswith(p + "/")}
    assert shown.claims == without(claims, disclosable - above)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_one_changed_character_is_refused(data: st.DataObject):
    """Whichever character of a shown credential is changed, it does not verify."""
    token = ISSUED_AND_BOUND
    position = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(sorted(set("AZaz09-_.~ é") - {token[position]})))
    changed = token[:position] + other + token[position + 1 :]
    with pytest.raises(CredentialError):
        verify_whole(changed)


def verify_whole(text: str) -> JsonObject:
    token = SdJwt.parse(text)
    claims = verify_sd_jwt(token, KEY.verify_key).claims
    verify_key_binding(
        token, key_of_holder(claims), expected_audience="us", expected_nonce="n", now=NOW
    )
    return claims


def issue(claims: JsonObject = CLAIMS, *disclosable: str) -> str:
    bound = {**claims, "cnf": {"jwk": public_jwk(HOLDER.verify_key)}}
    return issue_sd_jwt(bound, KEY, disclosable=set(disclosable), header=HEADER)


ISSUED = issue(CLAIMS, "/name", "/address", "/address/street", "/nationalities/1")
ISSUED_AND_BOUND = bind_key(ISSUED, HOLDER, audience="us", nonce="n", now=NOW)


# -- issuing ---------------------------------------------------------------------------------------


def test_an_unchanged_token_verifies():
    """The token of the test above does verify."""
    assert verify_whole(ISSUED_AND_BOUND).items() >= CLAIMS.items()


def test_what_is_withheld_is_not_in_the_token():
    """Neither name nor value of a withheld claim can be read from what is shown."""
    shown = select_disclosures(ISSUED, set())
    assert shown.count("~") == 1
    payload = SdJwt.parse(shown).jws.payload
    assert b"A. Person" not in payload
    assert b"name" not in payload
    assert b"Main St" not in payload


def test_salts_have_128_bits_from_the_source_given():
    """Each disclosure asks for 16 bytes of its own."""
    asked = []

    def source(count: int) -> bytes:
        asked.append(count)
        return random.Random(len(asked)).randbytes(count)

    claims: JsonObject = {"a": 1, "b": [1]}
    first = issue_sd_jwt(claims, KEY, disclosable={"/a", "/b/0"}, header={}, random=source)
    assert asked == [16, 16]
    assert len({item.encoded[:22] for item in SdJwt.parse(first).disclosures}) == 2


def test_decoys_stand_among_digests_and_say_nothing():
    """Decoys cannot be told from digests, in objects and in arrays."""
    issued = issue_sd_jwt(
        {"a": 1, "b": [1, 2]}, KEY, disclosable={"/a", "/b/1"}, header={}, decoys=3
    )
    payload = SdJwt.parse(issued).jws.claims()
    digests = payload["_sd"]
    assert isinstance(digests, list)
    assert len(digests) == 4
    assert digests == sorted(digests, key=str)
    assert isinstance(payload["b"], list)
    assert len(payload["b"]) == 1 + 1 + 3


@pytest.mark.parametrize(
    ("claims", "disclosable", "code"),
    [
        ({"a": 1}, {"/b"}, "sd_jwt.pointer"),
        ({"a": 1}, {""}, "sd_jwt.pointer"),
        ({"a": [1]}, {"/a/1"}, "sd_jwt.pointer"),
        ({"a": [1]}, {"/a/00"}, "sd_jwt.pointer"),
        ({"_sd": []}, set(), "sd_jwt.reserved"),
        ({"a": {"...": 1}}, set(), "sd_jwt.reserved"),
        ({"a": [{"_sd_alg": "sha-256"}]}, set(), "sd_jwt.reserved"),
        ({"a": 2**60}, {"/a"}, "json.integer_range"),
        ({"a": "\ud800"}, set(), "json.surrogate"),
    ],
)
def test_claims_that_cannot_be_issued(claims: JsonObject, disclosable: set[str], code: str):
    """A place that is not there, a reserved name, and what JSON cannot hold are refused."""
    with pytest.raises(StructureInvalid) as caught:
        issue_sd_jwt(claims, KEY, disclosable=disclosable, header={})
    assert caught.value.code == code


def test_nothing_is_issued_that_cannot_be_read():
    """Beyond the limits of reading, issuing refuses as well."""
    many: JsonObject = {str(n): n for n in range(MAX_DISCLOSURES + 1)}
    with pytest.raises(SdJwtInvalid) as caught:
        issue_sd_jwt(many, KEY, disclosable={f"/{n}" for n in many}, header={})
    assert caught.value.code == "sd_jwt.many"
    with pytest.raises(JoseInvalid):
        issue_sd_jwt({"a": "x" * 70_000}, KEY, disclosable=set(), header={})


@pytest.mark.parametrize("pointer", ["/nothing", "/nationalities/9", "name", "", "/sub/x"])
def test_only_what_is_there_can_be_shown(pointer: str):
    """Asking for a claim that is not there is an error, and not an empty answer."""
    with pytest.raises(SdJwtInvalid) as caught:
        select_disclosures(ISSUED, {pointer})
    assert caught.value.code == "sd_jwt.pointer"


# -- reading: each refusal of RFC 9901 §7.1 --------------------------------------------------------


def disclosure(*content: Json) -> str:
    return b64url_encode(orjson.dumps(list(content)))


def digest(encoded: str) -> str:
    return b64url_encode(hashlib.sha256(encoded.encode()).digest())


def signed(payload: JsonObject, *disclosures: str) -> SdJwt:
    return SdJwt.parse("~".join([sign_claims(payload, KEY), *disclosures, ""]))


def refused(payload: JsonObject, *disclosures: str) -> str:
    with pytest.raises(SdJwtInvalid) as caught:
        verify_sd_jwt(signed(payload, *disclosures), KEY.verify_key)
    return caught.value.code


A = disclosure("salt", "a", 1)
ELEMENT = disclosure("salt", 1)


def test_a_digest_without_disclosure_is_nothing():
    """Decoys and withheld claims leave no trace in the claims (steps 3d and 3e)."""
    payload: JsonObject = {"_sd": ["x"], "b": [{"...": "y"}, 1], "c": {"_sd": []}}
    assert verify_sd_jwt(signed(payload), KEY.verify_key).claims == {"b": [1], "c": {}}


def test_a_disclosure_that_nothing_refers_to():
    """Step 5: a disclosure made for another token is refused."""
    assert refused({"_sd": [digest(A)]}, A, disclosure("salt", "b", 2)) == "sd_jwt.unreferenced"
    assert refused({"b": digest(A)}, A) == "sd_jwt.unreferenced"


def test_a_digest_twice():
    """Step 4: a digest stands in one place only, disclosed or not, also inside disclosures."""
    twice = digest(A)
    assert refused({"_sd": [twice, twice]}) == "sd_jwt.duplicate_digest"
    assert refused({"_sd": [twice], "b": {"_sd": [twice]}}, A) == "sd_jwt.duplicate_digest"
    assert refused({"_sd": [twice], "b": [{"...": twice}]}) == "sd_jwt.duplicate_digest"
    outer = disclosure("salt", "o", {"_sd": [twice]})
    assert refused({"_sd": [digest(outer), twice]}, outer) == "sd_jwt.duplicate_digest"


def test_a_disclosure_twice():
    """The same disclosure cannot be handed over twice."""
    assert refused({"_sd": [digest(A)]}, A, A) == "sd_jwt.repeated"


def test_a_claim_twice():
    """Step 3c: a disclosure does not replace a claim that is there, or another disclosure."""
    other = disclosure("other", "a", 2)
    assert refused({"a": 0, "_sd": [digest(A)]}, A) == "sd_jwt.duplicate_claim"
    assert refused({"_sd": [digest(A), digest(other)]}, A, other) == "sd_jwt.duplicate_claim"


def test_a_disclosure_of_the_other_kind():
    """Step 3c: a claim stands in objects, an element in arrays."""
    assert refused({"_sd": [digest(ELEMENT)]}, ELEMENT) == "sd_jwt.kind"
    assert refused({"b": [{"...": digest(A)}]}, A) == "sd_jwt.kind"


@pytest.mark.parametrize("name", ["_sd", "...", "_sd_alg"])
def test_a_reserved_name(name: str):
    """Step 3c and §4.1: digests and hash are never claims, in the token or in a disclosure."""
    hidden = disclosure("salt", name, "x")
    with pytest.raises(SdJwtInvalid) as caught:
        signed({"_sd": [digest(hidden)]}, hidden)
    assert caught.value.code == "sd_jwt.reserved"
    if name != "_sd":
        assert refused({"b": {name: "sha-256"}}) == "sd_jwt.reserved"
        inside = disclosure("salt", "c", {name: "x"})
        assert refused({"_sd": [digest(inside)]}, inside) == "sd_jwt.reserved"
    assert refused({"...": "x"}) == "sd_jwt.reserved"


def test_a_digest_in_an_array_stands_alone():
    """§4.2.4.2: beside it there is nothing."""
    assert refused({"b": [{"...": digest(ELEMENT), "c": 1}]}, ELEMENT) == "sd_jwt.reserved"


@pytest.mark.parametrize("value", ["x", {}, [1], [None], None])
def test_digests_of_another_shape(value: Json):
    """Step 3b: _sd is a list of texts."""
    assert refused({"_sd": value}) == "sd_jwt.digests"
    assert refused({"b": {"_sd": value}}) == "sd_jwt.digests"
    assert refused({"b": [{"...": value if value != "x" else 1}]}) == "sd_jwt.digests"


@pytest.mark.parametrize("value", ["sha-384", "SHA-256", "md5", 1, None])
def test_another_hash(value: Json):
    """Step 2c: only SHA-256 is taken; without a name it is meant."""
    assert refused({"_sd_alg": value}) == "sd_jwt.hash"
    assert verify_sd_jwt(signed({"_sd_alg": "sha-256"}), KEY.verify_key).claims == {}


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "AB=",
        "A\n",
        disclosure("salt"),
        disclosure("salt", "a", 1, 2),
        disclosure(1, "a", 1),
        disclosure("salt", 1, 1),
        disclosure("salt", None, 1),
        b64url_encode(b"{}"),
        b64url_encode(b'["s","a",{"b":1,"b":2}]'),
        b64url_encode(b'["s","a",NaN]'),
        b64url_encode(b'["s","a","\\ud800"]'),
        A[:-1] + chr(ord(A[-1]) + 1),
    ],
)
def test_a_malformed_disclosure(encoded: str):
    """Each is strict JSON, of two texts and a value, or of one, in canonical base64url."""
    with pytest.raises(SdJwtInvalid) as caught:
        signed({}, encoded)
    assert caught.value.code == "sd_jwt.disclosure"


def test_disclosures_nest_no_deeper_than_json_may():
    """Disclosures inside disclosures do not get around the limit of depth."""
    inner, disclosures = disclosure("salt", "a", 1), []
    for _ in range(31):
        disclosures.append(inner)
        inner = disclosure("salt", "a", {"_sd": [digest(inner)]})
    assert verify_sd_jwt(
        signed({"_sd": [digest(inner)]}, *disclosures, inner), KEY.verify_key
    ).disclosed
    disclosures.append(inner)
    inner = disclosure("salt", "a", {"_sd": [digest(inner)]})
    assert refused({"_sd": [digest(inner)]}, *disclosures, inner) == "sd_jwt.depth"
    lists: Json = [{"...": digest(ELEMENT)}]
    for _ in range(25):
        lists = [lists]
    wrapped = disclosure("salt", "a", lists)
    deep: JsonObject = {"_sd": [digest(wrapped)]}
    for _ in range(10):
        deep = {"d": deep}
    assert refused(deep, wrapped, ELEMENT) == "sd_jwt.depth"


def test_the_size_is_that_of_all_of_it():
    """Small disclosures that are many make a token too large."""
    long = [disclosure("salt", str(n), "x" * 1000) for n in range(60)]
    with pytest.raises(JoseInvalid) as caught:
        signed({}, *long)
    assert caught.value.code == "jose.too_large"
    token = "~".join([sign_claims({}, KEY), *long, ""])
    assert len(SdJwt.parse(token, max_chars=100_000).disclosures) == 60


@pytest.mark.parametrize("text", ["", "a.b.c", "~", "~~", "x~", ISSUED[:-1] + "x"])
def test_what_is_no_sd_jwt(text: str):
    """Text of another form is refused with a reason."""
    with pytest.raises((SdJwtInvalid, JoseInvalid)):
        verify_whole(text)


# -- the JSON form ---------------------------------------------------------------------------------


def as_json(text: str, **changes: Json) -> JsonObject:
    token, *disclosures, binding = text.split("~")
    protected, payload, signature = token.split(".")
    header: JsonObject = {"disclosures": list[Json](disclosures)}
    if binding:
        header["kb_jwt"] = binding
    return {
        "payload": payload,
        "protected": protected,
        "signature": signature,
        "header": header,
        **changes,
    }


def test_the_json_form_is_the_same_token():
    """Flattened, or general with one signature (§8)."""
    flat = as_json(ISSUED_AND_BOUND)
    assert SdJwt.from_json(flat) == SdJwt.parse(ISSUED_AND_BOUND)
    payload = flat.pop("payload")
    general: JsonObject = {"payload": payload, "signatures": [flat]}
    assert SdJwt.from_json(general) == SdJwt.parse(ISSUED_AND_BOUND)


@pytest.mark.parametrize(
    "value",
    [
        {},
        as_json(ISSUED, header={"disclosures": "x"}),
        as_json(ISSUED, header={"disclosures": [1]}),
        as_json(ISSUED, header={"disclosures": ["a~b"]}),
        as_json(ISSUED, header={"kb_jwt": 1}),
        as_json(ISSUED, signature=None),
        as_json(ISSUED, signatures=[]),
        as_json(ISSUED, signatures=[as_json(ISSUED)]),
        {"payload": "x", "signatures": []},
        {"payload": "x", "signatures": [{}, {}]},
        {"payload": "x", "signatures": ["x"]},
        {"payload": "x", "signatures": {}},
    ],
)
def test_a_malformed_json_form(value: JsonObject):
    """Several signatures, and members of another kind, are refused."""
    with pytest.raises(SdJwtInvalid) as caught:
        SdJwt.from_json(value)
    assert caught.value.code == "sd_jwt.syntax"


# -- the holder ------------------------------------------------------------------------------------


def binding(typ: str = "kb+jwt", **changes: Json) -> SdJwt:
    shown = SdJwt.parse(ISSUED).shown
    claims = binding_claims(digest(shown), **changes)
    return SdJwt.parse(shown + sign_claims(claims, HOLDER, typ=typ))


def check(token: SdJwt, **changes: Any) -> None:
    expected = {"expected_audience": "us", "expected_nonce": "n", "now": NOW, **changes}
    verify_key_binding(token, HOLDER.verify_key, **expected)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "them"}, "presentation.domain"),
        ({"aud": ["us"]}, "presentation.domain"),
        ({"aud": None}, "presentation.domain"),
        ({"nonce": "m"}, "presentation.challenge"),
        ({"nonce": None}, "presentation.challenge"),
        ({"sd_hash": "x"}, "sd_jwt.sd_hash"),
        ({"sd_hash": None}, "sd_jwt.sd_hash"),
        ({"iat": None}, "presentation.stale"),
        ({"iat": SECONDS - 301}, "presentation.stale"),
        ({"iat": SECONDS + 61}, "jose.future"),
        ({"iat": "now"}, "jose.time"),
        ({"exp": SECONDS}, "credential.expired"),
    ],
)
def test_a_proof_of_the_holder_for_something_else(changes: JsonObject, code: str):
    """§7.3, step 5: audience, nonce, time and what was shown are each looked at."""
    check(binding())
    with pytest.raises(CredentialError) as caught:
        check(binding(**changes))
    assert caught.value.code == code


def test_the_age_of_a_proof_can_be_chosen():
    """A caller may take older proofs."""
    old = binding(iat=SECONDS - 3600)
    check(old, max_age=timedelta(hours=1))


def test_a_proof_of_another_type_or_key():
    """§7.3, steps 5b–d: typ kb+jwt, by the key that the issuer named."""
    with pytest.raises(JoseInvalid) as caught:
        check(binding("JWT"))
    assert caught.value.code == "jose.typ"
    other = EcdsaSigningKey.from_secret(Curve.P256, b"\3" * 32)
    with pytest.raises(JoseInvalid) as caught:
        check(SdJwt.parse(bind_key(ISSUED, other, audience="us", nonce="n", now=NOW)))
    assert caught.value.code == "jose.signature"


@pytest.mark.parametrize("empty", [{"expected_audience": ""}, {"expected_nonce": ""}])
def test_nothing_expected_is_an_error(empty: dict[str, str]):
    """An empty expectation is a mistake of the caller, and never met."""
    with pytest.raises(PresentationInvalid) as caught:
        check(binding(aud="", nonce=""), **empty)
    assert caught.value.code == "presentation.expectation"


def test_a_proof_cannot_stand_on_a_proof():
    """Binding is for a token that ends in ~."""
    with pytest.raises(SdJwtInvalid):
        bind_key(ISSUED_AND_BOUND, HOLDER, audience="us", nonce="n", now=NOW)


def test_without_a_proof_unless_one_is_expected():
    """Silence passes only where nothing is required, expected or there."""
    claims = reveal(SdJwt.parse(ISSUED)).claims
    nothing: dict[str, Any] = {"expected_audience": None, "expected_nonce": None, "now": NOW}
    assert not check_key_binding(SdJwt.parse(ISSUED), claims, required=False, **nothing)
    with pytest.raises(PresentationInvalid):
        check_key_binding(SdJwt.parse(ISSUED), claims, required=True, **nothing)
    with pytest.raises(PresentationInvalid):
        check_key_binding(binding(), claims, required=False, **nothing)
    with pytest.raises(PresentationInvalid):
        check_key_binding(
            SdJwt.parse(ISSUED),
            claims,
            required=False,
            expected_audience="us",
            expected_nonce="n",
            now=NOW,
        )


@pytest.mark.parametrize(
    "cnf",
    [
        None,
        {},
        {"kid": "x"},
        {"jwk": {"kty": "oct", "k": "AA"}},
        {"jwk": {**public_jwk(HOLDER.verify_key), "d": "AA"}},
        {"jwk": {**public_jwk(HOLDER.verify_key), "use": "enc"}},
        {"jwk": {**public_jwk(HOLDER.verify_key), "x": "AA"}},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(bytes(32))}},
    ],
)
def test_a_key_of_the_holder_that_is_none(cnf: Json):
    """Only a sound public key for signatures can be the holder's."""
    with pytest.raises(SdJwtInvalid) as caught:
        key_of_holder({"cnf": cnf})
    assert caught.value.code == "sd_jwt.cnf"


def test_nothing_is_told_by_printing():
    """What is withheld, and secrets of disclosures, do not get into logs by way of repr."""
    token = SdJwt.parse(ISSUED)
    text = repr(token) + repr(token.disclosures) + repr(reveal(token).disclosed)
    assert "Person" not in text
    assert token.disclosures[0].encoded not in text
    assert Disclosure.parse(A).digest == digest(A)


@pytest.mark.parametrize("value", [None, 1, [1, 2], {"a": 1}])
def test_a_claim_that_must_be_shown_is_as_it_was_signed(value: Json):
    """Neither it nor a part of it comes from a disclosure, nor is a part of it withheld."""
    inside = {list: "/claim/0", dict: "/claim/a"}.get(type(value))
    for pointer in {"/claim", inside or "/claim"}:
        issued = issue_sd_jwt({"claim": value}, KEY, disclosable={pointer}, header={})
        shown = [issued, select_disclosures(issued, set())] if pointer == inside else [issued]
        for token in map(SdJwt.parse, shown):
            assert verify_sd_jwt(token, KEY.verify_key, always_shown={"other"})
            with pytest.raises(SdJwtInvalid) as caught:
                verify_sd_jwt(token, KEY.verify_key, always_shown={"claim"})
            assert caught.value.code == "sd_jwt.always_shown"
