"""The categories: their schemas, their forms of time, and the one check of a record."""

import json
import re
from importlib import resources
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from did.json import JsonObject, canonicalize, parse_object
from pds.messages.fields import PATH
from pds.vault import schemas
from pds.vault.schemas import (
    NAMES,
    Category,
    RecordError,
    categories,
    check,
    company_of,
    schema_of,
    when_of,
)
from pds.vault.schemas.forms import FORMS, sortable

TERM = re.compile(
    r"https://schema\.org/[a-z][A-Za-z0-9]+"
    r"|http://hl7\.org/fhir/[A-Z][A-Za-z]+(\.[a-z][A-Za-z]+)+"
    r"|http://www\.w3\.org/2002/12/cal/ical#[a-z][A-Za-z]+"
    r"|http://www\.w3\.org/2006/vcard/ns#[a-z][A-Za-z]+"
    r"|https://www\.w3\.org/2018/credentials#[a-z][A-Za-z]+"
)
DPV = re.compile(r"https://w3id\.org/dpv/pd#[A-Z][A-Za-z]+")
CHANNELS = {"counterparty", "merchant", "company"}
HEALTH = {
    "conditions", "observations", "medications", "immunizations", "allergies", "procedures",
    "encounters", "diagnostics", "careplans", "claims",
}  # fmt: skip


def each() -> Any:
    return pytest.mark.parametrize("name", NAMES)


def parts(form: Any, where: str = "") -> list[tuple[str, Any]]:
    """Every schema within a schema, with its place."""
    found = [(where, form)]
    for key, inner in {**form.get("properties", {}), **form.get("$defs", {})}.items():
        found += parts(inner, f"{where}/{key}")
    if "items" in form:
        found += parts(form["items"], f"{where}/items")
    return found


@each()
def test_a_schema_is_strict_json_and_draft_2020_12(name: str) -> None:
    """The file is what a strict reader takes, named after itself, and a schema."""
    raw = (resources.files(schemas) / f"{name}.json").read_bytes()
    schema = parse_object(raw)
    assert schema == schema_of(name)
    assert schema["$id"] == f"https://w3id.org/personal-data-store/v1/schemas/{name}"
    Draft202012Validator.check_schema(schema)


@each()
def test_everything_has_a_size_and_nothing_is_open(name: str) -> None:
    """Texts, lists and groups are bounded, closed and never empty; there are no numbers."""
    for where, form in parts(schema_of(name)):
        assert set(form) & {"$ref", "type"}, where
        if "$ref" in form:
            continue
        match form["type"]:
            case "string" if "enum" in form:
                assert all(isinstance(word, str) and 0 < len(word) <= 100 for word in form["enum"])
            case "string":
                assert form["minLength"] == 1, where
                assert 1 <= form["maxLength"] <= 60_000, where
                assert form.get("format", "date") in FORMS, where
            case "array":
                assert form["minItems"] == 1, where
                assert 1 <= form["maxItems"] <= 200, where
            case kind:
                assert kind == "object", where
                assert form["additionalProperties"] is False, where
                assert form["minProperties"] == 1, where


@each()
def test_everything_has_words_in_both_languages_and_terms_in_form(name: str) -> None:
    """Titles of categories and fields are there, different fields have different ones, and what is
    said in the words of others is an IRI of theirs."""
    schema: Any = schema_of(name)
    assert DPV.fullmatch(schema["x-dpv"])
    assert schema["description"].endswith(".")
    for where, form in parts(schema):
        if "properties" in form:
            for key, member in form["properties"].items():
                for words in ("title", "x-title-hu"):
                    assert 0 < len(member[words]) <= 60, (where, key)
                    assert member[words] == member[words].strip()
                    assert member[words][0].isupper() or member[words][0].isdigit(), (where, key)
                assert TERM.fullmatch(member.get("x-term", "https://schema.org/name")), (where, key)
                assert member.get("description", ".").endswith("."), (where, key)
            for words in ("title", "x-title-hu"):
                titles = [member[words] for member in form["properties"].values()]
                assert sorted(set(titles)) == sorted(titles), (where, words)


@each()
def test_the_example_is_a_record(name: str) -> None:
    """One example for each category, and its time and other side are found in it."""
    schema: Any = schema_of(name)
    (example,) = schema["examples"]
    category, canonical = check(name, example)
    assert parse_object(canonical) == example
    if category.when in example:
        assert when_of(name, example)
    if category.company in example:
        assert company_of(name, example) == example[category.company]


@each()
def test_time_and_other_side_are_fields_of_the_right_form(name: str) -> None:
    """``x-when`` is a day or a moment; the other side has one name, but for two old words."""
    schema: Any = schema_of(name)
    category = schemas.category(name)
    if category.when is not None:
        assert schema["properties"][category.when]["format"] in FORMS
    if category.company is not None:
        assert category.company in CHANNELS
    assert (category.company == "merchant") == (name == "purchases")
    assert (category.company == "counterparty") == (name == "payments")
    if "company" in schema["properties"]:
        assert category.company == "company"
    assert category.special == (name in HEALTH)


