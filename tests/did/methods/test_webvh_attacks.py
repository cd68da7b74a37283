"""did:webvh: logs that somebody tampered with, each wrong in one thing and right in all others."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webvh_world import (
    NOW,
    ONE,
    START,
    STRANGER,
    THREE,
    TWO,
    day,
    first_document,
    forged_first,
    forged_next,
    lines_of,
    multikeys,
    new_log,
    published,
    signed,
    witnesses,
)

from credentials.webvh import PROOFS, EddsaJcsProofs
from did.errors import DidDocumentError, DidLogError, DidNotFound
from did.identifier import Did
from did.json import Json, JsonObject, canonicalize, parse_object
from did.keys import SigningKey
from did.methods.webvh import (
    At,
    Log,
    deactivate,
    key_hash,
    read_history,
    read_log,
    sign_witness,
    update,
    witness_file,
)
from did.methods.webvh import log as log_room
from did.time import format_time

METHOD: JsonObject = {"method": "did:webvh:1.0", "scid": "{SCID}", "updateKeys": multikeys(ONE)}


def refusal(raw: bytes, did: Did, witness: bytes | None = None) -> DidLogError:
    """Why the last version of a log cannot be had."""
    with pytest.raises(DidLogError) as caught:
        read_history(raw, did, proofs=PROOFS, now=NOW, witness=witness).at()
    return caught.value


def three_entries() -> Log:
    log = new_log()
    log = update(log, key=ONE, proofs=PROOFS, now=day(1), parameters={"updateKeys": multikeys(TWO)})
    return update(log, key=TWO, proofs=PROOFS, now=day(2), parameters={"ttl": 0})


THREE_ENTRIES = three_entries()


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(THREE_ENTRIES.raw) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused(position: int, mask: int) -> None:
    """Whatever byte of whatever line is changed, and however, the DID no longer resolves.

    But for the one at the very end, whose line break may be missing too.
    """
    raw = bytearray(THREE_ENTRIES.raw)
    raw[position] ^= mask
    refusal(bytes(raw), THREE_ENTRIES.did)


def test_the_forgeries_are_right_but_for_one_thing() -> None:
    """Nothing below is refused for a slip of the tests' own hand."""
    raw, did = forged_first(ONE)
    read_history(raw, did, proofs=PROOFS, now=NOW).at()
    log = new_log()
    read_history(forged_next(log, ONE), log.did, proofs=PROOFS, now=NOW).at()


def test_an_entry_removed_repeated_or_moved_is_refused() -> None:
    """Each entry stands on the one before it. Only the newest can be kept from a reader."""
    first, second, third = lines_of(THREE_ENTRIES)
    for lines in (
        [second, third],
        [first, third],
        [first, third, second],
        [first, second, second],
        [first, first, second, third],
        [third],
        [],
    ):
        refusal(b"\n".join(lines) + b"\n", THREE_ENTRIES.did)
    shortened = b"\n".join([first, second])
    assert len(read_log(shortened, THREE_ENTRIES.did, proofs=PROOFS, now=NOW).versions) == 2


def test_an_entry_of_another_log_is_refused() -> None:
    """An entry that held where it was made stands on a predecessor of its own."""
    other = update(new_log(ttl=1), key=ONE, proofs=PROOFS, now=day(1))
    log = new_log()
    assert refusal(log.raw + lines_of(other)[1], log.did).code == "did.webvh_log"


def test_a_wrong_number_is_refused() -> None:
    """The hash does not cover the number of a version, so it is counted."""
    log = new_log()
    entry: JsonObject = {
        "versionId": log.last.version_id,
        "versionTime": format_time(day(1)),
        "parameters": {},
        "state": log.last.state,
    }
    for number in (1, 3):
        assert refusal(log.raw + signed(entry, number, ONE), log.did).code == "did.webvh_log"


def test_an_entry_without_its_hash_is_refused() -> None:
    """A versionId of the signer's own making is refused although it is signed."""
    log = new_log()
    entry = parse_object(forged_next(log, ONE).split(b"\n")[1])
    del entry["proof"]
    entry["versionId"] = "2-" + key_hash("anything")
    line = canonicalize({**entry, "proof": [PROOFS.sign(entry, ONE, created=START)]})
    assert refusal(log.raw + line, log.did).code == "did.webvh_log"


