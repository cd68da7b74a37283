"""One target of ``tests/fuzz/targets.py`` under a fuzzer, for so many seconds.

A finding is an error that the target does not document, or an input that keeps it busy for longer
than ``LIMIT`` seconds of CPU time. Its input is written to a file, and the exit code is 1.
"""

import argparse
import hashlib
import importlib.util
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fuzz")]

LIMIT = 5
MAX_INPUT = 65_536


class TooLong(BaseException):
    """Not an ``Exception``, so that nothing on the way takes it for an error of its own."""


def _alarm(_number: int, _frame: FrameType | None) -> None:
    raise TooLong


def attempt(target: Any, raw: bytes) -> None:
    """Run one input; what comes out of here is a finding."""
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
    try:
        target.run(raw)
    except target.errors:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def found(name: str, raw: bytes, error: BaseException) -> None:
    """Keep the input and say how to run it again; the error's own text may hold it."""
    place = Path(tempfile.gettempdir()) / f"fuzz-{name}-{hashlib.sha256(raw).hexdigest()[:16]}"
    place.write_bytes(raw)
    print(f"{name}: {type(error).__name__}: scripts/fuzz {name} --input {place}", file=sys.stderr)


def by_chance(name: str, target: Any, seconds: float) -> int:
    """Seeds cut, doubled, spliced and flipped; the number of inputs tried."""
    chance, pool = random.Random(0), [*target.seeds, b""]  # nothing secret
    until, tried = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        raw = bytearray(chance.choice(pool))
        for _ in range(chance.randrange(1, 5)):
            start = chance.randrange(len(raw) + 1)
            end = min(len(raw), start + chance.randrange(1, 24))
            other = chance.choice(pool)
            at = chance.randrange(len(other) + 1)
            raw[start:end] = chance.choice(
                (b"", bytes(raw[start:end]) * 2, other[at : at + 16], chance.randbytes(2))
            )
        tried += 1
        if not _survives(name, target, bytes(raw[:MAX_INPUT])):
            return tried
    return tried


def by_coverage(name: str, target: Any, seconds: int) -> None:
    """The same under atheris; ends the process."""
    import atheris

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds):
            Path(corpus, str(number)).write_bytes(seed)
        atheris.instrument_all()

        def one(raw: bytes) -> None:
            if not _survives(name, target, raw):
                raise SystemExit(1)

        options = [f"-max_total_time={seconds}", f"-max_len={MAX_INPUT}", "-timeout=30"]
        atheris.Setup([name, *options, "-print_final_stats=1", corpus], one)
        atheris.Fuzz()


def _survives(name: str, target: Any, raw: bytes) -> bool:
    try:
        attempt(target, raw)
    except (Exception, TooLong) as error:  # noqa: BLE001  # whatever it is, it is a finding
        found(name, raw, error)
        return False
    return True


def main() -> int:
    reader = argparse.ArgumentParser(description="Let a fuzzer loose on one way in.")
    reader.add_argument("name", nargs="?", help="the target")
    reader.add_argument("seconds", nargs="?", type=int, default=60, help="for how long (60)")
    reader.add_argument("--list", action="store_true", help="name the targets")
    reader.add_argument("--input", type=Path, help="run this one input, and show what comes out")
    reader.add_argument("--by-chance", action="store_true", help="without atheris")
    options = reader.parse_args()
    from targets import TARGETS

    if options.list:
        print("\n".join(TARGETS))
        return 0
    if options.name not in TARGETS:
        reader.error("no target has this name; --list names them")
    target = TARGETS[options.name]
    signal.signal(signal.SIGVTALRM, _alarm)
    if options.input is not None:
        try:
            attempt(target, options.input.read_bytes())
        except (Exception, TooLong):  # noqa: BLE001
            traceback.print_exc()
            return 1
        return 0
    if importlib.util.find_spec("atheris") is not None and not options.by_chance:
        by_coverage(options.name, target, options.seconds)
        return 0
    tried = by_chance(options.name, target, options.seconds)
    print(f"{options.name}: {tried} inputs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
