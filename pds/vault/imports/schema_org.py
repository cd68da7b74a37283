"""JSON-LD in the words of schema.org: each thing of a known type becomes a record.

Which property is which field is nowhere written down again: the terms of the schemas
(``x-term``) say it. No context is ever fetched: names count as schema.org's where the context
names it, by its prefix or in full. Microdata is not read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from did.json import Json, JsonObject
from pds.vault.schemas import BUILT_IN

from .amounts import plain_decimal, read_date
from .conversions import plain
from .json_items import Item, JsonBroken, JsonItems, parse_place
from .moments import moment
from .plan import About, Findings, ImportFailed, Read
from .source import Source

MAX_ITEMS = 1000
MAX_NAME = 100
_LISTS = tuple(map(parse_place, ("[]", "@graph[]", "dataFeedElement[]", "itemListElement[]")))
_BASE = re.compile(r"(?:https?://schema\.org/|schema:|sdo:)(.*)", re.DOTALL)
_DURATION = re.compile(
    r"P(?:([0-9]{1,5})D)?(?:T(?:([0-9]{1,5})H)?(?:([0-9]{1,5})M)?(?:([0-9]{1,5})(?:\.[0-9]+)?S)?)?"
)
_LOCAL_TIME = re.compile(r"([0-9-]{10}T[0-9:]{5})(:[0-9]{2})?(?:\.[0-9]{1,9})?(Z|[+-][0-9:]{5})?")
# Where names of things stand in for the things.
_NAMES = ("name", "legalName", "alternateName", "headline")

_CATEGORIES: dict[str, tuple[str, About | None, JsonObject]] = {
    "Person": ("contact", None, {}),
    "Organization": ("contact", "other", {}),
    "Order": ("purchases", "self", {}),
    "Invoice": ("documents", "self", {"kind": "invoice"}),
    "Event": ("events", "self", {}),
    "Place": ("places", "self", {}),
    "LocalBusiness": ("places", "self", {}),
    "Product": ("wishes", "self", {}),
    "Reservation": ("travel", "self", {}),
    "Message": ("messages", "self", {}),
    "EmailMessage": ("messages", "self", {"kind": "email"}),
    "SocialMediaPosting": ("posts", "self", {"kind": "post"}),
    "Comment": ("posts", "self", {"kind": "comment"}),
    "Review": ("posts", "self", {"kind": "review"}),
}
_SUBTYPES = {
    "Patient": "Person", "Corporation": "Organization", "NGO": "Organization",
    "Restaurant": "LocalBusiness", "Store": "LocalBusiness", "Hotel": "LocalBusiness",
    "CafeOrCoffeeShop": "LocalBusiness", "TouristAttraction": "Place", "Residence": "Place",
    "IndividualProduct": "Product", "BlogPosting": "SocialMediaPosting",
    "UserComments": "Comment",
}  # fmt: skip
# Where our schema speaks of the same in the terms of another vocabulary, or of a part of it.
_ALIASES = {
    "events": {
        "name": "title", "startDate": "start", "endDate": "end", "description": "description",
        "location": "location", "organizer": "organizer", "attendee": "attendees", "url": "url",
        "keywords": "categories", "identifier": "uid", "eventStatus": "status",
    },
    "contact": {"nickname": "nickname", "affiliation": "organization", "description": "note"},
    "documents": {
        "confirmationNumber": "number", "provider": "company", "broker": "issuer",
        "paymentDueDate": "due", "dateCreated": "date",
    },
    "purchases": {"merchant": "merchant", "provider": "merchant", "seller": "merchant"},
    "travel": {"reservationNumber": "bookingNumber", "provider": "company"},
    "wishes": {"name": "item", "gtin13": "gtin", "manufacturer": "brand"},
}  # fmt: skip
_STATUS = {"eventscheduled": "confirmed", "eventcancelled": "cancelled",
           "eventpostponed": "tentative", "eventrescheduled": "confirmed"}  # fmt: skip


def schema_org_reader(data: bytes | Path | Source) -> Read:
    """How a file of JSON-LD is read: one thing, a list of them, ``@graph``, or a feed.

    A person is someone else where there are several; a nested person or organisation is its
    name. What has no field, or no category, is counted by type and property.

    Problems: ``json.entry``, ``json.depth``, ``json.too_large`` end one thing, ``json.broken`` the
    file, ``import.field`` leaves out a field. Reading raises ``import.nothing_found``.
    """
    return partial(_read, Source.of(data))


def _read(source: Source, findings: Findings) -> None:
    for item in _things(source, findings):
        findings.entries += 1
        if item.problem is not None:
            findings.problem(item.line, *item.problem)
            continue
        thing = item.value
        if isinstance(thing, dict) and isinstance(thing.get("item"), dict):
            thing = thing["item"]  # of a feed
        _take(thing, item.line, findings)
    if not findings.entries:
        raise ImportFailed("The file holds nothing of schema.org.", code="import.nothing_found")


def _things(source: Source, findings: Findings) -> Iterator[Item]:
    """The members of its lists; or the file, if it has none."""
    many = False
    for places in (_LISTS, ((),)):
        with source.open() as stream:
            reader = JsonItems(stream, places)
            try:
                for item in reader:
                    many = True
                    yield item
            except JsonBroken as error:
                if many or places != _LISTS:
                    findings.problem(error.line, "json.broken", "From here on the file is no JSON.")
        if many:
            return


def _take(thing: Any, line: int, findings: Findings) -> None:
    kind, own = _type(thing)
    if kind is None:
        findings.leave_out(_shown(own) or "what is no thing of schema.org")
        return
    category, about, fixed = _CATEGORIES[kind]
    known = {_name(key): value for key, value in thing.items()}
    if category == "purchases":
        for fields in _orders(known, findings):
            findings.draft(category, fields, line=line, entry="entry", about=about)
        return
    fields = fixed | _fields(category, kind, known, findings)
    if len(fields) == len(fixed):
        findings.problem(line, "import.nothing_usable", "The entry holds nothing that can be kept.")
        return
    findings.draft(category, fields, line=line, entry="entry", about=about)


def _type(thing: Any) -> tuple[str | None, str]:
    """The type that decides about the category, and the one that is written."""
    if not isinstance(thing, dict):
        return None, ""
    written = thing.get("@type", thing.get("type", ()))
    names = [_name(t) for t in (written if isinstance(written, list) else [written])
             if isinstance(t, str)]  # fmt: skip
    for name in names:
        family = next((f for f in ("Event", "Reservation") if name.endswith(f)), name)
        kind = _SUBTYPES.get(name, family)
        if kind in _CATEGORIES:
            return kind, name
    return None, names[0] if names else ""


def _name(term: str) -> str:
    """A name of schema.org from its short form, with its prefix or in full."""
    match = _BASE.fullmatch(term)
    return match[1] if match else term


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in name[:MAX_NAME])


@dataclass(frozen=True, slots=True)
class _Field:
    """A field and its form in the schema."""

    path: str
    form: JsonObject


@cache
def _terms(category: str) -> dict[str, tuple[_Field, ...]]:
    """Property of schema.org → the fields that mean it, those for one value first."""
    schema: Any = BUILT_IN.schema_of(category)
    found: dict[str, list[_Field]] = {}
    for name, form in schema["properties"].items():
        match = _BASE.fullmatch(str(form.get("x-term", "")))
        if match:
            found.setdefault(match[1], []).append(_Field(name, form))
    for term, name in _ALIASES.get(category, {}).items():
        found[term] = [_Field(name, schema["properties"][name])]
    return {
        term: tuple(sorted(fields, key=lambda f: f.form.get("type") == "array"))
        for term, fields in found.items()
    }


@cache
def _address_terms() -> dict[str, str]:
    schema: Any = BUILT_IN.schema_of("contact")
    parts = schema["$defs"]["address"]["properties"]
    return {_name(form["x-term"]): name for name, form in parts.items() if "x-term" in form}


def _fields(category: str, kind: str, known: dict[str, Any], findings: Findings) -> JsonObject:
    """The fields of a thing; what has none is counted."""
    fields: JsonObject = {}
    terms = _terms(category)
    if isinstance(known.get("geo"), dict):
        known = known | {_name(k): v for k, v in known["geo"].items() if _name(k) in terms}
        known.pop("geo")
    for term, value in known.items():
        if term.startswith("@") or term in ("type", "id", "context") or value in (None, "", []):
            continue
        values = (value if isinstance(value, list) else [value])[:MAX_ITEMS]
        places = terms.get(term, ())
        taken = False
        for place in places:
            if place.path in fields or not values:
                continue
            if place.form.get("type") == "array":
                inner = place.form.get("items", {})
                found: list[Json] = [x for v in values if (x := _value(inner, v, fields))]
                if found:
                    fields[place.path], taken = found, True
                break
            one = _value(place.form, values[0], fields)
            if one is not None and one != {}:
                fields[place.path], taken, values = one, True, values[1:]
        if not taken:
            findings.leave_out(_shown(f"{kind}.{term}"))
    return fields


def _value(form: Any, value: Any, beside: JsonObject) -> Json:
    """A value in the form of a field; None for what has another. ``beside`` takes a currency."""
    if "$ref" in form:
        return _address(value)
    if isinstance(value, dict):
        if form.get("pattern", "").find("{1,4}") >= 0 and not _is_pattern_of_text(form):
            return _money(value, beside)
        value = _inner(value)
    if isinstance(value, list):
        value = value[0] if value else None
    text = plain(value)
    if not text:
        return None
    kind = form.get("format")
    if kind == "date":
        return read_date(text[:10], "dmy")
    if kind in ("moment", "date-time", "partial-date"):
        return moment(text) or None
    if kind == "calendar-time":
        return _local(text)
    if "enum" in form:
        word = _name(text).rpartition("/")[2].casefold()
        word = _STATUS.get(word, word)
        return next((each for each in form["enum"] if each.replace("-", "") == word), None)
    match = _DURATION.fullmatch(text)
    if match is not None and any(match.groups()):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return str(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    if form.get("pattern", "").startswith("^-?("):
        return plain_decimal(text, places=4) or None
    return text


def _is_pattern_of_text(form: Any) -> bool:
    return not form.get("pattern", "").startswith("^-?(0|")


def _inner(value: JsonObject) -> Any:
    """What a thing in a thing is called; a literal with its type or language is its value."""
    if "@value" in value:
        return value["@value"]
    known = {_name(key): inner for key, inner in value.items()}
    for name in (*_NAMES, "value", "ratingValue", "url", "@id"):
        inner = known.get(name)
        if isinstance(inner, str) and inner.strip():
            return inner
        if isinstance(inner, dict) and isinstance(inner.get("@value"), str):
            return inner["@value"]
    address = known.get("address")
    return address if isinstance(address, str) else None


def _money(value: JsonObject, beside: JsonObject) -> Json:
    known = {_name(key): inner for key, inner in value.items()}
    amount = plain(known.get("price", known.get("value")))
    currency = plain(known.get("priceCurrency", known.get("currency")))
    if currency:
        beside.setdefault("currency", currency.upper())
    return plain_decimal(amount, places=4) or None


def _address(value: Any) -> Json:
    if isinstance(value, str):
        return {"streetAddress": plain(value)} if plain(value) else None
    if not isinstance(value, dict):
        return None
    parts = _address_terms()
    found: JsonObject = {}
    for key, inner in value.items():
        name = parts.get(_name(key))
        text = plain(_inner(inner) if isinstance(inner, dict) else inner)
        if name and text:
            found[name] = text
    return found or None


def _local(text: str) -> str | None:
    """A time as it is where it was written, with its offset if it has one."""
    if len(text) == 10:
        return text
    match = _LOCAL_TIME.fullmatch(text)
    return match and f"{match[1]}{match[2] or ':00'}{match[3] or ''}"


def _orders(known: dict[str, Any], findings: Findings) -> Iterator[JsonObject]:
    """An order as a purchase for each thing that was ordered."""
    inner = ("orderedItem", "acceptedOffer")
    common = _fields("purchases", "Order",
                     {k: v for k, v in known.items() if k not in inner}, findings)  # fmt: skip
    things = next((known[name] for name in inner if known.get(name)), None)
    if things is None:
        yield common
        return
    for thing in (things if isinstance(things, list) else [things])[:MAX_ITEMS]:
        fields = dict(common)
        parts = {_name(k): v for k, v in thing.items()} if isinstance(thing, dict) else {}
        what = parts.get("itemOffered", parts.get("orderedItem", thing))
        name = plain(_inner(what) if isinstance(what, dict) else what)
        if name:
            fields["item"] = name
        quantity = parts.get("orderQuantity", parts.get("eligibleQuantity"))
        number = plain(_inner(quantity) if isinstance(quantity, dict) else quantity)
        if plain_decimal(number, places=6):
            fields["quantity"] = plain_decimal(number, places=6)
        offer = parts.get("priceSpecification", parts)
        amount = _money(offer, fields) if isinstance(offer, dict) else None
        if amount and "price" not in fields:
            fields["price"] = amount
        yield fields
