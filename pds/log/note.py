"""Signed notes with Ed25519 (C2SP signed-note).

A note is some text, an empty line, and signature lines ``— <name> <base64 of key id and
signature>``. Lines of keys that we do not know are passed over: witnesses and rotated keys may
sign too. The text counts for nothing until a known key has signed it.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256

from did.errors import SignatureInvalid
from did.keys import SigningKey, VerifyKey
from pds.log.errors import NoteInvalid

# The specification asks for at least 16 signatures, of which post-quantum ones reach 7 KB in text.
MAX_NOTE_BYTES = 262_144
MAX_SIGNATURES = 32

_ED25519 = b"\x01"
DASH = "— "
_ID_SIZE = 4
_KEY_NAME = re.compile(r"[^\s+\x00-\x1f\ud800-\udfff]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who claims to have signed, and what stands there as signature."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class UnverifiedNote:
    """A well-formed note that nobody has verified: its text must not be acted upon."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, note: str) -> "UnverifiedNote":
        """Read the form of a note (signed-note, *Format*). Raises NoteInvalid ``log.note``."""
        # 1. Size, UTF-8, and no control character but the newline.
        try:
            size = len(note.encode())
        except UnicodeEncodeError:
            raise NoteInvalid("a note must be valid UTF-8") from None
        if size > MAX_NOTE_BYTES:
            raise NoteInvalid("the note is too large")
        if _CONTROL.search(note):
            raise NoteInvalid("a note must not hold control characters")
        # 2. The last empty line parts text and signatures.
        body, gap, lines = note.rpartition("\n\n")
        if not gap:
            raise NoteInvalid("a note must have an empty line before its signatures")
        if not lines.endswith("\n"):
            raise NoteInvalid("a note must end with a newline")
        # 3. One or more signature lines and nothing else.
        signatures = lines[:-1].split("\n")
        if len(signatures) > MAX_SIGNATURES:
            raise NoteInvalid("the note has too many signatures")
        return cls(body + "\n", tuple(_read_signature(line) for line in signatures))


def check_key_name(name: str) -> None:
    """Raise NoteInvalid unless ``name`` may name a key: not empty, no space, plus or control."""
    if _KEY_NAME.fullmatch(name) is None:
        raise NoteInvalid("a key name must not be empty and not hold spaces or a plus sign")


def key_id(name: str, key: VerifyKey) -> bytes:
    """The four bytes that tell keys of one name apart (signed-note, *Signatures*)."""
    return sha256(name.encode() + b"\n" + _ED25519 + key.bytes).digest()[:_ID_SIZE]


def sign_note(text: str, *, name: str, key: SigningKey) -> str:
    """The signed note of a text that ends in a newline. Raises NoteInvalid for any other text."""
    check_key_name(name)
    try:
        message = text.encode()
    except UnicodeEncodeError:
        raise NoteInvalid("a note must be valid UTF-8") from None
    signed = base64.b64encode(key_id(name, key.verify_key) + key.sign(message)).decode()
    note = f"{text}\n{DASH}{name} {signed}\n"
    # What the reader would not read back as the same text is not handed out.
    if not text.endswith("\n") or UnverifiedNote.parse(note).text != text:
        raise NoteInvalid("the text of a note must end with a newline")
    return note


def open_note(note: str, *, name: str, key: VerifyKey) -> str:
    """The text of a note that ``key``, under this name, has signed.

    Lines of other keys are ignored, also when they share the name or the id. Raises NoteInvalid
    ``log.note`` (form) or ``log.signature`` (not signed by the key, or one of its lines is wrong).
    """
    parsed = UnverifiedNote.parse(note)
    expected = key_id(name, key)
    ours = [line for line in parsed.signatures if (line.name, line.key_id) == (name, expected)]
    if not ours:
        raise NoteInvalid("the note is not signed by the expected key", code="log.signature")
    message = parsed.text.encode()
    for line in ours:
        try:
            key.verify(line.signature, message)
        except SignatureInvalid:
            raise NoteInvalid(
                "the signature of the note is not valid", code="log.signature"
            ) from None
    return parsed.text


def decode_base64(text: str) -> bytes:
    """Standard base64 in its one canonical form (RFC 4648 §4). Raises NoteInvalid."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise NoteInvalid("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise NoteInvalid("not canonical base64")
    return data


def _read_signature(line: str) -> NoteSignature:
    if not line.startswith(DASH):
        raise NoteInvalid("a signature line must begin with a dash and a space")
    name, space, encoded = line[len(DASH) :].partition(" ")
    if not space:
        raise NoteInvalid("a signature line must hold a name and a signature")
    check_key_name(name)
    data = decode_base64(encoded)
    if len(data) <= _ID_SIZE:
        raise NoteInvalid("a signature must be longer than its key id")
    return NoteSignature(name, data[:_ID_SIZE], data[_ID_SIZE:])
