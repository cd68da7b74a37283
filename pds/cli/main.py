"""The entry point: global options, commands loaded when they are called, errors in one place.

Exit codes: 0 done · 1 refused or invalid · 2 wrong usage, or could not check · 3 locked (wrong
passphrase or kit) · 4 try again later (relay away, busy) · 70 a defect of this program · 130
interrupted.
"""

import importlib
import os
import sys
from typing import Any

import click

from pds.cli.output import Settings, fail, report_defect

COMMANDS = {
    "activity": ("pds.cli.vault", "activity", "What happened: who took what, when, for what."),
    "backup": ("pds.cli.vault", "backup", "Write an encrypted backup."),
    "company": ("pds.cli.company", "company", "The company's side: ask, collect, redeem, erase."),
    "data": ("pds.cli.data", "data", "Your data: add, import, search, correct, delete."),
    "decide": ("pds.cli.exchange", "decide", "Answer a request, purpose by purpose."),
    "grant": ("pds.cli.exchange", "grant", "Print a signed grant, for any verifier."),
    "init": ("pds.cli.vault", "init", "Make a vault and its recovery kit."),
    "kit": ("pds.cli.vault", "kit", "Replace the recovery kit."),
    "open": ("pds.cli.exchange", "open_", "Open a company's request link."),
    "passphrase": ("pds.cli.vault", "passphrase", "Change the passphrase."),
    "relay": ("pds.cli.relay", "relay", "Run a relay, or choose the one of your vault."),
    "requests": ("pds.cli.exchange", "requests", "The requests that came in."),
    "restore": ("pds.cli.vault", "restore", "Make a vault from a backup."),
    "sharing": ("pds.cli.exchange", "sharing", "What is shared now, with whom, until when."),
    "status": ("pds.cli.vault", "status", "How the vault is; unlocks it once."),
    "sync": ("pds.cli.exchange", "sync", "Send, collect and check everything once."),
    "vault": ("pds.cli.vault", "vault", "Check the vault's files."),
    "verify": ("pds.cli.verify", "verify", "Verify a grant. Needs no vault."),
    "withdraw": ("pds.cli.exchange", "withdraw", "Withdraw consent, end sharing, object."),
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
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in self.list_commands(ctx)])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 refused or invalid, 2 wrong usage or could not check, 3 locked, "
    "4 try again later.",
)
@click.option(
    "--vault",
    "folder",
    envvar="PDS_VAULT",
    type=click.Path(file_okay=False),
    help="The vault's folder. Default: the platform's data folder.",
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
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if isinstance(getattr(error, "code", None), str):
            sys.exit(fail(error, as_json=as_json))
        if os.environ.get("PDS_DEBUG"):
            raise
        sys.exit(report_defect(error))


if __name__ == "__main__":
    main()
