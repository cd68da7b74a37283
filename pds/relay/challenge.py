"""Challenges that need no memory: expiry ‖ 16 random bytes ‖ HMAC-SHA256.

What is remembered is only that one was used, in the transaction that used it.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from datetime import UTC, datetime

from did.errors import DidError
from did.multikey import b64url_decode, b64url_encode
from pds.relay.errors import Refused
from pds.wire import RelayCode

LIFETIME = 120
_LENGTH = 8 + 16 + 32


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that is ours: when it is over, and what makes it unique."""

    expires: int
    random: bytes


def issue(key: bytes, now: datetime) -> tuple[str, datetime]:
    """A new challenge and its end, 120 seconds from now."""
    expires = int(now.timestamp()) + LIFETIME
    body = expires.to_bytes(8, "big") + os.urandom(16)
    return b64url_encode(body + _tag(key, body)), datetime.fromtimestamp(expires, UTC)


def check(key: bytes, text: str, now: datetime) -> Challenge:
    """Refuse a challenge that is not ours or not fresh (§6, check 2)."""
    try:
        raw = b64url_decode(text)
    except DidError:
        raw = b""
    body, tag = raw[:24], raw[24:]
    if len(raw) != _LENGTH or not hmac.compare_digest(tag, _tag(key, body)):
        raise Refused(RelayCode.CHALLENGE)
    expires = int.from_bytes(body[:8], "big")
    if not 0 < expires - now.timestamp() <= LIFETIME:
        raise Refused(RelayCode.CHALLENGE)
    return Challenge(expires, body[8:])


def _tag(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"pds/v1/challenge" + body, hashlib.sha256)
