"""The data itself, as it travels inside the seal, and its manifest outside (protocol §4)."""

from dataclasses import dataclass
from datetime import datetime
from unicodedata import category

from credentials.errors import CredentialError
from credentials.grant import VerifiedGrant
from credentials.proof import sign_object, verify_object
from did.json import Json, JsonObject, canonicalize, parse_object, without_proof
from did.keys import SigningKey
from did.multikey import multihash_sha256
from did.resolve import OFFLINE
from did.time import format_time
from pds.messages.errors import PackageRefused
from pds.messages.fields import Fields
from pds.sealing import MAX_PLAINTEXT, SealingKey, SealingPublicKey, open_sealed, seal
from pds.wire import Manifest

LABEL = "package"
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Lines, columns, and the joiners without which Persian and some emoji read as something else.
_KEPT = frozenset("\n\t\u200c\u200d")
ASSURANCES = frozenset({"self-declared", "attested", "company", "inferred"})


@dataclass(frozen=True, slots=True)
class PackageItem:
    """One value with where it comes from. ``path`` is a field of the grant.

    As ``parse`` gives it back, no text in ``value``, keys included, holds a control, format or
    direction character other than newline, tab and the two joiners: shown, it can neither steer
    a terminal nor read as another text. They are taken out, not refused: people copy them into
    their address books without knowing, and the package would be worth nothing.
    """

    path: str
    schema: str
    value: Json
    collected: datetime
    source: str
    assurance: str
    about: str

    @classmethod
    def parse(cls, fields: Fields) -> "PackageItem":
        item = cls(
            path=fields.path("path"),
            schema=fields.iri("schema"),
            value=_plain(fields.raw("value")),
            collected=fields.time("collected"),
            source=fields.text("source", high=60),
            assurance=fields.choice("assurance", ASSURANCES),
            about=fields.choice("about", frozenset({"self", "other"})),
        )
        fields.done()
        return item

    def to_json(self) -> JsonObject:
        return {
            "path": self.path,
            "schema": self.schema,
            "value": self.value,
            "collected": format_time(self.collected),
            "source": self.source,
            "assurance": self.assurance,
            "about": self.about,
        }


@dataclass(frozen=True, slots=True)
class Package:
    """Everything that one grant hands over, in one version."""

    id: str
    grant: str
    seq: int
    created: datetime
    items: tuple[PackageItem, ...]

    @classmethod
    def parse(cls, value: JsonObject) -> "Package":
        fields = Fields(without_proof(value))
        fields.constant("type", "Package")
        package = cls(
            id=fields.id("package"),
            grant=fields.digest("grant"),
            seq=fields.integer("seq", 1, 2**31),
            created=fields.time("created"),
            items=tuple(PackageItem.parse(item) for item in fields.each("items", high=100_000)),
        )
        fields.done()
        return package

    def to_json(self) -> JsonObject:
        return {
            "type": "Package",
            "package": self.id,
            "grant": self.grant,
            "seq": self.seq,
            "created": format_time(self.created),
            "items": [item.to_json() for item in self.items],
        }


def _plain(value: Json) -> Json:
    """The value with its texts made safe to show. Two names that become one are refused."""
    if isinstance(value, str):
        lines = value.replace("\r\n", "\n")
        return "".join(c for c in lines if c in _KEPT or category(c) not in _UNSEEN)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        named = {str(_plain(name)): _plain(item) for name, item in value.items()}
        if len(named) != len(value):
            raise PackageRefused("two names in a value look the same", code="package.text")
        return named
    return value


def seal_package(
    package: Package,
    *,
    key: SigningKey,
    to: SealingPublicKey,
    ticket: str,
    not_after: datetime,
) -> tuple[bytes, JsonObject]:
    """Sign, then seal. Returns the sealed bytes and the signed manifest that goes with them."""
    signed = sign_object(package.to_json(), key, created=package.created)
    sealed = seal(canonicalize(signed), to=to, label=LABEL, context=package.id)
    manifest = Manifest(
        package=package.id,
        seq=package.seq,
        ticket=ticket,
        sha256=multihash_sha256(sealed),
        size=len(sealed),
        not_after=not_after,
    )
    return sealed, sign_object(manifest.to_json(), key, created=package.created)


def verify_manifest(raw: JsonObject, *, issuer: str, now: datetime) -> Manifest:
    """Verify a manifest by the relationship's DID and return it."""
    try:
        verified = verify_object(
            raw, resolver=OFFLINE, now=now, expected_controller=issuer, exact_context=()
        )
    except CredentialError as error:
        raise PackageRefused(
            f"the manifest is not signed by the holder: {error}", code="package.manifest"
        ) from error
    return Manifest.parse(verified.document)


def open_package(
    sealed: bytes,
    manifest_raw: JsonObject,
    *,
    key: SealingKey,
    grant: VerifiedGrant,
    package_id: str,
    ticket: str,
    at_least: int,
    now: datetime,
) -> Package:
    """Open what a relay handed over for ``grant``:

    1. the manifest is the holder's, and of this package and ticket
    2. the bytes are the ones it names
    3. not older than what we have seen (``at_least``)
    4. they open with our key for this package
    5. the package is signed by the same DID, for this grant, with the manifest's ``seq``
    6. every item lies within the grant's fields

    Raises ``MessageError`` (``package.*``, ``message.*``), ``WireError``, ``SealingError`` or
    ``did.errors.JsonError``; nothing is returned in part.
    """
    manifest = verify_manifest(manifest_raw, issuer=grant.issuer, now=now)  # 1
    if manifest.package != package_id or manifest.ticket != ticket:
        raise PackageRefused("the manifest is of another package", code="package.swapped")
    if manifest.size != len(sealed) or manifest.sha256 != multihash_sha256(sealed):  # 2
        raise PackageRefused("the bytes are not the manifest's", code="package.bytes")
    if manifest.seq < at_least:  # 3
        raise PackageRefused(
            "the relay served an older package than before",
            code="package.older",
            hint="Keep the answer as evidence and tell the holder.",
        )
    raw = parse_object(
        open_sealed(sealed, key=key, label=LABEL, context=package_id), max_bytes=MAX_PLAINTEXT
    )  # 4
    try:
        verified = verify_object(  # 5
            raw, resolver=OFFLINE, now=now, expected_controller=grant.issuer, exact_context=()
        )
    except CredentialError as error:
        raise PackageRefused(
            f"the package is not signed by the holder: {error}", code="package.proof"
        ) from error
    package = Package.parse(verified.document)
    if (package.id, package.grant, package.seq) != (package_id, grant.digest, manifest.seq):
        raise PackageRefused("the package is of another grant or version", code="package.swapped")
    if any(item.path not in grant.terms.fields for item in package.items):  # 6
        raise PackageRefused(
            "the package holds more than the grant covers",
            code="package.fields",
            hint="It is not kept.",
        )
    return package
