"""The tables of the exchange."""

EXCHANGE_SQL = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE relationship (
    idx INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    company TEXT NOT NULL,
    name TEXT NOT NULL,
    did TEXT NOT NULL UNIQUE,
    mailbox TEXT NOT NULL UNIQUE,
    capability TEXT NOT NULL,
    status_bits TEXT NOT NULL,
    status_sequence INTEGER NOT NULL,
    status_issued TEXT NOT NULL,
    created TEXT NOT NULL
) STRICT;
CREATE INDEX relationship_company ON relationship (company);

CREATE TABLE request (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    company TEXT NOT NULL,
    raw TEXT NOT NULL,
    received TEXT NOT NULL,
    state TEXT NOT NULL,
    relationship INTEGER REFERENCES relationship (idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusal (
    company TEXT NOT NULL,
    purpose TEXT NOT NULL,
    until TEXT NOT NULL,
    PRIMARY KEY (company, purpose)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_grant (
    digest TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    request TEXT NOT NULL REFERENCES request (id),
    relationship INTEGER NOT NULL REFERENCES relationship (idx),
    raw TEXT NOT NULL,
    ticket TEXT NOT NULL,
    ticket_digest TEXT NOT NULL,
    package TEXT NOT NULL UNIQUE,
    status_index INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    content TEXT NOT NULL,
    ended TEXT,
    end_kind TEXT,
    created TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX grant_relationship ON access_grant (relationship);

CREATE TABLE staged (
    package TEXT NOT NULL,
    seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    manifest TEXT NOT NULL,
    receipt TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (package, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE package_event (
    package TEXT NOT NULL,
    origin TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    leaf TEXT NOT NULL,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    code TEXT,
    seq INTEGER,
    purpose TEXT,
    problem TEXT,
    receipt TEXT NOT NULL,
    PRIMARY KEY (package, origin, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    thread TEXT NOT NULL,
    incoming INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    digest TEXT NOT NULL,
    type TEXT NOT NULL,
    raw TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (thread, incoming, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE attestation (
    grant_digest TEXT NOT NULL REFERENCES access_grant (digest),
    at TEXT NOT NULL,
    raw TEXT NOT NULL,
    PRIMARY KEY (grant_digest, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    relationship INTEGER NOT NULL REFERENCES relationship (idx),
    kind TEXT NOT NULL,
    ref TEXT NOT NULL,
    payload TEXT NOT NULL,
    octets BLOB,
    problem TEXT
) STRICT;

CREATE TABLE seen_checkpoint (
    origin TEXT PRIMARY KEY, note TEXT NOT NULL, at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE unchecked_checkpoint (
    note TEXT PRIMARY KEY, origin TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE evidence (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
"""
