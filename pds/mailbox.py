"""A relay, seen from a client that does not trust it.

``RelayClient`` holds what anyone may call, ``OwnedMailbox`` what only the owner's key may. Every
answer is bounded, read as strict JSON and checked in shape before anything of it is handed on; a
relay can refuse or be silent, but not hand in something that another part then trips over.

What is *not* checked here: signatures and log proofs. Receipts, manifests, presentations, status
lists and stamps come back as they arrived, and are for the caller to verify. Of a receipt it is
checked that it speaks of what was just done.

    RelayError          the relay refused: ``code`` is one of ``wire.RelayCode``
    RelayUnreachable    relay.unreachable   nothing came back; exit code 4
    RelayNonsense       relay.nonsense      what came back is not an answer of the protocol
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, NoReturn, Protocol

from did.errors import DidError
from did.json import Json, JsonObject, canonicalize, digest, parse_object
from did.keys import SigningKey
from did.multikey import b64url_decode, b64url_encode, check_multihash, multihash_sha256
from did.time import format_time, parse_time
from pds.errors import PdsError
from pds.log import Receipt
from pds.wire import (
    HTTP_STATUS,
    MAX_INTEGER,
    MAX_SEALED,
    TITLES,
    Answer,
    Manifest,
    RelayCode,
    RelayInfo,
    check_id,
    new_id,
    parse_relay_url,
    sign_request,
)

MAX_SMALL = 65_536
MAX_STATUS_LIST = 1_048_576
MAX_ANSWER = 2 * MAX_SEALED
MAX_PAGE = 8 * 1_048_576
MAX_PAGE_ENTRIES = 1_000
MAX_LIST_ENTRIES = 100_000

_MAX_PROBLEM = 16_384
_MAX_PROOF = 64
_CHALLENGE = re.compile(r"[!-~]{16,512}")
_SECONDS = re.compile(r"[0-9]{1,9}")
_AGAIN_LATER = frozenset(
    {RelayCode.BUSY, RelayCode.RATE, RelayCode.TOO_SOON, RelayCode.QUOTA, RelayCode.SUSPENDED}
)
# What the server in front of a relay says before the relay sees a request.
_FRONT = {"front.too_large": RelayCode.TOO_LARGE, "front.busy": RelayCode.BUSY}
_GATEWAY = frozenset({502, 503, 504})
# A transport's own refusals that speak of the answer, not of the way to it.
_BAD_ANSWER = frozenset({"net.too_large", "net.redirect", "net.encoding"})
_DONE = frozenset({200, 201})

Random = Callable[[int], bytes]
Clock = Callable[[], datetime]


class Response(Protocol):
    """What a transport gives back; header names in lower case."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Transport(Protocol):
    """How requests are sent. It bounds size and time, and follows no redirect.

    A failure is an ``OSError``, or a ``PdsError`` with exit code 4 where trying again may help.
    """

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes
    ) -> Response: ...


class RelayError(PdsError):
    """The relay refused. ``retry_after`` is in seconds, when the relay said so."""

    def __init__(self, code: RelayCode, *, status: int, retry_after: int | None = None) -> None:
        # The sentence is ours: the relay's own words are not shown to anyone.
        super().__init__(
            TITLES[code],
            code=code.value,
            hint="Try again later." if code in _AGAIN_LATER else "",
            exit_code=4 if code in _AGAIN_LATER else 1,
        )
        self.reason = code
        self.status = status
        self.retry_after = retry_after


class RelayUnreachable(PdsError):
    """Nothing came back. Whether the call was carried out is unknown; it can be repeated."""

    default_code: ClassVar[str] = "relay.unreachable"
    exit_code = 4


class RelayNonsense(PdsError):
    """What came back is not what the protocol says. Do not act on it."""

    default_code: ClassVar[str] = "relay.nonsense"


@dataclass(frozen=True, slots=True)
class PackageState:
    """A package as a mailbox lists it."""

    package: str
    seq: int
    uses: int
    ended: bool


@dataclass(frozen=True, slots=True)
class ListState:
    """A status list as a mailbox lists it."""

    list: str
    sequence: int


@dataclass(frozen=True, slots=True)
class MailboxInfo:
    """What a relay holds for one mailbox. Claims of the relay; used after a restore."""

    mailbox: str
    epoch: int
    packages: tuple[PackageState, ...]
    lists: tuple[ListState, ...]


@dataclass(frozen=True, slots=True)
class StagedPackage:
    """What a relay holds for one package; ``manifest`` and ``ticket`` are unverified.

    Of an ended package they may be gone.
    """

    manifest: JsonObject | None
    ticket: JsonObject | None
    uses: int
    ended: bool


