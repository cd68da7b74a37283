"""``pds data category``: categories of one's own, made, used and removed."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """A description in a file."""
    file = tmp_path / "Recipes.json"
    oven = {"title": "Oven", "type": "object", "properties": {"heat": {"title": "Heat"}}}
    fields = {"name": {"title": "Dish"}, "oven": oven}
    file.write_text(json.dumps({"title": "Recipe", "properties": fields}))
    return file


def test_the_life_of_a_category(cli: Any, recipes: Path) -> None:
    """Added, listed, filled, shown in its own words, refused while in use, removed."""
    assert "None yet" in cli("data", "category", "list").out
    made = cli.json("data", "category", "add", str(recipes))
    assert made["category"] == "own-recipes"
    assert made["fields"] == ["own-recipes.name", "own-recipes.oven"]
    assert "own-recipes  Recipe" in cli("data", "category", "list").out
    assert cli.json("data", "category", "list")[0]["title"] == "Recipe"
    item = cli.json("data", "add", "own-recipes", "name=Gulyás", "oven.heat=180")["id"]
    for command in (("show", item), ("list", "own-recipes"), ("search", "gulyas"), ("list",)):
        text = cli("data", *command).out
        assert "Recipe" in text
        assert "Dish: Gulyás" in text
    assert "Oven, Heat" in cli("data", "fields", "own-recipes").out
    error = cli.json("data", "category", "remove", "recipes", expect=1)
    assert error["code"] == "data.category_used"
    cli("data", "delete", item, "--yes")
    assert cli.json("data", "category", "remove", "recipes") == {"removed": "own-recipes"}
    assert "own-recipes" in cli("data", "history", item).out
    activity = cli("activity").out
    assert "You made a category of your own: own-recipes." in activity
    assert "You removed a category of your own: own-recipes." in activity


def test_a_category_is_changed_on_request_only(cli: Any, recipes: Path) -> None:
    """Another description under the same name needs ``--replace``; another name does not."""
    cli("data", "category", "add", str(recipes))
    recipes.write_text('{"title": "Dish", "properties": {"name": {"title": "Name"}}}')
    error = cli.json("data", "category", "add", str(recipes), expect=1)
    assert error["code"] == "data.category_exists"
    cli("data", "category", "add", str(recipes), "--name", "dishes")
    cli("data", "category", "add", str(recipes), "--replace")
    assert "You changed a category of your own: own-recipes." in cli("activity").out
    titles = {one["category"]: one["title"] for one in cli.json("data", "category", "list")}
    assert titles == {"own-dishes": "Dish", "own-recipes": "Dish"}
    for name in ("dishes", "recipes"):
        cli("data", "category", "remove", name)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "json.syntax"),
        ('{"title": "x"}', "data.category_invalid"),
        ('{"title": "x", "properties": {"a": {"title": "A"}}}' + " " * 65_536, "json.too_large"),
    ],
)
def test_a_file_that_describes_none_is_refused(
    cli: Any, recipes: Path, text: str, code: str
) -> None:
    """With its code, and before the vault is opened."""
    recipes.write_text(text)
    assert cli.json("data", "category", "add", str(recipes), expect=1)["code"] == code


def test_a_published_category_is_not_removed(cli: Any) -> None:
    """Nor is one that there is not."""
    for name, code in (
        ("contact", "data.category_built_in"),
        ("own-none", "data.unknown_category"),
        ("None!", "data.category_invalid"),
    ):
        assert cli.json("data", "category", "remove", name, expect=1)["code"] == code
