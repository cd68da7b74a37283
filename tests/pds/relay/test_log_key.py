"""The log of a relay gets another key: whole or not at all, on both engines."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from relay_world import ENGINE, URL, World, close, flask_send

from did.keys import VerifyKey
from pds.errors import PdsError
from pds.log.checkpoint import open_checkpoint
from pds.log.entry import verify_receipt
from pds.log.keys import LogKeys
from pds.log.succession import follow, read_successions
from pds.relay import rotation
from pds.relay.app import create_app
from pds.relay.errors import RelayError
from pds.relay.folder import LOG_KEY, NEXT_KEY
from pds.relay.move import back_up
from pds.relay.restore import mark_restored
from pds.relay.rotation import rotate_log_key
from pds.serve.run import locked


def _start(world: World, data: Path) -> None:
    """The relay of the folder again."""
    app = create_app(data, url=URL, clock=world.clock, database=ENGINE.database)
    world.app, world.send = app, flask_send(app)


def _rotate(world: World, data: Path) -> None:
    rotate_log_key(data, database=ENGINE.database, clock=world.clock)


def _key(world: World) -> VerifyKey:
    return VerifyKey.from_multikey(world.get("/v1/relay").json["logKey"])


@contextmanager
def _stopped(world: World, data: Path) -> Iterator[None]:
    close(world)
    yield
    _start(world, data)


def test_the_new_key_goes_on_with_the_same_log(data: Path, world: World) -> None:
    """Origin, entries and receipts stay; both keys have signed the change, which is in the log."""
    _, ticket = world.ready(max_uses=2)
    before = world.redeem(ticket).json["receipt"]
    old, origin = _key(world), world.get("/v1/relay").json["logOrigin"]
    assert world.get("/v1/log/keys").json == {"successions": []}
    with _stopped(world, data):
        _rotate(world, data)
    new = _key(world)
    assert new != old
    assert world.get("/v1/relay").json["logOrigin"] == origin
    (line,) = follow(old, read_successions(world.get("/v1/log/keys").json))
    assert line.succession.new == new
    after = world.redeem(ticket).json["receipt"]
    keys = LogKeys(new, (line.succession,))
    for receipt in (before, after):
        verify_receipt(receipt, origin=origin, log_key=keys)
    with pytest.raises(PdsError) as refused:
        verify_receipt(after, origin=origin, log_key=old)
    assert refused.value.code == "log.signature"


def test_one_change_after_another(data: Path, world: World) -> None:
    """Each is there to be followed, from any key of before; also the first in an empty log."""
    keys = [_key(world)]
    for _ in range(3):
        with _stopped(world, data):
            _rotate(world, data)
        keys.append(_key(world))
    shown = read_successions(world.get("/v1/log/keys").json)
    for place, pinned in enumerate(keys):
        assert [one.succession.new for one in follow(pinned, shown)] == keys[place + 1 :]
    assert not (data / NEXT_KEY).exists()


@pytest.mark.parametrize(
    ("step", "happened"),
    [
        ("next_key", False),
        ("sign_succession", False),
        ("Sealer", False),
        ("take_next_key", True),
    ],
)
def test_stopped_at_a_step(
    data: Path, world: World, monkeypatch: pytest.MonkeyPatch, step: str, happened: bool
) -> None:
    """Whatever it was, there is one key afterwards, and the command can be given again."""
    old = _key(world)
    close(world)
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise ConnectionAbortedError

        broken.setattr(rotation, step, fail)
        with pytest.raises(ConnectionAbortedError):
            _rotate(world, data)
    if happened:
        # Given again it only finishes; so does the relay when it starts.
        before = (data / NEXT_KEY).read_bytes()
        _rotate(world, data)
        assert (data / LOG_KEY).read_bytes() == before
        _start(world, data)
        assert len(world.get("/v1/log/keys").json["successions"]) == 1
    else:
        _start(world, data)
        assert _key(world) == old
        assert world.get("/v1/log/keys").json == {"successions": []}
        with _stopped(world, data):
            _rotate(world, data)
    assert _key(world) != old
    assert not (data / NEXT_KEY).exists()


_CHILD = """
import os, signal, sys
from pathlib import Path
from pds.relay import folder, rotation
from pds.relay.store import engines

