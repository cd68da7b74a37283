"""``pds relay unit``: what systemd is told of a relay and of its backups."""

from importlib import resources
from pathlib import Path
from typing import Final

import click

from pds.cli.output import Settings, pass_settings

_FORMS: Final = {
    "service": "pds-relay.service",
    "backup": "pds-relay-backup.service",
    "timer": "pds-relay-backup.timer",
}
_DATA: Final = Path("/var/lib/pds-relay")


@click.command()
@click.argument("kind", type=click.Choice(sorted(_FORMS)), default="service")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIRECTORY",
              help="The relay's folder; if not said, that of the settings file, or"
              f" {_DATA} where there is none yet.")  # fmt: skip
@click.option("--config", type=click.Path(path_type=Path), default=Path("/etc/pds-relay.toml"),
              show_default=True, help="Its settings file.")  # fmt: skip
@click.option("--backups", type=click.Path(path_type=Path),
              default=Path("/var/backups/pds-relay"), show_default=True,
              help="Where the copies are put.")  # fmt: skip
@click.option("--days", type=click.IntRange(1), default=14, show_default=True,
              help="How long a copy is kept.")  # fmt: skip
@click.option("--user", default="pds-relay", show_default=True,
              help="The system user that the relay runs as.")  # fmt: skip
@pass_settings
def unit(
    settings: Settings,
    *,
    kind: str,
    data: Path | None,
    config: Path,
    backups: Path,
    days: int,
    user: str,
) -> None:
    """Print a systemd unit: the relay's service, its backup, or the backup's timer.

    \b
    pds relay unit service > /etc/systemd/system/pds-relay.service
    pds relay unit backup > /etc/systemd/system/pds-relay-backup.service
    pds relay unit timer > /etc/systemd/system/pds-relay-backup.timer
    systemctl daemon-reload
    systemctl enable --now pds-relay pds-relay-backup.timer
    """
    from pds.cli.relay_settings import read_settings
    from pds.cli.units import HARDENING, command, quoted, system_user

    if data is None:
        said = read_settings(config) if config.exists() else {}
        data = Path(said.get("data", _DATA))
    form = resources.files("pds.cli").joinpath(_FORMS[kind]).read_text(encoding="utf-8")
    call = ("relay", "serve") if kind == "service" else ("relay", "backup")
    text = form.format(
        command=command(*call),
        data=quoted(str(data.absolute())),
        config=quoted(str(config.absolute())),
        backups=quoted(str(backups.absolute())),
        user=system_user(user),
        days=days,
        hardening=HARDENING,
    )
    settings.emit({"unit": text}, text.rstrip("\n"))
