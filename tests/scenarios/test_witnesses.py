"""A relay, two witnesses, a vault and a company, all real; and the same relay as it forks its log.

The forked log is signed by the relay's own key: nothing but its past gives it away.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic
from urllib.parse import parse_qs, urlsplit

import pytest

from did.json import JsonObject, canonicalize, parse_object
from did.keys import SigningKey, VerifyKey
from did.multikey import b64url_encode
from did.time import format_time, parse_time, utc_now
from pds.company.client import Company
from pds.log.checkpoint import Checkpoint, sign_checkpoint
from pds.log.evidence import LogEvidence, judge
from pds.log.policy import Witness as Believed
from pds.log.policy import WitnessPolicy
from pds.log.tiles import TileNodes
from pds.log.tree import MemoryNodes, Tree, leaf_hash
from pds.log.vkey import log_key
from pds.mailbox import RelayClient
from pds.net import Response, Transport
from pds.vault.consent import Accept, Refuse
from pds.vault.service import Vault
from pds.witness.witness import Witness
from scripts.ports import free_port

from .bent import Bent, Hook, Send, bend
from .conftest import Holder, Server, Shop, make_holder, make_shop

ALL = {
    "delivery": Accept(follows_changes=True),
    "personalisation": Accept(),
    "marketing": Refuse(),
}
WAIT = 60.0


@dataclass
class Town:
    """Everyone, and where they are."""

    url: str
    data: Path
    witnesses: dict[str, Path]
    policy: WitnessPolicy
    """Both witnesses, each asked by itself."""
    silent: WitnessPolicy
    """The same, heard by way of the relay alone."""
    shop: Shop
    holder: Holder
    way: Transport

    @property
    def key(self) -> SigningKey:
        return SigningKey.from_seed((self.data / "log-key").read_bytes())

    def client(self) -> RelayClient:
        return RelayClient(self.url, self.way, clock=utc_now)

    def wait_until_cosigned(self) -> int:
        """Until both have cosigned what the log is now; its size."""
        client, until = self.client(), monotonic() + WAIT
        while True:
            note, notes = client.checkpoint(), client.cosigned()
            text = note.partition("\n\n")[0]
            if any(one.startswith(text) and one.count("\n— ") == 3 for one in notes):
                return int(text.split("\n")[1])
            if monotonic() > until:
                pytest.fail("the witnesses have not cosigned in time")


@pytest.fixture(scope="module")
def town(start: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Two witnesses and the relay, each a process of its own, and everyone at it."""
    made = tmp_path_factory.mktemp("town")
    folders, believed = {}, []
    for name in ("w1.example", "w2.example"):
        folders[name] = made / name
        witness = Witness.create(folders[name], name=name)
        server = start("witness", "serve", "--data", str(folders[name]), "--port", "0")
        believed.append(Believed(witness.key, f"http://127.0.0.1:{server.port}"))
        witness.close()
    url = f"http://127.0.0.1:{free_port()}"
    named = [f"{one.url}={one.key.text}" for one in believed]
    start(
        "relay", "serve", "--data", str(made / "relay"), "--url", url,
        "--registrations-per-hour", "10000", "--witness", named[0], "--witness", named[1],
    )  # fmt: skip
    way = Transport(trusted_origins=[url])
    info = RelayClient(url, way, clock=utc_now).info()
    for folder in folders.values():
        witness = Witness(folder)
        witness.trust(log_key(info.log_origin, info.log_key))
        witness.close()
    shop = make_shop(start, made / "shop", url)
    yield Town(
        url,
        made / "relay",
        folders,
        WitnessPolicy(tuple(believed), 2, timedelta(hours=1)),
        WitnessPolicy(tuple(Believed(one.key) for one in believed), 2, timedelta(hours=1)),
        shop,
        make_holder(made / "vault", url, shop),
        way,
    )
    way.close()


@pytest.fixture
def met(town: Town) -> Town:
    """The holder has granted, the shop has collected, and all of it is cosigned."""
    with town.holder.open() as vault:
        asked = vault.open_link(town.shop.ask())
        vault.decide(asked.request.id, ALL)
        assert vault.push().complete
    with town.shop.open() as company:
        company.collect()
    town.wait_until_cosigned()
    return town


