"""``pds verify``: valid, withdrawn, altered or invalid, could not check; and its exit codes."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from credentials.grant import GrantTerms, issue_grant
from credentials.status import BitString, StatusEntry, issue_status_list
from did.json import JsonObject
from did.keys import SigningKey
from did.multikey import multihash_sha256
from did.time import format_time, utc_now

SHOP = "did:web:shop.example"
DPV = "https://w3id.org/dpv#"
LIST = "https://relay.example/v1/status/AAAAAAAAAAAAAAAAAAAAAA"
INDEX = 94_567
KEY, STRANGER = SigningKey.from_seed(bytes(32)), SigningKey.from_seed(b"\x01" * 32)
NOW: datetime = utc_now().replace(microsecond=0)


def _grant(
    *, sandbox: bool = False, begins: timedelta = timedelta(0), ends: timedelta = timedelta(30),
    url: str = LIST,
) -> JsonObject:  # fmt: skip
    return issue_grant(
        GrantTerms(
            company=SHOP,
            request=multihash_sha256(b"request"),
            request_purpose="delivery",
            purpose=DPV + "DeliveryOfGoods",
            basis="https://w3id.org/dpv/legal/eu/gdpr#A6-1-b",
            processing=frozenset({DPV + "Use"}),
            fields=frozenset({"contact.address", "contact.name"}),
            text_digest=multihash_sha256(b"text"),
            text_language="en",
            decided_by="person",
            valid_from=NOW + begins,
            valid_until=NOW + ends,
            max_uses=12,
            min_interval=0,
            follows_changes=False,
            retention_days=30,
            sandbox=sandbox,
        ),
        key=KEY,
        status=StatusEntry(url, INDEX),
        now=NOW + min(begins, timedelta(0)),
    )


def _list(
    *, key: SigningKey = KEY, withdrawn: bool = False, age: timedelta = timedelta(0),
    url: str = LIST,
) -> bytes:  # fmt: skip
    bits = BitString.empty()
    if withdrawn:
        bits = bits.with_bit(INDEX)
    issued = issue_status_list(key=key, url=url, bits=bits, sequence=1, now=NOW - age)
    return json.dumps(issued).encode()


@dataclass
class Verify:
    """``pds verify`` of a grant in a file."""

    pds: Callable[..., Any]
    folder: Path

    def __call__(
        self, grant: JsonObject | bytes, *arguments: str, status: bytes | None = None
    ) -> Any:
        file = self.folder / "grant.json"
        file.write_bytes(grant if isinstance(grant, bytes) else json.dumps(grant).encode())
        if status is not None:
            (self.folder / "list.json").write_bytes(status)
            arguments = (*arguments, "--status", str(self.folder / "list.json"))
        self.people = self.pds("verify", str(file), *arguments)
        ran = self.pds("--json", "verify", str(file), *arguments)
        assert ran.code == self.people.code
        assert ran.err == self.people.err == ""
        return ran.code, ran.json


@pytest.fixture
def verify(pds: Callable[..., Any], tmp_path: Path) -> Verify:
    return Verify(pds, tmp_path)


def test_valid(verify: Verify) -> None:
    """Everything that the grant covers, until when, and what a signature does not prove."""
    code, told = verify(
        _grant(), "--purpose", DPV + "DeliveryOfGoods", "--audience", SHOP, "--field",
        "contact.name", status=_list(),
    )  # fmt: skip
    assert code == 0
    assert set(told) == {
        "result", "statusChecked", "sandbox", "id", "issuer", "company", "purpose", "basis",
        "fields", "validFrom", "validUntil", "maxUses", "digest", "notProven",
        "statusListFrom",
    }  # fmt: skip
    assert (told["result"], told["statusChecked"], told["sandbox"]) == ("valid", True, False)
    assert told["fields"] == ["contact.address", "contact.name"]
    assert (told["issuer"], told["company"]) == (KEY.did, SHOP)
    assert len(told["notProven"]) >= 3
    text = verify.people.out
    assert text.startswith("Valid.\n")
    assert "Delivery of Goods" in text
    assert f"Not withdrawn, as of the status list of {told['statusListFrom']}." in text
    for limit in told["notProven"]:
        assert f"  - {limit}" in text


def test_withdrawn(verify: Verify) -> None:
    """By the issuer's own list: exit code 1."""
    code, told = verify(_grant(), status=_list(withdrawn=True))
    assert (code, told["result"], told["code"]) == (1, "withdrawn", "status.withdrawn")
    assert verify.people.out.startswith("Withdrawn: ")


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"contact.name", b"contact.naxe"),
        lambda raw: raw.replace(b"z", b"y", 1) if b'"proofValue": "z' not in raw else
        raw.replace(b'"proofValue": "z', b'"proofValue": "z1'),
    ],
    ids=["a word", "a proof"],
)  # fmt: skip
def test_altered(change: Callable[[bytes], bytes], verify: Verify) -> None:
    """Not what was signed: exit code 1, whether or not a status list is at hand."""
    raw = change(json.dumps(_grant()).encode())
    for status in (None, _list()):
        arguments = ("--without-status",) if status is None else ()
        code, told = verify(raw, *arguments, status=status)
        assert (code, told["result"]) == (1, "altered"), told
        assert told["message"]
        assert "Canary" not in verify.people.out


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"",
        lambda raw: b"<html></html>",
        lambda raw: raw.replace(b'"issuer"', b'"issuer": "did:key:z6Mk", "issuer"', 1),
        lambda raw: b"\xff" + raw,
    ],
    ids=["cut", "empty", "a page", "an issuer twice", "not UTF-8"],
)
def test_not_a_document(change: Callable[[bytes], bytes], verify: Verify) -> None:
    """What cannot be read was not altered by anybody: it is invalid, and says why."""
    raw = change(json.dumps(_grant()).encode())
    for status in (None, _list()):
        arguments = ("--without-status",) if status is None else ()
        code, told = verify(raw, *arguments, status=status)
        assert (code, told["result"]) == (1, "invalid"), told
        assert told["code"].startswith("json.")


