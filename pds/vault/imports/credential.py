"""Credentials that others issued: verified first, then kept as they are, to the letter.

JSON-LD credentials of both versions of the data model, JWT, SD-JWT and SD-JWT VC; one, a list of
them, or those in a presentation. One whose proof does not hold is refused, and so is one whose
issuer's key cannot be found. Whether one was withdrawn is not asked: that would tell the issuer
who has it, and when.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from did.errors import DidError
from did.json import JsonObject, parse
from did.time import format_time

from .conversions import plain
from .plan import Findings, ImportFailed, Read
from .source import Source

if TYPE_CHECKING:
    from credentials.credential import Credential
    from did.resolve import Resolver

MAX_FILE = 4 * 1024 * 1024
MAX_CREDENTIALS = 200
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(~[A-Za-z0-9_.~-]*)?")


@dataclass(frozen=True, slots=True)
class _Verified:
    fields: JsonObject
    notes: tuple[str, ...]


def looks_like_token(start: str) -> bool:
    """Whether a file begins as a signed token does."""
    return re.match(r"eyJ[A-Za-z0-9_-]{8,}\.", start) is not None


def credential_reader(data: bytes | Path | Source, *, resolver: "Resolver", now: datetime) -> Read:
    """How a file of credentials is read; they are verified here, once, as of ``now``.

    Each becomes a ``credentials`` record, attested. One that is over is kept if its proof held
    while it lasted. Raises ImportFailed ``import.too_large``, ``import.nothing_found``; and where
    not one can be taken, what is wrong with the first, by its own code (``proof.*``, ``jose.*``,
    ``credential.*``, ``did.*``).
    """
    from credentials.errors import CredentialError

    source = Source.of(data)
    if source.size > MAX_FILE:
        raise ImportFailed("The file is too large for credentials.", code="import.too_large")
    found: list[_Verified | tuple[str, str]] = []
    first: CredentialError | DidError | None = None
    pieces, presented = _pieces(source.whole())
    for piece in pieces:
        try:
            found.append(_verify(piece, resolver=resolver, now=now))
        except (CredentialError, DidError) as error:
            first = first or error
            found.append((error.code, _sentence(error)))
    if not any(isinstance(one, _Verified) for one in found):
        if first is None:
            raise ImportFailed("The file holds no credential.", code="import.nothing_found")
        raise ImportFailed(_sentence(first), code=first.code, hint=first.hint) from first
    return partial(_read, tuple(found), presented)


def _sentence(error: Exception) -> str:
    return f"The credential was refused: {error}."


def _read(
    found: tuple[_Verified | tuple[str, str], ...], presented: bool, findings: Findings
) -> None:
    findings.assurance = "attested"
    findings.assumptions.append(
        "Whether a credential was withdrawn was not asked: that would tell its issuer who has it."
    )
    if presented:
        findings.assumptions.append("The presentation around the credentials was not verified.")
    for number, one in enumerate(found, start=1):
        findings.entries += 1
        if isinstance(one, _Verified):
            findings.assumptions += one.notes
            findings.draft("credentials", one.fields, line=number, entry="credential", about="self")
        else:
            findings.problem(number, *one)


def _pieces(raw: bytes) -> tuple[list[str | tuple[str, JsonObject]], bool]:
    """The credentials of a file: tokens, or objects with the text that they came as; and whether
    they stood in a presentation."""
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ImportFailed("The file is not UTF-8.", code="import.encoding") from None
    if _TOKEN.fullmatch(text):
        return [text], False
    try:
        whole: Any = parse(text.encode(), max_bytes=MAX_FILE, allow_floats=True)
    except DidError as error:
        raise ImportFailed(
            "The file is no whole JSON.", code="import.unreadable", hint=error.hint
        ) from error
    presented = isinstance(whole, dict) and "verifiableCredential" in whole
    inside = whole["verifiableCredential"] if presented else whole
    members = inside if isinstance(inside, list) else [inside]
    if len(members) > MAX_CREDENTIALS:
        raise ImportFailed("The file holds too many credentials.", code="import.too_many")
    pieces: list[str | tuple[str, JsonObject]] = []
    for one in members:
        if isinstance(one, str):
            pieces.append(one)
        elif isinstance(one, dict):
            pieces.append((text if one is whole else json.dumps(one, ensure_ascii=False), one))
    return pieces, presented


def _verify(
    piece: str | tuple[str, JsonObject], *, resolver: "Resolver", now: datetime
) -> _Verified:
    """One credential as a record. Raises CredentialError or DidError."""
    from credentials.envelope import Envelope
    from credentials.jose import read_jws

    if isinstance(piece, tuple):
        text, document = piece
        if not str(document.get("id", "")).startswith("data:"):
            return _document(text, document, resolver=resolver, now=now)
        piece = Envelope.parse(document).token

    payload = parse(read_jws(piece.partition("~")[0]).payload, allow_floats=True)
    if "~" in piece and isinstance(payload, dict) and "vct" in payload:
        return _sd_jwt_vc(piece, resolver=resolver, now=now)
    return _jwt(piece, payload, resolver=resolver, now=now)


def _document(text: str, document: JsonObject, *, resolver: "Resolver", now: datetime) -> _Verified:
    from credentials.credential import Credential
    from credentials.status import WITHOUT_STATUS
    from credentials.verify import verify_credential

    shown = Credential.parse({k: v for k, v in document.items() if k != "proof"})
    at, notes = _when(shown.valid_until, now)
    verified = verify_credential(document, now=at, status=WITHOUT_STATUS, resolver=resolver)
    return _Verified(_fields(verified.credential, text, "vc-di"), notes)


def _jwt(token: str, payload: Any, *, resolver: "Resolver", now: datetime) -> _Verified:
    from credentials.credential import Credential
    from credentials.status import WITHOUT_STATUS
    from credentials.vc_jwt import verify_vc_jwt

    at: datetime = now
    notes: tuple[str, ...] = ()
    if isinstance(payload, dict) and "validUntil" in payload:
        at, notes = _when(Credential.parse(payload).valid_until, now)
    verified = verify_vc_jwt(token, now=at, status=WITHOUT_STATUS, resolver=resolver)
    return _Verified(
        _fields(verified.credential, token, "vc-sd-jwt" if "~" in token else "vc-jwt"), notes
    )


def _sd_jwt_vc(token: str, *, resolver: "Resolver", now: datetime) -> _Verified:
    from credentials.sd_jwt_vc import verify_sd_jwt_vc
    from credentials.status import WITHOUT_STATUS

    verified = verify_sd_jwt_vc(
        token,
        now=now,
        status=WITHOUT_STATUS,
        expected_audience=None,
        expected_nonce=None,
        require_key_binding=False,
        resolver=resolver,
    )
    fields: JsonObject = {
        "raw": token,
        "format": "vc-sd-jwt",
        "types": [plain(verified.type)],
        "issuer": verified.issuer,
    }
    subject = verified.claims.get("sub")
    if plain(subject):
        fields["subject"] = plain(subject)
    if verified.proof.created is not None:
        fields["validFrom"] = format_time(verified.proof.created)
    if verified.proof.expires is not None:
        fields["validUntil"] = format_time(verified.proof.expires)
    return _Verified(fields, ())


def _when(until: datetime | None, now: datetime) -> tuple[datetime, tuple[str, ...]]:
    """As of when a credential is verified: one that is over, as of its last second."""
    if until is None or until > now:
        return now, ()
    return until - timedelta(seconds=1), ("A credential is over; its proof held while it lasted.",)


def _fields(credential: "Credential", raw: str, form: str) -> JsonObject:
    fields: JsonObject = {
        "raw": raw,
        "format": form,
        "types": [t for t in credential.types if t != "VerifiableCredential"]
        or ["VerifiableCredential"],
        "issuer": credential.issuer,
    }
    document = credential.raw
    issuer = document.get("issuer")
    known: dict[str, Any] = {
        "id": credential.id,
        "name": document.get("name"),
        "company": issuer.get("name") if isinstance(issuer, dict) else None,
        "subject": credential.subject.get("id"),
    }
    fields |= {name: text for name, value in known.items() if (text := plain(value))}
    if credential.valid_from is not None:
        fields["validFrom"] = format_time(credential.valid_from)
    if credential.valid_until is not None:
        fields["validUntil"] = format_time(credential.valid_until)
    return fields
