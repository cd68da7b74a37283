"""Enveloped credentials and presentations: a signed token as a data: URL in a JSON-LD object.

Source: VCDM 2.0 §4.13.1 and §4.13.2, RFC 2397.
"""

import re
from dataclasses import dataclass, field
from typing import Final, NoReturn, Self

from credentials.contexts import CREDENTIALS_V2
from credentials.errors import JoseInvalid
from did.json import Json, JsonObject

ENVELOPED_CREDENTIAL: Final = "EnvelopedVerifiableCredential"
ENVELOPED_PRESENTATION: Final = "EnvelopedVerifiablePresentation"

_TYPES = {
    "vc+jwt": ENVELOPED_CREDENTIAL,
    "vc+sd-jwt": ENVELOPED_CREDENTIAL,
    "vp+jwt": ENVELOPED_PRESENTATION,
    "vp+sd-jwt": ENVELOPED_PRESENTATION,
}
_PART = r"[A-Za-z0-9_-]"
_JWT = rf"{_PART}+\.{_PART}*\.{_PART}+"
_SD_JWT = rf"{_JWT}(?:~{_PART}+)*~(?:{_JWT})?"
_URL = re.compile(rf"data:application/(?:(v[cp]\+jwt),({_JWT})|(v[cp]\+sd-jwt),({_SD_JWT}))")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A token and what it is, as in ``vc+jwt``; nothing here was verified."""

    media_type: str
    token: str = field(repr=False)

    @classmethod
    def parse(cls, value: Json) -> Self:
        """Read an enveloped credential or presentation. Raises ``JoseInvalid``
        (``jose.envelope``)."""
        if not isinstance(value, dict) or value.get("@context") not in (
            CREDENTIALS_V2,
            [CREDENTIALS_V2],
        ):
            _refuse(f"an envelope is an object in the context {CREDENTIALS_V2}")
        url, kind = value.get("id"), value.get("type")
        found = _URL.fullmatch(url) if isinstance(url, str) else None
        if found is None:
            _refuse("the id of an envelope is a data: URL with a signed token")
        envelope = cls(found[1] or found[3], found[2] or found[4])
        if kind not in (envelope.type, [envelope.type]):
            _refuse("the type of an envelope is the one of what is in it")
        return envelope

    @property
    def type(self) -> str:
        """``EnvelopedVerifiableCredential`` or ``EnvelopedVerifiablePresentation``."""
        return _TYPES[self.media_type]

    def to_json(self) -> JsonObject:
        """The object that can stand in a presentation."""
        return {
            "@context": CREDENTIALS_V2,
            "id": f"data:application/{self.media_type},{self.token}",
            "type": self.type,
        }


def _refuse(message: str) -> NoReturn:
    raise JoseInvalid(message, code="jose.envelope")
