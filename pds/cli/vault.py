"""``pds init | status | backup | restore | activity | vault``.

Long, because it is one command after another.
"""

from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from pds.cli import process
from pds.cli.damage import damaged_json, damaged_line, damaged_lines
from pds.cli.output import Settings, count, local, pass_settings

if TYPE_CHECKING:
    from datetime import datetime

    from pds.vault.rehearsal import Rehearsal
    from pds.vault.service import Vault
    from pds.vault.wrapping import DataKey


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


def unlock(settings: Settings, *, fresh: bool = False, older: bool = False) -> "Vault":
    """Open the vault: with the kit when ``--kit`` was given, with a passphrase that was given, with
    the key that 'pds unlock' or the system's keyring keeps, or with a passphrase asked for.

    ``fresh``: never with a key that is merely kept. For what changes the keys themselves: an open
    terminal must not be enough to shut its owner out. ``older``: even if an earlier state of the
    vault was put back.
    """
    from pds.vault.files import check_vault
    from pds.vault.service import Vault

    process.harden()
    check_vault(settings.vault)  # before anybody types a passphrase
    passphrase = kit = kept = None
    if settings.use_kit:
        kit = settings.kit()
    elif not fresh and not settings.passphrase_given:
        kept = _kept(settings)
    if kit is None and kept is None:
        passphrase = settings.passphrase()
    vault = Vault.open(
        settings.vault,
        passphrase=passphrase,
        kit=kit,
        data_key=kept,
        heads=settings.heads,
        older=older,
    )
    if vault.reading_only is not None:
        settings.say(f"The vault is open for reading only, because {vault.reading_only}.")
    return vault


def _kept(settings: Settings) -> "DataKey | None":
    """The key that a keyring has for this vault; None when there is none, or it is of before."""
    from pds.vault import keyslots, osring, slotfile, unlocked
    from pds.vault.files import SLOTS

    slots = settings.vault / SLOTS
    try:
        vault = slotfile.read(slots).vault
        key = unlocked.recall(vault)
        if key is not None:
            try:
                keyslots.epoch(slots, key)
            except keyslots.KeyslotError:
                unlocked.forget(vault)  # the data key was rotated
            else:
                return key
        return osring.unlock(slots)
    except keyslots.KeyslotError as error:
        if error.code == "vault.keyring":
            settings.say(f"{error} The passphrase is needed instead.")
        return None  # what is wrong with the slots is said when the passphrase is tried


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
@click.option(
    "--kit-file",
    type=click.Path(dir_okay=False),
    help="Write the kit to a new file; to a page to print if it ends in .html.",
)
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
    from pds.cli.keys import grid, kit_place
    from pds.vault.files import check_place
    from pds.vault.keyslots import Argon2Params
    from pds.vault.service import Vault

    process.harden()
    token = None if relay_token_file is None else relay_token_file.read().strip()
    check_place(settings.vault)  # before anybody has thought of a passphrase
    if sandbox:  # elsewhere it is refused as a whole
        dev_trust = tuple(trust_line(line) for line in dev_trust)
    passphrase = settings.new_passphrase(weak=weak_passphrase)
    with kit_place(settings, kit_file) as keep:
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
            f"Your recovery kit. Write these words down; they are shown once:\n\n{grid(words)}\n",
        )
    else:
        settings.emit({"vault": str(settings.vault), "kitFile": kit_file}, "")
        settings.say(f"The recovery kit is in {kit_file}. Print it, then delete the file.")
    settings.say(
        f"The vault is ready in {settings.vault}\nNext: pds data import FILE, or pds open LINK."
    )


