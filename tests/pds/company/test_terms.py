"""A company's own terms: errors that say where, and words about what may be a slip."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from company_world import World, read_terms

from did.json import JsonObject
from pds.company.terms import PATHS
from pds.messages.errors import MessageError
from pds.vault import schemas

DAYS = timedelta(days=14)


def _change(purpose: int, change: Callable[[Any], Any]) -> JsonObject:
    terms: Any = read_terms()
    change(terms["purposes"][purpose])
    return dict(terms)


def _refused(world: World, terms: JsonObject) -> MessageError:
    with pytest.raises(MessageError) as refused:
        world.shop.request(terms, valid_for=DAYS)
    assert world.shop.requests() == []
    return refused.value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.update(notice="by letter"), ["notice must be", "https:", "mailto:"]),
        (lambda p: p.update(purpose="DeliveryOfGoods"), ["purpose must be", "https://w3id.org/dpv#"]),
        (lambda p: p.update(processing=["Use"]), ["processing/0", "https://w3id.org/dpv#"]),
        (lambda p: p.update(reasson={"en": "x"}), ["'reasson'"]),
        (lambda p: p.pop("days"), ["days is missing"]),
        (lambda p: p["items"][2].update(path="Contact Phone"), ["item ?", "contact.email"]),
        (lambda p: p["items"][2].update(wanted=True), ["item contact.telephone", "'wanted'"]),
        (lambda p: p["items"][0].pop("reason"), ["item contact.name", "reason is missing"]),
        (lambda p: p["items"][0].update(required="yes"), ["item contact.name", "true or false"]),
        (lambda p: p["items"].append(p["items"][0]), ["same path twice"]),
        (lambda p: p["recipients"][0].update(country="Hungary"), ["recipients/0/country"]),
    ],
)  # fmt: skip
def test_an_error_names_purpose_and_place(world: World, change: Any, words: list[str]) -> None:
    """Which purpose, which item, what is expected; the code is the protocol's own."""
    error = _refused(world, _change(0, change))
    assert str(error).startswith('purpose "delivery"')
    assert "/purposes/" not in str(error)
    for word in words:
        assert word in str(error)
    assert error.hint
    assert error.code in ("message.malformed", "message.unknown_property", "request.malformed")


def test_an_error_beside_the_purposes(world: World) -> None:
    """What is wrong with no purpose of its own is named by its place."""
    error = _refused(world, read_terms() | {"purposses": []})
    assert "'purposses'" in str(error)
    assert str(_refused(world, {"purposes": ["delivery"]})) == "/purposes/0 must be an object"


@pytest.mark.parametrize(
    "term", ["https://w3id.org/dpv#DeliveryOfGods", "https://w3id.org/dpv#Use"]
)
def test_a_purpose_that_dpv_does_not_have_is_not_asked_for(world: World, term: str) -> None:
    """A slip in a term is found before it is sent; so is a term that is no purpose."""
    error = _refused(world, _change(1, lambda p: p.update(purpose=term)))
    assert error.code == "request.unknown_purpose"
    assert str(error).startswith('purpose "newsletter"')
    assert term not in str(error)


def test_a_path_that_no_published_category_has(world: World) -> None:
    """It is asked for all the same, and said; where it looks like a slip, with the likely one."""
    terms = _change(0, lambda p: p["items"].append({"path": "contact.adress", "required": False}))
    new = world.shop.request(terms, valid_for=DAYS)
    assert new.published
    (warning,) = new.warnings
    assert 'purpose "delivery"' in warning
    assert "is it contact.address?" in warning
    terms = _change(1, lambda p: p["items"].append({"path": "shoes.size", "required": False}))
    assert "shoes.size" in world.shop.request(terms, valid_for=DAYS).warnings[0]
    assert world.shop.request(read_terms(), valid_for=DAYS).warnings == ()


def test_the_published_paths_are_those_of_the_vault() -> None:
    """The list here, and the schemas that vaults have, are the same."""
    fields = {field.path for category in schemas.categories() for field in category.fields}
    assert fields | {category.name for category in schemas.categories()} == PATHS
