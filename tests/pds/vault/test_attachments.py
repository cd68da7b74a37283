"""Attachments of records: keeping, reading, saving, removing; alone, together, and refused."""

import errno
import io
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pds.db import Migration, migrate, open_plain
from pds.vault import backup as backups
from pds.vault import files
from pds.vault.attachments import Attachment, AttachmentError, media_type, safe_name
from pds.vault.errors import VaultError
from pds.vault.schemas import RecordError
from pds.vault.service import Vault

ROOT = Path(__file__).parents[3]
CANARY = b"Canary-7f3a " * 20
BIG = os.urandom(200_000)


def refused(code: str) -> pytest.RaisesExc[AttachmentError]:
    return pytest.RaisesExc(AttachmentError, check=lambda error: error.code == code)


def note(vault: Vault, text: str = "a note") -> str:
    return vault.add("note", {"text": text}).id


def put(vault: Vault, item: str, data: bytes, name: str = "a.bin") -> Attachment:
    return vault.attach(item, io.BytesIO(data), name=name)


def get(vault: Vault, attachment_id: str) -> bytes:
    with vault.open_attachment(attachment_id) as stream:
        return stream.read()


def kinds(vault: Vault) -> list[str]:
    return [line.kind for line in vault.activity()]


# --- one file -------------------------------------------------------------------------------------


def test_a_file_is_kept_as_it_was(vault: Any, place: Any, tmp_path: Path) -> None:
    """From a path or a stream; with its name, size, digest and what it seems to be."""
    item = note(vault)
    letter = tmp_path / "letter.pdf"
    letter.write_bytes(b"%PDF-1.7 " + BIG)
    kept = vault.attach(item, letter)
    assert (kept.name, kept.size, kept.media_type) == ("letter.pdf", 200_009, "application/pdf")
    assert (kept.record_id, kept.imported) == (item, False)
    assert get(vault, kept.id) == letter.read_bytes()
    other = put(vault, item, b"", "empty.txt")
    assert get(vault, other.id) == b""
    assert vault.attachments(item) == vault.attachments() == [kept, other]
    assert vault.attachment(other.id) == other
    assert vault.attach(note(vault), letter, name="x").name == "x"
    assert len(place.files()) == 3
    assert vault.check() == []
    assert kinds(vault).count("attached") == 3


def test_nothing_of_it_shows_in_the_folder(vault: Any, place: Any) -> None:
    """A random name, mode 0600, a length that small files have in common."""
    item = note(vault)
    for data in (b"", b"%PDF-1", b"x" * 60_000):
        put(vault, item, data, "contract with Canary.pdf")
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in place.files())
    shown = [(place.attachments / name).stat() for name in place.files()]
    assert {(stat.S_IMODE(s.st_mode), s.st_size) for s in shown} == {(0o600, 24 + 65_536 + 17)}
    assert stat.S_IMODE(place.attachments.stat().st_mode) == 0o700


def test_the_same_content_in_one_record_is_one_attachment(vault: Any, place: Any) -> None:
    """The second time it is the first; in another record it is another, under another key."""
    item, other = note(vault), note(vault)
    first = put(vault, item, BIG, "first.bin")
    assert put(vault, item, BIG, "second.bin") == first
    assert len(place.files()) == 1
    elsewhere = put(vault, other, BIG)
    assert elsewhere.id != first.id
    one, two = ((place.attachments / name).read_bytes() for name in place.files())
    assert one[:200] != two[:200]
    assert get(vault, first.id) == get(vault, elsewhere.id) == BIG


