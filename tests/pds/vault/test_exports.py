"""The open archive: what it holds, that people and programs can read it, and that it comes back."""

import csv
import hashlib
import io
import json
import os
import re
import signal
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from did.json import JsonObject, parse_object
from did.multikey import b64url_decode
from pds.log.entry import leaf_of
from pds.log.tree import MemoryNodes, Tree
from pds.vault.attachments.folder import Folder
from pds.vault.categories import add as add_category
from pds.vault.context import Context
from pds.vault.errors import NotFound, VaultError
from pds.vault.exports import (
    Exported,
    archive,
    calendar,
    open_export,
    pages,
    read,
    take_in,
    write,
    write_export,
)
from pds.vault.exports.jsonld import term_iri
from pds.vault.exports.lines import line as content_line
from pds.vault.formulas import defuse, restored
from pds.vault.imported import imported
from pds.vault.records import Validity
from pds.vault.records.model import ALWAYS
from pds.vault.schemas import RecordError, categories, schema_of
from tests.importing import read_csv, read_vcard

from .export_world import NOW, drafts, histories, make_context

SLOW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    made = make_context(files_in=tmp_path_factory.mktemp("files") / "attachments")
    yield made
    made.conn.close()


@pytest.fixture
def filled(ctx: Context) -> Context:
    """A card, corrected once; a purchase; an interest that was deleted."""
    with ctx.transaction():
        card = ctx.records.add(
            "contact",
            {"name": "Őry Ilona", "email": "ilona@posta.example", "telephone": "+36 30 555 0142"},
            source="import/vcard",
        )
        ctx.records.edit(card.id, {"name": "Kovács-Őry Ilona"})
        ctx.records.add(
            "purchases", {"item": "=1+1", "price": "-12.50", "currency": "HUF"}, source="self"
        )
        gone = ctx.records.add("interests", {"name": "secretly deleted"}, source="self")
        ctx.records.delete(gone.id)
        for kind in ("added", "edited", "deleted"):
            ctx.log(kind, card.id, {"category": "contact"})
    return ctx


def export(ctx: Context, folder: Path, name: str = "out.zip", **more: Any) -> zipfile.ZipFile:
    write_export(ctx, folder / name, **more)
    return zipfile.ZipFile(folder / name)


# --- everything that went in comes out ----------------------------------------------------------


def with_file(ctx: Context, content: bytes, name: str) -> tuple[str, str]:
    """The id of a new item, and of the file that it has."""
    item = ctx.records.add("note", {"title": "with a file", "text": "x"}, source="self")
    with ctx.transaction():
        kept = ctx.attachments.attach_bytes(item.id, content, name)
    return item.id, kept.id


def detach(ctx: Context, attachment: str) -> None:
    """As the vault does it."""
    with ctx.transaction():
        record = ctx.attachments.remove(attachment)
        ctx.log("detached", record, {"attachment": attachment})


def test_a_file_that_was_removed_stays_removed(ctx: Context, tmp_path: Path) -> None:
    """An archive from before does not bring it back, into the same vault or into another one that
    had taken it from there; every other file stays what it is."""
    item, gone = with_file(ctx, b"%PDF-1.7 bill", "bill.pdf")
    export(ctx, tmp_path, "old.zip").close()
    detach(ctx, gone)
    taken = take_in(ctx, tmp_path / "old.zip")
    assert (taken.removed, taken.problems) == (1, [])
    assert ctx.attachments.of(item) == []

    other = make_context(files_in=tmp_path / "other")
    take_in(other, tmp_path / "old.zip")
    [file] = other.attachments.of(item)
    assert file.id == gone  # as in the vault that it came from
    detach(other, file.id)
    assert take_in(other, tmp_path / "old.zip").removed == 1
    assert other.attachments.of(item) == []
    other.conn.close()


