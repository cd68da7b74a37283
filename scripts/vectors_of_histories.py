"""The vectors of did:webvh: histories that hold, and each way in which one does not."""

from collections.abc import Iterator
from datetime import timedelta

from vector_world import HOLDER, NOW, STRANGER, VALID, case, refused

from credentials.webvh import PROOFS
from did.json import Json, JsonObject, canonicalize, parse_object, without_proof
from did.keys import SigningKey
from did.methods import webvh
from did.methods.webvh.entry import entry_hash
from did.time import format_time

DAY = timedelta(days=1)


def histories() -> Iterator[JsonObject]:
    """Logs of did:webvh; ``now`` is when they are read."""
    yield from _rotated()
    yield from _updated()
    yield from _moved()
    yield from _witnessed()


def _first(host: str = "issuer.example", **parameters: Json) -> webvh.Log:
    return webvh.create(
        {
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": webvh.placeholder_of(host),
        },
        key=HOLDER,
        proofs=PROOFS,
        now=NOW - 2 * DAY,
        parameters=parameters,
    )


def _entry(line: str, key: SigningKey = HOLDER, **changes: Json) -> str:
    """An entry with other members, its hash made anew and signed: what a forger can do."""
    entry = without_proof(parse_object(line)) | changes
    number, _, _ = str(parse_object(line)["versionId"]).partition("-")
    named = {**entry, "versionId": f"{number}-{entry_hash(entry, str(entry['versionId']))}"}
    return canonicalize({**named, "proof": [PROOFS.sign(named, key, created=NOW)]}).decode()


def _rotated() -> Iterator[JsonObject]:
    """Two versions, the key of the second announced by the first."""
    announced: list[Json] = [webvh.key_hash(STRANGER.verify_key.multikey)]
    made = _first(nextKeyHashes=announced)
    named: list[Json] = [STRANGER.verify_key.multikey]
    grown = webvh.update(
        made,
        key=STRANGER,
        proofs=PROOFS,
        now=NOW - DAY,
        parameters={"updateKeys": named, "nextKeyHashes": []},
    )
    who: dict[str, Json] = {"did": str(made.did)}
    text = grown.raw.decode()
    first, second = text.splitlines()
    yield case("valid: two versions, with pre-rotation", text, VALID, **who)
    yield case("valid: the first version", first + "\n", VALID, **who)
    yield case("the first version taken out", second + "\n", refused("did.webvh_log"), **who)
    yield case("a version of the future", text, refused("did.webvh_log"), at=NOW - 3 * DAY, **who)
    time = '"versionTime":"2026-01-29T09:30:0%s"'
    later = text.replace(time % "0Z", time % "1Z")
    yield case("a time changed", later, refused("did.webvh_log"), **who)
    forged = canonicalize({**parse_object(second), "proof": parse_object(first)["proof"]}).decode()
    yield case(
        "the proof of another version", f"{first}\n{forged}\n", refused("did.webvh_proof"), **who
    )
    unannounced = _entry(
        second,
        HOLDER,
        versionId=made.last.version_id,
        parameters={"updateKeys": [HOLDER.verify_key.multikey], "nextKeyHashes": []},
    )
    yield case(
        "a key that was not announced", f"{first}\n{unannounced}\n", refused("did.webvh_log"), **who
    )
    ended = webvh.deactivate(grown, key=STRANGER, proofs=PROOFS, now=NOW - DAY / 24)
    gone: JsonObject = {"deactivated": True}
    yield case("valid: deactivated", ended.raw.decode(), VALID, **who) | gone
    last = ended.raw.decode().splitlines()[-1]
    after = _entry(
        last.replace('"versionId":"3-', '"versionId":"4-'),
        STRANGER,
        versionId=ended.last.version_id,
        versionTime=format_time(NOW),
        parameters={},
    )
    yield case(
        "a version after the end",
        ended.raw.decode() + after + "\n",
        refused("did.webvh_log"),
        **who,
    )


