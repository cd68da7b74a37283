"""Reads a file whole, for tests that look at its records."""

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
