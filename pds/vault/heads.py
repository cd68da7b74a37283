"""The newest state of each vault that this machine has seen, kept outside the vault's folder.

SQLCipher cannot tell an old database from today's, nor can anything that lies beside it: who puts
back a whole folder, as a synchronising disk or a thief's hand may, puts back its counters too. So
the machine remembers, elsewhere, how far the history of a vault had come and its root. One small
file for each vault and place:

    {"format": "pds/v1/head", "size": n, "root": …, "at": …, "mac": …}

MAC: HMAC-SHA256 under a key of the vault, over the JCS of the object without it. The file's name is
one as well: neither says which vault or where. Written when a vault is closed, as a whole or not at
all; one that is missing, torn or forged says nothing, so a machine that has none accepts any state.
"""

import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from did.errors import DidError
from did.json import JsonObject, canonicalize, parse_object
from did.multikey import b64url_decode, b64url_encode
from did.time import format_time, parse_time
from pds.vault.keyslots import DataKey

_FORMAT = "pds/v1/head"
_MAX_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Head:
    """How many entries a history has, the root over them, and when the newest was made."""

    size: int
    root: bytes
    at: datetime | None = None


class HeadFile:
    """What this machine remembers of the vault in ``folder``; ``heads`` is where it remembers."""

    def __init__(self, heads: Path, folder: Path, data_key: DataKey) -> None:
        self._key = data_key.derive("head")
        place = hmac.digest(self._key, os.fsencode(folder.absolute()), "sha256")
        self._path = heads / f"{place[:16].hex()}.json"

    def under(self, folder: Path, data_key: DataKey) -> "HeadFile":
        """The file of the same vault under another data key; the old one stays, so that the vault
        of before, put back as a whole, is still seen to be older."""
        return HeadFile(self._path.parent, folder, data_key)

    def read(self) -> Head | None:
        """The head that was noted last, or None where there is none that this vault wrote."""
        try:
            with self._path.open("rb") as stream:
                document = parse_object(stream.read(_MAX_BYTES), max_bytes=_MAX_BYTES)
            mac = document.pop("mac")
            size, root, at = document["size"], document["root"], document.get("at")
            if not isinstance(size, int) or not isinstance(root, str) or not isinstance(mac, str):
                return None
            if not hmac.compare_digest(b64url_decode(mac), self._mac(document)):
                return None
            return Head(size, b64url_decode(root), parse_time(at) if isinstance(at, str) else None)
        except (OSError, DidError, KeyError):
            return None

    def note(self, head: Head, *, older: bool = False) -> None:
        """Remember a head, if it is newer than what is remembered, or ``older`` is meant.

        Raises OSError; what was remembered then stays.
        """
        known = self.read()
        if known is not None and known.size >= head.size and not older:
            return
        document: JsonObject = {
            "format": _FORMAT,
            "size": head.size,
            "root": b64url_encode(head.root),
        }
        if head.at is not None:
            document["at"] = format_time(head.at)
        document["mac"] = b64url_encode(self._mac(document))
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(draft, flags, 0o600), "wb") as stream:
                stream.write(canonicalize(document))
            draft.replace(self._path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise

    def _mac(self, document: JsonObject) -> bytes:
        return hmac.digest(self._key, canonicalize(document), "sha256")
