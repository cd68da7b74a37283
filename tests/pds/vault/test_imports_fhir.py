"""Health records: from FHIR R4 to records."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pds.db import migrate, open_plain
from pds.vault.files import MIGRATIONS
from pds.vault.imports import ImportFailed, apply, fhir_reader
from pds.vault.records import Records
from tests.importing import Reading, collect, make_plan, read

FIXTURE = Path(__file__).parents[2] / "fixtures" / "import" / "health.json"


@pytest.fixture
def records() -> Iterator[Records]:
    conn = open_plain(":memory:")
    migrate(conn, MIGRATIONS, application_id=7)
    yield Records(conn, clock=lambda: datetime(2026, 11, 21, tzinfo=UTC))
    conn.close()


def bundle(*resources: object) -> bytes:
    entries = [{"resource": resource} for resource in resources]
    return json.dumps({"resourceType": "Bundle", "entry": entries}).encode()


def of(reading: Reading, category: str) -> list[dict[str, object]]:
    return [dict(draft.fields) for draft in reading.drafts if draft.category == category]


def read_fhir(data: bytes) -> Reading:
    return collect("fhir", fhir_reader(data))


def observation(value: str) -> dict[str, object]:
    """One whose value is this JSON."""
    head = '{"resourceType":"Observation","code":{"text":"x"},"valueQuantity":{"value":'
    data = head + value + "}}"
    (found,) = of(read_fhir(data.encode()), "observations")
    return found


@pytest.mark.parametrize(
    ("name", "categories"),
    [
        (
            "alberto_atencio.json",
            {
                "contact": 1, "demographics": 1, "observations": 35, "claims": 14,
                "immunizations": 7, "encounters": 6, "conditions": 3, "procedures": 3,
                "medications": 2, "diagnostics": 1,
            },
        ),
        (
            "alejandro_riojas.json",
            {
                "contact": 1, "demographics": 1, "observations": 44, "claims": 25,
                "immunizations": 7, "encounters": 10, "conditions": 7, "procedures": 4,
                "medications": 5, "diagnostics": 4, "careplans": 1,
            },
        ),
    ],
)  # fmt: skip
def test_samples_import_whole(samples: Path, name: str, categories: dict[str, int]) -> None:
    """Every resource becomes a record or a name, without a problem."""
    reading = read(samples / "fhir-r4" / name)
    assert reading.kind == "fhir"
    assert Counter(draft.category for draft in reading.drafts) == categories
    assert reading.problem_count == 0


def test_sample_in_full(samples: Path) -> None:
    """An encounter and an observation with the names that they refer to, and who it is about."""
    reading = read(samples / "fhir-r4" / "alberto_atencio.json")
    assert of(reading, "encounters")[0] == {
        "identifier": "4ce65733-1ebc-4ca0-8b92-eaaad5ba0d61",
        "display": "Emergency Room Admission",
        "code": "50849002",
        "system": "http://snomed.info/sct",
        "kind": "emergency",
        "when": "2007-06-04T05:28:45Z",
        "end": "2007-06-04T08:47:45Z",
        "status": "finished",
        "reason": "Seizure disorder",
        "discharge": "Discharged to home care or self care (routine discharge)",
        "performer": "Dr. Del Williamson",
        "company": "BOSTON MEDICAL CENTER CORPORATION-",
    }
    assert of(reading, "observations")[0]["value"] == "178.88023499217553"
    assert of(reading, "demographics") == [
        {
            "gender": "male",
            "birthYear": "1993",
            "birthPlace": "Panama City, Panama, PA",
            "languages": ["Spanish"],
            "maritalStatus": "married",
        }
    ]


def test_fixture_in_full() -> None:
    """Parts, numbers as written, references ahead of what they mean, by history and inside."""
    reading = read(FIXTURE)
    pressure, crp, smoking = of(reading, "observations")
    assert pressure == {
        "identifier": "o1",
        "display": "Vérnyomás",
        "code": "85354-9",
        "system": "http://loinc.org",
        "kind": "vital-signs",
        "when": "2026-01-20T07:30:00Z",
        "parts": [
            {
                "display": "Systolic",
                "code": "8480-6",
                "system": "http://loinc.org",
                "value": "120.50",
                "unit": "mm[Hg]",
            },
            {"display": "Diastolic", "value": "80", "unit": "mmHg"},
        ],
        "status": "final",
        "performer": "Dr. Nagy Péter",
        "company": "Minta Kórház",
        "note": "Nyugalomban",
    }
    assert (crp["value"], crp["comparator"], crp["low"], crp["high"]) == ("0.30", "<", "0", "5.0")
    assert (crp["when"], crp["end"]) == ("2026-01", "2026-02-01")
    assert smoking["valueText"] == "Soha"
    assert of(reading, "medications") == [
        {
            "identifier": "m1",
            "display": "Szalbutamol",
            "kind": "statement",
            "status": "active",
            "dosage": "Szükség szerint",
            "dose": "1.5",
            "unit": "puff",
            "route": "inhalálva",
            "start": "2025-11-03",
            "end": "2026-01-01",
        }
    ]
    assert of(reading, "allergies")[0]["reaction"] == "Csalánkiütés; Fulladás"
    assert of(reading, "encounters")[0]["diagnosis"] == "Asztma"
    assert of(reading, "conditions")[0]["company"] == "Minta Kórház"
    assert of(reading, "diagnostics")[0]["results"] == ["o1"]
    assert of(reading, "careplans")[0]["addresses"] == ["Asztma"]
    assert of(reading, "claims")[0]["covered"] == "149.40800000000002"
    assert of(reading, "immunizations")[0]["doseNumber"] == "2"
    assert of(reading, "procedures")[0]["when"] == "1999-08"
    assert reading.problem_count == 0
    assert dict(reading.left_out) == {
        "ImagingStudy": 1,
        "Observation.derivedFrom": 1,
        "Patient.photo": 1,
    }


def test_patient_is_the_holder(records: Records) -> None:
    """Of one patient all is the holder's own, unless the holder says otherwise."""
    reading = read(FIXTURE)
    (contact,) = of(reading, "contact")
    assert contact == {
        "name": "Dr. Anna Mária Minta",
        "givenName": "Anna",
        "additionalName": "Mária",
        "familyName": "Minta",
        "honorificPrefix": "Dr.",
        "email": "anna@minta.example",
        "telephone": "+36 1 555 0100",
        "otherTelephones": ["+36 1 555 0101"],
        "address": {
            "streetAddress": "Minta utca 3.",
            "addressLocality": "Budapest",
            "postalCode": "1011",
            "addressCountry": "HU",
        },
        "birthDate": "1984-05-06",
    }
    records.add("contact", {"name": "Me"}, source="self", about="self")
    assert make_plan(reading, records).about == "self"
    assert make_plan(reading, records, about="other").about == "other"
    two = bundle(*({"resourceType": "Patient", "name": [{"text": name}]} for name in "AB"))
    assert make_plan(read(two), records).about == "other"
    assert len(read(two).assumptions) == 1


