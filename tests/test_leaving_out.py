"""What is missing is said, and in CI fails: in one process and in many."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

ABOUT = """
import pytest
from leaving_out import left_out


@pytest.fixture
def nowhere():
    left_out("a server")


def test_in_a_fixture(nowhere):
    pass


def test_in_a_test():
    left_out("a program")


def test_that_needs_nothing():
    pass
"""


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("ci", ["true", ""])
def test_nothing_is_left_out_in_silence(ci: str, workers: str, tmp_path: Path) -> None:
    """Each one is named with what is missing; in CI it is a failure, and so is the whole run."""
    (tmp_path / "test_about.py").write_text(ABOUT)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rsfE", "-p", "no:cacheprovider", "-n", workers,
         "--dist", "loadfile", "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env=clean | {"CI": ci, "PYTHONPATH": str(HERE)},
    )  # fmt: skip
    said = ran.stdout
    if ci:
        assert ran.returncode == 1
        assert "1 failed, 1 passed, 1 error" in said
    else:
        assert ran.returncode == 0
        assert "1 passed, 2 skipped" in said
    for missing in ("a server", "a program"):
        assert f"{missing} is missing" in said