@contextmanager
def believing(town: Town, policy: WitnessPolicy) -> Iterator[Vault]:
    """The vault, which believes these witnesses as long as the block lasts."""
    with town.holder.open() as vault:
        vault.set_witnesses(policy)
        yield vault
        vault.set_witnesses(None)


def test_what_is_cosigned_in_time_is_no_news(met: Town) -> None:
    """Vault and company want both witnesses, and have nothing to complain of."""
    for policy in (met.policy, met.silent):
        with believing(met, policy) as vault:
            assert vault.sync().problems == []
        with met.shop.open() as company:
            company.set_witnesses(policy)
        with met.shop.open() as company:
            assert company.collect().problems == []
            company.set_witnesses(None)


class Fork:
    """The relay's log as it is up to some size, and another story from there on."""

    def __init__(self, town: Town, *, keep: int, size: int) -> None:
        info = town.client().info()
        self.origin, self.key = info.log_origin, town.key
        prefix = f"http://{self.origin}"
        note = town.way.request("GET", f"{prefix}/checkpoint").body.decode()
        honest = int(note.split("\n")[1])
        nodes = TileNodes(
            lambda tile: town.way.request("GET", f"{prefix}/tile/{tile.path}").body, honest
        )
        self.tree = Tree(MemoryNodes(), 0)
        self.tree.extend([nodes.get_node(0, n) for n in range(keep)])
        self.tree.extend([leaf_hash(b"another story %d" % n) for n in range(keep, size)])

    def note(self) -> str:
        root = self.tree.root()
        return sign_checkpoint(Checkpoint(self.origin, self.tree.size, root), self.key)

    def hook(self, _method: str, url: str, send: Send) -> Response:
        """The relay as the victim sees it: what is cosigned is shown as far as it fits."""
        asked = urlsplit(url)
        if asked.path == "/v1/log/checkpoint":
            return Response(200, {}, self.note().encode())
        if asked.path == "/v1/log/consistency":
            query = {name: int(value[0]) for name, value in parse_qs(asked.query).items()}
            proof = self.tree.consistency(query["first"], query["second"])
            return answer({"proof": [b64url_encode(one) for one in proof]})
        if asked.path == "/v1/log/cosigned":
            notes = parse_object(send().body)["checkpoints"]
            fits = [n for n in notes if self._fits(str(n))] if isinstance(notes, list) else []
            return answer({"checkpoints": fits})
        return send()

    def _fits(self, note: str) -> bool:
        size = int(note.split("\n")[1])
        return size <= self.tree.size and note.startswith(
            Checkpoint(self.origin, size, self.tree.root(size)).text
        )


def answer(value: JsonObject) -> Response:
    return Response(200, {"content-type": "application/json"}, canonicalize(value))


def grown(town: Town) -> int:
    """The honest log has grown, and the witnesses have seen it."""
    with town.holder.open() as vault:
        shown = vault.open_link(town.shop.ask("second-request.json"))
        vault.decide(shown.request.id, {"support": Accept(), "analytics": Refuse()})
        assert vault.push().complete
    with town.shop.open() as company:
        company.collect()
    return town.wait_until_cosigned()


def two_hours_pass(vault: Vault) -> None:
    """For what waits to be cosigned."""
    kept = parse_object((vault._ctx.exchange.setting("witnesses_waiting") or "").encode())
    since = format_time(parse_time(str(kept["since"])) - timedelta(hours=2))
    with vault._ctx.transaction():
        vault._ctx.exchange.set_setting(
            "witnesses_waiting", canonicalize(kept | {"since": since}).decode()
        )


def forget(vault: Vault) -> None:
    """The forged checkpoints that were seen; the honest story goes on for the next test."""
    with vault._ctx.transaction():
        vault._ctx.conn.execute("DELETE FROM seen_checkpoint")
        vault._ctx.conn.execute("DELETE FROM unchecked_checkpoint")


