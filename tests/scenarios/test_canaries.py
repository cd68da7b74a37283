"""A day's use, with planted values: none of them is in any file that is not the holder's own.

Real processes, whose open files are looked into while they run, deleted ones too; then one process
whose every write is looked at, temporary files without a name among them. What this cannot see is
memory that the system writes to swap: see SECURITY.md.
"""

import base64
import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from .conftest import PASSPHRASE, ROOT, Shop

SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

CANARY = "zqkanary7f3x"
CARD = f"""BEGIN:VCARD
VERSION:4.0
FN:{CANARY} Ilona
EMAIL:{CANARY}@posta.example
ADR:;;{CANARY} utca 47.;Szeged;;6720;Magyarország
INTEREST:{CANARY} cycling
NOTE:{CANARY} note
END:VCARD
"""


def disguises(text: str) -> set[bytes]:
    """The bytes that a value would leave: as it is, in other cases and encodings."""
    raw = text.encode()
    inner = {base64.b64encode(b"x" * n + raw + b"xxx")[4:-8] for n in range(3)}
    return {
        raw, raw.upper(), text.capitalize().encode(), raw.hex().encode(), raw[::-1],
        text.encode("utf-16-le"), *inner,
    }  # fmt: skip


FORMS = disguises(CANARY) | disguises(PASSPHRASE)


def shown_in(content: bytes) -> bool:
    return any(form in content for form in FORMS)


