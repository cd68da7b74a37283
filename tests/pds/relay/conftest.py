"""A relay in this process, with a holder and a company at it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from relay_world import World, close, make_world, on_engine


@pytest.fixture(params=["sqlite", "postgresql"], autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test of the relay runs on both engines."""
    yield from on_engine(request)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of the relay."""
    return tmp_path / "relay"


@pytest.fixture
def world(data: Path) -> Iterator[World]:
    """A relay with open registration, and people who have not called it yet."""
    made = make_world(data)
    yield made
    close(made)
