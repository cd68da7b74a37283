"""What the README and the examples tell people to type exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pds.cli.main import cli

ROOT = Path(__file__).parents[3]
PAGES = (
    "README.md", "docs/examples/README.md", "docs/vcapi.md", "docs/export.md", "docs/agent.md",
    "docs/log.md",
)  # fmt: skip


def _lines() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                yield page, line


def _commands() -> Iterator[tuple[str, ...]]:
    """Each ``pds …`` of a line, without what stands around it."""
    for _, line in _lines():
        words = list(shlex.shlex(line, posix=True, punctuation_chars=True))
        for part in re.split(r"\s+(?:&&|&|\||>)\s+", " ".join(map(shlex.quote, words))):
            found = shlex.split(part)
            if found[:1] == ["pds"]:
                yield tuple(found[1:])


ALL = sorted(set(_commands()))


def test_there_are_commands_to_look_at() -> None:
    """Otherwise the other test would say nothing."""
    assert len(ALL) > 20


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_what_the_readme_says_can_be_typed(words: tuple[str, ...]) -> None:
    """Every command and every option of it is one that the program has."""
    command: click.Command = cli
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest.pop(0))
        assert found is not None, words
        command = found
    assert rest or not isinstance(command, click.Group)
    options = {name for p in (*command.params, *cli.params) for name in p.opts} | {"--help"}
    assert {word for word in rest if word.startswith("--")} <= options
    wanted = {
        name
        for p in command.params
        if isinstance(p, click.Option) and p.required
        for name in p.opts
    }
    assert wanted <= set(rest), words


def test_the_files_that_the_readme_names_are_there() -> None:
    """What is copied from the page finds its files in a clone."""
    text = "\n".join(line for _, line in _lines())
    files = set(re.findall(r"\b(?:scripts|docs)/[\w./-]+", text))
    assert files
    for name in files:
        assert (ROOT / name).exists(), name
