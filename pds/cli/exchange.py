"""``pds open | requests | decide``: what is asked of the holder, and the answer."""

import re
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from pds.cli.asking import ask
from pds.cli.changes import LIVE, later
from pds.cli.names import company as company_of
from pds.cli.names import nearest, whole
from pds.cli.output import Settings, pass_settings
from pds.cli.sync import say_waiting
from pds.cli.vault import trust_line, unlock

if TYPE_CHECKING:
    from pds.vault.activity import Sharing
    from pds.vault.consent import Answer, PurposeView
    from pds.vault.service import ShownRequest, Vault

_MAX_LINK = 1_000
# What a letter or a chat puts around a link; none of it can be at the ends of one.
_AROUND_LINKS = " \t\r\n<>‹›«»()\"'.,;"
_DPV = "https://w3id.org/dpv#"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST = 100 * 366 * 86_400
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")


def parse_duration(text: str) -> timedelta:
    """``90s``, ``45m``, ``12h`` or ``30d``."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise click.UsageError("Write a time as 90s, 45m, 12h or 30d.")
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > _LONGEST:
        raise click.UsageError("That time is too long.")
    return timedelta(seconds=seconds)


@click.command("open")
@click.argument("link")
@click.option("--dev-trust", metavar="NAME=ADDRESS:PORT,CA.PEM", help="Sandbox vaults only.")
@pass_settings
def open_(settings: Settings, *, link: str, dev_trust: str | None) -> None:
    """Fetch a request link, verify who asks, and show it purpose by purpose.

    A link opens what it points to, so it is a secret too: with '-' it is read from standard input
    and stays out of the shell's history.
    """
    if link == "-":
        link = sys.stdin.readline(_MAX_LINK)
    link = link.strip(_AROUND_LINKS)
    trusted = None if dev_trust is None else trust_line(dev_trust)
    with unlock(settings) as vault:
        if trusted is not None:
            vault.trust_dev_host(trusted)
        shown = vault.open_link(link)
        given = _given(vault, shown)
    _show(settings, shown, given)


def _json(shown: "ShownRequest") -> dict[str, Any]:
    from did.time import format_time

    return {
        "id": shown.request.id,
        "company": shown.request.controller.id,
        "name": shown.request.controller.name,
        "state": shown.state,
        "matchCode": shown.match_code,
        "expires": format_time(shown.request.expires),
        "sandbox": shown.request.sandbox,
        "purposes": [_purpose_json(shown, p) for p in shown.purposes],
    }


def _purpose_json(shown: "ShownRequest", view: "PurposeView") -> dict[str, Any]:
    from did.time import format_time

    return {
        "id": view.purpose.id,
        "purpose": view.purpose.purpose,
        "label": view.label,
        "basis": view.purpose.basis,
        "items": [
            {
                "path": item.path,
                "required": item.required,
                "values": [value.value for value in item.values],
            }
            for item in view.items
        ],
        "missing": list(view.missing),
        "blockedUntil": None if view.blocked_until is None else format_time(view.blocked_until),
        "text": shown.text(view.purpose.id),
    }


def _given(vault: "Vault", shown: "ShownRequest") -> "dict[str, Sharing]":
    """What was granted in answer to a request, by purpose."""
    if shown.state == "pending":
        return {}
    mine = [row for row in vault.sharing() if row.company == shown.request.controller.id]
    return {row.purpose: row for row in mine if request_digest(vault, row) == shown.digest}


def request_digest(vault: "Vault", row: "Sharing") -> object:
    """The digest of the request that a grant answers."""
    subject = vault.grant(row.grant).get("credentialSubject")
    return subject.get("request") if isinstance(subject, dict) else None


def _show(settings: Settings, shown: "ShownRequest", given: "dict[str, Sharing]") -> None:
    from pds.vault.consent import words_of
    from pds.vault.decide import host_of

    who = shown.request.controller

    def text() -> str:
        parts = [
            f"{who.name} asks. "
            + (
                "In this sandbox its domain is what --dev-trust says: "
                if shown.request.sandbox
                else "Its domain is proven: "
            )
            + who.id,
            f"Match code {shown.match_code}: the company must show the same one.",
        ]
        if shown.request.audience:
            parts.append(f"Meant for: {shown.request.audience}")
        for view in shown.purposes:
            parts.append("")
            parts.append(shown.text(view.purpose.id))
            words = words_of(view.purpose.basis)
            if view.blocked_until is not None:
                again = view.blocked_until.date().isoformat()
                parts.append(
                    f"  You refused this before; it may be asked again on {again}, or sooner by: "
                    f"pds requests --reopen {host_of(who.id)} {view.purpose.id}"
                )
            else:
                parts.append(f"  You can: {words.provide} / {words.refuse}")
                if shown.state == "pending":
                    parts.append(
                        f"  Later changes do not reach {who.name}, unless you say so too: "
                        f"--follow {view.purpose.id}"
                    )
            row = given.get(view.purpose.id)
            if row is not None:
                parts.append(f"  You did: {words.provided}; {row.state}.")
                parts += [f"  {later(row)}"] if row.state in LIVE else []
        if shown.state == "pending":
            parts += ["", f"Decide with: pds decide {shown.request.id}"]
        return "\n".join(parts)

    settings.emit(_json(shown), text)


@click.command()
@click.argument("request_id", required=False, metavar="[REQUEST]")
@click.option("--reopen", nargs=2, metavar="COMPANY PURPOSE", help="Let it be asked again.")
@pass_settings
def requests(settings: Settings, *, request_id: str | None, reopen: tuple[str, str] | None) -> None:
    """The requests that came in; with an id, one of them in full.

    --reopen lets a company ask again for a purpose that was refused less than 183 days ago:
    COMPANY is its name (a part of it will do), domain or DID, PURPOSE its name in the request, or a
    purpose of DPV.
    """
    reopened = ""
    with unlock(settings) as vault:
        if reopen:
            reopened = _reopen(settings, vault, *reopen)
        if request_id is not None:
            if reopened:
                settings.say(reopened)
            one = _request(vault, request_id)
            _show(settings, one, _given(vault, one))
            return
        shown = vault.requests()
    settings.emit(
        [_json(r) for r in shown],
        reopened or "\n".join(_request_line(r) for r in shown) or "No requests.",
    )


def _request_line(shown: "ShownRequest") -> str:
    purposes = ", ".join(view.purpose.id for view in shown.purposes)
    return f"{shown.request.id}  {shown.state:<8} {shown.request.controller.name}: {purposes}"


def _request(vault: "Vault", request_id: str) -> "ShownRequest":
    return vault.request(whole(request_id, (shown.request.id for shown in vault.requests())))


def _reopen(settings: Settings, vault: "Vault", company: str, purpose: str) -> str:
    """Let it be asked again; the sentence that says so."""
    from credentials.purposes import is_known, label

    company = company_of(settings, vault, company)
    company = company if company.startswith("did:") else f"did:web:{company}"
    name = ""
    for shown in vault.requests():
        if shown.request.controller.id == company:
            name = shown.request.controller.name
            for view in shown.purposes:
                if view.purpose.id == purpose:
                    purpose = view.purpose.purpose
    if is_known(_DPV + purpose):
        purpose = _DPV + purpose
    vault.reopen(company, purpose)
    return f"{name or 'The company'} may ask you again for: {label(purpose)}."


@click.command()
@click.argument("request_id", required=False, metavar="[REQUEST]")
@click.option("--accept", multiple=True, metavar="PURPOSE", is_flag=False, flag_value="",
              help="Say yes; required items only.")  # fmt: skip
@click.option("--refuse", multiple=True, metavar="PURPOSE", is_flag=False, flag_value="",
              help="Say no.")  # fmt: skip
@click.option("--include", multiple=True, metavar="PURPOSE:PATH", help="Add an optional item.")
@click.option("--for", "for_", multiple=True, metavar="PURPOSE=30d", help="A shorter time.")
@click.option("--uses", multiple=True, metavar="PURPOSE=2", help="Fewer uses.")
@click.option("--every", multiple=True, metavar="PURPOSE=12h", help="A longer interval.")
@click.option("--starts-in", multiple=True, metavar="PURPOSE=1h", help="Begin later.")
@click.option("--follow", multiple=True, metavar="PURPOSE", help="Hand on later changes too.")
@click.option("--language", default="en", show_default=True, help="Of the text shown.")
@pass_settings
def decide(
    settings: Settings,
    *,
    request_id: str | None,
    accept: tuple[str, ...],
    refuse: tuple[str, ...],
    include: tuple[str, ...],
    for_: tuple[str, ...],
    uses: tuple[str, ...],
    every: tuple[str, ...],
    starts_in: tuple[str, ...],
    follow: tuple[str, ...],
    language: str,
) -> None:
    """Answer a request, purpose by purpose; without flags it asks.

    PURPOSE is the short name that 'pds requests' shows. Times are written 90s, 45m, 12h or 30d.
    Every purpose of the request is answered in one go, with a yes or a no. Exit code 4: decided,
    but not all of it has reached the relay; 'pds sync' sends the rest.

    Nothing is ticked beforehand: a yes covers what is required, optional items and following
    later changes are switched on one by one.
    """
    from pds.vault.consent import Accept, Refuse

    options: dict[str, dict[str, Any]] = {
        "include": _pairs(include, ":"),
        "for": {k: [parse_duration(v) for v in vs] for k, vs in _pairs(for_, "=").items()},
        "uses": {k: [_number(v) for v in vs] for k, vs in _pairs(uses, "=").items()},
        "every": {k: [parse_duration(v) for v in vs] for k, vs in _pairs(every, "=").items()},
        "starts-in": {
            k: [parse_duration(v) for v in vs] for k, vs in _pairs(starts_in, "=").items()
        },
    }
    stray = {p for named in options.values() for p in named} | set(follow)
    if stray - set(accept):
        raise click.UsageError("Some options name a purpose that is not accepted.")
    if set(accept) & set(refuse):
        raise click.UsageError("A purpose cannot be accepted and refused.")
    with unlock(settings) as vault:
        shown = _pending(settings, vault, request_id)
        answers: dict[str, Answer] = {purpose: Refuse() for purpose in refuse}
        for purpose in accept:
            every_ = _only(options["every"], purpose)
            answers[purpose] = Accept(
                including=frozenset(options["include"].get(purpose, [])),
                duration=_only(options["for"], purpose),
                max_uses=_only(options["uses"], purpose),
                min_interval=None if every_ is None else int(every_.total_seconds()),
                follows_changes=purpose in follow,
                starts_in=_only(options["starts-in"], purpose),
            )
        if answers:
            _check_names(shown, answers)
        else:
            answers = ask(settings, shown, language=language)
        outcomes = vault.decide(shown.request.id, answers, language=language)
        report = vault.push()
        rows = {row.grant: row for row in vault.sharing()}
    settings.emit(
        {
            "request": shown.request.id,
            "purposes": [
                {
                    "purpose": o.purpose,
                    "granted": o.granted,
                    "fields": sorted(o.fields),
                    "grant": o.grant_id,
                }
                for o in outcomes
            ],
            "sent": report.complete,
            "waiting": [list(w) for w in report.waiting],
        },
        "\n".join(
            _outcome(shown, o.purpose, o.fields, rows.get(o.grant_id or "")) for o in outcomes
        ),
    )
    say_waiting(settings, report)


def _outcome(
    shown: "ShownRequest", purpose: str, fields: frozenset[str], row: "Sharing | None"
) -> str:
    from pds.vault.consent import describe, words_of

    words = words_of(shown.request.purpose(purpose).basis)
    if row is None:
        return f"{purpose}: {words.refused}"
    what = ", ".join(describe(path) for path in sorted(fields))
    return f"{purpose}: {words.provided} ({what})\n  {later(row)}"


def _check_names(shown: "ShownRequest", answers: "dict[str, Answer]") -> None:
    """Every name is one of this request; ``consent.unknown_purpose`` otherwise."""
    from pds.vault.errors import ConsentError

    known = [view.purpose.id for view in shown.purposes]
    for name in answers:
        if name not in known:
            raise ConsentError(
                "the request has no such purpose" if name else "a purpose has to be named",
                code="consent.unknown_purpose",
                hint=f"{nearest(name, known)} The request has: {', '.join(known)}.".strip(),
            )


def _pairs(values: tuple[str, ...], sign: str) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for value in values:
        purpose, found, rest = value.partition(sign)
        if not found or not purpose or not rest:
            raise click.UsageError(f"Write it as PURPOSE{sign}VALUE.")
        result.setdefault(purpose, []).append(rest)
    return result


def _only(values: dict[str, Any], purpose: str) -> Any:
    found = values.get(purpose, [])
    if len(found) > 1:
        raise click.UsageError("An option is given twice for one purpose.")
    return found[0] if found else None


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise click.UsageError("Write a number of uses, e.g. 2.")
    return int(text)


def _pending(settings: Settings, vault: "Vault", request_id: str | None) -> "ShownRequest":
    if request_id is not None:
        return _request(vault, request_id)
    pending = [shown for shown in vault.requests() if shown.state == "pending"]
    if not pending:
        raise click.UsageError("There is no request to decide.")
    if len(pending) > 1:
        settings.say("\n".join(_request_line(shown) for shown in pending))
        raise click.UsageError("Several requests wait: name one, by the beginning of its id.")
    return pending[0]
