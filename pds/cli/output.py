"""How the command line speaks: data on stdout, talk on stderr; and how it asks for secrets.

Imported by every command, ``--help`` too: what takes time to load is loaded where it is used.
"""

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from pds.cli.errors import Failure

_MAX_SECRET = 65_536
_SHORTEST, _SHORT = 8, 12
_SHEET_WORDS = 33  # pds.vault.shares, which is not loaded for this
_LONG = 32 * 2**20


class Settings:
    """The global options, and the ways in and out that follow from them."""

    __slots__ = ("_words", "as_json", "folder", "kit_fd", "no_input", "passphrase_fd", "use_kit")

    def __init__(
        self,
        *,
        folder: str | None = None,
        as_json: bool = False,
        no_input: bool = False,
        passphrase_fd: int | None = None,
        use_kit: bool = False,
        kit_fd: int | None = None,
    ) -> None:
        self.folder = folder
        self.as_json = as_json
        self.no_input = no_input
        self.passphrase_fd = passphrase_fd
        self.use_kit = use_kit
        self.kit_fd = kit_fd
        self._words: str | None = None

    @property
    def vault(self) -> "Path":
        """The vault's folder."""
        from pathlib import Path

        if self.folder is not None:
            return Path(self.folder)
        from platformdirs import user_data_path

        from pds.cli.config import folder as configured

        return configured("vault") or user_data_path("personal-data-store") / "vault"

    @property
    def heads(self) -> "Path":
        """Where this machine remembers how far it has seen each vault."""
        from platformdirs import user_state_path

        return user_state_path("personal-data-store") / "heads"

    def emit(self, data: Any, text: "str | Callable[[], str]") -> None:
        """Write the answer: as JSON, or as text for people."""
        if self.as_json:
            emit_json(data)
        else:
            words = text if isinstance(text, str) else text()
            if words:
                show(words)

    def say(self, sentence: str) -> None:
        """Talk, on stderr; nothing in JSON mode."""
        if not self.as_json:
            show(sentence, err=True)

    @contextmanager
    def progress(self, doing: str, size: int) -> "Iterator[Callable[[int], None]]":
        """A bar on stderr while ``size`` bytes are worked on: where somebody watches, and only for
        what takes a while."""
        if self.as_json or size < _LONG or not sys.stderr.isatty():
            yield lambda _count: None
            return
        with click.progressbar(length=size, label=doing, file=sys.stderr) as bar:
            yield bar.update

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something is destroyed; ``--yes`` skips it."""
        if not yes:
            self.may_confirm(question, yes=yes)
            click.confirm(question, abort=True, err=True)

    def may_confirm(self, question: str, *, yes: bool) -> None:
        """Refuse, where the question will come and nobody is there to answer it."""
        if not yes and (self.no_input or not sys.stdin.isatty()):
            raise click.UsageError(f"{question} Say so with --yes.")

    def passphrase(self) -> str:
        """The passphrase: from the descriptor, the environment, or asked for."""
        given = self._given_passphrase()
        if given is not None:
            return given
        self.may_ask("passphrase", "--passphrase-fd or PDS_PASSPHRASE")
        text: str = click.prompt("Passphrase", hide_input=True, err=True)
        return text

    def new_passphrase(self, *, weak: bool) -> str:
        """A passphrase for a new vault, as ``check_new``; typed ones are asked for again."""
        given = self._given_passphrase()
        return self.ask_new(weak=weak) if given is None else self.check_new(given, weak=weak)

    @property
    def passphrase_given(self) -> bool:
        """Whether a passphrase comes by descriptor or environment, so that it is the one meant."""
        return self.passphrase_fd is not None or "PDS_PASSPHRASE" in os.environ

    def _given_passphrase(self) -> str | None:
        if self.passphrase_fd is not None:
            return read_secret(self.passphrase_fd)
        return os.environ.get("PDS_PASSPHRASE")

    def ask_new(self, *, weak: bool) -> str:
        """Ask for a new passphrase, twice, until it is long enough."""
        self.may_ask("new passphrase", "--passphrase-fd or PDS_PASSPHRASE")
        while True:
            text: str = click.prompt(
                "New passphrase", hide_input=True, confirmation_prompt=True, err=True
            )
            if weak or len(text) >= _SHORTEST:
                return self.check_new(text, weak=weak)
            self.say(f"It needs {_SHORTEST} characters or more: four unrelated words are good.")

    def check_new(self, text: str, *, weak: bool) -> str:
        """The passphrase, if it is long enough or ``weak`` was said (``vault.passphrase``)."""
        if not text or (len(text) < _SHORTEST and not weak):
            from pds.vault.errors import VaultError

            raise VaultError(
                "the new passphrase is empty" if not text else "the new passphrase is too short",
                code="vault.passphrase",
                hint=f"It needs {_SHORTEST} characters or more; four unrelated words are good."
                + (" --weak-passphrase takes it as it is." if text else ""),
            )
        if len(text) < _SHORT:
            self.say("That passphrase is short. Four or more unrelated words are better.")
        return text

    def kit(self) -> str:
        """The kit's words, 24 or those of two sheets, read once: from the descriptor, the
        environment, or asked for."""
        if self._words is None:
            self._words = self._read_kit()
        return self._words

    def _read_kit(self) -> str:
        if self.kit_fd is not None:
            return read_secret(self.kit_fd)
        from_env = os.environ.get("PDS_KIT")
        if from_env is not None:
            return from_env
        self.may_have_kit()
        text: str = click.prompt("The 24 words, or those of a sheet", hide_input=True, err=True)
        if len(text.split()) == _SHEET_WORDS:
            text += " " + click.prompt("The words of a second sheet", hide_input=True, err=True)
        return text

    def may_have_kit(self) -> None:
        """Refuse, where the kit will be needed, was not given, and nobody is there to type it."""
        if self.kit_fd is None and "PDS_KIT" not in os.environ:
            self.may_ask("recovery kit", "--kit-fd or PDS_KIT")

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to answer a question that may also stay unasked."""
        return not (self.no_input or self.as_json) and sys.stdin.isatty()

    def may_ask(self, what: str, instead: str) -> None:
        """Refuse, where nobody is there to answer a question."""
        if self.no_input or not sys.stdin.isatty():
            raise click.UsageError(f"The {what} is needed. Give it by {instead}.")


