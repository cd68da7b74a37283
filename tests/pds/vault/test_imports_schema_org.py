"""JSON-LD of schema.org: which things become which records, and what is counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.json import JsonObject
from pds.vault.imports import ImportFailed, detect
from tests.importing import Reading, read

FIXTURES = Path(__file__).parents[2] / "fixtures" / "import"


def one(thing: Any) -> Reading:
    return read(json.dumps({"@context": "https://schema.org"} | thing).encode(), kind="jsonld")


def test_a_file_of_many_things() -> None:
    """Each known type goes to its category by the schemas' own terms; the rest is counted."""
    reading = read((FIXTURES / "schema_org.json").read_bytes())
    assert (reading.kind, reading.problems) == ("jsonld", ())
    found: dict[str, list[JsonObject]] = {}
    for draft in reading.drafts:
        found.setdefault(draft.category, []).append(draft.fields)
    assert found["contact"] == [
        {
            "name": "Kovács Réka", "givenName": "Réka", "email": "reka@kovacs.example",
            "otherEmails": ["reka2@kovacs.example", "reka3@kovacs.example"],
            "birthDate": "1990-05-07", "organization": "Fűszerkert Kft.",
            "address": {"streetAddress": "Fő utca 1.", "postalCode": "9021",
                        "addressLocality": "Győr", "addressCountry": "HU"},
        }
    ]  # fmt: skip
    assert [(f["item"], f["price"], f["date"], f["merchant"]) for f in found["purchases"]] == [
        ("Őszibarack lekvár", "1290.00", "2026-11-21", "Fűszerkert"),
        ("Törökméz", "990", "2026-11-21", "Fűszerkert"),
    ]
    assert found["purchases"][0]["quantity"] == "2"
    assert found["documents"] == [
        {"kind": "invoice", "number": "SZ-2026/1", "company": "Áramszolgáltató",
         "due": "2026-12-01", "amount": "8450.5", "currency": "HUF"}
    ]  # fmt: skip
    assert found["events"] == [
        {"title": "Hangverseny", "start": "2026-12-24T18:00:00+01:00", "location": "Dóm",
         "status": "confirmed"}
    ]  # fmt: skip
    assert found["places"] == [{"name": "Kisvendéglő", "latitude": "47.5", "longitude": "19.05"}]
    assert found["wishes"][0]["brand"] == "Zsolnay"
    assert found["travel"][0]["traveller"] == ["Kovács Réka"]
    assert dict(reading.left_out) == {"Person.ex:loyalty": 1, "Person.knows": 1, "Volcano": 1}


def test_names_short_prefixed_and_in_full() -> None:
    """The same thing, however its names are written."""
    expected = {"name": "A", "email": "a@x.example"}
    for prefix in ("", "schema:", "sdo:", "https://schema.org/", "http://schema.org/"):
        thing = {"@type": f"{prefix}Person", f"{prefix}name": "A", f"{prefix}email": "a@x.example"}
        assert one(thing).drafts[0].fields == expected
    literal = {"@type": "Person", "name": {"@value": "A", "@language": "hu"}}
    assert one(literal).drafts[0].fields == {"name": "A"}


def test_one_thing_a_list_and_a_feed() -> None:
    """The thing alone, in a list, and as the item of a feed."""
    person = {"@context": "https://schema.org", "@type": "Person", "name": "A"}
    for document in (person, [person], {"dataFeedElement": [{"item": person}]}):
        raw = json.dumps(document).encode()
        assert detect(raw) == "jsonld"
        assert [d.fields for d in read(raw).drafts] == [{"name": "A"}]


def test_other_json_is_not_taken_for_it() -> None:
    """JSON without a word of schema.org is refused."""
    with pytest.raises(ImportFailed) as caught:
        detect(b'{"@context": "https://other.example", "@type": "Person"}')
    assert caught.value.code == "import.unsupported"


@pytest.mark.parametrize(
    "thing",
    [
        {"@type": ["Person", 3, None], "name": [[[]]], "address": [1], "geo": {"latitude": {}}},
        {"@type": "Order", "acceptedOffer": [1, None, {"itemOffered": [1]}], "orderDate": {}},
        {"@type": "Order", "orderedItem": [{"price": "9" * 5000}] * 5},
        {"@type": "Invoice", "totalPaymentDue": {"price": {"price": 1}}},
        {"@type": "Event", "startDate": "2026-99-99T00:00", "name": "\ud800\x00x"},
        {"@type": "Person", "name": "x" * 100_000},
        {"@type": "Place", "geo": {"latitude": "1e400", "longitude": "NaN"}},
        {"@type": {"@type": "Person"}},
    ],
)
def test_attack_63_hostile_things(thing: JsonObject) -> None:
    """Other types, huge values, bad times: left out or refused as fields, never raised."""
    for draft in one(thing).drafts:
        assert len(json.dumps(draft.fields)) < 70_000


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "price", "address", "@value", "@id", "itemOffered", "value"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(["Person", "Order", "Invoice", "Event", "Place", "Product", "Reservation"]),
    st.dictionaries(
        st.sampled_from(["name", "email", "address", "geo", "orderDate", "acceptedOffer", "url",
                         "totalPaymentDue", "startDate", "seller", "orderedItem", "attendee"]),
        _JSON,
    ),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_any_thing(kind: str, thing: dict[str, Any]) -> None:
    """Whatever the properties hold, reading ends and records are valid."""
    one({"@type": kind} | thing)
