"""Words of systemd's unit files."""

import sys
from typing import Final

import click

HARDENING: Final = """\
# It reads its own program and settings and writes to its folder, and to nothing else.
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
NoNewPrivileges=yes
CapabilityBoundingSet=
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
LimitCORE=0
UMask=0077
"""
"""What a service is kept from that writes to its own folders only."""


def quoted(text: str) -> str:
    """One word of a unit file (systemd.syntax(7), systemd.service(5))."""
    return '"' + escaped(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def escaped(text: str) -> str:
    """A text in which no specifier is read; raises for one that would be a line of its own."""
    if any(c < " " for c in text):
        raise click.UsageError("A path with line ends cannot stand in a unit file.")
    return text.replace("%", "%%")


def system_user(name: str) -> str:
    """The name of a system user; raises for what cannot be one."""
    if not name.replace("-", "").replace("_", "").isalnum():
        raise click.UsageError("--user is the name of a system user.")
    return escaped(name)


def command(*arguments: str) -> str:
    """The call of this program with ``arguments``, for an ExecStart= line."""
    words = [sys.executable, "-m", "pds.cli.main", *arguments]
    # In a command a dollar sign names a variable; elsewhere it is itself.
    return " ".join(quoted(word).replace("$", "$$") for word in words)
