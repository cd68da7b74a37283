"""What both sides tell each other after a decision: ended, updated, erased (protocol §5)."""

from dataclasses import dataclass
from datetime import datetime

from did.json import JsonObject
from did.time import format_time
from pds.messages.fields import Fields, Words
from pds.messages.request import BASES, CONSENT, CONTRACT, GDPR

VERBS = frozenset({"withdraw", "end", "object"})


def verb_of(basis: str) -> str | None:
    """The holder's verb for a legal basis: consent is withdrawn, a contract's sharing ended, a
    public or legitimate interest objected to; None where the law leaves no choice (GDPR art. 7,
    21)."""
    if basis in (CONSENT, GDPR + "A6-1-a-explicit-consent"):
        return "withdraw"
    if basis == CONTRACT:
        return "end"
    if basis in (GDPR + "A6-1-e", GDPR + "A6-1-f"):
        return "object"
    return None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The grant is over. The holder's status list shows it from ``sequence`` on: a list that is
    newer shows it too, one that is older need not."""

    grant: str
    verb: str
    sequence: int
    erase_by: datetime
    at: datetime

    @classmethod
    def parse(cls, body: JsonObject) -> "Withdrawal":
        fields = Fields(body, "/body")
        notice = cls(
            grant=fields.digest("grant"),
            verb=fields.choice("verb", VERBS),
            sequence=fields.integer("sequence", 1, 2**52),
            erase_by=fields.time("eraseBy"),
            at=fields.time("at"),
        )
        fields.done()
        return notice

    def to_json(self) -> JsonObject:
        return {
            "grant": self.grant,
            "verb": self.verb,
            "sequence": self.sequence,
            "eraseBy": format_time(self.erase_by),
            "at": format_time(self.at),
        }


@dataclass(frozen=True, slots=True)
class PackageUpdated:
    """A newer version of the data lies at the relay."""

    grant: str
    package: str
    seq: int

    @classmethod
    def parse(cls, body: JsonObject) -> "PackageUpdated":
        fields = Fields(body, "/body")
        notice = cls(
            grant=fields.digest("grant"),
            package=fields.id("package"),
            seq=fields.integer("seq", 1, 2**31),
        )
        fields.done()
        return notice

    def to_json(self) -> JsonObject:
        return {"grant": self.grant, "package": self.package, "seq": self.seq}


@dataclass(frozen=True, slots=True)
class RetainedData:
    """What a company keeps after the end, on which basis, until when, and why."""

    paths: frozenset[str]
    basis: str
    until: datetime
    reason: Words

    @classmethod
    def parse(cls, fields: Fields) -> "RetainedData":
        kept = cls(
            paths=fields.paths("paths", low=1),
            basis=fields.choice("basis", BASES),
            until=fields.time("until"),
            reason=fields.words("reason"),
        )
        fields.done()
        return kept

    def to_json(self) -> JsonObject:
        return {
            "paths": [*sorted(self.paths)],
            "basis": self.basis,
            "until": format_time(self.until),
            "reason": dict(self.reason),
        }


@dataclass(frozen=True, slots=True)
class ErasureAttestation:
    """A company's signed word that it erased, and what it kept under another basis."""

    grant: str
    seqs: frozenset[int]
    erased_at: datetime
    erased: frozenset[str]
    retained: tuple[RetainedData, ...]
    recipients_to_tell: frozenset[str]

    @classmethod
    def parse(cls, body: JsonObject) -> "ErasureAttestation":
        fields = Fields(body, "/body")
        numbers = fields.array("seqs", high=100_000)
        inner = Fields({str(i): n for i, n in enumerate(numbers)}, "/body/seqs")
        names = fields.array("recipientsToTell")
        told = Fields({str(i): name for i, name in enumerate(names)}, "/body/recipientsToTell")
        attestation = cls(
            grant=fields.digest("grant"),
            seqs=frozenset(inner.integer(str(i), 1, 2**31) for i in range(len(numbers))),
            erased_at=fields.time("erasedAt"),
            erased=fields.paths("erased"),
            retained=tuple(RetainedData.parse(kept) for kept in fields.each("retained")),
            recipients_to_tell=frozenset(told.text(str(i), high=200) for i in range(len(names))),
        )
        fields.done()
        return attestation

    def to_json(self) -> JsonObject:
        return {
            "grant": self.grant,
            "seqs": [*sorted(self.seqs)],
            "erasedAt": format_time(self.erased_at),
            "erased": [*sorted(self.erased)],
            "retained": [kept.to_json() for kept in self.retained],
            "recipientsToTell": [*sorted(self.recipients_to_tell)],
        }
