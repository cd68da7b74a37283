"""Attacks on sealed content, recipient keys and key slots."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from did.json import canonicalize
from did.multikey import b64url_encode
from pds.sealing import (
    SealingError,
    SealingKey,
    SealingPublicKey,
    length_prefixed,
    lock_with_secret,
    open_sealed,
    pad,
    seal,
    unlock_with_secret,
)
from pds.vault import keyslots, slotfile
from pds.vault.keyslots import Argon2Params, DataKey, KeyslotError

KEY = SealingKey.from_seed(b"\x01" * 32)
OTHER = SealingKey.from_seed(b"\x02" * 32)
LABEL, CONTEXT = "pds/v1/message", "mailbox-of-a"
FLOOR = Argon2Params(memory_kib=65_536, time=3, lanes=4)

# RFC 7748 has the curve; its points of low order, canonical encodings of 0, 1, p-1 and the two of
# order eight.
LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]


def cannot_open(data: bytes, *, key: SealingKey = KEY, **changed: str) -> None:
    with pytest.raises(SealingError) as caught:
        open_sealed(data, key=key, **({"label": LABEL, "context": CONTEXT} | changed))
    assert caught.value.code == "sealing.cannot_open"


def slots_refuse(code: str, act: Callable[[], object]) -> None:
    with pytest.raises(KeyslotError) as caught:
        act()
    assert caught.value.code == code


@pytest.fixture
def slot_file(tmp_path: Path) -> Path:
    return tmp_path / "slots.json"


@pytest.fixture
def made(slot_file: Path) -> tuple[DataKey, str]:
    return keyslots.create(slot_file, passphrase="same for both", params=FLOOR)


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_bytes(canonicalize(document) + b"\n")


@pytest.mark.parametrize("point", LOW_ORDER)
def test_attack_05_zero_x25519_in_a_sealing_key(point: bytes) -> None:
    """A recipient key whose X25519 half has low order is refused when it is imported."""
    with pytest.raises(SealingError) as caught:
        SealingPublicKey.from_bytes(KEY.public.bytes[:1184] + point)
    assert caught.value.code == "sealing.key"
    assert "low order" in str(caught.value)


@pytest.mark.parametrize("version", [b"", b"\x01"])
def test_attack_14_hybrid_downgraded_blob(version: bytes) -> None:
    """What is sealed to the X25519 half alone does not open, whatever its length."""
    raw = X25519PublicKey.from_public_bytes(KEY.public.bytes[1184:])
    classic = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    info = length_prefixed(
        b"pds/v1/seal",
        b"MLKEM768-X25519,HKDF-SHA256,AES-256-GCM",
        LABEL.encode(),
        KEY.public.id.encode(),
        CONTEXT.encode(),
    )
    sealed = classic.encrypt(pad(b"x"), raw, info)
    cannot_open(version + sealed)
    filled = sealed[:32] + bytes(1120 - 32) + sealed[32:]
    cannot_open(version + filled)


def test_attack_14_hybrid_downgraded_key() -> None:
    """An X25519 key, alone or under the hybrid's name, is no sealing key."""
    classic = X25519PrivateKey.generate().public_key().public_bytes_raw()
    for raw in (
        {"kem": "MLKEM768-X25519", "publicKey": b64url_encode(classic)},
        {"kem": "X25519", "publicKey": b64url_encode(classic)},
        {"kem": "X25519", "publicKey": b64url_encode(KEY.public.bytes)},
    ):
        with pytest.raises(SealingError) as caught:
            SealingPublicKey.parse({**raw})
        assert caught.value.code == "sealing.key"


