"""What a credential refers to: related resources by digest, and JSON Schemas."""

import base64
import hashlib
import json

import pytest

from credentials.errors import RelatedInvalid, StructureInvalid
from credentials.issue import issue_credential
from credentials.status import WITHOUT_STATUS
from credentials.verify import verify_credential
from did.multikey import b64url_encode, base58btc_encode, multihash_sha256

RESOURCE = b"an image, say"
URL = "https://issuer.example/image.png"
SCHEMA_URL = "https://issuer.example/schema.json"


def _sri(name="sha384", data=RESOURCE):
    return f"{name}-" + base64.b64encode(hashlib.new(name, data).digest()).decode()


def _verify(key, now, *, fetch, **more):
    signed = issue_credential(
        {"credentialSubject": {"id": "urn:x:1", "age": 20}, **more}, key, now=now
    )
    return verify_credential(signed, now=now, status=WITHOUT_STATUS, schemas=fetch, resources=fetch)


def _multihash(code, name):
    return "z" + base58btc_encode(code + hashlib.new(name, RESOURCE).digest())


@pytest.mark.parametrize(
    "digest",
    [
        {"digestSRI": _sri("sha256")},
        {"digestSRI": _sri("sha384")},
        {"digestSRI": _sri("sha512")},
        {"digestSRI": _sri("sha256", b"weaker and wrong") + " " + _sri("sha512")},
        {"digestMultibase": multihash_sha256(RESOURCE)},
        {"digestMultibase": _multihash(b"\x20\x30", "sha384")},
        {"digestMultibase": _multihash(b"\x13\x40", "sha512")},
        {"digestSRI": _sri(), "digestMultibase": multihash_sha256(RESOURCE)},
    ],
)
def test_a_resource_is_held_against_its_digest(digest, key, now):
    asked = []

    def fetch(url):
        asked.append(url)
        return RESOURCE

    related = {"id": URL, **digest}
    assert _verify(key, now, fetch=fetch, relatedResource=related).checked_resources is True
    assert asked == [URL]
    with pytest.raises(RelatedInvalid) as caught:
        _verify(key, now, fetch=lambda _: RESOURCE + b"!", relatedResource=related)
    assert caught.value.code == "related.digest"
    assert caught.value.pointer == "/relatedResource/0"


def test_of_two_digests_both_count(key, now):
    related = {"id": URL, "digestSRI": _sri(), "digestMultibase": multihash_sha256(b"other")}
    with pytest.raises(RelatedInvalid) as caught:
        _verify(key, now, fetch=lambda _: RESOURCE, relatedResource=related)
    assert caught.value.code == "related.digest"


@pytest.mark.parametrize(
    "digest",
    [
        {"digestSRI": "md5-abc"},
        {"digestSRI": "x"},
        {"digestMultibase": "u" + b64url_encode(b"\x11\x14" + bytes(20))},
        {"digestMultibase": "not multibase"},
        {"digestMultibase": "u" + b64url_encode(b"\x12\x20" + bytes(31))},
        {"digestSRI": _sri(), "digestMultibase": "f00"},
    ],
)
def test_a_digest_of_an_unknown_kind_is_not_a_yes(digest, key, now):
    with pytest.raises(RelatedInvalid) as caught:
        _verify(key, now, fetch=lambda _: RESOURCE, relatedResource={"id": URL, **digest})
    assert caught.value.code == "related.unsupported"


@pytest.mark.parametrize("digest", ["sha256-!", "sha256-\u00e9"])
def test_a_digest_that_is_not_base64_is_refused(digest, key, now):
    """Letters beyond ASCII included, of which the decoder says so in another way."""
    with pytest.raises(StructureInvalid):
        _verify(
            key, now, fetch=lambda _: RESOURCE, relatedResource={"id": URL, "digestSRI": digest}
        )


def test_what_cannot_be_had_is_said_to_be_unavailable(key, now):
    def away(_url):
        raise OSError

    related = {"id": URL, "digestSRI": _sri()}
    with pytest.raises(RelatedInvalid) as caught:
        _verify(key, now, fetch=away, relatedResource=related)
    assert caught.value.code == "related.unavailable"


def test_without_a_way_to_fetch_nothing_is_checked_and_that_is_said(key, now):
    related = {"id": URL, "digestSRI": _sri()}
    found = _verify(key, now, fetch=None, relatedResource=related)
    assert (found.checked_resources, found.checked_schemas) == (False, False)