@click.command()
@pass_settings
def status(settings: Settings) -> None:
    """Unlock the vault once and say how it is."""
    with unlock(settings) as vault:
        shown, reading_only = vault.status(), vault.reading_only
    from did.time import format_time

    def when(at: "datetime | None") -> str | None:
        return None if at is None else format_time(at)

    def told(at: "datetime | None") -> str:
        return "never" if at is None else local(at)

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
            "readingOnly": reading_only,
            "lastSync": when(shown.last_sync),
            "lastBackup": when(shown.last_backup),
            "lastRehearsal": when(shown.last_rehearsal),
        },
        f"Unlocked. {count(shown.items, 'item')}, {count(shown.relationships, 'company')}, "
        f"{count(shown.live_grants, 'grant')} in force, "
        f"{count(shown.waiting, 'call')} waiting to be sent.\n"
        f"Relay: {shown.relay or 'none'}. Last sync: {told(shown.last_sync)}.\n"
        f"Last backup: {told(shown.last_backup)}. "
        f"Last rehearsed restore: {told(shown.last_rehearsal)}."
        + ("\nThis is a sandbox: what it grants is worth nothing outside." if shown.sandbox else "")
        + ("\nRestored, and not yet compared with its relay." if shown.restoring else ""),
    )


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--rehearse", is_flag=True, help="Restore it at once with the kit, to prove it.")
@pass_settings
def backup(settings: Settings, *, file: Path, rehearse: bool) -> None:
    """Write an encrypted backup to FILE, which must not exist.

    With --rehearse it is restored with the recovery kit, into a folder that is removed again: then
    you know that paper and file give everything back. The first backup asks for that.

    An attached file that cannot be read any more is left out and named; the exit code is then 1,
    and all the rest is in the backup.
    """
    if rehearse:
        settings.may_have_kit()
    with unlock(settings) as vault:
        done = vault.backup(file)
        told = damaged_lines(vault, done.left_out)
        first = vault.status().last_rehearsal is None
        if first and not rehearse and settings.can_ask:
            rehearse = click.confirm(
                "No restore was ever rehearsed. Do it now, with the recovery kit?",
                default=True,
                err=True,
            )
        found = vault.rehearse(file, kit=settings.kit()) if rehearse else None
    data = {"file": str(file), "bytes": done.size, "leftOut": damaged_json(done.left_out)}
    text = f"Backed up: {file} ({done.size:,} bytes)."
    if found is not None:
        settings.emit(data | {"rehearsal": _rehearsed(found)}, f"{text}\n{_told(found)}")
    else:
        settings.emit(data, text)
        if first:
            settings.say(f"No restore was ever rehearsed: pds restore --rehearse {file}")
    if told:
        settings.say(
            f"It is without {count(len(done.left_out), 'attached file')} that cannot be read:\n"
            + "\n".join(told)
        )
        raise click.exceptions.Exit(1)


def _rehearsed(found: "Rehearsal") -> dict[str, object]:
    from did.time import format_time

    return {
        "items": {name: n for name, n in sorted(found.items.items()) if n},
        "relationships": found.relationships,
        "grants": found.grants,
        "history": found.history,
        "without": found.without,
        "newest": None if found.newest is None else format_time(found.newest),
    }


def _told(found: "Rehearsal") -> str:
    kinds = ", ".join(f"{name} {n}" for name, n in sorted(found.items.items()) if n)
    newest = (
        "" if found.newest is None else f" Its newest entry is of {found.newest:%Y-%m-%d %H:%M}."
    )
    return (
        f"Rehearsed: the kit restores it. In it: {count(found.total, 'item')}"
        + (f" ({kinds})" if kinds else "")
        + f", {count(found.relationships, 'company')}, {count(found.grants, 'grant')}.{newest} "
        "Every page was read; nothing was sent, and the copy is removed."
        + (
            f" It is without {count(found.without, 'attached file')}, damaged when it was made."
            if found.without
            else ""
        )
    )


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--finish", is_flag=True, help="Only compare a restored vault with its relay.")
@click.option("--rehearse", is_flag=True, help="Only prove that the kit restores it.")
@pass_settings
def restore(settings: Settings, *, file: Path | None, finish: bool, rehearse: bool) -> None:
    """Make a vault from a backup FILE, then compare it with its relay before any write.

    With --rehearse nothing is made: the backup is restored with the recovery kit into a folder that
    is removed again, and nothing is sent. Example: pds --kit restore ~/vault.backup
    """
    from pds.vault.errors import VaultError
    from pds.vault.files import check_place
    from pds.vault.service import Vault

    process.harden()
    if (file is None) != finish or (rehearse and finish):
        raise click.UsageError("Name a backup, or say --finish.")
    if file is not None:  # before anybody types a passphrase
        if not rehearse:
            check_place(settings.vault)
        if not file.exists():
            raise VaultError(
                "there is no backup of that name",
                code="backup.missing",
                hint="Check the path of the backup.",
            )
    if file is not None and rehearse:
        _rehearse(settings, file)
        return
    if file is None:
        vault = unlock(settings, older=True)
    elif settings.use_kit:
        vault = Vault.restore(file, settings.vault, kit=settings.kit(), heads=settings.heads)
    else:
        vault = Vault.restore(
            file, settings.vault, passphrase=settings.passphrase(), heads=settings.heads
        )
    with vault:
        shown = vault.status()
        if finish and not shown.restoring:
            raise click.UsageError("This vault is not waiting for the end of a restore.")
        data, text = _restored(settings, vault)
        try:
            report = vault.reconcile()
        except Exception:
            settings.say(
                f"{text}\nThe vault sends nothing until it has been compared with its relay: run "
                "'pds restore --finish' when that is possible."
            )
            raise
    compared = (
        f"{count(report.mailboxes, 'relationship')} found at the relay, "
        f"{count(report.ended, 'grant')} ended since the backup"
        + (
            f", and {count(report.unknown, 'relationship')} newer than the backup."
            if report.unknown
            else "."
        )
        + (
            f"\n{count(report.recovered, 'grant')} made since the backup came back from your "
            "mailboxes; 'pds sharing' shows what still holds."
            if report.recovered
            else ""
        )
        + (
            f"\nLost for good: {count(report.lost, 'line')} of the vault's history since then, and "
            "what you entered."
            if report.lost
            else ""
        )
        + (
            "\nThe vault had gone another way since: look at 'pds activity'."
            if report.diverged
            else ""
        )
    )
    settings.emit(
        data
        | {
            "mailboxes": report.mailboxes,
            "endedSince": report.ended,
            "unknownRelationships": report.unknown,
            "nextIndex": report.next_index,
            "recovered": report.recovered,
            "lostHistory": report.lost,
            "diverged": report.diverged,
        },
        f"{text}\n{'It has no relay to be compared with.' if shown.relay is None else compared}",
    )


