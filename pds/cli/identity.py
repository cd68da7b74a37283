"""``pds identity``: a public identity, one name for everybody, whose keys can be replaced."""

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from pds.cli.output import Settings, emit_json, pass_settings
from pds.cli.sync import say_waiting
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from pds.vault.identity import Identity
    from pds.vault.outbox import PushReport
    from pds.vault.service import Vault

_MOST = 2**20


@click.group()
def identity() -> None:
    """A public identity: one name (did:webvh) for everybody, whose keys can be replaced.

    Companies that you share data with do not see it: each knows a DID of its own.
    """


@identity.command()
@click.option("--host", metavar="URL",
              help="Not at the relay: in this folder of a web server, by https.")  # fmt: skip
@click.option("--export", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write its did.jsonl to a new file, for that web server.")  # fmt: skip
@pass_settings
def create(settings: Settings, *, host: str | None, file: Path | None) -> None:
    """Begin a public identity.

    At your relay, or with --host at a web server of your own. Where it lies is part of its name.
    With --host https://example.com/people/alice, put what 'pds identity export' writes at
    https://example.com/people/alice/did.jsonl, and again after each change.
    """
    if file is not None:
        _free(file)
    with unlock(settings) as vault:
        made = vault.identities.create(folder=host)
        _tell(settings, vault, made, "Your public identity begins.", file=file)


@identity.command()
@pass_settings
def show(settings: Settings) -> None:
    """Its name, place, version and key."""
    with unlock(settings) as vault:
        shown = vault.identities.current()
    settings.emit(_json(shown), _text(shown))


@identity.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--export", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write its did.jsonl to a new file too.")  # fmt: skip
@pass_settings
def rotate(settings: Settings, *, yes: bool, file: Path | None) -> None:
    """Replace all keys; the name stays.

    From its publication on, no signature by the old keys holds, not even one made before: sign
    again what must go on holding.
    """
    settings.may_confirm("Replace the keys of your identity?", yes=yes)
    if file is not None:
        _free(file)
    with unlock(settings) as vault:
        vault.identities.current()
        settings.confirm("Replace the keys of your identity?", yes=yes)
        shown = vault.identities.rotate()
        _tell(settings, vault, shown, "Your identity has new keys.", file=file)


@identity.command()
@pass_settings
def publish(settings: Settings) -> None:
    """Send to the relay what it lacks.

    'pds sync' does it too.
    """
    from pds.vault.errors import IdentityError

    with unlock(settings) as vault:
        shown = vault.identities.current()
        if shown.relay is None:
            raise IdentityError(
                "a web server of your own hosts this identity, and no relay",
                code="identity.own_host",
                hint="Put what 'pds identity export' writes there.",
            )
        _tell(settings, vault, shown, "")


@identity.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@pass_settings
def export(settings: Settings, *, file: Path | None) -> None:
    """Write did.jsonl, its history.

    To a new FILE, or to standard output. Any web server can host it: at the address that
    'pds identity show' names. The relay's copy is the same.
    """
    if file is not None:
        _free(file)
    with unlock(settings) as vault:
        shown, log = vault.identities.current(), vault.identities.log()
    if file is None:
        sys.stdout.write(log.decode())
        return
    _write(file, log)
    settings.emit({"file": str(file), "url": shown.url}, f"Written. It belongs to {shown.url}")


@identity.command()
@click.argument("file", type=click.File("rb"))
@pass_settings
def sign(settings: Settings, *, file: IO[bytes]) -> None:
    """Sign a JSON object from FILE.

    With the identity's key of now; '-' is standard input. How others check it stands in
    docs/verify.md.
    """
    from did.json import parse_object

    document = parse_object(file.read(_MOST + 1))
    with unlock(settings) as vault:
        signed = vault.identities.sign(document)
    emit_json(signed)


@identity.command()
@click.argument("file", type=click.File("rb"))
@pass_settings
def recover(settings: Settings, *, file: IO[bytes]) -> None:
    """Go on from did.jsonl after a restore.

    FILE is the one that was published last. For an identity at a web server of your own that
    cannot be reached. What the relay hosts 'pds restore' finds by itself.
    """
    raw = file.read(2 * _MOST + 1)
    with unlock(settings) as vault:
        shown = vault.identities.recover(raw)
    settings.emit(_json(shown), _text(shown))


@identity.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--export", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write its did.jsonl to a new file too.")  # fmt: skip
@pass_settings
def deactivate(settings: Settings, *, yes: bool, file: Path | None) -> None:
    """End the identity for good.

    Nothing is signed in its name any more, by anyone, and what it signed is refused. Its history
    stays where it lies: it shows which keys there were, and when.
    """
    question = "End this identity? Nobody can undo that."
    settings.may_confirm(question, yes=yes)
    if file is not None:
        _free(file)
    with unlock(settings) as vault:
        settings.say(vault.identities.current().did)
        settings.confirm(question, yes=yes)
        shown = vault.identities.deactivate()
        _tell(settings, vault, shown, "Your identity is ended.", file=file)


def _tell(
    settings: Settings, vault: "Vault", shown: "Identity", said: str, *, file: Path | None = None
) -> None:
    """Publish what changed, then say how it stands."""
    if file is not None:
        _write(file, vault.identities.log())
    report: PushReport | None = vault.push() if shown.waits else None
    shown = vault.identities.current()
    settings.emit(_json(shown), "\n".join(filter(None, [said, _text(shown)])))
    if shown.relay is None:
        how = "" if file else " ('pds identity export' writes it)"
        settings.say(f"Put its did.jsonl{how} at {shown.url}")
    if report is not None:
        say_waiting(settings, report)


def _json(shown: "Identity") -> dict[str, object]:
    from did.time import format_time

    return {
        "did": shown.did,
        "url": shown.url,
        "relay": shown.relay,
        "version": shown.version,
        "created": format_time(shown.created),
        "updated": format_time(shown.updated),
        "key": shown.key,
        "deactivated": shown.deactivated,
        "waiting": shown.waits,
        "unchecked": shown.unchecked,
    }


def _text(shown: "Identity") -> str:
    from did.time import format_time

    lines = [
        shown.did,
        f"  at {shown.url}",
        f"  version {shown.version}, of {format_time(shown.updated)}; "
        f"begun {format_time(shown.created)}",
        "  ended: it signs nothing any more" if shown.key is None else f"  signs with {shown.key}",
    ]
    if shown.waits:
        lines.append("  The relay does not have this version yet.")
    if shown.unchecked:
        lines.append("  Restored, and not yet compared with what was published.")
    return "\n".join(lines)


def _free(file: Path) -> None:
    if file.exists():
        raise click.UsageError("The file to export to exists already; it is never overwritten.")


def _write(file: Path, log: bytes) -> None:
    with file.open("xb") as out:
        out.write(log)