@pytest.mark.parametrize(
    ("grant", "arguments", "code"),
    [
        (_grant(begins=timedelta(hours=1)), (), "credential.not_yet_valid"),
        (_grant(begins=-timedelta(2), ends=-timedelta(1)), (), "credential.expired"),
        (_grant(), ("--purpose", DPV + "DirectMarketing"), "grant.purpose"),
        (_grant(), ("--audience", "did:web:other.example"), "grant.audience"),
        (_grant(), ("--field", "contact.birthDate"), "grant.fields"),
        (_grant(sandbox=True), (), "grant.sandbox"),
        (_grant(), ("--at", "2000-01-01T00:00:00Z"), "proof.future"),
    ],
)
def test_invalid(grant: JsonObject, arguments: tuple[str, ...], code: str, verify: Verify) -> None:
    """A sound signature that does not cover what is asked: exit code 1, and which part it is."""
    for status in (None, _list()):
        more = ("--without-status",) if status is None else ()
        ended, told = verify(grant, *arguments, *more, status=status)
        assert (ended, told["result"], told["code"]) == (1, "invalid", code)
        assert set(told) == {"result", "code", "message", "pointer", "hint"}
        assert told["hint"] or not code.startswith("grant.")
        assert verify.people.out.startswith("Invalid: ")


def test_a_status_list_is_another_kind_of_thing(verify: Verify) -> None:
    """A status list, or a plain credential, is no grant."""
    code, told = verify(_list(), "--without-status")
    assert (code, told["result"]) == (1, "invalid")


@pytest.mark.parametrize(
    ("status", "codes"),
    [
        (_list(key=STRANGER), {"status.issuer", "proof.controller"}),
        (_list(age=timedelta(40)), {"status.stale"}),
        (_list(url=LIST[:-1] + "Q"), {"status.url"}),
        (b"", {"json."}),
        (b"garbage", {"json."}),
        (b"[]", {"json."}),
        (b"{}", {"credential.", "context.", "status.", "proof."}),
        (_list().replace(b'"sequence": 1', b'"sequence": 2'), {"proof.", "signature."}),
        (json.dumps(_grant()).encode(), {"status.", "credential."}),
    ],
    ids=["a stranger's", "old", "another", "empty", "garbage", "a list", "an empty object",
         "altered", "the grant itself"],
)  # fmt: skip
def test_a_status_list_that_does_not_answer(status: bytes, codes: set[str], verify: Verify) -> None:
    """The grant is sound, but whether it was withdrawn stays unknown: exit code 2."""
    code, told = verify(_grant(), status=status)
    assert (code, told["result"]) == (2, "could not check"), told
    assert told["code"].startswith(tuple(codes)), told
    assert "status list" in told["message"]
    assert verify.people.out.startswith("Could not check: ")


