"""What the operator is told when the database fails: a full disk, a server that is away.

Callers only learn that the relay is busy. A failure is told once a minute for each kind, since
every call meets it.
"""

import logging
import threading
import time
from typing import Final

from pds.db import DbError

_EVERY: Final = 60.0
_log = logging.getLogger("pds.relay")
_lock = threading.Lock()
_told: dict[str, float] = {}


def tell(error: DbError) -> None:
    """Have it in the log of this process; it says nothing of what was written or asked."""
    now = time.monotonic()
    with _lock:
        if now - _told.get(error.code, -_EVERY) < _EVERY:
            return
        _told[error.code] = now
    _log.error("%s (%s) %s", error, error.code, error.hint)
