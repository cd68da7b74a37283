"""The disk as this process writes it: every write, sync, cut, rename and deletion passes a hook.

SQLite asks its VFS for each of them, and the VFS is a table of functions that a program may
replace: so is done here, by ctypes, in the library that sqlcipher3 carries. What Python writes by
itself (the slot file, the ZIP of a backup, the moving of files) goes through a few functions of
``os``, which are wrapped. The hook sees an ``Event`` before it is carried out. It may let it
happen, kill the process, do half of it first, or have it fail as a full or broken disk would.

Once installed it stays: install it in a forked child.
"""

import ctypes
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlcipher3 import _sqlite3

FULL, IO_WRITE, IO_SYNC = 13, 10 | (3 << 8), 10 | (4 << 8)  # sqlite.org/rescode.html

_ptr, _int, _int64 = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_FN_OPEN = ctypes.CFUNCTYPE(_int, _ptr, _ptr, _ptr, _int, _ptr)
_FN_DELETE = ctypes.CFUNCTYPE(_int, _ptr, ctypes.c_char_p, _int)
_FN_WRITE = ctypes.CFUNCTYPE(_int, _ptr, _ptr, _int, _int64)
_FN_TRUNCATE = ctypes.CFUNCTYPE(_int, _ptr, _int64)
_FN_SYNC = ctypes.CFUNCTYPE(_int, _ptr, _int)
# struct sqlite3_vfs and struct sqlite3_io_methods, sqlite.org/c3ref
_VFS_NAMES = (
    "xOpen xDelete xAccess xFullPathname xDlOpen xDlError xDlSym xDlClose xRandomness xSleep "
    "xCurrentTime xGetLastError xCurrentTimeInt64 xSetSystemCall xGetSystemCall xNextSystemCall"
)
_IO_NAMES = (
    "xClose xRead xWrite xTruncate xSync xFileSize xLock xUnlock xCheckReservedLock xFileControl "
    "xSectorSize xDeviceCharacteristics xShmMap xShmLock xShmBarrier xShmUnmap xFetch xUnfetch"
)


class _Vfs(ctypes.Structure):
    _fields_ = [
        ("iVersion", _int),
        ("szOsFile", _int),
        ("mxPathname", _int),
        ("pNext", _ptr),
        ("zName", ctypes.c_char_p),
        ("pAppData", _ptr),
        *((name, _ptr) for name in _VFS_NAMES.split()),
    ]


class _IoMethods(ctypes.Structure):
    _fields_ = [("iVersion", _int), *((name, _ptr) for name in _IO_NAMES.split())]


@dataclass(slots=True)
class Event:
    """Something that is about to happen to ``path`` (empty: a temporary file without a name).

    ``kind`` ∈ open, write, truncate, sync, delete, rename (to ``target``), sync-folder. ``half``
    carries out the first half of a write. ``synced``: the deletion is made durable at once.
    """

    kind: str
    path: str
    offset: int = 0
    data: bytes = field(default=b"", repr=False)
    target: str = ""
    synced: bool = False
    half: Callable[[], None] = lambda: None


Hook = Callable[[Event], int | None]
"""None: let it happen. A number of SQLite's: fail with it (in Python: ENOSPC, EIO)."""


def install(hook: Hook, *, under: Path) -> None:
    """From now on everything that this process does to files under a folder passes ``hook``, and
    what SQLite writes to temporary files too."""
    _Seam(hook, str(under.resolve())).install()


