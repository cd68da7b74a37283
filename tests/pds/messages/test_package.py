"""What is inside the seal must be what manifest, grant and ticket promise."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from credentials.grant import WITHOUT_STATUS, VerifiedGrant, verify_grant
from did.json import JsonObject, digest, parse_object
from did.keys import SigningKey
from did.multikey import b64url_encode
from pds.messages.errors import MessageError, PackageRefused
from pds.messages.notices import ErasureAttestation, PackageUpdated, RetainedData, Withdrawal
from pds.messages.package import Package, PackageItem, open_package, seal_package
from pds.messages.redemption import check_redemption, present
from pds.sealing import SealingError
from pds.wire import new_id

from .conftest import GDPR, NOW, RELAY, Parties

PACKAGE = new_id()


def grant_of(parties: Parties, **changes: Any) -> VerifiedGrant:
    raw = parties.grant(digest({"request": 1}), **changes)
    return verify_grant(raw, purpose=None, audience=None, status=WITHOUT_STATUS, now=NOW)


def item(path: str = "contact.name") -> PackageItem:
    return PackageItem(
        path=path,
        schema="https://schema.org/Person",
        value="Kovács-Őry Ilona",
        collected=NOW,
        source="import/vcard",
        assurance="self-declared",
        about="self",
    )


def package(of: VerifiedGrant, **changes: Any) -> Package:
    base = Package(id=PACKAGE, grant=of.digest, seq=2, created=NOW, items=(item(),))
    return replace(base, **changes)


def sealed(
    parties: Parties, made: Package, *, key: SigningKey | None = None, ticket: str = ""
) -> tuple[bytes, JsonObject]:
    return seal_package(
        made,
        key=key or parties.holder_key,
        to=parties.company_sealing.public,
        ticket=ticket or digest({"ticket": 1}),
        not_after=NOW + timedelta(days=30),
    )


def opened(
    parties: Parties, octets: bytes, manifest: JsonObject, grant: VerifiedGrant, at_least: int = 1
) -> Package:
    return open_package(
        octets,
        manifest,
        key=parties.company_sealing,
        grant=grant,
        package_id=PACKAGE,
        ticket=digest({"ticket": 1}),
        at_least=at_least,
        now=NOW,
    )


def test_a_package_arrives_with_its_provenance(parties: Parties) -> None:
    """Exactly the items, each with schema, source, time, assurance and whom it is about."""
    grant = grant_of(parties)
    made = package(grant)
    assert opened(parties, *sealed(parties, made), grant) == made


def test_attack_55_a_package_of_another_grant_is_refused(parties: Parties) -> None:
    """Swapping packages between grants or tickets is noticed, whichever name is changed."""
    grant = grant_of(parties)
    other = digest({"other": 1})
    with pytest.raises(PackageRefused) as refused:
        opened(parties, *sealed(parties, package(grant, grant=other)), grant)
    assert refused.value.code == "package.swapped"
    with pytest.raises(PackageRefused) as refused:
        opened(parties, *sealed(parties, package(grant), ticket=other), grant)
    assert refused.value.code == "package.swapped"
    octets, manifest = sealed(parties, package(grant, id=new_id()))
    with pytest.raises(PackageRefused):
        opened(parties, octets, manifest, grant)


def test_attack_59_values_cannot_steer_a_terminal(parties: Parties) -> None:
    """Control, format and direction characters do not come out, in values or in their names."""
    grant = grant_of(parties)
    evil = "\x1b]0;pwned\x07 \u202egnp.exe \x9b31m \u2028\ufeff"
    value = {
        "na\x1bme": [evil, {"x\u200e": "two\r\nlines\tand \U0001f468\u200d\U0001f469"}],
        "n": 1,
    }
    made = package(grant, items=(replace(item(), value=value),))
    found = opened(parties, *sealed(parties, made), grant).items[0].value
    assert found == {
        "name": ["]0;pwned gnp.exe 31m ", {"x": "two\nlines\tand \U0001f468\u200d\U0001f469"}],
        "n": 1,
    }
    made = package(grant, items=(replace(item(), value={"name": 1, "na\u202eme": 2}),))
    with pytest.raises(PackageRefused) as refused:
        opened(parties, *sealed(parties, made), grant)
    assert refused.value.code == "package.text"


def test_attack_76_an_older_package_is_refused(parties: Parties) -> None:
    """A relay that serves what was replaced is found out by the manifest's seq."""
    grant = grant_of(parties)
    octets, manifest = sealed(parties, package(grant))
    with pytest.raises(PackageRefused) as refused:
        opened(parties, octets, manifest, grant, at_least=3)
    assert refused.value.code == "package.older"


def test_fields_beyond_the_grant_are_not_kept(parties: Parties) -> None:
    """Even the holder's own mistake does not widen a grant."""
    grant = grant_of(parties)
    made = package(grant, items=(item(), item("contact.email")))
    with pytest.raises(PackageRefused) as refused:
        opened(parties, *sealed(parties, made), grant)
    assert refused.value.code == "package.fields"


