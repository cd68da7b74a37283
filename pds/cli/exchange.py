"""``pds open | requests | decide | sharing | grant | withdraw | sync``: the holder's exchange."""

import re
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from pds.cli.output import Settings, emit_json, pass_settings
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from pds.vault.consent import Accept, Answer, PurposeView
    from pds.vault.outbox import PushReport
    from pds.vault.service import ShownRequest, Vault

_LATER = 4
_MAX_LINK = 1_000
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
        link = sys.stdin.readline(_MAX_LINK).strip()
    with unlock(settings) as vault:
        if dev_trust is not None:
            vault.trust_dev_host(dev_trust)
        shown = vault.open_link(link)
    _show(settings, shown)


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


def _show(settings: Settings, shown: "ShownRequest") -> None:
    from pds.vault.consent import words_of

    who = shown.request.controller

    def text() -> str:
        parts = [
            f"{who.name} asks. Its domain is proven: {who.id}",
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
                parts.append(f"  You refused this before; it may be asked again on {again}.")
            else:
                parts.append(f"  You can: {words.provide} / {words.refuse}")
        if shown.state == "pending":
            parts += ["", f"Decide with: pds decide {shown.request.id}"]
        return "\n".join(parts)

    settings.emit(_json(shown), text)


@click.command()
@click.argument("request_id", required=False, metavar="[REQUEST]")
@click.option("--reopen", nargs=2, metavar="COMPANY PURPOSE-IRI", help="Let it be asked again.")
@pass_settings
def requests(settings: Settings, *, request_id: str | None, reopen: tuple[str, str] | None) -> None:
    """The requests that came in; with an id, one of them in full.

    --reopen lets a company ask again for a purpose that was refused less than 183 days ago.
    """
    with unlock(settings) as vault:
        if reopen:
            vault.reopen(*reopen)
        if request_id is not None:
            _show(settings, vault.request(request_id))
            return
        shown = vault.requests()
    settings.emit(
        [_json(r) for r in shown],
        "\n".join(
            f"{r.request.id}  {r.state:<8} {r.request.controller.name}: "
            + ", ".join(p.purpose.id for p in r.purposes)
            for r in shown
        )
        or "No requests.",
    )


@click.command()
@click.argument("request_id", required=False, metavar="[REQUEST]")
@click.option("--accept", multiple=True, metavar="PURPOSE", help="Say yes; required items only.")
@click.option("--refuse", multiple=True, metavar="PURPOSE", help="Say no.")
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
    Every purpose of the request is answered in one go, with a yes or a no.

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
        shown = _pending(vault, request_id)
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
        if not answers:
            answers = _ask(settings, shown, language)
        outcomes = vault.decide(shown.request.id, answers, language=language)
        report = vault.push()
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
        "\n".join(_outcome(shown, o.purpose, o.granted, o.fields) for o in outcomes),
    )
    _say_waiting(settings, report)


def _outcome(shown: "ShownRequest", purpose: str, granted: bool, fields: frozenset[str]) -> str:
    from pds.vault.consent import words_of

    words = words_of(shown.request.purpose(purpose).basis)
    if granted:
        return f"{purpose}: {words.provided} ({', '.join(sorted(fields))})"
    return f"{purpose}: {words.refused}"


def _say_waiting(settings: Settings, report: "PushReport") -> None:
    """What was recorded here and has yet to reach the relay: exit code 4."""
    if not report.complete:
        codes = sorted({code for _, code in report.waiting if code != "outbox.held_back"})
        settings.say(
            f"{len(report.waiting)} calls wait to be sent ({', '.join(codes)}). "
            "Run 'pds sync' when the relay can be reached."
        )
        raise click.exceptions.Exit(_LATER)


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


def _pending(vault: "Vault", request_id: str | None) -> "ShownRequest":
    if request_id is not None:
        return vault.request(request_id)
    pending = [shown for shown in vault.requests() if shown.state == "pending"]
    if len(pending) != 1:
        raise click.UsageError(
            "There is no request to decide." if not pending else "Name one of the requests."
        )
    return pending[0]


def _ask(settings: Settings, shown: "ShownRequest", language: str) -> "dict[str, Answer]":
    from pds.vault.consent import Refuse, words_of

    if settings.no_input or not sys.stdin.isatty():
        raise click.UsageError("Say --accept or --refuse for every purpose.")
    answers: dict[str, Answer] = {}
    for view in shown.purposes:
        purpose = view.purpose
        words = words_of(purpose.basis)
        click.echo("\n" + shown.text(purpose.id, language=language), err=True)
        if view.blocked_until is not None or view.missing:
            why = "you refused it before" if view.blocked_until else "a required item is missing"
            click.echo(f"  It is refused, because {why}.", err=True)
            answers[purpose.id] = Refuse()
            continue
        reply = click.prompt(
            f"  1 {words.provide}   2 {words.refuse}   3 {words.provide} less",
            type=click.Choice(["1", "2", "3"]),
            show_choices=False,
            err=True,
        )
        answers[purpose.id] = Refuse() if reply == "2" else _ask_terms(view, less=reply == "3")
    return answers