def test_that_a_file_was_removed_comes_along(ctx: Context, tmp_path: Path) -> None:
    """The newer archive says that it is gone; an older one, taken in later, does not bring it. A
    vault that has the file keeps it and is told. Items count as untouched by that."""
    item, gone = with_file(ctx, b"%PDF-1.7 bill", "bill.pdf")
    export(ctx, tmp_path, "old.zip").close()
    detach(ctx, gone)
    export(ctx, tmp_path, "new.zip").close()

    other = make_context(files_in=tmp_path / "other")
    for name in ("new.zip", "new.zip"):
        assert take_in(other, tmp_path / name).problems == []
    assert take_in(other, tmp_path / "old.zip").removed == 1
    assert other.attachments.of(item) == []
    assert [e.kind for e in other.history.entries()].count("detached elsewhere") == 1
    assert [(one.removable, one.kept) for one in imported(other)] == [(1, 0)]
    other.conn.close()

    third = make_context(files_in=tmp_path / "third")
    take_in(third, tmp_path / "old.zip")
    [(_, problem)] = take_in(third, tmp_path / "new.zip").problems
    assert problem.code == "data.conflict"
    assert [one.id for one in third.attachments.of(item)] == [gone]
    third.conn.close()


@SLOW
@given(data=st.data())
def test_everything_comes_back(data: st.DataObject, tmp_path: Path) -> None:
    """Records of every category, edited and deleted at will, are the same in another vault."""
    one, other = make_context(), make_context(datetime(2030, 1, 1, tzinfo=UTC))
    target = tmp_path / "round.zip"
    target.unlink(missing_ok=True)
    try:
        for category, fields in data.draw(st.lists(drafts(), min_size=1, max_size=6)):
            record = one.records.add(
                category,
                fields,
                source=data.draw(st.sampled_from(["self", "import/csv", "company"])),
                about=data.draw(st.sampled_from(["self", "other"])),
                assurance=data.draw(st.sampled_from(["self-declared", "attested", "inferred"])),
                validity=data.draw(st.sampled_from([ALWAYS, Validity(date(2020, 2, 29), None)])),
                tags=data.draw(st.sampled_from([(), ("Őry", "tax 2026")])),
            )
            for again, changed in data.draw(st.lists(drafts(), max_size=2)):
                if again == category:
                    one.records.edit(record.id, dict(changed))
            if data.draw(st.booleans()) and data.draw(st.booleans()):
                one.records.delete(record.id)
        done = write_export(one, target)
        assert done.items == sum(one.records.counts().values())
        taken = take_in(other, target)
        assert taken.problems == []
        assert histories(other.records) == histories(one.records)
        assert take_in(other, target).there == taken.added
        assert histories(other.records) == histories(one.records)
    finally:
        one.conn.close()
        other.conn.close()


def test_what_came_in_is_found_and_can_be_undone(filled: Context, tmp_path: Path) -> None:
    """Search, duplicates and undo know what an archive brought, and nothing of what was deleted."""
    export(filled, tmp_path).close()
    other = make_context()
    taken = take_in(other, tmp_path / "out.zip")
    assert (taken.added, taken.deleted, taken.there) == (3, 1, 0)
    assert [r.fields["name"] for r in other.records.search("kovacs")] == ["Kovács-Őry Ilona"]
    assert other.records.search("secretly") == []
    assert other.records.counts()["purchases"] == 1
    assert taken.batch is not None
    other.records.undo_batch(taken.batch, edited=True)
    assert sum(other.records.counts().values()) == 0
    # What was undone was deleted here, and stays so.
    again = take_in(other, tmp_path / "out.zip")
    assert again.added == 0
    assert {problem.code for _, problem in again.problems} == {"data.conflict"}
    other.conn.close()


def test_own_categories_and_files_come_along(filled: Context, tmp_path: Path) -> None:
    """A category of the holder's own is made anew, and files are with their items again, once."""
    recipe: JsonObject = {"title": "Recipe", "properties": {"name": {"title": "Name"}}}
    add_category(filled, "recipes", recipe)
    kept = filled.records.add("own-recipes", {"name": "lecsó"}, source="self")
    with filled.transaction():
        filled.attachments.attach_bytes(kept.id, b"%PDF-1.7" * 20_000, "lecsó #1.pdf")
    export(filled, tmp_path).close()
    other = make_context(files_in=tmp_path / "attachments")
    for _ in range(2):
        taken = take_in(other, tmp_path / "out.zip")
        assert taken.problems == []
        assert other.records.get(kept.id).fields == {"name": "lecsó"}
        [file] = other.attachments.of(kept.id)
        assert file.name == "lecsó #1.pdf"
        with other.attachments.open(file.id) as source:
            assert source.read() == b"%PDF-1.7" * 20_000
    assert histories(other.records) == histories(filled.records)
    other.conn.close()