def test_nobody_was_asked(verify: Verify) -> None:
    """Without a list, it says that it does not know, and how it could."""
    code, told = verify(_grant())
    assert (code, told["result"], told["code"]) == (2, "could not check", "status.required")
    assert "--status FILE" in told["hint"]
    code, told = verify(_grant(), "--without-status")
    assert (code, told["statusChecked"]) == (0, False)
    assert "was not checked" in verify.people.out


def test_an_issuer_of_an_unknown_method(verify: Verify) -> None:
    """A grant by did:foo is never valid, and the reason has a code."""
    grant = _grant() | {"issuer": "did:foo:bar"}
    proof = grant["proof"]
    assert isinstance(proof, dict)
    grant["proof"] = proof | {"verificationMethod": "did:foo:bar#key-1"}
    code, told = verify(grant, "--without-status")
    assert code in {1, 2}
    assert told["code"].startswith(("did.", "proof.", "credential."))
    assert told["message"]


def test_in_a_sandbox(verify: Verify) -> None:
    """Only when asked for, and said in the first line."""
    code, told = verify(_grant(sandbox=True), "--sandbox", status=_list())
    assert (code, told["sandbox"]) == (0, True)
    assert verify.people.out.startswith("Valid, in a sandbox: worth nothing outside.")


def test_as_of_another_time(verify: Verify) -> None:
    """--at looks at both windows; how it is written is strict."""
    later = format_time(NOW + timedelta(20))
    assert verify(_grant(), "--at", later, status=_list())[0] == 0
    later = format_time(NOW + timedelta(31))
    assert verify(_grant(), "--at", later, status=_list())[1]["code"] == "credential.expired"
    for wrong in ("tomorrow", "2026-01-01", "2026-01-01T00:00:00", "2026-W01-1T00:00:00Z"):
        assert verify.pds("verify", "x", "--at", wrong).code == 2


def test_from_standard_input(pds: Callable[..., Any], tmp_path: Path) -> None:
    """'-' is standard input."""
    ran = pds("verify", "-", "--without-status", stdin=json.dumps(_grant()).encode())
    assert ran.code == 0
    ran = pds("verify", "-", "--without-status", stdin=b"")
    assert ran.code == 1
    ran = pds("verify", "-", "--without-status", stdin=b" " * (2**20 + 5), PDS_JSON="1")
    assert (ran.code, ran.json["code"]) == (1, "credential.too_large")


def test_files_that_cannot_be_read(pds: Callable[..., Any], tmp_path: Path) -> None:
    """Of the grant or of the list: could not check, never a defect."""
    file = tmp_path / "grant.json"
    file.write_text(json.dumps(_grant()))
    for arguments in (("/nowhere",), (str(file), "--status", "/nowhere")):
        ran = pds("verify", "--json", *arguments)
        assert (ran.code, ran.json["code"]) == (2, "verify.unreadable")
        assert ("status list" if "--status" in arguments else "grant") in ran.json["message"]
    assert pds("verify", str(tmp_path)).code == 2


def test_options_that_contradict_each_other(pds: Callable[..., Any]) -> None:
    """Said before anything is read: exit code 2."""
    for arguments in (
        ("--online", "--without-status"),
        ("--status", "x", "--online"),
        ("--relay", "http://127.0.0.1:1"),
        ("--online", "--relay", "bogus"),
    ):
        ran = pds("verify", "-", *arguments, stdin=json.dumps(_grant()).encode())
        assert ran.code == 2
        assert "[usage]" in ran.err


