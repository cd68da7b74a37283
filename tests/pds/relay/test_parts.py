"""The smaller parts: challenges, address prefixes, reading, the sweep, and coming back."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relay_world import ENGINE, START, URL, World, close, make_world

from did.multikey import b64url_decode, b64url_encode
from did.time import format_time
from pds.db import DbBusy
from pds.relay import challenge, forms, trouble
from pds.relay.beside import create_beside
from pds.relay.errors import Refused, RelayError
from pds.relay.limits import Limits, RegistrationLimit, address_prefix
from pds.relay.proxies import Proxies
from pds.relay.restore import mark_restored
from pds.relay.store import Store, engines, marks, schema
from pds.serve import ServeError
from pds.serve.run import locked
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


PROXIES = Proxies.parse(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:127.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"),
        ("fd00::1", " 192.0.2.7\t", "192.0.2.7"),
        ("127.0.0.1", "192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("127.0.0.1", "192.0.2.7,fd00::2,10.1.2.3", "192.0.2.7"),
        # What was there before whoever one of ours has heard is the client's own.
        ("127.0.0.1", "198.51.100.9, 192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "nonsense, 192.0.2.7", "192.0.2.7"),
        # Not from one of ours: not read.
        ("192.0.2.1", "198.51.100.9", "192.0.2.1"),
        ("127.0.0.2", "198.51.100.9", "127.0.0.2"),
        (None, "198.51.100.9", None),
        # Nobody but ours, or not a list: the one that called.
        ("127.0.0.1", "10.1.2.3", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.9, nonsense", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.9, 192.0.2.7:443", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.9, unknown, 10.1.2.3", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.9,", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
    ],
)
def test_a_call_counts_for_whom_our_own_proxies_heard(
    peer: str | None, forwarded: str | None, caller: str | None
) -> None:
    """The last address that is none of them, if one of them says it; whoever calls otherwise."""
    assert PROXIES.caller(peer, forwarded) == caller


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0.7/8", "10.0.0.0/33", "127.0.0.1:80"])
def test_what_is_no_network_is_no_proxy(text: str) -> None:
    """A slip of the pen is not taken for nobody, nor for everybody."""
    with pytest.raises(RelayError) as refused:
        Proxies.parse(["127.0.0.1", text])
    assert (refused.value.code, refused.value.exit_code) == ("relay.settings", 2)


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


def _rows(world: World, table: str, where: str = "1 = 1") -> int:
    with world.app.extensions["relay"].store.read() as conn:
        return int(conn.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])


def test_the_sweep_erases_what_is_over(world: World) -> None:
    """Nonces, challenges, envelopes, links, answers, presentations, contents; each in its time."""
    package, ticket = world.ready()
    _, secret = world.capability()
    world.redeem(ticket)
    world.stage(package, ticket=ticket, seq=2)
    assert _rows(world, "contents") == 2  # the answer may be asked for again
    world.deposit(secret, b"one")
    world.deposit(secret, b"two")
    link = {"mailbox": world.mailbox, "sealed": "AA", "expires": "2026-05-05T00:00:00Z"}
    world.call("PUT", f"/v1/requests/{new_id()}", link)
    assert _rows(world, "nonces") >= 5
    assert _rows(world, "challenges") == 1
    entries = _rows(world, "log_entries")

    world.clock.move(minutes=10)
    world.create()
    # The last call's own is left, and until when others were swept.
    assert (_rows(world, "nonces"), _rows(world, "challenges"), _rows(world, "swept")) == (1, 0, 2)

    path = f"/v1/mailboxes/{world.mailbox}/envelopes/1"
    world.call("DELETE", path)
    world.clock.move(days=7)
    world.create()
    assert (_rows(world, "envelopes"), _rows(world, "log_entries")) == (1, entries - 1)
    assert _rows(world, "requests", "sealed IS NOT NULL") == 0
    assert _rows(world, "events", "kept = 1") == 0
    assert _rows(world, "contents") == 1

    world.clock.move(days=23)
    world.create()
    assert _rows(world, "contents") == 0
    assert _rows(world, "tickets") == 1
    assert _rows(world, "events", "presentation IS NOT NULL") == 1

    world.clock.move(days=61)
    world.create()
    assert _rows(world, "events", "presentation IS NOT NULL OR holder IS NOT NULL") == 0
    assert _rows(world, "envelopes") == 0
    assert _rows(world, "log_entries") == entries - 2

    world.clock.move(days=60)
    world.create()
    assert _rows(world, "tickets") == 0
    assert world.redeem(ticket).code == "relay.ended"


def test_until_when_marks_were_swept_never_goes_back(world: World) -> None:
    """The latest end of all of them stays, whatever is swept later; a restore begins anew."""
    store = world.app.extensions["relay"].store

    def ends() -> list[int]:
        with store.read() as conn:
            rows = conn.execute("SELECT through FROM swept ORDER BY marks DESC")
            return [int(row[0]) for row in rows]

    def use(expires: int) -> None:
        with store.write() as conn:
            assert marks.use_nonce(conn, "a", f"{expires}", expires=expires)
            marks.use_challenges(conn, [(expires, b"%d" % expires)])

    use(500)
    use(700)
    with store.write() as conn:
        marks.sweep(conn, 1000, presentation_days=1)
    assert ends() == [700, 700]
    with store.write() as conn:
        assert not marks.use_nonce(conn, "a", "new", expires=700)
        assert not marks.is_used(conn, "a", "new")
        assert marks.use_nonce(conn, "a", "new", expires=701)
        marks.use_challenges(conn, [(600, b"earlier")])
        marks.sweep(conn, 2000, presentation_days=1)
        marks.sweep(conn, 10**9, presentation_days=1)
    assert ends() == [701, 700]
    with store.write() as conn:
        marks.begin_anew(conn)
    assert ends() == []


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


def test_what_a_mailbox_holds_is_counted_whatever_happens(world: World) -> None:
    """The count is the sum of what lies there: after each way in which something comes or goes."""

    def check() -> int:
        with world.app.extensions["relay"].store.read() as conn:
            sizes = [
                row[0] + 2048
                for sql in (
                    "SELECT length(sealed) FROM envelopes WHERE sealed IS NOT NULL",
                    "SELECT length(sealed) FROM requests WHERE sealed IS NOT NULL",
                    "SELECT length(sealed) FROM contents",
                )
                for row in conn.execute(sql)
            ]
            held = conn.execute("SELECT held FROM mailboxes").fetchone()[0]
        assert held == sum(sizes)
        return int(held)

    package, ticket = world.ready()
    _, secret = world.capability(envelopes=9)
    for number in range(3):
        world.deposit(secret, b"x" * (number + 1))
    request = f"/v1/requests/{new_id()}"
    link = {
        "mailbox": world.mailbox,
        "sealed": b64url_encode(b"locked"),
        "expires": format_time(world.clock() + timedelta(days=1)),
    }
    assert world.call("PUT", request, link).status == 201
    assert check() > 5 * 2048
    presentation = world.presentation(ticket)
    assert world.present(presentation).status == 200
    world.stage(package, ticket=ticket, seq=2, sealed=b"other bytes, which are more")
    check()  # two versions, for the answer is open
    world.acknowledge(presentation)
    check()
    with world.app.extensions["relay"].store.write() as conn:
        conn.execute("UPDATE packages SET suspended = 1")
    assert world.stage(package, ticket=ticket, seq=2, sealed=b"rewritten").status == 409
    assert world.stage(package, ticket=ticket, seq=3, sealed=b"rewritten").status == 200
    check()
    world.call("DELETE", f"/v1/mailboxes/{world.mailbox}/envelopes/1")
    check()
    world.call("DELETE", request)
    check()
    world.end(package)
    check()
    world.another()
    world.clock.move(days=100)
    world.create()  # sweeps
    assert check() == 0
    world.put_status(world.status_list(sequence=2))
    _, secret = world.capability()
    world.deposit(secret, b"x")
    assert check() > 0
    assert world.call("DELETE", f"/v1/mailboxes/{world.mailbox}").status == 204
    assert check() == 0


def test_a_database_of_before_counts_what_it_holds(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The migration counts what was there."""
    with monkeypatch.context() as patch:
        patch.setattr(engines, "MIGRATIONS", schema.MIGRATIONS[:1])
        store = Store(engines.SqliteEngine(data))
        with store.write() as conn:
            for mailbox in ("a", "b"):
                conn.execute("INSERT INTO mailboxes VALUES (?, 'o', 0, 0, 0)", (mailbox,))
            conn.execute("INSERT INTO envelopes VALUES ('a', 1, 's', 1, 1, x'0102')")
            conn.execute("INSERT INTO envelopes VALUES ('a', 2, 't', 1, 1, NULL)")
            conn.execute("INSERT INTO requests VALUES ('r', 'a', 1, x'010203')")
            conn.execute(
                "INSERT INTO packages (id, mailbox, issuer, seq, not_after)"
                " VALUES ('p', 'a', 'i', 1, 1)"
            )
            conn.execute("INSERT INTO contents VALUES ('p', 1, 's', x'01', x'01020304')")
        store.close()
    store = Store(engines.SqliteEngine(data))
    with store.read() as conn:
        rows = conn.execute("SELECT id, held FROM mailboxes ORDER BY id").fetchall()
    store.close()
    assert [tuple(row) for row in rows] == [("a", 3 * 2048 + 9), ("b", 0)]


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
        mark_restored(tmp_path / "relay", database=ENGINE.database)
    assert refused.value.code == "relay.log_key"


