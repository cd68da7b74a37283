"""What relay and clients share on the wire: ids, addresses, signed requests, manifests, problems.

Owner calls are signed as RFC 9421 says, through the library ``http-message-signatures``. The
library is a general one, so it is held tightly here: its Ed25519 is ours (``did.keys``), its clock
is ours, and what it has verified must then be *exactly* the one profile of the protocol. By itself
it would accept a signature without nonce, over fewer components, among several, and replayed.
It is loaded at the first signature, not at import: it takes longer to load than all of ours.

Nothing here keeps state or opens a connection. That a nonce is used once is for the caller to see
to, in the transaction that carries out the act.
"""

import base64
import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NoReturn, Self

from did.errors import DidError
from did.json import JsonObject, parse_object
from did.keys import SigningKey, VerifyKey
from did.multikey import b64url_decode, b64url_encode, check_multihash, multihash_sha256
from did.time import format_time, parse_time
from pds.errors import PdsError

SIGNATURE_LIFETIME = timedelta(seconds=60)
SKEW = timedelta(seconds=60)
MAX_INTEGER = 2**53 - 1
MAX_SEALED = 1_048_576 + 1_137
"""Bytes of the largest sealed object: the largest padding bucket and what a seal adds."""

_TAG = "pds/v1"
_LABEL = "sig"
_COMPONENTS = ("@method", "@target-uri", "content-digest", "pds-epoch")
_COVERED = (*(f'"{name}"' for name in _COMPONENTS), '"@signature-params"')
_PARAMETERS = {"created", "expires", "keyid", "nonce", "tag"}
_SIGNATURE_HEADERS = ("content-digest", "pds-epoch", "signature", "signature-input")
_SIGNATURE = re.compile(r"sig=:[A-Za-z0-9+/]{85}[AQgw]==:")
_MAX_SIGNATURE_INPUT = 512
_METHOD = re.compile(r"[A-Z]{3,7}")
_TARGET = re.compile(r"https?://[!-\"$-\[\]-~]{1,2000}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_ID = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::([1-9][0-9]{0,4}))?")
_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LOG_ORIGIN = re.compile(r"[a-z0-9.:\[\]-]{1,260}/log/[0-9a-f]{16}")
_DEFAULT_PORTS = {"http": "80", "https": "443"}

Random = Callable[[int], bytes]


class WireError(PdsError):
    """Something that is not as the protocol says.

    Codes: ``relay.unsigned`` and ``relay.signature`` for requests, ``relay.capability``,
    ``wire.id``, ``wire.relay_url``, ``wire.manifest``, ``wire.answer``, ``wire.relay_info``,
    ``wire.request`` for a call that cannot be signed as asked.
    """

    default_code = "wire.format"


# --- ids and addresses -----------------------------------------------------------------------


def new_id(random: Random = os.urandom) -> str:
    """128 random bits as base64url: 22 characters."""
    return b64url_encode(_random_bytes(random, 16))


def check_id(text: object) -> str:
    """Return the text if it is an id, in its one spelling; otherwise ``wire.id``."""
    # 22 characters carry 132 bits, so the last one has four values only.
    if not isinstance(text, str) or _ID.fullmatch(text) is None:
        raise WireError("an id is 128 bits in base64url: 22 characters", code="wire.id")
    return text


def parse_relay_url(text: object) -> str:
    """Return a relay's address if it is a canonical origin; otherwise ``wire.relay_url``.

    ``https://name`` or ``https://name:port``; plain ``http`` only on this machine (``localhost``
    and loopback addresses). Lower case, no user, path, trailing slash or default port. An address
    in numbers must be written in its usual form, so that a host has one spelling.

    *Not* checked: that the host is a public one. ``pds.net`` looks at the addresses themselves.
    """
    found = _ORIGIN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        _relay_url_refused()
    scheme, host, port = found.groups()
    if port is not None and (int(port) > 65535 or port == _DEFAULT_PORTS[scheme]):
        _relay_url_refused()
    loopback = _check_host(host)
    if scheme == "http" and not loopback:
        raise WireError(
            "a relay that is not on this machine is reached by https only", code="wire.relay_url"
        )
    return found.string


