"""The whole story, as the demo tells it, with real processes."""

import subprocess
import sys
from pathlib import Path

from credentials import WITHOUT_STATUS, verify_grant
from did.json import parse_object
from did.time import parse_time

from .conftest import ROOT


def test_the_demo_holds_and_its_objects_verify(tmp_path: Path) -> None:
    """Every step of the story holds, and what it leaves can be verified by anyone."""
    folder = tmp_path / "demo"
    result = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demo.py"), "--keep", str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Every step held" in result.stdout
    for name in ("delivery", "personalisation", "analytics"):
        raw = (folder / "objects" / f"grant-{name}.json").read_bytes()
        grant = verify_grant(
            raw,
            purpose=None,
            audience="did:web:shop.example",
            status=WITHOUT_STATUS,
            sandbox=True,
            now=parse_time(str(parse_object(raw)["validFrom"])),
        )
        assert grant.terms.request_purpose == name
    second = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demo.py"), "--keep", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 2  # a folder that is there is never overwritten
