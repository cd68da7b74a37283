"""Hostile archives: bombs, tricks with names, files that break off; what is good in them goes in.

Nothing here measures time; a reader whose effort grows faster than the file would not end.
"""

import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pds.db import migrate, open_plain
from pds.vault.files import MIGRATIONS
from pds.vault.imports import ImportFailed, apply, archive
from pds.vault.records import Records
from tests.importing import Reading, make_plan, read, zip_of, zipped

ARCHIVES = Path(__file__).parents[1] / "fixtures" / "import" / "archives"
CARD = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Good\r\nEND:VCARD\r\n"
HISTORY = "Takeout/YouTube and YouTube Music/history/watch-history.json"
SEEN = {"title": "Watched it", "time": "2024-01-01T00:00:00Z"}


@pytest.fixture
def records() -> Iterator[Records]:
    conn = open_plain(":memory:")
    migrate(
        conn,
        MIGRATIONS,
        application_id=7,
    )
    yield Records(conn, clock=lambda: datetime(2026, 11, 21, tzinfo=UTC))
    conn.close()


def codes(reading: Reading) -> list[str]:
    return [problem.code for problem in reading.problems]


def made(*members: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for info, data in members:
            out.writestr(info, data)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_attack_63_archive_names() -> None:
    """Steps, roots, drives, letters that are not seen, names twice, links: each is left out and
    named in printable letters; the good member beside them is read."""
    link = zipfile.ZipInfo("link.vcf")
    link.external_attr = 0o120777 << 16
    names = ["../up.vcf", "a/../../up.vcf", "/root.vcf", "a//b.vcf", "c:\\x.vcf", "\x1b[2Jx.vcf",
             "a\u202eb.vcf", "n" * 401 + ".vcf", "good.vcf"]  # fmt: skip
    reading = read(made(("good.vcf", CARD), *((name, CARD) for name in names), (link, CARD)))
    assert len(reading.drafts) == 1
    assert codes(reading) == ["archive.name"] * (len(names) + 1)
    for problem in reading.problems:
        assert problem.member.isprintable()
        assert len(problem.member) <= 120


def test_attack_63_archive_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that would grow out of all proportion is not opened."""
    monkeypatch.setattr(archive, "SMALL", 100_000)
    reading = read(zip_of({"bomb.vcf": CARD + b"\n" * 2_000_000, "good.vcf": CARD}))
    assert (len(reading.drafts), codes(reading)) == (1, ["archive.bomb"])


def test_attack_63_archive_that_says_less_than_it_holds() -> None:
    """No more than the directory says is ever read out of a member."""
    data = bytearray(zip_of({"a.vcf": CARD * 1000, "good.vcf": CARD}))
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x01\x02"))
    struct.pack_into("<L", data, at + 24, 200)
    reading = read(bytes(data))
    assert codes(reading)[:1] == ["archive.damaged"]
    assert 1 <= len(reading.drafts) < 10


def test_attack_63_archive_of_overlapping_members() -> None:
    """Members that share their bytes are a bomb that no proportion shows."""
    data = bytearray(zip_of({f"{i}.vcf": bytes(range(256)) * 40 for i in range(9)}))
    first = data.index(b"PK\x01\x02")
    offset, size = 0, 0
    at = first
    while data[at : at + 4] == b"PK\x01\x02":
        size = max(size, 1_000_000)
        struct.pack_into("<L", data, at + 20, size)
        struct.pack_into("<L", data, at + 42, offset)
        lengths = struct.unpack_from("<3H", data, at + 28)
        at += 46 + sum(lengths)
    with pytest.raises(ImportFailed) as caught:
        read(bytes(data))
    assert caught.value.code == "import.archive"


def test_attack_63_archive_with_a_huge_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before the directory is read; so are too many members."""
    data = zip_of({f"{i}.vcf": CARD for i in range(50)})
    assert len(read(data).drafts) == 50
    monkeypatch.setattr(archive, "MAX_DIRECTORY", 1000)
    with pytest.raises(ImportFailed) as caught:
        read(data)
    assert caught.value.code == "import.archive"
    monkeypatch.setattr(archive, "MAX_DIRECTORY", 1_000_000)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 49)
    with pytest.raises(ImportFailed):
        read(data)


def test_attack_63_archive_in_archive_in_archive() -> None:
    """One level is read, what is deeper or too large is not, and an archive of itself ends."""
    third = zip_of({"c.vcf": CARD})
    second = zip_of({"b.zip": third, "b.vcf": CARD})
    reading = read(zip_of({"a.zip": second, "a.vcf": CARD, "bad.zip": b"PK\x03\x04" * 9}))
    assert len(reading.drafts) == 2
    assert codes(reading) == ["archive.nested", "archive.nested"]


