"""Somebody has the company's domain, and so its did:web: what was granted before is not theirs."""

import pytest

from did.keys import SigningKey
from pds.company import outbox
from pds.sealing import SealingKey
from pds.vault.consent import Accept, Refuse
from pds.vault.service import ShownRequest

from .conftest import Holder, Shop

ANSWERS = {
    "delivery": Accept(follows_changes=True),
    "personalisation": Accept(),
    "marketing": Refuse(),
}


@pytest.mark.parametrize("kind", ["KeyUpdate", "DidChange", "Decision"])
def test_attack_77_a_key_update_by_a_hijacked_domain(
    holder: Holder, asked: ShownRequest, shop: Shop, kind: str
) -> None:
    """The domain names another key, and a message by that key names others to redeem with and to
    seal for. No message of a company changes keys: this one is dropped, with a note, and what is
    staged after it is for the keys of the request, as before."""
    thief, sealing = SigningKey.generate(), SealingKey.generate()
    with holder.open() as vault:
        vault.decide(asked.request.id, ANSWERS)
        assert vault.push().complete
        person = str(vault.grant("delivery")["issuer"])
    with shop.open() as company:
        company.collect()
        before = company.redeem("delivery", person=person)
        company.rotate_key(compromised=True)  # now the domain serves a key that nobody knew
        ctx = company._ctx
        request = ctx.store.request(asked.request.id)
        assert request is not None
        with ctx.transaction():
            body = {"redemptionKey": thief.did, "sealingKey": sealing.public.id}
            outbox.queue_message(ctx, request, kind=kind, body=body)
        assert outbox.push(ctx).sent == 1
    with holder.open() as vault:
        report = vault.sync()
        assert report.messages == 0
        assert report.problems != []
        (card,) = [one for one in vault.records() if one.category == "contact"]
        vault.edit(card.id, {"name": "Somebody Else"})
        assert vault.sync().push.complete
        ticket = vault._ctx.exchange.grants()[0].ticket
        assert thief.did not in str(ticket)
    with shop.open() as company:
        company.collect()
        after = company.redeem("delivery", person=person)
        assert after.seq > before.seq
        assert "Somebody Else" in str(after.items)
