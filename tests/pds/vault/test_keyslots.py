"""Opening a vault, changing how it is opened, and a slot file that is not as it was written."""

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from did.json import canonicalize
from pds.vault import keyslots
from pds.vault.keyslots import Argon2Params, DataKey, KeyslotError

FLOOR = Argon2Params(memory_kib=65_536, time=3, lanes=4)


@pytest.fixture
def slot_file(tmp_path: Path) -> Path:
    return tmp_path / "slots.json"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DataKey, str]:
    path = tmp_path_factory.mktemp("original") / "slots.json"
    return (path, *keyslots.create(path, passphrase="correct horse", params=FLOOR))


@pytest.fixture
def made(slot_file: Path, original: tuple[Path, DataKey, str]) -> tuple[DataKey, str]:
    path, data_key, words = original
    shutil.copy(path, slot_file)
    return data_key, words


def same(one: DataKey, two: DataKey) -> bool:
    return one.unsafe_export() == two.unsafe_export()


def fails(code: str, act: Callable[[], object]) -> KeyslotError:
    with pytest.raises(KeyslotError) as caught:
        act()
    assert caught.value.code == code
    return caught.value


def test_passphrase_and_kit_open_the_same_key(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """Both ways of opening lead to the data key that was made."""
    data_key, words = made
    assert same(keyslots.unlock_passphrase(slot_file, "correct horse"), data_key)
    assert same(keyslots.unlock_kit(slot_file, words), data_key)


def test_a_wrong_passphrase_or_kit_is_refused(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """A wrong secret ends with exit code 3 and is not repeated."""
    error = fails("vault.wrong_secret", lambda: keyslots.unlock_passphrase(slot_file, "battery"))
    assert error.exit_code == 3
    assert "battery" not in str(error) + error.hint
    other = keyslots.create(
        slot_file.with_name("other.json"), passphrase="correct horse", params=FLOOR
    )[1]
    fails("vault.wrong_secret", lambda: keyslots.unlock_kit(slot_file, other))


def test_a_passphrase_is_one_however_it_is_composed(slot_file: Path) -> None:
    """é as one character and as two opens the same vault; white space and case count."""
    data_key, _ = keyslots.create(slot_file, passphrase="Árvíztűrő", params=FLOOR)
    decomposed = unicodedata.normalize("NFD", "Árvíztűrő")
    assert same(keyslots.unlock_passphrase(slot_file, decomposed), data_key)
    fails("vault.wrong_secret", lambda: keyslots.unlock_passphrase(slot_file, "árvíztűrő"))


@pytest.mark.parametrize("passphrase", ["", "\ud800"])
def test_an_unusable_passphrase_is_refused(slot_file: Path, passphrase: str) -> None:
    """Empty and ill-formed passphrases make no vault."""
    fails("vault.passphrase", lambda: keyslots.create(slot_file, passphrase=passphrase))
    assert not slot_file.exists()


def test_changing_the_passphrase_keeps_key_and_kit(
    slot_file: Path, made: tuple[DataKey, str]
) -> None:
    """The old passphrase opens nothing, the new one and the kit open the same data key."""
    data_key, words = made
    keyslots.change_passphrase(slot_file, data_key, "new", params=FLOOR)
    assert same(keyslots.unlock_passphrase(slot_file, "new"), data_key)
    assert same(keyslots.unlock_kit(slot_file, words), data_key)
    fails("vault.wrong_secret", lambda: keyslots.unlock_passphrase(slot_file, "correct horse"))


def test_replacing_the_kit_ends_the_old_one(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """An old kit opens nothing any more."""
    data_key, words = made
    new = keyslots.replace_kit(slot_file, data_key)
    assert same(keyslots.unlock_kit(slot_file, new), data_key)
    fails("vault.wrong_secret", lambda: keyslots.unlock_kit(slot_file, words))


def test_the_epoch_rises_with_every_change(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """Each writing is one epoch; the vault's id stays."""
    data_key, _ = made
    identity = keyslots.vault_id(slot_file, data_key)
    assert keyslots.epoch(slot_file, data_key) == 1
    keyslots.change_passphrase(slot_file, data_key, "new", params=FLOOR)
    keyslots.replace_kit(slot_file, data_key)
    assert keyslots.epoch(slot_file, data_key) == 3
    assert keyslots.check_epoch(slot_file, data_key, at_least=2) == 3
    assert keyslots.check_epoch(slot_file, data_key, at_least=3) == 3
    assert keyslots.vault_id(slot_file, data_key) == identity
    assert len(identity) == 22


def test_slots_are_added_and_removed(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """A second passphrase opens too, until its slot is removed; the last slot stays."""
    data_key, _ = made
    added = keyslots.add_passphrase(slot_file, data_key, "second", params=FLOOR)
    assert same(keyslots.unlock_passphrase(slot_file, "second"), data_key)
    assert same(keyslots.unlock_passphrase(slot_file, "correct horse"), data_key)
    kinds = [slot.kind for slot in keyslots.list_slots(slot_file, data_key)]
    assert kinds == ["passphrase", "recovery", "passphrase"]
    keyslots.remove_slot(slot_file, data_key, added)
    fails("vault.wrong_secret", lambda: keyslots.unlock_passphrase(slot_file, "second"))
    fails("vault.slot_unknown", lambda: keyslots.remove_slot(slot_file, data_key, added))
    first, last = keyslots.list_slots(slot_file, data_key)
    keyslots.remove_slot(slot_file, data_key, first.id)
    fails("vault.last_slot", lambda: keyslots.remove_slot(slot_file, data_key, last.id))


def test_there_are_at_most_eight_slots(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """A ninth slot is refused and the file stays as it was."""
    data_key, _ = made
    for number in range(6):
        keyslots.add_passphrase(slot_file, data_key, f"p{number}", params=FLOOR)
    before = slot_file.read_bytes()
    fails(
        "vault.too_many_slots",
        lambda: keyslots.add_passphrase(slot_file, data_key, "p", params=FLOOR),
    )
    assert slot_file.read_bytes() == before


def test_a_foreign_data_key_changes_nothing(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """Whoever does not hold the data key cannot write a slot."""
    before = slot_file.read_bytes()
    foreign = DataKey(bytes(32))
    for act in (
        lambda: keyslots.change_passphrase(slot_file, foreign, "new", params=FLOOR),
        lambda: keyslots.replace_kit(slot_file, foreign),
        lambda: keyslots.epoch(slot_file, foreign),
    ):
        fails("vault.slots_damaged", act)
    assert slot_file.read_bytes() == before


def test_a_missing_and_an_existing_file_are_told(
    slot_file: Path, made: tuple[DataKey, str]
) -> None:
    """A vault is never written over, and a missing slot file is named."""
    before = slot_file.read_bytes()
    fails("vault.slots_exist", lambda: keyslots.create(slot_file, passphrase="x", params=FLOOR))
    assert slot_file.read_bytes() == before
    missing = slot_file.with_name("none.json")
    fails("vault.slots_missing", lambda: keyslots.unlock_passphrase(missing, "x"))


def test_nothing_secret_is_shown_or_stored(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """The file is for the owner alone and holds neither key; `repr` shows nothing."""
    data_key, words = made
    assert slot_file.stat().st_mode & 0o777 == 0o600
    assert repr(data_key) == "DataKey()"
    stored = slot_file.read_text()
    assert "correct" not in stored
    assert words.split()[0] + " " not in stored


def test_derived_keys_are_frozen_and_apart() -> None:
    """The keys for database, MAC, audit and blobs differ and never change."""
    key = DataKey(bytes(32))
    labels = ("database", "slot-mac", "audit", "blobs")
    assert len({key.derive(label) for label in labels}) == 4
    assert (
        key.derive("database").hex()
        == "7ebb695fc83da9bd9ea662a1182ba3ca68d11634aa6ddf499e05602a85a3ba29"
    )
    with pytest.raises(KeyslotError):
        DataKey(bytes(31))


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_bytes(canonicalize(document) + b"\n")


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "format": lambda d: d.update(format="pds/v2/slots"),
    "vault": lambda d: d.update(vault="AAAAAAAAAAAAAAAAAAAAAA"),
    "short vault": lambda d: d.update(vault="AAAA"),
    "epoch raised": lambda d: d.update(epoch=2),
    "epoch zero": lambda d: d.update(epoch=0),
    "epoch true": lambda d: d.update(epoch=True),
    "epoch text": lambda d: d.update(epoch="1"),
    "mac": lambda d: d.update(mac="A" * 43),
    "no mac": lambda d: d.pop("mac"),
    "member added": lambda d: d.update(more=1),
    "slots no list": lambda d: d.update(slots={}),
    "no slots": lambda d: d.update(slots=[]),
    "slot no object": lambda d: d["slots"].append("x"),
    "slot repeated": lambda d: d["slots"].append(d["slots"][0]),
    "slot removed": lambda d: d["slots"].pop(0),
    "slots reordered": lambda d: d["slots"].reverse(),
    "slot member added": lambda d: d["slots"][0].update(more=1),
    "slot id": lambda d: d["slots"][1].update(id="AAAAAAAAAAAAAAAAAAAAAA"),
    "kind": lambda d: d["slots"][1].update(kind="passphrase"),
    "unknown kind": lambda d: d["slots"][1].update(kind="token"),
    "kdf no object": lambda d: d["slots"][0].update(kdf="argon2id"),
    "kdf member added": lambda d: d["slots"][0]["kdf"].update(more=1),
    "quick kdf": lambda d: d["slots"][0].update(kdf=d["slots"][1]["kdf"]),
    "memory text": lambda d: d["slots"][0]["kdf"].update(memoryKib="65536"),
    "salt length": lambda d: d["slots"][0]["kdf"].update(salt="AAAA"),
    "salt not text": lambda d: d["slots"][0]["kdf"].update(salt=7),
    "salt padded": lambda d: d["slots"][0]["kdf"].update(salt="AAAAAAAAAAAAAAAAAAAAAA=="),
    "nonce": lambda d: d["slots"][1].update(nonce="A" * 16),
    "wrapped": lambda d: d["slots"][1].update(wrapped="A" * 64),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_is_refused(slot_file: Path, made: tuple[DataKey, str], name: str) -> None:
    """Whatever is changed, the right kit gets no key but the word that the file is damaged."""
    data_key, words = made
    rewritten(slot_file, lambda document: void(CHANGES[name](document)))
    fails("vault.slots_damaged", lambda: keyslots.unlock_kit(slot_file, words))
    fails("vault.slots_damaged", lambda: keyslots.epoch(slot_file, data_key))


def void(_: object) -> None:
    """Take a value and give none."""


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]\n", b"\xff", b"{" * 100, b"x" * 20_000])
def test_a_file_that_is_no_slot_file_is_refused(slot_file: Path, raw: bytes) -> None:
    """Empty, foreign, binary, deep and large files are damaged ones."""
    slot_file.write_bytes(raw)
    fails("vault.slots_damaged", lambda: keyslots.unlock_passphrase(slot_file, "x"))


def test_only_the_exact_form_is_read(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """Another spelling of the same JSON is refused: what is authenticated is what was on disk."""
    data_key, _ = made
    raw = slot_file.read_bytes()
    for other in (raw + b" ", raw.rstrip(), raw.replace(b":1,", b": 1,"), b" " + raw):
        slot_file.write_bytes(other)
        fails("vault.slots_damaged", lambda: keyslots.epoch(slot_file, data_key))


@settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(place=st.integers(0, 10_000), mask=st.integers(1, 255))
def test_one_changed_byte_never_gives_a_key(slot_file: Path, place: int, mask: int) -> None:
    """After a change to any one byte of the file the kit opens nothing."""
    if not slot_file.exists():
        _, words = keyslots.create(slot_file, passphrase="p", params=FLOOR)
        slot_file.with_name("words").write_text(words)
        slot_file.with_name("whole").write_bytes(slot_file.read_bytes())
    words = slot_file.with_name("words").read_text()
    raw = bytearray(slot_file.with_name("whole").read_bytes())
    raw[place % len(raw)] ^= mask
    slot_file.write_bytes(raw)
    with pytest.raises(KeyslotError) as caught:
        keyslots.unlock_kit(slot_file, words)
    assert caught.value.code in {
        "vault.slots_damaged",
        "vault.wrong_secret",
        "vault.kdf_out_of_range",
    }


def test_too_little_memory_is_said(
    slot_file: Path, made: tuple[DataKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the machine cannot give the memory, the error says how much it takes."""

    def starved(**_: object) -> object:
        raise MemoryError

    monkeypatch.setattr("pds.vault.wrapping.Argon2id", starved)
    error = fails("vault.kdf_memory", lambda: keyslots.unlock_passphrase(slot_file, "x"))
    assert "64 MiB" in error.hint
    assert error.exit_code == 4


def test_default_cost() -> None:
    """Nobody gets less than 256 MiB, three passes and four lanes without asking."""
    assert Argon2Params() == Argon2Params(memory_kib=262_144, time=3, lanes=4)
