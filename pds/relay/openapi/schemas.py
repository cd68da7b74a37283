"""The forms of what is sent and answered, as JSON Schema 2020-12.

What is signed by others (credentials, presentations, log entries) is an object here and no more:
docs/protocol.md says what is in it, and the relay checks it in full.
"""

from typing import Final

from did.json import Json, JsonObject
from pds.wire import MAX_SEALED, WHOLE

_MAX_INTEGER: Final = 2**53 - 1


def text(pattern: str, description: str) -> JsonObject:
    return {"type": "string", "pattern": f"^{pattern}$", "description": description}


def whole(least: int = 0, most: int = _MAX_INTEGER) -> JsonObject:
    return {"type": "integer", "minimum": least, "maximum": most}


def ref(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


def listed(items: JsonObject, most: int | None = None) -> JsonObject:
    said: JsonObject = {"type": "array", "items": items}
    return said if most is None else {**said, "maxItems": most}


def exactly(optional: tuple[str, ...] = (), /, **members: Json) -> JsonObject:
    """An object with these members and no others."""
    return {
        "type": "object",
        "properties": members,
        "required": [name for name in sorted(members) if name not in optional],
        "additionalProperties": False,
    }


_ID: Final = ref("Id")
_DIGEST: Final = ref("Digest")
_TIME: Final = ref("Time")
_OCTETS: Final = ref("Octets")
_HASH: Final = ref("Hash")
_SIGNED: Final = ref("Signed")
_RECEIPT: Final = ref("Receipt")

SCHEMAS: Final[dict[str, JsonObject]] = {
    "Id": text("[A-Za-z0-9_-]{21}[AQgw]", "128 random bits in base64url, chosen by the caller."),
    "Digest": text("uEi[A-D][A-Za-z0-9_-]{42}[AQgw]", "A SHA-256 multihash in base64url."),
    "Hash": text("[A-Za-z0-9_-]{43}", "32 bytes in base64url."),
    "Time": {
        "type": "string",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
        "description": "UTC in whole seconds.",
    },
    "Octets": text("[A-Za-z0-9_-]+", "Bytes in base64url without padding; sealed, so unreadable."),
    "Note": {"type": "string", "description": "A signed note (C2SP signed-note)."},
    "Signed": {
        "type": "object",
        "description": "Signed with Data Integrity by its author; verified by whoever acts on it.",
    },
    "Manifest": exactly(
        type={"const": "Manifest"},
        package=_ID,
        seq=whole(1),
        ticket=_DIGEST,
        sha256=_DIGEST,
        size=whole(1),
        notAfter=_TIME,
        proof={},
    ),
    "Entry": {
        "type": "object",
        "description": "What is in the log; more members by type.",
        "properties": {
            "type": {
                "enum": [
                    "deposit", "staging", "end", "redemption", "refusal", "status", "identity",
                    "log-key",
                ]
            },
            "relay": {"type": "string"},
            "at": _TIME,
        },
        "required": ["at", "relay", "type"],
    },
    "Receipt": exactly(
        entry=ref("Entry"),
        salt={"type": "string"},
        leafIndex=whole(),
        inclusion=listed(_HASH, 64),
        checkpoint=ref("Note"),
    ),
    "Problem": {
        "type": "object",
        "description": "RFC 9457 problem details. ``code`` is what a program goes by; those of the"
        " server in front begin with ``front.``. Nothing of the request is in it.",
        "properties": {
            "type": {"const": "about:blank"},
            "title": {"type": "string"},
            "status": whole(400, 599),
            "code": text(r"(relay|front)\.[a-z_]+", "A stable name of the reason."),
        },
        "required": ["code", "status", "title", "type"],
        "additionalProperties": False,
    },
    "RelayInfo": exactly(
        relay={"type": "string"},
        logOrigin={"type": "string"},
        logKey={"type": "string", "description": "Multikey, Ed25519."},
        registration={"enum": ["open", "token"]},
        time=_TIME,
        maxSealed={**whole(1), "description": "Bytes of the largest sealed object it takes."},
    ),
    "Registration": exactly(("token",), token={"type": "string"}),
    "MailboxMade": exactly(mailbox=_ID),
    "Mailbox": exactly(
        mailbox=_ID,
        epoch=whole(),
        packages=listed(
            exactly(package=_ID, seq=whole(1), uses=whole(), ended={"type": "boolean"})
        ),
        lists=listed(exactly(list=_ID, sequence=whole())),
    ),
    "Capability": exactly(
        hash=_DIGEST, maxEnvelopes=whole(1), maxBytes=whole(1), expires=_TIME
    ),
    "CapabilityMade": exactly(capability=_ID),
    "Envelopes": exactly(
        envelopes=listed(
            {"oneOf": [exactly(ordinal=whole(1), sealed=_OCTETS),
                       exactly(ordinal=whole(1), size=whole(WHOLE + 1, MAX_SEALED))]}, 50
        ),
        more={"type": "boolean"},
    ),
    "Staging": exactly(
        ("uses",), mailbox=_ID, ticket=_SIGNED, manifest=ref("Manifest"), sealed=_OCTETS,
        uses=whole(),
    ),
    "Package": exactly(
        manifest={"oneOf": [{"type": "null"}, ref("Manifest")]},
        ticket={"oneOf": [{"type": "null"}, _SIGNED]},
        uses=whole(),
        ended={"type": "boolean"},
    ),
    "Events": exactly(
        events=listed(
            exactly(("presentation",), ordinal=whole(1), receipt=_RECEIPT, presentation=_SIGNED),
            50,
        ),
        more={"type": "boolean"},
    ),
    "Challenge": exactly(challenge={"type": "string"}, expires=_TIME),
    "Presentation": exactly(presentation=_SIGNED),
    "Answer": exactly(
        manifest=ref("Manifest"), receipt=_RECEIPT,
        sealed={"oneOf": [{"type": "null"}, _OCTETS],
                "description": "Null beyond 1 MiB: then it is fetched in pieces."},
    ),
    "StatusList": exactly(mailbox=_ID, credential=_SIGNED),
    "Request": exactly(mailbox=_ID, sealed=_OCTETS, expires=_TIME),
    "RequestMade": exactly(request=_ID),
    "Identity": exactly(
        ("witness",), mailbox=_ID, did={"type": "string"}, log={"type": "string"},
        witness={"type": "string"},
    ),
    "Checkpoints": exactly(checkpoints=listed(ref("Note"), 8)),
    "Successions": exactly(successions=listed(_RECEIPT, 100)),
    "Proof": exactly(proof=listed(_HASH, 128)),
    "Health": exactly(status={"enum": ["ok", "ready"]}),
    "Object": {"type": "object"},
}  # fmt: skip