def _ask_terms(view: "PurposeView", *, less: bool) -> "Accept":
    from pds.vault.consent import Accept

    included = {
        item.path
        for item in view.items
        if not item.required
        and item.values
        and click.confirm(f"  Include {item.label} too?", default=False, err=True)
    }
    duration, uses = None, None
    if less:
        days = click.prompt(
            "  For how many days?", type=click.IntRange(1, view.purpose.days), err=True
        )
        duration = timedelta(days=days)
        uses = click.prompt(
            "  At most how many times?", type=click.IntRange(1, view.purpose.max_uses), err=True
        )
    follows = click.confirm("  Hand on later changes too?", default=False, err=True)
    return Accept(
        including=frozenset(included),
        duration=duration,
        max_uses=uses,
        follows_changes=follows,
    )


@click.command()
@pass_settings
def sharing(settings: Settings) -> None:
    """What is shared, with whom, until when, and how often it was taken."""
    from did.time import format_time

    with unlock(settings) as vault:
        rows = vault.sharing()

    def text() -> str:
        lines = []
        for row in rows:
            pending = " (pending)" if row.pending else ""
            lines.append(
                f"{row.name}: {row.label} [{row.purpose}]: {row.state}{pending}\n"
                f"  {', '.join(sorted(row.fields))}; until {format_time(row.valid_until)}; "
                f"taken {row.uses} of {row.max_uses} times"
                + ("; follows changes" if row.follows_changes else "")
                + f"\n  {row.grant}"
            )
        return "\n".join(lines) or "Nothing is shared."

    settings.emit(
        [
            {
                "grant": row.grant,
                "company": row.company,
                "name": row.name,
                "purpose": row.purpose,
                "label": row.label,
                "fields": sorted(row.fields),
                "state": row.state,
                "pending": row.pending,
                "validFrom": format_time(row.valid_from),
                "validUntil": format_time(row.valid_until),
                "uses": row.uses,
                "maxUses": row.max_uses,
                "lastUsed": None if row.last_used is None else format_time(row.last_used),
                "followsChanges": row.follows_changes,
                "attestations": [attested.to_json() for attested in row.attested],
            }
            for row in rows
        ],
        text,
    )


@click.command()
@click.argument("name")
@pass_settings
def grant(settings: Settings, *, name: str) -> None:
    """Print the signed grant with this id or purpose, for any verifier."""
    with unlock(settings) as vault:
        raw = vault.grant(name)
    emit_json(raw)


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def withdraw(settings: Settings, *, name: str, yes: bool) -> None:
    """End a grant, by its id or purpose: withdraw consent, end a contract's sharing, object.

    The relay deletes what it stored and refuses from that moment; the company is told to erase.
    """
    settings.confirm("End this grant?", yes=yes)
    with unlock(settings) as vault:
        verb, report = vault.withdraw(name)
    said = {"withdraw": "Consent withdrawn", "end": "Sharing ended", "object": "Objected"}[verb]
    settings.emit(
        {"grant": name, "verb": verb, "complete": report.complete},
        f"{said}. "
        + (
            "The relay has deleted the package and refuses; the company is told."
            if report.complete
            else "It is pending: the relay has not confirmed everything yet."
        ),
    )
    _say_waiting(settings, report)


@click.command()
@pass_settings
def sync(settings: Settings) -> None:
    """Send what waits, collect messages, and check everything that the relay did."""
    with unlock(settings) as vault:
        report = vault.sync()
    settings.emit(
        {
            "messages": report.messages,
            "redemptions": report.redemptions,
            "refusals": report.refusals,
            "restaged": report.restaged,
            "renewed": report.renewed,
            "sent": report.push.sent,
            "waiting": [list(w) for w in report.push.waiting],
            "problems": [{"code": code, "subject": subject} for code, subject in report.problems],
        },
        f"{report.redemptions} redemptions and {report.refusals} refused attempts, all checked "
        f"against what was staged; {report.messages} messages; {report.push.sent} calls sent."
        + "".join(f"\n  Problem: {code} ({subject})" for code, subject in report.problems),
    )
    if report.problems:
        raise click.exceptions.Exit(1)
    _say_waiting(settings, report.push)
