"""The kit's page and the relay's page behind a link, in a browser."""

import io
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from werkzeug.serving import make_server

from pds.relay.app import create_app
from pds.vault.kit import kit_words
from pds.vault.kitpage import KitPage
from pds.vault.shares import split
from tests.browser.conftest import Sight

SECRET = bytes(range(32))
WORDS = kit_words(SECRET)


@pytest.mark.parametrize("sheets", [[WORDS], list(split(SECRET))], ids=["one", "three"])
def test_the_kit(
    sight: Sight, tmp_path: Path, sheets: list[str], shoot: Callable[[Sight, str], None]
) -> None:
    """Fit for all; a reader of codes reads the words, from the screen and in dark mode too; and a
    sheet is one page of A4."""
    file = tmp_path / "kit.html"
    file.write_text(KitPage("Ab3dE_", datetime(2026, 11, 28, tzinfo=UTC), sheets).html())
    sight.open(file.as_uri())
    sight.is_fit_for_all()
    shoot(sight, f"kit-{len(sheets)}")
    codes = sight.page.locator(".qr")
    for way in sight.each_way():
        read = [_read(code.screenshot()) for code in codes.all()]
        assert read == [[words.upper()] for words in sheets], way
    sight.page.emulate_media(media="print")
    sight.page.set_viewport_size({"width": 673, "height": 1002})  # A4 within its margins
    pages = sight.page.locator("section")
    assert pages.count() == len(sheets)
    for page in pages.all():
        assert page.evaluate("e => e.scrollHeight") <= 1002
    assert sight.overflow() <= 0


def _read(picture: bytes) -> list[str]:
    with Image.open(io.BytesIO(picture)) as image:
        return [code.text for code in zxingcpp.read_barcodes(image)]


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[str]:
    """A relay that answers on this machine."""
    app = create_app(tmp_path / "relay", url="http://127.0.0.1:8080")
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["relay"].store.close()


def test_the_page_behind_a_link(
    sight: Sight, relay: str, shoot: Callable[[Sight, str], None]
) -> None:
    """It says what to do, fit for all; the key behind the # stays in the browser."""
    page = f"{relay}/r/{'A' * 22}"
    sight.page.goto(f"{page}#{'B' * 43}")
    assert sight.asked == [page]
    sight.is_fit_for_all()
    shoot(sight, "relay")
    assert sight.page.get_by_role("heading", name="A request for your data").count() == 1
    assert "pds open" in sight.page.locator("pre").inner_text()