def test_paths_are_those_of_requests_and_none_is_there_twice() -> None:
    """Each category and field can be asked for, and no built-in name looks like one's own."""
    paths = [path for c in categories() for path in (c.name, *(f.path for f in c.fields))]
    assert len(set(paths)) == len(paths)
    assert all(PATH.fullmatch(path) for path in paths)
    assert not any(name.startswith("own-") for name in NAMES)
    assert len({c.title for c in categories()}) == len({c.title_hu for c in categories()})
    assert len({c.title for c in categories()}) == len(NAMES)


# --- forms of time --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date", ["2024-02-29", "0001-01-01"], ["2023-02-29", "2024-2-29", "0000-01-01", "2024"]),
        ("partial-date", ["2024", "2024-02", "--02-29"], ["2024-13", "--02-30", "24", "2024-02-"]),
        (
            "date-time",
            ["2024-02-29T23:59:59Z"],
            ["2024-02-29T23:59:60Z", "2024-02-29T24:00:00Z", "2024-02-29T10:00:00", "2024-02-29",
             "2024-02-29T10:00:00+00:00", "2024-02-29T10:00:00z", "2024-02-29 10:00:00Z"],
        ),
        (
            "moment",
            ["2024", "2024-02", "2024-02-29", "2024-02-29T23:59:59Z"],
            ["--02-29", "2024-02-29T23:59:59", "2024-02-29T23:59Z", "2023-02-29T00:00:00Z"],
        ),
        (
            "calendar-time",
            ["2024-02-29", "2024-02-29T10:00:00", "2024-02-29T10:00:00Z",
             "2024-02-29T10:00:00+14:00", "2024-02-29T10:00:00-03:30"],
            ["2024", "2024-02-29T10:00", "2024-02-29T10:00:00+15:00", "2024-02-29T10:00:00+1:00",
             "2024-02-29T10:00:00.5", "2024-02-29T10:00:00+02:00 "],
        ),
    ],
)  # fmt: skip
def test_the_forms_of_time(form: str, good: list[str], bad: list[str]) -> None:
    """What is a day or a moment that there is, and what only looks like one."""
    holds = FORMS[form]
    assert [text for text in good if not holds(text)] == []
    assert [text for text in [*bad, "", "x", "٢٠٢٤"] if holds(text)] == []
    assert holds(7)  # another keyword refuses it


@pytest.mark.parametrize(
    ("value", "sorts_as"),
    [
        ("2024", "2024"),
        ("2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z"),
        ("2024-02-29T00:30:00+01:00", "2024-02-28T23:30:00Z"),
        ("2024-02-29T10:00:00", "2024-02-29"),
        ("--02-29", ""),
        ("0001-01-01T00:00:00+02:00", "0001-01-01"),
        ("9999-12-31T23:59:59-02:00", "9999-12-31"),
    ],
)
def test_times_sort_as_text(value: str, sorts_as: str) -> None:
    """A local time becomes UTC where its offset is known, and else only its day is said."""
    assert sortable(value) == sorts_as


def test_a_record_without_time_or_company_says_none() -> None:
    """Where the category or the record does not say, nothing is made up."""
    assert when_of("contact", {"birthDate": "1984"}) is None
    assert when_of("purchases", {}) is None
    assert when_of("events", {"start": "2026-04-02T10:00:00+02:00"}) == "2026-04-02T08:00:00Z"
    assert company_of("note", {"text": "x"}) is None
    assert company_of("purchases", {"merchant": "Bolt"}) == "Bolt"
    assert company_of("payments", {}) is None


# --- the check, against another implementation ----------------------------------------------------

ORACLES: dict[str, Draft202012Validator] = {}


def oracle(name: str) -> Draft202012Validator:
    if name not in ORACLES:
        formats = FormatChecker(formats=())
        for form, holds in FORMS.items():
            formats.checks(form)(holds)
        schema = json.loads(canonicalize(schema_of(name)))
        ORACLES[name] = Draft202012Validator(schema, format_checker=formats)
    return ORACLES[name]


CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["2024-02-29", "2024-02-30", "2024", "--02-29", "2024-02-29T10:00:00Z", "1290.00", "-1", "1,5",
     "HUF", "huf", "a@b", "a@b\n", "https://x.example/", "x.example", "javascript:x", "90.0", "181",
     "21:00-08:00", "yes", "other", "in", "back\\slash", "tab\there", "\u2028", "line\nbreak", "é"]
)  # fmt: skip
VALUES = st.recursive(
    TEXTS | st.integers(-3, 3) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def records(draw: st.DrawFn) -> tuple[str, JsonObject]:
    """A record that begins as the example and is bent in some places, or in none."""
    name = draw(st.sampled_from(NAMES))
    schema: Any = schema_of(name)
    fields: JsonObject = json.loads(json.dumps(schema["examples"][0]))
    for key in draw(st.lists(st.sampled_from(list(schema["properties"])), max_size=3)):
        match draw(st.integers(0, 5)):
            case 0:
                fields.pop(key, None)
            case 1:
                fields[key] = draw(VALUES)
            case 2:
                fields[key] = "x" * draw(st.sampled_from([1, 3, 24, 100, 101, 500, 501, 2001]))
            case 3:
                form = schema["properties"][key]
                fields[key] = draw(st.sampled_from(form["enum"])) if "enum" in form else "1"
            case 4:
                fields[draw(TEXTS)] = draw(VALUES)
            case _:
                fields[key] = draw(TEXTS)
    return name, fields


def texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *texts(item))]
    return []


@given(records())
@settings(deadline=None, max_examples=600, suppress_health_check=[HealthCheck.too_slow])
def test_the_verdict_is_that_of_another_implementation(drawn: tuple[str, JsonObject]) -> None:
    """python-jsonschema and the check agree on what is a record and on the field at fault."""
    name, fields = drawn
    errors = sorted(oracle(name).iter_errors(fields), key=lambda e: list(map(str, e.path)))
    hidden = any(CONTROL.search(text) for text in texts(fields))
    refusal: RecordError | None = None
    try:
        category, canonical = check(name, fields)
    except RecordError as error:
        refusal = error
    else:
        assert isinstance(category, Category)
        assert canonical == canonicalize(fields)
    assert (refusal is not None) == (hidden or bool(errors))
    if refusal is not None and not hidden:
        first = errors[0]
        steps = [str(step) for step in first.absolute_path if isinstance(step, str)]
        place = ".".join([name, *steps])
        if first.validator == "required":
            assert refusal.field.startswith(place)
        else:
            assert refusal.field == place
        unknown = first.validator == "additionalProperties"
        assert (refusal.code == "data.unknown_field") == unknown


@given(st.text(max_size=30))
@settings(deadline=None, max_examples=300)
def test_what_cannot_be_seen_is_found_in_any_text(text: str) -> None:
    """The look at the bytes misses no control character, and takes nothing else for one."""
    try:
        check("note", {"text": "x" + text})
    except RecordError:
        assert CONTROL.search(text) or any("\ud800" <= c <= "\udfff" for c in text)
    else:
        assert not CONTROL.search(text)


@pytest.mark.parametrize("character", ["\x00", "\b", "\x0b", "\f", "\x1f", "\x7f", "\x80", "\x9f",
                                       "\ufffe", "\uffff"])  # fmt: skip
def test_each_kind_of_control_character_is_refused(character: str) -> None:
    """In a text, in a list and in a group, with the path of the field."""
    for name, fields, field in (
        ("note", {"text": f"a{character}"}, "note.text"),
        ("contact", {"groups": ["a", f"{character}b"]}, "contact.groups"),
        ("contact", {"address": {"postalCode": character}}, "contact.address"),
    ):
        with pytest.raises(RecordError) as caught:
            check(name, fields)
        assert (caught.value.code, caught.value.field) == ("data.invalid", field)
    for harmless in ("\t", "\n", "\r", "\\b", "\\u0000", "\xa0", "\ufffd", "é"):
        check("note", {"text": f"a{harmless}"})


class Text(str):
    __slots__ = ()


def test_what_is_json_only_in_effect_is_kept_as_what_it_is() -> None:
    """A text of another class, or a list that is none, is no way around the check."""
    assert check("note", {"text": Text("x")})[1] == b'{"text":"x"}'
    with pytest.raises(RecordError):
        check("note", {"text": Text("")})
    assert check("contact", {"groups": ("a",)})[1] == b'{"groups":["a"]}'
    with pytest.raises(RecordError):
        check("contact", {"groups": ()})
    with pytest.raises(RecordError):
        check("note", [["text", "x"]])


def test_patterns_mean_the_same_to_both_for_each_character() -> None:
    """White space is what each engine takes for it: they agree, but on characters never kept."""
    pattern: Any = schema_of("contact")
    python = re.compile(pattern["properties"]["email"]["pattern"])
    differ = []
    for number in (*range(0x80), *range(0xA0, 0xD800), *range(0xE000, 0xFFFE)):
        address = f"a{chr(number)}@b"
        try:
            check("contact", {"email": address})
        except RecordError:
            if python.search(address) and not CONTROL.search(address):
                differ.append(number)
        else:
            if not python.search(address):
                differ.append(number)
    assert differ == []