def log_evidence(vault: Vault) -> list[LogEvidence]:
    found = [detail for _, code, detail in vault.evidence() if code == "log.forked"]
    return [LogEvidence.parse(detail) for detail in found]


def test_attack_45_a_log_forked_for_one_holder_lacks_its_witnesses(met: Town) -> None:
    """It grows out of all that the vault has seen. Nobody cosigns it: after the time that the
    policy gives, that is said in every round, and kept once."""
    with believing(met, met.silent) as vault:
        assert vault.sync().problems == []
        seen = met.wait_until_cosigned()
        fork = Fork(met, keep=seen, size=seen + 5)
        bend(vault, fork.hook)
        assert vault.sync().problems == []  # not yet: witnesses may take their time
        two_hours_pass(vault)
        for _ in range(2):
            assert ("log.unwitnessed", met.url) in vault.sync().problems
        assert [code for _, code, _ in vault.evidence()].count("log.unwitnessed") == 1
        forget(vault)


def test_attack_45_what_is_cosigned_is_of_the_log_that_is_shown(met: Town) -> None:
    """A relay that shows a fork and, beside it, what the witnesses have cosigned of the other."""
    with believing(met, met.silent) as vault:
        assert vault.sync().problems == []
        seen = met.wait_until_cosigned()
    honest = grown(met)
    with believing(met, met.silent) as vault:
        forget(vault)
        fork = Fork(met, keep=seen, size=honest + 5)

        def both(method: str, url: str, send: Send) -> Response:
            return send() if url.endswith("/v1/log/cosigned") else fork.hook(method, url, send)

        bend(vault, both)
        assert ("log.forked", met.url) in vault.sync().problems
        kept = len(log_evidence(vault))
        assert ("log.forked", met.url) in vault.sync().problems
        assert len(log_evidence(vault)) == kept  # the same is kept once
        forget(vault)


def test_attack_45_a_witness_that_is_asked_itself_shows_the_fork(
    met: Town, tmp_path: Path, cli: Callable[..., tuple[int, JsonObject]]
) -> None:
    """At once, with evidence that convinces a third person who has the log's key."""
    with believing(met, met.policy) as vault:
        assert vault.sync().problems == []
        seen = met.wait_until_cosigned()
    honest = grown(met)
    assert honest > seen
    with believing(met, met.policy) as vault:
        forget(vault)
        fork = Fork(met, keep=seen, size=honest + 5)
        bend(vault, fork.hook)
        assert ("log.forked", met.url) in vault.sync().problems
        evidence = log_evidence(vault)[-1]
        verdict = judge(evidence)
        # A size that is a power of two leaves the proof without its first hash.
        assert verdict.proven is (honest.bit_count() > 1)
        forget(vault)
    out = tmp_path / "evidence.json"
    out.write_bytes(canonicalize(evidence.to_json()))
    key = log_key(fork.origin, met.key.verify_key).text
    code, told = cli("log", "verify", "--evidence", str(out), "--key", key)
    assert (code, told["result"]) == ((0, "proven") if verdict.proven else (2, "not proven"))
    code, told = cli("log", "verify", "--evidence", str(out), "--key", stranger(fork.origin))
    assert (code, told["code"]) == (1, "log.evidence")


def stranger(origin: str) -> str:
    return log_key(origin, SigningKey.from_seed(bytes(32)).verify_key).text


