"""Bank files: from OFX (1.x in SGML, 2.x in XML) to payments and accounts.

Follows the OFX banking specification; of investments what was paid (``ofx_investments``). The
bank's own id of a transaction (FITID) goes into the record, so that statements that overlap add
nothing twice.
"""

import re
from datetime import date
from functools import partial
from pathlib import Path

from did.json import JsonObject
from pds.vault.records import Origin

from . import ofx_investments as investments
from .amounts import plain_decimal
from .moments import utc
from .ofx_tags import MAX_TEXT, Tag, read_tags, text_of
from .plan import Findings, ImportFailed, Read
from .source import Source
from .text import bytes_in, clean, is_utf8, legacy_encoding, recoded

MAX_FIELDS = 200
MAX_OPEN = 32

_CHARSET = re.compile(
    rb"(?:CHARSET\s*:\s*|<\?XML[^>]{0,200}ENCODING\s*=\s*[\"'])([A-Z0-9_-]{1,20})"
)
_ENCODINGS = {
    "1250": "windows-1250", "1252": "windows-1252", "8859-1": "iso-8859-1",
    "8859-2": "iso-8859-2", "ISO-8859-1": "iso-8859-1", "ISO-8859-2": "iso-8859-2",
    "ISO-8859-15": "iso-8859-15", "WINDOWS-1250": "windows-1250", "WINDOWS-1252": "windows-1252",
    "CP1250": "windows-1250", "CP1252": "windows-1252",
}  # fmt: skip

_ENTRIES = frozenset({"STMTTRN", "STMTTRNP", *investments.TRANSACTIONS})
_STATEMENTS = frozenset({"STMTRS", "CCSTMTRS", "INVSTMTRS"})
# What holds other tags. Whatever is not here has a text, or is empty and was not closed.
_AGGREGATES = _ENTRIES | _STATEMENTS | {
    "OFX", "SIGNONMSGSRSV1", "SONRS", "FI", "STATUS", "BANKMSGSRSV1", "CREDITCARDMSGSRSV1",
    "STMTTRNRS", "CCSTMTTRNRS", "BANKACCTFROM", "CCACCTFROM", "BANKACCTTO", "CCACCTTO",
    "BANKTRANLIST", "BANKTRANLISTP", "PAYEE", "EXTDPAYEE", "CURRENCY", "ORIGCURRENCY", "LEDGERBAL",
    "AVAILBAL", "BALLIST", "BAL", "IMAGEDATA", "INVSTMTMSGSRSV1", "INVSTMTTRNRS",
    "INVACCTFROM", "INVTRANLIST", "INVBANKTRAN", "INVBAL", *investments.INSIDE,
    # Passed over, so that what is in them is not taken for the statement's.
    "INVPOSLIST", "SECLISTMSGSRSV1", "SECLIST", "INV401K", "INV401KBAL", "INVOOLIST",
}  # fmt: skip
_PASSED = frozenset({"INVPOSLIST", "SECLIST", "INV401K", "INV401KBAL", "INVOOLIST"})
# Of the file, not of the person, or read elsewhere.
_SILENT = frozenset({"TRNTYPE", "DTTRAN", "CURRENCY.CURRATE"})

_DATE = re.compile(
    r"(?P<day>[0-9]{8})(?:(?P<clock>[0-9]{4}(?:[0-9]{2})?)(?:[.,][0-9]{1,6})?)?"
    r"\s*(?:\[(?P<hours>[+-]?[0-9]{1,2})(?:[.](?P<part>[0-9]{1,2}))?(?::[^\]]{0,40})?\])?"
)
_AMOUNT = re.compile(r"[+-]?[0-9., ]{1,31}")
_KINDS = {
    "POS": "card", "ATM": "cash", "CASH": "cash", "FEE": "fee", "SRVCHG": "fee",
    "INT": "interest", "DIRECTDEBIT": "direct debit", "XFER": "transfer", "CHECK": "check",
    "DIRECTDEP": "direct deposit", "REPEATPMT": "standing order", "DIV": "dividend",
    "DEP": "deposit", "PAYMENT": "payment",
}  # fmt: skip
_ACCOUNTS = {
    "CHECKING": "current", "SAVINGS": "savings", "MONEYMRKT": "savings", "CREDITLINE": "loan",
    "CD": "deposit",
}  # fmt: skip


