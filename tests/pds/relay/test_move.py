"""A relay moves from its file to a PostgreSQL and back, and everybody goes on."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from relay_world import ENGINE, FILE_ONLY, URL, World, close, flask_send

from pds.db import Sql
from pds.relay.app import create_app
from pds.relay.errors import RelayError
from pds.relay.move import back_up, move
from pds.relay.restore import mark_restored
from pds.relay.store import Store, log, transfer
from pds.relay.store.engines import Engine, SqliteEngine, open_engine

if TYPE_CHECKING:
    from postgres import Cluster


@pytest.fixture
def conninfo(postgres: "Cluster") -> Iterator[str]:
    with postgres.schema() as found:
        yield found


def _open(world: World, data: Path, database: str | None) -> None:
    app = create_app(data, url=URL, clock=world.clock, database=database)
    world.app, world.send = app, flask_send(app)


def _rows(data: Path, database: str | None) -> dict[str, list[dict[str, object]]]:
    """Every row of every table, but for the fact that it moved."""
    engine = open_engine(data / "relay.db", database)
    with engine.read() as conn:
        found = {
            table: sorted(map(dict, conn.execute(f"SELECT * FROM {table}")), key=repr)
            for table in transfer.TABLES
        }
    engine.close()
    found["facts"] = [row for row in found["facts"] if row["name"] != "moved"]
    return found


def _fill(world: World) -> tuple[str, dict[str, object]]:
    """Something in every table."""
    package, ticket = world.ready(max_uses=3)
    assert world.redeem(ticket).status == 200
    _, secret = world.capability()
    world.deposit(secret, b"an envelope")
    return package, ticket


@FILE_ONLY
def test_every_table_is_carried(data: Path, world: World) -> None:
    """The list that is copied is the list of tables."""
    with world.app.extensions["relay"].store.read() as conn:
        tables = {
            row["name"]
            for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not row["name"].startswith("sqlite_")
        }
    assert tables == set(transfer.TABLES)


@FILE_ONLY
def test_there_and_back(data: Path, world: World, conninfo: str) -> None:
    """The same rows, the same log, the same counts: nobody outside notices."""
    _, ticket = _fill(world)
    close(world)
    before = _rows(data, None)
    assert sum(move(data, source=None, target=conninfo).values()) > 10
    assert _rows(data, conninfo) == before

    _open(world, data, conninfo)
    reply = world.redeem(ticket)
    assert reply.status == 200
    world.verify(reply.json["receipt"])
    _, secret = world.capability()
    world.verify(world.deposit(secret, b"another").json)
    close(world)
    with pytest.raises(RelayError) as refused:
        create_app(data, url=URL, clock=world.clock)
    assert refused.value.code == "relay.moved"

    # Back into a folder whose old file was put away.
    (data / "relay.db").rename(data.parent / "old.db")
    before = _rows(data, conninfo)
    move(data, source=conninfo, target=None)
    assert _rows(data, None) == before
    _open(world, data, None)
    assert world.redeem(ticket).status == 200
    assert world.redeem(ticket).code == "relay.used_up"


@FILE_ONLY
def test_what_is_in_the_way_is_refused(data: Path, world: World, conninfo: str) -> None:
    """Another relay at the target, the same place, no relay, a relay that has moved already."""
    _fill(world)
    close(world)
    other = data.parent / "other"
    create_app(other, url="https://other.example", database=conninfo).extensions[
        "relay"
    ].store.close()
    for source, target, code in (
        (None, conninfo, "relay.target_in_use"),
        (None, None, "relay.settings"),
    ):
        with pytest.raises(RelayError) as refused:
            move(data, source=source, target=target)
        assert refused.value.code == code
    with pytest.raises(RelayError) as refused:
        move(data.parent / "nothing", source=None, target=conninfo)
    assert refused.value.code == "relay.no_data"
    _open(world, data, None)  # nothing has happened


@FILE_ONLY
def test_a_move_that_was_interrupted_is_finished(
    data: Path, world: World, conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle nothing has come; killed before the last word, the next call says it."""
    _, ticket = _fill(world)
    close(world)

    class Killed(Exception):
        pass

    def die(source: Sql, target: Sql, engine: Engine) -> dict[str, int]:
        whole(source, target, engine)
        raise Killed

    whole = transfer.carry_over
    with monkeypatch.context() as patch:
        patch.setattr(transfer, "carry_over", die)
        with pytest.raises(Killed):
            move(data, source=None, target=conninfo)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteEngine, "commit", lambda _: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            move(data, source=None, target=conninfo)
    assert move(data, source=None, target=conninfo) == {}
    _open(world, data, conninfo)
    assert world.redeem(ticket).status == 200


