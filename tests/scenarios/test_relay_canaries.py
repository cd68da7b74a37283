"""A whole exchange over a relay, with planted values: nothing of them is anywhere at the relay.

Every table and file of its database, the backup, both logs, the counters, its processes and all
that it ever answered are read through. What the relay is not to know is in each of these kinds:
values, purposes, names, the company's DID, and every secret that was used towards it or beside it.

Long, because it is one exchange, with each refusal there is, and one look at everything after it.
"""

import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from did.json import parse_object
from did.keys import SigningKey
from did.multikey import b64url_decode, b64url_encode, multihash_sha256
from did.time import format_time, utc_now
from pds.company.client import Company
from pds.net import Response
from pds.relay.store.transfer import TABLES
from pds.vault.consent import Accept, Refuse
from pds.vault.service import Vault
from pds.wire import RelayCode, new_id

from .conftest import FIXTURES, PASSPHRASE, QUICK, ROOT, Server, Shop, free_port
from .test_canaries import CANARY, CARD
from .test_canaries import disguises as any_disguises

sys.path.insert(0, str(ROOT / "tests" / "pds" / "relay"))
from relay_world import Reply, World, http_send

COMPANY = "did:web:zqcompanydid4k.example"
NAME = "Zqcompanyname8w Kft."
TYPED = "zqtyped5m"  # in what is refused
PLAIN = "zqplain2d"  # left there unsealed on purpose
# Words of the terms, each in the place of one of the fixture's.
TERMS = {
    "To bring you what you ordered.": "zqreason6b",
    "Courier Zrt.": "zqrecipient3h Zrt.",
    "https://shop.example/privacy": "https://zqnotice9c.example/",
    "Without it we cannot deliver; you can collect the parcel in the shop.": "zqconsequence1t",
}
VOCABULARY = ("DeliveryOfGoods", "ServicePersonalisation", "w3id.org/dpv", "contact.address",
              "contact.name", "purchases", "dataProtectionContact")  # fmt: skip


