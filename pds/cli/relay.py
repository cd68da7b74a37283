"""``pds relay``: run a relay; or choose the relay of a vault."""

import os
import secrets
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from pds.cli.output import Settings, pass_settings
from pds.cli.witnesses import (
    changed_policy,
    is_change,
    out_option,
    parse_witness,
    show_evidence,
    show_policy,
    witness_options,
)

if TYPE_CHECKING:
    from pds.log.policy import Witness

_MAX_COSIGNATURES = 65_536


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
@click.option("--witness", "witnesses", multiple=True, metavar="URL=KEY",
              help="Have the log cosigned by this witness, once for each.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True,
              help="Requests that are worked on at the same time.")  # fmt: skip
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
    witnesses: tuple[str, ...],
    threads: int,
) -> None:
    """Run a relay in the foreground until SIGTERM or Ctrl-C.

    Behind a TLS proxy, --url is the public https address, and --host and --port are where the
    proxy forwards to. With --registration token, the token is in DATA/registration-token.

    For development, --dev-tls serves an https --url without a proxy. Sandbox vaults then find it
    by --dev-trust NAME=127.0.0.1:PORT,DATA/tls/ca.pem.
    """
    from pds.relay.app import create_app
    from pds.relay.limits import Limits
    from pds.serve import ServeSettings
    from pds.serve import serve as run
    from pds.wire import parse_relay_url

    places = [parse_witness(text) for text in witnesses]
    if any(one.url is None for one in places):
        raise click.UsageError("--witness is written URL=KEY.")
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
    app = create_app(
        data,
        url=url,
        registration=registration,
        token=token,
        limits=Limits(registrations_per_hour=registrations_per_hour),
    )
    hosts = {parts.netloc, f"{host}:{listen}", f"localhost:{listen}", f"127.0.0.1:{listen}"}

    def ready(actual: int) -> None:
        if places:
            _cosign(app, places)
        settings.say(f"relay {url} listens on {host}:{actual}")
        if token is not None:
            settings.say(f"New mailboxes need the token in {data / 'registration-token'}")
        if settings.as_json:
            click.echo(f'{{"listening": {actual}}}')
            sys.stdout.flush()

    run(
        app,
        ServeSettings(
            host=host,
            port=listen,
            threads=threads,
            tls_cert=None if tls is None else tls.certificate,
            tls_key=None if tls is None else tls.key,
            allowed_hosts=frozenset(hosts),
            pass_address=True,
        ),
        on_ready=ready,
        lock_dir=data,
    )


def _cosign(app: Any, places: "list[Witness]") -> None:
    """Begin to have the log cosigned, in the background."""
    from pds.net import Response, Transport
    from pds.relay.cosigning import Cosigner, WitnessPlace

    named = [WitnessPlace(one.url, one.key) for one in places if one.url is not None]
    way = Transport(trusted_origins=[one.url for one in named])

    def post(place: str, body: bytes) -> Response:
        return way.request("POST", place, body=body, max_bytes=_MAX_COSIGNATURES)

    Cosigner(app.extensions["relay"], named, post).start()


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
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def restored(settings: Settings, *, data: Path, yes: bool) -> None:
    """Say that DATA came back from a backup: a new log origin begins, and every package is
    suspended until its owner stages it again."""
    from pds.relay.restore import mark_restored

    settings.confirm("Suspend every package and begin a new log?", yes=yes)
    mark_restored(data)
    settings.emit({"restored": True}, "Marked. Start the relay; owners stage again by themselves.")


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
    show_evidence(settings, found, out=out)


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