def test_a_stranger_cannot_sign() -> None:
    """Neither the first entry nor a later one; and a proof beside the right one must be right."""
    log = new_log()
    assert refusal(forged_next(log, STRANGER), log.did).code == "did.webvh_proof"
    assert refusal(*forged_first(STRANGER, parameters=METHOD)).code == "did.webvh_proof"
    entry = parse_object(forged_next(log, ONE).split(b"\n")[1])
    unsigned = {name: value for name, value in entry.items() if name != "proof"}
    good = PROOFS.sign(unsigned, ONE, created=START)
    bad = PROOFS.sign(unsigned, STRANGER, created=START)
    many: list[Json] = [good] * 9
    both: list[Json] = [good, bad]
    none: list[Json] = []
    for proofs in (none, both, many, good | {"proofValue": bad["proofValue"]}, "z", None):
        line = canonicalize({**unsigned, "proof": proofs})
        assert refusal(log.raw + line, log.did).code == "did.webvh_proof"


def test_a_retired_key_cannot_sign() -> None:
    """Once replaced, a key signs nothing; nor does a new key sign its own appointment."""
    log = new_log()
    rotated = update(
        log, key=ONE, proofs=PROOFS, now=day(1), parameters={"updateKeys": multikeys(TWO)}
    )
    assert refusal(forged_next(rotated, ONE), log.did).code == "did.webvh_proof"
    appointed: JsonObject = {"updateKeys": multikeys(STRANGER)}
    forged = forged_next(log, STRANGER, parameters=appointed)
    assert refusal(forged, log.did).code == "did.webvh_proof"


@pytest.mark.parametrize(
    "change",
    [
        {"cryptosuite": "eddsa-rdfc-2022"},
        {"proofPurpose": "authentication"},
        {"type": "Ed25519Signature2020"},
        {"expires": "2030-01-01T00:00:00Z"},
        {"domain": "example.com"},
        {"verificationMethod": f"{ONE.did}#{TWO.verify_key.multikey}"},
        {"verificationMethod": f"{TWO.did}#{ONE.verify_key.multikey}"},
        {"verificationMethod": ONE.did},
        {"verificationMethod": None},
    ],
)
def test_a_proof_of_another_kind_is_refused(change: JsonObject) -> None:
    """A signature that holds is refused when it says to be something else."""
    from credentials.suites import eddsa_jcs

    log = new_log()
    entry = parse_object(forged_next(log, ONE).split(b"\n")[1])
    del entry["proof"]
    proof = PROOFS.sign(entry, ONE, created=START) | change
    del proof["proofValue"]
    proof["proofValue"] = eddsa_jcs.create_value(proof, eddsa_jcs.hash_document(entry), ONE)
    line = canonicalize({**entry, "proof": [proof]})
    assert refusal(log.raw + line, log.did).code == "did.webvh_proof"


def under_pre_rotation() -> Log:
    return new_log(nextKeyHashes=[key_hash(TWO.verify_key.multikey), "a random text"])


@pytest.mark.parametrize(
    ("key", "parameters", "code"),
    [
        (STRANGER, {"updateKeys": multikeys(STRANGER), "nextKeyHashes": []}, "did.webvh_log"),
        (ONE, {"updateKeys": multikeys(ONE), "nextKeyHashes": []}, "did.webvh_log"),
        (TWO, {"updateKeys": multikeys(TWO, STRANGER), "nextKeyHashes": []}, "did.webvh_log"),
        (ONE, {"updateKeys": multikeys(TWO), "nextKeyHashes": []}, "did.webvh_proof"),
        (ONE, {"updateKeys": [], "nextKeyHashes": []}, "did.webvh_proof"),
        (ONE, {"nextKeyHashes": []}, "did.webvh_log"),
        (TWO, {"updateKeys": multikeys(TWO)}, "did.webvh_log"),
        (ONE, {}, "did.webvh_log"),
    ],
)
def test_pre_rotation_cannot_be_skipped(key: SigningKey, parameters: JsonObject, code: str) -> None:
    """Only announced keys come, all of them announced; both lists stand in every entry."""
    log = under_pre_rotation()
    assert refusal(forged_next(log, key, parameters=parameters), log.did).code == code


