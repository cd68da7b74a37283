"""Every way a command can fail, as a code, a sentence, a hint and an exit code.

Loaded when something has failed. Sentences never repeat what was typed: an argument may be a
name, an address, or a secret that got there by mistake.
"""

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

DONE, REFUSED, USAGE, LOCKED, LATER, DEFECT, STOPPED = 0, 1, 2, 3, 4, 70, 130


@dataclass(frozen=True, slots=True)
class Failure:
    """What is told. ``usage`` is the command's synopsis, where the command was written wrongly."""

    code: str
    message: str
    hint: str = ""
    exit_code: int = REFUSED
    usage: str = ""


# What to do next on the command line, where the error itself comes from a room that cannot know.
_HINTS: "Mapping[str, str]" = {
    "backup.missing": "Check the path of the backup.",
    "company.exists": "Use it as it is, or name another folder with --data.",
    "company.missing": "Make one with 'pds company --data FOLDER init', or check --data.",
    "company.not_found": "See: pds company --data FOLDER grants",
    "data.deleted": "See: pds data list",
    "data.invalid": "Compare it with an item that is there: pds data list",
    "data.not_found": "See: pds data list",
    "import.empty": "Export the file anew, then import it.",
    "json.syntax": "Check that the whole file is there, and that it is JSON.",
    "relay.token": "Ask its operator for the token, then: pds relay use URL --token-file FILE",
    "sealing.cannot_open": "If it came by a link, ask for a new link.",
    "message.malformed": "Compare it with docs/protocol.md.",
    "vault.locked": "Give the passphrase, or the recovery kit with --kit.",
}

_FILES: "Mapping[int, tuple[str, str, str]]" = {
    errno.ENOENT: ("file.missing", "a file or folder that is needed is not there", "Check paths."),
    errno.EACCES: ("file.not_allowed", "the system does not allow it", "Check owner and mode."),
    errno.EPERM: ("file.not_allowed", "the system does not allow it", "Check owner and mode."),
    errno.EROFS: ("file.not_allowed", "that disk can only be read", "Choose another place."),
    errno.EEXIST: ("file.wrong_kind", "something else is at that place", "Check paths."),
    errno.ENOTDIR: ("file.wrong_kind", "a part of the path is a file, no folder", "Check paths."),
    errno.EISDIR: ("file.wrong_kind", "that is a folder, not a file", "Check paths."),
    errno.ENAMETOOLONG: ("file.name", "a name is too long for this disk", "Choose a shorter one."),
    errno.ENOSPC: ("file.no_space", "the disk is full", "Free some space, then try again."),
    errno.EDQUOT: ("file.no_space", "your quota is used up", "Free some space, then try again."),
}


def explain(error: Exception) -> Failure | None:
    """The failure behind an exception; ``None`` for one that nobody foresaw: a defect."""
    code = getattr(error, "code", None)
    if isinstance(code, str):
        exit_code = getattr(error, "exit_code", REFUSED)
        return Failure(
            code=code,
            message=str(error),
            hint=str(getattr(error, "hint", "")) or _HINTS.get(code, ""),
            exit_code=exit_code if isinstance(exit_code, int) else REFUSED,
        )
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, OSError):
        return _file(error)
    if type(error).__module__.startswith("sqlcipher3"):
        return _database(error)
    return None


def _file(error: OSError) -> Failure | None:
    if error.errno is None:
        return None
    name = errno.errorcode.get(error.errno, "unknown")
    fallback = ("file.failed", f"the system refused: {name}", "Check the path and the disk.")
    code, message, hint = _FILES.get(error.errno, fallback)
    return Failure(code=code, message=f"{message}; nothing was done", hint=hint)


def _database(error: Exception) -> Failure | None:
    from pds.db import DbError, translate

    try:
        with translate():
            raise error
    except DbError as known:
        return explain(known)
    except Exception:  # noqa: BLE001  one that translate does not know: a defect
        return None


def _usage(error: click.ClickException) -> Failure:
    context = getattr(error, "ctx", None)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return Failure("usage", "a command is missing", exit_code=USAGE, usage=error.message)
    return Failure(
        code="usage",
        message=_sentence(error),
        hint=f"See: {'pds' if context is None else context.command_path} --help",
        exit_code=USAGE,
        usage="" if context is None else context.get_usage(),
    )


def _sentence(error: click.ClickException) -> str:
    """Click's own sentences repeat the rejected value; these say only which part it was."""
    match error:
        case click.MissingParameter():
            return f"{_name(error)} is missing"
        case click.BadParameter():
            return f"{_name(error)} does not fit: {_expected(error)}"
        case click.NoSuchOption():
            near = error.possibilities or ()
            return "there is no such option" + (f"; is it {' or '.join(near)}?" if near else "")
        case click.exceptions.NoSuchCommand():
            near = getattr(error, "possibilities", None) or ()
            return "there is no such command" + (f"; is it {' or '.join(near)}?" if near else "")
        case click.BadOptionUsage():
            return f"{error.option_name} is used wrongly: it takes a value, or takes none"
        case click.BadArgumentUsage():
            return "an argument does not fit"
        case click.FileError():
            return "a file cannot be opened"
        case click.UsageError() if error.message.startswith("Got unexpected extra argument"):
            return "there are more arguments than this command takes"
        case _:
            # Ours: raised with a fixed sentence.
            return error.format_message()


def _name(error: click.BadParameter) -> str:
    if error.param is None:
        return "an argument"
    if isinstance(error.param, click.Option):
        return max(error.param.opts, key=len)
    return error.param.make_metavar(error.ctx or click.Context(click.Command(None)))


def _expected(error: click.BadParameter) -> str:
    kind = None if error.param is None else error.param.type
    match kind:
        case click.Choice():
            return "choose " + ", ".join(str(choice) for choice in kind.choices)
        case click.IntRange():
            low, high = kind.min, kind.max
            most = "" if high is None else f", at most {high}"
            return f"a whole number{'' if low is None else f', at least {low}'}{most}"
        case click.Path():
            if kind.exists and not kind.dir_okay:
                return "it must be a file that can be read"
            return "it must be a folder" if kind.dir_okay else "it must be a file"
        case click.File():
            return "it must be a file that can be read"
    if kind is click.INT:
        return "a whole number"
    return "see the help for how it is written"
