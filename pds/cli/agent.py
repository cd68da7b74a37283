"""``pds agent run | unit``: a vault that stays in step with its relay while nobody looks."""

import os
import signal
import stat
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from importlib import resources
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from pds.cli import process
from pds.cli.output import Settings, pass_settings

if TYPE_CHECKING:
    from did.json import JsonObject
    from pds.vault.keyslots import DataKey

CREDENTIAL = "pds-passphrase"
_MAX_SECRET = 65_536
_SHORTEST = timedelta(minutes=1)
_SHORTEST_SANDBOX = timedelta(seconds=1)
_TOO_OFTEN = "A round takes a minute or more, in a sandbox a second: --every 15m."


@click.group()
def agent() -> None:
    """Keep a vault in step with its relay, all the time: what 'pds sync' does, again and again."""


@agent.command()
@click.option(
    "--every",
    default="15m",
    show_default=True,
    metavar="TIME",
    help="A round so often: 15m, 1h; at least 1m. Sooner when something is due.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read the passphrase from this file, which only you may read.",
)
@pass_settings
def run(settings: Settings, *, every: str, passphrase_file: Path | None) -> None:
    """Run the agent in the foreground until SIGTERM or Ctrl-C, e.g.: pds agent run

    It collects, checks what the relay did, stages what changed, renews what grows old, and sends
    what waits. Other programs use the vault beside it. It says one line of JSON for each round:
    counts and codes, no names. The passphrase comes from --passphrase-file, from a credential of
    the service manager (pds-passphrase), or as for every command. 'pds agent unit' prints a service
    for systemd.

    Exit code 1: a person has to look (no relay, a damaged vault); 3: the secret does not open it.
    """
    from pds.cli.exchange import parse_duration
    from pds.cli.notify import notify
    from pds.vault.agent import Agent, Stopped, one_round, only_agent
    from pds.vault.files import check_vault
    from pds.vault.service import Vault

    interval = parse_duration(every)
    if interval < _SHORTEST_SANDBOX:
        raise click.UsageError(_TOO_OFTEN)
    process.harden()
    folder = settings.vault
    check_vault(folder)
    with only_agent(folder):
        key = _unlock(settings, folder, passphrase_file)
        if interval < _SHORTEST:
            with Vault.open(folder, data_key=key, heads=settings.heads) as vault:
                if not vault.status().sandbox:
                    raise click.UsageError(_TOO_OFTEN)
        around = _Here()
        around.listen()
        notify("READY=1")
        work = partial(one_round, partial(Vault.open, folder, data_key=key, heads=settings.heads))
        with suppress(Stopped):  # it comes whenever it comes
            Agent(work, around, every=interval).run()
        notify("STOPPING=1")


def _unlock(settings: Settings, folder: Path, file: Path | None) -> "DataKey":
    """The data key, kept by the agent instead of the passphrase."""
    from pds.vault import files

    if settings.use_kit:
        return files.unlock(folder, kit=settings.kit())
    service = os.environ.get("CREDENTIALS_DIRECTORY")
    if file is None and service and (Path(service) / CREDENTIAL).is_file():
        file = Path(service) / CREDENTIAL
    passphrase = settings.passphrase() if file is None else _read(file)
    return files.unlock(folder, passphrase=passphrase)


def _read(file: Path) -> str:
    with file.open("rb") as source:
        if stat.S_IMODE(os.fstat(source.fileno()).st_mode) & 0o077:
            raise click.UsageError("Others may read the passphrase's file: chmod 600 it first.")
        try:
            return source.read(_MAX_SECRET).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise click.UsageError("The passphrase's file is not text.") from None


class _Here:
    """This process: its clock, its signals, its standard output."""

    def __init__(self) -> None:
        self._stopped = False

    def listen(self) -> None:
        """From here on SIGTERM and Ctrl-C end the agent at once, in the middle of a round too."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        from pds.vault.agent import Stopped

        if not self._stopped:  # a second signal does not disturb the ending
            self._stopped = True
            raise Stopped

    def now(self) -> datetime:
        from did.time import utc_now

        return utc_now()

    def sleep(self, seconds: float) -> None:
        from pds.vault.agent import Stopped

        if self._stopped:  # the signal came where Python swallows what is raised
            raise Stopped
        time.sleep(seconds)

    def chance(self) -> float:
        import secrets

        return secrets.randbelow(2**53) / 2**53

    def tell(self, line: "JsonObject") -> None:
        import json

        from pds.cli.notify import notify

        click.echo(json.dumps(line))
        sys.stdout.flush()
        notify(
            f"STATUS={line['event']} at {line['at']}"
            + (f"; next at {line['next']}" if "next" in line else "")
            + "\nWATCHDOG=1"
        )

    def alive(self) -> None:
        from pds.cli.notify import notify

        notify("WATCHDOG=1")


@agent.command()
@click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the service manager reads the passphrase. Default: ~/.config/personal-data-store/"
    "passphrase.",
)
@pass_settings
def unit(settings: Settings, *, passphrase_file: Path | None) -> None:
    """Print a systemd user service for this vault's agent. Needs no vault and no secret.

    \b
    pds agent unit > ~/.config/systemd/user/pds-agent.service
    systemctl --user daemon-reload
    systemctl --user enable --now pds-agent
    journalctl --user -u pds-agent

    The service reads the passphrase from a file that only you may read. Better is an encrypted
    credential, bound to this machine: see LoadCredentialEncrypted in systemd.exec(5).
    """
    from pds.cli.units import command, escaped, quoted

    source = "%h/.config/personal-data-store/passphrase"
    if passphrase_file is not None:
        source = escaped(str(passphrase_file.absolute()))
    form = resources.files("pds.cli").joinpath("pds-agent.service").read_text(encoding="utf-8")
    folder = str(settings.vault.absolute())
    text = form.format(
        command=command("--vault", folder),
        vault=quoted(folder),
        credential=f"{CREDENTIAL}:{source}",
    )
    settings.emit({"unit": text}, text.rstrip("\n"))
