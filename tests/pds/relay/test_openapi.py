"""The relay's OpenAPI document: valid, complete, and true of a relay that is asked anything."""

import json
import re
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

import pytest
from contract import said
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relay_world import FILE_ONLY, URL, World, http_send, relay_process

from did.json import canonicalize
from did.keys import SigningKey
from did.time import format_time, utc_now
from pds.relay.openapi import document
from pds.relay.openapi.operations import OPERATIONS
from pds.wire import HTTP_STATUS, RelayCode, WireError, new_id

CALLS = {(row.method, re.sub(r"<(?:path:)?([a-z]+)_?>", r"{\1}", row.rule)): row
         for row in OPERATIONS}  # fmt: skip


@FILE_ONLY
def test_the_document_is_valid() -> None:
    """By the OpenAPI Initiative's own schema of 3.1, for any address."""
    # Here, because its grammars take seconds to load, and each worker of a run reads this file.
    from openapi_spec_validator import validate

    validate(document("https://relay.example"))  # type: ignore[arg-type]


def test_the_document_is_served_to_anyone(world: World) -> None:
    """It names this relay's address, and pages of other origins may read it."""
    reply = world.get("/v1/openapi.json")
    assert reply.body == canonicalize(document(URL))
    assert reply.json["servers"] == [{"url": URL}]
    assert reply.headers["access-control-allow-origin"] == "*"


