"""Fixtures that every test may use."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from postgres import Cluster

sys.path.insert(0, str(Path(__file__).parent))

# No test asserts a time, and an example that is slow on a busy machine is no failure. In CI
# Hypothesis does the same by itself; there its examples are the same in each run, too.
hypothesis.settings.register_profile(
    "patient",
    hypothesis.settings.get_profile(hypothesis.settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("patient")

# A shell that runs us in the background has SIGINT ignored, and whom we start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What takes longest comes first where many workers share the files, so that none is left with it
# at the end while the others have nothing to do.
_FIRST = ("torture", "scenarios", "pds/cli", "browser", "pds/vault/test_attachments_killed.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker of several, the long files first; in one process, as they stand."""
    if hasattr(config, "workerinput"):
        here = Path(__file__).parent
        places = [here / name for name in _FIRST]
        rank = {
            path: next((n for n, place in enumerate(places) if path.is_relative_to(place)), 99)
            for path in {item.path for item in items}
        }
        items.sort(key=lambda item: rank[item.path])


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if value is None:
        pytest.skip(f"left out: {variable} is not set")
    folder = Path(value)
    if not folder.is_dir() or not any(folder.iterdir()):
        pytest.fail(f"{variable} names a folder that is missing or empty")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _state_of_the_tester(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the command line remembers of vaults goes nowhere near the tester's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of public test vectors; unset leaves the test out, set and empty fails it."""
    return _folder("PDS_VECTORS")


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample import files; unset leaves the test out, set and empty fails it."""
    return _folder("PDS_SAMPLES")


@pytest.fixture(scope="session")
def postgres() -> Iterator["Cluster"]:
    """A PostgreSQL server of our own; where there is none the test is left out, in CI it fails."""
    from leaving_out import left_out
    from postgres import Cluster, Missing

    try:
        cluster = Cluster()
    except Missing as missing:
        left_out(f"a PostgreSQL ({missing})")
    yield cluster
    cluster.close()
