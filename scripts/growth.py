"""What a relay keeps for each mailbox, package and event, and what that comes to with many users.

    .venv/bin/python scripts/growth.py [--mailboxes N] [--database CONNINFO]

Fills a relay through its own API in this process, with real keys and signatures, then looks at the
size of the database. Bytes and the relay's CPU are measured; the lines for many mailboxes are
computed from them and from the use that is stated. ``--database`` is an empty PostgreSQL.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
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
        self._folder, self._database = folder, database
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


def measure(relay: Relay, count: int) -> dict[str, tuple[float, float]]:
    """Bytes and seconds of CPU for one of each: mailbox with its list, package, redemption."""
    spent = [0.0]

    def send(method: str, path: str, headers: object, body: bytes) -> object:
        begun = time.process_time()
        answer = relay.send(method, path, headers, body)  # type: ignore[arg-type]
        spent[0] += time.process_time() - begun
        return answer

    worlds = [World(send=send, clock=utc_now) for _ in range(count)]  # type: ignore[arg-type]
    found: dict[str, tuple[float, float]] = {}

    def take(name: str, each: Callable[[World], None]) -> None:
        before, spent[0] = relay.size(), 0.0
        for world in worlds:
            each(world)
        found[name] = ((relay.size() - before) / count, spent[0] / count)

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


def tell(found: dict[str, tuple[float, float]]) -> None:
    """Measured, then computed."""
    print("measured, for one:")
    for name, (octets, seconds) in found.items():
        print(f"  {name:12} {octets:8,.0f} bytes  {1e6 * seconds:6,.0f} us of CPU")
    packages = MAILBOXES * PACKAGES
    redemptions = packages * REDEMPTIONS
    octets = (
        MAILBOXES * (found["mailbox"][0] + found["status list"][0])
        + packages * found["package"][0]
        + redemptions * 12 * found["redemption"][0]
    )
    seconds = (
        redemptions * found["redemption"][1]
        + packages * RESTAGED * found["package"][1]
        + MAILBOXES * 4.3 * found["status list"][1]
        + MAILBOXES * ROUNDS * 30 * found["reading"][1]
    )
    idle = MAILBOXES * ROUNDS * 30 * found["reading"][1] / seconds
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
    parser.add_argument("--database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pds-growth-") as folder:
        relay = Relay(Path(folder) / "relay", options.database)
        tell(measure(relay, options.mailboxes))
        relay.app.extensions["relay"].store.close()


if __name__ == "__main__":
    main()