class RelayClient:
    """One relay. ``clock`` dates signatures; ``random`` makes their nonces."""

    def __init__(
        self,
        relay: str,
        transport: Transport,
        *,
        clock: Clock,
        random: Random = os.urandom,
    ) -> None:
        self.relay = parse_relay_url(relay)
        self._transport = transport
        self._clock = clock
        self._random = random

    # --- what anyone may call ---

    def info(self) -> RelayInfo:
        """The relay's description of itself, for this very address.

        ``time`` is its clock: who signs compares it with their own first.
        """
        raw = self._json("GET", "/v1/relay", {200}, limit=MAX_SMALL)
        with _shape():
            return RelayInfo.parse(raw, expected_relay=self.relay)

    def deposit(self, mailbox: str, capability: str, octets: bytes) -> JsonObject:
        """Put sealed octets into somebody's mailbox; returns the receipt (``deposit``)."""
        raw = self._json(
            "POST",
            f"/v1/mailboxes/{check_id(mailbox)}/envelopes",
            _DONE,
            body=octets,
            headers={
                "Authorization": f"Bearer {capability}",
                "Content-Type": "application/octet-stream",
            },
        )
        return self.receipt(
            raw,
            type="deposit",
            mailbox=mailbox,
            sha256=multihash_sha256(octets),
            size=len(octets),
        )

    def challenge(self) -> str:
        """A fresh challenge for a redemption; it lasts about two minutes."""
        raw = self._json("GET", "/v1/challenge", {200})
        with _shape():
            _members(raw, {"challenge", "expires"})
            parse_time(_text(raw["expires"]))
            challenge = _text(raw["challenge"])
            if _CHALLENGE.fullmatch(challenge) is None:
                raise ValueError
            return challenge

    def redeem(self, presentation: JsonObject) -> Answer:
        """Present a signed presentation. Store its digest first: with it the answer can be
        fetched again (``recover``) when this call breaks off."""
        body = canonicalize({"presentation": presentation})
        response = self._call("POST", "/v1/redemptions", {200}, body=body, limit=MAX_ANSWER)
        return self._answer(response.body, redemption=digest(presentation))

    def recover(self, redemption: str, key: SigningKey) -> Answer:
        """The answer to a redemption once more, uncounted. ``redemption`` is its digest."""
        path = f"/v1/redemptions/{_checked_digest(redemption)}"
        response = self._call("GET", path, {200}, signed=(key, 0), limit=MAX_ANSWER)
        return self._answer(response.body, redemption=redemption)

    def acknowledge(self, redemption: str, key: SigningKey) -> None:
        """Tell the relay that the answer has arrived: it forgets it."""
        path = f"/v1/redemptions/{_checked_digest(redemption)}"
        self._call("DELETE", path, {204}, signed=(key, 0))

    def status(self, list_url: str) -> tuple[bytes, JsonObject | None]:
        """A status list of this relay, and the relay's stamp on it if there is one.

        Both unverified. A URL at another relay is a mistake of the caller: ``wire.relay_url``.
        """
        prefix = f"{self.relay}/v1/status/"
        if not list_url.startswith(prefix):
            raise PdsError("the status list is at another relay", code="wire.relay_url")
        path = f"/v1/status/{check_id(list_url.removeprefix(prefix))}"
        response = self._call("GET", path, {200}, limit=MAX_STATUS_LIST)
        stamp = response.headers.get("pds-stamp")
        if stamp is None:
            return response.body, None
        with _shape():
            return response.body, parse_object(b64url_decode(stamp), max_bytes=_MAX_PROBLEM)

    def request(self, request_id: str) -> bytes:
        """The locked request behind a link."""
        path = f"/v1/requests/{check_id(request_id)}"
        return self._call("GET", path, {200}, limit=MAX_SEALED).body

    def checkpoint(self) -> str:
        """The newest checkpoint of the relay's log: a signed note, unverified."""
        response = self._call("GET", "/v1/log/checkpoint", {200})
        with _shape():
            return response.body.decode()

    def consistency(self, first: int, second: int) -> list[bytes]:
        """The proof that the log of size ``first`` is the beginning of that of ``second``."""
        path = f"/v1/log/consistency?first={int(first)}&second={int(second)}"
        raw = self._json("GET", path, {200})
        with _shape():
            _members(raw, {"proof"})
            return _hashes(raw["proof"])

    def owner(self, mailbox: str, key: SigningKey, epoch: int) -> "OwnedMailbox":
        """The calls of a mailbox's owner; ``epoch`` is the writer epoch."""
        return OwnedMailbox(self, check_id(mailbox), key, epoch)

    # --- what the two classes share ---

    def receipt(self, raw: JsonObject, **expected: Json) -> JsonObject:
        """Return a receipt whose form is right and whose entry says what is expected.

        Its proof is *not* verified: ``pds.log.verify_receipt`` does that.
        """
        with _shape():
            entry = Receipt.parse(raw).entry
            parse_time(_text(entry.get("at")))
            for name, value in ({"relay": self.relay} | expected).items():
                if type(entry.get(name)) is not type(value) or entry[name] != value:
                    raise ValueError
        return raw

    def _answer(self, raw: bytes, *, redemption: str) -> Answer:
        with _shape():
            answer = Answer.parse(raw)
            manifest = Manifest.parse(answer.manifest)
        self.receipt(
            answer.receipt,
            type="redemption",
            redemption=redemption,
            package=manifest.package,
            seq=manifest.seq,
            sha256=manifest.sha256,
        )
        return answer

    def _json(
        self,
        method: str,
        path: str,
        statuses: Collection[int],
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        signed: tuple[SigningKey, int] | None = None,
        limit: int = MAX_SMALL,
    ) -> JsonObject:
        response = self._call(
            method, path, statuses, body=body, headers=headers, signed=signed, limit=limit
        )
        with _shape():
            return parse_object(response.body, max_bytes=limit)

    def _call(
        self,
        method: str,
        path: str,
        statuses: Collection[int],
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        signed: tuple[SigningKey, int] | None = None,
        limit: int = MAX_SMALL,
    ) -> Response:
        """One call. Returns a response with one of the statuses, within the limit, or raises."""
        url = self.relay + path
        fields = dict(headers or {})
        if body:
            fields.setdefault("Content-Type", "application/json")
        if signed is not None:
            key, epoch = signed
            fields |= sign_request(
                key,
                method=method,
                url=url,
                body=body,
                epoch=epoch,
                created=self._clock(),
                nonce=new_id(self._random),
            )
        try:
            response = self._transport.request(method, url, headers=fields, body=body)
        except OSError as error:
            raise _unreachable() from error
        except PdsError as error:
            if error.code in _BAD_ANSWER:
                _nonsense(error)
            if error.exit_code == 4:
                raise _unreachable() from error
            raise
        if response.status not in statuses:
            _refused(response)
        if len(response.body) > limit:
            _nonsense()
        return response


