"""The VC-API adapter: as an application, and once as a process over HTTP."""

import json
import re
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from credentials.contexts import CREDENTIALS_V1, CREDENTIALS_V2
from credentials.envelope import Envelope
from credentials.issue import issue_credential
from credentials.status import WITHOUT_STATUS
from credentials.statuslist import verify_general_list
from credentials.vc_jwt import sign_vc_jwt
from credentials.verify import verify_credential
from did.keys import SigningKey
from did.resolve import Resolver
from pds.net import Transport
from pds.vcapi.app import create_app

BASE = "http://127.0.0.1:8000"
NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
SUBJECT = {"id": "did:example:1", "name": "A. Person"}
SUITES = [
    ("Ed25519", "eddsa-jcs-2022"),
    ("Ed25519", "eddsa-rdfc-2022"),
    ("P-256", "ecdsa-jcs-2019"),
    ("P-256", "ecdsa-rdfc-2019"),
    ("P-384", "ecdsa-jcs-2019"),
    ("P-384", "ecdsa-rdfc-2019"),
]


class Api:
    def __init__(self, **settings):
        self._client = create_app(base=BASE, clock=lambda: NOW, **settings).test_client()

    def get(self, path):
        answer = self._client.get(path)
        return answer.status_code, answer.get_json(force=True)

    def post(self, path, body):
        answer = self._client.post(path, json=body)
        return answer.status_code, answer.get_json(force=True)

    @property
    def issuers(self):
        return self.get("/conformance.json")[1]["issuers"]

    def issue(self, kind="Ed25519", version=CREDENTIALS_V2, credential=None, **options):
        given = {
            "@context": [version],
            "type": ["VerifiableCredential"],
            "issuer": self.issuers[kind],
            "credentialSubject": SUBJECT,
        }
        if version == CREDENTIALS_V1:
            given["issuanceDate"] = "2026-01-01T00:00:00Z"
            given["credentialSubject"] = {"id": "did:example:1"}
        return self.post(
            "/credentials/issue",
            {"credential": {**given, **(credential or {})}, "options": options},
        )

    def verify(self, credential):
        return self.post("/credentials/verify", {"verifiableCredential": credential})


@pytest.fixture(scope="module")
def api():
    return Api()


def test_it_names_its_issuers(api):
    status, found = api.get("/conformance.json")
    assert status == 200
    assert {kind: did[:11] for kind, did in found["issuers"].items()} == {
        "Ed25519": "did:key:z6M",
        "P-256": "did:key:zDn",
        "P-384": "did:key:z82",
    }


@pytest.mark.parametrize("version", [CREDENTIALS_V1, CREDENTIALS_V2])
@pytest.mark.parametrize(("kind", "suite"), SUITES)
def test_what_it_issues_verifies_here_and_by_the_library(kind, suite, version, api):
    status, found = api.issue(kind, version, cryptosuite=suite, keyType=kind)
    assert status == 201
    signed = found["verifiableCredential"]
    assert signed["proof"]["cryptosuite"] == suite
    assert api.verify(signed)[0] == 200
    assert verify_credential(signed, now=NOW, status=WITHOUT_STATUS).issuer == api.issuers[kind]
    changed = {**signed, "credentialSubject": {"id": "did:example:2"}}
    status, problem = api.verify(changed)
    assert (status, problem["verified"]) == (400, False)
    assert problem["type"] == "https://w3id.org/security#PROOF_VERIFICATION_ERROR"
    assert problem["problemDetails"][0]["code"] == "proof.signature"


def test_the_issuer_decides_the_key_when_nothing_else_does(api):
    for kind, suite in (("Ed25519", "eddsa-rdfc-2022"), ("P-384", "ecdsa-rdfc-2019")):
        signed = api.issue(kind)[1]["verifiableCredential"]
        assert signed["proof"]["cryptosuite"] == suite
        assert signed["proof"]["verificationMethod"].startswith(api.issuers[kind])


