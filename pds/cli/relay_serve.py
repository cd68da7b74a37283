"""``pds relay serve``: the processes that are made of a relay's settings."""

import fcntl
import logging
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from pds.cli.output import Settings, pass_settings
from pds.cli.relay_settings import LOOPBACK, RelayOptions, check_database, settings_of

if TYPE_CHECKING:
    from pds.serve import ServeSettings, Service, WsgiApp

_log = logging.getLogger("pds.relay")
_ARGUMENTS: Final = "pds.relay.arguments"
_MAX_COSIGNATURES: Final = 65_536


class _Serve(click.Command):
    """Remembers its arguments, so that a reload reads file and environment again."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


@click.command(cls=_Serve, params=settings_of())
@pass_settings
def serve(settings: Settings, /, **said: Any) -> None:
    """Run a relay in the foreground until SIGTERM or Ctrl-C; SIGHUP reloads it.

    Every setting can stand in the file of --config or in the environment (PDS_RELAY_URL …); the
    command line goes before the environment, the environment before the file. A reload reads
    file, token and certificates again; data, address, port and database stay.

    Behind a TLS proxy, --url is the public https address, --host and --port are where the proxy
    forwards to, and --proxy is its address. With --registration token, the token is in
    DATA/registration-token.

    For development, --dev-tls serves an https --url without a proxy. Sandbox vaults then find it
    by --dev-trust NAME=127.0.0.1:PORT,DATA/tls/ca.pem.

    \b
    Example: pds relay serve --data /srv/relay --url https://relay.example --port 8080
    """
    from pds.cli.notify import notify
    from pds.serve import supervise

    ctx = click.get_current_context()
    first = RelayOptions.parse(said)
    check_database(first.database, ctx)
    first.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    _tell(first)

    def again() -> RelayOptions:
        """The settings as they are now. What is wrong with them is the operator's to read."""
        command, arguments = ctx.command, list(ctx.meta[_ARGUMENTS])
        try:
            with command.make_context(ctx.info_name, arguments, ctx.parent) as fresh:
                now = RelayOptions.parse(fresh.params)
        except click.UsageError as error:
            raise _wrong(error.format_message()) from None
        if (now.data, now.url, now.database) != (first.data, first.url, first.database):
            raise _wrong("Data, address and database change only with a restart.")
        # There are as many as at the start, and they share out what is counted in memory.
        return replace(now, workers=first.workers)

    up = threading.Event()  # as a worker sees it that is forked later

    def ready(actual: int) -> None:
        up.set()
        notify("READY=1")
        _log.info("relay %s listens on %s:%s", first.url, first.host, actual)
        if first.registration == "token":
            _log.info("new mailboxes need the token in %s", first.data / "registration-token")
        if settings.as_json:
            click.echo(f'{{"listening": {actual}}}')
            sys.stdout.flush()

    supervise(_services(first, again, up.is_set), on_ready=ready, lock_dir=first.data)


def _wrong(message: str) -> Exception:
    from pds.serve import ServeError

    return ServeError(message, code="serve.settings", exit_code=2)


def _services(
    first: RelayOptions, again: Callable[[], RelayOptions], is_up: Callable[[], bool]
) -> "list[Service]":
    """The relay, and beside it the process that counts and has the log cosigned. A worker that
    comes when the relay is up may be of a newer release: it changes no tables under the others."""
    from pds.serve import ServeSettings, Service

    counters = None if first.metrics is None else first.data / "metrics"
    parent = os.getpid()
    tls = _tls(first)
    if first.registration == "token":
        _token(first.data)  # there before anybody is told of it

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
                    upgrade=not is_up(),
                    registration=now.registration,
                    token=_token(now.data) if now.registration == "token" else None,
                    limits=now.limits(),
                    proxies=now.proxies,
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
                    upgrade=not is_up(),
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
    return host.strip("[]") or LOOPBACK, int(port)


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
