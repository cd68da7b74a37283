"""Having the log cosigned: rounds with real witnesses, and with those that are away or mad."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from relay_world import World

from pds.log.cosignature import verify_cosignature
from pds.log.note import MAX_NOTE_BYTES
from pds.log.policy import Witness as Believed
from pds.log.policy import WitnessPolicy, newest_cosigned
from pds.log.vkey import log_key
from pds.net import NetError
from pds.relay.cosigning import Cosigner, WitnessPlace
from pds.relay.store import log as table
from pds.relay.store import transparency
from pds.witness.app import create_app
from pds.witness.witness import Witness

sys.path.insert(0, str(Path(__file__).parents[1] / "log"))

from log_world import W3, Log
from test_transparency import grown, origin_of


@dataclass
class Answer:
    status: int
    body: bytes


@dataclass
class Network:
    """Witnesses by their URL; ``bent`` changes what one of them answers, and ``sent`` counts."""

    apps: dict[str, Any] = field(default_factory=dict)
    bent: dict[str, Callable[[Answer], Answer]] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)

    def post(self, url: str, body: bytes) -> Answer:
        host = url.removesuffix("/add-checkpoint")
        self.sent.append(host)
        answer = Answer(404, b"")
        if host in self.apps:
            made = self.apps[host].test_client().post("/add-checkpoint", data=body)
            answer = Answer(made.status_code, made.data)
        return self.bent.get(host, lambda given: given)(answer)


@dataclass
class Watched:
    """The relay of ``world`` with two witnesses of its own."""

    world: World
    network: Network
    witnesses: list[Witness]
    cosigner: Cosigner

    def sizes(self) -> list[int | None]:
        with self.cosigner.relay.store.read() as conn:
            number = table.current(conn).number
            return [
                transparency.cosigned_size(conn, number, one.key.text) for one in self.witnesses
            ]

    def cosigned(self, quorum: int) -> int | None:
        """What a client finds that wants so many."""
        policy = WitnessPolicy(tuple(Believed(one.key) for one in self.witnesses), quorum)
        found = newest_cosigned(
            self.world.get("/v1/log/cosigned").json["checkpoints"],
            origin=origin_of(self.world),
            key=self.cosigner.relay.log_key.verify_key,
            policy=policy,
            now=self.world.clock(),
        )
        return None if found is None else found.checkpoint.size

    def trust(self) -> None:
        key = log_key(origin_of(self.world), self.cosigner.relay.log_key.verify_key)
        for one in self.witnesses:
            one.trust(key)


@pytest.fixture
def watched(world: World, tmp_path: Path) -> Iterator[Watched]:
    made = [Witness.create(tmp_path / f"w{n}", name=f"w{n}.example") for n in (1, 2)]
    for one in made:
        one._clock = world.clock
    urls = ["https://w1.example", "https://w2.example/witness"]
    network = Network({url: create_app(one) for url, one in zip(urls, made, strict=True)})
    places = [WitnessPlace(url, one.key) for url, one in zip(urls, made, strict=True)]
    found = Watched(
        world, network, made, Cosigner(world.app.extensions["relay"], places, network.post)
    )
    found.trust()
    yield found
    for one in made:
        one.close()


def test_every_checkpoint_is_cosigned_once(watched: Watched) -> None:
    """By all; nothing is sent while nothing has grown, nor for an empty log."""
    assert watched.cosigner.round() == {}
    assert watched.network.sent == []
    for count in (1, 5, 300):
        grown(watched.world, count)
        assert watched.cosigner.round() == {}
        assert watched.cosigner.round() == {}
    assert len(watched.network.sent) == 6
    assert watched.sizes() == [306, 306]
    assert watched.cosigned(2) == 306
    note = watched.world.get("/v1/log/checkpoint").body.decode()
    for one in watched.witnesses:
        verify_cosignature(note, witness=one.key, now=watched.world.clock())


def test_a_new_process_learns_where_the_witness_is(watched: Watched) -> None:
    """From the database, and where that knows nothing, from the witness's 409."""
    grown(watched.world, 5)
    watched.cosigner.round()
    with watched.cosigner.relay.store.write() as conn:
        conn.execute("DELETE FROM cosignatures")
    grown(watched.world, 5)
    again = Cosigner(watched.cosigner.relay, watched.cosigner.witnesses, watched.network.post)
    before = len(watched.network.sent)
    assert again.round() == {}
    assert len(watched.network.sent) - before == 4
    assert watched.sizes() == [10, 10]


