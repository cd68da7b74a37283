"""Every fuzz target, for a moment; and that no way in was forgotten."""

import ast
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

# Those of ``did`` have tests of their own, in tests/did/test_parsers.py.
from did_parsers import PARSERS  # noqa: E402
from targets import TARGETS  # noqa: E402

NAMES = sorted(TARGETS.keys() - PARSERS.keys())


@pytest.mark.parametrize("name", NAMES)
def test_the_seeds_are_read_or_refused(name):
    """And there is at least one, for a fuzzer to begin from."""
    target = TARGETS[name]
    assert target.seeds
    for seed in target.seeds:
        with suppress(*target.errors):
            target.run(seed)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=25)
@example(b"")
@given(st.binary(max_size=60) | st.text(max_size=30).map(lambda t: t.encode("utf-8", "ignore")))
def test_noise_is_read_or_refused(name, raw):
    target = TARGETS[name]
    with suppress(*target.errors):
        target.run(raw)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=25)
@given(st.data())
def test_damaged_seeds_are_read_or_refused(name, data):
    target = TARGETS[name]
    raw = data.draw(st.sampled_from(target.seeds))
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 24)))
    piece = data.draw(
        st.sampled_from([b"", raw[start:end] * 2, b"null", b"{}", b"[]", b"1e9", b'"', b"\\ud800"])
        | st.binary(max_size=4)
    )
    with suppress(*target.errors):
        target.run(raw[:start] + piece + raw[end:])


VERBS = ("parse", "read_", "verify_", "open_", "decode", "from_json", "canonicalize_", "derive_")


# Modules with such functions that others call, which are in a target.
REACHED = {
    "credentials.compiled": "canonicalize_jsonld",
    "credentials.forms": "the times and forms of every credential",
    "credentials.key_binding": "verify_sd_jwt_vc",
    "credentials.ours": "verify_grant, verify_ticket",
    "credentials.profile": "verify_grant, verify_ticket, verify_status_list",
    "credentials.selective": "derive_credential",
    "credentials.cbor": "imported as a module",
    "credentials.nquads": "canonicalize_nquads",
}


def _ways_in(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith(VERBS):
            yield node.name


def test_every_module_that_reads_strangers_bytes_is_in_a_target():
    """By its name in the targets' source: a new parser of credentials is a decision here."""
    source = (HERE / "targets.py").read_text() + (HERE / "did_parsers.py").read_text()
    modules = {
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for path in (ROOT / "credentials").glob("*.py")
        if any(True for _ in _ways_in(path))
    }
    named = {module for module in modules if f"from {module} " in source}
    assert modules - named - set(REACHED) == set()
