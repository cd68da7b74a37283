"""The kit as a page: what is on it, who can read the file, and that it fits on one sheet."""

import os
import re
import shutil
import stat
import subprocess
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path

import pytest
from leaving_out import left_out

from pds.vault.kit import kit_words
from pds.vault.kitpage import KitPage, page_place
from pds.vault.shares import split

WORDS = kit_words(bytes(range(32)))
MADE = datetime(2026, 11, 28, tzinfo=UTC)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Seen(HTMLParser):
    """Every tag, every address, and the list of words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.lists: list[list[str]] = []
        self._in_list = self._in_item = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag == "ol":
            self.lists.append([])
        self._in_list = tag == "ol" or (self._in_list and tag != "ul")
        self._in_item = self._in_list and tag == "li"

    def handle_data(self, data: str) -> None:
        if self._in_item and data.strip():
            self.lists[-1].append(data)
            self._in_item = False


def one() -> str:
    return KitPage("Ab3dE_xyzxyzxyzxyzxyzx", MADE, [WORDS]).html()


def test_the_words_are_there_in_order() -> None:
    """Numbered by the list itself; with date, short id, and what to do."""
    text = one()
    assert Seen(text).lists == [WORDS.split()]
    assert "2026-11-28" in text
    assert ">Ab3dE_<" in text
    assert "Ab3dE_x" not in text
    for said in (
        f"personal-data-store, version {version('personal-data-store')} or later",
        "pip install ./personal-data-store",
        "pds --kit restore BACKUP",
        "pds --kit passphrase",
        "Delete the file",
    ):
        assert said in text


def test_three_sheets_show_one_share_each() -> None:
    """A page for each, and none of them has the words of another or of the whole kit."""
    sheets = split(bytes(range(32)))
    text = KitPage("Ab3dE_", MADE, sheets).html()
    assert Seen(text).lists == [sheet.split() for sheet in sheets]
    assert "sheet 2 of 3" in text
    assert WORDS not in text


def test_the_page_fetches_and_runs_nothing() -> None:
    """No script, link, image or frame, no address, and a policy that forbids them."""
    seen = Seen(one())
    assert not {"script", "link", "img", "iframe", "object", "form", "base", "a"} & set(seen.tags)
    assert not {"src", "href", "action"} & set(seen.attributes)
    assert "default-src 'none'" in one()
    addresses = set(re.findall(r"https?://[^\s\"'<]+", one()))
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_what_stands_in_the_id_is_text() -> None:
    """Nothing that is printed can become markup."""
    assert "<b>" not in KitPage("<b>x</b>", MADE, [WORDS]).html()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask; never over another file; gone when something failed."""
    before = os.umask(0)
    try:
        with page_place(tmp_path / "kit.html") as out:
            assert stat.S_IMODE((tmp_path / "kit.html").stat().st_mode) == 0o600
            out.write("kit")
        assert stat.S_IMODE((tmp_path / "kit.html").stat().st_mode) == 0o600
    finally:
        os.umask(before)
    with pytest.raises(FileExistsError), page_place(tmp_path / "kit.html"):
        pass
    assert (tmp_path / "kit.html").read_text() == "kit"
    with pytest.raises(ValueError, match="x"), page_place(tmp_path / "other.html"):
        raise ValueError("x")
    assert not (tmp_path / "other.html").exists()


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A link that somebody laid there does not carry the kit elsewhere."""
    (tmp_path / "kit.html").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError), page_place(tmp_path / "kit.html"):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("sheets", [[WORDS], split(bytes(range(32)))], ids=["one", "three"])
def test_it_prints_on_one_page_a_sheet(sheets: list[str], tmp_path: Path) -> None:
    """In a real browser, to PDF."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        left_out("Chromium")
    page, printed = tmp_path / "kit.html", tmp_path / "kit.pdf"
    page.write_text(KitPage("Ab3dE_", MADE, sheets).html())
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
         f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={printed}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) == len(sheets)
    boxes = re.findall(rb"/MediaBox\s*\[0 0 ([0-9.]+) ([0-9.]+)\]", printed.read_bytes())
    assert {(round(float(w)), round(float(h))) for w, h in boxes} == {(595, 842)}
