"""Signed requests: RFC 9421 in the one profile of the protocol.

The library behind it accepts more than that: a signature without nonce, over fewer components,
among several, or replayed. So what it has verified must then be *exactly* our profile.

Nothing here keeps state. That a nonce is used once is for the caller to see to, in the
transaction that carries out the act.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from did.json import MAX_INTEGER
from did.keys import SigningKey, VerifyKey
from pds.wire.codes import WireError
from pds.wire.ids import ID, check_id
from pds.wire.library import Message, OwnKey, key_of, library

SIGNATURE_LIFETIME = timedelta(seconds=60)
SKEW = timedelta(seconds=60)

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
    message = Message(method=method, url=url, headers=headers)
    library().signer(OwnKey(secret=key)).sign(
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
    digest = fields["content-digest"].encode(errors="replace")  # it may not even be text
    if not hmac.compare_digest(digest, content_digest(body).encode()):
        _signature_refused("Content-Digest must be the SHA-256 of the body")
    # 4. The writer epoch is a number.
    if _NUMBER.fullmatch(fields["pds-epoch"]) is None:
        _signature_refused("PDS-Epoch must be a whole number")
    epoch = int(fields["pds-epoch"])
    if epoch > MAX_INTEGER:
        _signature_refused("PDS-Epoch is out of range")
    # 5. Method and target as they were signed (RFC 9421 §2.2.1, §2.2.2), and the signature.
    verifier = library().verifier(OwnKey())
    try:
        message = Message(method=method, url=url, headers=fields)
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
    if ID.fullmatch(nonce) is None:
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
    key = key_of(parameters["keyid"])
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
