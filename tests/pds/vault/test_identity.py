"""The public identity in the vault: keys from the root, announced before, replaced together."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from credentials.errors import ProofInvalid
from credentials.proof import VerifiedObject, verify_object
from credentials.webvh import PROOFS
from did.errors import DidError
from did.identifier import Did
from did.json import JsonObject
from did.keys import SigningKey
from did.methods import webvh
from did.resolve import Resolver
from pds.db import migrate, open_encrypted
from pds.net import NetError
from pds.vault import files
from pds.vault.errors import ClockWrong, IdentityError, VaultError
from pds.vault.keyslots import Argon2Params
from pds.vault.service import Vault

PASSPHRASE = "four unrelated words here"
QUICK = Argon2Params(memory_kib=65_536)
FOLDER = "https://example.com/people/alice"
START = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Holder:
    """A vault in a folder, and its clock. It opens by the kit, which costs nothing."""

    folder: Path
    kit: str
    clock: Clock

    def open(self) -> Vault:
        return Vault.open(self.folder, kit=self.kit, clock=self.clock)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("template") / "vault"
    kit = Vault.create(folder, passphrase=PASSPHRASE, params=QUICK, clock=lambda: START)
    return folder, kit


@pytest.fixture
def holder(template: tuple[Path, str], tmp_path: Path) -> Holder:
    """A vault without a relay."""
    folder, kit = template
    shutil.copytree(folder, tmp_path / "vault")
    return Holder(tmp_path / "vault", kit, Clock())


@pytest.fixture
def vault(holder: Holder) -> Iterator[Vault]:
    with holder.open() as opened:
        yield opened


def verify(signed: JsonObject, log: bytes, clock: Clock) -> VerifiedObject:
    """What somebody makes of a signature, with the log that is published."""
    resolver = Resolver(fetch=lambda _url: log, webvh_proofs=PROOFS, clock=clock)
    controller = str(signed["proof"]["verificationMethod"]).partition("#")[0]  # type: ignore[index,call-overload]
    return verify_object(
        signed, resolver=resolver, now=clock(), expected_controller=controller, exact_context=()
    )


def test_an_identity_begins_and_is_resolved(vault: Vault, holder: Holder) -> None:
    """Its document has one key that signs and one to agree with; the next one is announced."""
    made = vault.identities.create(folder=FOLDER)
    assert made.did.endswith(":example.com:people:alice")
    assert (made.url, made.relay, made.version) == (f"{FOLDER}/did.jsonl", None, 1)
    assert (made.waits, made.unchecked, made.deactivated) == (False, False, False)
    log = vault.identities.log()
    resolver = Resolver(fetch={made.url: log}.__getitem__, webvh_proofs=PROOFS, clock=holder.clock)
    document = resolver.resolve(made.did)
    (signing,) = document.relationship("assertionMethod")
    assert document.relationship("authentication") == (signing,)
    assert signing.id == made.key
    signing.ed25519()
    (agreement,) = document.relationship("keyAgreement")
    agreement.x25519()
    history = webvh.read_history(log, document.id, proofs=PROOFS, now=holder.clock())
    parameters = history.at().version.parameters
    assert parameters.portable
    assert len(parameters.update_keys) == len(parameters.next_key_hashes) == 1
    named = {m.public_key_multibase for m in document.verification_methods}
    assert named.isdisjoint(parameters.update_keys)


def test_new_keys_take_over(vault: Vault, holder: Holder) -> None:
    """Every key is replaced, the name stays, and an old key signs nothing more."""
    before = vault.identities.create(folder=FOLDER)
    old = vault.identities.sign({"type": "Note", "text": "before"})
    assert verify(old, vault.identities.log(), holder.clock).controller == before.did
    shown = [before]
    for version in (2, 3):
        holder.clock.now += timedelta(days=30)
        shown.append(vault.identities.rotate())
        assert (shown[-1].did, shown[-1].version) == (before.did, version)
    assert len({one.key for one in shown}) == 3
    log = vault.identities.log()
    history = webvh.read_history(log, Did.parse(before.did), proofs=PROOFS, now=holder.clock())
    assert history.fault is None
    keys = [version.parameters.update_keys for version in history.versions]
    assert len(set(keys)) == 3
    with pytest.raises(ProofInvalid) as refused:
        verify(old, log, holder.clock)
    assert refused.value.code == "key.unknown"
    new = vault.identities.sign({"type": "Note", "text": "after"})
    assert verify(new, log, holder.clock).verification_method == shown[-1].key


def test_versions_within_one_second_and_a_clock_set_back(vault: Vault, holder: Holder) -> None:
    """Two versions never bear one second; a clock far behind the last one signs nothing."""
    first = vault.identities.create(folder=FOLDER)
    second = vault.identities.rotate()
    assert second.updated - first.updated == timedelta(seconds=1)
    for _ in range(59):
        vault.identities.rotate()
    with pytest.raises(ClockWrong) as refused:
        vault.identities.rotate()
    assert refused.value.code == "vault.clock_back"
    holder.clock.now -= timedelta(minutes=5)
    with pytest.raises(ClockWrong):
        vault.identities.sign({"type": "Note"})
    assert vault.identities.current().version == 61


def test_a_deactivated_identity_signs_nothing(vault: Vault, holder: Holder) -> None:
    """The last entry has no keys; nothing follows it, and another identity can begin."""
    vault.identities.create(folder=FOLDER)
    holder.clock.now += timedelta(days=1)
    over = vault.identities.deactivate()
    assert (over.version, over.key, over.deactivated) == (2, None, True)
    for act in (
        vault.identities.rotate,
        vault.identities.deactivate,
        lambda: vault.identities.sign({"type": "Note"}),
    ):
        with pytest.raises(IdentityError) as refused:
            act()
        assert refused.value.code == "identity.deactivated"
    log = vault.identities.log()
    found = webvh.read_history(log, Did.parse(over.did), proofs=PROOFS, now=holder.clock()).at()
    assert found.deactivated
    assert found.document.verification_methods == ()
    assert found.version.parameters.next_key_hashes == ()
    another = vault.identities.create(folder=FOLDER)
    assert another.did != over.did
    assert [one.deactivated for one in vault.identities.all()] == [True, False]


def test_there_is_one_at_a_time_and_none_at_first(vault: Vault) -> None:
    """Verbs say that there is none, or that there is one already."""
    for act in (vault.identities.current, vault.identities.log, vault.identities.rotate):
        with pytest.raises(IdentityError) as refused:
            act()
        assert refused.value.code == "identity.none"
    vault.identities.create(folder=FOLDER)
    with pytest.raises(IdentityError) as refused:
        vault.identities.create(folder="https://example.org/")
    assert refused.value.code == "identity.exists"


@pytest.mark.parametrize(
    "folder",
    [
        "http://example.com/people",
        "https://127.0.0.1/people",
        "https://localhost/people",
        "https://alice@example.com/people",
        "https://example.com/people?a=b",
        "https://example.com/people#a",
        "https://example.com/a/../b",
        "https://example.com//b",
        "https://example.com/%41",
        "https://example.com:0/a",
        "https://example.com:70000/a",
        "https://[::1/a",
        "example.com/people",
        "",
    ],
)
def test_places_that_no_did_leads_to_are_refused(vault: Vault, folder: str) -> None:
    """https and a name, a folder in plain letters; nothing is kept of a refused one."""
    with pytest.raises(IdentityError) as refused:
        vault.identities.create(folder=folder)
    assert refused.value.code == "identity.place"
    assert folder not in str(refused.value) or not folder
    assert vault.identities.all() == []


@pytest.mark.parametrize(
    ("folder", "did", "url"),
    [
        ("https://example.com", ":example.com", "https://example.com/.well-known/did.jsonl"),
        ("https://Example.com/", ":example.com", "https://example.com/.well-known/did.jsonl"),
        ("https://a.example:8443/b/", ":a.example%3A8443:b", "https://a.example:8443/b/did.jsonl"),
    ],
)
def test_places_that_a_did_leads_to(vault: Vault, folder: str, did: str, url: str) -> None:
    """The root of a host, and a port, have their forms."""
    made = vault.identities.create(folder=folder)
    assert made.did.endswith(did)
    assert made.url == url


def test_a_vault_without_a_relay_hosts_nowhere(vault: Vault) -> None:
    """Without a place of one's own a relay is needed."""
    with pytest.raises(VaultError) as refused:
        vault.identities.create()
    assert refused.value.code == "vault.no_relay"


