"""Words of systemd's unit files."""

import sys

import click


def quoted(text: str) -> str:
    """One word of a unit file (systemd.syntax(7), systemd.service(5))."""
    return '"' + escaped(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def escaped(text: str) -> str:
    """A text in which no specifier is read; raises for one that would be a line of its own."""
    if any(c < " " for c in text):
        raise click.UsageError("A path with line ends cannot stand in a unit file.")
    return text.replace("%", "%%")


def command(*arguments: str) -> str:
    """The call of this program with ``arguments``, for an ExecStart= line."""
    words = [sys.executable, "-m", "pds.cli.main", *arguments]
    # In a command a dollar sign names a variable; elsewhere it is itself.
    return " ".join(quoted(word).replace("$", "$$") for word in words)
