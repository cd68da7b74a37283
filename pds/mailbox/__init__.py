"""A relay, seen from a client that does not trust it.

``RelayClient`` holds what anyone may call, ``OwnedMailbox`` what only the owner's key may. Every
answer is bounded, read as strict JSON and checked in shape before anything of it is handed on; a
relay can refuse or be silent, but not hand in something that another part then trips over.

What is *not* checked here: signatures and log proofs. Receipts, manifests, presentations, status
lists and stamps come back as they arrived, and are for the caller to verify. Of a receipt it is
checked that it speaks of what was just done.

    client   ``RelayClient``
    owner    ``OwnedMailbox``
    calls    one call, and the limits of its answer
    reading  what a relay says about mailboxes and packages
    errors   refused, unreachable, or nonsense
"""

from pds.mailbox.calls import (
    MAX_ANSWER,
    MAX_PAGE,
    MAX_SMALL,
    MAX_STATUS_LIST,
    Clock,
    Response,
    Transport,
)
from pds.mailbox.client import RelayClient
from pds.mailbox.errors import RelayError, RelayNonsense, RelayUnreachable
from pds.mailbox.owner import OwnedMailbox
from pds.mailbox.reading import (
    MAX_LIST_ENTRIES,
    MAX_PAGE_ENTRIES,
    ListState,
    MailboxInfo,
    PackageState,
    StagedPackage,
)
from pds.wire import Random

__all__ = [
    "MAX_ANSWER",
    "MAX_LIST_ENTRIES",
    "MAX_PAGE",
    "MAX_PAGE_ENTRIES",
    "MAX_SMALL",
    "MAX_STATUS_LIST",
    "Clock",
    "ListState",
    "MailboxInfo",
    "OwnedMailbox",
    "PackageState",
    "Random",
    "RelayClient",
    "RelayError",
    "RelayNonsense",
    "RelayUnreachable",
    "Response",
    "StagedPackage",
    "Transport",
]
