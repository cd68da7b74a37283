"""``pds data``: all that can be done with items, and rows that are not what they should be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from pds.cli.names import whole
from tests.importing import zip_of


def test_the_life_of_an_item(cli: Any) -> None:
    """Added, shown, corrected, its versions listed, deleted; for people and for programs."""
    made = cli.json("data", "add", "interests", "name=tea")
    assert made["fields"] == {"name": "tea"}
    assert (made["source"], made["about"], made["assurance"]) == ("self", "self", "self-declared")
    shown = cli.json("data", "show", made["id"])
    assert {"schema", "collected", "changed", "version"} <= set(shown)
    text = cli("data", "show", made["id"]).out
    for words in (
        "Interest",
        "Interest: tea",
        "Version 1 of ",
        "about you",
        "From self",
    ):
        assert words in text, text
    edited = cli.json("data", "edit", made["id"], "name=green tea", "level=high")
    assert (edited["version"], edited["restaged"]) == (2, 0)
    again = cli.json("data", "edit", made["id"], "level=")
    assert again["fields"] == {"name": "green tea"}
    assert [v["version"] for v in cli.json("data", "history", made["id"])] == [1, 2, 3]
    text = cli("data", "history", made["id"]).out
    assert text.index(": tea") < text.index("Version 1 of") < text.index(": green tea")
    assert "Version 3 of" in text
    cli("data", "delete", made["id"], expect=2)
    assert cli.json("data", "delete", made["id"], "--yes") == {"deleted": made["id"]}
    error = cli.json("data", "edit", made["id"], "name=x", expect=1)
    assert error["code"] in {"data.deleted", "data.not_found"}
    assert error["hint"]


def test_fields_from_standard_input(cli: Any) -> None:
    """With '-', the values are in no argument; null removes, and what is no JSON is refused."""
    fields = {"address": {"addressLocality": "Szeged"}}
    made = cli.json("data", "add", "contact", "-", stdin=json.dumps(fields).encode())
    assert made["fields"] == fields
    change = b'{"address": null, "name": "Ilona"}'
    assert cli.json("data", "edit", made["id"], "-", stdin=change)["fields"] == {"name": "Ilona"}
    for wrong, code in ((b"{", "json.syntax"), (b"[]", "json.not_an_object"),
                        (b'{"a":1,"a":2}', "json.duplicate_key")):  # fmt: skip
        assert cli.json("data", "add", "note", "-", stdin=wrong, expect=1)["code"] == code
    assert cli.json("data", "list", "note") == []


def test_a_list_is_its_name_again_and_again(cli: Any) -> None:
    """Texts by repeating the name, groups by numbering them; an edit gives the list as a whole."""
    made = cli.json(
        "data", "add", "contact", "name=Ilona", "groups=family", "groups=choir",
        "otherAddresses.1.addressLocality=Szeged", "otherAddresses.2.addressLocality=Eger",
        "otherAddresses.2.postalCode=3300",
    )  # fmt: skip
    assert made["fields"]["groups"] == ["family", "choir"]
    assert made["fields"]["otherAddresses"] == [
        {"addressLocality": "Szeged"}, {"addressLocality": "Eger", "postalCode": "3300"},
    ]  # fmt: skip
    again = cli.json("data", "edit", made["id"], "groups=chess", "otherAddresses=")
    assert again["fields"] == {"name": "Ilona", "groups": ["chess"]}
    one = cli.json("data", "add", "preferences", "quietDays=monday")
    assert one["fields"] == {"quietDays": ["monday"]}


@pytest.mark.parametrize(
    "typed",
    [
        ("name=a", "name=b"), ("name=", "name=b"), ("name=a", "name.x=b"),
        ("address=", "address.x=b"),
        ("groups.1=a",), ("groups.1.x=a", "groups=b"), ("otherAddresses.x.addressLocality=a",),
        ("otherAddresses.2.addressLocality=a",), ("otherAddresses.0.addressLocality=a",),
        ("otherAddresses.addressLocality=a",), ("otherAddresses=", "otherAddresses.1.x=a"),
        ("otherAddresses.1.a=x", "otherAddresses.1.a=y"), ("groups=", "groups=a"), (".=a",),
        ("a..b=c",), ("groups=a", "groups="),
    ],
)  # fmt: skip
def test_changes_that_contradict_each_other(cli: Any, typed: tuple[str, ...]) -> None:
    """Usage, not a defect, and nothing is kept."""
    cli("data", "add", "contact", *typed, expect=2)


def test_what_a_field_may_be_is_said(cli: Any, pds: Callable[..., Any]) -> None:
    """In the list of fields, and when a value does not fit."""
    text = pds("data", "fields", "household").out
    error = cli.json("data", "add", "household", "relation=boss", expect=1)
    for said in (text, error["hint"]):
        assert "spouse, partner, child" in said
    assert "boss" not in json.dumps(error)
    (listed,) = pds("--json", "data", "fields", "preferences").json
    days = next(field for field in listed["fields"] if field["name"] == "quietDays")
    assert days["list"]
    assert days["words"][0] in days["written"]
    hint = cli.json("data", "add", "preferences", "quietDays=Sunday", expect=1)["hint"]
    assert days["written"] == hint
    assert (
        "Write it as 2026-02-28."
        in (cli.json("data", "add", "purchases", "date=yesterday", expect=1)["hint"])
    )
    assert (
        "Such as anna@person.example"
        in (cli.json("data", "add", "contact", "email=anna", expect=1)["hint"])
    )
    assert "otherAddresses.1.addressLocality" in pds("data", "fields", "contact").out
    assert "(required)" in pds("data", "fields", "interests").out
    assert "(may be repeated)" in pds("data", "fields", "contact").out


def test_dotted_names_reach_inside(cli: Any) -> None:
    """``address.addressLocality=…`` sets one part; a contradiction is refused."""
    made = cli.json(
        "data", "add", "contact", "address.addressLocality=Szeged", "address.postalCode=6722"
    )
    assert made["fields"]["address"] == {"addressLocality": "Szeged", "postalCode": "6722"}
    cli("data", "add", "contact", "name=a", "name.given=b", expect=2)
    cli("data", "add", "contact", "noequals", expect=2)


def test_listing_in_pages(cli: Any) -> None:
    """The newest first; what comes after is one option away, and said on stderr."""
    everything = [item["id"] for item in cli.json("data", "list", "--limit", "1000")]
    assert len(everything) > 6
    seen: list[str] = []
    more: tuple[str, ...] = ()
    while page := cli.json("data", "list", "--limit", "5", *more):
        seen += [item["id"] for item in page]
        more = ("--after", seen[-1])
    assert seen == everything
    ran = cli("data", "list", "--limit", "5")
    assert len(ran.out.splitlines()) == 5
    after = ran.err.removeprefix("There are more: ").split()
    assert [i["id"] for i in cli.json("data", "list", "--limit", "5", *after)] == everything[5:10]
    assert cli("data", "list", "--limit", "1000").err == ""
    assert cli("data", "list", "note").out == "No items.\n"
    assert {i["category"] for i in cli.json("data", "list", "purchases")} == {"purchases"}


def test_searching(cli: Any) -> None:
    """Several words, in any order, without accents."""
    assert cli.json("data", "search", "kovacs", "ilona") == cli.json("data", "search", "ilona kov")
    assert "Full name: " in cli("data", "search", "ory").out
    assert cli("data", "search", "nosuchword").out == "Nothing found.\n"
    assert cli.json("data", "search", "nosuchword") == []


def test_filters_narrow_down_what_is_found(cli: Any) -> None:
    """Days, company, source, tag and whom it is about, on every verb that finds; and the days."""
    old = cli.json(
        "data", "add", "purchases", "item=samovar", "date=2019-03-02", "merchant=Lámpa Bt.",
        "--tag", "tax 2019",
    )  # fmt: skip
    new = cli.json("data", "add", "purchases", "item=samovar", "date=2021-03-02", "merchant=Other")
    assert (old["happened"], old["company"], old["tags"]) == (
        "2019-03-02", "Lámpa Bt.", ["tax 2019"],
    )  # fmt: skip
    assert [i["id"] for i in cli.json("data", "search", "samovar")] == [new["id"], old["id"]]
    for filters in (
        ("--company", "lampa bt"),
        ("--tag", "TAX 2019"),
        ("--from", "2019-03-02", "--to", "2019-03-02"),
        ("--source", "self", "--about", "self", "--to", "2020-01-01"),
    ):
        assert [i["id"] for i in cli.json("data", "search", "samo", *filters)] == [old["id"]]
        assert [i["id"] for i in cli.json("data", "list", "purchases", *filters)] == [old["id"]]
        assert [i["id"] for i in cli.json("data", "timeline", *filters)] == [old["id"]]
    assert cli("data", "timeline", "--tag", "tax 2019").out.startswith("2019-03-02\n  ")
    assert cli("data", "timeline", "--to", "1900-01-01").out == "Nothing happened.\n"
    cli("data", "list", "--from", "yesterday", expect=2)
    assert cli.json("data", "list", "--after", "nowhere", expect=1)["code"] == "data.cursor"


def test_labels_of_ones_own(cli: Any) -> None:
    """Given, listed with their numbers, shown, taken away; no version comes of it."""
    item = cli.json("data", "add", "note", "text=x")["id"]
    assert cli.json("data", "tag", item[:8], "car", "Tax 2024")["tags"] == ["Tax 2024", "car"]
    assert {"tag": "car", "items": 1} in cli.json("data", "tags")
    assert "car  1 item" in cli("data", "tags").out
    assert "Tags: Tax 2024, car" in cli("data", "show", item).out
    assert cli.json("data", "tag", item, "CAR", "--remove")["tags"] == ["Tax 2024"]
    assert len(cli.json("data", "history", item)) == 1
    assert cli.json("data", "tag", item, "x" * 200, expect=1)["code"] == "data.tag"


def test_what_was_true_until_a_day(cli: Any) -> None:
    """A span is shown, kept by later edits, changed at one end, and never the wrong way round."""
    item = cli.json("data", "add", "note", "text=x", "--valid-from", "2020-01-01")["id"]
    edited = cli.json("data", "edit", item, "--valid-until", "2024-05-31")
    assert (edited["validFrom"], edited["validUntil"]) == ("2020-01-01", "2024-05-31")
    assert cli.json("data", "edit", item, "text=y")["validUntil"] == "2024-05-31"
    assert "True from 2020-01-01 until 2024-05-31." in cli("data", "show", item).out
    wrong = cli.json("data", "edit", item, "--valid-until", "2019-01-01", expect=1)
    assert wrong["code"] == "data.validity"
    cli("data", "edit", item, expect=2)


def test_a_dry_run_writes_nothing(cli: Any, tmp_path: Path) -> None:
    """It tells what would happen."""
    file = tmp_path / "more.csv"
    file.write_text("date,item,amount,currency\n2026-01-02,soap,3.50,EUR\n")
    before = cli.json("status")["items"]
    told = cli.json("data", "import", str(file), "--dry-run")
    assert (told["added"], told["batch"]) == (1, None)
    assert "would be added" in cli("data", "import", str(file), "--dry-run").out
    assert cli.json("status")["items"] == before


def test_good_rows_go_in_and_bad_ones_are_listed(cli: Any, tmp_path: Path) -> None:
    """Each bad row by its line, with a code and a sentence that repeats nothing of it."""
    file = tmp_path / "rows.csv"
    file.write_text(
        "date,item,amount,currency\n"
        "2026-01-02,soap,3.50,EUR\n"
        "Canary,soap,3.50,EUR\n"
        "2026-01-03,soap,Canary,EUR\n"
        "2026-01-04,brush,4.00,EUR\n"
    )
    told = cli.json("data", "import", str(file))
    assert told["added"] == 2
    assert [problem["line"] for problem in told["problems"]] == [3, 4]
    assert told["problemCount"] == 2
    assert all(p["code"].startswith("csv.") and p["message"] for p in told["problems"])
    assert "Canary" not in cli.seen[-1].out + cli.seen[-1].err
    again = cli("data", "import", str(file))
    assert "0 items added, 2 there already; 2 problems:\n  line 3: " in again.out
    undone = cli.json("data", "undo", told["batch"], "--yes")
    assert undone == {"removed": 2, "restored": 0, "kept": 0}
    assert cli.json("data", "undo", told["batch"], "--yes", expect=1)["code"] == "data.not_found"


def test_a_malformed_card(cli: Any, tmp_path: Path) -> None:
    """What can be read of it goes in; the rest is listed."""
    file = tmp_path / "card.vcf"
    file.write_text(
        "BEGIN:VCARD\nVERSION:4.0\nFN:Ilona Canary\nBDAY:nonsense\nEND:VCARD\n"
        "BEGIN:VCARD\nVERSION:4.0\nEND:VCARD\n"
    )
    told = cli.json("data", "import", str(file))
    assert told["added"] == 1
    assert len(told["problems"]) >= 2
    assert not [p for p in told["problems"] if "nonsense" in p["message"] or not p["code"]]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "import.unreadable"),
        (b"", "import."),
        (b"\x00\xff\xfe" * 500, "import."),
        (b"just a line of text", "import."),
        (b"date,item,amount,currency\n", "import.nothing_found"),
        (b"BEGIN:VCARD\nVERSION:4.0\nFN:cut", "vcard."),
    ],
    ids=["missing", "empty", "noise", "text", "headings only", "cut"],
)
def test_files_that_cannot_be_imported(
    content: bytes | None, code: str, cli: Any, tmp_path: Path
) -> None:
    """One sentence, a hint, exit code 1; or a problem that is listed. Nothing goes in."""
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    before = cli.json("status")["items"]
    ran = cli.json("data", "import", str(file), expect=0 if code == "vcard." else 1)
    if code == "vcard.":
        assert ran["added"] == 0
        assert ran["problems"]
    else:
        assert ran["code"].startswith(code)
        assert ran["hint"]
    assert cli.json("status")["items"] == before


@pytest.mark.parametrize(
    ("name", "kind", "added", "problems"),
    [
        ("calendar.ics", "icalendar", 8, 3),
        ("statement_1252.ofx", "ofx", 7, 3),
        ("statement_v4.xml", "camt053", 4, 2),
        ("health.json", "fhir", 14, 0),
    ],
)
def test_other_kinds_of_files(name: str, kind: str, added: int, problems: int, cli: Any) -> None:
    """Calendars, bank statements and health records go in, and out again as one."""
    file = Path(__file__).parents[2] / "fixtures" / "import" / name
    told = cli.json("data", "import", str(file))
    # The patient is another by name and birth than the one whose vault this is.
    whose = "other" if kind == "fhir" else "self"
    assert (told["kind"], told["about"], told["added"]) == (kind, whose, added)
    assert told["problemCount"] == problems
    again = cli.json("data", "import", str(file), "--kind", kind)
    assert (again["added"], again["duplicates"]) == (0, added)
    undone = cli.json("data", "undo", told["batch"], "--yes")
    assert undone == {"removed": added, "restored": 0, "kept": 0}


def test_every_kind_can_be_named() -> None:
    """The list that the help shows is that of the readers."""
    from pds.cli.data import import_
    from pds.vault.imports import KINDS

    (option,) = (param for param in import_.params if param.name == "kind")
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == tuple(KINDS)


def test_columns_can_be_named(cli: Any, tmp_path: Path) -> None:
    """A file with foreign headings, with --map; a mapping to nowhere is refused."""
    file = tmp_path / "foreign.csv"
    file.write_text("Tag,Ware,Preis,Geld\n2026-01-02,Seife,3.50,EUR\n")
    mapping = [
        part
        for pair in ("Tag=purchases.date", "Ware=purchases.item", "Preis=purchases.price",
                     "Geld=purchases.currency")
        for part in ("--map", pair)
    ]  # fmt: skip
    told = cli.json("data", "import", str(file), "--kind", "csv", *mapping)
    assert told["added"] == 1, told
    error = cli.json("data", "import", str(file), "--map", "Tag=nowhere.at", expect=1)
    assert error["code"] == "import.mapping"
    assert "Categories" in error["hint"]


def test_the_form_of_the_data(cli: Any, pds: Any) -> None:
    """Without a vault: the categories, the fields of one; each of them is taken by 'data add'."""
    text = pds("data", "fields").out
    assert "contact" in text
    assert "pds data fields CATEGORY" in text
    assert "address.addressLocality" in pds("data", "fields", "contact").out
    (contact,) = pds("--json", "data", "fields", "contact").json
    names = [field["name"] for field in contact["fields"]]
    assert {"name", "email", "address.streetAddress", "address.postalCode"} <= set(names)
    cli("data", "add", "contact", *(f"{n}=x" for n in names if n.startswith("address.")))
    assert {c["category"] for c in pds("--json", "data", "fields").json} >= {"contact", "note"}
    assert pds("--json", "data", "fields", "nowhere").error["code"] == "data.unknown_category"


def test_the_beginning_of_an_id_is_enough(cli: Any) -> None:
    """Four characters or more of an id that no other item shares; fewer find nothing."""
    item = cli.json("data", "add", "note", "text=x")["id"]
    assert cli.json("data", "show", item[:8])["id"] == item
    assert cli.json("data", "edit", item[:8], "text=y")["version"] == 2
    assert len(cli.json("data", "history", item[:8])) == 2
    assert cli.json("data", "show", item[:3], expect=1)["code"] == "data.not_found"
    assert cli.json("data", "delete", item[:8], "--yes") == {"deleted": item}


def test_a_beginning_that_two_ids_share() -> None:
    """Is refused, and is not repeated."""
    ids = ["urn:uuid:abcd-1", "urn:uuid:abcd-2", "urn:uuid:f00d"]
    assert whole("f00d", ids) == whole("urn:uuid:f00d", ids) == "urn:uuid:f00d"
    assert whole("beef", ids) == "beef"
    with pytest.raises(click.UsageError, match="More than one id") as caught:
        whole("abcd", ids)
    assert "abcd" not in caught.value.message


def test_items_are_listed_with_labels(cli: Any) -> None:
    """An address in the order of a letter; what is too long is cut where one can see it."""
    made = cli.json(
        "data", "add", "contact", "address.addressCountry=HU", "address.postalCode=6722",
        "address.addressLocality=Szeged", "address.streetAddress=Tisza 1.",
    )  # fmt: skip
    assert "Postal address: Tisza 1., 6722 Szeged, HU" in cli("data", "list", "contact").out
    assert "Postal address: Tisza 1., 6722 Szeged, HU" in cli("data", "show", made["id"]).out
    cli("data", "add", "note", "text=" + "long " * 100)
    line = cli("data", "list", "note").out.rstrip()
    assert line.endswith("…")
    assert len(line) < 200


def test_a_problem_has_its_own_line(cli: Any, tmp_path: Path) -> None:
    """A birthday that is no date is reported where it stands, not where its card begins."""
    file = tmp_path / "card.vcf"
    file.write_text("BEGIN:VCARD\nVERSION:4.0\nFN:A\nBDAY:nonsense\nEND:VCARD\n")
    (problem,) = cli.json("data", "import", str(file))["problems"]
    assert problem["line"] == 4


STATEMENT = "Booking date;Amount;Currency;Balance;D/C;Colour\n"


def test_a_preview_says_of_each_column_once_what_it_becomes(cli: Any, tmp_path: Path) -> None:
    """The column of debit and credit is used, and one that is not kept is named once."""
    file = tmp_path / "statement.csv"
    file.write_text(STATEMENT + "2026-11-21;12.50;EUR;100.00;D;red\n")
    shown = cli("data", "import", str(file), "--dry-run").out
    assert "Column D/C: payments.amount" in shown
    assert "gives the amount its sign" in shown
    assert shown.count("Colour") == 1
    assert "Column Colour: not kept" in shown
    done = cli("data", "import", str(file)).out
    assert "not kept: Colour (1 value)" in done


def test_a_file_that_adds_nothing_says_why(cli: Any, tmp_path: Path) -> None:
    """Everything there already, every row refused, no rows, nothing at all."""
    file = tmp_path / "statement.csv"
    file.write_text(STATEMENT + "2026-11-21;12.50;EUR;100.00;D;red\n")
    cli("data", "import", str(file))
    assert "is there already" in cli("data", "import", str(file)).out
    file.write_text(STATEMENT + "2026-11-21;much;EUR;100.00;D;red\n")
    assert "Not one of its 1 record can be kept" in cli("data", "import", str(file)).out
    file.write_text("BEGIN:VCALENDAR\nVERSION:2.0\nEND:VCALENDAR\n")
    assert "holds no entry" in cli("data", "import", str(file)).out
    file.write_text(STATEMENT)
    assert cli.json("data", "import", str(file), expect=1)["code"] == "import.nothing_found"
    file.write_text("")
    assert cli.json("data", "import", str(file), expect=1)["code"] == "import.empty"


def test_imports_are_listed_and_undone(cli: Any, tmp_path: Path) -> None:
    """What undo would remove and keep stands in the list; what was touched since stays."""
    before = len(cli.json("data", "imports"))
    file = tmp_path / "statement.csv"
    file.write_text(STATEMENT + "".join(f"2026-11-2{n};{n}.50;EUR;1.00;D;x\n" for n in range(3)))
    batch = cli.json("data", "import", str(file))["batch"]
    item = cli.json("data", "list", "payments")[0]["id"]
    cli("data", "tag", item, "tax")
    one, *others = cli.json("data", "imports")
    assert len(others) == before
    assert (one["batch"], one["kind"], one["file"]) == (batch, "csv", "statement.csv")
    assert (one["added"], one["removable"], one["kept"]) == (3, 2, 1)
    assert "undo would remove 2, 1 touched since stays  statement.csv" in cli("data", "imports").out
    assert "2 items removed, 1 kept" in cli("data", "undo", batch, "--yes").out
    assert [r["id"] for r in cli.json("data", "list", "payments")] == [item]
    assert "; undone" in cli("data", "imports").out


def test_a_mapping_is_kept_and_known_again(cli: Any, tmp_path: Path) -> None:
    """Saved with a name, used for the next file with the same columns, listed, removed."""
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    first.write_text("Karte;Stand;Am\nPunkte Plus;1.250;21.11.2026\n")
    second.write_text("Am;KARTE;Stand\n22.11.2026;Punkte Plus;1.300\n")
    maps = [
        part
        for pair in ("Karte=loyalty.programme", "Stand=loyalty.points", "Am=loyalty.asOf")
        for part in ("--map", pair)
    ]
    assert cli.json("data", "import", str(second), "--dry-run", expect=1)["code"] == (
        "import.columns_unknown"
    )
    shown = cli.json("data", "import", str(first), *maps, "--dry-run")
    assert shown["columns"][0] == {"column": "Karte", "field": "loyalty.programme"}
    assert shown["added"] == 1
    assert cli.json("data", "mapping", "list") == []
    cli.json("data", "import", str(first), *maps, "--save-mapping", "points")
    told = cli.json("data", "import", str(second))
    assert told["added"] == 1
    assert any("'points'" in note for note in told["notes"])
    assert [r["fields"]["points"] for r in cli.json("data", "list", "loyalty")] == ["1300", "1250"]
    assert [one["name"] for one in cli.json("data", "mapping", "list")] == ["points"]
    assert cli.json("data", "mapping", "remove", "points") == {"removed": "points"}
    assert cli.json("data", "mapping", "remove", "points", expect=1)["code"] == "import.no_mapping"
    cli("data", "import", str(second), expect=1)


def test_a_table_into_a_category_of_ones_own(cli: Any, tmp_path: Path) -> None:
    """Columns go to own categories by their own forms: dates, choices."""
    described = tmp_path / "recipes.json"
    described.write_text(
        '{"title": "Recipe", "properties": {"name": {"title": "Name"},'
        ' "cooked": {"title": "Cooked", "format": "date"},'
        ' "kind": {"title": "Kind", "enum": ["soup", "main"]}}}'
    )
    cli("data", "category", "add", str(described))
    file = tmp_path / "recipes.csv"
    file.write_text("N,C,K\nGulyás,21/11/2026,Soup\n")
    told = cli.json(
        "data", "import", str(file), "--map", "N=own-recipes.name",
        "--map", "C=own-recipes.cooked", "--map", "K=own-recipes.kind",
    )  # fmt: skip
    assert told["added"] == 1
    (item,) = cli.json("data", "search", "gulyás")
    assert item["fields"] == {"name": "Gulyás", "cooked": "2026-11-21", "kind": "soup"}


def test_an_archive_is_imported_shown_and_undone(cli: Any, tmp_path: Path) -> None:
    """Problems name the file in the archive; the same archive again adds nothing."""
    file = tmp_path / "takeout.zip"
    history = '[{"title": "Watched a", "time": "2024-01-01T00:00:00Z"},\n{bad}]'
    file.write_bytes(zip_of({"Takeout/h/watch-history.json": history, "Takeout/x/y.bin": "x"}))
    shown = cli("data", "import", str(file), "--dry-run").out
    assert "1 item would be added; 1 problem:" in shown
    assert "Takeout/h/watch-history.json, line 2: " in shown
    assert "not kept: Takeout/x (1 value)" in shown
    assert "media: 1" in shown
    told = cli.json("data", "import", str(file))
    assert (told["kind"], told["added"], told["counts"]) == ("google", 1, {"media": 1})
    assert told["problems"][0]["member"] == "Takeout/h/watch-history.json"
    assert cli.json("data", "import", str(file))["duplicates"] == 1
    assert cli.json("data", "undo", told["batch"], "--yes")["removed"] == 1


def test_the_kinds_are_one_table(pds: Any) -> None:
    """Help lists what can be imported; another kind is a mistake of the command line."""
    from pds.vault.imports import KINDS

    text = pds("data", "import", "--help").out.replace("\n", "").replace(" ", "")
    assert all(kind in text for kind in KINDS)
    assert pds("data", "import", "x", "--kind", "exe").code == 2


def test_an_archive_by_ones_own_description(cli: Any, tmp_path: Path) -> None:
    """A service that is not known is read as its description says; a bad one is refused."""
    described, file = tmp_path / "shop.json", tmp_path / "export.zip"
    described.write_text(
        '{"title": "Shop", "signs": ["*"], "parts": [{"files": ["*/orders.json"], "read": "json",'
        ' "at": "orders[]", "beside": ["currency"], "make": [{"category": "purchases",'
        ' "if": ["!cancelled", "kind=sale"], "each": "items", "fields": {"merchant": "=Shop",'
        ' "item": "name", "price": "price.gross -> amount", "date": "^.created -> day",'
        ' "currency": "@currency"}}]}]}'
    )
    orders = {
        "currency": "EUR",
        "orders": [
            {"kind": "sale", "created": "2026-11-21", "items": [
                {"name": "Soap", "price": {"gross": 3.50}}, {"name": "Tea"}]},
            {"kind": "sale", "cancelled": True, "items": [{"name": "x"}]},
            {"kind": "gift", "items": [{"name": "x"}]},
        ],
    }  # fmt: skip
    file.write_bytes(zip_of({"data/orders.json": json.dumps(orders)}))
    told = cli.json("data", "import", str(file), "--describe", str(described))
    assert (told["kind"], told["added"], told["notes"]) == (
        "shop", 2, ["not kept: data (2 values)"])  # fmt: skip
    items = [r["fields"] for r in cli.json("data", "list", "purchases")]
    assert {"merchant": "Shop", "item": "Soap", "price": "3.5", "date": "2026-11-21",
            "currency": "EUR"} in items  # fmt: skip
    alone = tmp_path / "orders.json"
    alone.write_text(json.dumps(orders))
    again = cli.json("data", "import", str(alone), "--describe", str(described))
    assert (again["added"], again["duplicates"]) == (0, 2)
    for bad in ("[]", "{}", '{"title": 1, "signs": 5, "parts": []}', '{"parts": [3]}'):
        described.write_text(bad)
        error = cli.json("data", "import", str(file), "--describe", str(described), expect=1)
        assert error["code"] == "import.description"
    assert cli("data", "import", str(file), "--describe", str(described), "--kind", "csv", expect=2)


def test_duplicates_are_found_and_merged(cli: Any) -> None:
    """Found with a reason; contradictions must be settled; undo gives both back."""
    one = cli.json("data", "add", "contact", "name=Anna Minta", "email=a@x.example")["id"]
    two = cli.json("data", "add", "contact", "name=Minta Anna", "email=A@x.example")["id"]
    assert f"pds data merge {one} {two}" in cli("data", "duplicates").out
    [group] = cli.json("data", "duplicates", "contact")
    assert group["reasons"] == ["the same e-mail address"]
    assert cli.json("data", "merge", one, two, "--yes", expect=1)["code"] == "data.contradiction"
    shown = cli.json("data", "merge", one, two, "--dry-run")
    assert (shown["batch"], shown["conflicts"][0]["field"]) == (None, "name")
    done = cli.json("data", "merge", one, two, "--yes", "--take", f"name={two}")
    assert done["fields"] == {"name": "Minta Anna", "email": "a@x.example"}
    assert cli("data", "duplicates").out == "Nothing looks like a duplicate.\n"
    undone = cli.json("data", "undo", done["batch"], "--yes")
    assert undone == {"removed": 0, "restored": 2, "kept": 0}
    assert len(cli.json("data", "list", "contact")) == 3


def test_a_card_that_changed(cli: Any, tmp_path: Path) -> None:
    """The preview and the import say what is changed, older, or yours."""
    file = tmp_path / "card.vcf"
    card = "BEGIN:VCARD\nVERSION:4.0\nUID:a\nREV:2026010{}T000000Z\nFN:{}\nEND:VCARD\n"
    file.write_text(card.format(2, "Anna"))
    cli("data", "import", str(file))
    file.write_text(card.format(3, "Anna B"))
    assert "0 items would be added, 1 changed." in cli("data", "import", str(file), "--dry-run").out
    assert cli.json("data", "import", str(file))["changed"] == 1
    file.write_text(card.format(1, "Anna C"))
    assert "1 part older than your items" in cli("data", "import", str(file)).out
    [item] = cli.json("data", "search", "Anna")
    cli("data", "edit", item["id"], "name=Me")
    file.write_text(card.format(4, "Anna D"))
    told = cli("data", "import", str(file))
    assert "contact.name: you changed it in 1 item, and the file did too; yours stays" in told.out


def test_a_card_that_changed_is_told_and_listed(cli: Any, tmp_path: Path) -> None:
    """The preview says whose card it is taken for, and the list what an import changed."""
    file = tmp_path / "one.vcf"
    card = "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:urn:uuid:{id}\r\nFN:Minta Anna\r\n{more}END:VCARD\r\n"
    name = "3f0a1c52-7a70-4a0b-9c4e-0f1f6f6f7a11"
    file.write_text(card.format(id=name, more=""))
    assert "the one card: taken for" in cli("data", "import", str(file), "--dry-run").out
    cli("data", "import", str(file))
    file.write_text(card.format(id=name, more="TEL:+36301234567\r\n"))
    told = cli("data", "import", str(file)).out
    assert "1 changed" in told
    assert "is there already" not in told
    assert cli.json("data", "imports")[0]["changed"] == 1
    assert "0 items, 1 changed; undo would remove 0 and restore 1" in cli("data", "imports").out


def _cards(tmp_path: Path, *names: str) -> Path:
    file = tmp_path / "cards.vcf"
    file.write_text(
        "".join(
            f"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:{name}\r\nFN:{name}\r\nEND:VCARD\r\n"
            for name in names
        )
    )
    return file


def test_whom_items_are_about(cli: Any, tmp_path: Path) -> None:
    """Changed for one, for several, for a whole import; what is someone else's is not the
    holder's to hand out, and no version is made."""
    batch = cli.json("data", "import", str(_cards(tmp_path, "Anna", "Bela")))["batch"]
    ids = [r["id"] for r in cli.json("data", "list", "contact", "--about", "other")]
    assert len(ids) == 2
    assert cli.json("data", "about", "self", *(one[:10] for one in ids))["changed"] == 2
    assert cli.json("data", "list", "contact", "--about", "other") == []
    assert cli.json("data", "about", "self", ids[0])["changed"] == 0
    assert "1 item is about someone else now." in cli("data", "about", "other", ids[0]).out
    assert "already" in cli("data", "about", "other", ids[0]).out
    assert cli.json("data", "show", ids[0])["version"] == 1
    assert cli.json("data", "show", ids[0])["about"] == "other"
    assert cli.json("data", "about", "other", "--import", batch)["changed"] == 1
    lines = cli("activity").out
    assert "You said whom an item is about, someone else: Contact." in lines
    assert "You said of an import whom it is about, someone else: 1 item." in lines
    assert cli.json("vault", "check")["sound"]
    error = cli.json("data", "about", "self", ids[0], "A" * 22, expect=1)
    assert error["code"] == "data.not_found"
    assert cli.json("data", "show", ids[0])["about"] == "other"
    assert cli.json("data", "about", "self", "--import", "x", expect=1)["code"] == "data.not_found"
    cli("data", "about", "self", expect=2)
    cli("data", "about", "self", ids[0], "--import", batch, expect=2)


