"""Problems in words: what a code means to the person who reads it, and what to do about it."""

from collections.abc import Iterable, Mapping
from typing import Final

Words = Mapping[str, tuple[str, str]]
"""By code: what happened, and what to do; nothing where there is nothing to do."""

_AREAS: Final = {
    "credential": "a signed grant or status list does not hold",
    "decision": "an answer does not fit the request, and was not taken",
    "identity": "a public identity could not be checked",
    "log": "what the relay signed with its log's key, or should have, does not hold",
    "message": "a message was not in order, and was dropped",
    "net": "the network failed",
    "package": "the data at the relay is not what its grant promises",
    "proof": "a signature does not hold",
    "redemption": "a redemption is not what was granted",
    "sealing": "something arrived that cannot be opened, and was dropped",
    "status": "the status list cannot be believed",
    "vault": "this vault could not do it",
    "wire": "something arrived that is not what it should be",
}

BOTH: Final[Words] = {
    "log.unwitnessed": (
        "the relay shows entries that the witnesses have not cosigned in time",
        "Verify its log: pds log verify URL. Ask its operator and those of the witnesses.",
    ),
    "message.resumed": (
        "the other side came back from a backup, and goes on from there",
        "What it sent since that backup may be sent again, or be missing.",
    ),
    "relay.nonsense": (
        "the relay answered with something that makes no sense",
        "If it goes on, tell the relay's operator.",
    ),
}
"""What is said to a holder and to a company in the same words."""

_TELL: Final = "Tell the relay's operator."
_KEPT: Final = f"What proves it is kept: pds relay evidence. {_TELL}"
HOLDER: Final[Words] = {
    **BOTH,
    "attestation.unexpected": (
        "what a company says that it erased is not what it had announced",
        "It is kept, as the company signed it: pds activity. Ask the company.",
    ),
    "log.forked": ("the relay's log does not agree with what it showed before", _KEPT),
    "log.old_key": ("the relay signed its log with a key that it had given up", _KEPT),
    "log.shrunken": ("the relay's log has fewer entries than it had", _KEPT),
    "log.unproven": ("the relay does not prove that its log only grew", _KEPT),
    "message.gap": (
        "a message is missing; the relay may have lost or held it back",
        "Those after it were taken. Ask the company if something seems to be missing.",
    ),
    "message.undeliverable": (
        "a message to a company can no longer be delivered",
        "It is kept. Tell the company another way.",
    ),
    "redemption.no_presentation": (
        "the relay does not show with what a company redeemed", _KEPT,
    ),
    "redemption.other": ("the relay shows another redemption than its log has", _KEPT),
    "relay.bad_receipt": ("the relay has no receipt of something that it did", _KEPT),
    "relay.broken_chain": (
        "what the relay shows of a package does not follow on what it showed before", _KEPT,
    ),
    "relay.hidden_redemption": (
        "a company had redeemed before, and the relay does not show it", _KEPT,
    ),
    "relay.new_log": (
        "the relay has begun a new log, as after a restore from a backup",
        "Everything is sent to it again. If its operator knows of no restore, it hides something.",
    ),
    "relay.old_identity": ("the relay shows an older state of your public identity", _TELL),
    "relay.old_list": ("the relay does not show all that you withdrew", _TELL),
    "relay.older_package": (
        "the relay handed out an older version than the one that it had", _KEPT,
    ),
    "relay.unreachable": (
        "the relay cannot be reached", "Is this machine online? Sync again later.",
    ),
    "relay.wrong_bytes": ("the relay handed out what you never gave it", _KEPT),
    "relay.wrong_package": ("the relay does not have the package that you sent", _KEPT),
    "vault.clock_off": (
        "this machine's clock and the relay's are apart", "Set the one that is wrong.",
    ),
    "vault.diverged": (
        "since the backup the vault had gone another way", "Look at it: pds activity.",
    ),
    "vault.package_too_large": (
        "a package is larger than the relay takes",
        "Grant less of it, or use a relay that takes more.",
    ),
    "vault.relay_key_changed": (
        "the relay shows another key of its log, to which the known one does not lead", _KEPT,
    ),
}  # fmt: skip
"""What a round of a vault, and its evidence, can name; a company's are in ``company_words``."""


def sentence(code: str, known: Words) -> str | None:
    """What a code says, if it is ``known`` or one of a relay's."""
    if code in known:
        return known[code][0]
    from pds.wire import TITLES

    titles = {str(each.value): title.removesuffix(".") for each, title in TITLES.items()}
    return titles.get(code)


def words(code: str, known: Words) -> tuple[str, str]:
    """A problem as a sentence, and what to do about it. A code that says nothing by itself is
    said to be of its area."""
    area = _AREAS.get(code.partition(".")[0], "something went wrong")
    return sentence(code, known) or area, known[code][1] if code in known else ""


def problems_json(found: Iterable[tuple[str, str]], known: Words) -> list[dict[str, str]]:
    """(subject, code) as JSON."""
    result = []
    for subject, code in found:
        message, hint = words(code, known)
        result.append({"code": code, "subject": subject, "message": message, "hint": hint})
    return result


def problem_text(about: str, code: str, known: Words) -> str:
    """One or two lines: what it is about, what happened, the code; and what to do."""
    message, hint = words(code, known)
    return f"  {about}: {message}.  [{code}]" + (f"\n    {hint}" if hint else "")
