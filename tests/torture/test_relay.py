"""The torture of the relay, as much of it as every run of the tests can bear."""

import json
import os
import subprocess
import sys

import pytest

from .conftest import SCRIPTS

LOOPS = 20


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_relay_loses_nothing_that_it_acknowledged(
    engine: str, request: pytest.FixtureRequest
) -> None:
    """Workers, parent, all of them, or the database server killed under load, a full disk, a wild
    clock: what was acknowledged is there, nothing is used too often, the log only grows."""
    if engine == "postgresql":
        request.getfixturevalue("postgres")  # or leave it out, where there is none
    ran = subprocess.run(
        [
            *(sys.executable, "-W", "error", str(SCRIPTS / "torture.py"), "relay"),
            *("--engine", engine, "--loops", str(LOOPS), "--seed", "20260504"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=SCRIPTS.parent,
        env={"PYTHONPATH": str(SCRIPTS.parent), "PATH": os.environ["PATH"]},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    report = json.loads(ran.stdout)
    assert (report["loops"], report["losses"]) == (LOOPS, 0)
    # It did what it says: something was acknowledged in every way, and something was in doubt.
    assert {"deposit", "redemption", "staging", "status", "end"} == set(report["acknowledged"])
    assert report["acknowledged"]["redemption"] > LOOPS
    assert report["inDoubt"] > 0
    assert {"worker", "all"} <= set(report["disturbed"])
