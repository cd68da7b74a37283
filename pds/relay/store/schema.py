"""The tables of a relay, as numbered migrations.

There is no column for what a relay must not know: no purpose, no name, no address of a caller.
Times are whole seconds since 1970 where something is enforced by them, and whole hours in
``envelopes``. Capabilities are kept as hashes.
"""

from typing import Final

from pds.db import Migration

APPLICATION_ID: Final = 0x50445352  # "PDSR"

# What a mailbox holds, in bytes: envelopes, links, packages and identities, each with 2 KiB for
# its row. The triggers count wherever a row comes or goes. REPLACE would delete without them: it
# is not used for these tables.
_HELD: Final = """
    ALTER TABLE mailboxes ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
    UPDATE mailboxes SET held =
        (SELECT coalesce(sum(length(sealed) + 2048), 0) FROM envelopes
         WHERE mailbox = mailboxes.id AND sealed IS NOT NULL)
        + (SELECT coalesce(sum(length(sealed) + 2048), 0) FROM requests
           WHERE mailbox = mailboxes.id AND sealed IS NOT NULL)
        + (SELECT coalesce(sum(length(sealed) + 2048), 0) FROM contents
           JOIN packages ON packages.id = contents.package WHERE mailbox = mailboxes.id);

    CREATE TRIGGER envelopes_come AFTER INSERT ON envelopes WHEN new.sealed IS NOT NULL BEGIN
        UPDATE mailboxes SET held = held + length(new.sealed) + 2048 WHERE id = new.mailbox;
    END;
    CREATE TRIGGER envelopes_erased AFTER UPDATE OF sealed ON envelopes
    WHEN old.sealed IS NOT NULL AND new.sealed IS NULL BEGIN
        UPDATE mailboxes SET held = held - length(old.sealed) - 2048 WHERE id = old.mailbox;
    END;
    CREATE TRIGGER envelopes_go AFTER DELETE ON envelopes WHEN old.sealed IS NOT NULL BEGIN
        UPDATE mailboxes SET held = held - length(old.sealed) - 2048 WHERE id = old.mailbox;
    END;

    CREATE TRIGGER requests_come AFTER INSERT ON requests WHEN new.sealed IS NOT NULL BEGIN
        UPDATE mailboxes SET held = held + length(new.sealed) + 2048 WHERE id = new.mailbox;
    END;
    CREATE TRIGGER requests_erased AFTER UPDATE OF sealed ON requests
    WHEN old.sealed IS NOT NULL AND new.sealed IS NULL BEGIN
        UPDATE mailboxes SET held = held - length(old.sealed) - 2048 WHERE id = old.mailbox;
    END;

    CREATE TRIGGER contents_come AFTER INSERT ON contents BEGIN
        UPDATE mailboxes SET held = held + length(new.sealed) + 2048
        WHERE id = (SELECT mailbox FROM packages WHERE id = new.package);
    END;
    CREATE TRIGGER contents_change AFTER UPDATE OF sealed ON contents BEGIN
        UPDATE mailboxes SET held = held + length(new.sealed) - length(old.sealed)
        WHERE id = (SELECT mailbox FROM packages WHERE id = new.package);
    END;
    CREATE TRIGGER contents_go AFTER DELETE ON contents BEGIN
        UPDATE mailboxes SET held = held - length(old.sealed) - 2048
        WHERE id = (SELECT mailbox FROM packages WHERE id = old.package);
    END;
    """

# Hosted identities. log is NULL once its owner has taken it away; the id is then never given again.
_IDENTITIES: Final = """
    CREATE TABLE identities (
        id TEXT PRIMARY KEY,
        mailbox TEXT NOT NULL REFERENCES mailboxes,
        log BLOB,
        witness BLOB,
        entry INTEGER,
        suspended INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX identities_mailbox ON identities (mailbox) WHERE log IS NOT NULL;

    CREATE TRIGGER identities_come AFTER INSERT ON identities WHEN new.log IS NOT NULL BEGIN
        UPDATE mailboxes
        SET held = held + length(new.log) + coalesce(length(new.witness), 0) + 2048
        WHERE id = new.mailbox;
    END;
    CREATE TRIGGER identities_change AFTER UPDATE OF log ON identities
    WHEN old.log IS NOT NULL BEGIN
        UPDATE mailboxes
        SET held = held - length(old.log) - coalesce(length(old.witness), 0) - 2048
            + coalesce(length(new.log) + coalesce(length(new.witness), 0) + 2048, 0)
        WHERE id = new.mailbox;
    END;
    """

