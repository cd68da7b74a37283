"""What anyone may call at a relay, and the way to what only an owner may."""

import os
import re

from did.json import JsonObject, canonicalize, digest, parse_object
from did.keys import SigningKey
from did.multikey import b64url_decode, multihash_sha256
from did.time import parse_time
from pds.errors import PdsError
from pds.mailbox.calls import (
    DONE,
    MAX_ANSWER,
    MAX_IDENTITY,
    MAX_PAGE,
    MAX_PROBLEM,
    MAX_SMALL,
    MAX_STATUS_LIST,
    Clock,
    RelayCalls,
    Transport,
)
from pds.mailbox.errors import RelayError, shape, unreachable
from pds.mailbox.owner import OwnedMailbox
from pds.mailbox.reading import array, hashes
from pds.wire import WHOLE, Answer, Manifest, Random, RelayInfo, check_id
from pds.wire.forms import digest as multihash
from pds.wire.forms import members, text

_MAX_COSIGNED = 16
_CHALLENGE = re.compile(r"[!-~]{16,512}")


class RelayClient:
    """One relay. ``clock`` dates signatures; ``random`` makes their nonces."""

    def __init__(
        self,
        relay: str,
        transport: Transport,
        *,
        clock: Clock,
        random: Random = os.urandom,
    ) -> None:
        self._calls = RelayCalls(relay, transport, clock=clock, random=random)

    @property
    def relay(self) -> str:
        """The relay's address."""
        return self._calls.relay

    def info(self) -> RelayInfo:
        """The relay's description of itself, for this very address.

        ``time`` is its clock: who signs compares it with their own first.
        """
        raw = self._calls.json("GET", "/v1/relay", {200}, limit=MAX_SMALL)
        with shape():
            return RelayInfo.parse(raw, expected_relay=self.relay)

    def deposit(self, mailbox: str, capability: str, octets: bytes) -> JsonObject:
        """Put sealed octets into somebody's mailbox; returns the receipt (``deposit``)."""
        raw = self._calls.json(
            "POST",
            f"/v1/mailboxes/{check_id(mailbox)}/envelopes",
            DONE,
            body=octets,
            headers={
                "Authorization": f"Bearer {capability}",
                "Content-Type": "application/octet-stream",
            },
        )
        return self._calls.receipt(
            raw,
            type="deposit",
            mailbox=mailbox,
            sha256=multihash_sha256(octets),
            size=len(octets),
        )

    def challenge(self) -> str:
        """A fresh challenge for a redemption; it lasts about two minutes."""
        raw = self._calls.json("GET", "/v1/challenge", {200})
        with shape():
            members(raw, {"challenge", "expires"})
            parse_time(text(raw["expires"]))
            challenge = text(raw["challenge"])
            if _CHALLENGE.fullmatch(challenge) is None:
                raise ValueError
            return challenge

    def redeem(self, presentation: JsonObject, key: SigningKey) -> Answer:
        """Present a presentation that this redemption key has signed. Store its digest first: with
        it the answer can be fetched again (``recover``) when this call breaks off."""
        body = canonicalize({"presentation": presentation})
        response = self._calls.call("POST", "/v1/redemptions", {200}, body=body, limit=MAX_ANSWER)
        try:
            return self._answer(response.body, digest(presentation), key)
        except RelayError as error:
            # It was carried out and counts. That a piece was refused does not take it back.
            raise unreachable() from error

    def recover(self, redemption: str, key: SigningKey) -> Answer:
        """The answer to a redemption once more, uncounted. ``redemption`` is its digest."""
        path = f"/v1/redemptions/{multihash(redemption)}"
        response = self._calls.call("GET", path, {200}, signed=(key, 0), limit=MAX_ANSWER)
        return self._answer(response.body, redemption, key)

    def acknowledge(self, redemption: str, key: SigningKey) -> None:
        """Tell the relay that the answer has arrived: it forgets it."""
        path = f"/v1/redemptions/{multihash(redemption)}"
        self._calls.call("DELETE", path, {204}, signed=(key, 0))

    def status(self, list_url: str) -> tuple[bytes, JsonObject | None]:
        """A status list of this relay, and the relay's stamp on it if there is one.

        Both unverified. A URL at another relay is a mistake of the caller: ``wire.relay_url``.
        """
        prefix = f"{self.relay}/v1/status/"
        if not list_url.startswith(prefix):
            raise PdsError("the status list is at another relay", code="wire.relay_url")
        path = f"/v1/status/{check_id(list_url.removeprefix(prefix))}"
        response = self._calls.call("GET", path, {200}, limit=MAX_STATUS_LIST)
        stamp = response.headers.get("pds-stamp")
        if stamp is None:
            return response.body, None
        with shape():
            return response.body, parse_object(b64url_decode(stamp), max_bytes=MAX_PROBLEM)

    def request(self, request_id: str) -> bytes:
        """The locked request behind a link."""
        path = f"/v1/requests/{check_id(request_id)}"
        return self._calls.call("GET", path, {200}, limit=WHOLE).body

    def identity(self, identity: str) -> bytes:
        """The log of an identity that this relay hosts, unverified."""
        path = f"/identities/{check_id(identity)}/did.jsonl"
        return self._calls.call("GET", path, {200}, limit=MAX_IDENTITY).body

    def checkpoint(self) -> str:
        """The newest checkpoint of the relay's log: a signed note, unverified."""
        response = self._calls.call("GET", "/v1/log/checkpoint", {200})
        with shape():
            return response.body.decode()

    def cosigned(self) -> tuple[str, ...]:
        """The checkpoints of the relay's log that witnesses have cosigned, unverified."""
        raw = self._calls.json("GET", "/v1/log/cosigned", {200}, limit=MAX_PAGE)
        with shape():
            members(raw, {"checkpoints"})
            return tuple(text(one) for one in array(raw["checkpoints"], most=_MAX_COSIGNED))

    def successions(self) -> JsonObject:
        """The changes of the log's key, unverified: ``pds.log.succession.read_successions``."""
        return self._calls.json("GET", "/v1/log/keys", {200}, limit=MAX_PAGE)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """The proof that the log of size ``first`` is the beginning of that of ``second``."""
        path = f"/v1/log/consistency?first={int(first)}&second={int(second)}"
        raw = self._calls.json("GET", path, {200})
        with shape():
            members(raw, {"proof"})
            return hashes(raw["proof"])

    def owner(self, mailbox: str, key: SigningKey, epoch: int) -> OwnedMailbox:
        """The calls of a mailbox's owner; ``epoch`` is the writer epoch."""
        return OwnedMailbox(self._calls, check_id(mailbox), key, epoch)

    def _answer(self, raw: bytes, redemption: str, key: SigningKey) -> Answer:
        path = f"/v1/redemptions/{redemption}/sealed"
        with shape():
            answer = Answer.parse(
                raw, pieces=lambda size: self._calls.pieces(path, size, signed=(key, 0))
            )
            manifest = Manifest.parse(answer.manifest)
        self._calls.receipt(
            answer.receipt,
            type="redemption",
            redemption=redemption,
            package=manifest.package,
            seq=manifest.seq,
            sha256=manifest.sha256,
        )
        return answer
