"""Statements of banks: from camt.053 (ISO 20022) to payments and accounts; reports of the day
(camt.052) and notifications (camt.054) likewise, which say the same with other names around it.

All versions from 001.02 on: what they name differently is looked for under each name. An entry
that holds several transactions becomes as many payments; one that only counts them, one. The
bank's own reference goes into the record, so that statements that overlap add nothing twice.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from did.json import JsonObject
from pds.vault.records import Origin

from .amounts import plain_decimal
from .moments import day, moment
from .plan import Findings, ImportFailed, Read
from .source import Source
from .text import clean
from .xml_stream import Broken, read_xml

MAX_VALUES = 2000

_DECLARED = re.compile(rb"<\?xml[^>]{1,100}encoding=[\"']([A-Za-z0-9._-]{1,40})[\"']")
# The report of a day that is not over (camt.052), the statement (053), the notification (054).
_ROOTS = (
    ["Document", "BkToCstmrAcctRpt", "Rpt"],
    ["Document", "BkToCstmrStmt", "Stmt"],
    ["Document", "BkToCstmrDbtCdtNtfctn", "Ntfctn"],
)
_TOPS = frozenset(root[2] for root in _ROOTS)
# The balance at the end, or the one so far.
_BOOKED, _AVAILABLE = ("CLBD", "ITBD"), ("CLAV", "ITAV")
_STATUS = {"BOOK": "booked", "PDNG": "pending"}
_ACCOUNTS = {"CACC": "current", "TRAN": "current", "SVGS": "savings", "LOAN": "loan"}
# The family of a bank transaction code, and the part of one that says more.
_FAMILIES = {
    "CCRD": "card", "MCRD": "card", "RCDT": "transfer", "ICDT": "transfer", "RRCT": "transfer",
    "IRCT": "transfer", "RDDT": "direct debit", "IDDT": "direct debit", "CNTR": "cash",
}  # fmt: skip
_SUBFAMILIES = {"FEES": "fee", "COMM": "fee", "CHRG": "fee", "INTR": "interest"}
_NUMBERS = ("IBAN", "Othr/Id", "PrtryAcct/Id")
# What is a reference or a code of the bank's own, or has been read another way.
_SILENT = (
    "NtryRef", "Refs/", "BkTxCd/", "AmtDtls/", "NtryDtls/Btch/", "Amt", "CdtDbtInd", "Sts",
    "RltdPties/InitgPty/", "AcctSvcrRef", "BookgDt/", "ValDt/", "RvslInd", "Chrgs/",
    "RmtInf/Strd/CdtrRefInf/Tp/", "RltdPties/CdtrAcct/", "RltdPties/DbtrAcct/",
    "RltdPties/Cdtr/Id/", "RltdPties/Cdtr/Pty/Id/",
)  # fmt: skip


def camt_reader(data: bytes | Path | Source) -> Read:
    """How a statement, a report or a notification is read, of any length.

    Each transaction becomes one ``payments`` record, each statement one of ``accounts`` with its
    closing balance, or the one so far; a notification alone says nothing of the account. ``line``
    is where the entry or transaction begins.

    Problems: ``camt.broken`` ends the reading, ``camt.amount``, ``camt.date``,
    ``camt.too_large`` one transaction; ``import.field`` leaves out a part of one.
    Raises ImportFailed: ``import.empty``; reading raises ``import.unsafe`` (a document type),
    ``import.encoding``, ``import.nothing_found`` (no statement).
    """
    return partial(_read, Source.of(data))


def _read(source: Source, findings: Findings) -> None:
    declared = _DECLARED.match(source.head())
    if declared is not None:
        findings.encoding = declared[1].decode("ascii").lower()
    reader = _CamtReader(findings)
    try:
        read_xml(source, reader)
    except Broken as broken:
        findings.problem(
            broken.line,
            "camt.broken",
            "The file breaks off here, or is not well-formed; what follows is not read.",
        )
    if not reader.seen:
        raise ImportFailed(
            "The file holds no statement.",
            code="import.nothing_found",
            hint="Check that it is the file that you meant, or export it anew.",
        )


@dataclass(slots=True, repr=False)
class _Unit:
    """A part of a statement: texts by their paths in it, in the order of the file."""

    line: int
    depth: int
    texts: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0
    too_large: bool = False

    def add(self, path: str, text: str) -> None:
        self.count += 1 + len(text) // 100
        if self.count > MAX_VALUES:
            self.too_large = True
            self.texts.clear()
        elif not self.too_large:
            self.texts.setdefault(path, []).append(text)

    def take(self, *paths: str) -> str:
        """The first text under the first of the paths that has one; all are then done with."""
        found = [self.texts.pop(path, [""])[0] for path in paths]
        return next(filter(None, found), "")

    def look(self, *paths: str) -> str:
        return next((self.texts[path][0] for path in paths if path in self.texts), "")


class _CamtReader:
    """Turns elements into drafts, with what the statement has said of itself before."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._path: list[str] = []
        self._statement = _Unit(1, 3)
        self._balances: dict[str, tuple[str, str, str]] = {}  # code → amount, currency, time
        self._account_done = True
        self._unit: _Unit | None = None  # the innermost one that is open
        self._entry: _Unit | None = None
        self._held: _Unit | None = None  # the first transaction: whether it is the only one?
        self._transactions = 0
        self.seen = False

    # --- elements -----------------------------------------------------------------------------

    def start(self, line: int, name: str, attributes: Mapping[str, str]) -> None:
        path = self._path
        path.append(name)
        depth = len(path)
        if path in _ROOTS:
            self.seen, self._account_done, self._balances = True, False, {}
            self._statement = self._unit = _Unit(line, depth)
        elif depth == 4 and path[:3] in _ROOTS and name == "Bal":
            self._unit = _Unit(line, depth)
        elif depth == 4 and path[:3] in _ROOTS and name == "Ntry":
            self._account()
            self._entry = self._unit = _Unit(line, depth)
            self._held, self._transactions = None, 0
        elif self._entry is not None and depth == 6 and path[4:] == ["NtryDtls", "TxDtls"]:
            self._transactions += 1
            if self._held is not None:
                self._payment(self._held, of_many=1)
                self._held = None
            self._unit = _Unit(line, depth)
        if self._unit is not None and "Ccy" in attributes:
            self._unit.add("/".join(path[self._unit.depth :]) + "@Ccy", attributes["Ccy"].strip())

    def end(self, name: str, text: str) -> None:
        path, unit = self._path, self._unit
        if unit is not None:
            text = clean(text)
            if text and (unit is not self._statement or path[3:4] == ["Acct"]):
                unit.add("/".join(path[unit.depth :]), text)
            if len(path) == unit.depth:
                self._ended(name, unit)
        path.pop()

    def _ended(self, name: str, unit: _Unit) -> None:
        self._unit = self._statement
        if name == "Bal":
            self._balance(unit)
        elif name == "TxDtls":
            if self._transactions == 1:
                self._held = unit
            else:
                self._payment(unit, of_many=self._transactions)
            self._unit = self._entry
        elif name == "Ntry":
            self._findings.entries += 1
            if self._held is not None:
                self._payment(self._held)
            elif not self._transactions:
                self._payment(None)
            self._entry = self._held = None
        elif name in _TOPS:
            self._account()
            self._unit = None

    # --- records ------------------------------------------------------------------------------

    def _balance(self, unit: _Unit) -> None:
        code = unit.look("Tp/CdOrPrtry/Cd")
        if code not in (*_BOOKED, *_AVAILABLE):
            return
        amount = _signed(unit.look("Amt"), unit.look("CdtDbtInd"))
        if not amount:
            self._findings.problem(
                unit.line, "camt.amount", "A balance is missing or is no number; it is left out."
            )
        time = moment(unit.look("Dt/DtTm", "Dt/Dt"))
        self._balances[code] = (amount, unit.look("Amt@Ccy"), time)

    def _account(self) -> None:
        if self._account_done:
            return
        self._account_done = True
        said = self._statement
        balance, currency, time = self._balance_of(_BOOKED)
        available, _, at = self._balance_of(_AVAILABLE)
        fields: JsonObject = {
            "kind": _ACCOUNTS.get(said.look("Acct/Tp/Cd"), ""),
            "company": self._bank(),
            "name": said.look("Acct/Nm"),
            "number": self._own(),
            "bic": said.look("Acct/Svcr/FinInstnId/BICFI", "Acct/Svcr/FinInstnId/BIC"),
            "currency": said.look("Acct/Ccy") or currency,
            "balance": balance,
            "available": available,
            "balanceTime": time or at,
            "holder": said.look("Acct/Ownr/Nm", "Acct/Ownr/Pty/Nm"),
        }
        if said.too_large:
            self._findings.problem(said.line, "camt.too_large", "The account has too many values.")
        elif fields["balance"] or (fields["number"] and self._path[2:3] != ["Ntfctn"]):
            self._findings.draft("accounts", _filled(fields), line=said.line, entry="statement")

    def _balance_of(self, codes: tuple[str, ...]) -> tuple[str, str, str]:
        found = (self._balances[code] for code in codes if code in self._balances)
        return next(found, ("", "", ""))

    def _payment(self, own: _Unit | None, *, of_many: int = 0) -> None:
        """A payment from a transaction of the open entry, or from the entry alone. ``of_many`` is
        its number where there are several."""
        entry = self._entry
        if entry is None:
            return
        unit = own or entry
        if unit.too_large or entry.too_large:
            self._findings.problem(unit.line, "camt.too_large", "The entry has too many values.")
            return
        # 1. How much: of one transaction what was booked, of several what each says.
        amount = "" if of_many else entry.look("Amt")
        currency = "" if of_many else entry.look("Amt@Ccy")
        if not amount:
            amount = unit.look("Amt", "AmtDtls/TxAmt/Amt")
            currency = unit.look("Amt@Ccy", "AmtDtls/TxAmt/Amt@Ccy")
        direction = unit.look("CdtDbtInd") or entry.look("CdtDbtInd")
        signed = _signed(amount, direction)
        if not signed:
            self._findings.problem(
                unit.line, "camt.amount", "The amount or its direction is missing, or is none."
            )
            return
        # 2. When.
        booked = day(entry.look("BookgDt/Dt", "BookgDt/DtTm"))
        value = day(entry.look("ValDt/Dt", "ValDt/DtTm"))
        if not booked and not value:
            self._findings.problem(unit.line, "camt.date", "There is no date.")
            return
        fields: JsonObject = {
            "bookingDate": booked or value,
            "valueDate": value,
            "amount": signed,
            "currency": currency,
            **self._original(unit, entry, currency),
            "transactionId": self._reference(own, entry, of_many),
            "kind": _kind(unit) or _kind(entry),
            "account": self._own(),
            "bank": self._bank(),
        }
        # 3. Whom with, and why.
        returned = entry.look("RvslInd").lower() in ("true", "1") or bool(
            unit.look("RtrInf/Rsn/Cd")
        )
        status = entry.look("Sts", "Sts/Cd")
        fields["status"] = "returned" if returned else _STATUS.get(status, "other")
        fields |= self._details(unit, incoming=(direction == "CRDT") != returned)
        note = unit.take("AddtlTxInf")
        if not of_many:
            note = entry.take("AddtlNtryInf") or note
        fields["note"] = note if note != fields.get("reference") else ""
        for path in {**unit.texts, **({} if of_many else entry.texts)}:
            if not path.startswith(_SILENT) and not path.endswith("@Ccy"):
                self._findings.leave_out(path)
        named = self._reference(own, entry, of_many, numbers=False)
        self._findings.draft(
            "payments",
            _filled(fields),
            line=unit.line,
            entry="transaction",
            origin=Origin.of("camt", self._own(), named, str(fields["bookingDate"]), signed),
        )

    def _original(self, unit: _Unit, entry: _Unit, currency: str) -> JsonObject:
        """The amount in the money in which it was ordered, where that is another."""
        for part in (unit, entry):
            for path in ("AmtDtls/InstdAmt/Amt", "AmtDtls/TxAmt/Amt", "Amt"):
                other = part.look(f"{path}@Ccy")
                if other and other != currency:
                    rate = (f"AmtDtls/{a}/CcyXchg/XchgRate" for a in ("InstdAmt", "TxAmt"))
                    return {
                        "originalAmount": plain_decimal(part.look(path), places=4),
                        "originalCurrency": other,
                        "exchangeRate": plain_decimal(part.look(*rate), places=12),
                    }
        return {}

    def _details(self, unit: _Unit, *, incoming: bool) -> JsonObject:
        """The other side, what was written, and the ids of a transaction."""
        side, agent = ("Dbtr", "DbtrAgt") if incoming else ("Cdtr", "CdtrAgt")
        if self._own() == _number(unit, f"RltdPties/{side}Acct/Id/") != "":
            # Some banks name the holder on either side.
            side, agent = ("Cdtr", "CdtrAgt") if incoming else ("Dbtr", "DbtrAgt")
        creditor = unit.look(
            "RltdPties/Cdtr/Id/PrvtId/Othr/Id", "RltdPties/Cdtr/Pty/Id/PrvtId/Othr/Id"
        )
        own = "Cdtr" if side == "Dbtr" else "Dbtr"
        holder = (f"RltdPties/{own}", f"RltdPties/Ultmt{own}", f"RltdAgts/{own}Agt/")
        for path in [p for p in unit.texts if p.startswith(holder)]:
            del unit.texts[path]  # the holder's own side: known
        party, bank = f"RltdPties/{side}", f"RltdAgts/{agent}/FinInstnId"
        written = " ".join(unit.texts.pop("RmtInf/Ustrd", []))
        structured = " ".join(unit.texts.pop("RmtInf/Strd/CdtrRefInf/Ref", []))
        fee = unit.look("Chrgs/TtlChrgsAndTaxAmt", "Chrgs/Amt", "Chrgs/Rcrd/Amt")
        card = unit.take("CardTx/Card/PlainCardData/PAN")
        end_to_end = unit.look("Refs/EndToEndId")
        time = moment(unit.take("RltdDts/TxDtTm"))
        return {
            "time": time if "T" in time else "",
            "counterparty": unit.take(
                f"{party}/Nm", f"{party}/Pty/Nm", f"RltdPties/Ultmt{side}/Nm",
                f"RltdPties/Ultmt{side}/Pty/Nm",
            ),
            "counterpartyAccount": "".join(
                unit.take(*(f"{party}Acct/Id/{name}" for name in _NUMBERS)).split()
            ),
            "counterpartyBank": unit.take(f"{bank}/Nm", f"{bank}/BICFI", f"{bank}/BIC"),
            "reference": "\n".join(filter(None, (written, structured))),
            "endToEndId": "" if end_to_end == "NOTPROVIDED" else end_to_end,
            "mandateId": unit.look("Refs/MndtId"),
            "creditorId": creditor if not incoming else "",
            "fee": plain_decimal(fee, places=4) if fee.strip("0.") else "",
            "card": card[-4:],
        }  # fmt: skip

    def _reference(
        self, own: _Unit | None, entry: _Unit, of_many: int, *, numbers: bool = True
    ) -> str:
        """The bank's own reference; of several transactions that have but one, with a number.
        Without ``numbers`` not the number of the entry, which another statement may give again."""
        if own is not None and (found := own.look("Refs/AcctSvcrRef", "Refs/TxId")):
            return found
        found = entry.look("AcctSvcrRef", "NtryRef") if numbers else entry.look("AcctSvcrRef")
        return f"{found}/{of_many}" if found and of_many else found

    def _own(self) -> str:
        return _number(self._statement, "Acct/Id/")

    def _bank(self) -> str:
        at = "Acct/Svcr/FinInstnId/"
        return self._statement.look(f"{at}Nm", f"{at}BICFI", f"{at}BIC")


def _number(unit: _Unit, at: str) -> str:
    return "".join(unit.look(*(at + name for name in _NUMBERS)).split())


def _kind(unit: _Unit) -> str:
    family = unit.look("BkTxCd/Domn/Fmly/Cd")
    part = unit.look("BkTxCd/Domn/Fmly/SubFmlyCd")
    return _SUBFAMILIES.get(part) or _FAMILIES.get(family, "")


def _signed(amount: str, direction: str) -> str:
    number = plain_decimal(amount, places=4)
    if not number or number.startswith("-") or direction not in ("CRDT", "DBIT"):
        return ""
    return f"-{number}" if direction == "DBIT" and number.strip("0.") else number


def _filled(fields: JsonObject) -> JsonObject:
    return {key: value for key, value in fields.items() if value}
