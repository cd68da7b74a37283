"""A relay that cheats in every way, one row for each lie: what vault and company call it.

Both talk to it over real HTTP. After each lie the relay is honest again, and the next round must
be as good as any: nothing that a relay says makes a vault or a company unusable. docs/log.md has
the same table in words.
"""

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from did.json import Json, JsonObject, parse_object
from did.keys import SigningKey
from did.multikey import b64url_decode, b64url_encode
from did.time import format_time, utc_now
from pds.cli.company_words import PROBLEMS
from pds.cli.problems import HOLDER, words
from pds.company.client import Company
from pds.log.checkpoint import Checkpoint, sign_checkpoint
from pds.log.entry import Receipt, leaf_of
from pds.log.tree import MemoryNodes, Tree
from pds.net import DevTrust, Transport
from pds.vault.consent import Accept, Refuse
from pds.vault.service import Vault
from pds.wire import RelayCode, problem
from scripts.ports import free_port

from .conftest import FIXTURES, PASSPHRASE, Holder, Server, Shop, make_holder, make_shop
from .liar import Asked, Liar, Lie, Said, honest

PATIENCE = 30.0
"""Seconds that vault and company wait for a whole answer, here; 5 in earnest. Only ever waited for
by a test that fails."""
SHORT = 1.0
"""The same, where the answer never ends."""
ROOM = 40 * 1_048_576
"""More than both sides, and the buffers between them, take of an answer without end."""


@dataclass
class Town:
    url: str
    liar: Liar
    shop: Shop
    holder: Holder
    person: str
    edits: int = 0
    patience: float = PATIENCE

    def way(self) -> Transport:
        return Transport(
            trusted_origins=[self.url],
            dev_trust=[DevTrust.parse(self.shop.dev_trust)],
            timeout=self.patience,
        )

    def vault_says(self) -> set[str]:
        """The codes of one round of the vault."""
        with self.holder.open() as vault:
            vault._ctx.transport = self.way()
            contact = vault.records("contact")[0]
            self.edits += 1
            street = f"Kossuth Lajos sugárút {self.edits}."
            vault.edit(contact.id, {"address": {"streetAddress": street}})
            return _codes(lambda: _all_said(vault))

    def company_says(self) -> set[str]:
        """The codes of one round of the company, and of a redemption."""
        with self.shop.open(transport=self.way()) as company:
            said = _codes(lambda: [code for code, _ in company.collect().problems])
            return said | _codes(lambda: self._redeem(company))

    def _redeem(self, company: Company) -> list[str]:
        done = company.redeem("delivery", person=self.person)
        return [] if done.logged else ["log.forked"]


def _all_said(vault: Vault) -> list[str]:
    report = vault.sync()
    return [*(code for code, _ in report.problems), *(code for _, code in report.push.waiting)]


def _codes(act: Callable[[], list[str]]) -> set[str]:
    try:
        return set(act())
    except Exception as error:
        code = getattr(error, "code", None)
        if code is None:
            raise
        return {str(code)}


