"""A public identity at a relay: published, looked at, found again, and never told otherwise."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from credentials.webvh import PROOFS
from did.json import canonicalize
from did.resolve import Resolver
from pds.mailbox import RelayError
from pds.relay.app import create_app
from pds.relay.restore import mark_restored
from pds.vault.errors import VaultError
from pds.vault.keyslots import Argon2Params
from pds.vault.outbox import PushReport
from pds.vault.service import Vault
from pds.wire import RelayCode, problem

URL = "https://relay.example"
START = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Net:
    """A relay in this process as the only host there is; ``told`` are answers of its own making,
    ``first`` is done once before the next call that changes something."""

    data: Path
    clock: Clock
    told: dict[str, bytes] = field(default_factory=dict)
    app: Any = None
    first: Callable[[], object] | None = None

    def start(self) -> None:
        self.app = create_app(self.data, url=URL, clock=self.clock)

    def stop(self) -> None:
        self.app.extensions["relay"].store.close()
        self.app = None

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Reply:
        if self.app is None:
            raise OSError
        path = url.removeprefix(URL)
        if method != "GET" and self.first is not None:
            first, self.first = self.first, None
            first()
        if method == "GET":
            for part, answer in self.told.items():
                if part in path:
                    return Reply(200, {}, answer)
        made = self.app.test_client().open(path, method=method, headers=dict(headers), data=body)
        lower = {name.lower(): value for name, value in made.headers.items()}
        return Reply(made.status_code, lower, made.data)

    def fetch(self, url: str) -> bytes:
        reply = self.request("GET", url, headers={})
        assert reply.status == 200
        return reply.body

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Holder:
    """A vault in a folder, with the relay as its network."""

    folder: Path
    kit: str
    net: Net

    def open(self) -> Vault:
        return self.through(Vault.open(self.folder, kit=self.kit, clock=self.net.clock))

    def restore(self, backup: Path, name: str) -> "tuple[Vault, Holder]":
        folder = self.folder.with_name(name)
        vault = Vault.restore(backup, folder, kit=self.kit, clock=self.net.clock)
        return self.through(vault), Holder(folder, self.kit, self.net)

    def through(self, vault: Vault) -> Vault:
        vault._ctx.transport.close()
        vault._ctx.transport = self.net  # type: ignore[assignment]
        return vault


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("template") / "vault"
    kit = Vault.create(
        folder,
        passphrase="four unrelated words here",
        relay=URL,
        params=Argon2Params(memory_kib=65_536),
        clock=lambda: START,
    )
    return folder, kit


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    made = Net(tmp_path / "relay", Clock())
    made.start()
    yield made
    if made.app is not None:
        made.stop()


@pytest.fixture
def holder(template: tuple[Path, str], net: Net, tmp_path: Path) -> Holder:
    """A vault whose relay is there."""
    shutil.copytree(template[0], tmp_path / "vault")
    return Holder(tmp_path / "vault", template[1], net)


def days(net: Net, number: int = 1) -> None:
    net.clock.now += timedelta(days=number)


def test_an_identity_is_published_and_resolved(holder: Holder, net: Net) -> None:
    """The relay gets the log by way of push, shows it, and signs a receipt that is kept."""
    with holder.open() as vault:
        made = vault.identities.create()
        assert (made.relay, made.waits) == (URL, True)
        assert vault.status().waiting == 1
        assert vault.push() == PushReport(1, ())
        shown = vault.identities.current()
        assert not shown.waits
        assert vault.push() == PushReport(0, ())
        assert [line.kind for line in vault.activity()][:2] == [
            "identity published",
            "identity created",
        ]
        resolver = Resolver(fetch=net.fetch, webvh_proofs=PROOFS, clock=net.clock)
        assert str(resolver.resolve(made.did).id) == made.did
        assert net.fetch(made.url) == vault.identities.log()
        assert vault.sync().problems == []
        with pytest.raises(VaultError) as refused:
            vault.use_relay("https://other.example")
        assert refused.value.code == "vault.relay_in_use"


def test_what_changes_while_the_relay_is_away_waits(holder: Holder, net: Net) -> None:
    """Keys are replaced all the same; the next round sends the log once, as it then is."""
    with holder.open() as vault:
        vault.identities.create()
        vault.push()
        net.stop()
        for _ in range(2):
            days(net)
            vault.identities.rotate()
        assert vault.push().waiting == (("identity", "relay.unreachable"),)
        net.start()
        report = vault.sync()
        assert (report.push.sent, report.problems) == (1, [])
        assert net.fetch(vault.identities.current().url) == vault.identities.log()
        assert vault.identities.current().version == 3


def test_an_identity_begun_since_the_backup_is_found(holder: Holder, tmp_path: Path) -> None:
    """The root gives its place and keys; a deactivated one before it is found too."""
    with holder.open() as vault:
        vault.backup(tmp_path / "backup")
        vault.identities.create()
        vault.push()
        days(holder.net)
        vault.identities.deactivate()
        vault.push()
        vault.identities.create()
        days(holder.net)
        vault.identities.rotate()
        vault.push()
        known = vault.identities.all()
    restored, _ = holder.restore(tmp_path / "backup", "again")
    with restored as vault:
        vault.reconcile()
        assert vault.identities.all() == known
        days(holder.net)
        assert vault.identities.rotate().version == 3
        assert vault.push().complete


def test_attack_69_an_old_copy_is_fenced_off(holder: Holder, net: Net, tmp_path: Path) -> None:
    """After a restore the older copy publishes nothing; what it had published counts."""
    with holder.open() as vault:
        vault.identities.create()
        vault.push()
        vault.backup(tmp_path / "backup")
        days(net)
        vault.identities.rotate()
        vault.push()
    restored, again = holder.restore(tmp_path / "backup", "again")
    with restored as vault:
        vault.reconcile()
        assert vault.identities.current().version == 2
        with holder.open() as old:  # at once, before the new one has published anything
            days(net)
            old.identities.rotate()
            assert old.push().waiting == (("identity", "relay.epoch_superseded"),)
        third = vault.identities.rotate()
        assert vault.push().complete
    with again.open() as vault:
        assert vault.identities.current() == vault.identities.all()[0]
        assert net.fetch(third.url) == vault.identities.log()


def test_two_programs_publish_an_identity_at_once(holder: Holder, net: Net) -> None:
    """The one that comes second with an older log sends the newer; it is no other copy."""
    with holder.open() as vault, holder.open() as other:
        vault.identities.create()

        def quicker() -> None:
            net.clock.now += timedelta(seconds=2)
            other.identities.rotate()
            assert other.push().complete

        net.first = quicker
        assert vault.push().complete
        assert not vault.status().restoring
        assert vault.identities.current().version == 2
        assert vault.sync().problems == []


def test_two_copies_without_a_restore_are_noticed(holder: Holder, net: Net, tmp_path: Path) -> None:
    """The relay refuses the second history; that copy writes nothing before it has looked."""
    with holder.open() as vault:
        vault.identities.create()
        vault.push()
    shutil.copytree(holder.folder, tmp_path / "copy")
    days(net)
    with holder.open() as vault:
        vault.identities.rotate()
        vault.push()
        published = vault.identities.log()
    days(net)
    with Holder(tmp_path / "copy", holder.kit, net).open() as vault:
        vault.identities.rotate()
        assert vault.push().waiting == (("identity", "vault.other_copy"),)
        with pytest.raises(VaultError) as refused:
            vault.identities.rotate()
        assert refused.value.code == "vault.restoring"
        vault.reconcile()
        assert vault.identities.log() == published


def test_a_relay_that_shows_an_older_log_is_told(holder: Holder, net: Net) -> None:
    """What strangers are shown is compared with the receipt; the difference is evidence."""
    with holder.open() as vault:
        made = vault.identities.create()
        vault.push()
        older = net.fetch(made.url)
        days(net)
        vault.identities.rotate()
        vault.push()
        net.told["did.jsonl"] = older
        assert vault.sync().problems == [("relay.old_identity", made.did)]
        assert vault.evidence()[-1][1] == "relay.old_identity"


def test_a_relay_from_a_backup_is_given_the_log_again(
    holder: Holder, net: Net, tmp_path: Path
) -> None:
    """It shows no older keys meanwhile, and the next round brings it up to date."""
    with holder.open() as vault:
        made = vault.identities.create()
        vault.push()
        shutil.copytree(net.data, tmp_path / "copy")
        days(net)
        vault.identities.rotate()
        vault.push()
        net.stop()
        shutil.rmtree(net.data)
        shutil.copytree(tmp_path / "copy", net.data)
        mark_restored(net.data)
        net.start()
        client = vault._ctx.client(URL)
        place = made.url.split("/")[-2]
        with pytest.raises(RelayError) as waiting:
            client.identity(place)
        assert waiting.value.code == "relay.suspended"
        assert [code for code, _ in vault.sync().problems] == ["relay.new_log"]
        assert client.identity(place) == vault.identities.log()
        assert vault.sync().problems == []


def test_both_from_a_backup_go_on(holder: Holder, net: Net, tmp_path: Path) -> None:
    """The owner sees what its relay shows to nobody, and goes on from that."""
    with holder.open() as vault:
        vault.identities.create()
        vault.push()
        vault.backup(tmp_path / "backup")
        days(net)
        vault.identities.rotate()
        vault.push()
    net.stop()
    mark_restored(net.data)
    net.start()
    restored, _ = holder.restore(tmp_path / "backup", "again")
    with restored as vault:
        vault.reconcile()
        assert vault.identities.current().version == 2
        vault.sync()
        assert net.fetch(vault.identities.current().url) == vault.identities.log()


def test_a_relay_that_lost_an_identity_gets_it_again(
    holder: Holder, net: Net, tmp_path: Path
) -> None:
    """To a restored vault a relay that knows nothing is one to publish at anew."""
    with holder.open() as vault:
        made = vault.identities.create()
        vault.push()
        vault.backup(tmp_path / "backup")
    with net.app.extensions["relay"].store.write() as conn:
        conn.execute("DELETE FROM identities")
        conn.execute("DELETE FROM mailboxes")
    restored, _ = holder.restore(tmp_path / "backup", "again")
    with restored as vault:
        vault.reconcile()
        assert vault.identities.current().waits
        assert vault.push().complete
        assert net.fetch(made.url) == vault.identities.log()


@pytest.mark.parametrize("what", ["rubbish", "another", "cut"])
def test_a_restored_vault_takes_nothing_foreign(
    holder: Holder, net: Net, tmp_path: Path, what: str
) -> None:
    """A relay that shows rubbish or somebody else's log in the place of ours, or of one that the
    backup does not know, is noted; the vault keeps its own, and its restore ends."""
    with holder.open() as vault:
        vault.backup(tmp_path / "before")
        made = vault.identities.create()
        vault.push()
        vault.backup(tmp_path / "after")
        mine = vault.identities.log()
    Vault.create(
        tmp_path / "stranger",
        passphrase="four other words here",
        relay=URL,
        params=Argon2Params(memory_kib=65_536),
        clock=net.clock,
    )
    with Vault.open(
        tmp_path / "stranger", passphrase="four other words here", clock=net.clock
    ) as vault:
        Holder(tmp_path / "stranger", "", net).through(vault)
        vault.identities.create()
        foreign = vault.identities.log()
    net.told["/v1/identities/"] = {
        "rubbish": canonicalize(problem(RelayCode.BUSY)),
        "another": foreign,
        "cut": mine[:-1] + b"}\n",
    }[what]
    for backup, expected in (("before", []), ("after", [mine])):
        restored, _ = holder.restore(tmp_path / backup, backup + "-again")
        with restored as vault:
            vault.reconcile()
            assert [row.log for row in vault._ctx.identities.all()] == expected
            details = [line.detail for line in vault.activity() if line.kind == "problem"]
            assert {"code": "identity.foreign"} in details
            if expected:
                assert vault.identities.current().did == made.did
