"""The package as a whole."""

import doctest

import did


def test_the_example_of_the_package_runs() -> None:
    """The docstring is a program."""
    result = doctest.testmod(did)
    assert result.attempted > 5
    assert result.failed == 0
