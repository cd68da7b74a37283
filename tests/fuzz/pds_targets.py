"""The ways into ``pds``: what relays, companies, holders and files of strangers say.

Long, because it is a list.
"""

import contextlib
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from target import (
    NOW,
    ROOT,
    Target,
    example,
    of_json,
    of_text,
    parsed_example,
    secret,
    text,
)

from credentials.grant import verify_grant
from credentials.presentation import sign_presentation
from credentials.proof import sign_object
from credentials.status import WITHOUT_STATUS
from did.errors import JsonError
from did.json import JsonObject, canonicalize, digest, parse_object
from did.keys import SigningKey
from did.multikey import b64url_encode, multihash_sha256
from did.resolve import OFFLINE, Resolver
from pds.links import LinkError, RequestLink, open_request
from pds.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from pds.log.entry import Receipt, verify_receipt
from pds.log.errors import LogError, NoteInvalid
from pds.log.note import UnverifiedNote, check_key_name, decode_base64, open_note
from pds.log.tree import MemoryNodes, Tree, leaf_hash, verify_consistency, verify_inclusion
from pds.mailbox import RelayClient, RelayError, RelayNonsense, RelayUnreachable
from pds.messages.decision import AccessDenial, Decision, check_decision
from pds.messages.errors import DecisionRefused, MessageError, PackageRefused
from pds.messages.message import Message, open_message
from pds.messages.notices import ErasureAttestation, PackageUpdated, Withdrawal
from pds.messages.package import Package, open_package, verify_manifest
from pds.messages.redemption import check_redemption
from pds.messages.request import AccessRequest, ReplyAddress, VerifiedRequest, verify_request
from pds.net.addresses import DevTrust, Url
from pds.net.errors import NetError
from pds.relay import challenge, forms
from pds.relay.errors import Refused
from pds.sealing import (
    SealingError,
    SealingKey,
    SealingPublicKey,
    lock_with_secret,
    open_sealed,
    seal,
    unlock_with_secret,
    unpad,
)
from pds.vault import slotfile
from pds.vault.attachments import AttachmentError, media_type, safe_name
from pds.vault.attachments.archive import unpack as unpack_attachments
from pds.vault.attachments.folder import Folder
from pds.vault.attachments.stream import Reader, Sealed
from pds.vault.attachments.stream import seal as seal_attachment
from pds.vault.exports import ExportArchive
from pds.vault.exports import read as export_file
from pds.vault.imports import (
    ImportFailed,
    camt_reader,
    fhir_reader,
    icalendar_reader,
    mbox_reader,
    ofx_reader,
)
from pds.vault.imports.pictures import picture
from pds.vault.imports.plan import Read
from pds.vault.kit import kit_secret
from pds.vault.schemas import NAMES, Catalogue, RecordError, check, parse_path
from pds.vault.schemas.own import read_own
from pds.vault.slotfile import KeyslotError
from pds.wire import Manifest, WireError, parse_relay_url, sign_request
from pds.wire import verify_request as verify_http
from pds.wire.ids import capability_hash, check_id
from pds.wire.objects import Answer, RelayInfo
from tests.importing import collect, read_csv, read_vcard, zip_of, zipped
from tests.importing import read as read_import

HOLDER, COMPANY, LOG, REDEMPTION = (
    SigningKey.from_seed(secret(name)) for name in ("holder", "company", "log", "redemption")
)
RELAY, ORIGIN = "https://relay.example", "relay.example/log/0011223344556677"
SEALING = SealingKey.from_seed(secret("company sealing"))
ID = "A" * 22
WEB = Resolver(fetch=lambda _url: example("did"))
URL = f"{RELAY}/v1/x"