@pytest.mark.parametrize(
    ("path", "octets", "codes"),
    [
        ("attachments.jsonl", b'{"path":"x","record":"R","name":"x"}\n', ["data.not_found"]),
        ("attachments.jsonl", b'{"path":"a/b","record":"R","name":"x"}\n', ["data.not_found"]),
        ("attachments.jsonl", b'{"path":7}\n[]\n{\n', [None, None, None]),
        ("attachments.jsonl", b" " * 2**17 + b"\n[]\n", ["import.record"]),
        ("schemas/own-x.json", b'{"title":"x"}', ["data.category_invalid"]),
        ("schemas/own-x.json", b"{", ["json.syntax"]),
        ("schemas/own-../x.json", b'{"title":"x"}', ["data.category_invalid"]),
    ],
)
def test_files_and_categories_of_a_stranger(
    ctx: Context, tmp_path: Path, path: str, octets: bytes, codes: list[str | None]
) -> None:
    """What does not fit is named; nothing is made of it, and nothing raised."""
    target = tmp_path / "out.zip"
    with archive.Archive(target, now=NOW) as out:
        out.add("a/b", b"content")
        out.add(path, octets)
        out.finish({"format": read.FORMAT, "version": read.VERSION})
    found = [problem.code for _, problem in take_in(ctx, target).problems]
    assert len(found) == len(codes)
    assert all(code in (None, wanted) for code, wanted in zip(codes, found, strict=True))
    assert ctx.attachments.all() == []
    assert not any(c.name.startswith("own-") for c in ctx.records.categories())


