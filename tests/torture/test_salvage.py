"""A vault with relationships, grants and a full outbox, damaged page by page and saved."""

from pathlib import Path
from typing import Any

import pytest

from pds.db import DbDamaged
from pds.vault.consent import Accept, Refuse
from pds.vault.service import Vault

PAGE = 4096


@pytest.fixture(scope="module")
def shared(template: Any) -> tuple[Path, str]:
    """A closed vault in which something is shared, something ended, something waits."""
    folder = template.folder.parent / "shared"
    template.copy_to(folder)
    answers = {"delivery": Accept(), "personalisation": Accept(), "marketing": Refuse()}
    with Vault.open(folder, kit=template.kit) as vault:
        for request in template.requests[:3]:
            vault.decide(request, answers)
        vault.withdraw(vault.sharing()[0].grant)
        vault._ctx.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder, template.kit


def test_every_page(shared: tuple[Path, str], work: Path) -> None:
    """Whatever page is damaged, the new vault opens, is sound, names what is lost, and has nothing
    that points to what is gone; only the pages with the names of the tables have no substitute."""
    folder, kit = shared
    with Vault.open(folder, kit=kit) as vault:
        whole = {record.id: record.fields for record in vault.records(limit=1000)}
        grants, relationships = len(vault.sharing()), vault.status().relationships
    content = (folder / "vault.db").read_bytes()
    damaged, outcomes = work / "damaged", set()
    damaged.mkdir()
    (damaged / "slots.json").write_bytes((folder / "slots.json").read_bytes())
    for page in range(2, len(content) // PAGE + 1):
        altered = bytearray(content)
        altered[(page - 1) * PAGE + 2000] ^= 1
        for left in damaged.glob("vault.db*"):
            left.unlink()
        (damaged / "vault.db").write_bytes(altered)
        target = work / f"saved-{page}"
        try:
            report = Vault.salvage(damaged, target, kit=kit)
        except DbDamaged:
            outcomes.add("no names")
            assert not target.exists()
            continue
        with Vault.open(target, kit=kit) as saved:
            assert saved.check() == []
            kept = {record.id: record.fields for record in saved.records(limit=1000)}
            assert kept.items() <= whole.items()
            assert report.items == len(kept)
            assert saved.status().restoring == (saved.status().relay is not None)
            assert report.restoring == saved.status().restoring
            assert all(
                any(name in one for one in report.lost) for name in whole.keys() - kept.keys()
            )
            left = (len(saved.sharing()), saved.status().relationships)
            assert left <= (grants, relationships)
            if left != (grants, relationships) or kept != whole:
                assert report.lost
                outcomes.add("items" if kept != whole else "sharing")
            saved.add("note", {"title": "goes on", "text": "x"})
            assert saved.check() == []
    assert outcomes == {"no names", "items", "sharing"}
