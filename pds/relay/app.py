"""The relay as a WSGI application: each route reads, makes one call, and renders.

What is refused becomes RFC 9457 problem details in one place. A failure of our own is not caught
here: the server in front answers it and logs where it was, never what was in it.

Long, because routes are a table; ``pds.relay.openapi`` has the same rows for programs.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from credentials.contexts import PDS_V1, context_bytes
from did.errors import DidError
from did.json import JsonObject, canonicalize
from did.time import format_time, utc_now
from pds.db import DbError
from pds.relay import (
    challenge,
    forms,
    identities,
    ledger,
    links,
    mailboxes,
    packages,
    redeem,
    status,
    transparency,
    trouble,
    watching,
    wellknown,
)
from pds.relay.errors import Refused, RelayError
from pds.relay.folder import challenge_key, open_folder
from pds.relay.limits import Limits, RegistrationLimit
from pds.relay.openapi import document
from pds.relay.openapi.document import MAX_WAIT
from pds.relay.page import PAGE, POLICY
from pds.relay.proxies import Proxies
from pds.relay.relay import Relay, hash_token
from pds.relay.store import log
from pds.serve import Batched, ask_again, wake
from pds.serve import Response as Served
from pds.wire import (
    HTTP_STATUS,
    RelayCode,
    RelayInfo,
    RequestSignature,
    WireError,
    parse_relay_url,
    problem,
    verify_request,
)

_JSON: Final = "application/json"
_OCTETS: Final = "application/octet-stream"
_PROBLEM: Final = "application/problem+json"
_REDEMPTIONS: Final = "/v1/redemptions"
_RETRY_AFTER: Final = {RelayCode.BUSY: 1}
_FIXED: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "no-referrer"),
)
_NOT_STORED: Final = ("Cache-Control", "no-store")


class RelayApp(Flask):
    """The application; ``batched`` are the routes that our own server has answered together."""

    batched: Mapping[tuple[str, str], Batched]


def open_relay(
    data: Path,
    *,
    url: str,
    database: str | None = None,
    upgrade: bool = True,
    clock: Callable[[], datetime] = utc_now,
    registration: str = "open",
    token: str | None = None,
    limits: Limits | None = None,
) -> Relay:
    """The relay whose data lies in ``data`` and whose origin is ``url``.

    With ``database``, a PostgreSQL's conninfo, the rows lie there and any number of processes
    may share it; each needs the same log key in its ``data``. Without ``upgrade`` tables of an
    earlier release are refused (``db.outdated``). ``registration`` is ``open``, or
    ``token`` with the token that new mailboxes must bring; only its hash is kept, in memory.
    Raises ``RelayError``, ``WireError`` (``wire.relay_url``) and ``DbError``.
    """
    if registration not in ("open", "token") or (registration == "token") != bool(token):
        raise RelayError(
            "Registration is open without a token, or by token with one.", code="relay.settings"
        )
    limits = limits or Limits()
    origin = parse_relay_url(url)
    store, key = open_folder(data, url=origin, database=database, upgrade=upgrade)
    return Relay(
        url=origin,
        store=store,
        log_key=key,
        challenge_key=challenge_key(store),
        clock=clock,
        limits=limits,
        registration=registration,
        token_hash=None if token is None else hash_token(token),
        registrations=RegistrationLimit(limits.registrations_per_hour),
    )


def create_app(
    data: Path,
    *,
    url: str,
    counters: Path | None = None,
    access_log: bool = False,
    proxies: Sequence[str] = (),
    **settings: Any,
) -> RelayApp:
    """The application of the relay that ``open_relay`` opens with the same arguments.

    The open kind of registration is limited by the caller's address, so the server must pass it on
    (``pass_address``); ``proxies`` are the addresses and networks whose word on it is believed.
    ``counters`` is a folder in which answers are counted, ``access_log`` has each of them told.
    ``app.extensions["relay"]`` is the relay.
    """
    trusted = Proxies.parse(proxies)
    relay = open_relay(data, url=url, **settings)
    limits = relay.limits
    app = RelayApp(__name__, static_folder=None)
    app.extensions["relay"] = relay
    app.config["MAX_CONTENT_LENGTH"] = limits.largest_body
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    for error in (Refused, WireError, DidError, DbError, HTTPException):
        app.register_error_handler(error, _refusal)
    app.wsgi_app = _with_headers(app.wsgi_app)  # type: ignore[method-assign]
    watch = watching.watch(app, counters=counters, access_log=access_log)
    app.batched = {("POST", _REDEMPTIONS): _Redemptions(relay, watch)}
    _mailbox_routes(app, relay, trusted)
    _package_routes(app, relay)
    _redemption_routes(app, relay)
    _status_and_link_routes(app, relay)
    _identity_routes(app, relay)
    _public_routes(app, relay)
    transparency.add_routes(app, relay)
    return app


# --- what all routes share -------------------------------------------------------------------


def _caller(relay: Relay) -> RequestSignature:
    """Who signed this call, for the address that is configured and the bytes that arrived."""
    return verify_request(
        method=request.method,
        url=_target(relay, request),
        headers=request.headers,  # type: ignore[arg-type]  # a mapping by its items()
        body=request.get_data(),
        now=relay.clock(),
    )


def _address(proxies: Proxies) -> str | None:
    """Where this call comes from, as far as the server and trusted proxies tell."""
    return proxies.caller(request.remote_addr, request.headers.get("X-Forwarded-For"))


def _target(relay: Relay, arrived: Request) -> str:
    query = arrived.query_string.decode("latin-1")
    return f"{relay.url}{arrived.path}?{query}" if query else f"{relay.url}{arrived.path}"


def _numbers(*names: str, optional: tuple[str, ...] = ()) -> list[int]:
    return forms.numbers(request.args.to_dict(flat=False), names, optional=optional)


def _news_of(mailbox: str) -> str:
    """What a request for a mailbox's envelopes waits for."""
    return f"mailbox {mailbox}"


