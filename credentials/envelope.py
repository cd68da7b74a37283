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
    "vc": ENVELOPED_CREDENTIAL,
    "vp": ENVELOPED_PRESENTATION,
}
_PART = r"[A-Za-z0-9_-]"
_JWT = rf"{_PART}+\.{_PART}*\.{_PART}+"
_SD_JWT = rf"{_JWT}(?:~{_PART}+)*~(?:{_JWT})?"
_COSE = r"[A-Za-z0-9+/]+={0,2}"
_URL = re.compile(
    rf"data:application/(?:(v[cp]\+jwt),({_JWT})"
    rf"|(v[cp]\+sd-jwt),({_SD_JWT})"
    # The test suite of the standard has a line break at the end of one.
    rf"|(v[cp]\+cose);base64,({_COSE})\n?)"
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A token and what it is, as in ``vc+jwt``; nothing here was verified.

    One of COSE (``vc+cose``) is in base64, and can be handed on but not verified here.
    """

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
        media_type, token = (text for text in found.groups() if text is not None)
        envelope = cls(media_type, token)
        if kind not in (envelope.type, [envelope.type]):
            _refuse("the type of an envelope is the one of what is in it")
        return envelope

    @property
    def type(self) -> str:
        """``EnvelopedVerifiableCredential`` or ``EnvelopedVerifiablePresentation``."""
        return _TYPES[self.media_type[:2]]

    def to_json(self) -> JsonObject:
        """The object that can stand in a presentation."""
        coding = ";base64" if self.media_type.endswith("cose") else ""
        return {
            "@context": CREDENTIALS_V2,
            "id": f"data:application/{self.media_type}{coding},{self.token}",
            "type": self.type,
        }


def _refuse(message: str) -> NoReturn:
    raise JoseInvalid(message, code="jose.envelope")
