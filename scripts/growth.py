"""What a relay keeps for each mailbox, package and event, and what that comes to with many users.

    .venv/bin/python scripts/growth.py [--mailboxes N] [--database CONNINFO | --postgresql]

Fills a relay through its own API in this process, with real keys and signatures, then looks at the
size of the database. Bytes and CPU are measured, that of a PostgreSQL's own processes apart where
it runs on this machine; the lines for many mailboxes are computed from them and from the use that
is stated. ``--database`` is an empty PostgreSQL; ``--postgresql`` makes one for this, and ends it.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests" / "pds" / "relay"))

from relay_world import URL, World, flask_send  # noqa: E402

from did.time import utc_now  # noqa: E402
from pds.relay.app import create_app  # noqa: E402
from pds.relay.limits import Limits  # noqa: E402
from pds.wire import new_id  # noqa: E402

SEALED = 4096
USERS = (10**4, 10**6, 10**9)
# The use of one person, stated and not measured: one mailbox for each relationship.
MAILBOXES, PACKAGES, REDEMPTIONS, RESTAGED, ROUNDS = 10, 2, 1, 0.25, 96
"""Relationships; packages of each; redemptions and new versions of each package in a month; rounds
of the agent in a day, each of which reads every mailbox."""
CORE_SECONDS = 86_400 * 30 * 0.3
"""Of a core in a month at a load of 30 %, so that the busiest hour fits."""


class Relay:
    """A relay in this process, and the size of what it keeps."""

    def __init__(self, folder: Path, database: str | None) -> None:
        self._database = database
        limits = Limits(registrations_per_hour=10**9)
        self.app = create_app(folder, url=URL, database=database, limits=limits)
        self.send = flask_send(self.app)

    def size(self) -> int:
        """Bytes in use."""
        if self._database is not None:
            import psycopg

            with psycopg.connect(self._database, autocommit=True) as conn:
                row = conn.execute(
                    "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c"
                    " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
                ).fetchone()
            return int(row[0]) if row else 0
        with self.app.extensions["relay"].store.read() as conn:
            pages = conn.execute(
                "SELECT page_count - freelist_count AS pages"
                " FROM pragma_page_count, pragma_freelist_count"
            ).fetchone()
            size = conn.execute("SELECT page_size FROM pragma_page_size").fetchone()
        return int(pages["pages"]) * int(size["page_size"])

    def server_seconds(self) -> float:
        """CPU so far of the sessions that a PostgreSQL on this machine has for this relay."""
        if self._database is None:
            return 0.0
        import psycopg

        with psycopg.connect(self._database, autocommit=True) as conn:
            pids = conn.execute(
                "SELECT pid FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        ticks = 0
        for (pid,) in pids:
            with suppress(FileNotFoundError):
                after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(after_name[11]) + int(after_name[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What one costs: bytes, and seconds of CPU of the relay and of the database server."""

    octets: float
    seconds: float
    server: float = 0.0


def measure(relay: Relay, count: int) -> dict[str, Cost]:
    """For one of each: mailbox with its list, package, redemption, reading."""
    spent = [0.0]

    def send(method: str, path: str, headers: object, body: bytes) -> object:
        begun = time.process_time()
        answer = relay.send(method, path, headers, body)  # type: ignore[arg-type]
        spent[0] += time.process_time() - begun
        return answer

    worlds = [World(send=send, clock=utc_now) for _ in range(count)]  # type: ignore[arg-type]
    found: dict[str, Cost] = {}

    def take(name: str, each: Callable[[World], None]) -> None:
        before, server, spent[0] = relay.size(), relay.server_seconds(), 0.0
        for world in worlds:
            each(world)
        server = relay.server_seconds() - server
        found[name] = Cost((relay.size() - before) / count, spent[0] / count, server / count)

    tickets: dict[str, object] = {}

    def package(world: World) -> None:
        id_ = new_id()
        ticket = world.ticket(id_, valid_until=utc_now() + timedelta(days=30))
        body = world.staging(id_, ticket=ticket, sealed=os.urandom(SEALED))
        assert world.call("PUT", f"/v1/packages/{id_}", body).status == 200
        tickets[world.mailbox] = ticket

    def redeem(world: World) -> None:
        assert world.redeem(tickets[world.mailbox]).status == 200  # type: ignore[arg-type]

    def create(world: World) -> None:
        assert world.create().status == 201

    def read(world: World) -> None:
        assert world.call("GET", f"/v1/mailboxes/{world.mailbox}").status == 200

    def publish(world: World) -> None:
        assert world.put_status().status == 200

    take("mailbox", create)
    take("status list", publish)
    take("package", package)
    take("redemption", redeem)
    take("reading", read)
    return found


def tell(found: dict[str, Cost]) -> None:
    """Measured, then computed."""
    print("measured, for one:")
    for name, one in found.items():
        print(
            f"  {name:12} {one.octets:8,.0f} bytes  {1e6 * one.seconds:6,.0f} us of CPU,"
            f" {1e6 * one.server:6,.0f} us of the database server's"
        )
    packages = MAILBOXES * PACKAGES
    redemptions = packages * REDEMPTIONS
    octets = (
        MAILBOXES * (found["mailbox"].octets + found["status list"].octets)
        + packages * found["package"].octets
        + redemptions * 12 * found["redemption"].octets
    )
    cpu = {name: one.seconds + one.server for name, one in found.items()}
    seconds = (
        redemptions * cpu["redemption"]
        + packages * RESTAGED * cpu["package"]
        + MAILBOXES * 4.3 * cpu["status list"]
        + MAILBOXES * ROUNDS * 30 * cpu["reading"]
    )
    idle = MAILBOXES * ROUNDS * 30 * cpu["reading"] / seconds
    print(
        f"computed, for one user with {MAILBOXES} mailboxes, {packages} packages,"
        f" {redemptions:.0f} redemptions a month,\na round every {1440 // ROUNDS} minutes:"
        f" {octets / 1024:,.0f} KiB after a year, {seconds:.2f} s of CPU a month"
        f" ({100 * idle:.0f} % of it readings that find nothing)"
    )
    for mailboxes in USERS:
        users = mailboxes / MAILBOXES
        print(
            f"  {mailboxes:>13,} mailboxes: {users * octets / 1e9:12,.1f} GB,"
            f" {users * seconds / CORE_SECONDS:10,.2f} cores,"
            f" {users * MAILBOXES * ROUNDS / 86_400:12,.1f} readings/s,"
            f" {users * redemptions / 2_592_000:8,.2f} redemptions/s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mailboxes", type=int, default=2000)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--database", metavar="CONNINFO")
    where.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        database = options.database
        if options.postgresql:
            from postgres import Cluster

            cluster = Cluster(durable=True)
            stack.callback(cluster.close)
            database = cluster.conninfo()
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pds-growth-"))
        relay = Relay(Path(folder) / "relay", database)
        stack.callback(relay.app.extensions["relay"].store.close)
        tell(measure(relay, options.mailboxes))


if __name__ == "__main__":
    main()