def _json(value: JsonObject | bytes, code: int = 200) -> Response:
    octets = value if isinstance(value, bytes) else canonicalize(value)
    return Response(octets, status=code, content_type=_JSON)


def _octets(octets: bytes) -> Response:
    return Response(octets, content_type=_OCTETS)


def _nothing() -> Response:
    return Response(status=204)


def _refusal(error: Exception) -> Response:
    status, headers, body = _refused(error)
    return Response(body, status=status, headers=headers)


def _refused(error: Exception) -> tuple[int, dict[str, str], bytes]:
    """The one place where an error becomes an answer. Nothing of the error's text is in it.
    A failure of our own is raised."""
    code, retry_after = RelayCode.MALFORMED, None
    if isinstance(error, Refused):
        code, retry_after = error.relay_code, error.retry_after
    elif isinstance(error, WireError):
        code = RelayCode(error.code) if error.code in set(RelayCode) else RelayCode.MALFORMED
    elif isinstance(error, DbError):
        if error.code != "db.busy":
            trouble.tell(error)
        if error.code not in ("db.busy", "db.full", "db.io", "db.away", "db.read_only"):
            raise error
        code = RelayCode.BUSY
    elif isinstance(error, RequestEntityTooLarge):
        code = RelayCode.TOO_LARGE
    elif isinstance(error, MethodNotAllowed):
        code = RelayCode.METHOD
    elif isinstance(error, HTTPException) and error.code == 404:
        code = RelayCode.NOT_FOUND
    elif not isinstance(error, DidError | HTTPException):
        raise error
    http = error.status if isinstance(error, Refused) else HTTP_STATUS[code]
    headers = {"Content-Type": _PROBLEM}
    retry_after = retry_after or _RETRY_AFTER.get(code)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if isinstance(error, MethodNotAllowed):
        # RFC 9110 section 15.5.6.
        headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return http, headers, canonicalize({**problem(code), "status": http})