def ofx_reader(data: bytes | Path | Source) -> Read:
    """How a bank file is read, of any length (UTF-16: at most 64 MiB).

    Each transaction becomes one ``payments`` record, each statement one of ``accounts`` with its
    balance. A text that is not UTF-8 is read as the
    header says. ``line`` is
    where the transaction or the statement begins.

    Problems: ``ofx.not_closed``, ``ofx.amount``, ``ofx.date`` end one transaction;
    ``ofx.too_long``, ``ofx.charset``, ``import.field`` leave out a part of one.
    Raises ImportFailed: ``import.too_large``, ``import.empty``; reading raises
    ``import.nothing_found`` (not an OFX file).
    """
    source, encoding = recoded(Source.of(data))
    return partial(_read, source, encoding)


def _read(source: Source, encoding: str, findings: Findings) -> None:
    findings.encoding = encoding
    said = _CHARSET.search(source.head().upper())
    legacy = _ENCODINGS.get(said[1].decode(), "") if said else ""
    guess = "" if legacy or is_utf8(source) else legacy_encoding(bytes_in(source))
    reader = _OfxReader(findings, legacy or guess or "windows-1252")
    with source.open() as stream:
        for tag in read_tags(stream):
            reader.take(tag)
    reader.end()
    if reader.other and guess:
        findings.assumptions.append(
            f"Some of the file is not UTF-8; it was read as {reader.other.capitalize()}."
            " Check the accents."
        )
    findings.encoding = reader.other or encoding


