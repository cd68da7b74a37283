"""Duplicates: which are found and why, one made of several, and that taken back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did.json import JsonObject
from pds.vault.records import RecordError
from pds.vault.records.merging import plan_merger
from pds.vault.schemas import BUILT_IN
from pds.vault.service import Vault


def contacts(vault: Vault, *cards: Mapping[str, Any]) -> list[str]:
    return [vault.add("contact", dict(card)).id for card in cards]


def found(vault: Vault, category: str | None = None) -> list[tuple[set[str], tuple[str, ...]]]:
    return [({r.id for r in g.records}, g.reasons) for g in vault.duplicates(category)]


@pytest.mark.parametrize(
    ("one", "other", "reasons"),
    [
        ({"name": "Minta Anna", "email": "A@x.example"},
         {"name": "Anna", "otherEmails": ["a@x.example"]}, ("the same e-mail address",)),
        ({"name": "Minta Anna", "telephone": "+36 30 555 0100"},
         {"name": "anna minta", "telephone": "06-30/5550100"}, ("the same telephone number",)),
        ({"name": "Szűcs Győző", "birthDate": "1980-01-01"},
         {"givenName": "Gyozo", "familyName": "Szucs", "birthDate": "1980-01-01"},
         ("the same name and date of birth",)),
        ({"name": "Minta Anna", "email": "a@x.example"}, {"name": "Minta Anna", "telephone": "1"},
         ("the same name",)),
        ({"organization": "Minta", "telephone": "5550100"},
         {"name": "X Y", "telephone": "555 0100"},
         ("the same telephone number",)),
    ],
)  # fmt: skip
def test_what_looks_alike(
    one: JsonObject, other: JsonObject, reasons: tuple[str, ...], vault: Vault
) -> None:
    """The same address, number or name, however it is written; it says which."""
    ids = contacts(vault, one, {"name": "Someone Else"}, other)
    assert found(vault) == [({ids[0], ids[2]}, reasons)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"name": "Minta Anna", "telephone": "5550100"},
         {"name": "Kis Béla", "telephone": "5550100"}),
        ({"name": "Minta Anna", "birthDate": "1980-01-01"},
         {"name": "Minta Anna", "birthDate": "1990-01-01"}),
        ({"name": "Anna"}, {"name": "Anna", "note": "x"}),
        ({"name": "Minta Anna", "telephone": "112"}, {"name": "Anna", "telephone": "112"}),
    ],
)  # fmt: skip
def test_what_does_not(one: JsonObject, other: JsonObject, vault: Vault) -> None:
    """A flat that two share, a namesake, a first name, a short number."""
    contacts(vault, one, other)
    assert found(vault) == []


def test_you_and_somebody_else_are_no_duplicates(vault: Vault, tmp_path: Path) -> None:
    """A merger would refuse them."""
    file = tmp_path / "one.vcf"
    file.write_text("BEGIN:VCARD\nVERSION:3.0\nFN:Minta Anna\nEMAIL:a@x.example\nEND:VCARD\n")
    for about in ("self", "other"):
        plan = vault.plan_import(file, about=about)
        if about == "other":
            file.write_text(file.read_text().replace("Minta Anna", "Minta Anna Mária"))
            plan = vault.plan_import(file, about=about)
        assert vault.import_plan(plan).added == 1
    assert found(vault) == []


def test_what_many_share_shows_nothing(vault: Vault) -> None:
    """The number of a desk makes no group of a hundred."""
    contacts(vault, *({"name": f"Anna {n:03}", "telephone": "5550100"} for n in range(13)))
    assert found(vault) == []


def test_a_chain_is_one_group(vault: Vault) -> None:
    """The first is like the second, the second like the third."""
    ids = contacts(
        vault,
        {"name": "Minta Anna", "email": "a@x.example"},
        {"name": "Minta A", "email": "a@x.example", "telephone": "5550100"},
        {"name": "Minta Anna", "telephone": "5550100"},
    )
    assert found(vault, "contact") == [
        (set(ids), ("the same e-mail address", "the same name", "the same telephone number"))
    ]


def test_purchases_of_two_files(vault: Vault, tmp_path: Path) -> None:
    """Of one file two equal purchases are two; from two files they may be one."""
    for name, item in (("a", "Bread"), ("b", "bread 500 g"), ("c", "Soap")):
        row = f"2026-01-02,{item},3.50,EUR\n"
        (tmp_path / name).write_text("date,item,amount,currency\n" + row * 2)
        vault.import_plan(vault.plan_import(tmp_path / name))
    [group] = vault.duplicates("purchases")
    assert {str(r.fields["item"]) for r in group.records} == {"Bread", "bread 500 g"}
    with pytest.raises(RecordError) as caught:
        vault.duplicates("note")
    assert caught.value.code == "data.no_duplicates"


ONE: JsonObject = {
    "name": "Minta Anna", "email": "a@x.example", "birthDate": "1980-01-01", "note": "first",
    "groups": ["Work"],
}  # fmt: skip
TWO: JsonObject = {
    "name": "Anna Minta", "email": "A@X.example", "otherEmails": ["b@x.example"], "telephone": "1",
    "note": "second", "groups": ["work", "Friends"],
}  # fmt: skip
BOTH: JsonObject = ONE | {
    "otherEmails": ["b@x.example"], "telephone": "1", "note": "first\n\nsecond",
    "groups": ["Work", "Friends"],
}  # fmt: skip


def test_the_union(vault: Vault) -> None:
    """What one lacks comes from the other, lists are joined, contradictions are shown."""
    keep, other = contacts(vault, ONE, TWO)
    plan = vault.plan_merger(keep, [other])
    assert plan.fields == BOTH
    assert [(c.field, c.taken) for c in plan.conflicts] == [("name", keep)]
    for take in ({"name": other}, {"": other}):
        taken = vault.plan_merger(keep, [other], take=take)
        assert taken.fields == BOTH | {"name": "Anna Minta"}
    assert vault.record(keep).fields == ONE


def test_one_of_two_and_back(vault: Vault, tmp_path: Path) -> None:
    """Versions, labels, files and names elsewhere go along, and come back when it is undone."""
    keep, other = contacts(vault, ONE, TWO)
    vault.edit(other, {"telephone": "2"})
    vault.edit(other, {"telephone": "1"})
    vault.tag(keep, add=["mine"])
    vault.tag(other, add=["Mine", "theirs"])
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nx")
    vault.attach(other, tmp_path / "a.png")
    batch = vault.merge(vault.plan_merger(keep, [other]))
    merged = vault.record(keep)
    assert (merged.fields, merged.version, merged.tags) == (BOTH, 5, ("mine", "theirs"))
    assert [v.fields.get("telephone") for v in vault.history(keep)] == [None, "1", "2", "1", "1"]
    assert [a.record_id for a in vault.attachments()] == [keep]
    assert len(vault.records("contact")) == 1
    assert vault.check() == []
    vault.tag(keep, add=["since"])

    assert vault.undo_import(batch).restored == 2
    first = vault.record(keep)
    [second] = [r for r in vault.records("contact") if r.id != keep]
    assert (first.fields, first.tags) == (ONE, ("mine", "since"))
    assert (second.fields, second.version, second.tags) == (TWO, 3, ("Mine", "theirs"))
    assert [v.fields["telephone"] for v in vault.history(second.id)] == ["1", "2", "1"]
    assert [a.record_id for a in vault.attachments()] == [second.id]
    assert vault.check() == []
    assert vault.search("second") == [second]
    with pytest.raises(RecordError):
        vault.undo_import(batch)


def test_what_changed_since_is_not_taken_apart(vault: Vault) -> None:
    """The one that was kept was edited: it stays as it is."""
    keep, other = contacts(vault, ONE, TWO)
    batch = vault.merge(vault.plan_merger(keep, [other]))
    vault.edit(keep, {"nickname": "x"})
    assert vault.undo_import(batch).kept == 1
    assert len(vault.records("contact")) == 1


def test_an_item_that_changed_meanwhile(vault: Vault) -> None:
    """What the holder looked at is what is merged, or nothing."""
    keep, other = contacts(vault, ONE, TWO)
    plan = vault.plan_merger(keep, [other])
    vault.edit(other, {"nickname": "x"})
    with pytest.raises(RecordError) as caught:
        vault.merge(plan)
    assert caught.value.code == "data.conflict"
    assert len(vault.records("contact")) == 2


def test_a_merged_card_comes_again(vault: Vault, tmp_path: Path) -> None:
    """Cards of both phones are known by their UIDs: they add nothing; a change changes the one."""
    card = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{}\r\nFN:{}\r\nTEL:{}\r\nEND:VCARD\r\n"

    def imported(text: str) -> tuple[int, int]:
        (tmp_path / "x.vcf").write_text(text)
        done = vault.import_plan(vault.plan_import(tmp_path / "x.vcf"))
        return done.added, done.changed

    both = card.format("a", "Minta Anna", 5550100) + card.format("b", "Anna", 5550100)
    assert imported(both) == (2, 0)
    [group] = vault.duplicates()
    keep, other = (record.id for record in group.records)
    batch = vault.merge(vault.plan_merger(keep, [other]))
    assert imported(both) == (0, 0)
    assert imported(card.format("b", "Anna", 5550199)) == (0, 1)
    assert vault.record(keep).fields["telephone"] == "5550199"
    assert vault.undo_import(batch).kept == 1


def test_what_cannot_be_one(vault: Vault) -> None:
    """Another category, another person, the same item twice, too long a union."""
    keep, other = contacts(vault, ONE, TWO)
    note = vault.add("note", {"text": "x"}).id
    for others in ([note], [keep], [other, other], []):
        with pytest.raises(RecordError) as caught:
            vault.plan_merger(keep, others)
        assert caught.value.code == "data.merge"
    long = contacts(vault, {"note": "x" * 19_000}, {"note": "y" * 19_000})
    with pytest.raises(RecordError):
        vault.plan_merger(long[0], long[1:])


NAMES = st.sampled_from(["Anna", "Béla"])
CARDS = st.fixed_dictionaries(
    {"name": NAMES},
    optional={"nickname": NAMES, "telephone": st.sampled_from("123"), "note": NAMES},
)


@given(st.lists(CARDS, min_size=2, max_size=4))
def test_nothing_is_lost(cards: list[JsonObject]) -> None:
    """Every value of every item is in the union, or is named among the contradictions."""
    records: Any = [
        type("R", (), {"id": str(n), "category": "contact", "about": "self", "fields": card})()
        for n, card in enumerate(cards)
    ]
    plan = plan_merger(BUILT_IN, records[0], records[1:], take={})
    lost = {c.field for c in plan.conflicts}
    for card in cards:
        for name, value in card.items():
            rest = plan.fields.get("otherTelephones", [])
            assert isinstance(rest, list)
            kept = [plan.fields[name], *rest]
            assert name in lost or value in kept or str(value) in str(plan.fields[name])
