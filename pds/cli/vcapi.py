"""``pds vcapi``: the VC-API adapter, for conformance suites and for trying out."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from pds.cli.output import Settings, pass_settings


@click.group()
def vcapi() -> None:
    """The VC-API, for conformance suites and for trying out."""


@vcapi.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), required=True, help="The port.")
@click.option("--url", help="How others name it, e.g. http://adapter:8081, where that is another "
              "name than the host's.")  # fmt: skip
@click.option("--contexts", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="A folder of further JSON-LD contexts, with an index.json.")  # fmt: skip
@click.option(
    "--online", is_flag=True, help="Fetch DID documents and status lists of others; else never."
)
@pass_settings
def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    url: str | None,
    contexts: Path | None,
    online: bool,
) -> None:
    """Issue, verify and derive over HTTP until SIGTERM or Ctrl-C.

    Whoever reaches the port may issue, sign presentations and set any status: keep it on this
    machine. The issuers' keys are new each time and end with the process: nobody must rely on what
    it issues. GET /conformance.json names their DIDs. index.json is URL → {"file", "sha256"}.
    """
    from credentials.contexts import ContextFolder, context_bytes
    from credentials.webvh import PROOFS
    from did.resolve import OFFLINE, Resolver
    from pds.serve import ServeSettings
    from pds.serve import serve as run
    from pds.vcapi.app import MAX_BODY, create_app

    base = f"http://{host}:{port}"
    hosts = {f"{name}:{port}" for name in (host, "localhost", "127.0.0.1")}
    if url is not None:
        base = url.rstrip("/")
        hosts.add(_host_of(base))
    known = context_bytes if contexts is None else ContextFolder(str(contexts))
    fetch, resolver = None, OFFLINE
    if online:
        from pds.net import Transport

        transport = Transport()
        fetch = transport.fetch
        resolver = Resolver(fetch=transport.fetch_did, webvh_proofs=PROOFS)
    app = create_app(
        base=base,
        contexts=known,
        resolver=resolver,
        fetch=fetch,
    )

    def ready(actual: int) -> None:
        settings.say(f"VC-API at http://{host}:{actual}")
        if settings.as_json:
            click.echo(f'{{"listening": {actual}}}')
            sys.stdout.flush()

    run(
        app,
        ServeSettings(
            host=host, port=port, threads=4, max_body=MAX_BODY, allowed_hosts=frozenset(hosts)
        ),
        on_ready=ready,
    )


def _host_of(url: str) -> str:
    """The host, and port, of an origin."""
    parts = urlsplit(url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or url != (f"{parts.scheme}://{parts.netloc}")
    ):
        raise click.UsageError("--url is an origin, such as http://adapter:8081.")
    return parts.netloc