at, database = int(sys.argv[2]), sys.argv[3] or None
calls = 0

def deadly(real):
    def run(*given, **named):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **named)
    return run

for place, name in (
    (folder, "write_once"), (folder, "sync_folder"), (os, "link"), (os, "fsync"), (Path, "replace"),
    (rotation, "sign_succession"), (rotation.log, "add_entries"), (rotation.log, "set_fact"),
    (rotation.log, "add_succession"), (rotation.log, "keep_receipts"), (rotation.log, "grow"),
    (engines.SqliteEngine, "commit"), (engines.PostgresEngine, "commit"),
    (engines.SqliteEngine, "close"), (engines.PostgresEngine, "close"),
):
    setattr(place, name, deadly(getattr(place, name)))
rotation.rotate_log_key(Path(sys.argv[1]), database=database)
"""


def test_killed_at_any_moment(data: Path, world: World) -> None:
    """SIGKILL before each write: the relay starts with the old key and no change, or with the new
    one and the whole change; and goes on."""
    world.ready()
    outcomes: list[bool] = []
    for at in range(1, 40):
        old, before = _key(world), len(world.get("/v1/log/keys").json["successions"])
        close(world)
        child = subprocess.run(
            [sys.executable, "-c", _CHILD, str(data), str(at), ENGINE.database or ""],
            check=False,
            capture_output=True,
        )
        _start(world, data)
        shown = read_successions(world.get("/v1/log/keys").json)
        changed = _key(world) != old
        assert len(shown) - before == changed
        assert [one.succession.new for one in follow(old, shown)] == [_key(world)][:changed]
        assert world.get("/v1/log/checkpoint").body
        open_checkpoint(
            world.get("/v1/log/checkpoint").body.decode(),
            origin=world.get("/v1/relay").json["logOrigin"],
            key=_key(world),
        )
        assert not changed or not (data / NEXT_KEY).exists()
        if child.returncode == 0:
            break
        assert child.returncode == -9, child.stderr.decode()
        outcomes.append(changed)
    assert True in outcomes
    assert False in outcomes
    assert at < 39


def test_not_while_it_runs(data: Path, world: World) -> None:
    """The folder's lock is that of a relay that serves."""
    close(world)
    with locked(data), pytest.raises(PdsError) as refused:
        _rotate(world, data)
    assert refused.value.code == "serve.data_in_use"
    _start(world, data)
    assert world.get("/v1/log/keys").json == {"successions": []}


def test_a_process_with_the_old_key_signs_no_more(data: Path, world: World) -> None:
    """One that the lock did not stop, as on another machine: nothing is logged, stamped, or told,
    until it has the new key."""
    _, ticket = world.ready(max_uses=2)
    assert world.redeem(ticket).status == 200
    size = world.get("/v1/log/checkpoint").body.split(b"\n")[1]
    _rotate(world, data)
    for reply in (
        world.redeem(ticket),
        world.get("/v1/relay"),
        world.get("/.well-known/did.json"),
        world.get(f"/v1/status/{world.list_id}"),
        world.get("/readyz"),
    ):
        assert (reply.status, reply.code) == (503, "relay.busy")
    note = world.get("/v1/log/checkpoint").body.decode()
    assert int(note.split("\n")[1]) == int(size) + 1
    with _stopped(world, data):
        pass
    assert world.redeem(ticket).status == 200
    assert world.get("/readyz").status == 200


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_another_machine_wants_the_new_key(data: Path, world: World, tmp_path: Path) -> None:
    """A folder with the old key does not start; with a copy of the new one it does. (Of a file
    there is one machine.)"""
    close(world)
    other = tmp_path / "other"
    other.mkdir()
    (other / LOG_KEY).write_bytes((data / LOG_KEY).read_bytes())
    _rotate(world, data)
    with pytest.raises(RelayError) as refused:
        _start(world, other)
    assert refused.value.code == "relay.log_key"
    (other / LOG_KEY).write_bytes((data / LOG_KEY).read_bytes())
    _start(world, other)
    assert world.get("/v1/relay").status == 200


