"""Makes the examples of docs/protocol.md: ``python docs/examples/make.py``."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from credentials.grant import WITHOUT_STATUS, GrantTerms, issue_grant, verify_grant
from credentials.presentation import sign_presentation
from credentials.proof import sign_object
from credentials.status import BitString, StatusEntry, issue_status_list, sign_stamp
from credentials.ticket import issue_ticket
from credentials.webvh import PROOFS
from did.json import JsonObject, digest, parse_object
from did.keys import AgreementKey, SigningKey
from did.methods import webvh
from did.multikey import b64url_encode, multihash_sha256
from pds.log.checkpoint import Checkpoint, sign_checkpoint
from pds.log.entry import Receipt, leaf_of
from pds.log.tree import MemoryNodes, Tree
from pds.messages.decision import AccessDenial
from pds.messages.message import Message, sign_message
from pds.messages.notices import PackageUpdated
from pds.messages.package import Package, PackageItem
from pds.messages.request import AccessRequest, ReplyAddress, sign_request
from pds.messages.succession import Change
from pds.sealing import SealingKey
from pds.wire import Manifest

FOLDER = Path(__file__).parent
NOW = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)
RELAY = "https://relay.example"
COMPANY = "did:web:shop.example"
ORIGIN = "relay.example/log/0011223344556677"
GDPR = "https://w3id.org/dpv/legal/eu/gdpr#"
DPV = "https://w3id.org/dpv#"
SEALED = b"\x01 the sealed package, random by nature"


def secret(name: str) -> bytes:
    """32 public bytes that stand for a secret."""
    return hashlib.sha256(f"pds example {name}".encode()).digest()


def short_id(name: str) -> str:
    return b64url_encode(secret(name)[:16])


@dataclass
class Examples:
    """Every object by the name of its file."""

    holder: SigningKey = field(default_factory=lambda: SigningKey.from_seed(secret("holder")))
    company: SigningKey = field(default_factory=lambda: SigningKey.from_seed(secret("company")))
    redemption: SigningKey = field(
        default_factory=lambda: SigningKey.from_seed(secret("redemption"))
    )
    log: SigningKey = field(default_factory=lambda: SigningKey.from_seed(secret("log")))
    objects: dict[str, JsonObject] = field(default_factory=dict)

    def build(self) -> dict[str, JsonObject]:
        """Make them all, each from the ones before."""
        self._request()
        self._grant()
        self._relay_side()
        self._inside()
        self._change()
        self._identity()
        return self.objects

    def _request(self) -> None:
        terms = parse_object((FOLDER / "terms.json").read_bytes())
        request = AccessRequest.parse(
            terms
            | {
                "redemptionKey": self.redemption.did,
                "sealingKey": SealingKey.from_seed(secret("package")).public.to_json(),
                "reply": self._reply("company").to_json(),
            }
        )
        self.objects["access-request"] = sign_request(
            request, self.company, verification_method=f"{COMPANY}#key-1"
        )
        self.objects["did"] = {
            "@context": ["https://www.w3.org/ns/cid/v1"],
            "id": COMPANY,
            "verificationMethod": [
                {
                    "id": f"{COMPANY}#key-1",
                    "type": "Multikey",
                    "controller": COMPANY,
                    "publicKeyMultibase": self.company.verify_key.multikey,
                }
            ],
            "assertionMethod": [f"{COMPANY}#key-1"],
        }

    def _reply(self, side: str) -> ReplyAddress:
        return ReplyAddress(
            relay=RELAY,
            mailbox=short_id(f"{side} mailbox"),
            capability=b64url_encode(secret(f"{side} capability")),
            sealing_key=SealingKey.from_seed(secret(f"{side} sealing")).public,
        )

    def _entry(self) -> StatusEntry:
        return StatusEntry(f"{RELAY}/v1/status/{short_id('list')}", 94_567)

    def _grant(self) -> None:
        grant = issue_grant(
            GrantTerms(
                company=COMPANY,
                request=digest(self.objects["access-request"]),
                request_purpose="delivery",
                purpose=DPV + "DeliveryOfGoods",
                basis=GDPR + "A6-1-b",
                processing=frozenset({DPV + "Collect", DPV + "Use"}),
                fields=frozenset({"contact.address", "contact.name"}),
                text_digest=multihash_sha256(b"the words that were shown"),
                text_language="en",
                decided_by="person",
                valid_from=NOW - timedelta(seconds=60),
                valid_until=NOW + timedelta(days=365),
                max_uses=12,
                min_interval=0,
                follows_changes=True,
                retention_days=30,
                sandbox=False,
            ),
            key=self.holder,
            status=self._entry(),
            now=NOW,
            id="urn:uuid:0b9f3d1e-2c41-4b6f-9a53-6f7d0c1e8a11",
        )
        self.objects["access-grant"] = grant
        self.objects["redemption-ticket"] = issue_ticket(
            key=self.holder,
            redemption_key_did=self.redemption.did,
            relay=RELAY,
            package=short_id("package"),
            valid_from=NOW - timedelta(seconds=60),
            valid_until=NOW + timedelta(days=365),
            max_uses=12,
            min_interval=0,
            grant_digest=digest(grant),
            status=self._entry(),
            now=NOW,
            id="urn:uuid:7d1a5c0e-9f3b-4e2d-8c64-1b2a3c4d5e6f",
        )
        self.objects["access-denial"] = AccessDenial(
            request=digest(self.objects["access-request"]),
            purposes=frozenset({"marketing"}),
            at=NOW,
        ).sign(self.holder)

    def _relay_side(self) -> None:
        listed = issue_status_list(
            key=self.holder,
            url=self._entry().list_url,
            bits=BitString.empty(),
            sequence=1,
            now=NOW,
        )
        self.objects["status-list"] = listed
        self.objects["status-stamp"] = sign_stamp(
            log_key=self.log,
            relay=RELAY,
            list_id=short_id("list"),
            digest=digest(listed),
            sequence=1,
            at=NOW,
            expires=NOW + timedelta(hours=24),
        )
        manifest = Manifest(
            package=short_id("package"),
            seq=1,
            ticket=digest(self.objects["redemption-ticket"]),
            sha256=multihash_sha256(SEALED),
            size=len(SEALED),
            not_after=NOW + timedelta(days=365),
        )
        self.objects["manifest"] = sign_object(manifest.to_json(), self.holder, created=NOW)
        self.objects["redemption"] = sign_presentation(
            holder_key=self.redemption,
            presentation={
                "@context": [
                    "https://www.w3.org/ns/credentials/v2",
                    "https://w3id.org/personal-data-store/v1",
                ],
                "id": "urn:uuid:e2a4f6b8-1c3d-4e5f-8a7b-9c0d1e2f3a4b",
                "type": ["VerifiablePresentation", "Redemption"],
                "holder": self.redemption.did,
                "verifiableCredential": [self.objects["redemption-ticket"]],
                "grantDigest": digest(self.objects["access-grant"]),
                "sealed": b64url_encode(SEALED),
            },
            challenge=b64url_encode(secret("challenge")),
            domain=RELAY,
            created=NOW,
        )
        entry: JsonObject = {
            "type": "redemption",
            "relay": RELAY,
            "at": "2026-03-01T09:00:00Z",
            "package": short_id("package"),
            "ordinal": 1,
            "redemption": digest(self.objects["redemption"]),
            "seq": 1,
            "sha256": manifest.sha256,
        }
        tree = Tree(MemoryNodes(), 0)
        index = tree.append(leaf_of(secret("salt"), entry))
        note = sign_checkpoint(Checkpoint(ORIGIN, tree.size, tree.root()), self.log)
        self.objects["receipt"] = Receipt(
            entry=entry,
            salt=secret("salt"),
            leaf_index=index,
            inclusion=tuple(tree.inclusion(index, tree.size)),
            checkpoint=note,
        ).to_json()

    def _inside(self) -> None:
        grant = verify_grant(
            self.objects["access-grant"],
            purpose=None,
            audience=None,
            status=WITHOUT_STATUS,
            now=NOW,
        )
        package = Package(
            id=short_id("package"),
            grant=grant.digest,
            seq=1,
            created=NOW,
            items=(
                PackageItem(
                    path="contact.name",
                    schema="https://w3id.org/personal-data-store/schemas/contact",
                    value="Kovács-Őry Ilona",
                    collected=NOW,
                    source="import/vcard",
                    assurance="self-declared",
                    about="self",
                ),
            ),
        )
        self.objects["package"] = sign_object(package.to_json(), self.holder, created=NOW)
        message = Message(
            type="PackageUpdated",
            id="urn:uuid:5f6a7b8c-9d0e-4f1a-a2b3-c4d5e6f7a8b9",
            thread=str(self.objects["access-request"]["id"]),
            sender=self.holder.did,
            recipient_key=SealingKey.from_seed(secret("company sealing")).public.id,
            seq=1,
            prev=None,
            created=NOW,
            body=PackageUpdated(grant.digest, short_id("package"), 2).to_json(),
        )
        self.objects["message"] = sign_message(message, self.holder)

    def _change(self) -> None:
        """A day later the holder goes on under another DID: the change that both keys sign."""
        change = Change(
            old=self.holder.did,
            new=SigningKey.from_seed(secret("holder 2")).did,
            seq=1,
            at=NOW + timedelta(days=1),
        )
        self.objects["did-change"] = change.sign(
            old=self.holder, new=SigningKey.from_seed(secret("holder 2"))
        )

    def _identity(self) -> None:
        """The first entry of a public identity: one line of its did.jsonl."""
        update, signing, following = (
            SigningKey.from_seed(secret(f"identity {name}")).verify_key.multikey
            for name in ("update 1", "signing 1", "update 2")
        )
        agreement = AgreementKey.from_seed(secret("identity agreement 1")).public.multikey
        did = webvh.placeholder_of("relay.example", path=["identities", short_id("identity")])
        log = webvh.create(
            {
                "@context": [
                    "https://www.w3.org/ns/did/v1",
                    "https://w3id.org/security/multikey/v1",
                ],
                "id": did,
                "verificationMethod": [
                    {
                        "id": f"{did}#{key}",
                        "type": "Multikey",
                        "controller": did,
                        "publicKeyMultibase": key,
                    }
                    for key in (signing, agreement)
                ],
                "authentication": [f"{did}#{signing}"],
                "assertionMethod": [f"{did}#{signing}"],
                "keyAgreement": [f"{did}#{agreement}"],
            },
            key=SigningKey.from_seed(secret("identity update 1")),
            proofs=PROOFS,
            now=NOW,
            parameters={
                "updateKeys": [update],
                "nextKeyHashes": [webvh.key_hash(following)],
                "portable": True,
            },
        )
        self.objects["identity-entry"] = parse_object(log.raw.removesuffix(b"\n"))


def text_of(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    for name, value in Examples().build().items():
        (FOLDER / f"{name}.json").write_text(text_of(value))
