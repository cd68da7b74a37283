"""What the tests of this folder share: the other implementation, keys, and things to sign."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from credentials.contexts import CREDENTIALS_V2, PDS_V1
from did.json import JsonObject
from did.keys import SigningKey
from did.time import format_time
from scripts.digitalbazaar import DigitalBazaar, NotSetUp


@pytest.fixture(scope="session")
def peer() -> Iterator[DigitalBazaar]:
    """Digital Bazaar's implementation; left out where it is not set up, except in CI."""
    try:
        started = DigitalBazaar()
    except NotSetUp as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(f"left out: {error}")
    with started:
        yield started


@pytest.fixture(scope="session")
def now() -> datetime:
    """Now: not every part of the others can be told another time."""
    return datetime.now(UTC).replace(microsecond=0)