class Watch:
    """Looks into the files that a process has open, again and again while it runs."""

    def __init__(self, outside: tuple[Path, ...]) -> None:
        self._outside = tuple(str(path) for path in outside)
        self.found: list[str] = []
        self.looks = 0

    def run(self, process: "subprocess.Popen[bytes]", done: threading.Event) -> None:
        while not done.is_set():
            for link in self._links(process.pid):
                self._look(link)
            done.wait(0.002)

    def _links(self, pid: int) -> list[Path]:
        try:
            return list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return []

    def _look(self, link: Path) -> None:
        try:
            target = os.readlink(link)
            if not target.startswith("/") or target.startswith(("/dev", "/proc", *self._outside)):
                return
            with link.open("rb") as stream:  # a deleted file can be opened by way of its link
                content = stream.read()
        except OSError:
            return
        self.looks += 1
        if shown_in(content):
            self.found.append(os.path.basename(target))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where everything is that the processes may write: vault, home, temporary files."""
    for name in ("home", "tmp", "cwd"):
        (tmp_path / "day" / name).mkdir(parents=True)
    return tmp_path / "day"


def test_a_days_use_leaves_no_planted_value(
    home: Path, relay: str, shop: Shop, tmp_path: Path
) -> None:
    """Made, filled, searched, corrected, shared, sent, saved, compacted, restored: no planted
    value and no passphrase in any file, nor in one that was deleted meanwhile."""
    mine = tmp_path / "mine"  # the holder's own files
    mine.mkdir()
    (mine / "card.vcf").write_text(CARD)
    watch = Watch((mine, Path(sys.prefix)))
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PDS_PASSPHRASE": PASSPHRASE,
        "PDS_VAULT": str(home / "vault"),
        "TMPDIR": str(home / "tmp"),
        "HOME": str(home / "home"),
        "XDG_CONFIG_HOME": str(home / "home" / "config"),
        "XDG_DATA_HOME": str(home / "home" / "data"),
        "XDG_STATE_HOME": str(home / "home" / "state"),
    }

    def pds(*arguments: str, expect: int = 0) -> Any:
        process = subprocess.Popen(
            [sys.executable, "-m", "pds.cli.main", "--json", "--no-input", *arguments],
            env=environment,
            cwd=home / "cwd",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        done = threading.Event()
        watcher = threading.Thread(target=watch.run, args=(process, done))
        watcher.start()
        out, err = process.communicate(timeout=120)
        done.set()
        watcher.join()
        assert process.returncode == expect, (arguments, err.decode())
        return json.loads(out) if out else json.loads(err)

    pds("init", "--sandbox", "--relay", relay, "--kdf-memory", "64", "--dev-trust", shop.dev_trust)
    pds("data", "import", str(mine / "card.vcf"))
    note = pds("data", "add", "note", f"title={CANARY}", f"text={CANARY} " * 200)
    assert pds("data", "search", CANARY)
    pds("data", "edit", note["id"], f"text={CANARY} again")
    pds("data", "add", "note", f"{CANARY}={CANARY}", expect=1)  # an error of the typed value
    pds("data", "search", f'"{CANARY}* OR')
    request = pds("open", shop.ask())["id"]
    pds("decide", request, "--accept", "delivery", "--refuse", "personalisation", "--refuse",
        "marketing")  # fmt: skip
    pds("sync")
    pds("withdraw", "delivery", "--yes")
    pds("backup", str(home / "backup"))
    pds("vault", "compact")
    pds("vault", "check")
    pds("vault", "check", "--salvage", str(home / "salvaged"))
    pds("data", "delete", note["id"], "--yes")
    pds("--vault", str(home / "restored"), "restore", str(home / "backup"))
    assert watch.found == []
    assert watch.looks > 0 or os.geteuid() != 0  # hardened, it shows its files to root alone
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {"vault.db", "slots.json", "backup"} <= {path.name for path in files}
    assert [path.name for path in files if shown_in(path.read_bytes())] == []
    assert [path.name for path in home.rglob("*") if CANARY in path.name] == []
    assert list((home / "tmp").iterdir()) == []
    assert list((home / "cwd").iterdir()) == []


def test_the_scan_finds_what_is_there() -> None:
    """Nothing is vacuously clean: a planted value is seen, encoded ones too."""
    assert shown_in(b"..." + base64.b64encode(b"ab" + CANARY.encode() + b"cde") + b"...")
    assert shown_in(CANARY.encode("utf-16-le"))
    assert not shown_in(os.urandom(4096))


def test_no_write_holds_a_planted_value(tmp_path: Path) -> None:
    """Every write of one busy process, journals and unnamed temporary files too: a large import,
    searches and sorting under a tiny cache, merging, compacting, a backup."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told: dict[str, Any] = {"failed": "?"}
        try:
            told = _busy(tmp_path)
        except BaseException as error:  # noqa: BLE001
            told = {"failed": repr(error)}
        finally:
            os.write(writing, json.dumps(told).encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        told = json.loads(lines.read())
    os.waitpid(child, 0)
    assert "failed" not in told, told
    assert told["shown"] == []
    # It was watched: the log, the database, and the one temporary file there is, of compacting.
    assert {"vault.db", "vault.db-wal", ""} <= set(told["written"])


def _busy(folder: Path) -> dict[str, Any]:
    import torture_disk

    from pds.vault.keyslots import Argon2Params
    from pds.vault.service import Vault

    written: dict[str, int] = {}
    shown: list[str] = []

    def look(event: torture_disk.Event) -> None:
        if event.kind == "write":
            name = os.path.basename(event.path)
            written[name] = written.get(name, 0) + 1
            if shown_in(event.data):
                shown.append(name)

    kit = Vault.create(
        folder / "vault", passphrase=PASSPHRASE, params=Argon2Params(memory_kib=65_536)
    )
    torture_disk.install(look, under=folder)
    cards = folder / "cards.vcf"
    cards.write_text("".join(CARD.replace("47", str(n)) for n in range(1500)))
    with Vault.open(folder / "vault", kit=kit) as vault:
        conn = vault._ctx.conn
        conn.execute("PRAGMA cache_size = 20")
        batch = vault.import_plan(vault.plan_import(cards)).batch
        conn.execute("PRAGMA cache_size = 20")  # an import ends with the usual one
        vault.search(CANARY, limit=1000)
        # More than SQLite sorts without asking where temporary files may go.
        wide = "fields || fields || fields || fields || fields || fields"
        conn.execute(f"SELECT {wide} FROM records ORDER BY 1 DESC").fetchall()
        conn.execute(f"CREATE TEMP TABLE t AS SELECT DISTINCT {wide} FROM records")
        conn.execute("DROP TABLE t")
        vault.compact()
        vault.backup(folder / "backup")
        vault.undo_import(str(batch))
        vault.compact()
        assert vault.check() == []
    return {"written": written, "shown": shown}


def test_no_core_is_left(tmp_path: Path) -> None:
    """A program with an open vault writes no core and cannot be looked into by others."""
    ran = subprocess.run(
        [sys.executable, "-c",
         "import ctypes, resource; from pds.cli import process; process.harden();"
         "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"],
        cwd=ROOT, capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1])
        ),
    )  # fmt: skip
    assert ran.stdout.strip() == "(0, 0) 0"
