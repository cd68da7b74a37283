"""What ``vault check`` says of rows that are older than the history: one at a time, by hand."""

from pathlib import Path
from typing import Any

import pytest

from pds.vault.consent import Accept, Refuse
from pds.vault.service import Vault

OLD = "an old page was put back"
# What an old page would bring back, and the sentence.
BROUGHT_BACK = {
    "UPDATE records SET version = version - 1 WHERE id = :edited": f"older than its history: {OLD}",
    "UPDATE records SET deleted = 0, fields = '{}', digest = x'00' WHERE id = :deleted":
        f"was deleted and is back: {OLD}",
    "UPDATE record_versions SET fields = '{}' WHERE ordinal ="
    " (SELECT ordinal FROM records WHERE id = :deleted)": f"are not as they were: {OLD}",
    "DELETE FROM record_versions WHERE ordinal ="
    " (SELECT ordinal FROM records WHERE id = :edited)": f"are not as they were: {OLD}",
    "DELETE FROM records WHERE id = :added": "is in the history and not in the vault",
    "UPDATE access_grant SET ended = NULL": f"was ended and is back: {OLD}",
    "UPDATE access_grant SET seq = 1": f"older than its history: {OLD}",
    "DELETE FROM access_grant WHERE ended IS NULL": "is in the history and not in the vault",
    "DELETE FROM request WHERE state = 'pending'": "is in the history and not in the vault",
    "UPDATE relationship SET did = 'did:key:zOther'": "a relationship with",
    "UPDATE setting SET value = '0' WHERE name = 'next_index'": "the counter of relationships",
    "INSERT INTO record_index (record_index, rowid, words) SELECT 'delete', rowid, '_'"
    " FROM record_index WHERE record_index MATCH '\"_\"' AND ~rowid & 1073741823 ="
    " (SELECT ordinal FROM records WHERE id = :edited)": "does not fit the items",
    "INSERT INTO record_index (record_index, rowid, words) SELECT 'delete', rowid, 'canary'"
    " FROM record_index WHERE record_index MATCH 'canary' AND ~rowid & 1073741823 ="
    " (SELECT ordinal FROM records WHERE id = :edited)": "does not fit the items",
    "INSERT INTO record_index (rowid, words) SELECT rowid, 'stranger'"
    " FROM record_index WHERE record_index MATCH 'canary' AND ~rowid & 1073741823 ="
    " (SELECT ordinal FROM records WHERE id = :edited)": "does not fit the items",
    "UPDATE record_index_data SET block = zeroblob(length(block)) WHERE id > 10":
        "fts5: corruption found",
    "UPDATE record_counts SET live = live + 1 WHERE category = 'note'": "the numbers of items",
    "DELETE FROM history WHERE n = (SELECT max(n) FROM history)": "does not fit its log",
    "DELETE FROM history WHERE n = 5": "before 6 are missing",
    "DELETE FROM history_node WHERE level = 1 AND idx = 1": "does not fit its log",
    "UPDATE history SET salt = zeroblob(32) WHERE n = 2": "history entry 2 was altered",
}  # fmt: skip


@pytest.mark.parametrize("statement", BROUGHT_BACK)
def test_what_is_older_than_the_history(statement: str, template: Any, work: Path) -> None:
    """Sound before; afterwards what is said names what is old, and never a value."""
    template.copy_to(work / "vault")
    with Vault.open(work / "vault", kit=template.kit) as vault:
        names = {n: vault.add("note", {"title": n, "text": "plain"}).id
                 for n in ("added", "edited", "deleted")}  # fmt: skip
        for name in ("edited", "deleted"):
            vault.edit(names[name], {"text": "canary"})
        vault.delete(names["deleted"])
        answers = {"delivery": Accept(), "personalisation": Accept(follows_changes=True),
                   "marketing": Refuse()}  # fmt: skip
        vault.decide(template.requests[0], answers)
        vault.add("interests", {"name": "chess"})
        assert vault.restage() == 1
        vault.withdraw("delivery")
        assert vault.check() == []
        conn = vault._ctx.conn
        conn.execute("PRAGMA foreign_keys = OFF")
        named = {key: value for key, value in names.items() if f":{key}" in statement}
        conn.execute(statement, named)
        found = vault.check()
        assert any(BROUGHT_BACK[statement] in sentence for sentence in found), found
        assert "canary" not in " ".join(found)
