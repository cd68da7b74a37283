"""``pds relation`` in words: who it is, what is shared now, and what happened, a line for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from credentials.purposes import label
from pds.cli.changes import LIVE
from pds.cli.names import short_id
from pds.cli.output import count, local
from pds.cli.sentences import ENDED
from pds.vault.activity import Sharing
from pds.vault.consent import describe
from pds.vault.relation import Dealing, Relation
from pds.vault.service import ShownRequest, Vault

_MESSAGES = {
    ("sent", "Decision"): "Your answer went to it.",
    ("sent", "Withdrawal"): "It was told that the sharing has ended.",
    ("sent", "PackageUpdated"): "It was told that there is a newer version.",
    ("sent", "DidChange"): "It was told of your new DID, which both keys signed.",
    ("received", "ErasureAttestation"): "Its word on what it erased came in.",
}


@dataclass(frozen=True, slots=True)
class Dealings:
    """What the sentences need of a vault: what each grant and each request of a company is."""

    grants: Mapping[str, Sharing]
    requests: Mapping[str, ShownRequest]

    @classmethod
    def of(cls, vault: Vault, found: Relation) -> Self:
        """Read from an open vault."""
        return cls(
            grants={row.grant: row for row in vault.sharing() if row.company in found.companies},
            requests={
                shown.request.id: shown
                for shown in vault.requests()
                if shown.request.controller.id in found.companies
            },
        )

    def head(self, found: Relation, hosts: list[str], company: str) -> list[str]:
        """Who it is, and how things stand."""
        names = ", ".join(found.names) or company
        if not found.companies:
            return [names]
        live = [row for row in self.grants.values() if row.state in LIVE]
        waiting = sum(shown.state == "pending" for shown in self.requests.values())
        # One under a DID of before goes on in the one that took its place, with its uses.
        standing = [row for row in self.grants.values() if row.state != "superseded"]
        taken = sum(row.uses for row in standing)
        stands = [
            count(len(self.requests), "request") + (f" ({waiting} to decide)" if waiting else ""),
            f"{count(len(live), 'grant')} in force",
            *([f"{len(standing) - len(live)} ended"] if len(standing) > len(live) else []),
            f"data taken {count(taken, 'time')}",
        ]
        return [f"{names} ({', '.join(hosts)})", ", ".join(stands) + "."]

    def line(self, dealing: Dealing) -> str:
        """When, and what happened."""
        return f"  {local(dealing.at)}  {self._sentence(dealing)}"

    def _sentence(self, dealing: Dealing) -> str:
        subject = dealing.subject.partition("#")[0]
        what = self._what(subject)
        match dealing.kind:
            case "request":
                waits = f" It waits: pds decide {short_id(subject)}"
                return f"It asked: {what}." + (waits if dealing.detail == "pending" else "")
            case "grant":
                return f"You shared: {what}. [{short_id(subject)}]"
            case "end":
                return f"{ENDED.get(dealing.detail, 'It ended')}: {what}."
            case "event" if dealing.detail == "redemption":
                return f"It took: {what}."
            case "event" if dealing.detail == "refusal":
                return f"It tried to take and was refused: {what}."
            case "attestation":
                return f"It says what it erased and what it keeps: {what}."
        return _MESSAGES.get((dealing.kind, dealing.detail), f"{dealing.kind}: {dealing.detail}.")

    def _what(self, subject: str) -> str:
        row, shown = self.grants.get(subject), self.requests.get(subject)
        if row is not None:
            return f"{row.label} ({', '.join(describe(path) for path in sorted(row.fields))})"
        if shown is not None:
            return ", ".join(label(purpose.purpose) for purpose in shown.request.purposes)
        return "something"
