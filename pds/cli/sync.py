"""``pds sync``: one round with the relay; what did not fit in it, and what waits."""

from typing import TYPE_CHECKING

import click

from pds.cli.output import Settings, count, pass_settings
from pds.cli.problems import HOLDER, problem_text, problems_json, sentence
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from pds.vault.outbox import PushReport

_LATER = 4


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
            "problems": problems_json(((about, code) for code, about in report.problems), HOLDER),
        },
        f"{count(report.redemptions, 'redemption')} and {count(report.refusals, 'refused attempt')}"
        f", all checked against what was staged; {count(report.messages, 'message')}; "
        f"{count(report.push.sent, 'call')} sent."
        + "".join(
            "\n" + problem_text(f"Problem with {about}", code, HOLDER)
            for code, about in report.problems
        ),
    )
    if report.problems:
        raise click.exceptions.Exit(1)
    say_waiting(settings, report.push)


def say_waiting(settings: Settings, report: "PushReport") -> None:
    """What was recorded here and has yet to reach the relay: exit code 4."""
    if not report.complete:
        codes = sorted({code for _, code in report.waiting if code != "outbox.held_back"})
        wait = "waits" if len(report.waiting) == 1 else "wait"
        settings.say(
            f"{count(len(report.waiting), 'call')} {wait} to be sent. "
            + "".join(f"{_why(code)}  [{code}] " for code in codes)
        )
        if "relay.token" in codes:
            settings.say(
                "  Ask its operator for the token, then: pds relay use URL --token-file FILE"
            )
        settings.say("  Run 'pds sync' later to send them.")
        raise click.exceptions.Exit(_LATER)


def _why(code: str) -> str:
    said = sentence(code, HOLDER) or "it did not work"
    return f"{said[0].upper()}{said[1:]}."
