"""The vault that is tortured: made once, then copied."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))


@pytest.fixture(scope="session")
def template() -> Iterator[Any]:
    """A vault with data and with requests that wait; its relay is gone."""
    import shutil

    from torture import scratch_folder
    from torture_world import make_template

    folder = scratch_folder()
    try:
        yield make_template(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def work(template: Any) -> Iterator[Path]:
    """A folder beside the template, where copying and syncing are quick."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="work-", dir=template.folder.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
