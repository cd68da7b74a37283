"""``pds relay serve``: the settings of a relay, and the processes that are made of them."""

import fcntl
import os
import secrets
import stat
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from pds.cli.output import Settings, pass_settings

if TYPE_CHECKING:
    from pds.relay.limits import Limits
    from pds.serve import ServeSettings, Service, WsgiApp

_ARGUMENTS: Final = "pds.relay.arguments"
_LOOPBACK: Final = "127.0.0.1"
_MAX_COSIGNATURES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """What an operator may say, after command line, environment and file were put together."""

    config: Path | None
    data: Path
    url: str
    host: str
    port: int | None
    registration: str
    registrations_per_hour: int
    deposits_per_hour: int
    calls_per_hour: int
    max_sealed: int
    dev_tls: bool
    tls_cert: Path | None
    tls_key: Path | None
    witnesses: tuple[str, ...]
    threads: int
    workers: int
    database: str | None
    metrics: str | None
    log: str
    access_log: bool

    @property
    def listen(self) -> int:
        """The port to listen on."""
        port = self.port if self.port is not None else urlsplit(self.url).port
        if port is None:
            raise click.UsageError("--url has no port of its own: say with --port where to listen.")
        return port

    @property
    def hosts(self) -> frozenset[str]:
        """What the Host header may say."""
        names = (self.host, "localhost", _LOOPBACK)
        return frozenset({urlsplit(self.url).netloc, *(f"{name}:{self.listen}" for name in names)})

    def limits(self) -> "Limits":
        """For one worker: what is counted in memory is shared out among them."""
        from pds.relay.limits import Limits
        from pds.wire import MIB, SEAL

        share = -(-self.registrations_per_hour // self.workers)
        return Limits(
            registrations_per_hour=share,
            deposits_per_hour=self.deposits_per_hour,
            calls_per_hour=self.calls_per_hour,
            sealed=self.max_sealed * MIB + SEAL,
        )


class _Serve(click.Command):
    """Remembers its arguments, so that a reload reads file and environment again."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


def _read_config(ctx: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Take the file's settings as defaults: the command line and the environment go before."""
    if path is None:
        return None
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"The settings file cannot be read: {error}.") from None
    names = {
        option.lstrip("-"): parameter.name
        for parameter in ctx.command.params
        for option in parameter.opts
        if parameter.name not in {"config", "help"}
    }
    strange = sorted(set(said) - set(names))
    if strange:
        raise click.UsageError(f"The settings file says what no setting is: {strange[0]}.")
    if "database" in said and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        from pds.db.postgres import has_password

        if has_password(str(said["database"])):
            raise click.UsageError(
                "The settings file holds a password and is readable by others: chmod 600."
            )
    ctx.default_map = {str(names[key]): value for key, value in said.items()}
    return path


@click.command(cls=_Serve, context_settings={"auto_envvar_prefix": "PDS_RELAY"})
@click.option("--config", is_eager=True, callback=_read_config, metavar="FILE",
              type=click.Path(dir_okay=False, exists=True, path_type=Path),
              help="A TOML file with any of these settings, named as here.")  # fmt: skip
