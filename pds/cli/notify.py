"""What a service manager wants to hear (sd_notify(3)): ready, alive, stopping. Nothing leaves this
machine, and without a service manager nothing is said."""

import os
import socket
from contextlib import suppress


def notify(text: str) -> None:
    """Send one message, such as ``READY=1``. A manager that does not listen is no failure."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        # An address that begins with "@" has no file.
        out.sendto(text.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