@pytest.mark.parametrize("version", [CREDENTIALS_V1, CREDENTIALS_V2])
@pytest.mark.parametrize("purpose", ["revocation", "suspension"])
@pytest.mark.parametrize("kind", ["Ed25519", "P-256", "P-384"])
def test_a_status_entry_is_given_out_and_kept(kind, purpose, version, api):
    wanted = {"type": "BitstringStatusListEntry", "statusPurpose": purpose}
    status, found = api.issue(kind, version, credentialStatus=wanted)
    assert status == 201
    signed = found["verifiableCredential"]
    entry = signed["credentialStatus"]
    path = entry["statusListCredential"].removeprefix(BASE)
    assert verify_general_list(api.get(path)[1], now=NOW).purposes == {purpose}
    status, found = api.verify(signed)
    assert status == 200
    assert "credentialStatus" in found["checks"]
    update = {"credentialStatus": entry, "status": True}
    assert api.post("/credentials/status", update)[0] == 200
    status, problem = api.verify(signed)
    assert status == 400
    assert problem["code"] in ("status.withdrawn", "status.suspended")
    status, _ = api.post("/credentials/status", {**update, "status": False})
    assert status == (400 if purpose == "revocation" else 200)
    assert api.verify(signed)[0] == (400 if purpose == "revocation" else 200)


def test_the_status_list_of_somebody_else_is_not_fetched(api):
    """Not a yes: 422, for nothing was found out."""
    key = SigningKey.from_seed(b"\7" * 32)
    entry = {
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "1",
        "statusListCredential": "https://issuer.example/list",
    }
    signed = issue_credential(
        {"credentialSubject": SUBJECT, "credentialStatus": entry}, key, now=NOW
    )
    status, problem = api.verify(signed)
    assert (status, problem["code"]) == (422, "status.unavailable")
    asked = []

    def fetch(url):
        asked.append(url)
        raise OSError

    assert Api(fetch=fetch).verify(signed)[0] == 422
    assert asked == ["https://issuer.example/list"]


def test_a_presentation_is_for_its_challenge_and_domain(api):
    inside = api.issue("P-256")[1]["verifiableCredential"]
    presentation = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiablePresentation"],
        "verifiableCredential": [inside],
    }
    options = {"challenge": "c-1", "domain": "https://shop.example"}
    status, found = api.post(
        "/presentations/prove", {"presentation": presentation, "options": options}
    )
    assert status == 201
    signed = found["verifiablePresentation"]

    def check(presented, **said):
        body = {"verifiablePresentation": presented, "options": said}
        return api.post("/presentations/verify", body)

    status, found = check(signed, **options)
    assert (status, found["holder"]) == (200, api.issuers["Ed25519"])
    assert found["credentialResults"][0]["issuer"] == api.issuers["P-256"]
    assert check(signed, challenge="c-1")[0] == 200
    assert check(signed, **{**options, "challenge": "c-2"})[1]["type"].endswith(
        "#INVALID_CHALLENGE_ERROR"
    )
    assert check(signed, **{**options, "domain": "x"})[1]["type"].endswith("#INVALID_DOMAIN_ERROR")
    assert check(signed, challenge="")[0] == 400
    # The credentials inside are verified too.
    broken = {**inside, "credentialSubject": {"id": "did:example:2"}}
    _, found = api.post(
        "/presentations/prove",
        {
            "presentation": {**presentation, "verifiableCredential": [broken]},
            "options": options,
        },
    )
    status, problem = check(found["verifiablePresentation"], **options)
    assert (status, problem["code"]) == (400, "proof.signature")


