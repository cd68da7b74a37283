"""Benchmarks with a goal each, as ratios measured side by side in one run.

A machine's own speed cancels out: workload and yardstick are called in turns, in CPU time, and the
ratio is the median over many rounds.

    scripts/bench              a table
    scripts/bench --json       a list of {name, workload, ratio, goal, met, machine}
    scripts/bench grant        only those whose name contains the word
    scripts/bench --peers      other implementations too, measured beside ours in the same run
    scripts/bench --vault      the vault with a hundred thousand items, or with --items N
    scripts/bench --relay      a relay under load; --soak MINUTES for longer

Long, because workloads and goals are data.
"""

import argparse
import functools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import nacl.signing
import orjson
import vector_world
from vector_world import COMPANY, DELIVERY, LIST_URL, NOW

import did.keys
from credentials import proof
from credentials.grant import GrantTerms, issue_grant, verify_grant
from credentials.status import (
    BitString,
    StatusEntry,
    VerifiedStatusList,
    issue_status_list,
    verify_status_list,
)
from credentials.verify import verify_credential
from did.json import canonicalize
from did.keys import SigningKey
from did.multikey import multihash_sha256
from did.time import format_time

ROUNDS = 80
BATCH = 20
STARTS = 15

ROOT = Path(__file__).resolve().parents[1]
# What the installed command does.
COMMAND = "import sys; from pds.cli.main import main; sys.exit(main())"

Work = Callable[[], object]
# What is measured, call by call, and the yardstick that is called after each.
Round = tuple[list[Work], Work]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """``ratio`` is the time of a round's calls over that of as many calls of its yardstick.

    ``clock`` gives the CPU time spent so far, in nanoseconds.
    """

    name: str
    workload: str
    goal: float
    rounds: Callable[[], Iterator[Round]]
    clock: Callable[[], int] = time.process_time_ns

    def ratios(self) -> Iterator[float]:
        clock = self.clock
        reading = time_of_reading(clock)
        for works, yardstick in self.rounds():
            spent = base = -reading * len(works)
            # One by one in turns: the workload leaves the processor's caches as it found them for
            # neither, and a slow moment of a shared machine hits both.
            for work in works:
                begun = clock()
                work()
                between = clock()
                yardstick()
                spent += between - begun
                base += clock() - between
            yield spent / base

    def is_met(self, ratio: float) -> bool:
        return ratio <= self.goal