class _OfxReader:
    """Turns tags into drafts, with what the statement has said of itself before."""

    def __init__(self, findings: Findings, legacy: str) -> None:
        self._findings = findings
        self._legacy = legacy
        self.other = ""
        self._open: list[str] = []
        self._bank = ""
        self._statement: dict[str, str] = {}
        self._statement_line = 0
        self._entry: dict[str, str] | None = None
        self._entry_line = 0
        self._seen = self._complete = False
        self._line = 1

    def take(self, tag: Tag) -> None:
        self._line = tag.line
        if tag.name == "OFX":
            self._seen, self._complete = True, tag.closes
        if tag.name not in _AGGREGATES:
            if tag.name in investments.POSITIONS | investments.OTHERS:
                if not tag.closes:
                    self._findings.leave_out(tag.name)
            elif not tag.closes:
                self._leaf(tag)
        elif tag.closes:
            self._close(tag.name)
        else:
            self._begin(tag)

    def end(self) -> None:
        if not self._seen:
            raise ImportFailed(
                "The file holds no OFX.",
                code="import.nothing_found",
                hint="Check that it is the file that you meant, or export it anew.",
            )
        if self._entry is not None:
            self._unclosed("The file ends before the transaction does.")
        if _STATEMENTS & set(self._open):
            self._account()
        if not self._complete:
            self._findings.problem(
                self._line, "ofx.not_closed", "The file breaks off; something may be missing."
            )

    def _begin(self, tag: Tag) -> None:
        if tag.name in _ENTRIES:
            if self._entry is not None:
                self._unclosed("The transaction has no end.")
            self._entry, self._entry_line = {}, tag.line
        elif tag.name in _STATEMENTS:
            self._statement, self._statement_line = {}, tag.line
        self._open.append(tag.name)
        del self._open[:-MAX_OPEN]  # more than that is no statement; the outermost are forgotten

    def _close(self, name: str) -> None:
        if name not in self._open:
            return
        while (closed := self._open.pop()) != name:
            self._ended(closed, whole=False)
        self._ended(name, whole=True)

    def _ended(self, name: str, *, whole: bool) -> None:
        if name in _ENTRIES and self._entry is not None:
            if whole:
                if name in investments.TRANSACTIONS:
                    self._investment(name, self._entry)
                else:
                    self._payment(self._entry, pending=name == "STMTTRNP")
                self._entry = None
            else:
                self._unclosed("The transaction has no end.")
        elif name in _STATEMENTS:
            self._account()
            self._statement = {}

    def _unclosed(self, sentence: str) -> None:
        self._findings.entries += 1
        self._findings.problem(self._entry_line, "ofx.not_closed", sentence)
        self._entry = None

    def _leaf(self, tag: Tag) -> None:
        parent = self._open[-1] if self._open else ""
        if _PASSED & set(self._open) and self._entry is None:
            return
        if tag.too_long:
            self._findings.problem(
                tag.line, "ofx.too_long", f"A text is longer than {MAX_TEXT} bytes; left out."
            )
            return
        try:
            text, other = text_of(tag, legacy=self._legacy)
        except UnicodeDecodeError:
            self._findings.problem(
                tag.line, "ofx.charset", "A value is not text in its character set."
            )
            return
        self.other = other or self.other
        text = clean(text)
        if not text:
            return
        if self._entry is not None:
            into, key = self._entry, tag.name if parent in _ENTRIES else f"{parent}.{tag.name}"
        elif parent == "FI" and tag.name == "ORG":
            self._bank = text
            return
        else:
            into, key = self._statement, f"{parent}.{tag.name}"
        if len(into) < MAX_FIELDS:
            into.setdefault(key, text)

    def _payment(self, said: dict[str, str], *, pending: bool) -> None:
        findings, line = self._findings, self._entry_line
        findings.entries += 1
        # 1. How much, and when: without these it is no transaction.
        amount = _amount(said.pop("TRNAMT", ""))
        if not amount:
            findings.problem(line, "ofx.amount", "The amount is missing or is no number.")
            return
        day, _ = _date(said.pop("DTPOSTED", "") or said.get("DTTRAN", ""))
        if not day:
            findings.problem(line, "ofx.date", "The date is missing or is none.")
            return
        # 2. In which money, in whose.
        own = self._own()
        currency = said.pop("CURRENCY.CURSYM", "")
        currency = currency or self._currency()
        fields: JsonObject = {
            "bookingDate": day,
            "valueDate": _date(said.pop("DTAVAIL", ""))[0],
            "time": _date(said.pop("DTUSER", ""))[1],
            "amount": amount,
            "currency": currency.upper(),
            "originalCurrency": said.pop("ORIGCURRENCY.CURSYM", "").upper(),
            "exchangeRate": plain_decimal(
                said.pop("ORIGCURRENCY.CURRATE", "").replace(",", "."), places=12
            ),
            "counterparty": said.pop("NAME", "") or said.pop("PAYEE.NAME", ""),
            "counterpartyAccount": said.pop("BANKACCTTO.ACCTID", "")
            or said.pop("CCACCTTO.ACCTID", ""),
            "counterpartyBank": said.pop("BANKACCTTO.BANKID", ""),
            "reference": said.pop("MEMO", ""),
            "transactionId": said.pop("FITID", ""),
            "kind": _KINDS.get(said.get("TRNTYPE", "").upper(), ""),
            "account": own,
            "bank": self._bank,
            "status": "pending" if pending else "booked",
        }
        if any(key.startswith("CCACCTFROM.") for key in self._statement):
            fields["card"] = own
        for name in said:
            if name not in _SILENT:
                findings.leave_out(name)
        findings.draft(
            "payments",
            _filled(fields),
            line=line,
            entry="transaction",
            # Banks give a number twice; hardly for the same amount on the same day.
            origin=Origin.of("ofx", own, str(fields["transactionId"]), day, amount),
        )

    def _investment(self, name: str, said: dict[str, str]) -> None:
        """A trade or an income; its money comes from its own total."""
        findings, line = self._findings, self._entry_line
        findings.entries += 1
        amount = _amount(investments.money(said))
        if not amount:
            findings.problem(line, "ofx.amount", "The amount is missing or is no number.")
            return
        traded, settled = (_date(text)[0] for text in investments.when(said))
        if not traded:
            findings.problem(line, "ofx.date", "The date is missing or is none.")
            return
        number = investments.value(said, "FITID")
        fields: JsonObject = {
            "bookingDate": traded,
            "valueDate": settled,
            "amount": amount,
            "currency": (said.get("CURRENCY.CURSYM", "") or self._currency()).upper(),
            "fee": _amount(investments.value(said, "COMMISSION")).lstrip("-"),
            "reference": investments.value(said, "MEMO"),
            "transactionId": number,
            "kind": investments.kind_of(name, said),
            "account": self._own(),
            "bank": self._bank or self._statement.get("INVACCTFROM.BROKERID", ""),
            "status": "booked",
            "note": investments.note(said),
        }
        if not str(fields["fee"]).strip("0."):
            fields["fee"] = ""
        findings.draft(
            "payments",
            _filled(fields),
            line=line,
            entry="transaction",
            origin=Origin.of("ofx", self._own(), number, traded, amount),
        )

    def _currency(self) -> str:
        said = self._statement
        return next(
            (said[f"{name}.CURDEF"] for name in _STATEMENTS if f"{name}.CURDEF" in said), ""
        )

    def _account(self) -> None:
        said = self._statement
        day, moment = _date(said.get("LEDGERBAL.DTASOF", "") or said.get("AVAILBAL.DTASOF", ""))
        card = any(key.startswith("CCACCTFROM.") for key in said)
        kind = _ACCOUNTS.get(said.get("BANKACCTFROM.ACCTTYPE", "").upper(), "")
        if any(key.startswith("INVACCTFROM.") for key in said):
            kind = "securities"
            day, moment = _date(said.get("INVSTMTRS.DTASOF", ""))
        fields: JsonObject = {
            "kind": "credit-card" if card else kind,
            "company": self._bank or said.get("INVACCTFROM.BROKERID", ""),
            "number": self._own(),
            "currency": self._currency().upper(),
            "balance": _amount(said.get("LEDGERBAL.BALAMT", "")),
            "available": _amount(
                said.get("AVAILBAL.BALAMT", "") or said.get("INVBAL.AVAILCASH", "")
            ),
            "balanceTime": moment or day,
        }
        for key in ("LEDGERBAL.BALAMT", "AVAILBAL.BALAMT"):
            if said.get(key) and not _amount(said[key]):
                self._findings.problem(
                    self._statement_line, "ofx.amount", "A balance is no number; it is left out."
                )
        if fields["number"] or fields["balance"]:
            self._findings.draft(
                "accounts", _filled(fields), line=self._statement_line, entry="statement"
            )

    def _own(self) -> str:
        """The number of the account; of a card no more than the last four digits."""
        said = self._statement
        bank = said.get("BANKACCTFROM.ACCTID", "") or said.get("INVACCTFROM.ACCTID", "")
        return bank or self._statement.get("CCACCTFROM.ACCTID", "")[-4:]


