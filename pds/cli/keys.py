"""``pds key | kit | passphrase | unlock | lock``: the ways into a vault."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pds.cli.output import Settings, pass_settings, read_secret
from pds.cli.vault import unlock as open_vault

if TYPE_CHECKING:
    from pds.vault.keys import WayIn

_Function = TypeVar("_Function", bound=Callable[..., Any])
_UNITS = {"s": 1, "m": 60, "h": 3600}
_LONGEST = 12 * 3600
_KINDS = {"passphrase": "passphrase", "recovery": "recovery kit", "keyring": "system keyring"}
_OLD_BACKUPS = "Backups made before still open with the secrets of their day: delete those."


def _takes_passphrase(function: _Function) -> _Function:
    """The options of every command that takes a new passphrase."""
    for option in (
        click.option(
            "--weak-passphrase", is_flag=True, help="Take one of fewer than 8 characters too."
        ),
        click.option(
            "--kdf-memory",
            type=click.IntRange(64, 2048),
            default=256,
            show_default=True,
            help="MiB that unlocking by passphrase takes.",
        ),
        click.option(
            "--new-passphrase-fd", type=int, help="Read the new one from this descriptor."
        ),
    ):
        function = option(function)
    return function


def _may_ask_new(settings: Settings, descriptor: int | None) -> None:
    if descriptor is None:
        settings.may_ask("new passphrase", "--new-passphrase-fd")


def _new_passphrase(settings: Settings, descriptor: int | None, *, weak: bool) -> str:
    if descriptor is None:
        return settings.ask_new(weak=weak)
    return settings.check_new(read_secret(descriptor), weak=weak)


@click.command()
@_takes_passphrase
@pass_settings
def passphrase(
    settings: Settings, *, new_passphrase_fd: int | None, kdf_memory: int, weak_passphrase: bool
) -> None:
    """Change the passphrase. The data is not written again; old backups keep the old one.

    All passphrases are replaced by this one; 'pds key change' replaces one of several.
    """
    from pds.vault.keyslots import Argon2Params

    _may_ask_new(settings, new_passphrase_fd)
    with open_vault(settings, fresh=True) as vault:
        new = _new_passphrase(settings, new_passphrase_fd, weak=weak_passphrase)
        vault.keys.change_passphrase(new, params=Argon2Params(memory_kib=kdf_memory * 1024))
    settings.emit({"changed": True}, "The passphrase is changed.")


# ---- the kit


@contextmanager
def kit_place(settings: Settings, kit_file: str | None) -> Iterator[Callable[[str], None]]:
    """Take the kit's file before the kit is made: one with no place to go would be lost.

    A name that ends in ``.html`` becomes a page to print, any other the words alone.
    """
    if kit_file is None:
        yield lambda _words: None
        return
    from pds.vault import slotfile
    from pds.vault.files import SLOTS
    from pds.vault.kitpage import KitPage, page_place

    try:
        with page_place(Path(kit_file)) as out:

            def keep(words: str) -> None:
                if kit_file.lower().endswith(".html"):
                    vault = slotfile.read(settings.vault / SLOTS).vault
                    out.write(KitPage(vault, datetime.now(UTC), [words]).html())
                else:
                    out.write(words + "\n")

            yield keep
    except FileExistsError:
        raise click.UsageError("The kit file exists already; it is never overwritten.") from None


def grid(words: str) -> str:
    """Numbered words in rows of four, for a terminal."""
    listed = words.split()
    cells = [f"{n:>2}. {word:<10}" for n, word in enumerate(listed, start=1)]
    return "\n".join("  " + "".join(cells[row : row + 4]) for row in range(0, len(cells), 4))


def _told(sheets: list[str]) -> str:
    if len(sheets) == 1:
        return f"Your new recovery kit:\n\n{grid(sheets[0])}\n"
    return (
        "Your new recovery kit, as three sheets. Any two of them open the vault; keep them in "
        "three places:\n\n"
        + "\n".join(f"Sheet {n}\n{grid(words)}\n" for n, words in enumerate(sheets, start=1))
    )


@click.group(invoke_without_command=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--shares", is_flag=True, help="As three sheets, any two of which open the vault.")
@pass_settings
@click.pass_context
def kit(ctx: click.Context, settings: Settings, *, yes: bool, shares: bool) -> None:
    """Replace the recovery kit: the old words open this vault no more.

    With --shares the new one comes as three sheets: any two restore, one alone is worth nothing.
    'pds kit print kit.html' makes a page to print.
    """
    if ctx.invoked_subcommand is not None:
        return
    settings.confirm("Replace the recovery kit?", yes=yes)
    with open_vault(settings, fresh=True) as vault:
        sheets = _sheets(vault.keys.new_kit(), shares=shares)
    settings.emit({"sheets": sheets} if shares else {"recoveryKit": sheets[0]}, _told(sheets))


@kit.command("print")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--shares", is_flag=True, help="As three sheets, any two of which open the vault.")
@pass_settings
def kit_print(settings: Settings, *, file: Path, yes: bool, shares: bool) -> None:
    """Write the recovery kit as a page to print, to the new FILE.html, for your eyes alone.

    With 'pds --kit kit print kit.html' it is the kit whose words you give. Otherwise it is a new
    one, and the old words open this vault no more. Print it, then delete the file.
    """
    from pds.vault.kitpage import KitPage, page_place

    if file.suffix.lower() not in {".html", ".htm"}:
        raise click.UsageError(
            "The page is HTML, for a browser to print: end its name in .html. For the words alone: "
            "pds kit"
        )
    known = settings.use_kit
    if not known:
        settings.confirm("Replace the recovery kit by the one that is printed?", yes=yes)
    with open_vault(settings, fresh=True) as vault:
        keys = vault.keys
        try:
            with page_place(file) as out:

                def keep(words: str) -> None:
                    sheets = _sheets(words, shares=shares)
                    out.write(KitPage(keys.vault_id, datetime.now(UTC), sheets).html())
                    out.flush()

                if known:
                    keep(settings.kit())
                else:
                    keys.new_kit(keep=keep)
        except FileExistsError:
            raise click.UsageError("The file exists already; it is never overwritten.") from None
    settings.emit({"kitPage": str(file), "replaced": not known}, "")
    settings.say(
        f"The recovery kit is in {file}. Open it in a browser, print it, then delete the file: "
        "whoever reads it has the vault."
    )


def _sheets(words: str, *, shares: bool) -> list[str]:
    """The one line of 24 words, whatever it was typed as, or the three sheets."""
    from pds.vault.kit import kit_secret, kit_words
    from pds.vault.shares import split

    secret = kit_secret(words)
    return list(split(secret)) if shares else [kit_words(secret)]


# ---- all ways in


@click.group()
def key() -> None:
    """The ways into the vault: passphrases, the recovery kit, the system's keyring."""


