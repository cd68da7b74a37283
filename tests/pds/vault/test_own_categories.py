"""Categories that the holder makes: what may be in one, and what they are good for afterwards."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlcipher3.dbapi2 import IntegrityError

from did.json import JsonObject, parse_object
from pds.db import migrate, open_encrypted
from pds.messages.fields import PATH
from pds.vault import categories, files
from pds.vault.consent import describe, in_order
from pds.vault.keyslots import Argon2Params
from pds.vault.records import Query
from pds.vault.schemas import BUILT_IN, NAMES, Catalogue, RecordError
from pds.vault.schemas.own import MAX_OWN, name_of_file, own_name, read_own
from pds.vault.service import Vault

PASSPHRASE = "correct horse battery staple"
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
RECIPES: JsonObject = {
    "title": "Recipe",
    "x-title-hu": "Recept",
    "properties": {
        "name": {"title": "Name", "maxLength": 50},
        "cooked": {"title": "Last cooked", "format": "moment"},
        "shop": {"title": "Bought at"},
        "steps": {"title": "Steps", "type": "array", "items": {"maxLength": 500}},
        "needs": {
            "title": "Ingredients",
            "type": "array",
            "maxItems": 30,
            "items": {
                "type": "object",
                "properties": {"what": {"title": "What"}, "much": {"title": "How much"}},
                "required": ["what"],
            },
        },
        "oven": {
            "title": "Oven",
            "type": "object",
            "properties": {"degrees": {"title": "Degrees", "pattern": "^[0-9]{2,3}$"}},
        },
        "kind": {"title": "Kind", "enum": ["soup", "main", "cake"]},
    },
    "required": ["name"],
    "x-when": "cooked",
    "x-company": "shop",
    "examples": [{"name": "Goulash", "kind": "soup"}],
}
GOULASH: JsonObject = {
    "name": "Gulyás",
    "cooked": "2026-11-20",
    "shop": "Minta Bolt",
    "needs": [{"what": "beef", "much": "1 kg"}],
    "oven": {"degrees": "180"},
}


def refused(code: str) -> pytest.RaisesExc[RecordError]:
    return pytest.RaisesExc(RecordError, check=lambda error: error.code == code)


def field(**form: Any) -> JsonObject:
    """A description with one field of this form."""
    return {"title": "Secret", "properties": {"secret": {"title": "Secret", **form}}}


def test_the_least_becomes_a_whole_schema() -> None:
    """What is left out is filled in: sizes, closed groups, the other language, an IRI."""
    made = read_own("recipes", {"title": "Recipe", "properties": {"name": {"title": "Name"}}})
    schema: Any = parse_object(made.schema)
    assert made.category.name == "own-recipes"
    assert made.category.own
    assert made.category.title_hu == "Recipe"
    assert schema["additionalProperties"] is False
    assert schema["properties"]["name"]["maxLength"] == 2000
    assert schema["$id"].startswith("https://w3id.org/personal-data-store/v1/own/recipes/")
    other = read_own("recipes", {"title": "Recipe", "properties": {"name": {"title": "Title"}}})
    assert other.category.schema != made.category.schema
    assert PATH.fullmatch(made.category.fields[0].path)


def test_what_was_made_can_be_made_again_from_its_schema() -> None:
    """The schema that is kept is itself a description: it can be taken to another vault."""
    made = read_own("recipes", RECIPES)
    again = read_own("own-recipes", parse_object(made.schema))
    assert again.schema == made.schema


def test_a_catalogue_knows_own_categories_beside_the_published_ones() -> None:
    """Words, paths, time and company work for both; the published ones alone know nothing of it."""
    made = read_own("recipes", RECIPES)
    words = Catalogue({made.category.name: made.schema})
    assert words.categories()[-1].name == "own-recipes"
    assert words.describe("own-recipes", language="hu") == "Recept"
    assert words.describe("own-recipes.steps") == "Steps"
    assert words.when_of("own-recipes", GOULASH) == "2026-11-20"
    assert words.company_of("own-recipes", GOULASH) == "Minta Bolt"
    assert in_order(["shop", "x", "name"], "own-recipes", words=words) == ["name", "shop", "x"]
    assert in_order(["shop", "name"], "own-recipes") == ["name", "shop"]
    assert words.check("contact", {"name": "x"})[0] is BUILT_IN.category("contact")
    with refused("data.unknown_category"):
        BUILT_IN.category("own-recipes")
    with refused("data.unknown_path"):
        words.parse_path("own-recipes.secret")


@pytest.mark.parametrize(
    ("wrong", "code", "place"),
    [
        ({"name": "x" * 51}, "data.invalid", "own-recipes.name"),
        ({"kind": "soup"}, "data.invalid", "own-recipes.name"),
        ({"name": "x", "cooked": "2026-13"}, "data.invalid", "own-recipes.cooked"),
        ({"name": "x", "kind": "secret"}, "data.invalid", "own-recipes.kind"),
        ({"name": "x", "secret": "y"}, "data.unknown_field", "own-recipes"),
        ({"name": "x", "needs": [{"much": "y"}]}, "data.invalid", "own-recipes.needs.what"),
        ({"name": "x", "oven": {"degrees": "hot"}}, "data.invalid", "own-recipes.oven.degrees"),
        ({"name": "x", "oven": {"degrees": "180\n"}}, "data.invalid", "own-recipes.oven.degrees"),
        ({"name": "x\x00"}, "data.invalid", "own-recipes.name"),
        ({"name": 1.5}, "data.not_json", ""),
    ],
)
def test_records_are_held_against_it(wrong: JsonObject, code: str, place: str) -> None:
    """As strictly as against a published one, with the same errors."""
    made = read_own("recipes", RECIPES)
    words = Catalogue({made.category.name: made.schema})
    assert words.check("own-recipes", GOULASH)
    with pytest.raises(RecordError) as caught:
        words.check("own-recipes", wrong)
    assert (caught.value.code, caught.value.field) == (code, place)
    assert "secret" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"title": "Secret"},
        {"title": "Secret", "properties": {}},
        {"title": "", "properties": {"a": {"title": "A"}}},
        {"title": "Secret", "properties": {"a secret": {"title": "A"}}},
        {"title": "Secret", "properties": {"a.b": {"title": "A"}}},
        {"title": "Secret", "properties": {f"a{n}": {"title": "A"} for n in range(101)}},
        {"title": "Secret", "properties": {"a": {}}},
        {"title": "Secret", "properties": {"a": {"title": "A"}}, "additionalProperties": True},
        {"title": "Secret", "properties": {"a": {"title": "A"}}, "required": ["secret"]},
        {"title": "Secret", "properties": {"a": {"title": "A"}}, "x-when": "secret"},
        {"title": "Secret", "properties": {"a": {"title": "A"}}, "x-company": "secret"},
        {"title": "Secret", "properties": {"a": {"title": "A"}}, "x-special": "yes"},
        field(type="array") | {"x-when": "secret"},
        {"title": "Secret", "properties": {"a": {"title": "A"}}, "$ref": "https://secret.example"},
        {"title": "Secret", "properties": {"a": {"title": "A"}}, "examples": [{"secret": "b"}]},
        {"title": "Secret", "properties": {"a": {"title": "A"}}, "allOf": [{}]},
        field(type="number"),
        field(type="boolean"),
        field(maxLength=60_001),
        field(maxLength=1.5),
        field(minLength=9, maxLength=8),
        field(enum=[]),
        field(enum=["a", "a"]),
        field(format="email"),
        field(pattern="(?=secret)"),
        field(pattern="(secret)\\1"),
        field(pattern="(a{1000}){1000}"),
        field(pattern="("),
        field(**{"$ref": "https://secret.example/schema"}),
        field(**{"x-term": "javascript:secret"}),
        field(type="array", items={"type": "array"}),
        field(type="array", maxItems=1001),
        field(type="array", items={"$ref": "#"}),
        field(type="object", properties={"a": {"title": "A", "type": "object"}}),
        field(type="object", properties={"a": {"title": "A"}}, required=["secret"]),
        field(type="object", properties={"a": {"title": "A"}}, additionalProperties=True),
    ],
)
def test_what_is_not_bounded_closed_and_plain_is_refused(document: Any) -> None:
    """One code for all, with the place and never a word of the description itself."""
    with pytest.raises(RecordError) as caught:
        read_own("x", document)
    assert caught.value.code == "data.category_invalid"
    assert caught.value.hint
    assert "ecret" not in f"{caught.value} {caught.value.hint}".replace("/secret", "")


@pytest.mark.parametrize("name", ["", "Own", "a b", "ő", "-a", "a-", "a--b", "a.b", "x" * 37, "1a"])
def test_a_name_is_small_letters(name: str) -> None:
    """And never one that a path of a request has no room for."""
    with refused("data.category_invalid"):
        own_name(name)


def test_a_name_is_that_of_the_file_unless_it_is_said() -> None:
    """In the form that names have, and never that of a published category."""
    assert name_of_file(Path("/tmp/Wine Cellar.json")) == "own-wine-cellar"
    assert name_of_file(Path("own-recipes.json")) == "own-recipes"
    assert name_of_file(Path("contact.json")) == "own-contact"
    assert PATH.fullmatch(own_name("x" * 36))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """An empty vault."""
    Vault.create(
        tmp_path / "v", passphrase=PASSPHRASE, params=Argon2Params(memory_kib=65_536), sandbox=True
    )
    with Vault.open(tmp_path / "v", passphrase=PASSPHRASE, clock=lambda: NOW) as opened:
        yield opened


def test_an_own_category_works_like_any_other(vault: Vault) -> None:
    """Add, search, correct, list and count; its path gives values with its IRI."""
    made = vault.add_category("recipes", RECIPES)
    record = vault.add("own-recipes", GOULASH)
    assert record.schema == made.schema
    assert [r.id for r in vault.search("gulyas beef")] == [record.id]
    assert vault.edit(record.id, {"kind": "soup"}).version == 2
    assert [r.id for r in vault.records("own-recipes")] == [record.id]
    (value,) = vault._ctx.records.values("own-recipes.needs")
    assert value.value == [{"what": "beef", "much": "1 kg"}]
    assert value.schema == made.schema
    assert vault._ctx.records.has_self("own-recipes")
    assert vault._ctx.records.describe("own-recipes.oven") == "Oven"
    assert vault._ctx.records.counts() == dict.fromkeys(NAMES, 0) | {"own-recipes": 1}
    with refused("data.invalid"):
        vault.edit(record.id, {"name": None})
    with refused("data.unknown_category"):
        vault.add("own-other", GOULASH)


def test_a_company_reads_an_own_path_as_it_stands() -> None:
    """The words that a grant's digest is over are those that the company computes, too."""
    assert describe("own-recipes.name") == "own-recipes.name"


