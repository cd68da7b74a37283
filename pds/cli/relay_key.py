"""``pds relay key``: another key for the log of a relay, and which ones a vault has believed."""

from pathlib import Path

import click

from pds.cli.log_keys import sentence, told
from pds.cli.output import Settings, pass_settings
from pds.cli.relay_settings import check_database, place_settings


@click.group()
def key() -> None:
    """The key of a relay's log: give it another, or see which one your vault believes."""


@key.command(params=place_settings())
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def rotate(settings: Settings, *, data: Path, database: str | None, yes: bool) -> None:
    """Give the log of the stopped relay of DATA a new key, which the old one signs.

    Vaults, companies and witnesses follow by themselves. The old key is gone from DATA afterwards;
    where several machines share a database, each needs a copy of the new log-key. Back up right
    away: with a backup of before, nobody who has seen the new key would believe this relay.

    \b
    Example: pds relay key rotate --data /srv/relay
    """
    from pds.relay.rotation import rotate_log_key

    check_database(database, click.get_current_context())
    settings.confirm("Give the log another key? The relay must be stopped.", yes=yes)
    made = rotate_log_key(data, database=database)
    settings.emit(
        told(made),
        f"From leaf {made.size + 1} on the log has another key:\n  {told(made)['new']}\n"
        "Back up now, and keep a copy of log-key offline. Copy it to every machine that shares the"
        " database; then start the relay.",
    )


@key.command()
@pass_settings
def show(settings: Settings) -> None:
    """The key of your relay's log as your vault believes it, and those that it has followed.

    \b
    Example: pds relay key show
    """
    from pds.cli.vault import unlock
    from pds.log.vkey import log_key

    with unlock(settings) as vault:
        home, changes = vault.relay_keys()
    now = log_key(home.log_origin, home.log_key).text
    lines = [now, *(sentence(told(one)) for one in changes)]
    settings.emit({"key": now, "changes": [told(one) for one in changes]}, "\n".join(lines))
