"""Which company is meant, by its DID, its domain, its name, or a part of one."""

from collections.abc import Callable
from typing import Any

import click
import pytest

from pds.cli import names
from pds.cli.output import Settings
from pds.vault import relation
from pds.vault.relation import Company, find_companies

SHOP = Company("did:web:shop.example", "shop.example", ("Tekerj Kft.", "Tekerj Bt."))
BIKES = Company("did:web:bikes.example", "bikes.example", ("Tekerő Kerékpár Zrt.",))
BRANCH = Company("did:web:bikes.example:branch", "bikes.example", ("Tekerő Fiók",))


class Items:
    """Records in which one name stands."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find(self, query: Any, *, limit: int) -> Any:
        return type("Page", (), {"records": [1] * (query.companies == (self._name,))})


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Company]]:
    monkeypatch.setattr(relation, "companies", lambda _ctx: [BIKES, BRANCH, SHOP])
    ctx: Any = type("Context", (), {"records": Items("Teker")})
    return lambda text: find_companies(ctx, text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("did:web:shop.example", [SHOP]),
        ("did:web:bikes.example", [BIKES]),
        ("Shop.Example", [SHOP]),
        ("bikes.example", [BIKES, BRANCH]),
        ("tekerj kft", [SHOP]),
        ("TEKERŐ KERÉKPÁR ZRT", [BIKES]),
        ("tekerj", [SHOP]),
        ("shop", [SHOP]),
        ("kerekpar", [BIKES]),
        ("teke", [BIKES, BRANCH, SHOP]),
        ("Teker", []),  # items have just that name: it is not a part of another's
        ("", []),
        (" ", []),
        ("nobody", []),
    ],
)
def test_whom_a_text_means(
    find: Callable[[str], list[Company]], text: str, meant: list[Company]
) -> None:
    """The whole goes before a beginning, a beginning before a part; nothing means nobody."""
    assert find(text) == meant


def test_one_company_or_a_choice(
    find: Callable[[str], list[Company]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its DID; its domain where several of its DIDs are meant; the choices where it is not one."""
    vault: Any = type("Vault", (), {"companies": staticmethod(find)})
    assert names.company(Settings(), vault, "tekerj") == SHOP.did
    assert names.company(Settings(), vault, "bikes") == "bikes.example"
    assert names.company(Settings(), vault, "Corner shop") == "Corner shop"
    assert names.names_of(Settings(), vault, "shop.e") == (
        SHOP.did, "Tekerj Kft.", "Tekerj Bt.", "shop.example",
    )  # fmt: skip
    with pytest.raises(click.UsageError, match="More than one"):
        names.company(Settings(), vault, "teke")
    said = capsys.readouterr().err
    assert "  Tekerj Kft., Tekerj Bt. (shop.example)\n" in said
    assert "  Tekerő Fiók (bikes.example)\n" in said


def test_an_id_in_short() -> None:
    """What is shown is what can be typed."""
    whole = "urn:uuid:774a631f-124b-485c-ac1d-9847909e8dc1"
    assert names.whole(names.short_id(whole), [whole, "urn:uuid:" + "0" * 36]) == whole
