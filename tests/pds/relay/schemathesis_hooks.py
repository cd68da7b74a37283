"""Loaded by Schemathesis: signs what it sends, and has half of it name things that are there.

It runs in Schemathesis's own virtual environment. That of the product comes after it on the path,
so each of the two finds its own version of what both have.
"""

import json
import os
import sys

sys.path += json.loads(os.environ["PDS_PATHS"])

import requests
import schemathesis

from did.keys import SigningKey
from did.time import utc_now
from pds.wire import WireError, new_id, sign_request
from pds.wire.ids import ID

SCENE = json.loads(os.environ["PDS_SCENE"])
HEADERS = {"Content-Digest", "PDS-Epoch", "Signature-Input", "Signature"}
NOBODYS = "A" * 22


@schemathesis.deserializer("application/vc")
def credential(_context, response):
    return json.loads(response.content)


class Signer(requests.auth.AuthBase):
    """The holder signs; the company signs for what it redeems, and deposits with its capability."""

    def __call__(self, prepared):
        path = prepared.path_url
        if path.startswith("/v1/mailboxes/") and prepared.method == "POST":
            prepared.headers["Authorization"] = f"Bearer {SCENE['secret']}"
            return prepared
        who = "company" if path.startswith("/v1/redemptions/") else "owner"
        body = prepared.body or b""
        try:
            signature = sign_request(
                SigningKey.from_seed(bytes.fromhex(SCENE[who])),
                method=prepared.method,
                url=SCENE["url"] + path,
                body=body if isinstance(body, bytes) else body.encode(),
                epoch=0 if who == "company" else 1,
                created=utc_now(),
                nonce=new_id(),
            )
        except WireError:
            return prepared  # an address that nobody can sign; it goes out as it is
        # A header that is left out on purpose stays out.
        left_out = HEADERS - set(prepared.headers)
        prepared.headers.update(signature)
        for name in left_out:
            del prepared.headers[name]
        return prepared


if "secret" in SCENE:
    schemathesis.auth.set_from_requests(Signer())

    @schemathesis.hook
    def before_call(context, case, _kwargs):
        """Half of the ids, and each mailbox named in a body, become those of the scene, which
        nothing ends; and nothing waits."""
        path, given = case.operation.path, case.path_parameters or {}
        places = SCENE["places"]
        known = places.get(path.split("/")[2] if path.startswith("/v1/") else "")
        if case.method == "DELETE" and path.endswith("{id}"):
            if given.get("id") in places.values():
                given["id"] = NOBODYS
        elif known and is_id(given.get("id")) and given["id"][-1] in "AQ":
            given["id"] = known
        if isinstance(case.body, dict) and is_id(case.body.get("mailbox")):
            case.body["mailbox"] = places["mailboxes"]
        if case.query and case.query.get("wait") in [*range(31), *map(str, range(31))]:
            case.query["wait"] = 0


def is_id(value):
    return isinstance(value, str) and ID.fullmatch(value) is not None