def _with_headers(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """What every answer says. Around the application and not in it: there each of these would be
    checked anew for each answer, which takes longer than the rest of answering."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        def start_with(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            kept = any(name == "Cache-Control" for name, _ in headers)
            more = _FIXED if kept else [*_FIXED, _NOT_STORED]
            return start(status, [*headers, *more], *error)

        return app(environ, start_with)

    return answer


# --- routes ----------------------------------------------------------------------------------


def _mailbox_routes(app: Flask, relay: Relay, proxies: Proxies) -> None:
    @app.put("/v1/mailboxes/<id_>")
    def put_mailbox(id_: str) -> Response:
        caller = _caller(relay)
        id_ = forms.path_id(id_)
        new = mailboxes.put(relay, id_, request.get_data(), caller, address=_address(proxies))
        return _json({"mailbox": id_}, 201 if new else 200)

    @app.get("/v1/mailboxes/<id_>")
    def get_mailbox(id_: str) -> Response:
        caller = _caller(relay)
        return _json(mailboxes.describe(relay, forms.path_id(id_), caller))

    @app.delete("/v1/mailboxes/<id_>")
    def delete_mailbox(id_: str) -> Response:
        caller = _caller(relay)
        mailboxes.delete(relay, forms.path_id(id_), caller)
        wake(request.environ, _news_of(id_))
        return _nothing()

    @app.put("/v1/mailboxes/<id_>/capabilities/<cid>")
    def put_capability(id_: str, cid: str) -> Response:
        caller = _caller(relay)
        id_, cid = forms.path_id(id_), forms.path_id(cid)
        mailboxes.put_capability(relay, id_, cid, request.get_data(), caller)
        return _json({"capability": cid}, 201)

    @app.delete("/v1/mailboxes/<id_>/capabilities/<cid>")
    def delete_capability(id_: str, cid: str) -> Response:
        caller = _caller(relay)
        mailboxes.delete_capability(relay, forms.path_id(id_), forms.path_id(cid), caller)
        return _nothing()

    @app.post("/v1/mailboxes/<id_>/envelopes")
    def post_envelope(id_: str) -> Response:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        receipt = mailboxes.deposit(
            relay, id_, request.get_data(), secret if scheme.lower() == "bearer" else None
        )
        wake(request.environ, _news_of(id_))
        return _json(receipt, 201)

    @app.get("/v1/mailboxes/<id_>/envelopes")
    def get_envelopes(id_: str) -> Response:
        caller = _caller(relay)
        after, wait = _numbers("after", optional=("wait",))
        if wait > MAX_WAIT:
            raise forms.malformed()
        page = mailboxes.envelopes(relay, forms.path_id(id_), caller, after=after)
        if wait and not page["envelopes"]:
            # The question is looked at anew each time, so its signature must outlast the wait.
            valid = (caller.expires - relay.clock()).total_seconds() - 1
            ask_again(request.environ, _news_of(id_), seconds=min(wait, valid))
        return _json(page)

    @app.get("/v1/mailboxes/<id_>/envelopes/<ordinal>")
    def get_envelope(id_: str, ordinal: str) -> Response:
        caller = _caller(relay)
        (after,) = _numbers("after")
        id_, number = forms.path_id(id_), forms.number(ordinal)
        return _octets(mailboxes.envelope(relay, id_, number, caller, after=after))

    @app.delete("/v1/mailboxes/<id_>/envelopes/<ordinal>")
    def delete_envelope(id_: str, ordinal: str) -> Response:
        caller = _caller(relay)
        mailboxes.delete_envelope(relay, forms.path_id(id_), forms.number(ordinal), caller)
        return _nothing()


def _package_routes(app: Flask, relay: Relay) -> None:
    @app.put("/v1/packages/<id_>")
    def put_package(id_: str) -> Response:
        caller = _caller(relay)
        return _json(packages.put(relay, forms.path_id(id_), request.get_data(), caller))

    @app.get("/v1/packages/<id_>")
    def get_package(id_: str) -> Response:
        caller = _caller(relay)
        return _json(packages.describe(relay, forms.path_id(id_), caller))

    @app.delete("/v1/packages/<id_>")
    def delete_package(id_: str) -> Response:
        caller = _caller(relay)
        return _json(packages.end(relay, forms.path_id(id_), caller))

    @app.get("/v1/packages/<id_>/events")
    def get_events(id_: str) -> Response:
        caller = _caller(relay)
        (after,) = _numbers("after")
        return _json(packages.events(relay, forms.path_id(id_), caller, after=after))

    @app.delete("/v1/packages/<id_>/events")
    def delete_events(id_: str) -> Response:
        caller = _caller(relay)
        (through,) = _numbers("through")
        packages.erase_presentations(relay, forms.path_id(id_), caller, through=through)
        return _nothing()


def _redemption_routes(app: Flask, relay: Relay) -> None:
    @app.get("/v1/challenge")
    def get_challenge() -> Response:
        text, expires = challenge.issue(relay.challenge_key, relay.clock())
        return _json({"challenge": text, "expires": format_time(expires)})

    @app.post(_REDEMPTIONS)
    def post_redemption() -> Response:
        return _json(redeem.redeem(relay, request.get_data()))

    @app.get("/v1/redemptions/<redemption>")
    def get_redemption(redemption: str) -> Response:
        caller = _caller(relay)
        return _json(redeem.recover(relay, redemption, caller))

    @app.get("/v1/redemptions/<redemption>/sealed")
    def get_sealed(redemption: str) -> Response:
        caller = _caller(relay)
        (after,) = _numbers("after")
        return _octets(redeem.piece(relay, redemption, caller, after=after))

    @app.delete("/v1/redemptions/<redemption>")
    def delete_redemption(redemption: str) -> Response:
        caller = _caller(relay)
        redeem.acknowledge(relay, redemption, caller)
        return _nothing()


class _Redemptions:
    """The route ``_REDEMPTIONS`` for many at once, with what Flask and the layers around it add."""

    def __init__(self, relay: Relay, watch: watching.Watch | None) -> None:
        self._relay = relay
        self._watch = watch
        self._more = tuple((name.lower(), value) for name, value in (*_FIXED, _NOT_STORED))

    def read(self, body: bytes) -> "tuple[float, redeem.Redemption | Exception]":
        begun = time.perf_counter()
        return begun, redeem.read(self._relay, body)

    def answer(
        self, read: "Sequence[tuple[float, redeem.Redemption | Exception]]"
    ) -> list[Served | Exception]:
        outcomes = redeem.carry_out(self._relay, [said for _, said in read])
        answers = [_served(outcome, self._more) for outcome in outcomes]
        if self._watch is not None:
            for each, (begun, _) in zip(answers, read, strict=True):
                if isinstance(each, Served):
                    self._watch("POST", _REDEMPTIONS, each.status, each.body, begun=begun)
        return answers


def _served(outcome: bytes | Exception, more: tuple[tuple[str, str], ...]) -> Served | Exception:
    if isinstance(outcome, bytes):
        return Served(200, (("content-type", _JSON), *more), outcome)
    try:
        status, headers, body = _refused(outcome)
    except Exception as error:  # noqa: BLE001  the server says so and logs where it was
        return error
    return Served(
        status, (*((name.lower(), value) for name, value in headers.items()), *more), body
    )


def _status_and_link_routes(app: Flask, relay: Relay) -> None:
    @app.put("/v1/status/<id_>")
    def put_status(id_: str) -> Response:
        caller = _caller(relay)
        return _json(status.put(relay, forms.path_id(id_), request.get_data(), caller))

    @app.get("/v1/status/<id_>")
    def get_status(id_: str) -> Response:
        credential, stamp = status.get(relay, forms.path_id(id_))
        response = Response(credential, content_type="application/vc")
        response.headers["PDS-Stamp"] = stamp
        return response

    @app.put("/v1/requests/<id_>")
    def put_request(id_: str) -> Response:
        caller = _caller(relay)
        id_ = forms.path_id(id_)
        links.put(relay, id_, request.get_data(), caller)
        return _json({"request": id_}, 201)

    @app.get("/v1/requests/<id_>")
    def get_request(id_: str) -> Response:
        return _octets(links.get(relay, forms.path_id(id_)))

    @app.delete("/v1/requests/<id_>")
    def delete_request(id_: str) -> Response:
        caller = _caller(relay)
        links.delete(relay, forms.path_id(id_), caller)
        return _nothing()

    @app.get("/r/<link>")
    def open_link(link: str) -> Response:  # noqa: ARG001  the page is the same for every link
        return Response(PAGE, content_type="text/html; charset=utf-8")


def _identity_routes(app: Flask, relay: Relay) -> None:
    @app.put("/v1/identities/<id_>")
    def put_identity(id_: str) -> Response:
        caller = _caller(relay)
        return _json(identities.put(relay, forms.path_id(id_), request.get_data(), caller))

    @app.get("/v1/identities/<id_>")
    def get_identity(id_: str) -> Response:
        caller = _caller(relay)
        return Response(
            identities.read(relay, forms.path_id(id_), caller), content_type="text/jsonl"
        )

    @app.delete("/v1/identities/<id_>")
    def delete_identity(id_: str) -> Response:
        caller = _caller(relay)
        identities.delete(relay, forms.path_id(id_), caller)
        return _nothing()

    @app.get("/identities/<id_>/did.jsonl")
    def get_log(id_: str) -> Response:
        return _for_any_origin(identities.get(relay, forms.path_id(id_)), "text/jsonl")

    @app.get("/identities/<id_>/did-witness.json")
    def get_witness(id_: str) -> Response:
        return _for_any_origin(identities.get_witness(relay, forms.path_id(id_)), _JSON)


def _for_any_origin(octets: bytes, content_type: str) -> Response:
    response = Response(octets, content_type=content_type)
    # did:webvh 1.0, "Cross-Origin Resource Sharing": resolvers in browsers must be able to read,
    # and so must those who show an interface in one.
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _public_routes(app: Flask, relay: Relay) -> None:
    @app.get("/v1/relay")
    def get_relay() -> Response:
        with relay.store.read() as conn:
            ledger.check_key(conn, relay.log_key)
            origin = log.current(conn).origin
        info = RelayInfo(
            relay=relay.url,
            log_origin=origin,
            log_key=relay.log_key.verify_key,
            registration=relay.registration,
            time=relay.clock(),
            max_sealed=relay.limits.sealed,
        )
        return _json(info.to_json())

    @app.get("/v1/openapi.json")
    def get_openapi() -> Response:
        return _for_any_origin(canonicalize(document(relay.url)), _JSON)

    @app.get("/.well-known/did.json")
    def get_did() -> Response:
        with relay.store.read() as conn:
            ledger.check_key(conn, relay.log_key)
        mine = wellknown.document(relay.url, relay.log_key.verify_key)
        if mine is None:
            raise forms.not_found()
        response = _for_any_origin(canonicalize(mine), _JSON)
        # Not for a day: the key of the log can be another one.
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response

    @app.get("/contexts/v1")
    def get_context() -> Response:
        response = Response(context_bytes(PDS_V1), content_type="application/ld+json")
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response

    @app.get("/healthz")
    def healthz() -> Response:
        return _json({"status": "ok"})

    @app.get("/readyz")
    def readyz() -> Response:
        with relay.store.read() as conn:
            log.current(conn)
            ledger.check_key(conn, relay.log_key)
        return _json({"status": "ready"})
