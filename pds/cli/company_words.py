"""What ``pds company`` says: rows as JSON and as text, and problems as sentences."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pds.cli import problems
from pds.cli.names import called
from pds.cli.output import count
from pds.cli.problems import BOTH, Words, problem_text, words
from pds.oneline import one_line

if TYPE_CHECKING:
    from pds.company.client import GrantView, RequestView
    from pds.company.collecting import CollectReport
    from pds.company.redeeming import Redeemed
    from pds.company.register import Held

Names = Mapping[str, tuple[str, ...]]
"""What is known of the people of a company: by any of their DIDs what they are called."""

AWAY = frozenset(
    {
        "relay.unreachable",
        "relay.busy",
        "net.unreachable",
        "net.timeout",
        "company.too_many_envelopes",
    }
)
URN = "urn:uuid:"

PROBLEMS: Words = {
    **BOTH,
    "change.forked": (
        "the same DID was given up for another one before",
        "Somebody may have the person's old key. Both changes are kept; ask the person.",
    ),
    "company.already_answered": (
        "somebody else answered through the same link, and was not heard",
        "One link is for one person: make a request of its own for each.",
    ),
    "company.cancelled": ("it was taken back", ""),
    "company.status_elsewhere": ("a grant names a status list at another relay", ""),
    "company.undeliverable": (
        "a message to the person can no longer be delivered",
        "It is kept. Tell the person another way.",
    ),
    "company.dates": ("its dates are beyond the calendar", "It is left as it is."),
    "company.too_many_envelopes": (
        "the relay holds more messages than one round takes in",
        "Collect again.",
    ),
    "log.forked": (
        "the relay's log does not agree with what it showed before",
        "What the person signed is kept, and both states of the log. Tell the person.",
    ),
    "log.unproven": (
        "the relay does not prove that its log only grew",
        "What the person signed is kept, and both states of the log. Tell the person.",
    ),
    "message.gap": (
        "a message is missing; the relay may have lost or held it back",
        "Those after it were taken. Ask the person if something seems to be missing.",
    ),
    "register.not_in_list": (
        "the person ended a grant, and the relay's list does not show it",
        "The person's word counts. Tell the relay's operator.",
    ),
    "register.status_stale": (
        "whether it was withdrawn cannot be checked now, so the data is not to be used",
        "Collect again later.",
    ),
    "relay.new_log": (
        "the person's relay has begun a new log, as after a restore from a backup",
        "If its operator knows of no restore, it hides something.",
    ),
    "relay.not_found": ("the relay does not know it (any more)", ""),
    "relay.token": (
        "the relay wants a registration token",
        "Its operator has it: pds company relay --token-file FILE",
    ),
    "relay.unreachable": (
        "the relay cannot be reached",
        "Is it running, and is this machine online? Collect again later.",
    ),
    "status.unavailable": (
        "the status list could not be had from the person's relay",
        "Collect again later.",
    ),
    "status.stale": ("the relay's stamp on the status list is too old", "Collect again later."),
}


def problems_json(found: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """(subject, code) as JSON."""
    return problems.problems_json(found, PROBLEMS)


def problems_text(found: Iterable[tuple[str, str]], requests: frozenset[str]) -> str:
    """(subject, code) as lines; ``requests`` are the subjects that are requests, not grants."""
    lines = []
    for subject, code in found:
        kind = "Request" if subject in requests else "Grant"
        lines.append(problem_text(f"{kind} {subject.removeprefix(URN)[:8]}", code, PROBLEMS))
    return "\n".join(lines)


def collected_text(report: "CollectReport", *, nothing: str) -> str:
    """What a round brought, without what it did not; ``nothing`` where it brought nothing."""
    parts = [
        count(number, what) if what[0] != " " else f"{number}{what}"
        for number, what in (
            (report.messages, "message"),
            (len(report.decided), "decision"),
            (len(report.ended), " ended"),
            (len(report.updated), " updated"),
            (report.recovered, " recovered"),
            (len(report.moved), " under a new DID of their person"),
        )
        if number
    ]
    if report.erased:
        parts.append(f"erased under {count(report.erased, 'grant')}")
    resumed = [
        f"\nRequest {request.removeprefix(URN)[:8]}: the person's vault came back from a "
        "backup, and goes on from there."
        for request in dict.fromkeys(report.resumed)
    ]
    return (f"{', '.join(parts)}." if parts else nothing) + "".join(resumed)


def value(found: Any) -> str:
    """A value on one line; what a terminal would act on is escaped."""
    return one_line(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))


def redeemed_json(redeemed: "Redeemed") -> dict[str, Any]:
    return {
        "grant": redeemed.grant,
        "seq": redeemed.seq,
        "ordinal": redeemed.ordinal,
        "recovered": redeemed.recovered,
        "logged": redeemed.logged,
        "items": [item.to_json() for item in redeemed.items],
    }


def redeemed_text(redeemed: "Redeemed") -> str:
    return (
        f"Version {redeemed.seq}, {count(len(redeemed.items), 'value')}"
        + (" (an answer that was lost; no use counted)" if redeemed.recovered else "")
        + ("" if redeemed.logged else "\nThe receipt does not fit the relay's log; both are kept.")
        + "".join(f"\n  {item.path}: {value(item.value)}" for item in redeemed.items)
    )


def held_json(row: "Held") -> dict[str, Any]:
    from did.time import format_time

    return {
        "person": row.person,
        "path": row.path,
        "value": row.value,
        "basis": row.basis,
        "purpose": row.purpose,
        "since": format_time(row.since),
        "until": format_time(row.until),
        "grant": row.grant,
        "usable": row.usable,
    }


def who(did: str, names: Names) -> str:
    """A person by every name that is known, and the DID."""
    return f"{called(names.get(did, ()))}{did}"


def held_text(rows: "Iterable[Held]", names: Names) -> str:
    """By person: what, on which basis, and until when."""
    from did.time import format_time

    lines: list[str] = []
    person = ""
    for row in rows:
        if row.person != person:
            person = row.person
            lines.append(who(person, names))
        lines.append(f"  {row.path}: {value(row.value)}")
        lines.append(
            f"    {row.basis.rpartition('#')[2]}, until {format_time(row.until)}"
            + ("" if row.usable else "; kept, not to be used")
        )
    return "\n".join(lines)


def grant_json(view: "GrantView", names: Names) -> dict[str, Any]:
    from did.time import format_time

    return {
        "id": view.id,
        "digest": view.digest,
        "request": view.request,
        "purposeId": view.purpose_id,
        "purpose": view.purpose,
        "basis": view.basis,
        "person": view.person,
        "names": list(names.get(view.person, ())),
        "fields": sorted(view.fields),
        "validFrom": format_time(view.valid_from),
        "validUntil": format_time(view.valid_until),
        "state": view.state,
        "seq": view.seq,
        "updateWaiting": view.update_waiting,
        "erased": None if view.erased is None else format_time(view.erased),
        "attested": None if view.attested is None else format_time(view.attested),
        "retained": [{"path": path, "until": format_time(until)} for path, until in view.retained],
    }


def grant_text(view: "GrantView", names: Names) -> str:
    from did.time import format_time

    newer = "; there is a newer version: redeem it" if view.update_waiting else ""
    return (
        f"{view.purpose_id}: {view.state}, {', '.join(sorted(view.fields))}\n"
        f"  {view.id}\n"
        f"  by {who(view.person, names)}\n"
        f"  for {view.purpose.rpartition('#')[2]}, until {format_time(view.valid_until)}{newer}"
    )


def request_json(view: "RequestView") -> dict[str, Any]:
    return {
        "id": view.id,
        "state": view.state,
        "matchCode": view.match_code,
        "link": view.link,
        "audience": view.audience,
        "person": view.person,
        "granted": list(view.granted),
        "refused": list(view.refused),
        "problem": view.problem,
    }


def request_text(view: "RequestView", names: Names) -> str:
    lines = [f"{view.id}  {view.state}  {view.match_code}"]
    if view.audience is not None and view.person is None:
        lines.append(f"  for {one_line(view.audience)}")
    if view.person is not None:
        lines.append(f"  by {who(view.person, names)}")
        lines.append(
            f"  granted: {', '.join(view.granted) or '-'}"
            f"  refused: {', '.join(view.refused) or '-'}"
        )
    if view.problem is not None and view.state == "pending":
        lines.append(f"  Not at the relay: {words(view.problem, PROBLEMS)[0]}.  [{view.problem}]")
    return "\n".join(lines)
