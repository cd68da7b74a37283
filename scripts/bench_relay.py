"""What a relay carries: redemptions beside a Flask "hello" of 4 KiB on the same server (P5), with
many tickets, with many workers on a PostgreSQL (P8), its start and memory (P9), how soon a
withdrawal holds, and whether it stays as it is for minutes.

Run by ``scripts/bench --relay``. A figure is a ratio or, where the goal is one, a time.

Long, because each group of lines stands beside the load that it is measured under.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench_load import CONNECTIONS, HELLO, Outcome, Server, Staged, drive, stage, start_relay

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from postgres import Cluster
from relay_world import World, http_send

from credentials.status import StatusEntry
from did.time import utc_now
from pds.db import open_plain

ROUNDS = 5
FEW = 10_000
MANY = (1_000_000, 10_000_000)
WORKERS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Line:
    """A goal and what was measured for it; ``least`` when more is better."""

    name: str
    workload: str
    goal: float
    values: Sequence[float]
    least: bool = False

    def ratios(self) -> Iterator[float]:
        yield from self.values

    def is_met(self, ratio: float) -> bool:
        return ratio >= self.goal if self.least else ratio <= self.goal


def add_options(reader: argparse.ArgumentParser) -> None:
    """What ``--relay`` takes."""
    of = reader.add_argument_group("with --relay")
    of.add_argument("--workers", type=int, default=1, help="of the relay (%(default)s)")
    of.add_argument("--threads", type=int, default=16, help="of each worker (%(default)s)")
    of.add_argument("--tickets", type=int, default=1000, help="that are redeemed (%(default)s)")
    of.add_argument(
        "--rows",
        type=int,
        default=MANY[0],
        help="the most tickets (%(default)s; 10,000,000 take 15 GB of disk)",
    )
    of.add_argument("--soak", type=float, default=0, metavar="MINUTES", help="run for so long too")
    of.add_argument("--folder", type=Path, help="where the relays keep their data")


def benchmarks(options: argparse.Namespace, wanted: Callable[[str], bool]) -> Iterator[Line]:
    """All lines, each group as soon as it is measured. ``wanted`` says of which names."""
    groups: list[tuple[str, Callable[[argparse.Namespace], Iterator[Line]]]] = [
        ("relay.redeem", redemptions),
        ("relay.withdrawal", withdrawals),
        ("relay.rows", many_rows),
        ("relay.postgres", on_postgres),
    ]
    if options.soak:
        groups.append(("relay.soak", soak))
    if options.peers:
        from bench_css import beside_css

        groups.append(("relay.peer", beside_css))
    for prefix, measure in groups:
        if wanted(prefix):
            yield from measure(options)


@contextmanager
def relay_with(
    options: argparse.Namespace, tickets: int, *, workers: int | None = None,
    database: str | None = None, rows: int = 0,
) -> Iterator[tuple[Server, list[Staged]]]:  # fmt: skip
    """A relay that was started after its packages were staged: it has seen no ticket yet."""
    folder = Path(tempfile.mkdtemp(prefix="pds-bench-", dir=options.folder))
    terms = {"workers": workers or options.workers, "threads": options.threads}
    relay = start_relay(folder / "relay", database=database, **terms)
    try:
        world = World(
            send=http_send(relay.port), clock=utc_now, url=f"http://127.0.0.1:{relay.port}"
        )
        staged = list(stage(world, tickets, size=256 if rows else 2900))
        relay.stop()
        if rows:
            fill(folder / "relay" / "relay.db", rows)
        relay = start_relay(folder / "relay", database=database, port=relay.port, **terms)
        yield relay, staged
    finally:
        relay.stop()
        shutil.rmtree(folder, ignore_errors=True)


def redeem_all(
    relay: Server, staged: Sequence[Staged], *, connections: int = CONNECTIONS
) -> tuple[Outcome, float]:
    """Each once, so many at a time; and the processor's microseconds for each."""
    requests = [each.redemption() for each in staged]
    before = relay.cpu_seconds()
    outcome = drive(relay.port, requests, connections=connections)
    if outcome.statuses != {200: len(requests)}:
        raise SystemExit(f"not all were answered: {outcome.statuses}")
    return outcome, 1e6 * (relay.cpu_seconds() - before) / len(requests)


