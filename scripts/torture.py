"""Loops of kill -9 and states of a lost power, in several processes. Ends with 1 on a loss.

    scripts/torture vault --loops 10000 --states 100000 --seed 7 --jobs 2
    scripts/torture relay --loops 1000 --engine postgresql --seed 7

A loss is printed with the seed and the number that repeat it: ``--seed S --first N --loops 1``
repeats a loop as far as chance is ours (ids and keys are new each time).
"""

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

# Ours before any that is installed: what is tortured is the program beside this.
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from ports import free_port
from torture_power import STATES_OF_A_RECORD, PowerLoss
from torture_vault import FRESH_EVERY, Report, Torture
from torture_world import Template, data_key, make_template


def _kill(template: Template, work: Path, seed: int, loops: range) -> Report:
    work.mkdir()
    return Torture(template, data_key(template.folder, template.kit), work, seed).run(loops)


def _darken(template: Template, work: Path, seed: int, states: range, setting: str = "") -> Report:
    work.mkdir()
    key = data_key(template.folder, template.kit)
    return PowerLoss(template, key, work, seed, setting=setting).run(states)


def spread(
    work: Callable[..., Report], template: Template, *, seed: int, first: int, count: int,
    jobs: int, step: int, scratch: Path,
) -> Report:  # fmt: skip
    """Divide ``count`` among processes, in whole steps; returns all their reports as one."""
    size = max(step, -(-count // (jobs * step * 4)) * step)
    parts = [range(n, min(n + size, first + count)) for n in range(first, first + count, size)]
    total = Report()
    # Each process makes its own children; it has loaded everything when it does.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(max_workers=jobs, mp_context=context) as pool:
        folders = [scratch / f"{work.__name__}-{part.start}" for part in parts]
        for report in pool.map(partial(work, template), folders, [seed] * len(parts), parts):
            total.loops += report.loops
            total.killed += report.killed
            total.acknowledged += report.acknowledged
            total.in_doubt += report.in_doubt
            total.where += report.where
            total.losses += report.losses
    return total


def scratch_folder() -> Path:
    """Memory, where there is a file system in it: what a killed process wrote outlives it there
    as on any disk, and a sync costs nothing. Power is lost in a model, so it may be there too."""
    memory = Path("/dev/shm")
    folder = str(memory) if memory.is_dir() and _may_write(memory) else None
    return Path(tempfile.mkdtemp(prefix="torture-", dir=folder))


def _may_write(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _sum(counted: Counter[str]) -> dict[str, int]:
    return {key or "none": count for key, count in counted.most_common()}


def vault(arguments: argparse.Namespace) -> int:
    folder, losses = scratch_folder(), []
    try:
        template = make_template(folder)
        share = partial(
            spread, template=template, seed=arguments.seed, first=arguments.first,
            jobs=arguments.jobs, scratch=folder,
        )  # fmt: skip
        for name, work, count, step in (
            ("kill -9", _kill, arguments.loops, FRESH_EVERY),
            ("power loss", _darken, arguments.states, STATES_OF_A_RECORD),
        ):
            if not count:
                continue
            started = time.monotonic()
            report = share(work, count=count, step=step)
            losses += report.losses
            print(
                json.dumps(
                    {
                        "what": name,
                        "loops": report.loops,
                        "killed": report.killed,
                        "acknowledged": report.acknowledged,
                        "underWay": _sum(report.in_doubt),
                        "killedAt": _sum(report.where),
                        "losses": len(report.losses),
                        "seconds": round(time.monotonic() - started, 1),
                    },
                    indent=2,
                ),
                flush=True,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for loss in losses[:20]:
        print(loss, file=sys.stderr)
    return 1 if losses else 0


def relay(arguments: argparse.Namespace) -> int:
    from torture_relay import torture

    folder, losses = scratch_folder(), []
    try:
        for engine in arguments.engine or ("sqlite", "postgresql"):
            started = time.monotonic()
            report = torture(
                folder, engine=engine, seed=arguments.seed, port=free_port(),
                loops=range(arguments.first, arguments.first + arguments.loops),
            )  # fmt: skip
            losses += report.losses
            print(
                json.dumps(
                    {
                        "what": engine,
                        "loops": report.loops,
                        "disturbed": _sum(report.kills),
                        "acknowledged": _sum(report.acknowledged),
                        "inDoubt": report.in_doubt,
                        "hungUp": report.hung_up,
                        "databaseRestarts": report.restarts,
                        "checkpoints": report.checkpoints,
                        "mostMemoryMiB": report.most_memory >> 20,
                        "losses": len(report.losses),
                        "interrupted": report.interrupted,
                        "seconds": round(time.monotonic() - started, 1),
                    },
                    indent=2,
                ),
                flush=True,
            )
            if report.interrupted:
                break
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for loss in losses:
        print(loss, file=sys.stderr)
    return 1 if losses or report.interrupted else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parts = parser.add_subparsers(required=True, metavar="PART")
    part = parts.add_parser("vault", help="the holder's vault")
    part.add_argument("--loops", type=int, default=1000, help="kills (1000)")
    part.add_argument("--states", type=int, default=1000, help="states of a lost power (1000)")
    part.add_argument("--seed", type=int, default=1)
    part.add_argument("--first", type=int, default=0, help="number of the first loop or state")
    part.add_argument("--jobs", type=int, default=2, help="processes (2)")
    part.set_defaults(run=vault)
    part = parts.add_parser("relay", help="the relay, under load")
    part.add_argument("--loops", type=int, default=200, help="for each engine (200)")
    part.add_argument("--engine", action="append", choices=["sqlite", "postgresql"])
    part.add_argument("--seed", type=int, default=1)
    part.add_argument("--first", type=int, default=0, help="number of the first loop")
    part.set_defaults(run=relay)
    arguments = parser.parse_args()
    code: int = arguments.run(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
