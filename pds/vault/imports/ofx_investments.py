"""Investments in OFX: what was bought, sold and earned, as the payments that they are.

Follows the chapter on investment statements. What is held (positions) has no category yet; which
security it was stands in the note, by its number there (ISIN, CUSIP), because its name comes later
in the file.
"""

from collections.abc import Mapping

# What holds a transaction, and in a word what it is.
TRANSACTIONS = {
    **dict.fromkeys(("BUYDEBT", "BUYMF", "BUYOPT", "BUYOTHER", "BUYSTOCK"), "purchase"),
    **dict.fromkeys(("SELLDEBT", "SELLMF", "SELLOPT", "SELLOTHER", "SELLSTOCK"), "sale"),
    "INCOME": "income", "REINVEST": "reinvestment", "INVEXPENSE": "fee", "RETOFCAP": "return",
    "MARGININTEREST": "interest",
}  # fmt: skip
INSIDE = frozenset({"INVBUY", "INVSELL", "INVTRAN", "SECID"})
POSITIONS = frozenset({"POSDEBT", "POSMF", "POSOPT", "POSOTHER", "POSSTOCK"})
# What else moves no money, or is no payment.
OTHERS = frozenset({"CLOSUREOPT", "JRNLFUND", "JRNLSEC", "SPLIT", "TRANSFER"})
_INCOMES = {"DIV": "dividend", "INTEREST": "interest", "CGLONG": "capital gain",
            "CGSHORT": "capital gain"}  # fmt: skip


def money(said: Mapping[str, str]) -> str:
    """What was paid or came in."""
    return value(said, "TOTAL")


def when(said: Mapping[str, str]) -> tuple[str, str]:
    """The day of the trade, and that of the money."""
    return value(said, "DTTRADE"), value(said, "DTSETTLE")


def kind_of(name: str, said: Mapping[str, str]) -> str:
    return _INCOMES.get(value(said, "INCOMETYPE").upper(), TRANSACTIONS[name])


def note(said: Mapping[str, str]) -> str:
    """How much of what."""
    units, price = value(said, "UNITS"), value(said, "UNITPRICE")
    security = " ".join(filter(None, (value(said, "UNIQUEIDTYPE"), value(said, "UNIQUEID"))))
    many = f"{units} × {price}" if units and price else units
    return ", ".join(filter(None, (security, many)))


def value(said: Mapping[str, str], name: str) -> str:
    """What stands under a name, however deep."""
    return next((text for key, text in said.items() if key.rpartition(".")[2] == name), "")
