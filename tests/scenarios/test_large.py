"""A grant of several MiB from a vault through a real relay to a company, on both engines."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from did.json import JsonObject, parse_object
from pds.company.client import Company
from pds.mailbox import RelayError
from pds.vault.consent import Accept
from pds.vault.errors import PackageTooLarge
from pds.vault.service import Vault
from pds.wire import MIB, SEAL

from .conftest import FIXTURES, Holder, Server, Shop, free_port, make_holder, make_shop

TEXT = "A long day in the saddle. " * 2300
"""About 60 KB, near the most that one record has."""
PATH = "own-diary.text"
DAYS = 75
DPV = "https://w3id.org/dpv#"


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    if request.param == "sqlite":
        yield []
        return
    with request.getfixturevalue("postgres").schema() as conninfo:
        yield ["--database", conninfo]


@pytest.fixture(scope="module")
def place(
    engine: list[str], start: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Shop]:
    """A relay of 5 MiB, and a shop at it."""
    url = f"http://127.0.0.1:{free_port()}"
    folder = tmp_path_factory.mktemp("large")
    start("relay", "serve", "--data", str(folder / "relay"), "--url", url, "--max-sealed", "5",
          *engine)  # fmt: skip
    return url, make_shop(start, folder / "shop", url)


@pytest.fixture
def diary(place: tuple[str, Shop], tmp_path: Path) -> Holder:
    """A vault with a diary in it."""
    return make_diary(tmp_path / "vault", *place)


def make_diary(folder: Path, relay: str, shop: Shop) -> Holder:
    holder = make_holder(folder, relay, shop)
    with holder.open() as vault:
        text = {"title": "Text", "maxLength": 60_000}
        vault.add_category("diary", {"title": "Diary", "properties": {"text": text}})
    return holder


def write(vault: Vault, first: int, last: int) -> None:
    for day in range(first, last):
        vault.add("own-diary", {"text": f"{day}: {TEXT}"})


def ask(shop: Shop) -> str:
    terms = parse_object((FIXTURES / "second-request.json").read_bytes())
    support: JsonObject = terms["purposes"][0]  # type: ignore[index,call-overload,assignment]
    support["items"][0]["path"] = PATH  # type: ignore[index,call-overload]
    with shop.open() as company:
        return str(company.request({"purposes": [support]}, valid_for=timedelta(days=14)).link)


def give(vault: Vault, link: str) -> str:
    """Grant what is asked for; the DID that the company knows the holder by."""
    shown = vault.open_link(link)
    (outcome,) = vault.decide(shown.request.id, {"support": Accept(follows_changes=True)})
    assert vault.push().complete
    return str(vault.grant(str(outcome.grant_id))["issuer"])


def received(company: Company, person: str) -> list[str]:
    redeemed = company.redeem("support", person=person)
    return sorted(str(item.value) for item in redeemed.items)


def test_a_grant_of_several_mib(place: tuple[str, Shop], diary: Holder) -> None:
    """Every value arrives, once more when it has grown, and the register keeps it; beyond what the
    relay takes the holder is told, the company keeps what it has, and other grants go on."""
    _, shop = place
    with diary.open() as vault:
        write(vault, 0, DAYS)
        person = give(vault, ask(shop))
        expected = sorted(f"{day}: {TEXT}" for day in range(DAYS))
        assert sum(map(len, expected)) > 4 * MIB
    with shop.open() as company:
        assert company.collect().problems == []
        assert received(company, person) == expected
        held = company.register.data(person=person, purpose=f"{DPV}CustomerCare")
        assert sorted(str(one) for one in held[PATH]) == expected
    with diary.open() as vault:
        write(vault, DAYS, DAYS + 2)
        assert vault.restage() == 1
        assert vault.push().complete
        write(vault, DAYS + 2, DAYS + 40)
        with pytest.raises(PackageTooLarge) as caught:
            vault.restage()
        assert (caught.value.code, caught.value.queued) == ("vault.package_too_large", 0)
        assert "5 MiB" in str(caught.value)
        report = vault.sync()
        (package,) = caught.value.packages
        assert report.problems == [("vault.package_too_large", package)]
        assert report.push.complete
    with shop.open() as company:
        assert company.collect().problems == []
        assert len(received(company, person)) == DAYS + 2


def test_a_grant_of_more_than_the_relay_takes(place: tuple[str, Shop], diary: Holder) -> None:
    """It is refused before anything is changed, with what to do; with less in it, it is given."""
    url, shop = place
    with diary.open() as vault:
        write(vault, 0, 90)
        shown = vault.open_link(ask(shop))
        before = (vault.status(), vault.sharing(), len(vault.activity()))
        with pytest.raises(PackageTooLarge) as caught:
            vault.decide(shown.request.id, {"support": Accept()})
        assert caught.value.code == "vault.package_too_large"
        assert caught.value.hint
        assert (vault.status(), vault.sharing(), len(vault.activity())) == before
        assert vault._ctx.client(url).info().max_sealed == 5 * MIB + SEAL
        for record in vault.records("own-diary")[:20]:
            vault.delete(record.id)
        vault.decide(shown.request.id, {"support": Accept()})
        assert vault.push().complete


def test_what_has_grown_too_large_holds_no_rotation_up(
    place: tuple[str, Shop], diary: Holder
) -> None:
    """The relationship goes on under its new keys, the old ones are given up; the package follows
    when there is less in it."""
    _, shop = place
    with diary.open() as vault:
        write(vault, 0, 3)
        give(vault, ask(shop))
        write(vault, 3, 95)
        rotation, _ = vault.rotate_relationship("shop.example")
        assert rotation.state == "done"
        assert ("vault.package_too_large") in {code for code, _ in vault.sync().problems}
    with shop.open() as company:
        assert len(company.collect().moved) == 1
        with pytest.raises(RelayError) as caught:
            received(company, rotation.new)
        assert caught.value.code == "relay.not_found"
    with diary.open() as vault:
        for record in vault.records("own-diary", limit=93):
            vault.delete(record.id)
        report = vault.sync()
        assert (report.restaged, report.problems) == (1, [])
    with shop.open() as company:
        assert company.collect().problems == []
        assert len(received(company, rotation.new)) == 2


def test_a_relay_that_takes_less_than_before(start: Callable[..., Server], tmp_path: Path) -> None:
    """What waits to be staged is given up, with its reason, and holds back nothing else; from then
    on the vault goes by what the relay says now."""
    url = f"http://127.0.0.1:{free_port()}"
    options = ("relay", "serve", "--data", str(tmp_path / "relay"), "--url", url, "--max-sealed")
    relay = start(*options, "5")
    shop = make_shop(start, tmp_path / "shop", url)
    holder = make_diary(tmp_path / "vault", url, shop)
    with holder.open() as vault:
        write(vault, 0, 50)
        shown = vault.open_link(ask(shop))
        vault.decide(shown.request.id, {"support": Accept()})
        relay.stop()
        start(*options, "2")
        report = vault.push()
        assert (report.dropped, report.waiting) == ((("package", "relay.too_large"),), ())
        again = vault.open_link(ask(shop))
        with pytest.raises(PackageTooLarge) as caught:
            vault.decide(again.request.id, {"support": Accept()})
        assert "2 MiB" in str(caught.value)
