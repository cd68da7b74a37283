"""Hostile values in what we give out, and hostile archives that say they are ours.

Nothing here measures time. A refused archive is refused before anything of it is used; in others
what is good is read and the rest is named.
"""

import hashlib
import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pds.vault.exports import open_export, pages, read
from pds.vault.exports.tables import csv_file
from pds.vault.imports import ImportFailed
from pds.vault.records import Record
from pds.vault.schemas import category, schema_of
from pds.vault.store.records import Row

TIME = "2026-11-28T09:30:00Z"
HEADER = b'{"@context":{"@version":1.1},"@type":"Category","category":"interests","records": [\n'
END = b"\n]}\n"
PATH = "data/interests.jsonld"

SCRIPTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</td></table><iframe src=https://evil.example>",
    "javascript:alert(1)",
    "</title><style>@import url(https://evil.example)</style>",
    "<!--",
    "&lt;script&gt;",
]
FORMULAS = ["=cmd|' /C calc'!A0", "+1+cmd", "-2+3+cmd", "@SUM(1+9)", "\t=1", "\r=1", " =1", "＝1+1"]


def row(text: str) -> Row:
    """A stored record whose every text is the hostile one; columns beyond these are empty."""
    known = {
        "ordinal": 1, "id": "A" * 22, "category": "interests", "schema": "https://s.example",
        "about": "self", "fields": json.dumps({"name": text}), "source": text.strip(),
        "collected": TIME, "assurance": "self-declared", "version": 1, "created": TIME,
        "changed": TIME, "deleted": False,
    }  # fmt: skip
    return Row(**{field.name: known.get(field.name) for field in fields(Row)})  # type: ignore[arg-type]


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", SCRIPTS)
def test_attack_59_script_in_a_record(text: str) -> None:
    """A value is text on every page: no tag, no attribute and no address comes of it."""
    [(_, made)] = list(pages.category_pages(category("interests"), [row(text)], 1))
    listed = pages.Listed("interests", text, 1, "pages/x.html", ("data/x.csv",))
    grant: Any = dict.fromkeys(("Company", "Purpose", "Until", "State"), text)
    first = pages.index_page(
        made=TIME, categories=[listed], files=[], grants=[grant], attachments=[("a/b", text, 1)]
    )
    for page in (made, first):
        seen = _Seen()
        seen.feed(page.decode())
        assert text in seen.text
        assert not {tag for tag, _ in seen.tags} & {"script", "img", "svg", "iframe", "object"}
        for tag, attributes in seen.tags:
            assert not any(name.startswith("on") for name in attributes), tag
            assert not (attributes.get("href") or "").startswith(("javascript", "http"))
        [policy] = [a["content"] for t, a in seen.tags if t == "meta" and "http-equiv" in a]
        assert policy is not None
        assert policy.startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize("text", FORMULAS)
def test_attack_63_formula_in_a_cell(text: str) -> None:
    """No cell of our tables is run by a spreadsheet, the source of a record neither."""
    raw = b"".join(csv_file([row(text)], schema_of("interests"))).decode("utf-8-sig")
    cells = raw.split("\r\n", 1)[1]
    assert cells.lstrip('"').startswith("'")
    assert f',"{text.strip()}' not in cells
    assert f",{text.strip()}" not in cells


# --- archives -----------------------------------------------------------------------------------


def record(name: str = "cycling", **more: Any) -> dict[str, Any]:
    version = {
        "version": 1, "schema": "https://s.example", "source": "self", "collected": TIME,
        "assurance": "self-declared", "changed": TIME, "fields": {"name": name},
    }  # fmt: skip
    whole = {"@id": "#" + "A" * 22, "about": "self", "created": TIME, "deleted": False}
    return whole | {"versions": [version]} | more


def body(*records: Any) -> bytes:
    return HEADER + b",\n".join(json.dumps(r).encode() for r in records) + END


Files = dict[str, bytes]


def pack(path: Path, files: Files, *, change: Callable[[Any], None] = lambda _m: None) -> Path:
    """An archive of these files with a right manifest, which ``change`` may then spoil."""
    manifest: dict[str, Any] = {
        "format": read.FORMAT,
        "version": read.VERSION,
        "files": [
            {"path": name, "sha256": hashlib.sha256(octets).hexdigest(), "bytes": len(octets)}
            for name, octets in files.items()
        ],
    }
    change(manifest)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, octets in files.items():
            zipped.writestr(name, octets)
        zipped.writestr("manifest.json", json.dumps(manifest))
    return path


def taken(path: Path) -> tuple[list[Record], list[tuple[str, int, str]]]:
    """The newest versions that an archive gives, and what it was reported for."""
    problems: list[tuple[str, int, str]] = []
    found: list[Record] = []
    with open_export(path) as archive:
        for listed in archive.data_files:

            def report(line: int, code: str, sentence: str, name: str = listed.path) -> None:
                problems.append((name, line, code))
                assert "cycling" not in sentence

            found += [versions[-1] for _, versions in archive.records(listed, report)]
    return found, problems