# An answer that is kept, to be had again, is told by its event: the version, for whom, until when.
# When it is kept no longer, mostly ``kept`` is all that changes: a bit in the head of a long row;
# whom it was for goes with the last of answer and presentation. Challenges of one time lie side by
# side. How far used ones were swept is one row for each kind of mark.
_FEWER_PAGES: Final = """
    ALTER TABLE events ADD COLUMN seq INTEGER;
    ALTER TABLE events ADD COLUMN holder TEXT;
    ALTER TABLE events ADD COLUMN answer_until INTEGER;
    ALTER TABLE events ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
    UPDATE events
        SET seq = answers.seq, holder = answers.holder, answer_until = answers.expires, kept = 1
        FROM answers WHERE answers.redemption = events.redemption;
    DROP TABLE answers;
    CREATE INDEX events_answers ON events (package, seq) WHERE kept = 1;
    CREATE INDEX events_answer_until ON events (answer_until) WHERE kept = 1;

    CREATE TABLE swept (marks TEXT PRIMARY KEY, through INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO swept SELECT 'nonces', expires FROM nonces WHERE signer = '';
    INSERT INTO swept SELECT 'challenges', expires FROM challenges WHERE length(random) = 0;
    DELETE FROM nonces WHERE signer = '';

    CREATE TABLE marks (
        expires INTEGER NOT NULL,
        random BLOB NOT NULL,
        PRIMARY KEY (expires, random)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO marks SELECT expires, random FROM challenges WHERE length(random) > 0;
    DROP TABLE challenges;
    ALTER TABLE marks RENAME TO challenges;
    """