@pytest.mark.parametrize(
    ("credential", "options"),
    [
        ({"issuer": "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"}, {}),
        ({"issuer": None}, {}),
        ({"type": []}, {}),
        ({"credentialSubject": {}}, {}),
        ({"proof": {}}, {}),
        ({"undefined": 1}, {"cryptosuite": "eddsa-rdfc-2022"}),
        ({"validFrom": "now"}, {}),
        ({"credentialStatus": {"type": "X"}}, {"credentialStatus": {}}),
        ({}, {"cryptosuite": "none"}),
        ({}, {"cryptosuite": 5}),
        ({}, {"cryptosuite": "ecdsa-jcs-2019"}),
        ({}, {"keyType": "P-256"}),
        ({}, {"keyType": "RSA"}),
        ({}, {"mandatoryPointers": ["/issuer"]}),
        ({}, {"mandatoryPointers": "x"}),
        ({}, {"credentialStatus": {"type": "Other"}}),
        ({}, {"credentialStatus": {"statusPurpose": "message"}}),
    ],
)
def test_what_must_not_be_issued_is_refused(credential, options, api):
    status, problem = api.issue(credential=credential, **options)
    assert status == 400
    assert problem["code"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/credentials/issue", {}),
        ("/credentials/issue", {"credential": []}),
        ("/credentials/issue", {"credential": {}, "options": 5}),
        ("/credentials/verify", {"verifiableCredential": 5}),
        ("/credentials/verify", []),
        ("/credentials/status", {"credentialStatus": {}, "status": 1}),
        ("/credentials/status", {"credentialStatus": {}, "status": True}),
        ("/presentations/verify", {"verifiablePresentation": None}),
        ("/presentations/prove", {}),
    ],
)
def test_a_body_of_another_shape_is_refused(path, body, api):
    status, problem = api.post(path, body)
    assert status == 400
    assert problem["problemDetails"]


def test_a_body_that_is_not_strict_json_is_refused(api):
    client = api._client
    for kind, body in (
        ("application/json", b'{"a": 1, "a": 2}'),
        ("application/json", b"\xff"),
        ("text/plain", json.dumps({"credential": {}, "options": {}}).encode()),
    ):
        answer = client.post("/credentials/verify", data=body, content_type=kind)
        assert answer.status_code == 400
        assert answer.content_type == "application/problem+json"


def test_what_http_itself_refuses_has_its_own_title(api):
    """Nothing was parsed, so it is no parsing error; the status is the same everywhere."""
    for path, code, title in (
        ("/nowhere", 404, "Not Found"),
        ("/status-lists/none", 404, "Not Found"),
        ("/credentials/issue", 405, "Method Not Allowed"),
    ):
        status, problem = api.get(path)
        assert (status, problem["status"], problem["type"]) == (code, code, "about:blank")
        assert problem["title"] == title
        assert problem["problemDetails"][0]["status"] == code


def test_nothing_of_the_input_comes_back_in_a_problem(api):
    secret = "Ágnes-1984-canary"
    for credential in ({"name": {"@value": secret, "x": secret}}, {secret: secret}):
        status, problem = api.issue(credential=credential)
        assert status == 400
        assert secret not in json.dumps(problem, ensure_ascii=False)


def test_a_folder_of_contexts_is_used(vectors):
    """The examples of the standard, whose contexts are not pinned here."""
    from credentials.contexts import ContextFolder

    credential = json.loads((vectors / "vc-di-eddsa" / "TestVectors" / "unsigned.json").read_text())
    with_folder = Api(contexts=ContextFolder(str(vectors / "contexts")))
    credential["issuer"] = with_folder.issuers["Ed25519"]
    status, found = with_folder.issue(credential=credential, cryptosuite="eddsa-rdfc-2022")
    assert status == 201
    assert with_folder.verify(found["verifiableCredential"])[0] == 200
    bare = Api()
    status, problem = bare.issue(
        credential={**credential, "issuer": bare.issuers["Ed25519"]}, cryptosuite="eddsa-rdfc-2022"
    )
    assert (status, problem["code"]) == (400, "context.unknown")
    assert bare.verify(found["verifiableCredential"])[1]["code"] == "context.unknown"


def test_a_part_is_derived_and_nothing_else_is_shown(api):
    """ecdsa-sd-2023: a base proof is for the holder, a derived one for everybody."""
    status, found = api.issue(
        "P-256",
        credential={"credentialSubject": {**SUBJECT, "description": "left out"}},
        cryptosuite="ecdsa-sd-2023",
        mandatoryPointers=["/issuer"],
    )
    assert status == 201
    base = found["verifiableCredential"]
    status, problem = api.verify(base)
    assert (status, problem["code"]) == (400, "proof.base")
    body = {
        "verifiableCredential": base,
        "options": {"selectivePointers": ["/credentialSubject/name"]},
    }
    status, found = api.post("/credentials/derive", body)
    assert status == 201
    derived = found["verifiableCredential"]
    assert derived["credentialSubject"] == SUBJECT
    assert api.verify(derived)[0] == 200
    more = {**derived, "credentialSubject": {**SUBJECT, "description": "left out"}}
    assert api.verify(more)[0] == 400
    for wrong in (["/nothing"], ["no pointer"], "x", [5]):
        body = {"verifiableCredential": base, "options": {"selectivePointers": wrong}}
        assert api.post("/credentials/derive", body)[0] == 400


