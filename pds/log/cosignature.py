"""Cosignatures of witnesses, Ed25519, ``cosignature/v1`` (C2SP tlog-cosignature).

A cosignature says: at this time, this was the largest tree of the log that I had seen, and every
tree that I had cosigned before is its beginning. The signed message does not name the witness, so
a key must never serve two of them.
"""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from did.errors import SignatureInvalid
from did.keys import SigningKey
from pds.log.errors import NoteInvalid
from pds.log.note import DASH, UnverifiedNote
from pds.log.vkey import NoteKey, Signs

AHEAD = timedelta(minutes=10)
"""How far ahead of ours a witness's clock may be; a cosignature from further ahead is refused."""

_TIME_SIZE = 8


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness that cosigned, and when by its clock. Made by ``verify_cosignature``."""

    witness: NoteKey
    at: datetime


def cosign(note: str, *, name: str, key: SigningKey, at: datetime) -> str:
    """The signature line, with its newline, of a witness under a checkpoint.

    Only after the checkpoint was found to grow out of the last one cosigned; this is *not* checked
    here. Raises NoteInvalid for a note without form.
    """
    text = UnverifiedNote.parse(note).text
    witness = NoteKey(name, key.verify_key, Signs.COSIGNATURES)
    seconds = int(at.timestamp())
    signature = key.sign(_message(text, seconds))
    signed = witness.id + seconds.to_bytes(_TIME_SIZE) + signature
    return f"{DASH}{name} {base64.b64encode(signed).decode()}\n"


def verify_cosignature(note: str, *, witness: NoteKey, now: datetime) -> Cosignature:
    """What a witness has said of the checkpoint in a note.

    Raises NoteInvalid: ``log.note`` (form), ``log.cosignature`` (not by this witness, not valid,
    or from the future). *Not* checked: the signature of the log, and the text.
    """
    # 1. The form of the note.
    parsed = UnverifiedNote.parse(note)
    # 2. A line of exactly this name and id (signed-note, *Signatures*).
    lines = [
        line.signature
        for line in parsed.signatures
        if (line.name, line.key_id) == (witness.name, witness.id)
    ]
    if not lines or witness.signs is not Signs.COSIGNATURES:
        raise _invalid("the checkpoint is not cosigned by this witness")
    # 3. Each is a time and a signature over header, time and text (*Ed25519 signed message*).
    for line in lines:
        seconds = int.from_bytes(line[:_TIME_SIZE])
        try:
            witness.key.verify(line[_TIME_SIZE:], _message(parsed.text, seconds))
        except SignatureInvalid:
            raise _invalid("the cosignature is not valid") from None
        # 4. The time is one, and not ahead of ours.
        if not 0 < seconds <= int((now + AHEAD).timestamp()):
            raise _invalid("the cosignature is from the future")
    newest = max(int.from_bytes(line[:_TIME_SIZE]) for line in lines)
    return Cosignature(witness, datetime.fromtimestamp(newest, UTC))


def cosignature_line(answer: str, *, note: str, witness: NoteKey, now: datetime) -> str:
    """The newest line of this witness in its answer to add-checkpoint, verified against the note.

    Lines of other keys are left out (tlog-witness, *add-checkpoint*). Raises NoteInvalid.
    """
    whole = note + answer
    verify_cosignature(whole, witness=witness, now=now)
    signed = max(
        line.key_id + line.signature
        for line in UnverifiedNote.parse(whole).signatures
        if (line.name, line.key_id) == (witness.name, witness.id)
    )
    return f"{DASH}{witness.name} {base64.b64encode(signed).decode()}\n"


def _message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _invalid(message: str) -> NoteInvalid:
    return NoteInvalid(message, code="log.cosignature")
