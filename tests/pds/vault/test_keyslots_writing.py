"""Writing the slot file: killed, interrupted or refused at any point, the old file stays valid."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from pds.vault import keyslots, slotfile
from pds.vault.keyslots import Argon2Params, DataKey, KeyslotError

FLOOR = Argon2Params(memory_kib=65_536, time=3, lanes=4)


@pytest.fixture
def slot_file(tmp_path: Path) -> Path:
    return tmp_path / "slots.json"


@pytest.fixture
def made(slot_file: Path) -> tuple[DataKey, str]:
    return keyslots.create(slot_file, passphrase="old", params=FLOOR)


def _names(slot_file: Path) -> list[str]:
    return sorted(path.name for path in slot_file.parent.iterdir())


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
    assert _names(slot_file) == ["slots.json", "slots.json.lock"]
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
    assert len(_names(slot_file)) == 3
    keyslots.unlock_kit(slot_file, words)
    keyslots.unlock_kit(slot_file, keyslots.replace_kit(slot_file, data_key))
    assert _names(slot_file) == ["slots.json", "slots.json.lock"]


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
    slot_file: Path,
    made: tuple[DataKey, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A link laid where the temporary file goes is not written through, whatever its name."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    monkeypatch.setattr(secrets, "token_hex", lambda _: "known")
    for name in ("slots.json.tmp", "slots.json.known.tmp"):
        (tmp_path / name).symlink_to(victim)
    keyslots.replace_kit(slot_file, made[0])
    assert victim.read_text() == "untouched"
    assert _names(slot_file) == ["slots.json", "slots.json.lock", "victim"]
    assert not slot_file.is_symlink()
    assert slot_file.stat().st_mode & 0o777 == 0o600


def test_a_lock_that_is_a_link_is_not_followed(
    slot_file: Path, made: tuple[DataKey, str], tmp_path: Path
) -> None:
    """Nobody is made to lock, or to create, a file elsewhere."""
    lock = tmp_path / "slots.json.lock"
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"lock"):
        keyslots.replace_kit(slot_file, made[0])
    assert not (tmp_path / "elsewhere").exists()


_CHANGER = """
import os, sys
from pathlib import Path
from pds.vault import keyslots
from pds.vault.keyslots import Argon2Params, DataKey
path, raw = Path(sys.argv[1]), bytes.fromhex(sys.stdin.readline())
print("ready", flush=True)
sys.stdin.readline()
if sys.argv[2] == "kit":
    print(keyslots.replace_kit(path, DataKey(raw)), flush=True)
else:
    keyslots.change_passphrase(path, DataKey(raw), "new", params=Argon2Params(65_536, 3, 4))
"""


def test_of_two_changes_at_once_both_are_kept(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """Two programs change passphrase and kit at the same time: both new ones open the vault."""
    data_key, _ = made
    for _ in range(3):
        before = keyslots.epoch(slot_file, data_key)
        children = [
            subprocess.Popen(
                [sys.executable, "-c", _CHANGER, str(slot_file), what],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for what in ("kit", "passphrase")
        ]
        for child in children:
            child.stdin.write(data_key.unsafe_export().hex() + "\n")
            child.stdin.flush()
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        said = [child.communicate()[0] for child in children]
        assert [child.returncode for child in children] == [0, 0]
        keyslots.unlock_kit(slot_file, said[0].strip())
        keyslots.unlock_passphrase(slot_file, "new")
        assert keyslots.epoch(slot_file, data_key) == before + 2


def test_a_second_writer_waits_for_the_first(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """While one holds the lock, nobody else reads what it is about to replace."""
    data_key, _ = made
    kits: list[str] = []
    second = threading.Thread(target=lambda: kits.append(keyslots.replace_kit(slot_file, data_key)))
    with slotfile.changing(slot_file):
        second.start()
        second.join(0.2)
        assert second.is_alive()
    second.join(30)
    keyslots.unlock_kit(slot_file, kits[0])


def test_who_waits_too_long_is_told(
    slot_file: Path, made: tuple[DataKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that hangs with the lock hangs no other for ever, and nothing is written."""
    before = slot_file.read_bytes()
    monkeypatch.setattr(slotfile, "_LOCK_SECONDS", 0.0)
    with slotfile.changing(slot_file), pytest.raises(KeyslotError) as caught:
        keyslots.replace_kit(slot_file, made[0])
    assert (caught.value.code, caught.value.exit_code) == ("vault.slots_busy", 4)
    assert slot_file.read_bytes() == before


def test_killed_with_an_open_temporary_file(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """One is killed after it has made its temporary file, while another is about to rename its
    own: the slot file is never the empty one."""
    data_key, words = made
    program = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from pds.vault import keyslots
        real = os.open
        def opened(path, *more):
            descriptor = real(path, *more)
            if str(path).endswith(".tmp"):
                os.kill(os.getpid(), signal.SIGKILL)
            return descriptor
        os.open = opened
        keyslots.replace_kit(Path(sys.argv[1]), keyslots.DataKey(bytes.fromhex(sys.argv[2])))
        """
    )
    arguments = [sys.executable, "-c", program, str(slot_file), data_key.unsafe_export().hex()]
    with slotfile.changing(slot_file):
        file = slotfile.read(slot_file)
        killed = subprocess.Popen(arguments)
        with pytest.raises(subprocess.TimeoutExpired):  # it waits for its turn
            killed.wait(2)
        slotfile.write(
            slot_file,
            vault=file.vault,
            epoch=file.epoch + 1,
            slots=file.slots,
            mac_key=data_key.derive("slot-mac"),
            replaces=file,
        )
    assert killed.wait(30) == -signal.SIGKILL
    keyslots.unlock_kit(slot_file, words)
    assert keyslots.epoch(slot_file, data_key) == file.epoch + 1


def test_a_file_that_changed_meanwhile_is_not_written_over(
    slot_file: Path, made: tuple[DataKey, str], tmp_path: Path
) -> None:
    """Somebody without the lock, such as a backup program, put another copy there."""
    data_key, _ = made
    read = slotfile.read(slot_file)
    older = tmp_path / "older"
    shutil.copy(slot_file, older)
    keyslots.replace_kit(slot_file, data_key)
    newer = slot_file.read_bytes()

    def write(replaces: slotfile.SlotFile | None) -> None:
        slotfile.write(
            slot_file,
            vault=read.vault,
            epoch=read.epoch + 1,
            slots=read.slots,
            mac_key=data_key.derive("slot-mac"),
            replaces=replaces,
        )

    for replaces in (read, None):
        with slotfile.changing(slot_file), pytest.raises(KeyslotError) as caught:
            write(replaces)
        assert caught.value.code == "vault.slots_changed"
        assert slot_file.read_bytes() == newer


_THREADS = """
import faulthandler, sys, threading
from pathlib import Path
from pds.vault import keyslots
faulthandler.dump_traceback_later(60, exit=True)
path = Path(sys.argv[1])
threads = [
    threading.Thread(target=keyslots.unlock_passphrase, args=(path, "old")) for _ in range(4)
]
for _ in range(2):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    threads = [
        threading.Thread(target=keyslots.unlock_passphrase, args=(path, "old")) for _ in range(4)
    ]
print("done")
"""


def test_many_threads_unlock_at_once(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """Derivations in several threads all come to an end; the library alone would deadlock."""
    done = subprocess.run(
        [sys.executable, "-c", _THREADS, str(slot_file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