@pytest.mark.parametrize("version", [CREDENTIALS_V1, CREDENTIALS_V2])
def test_a_part_of_what_was_revoked_is_refused(version, api):
    """The status entry is not the holder's to leave out."""
    wanted = {"type": "BitstringStatusListEntry", "statusPurpose": "revocation"}
    _, found = api.issue("P-256", version, cryptosuite="ecdsa-sd-2023", credentialStatus=wanted)
    body = {**found, "options": {"selectivePointers": ["/credentialSubject"]}}
    derived = api.post("/credentials/derive", body)[1]["verifiableCredential"]
    assert "credentialStatus" in api.verify(derived)[1]["checks"]
    update = {"credentialStatus": derived["credentialStatus"], "status": True}
    assert api.post("/credentials/status", update)[0] == 200
    status, problem = api.verify(derived)
    assert (status, problem["code"]) == (400, "status.withdrawn")


def test_the_issuer_is_shown_in_every_part_unless_said_otherwise(api):
    for options, status in (({}, 201), ({"mandatoryPointers": []}, 400)):
        _, found = api.issue("P-256", cryptosuite="ecdsa-sd-2023", **options)
        body = {**found, "options": {"selectivePointers": ["/credentialSubject/name"]}}
        assert api.post("/credentials/derive", body)[0] == status


def test_a_credential_in_a_token_is_verified_too(api):
    """As text, in an envelope, and inside a presentation."""
    key = SigningKey.from_seed(b"\7" * 32)
    credential = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": key.did,
        "credentialSubject": SUBJECT,
    }
    token = sign_vc_jwt(credential, key)
    envelope = Envelope("vc+jwt", token).to_json()
    for form in (token, envelope):
        status, found = api.verify(form)
        assert (status, found["issuer"]) == (200, key.did)
    broken = token[:-9] + ("A" if token[-9] != "A" else "B") + token[-8:]
    assert api.verify(broken)[0] == 400
    assert api.verify({**envelope, "id": "data:text/plain,x"})[0] == 400
    options = {"challenge": "c-1", "domain": "d"}
    presentation = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiablePresentation"],
        "verifiableCredential": [envelope],
    }
    _, proved = api.post("/presentations/prove", {"presentation": presentation, "options": options})
    status, found = api.post("/presentations/verify", {**proved, "options": options})
    assert status == 200
    assert found["credentialResults"][0]["issuer"] == key.did


def test_what_is_not_declared_as_json_is_not_read(api):
    signed = api.issue()[1]["verifiableCredential"]
    body = json.dumps({"verifiableCredential": signed})
    for kind, status in (
        ("application/json", 200),
        ("application/ld+json; charset=utf-8", 200),
        ("text/plain", 400),
    ):
        answer = api._client.post("/credentials/verify", data=body, content_type=kind)
        assert answer.status_code == status


def test_only_a_status_that_was_given_out_is_set(api):
    entry = api.issue(credentialStatus={})[1]["verifiableCredential"]["credentialStatus"]
    taken = int(entry["statusListIndex"])
    for change, value, status in (
        ({}, 1, 400),
        ({"statusListIndex": str((taken + 1) % 131_072)}, True, 400),
        ({"statusListIndex": "1" * 5_000}, True, 400),
        ({"statusListCredential": BASE + "/status-lists/none"}, True, 400),
        ({}, True, 200),
    ):
        body = {"credentialStatus": {**entry, **change}, "status": value}
        assert api.post("/credentials/status", body)[0] == status


def test_proofs_of_unknown_suites_are_told(api):
    signed = api.issue()[1]["verifiableCredential"]
    unknown = {**signed["proof"], "cryptosuite": "of-another-kind"}
    status, found = api.verify({**signed, "proof": [signed["proof"], unknown]})
    assert status == 200
    assert found["warnings"]
    assert not api.verify(signed)[1]["warnings"]


