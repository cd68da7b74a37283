"""did:webvh: names, logs of others, and what a history resolves to."""

import importlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webvh_world import (
    LOGS,
    NOW,
    ONE,
    START,
    THREE,
    TWO,
    day,
    first_document,
    multikeys,
    new_log,
    published,
    witnesses,
)

from credentials.webvh import PROOFS
from did.errors import (
    DidDocumentError,
    DidLogError,
    DidNotFound,
    DidSyntaxError,
    MethodNotSupported,
)
from did.identifier import Did, DidUrl
from did.json import Json, JsonObject
from did.methods.webvh import (
    At,
    create,
    deactivate,
    did_web_document,
    did_web_of,
    error_metadata,
    key_hash,
    placeholder_of,
    read_history,
    read_log,
    resolve,
    resource_url_of,
    scid_of,
    sign_witness,
    update,
    url_of,
    with_services,
    witness_file,
    witness_url_of,
    witnessed,
)
from did.resolution import ResolutionOptions, SpecError
from did.resolution import resolve as resolve_did
from did.resolve import OFFLINE, Resolver
from did.time import parse_time

SCID = "QmcKnGa3dur9W5JbQ3CC7D95Aqy5g4tbp81U3QG8DG1wtv"
RECORDS = "did-core-records/packages/did-core-test-server/suites/implementations"
LATER = parse_time("2026-12-01T00:00:00Z")


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("example.com", "https://example.com/.well-known/"),
        ("issuer.example.com", "https://issuer.example.com/.well-known/"),
        ("example.com:dids:issuer", "https://example.com/dids/issuer/"),
        ("example.com%3A3000:dids:issuer", "https://example.com:3000/dids/issuer/"),
        ("example.com%3A3000", "https://example.com:3000/.well-known/"),
        ("xn--jp-cd2fp15c.xn--fsq.jp:a", "https://xn--jp-cd2fp15c.xn--fsq.jp/a/"),
    ],
)
def test_where_the_log_lies(place: str, url: str) -> None:
    """The SCID is no part of the address; log and proofs lie side by side."""
    did = Did.parse(f"did:webvh:{SCID}:{place}")
    assert url_of(did) == url + "did.jsonl"
    assert witness_url_of(did) == url + "did-witness.json"
    assert scid_of(did) == SCID
    assert str(did_web_of(did)) == f"did:web:{place}"


