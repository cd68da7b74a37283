"""The pages of an export in a browser: readable on a phone and by a screen reader, and harmless."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from did.json import JsonObject
from pds.vault.exports import pages, write_export
from pds.vault.schemas import categories, schema_of
from tests.browser.conftest import Sight
from tests.pds.vault.export_world import make_context

LONG = "Megszentségteleníthetetlenségeskedéseitekért" * 3


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked export with every category, hostile and long values, and several pages of one."""
    folder = tmp_path_factory.mktemp("export")
    ctx = make_context(files_in=folder)
    for category in categories():
        examples = schema_of(category.name)["examples"]
        assert isinstance(examples, list)
        example = examples[0]
        assert isinstance(example, dict)
        ctx.records.add(category.name, example, source="self")
    for name in ("<script>alert(1)</script>", LONG, "\u202eevil", "שלום", "a\nb"):
        ctx.records.add("contact", {"name": name, "organization": LONG}, source="self")
        ctx.records.add("contact", {"email": "only@person.example"}, source="self")
    for n in range(5):
        ctx.records.add("interests", {"name": f"interest {n}"}, source="self")
    with ctx.transaction():
        record = ctx.records.add("documents", {"title": "Deed"}, source="self")
        ctx.attachments.attach_bytes(record.id, b"a deed", "deed <b>&.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "PAGE_ROWS", 4)
        write_export(ctx, folder / "out.zip")
    with zipfile.ZipFile(folder / "out.zip") as zipped:
        zipped.extractall(folder / "out")
    # What a vault with companies has besides.
    grants: list[JsonObject] = [
        {"Company": f"{name} (did:web:shop.example:a:long:path)", "Purpose": "Delivery of Goods",
         "Until": "2027-03-03", "State": "active"}
        for name in ("Tekerj Kft.", LONG)
    ]  # fmt: skip
    shared = pages.index_page(
        made="2026-11-28T09:30:00Z", categories=(), files=[("README.txt", "How to read it.")],
        grants=grants, attachments=[],
    )  # fmt: skip
    (folder / "out" / "shared.html").write_bytes(shared)
    return folder / "out"


def test_every_page_is_fit_for_all(sight: Sight, archive: Path) -> None:
    """axe finds nothing, nothing is wider than its window, nothing is run or fetched."""
    found = sorted(archive.rglob("*.html"))
    assert len(found) > 50
    for page in found:
        sight.open(page.as_uri())
        sight.is_fit_for_all()


def test_every_link_leads_to_a_file(sight: Sight, archive: Path) -> None:
    """From the first page everything that people read can be reached, and nothing is missing."""
    todo, seen = [archive / "index.html"], set()
    while todo:
        page = todo.pop()
        sight.open(page.as_uri())
        for address in sight.page.locator("a").evaluate_all("all => all.map(a => a.href)"):
            assert address.startswith(archive.as_uri()), address
            path = Path(unquote(urlsplit(address).path))
            assert path.is_file(), address
            if path.suffix == ".html" and path not in seen:
                todo.append(path)
            seen.add(path)
    assert {p for p in archive.rglob("*.html") if p.name != "shared.html"} <= seen
    assert [p for p in archive.rglob("*.csv") if p not in seen] == []


def test_a_row_is_a_card_on_a_phone(
    sight: Sight, archive: Path, shoot: Callable[[Sight, str], None]
) -> None:
    """Each value stands under the name of its column; what is empty takes no room; at a desk it is
    a table."""
    for name in ("index", "shared", "pages/contact-00001", "pages/observations-00001"):
        sight.open((archive / f"{name}.html").as_uri())
        shoot(sight, name.replace("/", "-"))
    sight.open((archive / "pages/contact-00001.html").as_uri())
    sight.page.set_viewport_size({"width": 360, "height": 740})
    email = sight.page.locator('td[data-label="E-mail address"]')
    label = email.last.evaluate("e => getComputedStyle(e, '::before').content")
    assert label == '"E-mail address"'
    assert sight.page.locator("thead").evaluate("e => e.getBoundingClientRect().height") <= 1
    empty = sight.page.locator("td:empty")
    assert empty.count() > 0
    assert not any(cell.is_visible() for cell in empty.all())
    sight.page.set_viewport_size({"width": 1280, "height": 900})
    assert email.last.evaluate("e => getComputedStyle(e, '::before').content") == "none"
    assert sight.page.locator("thead").evaluate("e => e.getBoundingClientRect().height") > 20


def test_a_screen_reader_finds_the_same_table_either_way(sight: Sight, archive: Path) -> None:
    """Rows, headers and cells keep their roles where they are laid out as cards."""
    sight.open((archive / "pages/interests-00001.html").as_uri())
    for width in (360, 1280):
        sight.page.set_viewport_size({"width": width, "height": 740})
        page = sight.page
        assert page.get_by_role("table").count() == 1
        assert page.get_by_role("row").count() == 5
        assert page.get_by_role("columnheader").count() == 5
        assert page.get_by_role("rowheader", name="interest 4").count() == 1


def test_by_keyboard_alone(sight: Sight, archive: Path) -> None:
    """Every link and every wide table is reached by Tab, in order, and shows that it is; arrows
    scroll the table."""
    sight.open((archive / "pages/observations-00001.html").as_uri())
    sight.page.set_viewport_size({"width": 1280, "height": 900})
    wanted = sight.page.locator("a, .scroll").count()
    for _ in range(wanted):
        sight.page.keyboard.press("Tab")
        focused = sight.page.locator(":focus")
        assert focused.count() == 1
        assert focused.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    table = sight.page.locator(".scroll")
    table.focus()
    assert table.evaluate("e => e.scrollWidth > e.clientWidth")
    table.evaluate(
        "e => { window.scrolled = new Promise((yes, no) => {"
        " e.addEventListener('scroll', () => yes(e.scrollLeft), {once: true});"
        " setTimeout(no, 10000); }) }"
    )
    sight.page.keyboard.press("ArrowRight")
    assert sight.page.evaluate("() => window.scrolled") > 0


def test_it_prints_within_the_paper(sight: Sight, archive: Path) -> None:
    """On A4 nothing is cut off at the right, and it is dark on white."""
    for name in ("index", "shared", "pages/contact-00001", "pages/payments-00001"):
        sight.open((archive / f"{name}.html").as_uri())
        sight.page.set_viewport_size({"width": 718, "height": 1000})  # A4 within its margins
        sight.page.emulate_media(media="print", color_scheme="dark")
        assert sight.overflow() <= 0
        background = "getComputedStyle(document.documentElement).backgroundColor"
        assert sight.page.evaluate(background) == "rgb(255, 255, 255)"
