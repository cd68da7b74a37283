"""What this process shows of itself to others on the machine: nothing."""

import ctypes
import resource
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_DUMPABLE = 4
# Fields of /proc/self/stat, counted from 0 behind the name in brackets (proc_pid_stat(5)).
_ARG_START, _ARG_END = 48 - 3, 49 - 3


def harden() -> None:
    """Refuse core dumps, which would hold keys and data in clear; hide the arguments."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # Without it the command works as well; only ``ps`` shows more.
        with suppress(OSError, ValueError, IndexError):
            _hide_arguments()
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _hide_arguments() -> None:
    """Blank this process's arguments in ``ps``: a request link or a value may be among them.

    Python has read them long since; the program's own name stays.
    """
    shown = Path("/proc/self/cmdline").read_bytes()
    after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(after_name[_ARG_START]), int(after_name[_ARG_END])
    name = len(shown.partition(b"\0")[0]) + 1
    if start > 0 and name < end - start == len(shown):
        ctypes.memset(start + name, 0, end - start - name)