def _updated() -> Iterator[JsonObject]:
    """Two versions by one key."""
    made = _first()
    grown = webvh.update(made, key=HOLDER, proofs=PROOFS, now=NOW - DAY)
    who: dict[str, Json] = {"did": str(made.did)}
    first, second = grown.raw.decode().splitlines()
    before, other = made.last.version_id, _first("other.example").last.state
    yield case("valid: an update that changes nothing", grown.raw.decode(), VALID, **who)
    for name, changed, code in (
        (
            "signed by a key that may not update",
            _entry(second, STRANGER, versionId=before),
            "proof",
        ),
        (
            "earlier than the version before it",
            _entry(second, versionId=before, versionTime=format_time(NOW - 3 * DAY)),
            "log",
        ),
        (
            "over another version before it",
            _entry(second, versionId="1-QmWvQxTqbG2Z9HPJgG57jjwR154cKhbtJenbyYTWkjgF3e"),
            "log",
        ),
        (
            "a number left out",
            _entry(second.replace('"versionId":"2-', '"versionId":"3-'), versionId=before),
            "log",
        ),
        (
            "a parameter that is not known",
            _entry(second, versionId=before, parameters={"more": True}),
            "log",
        ),
        (
            "a document about another DID",
            _entry(second, versionId=before, state={"id": other["id"]}),
            "scid",
        ),
        ("a member too many", f'{{"more":1,{second[1:]}', "log"),
        ("a key twice", f'{{"parameters":{{}},{second[1:]}', "log"),
        ("no proof", canonicalize({**parse_object(second), "proof": []}).decode(), "proof"),
    ):
        yield case(name, f"{first}\n{changed}\n", refused(f"did.webvh_{code}"), **who)
    yield case("nothing", "", refused("did.webvh_log"), **who)
    yield case("a line between", f"{first}\n\n{second}\n", refused("did.webvh_log"), **who)
    state = first.replace('"state":{', '"state":{"alsoKnownAs":["did:web:other.example"],')
    yield case("the first document changed", state + "\n", refused("did.webvh_log"), **who)
    another = _first("other.example")
    yield case("the log of another DID", another.raw.decode(), refused("did.webvh_scid"), **who)


def _moved() -> Iterator[JsonObject]:
    """To another host, which only a portable DID may."""
    for portable in (True, False):
        made = _first(portable=portable)
        before = made.last.state
        there = str(before["id"]).replace("issuer.example", "other.example")
        document: JsonObject = {**before, "id": there, "alsoKnownAs": [before["id"]]}
        entry: JsonObject = {
            "versionId": f"2-{made.last.version_id}",
            "versionTime": format_time(NOW - DAY),
            "parameters": {},
            "state": document,
            "proof": [],
        }
        line = canonicalize(entry).decode()
        moved = _entry(line, versionId=made.last.version_id)
        log = made.raw.decode()
        if not portable:
            yield case(
                "moved, though not portable",
                f"{log}{moved}\n",
                refused("did.webvh_log"),
                did=str(made.did),
            )
            continue
        yield case("valid: moved, by its new name", f"{log}{moved}\n", VALID, did=there)
        yield case("valid: moved, by its name before", f"{log}{moved}\n", VALID, did=str(made.did))
        silent = _entry(
            line, versionId=made.last.version_id, state={k: document[k] for k in ("@context", "id")}
        )
        yield case(
            "moved without naming the place before",
            f"{log}{silent}\n",
            refused("did.webvh_log"),
            did=there,
        )


def _witnessed() -> Iterator[JsonObject]:
    """A log that asks for one witness; ``witness`` is the text of did-witness.json."""
    witnesses: list[Json] = [{"id": STRANGER.did}]
    made = _first(witness={"threshold": 1, "witnesses": witnesses})
    who: dict[str, Json] = {"did": str(made.did)}
    version, log = made.last.version_id, made.raw.decode()

    def approved(by: SigningKey, what: str = version) -> str:
        approval = webvh.sign_witness(what, by, proofs=PROOFS, now=NOW)
        return webvh.witness_file({version: [approval]}).decode()

    yield case("valid: approved by its witness", log, VALID, witness=approved(STRANGER), **who)
    for name, given in (
        ("not approved", None),
        ("approved by itself", approved(HOLDER)),
        ("the approval of another version", approved(STRANGER, "1-Qm")),
        ("an empty file of approvals", "[]"),
    ):
        yield case(name, log, refused("did.webvh_witness"), witness=given, **who)
