"""``pds relay``: run a relay; or choose the relay of a vault."""

from pathlib import Path
from typing import IO, Any

import click

from pds.cli.output import Settings, pass_settings
from pds.cli.problems import HOLDER
from pds.cli.relay_key import key
from pds.cli.relay_serve import serve
from pds.cli.relay_settings import check_database, place_settings
from pds.cli.relay_unit import unit
from pds.cli.witnesses import (
    changed_policy,
    is_change,
    out_option,
    show_evidence,
    show_policy,
    witness_options,
)


@click.group()
def relay() -> None:
    """Run a relay, or choose the one of your vault."""


relay.add_command(serve)
relay.add_command(unit)
relay.add_command(key)


@relay.command(params=place_settings())
@click.option("--keys-file", "keys", type=click.File("rb"), metavar="FILE",
              help="If the log's key has changed since the backup: what the relay showed at"
              " /v1/log/keys. The new log-key must lie in DATA.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def restored(
    settings: Settings, *, data: Path, database: str | None, keys: IO[bytes] | None, yes: bool
) -> None:
    """Say that DATA came back from a backup: a new log origin begins, and every package is
    suspended until its owner stages it again.

    Like 'pds relay serve' it takes its settings from --config or the environment too.
    """
    from did.json import parse_object
    from pds.relay.restore import mark_restored

    settings.confirm("Suspend every package and begin a new log?", yes=yes)
    check_database(database, click.get_current_context())
    shown = None if keys is None else parse_object(keys.read())
    mark_restored(data, database=database, keys=shown)
    settings.emit({"restored": True}, "Marked. Start the relay; owners stage again by themselves.")


@relay.command(params=place_settings())
@click.argument("folder", type=click.Path(path_type=Path))
@pass_settings
def backup(settings: Settings, *, folder: Path, data: Path, database: str | None) -> None:
    """Copy the relay of DATA into a new FOLDER, while it runs.

    FOLDER is a relay's folder itself, with the key of the log, whichever database the relay has.
    To use it, put it in the place of DATA and say 'pds relay restored'. Like 'pds relay serve' it
    takes its settings from --config or the environment too.

    \b
    Example: pds relay backup --data /srv/relay /backups/relay-2026-11-28
    """
    from pds.relay.move import back_up

    check_database(database, click.get_current_context())
    rows = back_up(data, folder, database=database)
    settings.emit({"rows": rows}, f"Copied {sum(rows.values())} rows to {folder}.")


@relay.command(params=place_settings())
@click.option("--from", "source", is_flag=False, flag_value="", metavar="[CONNINFO]",
              help="From a PostgreSQL to the file; without CONNINFO from --database.")  # fmt: skip
@click.option("--to", "target", is_flag=False, flag_value="", metavar="[CONNINFO]",
              help="From the file to a PostgreSQL; without CONNINFO to --database.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def migrate(
    settings: Settings,
    *,
    data: Path,
    database: str | None,
    source: str | None,
    target: str | None,
    yes: bool,
) -> None:
    """Move the stopped relay of DATA to a PostgreSQL, with --to, or back to its file, with --from.

    Every row is carried over and compared, or nothing is. The old database stays as it is, but
    cannot be started again. Like 'pds relay serve' it takes its settings from --config or the
    environment too.

    \b
    Example: pds relay migrate --data /srv/relay --to postgresql:///relay
    """
    from pds.relay.move import move

    if source is None and target is None:
        raise click.UsageError("Say where it goes: --to for the PostgreSQL, --from for the file.")
    check_database(source)
    check_database(target)
    check_database(database, click.get_current_context())
    if database is None and "" in (source, target):
        raise click.UsageError("Say which PostgreSQL: in the settings, or after --to or --from.")
    settings.confirm("Move the relay? It must be stopped.", yes=yes)
    rows = move(
        data,
        source=database if source == "" else source,
        target=database if target == "" else target,
    )
    settings.emit({"rows": rows}, f"Moved {sum(rows.values())} rows. Start it at its new place.")


@relay.command()
@witness_options
@pass_settings
def witnesses(settings: Settings, /, **changes: Any) -> None:
    """The witnesses that must have cosigned the log of your relay; show or change them.

    They are learnt from you alone. 'pds sync' then says log.unwitnessed when the relay shows what
    they have not cosigned in time, and asks those itself whose URL you give.
    """
    from pds.cli.vault import unlock

    with unlock(settings) as vault:
        policy = changed_policy(vault.witnesses, **changes)
        if is_change(changes):
            vault.set_witnesses(policy)
    show_policy(settings, policy)


@relay.command()
@out_option
@pass_settings
def evidence(settings: Settings, *, out: Path | None) -> None:
    """What your relay did that does not fit, and the proof of a forked log for a third person."""
    from pds.cli.vault import unlock

    with unlock(settings) as vault:
        found = vault.evidence()
    show_evidence(settings, found, known=HOLDER, out=out)


@relay.command()
@click.argument("url")
@click.option("--token-file", type=click.File(), help="The relay's registration token.")
@pass_settings
def use(settings: Settings, *, url: str, token_file: IO[str] | None) -> None:
    """Choose the relay of your vault, or give it the token of the one it has.

    A relay that says 'registration needs a token' wants --token-file: its operator has the token,
    in the file registration-token of the relay's folder.
    """
    from pds.cli.vault import unlock

    token = None if token_file is None else token_file.read().strip()
    if token == "":
        raise click.UsageError("The token file is empty.")
    with unlock(settings) as vault:
        vault.use_relay(url, token=token)
    settings.emit({"relay": url}, f"This vault uses {url}.")
