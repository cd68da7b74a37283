"""A whole relay in this process, and what its callers send: every body that it reads.

Each input meets the relay as it was after the same small story, so what is found is found again.
The calls are signed by who may make them; with ``signed`` so is what lies inside.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from target import ROOT, Target, secret, text

sys.path.insert(0, str(ROOT / "tests" / "pds" / "relay"))

from relay_world import Clock, World, close, flask_send

from credentials.errors import CredentialError
from credentials.proof import sign_object
from credentials.webvh import PROOFS
from did.errors import DidError
from did.json import Json, JsonObject, canonicalize, parse_object
from did.keys import SigningKey
from did.methods import webvh
from did.multikey import b64url_encode
from did.time import format_time
from pds.relay.app import create_app
from pds.wire import capability_hash

HOLDER, OWNER, COMPANY = (SigningKey.from_seed(secret(f"fuzz {n}")) for n in range(3))
ID = "A" * 22
PACKAGE, LIST, OTHER = "B" * 21 + "A", "C" * 21 + "A", "D" * 21 + "A"
SECRET = "A" * 43
URL = "https://relay.example"
_PLACE = "/dev/shm" if Path("/dev/shm").is_dir() else None  # in memory where there is one
_SEALED = b"sealed bytes"


@dataclass(frozen=True)
class Call:
    """One call whose body a stranger makes; ``keys``: who signs which object inside it."""

    method: str
    path: str
    body: bytes
    keys: tuple[tuple[str, SigningKey], ...] = ()
    bearer: str = ""


def _open(data: Path) -> World:
    clock = Clock()
    app = create_app(data, url=URL, clock=clock)
    return World(
        send=flask_send(app),
        clock=clock,
        url=URL,
        app=app,
        holder=HOLDER,
        owner=OWNER,
        company=COMPANY,
        mailbox=ID,
        list_id=LIST,
    )


@cache
def _story() -> tuple[tempfile.TemporaryDirectory[str], tuple[Call, ...]]:
    """The data folder of a relay with a mailbox, a list and a package; and calls that it takes."""
    folder = tempfile.TemporaryDirectory(dir=_PLACE)
    world = _open(Path(folder.name, "relay"))
    ends = format_time(world.clock() + timedelta(days=1))
    allowed: JsonObject = {
        "hash": capability_hash(SECRET),
        "maxEnvelopes": 3,
        "maxBytes": 4096,
        "expires": ends,
    }
    capability = f"/v1/mailboxes/{ID}/capabilities/{OTHER}"
    ticket = world.ticket(PACKAGE)
    done = (
        world.create(),
        world.put_status(),
        world.stage(PACKAGE, ticket=ticket),
        world.call("PUT", capability, allowed),
    )
    if any(reply.status not in (200, 201) for reply in done):
        raise AssertionError("the story does not go as it is told")
    did = webvh.placeholder_of("relay.example", path=["identities", OTHER])
    log = webvh.create(
        {"@context": ["https://www.w3.org/ns/did/v1"], "id": did},
        key=HOLDER,
        proofs=PROOFS,
        now=world.clock(),
    )
    second: JsonObject = {
        "mailbox": ID,
        "credential": world.status_list(sequence=2),
    }
    request: JsonObject = {
        "mailbox": ID,
        "sealed": b64url_encode(_SEALED),
        "expires": ends,
    }
    identity: JsonObject = {"mailbox": ID, "did": str(log.did), "log": log.raw.decode()}
    presentation = world.presentation(ticket)
    staged = (("ticket", HOLDER), ("manifest", HOLDER))

    def put(path: str, body: JsonObject, *keys: tuple[str, SigningKey]) -> Call:
        return Call("PUT", f"/v1/{path}", canonicalize(body), keys)

    calls = (
        put(f"mailboxes/{OTHER}", {}),
        put(f"mailboxes/{ID}/capabilities/{ID}", allowed),
        put(f"packages/{PACKAGE}", world.staging(PACKAGE, ticket=ticket, seq=2), *staged),
        put(f"packages/{OTHER}", world.staging(OTHER), *staged),
        put(f"status/{LIST}", second, ("credential", HOLDER)),
        put(f"requests/{OTHER}", request),
        put(f"identities/{OTHER}", identity),
        Call(
            "POST",
            "/v1/redemptions",
            canonicalize({"presentation": presentation}),
            (("presentation", COMPANY),),
        ),
        Call("POST", f"/v1/mailboxes/{ID}/envelopes", b"sealed", bearer=SECRET),
    )
    close(world)
    return folder, calls


def _meet(act: Callable[[World], object]) -> None:
    """A copy of the relay after the story; what its handlers do not catch comes out."""
    folder, _ = _story()
    with tempfile.TemporaryDirectory(dir=_PLACE) as copy:
        data = Path(copy, "relay")
        shutil.copytree(Path(folder.name, "relay"), data)
        world = _open(data)
        try:
            act(world)
        finally:
            close(world)


def _call(world: World, call: Call, body: bytes) -> None:
    if call.method == "POST":
        bearer = {"Authorization": f"Bearer {call.bearer}"} if call.bearer else {}
        world.send("POST", call.path, bearer, body)
    else:
        world.call(call.method, call.path, body)


def _resigned(call: Call, body: bytes) -> bytes:
    try:
        value = parse_object(body)
    except DidError:
        return body
    for name, key in call.keys:
        inside = value.get(name)
        if not isinstance(inside, dict):
            continue
        try:
            value[name] = _signed(inside, key)
        except (CredentialError, DidError, ValueError):
            continue
    return canonicalize(value)


def _signed(value: JsonObject, key: SigningKey) -> JsonObject:
    proof: Json = value.get("proof")
    said = proof if isinstance(proof, dict) else {}
    options = {name: said[name] for name in ("challenge", "domain") if name in said}
    return sign_object(
        {name: member for name, member in value.items() if name != "proof"},
        key,
        created=Clock()(),
        purpose=str(said.get("proofPurpose", "assertionMethod")),
        **options,  # type: ignore[arg-type]
    )


def _body(raw: bytes) -> None:
    calls = _story()[1]
    call = calls[raw[0] % len(calls)] if raw else calls[0]
    _meet(lambda world: _call(world, call, raw[1:]))


def _body_signed(raw: bytes) -> None:
    calls = [call for call in _story()[1] if call.keys]
    call = calls[raw[0] % len(calls)] if raw else calls[0]
    _meet(lambda world: _call(world, call, _resigned(call, raw[1:])))


def _path(raw: bytes) -> None:
    """Any path and query, as a front hands them on."""
    head, _, tail = text(raw).partition("?")
    path = ("/log/" if head.startswith("tile") else "/v1/") + "".join(
        c for c in head if "!" <= c <= "~" and c != "#"
    )
    query = "".join(c for c in tail if "!" <= c <= "~" and c not in '#"\\[]^`{|}')
    whole = f"{path}?{query}" if tail else path
    _meet(lambda world: _paths(world, whole.replace("/log/tile", _beneath(world), 1)))


def _beneath(world: World) -> str:
    """The tiles of this relay's log."""
    origin = str(world.get("/v1/relay").json["logOrigin"])
    return "/" + origin.partition("/")[2] + "/tile"


def _paths(world: World, path: str) -> None:
    for method in ("GET", "DELETE"):
        try:
            headers = world.sign(method, path)
        except Exception:  # noqa: BLE001  # a path that cannot be signed is sent without
            headers = {}
        world.send(method, path, headers, b"")


def _seeds(*, signed: bool) -> tuple[bytes, ...]:
    calls = [call for call in _story()[1] if call.keys or not signed]
    return tuple(bytes([number]) + call.body for number, call in enumerate(calls))


RELAY_TARGETS = {
    "relay_bodies": Target(_body, (), _seeds(signed=False)),
    "relay_bodies_signed": Target(_body_signed, (), _seeds(signed=True)),
    "relay_paths": Target(
        _path,
        (),
        (
            f"packages/{PACKAGE}/events?after=0".encode(),
            f"mailboxes/{ID}/envelopes?after=0".encode(),
            f"mailboxes/{ID}/envelopes/1".encode(),
            b"log/consistency?first=1&second=2",
            b"log/proof?leaf=0&size=2",
            b"tile/0/000.p/1",
            b"tile/0/x001/000",
            f"status/{LIST}".encode(),
            b"redemptions/uEi" + b"A" * 44,
        ),
    ),
}
