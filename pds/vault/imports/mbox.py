"""Mail archives (mbox, RFC 4155): from messages to records of who wrote to whom, when, about what.

Of each message its head is kept and not its body: what stands in letters is in the mail program,
with its pictures and files, and an archive may have gigabytes of it. One head is held at a time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from email import message_from_bytes, policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from did.json import Json, JsonObject
from pds.vault.records import Origin

from .plan import Findings, ImportFailed, Read
from .source import Source
from .text import clean

MAX_HEAD = 65_536
MAX_PEOPLE = 200
MAX_LINE = 65_536
# How a message begins: who, and a date that ends in a year. Text that begins so is quoted by ``>``.
BEGINNING = re.compile(rb"From [^\r\n]{1,400}?[0-9]{2}:[0-9]{2}[^\r\n]{0,100}")

_FIELDS = ("To", "Cc", "Subject", "From", "Date", "Message-ID", "In-Reply-To", "X-Gmail-Labels")
_PEOPLE = {"to": "To", "cc": "Cc"}


@dataclass(slots=True, repr=False)
class _Mail:
    line: int
    head: list[bytes] = field(default_factory=list)
    size: int = 0
    in_head: bool = True


def mbox_reader(data: bytes | Path | Source) -> Read:
    """How a mail archive is read, of any length.

    Each message becomes one ``messages`` record of what its head says. ``line`` is where it begins.
    Problems: ``mbox.too_large`` and ``mbox.empty`` end one message, ``import.field`` leaves out a
    part of one. Raises ImportFailed: ``import.empty``; reading raises ``import.nothing_found``.
    """
    return partial(_read, Source.of(data))


def _read(source: Source, findings: Findings) -> None:
    with source.open() as stream:
        for mail in _mails(stream):
            findings.entries += 1
            _take(mail, findings)
    if not findings.entries:
        raise ImportFailed("The file holds no mail.", code="import.nothing_found")
    findings.assumptions.append(
        "Of each message its head is kept (who, when, about what); the text and the files are not."
    )


def _mails(stream: BinaryIO) -> Iterator[_Mail]:
    """The heads, one after another."""
    mail: _Mail | None = None
    blank, number = True, 0
    while line := stream.readline(MAX_LINE):
        whole = line.endswith(b"\n")
        number += 1
        if blank and BEGINNING.match(line) is not None:
            if mail is not None:
                yield mail
            mail = _Mail(number)
        elif mail is not None and mail.in_head:
            if not line.strip(b"\r\n"):
                mail.in_head = False
            else:
                mail.size += len(line)
                if mail.size <= MAX_HEAD:
                    mail.head.append(line)
        blank = not line.strip(b"\r\n")
        while not whole and (rest := stream.readline(MAX_LINE)):
            whole = rest.endswith(b"\n")
            if mail is not None and mail.in_head:
                mail.size += len(rest)
    if mail is not None:
        yield mail


def _take(mail: _Mail, findings: Findings) -> None:
    if mail.size > MAX_HEAD:
        findings.problem(mail.line, "mbox.too_large", "The head of a message is too long.")
        return
    message: Message = message_from_bytes(b"".join(mail.head), policy=policy.compat32)
    said = {name: _text(message, name) for name in _FIELDS}
    fields: JsonObject = {
        "kind": "email",
        "from": next(iter(_people(said["From"])), ""),
        "subject": clean(said["Subject"])[:1000],
        "when": _moment(said["Date"]),
        "messageId": clean(said["Message-ID"]),
        "replyTo": clean(said["In-Reply-To"]),
    }
    for key, name in _PEOPLE.items():
        people: list[Json] = [*_people(said[name])]
        if len(people) > MAX_PEOPLE:
            findings.leave_out(name, len(people) - MAX_PEOPLE)
        fields[key] = people[:MAX_PEOPLE]
    labels = [clean(label) for label in said["X-Gmail-Labels"].split(",")]
    fields["folder"] = ", ".join(filter(None, labels))[:500]
    fields["direction"] = "out" if "Sent" in labels else "in" if "Inbox" in labels else ""
    fields = {key: value for key, value in fields.items() if value}
    if not {"from", "to", "subject"} & set(fields):
        findings.problem(mail.line, "mbox.empty", "The message says neither who nor what.")
        return
    origin = Origin.of("mail", str(fields.get("messageId", "")))
    findings.draft("messages", fields, line=mail.line, entry="message", origin=origin)


def _text(message: Message, name: str) -> str:
    """A field with its encoded words (RFC 2047) read; as it stands where they cannot be."""
    value = message.get(name)
    if value is None:
        return ""
    value = " ".join(str(value).split())  # unfolded
    try:
        return str(make_header(decode_header(value)))
    except (ValueError, LookupError, MessageError):
        return value.encode("utf-8", "replace").decode()


def _people(text: str) -> list[str]:
    found = []
    for name, address in getaddresses([text]):
        name, address = clean(name), clean(address)  # noqa: PLW2901
        both = f"{name} <{address}>" if name and address and name != address else name or address
        if both and len(both) <= 500:
            found.append(both)
    return [*dict.fromkeys(found)]


def _moment(text: str) -> str:
    try:
        at = parsedate_to_datetime(text)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return ""
    return f"{at.replace(tzinfo=None, microsecond=0).isoformat()}Z"
