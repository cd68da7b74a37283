"""The tables of ``company.db``, by numbered migrations."""

from pds.db import Migration

APPLICATION_ID = 0x50445343  # "PDSC"

MIGRATIONS = (
    Migration(
        1,
        """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE signing_key (
    n INTEGER PRIMARY KEY,
    multikey TEXT NOT NULL UNIQUE,
    seed BLOB,
    created TEXT NOT NULL,
    expires TEXT,
    revoked TEXT
) STRICT;

CREATE TABLE request (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    raw TEXT NOT NULL,
    link TEXT,
    locked BLOB,
    created TEXT NOT NULL,
    expires TEXT NOT NULL,
    state TEXT NOT NULL,
    problem TEXT,
    redemption_seed BLOB,
    package_seed BLOB,
    mailbox TEXT NOT NULL UNIQUE,
    mailbox_seed BLOB,
    message_seed BLOB,
    capability_id TEXT NOT NULL,
    collected INTEGER NOT NULL DEFAULT 0,
    person TEXT,
    reply TEXT,
    relay TEXT,
    log_origin TEXT,
    log_key TEXT,
    decided TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    thread TEXT NOT NULL REFERENCES request (id),
    incoming INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    digest TEXT NOT NULL,
    type TEXT NOT NULL,
    raw TEXT NOT NULL,
    at TEXT NOT NULL,
    problem TEXT,
    PRIMARY KEY (thread, incoming, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_grant (
    digest TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    request TEXT NOT NULL REFERENCES request (id),
    purpose_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    person TEXT NOT NULL,
    raw TEXT NOT NULL,
    ticket TEXT NOT NULL,
    ticket_digest TEXT NOT NULL,
    package TEXT NOT NULL,
    status_list TEXT NOT NULL,
    valid_from TEXT NOT NULL,
    valid_until TEXT NOT NULL,
    created TEXT NOT NULL,
    announced INTEGER NOT NULL DEFAULT 0,
    seq INTEGER NOT NULL DEFAULT 0,
    ordinal INTEGER NOT NULL DEFAULT 0,
    leaf TEXT,
    ended TEXT,
    end_kind TEXT,
    erased TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX grant_person ON access_grant (person);
CREATE INDEX grant_request ON access_grant (request);

CREATE TABLE denial (
    request TEXT NOT NULL REFERENCES request (id),
    purpose_id TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (request, purpose_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE status (
    list TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    credential BLOB NOT NULL,
    stamp TEXT NOT NULL,
    checked TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE redemption (
    id TEXT PRIMARY KEY,
    grant_digest TEXT NOT NULL REFERENCES access_grant (digest),
    presentation TEXT NOT NULL,
    sent TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT,
    seq INTEGER,
    ordinal INTEGER,
    paths TEXT NOT NULL DEFAULT '[]',
    receipt TEXT,
    acknowledged INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX redemption_grant ON redemption (grant_digest);

CREATE TABLE held (
    n INTEGER PRIMARY KEY,
    grant_digest TEXT NOT NULL REFERENCES access_grant (digest),
    path TEXT NOT NULL,
    schema TEXT NOT NULL,
    value TEXT NOT NULL,
    collected TEXT NOT NULL,
    source TEXT NOT NULL,
    assurance TEXT NOT NULL,
    about TEXT NOT NULL,
    seq INTEGER NOT NULL,
    received TEXT NOT NULL
) STRICT;
CREATE INDEX held_grant ON held (grant_digest);

CREATE TABLE retention (
    grant_digest TEXT NOT NULL REFERENCES access_grant (digest),
    path TEXT NOT NULL,
    basis TEXT NOT NULL,
    until TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (grant_digest, path, basis, until)
) STRICT, WITHOUT ROWID;

CREATE TABLE attestation (
    grant_digest TEXT NOT NULL REFERENCES access_grant (digest),
    message TEXT NOT NULL,
    at TEXT NOT NULL,
    body TEXT NOT NULL,
    sent TEXT,
    PRIMARY KEY (grant_digest, message)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    thread TEXT NOT NULL,
    seq INTEGER NOT NULL,
    octets BLOB NOT NULL,
    problem TEXT
) STRICT;

CREATE TABLE problem (
    n INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    code TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE TABLE event (
    n INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
""",
    ),
    Migration(
        2,
        """
CREATE TABLE checkpoint (
    log_key TEXT NOT NULL,
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (log_key, origin)
) STRICT, WITHOUT ROWID;

ALTER TABLE access_grant ADD COLUMN origin TEXT;
UPDATE access_grant SET origin = (SELECT log_origin FROM request WHERE id = access_grant.request)
    WHERE leaf IS NOT NULL;

-- What the relay deletes is what was read: no cursor of ours can pass over a message.
ALTER TABLE request DROP COLUMN collected;
""",
    ),
    Migration(
        3,
        """
CREATE TABLE succession (
    old TEXT PRIMARY KEY,
    new TEXT NOT NULL UNIQUE,
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    raw TEXT NOT NULL
) STRICT, WITHOUT ROWID;
""",
    ),
    Migration(
        4,
        """
-- The newest version that was announced when the relay was asked: it must answer with no older one.
ALTER TABLE redemption ADD COLUMN announced INTEGER NOT NULL DEFAULT 0;
""",
    ),
)