def show(text: str, *, err: bool = False) -> None:
    """Write a text, so that nothing in it acts on a terminal."""
    if not text.replace("\n", "").isprintable():  # seldom, and loaded for that alone
        from pds.oneline import visible

        text = visible(text)
    click.echo(text, err=err)


def count(number: int, unit: str) -> str:
    """``1 item``, ``2 items``; ``1 company``, ``2 companies``."""
    if number == 1:
        return f"1 {unit}"
    return f"{number} {unit[:-1]}ies" if unit.endswith("ny") else f"{number} {unit}s"


def local(at: "datetime") -> str:
    """``2026-03-01 09:15 CET``: the clock on the wall, and which one that is."""
    try:
        there = at.astimezone()
    except (OverflowError, OSError):  # beyond what the system can reckon with
        there = at
    return f"{there:%Y-%m-%d %H:%M %Z}"


def emit_json(data: Any) -> None:
    """JSON on stdout; escaped where the terminal's encoding could not carry it, and what it might
    act on always."""
    import json

    escape = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    show(json.dumps(data, ensure_ascii=escape, indent=2))


def read_secret(descriptor: int) -> str:
    """The text behind a file descriptor, without its line end."""
    try:
        with os.fdopen(descriptor, "rb", closefd=descriptor > 2) as source:
            return source.read(_MAX_SECRET).decode().rstrip("\r\n")
    except (OSError, ValueError, OverflowError):
        raise click.UsageError("The secret cannot be read from that descriptor.") from None


def show_failure(failure: "Failure", *, as_json: bool) -> int:
    """Say on stderr what failed and what to do; returns the exit code."""
    if as_json:
        import json

        told = {"code": failure.code, "message": failure.message, "hint": failure.hint}
        click.echo(json.dumps({"error": told}), err=True)
        return failure.exit_code
    if failure.usage:
        click.echo(failure.usage, err=True)
    sentence = failure.message[:1].upper() + failure.message[1:].rstrip(".")
    stop = "" if sentence.endswith("?") else "."
    show(f"{sentence}{stop}  [{failure.code}]", err=True)
    if failure.hint:
        show(f"  {failure.hint}", err=True)
    return failure.exit_code


def show_defect(error: Exception, *, as_json: bool) -> int:
    """An unforeseen error: its type and place only, for its text may hold personal data."""
    from pds.cli.errors import DEFECT, Failure

    trace, place = error.__traceback__, "?"
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} ({code.co_name})"
        trace = trace.tb_next
    return show_failure(
        Failure(
            code="defect",
            message=f"this is a defect of the program: {type(error).__name__} at {place}",
            hint="Set PDS_DEBUG=1 to see more; what it prints may hold personal data.",
            exit_code=DEFECT,
        ),
        as_json=as_json,
    )


pass_settings = click.make_pass_decorator(Settings)
