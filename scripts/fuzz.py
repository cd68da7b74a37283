"""One target of ``tests/fuzz/targets.py`` under a fuzzer, for so many seconds.

A finding is an error that the target does not document, or an input that keeps it busy for longer
than ``LIMIT`` seconds of CPU time. Its input is written to a file, and the exit code is 1.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fuzz")]

LIMIT = 5
# Ours, and those libraries that read what a stranger wrote.
WATCHED = ["did", "credentials", "pds", "pyld", "joserfc", "http_sf", "http_message_signatures"]


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
    """Seeds changed at random, the same ones each time; the exit code."""
    from target import changed

    chance, pool = random.Random(0), [*target.seeds, b""]  # nothing secret
    until, tried, survives = time.monotonic() + seconds, 0, True
    while survives and time.monotonic() < until:
        tried += 1
        survives = _survives(name, target, changed(chance, pool))
    print(f"{name}: {tried} inputs")
    return 0 if survives else 1


def by_coverage(name: str, target: Any, seconds: int) -> None:
    """The same under atheris; ends the process."""
    import atheris
    from target import MAX_INPUT

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds):
            Path(corpus, str(number)).write_bytes(seed)

        def one(raw: bytes) -> None:
            if not _survives(name, target, raw):
                # At once: what atheris would say of it repeats the input, and takes its time.
                shutil.rmtree(corpus, ignore_errors=True)
                os._exit(1)

        options = [f"-max_total_time={seconds}", f"-max_len={MAX_INPUT}", "-timeout=30"]
        atheris.Setup([name, *options, "-print_final_stats=1", corpus], one)
        atheris.Fuzz()


@contextlib.contextmanager
def _counted() -> Iterator[None]:
    """What is imported meanwhile of our packages, and of the readers behind them, is watched."""
    import atheris

    # It would name each module.
    with (
        contextlib.redirect_stderr(io.StringIO()),
        atheris.instrument_imports(include=WATCHED, enable_loader_override=False),
    ):
        yield


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
    watched = not (options.list or options.input or options.by_chance)
    watched = watched and importlib.util.find_spec("atheris") is not None
    with _counted() if watched else contextlib.nullcontext():
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
    if watched:
        by_coverage(options.name, target, options.seconds)
        return 0
    return by_chance(options.name, target, options.seconds)


if __name__ == "__main__":
    sys.exit(main())