_GRANT = verify_grant(
    parsed_example("access-grant"), purpose=None, audience=None, status=WITHOUT_STATUS, now=NOW
)
_REQUEST_RAW = parsed_example("access-request")
_REQUEST = VerifiedRequest(AccessRequest.parse(_REQUEST_RAW), digest(_REQUEST_RAW), _REQUEST_RAW)
_TICKET = parsed_example("redemption-ticket")
_MANIFEST = parsed_example("manifest")
_REPLY = ReplyAddress(RELAY, ID, "A" * 43, SEALING.public)
_DECISION = Decision(
    request=_REQUEST.digest,
    grants=(parsed_example("access-grant"),),
    denials=(parsed_example("access-denial"),),
    tickets=(_TICKET,),
    reply=_REPLY,
    relay=RELAY,
    log_origin=ORIGIN,
    log_key=LOG.verify_key,
).to_json()


def signed(raw: bytes, key: SigningKey) -> JsonObject | None:
    """What somebody makes of an object and signs; None for what cannot be signed."""
    try:
        value = parse_object(raw)
        return sign_object({k: v for k, v in value.items() if k != "proof"}, key, created=NOW)
    except Exception:  # noqa: BLE001  # signing is not what is tried here
        return None


def _unsigned(name: str) -> bytes:
    return canonicalize({k: v for k, v in parsed_example(name).items() if k != "proof"})


def _request_signed(raw: bytes) -> None:
    try:
        value = {k: v for k, v in parse_object(raw).items() if k != "proof"}
        made = sign_object(value, COMPANY, created=NOW, verification_method=_METHOD)
    except Exception:  # noqa: BLE001
        return
    verify_request(canonicalize(made), resolver=WEB, now=NOW)


_METHOD = "did:web:shop.example#key-1"


def _message_signed(raw: bytes) -> None:
    _message_sealed(canonicalize(made) if (made := signed(raw, HOLDER)) else raw)


def _message_sealed(raw: bytes) -> None:
    if raw:
        sealed = seal(raw, to=SEALING.public, label="message", context=ID)
        open_message(sealed, key=SEALING, mailbox=ID, resolver=OFFLINE, now=NOW)


def _package_signed(raw: bytes) -> None:
    _package_sealed(canonicalize(made) if (made := signed(raw, HOLDER)) else raw)


def _package_sealed(raw: bytes) -> None:
    if not raw:
        return
    package = str(_MANIFEST["package"])
    sealed = seal(raw, to=SEALING.public, label="package", context=package)
    named = {"sha256": multihash_sha256(sealed), "size": len(sealed)}
    manifest = {k: v for k, v in _MANIFEST.items() if k != "proof"} | named
    open_package(
        sealed,
        sign_object(manifest, HOLDER, created=NOW),
        key=SEALING,
        grant=_GRANT,
        package_id=package,
        ticket=str(_MANIFEST["ticket"]),
        at_least=1,
        now=NOW,
    )


def _manifest_signed(raw: bytes) -> None:
    if made := signed(raw, HOLDER):
        verify_manifest(made, issuer=HOLDER.did, now=NOW)


def _redemption(presentation: JsonObject) -> None:
    check_redemption(
        presentation,
        ticket=digest(_TICKET),
        grant=_GRANT.digest,
        purpose=_GRANT.terms.purpose,
        processing=_GRANT.terms.processing,
        redemption_key=REDEMPTION.did,
        package_id=str(_MANIFEST["package"]),
        relay=RELAY,
        key=SEALING,
        now=NOW,
    )


def _stated(raw: bytes) -> None:
    """What a company states to the holder, inside the seal."""
    if not raw:
        return
    document = {k: v for k, v in parsed_example("redemption").items() if k != "proof"}
    package = str(_MANIFEST["package"])
    sealed = seal(raw, to=SEALING.public, label="redemption", context=package)
    _redemption(
        sign_presentation(
            holder_key=REDEMPTION,
            presentation={**document, "sealed": b64url_encode(sealed)},
            challenge="c",
            domain=RELAY,
            created=NOW,
        )
    )


def _decision(body: JsonObject) -> None:
    check_decision(body, request=_REQUEST, holder=HOLDER.did, now=NOW)


_HEADERS = sign_request(
    COMPANY, method="PUT", url=URL, body=b"{}", epoch=1, created=NOW, nonce="A" * 22
)
_NAMES = sorted(_HEADERS)