@pytest.mark.parametrize("harm", ["missing", "flipped", "cut", "longer", "swapped", "a link"])
def test_harm_is_noticed_named_and_mended(
    vault: Any, place: Any, tmp_path: Path, harm: str
) -> None:
    """Whatever happened to the file: no wrong byte at the end, the check names the item, and the
    same file attached again puts it right."""
    item = note(vault)
    kept = put(vault, item, BIG)
    other = put(vault, item, BIG[::-1])
    name, foreign = (vault._ctx.attachments._store.get(a.id).file for a in (kept, other))
    file = place.attachments / name
    raw = file.read_bytes()
    if harm == "missing":
        file.unlink()
    elif harm == "a link":
        (tmp_path / "copy").write_bytes(raw)
        file.unlink()
        file.symlink_to(tmp_path / "copy")
    else:
        file.write_bytes(
            {
                "flipped": raw[:-1] + bytes([raw[-1] ^ 1]),
                "cut": raw[:-1],
                "longer": raw + b"x",
                "swapped": (place.attachments / foreign).read_bytes(),
            }[harm]
        )
    code = "attachment.missing" if harm == "missing" else "attachment.damaged"
    with refused(code):
        get(vault, kept.id)
    with refused(code):
        vault.save_attachment(kept.id, tmp_path / "out")
    assert [one.attachment for one in vault.backup(tmp_path / "backup").left_out] == [kept]
    (tmp_path / "backup").unlink()
    assert [p.name for p in tmp_path.iterdir()] == (["copy"] if harm == "a link" else [])
    what = "is missing" if harm == "missing" else "is damaged"
    assert vault.check() == [f"attachment {kept.id} of item {item} {what}"]
    assert get(vault, other.id) == BIG[::-1]
    assert put(vault, item, BIG) == kept
    assert get(vault, kept.id) == BIG
    assert vault.check() == []


def test_saving(vault: Any, tmp_path: Path) -> None:
    """A new file for its owner alone; never over anything, a dangling link included."""
    kept = put(vault, note(vault), BIG)
    told: list[int] = []
    vault.save_attachment(kept.id, tmp_path / "out", progress=told.append)
    assert (tmp_path / "out").read_bytes() == BIG
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o600
    assert sum(told) == len(BIG)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in ("out", "link"):
        with refused("attachment.exists"):
            vault.save_attachment(kept.id, tmp_path / taken)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "out"]


