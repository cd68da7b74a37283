"""What was decided, as the signed objects themselves: whoever holds them can verify them.

    decisions/requests/0001.json   what a company asked, as it signed it
    decisions/grants/0001.json     what was granted; 'pds verify' checks it without a vault
    decisions/tickets/0001.json    what the relay was shown of it
    decisions/messages.jsonl       decisions, withdrawals, notices and attestations, both ways
    decisions/attestations.jsonl   what companies attested of erasure
    decisions/manifests.jsonl      what was staged at the relay
    decisions/receipts.jsonl       the relay's receipts for what it stored, gave out and refused
    decisions/evidence.jsonl       what did not fit

In the ``.jsonl`` files each line is one object; nothing is added to it, so that its signature
holds.
"""

from collections.abc import Iterator

from did.json import JsonObject, canonicalize
from did.time import format_time
from pds.vault.activity import sharing
from pds.vault.context import Context
from pds.vault.errors import NotFound
from pds.vault.store.exports import ExportStore, Signed
from pds.vault.store.rows import StoredRequest

from .archive import Archive

_LINES = (
    ("messages", "What you and companies said to each other, each message signed."),
    ("attestations", "What companies attest to have erased."),
    ("manifests", "What was laid ready at the relay, version by version."),
    ("receipts", "The relay's receipts: what it stored, gave out and refused."),
)


def find_company(ctx: Context, name: str) -> str:
    """The DID of a company, by the DID itself or by the name it gave. ``NotFound`` otherwise."""
    known = {request.company for request in ctx.exchange.requests()}
    named = {r.company for r in ctx.exchange.relationships() if r.name == name}
    hosts = {did for did in known if did.startswith("did:web:") and did[8:] == name}
    for found in ({name} & known, named, hosts):
        if len(found) == 1:
            return found.pop()
    raise NotFound("there is no such company", hint="Name its DID: see pds requests, pds sharing")


class Decisions:
    """The decisions of a vault, or those about one company."""

    def __init__(self, ctx: Context, store: ExportStore, company: str | None) -> None:
        self._ctx = ctx
        self._store = store
        self._requests = [
            request
            for request in ctx.exchange.requests()
            if company is None or request.company == company
        ]
        self._threads = {request.id for request in self._requests}
        self._grants = [g for g in ctx.exchange.grants() if g.request in self._threads]
        self._company = company
        self._subjects = {company or "", *self._threads}
        for grant in self._grants:
            self._subjects |= {grant.id, grant.package}

    def write(self, archive: Archive) -> list[tuple[str, str]]:
        """Write the files; returns path and meaning of each, for the first page."""
        listed = []
        for n, request in enumerate(self._requests, start=1):
            path = f"decisions/requests/{n:04}.json"
            archive.add(path, _text(request.raw))
            listed.append((path, f"What {_host(request)} asked, signed."))
        for n, grant in enumerate(self._grants, start=1):
            path = f"decisions/grants/{n:04}.json"
            archive.add(path, _text(grant.raw))
            archive.add(f"decisions/tickets/{n:04}.json", _text(grant.ticket))
            listed.append((path, "A grant, signed. Its ticket has the same number."))
        for name, what in _LINES:
            path = f"decisions/{name}.jsonl"
            if archive.add_all(path, (s.text.encode() + b"\n" for s in self._of(name))):
                listed.append((path, what))
        if self._company is None:
            kept: list[JsonObject] = [
                {"at": format_time(at), "code": code, "detail": detail}
                for at, code, detail in self._ctx.exchange.evidence()
            ]
            if archive.add_all("decisions/evidence.jsonl", map(_text, kept)):
                listed.append(("decisions/evidence.jsonl", "What did not fit, with its proof."))
        return listed

    def _of(self, name: str) -> Iterator[Signed]:
        found: Iterator[Signed] = getattr(self._store, name)()
        return (signed for signed in found if signed.thread in self._threads)

    def rows(self) -> list[JsonObject]:
        """The grants in words, for the first page; the newest first."""
        known = {grant.id for grant in self._grants}
        return [
            {
                "Company": f"{share.name} ({share.company})",
                "Purpose": share.label,
                "Until": format_time(share.valid_until)[:10],
                "State": share.state,
            }
            for share in reversed(sharing(self._ctx))
            if share.grant in known
        ]

    def concerns(self, subject: str) -> bool:
        """Whether a line of the history is about the company that was chosen."""
        return self._company is None or subject in self._subjects


def _text(raw: JsonObject) -> bytes:
    return canonicalize(raw) + b"\n"


def _host(request: StoredRequest) -> str:
    return request.company.rpartition(":")[2]