def test_what_is_known_stays_whose_it_is_and_that_is_said(cli: Any, tmp_path: Path) -> None:
    """``--about`` is for what is new. A known item keeps whom it is about, corrected or not, and
    the command that changes it is named and does so."""
    file = _cards(tmp_path, "Anna", "Bela", "Cili")
    batch = cli.json("data", "import", str(file), "--about", "self")["batch"]
    ids = [r["id"] for r in cli.json("data", "list", "contact", "--about", "self")][:3]
    cli("data", "edit", ids[0], "email=a@person.example")
    for more in (("--dry-run",), ()):
        ran = cli("data", "import", str(file), "--about", "other", *more)
        assert f"3 items that you have already stay about you; to change that: {_verb(batch)}" in (
            ran.out
        )
    told = cli.json("data", "import", str(file), "--about", "other")
    assert told["keepAbout"] == [{"batch": batch, "items": 3}]
    assert cli.json(*_verb(batch).split()[1:])["changed"] == 3
    assert cli.json("data", "import", str(file), "--about", "other")["keepAbout"] == []
    assert "stay about" not in cli("data", "import", str(file)).out


def _verb(batch: str) -> str:
    return f"pds data about other --import {batch}"


def test_what_an_undo_would_do_is_what_it_does(cli: Any, tmp_path: Path) -> None:
    """Items that were touched again after an import had changed them are counted as staying, in
    the import that changed them and in the one that brought them."""
    first = cli.json("data", "import", str(_cards(tmp_path, "Anna", "Bela", "Cili")))["batch"]
    text = (tmp_path / "cards.vcf").read_text()
    for n in (1, 2):
        text = text.replace("END:VCARD", f"TEL:+3630123456{n}\r\nEND:VCARD", 1 + (n == 1))
        (tmp_path / "cards.vcf").write_text(text)
        cli("data", "import", str(tmp_path / "cards.vcf"))
    for batch in [one["batch"] for one in cli.json("data", "imports")][:3]:
        (one,) = [row for row in cli.json("data", "imports") if row["batch"] == batch]
        if batch != first:
            line = next(x for x in cli("data", "imports").out.splitlines() if batch in x)
            assert ("touched since stay" in line) == bool(one["kept"])
        done = cli.json("data", "undo", batch, "--yes")
        assert (one["removable"], one["restorable"], one["kept"]) == (
            done["removed"], done["restored"], done["kept"],
        )  # fmt: skip


