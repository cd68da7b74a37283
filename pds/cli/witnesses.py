"""What vault and company say alike of witnesses and of evidence: options, and how it is shown."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pds.cli.output import Settings
from pds.cli.problems import Words, words

if TYPE_CHECKING:
    from did.json import JsonObject
    from pds.log.policy import Witness, WitnessPolicy

out_option = click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the newest proof against a log, for 'pds log verify --evidence'.",
)


def witness_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that change whom one believes."""
    options = (
        click.option("--add", multiple=True, metavar="[URL=]KEY",
                     help="Believe this witness, by its verifier key; ask it itself at URL."),
        click.option("--remove", multiple=True, metavar="NAME", help="Believe it no longer."),
        click.option("--quorum", type=click.IntRange(1),
                     help="How many must have cosigned. Default: more than half of them."),
        click.option("--within", type=click.IntRange(1), metavar="HOURS",
                     help="How long cosigning may take. Default: 24."),
        click.option("--none", "nobody", is_flag=True, help="Believe nobody."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def parse_witness(text: str) -> "Witness":
    """``KEY`` or ``URL=KEY``. Raises ``NoteInvalid``, and NetError for no URL."""
    from pds.log.policy import Witness
    from pds.log.vkey import NoteKey, Signs
    from pds.net.addresses import Url

    url, is_, vkey = text.partition("=")
    if not is_ or "://" not in url:  # a key alone
        return Witness(NoteKey.parse(text, expected=Signs.COSIGNATURES))
    Url.parse(url)
    return Witness(NoteKey.parse(vkey, expected=Signs.COSIGNATURES), url.rstrip("/"))


def is_change(changes: Mapping[str, Any]) -> bool:
    """Whether any of the options of ``witness_options`` was given."""
    return any(bool(value) for value in changes.values())


def changed_policy(
    current: "WitnessPolicy | None",
    *,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    quorum: int | None,
    within: int | None,
    nobody: bool,
) -> "WitnessPolicy | None":
    """The policy as the options change it. Raises ``LogError`` for one that could never be met."""
    from pds.log.policy import WitnessPolicy

    if nobody:
        if add or remove or quorum or within:
            raise click.UsageError("--none goes alone.")
        return None
    witnesses = {} if current is None else {one.key.name: one for one in current.witnesses}
    for name in remove:
        if witnesses.pop(name, None) is None:
            raise click.UsageError("--remove names no witness that is believed.")
    for text in add:
        made = parse_witness(text)
        witnesses[made.key.name] = made
    if current is None and not witnesses:
        if quorum or within:
            raise click.UsageError("Name witnesses first, with --add.")
        return None
    same = current is not None and not add and not remove
    if quorum is None:
        quorum = current.quorum if same and current is not None else len(witnesses) // 2 + 1
    hours = timedelta(hours=24) if current is None else current.within
    if within is not None:
        hours = timedelta(hours=within)
    return WitnessPolicy(tuple(witnesses.values()), quorum, hours)


def show_policy(settings: Settings, policy: "WitnessPolicy | None") -> None:
    """Answer with the policy."""
    if policy is None:
        settings.emit(
            {"witnesses": [], "quorum": 0},
            "No witness is believed: a relay could show you a history of your own.",
        )
        return
    lines = [
        f"{one.key.name}  {one.url or 'by way of the relay'}\n  {one.key.text}"
        for one in policy.witnesses
    ]
    hours = policy.within // timedelta(hours=1)
    lines.append(f"{policy.quorum} of them must have cosigned, within {hours} hours.")
    settings.emit(policy.to_json(), "\n".join(lines))


def show_evidence(
    settings: Settings,
    found: "Sequence[tuple[datetime, str, JsonObject]]",
    *,
    known: Words,
    out: Path | None,
) -> None:
    """Answer with what did not fit, in the words that are ``known``; ``out`` gets the newest piece
    of evidence against a log."""
    from did.json import canonicalize
    from did.time import format_time
    from pds.log.evidence import TYPES

    against = [detail for _, _, detail in found if detail.get("type") in TYPES]
    if out is not None:
        if not against:
            raise click.UsageError("There is no evidence against a log.")
        out.write_bytes(canonicalize(against[-1]))
    rows = [{"at": format_time(at), "code": code, "detail": detail} for at, code, detail in found]
    settings.emit(
        {"evidence": rows},
        lambda: (
            "\n".join(
                f"{row['at']}  {words(str(row['code']), known)[0]}  [{row['code']}]" for row in rows
            )
            or "Nothing that does not fit."
        ),
    )
