"""A damaged vault: what it says is lost, and the vault that is made of the rest."""

import shutil
from io import BytesIO
from pathlib import Path

import pytest
from sqlcipher3.dbapi2 import DatabaseError

from did.json import JsonObject
from pds.db import DbDamaged, DbError
from pds.vault import files
from pds.vault.errors import VaultError
from pds.vault.keyslots import Argon2Params
from pds.vault.service import Vault

PAGE = 4096
ITEMS = 40


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A closed vault with notes of some size, a few of them corrected or deleted."""
    folder = tmp_path_factory.mktemp("sample") / "vault"
    kit = Vault.create(
        folder, passphrase="four unrelated words", params=Argon2Params(memory_kib=65_536)
    )
    # Up to here lie the descriptions of the tables, without which nothing can be read.
    (folder.parent / "empty").write_text(str((folder / "vault.db").stat().st_size // PAGE))
    with Vault.open(folder, kit=kit) as vault:
        ids = [
            vault.add("note", {"title": f"n{n}", "text": f"{n} " * 400}).id for n in range(ITEMS)
        ]
        for name in ids[::5]:
            vault.edit(name, {"title": "corrected"})
        vault.delete(ids[1])
    return folder, kit


def copy_with_damage(sample: tuple[Path, str], place: Path, *pages: int) -> Path:
    place.mkdir()
    (place / "slots.json").write_bytes((sample[0] / "slots.json").read_bytes())
    content = bytearray((sample[0] / "vault.db").read_bytes())
    for page in pages:
        content[(page - 1) * PAGE + 700] ^= 1
    (place / "vault.db").write_bytes(content)
    return place


def titles(vault: Vault) -> dict[str, JsonObject]:
    return {record.id: record.fields for record in vault.records(limit=1000)}


def told(damaged: Path, kit: str, page: int) -> list[str] | None:
    """What a vault says of its losses; None where the opening itself needs that page, and says
    what can be done."""
    try:
        opened = Vault.open(damaged, kit=kit)
    except DbDamaged as error:
        return None if "pds vault check --salvage" in error.hint else []
    with opened:
        found = opened.check()[0]
        if found == "a page cannot be read":  # the opening met it, and SQLCipher reads on no more
            return []
        assert f"page {page}" in found
        return opened.losses()


def test_each_damaged_page_is_named_and_the_rest_is_saved(
    sample: tuple[Path, str], tmp_path: Path
) -> None:
    """Flip one byte in every page: the damage is told, items that are lost are named with their
    category, and the new vault is sound and holds exactly the others."""
    folder, kit = sample
    with Vault.open(folder, kit=kit) as vault:
        whole = titles(vault)
    pages = (folder / "vault.db").stat().st_size // PAGE
    lost_somewhere = without_schema = 0
    for page in range(2, pages + 1):
        damaged = copy_with_damage(sample, tmp_path / f"d{page}", page)
        before = (damaged / "vault.db").read_bytes()
        lost = told(damaged, kit, page)
        try:
            report = Vault.salvage(damaged, tmp_path / f"s{page}", kit=kit)
        except DbDamaged:  # the names of the tables are on it
            assert lost is None
            without_schema += 1
            continue
        if lost is not None:
            assert set(lost) <= set(report.lost)
        with Vault.open(tmp_path / f"s{page}", kit=kit) as saved:
            assert saved.check() == []
            kept = titles(saved)
            assert kept.items() <= whole.items()
            for name in whole.keys() - kept.keys():
                lost_somewhere += 1
                assert f"item {name} (note)" in report.lost
            found = {record.id for record in saved.search("corrected")}
            assert found == {name for name in kept if kept[name]["title"] == "corrected"}
            assert not saved.status().restoring  # no relay knows more
            assert report.items == len(kept)
        assert (damaged / "vault.db").read_bytes() == before
    assert lost_somewhere > ITEMS // 2
    assert without_schema < 8


def test_two_damaged_pages_leave_what_is_between_them(
    sample: tuple[Path, str], tmp_path: Path
) -> None:
    """Every pair of pages far apart: each item that is on neither is kept."""
    folder, kit = sample
    pages = (folder / "vault.db").stat().st_size // PAGE
    first = int((folder.parent / "empty").read_text()) + 1
    saved = 0
    for number, page in enumerate(range(max(first, pages // 2), pages - 10, 3)):
        damaged = copy_with_damage(sample, tmp_path / f"d{number}", page, page + 10)
        try:
            report = Vault.salvage(damaged, tmp_path / f"s{number}", kit=kit)
        except DbDamaged:  # the names of the tables are on one of them
            continue
        assert report.items >= ITEMS - 1 - 12, report.lost
        saved += 1
    assert saved > 3


def test_a_long_item_with_a_damaged_end(tmp_path: Path) -> None:
    """SQLCipher would hand out zero bytes for the end of a long text: it is never taken for data,
    neither when it is read nor when it is saved."""
    folder = tmp_path / "vault"
    kit = Vault.create(
        folder, passphrase="four unrelated words", params=Argon2Params(memory_kib=65_536)
    )
    with Vault.open(folder, kit=kit) as vault:
        name = vault.add("note", {"title": "long", "text": "long " * 1900}).id
        other = vault.add("note", {"title": "short", "text": "short"}).id
    pages = (folder / "vault.db").stat().st_size // PAGE
    refused = 0
    for page in range(pages - 12, pages + 1):
        damaged = copy_with_damage((folder, kit), tmp_path / f"d{page}", page)
        try:
            with Vault.open(damaged, kit=kit) as vault:
                assert len(str(vault.record(name).fields["text"])) == 1900 * 5
                continue
        except (DbDamaged, DatabaseError):
            pass
        try:
            report = Vault.salvage(damaged, tmp_path / f"s{page}", kit=kit)
        except DbDamaged:  # the names of the tables are on it
            continue
        with Vault.open(tmp_path / f"s{page}", kit=kit) as vault:
            assert vault.check() == []
            saved = {record.id: record.fields for record in vault.records()}
        if name in saved:  # another page that the reading needs
            assert len(str(saved[name]["text"])) == 1900 * 5
        else:
            assert f"item {name} (note)" in report.lost
            assert saved.keys() <= {other}
            refused += 1
    assert refused >= 2


@pytest.mark.parametrize("harm", ["a byte", "the salt", "all of it", "plain"])
def test_a_damaged_first_page_is_put_back(
    harm: str, sample: tuple[Path, str], tmp_path: Path
) -> None:
    """Nothing of the vault opens; everything is saved, though the kept page is older than most of
    the data. The damaged vault stays as it is, and no copy is left."""
    folder, kit = sample
    damaged = copy_with_damage(sample, tmp_path / "d")
    (damaged / files.FIRST_PAGE).write_bytes((folder / files.FIRST_PAGE).read_bytes())
    content = bytearray((damaged / "vault.db").read_bytes())
    content[:PAGE] = {
        "a byte": content[:700] + bytes([content[700] ^ 1]) + content[701:PAGE],
        "the salt": bytes([content[0] ^ 1]) + content[1:PAGE],
        "all of it": bytes(PAGE),
        "plain": b"SQLite format 3\0" + bytes(PAGE - 16),
    }[harm]
    (damaged / "vault.db").write_bytes(content)
    if harm != "plain":
        with pytest.raises(DbError) as caught:
            Vault.open(damaged, kit=kit)
        assert "pds vault check --salvage" in caught.value.hint
    report = Vault.salvage(damaged, tmp_path / "s", kit=kit)
    assert report.lost == []
    with Vault.open(folder, kit=kit) as whole, Vault.open(tmp_path / "s", kit=kit) as saved:
        assert titles(saved) == titles(whole)
        assert saved.check() == []
    assert (damaged / "vault.db").read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} == {"d", "s"}
    assert (tmp_path / "s" / files.FIRST_PAGE).exists()


def test_a_first_page_in_the_log(sample: tuple[Path, str], tmp_path: Path) -> None:
    """What was never copied back from the log is saved too."""
    folder, kit = sample
    shutil.copytree(folder, tmp_path / "v")
    with Vault.open(tmp_path / "v", kit=kit) as vault:
        vault.add("note", {"title": "newest", "text": "x" * 9000})
        shutil.copytree(tmp_path / "v", tmp_path / "d")
        whole = titles(vault)
    content = bytearray((tmp_path / "d" / "vault.db").read_bytes())
    content[5] ^= 1
    (tmp_path / "d" / "vault.db").write_bytes(content)
    Vault.salvage(tmp_path / "d", tmp_path / "s", kit=kit)
    with Vault.open(tmp_path / "s", kit=kit) as saved:
        assert titles(saved) == whole


@pytest.mark.parametrize("kept", ["none", "damaged", "of another vault"])
def test_a_vault_without_its_first_page_and_its_copy_is_not_salvaged(
    kept: str, sample: tuple[Path, str], tmp_path: Path
) -> None:
    """Nothing opens without it; the error says to restore a backup, and nothing is left behind."""
    damaged = copy_with_damage(sample, tmp_path / "d", 1)
    if kept == "damaged":
        page = bytearray((sample[0] / files.FIRST_PAGE).read_bytes())
        page[900] ^= 1
        (damaged / files.FIRST_PAGE).write_bytes(page)
    elif kept == "of another vault":
        Vault.create(
            tmp_path / "o", passphrase="four other words", params=Argon2Params(memory_kib=65_536)
        )
        (tmp_path / "o" / files.FIRST_PAGE).rename(damaged / files.FIRST_PAGE)
        shutil.rmtree(tmp_path / "o")
    with pytest.raises(DbError) as caught:
        Vault.salvage(damaged, tmp_path / "s", kit=sample[1])
    assert caught.value.code == ("db.wrong_key_or_damaged" if kept == "none" else "db.damaged")
    assert {path.name for path in tmp_path.iterdir()} == {"d"}


def test_the_kept_page_follows_the_tables(tmp_path: Path) -> None:
    """Made with the vault, the same while tables stay where they are, made anew when they move or
    the key changes; not while others have the vault open."""
    kit = Vault.create(
        tmp_path / "v", passphrase="four unrelated words", params=Argon2Params(memory_kib=65_536)
    )
    kept = tmp_path / "v" / files.FIRST_PAGE
    first = kept.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600
    with Vault.open(tmp_path / "v", kit=kit) as vault:
        for n in range(50):
            vault.add("note", {"title": f"n{n}", "text": "x" * 900})
    assert kept.read_bytes() == first
    with Vault.open(tmp_path / "v", kit=kit):
        with Vault.open(tmp_path / "v", kit=kit) as vault:
            vault.compact()
        assert kept.read_bytes() == first
    moved = kept.read_bytes()
    assert moved != first
    words: list[str] = []
    with Vault.open(tmp_path / "v", kit=kit) as vault:
        vault.rotate_key(
            passphrase="four new words here",
            params=Argon2Params(memory_kib=65_536),
            keep=words.append,
        )
    assert kept.read_bytes() != moved
    content = bytearray((tmp_path / "v" / "vault.db").read_bytes())
    content[100] ^= 1
    (tmp_path / "v" / "vault.db").write_bytes(content)
    assert Vault.salvage(tmp_path / "v", tmp_path / "s", kit=words[0]).items == 50


def test_a_place_that_is_taken_is_left_alone(sample: tuple[Path, str], tmp_path: Path) -> None:
    """A new vault never goes over something else."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "mine").write_text("x")
    with pytest.raises(VaultError) as caught:
        Vault.salvage(sample[0], tmp_path / "s", kit=sample[1])
    assert caught.value.code == "vault.exists"