def _schema(**changes):
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "credentialSubject": {
                "type": "object",
                "properties": {"age": {"type": "integer", "minimum": 18}},
                "required": ["age"],
            }
        },
        **changes,
    }
    return json.dumps(schema).encode()


def _against(schema, key, now, **subject):
    return _verify(
        key,
        now,
        fetch=lambda _: schema,
        credentialSchema={"id": SCHEMA_URL, "type": "JsonSchema"},
        credentialSubject={"id": "urn:x:1", "age": 20, **subject},
    )


@pytest.mark.parametrize(
    "dialect",
    [
        "https://json-schema.org/draft/2020-12/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "http://json-schema.org/draft-07/schema#",
    ],
)
def test_a_credential_is_held_against_its_schema(dialect, key, now):
    schema = _schema(**{"$schema": dialect})
    assert _against(schema, key, now).checked_schemas is True
    with pytest.raises(RelatedInvalid) as caught:
        _against(schema, key, now, age=17)
    assert caught.value.code == "schema.mismatch"
    assert caught.value.pointer == "/credentialSubject/age"
    assert "17" not in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        (b"[]", "schema.invalid"),
        (b"{", "schema.invalid"),
        (b"{}", "schema.unsupported"),
        (_schema(**{"$schema": "https://elsewhere.example/schema"}), "schema.unsupported"),
        (_schema(type=5), "schema.invalid"),
        (_schema(**{"$ref": "https://elsewhere.example/schema"}), "schema.invalid"),
        (_schema(**{"$ref": "#"}), "schema.invalid"),
        (_schema(patternProperties={"a": {}}), "schema.unsupported"),
        (_schema(PP={"a": {}}).replace(b"PP", rb"pattern\u0050roperties"), "schema.unsupported"),
        (_schema(properties={"id": {"pattern": "(?=a)b"}}), "schema.unsupported"),
    ],
)
def test_a_schema_that_cannot_be_used_is_not_a_yes(schema, code, key, now):
    with pytest.raises(RelatedInvalid) as caught:
        _against(schema, key, now)
    assert caught.value.code == code


def test_a_schema_of_another_type_is_not_a_yes(key, now):
    with pytest.raises(RelatedInvalid) as caught:
        _verify(
            key,
            now,
            fetch=lambda _: _schema(),
            credentialSchema={"id": SCHEMA_URL, "type": "JsonSchemaCredential"},
        )
    assert caught.value.code == "schema.unsupported"


def test_a_schema_with_a_digest_is_held_against_it(key, now):
    for digest in (
        {"digestSRI": _sri(data=_schema())},
        {"digestMultibase": multihash_sha256(_schema())},
    ):
        reference = {"id": SCHEMA_URL, "type": "JsonSchema", **digest}
        _verify(key, now, fetch=lambda _: _schema(), credentialSchema=reference)
        with pytest.raises(RelatedInvalid) as caught:
            _verify(key, now, fetch=lambda _: _schema(title="x"), credentialSchema=reference)
        assert caught.value.code == "related.digest"


def test_a_pattern_says_nothing_of_what_is_no_text(key, now):
    schema = _schema(properties={"credentialSubject": {"pattern": "^x$"}})
    assert _against(schema, key, now).checked_schemas is True


def test_a_pattern_is_matched_in_linear_time(key, now):
    """In Python's own way this would take longer than anybody lives."""
    name = {"type": "string", "pattern": "^(a+)+$"}
    schema = _schema(properties={"credentialSubject": {"properties": {"name": name}}})
    assert _against(schema, key, now, name="a" * 4000).checked_schemas is True
    with pytest.raises(RelatedInvalid) as caught:
        _against(schema, key, now, name="a" * 4000 + "!")
    assert caught.value.code == "schema.mismatch"


@pytest.mark.parametrize(
    "schema",
    [
        {
            "$defs": {
                **{f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)},
                "a40": {},
            },
            "$ref": "#/$defs/a0",
        },
        {"properties": {"credentialSubject": {"properties": {"many": {"uniqueItems": True}}}}},
        {"type": [{}] * 3000},
    ],
)
def test_a_schema_that_doubles_its_work_ends(schema, key, now):
    many = [{"a": number} for number in range(3000)]
    with pytest.raises(RelatedInvalid) as caught:
        _against(_schema(**schema), key, now, many=many)
    assert caught.value.code == "schema.invalid"
