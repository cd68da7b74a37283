"""What relay and clients hand one another: manifests, answers, a relay's description of itself."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from did.errors import DidError
from did.json import JsonObject, parse_object, without_proof
from did.keys import VerifyKey
from did.multikey import b64url_decode, multihash_sha256
from did.time import format_time, parse_time
from pds.errors import PdsError
from pds.wire.codes import WireError
from pds.wire.forms import digest, integer, members, object_, text
from pds.wire.ids import check_id, parse_relay_url

MIB = 1_048_576
SEAL = 1_137
"""Bytes that a seal adds to what was padded."""
WHOLE = MIB + SEAL
"""Bytes of the largest sealed object that stands in an answer itself; what is longer is handed out
in pieces of so many."""
MAX_SEALED = 16 * MIB + SEAL
"""Bytes of the largest sealed object that there is. A relay may take less, and says how much."""

_MANIFEST_MEMBERS = {"type", "package", "seq", "ticket", "sha256", "size", "notAfter"}
_LOG_ORIGIN = re.compile(r"[a-z0-9.:\[\]-]{1,260}/log/[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a relay may know of a package: which ticket, which version, how large, until when.

    ``ticket`` is the ticket's digest and ``sha256`` the multihash of the sealed bytes, ``size``
    their number. Signing and verifying the proof is the caller's (``credentials.proof``).
    """

    package: str
    seq: int
    ticket: str
    sha256: str
    size: int
    not_after: datetime

    @classmethod
    def parse(cls, raw: JsonObject) -> Self:
        """Read a manifest with or without its proof; anything else is ``wire.manifest``."""
        signed = without_proof(raw)
        try:
            members(signed, _MANIFEST_MEMBERS)
            if signed["type"] != "Manifest":
                raise ValueError
            return cls(
                package=check_id(signed["package"]),
                seq=integer(signed["seq"], least=1),
                ticket=digest(signed["ticket"]),
                sha256=digest(signed["sha256"]),
                size=integer(signed["size"], least=1),
                not_after=parse_time(text(signed["notAfter"])),
            )
        except (ValueError, PdsError, DidError):
            raise WireError("this is not a manifest", code="wire.manifest") from None

    def to_json(self) -> JsonObject:
        """The object to be signed."""
        return {
            "type": "Manifest",
            "package": self.package,
            "seq": self.seq,
            "ticket": self.ticket,
            "sha256": self.sha256,
            "size": self.size,
            "notAfter": format_time(self.not_after),
        }

    def check_sealed(self, sealed: bytes) -> None:
        """Return if these are the bytes that the manifest speaks of; else ``wire.manifest``."""
        if len(sealed) != self.size or multihash_sha256(sealed) != self.sha256:
            raise WireError("the sealed bytes are not the manifest's", code="wire.manifest")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a redemption yields. ``manifest`` and ``receipt`` are *unverified*; ``raw`` is what
    arrived, so that the same answer can be recognised."""

    manifest: JsonObject
    sealed: bytes = field(repr=False)
    receipt: JsonObject
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes, *, pieces: Callable[[int], bytes] | None = None) -> Self:
        """Read ``{"manifest", "sealed", "receipt"}``; anything else is ``wire.answer``.

        Of a package that is longer than ``WHOLE``, ``sealed`` is null and ``pieces`` fetches it, of
        the size that the manifest says. Sealed bytes that are not those of the manifest are refused
        too.
        """
        try:
            answer = parse_object(raw, max_bytes=2 * WHOLE)
            members(answer, {"manifest", "sealed", "receipt"})
            manifest, receipt = object_(answer["manifest"]), object_(answer["receipt"])
            described = Manifest.parse(manifest)
            stands = answer["sealed"] is not None
            sealed = b64url_decode(text(answer["sealed"])) if stands else b""
            if not stands and (pieces is None or not WHOLE < described.size <= MAX_SEALED):
                raise ValueError
        except (ValueError, PdsError, DidError):
            raise _no_answer() from None
        if not stands and pieces is not None:
            sealed = pieces(described.size)
        try:
            described.check_sealed(sealed)
        except WireError:
            raise _no_answer() from None
        return cls(manifest=manifest, sealed=sealed, receipt=receipt, raw=raw)


def _no_answer() -> WireError:
    return WireError("this is not the answer to a redemption", code="wire.answer")


@dataclass(frozen=True, slots=True)
class RelayInfo:
    """How a relay describes itself: its address, its log, its registration, its clock, and how many
    bytes of a sealed object it takes."""

    relay: str
    log_origin: str
    log_key: VerifyKey
    registration: str
    time: datetime
    max_sealed: int = WHOLE

    @classmethod
    def parse(cls, raw: JsonObject, *, expected_relay: str | None) -> Self:
        """Read ``GET /v1/relay``; anything else, or another relay's, is ``wire.relay_info``.

        A relay that does not say how much it takes, takes ``WHOLE``.
        """
        try:
            raw = {"maxSealed": WHOLE, **raw}
            members(raw, {"relay", "logOrigin", "logKey", "registration", "time", "maxSealed"})
            info = cls(
                relay=parse_relay_url(raw["relay"]),
                log_origin=text(raw["logOrigin"]),
                log_key=VerifyKey.from_multikey(text(raw["logKey"])),
                registration=text(raw["registration"]),
                time=parse_time(text(raw["time"])),
                max_sealed=integer(raw["maxSealed"], least=1),
            )
            # The origin is a line and a name in signed notes: {host}/log/{8 bytes hex}.
            if _LOG_ORIGIN.fullmatch(info.log_origin) is None:
                raise ValueError
            if info.registration not in ("open", "token"):
                raise ValueError
        except (ValueError, PdsError, DidError):
            raise WireError("this does not describe a relay", code="wire.relay_info") from None
        if expected_relay is not None and info.relay != expected_relay:
            raise WireError(
                "the relay says that it has another address",
                code="wire.relay_info",
                hint="Use the address that the relay itself gives.",
            )
        return info

    def to_json(self) -> JsonObject:
        """The form that ``parse`` reads."""
        return {
            "relay": self.relay,
            "logOrigin": self.log_origin,
            "logKey": self.log_key.multikey,
            "registration": self.registration,
            "time": format_time(self.time),
            "maxSealed": self.max_sealed,
        }
