"""Items that are known by their names at home: what comes again changes them, and adds no second.

Goes through the vault's own verbs, as a person's imports do.
"""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did.json import JsonObject
from pds.vault.imports import ImportPlan
from pds.vault.imports.plan import Applied
from pds.vault.records import Record
from pds.vault.records.origins import Origin, merge
from pds.vault.service import Vault

PNG = b"\x89PNG\r\n\x1a\n" + b"nothing that anybody decodes"


def card(*lines: str, uid: str = "a-1", rev: str = "") -> str:
    head = ["BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", *([f"REV:{rev}"] if rev else [])]
    return "\r\n".join([*head, *lines, "END:VCARD", ""])


def event(*lines: str, uid: str = "e-1") -> str:
    inner = ["BEGIN:VEVENT", f"UID:{uid}", "DTSTART:20260102T100000Z", *lines, "END:VEVENT"]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *inner, "END:VCALENDAR", ""])


class Imports:
    """Imports texts, one after another, into one vault."""

    def __init__(self, vault: Vault, folder: Path) -> None:
        self.vault, self._folder, self._count = vault, folder, 0

    def plan(self, text: str | bytes) -> ImportPlan:
        self._count += 1
        path = self._folder / f"{self._count}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.vault.plan_import(path)

    def __call__(self, text: str | bytes) -> Applied:
        """Import; the preview must have promised what was then done."""
        plan = self.plan(text)
        done = self.vault.import_plan(plan)
        assert (done.added, done.changed, done.duplicates) == (
            plan.added,
            plan.changed,
            plan.duplicates,
        )
        return done

    def one(self, category: str = "contact") -> Record:
        [record] = self.vault.records(category)
        return record


@pytest.fixture
def imports(vault: Vault, tmp_path: Path) -> Imports:
    return Imports(vault, tmp_path)


def test_a_card_that_changed_is_a_new_version(imports: Imports) -> None:
    """Not a second contact; undo gives back what was there, and the same import may come again."""
    imports(card("FN:Anna", "TEL:1"))
    changed = imports(card("FN:Anna", "TEL:2"))
    assert (changed.added, changed.changed) == (0, 1)
    assert imports.one().fields == {"name": "Anna", "telephone": "2"}
    assert [v.fields["telephone"] for v in imports.vault.history(imports.one().id)] == ["1", "2"]
    assert changed.batch is not None
    undone = imports.vault.undo_import(changed.batch)
    assert (undone.removed, undone.restored, undone.kept) == (0, 1, 0)
    assert imports.one().fields == {"name": "Anna", "telephone": "1"}
    assert imports.vault.check() == []
    assert imports(card("FN:Anna", "TEL:2")).changed == 1


def test_the_same_card_in_other_spellings_of_its_uid(imports: Imports) -> None:
    """A UUID is one with and without ``urn:uuid:``, in capitals or not."""
    uid = "4fbe8971-0bc3-424c-9c26-36c3e1eff6b1"
    imports(card("FN:Anna", uid=f"urn:uuid:{uid}"))
    assert imports(card("FN:Anna B", uid=uid.upper())).changed == 1
    assert imports(card("FN:Anna C", uid=uid[:-1] + "2")).added == 1


def test_an_older_edition_changes_nothing(imports: Imports) -> None:
    """By REV where there is one, or because the item said the same once."""
    imports(card("FN:Anna", rev="20260102T000000Z"))
    older = imports.plan(card("FN:Old", rev="2026-01-01T00:00:00Z"))
    assert (older.added, older.changed, older.older, older.duplicates) == (0, 0, 1, 1)
    assert imports(card("FN:New", rev="20260103T000000Z")).changed == 1
    assert imports(card("FN:Anna", rev="20260102T000000Z")).changed == 0
    # Back to what it was is a change too, if it says that it is newer.
    assert imports(card("FN:Anna", rev="20260104T000000Z")).changed == 1
    imports(card("FN:Bela", uid="b"))
    imports(card("FN:Bela Kis", uid="b"))
    assert imports(card("FN:Bela", uid="b")).changed == 0


