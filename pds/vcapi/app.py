"""The routes of the VC-API (W3C CCG) that issue, verify, derive and present.

Each reads one strict JSON object, makes one call into ``credentials``, and renders. Errors become
problem details in one place: 400 for what is wrong, 422 for what could not be checked.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, NotFound

from credentials.contexts import KNOWN_CONTEXTS, Contexts, WithInline, context_bytes
from credentials.credential import Credential
from credentials.derive import derive_credential
from credentials.envelope import ENVELOPED_CREDENTIAL, Envelope
from credentials.errors import CredentialError, ProofInvalid
from credentials.presentation import UNCHECKED, sign_presentation, verify_presentation
from credentials.vc_jwt import VerifiedJwtCredential, verify_vc_jwt
from credentials.verify import VerifiedCredential, verify_credential
from did.errors import DidError
from did.json import Json, JsonObject, canonicalize, parse_object
from did.resolve import OFFLINE, Resolver
from did.time import utc_now
from pds.vcapi.issuer import Issuers, pointers
from pds.vcapi.problems import BadRequest, problem_of, status_of

Verified: TypeAlias = VerifiedCredential | VerifiedJwtCredential

_PROBLEM: Final = "application/problem+json"
MAX_BODY: Final = 1_048_576
# A presentation may hold any number; each may cost as much as one by itself.
MAX_CREDENTIALS: Final = 16


def create_app(
    *,
    base: str,
    contexts: Contexts = context_bytes,
    resolver: Resolver = OFFLINE,
    fetch: Callable[[str], bytes] | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Flask:
    """The adapter, at its own origin ``base``, with new keys.

    ``contexts`` gives JSON-LD contexts by URL. ``resolver`` and ``fetch`` (for status lists of
    others) reach no network unless they were made to.
    """
    contexts = WithInline(contexts)
    issuers = Issuers(base=base, now=clock, contexts=contexts)
    app = Flask(__name__, static_folder=None)
    app.extensions["issuers"] = issuers
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROPAGATE_EXCEPTIONS"] = True

    def status(url: str) -> bytes:
        own = issuers.own_list(url)
        if own is not None:
            return own
        if fetch is None:
            raise LookupError("no network")
        return fetch(url)

    def verified(credential: Json) -> Verified:
        if isinstance(credential, str) or _is_envelope(credential):
            token = credential if isinstance(credential, str) else Envelope.parse(credential).token
            return verify_vc_jwt(token, now=clock(), status=status, resolver=resolver)
        return verify_credential(
            _object(credential, "verifiableCredential"),
            now=clock(),
            status=status,
            resolver=resolver,
            schemas=fetch,
            resources=fetch,
            contexts=contexts,
        )

    _issuing(app, issuers, contexts=contexts, clock=clock)
    _verifying(app, verified, resolver=resolver, contexts=contexts, clock=clock)

    @app.get("/conformance.json")
    def conformance() -> Response:
        return _json({"issuers": issuers.dids()}, 200)

    @app.get("/status-lists/<name>")
    def status_list(name: str) -> Response:
        found = issuers.status_list(name)
        if found is None:
            raise NotFound
        return Response(found, content_type="application/vc")

    for error in (CredentialError, DidError, BadRequest):
        app.register_error_handler(error, _refusal)
    app.register_error_handler(HTTPException, _http_refusal)
    return app


def _issuing(
    app: Flask, issuers: Issuers, *, contexts: Contexts, clock: Callable[[], datetime]
) -> None:
    @app.post("/credentials/issue")
    def issue() -> Response:
        body = _body()
        signed = issuers.issue(_object(body.get("credential"), "credential"), _options(body))
        return _json({"verifiableCredential": signed}, 201)

    @app.post("/credentials/derive")
    def derive() -> Response:
        body = _body()
        derived = derive_credential(
            _object(body.get("verifiableCredential"), "verifiableCredential"),
            selective_pointers=pointers(_options(body), "selectivePointers"),
            contexts=contexts,
        )
        return _json({"verifiableCredential": derived}, 201)

    @app.post("/credentials/status")
    def set_status() -> Response:
        body = _body()
        value = body.get("status")
        if not isinstance(value, bool):
            raise BadRequest("status must be true or false")
        issuers.set_status(_object(body.get("credentialStatus"), "credentialStatus"), value=value)
        return _json({"status": value}, 200)

    @app.post("/presentations/prove")
    def prove() -> Response:
        body = _body()
        options = _options(body)
        key, suite = issuers.holder(options)
        signed = sign_presentation(
            holder_key=key,
            presentation=_object(body.get("presentation"), "presentation"),
            challenge=_optional(options, "challenge"),
            domain=_optional(options, "domain"),
            created=clock(),
            cryptosuite=suite,
            contexts=contexts,
        )
        return _json({"verifiablePresentation": signed}, 201)


def _verifying(
    app: Flask,
    verified: Callable[[Json], Verified],
    *,
    resolver: Resolver,
    contexts: Contexts,
    clock: Callable[[], datetime],
) -> None:
    @app.post("/credentials/verify")
    def verify() -> Response:
        body = _body()
        _options(body)
        return _json(_said(verified(body.get("verifiableCredential"))), 200)

    @app.post("/presentations/verify")
    def verify_presented() -> Response:
        body = _body()
        options = _options(body)
        found = verify_presentation(
            _object(body.get("verifiablePresentation"), "verifiablePresentation"),
            expected_challenge=_optional(options, "challenge") or UNCHECKED,
            expected_domain=_optional(options, "domain") or UNCHECKED,
            now=clock(),
            resolver=resolver,
            exact_context=None,
            contexts=contexts,
        )
        carried: list[JsonObject] = [
            *found.unverified_credentials,
            *(envelope.to_json() for envelope in found.unverified_envelopes),
        ]
        if len(carried) > MAX_CREDENTIALS:
            raise BadRequest(
                f"at most {MAX_CREDENTIALS} credentials of a presentation are verified here"
            )
        inside: list[Json] = []
        for position, item in enumerate(carried):
            try:
                inside.append(_inside(item, found.holder))
            except CredentialError as error:
                error.pointer = f"/verifiableCredential/{position}{error.pointer}"
                raise
        return _json({"verified": True, "holder": found.holder, "credentialResults": inside}, 200)

    def _inside(item: JsonObject, holder: str) -> JsonObject:
        if "proof" in item or _is_envelope(item):
            return _said(verified(item))
        # What a holder says of themselves is secured by the proof of the presentation (VCDM 2.0
        # §4.13.2).
        said = Credential.parse(item)
        if said.issuer != holder:
            raise ProofInvalid("the credential has no proof", code="proof.missing")
        said.check_window(clock())
        return {**_answer(said, ["structure", "validity"]), "selfAsserted": True}


def _said(found: Verified) -> JsonObject:
    """What was found out about a credential, and what was not."""
    checks = ["structure", "proof", "validity"]
    checks += ["credentialStatus"] if found.status_checked else []
    unknown = False
    if isinstance(found, VerifiedCredential):
        unknown = bool(found.unknown_suites)
        checks += ["credentialSchema"] if found.checked_schemas else []
        checks += ["relatedResource"] if found.checked_resources else []
    answer = _answer(found.credential, checks)
    if unknown:
        answer["warnings"].append("there are proofs of cryptosuites not known here")
    answer["statuses"] = [
        {"statusPurpose": item.purpose, "status": item.value, "message": item.message}
        for item in found.statuses
    ]
    return answer


def _answer(credential: Credential, checks: list[str]) -> dict[str, Any]:
    warnings = [
        f"the {name} was not checked"
        for name, there in (
            ("credentialSchema", credential.schemas),
            ("relatedResource", credential.resources),
        )
        if there and name not in checks
    ]
    named = credential.raw["@context"]
    urls = [item for item in named if isinstance(item, str)] if isinstance(named, list) else []
    if not KNOWN_CONTEXTS.issuperset(urls):
        warnings.append("there is a context that is not one of those pinned here")
    return {
        "verified": True,
        "issuer": credential.issuer,
        "credential": credential.raw,
        "checks": checks,
        "statuses": [],
        "warnings": warnings,
    }


def _body() -> JsonObject:
    kind = request.mimetype
    if kind != "application/json" and not kind.endswith("+json"):
        raise BadRequest("the body must be application/json")
    return parse_object(request.get_data(), max_bytes=MAX_BODY, allow_floats=True)


def _object(value: Json, name: str) -> JsonObject:
    if not isinstance(value, dict):
        raise BadRequest(f"{name} must be an object")
    return value


def _is_envelope(value: Json) -> bool:
    kind = value.get("type") if isinstance(value, dict) else None
    return ENVELOPED_CREDENTIAL in (kind if isinstance(kind, list) else [kind])


def _options(body: JsonObject) -> JsonObject:
    return _object(body.get("options", {}), "options")


def _optional(options: JsonObject, name: str) -> str | None:
    value = options.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise BadRequest(f"options.{name} must be text, and not empty")
    return value


def _json(value: JsonObject, code: int) -> Response:
    return Response(canonicalize(value), status=code, content_type="application/json")


def _refusal(error: Exception, code: int | None = None) -> Response:
    code = code or status_of(error)
    problem: JsonObject = {**problem_of(error), "status": code}
    found: JsonObject = {**problem, "verified": False, "problemDetails": [problem]}
    return Response(canonicalize(found), status=code, content_type=_PROBLEM)


def _http_refusal(error: HTTPException) -> Response:
    # The library's own page would be HTML.
    return _refusal(BadRequest(error.name, code="vcapi.http"), error.code or 500)