@pytest.mark.parametrize(
    "rest",
    [
        "example.com",
        SCID,
        f"{SCID}:localhost",
        f"{SCID}:localhost%3A8443",
        f"{SCID[:-1]}:example.com",
        f"{SCID}a:example.com",
        f"{SCID[:-1]}0:example.com",
        f"zQm{SCID[3:]}:example.com",
        f"{SCID}:Example.com",
        f"{SCID}:127.0.0.1",
        f"{SCID}:127.1",
        f"{SCID}:127.0.0.0x1",
        f"{SCID}:127%2E0%2E0%2E1",
        f"{SCID}:127.0.0.1%3a443",
        f"{SCID}:example.com%3a443",
        f"{SCID}:example.com%3A65536",
        f"{SCID}:%5B%3A%3A1%5D",
        f"{SCID}:user%40example.com",
        f"{SCID}:example.com%2F..",
        f"{SCID}:example.com%23a",
        f"{SCID}:example.com:..:a",
        f"{SCID}:example.com:%2E%2E",
        f"{SCID}:example.com::a",
        f"{SCID}:example.com:",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(rest: str) -> None:
    """Addresses, climbing paths, other spellings of a port and a wrong SCID are no did:webvh."""
    fetched: list[str] = []
    with pytest.raises(DidSyntaxError) as caught:
        resolve(Did("webvh", rest), fetched.append, proofs=PROOFS, now=NOW)  # type: ignore[arg-type]
    assert caught.value.code in ("did.webvh_syntax", "did.syntax")
    assert fetched == []


def test_another_method_is_not_read_as_this_one() -> None:
    """A did:web has no log."""
    with pytest.raises(MethodNotSupported):
        url_of(Did.parse("did:web:example.com"))


@pytest.mark.parametrize(
    ("host", "path"), [("localhost", ()), ("10.0.0.1", ()), ("a.example", ("..",))]
)
def test_no_placeholder_is_made_that_would_not_resolve(host: str, path: tuple[str, ...]) -> None:
    """The names refused in reading are refused in writing."""
    with pytest.raises(DidSyntaxError) as caught:
        placeholder_of(host, path=path)
    assert caught.value.code == "did.webvh_syntax"


@pytest.mark.parametrize(
    ("name", "count"),
    [("pre-rotation-ts", 3), ("deactivate-java", 2), ("portable-rust", 2)],
)
def test_logs_of_other_implementations_hold(name: str, count: int) -> None:
    """What three other implementations wrote is verified whole."""
    raw, did = published(name + ".jsonl")
    history = read_history(raw, did, proofs=PROOFS, now=LATER)
    assert history.fault is None
    assert len(history.versions) == count


def test_a_witnessed_log_of_another_implementation_holds() -> None:
    """Its witnesses' proofs are over the versionId; without them it is refused."""
    raw, did = published("witness-update-python.jsonl")
    approvals = (LOGS / "witness-update-python.witness.json").read_bytes()
    history = read_history(raw, did, proofs=PROOFS, now=LATER, witness=approvals)
    assert (history.fault, len(history.versions)) == (None, 2)
    with pytest.raises(DidLogError) as caught:
        read_history(raw, did, proofs=PROOFS, now=LATER)
    assert caught.value.code == "did.webvh_witness"


def test_the_metadata_of_another_implementation_come_out() -> None:
    """Portable, scid, times and version are those that the log's own author computed."""
    raw, did = published("portable-rust.jsonl")
    found = read_history(raw, did, proofs=PROOFS, now=LATER).at()
    assert found.metadata == {
        "versionId": "2-QmVuaRChgrjDwRervewT8veixnTP9ix5d28eUC2RtHHTYq",
        "versionNumber": "2",
        "versionTime": "2000-01-02T00:00:00Z",
        "created": "2000-01-01T00:00:00Z",
        "updated": "2000-01-02T00:00:00Z",
        "scid": "QmWPpSLJhdVVGnMnS8Z9BKBYwbRhhb4BHYidhiidLsvSfC",
        "portable": True,
        "deactivated": False,
        "ttl": "3600",
        "witness": {},
        "watchers": [],
    }


@pytest.mark.parametrize("name", ["did-webvh-dif-py", "did-webvh-dif-ts"])
def test_the_implicit_services_are_those_of_other_implementations(name: str, vectors: Path) -> None:
    """Documents of two other resolvers have the services that are added here; not twice."""
    record = json.loads((vectors / RECORDS / f"{name}.json").read_text())
    (did,) = record["dids"]
    document = record[did]["didDocumentDataModel"]["properties"]
    bare = {key: value for key, value in document.items() if key != "service"}
    assert with_services(bare) == document
    assert with_services(document) == document


def test_whois_is_dereferenced_as_elsewhere(vectors: Path) -> None:
    """The address another implementation gave, without the query that it carried along."""
    record = json.loads((vectors / RECORDS / "dereferencer-dif-webvh.json").read_text())
    (run,) = record["executions"]
    did = run["input"]["didUrl"].partition("?")[0]
    expected = run["output"]["contentStream"].partition("?")[0]
    assert resource_url_of({"id": did}, "/whois") == expected


@pytest.mark.parametrize("document", [{}, {"id": 1}])
def test_a_document_without_a_subject_has_no_place(document: JsonObject) -> None:
    """It is refused like one about something else."""
    with pytest.raises(DidSyntaxError):
        with_services(document)


def test_another_implementation_reads_what_is_written_here() -> None:
    """With rotations, under pre-rotation too; and it refuses what is changed."""
    webvh = importlib.import_module("openvc.did.did_webvh")
    log = new_log(nextKeyHashes=[key_hash(TWO.verify_key.multikey)])
    rotated: JsonObject = {"updateKeys": multikeys(TWO), "nextKeyHashes": []}
    log = update(log, key=TWO, proofs=PROOFS, now=day(1), parameters=rotated)
    log = update(log, key=TWO, proofs=PROOFS, now=day(2), parameters={"ttl": 60})
    text = log.raw.decode()
    found = webvh.DidWebvhResolver(lambda _url: text).resolve(str(log.did))
    assert found.id == str(log.did)
    changed = webvh.DidWebvhResolver(lambda _url: text.replace('"ttl":60', '"ttl":61'))
    with pytest.raises(webvh.DidWebvhError):
        changed.resolve(str(log.did))


def test_a_path_is_looked_up_in_the_services() -> None:
    """#files answers for paths; the controller's own service takes the place of the implicit."""
    did = f"did:webvh:{SCID}:example.com:a"
    assert resource_url_of({"id": did}, "/b/c.json") == "https://example.com/a/b/c.json"
    own: JsonObject = {
        "id": did,
        "service": [
            {"id": f"{did}#files", "type": "relativeRef", "serviceEndpoint": "https://cdn.example/"}
        ],
    }
    assert resource_url_of(own, "/b") == "https://cdn.example/b"
    climbing = ("/../b", "/%2e%2E/b", "/b/.", "/..%2Fb", "/b%5c..", "/..;a/b")
    for path in (*climbing, "b", "", "/a?b", "/a#b", "/a\\..", "/a b", "/%zz"):
        with pytest.raises(DidSyntaxError):
            resource_url_of(own, path)
    own["service"] = [{"id": "#files", "type": "relativeRef", "serviceEndpoint": "ipfs://a"}]
    with pytest.raises(DidSyntaxError):
        resource_url_of(own, "/b")


@pytest.mark.parametrize("service", [[{"id": []}], [{"id": {}}, None, 1], {"id": 1}, None])
def test_services_that_are_none_do_no_harm(service: Json) -> None:
    """The state of an entry is whatever its controller wrote."""
    document: JsonObject = {"id": f"did:webvh:{SCID}:example.com", "service": service}
    services = with_services(document)["service"]
    assert [item["id"] for item in services[-2:]] == ["#files", "#whois"]  # type: ignore[index,union-attr,call-overload]


def test_a_did_web_beside_it() -> None:
    """The parallel document is renamed throughout, has the services, and names the did:webvh."""
    log = create(
        first_document("example.com", "a")
        | {"alsoKnownAs": ["did:web:example.com:a", "https://x"]},
        key=ONE,
        proofs=PROOFS,
        now=START,
    )
    document = did_web_document(log.last.state)
    assert document["id"] == "did:web:example.com:a"
    assert document["assertionMethod"] == ["did:web:example.com:a#key-1"]
    assert document["alsoKnownAs"] == ["https://x", str(log.did)]
    assert "#whois" in json.dumps(document["service"])


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from("kdpn"), max_size=6), st.booleans())
def test_what_is_written_is_read_again(steps: list[str], portable: bool) -> None:
    """However a log grew, it resolves to its last document, and each version to its own."""
    log = create(
        first_document("example.com", "{SCID}"),
        key=ONE,
        proofs=PROOFS,
        now=START,
        parameters={"portable": portable, "ttl": 60, "watchers": ["https://watch.example"]},
    )
    ring = [ONE, TWO, THREE]
    current, announced = 0, False
    for number, step in enumerate(steps, 1):
        parameters: JsonObject = {}
        key = ring[current]
        if announced:
            key = ring[current := (current + 1) % 3]
            announced = step != "n"
            parameters = {"updateKeys": multikeys(key), "nextKeyHashes": []}
        elif step == "p":
            announced = True
        elif step == "k":
            parameters = {"updateKeys": multikeys(ring[current := (current + 1) % 3])}
        if announced:
            following = ring[(current + 1) % 3].verify_key.multikey
            parameters["nextKeyHashes"] = [key_hash(following)]
        document = {**log.last.state, "alsoKnownAs": [f"urn:n:{number}"]}
        log = update(
            log,
            key=key,
            proofs=PROOFS,
            now=day(number),
            document=document if step == "d" else None,
            parameters=parameters,
        )
    history = read_history(log.raw, log.did, proofs=PROOFS, now=NOW)
    assert history.at().document.to_json() == log.last.state
    assert history.at().metadata["portable"] is portable
    for version in log.versions:
        found = history.at(At(version_id=version.version_id))
        assert found.document.to_json() == version.state
        assert history.at(At(version_number=version.number)).version is found.version
        assert history.at(At(version_time=version.time)).version is found.version


