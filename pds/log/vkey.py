"""Verifier keys: a name, a key and what it signs, in one line (C2SP signed-note, *Verifier keys*).

    relay.example/log/0011223344556677+530d903a+AekyeRrm…

This is how the key of a log, or of a witness, is told to somebody who shall trust it.
"""

import base64
import re
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Final

from did.errors import DidError
from did.keys import VerifyKey
from pds.log.errors import NoteInvalid
from pds.log.note import check_key_name, decode_base64

MAX_VKEY = 1024
_ID_SIZE = 4
_HEX: Final = re.compile(r"[0-9a-f]{8}")


class Signs(Enum):
    """What a key signs: its byte in the table of signed-note, *Signature types*."""

    NOTES = b"\x01"
    """Notes, as the key of a log does."""
    COSIGNATURES = b"\x04"
    """What a witness saw, with the time (tlog-cosignature)."""


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A key that signs notes under a name. Raises NoteInvalid ``log.note`` for a name that is
    none."""

    name: str
    key: VerifyKey
    signs: Signs

    def __post_init__(self) -> None:
        check_key_name(self.name)

    @classmethod
    def parse(cls, text: str, *, expected: Signs) -> "NoteKey":
        """Read a vkey of the kind that is expected. Raises NoteInvalid ``log.vkey``.

        *Not* checked: whose key it is. A vkey is worth what the place is worth where it was found.
        """
        # 1. Three parts; a name has no plus, base64 may have some.
        name, first, rest = text[: MAX_VKEY + 1].partition("+")
        id_, second, encoded = rest.partition("+")
        if len(text) > MAX_VKEY or not first or not second or _HEX.fullmatch(id_) is None:
            raise _invalid("a verifier key has a name, an id and a key, parted by plus signs")
        # 2. The kind, and a sound key behind it.
        try:
            material = decode_base64(encoded)
            signs = Signs(material[:1])
            made = cls(name, VerifyKey.from_bytes(material[1:]), signs)
        except (NoteInvalid, DidError, ValueError):
            raise _invalid("the verifier key is not a sound Ed25519 key with a name") from None
        if signs is not expected:
            raise _invalid("this verifier key is of another kind")
        # 3. The id is that of name and key.
        if made.id.hex() != id_:
            raise _invalid("the id does not belong to this verifier key")
        return made

    @property
    def id(self) -> bytes:
        """The four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + self.signs.value + self.key.bytes).digest()[
            :_ID_SIZE
        ]

    @property
    def text(self) -> str:
        """What ``parse`` reads."""
        material = base64.b64encode(self.signs.value + self.key.bytes).decode()
        return f"{self.name}+{self.id.hex()}+{material}"


def log_key(origin: str, key: VerifyKey) -> NoteKey:
    """The key of a log, whose name is the origin."""
    return NoteKey(origin, key, Signs.NOTES)


def _invalid(message: str) -> NoteInvalid:
    return NoteInvalid(
        message, code="log.vkey", hint="It looks like name+12345678+A…, in one line."
    )
