"""Selective disclosure for JWTs (SD-JWT, RFC 9901): issue, show a part, verify.

A claim that may be withheld is named by its JSON Pointer (RFC 6901) in the claims, and one inside
another can be named as well: then each is disclosed on its own. What is verified here is that the
issuer's key signed a token, that every disclosure belongs to it, and what the claims are with the
disclosures in place. The proof of its holder is in ``credentials.key_binding``; whose key it is,
times and types are left to the callers, such as ``credentials.sd_jwt_vc``.

The only hash is SHA-256; another ``_sd_alg`` is refused.

As long as it is because the two directions of one format are read side by side.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NoReturn, Self

from credentials.errors import (
    JoseInvalid,
    SdJwtInvalid,
    StructureInvalid,
)
from credentials.jose import (
    MAX_TOKEN,
    PublicKey,
    SecretKey,
    UnverifiedJws,
    read_jws,
    sign_claims,
    verify_jws,
)
from did.errors import EncodingError, JsonError
from did.json import MAX_DEPTH, Json, JsonObject, canonicalize, parse
from did.multikey import b64url_decode, b64url_encode

MAX_DISCLOSURES: Final = 512

_HASH = "sha-256"
_DIGESTS, _ELEMENT, _ALG = "_sd", "...", "_sd_alg"
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One claim, or one element of an array (``name`` is ``None``), with its salt (§4.2)."""

    encoded: str = field(repr=False)
    digest: str
    name: str | None = field(repr=False)
    value: Json = field(repr=False, hash=False)

    @classmethod
    def make(cls, name: str | None, value: Json, random: Callable[[int], bytes]) -> Self:
        """A new one, with a salt of 128 bits from ``random`` (§4.2.1, §4.2.2)."""
        salt = b64url_encode(random(_SALT_BYTES))
        content: list[Json] = [salt, value] if name is None else [salt, name, value]
        try:
            encoded = b64url_encode(canonicalize(content))
        except JsonError as error:
            raise StructureInvalid(str(error), code=error.code, hint=error.hint) from None
        return cls(encoded, _hash(encoded), name, value)

    @classmethod
    def parse(cls, encoded: str) -> Self:
        """Read one (§4.2). Raises ``SdJwtInvalid`` (``sd_jwt.disclosure``)."""
        try:
            content = parse(b64url_decode(encoded), allow_floats=True)
        except (EncodingError, JsonError) as error:
            _refuse("disclosure", "a disclosure is a JSON array in base64url", hint=str(error))
        if not isinstance(content, list) or len(content) not in (2, 3):
            _refuse("disclosure", "a disclosure has a salt, a name unless in an array, and a value")
        salt, *names, value = content
        if not all(isinstance(text, str) for text in (salt, *names)):
            _refuse("disclosure", "the salt and the name of a disclosure are texts")
        name = str(names[0]) if names else None
        # §7.1, step 3c: the names by which digests are kept are never claims.
        if name in (_DIGESTS, _ELEMENT, _ALG):
            _refuse("reserved", "a disclosure must not have a reserved name")
        return cls(encoded, _hash(encoded), name, value)