def test_the_holder_s_own_edit_stays(imports: Imports) -> None:
    """What only the file changed comes in; what both changed stays the holder's, and is named."""
    imports(card("FN:Anna", "TEL:1", "NOTE:x"))
    item = imports.one().id
    imports.vault.edit(item, {"telephone": "9", "nickname": "Ancsa"})
    assert imports(card("FN:Anna", "TEL:1", "NOTE:x")).duplicates == 1
    plan = imports.plan(card("FN:Anna", "TEL:2", "NOTE:y"))
    assert (plan.changed, plan.conflicts) == (1, (("contact.telephone", 1),))
    imports.vault.import_plan(plan)
    assert imports.one().fields == {
        "name": "Anna", "telephone": "9", "nickname": "Ancsa", "note": "y",
    }  # fmt: skip
    # It was told once and is told again as long as both differ; nothing more is written.
    again = imports.plan(card("FN:Anna", "TEL:2", "NOTE:y"))
    assert (again.added, again.changed) == (0, 0)
    # What goes there goes here, but not what was never there.
    imports(card("FN:Anna"))
    assert imports.one().fields == {"name": "Anna", "telephone": "9", "nickname": "Ancsa"}


def test_a_change_that_was_corrected_is_not_taken_back(imports: Imports) -> None:
    """Undo leaves what the holder edited since, and what another import changed since."""
    first = imports(card("FN:Anna"))
    second = imports(card("FN:Anna B"))
    assert first.batch is not None
    assert second.batch is not None
    assert imports.vault.undo_import(first.batch).kept == 1
    imports.vault.edit(imports.one().id, {"nickname": "A"})
    undone = imports.vault.undo_import(second.batch)
    assert (undone.restored, undone.kept) == (0, 1)
    assert imports.one().fields["name"] == "Anna B"


def test_one_name_twice_in_a_file(imports: Imports) -> None:
    """The first has it; the other is an item of its own. Nothing is lost, nothing comes twice."""
    both = card("FN:Anna") + card("FN:Bela")
    assert imports(both).added == 2
    again = imports(both)
    assert (again.added, again.changed, again.duplicates) == (0, 0, 2)


def test_what_is_there_learns_its_name(imports: Imports) -> None:
    """A contact that was there without a name is known by the one that it came with."""
    imports("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Anna\r\nEND:VCARD\r\n")
    assert imports(card("FN:Anna")).duplicates == 1
    assert imports(card("FN:Anna B")).changed == 1


def test_an_edited_item_does_not_come_back_beside_itself(imports: Imports) -> None:
    """What an item said once is there, with or without a name."""
    plain = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Anna\r\nEND:VCARD\r\n"
    imports(plain)
    imports.vault.edit(imports.one().id, {"name": "Anna B"})
    assert imports(plain).added == 0


def test_events_and_those_of_a_series(imports: Imports) -> None:
    """The UID with the time in the series; SEQUENCE and LAST-MODIFIED tell what is older."""
    imports(event("SUMMARY:A", "SEQUENCE:1") + event("SUMMARY:B", "RECURRENCE-ID:20260109T100000Z"))
    assert len(imports.vault.records("events")) == 2
    assert imports(event("SUMMARY:A2", "SEQUENCE:2")).changed == 1
    assert imports(event("SUMMARY:A0", "SEQUENCE:0")).changed == 0
    done = imports(event("SUMMARY:B2", "RECURRENCE-ID:20260109T100000Z"))
    assert (done.added, done.changed) == (0, 1)
    titles = sorted(str(r.fields["title"]) for r in imports.vault.records("events"))
    assert titles == ["A2", "B2"]


RICH: JsonObject = {
    "name": "Minta Anna", "givenName": "Anna", "familyName": "Minta", "taxID": "8123456789",
    "email": "anna@person.example", "gender": "female", "role": "Fiddler; and more",
    "anniversary": "2009-08-08", "languages": ["hu", "en"], "related": ["Minta Béla (spouse)"],
    "messengers": ["xmpp:anna@person.example"], "kind": "org", "birthPlace": "Győr",
    "timezone": "Europe/Budapest", "deathDate": "2090-01-01",
}  # fmt: skip
MEETING: JsonObject = {
    "title": "A, b", "start": "2026-12-24T18:00:00+01:00",
    "attendees": ["Béla", "Anna <a@x.example>"],
    "organizer": "c@x.example", "reminders": ["-PT15M"], "company": "Minta Kft.",
}  # fmt: skip


def unpacked(vault: Vault, folder: Path) -> list[bytes]:
    """The cards and the calendar of an export."""
    import zipfile

    vault.export(folder / "out.zip")
    with zipfile.ZipFile(folder / "out.zip") as archive:
        names = [n for n in archive.namelist() if n.endswith((".vcf", ".ics"))]
        assert len(names) == 2
        return [archive.read(name) for name in names]