def test_a_category_in_use_stays(vault: Vault) -> None:
    """It goes when the last item is deleted; the items' history can be shown all the same."""
    vault.add_category("recipes", RECIPES)
    record = vault.add("own-recipes", GOULASH)
    with refused("data.category_used"):
        vault.remove_category("recipes")
    vault.delete(record.id)
    assert vault.remove_category("recipes") == "own-recipes"
    assert vault.history(record.id)[-1].deleted
    with refused("data.unknown_category"):
        vault.remove_category("own-recipes")
    with refused("data.category_built_in"):
        vault.remove_category("contact")
    kinds = [line.kind for line in vault.activity()]
    assert {"category added", "category removed"} <= set(kinds)
    assert vault.check() == []


def test_a_category_is_changed_only_as_its_items_allow(vault: Vault) -> None:
    """The same again is nothing new; another one of the name needs a word, and items that fit."""
    vault.add_category("recipes", RECIPES)
    assert vault.add_category("own-recipes", RECIPES).name == "own-recipes"
    assert [line.kind for line in vault.activity()].count("category added") == 1
    vault.add("own-recipes", GOULASH)
    longer = json.loads(json.dumps(RECIPES))
    longer["properties"]["rating"] = {"title": "Rating"}
    with refused("data.category_exists"):
        vault.add_category("recipes", longer)
    changed = vault.add_category("recipes", longer, replace=True)
    assert vault.add("own-recipes", {"name": "x", "rating": "5"}).schema == changed.schema
    with pytest.raises(RecordError) as caught:
        vault.add_category("recipes", RECIPES, replace=True)
    assert caught.value.code == "data.category_used"
    assert [c.schema for c in vault.catalogue().categories() if c.own] == [changed.schema]
    assert "category changed" in {line.kind for line in vault.activity()}