def _http(raw: bytes) -> None:
    lines = text(raw).split("\n")
    headers = dict(zip(_NAMES, [*lines, "", "", "", ""], strict=False))
    verify_http(method="PUT", url=URL, headers=headers, body=b"{}", now=NOW)


@dataclass(frozen=True)
class _Relay:
    """A relay, or who claims to be one, that says the same whatever it is asked."""

    status: int
    headers: dict[str, str]
    body: bytes

    def request(self, method, url, *, headers, body):  # type: ignore[no-untyped-def]
        return self


def _relay_answers(raw: bytes) -> None:
    head, _, body = raw.partition(b"\n")
    relay = RelayClient(
        RELAY, _Relay(200, {"pds-stamp": text(head)}, body), clock=lambda: NOW, random=bytes
    )
    owner = relay.owner(ID, HOLDER, 1)
    for call in (
        relay.info,
        relay.challenge,
        relay.checkpoint,
        lambda: relay.deposit(ID, "A" * 43, b"x"),
        lambda: relay.status(f"{RELAY}/v1/status/{ID}"),
        lambda: relay.consistency(1, 2),
        lambda: relay.redeem(parsed_example("redemption"), HOLDER),
        owner.create,
        owner.info,
        owner.envelopes,
        lambda: owner.package(ID),
        lambda: owner.end_package(ID),
        lambda: owner.events(ID),
    ):
        with contextlib.suppress(RelayNonsense, RelayUnreachable):
            call()


def _relay_refuses(raw: bytes) -> None:
    status = 400 + int.from_bytes(raw[:1]) % 200
    answer = _Relay(status, {"retry-after": text(raw[1:4])}, raw[4:])
    RelayClient(RELAY, answer, clock=lambda: NOW).challenge()


def _tree() -> tuple[bytes, bytes]:
    """What proves that a tree of five has a leaf, and that it begins with that of three."""
    tree = Tree(MemoryNodes(), 0)
    tree.extend([leaf_hash(b"a")] * 5)
    included = b"".join([tree.root(), *tree.inclusion(2, 5)])
    grown = b"".join([tree.root(3), tree.root(5), *tree.consistency(3, 5)])
    return b"\x02\x05" + included, b"\x03\x05" + grown


def _hashes(raw: bytes) -> tuple[int, int, list[bytes]]:
    rest = raw[2:]
    hashes = [rest[i : i + 32] for i in range(0, len(rest), 32)]
    first, second = (*raw[:2], 0, 0)[:2]
    return first, second, hashes or [b""]


def _inclusion(raw: bytes) -> None:
    index, size, (root, *proof) = _hashes(raw)
    verify_inclusion(leaf=leaf_hash(b"a"), index=index, size=size, proof=proof, root=root)


def _consistency(raw: bytes) -> None:
    first, second, (before, *rest) = _hashes(raw)
    after, *proof = rest or [b""]
    verify_consistency(
        first=first, second=second, first_root=before, second_root=after, proof=proof
    )


# In memory where there is one: a fuzzer writes it some thousand times a second.
_FOLDER = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
_SLOTS = Path(_FOLDER.name, "slots")


def _slot_file(raw: bytes) -> None:
    _SLOTS.write_bytes(raw)
    slotfile.read(_SLOTS)


def _slots() -> bytes:
    path = Path(_FOLDER.name, "seed")
    salt, wrapped = bytes(16), bytes(48)
    slots = (
        slotfile.Slot(
            ID, "passphrase", slotfile.Argon2Params(), salt, bytes(32), salt[4:], wrapped
        ),
        slotfile.Slot("B" * 21 + "A", "recovery", None, salt, bytes(32), salt[4:], wrapped),
    )
    slotfile.write(path, vault=ID, epoch=1, slots=slots, mac_key=bytes(32), replaces=None)
    return path.read_bytes()


def _record(value: JsonObject) -> None:
    for category in NAMES:
        try:
            check(category, value)
        except RecordError:
            continue


