"""``pds witness``: watch the logs of relays, and cosign what only grows."""

import sys
from pathlib import Path

import click

from pds.cli.log import leaves
from pds.cli.output import Settings, count, pass_settings

_data = click.option(
    "--data",
    required=True,
    envvar="PDS_WITNESS",
    type=click.Path(file_okay=False, path_type=Path),
    help="The witness's folder (or PDS_WITNESS).",
)

_host = click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on."
)
_port = click.option("--port", required=True, type=click.IntRange(0, 65_535), help="The port.")
_url = click.option("--url", help="Its public address, where a TLS proxy stands in front.")


@click.group()
def witness() -> None:
    """Watch logs and cosign their checkpoints, so that nobody is shown a history of their own."""


@witness.command()
@_data
@click.option("--name", required=True, metavar="NAME",
              help="Best an address without its scheme: witness.example.")  # fmt: skip
@pass_settings
def init(settings: Settings, *, data: Path, name: str) -> None:
    """Make a witness with a new key; answers with its verifier key.

    Never put its folder back from a backup: make a new witness, with a new key.
    """
    from pds.witness.witness import Witness

    made = Witness.create(data, name=name)
    key = made.key.text
    made.close()
    settings.emit({"witness": name, "key": key}, key)


@witness.command()
@_data
@pass_settings
def key(settings: Settings, *, data: Path) -> None:
    """Print the verifier key of the witness, for relays and for who shall believe it."""
    from pds.witness.witness import Witness

    opened = Witness(data)
    text = opened.key.text
    opened.close()
    settings.emit({"witness": opened.key.name, "key": text}, text)


@witness.command()
@click.argument("log_key", metavar="KEY")
@_data
@pass_settings
def trust(settings: Settings, *, log_key: str, data: Path) -> None:
    """Witness the log with this verifier key: 'pds log key URL' prints that of a relay.

    What the log shows first is taken as it is. A running witness knows of it at once.
    """
    from pds.log.vkey import NoteKey, Signs
    from pds.witness.witness import Witness

    log = NoteKey.parse(log_key, expected=Signs.NOTES)
    opened = Witness(data)
    try:
        opened.trust(log)
    finally:
        opened.close()
    settings.emit({"log": log.name}, f"This witness watches {log.name}.")


@witness.command()
@_data
@pass_settings
def logs(settings: Settings, *, data: Path) -> None:
    """The logs that are witnessed, how far, and whether they were caught."""
    from pds.witness.witness import Witness

    opened = Witness(data)
    try:
        rows = opened.logs()
    finally:
        opened.close()
    settings.emit(
        {"logs": [{"log": r.origin, "size": r.size, "evidence": r.evidence} for r in rows]},
        lambda: (
            "\n".join(
                f"{r.origin}  {leaves(r.size)}"
                + (
                    f"  CAUGHT: {count(r.evidence, 'proof')}, see 'pds witness evidence'"
                    if r.evidence
                    else ""
                )
                for r in rows
            )
            or "No log is witnessed yet: pds witness trust KEY"
        ),
    )


@witness.command()
@click.argument("origin", metavar="LOG")
@_data
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the newest into a file, for 'pds log verify --evidence'.")  # fmt: skip
@pass_settings
def evidence(settings: Settings, *, origin: str, data: Path, out: Path | None) -> None:
    """What a log has signed that does not fit together."""
    from did.json import canonicalize
    from pds.witness.witness import Witness

    opened = Witness(data)
    try:
        found = [one.to_json() for one in opened.evidence(origin)]
    finally:
        opened.close()
    if out is not None:
        if not found:
            raise click.UsageError("There is no evidence against this log.")
        out.write_bytes(canonicalize(found[-1]))
    settings.emit(
        {"log": origin, "evidence": found}, f"{count(len(found), 'proof')} against {origin}."
    )


@witness.command()
@_data
@_host
@_port
@_url
@click.option("--user", default="pds-witness", show_default=True,
              help="The system user that it runs as.")  # fmt: skip
@pass_settings
def unit(
    settings: Settings, *, data: Path, host: str, port: int, url: str | None, user: str
) -> None:
    """Print a systemd unit that runs a witness as 'serve' does with the same options.

    \b
    pds witness unit --data /srv/witness --port 8090 > /etc/systemd/system/pds-witness.service
    systemctl daemon-reload
    systemctl enable --now pds-witness
    """
    from importlib import resources

    from pds.cli.units import HARDENING, command, quoted, system_user

    place = str(data.absolute())
    address = ("--url", url) if url else ()
    form = resources.files("pds.cli").joinpath("pds-witness.service").read_text(encoding="utf-8")
    text = form.format(
        command=command(
            *("witness", "serve", "--data", place, "--host", host, "--port", str(port)), *address
        ),
        data=quoted(place),
        user=system_user(user),
        hardening=HARDENING,
    )
    settings.emit({"unit": text}, text.rstrip("\n"))


@witness.command()
@_data
@_host
@_port
@_url
@pass_settings
def serve(settings: Settings, *, data: Path, host: str, port: int, url: str | None) -> None:
    """Run a witness in the foreground until SIGTERM or Ctrl-C."""
    from urllib.parse import urlsplit

    from pds.cli.notify import notify
    from pds.log.submission import MAX_SUBMISSION
    from pds.serve import ServeSettings
    from pds.serve import serve as run
    from pds.witness.app import create_app
    from pds.witness.witness import Witness

    opened = Witness(data)

    def ready(actual: int) -> None:
        settings.say(f"witness {opened.key.name} listens on {host}:{actual}")
        if settings.as_json:
            click.echo(f'{{"listening": {actual}}}')
            sys.stdout.flush()
        notify("READY=1")

    hosts = {host, "localhost", "127.0.0.1"} | ({urlsplit(url).netloc} if url else set())
    try:
        run(
            create_app(opened),
            ServeSettings(
                host=host,
                port=port,
                threads=2,
                max_body=MAX_SUBMISSION,
                allowed_hosts=frozenset(hosts),
            ),
            on_ready=ready,
            lock_dir=data,
        )
    finally:
        opened.close()