@dataclass(frozen=True, slots=True)
class OwnedMailbox:
    """What the owner of a mailbox may call. Every call can be repeated."""

    client: RelayClient
    mailbox: str
    key: SigningKey
    epoch: int
    _path: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_path", f"/v1/mailboxes/{self.mailbox}")

    # --- the mailbox ---

    def create(self, token: str | None = None) -> None:
        """Make the mailbox, or find it made. ``token`` where registration needs one."""
        raw = self._json("PUT", self._path, _DONE, {} if token is None else {"token": token})
        with _shape():
            if raw.get("mailbox") != self.mailbox:
                raise ValueError

    def info(self) -> MailboxInfo:
        """What the relay holds for this mailbox."""
        raw = self._json("GET", self._path, {200}, limit=MAX_PAGE)
        with _shape():
            _members(raw, {"mailbox", "epoch", "packages", "lists"})
            if raw["mailbox"] != self.mailbox:
                raise ValueError
            packages = _objects(raw["packages"], {"package", "seq", "uses", "ended"})
            lists = _objects(raw["lists"], {"list", "sequence"})
            return MailboxInfo(
                mailbox=self.mailbox,
                epoch=_number(raw["epoch"]),
                packages=tuple(
                    PackageState(
                        package=check_id(one["package"]),
                        seq=_number(one["seq"]),
                        uses=_number(one["uses"]),
                        ended=_flag(one["ended"]),
                    )
                    for one in packages
                ),
                lists=tuple(
                    ListState(list=check_id(one["list"]), sequence=_number(one["sequence"]))
                    for one in lists
                ),
            )

    def delete(self) -> None:
        """End the mailbox with its packages, envelopes and capabilities."""
        self._call("DELETE", self._path, {204})

    # --- capabilities and envelopes ---

    def put_capability(
        self, capability: str, hash_: str, max_envelopes: int, max_bytes: int, expires: datetime
    ) -> None:
        """Let whoever has the secret deposit. ``hash_`` is ``wire.capability_hash`` of it."""
        self._call(
            "PUT",
            f"{self._path}/capabilities/{check_id(capability)}",
            {200, 201, 204},
            {
                "hash": hash_,
                "maxEnvelopes": max_envelopes,
                "maxBytes": max_bytes,
                "expires": format_time(expires),
            },
        )

    def delete_capability(self, capability: str) -> None:
        """Take a capability back."""
        self._call("DELETE", f"{self._path}/capabilities/{check_id(capability)}", {204})

    def envelopes(self, after: int = 0) -> tuple[list[tuple[int, bytes]], bool]:
        """The envelopes beyond an ordinal, in order, and whether there are more."""
        path = f"{self._path}/envelopes?after={int(after)}"
        raw = self._json("GET", path, {200}, limit=MAX_PAGE)
        with _shape():
            _members(raw, {"envelopes", "more"})
            found: list[tuple[int, bytes]] = []
            for one in _objects(raw["envelopes"], {"ordinal", "sealed"}, most=MAX_PAGE_ENTRIES):
                after = _rising(one["ordinal"], after)
                found.append((after, b64url_decode(_text(one["sealed"]))))
            return found, _more(raw["more"], found)

    def delete_envelope(self, ordinal: int) -> None:
        """Acknowledge an envelope: the relay forgets it."""
        self._call("DELETE", f"{self._path}/envelopes/{int(ordinal)}", {204})

    # --- packages ---

    def put_package(
        self, package: str, *, ticket: JsonObject, manifest: JsonObject, sealed: bytes
    ) -> JsonObject:
        """Stage a package, or its next version; returns the receipt (``staging``).

        The arguments must fit one another: ``wire.manifest`` otherwise, before anything is sent.
        """
        terms = Manifest.parse(manifest)
        terms.check_sealed(sealed)
        raw = self._json(
            "PUT",
            f"/v1/packages/{check_id(package)}",
            _DONE,
            {
                "mailbox": self.mailbox,
                "ticket": ticket,
                "manifest": manifest,
                "sealed": b64url_encode(sealed),
            },
        )
        return self.client.receipt(
            raw,
            type="staging",
            package=package,
            seq=terms.seq,
            ticket=terms.ticket,
            sha256=terms.sha256,
            size=terms.size,
        )

    def package(self, package: str) -> StagedPackage:
        """What the relay holds for a package."""
        raw = self._json("GET", f"/v1/packages/{check_id(package)}", {200}, limit=MAX_SMALL)
        with _shape():
            ended = _flag(raw.get("ended"))
            gone: JsonObject = {"manifest": None, "ticket": None} if ended else {}
            raw = gone | raw
            _members(raw, {"manifest", "ticket", "uses", "ended"})
            manifest, ticket = (
                None if ended and raw[name] is None else _object(raw[name])
                for name in ("manifest", "ticket")
            )
            if manifest is not None and Manifest.parse(manifest).package != package:
                raise ValueError
            return StagedPackage(manifest, ticket, uses=_number(raw["uses"]), ended=ended)

    def end_package(self, package: str) -> JsonObject:
        """End a package for good; returns the receipt (``end``), the same one each time."""
        raw = self._json("DELETE", f"/v1/packages/{check_id(package)}", _DONE)
        return self.client.receipt(raw, type="end", package=package)

    def events(self, package: str, after: int = 0) -> tuple[list[JsonObject], bool]:
        """Redemptions and refusals beyond an ordinal, in order, and whether there are more.

        Each is ``{ordinal, receipt, presentation?}``, unverified but for its form.
        """
        path = f"/v1/packages/{check_id(package)}/events?after={int(after)}"
        raw = self._json("GET", path, {200}, limit=MAX_PAGE)
        with _shape():
            _members(raw, {"events", "more"})
            found = _list(raw["events"], most=MAX_PAGE_ENTRIES)
            events: list[JsonObject] = []
            for one in found:
                event = _object(one)
                if not {"ordinal", "receipt"} <= event.keys() <= _EVENT_MEMBERS:
                    raise ValueError
                if "presentation" in event:
                    _object(event["presentation"])
                after = _rising(event["ordinal"], after)
                receipt = self.client.receipt(
                    _object(event["receipt"]), package=package, ordinal=after
                )
                if _object(receipt["entry"]).get("type") not in ("redemption", "refusal"):
                    raise ValueError
                events.append(event)
            return events, _more(raw["more"], events)

    def erase_presentations(self, package: str, through: int) -> None:
        """Have the presentations of the events up to an ordinal erased, after keeping them."""
        path = f"/v1/packages/{check_id(package)}/events?through={int(through)}"
        self._call("DELETE", path, {204})

    # --- status lists and requests ---

    def put_status(self, status_list: str, credential: JsonObject) -> JsonObject:
        """Publish a signed status list; returns the receipt (``status``)."""
        raw = self._json(
            "PUT",
            f"/v1/status/{check_id(status_list)}",
            _DONE,
            {"mailbox": self.mailbox, "credential": credential},
        )
        return self.client.receipt(raw, type="status", digest=digest(credential))

    def put_request(self, request_id: str, sealed: bytes, expires: datetime) -> None:
        """Leave a locked request for whoever gets its link."""
        self._call(
            "PUT",
            f"/v1/requests/{check_id(request_id)}",
            {200, 201, 204},
            {
                "mailbox": self.mailbox,
                "sealed": b64url_encode(sealed),
                "expires": format_time(expires),
            },
        )

    def delete_request(self, request_id: str) -> None:
        """Take a request back."""
        self._call("DELETE", f"/v1/requests/{check_id(request_id)}", {204})

    def _json(
        self,
        method: str,
        path: str,
        statuses: Collection[int],
        body: JsonObject | None = None,
        *,
        limit: int = MAX_SMALL,
    ) -> JsonObject:
        octets = b"" if body is None else canonicalize(body)
        return self.client._json(
            method, path, statuses, body=octets, signed=(self.key, self.epoch), limit=limit
        )

    def _call(
        self, method: str, path: str, statuses: Collection[int], body: JsonObject | None = None
    ) -> None:
        octets = b"" if body is None else canonicalize(body)
        self.client._call(method, path, statuses, body=octets, signed=(self.key, self.epoch))