def redemptions(options: argparse.Namespace) -> Iterator[Line]:
    """P5 and P9."""
    hello = Server(["-c", HELLO, str(options.threads), str(options.workers)])
    try:
        with relay_with(options, options.tickets) as (relay, staged):
            get = f"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:{hello.port}\r\n\r\n".encode()
            drive(hello.port, [get] * 500)
            ratios: dict[str, list[float]] = {"fresh": [], "again": []}
            outcomes: dict[str, list[tuple[Outcome, float]]] = {"fresh": [], "again": []}
            hellos: list[float] = []
            spent: list[float] = []
            share = len(staged) // ROUNDS
            for number in range(ROUNDS):
                for name, found in ratios.items():
                    ours, cpu = redeem_all(relay, staged[number * share : (number + 1) * share])
                    before = hello.cpu_seconds()
                    theirs = drive(hello.port, [get] * 3 * share)
                    spent.append(1e6 * (hello.cpu_seconds() - before) / (3 * share))
                    found.append(ours.rate / theirs.rate)
                    outcomes[name].append((ours, cpu))
                    hellos.append(theirs.rate)
            memory = relay.memory_mib()
            starts = relay.start_seconds
    finally:
        hello.stop()
    for name, goal, words in (
        ("fresh", 0.25, "a ticket that the relay sees for the first time since it started"),
        ("again", 0.5, "a ticket seen before"),
    ):
        rate = statistics.median(each.rate for each, _ in outcomes[name])
        cpu = statistics.median(cpu for _, cpu in outcomes[name])
        yield Line(
            f"relay.redeem.{name}",
            f"redeem, durable, {words}, in GETs of 4 KiB from Flask on the same server, "
            f"{options.workers} workers of {options.threads} threads, 32 connections "
            f"({rate:.0f}/s, {cpu:.0f} us of the processor; GET {statistics.median(hellos):.0f}/s, "
            f"{statistics.median(spent):.0f} us)",
            goal,
            ratios[name],
            least=True,
        )
    both = [each for found in outcomes.values() for each, _ in found]
    half = statistics.median(each.percentile(0.5) for each in both)
    yield Line(
        "relay.redeem.p99",
        f"the same, milliseconds at the 99th percentile (median {half:.1f})",
        30,
        [each.percentile(0.99) for each in both],
    )
    yield Line("relay.redeem.start", "start of the relay, in seconds", 0.4, [starts])
    yield Line("relay.redeem.memory", "memory of a worker after it, in MiB", 90, memory)


def withdrawals(options: argparse.Namespace) -> Iterator[Line]:
    """From the moment a withdrawal is sent to the first redemption that is refused."""
    count = 60
    with relay_with(options, count) as (relay, staged):
        world = staged[0].world
        times: dict[str, list[float]] = {"end": [], "status": []}
        for each in staged:
            times["end"].append(_until_refused(relay, each, lambda p=each.package: world.end(p)))  # type: ignore[misc]
        for index in range(count):
            entry = StatusEntry(f"{world.url}/v1/status/{world.list_id}", index)
            package, ticket = world.another(max_uses=1_000_000, status=entry)
            world.bits = world.bits.with_bit(index)
            newer = world.status_list(sequence=index + 2)
            times["status"].append(
                _until_refused(
                    relay,
                    Staged(world, package, ticket),
                    lambda c=newer: world.put_status(c),  # type: ignore[misc]
                )
            )
    for name, words in (("end", "DELETE of a package"), ("status", "PUT of a status list")):
        ordered = sorted(times[name])
        yield Line(
            f"relay.withdrawal.{name}",
            f"from sending a {words} to the first redemption that is refused, milliseconds at the "
            f"99th percentile (median {statistics.median(ordered):.1f})",
            100,
            [ordered[int(0.99 * len(ordered))]],
        )


def _until_refused(relay: Server, staged: Staged, withdraw: Callable[[], object]) -> float:
    """In milliseconds, while somebody redeems one time after the other."""
    requests = [staged.redemption() for _ in range(12)]
    thread = threading.Thread(target=withdraw)
    began = time.perf_counter()
    thread.start()
    for request in requests:
        if 410 in drive(relay.port, [request]).statuses:
            break
    else:
        raise SystemExit("a withdrawal did not hold")
    spent = 1000 * (time.perf_counter() - began)
    thread.join()
    return spent


def fill(path: Path, rows: int) -> None:
    """So many packages of 256 bytes with tickets of 256, beside those that were staged."""
    conn = open_plain(path)
    conn.execute("PRAGMA cache_size = -1000000")
    conn.execute("BEGIN")
    conn.execute(
        "CREATE TEMP TABLE filler AS WITH RECURSIVE n (i) AS"
        " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " SELECT substr(hex(randomblob(11)), 1, 22) AS id FROM n ORDER BY id",
        (rows,),
    )
    conn.execute(
        "INSERT INTO packages (id, mailbox, issuer, seq, not_after)"
        " SELECT id, (SELECT max(id) FROM mailboxes), 'did:key:z6Mk', 1, ? FROM filler",
        (int(time.time()) + 86_400 * 29,),
    )
    conn.execute(
        "INSERT INTO tickets SELECT id, ?, randomblob(256), ?, ?, 1, 2000000000, 12, 0, 'x', 7"
        " FROM filler",
        ("u" * 47, "did:key:z6Mk" + "x" * 44, "u" * 47),
    )
    conn.execute(
        "INSERT INTO contents SELECT id, 1, ?, randomblob(300), randomblob(256) FROM filler",
        ("u" * 47,),
    )
    conn.execute("COMMIT")
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()


def many_rows(options: argparse.Namespace) -> Iterator[Line]:
    """The rate beside so many tickets that are not redeemed, over that beside ten thousand."""
    for many in MANY:
        if many <= options.rows:
            yield from _rows(options, many)


