"""Statements of banks: payments and accounts from OFX and camt.053."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pds.db import migrate, open_plain
from pds.vault.files import MIGRATIONS
from pds.vault.imports import ImportFailed, apply, camt_reader, ofx_reader
from pds.vault.records import Records
from tests.importing import Reading, collect, make_plan, read

FIXTURES = Path(__file__).parents[2] / "fixtures" / "import"


@pytest.fixture
def records() -> Iterator[Records]:
    conn = open_plain(":memory:")
    migrate(conn, MIGRATIONS, application_id=7)
    yield Records(conn, clock=lambda: datetime(2026, 11, 21, tzinfo=UTC))
    conn.close()


def of(reading: Reading, category: str) -> list[dict[str, object]]:
    return [dict(draft.fields) for draft in reading.drafts if draft.category == category]


def ofx(body: str, *, charset: str = "1252") -> Reading:
    head = f"OFXHEADER:100\nDATA:OFXSGML\nCHARSET:{charset}\n\n<OFX>\n"
    return collect("ofx", ofx_reader((head + body + "</OFX>\n").encode("windows-1252")))


def transaction(**values: str) -> Reading:
    said = {"TRNTYPE": "DEBIT", "DTPOSTED": "20260102", "TRNAMT": "-1.00", "FITID": "1"} | values
    body = "\n".join(f"<{name}>{value}" for name, value in said.items())
    return ofx(f"<STMTRS><CURDEF>EUR\n<STMTTRN>\n{body}\n</STMTTRN></STMTRS>")


def camt(*entries: str, version: str = "08", account: str = "X1") -> Reading:
    return collect("camt053", camt_reader(camt_file(*entries, version=version, account=account)))


def camt_file(*entries: str, version: str = "08", account: str = "X1") -> bytes:
    return (
        f'<?xml version="1.0"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.'
        f'{version}"><BkToCstmrStmt><Stmt><Acct><Id><Othr><Id>{account}</Id></Othr></Id></Acct>'
        f"{''.join(entries)}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def entry(amount: str, *parts: str, direction: str = "DBIT") -> str:
    return (
        f'<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd><Sts>BOOK</Sts>'
        f"<BookgDt><Dt>2026-01-02</Dt></BookgDt>{''.join(parts)}</Ntry>"
    )


# --- OFX ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payments", "accounts", "problems"),
    [
        ("bank_small.ofx", 0, 0, []),
        ("checking.ofx", 3, 1, []),
        ("multiple_accounts.ofx", 0, 2, []),
        ("decimal_error.ofx", 0, 1, [(34, "ofx.amount")]),
    ],
)
def test_ofx_samples(
    samples: Path, name: str, payments: int, accounts: int, problems: list[tuple[int, str]]
) -> None:
    """Both versions of OFX, with closed tags and open ones; of a broken file what is good."""
    reading = read(samples / "ofx" / name)
    assert reading.kind == "ofx"
    assert (len(of(reading, "payments")), len(of(reading, "accounts"))) == (payments, accounts)
    assert [(p.line, p.code) for p in reading.problems] == problems


def test_ofx_sample_account_and_payment(samples: Path) -> None:
    """An account with both balances, and a payment with the bank's own id."""
    reading = read(samples / "ofx" / "checking.ofx")
    assert of(reading, "accounts") == [
        {
            "kind": "current",
            "company": "FAKE",
            "number": "1452687~7",
            "currency": "USD",
            "balance": "100.99",
            "available": "75.99",
            "balanceTime": "2013-05-25T22:57:31Z",
        }
    ]
    assert of(reading, "payments")[1] == {
        "bookingDate": "2011-04-05",
        "amount": "-34.51",
        "currency": "USD",
        "counterparty": "AUTOMATIC WITHDRAWAL, ELECTRIC BILL",
        "reference": "AUTOMATIC WITHDRAWAL, ELECTRIC BILL WEB(S )",
        "transactionId": "0000487",
        "account": "1452687~7",
        "bank": "FAKE",
        "status": "booked",
    }
    assert dict(reading.left_out) == {"CHECKNUM": 1}


