"""Salted leaves and receipts."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import DidError
from did.json import JsonObject
from did.keys import SigningKey
from did.multikey import b64url_encode
from pds.log import (
    Checkpoint,
    LogError,
    MemoryNodes,
    NoteInvalid,
    ProofInvalid,
    Receipt,
    ReceiptInvalid,
    Tree,
    leaf_of,
    sign_checkpoint,
    verify_receipt,
)

ORIGIN = "relay.example/log"
KEY = SigningKey.from_seed(bytes(range(32)))
SALT = bytes(range(100, 132))
ENTRY: JsonObject = {"type": "Redemption", "time": "2026-01-02T03:04:05Z", "ordinal": 3}


def receipt_for(index: int = 5, size: int = 11, entry: JsonObject = ENTRY) -> Receipt:
    tree = Tree(MemoryNodes(), 0)
    for n in range(size):
        tree.append(leaf_of(SALT if n == index else bytes(32), entry if n == index else {"n": n}))
    note = sign_checkpoint(Checkpoint(ORIGIN, size, tree.root()), KEY)
    return Receipt(entry, SALT, index, tuple(tree.inclusion(index, size)), note)


RAW = receipt_for().to_json()


def code_of(raw: JsonObject) -> str:
    with pytest.raises(LogError) as caught:
        verify_receipt(raw, origin=ORIGIN, log_key=KEY.verify_key)
    return caught.value.code


def changed(change: Callable[[dict[str, Any]], object]) -> JsonObject:
    raw = copy.deepcopy(RAW)
    change(raw)
    return raw


def test_a_receipt_is_verified_offline() -> None:
    """Entry, salt, path and checkpoint of one log fit together, also after JSON."""
    raw = json.loads(json.dumps(RAW))
    verified = verify_receipt(raw, origin=ORIGIN, log_key=KEY.verify_key)
    assert verified.receipt.entry == ENTRY
    assert verified.receipt.leaf_index == 5
    assert verified.checkpoint.size == 11
    assert verified.receipt.id == b64url_encode(leaf_of(SALT, ENTRY))
    assert verified.receipt.to_json() == RAW


def test_a_log_of_one_entry_has_a_receipt() -> None:
    """The empty path is the proof of an only leaf."""
    raw = receipt_for(0, 1).to_json()
    assert raw["inclusion"] == []
    verify_receipt(raw, origin=ORIGIN, log_key=KEY.verify_key)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_parsing_and_writing_are_inverse(data: st.DataObject) -> None:
    """Any position in any small log."""
    size = data.draw(st.integers(1, 40))
    receipt = receipt_for(data.draw(st.integers(0, size - 1)), size)
    assert Receipt.parse(receipt.to_json()) == receipt
    verify_receipt(receipt.to_json(), origin=ORIGIN, log_key=KEY.verify_key)


def test_the_leaf_depends_on_salt_and_entry_and_not_on_the_order_of_members() -> None:
    """The canonical form is hashed, under a salt."""
    backwards = dict(reversed(ENTRY.items()))
    assert leaf_of(SALT, backwards) == leaf_of(SALT, ENTRY)
    assert leaf_of(bytes(32), ENTRY) != leaf_of(SALT, ENTRY)
    assert leaf_of(SALT, {**ENTRY, "ordinal": 4}) != leaf_of(SALT, ENTRY)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_salt_of_another_length_is_refused(length: int) -> None:
    """A shorter salt could be guessed; a longer one could swallow the entry's beginning."""
    with pytest.raises(ReceiptInvalid):
        leaf_of(bytes(length), ENTRY)


def test_an_entry_without_canonical_form_is_refused() -> None:
    """Numbers beyond 2^53 have none."""
    with pytest.raises(DidError):
        leaf_of(SALT, {"n": 2**53})


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw["entry"].update(ordinal=4),
        lambda raw: raw["entry"].update(more=True),
        lambda raw: raw["entry"].pop("time"),
        lambda raw: raw.update(salt=b64url_encode(bytes(32))),
        lambda raw: raw.update(leafIndex=4),
        lambda raw: raw.update(leafIndex=11),
        lambda raw: raw.update(leafIndex=2**52),
        lambda raw: raw["inclusion"].pop(),
        lambda raw: raw["inclusion"].reverse(),
        lambda raw: raw["inclusion"].append(b64url_encode(bytes(32))),
        lambda raw: raw["inclusion"].__setitem__(0, b64url_encode(bytes(32))),
    ],
)
def test_an_altered_receipt_proves_nothing(change: Callable[[dict[str, Any]], object]) -> None:
    """Entry, salt, number and path are all bound to the signed root."""
    raw = changed(change)
    assert code_of(raw) == "log.inclusion"
    with pytest.raises(ProofInvalid):
        verify_receipt(raw, origin=ORIGIN, log_key=KEY.verify_key)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.pop("entry"),
        lambda raw: raw.update(more=1),
        lambda raw: raw.update(entry=[]),
        lambda raw: raw.update(entry={"n": 1.5}),
        lambda raw: raw.update(entry={"n": 2**53}),
        lambda raw: raw.update(entry={"n": "\ud800"}),
        lambda raw: raw.update(salt=None),
        lambda raw: raw.update(salt=raw["salt"] + "="),
        lambda raw: raw.update(salt=b64url_encode(bytes(31))),
        lambda raw: raw.update(salt="A" * 100_000),
        lambda raw: raw.update(leafIndex=-1),
        lambda raw: raw.update(leafIndex=True),
        lambda raw: raw.update(leafIndex="5"),
        lambda raw: raw.update(leafIndex=2**53),
        lambda raw: raw.update(inclusion=None),
        lambda raw: raw.update(inclusion=[1]),
        lambda raw: raw.update(inclusion=[b64url_encode(bytes(33))]),
        lambda raw: raw.update(inclusion=[b64url_encode(bytes(32))] * 65),
        lambda raw: raw.update(checkpoint=None),
        lambda raw: raw.update(checkpoint="x" * 300_000),
    ],
)
def test_a_malformed_receipt_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    """Each member has one form, and there is no sixth."""
    assert code_of(changed(change)) == "log.receipt"


def test_a_receipt_of_another_log_is_refused() -> None:
    """The origin and the key are expected, never taken from the receipt."""
    other = SigningKey.from_seed(bytes(32))
    for origin, key in (("other.example", KEY), (ORIGIN, other)):
        with pytest.raises(NoteInvalid) as caught:
            verify_receipt(RAW, origin=origin, log_key=key.verify_key)
        assert caught.value.code == "log.signature"


def test_later_changes_do_not_reach_a_verified_receipt() -> None:
    """What was verified is what is acted upon."""
    raw: Any = copy.deepcopy(RAW)
    verified = verify_receipt(raw, origin=ORIGIN, log_key=KEY.verify_key)
    raw["entry"]["ordinal"] = 99
    assert verified.receipt.entry == ENTRY


def test_the_entry_is_not_printed() -> None:
    """An entry may be personal and must not reach a traceback or a log line."""
    assert repr(receipt_for()) == "<Receipt of leaf 5>"