def _own_category(value: JsonObject) -> None:
    made = read_own("fuzzed", value)
    words = Catalogue({made.category.name: made.schema})
    for record in ({}, {"name": "a" * 100}, value):
        try:
            words.check(made.category.name, record)
        except RecordError:
            continue


def _form(raw: bytes) -> None:
    forms.read(raw, max_bytes=1024, required=("a",), optional=("b",))


def _form_values(value: JsonObject) -> None:
    for read in (
        forms.id_,
        forms.digest,
        forms.time,
        forms.object_,
        lambda one: forms.integer(one, least=1),
        lambda one: forms.octets(one, most=8),
        lambda one: forms.is_shallow(one),
    ):
        for one in value.values():
            try:
                read(one)
            except Refused:
                continue


def _numbers(raw: bytes) -> None:
    forms.numbers({"a": text(raw).split("&")}, ("a",))


_EXPORTED = (
    b'{"@context":{"@version":1.1},"category":"interests","records": [\n'
    b'{"@id":"#AAAAAAAAAAAAAAAAAAAAAA","about":"self","created":"2026-11-28T09:30:00Z",'
    b'"deleted":false,"tags":["a"],"versions":[{"assurance":"self-declared","changed":'
    b'"2026-11-28T09:30:00Z","collected":"2026-11-28T09:30:00Z","fields":{"name":"x"},"schema":"s",'
    b'"source":"self","validFrom":"2026-01-01","version":1}]}\n]}\n'
)


