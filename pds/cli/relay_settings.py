"""The settings of a relay: command line, environment and file, for every command on its data."""

import os
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from pds.relay.limits import Limits

LOOPBACK: Final = "127.0.0.1"
_PREFIX: Final = "PDS_RELAY_"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """What an operator may say, after command line, environment and file were put together."""

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
    proxies: tuple[str, ...]
    witnesses: tuple[str, ...]
    threads: int
    workers: int
    database: str | None
    metrics: str | None
    log: str
    access_log: bool

    @classmethod
    def parse(cls, said: dict[str, Any]) -> "RelayOptions":
        """With the address in its one form. Raises what says what is wrong with the settings."""
        from pds.cli.witnesses import parse_witness
        from pds.relay.proxies import Proxies
        from pds.wire import parse_relay_url

        options = cls(**{**said, "url": parse_relay_url(said["url"])})
        if any(parse_witness(text).url is None for text in options.witnesses):
            raise click.UsageError("--witness is written URL=KEY.")
        Proxies.parse(options.proxies)
        if options.dev_tls and urlsplit(options.url).scheme != "https":
            raise click.UsageError("--dev-tls goes with an https --url.")
        if options.dev_tls and options.tls_cert:
            raise click.UsageError("--dev-tls and --tls-cert exclude each other.")
        _ = options.listen
        return options

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
        names = (self.host, "localhost", LOOPBACK)
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


def _read_config(ctx: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Take the file's settings as defaults: the command line and the environment go before.

    A command takes from the file what it has an option for; the others may stand in it too.
    """
    variables = {_variable(name) for name in SETTINGS}
    strange = sorted(name for name in os.environ if name.startswith(_PREFIX))
    if not variables.issuperset(strange):
        wrong = next(name for name in strange if name not in variables)
        raise click.UsageError(f"The environment says what no setting is: {wrong}.")
    if path is not None:
        ctx.default_map = read_settings(path)
    return path


def read_settings(path: Path) -> dict[str, Any]:
    """What the file says, by the parameters' names. Raises ``click.UsageError``."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"The settings file cannot be read: {error}.") from None
    strange = sorted(set(said) - (set(SETTINGS) - {"config"}))
    if strange:
        raise click.UsageError(f"The settings file says what no setting is: {strange[0]}.")
    if "database" in said and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        from pds.db.postgres import has_password

        if has_password(str(said["database"])):
            raise click.UsageError(
                "The settings file holds a password and is readable by others: chmod 600."
            )
    return {str(SETTINGS[name].name): value for name, value in said.items()}


def _variable(name: str) -> str:
    return _PREFIX + name.upper().replace("-", "_")


def _setting(flag: str, parameter: str | None = None, **more: Any) -> click.Option:
    names = [flag] if parameter is None else [flag, parameter]
    return click.Option(names, envvar=_variable(flag.lstrip("-")), **more)


_ALL: Final = (
    _setting("--config", is_eager=True, expose_value=False, callback=_read_config, metavar="FILE",
             type=click.Path(dir_okay=False, exists=True, path_type=Path),
             help="A TOML file with any of the relay's settings, named as for 'serve'."),
    _setting("--data", required=True, type=click.Path(file_okay=False, path_type=Path),
             help="The relay's folder; a start makes it when it is not there."),
    _setting("--url", required=True,
             help="The address that clients use; signatures are over it."),
    _setting("--host", default=LOOPBACK, show_default=True, help="The address to listen on."),
    _setting("--port", type=click.IntRange(0, 65_535), help="Default: the port of --url."),
    _setting("--tls-cert", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
             help="The certificate chain (PEM), where no proxy does TLS."),
    _setting("--tls-key", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
             help="Its key (PEM, not encrypted)."),
    _setting("--dev-tls", is_flag=True,
             help="Use a throwaway CA and certificate, made in DATA/tls."),
    _setting("--registration", type=click.Choice(["open", "token"]), default="open",
             show_default=True,
             help="Who may make a mailbox: anyone, within limits; or by token."),
    _setting("--registrations-per-hour", type=click.IntRange(1), default=60, show_default=True,
             help="New mailboxes for one address range, where registration is open."),
    _setting("--deposits-per-hour", type=click.IntRange(1), default=1000, show_default=True,
             help="Envelopes that one mailbox takes."),
    _setting("--calls-per-hour", type=click.IntRange(1), default=6000, show_default=True,
             help="Changes that one key may make."),
    _setting("--max-sealed", type=click.IntRange(1, 16), default=8, show_default=True,
             metavar="MIB", help="The largest package or envelope, sealed."),
    _setting("--proxy", "proxies", multiple=True, metavar="NETWORK",
             help="Believe X-Forwarded-For when it comes from here, once for each."),
    _setting("--witness", "witnesses", multiple=True, metavar="URL=KEY",
             help="Have the log cosigned by this witness, once for each."),
    _setting("--threads", type=click.IntRange(1, 64), default=16, show_default=True,
             help="Requests that one worker works on at the same time."),
    _setting("--workers", type=click.IntRange(1, 64), default=1, show_default=True,
             help="Processes behind the one port."),
    _setting("--database", metavar="CONNINFO",
             help="A PostgreSQL instead of DATA/relay.db: postgresql://host/name. A password"
             " belongs into libpq's own files."),
    _setting("--metrics", metavar="[HOST:]PORT",
             help="Counters for Prometheus, at /metrics; without HOST on loopback."),
    _setting("--log", type=click.Choice(["text", "json"]), default="text", show_default=True,
             help="How what happens is told, on standard error."),
    _setting("--access-log", is_flag=True,
             help="Tell of every request: route, status and time, never who."),
)  # fmt: skip
SETTINGS: Final = {option.opts[0].lstrip("-"): option for option in _ALL}
"""Every setting, by the name that it has in the file."""


def settings_of(*names: str) -> list[click.Parameter]:
    """These settings as options of a command; all without ``names``."""
    return [SETTINGS[name] for name in names or SETTINGS]


def place_settings() -> list[click.Parameter]:
    """Where the data of a relay are, for a command that works on them."""
    return settings_of("config", "data", "database")


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
