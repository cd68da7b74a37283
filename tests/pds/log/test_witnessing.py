"""What witnesses show when they are asked themselves."""

from dataclasses import dataclass, field

import pytest
from log_world import KEY, NOW, ORIGIN, W1, W2, Log, cosigned

from pds.log.policy import Witness
from pds.mailbox.witnessing import shown_by_witnesses

NOTE = Log().grow(7).note()


@dataclass
class Answer:
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def shown(answer: Answer) -> list[str]:
    class Way:
        def request(self, _method: str, _url: str, **_more: object) -> Answer:
            return answer

    witnesses = [Witness(W1.key, "https://w1.example"), Witness(W2.key)]
    return shown_by_witnesses(
        Way(),  # type: ignore[arg-type]
        witnesses,
        origin=ORIGIN,
        key=KEY.verify_key,
        now=NOW,
    )


def test_a_note_by_log_and_witness_is_heard() -> None:
    """One witness has an address; the other is not asked."""
    note = cosigned(NOTE, [W1])
    assert shown(Answer(note.encode())) == [note]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(NOTE.encode()),
        Answer(cosigned(NOTE, [W2]).encode()),
        Answer(cosigned(NOTE, [W1]).replace("\n7\n", "\n8\n").encode()),
        Answer(cosigned(NOTE, [W1]).encode(), 404),
        Answer(b"\xff"),
        Answer(b""),
    ],
)
def test_whatever_else_it_answers_says_nothing(answer: Answer) -> None:
    """Without its own line, of another text, not there, rubbish."""
    assert shown(answer) == []
