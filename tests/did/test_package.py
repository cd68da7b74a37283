"""The package as a whole."""

import doctest
import subprocess
import sys

import did

EXAMPLE = "".join(e.source for e in doctest.DocTestParser().get_examples(did.__doc__ or ""))


def test_the_example_of_the_package_runs() -> None:
    """The docstring is a program."""
    result = doctest.testmod(did)
    assert result.attempted > 5
    assert result.failed == 0


def test_who_meets_only_ed25519_loads_no_second_library() -> None:
    """Resolving and verifying with such keys leaves ``cryptography`` and did:webvh alone."""
    program = (
        f"import sys\n{EXAMPLE}\n"
        "print(any(m in sys.modules for m in ('cryptography', 'did.methods.webvh')))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.splitlines()[-1] == "False"