def test_online(verify: Verify, fake_relay: Any, free_port: Callable[[], int]) -> None:
    """The list is fetched from where the grant says: valid, withdrawn; and when it cannot be had,
    could not check."""
    answers: dict[str, bytes] = {}
    kind: list[tuple[int, str]] = [(200, "application/vc")]
    relay = fake_relay(lambda path: (*kind[0], answers.get(path, b"")))
    url = f"{relay}/v1/status/AAAAAAAAAAAAAAAAAAAAAA"
    path = "/v1/status/AAAAAAAAAAAAAAAAAAAAAA"
    online = ("--online", "--relay", relay)
    grant = _grant(url=url)
    answers[path] = _list(url=url)
    assert verify(grant, *online)[1]["result"] == "valid"
    answers[path] = _list(url=url, withdrawn=True)
    assert verify(grant, *online)[1]["result"] == "withdrawn"
    answers[path] = _list(url=url, key=STRANGER)
    assert verify(grant, *online)[0] == 2
    answers[path] = b"<h1>Welcome</h1>"
    assert verify(grant, *online)[0] == 2
    answers[path] = b" " * 20_000_000
    assert verify(grant, *online)[1]["code"] == "status.unavailable"
    kind[0] = (404, "text/html")
    assert verify(grant, *online)[1]["code"] == "status.unavailable"
    code, told = verify(grant, "--online")  # a local address that nobody vouched for
    assert code == 2
    assert "--relay http://127.0.0.1:PORT" in told["hint"]
    gone = f"http://127.0.0.1:{free_port()}"
    away = _grant(url=f"{gone}/v1/status/AAAAAAAAAAAAAAAAAAAAAA")
    code, told = verify(away, "--online", "--relay", gone)
    assert (code, told["code"]) == (2, "status.unavailable")


def test_a_status_list_to_keep(verify: Verify, fake_relay: Any) -> None:
    """--save-status keeps what was fetched; with it the same answer comes without the network."""
    path = "/v1/status/AAAAAAAAAAAAAAAAAAAAAA"
    answers: list[bytes] = []
    relay: str = fake_relay(lambda _: (200, "application/vc", answers[0]))
    answers.append(_list(url=relay + path))
    kept = verify.folder / "kept.json"
    online = ("--online", "--relay", relay, "--save-status", str(kept))
    assert verify(_grant(url=relay + path), *online)[1]["statusChecked"]
    assert kept.read_bytes() == answers[0]
    told = verify(_grant(url=relay + path), "--status", str(kept))[1]
    assert (told["result"], told["statusChecked"]) == ("valid", True)


def test_the_short_name_of_a_purpose(verify: Verify) -> None:
    """DeliveryOfGoods is DPV's; another purpose's short name does not fit the grant."""
    assert verify(_grant(), "--purpose", "DeliveryOfGoods", "--without-status")[0] == 0
    told = verify(_grant(), "--purpose", "DirectMarketing", "--without-status")[1]
    assert told["code"] == "grant.purpose"


def test_as_a_process_without_a_vault(pds_process: Callable[..., Any], tmp_path: Path) -> None:
    """Exit codes of the real program, with a home in which nothing is."""
    for grant, code in ((_grant(), 0), (_grant() | {"validUntil": "2099-01-01T00:00:00Z"}, 1)):
        ran = pds_process(
            "verify", "-", "--without-status", stdin=json.dumps(grant).encode(),
            HOME=str(tmp_path),
        )  # fmt: skip
        assert ran.code == code
    assert pds_process("verify", "-", stdin=json.dumps(_grant()).encode()).code == 2
    assert list(tmp_path.iterdir()) == []


def test_verify_loads_only_what_decides(tmp_path: Path) -> None:
    """From start to "valid", nothing is loaded that no grant with its status list needs."""
    grant, status = tmp_path / "grant.json", tmp_path / "status.json"
    grant.write_text(json.dumps(_grant()))
    status.write_bytes(_list())
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from pds.cli.main import main\nmain()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, "verify", str(grant), "--status", str(status)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0
    assert ran.stdout.startswith("Valid.")
    loaded = set(ran.stderr.split())
    assert "credentials.grant" in loaded
    libraries = {
        "cryptography", "flask", "granian", "http_message_signatures", "jsonschema", "mnemonic",
        "platformdirs", "rfc8785", "sqlcipher3", "urllib3", "werkzeug",
    }  # fmt: skip
    standard = {
        "asyncio", "email", "hmac", "http", "importlib.metadata", "importlib.resources", "logging",
        "pathlib", "random", "secrets", "socket", "sqlite3", "ssl", "tempfile", "urllib", "zipfile",
    }  # fmt: skip
    assert not loaded & (libraries | standard)
    ours = {module for module in loaded if module.partition(".")[0] in {"pds", "did"}}
    assert ours == {
        "did", "did.errors", "did.json", "did.keys", "did.multikey", "did.resolve", "did.time",
        "pds", "pds.cli", "pds.cli.main", "pds.cli.output", "pds.cli.verify",
    }  # fmt: skip
    assert not loaded & {
        "credentials.credential", "credentials.presentation", "credentials.stamp",
        "credentials.ticket",
    }  # fmt: skip