class Measurable(Protocol):
    """A goal for the ratio of two times; ``bench_peers`` has another kind than ``Benchmark``."""

    name: str
    workload: str
    goal: float

    def ratios(self) -> Iterator[float]: ...

    def is_met(self, ratio: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    workload: str
    ratio: float
    goal: float
    met: bool
    machine: str


def measure(benchmark: Measurable, machine: str) -> Result:
    ratio = statistics.median(benchmark.ratios())
    return Result(
        benchmark.name,
        benchmark.workload,
        round(ratio, 3),
        benchmark.goal,
        benchmark.is_met(ratio),
        machine,
    )


def time_of_reading(clock: Callable[[], int]) -> float:
    """What reading the clock itself takes, which is neither the workload's time nor the other's."""
    readings = [clock() for _ in range(1001)]
    return statistics.median(after - before for before, after in pairwise(readings))


def terms(request: int = 0) -> GrantTerms:
    digest = multihash_sha256(request.to_bytes(8))
    return vector_world.terms(request=digest, text_digest=digest)


def verification() -> Work:
    """One Ed25519 verification by PyNaCl, of 64 bytes as in a proof."""
    key = nacl.signing.SigningKey(bytes(32))
    signed = key.sign(bytes(64))
    return functools.partial(key.verify_key.verify, signed.message, signed.signature)


def rounds_of(
    key: Callable[[int], SigningKey], prepare: Callable[[list[bytes], list[bytes]], None]
) -> Iterator[Round]:
    """Rounds of grants, each for a request of its own and with the status list of its issuer."""
    yardstick = verification()
    lists: dict[str, bytes] = {}
    for number in range(ROUNDS):
        grants: list[bytes] = []
        statuses: list[bytes] = []
        for index in range(number * BATCH, (number + 1) * BATCH):
            issuer = key(index)
            entry = StatusEntry(LIST_URL, index)
            issued = issue_grant(terms(index), key=issuer, status=entry, now=NOW)
            grants.append(orjson.dumps(issued))
            if issuer.did not in lists:
                lists[issuer.did] = status_list(issuer)
            statuses.append(lists[issuer.did])
        prepare(grants, statuses)
        yield (
            [functools.partial(verify, *pair) for pair in zip(grants, statuses, strict=True)],
            yardstick,
        )


def status_list(issuer: SigningKey) -> bytes:
    bits = BitString.empty().with_bit(131_071)
    issued = issue_status_list(key=issuer, url=LIST_URL, bits=bits, sequence=1, now=NOW)
    return canonicalize(issued)


def verify_all(grants: list[bytes], statuses: list[bytes]) -> None:
    for raw, status in zip(grants, statuses, strict=True):
        verify(raw, status)


def verify(raw: bytes, status: bytes) -> None:
    verify_grant(raw, purpose=DELIVERY, audience=COMPANY, status=status, now=NOW)


def verify_lists(_grants: list[bytes], statuses: list[bytes]) -> None:
    for status in statuses:
        verify_status_list(status, now=NOW, expected_issuer=None, expected_url=None)


def verify_lists_then_forget_keys(grants: list[bytes], statuses: list[bytes]) -> None:
    verify_lists(grants, statuses)
    for cached in (
        did.keys._check_ed25519,
        did.keys._multikey_of_ed25519,
        did.keys._decode_ed25519,
        proof.key_of_did_key,
    ):
        cached.cache_clear()


def issues() -> Iterator[Round]:
    """Rounds of grants to be issued, each for a request of its own."""
    key, signer = one_key(0), nacl.signing.SigningKey(bytes(32))
    for number in range(ROUNDS):
        yield (
            [
                functools.partial(
                    issue_grant, terms(index), key=key, status=StatusEntry(LIST_URL, index), now=NOW
                )
                for index in range(number * BATCH, (number + 1) * BATCH)
            ],
            functools.partial(signer.sign, bytes(64)),
        )


def grants_under(*suites: str, count: int = BATCH) -> list[bytes]:
    """Different grants, each with a proof of each of these suites."""
    key, found = one_key(0), []
    for index in range(count):
        grant = issue_grant(terms(index), key=key, status=StatusEntry(LIST_URL, index), now=NOW)
        del grant["proof"]
        for suite in suites:
            grant = proof.add_proof(grant, key, created=NOW, cryptosuite=suite)
        found.append(orjson.dumps(grant))
    return found


def verify_any(status: VerifiedStatusList, raw: bytes) -> None:
    """All that ``verify_grant`` decides, of a credential that need not be one of ours."""
    found = verify_credential(raw, now=NOW, status=status, expected_issuer=status.issuer)
    subject = found.credential.subject
    if subject["purpose"] != DELIVERY or subject["id"] != COMPANY:
        raise ValueError


def rounds_over_rdf() -> Iterator[Round]:
    """Rounds of grants whose only proof is eddsa-rdfc-2022."""
    status = verify_status_list(
        status_list(one_key(0)), now=NOW, expected_issuer=None, expected_url=None
    )
    yardstick = verification()
    for _ in range(ROUNDS):
        raws = grants_under("eddsa-rdfc-2022")
        yield [functools.partial(verify_any, status, raw) for raw in raws], yardstick


def rounds_of_sets() -> Iterator[Round]:
    """Rounds of grants with a proof of either suite."""
    status, yardstick = status_list(one_key(0)), verification()
    for _ in range(ROUNDS):
        both = grants_under("eddsa-jcs-2022", "eddsa-rdfc-2022")
        yield [functools.partial(verify, raw, status) for raw in both], yardstick


def signs_over_rdf() -> Iterator[Round]:
    key, signer = one_key(0), nacl.signing.SigningKey(bytes(32))
    sign = functools.partial(proof.add_proof, key=key, created=NOW, cryptosuite="eddsa-rdfc-2022")
    for _ in range(ROUNDS):
        yield (
            [functools.partial(sign, orjson.loads(raw)) for raw in grants_under()],
            functools.partial(signer.sign, bytes(64)),
        )


def one_key(_index: int) -> SigningKey:
    return SigningKey.from_seed(b"\1" * 32)


def new_key(index: int) -> SigningKey:
    return SigningKey.from_seed(index.to_bytes(32))


def time_of_children() -> int:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((used.ru_utime + used.ru_stime) * 1e9)


def run_python(program: str, *arguments: str) -> None:
    """A new interpreter, the one that runs this; bytecode is kept, as that of what is installed."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def starts_of(*arguments: str) -> Iterator[Round]:
    """Rounds of one run of the command line each, next to an interpreter that does nothing."""
    command = functools.partial(run_python, COMMAND, *arguments)
    command()  # once before, so that the bytecode is there
    for _ in range(STARTS):
        yield [command], functools.partial(run_python, "pass")


def starts_of_verify() -> Iterator[Round]:
    key = one_key(0)
    with tempfile.TemporaryDirectory() as folder:
        grant, status = Path(folder, "grant.json"), Path(folder, "status.json")
        issued = issue_grant(terms(), key=key, status=StatusEntry(LIST_URL, 0), now=NOW)
        grant.write_bytes(orjson.dumps(issued))
        status.write_bytes(status_list(key))
        yield from starts_of(
            "verify", str(grant), "--status", str(status), "--at", format_time(NOW)
        )


BENCHMARKS = (
    Benchmark(
        "grant.jcs.verify",
        "verify a grant from bytes, in full, its issuer's key and status list seen before, "
        "in PyNaCl verifications",
        1.6,
        lambda: rounds_of(one_key, verify_lists),
    ),
    Benchmark(
        "grant.jcs.verify.new_key",
        "the same at first sight of the issuer's key (the status list seen before)",
        2.5,
        lambda: rounds_of(new_key, verify_lists_then_forget_keys),
    ),
    Benchmark(
        "grant.jcs.verify.again",
        "the same bytes again, dates and status checked anew",
        0.05,
        lambda: rounds_of(one_key, verify_all),
    ),
    Benchmark(
        "grant.jcs.issue",
        "issue a grant, in full, in PyNaCl signatures",
        2.2,
        issues,
    ),
    Benchmark(
        "grant.rdfc.verify",
        "verify a credential of the grant's shape under eddsa-rdfc-2022 from bytes, in full, its "
        "issuer's key and status list seen before, in PyNaCl verifications",
        2.3,
        rounds_over_rdf,
    ),
    Benchmark(
        "grant.set.verify",
        "verify a grant with proofs of both suites, in full (two signatures)",
        3.9,
        rounds_of_sets,
    ),
    Benchmark(
        "grant.rdfc.issue",
        "a proof of eddsa-rdfc-2022 on a credential of the grant's shape, in PyNaCl signatures",
        4,
        signs_over_rdf,
    ),
    Benchmark(
        "cli.help",
        "pds --help, in starts of the same interpreter that do nothing",
        5,
        lambda: starts_of("--help"),
        time_of_children,
    ),
    Benchmark(
        "cli.verify",
        "pds verify of a grant and its status list from files, in the same",
        7,
        starts_of_verify,
        time_of_children,
    ),
)


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


def main() -> None:
    reader = argparse.ArgumentParser(description="Benchmarks with a goal each.")
    reader.add_argument("--json", action="store_true", help="a list instead of a table")
    reader.add_argument(
        "--peers", action="store_true", help="measure other implementations beside ours too"
    )
    reader.add_argument(
        "--vault", action="store_true", help="the vault against plain SQLite, instead of the others"
    )
    reader.add_argument(
        "--items", type=int, default=100_000, help="how many items that vault has (%(default)s)"
    )
    reader.add_argument(
        "--relay", action="store_true", help="a relay under load, instead of the others"
    )
    reader.add_argument("words", nargs="*", help="run only those whose name contains one of these")
    if "--relay" in sys.argv:
        import bench_relay

        bench_relay.add_options(reader)
    options = reader.parse_args()
    benchmarks: Iterable[Measurable] = BENCHMARKS
    if options.relay:
        benchmarks = bench_relay.benchmarks(
            options,
            lambda group: (
                not options.words or any(group in word or word in group for word in options.words)
            ),
        )
    elif options.vault:
        from bench_vault import benchmarks as of_the_vault

        benchmarks = of_the_vault(options.items, peers=options.peers)
    else:
        from bench_log import LOG, beside_pymerkle

        benchmarks = (*BENCHMARKS, *LOG)
        if options.peers:
            from bench_peers import PEERS

            benchmarks = (*benchmarks, *PEERS, *beside_pymerkle())
    # One after the other: those of the vault work on vaults that are there only in between.
    results = []
    for benchmark in benchmarks:
        if options.words and not any(word in benchmark.name for word in options.words):
            continue
        result = measure(benchmark, machine())
        results.append(result)
        if not options.json:
            _show(result)
    if not results:
        reader.error("no benchmark has such a name")
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
        return
    print(f"machine: {machine()}")


def _show(result: Result) -> None:
    """A line as soon as it is measured: those of a large vault take minutes."""
    met = "met" if result.met else "NOT met"
    print(f"{result.name:42} {result.ratio:8.3f}  goal {result.goal:7.2f}  {met}")
    print(f"    {result.workload}", flush=True)


if __name__ == "__main__":
    main()