def test_ofx_in_a_legacy_encoding() -> None:
    """SGML with commas, entities, a time in its zone; of a card the last digits only."""
    reading = read(FIXTURES / "statement_1252.ofx")
    assert reading.encoding == "windows-1252"
    assert reading.assumptions == ()
    first, salary, interest, pending, card = of(reading, "payments")
    assert first == {
        "bookingDate": "2026-10-02",
        "time": "2026-10-01T21:30:00Z",
        "amount": "-12.50",
        "currency": "EUR",
        "counterparty": "Bäckerei Müller",
        "counterpartyAccount": "DE75512108001245126199",
        "counterpartyBank": "30040050",
        "reference": "Brötchen <3 €5",
        "transactionId": "A-1",
        "kind": "direct debit",
        "account": "DE02100200300000000001",
        "bank": "Muster & Söhne Bank",
        "status": "booked",
    }
    assert salary["amount"] == "1234.56"
    assert (interest["amount"], interest["currency"]) == ("0.10", "USD")
    assert pending["status"] == "pending"
    assert (card["counterparty"], card["reference"]) == ("Kino", "Film <5> & Popcorn")
    assert (card["card"], card["account"]) == ("1234", "1234")
    savings, credit = of(reading, "accounts")
    assert (savings["kind"], savings["balance"]) == ("savings", "1500.01")
    assert (credit["kind"], credit["number"]) == ("credit-card", "1234")
    assert [(p.line, p.code) for p in reading.problems] == [
        (26, "ofx.date"),
        (28, "ofx.amount"),
        (30, "ofx.not_closed"),
    ]


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("-1,5", "-1.5"),
        ("+1.50", "1.50"),
        ("1,234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("-.5", "-0.5"),
        (".", None),
        ("0012", "12"),
        ("-0.00", "0.00"),
        ("1.000000", "1.0000"),
        ("$120", None),
        ("1e5", None),
        ("1/2", None),
        ("", None),
    ],
)
def test_ofx_amounts(written: str, amount: str | None) -> None:
    """The decimal mark is the last one; what is no number costs the transaction, not the file."""
    reading = transaction(TRNAMT=written)
    found = [draft["amount"] for draft in of(reading, "payments")]
    assert found == ([] if amount is None else [amount])
    assert [p.code for p in reading.problems] == (["ofx.amount"] if amount is None else [])


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("20260102", None),
        ("20260102101112", "2026-01-02T10:11:12Z"),
        ("20260102101112.5[-5:EST]", "2026-01-02T15:11:12Z"),
        ("20260102101112[+5.5:IST]", "2026-01-02T04:41:12Z"),
        ("20260102101112[-3.30]", "2026-01-02T13:29:12Z"),
        ("20260102256112", None),
    ],
)
def test_ofx_times(written: str, time: str | None) -> None:
    """A time with the zone in brackets; one without is that of Greenwich."""
    (payment,) = of(transaction(DTUSER=written), "payments")
    assert payment.get("time") == time
    assert transaction(DTPOSTED="20261301").problems[0].code == "ofx.date"


def test_ofx_that_lies_about_its_encoding() -> None:
    """What is UTF-8 is read so, whatever the header says; what is neither is a guess."""
    text = "OFXHEADER:100\nCHARSET:{}\n<OFX><FI><ORG>Tűz</FI><STMTRS><CURDEF>HUF<BANKACCTFROM>"
    text += "<ACCTID>1</BANKACCTFROM></STMTRS></OFX>"
    lied = collect("ofx", ofx_reader(text.format("1252").encode()))
    assert of(lied, "accounts")[0]["company"] == "Tűz"
    assert lied.encoding == "utf-8"
    silent = collect("ofx", ofx_reader(text.format("NONE").encode("windows-1250")))
    assert of(silent, "accounts")[0]["company"] == "Tűz"
    assert (silent.encoding, len(silent.assumptions)) == ("windows-1250", 1)
    said = collect("ofx", ofx_reader(text.format("1250").encode("windows-1250")))
    assert (said.encoding, said.assumptions) == ("windows-1250", ())


# --- camt.053 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "amounts"),
    [
        ("valid_example.xml", ["-2.00", "-3.00", "1.00", "-3.50", "-2.50"]),
        ("valid_example_v8.xml", ["474.4", "88.85", "-20.97"]),
        ("valid_example_with_batch.xml", ["-4753.74", "2688.00", "5000.00"]),
    ],
)
def test_camt_samples(samples: Path, name: str, amounts: list[str]) -> None:
    """Versions 2 and 8, entries of several transactions and one that only counts them."""
    reading = read(samples / "camt053" / name)
    assert reading.kind == "camt053"
    assert reading.problem_count == 0
    assert [payment["amount"] for payment in of(reading, "payments")] == amounts
    assert len(of(reading, "accounts")) == 1


