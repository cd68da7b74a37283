"""What witnesses say of a relay's log: through the relay, and asked themselves.

Vault and company both compare it with what the relay has shown them; each keeps what does not fit
in its own way.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from pds.errors import PdsError
from pds.log.checkpoint import open_checkpoint
from pds.log.cosignature import verify_cosignature
from pds.log.errors import LogError
from pds.log.keys import KeyOfLog
from pds.log.note import MAX_NOTE_BYTES
from pds.log.policy import CosignedCheckpoint, Witness, WitnessPolicy, newest_cosigned
from pds.mailbox.calls import Transport
from pds.mailbox.client import RelayClient
from pds.mailbox.errors import RelayError


def cosigned_by_quorum(
    client: RelayClient, *, origin: str, key: KeyOfLog, policy: WitnessPolicy, now: datetime
) -> CosignedCheckpoint | None:
    """The newest checkpoint that the relay shows with a quorum of cosignatures; None when it has
    none, or knows of no such thing. Raises ``RelayUnreachable`` and what may pass."""
    try:
        notes = client.cosigned()
    except RelayError as error:
        if error.exit_code == 4:
            raise
        return None
    return newest_cosigned(notes, origin=origin, key=key, policy=policy, now=now)


def shown_by_witnesses(
    transport: Transport,
    witnesses: Sequence[Witness],
    *,
    origin: str,
    key: KeyOfLog,
    now: datetime,
) -> list[str]:
    """The checkpoints that the witnesses themselves show of the log, signed by it and by them.

    One that is away, has none, or talks nonsense, has said nothing: that is no error.
    """
    found = []
    for witness in witnesses:
        if witness.url is None:
            continue
        place = f"{witness.url}/{sha256(origin.encode()).hexdigest()}/checkpoint"
        try:
            answer = transport.request("GET", place, headers={}, body=b"")
            if answer.status != 200 or len(answer.body) > MAX_NOTE_BYTES:
                continue
            note = answer.body.decode()
            open_checkpoint(note, origin=origin, key=key)
            verify_cosignature(note, witness=witness.key, now=now)
        except (OSError, PdsError, LogError, ValueError):
            continue
        found.append(note)
    return found