def away(_answer: Answer) -> Answer:
    raise NetError("away", exit_code=4)


def broken(_answer: Answer) -> Answer:
    raise OSError


@pytest.mark.parametrize(
    "bend",
    [
        away,
        broken,
        lambda _: Answer(200, b""),
        lambda _: Answer(200, b"\xff\xfe"),
        lambda _: Answer(200, b"<html>" * 1000),
        lambda _: Answer(200, W3.line(Log().grow(3).note()).encode()),
        lambda given: Answer(200, given.body.replace(b"w1.example", b"w9.example")),
        lambda given: Answer(200, given.body[:-9] + b"AAAAAAA=\n"),
        lambda given: Answer(200, given.body + b"x" * MAX_NOTE_BYTES),
        lambda _: Answer(409, b"never mind"),
        lambda _: Answer(409, b"99999\n"),
        lambda _: Answer(409, b"3\n"),
        *(lambda _, status=status: Answer(status, b"") for status in (301, 400, 403, 422, 500)),
    ],
)
def test_a_witness_that_is_away_or_mad_harms_nothing(
    watched: Watched, bend: Callable[[Answer], Answer]
) -> None:
    """The other goes on; this one is left alone for longer and longer; nothing of it is kept."""
    watched.network.bent["https://w1.example"] = bend
    grown(watched.world, 5)
    assert set(watched.cosigner.round()) == {"w1.example"}
    assert watched.sizes() == [None, 5]
    asked = []
    for _ in range(30):
        before = watched.network.sent.count("https://w1.example")
        watched.cosigner.round()
        asked.append(watched.network.sent.count("https://w1.example") > before)
        watched.world.clock.move(seconds=1)  # type: ignore[attr-defined]
    assert sum(asked) <= 4  # after 2, 4, 8 and 16 seconds
    assert (watched.cosigned(1), watched.cosigned(2)) == (5, None)
    del watched.network.bent["https://w1.example"]
    watched.world.clock.move(minutes=10)  # type: ignore[attr-defined]
    assert watched.cosigner.round() == {}
    assert watched.cosigned(2) == 5


def test_a_witness_that_does_not_know_the_log(watched: Watched, tmp_path: Path) -> None:
    """It is named by its status, and asked again later."""
    stranger = Witness.create(tmp_path / "w3", name="w3.example")
    watched.network.apps["https://w3.example"] = create_app(stranger)
    places = [WitnessPlace("https://w3.example", stranger.key)]
    cosigner = Cosigner(watched.cosigner.relay, places, watched.network.post)
    grown(watched.world, 1)
    assert cosigner.round() == {"w3.example": "witness.answered_404"}
    stranger.close()


def test_attack_69_a_relay_put_back_unmarked_is_noticed_by_its_witnesses(
    watched: Watched,
) -> None:
    """They have seen a larger log; the relay says so and nothing is cosigned."""
    grown(watched.world, 9)
    watched.cosigner.round()
    relay = watched.cosigner.relay
    with relay.store.write() as conn:  # what a backup of before would hold
        conn.execute("DELETE FROM cosignatures")
        conn.execute("DELETE FROM log_nodes")
        conn.execute("UPDATE logs SET size = 0")
    grown(watched.world, 4)
    cosigner = Cosigner(relay, watched.cosigner.witnesses, watched.network.post)
    assert set(cosigner.round().values()) == {"witness.ahead"}
    assert watched.sizes() == [None, None]


def test_a_round_that_breaks_does_not_end_the_rounds(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is, the next one is tried; stopping stops."""
    rounds = []

    def breaks(_self: Cosigner) -> None:
        rounds.append(1)
        if len(rounds) == 2:
            watched.cosigner.stop()
        raise RuntimeError

    monkeypatch.setattr(Cosigner, "round", breaks)
    monkeypatch.setattr("pds.relay.cosigning.EVERY", 0.001)
    watched.cosigner.run()
    assert len(rounds) == 2