def test_a_change_that_was_touched_again_is_counted(cli: Any, tmp_path: Path) -> None:
    """The list says beforehand what undoing will leave."""
    file = _cards(tmp_path, "Anna", "Bela")
    first = cli.json("data", "import", str(file))["batch"]
    file.write_text(file.read_text().replace("END:", "TEL:+36301234567\r\nEND:"))
    second = cli.json("data", "import", str(file))["batch"]
    item = cli.json("data", "list", "contact", "--about", "other")[0]["id"]
    cli("data", "edit", item, "email=a@person.example")
    rows = {row["batch"]: row for row in cli.json("data", "imports")}
    assert [rows[second][x] for x in ("removable", "restorable", "kept")] == [0, 1, 1]
    assert [rows[first][x] for x in ("removable", "restorable", "kept")] == [0, 0, 2]
    listed = cli("data", "imports").out
    assert "undo would remove 0 and restore 1, 1 touched since stays" in listed
    done = cli.json("data", "undo", second, "--yes")
    assert (done["removed"], done["restored"], done["kept"]) == (0, 1, 1)


def test_a_merger_is_listed_until_it_is_taken_back(cli: Any) -> None:
    """By what it is taken back, what it made, and whether that can still be done."""
    ids = [cli.json("data", "add", "contact", f"name={n}")["id"] for n in ("Anna A", "Anna B")]
    batch = cli.json("data", "merge", *ids, "--yes", "--take", ids[0])["batch"]
    row = next(one for one in cli.json("data", "imports") if one["batch"] == batch)
    assert (row["kind"], row["item"], row["items"], row["restorable"]) == ("merge", ids[0], 2, 2)
    line = f"{batch}  merge  2 items became {ids[0]}; undo would make 2 of it again"
    assert line in cli("data", "imports").out
    cli("data", "edit", ids[0], "email=a@person.example")
    row = next(one for one in cli.json("data", "imports") if one["batch"] == batch)
    assert (row["restorable"], row["kept"]) == (0, 1)
    assert "changed since, and so it stays" in cli("data", "imports").out
    ids = [cli.json("data", "add", "contact", f"name={n}")["id"] for n in ("Bela A", "Bela B")]
    batch = cli.json("data", "merge", *ids, "--yes", "--take", ids[0])["batch"]
    cli("data", "undo", batch, "--yes")
    assert batch not in cli("data", "imports").out
