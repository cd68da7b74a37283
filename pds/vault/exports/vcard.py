"""Contacts as vCard 4.0 (RFC 6350), for address books.

A card has what a card can hold; tax numbers and versions are in the JSON-LD.
"""

import re

from did.json import Json, JsonObject
from pds.vault.records.origins import ITEM

from .lines import escaped, line

_NAME = ("familyName", "givenName", "additionalName", "honorificPrefix", "honorificSuffix")
_ADDRESS = (
    "postOfficeBoxNumber", "", "streetAddress", "addressLocality", "addressRegion", "postalCode",
    "addressCountry",
)  # fmt: skip
_TEXTS = (
    ("TITLE", "jobTitle"), ("ROLE", "role"), ("TZ", "timezone"), ("BIRTHPLACE", "birthPlace"),
    ("KIND", "kind"),
)  # fmt: skip
_SEXES = {"male": "M", "female": "F", "other": "O", "none": "N"}
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})|--([0-9]{2})-([0-9]{2})|[0-9]{4}(-[0-9]{2})?")
# Property, its parameters, the primary field and the list beside it.
_MULTIPLE = (
    ("EMAIL", "", "email", "otherEmails"),
    ("TEL", ";VALUE=text", "telephone", "otherTelephones"),
    ("URL", "", "url", "otherUrls"),
)


def card(record_id: str, changed: str, fields: JsonObject, *, uid: str = "") -> bytes:
    """One card for one contact; ``uid`` is what it is called where it came from."""
    out = [line("BEGIN", "VCARD"), line("VERSION", "4.0")]
    out.append(line("UID;VALUE=text", escaped(uid or record_id)))
    out.append(line(ITEM, record_id))
    out.append(line("REV", changed.replace("-", "").replace(":", "")))
    # §6.2.1: a card without a name is none; what stands in for one is not a field of the record.
    names = (fields.get(key) for key in ("name", "organization", "email", "telephone"))
    parts = " ".join(_text(fields, key) for key in ("givenName", "familyName")).strip()
    shown = _text(fields, "name") or parts or next(filter(None, map(_first, names)), "-")
    out.append(line("FN", escaped(shown)))
    if any(key in fields for key in _NAME):
        out.append(line("N", ";".join(escaped(_text(fields, key)) for key in _NAME)))
    _put(out, "NICKNAME", _text(fields, "nickname"))
    for name, parameters, primary, others in _MULTIPLE:
        values = [fields.get(primary), *_list(fields, others)]
        for n, value in enumerate(value for value in values if isinstance(value, str)):
            # An address of the web is no text value: it has no commas to escape (§6.7.8).
            form = value if name == "URL" else escaped(value)
            out.append(line(f"{name}{parameters};PREF={min(n + 1, 100)}", form))
    _put(out, "TEL;VALUE=text;TYPE=fax", _text(fields, "faxNumber"))
    for n, address in enumerate((fields.get("address"), *_list(fields, "otherAddresses"))):
        if isinstance(address, dict):
            value = ";".join(escaped(_text(address, key)) for key in _ADDRESS)
            out.append(line(f"ADR;PREF={min(n + 1, 100)}", value))
    birthday = _text(fields, "birthDate")
    if _DATE.fullmatch(birthday):
        # §4.3.1: 19900214, --0214; a month alone and a year alone are written as they are.
        whole = len(birthday) == 10 or birthday.startswith("--")
        out.append(line("BDAY", _compact(birthday) if whole else birthday))
    if "organization" in fields or "organizationUnit" in fields:
        units = [escaped(_text(fields, key)) for key in ("organization", "organizationUnit")]
        out.append(line("ORG", ";".join(units).rstrip(";") if units[1] == "" else ";".join(units)))
    for name, key in _TEXTS:
        _put(out, name, _text(fields, key))
    for name, key in (("ANNIVERSARY", "anniversary"), ("DEATHDATE", "deathDate")):
        day = _text(fields, key)
        if _DATE.fullmatch(day):
            out.append(line(name, _compact(day) if len(day) == 10 or day[:2] == "--" else day))
    sex = _text(fields, "gender")
    if sex:
        out.append(line("GENDER", _SEXES.get(sex, ";" + escaped(sex))))
    for name, key in (("IMPP", "messengers"), ("LANG", "languages"), ("RELATED", "related")):
        text = ";VALUE=text" if name == "RELATED" else ""
        texts = (value for value in _list(fields, key) if isinstance(value, str))
        out += (line(f"{name}{text}", escaped(value)) for value in texts)
    groups = [escaped(text) for text in _list(fields, "groups") if isinstance(text, str)]
    if groups:
        out.append(line("CATEGORIES", ",".join(groups)))
    _put(out, "NOTE", _text(fields, "note"))
    out.append(line("END", "VCARD"))
    return b"".join(out)


def _compact(date: str) -> str:
    return "--" + date[2:].replace("-", "") if date.startswith("--") else date.replace("-", "")


def _put(out: list[bytes], name: str, value: str) -> None:
    if value:
        out.append(line(name, escaped(value)))


def _text(fields: JsonObject, key: str) -> str:
    value = fields.get(key) if key else None
    return value if isinstance(value, str) else ""


def _first(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _list(fields: JsonObject, key: str) -> list[Json]:
    value = fields.get(key)
    return value if isinstance(value, list) else []