def test_attack_45_a_log_forked_for_one_company(met: Town) -> None:
    """The company notices in the same two ways."""
    with met.shop.open() as company:
        company.set_witnesses(met.policy)
    seen = met.wait_until_cosigned()
    with met.shop.open() as company:
        assert company.collect().problems == []
    honest = grown(met)
    fork = Fork(met, keep=seen, size=honest + 5)
    with met.shop.open() as company, company_bent(company, fork.hook):
        assert ("log.forked", met.url) in company.collect().problems
        kept = [p.detail for p in company.problems() if p.code == "log.forked"]
        assert LogEvidence.parse(kept[-1]).key.key == VerifyKey.from_bytes(met.key.verify_key.bytes)
        company._ctx.conn.execute("DELETE FROM checkpoint")
        company._ctx.conn.execute("DELETE FROM problem")
        company.set_witnesses(met.silent)
        assert company.collect().problems == []
        with company._ctx.transaction():
            name = f"witnesses_waiting:{fork.origin}"
            waiting = json.loads(company._ctx.store.setting(name) or "")
            since = parse_time(waiting["since"]) - timedelta(hours=2)
            company._ctx.store.set_setting(
                name, json.dumps(waiting | {"since": format_time(since)})
            )
        assert ("log.unwitnessed", met.url) in company.collect().problems
        company._ctx.conn.execute("DELETE FROM checkpoint")
        company._ctx.conn.execute("DELETE FROM problem")
        company.set_witnesses(None)


@contextmanager
def company_bent(company: Company, hook: Hook) -> Iterator[None]:
    inner = company._ctx.transport
    company._ctx.transport = Bent(inner, hook)
    yield
    company._ctx.transport = inner


def test_witnesses_that_are_away_are_no_reason_to_accuse(met: Town) -> None:
    """Nor are those that answer with rubbish."""

    def away(_method: str, url: str, send: Send) -> Response:
        if url.endswith("/checkpoint") and "/v1/" not in url:
            if "1" in url[-12:]:
                raise ConnectionRefusedError
            return Response(200, {}, b"\xff never mind")
        return send()

    with believing(met, met.policy) as vault:
        bend(vault, away)
        assert vault.sync().problems == []


# anybody


@pytest.fixture
def cli() -> Callable[..., tuple[int, JsonObject]]:
    """``pds --json ARGUMENTS`` in this process: its exit code and answer."""
    from click.testing import CliRunner

    from pds.cli.main import cli as entry

    def run(*arguments: str) -> tuple[int, JsonObject]:
        ran = CliRunner().invoke(entry, ["--json", *arguments])
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        return ran.exit_code, parse_object(ran.stdout.encode())

    return run


def test_anybody_verifies_the_log(
    met: Town, tmp_path: Path, cli: Callable[..., tuple[int, JsonObject]]
) -> None:
    """From its URL, with what was seen before, a receipt, and the witnesses; then from a folder,
    without the network."""
    size = met.wait_until_cosigned()
    state, folder = tmp_path / "state.json", tmp_path / "log"
    named = [f"--witness={one.key.text}" for one in met.policy.witnesses]
    receipt = tmp_path / "receipt.json"
    with met.holder.open() as vault:
        exchange = vault._ctx.exchange
        (_, kept) = exchange.staging_receipts(exchange.grants()[0].package)[0]
        receipt.write_bytes(canonicalize(kept))
    code, told = cli(
        "log", "verify", met.url, "--state", str(state), "--receipt", str(receipt),
        "--save", str(folder), *named,
    )  # fmt: skip
    assert code == 0, told
    assert (told["size"], told["receipts"], told["witnessed"]) == (size, 1, size)
    assert told["witnesses"] == ["w1.example", "w2.example"]
    assert told["keyTakenOnTrust"]
    grown_to = grown(met)
    code, told = cli("log", "verify", met.url, "--state", str(state))
    assert (code, told["size"], told["comparedWith"]) == (0, grown_to, size)
    assert not told["keyTakenOnTrust"]
    key = str(told["key"])
    code, told = cli("log", "verify", str(folder), "--key", key, *named)
    assert (code, told["size"]) == (0, size)
    code, told = cli("log", "verify", "--receipt", str(receipt), "--key", key)
    assert (code, told["receipts"]) == (0, 1)
    # The folder is of before: it lacks what the state has seen.
    code, told = cli("log", "verify", str(folder), "--state", str(state))
    assert (code, told["code"]) == (1, "log.shrunken")
    # An address that names the log finds the same one.
    code, told = cli("log", "verify", f"{met.url}/{told_origin(key)!s}", "--key", key)
    assert (code, told["size"]) == (0, grown_to)


def told_origin(key: str) -> str:
    return key.partition("+")[0].partition("/")[2]
