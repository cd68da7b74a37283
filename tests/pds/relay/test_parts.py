"""The smaller parts: challenges, address prefixes, reading, the sweep, and coming back."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relay_world import START, World, close, make_world

from did.multikey import b64url_decode, b64url_encode
from pds.relay import challenge, forms
from pds.relay.errors import Refused, RelayError
from pds.relay.limits import Limits, RegistrationLimit, address_prefix
from pds.relay.restore import mark_restored
from pds.wire import new_id

KEY = bytes(32)


@given(st.integers(0, 119))
@settings(deadline=None, max_examples=30)
def test_a_challenge_is_ours_and_fresh(later: int) -> None:
    """Within 120 seconds it is accepted, and says until when."""
    text, expires = challenge.issue(KEY, START)
    found = challenge.check(KEY, text, START + timedelta(seconds=later))
    assert found.expires == int(expires.timestamp())
    assert len(found.random) == 16


@given(st.integers(0, 56 * 8 - 1))
@settings(deadline=None, max_examples=60)
def test_one_flipped_bit_makes_a_challenge_foreign(bit: int) -> None:
    """Expiry, randomness and tag are all bound."""
    text, _ = challenge.issue(KEY, START)
    raw = bytearray(b64url_decode(text))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refused) as refused:
        challenge.check(KEY, b64url_encode(bytes(raw)), START)
    assert refused.value.code == "relay.challenge"


@pytest.mark.parametrize("text", ["", "x", "=", "A" * 74, b64url_encode(bytes(57))])
def test_what_is_no_challenge_is_refused(text: str) -> None:
    """Wrong length or encoding is one refusal."""
    with pytest.raises(Refused):
        challenge.check(KEY, text, START)


def test_a_challenge_of_another_key_or_from_later_is_refused() -> None:
    """A relay does not know another's; a clock set back shortens nothing into validity."""
    text, _ = challenge.issue(os.urandom(32), START)
    with pytest.raises(Refused):
        challenge.check(KEY, text, START)
    text, _ = challenge.issue(KEY, START + timedelta(seconds=1))
    with pytest.raises(Refused):
        challenge.check(KEY, text, START)


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("", "unknown"),
        (None, "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_addresses_are_counted_by_prefix(address: str | None, prefix: str) -> None:
    """Neighbours share a count, mapped addresses are IPv4, unknown ones share one."""
    assert address_prefix(address) == prefix


def test_the_memory_of_registrations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prefix that was seen longest ago is forgotten first."""
    monkeypatch.setattr("pds.relay.limits._PREFIXES_KEPT", 2)
    limit = RegistrationLimit(1)
    for number in range(3):
        limit.count(f"192.0.{number}.1", START)
    limit.count("192.0.0.1", START)
    with pytest.raises(Refused):
        limit.count("192.0.2.1", START)


@given(st.text(max_size=18))
@settings(deadline=None, max_examples=100)
def test_a_number_is_read_only_in_its_own_spelling(text: str) -> None:
    """Whatever is accepted is written back as the same text."""
    try:
        value = forms.number(text)
    except Refused:
        return
    assert str(value) == text


def _rows(world: World, table: str, where: str = "1") -> int:
    with world.app.extensions["relay"].store.read() as conn:
        return int(conn.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])


def test_the_sweep_erases_what_is_over(world: World) -> None:
    """Nonces, challenges, envelopes, links, answers, presentations, contents; each in its time."""
    _, ticket = world.ready()
    _, secret = world.capability()
    world.redeem(ticket)
    world.deposit(secret, b"one")
    world.deposit(secret, b"two")
    link = {"mailbox": world.mailbox, "sealed": "AA", "expires": "2026-05-05T00:00:00Z"}
    world.call("PUT", f"/v1/requests/{new_id()}", link)
    assert _rows(world, "nonces") >= 5
    assert _rows(world, "challenges") == 1
    entries = _rows(world, "log_entries")

    world.clock.move(minutes=10)
    world.create()
    assert (_rows(world, "nonces"), _rows(world, "challenges")) == (1, 0)

    path = f"/v1/mailboxes/{world.mailbox}/envelopes/1"
    world.call("DELETE", path)
    world.clock.move(days=7)
    world.create()
    assert (_rows(world, "envelopes"), _rows(world, "log_entries")) == (1, entries - 1)
    assert _rows(world, "requests", "sealed IS NOT NULL") == 0
    assert _rows(world, "answers") == 0
    assert _rows(world, "contents") == 1

    world.clock.move(days=23)
    world.create()
    assert _rows(world, "contents") == 0
    assert _rows(world, "tickets") == 1
    assert _rows(world, "events", "presentation IS NOT NULL") == 1

    world.clock.move(days=61)
    world.create()
    assert _rows(world, "events", "presentation IS NOT NULL") == 0
    assert _rows(world, "envelopes") == 0
    assert _rows(world, "log_entries") == entries - 2

    world.clock.move(days=60)
    world.create()
    assert _rows(world, "tickets") == 0
    assert world.redeem(ticket).code == "relay.ended"


def test_the_sweep_is_bounded_and_comes_back(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a number of rows each minute, so that no write waits long for it."""
    monkeypatch.setattr("pds.relay.store.marks._AT_ONCE", 2)
    world = make_world(data, limits=Limits(envelope_days=1))
    world.create()
    _, secret = world.capability(envelopes=9, days=9)
    for number in range(5):
        world.deposit(secret, b"%d" % number)
    left = []
    world.clock.move(days=2)
    for _ in range(3):
        world.create()
        left.append(_rows(world, "envelopes"))
        world.clock.move(minutes=1)
    assert left == [3, 1, 0]
    close(world)


def test_erasing_an_entry_leaves_the_log_whole(world: World) -> None:
    """The salt goes with the entry; the leaf stays, and later receipts still verify."""
    world.create()
    _, secret = world.capability()
    first = world.deposit(secret, b"one")
    world.call("DELETE", f"/v1/mailboxes/{world.mailbox}/envelopes/1")
    world.clock.move(days=8)
    world.create()
    assert _rows(world, "log_entries") == 0
    world.verify(first.json)
    _, secret = world.capability()
    assert world.verify(world.deposit(secret, b"two").json).checkpoint.size == 2


def test_marking_a_restore_needs_a_relay(tmp_path: Path) -> None:
    """An empty folder, or one without its key, is refused and stays as it is."""
    with pytest.raises(RelayError) as refused:
        mark_restored(tmp_path)
    assert refused.value.code == "relay.no_data"
    assert list(tmp_path.iterdir()) == []
    world = make_world(tmp_path / "relay")
    close(world)
    (tmp_path / "relay" / "log-key").unlink()
    with pytest.raises(RelayError) as refused:
        mark_restored(tmp_path / "relay")
    assert refused.value.code == "relay.log_key"
