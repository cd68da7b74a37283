"""Where ``pds log`` reads a log: at a relay, or in a folder laid out like one (C2SP tlog-tiles)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from did.keys import VerifyKey
    from pds.log.succession import LoggedSuccession
    from pds.log.tiles import Tile
    from pds.log.vkey import NoteKey

_MAX_FILE = 1_048_576
_MOST_DIGITS = 12


@dataclass(slots=True)
class LogSource:
    """Where a log lies: read by name beneath its prefix; ``key`` is what it says itself."""

    origin: str | None
    key: "VerifyKey | None"
    read: Callable[[str], bytes]
    cosigned: tuple[str, ...] = ()
    current: bool = True
    """Whether it is the log that the relay writes now."""

    def successions(self) -> "tuple[LoggedSuccession, ...]":
        """The changes of its key, each verified. Raises LogError."""
        from did.json import parse_object
        from pds.log.succession import read_successions

        try:
            document = self.read("keys.json")
        except LookupError:
            return ()
        return read_successions(parse_object(document))

    def known_key(self) -> "NoteKey":
        from pds.log.vkey import log_key

        if self.origin is None or self.key is None:
            raise click.UsageError("The key of the log is needed: --key, or --state.")
        return log_key(self.origin, self.key)

    def note(self) -> str:
        # Octets that are no text make a note that nobody has signed.
        return self.read("checkpoint").decode(errors="replace")

    def tile(self, tile: "Tile") -> bytes:
        return self.read(f"tile/{tile.path}")

    def saved_in(self, folder: Path) -> "LogSource":
        """The same, once all of it lies in a folder. What is in the folder is replaced."""
        from pds.log.note import UnverifiedNote
        from pds.log.tiles import all_tiles

        note = self.note()
        size = UnverifiedNote.parse(note).text.split("\n")[1]
        if not size.isascii() or not size.isdecimal() or len(size) > _MOST_DIGITS:
            raise LookupError
        for tile in all_tiles(int(size)):
            place = folder / "tile" / tile.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(self.tile(tile))
        (folder / "checkpoint").write_text(note, encoding="utf-8")
        (folder / "keys.json").write_bytes(self.read("keys.json"))
        return LogSource(self.origin, self.key, _reader(folder), self.cosigned, self.current)


@contextmanager
def online(url: str) -> Iterator[LogSource]:
    """A log at a relay: the one it writes now, or the one that the path names."""
    from did.json import canonicalize
    from did.time import utc_now
    from pds.log.note import MAX_NOTE_BYTES
    from pds.log.tiles import MAX_TILE
    from pds.mailbox import RelayClient, RelayError
    from pds.net import Transport
    from pds.net.addresses import Url

    asked = Url.parse(url)
    name = url.rstrip("/").partition("://")[2].partition("/")[2]
    with Transport(trusted_origins=[asked.origin]) as way:
        client = RelayClient(asked.origin, way, clock=utc_now)
        info = client.info()
        origin = info.log_origin
        if name:
            origin = f"{asked.origin.partition('://')[2]}/{name}"
        prefix = f"{asked.origin.partition('://')[0]}://{origin}"

        def read(place: str) -> bytes:
            if place == "keys.json":
                return keys
            limit = MAX_TILE if place.startswith("tile/") else MAX_NOTE_BYTES
            answer = way.request("GET", f"{prefix}/{place}", max_bytes=limit)
            if answer.status == 404:
                raise LookupError
            if answer.status != 200:
                raise OSError
            return answer.body

        try:
            keys = canonicalize(client.successions())
        except RelayError:
            keys = b'{"successions":[]}'
        try:
            cosigned = client.cosigned() if origin == info.log_origin else ()
        except RelayError:
            cosigned = ()
        current = origin == info.log_origin
        yield LogSource(origin, info.log_key, read, cosigned, current)


@contextmanager
def offline(folder: Path) -> Iterator[LogSource]:
    yield LogSource(None, None, _reader(folder))


def _reader(folder: Path) -> Callable[[str], bytes]:
    def read(place: str) -> bytes:
        try:
            with (folder / place).open("rb") as file:
                return file.read(_MAX_FILE)
        except FileNotFoundError:
            raise LookupError from None

    return read
