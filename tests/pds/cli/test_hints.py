"""Every command that a sentence of the program or of a document names is there to be typed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pds.cli.main import cli

ROOT = Path(__file__).parents[3]
SOURCES = sorted(
    path for name in ("pds", "did", "credentials") for path in (ROOT / name).rglob("*.py")
)
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
# Sentences that go on where a command would stand: pds itself.
PROSE = frozenset({"itself", "is", "and", "or", "in", "of", "on", "that", "has", "not", "example"})
ENDS = "'\"`.,;:!?)|<>…&#\\"


def _texts(file: Path) -> Iterator[str]:
    """The strings of a module, docstrings and f-strings too; of a document its lines."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        yield from text.replace("\\\n", " ").splitlines()
        # A command between backticks may go over the end of a line.
        yield from re.findall(r"(?<!`)`(pds [^`]*\n[^`]*)`", text)
        return
    inside = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "VALUE"
                for part in node.values
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield node.value


def _commands(text: str) -> Iterator[list[str]]:
    """What stands behind each ``pds``, word by word, up to the end of the command."""
    for found in re.finditer(r"(?<![\w./:-])pds (?=[a-z-])", text):
        words = []
        for word in text[found.end() :].split():
            if word == "pds":
                break
            bare = word.strip(ENDS + "(")
            words.append(bare)
            if (word[-1] in ENDS and not bare.startswith("--")) or word[0] in ">|&#":
                break
        yield words


def _missing(words: list[str]) -> str | None:
    """The first part of a command that does not exist."""
    command: click.Command = cli
    context = click.Context(cli)
    options: set[str] = {"--help", "-h"}
    skip = False
    for word in words:
        options |= {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        if skip:
            skip = False
        elif word.startswith("--"):
            name = word.partition("=")[0].strip("]")
            if name not in options:
                return word
            if name == "--help":
                return None
            skip = any(
                isinstance(one, click.Option) and name in one.opts and not one.is_flag
                for one in command.params
            )
        elif isinstance(command, click.Group):
            if not re.fullmatch("[a-z][a-z-]*", word):
                return None
            below = command.get_command(context, word)
            if below is None:
                whole = command is cli or not command.invoke_without_command
                return word if whole and not (command is cli and word in PROSE) else None
            command = below
    return None


@pytest.mark.parametrize(
    "file", [*SOURCES, *DOCUMENTS], ids=lambda file: str(file.relative_to(ROOT))
)
def test_what_is_named_exists(file: Path) -> None:
    """Each command, each verb beneath it, and each option that goes with it."""
    wrong = [
        (" ".join(["pds", *words]), missing)
        for text in _texts(file)
        for words in _commands(text)
        if (missing := _missing(words)) is not None
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("See: pds data lst", "lst"),
        ("Look with 'pds company problems', then", "problems"),
        ("pds vault check --salvge FOLDER", "--salvge"),
        ("pds --vault F company --data G frobnicate", "frobnicate"),
        ("pds relation shop.example", None),
        ("Run 'pds sync' later, see --nothing", None),
        ("pds company --data FOLDER grants. It is --not", None),
    ],
)
def test_a_command_that_is_none_is_found(text: str, missing: str | None) -> None:
    """The search finds what it is there for, and nothing else."""
    (words,) = _commands(text)
    assert _missing(words) == missing
