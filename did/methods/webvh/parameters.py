"""The parameters of a log: what its controller allows itself, and how that may change.

Source: did:webvh 1.0, "did:webvh DID Method Parameters", "The witness Parameter".
"""

import re
from dataclasses import dataclass, replace
from typing import Final, NoReturn, Self

from did.errors import DidLogError
from did.json import Json, JsonObject
from did.methods.webvh.names import HASH

METHOD: Final = "did:webvh:1.0"
MAX_TTL: Final = 2**31
DEFAULT_TTL: Final = 3600
# Every entry is held against the witnesses then active, and every key against those allowed.
MAX_LISTED: Final = 64

# An Ed25519 Multikey by its looks; whether the key is sound is seen when it verifies something.
_MULTIKEY = re.compile(r"z6Mk[1-9A-HJ-NP-Za-km-z]{44}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
_NAMES = frozenset(
    {
        "method",
        "scid",
        "updateKeys",
        "nextKeyHashes",
        "portable",
        "witness",
        "watchers",
        "deactivated",
        "ttl",
    }
)
# What null stands for in logs written before 1.0 was settled ("General Rules for Parameters").
_OF_NULL: Final[JsonObject] = {
    "updateKeys": [],
    "nextKeyHashes": [],
    "witness": {},
    "watchers": [],
    "ttl": DEFAULT_TTL,
}


@dataclass(frozen=True, slots=True)
class Witnesses:
    """``threshold`` of these did:keys must have approved an entry."""

    threshold: int
    dids: tuple[str, ...]

    def to_json(self, *, text: bool = False) -> JsonObject:
        """As in a log; with ``text``, as in resolution metadata, which has no numbers."""
        threshold = str(self.threshold) if text else self.threshold
        return {"threshold": threshold, "witnesses": [{"id": did} for did in self.dids]}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters in force after an entry."""

    scid: str
    update_keys: tuple[str, ...]
    next_key_hashes: tuple[str, ...] = ()
    portable: bool = False
    witness: Witnesses | None = None
    watchers: tuple[str, ...] = ()
    deactivated: bool = False
    ttl: int = DEFAULT_TTL

    @classmethod
    def first(cls, value: JsonObject) -> Self:
        """Those of the first entry. Raises ``DidLogError`` (``did.webvh_log``)."""
        scid = value.get("scid")
        if not isinstance(scid, str) or HASH.fullmatch(scid) is None:
            _refuse("the first entry must name the SCID, a SHA-256 multihash")
        if "method" not in value or "updateKeys" not in value:
            _refuse("the first entry must name the method and updateKeys")
        # Here alone, portable may become true.
        made = cls(scid, (), portable=True)._changed(value)
        if not made.update_keys:
            _refuse("the first entry must allow a key")
        return replace(made, portable=value.get("portable", False) is True)

    def then(self, value: JsonObject) -> Self:
        """Those after one entry more. Raises ``DidLogError`` (``did.webvh_log``)."""
        if "scid" in value:
            _refuse("only the first entry names the SCID")
        # Pre-rotation, once in force, wants both lists in every entry.
        if self.next_key_hashes and not {"updateKeys", "nextKeyHashes"} <= value.keys():
            _refuse("under pre-rotation an entry must have updateKeys and nextKeyHashes")
        return self._changed(value)

    def _changed(self, value: JsonObject) -> Self:
        if not value.keys() <= _NAMES:
            _refuse("an entry may only have the parameters of did:webvh 1.0")
        value = {n: _OF_NULL.get(n) if v is None else v for n, v in value.items()}
        if value.get("method", METHOD) != METHOD:
            _refuse("the method must be did:webvh:1.0")
        made = self
        if "updateKeys" in value:
            keys = _texts(value["updateKeys"], _MULTIKEY, "updateKeys must be Ed25519 Multikeys")
            made = replace(made, update_keys=keys)
        if "nextKeyHashes" in value:
            # Random texts may stand among them, so they are not read as hashes.
            hashes = _texts(value["nextKeyHashes"], None, "nextKeyHashes must be texts")
            made = replace(made, next_key_hashes=hashes)
        if "watchers" in value:
            watchers = _texts(value["watchers"], _URI, "watchers must be URIs")
            made = replace(made, watchers=watchers)
        if "witness" in value:
            made = replace(made, witness=_witnesses(value["witness"]))
        portable = value.get("portable", self.portable)
        deactivated = value.get("deactivated", False)
        if not isinstance(portable, bool) or not isinstance(deactivated, bool):
            _refuse("portable and deactivated must be true or false")
        if portable and not self.portable:
            _refuse("a DID that is not portable cannot become so")
        ttl = value.get("ttl", self.ttl)
        if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 <= ttl <= MAX_TTL:
            _refuse("ttl must be a number of seconds up to 2^31")
        return replace(made, portable=portable, deactivated=deactivated, ttl=ttl)


def _witnesses(value: Json) -> Witnesses | None:
    if value == {}:
        return None
    if not isinstance(value, dict) or value.keys() != {"threshold", "witnesses"}:
        _refuse("witness must have a threshold and witnesses, or be empty")
    items, threshold = value["witnesses"], value["threshold"]
    if not isinstance(items, list):
        _refuse("witnesses must be a list")
    keys: list[Json] = []
    for item in items:
        # A member more could be a weight, as in earlier versions: it would change the count.
        if not isinstance(item, dict) or item.keys() != {"id"}:
            _refuse("a witness has an id, and nothing else")
        did = item["id"]
        if not isinstance(did, str) or not did.startswith("did:key:"):
            _refuse("a witness must be a did:key")
        keys.append(did.removeprefix("did:key:"))
    dids = _texts(keys, _MULTIKEY, "a witness must be a did:key of an Ed25519 key, named once")
    if not isinstance(threshold, int) or isinstance(threshold, bool):
        _refuse("the threshold must be a number")
    if not 1 <= threshold <= len(dids):
        _refuse("the threshold must lie between one and the number of witnesses")
    return Witnesses(threshold, tuple("did:key:" + key for key in dids))


def _texts(value: Json, form: re.Pattern[str] | None, reason: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_LISTED:
        _refuse(f"{reason}, in a list of at most {MAX_LISTED}")
    texts: list[str] = []
    for item in value:
        if not isinstance(item, str) or (form is not None and form.fullmatch(item) is None):
            _refuse(reason)
        texts.append(item)
    if len(set(texts)) != len(texts):
        _refuse(f"{reason}, each once")
    return tuple(texts)


def _refuse(reason: str) -> NoReturn:
    raise DidLogError(reason)
