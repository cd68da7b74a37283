"""Every fuzz target, for a moment; and that no way in was forgotten."""

import ast
import random
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

# Those of ``did`` have further tests of their own, in tests/did/test_parsers.py.
from did_parsers import PARSERS  # noqa: E402
from target import changed  # noqa: E402
from targets import TARGETS  # noqa: E402

NAMES = sorted(TARGETS.keys() - PARSERS.keys())
# Those that sign, seal or go through RDF for each input; a fuzzer has more time for them.
SLOW = {
    *("context_of_a_stranger", "derive_pointers", "message_sealed", "package_sealed", "schema"),
    *("key_binding_signed", "presentation_signed_rdfc", "redemption_stated", "relay_answers"),
    *("message_signed", "package_signed", "status_list_general", "webvh_witness"),
    *("relay_bodies", "relay_bodies_signed", "relay_paths"),
    *("witness_submitted", "witness_submitted_signed"),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_seeds_are_read_or_refused(name):
    """And there is at least one, for a fuzzer to begin from."""
    target = TARGETS[name]
    assert target.seeds
    for seed in target.seeds:
        with suppress(*target.errors):
            target.run(seed)


def _try(name, number):
    target = TARGETS[name]
    with suppress(*target.errors):
        target.run(changed(random.Random(number), target.seeds))


@pytest.mark.parametrize("name", sorted(set(NAMES) - SLOW))
@settings(deadline=None, max_examples=120, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_damage_is_read_or_refused(name, number):
    """The same number makes the same damage: ``target.changed`` is told by it what to do."""
    _try(name, number)


@pytest.mark.parametrize("name", sorted(SLOW))
@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_damage_is_read_or_refused_where_it_takes_longer(name, number):
    _try(name, number)


VERBS = (
    *("parse", "read", "verify", "open", "decode", "from_", "canonicalize", "derive", "check"),
    *("resolve", "reveal", "select", "dereference", "witnessed"),
)
# What no target goes through, and why it need not.
LEFT_OUT = {
    "did.agreement AgreementKey.from_seed": "a secret of one's own",
    "did.agreement AgreementKey.from_signing_key": "a secret of one's own",
    "did.mldsa MldsaSigningKey.from_seed": "a secret of one's own",
    "did.methods.webvh.entry Proofs.verify": "a protocol, of which credentials.webvh is the one",
    "credentials.suites.signature Verifies.verify": "a protocol, of which the keys are three",
}


def _ways_in(package):
    """Public functions and methods that read or verify something, by file and name."""

    def within(node, file, prefix):
        for inner in node.body:
            if isinstance(inner, ast.ClassDef) and not inner.name.startswith("_"):
                yield from within(inner, file, f"{inner.name}.")
            elif isinstance(inner, ast.FunctionDef) and (
                inner.name.startswith(VERBS) or inner.name.endswith("_decode")
            ):
                yield file, prefix + inner.name

    for path in sorted((ROOT / package).rglob("*.py")):
        yield from within(ast.parse(path.read_text(encoding="utf-8")), str(path), "")


_CACHED = type(lru_cache(int))


def _forget():
    """What was read before is read again."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("did", "credentials"):
            for value in list(vars(module).values()):
                # By its type: other objects, such as a web framework's, may not be asked for names.
                if type(value) is _CACHED:
                    value.cache_clear()


def test_every_way_in_is_gone_through_by_a_target():
    """With its seeds alone. A new reader of did or credentials is a target's business, or its
    reason stands in the list; and what is in the list is there and not gone through."""
    called = set()

    def note(frame, event, _argument):
        if event == "call":
            called.add((frame.f_code.co_filename, frame.f_code.co_qualname))

    _forget()
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for target in TARGETS.values():
            for seed in target.seeds:
                with suppress(*target.errors):
                    target.run(seed)
    finally:
        sys.setprofile(before)
    ways = {*_ways_in("did"), *_ways_in("credentials")}
    assert len(ways) > 100
    missed = {
        Path(file).relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") + f" {name}"
        for file, name in ways - called
    }
    assert missed == set(LEFT_OUT)
