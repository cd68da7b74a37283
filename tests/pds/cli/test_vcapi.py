"""``pds vcapi serve`` as a process."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_it_issues_and_verifies_over_http(
    start: Callable[..., Any], free_port: Callable[[], int], pds: Callable[..., Any], tmp_path: Path
) -> None:
    """Ready when it says so; a folder of contexts that is not one is refused."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    (tmp_path / "index.json").write_text("{}")
    start("vcapi", "serve", "--port", str(port), "--contexts", str(tmp_path))

    def call(path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            base + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())

    issuer = call("/conformance.json")[1]["issuers"]["P-384"]
    credential = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": issuer,
        "credentialSubject": {"id": "did:example:1"},
    }
    status, found = call("/credentials/issue", {"credential": credential, "options": {}})
    assert status == 201
    assert call("/credentials/verify", found)[1]["verified"] is True
    (tmp_path / "index.json").write_text("[]")
    ran = pds("--json", "vcapi", "serve", "--port", "1", "--contexts", str(tmp_path))
    assert (ran.code, ran.error["code"]) == (1, "context.folder")


def test_it_answers_for_the_name_that_it_is_given(
    start: Callable[..., Any], free_port: Callable[[], int], pds: Callable[..., Any]
) -> None:
    """A suite in another container calls it by name, and finds its status lists by that name."""
    port = free_port()
    start("vcapi", "serve", "--port", str(port), "--url", "http://adapter.example:81/")

    def call(path: str, host: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Host": host},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    issuer = call("/conformance.json", "adapter.example:81")["issuers"]["Ed25519"]
    credential = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": issuer,
        "credentialSubject": {"id": "did:example:1"},
    }
    body = {"credential": credential, "options": {"credentialStatus": {}}}
    found = call("/credentials/issue", f"localhost:{port}", body)
    named = found["verifiableCredential"]["credentialStatus"]["statusListCredential"]
    assert named.startswith("http://adapter.example:81/status-lists/")
    checked = call("/credentials/verify", "adapter.example:81", found)["checks"]
    assert "credentialStatus" in checked
    with pytest.raises(urllib.error.HTTPError) as caught:
        call("/conformance.json", "other.example:81")
    assert caught.value.code == 421
    caught.value.close()
    for wrong in ("adapter:81", "http://adapter/path", "ftp://adapter", "http://"):
        assert pds("vcapi", "serve", "--port", "1", "--url", wrong).code == 2
