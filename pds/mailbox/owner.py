"""What only the owner of a mailbox may call, signed with its key under the writer epoch."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from did.json import JsonObject, canonicalize, digest
from did.keys import SigningKey
from did.multikey import b64url_decode, b64url_encode, multihash_sha256
from did.time import format_time
from pds.mailbox.calls import DONE, MAX_IDENTITY, MAX_PAGE, MAX_SMALL, RelayCalls
from pds.mailbox.errors import RelayNonsense, shape
from pds.mailbox.reading import (
    MAX_PAGE_ENTRIES,
    MailboxInfo,
    StagedPackage,
    array,
    more,
    rising,
    shallow,
)
from pds.wire import MAX_SEALED, WHOLE, Manifest, check_id
from pds.wire.forms import integer, members, object_, text

_EVENT_MEMBERS = {"ordinal", "receipt", "presentation"}


@dataclass(frozen=True, slots=True)
class OwnedMailbox:
    """What the owner of a mailbox may call. Every call can be repeated."""

    calls: RelayCalls
    mailbox: str
    key: SigningKey
    epoch: int
    _path: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_path", f"/v1/mailboxes/{self.mailbox}")

    # --- the mailbox ---

    def create(self, token: str | None = None) -> None:
        """Make the mailbox, or find it made. ``token`` where registration needs one."""
        raw = self._json("PUT", self._path, DONE, {} if token is None else {"token": token})
        with shape():
            if raw.get("mailbox") != self.mailbox:
                raise ValueError

    def info(self) -> MailboxInfo:
        """What the relay holds for this mailbox."""
        raw = self._json("GET", self._path, {200}, limit=MAX_PAGE)
        with shape():
            return MailboxInfo.parse(raw, expected_mailbox=self.mailbox)

    def delete(self) -> None:
        """End the mailbox with its packages, envelopes and capabilities."""
        self._call("DELETE", self._path, {204})

    # --- capabilities and envelopes ---

    def put_capability(
        self, capability: str, hash_: str, max_envelopes: int, max_bytes: int, expires: datetime
    ) -> None:
        """Let whoever has the secret deposit. ``hash_`` is ``wire.capability_hash`` of it."""
        self._call(
            "PUT",
            f"{self._path}/capabilities/{check_id(capability)}",
            {200, 201, 204},
            {
                "hash": hash_,
                "maxEnvelopes": max_envelopes,
                "maxBytes": max_bytes,
                "expires": format_time(expires),
            },
        )

    def delete_capability(self, capability: str) -> None:
        """Take a capability back."""
        self._call("DELETE", f"{self._path}/capabilities/{check_id(capability)}", {204})

    def envelopes(self, after: int = 0, *, wait: int = 0) -> tuple[list[tuple[int, bytes]], bool]:
        """The envelopes beyond an ordinal, in order, and whether there are more. What the relay
        only names, because it is long, is fetched.

        Where there is none yet, the relay may wait for it for up to ``wait`` seconds (at most 30),
        and may answer earlier with none: who asks again and again must pause by themselves then.
        The transport's timeout must be longer.
        """
        path = f"{self._path}/envelopes?after={int(after)}"
        if wait:
            path += f"&wait={int(wait)}"
        raw = self._json("GET", path, {200}, limit=MAX_PAGE)
        with shape():
            members(raw, {"envelopes", "more"})
            found: list[tuple[int, bytes]] = []
            room = MAX_SEALED
            for listed in array(raw["envelopes"], most=MAX_PAGE_ENTRIES):
                one = object_(listed)
                after = rising(one.get("ordinal"), after)
                if "size" not in one:
                    members(one, {"ordinal", "sealed"})
                    found.append((after, b64url_decode(text(one["sealed"]))))
                    continue
                members(one, {"ordinal", "size"})
                size = integer(one["size"], least=WHOLE + 1)
                if size > MAX_SEALED:
                    raise ValueError
                if size > room:
                    return found, True  # no more at once than one of the largest
                room -= size
                found.append((after, self._pieces(f"{self._path}/envelopes/{after}", size)))
            return found, more(raw["more"], found)

    def delete_envelope(self, ordinal: int) -> None:
        """Acknowledge an envelope: the relay forgets it."""
        self._call("DELETE", f"{self._path}/envelopes/{int(ordinal)}", {204})

    # --- packages ---

    def put_package(
        self,
        package: str,
        *,
        ticket: JsonObject,
        manifest: JsonObject,
        sealed: bytes,
        uses: int = 0,
    ) -> JsonObject:
        """Stage a package, or its next version; returns the receipt (``staging``).

        ``uses`` is what the owner knows to be used; the relay counts no less from then on.
        The arguments must fit one another: ``wire.manifest`` otherwise, before anything is sent.
        """
        terms = Manifest.parse(manifest)
        terms.check_sealed(sealed)
        raw = self._json(
            "PUT",
            f"/v1/packages/{check_id(package)}",
            DONE,
            {
                "mailbox": self.mailbox,
                "ticket": ticket,
                "manifest": manifest,
                "sealed": b64url_encode(sealed),
                "uses": uses,
            },
        )
        return self.calls.receipt(
            raw,
            type="staging",
            package=package,
            seq=terms.seq,
            ticket=terms.ticket,
            sha256=terms.sha256,
            size=terms.size,
        )

    def package(self, package: str) -> StagedPackage:
        """What the relay holds for a package."""
        raw = self._json("GET", f"/v1/packages/{check_id(package)}", {200}, limit=MAX_SMALL)
        with shape():
            return StagedPackage.parse(raw, expected_package=package)

    def end_package(self, package: str) -> JsonObject:
        """End a package for good; returns the receipt (``end``), the same one each time."""
        raw = self._json("DELETE", f"/v1/packages/{check_id(package)}", DONE)
        return self.calls.receipt(raw, type="end", package=package)

    def events(self, package: str, after: int = 0) -> tuple[list[JsonObject], bool]:
        """Redemptions and refusals beyond an ordinal, in order, and whether there are more.

        Each is ``{ordinal, receipt, presentation?, problem?}``, unverified but for its form. One
        bad event does not hide the others: its ``problem`` is then ``relay.bad_receipt``
        (``receipt`` is ``None``, and there is no presentation), or ``relay.bad_presentation``
        (there is none). Only a page whose ordinals do not rise is ``relay.nonsense``.
        """
        path = f"/v1/packages/{check_id(package)}/events?after={int(after)}"
        raw = self._json("GET", path, {200}, limit=MAX_PAGE)
        with shape():
            members(raw, {"events", "more"})
            found = array(raw["events"], most=MAX_PAGE_ENTRIES)
            events: list[JsonObject] = []
            for one in found:
                event = object_(one)
                after = rising(event.get("ordinal"), after)
                events.append(self._event(event, package, after))
            return events, more(raw["more"], events)

    def _event(self, raw: JsonObject, package: str, ordinal: int) -> JsonObject:
        """One event, or what can be had of it with the ``problem`` that it has."""
        try:
            with shape():
                receipt = object_(raw.get("receipt"))
                shallow(receipt)
                self.calls.receipt(receipt, package=package, ordinal=ordinal)
                if object_(receipt["entry"]).get("type") not in ("redemption", "refusal"):
                    raise ValueError
        except RelayNonsense:
            return {"ordinal": ordinal, "receipt": None, "problem": "relay.bad_receipt"}
        event: JsonObject = {"ordinal": ordinal, "receipt": receipt}
        try:
            if not raw.keys() <= _EVENT_MEMBERS:
                raise ValueError
            if "presentation" in raw:
                event["presentation"] = shallow(object_(raw["presentation"]))
        except ValueError:
            event["problem"] = "relay.bad_presentation"
        return event

    def erase_presentations(self, package: str, through: int) -> None:
        """Have the presentations of the events up to an ordinal erased, after keeping them."""
        path = f"/v1/packages/{check_id(package)}/events?through={int(through)}"
        self._call("DELETE", path, {204})

    # --- status lists and requests ---

    def put_status(self, status_list: str, credential: JsonObject) -> JsonObject:
        """Publish a signed status list; returns the receipt (``status``)."""
        raw = self._json(
            "PUT",
            f"/v1/status/{check_id(status_list)}",
            DONE,
            {"mailbox": self.mailbox, "credential": credential},
        )
        return self.calls.receipt(raw, type="status", digest=digest(credential))

    def put_request(self, request_id: str, sealed: bytes, expires: datetime) -> None:
        """Leave a locked request for whoever gets its link."""
        self._call(
            "PUT",
            f"/v1/requests/{check_id(request_id)}",
            {200, 201, 204},
            {
                "mailbox": self.mailbox,
                "sealed": b64url_encode(sealed),
                "expires": format_time(expires),
            },
        )

    def delete_request(self, request_id: str) -> None:
        """Take a request back."""
        self._call("DELETE", f"/v1/requests/{check_id(request_id)}", {204})

    # --- identities ---

    def put_identity(
        self, identity: str, *, did: str, log: bytes, witness: bytes | None = None
    ) -> JsonObject:
        """Publish the log of a did:webvh at this relay; returns the receipt (``identity``)."""
        body: JsonObject = {"mailbox": self.mailbox, "did": did, "log": log.decode()}
        if witness is not None:
            body["witness"] = witness.decode()
        raw = self._json("PUT", f"/v1/identities/{check_id(identity)}", DONE, body)
        return self.calls.receipt(
            raw,
            type="identity",
            identity=identity,
            sha256=multihash_sha256(log),
            size=len(log),
        )

    def identity(self, identity: str) -> bytes:
        """The log as the relay has it, unverified; also while it shows it to nobody."""
        return self.calls.call(
            "GET",
            f"/v1/identities/{check_id(identity)}",
            {200},
            signed=(self.key, self.epoch),
            limit=MAX_IDENTITY,
        ).body

    def delete_identity(self, identity: str) -> None:
        """Take an identity away from the relay for good."""
        self._call("DELETE", f"/v1/identities/{check_id(identity)}", {204})

    def _pieces(self, path: str, size: int) -> bytes:
        return self.calls.pieces(path, size, signed=(self.key, self.epoch))

    def _json(
        self,
        method: str,
        path: str,
        statuses: Collection[int],
        body: JsonObject | None = None,
        *,
        limit: int = MAX_SMALL,
    ) -> JsonObject:
        octets = b"" if body is None else canonicalize(body)
        return self.calls.json(
            method, path, statuses, body=octets, signed=(self.key, self.epoch), limit=limit
        )

    def _call(
        self, method: str, path: str, statuses: Collection[int], body: JsonObject | None = None
    ) -> None:
        octets = b"" if body is None else canonicalize(body)
        self.calls.call(method, path, statuses, body=octets, signed=(self.key, self.epoch))