@click.option("--data", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="The relay's folder; it is made when it is not there.")  # fmt: skip
@click.option("--url", required=True, help="The address that clients use; signatures are over it.")
@click.option("--host", default=_LOOPBACK, show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Default: the port of --url.")
@click.option("--tls-cert", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="The certificate chain (PEM), where no proxy does TLS.")  # fmt: skip
@click.option("--tls-key", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Its key (PEM, not encrypted).")  # fmt: skip
@click.option("--dev-tls", is_flag=True,
              help="Use a throwaway CA and certificate, made in DATA/tls.")  # fmt: skip
@click.option("--registration", type=click.Choice(["open", "token"]), default="open",
              show_default=True,
              help="Who may make a mailbox: anyone, within limits; or by token.")  # fmt: skip
@click.option("--registrations-per-hour", type=click.IntRange(1), default=60, show_default=True,
              help="New mailboxes for one address range, where registration is open.")  # fmt: skip
@click.option("--deposits-per-hour", type=click.IntRange(1), default=1000, show_default=True,
              help="Envelopes that one mailbox takes.")  # fmt: skip
@click.option("--calls-per-hour", type=click.IntRange(1), default=6000, show_default=True,
              help="Changes that one key may make.")  # fmt: skip
@click.option("--max-sealed", type=click.IntRange(1, 16), default=8, show_default=True,
              metavar="MIB", help="The largest package or envelope, sealed.")  # fmt: skip
@click.option("--witness", "witnesses", multiple=True, metavar="URL=KEY",
              help="Have the log cosigned by this witness, once for each.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 64), default=16, show_default=True,
              help="Requests that one worker works on at the same time.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Processes behind the one port.")  # fmt: skip
@click.option("--database", metavar="CONNINFO",
              help="A PostgreSQL instead of DATA/relay.db: postgresql://host/name. A password"
              " belongs into libpq's own files.")  # fmt: skip
@click.option("--metrics", metavar="[HOST:]PORT",
              help="Counters for Prometheus, at /metrics; without HOST on loopback.")  # fmt: skip
@click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="How what happens is told, on standard error.")  # fmt: skip
@click.option("--access-log", is_flag=True,
              help="Tell of every request: route, status and time, never who.")  # fmt: skip
@pass_settings
def serve(settings: Settings, /, **said: Any) -> None:
    """Run a relay in the foreground until SIGTERM or Ctrl-C; SIGHUP reloads it.

    Every setting can stand in the file of --config or in the environment (PDS_RELAY_URL …); the
    command line goes before the environment, the environment before the file. A reload reads
    file, token and certificates again; data, address, port and database stay.

    Behind a TLS proxy, --url is the public https address, and --host and --port are where the
    proxy forwards to. With --registration token, the token is in DATA/registration-token.

    For development, --dev-tls serves an https --url without a proxy. Sandbox vaults then find it
    by --dev-trust NAME=127.0.0.1:PORT,DATA/tls/ca.pem.

    \b
    Example: pds relay serve --data /srv/relay --url https://relay.example --port 8080
    """
    from pds.cli.notify import notify
    from pds.serve import supervise

    ctx = click.get_current_context()
    first = _options(said)
    check_database(first.database, ctx)
    first.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    _tell(first)

    def again() -> RelayOptions:
        """The settings as they are now."""
        command = ctx.command
        with command.make_context(ctx.info_name, list(ctx.meta[_ARGUMENTS]), ctx.parent) as fresh:
            now = _options(fresh.params)
        if (now.data, now.url, now.database) != (first.data, first.url, first.database):
            raise click.UsageError("Data, address and database change only with a restart.")
        # There are as many as at the start, and they share out what is counted in memory.
        return replace(now, workers=first.workers)

    def ready(actual: int) -> None:
        notify("READY=1")
        settings.say(f"relay {first.url} listens on {first.host}:{actual}")
        if first.registration == "token":
            settings.say(f"New mailboxes need the token in {first.data / 'registration-token'}")
        if settings.as_json:
            click.echo(f'{{"listening": {actual}}}')
            sys.stdout.flush()

    supervise(_services(first, again), on_ready=ready, lock_dir=first.data)


def _options(said: dict[str, Any]) -> RelayOptions:
    """The options, with the address in its one form. Raises what says what is wrong with them."""
    from pds.cli.witnesses import parse_witness
    from pds.wire import parse_relay_url

    options = RelayOptions(**{**said, "url": parse_relay_url(said["url"])})
    if any(parse_witness(text).url is None for text in options.witnesses):
        raise click.UsageError("--witness is written URL=KEY.")
    if options.dev_tls and urlsplit(options.url).scheme != "https":
        raise click.UsageError("--dev-tls goes with an https --url.")
    if options.dev_tls and options.tls_cert:
        raise click.UsageError("--dev-tls and --tls-cert exclude each other.")
    _ = options.listen
    return options


def _services(first: RelayOptions, again: Callable[[], RelayOptions]) -> "list[Service]":
    """The relay, and beside it the process that counts and has the log cosigned."""
    from pds.serve import ServeSettings, Service

    counters = None if first.metrics is None else first.data / "metrics"
    parent = os.getpid()
    tls = _tls(first)
    token = _token(first.data) if first.registration == "token" else None

    def load() -> "tuple[Callable[[], WsgiApp], ServeSettings]":
        now = again()

        def make() -> "WsgiApp":
            # Only in a worker: the process above them stays small.
            from pds.relay.app import create_app

            with _one_at_a_time(now.data):
                app: WsgiApp = create_app(
                    now.data,
                    url=now.url,
                    database=now.database,
                    registration=now.registration,
                    token=_token(now.data) if now.registration == "token" else token,
                    limits=now.limits(),
                    counters=counters,
                    access_log=now.access_log,
                )
            return app

        return make, ServeSettings(
            host=now.host,
            port=now.listen,
            max_body=now.limits().largest_body,
            threads=now.threads,
            tls_cert=tls[0] or now.tls_cert,
            tls_key=tls[1] or now.tls_key,
            allowed_hosts=now.hosts,
            pass_address=True,
        )

    def beside() -> "tuple[Callable[[], WsgiApp], ServeSettings]":
        now = again()
        if counters is not None and os.getpid() == parent:
            # Under the folder's lock and before any worker: never those of a relay that runs.
            _begin_counting(counters)

        def make() -> "WsgiApp":
            from pds.net import Response, Transport
            from pds.relay.beside import create_beside
            from pds.relay.cosigning import WitnessPlace

            places = [WitnessPlace(url, key) for url, key in _witnesses(now)]
            way = Transport(trusted_origins=[one.url for one in places])

            def post(place: str, body: bytes) -> Response:
                return way.request("POST", place, body=body, max_bytes=_MAX_COSIGNATURES)

            with _one_at_a_time(now.data):
                app: WsgiApp = create_beside(
                    now.data,
                    url=now.url,
                    database=now.database,
                    counters=counters,
                    cosigners=places,
                    post=post,
                )
            return app

        host, port = _metrics_address(now.metrics)
        return make, ServeSettings(host=host, port=port, threads=1)

    services = [Service(load, first.workers)]
    if first.metrics is not None or first.witnesses:
        services.append(Service(beside))
    return services


@contextmanager
def _one_at_a_time(data: Path) -> Iterator[None]:
    """Workers open the database in turns: the first makes it, or brings it up to date, and what
    SQLite does for that fails at once where another process has the file."""
    descriptor = os.open(data / "opening", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _begin_counting(folder: Path) -> None:
    """An empty folder in which the workers' counters lie."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in folder.glob("*.db"):
        old.unlink()


def _metrics_address(text: str | None) -> tuple[str, int]:
    host, _, port = (text or "0").rpartition(":")
    if not port.isdecimal():
        raise click.UsageError("--metrics is written PORT or HOST:PORT.")
    return host.strip("[]") or _LOOPBACK, int(port)


def _witnesses(options: RelayOptions) -> list[tuple[str, Any]]:
    from pds.cli.witnesses import parse_witness

    parsed = [parse_witness(text) for text in options.witnesses]
    return [(one.url, one.key) for one in parsed if one.url is not None]


def _tls(options: RelayOptions) -> tuple[Path | None, Path | None]:
    """Certificate and key for development; nothing otherwise."""
    if not options.dev_tls:
        return None, None
    from did.time import utc_now
    from pds.company.tls import make_development_tls

    host = urlsplit(options.url).hostname or ""
    made = make_development_tls(options.data / "tls", [host], now=utc_now())
    return made.certificate, made.key


def _tell(options: RelayOptions) -> None:
    """Have the program's own words on standard error, in the form that was asked for."""
    from pds.cli.logs import begin_logging

    begin_logging(as_json=options.log == "json")


def check_database(database: str | None, ctx: click.Context | None = None) -> None:
    """Every user of the machine can read the words of a command: no password among them."""
    if database is None:
        return
    if ctx is not None:
        source = ctx.get_parameter_source("database")
        if source is not click.core.ParameterSource.COMMANDLINE:
            return
    from pds.db.postgres import has_password

    if has_password(database):
        raise click.UsageError(
            "A password has no place in a command: put it into ~/.pgpass or PDS_RELAY_DATABASE."
        )


def _token(data: Path) -> str:
    """The registration token; made once, though several workers look for it at the same time."""
    place = data / "registration-token"
    if not place.exists():
        from pds.relay.folder import write_once

        write_once(place, f"{secrets.token_urlsafe(32)}\n".encode())
    token = place.read_text().strip()
    if not token:
        raise click.UsageError("The file registration-token is empty: remove it to have one made.")
    return token
