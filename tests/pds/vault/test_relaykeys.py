"""Another key of the home relay's log: what leads a vault to it, and what does not."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "log"))

from keys_world import K1, K2, K3, KeyedLog, rotated
from log_world import ORIGIN

from did.json import JsonObject
from did.keys import SigningKey
from pds.log.evidence import KeyEvidence, LogEvidence, judge, judge_key
from pds.mailbox import RelayUnreachable
from pds.vault import relaykeys


class Kept:
    """The settings and checkpoints of a vault."""

    def __init__(self, seen: str | None = None) -> None:
        self.settings: dict[str, str] = {}
        self.seen = seen

    def setting(self, name: str) -> str | None:
        return self.settings.get(name)

    def set_setting(self, name: str, value: str) -> None:
        self.settings[name] = value

    def seen_checkpoint(self, origin: str) -> str | None:
        return self.seen if origin == ORIGIN else None


class Relay:
    """What a relay shows of its log and its keys."""

    def __init__(self, log: KeyedLog) -> None:
        self.log = log

    def successions(self) -> JsonObject:
        return self.log.document

    def consistency(self, first: int, second: int) -> list[bytes]:
        return self.log.log.tree.consistency(first, second)


def explain(kept: Any, log: KeyedLog, *, pinned: SigningKey, shown: SigningKey) -> Any:
    relay: Any = Relay(log)
    return relaykeys.explain(
        kept, relay, origin=log.origin, pinned=pinned.verify_key, shown=shown.verify_key
    )


def test_a_line_is_followed_and_kept() -> None:
    """In two steps as in one; the keys are those of the log as far back as it goes."""
    kept: Any = Kept(rotated(5, 9).note(4, K1))
    log = rotated(5)
    relaykeys.keep(kept, explain(kept, log, pinned=K1, shown=K2))
    log.grow(9).rotate(K3)
    relaykeys.keep(kept, explain(kept, log, pinned=K2, shown=K3))
    keys = relaykeys.keys_of(kept, ORIGIN, K3.verify_key)
    assert keys.all == tuple(key.verify_key for key in (K1, K2, K3))


@pytest.mark.parametrize(("pinned", "shown"), [(K1, K3), (K2, K3), (K3, K2), (K2, K1)])
def test_attack_13_a_line_that_leads_elsewhere(pinned: SigningKey, shown: SigningKey) -> None:
    """It must begin at the pinned key and end at the one that is shown."""
    with pytest.raises(relaykeys.Unexplained) as refused:
        explain(Kept(), rotated(5), pinned=pinned, shown=shown)
    assert refused.value.evidence["reason"] == "log.succession"


def test_attack_13_the_old_key_was_seen_beyond() -> None:
    """The vault has its checkpoint: with the succession it convicts, and nothing is followed."""
    log = rotated(5).grow(9)
    with pytest.raises(relaykeys.Unexplained) as refused:
        explain(Kept(log.note(9, K1)), log, pinned=K1, shown=K2)
    assert judge_key(KeyEvidence.parse(refused.value.evidence)).old == K1.verify_key


@pytest.mark.parametrize("seen", [4, 5])
def test_attack_13_a_change_in_another_log_than_was_seen(seen: int) -> None:
    """Whoever has the old key can name a successor in a log of his own. It does not continue what
    this vault has seen: nothing is followed, and both are kept."""
    kept: Any = Kept(rotated(9).note(seen, K1))
    forked = KeyedLog()
    forked.log.tree.append(bytes(32))
    forked.grow(5).rotate(K2)
    with pytest.raises(relaykeys.Unexplained) as refused:
        explain(kept, forked, pinned=K1, shown=K2)
    assert judge(LogEvidence.parse(refused.value.evidence)).sizes == (seen, 6)


def test_a_log_of_before_has_no_proofs() -> None:
    """A relay that was restored begins a new log: changes in the old one are followed."""
    log = rotated(5)
    relay: Any = Relay(log)
    kept: Any = Kept(log.note(3, K1))
    line = relaykeys.explain(
        kept, relay, origin="another", pinned=K1.verify_key, shown=K2.verify_key
    )
    assert [one.succession.new for one in line] == [K2.verify_key]


def test_attack_13_another_successor_than_before() -> None:
    """Of a key that was left behind long ago, too."""
    kept: Any = Kept()
    relaykeys.keep(kept, explain(kept, rotated(5), pinned=K1, shown=K2))
    rival = rotated(5, keys=[K3])
    with pytest.raises(relaykeys.Unexplained) as refused:
        explain(kept, rival, pinned=K2, shown=K3)
    assert judge_key(KeyEvidence.parse(refused.value.evidence)).old == K1.verify_key


def test_a_relay_that_is_away_is_accused_of_nothing() -> None:
    """Asking again may help."""

    class Away:
        def successions(self) -> JsonObject:
            raise RelayUnreachable("away")

    away: Any = Away()
    kept: Any = Kept()
    with pytest.raises(RelayUnreachable):
        relaykeys.explain(kept, away, origin=ORIGIN, pinned=K1.verify_key, shown=K2.verify_key)