_EVENT_MEMBERS = {"ordinal", "receipt", "presentation"}


# --- reading what a stranger sent ------------------------------------------------------------


@contextmanager
def _shape() -> Iterator[None]:
    """Whatever is not as it should be in here is the relay's nonsense."""
    try:
        yield
    except (ValueError, DidError) as error:
        _nonsense(error)
    except PdsError as error:
        if isinstance(error, RelayError | RelayUnreachable | RelayNonsense):
            raise
        _nonsense(error)


def _refused(response: Response) -> NoReturn:
    """Raise what the relay's refusal means, if it is a well-formed one (RFC 9457)."""
    try:
        raw = parse_object(response.body, max_bytes=_MAX_PROBLEM)
        name = _text(raw.get("code"))
        code = _FRONT.get(name) or RelayCode(name)
        if raw.get("status") != response.status or response.status != HTTP_STATUS[code]:
            raise ValueError
    except (ValueError, DidError) as error:
        if response.status in _GATEWAY:
            raise _unreachable() from error
        _nonsense(error)
    after = response.headers.get("retry-after", "")
    raise RelayError(
        code,
        status=response.status,
        retry_after=int(after) if _SECONDS.fullmatch(after) else None,
    )


def _nonsense(cause: BaseException | None = None) -> NoReturn:
    raise RelayNonsense(
        "the relay's answer is not one of the protocol",
        hint="Is this the address of a relay, of a version that this program knows?",
    ) from cause


