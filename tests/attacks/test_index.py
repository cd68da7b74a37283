"""Every attack that this release promises to refuse has a test that bears its number."""

import ast
import re
from pathlib import Path

import pytest

NAME = re.compile(r"test_attack_([0-9]{2})_[a-z0-9_]+")
# fmt: off
REQUIRED = frozenset({
    *range(1, 58), *range(59, 84), *range(91, 100),
})
# fmt: on


def numbers(source: str) -> set[int]:
    """The numbers that the test functions of a module bear."""
    found = (
        NAME.fullmatch(node.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    )
    return {int(match[1]) for match in found if match}


def covered() -> set[int]:
    here = Path(__file__).parent
    files = [*here.glob("*.py"), *here.with_name("scenarios").glob("*.py")]
    return {n for path in files for n in numbers(path.read_text(encoding="utf-8"))}


def test_every_attack_has_a_test() -> None:
    """None of the numbers promised is without a test."""
    assert sorted(REQUIRED - covered()) == []


def test_what_is_promised_is_what_is_required() -> None:
    """The table in SECURITY.md has these numbers, each once, and no others."""
    text = (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("## Attacks by number")[2].partition("Numbered, not yet covered")[0]
    promised = [int(number) for number in re.findall(r"(?:\| |· )([0-9]{1,2}) ", table)]
    assert sorted(promised) == sorted(REQUIRED)


@pytest.mark.parametrize("source", ["def test_attack_7_x(): ...", "# def test_attack_07_x()", "x"])
def test_only_functions_count(source: str) -> None:
    """A comment, or a name of another form, is no test."""
    assert numbers(source) == set()


def test_a_function_counts() -> None:
    """A function of the agreed form is found, in a class too."""
    source = "def test_attack_07_x(): ...\nclass T:\n    def test_attack_65_y(self): ..."
    assert numbers(source) == {7, 65}
