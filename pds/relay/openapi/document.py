"""The rows of ``operations`` as an OpenAPI 3.1 document."""

import re
from typing import Final

from did.json import Json, JsonObject
from pds.relay.openapi.operations import JSON, OCTETS, OPERATIONS, Caller, Operation
from pds.relay.openapi.schemas import SCHEMAS, ref, text, whole
from pds.wire import HTTP_STATUS, TITLES, RelayCode

MAX_WAIT: Final = 30
"""For how many seconds a question for envelopes may wait for the first of them."""
_PROBLEM: Final = "application/problem+json"
_VERSION: Final = "1"
_RETRY: Final = frozenset({429, 503})
# The server in front gives these too, for reasons of its own.
_FRONT: Final = frozenset({400, 413, 503})
_PLACE: Final = re.compile(r"<(?:path:)?([a-z]+)_?>")
_PARAMETERS: Final[dict[str, tuple[JsonObject, str]]] = {
    "id": (ref("Id"), "An id."),
    "cid": (ref("Id"), "The id of a capability."),
    "ordinal": (whole(1), "The number of an envelope."),
    "redemption": (ref("Digest"), "The digest of a presentation."),
    "link": ({"type": "string"}, "An id; the page is the same for any text."),
    "name": (text("[0-9a-f]{16}", "16 hexadecimal digits."), "The last part of a log's origin."),
    "path": (
        text(
            r"(0|[1-9][0-9]?)/(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?",
            "Such as 0/x001/234.",
        ),
        "The place of a tile: level, number, and .p/width at the edge.",
    ),
    "wait": (whole(0, MAX_WAIT), "Seconds; an answer may come earlier and be empty all the same."),
}
_HEADERS: Final[dict[str, str]] = {
    "Signature-Input": "RFC 9421; label sig, tag pds/v1, in the one form of docs/protocol.md §7.",
    "Content-Digest": "RFC 9530, sha-256; of the empty body too.",
    "PDS-Epoch": "The writer epoch; 0 where no mailbox is concerned.",
}
_DESCRIPTION: Final = (
    "A relay keeps sealed packages and envelopes that it cannot read. Signatures, tickets and the"
    " order of calls are in the project's docs/protocol.md; this document has their forms. What is"
    " unknown and what is not the caller's is the same 404."
)


def document(url: str) -> JsonObject:
    """The document of the relay at ``url``."""
    paths: dict[str, dict[str, Json]] = {}
    for row in OPERATIONS:
        path = _PLACE.sub(r"{\1}", row.rule)
        paths.setdefault(path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.1",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": "Relay of a personal data store (pds/v1)",
            "version": _VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "paths": dict(paths),
        "components": {
            "schemas": dict(SCHEMAS),
            "parameters": {
                name: {
                    "name": name,
                    "in": "header",
                    "required": True,
                    "description": description,
                    "schema": {"type": "string"},
                }
                for name, description in _HEADERS.items()
            },
            "securitySchemes": {
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Signature",
                    "description": "An HTTP message signature (RFC 9421) by a did:key, over"
                    " method, target, Content-Digest and PDS-Epoch; valid for 60 seconds.",
                },
                "capability": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "256 bits in base64url; a mailbox's owner has let them in.",
                },
            },
        },
    }


def _operation(row: Operation) -> JsonObject:
    places = _PLACE.findall(row.rule)
    parameters: list[Json] = [
        *(_parameter(name, "path", required=True) for name in places),
        *(_parameter(name, "query", required=True) for name in row.query),
        *(_parameter(name, "query", required=False) for name in row.optional),
    ]
    said: JsonObject = {
        "operationId": _id_of(row),
        "summary": row.summary,
        "security": [],
        "responses": _responses(row),
    }
    if row.caller.signs:
        said["security"] = [{"signature": []}]
        said["description"] = f"Signed by {row.caller.value}."
        parameters += [{"$ref": f"#/components/parameters/{name}"} for name in _HEADERS]
    elif row.caller is Caller.DEPOSITOR:
        said["security"] = [{"capability": []}]
    if parameters:
        said["parameters"] = parameters
    if row.body is not None:
        content: JsonObject = {JSON: {"schema": ref(row.body)}} if row.body else {OCTETS: {}}
        said["requestBody"] = {"required": True, "content": content}
    return said


def _id_of(row: Operation) -> str:
    words = re.findall(r"[a-z0-9]+", _PLACE.sub(r"by \1", row.rule))
    return "_".join([row.method.lower(), *words])


def _parameter(name: str, place: str, *, required: bool) -> JsonObject:
    schema, description = _PARAMETERS.get(name, (whole(), "A whole number."))
    said: JsonObject = {"name": name, "in": place, "description": description, "schema": schema}
    return {**said, "required": True} if required else said


def _responses(row: Operation) -> JsonObject:
    by_status: dict[int, set[RelayCode]] = {}
    for code in row.codes:
        by_status.setdefault(HTTP_STATUS[code], set()).add(code)
    if row.suspended:
        by_status.setdefault(503, set()).add(RelayCode.SUSPENDED)
    found: dict[str, Json] = {}
    for status, answer in row.answers.items():
        said: JsonObject = {"description": "Done." if answer is None else "The answer."}
        if answer is not None:
            media, schema = answer
            said["content"] = {media: {} if schema is None else {"schema": ref(schema)}}
        if row.rule == "/v1/status/<id_>" and row.method == "GET":
            said["headers"] = {
                "PDS-Stamp": {"description": "A signed stamp in base64url.", "required": True,
                              "schema": {"type": "string"}}
            }  # fmt: skip
        found[str(status)] = said
    for status, codes in by_status.items():
        names = sorted(codes)
        found[str(status)] = _problem(
            " / ".join(TITLES[code] for code in names),
            _one_of(names, front=status in _FRONT),
            retry=status in _RETRY,
        )
    # The server in front, and a method that is not for this address.
    found["default"] = _problem(
        "The server in front refuses the call, or the method is not for this address.",
        {"pattern": rf"^(front\.[a-z_]+|{re.escape(RelayCode.METHOD)})$"},
    )
    return dict(sorted(found.items()))


def _one_of(codes: list[RelayCode], *, front: bool) -> JsonObject:
    ours: JsonObject = {"enum": [code.value for code in codes]}
    return {"anyOf": [ours, {"pattern": r"^front\."}]} if front else ours


def _problem(description: str, code: JsonObject, *, retry: bool = False) -> JsonObject:
    schema: JsonObject = {"allOf": [ref("Problem"), {"properties": {"code": code}}]}
    said: JsonObject = {"description": description, "content": {_PROBLEM: {"schema": schema}}}
    if retry:
        said["headers"] = {"Retry-After": {"description": "Seconds.", "schema": whole(1)}}
    return said