def test_a_stranger_signs_neither_manifest_nor_package(parties: Parties) -> None:
    """Both proofs are by the DID that issued the grant."""
    grant, stranger = grant_of(parties), SigningKey.generate()
    octets, manifest = sealed(parties, package(grant), key=stranger)
    with pytest.raises(PackageRefused) as refused:
        opened(parties, octets, manifest, grant)
    assert refused.value.code == "package.manifest"


def test_other_bytes_than_the_manifests_are_refused(parties: Parties) -> None:
    """Size and hash are the manifest's."""
    grant = grant_of(parties)
    octets, manifest = sealed(parties, package(grant))
    again, _ = sealed(parties, package(grant))
    for wrong in (again, octets + b"\0", octets[:-1]):
        with pytest.raises(PackageRefused) as refused:
            opened(parties, wrong, manifest, grant)
        assert refused.value.code == "package.bytes"


# the redemption, as its holder checks it


def presented(parties: Parties, grant: VerifiedGrant, ticket: JsonObject, **changes: Any):
    values: dict[str, Any] = {
        "grant": grant,
        "package_id": PACKAGE,
        "key": parties.redemption_key,
        "holder": parties.holder_sealing.public,
        "relay": RELAY,
        "challenge": "challenge-from-the-relay-0001",
        "last_receipt": None,
        "now": NOW,
    }
    return present(ticket, **(values | changes))


def checked(parties: Parties, presentation: JsonObject, grant: VerifiedGrant, ticket: str):
    return check_redemption(
        presentation,
        ticket=ticket,
        grant=grant.digest,
        purpose=grant.terms.purpose,
        processing=grant.terms.processing,
        redemption_key=parties.redemption_key.did,
        package_id=PACKAGE,
        relay=RELAY,
        key=parties.holder_sealing,
        now=NOW,
    )


def test_a_redemption_states_its_purpose_to_the_holder(parties: Parties) -> None:
    """The holder reads for which purpose the company took the data; the relay cannot."""
    grant = grant_of(parties)
    ticket = parties.ticket(parse_object(grant.raw))
    presentation = presented(parties, grant, ticket, last_receipt=b64url_encode(bytes(32)))
    stated = checked(parties, presentation, grant, digest(ticket))
    assert stated.purpose == grant.terms.purpose
    assert stated.redemption == digest(presentation)


def test_a_stated_purpose_or_key_that_differs_is_a_breach(parties: Parties) -> None:
    """Another purpose inside the seal, another key outside: named, not overlooked."""
    grant = grant_of(parties)
    other = grant_of(parties, purpose="https://w3id.org/dpv#DirectMarketing")
    ticket = parties.ticket(parse_object(grant.raw))
    with pytest.raises(MessageError) as refused:
        checked(parties, presented(parties, other, ticket), grant, digest(ticket))
    assert refused.value.code == "redemption.grant"
    stranger = SigningKey.generate()
    with pytest.raises(MessageError) as refused:
        checked(parties, presented(parties, grant, ticket, key=stranger), grant, digest(ticket))
    assert refused.value.code == "redemption.wrong_key"
    elsewhere = presented(parties, grant, ticket, package_id=new_id())
    with pytest.raises(MessageError) as refused:
        checked(parties, elsewhere, grant, digest(ticket))
    assert refused.value.code == "redemption.stated"


def test_a_forwarded_sealed_part_does_not_open(parties: Parties) -> None:
    """The package id is bound into the seal."""
    grant = grant_of(parties)
    octets, manifest = sealed(parties, package(grant))
    with pytest.raises((SealingError, PackageRefused)):
        open_package(
            octets,
            manifest,
            key=parties.company_reply,
            grant=grant,
            package_id=PACKAGE,
            ticket=digest({"ticket": 1}),
            at_least=1,
            now=NOW,
        )


def test_notices_read_back_as_they_were_written() -> None:
    """parse and to_json are inverse to each other."""
    grant = digest({"grant": 1})
    withdrawal = Withdrawal(grant, "end", 3, NOW + timedelta(days=30), NOW)
    assert Withdrawal.parse(withdrawal.to_json()) == withdrawal
    updated = PackageUpdated(grant, PACKAGE, 4)
    assert PackageUpdated.parse(updated.to_json()) == updated
    attestation = ErasureAttestation(
        grant=grant,
        seqs=frozenset({1, 2}),
        erased_at=NOW,
        erased=frozenset({"contact.email"}),
        retained=(
            RetainedData(frozenset({"contact.name"}), GDPR + "A6-1-c", NOW, {"en": "Invoices."}),
        ),
        recipients_to_tell=frozenset({"Courier Zrt."}),
    )
    assert ErasureAttestation.parse(attestation.to_json()) == attestation
    with pytest.raises(MessageError):
        Withdrawal.parse(withdrawal.to_json() | {"verb": "forget"})
    with pytest.raises(MessageError):
        ErasureAttestation.parse(attestation.to_json() | {"seqs": [1, 1.5]})