def test_the_page_has_every_code_and_call(api):
    """docs/vcapi.md lists the codes of its own and the routes, and no other."""
    root = Path(__file__).parents[3]
    sources = "".join(path.read_text() for path in (root / "pds/vcapi").glob("*.py"))
    page = (root / "docs/vcapi.md").read_text("utf-8")
    assert set(re.findall(r"vcapi\.\w+", page)) == set(re.findall(r'"(vcapi\.\w+)"', sources))
    routes = {
        f"{method} {rule.rule}".replace("<name>", "NAME")
        for rule in api._client.application.url_map.iter_rules()
        for method in rule.methods & {"GET", "POST"}
    }
    assert set(re.findall(r"\| `((?:GET|POST) \S+)` \|", page)) == routes


def test_a_presentation_with_many_credentials_is_refused(api):
    """Each may cost as much as one by itself, and a body has room for thousands."""
    presentation = {"@context": [CREDENTIALS_V2], "type": "VerifiablePresentation"}
    for count, wanted in ((16, 200), (17, 400)):
        carried = [api.issue(cryptosuite="eddsa-jcs-2022")[1]["verifiableCredential"]] * count
        _, made = api.post(
            "/presentations/prove",
            {
                "presentation": {**presentation, "verifiableCredential": carried},
                "options": {"cryptosuite": "eddsa-jcs-2022"},
            },
        )
        assert api.post("/presentations/verify", made)[0] == wanted


def _no_name(*_args, **_kwargs):
    raise socket.gaierror


def test_a_network_that_gives_nothing_is_no_verdict():
    """An issuer that cannot be looked up was not checked, and the adapter goes on."""

    transport = Transport(getaddrinfo=_no_name)
    api = Api(resolver=Resolver(fetch=transport.fetch_did), fetch=transport.fetch)
    signed = issue_credential(
        {"issuer": "did:web:issuer.example", "credentialSubject": SUBJECT},
        SigningKey.generate(),
        now=NOW,
        verification_method="did:web:issuer.example#key",
    )
    status, found = api.verify(signed)
    assert (status, found["code"], found["verified"]) == (422, "net.unreachable", False)


def test_more_pointers_than_a_proof_is_read_with_are_refused(api):
    """No proof is made that nobody could derive another from."""
    for count, wanted in ((256, 201), (257, 400)):
        status, _ = api.issue(
            "P-256", cryptosuite="ecdsa-sd-2023", mandatoryPointers=["/issuer"] * count
        )
        assert status == wanted


TERMS = {"score": "https://terms.example/score", "Scored": "https://terms.example/Scored"}


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
def test_numbers_that_are_not_whole_are_signed_and_verified(suite, api):
    """Other people's claims have them, and so do suites."""
    credential = {
        "@context": [CREDENTIALS_V2, TERMS],
        "credentialSubject": {"id": "did:example:1", "score": 1.5},
    }
    status, found = api.issue(credential=credential, cryptosuite=suite)
    assert status == 201
    status, found = api.verify(found["verifiableCredential"])
    assert status == 200
    assert found["credential"]["credentialSubject"]["score"] == 1.5


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
def test_a_context_inside_a_document_adds_names(suite, api):
    """Suites have them; what is signed is what they say, whatever the names are."""
    credential = {
        "@context": [CREDENTIALS_V2, TERMS],
        "type": ["VerifiableCredential", "Scored"],
        "credentialSubject": {"id": "did:example:1", "score": "5"},
    }
    signed = api.issue(credential=credential, cryptosuite=suite)[1]["verifiableCredential"]
    assert api.verify(signed)[0] == 200
    for changed in ({"score": "6"}, {"other": "5"}):
        subject = {"id": "did:example:1", **changed}
        assert api.verify({**signed, "credentialSubject": subject})[0] == 400
    assert api.post("/presentations/verify", present(api, [signed], suite))[0] == 200


