"""Problems in words: what is written down as a problem has a sentence of its own."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pds.cli.company_words import PROBLEMS
from pds.cli.problems import HOLDER, Words, words
from pds.wire import TITLES

ROOT = Path(__file__).resolve().parents[3]
_CODE = re.compile(r"[a-z]+\.[a-z_]+")


def _named_in(package: str, *functions: str) -> Iterator[str]:
    """The codes that are written in calls of these functions."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if (node.func.id if isinstance(node.func, ast.Name) else called) not in functions:
                continue
            for given in (*node.args, *(one.value for one in node.keywords)):
                if isinstance(given, ast.Constant) and _CODE.fullmatch(str(given.value)):
                    yield str(given.value)


@pytest.mark.parametrize(
    ("known", "package", "functions"),
    [
        (HOLDER, "pds/vault", ("report_evidence", "add_evidence", "_evidence", "_give_up")),
        (PROBLEMS, "pds/company", ("problem",)),
    ],
    ids=["vault", "company"],
)
def test_what_is_kept_as_a_problem_has_words(
    known: Words, package: str, functions: tuple[str, ...]
) -> None:
    """The words of an area alone may say something that is not so."""
    codes = set(_named_in(package, *functions))
    assert len(codes) > 3
    assert codes - known.keys() - {code.value for code in TITLES} == set()


def test_other_codes_have_those_of_the_relay_or_of_their_area() -> None:
    """And one that nobody knows says that something went wrong."""
    assert words("relay.expired", {}) == ("The ticket is over", "")
    assert words("status.url", {}) == ("the status list cannot be believed", "")
    assert words("nobody.knows", {}) == ("something went wrong", "")
