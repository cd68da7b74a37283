"""Health records: from FHIR R4 (a bundle, a resource, or one resource a line) to records.

The file is read through once for the names that resources refer to, and then for the resources;
of neither more than one is held.
"""

import re
from collections import Counter
from functools import partial
from pathlib import Path

from pds.vault.records import Origin

from .fhir_records import NEEDED, left_over, plain, records_of
from .fhir_values import Names, Resource, text
from .json_stream import Piece, parse, read_pieces
from .moments import moment
from .people import Person
from .plan import About, Findings, ImportFailed, Read
from .source import Source
from .text import recoded

_NEEDED = re.compile(
    rb'"resourceType"\s{0,20}:\s{0,20}"(?:' + "|".join(sorted(NEEDED)).encode() + rb')"'
)
_ADDRESS = re.compile(r"https?://[^\s/]+/.", re.IGNORECASE)
_UUID = re.compile(r"(?:urn:uuid:)?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BUNDLE = "Bundle"
# A record of no more than these is none.
_SAYS_NOTHING = frozenset({"identifier", "status", "kind"})


def fhir_reader(data: bytes | Path | Source) -> Read:
    """How health records are read, of any length (UTF-16: at most 64 MiB).

    The patient becomes ``contact`` and ``demographics``; conditions, observations, medications,
    immunizations, allergies, procedures, encounters, reports, plans of care, claims and benefits
    become records of the categories of these names. Numbers are kept as they are written.
    ``line`` is where the resource begins.

    Problems: ``fhir.json``, ``fhir.too_large``, ``fhir.no_resource``, ``fhir.empty`` end one
    resource; ``fhir.not_closed`` the file; ``import.field`` leaves out a part of one.
    Raises ImportFailed: ``import.too_large``, ``import.empty``; reading raises
    ``import.nothing_found`` (no resource).
    """
    source, encoding = recoded(Source.of(data))
    return partial(_read, source, encoding)


def _read(source: Source, encoding: str, findings: Findings) -> None:
    findings.encoding = encoding
    names = _names(source)
    whose = _whose(names, findings)

    def broken(line: int) -> None:
        findings.problem(
            line, "fhir.not_closed", "The file ends inside an object; something is missing."
        )

    with source.open() as stream:
        for piece in read_pieces(stream, broken=broken):
            _take(piece, names, findings, whose)
    if not findings.entries and not findings.problem_count:
        raise ImportFailed(
            "The file holds no resource.",
            code="import.nothing_found",
            hint="Check that it is the file that you meant, or export it anew.",
        )


def _names(source: Source) -> Names:
    names = Names()
    with source.open() as stream:
        for piece in read_pieces(stream, broken=lambda _: None):
            if piece.data is not None and _NEEDED.search(piece.data) is not None:
                found = _resource(piece)
                if found is not None:
                    names.learn(*found)
    return names


def _resource(piece: Piece) -> tuple[str, Resource] | None:
    """The resource of an entry and where it says it is from; None for what is none."""
    if piece.data is None:
        return None
    try:
        entry = parse(piece.data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    inner = entry.get("resource")
    if isinstance(inner, dict):
        return text(entry, "fullUrl"), inner
    return ("", entry) if text(entry, "resourceType") else None


def _whose(names: Names, findings: Findings) -> dict[Person, About]:
    """Whose data that of each patient is. One patient is the holder, unless the vault knows them as
    somebody else; of several it is who the vault knows, and nobody if it knows none of them."""
    people = names.people
    whose = {person: findings.whose(person) for person in people}
    if len(people) == 1:
        findings.about = whose[people[0]] or "self"
        if whose[people[0]] == "other":
            findings.assumptions.append(
                "By name or date of birth the patient is somebody else than you; --about self"
                " takes the file for yours."
            )
        findings.people |= {people[0]: findings.told or findings.about}
        return {}
    if len(people) > 1 and findings.told is None:
        mine = sum(said == "self" for said in whose.values())
        findings.assumptions.append(
            f"The file tells of {len(people)} patients"
            + (
                "; by name and date of birth one of them is you."
                if mine == 1
                else "; nothing says which one is you: all are kept as someone else's."
                if mine == 0
                else f"; {mine} of them may be you."
            )
        )
        found: dict[Person, About] = {person: said or "other" for person, said in whose.items()}
        findings.people |= found
        return found
    return {}


def _take(piece: Piece, names: Names, findings: Findings, whose: dict[Person, About]) -> None:
    findings.entries += 1
    if piece.data is None:
        findings.problem(
            piece.line, "fhir.too_large", "The object is larger than 16 MiB, or too deep."
        )
        return
    found = _resource(piece)
    if found is None:
        try:
            parse(piece.data)
        except (ValueError, RecursionError):
            findings.problem(piece.line, "fhir.json", "The object is not JSON.")
        else:
            findings.problem(piece.line, "fhir.no_resource", "The object is no resource.")
        return
    full_url, resource = found
    kind = text(resource, "resourceType")
    if kind == _BUNDLE and "entry" not in resource:
        return  # an empty one
    records = records_of(resource, names)
    if records is None:
        findings.leave_out(plain(kind))
        return
    for name in left_over(resource):
        findings.leave_out(name)
    usable = [record for record in records if not set(record[1]) <= _SAYS_NOTHING]
    if records and not usable:
        findings.problem(piece.line, "fhir.empty", "The resource holds nothing that can be kept.")
    patient = names.patient(full_url, resource) if whose else None
    # What is about none of several patients is not taken for the holder's.
    about = (whose.get(patient, "other") if patient else "other") if whose else None
    counted: Counter[str] = Counter()
    for category, fields in usable:
        counted[category] += 1
        findings.draft(
            category,
            fields,
            line=piece.line,
            entry="resource",
            about=about,
            origin=_origin(full_url, resource, counted[category]),
        )


def _origin(full_url: str, resource: Resource, number: int) -> Origin | None:
    """What a resource is called wherever it is: an address, or an id that is unique in the world.
    A plain id (``7``) is one in its own system only, and another hospital has it too."""
    name = text(resource, "id")
    if _ADDRESS.match(full_url) is not None:
        name = full_url.partition("/_history/")[0]
    elif _UUID.fullmatch(full_url or name) is not None:
        name = full_url or name
    else:
        return None
    more = (str(number),) if number > 1 else ()
    return Origin.of(name, *more, changed=moment(text(resource, "meta.lastUpdated")))
