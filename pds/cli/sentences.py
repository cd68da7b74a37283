"""``pds activity`` in sentences for people; what programs read is in its JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from credentials.purposes import label
from did.time import parse_time
from pds.cli.output import count, local
from pds.cli.problems import HOLDER, sentence
from pds.vault.activity import Activity
from pds.vault.consent import describe, words_of
from pds.vault.errors import NotFound
from pds.vault.schemas import RecordError, categories
from pds.vault.service import Vault

_SLOTS = {
    "passphrase changed": "You changed the passphrase.",
    "kit replaced": "You replaced the recovery kit.",
    "way in added": "You added a way into the vault.",
    "way in removed": "You took a way into the vault away.",
}
ENDED = {
    "withdraw": "You withdrew your consent",
    "end": "You ended the sharing",
    "object": "You objected",
    "restored": "The sharing had ended before the backup was restored",
    "superseded": "The grant under the old DID is over; the one in its place goes on",
}


@dataclass(frozen=True, slots=True)
class _Shared:
    who: str
    what: str
    fields: str


@dataclass(frozen=True, slots=True)
class Sentences:
    """What the sentences need of a vault: names of companies, what each grant is, kinds of items.

    ``kinds`` grows as items are looked up.
    """

    vault: Vault
    names: Mapping[str, str]
    grants: Mapping[str, _Shared]
    purposes: Mapping[tuple[str, str], str]
    kinds: dict[str, str]

    @classmethod
    def of(cls, vault: Vault) -> Self:
        """Read from an open vault."""
        requests = vault.requests()
        rows = vault.sharing()
        names = {shown.request.controller.id: shown.request.controller.name for shown in requests}
        return cls(
            vault=vault,
            names=names | {row.company: row.name for row in rows},
            grants={row.grant: _Shared(row.name, row.label, _fields(row.fields)) for row in rows},
            purposes={
                (shown.request.controller.id, purpose.id): label(purpose.purpose)
                for shown in requests
                for purpose in shown.request.purposes
            },
            kinds={},
        )

    def tell(self, lines: Iterable[Activity]) -> list[str]:
        """One line each: when, and what happened."""
        return [f"{local(line.at)}  {self.sentence(line)}" for line in lines]

    def sentence(self, line: Activity) -> str:
        """What happened, who did it, and why where something was refused."""
        detail: Mapping[str, Any] = line.detail
        who = line.company or self.names.get(line.subject, "") or "a company"
        shared = self.grants.get(line.subject)
        what = "something" if shared is None else f"{shared.what} ({shared.fields})"
        company = who if shared is None else shared.who
        match line.kind:
            case "detached elsewhere":
                return "An archive told that a file was taken off an item."
            case "import begun":
                return "You began an import of many items."
            case "imported":
                changed = _number(detail.get("changed"))
                return f"You imported {count(_number(detail.get('added')), 'item')}" + (
                    f", and {count(changed, 'item')} changed by it." if changed else "."
                )
            case "exported":
                return f"You exported {count(_number(detail.get('items')), 'item')} in clear."
            case "import undone":
                return f"You undid an import: {count(_number(detail.get('removed')), 'item')} gone."
            case "added":
                return f"You added an item: {_title(str(detail.get('category', '')))}."
            case "edited":
                return f"You corrected an item: {self._kind(line.subject)}."
            case "tagged":
                return f"You changed the labels of an item: {self._kind(line.subject)}."
            case "about changed":
                whose = "you" if detail.get("about") == "self" else "someone else"
                number = detail.get("items")
                if isinstance(number, int):
                    return (
                        f"You said of an import whom it is about, {whose}: {count(number, 'item')}."
                    )
                return f"You said whom an item is about, {whose}: {self._kind(line.subject)}."
            case "deleted":
                return f"You deleted an item: {self._kind(line.subject)}."
            case "mapping saved":
                return "You saved what the columns of a table mean."
            case "mapping removed":
                return "You removed a saved mapping."
            case "category added":
                return f"You made a category of your own: {line.subject}."
            case "category changed":
                return f"You changed a category of your own: {line.subject}."
            case "category removed":
                return f"You removed a category of your own: {line.subject}."
            case "attached":
                return f"You attached a file to an item: {self._kind(line.subject)}."
            case "detached":
                return f"You removed a file from an item: {self._kind(line.subject)}."
            case "asked":
                return f"{self.names.get(line.subject, who)} asked; its request was opened."
            case "relationship":
                return f"A relationship with {who} began, with a DID that only it knows."
            case "rotation begun":
                return f"You began to give {who} a new DID of yours in place of the old one."
            case "reissued":
                return f"The same grant to {company}, under the new DID: {what}."
            case "rotated":
                return f"{who} is being told of your new DID, which both keys signed."
            case "rotation done":
                return f"{who} was told of your new DID; nothing under the old one counts."
            case "rotation lost":
                return f"Your DID towards {who} had been given up; the next one begins anew."
            case "granted":
                return f"You shared with {company}: {what}."
            case "refused":
                name = str(detail.get("purpose", ""))
                purpose = self.purposes.get((line.subject, name), name)
                return f"You turned {who} down: {purpose}."
            case "reopened":
                purpose = label(str(detail.get("purpose", "")))
                return f"You let {self.names.get(line.subject, who)} ask again: {purpose}."
            case "redemption":
                problem = _reason(detail.get("code"))
                wrong = f" Something does not fit: {problem}" if problem else ""
                return f"{company} took: {what}.{wrong}"
            case "refusal":
                return (
                    f"{company} tried to take and was refused: {what}. "
                    f"{_reason(detail.get('code')) or 'The relay gave no reason.'}"
                )
            case "ended":
                verb = ENDED.get(str(detail.get("verb")), "It ended")
                by = detail.get("eraseBy")
                due = f" {company} has to erase by {local(parse_time(by))[:10]}." if by else ""
                return f"{verb}: {company}, {what}.{due}"
            case "attested":
                return f"{company} attests what it erased: {_attested(detail)}"
            case "restaged":
                return f"A newer version was laid ready for {company}: {what}."
            case "sent":
                return f"A sealed message went to {who}."
            case "relay deleted":
                return "The relay deleted a package and signed a receipt for it."
            case "status renewed":
                return f"The status list for {who} was signed anew."
            case "slots changed":
                return _SLOTS.get(
                    str(detail.get("verb")), "You changed the passphrase or the recovery kit."
                )
            case "data key rotated":
                return "You gave the vault a new data key, a new passphrase and a new kit."
            case "backed up":
                return "You wrote a backup."
            case "index made anew":
                return "The search index did not fit the items, and was made anew from them."
            case "rehearsed":
                return "You rehearsed a restore with the recovery kit."
            case "restored":
                return "The vault was restored from a backup and compared with its relay."
            case "recovered":
                return (
                    f"A grant newer than the backup came back from your mailbox: {company}, {what}."
                )
            case "compacted":
                return "You had the vault's database written anew, without its gaps."
            case "lost":
                return f"Lost by damage, when the vault was saved: {line.subject}."
            case "salvaged":
                return (
                    f"The vault was made anew of what damage had left: "
                    f"{count(_number(detail.get('items')), 'item')}."
                )
            case "witnesses":
                number = _number(detail.get("count"))
                return (
                    f"You chose the witnesses of your relay's log: {number}."
                    if number
                    else "You no longer ask for witnesses of your relay's log."
                )
            case "unknown relationship":
                return "The relay knows a relationship that is newer than the restored backup."
            case "relay key":
                return "The relay's log has another key, which the one of before had signed."
            case "identity created":
                return f"Your public identity began: {line.subject}"
            case "identity rotated":
                version = _number(detail.get("version"))
                return f"Your public identity has new keys (version {version})."
            case "identity deactivated":
                return "You deactivated your public identity."
            case "identity published":
                return "The relay shows your public identity as it is here."
            case "identity recovered":
                return "Your public identity goes on from what was published."
            case "identity signed":
                return "You signed something with your public identity."
            case "problem":
                return f"Something does not fit: {_reason(detail.get('code'))}"
        code = _reason(detail.get("code"))
        about = f" ({who})" if line.company else ""
        return f"{line.kind.capitalize()}{about}." + (f" {code}" if code else "")

    def _kind(self, item: str) -> str:
        if item not in self.kinds:
            try:
                self.kinds[item] = _title(self.vault.history(item)[0].category)
            except (RecordError, NotFound, IndexError):
                self.kinds[item] = "an item that is gone"
        return self.kinds[item]


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _title(category: str) -> str:
    return next((known.title for known in categories() if known.name == category), category)


def _fields(paths: Iterable[str]) -> str:
    return ", ".join(describe(path) for path in sorted(paths))


def _reason(code: object) -> str:
    text = str(code or "")
    if not text:
        return ""
    said = sentence(text, HOLDER)
    return f"{said}.  [{text}]" if said else f"[{text}]"


def _attested(detail: Mapping[str, Any]) -> str:
    erased = detail.get("erased")
    told = _fields(str(path) for path in erased) if isinstance(erased, list) and erased else "none"
    kept = []
    for one in detail.get("retained") or ():
        reason = one.get("reason")
        kept.append(
            f"{_fields(map(str, one.get('paths', ())))} until {str(one.get('until'))[:10]}, by "
            f"{words_of(str(one.get('basis'))).basis}"
            + (f": {reason['en']}" if isinstance(reason, dict) and "en" in reason else "")
        )
    return f"{told}." + "".join(f" It keeps {part}" for part in kept)
