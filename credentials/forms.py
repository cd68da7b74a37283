"""How the values inside a signed object are written, as patterns, and the two forms of a time.

A pattern decides the spelling only; what a value means is decided where it is used. Digests and
ids have one spelling each: the unused bits of their last base64url character are zero.
"""

import re
from datetime import datetime
from functools import cache, lru_cache
from typing import Final, TypeGuard

from credentials.errors import StructureInvalid
from did.errors import TimeFormatError
from did.json import MAX_INTEGER
from did.time import parse_date_time_stamp, parse_time

# A SHA-256 multihash in multibase u: 0x12 0x20 and 32 bytes make "uEi", 2 + 2 bits, and so on.
DIGEST: Final = r"uEi[A-D][A-Za-z0-9_-]{42}[AQgw]"
# 128 bits in base64url.
ID: Final = r"[A-Za-z0-9_-]{21}[AQgw]"
UUID_URN: Final = r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
RELAY: Final = (
    r"https?://(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[1-9][0-9]{0,4})?"
)
STATUS_URL: Final = RELAY + r"/v1/status/" + ID
DPV: Final = r"https://w3id\.org/dpv(?:/[a-z0-9-]{1,20}){0,3}#[A-Za-z0-9_-]{1,80}"
PURPOSE_ID: Final = r"[a-z][a-z0-9-]{0,39}"
PATH: Final = r"[a-z][A-Za-z0-9_-]{0,63}(?:\.[A-Za-z][A-Za-z0-9_-]{0,63})?"
LANGUAGE: Final = r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,4}"
DID: Final = r"did:[a-z0-9]{1,20}:[A-Za-z0-9._:%-]{1,400}"
DID_KEY: Final = r"did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}"
_URL: Final = r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+"


@cache
def _compiled(form: str) -> re.Pattern[str]:
    # When first used: a grant needs few of them, and compiling all takes longer than verifying it.
    return re.compile(form)


def has_form(form: str, text: str) -> bool:
    """Whether a whole text has one of the forms above."""
    return _compiled(form).fullmatch(text) is not None


def is_count(value: object, least: int) -> TypeGuard[int]:
    """Whether a value is an integer from ``least`` to 2^53 − 1; ``true`` is not a number here."""
    return type(value) is int and least <= value <= MAX_INTEGER


# No text of the forms that are remembered is longer.
_LONGEST: Final = 512


def is_dpv_term(text: str) -> bool:
    """Whether a text is the full IRI of a term of the Data Privacy Vocabulary."""
    return len(text) <= _LONGEST and _has_form(DPV, text)


def is_path(text: str) -> bool:
    """Whether a text names a category, or a field of one."""
    return len(text) <= _LONGEST and _has_form(PATH, text)


def is_did(text: str) -> bool:
    """Whether a text looks like a DID; resolving it is another matter."""
    return len(text) <= _LONGEST and _has_form(DID, text)


def is_status_url(text: str) -> bool:
    """Whether a text is where a relay serves a status list."""
    return len(text) <= _LONGEST and _has_form(STATUS_URL, text)


# Of these forms the same few texts come again and again, and remembering is quicker than matching.
# Nothing long is kept, whatever is asked.
_has_form = lru_cache(maxsize=16_384)(has_form)


def is_url(value: object) -> TypeGuard[str]:
    """Whether a value is text that begins like an absolute URL of any scheme."""
    return type(value) is str and _compiled(_URL).fullmatch(value) is not None


def read_time(value: object, pointer: str) -> datetime:
    """A time of our own profile, exactly ``YYYY-MM-DDTHH:MM:SSZ``."""
    try:
        return parse_time(value if isinstance(value, str) else "")
    except TimeFormatError as error:
        raise StructureInvalid(
            str(error), code=error.code, hint=error.hint, pointer=pointer
        ) from None


def read_date_time_stamp(value: object, pointer: str) -> datetime:
    """A time in any document of the standard (xsd:dateTimeStamp, VCDM 2.0 §4.9), in UTC."""
    try:
        return parse_date_time_stamp(value if isinstance(value, str) else "")
    except TimeFormatError as error:
        raise StructureInvalid(
            str(error), code=error.code, hint=error.hint, pointer=pointer
        ) from None
