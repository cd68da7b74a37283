"""vCards: from cards (vCard 2.1, 3.0 and 4.0) to contacts and interests.

Follows RFC 6350 and RFC 2426, the vCard 2.1 paper where phones still write it, and RFC 6715 for
interests. Tolerant in what a card says, strict in what becomes of it: every draft is valid under
its schema, what cannot be kept is listed, and a card that is broken never stops the others.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from did.json import Json, JsonObject
from pds.vault.records.origins import ITEM, Origin
from pds.vault.schemas import RecordError, check

from .moments import edition
from .plan import AFile, Findings, ImportFailed, Read
from .source import Source
from .text import bytes_in, clean, is_utf8, legacy_encoding, recoded
from .vcard_lines import Card, Property, read_cards

_NAME_PARTS = (
    "familyName",
    "givenName",
    "additionalName",
    "honorificPrefix",
    "honorificSuffix",
)
_ADDRESS_PARTS = (
    "postOfficeBoxNumber",
    "",  # the extended address: goes with the street
    "streetAddress",
    "addressLocality",
    "addressRegion",
    "postalCode",
    "addressCountry",
)
_LEVELS = ("low", "medium", "high")
# Of the file, not of the person: not worth a word to anyone.
_SILENT = frozenset({"VERSION", "PRODID", "SOURCE", "XML", "CLIENTPIDMAP"})
_TAKEN = frozenset(
    {
        "FN", "N", "NICKNAME", "EMAIL", "TEL", "ADR", "BDAY", "ORG", "TITLE", "URL", "NOTE",
        "CATEGORIES", "INTEREST", "HOBBY", "ROLE", "GENDER", "ANNIVERSARY", "IMPP", "LANG", "TZ",
        "RELATED", "BIRTHPLACE", "DEATHDATE", "KIND", "UID", "REV", ITEM, "PHOTO", "LOGO",
        # What programs wrote before, or still write, for those of RFC 6350.
        "X-ANNIVERSARY", "X-GENDER", "X-EVOLUTION-ANNIVERSARY",
    }
)  # fmt: skip
_SEXES = {"M": "male", "F": "female", "O": "other", "N": "none", "U": ""}
_DAYS = {
    "anniversary": ("ANNIVERSARY", "X-ANNIVERSARY", "X-EVOLUTION-ANNIVERSARY"),
    "deathDate": ("DEATHDATE",),
}
# RFC 6350 §6.1.4; an individual is what everybody is who is not said to be another.
_KINDS = frozenset({"group", "org", "location", "application"})
MAX_PICTURES = 4


def vcard_reader(data: bytes | Path | Source) -> Read:
    """How a vCard file is read, of any length (UTF-16: at most 64 MiB).

    Each good card becomes one ``contact``, each INTEREST or HOBBY in it one ``interests`` record,
    a PHOTO or LOGO that stands in it a file of the contact (2 MiB at most). Its UID and REV tell
    whether it is known already.
    Bytes are UTF-8 (a mark or UTF-16 with a mark is understood), or what CHARSET says, or else
    Windows-1250 or -1252, which is then among the assumptions.

    Problems: ``vcard.not_closed``, ``vcard.not_opened``, ``vcard.too_many_properties``,
    ``vcard.line_too_long``, ``vcard.nul``, ``vcard.empty`` end one card; ``vcard.line``,
    ``vcard.charset``, ``vcard.picture``, ``import.field`` leave out a part of one.
    Raises ImportFailed: ``import.too_large``, ``import.empty``; reading raises
    ``import.nothing_found`` (not one card).
    """
    source, encoding = recoded(Source.of(data))
    return partial(_read, source, encoding)


def _read(source: Source, encoding: str, findings: Findings) -> None:
    guessed: set[str] = set()
    legacy = None if is_utf8(source) else legacy_encoding(bytes_in(source))
    with source.open() as stream:
        for card in read_cards(stream, legacy=legacy, problem=findings.problem):
            findings.entries += 1
            if card.problem is not None:
                findings.problem(card.line, *card.problem)
                continue
            guessed.update(p.guessed for p in card.properties if p.guessed)
            _take(card, findings)
    if findings.entries == 0:
        raise ImportFailed("The file holds no vCard.", code="import.nothing_found")
    findings.encoding = encoding
    if guessed:
        findings.encoding = " and ".join(sorted(guessed))
        findings.assumptions.append(
            f"Some of the file is not UTF-8; it was read as {findings.encoding}. Check the accents."
        )


def _take(card: Card, findings: Findings) -> None:
    by_name: dict[str, list[Property]] = {}
    for prop in card.properties:
        if prop.name in _TAKEN:
            by_name.setdefault(prop.name, []).append(prop)
        elif prop.name not in _SILENT:
            findings.leave_out(prop.name)
    for same in by_name.values():
        same.sort(key=lambda p: p.preference)  # stable: the order of the file decides a tie

    fields = _contact(by_name, findings)
    interests = _interests(by_name)
    if not fields and not interests:
        findings.problem(card.line, "vcard.empty", "The card holds nothing that can be kept.")
        return
    if fields:
        findings.draft(
            "contact",
            fields,
            line=card.line,
            entry="card",
            origin=_origin(by_name),
            files=_pictures(by_name, findings),
        )
    for interest, line in interests:
        findings.draft("interests", interest, line=line, entry="line")


def _origin(by_name: dict[str, list[Property]]) -> Origin | None:
    """What the card is called at home."""
    uid, rev, item = (
        next((clean(p.text()) for p in by_name.get(name, ())), "") for name in ("UID", "REV", ITEM)
    )
    return Origin.of(uid, changed=edition(rev), item=item)


def _pictures(by_name: dict[str, list[Property]], findings: Findings) -> tuple[AFile, ...]:
    """The pictures that stand inside a card; what is elsewhere is not fetched."""
    files: list[AFile] = []
    for prop in (*by_name.get("PHOTO", ()), *by_name.get("LOGO", ())):
        if prop.picture is not None and len(files) < MAX_PICTURES:
            data, ending = prop.picture
            files.append(AFile(f"{prop.name.lower()}.{ending}", data))
        elif prop.picture is not None:
            findings.leave_out(f"{prop.name} (too many)")
        else:
            findings.leave_out(f"{prop.name} (elsewhere)" if prop.raw else f"{prop.name} (damaged)")
    return tuple(files)


def _contact(by_name: dict[str, list[Property]], findings: Findings) -> JsonObject:
    fields: JsonObject = {}

    def first(name: str) -> str:
        return next((text for p in by_name.get(name, ()) if (text := clean(p.text()))), "")

    names = by_name.get("N")
    if names:
        parts = names[0].components()
        for key, values in zip(_NAME_PARTS, parts, strict=False):
            glue = ", " if key.startswith("honorific") else " "
            _put(fields, key, glue.join(filter(None, map(clean, values))))
    _put(fields, "name", first("FN") or _full_name(fields))
    _put(fields, "nickname", first("NICKNAME"))
    _put_list(fields, "email", "otherEmails", _each(by_name, "EMAIL", "email", findings))
    voices = [p for p in by_name.get("TEL", ()) if "FAX" not in p.types]
    faxes = [p for p in by_name.get("TEL", ()) if "FAX" in p.types]
    _put_list(fields, "telephone", "otherTelephones", [_telephone(p) for p in voices])
    _put(fields, "faxNumber", next(filter(None, map(_telephone, faxes)), ""))
    _put_list(fields, "address", "otherAddresses", [_address(p) for p in by_name.get("ADR", ())])
    birthdays = _each(by_name, "BDAY", "birthDate", findings)
    _put(fields, "birthDate", next(iter(birthdays), ""))
    organizations = by_name.get("ORG")
    if organizations:
        units = [" ".join(map(clean, values)).strip() for values in organizations[0].components()]
        _put(fields, "organization", units[0] if units else "")
        _put(fields, "organizationUnit", ", ".join(filter(None, units[1:])))
    _put(fields, "jobTitle", first("TITLE"))
    _put(fields, "role", first("ROLE"))
    sex, _, words = first("GENDER").partition(";")
    _put(fields, "gender", words or _SEXES.get(sex.upper(), sex) or first("X-GENDER"))
    for field, spellings in _DAYS.items():
        days = [day for name in spellings for day in _each(by_name, name, field, findings)]
        _put(fields, field, next(iter(days), ""))
    kind = first("KIND").lower()
    _put(fields, "kind", kind if kind in _KINDS else "")
    _put(fields, "birthPlace", first("BIRTHPLACE"))
    _put(fields, "timezone", first("TZ"))
    for field, name in (("messengers", "IMPP"), ("languages", "LANG")):
        texts = dict.fromkeys(clean(p.text()) for p in by_name.get(name, ()))
        _put(fields, field, [*filter(None, texts)])
    _put(fields, "related", _related(by_name))
    _put_list(fields, "url", "otherUrls", _each(by_name, "URL", "url", findings))
    groups = [clean(v) for p in by_name.get("CATEGORIES", ()) for v in p.values()]
    if any(groups):
        fields["groups"] = list(dict.fromkeys(filter(None, groups)))
    notes = dict.fromkeys(clean(p.text()) for p in by_name.get("NOTE", ()))
    _put(fields, "note", "\n\n".join(filter(None, notes)))
    return fields


def _related(by_name: dict[str, list[Property]]) -> list[Json]:
    """People beside this one, each with what they are to them where the card says so."""
    found: dict[str, None] = {}
    for prop in by_name.get("RELATED", ()):
        who = clean(prop.text())
        what = ", ".join(sorted(t.lower() for t in prop.types - {"PREF"}))
        if who:
            found[f"{who} ({what})" if what else who] = None
    return [*found]


def _interests(by_name: dict[str, list[Property]]) -> list[tuple[JsonObject, int]]:
    found: dict[str, tuple[JsonObject, int]] = {}
    for prop in (*by_name.get("INTEREST", ()), *by_name.get("HOBBY", ())):
        name = clean(prop.text())
        fields: JsonObject = {"name": name}
        if prop.level in _LEVELS:
            fields["level"] = prop.level
        if name:
            found.setdefault(name.casefold(), (fields, prop.line))
    return list(found.values())


def _each(
    by_name: dict[str, list[Property]], name: str, field: str, findings: Findings
) -> list[str]:
    """The usable values of a property; one that has another form is listed and left out."""
    usable = []
    for prop in by_name.get(name, ()):
        value = clean(prop.text())
        if not value:
            continue
        if field == "email" and value.lower().startswith("mailto:"):
            value = value[len("mailto:") :]
        if field in ("birthDate", *_DAYS):
            value = _birth_date(value)
        try:
            check("contact", {field: value})
        except RecordError as error:
            findings.problem(prop.line, "import.field", f"{error} The rest of the card is kept.")
        else:
            usable.append(value)
    return usable


def _telephone(prop: Property) -> str:
    value = clean(prop.text())
    if value.lower().startswith("tel:"):
        number, _, parameters = value[len("tel:") :].partition(";")
        extension = next((p[4:] for p in parameters.split(";") if p.startswith("ext=")), "")
        value = f"{number} ext. {extension}" if extension else number
    return value


def _address(prop: Property) -> JsonObject:
    address: JsonObject = {}
    parts = [", ".join(filter(None, map(clean, values))) for values in prop.components()]
    for key, value in zip(_ADDRESS_PARTS, parts, strict=False):
        if key:
            _put(address, key, value)
    extended = parts[1] if len(parts) > 1 else ""
    street = address.get("streetAddress", "")
    _put(address, "streetAddress", ", ".join(filter(None, (str(street), extended))))
    return address


def _birth_date(text: str) -> str:
    """RFC 6350 §6.2.5 and what others write, as the schema wants it; a time of day is left out.

    What is not recognised is returned as it is, so that the schema refuses it in its own words.
    """
    date = text.partition("T")[0].partition(" ")[0]
    if len(date) == 8 and date.isdigit():
        return f"{date[:4]}-{date[4:6]}-{date[6:]}"
    if len(date) == 6 and date.startswith("--") and date[2:].isdigit():
        return f"--{date[2:4]}-{date[4:]}"
    return date


def _full_name(fields: JsonObject) -> str:
    order = ("honorificPrefix", "givenName", "additionalName", "familyName", "honorificSuffix")
    return " ".join(str(fields[key]) for key in order if key in fields)


def _put(fields: JsonObject, key: str, value: Json) -> None:
    if value:
        fields[key] = value


def _put_list(fields: JsonObject, key: str, others: str, values: Iterable[Json]) -> None:
    """The first value in the primary field, the rest beside it, each one once."""
    unique: list[Json] = []
    for value in values:
        if value and value not in unique:
            unique.append(value)
    if unique:
        fields[key] = unique[0]
    if len(unique) > 1:
        fields[others] = unique[1:]
