"""The stamp by which a relay says that a status list is still the newest one it has.

A status list is valid for weeks; the stamp, signed by the relay's log key, for a day at most.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from credentials.errors import StatusInvalid, StatusUnchecked
from credentials.forms import DIGEST, ID, RELAY, has_form, is_count, read_time
from credentials.profile import check_keys
from credentials.proof import SKEW, sign_object, verify_object
from did.json import JsonObject
from did.keys import SigningKey, VerifyKey
from did.resolve import OFFLINE
from did.time import check_now, format_time

MAX_STAMP_AGE: Final = timedelta(hours=24)
_KEYS = frozenset({"type", "relay", "list", "digest", "sequence", "at", "expires"})


@dataclass(frozen=True, slots=True)
class VerifiedStamp:
    """What the log key said: at ``at``, this was the newest list."""

    relay: str
    list_id: str
    digest: str
    sequence: int
    at: datetime
    expires: datetime


def sign_stamp(
    *,
    log_key: SigningKey,
    relay: str,
    list_id: str,
    digest: str,
    sequence: int,
    at: datetime,
    expires: datetime,
) -> JsonObject:
    """A ``StatusStamp``, signed by the log key; ``expires`` at most 24 hours after ``at``."""
    stamp: JsonObject = {
        "type": "StatusStamp",
        "relay": relay,
        "list": list_id,
        "digest": digest,
        "sequence": sequence,
        "at": format_time(at),
        "expires": format_time(expires),
    }
    _read(stamp)
    return sign_object(stamp, log_key, created=at)


def verify_stamp(
    raw: bytes | str | JsonObject, *, log_key: VerifyKey, expected_digest: str, now: datetime
) -> VerifiedStamp:
    """Verify that the log key calls the list of this digest the newest, now.

    Not checked: relay, list id and sequence; they are returned for the caller to compare.

    Raises ``StatusInvalid`` (``status.stamp``) for another list, ``StatusUnchecked``
    (``status.stale``) for a stamp that is over, and what ``verify_object`` raises.
    """
    check_now(now)
    verified = verify_object(
        raw, resolver=OFFLINE, now=now, expected_controller=log_key.did, exact_context=()
    )
    stamp = _read(verified.document)
    if stamp.at > now + SKEW:
        raise StatusInvalid("the stamp is from the future", code="status.stamp", pointer="/at")
    if stamp.digest != expected_digest:
        raise StatusInvalid(
            "the stamp is for another status list", code="status.stamp", pointer="/digest"
        )
    if now >= stamp.expires:
        raise StatusUnchecked(
            "the stamp is over, so there may be a newer list", code="status.stale"
        )
    return stamp


def _read(document: JsonObject) -> VerifiedStamp:
    check_keys(document, _KEYS, "")
    relay, list_id, digest = document["relay"], document["list"], document["digest"]
    sequence = document["sequence"]
    at, expires = read_time(document["at"], "/at"), read_time(document["expires"], "/expires")
    if (
        document["type"] != "StatusStamp"
        or not isinstance(relay, str)
        or not isinstance(list_id, str)
        or not isinstance(digest, str)
        or not has_form(RELAY, relay)
        or not has_form(ID, list_id)
        or not has_form(DIGEST, digest)
        or not is_count(sequence, 1)
        or not timedelta() < expires - at <= MAX_STAMP_AGE
    ):
        raise StatusInvalid("the stamp is malformed", code="status.stamp")
    return VerifiedStamp(relay, list_id, digest, sequence, at, expires)