def test_our_own_export_adds_nothing(imports: Imports, tmp_path: Path) -> None:
    """Whatever a card or an event cannot hold; also when the item was edited since."""
    imports.vault.add("contact", RICH)
    imports(card("FN:Béla", uid="phone-7"))
    item = imports.vault.add("events", MEETING | {"uid": "by-hand"}).id
    imports.vault.add("events", MEETING)
    imports.vault.edit(item, {"note": "x"})
    files = unpacked(imports.vault, tmp_path)
    for data in files:
        plan = imports.plan(data)
        assert (plan.added, plan.changed, plan.duplicates, plan.conflicts) == (0, 0, 2, ())
        assert plan.reading.left_out == ()
    imports.vault.edit(item, {"title": "Other"})
    for data in files:
        assert (imports.plan(data).added, imports.plan(data).changed) == (0, 0)


def test_our_export_comes_back_changed(imports: Imports, tmp_path: Path) -> None:
    """Changed in a phone, which keeps the UID: a new version; what a card cannot hold stays."""
    item = imports.vault.add("contact", RICH).id
    imports.vault.add("events", MEETING)
    [cards] = [data for data in unpacked(imports.vault, tmp_path) if b"BEGIN:VCARD" in data]
    lines = [
        b"REV:29990101T000000Z" if line.startswith(b"REV:") else line
        for line in cards.split(b"\r\n")
        if not line.startswith((b"X-PDS", b"GENDER"))
    ]
    changed = b"\r\n".join(lines).replace(b"FN:Minta Anna", b"FN:Anna Minta")
    assert imports(changed).changed == 1
    assert imports.one().id == item
    assert imports.one().fields == RICH | {"name": "Anna Minta"}


def test_the_uid_of_a_phone_goes_out_again(imports: Imports, tmp_path: Path) -> None:
    """So that the phone knows its own card."""
    imports(card("FN:Béla", uid="phone-7"))
    imports.vault.add("events", MEETING)
    assert b"UID;VALUE=text:phone-7\r\n" in b"".join(unpacked(imports.vault, tmp_path))


def test_bank_and_health_are_known_too(imports: Imports) -> None:
    """FITID in its account, AcctSvcrRef in its, a resource by its address; a plain id is none."""
    ofx = (
        "OFXHEADER:100\n\n<OFX><STMTRS><CURDEF>EUR<BANKACCTFROM><ACCTID>1</BANKACCTFROM>"
        "<BANKTRANLIST><STMTTRN><DTPOSTED>20260102<TRNAMT>-1.00<FITID>7<NAME>{}</STMTTRN>"
        "</BANKTRANLIST></STMTRS></OFX>\n"
    )
    imports(ofx.format("Shop"))
    done = imports(ofx.format("The Shop"))
    assert (done.added, done.changed) == (0, 1)
    # Banks give numbers again: another amount is another transaction.
    assert imports(ofx.format("Shop").replace("-1.00", "-2.00")).added == 1
    camt = (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt>'
        "<Acct><Id><IBAN>HU1</IBAN></Id></Acct><Ntry>"
        '<Amt Ccy="EUR">1.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><BookgDt><Dt>2026-01-02</Dt>'
        "</BookgDt><{0}>R1</{0}><AddtlNtryInf>{1}</AddtlNtryInf></Ntry></Stmt></BkToCstmrStmt>"
        "</Document>"
    )
    imports(camt.format("AcctSvcrRef", "x"))
    assert imports(camt.format("AcctSvcrRef", "y")).changed == 1
    assert imports(camt.format("NtryRef", "z")).changed == 0
    fhir = (
        '{{"resourceType":"Bundle","entry":[{{"fullUrl":"{}","resource":{{"id":"7","meta":'
        '{{"lastUpdated":"2026-01-0{}T00:00:00Z"}},"resourceType":"Condition","code":{{"text":"{}"'
        "}}}}}}]}}"
    )
    address = "https://a.example/Condition/7"
    imports(fhir.format(address, 2, "Cough"))
    assert imports(fhir.format(address, 3, "Flu")).changed == 1
    assert imports(fhir.format(address, 1, "Nothing")).changed == 0
    assert imports(fhir.format("https://b.example/Condition/7", 1, "Cold")).added == 1
    assert imports(fhir.format("", 1, "Rash")).added == 1
    assert imports(fhir.format("", 2, "Itch")).added == 1


