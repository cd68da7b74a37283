"""The torture of the vault, as much of it as every run of the tests can bear."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from .conftest import SCRIPTS


def test_nothing_acknowledged_is_lost() -> None:
    """A thousand kills at any write, sync or rename, and hundreds of states of a lost power: what
    was acknowledged is there, nothing is half, the history fits, every check is clean."""
    ran = subprocess.run(
        [
            *(sys.executable, "-W", "error", str(SCRIPTS / "torture.py"), "vault"),
            *("--loops", "1000", "--states", "400", "--seed", "20260504"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=SCRIPTS.parent,
        env={"PYTHONPATH": str(SCRIPTS.parent), "PATH": "/usr/bin:/bin"},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    kills, power = _reports(ran.stdout)
    assert (kills["loops"], power["loops"]) == (1000, 400)
    assert (kills["losses"], power["losses"]) == (0, 0)
    # It did what it says: most children died, in the middle of every verb.
    assert kills["killed"] > 800
    assert kills["acknowledged"] > 1000
    assert {"add", "edit", "delete", "import", "undo", "kit", "backup", "compact", "decide",
            "withdraw", "attach", "detach"} <= set(kills["underWay"])  # fmt: skip


def _reports(text: str) -> list[dict[str, Any]]:
    found, decoder = [], json.JSONDecoder()
    while text.strip():
        report, end = decoder.raw_decode(text.lstrip())
        found.append(report)
        text = text.lstrip()[end:]
    return found


def test_the_simulation_sees_what_a_weaker_setting_loses(template: Any, work: Path) -> None:
    """With ``synchronous = NORMAL`` acknowledged writes are lost, and it says so."""
    from torture_power import PowerLoss
    from torture_world import data_key

    key = data_key(template.folder, template.kit)
    weaker = PowerLoss(template, key, work, 1, setting="PRAGMA synchronous = NORMAL")
    report = weaker.run(range(80))
    assert any("gone" in loss or "lost" in loss or "not as" in loss for loss in report.losses)


TAMPERED = {
    "a record": "DELETE FROM records WHERE ordinal = (SELECT max(ordinal) FROM records)",
    "an earlier version": "DELETE FROM record_versions",
    "words of the index": "INSERT INTO record_index (record_index, rowid, words)"
    " SELECT 'delete', rowid, '_' FROM record_index WHERE record_index MATCH '\"_\"'"
    " ORDER BY rowid & 1073741823 DESC LIMIT 1",
    "an attachment": "DELETE FROM attachment",
    "the end of a grant": "UPDATE access_grant SET ended = NULL, end_kind = NULL",
    "a call that waits": "DELETE FROM outbox WHERE kind = 'end'",
    "a decision": "UPDATE request SET state = 'pending'",
    "the last entry": "DELETE FROM history WHERE n = (SELECT max(n) FROM history)",
    "an entry's leaf": "UPDATE history_node SET hash = zeroblob(32) WHERE level = 0 AND idx = 3",
}


@pytest.mark.parametrize("name", TAMPERED)
def test_the_check_sees_a_loss(name: str, template: Any, work: Path) -> None:
    """Each kind of loss, made by hand, is found by what the loops call after a kill."""
    from torture_vault import Lost, Model, adopt, check_history, check_model
    from torture_world import open_quickly

    from pds.vault.consent import Accept, Refuse

    template.copy_to(work / "vault")
    with open_quickly(work / "vault", template.kit) as vault:
        model = Model(template.kit)
        record = vault.add("note", {"title": "one", "text": "x"})
        vault.edit(record.id, {"title": "two"})
        vault.attach(record.id, BytesIO(b"three"), name="scan.txt")
        vault.decide(
            template.requests[0],
            {"delivery": Accept(), "personalisation": Accept(), "marketing": Refuse()},
        )
        vault.withdraw(vault.sharing()[0].grant)
        adopt(vault, model)
        check_model(vault, model, "")
        check_history(vault)
        conn = vault._ctx.conn
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute(TAMPERED[name])

        def look() -> None:
            if vault.check():
                raise Lost("check")
            check_model(vault, model, "")
            check_history(vault)

        with pytest.raises(Lost):
            look()
