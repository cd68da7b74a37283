"""A disk that is full, or breaks, at any write of any verb."""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from pds.cli.errors import explain

VERBS = (
    "add",
    "edit",
    "delete",
    "import",
    "undo",
    "kit",
    "backup",
    "compact",
    "decide",
    "withdraw",
    "attach",
    "detach",
)
MOST = 6  # places tried for one verb, spread over all its writes


class Faulty:
    """Lets ``at`` writes pass; then there is no room, or the disk fails, until it is mended."""

    def __init__(self, at: int, kind: str) -> None:
        self.seen = 0
        self.hit = False
        self.mended = True
        self._at = at
        self._kind = kind

    def __call__(self, event: Any) -> int | None:
        from torture_disk import FULL, IO_SYNC, IO_WRITE

        if self.mended or event.kind in ("open", "delete", "truncate"):
            return None
        if self._kind == "full" and event.kind.startswith("sync"):
            return None  # room was found when it was written
        self.seen += 1
        if self.seen <= self._at:
            return None
        self.hit = True
        if self._kind == "full":
            return FULL
        return IO_SYNC if event.kind == "sync" else IO_WRITE


def attempt(template: Any, work: Path, verb: str, *, at: int, kind: str) -> dict[str, Any]:
    """In a child: do something, do ``verb`` on a faulty disk, mend the disk, look, do it again."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            told = _in_child(template, work, verb, at=at, kind=kind)
            os.write(writing, json.dumps(told).encode())
        except BaseException:  # noqa: BLE001
            traceback.print_exc(file=sys.stderr)
            os.write(writing, json.dumps({"failed": traceback.format_exc()[-900:]}).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        told = json.loads(lines.read())
    os.waitpid(child, 0)
    assert "failed" not in told, told["failed"]
    return dict(told)


def _in_child(template: Any, work: Path, verb: str, *, at: int, kind: str) -> dict[str, Any]:
    import torture_disk
    from torture_vault import Model, Worker, adopt, check_history, check_model, entries
    from torture_world import open_quickly

    template.copy_to(work / "vault")
    for backup in work.glob("backup-*"):
        backup.unlink()
    disk = Faulty(at, kind)
    torture_disk.install(disk, under=work)
    told: list[dict[str, Any]] = []
    model = Model(template.kit)
    with open_quickly(work / "vault", model.kit) as vault:
        adopt(vault, model)
        model.keep = frozenset(model.batches)
        worker = Worker(vault, model, template, work, told.append)
        for before in ("add", "attach", "edit", "import", "decide"):
            worker.do(before)
        disk.mended = False
        failure = None
        try:
            worker.do(verb)
        except Exception as error:
            failure = explain(error)
            if failure is None:
                raise
        disk.mended = True
        # Here and in a new connection: all of it or nothing, and everything from before.
        doubtful = verb if failure is not None else ""
        # A new kit that nobody was shown must not have taken the old one's place.
        for look in (vault, open_quickly(work / "vault", model.kit)):
            if verb == "kit":
                # A line for which there was no room comes with the next opening.
                assert entries(look) - model.entries in (0, 1)
                model.entries = entries(look)
            assert look.check() == []
            check_model(look, model, doubtful)
            check_history(look)
        look.close()
        adopt(vault, model)
        worker.do(verb)  # there is room again
        check_model(vault, model, "")
        check_history(vault)
        assert vault.check() == []
    left = sorted(path.name for path in work.iterdir() if path.name.startswith("."))
    return {
        "seen": disk.seen,
        "hit": disk.hit,
        "code": None if failure is None else failure.code,
        "hint": failure is None or bool(failure.hint),
        "left": left + sorted(p.name for p in (work / "vault").glob("*.tmp")),
    }


@pytest.mark.parametrize("kind", ["full", "broken"])
@pytest.mark.parametrize("verb", VERBS)
def test_each_write_of_each_verb(verb: str, kind: str, template: Any, work: Path) -> None:
    """The verb fails with a code and a hint, or was not touched; nothing acknowledged is lost,
    nothing is half, nothing is left lying about, and with room again it works."""
    whole = attempt(template, work, verb, at=10**6, kind=kind)
    assert whole["code"] is None
    count = whole["seen"]
    assert count > 0
    codes = set()
    for at in sorted({n * count // MOST for n in range(MOST)}):
        told = attempt(template, work, verb, at=at, kind=kind)
        assert told["hit"], (verb, at, count)
        assert told["hint"]
        assert told["left"] == []
        codes.add(told["code"])
    allowed = {
        "full": {"db.full", "file.no_space", "attachment.no_space"},
        "broken": {"db.io", "file.failed"},
    }[kind]
    # A checkpoint after the commit may fail unsaid: what it would have moved is in the log.
    assert codes - {None} <= allowed
    assert codes & allowed
