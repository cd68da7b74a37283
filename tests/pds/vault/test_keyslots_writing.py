"""Writing the slot file: killed, interrupted or refused at any point, the old file stays valid."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pds.vault import keyslots
from pds.vault.keyslots import Argon2Params, DataKey

FLOOR = Argon2Params(memory_kib=65_536, time=3, lanes=4)


@pytest.fixture
def slot_file(tmp_path: Path) -> Path:
    return tmp_path / "slots.json"


@pytest.fixture
def made(slot_file: Path) -> tuple[DataKey, str]:
    return keyslots.create(slot_file, passphrase="old", params=FLOOR)


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_failed_write_leaves_the_old_file(
    slot_file: Path,
    made: tuple[DataKey, str],
    monkeypatch: pytest.MonkeyPatch,
    function: str,
) -> None:
    """A fault before the rename changes nothing, leaves nothing, and the next write succeeds."""
    data_key, words = made
    before = slot_file.read_bytes()

    def fault(*_: object) -> None:
        raise OSError("injected")

    monkeypatch.setattr(os, function, fault)
    with pytest.raises(OSError, match="injected"):
        keyslots.replace_kit(slot_file, data_key)
    monkeypatch.undo()
    assert slot_file.read_bytes() == before
    assert list(slot_file.parent.iterdir()) == [slot_file]
    keyslots.unlock_kit(slot_file, words)
    keyslots.unlock_kit(slot_file, keyslots.replace_kit(slot_file, data_key))


def test_killed_between_write_and_rename(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """After SIGKILL at the rename the old file opens, and the litter does not hinder the next."""
    data_key, words = made
    before = slot_file.read_bytes()
    program = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from pds.vault import keyslots
        os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        raw = bytes.fromhex(sys.stdin.read())
        keyslots.replace_kit(Path(sys.argv[1]), keyslots.DataKey(raw))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(slot_file)],
        input=data_key.unsafe_export().hex(),
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert slot_file.read_bytes() == before
    assert len(list(slot_file.parent.iterdir())) == 2
    keyslots.unlock_kit(slot_file, words)
    keyslots.unlock_kit(slot_file, keyslots.replace_kit(slot_file, data_key))
    assert list(slot_file.parent.iterdir()) == [slot_file]


def test_content_is_durable_before_it_is_renamed(
    slot_file: Path, made: tuple[DataKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """File fsync, then rename, then fsync of the directory."""
    order: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        order.append("directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        real_fsync(descriptor)

    def replace(source: Path, target: Path) -> None:
        order.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    keyslots.replace_kit(slot_file, made[0])
    assert order == ["file", "rename", "directory"]


def test_a_link_in_the_way_is_not_followed(
    slot_file: Path, made: tuple[DataKey, str], tmp_path: Path
) -> None:
    """A link laid where the temporary file goes is removed, not written through."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "slots.json.tmp").symlink_to(victim)
    keyslots.replace_kit(slot_file, made[0])
    assert victim.read_text() == "untouched"
    assert not slot_file.is_symlink()
    assert slot_file.stat().st_mode & 0o777 == 0o600