def test_saving_where_another_was_quicker(
    vault: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came to the place while the content was written stays; with hard links and without."""
    kept = put(vault, note(vault), BIG)
    real = os.link

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "none here")

    for link in (real, no_links):
        target = tmp_path / link.__name__

        def late(source: Any, place: Any, link: Any = link) -> None:
            Path(place).write_text("theirs")
            link(source, place)

        monkeypatch.setattr(os, "link", late)
        with refused("attachment.exists"):
            vault.save_attachment(kept.id, target)
        assert target.read_text() == "theirs"
        monkeypatch.setattr(os, "link", link)
        vault.save_attachment(kept.id, tmp_path / f"{link.__name__} 2")
    assert len(list(tmp_path.iterdir())) == 4


def test_what_is_not_there(vault: Any, tmp_path: Path) -> None:
    """No such attachment, no such item, an item that was deleted, a source that is no file."""
    item, gone = note(vault), note(vault)
    vault.delete(gone)
    for call in (vault.attachment, vault.open_attachment, vault.detach):
        with refused("attachment.not_found"):
            call("A" * 22)
    for record, code in (("A" * 22, "data.not_found"), (gone, "data.deleted")):
        with pytest.RaisesExc(RecordError, check=lambda e, code=code: e.code == code):
            put(vault, record, b"x")
        with pytest.RaisesExc(RecordError, check=lambda e, code=code: e.code == code):
            vault.attachments(record)
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path, tmp_path / "none", tmp_path / "pipe", Path("/dev/zero")):
        with refused("attachment.unreadable"):
            vault.attach(item, source)
    assert vault.attachments() == []


def test_too_large(vault: Any, place: Any, tmp_path: Path) -> None:
    """Refused as soon as it is seen; nothing is left."""
    vault._ctx.attachments._max_bytes = 100_000
    item = note(vault)
    (tmp_path / "big").write_bytes(bytes(100_001))
    for source in (tmp_path / "big", io.BytesIO(bytes(10**6))):
        with refused("attachment.too_large"):
            vault.attach(item, source)
    assert place.files() == []
    put(vault, item, bytes(100_000))


# --- deletion -------------------------------------------------------------------------------------


def test_detaching_removes_key_and_file(vault: Any, place: Any) -> None:
    """Gone for who asks, gone from the folder; the other one stays. The history says when."""
    item = note(vault)
    one, two = put(vault, item, b"one"), put(vault, item, b"two")
    vault.detach(one.id)
    assert vault.attachments(item) == [two]
    assert len(place.files()) == 1
    with refused("attachment.not_found"):
        vault.open_attachment(one.id)
    assert kinds(vault)[0] == "detached"
    assert vault._ctx.attachments._store.litter() == []
    assert vault.check() == []


def test_a_deleted_item_takes_its_files_along(vault: Any, place: Any) -> None:
    """An edit does not: an attachment belongs to the item, not to a version of it."""
    item, other = note(vault), note(vault)
    kept, stays = put(vault, item, b"one"), put(vault, other, b"two")
    vault.edit(item, {"text": "corrected"})
    assert vault.attachments(item) == [kept]
    vault.delete(item)
    assert vault.attachments() == [stays]
    assert len(place.files()) == 1


def test_an_import_is_undone_with_its_files(vault: Any, place: Any) -> None:
    """What came with the batch goes with it; an item that was given a file by hand since stays."""
    ctx = vault._ctx
    with ctx.transaction():
        cards = [
            ctx.records.add("contact", {"name": name}, source="import/vcard", batch="b" * 22)
            for name in ("A", "B")
        ]
        for card in cards:
            photo = ctx.attachments.attach_bytes(card.id, b"\xff\xd8\xff " + BIG, "photo.jpg")
            assert (photo.imported, photo.media_type) == (True, "image/jpeg")
    put(vault, cards[1].id, b"by hand")
    undone = vault.undo_import("b" * 22)
    assert (undone.removed, undone.kept) == (1, 1)
    assert [a.record_id for a in vault.attachments()] == [cards[1].id] * 2
    assert len(place.files()) == 2


def test_a_failed_import_leaves_no_file(vault: Any, place: Any) -> None:
    """Rolled back with all of its attachments, one that was itself refused included."""
    ctx = vault._ctx
    ctx.attachments._max_bytes = 100
    with pytest.raises(RuntimeError), ctx.transaction():  # noqa: PT012
        card = ctx.records.add("contact", {"name": "A"}, source="import/vcard")
        ctx.attachments.attach_bytes(card.id, b"photo", "a.jpg")
        with refused("attachment.too_large"):
            ctx.attachments.attach_bytes(card.id, bytes(101), "b.jpg")
        assert len(place.files()) == 2
        raise RuntimeError
    assert (vault.records(), vault.attachments(), place.files()) == ([], [], [])


@pytest.mark.parametrize("sweep", [Vault.check, lambda vault: put(vault, note(vault), b"new")])
def test_what_killed_programs_left_is_removed(vault: Any, place: Any, sweep: Any) -> None:
    """By the next check, and by the next that attaches; what is not ours is left alone."""
    kept = put(vault, note(vault), BIG)
    (place.attachments / ("0" * 32)).write_bytes(b"half a file")
    (place.attachments / "README").write_text("somebody's")
    with place.open() as other:  # who has attached before sweeps again when it checks
        sweep(vault if sweep is Vault.check else other)
    assert "0" * 32 not in place.files()
    assert "README" in place.files()
    assert get(vault, kept.id) == BIG


def test_what_could_not_be_removed_is_removed_later(vault: Any, place: Any) -> None:
    """While another program copies, a detached file stays; the next to open the vault removes it,
    and it cannot be read meanwhile."""
    kept = put(vault, note(vault), BIG)
    another = vault._ctx.attachments._folder.hold()
    vault.detach(kept.id)
    with refused("attachment.not_found"):
        vault.open_attachment(kept.id)
    with place.open():
        assert len(place.files()) == 1
    os.close(another)
    with place.open():
        assert place.files() == []


# --- several programs -----------------------------------------------------------------------------


def test_nobody_removes_what_is_being_written(vault: Any, place: Any) -> None:
    """While one program writes, another checks, deletes and attaches: the new file stays."""
    item = note(vault)
    with place.open() as other:

        class Busy(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                other._ctx.attachments.sweep()
                other.detach(put(other, item, os.urandom(10)).id)
                return super().read(size)

        kept = vault.attach(item, Busy(BIG))
        assert get(other, kept.id) == BIG
        # What the other could not remove then was removed by who came next.
        assert len(place.files()) == 1
    assert vault.check() == []


def test_nobody_removes_what_a_backup_is_about_to_copy(
    vault: Any, place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Detached between the copy of the database and that of the files: the backup has it."""
    kept = put(vault, note(vault), BIG)
    with place.open() as other:
        real = backups.copy_encrypted

        def copy(*arguments: Any) -> None:
            real(*arguments)
            other.detach(kept.id)

        monkeypatch.setattr(backups, "copy_encrypted", copy)
        vault.backup(tmp_path / "backup")
    assert place.files() == []
    with Vault.restore(tmp_path / "backup", tmp_path / "new", kit=place.kit) as restored:
        assert get(restored, kept.id) == BIG


def test_what_is_open_can_be_read_to_its_end(vault: Any, place: Any) -> None:
    """Though another program detaches it meanwhile, or attaches the same content again."""
    item = note(vault)
    kept = put(vault, item, BIG)
    with place.open() as other:
        for change in (lambda: put(other, item, BIG), lambda: other.detach(kept.id)):
            stream = vault.open_attachment(kept.id)
            start = stream.read(10)
            change()
            assert start + stream.read() == BIG
            stream.close()
    with refused("attachment.not_found"):
        vault.open_attachment(kept.id)


def test_a_file_replaced_this_moment_is_found(
    vault: Any, place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the row and the file another program put a new file in the old one's place, or took
    both away."""
    item = note(vault)
    kept = put(vault, item, BIG)
    attachments = vault._ctx.attachments
    real = attachments._row
    with place.open() as other:
        changes = [lambda: put(other, item, BIG)]

        def row(attachment_id: str) -> Any:
            found = real(attachment_id)
            while changes:
                changes.pop()()
            return found

        monkeypatch.setattr(attachments, "_row", row)
        assert get(vault, kept.id) == BIG
        changes.append(lambda: other.detach(kept.id))
        with refused("attachment.not_found"):
            get(vault, kept.id)


def test_an_item_deleted_while_its_file_is_written(vault: Any, place: Any) -> None:
    """The attachment is refused, and no file is left."""
    item = note(vault)
    with place.open() as other:

        class Late(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                if other.records():
                    other.delete(item)
                return super().read(size)

        with pytest.RaisesExc(RecordError, check=lambda e: e.code == "data.deleted"):
            vault.attach(item, Late(BIG))
    assert place.files() == []


_SAME_TIME = """
import io, sys
from pathlib import Path
from pds.vault.service import Vault
folder, item, own = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with Vault.open(folder, kit=sys.stdin.readline()) as vault:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(5):
        vault.attach(item, io.BytesIO(b"the same %d" % n))
        vault.attach(item, io.BytesIO(f"{own} {n}".encode()))
"""


def test_several_programs_attach_at_once(vault: Any, place: Any) -> None:
    """To one item: what is the same is there once, what is not is all there."""
    item = note(vault)
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", _SAME_TIME, str(place.folder), item, str(n)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for n in range(3)
    ]
    for program in programs:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(place.kit + "\n")
        program.stdin.flush()
        program.stdout.readline()
    for program in programs:
        program.communicate("go\n", timeout=60)
        assert program.returncode == 0
    assert len(vault.attachments(item)) == 5 + 3 * 5
    assert vault.check() == []
    with place.open():
        assert len(place.files()) == 20


# --- the disk -------------------------------------------------------------------------------------

_FULL = """
import io, os, resource, sys
from pathlib import Path
from pds.vault.attachments import AttachmentError
from pds.vault.service import Vault
folder, item = Path(sys.argv[1]), sys.argv[2]
with Vault.open(folder, kit=sys.stdin.readline()) as vault:
    small = vault.attach(item, io.BytesIO(b"small"))
    for act in (
        lambda: vault.attach(item, io.BytesIO(bytes(4_000_000))),
        lambda: vault.save_attachment(sys.argv[3], folder.parent / "out"),
    ):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        try:
            act()
        except AttachmentError as error:
            print(error.code, error.hint != "")
    assert vault.attachments(item)[-1] == small
    assert vault.check() == []
"""


def test_a_full_disk(vault: Any, place: Any) -> None:
    """A limit of the system on file sizes: one plain error, and nothing is left behind."""
    item = note(vault)
    kept = put(vault, item, bytes(4_000_000))
    ran = subprocess.run(
        [sys.executable, "-c", _FULL, str(place.folder), item, kept.id],
        input=place.kit,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert ran.stdout.splitlines() == ["attachment.no_space True"] * 2
    assert len(place.files()) == 2
    assert [p.name for p in place.folder.parent.iterdir()] == ["vault"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "attachment.no_space"),
        (errno.EDQUOT, "attachment.no_space"),
        (errno.EROFS, "attachment.not_allowed"),
        (errno.EACCES, "attachment.not_allowed"),
        (errno.EIO, None),
    ],
)
@pytest.mark.parametrize("function", ["open", "fsync", "mkdir"])
def test_a_disk_that_refuses(
    vault: Any, place: Any, monkeypatch: pytest.MonkeyPatch, function: str, number: int, code: Any
) -> None:
    """At making the folder, at making the file, at making it last: nothing is left, and once the
    disk is well again the same works."""
    item = note(vault)
    real = getattr(os, function)

    def fault(where: Any, *rest: Any, **more: Any) -> Any:
        path = os.readlink(f"/proc/self/fd/{where}") if isinstance(where, int) else str(where)
        if "/attachments" in path:
            raise OSError(number, "injected")
        return real(where, *rest, **more)

    monkeypatch.setattr(os, function, fault)
    with pytest.RaisesExc(OSError if code is None else AttachmentError) as found:
        put(vault, item, BIG)
    assert getattr(found.value, "code", None) == code
    monkeypatch.undo()
    assert (vault.attachments(), place.files()) == ([], [])
    assert get(vault, put(vault, item, BIG).id) == BIG


def test_durable_before_it_is_named(vault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's fsync, the folder's, and only then the commit: one folder's for a whole import."""
    item, order = note(vault), []
    put(vault, item, b"the folder is there")
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if "/attachments" in path:
            order.append("folder" if path.endswith("/attachments") else "file")
        real(descriptor)

    def saw(sql: str) -> None:
        if sql.startswith("COMMIT"):
            order.append("commit")

    monkeypatch.setattr(os, "fsync", fsync)
    vault._ctx.conn.set_trace_callback(saw)
    put(vault, item, BIG)
    assert order == ["file", "folder", "commit"]
    order.clear()
    with vault._ctx.transaction():
        for data in (b"1", b"2", b"3"):
            vault._ctx.attachments.attach_bytes(item, data, "x")
    assert order == ["file"] * 3 + ["folder", "commit"]
    vault._ctx.conn.set_trace_callback(None)


_MEMORY = """
import resource, sys
from pathlib import Path
from pds.vault.service import Vault

class Large:
    left, piece = 300 * 2**20, bytes(range(256)) * 256
    def read(self, size):
        got = self.piece[: min(size, self.left)]
        self.left -= len(got)
        return got

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

folder, item, kit = Path(sys.argv[1]), sys.argv[2], sys.stdin.readline()
with Vault.open(folder, kit=kit) as vault:
    before = peak()
    kept = vault.attach(item, Large(), name="film")
    with vault.open_attachment(kept.id) as stream:
        while stream.read(2**16):
            pass
    vault.backup(folder.parent / "backup")
    vault.detach(kept.id)
with Vault.restore(folder.parent / "backup", folder.parent / "new", kit=kit) as vault:
    assert vault.attachment(kept.id).size == 300 * 2**20
    print(peak() - before)
"""


def test_memory_stays_small(vault: Any, place: Any) -> None:
    """300 MiB attached, read, backed up and restored in less than 80 MB more."""
    item = note(vault)
    ran = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(place.folder), item],
        input=place.kit,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert int(ran.stdout) < 80


def test_no_plain_text_in_any_file(vault: Any, place: Any, tmp_path: Path) -> None:
    """Neither content nor name: while it is written, afterwards, in a backup, after deletion."""
    item = note(vault)

    def scan() -> int:
        found = [p for root in (place.folder, tmp_path) for p in root.rglob("*") if p.is_file()]
        for path in found:
            raw = path.read_bytes()
            assert b"Canary" not in raw, path.name
            assert b"Canary".decode().encode("utf-16-le") not in raw
            assert "Canary" not in path.name
        return len(found)

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert scan() > 3
            return super().read(size)

    kept = vault.attach(item, Watched(CANARY * 1000), name="Canary.txt")
    scan()
    vault.backup(tmp_path / "backup")
    assert scan() > 4
    assert CANARY in get(vault, kept.id)
    vault.detach(kept.id)
    scan()
    # The history is for ever, so what can be erased is not in it.
    assert not [line for line in vault.activity() if "Canary" in str(line)]
    assert "Canary" not in repr(kept)


# --- backup and restore ---------------------------------------------------------------------------


def test_a_backup_has_the_files(vault: Any, place: Any, tmp_path: Path) -> None:
    """Restored, each is what it was; and a backup of none looks like one of a small one."""
    vault.backup(tmp_path / "none")
    item = note(vault)
    kept = [put(vault, item, BIG), put(vault, item, b""), put(vault, item, b"x" * 10**6)]
    vault.detach(kept.pop(1).id)
    vault.backup(tmp_path / "some")
    with Vault.restore(tmp_path / "some", tmp_path / "new", kit=place.kit) as restored:
        assert restored.attachments() == kept
        assert [len(get(restored, one.id)) for one in kept] == [200_000, 10**6]
        assert restored.check() == []
        restored.detach(kept[0].id)
        assert len(list((tmp_path / "new" / "attachments").iterdir())) == 1
    with Vault.restore(tmp_path / "none", tmp_path / "empty", kit=place.kit) as restored:
        assert (restored.attachments(), restored.check()) == ([], [])
    for name in ("none", "some"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert sorted(archive.namelist()) == ["attachments", "slots.json", "vault.db"]
            assert archive.getinfo("attachments").file_size % 65_536 == 0


def test_a_restored_vault_is_durable_before_it_has_its_name(
    vault: Any, place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file, and the folder, before the rename."""
    item, order = note(vault), []
    put(vault, item, b"1")
    put(vault, item, b"2")
    vault.backup(tmp_path / "backup")
    fsync, rename = os.fsync, os.rename

    def synced(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if "/attachments" in path:
            order.append("folder" if path.endswith("/attachments") else "file")
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        order.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    Vault.restore(tmp_path / "backup", tmp_path / "new", kit=place.kit).close()
    assert order == ["file", "file", "folder", "rename"]


CHANGES: dict[str, Callable[[bytes, bytes], bytes | None]] = {
    "flipped": lambda run, _: run[:500] + bytes([run[500] ^ 1]) + run[501:],
    "torn": lambda run, _: run[: len(run) // 2],
    "longer": lambda run, _: run + b"x",
    "of another backup": lambda _, older: older,
    "left out": lambda _run, _older: None,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_backup_is_refused(vault: Any, place: Any, tmp_path: Path, change: str) -> None:
    """By somebody who makes the ZIP whole again; nothing is restored, nothing is left."""
    item = note(vault)
    first = put(vault, item, BIG)
    vault.backup(tmp_path / "older")
    put(vault, item, BIG)  # the same content: another file under another key
    put(vault, item, BIG[::-1])
    vault.detach(first.id)
    vault.backup(tmp_path / "backup")
    with zipfile.ZipFile(tmp_path / "older") as archive:
        older = archive.read("attachments")
    with zipfile.ZipFile(tmp_path / "backup") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    changed = CHANGES[change](members.pop("attachments"), older)
    with zipfile.ZipFile(tmp_path / "changed", "w") as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
        if changed is not None:
            archive.writestr("attachments", changed)
    with pytest.RaisesExc(VaultError, check=lambda e: e.code == "backup.damaged"):
        Vault.restore(tmp_path / "changed", tmp_path / "new", kit=place.kit)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["backup", "changed", "older"]


def test_vaults_of_before(tmp_path: Path) -> None:
    """A database made before there were attachments gets their tables, and its records stay."""
    path = tmp_path / "old.db"
    [place] = [n for n, m in enumerate(files.MIGRATIONS) if "CREATE TABLE attachment" in m.sql]
    conn = open_plain(path)
    migrate(conn, files.MIGRATIONS[:place], application_id=files.APPLICATION_ID)
    conn.execute("INSERT INTO setting (name, value) VALUES ('old', 'kept')")
    migrate(conn, files.MIGRATIONS, application_id=files.APPLICATION_ID)
    assert conn.execute("SELECT value FROM setting").fetchone()[0] == "kept"
    assert conn.execute("SELECT count(*) FROM attachment").fetchone()[0] == 0
    with pytest.raises(ValueError, match="numbered"):
        migrate(conn, [Migration(9, ";")], application_id=files.APPLICATION_ID)
    conn.close()


# --- names and kinds ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("letter.pdf", "letter.pdf"),
        ("Őszi számla – 2026.pdf", "Őszi számla – 2026.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\a.txt", "a.txt"),
        ("..", "attachment"),
        ("", "attachment"),
        ("a/", "attachment"),
        (".bashrc", "bashrc"),
        ("-rf", "_-rf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\0b\n\x1b[31mc", "ab [31mc"),
        ("photo.jpg            .exe", "photo.jpg .exe"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1 .log", "_com1 .log"),
        ("LPT³.x", "_LPT³.x"),
        ("console.txt", "console.txt"),
        ("a:b?.txt", "a_b_.txt"),
        ("end. . ", "end"),
        ("e\u0301t\u00e9", "été"),
        ("\ud800x", "x"),
    ],
)
def test_names_are_safe(given_name: str, name: str) -> None:
    """No path, no control or bidirectional character, no device, nothing hidden."""
    assert safe_name(given_name) == name


@given(st.text(max_size=300) | st.text(alphabet="./\\ -\u202e\u0301aCON:\0", max_size=20))
def test_any_name_becomes_a_safe_one(text: str) -> None:
    """Whatever it was; and what is safe stays as it is."""
    name = safe_name(text)
    assert 1 <= len(name.encode()) <= 200
    assert name == safe_name(name)
    assert name.isprintable()
    assert Path(name).name == name
    assert not set(name) & set('/\\<>:"|?*')
    assert name[0] not in ". -"
    assert name[-1] not in ". "


def test_long_names_keep_their_ending() -> None:
    """It is what other programs go by."""
    name = safe_name("ű" * 1000 + ".docx")
    assert name.endswith("ű.docx")
    assert len(name.encode()) <= 200


def test_the_name_comes_out_safe_whatever_went_in(vault: Any) -> None:
    """It is kept as it came, as far as it can be; nobody gets to see that."""
    item = note(vault)
    for n, name in enumerate(["../\u202ex.pdf", "\ud800", "y" * 5000 + ".txt", "a\0b"]):
        kept = put(vault, item, b"%d" % n, name)
        assert kept.name == vault.attachment(kept.id).name == safe_name(kept.name)
    assert vault.attachments(item)[2].media_type == "text/plain"


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("a.txt", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("a.png", b"hello", "application/octet-stream"),
        ("a.TXT", b"hello", "text/plain"),
        ("a.txt", b"he\0llo", "application/octet-stream"),
        ("a.docx", b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml"
                                  ".document"),
        ("a.txt", b"PK\x03\x04", "application/zip"),
        ("a.heic", b"\0\0\0\x18ftypheic", "image/heic"),
        ("a", b"", "application/octet-stream"),
    ],
)  # fmt: skip
def test_kinds_are_guessed(name: str, head: bytes, kind: str) -> None:
    """First bytes before endings."""
    assert media_type(name, head) == kind


def test_undoing_an_archive_takes_corrected_items_back_too(
    new_place: Callable[[], Any], tmp_path: Path
) -> None:
    """What was corrected before the export came as it is and goes again, with its files; what was
    corrected after it came in is kept."""
    with new_place().open() as vault:
        items = [vault.add("note", {"text": "one"}).id for _ in range(2)]
        for item in items:
            vault.edit(item, {"text": "two"})
            vault.attach(item, io.BytesIO(b"file"), name="a.txt")
        vault.export(tmp_path / "out.zip")
    place = new_place()
    with place.open() as vault:
        batch = vault.import_export(tmp_path / "out.zip").batch
        assert batch is not None
        vault.edit(items[0], {"text": "three"})
        undone = vault.undo_import(batch)
        assert (undone.removed, undone.kept) == (1, 1)
        assert [record.id for record in vault.records()] == items[:1]
        assert len(place.files()) == 1
        assert vault.check() == []
