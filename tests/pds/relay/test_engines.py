"""What both engines promise, with several processes' worth of relays on one database."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from leaving_out import left_out
from relay_world import ENGINE, URL, Clock, InProcess, Reply, World, close, flask_send, watch_queue

from did.json import JsonObject
from did.keys import VerifyKey
from pds.db import DbError, Sql
from pds.log import Monitor
from pds.mailbox import RelayClient
from pds.relay.app import create_app
from pds.relay.store import Store, log
from pds.relay.store.engines import PostgresEngine, SqliteEngine, open_engine
from pds.relay.store.schema import MIGRATIONS
from pds.relay.store.schema_postgres import POSTGRES_MIGRATIONS

if TYPE_CHECKING:
    from postgres import Cluster


@pytest.fixture
def workers(world: World, data: Path) -> Iterator[list[World]]:
    """Three relays on one database, as workers of one relay are; the same people at each."""
    made = [world]
    for _ in range(2):
        app = create_app(data, url=URL, clock=world.clock, database=ENGINE.database)
        made.append(
            World(
                send=flask_send(app),
                clock=world.clock,
                app=app,
                holder=world.holder,
                owner=world.owner,
                company=world.company,
                mailbox=world.mailbox,
                list_id=world.list_id,
            )
        )
    yield made
    for each in made[1:]:
        close(each)


def _columns(conn: Sql, engine: str) -> dict[str, set[str]]:
    if engine == "sqlite":
        return {
            row["name"]: {column["name"] for column in conn.execute(f"PRAGMA table_info({row[0]})")}
            for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    found: dict[str, set[str]] = {}
    for row in conn.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema()"
    ):
        found.setdefault(row[0], set()).add(row[1])
    found.pop("pds_schema")
    return found


def test_both_engines_have_the_same_tables(tmp_path: Path, postgres: "Cluster") -> None:
    """Table by table and column by column, at the same number."""
    assert MIGRATIONS[-1].version == POSTGRES_MIGRATIONS[-1].version
    with postgres.schema() as conninfo:
        stores = Store(SqliteEngine(tmp_path / "relay.db")), Store(PostgresEngine(conninfo))
        found = []
        for store in stores:
            with store.read() as conn:
                found.append(_columns(conn, store.engine.name))
            store.close()
    assert found[0] == found[1]


def test_workers_share_one_log(workers: list[World]) -> None:
    """Whoever appends, the tree grows by one history, and every receipt is of it."""
    first = workers[0]
    _, ticket = first.ready(max_uses=100)
    info = first.get("/v1/relay").json
    monitor = Monitor(origin=info["logOrigin"], key=VerifyKey.from_multikey(info["logKey"]))
    indexes: list[int] = []
    for turn in range(12):
        receipt = workers[turn % 3].redeem(ticket).json["receipt"]
        size = first.verify(receipt).checkpoint.size
        indexes.append(receipt["leafIndex"])
        # Another worker shows that the tree grew out of the one before.
        other = workers[(turn + 1) % 3]
        client = RelayClient(URL, InProcess(other), clock=other.clock)
        assert client.checkpoint() == receipt["checkpoint"]
        seen = 0 if monitor.state is None else monitor.state.size
        monitor.advance(receipt["checkpoint"], client.consistency(seen, size) if seen else [])
    assert indexes == list(range(indexes[0], indexes[0] + 12))


def test_a_single_use_has_one_winner_whoever_is_asked(workers: list[World]) -> None:
    """A hundred presentations at once at three workers: one is answered, all others used up."""
    _, ticket = workers[0].ready(max_uses=1)
    shots = [(workers[n % 3], workers[0].presentation(ticket)) for n in range(100)]
    replies: list[Reply] = []
    start = threading.Barrier(10)

    def fire(mine: list[tuple[World, JsonObject]]) -> None:
        start.wait(20)
        replies.extend(world.present(presentation) for world, presentation in mine)

    threads = [threading.Thread(target=fire, args=(shots[n::10],)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [reply.status for reply in replies].count(200) == 1
    assert {reply.code for reply in replies if reply.status != 200} == {"relay.used_up"}
    assert len(replies) == 100


def test_a_presentation_counts_once_whoever_is_asked(workers: list[World]) -> None:
    """The same one at every worker: one answer, then replays."""
    _, ticket = workers[0].ready(max_uses=50)
    presentation = workers[0].presentation(ticket)
    codes = [world.present(presentation).status for world in workers]
    assert codes == [200, 409, 409]


def test_a_batch_gives_every_act_its_own_receipt(world: World) -> None:
    """Acts that share a commit share a checkpoint, and each receipt verifies."""
    world.ready()
    relay = world.app.extensions["relay"]
    _, secret = world.capability(envelopes=100)
    replies: list[Reply] = []

    def deposit(number: int) -> None:
        replies.append(world.deposit(secret, b"%d" % number))

    threads = [threading.Thread(target=deposit, args=(number,)) for number in range(12)]
    with relay.store.write():
        queue = watch_queue(relay.store)
        for thread in threads:
            thread.start()
        queue.wait_for(12)
    for thread in threads:
        thread.join(60)
    receipts = [world.verify(reply.json) for reply in replies]
    assert len({receipt.receipt.leaf_index for receipt in receipts}) == 12
    assert len({receipt.receipt.checkpoint for receipt in receipts}) < 12


def test_an_act_that_fails_leaves_no_leaf(world: World) -> None:
    """What was appended and taken back is not in the tree, and nothing is missing around it."""
    world.ready()
    relay = world.app.extensions["relay"]

    def fail() -> None:
        with relay.write() as act:
            relay.log(act, {"type": "end", "package": "x"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with relay.store.read() as conn:
        size = log.current(conn).size
        count = conn.execute("SELECT count(*) FROM log_entries").fetchone()[0]
    assert size == count == 2
    _, secret = world.capability()
    assert world.verify(world.deposit(secret, b"x").json).checkpoint.size == 3


def test_a_repeat_within_a_batch_gets_the_same_receipt(world: World) -> None:
    """The first call has not been committed when the second one asks."""
    world.ready()
    relay = world.app.extensions["relay"]
    _, secret = world.capability()
    replies: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: replies.append(world.deposit(secret, b"same").body))
        for _ in range(4)
    ]
    with relay.store.write():
        queue = watch_queue(relay.store)
        for thread in threads:
            thread.start()
        queue.wait_for(4)
    for thread in threads:
        thread.join(60)
    assert len(replies) == 4
    assert len(set(replies)) == 1


# --- PostgreSQL alone


def test_a_server_that_restarts_is_found_again(tmp_path: Path) -> None:
    """While it is away calls answer 503 and change nothing; afterwards they work, by themselves."""
    from postgres import Cluster, Missing

    try:
        cluster = Cluster(durable=True)
    except Missing as missing:
        left_out(f"a PostgreSQL ({missing})")
    try:
        app = create_app(tmp_path / "r", url=URL, clock=Clock(), database=cluster.conninfo())
        world = World(send=flask_send(app), clock=app.extensions["relay"].clock, app=app)
        _, ticket = world.ready(max_uses=5)
        assert world.redeem(ticket).status == 200
        late = world.presentation(ticket)
        cluster.kill()
        away = world.present(late)
        assert (away.status, away.code) == (503, "relay.busy")
        cluster.start()
        assert world.present(late).status == 200
        assert world.redeem(ticket).status == 200
        with app.extensions["relay"].store.read() as conn:
            assert conn.execute("SELECT uses FROM packages").fetchone()[0] == 3
        close(world)
    finally:
        cluster.close()


def test_a_session_that_breaks_is_no_broken_disk(postgres: "Cluster") -> None:
    """Everybody in the batch is told to come again, not only who met the broken session."""
    import psycopg

    codes: list[str] = []
    with postgres.schema() as conninfo, psycopg.connect(conninfo, autocommit=True) as raw:
        store = Store(PostgresEngine(conninfo))

        def lead() -> None:
            with store.write():
                queue = watch_queue(store)
                other.start()
                queue.wait_for(1)

        def break_it() -> None:
            with store.write() as conn:
                pid = conn.execute("SELECT pg_backend_pid()").fetchone()[0]
                raw.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
                conn.execute("SELECT 1")

        def act(how: Callable[[], None]) -> None:
            with pytest.raises(DbError) as refused:
                how()
            codes.append(refused.value.code)

        other = threading.Thread(target=act, args=(break_it,))
        act(lead)
        other.join(20)
        assert codes == ["db.away"] * 2
        with store.write() as conn:
            assert conn.execute("SELECT 1").fetchone()[0] == 1
        store.close()


def test_what_cannot_be_used_is_refused(tmp_path: Path, postgres: "Cluster") -> None:
    """Another program's tables, a newer release's, an address that is none, a server that is
    not there: each has its code, and nothing is written."""
    with postgres.schema() as conninfo:
        import psycopg

        with psycopg.connect(conninfo, autocommit=True) as raw:
            raw.execute("CREATE TABLE theirs (x int)")
        assert _refusal(conninfo) == "db.foreign"
    with postgres.schema() as conninfo:
        Store(PostgresEngine(conninfo)).close()
        with psycopg.connect(conninfo, autocommit=True) as raw:
            raw.execute("UPDATE pds_schema SET version = version + 1")
        assert _refusal(conninfo) == "db.newer"
    assert _refusal("nonsense = = x") == "db.address"
    assert _refusal(f"host={tmp_path} dbname=x user=x") == "db.away"


def _refusal(conninfo: str) -> str:
    with pytest.raises(DbError) as refused:
        open_engine(Path("unused"), conninfo)
    return refused.value.code


def test_a_relay_on_a_file_loads_no_other_driver(tmp_path: Path) -> None:
    """psycopg need not even be there."""
    program = (
        "import sys; from pathlib import Path; from pds.relay.app import create_app;"
        "create_app(Path(sys.argv[1]), url='http://127.0.0.1:1');"
        "assert not [m for m in sys.modules if m.startswith('psycopg')]"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "r")], check=True)
