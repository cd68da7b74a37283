"""What the command line says of itself, and what it loads to say it."""

import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from pds.cli import errors
from pds.cli.examples import EXAMPLES
from pds.cli.main import COMMANDS, cli


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


ALL = sorted(_commands(cli))


def _find(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command


def test_every_command_of_the_table_is_there() -> None:
    """Each name in the table of commands leads to a command."""
    assert {path[0] for path in ALL} == set(COMMANDS)
    assert len(ALL) > 40


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...], pds: Callable[..., Any]) -> None:
    """Help works without vault, folder or secret, and says what the command does."""
    ran = pds(*path, "--help")
    assert ran.code == 0
    assert ran.err == ""
    assert f"Usage: pds {' '.join(path)} " in ran.out
    command = _find(path)
    assert command.help is not None
    assert len(command.help) > 15
    if not isinstance(command, click.Group):
        assert "--json" in ran.out


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_explains_itself(path: tuple[str, ...]) -> None:
    """An option has a help text, and none of them takes a secret as its value."""
    for option in _find(path).params:
        if isinstance(option, click.Option):
            assert option.help, option.opts
            secret = re.search("passphrase|kit|token|secret|key", " ".join(option.opts))
            safe = option.is_flag or option.opts[0].endswith(("-fd", "-file", "-key"))
            assert not secret or safe, option.opts


def _examples(path: tuple[str, ...]) -> list[str]:
    """What a command's help says that one can type."""
    command = _find(path)
    inside = re.findall(r"(?:e\.g\.:?|Example:)\s+(pds .*)", command.help or "")
    row = EXAMPLES.get(" ".join(path))
    return [*inside, *([row] if row else [])]


LEAVES = [path for path in ALL if not isinstance(_find(path), click.Group) or path == ("kit",)]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_an_example_that_can_be_typed(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The parser takes it as it stands, and it is of this command."""
    examples = _examples(path)
    assert examples
    reached: list[click.Command] = []
    monkeypatch.setattr(click.Command, "invoke", lambda self, _ctx: reached.append(self))
    monkeypatch.chdir(tmp_path)
    for example in examples:
        words = list(itertools.takewhile(lambda word: word != ">", shlex.split(example)))
        for word in words:
            if re.fullmatch(r"[\w-]+\.\w+|registration-token", word):
                Path(word).touch()  # some have to be there
        cli.main(words[1:], prog_name="pds", standalone_mode=False)
        assert reached[-1] is _find(path), example


def test_every_row_of_examples_is_of_a_command() -> None:
    """None is left of a command that was renamed, and none hides one in the sentences."""
    assert set(EXAMPLES) <= {" ".join(path) for path in LEAVES}
    assert not [path for path in LEAVES if len(_examples(path)) > 1 and " ".join(path) in EXAMPLES]


def test_no_global_option_takes_a_secret() -> None:
    """Passphrase and kit come by descriptor, environment or prompt."""
    for option in cli.params:
        assert option.name not in {"passphrase", "kit", "secret"}
    assert {p.name for p in cli.params if not getattr(p, "is_flag", False)} == {
        "folder", "passphrase_fd", "kit_fd",
    }  # fmt: skip


def test_the_documented_exit_codes_are_those_of_the_program(pds: Callable[..., Any]) -> None:
    """``pds --help`` names every exit code that a script can act on."""
    text = pds("--help").out
    for code in (errors.DONE, errors.REFUSED, errors.USAGE, errors.LOCKED, errors.LATER):
        assert re.search(rf"\b{code} [a-z]", text)
    assert "_PDS_COMPLETE" in text


def test_help_has_no_colours(pds_process: Callable[..., Any]) -> None:
    """Nothing is ever coloured, so NO_COLOR has nothing to switch off."""
    for more in ({}, {"FORCE_COLOR": "1"}, {"NO_COLOR": "1"}):
        ran = pds_process("--help", **more)
        assert ran.code == 0
        assert "\x1b" not in ran.out + ran.err


def _loaded(*arguments: str) -> set[str]:
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"sys.argv = ['pds', *{list(arguments)!r}]\n"
        "from pds.cli.main import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    return set(done.stderr.split())


def test_help_loads_almost_nothing() -> None:
    """``pds --help`` loads click and two rooms of ours: it has to be quick."""
    loaded = _loaded("--help")
    ours = {m for m in loaded if m.split(".")[0] in {"pds", "did", "credentials"}}
    assert ours == {"pds", "pds.cli", "pds.cli.main", "pds.cli.output"}
    assert not loaded & {"json", "dataclasses", "pathlib", "platformdirs", "ctypes"}


def test_verify_loads_no_vault_and_no_network() -> None:
    """``pds verify FILE`` needs the two pure packages only."""
    loaded = _loaded("verify", "/nowhere")
    assert not [m for m in loaded if m.startswith(("pds.vault", "pds.net", "pds.relay", "flask"))]
    assert not loaded & {"cryptography", "sqlcipher3", "urllib3", "socket", "ssl", "granian"}


def test_completion_knows_the_commands(pds_process: Callable[..., Any]) -> None:
    """The shell's completion, as the help text tells how to switch it on."""
    script = pds_process(_PDS_COMPLETE="bash_source")
    assert script.code == 0
    assert "_pds_completion" in script.out
    ran = pds_process(_PDS_COMPLETE="bash_complete", COMP_WORDS="pds da", COMP_CWORD="1")
    assert ran.out.split() == ["plain,data"]
    ran = pds_process(_PDS_COMPLETE="bash_complete", COMP_WORDS="pds data i", COMP_CWORD="2")
    assert ran.out.split() == ["plain,import", "plain,imports"]


@pytest.mark.parametrize("path", [(), ("data",), ("data", "add"), ("verify",)], ids=" ".join)
def test_help_the_other_way_round(path: tuple[str, ...], pds: Callable[..., Any]) -> None:
    """``pds help data add`` says what ``pds data add --help`` says."""
    assert pds("help", *path).out == pds(*path, "--help").out


def test_version(pds: Callable[..., Any]) -> None:
    """The version is that of the installed package."""
    assert re.fullmatch(r"pds, version [0-9]+\.[0-9.]+\n", pds("--version").out)