def test_a_relay_that_serves_is_not_marked_as_restored(data: Path, world: World) -> None:
    """The folder's lock is that of a relay that serves: its workers would know nothing of it."""
    world.create()
    before = world.get("/v1/relay").json["logOrigin"]
    with locked(data), pytest.raises(ServeError) as refused:
        mark_restored(data, database=ENGINE.database)
    assert refused.value.code == "serve.data_in_use"
    assert world.get("/v1/relay").json["logOrigin"] == before


def _away(code: str) -> Callable[[Store], NoReturn]:
    """A store's reading when nobody can read it."""

    def read(_store: Store) -> NoReturn:
        raise DbBusy("The database server does not answer.", code=code, hint="Start it.")

    return read


def test_a_database_that_fails_is_told_to_the_operator(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Callers learn that the relay is busy, the log learns why: once, however many call."""
    monkeypatch.setattr(trouble, "_told", {})
    with monkeypatch.context() as patch:
        for code in ("db.away", "db.full", "db.busy", "db.io"):
            patch.setattr(Store, "read", _away(code))
            for _ in range(3):
                assert world.get("/readyz").code == "relay.busy"
    told = [record.getMessage() for record in caplog.records if record.name == "pds.relay"]
    assert told == [f"The database server does not answer. ({c}) Start it." for c in
                    ("db.away", "db.full", "db.io")]  # fmt: skip
    assert world.get("/readyz").status == 200


def test_counters_are_shown_while_the_database_is_away(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is when they are looked at; only the size of the log is not known."""
    app = create_beside(
        data, url=URL, database=ENGINE.database, counters=None, cosigners=[], post=lambda *_: None
    )
    client = app.test_client()
    assert "pds_relay_log_entries 0" in client.get("/metrics").text
    with monkeypatch.context() as patch:
        patch.setattr(Store, "read", _away("db.away"))
        answer = client.get("/metrics")
        assert (answer.status_code, "pds_relay_log_entries" in answer.text) == (200, False)
    app.extensions["relay"].store.close()