@key.command("list")
@pass_settings
def key_list(settings: Settings) -> None:
    """What opens the vault: numbered, with kind, name and date. None of it is secret."""
    from did.time import format_time

    with open_vault(settings) as vault:
        ways = vault.keys.list()
    settings.emit(
        [
            {
                "n": n,
                "id": way.id,
                "kind": way.kind,
                "name": way.name,
                "added": None if way.added is None else format_time(way.added),
                "memoryMib": None if way.memory_kib is None else way.memory_kib // 1024,
            }
            for n, way in enumerate(ways, start=1)
        ],
        lambda: "\n".join(f"{n}. {way_line(way)}" for n, way in enumerate(ways, start=1)),
    )


def way_line(way: "WayIn") -> str:
    name = f' "{way.name}"' if way.name else ""
    since = "" if way.added is None else f", since {way.added.date().isoformat()}"
    cost = "" if way.memory_kib is None else f", {way.memory_kib // 1024} MiB"
    return f"{_KINDS[way.kind]}{name}{since}{cost}"


@key.command("add")
@click.option("--keyring", is_flag=True, help="Let the system's keyring open it, unasked.")
@click.option("--name", default="", help='Your word for it, e.g. "laptop".')
@_takes_passphrase
@pass_settings
def key_add(
    settings: Settings,
    *,
    keyring: bool,
    name: str,
    new_passphrase_fd: int | None,
    kdf_memory: int,
    weak_passphrase: bool,
) -> None:
    """Add a way in: another passphrase, or the system's keyring.

    With --keyring the vault opens without asking for as long as you are logged in: whoever sits
    down at your unlocked session has it too. Example: pds key add --keyring --name laptop
    """
    from pds.vault.keyslots import Argon2Params

    if not keyring:
        _may_ask_new(settings, new_passphrase_fd)
    with open_vault(settings, fresh=True) as vault:
        if keyring:
            way = vault.keys.add_keyring(name=name)
        else:
            new = _new_passphrase(settings, new_passphrase_fd, weak=weak_passphrase)
            params = Argon2Params(memory_kib=kdf_memory * 1024)
            way = vault.keys.add_passphrase(new, name=name, params=params)
    settings.emit({"id": way.id, "kind": way.kind}, f"Added: {way_line(way)}.")


@key.command("change")
@click.argument("way")
@_takes_passphrase
@pass_settings
def key_change(
    settings: Settings,
    *,
    way: str,
    new_passphrase_fd: int | None,
    kdf_memory: int,
    weak_passphrase: bool,
) -> None:
    """Replace one passphrase; WAY is its number in 'pds key list', its name or its id.

    'pds kit' replaces the recovery kit. Example: pds key change 1
    """
    from pds.vault.keyslots import Argon2Params

    _may_ask_new(settings, new_passphrase_fd)
    with open_vault(settings, fresh=True) as vault:
        found = vault.keys.find(way)
        if found.kind != "passphrase":
            raise click.UsageError("That is no passphrase. 'pds kit' replaces the recovery kit.")
        new = _new_passphrase(settings, new_passphrase_fd, weak=weak_passphrase)
        params = Argon2Params(memory_kib=kdf_memory * 1024)
        vault.keys.change_passphrase(new, slot_id=found.id, params=params)
    settings.emit({"changed": True}, "The passphrase is changed. " + _OLD_BACKUPS)


