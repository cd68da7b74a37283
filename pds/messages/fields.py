"""Reading a protocol object member by member: each with its shape, and nothing left over."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TypeVar

from did.errors import DidError
from did.identifier import Did
from did.json import Json, JsonObject
from did.keys import VerifyKey
from did.multikey import b64url_decode, check_multihash
from did.time import parse_time
from pds.errors import PdsError
from pds.messages.errors import MessageError

_Form = TypeVar("_Form")
_Value = TypeVar("_Value")

Words = Mapping[str, str]
"""Plain words per language: BCP 47 tag to text; ``en`` is always there."""

ID = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
PATH = re.compile(r"[a-z][a-z0-9-]{0,39}(\.[a-zA-Z][A-Za-z0-9]{0,39})?")
PURPOSE_ID = re.compile(r"[a-z][a-z0-9-]{0,39}")
URN_UUID = re.compile(
    r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}")
COUNTRY = re.compile(r"[A-Z]{2}")
_IRI = re.compile(r"https://[\x21-\x7e]{1,300}")
_URL_OR_MAIL = re.compile(r"(https://|mailto:)[\x21-\x7e]{1,300}")
_DPV = re.compile(r"https://w3id\.org/dpv(/[a-z0-9.-]{1,40}){0,6}#[A-Za-z][A-Za-z0-9-]{0,99}")

# What is expected instead, for whoever has to write it.
_FORMS = {
    ID: "an id of 22 letters in base64url",
    PATH: "a category, or a category and a field, such as contact.email",
    PURPOSE_ID: "a short name of small letters, digits and hyphens, such as delivery",
    URN_UUID: "a random urn:uuid:…",
    COUNTRY: "a country by its two capital letters, such as HU",
    _IRI: "an IRI that begins with https://",
    _URL_OR_MAIL: "an https: or mailto: address, such as mailto:privacy@shop.example",
    _DPV: "a term of the Data Privacy Vocabulary, such as https://w3id.org/dpv#DeliveryOfGoods",
}


# Alphabets with letters that look like those of another one.
_LOOK_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})


class Fields:
    """One JSON object, read strictly. Every member that is not asked for is refused by ``done``.

    Errors are ``MessageError`` with the JSON pointer of the place, never with the value there.
    ``own`` says that the object was written here: then properties that are not known are named,
    which of a stranger's object would repeat what a stranger says.
    """

    def __init__(self, value: Json, where: str = "", *, own: bool = False) -> None:
        if not isinstance(value, dict):
            raise self._error(where, "an object")
        self._value: JsonObject = value
        self._where = where
        self._own = own
        self._seen: set[str] = set()

    def done(self) -> None:
        """Refuse whatever has not been asked for."""
        left = sorted(set(self._value) - self._seen)
        if left:
            raise MessageError(
                f"{self._where or '/'} has {len(left)} propert{'y' if len(left) == 1 else 'ies'} "
                "that this version does not know"
                + (": " + ", ".join(ascii(name[:60]) for name in left) if self._own else ""),
                code="message.unknown_property",
                hint="Leave it out, or update this program.",
                where=self._where,
            )

    def has(self, name: str) -> bool:
        return name in self._value

    def raw(self, name: str) -> Json:
        self._seen.add(name)
        if name not in self._value:
            raise MessageError(f"{self._where}/{name} is missing", where=f"{self._where}/{name}")
        return self._value[name]

    def object(self, name: str) -> JsonObject:
        value = self.raw(name)
        if not isinstance(value, dict):
            raise self._bad(name, "an object")
        return value

    def fields(self, name: str) -> "Fields":
        return Fields(self.raw(name), f"{self._where}/{name}", own=self._own)

    def array(self, name: str, *, low: int = 0, high: int = 200) -> list[Json]:
        value = self.raw(name)
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise self._bad(name, f"a list of {low} to {high}")
        return value

    def each(self, name: str, *, low: int = 0, high: int = 200) -> "list[Fields]":
        items = self.array(name, low=low, high=high)
        return [
            Fields(item, f"{self._where}/{name}/{i}", own=self._own) for i, item in enumerate(items)
        ]

    def objects(self, name: str, *, high: int = 200) -> list[JsonObject]:
        result: list[JsonObject] = []
        for item in self.array(name, high=high):
            if not isinstance(item, dict):
                raise self._bad(name, "a list of objects")
            result.append(item)
        return result

    def constant(self, name: str, expected: str) -> None:
        if self.raw(name) != expected:
            raise self._bad(name, f'"{expected}"')

    def text(self, name: str, *, high: int = 500, pattern: re.Pattern[str] | None = None) -> str:
        """Visible text on one line: no control, format or bidirectional override characters."""
        value = self.raw(name)
        if not isinstance(value, str) or not 1 <= len(value) <= high:
            raise self._bad(name, f"text of 1 to {high} characters")
        if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in value):
            raise self._bad(name, "text without control or direction characters")
        if pattern is not None and pattern.fullmatch(value) is None:
            raise self._bad(name, _FORMS.get(pattern, "text of another form"))
        return value

    def title(self, name: str, *, high: int = 200) -> str:
        """The name of somebody, as a person will read it: no word of it mixes alphabets.

        A Cyrillic letter among Latin ones looks like the name of somebody else (UTS #39 §5.1, by
        the word). Whole words in any alphabet are taken: the domain says who it is.
        """
        value = self.text(name, high=high)
        for word in value.split():
            alphabets = {unicodedata.name(c, "?").partition(" ")[0] for c in word if c.isalpha()}
            if len(alphabets & _LOOK_ALIKE) > 1:
                raise self._bad(name, "a name whose words are each in one alphabet")
        return value

    def choice(self, name: str, options: frozenset[str]) -> str:
        value = self.text(name, high=60)
        if value not in options:
            raise self._bad(name, "one of " + ", ".join(sorted(options)))
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        value = self.raw(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._bad(name, f"a whole number from {low} to {high}")
        return value

    def only_true(self, name: str) -> bool:
        """An optional flag that is either ``true`` or absent."""
        if name not in self._value:
            return False
        if self.raw(name) is not True:
            raise self._bad(name, "true, or absent")
        return True

    def time(self, name: str) -> datetime:
        value = self.raw(name)
        try:
            return parse_time(value if isinstance(value, str) else "")
        except DidError:
            raise self._bad(name, "a time YYYY-MM-DDTHH:MM:SSZ") from None

    def id(self, name: str) -> str:
        return self.text(name, high=22, pattern=ID)

    def urn(self, name: str) -> str:
        return self.text(name, high=45, pattern=URN_UUID)

    def path(self, name: str) -> str:
        return self.text(name, high=81, pattern=PATH)

    def iri(self, name: str) -> str:
        return self.text(name, high=310, pattern=_IRI)

    def dpv(self, name: str) -> str:
        """The IRI of a term of the Data Privacy Vocabulary or of one of its extensions."""
        return self.text(name, high=310, pattern=_DPV)

    def link(self, name: str) -> str:
        """An ``https:`` or ``mailto:`` address that a person may follow."""
        return self.text(name, high=310, pattern=_URL_OR_MAIL)

    def digest(self, name: str) -> str:
        value = self.text(name, high=47)
        try:
            check_multihash(value)
        except DidError:
            raise self._bad(name, "a SHA-256 digest uEi…") from None
        return value

    def octets(self, name: str, *, size: int | None = None, high: int = 2_000_000) -> bytes:
        value = self.raw(name)
        try:
            data = b64url_decode(value if isinstance(value, str) and len(value) < high else "=")
        except DidError:
            raise self._bad(name, "base64url") from None
        if size is not None and len(data) != size:
            raise self._bad(name, f"{size} bytes in base64url")
        return data

    def did(self, name: str, *, method: str | None = None) -> str:
        value = self.text(name, high=500)
        try:
            did = Did.parse(value)
            if did.method == "key":
                VerifyKey.from_multikey(did.id)
        except DidError:
            raise self._bad(name, "a DID") from None
        if method is not None and did.method != method:
            raise self._bad(name, f"a DID of the method {method}")
        return value

    def read_by(self, read: Callable[[_Form], _Value], name: str, form: _Form) -> _Value:
        """What a reader of another package makes of the member ``name``, whose form is ``form``.

        Its refusal becomes a ``MessageError`` with the place; code, sentence and hint stay.
        """
        try:
            return read(form)
        except (PdsError, DidError) as error:
            where = f"{self._where}/{name}"
            raise MessageError(
                f"{where}: {error}", code=error.code, hint=error.hint, where=where
            ) from None

    def words(self, name: str, *, high: int = 1000) -> Words:
        inner = self.fields(name)
        if "en" not in inner._value or len(inner._value) > 30:
            raise self._bad(name, "words per language, English among them")
        for tag in inner._value:
            if LANGUAGE.fullmatch(tag) is None:
                raise self._bad(name, "language tags")
        return MappingProxyType({tag: inner.text(tag, high=high) for tag in inner._value})

    def set_of(
        self, name: str, pattern: re.Pattern[str], *, low: int = 0, high: int = 200
    ) -> frozenset[str]:
        """A list whose order means nothing; a repeated member is refused."""
        values = self.array(name, low=low, high=high)
        inner = Fields({str(i): value for i, value in enumerate(values)}, f"{self._where}/{name}")
        texts = [inner.text(str(i), high=310, pattern=pattern) for i in range(len(values))]
        if len(set(texts)) != len(texts):
            raise self._bad(name, "a list without repetition")
        return frozenset(texts)

    def iris(self, name: str, *, low: int = 0, high: int = 50) -> frozenset[str]:
        return self.set_of(name, _IRI, low=low, high=high)

    def dpv_terms(self, name: str, *, low: int = 0, high: int = 50) -> frozenset[str]:
        return self.set_of(name, _DPV, low=low, high=high)

    def paths(self, name: str, *, low: int = 0) -> frozenset[str]:
        return self.set_of(name, PATH, low=low)

    @property
    def where(self) -> str:
        """The JSON pointer of this object."""
        return self._where

    def _bad(self, name: str, wanted: str) -> PdsError:
        return self._error(f"{self._where}/{name}", wanted)

    @staticmethod
    def _error(where: str, wanted: str) -> PdsError:
        return MessageError(f"{where or '/'} must be {wanted}", where=where)