def test_a_log_without_a_last_line_break_grows_like_any_other() -> None:
    """Some implementations write one, some do not."""
    log = new_log()
    bare = read_log(log.raw.removesuffix(b"\n"), log.did, proofs=PROOFS, now=NOW)
    grown = update(bare, key=ONE, proofs=PROOFS, now=day(1))
    assert read_history(grown.raw, log.did, proofs=PROOFS, now=NOW).at().version.number == 2


def test_a_version_is_found_by_the_query_of_a_did_url() -> None:
    """By id, time or number; one that never was is not found, and two at once are refused."""
    log = update(new_log(), key=ONE, proofs=PROOFS, now=day(2), parameters={})
    first, second = log.versions

    def of(query: str) -> int:
        url = DidUrl.parse(f"{log.did}?{query}")
        return resolve(url, lambda _url: log.raw, proofs=PROOFS, now=NOW).version.number

    assert of(f"versionId={first.version_id}") == 1
    assert of("versionNumber=2") == 2
    assert of("versionTime=2026-01-02T23:59:59Z") == 1
    assert of("versionTime=2026-01-03T00:00:00Z") == 2
    assert of("versionTime=2026-01-03T00:00:00+00:00&hl=x") == 2
    assert of("service=files") == second.number
    for query in (
        "versionId=1-Qm",
        f"versionId={first.version_id[:-1]}",
        "versionNumber=3",
        "versionNumber=0",
        "versionTime=2025-12-31T23:59:59Z",
    ):
        with pytest.raises(DidNotFound) as missing:
            of(query)
        assert missing.value.code == "did.version_not_found"
        assert error_metadata(missing.value)["error"] == "notFound"
    for query in (
        "versionNumber=x",
        "versionNumber=",
        "versionNumber=%2B1",
        "versionTime=2026",
        "versionNumber=1&versionNumber=2",
        "versionNumber=1&versionTime=2026-01-03T00:00:00Z",
    ):
        with pytest.raises(DidSyntaxError):
            of(query)