def refused(path: Path) -> str:
    with pytest.raises(ImportFailed) as error, open_export(path):
        pass
    return error.value.code


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "export.zip"
    assert [p.name for p in tmp_path.iterdir() if p.name != "export.zip"] == []


def test_attack_63_good_archive(target: Path) -> None:
    """The archive that the others are spoilt from is read."""
    found, problems = taken(pack(target, {PATH: body(record())}))
    assert [r.fields for r in found] == [{"name": "cycling"}]
    assert problems == []


@pytest.mark.parametrize(
    "name",
    ["../evil", "data/../../evil", "/etc/passwd", "C:/evil", "a\\..\\b", "data//x", "./x", "a\nb"],
)
def test_attack_63_names_that_lead_elsewhere(target: Path, name: str) -> None:
    """One name that is a path somewhere else: nothing of the archive is used."""
    assert refused(pack(target, {PATH: body(record()), name: b"x"})) == "import.archive"


def test_attack_63_names_twice(target: Path) -> None:
    """Two files of one name, of which two programs would see different ones."""
    pack(target, {PATH: body(record())})
    with zipfile.ZipFile(target, "a") as zipped, pytest.warns(UserWarning, match="Duplicate"):
        zipped.writestr(PATH, body(record("other")))
    assert refused(target) == "import.archive"


def test_attack_63_nul_in_a_name(target: Path) -> None:
    """A name that ends at a NUL for some and goes on for others."""
    pack(target, {PATH: body(record()), "data/x_y": b"x"})
    target.write_bytes(target.read_bytes().replace(b"data/x_y", b"data/x\x00y"))
    assert refused(target) == "import.archive"


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_attack_63_links_and_devices(target: Path, mode: int) -> None:
    """A member that is no plain file."""
    pack(target, {PATH: body(record())})
    info = zipfile.ZipInfo("data/link")
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(target, "a") as zipped:
        zipped.writestr(info, "/etc/passwd")
    assert refused(target) == "import.archive"


def test_attack_63_encrypted_member(target: Path) -> None:
    """A file that nobody can look into."""
    pack(target, {PATH: body(record())})
    raw = bytearray(target.read_bytes())
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    target.write_bytes(raw)
    assert refused(target) == "import.archive"


def test_attack_63_other_packing(target: Path) -> None:
    """A way of packing that we do not write, and whose unpacking is not limited."""
    pack(target, {PATH: body(record())})
    with zipfile.ZipFile(target, "a", zipfile.ZIP_LZMA) as zipped:
        zipped.writestr("data/more", b"x" * 100)
    assert refused(target) == "import.archive"


def test_attack_63_bomb_of_zeroes(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that unpacks to far more than it is packed from is not unpacked at all."""
    octets = HEADER + b"0" * (8 * 2**20) + END
    pack(target, {PATH: octets, "data/good.jsonld": body(record())})
    monkeypatch.setattr(read, "MAX_RATIO", 300)
    found, problems = taken(target)
    assert problems == [(PATH, 0, "import.file")]
    assert len(found) == 1


def test_attack_63_endless_line(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than any item ends the file; what stood before it is read."""
    monkeypatch.setattr(read, "MAX_LINE", 5_000)
    long = record("x" * 10_000) | {"@id": "#" + "B" * 22}
    found, problems = taken(pack(target, {PATH: body(record(), long, record())}))
    assert len(found) == 1
    assert problems == [(PATH, 3, "import.record")]


def test_attack_63_directory_bomb(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that would fill the memory is refused before it is read."""
    pack(target, {PATH: body(record())} | {f"a/{n}": b"" for n in range(100)})
    monkeypatch.setattr(read, "MAX_DIRECTORY", 4_000)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the directory was read"))
    assert refused(target) == "import.archive"


def test_attack_63_directory_bomb_of_64_bits(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, with its size in the larger record alone."""
    raw = pack(target, {PATH: body(record())}).read_bytes()
    at = raw.rindex(b"PK\x05\x06")
    size, offset = struct.unpack("<LL", raw[at + 12 : at + 20])
    large = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, 2**40, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    end = raw[at : at + 12] + struct.pack("<LLH", 0xFFFFFFFF, 0xFFFFFFFF, 0)
    target.write_bytes(raw[:at] + large + locator + end)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the directory was read"))
    assert refused(target) == "import.archive"
    assert size


def test_attack_63_wrong_digest(target: Path) -> None:
    """A file that is other than its digest is left out before its first record is used."""

    def change(manifest: Any) -> None:
        manifest["files"][0]["sha256"] = "0" * 64

    good = record("good") | {"@id": "#" + "B" * 22}
    pack(target, {PATH: body(record()), "data/good.jsonld": body(good)}, change=change)
    found, problems = taken(target)
    assert [r.fields for r in found] == [{"name": "good"}]
    assert problems == [(PATH, 0, "import.digest")]


def test_attack_63_flipped_bytes(target: Path) -> None:
    """One flipped byte anywhere: refused, named, or of no consequence; never something else."""
    raw = pack(target, {PATH: body(record())}).read_bytes()
    for at in range(0, len(raw), 3):
        target.write_bytes(raw[:at] + bytes([raw[at] ^ 0x20]) + raw[at + 1 :])
        try:
            found, _ = taken(target)
        except ImportFailed:
            continue
        assert [r.fields for r in found] in ([], [{"name": "cycling"}])


def _move(raw: bytearray, at: int, by: int) -> None:
    """Change a number of four bytes."""
    raw[at : at + 4] = struct.pack("<L", struct.unpack("<L", raw[at : at + 4])[0] + by)


@pytest.mark.parametrize("shift", [1, 30, 400, 2**20, -1, -30])
def test_attack_63_directory_elsewhere(target: Path, shift: int) -> None:
    """A directory that lies about its own place."""
    raw = bytearray(pack(target, {PATH: body(record())}).read_bytes())
    _move(raw, raw.rindex(b"PK\x05\x06") + 16, shift)
    target.write_bytes(raw)
    assert refused(target) == "import.not_ours"


def test_attack_63_file_before_the_archive(target: Path) -> None:
    """A file that would begin before the first byte; the manifest is where it says."""
    raw = bytearray(pack(target, {PATH: body(record())}).read_bytes())
    _move(raw, raw.rindex(b"PK\x05\x06") + 16, 30)  # everything is looked for 30 bytes before
    _move(raw, raw.rindex(b"PK\x01\x02") + 42, 30)  # but for the manifest
    target.write_bytes(raw)
    assert taken(target) == ([], [(PATH, 0, "import.damaged")])


def test_attack_63_cut_off(target: Path) -> None:
    """An archive that ends early is none."""
    raw = pack(target, {PATH: body(record())}).read_bytes()
    for length in range(0, len(raw), 7):
        target.write_bytes(raw[:length])
        assert refused(target) == "import.not_ours"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format="https://other.example"),
        lambda m: m.update(version=2),
        lambda m: m.update(files=m["files"] * 2),
        lambda m: m["files"][0].update(bytes=-1),
        lambda m: m["files"][0].update(sha256="x"),
        lambda m: m["files"].append("x"),
    ],
)
def test_attack_63_wrong_manifest(target: Path, change: Callable[[Any], None]) -> None:
    """A manifest of another form says nothing about the files."""
    assert refused(pack(target, {PATH: body(record())}, change=change)) == "import.not_ours"


