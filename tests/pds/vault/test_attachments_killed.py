"""Killed or interrupted at any line: the whole attachment or nothing, never a row without a file.

A child process does something to a vault and is stopped at its n-th line of ours, for every n until
it gets to its end. After each, what is left is looked at. No sleeping, no chance.
"""

import io
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pds.vault.service import Vault


@pytest.fixture
def place(empty_place: Any) -> Iterator[Any]:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        shutil.copytree(empty_place.folder, Path(folder) / "vault")
        yield replace(empty_place, folder=Path(folder) / "vault")


DATA = b"%PDF " + bytes(range(256)) * 300  # two chunks
ROOMS = (
    *("attachments/keeper.py", "attachments/folder.py", "attachments/stream.py"),
    *("store/attachments.py", "vault/context.py", "vault/service.py", "db/connection.py"),
)
MEMORY = Path("/dev/shm")  # a kill is no loss of power: the disk may as well be quick

Act = Callable[[Vault, str], object]


def stop_at(step: int, how: str) -> None:
    """From here on count lines of ours, and stop this process at the one with this number."""
    seen = 0

    def line(frame: Any, event: str, _: object) -> Any:
        nonlocal seen
        if event == "line":
            seen += 1
            if seen == step:
                if how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise KeyboardInterrupt
        return line

    def call(frame: Any, _event: str, _: object) -> Any:
        return line if frame.f_code.co_filename.endswith(ROOMS) else None

    sys.settrace(call)


def stopped(place: Any, item: str, act: Act, step: int, how: str) -> bool:
    """Whether a child that does ``act`` was stopped at this step, and not done before it."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            with place.open() as vault:
                stop_at(step, how)
                act(vault, item)
                sys.settrace(None)
            code = 0
        except KeyboardInterrupt:
            code = 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) in (0, 2)
    return os.WEXITSTATUS(status) == 2


def rows_and_files(vault: Vault, place: Any) -> tuple[set[str], set[str]]:
    return vault._ctx.attachments._store.files(), set(place.files())


def read(vault: Vault, attachment_id: str) -> bytes:
    with vault.open_attachment(attachment_id) as stream:
        return stream.read()


def attach(vault: Vault, item: str) -> None:
    vault.attach(item, io.BytesIO(DATA), name="a.pdf")


def detach(vault: Vault, item: str) -> None:
    vault.detach(vault.attachments(item)[0].id)


def delete(vault: Vault, item: str) -> None:
    vault.delete(item)


def bring(vault: Vault, _item: str) -> None:
    """An import of two cards with a picture each."""
    ctx = vault._ctx
    with ctx.transaction():
        for n in range(2):
            card = ctx.records.add("contact", {"name": "A"}, source="import/x", batch="b" * 22)
            ctx.attachments.attach_bytes(card.id, DATA + b"%d" % n, "photo.jpg")
        ctx.log("imported", "b" * 22)


def prepare_nothing(_vault: Vault, _item: str) -> None:
    return


# What is done, from which state, and how many attachments there may be afterwards.
ACTS: dict[str, tuple[Act, Act, set[int]]] = {
    "attach": (prepare_nothing, attach, {0, 1}),
    "attach again": (attach, attach, {1}),
    "detach": (attach, detach, {0, 1}),
    "delete": (attach, delete, {0, 1}),
    "import": (prepare_nothing, bring, {0, 2}),
}


@pytest.mark.parametrize(
    ("name", "how"), [*((name, "kill") for name in ACTS), ("attach", "interrupt")]
)
def test_stopped_at_every_line(place: Any, name: str, how: str) -> None:
    """Before the sweep: each row has its whole file. After it: each file has its row."""
    prepare, act, allowed = ACTS[name]
    with place.open() as vault:
        item = vault.add("note", {"text": "x"}).id
        prepare(vault, item)
        assert len(rows_and_files(vault, place)[1]) == len(vault.attachments())
    prepared = shutil.copytree(place.folder, place.folder.with_name("prepared"))
    seen: set[int] = set()
    step, more = 0, True
    while more:
        step += 1
        shutil.rmtree(place.folder)
        shutil.copytree(prepared, place.folder)
        more = stopped(place, item, act, step, how)
        with place.open() as vault:
            rows, files = rows_and_files(vault, place)
            assert rows <= files, step
            assert len(rows) in allowed, step
            assert len(vault.records("contact")) in (0, 2), step
            for kept in vault.attachments():
                assert read(vault, kept.id).startswith(DATA), step
            seen.add(len(rows))
            vault._ctx.attachments.sweep()
            rows, files = rows_and_files(vault, place)
            assert rows == files, step
    # Otherwise it was always stopped too early, or never.
    assert seen == allowed
    assert step > 40