def test_a_leftover_key_is_not_taken_for_the_log_s(data: Path, world: World) -> None:
    """The database names one key: another in its place is refused, whatever lies beside it."""
    close(world)
    right = (data / LOG_KEY).read_bytes()
    (data / LOG_KEY).write_bytes(bytes(32))
    (data / NEXT_KEY).write_bytes(b"x" * 32)
    with pytest.raises(RelayError) as refused:
        _start(world, data)
    assert refused.value.code == "relay.log_key"
    assert (data / NEXT_KEY).exists()
    (data / LOG_KEY).write_bytes(right)
    _start(world, data)


def test_backup_and_restore_of_a_changed_relay(data: Path, world: World, tmp_path: Path) -> None:
    """A backup holds the new key and all changes; a restored relay begins a new log under it."""
    world.ready()
    old = _key(world)
    with _stopped(world, data):
        _rotate(world, data)
    new, keys = _key(world), world.get("/v1/log/keys").json
    close(world)
    copy = tmp_path / "copy"
    back_up(data, copy, database=ENGINE.database)
    origin = mark_restored(copy)
    app = create_app(copy, url=URL, clock=world.clock)
    world.app, world.send = app, flask_send(app)
    assert (world.get("/v1/relay").json["logOrigin"], _key(world)) == (origin, new)
    assert world.get("/v1/log/keys").json == keys
    assert follow(old, read_successions(keys))[-1].succession.new == new


def test_a_backup_of_before_comes_back(data: Path, world: World, tmp_path: Path) -> None:
    """With the new key and what the relay showed of the change, everybody can go on; without one of
    them it does not start under a key that nobody believes."""
    world.ready()
    first, copy = _key(world), tmp_path / "copy"
    close(world)
    back_up(data, copy, database=ENGINE.database)
    for _ in range(2):
        _rotate(world, data)
    _start(world, data)
    new, keys = _key(world), world.get("/v1/log/keys").json
    close(world)
    (copy / LOG_KEY).write_bytes((data / LOG_KEY).read_bytes())
    for shown in (None, {"successions": []}, {"successions": keys["successions"][:1]}):
        with pytest.raises(RelayError) as refused:
            mark_restored(copy, keys=shown)
        assert refused.value.code == "relay.log_key"
    with pytest.raises(PdsError) as broken:
        mark_restored(copy, keys={"successions": [{}]})
    assert broken.value.code == "log.receipt"
    origin = mark_restored(copy, keys=keys)
    app = create_app(copy, url=URL, clock=world.clock)
    world.app, world.send = app, flask_send(app)
    assert (world.get("/v1/relay").json["logOrigin"], _key(world)) == (origin, new)
    assert world.get("/v1/log/keys").json == keys
    assert follow(first, read_successions(keys))[-1].succession.new == new
    assert world.put_status(world.status_list(sequence=2)).status == 200
    close(world)
    rotate_log_key(copy, clock=world.clock)
    app = create_app(copy, url=URL, clock=world.clock)
    world.app, world.send = app, flask_send(app)
    assert len(read_successions(world.get("/v1/log/keys").json)) == 3


@pytest.mark.parametrize("present", [True, False])
def test_no_relay_no_change(tmp_path: Path, present: bool) -> None:
    """An empty folder, and none, stay as they are."""
    folder = tmp_path / "nothing"
    if present:
        folder.mkdir()
    with pytest.raises(RelayError) as refused:
        rotate_log_key(folder)
    assert refused.value.code == "relay.no_data"
    assert list(tmp_path.glob("nothing/*")) == []