@key.command("remove")
@click.argument("way")
@click.option("--without-kit", is_flag=True, help="Take the recovery kit away, and have none.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def key_remove(settings: Settings, *, way: str, without_kit: bool, yes: bool) -> None:
    """Take a way in away; WAY is its number in 'pds key list', its name or its id.

    The last one stays. Without the kit a forgotten passphrase loses the vault and every backup, so
    that needs --without-kit. Example: pds key remove laptop
    """
    settings.may_confirm("Take this way in away?", yes=yes)
    with open_vault(settings, fresh=True) as vault:
        found = vault.keys.find(way)
        settings.confirm(f"Take this way in away: {way_line(found)}?", yes=yes)
        vault.keys.remove(found.id, without_kit=without_kit)
    settings.emit(
        {"removed": found.id}, f"It opens this vault no more: {way_line(found)}. {_OLD_BACKUPS}"
    )


@key.command("rotate")
@click.option("--kit-file", type=click.Path(dir_okay=False),
              help="Write the new kit to a new file; .html makes it a page to print.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@_takes_passphrase
@pass_settings
def key_rotate(
    settings: Settings,
    *,
    kit_file: str | None,
    yes: bool,
    new_passphrase_fd: int | None,
    kdf_memory: int,
    weak_passphrase: bool,
) -> None:
    """After a compromise: a new data key, a new passphrase, a new recovery kit.

    The whole vault is written again under the new key, which needs as much free space as it takes
    now. Other passphrases and the system's keyring have to be added again. Backups made before
    still open with the secrets of their day, and the identities towards companies stay the same.
    """
    from pds.vault.keyslots import Argon2Params

    _may_ask_new(settings, new_passphrase_fd)
    settings.confirm("Write the vault again under a new key, and replace every way in?", yes=yes)
    with open_vault(settings, fresh=True) as vault:
        dropped = max(len(vault.keys.list()) - 2, 0)
        new = _new_passphrase(settings, new_passphrase_fd, weak=weak_passphrase)
        shown: list[str] = []
        with kit_place(settings, kit_file) as keep:

            def take(words: str) -> None:
                keep(words)
                shown.append(words)

            params = Argon2Params(memory_kib=kdf_memory * 1024)
            vault.rotate_key(passphrase=new, params=params, keep=take)
    data: dict[str, Any] = {"rotated": True, "waysInDropped": dropped}
    if kit_file is None:
        settings.emit(data | {"recoveryKit": shown[0]}, _told(shown))
    else:
        settings.emit(data | {"kitFile": kit_file}, "")
        settings.say(f"The new recovery kit is in {kit_file}. Print it, then delete the file.")
    settings.say(
        "The vault has a new key; the old passphrase and the old kit open it no more. "
        + ("Other ways in are gone: add them again with 'pds key add'. " if dropped else "")
        + _OLD_BACKUPS
    )


# ---- for a while


@click.command()
@click.option("--for", "how_long", default="15m", show_default=True,
              help="How long: 90s, 15m, 2h; at most 12h.")  # fmt: skip
@pass_settings
def unlock(settings: Settings, *, how_long: str) -> None:
    """Keep the vault open for a while: no passphrase until then, or until 'pds lock'.

    The key lies in the kernel's memory, never on a disk, and any program of yours can use it
    meanwhile. What changes the keys themselves asks all the same. Example: pds unlock --for 1h
    """
    from did.time import format_time

    shown = re.fullmatch(r"([1-9][0-9]{0,4})([smh])", how_long)
    seconds = int(shown[1]) * _UNITS[shown[2]] if shown else 0
    if not 0 < seconds <= _LONGEST:
        raise click.UsageError("Say how long as 90s, 15m or 2h; at most 12h.")
    with open_vault(settings, fresh=True) as vault:
        vault.stay_unlocked(seconds)
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    settings.emit(
        {"unlockedUntil": format_time(until.replace(microsecond=0))},
        f"Unlocked until {until.astimezone():%H:%M}; 'pds lock' ends it sooner.",
    )


@click.command()
@pass_settings
def lock(settings: Settings) -> None:
    """Forget the key that 'pds unlock' keeps. A vault that is open in a program stays so there."""
    from pds.vault import slotfile, unlocked
    from pds.vault.files import SLOTS, check_vault

    check_vault(settings.vault)
    was = unlocked.forget(slotfile.read(settings.vault / SLOTS).vault)
    settings.emit({"locked": True, "wasUnlocked": was}, "Locked." if was else "It was locked.")