def test_pre_rotation_ends_after_the_entry_that_ends_it() -> None:
    """That entry is still under its rule, the next is not."""
    log = under_pre_rotation()
    ended: JsonObject = {"updateKeys": multikeys(TWO), "nextKeyHashes": []}
    log = update(log, key=TWO, proofs=PROOFS, now=day(1), parameters=ended)
    log = update(
        log, key=TWO, proofs=PROOFS, now=day(2), parameters={"updateKeys": multikeys(THREE)}
    )
    assert read_history(log.raw, log.did, proofs=PROOFS, now=NOW).fault is None


def test_time_goes_forward_and_not_past_now() -> None:
    """An entry as old as the one before, older, or of the future is refused."""
    log = new_log()
    for text in (
        format_time(START),
        format_time(START - timedelta(seconds=1)),
        format_time(NOW + timedelta(seconds=1)),
        "2026-01-02",
        "2026-01-02T00:00:00",
        "2026-01-02T00:00:00+01:00",
        "2026-02-30T00:00:00Z",
        1,
    ):
        forged = forged_next(log, ONE, versionTime=text)
        assert refusal(forged, log.did).code == "did.webvh_log"
    raw, did = forged_first(ONE, versionTime=format_time(NOW + timedelta(seconds=1)))
    assert refusal(raw, did).code == "did.webvh_log"
    for text in ("2026-01-02T00:00:00.123Z", "2026-01-02T00:00:00+00:00"):
        read_history(forged_next(log, ONE, versionTime=text), log.did, proofs=PROOFS, now=NOW).at()


def test_the_scid_is_the_hash_of_the_first_entry() -> None:
    """A first entry that is right in everything else cannot take over an SCID."""
    victim = new_log()
    document = parse_object(canonicalize(first_document()).replace(b"{SCID}", victim.scid.encode()))
    entry: JsonObject = {
        "versionId": victim.scid,
        "versionTime": format_time(START),
        "parameters": METHOD | {"scid": victim.scid, "updateKeys": multikeys(STRANGER)},
        "state": document,
    }
    assert refusal(signed(entry, 1, STRANGER), victim.did).code == "did.webvh_scid"


def test_a_log_of_another_scid_is_refused() -> None:
    """The log may be sound; it is not that of the DID."""
    assert refusal(new_log(ttl=1).raw, new_log().did).code == "did.webvh_scid"


def test_a_document_of_another_scid_is_refused() -> None:
    """In the first entry, and in a later one of a portable DID."""
    other = new_log(ttl=1)
    stolen: JsonObject = {**first_document(), "id": str(other.did)}
    raw, _ = forged_first(ONE, state=stolen)
    scid = parse_object(raw)["parameters"]["scid"]  # type: ignore[index, call-overload]
    assert refusal(raw, Did.parse(f"did:webvh:{scid}:example.com")).code == "did.webvh_scid"
    log = new_log(portable=True)
    moved: JsonObject = {"id": str(other.did), "alsoKnownAs": [str(log.did)]}
    assert refusal(forged_next(log, ONE, state=moved), log.did).code == "did.webvh_scid"


def test_a_placeholder_left_in_the_first_entry_is_refused() -> None:
    """Two entries that differ in where the SCID was filled in would have one SCID."""
    raw, did = forged_first(ONE, state=first_document() | {"alsoKnownAs": ["{SCID}"]})
    entry = parse_object(raw)
    scid = did.id.partition(":")[0]
    state = entry["state"]
    assert isinstance(state, dict)
    state["alsoKnownAs"] = ["{SCID}"]
    del entry["proof"]
    line = signed(entry | {"versionId": scid}, 1, ONE)
    assert refusal(line, did).code == "did.webvh_scid"