def test_camt_sample_in_full(samples: Path) -> None:
    """A direct debit with its mandate, and the account with its closing balance."""
    reading = read(samples / "camt053" / "valid_example.xml")
    assert of(reading, "payments")[0] == {
        "bookingDate": "2013-12-27",
        "valueDate": "2013-12-27",
        "amount": "-2.00",
        "currency": "EUR",
        "counterparty": "Testkonto Nummer 2",
        "counterpartyAccount": "DE09300606010012345671",
        "counterpartyBank": "Bank",
        "reference": "TEST BERWEISUNG MITTELS BLZUND KONTONUMMER - DTA",
        "endToEndId": "EndToEndReference",
        "transactionId": "BankReference",
        "mandateId": "MandateReference",
        "creditorId": "CreditorIdentifier",
        "account": "DE14740618130000033626",
        "bank": "VR-Bank Rottal-Inn eG",
        "status": "booked",
        "note": "Überweisungs-Gutschrift; GVC: SEPA Credit Transfer (Einzelbuchung-Haben)",
    }
    assert [p["transactionId"] for p in of(reading, "payments")[3:]] == [
        "2013122711513230000/1",
        "2013122711513230000/2",
    ]
    assert of(reading, "accounts") == [
        {
            "company": "VR-Bank Rottal-Inn eG",
            "number": "DE14740618130000033626",
            "bic": "GENODEF1PFK",
            "currency": "EUR",
            "balance": "23.06",
            "balanceTime": "2013-12-27",
            "holder": "Testkonto Nummer 1",
        }
    ]


def test_camt_with_a_prefix_and_a_legacy_encoding() -> None:
    """Another currency, a card, a fee, a reversal; what lacks direction or date is named."""
    reading = read(FIXTURES / "statement_v4.xml")
    assert reading.encoding == "iso-8859-1"
    card, back, interest = of(reading, "payments")
    assert card == {
        "bookingDate": "2026-02-02",
        "time": "2026-02-01T10:00:00Z",
        "amount": "-4000",
        "currency": "HUF",
        "originalAmount": "10.00",
        "originalCurrency": "EUR",
        "exchangeRate": "400.0",
        "fee": "12.5",
        "counterparty": "Café Größe",
        "reference": "első rész",
        "transactionId": "R1",
        "kind": "card",
        "card": "1234",
        "account": "HU42117730161111101800000000",
        "bank": "MINTHUHB",
        "status": "booked",
    }
    assert (back["amount"], back["counterparty"], back["status"]) == ("900.00", "Bolt", "returned")
    assert (interest["status"], interest["note"]) == ("pending", "Kamat")
    assert of(reading, "accounts")[0]["balance"] == "-250000.00"
    assert [(p.line, p.code) for p in reading.problems] == [(40, "camt.amount"), (48, "camt.date")]


@pytest.mark.parametrize("version", ["02", "03", "04", "06", "08", "10"])
def test_camt_party_under_either_name(version: str) -> None:
    """Newer versions put a party one level deeper."""
    for party in ("<Nm>Bolt</Nm>", "<Pty><Nm>Bolt</Nm></Pty>"):
        details = f"<RltdPties><Cdtr>{party}</Cdtr></RltdPties>"
        reading = camt(
            entry("1.00", f"<NtryDtls><TxDtls>{details}</TxDtls></NtryDtls>"), version=version
        )
        assert of(reading, "payments")[0]["counterparty"] == "Bolt"


def test_camt_where_the_holder_stands_on_both_sides() -> None:
    """The other side is the one that is not the holder's own account."""
    parties = (
        "<RltdPties><Dbtr><Nm>Other</Nm></Dbtr><Cdtr><Nm>Me</Nm></Cdtr>"
        "<CdtrAcct><Id><Othr><Id>X1</Id></Othr></Id></CdtrAcct></RltdPties>"
    )
    reading = camt(entry("1.00", f"<NtryDtls><TxDtls>{parties}</TxDtls></NtryDtls>"))
    assert of(reading, "payments")[0]["counterparty"] == "Other"


def test_camt_negative_amount_is_none() -> None:
    """The sign is that of the direction alone; an amount with one of its own is refused."""
    reading = camt(entry("-1.00"), entry("2.00"))
    assert [p["amount"] for p in of(reading, "payments")] == ["-2.00"]
    assert [p.code for p in reading.problems] == ["camt.amount"]


def test_other_xml_is_refused() -> None:
    """XML that is no statement, and a statement by name only."""
    with pytest.raises(ImportFailed) as caught:
        read(b"<?xml version='1.0'?><html/>")
    assert caught.value.code == "import.unsupported"
    with pytest.raises(ImportFailed) as caught:
        collect("camt053", camt_reader(b"<html/>"))
    assert caught.value.code == "import.nothing_found"


