"""A relay that was made by an earlier release, opened by this one."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from relay_world import ENGINE, URL

from pds.db import DbError, Sql, open_plain
from pds.relay.app import create_app
from pds.relay.move import back_up
from pds.relay.store import Store, engines, marks, schema_postgres
from pds.relay.store import packages as table
from pds.relay.store.engines import open_engine
from pds.relay.store.packages import AnswerRow, Asked

_BEFORE = (
    "INSERT INTO mailboxes (id, owner, epoch) VALUES ('m', 'did:key:o', 1)",
    "INSERT INTO packages (id, mailbox, issuer, seq, not_after, events)"
    " VALUES ('p', 'm', 'did:key:h', 2, 5000, 3)",
    "INSERT INTO contents (package, seq, sha256, manifest, sealed) VALUES"
    " ('p', 1, 'x', ?, ?), ('p', 2, 'y', ?, ?)",
    "INSERT INTO events (package, ordinal, redemption, entry, erase_at) VALUES"
    " ('p', 1, 'lost', 11, 9000), ('p', 2, 'arrived', 12, 9000), ('p', 3, 'refused', 13, 9000)",
    "INSERT INTO answers (redemption, package, seq, holder, entry, expires)"
    " VALUES ('lost', 'p', 1, 'did:key:c', 11, 4000)",
    "INSERT INTO challenges (random, expires) VALUES (?, 1000), (?, 800)",
    "INSERT INTO nonces (signer, nonce, expires) VALUES ('did:key:h', 'n', 1000), ('', '', 700)",
)
_OCTETS = {2: [b"{}", b"1", b"{}", b"2"], 5: [b"used", b""]}


@pytest.fixture
def fill(data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A database as it was at a number of its schema, with some rows."""

    def fill(version: int) -> None:
        data.mkdir()
        with monkeypatch.context() as patch:
            for module, name in (
                (engines, "MIGRATIONS"),
                (schema_postgres, "POSTGRES_MIGRATIONS"),
            ):
                kept = [each for each in getattr(module, name) if each.version <= version]
                patch.setattr(module, name, kept)
            store = Store(open_engine(data / "relay.db", ENGINE.database))
        with store.write() as conn:
            for place, statement in enumerate(_BEFORE):
                conn.execute(statement, _OCTETS.get(place, []))
        store.close()

    return fill


def test_open_answers_and_marks_outlast_their_tables(
    fill: Callable[[int], None], data: Path
) -> None:
    """What could be had again still can, with the version that it needs; what was used or swept is
    still known to be."""
    fill(6)
    store = Store(open_engine(data / "relay.db", ENGINE.database))
    with store.write() as conn:
        assert table.answer(conn, "lost") == AnswerRow("p", 1, "did:key:c", 11, 4000)
        assert table.answer(conn, "arrived") is None
        table.drop_unneeded(conn, "p")
        assert _versions(conn) == [1, 2]
        table.forget_answer(conn, "lost", "p")
        assert _versions(conn) == [2]

        asked = [
            Asked("p", redemption, random, expires)
            for redemption, random, expires in (
                ("new", b"used", 1000),
                ("new", b"fresh", 1000),
                ("new", b"fresh", 800),
                ("lost", b"fresh", 1000),
            )
        ]
        found = table.standings(conn, asked)
        assert [one.used for one in found] == [True, False, False, True]
        assert [one.forgotten for one in found] == [False, False, True, False]

        assert not marks.use_nonce(conn, "did:key:h", "n", expires=1000)
        assert not marks.use_nonce(conn, "did:key:h", "other", expires=700)
        assert marks.use_nonce(conn, "did:key:h", "other", expires=701)
    store.close()


def test_tables_of_a_relay_that_may_run_are_left_alone(
    fill: Callable[[int], None], data: Path, tmp_path: Path
) -> None:
    """A newer release's backup, reload or new worker comes upon an older relay: that goes on."""
    fill(6)
    for come in (
        lambda: open_engine(data / "relay.db", ENGINE.database, upgrade=False),
        lambda: create_app(data, url=URL, database=ENGINE.database, upgrade=False),
        lambda: back_up(data, tmp_path / "backup", database=ENGINE.database),
    ):
        with pytest.raises(DbError) as refused:
            come()
        assert refused.value.code == "db.outdated"
    assert not (tmp_path / "backup").exists()
    with _raw(data) as conn:
        assert conn.execute("SELECT count(*) FROM answers").fetchone()[0] == 1


def test_without_an_upgrade_a_new_relay_is_made_all_the_same(data: Path) -> None:
    """And opened again: nobody of an earlier release is at work on it."""
    for _ in ("made", "opened again"):
        app = create_app(data, url=URL, database=ENGINE.database, upgrade=False)
        app.extensions["relay"].store.close()


@contextmanager
def _raw(data: Path) -> Iterator[Any]:
    if ENGINE.database is None:
        with closing(open_plain(data / "relay.db")) as conn:
            yield conn
    else:
        import psycopg

        with psycopg.connect(ENGINE.database) as session:
            yield session


def _versions(conn: Sql) -> list[int]:
    return [row["seq"] for row in conn.execute("SELECT seq FROM contents ORDER BY seq")]