def test_a_file_that_cannot_be_written_is_not_left(
    filled: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of an archive that fails while it is written is told and removed, and the folder is
    let go of: other programs may tidy it."""
    kept = filled.records.add("note", {"text": "lecsó"}, source="self")
    with filled.transaction():
        filled.attachments.attach_bytes(kept.id, b"%PDF-1.7" * 20_000, "a.pdf")
    export(filled, tmp_path).close()
    other = make_context(files_in=tmp_path / "attachments")
    monkeypatch.setattr(other.attachments, "_max_bytes", 1000)
    [(_, problem)] = take_in(other, tmp_path / "out.zip").problems
    assert problem.code == "attachment.too_large"
    assert list((tmp_path / "attachments").iterdir()) == []
    with Folder(tmp_path / "attachments").alone() as alone:
        assert alone
    other.conn.close()


def test_the_example_of_every_category_comes_back(ctx: Context, tmp_path: Path) -> None:
    """Each category has a page, a table and a meaning, and its example is the same again."""
    for category in categories():
        examples: Any = schema_of(category.name).get("examples")
        if examples:
            ctx.records.add(category.name, examples[0], source="self")
    done = write_export(ctx, tmp_path / "out.zip")
    assert done.items > 40
    other = make_context()
    assert take_in(other, tmp_path / "out.zip").problems == []
    assert histories(other.records) == histories(ctx.records)
    other.conn.close()


def test_what_is_there_already_stays(filled: Context, tmp_path: Path) -> None:
    """An older archive adds nothing and takes nothing back; a newer one is a conflict, and said."""
    export(filled, tmp_path, "old.zip").close()
    card = filled.records.list("contact")[0]
    filled.records.edit(card.id, {"name": "Őry Ilona Márta"})
    export(filled, tmp_path, "new.zip").close()
    before = histories(filled.records)
    assert take_in(filled, tmp_path / "old.zip").there == 3
    assert histories(filled.records) == before
    other = make_context()
    take_in(other, tmp_path / "old.zip")
    taken = take_in(other, tmp_path / "new.zip")
    assert [(path, p.line, p.code) for path, p in taken.problems] == [
        ("data/contact.jsonld", 2, "data.conflict")
    ]
    assert taken.there == 2
    other.conn.close()


def test_csv_and_vcard_are_read_by_our_own_importers(filled: Context, tmp_path: Path) -> None:
    """What these formats can hold is what was exported, the defused cell too."""
    with export(filled, tmp_path) as zipped:
        [card] = read_vcard(zipped.read("contacts.vcf")).drafts
        assert card.fields == filled.records.list("contact")[0].fields
        table = zipped.read("data/purchases.csv")
        assert table.startswith(b"\xef\xbb\xbf")
        mapping = {name: f"purchases.{name}" for name in ("item", "price", "currency")}
        [purchase] = read_csv(table, mapping).drafts
        assert purchase.fields == filled.records.list("purchases")[0].fields
        [row] = csv.DictReader(io.StringIO(table.decode("utf-8-sig")))
        assert (row["item"], row["price"]) == ("'=1+1", "-12.50")


@given(st.text())
def test_defusing_is_taken_back_exactly(text: str) -> None:
    """No text is changed by writing and reading it; none that is written begins a formula."""
    assert restored(defuse(text)) == text
    cell = defuse(text)
    assert cell[:1] not in set("=@|%\t\r\n＝＋－＠")
    assert not re.match(r"[+-](?![0-9.]+$)", cell)


@SLOW
@given(st.lists(drafts(), min_size=1, max_size=5))
def test_every_card_is_a_card(found: list[tuple[str, JsonObject]]) -> None:
    """Whatever a contact says, its card is one card of lines that are no longer than they may."""
    one = make_context()
    for category, fields in found:
        one.records.add(category, fields, source="self")
    contacts = one.records.list("contact")
    from pds.vault.exports.vcard import card

    raw = b"".join(card(r.id, "2026-11-28T09:30:00Z", r.fields) for r in contacts)
    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    assert raw.count(b"\r\nVERSION:4.0\r\n") == len(contacts)
    if contacts:
        assert read_vcard(raw).entries == len(contacts)
    one.conn.close()


def test_a_card_holds_what_a_card_can(ctx: Context) -> None:
    """A full card comes back whole, but for the fields that no card has."""
    from pds.vault.exports.vcard import card

    fields: JsonObject = {
        "name": "Dr. Kovács-Őry Ilona", "givenName": "Ilona", "familyName": "Kovács-Őry",
        "honorificPrefix": "Dr.", "nickname": "Ilus", "email": "a@posta.example",
        "otherEmails": ["b@posta.example", "c@posta.example"], "telephone": "+36 30 555 0142",
        "otherTelephones": ["+36 62 555 018"], "faxNumber": "+36 62 555 019",
        "address": {"streetAddress": "Kárász utca 1., 2", "addressLocality": "Szeged",
                    "postalCode": "6720", "addressCountry": "HU"},
        "otherAddresses": [{"addressLocality": "Makó"}], "birthDate": "--02-29",
        "organization": "Őry; és Társa", "organizationUnit": "Kötészet", "jobTitle": "könyvkötő",
        "url": "https://ilona.example/a,b", "groups": ["saját", "a,b"], "note": "egy\nkettő;három",
    }  # fmt: skip
    record = ctx.records.add("contact", fields, source="self")
    raw = card(record.id, "2026-11-28T09:30:00Z", record.fields)
    [draft] = read_vcard(raw).drafts
    assert draft.fields == record.fields


# --- what is in it ------------------------------------------------------------------------------


def test_the_archive_lists_and_proves_itself(filled: Context, tmp_path: Path) -> None:
    """Every file is in the manifest with size and digest; links on the pages lead to files."""
    with export(filled, tmp_path) as zipped:
        manifest = parse_object(zipped.read("manifest.json"))
        names = [i.filename for i in zipped.infolist()]
        listed: Any = manifest["files"]
        assert sorted(f["path"] for f in listed) == sorted(set(names) - {"manifest.json"})
        for f in listed:
            octets = zipped.read(f["path"])
            assert (f["bytes"], f["sha256"]) == (len(octets), hashlib.sha256(octets).hexdigest())
        assert manifest["counts"] == {"contact": 1, "interests": 0, "purchases": 1}
        for name in (n for n in names if n.endswith(".html")):
            page = zipped.read(name).decode()
            for link in re.findall(r'href="([^"]*)"', page):
                assert os.path.normpath(os.path.join(os.path.dirname(name), link)) in names
        assert {"README.txt", "index.html", "schemas/contact.json", "contacts.vcf"} <= set(names)
        assert not any(name.endswith(("messages.jsonl", "calendar.ics")) for name in names)
        words = zipped.read("README.txt").decode()
        assert all(len(line) <= 90 for line in words.splitlines())


def test_the_same_vault_gives_the_same_bytes(filled: Context, tmp_path: Path) -> None:
    """Order and dates come from the vault and the clock alone."""
    export(filled, tmp_path, "a.zip").close()
    export(filled, tmp_path, "b.zip").close()
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as zipped:
        assert {info.date_time for info in zipped.infolist()} == {NOW.timetuple()[:6]}


def test_the_json_ld_stands_alone(filled: Context, tmp_path: Path) -> None:
    """A JSON-LD processor without the network reads it, with versions in order."""
    from pyld import jsonld

    def no_network(url: str, _options: object = None) -> None:
        pytest.fail(f"asked for {url}")

    with export(filled, tmp_path) as zipped:
        document = json.loads(zipped.read("data/contact.jsonld"))
    [expanded] = jsonld.expand(
        document, {"documentLoader": no_network, "base": "https://x.example/"}
    )
    [record] = expanded["https://w3id.org/personal-data-store/v1#records"]
    [versions] = record["https://w3id.org/personal-data-store/v1#versions"]
    told = [v["https://w3id.org/personal-data-store/v1#fields"][0] for v in versions["@list"]]
    assert len(told) == 2
    assert [len(one) for one in told] == [3, 3]  # no field was dropped for want of a meaning
    assert "Kovács-Őry Ilona" in json.dumps(told[1], ensure_ascii=False)


@pytest.mark.parametrize(
    ("member", "iri"),
    [
        ({"x-term": "givenName"}, "https://schema.org/givenName"),
        ({"x-term": "schema:givenName"}, "https://schema.org/givenName"),
        ({"x-term": "https://schema.org/givenName"}, "https://schema.org/givenName"),
        ({}, "https://schemas.example/x#given%20name"),
        ({"x-term": 7}, "https://schemas.example/x#given%20name"),
    ],
)
def test_a_field_means_its_term(member: JsonObject, iri: str) -> None:
    """The term of a schema names the field; without one the field has an IRI of its own."""
    assert term_iri(member, "given name", {"$id": "https://schemas.example/x"}) == iri


def test_the_history_proves_its_root(filled: Context, tmp_path: Path) -> None:
    """From the lines alone the root of the vault's log is computed again."""
    with export(filled, tmp_path) as zipped:
        lines = [parse_object(line) for line in zipped.read("history.jsonl").splitlines()]
        checkpoint = parse_object(zipped.read("history-checkpoint.json"))
    tree = Tree(MemoryNodes(), 0)
    for line in lines:
        entry = line["entry"]
        assert isinstance(entry, dict)
        tree.append(leaf_of(b64url_decode(str(line["salt"])), entry))
    assert (tree.size, tree.root()) == (checkpoint["size"], b64url_decode(str(checkpoint["root"])))
    assert tree.size == 3


def test_a_choice_leaves_out_everything_else(filled: Context, tmp_path: Path) -> None:
    """One category: its data alone. A company that is not known is said so."""
    with export(filled, tmp_path, categories=["purchases"]) as zipped:
        names = set(zipped.namelist())
        assert b"Ilona" not in b"".join(zipped.read(name) for name in names)
    assert names == {
        "data/purchases.jsonld", "data/purchases.csv", "schemas/purchases.json",
        "pages/purchases-00001.html", "index.html", "README.txt", "manifest.json",
    }  # fmt: skip
    with pytest.raises(NotFound):
        write_export(filled, tmp_path / "x.zip", company="did:web:nobody.example")
    with pytest.raises(RecordError):
        write_export(filled, tmp_path / "x.zip", categories=["nothing"])
    assert not (tmp_path / "x.zip").exists()


def test_pages_are_for_everyone(filled: Context, tmp_path: Path) -> None:
    """What a screen reader, a phone and a browser without scripts need is on every page."""
    with export(filled, tmp_path) as zipped:
        names = [name for name in zipped.namelist() if name.endswith(".html")]
        for page in (zipped.read(name).decode() for name in names):
            for part in ('<html lang="en">', "<main>", 'name="viewport"', "<title>"):
                assert page.count(part) == 1
            assert page.count("<h1>") == 1
            assert page.count("<caption>") == page.count("<table")
            # Each wide table can be scrolled by keyboard, and says what it is.
            assert page.count('role="region" aria-label="') == page.count('<table role="table"')
            assert page.count('tabindex="0"') == page.count('<table role="table"')
            assert page.count("<th>") == 0  # each has a scope
            # Not every browser still sees a table in one that is laid out as cards.
            for wide in re.findall(r'<table role="table".*?</table>', page, re.DOTALL):
                assert not re.search(r"<(?:thead|tbody|tr|th|td)\b(?![^>]*\brole=)", wide)
            assert not re.search(r"<script|<img|<iframe|<link|https?://", page)
    assert len(names) == 3


def test_long_tables_are_paged(
    filled: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page has its share, and leads to its neighbours."""
    monkeypatch.setattr(pages, "PAGE_ROWS", 2)
    for n in range(4):
        filled.records.add("interests", {"name": f"interest {n}"}, source="self")
    with export(filled, tmp_path) as zipped:
        first, second = (zipped.read(f"pages/interests-0000{n}.html").decode() for n in (1, 2))
        assert "pages/interests-00003.html" not in zipped.namelist()
    # The newest first; those of one moment in the order in which they came, turned round.
    assert first.index("interest 3") < first.index("interest 2")
    assert "interest 1" not in first
    assert "interest 1" in second
    assert "3 to 4 of 4" in second
    assert 'href="interests-00002.html">Next page' in first
    assert 'href="interests-00001.html">Previous page' in second
    names = re.findall(r'<nav aria-label="([^"]*)"', first)
    assert len(names) == len(set(names)) == 3


def test_pages_begin_with_the_newest(filled: Context, tmp_path: Path) -> None:
    """By the day on which it happened, whatever the order in which it was imported."""
    for item, day in (("lamp", "2024-05-01"), ("chair", "2026-05-01"), ("desk", "2025-03-02")):
        filled.records.add("purchases", {"item": item, "date": day}, source="self")
    with export(filled, tmp_path) as zipped:
        page = zipped.read("pages/purchases-00001.html").decode()
        table = zipped.read("data/purchases.csv").decode()
    assert page.index("chair") < page.index("desk") < page.index("lamp")
    assert table.index("lamp") < table.index("chair") < table.index("desk")


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({"title": "Concert, part 2", "start": "2026-12-24", "end": "2026-12-26"},
         ["SUMMARY:Concert\\, part 2", "DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261226"]),
        ({"start": "2026-12-24T18:00:00+01:00", "end": "2026-12-24T19:00:00+01:00"},
         ["DTSTART:20261224T170000Z", "DTEND:20261224T180000Z"]),
        ({"start": "2026-12-24T18:00:00", "duration": "3600"},
         ["DTSTART:20261224T180000", "DURATION:PT3600S"]),
        ({"start": "2026-12-24T18:00:00", "timezone": "Europe/Budapest"},
         ["DTSTART:20261224T170000Z"]),
        ({"start": "2026-12-24T18:00:00+01:00", "end": "2026-12-24T18:30:00Z",
          "timezone": "Europe/Budapest", "recurrence": "FREQ=WEEKLY;BYDAY=TH",
          "exceptions": ["2026-12-31T18:00:00"]},
         ["DTSTART;TZID=Europe/Budapest:20261224T180000",
          "DTEND;TZID=Europe/Budapest:20261224T193000",
          "EXDATE;TZID=Europe/Budapest:20261231T180000", "RRULE:FREQ=WEEKLY;BYDAY=TH"]),
        ({"start": "2026-12-24", "end": "2026-12-24T19:00:00", "timezone": "../../etc/passwd",
          "uid": "1@calendar.example", "categories": ["a,b", "c"], "busy": "no", "priority": "9",
          "status": "tentative", "latitude": "46.25", "longitude": "-20.1"},
         ["DTSTART;VALUE=DATE:20261224", "UID:1@calendar.example", "CATEGORIES:a\\,b,c",
          "TRANSP:TRANSPARENT", "PRIORITY:9", "STATUS:TENTATIVE", "GEO:46.25;-20.1"]),
    ],
)  # fmt: skip
def test_an_event_is_an_event(fields: JsonObject, lines: list[str]) -> None:
    """Days, times with and without a zone, and rules, as calendars read them."""
    raw = calendar.event("A" * 22, "2026-11-28T09:30:00Z", fields).decode()
    assert raw.startswith("BEGIN:VEVENT\r\nUID:")
    assert "\r\nDTSTAMP:20261128T093000Z\r\n" in raw
    for line in lines:
        assert f"\r\n{line}\r\n" in raw
    # An end of another kind than the beginning is left out.
    assert ("DTEND" in raw) == any(line.startswith("DTEND") for line in lines)


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "never"},
        {"title": "x", "start": "soon"},
        {"title": "x", "start": "2026-13-01"},
        {"title": "x", "start": "9999-12-31T23:59:59-23:00"},
        {"title": "x", "start": ["2026"]},
    ],
)
def test_what_has_no_day_is_no_event(fields: JsonObject) -> None:
    """A calendar cannot place it; the JSON-LD has it."""
    assert calendar.event("A" * 22, "2026-11-28T09:30:00Z", fields) == b""


def test_an_event_cannot_smuggle_a_line() -> None:
    """A line end in a rule or an address begins no property."""
    fields: JsonObject = {
        "name": "a\r\nEND:VEVENT",
        "start": "2026-12-24",
        "url": "https://x.example/\nATTACH:file",
        "recurrence": "FREQ=DAILY\nATTACH:file",
    }
    raw = calendar.event("A" * 22, "2026-11-28T09:30:00Z", fields)
    assert [line.partition(b":")[0] for line in raw.split(b"\r\n")] == [
        b"BEGIN", b"UID", b"DTSTAMP", b"X-PDS-ITEM", b"LAST-MODIFIED",
        b"DTSTART;VALUE=DATE", b"SUMMARY", b"END", b"",
    ]  # fmt: skip


def test_a_line_is_one_line() -> None:
    """Whatever a value holds, it never begins a property of its own."""
    raw = content_line("URL", "https://x.example/\r\nATTACH:file\n")
    assert raw == b"URL:https://x.example/ATTACH:file\r\n"


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../etc/passwd"},
        {"id": "-" + "A" * 21},
        {"version": 2},
        {"category": "nothing"},
        {"fields": {"nothing": "x"}},
        {"fields": {"name": "a\x00b"}},
        {"source": ""},
        {"source": "a\nb"},
        {"about": "nobody"},
        {"assurance": "certain"},
        {"deleted": True},
    ],
    ids=str,
)
def test_what_is_taken_over_is_checked(ctx: Context, change: dict[str, Any]) -> None:
    """A version of another vault is held against all that a new record is held against."""
    given_one = ctx.records.add("interests", {"name": "cycling"}, source="self")
    fresh = replace(given_one, id="B" * 22)
    other = make_context()
    assert other.records.take_over([fresh])
    with pytest.raises(RecordError):
        other.records.take_over([replace(fresh, id="C" * 22), fresh])
    with pytest.raises(RecordError):
        other.records.take_over([replace(fresh, **({"id": "D" * 22} | change))])
    assert sum(other.records.counts().values()) == 1
    other.conn.close()


def test_attachments_lie_beside_the_data(
    filled: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is there under its name, and it is said to which item it belongs."""
    found = [
        write.Attachment(
            "a1", "R" * 22, "bill #1 <x>.pdf", "application/pdf", 4, iter([b"%P", b"DF"])
        ),
        write.Attachment("a2", "R" * 22, "empty.txt", "text/plain", 0, iter([])),
    ]
    monkeypatch.setattr(write, "attachments", lambda _ctx: iter(found))
    with export(filled, tmp_path) as zipped:
        assert zipped.read("attachments/a1/bill #1 <x>.pdf") == b"%PDF"
        assert zipped.read("attachments/a2/empty.txt") == b""
        first, _ = map(parse_object, zipped.read("attachments.jsonl").splitlines())
        index = zipped.read("index.html").decode()
        assert '<a href="attachments/a1/bill%20%231%20%3Cx%3E.pdf"><bdi>bill #1 &lt;x&gt;' in index
    assert first["path"] == "attachments/a1/bill #1 <x>.pdf"
    told = take_in(filled, tmp_path / "out.zip").problems  # items that nobody knows
    assert [problem.code for _, problem in told] == ["data.not_found"] * 2


# --- whole or not at all ------------------------------------------------------------------------


@pytest.fixture(params=["without a name", "with a hidden name"])
def draft(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to keep the draft."""
    if request.param == "with a hidden name":
        monkeypatch.delattr(os, "O_TMPFILE")
    return str(request.param)


@pytest.mark.usefixtures("draft")
def test_it_is_the_owner_s_alone_and_overwrites_nothing(filled: Context, tmp_path: Path) -> None:
    """Mode 0600; a file, a folder or a link of that name stays as it is."""
    target = tmp_path / "out.zip"
    done = write_export(filled, target)
    assert isinstance(done, Exported)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["out.zip"]
    before = target.read_bytes()
    read: list[int] = []
    (tmp_path / "link.zip").symlink_to(tmp_path / "nowhere")
    for name in ("out.zip", "link.zip"):
        with pytest.raises(VaultError) as refused:
            write_export(filled, tmp_path / name, progress=read.append)
        assert refused.value.code == "export.exists"
    assert read == []  # nobody waits for an export that cannot be kept
    assert target.read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.usefixtures("draft")
def test_a_name_taken_meanwhile_is_not_overwritten(filled: Context, tmp_path: Path) -> None:
    """Another program made a file of that name while the export was written."""
    target = tmp_path / "out.zip"
    with pytest.raises(VaultError) as refused:
        write_export(filled, target, progress=lambda _n: target.write_text("mine") and None)
    assert refused.value.code == "export.exists"
    assert target.read_text() == "mine"
    assert os.listdir(tmp_path) == ["out.zip"]


def test_a_disk_without_hard_links(
    filled: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A memory stick knows neither files without a name nor links; the export gets there, once."""
    monkeypatch.delattr(os, "O_TMPFILE")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "out.zip"
    write_export(filled, target)
    with pytest.raises(VaultError) as refused:
        write_export(filled, target)
    assert refused.value.code == "export.exists"
    taken = tmp_path / "taken.zip"
    with pytest.raises(VaultError) as refused:
        write_export(filled, taken, progress=lambda _n: taken.write_text("mine") and None)
    assert refused.value.code == "export.exists"
    assert sorted(os.listdir(tmp_path)) == ["out.zip", "taken.zip"]


@pytest.mark.usefixtures("draft")
def test_a_full_disk_leaves_nothing(
    filled: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk, wherever it comes, leaves neither the file nor a draft."""
    monkeypatch.setattr(pages, "PAGE_ROWS", 1)
    whole = write_export(filled, tmp_path / "whole.zip").files
    really = archive.MemberOut.write
    for allowed in range(whole):
        left = [allowed]

        def write(self: archive.MemberOut, octets: bytes, left: list[int] = left) -> None:
            if left[0] == 0:
                raise OSError(28, "No space left on device")
            left[0] -= 1
            really(self, octets)

        with monkeypatch.context() as patch:
            patch.setattr(archive.MemberOut, "write", write)
            with pytest.raises(OSError, match="No space"):
                write_export(filled, tmp_path / "out.zip")
        assert os.listdir(tmp_path) == ["whole.zip"]
        assert not filled.conn.in_transaction


def test_kill_9_leaves_no_half_file(filled: Context, tmp_path: Path) -> None:
    """Killed in the middle: no file with the name; a draft, where it has a name, is swept up."""
    target = tmp_path / "out.zip"
    for unnamed in (True, False):
        child = os.fork()
        if child == 0:
            try:
                if not unnamed:
                    del os.O_TMPFILE
                write_export(
                    filled, target, progress=lambda _n: os.kill(os.getpid(), signal.SIGKILL)
                )
            finally:
                os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        left = os.listdir(tmp_path)
        assert left == [] if unnamed else all(name.startswith(".pds-export-") for name in left)
    assert len(os.listdir(tmp_path)) == 1
    write_export(filled, target)
    assert os.listdir(tmp_path) == ["out.zip"]
    with open_export(target) as opened:
        assert opened.files


def test_other_programs_go_on_writing(tmp_path: Path) -> None:
    """The archive is one state: what is added meanwhile is not in it, and is not held up."""
    from pds.db import migrate, open_plain
    from pds.vault import files

    one = make_context()
    one.conn.close()
    path = tmp_path / "vault.db"
    with open_plain(path) as conn:
        migrate(conn, files.MIGRATIONS, application_id=files.APPLICATION_ID)
        memory = make_context()
        for name, value in memory.conn.execute("SELECT name, value FROM setting"):
            conn.execute("INSERT INTO setting VALUES (?, ?)", (name, value))
        memory.conn.close()
    reader, writer = (Context(open_plain(path), path.parent, clock=lambda: NOW) for _ in range(2))
    for n in range(3):
        writer.records.add("interests", {"name": f"interest {n}"}, source="self")
    added = iter(range(100, 200))

    def meanwhile(_done: int) -> None:
        writer.records.add("interests", {"name": f"belated {next(added)}"}, source="self")

    done = write_export(reader, tmp_path / "out.zip", progress=meanwhile)
    assert done.items == 3
    assert reader.records.counts()["interests"] == 6
    with zipfile.ZipFile(tmp_path / "out.zip") as zipped:
        assert b"belated" not in b"".join(zipped.read(name) for name in zipped.namelist())
    for context in (reader, writer):
        context.conn.close()
    conn.close()