def _check_host(host: str) -> bool:
    """Refuse a host without its one spelling; return whether it is this machine."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        labels = host.split(".")
        # A name that ends in a number would be read as an address by some (WHATWG URL §3.5).
        numeric = labels[-1].isdigit() or re.fullmatch(r"0x[0-9a-f]*", labels[-1]) is not None
        if numeric or not all(_DNS_LABEL.fullmatch(label) for label in labels):
            _relay_url_refused()
        return host == "localhost"
    written = f"[{address}]" if address.version == 6 else str(address)
    if written != host:
        _relay_url_refused()
    return address.is_loopback


def _relay_url_refused() -> NoReturn:
    raise WireError(
        "a relay's address must be a canonical origin",
        code="wire.relay_url",
        hint="Write it like https://relay.example: lower case, no path and no slash at the end.",
    )


# --- signed requests -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequestSignature:
    """Who signed a request, and the nonce that must not have been seen before from this key."""

    key: VerifyKey
    did: str
    nonce: str
    created: datetime
    expires: datetime
    epoch: int


def content_digest(body: bytes) -> str:
    """The ``Content-Digest`` of a body (RFC 9530 §2), SHA-256."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def sign_request(
    key: SigningKey,
    *,
    method: str,
    url: str,
    body: bytes,
    epoch: int,
    created: datetime,
    nonce: str,
) -> dict[str, str]:
    """The four headers that make a request the act of ``key``'s owner.

    ``url`` is the relay's origin with path and query as they will be sent; ``epoch`` the writer
    epoch, 0 where no mailbox is concerned; ``created`` an aware time; ``nonce`` an id, used once.
    The signature ends 60 seconds after ``created``. Raises ``WireError``.
    """
    _check_request(method, url)
    if not 0 <= epoch <= MAX_INTEGER:
        raise WireError("the writer epoch is out of range", code="wire.request")
    if created.utcoffset() is None:
        raise WireError("the time of a signature needs a zone", code="wire.request")
    headers = {"Content-Digest": content_digest(body), "PDS-Epoch": str(epoch)}
    message = _Message(method=method, url=url, headers=headers)
    _library().signer(_OwnKey(secret=key)).sign(
        message,
        key_id=key.did,
        created=created,
        expires=created + SIGNATURE_LIFETIME,
        nonce=check_id(nonce),
        label=_LABEL,
        tag=_TAG,
        include_alg=False,
        covered_component_ids=_COMPONENTS,
        use_existing_digest=True,
    )
    return headers