def _restored(settings: Settings, vault: "Vault") -> tuple[dict[str, object], str]:
    """What came back, up to which day, and what opens it now."""
    from did.time import format_time
    from pds.cli.keys import way_line

    items, ways, last = vault.status().items, vault.keys.list(), vault.activity(limit=1)
    data = {
        "vault": str(settings.vault),
        "items": items,
        "newest": format_time(last[0].at) if last else None,
        "opensWith": [{"kind": way.kind, "name": way.name} for way in ways],
    }
    newest = f", the newest entry of {last[0].at:%Y-%m-%d %H:%M} UTC" if last else ""
    return data, (
        f"Restored into {settings.vault}: {count(items, 'item')}{newest}.\n"
        "It opens with what opened it then, even if that was replaced since: "
        + "; ".join(way_line(way) for way in ways)
        + "."
    )


def _rehearse(settings: Settings, file: Path) -> None:
    """By the vault that is there, so that it remembers, if the same kit opens it."""
    from tempfile import gettempdir

    from did.time import utc_now
    from pds.vault.errors import VaultError
    from pds.vault.keyslots import KeyslotError
    from pds.vault.rehearsal import rehearse
    from pds.vault.service import Vault

    words = settings.kit()
    try:
        vault = Vault.open(settings.vault, kit=words)
    except (VaultError, KeyslotError) as error:
        place = settings.vault.parent
        work = place if place.is_dir() else Path(gettempdir())
        found = rehearse(file, kit=words, work=work, clock=utc_now)
        if error.code == "vault.wrong_secret":
            settings.say(
                "This kit opens the backup, but not the vault as it is now. Back it up anew."
            )
    else:
        with vault:
            found = vault.rehearse(file, kit=words)
    settings.emit(_rehearsed(found), _told(found))


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
    """Read every page and every attached file; hold the history against its log, and the data
    against the history, and the search index against the data: that one is made anew if it does
    not fit.

    \b
    Example: pds vault check
             pds vault check --salvage /media/disk/saved
    """
    from pds.vault.checkup import DERIVED

    if salvage is not None:
        _salvage(settings, salvage)
        return
    with unlock(settings) as opened:
        found, damaged = opened.look_over()
        mended = bool(found) and DERIVED.issuperset(found) and opened.reading_only is None
        if mended:
            opened.mend()
            found, damaged = opened.look_over()
        lost = opened.losses() if found else []
        told = damaged_lines(opened, damaged)
    settings.emit(
        {
            "sound": not (found or damaged),
            "problems": [*found, *map(str, damaged)],
            "lost": lost,
            "mended": mended,
            "attachments": damaged_json(damaged),
        },
        "\n".join([*found, *(f"Lost: {one}" for one in lost), *told]) or "The vault is sound.",
    )
    if mended:
        settings.say("The search index did not fit the items, and was made anew from them.")
    if damaged:
        raise click.exceptions.Exit(1)
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
        {
            "vault": str(target),
            "items": report.items,
            "lost": report.lost,
            "attachments": damaged_json(report.damaged),
            "restoring": report.restoring,
        },
        f"Saved into {target}: {count(report.items, 'item')}."
        + "".join(f"\nLost: {one}" for one in report.lost)
        + "".join(
            f"\n{damaged_line(one)}\n  of item {one.attachment.record_id}" for one in report.damaged
        ),
    )
    if report.damaged:
        settings.say(
            "Where you still have such a file, attach it to its item again: that mends it. A "
            "backup may have it too."
        )
    after = (
        f"Before it sends anything: pds --vault {target} restore --finish"
        if report.restoring
        else f"It is ready for use: pds --vault {target} status"
    )
    settings.say(
        "It opens with the same passphrases and the same recovery kit. The damaged vault is as it "
        f"was.\n{after}"
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