@pytest.mark.parametrize(
    "raw",
    [b"", b"PK\x03\x04", b"BEGIN:VCARD\r\n", b"{}", b"\x1f\x8b" + b"0" * 100, b"PK\x05\x06" * 9],
)
def test_attack_63_other_formats(target: Path, raw: bytes) -> None:
    """What is no ZIP of ours is refused with a word on what to do instead."""
    target.write_bytes(raw)
    assert refused(target) == "import.not_ours"
    with zipfile.ZipFile(target, "w") as zipped:
        zipped.writestr("word/document.xml", "<x/>")
    assert refused(target) == "import.not_ours"


BAD: list[Any] = [
    {"@id": "#x"},
    [],
    record() | {"versions": []},
    record() | {"@id": 7},
    record() | {"@id": "A" * 22},
    record() | {"deleted": "no"},
    record() | {"deleted": True},
    record() | {"created": "yesterday"},
    record() | {"versions": [record()["versions"][0] | {"version": 2}]},
    record() | {"versions": [record()["versions"][0] | {"fields": []}]},
    record() | {"versions": [record()["versions"][0] | {"source": None}]},
    record() | {"versions": 7},
    record() | {"tags": "x"},
    record() | {"tags": ["x", 7]},
    record() | {"versions": [record()["versions"][0] | {"validFrom": "soon"}]},
    record() | {"versions": [record()["versions"][0] | {"validUntil": 2026}]},
    record()
    | {
        "versions": [
            record()["versions"][0] | {"validFrom": "2026-02-01", "validUntil": "2026-01-01"}
        ]
    },
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_attack_63_bad_records(target: Path, bad: Any) -> None:
    """An item of another form is named by its line; its neighbours are read."""
    found, problems = taken(pack(target, {PATH: body(record(), bad, record())}))
    assert len(found) == 2
    assert problems == [(PATH, 3, "import.record")]


@pytest.mark.parametrize("line", [b'{"a":1,"a":2}', b"[" * 100_000, b"{", b"\xff\xfe", b"1e999"])
def test_attack_63_bad_json(target: Path, line: bytes) -> None:
    """A line that is no strict JSON is named; its neighbours are read."""
    good = json.dumps(record()).encode()
    octets = HEADER + good + b",\n" + line + b",\n" + good + END
    found, problems = taken(pack(target, {PATH: octets}))
    assert len(found) == 2
    assert problems == [(PATH, 3, "import.record")]


def test_attack_63_not_a_file(target: Path) -> None:
    """A folder, a pipe or nothing at all."""
    os.mkfifo(target)
    assert refused(target) == "import.unreadable"
    target.unlink()
    target.mkdir()
    assert refused(target) == "import.unreadable"
    target.rmdir()
    assert refused(target) == "import.unreadable"
