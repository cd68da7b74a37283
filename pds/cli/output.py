"""How the command line speaks: data on stdout, talk on stderr; and how it asks for secrets."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click


@dataclass(slots=True)
class Settings:
    """The global options."""

    folder: str | None
    as_json: bool
    no_input: bool
    passphrase_fd: int | None
    use_kit: bool
    kit_fd: int | None

    @property
    def vault(self) -> Path:
        """The vault's folder."""
        if self.folder is not None:
            return Path(self.folder)
        from platformdirs import user_data_path

        return user_data_path("personal-data-store") / "vault"

    def emit(self, data: Any, text: str | Callable[[], str]) -> None:
        """Write the answer: as JSON, or as text for people."""
        if self.as_json:
            click.echo(json.dumps(data, ensure_ascii=False, indent=2))
        else:
            words = text if isinstance(text, str) else text()
            if words:
                click.echo(words)

    def say(self, sentence: str) -> None:
        """Talk, on stderr; nothing in JSON mode."""
        if not self.as_json:
            click.echo(sentence, err=True)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something is destroyed; ``--yes`` skips it."""
        if yes:
            return
        if self.no_input or not sys.stdin.isatty():
            raise click.UsageError(f"{question} Say so with --yes.")
        click.confirm(question, abort=True, err=True)

    def passphrase(self, *, new: bool = False) -> str:
        """The passphrase: from the descriptor, the environment, or asked for."""
        if self.passphrase_fd is not None:
            return _read(self.passphrase_fd)
        from_env = os.environ.get("PDS_PASSPHRASE")
        if from_env is not None:
            return from_env
        self._may_ask("passphrase", "--passphrase-fd or PDS_PASSPHRASE")
        text: str = click.prompt(
            "New passphrase" if new else "Passphrase",
            hide_input=True,
            confirmation_prompt=new,
            err=True,
        )
        return text

    def kit(self) -> str:
        """The 24 words: from the descriptor, the environment, or asked for."""
        if self.kit_fd is not None:
            return _read(self.kit_fd)
        from_env = os.environ.get("PDS_KIT")
        if from_env is not None:
            return from_env
        self._may_ask("recovery kit", "--kit-fd or PDS_KIT")
        text: str = click.prompt("The 24 words", hide_input=True, err=True)
        return text

    def _may_ask(self, what: str, instead: str) -> None:
        if self.no_input or not sys.stdin.isatty():
            raise click.UsageError(f"The {what} is needed. Give it by {instead}.")


def _read(descriptor: int) -> str:
    try:
        with os.fdopen(descriptor, "rb", closefd=True) as source:
            return source.read(65_536).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise click.UsageError("The secret cannot be read from that descriptor.") from None


def fail(error: Exception, *, as_json: bool) -> int:
    """Say an error of ours on stderr; returns its exit code."""
    code, hint = str(getattr(error, "code", "")), str(getattr(error, "hint", ""))
    if as_json:
        text = {"error": {"code": code, "message": str(error), "hint": hint}}
        click.echo(json.dumps(text, ensure_ascii=False), err=True)
    else:
        click.echo(f"{str(error)[:1].upper()}{str(error)[1:].rstrip('.')}.  [{code}]", err=True)
        if hint:
            click.echo(f"  {hint}", err=True)
    exit_code = getattr(error, "exit_code", 1)
    return exit_code if isinstance(exit_code, int) else 1


def report_defect(error: Exception) -> int:
    """An unforeseen error: its type and place only, for its text may hold personal data."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{Path(code.co_filename).name}:{trace.tb_lineno} ({code.co_name})"
        trace = trace.tb_next
    click.echo(
        f"This is a defect of the program: {type(error).__name__} at {place}.\n"
        "  Set PDS_DEBUG=1 to see more; what it prints may hold personal data.",
        err=True,
    )
    return 70


pass_settings = click.make_pass_decorator(Settings)