# --- the same again -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["ofx/checking.ofx", "camt053/valid_example.xml", "camt053/valid_example_v8.xml"],
)
def test_same_statement_again_adds_nothing(samples: Path, records: Records, name: str) -> None:
    """Payments and balances that are there are not taken twice."""
    data = (samples / name).read_bytes()
    first = apply(make_plan(read(data), records), records)
    again = make_plan(read(data), records)
    assert first.added == again.duplicates > 0
    assert again.added == 0
    assert apply(again, records).added == 0


def test_overlapping_statements(records: Records) -> None:
    """Of a second statement only what the first did not have comes in."""
    refs = [f"<AcctSvcrRef>R{i}</AcctSvcrRef>" for i in range(4)]
    entries = [entry("1.00", ref) for ref in refs]
    apply(make_plan(read(camt_file(*entries[:3])), records), records)
    plan = make_plan(read(camt_file(*entries[1:])), records)
    assert plan.counts == {"payments": 1}
    assert plan.about == "self"


# --- what is written is read ----------------------------------------------------------------------

_NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="<>"),
    min_size=1,
    max_size=60,
)
_CENTS = st.integers(-(10**11), 10**11).map(
    lambda n: str((Decimal(n) / 100).quantize(Decimal("0.01")))
)


def _composed(text: str) -> str:
    import unicodedata

    return unicodedata.normalize("NFC", text).strip()


@given(amount=_CENTS, on=st.dates(date(1970, 1, 1)), name=_NAMES, ident=_NAMES)
def test_ofx_that_is_written_is_read(amount: str, on: date, name: str, ident: str) -> None:
    """A transaction in either version reads back as it was."""
    values = (("TRNAMT", amount), ("DTPOSTED", f"{on.year:04}{on:%m%d}"), ("FITID", escape(ident)),
              ("NAME", escape(name)))  # fmt: skip
    for closed in (False, True):
        body = "\n".join(f"<{n}>{v}" + (f"</{n}>" if closed else "") for n, v in values)
        data = f"<OFX><STMTRS><STMTTRN>{body}</STMTTRN></STMTRS></OFX>"
        (payment,) = of(collect("ofx", ofx_reader(data.encode())), "payments")
        assert Decimal(str(payment["amount"])) == Decimal(amount)
        assert payment["bookingDate"] == on.isoformat()
        assert payment["counterparty"] == _composed(name)
        assert payment["transactionId"] == _composed(ident)


@given(amount=_CENTS, on=st.dates(date(1970, 1, 1)), name=_NAMES, ident=_NAMES)
def test_camt_that_is_written_is_read(amount: str, on: date, name: str, ident: str) -> None:
    """An entry reads back as it was, its sign from its direction."""
    out = amount.startswith("-")
    side = "Cdtr" if out else "Dbtr"
    reading = camt(
        f'<Ntry><Amt Ccy="EUR">{amount.lstrip("-")}</Amt>'
        f"<CdtDbtInd>{'DBIT' if out else 'CRDT'}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>"
        f"<BookgDt><Dt>{on.isoformat()}</Dt></BookgDt>"
        f"<AcctSvcrRef>{escape(ident)}</AcctSvcrRef><NtryDtls><TxDtls><RltdPties>"
        f"<{side}><Nm>{escape(name)}</Nm></{side}></RltdPties></TxDtls></NtryDtls></Ntry>"
    )
    (payment,) = of(reading, "payments")
    assert Decimal(str(payment["amount"])) == Decimal(amount)
    assert payment["bookingDate"] == on.isoformat()
    assert payment["counterparty"] == _composed(name)
    assert payment["transactionId"] == _composed(ident)


def test_an_entry_twice_in_a_statement_is_one(records: Records) -> None:
    """The bank's own number says that it is the same; without one, two equal ones are two."""
    numbered = entry("1.00", "<AcctSvcrRef>R1</AcctSvcrRef>")
    plan = make_plan(read(camt_file(numbered, numbered)), records)
    assert plan.counts["payments"] == 1
    plan = make_plan(read(camt_file(entry("1.00", ""), entry("1.00", ""))), records)
    assert plan.counts["payments"] == 2