def _unreachable() -> RelayUnreachable:
    return RelayUnreachable(
        "the relay cannot be reached",
        hint="Is it running, and is this machine online? Try again later.",
    )


def _checked_digest(text: str) -> str:
    check_multihash(text)
    return text


def _members(value: JsonObject, names: set[str]) -> None:
    if value.keys() != names:
        raise ValueError


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _number(value: Json) -> int:
    # A bool is an int in Python.
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise ValueError
    return value


def _rising(value: Json, after: int) -> int:
    number = _number(value)
    if number <= after:
        raise ValueError
    return number


def _more(value: Json, found: Collection[object]) -> bool:
    # "More" after an empty page would have a caller ask for ever.
    more = _flag(value)
    if more and not found:
        raise ValueError
    return more


def _object(value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise ValueError
    return value


def _list(value: Json, *, most: int) -> list[Json]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError
    return value


def _objects(value: Json, names: set[str], *, most: int = MAX_LIST_ENTRIES) -> list[JsonObject]:
    found = [_object(one) for one in _list(value, most=most)]
    for one in found:
        _members(one, names)
    return found


def _hashes(value: Json) -> list[bytes]:
    hashes = [b64url_decode(_text(one)) for one in _list(value, most=_MAX_PROOF)]
    if any(len(one) != 32 for one in hashes):
        raise ValueError
    return hashes
