"""The consent screen and what follows from it: purpose first, actual values, words of the basis.

``view`` builds what is shown, ``text`` the exact words (whose digest goes into the grant), and
``check_answer`` holds an answer against its purpose. Pure: deciding itself is in ``decide.py``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from credentials.purposes import label
from did.json import Json, canonicalize
from did.multikey import multihash_sha256
from pds.messages.fields import Words
from pds.messages.request import CONSENT, CONTRACT, GDPR, AccessRequest, Purpose, Retained
from pds.oneline import one_line
from pds.vault.errors import ConsentError
from pds.vault.records import PathValue, Records
from pds.vault.schemas import BUILT_IN, Catalogue, RecordError
from pds.vault.schemas import describe as describe_path


@dataclass(frozen=True, slots=True)
class BasisWords:
    """The words of one legal basis: what it is, what one can do, and how it ends."""

    basis: str
    provide: str
    refuse: str
    provided: str
    refused: str
    ending: str


_CONSENT = BasisWords(
    basis="your consent (GDPR art. 6(1)(a))",
    provide="Accept",
    refuse="Refuse",
    provided="accepted",
    refused="refused",
    ending="You can withdraw your consent at any time, as easily as you give it.",
)
_WORDS = {
    CONSENT: _CONSENT,
    GDPR + "A6-1-a-explicit-consent": BasisWords(
        basis="your explicit consent (GDPR art. 6(1)(a), 9(2)(a))",
        provide="Accept",
        refuse="Refuse",
        provided="accepted",
        refused="refused",
        ending="You can withdraw your consent at any time, as easily as you give it.",
    ),
    CONTRACT: BasisWords(
        basis="a contract with you (GDPR art. 6(1)(b))",
        provide="Provide",
        refuse="Do not provide",
        provided="provided",
        refused="not provided",
        ending="You can end the sharing; what the company must keep by law it will name.",
    ),
    GDPR + "A6-1-c": BasisWords(
        basis="a legal obligation of the company (GDPR art. 6(1)(c))",
        provide="Provide",
        refuse="Do not provide",
        provided="provided",
        refused="not provided",
        ending="You can end the sharing from here; the law decides what the company must keep.",
    ),
    GDPR + "A6-1-d": BasisWords(
        basis="somebody's vital interest (GDPR art. 6(1)(d))",
        provide="Provide",
        refuse="Do not provide",
        provided="provided",
        refused="not provided",
        ending="You can end the sharing from here.",
    ),
    GDPR + "A6-1-e": BasisWords(
        basis="a public task (GDPR art. 6(1)(e))",
        provide="Provide",
        refuse="Object",
        provided="provided",
        refused="objected to",
        ending="You can object at any time (GDPR art. 21).",
    ),
    GDPR + "A6-1-f": BasisWords(
        basis="a legitimate interest of the company (GDPR art. 6(1)(f))",
        provide="Provide",
        refuse="Object",
        provided="provided",
        refused="objected to",
        ending="You can object at any time (GDPR art. 21).",
    ),
}


def words_of(basis: str) -> BasisWords:
    """The words for a legal basis; a basis other than consent is never called consent."""
    return _WORDS[basis]


@dataclass(frozen=True, slots=True)
class ItemView:
    """One thing asked for, with the values that would be sent."""

    path: str
    label: str
    required: bool
    reason: Words | None
    values: tuple[PathValue, ...]


@dataclass(frozen=True, slots=True)
class PurposeView:
    """One purpose as it is shown."""

    purpose: Purpose
    label: str
    items: tuple[ItemView, ...]
    blocked_until: datetime | None

    @property
    def missing(self) -> tuple[str, ...]:
        """Required paths for which the vault holds nothing."""
        return tuple(item.path for item in self.items if item.required and not item.values)


def view(
    request: AccessRequest, records: Records, *, blocked: dict[str, datetime]
) -> tuple[PurposeView, ...]:
    """What the holder is shown of a request; ``blocked`` maps purpose ids to the day until which
    they may not be asked again. Each path is looked up once, however often it is asked for."""
    paths = {item.path for purpose in request.purposes for item in purpose.items}
    held = {path: values_of(records, path) for path in paths}
    return tuple(
        PurposeView(
            purpose=purpose,
            label=label(purpose.purpose),
            items=tuple(
                ItemView(
                    path=item.path,
                    label=describe(item.path),
                    required=item.required,
                    reason=item.reason,
                    values=held[item.path],
                )
                for item in purpose.items
            ),
            blocked_until=blocked.get(purpose.id),
        )
        for purpose in request.purposes
    )


def values_of(records: Records, path: str) -> tuple[PathValue, ...]:
    """What the vault holds under a path; nothing under a path that it does not know."""
    try:
        return tuple(records.values(path))
    except RecordError:
        return ()


def describe(path: str, *, language: str = "en") -> str:
    """A path in words; one that is not published as it stands, the holder's own too: the company
    computes the same words."""
    try:
        return describe_path(path, language=language)
    except RecordError:
        return path


def pick(words: Words | None, language: str) -> str:
    """The words in this language, else in English."""
    if words is None:
        return ""
    return words.get(language) or words["en"]


def text(
    shown: PurposeView, request: AccessRequest, *, language: str = "en", values: bool = True
) -> str:
    """The words shown for one purpose, in the order of the consent screen: purpose, who, each
    field with its value, how long and how often, kept, passed on, notice.

    Without ``values`` it is what the grant's digest is over: the same words, but nothing of the
    holder's, so that the digest gives no value away and the company can compute it too.
    """
    purpose, who = shown.purpose, request.controller
    words = words_of(purpose.basis)
    lines = [
        f"{shown.label}  [{purpose.id}]",
        f"  {pick(purpose.reason, language)}",
        f"  Who: {who.name}, {who.address} ({who.id})",
        f"  On the basis of {words.basis}.",
    ]
    for item in shown.items:
        need = "required" if item.required else "optional"
        reason = f": {pick(item.reason, language)}" if item.reason else ""
        lines.append(f"  - {item.label} ({need}{reason})")
        if not values:
            continue
        lines += [
            f"      {value_text(value.value, value.path.partition('.')[0])}"
            for value in item.values[:20]
        ]
        if len(item.values) > 20:
            lines.append(f"      … and {len(item.values) - 20} more")
        if not item.values:
            lines.append("      (nothing in the vault)")
    lines.append(
        f"  For {count(purpose.days, 'day')}, at most {count(purpose.max_uses, 'time')}"
        + (f", at least {span(purpose.min_interval)} apart" if purpose.min_interval else "")
        + f". {_kept(purpose.retention_days)}"
    )
    lines.append("  Processing: " + ", ".join(sorted(_short(p) for p in purpose.processing)) + ".")
    lines += ["  " + kept_by_law(kept, language=language) for kept in purpose.retained]
    lines += [
        f"  Passed on to {r.name} ({r.role}, {r.country})"
        + (f": {pick(r.safeguard, language)}" if r.safeguard else "")
        for r in purpose.recipients
    ]
    if purpose.compensation is not None:
        lines.append(f"  In return: {pick(purpose.compensation, language)}")
    lines.append(f"  If you say no: {pick(purpose.consequence, language)}")
    lines.append(f"  {words.ending}")
    lines.append(f"  Notice: {purpose.notice}")
    return "\n".join(lines)


def text_digest(shown: str) -> str:
    """The digest of the words shown, as it goes into the grant; over the text without values."""
    return multihash_sha256(shown.encode())


def kept_by_law(kept: Retained, *, language: str = "en") -> str:
    """What a company keeps after the end on another basis, for how long and why."""
    paths = ", ".join(describe(path) for path in sorted(kept.paths))
    return (
        f"Kept after the end for {count(kept.days, 'day')}, by {words_of(kept.basis).basis}: "
        f"{paths} ({pick(kept.reason, language)})"
    )


def _kept(days: int) -> str:
    """When the company erases what it took: so many days after the grant has ended."""
    return f"Kept until {count(days, 'day')} after it ends." if days else "Erased when it ends."


def count(number: int, unit: str) -> str:
    """``1 day``, ``2 days``."""
    return f"{number} {unit}{'' if number == 1 else 's'}"


def span(seconds: int) -> str:
    """A time in the largest unit that fits it without a rest."""
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            return count(seconds // size, unit)
    return ""


def _short(iri: str) -> str:
    return iri.rsplit("#", 1)[-1]


# An address as it stands on a letter; in JSON the names are in the order of the alphabet.
_ADDRESS = (
    "streetAddress",
    "postOfficeBoxNumber",
    "postalCode",
    "addressLocality",
    "addressRegion",
    "addressCountry",
)


def value_text(value: Json, category: str) -> str:
    """A value of this category in one line: an address in its natural order, the fields of a
    record in the order of its schema. Whoever wrote it draws no line of his own (``one_line``)."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list):
        return ", ".join(value_text(part, category) for part in value)
    if isinstance(value, dict):
        parts = {name: value_text(value[name], category) for name in in_order(value, category)}
        if "postalCode" in parts and "addressLocality" in parts:
            parts["addressLocality"] = f"{parts.pop('postalCode')} {parts['addressLocality']}"
        return ", ".join(filter(None, parts.values()))
    return one_line(canonicalize(value).decode())


