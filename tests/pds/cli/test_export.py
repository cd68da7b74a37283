"""``pds export`` and ``pds import``: asked first, told after, and back again."""

import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli, make_vault


def test_it_says_that_it_is_not_encrypted_and_asks(cli: Cli, tmp_path: Path) -> None:
    """Without --yes nobody gets a plain archive by accident, and nothing is unlocked before."""
    target = tmp_path / "out.zip"
    refused = cli.json("export", str(target), expect=2, PDS_KIT="not tried")
    assert "not encrypted" in refused["message"]
    assert not target.exists()
    done = cli.json("export", str(target), "--yes")
    assert done["counts"] == {"contact": 1, "interests": 4, "purchases": 12}
    assert done["items"] == 17
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert done["bytes"] == target.stat().st_size
    assert "not encrypted" in cli("export", str(tmp_path / "b.zip"), "--yes").err
    again = cli.json("export", str(target), "--yes", expect=1)
    assert again["code"] == "export.exists"


def test_the_history_says_that_it_was_exported(cli: Cli, tmp_path: Path) -> None:
    """A copy in clear left the vault: that is worth a line."""
    cli("export", str(tmp_path / "out.zip"), "--yes")
    assert "You exported 17 items in clear." in cli("activity").out


def test_an_archive_goes_into_another_vault(cli: Cli, tmp_path: Path) -> None:
    """Everything arrives once, and the import can be undone."""
    target = tmp_path / "out.zip"
    cli("export", str(target), "--yes")
    other = make_vault(tmp_path / "other")
    before = other.json("status")["items"]
    done = other.json("import", str(target))
    assert (done["added"], done["duplicates"], done["problemCount"]) == (17, 0, 0)
    assert other.json("status")["items"] == before + 17
    again = other.json("import", str(target))
    assert (again["added"], again["duplicates"], again["batch"]) == (0, 17, None)
    assert "17 there already" in other("import", str(target)).out
    other("data", "undo", done["batch"], "--yes")
    assert other.json("status")["items"] == before


def test_damage_is_told(cli: Cli, tmp_path: Path) -> None:
    """What is wrong in an archive is named by file and line; what is no archive is refused."""
    target = tmp_path / "out.zip"
    cli("export", str(target), "--yes")
    spoilt = tmp_path / "spoilt.zip"
    with zipfile.ZipFile(target) as source, zipfile.ZipFile(spoilt, "w") as out:
        for name in source.namelist():
            octets = source.read(name)
            changed = name == "data/interests.jsonld"
            out.writestr(name, octets.replace(b"cycling", b"hacking") if changed else octets)
    other = make_vault(tmp_path / "other")
    [problem] = other.json("import", str(spoilt))["problems"]
    assert (problem["file"], problem["code"]) == ("data/interests.jsonld", "import.digest")
    assert "import.digest" in other("import", str(spoilt)).out
    card = Path(__file__).parents[3] / "scripts" / "fixtures" / "contact.vcf"
    refused = other.json("import", str(card), expect=1)
    assert refused["code"] == "import.not_ours"
    assert "pds data import" in refused["hint"]


def test_a_part_of_it(cli: Cli, tmp_path: Path) -> None:
    """--category chooses data; a company that is not known is refused, and nothing written."""
    cli("export", str(tmp_path / "a.zip"), "--yes", "--category", "contact")
    with zipfile.ZipFile(tmp_path / "a.zip") as zipped:
        assert json.loads(zipped.read("manifest.json"))["counts"] == {"contact": 1}
        assert "history.jsonl" not in zipped.namelist()
    none = cli.json("export", str(tmp_path / "b.zip"), "--yes", "--company", "x", expect=1)
    assert none["code"] == "vault.not_found"
    none = cli.json("export", str(tmp_path / "b.zip"), "--yes", "--category", "x", expect=1)
    assert none["code"] == "data.unknown_category"
    assert not (tmp_path / "b.zip").exists()


def test_what_was_decided_is_in_it(holder: Cli, shop: Any, tmp_path: Path) -> None:
    """Request, grant, decision, receipts and withdrawal, as they were signed; a verifier without a
    vault takes the grant. The part about one company holds that and no data."""
    terms = Path(__file__).parents[3] / "scripts" / "fixtures" / "request.json"
    link = shop("request", str(terms))["link"]
    holder("open", link, "--dev-trust", shop.trust)
    decided = holder.json("decide", "--accept", "delivery", "--refuse", "personalisation",
                          "--refuse", "marketing")  # fmt: skip
    grant_id = next(p["grant"] for p in decided["purposes"] if p["grant"])
    shop("collect")
    shop("redeem", grant_id)
    holder("sync")
    holder("withdraw", "delivery", "--yes")
    holder("export", str(tmp_path / "all.zip"), "--yes")
    holder("export", str(tmp_path / "one.zip"), "--yes", "--company", "did:web:shop.example")
    for name in ("all.zip", "one.zip"):
        with zipfile.ZipFile(tmp_path / name) as zipped:
            names = zipped.namelist()
            messages = [json.loads(m) for m in zipped.read("decisions/messages.jsonl").splitlines()]
            receipts = zipped.read("decisions/receipts.jsonl").splitlines()
            grant = json.loads(zipped.read("decisions/grants/0001.json"))
            index = zipped.read("index.html").decode()
        assert messages[0]["type"] == "Decision"
        assert "Withdrawal" in {m["type"] for m in messages}
        assert all("proof" in m for m in messages)
        assert len(receipts) >= 2
        assert grant["id"] == grant_id
        assert grant == holder.json("grant", "delivery")
        assert ">ended</td>" in index
        assert ("data/contact.jsonld" in names) == (name == "all.zip")
        assert "decisions/requests/0001.json" in names


def test_a_folder_that_is_not_there(cli: Cli, tmp_path: Path) -> None:
    """It is not made, and nothing is left."""
    gone = cli.json("export", str(tmp_path / "none" / "out.zip"), "--yes", expect=1)
    assert gone["code"] == "file.missing"
    assert os.listdir(tmp_path) == ["vault"]


@pytest.mark.parametrize("command", ["export", "import"])
def test_help_has_an_example(pds: Callable[..., Any], command: str) -> None:
    """The help says how the command is typed."""
    assert f"pds {command} my-data.zip" in pds(command, "--help").out