@pytest.mark.parametrize(
    "padded",
    [
        2**20 + 4096,  # between two steps
        2**20 + 2**19,
        2**21 - 1,
        3 * 2**20,  # a step beyond the one that is needed
        17 * 2**20,  # beyond the last
    ],
)
def test_attack_52_a_size_that_is_no_step(padded: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What says by its length how long it is, or hides something in it, opens for nobody: sealed
    and locked alike, though key, label and place are right."""
    content = bytes(2**20)
    octets = len(content).to_bytes(4, "big") + content + bytes(padded - 4 - len(content))
    monkeypatch.setattr("pds.sealing.pad", lambda _: octets)
    sealed = seal(content, to=KEY.public, label=LABEL, context=CONTEXT)
    locked = lock_with_secret(content, secret=bytes(32), label=LABEL, context=CONTEXT)
    monkeypatch.undo()
    cannot_open(sealed)
    with pytest.raises(SealingError) as caught:
        unlock_with_secret(locked, secret=bytes(32), label=LABEL, context=CONTEXT)
    assert caught.value.code == "sealing.cannot_open"


def test_attack_53_substituted_recipient_key() -> None:
    """A key put in the place of the expected one is noticed by its id."""
    SealingPublicKey.parse(OTHER.public.to_json(), expected_id=OTHER.public.id)
    with pytest.raises(SealingError) as caught:
        SealingPublicKey.parse(OTHER.public.to_json(), expected_id=KEY.public.id)
    assert caught.value.code == "sealing.key"


def test_attack_53_half_substituted_recipient_key() -> None:
    """The id covers both halves of the key."""
    for mixed in (
        KEY.public.bytes[:1184] + OTHER.public.bytes[1184:],
        OTHER.public.bytes[:1184] + KEY.public.bytes[1184:],
    ):
        raw = SealingPublicKey.from_bytes(mixed).to_json()
        with pytest.raises(SealingError):
            SealingPublicKey.parse(raw, expected_id=KEY.public.id)


def test_attack_53_another_key_does_not_open() -> None:
    """Only the key that it was sealed to opens it."""
    sealed = seal(b"x", to=KEY.public, label=LABEL, context=CONTEXT)
    assert open_sealed(sealed, key=KEY, label=LABEL, context=CONTEXT) == b"x"
    cannot_open(sealed, key=OTHER)


@pytest.mark.parametrize(
    "changed",
    [
        {"context": "mailbox-of-b"},
        {"label": "pds/v1/package"},
        {"context": ""},
    ],
)
def test_attack_70_sealed_message_presented_elsewhere(changed: dict[str, str]) -> None:
    """Sealed for one mailbox or step, it does not open in another with the same key."""
    cannot_open(seal(b"x", to=KEY.public, label=LABEL, context=CONTEXT), **changed)


def test_attack_70_locked_request_divided_differently() -> None:
    """The same letters divided differently between label and context do not unlock."""
    locked = lock_with_secret(b"x", secret=bytes(32), label="request", context="one")
    with pytest.raises(SealingError) as caught:
        unlock_with_secret(locked, secret=bytes(32), label="requesto", context="ne")
    assert caught.value.code == "sealing.cannot_open"


@pytest.mark.parametrize(
    "cost",
    [
        {"memoryKib": 65_535},
        {"memoryKib": 0},
        {"memoryKib": -1},
        {"memoryKib": 2_097_153},
        {"memoryKib": 2**53 - 1},
        {"time": 2},
        {"time": 17},
        {"lanes": 3},
        {"lanes": 17},
    ],
)
def test_attack_60_kdf_cost_out_of_range(
    slot_file: Path,
    made: tuple[DataKey, str],
    monkeypatch: pytest.MonkeyPatch,
    cost: dict[str, int],
) -> None:
    """A cost below the floor or above the ceiling is refused before anything is computed."""

    def computed(**_: object) -> object:
        pytest.fail("Argon2id was started")

    monkeypatch.setattr("pds.vault.wrapping.Argon2id", computed)
    rewrite(slot_file, lambda d: d["slots"][0]["kdf"].update(cost))
    slots_refuse(
        "vault.kdf_out_of_range", lambda: keyslots.unlock_passphrase(slot_file, "same for both")
    )


def test_attack_60_a_second_slot_with_hostile_cost(
    slot_file: Path, made: tuple[DataKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All slots are checked before the first is tried."""
    data_key, _ = made
    keyslots.add_passphrase(slot_file, data_key, "second", params=FLOOR)

    def computed(**_: object) -> object:
        pytest.fail("Argon2id was started")

    monkeypatch.setattr("pds.vault.wrapping.Argon2id", computed)
    rewrite(slot_file, lambda d: d["slots"][2]["kdf"].update(memoryKib=2**40))
    slots_refuse("vault.kdf_out_of_range", lambda: keyslots.unlock_passphrase(slot_file, "x"))


@pytest.mark.parametrize(("memory_kib", "time", "lanes"), [(65_535, 3, 4), (65_536, 2, 4)])
def test_attack_60_nobody_chooses_less(memory_kib: int, time: int, lanes: int) -> None:
    """Not even the program itself can make a slot below the floor."""
    slots_refuse("vault.kdf_out_of_range", lambda: Argon2Params(memory_kib, time, lanes))


def test_attack_61_slot_moved_in_from_another_vault(
    slot_file: Path, made: tuple[DataKey, str]
) -> None:
    """A slot of another vault does not open here, even for whoever knows its passphrase."""
    foreign = slot_file.with_name("foreign.json")
    keyslots.create(foreign, passphrase="same for both", params=FLOOR)
    slot = json.loads(foreign.read_text())["slots"][0]
    rewrite(slot_file, lambda d: d["slots"].__setitem__(0, slot))
    slots_refuse(
        "vault.slots_damaged", lambda: keyslots.unlock_passphrase(slot_file, "same for both")
    )


def test_attack_61_slot_moved_in_with_its_vault_id(
    slot_file: Path, made: tuple[DataKey, str]
) -> None:
    """With the other vault's id as well, the slot opens to the other's key, and the MAC does not
    fit: no key is given."""
    foreign = slot_file.with_name("foreign.json")
    keyslots.create(foreign, passphrase="same for both", params=FLOOR)
    other = json.loads(foreign.read_text())

    def change(document: dict[str, Any]) -> None:
        document["slots"][0] = other["slots"][0]
        document["vault"] = other["vault"]

    rewrite(slot_file, change)
    slots_refuse(
        "vault.slots_damaged", lambda: keyslots.unlock_passphrase(slot_file, "same for both")
    )


def test_attack_61_file_of_another_vault(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """Another vault's whole file is genuine, but gives another key, and this one's refuses it."""
    data_key, _ = made
    identity = keyslots.vault_id(slot_file, data_key)
    slot_file.unlink()
    keyslots.create(slot_file, passphrase="same for both", params=FLOOR)
    foreign = keyslots.unlock_passphrase(slot_file, "same for both")
    assert foreign.derive("database") != data_key.derive("database")
    assert keyslots.vault_id(slot_file, foreign) != identity
    slots_refuse("vault.slots_damaged", lambda: keyslots.epoch(slot_file, data_key))


def test_attack_61_old_epoch(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """An older slot file, put back to revive an older passphrase, is noticed by its epoch."""
    data_key, _ = made
    old = slot_file.read_bytes()
    keyslots.change_passphrase(slot_file, data_key, "new", params=FLOOR)
    remembered = keyslots.epoch(slot_file, data_key)
    slot_file.write_bytes(old)
    opened = keyslots.unlock_passphrase(slot_file, "same for both")
    slots_refuse(
        "vault.slots_old", lambda: keyslots.check_epoch(slot_file, opened, at_least=remembered)
    )
    rewrite(slot_file, lambda d: d.update(epoch=remembered))
    slots_refuse(
        "vault.slots_damaged",
        lambda: keyslots.check_epoch(slot_file, opened, at_least=remembered),
    )


def test_attack_61_slots_swapped_within_a_vault(slot_file: Path, made: tuple[DataKey, str]) -> None:
    """A removed slot put back into the newer file is noticed by the MAC."""
    data_key, _ = made
    removed = json.loads(slot_file.read_text())["slots"][0]
    keyslots.change_passphrase(slot_file, data_key, "new", params=FLOOR)
    rewrite(slot_file, lambda d: d["slots"].insert(0, removed))
    slots_refuse(
        "vault.slots_damaged", lambda: keyslots.unlock_passphrase(slot_file, "same for both")
    )


@pytest.mark.parametrize("which", ["vault", "slot"])
def test_attack_61_slot_under_another_name(
    slot_file: Path, made: tuple[DataKey, str], which: str
) -> None:
    """Even under a genuine MAC a slot opens only with its own id, in its own vault."""
    data_key, words = made
    file = slotfile.read(slot_file)
    other = "AAAAAAAAAAAAAAAAAAAAAA"
    passphrase, recovery = file.slots
    slotfile.write(
        slot_file,
        vault=other if which == "vault" else file.vault,
        epoch=file.epoch,
        slots=(passphrase, replace(recovery, id=other) if which == "slot" else recovery),
        mac_key=data_key.derive("slot-mac"),
        replaces=file,
    )
    keyslots.epoch(slot_file, data_key)
    slots_refuse("vault.slots_damaged", lambda: keyslots.unlock_kit(slot_file, words))
