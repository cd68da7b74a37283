"""``pds init | status | passphrase | kit | backup | restore | activity | vault``."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from pds.cli import process
from pds.cli.output import Settings, count, pass_settings, read_secret

if TYPE_CHECKING:
    from pds.vault.service import Vault


def trust_line(text: str) -> str:
    """A ``--dev-trust`` with the whole path of its CA file, which has to be there."""
    from pds.net import DevTrust

    file = DevTrust.parse(text).ca_file
    if not file.is_file():
        raise click.UsageError(
            "The CA file that --dev-trust names is not there; "
            "'pds company serve --dev-tls' makes it in DATA/tls/ca.pem."
        )
    return f"{text.partition(',')[0]},{file.absolute()}"


def unlock(settings: Settings, *, older: bool = False) -> "Vault":
    """Open the vault with the passphrase, or with the kit when ``--kit`` was given; ``older``: even
    if an earlier state of it was put back."""
    from pds.vault.files import check_vault
    from pds.vault.service import Vault

    process.harden()
    check_vault(settings.vault)  # before anybody types a passphrase
    if settings.use_kit:
        return Vault.open(settings.vault, kit=settings.kit(), heads=settings.heads, older=older)
    return Vault.open(
        settings.vault, passphrase=settings.passphrase(), heads=settings.heads, older=older
    )


@click.command()
@click.option("--relay", help="The relay to use, e.g. https://relay.example. Can be set later.")
@click.option("--relay-token-file", type=click.File(), help="The relay's registration token.")
@click.option(
    "--sandbox", is_flag=True, help="For trying out: what it grants is worth nothing outside."
)
@click.option(
    "--dev-trust",
    multiple=True,
    metavar="NAME=ADDRESS:PORT,CA.PEM",
    help="Sandbox only: find this company at this address, with certificates of this CA.",
)
@click.option("--kdf-memory", type=click.IntRange(64, 2048), default=256, show_default=True,
              help="MiB that unlocking by passphrase takes.")  # fmt: skip
@click.option("--kit-file", type=click.Path(dir_okay=False), help="Write the kit to a new file.")
@click.option("--weak-passphrase", is_flag=True, help="Take one of fewer than 8 characters too.")
@pass_settings
def init(
    settings: Settings,
    *,
    relay: str | None,
    relay_token_file: IO[str] | None,
    sandbox: bool,
    dev_trust: tuple[str, ...],
    kdf_memory: int,
    kit_file: str | None,
    weak_passphrase: bool,
) -> None:
    """Make an encrypted vault and its recovery kit.

    The kit's 24 words open the vault and every backup when the passphrase is forgotten. Without
    passphrase and kit there is no way in, for anyone.
    """
    from pds.vault.files import check_place
    from pds.vault.keyslots import Argon2Params
    from pds.vault.service import Vault

    process.harden()
    token = None if relay_token_file is None else relay_token_file.read().strip()
    check_place(settings.vault)  # before anybody has thought of a passphrase
    if sandbox:  # elsewhere it is refused as a whole
        dev_trust = tuple(trust_line(line) for line in dev_trust)
    passphrase = settings.new_passphrase(weak=weak_passphrase)
    with _kit_place(kit_file) as keep:
        words = Vault.create(
            settings.vault,
            passphrase=passphrase,
            relay=relay,
            sandbox=sandbox,
            dev_trust=dev_trust,
            params=Argon2Params(memory_kib=kdf_memory * 1024),
        )
        keep(words)
    if relay is not None and token is not None:
        with Vault.open(settings.vault, kit=words) as vault:
            vault.use_relay(relay, token=token)
    if kit_file is None:
        settings.emit(
            {"vault": str(settings.vault), "recoveryKit": words},
            f"Your recovery kit. Write these words down; they are shown once:\n\n{_grid(words)}\n",
        )
    else:
        settings.emit({"vault": str(settings.vault), "kitFile": kit_file}, "")
        settings.say(f"The recovery kit is in {kit_file}. Print it, then delete the file.")
    settings.say(
        f"The vault is ready in {settings.vault}\nNext: pds data import FILE, or pds open LINK."
    )


@contextmanager
def _kit_place(kit_file: str | None) -> Iterator[Callable[[str], None]]:
    """Take the kit's file before the vault is made: a kit with no place to go would be lost."""
    if kit_file is None:
        yield lambda _words: None
        return
    try:
        descriptor = os.open(kit_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.UsageError("The kit file exists already; it is never overwritten.") from None
    with os.fdopen(descriptor, "w") as out:

        def keep(words: str) -> None:
            out.write(words + "\n")
            out.flush()
            os.fsync(out.fileno())

        try:
            yield keep
        except BaseException:
            os.unlink(kit_file)
            raise


def _grid(words: str) -> str:
    listed = words.split()
    cells = [f"{n:>2}. {word:<10}" for n, word in enumerate(listed, start=1)]
    return "\n".join("  " + "".join(cells[row : row + 4]) for row in range(0, len(cells), 4))


@click.command()
@pass_settings
def status(settings: Settings) -> None:
    """Unlock the vault once and say how it is."""
    with unlock(settings) as vault:
        shown = vault.status()
    from did.time import format_time

    last = "never" if shown.last_sync is None else format_time(shown.last_sync)
    settings.emit(
        {
            "unlocked": True,
            "sandbox": shown.sandbox,
            "relay": shown.relay,
            "items": shown.items,
            "relationships": shown.relationships,
            "liveGrants": shown.live_grants,
            "waiting": shown.waiting,
            "restoring": shown.restoring,
            "lastSync": None if shown.last_sync is None else last,
        },
        f"Unlocked. {count(shown.items, 'item')}, {count(shown.relationships, 'company')}, "
        f"{count(shown.live_grants, 'grant')} in force, "
        f"{count(shown.waiting, 'call')} waiting to be sent.\n"
        f"Relay: {shown.relay or 'none'}. Last sync: {last}."
        + ("\nThis is a sandbox: what it grants is worth nothing outside." if shown.sandbox else "")
        + ("\nRestored, and not yet compared with its relay." if shown.restoring else ""),
    )


@click.command()
@click.option("--new-passphrase-fd", type=int, help="Read the new one from this descriptor.")
@click.option("--kdf-memory", type=click.IntRange(64, 2048), default=256, show_default=True,
              help="MiB that unlocking by passphrase takes.")  # fmt: skip
@click.option("--weak-passphrase", is_flag=True, help="Take one of fewer than 8 characters too.")
@pass_settings
def passphrase(
    settings: Settings, *, new_passphrase_fd: int | None, kdf_memory: int, weak_passphrase: bool
) -> None:
    """Change the passphrase. The data is not written again; old backups keep the old one."""
    from pds.vault.keyslots import Argon2Params

    if new_passphrase_fd is None:
        settings.may_ask("new passphrase", "--new-passphrase-fd")
    with unlock(settings) as vault:
        if new_passphrase_fd is not None:
            new = settings.check_new(read_secret(new_passphrase_fd), weak=weak_passphrase)
        else:
            new = settings.ask_new(weak=weak_passphrase)
        vault.change_passphrase(new, params=Argon2Params(memory_kib=kdf_memory * 1024))
    settings.emit({"changed": True}, "The passphrase is changed.")


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def kit(settings: Settings, *, yes: bool) -> None:
    """Replace the recovery kit: the old words open this vault no more."""
    settings.confirm("Replace the recovery kit?", yes=yes)
    with unlock(settings) as vault:
        words = vault.new_kit()
    settings.emit({"recoveryKit": words}, f"Your new recovery kit:\n\n{_grid(words)}\n")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_settings
def backup(settings: Settings, *, file: Path) -> None:
    """Write an encrypted backup to FILE, which must not exist."""
    with unlock(settings) as vault:
        size = vault.backup(file)
    settings.emit({"file": str(file), "bytes": size}, f"Backed up: {file} ({size:,} bytes).")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--finish", is_flag=True, help="Only compare a restored vault with its relay.")
@pass_settings
def restore(settings: Settings, *, file: Path | None, finish: bool) -> None:
    """Make a vault from a backup FILE, then compare it with its relay before any write."""
    from pds.vault.errors import VaultError
    from pds.vault.files import check_place
    from pds.vault.service import Vault

    process.harden()
    if (file is None) != finish:
        raise click.UsageError("Name a backup, or say --finish.")
    if file is not None:  # before anybody types a passphrase
        check_place(settings.vault)
        if not file.exists():
            raise VaultError(
                "there is no backup of that name",
                code="backup.missing",
                hint="Check the path of the backup.",
            )
    if file is None:
        vault = unlock(settings, older=True)
    elif settings.use_kit:
        vault = Vault.restore(file, settings.vault, kit=settings.kit(), heads=settings.heads)
    else:
        vault = Vault.restore(
            file, settings.vault, passphrase=settings.passphrase(), heads=settings.heads
        )
    with vault:
        if finish and not vault.status().restoring:
            raise click.UsageError("This vault is not waiting for the end of a restore.")
        try:
            report = vault.reconcile()
        except Exception:
            settings.say(
                "The data is restored. The vault sends nothing until it has been compared with "
                "its relay: run 'pds restore --finish' when that is possible."
            )
            raise
    settings.emit(
        {
            "mailboxes": report.mailboxes,
            "endedSince": report.ended,
            "unknownRelationships": report.unknown,
            "nextIndex": report.next_index,
        },
        f"Restored into {settings.vault}. {count(report.mailboxes, 'relationship')} found at the "
        f"relay, {count(report.ended, 'grant')} ended since the backup"
        + (
            f", and {count(report.unknown, 'relationship')} newer than the backup."
            if report.unknown
            else "."
        ),
    )


@click.command()
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many.",
)
@pass_settings
def activity(settings: Settings, *, limit: int) -> None:
    """What happened, newest first: decisions, redemptions, refusals, withdrawals, attestations.

    A company's reads inside its own walls are invisible to anyone but itself.
    """
    from did.time import format_time
    from pds.cli.sentences import Sentences

    with unlock(settings) as vault:
        lines = vault.activity(limit=limit)
        told = [] if settings.as_json else Sentences.of(vault).tell(lines)
    data = [
        {
            "n": line.n,
            "at": format_time(line.at),
            "kind": line.kind,
            "company": line.company,
            "purpose": line.purpose,
            "subject": line.subject,
            "detail": line.detail,
        }
        for line in lines
    ]

    def text() -> str:
        return "\n".join(told) or "Nothing has happened yet."

    settings.emit(data, text)