def test_attack_63_nested_archive_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inner archive is held in memory, so it has a cap."""
    inner = zip_of({"b.vcf": CARD})
    monkeypatch.setattr(archive, "MAX_WHOLE", len(inner) - 1)
    reading = read(zip_of({"a.zip": inner, "a.vcf": CARD}))
    assert (len(reading.drafts), codes(reading)) == (1, ["archive.nested"])


def test_attack_63_encrypted_member() -> None:
    """It is named, and the others are read."""
    data = bytearray(zip_of({"a.vcf": CARD, "good.vcf": CARD}))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    reading = read(bytes(data))
    assert (len(reading.drafts), codes(reading)) == (1, ["archive.encrypted"])


def test_attack_63_member_packed_in_another_way() -> None:
    """LZMA may ask for gigabytes to unpack a few bytes; such a member is named and not opened."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as out:
        out.writestr("a.vcf", CARD)
        out.writestr(zipfile.ZipInfo("good.vcf"), CARD)
    reading = read(file.getvalue())
    assert (len(reading.drafts), codes(reading)) == (1, ["archive.method"])


def test_attack_63_archive_cut_at_every_byte() -> None:
    """It is refused as a whole, or what can be read of it is; nothing else is raised."""
    data = zip_of({"a.vcf": CARD, "b.ics": b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"})
    for cut in range(5, len(data)):
        with pytest.raises(ImportFailed):
            read(data[:cut])


def test_attack_63_archive_with_every_byte_changed() -> None:
    """A changed byte is noticed, or harms one member, or nothing."""
    data = zip_of({"a.vcf": CARD, HISTORY: json.dumps([SEEN])})
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x41
        try:
            reading = read(bytes(changed))
        except ImportFailed:
            continue
        assert len(reading.drafts) <= 2


@pytest.mark.parametrize(
    "history",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'[{"title":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        b'[{"title":"' + b"x" * 20_000_000 + b'"}]',
        b'[{"title":"x","time":' + b"9" * 1_000_000 + b"}]",
        b'[{"title":1e' + b"9" * 100_000 + b"}]",
        b'[{"title":"\\ud800"}]',
        b'[{"title":"\xff\xfe\x80"}]',
        b'[{"title":NaN,"time":Infinity}]',
        b"\x00" * 1000,
        json.dumps([SEEN]).encode("utf-32"),
        b'[{"subtitles":"text","title":{"a":1},"time":[1,2]}]',
        b'[null,1,"x",[],{}]',
    ],
    ids=lambda value: repr(value[:20]),
)
def test_attack_63_hostile_json(history: bytes, records: Records) -> None:
    """Depth, length, huge numbers, other types, other encodings: the member beside it goes in."""
    reading = read(zip_of({HISTORY: history, "Takeout/a.vcf": CARD}))
    assert [d.fields["name"] for d in reading.drafts if d.category == "contact"] == ["Good"]
    assert all(len(json.dumps(d.fields)) < 100_000 for d in reading.drafts)
    apply(make_plan(reading, records), records)


def test_attack_63_many_bad_entries() -> None:
    """Malformed entries by the ten thousand cost no more than reading them."""
    history = b"[" + b'{"title": bad},\n' * 50_000 + json.dumps(SEEN).encode() + b"]"
    reading = read(zip_of({HISTORY: history}))
    assert len(reading.drafts) == 1
    assert reading.problem_count == 50_000


def test_attack_63_an_entry_of_many() -> None:
    """An entry that stands for a list of others has a cap."""
    from pds.vault.imports import takeout

    path = [{"point": "1°, 2°", "time": "2024-01-01T00:00:00Z"}] * (takeout.MAX_EACH + 5)
    raw = json.dumps({"semanticSegments": [{"timelinePath": path}]})
    reading = read(zip_of({"Takeout/Timeline.json": raw}))
    assert len(reading.drafts) == takeout.MAX_EACH
    assert codes(reading) == ["json.too_large"]


def test_attack_63_large_members_are_streamed(tmp_path: Path) -> None:
    """Of a JSON file of 100 MB in an archive only an entry or two are in memory at a time."""
    big = tmp_path / "big.zip"
    with zipfile.ZipFile(big, "w", zipfile.ZIP_STORED) as out, out.open(HISTORY, "w") as member:
        member.write(b'[{"ignored": "')
        for _ in range(100):
            member.write(b"x" * 1_000_000)
        member.write(b'"},' + json.dumps(SEEN).encode() + b"]")
    tracemalloc.start()
    try:
        reading = read(big)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(reading.drafts), codes(reading)) == (1, ["json.too_large"])
    assert peak < 150 * 1024 * 1024


@pytest.mark.parametrize("name", sorted(p.name for p in ARCHIVES.iterdir()))
def test_attack_63_archive_twice(name: str, records: Records) -> None:
    """The same archive again adds nothing, and undoing takes all of it back."""
    reading = read(zipped(ARCHIVES / name))
    first = apply(make_plan(reading, records), records)
    assert first.added == len(reading.drafts)
    assert first.batch is not None
    again = make_plan(reading, records)
    assert (again.added, again.duplicates) == (0, first.added)
    assert apply(again, records).added == 0
    assert records.undo_batch(first.batch).removed == first.added