def test_items_are_found_by_the_description_of_today(vault: Vault) -> None:
    """Where another field now says when and with whom, items that were there are found by that, and
    say the same themselves; they get no version of it."""
    vault.add_category("recipes", RECIPES)
    item = vault.add("own-recipes", GOULASH).id
    named = Query(companies=("minta bolt",))
    there = Query(start=date(2026, 11, 20), end=date(2026, 11, 20))
    assert [r.id for q in (named, there) for r in vault.find(q).records] == [item, item]
    other = {name: value for name, value in RECIPES.items() if name not in ("x-when", "x-company")}
    vault.add_category("recipes", other, replace=True)
    assert vault.find(named).records == vault.find(there).records == ()
    assert vault.history(item) == [vault.record(item)]
    vault.add_category("recipes", RECIPES, replace=True)
    assert [r.id for q in (named, there) for r in vault.find(q).records] == [item, item]
    assert vault.check() == []


def test_a_lost_description_is_told(vault: Vault) -> None:
    """Items without the description of their category cannot be corrected or exported: ``check``
    says so, until there is one again."""
    vault.add_category("recipes", RECIPES)
    vault.add("own-recipes", GOULASH)
    with vault._ctx.transaction():
        vault._ctx.conn.execute("DELETE FROM own_categories")
    assert vault.check() == ["the description of the category own-recipes is lost: add it again"]
    vault.add_category("recipes", RECIPES)
    assert vault.check() == []


