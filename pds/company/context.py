"""What every verb of a company works with: rows, keys, the clock, the way to relays."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

from did.json import JsonObject, digest
from did.multikey import multihash_sha256
from pds.company.errors import CompanyError
from pds.company.identity import Signer, signer
from pds.company.store import Store
from pds.company.store.rows import GrantRow, RequestRow
from pds.db import Connection, transaction
from pds.mailbox import RelayClient, Transport
from pds.messages.fields import Fields
from pds.messages.request import AccessRequest, Purpose, VerifiedRequest

DATABASE = "company.db"
LOCK = "company.lock"
_PAUSE = 0.05


@dataclass(slots=True)
class Context:
    """An open company. ``transaction`` brackets every change."""

    conn: Connection
    folder: Path
    transport: Transport
    clock: Callable[[], datetime]
    random: Callable[[int], bytes] = field(repr=False)
    patience: float = 10.0
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(self.conn)

    def setting(self, name: str) -> str:
        value = self.store.setting(name)
        if value is None:
            raise damaged()
        return value

    @property
    def did(self) -> str:
        return self.setting("did")

    @property
    def relay(self) -> str:
        """The company's own relay: where its requests wait and its mailboxes are."""
        return self.setting("relay")

    @property
    def sandbox(self) -> bool:
        return self.setting("sandbox") == "1"

    def now(self) -> datetime:
        """The time, in whole seconds."""
        return self.clock().replace(microsecond=0)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with transaction(self.conn):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from collecting and redeeming meanwhile: each would take the
        other's unfinished steps for lost ones. Waits ``patience`` seconds, then ``company.busy``.
        """
        descriptor = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            last = monotonic() + self.patience
            while not _locked(descriptor):
                if monotonic() >= last:
                    raise CompanyError(
                        "another process is at work in this company's folder",
                        code="company.busy",
                        hint="Try again in a moment.",
                        exit_code=4,
                    )
                sleep(_PAUSE)
            yield
        finally:
            os.close(descriptor)  # which gives the lock back

    def event(self, kind: str, subject: str, detail: JsonObject | None = None) -> None:
        """Note what happened, in the caller's transaction. Never a value of anyone's."""
        self.store.add_event(kind, subject, detail or {}, self.now())

    def problem(self, code: str, subject: str, detail: JsonObject | None = None) -> None:
        """Note what did not fit, in the caller's transaction; the very same only once."""
        self.store.add_problem(code, subject, detail or {}, self.now())

    def signer(self) -> Signer:
        return signer(self.did, self.store.signing_keys())

    def client(self, relay: str) -> RelayClient:
        return RelayClient(relay, self.transport, clock=self.clock, random=self.random)

    def request_of(self, grant: GrantRow) -> RequestRow:
        row = self.store.request(grant.request)
        if row is None:
            raise damaged()
        return row

    def purpose_of(self, grant: GrantRow) -> Purpose:
        """What was asked for under this grant, in the words of the request."""
        asked = self.request_of(grant).raw["purposes"]
        for purpose in asked if isinstance(asked, list) else []:
            if isinstance(purpose, dict) and purpose.get("id") == grant.purpose_id:
                return Purpose.parse(Fields(purpose))
        raise damaged()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def verified_request(row: RequestRow) -> VerifiedRequest:
    """Our own request, which needs no verification, in the form that checks a decision."""
    return VerifiedRequest(
        request=AccessRequest.parse(row.raw), digest=digest(row.raw), raw=row.raw
    )


def seed(value: bytes | None) -> bytes:
    """A seed that must still be there."""
    if value is None:
        raise CompanyError("the keys of this request were destroyed", code="company.ended")
    return value


def fingerprint(octets: bytes) -> JsonObject:
    """What is kept of octets that were dropped: enough to recognise them."""
    return {"sha256": multihash_sha256(octets), "size": len(octets)}


def damaged() -> CompanyError:
    return CompanyError(
        "the company's database lacks a part",
        code="company.damaged",
        hint="Restore a backup of its folder.",
    )