def in_order(names: Iterable[str], category: str, *, words: Catalogue = BUILT_IN) -> list[str]:
    """Names of fields as people expect them; names that ``words`` do not know stand last."""
    try:
        known = [field.path.partition(".")[2] for field in words.category(category).fields]
    except RecordError:
        known = []
    places = {name: place for place, name in enumerate((*_ADDRESS, *known))}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))


@dataclass(frozen=True, slots=True)
class Accept:
    """A yes to one purpose. ``None`` means as asked.

    Only what is required goes along, unless ``including`` names optional paths too;
    ``follows_changes`` is its own switch. Both are off unless the holder turns them on.
    """

    including: frozenset[str] = frozenset()
    duration: timedelta | None = None
    max_uses: int | None = None
    min_interval: int | None = None
    follows_changes: bool = False
    starts_in: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """A no to one purpose."""


Answer = Accept | Refuse


@dataclass(frozen=True, slots=True)
class Terms:
    """What an ``Accept`` comes to for one purpose, checked."""

    fields: frozenset[str]
    duration: timedelta
    max_uses: int
    min_interval: int


def check_answer(shown: PurposeView, answer: Accept) -> Terms:
    """Hold a yes against its purpose; raises ``ConsentError``:

    1. ``consent.blocked``: it was refused before and may not be asked yet
    2. ``consent.unknown_path``: only what is asked for can be included
    3. ``consent.nothing_to_send``: the vault has no value for a required path
    4. ``consent.wider``: longer or more often than asked for
    5. ``consent.nothing``: no field, no time or no use is left
    """
    purpose = shown.purpose
    if shown.blocked_until is not None:  # 1
        raise ConsentError(
            f"'{purpose.id}' was refused before and may not be asked again yet",
            code="consent.blocked",
            hint="Reopen it yourself with 'pds requests --reopen', or refuse it.",
        )
    if not answer.including <= purpose.paths:  # 2
        raise ConsentError(
            f"'{purpose.id}' does not ask for one of the paths to include",
            code="consent.unknown_path",
            hint="It asks for: " + ", ".join(sorted(purpose.paths)),
        )
    if shown.missing:  # 3
        raise ConsentError(
            f"'{purpose.id}' needs what the vault does not hold: " + ", ".join(shown.missing),
            code="consent.nothing_to_send",
            hint="Add it with 'pds data add' or an import, or refuse the purpose.",
        )
    terms = Terms(
        fields=purpose.required | answer.including,
        duration=answer.duration or timedelta(days=purpose.days),
        max_uses=answer.max_uses if answer.max_uses is not None else purpose.max_uses,
        min_interval=(
            answer.min_interval if answer.min_interval is not None else purpose.min_interval
        ),
    )
    if (  # 4
        terms.duration > timedelta(days=purpose.days)
        or terms.max_uses > purpose.max_uses
        or terms.min_interval < purpose.min_interval
    ):
        raise ConsentError(
            f"'{purpose.id}' would get more than it asks for",
            code="consent.wider",
            hint="Choose a shorter time, fewer uses or a longer interval.",
        )
    if terms.duration < timedelta(seconds=1) or terms.max_uses < 1 or not terms.fields:  # 5
        raise ConsentError(
            f"'{purpose.id}' would get nothing", code="consent.nothing", hint="Refuse it instead."
        )
    return terms