@pytest.mark.parametrize("identifier", [None, 1, "did:web:example.com", "did:webvh:a", "urn:x"])
def test_a_document_about_something_else_is_refused(identifier: Json) -> None:
    """The id of every version is a did:webvh."""
    log = new_log(portable=True)
    state: JsonObject = {"id": identifier, "alsoKnownAs": [str(log.did)]}
    assert refusal(forged_next(log, ONE, state=state), log.did).code == "did.webvh_log"


@pytest.mark.parametrize("place", ["127.0.0.1", "localhost", "example.com:..", "EXAMPLE.com"])
def test_a_document_is_not_moved_to_where_no_did_webvh_lies(place: str) -> None:
    """The places refused in a DID are refused in a log."""
    log = new_log(portable=True)
    state: JsonObject = {
        "id": f"did:webvh:{log.scid}:{place}",
        "alsoKnownAs": [str(log.did)],
    }
    assert refusal(forged_next(log, ONE, state=state), log.did).code == "did.webvh_log"


@pytest.mark.parametrize(
    ("portable", "parameters", "known"),
    [
        (False, {}, ["old"]),
        (True, {"portable": False}, ["old"]),
        (True, {}, None),
        (True, {}, []),
        (True, {}, ["other"]),
        (True, {}, "old"),
    ],
)
def test_a_move_that_is_not_allowed_is_refused(
    portable: bool, parameters: JsonObject, known: Json
) -> None:
    """Not without portable, not with its end, and not without the name before."""
    log = new_log(portable=portable)
    state: JsonObject = {"id": f"did:webvh:{log.scid}:example.org"}
    names = {"old": str(log.did), "other": f"did:webvh:{log.scid}:example.net"}
    if known is not None:
        state["alsoKnownAs"] = (
            [names[n] for n in known] if isinstance(known, list) else names["old"]
        )
    forged = forged_next(log, ONE, state=state, parameters=parameters)
    assert refusal(forged, log.did).code == "did.webvh_log"


def test_a_did_that_the_log_never_had_is_refused() -> None:
    """The same SCID at another place is another DID, unless the log says that it moved."""
    log = new_log()
    elsewhere = Did.parse(f"did:webvh:{log.scid}:evil.example")
    assert refusal(log.raw, elsewhere).code == "did.webvh_log"


def test_a_move_that_does_not_hold_is_what_is_wrong_with_the_new_name() -> None:
    """Who asks for the name that the entry would have given hears why it did not."""
    log = new_log(portable=True)
    new = Did.parse(f"did:webvh:{log.scid}:example.org")
    state: JsonObject = {"id": str(new), "alsoKnownAs": [str(log.did)]}
    assert refusal(forged_next(log, STRANGER, state=state), new).code == "did.webvh_proof"


def test_nothing_follows_a_deactivation() -> None:
    """Not by a key it left, nor to take it back."""
    kept: JsonObject = {"deactivated": True}
    log = update(new_log(), key=ONE, proofs=PROOFS, now=day(1), parameters=kept)
    for parameters in ({}, {"deactivated": False}):
        forged = forged_next(log, ONE, parameters=parameters)
        assert refusal(forged, log.did).code == "did.webvh_log"
    ended = deactivate(new_log(), key=ONE, proofs=PROOFS, now=day(1))
    refusal(forged_next(ended, ONE), ended.did)
    with pytest.raises(DidLogError):
        update(ended, key=ONE, proofs=PROOFS, now=day(2))