def test_a_vault_keeps_so_many_and_no_more(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end to them; a change of one that is there is none more."""
    assert MAX_OWN == 100
    monkeypatch.setattr(categories, "MAX_OWN", 2)
    for name in ("a", "b"):
        vault.add_category(name, RECIPES)
    with refused("data.category_exists"):
        vault.add_category("c", RECIPES)
    vault.add_category("a", field(), replace=True)


def test_another_program_sees_it_at_once(vault: Vault, tmp_path: Path) -> None:
    """Nothing is remembered between calls that somebody else may have changed."""
    with Vault.open(tmp_path / "v", passphrase=PASSPHRASE, clock=lambda: NOW) as other:
        vault.add_category("recipes", RECIPES)
        other.add("own-recipes", GOULASH)
        with refused("data.category_used"):
            vault.remove_category("recipes")
        other.delete(other.records()[0].id)
        vault.remove_category("recipes")
        with refused("data.unknown_category"):
            other.add("own-recipes", GOULASH)


def test_it_is_in_the_backup(tmp_path: Path, vault: Vault) -> None:
    """A restored vault knows the category and what is in it."""
    vault.add_category("recipes", RECIPES)
    record = vault.add("own-recipes", GOULASH)
    vault.backup(tmp_path / "b.pdsbackup")
    restored = Vault.restore(tmp_path / "b.pdsbackup", tmp_path / "r", passphrase=PASSPHRASE)
    with restored:
        assert restored.record(record.id).fields == GOULASH
        assert restored.catalogue().describe("own-recipes.name") == "Name"


def test_a_vault_of_before_gets_its_table(tmp_path: Path, vault: Vault) -> None:
    """The migration works on a file made by the version before."""
    key = files.unlock(tmp_path / "v", passphrase=PASSPHRASE).derive("database")
    conn = open_encrypted(tmp_path / "old.db", key, create=True)
    migrate(conn, files.MIGRATIONS[:2], application_id=files.APPLICATION_ID)
    migrate(conn, files.MIGRATIONS, application_id=files.APPLICATION_ID)
    assert conn.execute("SELECT count(*) FROM own_categories").fetchone()[0] == 0
    with pytest.raises(IntegrityError):  # a name that a published category could have
        conn.execute("INSERT INTO own_categories VALUES ('contact', '{}', '')")
    conn.close()