def verify_request(
    *, method: str, url: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> RequestSignature:
    """Return who signed this request, if it carries exactly one signature of our profile.

    ``url`` is the relay's *configured* origin with the path and query that arrived, never a Host
    header; ``headers`` the fields that arrived, repeated ones joined or not; ``body`` all of it.

    Raises ``WireError``: ``relay.unsigned`` when there is no signature at all, otherwise
    ``relay.signature``, whatever is wrong. *Not* checked: whether the nonce is new, and whether
    the key owns anything. Costs about four Ed25519 verifications, most of it reading headers.
    """
    # 1. Each header that counts is there once, whatever the case of its name.
    fields: dict[str, str] = {}
    for name, value in headers.items():
        if (lower := name.lower()) in _SIGNATURE_HEADERS:
            if lower in fields:
                _signature_refused("a header of the signature comes twice")
            fields[lower] = value
    if "signature" not in fields and "signature-input" not in fields:
        raise WireError(
            "this call must be signed", code="relay.unsigned", hint="Sign it as RFC 9421 says."
        )
    if len(fields) != len(_SIGNATURE_HEADERS):
        _signature_refused("a header that the signature covers is missing")
    # 2. One signature, ours, in its one form; nothing long goes on to the parser.
    if (
        _SIGNATURE.fullmatch(fields["signature"]) is None
        or len(fields["signature-input"]) > _MAX_SIGNATURE_INPUT
    ):
        _signature_refused("there must be one Ed25519 signature with the label sig")
    # 3. The body is the one that was signed (RFC 9530 §2).
    if not hmac.compare_digest(fields["content-digest"].encode(), content_digest(body).encode()):
        _signature_refused("Content-Digest must be the SHA-256 of the body")
    # 4. The writer epoch is a number.
    if _NUMBER.fullmatch(fields["pds-epoch"]) is None:
        _signature_refused("PDS-Epoch must be a whole number")
    epoch = int(fields["pds-epoch"])
    if epoch > MAX_INTEGER:
        _signature_refused("PDS-Epoch is out of range")
    # 5. Method and target as they were signed (RFC 9421 §2.2.1, §2.2.2), and the signature.
    verifier = _library().verifier(_OwnKey())
    try:
        message = _Message(method=method, url=url, headers=fields)
        # Two results, or none, would be an error too. The label is known from step 2.
        (result,) = verifier.verify(message, max_age=None)
    except Exception:  # noqa: BLE001  a parser's bug must be a refusal, never an admission
        _signature_refused("the signature does not belong to this request")
    # 6. What was verified is our profile: all of it, and nothing else.
    if tuple(result.covered_components) != _COVERED:
        _signature_refused("the signature must cover method, target, digest and epoch")
    parameters: Mapping[str, Any] = result.parameters
    if parameters.keys() != _PARAMETERS:
        _signature_refused("created, expires, keyid, nonce and tag must be there, and no more")
    if parameters["tag"] != _TAG:
        _signature_refused("the signature is for another protocol")
    nonce = parameters["nonce"]
    if _ID.fullmatch(nonce) is None:
        _signature_refused("the nonce must be 128 bits in base64url")
    # 7. Its time is now, on our clock.
    created, expires = parameters["created"], parameters["expires"]
    if not 0 < expires - created <= SIGNATURE_LIFETIME.total_seconds():
        _signature_refused("a signature is valid for up to 60 seconds")
    at = now.timestamp()
    if abs(at - created) > SKEW.total_seconds() or at >= expires:
        _signature_refused(
            "the signature is too old, or from the future",
            hint="The clocks of this machine and the relay may differ.",
        )
    key = _key_of(parameters["keyid"])
    return RequestSignature(
        key=key,
        did=key.did,
        nonce=nonce,
        created=datetime.fromtimestamp(created, UTC),
        expires=datetime.fromtimestamp(expires, UTC),
        epoch=epoch,
    )


def _check_request(method: str, url: str) -> None:
    if _METHOD.fullmatch(method) is None or _TARGET.fullmatch(url) is None:
        raise WireError("method or target is not in its one spelling", code="wire.request")


def _signature_refused(message: str, *, hint: str = "") -> NoReturn:
    raise WireError(message, code="relay.signature", hint=hint) from None


def _key_of(did: str) -> VerifyKey:
    """The key of a did:key, without a fragment. Raises ``KeyFormatError``."""
    return VerifyKey.from_multikey(did.removeprefix("did:key:") if did[:8] == "did:key:" else "")


@dataclass(slots=True)
class _Message:
    """A request in the shape that the library asks for."""

    method: str
    url: str
    headers: dict[str, str]


class _Components:
    """The values of the four components; the library's own resolver knows many more.

    ``@target-uri`` is taken as it is: both sides say it in the same spelling.
    """

    def __init__(self, message: _Message) -> None:
        headers = {name.lower(): value for name, value in message.headers.items()}
        self._values = {
            "@method": message.method,
            "@target-uri": message.url,
            "content-digest": headers["content-digest"],
            "pds-epoch": headers["pds-epoch"],
        }

    def resolve(self, component: Any) -> str:
        # A component with parameters is not one of ours; step 6 sees that.
        return self._values[component.value]


@dataclass(frozen=True, slots=True)
class _OwnKey:
    """Hands the library our keys: the secret one to sign, the keyid's own to verify."""

    secret: SigningKey | None = None

    def resolve_private_key(self, _key_id: str) -> SigningKey | None:
        return self.secret

    def resolve_public_key(self, key_id: str) -> VerifyKey:
        return _key_of(key_id)


@dataclass(frozen=True, slots=True)
class _Library:
    signer: Callable[[_OwnKey], Any]
    verifier: Callable[[_OwnKey], Any]


@lru_cache(maxsize=1)
def _library() -> _Library:
    import http_message_signatures as library

    class Ed25519(library.HTTPSignatureAlgorithm):  # type: ignore[misc]
        """RFC 9421 §3.3.6, by the one verifier of this project."""

        algorithm_id = "ed25519"

        def __init__(self, public_key: Any = None, private_key: Any = None) -> None:
            self._public, self._private = public_key, private_key

        def sign(self, message: bytes) -> bytes:
            signature: bytes = self._private.sign(message)
            return signature

        def verify(self, signature: bytes, message: bytes) -> None:
            self._public.verify(signature, message)

    class Verifier(library.HTTPMessageVerifier):  # type: ignore[misc]
        def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
            """The library reads the system's clock here; step 7 uses the caller's."""

    def signer(key: _OwnKey) -> Any:
        return library.HTTPMessageSigner(
            signature_algorithm=Ed25519, key_resolver=key, component_resolver_class=_Components
        )

    def verifier(key: _OwnKey) -> Any:
        return Verifier(
            signature_algorithm=Ed25519, key_resolver=key, component_resolver_class=_Components
        )

    return _Library(signer=signer, verifier=verifier)


# --- capabilities ----------------------------------------------------------------------------


def new_capability(random: Random = os.urandom) -> str:
    """256 random bits as base64url: whoever has it may deposit. The relay keeps the hash only."""
    return b64url_encode(_random_bytes(random, 32))


def capability_hash(secret: str) -> str:
    """The multihash (``uEi…``) of a capability's 32 bytes. Raises ``relay.capability``."""
    try:
        raw = b64url_decode(secret)
    except DidError:
        raw = b""
    if len(raw) != 32:
        raise WireError("a capability has 256 bits in base64url", code="relay.capability")
    return multihash_sha256(raw)


def _random_bytes(random: Random, count: int) -> bytes:
    raw = random(count)
    if len(raw) != count:
        raise WireError("the source of randomness gave too few bytes")
    return raw


# --- manifests, answers, the relay's description ----------------------------------------------


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a relay may know of a package: which ticket, which version, how large, until when.

    ``ticket`` is the ticket's digest and ``sha256`` the multihash of the sealed bytes, ``size``
    their number. Signing and verifying the proof is the caller's (``credentials.proof``).
    """

    package: str
    seq: int
    ticket: str
    sha256: str
    size: int
    not_after: datetime

    @classmethod
    def parse(cls, raw: JsonObject) -> Self:
        """Read a manifest with or without its proof; anything else is ``wire.manifest``."""
        members = {name: value for name, value in raw.items() if name != "proof"}
        try:
            if members.keys() != _MANIFEST_MEMBERS or members["type"] != "Manifest":
                raise ValueError
            return cls(
                package=check_id(members["package"]),
                seq=_integer(members["seq"], least=1),
                ticket=_digest(members["ticket"]),
                sha256=_digest(members["sha256"]),
                size=_integer(members["size"], least=1),
                not_after=parse_time(_text(members["notAfter"])),
            )
        except (ValueError, PdsError, DidError):
            raise WireError("this is not a manifest", code="wire.manifest") from None

    def to_json(self) -> JsonObject:
        """The object to be signed."""
        return {
            "type": "Manifest",
            "package": self.package,
            "seq": self.seq,
            "ticket": self.ticket,
            "sha256": self.sha256,
            "size": self.size,
            "notAfter": format_time(self.not_after),
        }

    def check_sealed(self, sealed: bytes) -> None:
        """Return if these are the bytes that the manifest speaks of; else ``wire.manifest``."""
        if len(sealed) != self.size or multihash_sha256(sealed) != self.sha256:
            raise WireError("the sealed bytes are not the manifest's", code="wire.manifest")


_MANIFEST_MEMBERS = {"type", "package", "seq", "ticket", "sha256", "size", "notAfter"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a redemption yields. ``manifest`` and ``receipt`` are *unverified*; ``raw`` is what
    arrived, so that the same answer can be recognised."""

    manifest: JsonObject
    sealed: bytes = field(repr=False)
    receipt: JsonObject
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read ``{"manifest", "sealed", "receipt"}``; anything else is ``wire.answer``.

        Sealed bytes that are not those of the manifest are refused too.
        """
        try:
            members = parse_object(raw, max_bytes=2 * MAX_SEALED)
            if members.keys() != {"manifest", "sealed", "receipt"}:
                raise ValueError
            manifest, receipt = members["manifest"], members["receipt"]
            if not isinstance(manifest, dict) or not isinstance(receipt, dict):
                raise ValueError
            sealed = b64url_decode(_text(members["sealed"]))
            Manifest.parse(manifest).check_sealed(sealed)
        except (ValueError, PdsError, DidError):
            raise WireError("this is not the answer to a redemption", code="wire.answer") from None
        return cls(manifest=manifest, sealed=sealed, receipt=receipt, raw=raw)


@dataclass(frozen=True, slots=True)
class RelayInfo:
    """How a relay describes itself: its address, its log, its registration, its clock."""

    relay: str
    log_origin: str
    log_key: VerifyKey
    registration: str
    time: datetime

    @classmethod
    def parse(cls, raw: JsonObject, *, expected_relay: str | None) -> Self:
        """Read ``GET /v1/relay``; anything else, or another relay's, is ``wire.relay_info``."""
        try:
            if raw.keys() != {"relay", "logOrigin", "logKey", "registration", "time"}:
                raise ValueError
            info = cls(
                relay=parse_relay_url(raw["relay"]),
                log_origin=_text(raw["logOrigin"]),
                log_key=VerifyKey.from_multikey(_text(raw["logKey"])),
                registration=_text(raw["registration"]),
                time=parse_time(_text(raw["time"])),
            )
            # The origin is a line and a name in signed notes: {host}/log/{8 bytes hex}.
            if _LOG_ORIGIN.fullmatch(info.log_origin) is None:
                raise ValueError
            if info.registration not in ("open", "token"):
                raise ValueError
        except (ValueError, PdsError, DidError):
            raise WireError("this does not describe a relay", code="wire.relay_info") from None
        if expected_relay is not None and info.relay != expected_relay:
            raise WireError(
                "the relay says that it has another address",
                code="wire.relay_info",
                hint="Use the address that the relay itself gives.",
            )
        return info

    def to_json(self) -> JsonObject:
        """The form that ``parse`` reads."""
        return {
            "relay": self.relay,
            "logOrigin": self.log_origin,
            "logKey": self.log_key.multikey,
            "registration": self.registration,
            "time": format_time(self.time),
        }


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _integer(value: object, *, least: int) -> int:
    # A bool is an int in Python, and 1 == True.
    if type(value) is not int or not least <= value <= MAX_INTEGER:
        raise ValueError
    return value


def _digest(value: object) -> str:
    text = _text(value)
    check_multihash(text)
    return text


# --- problems --------------------------------------------------------------------------------


class RelayCode(StrEnum):
    """Every reason that a relay gives for a refusal."""

    MALFORMED = "relay.malformed"
    PROOF_INVALID = "relay.proof_invalid"
    CHALLENGE = "relay.challenge"
    WRONG_RELAY = "relay.wrong_relay"
    REPLAYED = "relay.replayed"
    ENDED = "relay.ended"
    NOT_FOUND = "relay.not_found"
    TICKET_UNKNOWN = "relay.ticket_unknown"
    WRONG_KEY = "relay.wrong_key"
    GRANT_MISMATCH = "relay.grant_mismatch"
    NOT_YET_VALID = "relay.not_yet_valid"
    EXPIRED = "relay.expired"
    STATUS_STALE = "relay.status_stale"
    WITHDRAWN = "relay.withdrawn"
    SUSPENDED = "relay.suspended"
    USED_UP = "relay.used_up"
    TOO_SOON = "relay.too_soon"
    UNSIGNED = "relay.unsigned"
    SIGNATURE = "relay.signature"
    CONFLICT = "relay.conflict"
    SEQ = "relay.seq"
    EPOCH_SUPERSEDED = "relay.epoch_superseded"
    SEQUENCE = "relay.sequence"
    BITS_CLEARED = "relay.bits_cleared"
    CAPABILITY = "relay.capability"
    QUOTA = "relay.quota"
    TOO_LARGE = "relay.too_large"
    TOKEN = "relay.token"  # noqa: S105  a code, not a secret
    RATE = "relay.rate"
    BUSY = "relay.busy"


_PROBLEMS: Final[dict[RelayCode, tuple[int, str]]] = {
    RelayCode.MALFORMED: (400, "The request is not as the protocol says."),
    RelayCode.PROOF_INVALID: (403, "The proof of the presentation is not valid here and now."),
    RelayCode.CHALLENGE: (403, "The challenge is not this relay's, or is over."),
    RelayCode.WRONG_RELAY: (403, "The ticket is for another relay."),
    RelayCode.REPLAYED: (409, "This was already presented."),
    RelayCode.ENDED: (410, "This has ended."),
    RelayCode.NOT_FOUND: (404, "There is nothing here for this caller."),
    RelayCode.TICKET_UNKNOWN: (403, "This ticket was not registered for the package."),
    RelayCode.WRONG_KEY: (403, "The ticket is for another key."),
    RelayCode.GRANT_MISMATCH: (403, "The presentation names another grant than the ticket."),
    RelayCode.NOT_YET_VALID: (403, "The ticket is not valid yet."),
    RelayCode.EXPIRED: (403, "The ticket is over."),
    RelayCode.STATUS_STALE: (403, "There is no status list that is still valid."),
    RelayCode.WITHDRAWN: (410, "The grant was withdrawn."),
    RelayCode.SUSPENDED: (403, "The package waits for its owner to stage it again."),
    RelayCode.USED_UP: (403, "The ticket has no uses left."),
    RelayCode.TOO_SOON: (429, "The interval since the last use is not over."),
    RelayCode.UNSIGNED: (401, "This call must be signed."),
    RelayCode.SIGNATURE: (401, "The signature is not valid for this call, here and now."),
    RelayCode.CONFLICT: (409, "This id is already in use for something else."),
    RelayCode.SEQ: (409, "The version of a package must be exactly one more than the last."),
    RelayCode.EPOCH_SUPERSEDED: (409, "Another writer has taken over with a later epoch."),
    RelayCode.SEQUENCE: (409, "The sequence of a status list must rise."),
    RelayCode.BITS_CLEARED: (409, "What a status list has revoked stays revoked."),
    RelayCode.CAPABILITY: (403, "The capability does not allow this."),
    RelayCode.QUOTA: (429, "The quota is used up."),
    RelayCode.TOO_LARGE: (413, "This is larger than the relay accepts."),
    RelayCode.TOKEN: (403, "Registration at this relay needs a token."),
    RelayCode.RATE: (429, "There were too many calls; try again later."),
    RelayCode.BUSY: (503, "The relay is busy; try again later."),
}

HTTP_STATUS: Final[Mapping[RelayCode, int]] = MappingProxyType(
    {code: status for code, (status, _) in _PROBLEMS.items()}
)
TITLES: Final[Mapping[RelayCode, str]] = MappingProxyType(
    {code: title for code, (_, title) in _PROBLEMS.items()}
)


def problem(code: RelayCode, *, title: str | None = None) -> JsonObject:
    """Problem details (RFC 9457 §3) for a refusal. ``title`` must hold nothing of the input.

    The type is ``about:blank``: what a program goes by is ``code``.
    """
    return {
        "type": "about:blank",
        "title": TITLES[code] if title is None else title,
        "status": HTTP_STATUS[code],
        "code": code.value,
    }