def test_keys_come_back_from_a_backup_and_its_kit(holder: Holder, tmp_path: Path) -> None:
    """A restored vault that cannot see what was published changes nothing before it is given it;
    then it goes on, with keys derived anew."""
    with holder.open() as vault:
        vault.identities.create(folder=FOLDER)
        vault.backup(tmp_path / "backup")
        holder.clock.now += timedelta(days=1)
        since = vault.identities.rotate()
        published = vault.identities.log()
    other = Vault.restore(
        tmp_path / "backup", tmp_path / "again", kit=holder.kit, clock=holder.clock
    )
    with other as vault:
        with pytest.raises(VaultError) as refused:
            vault.identities.rotate()
        assert refused.value.code == "vault.restoring"
        vault._ctx.transport = Away()  # type: ignore[assignment]
        vault.reconcile()
        shown = vault.identities.current()
        assert (shown.version, shown.unchecked) == (1, True)
        holder.clock.now += timedelta(days=1)
        with pytest.raises(IdentityError) as unchecked:
            vault.identities.rotate()
        assert (unchecked.value.code, unchecked.value.exit_code) == ("identity.unchecked", 4)
        assert vault.identities.recover(published) == since
        assert vault.identities.rotate().version == 3
        log = vault.identities.log()
        assert log.startswith(published)
        vault._ctx.transport.fetch = lambda _url: published  # type: ignore[method-assign]
        assert vault.identities.recover(published).version == 3  # it has more than that


