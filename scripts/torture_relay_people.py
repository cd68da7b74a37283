"""Who calls the relay that is tortured, and what they were answered: the model.

A holder stages, withdraws and ends, companies redeem the same packages at the same time, a sender
deposits, somebody presents again what was presented, and somebody is rude. Each notes what was
acknowledged, and when; ``check`` holds the relay against that.

Long, because what each of them does and what it must find again stand side by side.
"""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http.client import HTTPException
from random import Random
from typing import Any, NoReturn

from relay_world import Reply, World

from credentials.status import BitString, StatusEntry
from did.json import JsonObject, digest, parse_object
from did.keys import VerifyKey
from did.multikey import b64url_decode, b64url_encode
from pds.log import Monitor, verify_receipt
from pds.log.audit import audit_log
from pds.log.tiles import Tile
from pds.wire import new_id

COMPANIES = 4
GONE = (OSError, HTTPException)
_PAUSE = 0.005
# What the relay may say without having done anything; each can be said again. On a busy machine a
# body may take longer than the second that it is given here.
_NOT_NOW = frozenset({"relay.busy", "front.busy", "front.stopping", "front.body_timeout"})
_OF_ANOTHER_TIME = frozenset({"relay.challenge", "relay.signature", "relay.proof_invalid"})
_RUDE = {
    "chunked": b"POST /v1/redemptions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\n\r\n",
    "too large": b"POST /v1/redemptions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{}",
    "without a length": b"PUT /v1/mailboxes/x HTTP/1.1\r\nHost: x\r\n\r\n",
    "half a request": b"POST /v1/redemptions HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n{",
    "half a header": b"GET /v1/relay HTTP/1.1\r\nHo",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 40,
    "a header without end": b"GET /v1/relay HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000,
}


class Lost(Exception):
    """The relay is not what it acknowledged."""


class Stopped(Exception):
    """The loop is over; whether the last call happened is in doubt."""


def fail(what: str) -> NoReturn:
    raise Lost(what)


def code_of(reply: Reply) -> str | None:
    """The code of a refusal; None for what is none, or is not ours."""
    try:
        code = reply.json.get("code")
    except ValueError:
        return None
    return None if code is None else str(code)


@dataclass
class Attempt:
    """A presentation, and every answer to it; ``None`` where the relay was gone."""

    package: str
    presentation: JsonObject
    began: float
    replies: list[Reply | None] = field(default_factory=list)

    @property
    def id(self) -> str:
        return digest(self.presentation)

    @property
    def released(self) -> list[Reply]:
        return [reply for reply in self.replies if reply is not None and reply.status == 200]


@dataclass
class Package:
    """A package of one loop, and what its owner was told about it."""

    id: str
    ticket: JsonObject
    index: int
    most: int
    seq: int = 1
    staged: list[tuple[float, int]] = field(default_factory=list)
    tried_seq: int = 1
    over: float | None = None  # when its end, or its withdrawal, was acknowledged
    may_be_over: bool = False


class Log:
    """The log as somebody sees it who never forgets a checkpoint."""

    def __init__(self, info: dict[str, Any], get: Callable[[str], Reply]) -> None:
        self._get = get
        self.origin, self.key = info["logOrigin"], VerifyKey.from_multikey(info["logKey"])
        self.notes: dict[int, str] = {}
        self.newest = 0
        self.leaves: dict[int, bytes] = {}

    def verify(self, receipt: JsonObject) -> JsonObject:
        """Check and remember a receipt; its entry."""
        verified = verify_receipt(receipt, origin=self.origin, log_key=self.key)
        self.remember(str(receipt["checkpoint"]), verified.checkpoint.size)
        place = verified.receipt.leaf_index
        if self.leaves.setdefault(place, verified.receipt.leaf) != verified.receipt.leaf:
            fail(f"two entries at place {place} of the log")
        return verified.receipt.entry

    def remember(self, note: str, size: int) -> None:
        signed = note.partition("\n\n")[0]
        if self.notes.setdefault(size, note).partition("\n\n")[0] != signed:
            fail(f"two checkpoints of size {size}")

    def grown(self) -> None:
        """The log of now begins with the largest that was ever seen."""
        note = self._get("/v1/log/checkpoint").body.decode()
        size = int(note.split("\n")[1])
        largest = max(self.notes, default=0)
        if size < largest:
            fail(f"the log shrank from {largest} to {size}")
        if largest:
            monitor = Monitor(origin=self.origin, key=self.key)
            monitor.advance(self.notes[largest], [])
            path = f"/v1/log/consistency?first={largest}&second={size}"
            monitor.advance(note, [b64url_decode(one) for one in self._get(path).json["proof"]])
        self.remember(note, size)

    def audit(self) -> None:
        """The whole log, built anew: it leads through every checkpoint that was ever seen."""
        note = self._get("/v1/log/checkpoint").body.decode()
        name = self.origin.rpartition("/")[2]

        def fetch(tile: Tile) -> bytes:
            reply = self._get(f"/log/{name}/tile/{tile.path}")
            if reply.status != 200:
                fail("a tile of the log is missing")
            return reply.body

        audit_log(fetch, note, origin=self.origin, key=self.key, others=[*self.notes.values()])


