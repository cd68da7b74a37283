"""A real browser, without any network, and axe-core to look at what it shows.

Both are set up by scripts/test. Where one is missing these tests say so and are left out; in CI
they fail.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from leaving_out import left_out
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from tests.pds.vault.test_kitpage import BROWSERS

ROOT = Path(__file__).parents[2]
AXE = ROOT / "scripts" / "interop-node" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"a phone": (360, 740), "a desk": (1280, 900)}
SCHEMES = ("light", "dark")


@pytest.fixture(scope="session")
def axe() -> str:
    """The program that knows the rules of accessibility."""
    if not AXE.is_file():
        left_out("axe-core")
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; it finds no host but this machine. For a file and no longer: while it is
    there an event loop runs in this thread, and no test may have one of its own."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        left_out("Chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=found,
            chromium_sandbox=False,  # root has none, and what is opened is ours
            args=["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield started
        started.close()


@dataclass
class Sight:
    """One page in the browser, with what it asked the network for and what went wrong in it."""

    page: Page
    debugger: CDPSession
    axe: str
    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        """Load a page: itself and nothing else, without an error."""
        self.asked.clear()
        self.page.goto(address)
        assert self.asked == [address]
        assert self.errors == []

    def each_way(self) -> Iterator[str]:
        """A phone and a desk, in light and in dark."""
        for name, (width, height) in SIZES.items():
            self.page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                yield f"{name}, {scheme}"

    def violations(self) -> list[str]:
        """What axe finds wrong: rule, and where."""
        if self._run("typeof axe") == "undefined":
            self._run(f"{self.axe};0")
        found = self._run(
            "axe.run({resultTypes: ['violations']}).then(r => JSON.stringify(r.violations.map("
            "v => v.id + ': ' + v.nodes.slice(0, 3).map("
            "n => n.target.join(' ') + ' ' + n.failureSummary))))"
        )
        result: list[str] = json.loads(found)
        return result

    def overflow(self) -> int:
        """By how much the page is wider than its window."""
        wider: int = self._run(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return wider

    def _run(self, expression: str) -> Any:
        # By the debugger: the page's own policy, which stays in force, forbids every script.
        answer = self.debugger.send(
            "Runtime.evaluate",
            {"expression": expression, "awaitPromise": True, "returnByValue": True},
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"]["value"]

    def is_fit_for_all(self) -> None:
        """No violation and nothing cut off, on a phone and a desk, in light and in dark."""
        for way in self.each_way():
            assert self.violations() == [], (self.page.url, way)
            assert self.overflow() <= 0, (self.page.url, way)
        assert self.errors == []


@pytest.fixture
def sight(browser: Browser, axe: str) -> Iterator[Sight]:
    """A new window."""
    context = browser.new_context()
    page = context.new_page()
    seen = Sight(page, context.new_cdp_session(page), axe)
    context.on("request", lambda request: seen.asked.append(request.url))
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.on("console", lambda said: seen.errors.append(said.text))
    yield seen
    context.close()


@pytest.fixture(scope="session")
def shoot() -> Callable[[Sight, str], None]:
    """Keeps a picture in the folder PDS_SCREENSHOTS, for people to look at; without it nothing."""
    folder = os.environ.get("PDS_SCREENSHOTS")

    def picture(seen: Sight, name: str) -> None:
        if folder is not None:
            for way in seen.each_way():
                path = Path(folder) / f"{name}, {way}.png".replace(", ", "-").replace(" ", "-")
                seen.page.screenshot(path=path, full_page=True)

    return picture