@pytest.mark.parametrize(
    "inline",
    [
        {"@vocab": "https://evil.example/#"},
        {"issuer": "https://evil.example/#issuer"},
        {"validUntil": "https://evil.example/#end"},
        {"issuanceDate": "https://evil.example/#begin"},
        {"also": "@id"},
        {"also": {"@id": "@type"}},
        {"a": {"@id": "https://a.example/", "@context": {"also": "@id"}}},
        {"long": "https://a.example/" + "a" * 8_192},
        {"ends": "https://www.w3.org/2018/credentials#validUntil"},
    ],
)
def test_a_context_inside_a_document_changes_no_names(inline, api):
    """What the standards' names mean cannot be said otherwise, nor by other names."""
    credential = {
        "@context": [CREDENTIALS_V2, inline],
        "credentialSubject": {"id": "did:example:1"},
    }
    if "ends" in inline:
        credential["ends"] = "2036-01-01T00:00:00Z"
    status, found = api.issue(credential=credential, cryptosuite="eddsa-rdfc-2022")
    assert (status, found["code"]) in ((400, "context.inline"), (400, "rdfc.hidden"))


def test_what_was_not_checked_is_said(api):
    """A schema, a resource and a context that nobody looked at are warned of."""
    resource = {"id": "https://resource.example/", "digestSRI": "sha256-" + "A" * 43 + "="}
    credential = {
        "@context": [CREDENTIALS_V2, "https://unknown.example/v1"],
        "credentialSchema": {"id": "https://schema.example/", "type": "JsonSchema"},
        "relatedResource": [resource],
    }
    signed = api.issue(credential=credential, cryptosuite="eddsa-jcs-2022")[1]
    status, found = api.verify(signed["verifiableCredential"])
    assert (status, len(found["warnings"])) == (200, 3)
    resource["digestSRI"] = "sha384-x"
    status, found = api.issue(credential=credential, cryptosuite="eddsa-jcs-2022")
    assert (status, found["pointer"]) == (400, "/relatedResource")


def test_what_holders_say_of_themselves_needs_no_proof_of_its_own(api):
    """The presentation's own proof secures it, for the holder's own claims alone (VCDM §4.13.2)."""
    holder = api.issuers["Ed25519"]
    for issuer, until, wanted in (
        (holder, "2036-01-01T00:00:00Z", (200, None)),
        (holder, "2016-01-01T00:00:00Z", (400, "credential.expired")),
        ("did:example:other", "2036-01-01T00:00:00Z", (400, "proof.missing")),
    ):
        said = {
            "@context": [CREDENTIALS_V2],
            "type": ["VerifiableCredential"],
            "issuer": issuer,
            "validUntil": until,
            "credentialSubject": {"id": holder},
        }
        status, found = api.post("/presentations/verify", present(api, [said]))
        assert (status, found.get("code")) == wanted
        if status == 200:
            assert found["credentialResults"][0]["selfAsserted"] is True
        else:
            assert found["pointer"].startswith("/verifiableCredential/0")


def present(api, credentials, suite="eddsa-rdfc-2022", **more):
    presentation = {
        "@context": [CREDENTIALS_V2],
        "type": "VerifiablePresentation",
        "verifiableCredential": credentials,
        **more,
    }
    status, made = api.post(
        "/presentations/prove", {"presentation": presentation, "options": {"cryptosuite": suite}}
    )
    assert status == 201
    return made


def test_a_presentation_says_which_credential_is_bad(api):
    """The pointer leads into it."""
    good = api.issue()[1]["verifiableCredential"]
    bad = {**good, "credentialSubject": {"id": "did:example:2"}, "id": "urn:x:2"}
    carried = present(api, [good, bad], "eddsa-jcs-2022")
    status, found = api.post("/presentations/verify", carried)
    assert (status, found["code"]) == (400, "proof.signature")
    assert found["pointer"] == "/verifiableCredential/1/proof/proofValue"


def test_a_holder_may_be_an_object_and_a_presentation_empty(api):
    """Both forms of a holder name the same one; no credentials are none."""
    holder = {"id": api.issuers["Ed25519"]}
    status, found = api.post("/presentations/verify", present(api, [], holder=holder))
    assert (status, found["holder"], found["credentialResults"]) == (200, holder["id"], [])


@pytest.mark.parametrize("wanted", [1, "x", [], [1], True])
def test_an_option_of_another_type_is_no_wish_for_a_status(wanted, api):
    """It is not guessed what was meant."""
    status, found = api.issue(credentialStatus=wanted)
    assert (status, found["code"]) == (400, "vcapi.status")