@pytest.mark.parametrize(
    "parameters",
    [
        {"scid": "{SCID}"},
        {"method": "did:webvh:1.1"},
        {"method": "did:webvh:0.5"},
        {"method": None},
        {"portable": True},
        {"portable": None},
        {"prerotation": True},
        {"updateKeys": "z6Mk"},
        {"updateKeys": ["z6Mk"]},
        {"updateKeys": [ONE.did]},
        {"updateKeys": multikeys(ONE, ONE)},
        {"updateKeys": multikeys(*(SigningKey.from_seed(bytes([n]) * 32) for n in range(65)))},
        {"nextKeyHashes": [1]},
        {"deactivated": "true"},
        {"deactivated": None},
        {"ttl": -1},
        {"ttl": 2**31 + 1},
        {"ttl": True},
        {"ttl": "60"},
        {"watchers": ["watch.example"]},
        {"watchers": "https://watch.example"},
        {"witness": []},
        {"witness": {"threshold": 1}},
        {"witness": {"threshold": 0, "witnesses": [{"id": TWO.did}]}},
        {"witness": {"threshold": 2, "witnesses": [{"id": TWO.did}]}},
        {"witness": {"threshold": True, "witnesses": [{"id": TWO.did}]}},
        {"witness": {"threshold": 2, "witnesses": [{"id": TWO.did}, {"id": TWO.did}]}},
        {"witness": {"threshold": 1, "witnesses": []}},
        {"witness": {"threshold": 1, "witnesses": [{"id": "did:web:a.example"}]}},
        {"witness": {"threshold": 1, "witnesses": [{"id": TWO.did, "weight": 1}]}},
        {"witness": {"threshold": 1, "witnesses": [TWO.did]}},
        {"witness": {"threshold": 1, "witnesses": 1}},
        {"witness": {"threshold": 1, "witnesses": [{"id": 1}]}},
    ],
)
def test_parameters_that_are_not_permitted_are_refused(parameters: JsonObject) -> None:
    """Unknown ones, those of the first entry alone, and values that are not what they must be."""
    log = new_log()
    assert refusal(forged_next(log, ONE, parameters=parameters), log.did).code == "did.webvh_log"


@pytest.mark.parametrize(
    "parameters",
    [
        {n: v for n, v in METHOD.items() if n != "method"},
        {n: v for n, v in METHOD.items() if n != "scid"},
        {n: v for n, v in METHOD.items() if n != "updateKeys"},
        METHOD | {"updateKeys": []},
        METHOD | {"updateKeys": None},
        METHOD | {"scid": "z{SCID}"},
        METHOD | {"scid": 1},
        METHOD | {"portable": "yes"},
    ],
)
def test_a_first_entry_without_what_it_must_have_is_refused(parameters: JsonObject) -> None:
    """Method, SCID and a key."""
    assert refusal(*forged_first(ONE, parameters=parameters)).code == "did.webvh_log"


def test_an_empty_scid_is_refused() -> None:
    """It would stand everywhere in the entry, which is refused before anything is replaced."""
    entry: JsonObject = {
        "versionId": "",
        "versionTime": format_time(START),
        "parameters": METHOD | {"scid": ""},
        "state": {"id": str(new_log().did)},
    }
    refused = refusal(signed(entry, 1, ONE), new_log().did)
    assert (refused.code, "multihash" in str(refused)) == ("did.webvh_log", True)


def test_null_stands_for_the_default() -> None:
    """Logs written before 1.0 was settled have it; it is what the empty value is."""
    log = new_log(ttl=60, watchers=["https://watch.example"])
    nothing: JsonObject = dict.fromkeys(("ttl", "watchers", "witness", "nextKeyHashes"))
    found = read_history(
        forged_next(log, ONE, parameters=nothing), log.did, proofs=PROOFS, now=NOW
    ).at()
    assert (found.metadata["ttl"], found.metadata["watchers"]) == ("3600", [])


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line + b" ",
        lambda line: b" " + line,
        lambda line: line + b"\r",
        lambda line: line + b"\n",
        lambda line: line + line,
        lambda line: line.replace(b'"state":', b'"more":1,"state":'),
        lambda line: line.replace(b'"parameters":{}', b'"parameters":[]'),
        lambda line: line.replace(b'"parameters":{}', b'"parameters":{},"parameters":{}'),
        lambda line: line.replace(b'"parameters":{}', b'"parameters":{"ttl":1.5}'),
        lambda line: b"[" + line + b"]",
        lambda line: b"{}",
        lambda line: b"",
        lambda line: line.replace(b'"state":', b'"state":{"a":"' + b"x" * 131_072 + b'"},"b":'),
    ],
)
def test_what_is_no_entry_is_refused(damage) -> None:  # type: ignore[no-untyped-def]
    """Anything around the object, names given twice, floats, further members, too many bytes."""
    log = new_log()
    line = forged_next(log, ONE).split(b"\n")[1]
    assert refusal(log.raw + damage(line) + b"\n", log.did).code == "did.webvh_log"


