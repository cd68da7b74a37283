"""Schemathesis, somebody else's idea of what to ask, against a relay and the document it serves.

``scripts/test`` puts it into a virtual environment of its own, for it needs another version of
what the product needs. The seed is fixed, and what is asked is bounded: ``schemathesis.toml``.
"""

import json
import os
import shutil
import site
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from leaving_out import left_out
from relay_world import FILE_ONLY, URL, World, http_send, relay_process

from did.json import JsonObject, digest
from did.time import format_time, utc_now
from pds.relay.openapi.operations import OPERATIONS
from pds.wire import new_id

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def program() -> str:
    """The Schemathesis that ``scripts/test`` set up, or one that is there."""
    own = Path(sys.prefix) / "schemathesis" / "bin"
    found = shutil.which("schemathesis", path=os.pathsep.join([str(own), os.environ["PATH"]]))
    if found is None:
        left_out("Schemathesis")
    return found


def scene(world: World) -> dict[str, Any]:
    """A holder with a mailbox, a package that was redeemed, a list, a link, a capability."""
    package, ticket = world.ready(max_uses=1000)
    presentation = world.presentation(ticket)
    assert world.present(presentation).status == 200
    link = new_id()
    expires = format_time(world.clock() + timedelta(days=1))
    body: JsonObject = {"mailbox": world.mailbox, "sealed": "AAAA", "expires": expires}
    assert world.call("PUT", f"/v1/requests/{link}", body).status == 201
    _, secret = world.capability(envelopes=100, days=1)
    return {
        "url": URL,
        "owner": world.owner.unsafe_export_seed().hex(),
        "company": world.company.unsafe_export_seed().hex(),
        "secret": secret,
        "places": {
            "mailboxes": world.mailbox,
            "packages": package,
            "status": world.list_id,
            "requests": link,
            "redemptions": digest(presentation),
        },
    }


@FILE_ONLY
@pytest.mark.parametrize("who", ["nobody", "a holder and a company"])
def test_schemathesis_finds_nothing(who: str, tmp_path: Path) -> None:
    """No failure of the server, and no status, media type, header or body that the document does
    not have for the call; what is not of the documented form is refused. Unsigned, where most of
    it ends at the door, and signed by those who have something there."""
    schemathesis = program()
    with relay_process(tmp_path / "relay") as port:
        world = World(send=http_send(port), clock=utc_now)
        known = {} if who == "nobody" else scene(world)
        ran = subprocess.run(
            [
                schemathesis, "--config-file", str(HERE / "schemathesis.toml"), "run",
                f"http://127.0.0.1:{port}/v1/openapi.json", "--url", f"http://127.0.0.1:{port}",
                "--no-color",
            ],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "PDS_PATHS": json.dumps([str(ROOT), *site.getsitepackages()]),
                "PDS_SCENE": json.dumps(known),
                "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
                "PYTHONPATH": str(HERE),
            },
            cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        # All but the one by which it read the document.
        assert f"{len(OPERATIONS) - 1} passed" in ran.stdout
        assert world.get("/readyz").status == 200
        if known:  # what it signed was taken
            page = world.call("GET", f"/v1/mailboxes/{world.mailbox}/envelopes?after=0")
            assert page.json["envelopes"]