def test_a_deactivated_did_says_so() -> None:
    """With and without pre-rotation; every version of it is one of a DID that is no more."""
    announced = new_log(nextKeyHashes=[key_hash(TWO.verify_key.multikey)])
    for log, key in ((new_log(), ONE), (announced, TWO)):
        ended = deactivate(log, key=key, proofs=PROOFS, now=day(1))
        history = read_history(ended.raw, log.did, proofs=PROOFS, now=NOW)
        assert history.at().deactivated
        assert history.at(At(version_number=1)).metadata["deactivated"] is True
        with pytest.raises(DidDocumentError) as caught:
            resolver_for(ended.raw).resolve(log.did)
        assert caught.value.code == "did.deactivated"
        assert error_metadata(caught.value)["error"] == "invalidDid"


def resolver_for(raw: bytes) -> Resolver:
    return Resolver(fetch=lambda _url: raw, webvh_proofs=PROOFS, clock=lambda: NOW)


def test_the_resolver_gives_the_current_keys() -> None:
    """The key of the last version counts; the one it replaced is unknown."""
    log = new_log()
    document = first_document()
    text = json.dumps(document).replace("{SCID}", log.scid).replace("#key-1", "#key-2")
    log = update(log, key=ONE, proofs=PROOFS, now=day(1), document=json.loads(text))
    found = resolver_for(log.raw).resolve(log.did)
    found.method_for(f"{log.did}#key-2", relationship="assertionMethod", now=NOW)
    with pytest.raises(DidDocumentError) as caught:
        found.method_for(f"{log.did}#key-1", relationship="assertionMethod", now=NOW)
    assert caught.value.code == "key.unknown"


