"""The issuers of the adapter: one key of each kind, and their status lists.

All of it lives in memory and ends with the process: this is for trying out, and nobody is to rely
on what it issued.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from credentials.bitstring import MIN_ENTRIES, BitString
from credentials.contexts import Contexts, with_proof_context, with_status_context
from credentials.credential import Credential, limits
from credentials.proof import add_proof
from credentials.status import read_index
from credentials.statuslist import issue_general_list
from credentials.suites.table import ECDSA_JCS, ECDSA_RDFC, ECDSA_SD, EDDSA_JCS, EDDSA_RDFC
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import Json, JsonObject, canonicalize
from did.keys import SigningKey
from pds.vcapi.problems import BadRequest

Key: TypeAlias = SigningKey | EcdsaSigningKey

ED25519: Final = "Ed25519"
_DEFAULT_SUITE: Final = {
    ED25519: EDDSA_RDFC,
    Curve.P256.crv: ECDSA_RDFC,
    Curve.P384.crv: ECDSA_RDFC,
}
_ENTRY: Final = "BitstringStatusListEntry"
# What a caller may ask of a status list here; other purposes need words that an entry brings.
_PURPOSES: Final = frozenset({"revocation", "suspension"})


@dataclass(slots=True)
class _List:
    url: str
    purpose: str
    issuer: Key
    bits: BitString
    taken: set[int]


class Issuers:
    """One issuer of each kind of key, by its did:key, and the status lists that they publish."""

    def __init__(self, *, base: str, now: Callable[[], datetime], contexts: Contexts) -> None:
        """``base`` is the adapter's own origin, under which its status lists are served."""
        self._base = base
        self._now = now
        self._contexts = contexts
        self._lock = threading.Lock()
        self._lists: dict[str, _List] = {}
        self.keys: dict[str, Key] = {
            ED25519: SigningKey.generate(),
            Curve.P256.crv: EcdsaSigningKey.generate(Curve.P256),
            Curve.P384.crv: EcdsaSigningKey.generate(Curve.P384),
        }

    def dids(self) -> JsonObject:
        """The DID of each issuer, by its kind of key."""
        return {kind: key.did for kind, key in self.keys.items()}

    def issue(self, unsigned: JsonObject, options: JsonObject) -> JsonObject:
        """Sign a credential as it is, or with a status entry where one is asked for.

        Options: ``cryptosuite``, ``keyType``, ``mandatoryPointers``, ``credentialStatus``. The
        credential's issuer must be one of ours. Raises ``BadRequest`` and ``CredentialError``.
        """
        document = dict(unsigned)
        if "proof" in document:
            raise BadRequest("a credential that has a proof is not issued again")
        # What would not verify is not issued; what it names must be what this was asked for.
        issuer = Credential.parse(document).issuer
        kind = self._kind_of(issuer, options)
        key = self.keys[kind]
        suite = _text(options, "cryptosuite") or _DEFAULT_SUITE[kind]
        wanted = options.get("credentialStatus")
        if wanted is not None:
            if "credentialStatus" in document:
                raise BadRequest("the credential has a credentialStatus already")
            document["credentialStatus"] = self._new_entry(kind, wanted)
            document["@context"] = with_status_context(document["@context"])
        document["@context"] = with_proof_context(document["@context"])
        Credential.parse(document)
        mandatory = pointers(options, "mandatoryPointers")
        if suite == ECDSA_SD and "mandatoryPointers" not in options:
            mandatory = limits(document)
        return add_proof(
            document,
            key,
            created=self._now(),
            cryptosuite=suite,
            mandatory_pointers=mandatory,
            contexts=self._contexts,
        )

    def holder(self, options: JsonObject) -> tuple[Key, str]:
        """The key and suite for a presentation."""
        kind = self._kind_of(None, options)
        return self.keys[kind], _text(options, "cryptosuite") or _DEFAULT_SUITE[kind]

    def _kind_of(self, issuer: str | None, options: JsonObject) -> str:
        asked = _text(options, "keyType")
        suite = _text(options, "cryptosuite") or ""
        if asked is not None and asked not in self.keys:
            raise BadRequest(
                "keyType must be one of " + ", ".join(self.keys), code="vcapi.key_type"
            )
        named = next((kind for kind, key in self.keys.items() if key.did == issuer), None)
        if issuer is not None and named is None:
            raise BadRequest(
                "the issuer must be one of those that GET /conformance.json names",
                code="vcapi.issuer",
            )
        if named is not None and asked not in (None, named):
            raise BadRequest("the issuer's key is not of this keyType", code="vcapi.key_type")
        return named or asked or (Curve.P256.crv if suite.startswith("ecdsa") else ED25519)

    # --- status lists ----------------------------------------------------------------------------

    def _new_entry(self, kind: str, wanted: Json) -> JsonObject:
        """A new entry at a random place of a list (Bitstring Status List 1.0 §5.3)."""
        if not isinstance(wanted, dict):
            raise BadRequest("options.credentialStatus must be an object", code="vcapi.status")
        asked = wanted
        purpose = asked.get("statusPurpose", "revocation")
        if (
            asked.get("type", _ENTRY) not in (_ENTRY, "BitstringStatusList")
            or not isinstance(purpose, str)
            or purpose not in _PURPOSES
        ):
            raise BadRequest(
                f"credentialStatus must ask for a {_ENTRY} for revocation or suspension",
                code="vcapi.status",
            )
        name = f"{kind.lower()}-{purpose}"
        with self._lock:
            listed = self._lists.get(name)
            if listed is None:
                listed = self._lists[name] = _List(
                    f"{self._base}/status-lists/{name}",
                    purpose,
                    self.keys[kind],
                    BitString.empty(),
                    set(),
                )
            if len(listed.taken) > MIN_ENTRIES // 2:
                raise BadRequest("the status list is full", code="vcapi.status")
            index = secrets.randbelow(MIN_ENTRIES)
            while index in listed.taken:
                index = secrets.randbelow(MIN_ENTRIES)
            listed.taken.add(index)
        return {
            "id": f"{listed.url}#{index}",
            "type": _ENTRY,
            "statusPurpose": purpose,
            "statusListIndex": str(index),
            "statusListCredential": listed.url,
        }

    def set_status(self, entry: JsonObject, *, value: bool) -> None:
        """Set or clear the bit of an entry that was given out here.

        Raises ``BadRequest`` or ``StatusInvalid`` (``status.index``).
        """
        if not isinstance(entry.get("statusListCredential"), str):
            raise BadRequest("credentialStatus must be an entry that was given out here")
        url, number = entry["statusListCredential"], read_index(entry.get("statusListIndex"))
        with self._lock:
            listed = next((item for item in self._lists.values() if item.url == url), None)
            if (
                listed is None
                or number not in listed.taken
                or entry.get("type") != _ENTRY
                or entry.get("statusPurpose") != listed.purpose
            ):
                raise BadRequest("the entry is not one that was given out here")
            if listed.purpose == "revocation" and not value:
                raise BadRequest("a revocation is not taken back", code="vcapi.status")
            listed.bits = listed.bits.with_value(number, 1, int(value))

    def status_list(self, name: str) -> bytes | None:
        """The signed status list of a name, made anew each time; ``None`` when there is none."""
        with self._lock:
            listed = self._lists.get(name)
        if listed is None:
            return None
        return canonicalize(
            issue_general_list(
                listed.issuer,
                url=listed.url,
                bits=listed.bits,
                purposes=(listed.purpose,),
                now=self._now(),
                cryptosuite=EDDSA_JCS if isinstance(listed.issuer, SigningKey) else ECDSA_JCS,
            )
        )

    def own_list(self, url: str) -> bytes | None:
        """The list at a URL of this adapter; ``None`` for any other URL."""
        prefix = f"{self._base}/status-lists/"
        return self.status_list(url.removeprefix(prefix)) if url.startswith(prefix) else None


def pointers(options: JsonObject, name: str) -> tuple[str, ...]:
    """A list of JSON pointers in the options; empty when absent. Raises ``BadRequest``."""
    value = options.get(name, [])
    items = value if isinstance(value, list) else [None]
    texts = tuple(item for item in items if isinstance(item, str))
    if len(texts) != len(items):
        raise BadRequest(f"{name} must be a list of JSON pointers")
    return texts


def _text(options: JsonObject, name: str) -> str | None:
    value = options.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise BadRequest(f"options.{name} must be text")
    return value
