"""Derivation of all keys from one root."""

import hmac
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.multikey import b64url_encode
from pds.vault.derive import DeriveError, Role, Root

RAW = bytes(range(32))
ROOT = Root(RAW)


def derived_by_hand(raw: bytes, generation: int, index: int, role: str, *version: int) -> bytes:
    """The documented steps with the standard library: RFC 5869 with one block of output."""
    fields = [struct.pack(">I", generation), struct.pack(">I", index), role.encode()]
    fields += [struct.pack(">I", number) for number in version]
    info = b"".join(struct.pack(">I", len(one)) + one for one in fields)
    return hmac.digest(hmac.digest(b"pds/v1/derive", raw, "sha256"), info + b"\x01", "sha256")


def test_known_answer() -> None:
    """The derivation never changes: an old root must restore every relationship."""
    keys = ROOT.relationship(1, 7)
    assert keys.did_key.did == "did:key:z6MkoKdqyjWmvEvxPDkTKKcErmF8cYUWwfeczmjF2pwNU4ob"
    assert keys.sealing_key.public.id == "uEiBS24iL2DAs6NDBXbeMfYNVIUfDV1yME11CLjTJdDKS7Q"
    assert keys.mailbox_key.did == "did:key:z6MkhS7TNtg1xdWss57PWjVyNVLZSGrrwpG9dXrQsfPfFK6T"
    assert keys.mailbox_id == "5yiXU7NPzkx63WSub52qJw"
    assert keys.status_id == "ZdeNOm7-XBQm8e-r0zHTXw"


@settings(deadline=None, max_examples=30)
@given(
    raw=st.binary(min_size=32, max_size=32),
    generation=st.integers(0, 2**32 - 1),
    index=st.integers(0, 2**32 - 1),
)
def test_the_documented_steps_give_the_same(raw: bytes, generation: int, index: int) -> None:
    """HMAC alone, following the docstring, gives every seed and id."""
    keys = Root(raw).relationship(generation, index)
    expected = {role: derived_by_hand(raw, generation, index, role) for role in Role}
    assert keys.did_key.unsafe_export_seed() == expected[Role.DID]
    assert keys.sealing_key.unsafe_export_seed() == expected[Role.SEALING]
    assert keys.mailbox_key.unsafe_export_seed() == expected[Role.MAILBOX_KEY]
    assert keys.mailbox_id == b64url_encode(expected[Role.MAILBOX_ID][:16])
    assert keys.status_id == b64url_encode(expected[Role.STATUS_ID][:16])


def test_every_relationship_and_role_differs() -> None:
    """Neither roles nor neighbouring relationships share a value."""
    seen: list[bytes | str] = []
    for generation, index in ((0, 0), (0, 1), (1, 0), (1, 1)):
        keys = ROOT.relationship(generation, index)
        seen += [
            keys.did_key.unsafe_export_seed(),
            keys.sealing_key.unsafe_export_seed(),
            keys.mailbox_key.unsafe_export_seed(),
            keys.mailbox_id,
            keys.status_id,
        ]
    assert len(set(seen)) == len(seen)


def test_known_answer_of_an_identity() -> None:
    """Nor does that of a public identity: its next keys are known to the root alone."""
    place, keys = ROOT.identity(1, 7), ROOT.identity_keys(1, 7, 3)
    assert (place.id, place.mailbox_id) == ("WQ9LFCzh3e0dY7AqOGqRXg", "t_4XrmhVY_XxB5jlBe7W8g")
    assert place.mailbox_key.did == "did:key:z6Mkr2WmfifYpu7C2CvD73TMpsCdVYvnFW3zZ1cdpUbeAn5t"
    assert keys.update.did == "did:key:z6Mkp6UCksQL3CDREBUcspnLoFPvz43oEWdmkhCqDahXmSex"
    assert keys.signing.did == "did:key:z6MksQCpgqGbxnrjdYqNNKLgs3sDz8SLnbgkS2XxWM63Tsuf"
    assert keys.agreement.public.multikey == "z6LSsGDE4Yw4LKEs2RrWWymvc6ARxvDdZGcgBRKYYriRGNde"


def test_the_documented_steps_give_an_identity() -> None:
    """HMAC alone gives its keys too; the version is a fourth field."""
    place, keys = ROOT.identity(1, 7), ROOT.identity_keys(1, 7, 3)

    def expected(role: Role, *version: int) -> bytes:
        return derived_by_hand(RAW, 1, 7, role, *version)

    assert place.id == b64url_encode(expected(Role.IDENTITY_ID)[:16])
    assert place.mailbox_id == b64url_encode(expected(Role.IDENTITY_MAILBOX_ID)[:16])
    assert place.mailbox_key.unsafe_export_seed() == expected(Role.IDENTITY_MAILBOX_KEY)
    assert keys.update.unsafe_export_seed() == expected(Role.IDENTITY_UPDATE, 3)
    assert keys.signing.unsafe_export_seed() == expected(Role.IDENTITY_SIGNING, 3)
    assert keys.agreement.unsafe_export_seed() == expected(Role.IDENTITY_AGREEMENT, 3)
    seeds = {
        key.unsafe_export_seed()
        for version in (1, 2)
        for key in (
            ROOT.identity_keys(1, 7, version).update,
            ROOT.identity_keys(1, 7, version).signing,
            ROOT.identity_keys(1, 7, version).agreement,
        )
    }
    assert len(seeds) == 6
    for version in (-1, 2**32):
        with pytest.raises(DeriveError):
            ROOT.identity_keys(0, 0, version)


@pytest.mark.parametrize(("generation", "index"), [(-1, 0), (0, -1), (2**32, 0), (0, 2**32)])
def test_numbers_beyond_u32_are_refused(generation: int, index: int) -> None:
    """Generation and index are u32."""
    with pytest.raises(DeriveError) as caught:
        ROOT.relationship(generation, index)
    assert caught.value.code == "vault.derivation"


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_roots_of_other_lengths_are_refused(length: int) -> None:
    """A root has 32 bytes."""
    with pytest.raises(DeriveError):
        Root(bytes(length))


def test_generate_uses_the_given_randomness_and_repr_shows_nothing() -> None:
    """The root is what `random` gave, and cannot be read off its `repr`."""
    assert Root.generate(lambda n: RAW[:n]).unsafe_export() == RAW
    assert Root.generate().unsafe_export() != Root.generate().unsafe_export()
    assert repr(ROOT) == "Root()"
    shown = repr(ROOT.relationship(1, 7))
    assert ROOT.relationship(1, 7).did_key.unsafe_export_seed().hex() not in shown
