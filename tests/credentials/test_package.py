"""The package itself: contexts, purposes, and what importing it loads."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import credentials
from credentials.contexts import (
    CREDENTIALS_V2,
    KNOWN_CONTEXTS,
    PDS_V1,
    PDS_V1_DIGEST,
    ContextFolder,
    context_bytes,
)
from credentials.errors import ContextRefused, CredentialError
from credentials.purposes import is_known, is_same_or_narrower, label
from did.multikey import multihash_sha256

DPV = "https://w3id.org/dpv#"


def test_our_context_is_frozen():
    """Its digest is in every grant; a changed byte would orphan them all."""
    assert multihash_sha256(context_bytes(PDS_V1)) == PDS_V1_DIGEST
    assert PDS_V1_DIGEST == "uEiCglqDElMW-JHTN_6RNfiNKTyIJrD_majsRZywPQ4_SkA"


def test_the_contexts_of_others_are_as_published(vectors: Path):
    index = json.loads((vectors / "contexts" / "index.json").read_text())
    for url in KNOWN_CONTEXTS - {PDS_V1}:
        assert hashlib.sha256(context_bytes(url)).hexdigest() == index[url]["sha256"]


def test_our_terms_do_not_clash_with_the_standard_s():
    ours = json.loads(context_bytes(PDS_V1))["@context"]
    theirs = json.loads(context_bytes(CREDENTIALS_V2))["@context"]
    terms = {name for name in ours if not name.startswith("@")}
    scoped = {
        name
        for definition in theirs.values()
        if isinstance(definition, dict)
        for name in definition.get("@context", {})
    }
    assert not terms & set(theirs)
    assert not terms & scoped
    assert ours["@protected"] is True


def test_every_term_is_of_our_vocabulary():
    ours = json.loads(context_bytes(PDS_V1))["@context"]
    for name, definition in ours.items():
        if not name.startswith("@"):
            iri = definition["@id"] if isinstance(definition, dict) else definition
            assert iri == f"{PDS_V1}#{name}"


def test_an_unknown_context_is_not_fetched():
    with pytest.raises(ContextRefused) as caught:
        context_bytes("https://www.w3.org/ns/credentials/examples/v2")
    assert caught.value.code == "context.unknown"


def _folder(tmp_path: Path, index: object, **files: bytes) -> Path:
    (tmp_path / "index.json").write_text(json.dumps(index))
    for name, content in files.items():
        (tmp_path / f"{name}.jsonld").write_bytes(content)
    return tmp_path


OTHER = b'{"@context": {"word": "https://x.example/#word"}}'
ENTRY = {"file": "other.jsonld", "sha256": hashlib.sha256(OTHER).hexdigest()}


def test_a_folder_adds_contexts_and_replaces_none(tmp_path):
    """What is pinned here stays as it is, whatever the folder says of its URL."""
    index = {"https://x.example/v1": ENTRY, CREDENTIALS_V2: ENTRY}
    folder = ContextFolder(str(_folder(tmp_path, index, other=OTHER)))
    assert folder("https://x.example/v1") == OTHER
    assert folder(CREDENTIALS_V2) == context_bytes(CREDENTIALS_V2)
    with pytest.raises(ContextRefused) as caught:
        folder("https://x.example/v2")
    assert caught.value.code == "context.unknown"


@pytest.mark.parametrize(
    "index",
    [
        [],
        {"https://x.example/v1": {"file": "other.jsonld"}},
        {"https://x.example/v1": {**ENTRY, "sha256": "00"}},
        {"https://x.example/v1": {**ENTRY, "file": "absent.jsonld"}},
        {"https://x.example/v1": {**ENTRY, "file": "../other.jsonld"}},
        {"http://x.example/v1": ENTRY},
        {"https://x.example/v1": "other.jsonld"},
    ],
)
def test_a_folder_that_is_not_what_it_says_is_refused(index, tmp_path):
    (tmp_path.parent / "other.jsonld").write_bytes(OTHER)
    with pytest.raises(ContextRefused) as caught:
        ContextFolder(str(_folder(tmp_path, index, other=OTHER)))
    assert caught.value.code == "context.folder"


def test_a_folder_with_an_index_that_nests_without_end_is_refused(tmp_path):
    """As any other that is no index, and not by the depth of the interpreter."""
    (tmp_path / "index.json").write_text("[" * 100_000)
    with pytest.raises(ContextRefused) as caught:
        ContextFolder(str(tmp_path))
    assert caught.value.code == "context.folder"


@pytest.mark.parametrize(
    ("purpose", "than", "expected"),
    [
        ("DirectMarketing", "Marketing", True),
        ("Marketing", "DirectMarketing", False),
        ("Marketing", "Marketing", True),
        ("TargetedAdvertising", "Marketing", True),
        ("TargetedAdvertising", "Personalisation", True),
        ("DeliveryOfGoods", "ServiceManagement", True),
        ("DeliveryOfGoods", "Purpose", True),
        ("DeliveryOfGoods", "Marketing", False),
        ("Unknown", "Purpose", False),
        ("Unknown", "Unknown", True),
        ("CommercialResearch", "CommercialPurpose", True),
        ("CommercialResearch", "ResearchAndDevelopment", True),
    ],
)
def test_purposes_follow_the_hierarchy(purpose, than, expected):
    assert is_same_or_narrower(DPV + purpose, DPV + than) is expected


def test_purposes_have_words():
    assert label(DPV + "DeliveryOfGoods") == "Delivery of Goods"
    assert label("https://w3id.org/dpv/ai#ModelTraining") == "ModelTraining"
    assert is_known(DPV + "ServicePersonalisation")
    assert not is_known(DPV + "FullyAutomatedProcessing")


def test_importing_loads_nothing_and_names_load_their_own():
    """Who verifies a credential never loads what a grant is."""
    program = (
        "import sys, credentials\n"
        "assert not any(m.startswith('credentials.') for m in sys.modules)\n"
        "credentials.verify_credential, credentials.verify_presentation\n"
        "import credentials.ticket, credentials.status\n"
        "assert 'credentials.grant' not in sys.modules\n"
        "assert 'credentials.purposes' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_proof_is_verified_without_tokens():
    """Verifying a Data Integrity proof loads neither JOSE nor what is built on it."""
    program = """
import sys
from credentials import WITHOUT_STATUS, issue_credential, verify_credential, verify_grant
from did.keys import SigningKey
from did.time import utc_now

key = SigningKey.generate()
signed = issue_credential({"credentialSubject": {"id": key.did}}, key, now=utc_now())
verify_credential(signed, now=utc_now(), status=WITHOUT_STATUS)
tokens = ("jose", "sd_jwt", "sd_jwt_vc", "key_binding", "vc_jwt", "envelope")
names = ("joserfc", "did.ecdsa", *(f"credentials.{name}" for name in tokens))
assert not [m for m in sys.modules if m.startswith(names)]
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_public_name_is_there():
    assert len(credentials.__all__) <= 15
    for name in credentials.__all__:
        assert getattr(credentials, name) is not None
    assert set(dir(credentials)) == set(credentials.__all__)
    with pytest.raises(AttributeError):
        credentials.nothing  # noqa: B018


def test_errors_have_a_base_a_code_and_a_place():
    from credentials import errors

    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, CredentialError):
            error = value("A sentence.", pointer="/id")
            assert "." in error.code
            assert error.pointer == "/id"