def test_every_route_is_in_it_and_nothing_else(world: World) -> None:
    """The rows are the routes of the application, method by method."""
    routes = {
        (method, rule.rule)
        for rule in world.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert {(row.method, row.rule) for row in OPERATIONS} == routes
    assert len(OPERATIONS) == len(routes)
    paths = said()["paths"]
    assert {(method.upper(), path) for path in paths for method in paths[path]} == set(CALLS)


@FILE_ONLY
def test_every_code_is_in_it_under_its_status() -> None:
    """No code without a call that gives it, and none under another status."""
    found = set()
    for item in said()["paths"].values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                for media in answer.get("content", {}).values():
                    for part in media.get("schema", {}).get("allOf", ()):
                        told = part.get("properties", {}).get("code", {})
                        for code in told.get("anyOf", [told])[0].get("enum", ()):
                            found.add((code, int(status)))
    known = {(code.value, HTTP_STATUS[code]) for code in RelayCode}
    # One says that the method is not for an address, so no operation has it; the other has two.
    assert found == known - {("relay.method", 405)} | {("relay.suspended", 503)}


def test_a_slash_in_an_id_makes_another_address(world: World) -> None:
    """Each operation whose path has parts says that: its answer is one that the document has."""
    for method, path in CALLS:
        if "{" in path and "{path}" not in path:
            target = re.sub(r"{[a-z]+}", "%2F", path)
            assert world.send(method, target, {}, b"").code == "relay.not_found"


@FILE_ONLY
def test_every_form_is_used() -> None:
    """No schema is left over from something that is no more."""
    text = json.dumps(said())
    unused = [name for name in said()["components"]["schemas"]
              if f'"#/components/schemas/{name}"' not in text]  # fmt: skip
    assert unused == []


# --- anything at all ------------------------------------------------------------------------------


@pytest.fixture
def scenes(port: int) -> "list[Scene]":
    """The scene of a test; one that was ended is replaced."""
    return [Scene(port)]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A relay as a process."""
    with relay_process(tmp_path_factory.mktemp("openapi") / "relay") as port:
        yield port


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner,
                                                                max_size=3),
    max_leaves=6,
)  # fmt: skip


def of_form(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a schema, as far as those of the document go."""
    if "$ref" in schema:
        return of_form(said()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        forms = {name: of_form(one) for name, one in schema["properties"].items()}
        needed = {name: form for name, form in forms.items() if name in schema["required"]}
        others = {name: form for name, form in forms.items() if name not in needed}
        return st.fixed_dictionaries(needed, optional=others)
    simple = {
        "string": st.text(max_size=20),
        "integer": st.integers(schema.get("minimum"), schema.get("maximum")),
        "object": st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=3),
    }
    return simple.get(kind, JSON_VALUES)


class Scene:
    """A holder with everything in place, and what each call would say there if it were right."""

    def __init__(self, port: int) -> None:
        self.world = world = World(send=http_send(port), clock=utc_now)
        self.package, self.ticket = world.ready()
        self.link, self.cid = new_id(), new_id()
        self.secret = world.capability()[1]
        self.presentation = world.presentation(self.ticket)
        later = format_time(utc_now().replace(year=utc_now().year + 1, day=1))
        soon = self.world.ticket(self.package)["validUntil"]
        self.bodies: dict[str, Any] = {
            "Registration": {},
            "Capability": {"hash": "uEiA" + "A" * 43, "maxEnvelopes": 1, "maxBytes": 9,
                           "expires": later},
            "Staging": world.staging(self.package, ticket=self.ticket, seq=2),
            "Presentation": {"presentation": self.presentation},
            "StatusList": {"mailbox": world.mailbox, "credential": world.status_list(sequence=2)},
            "Request": {"mailbox": world.mailbox, "sealed": "AAAA", "expires": soon},
            "Identity": {"mailbox": world.mailbox, "did": "did:webvh:a:b", "log": "{}\n"},
        }  # fmt: skip
        self.places = {
            "/v1/mailboxes": world.mailbox, "/v1/packages": self.package,
            "/v1/status": world.list_id, "/v1/requests": self.link,
        }  # fmt: skip

    def place(self, path: str, name: str) -> str:
        """A value that is right here for a part of a path."""
        if name == "id":
            found = [id_ for prefix, id_ in self.places.items() if path.startswith(prefix)]
            return found[0] if found else new_id()
        return {"cid": self.cid, "ordinal": "1", "name": "0" * 16, "path": "0/000", "link": "x",
                "redemption": "uEiA" + "A" * 43}[name]  # fmt: skip


def changed(data: st.DataObject, value: Any) -> Any:
    """The value with one part of it replaced by anything, or left out."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(value)))
        rest = {key: one for key, one in value.items() if key != name}
        return rest if data.draw(st.booleans()) else rest | {name: changed(data, value[name])}
    return data.draw(JSON_VALUES)


def body_of(data: st.DataObject, scene: Scene, schema: str) -> bytes:
    """What is right, nearly right, of the right form, or nothing of the kind."""
    if schema == "":
        return data.draw(st.binary(max_size=100))
    right = scene.bodies[schema]
    which = data.draw(st.sampled_from(["right", "changed", "form", "anything"]))
    if which == "anything":
        return data.draw(st.binary(max_size=50) | JSON_VALUES.map(lambda v: json.dumps(v).encode()))
    if which == "changed":
        right = changed(data, right)
    elif which == "form":
        right = data.draw(of_form({"$ref": f"#/components/schemas/{schema}"}))
    return json.dumps(right).encode()


@FILE_ONLY
@pytest.mark.parametrize(("method", "path"), CALLS)
@settings(
    max_examples=30, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow,
                           HealthCheck.data_too_large],
)  # fmt: skip
@given(data=st.data())
def test_every_answer_is_in_the_document(
    port: int, scenes: "list[Scene]", method: str, path: str, data: st.DataObject
) -> None:
    """Whatever is asked, by whomever: never a failure, always a status, a form and a code that the
    document has for this call. The check itself is in ``contract``, at every reply."""
    scene = scenes[0]
    row = CALLS[method, path]
    target = path
    for name in re.findall(r"{([a-z]+)}", path):
        value = data.draw(st.just(scene.place(path, name)) | st.text(min_size=1, max_size=8))
        target = target.replace(f"{{{name}}}", quote(value, safe=""))
    numbers = st.integers(0, 40) | st.integers(-5, 2**70) | st.text(max_size=4)
    asked = {name: data.draw(numbers) for name in (*row.query, *row.optional)}
    if data.draw(st.integers(0, 4)) == 0:
        asked[data.draw(st.text(max_size=3))] = 0
    if asked.get("wait"):
        asked["wait"] = data.draw(st.sampled_from([0, 31, "x"]))
    query = "&".join(f"{quote(str(name))}={quote(str(value))}" for name, value in asked.items())
    target += f"?{query}" if query else ""
    body = b"" if row.body is None else body_of(data, scene, row.body)
    headers: dict[str, str] = {}
    who = data.draw(st.sampled_from(["right", "right", "right", "stranger", "nobody", "broken"]))
    if row.caller.signs and who != "nobody":
        key = {"right": scene.world.owner, "stranger": SigningKey.generate()}.get(who)
        try:
            headers = scene.world.sign(method, target, body, key=key)
        except WireError:
            return  # a target that cannot be signed cannot be asked for
        if who == "broken":
            name = data.draw(st.sampled_from(sorted(headers)))
            headers[name] = data.draw(st.text('abc=;"():,1 ', max_size=30)).strip()
    elif row.body == "" and who != "nobody":
        secret = scene.secret if who == "right" else who
        headers["Authorization"] = f"Bearer {secret}"
    try:
        reply = scene.world.send(method, target, headers, body)
        if method == "DELETE" and reply.status < 300:
            scenes[0] = Scene(port)
    except HTTPException:
        pytest.fail("the relay gave no answer")