# --- the rest of the family -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "around", "top", "accounts"),
    [
        ("camt052", "BkToCstmrAcctRpt", "Rpt", 1),
        ("camt053", "BkToCstmrStmt", "Stmt", 1),
        ("camt054", "BkToCstmrDbtCdtNtfctn", "Ntfctn", 0),
    ],
)
def test_reports_and_notifications(kind: str, around: str, top: str, accounts: int) -> None:
    """The same entries with other names around them; a notification says nothing of the account."""
    raw = camt_file(entry("1.00")).decode()
    raw = raw.replace("BkToCstmrStmt", around).replace("Stmt>", f"{top}>")
    raw = raw.replace("camt.053", f"{kind[:4]}.{kind[4:]}")
    reading = read(raw.encode())
    assert reading.kind == kind
    assert [p["amount"] for p in of(reading, "payments")] == ["-1.00"]
    assert len(of(reading, "accounts")) == accounts
    assert reading.problems == ()


def test_the_balance_so_far() -> None:
    """Of a day that is not over; a closing balance is better."""
    balance = (
        '<Bal><Tp><CdOrPrtry><Cd>{}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{}</Amt>'
        "<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-01-02</Dt></Dt></Bal>"
    )
    both = camt(balance.format("ITBD", "1.00"), balance.format("CLBD", "2.00"))
    assert of(both, "accounts")[0]["balance"] == "2.00"
    assert of(camt(balance.format("ITBD", "1.00")), "accounts")[0]["balance"] == "1.00"


INVESTMENTS = (
    "<INVSTMTMSGSRSV1><INVSTMTTRNRS><INVSTMTRS><DTASOF>20260131<CURDEF>USD<INVACCTFROM>"
    "<BROKERID>broker.example<ACCTID>77</INVACCTFROM><INVTRANLIST><DTSTART>20260101"
    "<BUYSTOCK><INVBUY><INVTRAN><FITID>1<DTTRADE>20260105<DTSETTLE>20260107<MEMO>Bought"
    "</INVTRAN><SECID><UNIQUEID>US0000000001<UNIQUEIDTYPE>ISIN</SECID><UNITS>10<UNITPRICE>5.5"
    "<COMMISSION>1.50<TOTAL>-56.50</INVBUY><BUYTYPE>BUY</BUYSTOCK>"
    "<INCOME><INVTRAN><FITID>2<DTTRADE>20260106</INVTRAN><SECID><UNIQUEID>US0000000001"
    "<UNIQUEIDTYPE>ISIN</SECID><INCOMETYPE>DIV<TOTAL>3.00</INCOME>"
    "<INVBANKTRAN><STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20260103<TRNAMT>100<FITID>3</STMTTRN>"
    "<SUBACCTFUND>CASH</INVBANKTRAN>"
    "<SELLSTOCK><INVSELL><INVTRAN><FITID>4<DTTRADE>20260108</INVTRAN></INVSELL></SELLSTOCK>"
    "<SPLIT><INVTRAN><FITID>5<DTTRADE>20260108</INVTRAN></SPLIT></INVTRANLIST>"
    "<INVPOSLIST><POSSTOCK><INVPOS><SECID><UNIQUEID>US0000000001<UNIQUEIDTYPE>ISIN</SECID>"
    "<UNITS>10<MKTVAL>60.00</INVPOS></POSSTOCK></INVPOSLIST>"
    "<INVBAL><AVAILCASH>46.50<MARGINBALANCE>0</INVBAL></INVSTMTRS></INVSTMTTRNRS>"
    "</INVSTMTMSGSRSV1>"
)


def test_investments_are_payments() -> None:
    """What was bought, sold and earned; what is held has no place and is named."""
    reading = ofx(INVESTMENTS)
    common = {"account": "77", "bank": "broker.example", "status": "booked"}
    security = "ISIN US0000000001"
    assert of(reading, "payments") == [
        common
        | {
            "bookingDate": "2026-01-05", "valueDate": "2026-01-07", "amount": "-56.50",
            "currency": "USD", "fee": "1.50", "reference": "Bought", "transactionId": "1",
            "kind": "purchase", "note": f"{security}, 10 × 5.5",
        },
        common
        | {
            "bookingDate": "2026-01-06", "amount": "3.00", "currency": "USD", "transactionId": "2",
            "kind": "dividend", "note": security,
        },
        {
            "bookingDate": "2026-01-03", "amount": "100", "currency": "USD", "transactionId": "3",
            "account": "77", "status": "booked",
        },
    ]  # fmt: skip
    assert of(reading, "accounts") == [
        {
            "kind": "securities", "company": "broker.example", "number": "77", "currency": "USD",
            "available": "46.50", "balanceTime": "2026-01-31",
        }
    ]  # fmt: skip
    assert [p.code for p in reading.problems] == ["ofx.amount"]
    assert dict(reading.left_out)["POSSTOCK"] == 1
    assert dict(reading.left_out)["SPLIT"] == 1