@dataclass
class Relay:
    """A relay as a process of its own, told everything that it can tell about."""

    data: Path
    url: str
    log: Path
    counters: int
    database: str | None
    cluster: Path | None
    process: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        where = [] if self.database is None else ["--database", self.database]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pds.cli.main", "--json", "relay", "serve",
                 "--data", str(self.data), "--url", self.url, "--registration", "token",
                 "--workers", "2", "--metrics", str(self.counters), "--log", "json",
                 "--access-log", "--deposits-per-hour", "60", *where],
                stdout=subprocess.PIPE, stderr=log, cwd=ROOT,
            )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline(), self.log.read_text()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def token(self) -> str:
        return (self.data / "registration-token").read_text().strip()

    def backup(self, folder: Path) -> None:
        where = [] if self.database is None else ["--database", self.database]
        subprocess.run(
            [sys.executable, "-m", "pds.cli.main", "relay", "backup", str(folder),
             "--data", str(self.data), *where], cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip


@pytest.fixture(params=["file", "postgresql"])
def relay(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Relay]:
    """A running relay on each engine; new mailboxes need its token."""
    with ExitStack() as stack:
        database = cluster = None
        if request.param == "postgresql":
            server = request.getfixturevalue("postgres")
            database, cluster = stack.enter_context(server.schema()), server.folder
        url = f"http://127.0.0.1:{free_port()}"
        made = Relay(tmp_path / "relay", url, tmp_path / "log", free_port(), database, cluster)
        made.start()
        stack.callback(made.stop)
        yield made


@dataclass
class Said:
    """What the relay answered, and the secrets that were shown to it."""

    answers: list[bytes] = field(default_factory=list)
    bearers: set[str] = field(default_factory=set)


def record(opened: Any, said: Said, relay: Relay) -> Any:
    """The vault or company, its way to the relay listened in on."""
    way = opened._ctx.transport
    send = way.request

    def request(method: str, url: str, **more: Any) -> Response:
        answer: Response = send(method, url, **more)
        if url.startswith(relay.url):
            said.answers.append(repr(sorted(answer.headers.items())).encode() + answer.body)
            scheme, _, bearer = (more.get("headers") or {}).get("Authorization", "").partition(" ")
            if scheme:
                said.bearers.add(bearer)
        return answer

    way.request = request
    return opened


def disguises(text: str) -> set[bytes]:
    """The forms of a word that are long enough not to turn up by chance, those for URLs too."""
    forms = any_disguises(text)
    forms |= {one.replace(b"+", b"-").replace(b"/", b"_") for one in forms}
    return {one for one in forms if len(one) >= 8}


# --- where a value could be -----------------------------------------------------------------------


def rows(relay: Relay) -> Iterator[tuple[str, bytes]]:
    """Every value in every table there is, as its engine hands it out."""
    if relay.database is None:
        import sqlcipher3

        conn = sqlcipher3.connect(f"file:{relay.data / 'relay.db'}?mode=ro", uri=True)
        names = "SELECT name FROM sqlite_master WHERE type = 'table'"
    else:
        import psycopg

        conn = psycopg.connect(relay.database)
        names = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    try:
        for (table,) in conn.execute(names).fetchall():
            for row in conn.execute(f"SELECT * FROM {table}").fetchall():
                for value in row:
                    octets = value if isinstance(value, bytes) else str(value).encode()
                    yield f"table {table}", octets
    finally:
        conn.close()


def files(folder: Path, name: str) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                yield f"{name} {path.relative_to(folder)}", path.read_bytes()
        except FileNotFoundError:  # the engine's own, gone meanwhile
            continue


def processes(relay: Relay) -> Iterator[tuple[str, bytes]]:
    """What anybody on the machine can see of its processes."""
    waiting = [relay.process.pid]
    while waiting:
        pid = waiting.pop()
        for what in ("cmdline", "environ"):
            yield f"process {what}", Path(f"/proc/{pid}/{what}").read_bytes()
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            waiting += map(int, children.read_text().split())


def everywhere(relay: Relay, backup: Path, answers: list[bytes]) -> Iterator[tuple[str, bytes]]:
    yield from rows(relay)
    yield from files(relay.data, "file")
    yield from files(backup, "backup")
    if relay.cluster is not None:
        yield from files(relay.cluster, "cluster")
    yield from processes(relay)
    yield "log", relay.log.read_bytes()
    with urllib.request.urlopen(f"http://127.0.0.1:{relay.counters}/metrics", timeout=20) as shown:
        yield "metrics", shown.read()
    for answer in answers:
        yield "answer", answer


def found(places: list[tuple[str, bytes]], secrets: Mapping[str, set[bytes]]) -> set[str]:
    """Which of the secrets are in which of the places."""
    pattern = re.compile(b"|".join(re.escape(one) for forms in secrets.values() for one in forms))
    hits = set()
    for where, octets in places:
        for hit in set(pattern.findall(octets)):
            hits |= {f"{name} in {where}" for name, forms in secrets.items() if hit in forms}
    return hits


def secret(text: str) -> set[bytes]:
    """A key in base64url: as it was written, and its bytes."""
    raw = b64url_decode(text)
    return disguises(text) | {raw, raw.hex().encode()}


# --- the exchange ---------------------------------------------------------------------------------


def exchange(
    relay: Relay, start: Callable[..., Server], folder: Path
) -> tuple[dict[str, set[bytes]], list[bytes]]:
    """Invite, ask, grant, redeem, write, withdraw, attest, restore, go on: the planted secrets by
    their names, and all that the relay answered."""
    said = Said()
    planted = {name: disguises(name) for name in (COMPANY, NAME, CANARY, PASSPHRASE, *VOCABULARY)}
    planted |= {word: disguises(word) for word in TERMS.values()}
    planted["registration token"] = disguises(relay.token)

    Company.create(
        folder / "shop", did=COMPANY, name=NAME, address="Zqaddress utca 1.",
        contact="mailto:zqcontact@shop.example", data_protection_contact="mailto:dpo@shop.example",
        relay=relay.url, sandbox=True, relay_token=relay.token,
    ).close()  # fmt: skip
    server = start("company", "--data", str(folder / "shop"), "serve", "--port", "0", "--dev-tls")
    host = COMPANY.rpartition(":")[2]
    shop = Shop(folder / "shop", f"{host}=127.0.0.1:{server.port},{folder / 'shop/tls/ca.pem'}")
    text = (FIXTURES / "request.json").read_text()
    for before, after in TERMS.items():
        assert before in text
        text = text.replace(before, after)
    planted |= {"zqaddress": disguises("Zqaddress"), "zqcontact": disguises("zqcontact")}

    Vault.create(folder / "vault", passphrase=PASSPHRASE, relay=relay.url, sandbox=True,
                 dev_trust=[shop.dev_trust], params=QUICK)  # fmt: skip
    (folder / "card.vcf").write_text(CARD)

    def company() -> Any:
        return record(shop.open(), said, relay)

    def vault() -> Any:
        return record(Vault.open(folder / "vault", passphrase=PASSPHRASE), said, relay)

    with company() as opened:
        link = str(opened.request(parse_object(text.encode()), valid_for=timedelta(days=14)).link)
    planted["the key of the link"] = secret(link.partition("#")[2])
    with vault() as opened:
        opened.use_relay(relay.url, token=relay.token)
        opened.import_plan(opened.plan_import(folder / "card.vcf"))
        opened.import_plan(opened.plan_import(FIXTURES / "purchases.csv"))
        asked = opened.open_link(link)
        opened.decide(
            asked.request.id,
            {"delivery": Accept(follows_changes=True), "personalisation": Accept(),
             "marketing": Refuse()},
        )  # fmt: skip
        assert opened.push().complete
    with company() as opened:
        opened.collect()
        assert CANARY in str(opened.redeem("delivery").items)
        assert opened.redeem("personalisation").items
    with vault() as opened:
        assert opened.sync().problems == []
        opened.backup(folder / "vault.backup")
        opened.withdraw("personalisation")
    with company() as opened:
        opened.collect()
        opened.expire()
    with vault() as opened:
        assert opened.sync().problems == []
        assert {one.kind for one in opened.activity()} >= {"redemption", "attested"}
    shutil.rmtree(folder / "vault")
    with Vault.restore(folder / "vault.backup", folder / "vault", passphrase=PASSPHRASE) as opened:
        record(opened, said, relay)
        opened.reconcile()
        assert opened.sync().problems == []
        opened.rotate_relationship(host)
        opened.sync()
    with company() as opened:
        opened.collect()
        assert opened.redeem("delivery").items
    assert said.bearers
    planted |= {f"capability {n}": secret(one) for n, one in enumerate(sorted(said.bearers))}
    return planted, said.answers


def refusals(relay: Relay) -> tuple[set[str], list[bytes]]:
    """Every refusal that a caller can bring about, with a word of his typed wherever there is
    room for it: their codes, and the answers."""
    seen: list[Reply] = []
    send = http_send(int(relay.url.rpartition(":")[2]))

    def telling(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        reply = send(method, path, headers, body)
        seen.append(reply)
        return reply

    world = World(send=telling, clock=utc_now, url=relay.url)
    box = f"/v1/mailboxes/{world.mailbox}"
    capability = f"{box}/capabilities/{new_id()}"

    def signed(method: str, path: str, body: Any = None, **how: Any) -> None:
        world.call(method, path, body, **how)

    # who it is, and where
    signed("PUT", box, {"token": TYPED})
    signed("PUT", box, {TYPED: TYPED})
    signed("PUT", box, TYPED.encode())
    world.call("PUT", box, {"token": relay.token})
    world.send("PUT", f"{box}?{TYPED}={TYPED}", {TYPED: TYPED, "Cookie": TYPED}, b"")
    world.send("GET", box, world.sign("GET", box) | {"Signature-Input": TYPED}, b"")
    world.send("GET", f"/v1/{TYPED}/{TYPED}?{TYPED}", {"User-Agent": TYPED, "Referer": TYPED}, b"")
    world.send("POST", f"/r/{TYPED}", {}, TYPED.encode())
    signed("GET", f"{box}/envelopes?after={TYPED}")
    headers = world.sign("DELETE", f"{box}/capabilities/{new_id()}")
    signed("PUT", capability, {"hash": TYPED, "maxEnvelopes": TYPED, "maxBytes": 1, "expires": ""})
    _, secret = world.capability(envelopes=100, size=2**20)
    world.deposit(TYPED, TYPED.encode())
    world.deposit(secret, b"x" * (2**20 + 2000))
    for number in range(70):
        world.deposit(secret, b"%d" % number)
    # links, identities, lists
    link = {"mailbox": world.mailbox, "sealed": "AAAA",
            "expires": format_time(utc_now() + timedelta(days=1))}  # fmt: skip
    for _ in range(2):
        signed("PUT", f"/v1/requests/{world.list_id}", link)
    signed("PUT", f"/v1/requests/{new_id()}", link | {"sealed": b64url_encode(bytes(1_049_714))})
    for _ in range(100):
        signed("PUT", f"/v1/requests/{new_id()}", link)
    signed(
        "PUT",
        f"/v1/identities/{new_id()}",
        {"mailbox": world.mailbox, "did": f"did:webvh:{TYPED}:{TYPED}", "log": TYPED + "\n"},
    )
    package, ticket = new_id(), world.ticket
    world.stage(package)  # no list yet
    world.put_status()
    revoked = world.bits.with_bit(9)
    world.put_status(world.status_list(sequence=2, bits=revoked))
    world.put_status(world.status_list(sequence=3))
    world.put_status(world.status_list(sequence=1))
    world.put_status(world.status_list(key=SigningKey.generate(), sequence=4))
    # packages
    good = ticket(package, max_uses=1)
    assert world.stage(package, ticket=good).status == 200
    world.stage(package, ticket=good, seq=5)
    world.stage(package, ticket=ticket(package, relay=f"https://{TYPED}.example"), seq=2)
    later = utc_now() + timedelta(days=1)
    over = ticket(
        new_id(),
        valid_from=utc_now() - timedelta(days=9),
        valid_until=utc_now() - timedelta(days=8),
        now=utc_now() - timedelta(days=9),
    )
    world.stage(over["credentialSubject"]["package"], ticket=over)
    # redemptions
    world.present({TYPED: TYPED})
    world.redeem(good, challenge=TYPED)
    world.redeem(good, domain=f"https://{TYPED}.example")
    world.redeem(good, key=SigningKey.generate())
    world.redeem(ticket(package))
    world.redeem(ticket(package, relay=f"https://{TYPED}.example"))
    world.redeem(good, grantDigest=multihash_sha256(TYPED.encode()))
    done = world.presentation(good)
    assert world.present(done).status == 200
    world.present(done)
    world.redeem(good)
    slow, limited = world.another(min_interval=3600)
    assert world.redeem(limited).status == 200
    world.redeem(limited)
    _, future = world.another(valid_from=later)
    world.redeem(future)
    _, withdrawn = world.another()
    world.put_status(world.status_list(sequence=5, bits=revoked.with_bit(7)))
    world.redeem(withdrawn)
    world.end(slow)
    world.stage(slow, seq=2)
    # writers
    world.send("DELETE", f"/v1/packages/{package}", headers, b"")
    nonce = new_id()
    for _ in range(2):
        signed("DELETE", f"{box}/capabilities/{new_id()}", nonce=nonce)
    for epoch in (9, 1):
        signed("PUT", box, {}, epoch=epoch)
    refused = [one for one in seen if one.status >= 400]
    return {one.code for one in refused}, [repr(one.headers).encode() + one.body for one in refused]


def test_nothing_planted_is_at_the_relay(
    relay: Relay, start: Callable[..., Server], tmp_path: Path
) -> None:
    """On either engine, after a whole exchange and all the refusals that there are."""
    (tmp_path / "people").mkdir()
    planted, answers = exchange(relay, start, tmp_path / "people")
    codes, refused = refusals(relay)
    # Two need a database that is busy or a second history: their tests hold them to the same form.
    hard = {RelayCode.BUSY, RelayCode.HISTORY_CUT, RelayCode.SUSPENDED}
    assert set(RelayCode) - hard - codes == set()
    planted[TYPED] = disguises(TYPED)
    relay.backup(tmp_path / "backup")
    places = list(everywhere(relay, tmp_path / "backup", answers + refused))
    own = "registration token in {} registration-token"
    assert found(places, planted) == {own.format("file"), own.format("backup")}
    # All tables were looked at, and nearly all have something in them: swept has two times, later.
    seen = {where.partition(" ")[2] for where, _ in places if where.startswith("table ")}
    assert seen >= set(TABLES) - {"cosignatures", "identities", "swept"}
    kinds = {where.partition(" ")[0] for where, _ in places}
    assert kinds >= {"table", "file", "backup", "process", "log", "metrics", "answer"}

    # And what is there is found: in tables, in the files of either engine, in a backup.
    world = World(send=http_send(int(relay.url.rpartition(":")[2])), clock=utc_now, url=relay.url)
    world.call("PUT", f"/v1/mailboxes/{world.mailbox}", {"token": relay.token})
    assert world.deposit(world.capability()[1], PLAIN.encode()).status == 201
    relay.backup(tmp_path / "second")
    places = list(everywhere(relay, tmp_path / "second", []))
    where = {hit.partition(" in ")[2] for hit in found(places, {PLAIN: disguises(PLAIN)})}
    assert "table envelopes" in where
    assert any(one.startswith("backup relay.db") for one in where)
    assert "file relay.db-wal" in where or any(one.startswith("cluster ") for one in where)