@dataclass(frozen=True, slots=True)
class SdJwt:
    """An SD-JWT as it came, with or without a key binding; nothing here was verified."""

    jws: UnverifiedJws
    disclosures: tuple[Disclosure, ...]
    key_binding: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str, *, max_chars: int = MAX_TOKEN) -> Self:
        """Read the compact form (§4): the token, disclosures, and a key binding or nothing.

        Raises ``JoseInvalid``, ``StructureInvalid`` (``json.*``) or ``SdJwtInvalid``
        (``sd_jwt.syntax``, ``sd_jwt.many``, ``sd_jwt.disclosure``, ``sd_jwt.reserved``).
        """
        # Sizes before anything is taken apart.
        if len(text) > max_chars:
            raise JoseInvalid(
                f"a token must not exceed {max_chars} characters", code="jose.too_large"
            )
        if text.count("~") > MAX_DISCLOSURES + 1:
            _refuse("many", f"there may be {MAX_DISCLOSURES} disclosures at most")
        token, *disclosures = text.split("~")
        if not disclosures:
            _refuse("syntax", "an SD-JWT without a key binding ends in ~")
        key_binding = disclosures.pop() or None
        return cls(
            read_jws(token, max_chars=max_chars),
            tuple(map(Disclosure.parse, disclosures)),
            key_binding,
        )

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Read the JSON form (§8), flattened, or general with one signature.

        Raises as ``parse`` does.
        """
        signatures = value.get("signatures")
        if signatures is None:
            signed: Json = value
        elif isinstance(signatures, list) and len(signatures) == 1 and "signature" not in value:
            signed = signatures[0]
        else:
            _refuse("syntax", "there must be exactly one signature")
        members = signed if isinstance(signed, dict) else {}
        header = members.get("header", {})
        header = header if isinstance(header, dict) else {}
        disclosures = header.get("disclosures", [])
        texts: list[Json] = [members.get("protected"), value.get("payload")]
        texts.append(members.get("signature"))
        key_binding = header.get("kb_jwt", "")
        if not isinstance(disclosures, list):
            _refuse("syntax", "disclosures must be a list")
        parts = [".".join(_texts(texts)), *_texts(disclosures), *_texts([key_binding])]
        return cls.parse("~".join(parts))

    @property
    def shown(self) -> str:
        """Token and disclosures with the last ``~``, and no key binding (§4.3.1)."""
        return "~".join([self.jws.token, *(item.encoded for item in self.disclosures), ""])

    @property
    def shown_digest(self) -> str:
        """What the proof of the holder is over: SHA-256 of ``shown`` (§4.3.1)."""
        return _hash(self.shown)


@dataclass(frozen=True, slots=True)
class Revealed:
    """The claims of an SD-JWT with its disclosures in place; by itself it says nothing of a
    signature. ``disclosed`` has the pointer of each claim that came from a disclosure."""

    claims: JsonObject
    disclosed: Mapping[str, Disclosure] = field(repr=False)


def issue_sd_jwt(
    claims: JsonObject,
    key: SecretKey,
    *,
    disclosable: AbstractSet[str],
    header: Mapping[str, Json],
    always_shown: AbstractSet[str] = frozenset(),
    decoys: int = 0,
    random: Callable[[int], bytes] = os.urandom,
) -> str:
    """Sign claims of which some may be withheld (§6.1); ends in ``~``.

    ``disclosable`` has their JSON Pointers, into objects and arrays; ``always_shown`` the names of
    claims that must not be among them, nor any part of them (§9.7). ``decoys`` is how many digests
    of nothing stand beside those of each object or array that has any (§4.2.5). Raises
    ``StructureInvalid`` for claims that cannot be issued so: ``sd_jwt.always_shown``,
    ``sd_jwt.pointer``, ``sd_jwt.reserved``, ``json.*``; and what reading the result would raise.
    """
    if not always_shown.isdisjoint(pointer[1:].partition("/")[0] for pointer in disclosable):
        raise StructureInvalid(
            "what a verifier must see cannot be withheld",
            code="sd_jwt.always_shown",
            hint="These are: " + ", ".join(sorted(always_shown)) + ".",
        )
    maker = _Maker(frozenset(disclosable), decoys, random)
    payload = maker.conceal(claims, "")
    if len(maker.made) != len(maker.disclosable) or not isinstance(payload, dict):
        raise StructureInvalid(
            "every claim that may be withheld must be there", code="sd_jwt.pointer"
        )
    if maker.made or decoys:
        payload[_ALG] = _HASH
    token = sign_claims(payload, key, **header)
    issued = "~".join([token, *(item.encoded for item in maker.made.values()), ""])
    reveal(SdJwt.parse(issued))
    return issued


def verify_sd_jwt(
    token: SdJwt, key: PublicKey, *, always_shown: AbstractSet[str] = frozenset()
) -> Revealed:
    """The claims that this key signed, with the disclosures in place (§7.1).

    ``always_shown`` has the names of claims that must not be withheld (§9.7): one that comes from
    a disclosure, or of which a part does or is withheld, is refused (``sd_jwt.always_shown``). One
    that is withheld whole cannot be seen.

    Raises ``JoseInvalid``, ``StructureInvalid`` (``json.*``) and ``SdJwtInvalid``. Not checked:
    whose key it is, ``typ``, times, and the key binding.
    """
    verify_jws(token.jws, key)
    return reveal(token, always_shown=always_shown)


def reveal(token: SdJwt, *, always_shown: AbstractSet[str] = frozenset()) -> Revealed:
    """Put the disclosures in their places (§7.1, step 3), without looking at the signature."""
    payload = token.jws.claims()
    # Step 2c: the hash.
    if payload.pop(_ALG, _HASH) != _HASH:
        _refuse("hash", f"_sd_alg must be {_HASH}", pointer="/" + _ALG)
    reader = _Reader({item.digest: item for item in token.disclosures})
    # The same disclosure twice could not be referenced twice.
    if len(reader.by_digest) != len(token.disclosures):
        _refuse("repeated", "a disclosure must not be there twice")
    claims = reader.open_object(payload, "", 1)
    # Step 5: nothing is there that the issuer did not mean.
    if len(reader.disclosed) != len(token.disclosures):
        _refuse("unreferenced", "there is a disclosure that does not belong to this token")
    # What must be seen is as it was signed: no digest was in it, and it stood in no disclosure.
    for name in always_shown:
        if (name in payload) != (name in claims) or payload.get(name) != claims.get(name):
            _refuse("always_shown", "what must always be shown could be withheld")
    return Revealed(claims, MappingProxyType(reader.disclosed))


def select_disclosures(token: str, disclose: AbstractSet[str]) -> str:
    """An SD-JWT that shows only the claims named, with those around them (§6.2); ends in ``~``.

    ``disclose`` has JSON Pointers into the claims as ``reveal`` gives them for this very token. A
    claim that is always shown may be named and changes nothing. Raises ``SdJwtInvalid``
    (``sd_jwt.pointer``) for a claim that is not there, and what reading raises.
    """
    parsed = SdJwt.parse(token)
    revealed = reveal(parsed)
    shown: set[str] = set()
    for pointer in disclose:
        if not _is_there(revealed.claims, pointer):
            _refuse("pointer", "a claim that is to be shown is not there")
        shown.update(revealed.disclosed[above].encoded for above in _above(pointer, revealed))
    kept = tuple(item for item in parsed.disclosures if item.encoded in shown)
    return SdJwt(parsed.jws, kept).shown


@dataclass(slots=True)
class _Maker:
    """Takes claims out and leaves digests (§4.2.3, §4.2.4), the innermost first."""

    disclosable: frozenset[str]
    decoys: int
    random: Callable[[int], bytes]
    made: dict[str, Disclosure] = field(default_factory=dict)

    def conceal(self, value: Json, pointer: str) -> Json:
        if isinstance(value, dict):
            return self._object(value, pointer)
        if isinstance(value, list):
            return self._array(value, pointer)
        return value

    def _object(self, value: JsonObject, pointer: str) -> JsonObject:
        if not value.keys().isdisjoint((_DIGESTS, _ELEMENT, _ALG)):
            raise StructureInvalid(
                "a claim must not have a reserved name", code="sd_jwt.reserved", pointer=pointer
            )
        shown: JsonObject = {}
        digests: list[str] = []
        for name, item in value.items():
            place = f"{pointer}/{_escaped(name)}"
            inner = self.conceal(item, place)
            if place in self.disclosable:
                digests.append(self._disclose(place, name, inner))
            else:
                shown[name] = inner
        if digests:
            # In the order of the digests, which tells nothing about that of the claims.
            shown[_DIGESTS] = list[Json](sorted(digests + self._nothing()))
        return shown

    def _array(self, value: list[Json], pointer: str) -> list[Json]:
        shown: list[Json] = []
        hidden = False
        for position, item in enumerate(value):
            place = f"{pointer}/{position}"
            inner = self.conceal(item, place)
            if place in self.disclosable:
                inner, hidden = {_ELEMENT: self._disclose(place, None, inner)}, True
            shown.append(inner)
        if hidden:
            shown += [{_ELEMENT: digest} for digest in self._nothing()]
        return shown

    def _disclose(self, place: str, name: str | None, value: Json) -> str:
        self.made[place] = Disclosure.make(name, value, self.random)
        return self.made[place].digest

    def _nothing(self) -> list[str]:
        return [_hash(b64url_encode(self.random(32))) for _ in range(self.decoys)]


@dataclass(slots=True)
class _Reader:
    """Puts disclosures in the places of their digests (§7.1, step 3)."""

    by_digest: dict[str, Disclosure]
    disclosed: dict[str, Disclosure] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def _open(self, value: Json, pointer: str, depth: int) -> Json:
        if isinstance(value, dict):
            return self.open_object(value, pointer, depth)
        if isinstance(value, list):
            return self._open_array(value, pointer, depth)
        return value

    def open_object(self, value: JsonObject, pointer: str, depth: int) -> JsonObject:
        _check_depth(depth)
        # §4.1: the names by which digests are kept stand nowhere else.
        if _ELEMENT in value or _ALG in value:
            _refuse("reserved", "a reserved name is used for a claim", pointer=pointer)
        shown = {
            name: self._open(item, f"{pointer}/{_escaped(name)}", depth + 1)
            for name, item in value.items()
            if name != _DIGESTS
        }
        digests = value.get(_DIGESTS, [])
        if not isinstance(digests, list):
            _refuse("digests", "_sd must be a list of digests", pointer=pointer)
        for digest in digests:
            found = self._find(digest, pointer)
            if found is None:
                continue
            if found.name is None:
                _refuse("kind", "an element of an array stands for a claim", pointer=pointer)
            if found.name in shown:
                _refuse("duplicate_claim", "a claim is there twice", pointer=pointer)
            shown[found.name] = self._place(found, f"{pointer}/{_escaped(found.name)}", depth)
        return shown

    def _open_array(self, value: list[Json], pointer: str, depth: int) -> list[Json]:
        _check_depth(depth)
        shown: list[Json] = []
        for item in value:
            if not isinstance(item, dict) or _ELEMENT not in item:
                shown.append(self._open(item, f"{pointer}/{len(shown)}", depth + 1))
                continue
            if len(item) != 1:
                _refuse("reserved", "a digest in an array stands alone", pointer=pointer)
            found = self._find(item[_ELEMENT], pointer)
            if found is None:
                continue
            if found.name is not None:
                _refuse("kind", "a claim stands for an element of an array", pointer=pointer)
            shown.append(self._place(found, f"{pointer}/{len(shown)}", depth))
        return shown

    def _place(self, found: Disclosure, pointer: str, depth: int) -> Json:
        self.disclosed[pointer] = found
        return self._open(found.value, pointer, depth + 1)

    def _find(self, digest: Json, pointer: str) -> Disclosure | None:
        if not isinstance(digest, str):
            _refuse("digests", "a digest must be a text", pointer=pointer)
        # Step 4: a digest has one place, wherever it is.
        if digest in self.seen:
            _refuse("duplicate_digest", "a digest is there twice", pointer=pointer)
        self.seen.add(digest)
        return self.by_digest.get(digest)


def _check_depth(depth: int) -> None:
    # Each disclosure nests as deep as JSON may, and one can stand inside another.
    if depth > MAX_DEPTH:
        _refuse("depth", f"claims must not nest deeper than {MAX_DEPTH}")


def _is_there(claims: JsonObject, pointer: str) -> bool:
    value: Json = claims
    for name in pointer.split("/")[1:]:
        if isinstance(value, dict) and _unescaped(name) in value:
            value = value[_unescaped(name)]
        elif isinstance(value, list) and name in map(str, range(len(value))):
            value = value[int(name)]
        else:
            return False
    return pointer.startswith("/")


def _above(pointer: str, revealed: Revealed) -> Iterator[str]:
    """A claim and those that it is inside of, as far as each has a disclosure."""
    parts = pointer.split("/")
    for count in range(2, len(parts) + 1):
        above = "/".join(parts[:count])
        if above in revealed.disclosed:
            yield above


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _unescaped(name: str) -> str:
    return name.replace("~1", "/").replace("~0", "~")


def _hash(text: str) -> str:
    # §4.2.3: over the characters that were sent, and never over what they say.
    return b64url_encode(hashlib.sha256(text.encode()).digest())


def _texts(values: list[Json]) -> list[str]:
    found = [value for value in values if isinstance(value, str) and "~" not in value]
    if len(found) != len(values):
        _refuse("syntax", "token, disclosures and key binding must be texts")
    return found


def _refuse(reason: str, message: str, *, hint: str = "", pointer: str = "") -> NoReturn:
    raise SdJwtInvalid(message, code=f"sd_jwt.{reason}", hint=hint, pointer=pointer)
