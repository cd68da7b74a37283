"""A shop and a holder at a relay in this process."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from company_world import World, close, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A shop that has asked nobody yet, and a holder with a mailbox at the same relay."""
    made = make_world(tmp_path)
    yield made
    close(made)