def test_a_log_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many bytes or lines are refused, although each entry would hold."""
    log = THREE_ENTRIES
    for limit, most in (("MAX_LOG_BYTES", len(log.raw)), ("MAX_ENTRIES", 3)):
        with monkeypatch.context() as patch:
            patch.setattr(log_room, limit, most)
            assert read_log(log.raw, log.did, proofs=PROOFS, now=NOW).fault is None
            patch.setattr(log_room, limit, most - 1)
            assert refusal(log.raw, log.did).code == "did.webvh_log"


class Counting(EddsaJcsProofs):
    """Knows how often a document was hashed."""

    def __init__(self) -> None:
        self.hashed = 0

    def hash_document(self, document: JsonObject) -> bytes:
        self.hashed += 1
        return super().hash_document(document)


def test_an_entry_is_hashed_once_however_many_proofs_it_has() -> None:
    """A log of large entries with eight proofs each took seconds."""
    log, counting = new_log(), Counting()
    entry = json.loads(lines_of(log)[0])
    entry["proof"] *= 8
    assert read_log(canonicalize(entry), log.did, proofs=counting, now=NOW).last.number == 1
    assert counting.hashed == 1


def test_versions_before_a_fault_are_given_by_name_alone() -> None:
    """The last version and the time after the last good one are not known; named ones are."""
    log = update(new_log(), key=ONE, proofs=PROOFS, now=day(1))
    history = read_history(forged_next(log, STRANGER), log.did, proofs=PROOFS, now=NOW)
    assert history.at(At(version_number=2)).version.number == 2
    assert history.at(At(version_id=log.last.version_id)).version.number == 2
    assert history.at(At(version_time=START)).version.number == 1
    for at in (At(), At(version_number=3), At(version_time=day(1)), At(version_time=day(-1))):
        with pytest.raises(DidLogError) as caught:
            history.at(at)
        assert "entry 3" in str(caught.value)
    with pytest.raises(DidLogError):
        update(
            read_log(forged_next(log, STRANGER), log.did, proofs=PROOFS, now=NOW),
            key=ONE,
            proofs=PROOFS,
            now=day(3),
        )


def test_a_document_that_is_none_is_refused() -> None:
    """A log that holds can still have a document with secret keys in it."""
    raw, did = published("pre-rotation-ts.jsonl")
    with pytest.raises(DidDocumentError):
        read_history(raw, did, proofs=PROOFS, now=NOW).at()


# witnesses
def approvals(log: Log, *given: tuple[int, SigningKey]) -> bytes:
    """A witness file: who approved which version."""
    found: dict[str, list[JsonObject]] = {}
    for number, key in given:
        name = log.versions[number - 1].version_id
        found.setdefault(name, []).append(sign_witness(name, key, proofs=PROOFS, now=START))
    return witness_file(found)


def test_a_threshold_must_be_reached_in_every_entry() -> None:
    """An approval covers the entries before it, and none after."""
    log = new_log(witness=witnesses(2, TWO, THREE))
    log = update(log, key=ONE, proofs=PROOFS, now=day(1))
    for chosen in (
        [],
        [(1, TWO)],
        [(2, TWO)],
        [(2, TWO), (2, TWO)],
        [(1, TWO), (2, TWO)],
        [(2, TWO), (2, STRANGER)],
        [(2, TWO), (2, ONE)],
        [(1, TWO), (1, THREE)],
        [(1, TWO), (2, THREE)],
    ):
        assert refusal(log.raw, log.did, approvals(log, *chosen)).code == "did.webvh_witness"
    for chosen in ([(2, TWO), (2, THREE)], [(1, TWO), (1, THREE), (2, THREE), (2, TWO)]):
        witness = approvals(log, *chosen)
        read_history(log.raw, log.did, proofs=PROOFS, now=NOW, witness=witness).at()
    half = approvals(log, (1, TWO), (2, THREE))
    history = read_history(log.raw, log.did, proofs=PROOFS, now=NOW, witness=half)
    assert history.at(At(version_number=1)).version.number == 1
    with pytest.raises(DidLogError):
        history.at(At(version_number=2))


def test_new_witnesses_take_over_after_the_entry_that_names_them() -> None:
    """The old ones approve their own end; without old ones the new count at once."""
    log = new_log(witness=witnesses(1, TWO))
    changed = update(
        log, key=ONE, proofs=PROOFS, now=day(1), parameters={"witness": witnesses(1, THREE)}
    )
    assert refusal(changed.raw, log.did, approvals(changed, (1, TWO), (2, THREE)))
    read_history(
        changed.raw, log.did, proofs=PROOFS, now=NOW, witness=approvals(changed, (2, TWO))
    ).at()
    ended = update(log, key=ONE, proofs=PROOFS, now=day(1), parameters={"witness": {}})
    assert refusal(ended.raw, log.did, approvals(ended, (1, TWO)))
    free = update(ended, key=ONE, proofs=PROOFS, now=day(2))
    read_history(free.raw, log.did, proofs=PROOFS, now=NOW, witness=approvals(free, (2, TWO))).at()
    begun = update(
        new_log(), key=ONE, proofs=PROOFS, now=day(1), parameters={"witness": witnesses(1, TWO)}
    )
    assert refusal(begun.raw, begun.did, approvals(begun))


def test_an_approval_of_what_was_not_published_approves_nothing() -> None:
    """Nor does one taken from another DID, one that was damaged, or one for another version."""
    log = new_log(witness=witnesses(1, TWO))
    unpublished = update(log, key=ONE, proofs=PROOFS, now=day(1))
    other = new_log(ttl=1, witness=witnesses(1, TWO))
    name = log.last.version_id
    replayed = sign_witness(other.last.version_id, TWO, proofs=PROOFS, now=START)
    good = sign_witness(name, TWO, proofs=PROOFS, now=START)
    for witness in (
        approvals(unpublished, (2, TWO)),
        approvals(other, (1, TWO)),
        witness_file({name: [replayed]}),
        witness_file({name: [good | {"created": "2026-01-01T00:00:01Z"}]}),
        witness_file({name: [good | {"proofPurpose": "authentication"}]}),
    ):
        assert refusal(log.raw, log.did, witness).code == "did.webvh_witness"
    witness = witness_file({name: [good | {"created": "x"}, good]})
    read_history(log.raw, log.did, proofs=PROOFS, now=NOW, witness=witness).at()


@pytest.mark.parametrize(
    "witness",
    [b"", b"{}", b"[1]", b"[{}]", b'[{"versionId":"1-a","proof":{}}]', b"[" + b" " * 2**20 + b"]"],
)
def test_what_is_no_witness_file_is_refused(witness: bytes) -> None:
    """Strict JSON, a list of versions and their proofs, of at most 1 MiB."""
    log = new_log(witness=witnesses(1, TWO))
    assert refusal(log.raw, log.did, witness).code == "did.webvh_witness"


def test_a_witness_file_for_a_log_without_witnesses_is_not_read() -> None:
    """It asks for nothing, so it can break nothing."""
    log = new_log()
    read_history(log.raw, log.did, proofs=PROOFS, now=NOW, witness=b"garbage").at()


def test_no_error_repeats_the_log() -> None:
    """What is refused may be personal."""
    log = new_log()
    secret = "alice-secret"
    for forged in (
        forged_next(log, ONE, parameters={secret: 1}),
        forged_next(log, ONE, state={"id": f"did:example:{secret}"}),
        log.raw + json.dumps({secret: secret}).encode(),
    ):
        assert secret not in repr(refusal(forged, log.did))
    with pytest.raises(DidNotFound) as caught:
        read_history(log.raw, log.did, proofs=PROOFS, now=NOW).at(At(version_id=secret))
    assert secret not in str(caught.value)