@FILE_ONLY
def test_what_did_not_arrive_is_noticed(
    data: Path, world: World, conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row or a node that is lost on the way undoes the move."""
    _fill(world)
    close(world)
    whole = transfer.carry_over
    for statement in (
        "DELETE FROM challenges",
        "UPDATE log_nodes SET hash = log_nodes.hash || log_nodes.hash",
        "UPDATE mailboxes SET held = held + 1",
    ):

        def lose(source: Sql, target: Sql, engine: Engine, sql: str = statement) -> dict[str, int]:
            counts = whole(source, target, engine)
            target.execute(sql)
            return counts

        with monkeypatch.context() as patch:
            patch.setattr(transfer, "carry_over", lose)
            with pytest.raises(RelayError) as refused:
                move(data, source=None, target=conninfo)
        assert refused.value.code == "relay.incomplete"
    store = Store(open_engine(data, conninfo))
    with store.read() as conn:
        assert log.fact(conn, "url") is None
    store.close()
    _open(world, data, None)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
def test_a_backup_of_a_running_relay(data: Path, world: World, tmp_path: Path) -> None:
    """Made while the relay works, of either engine; started again it waits for the owners."""
    package, ticket = _fill(world)
    folder = tmp_path / "backups" / "today"
    counts = back_up(data, folder, database=ENGINE.database)
    assert counts["packages"] == 1
    assert {path.name for path in folder.iterdir()} == {"relay.db", "log-key"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "log-key").stat().st_mode) == 0o600
    with pytest.raises(RelayError) as refused:
        back_up(data, folder, database=ENGINE.database)
    assert refused.value.code == "relay.target_in_use"
    assert world.redeem(ticket).status == 200  # it went on

    mark_restored(folder)
    world.app.extensions["relay"].store.close()
    _open(world, folder, None)
    assert world.redeem(ticket).code == "relay.suspended"
    assert world.call("GET", f"/v1/packages/{package}").json["uses"] == 1


@FILE_ONLY
def test_a_backup_that_fails_leaves_nothing(
    data: Path, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half of a folder lies about."""
    _fill(world)
    monkeypatch.setattr(transfer, "differences", lambda *_: ["packages"])
    with pytest.raises(RelayError) as refused:
        back_up(data, tmp_path / "b" / "today")
    assert refused.value.code == "relay.incomplete"
    assert list((tmp_path / "b").iterdir()) == []


@FILE_ONLY
def test_no_relay_begins_anew_beside_one_that_is_elsewhere(
    data: Path, world: World, conninfo: str
) -> None:
    """A database that was named too early, not at all, or wrongly: it would count from nothing."""
    _, ticket = _fill(world)
    close(world)

    def refused(database: str | None) -> str:
        with pytest.raises(RelayError) as error:
            create_app(data, url=URL, clock=world.clock, database=database)
        assert error.value.code == "relay.elsewhere"
        return error.value.hint

    assert "migrate" in refused(conninfo)
    (data / "relay.db").rename(data.parent / "away.db")
    assert "right one" in refused(conninfo)
    assert "PostgreSQL" in refused(None)
    # Nothing was made, and nothing is in the way of putting it right.
    (data.parent / "away.db").rename(data / "relay.db")
    move(data, source=None, target=conninfo)
    _open(world, data, conninfo)
    assert world.redeem(ticket).status == 200