def test_same_bundle_again_adds_nothing(records: Records) -> None:
    """Records bear the id of their source; what is there is not taken twice."""
    first = apply(make_plan(read(FIXTURE), records), records)
    assert first.added == 14
    again = make_plan(read(FIXTURE), records)
    assert (again.added, again.duplicates) == (0, 14)


def test_lines_of_resources_and_a_list() -> None:
    """One resource a line (a bulk export), a list of them, or one alone."""
    one = {"resourceType": "Condition", "id": "c1", "code": {"text": "A"}}
    two = {"resourceType": "Condition", "id": "c2", "code": {"text": "B"},
           "encounter": {"reference": "Encounter/e"}}  # fmt: skip
    visit = {"resourceType": "Encounter", "id": "e", "class": {"code": "AMB"},
             "serviceProvider": {"display": "Clinic"}}  # fmt: skip
    lines = "\n".join(map(json.dumps, (one, two, visit))).encode()
    for data in (lines, json.dumps([one, two, visit]).encode()):
        reading = read(data)
        assert [c["display"] for c in of(reading, "conditions")] == ["A", "B"]
        assert of(reading, "conditions")[1]["company"] == "Clinic"
    assert [draft.line for draft in read(lines).drafts] == [1, 2, 3]
    assert len(read(json.dumps(one).encode()).drafts) == 1