def _exported() -> io.BytesIO:
    out = io.BytesIO()
    sha256 = hashlib.sha256(_EXPORTED).hexdigest()
    listed = {"path": "data/interests.jsonld", "sha256": sha256, "bytes": len(_EXPORTED)}
    manifest = {"format": export_file.FORMAT, "version": export_file.VERSION, "files": [listed]}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, octets in (
            ("data/interests.jsonld", _EXPORTED),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            zipped.writestr(zipfile.ZipInfo(name), octets)
    return out


def _export_archive(raw: bytes) -> None:
    with ExportArchive(io.BytesIO(raw)) as archive:
        for listed in archive.data_files:
            list(archive.records(listed, lambda *_: None))


def _export_records(raw: bytes) -> None:
    list(export_file.read_records(io.BytesIO(raw), lambda *_: None))


def _target(
    run: object, errors: type[Exception] | tuple[type[Exception], ...], *seeds: bytes
) -> Target:
    known = errors if isinstance(errors, tuple) else (errors,)
    return Target(run, known, seeds)  # type: ignore[arg-type]


def _messages() -> dict[str, Target]:
    notices = {
        "withdrawal": (
            Withdrawal.parse,
            {
                "grant": _GRANT.digest,
                "verb": "withdraw",
                "sequence": 2,
                "eraseBy": "2026-04-01T09:00:00Z",
                "at": "2026-03-01T09:00:00Z",
            },
        ),
        "package_updated": (PackageUpdated.parse, parsed_example("message")["body"]),
        "erasure_attestation": (
            ErasureAttestation.parse,
            {
                "grant": _GRANT.digest,
                "seqs": [1],
                "erasedAt": "2026-03-01T09:00:00Z",
                "erased": ["contact.name"],
                "retained": [
                    {
                        "paths": ["contact.address"],
                        "basis": _GRANT.terms.basis,
                        "until": "2026-04-01T09:00:00Z",
                        "reason": {"en": "The law asks for it."},
                    }
                ],
                "recipientsToTell": ["A carrier"],
            },
        ),
    }
    return {
        "access_denial": _target(
            of_json(AccessDenial.parse), MessageError, example("access-denial")
        ),
        "access_request": _target(
            of_json(AccessRequest.parse), MessageError, example("access-request")
        ),
        "access_request_signed": _target(_request_signed, MessageError, example("access-request")),
        "access_request_verified": _target(
            lambda raw: verify_request(raw, resolver=WEB, now=NOW),
            (MessageError, JsonError),
            example("access-request"),
        ),
        "decision": _target(of_json(Decision.parse), MessageError, canonicalize(_DECISION)),
        "decision_checked": _target(
            of_json(_decision),
            (DecisionRefused, MessageError),
            canonicalize(_DECISION),
        ),
        "message": _target(of_json(Message.parse), MessageError, example("message")),
        "message_sealed": _target(
            _message_sealed, (MessageError, SealingError, JsonError), example("message")
        ),
        "message_signed": _target(
            _message_signed, (MessageError, SealingError, JsonError), _unsigned("message")
        ),
        "package": _target(of_json(Package.parse), MessageError, example("package")),
        "package_sealed": _target(
            _package_sealed, (MessageError, SealingError, JsonError), example("package")
        ),
        "package_signed": _target(
            _package_signed, (MessageError, SealingError, JsonError), _unsigned("package")
        ),
        "redemption": _target(of_json(_redemption), MessageError, example("redemption")),
        "redemption_stated": _target(
            _stated,
            MessageError,
            canonicalize(
                {
                    "challenge": "c",
                    "ticket": digest(_TICKET),
                    "grant": _GRANT.digest,
                    "purpose": _GRANT.terms.purpose,
                    "processing": [*sorted(_GRANT.terms.processing)],
                    "at": "2026-03-01T09:00:00Z",
                }
            ),
        ),
        **{
            name: _target(of_json(read), MessageError, canonicalize(seed))  # type: ignore[arg-type]
            for name, (read, seed) in notices.items()
        },
    }


def _wire() -> dict[str, Target]:
    sealed_bytes = b"\x01 the sealed package, random by nature"
    answer = {
        "manifest": _MANIFEST,
        "sealed": b64url_encode(sealed_bytes),
        "receipt": parsed_example("receipt"),
    }
    info = RelayInfo(RELAY, ORIGIN, LOG.verify_key, "open", NOW)
    shapes = (
        info.to_json(),
        answer,
        {"challenge": "A" * 75, "expires": "2026-03-01T09:00:00Z"},
        {"proof": ["A" * 43]},
        {"mailbox": ID, "epoch": 1, "packages": [], "lists": []},
        {"envelopes": [{"ordinal": 1, "sealed": "AA"}], "more": False},
        {"events": [{"ordinal": 1, "receipt": parsed_example("receipt")}], "more": False},
        {"manifest": _MANIFEST, "ticket": _TICKET, "uses": 0, "ended": False},
        parsed_example("receipt"),
    )
    problem = {"code": "relay.ended", "status": 410, "title": "x", "type": "about:blank"}
    signature = "\n".join(_HEADERS[name] for name in _NAMES).encode()
    return {
        "answer": _target(Answer.parse, WireError, canonicalize(answer)),
        "capability": _target(of_text(capability_hash), WireError, b"A" * 43),
        "challenge": _target(
            lambda raw: challenge.check(bytes(32), text(raw), NOW),
            Refused,
            challenge.issue(bytes(32), NOW)[0].encode(),
        ),
        "http_signature": _target(_http, WireError, signature),
        "id": _target(of_text(check_id), WireError, ID.encode()),
        "manifest": _target(of_json(Manifest.parse), WireError, example("manifest")),
        "manifest_signed": _target(
            _manifest_signed, (PackageRefused, WireError), _unsigned("manifest")
        ),
        "relay_answers": _target(
            _relay_answers,
            (),
            *(
                b64url_encode(example("status-stamp")).encode() + b"\n" + canonicalize(one)
                for one in shapes
            ),
        ),
        "relay_form": _target(_form, Refused, b'{"a":1,"b":2}'),
        "relay_form_values": _target(
            of_json(_form_values), Refused, b'{"a":"AAAAAAAAAAAAAAAAAAAAAA","b":[1,{"c":"uEi"}]}'
        ),
        "relay_info": _target(
            of_json(lambda value: RelayInfo.parse(value, expected_relay=None)),
            WireError,
            canonicalize(info.to_json()),
        ),
        "relay_query": _target(_numbers, Refused, b"17", b"0"),
        "relay_refuses": _target(
            _relay_refuses,
            (RelayError, RelayNonsense, RelayUnreachable),
            b"\x0a60 " + canonicalize(problem),
        ),
        "relay_url": _target(of_text(parse_relay_url), WireError, b"https://relay.example:8443"),
        "request_link": _target(
            of_text(RequestLink.parse), LinkError, f"{RELAY}/r/{ID}#{'A' * 43}".encode()
        ),
        "url": _target(of_text(Url.parse), NetError, b"https://shop.example/.well-known/did.json"),
        "dev_trust": _target(
            of_text(DevTrust.parse), NetError, b"shop.example=127.0.0.1:8443,/x/ca.pem"
        ),
    }


def _sealing() -> dict[str, Target]:
    key, label = bytes(32), "pds/v1/x"
    plain = b"what is sealed"
    return {
        "request_locked": _target(
            lambda raw: open_request(raw, secret=key, request_id=ID),
            SealingError,
            lock_with_secret(plain, secret=key, label="request", context=ID),
        ),
        "sealed": _target(
            lambda raw: open_sealed(raw, key=SEALING, label=label, context="y"),
            SealingError,
            seal(plain, to=SEALING.public, label=label, context="y"),
        ),
        "secret_box": _target(
            lambda raw: unlock_with_secret(raw, secret=key, label=label, context="y"),
            SealingError,
            lock_with_secret(plain, secret=key, label=label, context="y"),
        ),
        "sealing_key": _target(SealingPublicKey.from_bytes, SealingError, SEALING.public.bytes),
        "sealing_key_json": _target(
            of_json(SealingPublicKey.parse), SealingError, canonicalize(SEALING.public.to_json())
        ),
        "padding": _target(unpad, SealingError, b"\0\0\0\x01a" + bytes(1019)),
    }


def _log() -> dict[str, Target]:
    note = sign_checkpoint(Checkpoint(ORIGIN, 1, bytes(32)), LOG).encode()
    included, grown = _tree()
    return {
        "checkpoint": _target(
            of_text(lambda note: open_checkpoint(note, origin=ORIGIN, key=LOG.verify_key)),
            NoteInvalid,
            note,
        ),
        "log_consistency": _target(_consistency, LogError, grown),
        "log_inclusion": _target(_inclusion, LogError, included),
        "note": _target(of_text(UnverifiedNote.parse), NoteInvalid, note),
        "note_base64": _target(of_text(decode_base64), NoteInvalid, b"AA=="),
        "note_name": _target(of_text(check_key_name), NoteInvalid, ORIGIN.encode()),
        "note_opened": _target(
            of_text(lambda note: open_note(note, name=ORIGIN, key=LOG.verify_key)),
            NoteInvalid,
            note,
        ),
        "receipt": _target(of_json(Receipt.parse), LogError, example("receipt")),
        "receipt_verified": _target(
            of_json(lambda raw: verify_receipt(raw, origin=ORIGIN, log_key=LOG.verify_key)),
            LogError,
            example("receipt"),
        ),
    }


_ATTACHED = Sealed(bytes(32), 1, 8, hashlib.sha256(b"a letter").digest())


def _attachments_run(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        unpack_attachments([("0" * 32, _ATTACHED)], Folder(Path(folder)), io.BytesIO(raw))


def _attachment_name(given: str) -> None:
    name = safe_name(given)
    if safe_name(name) != name or Path(name).name != name or not name.isprintable():
        raise ValueError("the name is not safe")


def _import(reader: Callable[[bytes], Read]) -> Callable[[bytes], None]:
    """Read a file from beginning to end, whatever its bytes say that it is."""

    def run(raw: bytes) -> None:
        collect("file", reader(raw))

    return run


def _vault() -> dict[str, Target]:
    fixtures, imports = ROOT / "scripts" / "fixtures", ROOT / "tests" / "fixtures" / "import"
    cards = (
        (fixtures / "contact.vcf").read_bytes(),
        *(path.read_bytes() for path in sorted(imports.glob("*.vcf"))),
    )
    tables = (
        (fixtures / "purchases.csv").read_bytes(),
        *(path.read_bytes() for path in sorted(imports.glob("*.csv"))),
        b"Name;E-mail\nA;a@x.example\n",
        b'date,amount\n"1.2.2026",5\n',
    )
    calendars, banks, statements, health = (
        tuple(path.read_bytes() for path in sorted(imports.glob(f"*.{ending}")))
        for ending in ("ics", "ofx", "xml", "json")
    )
    words = " ".join(["abandon"] * 23 + ["art"]).encode()
    sealed = io.BytesIO()
    seal_attachment(io.BytesIO(b"a letter"), sealed, key=_ATTACHED.key, max_bytes=8)
    return {
        "attachment": _target(
            lambda raw: Reader(io.BytesIO(raw), _ATTACHED).readall(),
            AttachmentError,
            sealed.getvalue(),
        ),
        "attachment_kind": _target(
            lambda raw: media_type(text(raw[64:]), raw[:64]), (), b"%PDF-1.7".ljust(64) + b"a.pdf"
        ),
        "attachment_name": _target(
            of_text(_attachment_name), (), b"../a\\CON.\xe2\x80\xaetxt", b"-a. .", b"letter.pdf"
        ),
        "attachments_run": _target(_attachments_run, AttachmentError, sealed.getvalue()),
        "camt053": _target(_import(camt_reader), ImportFailed, *statements),
        "mbox": _target(
            _import(mbox_reader),
            ImportFailed,
            b"From a Fri Jan 02 10:00:00 2026\nSubject: =?utf-8?Q?K=C3=A1?=\nTo: A <a@x>, b\n\nx\n",
        ),
        "picture": _target(picture, (), b"iVBORw0KGgo=", b"/9j/4A=="),
        "csv": _target(read_csv, ImportFailed, *tables),
        "fhir": _target(_import(fhir_reader), ImportFailed, *health),
        "icalendar": _target(_import(icalendar_reader), ImportFailed, *calendars),
        "import": _target(
            read_import,
            ImportFailed,
            *cards,
            *tables,
            *calendars,
            *banks,
            *statements,
            *health,
        ),
        "import_archive": _target(
            lambda raw: read_import(zip_of({"x/My Activity/MyActivity.json": raw, "a.vcf": raw})),
            ImportFailed,
            b'[{"header":"A","title":"B","time":"2024-01-01T00:00:00Z"},\n{"title":1}]',
            *cards,
        ),
        "import_zip": _target(
            read_import,
            ImportFailed,
            *(zipped(path) for path in sorted((imports / "archives").iterdir())),
        ),
        "export_archive": _target(_export_archive, ImportFailed, _exported().getvalue()),
        "export_records": _target(_export_records, (), _EXPORTED),
        "kit_words": _target(of_text(kit_secret), KeyslotError, words),
        "ofx": _target(_import(ofx_reader), ImportFailed, *banks),
        "record": _target(
            of_json(_record, floats=True),
            (),
            b'{"name":"A","birthday":"--02-29"}',
            b'{"items":[{"date":"2026-01-01","amount":"1.00"}]}',
        ),
        "own_category": _target(
            of_json(_own_category, floats=True),
            RecordError,
            b'{"title":"T","properties":{"name":{"title":"N","pattern":"^a+$","maxLength":9}}}',
            b'{"title":"T","properties":{"l":{"title":"L","type":"array","items":{"enum":["a"]}},'
            b'"g":{"title":"G","type":"object","properties":{"m":{"title":"M"}}}},"x-when":"l"}',
        ),
        "record_path": _target(of_text(parse_path), RecordError, b"contact.name", b"purchases"),
        "slot_file": _target(_slot_file, KeyslotError, _slots()),
        "vcard": _target(read_vcard, ImportFailed, *cards),
    }


PDS_TARGETS: dict[str, Target] = {
    **_messages(),
    **_wire(),
    **_sealing(),
    **_log(),
    **_vault(),
}