class People:
    """Everybody who calls the relay, in one loop after the other."""

    def __init__(self, world: World, random: Random, port: int) -> None:
        self.world = world
        self.random = random
        self.port = port
        self.packages: list[Package] = []
        self.attempts: list[Attempt] = []
        self.deposits: list[tuple[str, int]] = []
        self.secret = ""
        self.sequence = 0
        self.tried: tuple[int, BitString] | None = None
        self.last_ordinal = 0
        self.acknowledged: Counter[str] = Counter()
        self.in_doubt = 0
        self.hung_up = 0
        """Connections that ended without an answer when nobody was disturbed any more."""
        self.strange: list[str] = []
        self.answers = 0
        self.index = 0
        self.jumped = False
        """The clock jumped in this loop: what was made before may be too old or too new."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._working = False
        self.log = Log(world.get("/v1/relay").json, self.get)
        if self.insist(self.world.create).status not in (200, 201):
            fail("no mailbox")
        self.publish(self.world.bits)

    # --- the relay's answers

    def insist(self, call: Callable[[], Reply], *, seconds: float = 30) -> Reply:
        """Call until there is an answer that is one; in a loop at most until its end."""
        until = time.monotonic() + seconds
        while True:
            try:
                reply = call()
                if reply.status < 300 or not self.may_say(code_of(reply)):
                    return reply
                said: str = reply.body[:200].decode(errors="replace")
            except GONE as error:
                said = repr(error)
                self.hung_up += not self._working
            if self._stop.is_set():
                raise Stopped
            if time.monotonic() > until:
                fail(f"the relay did not come back: {said}")
            time.sleep(_PAUSE)

    def get(self, path: str) -> Reply:
        """What everybody may read."""
        return self.insist(lambda: self.world.get(path))

    def _own(self, path: str) -> dict[str, Any]:
        """What the owner may read, signed anew for every try."""
        return self.insist(lambda: self.world.call("GET", path)).json

    def may_say(self, code: str | None) -> bool:
        """Whether this code means: nothing happened, say it again."""
        return code in _NOT_NOW or (self.jumped and code in _OF_ANOTHER_TIME)

    def publish(self, bits: BitString) -> None:
        """Put a newer status list, until that is acknowledged."""
        self.tried = (self.sequence + 1, bits)
        listed = self.world.status_list(sequence=self.sequence + 1, bits=bits)
        reply = self.insist(lambda: self.world.put_status(listed))
        self._taken("status", reply)
        self.sequence, self.world.bits, self.tried = self.sequence + 1, bits, None

    def _taken(self, kind: str, reply: Reply) -> JsonObject:
        if reply.status not in (200, 201):
            fail(f"{kind}: {reply.status} {reply.body[:200]!r}")
        entry = self.log.verify(reply.json)
        with self._lock:
            self.acknowledged[kind] += 1
        return entry

    # --- before a loop

    def prepare(self) -> None:
        """New packages, and a capability for the sender."""
        self.packages = [self._stage(most) for most in (1, 1, 3, 20, 50, 50)]
        self.attempts, self.deposits = [], []
        self.secret = self.world.capability(envelopes=10_000)[1]
        self.answers, self.jumped = 0, False
        self._stop.clear()

    def _stage(self, most: int) -> Package:
        self.index += 1
        id_, index = new_id(), self.index
        ticket = self.world.ticket(
            id_,
            max_uses=most,
            status=StatusEntry(f"{self.world.url}/v1/status/{self.world.list_id}", index),
            valid_from=self.world.clock() - timedelta(hours=6),
        )
        made = Package(id_, ticket, index, most)
        self._taken("staging", self.insist(lambda: self.world.stage(id_, ticket=ticket)))
        return made

    # --- in a loop

    def work(self, disturb: Callable[[], None], *, after: int, more: int) -> None:
        """Work from many threads; ``disturb`` after so many answers; go on for a few ``more``."""
        threads = [
            threading.Thread(target=self._safely, args=(who, Random(self.random.random())))
            for who in (*[self._company] * COMPANIES, self._holder, self._sender, self._rude)
        ]
        self._working = True
        for thread in threads:
            thread.start()
        try:
            self._wait_for(after)
            disturb()
            self._wait_for(self.answers + more)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)
            self._stop.clear()
            self._working = False
        if any(thread.is_alive() for thread in threads):
            fail("a call hangs")
        if self.strange:
            fail(self.strange[0])

    def _wait_for(self, answers: int) -> None:
        until = time.monotonic() + 2.0
        while self.answers < answers and time.monotonic() < until and not self.strange:
            time.sleep(0.001)

    def _safely(self, who: Callable[[Random], None], random: Random) -> None:
        try:
            who(random)
        except (Stopped, *GONE):
            return
        except Exception as error:  # noqa: BLE001  told by the thread that waits
            self.strange.append(f"{who.__name__}: {error!r}")

    def _answered(self) -> None:
        with self._lock:
            self.answers += 1

    def _company(self, random: Random) -> None:
        while not self._stop.is_set():
            with self._lock:
                again = random.choice(self.attempts) if self.attempts else None
            if again is not None and random.random() < 0.2:
                attempt = again
            else:
                package = random.choice(self.packages)
                try:
                    presentation = self.world.presentation(package.ticket)
                except (*GONE, KeyError):
                    time.sleep(_PAUSE)
                    continue
                attempt = Attempt(package.id, presentation, time.monotonic())
                with self._lock:
                    self.attempts.append(attempt)
            try:
                reply: Reply | None = self.world.present(attempt.presentation)
                self._answered()
            except GONE as error:
                if isinstance(error, TimeoutError):
                    fail("a redemption hangs")
                reply = None
                time.sleep(_PAUSE)
            attempt.replies.append(reply)

    def _holder(self, random: Random) -> None:
        ending, withdrawn, staged = self.packages[-1], self.packages[-2], self.packages[-3]
        acts = [*[staged] * 4, ending, withdrawn]
        random.shuffle(acts)
        for package in acts:
            self._stop.wait(random.random() * 0.05)
            if self._stop.is_set():
                return
            if package is ending:
                package.may_be_over = True
                self._taken("end", self.insist(lambda: self.world.end(ending.id)))
                package.over = time.monotonic()
            elif package is withdrawn:
                package.may_be_over = True
                self.publish(self.world.bits.with_bit(package.index))
                package.over = time.monotonic()
            else:
                package.tried_seq = package.seq + 1
                body = self.world.staging(
                    package.id,
                    ticket=package.ticket,
                    seq=package.tried_seq,
                    sealed=b"%d" % package.tried_seq,
                )
                path = f"/v1/packages/{package.id}"
                staging = partial(self.world.call, "PUT", path, body)
                self._taken("staging", self.insist(staging))
                package.seq = package.tried_seq
                package.staged.append((time.monotonic(), package.seq))
            self._answered()

    def _sender(self, random: Random) -> None:
        while not self._stop.is_set():
            octets = random.randbytes(random.choice([10, 100, 3000]))
            reply = self.insist(lambda: self.world.deposit(self.secret, octets))  # noqa: B023
            entry = self._taken("deposit", reply)
            self.deposits.append((b64url_encode(octets), int(str(entry["ordinal"]))))
            self._answered()

    def _rude(self, random: Random) -> None:
        """Requests that no client should make; none is let in, none holds anybody up."""
        open_: list[socket.socket] = []
        try:
            while not self._stop.wait(0.01):
                name = random.choice([*_RUDE])
                try:
                    conn = socket.create_connection(("127.0.0.1", self.port), timeout=15)
                    open_.append(conn)
                    conn.sendall(_RUDE[name])
                    if random.random() < 0.5 and name.startswith("half"):
                        conn.shutdown(socket.SHUT_WR)
                    if not name.startswith("half"):
                        conn.settimeout(5)
                        said = conn.recv(400)
                        if said.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3")):
                            fail(f"{name} was let in: {said[:40]!r}")
                except TimeoutError:
                    fail(f"{name} is held on to")
                except OSError:
                    time.sleep(_PAUSE)
        finally:
            for conn in open_:
                conn.close()

    # --- after a loop

    def check(self) -> None:
        """Hold the relay against everything that was acknowledged in this loop."""
        self.log.grown()
        self._check_status()
        for package in self.packages:
            self._check_package(package)
        self._check_deposits()

    def _check_status(self) -> None:
        """The list shows what was withdrawn; what was half-way is done once more, and then is."""
        reply = self.get(f"/v1/status/{self.world.list_id}")
        subject: Any = parse_object(reply.body)["credentialSubject"]
        if not BitString.decode(subject["encodedList"]).covers(self.world.bits):
            fail("a withdrawal that was acknowledged is not in the list")
        if self.tried is not None:
            # The relay may have this one; signed again it would be another of the same number.
            self.sequence = self.tried[0]
            self.publish(self.tried[1])

    def _check_package(self, package: Package) -> None:
        events = self._events(package.id)
        entries: list[Any] = [self.log.verify(event["receipt"]) for event in events]
        if [entry["ordinal"] for entry in entries] != list(range(1, len(events) + 1)):
            fail("the events of a package have gaps")
        ids = Counter(entry["redemption"] for entry in entries)
        if ids and max(ids.values()) > 1:
            fail("a redemption has two events")
        released = {e["redemption"] for e in entries if e["type"] == "redemption"}
        refused = {e["redemption"] for e in entries if e["type"] == "refusal"}
        state = self._own(f"/v1/packages/{package.id}")
        if len(released) != state["uses"] or len(released) > package.most:
            fail(f"{len(released)} released, {state['uses']} counted, {package.most} allowed")
        if package.over is not None and package is self.packages[-1] and not state["ended"]:
            fail("an end that was acknowledged did not happen")
        if not state["ended"] and not package.seq <= state["manifest"]["seq"] <= package.tried_seq:
            fail("a version whose staging was acknowledged is not there")
        mine = {attempt.id for attempt in self.attempts if attempt.package == package.id}
        if not released | refused <= mine:
            fail("an event that nobody caused")
        for attempt in self.attempts:
            if attempt.package == package.id:
                self._check_attempt(attempt, package, released=released, refused=refused)

    def _check_attempt(
        self, attempt: Attempt, package: Package, *, released: set[str], refused: set[str]
    ) -> None:
        answered = attempt.released
        if len(answered) > 1:
            fail("one presentation was answered twice")
        if answered:
            self.acknowledged["redemption"] += 1
            entry = self.log.verify(answered[0].json["receipt"])
            if attempt.id not in released:
                fail("a redemption that was answered did not happen")
            if package.over is not None and attempt.began > package.over:
                fail("a redemption was answered after the end of its package")
            least = max((seq for at, seq in package.staged if at < attempt.began), default=1)
            if int(str(entry["seq"])) < least:
                fail("an older version than the one that was staged")
        for reply in attempt.replies:
            if reply is not None and reply.status != 200:
                self._check_refusal(attempt, reply, package, refused=refused)
        if not answered and any(r is None or code_of(r) in _NOT_NOW for r in attempt.replies):
            self.in_doubt += 1
        again = self.insist(lambda: self.world.recover(attempt.presentation))
        if again.status == 200:
            if attempt.id not in released:
                fail("an answer to what never happened")
            if answered and again.body != answered[0].body:
                fail("the same answer is another one")
        elif attempt.id in released and not package.may_be_over:
            fail(f"the answer is not to be had again: {again.status} {again.body[:200]!r}")

    def _check_refusal(
        self, attempt: Attempt, reply: Reply, package: Package, *, refused: set[str]
    ) -> None:
        code = code_of(reply)
        if self.may_say(code) or (code == "relay.replayed" and len(attempt.replies) > 1):
            return
        if code == "relay.used_up":
            if attempt.id not in refused and len(refused) < 50:
                fail("a refusal is not among the events")
            return
        if code in {"relay.ended", "relay.withdrawn"} and package.may_be_over:
            return
        fail(f"a redemption was refused: {reply.status} {reply.body[:200]!r}")

    def _check_deposits(self) -> None:
        after, more = self.last_ordinal, True
        found: dict[str, int] = {}
        while more:
            path = f"/v1/mailboxes/{self.world.mailbox}/envelopes?after={after}"
            page = self._own(path)
            for one in page["envelopes"]:
                if one["ordinal"] != after + 1:
                    fail("the envelopes have gaps")
                after = one["ordinal"]
                if one["sealed"] in found:
                    fail("an envelope is there twice")
                found[one["sealed"]] = after
            more = page["more"]
        for sealed, ordinal in self.deposits:
            if found.get(sealed) != ordinal:
                fail("a deposit that was acknowledged is not there")
        self.last_ordinal = after

    def _events(self, package: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        while page := self._own(f"/v1/packages/{package}/events?after={len(events)}")["events"]:
            events.extend(page)
        return events