def test_key_order_does_not_matter() -> None:
    """A bundle may say what it is after its entries, and its entries may come before its type."""
    inner = b'{"fullUrl":"x","resource":{"code":{"text":"A"},"resourceType":"Condition"}}'
    data = b'{"total":1,"note":"entry","entry":[' + inner + b'],"resourceType":"Bundle"}'
    assert [c["display"] for c in of(read(data), "conditions")] == ["A"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5.10", "5.10"),
        ("1e2", "100"),
        ("1.5E-3", "0.0015"),
        ("-0.5", "-0.5"),
        ("189.34136216482673", "189.34136216482673"),
        ("0.1000000000000000055", "0.1000000000000000055"),
    ],
)
def test_numbers_are_kept_as_they_are_written(written: str, value: str) -> None:
    """No float on the way: zeros stay, and no digit is invented."""
    assert observation(written)["value"] == value


@pytest.mark.parametrize("written", ["1e99", '"x"', "1" * 40, "true", "[]", "{}", "null"])
def test_value_that_is_no_number_is_left_out(written: str) -> None:
    """The observation is kept without it."""
    assert "value" not in observation(written)


@given(st.decimals(-(10**12), 10**12, places=6))
def test_decimals_that_are_written_are_read(value: Decimal) -> None:
    """Any decimal keeps every digit."""
    text = format(value, "f")
    assert Decimal(str(observation(text)["value"])) == value
    assert len(str(observation(text)["value"])) >= len(text.lstrip("-")) or value == 0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["code", "coding", "text", "reference", "value", "start", "period", "name",
                         "system", "display", "id", "low", "family", "given", "resource"]),
        inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(
    kind=st.sampled_from(
        ["Patient", "Condition", "Observation", "MedicationRequest", "Immunization", "CarePlan",
         "AllergyIntolerance", "Procedure", "Encounter", "DiagnosticReport", "Claim",
         "ExplanationOfBenefit", "Organization", "Unknown"]),
    names=st.data(),
)  # fmt: skip
def test_anything_in_the_place_of_a_value(kind: str, names: st.DataObject) -> None:
    """Whatever stands where FHIR has something else: a record, or less of one, never a fault."""
    from pds.vault.imports.fhir_records import _READ

    members = sorted(_READ.get(kind, {"name"}) | {"id", "note", "contained", "encounter"})
    resource = names.draw(st.dictionaries(st.sampled_from(members), _JSON, max_size=6))
    good = {"resourceType": "Condition", "code": {"text": "Good"}}
    reading = read_fhir(bundle({"resourceType": kind, **resource}, good))
    assert reading.drafts[-1].fields == {"display": "Good"}


def test_what_is_no_resource_is_named() -> None:
    """An entry without one, an empty one, a kind without a place."""
    lines = b'{"entry":[\n{"search":1},\n{"resource":{"resourceType":"Condition"}},\n'
    lines += b'{"resource":{"resourceType":"Basic"}},\n{"resource":{resourceType}}\n]}'
    reading = read_fhir(lines)
    assert [(p.line, p.code) for p in reading.problems] == [
        (2, "fhir.no_resource"),
        (3, "fhir.empty"),
        (5, "fhir.json"),
    ]
    assert dict(reading.left_out) == {"Basic": 1}


def test_json_that_is_no_health_record() -> None:
    """Other JSON is refused by what it is."""
    with pytest.raises(ImportFailed) as caught:
        read(b'{"a": 1}')
    assert caught.value.code == "import.unsupported"
    with pytest.raises(ImportFailed) as caught:
        read_fhir(b"[]")
    assert caught.value.code == "import.nothing_found"