class _Seam:
    def __init__(self, hook: Hook, folder: str) -> None:
        self._hook = hook
        self._folder = folder
        self._names: dict[int, str] = {}
        self._methods: dict[int, _IoMethods] = {}
        self._kept: list[Any] = []  # callbacks must outlive their use: for ever

    def install(self) -> None:
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = _ptr
        vfs = _Vfs.from_address(library.sqlite3_vfs_find(None))
        self._open, self._delete = _FN_OPEN(vfs.xOpen), _FN_DELETE(vfs.xDelete)
        for name, kind, function in (
            ("xOpen", _FN_OPEN, self._on_open),
            ("xDelete", _FN_DELETE, self._on_delete),
        ):
            setattr(vfs, name, self._pointer(kind, function))
        self._wrap_python()
        _forever.append(self)

    def _pointer(self, kind: Any, function: Any) -> int:
        callback = kind(function)
        self._kept.append(callback)
        return ctypes.cast(callback, _ptr).value or 0

    # ---- SQLite's files

    def _on_open(self, vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        path = "" if not name else ctypes.string_at(name).decode()
        failed = self._hook(Event("open", path)) if self._mine(path) else None
        if failed is not None:
            return failed
        code: int = self._open(vfs, name, file, flags, out)
        methods = ctypes.c_void_p.from_address(file)
        if code == 0 and methods.value and self._mine(path):
            self._names[file] = path
            methods.value = ctypes.addressof(self._wrapped(methods.value))
        return code

    def _wrapped(self, address: int) -> _IoMethods:
        if address not in self._methods:
            old = _IoMethods.from_address(address)
            new = _IoMethods.from_buffer_copy(old)
            write, cut, sync = (
                _FN_WRITE(old.xWrite),
                _FN_TRUNCATE(old.xTruncate),
                _FN_SYNC(old.xSync),
            )

            def on_write(file: int, source: int, size: int, offset: int) -> int:
                event = Event(
                    "write",
                    self._names.get(file, ""),
                    offset=offset,
                    data=ctypes.string_at(source, size),
                    half=lambda: write(file, source, size // 2, offset),
                )
                failed = self._hook(event)
                return write(file, source, size, offset) if failed is None else failed

            def on_truncate(file: int, size: int) -> int:
                failed = self._hook(Event("truncate", self._names.get(file, ""), offset=size))
                return cut(file, size) if failed is None else failed

            def on_sync(file: int, flags: int) -> int:
                failed = self._hook(Event("sync", self._names.get(file, "")))
                return sync(file, flags) if failed is None else failed

            new.xWrite = self._pointer(_FN_WRITE, on_write)
            new.xTruncate = self._pointer(_FN_TRUNCATE, on_truncate)
            new.xSync = self._pointer(_FN_SYNC, on_sync)
            self._methods[address] = new
        return self._methods[address]

    def _on_delete(self, vfs: int, name: bytes, sync: int) -> int:
        failed = self._hook(Event("delete", name.decode(), synced=bool(sync)))
        return self._delete(vfs, name, sync) if failed is None else failed

    # ---- Python's own files

    def _wrap_python(self) -> None:
        fsync, replace, rename, unlink = os.fsync, os.replace, os.rename, os.unlink

        def on_fsync(descriptor: int) -> None:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            if self._mine(path):
                if os.path.isdir(path):
                    self._tell(Event("sync-folder", path))
                else:
                    self._tell(Event("write", path, data=Path(path).read_bytes()))
                    self._tell(Event("sync", path))
            fsync(descriptor)

        def moving(move: Any) -> Any:
            def on_move(source: Any, target: Any, **more: Any) -> None:
                if self._mine(os.fspath(target)):
                    here, there = (os.path.abspath(os.fspath(p)) for p in (source, target))
                    self._tell(Event("rename", here, target=there))
                move(source, target, **more)

            return on_move

        def on_unlink(path: Any, **more: Any) -> None:
            if not more and self._mine(os.fspath(path)):
                self._tell(Event("delete", os.path.abspath(os.fspath(path))))
            unlink(path, **more)

        os.fsync, os.replace, os.rename = on_fsync, moving(replace), moving(rename)  # type: ignore[assignment]
        os.unlink = on_unlink

    def _tell(self, event: Event) -> None:
        failed = self._hook(event)
        if failed is not None:
            number = errno.ENOSPC if failed == FULL else errno.EIO
            raise OSError(number, os.strerror(number))

    def _mine(self, path: str) -> bool:
        return not path or os.path.abspath(path).startswith(self._folder)


_forever: list[_Seam] = []