MIGRATIONS: Final = (
    Migration(
        1,
        """
        CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

        -- A relay that came back from a backup begins a new log; the old one stays readable.
        CREATE TABLE logs (
            number INTEGER PRIMARY KEY,
            origin TEXT NOT NULL UNIQUE,
            size INTEGER NOT NULL,
            checkpoint TEXT NOT NULL
        ) STRICT;
        CREATE TABLE log_nodes (
            log INTEGER NOT NULL REFERENCES logs,
            level INTEGER NOT NULL,
            position INTEGER NOT NULL,
            hash BLOB NOT NULL,
            PRIMARY KEY (log, level, position)
        ) STRICT, WITHOUT ROWID;
        -- A receipt holds the entry and its salt: deleting the row erases both, the leaf stays.
        CREATE TABLE log_entries (number INTEGER PRIMARY KEY, receipt TEXT NOT NULL) STRICT;

        CREATE TABLE mailboxes (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            last_ordinal INTEGER NOT NULL DEFAULT 0,
            ended INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE capabilities (
            mailbox TEXT NOT NULL REFERENCES mailboxes,
            id TEXT NOT NULL,
            hash TEXT NOT NULL,
            max_envelopes INTEGER NOT NULL,
            max_bytes INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            used INTEGER NOT NULL DEFAULT 0,
            ended INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (mailbox, id)
        ) STRICT, WITHOUT ROWID;
        CREATE UNIQUE INDEX capabilities_hash ON capabilities (mailbox, hash);
        -- sealed is NULL once the owner has deleted it; the receipt then stays for a while.
        CREATE TABLE envelopes (
            mailbox TEXT NOT NULL REFERENCES mailboxes,
            ordinal INTEGER NOT NULL,
            sha256 TEXT NOT NULL,
            entry INTEGER NOT NULL,
            until INTEGER NOT NULL,
            sealed BLOB,
            PRIMARY KEY (mailbox, ordinal)
        ) STRICT;
        CREATE UNIQUE INDEX envelopes_sha256 ON envelopes (mailbox, sha256);
        CREATE INDEX envelopes_until ON envelopes (until);

        -- state: live; over (past its end, contents erased); ended (by its owner).
        CREATE TABLE packages (
            id TEXT PRIMARY KEY,
            mailbox TEXT NOT NULL REFERENCES mailboxes,
            issuer TEXT NOT NULL,
            seq INTEGER NOT NULL,
            not_after INTEGER NOT NULL,
            state TEXT NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'over', 'ended')),
            suspended INTEGER NOT NULL DEFAULT 0,
            uses INTEGER NOT NULL DEFAULT 0,
            last_use INTEGER,
            events INTEGER NOT NULL DEFAULT 0,
            last_leaf TEXT,
            refusal_day INTEGER NOT NULL DEFAULT 0,
            refusals INTEGER NOT NULL DEFAULT 0,
            staging_entry INTEGER,
            end_entry INTEGER
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX packages_mailbox ON packages (mailbox);
        CREATE INDEX packages_live ON packages (not_after) WHERE state = 'live';
        CREATE INDEX packages_over ON packages (not_after) WHERE state = 'over';
        CREATE TABLE tickets (
            package TEXT PRIMARY KEY REFERENCES packages,
            digest TEXT NOT NULL,
            ticket BLOB NOT NULL,
            holder TEXT NOT NULL,
            grant_digest TEXT NOT NULL,
            valid_from INTEGER NOT NULL,
            valid_until INTEGER NOT NULL,
            max_uses INTEGER NOT NULL,
            min_interval INTEGER NOT NULL,
            list TEXT NOT NULL,
            list_index INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        -- More than one version only while an answer that was not acknowledged needs the older.
        CREATE TABLE contents (
            package TEXT NOT NULL REFERENCES packages,
            seq INTEGER NOT NULL,
            sha256 TEXT NOT NULL,
            manifest BLOB NOT NULL,
            sealed BLOB NOT NULL,
            PRIMARY KEY (package, seq)
        ) STRICT;

        CREATE TABLE events (
            package TEXT NOT NULL REFERENCES packages,
            ordinal INTEGER NOT NULL,
            redemption TEXT NOT NULL UNIQUE,
            entry INTEGER NOT NULL,
            presentation BLOB,
            erase_at INTEGER NOT NULL,
            PRIMARY KEY (package, ordinal)
        ) STRICT;
        CREATE INDEX events_erase_at ON events (erase_at) WHERE presentation IS NOT NULL;
        CREATE TABLE answers (
            redemption TEXT PRIMARY KEY,
            package TEXT NOT NULL,
            seq INTEGER NOT NULL,
            holder TEXT NOT NULL,
            entry INTEGER NOT NULL,
            expires INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX answers_package ON answers (package, seq);
        CREATE INDEX answers_expires ON answers (expires);

        CREATE TABLE status_lists (
            id TEXT PRIMARY KEY,
            mailbox TEXT NOT NULL REFERENCES mailboxes,
            issuer TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            digest TEXT NOT NULL,
            valid_until INTEGER NOT NULL,
            entry INTEGER NOT NULL,
            credential BLOB NOT NULL
        ) STRICT;
        CREATE INDEX status_lists_mailbox ON status_lists (mailbox);

        -- sealed is NULL once the request has ended; the id is then never given again.
        CREATE TABLE requests (
            id TEXT PRIMARY KEY,
            mailbox TEXT NOT NULL REFERENCES mailboxes,
            expires INTEGER NOT NULL,
            sealed BLOB
        ) STRICT;
        CREATE INDEX requests_mailbox ON requests (mailbox) WHERE sealed IS NOT NULL;
        CREATE INDEX requests_expires ON requests (expires) WHERE sealed IS NOT NULL;

        CREATE TABLE nonces (
            signer TEXT NOT NULL,
            nonce TEXT NOT NULL,
            expires INTEGER NOT NULL,
            PRIMARY KEY (signer, nonce)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX nonces_expires ON nonces (expires);
        CREATE TABLE challenges (random BLOB PRIMARY KEY, expires INTEGER NOT NULL)
            STRICT, WITHOUT ROWID;
        CREATE INDEX challenges_expires ON challenges (expires);
        """,
    ),
    Migration(2, _HELD),
    Migration(
        3,
        """
        -- A list of before a restore is not handed out until its owner has published one again.
        ALTER TABLE status_lists ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;
        """,
    ),
    Migration(4, _IDENTITIES),
    Migration(
        5,
        """
        -- What witnesses have put under checkpoints; note is by the log alone.
        CREATE TABLE cosignatures (
            log INTEGER NOT NULL REFERENCES logs,
            size INTEGER NOT NULL,
            witness TEXT NOT NULL,
            note TEXT NOT NULL,
            line TEXT NOT NULL,
            PRIMARY KEY (log, size, witness)
        ) STRICT;
        """,
    ),
    Migration(
        6,
        """
        -- How often in an hour: by key and by mailbox, for all workers and over restarts.
        CREATE TABLE rates (
            subject TEXT PRIMARY KEY,
            hour INTEGER NOT NULL,
            count INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX rates_hour ON rates (hour);
        """,
    ),
    Migration(7, _FEWER_PAGES),
)
