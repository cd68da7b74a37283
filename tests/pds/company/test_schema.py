"""A company's database of an earlier version is carried over."""

from pathlib import Path

from pds.company.store import Store
from pds.company.store.schema import APPLICATION_ID, MIGRATIONS
from pds.db import migrate, open_plain


def test_first_version_is_carried_over(tmp_path: Path) -> None:
    """The last redemption of a grant is tied to the log that its request had pinned; a grant that
    was never redeemed is tied to none."""
    conn = open_plain(tmp_path / "company.db")
    migrate(conn, MIGRATIONS[:1], application_id=APPLICATION_ID)
    conn.execute(
        "INSERT INTO request (id, digest, raw, created, expires, state, mailbox, capability_id,"
        " log_origin) VALUES ('r', 'd', '{}', '2026-05-04T10:00:00Z', '2026-05-05T10:00:00Z',"
        " 'decided', 'm', 'c', 'relay.example/log/00')"
    )
    for digest, leaf in (("used", "leaf"), ("unused", None)):
        conn.execute(
            "INSERT INTO access_grant (digest, id, request, purpose_id, purpose, person, raw,"
            " ticket, ticket_digest, package, status_list, valid_from, valid_until, created, leaf)"
            " VALUES (?, ?, 'r', 'p', 'p', 'did', '{}', '{}', 't', 'p', 's',"
            " '2026-05-04T10:00:00Z', '2026-05-05T10:00:00Z', '2026-05-04T10:00:00Z', ?)",
            (digest, digest, leaf),
        )
    migrate(conn, MIGRATIONS, application_id=APPLICATION_ID)
    store = Store(conn)
    origins = {grant.digest: grant.origin for grant in store.grants()}
    assert origins == {"used": "relay.example/log/00", "unused": None}
    assert [request.id for request in store.requests()] == ["r"]
    conn.close()


def test_an_open_redemption_of_the_third_version_can_still_be_recovered(tmp_path: Path) -> None:
    """What had been announced when it was sent is not known: any version will do, as before."""
    conn = open_plain(tmp_path / "company.db")
    migrate(conn, MIGRATIONS[:3], application_id=APPLICATION_ID)
    conn.execute("PRAGMA foreign_keys = OFF")
    conn.execute(
        "INSERT INTO redemption (id, grant_digest, presentation, sent, state)"
        " VALUES ('u', 'd', '{}', '2026-05-04T10:00:00Z', 'sent')"
    )
    migrate(conn, MIGRATIONS, application_id=APPLICATION_ID)
    (redemption,) = Store(conn).redemptions(state="sent")
    assert (redemption.id, redemption.announced) == ("u", 0)
    conn.close()