def test_a_restored_vault_looks_before_it_changes(holder: Holder, tmp_path: Path) -> None:
    """As soon as the web server can be reached, its log is taken."""
    with holder.open() as vault:
        vault.identities.create(folder=FOLDER)
        vault.backup(tmp_path / "backup")
        holder.clock.now += timedelta(days=1)
        vault.identities.rotate()
        published = vault.identities.log()
    with Vault.restore(
        tmp_path / "backup", tmp_path / "again", kit=holder.kit, clock=holder.clock
    ) as vault:
        vault._ctx.transport = Away()  # type: ignore[assignment]
        vault.reconcile()
        vault._ctx.transport.fetch = lambda _url: published  # type: ignore[method-assign]
        holder.clock.now += timedelta(days=1)
        shown = vault.identities.rotate()
        assert (shown.version, shown.unchecked) == (3, False)
        assert vault.identities.log().startswith(published)


def test_a_log_that_is_not_ours_is_not_taken(
    holder: Holder, template: tuple[Path, str], tmp_path: Path
) -> None:
    """Rubbish, a log of another name by the same keys, and one with something around it."""
    shutil.copytree(template[0], tmp_path / "other")
    stranger = Holder(tmp_path / "other", template[1], holder.clock)
    with stranger.open() as vault:  # the same root, so the same keys, but another name
        vault.identities.create(folder="https://example.org/")
        holder.clock.now += timedelta(days=1)
        vault.identities.rotate()
        foreign = vault.identities.log()
    with holder.open() as vault:
        before = vault.identities.create(folder=FOLDER)
        mine = vault.identities.log()
        did = Did.parse(before.did)
        key = SigningKey.generate()
        log = webvh.read_log(mine, did, proofs=PROOFS, now=holder.clock())
        with pytest.raises(DidError):  # nobody without the announced key can go on
            webvh.update(log, key=key, proofs=PROOFS, now=holder.clock() + timedelta(days=1),
                         parameters={"updateKeys": [key.verify_key.multikey],
                                     "nextKeyHashes": []})  # fmt: skip
        for raw in (b"{}\n", foreign, mine + b"{}\n", mine + mine, b"x" + mine):
            with pytest.raises(IdentityError) as refused:
                vault.identities.recover(raw)
            assert refused.value.code == "identity.foreign"
        assert vault.identities.log() == mine


@pytest.mark.parametrize("word", ["people", "2-Qm"])
def test_a_damaged_row_is_noticed(vault: Vault, holder: Holder, word: str) -> None:
    """The vault verifies its own log, the first entry and the last, before it goes on from it."""
    vault.identities.create(folder=FOLDER)
    vault.identities.rotate()
    vault._ctx.conn.execute(
        "UPDATE identity SET log = CAST(replace(log, ?, 'damaged') AS BLOB)", (word,)
    )
    holder.clock.now += timedelta(days=1)
    with pytest.raises(VaultError) as refused:
        vault.identities.rotate()
    assert refused.value.code == "vault.damaged"


def test_a_vault_of_before_gets_its_table(holder: Holder, tmp_path: Path) -> None:
    """The migration works on a file made by the version before."""
    data_key = files.unlock(holder.folder, kit=holder.kit)
    old = tmp_path / "old.db"
    conn = open_encrypted(old, data_key.derive("database"), create=True)
    migrate(conn, files.MIGRATIONS[:1], application_id=files.APPLICATION_ID)
    migrate(conn, files.MIGRATIONS, application_id=files.APPLICATION_ID)
    assert conn.execute("SELECT count(*) FROM identity").fetchone()[0] == 0
    conn.close()


class Away:
    """A network without anybody."""

    def fetch(self, url: str) -> bytes:
        raise NetError("the server cannot be reached", exit_code=4)

    def close(self) -> None:
        """Nothing is open."""
