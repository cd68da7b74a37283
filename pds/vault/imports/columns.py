"""The columns of CSV files by their usual names, English and Hungarian."""

import re
import unicodedata
from collections.abc import Sequence

# Each name once, folded by ``fold``: lower case, no accents, words apart by one space.
_PURCHASES = {
    "date": (
        "date", "order date", "purchase date", "transaction date", "booking date", "posting date",
        "value date", "datum", "vasarlas datuma", "rendeles datuma", "konyveles datuma",
        "tranzakcio datuma", "kelt", "teljesites datuma",
    ),
    "orderNumber": (
        "order number", "order id", "order no", "order", "invoice number", "invoice", "reference",
        "rendelesszam", "rendeles szama", "rendeles azonosito", "szamla sorszama",
        "bizonylatszam", "azonosito",
    ),
    "merchant": (
        "merchant", "shop", "store", "seller", "vendor", "partner name", "partner", "payee",
        "kereskedo", "bolt", "uzlet", "elado", "partner neve", "kedvezmenyezett", "webaruhaz",
    ),
    "item": (
        "item", "product", "product name", "title", "description", "label", "item name", "details",
        "tetel", "termek", "termeknev", "termek neve", "megnevezes", "arucikk", "leiras",
        "kozlemeny",
    ),
    "itemCategory": (
        "category", "item category", "product category", "kategoria", "termekkategoria",
    ),
    "quantity": ("quantity", "qty", "count", "pieces", "mennyiseg", "darab", "db", "darabszam"),
    "unitPrice": ("unit price", "price per unit", "item price", "egysegar", "darabar"),
    "price": (
        "price", "total", "amount", "total price", "item total", "order total", "sum", "ar",
        "osszeg", "vegosszeg", "fizetett osszeg", "brutto ar", "brutto osszeg", "tetel ara",
    ),
    "currency": ("currency", "currency code", "penznem", "deviza", "devizanem", "valuta"),
    "paymentMethod": ("payment method", "paid with", "fizetesi mod", "fizetes modja"),
    "status": ("status", "order status", "allapot", "statusz", "rendeles allapota"),
    "note": ("note", "notes", "comment", "megjegyzes"),
}  # fmt: skip
_CONTACT = {
    "name": ("name", "full name", "display name", "nev", "teljes nev"),
    "givenName": ("first name", "given name", "utonev", "keresztnev"),
    "additionalName": ("middle name", "additional name"),
    "familyName": ("last name", "family name", "surname", "vezeteknev", "csaladnev"),
    "nickname": ("nickname", "becenev"),
    "email": ("email", "e mail", "email address", "e mail address", "e mail 1 value", "email cim",
              "e mail cim"),
    "telephone": ("telephone", "phone", "phone number", "mobile", "mobile phone", "phone 1 value",
                  "telefon", "telefonszam", "mobil"),
    "birthDate": ("birthday", "date of birth", "birth date", "szuletesi datum", "szuletesnap"),
    "organization": ("organization", "organisation", "company", "organization name", "szervezet",
                     "ceg", "cegnev", "munkahely"),
    "jobTitle": ("job title", "beosztas"),
    "url": ("website", "web page", "weboldal", "honlap"),
    "address.streetAddress": ("street", "street address", "address", "utca", "utca hazszam", "cim"),
    "address.addressLocality": ("city", "town", "varos", "telepules"),
    "address.postalCode": ("postal code", "zip", "zip code", "postcode", "iranyitoszam"),
    "address.addressRegion": ("state", "county", "region", "megye"),
    "address.addressCountry": ("country", "orszag"),
    "note": ("note", "notes", "comment", "megjegyzes"),
}  # fmt: skip
KNOWN = {"purchases": _PURCHASES, "contact": _CONTACT}

# In a statement of account the same names mean a payment, in or out; and a few stand only there.
_PAYMENTS = {
    "date": "bookingDate", "orderNumber": "transactionId", "merchant": "counterparty",
    "item": "reference", "itemCategory": "category", "price": "amount", "currency": "currency",
    "paymentMethod": "kind", "note": "note",
}  # fmt: skip
_OF_STATEMENTS = {
    "valueDate": ("value date", "ertek datuma", "erteknap", "ertekdatum"),
    "balanceAfter": ("balance", "account balance", "egyenleg", "konyvelt egyenleg"),
    "counterpartyAccount": ("bank account", "partner account", "bankszamla", "partner szamlaszama"),
}

# What only a statement of account has: there an amount has a direction.
DIRECTION = frozenset({"d c", "debit credit", "c d", "t k", "tartozik kovetel", "irany"})
_STATEMENT = DIRECTION | {"balance", "bank account", "account balance", "egyenleg", "bankszamla"}


def fold(name: str) -> str:
    """A column's name without case, accents and punctuation: ``E-mail cím`` is ``e mail cim``."""
    flat = unicodedata.normalize("NFKD", name.casefold())
    flat = "".join(c for c in flat if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+", flat))


def suggest(header: Sequence[str]) -> tuple[str, dict[int, str]]:
    """The category that knows most of these columns, and column number → field; may be empty."""
    folded = [fold(name) for name in header]
    best: tuple[str, dict[int, str]] = ("purchases", {})
    for category, fields in KNOWN.items():
        found: dict[int, str] = {}
        for field, names in fields.items():
            # The order of the names decides between two columns that could be the field.
            number = next(
                (folded.index(n) for n in names if n in folded and folded.index(n) not in found),
                None,
            )
            if number is not None:
                found[number] = field
        if len(found) > len(best[1]):
            best = (category, found)
    if best[0] == "purchases" and best[1] and is_statement(header):
        return "payments", _payments(folded, best[1])
    return best


def _payments(folded: Sequence[str], purchases: dict[int, str]) -> dict[int, str]:
    found = {i: _PAYMENTS[field] for i, field in purchases.items() if field in _PAYMENTS}
    for field, names in _OF_STATEMENTS.items():
        number = next((folded.index(n) for n in names if n in folded), None)
        if number is not None and number not in found:
            found[number] = field
    return found


def is_statement(header: Sequence[str]) -> bool:
    """Whether this is a statement of account, in which money also comes in."""
    return any(fold(name) in _STATEMENT for name in header)


def direction_column(header: Sequence[str]) -> int | None:
    """The column that says debit or credit, if there is one."""
    return next((i for i, name in enumerate(header) if fold(name) in DIRECTION), None)
