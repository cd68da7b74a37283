"""What a relay says about mailboxes and packages, read from its JSON.

A reader raises ``ValueError``, ``DidError`` or ``PdsError``; under ``errors.shape`` each of them
becomes ``relay.nonsense``.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from did.json import Json, JsonObject
from did.multikey import b64url_decode
from pds.wire import Manifest, check_id
from pds.wire.forms import flag, integer, members, object_, text

MAX_PAGE_ENTRIES = 1_000
MAX_LIST_ENTRIES = 100_000

_MAX_PROOF = 64
_SHALLOW = 8


@dataclass(frozen=True, slots=True)
class PackageState:
    """A package as a mailbox lists it."""

    package: str
    seq: int
    uses: int
    ended: bool


@dataclass(frozen=True, slots=True)
class ListState:
    """A status list as a mailbox lists it."""

    list: str
    sequence: int


@dataclass(frozen=True, slots=True)
class MailboxInfo:
    """What a relay holds for one mailbox. Claims of the relay; used after a restore."""

    mailbox: str
    epoch: int
    packages: tuple[PackageState, ...]
    lists: tuple[ListState, ...]

    @classmethod
    def parse(cls, raw: JsonObject, *, expected_mailbox: str) -> Self:
        """Read ``GET /v1/mailboxes/{id}``; anything else, or another mailbox's, is an error."""
        members(raw, {"mailbox", "epoch", "packages", "lists"})
        if raw["mailbox"] != expected_mailbox:
            raise ValueError
        packages = objects(raw["packages"], {"package", "seq", "uses", "ended"})
        lists = objects(raw["lists"], {"list", "sequence"})
        return cls(
            mailbox=expected_mailbox,
            epoch=integer(raw["epoch"]),
            packages=tuple(
                PackageState(
                    package=check_id(one["package"]),
                    seq=integer(one["seq"]),
                    uses=integer(one["uses"]),
                    ended=flag(one["ended"]),
                )
                for one in packages
            ),
            lists=tuple(
                ListState(list=check_id(one["list"]), sequence=integer(one["sequence"]))
                for one in lists
            ),
        )


@dataclass(frozen=True, slots=True)
class StagedPackage:
    """What a relay holds for one package; ``manifest`` and ``ticket`` are unverified.

    Of an ended package they may be gone.
    """

    manifest: JsonObject | None
    ticket: JsonObject | None
    uses: int
    ended: bool

    @classmethod
    def parse(cls, raw: JsonObject, *, expected_package: str) -> Self:
        """Read ``GET /v1/packages/{id}``; anything else, or another package's, is an error."""
        ended = flag(raw.get("ended"))
        gone: JsonObject = {"manifest": None, "ticket": None} if ended else {}
        raw = gone | raw
        members(raw, {"manifest", "ticket", "uses", "ended"})
        manifest, ticket = (
            None if ended and raw[name] is None else object_(raw[name])
            for name in ("manifest", "ticket")
        )
        if manifest is not None and Manifest.parse(manifest).package != expected_package:
            raise ValueError
        return cls(manifest, ticket, uses=integer(raw["uses"]), ended=ended)


def rising(value: Json, after: int) -> int:
    """An ordinal beyond the one before."""
    number = integer(value)
    if number <= after:
        raise ValueError
    return number


def more(value: Json, found: Collection[object]) -> bool:
    """Whether there are more pages."""
    there_are = flag(value)
    # "More" after an empty page would have a caller ask for ever.
    if there_are and not found:
        raise ValueError
    return there_are


def shallow(value: JsonObject) -> JsonObject:
    """An object that nests no deeper than anything of the protocol, so that it can be kept as
    evidence within something else."""
    level: list[Json] = [value]
    for _ in range(_SHALLOW):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    if any(isinstance(one, dict | list) for one in level):
        raise ValueError
    return value


def array(value: Json, *, most: int) -> list[Json]:
    """A list of at most so many entries."""
    if not isinstance(value, list) or len(value) > most:
        raise ValueError
    return value


def objects(value: Json, names: set[str], *, most: int = MAX_LIST_ENTRIES) -> list[JsonObject]:
    """A list of objects, each with exactly these members."""
    found = [object_(one) for one in array(value, most=most)]
    for one in found:
        members(one, names)
    return found


def hashes(value: Json) -> list[bytes]:
    """The SHA-256 digests of a log proof."""
    found = [b64url_decode(text(one)) for one in array(value, most=_MAX_PROOF)]
    if any(len(one) != 32 for one in found):
        raise ValueError
    return found