def _rows(options: argparse.Namespace, many: int) -> Iterator[Line]:
    tickets = options.tickets // 2
    with (
        relay_with(options, tickets, rows=FEW) as (small, ones),
        relay_with(options, tickets, rows=many) as (large, others),
    ):
        ratios = []
        theirs: list[Outcome] = []
        ours: list[Outcome] = []
        share = tickets // ROUNDS
        for number in range(ROUNDS):
            mine = slice(number * share, (number + 1) * share)
            theirs.append(redeem_all(small, ones[mine])[0])
            ours.append(redeem_all(large, others[mine])[0])
            ratios.append(ours[-1].rate / theirs[-1].rate)
    yield Line(
        f"relay.rows.{many}",
        f"redeem with {many:,} tickets of 256 bytes there, over the rate with {FEW:,} "
        f"({_facts(ours)}; with {FEW:,}: {_facts(theirs)})",
        0.9,
        ratios,
        least=True,
    )


def _facts(runs: Sequence[Outcome]) -> str:
    rate = statistics.median(run.rate for run in runs)
    p99 = statistics.median(run.percentile(0.99) for run in runs)
    return f"{rate:.0f}/s, 99th percentile {p99:.0f} ms"


def on_postgres(options: argparse.Namespace) -> Iterator[Line]:
    """P8. Workers on one PostgreSQL, which writes through to the disk; 32 clients for each, since
    more workers are there for more clients."""
    cluster = Cluster(durable=True)
    found: dict[int, tuple[float, float, float]] = {}
    try:
        for workers in WORKERS:
            with (
                cluster.schema() as conninfo,
                relay_with(options, options.tickets, workers=workers, database=conninfo) as (
                    relay,
                    staged,
                ),
                _Waiting(cluster.conninfo()) as waiting,
            ):
                clients = CONNECTIONS * workers
                runs = [redeem_all(relay, staged, connections=clients) for _ in range(3)]
            found[workers] = (
                statistics.median(run.rate for run, _ in runs),
                statistics.median(cpu for _, cpu in runs),
                waiting.share,
            )
    finally:
        cluster.close()
    rate, cpu, _ = found[WORKERS[0]]
    cores = os.cpu_count() or 1
    for workers, (its_rate, its_cpu, waits) in found.items():
        name = f"relay.postgres.{workers}"
        facts = f"({its_rate:.0f}/s, {its_cpu:.0f} us)"
        yield Line(
            f"{name}.cpu",
            f"processor of the relay for a redemption with {workers} workers on PostgreSQL, "
            f"in those of one {facts}",
            1.1,
            [its_cpu / cpu],
        )
        yield Line(
            f"{name}.waiting",
            "share of their transactions' time in which workers wait for the lock of the log",
            0.05,
            [waits],
        )
    yield Line(
        "relay.postgres.rate",
        "two workers on PostgreSQL, in the rate of one",
        1.25 if cores < 6 else 1.7,
        [found[2][0] / rate],
        least=True,
    )


class _Waiting:
    """Looks again and again, in the engine, at what the sessions of a relay do."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.counts = [0, 0]

    def _look(self) -> None:
        import psycopg

        with psycopg.connect(self._conninfo, autocommit=True) as conn:
            while not self._over.wait(0.01):
                row = conn.execute(
                    "SELECT count(*) FILTER (WHERE wait_event = 'advisory'), count(*)"
                    " FROM pg_stat_activity WHERE application_name = 'pds' AND xact_start"
                    " IS NOT NULL AND state <> 'idle'"
                ).fetchone()
                if row is not None:
                    self.counts[0] += row[0]
                    self.counts[1] += row[1]

    @property
    def share(self) -> float:
        return self.counts[0] / max(1, self.counts[1])

    def __enter__(self) -> "_Waiting":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def soak(options: argparse.Namespace) -> Iterator[Line]:
    """The same load for minutes: the last fifth of it over the first."""
    rates: list[float] = []
    memories: list[float] = []
    written: list[float] = []
    with relay_with(options, options.tickets) as (relay, staged):
        redeem_all(relay, staged)
        until = time.monotonic() + 60 * options.soak
        while time.monotonic() < until:
            before = relay.written_kib()
            rates.append(redeem_all(relay, staged)[0].rate)
            written.append((relay.written_kib() - before) / len(staged))
            memories.append(statistics.mean(relay.memory_mib()))
    fifth = max(1, len(rates) // 5)

    def grown(values: list[float]) -> float:
        return statistics.median(values[-fifth:]) / statistics.median(values[:fifth])

    yield Line(
        "relay.soak.rate",
        f"the rate in the last fifth of {options.soak:g} minutes over that in the first "
        f"({len(rates) * len(staged):,} redemptions, {statistics.median(rates):.0f}/s; each has "
        f"{statistics.mean(written[:fifth]):.0f} KiB written at first, "
        f"{statistics.mean(written[-fifth:]):.0f} at the end)",
        0.9,
        [grown(rates)],
        least=True,
    )
    yield Line(
        "relay.soak.memory",
        f"memory of a worker, likewise ({memories[0]:.0f} to {memories[-1]:.0f} MiB)",
        1.1,
        [grown(memories)],
    )