def test_the_resolver_asks_its_clock() -> None:
    """Before the entry's time the log is of the future."""
    log = new_log()
    early = Resolver(fetch=lambda _url: log.raw, webvh_proofs=PROOFS, clock=lambda: day(-1))
    with pytest.raises(DidLogError):
        early.resolve(log.did)


def test_the_resolver_needs_a_network_and_proofs() -> None:
    """Without either, a did:webvh is refused and not fetched."""
    log = new_log()
    for resolver in (OFFLINE, Resolver(fetch=lambda _url: log.raw)):
        with pytest.raises(MethodNotSupported) as caught:
            resolver.resolve(log.did)
        assert caught.value.code == "did.network_needed"


def test_the_witness_file_is_fetched_only_when_needed() -> None:
    """A log without witnesses costs one request, one with them two."""
    asked: list[str] = []
    plain, held = new_log(), new_log(witness=witnesses(1, TWO))
    approval = sign_witness(held.last.version_id, TWO, proofs=PROOFS, now=START)
    files = {
        url_of(plain.did): plain.raw,
        witness_url_of(plain.did): witness_file({held.last.version_id: [approval]}),
    }

    def fetch(url: str) -> bytes:
        asked.append(url)
        return files[url]

    resolve(plain.did, fetch, proofs=PROOFS, now=NOW)
    assert asked == [url_of(plain.did)]
    files[url_of(held.did)] = held.raw  # in the same place
    found = resolve(held.did, fetch, proofs=PROOFS, now=NOW)
    assert asked[1:] == [url_of(held.did), witness_url_of(held.did)]
    assert found.metadata["witness"] == {
        "threshold": "1",
        "witnesses": [{"id": TWO.did}],
    }


def test_a_moved_did_keeps_its_history() -> None:
    """A portable DID moves; its old name still resolves, and a resolver says that it moved."""
    log = new_log(portable=True)
    old = log.did
    text = json.dumps(log.last.state).replace("example.com", "example.org")
    moved = update(
        log,
        key=ONE,
        proofs=PROOFS,
        now=day(1),
        document=json.loads(text) | {"alsoKnownAs": [str(old)]},
    )
    assert str(moved.did).endswith(":example.org")
    for did in (old, moved.did):
        assert (
            witnessed(read_log(moved.raw, did, proofs=PROOFS, now=NOW), None, proofs=PROOFS)
            .at()
            .document.id
            == moved.did
        )
    assert resolver_for(moved.raw).resolve(moved.did).id == moved.did
    with pytest.raises(DidDocumentError) as caught:
        resolver_for(moved.raw).resolve(old)
    assert caught.value.code == "did.wrong_id"


def test_resolution_in_the_words_of_the_standard() -> None:
    """Versions, metadata and a deactivated DID, through the interface for other programs."""
    log = update(new_log(), key=ONE, proofs=PROOFS, now=day(2), parameters={})
    name, first = str(log.did), log.versions[0]
    last = resolve_did(name, resolver=resolver_for(log.raw))
    assert last.did_document is not None
    assert last.did_document_metadata["versionNumber"] == "2"
    for asked in (
        ResolutionOptions(version_id=first.version_id),
        ResolutionOptions(version_time="2026-01-02T00:00:00Z"),
    ):
        found = resolve_did(name, asked, resolver=resolver_for(log.raw))
        assert found.did_document_metadata["versionId"] == first.version_id
    missing = resolve_did(
        name, ResolutionOptions(version_id="9-Qm"), resolver=resolver_for(log.raw)
    )
    assert missing.error is SpecError.NOT_FOUND
    ended = deactivate(log, key=ONE, proofs=PROOFS, now=day(3))
    gone = resolve_did(name, resolver=resolver_for(ended.raw))
    assert (gone.did_document, gone.error) == (None, None)
    assert gone.did_document_metadata["deactivated"] is True
    earlier = resolve_did(
        name, ResolutionOptions(version_id=first.version_id), resolver=resolver_for(ended.raw)
    )
    assert earlier.did_document is not None
    assert resolve_did(name).error is SpecError.METHOD_NOT_SUPPORTED
