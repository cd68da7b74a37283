"""What the relay's OpenAPI document says of an answer: ``check`` holds one against it.

``relay_world`` does so with every answer of a relay in any test, so the document cannot say less
or other than what is built.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from pds.relay.openapi import document
from pds.wire import HTTP_STATUS, RelayCode, problem

_HEADERS_OF_PROBLEMS = {
    "allow", "cache-control", "connection", "content-length", "content-security-policy",
    "content-type", "date", "referrer-policy", "retry-after", "server", "x-content-type-options",
}  # fmt: skip


@cache
def said() -> dict[str, Any]:
    """The document; its form does not depend on the address."""
    return dict(document("http://127.0.0.1:8080"))


@cache
def _places() -> list[tuple[re.Pattern[str], str]]:
    """Paths that are written out go before those with parameters."""
    found = []
    for path in sorted(said()["paths"], key=lambda one: ("{" in one, one)):
        pattern = re.sub(r"\\{path\\}", ".+", re.escape(path))
        found.append((re.compile(re.sub(r"\\{[a-z]+\\}", "[^/]+", pattern)), path))
    return found


def path_of(target: str) -> str | None:
    """Which path of the document this target is at."""
    bare = target.partition("?")[0]
    return next((path for pattern, path in _places() if pattern.fullmatch(bare)), None)


@cache
def validator(schema: str) -> Draft202012Validator:
    """For a schema, given as JSON, that may refer to those of the document."""
    return Draft202012Validator({**json.loads(schema), "components": said()["components"]})


def check(
    method: str, target: str, *, status: int, headers: Mapping[str, str], body: bytes
) -> None:
    """Fail unless the document has this answer: status, media type, form, code."""
    where = f"{method} {target.partition('?')[0]} {status}"
    path = path_of(target)
    item = said()["paths"].get(path, {})
    operation = item.get(method.lower())
    if operation is None:
        _check_unknown(method, item, where, status, headers, body)
        return
    answer = operation["responses"].get(str(status)) or operation["responses"]["default"]
    for name in answer.get("headers", {}):
        # A front that is stopping and a code for which there is no time have none.
        assert name.lower() in headers or name == "Retry-After", where
    content = answer.get("content")
    if content is None:
        assert body == b"", where
        return
    ((media, told),) = content.items()
    assert headers["content-type"] == media, where
    assert status != 500, where
    if "schema" in told:
        error = next(validator(json.dumps(told["schema"])).iter_errors(json.loads(body)), None)
        assert error is None, (where, error and error.message, body[:300])
    if status >= 400:
        _check_problem(where, status, headers, body)


def _check_unknown(
    method: str, item: dict[str, Any], where: str, status: int, headers: Mapping[str, str],
    body: bytes,
) -> None:  # fmt: skip
    """An address or a method that is not in the document."""
    if method == "OPTIONS" and item:
        assert (status, body) == (200, b""), where
        return
    if method == "HEAD" and "get" in item:
        assert str(status) in item["get"]["responses"], where
        return
    _check_problem(where, status, headers, body)
    code = json.loads(body)["code"]
    if item:
        assert (status, code) == (405, "relay.method"), where
        allowed = {name.upper() for name in item} | {"OPTIONS"}
        assert set(headers["allow"].split(", ")) == allowed | (
            {"HEAD"} if "get" in item else set()
        ), where
    elif not code.startswith("front."):
        # A body that is too large is refused whatever it is for.
        assert (status, code) == (404, "relay.not_found"), where


def _check_problem(where: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Word for word what its code stands for: there is no room in it for anything that was sent."""
    said = json.loads(body)
    assert said["status"] == status, where
    if said["code"].startswith("relay."):
        code = RelayCode(said["code"])
        assert said == problem(code) | {"status": status}, where
        assert status == HTTP_STATUS[code] or (code, status) == (RelayCode.SUSPENDED, 503), where
        assert set(headers) <= _HEADERS_OF_PROBLEMS, where
