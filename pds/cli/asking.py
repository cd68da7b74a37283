"""Deciding at a terminal: purpose by purpose, then one last look before anything is signed.

Nothing is chosen beforehand and nothing is decided by default: where a purpose cannot be provided
now, the person says whether to refuse it or to stop and mend that first.
"""

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from pds.cli.output import Settings, show

if TYPE_CHECKING:
    from pds.vault.consent import Accept, Answer, PurposeView
    from pds.vault.service import ShownRequest


def ask(settings: Settings, shown: "ShownRequest", *, language: str) -> "dict[str, Answer]":
    """An answer for every purpose, seen and confirmed as a whole. Ends the command otherwise."""
    from pds.vault.consent import Refuse, words_of
    from pds.vault.decide import host_of

    who = shown.request.controller
    if settings.no_input or not sys.stdin.isatty():
        raise click.UsageError("Say --accept or --refuse for every purpose.")
    answers: dict[str, Answer] = {}
    for view in shown.purposes:
        words = words_of(view.purpose.basis)
        _say("\n" + shown.text(view.purpose.id, language=language))
        if view.blocked_until is not None:
            _refuse_or_stop(
                f"You refused this before; until {view.blocked_until.date().isoformat()} it "
                "cannot be provided.",
                f"{words.refuse} again",
                f"I will allow it first (pds requests --reopen {host_of(who.id)} "
                f"{view.purpose.id})",
            )
            answers[view.purpose.id] = Refuse()
        elif view.missing:
            _refuse_or_stop(
                "It needs what the vault does not hold: " + ", ".join(view.missing) + ".",
                words.refuse,
                f"I will add it first (pds data add {view.missing[0].partition('.')[0]} …)",
            )
            answers[view.purpose.id] = Refuse()
        else:
            reply = _choose(
                f"  1 {words.provide}   2 {words.refuse}   3 {words.provide} less", "123"
            )
            answers[view.purpose.id] = Refuse() if reply == "2" else _terms(view, less=reply == "3")
    _last_look(shown, answers)
    return answers


def _refuse_or_stop(why: str, refuse: str, mend: str) -> None:
    _say(f"  {why}")
    if _choose(f"  1 {refuse}   2 Stop; {mend}", "12") == "2":
        _stop()


def _stop() -> None:
    _say("Nothing was sent; the request waits.")
    raise click.Abort


def _terms(view: "PurposeView", *, less: bool) -> "Accept":
    from pds.vault.consent import Accept

    included = {
        item.path
        for item in view.items
        if not item.required and item.values and _yes(f"  Include {item.label} too?")
    }
    duration, uses = None, None
    if less:
        duration = timedelta(days=_number("  For how many days?", view.purpose.days))
        uses = _number("  At most how many times?", view.purpose.max_uses)
    return Accept(
        including=frozenset(included),
        duration=duration,
        max_uses=uses,
        follows_changes=_yes("  Hand on later changes too?"),
    )


def _last_look(shown: "ShownRequest", answers: "dict[str, Answer]") -> None:
    """What is about to be signed, in one place."""
    from pds.vault.consent import Refuse, count, describe, words_of

    who = shown.request.controller
    lines = [f"\nThis is what {who.name} ({who.id}) will get:"]
    for view in shown.purposes:
        purpose, answer = view.purpose, answers[view.purpose.id]
        words = words_of(purpose.basis)
        if isinstance(answer, Refuse):
            lines.append(f"  {purpose.id}: {words.refused}")
            continue
        fields = sorted(purpose.required | answer.including)
        days = purpose.days if answer.duration is None else answer.duration.days
        uses = purpose.max_uses if answer.max_uses is None else answer.max_uses
        lines.append(
            f"  {purpose.id}: {words.provided}: {', '.join(map(describe, fields))}; "
            f"for {count(days, 'day')}, at most {count(uses, 'time')}"
            + ("; later changes too" if answer.follows_changes else "; later changes not")
        )
    if any(isinstance(answer, Refuse) for answer in answers.values()):
        lines.append(
            "For 183 days this company cannot ask you again for what you turn down here; "
            "'pds requests --reopen' allows it sooner."
        )
    _say("\n".join(lines))
    if not _yes("Send this?"):
        _stop()


def _say(text: str) -> None:
    show(text, err=True)


def _reply(question: str) -> str:
    reply: str = click.prompt(question, default="", show_default=False, prompt_suffix=" ", err=True)
    return reply.strip()


def _choose(question: str, choices: Sequence[str]) -> str:
    """One of the choices; there is no default, and anything else is asked again."""
    while True:
        reply = _reply(f"{question}\n  Your choice:")
        if reply in choices and len(reply) == 1:
            return reply
        _say(f"  Type {', '.join(choices[:-1])} or {choices[-1]}.")


def _yes(question: str) -> bool:
    """Yes or no; Enter is no."""
    while True:
        reply = _reply(f"{question} [y/N]").lower()
        if reply in {"", "n", "no"}:
            return False
        if reply in {"y", "yes"}:
            return True
        _say("  Type y for yes or n for no.")


def _number(question: str, highest: int) -> int:
    """A whole number from 1; Enter is the highest, which is what was asked for."""
    while True:
        reply = _reply(f"{question} 1 to {highest} [{highest}]")
        if not reply:
            return highest
        if reply.isascii() and reply.isdigit() and 1 <= int(reply[:9]) <= highest:
            return int(reply)
        _say(f"  Type a whole number from 1 to {highest}.")