@click.group()
def vault() -> None:
    """Check the vault's files, make them smaller, save what damage has left."""


@vault.command("check")
@click.option(
    "--salvage",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Make a new vault in FOLDER of all that can still be read.",
)
@pass_settings
def vault_check(settings: Settings, *, salvage: Path | None) -> None:
    """Read every page and hold the history against its log, and the data against the history.

    \b
    Example: pds vault check
             pds vault check --salvage /media/disk/saved
    """
    if salvage is not None:
        _salvage(settings, salvage)
        return
    with unlock(settings) as opened:
        found = opened.check()
        lost = opened.losses() if found else []
    settings.emit(
        {"sound": not found, "problems": found, "lost": lost},
        "\n".join([*found, *(f"Lost: {one}" for one in lost)]) or "The vault is sound.",
    )
    if found:
        settings.say(
            "Restore a backup with 'pds restore'. Without one, save what can be read: "
            "pds vault check --salvage FOLDER"
        )
        raise click.exceptions.Exit(1)


def _salvage(settings: Settings, target: Path) -> None:
    from pds.vault.files import check_place, check_vault
    from pds.vault.service import Vault

    process.harden()
    check_vault(settings.vault)
    check_place(target)  # before anybody types a passphrase
    if settings.use_kit:
        report = Vault.salvage(settings.vault, target, kit=settings.kit())
    else:
        report = Vault.salvage(settings.vault, target, passphrase=settings.passphrase())
    settings.emit(
        {"vault": str(target), "items": report.items, "lost": report.lost},
        f"Saved into {target}: {count(report.items, 'item')}."
        + "".join(f"\nLost: {one}" for one in report.lost),
    )
    settings.say(
        f"It opens with the same passphrase. Next: pds --vault {target} restore --finish\n"
        "The damaged vault is as it was."
    )


@vault.command("compact")
@pass_settings
def vault_compact(settings: Settings) -> None:
    """Write the database anew without its gaps: smaller, and quicker to read.

    It needs as much free room as the vault is large. Other programs may have the vault open.

    \b
    Example: pds vault compact
    """
    with unlock(settings) as opened:
        settings.say("Checking every page, then writing them anew …")
        done = opened.compact()
    settings.emit(
        {"bytesBefore": done.before, "bytesAfter": done.after, "fileShrunk": done.shrunk},
        f"{done.before:,} bytes before, {done.after:,} now."
        + ("" if done.shrunk else " Another program reads it: the file shrinks when that ends."),
    )