@pytest.fixture(scope="module")
def town(start: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A relay behind a liar, a shop, and a holder who shares something with it."""
    place = tmp_path_factory.mktemp("town")
    port, real = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    liar = Liar(port, real)
    liar.begin()
    start("relay", "serve", "--data", str(place / "relay"), "--url", url, "--port", str(real),
          "--registrations-per-hour", "1000")  # fmt: skip
    shop = make_shop(start, place / "shop", url)
    holder = make_holder(place / "vault", url, shop)
    terms = parse_object((FIXTURES / "request.json").read_bytes())
    for purpose in _objects(terms["purposes"]):
        if purpose["id"] == "delivery":
            purpose["maxUses"] = 500
    with shop.open() as company, holder.open() as vault:
        shown = vault.open_link(str(company.request(terms, valid_for=timedelta(days=14)).link))
        vault.decide(
            shown.request.id,
            {
                "delivery": Accept(follows_changes=True),
                "personalisation": Accept(),
                "marketing": Refuse(),
            },
        )
        assert vault.push().complete
        company.collect()
        person = str(vault.grant("delivery")["issuer"])
        company.redeem("delivery", person=person)
        assert vault.sync().problems == []
    yield Town(url, liar, shop, holder, person)
    liar.end()


def _object(value: Json) -> JsonObject:
    assert isinstance(value, dict)
    return value


def _objects(value: Json) -> list[JsonObject]:
    assert isinstance(value, list)
    return [_object(one) for one in value]


# --- lies of HTTP, whatever was asked


def at(method: str, part: str, bend: Callable[[Said], "Said | Iterator[bytes]"]) -> Lie:
    """Bend the answers to these calls, and no others."""

    def lie(asked: Asked, said: Said) -> "Said | Iterator[bytes]":
        fits = asked.method == method and part in asked.path and said.status < 300
        return bend(said) if fits else said

    return lie


def garbage(_said: Said) -> Iterator[bytes]:
    yield b"\x16\x03\x01 what is this?" * 10


def endless(_said: Said) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
    yield from itertools.repeat(b"x" * 65_536)


def endless_header(_said: Said) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from (b"x-%d: %s\r\n" % (n, b"y" * 60_000) for n in itertools.count())


def endless_chunks(_said: Said) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    yield from itertools.repeat(b"10000\r\n" + b"x" * 65_536 + b"\r\n")


def endless_interim(_said: Said) -> Iterator[bytes]:
    pause = threading.Event()
    while not pause.wait(0.001):  # nothing but time ends this one, and a quick machine says a lot
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 100


def drip(_said: Said) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
    pause = threading.Event()
    while not pause.wait(0.05):
        yield b" "


def silence(_said: Said) -> Iterator[bytes]:
    threading.Event().wait(2 * SHORT)
    yield b""


def cut_short(said: Said) -> Said:
    return Said(said.status, {**said.headers, "x-length": str(len(said.body) + 9)}, said.body)


def truncated(said: Said) -> Said:
    return Said(said.status, said.headers, said.body[: len(said.body) // 2])


def failing(said: Said) -> Said:
    return Said(500, said.headers, b"{}")


def a_page(said: Said) -> Said:
    return Said(200, {"content-type": "text/html"}, b"<html><script>alert(1)</script></html>")


def another_type(said: Said) -> Said:
    return Said(said.status, {**said.headers, "content-type": "text/html"}, said.body)


def redirected(said: Said) -> Said:
    return Said(302, {"location": "http://127.0.0.1:1/"}, b"")


def compressed(said: Said) -> Said:
    return Said(said.status, {**said.headers, "content-encoding": "gzip"}, said.body)


def deep(said: Said) -> Said:
    return Said(said.status, said.headers, b"[" * 60_000)


def of_another_status(said: Said) -> Said:
    return said.saying({"code": "relay.ended", "status": 410, "title": "x", "type": "about:blank"},
                       status=403)  # fmt: skip


def empty(said: Said) -> Said:
    return Said(said.status, said.headers, b"")


# --- lies of the protocol


def with_(**members: Json) -> Callable[[Said], Said]:
    return lambda said: said.saying({**said.json, **members})


def another_key(said: Said) -> Said:
    return said.saying({**said.json, "logKey": SigningKey.generate().verify_key.multikey})


def wrong_clock(said: Said) -> Said:
    return said.saying({**said.json, "time": format_time(utc_now() + timedelta(minutes=20))})


def other_hashes(said: Said) -> Said:
    return said.saying({"proof": [b64url_encode(b"x" * 32)]})


def no_hashes(said: Said) -> Said:
    return said.saying({"proof": []})


def another_note(said: Said) -> Said:
    text = said.body.decode().replace("\n\n", "\n\n", 1)
    lines = text.split("\n")
    lines[1] = str(int(lines[1]) + 1000)
    return Said(said.status, said.headers, "\n".join(lines).encode())


def kept() -> Callable[[Said], Said]:
    """The first answer again and again."""
    first: list[Said] = []

    def again(said: Said) -> Said:
        first.append(said)
        return said if len(first) == 1 else first[0]

    return again


def of_before() -> Callable[[Said], Said]:
    """The first answer once more, when a newer one was seen."""
    seen: list[Said] = []

    def bend(said: Said) -> Said:
        seen.append(said)
        return said if len(seen) < 3 else seen[0]

    return bend


def rubbish_envelopes(said: Said) -> Said:
    return said.saying({"envelopes": [{"ordinal": 10**6, "sealed": "AAAA"}], "more": False})


def falling_envelopes(said: Said) -> Said:
    two: list[Json] = [{"ordinal": 10**6 - n, "sealed": "AAAA"} for n in range(2)]
    return said.saying({"envelopes": two, "more": False})


def more_for_ever(said: Said) -> Said:
    return said.saying({**said.json, "more": True})


def receipt_with(**changes: Json) -> Callable[[Said], Said]:
    """A redemption's answer whose receipt says something else."""

    def bend(said: Said) -> Said:
        receipt = _object(said.json["receipt"])
        entry = {**_object(receipt["entry"]), **changes}
        return said.saying({**said.json, "receipt": {**receipt, "entry": entry}})

    return bend


def other_octets(said: Said) -> Said:
    sealed = bytearray(b64url_decode(str(said.json["sealed"])))
    sealed[-1] ^= 1
    return said.saying({**said.json, "sealed": b64url_encode(bytes(sealed))})


def manifest_with(**changes: Json) -> Callable[[Said], Said]:
    def bend(said: Said) -> Said:
        return said.saying({**said.json, "manifest": {**_object(said.json["manifest"]), **changes}})

    return bend


def spoilt_proof(said: Said) -> Said:
    receipt = _object(said.json["receipt"])
    return said.saying({**said.json, "receipt": {**receipt, "salt": b64url_encode(b"x" * 32)}})


def stamp_of_before(said: Said) -> Said:
    return Said(said.status, {k: v for k, v in said.headers.items() if k != "pds-stamp"}, said.body)


def spoilt_stamp(said: Said) -> Said:
    return Said(said.status, {**said.headers, "pds-stamp": b64url_encode(b"{}")}, said.body)


def other_list(said: Said) -> Said:
    raw = said.json
    return said.saying({**raw, "id": str(raw["id"])[:-3] + "xyz"})


def receipt_body_with(**changes: Json) -> Callable[[Said], Said]:
    """A receipt whose entry says something else."""

    def bend(said: Said) -> Said:
        return said.saying({**said.json, "entry": {**_object(said.json["entry"]), **changes}})

    return bend


def _forged(receipt: JsonObject) -> JsonObject:
    """The same entry in a log of the same name, signed with another key."""
    entry, salt = _object(receipt["entry"]), b"s" * 32
    tree = Tree(MemoryNodes(), 0)
    tree.append(leaf_of(salt, entry))
    origin = str(receipt["checkpoint"]).partition("\n")[0]
    note = sign_checkpoint(Checkpoint(origin, 1, tree.root()), SigningKey.generate())
    return Receipt(entry=entry, salt=salt, leaf_index=0, inclusion=(), checkpoint=note).to_json()


def forged_answer(said: Said) -> Said:
    return said.saying({**said.json, "receipt": _forged(_object(said.json["receipt"]))})


def forged_receipt(said: Said) -> Said:
    return said.saying(_forged(said.json))


def refusing(said: Said) -> Said:
    return said.saying(problem(RelayCode.SEQ), status=409)


def gone(said: Said) -> Said:
    return said.saying(problem(RelayCode.NOT_FOUND), status=404)


@dataclass(frozen=True)
class Row:
    """A lie, and what each side calls it; ``None`` where it does no harm, or is not asked."""

    name: str
    lie: Callable[[], Lie]
    vault: str | None
    company: str | None
    rounds: int = 1
    patience: float = PATIENCE

    @property
    def again(self) -> bool:
        """What does not count is asked for again, and nothing is kept of it but its code."""
        return self.vault in {KEY, PROOF}


def _everywhere(bend: Callable[[Said], "Said | Iterator[bytes]"]) -> Callable[[], Lie]:
    return lambda: lambda _asked, said: bend(said)


def _at(
    method: str, part: str, bend: Callable[[Said], "Said | Iterator[bytes]"]
) -> Callable[[], Lie]:
    return lambda: at(method, part, bend)


N, U = "relay.nonsense", "relay.unreachable"
STALE, KEY, PROOF = "register.status_stale", "log.signature", "log.inclusion"
FORKED, AWAY = "log.forked", "status.unavailable"
EVIDENCE = {FORKED, "vault.relay_key_changed", "sealing.cannot_open", "relay.seq", KEY, PROOF}
"""What stays in the records of whoever found it."""
NINE = "http://127.0.0.1:9"
ANSWER, STAGING, DEPOSIT = ("POST", "/redemptions"), ("PUT", "/packages/"), ("POST", "/envelopes")
CHECKPOINT, HISTORY = ("GET", "/log/checkpoint"), ("GET", "/log/consistency")
RELAY, MAIL, EVENTS, LIST = (
    ("GET", part) for part in ("/v1/relay", "/envelopes", "/events", "/status/")
)
ROWS = [
    Row("garbage", _everywhere(garbage), U, U),
    Row("an error", _everywhere(failing), N, N),
    Row("a page", _everywhere(a_page), N, N),
    Row("another content type", _everywhere(another_type), None, None),
    Row("a redirect", _everywhere(redirected), N, N),
    Row("a compressed body", _everywhere(compressed), N, N),
    Row("a body cut short", _everywhere(cut_short), U, U),
    Row("half a body", _everywhere(truncated), N, N),
    Row("an empty body", _everywhere(empty), N, N),
    Row("a deep body", _everywhere(deep), N, N),
    Row("a refusal of another status", _everywhere(of_another_status), N, N),
    Row("silence", _at(*RELAY, silence), U, None, patience=SHORT),
    Row("silence after a redemption", _at(*ANSWER, silence), None, U, patience=SHORT),
    Row("a drip", _at(*RELAY, drip), U, None, patience=SHORT),
    Row("a drip of an answer", _at(*ANSWER, drip), None, U, patience=SHORT),
    Row("a body without length or end", _at(*CHECKPOINT, endless), U, None),
    Row("an answer without length or end", _at(*ANSWER, endless), None, U),
    Row("chunks without end", _at(*ANSWER, endless_chunks), None, N),
    Row("a header without end", _at(*ANSWER, endless_header), None, U),
    Row("interim answers without end", _at(*ANSWER, endless_interim), None, U, patience=SHORT),
    Row("another log key", _at(*RELAY, another_key), "vault.relay_key_changed", None),
    Row("another address", _at(*RELAY, with_(relay=NINE)), N, None),
    Row("another time", _at(*RELAY, wrong_clock), "vault.clock_off", None),
    Row("an altered checkpoint", _at(*CHECKPOINT, another_note), KEY, None),
    Row("no checkpoint", _at(*CHECKPOINT, a_page), "log.note", None),
    Row(
        "a checkpoint of before",
        lambda: at(*CHECKPOINT, of_before()),
        "log.shrunken",
        None,
        rounds=3,
    ),
    Row("another history", _at(*HISTORY, other_hashes), FORKED, FORKED),
    Row("no history", _at(*HISTORY, no_hashes), FORKED, FORKED),
    Row(
        "rubbish in the mailbox",
        _at(*MAIL, rubbish_envelopes),
        "sealing.cannot_open",
        "sealing.cannot_open",
    ),
    Row("envelopes out of order", _at(*MAIL, falling_envelopes), N, N),
    Row("a mailbox without end", _at(*MAIL, more_for_ever), N, N),
    Row("events without end", _at(*EVENTS, more_for_ever), N, None),
    Row(
        "an older challenge",
        lambda: at("GET", "/challenge", kept()),
        None,
        "relay.not_found",
        rounds=2,
    ),
    Row("an older answer", lambda: at(*ANSWER, kept()), None, N, rounds=2),
    Row("an answer withheld", _at(*ANSWER, gone), None, "relay.not_found"),
    Row("a receipt of another package", _at(*ANSWER, receipt_with(package="A" * 22)), None, N),
    Row("a receipt of another relay", _at(*ANSWER, receipt_with(relay=NINE)), None, N),
    Row("a receipt of another kind", _at(*ANSWER, receipt_with(type="refusal")), None, N),
    Row("a receipt of another place", _at(*ANSWER, receipt_with(ordinal=1)), None, PROOF),
    Row("a receipt that proves nothing", _at(*ANSWER, spoilt_proof), None, PROOF),
    Row("a receipt of another log key", _at(*ANSWER, forged_answer), None, KEY),
    Row("other sealed bytes", _at(*ANSWER, other_octets), None, N),
    Row("another manifest", _at(*ANSWER, manifest_with(seq=9)), None, N),
    Row("a manifest of another package", _at(*ANSWER, manifest_with(package="A" * 22)), None, N),
    Row("a staging refused", _at(*STAGING, refusing), "relay.seq", None),
    Row("a staging of an older version", _at(*STAGING, receipt_body_with(seq=1)), N, None),
    Row("a staging of other bytes", _at(*STAGING, receipt_body_with(sha256="x")), N, None),
    Row("a staging at another relay", _at(*STAGING, receipt_body_with(relay=NINE)), N, None),
    Row(
        "a staging at another time",
        _at(*STAGING, receipt_body_with(at="2020-01-01T00:00:00Z")),
        PROOF,
        None,
    ),
    Row("a staging under another log key", _at(*STAGING, forged_receipt), KEY, None),
    Row("an older receipt", lambda: at(*STAGING, kept()), N, None, rounds=2),
    Row("a deposit of something else", _at(*DEPOSIT, receipt_body_with(size=1)), N, None),
    Row("a deposit under another log key", _at(*DEPOSIT, forged_receipt), KEY, None),
    Row("a deposit refused", _at(*DEPOSIT, refusing), "relay.seq", None),
    Row("no stamp", _at(*LIST, stamp_of_before), None, STALE),
    Row("a spoilt stamp", _at(*LIST, spoilt_stamp), None, STALE),
    Row("another list", _at(*LIST, other_list), "proof.signature", STALE),
    Row("no list", _at(*LIST, failing), N, STALE),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_lie_is_named_and_does_no_lasting_harm(town: Town, row: Row) -> None:
    """Each side names it by the code of the row; nobody listens for ever or takes in more than
    there is room for; and with an honest relay the next round is as good as any."""
    town.patience = row.patience
    town.liar.be(row.lie())
    for _ in range(row.rounds):
        vault, company = town.vault_says(), town.company_says()
    assert town.liar.told > 0
    town.liar.wait_until_left()
    assert town.liar.sent < ROOM
    _agree(vault, row.vault)
    _agree(company, row.company)
    town.patience = PATIENCE
    town.liar.be(honest)
    assert (town.vault_says(), town.company_says()) == (set(), set())
    with town.holder.open() as opened, town.shop.open() as shop:
        if row.vault in EVIDENCE and not row.again:
            assert row.vault in {code for _, code, _ in opened.evidence()}
        if row.company in EVIDENCE:
            assert row.company in {problem.code for problem in shop.problems()}


@pytest.mark.parametrize("row", [row for row in ROWS if row.vault or row.company])
def test_whatever_is_named_is_named_in_words(row: Row) -> None:
    """To either side, for a person who does not know the codes."""
    vague = words("nobody.knows", {})[0]
    assert row.vault is None or words(row.vault, HOLDER)[0] != vague
    assert row.company is None or words(row.company, PROBLEMS)[0] != vague


def test_a_person_is_told_what_the_relay_did(town: Town) -> None:
    """By the command line: the sentence, the code for whoever asks, and what to do."""
    town.liar.be(_at(*LIST, failing)())
    command = [sys.executable, "-m", "pds.cli.main", "--vault", str(town.holder.folder)]
    ran = subprocess.run(
        [*command, "--passphrase-fd", "0", "sync"],
        input=PASSPHRASE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    town.liar.be(honest)
    assert ran.returncode == 1, ran.stderr
    sentence, hint = HOLDER["relay.nonsense"]
    assert f"{sentence}.  [relay.nonsense]\n    {hint}\n" in ran.stdout


def _agree(said: set[str], expected: str | None) -> None:
    if expected is None:
        assert said == set()
    else:
        assert expected in said
