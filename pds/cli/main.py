"""The entry point: global options, commands loaded when they are called, errors in one place.

Exit codes: 0 done · 1 refused or invalid · 2 wrong usage or settings, or could not check · 3 locked
(wrong passphrase or kit) · 4 try again later (relay away, vault busy, something waits to be sent) ·
70 a defect of this program · 130 interrupted. An error is one sentence with a stable code and what
to do; with ``--json`` it is ``{"error": {"code", "message", "hint"}}`` on stderr.
"""

import importlib
import io
import os
import sys
from typing import Any

import click

from pds.cli.output import Settings, show_defect, show_failure

COMMANDS = {
    "activity": ("pds.cli.vault", "activity", "What happened: who took what, when, for what."),
    "agent": ("pds.cli.agent", "agent", "Keep a vault in step with its relay, all the time."),
    "backup": ("pds.cli.vault", "backup", "Write an encrypted backup."),
    "company": ("pds.cli.company", "company", "The company's side: ask, collect, redeem, erase."),
    "data": ("pds.cli.data", "data", "Your data: add, import, search, correct, delete."),
    "decide": ("pds.cli.exchange", "decide", "Answer a request, purpose by purpose."),
    "export": ("pds.cli.export", "export", "Everything in one open ZIP that people can read."),
    "grant": ("pds.cli.sharing", "grant", "Print a signed grant, for any verifier."),
    "help": ("pds.cli.help", "help_", "Show the help of a command."),
    "identity": ("pds.cli.identity", "identity", "A public identity whose keys can be replaced."),
    "import": ("pds.cli.export", "import_", "Take in an archive of 'pds export'."),
    "init": ("pds.cli.vault", "init", "Make a vault and its recovery kit."),
    "key": ("pds.cli.keys", "key", "The ways in: list, add, change, remove; rotate the key."),
    "kit": ("pds.cli.keys", "kit", "Replace or print the recovery kit."),
    "lock": ("pds.cli.keys", "lock", "Forget the key that unlock keeps."),
    "log": ("pds.cli.log", "log", "Check a relay's log: whole, growing, and witnessed."),
    "open": ("pds.cli.exchange", "open_", "Open a company's request link."),
    "passphrase": ("pds.cli.keys", "passphrase", "Change the passphrase."),
    "relation": ("pds.cli.find", "relation", "Everything with one company; new keys for it."),
    "relay": ("pds.cli.relay", "relay", "Run a relay, or choose the one of your vault."),
    "requests": ("pds.cli.exchange", "requests", "The requests that came in."),
    "restore": ("pds.cli.vault", "restore", "Make a vault from a backup."),
    "sharing": ("pds.cli.sharing", "sharing", "What is shared now, with whom, until when."),
    "status": ("pds.cli.vault", "status", "How the vault is; unlocks it once."),
    "sync": ("pds.cli.sync", "sync", "Send, collect and check everything once."),
    "unlock": ("pds.cli.keys", "unlock", "Keep the vault open for a while."),
    "vcapi": ("pds.cli.vcapi", "vcapi", "The VC-API, for conformance suites."),
    "vault": ("pds.cli.vault", "vault", "Check the vault's files."),
    "verify": ("pds.cli.verify", "verify", "Verify a grant. Needs no vault."),
    "witness": ("pds.cli.witness", "witness", "Watch logs and cosign what only grows."),
    "withdraw": ("pds.cli.sharing", "withdraw", "Withdraw consent, end sharing, object."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: Any = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            return None
        _take_json(command)
        _show_examples(command, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as unknown:  # click knows loaded commands only
            raise click.exceptions.NoSuchCommand(
                unknown.command_name, possibilities=COMMANDS, ctx=ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in self.list_commands(ctx)])


def _take_json(command: click.Command) -> None:
    """Let ``--json`` stand behind a command too, and behind every command beneath it."""
    if isinstance(command, click.Group):
        for beneath in command.commands.values():
            _take_json(beneath)
        if not command.invoke_without_command:
            return
    if all("--json" not in parameter.opts for parameter in command.params):
        command.params.append(
            click.Option(
                ["--json"],
                is_flag=True,
                expose_value=False,
                callback=_answer_in_json,
                help="Answer in JSON.",
            )
        )


def _show_examples(command: click.Command, path: str) -> None:
    """An example under the help of each command that has none in its sentences."""

    def format_epilog(ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from pds.cli.examples import EXAMPLES  # loaded by those who ask for help, and no others

        type(command).format_epilog(command, ctx, formatter)
        if path in EXAMPLES:
            with formatter.section("Example"):
                formatter.write(f"{'':>{formatter.current_indent}}{EXAMPLES[path]}\n")

    command.format_epilog = format_epilog  # type: ignore[method-assign]
    if isinstance(command, click.Group):
        for name, beneath in command.commands.items():
            _show_examples(beneath, f"{path} {name}")


def _answer_in_json(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    settings = ctx.find_object(Settings)
    if value and settings is not None:
        settings.as_json = True


def _width() -> int:
    """For help texts; click would load shutil to find it."""
    try:
        columns = os.get_terminal_size(2).columns
    except OSError:
        columns = 80
    return max(min(columns, 80) - 2, 50)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": _width()},
    epilog="\b\n"
    "Exit codes\n"
    "  0 done               1 refused or invalid\n"
    "  3 locked             2 wrong usage, or could not check\n"
    "  4 try again later    (relay away, vault busy, something waits to be sent)\n"
    "\n"
    "\b\n"
    "Answers are on stdout, talk and errors on stderr; there are no colours.\n"
    'Completion: eval "$(_PDS_COMPLETE=bash_source pds)"   (or zsh_source, fish_source)',
)
@click.option(
    "--vault",
    "folder",
    envvar="PDS_VAULT",
    type=click.Path(file_okay=False),
    help="The vault's folder, or PDS_VAULT. Default: config.toml, or the platform's data folder.",
)
@click.option("--json", "as_json", is_flag=True, envvar="PDS_JSON", help="Answer in JSON.")
@click.option("--no-input", is_flag=True, envvar="PDS_NO_INPUT", help="Never ask; fail instead.")
@click.option("--passphrase-fd", type=int, help="Read the passphrase from this file descriptor.")
@click.option("--kit", "use_kit", is_flag=True, help="Unlock with the recovery kit's 24 words.")
@click.option("--kit-fd", type=int, help="Read the kit's words from this file descriptor.")
@click.version_option(package_name="personal-data-store", prog_name="pds")
@click.pass_context
def cli(
    ctx: click.Context,
    *,
    folder: str | None,
    as_json: bool,
    no_input: bool,
    passphrase_fd: int | None,
    use_kit: bool,
    kit_fd: int | None,
) -> None:
    """A personal data store: your data on your machine, shared purpose by purpose.

    Secrets are asked for, or read from PDS_PASSPHRASE and PDS_KIT or a file descriptor; never
    from an argument.
    """
    ctx.obj = Settings(
        folder=folder,
        as_json=as_json,
        no_input=no_input,
        passphrase_fd=passphrase_fd,
        use_kit=use_kit or kit_fd is not None,
        kit_fd=kit_fd,
    )


def main() -> None:
    """Run the command line; every error becomes one sentence, a hint, a code and an exit code."""
    as_json = "--json" in sys.argv[1:] or bool(os.environ.get("PDS_JSON"))
    for stream in (sys.stdout, sys.stderr):
        # What a terminal cannot show must not end a command half-way.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(prog_name="pds", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        from pds.cli.errors import explain

        failure = explain(error)
        if failure is not None:
            sys.exit(show_failure(failure, as_json=as_json))
        if os.environ.get("PDS_DEBUG"):
            raise
        sys.exit(show_defect(error, as_json=as_json))


if __name__ == "__main__":
    main()
