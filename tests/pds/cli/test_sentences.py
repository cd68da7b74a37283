"""What a vault logs, in words for people: no kind of entry or message without a sentence."""

import re
from pathlib import Path
from typing import Any, cast

import pytest

from did.time import utc_now
from pds.cli.dealings import Dealings
from pds.cli.sentences import Sentences
from pds.messages.message import TYPES
from pds.vault.activity import Activity
from pds.vault.relation import Dealing

VAULT = Path(__file__).parents[3] / "pds" / "vault"
# ``.log("kind", …``, ``_note("kind", …``, ``history.append(at=…, kind="kind", …``
LOGGED = re.compile(r'(?:\.log|\b_note)\(\s*"([a-z ]+)"|\bappend\(at=\w+, kind="([a-z ]+)"')
TEXTS = [file.read_text(encoding="utf-8") for file in sorted(VAULT.rglob("*.py"))]
KINDS = sorted({one or other for text in TEXTS for one, other in LOGGED.findall(text)})


def _sentence(kind: str, **detail: Any) -> str:
    names = {"did:web:shop.example": "Shop"}
    says = Sentences(cast("Any", None), names, grants={}, purposes={}, kinds={"x": "Contact"})
    return says.sentence(Activity(1, utc_now(), kind, "x", "", "", detail))


def test_the_kinds_are_found() -> None:
    """The search through the sources finds what it is there for."""
    assert {"added", "granted", "recovered", "restored", "salvaged", "backed up"} <= {*KINDS}


@pytest.mark.parametrize("kind", [*KINDS, "redemption", "refusal"])
def test_every_entry_of_the_history_is_a_sentence(kind: str) -> None:
    """None is shown as the one word that it is logged under."""
    assert _sentence(kind) != f"{kind.capitalize()}."
    assert len(_sentence(kind).split()) > 3


def test_an_import_that_changed_items_says_so() -> None:
    """Its added items alone would be none."""
    assert _sentence("imported", added=0, changed=1) == (
        "You imported 0 items, and 1 item changed by it."
    )


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_message_is_a_sentence(kind: str) -> None:
    """None is shown by the type that it has on the wire."""
    way = "received" if kind == "ErasureAttestation" else "sent"
    line = Dealings(grants={}, requests={}).line(Dealing(utc_now(), way, "x#1", kind))
    assert kind not in line


def test_a_count_of_one_category_is_no_wrong_plural(cli: Any, tmp_path: Path) -> None:
    """A category's name is a plural, so that the number stands behind it."""
    file = tmp_path / "one.ics"
    file.write_text(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\n"
        "DTSTAMP:20260101T000000Z\r\nDTSTART:20260102T100000Z\r\nSUMMARY:Choir\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    said = cli("data", "import", str(file), "--dry-run").out
    assert "events: 1" in said
    assert "1 events" not in said