def _filled(fields: JsonObject) -> JsonObject:
    return {key: value for key, value in fields.items() if value}


def _amount(text: str) -> str:
    """An amount, its decimal mark a point or a comma (OFX §3.2.9.2); of both the last one."""
    text = text.strip()
    if _AMOUNT.fullmatch(text) is None:
        return ""
    text = text.replace(" ", "")
    mark = max(text.rfind("."), text.rfind(","))
    if mark >= 0:
        whole = text[:mark].replace("," if text[mark] == "." else ".", "")
        text = f"{whole}.{text[mark + 1 :]}"
    return plain_decimal(text, places=4)


def _date(text: str) -> tuple[str, str]:
    """A date of OFX (§3.2.8) as the day that is written there, and as a moment in UTC where it
    says a time; without a zone it means that of Greenwich. Empty for what is none."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return "", ""
    digits = match["day"]
    day = f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    try:
        date.fromisoformat(day)
    except ValueError:
        return "", ""
    clock = match["clock"]
    if clock is None:
        return day, ""
    hours = int(match["hours"] or 0)
    minutes = int((match["part"] or "0").ljust(2, "0")) * 60 // 100
    sign = "-" if (match["hours"] or "").startswith("-") else "+"
    offset = f"{sign}{abs(hours):02}:{minutes:02}"
    return day, utc(f"{day}T{clock[:2]}:{clock[2:4]}:{clock[4:] or '00'}{offset}")
