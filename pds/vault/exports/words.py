"""The README of an export, in plain words."""

README = """\
YOUR DATA
=========

This archive is a copy of what was in your personal data store. You need no
special program for it.

It is not encrypted: whoever has it can read it. Keep it where you would keep
your papers, and delete copies that you no longer need.

To look at it
    Unpack it and open index.html in a browser. No internet is needed.

To use it elsewhere
    contacts.vcf         your contacts, for address books (vCard 4.0)
    calendar.ics         your events, for calendars (iCalendar)
    data/NAME.csv        one table for each kind of data, for spreadsheets
    data/NAME.jsonld     the same with every earlier version and where each came
                         from (JSON-LD, the terms of schema.org where there are some)
    schemas/NAME.json    the rules that this data follows (JSON Schema)
    attachments/         files that belong to your data; attachments.jsonl says to which
                         item each belongs
    Files that would be empty are left out.

To prove what was decided
    decisions/           requests, grants, withdrawals, attestations and receipts as
                         they were signed. Anybody can check a grant, for example with
                         'pds verify decisions/grants/0001.json'.
    history.jsonl        what this vault did, one entry on each line
    history-checkpoint.json
                         the size and the root of the Merkle tree (RFC 9162) over that
                         history, and the newest checkpoint of each relay's log. The leaf
                         of an entry is SHA-256 of a zero byte, the 32 bytes of its salt
                         and the canonical JSON (RFC 8785) of its "entry".

To put it into a vault again
    pds import THIS-FILE.zip
    The items come back with all versions and their origin. Decisions and the history
    stay with the vault that made them; to move a whole vault, use 'pds backup'.

About the tables (CSV)
    UTF-8 with a byte order mark, commas, one item on each row. A cell that a
    spreadsheet would run as a formula begins with an apostrophe ('), which is not part
    of the value. Of a list, the items stand apart by "; ". The columns whose names
    begin with "record." say where an item came from and which version it is.

About the JSON-LD
    Each item stands on a line of its own. An item that was deleted is there without
    contents, because the vault remembers that it existed.

manifest.json lists every file with its size and SHA-256, so that damage shows.
"""
