"""Reads a file whole, for tests that look at its records."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pds.vault.imports import Draft, Findings, ImportPlan, Problem, csv_reader, reader, vcard_reader
from pds.vault.imports import make_plan as plan_of
from pds.vault.imports.plan import About, Read
from pds.vault.records import Records


@dataclass(frozen=True)
class Reading:
    """What a file holds, and how it was read."""

    kind: str
    read: Read
    encoding: str
    entries: int
    drafts: tuple[Draft, ...]
    problems: tuple[Problem, ...]
    problem_count: int
    assumptions: tuple[str, ...]
    left_out: tuple[tuple[str, int], ...]


def collect(kind: str, read: Read) -> Reading:
    """Read with a reader from beginning to end."""
    drafts: list[Draft] = []
    findings = Findings(drafts.append)
    read(findings)
    found = findings.reading(kind)
    return Reading(
        kind,
        read,
        found.encoding,
        found.entries,
        tuple(drafts),
        found.problems,
        found.problem_count,
        found.assumptions,
        found.left_out,
    )


def read(data: bytes | Path, *, kind: str | None = None) -> Reading:
    return collect(*reader(data, kind=kind))


def read_csv(data: bytes | Path, mapping: dict[str, str] | None = None, **how: str) -> Reading:
    return collect("csv", csv_reader(data, mapping, **how))  # type: ignore[arg-type]


def read_vcard(data: bytes | Path) -> Reading:
    return collect("vcard", vcard_reader(data))


def make_plan(reading: Reading, records: Records, *, about: About | None = None) -> ImportPlan:
    return plan_of(reading.kind, reading.read, records, about=about)


def zipped(folder: Path) -> bytes:
    """The files of a folder as the ZIP archive that a service would send."""
    return zip_of({p.relative_to(folder).as_posix(): p.read_bytes()
                   for p in sorted(folder.rglob("*")) if p.is_file()})  # fmt: skip


def zip_of(members: Mapping[str, bytes | str]) -> bytes:
    """An archive of these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()