def test_pictures_come_along(imports: Imports) -> None:
    """Inline ones of a known kind; what is elsewhere is not fetched, and named."""
    inline = base64.b64encode(PNG).decode()
    done = imports(
        card("FN:A", f"PHOTO;ENCODING=b;TYPE=JPEG:{inline}", "LOGO:https://x.example/logo.png")
        + card("FN:B", f"PHOTO:data:image/png;base64,{inline}", uid="b")
        + card("FN:C", "PHOTO;ENCODING=b:bm8gcGljdHVyZQ==", uid="c")
    )
    kept = [(a.name, a.media_type, a.size) for a in imports.vault.attachments()]
    assert kept == [("photo.png", "image/png", len(PNG))] * 2
    assert done.batch is not None
    imports.vault.undo_import(done.batch)
    assert imports.vault.attachments() == []


VALUES = st.dictionaries(st.sampled_from("abc"), st.sampled_from("123"))


@given(VALUES, VALUES, VALUES)
def test_merging(base: JsonObject, here: JsonObject, there: JsonObject) -> None:
    """Nothing new gives nothing new; one side alone wins; the holder's own value is never lost."""
    assert merge(base, here, base) == (here, ())
    assert merge(base, base, there) == (there, ())
    merged, conflicts = merge(base, here, there)
    for name in "abc":
        if here.get(name) != base.get(name):
            assert merged.get(name) == here.get(name)
        assert merged.get(name) in (here.get(name), there.get(name))
    assert all(here.get(n) != there.get(n) for n in conflicts)


@given(st.text(max_size=1100), st.text(max_size=12), st.text(max_size=30))
def test_a_name_is_of_any_text(name: str, sequence: str, changed: str) -> None:
    """Whatever a stranger writes there, it is a name or none, and compares."""
    found = Origin.of(name, sequence=sequence, changed=changed)
    if found is not None:
        assert found.follows(found.stamp) is None
        assert len(found.key("contact")) == 16


def patient(name: str, born: str, number: int = 1) -> str:
    return (
        f'{{"resource":{{"resourceType":"Patient","id":"p{number}","birthDate":"{born}","name":'
        f'[{{"text":"{name}"}}]}}}},{{"resource":{{"resourceType":"Condition","subject":'
        f'{{"reference":"Patient/p{number}"}},"code":{{"text":"Cough of {name}"}}}}}}'
    )


def bundle(*entries: str) -> str:
    return '{"resourceType":"Bundle","entry":[' + ",".join(entries) + "]}"


def whose(vault: Vault) -> set[tuple[str, str]]:
    return {(str(r.fields["display"]), r.about) for r in vault.records("conditions")}


def test_a_second_patient_is_somebody_else(imports: Imports) -> None:
    """The first is the holder; who has another name and birth is not, unless the holder says so."""
    first = imports.plan(bundle(patient("Minta Anna", "1980-01-01")))
    assert first.people == (("Minta Anna, born 1980-01-01", "self"),)
    imports.vault.import_plan(first)
    plan = imports.plan(bundle(patient("Minta Béla", "2010-05-05")))
    assert (plan.about, plan.people[0][1]) == ("other", "other")
    imports.vault.import_plan(plan)
    assert whose(imports.vault) == {
        ("Cough of Minta Anna", "self"), ("Cough of Minta Béla", "other"),
    }  # fmt: skip
    again = imports.plan(bundle(patient("Anna Maria MINTA", "1980-01-01")))
    assert again.about == "self"
    path = imports.vault.plan_import
    file = Path(imports._folder) / "2"
    assert path(file, about="self").about == "self"


def test_each_patient_of_a_file_is_told_apart(imports: Imports) -> None:
    """What is about the holder goes to them, the rest to others; of strangers nothing is theirs."""
    both = bundle(patient("Minta Anna", "1980-01-01"), patient("Minta Béla", "2010-05-05", 2))
    imports(both)
    assert {about for _, about in whose(imports.vault)} == {"other"}


def test_the_holder_among_the_patients(imports: Imports) -> None:
    """Known by the contact that the vault has of them."""
    imports.vault.add("contact", {"name": "Anna Minta", "birthDate": "1980-01-01"})
    both = bundle(patient("Minta Anna", "1980-01-01"), patient("Minta Béla", "2010-05-05", 2))
    imports(both)
    assert whose(imports.vault) == {
        ("Cough of Minta Anna", "self"), ("Cough of Minta Béla", "other"),
    }  # fmt: skip