def test_a_damaged_vault_is_not_compacted(sample: tuple[Path, str], tmp_path: Path) -> None:
    """What cannot be read is not written anew."""
    pages = (sample[0] / "vault.db").stat().st_size // PAGE
    damaged = copy_with_damage(sample, tmp_path / "d", pages)
    before = (damaged / "vault.db").read_bytes()
    with Vault.open(damaged, kit=sample[1]) as vault, pytest.raises(VaultError) as caught:
        vault.compact()
    assert caught.value.code == "vault.damaged"
    assert (damaged / "vault.db").read_bytes() == before


def test_without_settings_items_keep_their_files_and_categories(tmp_path: Path) -> None:
    """Files and categories of one's own belong to items, not to relationships: where the settings
    are lost the items still have them."""
    folder, words = tmp_path / "vault", b"what only the file has " * 1000
    kit = Vault.create(
        folder, passphrase="four unrelated words", params=Argon2Params(memory_kib=65_536)
    )
    with Vault.open(folder, kit=kit) as vault:
        vault.add_category("recipes", {"title": "Recipe", "properties": {"name": {"title": "N"}}})
        item = vault.add("own-recipes", {"name": "soup"}).id
        file = vault.attach(item, BytesIO(words), name="soup.pdf").id
        with vault._ctx.transaction():
            vault._ctx.conn.execute("DELETE FROM setting")
    report = Vault.salvage(folder, tmp_path / "s", kit=kit)
    assert report.items == 1
    with Vault.open(tmp_path / "s", kit=kit) as saved:
        assert saved.check() == []
        assert [version.fields for version in saved.history(item)] == [{"name": "soup"}]
        assert [one.id for one in saved.attachments(item)] == [file]
        with saved.open_attachment(file) as source:
            assert source.read() == words
