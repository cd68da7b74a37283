"""What every verb of an open vault works with: rows, keys, the clock, the way to a relay."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from credentials.webvh import PROOFS
from did.json import JsonObject, parse_object
from did.keys import VerifyKey
from did.multikey import b64url_decode
from did.resolve import Resolver
from did.time import format_time, parse_time, utc_now
from pds.db import Connection, transaction
from pds.log.keys import LogKeys
from pds.log.policy import WitnessPolicy
from pds.mailbox import OwnedMailbox, RelayClient, RelayUnreachable
from pds.net import DevTrust, Transport
from pds.vault import relaykeys
from pds.vault.attachments import Attachments
from pds.vault.derive import IdentityKeys, IdentityPlace, RelationshipKeys, Root
from pds.vault.errors import ClockWrong, VaultError
from pds.vault.opening import ReadingOnly
from pds.vault.records import Records
from pds.vault.store.exchange import ExchangeStore
from pds.vault.store.history import HistoryStore
from pds.vault.store.identities import IdentityStore
from pds.vault.store.rows import Relationship
from pds.vault.store.successions import SuccessionStore
from pds.wire import MAX_SEALED, WHOLE, RelayInfo

SKEW = timedelta(seconds=60)
MAX_OFFSET = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class HomeRelay:
    """The relay that this vault chose for its packages, its log key pinned at first use."""

    url: str
    log_origin: str
    log_keys: LogKeys

    @property
    def log_key(self) -> VerifyKey:
        """The key that signs now."""
        return self.log_keys.newest


@dataclass(slots=True)
class Context:
    """An open vault. One writer at a time; ``transaction`` brackets every change."""

    conn: Connection
    attachments_folder: Path
    clock: Callable[[], datetime] = utc_now
    random: Callable[[int], bytes] = field(default=os.urandom, repr=False)
    reading_only: ReadingOnly | None = None
    exchange: ExchangeStore = field(init=False)
    history: HistoryStore = field(init=False)
    identities: IdentityStore = field(init=False)
    successions: SuccessionStore = field(init=False)
    records: Records = field(init=False)
    attachments: Attachments = field(init=False)
    transport: Transport = field(init=False)
    resolver: Resolver = field(init=False)
    _root: Root = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.exchange = ExchangeStore(self.conn)
        self.history = HistoryStore(self.conn)
        self.identities = IdentityStore(self.conn)
        self.successions = SuccessionStore(self.conn)
        self.records = Records(self.conn, clock=self.clock, random=self.random)
        if self.reading_only is None:
            self.records.prepare_index()
        self.attachments = Attachments(
            self.conn,
            self.attachments_folder,
            self.records,
            clock=self.clock,
            random=self.random,
        )
        self._root = Root(b64url_decode(self.setting("root")))
        self.connect()

    def connect(self) -> None:
        """Make the transport anew, after the relay or the development hosts have changed."""
        relay = self.exchange.setting("relay")
        before: Transport | None = getattr(self, "transport", None)
        if before is not None:
            before.close()
        policy = witness_policy(self.exchange.setting("witnesses"))
        named = [one.url for one in policy.witnesses if one.url] if policy is not None else []
        self.transport = Transport(
            trusted_origins=named if relay is None else [relay, *named], dev_trust=self.dev_trust
        )
        self.resolver = Resolver(
            fetch=self.transport.fetch_did, webvh_proofs=PROOFS, clock=self.clock
        )

    # settings
    def setting(self, name: str) -> str:
        value = self.exchange.setting(name)
        if value is None:
            raise VaultError(
                "the vault lacks a setting that it was made with",
                code="vault.damaged",
                hint="Restore a backup with 'pds restore'.",
            )
        return value

    @property
    def sandbox(self) -> bool:
        return self.exchange.setting("sandbox") == "1"

    @property
    def dev_trust(self) -> tuple[DevTrust, ...]:
        lines = (self.exchange.setting("dev_trust") or "").splitlines()
        return tuple(DevTrust.parse(line) for line in lines)

    @property
    def max_sealed(self) -> int:
        """Bytes of the largest sealed object that the home relay takes, as it said last."""
        return int(self.exchange.setting("max_sealed") or WHOLE)

    @property
    def epoch(self) -> int:
        return int(self.setting("epoch"))

    @property
    def generation(self) -> int:
        return int(self.setting("generation"))

    # time
    def now(self) -> datetime:
        """The time, in whole seconds, for reading and showing."""
        return self.clock().replace(microsecond=0)

    def signing_time(self) -> datetime:
        """The time for something signed. It never runs backwards: ``vault.clock_back``.

        Called inside a transaction: it remembers the latest time it gave out.
        """
        now = self.now()
        last = self.exchange.setting("last_time")
        if last is not None and now < parse_time(last) - SKEW:
            raise ClockWrong(
                "this machine's clock is behind the last thing this vault signed",
                code="vault.clock_back",
                hint="Set the clock right, then try again. Nothing was signed.",
            )
        if last is None or now > parse_time(last):
            self.exchange.set_setting("last_time", format_time(now))
        return now

    def ending_time(self) -> datetime:
        """The time for ending something, which a wrong clock must never prevent: now, or the
        latest time ever signed, whichever is later."""
        last = self.exchange.setting("last_time")
        return self.now() if last is None else max(self.now(), parse_time(last))

    def compare_clocks(self, theirs: datetime) -> None:
        """Refuse to go on when the relay's clock and ours are more than 10 minutes apart."""
        offset = self.clock() - theirs
        if abs(offset) > MAX_OFFSET:
            minutes = round(abs(offset).total_seconds() / 60)
            side = "ahead of" if offset > timedelta(0) else "behind"
            raise ClockWrong(
                f"this machine's clock is {minutes} minutes {side} the relay's",
                code="vault.clock_off",
                hint="Set the clock right, then try again. Nothing was signed.",
            )

    # changes
    def may_write(self) -> None:
        """Refuse, with the reason, where the vault can only be read (``db.full``,
        ``db.read_only``, ``db.io``)."""
        if self.reading_only is not None:
            raise self.reading_only.refusal()

    def ready(self) -> None:
        """Refuse to write before a restored vault has looked at its relay (``vault.restoring``),
        or where nothing can be written."""
        self.may_write()
        if self.exchange.setting("restoring") == "1":
            raise VaultError(
                "this vault was restored from a backup and has not looked at its relay yet",
                code="vault.restoring",
                hint="Run 'pds restore --finish' while the relay can be reached.",
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.may_write()
        with self.attachments.settling(), transaction(self.conn):
            yield
            self.attachments.flush()

    def log(self, kind: str, subject: str, detail: JsonObject | None = None) -> None:
        """Append to the vault's history, in the caller's transaction."""
        self.history.append(
            at=self.now(), kind=kind, subject=subject, detail=detail or {}, salt=self.random(32)
        )

    # keys and relays
    def keys(self, relationship: Relationship) -> RelationshipKeys:
        return self._root.relationship(relationship.generation, relationship.index)

    def derive(self, index: int) -> RelationshipKeys:
        return self._root.relationship(self.generation, index)

    def identity_place(self, generation: int, index: int) -> IdentityPlace:
        return self._root.identity(generation, index)

    def identity_keys(self, generation: int, index: int, version: int) -> IdentityKeys:
        return self._root.identity_keys(generation, index, version)

    def client(self, relay: str) -> RelayClient:
        return RelayClient(relay, self.transport, clock=self.clock, random=self.random)

    def home(self) -> HomeRelay:
        """The pinned home relay; asks it once and pins its key when it is not known yet.

        Raises ``VaultError`` (``vault.no_relay``, ``vault.relay_key_changed``) and the relay's.
        """
        url = self.exchange.setting("relay")
        if url is None:
            raise VaultError(
                "this vault has no relay yet",
                code="vault.no_relay",
                hint="Choose one: pds relay use https://relay.example",
            )
        key, origin = self.exchange.setting("log_key"), self.exchange.setting("log_origin")
        if key is None or origin is None:
            return self.meet_relay()
        return self._home(url, origin, VerifyKey.from_multikey(key))

    def meet_relay(self) -> HomeRelay:
        """Ask the home relay who it is, compare clocks, and pin or compare its log key.

        A new log origin under the same key means that the relay was restored from a backup: the
        caller sees the new ``log_origin``. Another key is believed if the pinned one leads to it;
        else it is refused and kept as evidence.
        """
        url = self.setting("relay")
        info = self.client(url).info()
        self.compare_clocks(info.time)
        pinned = self.exchange.setting("log_key")
        if pinned is not None and pinned != info.log_key.multikey:
            self._follow(url, info, pinned=VerifyKey.from_multikey(pinned))
        last = self.exchange.setting("last_time")
        with self.transaction():
            if last is not None and parse_time(last) > info.time + MAX_OFFSET:
                # Something was signed with a clock that was far ahead; two clocks say so now.
                self.exchange.set_setting("last_time", format_time(self.now()))
            self.exchange.set_setting("log_key", info.log_key.multikey)
            self.exchange.set_setting("max_sealed", str(min(info.max_sealed, MAX_SEALED)))
            if self.exchange.setting("log_origin") is None:
                self.exchange.set_setting("log_origin", info.log_origin)
        return self._home(url, info.log_origin, info.log_key)

    def _home(self, url: str, origin: str, key: VerifyKey) -> HomeRelay:
        keys = relaykeys.keys_of(self.exchange, origin, key)
        return HomeRelay(url=url, log_origin=origin, log_keys=keys)

    def _follow(self, url: str, info: RelayInfo, *, pinned: VerifyKey) -> None:
        """Believe another key of the relay's log, if the pinned one leads to it."""
        shown = info.log_key
        try:
            line = relaykeys.explain(
                self.exchange,
                self.client(url),
                origin=info.log_origin,
                pinned=pinned,
                shown=shown,
            )
        except relaykeys.Unexplained as found:
            detail = found.evidence
            if "type" not in detail:
                detail = {"relay": url, **detail}
            if all(kept != detail for _, _, kept in self.exchange.evidence()):
                with self.transaction():
                    self.exchange.add_evidence(
                        code="vault.relay_key_changed", detail=detail, at=self.now()
                    )
            raise VaultError(
                "the relay shows another log key than the one this vault knows",
                code="vault.relay_key_changed",
                hint="Ask its operator. Until it is explained, nothing is sent there.",
            ) from found
        with self.transaction():
            relaykeys.keep(self.exchange, line)
            self.exchange.set_setting("log_key", shown.multikey)
            for one in line:
                change = one.succession
                self.log("relay key", "vault", {"size": change.size, "key": change.new.multikey})

    def before_signing(self) -> None:
        """Refuse to sign with a clock that the relay contradicts (``vault.clock_off``), or to a
        relay whose key has changed; a relay that is away is no reason to refuse."""
        if self.exchange.setting("relay") is None:
            return
        try:
            self.meet_relay()
        except RelayUnreachable:
            return

    def mailbox(self, relationship: Relationship) -> OwnedMailbox:
        keys = self.keys(relationship)
        return self.client(self.setting("relay")).owner(
            relationship.mailbox, keys.mailbox_key, self.epoch
        )


def witness_policy(kept: str | None) -> WitnessPolicy | None:
    """The witnesses that the holder believes, as the setting has them."""
    return None if kept is None else WitnessPolicy.parse(parse_object(kept.encode()))


def other_copy(ctx: Context) -> VaultError:
    """The relay has seen a newer state of this vault than this one: an old folder was put back
    without ``pds restore``, or two copies are in use. From here on nothing is written before the
    relay has been looked at, as after a restore: else a relationship's keys could be used twice."""
    with ctx.transaction():
        ctx.exchange.set_setting("restoring", "1")
        ctx.log("problem", "vault", {"code": "vault.other_copy"})
    return VaultError(
        "another copy of this vault has written to the relay since",
        code="vault.other_copy",
        hint="Use the newer copy. If it is lost, run 'pds restore --finish' on this one.",
    )
