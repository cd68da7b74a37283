"""``pds relay``: run a relay; or choose the relay of a vault."""

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

import click

from pds.cli.output import Settings, pass_settings

if TYPE_CHECKING:
    from pds.serve import ServeSettings, WsgiApp


@click.group()
def relay() -> None:
    """Run a relay, or choose the one of your vault."""


@relay.command()
@click.option("--data", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="The relay's folder; it is made when it is not there.")  # fmt: skip
@click.option("--url", required=True, help="The address that clients use; signatures are over it.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Default: the port of --url.")
@click.option(
    "--registration",
    type=click.Choice(["open", "token"]),
    default="open",
    show_default=True,
    help="Who may make a mailbox: anyone, within limits, or who has the token.",
)
@click.option(
    "--registrations-per-hour",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="New mailboxes for one address range, where registration is open.",
)
@click.option(
    "--dev-tls", is_flag=True, help="Use a throwaway CA and certificate, made in DATA/tls."
)
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True,
              help="Requests that one worker works on at the same time.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Processes behind the one port.")  # fmt: skip
@click.option("--database", envvar="PDS_RELAY_DATABASE", metavar="CONNINFO",
              help="A PostgreSQL instead of DATA/relay.db: postgresql://host/name. A password"
              " belongs into libpq's own files. Also PDS_RELAY_DATABASE.")  # fmt: skip
@pass_settings
def serve(
    settings: Settings,
    *,
    data: Path,
    url: str,
    host: str,
    port: int | None,
    registration: str,
    registrations_per_hour: int,
    dev_tls: bool,
    threads: int,
    workers: int,
    database: str | None,
) -> None:
    """Run a relay in the foreground until SIGTERM or Ctrl-C; SIGHUP reloads it.

    Behind a TLS proxy, --url is the public https address, and --host and --port are where the
    proxy forwards to. With --registration token, the token is in DATA/registration-token.

    For development, --dev-tls serves an https --url without a proxy. Sandbox vaults then find it
    by --dev-trust NAME=127.0.0.1:PORT,DATA/tls/ca.pem.
    """
    from pds.serve import ServeSettings, Service, supervise
    from pds.wire import parse_relay_url

    _check_database(database)
    url = parse_relay_url(url)
    parts = urlsplit(url)
    listen = port if port is not None else parts.port
    if listen is None:
        raise click.UsageError("--url has no port of its own: say with --port where to listen.")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = _token(data) if registration == "token" else None
    tls = None
    if dev_tls:
        from did.time import utc_now
        from pds.company.tls import make_development_tls

        if parts.scheme != "https":
            raise click.UsageError("--dev-tls goes with an https --url.")
        tls = make_development_tls(data / "tls", [parts.hostname or ""], now=utc_now())
    hosts = {parts.netloc, f"{host}:{listen}", f"localhost:{listen}", f"127.0.0.1:{listen}"}

    def ready(actual: int) -> None:
        settings.say(f"relay {url} listens on {host}:{actual}")
        if token is not None:
            settings.say(f"New mailboxes need the token in {data / 'registration-token'}")
        if settings.as_json:
            click.echo(f'{{"listening": {actual}}}')
            sys.stdout.flush()

    def load() -> "tuple[Callable[[], WsgiApp], ServeSettings]":
        def make() -> "WsgiApp":
            # Only in a worker: the process above them stays small.
            from pds.relay.app import create_app
            from pds.relay.limits import Limits

            app: WsgiApp = create_app(
                data,
                url=url,
                database=database,
                registration=registration,
                token=token,
                limits=Limits(registrations_per_hour=registrations_per_hour),
            )
            return app

        return make, ServeSettings(
            host=host,
            port=listen,
            threads=threads,
            tls_cert=None if tls is None else tls.certificate,
            tls_key=None if tls is None else tls.key,
            allowed_hosts=frozenset(hosts),
            pass_address=True,
        )

    supervise([Service(load, workers)], on_ready=ready, lock_dir=data)


def _check_database(database: str | None) -> None:
    """Every user of the machine can read the words of a command."""
    if database is None or os.environ.get("PDS_RELAY_DATABASE") == database:
        return
    from pds.db.postgres import has_password

    if has_password(database):
        raise click.UsageError(
            "A password has no place in a command: put it into ~/.pgpass or PDS_RELAY_DATABASE."
        )


def _token(data: Path) -> str:
    place = data / "registration-token"
    if not place.exists():
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(secrets.token_urlsafe(32) + "\n")
    return place.read_text().strip()


@relay.command()
@click.option("--data", required=True, help="The relay's folder.",
              type=click.Path(file_okay=False, path_type=Path))  # fmt: skip
@click.option("--database", envvar="PDS_RELAY_DATABASE", metavar="CONNINFO",
              help="Its PostgreSQL, if it has one. Also PDS_RELAY_DATABASE.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def restored(settings: Settings, *, data: Path, database: str | None, yes: bool) -> None:
    """Say that DATA came back from a backup: a new log origin begins, and every package is
    suspended until its owner stages it again."""
    from pds.relay.restore import mark_restored

    settings.confirm("Suspend every package and begin a new log?", yes=yes)
    _check_database(database)
    mark_restored(data, database=database)
    settings.emit({"restored": True}, "Marked. Start the relay; owners stage again by themselves.")


@relay.command()
@click.option("--data", required=True, help="The relay's folder.",
              type=click.Path(file_okay=False, path_type=Path))  # fmt: skip
@click.option("--from", "source", metavar="CONNINFO", help="The PostgreSQL that it leaves.")
@click.option("--to", "target", metavar="CONNINFO", help="The PostgreSQL that it goes to.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def migrate(
    settings: Settings, *, data: Path, source: str | None, target: str | None, yes: bool
) -> None:
    """Move the stopped relay of DATA to a PostgreSQL, with --to, or back to its file, with --from.

    Every row is carried over and compared, or nothing is. The old database stays as it is, but
    cannot be started again.

    \b
    Example: pds relay migrate --data /srv/relay --to postgresql:///relay
    """
    from pds.relay.move import move

    if source is None and target is None:
        raise click.UsageError("Say where it goes: --to CONNINFO, or --from CONNINFO for the file.")
    _check_database(source)
    _check_database(target)
    settings.confirm("Move the relay? It must be stopped.", yes=yes)
    rows = move(data, source=source, target=target)
    settings.emit({"rows": rows}, f"Moved {sum(rows.values())} rows. Start it at its new place.")


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
